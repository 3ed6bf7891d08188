//! Streamable HTTP, the client's side, both eras: requests out by POST, answers in as JSON or as an event stream (`stream`).
//! Knows the statuses and headers of the protocol (PROTOCOL 1.5). Must not know what a call means, nor follow anything that a
//! server says about where else to go.

use super::body::{self, RopeBody, excerpt};
use super::era::{self, EraCache, Opening, Verdict};
use super::pool::{Endpoint, Lease};
use super::strays::Strays;
use super::stream::{self, PostStream};
use super::target::HttpLimits;
use crate::turn;
use crate::upstream::{
    BoxFuture, CancelOnDrop, Connected, Event, Exchange, Hello, Outgoing, Stray, Upstream, UpstreamError, event_of,
};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method as Verb, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use portcullis_wire::message::batch;
use portcullis_wire::{Era, Limits, Message, Method, Outcome, Revision, Rope, RpcError, error, header};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// A session id, in bytes.
const SESSION_ID_BYTES_MAX: usize = 1024;
/// How much of a body that nobody wants is read so that its connection can be used again, in bytes.
const DISCARD_BYTES_MAX: usize = 64 << 10;
/// Answers of our own (to `ping`) that may wait for a server that does not take them.
const REPLIES_WAITING_MAX: usize = 32;
/// How long the end of a session may take.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

/// A server's place and all that is the same for every connection to it.
pub(super) struct Place {
    /// The server's name in the configuration.
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    /// Path and query.
    pub(super) origin_form: Uri,
    /// The whole.
    pub(super) absolute: Uri,
    /// `Host` and the configured headers.
    pub(super) headers: HeaderMap,
    pub(super) limits: HttpLimits,
    pub(super) handshake_time_max: Duration,
    pub(super) era: EraCache,
}

/// One connection in the sense of the protocol (legacy: a session). It holds no socket: those are the pool's.
pub(super) struct Wire {
    pub(super) place: Arc<Place>,
    /// The revision spoken; during the handshake the one that is tried.
    pub(super) revision: Revision,
    /// Headers of every POST.
    headers: HeaderMap,
    has_session: bool,
    alive: AtomicBool,
    pub(super) strays: Strays,
    /// Room for answers of our own, to `ping`.
    replies: Arc<Semaphore>,
}

/// A [`Wire`] as an [`Upstream`].
struct HttpLink {
    wire: Arc<Wire>,
    /// The task that reads the session's GET stream.
    standing: Option<AbortHandle>,
}

/// Opens a connection: probes the era if it is not known, and shakes hands.
pub(super) async fn connect(place: &Arc<Place>, hello: &Hello) -> Result<Connected, UpstreamError> {
    let seconds = place.handshake_time_max.as_secs();
    timeout(place.handshake_time_max, shake_hands(place, hello))
        .await
        .unwrap_or(Err(UpstreamError::Timeout { seconds }))
}

async fn shake_hands(place: &Arc<Place>, hello: &Hello) -> Result<Connected, UpstreamError> {
    let (strays, receiver) = Strays::new(&place.name);
    let mut opening = Opening::new(hello.eras, place.era.settled());
    let mut offer = hello.legacy_revision;
    let mut probed = None;
    loop {
        opening = match opening {
            Opening::Discover { may_fall_back } => {
                let wire = Arc::new(Wire::new(place, Revision::NEWEST, None, &strays));
                match wire.discover(hello).await? {
                    Verdict::Modern(greeting) => {
                        place.era.settle(Era::Modern);
                        return Ok(connected(wire, greeting, receiver).await);
                    }
                    Verdict::Legacy { offer: named, why } if may_fall_back => {
                        offer = named;
                        probed = Some(why);
                        Opening::Initialize { may_probe: false }
                    }
                    Verdict::Legacy { why, .. } | Verdict::Neither(why) => {
                        return Err(UpstreamError::Revision { detail: why });
                    }
                }
            }
            Opening::Initialize { may_probe } => match Wire::initialize(place, hello, offer, &strays).await {
                Ok((wire, greeting)) => {
                    place.era.settle(Era::Legacy);
                    return Ok(connected(wire, greeting, receiver).await);
                }
                Err(error) if may_probe && era::may_be_modern(&error) => {
                    place.era.forget();
                    Opening::Discover { may_fall_back: true }
                }
                Err(error) => return Err(explain(error, probed)),
            },
        };
    }
}

