//! What is asked, and by which client: legacy sessions, and the admission of each message. From here on there is one shape.
//!
//! A session is bound to the principal that opened it; a session id is never a credential (PROTOCOL 3.2, 3.6).

mod admit;
mod call;
mod cancel;
mod notice;
mod tasks;

pub(crate) use admit::{Admitted, LEVELS, SAID_BYTES_MAX, SessionError, settle};
pub(crate) use call::{Asked, Call, Client, ListKind, StandingAsked, Target};
pub(crate) use cancel::Cancel;
pub(crate) use notice::{Notice, Told, token_of};
pub(crate) use tasks::Tasks;

use crate::identity::Caller;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use notice::Allowance;
use portcullis_transport::Outlet;
use portcullis_wire::{Id, Raw, Revision};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Bounds on what clients may hold open.
#[derive(Debug, Clone)]
pub struct SessionLimits {
    /// Legacy sessions at one time.
    pub sessions_max: usize,
    /// Those of one principal, so that nobody can have all of them.
    pub sessions_per_caller_max: usize,
    /// A session that nobody used for so long is ended.
    pub idle: Duration,
    /// Requests in flight in one session.
    pub in_flight_max: usize,
    /// Questions to a client that may wait in one session.
    pub questions_max: usize,
    /// How long a client may take to answer one.
    pub question_wait: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            sessions_max: 10_000,
            sessions_per_caller_max: 256,
            idle: Duration::from_secs(3600),
            in_flight_max: 1_024,
            questions_max: 64,
            question_wait: Duration::from_secs(600),
        }
    }
}

/// A legacy session with one client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: Arc<str>,
    owner: Arc<str>,
    pub(crate) endpoint: Arc<str>,
    pub(crate) revision: Revision,
    pub(crate) capabilities: Raw,
    pub(crate) info: Option<Raw>,
    log_level: Mutex<Option<String>>,
    standing: Option<Outlet>,
    asked: Mutex<HashMap<Id, Arc<Asked>>>,
    standing_asked: Mutex<HashMap<Id, Arc<StandingAsked>>>,
    in_flight: Arc<InFlightTable>,
    used: Mutex<Instant>,
    questions: AtomicU64,
    notices: Mutex<Allowance>,
}

/// Calls by the client's own id, for `notifications/cancelled`.
#[derive(Debug, Default)]
pub(crate) struct InFlightTable {
    calls: Mutex<HashMap<Id, Arc<Cancel>>>,
}

/// All legacy sessions, and what modern stdio clients have in flight. Survives a reload.
#[derive(Debug)]
pub struct Sessions {
    table: RwLock<Table>,
    /// Modern clients behind stdio cancel by notification too; there is one such client in a process.
    stdio: Arc<InFlightTable>,
    pub(crate) tasks: Tasks,
    pub(crate) limits: SessionLimits,
}

/// Sessions by their ids, and how many each principal has.
#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<Arc<str>, Arc<Session>>,
    /// Who has none is not in it.
    counts: HashMap<Arc<str>, usize>,
}

impl Table {
    fn insert(&mut self, session: Arc<Session>) {
        // Behind stdio the id is always the same.
        self.remove(&session.id);
        *self.counts.entry(Arc::clone(&session.owner)).or_default() += 1;
        self.sessions.insert(Arc::clone(&session.id), session);
    }

    fn remove(&mut self, id: &str) {
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        if let Some(count) = self.counts.get_mut(&session.owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&session.owner);
            }
        }
    }
}

/// There are too many sessions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TooManySessions {
    /// In all.
    InAll,
    /// Of this caller, who has so many.
    OfCaller(usize),
}

