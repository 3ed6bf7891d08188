//! What belongs to no call: list changes, updates of resources, a legacy server's questions out of nowhere, idle sessions.
//! Whatever of it reaches a client goes through the screen.

use super::strewn::{Strewn, StrewnData};
use super::{Gateway, ingest};
use crate::answer::Body;
use crate::catalog::Known;
use crate::labels::Labelled;
use crate::refusal::Refusal;
use crate::route::{Changed, LinkKey, StrayNews, What, may_be_asked};
use crate::screen::{Seen, is_hop_local};
use crate::session::{Session, StandingAsked, token_of};
use crate::trail::Trail;
use portcullis_ledger::Detail;
use portcullis_transport::{Event, Stray};
use portcullis_wire::{Id, Method, Notification, Request};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// Lines of what was found that a record of it has.
const SEEN_MAX: usize = 12;
/// Pause before the gateway subscribes again at an upstream that ended its subscription.
const FOLLOW_PAUSE: Duration = Duration::from_secs(5);

impl Gateway {
    /// Starts the gateway's own tasks.
    pub(super) fn keep_up(self: &Arc<Self>, heard: mpsc::Receiver<StrayNews>) {
        let mut again = HashMap::new();
        for upstream in self.route.upstreams() {
            let wake = Arc::new(Notify::new());
            again.insert(Arc::clone(upstream), Arc::clone(&wake));
            tokio::spawn(ingest::keep(
                Arc::downgrade(self),
                Arc::clone(upstream),
                Arc::clone(&wake),
            ));
            tokio::spawn(follow_lists(Arc::downgrade(self), Arc::clone(upstream)));
        }
        tokio::spawn(read_strays(Arc::downgrade(self), heard, again));
        tokio::spawn(sweep(Arc::downgrade(self)));
    }

    async fn stray(&self, news: StrayNews, again: &HashMap<Arc<str>, Arc<Notify>>) {
        let StrayNews { upstream, key, stray } = news;
        match stray {
            Stray::News(notification) => match what_changed(notification.method()) {
                Some(what) => {
                    // First what we know, then the word to clients, so that a client that asks at once sees the new list.
                    if let Some(wake) = again.get(&upstream) {
                        self.take_in_now(wake).await;
                    }
                    self.tell_all(&upstream, what, &notification).await;
                }
                // A server takes back a question of its own number, which its client never saw.
                None if is_hop_local(notification.method()) => {}
                None => self.to_session(&upstream, &key, &notification).await,
            },
            Stray::Question(question) => {
                if !self.ask_standing(&upstream, &key, &question).await {
                    self.route.decline(&upstream, &key, &question).await;
                }
            }
            Stray::Gone(reason) if self.is_closing.load(Ordering::Relaxed) => {
                tracing::debug!(%upstream, reason, "connection closed");
            }
            Stray::Gone(reason) => {
                tracing::warn!(%upstream, reason, "connection lost");
                if key == LinkKey::Shared
                    && let Some(wake) = again.get(&upstream)
                {
                    wake.notify_one();
                }
            }
        }
    }

    /// Wakes the upstream's keeper and waits until catalog and policy have taken in what it lists, within reason.
    async fn take_in_now(&self, wake: &Notify) {
        let mut taken_in = self.taken_in.subscribe();
        wake.notify_one();
        let _ = tokio::time::timeout(Duration::from_secs(10), taken_in.changed()).await;
    }

    async fn tell_all(&self, upstream: &Arc<str>, what: What, notification: &Notification) {
        self.route.announce(Changed {
            upstream: Arc::clone(upstream),
            what,
        });
        for session in self.sessions.all() {
            let concerned = self
                .catalog
                .view(&session.endpoint)
                .is_some_and(|view| view.upstreams.contains(upstream));
            if concerned {
                self.to_standing(upstream, &session, notification).await;
            }
        }
    }

