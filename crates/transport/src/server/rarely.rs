//! A future that is polled only when it was woken, in a task that is woken much more often for other reasons: what watches a
//! connection has something to do once in seconds, the connection's task many times for each request. Must not know what is
//! waited for.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// The future, with a waker of its own.
pub(super) struct Rarely<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
    /// The task that `bell` wakes.
    task: Waker,
}

struct Bell {
    rung: AtomicBool,
    task: Mutex<Waker>,
}

impl<F: Future> Rarely<F> {
    pub(super) fn new(future: F) -> Self {
        let bell = Arc::new(Bell {
            // The first poll is not a matter of waking.
            rung: AtomicBool::new(true),
            task: Mutex::new(Waker::noop().clone()),
        });
        Self {
            future: Box::pin(future),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            task: Waker::noop().clone(),
        }
    }
}

impl<F: Future> Future for Rarely<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if !this.task.will_wake(context.waker()) {
            this.task.clone_from(context.waker());
            // Before the bell is looked at: who rings it later finds this task.
            *this.bell.task.lock().unwrap_or_else(PoisonError::into_inner) = this.task.clone();
        }
        // A plain read first, for it is all that there is to do nearly always.
        if !this.bell.rung.load(Ordering::Acquire) || !this.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        this.future.as_mut().poll(&mut Context::from_waker(&this.waker))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_is_polled_once_and_then_when_it_was_woken() {
        let (sender, receiver) = oneshot::channel::<()>();
        let polls = AtomicUsize::new(0);
        let mut receiver = Box::pin(receiver);
        let mut rarely = Rarely::new(std::future::poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            receiver.as_mut().poll(context)
        }));
        let tasks: Vec<_> = (0..2).map(|_| Arc::new(Woken::default())).collect();
        let wakers: Vec<_> = tasks.iter().map(|task| Waker::from(Arc::clone(task))).collect();
        for waker in [&wakers[0], &wakers[0], &wakers[1]] {
            let mut context = Context::from_waker(waker);
            assert!(Pin::new(&mut rarely).poll(&mut context).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        sender.send(()).unwrap();
        let woken = tasks.iter().map(|task| task.0.load(Ordering::Relaxed));
        assert_eq!(woken.collect::<Vec<_>>(), [0, 1], "the task that polled last");
        let mut context = Context::from_waker(&wakers[1]);
        assert!(Pin::new(&mut rarely).poll(&mut context).is_ready());
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }
}
