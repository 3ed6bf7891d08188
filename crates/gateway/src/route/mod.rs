//! Where it goes. The only stage that holds an upstream; its door takes a screened call that the record already knows of.

mod lane;
mod listen;
mod own;
mod translate;

pub use lane::UpstreamPlan;
pub(crate) use lane::{LinkKey, StrayNews};
pub(crate) use listen::{Changed, What};
pub(crate) use own::Greeter;

use crate::answer::{Answer, Body};
use crate::catalog::declared;
use crate::screen::{Screened, Sink, is_hop_local};
use crate::session::{
    Asked, Call, Session, Sessions, StandingAsked, Target, Told, TooManySessions, empty_object, principal_of, token_of,
};
use lane::{Lane, Link};
use portcullis_ledger::Intended;
use portcullis_transport::{Eras, Event, Exchange, Hello, Outgoing, UpstreamError};
use portcullis_wire::{Era, Id, Method, Notification, Raw, Request, Response, Revision, Rope, RpcError, header, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until};

/// Longest time that a server may take to take a notification: behind stdio, what its host says next waits for it.
const TELL_TIME_MAX: Duration = Duration::from_secs(5);

/// The stage.
pub(crate) struct Route {
    /// By name; a few names are compared sooner than one is hashed.
    lanes: BTreeMap<Arc<str>, Arc<Lane>>,
    parked: Mutex<HashMap<(Arc<str>, Id), Parked>>,
    next_id: AtomicU64,
    strays: mpsc::Sender<StrayNews>,
    changed: broadcast::Sender<Changed>,
    greeter: Greeter,
}

/// An upstream call that waits for the client's answer to a question of the server.
struct Parked {
    link: Arc<Link>,
    exchange: Exchange,
    /// The question's id towards the server.
    question: Id,
    /// How much of the deadline is left; it does not run while a person thinks.
    left: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum RouteError {
    /// The upstream could not be reached or did not behave.
    Upstream {
        /// Which.
        name: Arc<str>,
        /// What happened.
        error: UpstreamError,
    },
    /// The deadline is over.
    Deadline {
        /// Which upstream.
        name: Arc<str>,
        /// The deadline.
        after: Duration,
        /// What came meanwhile that is no message, for the operator alone.
        garbage: Option<String>,
    },
    /// Too many calls to this upstream at once, for the whole deadline.
    Busy {
        /// Which upstream.
        name: Arc<str>,
    },
    /// All upstreams behind this endpoint are down.
    AllDown(Vec<(Arc<str>, String)>),
    /// No upstream behind this endpoint has what the method asks for.
    NoSuchMethod(String),
    /// The other era has no form for what the server answered.
    Untranslatable {
        /// Which upstream.
        name: Arc<str>,
        /// What it was.
        what: String,
    },
    /// The client may not open another session now.
    TooManySessions(TooManySessions),
    /// The call that asked is no longer waiting.
    QuestionGone,
    /// The client has too many unanswered questions.
    TooManyQuestions,
    /// The server asked something that this client cannot be asked, in a way that leaves no answer.
    Json(String),
}

/// What a route's work is counted in, for the record.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    attempts: AtomicU32,
}

impl Effort {
    /// Requests sent upstream.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl Route {
    /// Lanes to `upstreams`. Strays of their connections arrive at `strays`.
    pub(crate) fn new(upstreams: Vec<UpstreamPlan>, strays: mpsc::Sender<StrayNews>, greeter: Greeter) -> Self {
        let lanes = upstreams
            .into_iter()
            .map(|plan| (Arc::clone(&plan.name), Arc::new(Lane::new(plan))))
            .collect();
        Self {
            lanes,
            parked: Mutex::default(),
            next_id: AtomicU64::new(1),
            strays,
            changed: broadcast::Sender::new(256),
            greeter,
        }
    }

