//! What the gateway knows of a server: something that takes MCP messages and gives events back. How the bytes travel is
//! `client`'s matter; what a message means is the gateway's.

use portcullis_wire::{Message, Method, Notification, Raw, Request, Response, Revision, Rope};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A live connection (in the legacy era: one session) to an MCP server, over whatever transport. The era was settled when
/// it was made ([`Connected`]); a connection never changes it.
///
/// Contract: requests may be concurrent; events of one exchange keep the order in which the server sent them; dropping an
/// [`Exchange`] before its answer cancels the request (HTTP modern: the stream is closed; stdio and legacy HTTP:
/// `notifications/cancelled` is sent), and a late answer is discarded.
pub trait Upstream: Send + Sync {
    /// Sends a request. Returns when the message is written; what comes back is read from the exchange.
    fn request(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Exchange, UpstreamError>>;

    /// Sends a notification, or the response to a question of the server.
    fn tell(&self, message: Rope) -> BoxFuture<'_, Result<(), UpstreamError>>;

    /// Ends the connection: DELETE for a legacy HTTP session, closed stdin and a grace period for a process.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// Whether it can still carry a request.
    fn is_alive(&self) -> bool;

    /// What came since `begun` in the place of a message and was passed over, in quotes and bounded: the last line of it. For the
    /// operator alone.
    fn garbage_since(&self, _begun: Instant) -> Option<String> {
        None
    }
}

/// A request on its way to a server. Ids are of this hop: the gateway mints them, unique in the process, and uses the same
/// number as the progress token.
#[derive(Debug)]
pub struct Outgoing {
    /// The id that `message` carries: from 1 up to 2^53 - 2. (0 and 2^53 - 1 are the handshake's own, see `client`.)
    pub id: u64,
    /// The method that `message` carries, for the mirrored headers.
    pub method: Method,
    /// The value that `Mcp-Name` mirrors, decoded; modern HTTP only.
    pub name: Option<String>,
    /// Further mirrored headers (`Mcp-Param-*`), name and encoded value; modern HTTP only.
    pub parameters: Vec<(String, String)>,
    /// The text of the message.
    pub message: Rope,
}

/// What a server sends in the course of one request.
#[derive(Debug)]
pub enum Event {
    /// Progress, a log message, any notification on this request's stream.
    News(Notification),
    /// A request of the server to the client (legacy): elicitation, sampling, roots, ping.
    Question(Box<Request>),
    /// The end.
    Answer(Box<Response>),
}

/// The receiving end of one request.
#[derive(Debug)]
pub struct Exchange {
    source: Source,
    /// Told when the exchange is dropped before its answer, so that the connection can cancel.
    cancel: Option<CancelOnDrop>,
}

/// A stream of events that is read in place by whoever holds the exchange: no task and no channel between.
pub trait EventSource: Send {
    /// The next event; not called again after an answer or an error. Cancel safe: a dropped call loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Result<Event, UpstreamError>>;
}

/// Where the events of an exchange come from.
enum Source {
    /// The answer came with the head.
    Answered(Box<Response>),
    /// Somebody else reads the connection.
    Channel(mpsc::Receiver<Result<Event, UpstreamError>>),
    /// The exchange reads it itself.
    Direct(Box<dyn EventSource>),
    /// The answer or an error was given out.
    Ended,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Answered(_) => "Answered",
            Self::Channel(_) => "Channel",
            Self::Direct(_) => "Direct",
            Self::Ended => "Ended",
        })
    }
}

/// Runs its closure once, when dropped, unless disarmed.
pub struct CancelOnDrop(Option<Box<dyn FnOnce() + Send>>);

impl CancelOnDrop {
    /// Arms `cancel`.
    pub fn new(cancel: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(cancel)))
    }

    /// Drops the closure unrun.
    pub fn disarm(&mut self) {
        self.0 = None;
    }
}

impl std::fmt::Debug for CancelOnDrop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CancelOnDrop")
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancel) = self.0.take() {
            cancel();
        }
    }
}

impl Exchange {
    /// An exchange that reads `events`; `cancel` runs when it is dropped without having seen an answer.
    #[must_use]
    pub const fn new(events: mpsc::Receiver<Result<Event, UpstreamError>>, cancel: Option<CancelOnDrop>) -> Self {
        Self {
            source: Source::Channel(events),
            cancel,
        }
    }

    /// An exchange that polls `source` itself; `cancel` as in [`Exchange::new`].
    #[must_use]
    pub fn reading(source: Box<dyn EventSource>, cancel: Option<CancelOnDrop>) -> Self {
        Self {
            source: Source::Direct(source),
            cancel,
        }
    }

    /// An exchange whose answer is here already.
    #[must_use]
    pub const fn answered(response: Box<Response>) -> Self {
        Self {
            source: Source::Answered(response),
            cancel: None,
        }
    }

