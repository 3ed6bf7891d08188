//! Which era a server speaks: the first messages of a connection and how their answers are read, by the table in
//! 2026-07-28, basic/versioning ("Backward Compatibility"). Pure but for the cache; the transports do the sending.

use super::body::excerpt;
use super::strays::Strays;
use crate::upstream::{Eras, Event, Exchange, Hello, UpstreamError};
use portcullis_wire::json::{Kind, Raw, string};
use portcullis_wire::{
    Era, Id, Method, Notification, Outcome, Request, Response, Revision, Rope, RpcError, error, meta,
};
use std::sync::atomic::{AtomicU8, Ordering};

/// The id of `initialize`. The gateway mints from 1.
pub(super) const INITIALIZE_ID: u64 = 0;
/// The id of `server/discover`: the largest integer that every peer can hold, so that it never meets one of the gateway's.
pub(super) const DISCOVER_ID: u64 = (1 << 53) - 1;

/// What is known of a server's era; shared by all connections to it. The era belongs to the server, so it is kept until it
/// proves wrong.
#[derive(Debug, Default)]
pub(super) struct EraCache(AtomicU8);

impl EraCache {
    pub(super) fn settled(&self) -> Option<Era> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(Era::Legacy),
            2 => Some(Era::Modern),
            _ => None,
        }
    }

    pub(super) fn settle(&self, era: Era) {
        let era = match era {
            Era::Legacy => 1,
            Era::Modern => 2,
        };
        self.0.store(era, Ordering::Relaxed);
    }

    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What to send first, and whether the other may follow when that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// `server/discover`, then perhaps `initialize`.
    Discover { may_fall_back: bool },
    /// `initialize`, then perhaps `server/discover`: the cache may be wrong.
    Initialize { may_probe: bool },
}

impl Opening {
    pub(super) const fn new(eras: Eras, settled: Option<Era>) -> Self {
        match (eras, settled) {
            (Eras::Modern, _) => Self::Discover { may_fall_back: false },
            (Eras::Legacy, _) => Self::Initialize { may_probe: false },
            (Eras::Probe, Some(Era::Legacy)) => Self::Initialize { may_probe: true },
            (Eras::Probe, Some(Era::Modern) | None) => Self::Discover { may_fall_back: true },
        }
    }
}

/// What an answer to `server/discover` says.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It speaks 2026-07-28. The greeting is the `DiscoverResult`, or `{}` when the server refused to give one.
    Modern(Raw),
    /// It does not; `initialize` should offer this revision.
    Legacy { offer: Revision, why: String },
    /// It named its revisions, and there is none of ours among them.
    Neither(String),
}

/// Reads the answer to `server/discover`. `http_status` is that of its response, over HTTP.
pub(super) fn judge(answer: &Response, http_status: Option<u16>, hello: &Hello) -> Verdict {
    let legacy = |why: String| Verdict::Legacy {
        offer: hello.legacy_revision,
        why,
    };
    match answer.outcome() {
        Outcome::Result(result) => match result.get("supportedVersions") {
            Some(versions) if versions.kind() == Kind::Array => by_versions(&versions, hello, Some(result)),
            _ => legacy("`server/discover` was answered with something else than a `DiscoverResult`".to_owned()),
        },
        Outcome::Error(said) => match (RpcError::code_of(said), http_status) {
            (Some(error::UNSUPPORTED_VERSION), _) => match said.at(&["data", "supported"]) {
                Some(versions) if versions.kind() == Kind::Array => by_versions(&versions, hello, None),
                _ => Verdict::Neither(describe(said)),
            },
            (Some(error::HEADER_MISMATCH | error::MISSING_CLIENT_CAPABILITY), _)
            | (Some(error::METHOD_NOT_FOUND), Some(404)) => modern(None),
            _ => legacy(format!("`server/discover` was answered with {}", describe(said))),
        },
    }
}

fn by_versions(versions: &Raw, hello: &Hello, greeting: Option<&Raw>) -> Verdict {
    let elements = versions.elements();
    let known = elements
        .iter()
        .filter_map(|version| version.as_string()?.parse::<Revision>().ok());
    let (mut speaks_modern, mut offer) = (false, None);
    for revision in known {
        match revision.era() {
            Era::Modern => speaks_modern = true,
            Era::Legacy if revision <= hello.legacy_revision => offer = offer.max(Some(revision)),
            Era::Legacy => {}
        }
    }
    match (speaks_modern, offer) {
        (true, _) => modern(greeting),
        (false, Some(offer)) => Verdict::Legacy {
            offer,
            why: format!("the server speaks {}", excerpt(versions.as_bytes())),
        },
        (false, None) => Verdict::Neither(format!(
            "we offered {} and {}, the server speaks {}",
            Revision::NEWEST,
            hello.legacy_revision,
            excerpt(versions.as_bytes())
        )),
    }
}

/// `code` and `message` of an `error` object, for a person.
pub(super) fn describe(error: &Raw) -> String {
    let code = RpcError::code_of(error).map_or_else(|| "no code".to_owned(), |code| code.to_string());
    let message = error.get("message");
    let message = message.as_ref().and_then(Raw::as_string).unwrap_or_default();
    format!("error {code}: {}", excerpt(message.as_bytes()))
}

fn modern(greeting: Option<&Raw>) -> Verdict {
    match greeting.map_or_else(|| Raw::own("{}"), |greeting| Ok(greeting.clone())) {
        Ok(greeting) => Verdict::Modern(greeting),
        Err(error) => Verdict::Neither(error.to_string()),
    }
}

