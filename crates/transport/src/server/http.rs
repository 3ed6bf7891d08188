//! One HTTP request's life: routed, let in, read, handed to the handler, answered. The statuses written here are HTTP's own
//! (202, 401 to 431, 503) with a line of plain text; every JSON-RPC result and error comes sealed from the handler.

use super::body::{Body, Detached, Exchange, Held, Live, LiveSource, Next, Source, Work, array};
use super::connection::{Link, Shared};
use super::door::{self, Admitted, Media, Place, Repeated, Version};
use super::intake::{self, Reserved};
use super::streams;
use crate::inbound::{Ask, Authorization, Handled, Inbound, TurnedAway};
use crate::outlet::{Outlet, Reply};
use crate::turn;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    WWW_AUTHENTICATE,
};
use http::{Method as Verb, Request, Response, StatusCode, request};
use hyper::body::Incoming;
use portcullis_ledger::Sealed;
use portcullis_wire::message::{self, Refused};
use portcullis_wire::{Era, Message, Method, Revision, RpcError, error};
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const ALLOW_ALL: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");
const ALLOW_POST: HeaderValue = HeaderValue::from_static("POST, OPTIONS");
const ALLOW_GET: HeaderValue = HeaderValue::from_static("GET, HEAD");
/// Tells nginx and its like not to hold events back (2026-07-28, streamable HTTP).
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Answers a request.
pub(super) async fn answer(link: Arc<Link>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let busy = link.activity.request();
    link.shared.counters.requests.fetch_add(1, Ordering::Relaxed);
    let mut bytes = None;
    let (head, body) = request.into_parts();
    let mut response = route(&link, &head, body, &mut bytes)
        .await
        .unwrap_or_else(Refusal::into_response);
    turn::writing().await;
    response.body_mut().hold(Held {
        _busy: busy,
        _bytes: bytes,
    });
    Ok(response)
}

type Answer = Result<Response<Body>, Refusal>;

/// HTTP's own refusal: a status, a line for people, and the header that the status wants.
pub(super) struct Refusal {
    status: StatusCode,
    message: Cow<'static, str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut response = text(self.status, self.message);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

pub(super) fn refuse(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal {
        status,
        message: message.into(),
        header: None,
    }
}

pub(super) fn bad_request(message: &'static str) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, message)
}

fn not_allowed(allow: HeaderValue) -> Refusal {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").with(ALLOW, allow)
}

async fn route(link: &Arc<Link>, head: &request::Parts, body: Incoming, bytes: &mut Option<Arc<Reserved>>) -> Answer {
    let endpoint = match door::place(head.uri.path()) {
        Place::Mcp(endpoint) => endpoint,
        // Probes come by address and know no names, so `Host` is not looked at.
        Place::Health => return probe(&head.method, Ok(())),
        Place::Ready => {
            let ready = link.shared.options.ready.as_ref();
            return probe(&head.method, ready.map_or(Ok(()), |ready| ready()));
        }
        Place::Nowhere => {
            return Err(refuse(
                StatusCode::NOT_FOUND,
                "nothing here, hint: the endpoint is /mcp",
            ));
        }
    };
    let mut visit = Visit::enter(link, endpoint, head)?;
    match head.method {
        Verb::POST => post(&mut visit, head, body, bytes).await,
        // Each connection has room for the largest future that is not on the heap; this keeps it small.
        Verb::GET => Box::pin(get(&visit, &head.headers)).await,
        Verb::DELETE => Box::pin(delete(&visit, &head.headers)).await,
        Verb::OPTIONS => {
            let mut response = empty(StatusCode::NO_CONTENT);
            response.headers_mut().insert(ALLOW, ALLOW_ALL);
            Ok(response)
        }
        _ => Err(not_allowed(ALLOW_ALL)),
    }
}

fn probe(verb: &Verb, state: Result<(), String>) -> Answer {
    if !matches!(*verb, Verb::GET | Verb::HEAD) {
        return Err(not_allowed(ALLOW_GET));
    }
    match state {
        Ok(()) => Ok(text(StatusCode::OK, Cow::Borrowed("ok"))),
        Err(reason) => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, reason)),
    }
}

/// What all messages of one request have in common.
struct Visit {
    link: Arc<Link>,
    endpoint: Arc<str>,
    authorization: Option<HeaderValue>,
    session: Option<Arc<str>>,
    /// What the body holds, once it is read.
    bytes: Option<Arc<Reserved>>,
}

