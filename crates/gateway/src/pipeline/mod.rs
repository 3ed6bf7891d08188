//! The life of one message. Every line of [`Gateway::run`] is a stage; every stage hands over a type that the next one needs
//! and that nobody else can make.

mod ingest;
mod news;
mod notice;
mod outage;
mod strewn;

use crate::catalog::Catalog;
use crate::identity::{Caller, Failures, Identity, IdentityError, Method, Presented};
use crate::labels::{self, Labelled};
use crate::policy::{self, CatalogFacts, Policy, PolicyError, Problem};
use crate::refusal::Refusal;
use crate::route::{Changed, Greeter, Route, StrayNews, UpstreamPlan, What};
use crate::screen::Screen;
use crate::session::{Admitted, Call, Sessions, Target, principal_of};
use crate::trail::{Recorder, Trail};
use portcullis_ledger::Sealed;
use portcullis_transport::{Ask, Authorization, BoxFuture, Handled, Inbound, Knock, Peer, Reply, TurnedAway};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};

/// Everything that a gateway is made of.
pub struct Parts {
    /// Who may knock.
    pub identity: Identity,
    /// What there is.
    pub catalog: Catalog,
    /// Legacy sessions; they survive a reload.
    pub sessions: Arc<Sessions>,
    /// Who may what.
    pub policy: Policy,
    /// What is looked at.
    pub screen: Screen,
    /// Where the record is.
    pub recorder: Recorder,
    /// The servers.
    pub upstreams: Vec<UpstreamPlan>,
    /// The version to show to peers.
    pub version: &'static str,
}

/// The gateway. A reload builds another and swaps it in; calls in flight end in the one that they began in.
pub struct Gateway {
    identity: Identity,
    failures: Mutex<Failures>,
    catalog: Catalog,
    sessions: Arc<Sessions>,
    policy: Policy,
    screen: Screen,
    recorder: Recorder,
    route: Route,
    /// What was found in what belongs to no call, until the record tells of it.
    strewn: Mutex<strewn::StrewnData>,
    /// What was last said of the policies over the catalog.
    said: Mutex<Vec<Problem>>,
    /// Grows when catalog and policy have both taken in what an upstream lists.
    taken_in: watch::Sender<u64>,
    /// Connections end because we end them.
    is_closing: AtomicBool,
}

/// How long a first request waits for upstreams that are still starting.
const SETTLE_WAIT: Duration = Duration::from_secs(15);
/// Strays that wait for the one task that reads them.
const STRAYS_MAX: usize = 1_024;

impl Gateway {
    /// Puts the parts together and starts the tasks that keep the catalog, the sessions and the subscriptions up to date, on
    /// the current runtime. They end when the gateway is dropped or [`Gateway::close`]d.
    #[must_use]
    pub fn start(parts: Parts) -> Arc<Self> {
        let (strays, heard) = mpsc::channel::<StrayNews>(STRAYS_MAX);
        let gateway = Arc::new(Self {
            route: Route::new(parts.upstreams, strays, Greeter::new(parts.version)),
            identity: parts.identity,
            failures: Mutex::default(),
            strewn: Mutex::default(),
            said: Mutex::default(),
            taken_in: watch::Sender::new(parts.catalog.epoch()),
            is_closing: AtomicBool::new(false),
            catalog: parts.catalog,
            sessions: parts.sessions,
            policy: parts.policy,
            screen: parts.screen,
            recorder: parts.recorder,
        });
        gateway.keep_up(heard);
        gateway
    }

    /// Takes one message from a transport to its end.
    pub async fn handle(self: Arc<Self>, inbound: Box<Inbound>) -> Handled {
        let mut trail = Trail::begin(&self.recorder, &inbound);
        let caller = match self.authenticate(&inbound.peer, inbound.authorization.as_ref()) {
            Ok(caller) => caller,
            Err(error) => return Handled::Unauthenticated(self.turn_away(error).await),
        };
        trail.caller(&caller);
        self.settle(&inbound).await;
        match self.sessions.admit(&self.catalog, inbound, caller) {
            Ok(Admitted::Call(call)) => Handled::Sealed(self.finish(call, trail).await),
            Ok(Admitted::Resumed(call)) => {
                // The client's answer is taken; what comes of it belongs on the stream of the call that asked.
                tokio::spawn(async move {
                    let outlet = call.client().outlet.clone();
                    let reply = self.finish(call, trail).await;
                    // A client that is gone has no stream; the outcome is on the record.
                    let _ = outlet.reply(reply).await;
                });
                Handled::Accepted
            }
            Ok(Admitted::Heard | Admitted::StreamOpened) => Handled::Accepted,
            Ok(Admitted::Tell(notice)) => {
                self.tell(*notice).await;
                Handled::Accepted
            }
            Ok(Admitted::Withdrawn(session, question)) => {
                self.route.abandon(&session, &question);
                Handled::Accepted
            }
            Ok(Admitted::SessionClosed(session)) => {
                self.forget(&session).await;
                Handled::Accepted
            }
            Ok(Admitted::SessionGone) => Handled::SessionGone,
            Ok(Admitted::SessionMissing) => Handled::SessionMissing,
            Err(error) => Handled::Sealed(self.recorder.seal(trail, Err(error.into())).await),
        }
    }