/// Both attempts failed: the operator should see both, and the one cause that we know.
fn explain(error: UpstreamError, probed: Option<String>) -> UpstreamError {
    match error {
        UpstreamError::Status { status, detail } => {
            let probed = probed.map(|why| format!("; before that, {why}")).unwrap_or_default();
            let hint = match status {
                404 | 405 => " (hint: is the path right? the HTTP+SSE transport of 2024-11-05 is not supported)",
                _ => "",
            };
            UpstreamError::Status {
                status,
                detail: format!("to `initialize`: {detail}{probed}{hint}"),
            }
        }
        other => other,
    }
}

/// How long a connection waits for the server to open the session's standing stream. A server that asks its client on that stream
/// drops the question when nobody reads it yet.
const STANDING_WAIT: Duration = Duration::from_millis(500);

async fn connected(wire: Arc<Wire>, greeting: portcullis_wire::Raw, strays: mpsc::Receiver<Stray>) -> Connected {
    let standing = match wire.revision.era() {
        Era::Legacy => {
            let (opened, told) = oneshot::channel();
            let reading = tokio::spawn(stream::standing(wire.clone(), opened)).abort_handle();
            // Open, refused, or slow to say: the session is good either way.
            let _ = timeout(STANDING_WAIT, told).await;
            Some(reading)
        }
        Era::Modern => None,
    };
    Connected {
        revision: wire.revision,
        greeting,
        strays,
        link: Arc::new(HttpLink { wire, standing }),
    }
}

impl Upstream for HttpLink {
    fn request(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Exchange, UpstreamError>> {
        Box::pin(self.wire.request(outgoing))
    }

    fn tell(&self, message: Rope) -> BoxFuture<'_, Result<(), UpstreamError>> {
        Box::pin(self.wire.tell(message))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(standing) = &self.standing {
                standing.abort();
            }
            self.wire.alive.store(false, Ordering::Relaxed);
            if self.wire.has_session {
                // 405 means that the server keeps its sessions to itself; a server that is gone has none.
                let ended = timeout(CLOSE_TIME_MAX, self.wire.send(Verb::DELETE, None, Rope::default())).await;
                if let Ok(Ok((response, lease))) = ended {
                    discard(response, lease).await;
                }
            }
        })
    }

    fn is_alive(&self) -> bool {
        self.wire.alive.load(Ordering::Relaxed)
    }
}

impl Drop for HttpLink {
    fn drop(&mut self) {
        if let Some(standing) = &self.standing {
            standing.abort();
        }
    }
}

