//! Who waits for a sync, and how they hear of it: of all that wait on one thread the first is told, and tells the others. A
//! word to another thread costs a system call, one within a thread does not. Must not know what is synced.

use crate::terms::LedgerError;
use std::thread::{self, ThreadId};
use tokio::sync::oneshot;

/// Those who wait for one sync.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    list: Vec<(ThreadId, oneshot::Sender<Told>)>,
}

/// What one of them is told.
#[derive(Debug)]
struct Told {
    answer: Result<(), LedgerError>,
    /// Who else waits on the thread. They are told when this is dropped, so that they hear of it whatever became of the one
    /// who was told: it took its answer, it waits no more, or it went away with the answer on its way.
    others: Vec<oneshot::Sender<Self>>,
}

impl Drop for Told {
    fn drop(&mut self) {
        for other in self.others.drain(..) {
            // Whoever does not wait any more does not need to hear.
            let _ = other.send(Self {
                answer: self.answer.clone(),
                others: Vec::new(),
            });
        }
    }
}

/// The place where one waits.
#[derive(Debug)]
pub(crate) struct Waiting(oneshot::Receiver<Told>);

impl Waiting {
    /// The end of the sync.
    ///
    /// # Errors
    /// Why it failed; [`LedgerError::Closed`] where nobody syncs any more.
    pub(crate) async fn end(self) -> Result<(), LedgerError> {
        match self.0.await {
            Ok(told) => told.answer.clone(),
            Err(_) => Err(LedgerError::Closed),
        }
    }
}

impl Waiters {
    /// One more, on this thread.
    pub(crate) fn enter(&mut self) -> Waiting {
        let (tell, told) = oneshot::channel();
        self.list.push((thread::current().id(), tell));
        Waiting(told)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Tells all of them.
    pub(crate) fn tell(self, answer: &Result<(), LedgerError>) {
        let mut threads: Vec<(ThreadId, oneshot::Sender<Told>, Told)> = Vec::new();
        for (thread, tell) in self.list {
            match threads.iter_mut().find(|(known, ..)| *known == thread) {
                Some((.., told)) => told.others.push(tell),
                None => {
                    let told = Told {
                        answer: answer.clone(),
                        others: Vec::new(),
                    };
                    threads.push((thread, tell, told));
                }
            }
        }
        for (_, first, told) in threads {
            // Where the first waits no more, the word comes back, and dropping it tells the others.
            let _ = first.send(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(
        waiting: &mut (impl Future<Output = Result<(), LedgerError>> + Unpin),
        waker: &Waker,
    ) -> Poll<Result<(), LedgerError>> {
        pin!(waiting).poll(&mut Context::from_waker(waker))
    }

    #[test]
    fn one_is_woken_and_wakes_the_others() {
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(woken.clone());
        let mut waiters = Waiters::default();
        let mut all: Vec<_> = (0..5).map(|_| Box::pin(waiters.enter().end())).collect();
        assert!(all.iter_mut().all(|one| poll(one, &waker).is_pending()));
        waiters.tell(&Ok(()));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "one word for the thread");
        assert_eq!(poll(all.first_mut().unwrap(), &waker), Poll::Ready(Ok(())));
        assert_eq!(woken.0.load(Ordering::SeqCst), 5);
        assert!(
            all.iter_mut()
                .skip(1)
                .all(|one| poll(one, &waker) == Poll::Ready(Ok(())))
        );
    }

    #[test]
    fn who_goes_away_keeps_nobody_waiting() {
        for goes_before in [true, false] {
            let mut waiters = Waiters::default();
            let mut all: Vec<_> = (0..3).map(|_| Some(Box::pin(waiters.enter().end()))).collect();
            if goes_before {
                all[0] = None;
            }
            waiters.tell(&Err(LedgerError::Closed));
            all[0] = None;
            for one in all.iter_mut().flatten() {
                assert_eq!(poll(one, Waker::noop()), Poll::Ready(Err(LedgerError::Closed)));
            }
        }
    }

    #[test]
    fn each_thread_has_its_own_word_and_nobody_is_forgotten() {
        let mut waiters = Waiters::default();
        let mut here = Box::pin(waiters.enter().end());
        let mut there = std::thread::scope(|scope| {
            let waiters = &mut waiters;
            scope.spawn(move || Box::pin(waiters.enter().end())).join().unwrap()
        });
        assert_eq!(waiters.len(), 2);
        waiters.tell(&Ok(()));
        assert_eq!(poll(&mut there, Waker::noop()), Poll::Ready(Ok(())));
        assert_eq!(poll(&mut here, Waker::noop()), Poll::Ready(Ok(())));
        let mut forgotten = Box::pin(Waiters::default().enter().end());
        assert_eq!(
            poll(&mut forgotten, Waker::noop()),
            Poll::Ready(Err(LedgerError::Closed))
        );
    }
}