    /// Sends a call to where it belongs and follows it to its end, or to a question of the server.
    ///
    /// # Errors
    /// [`RouteError`]; the call's own decision comes back with it, for the record.
    pub(crate) async fn send(
        &self,
        call: Intended<Screened<Box<Call>>>,
        sink: Sink,
        sessions: &Sessions,
        effort: &Effort,
    ) -> Result<Answer, RouteError> {
        let (call, decided) = call.into_inner().into_parts();
        // All but the common ones in boxes, so that a call of a tool is not as large as the largest of them.
        let body = match call.target() {
            Target::Initialize | Target::Discover | Target::Ping | Target::SetLevel(_) | Target::List(..) => {
                Box::pin(self.own(&call, &decided, sessions)).await?
            }
            Target::Listen => Box::pin(self.listen(&call, &sink, sessions)).await?,
            Target::Answer { asked, response } => Box::pin(self.answer(&call, asked, response)).await?,
            Target::Resume { asked, response } => {
                Box::pin(self.resume(&call, asked, response, &sink, sessions)).await?
            }
            _ => self.forward(&call, &sink, sessions, effort).await?,
        };
        self.remember_task(&call, &body, sessions);
        Ok(Answer { call, decided, body })
    }

    async fn forward(
        &self,
        call: &Call,
        sink: &Sink,
        sessions: &Sessions,
        effort: &Effort,
    ) -> Result<Body, RouteError> {
        let lane = self.lane_of(call)?;
        let after = deadline_of(call, &lane.plan);
        let deadline = Instant::now() + after;
        let over = || lane.late(None, deadline, after);
        let slot = tokio::time::timeout_at(deadline, lane.slots.acquire())
            .await
            .map_err(|_| RouteError::Busy {
                name: Arc::clone(&lane.plan.name),
            })?;
        let sent = tokio::time::timeout_at(deadline, self.start(call, lane, effort));
        let (link, exchange) = match call.cancel() {
            None => sent.await.map_err(|_| over())??,
            Some(cancel) => tokio::select! {
                biased;
                () = cancel.wait() => return Ok(Body::Silence),
                sent = sent => sent.map_err(|_| over())??,
            },
        };
        let body = self
            .follow(call, lane, link, exchange, sink, sessions, deadline, after)
            .await;
        drop(slot);
        body
    }

