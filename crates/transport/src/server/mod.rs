//! The side towards MCP clients: [`HttpServer`] (Streamable HTTP, every revision of it on one endpoint) and [`serve_stdio`].
//! It frames, routes, limits and writes; what a message means and who may send it is the [`Handler`]'s matter, and no
//! JSON-RPC result or error is made here: what the door refuses goes to the handler too, and comes back sealed.

mod body;
mod connection;
mod door;
mod http;
mod intake;
mod rarely;
mod socket;
mod stdio;
mod streams;

pub use connection::HttpServer;
pub use stdio::{OwnStdio, SESSION as STDIO_SESSION, StdioEnd, StdioOptions, serve_stdio};

use crate::inbound::Doorkeeper;
use crate::tls::ServerTls;
use std::sync::Arc;
use std::time::Duration;

/// How an [`HttpServer`] behaves.
#[derive(Clone, Default)]
pub struct Options {
    /// Threads that serve connections, each with a runtime of its own; 0 for one per core.
    pub threads: usize,
    /// Bounds of the transport.
    pub limits: ServerLimits,
    /// Bounds of one message.
    pub message_limits: portcullis_wire::Limits,
    /// `Host` values let in besides loopback names and the addresses listened on: a name for any port, or `name:port`.
    pub hosts: Vec<String>,
    /// `Origin` values let in besides loopback ones: `scheme://host[:port]`.
    pub origins: Vec<String>,
    /// Certificate and key; plain HTTP without.
    pub tls: Option<Arc<ServerTls>>,
    /// Answers `/readyz`: `Err` says what is not ready.
    pub ready: Option<Arc<Readiness>>,
    /// Says who sends a body before much of it is taken. Without one, callers are told apart by their address.
    pub doorkeeper: Option<Arc<Doorkeeper>>,
}

/// Whether the process can serve now; `Err` with the reason where not.
pub type Readiness = dyn Fn() -> Result<(), String> + Send + Sync;

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("threads", &self.threads)
            .field("limits", &self.limits)
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// Bounds on what clients may make the server hold, and for how long. The one table of them; message sizes stand in
/// [`portcullis_wire::Limits`].
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Connections open at once; further ones are answered 503 and closed.
    pub connections_max: usize,
    /// HTTP/2: requests open at once on one connection.
    pub requests_per_connection_max: u32,
    /// Request line and headers together, in bytes; 431 beyond. At least 8 KiB.
    pub header_bytes_max: usize,
    /// Request bodies held at once over all connections, in bytes; 503 beyond. An eighth of it is kept for callers who hold no
    /// more than `body_unasked_bytes_max`.
    pub bodies_bytes_max: usize,
    /// A body up to this size is read before it is known who sends it, in bytes: most messages are no longer, and who sends
    /// them is found out with the message.
    pub body_unasked_bytes_max: usize,
    /// With more than this held, in bytes, it must be known of every further body. So much is all that strangers can take.
    pub bodies_unasked_bytes_max: usize,
    /// Of that which is held beyond, or of larger bodies, one caller may have so much, in bytes, and at least one message; 429
    /// beyond. Nor may it have more than what that leaves free of all but the eighth for small ones; 503 beyond.
    pub bodies_bytes_per_caller_max: usize,
    /// TLS handshake, and request line with headers from their first byte. Looked at once in this time, so that up to twice
    /// as much may pass.
    pub header_timeout: Duration,
    /// Request body from the end of the headers; 408 beyond.
    pub body_timeout: Duration,
    /// A client that reads nothing of what waits for it is disconnected after this.
    pub write_timeout: Duration,
    /// A connection without a request is closed after this.
    pub idle_timeout: Duration,
    /// An event stream on which nothing happens gets a comment this often.
    pub keep_alive: Duration,
    /// A request without an answer for so long is answered with an event stream, which comments can keep alive.
    pub stream_after: Duration,
    /// The same for a request whose stream the client can resume (2025-11-25 in a session): soon, since an answer on a lost
    /// connection that is no stream is lost.
    pub resumable_after: Duration,
    /// What clients are told to wait before they resume a stream.
    pub retry: Duration,
    /// A legacy session id, in bytes.
    pub session_id_bytes_max: usize,
    /// Streams of one legacy session that can be resumed at once; further ones are served without event ids.
    pub streams_per_session_max: usize,
    /// Events kept of one stream for who resumes it.
    pub replay_events_max: usize,
    /// Their size, in bytes.
    pub replay_bytes_max: usize,
    /// The size of all kept events of all sessions, in bytes; beyond, nothing is kept that was delivered.
    pub replay_total_bytes_max: usize,
    /// How long the stream of an answered request can be resumed.
    pub replay_for: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            requests_per_connection_max: 128,
            header_bytes_max: 32 << 10,
            bodies_bytes_max: 256 << 20,
            body_unasked_bytes_max: 64 << 10,
            bodies_unasked_bytes_max: 64 << 20,
            bodies_bytes_per_caller_max: 64 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            keep_alive: Duration::from_secs(15),
            stream_after: Duration::from_secs(10),
            resumable_after: Duration::from_millis(200),
            retry: Duration::from_secs(1),
            session_id_bytes_max: 2 << 10,
            streams_per_session_max: 32,
            replay_events_max: 1_024,
            replay_bytes_max: 1 << 20,
            replay_total_bytes_max: 128 << 20,
            replay_for: Duration::from_secs(300),
        }
    }
}

/// What a server has done and holds, for `status` and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Connections open now.
    pub connections_open: usize,
    /// Connections taken since the start.
    pub connections_accepted: u64,
    /// Connections turned away because there were too many.
    pub connections_refused: u64,
    /// HTTP requests since the start.
    pub requests: u64,
    /// Legacy sessions that have a standing stream here.
    pub sessions: usize,
    /// Request bodies held now, in bytes.
    pub bodies_bytes: usize,
    /// Events kept for resumption now, in bytes.
    pub replay_bytes: usize,
}

/// The life of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Takes connections.
    Serving,
    /// Takes none, and ends those that it has, by force at the given time.
    Draining(tokio::time::Instant),
}