impl Wire {
    fn new(place: &Arc<Place>, revision: Revision, session: Option<HeaderValue>, strays: &Strays) -> Self {
        let mut headers = place.headers.clone();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, BOTH);
        if revision.has_version_header() {
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
        }
        let has_session = session.is_some();
        if let Some(session) = session {
            headers.insert(SESSION_ID, session);
        }
        Self {
            place: place.clone(),
            revision,
            headers,
            has_session,
            alive: AtomicBool::new(true),
            strays: strays.clone(),
            replies: Arc::new(Semaphore::new(REPLIES_WAITING_MAX)),
        }
    }

    fn is_modern(&self) -> bool {
        self.revision.era() == Era::Modern
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.place.limits.message
    }

    async fn discover(self: &Arc<Self>, hello: &Hello) -> Result<Verdict, UpstreamError> {
        let message = era::discover(hello);
        let headers = self.mirrored(&Method::ServerDiscover, None, &[])?;
        let (response, lease) = self.exchange(prepared(Verb::POST, headers, message)).await?;
        let status = response.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) || !is_from_a_server(status) {
            return Err(refusal(response, lease, self.limits()).await);
        }
        if status.is_success() {
            let mut exchange = match self
                .receive(era::DISCOVER_ID, &Method::ServerDiscover, response, lease, None)
                .await
            {
                Ok(exchange) => exchange,
                // A legacy server may say yes to anything; `initialize` will tell.
                Err(error) => return Ok(no_verdict(hello, &error)),
            };
            return Ok(match era::answer(&mut exchange, &self.strays).await {
                Ok(answer) => era::judge(&answer, Some(status.as_u16()), hello),
                Err(error) => no_verdict(hello, &error),
            });
        }
        let text = read_to_end(response.into_body(), lease, self.limits().message_bytes_max).await?;
        Ok(match Message::parse(text.clone(), self.limits()) {
            Ok(Message::Response(answer)) => era::judge(&answer, Some(status.as_u16()), hello),
            _ => Verdict::Legacy {
                offer: hello.legacy_revision,
                why: format!("`server/discover` was answered with HTTP {status}: {}", excerpt(&text)),
            },
        })
    }

    async fn initialize(
        place: &Arc<Place>,
        hello: &Hello,
        offer: Revision,
        strays: &Strays,
    ) -> Result<(Arc<Self>, portcullis_wire::Raw), UpstreamError> {
        // Before the handshake no version is spoken yet, and the header belongs to what follows it.
        let first = Arc::new(Self::new(place, Revision::V2024_11_05, None, strays));
        let (response, lease) = first
            .exchange(prepared(
                Verb::POST,
                first.headers.clone(),
                era::initialize(hello, offer),
            ))
            .await?;
        let session = match response.headers().get(SESSION_ID) {
            Some(session) if is_session_id(session) => Some(session.clone()),
            Some(_) => {
                return Err(UpstreamError::Garbage {
                    detail: "the session id is not visible ASCII of reasonable length".to_owned(),
                });
            }
            None => None,
        };
        let mut exchange = first
            .receive(era::INITIALIZE_ID, &Method::Initialize, response, lease, None)
            .await?;
        let answer = era::answer(&mut exchange, strays).await?;
        let (revision, greeting) = era::read_initialize(&answer, offer)?;
        let wire = Arc::new(Self::new(place, revision, session, strays));
        wire.tell(era::initialized()).await?;
        Ok((wire, greeting))
    }

    async fn request(self: &Arc<Self>, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        let headers = match self.is_modern() {
            true => self.mirrored(&outgoing.method, outgoing.name.as_deref(), &outgoing.parameters)?,
            false => self.headers.clone(),
        };
        let Outgoing {
            id, method, message, ..
        } = outgoing;
        // To go away is no cancel in the legacy era (PROTOCOL 1.5), so it is said; also when the caller goes before the response
        // begins.
        let mut cancel = (!self.is_modern()).then(|| {
            let wire = self.clone();
            CancelOnDrop::new(move || wire.tell_later(era::cancelled(id)))
        });
        match self.exchange(prepared(Verb::POST, headers, message)).await {
            Ok((response, lease)) => self.receive(id, &method, response, lease, cancel).await,
            Err(error) => {
                if let Some(cancel) = &mut cancel {
                    cancel.disarm();
                }
                Err(error)
            }
        }
    }

    /// Headers of a modern request: those that repeat the body (2026-07-28, streamable HTTP).
    fn mirrored(
        &self,
        method: &Method,
        name: Option<&str>,
        parameters: &[(String, String)],
    ) -> Result<HeaderMap, UpstreamError> {
        let unusable = |what: &str| UpstreamError::Garbage {
            detail: format!("{what} cannot stand in a header"),
        };
        let mut headers = self.headers.clone();
        let value = HeaderValue::from_str(method.as_str()).map_err(|_| unusable("the method"))?;
        headers.insert(METHOD, value);
        if let Some(name) = name {
            let value = HeaderValue::from_str(&header::encode(name)).map_err(|_| unusable("the name"))?;
            headers.insert(NAME, value);
        }
        for (parameter, value) in parameters {
            let parameter = HeaderName::from_bytes(parameter.as_bytes()).map_err(|_| unusable("a parameter's name"))?;
            let value = HeaderValue::from_str(value).map_err(|_| unusable("a parameter"))?;
            headers.insert(parameter, value);
        }
        Ok(headers)
    }

    /// Sends what [`prepared`] made.
    async fn exchange(&self, request: Box<Request<RopeBody>>) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let place = &self.place;
        turn::writing().await;
        place.endpoint.send(request, &place.origin_form, &place.absolute).await
    }

    /// GET or DELETE; `after` is the event to resume behind.
    pub(super) async fn send(
        &self,
        verb: Verb,
        after: Option<&str>,
        message: Rope,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let mut headers = self.headers.clone();
        headers.remove(CONTENT_TYPE);
        headers.insert(ACCEPT, EVENTS);
        // An id that cannot stand in a header (a line break is impossible, a control character is not) is as good as none.
        if let Some(after) = after.and_then(|after| HeaderValue::from_bytes(after.as_bytes()).ok()) {
            headers.insert(LAST_EVENT_ID, after);
        }
        self.exchange(prepared(verb, headers, message)).await
    }

    /// Reads the head of the response to request `id` and, where it is the whole answer, the body.
    async fn receive(
        self: &Arc<Self>,
        id: u64,
        method: &Method,
        response: Response<Incoming>,
        lease: Lease,
        cancel: Option<CancelOnDrop>,
    ) -> Result<Exchange, UpstreamError> {
        let mut cancel = cancel;
        let received = match response.status() {
            StatusCode::OK => match kind(&response) {
                Some(BodyKind::Events) => {
                    let is_subscription = *method == Method::SubscriptionsListen;
                    let stream = PostStream::new(self.clone(), id, is_subscription, response, lease);
                    return Ok(Exchange::reading(Box::new(stream), cancel));
                }
                Some(BodyKind::Json) => self.read_answer(id, response.into_body(), lease).await,
                None => Err(UpstreamError::Garbage {
                    detail: format!("the answer is of type {}", content_type(&response)),
                }),
            },
            // Seldom, and larger than all the rest.
            status => Box::pin(self.read_refusal(id, status, response, lease)).await,
        };
        if let Some(cancel) = &mut cancel {
            cancel.disarm();
        }
        received
    }

    async fn read_answer(&self, id: u64, body: Incoming, lease: Lease) -> Result<Exchange, UpstreamError> {
        let text = read_to_end(body, lease, self.limits().message_bytes_max).await?;
        // 2025-03-26 may answer a single request with a batch of one.
        let text = match self
            .revision
            .has_batches()
            .then(|| batch(&text, self.limits()))
            .flatten()
        {
            None => text,
            Some(Ok(mut messages)) if messages.len() == 1 => messages.pop().unwrap_or(text),
            Some(Ok(messages)) => {
                return Err(UpstreamError::Garbage {
                    detail: format!("a batch of {} messages, expected the one answer", messages.len()),
                });
            }
            Some(Err(refused)) => return Err(garbage(&refused.error)),
        };
        match self.event(text, id)? {
            Event::Answer(answer) => {
                self.heed(&answer);
                Ok(Exchange::answered(answer))
            }
            Event::News(_) | Event::Question(_) => Err(UpstreamError::Garbage {
                detail: "the JSON body is not the answer".to_owned(),
            }),
        }
    }

    /// A status other than 200: the protocol's own errors are answers, all else is an error of the connection.
    async fn read_refusal(
        &self,
        id: u64,
        status: StatusCode,
        response: Response<Incoming>,
        lease: Lease,
    ) -> Result<Exchange, UpstreamError> {
        if status == StatusCode::NOT_FOUND && self.has_session {
            discard(response, lease).await;
            self.end_session();
            return Err(UpstreamError::SessionEnded);
        }
        if !matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
            if status == StatusCode::METHOD_NOT_ALLOWED {
                self.doubt_era();
            }
            return Err(refusal(response, lease, self.limits()).await);
        }
        let text = read_to_end(response.into_body(), lease, self.limits().message_bytes_max).await?;
        if let Ok(Event::Answer(answer)) = self.event(text.clone(), id)
            && answer.result().is_none()
        {
            self.heed(&answer);
            return Ok(Exchange::answered(answer));
        }
        self.doubt_era();
        Err(UpstreamError::Status {
            status: status.as_u16(),
            detail: excerpt(&text),
        })
    }

    /// One message of an exchange.
    pub(super) fn event(&self, text: Bytes, id: u64) -> Result<Event, UpstreamError> {
        let message = Message::parse(text, self.limits()).map_err(|refused| garbage(&refused.error))?;
        let event = event_of(message, id)?;
        if self.is_modern() && matches!(event, Event::Question(_)) {
            return Err(UpstreamError::Garbage {
                detail: "a request of the server, which 2026-07-28 forbids".to_owned(),
            });
        }
        Ok(event)
    }

    /// An answer may say that the server speaks another era than this connection.
    pub(super) fn heed(&self, answer: &portcullis_wire::Response) {
        if let Outcome::Error(said) = answer.outcome()
            && RpcError::code_of(said) == Some(error::UNSUPPORTED_VERSION)
        {
            self.doubt_era();
        }
    }

    /// The era may have changed under us: the next connection probes again.
    fn doubt_era(&self) {
        if self.is_modern() {
            self.place.era.forget();
            self.alive.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn end_session(&self) {
        if self.alive.swap(false, Ordering::Relaxed) {
            self.strays.gone("the server has ended the session".to_owned());
        }
    }

    /// For a 404 where only a session can be meant, if there is one.
    pub(super) fn end_session_if_any(&self) {
        if self.has_session {
            self.end_session();
        }
    }

    async fn tell(&self, message: Rope) -> Result<(), UpstreamError> {
        let (response, lease) = self
            .exchange(prepared(Verb::POST, self.headers.clone(), message))
            .await?;
        if response.status().is_success() {
            discard(response, lease).await;
            return Ok(());
        }
        if response.status() == StatusCode::NOT_FOUND && self.has_session {
            discard(response, lease).await;
            self.end_session();
            return Err(UpstreamError::SessionEnded);
        }
        Err(refusal(response, lease, self.limits()).await)
    }

    /// Answers for the client; not without end for a server that asks and does not listen.
    pub(super) fn reply(self: &Arc<Self>, message: Rope) {
        let wire = self.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && let Ok(room) = self.replies.clone().try_acquire_owned()
        {
            runtime.spawn(async move {
                if let Err(error) = wire.tell(message).await {
                    tracing::debug!(server = %wire.place.name, %error, "an answer of our own was not taken");
                }
                drop(room);
            });
        }
    }

    /// Sends a message of our own that nobody waits for.
    pub(super) fn tell_later(self: &Arc<Self>, message: Rope) {
        let wire = self.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = wire.tell(message).await {
                    tracing::debug!(server = %wire.place.name, %error, "a message of our own was not taken");
                }
            });
        }
    }
}