    /// Opens or finds the connection and sends the request. A request that was certainly not processed (the session had
    /// ended, HTTP 404) is sent once more in a new session.
    async fn start(&self, call: &Call, lane: &Lane, effort: &Effort) -> Result<(Arc<Link>, Exchange), RouteError> {
        let failed = |error| RouteError::Upstream {
            name: Arc::clone(&lane.plan.name),
            error,
        };
        let key = link_key(call, lane);
        let hello = || hello(call, &key, &self.greeter);
        let mut again = true;
        loop {
            let link = lane.link(&key, &hello, &self.strays).await.map_err(failed)?;
            let outgoing = self.outgoing(call, &link)?;
            effort.attempts.fetch_add(1, Ordering::Relaxed);
            match link.upstream.request(outgoing).await {
                Ok(exchange) => return Ok((link, exchange)),
                Err(UpstreamError::SessionEnded) if again => {
                    again = false;
                    lane.forget(&key).await;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Passes on what the server sends until it answers, asks, or time is over.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call's whole situation; a struct would only rename it"
    )]
    async fn follow(
        &self,
        call: &Call,
        lane: &Lane,
        link: Arc<Link>,
        mut exchange: Exchange,
        sink: &Sink,
        sessions: &Sessions,
        deadline: Instant,
        after: Duration,
    ) -> Result<Body, RouteError> {
        let name = || Arc::clone(&lane.plan.name);
        loop {
            let event = tokio::select! {
                biased;
                event = exchange.next() => event,
                () = cancelled(call) => return Ok(Body::Silence),
                () = sleep_until(deadline) => return Err(lane.late(Some(&link), deadline, after)),
            };
            match event.map_err(|error| RouteError::Upstream { name: name(), error })? {
                Event::News(notification) => {
                    self.pass_on(call, lane, &link, &notification, sink).await;
                    // Where there is always a next event, the select above comes to nothing else.
                    if call.cancel().is_some_and(|cancel| cancel.is_set()) {
                        return Ok(Body::Silence);
                    }
                    if Instant::now() >= deadline {
                        return Err(lane.late(Some(&link), deadline, after));
                    }
                }
                Event::Question(question) => {
                    if let Some(refusal) = unaskable(call, &question) {
                        let _ = link
                            .upstream
                            .tell(Rope::one(refusal.to_message(Some(question.id()), Era::Legacy)))
                            .await;
                        continue;
                    }
                    return self.park(call, link, exchange, question, sessions, deadline);
                }
                Event::Answer(response) => {
                    let translated = translate::response(
                        response,
                        link.revision.era(),
                        call.client().revision,
                        call.request().method(),
                    );
                    return match translated {
                        Ok(response) => Ok(Body::Upstream(response)),
                        Err(translate::Untranslatable(what)) => Err(RouteError::Untranslatable { name: name(), what }),
                    };
                }
            }
        }
    }

    async fn pass_on(&self, call: &Call, lane: &Lane, link: &Link, notification: &Notification, sink: &Sink) {
        match notification.method() {
            Method::Progress => {
                let token = progress_token(call.request());
                if let Some(progress) = translate::progress(notification, token.as_ref()) {
                    // A client that is gone is noticed by whoever holds its stream.
                    let _ = sink.news(&progress).await;
                }
            }
            Method::ToolsListChanged
            | Method::PromptsListChanged
            | Method::ResourcesListChanged
            | Method::ResourcesUpdated => {
                let news = StrayNews {
                    upstream: Arc::clone(&lane.plan.name),
                    key: link_key(call, lane),
                    stray: portcullis_transport::Stray::News(notification.clone()),
                };
                // Seldom, and larger than what else passes here.
                let _ = Box::pin(self.strays.send(news)).await;
            }
            Method::LogMessage if link.revision.era() != call.era() => {
                if wants_log(call, notification) {
                    let _ = sink.news(notification).await;
                }
            }
            method if is_hop_local(method) => {}
            _ => {
                let _ = sink.news(notification).await;
            }
        }
    }

    fn park(
        &self,
        call: &Call,
        link: Arc<Link>,
        exchange: Exchange,
        question: Box<Request>,
        sessions: &Sessions,
        deadline: Instant,
    ) -> Result<Body, RouteError> {
        let Some(session) = &call.client().session else {
            return Err(RouteError::QuestionGone);
        };
        let id = session.question_id();
        let asked = Asked {
            question: id.clone(),
            request: call.request().clone(),
            target: call.aim().clone(),
            outlet: call.client().outlet.clone(),
            token: token_of(question.params()),
        };
        // Parked before it is announced: an answer may come as soon as the question is out.
        let parked = Parked {
            link,
            exchange,
            question: question.id().clone(),
            left: deadline.saturating_duration_since(Instant::now()),
        };
        self.parked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((Arc::clone(&session.id), id.clone()), parked);
        if !session.ask(asked, &sessions.limits) {
            self.unpark(&session.id, &id);
            return Err(RouteError::TooManyQuestions);
        }
        Ok(Body::Question { id, request: question })
    }

    async fn resume(
        &self,
        call: &Call,
        asked: &Asked,
        response: &Response,
        sink: &Sink,
        sessions: &Sessions,
    ) -> Result<Body, RouteError> {
        let session = call.client().session.as_ref().ok_or(RouteError::QuestionGone)?;
        let parked = self
            .unpark(&session.id, &asked.question)
            .ok_or(RouteError::QuestionGone)?;
        let lane = self.lane_of(call)?;
        let told = parked.link.upstream.tell(response.with_id(&parked.question).finish());
        told.await.map_err(|error| RouteError::Upstream {
            name: Arc::clone(&lane.plan.name),
            error,
        })?;
        self.follow(
            call,
            lane,
            parked.link,
            parked.exchange,
            sink,
            sessions,
            Instant::now() + parked.left,
            lane.plan.deadline,
        )
        .await
    }

    /// Delivers the client's answer to a question that belongs to no call.
    async fn answer(&self, call: &Call, asked: &StandingAsked, response: &Response) -> Result<Body, RouteError> {
        let lane = self.lane(&asked.upstream)?;
        let session = call.client().session.as_ref().ok_or(RouteError::QuestionGone)?;
        let link = lane
            .open_link(&LinkKey::Session(Arc::clone(&session.id)))
            .ok_or(RouteError::QuestionGone)?;
        let told = link.upstream.tell(response.with_id(asked.request.id()).finish());
        told.await.map_err(|error| RouteError::Upstream {
            name: Arc::clone(&asked.upstream),
            error,
        })?;
        Ok(Body::Silence)
    }

    /// Tells a server that its question of no call cannot be asked.
    pub(crate) async fn decline(&self, upstream: &Arc<str>, key: &LinkKey, question: &Request) {
        let link = self.lane(upstream).ok().and_then(|lane| lane.open_link(key));
        if let Some(link) = link {
            refuse_question(&link, question).await;
        }
    }

    /// Drops a parked call: the server hears that the client no longer wants it.
    pub(crate) fn abandon(&self, session: &Arc<str>, question: &Id) {
        drop(self.unpark(session, question));
    }

    fn unpark(&self, session: &Arc<str>, question: &Id) -> Option<Parked> {
        self.parked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(Arc::clone(session), question.clone()))
    }

    /// Ends everything that was held for a session.
    pub(crate) async fn forget_session(&self, id: &Arc<str>) {
        self.parked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(session, _), _| session != id);
        for lane in self.lanes.values() {
            lane.forget(&LinkKey::Session(Arc::clone(id))).await;
        }
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for lane in self.lanes.values() {
            lane.close().await;
        }
    }