    /// The next event. After an answer or an error there is none. Cancel safe.
    ///
    /// # Errors
    /// Whatever ended the exchange, and [`UpstreamError::Closed`] when the server is gone without an answer.
    pub async fn next(&mut self) -> Result<Event, UpstreamError> {
        let event = match &mut self.source {
            Source::Answered(_) => match std::mem::replace(&mut self.source, Source::Ended) {
                Source::Answered(response) => Ok(Event::Answer(response)),
                _ => Err(ended()),
            },
            Source::Channel(events) => events.recv().await.unwrap_or_else(|| Err(ended())),
            Source::Direct(source) => source.next().await,
            Source::Ended => Err(ended()),
        };
        if matches!(event, Ok(Event::Answer(_)) | Err(_)) {
            self.source = Source::Ended;
            if let Some(cancel) = &mut self.cancel {
                cancel.disarm();
            }
        }
        event
    }
}

fn ended() -> UpstreamError {
    UpstreamError::Closed {
        detail: "the connection ended before the answer".to_owned(),
    }
}

/// A message of the server that belongs to no request of ours: list changes, resource updates, a legacy server's question
/// out of nowhere. Carried to whoever holds the connection.
#[derive(Debug)]
pub enum Stray {
    /// A notification.
    News(Notification),
    /// A request to the client.
    Question(Request),
    /// The connection is over; nothing follows.
    Gone(String),
}

/// What the gateway says when it opens a connection.
#[derive(Debug, Clone)]
pub struct Hello {
    /// Which eras may be tried.
    pub eras: Eras,
    /// Client capabilities, a JSON object; legacy: fixed for the session.
    pub capabilities: Raw,
    /// `clientInfo`, a JSON object.
    pub client_info: Raw,
    /// The newest legacy revision to offer in `initialize`.
    pub legacy_revision: Revision,
}

/// Which eras a connection may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eras {
    /// Probe for modern, fall back to legacy (PROTOCOL: era detection); the answer is cached with the target.
    Probe,
    /// Only `initialize`.
    Legacy,
    /// Only 2026-07-28.
    Modern,
}

/// A connection and what was settled when it was made.
pub struct Connected {
    /// The connection.
    pub link: Arc<dyn Upstream>,
    /// The revision spoken on it.
    pub revision: Revision,
    /// The server's `InitializeResult` (legacy) or `DiscoverResult` (modern), as it came.
    pub greeting: Raw,
    /// Messages outside any request. Bounded; when nobody reads, the oldest list changes coalesce or are dropped with a
    /// warning, and the connection does not stall.
    pub strays: mpsc::Receiver<Stray>,
}

/// Why a server could not be reached or did not behave. The text after the colon is for the operator's log and record; what
/// a client hears is the gateway's matter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// No connection: refused, name not resolved, TLS failed, program not found.
    #[error("cannot connect: {detail}")]
    Connect {
        /// What was tried and what the system said.
        detail: String,
    },
    /// The connection ended before the answer.
    #[error("connection closed: {detail}")]
    Closed {
        /// What is known, for a process with the last lines of its stderr.
        detail: String,
    },
    /// HTTP status that is no MCP answer.
    #[error("unexpected HTTP status {status}: {detail}")]
    Status {
        /// The status.
        status: u16,
        /// Start of the body, made printable.
        detail: String,
    },
    /// What came is no MCP message, or not the one expected.
    #[error("not a valid MCP message: {detail}")]
    Garbage {
        /// What is wrong, and where.
        detail: String,
    },
    /// A message, line, body or stream beyond its limit.
    #[error("too large: {detail}")]
    TooLarge {
        /// Which limit.
        detail: String,
    },
    /// Nothing came in time.
    #[error("no answer within {seconds} s")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// The legacy session is gone (HTTP 404): the request was not processed and may be sent in a new session.
    #[error("the session has ended")]
    SessionEnded,
    /// The server wants credentials or forbids (401, 403).
    #[error("the server refused our credentials: {detail}")]
    Unauthorized {
        /// Status and challenge.
        detail: String,
    },
    /// The server speaks no revision that we do.
    #[error("no common protocol revision: {detail}")]
    Revision {
        /// What was offered and answered.
        detail: String,
    },
}

/// An MCP server in this process. It speaks the newest revision, stateless; the adapter in `client::local` makes an
/// [`Upstream`] of it, and other eras are bridged as for anybody else.
pub trait Server: Send + Sync + 'static {
    /// The `result` of `server/discover`: `supportedVersions`, `capabilities`, and so on, as a JSON object.
    fn discover(&self) -> Raw;

    /// Answers one request (any method but `server/discover`) with its `result`, or an error. `news` takes notifications of
    /// this request, in order; it is closed when the caller is gone, and the future is dropped then.
    fn handle<'a>(
        &'a self,
        request: &'a Request,
        news: &'a mpsc::Sender<Notification>,
    ) -> BoxFuture<'a, Result<Raw, portcullis_wire::RpcError>>;
}

/// Turns what was received in an exchange for `id` into an event.
///
/// # Errors
/// [`UpstreamError::Garbage`] for an answer to another request.
pub fn event_of(message: Message, id: u64) -> Result<Event, UpstreamError> {
    match message {
        Message::Notification(notification) => Ok(Event::News(notification)),
        Message::Request(request) => Ok(Event::Question(Box::new(request))),
        Message::Response(response) => match response.id() {
            None => Ok(Event::Answer(Box::new(response))),
            Some(answered) if answered.as_u64() == Some(id) => Ok(Event::Answer(Box::new(response))),
            Some(answered) => Err(UpstreamError::Garbage {
                detail: format!("an answer to request {answered:?}, expected {id}"),
            }),
        },
    }
}
