//! What may be written to a client, and the way to one stream of it: a queue between the gateway and the transport that writes.
//! Every request has one and most never need it, so that until something is written it is one small allocation. Must not know
//! what the messages say.

use portcullis_ledger::Sealed;
use portcullis_wire::Rope;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// A reply as the transport writes it.
#[derive(Debug)]
pub struct Reply {
    /// The JSON-RPC message.
    pub message: Rope,
    /// HTTP status where the answer is a single JSON body.
    pub status: u16,
    /// A legacy session that begins with this reply, for `Mcp-Session-Id`.
    pub session: Option<Arc<str>>,
    /// Whether the request is over with this message. `false` when it is a question of a legacy server: it goes out on the
    /// same stream, which stays open; what follows comes through the request's [`Outlet`].
    pub last: bool,
}

/// One thing to write on a stream.
#[derive(Debug)]
pub enum Delivery {
    /// A notification for the client, in order.
    News(Rope),
    /// A reply to the request whose outlet this is, sealed: a further question, or the end.
    Reply(Sealed<Reply>),
}

/// The way to one stream of a client. Made by a transport, carried by [`Inbound`](crate::Inbound). Only the gateway's `screen`
/// may write news to it (it makes a sink of it) and only its `pipeline` sealed replies; a tidy test holds the callers to that.
#[derive(Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
}

/// The end of an outlet from which a transport takes what it writes.
#[derive(Debug)]
pub struct OutletEnd {
    shared: Arc<Shared>,
}

/// The client is gone or the stream is full beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client's stream is closed")]
pub struct OutletClosed;

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Told once for each delivery that is taken out.
    room: Notify,
    /// Told when the end is gone.
    gone: Notify,
}

#[derive(Debug)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    /// How many outlets there are that could still write.
    outlets: usize,
    end_is_gone: bool,
    /// Whoever waits at the end.
    reader: Option<Waker>,
}

/// Why a delivery was not queued.
enum Unqueued {
    Full(Delivery),
    Closed,
}

impl Outlet {
    /// Deliveries that may wait in one outlet before the sender has to.
    pub const QUEUE_MAX: usize = 64;

    /// An outlet and its receiving end.
    #[must_use]
    pub fn channel() -> (Self, OutletEnd) {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                deliveries: VecDeque::new(),
                outlets: 1,
                end_is_gone: false,
                reader: None,
            }),
            room: Notify::new(),
            gone: Notify::new(),
        });
        let end = OutletEnd {
            shared: Arc::clone(&shared),
        };
        (Self { shared }, end)
    }

    /// Writes screened news; waits for room, so that a slow client slows the server and nothing is lost.
    ///
    /// # Errors
    /// [`OutletClosed`].
    pub async fn danger_news(&self, message: Rope) -> Result<(), OutletClosed> {
        self.write(Delivery::News(message)).await
    }

    /// Writes screened news if there is room now: for standalone messages, where nobody may wait for a client that does not
    /// read.
    ///
    /// # Errors
    /// [`OutletClosed`] also when the queue is full.
    pub fn danger_try_news(&self, message: Rope) -> Result<(), OutletClosed> {
        self.shared.put(Delivery::News(message)).map_err(|_| OutletClosed)
    }

    /// Delivers a sealed reply to the stream of the request that it answers.
    ///
    /// # Errors
    /// [`OutletClosed`].
    pub async fn reply(&self, reply: Sealed<Reply>) -> Result<(), OutletClosed> {
        self.write(Delivery::Reply(reply)).await
    }

    /// Whether the client's end is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().end_is_gone
    }

    /// Waits until the client's end is gone.
    pub async fn closed(&self) {
        // Asked for before the look: an end that goes between the two is noticed.
        let gone = self.shared.gone.notified();
        if !self.is_closed() {
            gone.await;
        }
    }

    async fn write(&self, delivery: Delivery) -> Result<(), OutletClosed> {
        let mut delivery = delivery;
        loop {
            // Asked for before the look, as above.
            let room = self.shared.room.notified();
            match self.shared.put(delivery) {
                Ok(()) => return Ok(()),
                Err(Unqueued::Closed) => return Err(OutletClosed),
                Err(Unqueued::Full(back)) => delivery = back,
            }
            room.await;
        }
    }
}

impl Clone for Outlet {
    fn clone(&self) -> Self {
        self.shared.lock().outlets += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.outlets -= 1;
        // The last one out tells the end that nothing follows.
        let reader = match queue.outlets {
            0 => queue.reader.take(),
            _ => None,
        };
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl OutletEnd {
    /// What is next, in the order in which it was written; `None` when all was taken and no outlet is left.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.shared.take(Some(context.waker()))
    }

    /// As [`OutletEnd::poll_next`], but nobody is woken by what comes later.
    pub(crate) fn look(&mut self) -> Poll<Option<Delivery>> {
        self.shared.take(None)
    }

    /// See [`OutletEnd::poll_next`]. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.poll_next(context)).await
    }
}

impl Drop for OutletEnd {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.end_is_gone = true;
        queue.reader = None;
        let unread = std::mem::take(&mut queue.deliveries);
        drop(queue);
        // Outside of the lock: what is in there may hold whatever it likes.
        drop(unread);
        self.shared.room.notify_waiters();
        self.shared.gone.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, delivery: Delivery) -> Result<(), Unqueued> {
        let mut queue = self.lock();
        if queue.end_is_gone {
            return Err(Unqueued::Closed);
        }
        if queue.deliveries.len() >= Outlet::QUEUE_MAX {
            return Err(Unqueued::Full(delivery));
        }
        queue.deliveries.push_back(delivery);
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    fn take(&self, waker: Option<&Waker>) -> Poll<Option<Delivery>> {
        let mut queue = self.lock();
        if let Some(delivery) = queue.deliveries.pop_front() {
            drop(queue);
            self.room.notify_one();
            return Poll::Ready(Some(delivery));
        }
        if queue.outlets == 0 {
            return Poll::Ready(None);
        }
        if let Some(waker) = waker
            && !queue.reader.as_ref().is_some_and(|reader| reader.will_wake(waker))
        {
            queue.reader = Some(waker.clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
#[path = "outlet_tests.rs"]
mod tests;