    /// A legacy server asks out of nowhere: its client is asked on the session's standing stream, if it can be.
    async fn ask_standing(&self, upstream: &Arc<str>, key: &LinkKey, question: &Request) -> bool {
        let LinkKey::Session(id) = key else {
            return false;
        };
        let Some(session) = self.sessions.all().into_iter().find(|session| session.id == *id) else {
            return false;
        };
        let Some(outlet) = session
            .standing()
            .filter(|_| may_be_asked(Some(&session.capabilities), question))
        else {
            return false;
        };
        let asked = StandingAsked {
            question: session.question_id(),
            upstream: Arc::clone(upstream),
            request: question.clone(),
            token: token_of(question.params()),
        };
        let own = asked.question.clone();
        if !session.ask_standing(asked, &self.sessions.limits) {
            return false;
        }
        self.recorder
            .note(&portcullis_ledger::Event {
                kind: portcullis_ledger::EventKind::Control,
                action: "question_of_no_call",
                actor: None,
                details: &[
                    ("upstream", Detail::Text(upstream)),
                    ("method", Detail::Text(question.method().as_str())),
                ],
            })
            .await;
        let sink = self.screen.sink_to(outlet.clone());
        let asked = sink.try_question(question, &own);
        self.saw_in_no_call(upstream, &session, sink.seen()).await;
        match asked {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%upstream, ?error, "a question of no call was not passed on");
                session.answered_standing(&own);
                false
            }
        }
    }

    async fn to_session(&self, upstream: &Arc<str>, key: &LinkKey, notification: &Notification) {
        let LinkKey::Session(id) = key else {
            return;
        };
        if let Some(session) = self.sessions.all().into_iter().find(|session| session.id == *id) {
            self.to_standing(upstream, &session, notification).await;
        }
    }

    async fn to_standing(&self, upstream: &Arc<str>, session: &Session, notification: &Notification) {
        let Some(outlet) = session.standing() else {
            return;
        };
        let sink = self.screen.sink_to(outlet.clone());
        if sink.try_news(notification).is_err() {
            tracing::debug!(session = %session.id, "nobody reads the session's stream: news dropped");
        }
        self.saw_in_no_call(upstream, session, sink.seen()).await;
    }

    /// Puts what was found in what belongs to no call on the record: at once, or with what is found later in the same window.
    async fn saw_in_no_call(&self, upstream: &Arc<str>, session: &Session, seen: Seen) {
        if seen.is_empty() {
            return;
        }
        let due = self.strewn().saw(upstream, session.owner(), seen, Instant::now());
        if let Some(strewn) = due {
            self.tell_strewn(&strewn).await;
        }
    }

    /// Puts on the record what no record tells of yet, where its window is over.
    pub(super) async fn tell_all_strewn(&self, is_over: bool) {
        let due = self.strewn().due(Instant::now(), is_over);
        for strewn in due {
            self.tell_strewn(&strewn).await;
        }
    }

    async fn tell_strewn(&self, strewn: &Strewn) {
        let lines = strewn.seen.lines();
        let names: Vec<String> = (1..=SEEN_MAX).map(|at| format!("seen_{at:02}")).collect();
        let mut details = vec![("upstream", Detail::Text(&strewn.upstream))];
        details.extend(
            names
                .iter()
                .zip(&lines)
                .map(|(name, line)| (&**name, Detail::Text(line))),
        );
        if let Some(more) = lines.len().checked_sub(SEEN_MAX).filter(|more| *more > 0) {
            details.push(("seen_more", Detail::Number(more as u64)));
        }
        self.recorder
            .note(&portcullis_ledger::Event {
                kind: portcullis_ledger::EventKind::Control,
                action: "data_in_no_call",
                actor: Some(&strewn.owner),
                details: &details,
            })
            .await;
    }

    fn strewn(&self) -> std::sync::MutexGuard<'_, StrewnData> {
        self.strewn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back a question that the client may not see: nobody will answer it, and the server hears that its call is over.
    pub(super) fn unask(&self, asks: Option<(Arc<Session>, Id)>) {
        if let Some((session, question)) = asks {
            session.answered(&question);
            self.route.abandon(&session.id, &question);
        }
    }

    /// When an answer is a question, somebody must answer it: after the time a client may take, the call ends.
    pub(super) fn mind_question(self: &Arc<Self>, labelled: &Labelled) {
        let answer = labelled.answer();
        let (Body::Question { id, .. }, Some(session)) = (&answer.body, &answer.call.client().session) else {
            return;
        };
        let (gateway, session, question) = (Arc::downgrade(self), Arc::clone(session), id.clone());
        let wait = self.sessions.limits.question_wait;
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let Some(asked) = session.answered(&question) else {
                return;
            };
            let Some(gateway) = gateway.upgrade() else {
                return;
            };
            gateway.route.abandon(&session.id, &question);
            let trail = Trail::of_parked(&gateway.recorder, &asked, &session);
            let reply = gateway.recorder.seal(trail, Err(Refusal::Unanswered)).await;
            let _ = asked.outlet.reply(reply).await;
        });
    }
}

const fn what_changed(method: &Method) -> Option<What> {
    match method {
        Method::ToolsListChanged => Some(What::Tools),
        Method::PromptsListChanged => Some(What::Prompts),
        Method::ResourcesListChanged => Some(What::Resources),
        _ => None,
    }
}

async fn read_strays(
    gateway: Weak<Gateway>,
    mut heard: mpsc::Receiver<StrayNews>,
    again: HashMap<Arc<str>, Arc<Notify>>,
) {
    while let Some(news) = heard.recv().await {
        let Some(gateway) = gateway.upgrade() else { return };
        gateway.stray(news, &again).await;
    }
}

/// Holds the gateway's own subscription at a modern upstream, for list changes; legacy ones tell without being asked.
async fn follow_lists(gateway: Weak<Gateway>, upstream: Arc<str>) {
    let Some(mut changes) = gateway.upgrade().map(|gateway| gateway.catalog.changes()) else {
        return;
    };
    loop {
        let exchange = match gateway.upgrade() {
            None => return,
            Some(gateway) => {
                let known = gateway.catalog.known();
                let listing = known.iter().find_map(|(name, known)| match known {
                    Known::Listed(listing) if *name == upstream => Some(listing),
                    _ => None,
                });
                let filters = listing
                    .filter(|listing| listing.greeting.revision.era() == portcullis_wire::Era::Modern)
                    .and_then(|listing| ingest::list_filters(&listing.greeting.capabilities));
                match filters {
                    Some(filters) => gateway.route.follow_lists(&upstream, &filters).await.ok(),
                    None => None,
                }
            }
        };
        let Some(mut exchange) = exchange else {
            // Nothing to follow now; the catalog changes when that may be different.
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(FOLLOW_PAUSE * 12) => {}
            }
            continue;
        };
        while let Ok(event) = exchange.next().await {
            let Event::News(notification) = event else { break };
            let Some(gateway) = gateway.upgrade() else { return };
            gateway
                .route
                .stray(StrayNews {
                    upstream: Arc::clone(&upstream),
                    key: LinkKey::Shared,
                    stray: Stray::News(notification),
                })
                .await;
        }
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

async fn sweep(gateway: Weak<Gateway>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(gateway) = gateway.upgrade() else { return };
        for session in gateway.sessions.sweep(Instant::now()) {
            gateway.forget(&session).await;
        }
        for session in gateway.sessions.all() {
            gateway.tell_dropped(&session, false).await;
        }
        gateway.tell_all_strewn(false).await;
        gateway.tell_failures(super::now_unix_s()).await;
    }
}
