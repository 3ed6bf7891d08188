//! The ledger as its callers see it: open, intend, seal, refuse, note, close. It must not know how bytes get to disk.

use crate::{
    core::{Core, Ending, Health, Shared, Undo},
    evidence::{Intended, Sealed},
    keeper, publisher,
    record::{ACTION_CLOSED, Body, Decision, Event, EventKind, Handles, Outcome},
    recover::{self, OpenError},
    secrets::{CallKey, Secrets, Side},
    terms::{CallId, Durability, LedgerError, OPEN_CALLS_MAX, Options},
};
use portcullis_store::files::DirectoryLock;
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::SystemTime,
};
use tokio::sync::oneshot;

/// Why a ledger did not close cleanly. What was acknowledged is safe, and the next open recovers.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// The `stop` record could not be kept.
    #[error("the record could not be closed: {0}")]
    Record(#[from] LedgerError),
    /// The last checkpoint could not be published.
    #[error("the last checkpoint could not be published: {0}; hint: the next start does it")]
    Publish(String),
}

/// The tamper-evident log. Cheap to clone; every clone is the same log.
///
/// When the last clone goes without [`Ledger::close`], the threads end at once, as if the process had died: what was
/// acknowledged is safe, and the next [`Ledger::open`] recovers.
#[derive(Clone)]
pub struct Ledger {
    /// `None`: nothing is kept.
    handle: Option<Arc<Handle>>,
}

/// Owns the threads: they hold [`Shared`] only, so that they end when this goes.
struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Keeps other processes out as long as the threads may write.
    lock: Mutex<Option<DirectoryLock>>,
    /// The last word of the thread that publishes.
    published: Mutex<Option<oneshot::Receiver<Result<(), String>>>>,
}

impl Ledger {
    /// Opens the log in `options.directory`, or starts one, and writes `start`. What a crash left behind is recovered:
    /// a torn end is cut off, decisions without an outcome get `unknown`, and a `recovery` record says so.
    ///
    /// # Errors
    /// [`OpenError`]: in use, not ours, damaged in a place that was acknowledged, or the disk refuses.
    pub fn open(options: Options) -> Result<Ledger, OpenError> {
        let opened = recover::open(&options)?;
        let shared = Arc::new(opened.shared);
        let (tell, told) = oneshot::channel();
        let publisher = publisher::Publisher::new(opened.tiles, opened.follower, opened.verifier, opened.key);
        let (for_keeper, for_publisher) = (Arc::clone(&shared), Arc::clone(&shared));
        // Made before its threads: should the second not start, dropping this ends the first.
        let handle = Handle {
            shared,
            threads: Mutex::default(),
            lock: Mutex::new(Some(opened.lock)),
            published: Mutex::new(Some(told)),
        };
        handle.start("ledger-sync", move || keeper::run(&for_keeper))?;
        handle.start("ledger-tiles", move || publisher.run(&for_publisher, tell))?;
        Ok(Self {
            handle: Some(Arc::new(handle)),
        })
    }

    /// A ledger that keeps nothing and grants evidence all the same: for benchmarks, and for commands that make no call.
    pub fn danger_disabled() -> Ledger {
        Self { handle: None }
    }