    /// The servers that a session has a connection to.
    pub(crate) fn reached(&self, session: &Session) -> Vec<Arc<str>> {
        let key = LinkKey::Session(Arc::clone(&session.id));
        let reached = self.lanes.values().filter(|lane| lane.open_link(&key).is_some());
        reached.map(|lane| Arc::clone(&lane.plan.name)).collect()
    }

    /// Passes a client's notification on to its server.
    ///
    /// # Errors
    /// [`RouteError`], when the server is gone or does not take it in time.
    pub(crate) async fn tell(&self, told: Intended<Screened<Told>>, effort: &Effort) -> Result<(), RouteError> {
        let told = told.into_inner().into_inner();
        let lane = self.lane(told.upstream())?;
        let failed = |error| RouteError::Upstream {
            name: Arc::clone(&lane.plan.name),
            error,
        };
        let key = LinkKey::Session(Arc::clone(&told.notice().session().id));
        let link = lane.open_link(&key).ok_or_else(|| {
            failed(UpstreamError::Closed {
                detail: "the session's connection is gone".to_owned(),
            })
        })?;
        effort.attempts.fetch_add(1, Ordering::Relaxed);
        let after = lane.plan.deadline.min(TELL_TIME_MAX);
        let message = Rope::one(told.notice().notification().whole().clone());
        let deadline = Instant::now() + after;
        let delivered = tokio::time::timeout_at(deadline, link.upstream.tell(message)).await;
        delivered
            .map_err(|_| lane.late(Some(&link), deadline, after))?
            .map_err(failed)
    }