impl Sessions {
    /// No sessions.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self {
            table: RwLock::default(),
            stdio: Arc::default(),
            tasks: Tasks::default(),
            limits,
        }
    }

    /// Opens a session for the caller of `initialize`.
    pub(crate) fn open(
        &self,
        caller: &Caller,
        endpoint: &Arc<str>,
        client: &Client,
        revision: Revision,
    ) -> Result<Arc<Session>, TooManySessions> {
        let id: Arc<str> = match client.is_stdio {
            true => STDIO_SESSION.into(),
            false => random_id().into(),
        };
        let session = Arc::new(Session {
            id,
            owner: Arc::clone(principal_of(caller)),
            endpoint: Arc::clone(endpoint),
            revision,
            capabilities: client.capabilities.clone().unwrap_or_else(empty_object),
            info: client.info.clone(),
            log_level: Mutex::default(),
            standing: client.standing.clone(),
            asked: Mutex::default(),
            standing_asked: Mutex::default(),
            in_flight: Arc::default(),
            used: Mutex::new(Instant::now()),
            questions: AtomicU64::new(0),
            notices: Mutex::default(),
        });
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let own = table.counts.get(&session.owner).copied().unwrap_or_default();
        if own >= self.limits.sessions_per_caller_max {
            return Err(TooManySessions::OfCaller(own));
        }
        if table.sessions.len() >= self.limits.sessions_max {
            return Err(TooManySessions::InAll);
        }
        table.insert(Arc::clone(&session));
        Ok(session)
    }

    /// The session `id`, if it is `caller`'s and belongs to `endpoint`. Whoever else asks learns no more than that there is
    /// none.
    pub(crate) fn find(&self, id: &str, caller: &Caller, endpoint: &str) -> Option<Arc<Session>> {
        let session = {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            table.sessions.get(id).map(Arc::clone)?
        };
        if session.owner != *principal_of(caller) || &*session.endpoint != endpoint {
            return None;
        }
        *session.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Some(session)
    }

    /// Ends a session. Its standing stream closes with it.
    pub(crate) fn close(&self, id: &str) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.remove(id);
    }

    /// Ends the sessions that nobody used for too long, and returns them.
    pub(crate) fn sweep(&self, now: Instant) -> Vec<Arc<Session>> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let idle: Vec<_> = table
            .sessions
            .values()
            .filter(|session| {
                let used = *session.used.lock().unwrap_or_else(PoisonError::into_inner);
                now.duration_since(used) > self.limits.idle && session.is_quiet()
            })
            .map(Arc::clone)
            .collect();
        for session in &idle {
            table.remove(&session.id);
        }
        idle
    }

    /// All sessions of an endpoint, for news that concern every client.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.sessions.values().map(Arc::clone).collect()
    }
}

/// What [`portcullis_transport`]'s stdio server calls its one session.
pub(crate) const STDIO_SESSION: &str = "stdio";

impl Session {
    pub(crate) fn set_log_level(&self, level: &str) {
        *self.log_level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level.to_owned());
    }

    pub(crate) fn log_level(&self) -> Option<String> {
        self.log_level.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whose it is.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Where messages outside any request go.
    pub(crate) const fn standing(&self) -> Option<&Outlet> {
        self.standing.as_ref()
    }

    /// A fresh id for a question to the client.
    pub(crate) fn question_id(&self) -> Id {
        let number = self.questions.fetch_add(1, Ordering::Relaxed);
        Id::string(&format!("q{number}"))
    }

    /// Remembers a question until the client answers it.
    pub(crate) fn ask(&self, asked: Asked, limits: &SessionLimits) -> bool {
        let mut table = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= limits.questions_max {
            return false;
        }
        table.insert(asked.question.clone(), Arc::new(asked));
        true
    }

    /// Remembers a question that belongs to no call; whether there was room for it.
    pub(crate) fn ask_standing(&self, asked: StandingAsked, limits: &SessionLimits) -> bool {
        let mut table = self.standing_asked.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= limits.questions_max {
            return false;
        }
        table.insert(asked.question.clone(), Arc::new(asked));
        true
    }

    /// Takes the question of no call that `id` answers.
    pub(crate) fn answered_standing(&self, id: &Id) -> Option<Arc<StandingAsked>> {
        self.standing_asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id)
    }

    /// Takes the question that `id` answers; each is answered once.
    pub(crate) fn answered(&self, id: &Id) -> Option<Arc<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// The server whose question with this progress token waits for an answer; `None` when there is none, or two have chosen
    /// the same token: then nobody can tell which of them is meant.
    pub(crate) fn asker(&self, token: &Id) -> Option<Arc<str>> {
        let mut askers: Vec<Arc<str>> = {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = asked.values().filter(|asked| asked.token.as_ref() == Some(token));
            asked
                .filter_map(|asked| asked.target.upstream().map(Arc::clone))
                .collect()
        };
        {
            let asked = self.standing_asked.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = asked.values().filter(|asked| asked.token.as_ref() == Some(token));
            askers.extend(asked.map(|asked| Arc::clone(&asked.upstream)));
        }
        let asker = askers.pop()?;
        askers.iter().all(|other| *other == asker).then_some(asker)
    }

    /// Whether the session may send a notification to so many servers now; see [`Allowance::take`].
    pub(crate) fn may_tell(&self, servers: usize, now: Instant) -> Result<(), Option<u64>> {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.take(servers, now)
    }

    /// See [`Allowance::untold`].
    pub(crate) fn untold(&self, now: Instant, is_over: bool) -> Option<u64> {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.untold(now, is_over)
    }

    /// Takes back the question that was asked in the course of the call `id`, which the client has cancelled.
    pub(crate) fn withdraw(&self, id: &Id) -> Option<Id> {
        let mut table = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let question = table
            .values()
            .find(|asked| asked.request.id() == id)
            .map(|asked| asked.question.clone())?;
        table.remove(&question);
        Some(question)
    }

    pub(crate) const fn in_flight(&self) -> &Arc<InFlightTable> {
        &self.in_flight
    }

    fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }
}