    /// Whether records are kept at all: false only for [`Ledger::danger_disabled`].
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.handle.is_some()
    }

    /// A fresh id for a call.
    pub fn call_id(&self) -> CallId {
        self.handle.as_ref().map_or(CallId(0), |handle| handle.shared.next_id())
    }

    /// Puts the decision on the record, as safe as `durability` says, then hands `value` back as fit to be acted on.
    /// From then on the call is open: it wants one [`Ledger::seal`], or [`Ledger::abandon`].
    ///
    /// # Errors
    /// [`LedgerError`]: the record is not kept, or not as safe as asked; nothing may be sent upstream.
    pub async fn intend<T>(
        &self,
        decision: &Decision<'_>,
        durability: Durability,
        value: T,
    ) -> Result<Intended<T>, LedgerError> {
        let Some(handle) = &self.handle else {
            return Ok(Intended::new(value, 0));
        };
        let shared = &*handle.shared;
        let (body, call_key) = decision_body(&shared.secrets, decision, SystemTime::now());
        let call = decision.call;
        let (record, sync) = {
            let mut core = shared.lock();
            admit(&core, call)?;
            let record = shared.gather(&mut core, &[body], Undo::Opened(call))?;
            core.opened(call, call_key);
            (record, shared.decision_sync_for(&mut core, durability))
        };
        // Should it fail, or the caller lose patience, the decision may stand, and nobody acts on it.
        let mut guard = AbandonUnlessDone {
            shared,
            call: Some(call),
        };
        shared.kept(&record, sync).await?;
        guard.call = None;
        Ok(Intended::new(value, record.sequence))
    }

    /// Puts the outcome on the record, as safe as `durability` says, then hands `value` back as sealed.
    ///
    /// # Errors
    /// [`LedgerError`]: the record is not kept; the answer may not leave. The call is then closed as `unknown` as soon as
    /// the disk allows.
    pub async fn seal<T>(
        &self,
        outcome: &Outcome<'_>,
        durability: Durability,
        value: T,
    ) -> Result<Sealed<T>, LedgerError> {
        let Some(handle) = &self.handle else {
            return Ok(Sealed::new(value, 0));
        };
        let shared = &*handle.shared;
        let call = outcome.call;
        let call_key = shared
            .lock()
            .open
            .get(&call)
            .cloned()
            .ok_or(LedgerError::OutOfTurn(call))?;
        let body = outcome_body(shared, outcome, call_key.as_ref());
        let (record, sync) = {
            let mut core = shared.lock();
            // Looked up again: another outcome may have come between.
            if !core.open.contains_key(&call) {
                return Err(LedgerError::OutOfTurn(call));
            }
            let record = match shared.gather(&mut core, &[body], Undo::Closed(call, call_key)) {
                Ok(record) => record,
                Err(error) => {
                    shared.abandon(&mut core, call);
                    return Err(error);
                }
            };
            core.closed(call);
            (record, shared.sync_for(&mut core, durability))
        };
        shared.kept(&record, sync).await?;
        Ok(Sealed::new(value, record.sequence))
    }

    /// A call that is refused before anything is sent: decision and outcome, two records in one append, so that no crash
    /// comes between. `outcome.call` is taken from the decision.
    ///
    /// # Errors
    /// [`LedgerError`]: the record is not kept; the refusal may not leave.
    pub async fn refuse<T>(
        &self,
        decision: &Decision<'_>,
        outcome: &Outcome<'_>,
        durability: Durability,
        value: T,
    ) -> Result<Sealed<T>, LedgerError> {
        let Some(handle) = &self.handle else {
            return Ok(Sealed::new(value, 0));
        };
        let shared = &*handle.shared;
        let (decided, call_key) = decision_body(&shared.secrets, decision, SystemTime::now());
        let ended = outcome_body(
            shared,
            &Outcome {
                call: decision.call,
                ..*outcome
            },
            Some(&call_key),
        );
        let (record, sync) = {
            let mut core = shared.lock();
            admit(&core, decision.call)?;
            let record = shared.gather(&mut core, &[decided, ended], Undo::Nothing)?;
            (record, shared.sync_for(&mut core, durability))
        };
        shared.kept(&record, sync).await?;
        Ok(Sealed::new(value, record.sequence + 1))
    }

    /// Says that `call`, whose decision is on the record, gets no outcome from its caller (cancelled, panicked): the
    /// ledger writes `unknown` for it. Does not wait, so that `Drop` may call it. A call that is not open is left alone.
    pub fn abandon(&self, call: CallId) {
        if let Some(handle) = &self.handle {
            let mut core = handle.shared.lock();
            handle.shared.abandon(&mut core, call);
        }
    }

    /// Puts an event on the record, durable.
    ///
    /// # Errors
    /// [`LedgerError`]: the record is not kept.
    pub async fn note(&self, event: &Event<'_>) -> Result<(), LedgerError> {
        let Some(handle) = &self.handle else {
            return Ok(());
        };
        let shared = &*handle.shared;
        let actor = event.actor.map(|actor| shared.secrets.subject(actor));
        let body = Body::event(
            event,
            shared.next_id(),
            actor.as_ref().map(|actor| actor.handle()),
            SystemTime::now(),
        );
        let (record, sync) = {
            let mut core = shared.lock();
            let record = shared.gather(&mut core, &[body], Undo::Nothing)?;
            (record, shared.wait_for_sync(&mut core))
        };
        shared.kept(&record, Some(sync)).await
    }

    /// Whether the log takes records now. False from the first write that fails until one succeeds again, and when closed.
    pub fn is_writable(&self) -> bool {
        self.handle.as_ref().is_none_or(|handle| handle.shared.is_writable())
    }

    /// The length of the record so far: written, durable, and under the published checkpoint.
    pub fn progress(&self) -> Progress {
        let Some(handle) = &self.handle else {
            return Progress {
                written: 0,
                synced: 0,
                published: 0,
                open_calls: 0,
            };
        };
        let core = handle.shared.lock();
        Progress {
            written: core.writer.written(),
            synced: core.synced,
            published: core.published,
            open_calls: core.open.len(),
        }
    }

    /// What the threads share, for the tests that make the disk fail.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> Option<&Shared> {
        self.handle.as_ref().map(|handle| &*handle.shared)
    }

    /// Writes `unknown` for calls still open, and `stop`; syncs; publishes the last checkpoint; ends the threads. Other
    /// clones get [`LedgerError::Closed`] from now on.
    ///
    /// # Errors
    /// [`CloseError`]; the ledger is then shut all the same.
    pub async fn close(self) -> Result<(), CloseError> {
        let Some(handle) = &self.handle else {
            return Ok(());
        };
        let shared = &*handle.shared;
        let stopped = {
            let mut core = shared.lock();
            match append_stop(shared, &mut core) {
                Ok(()) => Ok(shared.wait_for_sync(&mut core)),
                Err(error) => Err(error),
            }
        };
        let stopped = match stopped {
            Ok(sync) => shared.synced(sync).await,
            Err(error) => Err(error),
        };
        let ending = if stopped.is_ok() { Ending::Finish } else { Ending::Now };
        handle.end(ending);
        let told = handle.published.lock().unwrap_or_else(PoisonError::into_inner).take();
        let published = match told {
            Some(told) => told
                .await
                .unwrap_or_else(|_| Err("the publishing thread ended early".to_owned())),
            None => Ok(()),
        };
        handle.join();
        stopped?;
        published.map_err(CloseError::Publish)
    }
}

