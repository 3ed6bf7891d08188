//! The door of the HTTP and stdio servers: which place a path names, which hosts and origins are let in, what the headers of
//! a POST must say, and which era a message speaks. Pure functions over received text; nothing here knows a socket, a session
//! or what a method does.

use crate::inbound::Ask;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use portcullis_wire::error;
use portcullis_wire::header;
use portcullis_wire::message::Refused;
use portcullis_wire::meta::{self, ModernMeta};
use portcullis_wire::{Era, Id, Message, Method, Raw, Request, Revision, RpcError};

/// Version of the protocol (2025-06-18 on).
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Legacy session.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Mirrors `method` (2026-07-28).
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Mirrors the name, URI or task of a request (2026-07-28).
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Prefix of the headers that mirror annotated arguments (2026-07-28).
const PARAMETER_PREFIX: &str = "mcp-param-";

/// Longest name of a virtual endpoint, in bytes.
const ENDPOINT_BYTES_MAX: usize = 64;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// The MCP endpoint; the virtual endpoint's name is empty for `/mcp`.
    Mcp(&'a str),
    /// Liveness.
    Health,
    /// Readiness.
    Ready,
    /// Nothing.
    Nowhere,
}

/// Reads a path. Endpoint names are `[A-Za-z0-9_.-]{1,64}` as written: nothing is percent-decoded, so that no two spellings
/// name one endpoint.
pub(super) fn place(path: &str) -> Place<'_> {
    match path {
        "/mcp" | "/mcp/" => return Place::Mcp(""),
        "/healthz" => return Place::Health,
        "/readyz" => return Place::Ready,
        _ => {}
    }
    match path.strip_prefix("/mcp/") {
        Some(name) if is_endpoint(name) => Place::Mcp(name),
        _ => Place::Nowhere,
    }
}

fn is_endpoint(name: &str) -> bool {
    (1..=ENDPOINT_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        // A dot segment is a path to elsewhere, whatever a proxy in front makes of it.
        && !matches!(name, "." | "..")
}

/// Query parameters that look like a credential. A URL ends up in logs and histories, so a token there is burnt; MCP forbids it
/// (authorization, "Access Token Usage").
const CREDENTIAL_PARAMETERS: [&str; 14] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "authorization",
    "bearer",
    "id_token",
    "jwt",
    "key",
    "password",
    "secret",
    "token",
];

/// The first query parameter that looks like a credential, by its name.
pub(super) fn credential_in_query(query: &str) -> Option<&'static str> {
    query.split(['&', ';']).find_map(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_decoded_lower(name);
        CREDENTIAL_PARAMETERS.into_iter().find(|known| known.as_bytes() == name)
    })
}

fn percent_decoded_lower(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let decoded = match (byte, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => {
                        rest = after;
                        u8::try_from(high * 16 + low).unwrap_or(byte)
                    }
                    _ => byte,
                }
            }
            _ => byte,
        };
        out.push(decoded.to_ascii_lowercase());
    }
    out
}

/// Which `Host` and `Origin` values are let in: the defence against DNS rebinding (2025-11-25, transports, "Security
/// Warning").
#[derive(Debug)]
pub(super) struct Names {
    /// Lower case, with a port or for any port.
    hosts: Vec<String>,
    /// Lower case, `scheme://host[:port]`.
    origins: Vec<String>,
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Names {
    /// Loopback names are always in; `hosts` and `origins` come on top.
    pub(super) fn new(hosts: impl IntoIterator<Item = String>, origins: impl IntoIterator<Item = String>) -> Self {
        let lower = |text: String| text.to_ascii_lowercase();
        Self {
            hosts: hosts.into_iter().map(lower).collect(),
            origins: origins
                .into_iter()
                .map(|origin| lower(origin).trim_end_matches('/').to_owned())
                .collect(),
        }
    }

    /// Whether a `Host` value (or `:authority`) is one of ours.
    pub(super) fn host_allowed(&self, host: &str) -> bool {
        let Some(name) = host_name(host) else {
            return false;
        };
        LOOPBACK.iter().any(|known| name.eq_ignore_ascii_case(known))
            || self
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(host))
    }

    /// Whether an `Origin` value may call us.
    pub(super) fn origin_allowed(&self, origin: &str) -> bool {
        if self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        host.and_then(host_name)
            .is_some_and(|name| LOOPBACK.iter().any(|known| name.eq_ignore_ascii_case(known)))
    }
}

/// The name of `name[:port]`, brackets of an IPv6 address kept; `None` where it is neither.
fn host_name(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')? + 2;
            (host.get(..end)?, host.get(end..)?)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_fine = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    (port_is_fine && !name.is_empty()).then_some(name)
}