    /// One call to its sealed reply, whatever happens.
    async fn finish(self: &Arc<Self>, call: Box<Call>, mut trail: Box<Trail>) -> Sealed<Reply> {
        trail.admitted(&call);
        let waits = match call.target() {
            Target::Resume { asked, .. } => call
                .client()
                .session
                .as_ref()
                .map(|session| (Arc::clone(&session.id), asked.question.clone())),
            _ => None,
        };
        let outcome = self.run(call, &mut trail).await;
        if let (Err(_), Some((session, question))) = (&outcome, &waits) {
            // The server still waits for an answer that will not come.
            self.route.abandon(session, question);
        }
        if let Ok(labelled) = &outcome {
            self.mind_question(labelled);
        }
        self.recorder.seal(trail, outcome).await
    }

    /// The stages.
    async fn run(&self, call: Box<Call>, trail: &mut Trail) -> Result<Labelled, Refusal> {
        let call = self
            .policy
            .decide(call)
            .inspect_err(|PolicyError::Denied(decided)| trail.decided(decided, false))?;
        trail.decided(call.decided(), true);
        let call = self.screen.call(call, &mut trail.received)?;
        let sink = self.screen.sink(&call);
        let call = self.recorder.intend(trail, call).await?;
        let answer = self.route.send(call, sink.clone(), &self.sessions, &trail.effort).await;
        trail.news(&sink);
        let answer = answer?;
        let asks = answer.asks();
        let answer = self.screen.answer(answer, &mut trail.sent);
        let answer = answer.inspect_err(|_| self.unask(asks))?;
        Ok(labels::attach(answer))
    }

    /// What policies may name at this moment.
    #[must_use]
    pub fn facts(&self) -> CatalogFacts {
        policy::facts(&self.catalog.known(), self.catalog.paths(), &self.identity)
    }

    /// Puts other API keys in force. For the moment when nothing else can be: a key that was revoked must not live on because
    /// a policy has a fault.
    pub fn replace_keys(&self, keys: crate::identity::KeyRing) {
        self.identity.replace_keys(keys);
    }

    /// Says who knocks, for a transport that has a large body to take. Nothing else is decided here: the message that comes is
    /// authenticated again, and one that does not come was not needed to turn its sender away.
    ///
    /// # Errors
    /// The refusal that the message would meet, counted as its own would be.
    pub fn vouch(self: Arc<Self>, knock: &Knock<'_>) -> Result<Arc<str>, BoxFuture<'static, TurnedAway>> {
        match self.authenticate(knock.peer, knock.authorization) {
            Ok(caller) => Ok(match (caller.subject().method(), knock.peer.address) {
                // All have one name.
                (Method::Anonymous, Some(address)) => address.ip().to_canonical().to_string().into(),
                _ => Arc::clone(principal_of(&caller)),
            }),
            Err(error) => Err(Box::pin(async move { self.turn_away(error).await })),
        }
    }

    fn authenticate(&self, peer: &Peer, authorization: Option<&Authorization>) -> Result<Caller, IdentityError> {
        self.identity.authenticate(Presented {
            authorization: authorization.map(Authorization::danger_secret),
            peer_is_loopback: peer
                .address
                .is_none_or(|address| address.ip().to_canonical().is_loopback()),
            os_user: peer.os_user.as_deref(),
            now_unix_s: now_unix_s(),
        })
    }

    /// A stranger costs a counter, and one record a window.
    async fn turn_away(&self, error: IdentityError) -> TurnedAway {
        let count = self
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .observe(now_unix_s());
        if let Some(count) = count {
            self.recorder.turned_away(count).await;
        }
        TurnedAway {
            challenge: error.challenge(),
            message: error.to_string(),
        }
    }

    /// Puts failed authentications on the record that no record tells of yet, where their window is over.
    async fn tell_failures(&self, now_unix_s: u64) {
        let untold = self
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush(now_unix_s);
        if let Some(count) = untold {
            self.recorder.turned_away(count).await;
        }
    }

    /// A first request may come before the upstreams have answered: it waits for them rather than see an empty house.
    async fn settle(&self, inbound: &Inbound) {
        if !matches!(inbound.ask, Ask::Request(_)) {
            return;
        }
        let settled = || {
            let taken_in = *self.taken_in.borrow();
            // The policy must know what the catalog shows, or the first lists would be empty.
            self.catalog
                .view(&inbound.endpoint)
                .is_none_or(|view| view.settled && taken_in >= view.epoch)
        };
        if settled() {
            return;
        }
        let mut taken_in = self.taken_in.subscribe();
        let waiting = async { while !settled() && taken_in.changed().await.is_ok() {} };
        // Whatever is still missing then is named in the answer.
        let _ = tokio::time::timeout(SETTLE_WAIT, waiting).await;
    }

    /// Waits until every upstream has been asked once, at most for `patience`.
    pub async fn settled(&self, patience: Duration) {
        let mut taken_in = self.taken_in.subscribe();
        let settled = || {
            self.catalog
                .known()
                .iter()
                .all(|(_, known)| !matches!(known, crate::catalog::Known::Pending))
        };
        let waiting = async { while !settled() && taken_in.changed().await.is_ok() {} };
        // Whatever is missing then is shown as missing.
        let _ = tokio::time::timeout(patience, waiting).await;
    }

    /// The catalog, for `portcullis catalog`.
    #[must_use]
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The policies in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether calls can be taken: the record can be written.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.recorder.is_writable()
    }

    /// Ends subscriptions properly, closes the connections to all servers and completes the record.
    pub async fn close(&self) {
        self.drain();
        self.is_closing.store(true, Ordering::Relaxed);
        self.route.close().await;
        self.tell_all_strewn(true).await;
        self.tell_failures(u64::MAX).await;
    }

    /// Tells every subscription that it ends.
    pub fn drain(&self) {
        self.route.announce(Changed {
            upstream: "".into(),
            what: What::Draining,
        });
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

fn now_unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
