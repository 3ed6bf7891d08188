//! The sending end of [`Connected::strays`](crate::upstream::Connected): bounded, and it never holds a connection up. When
//! nobody reads, list changes coalesce (one of a kind says all), and everything else is dropped with a warning. Must not know
//! where the messages come from.

use crate::upstream::Stray;
use portcullis_wire::{Id, Method, Notification, Request};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Messages that may wait for a reader.
const WAITING_MAX: usize = 256;

/// Hands out messages that belong to no request.
#[derive(Debug, Clone)]
pub(super) struct Strays {
    server: Arc<str>,
    sender: mpsc::Sender<Stray>,
    overflow: Arc<Mutex<Overflow>>,
}

/// What did not fit and must not be lost: at most one list change of each kind and the end.
#[derive(Debug, Default)]
struct Overflow {
    changes: Vec<Notification>,
    gone: Option<String>,
    flushing: bool,
    dropped: u64,
}

impl Strays {
    /// A channel for the connection to `server`.
    pub(super) fn new(server: &str) -> (Self, mpsc::Receiver<Stray>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let strays = Self {
            server: server.into(),
            sender,
            overflow: Arc::default(),
        };
        (strays, receiver)
    }

    /// A notification.
    pub(super) fn news(&self, news: Notification) {
        let Err(TrySendError::Full(Stray::News(news))) = self.sender.try_send(Stray::News(news)) else {
            return;
        };
        let mut overflow = self.lock();
        if is_list_change(news.method()) {
            overflow.changes.retain(|waiting| waiting.method() != news.method());
            overflow.changes.push(news);
            self.flush_later(overflow);
        } else {
            overflow.dropped += 1;
            // The first of each power of two, so that a flood does not flood the log.
            if overflow.dropped.is_power_of_two() {
                tracing::warn!(server = %self.server, dropped = overflow.dropped, "nobody reads the messages of this server; dropping them");
            }
        }
    }

    /// A request of the server. Its id comes back when there is no room or no reader, for it needs an answer.
    pub(super) fn question(&self, question: Request) -> Result<(), Id> {
        let id = question.id().clone();
        self.sender.try_send(Stray::Question(question)).map_err(|_| id)
    }

    /// The end of the connection.
    pub(super) fn gone(&self, detail: String) {
        if let Err(TrySendError::Full(Stray::Gone(detail))) = self.sender.try_send(Stray::Gone(detail)) {
            let mut overflow = self.lock();
            overflow.gone = Some(detail);
            self.flush_later(overflow);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Overflow> {
        self.overflow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush_later(&self, mut overflow: MutexGuard<'_, Overflow>) {
        if !overflow.flushing
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            overflow.flushing = true;
            runtime.spawn(self.clone().flush());
        }
    }

    async fn flush(self) {
        loop {
            let Ok(room) = self.sender.reserve().await else {
                return;
            };
            let mut overflow = self.lock();
            let next = match overflow.changes.is_empty() {
                false => Some(Stray::News(overflow.changes.remove(0))),
                true => overflow.gone.take().map(Stray::Gone),
            };
            match next {
                Some(stray) => room.send(stray),
                None => {
                    overflow.flushing = false;
                    return;
                }
            }
        }
    }
}

/// Whether one such notification says as much as many.
fn is_list_change(method: &Method) -> bool {
    matches!(
        method,
        Method::ToolsListChanged | Method::PromptsListChanged | Method::ResourcesListChanged | Method::RootsListChanged
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(method: Method) -> Notification {
        Notification::own(&method, None).unwrap()
    }

    #[tokio::test]
    async fn list_changes_coalesce_and_the_end_comes_last() {
        let (strays, mut receiver) = Strays::new("files");
        for _ in 0..WAITING_MAX {
            strays.news(news(Method::LogMessage));
        }
        for _ in 0..1000 {
            strays.news(news(Method::ToolsListChanged));
            strays.news(news(Method::LogMessage));
            strays.news(news(Method::PromptsListChanged));
        }
        strays.gone("over".into());
        drop(strays);
        let mut last = Vec::new();
        for index in 0.. {
            match receiver.recv().await {
                Some(_) if index < WAITING_MAX => {}
                Some(Stray::News(news)) => last.push(news.method().as_str().to_owned()),
                Some(Stray::Gone(detail)) => last.push(detail),
                Some(Stray::Question(_)) => panic!("nobody asked"),
                None => break,
            }
        }
        assert_eq!(
            last,
            [
                "notifications/tools/list_changed",
                "notifications/prompts/list_changed",
                "over"
            ]
        );
    }

    #[tokio::test]
    async fn a_question_without_room_or_reader_comes_back() {
        let ask = || Request::own(&Id::number(1), &Method::RootsList, None).unwrap();
        let (strays, receiver) = Strays::new("files");
        for _ in 0..WAITING_MAX {
            strays.question(ask()).unwrap();
        }
        assert!(strays.question(ask()).is_err());
        drop(receiver);
        assert!(strays.question(ask()).is_err());
    }
}