/// A header that came more than once where one is allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated;

/// The one value of a header, surrounding white space off (RFC 9110, 5.5).
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Repeated> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|value| value.as_bytes().trim_ascii());
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Repeated),
    }
}

/// Whether the body is declared as JSON in UTF-8.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Ok(Some(value)) = single(headers, &CONTENT_TYPE) else {
        return false;
    };
    if value == b"application/json" {
        return true;
    }
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

/// Whether the body is sent as it is, not compressed.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// A media type that an answer may have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Media {
    /// `application/json`
    Json,
    /// `text/event-stream`
    Events,
}

/// What `Accept` says where it says just what the protocol asks for, as the SDKs do.
const BOTH: &[u8] = b"application/json, text/event-stream";

/// Whether `Accept` admits both that an answer to a POST may be.
pub(super) fn accepts_both(headers: &HeaderMap) -> bool {
    // Read range by range only where it is written in another way.
    single(headers, &ACCEPT) == Ok(Some(BOTH)) || (accepts(headers, Media::Json) && accepts(headers, Media::Events))
}

/// Whether `Accept` admits `media`. Without the header anything is admitted (RFC 9110, 12.5.1).
pub(super) fn accepts(headers: &HeaderMap, media: Media) -> bool {
    let (exact, group) = match media {
        Media::Json => ("application/json", "application/*"),
        Media::Events => ("text/event-stream", "text/*"),
    };
    // The most specific range decides, so that `text/event-stream;q=0, */*` refuses.
    let mut best: Option<(u8, bool)> = None;
    let mut present = false;
    for value in headers.get_all(ACCEPT) {
        present = true;
        let Ok(value) = value.to_str() else {
            continue;
        };
        for range in value.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let essence = parts.next().unwrap_or_default();
            let rank = if essence.eq_ignore_ascii_case(exact) {
                2
            } else if essence.eq_ignore_ascii_case(group) {
                1
            } else if essence == "*/*" {
                0
            } else {
                continue;
            };
            let wanted = parts.all(|parameter| match parameter.split_once('=') {
                Some((name, weight)) if name.trim().eq_ignore_ascii_case("q") => {
                    weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0)
                }
                _ => true,
            });
            if best.is_none_or(|(known, _)| rank >= known) {
                best = Some((rank, wanted));
            }
        }
    }
    match best {
        Some((_, wanted)) => wanted,
        None => !present,
    }
}

/// The `Mcp-Param-*` headers: full name in lower case, and value, undecoded.
pub(super) fn parameters(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(PARAMETER_PREFIX))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// Whether a text can be a session id: visible ASCII (2025-11-25, transports, "Session Management").
pub(super) fn is_session_id(text: &[u8], bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.iter().all(|byte| (0x21..=0x7e).contains(byte))
}

/// What the version header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version<'a> {
    /// Nothing.
    Absent,
    /// A revision that we know.
    Known(Revision),
    /// Something else.
    Unknown(&'a [u8]),
}

impl Version<'_> {
    /// Reads the header.
    pub(super) fn read(headers: &HeaderMap) -> Result<Version<'_>, Repeated> {
        let Some(text) = single(headers, &VERSION)? else {
            return Ok(Version::Absent);
        };
        let known = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        Ok(known.map_or(Version::Unknown(text), Version::Known))
    }

    /// Whether it names the stateless revision.
    pub(super) const fn is_modern(self) -> bool {
        matches!(self, Self::Known(Revision::V2026_07_28))
    }

    /// The revision of a legacy message with this header: without one 2025-03-26 is assumed (2025-06-18, transports,
    /// "Protocol Version Header").
    pub(super) const fn legacy(self) -> Revision {
        match self {
            Self::Known(revision) if matches!(revision.era(), Era::Legacy) => revision,
            _ => Revision::V2025_03_26,
        }
    }
}

/// A message that was let in, or the refusal that answers it.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The revision it speaks.
    pub(super) revision: Revision,
    /// What it asks.
    pub(super) ask: Ask,
    /// What the `_meta` of a modern request says.
    pub(super) meta: Option<ModernMeta>,
    /// Whether it opens a legacy session.
    pub(super) opens_session: bool,
}

impl Admitted {
    fn legacy(revision: Revision, ask: Ask) -> Self {
        Self {
            revision,
            ask,
            meta: None,
            opens_session: false,
        }
    }