impl Visit {
    /// The checks that need no body: who is named as host and origin, and how credentials come.
    fn enter(link: &Arc<Link>, endpoint: &str, head: &request::Parts) -> Result<Self, Refusal> {
        let shared = &link.shared;
        host_and_origin(shared, head)?;
        if let Some(name) = head.uri.query().and_then(door::credential_in_query) {
            return Err(refuse(
                StatusCode::BAD_REQUEST,
                format!(
                    "credentials do not belong into a URL (`{name}`), hint: send them as `Authorization: Bearer ...`"
                ),
            ));
        }
        let mut credentials = head.headers.get_all(AUTHORIZATION).iter();
        let authorization = credentials.next().cloned();
        if credentials.next().is_some() {
            return Err(bad_request("more than one `Authorization` header"));
        }
        let session = door::single(&head.headers, &door::SESSION)
            .map_err(|Repeated| bad_request("more than one `Mcp-Session-Id` header"))?;
        let session = match session {
            None => None,
            Some(id) if door::is_session_id(id, shared.options.limits.session_id_bytes_max) => {
                std::str::from_utf8(id).ok().map(Arc::from)
            }
            Some(_) => return Err(bad_request("`Mcp-Session-Id` is no session id")),
        };
        Ok(Self {
            bytes: None,
            link: link.clone(),
            endpoint: match endpoint {
                "" => shared.whole_endpoint.clone(),
                name => Arc::from(name),
            },
            authorization,
            session,
        })
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.link.shared
    }

    /// Calls the handler.
    fn ask(&self, admitted: Admitted, parameters: Vec<(String, Vec<u8>)>, standing: Option<Outlet>) -> Exchange {
        let (outlet, news) = Outlet::channel();
        let inbound = Box::new(Inbound {
            peer: self.link.peer.clone(),
            authorization: self
                .authorization
                .as_ref()
                .map(|value| Authorization::new(value.as_bytes())),
            endpoint: self.endpoint.clone(),
            session: match admitted.revision.era() {
                Era::Modern => None,
                Era::Legacy => self.session.clone(),
            },
            revision: admitted.revision,
            meta: admitted.meta,
            parameters,
            received: Instant::now(),
            ask: admitted.ask,
            outlet,
            standing,
        });
        Exchange::new((self.shared().handler)(inbound), news)
    }

    fn work(&self) -> Work {
        Work {
            _alive: self.link.alive.clone(),
            _bytes: self.bytes.clone(),
        }
    }

    /// Calls the handler for what has no body, and waits for its word.
    async fn ask_plainly(&self, revision: Revision, ask: Ask) -> Next {
        let admitted = Admitted {
            revision,
            ask,
            meta: None,
            opens_session: false,
        };
        let source = Source::One(self.ask(admitted, Vec::new(), None));
        let mut detached = Detached::new(source, self.work());
        detached.source().next().await
    }
}

fn host_and_origin(shared: &Shared, head: &request::Parts) -> Result<(), Refusal> {
    let headers = &head.headers;
    let named = match door::single(headers, &HOST) {
        Ok(host) => host,
        Err(Repeated) => return Err(bad_request("more than one `Host` header")),
    };
    // HTTP/2 has `:authority` in its place, HTTP/1.1 may have both; whichever is there must be one of ours.
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    if named.is_none() && authority.is_none() {
        return Err(bad_request("`Host` is missing"));
    }
    let allowed = |host: &[u8]| std::str::from_utf8(host).is_ok_and(|host| shared.names.host_allowed(host));
    if !named.is_none_or(allowed) || !authority.is_none_or(|host| allowed(host.as_bytes())) {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "this host name is not allowed, hint: add it to the hosts of the listener",
        ));
    }
    let origin = match door::single(headers, &ORIGIN) {
        Ok(origin) => origin,
        Err(Repeated) => return Err(bad_request("more than one `Origin` header")),
    };
    let allowed = |origin: &[u8]| std::str::from_utf8(origin).is_ok_and(|origin| shared.names.origin_allowed(origin));
    if !origin.is_none_or(allowed) {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "this origin is not allowed, hint: add it to the origins of the listener",
        ));
    }
    Ok(())
}

// ---- POST ----

