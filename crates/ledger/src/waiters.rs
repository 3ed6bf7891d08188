//! Who waits for a sync, and how they hear of it: where several wait in one runtime a task of its own is told, and tells them. A
//! word to another thread costs a system call, one within a runtime does not. It is a task and none of those who wait, for they
//! need not be polled when they are woken: a call's future may stand in the body of a response whose client does not read.
//! Must not know what is synced.

use crate::terms::LedgerError;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

type Answer = Result<(), LedgerError>;

/// Those who wait for one sync.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    groups: Vec<Group>,
    count: usize,
    /// Those of them whose call is open meanwhile: its decision is what they wait for.
    pub(crate) deciding: usize,
}

/// Those of them who wait in one runtime; without one, each is a group.
#[derive(Debug)]
struct Group {
    runtime: Option<Id>,
    waiting: Vec<oneshot::Sender<Answer>>,
    /// The task that tells them, where they are several.
    relay: Option<oneshot::Sender<Told>>,
}

/// What a relay is told.
#[derive(Debug)]
struct Told {
    answer: Answer,
    /// They hear of it when this is dropped, so that they do whatever becomes of the relay.
    waiting: Vec<oneshot::Sender<Answer>>,
}

impl Drop for Told {
    fn drop(&mut self) {
        for tell in self.waiting.drain(..) {
            // Whoever does not wait any more does not need to hear.
            let _ = tell.send(self.answer.clone());
        }
    }
}

/// The place where one waits.
#[derive(Debug)]
pub(crate) struct Waiting(oneshot::Receiver<Answer>);

impl Waiting {
    /// The end of the sync.
    ///
    /// # Errors
    /// Why it failed; [`LedgerError::Closed`] where nobody syncs any more.
    pub(crate) async fn end(self) -> Result<(), LedgerError> {
        self.0.await.unwrap_or(Err(LedgerError::Closed))
    }
}

impl Waiters {
    /// One more, in this runtime.
    pub(crate) fn enter(&mut self) -> Waiting {
        let (tell, told) = oneshot::channel();
        self.count += 1;
        let here = Handle::try_current().ok();
        let runtime = here.as_ref().map(Handle::id);
        let known = |group: &&mut Group| runtime.is_some() && group.runtime == runtime;
        match (self.groups.iter_mut().find(known), here) {
            (Some(group), Some(here)) => {
                group.waiting.push(tell);
                group.relay.get_or_insert_with(|| {
                    let (relay, word) = oneshot::channel();
                    // Dropped, the word tells them.
                    here.spawn(async move { drop(word.await) });
                    relay
                });
            }
            _ => self.groups.push(Group {
                runtime,
                waiting: vec![tell],
                relay: None,
            }),
        }
        Waiting(told)
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Tells all of them.
    pub(crate) fn tell(self, answer: &Result<(), LedgerError>) {
        for group in self.groups {
            let told = Told {
                answer: answer.clone(),
                waiting: group.waiting,
            };
            match group.relay {
                // Where its runtime is gone the word comes back, and dropping it tells whoever is left.
                Some(relay) => drop(relay.send(told)),
                None => drop(told),
            }
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
    use tokio::runtime::{Builder, Runtime};

    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(waiting: &mut (impl Future<Output = Answer> + Unpin), waker: &Waker) -> Poll<Answer> {
        pin!(waiting).poll(&mut Context::from_waker(waker))
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// Lets the tasks of `runtime` run.
    fn turn(runtime: &Runtime) {
        runtime.block_on(async {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        });
    }

    fn enter(waiters: &mut Waiters, runtime: &Runtime) -> impl Future<Output = Answer> + Unpin + use<> {
        let _here = runtime.enter();
        Box::pin(waiters.enter().end())
    }

    #[test]
    fn a_runtime_gets_one_word_and_tells_all_of_its_own() {
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(woken.clone());
        let mut waiters = Waiters::default();
        let here = runtime();
        let mut all: Vec<_> = (0..5).map(|_| enter(&mut waiters, &here)).collect();
        assert!(all.iter_mut().all(|one| poll(one, &waker).is_pending()));
        waiters.tell(&Ok(()));
        assert_eq!(woken.0.load(Ordering::SeqCst), 0, "the word is the relay's");
        turn(&here);
        assert_eq!(woken.0.load(Ordering::SeqCst), 5);
        assert!(all.iter_mut().all(|one| poll(one, &waker) == Poll::Ready(Ok(()))));
    }

    /// A client that does not read keeps its call from being polled, and must not keep the others from hearing.
    #[test]
    fn who_is_not_polled_keeps_nobody_waiting() {
        let here = runtime();
        for idle in 0..3 {
            let mut waiters = Waiters::default();
            let mut all: Vec<_> = (0..3).map(|_| enter(&mut waiters, &here)).collect();
            waiters.tell(&Ok(()));
            turn(&here);
            for (_, one) in all.iter_mut().enumerate().filter(|(place, _)| *place != idle) {
                assert_eq!(poll(one, Waker::noop()), Poll::Ready(Ok(())));
            }
        }
    }

    #[test]
    fn who_goes_away_keeps_nobody_waiting() {
        let here = runtime();
        for goes_before in [true, false] {
            let mut waiters = Waiters::default();
            let mut all: Vec<_> = (0..3).map(|_| Some(enter(&mut waiters, &here))).collect();
            if goes_before {
                all[0] = None;
            }
            waiters.tell(&Err(LedgerError::Closed));
            all[0] = None;
            turn(&here);
            for one in all.iter_mut().flatten() {
                assert_eq!(poll(one, Waker::noop()), Poll::Ready(Err(LedgerError::Closed)));
            }
        }
    }

    #[test]
    fn nobody_is_forgotten_wherever_they_wait() {
        // Each runtime has its own word; one without a runtime, and one whose runtime is gone, hear at once.
        let (here, there) = (runtime(), runtime());
        let mut waiters = Waiters::default();
        let mut alone = [Box::pin(waiters.enter().end()), Box::pin(waiters.enter().end())];
        let mut those: Vec<_> = (0..2).map(|_| enter(&mut waiters, &here)).collect();
        let mut gone: Vec<_> = (0..2).map(|_| enter(&mut waiters, &there)).collect();
        assert_eq!(waiters.len(), 6);
        drop(there);
        waiters.tell(&Ok(()));
        for one in &mut alone {
            assert_eq!(poll(one, Waker::noop()), Poll::Ready(Ok(())));
        }
        for one in &mut gone {
            assert_eq!(poll(one, Waker::noop()), Poll::Ready(Ok(())));
        }
        assert!(those.iter_mut().all(|one| poll(one, Waker::noop()).is_pending()));
        drop(here);
        for one in &mut those {
            assert_eq!(poll(one, Waker::noop()), Poll::Ready(Ok(())));
        }
        let mut forgotten = Box::pin(Waiters::default().enter().end());
        assert_eq!(
            poll(&mut forgotten, Waker::noop()),
            Poll::Ready(Err(LedgerError::Closed))
        );
    }
}
