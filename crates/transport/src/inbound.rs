//! What a server-side transport hands to the gateway, and what it may write back: a [`Sealed`] reply, or what comes from an
//! [`Outlet`]. There is no other way out to a client.

use crate::outlet::{Outlet, Reply};
use crate::upstream::BoxFuture;
use portcullis_ledger::Sealed;
use portcullis_wire::message::Refused;
use portcullis_wire::meta::ModernMeta;
use portcullis_wire::{Id, Notification, Request, Response, Revision};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// One message (or HTTP act) of a client. Nothing in it is trusted yet.
#[derive(Debug)]
pub struct Inbound {
    /// Where it came from.
    pub peer: Peer,
    /// The value of the `Authorization` header, if there was exactly one. A secret.
    pub authorization: Option<Authorization>,
    /// Which virtual endpoint: empty for `/mcp`, else what follows `/mcp/`.
    pub endpoint: Arc<str>,
    /// `Mcp-Session-Id` as sent; legacy only. Behind stdio the transport's own constant session.
    pub session: Option<Arc<str>>,
    /// The revision that the transport read from the message (modern `_meta`, `initialize`) or its version header; a legacy
    /// message's own revision is the session's.
    pub revision: Revision,
    /// What the `_meta` of a modern request says, read and checked at the transport's door.
    pub meta: Option<ModernMeta>,
    /// Modern HTTP: the `Mcp-Param-*` headers as sent, full name in lower case and value undecoded, fit for
    /// `portcullis_wire::header::check`. Which of them a call must carry only the catalog knows.
    pub parameters: Vec<(String, Vec<u8>)>,
    /// When the message was read whole.
    pub received: Instant,
    /// What is asked.
    pub ask: Ask,
    /// Where news of this request and a legacy server's questions go.
    pub outlet: Outlet,
    /// With `initialize`: where messages outside any request will go for as long as the session lives. The transport keeps
    /// the receiving end; when the gateway drops the sending end, the session is over.
    pub standing: Option<Outlet>,
}

/// What a client wants.
#[derive(Debug)]
pub enum Ask {
    /// A request.
    Request(Request),
    /// A notification.
    Notification(Notification),
    /// The answer to a question that we asked (legacy).
    Response(Response),
    /// No message, or one that the transport refused at its door (envelope, revision, mirrored headers): to be answered with
    /// this error for the revision of the [`Inbound`], sealed like any other. Over HTTP `error.status` is always set.
    Refused(Refused),
    /// HTTP GET: wants to receive the session's standalone messages. Answered by [`Handled::Accepted`] when it may.
    OpenStream,
    /// HTTP DELETE: ends the session.
    CloseSession,
}

/// The value of an `Authorization` header. Never printed.
pub struct Authorization(Vec<u8>);

impl Authorization {
    /// Takes a header's value.
    #[must_use]
    pub fn new(value: &[u8]) -> Self {
        Self(value.to_vec())
    }

    /// The value, for the stage that authenticates.
    #[must_use]
    pub fn danger_secret(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorization(..)")
    }
}

/// The other end.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address; `None` behind stdio.
    pub address: Option<SocketAddr>,
    /// SHA-256 of its client certificate, when TLS asked for one and it was verified.
    pub certificate_sha256: Option<[u8; 32]>,
    /// Behind stdio: the user of the operating system that runs the host.
    pub os_user: Option<Arc<str>>,
}

/// How a message ended, for the transport to write.
#[derive(Debug)]
pub enum Handled {
    /// A reply that is on the record.
    Sealed(Sealed<Reply>),
    /// A notification or response was taken; HTTP 202.
    Accepted,
    /// Not authenticated; HTTP 401. No JSON-RPC result or error of a server in it.
    Unauthenticated(TurnedAway),
    /// The session id is unknown, expired or another principal's; HTTP 404.
    SessionGone,
    /// A legacy message without its session id; HTTP 400.
    SessionMissing,
}

/// Somebody who is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnedAway {
    /// Value of `WWW-Authenticate`.
    pub challenge: String,
    /// What to do, for the body.
    pub message: String,
}

/// What there is of a message before its body is read.
#[derive(Debug)]
pub struct Knock<'a> {
    /// Where it comes from.
    pub peer: &'a Peer,
    /// The value of the `Authorization` header, if there was exactly one. A secret.
    pub authorization: Option<&'a Authorization>,
}

/// Says who knocks: a name under which a caller's share of what all have in common is kept, or the refusal that the whole
/// message would meet, in the making. It must not block. To be let in here is no more than leave to send: the message is
/// authenticated as any.
pub type Doorkeeper = dyn Fn(&Knock<'_>) -> Result<Arc<str>, BoxFuture<'static, TurnedAway>> + Send + Sync;

/// The one function through which a transport reaches the gateway.
pub type Handler = dyn Fn(Box<Inbound>) -> BoxFuture<'static, Handled> + Send + Sync;

/// The id that a reply answers is only for logs; kept here so that transports need not parse.
#[must_use]
pub fn request_id(ask: &Ask) -> Option<&Id> {
    match ask {
        Ask::Request(request) => Some(request.id()),
        Ask::Refused(refused) => refused.id.as_ref(),
        _ => None,
    }
}