async fn post(visit: &mut Visit, head: &request::Parts, body: Incoming, bytes: &mut Option<Arc<Reserved>>) -> Answer {
    let headers = &head.headers;
    if !door::is_json(headers) {
        return Err(refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON, hint: send `Content-Type: application/json`",
        ));
    }
    if !door::is_plain(headers) {
        return Err(refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "compressed bodies are not taken, hint: leave `Content-Encoding` out",
        ));
    }
    if !door::accepts_both(headers) {
        return Err(refuse(
            StatusCode::NOT_ACCEPTABLE,
            "hint: send `Accept: application/json, text/event-stream`",
        ));
    }
    let (body, reserved) = intake::read(&visit.link, visit.authorization.as_ref(), head, body).await?;
    // Two hold it: the response, and a call that is carried on without its client.
    visit.bytes = Some(Arc::clone(bytes.insert(Arc::new(reserved))));
    let version = match Version::read(headers) {
        Ok(version) => version,
        Err(Repeated) => {
            let error = RpcError::new(
                error::HEADER_MISMATCH,
                "header `MCP-Protocol-Version` comes more than once",
            );
            return request(visit, Admitted::refused(Revision::NEWEST, error, None), headers).await;
        }
    };
    let limits = &visit.shared().options.message_limits;
    if let Some(texts) = message::batch(&body, limits) {
        return Box::pin(batch(visit, texts, version, headers)).await;
    }
    let admitted = door::admit_http(Message::parse(body, limits), version, headers);
    request(visit, admitted, headers).await
}

/// One message that is no batch.
async fn request(visit: &Visit, admitted: Admitted, headers: &HeaderMap) -> Answer {
    match admitted.ask {
        Ask::Request(_) if admitted.revision.era() == Era::Modern => modern(visit, admitted, headers).await,
        _ => Box::pin(carried_on(visit, admitted)).await,
    }
}

/// A legacy message, or one that wants no answer. It is carried on when the client goes away.
async fn carried_on(visit: &Visit, admitted: Admitted) -> Answer {
    let revision = admitted.revision;
    let session = match admitted.opens_session || revision.era() == Era::Modern {
        true => None,
        false => visit.session.as_deref().and_then(|id| visit.shared().sessions.find(id)),
    };
    let (standing, standing_end) = match admitted.opens_session {
        true => {
            let (outlet, end) = Outlet::channel();
            (Some(outlet), Some(end))
        }
        false => (None, None),
    };
    let limits = &visit.shared().options.limits;
    let patience = match (&session, standing_end.is_some()) {
        // The session's id is a header of the answer: nothing can be written before it is known.
        (_, true) => None,
        (Some(_), _) if revision.has_sse_polling() => Some(limits.resumable_after),
        _ => Some(limits.stream_after),
    };
    let source = Source::One(visit.ask(admitted, Vec::new(), standing));
    let mut detached = Detached::new(source, visit.work());
    let mut first = Vec::new();
    if let Some(standing) = standing_end {
        let next = loop {
            match detached.source().next().await {
                Next::News(news) => first.push(Next::News(news)),
                next => break next,
            }
        };
        let begun = match &next {
            Next::Reply(reply) => reply.get().session.clone(),
            _ => None,
        };
        if let Some(id) = &begun {
            visit.shared().sessions.begin(id.clone(), standing);
        }
        if first.is_empty() {
            return finish(next, detached, visit);
        }
        first.push(next);
        let mut response = live_response(detached, first, visit);
        set_session(response.headers_mut(), begun.as_deref());
        return Ok(response);
    }
    match outcome(detached.source(), patience).await {
        Some(next) if next.is_last() => return finish(next, detached, visit),
        next => first.extend(next),
    }
    match session.and_then(|session| visit.shared().sessions.open(&session)) {
        None => Ok(live_response(detached, first, visit)),
        Some(stream) => {
            let (source, work) = detached.take();
            let retry_ms = revision.has_sse_polling().then(|| millis(limits.retry));
            // Read before the first event is written, so that none is dropped for want of a reader.
            let Ok(reader) = stream.attach(Some(0), streams::pulse(limits, None), retry_ms) else {
                return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "no stream"));
            };
            tokio::spawn(async move {
                streams::pump(source, stream, first).await;
                drop(work);
            });
            Ok(events(Body::replay(reader)))
        }
    }
}