fn append_stop(shared: &Shared, core: &mut Core) -> Result<(), LedgerError> {
    core.check()?;
    let open: Vec<CallId> = core.open.keys().copied().collect();
    let mut bodies: Vec<Body> = shared
        .unknown_outcomes(core, &open, "stopped")
        .into_iter()
        .map(|(_, body)| body)
        .collect();
    let stop = Event {
        kind: EventKind::Stop,
        action: ACTION_CLOSED,
        actor: None,
        details: &[],
    };
    bodies.push(Body::event(&stop, shared.next_id(), None, SystemTime::now()));
    shared.append(core, &bodies)?;
    core.open.clear();
    shared.set_health(core, Health::Closed);
    Ok(())
}

pub(crate) fn decision_body(secrets: &Secrets, decision: &Decision<'_>, now: SystemTime) -> (Body, CallKey) {
    let subject = secrets.subject(decision.who.subject);
    let call_key = subject.call_key(decision.call);
    let handles = Handles {
        subject: subject.handle(),
        session: decision.who.session.map(|session| subject.session(session)),
        input: call_key.commitment(Side::In, &decision.input.digest),
    };
    (Body::decision(decision, &handles, now), call_key)
}

fn outcome_body(shared: &Shared, outcome: &Outcome<'_>, call_key: Option<&CallKey>) -> Body {
    let commitment = outcome
        .output
        .zip(call_key)
        .map(|(output, key)| key.commitment(Side::Out, &output.digest));
    Body::outcome(outcome, shared.next_id(), commitment.as_ref(), SystemTime::now())
}

/// How far the record is, in numbers of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// In the page cache.
    pub written: u64,
    /// On the disk.
    pub synced: u64,
    /// Under the published checkpoint.
    pub published: u64,
    /// Decisions without an outcome.
    pub open_calls: usize,
}

fn admit(core: &Core, call: CallId) -> Result<(), LedgerError> {
    if core.open.contains_key(&call) {
        return Err(LedgerError::OutOfTurn(call));
    }
    if core.open.len() >= OPEN_CALLS_MAX {
        Err(LedgerError::TooManyOpen)
    } else {
        Ok(())
    }
}

/// Abandons the call when dropped with it: on failure, and when the future that waits is dropped.
struct AbandonUnlessDone<'a> {
    shared: &'a Shared,
    call: Option<CallId>,
}

impl Drop for AbandonUnlessDone<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            let mut core = self.shared.lock();
            self.shared.abandon(&mut core, call);
        }
    }
}

impl Handle {
    fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        /// Both threads keep their buffers on the heap.
        const STACK_BYTES: usize = 512 * 1024;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(work)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn end(&self, ending: Ending) {
        let mut core = self.shared.lock();
        core.ending = ending;
        if ending == Ending::Now && !matches!(core.health, Health::Closed) {
            self.shared.set_health(&mut core, Health::Closed);
        }
        drop(core);
        self.shared.sync_wake.notify_all();
        self.shared.tiles_wake.notify_all();
    }

    fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        // Before another process may write. Where it fails the next start knows zeros for what they are.
        let _ = self.shared.lock().writer.trim();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end(Ending::Now);
        self.join();
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}