    fn outgoing(&self, call: &Call, link: &Link) -> Result<Outgoing, RouteError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = call.request();
        let own_name = own_name(call);
        let log_level = call.client().session.as_ref().and_then(|session| session.log_level());
        let capabilities = match (call.era(), link.revision.era()) {
            (Era::Legacy, Era::Modern) => declared(call.client().capabilities.as_ref()),
            _ => Vec::new(),
        };
        let hop = translate::Hop {
            era: link.revision.era(),
            id,
            name: own_name.as_deref(),
            session: translate::SessionFacts {
                info: call.client().info.as_ref(),
                log_level: log_level.as_deref(),
                capabilities: &capabilities,
            },
        };
        let message =
            translate::request(request, call.era(), &hop).map_err(|error| RouteError::Json(error.to_string()))?;
        let (name, parameters) = match link.revision.era() {
            Era::Legacy => (None, Vec::new()),
            Era::Modern => {
                let name = match call.aim() {
                    // A tool goes out under the name that it has at the server, whatever the client calls it.
                    Target::Tool(tool) => Some(tool.name.to_string()),
                    _ => mirrored_name(request, own_name),
                };
                (name, mirrored_parameters(call)?)
            }
        };
        Ok(Outgoing {
            id,
            method: request.method().clone(),
            name,
            parameters,
            message,
        })
    }

    fn lane_of(&self, call: &Call) -> Result<&Arc<Lane>, RouteError> {
        let Some(name) = call.upstream() else {
            return Err(RouteError::NoSuchMethod(call.request().method().to_string()));
        };
        self.lane(name)
    }

    fn lane(&self, name: &Arc<str>) -> Result<&Arc<Lane>, RouteError> {
        self.lanes.get(name).ok_or_else(|| RouteError::Upstream {
            name: Arc::clone(name),
            error: UpstreamError::Connect {
                detail: "it is no longer configured".to_owned(),
            },
        })
    }

    /// Whose a task is, from the answer that made it.
    fn remember_task(&self, call: &Call, body: &Body, sessions: &Sessions) {
        let (Body::Upstream(response), Some(upstream)) = (body, call.upstream()) else {
            return;
        };
        if *call.request().method() != Method::ToolsCall {
            return;
        }
        let Some(result) = response.result() else {
            return;
        };
        // Modern: flat, told by `resultType`; 2025-11-25: in `task`.
        if result.says("resultType", br#""complete""#) {
            return;
        }
        let kind = result.get("resultType");
        let id = match kind.as_ref().and_then(Raw::as_string) {
            Some(kind) if kind == "task" => result.get("taskId"),
            Some(_) => None,
            None => result.at(&["task", "taskId"]),
        };
        if let Some(id) = id.as_ref().and_then(Raw::as_string) {
            sessions.tasks.made(&id, principal_of(call.caller()), upstream);
        }
    }

    /// A request of the gateway's own: probes and lists. Its answer is untrusted, as any.
    pub(crate) async fn ask(
        &self,
        upstream: &Arc<str>,
        method: &Method,
        params: Option<&[u8]>,
    ) -> Result<Response, RouteError> {
        let lane = self.lane(upstream)?;
        let after = lane.plan.deadline;
        let deadline = Instant::now() + after;
        let asked = async {
            let link = self.shared_link(lane).await?;
            let mut exchange = self.open(lane, &link, method, params).await?;
            loop {
                let event = exchange.next().await.map_err(|error| RouteError::Upstream {
                    name: Arc::clone(upstream),
                    error,
                })?;
                match event {
                    Event::Answer(response) => return Ok(*response),
                    Event::Question(question) => refuse_question(&link, &question).await,
                    Event::News(_) => {}
                }
            }
        };
        tokio::time::timeout_at(deadline, asked)
            .await
            .map_err(|_| lane.late(lane.open_link(&LinkKey::Shared).as_deref(), deadline, after))?
    }

    /// The gateway's own subscription at a modern upstream. Its acknowledgement comes as the first event.
    pub(crate) async fn follow_lists(&self, upstream: &Arc<str>, params: &[u8]) -> Result<Exchange, RouteError> {
        let lane = self.lane(upstream)?;
        let link = self.shared_link(lane).await?;
        self.open(lane, &link, &Method::SubscriptionsListen, Some(params)).await
    }

    /// Puts news of no call where all such news go.
    pub(crate) async fn stray(&self, news: StrayNews) {
        // The reader ends with the gateway.
        let _ = self.strays.send(news).await;
    }

    /// The gateway's own connection to an upstream, for the greeting.
    pub(crate) async fn greeting(&self, upstream: &Arc<str>) -> Result<(Revision, Raw), RouteError> {
        let lane = self.lane(upstream)?;
        let after = lane.plan.deadline;
        let deadline = Instant::now() + after;
        let connected = tokio::time::timeout_at(deadline, self.shared_link(lane)).await;
        let link = connected.map_err(|_| lane.late(None, deadline, after))??;
        Ok((link.revision, link.greeting.clone()))
    }

    pub(crate) fn pins(&self, upstream: &str) -> Option<&HashMap<String, crate::catalog::ToolPin>> {
        self.lanes.get(upstream).map(|lane| &lane.plan.tools)
    }

    /// The upstreams, unordered.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<str>> {
        self.lanes.keys()
    }

    async fn shared_link(&self, lane: &Lane) -> Result<Arc<Link>, RouteError> {
        let hello = || Hello {
            eras: lane.plan.eras,
            capabilities: extensions(),
            client_info: self.greeter.info(),
            legacy_revision: Revision::NEWEST_LEGACY,
        };
        lane.link(&LinkKey::Shared, hello, &self.strays)
            .await
            .map_err(|error| RouteError::Upstream {
                name: Arc::clone(&lane.plan.name),
                error,
            })
    }

    /// Sends a request of the gateway's own on `link`.
    async fn open(
        &self,
        lane: &Lane,
        link: &Link,
        method: &Method,
        params: Option<&[u8]>,
    ) -> Result<Exchange, RouteError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let failed = |error| RouteError::Upstream {
            name: Arc::clone(&lane.plan.name),
            error,
        };
        let request =
            Request::own(&Id::number(id), method, params).map_err(|refused| RouteError::Json(refused.error.message))?;
        let (info, carried) = (self.greeter.info(), extensions());
        let hop = translate::Hop {
            era: link.revision.era(),
            id,
            name: None,
            session: translate::SessionFacts {
                info: Some(&info),
                log_level: None,
                capabilities: carried.as_bytes(),
            },
        };
        let message =
            translate::request(&request, Era::Legacy, &hop).map_err(|error| RouteError::Json(error.to_string()))?;
        let outgoing = Outgoing {
            id,
            method: method.clone(),
            name: mirrored_name(&request, None),
            parameters: Vec::new(),
            message,
        };
        link.upstream.request(outgoing).await.map_err(failed)
    }
}