/// A 2026-07-28 request. The handler runs in this very task; when the client goes away it is dropped, which cancels.
async fn modern(visit: &Visit, admitted: Admitted, headers: &HeaderMap) -> Answer {
    let limits = &visit.shared().options.limits;
    let listens = matches!(&admitted.ask, Ask::Request(request) if *request.method() == Method::SubscriptionsListen);
    let parameters = door::parameters(headers);
    let mut source = Source::One(visit.ask(admitted, parameters, None));
    let mut first = Vec::new();
    match outcome(&mut source, Some(limits.stream_after)).await {
        Some(Next::Reply(reply)) if reply.get().last => return Ok(sealed(reply)),
        Some(Next::Plain(handled)) => return plain(handled),
        next => first.extend(next),
    }
    let phase = listens.then_some(&visit.shared().phase);
    let pulse = streams::pulse(limits, phase);
    Ok(events(Body::live(Live::new(
        LiveSource::Cancelled(source),
        first,
        pulse,
    ))))
}

/// The first thing that comes, or `None` when nothing came in time.
async fn outcome(source: &mut Source, patience: Option<Duration>) -> Option<Next> {
    match patience {
        None => Some(source.next().await),
        Some(patience) => tokio::time::timeout(patience, source.next()).await.ok(),
    }
}

/// The answer to a message whose first and last outcome is `next`.
fn finish(next: Next, detached: Detached, visit: &Visit) -> Answer {
    match next {
        Next::Reply(reply) if reply.get().last => Ok(sealed(reply)),
        Next::Plain(handled) => plain(handled),
        next @ (Next::Reply(_) | Next::News(_)) => Ok(live_response(detached, vec![next], visit)),
        Next::End => Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "no answer")),
    }
}

fn live_response(detached: Detached, first: Vec<Next>, visit: &Visit) -> Response<Body> {
    let pulse = streams::pulse(&visit.shared().options.limits, None);
    events(Body::live(Live::new(LiveSource::Detached(detached), first, pulse)))
}

/// A 2025-03-26 batch (basic, "Batching"): all its messages are dispatched at once and their replies come as one array, or
/// on one stream where there are news.
async fn batch(visit: &Visit, texts: Result<Vec<Bytes>, Refused>, version: Version<'_>, headers: &HeaderMap) -> Answer {
    let revision = match version {
        Version::Known(revision) => revision,
        Version::Absent => Revision::V2025_03_26,
        Version::Unknown(_) => Revision::NEWEST,
    };
    let texts = match texts {
        Ok(texts) if revision.has_batches() => texts,
        Ok(_) => {
            let error = RpcError::new(
                error::INVALID_REQUEST,
                format!("a batch, which {revision} does not have, hint: send one message a request"),
            );
            return request(visit, Admitted::refused(revision, error, None), headers).await;
        }
        Err(Refused { error, id }) => {
            return request(visit, Admitted::refused(revision, error, id), headers).await;
        }
    };
    let limits = &visit.shared().options;
    let exchanges = texts
        .into_iter()
        .map(|text| {
            let message = Message::parse(text, &limits.message_limits);
            visit.ask(
                door::not_initialize(door::admit_http(message, version, headers)),
                Vec::new(),
                None,
            )
        })
        .collect();
    let mut detached = Detached::new(Source::Many(exchanges), visit.work());
    let mut replies = Vec::new();
    let deadline = tokio::time::Instant::now() + limits.limits.stream_after;
    loop {
        match tokio::time::timeout_at(deadline, detached.source().next()).await {
            Ok(Next::Reply(reply)) if reply.get().last => replies.push(reply),
            Ok(Next::Plain(Handled::Accepted)) => {}
            // Authentication and session are the same for all of the batch.
            Ok(Next::Plain(handled)) => return plain(handled),
            Ok(Next::End) => break,
            later => {
                let first = replies.into_iter().map(Next::Reply).chain(later.ok()).collect();
                return Ok(live_response(detached, first, visit));
            }
        }
    }
    if replies.is_empty() {
        return Ok(empty(StatusCode::ACCEPTED));
    }
    Ok(json(StatusCode::OK, Body::pieces(array(replies).into_pieces())))
}

// ---- GET and DELETE ----

/// GET and DELETE exist in the legacy era alone.
fn legacy_version(headers: &HeaderMap) -> Result<Revision, Refusal> {
    match Version::read(headers) {
        Err(Repeated) => Err(bad_request("more than one `MCP-Protocol-Version` header")),
        Ok(version) if version.is_modern() => Err(not_allowed(ALLOW_POST)),
        Ok(Version::Unknown(_)) => Err(bad_request("`MCP-Protocol-Version` names no known revision")),
        Ok(version) => Ok(version.legacy()),
    }
}