    fn modern(ask: Ask) -> Self {
        Self {
            revision: Revision::NEWEST,
            ask,
            meta: None,
            opens_session: false,
        }
    }

    /// A refusal; over HTTP its status is 400 where the error names none.
    pub(super) fn refused(revision: Revision, error: RpcError, id: Option<Id>) -> Self {
        let status = error.status.unwrap_or(400);
        Self {
            revision,
            ask: Ask::Refused(Refused {
                error: error.with_status(status),
                id,
            }),
            meta: None,
            opens_session: false,
        }
    }
}

/// Chooses the era of one message that came over HTTP and checks what its headers must say (2026-07-28, versioning and
/// streamable HTTP, "Server Validation").
pub(super) fn admit_http(message: Result<Message, Refused>, version: Version<'_>, headers: &HeaderMap) -> Admitted {
    let message = match message {
        Ok(message) => message,
        Err(Refused { error, id }) => {
            let revision = match version {
                Version::Known(revision) => revision,
                Version::Absent => Revision::V2025_03_26,
                Version::Unknown(_) => Revision::NEWEST,
            };
            return Admitted::refused(revision, error, id);
        }
    };
    match message {
        Message::Request(request) => admit_request(request, version, Some(headers)),
        Message::Notification(notification) => {
            let params = notification.params();
            let modern_meta = !version.is_modern() && ModernMeta::is_present(params);
            if !version.is_modern() && !modern_meta {
                return match version {
                    Version::Unknown(text) => unknown_version(text, None),
                    _ => Admitted::legacy(version.legacy(), Ask::Notification(notification)),
                };
            }
            match version_agrees(version, params).and_then(|()| method_agrees(headers, notification.method(), false)) {
                Ok(()) => Admitted::modern(Ask::Notification(notification)),
                Err(error) => Admitted::refused(Revision::NEWEST, error, None),
            }
        }
        Message::Response(response) => match version {
            Version::Known(Revision::V2026_07_28) => Admitted::refused(
                Revision::NEWEST,
                RpcError::new(
                    error::INVALID_REQUEST,
                    "a client of 2026-07-28 sends no responses, hint: answers go into `inputResponses` of a new request",
                ),
                response.id().cloned(),
            ),
            Version::Unknown(text) => unknown_version(text, response.id().cloned()),
            _ => Admitted::legacy(version.legacy(), Ask::Response(response)),
        },
    }
}

/// Chooses the era of one message that came over stdio, where no header speaks: per-request `_meta` is modern, all else
/// belongs to the process's legacy session.
///
/// `latest` is the revision of the host's message before: what cannot be read is refused in its words.
pub(super) fn admit_line(message: Result<Message, Refused>, latest: Revision) -> Admitted {
    // The session's own revision is the gateway's to know; this one only says which era.
    let legacy = match latest.era() {
        Era::Legacy => latest,
        Era::Modern => Revision::NEWEST_LEGACY,
    };
    match message {
        Err(Refused { error, id }) => Admitted::refused(latest, error, id),
        Ok(Message::Request(request)) => match admit_request(request, Version::Absent, None) {
            Admitted {
                ask,
                opens_session: false,
                revision,
                ..
            } if revision.era() == Era::Legacy => Admitted::legacy(legacy, ask),
            admitted => admitted,
        },
        Ok(Message::Notification(notification)) => match ModernMeta::is_present(notification.params()) {
            true => Admitted::modern(Ask::Notification(notification)),
            false => Admitted::legacy(legacy, Ask::Notification(notification)),
        },
        Ok(Message::Response(response)) => Admitted::legacy(legacy, Ask::Response(response)),
    }
}

fn admit_request(request: Request, version: Version<'_>, headers: Option<&HeaderMap>) -> Admitted {
    let params = request.params();
    let id = Some(request.id().clone());
    if *request.method() == Method::Initialize
        && let Some(offered) = params
            .and_then(|params| params.get("protocolVersion"))
            .as_ref()
            .and_then(Raw::as_string)
    {
        // Only an `initialize` that offers a version begins a legacy session, whatever the header says. One that we do not
        // know (or the stateless one) is negotiated down.
        let revision = offered
            .parse::<Revision>()
            .ok()
            .filter(|revision| revision.era() == Era::Legacy)
            .unwrap_or(Revision::NEWEST_LEGACY);
        return Admitted {
            revision,
            ask: Ask::Request(request),
            meta: None,
            opens_session: true,
        };
    }
    if !version.is_modern() && !ModernMeta::is_present(params) {
        return match (version, headers) {
            (Version::Unknown(text), _) => unknown_version(text, id),
            (_, Some(_)) => Admitted::legacy(version.legacy(), Ask::Request(request)),
            (_, None) => Admitted::legacy(Revision::NEWEST_LEGACY, Ask::Request(request)),
        };
    }
    match modern_request(&request, params, version, headers) {
        Ok(meta) => Admitted {
            meta: Some(meta),
            ..Admitted::modern(Ask::Request(request))
        },
        Err(error) => Admitted::refused(Revision::NEWEST, error, id),
    }
}