/// Waits until the client cancels; for ever, where it cancels by going away.
async fn cancelled(call: &Call) {
    match call.cancel() {
        Some(cancel) => cancel.wait().await,
        None => std::future::pending().await,
    }
}

fn deadline_of(call: &Call, plan: &UpstreamPlan) -> Duration {
    match call.aim() {
        Target::Tool(tool) => tool.deadline_ms.map_or(plan.deadline, Duration::from_millis),
        _ => plan.deadline,
    }
}

/// What the gateway declares when it asks a server what it has: extensions that it carries for clients that declare them. A
/// server names an extension only to who knows it (SEP-2133).
fn extensions() -> Raw {
    const CARRIED: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/skills":{},"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#;
    Raw::own(CARRIED).unwrap_or_else(|_| empty_object())
}

/// Whose connection carries a call (see the header of `lane`).
fn link_key(call: &Call, lane: &Lane) -> LinkKey {
    let speaks = lane.speaks();
    match (call.era(), speaks, &call.client().session) {
        (Era::Legacy, Some(speaks), Some(session)) if speaks.legacy => LinkKey::Session(Arc::clone(&session.id)),
        (_, Some(speaks), _) if speaks.modern => LinkKey::Shared,
        (Era::Legacy, None, Some(session)) => LinkKey::Session(Arc::clone(&session.id)),
        _ => LinkKey::Principal(Arc::clone(principal_of(call.caller()))),
    }
}

fn hello(call: &Call, key: &LinkKey, greeter: &Greeter) -> Hello {
    match (key, &call.client().session) {
        (LinkKey::Session(_), Some(session)) => Hello {
            eras: Eras::Legacy,
            capabilities: session.capabilities.clone(),
            client_info: session.info.clone().unwrap_or_else(|| greeter.info()),
            legacy_revision: session.revision,
        },
        (LinkKey::Principal(_), _) => Hello {
            eras: Eras::Legacy,
            // A stateless client cannot be asked on a legacy session, so the server must not try.
            capabilities: empty_object(),
            client_info: greeter.info(),
            legacy_revision: Revision::NEWEST_LEGACY,
        },
        _ => Hello {
            eras: Eras::Modern,
            capabilities: empty_object(),
            client_info: greeter.info(),
            legacy_revision: Revision::NEWEST_LEGACY,
        },
    }
}