/// A request, but for its URI, whose form is the connection's matter. In a box, because it is handed on several times before it
/// is sent.
fn prepared(verb: Verb, headers: HeaderMap, message: Rope) -> Box<Request<RopeBody>> {
    let mut request = Box::new(Request::new(RopeBody::from(message)));
    *request.method_mut() = verb;
    *request.headers_mut() = headers;
    request
}

/// What a body is, by its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// `application/json`
    Json,
    /// `text/event-stream`
    Events,
}

/// `None` for every other type, and for a body in an encoding that we did not ask for.
pub(super) fn kind(response: &Response<Incoming>) -> Option<BodyKind> {
    if response.headers().contains_key(CONTENT_ENCODING) {
        return None;
    }
    let value = response.headers().get(CONTENT_TYPE)?.as_bytes();
    let essence = value.split(|byte| *byte == b';').next()?.trim_ascii();
    match essence {
        _ if essence.eq_ignore_ascii_case(b"application/json") => Some(BodyKind::Json),
        _ if essence.eq_ignore_ascii_case(b"text/event-stream") => Some(BodyKind::Events),
        _ => None,
    }
}

/// The type for an error message.
pub(super) fn content_type(response: &Response<Incoming>) -> String {
    let shown = |name| response.headers().get(name).map(|value| excerpt(value.as_bytes()));
    let kind = shown(CONTENT_TYPE).unwrap_or_else(|| "none".to_owned());
    match shown(CONTENT_ENCODING) {
        Some(encoding) => {
            format!("`{kind}` in encoding `{encoding}`, expected `application/json` or `text/event-stream` as it is")
        }
        None => format!("`{kind}`, expected `application/json` or `text/event-stream`"),
    }
}