/// What a modern request must say: the version in header and `_meta` alike, the required keys of `_meta`, the mirrored
/// headers, a method that the revision has. Yields what `_meta` says, so that nobody reads it again.
fn modern_request(
    request: &Request,
    params: Option<&Raw>,
    version: Version<'_>,
    headers: Option<&HeaderMap>,
) -> Result<ModernMeta, RpcError> {
    let read = ModernMeta::read(params);
    // Of a `_meta` that cannot be read, too, the version is compared first.
    let agrees = matches!((&read, version), (Ok(meta), Version::Known(named)) if meta.revision == named);
    if headers.is_some() && !agrees {
        version_agrees(version, params)?;
    }
    let meta = read?;
    if let Some(headers) = headers {
        method_agrees(headers, request.method(), true)?;
    }
    // Before the name: what the revision does not have mirrors none.
    if !request.method().is_in(Revision::NEWEST) {
        return Err(RpcError::new(
            error::METHOD_NOT_FOUND,
            format!("method `{}` is not part of 2026-07-28", request.method()),
        )
        .with_status(404));
    }
    if let Some(headers) = headers {
        name_agrees(headers, request.method(), params)?;
    }
    Ok(meta)
}

fn mismatch(message: impl Into<String>) -> RpcError {
    RpcError::new(error::HEADER_MISMATCH, message).with_status(400)
}

fn unknown_version(text: &[u8], id: Option<Id>) -> Admitted {
    let text = String::from_utf8_lossy(text);
    // Whoever speaks a revision that we do not know is told ours in the words of the newest.
    Admitted::refused(
        Revision::NEWEST,
        RpcError::unsupported_version(&text).with_status(400),
        id,
    )
}

/// Whether the version header says what `_meta` says. A `_meta` without a version is another error, found later.
fn version_agrees(version: Version<'_>, params: Option<&Raw>) -> Result<(), RpcError> {
    let written = meta::meta(params).and_then(|meta| meta.get(meta::PROTOCOL_VERSION));
    let Some(written) = written.as_ref().and_then(Raw::as_string) else {
        return Ok(());
    };
    let agrees = match version {
        Version::Absent => {
            return Err(mismatch(
                "header `MCP-Protocol-Version` is missing, hint: every POST of 2026-07-28 carries it",
            ));
        }
        Version::Known(revision) => revision.as_str() == written,
        Version::Unknown(text) => text == written.as_bytes(),
    };
    match agrees {
        true => Ok(()),
        false => Err(mismatch(
            "header `MCP-Protocol-Version` and `_meta` name different versions",
        )),
    }
}

fn method_agrees(headers: &HeaderMap, method: &Method, required: bool) -> Result<(), RpcError> {
    if !required && !headers.contains_key(&METHOD) {
        return Ok(());
    }
    let received = headers.get_all(&METHOD).iter().map(HeaderValue::as_bytes);
    header::check_literal(header::METHOD, received, method.as_str())
        .map_err(|error| RpcError::from(&error).with_status(400))
}

fn name_agrees(headers: &HeaderMap, method: &Method, params: Option<&Raw>) -> Result<(), RpcError> {
    let Some(member) = method.name_member() else {
        return Ok(());
    };
    // A body without the member, or with one that is no string, is the method's own error and not the mirror's.
    let body = params.and_then(|params| params.get(member));
    let Some(body) = body.as_ref().and_then(Raw::as_string) else {
        return Ok(());
    };
    let received = headers.get_all(&NAME).iter().map(HeaderValue::as_bytes);
    header::check_encoded(header::NAME, received, &body).map_err(|error| RpcError::from(&error).with_status(400))
}

/// `initialize` must not be in a batch (2025-03-26, lifecycle).
pub(super) fn not_initialize(admitted: Admitted) -> Admitted {
    if !admitted.opens_session {
        return admitted;
    }
    let id = match &admitted.ask {
        Ask::Request(request) => Some(request.id().clone()),
        _ => None,
    };
    let error = RpcError::new(error::INVALID_REQUEST, "`initialize` must not be part of a batch");
    Admitted::refused(Revision::V2025_03_26, error, id)
}