/// The text of `server/discover`.
pub(super) fn discover(hello: &Hello) -> Rope {
    let mut params = br#"{"_meta":{"#.to_vec();
    let mut member = |key: &str, value: &[u8], last: bool| {
        params.extend_from_slice(&string(key));
        params.push(b':');
        params.extend_from_slice(value);
        params.extend_from_slice(if last { b"}}" } else { b"," });
    };
    member(meta::PROTOCOL_VERSION, &string(Revision::NEWEST.as_str()), false);
    member(meta::CLIENT_CAPABILITIES, hello.capabilities.as_bytes(), false);
    member(meta::CLIENT_INFO, hello.client_info.as_bytes(), true);
    request(DISCOVER_ID, &Method::ServerDiscover, &params)
}

/// The text of `initialize`.
pub(super) fn initialize(hello: &Hello, offer: Revision) -> Rope {
    let mut params = br#"{"protocolVersion":"#.to_vec();
    params.extend_from_slice(&string(offer.as_str()));
    params.extend_from_slice(br#","capabilities":"#);
    params.extend_from_slice(hello.capabilities.as_bytes());
    params.extend_from_slice(br#","clientInfo":"#);
    params.extend_from_slice(hello.client_info.as_bytes());
    params.push(b'}');
    request(INITIALIZE_ID, &Method::Initialize, &params)
}

fn request(id: u64, method: &Method, params: &[u8]) -> Rope {
    let mut text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"#).into_bytes();
    text.extend_from_slice(&string(method.as_str()));
    text.extend_from_slice(br#","params":"#);
    text.extend_from_slice(params);
    text.push(b'}');
    Rope::one(text)
}

/// The text of `notifications/initialized`.
pub(super) fn initialized() -> Rope {
    Rope::one(&br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#[..])
}

/// The text of `notifications/cancelled` for a request of ours.
pub(super) fn cancelled(id: u64) -> Rope {
    Rope::one(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"no longer wanted"}}}}"#
    ))
}

/// The text of an empty result, the answer to `ping`.
pub(super) fn pong(id: &Id) -> Rope {
    Response::own_result(id, b"{}")
}

/// The text of the answer to a question that found nobody to take it.
pub(super) fn nobody(id: &Id) -> Rope {
    let error = RpcError::new(
        error::INTERNAL,
        "the client cannot take this request now, hint: tie it to a request of the client",
    );
    Rope::one(error.to_message(Some(id), Era::Legacy))
}

/// Reads the answer to `initialize`.
///
/// # Errors
/// [`UpstreamError::Revision`] when the versions do not meet, [`UpstreamError::Garbage`] when the server refused or the result
/// is none.
pub(super) fn read_initialize(answer: &Response, offer: Revision) -> Result<(Revision, Raw), UpstreamError> {
    let result = match answer.outcome() {
        Outcome::Result(result) => result,
        Outcome::Error(said) => {
            let detail = format!("`initialize` was answered with {}", describe(said));
            return Err(match RpcError::code_of(said) {
                Some(error::UNSUPPORTED_VERSION) => UpstreamError::Revision { detail },
                _ => UpstreamError::Garbage { detail },
            });
        }
    };
    let version = result.get("protocolVersion");
    let Some(version) = version.as_ref().and_then(Raw::as_string) else {
        return Err(UpstreamError::Garbage {
            detail: "the answer to `initialize` has no `protocolVersion`".to_owned(),
        });
    };
    let revision = version.parse::<Revision>().ok();
    match revision.filter(|revision| revision.era() == Era::Legacy) {
        Some(revision) => Ok((revision, result.clone())),
        None => Err(UpstreamError::Revision {
            detail: format!(
                "we offered {offer}, the server answered `{}`",
                excerpt(version.as_bytes())
            ),
        }),
    }
}

/// Whether a failed `initialize` may mean that the server has become modern since the cache was written.
pub(super) const fn may_be_modern(error: &UpstreamError) -> bool {
    matches!(
        error,
        UpstreamError::Revision { .. }
            | UpstreamError::Garbage { .. }
            | UpstreamError::SessionEnded
            | UpstreamError::Status { status: 400..=499, .. }
    )
}

/// Waits for the answer of the handshake; whatever else comes meanwhile belongs to nobody's request.
///
/// # Errors
/// As [`Exchange::next`].
pub(super) async fn answer(exchange: &mut Exchange, strays: &Strays) -> Result<Response, UpstreamError> {
    loop {
        match exchange.next().await? {
            Event::Answer(answer) => return Ok(*answer),
            Event::News(news) => strays.news(news),
            // Before the handshake is over a server should ask for nothing but `ping`, which is answered below us.
            Event::Question(question) => drop(strays.question(*question)),
        }
    }
}

/// What a notification or request of the server is about, where it says so.
pub(super) fn progress_token(news: &Notification) -> Option<u64> {
    number(&news.params()?.get("progressToken")?)
}

/// The listen request that a notification belongs to (2026-07-28).
pub(super) fn subscription(news: &Notification) -> Option<u64> {
    number(&meta::meta(news.params())?.get(meta::SUBSCRIPTION_ID)?)
}

/// The request that a `notifications/cancelled` is about.
pub(super) fn cancelled_request(news: &Notification) -> Option<u64> {
    number(&news.params()?.get("requestId")?)
}

fn number(raw: &Raw) -> Option<u64> {
    u64::try_from(raw.as_i64()?).ok()
}

/// Whether the link answers by itself.
pub(super) fn is_ping(question: &Request) -> bool {
    *question.method() == Method::Ping
}