/// Reads a whole body and gives its connection back.
async fn read_to_end(mut body: Incoming, lease: Lease, bytes_max: usize) -> Result<Bytes, UpstreamError> {
    let text = body::collect(&mut body, bytes_max).await?;
    lease.give_back();
    Ok(text)
}

/// Reads a body that nobody wants, if it is short.
pub(super) async fn discard(response: Response<Incoming>, lease: Lease) {
    drop(
        timeout(
            CLOSE_TIME_MAX,
            read_to_end(response.into_body(), lease, DISCARD_BYTES_MAX),
        )
        .await,
    );
}

/// The error for a status that is no answer.
pub(super) async fn refusal(response: Response<Incoming>, lease: Lease, limits: &Limits) -> UpstreamError {
    let status = response.status();
    let challenge = response
        .headers()
        .get(WWW_AUTHENTICATE)
        .map(|value| excerpt(value.as_bytes()));
    let location = response.headers().get(LOCATION).map(|value| excerpt(value.as_bytes()));
    let bytes_max = DISCARD_BYTES_MAX.min(limits.message_bytes_max);
    let text = match timeout(CLOSE_TIME_MAX, read_to_end(response.into_body(), lease, bytes_max)).await {
        Ok(Ok(text)) => excerpt(&text),
        _ => "the body is long or was cut off".to_owned(),
    };
    match (status, challenge, location) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(challenge), _) => UpstreamError::Unauthorized {
            detail: format!("HTTP {status}, `{challenge}`"),
        },
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None, _) => UpstreamError::Unauthorized {
            detail: format!("HTTP {status}: {text}"),
        },
        (_, _, Some(location)) if status.is_redirection() => UpstreamError::Status {
            status: status.as_u16(),
            detail: format!("a redirect to `{location}`, which is not followed (hint: set the server's final address)"),
        },
        _ => UpstreamError::Status {
            status: status.as_u16(),
            detail: text,
        },
    }
}

/// Success and the statuses with which a server refuses a request; all others are of something in between, or of a server
/// in trouble, and say nothing about its era.
fn is_from_a_server(status: StatusCode) -> bool {
    status.is_success()
        || (status.is_client_error()
            && !matches!(
                status,
                StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
            ))
}

fn no_verdict(hello: &Hello, error: &UpstreamError) -> Verdict {
    Verdict::Legacy {
        offer: hello.legacy_revision,
        why: format!("`server/discover` failed: {error}"),
    }
}

/// Visible ASCII (2025-11-25, streamable HTTP, "Session Management") and not too long to be sent each time.
fn is_session_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=SESSION_ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(|byte| (0x21..=0x7e).contains(byte))
}

pub(super) fn garbage(error: &RpcError) -> UpstreamError {
    match error.status {
        Some(413) => UpstreamError::TooLarge {
            detail: error.message.clone(),
        },
        _ => UpstreamError::Garbage {
            detail: error.message.clone(),
        },
    }
}
