//! The side towards MCP servers: how each is reached ([`Target`]), and a connection to it as an
//! [`Upstream`](crate::upstream::Upstream), whatever carries the bytes. Settles the era of a server and keeps it. Must not
//! know who asks, nor what a message means; whether and when to connect again is the gateway's matter.
//!
//! Request ids 0 and 2^53 - 1 are the handshake's.

mod body;
mod era;
mod garbage;
mod http;
mod local;
mod pool;
mod stdio;
mod strays;
mod stream;
mod target;
mod tls;

use crate::upstream::{Connected, Hello, Server, UpstreamError};
use std::fmt;
use std::sync::Arc;

pub use pool::PoolLimits;
pub use target::{CommandTarget, HttpLimits, HttpOptions, HttpTarget, TargetError};
pub use tls::{ClientCertificate, TlsError, TlsOptions};

/// How to reach a server. Clones share what was learnt about it.
#[derive(Clone)]
pub enum Target {
    /// Over Streamable HTTP.
    Http(HttpTarget),
    /// As a child process.
    Command(CommandTarget),
    /// In this process.
    Local(Arc<dyn Server>),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(target) => target.fmt(f),
            Self::Command(target) => target.fmt(f),
            Self::Local(_) => f.write_str("Local"),
        }
    }
}

impl Target {
    /// What a process wrote since `begun` in place of a message while a connection was opened, in quotes and bounded: the last such
    /// line. For the operator alone.
    #[must_use]
    pub fn garbage_since(&self, begun: std::time::Instant) -> Option<String> {
        match self {
            Self::Command(target) => target.opening_garbage.since(begun),
            Self::Http(_) | Self::Local(_) => None,
        }
    }

    /// Opens a connection (in the legacy era: a session), after settling the era. Bounded in time by the target's own limits.
    ///
    /// # Errors
    /// [`UpstreamError::Connect`] when nobody is there, [`UpstreamError::Revision`] when no revision is common, and whatever
    /// else the server answered in place of a greeting.
    pub async fn connect(&self, hello: &Hello) -> Result<Connected, UpstreamError> {
        match self {
            Self::Http(target) => http::connect(&target.place, hello).await,
            Self::Command(target) => stdio::connect(target, hello).await,
            Self::Local(server) => local::connect(server, hello),
        }
    }
}