async fn get(visit: &Visit, headers: &HeaderMap) -> Answer {
    let revision = legacy_version(headers)?;
    if !door::accepts(headers, Media::Events) {
        return Err(refuse(
            StatusCode::NOT_ACCEPTABLE,
            "hint: send `Accept: text/event-stream`",
        ));
    }
    match visit.ask_plainly(revision, Ask::OpenStream).await {
        Next::Plain(Handled::Accepted) => {}
        Next::Plain(handled) => return plain(handled),
        Next::Reply(reply) => return Ok(sealed(reply)),
        Next::News(_) | Next::End => {
            return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "no answer"));
        }
    }
    let shared = visit.shared();
    let session = visit.session.as_deref().and_then(|id| shared.sessions.find(id));
    // A session whose stream is not here has none to offer, which 405 says to every client.
    let session = session.ok_or_else(|| not_allowed(ALLOW_POST))?;
    let resumed = door::single(headers, &LAST_EVENT_ID)
        .map_err(|Repeated| bad_request("more than one `Last-Event-ID` header"))?;
    let limits = &shared.options.limits;
    let retry_ms = revision.has_sse_polling().then(|| millis(limits.retry));
    let (stream, after) = match resumed {
        None => (session.standing(), None),
        Some(event) => {
            let (stream, after) = session.locate(event).map_err(|_| unknown_event())?;
            (stream, Some(after))
        }
    };
    // A drain ends the standing stream; one of a request lasts as long as the request.
    let phase = stream.is_standing().then_some(&shared.phase);
    let reader = stream
        .attach(after, streams::pulse(limits, phase), retry_ms)
        .map_err(|_| unknown_event())?;
    Ok(events(Body::replay(reader)))
}

fn unknown_event() -> Refusal {
    bad_request("`Last-Event-ID` is unknown or too long ago, hint: open the stream without it")
}

async fn delete(visit: &Visit, headers: &HeaderMap) -> Answer {
    let revision = legacy_version(headers)?;
    match visit.ask_plainly(revision, Ask::CloseSession).await {
        Next::Plain(Handled::Accepted) => {
            if let Some(id) = &visit.session {
                visit.shared().sessions.end(id);
            }
            Ok(empty(StatusCode::NO_CONTENT))
        }
        Next::Plain(handled) => plain(handled),
        Next::Reply(reply) => Ok(sealed(reply)),
        Next::News(_) | Next::End => Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "no answer")),
    }
}

// ---- responses ----

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    respond(status, Body::whole(Bytes::new()))
}

/// HTTP's own word, for people.
fn text(status: StatusCode, message: Cow<'static, str>) -> Response<Body> {
    let mut message = message.into_owned();
    message.push('\n');
    let mut response = respond(status, Body::whole(message));
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

fn json(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = respond(status, body);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn events(body: Body) -> Response<Body> {
    let mut response = respond(StatusCode::OK, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENTS);
    headers.insert(CACHE_CONTROL, NO_CACHE);
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// A reply as a single JSON body.
fn sealed(reply: Sealed<Reply>) -> Response<Body> {
    let reply = reply.into_inner();
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = json(status, Body::pieces(reply.message.into_pieces()));
    set_session(response.headers_mut(), reply.session.as_deref());
    response
}

fn set_session(headers: &mut HeaderMap, id: Option<&str>) {
    match id.map(HeaderValue::from_str) {
        None => {}
        Some(Ok(value)) => {
            headers.insert(door::SESSION, value);
        }
        Some(Err(_)) => tracing::error!("a session id that is no header value was not sent"),
    }
}

/// What the handler said where it had no reply.
fn plain(handled: Handled) -> Answer {
    match handled {
        Handled::Sealed(reply) => Ok(sealed(reply)),
        Handled::Accepted => Ok(empty(StatusCode::ACCEPTED)),
        Handled::Unauthenticated(who) => Err(turned_away(who)),
        Handled::SessionGone => Err(refuse(
            StatusCode::NOT_FOUND,
            "the session is unknown or has ended, hint: send `initialize` again",
        )),
        Handled::SessionMissing => Err(bad_request(
            "`Mcp-Session-Id` is missing, hint: send the one that came with the answer to `initialize`",
        )),
    }
}

/// The same words whether the head alone was looked at or all of the message.
pub(super) fn turned_away(who: TurnedAway) -> Refusal {
    let refusal = refuse(StatusCode::UNAUTHORIZED, who.message);
    match HeaderValue::from_str(&who.challenge) {
        Ok(challenge) => refusal.with(WWW_AUTHENTICATE, challenge),
        Err(_) => refusal,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