/// Why this client cannot be asked this; `None` when it can. The answer to the server is the protocol's own.
fn unaskable(call: &Call, question: &Request) -> Option<RpcError> {
    use portcullis_wire::error::METHOD_NOT_FOUND;
    let no = |what: &str| Some(RpcError::new(METHOD_NOT_FOUND, what));
    if call.client().session.is_none() {
        return no("this client cannot be asked");
    }
    match may_be_asked(call.client().capabilities.as_ref(), question) {
        true => None,
        false => no("the client did not declare this capability"),
    }
}

/// Whether a client with these capabilities has declared that it can be asked this. Vendor questions pass: whether the client
/// knows them is its own matter.
pub(crate) fn may_be_asked(capabilities: Option<&Raw>, question: &Request) -> bool {
    let capability = match question.method() {
        Method::SamplingCreateMessage => "sampling",
        Method::ElicitationCreate => "elicitation",
        Method::RootsList => "roots",
        _ => return true,
    };
    capabilities.is_some_and(|capabilities| capabilities.get(capability).is_some())
}

async fn refuse_question(link: &Link, question: &Request) {
    let refusal = RpcError::new(
        portcullis_wire::error::METHOD_NOT_FOUND,
        "the gateway itself cannot be asked",
    );
    let message = refusal.to_message(Some(question.id()), Era::Legacy);
    // A server that does not take the refusal runs into its own deadline.
    let _ = link.upstream.tell(Rope::one(message)).await;
}

/// The server's own name where the exposed one differs.
fn own_name(call: &Call) -> Option<String> {
    let params = call.request().params()?;
    let asked = params.get("name")?;
    let asked = asked.as_string()?;
    match call.aim() {
        Target::Tool(tool) if *tool.name != *asked => Some(tool.name.to_string()),
        Target::Prompt(item) if *item.name != *asked => Some(item.name.to_string()),
        _ => None,
    }
}

fn mirrored_name(request: &Request, own_name: Option<String>) -> Option<String> {
    own_name.or_else(|| {
        let params = request.params()?;
        let value = params.get(request.method().name_member()?)?;
        value.as_string().map(std::borrow::Cow::into_owned)
    })
}

fn mirrored_parameters(call: &Call) -> Result<Vec<(String, String)>, RouteError> {
    let Target::Tool(tool) = call.aim() else {
        return Ok(Vec::new());
    };
    if tool.mirrored.is_empty() {
        return Ok(Vec::new());
    }
    let arguments = call.request().params().and_then(|p| p.get("arguments"));
    header::parameters(&tool.mirrored, arguments.as_ref()).map_err(|error| RouteError::Json(error.to_string()))
}

fn progress_token(request: &Request) -> Option<Raw> {
    request.params()?.at(&["_meta", "progressToken"])
}

/// Whether a log message of another era's server is one that this client asked for.
fn wants_log(call: &Call, notification: &Notification) -> bool {
    let wanted = match &call.client().session {
        Some(session) => session.log_level().unwrap_or_else(|| "info".to_owned()),
        None => match &call.client().log_level {
            Some(level) => level.clone(),
            None => return false,
        },
    };
    let rank = |level: &str| crate::session::LEVELS.iter().position(|known| *known == level);
    let said = notification.params().and_then(|params| params.get("level"));
    let said = said.as_ref().and_then(Raw::as_string);
    match (said.and_then(|level| rank(&level)), rank(&wanted)) {
        (Some(said), Some(wanted)) => said >= wanted,
        _ => false,
    }
}

/// A JSON string, for own results.
fn quoted(text: &str) -> String {
    String::from_utf8(json::string(text)).unwrap_or_default()
}
