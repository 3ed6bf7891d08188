//! One call's cancellation: set once, seen by whoever waits.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Set when the client no longer wants the answer.
#[derive(Debug, Default)]
pub(crate) struct Cancel {
    set: AtomicBool,
    notify: Notify,
}

impl Cancel {
    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Waits until it is set.
    pub(crate) async fn wait(&self) {
        loop {
            // Registered before the look, so that a set between the two is not missed.
            let notified = self.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.is_set() {
                return;
            }
            notified.await;
        }
    }
}