impl InFlightTable {
    /// Registers a call; `None` when its id is in use already or there are too many.
    pub(crate) fn register(self: &Arc<Self>, id: &Id, max: usize) -> Option<call::InFlight> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= max || calls.contains_key(id) {
            return None;
        }
        let cancel = Arc::new(Cancel::default());
        calls.insert(id.clone(), Arc::clone(&cancel));
        Some(call::InFlight {
            cancel,
            unregister: Box::new(Registered {
                table: Arc::clone(self),
                id: id.clone(),
            }),
        })
    }

    /// Cancels the call `id`; nothing when it is over.
    pub(crate) fn cancel(&self, id: &Id) {
        let cancel = {
            let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.get(id).map(Arc::clone)
        };
        if let Some(cancel) = cancel {
            cancel.set();
        }
    }

    fn is_empty(&self) -> bool {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

#[derive(Debug)]
struct Registered {
    table: Arc<InFlightTable>,
    id: Id,
}

impl call::Unregister for Registered {
    fn unregister(&self) {
        self.table
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

/// `{}`.
pub(crate) fn empty_object() -> Raw {
    #[expect(clippy::expect_used, reason = "the constant is JSON")]
    Raw::own("{}").expect("a constant")
}

/// `user:NAME` or `agent:NAME`: what sessions, tasks and records are bound to.
pub(crate) fn principal_of(caller: &Caller) -> &Arc<str> {
    caller.subject().principal()
}

/// 16 random bytes as Base64url: visible ASCII, not to be guessed (2025-11-25, basic/transports, session management).
fn random_id() -> String {
    let mut bytes = [0u8; 16];
    // The system's generator does not fail once seeded; if it does, an id of zeros must not be handed out.
    match rand::fill(&mut bytes) {
        Ok(()) => URL_SAFE_NO_PAD.encode(bytes),
        Err(_) => std::process::abort(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Identity, Issuers, KeyRing, Presented};

    /// `name`, as the operating system would say it.
    fn caller(name: &str) -> Caller {
        let identity = Identity::new(KeyRing::default(), Issuers::new(Vec::new()).unwrap(), None, true).unwrap();
        let presented = Presented {
            authorization: None,
            peer_is_loopback: true,
            os_user: Some(name),
            now_unix_s: 0,
        };
        identity.authenticate(presented).unwrap()
    }

    fn open(sessions: &Sessions, name: &str) -> Result<Arc<str>, TooManySessions> {
        let (outlet, _) = Outlet::channel();
        let client = Client {
            revision: Revision::NEWEST_LEGACY,
            capabilities: None,
            info: None,
            log_level: None,
            outlet,
            standing: None,
            is_stdio: false,
            session: None,
        };
        let session = sessions.open(&caller(name), &"".into(), &client, Revision::NEWEST_LEGACY)?;
        Ok(Arc::clone(&session.id))
    }

    #[test]
    fn nobody_has_all_sessions_and_those_that_end_make_room() {
        let sessions = Sessions::new(SessionLimits {
            sessions_max: 3,
            sessions_per_caller_max: 2,
            ..SessionLimits::default()
        });
        let first = open(&sessions, "ana").unwrap();
        open(&sessions, "ana").unwrap();
        assert_eq!(open(&sessions, "ana"), Err(TooManySessions::OfCaller(2)));
        open(&sessions, "ben").unwrap();
        assert_eq!(open(&sessions, "ben"), Err(TooManySessions::InAll));
        // Ended once, it makes room once.
        sessions.close(&first);
        sessions.close(&first);
        open(&sessions, "ana").unwrap();
        assert_eq!(open(&sessions, "ana"), Err(TooManySessions::OfCaller(2)));
        // So do those that nobody uses any more.
        let later = Instant::now() + sessions.limits.idle + Duration::from_secs(1);
        assert_eq!(sessions.sweep(later).len(), 3);
        assert!(sessions.table.read().unwrap().counts.is_empty(), "nobody is remembered");
        open(&sessions, "ana").unwrap();
        open(&sessions, "ana").unwrap();
        assert_eq!(open(&sessions, "ana"), Err(TooManySessions::OfCaller(2)));
    }
}
