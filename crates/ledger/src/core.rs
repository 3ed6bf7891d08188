//! What the ledger's callers and its two threads share, under one short lock: the journal's writer, the open calls, who
//! waits for a sync, and whether the disk is well. It must not know about tiles, nor what a record says.

use crate::{
    journal::Writer,
    record::{Body, RECORD_BYTES_MAX},
    secrets::{CallKey, Secrets},
    terms::{CallId, Durability, LedgerError, Options},
    tree::TILE_WIDTH_U64,
    waiters::{Waiters, Waiting},
};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// Where things are, and how large and how often.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) log: PathBuf,
    pub(crate) journal: PathBuf,
    pub(crate) keys: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) segment_bytes: u64,
    /// Half the time within which a record is published: it is synced in one half and published in the other.
    pub(crate) half_interval: Duration,
    pub(crate) publish_records: u64,
    pub(crate) retry_interval: Duration,
}

impl Layout {
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            log: options.directory.join("log"),
            journal: options.directory.join("journal"),
            keys: options.directory.join("keys"),
            scratch: options.directory.join("scratch"),
            segment_bytes: options.segment_bytes,
            half_interval: options.publish_interval / 2,
            publish_records: options.publish_records.max(1),
            retry_interval: options.retry_interval,
        }
    }
}

/// The ledger but for its threads.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) layout: Layout,
    pub(crate) secrets: Secrets,
    core: Mutex<Core>,
    /// For the thread that syncs.
    pub(crate) sync_wake: Condvar,
    /// For the thread that makes tiles.
    pub(crate) tiles_wake: Condvar,
    writable: AtomicBool,
    /// The next [`CallId`].
    run: u64,
    counter: AtomicU64,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) writer: Writer,
    /// What becomes of the records that the writer has gathered.
    batch: Option<Batch>,
    /// Calls whose decision is on the record and whose outcome is not.
    pub(crate) open: HashMap<CallId, Option<CallKey>>,
    /// How many of them have an id that is not below `fresh_from`: they began after the last sync did. Others have lasted longer
    /// than a sync, and may last for hours.
    fresh: usize,
    fresh_from: CallId,
    /// Open calls that get no outcome from their caller.
    pub(crate) abandoned: Vec<CallId>,
    /// Records that are durable.
    pub(crate) synced: u64,
    /// Records in tiles, under a checkpoint or not yet.
    pub(crate) tiled: u64,
    /// Records under the published checkpoint.
    pub(crate) published: u64,
    pub(crate) health: Health,
    /// Why tiles cannot be written, where they cannot.
    pub(crate) tiles_trouble: Option<Arc<str>>,
    pub(crate) waiters: Waiters,
    /// Segments that were left behind before they were synced.
    pub(crate) unsynced_segments: Vec<Arc<File>>,
    /// When records that nobody waits for are synced all the same.
    pub(crate) sync_due: Option<Instant>,
    pub(crate) last_sync: Option<LastSync>,
    pub(crate) syncer: Syncer,
    pub(crate) tiles_sleep: bool,
    pub(crate) ending: Ending,
    #[cfg(test)]
    pub(crate) syncs_to_fail: u32,
    #[cfg(test)]
    pub(crate) writes_to_fail: u32,
}

/// The sync before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastSync {
    pub(crate) ended: Instant,
    /// How many waited for it.
    pub(crate) waiters: usize,
}

/// So many durable records are put into tiles at once, long before they are published: what the journal and the reader of it
/// hold in the page cache is then little, and the same pages are used again and again while processors still hold them.
pub(crate) const TILED_AT_ONCE: u64 = 2 * TILE_WIDTH_U64;

/// How long the next sync waits for each caller that shared the last one, after its end: about what a call keeps a thread busy.
const PAUSE_FOR_EACH: Duration = Duration::from_micros(64);

/// The shortest and the longest of what that comes to.
const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(4);

/// The longest pause between a sync that `waiters` shared and the next one.
fn pause_after(waiters: usize) -> Duration {
    let each = u32::try_from(waiters).unwrap_or(u32::MAX);
    PAUSE_FOR_EACH
        .saturating_mul(each)
        .clamp(*PAUSES.start(), *PAUSES.end())
}

/// What the thread that syncs is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syncer {
    /// It works, or is about to look for work.
    Awake,
    /// It waits for callers to join those who wait.
    Pauses,
    /// There was nothing to do.
    Sleeps,
}

/// What is gathered goes to the file at this length, whether its turn is over or not.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// Whether a batch came to be in the file.
type Written = Arc<OnceLock<Result<(), LedgerError>>>;

/// Records that go to the file in one write.
#[derive(Debug, Default)]
struct Batch {
    written: Written,
    undo: Vec<Undo>,
}

/// What is as before where a batch does not come to be in the file.
#[derive(Debug)]
pub(crate) enum Undo {
    /// A call that its decision opened.
    Opened(CallId),
    /// A call that its outcome closed. It will get none from its caller.
    Closed(CallId, Option<CallKey>),
    /// Nothing.
    Nothing,
}

/// A record on its way into the journal.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// Its sequence.
    pub(crate) sequence: u64,
    written: Written,
}

/// A sync that is asked for. Its thread is woken once the lock is free: woken before, it would take the processor from whoever
/// holds the lock, and then wait for that.
#[derive(Debug)]
#[must_use = "its thread is woken by `Shared::synced`"]
pub(crate) struct PendingSync {
    waiting: Waiting,
    wakes: bool,
}

/// Whether the journal takes records.
#[derive(Debug, Clone)]
pub(crate) enum Health {
    /// It does.
    Writable,
    /// A write failed and was taken back, or tiles failed: what is in the journal is whole.
    WriteFailed(Arc<str>),
    /// A sync failed: what was not durable before may be gone from the disk though it reads well.
    SyncFailed(Arc<str>),
    /// Something that was promised is gone. Only a new start can find out more.
    Lost(Arc<str>),
    /// It is closed.
    Closed,
}

/// How the threads are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// They are not.
    No,
    /// Publish all that is durable, then end.
    Finish,
    /// At once, as if the process had died.
    Now,
}

impl Shared {
    pub(crate) fn new(layout: Layout, secrets: Secrets, core: Core, run: u64) -> Self {
        Self {
            layout,
            secrets,
            core: Mutex::new(core),
            sync_wake: Condvar::new(),
            tiles_wake: Condvar::new(),
            writable: AtomicBool::new(true),
            run,
            counter: AtomicU64::new(0),
        }
    }

    /// A poisoned lock is still good: every change below is whole before the next can fail.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_id(&self) -> CallId {
        self.id(self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// What [`Shared::next_id`] gives next.
    pub(crate) fn coming_id(&self) -> CallId {
        self.id(self.counter.load(Ordering::Relaxed))
    }

    fn id(&self, counter: u64) -> CallId {
        CallId(u128::from(self.run) << 64 | u128::from(counter))
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }

    /// Sets the health, and tells everybody whose records are gathered. What is closed stays so.
    pub(crate) fn set_health(&self, core: &mut Core, health: Health) {
        if matches!(core.health, Health::Closed) {
            return;
        }
        if let Health::WriteFailed(reason) | Health::SyncFailed(reason) | Health::Lost(reason) = &health {
            tracing::error!(%reason, "the record cannot be written; calls are refused");
        }
        self.writable
            .store(matches!(health, Health::Writable), Ordering::Release);
        core.health = health;
        if let Err(error) = core.check() {
            core.forget_batch(&error);
        }
    }

    /// Gathers `bodies`, which go to the file together or not at all, with what others gather in this turn of the thread's
    /// work: by [`Shared::kept`], or by the next sync. On failure the ledger is no longer writable.
    pub(crate) fn gather(&self, core: &mut Core, bodies: &[Body], undo: Undo) -> Result<Gathered, LedgerError> {
        core.check()?;
        if core.writer.bytes() >= self.layout.segment_bytes || core.writer.gathered_bytes() >= GATHERED_BYTES_MAX {
            self.write_out(core)?;
        }
        let sequence = match core.gather(bodies, self.layout.segment_bytes) {
            Ok(sequence) => sequence,
            Err(error) => return Err(self.write_failed(core, &error)),
        };
        if core.sync_due.is_none() {
            // No wake-up: the thread never sleeps longer than this by itself.
            core.sync_due = Instant::now().checked_add(self.layout.half_interval);
        }
        let batch = core.batch.get_or_insert_default();
        batch.undo.push(undo);
        Ok(Gathered {
            sequence,
            written: Arc::clone(&batch.written),
        })
    }

    /// Puts all that is gathered into the file. On failure the ledger is no longer writable.
    pub(crate) fn write_out(&self, core: &mut Core) -> Result<(), LedgerError> {
        #[cfg(test)]
        if let Some(left) = core.writes_to_fail.checked_sub(1) {
            core.writes_to_fail = left;
            return Err(self.write_failed(core, &io::Error::other("injected")));
        }
        match core.writer.write_out() {
            Ok(()) => {
                if let Some(batch) = core.batch.take() {
                    let _ = batch.written.set(Ok(()));
                }
                Ok(())
            }
            Err(error) => Err(self.write_failed(core, &error)),
        }
    }

    fn write_failed(&self, core: &mut Core, error: &io::Error) -> LedgerError {
        let reason = Arc::from(error.to_string());
        self.set_health(core, Health::WriteFailed(Arc::clone(&reason)));
        self.wake_sync(core);
        LedgerError::Unwritable { reason }
    }

    /// Gathers `bodies` and puts all that is gathered into the file.
    pub(crate) fn append(&self, core: &mut Core, bodies: &[Body]) -> Result<u64, LedgerError> {
        let gathered = self.gather(core, bodies, Undo::Nothing)?;
        self.write_out(core)?;
        Ok(gathered.sequence)
    }

    /// Waits until a record is kept: for the sync where there is one to wait for, and otherwise until it is in the file. Whoever
    /// else is ready on this thread gathers first, so that a turn costs one write and not one for each call.
    ///
    /// # Errors
    /// [`LedgerError`]: it is not kept.
    pub(crate) async fn kept(&self, record: &Gathered, sync: Option<PendingSync>) -> Result<(), LedgerError> {
        match sync {
            Some(sync) => self.synced(sync).await?,
            None => tokio::task::yield_now().await,
        }
        if record.written.get().is_none() {
            // Where it fails the batch says so.
            let _ = self.write_out(&mut self.lock());
        }
        record.written.get().cloned().unwrap_or(Err(LedgerError::Closed))
    }

    /// Asks for a sync of everything that is written, for [`Shared::synced`].
    pub(crate) fn wait_for_sync(&self, core: &mut Core) -> PendingSync {
        let waiting = core.waiters.enter();
        let wakes = match core.syncer {
            Syncer::Awake => false,
            Syncer::Pauses => core.pause_ends().is_none(),
            Syncer::Sleeps => true,
        };
        if wakes {
            core.syncer = Syncer::Awake;
        }
        PendingSync { waiting, wakes }
    }

    /// Waits for a sync, without the lock.
    ///
    /// # Errors
    /// [`LedgerError`]: it failed.
    pub(crate) async fn synced(&self, sync: PendingSync) -> Result<(), LedgerError> {
        if sync.wakes {
            self.sync_wake.notify_one();
        }
        sync.waiting.end().await
    }

    /// The sync to wait for, where the decision that opened a call must be durable.
    pub(crate) fn decision_sync_for(&self, core: &mut Core, durability: Durability) -> Option<PendingSync> {
        core.waiters.deciding += usize::from(durability == Durability::Durable);
        self.sync_for(core, durability)
    }

    /// The sync to wait for, where the record must be durable.
    pub(crate) fn sync_for(&self, core: &mut Core, durability: Durability) -> Option<PendingSync> {
        (durability == Durability::Durable).then(|| self.wait_for_sync(core))
    }

    /// A notification costs a system call, so only a thread that sleeps gets one.
    pub(crate) fn wake_sync(&self, core: &mut Core) {
        if core.syncer == Syncer::Sleeps {
            core.syncer = Syncer::Awake;
            self.sync_wake.notify_one();
        }
    }

    /// Where there is work for the thread that makes tiles.
    pub(crate) fn wake_tiles(&self, core: &mut Core) {
        let waiting = core.synced.saturating_sub(core.published) >= self.layout.publish_records
            || core.synced.saturating_sub(core.tiled) >= TILED_AT_ONCE;
        if waiting && std::mem::take(&mut core.tiles_sleep) {
            self.tiles_wake.notify_one();
        }
    }

    /// Marks an open call as one that nobody will finish.
    pub(crate) fn abandon(&self, core: &mut Core, call: CallId) {
        if core.open.contains_key(&call) {
            core.abandoned.push(call);
            self.wake_sync(core);
        }
    }

    /// The outcomes `unknown` for every call that was abandoned and is still open.
    pub(crate) fn unknown_outcomes(&self, core: &Core, calls: &[CallId], reason_code: &str) -> Vec<(CallId, Body)> {
        let now = SystemTime::now();
        let mut calls: Vec<CallId> = calls
            .iter()
            .copied()
            .filter(|call| core.open.contains_key(call))
            .collect();
        calls.sort_unstable();
        calls.dedup();
        calls
            .into_iter()
            .map(|call| (call, Body::unknown(call, self.next_id(), reason_code, now)))
            .collect()
    }
}

impl Core {
    pub(crate) fn new(writer: Writer, synced: u64, published: u64) -> Self {
        Self {
            writer,
            batch: None,
            fresh: 0,
            fresh_from: CallId(0),
            open: HashMap::new(),
            abandoned: Vec::new(),
            synced,
            tiled: published,
            published,
            health: Health::Writable,
            tiles_trouble: None,
            waiters: Waiters::default(),
            unsynced_segments: Vec::new(),
            sync_due: None,
            last_sync: None,
            syncer: Syncer::Awake,
            tiles_sleep: false,
            ending: Ending::No,
            #[cfg(test)]
            syncs_to_fail: 0,
            #[cfg(test)]
            writes_to_fail: 0,
        }
    }

    /// When the next sync may begin, where it may not now. Each costs as much CPU time as several calls do, whether one waits for
    /// it or fifty, so callers that share syncs go on sharing them: the next one waits until as many wait as did for the last
    /// one and no call that began meanwhile is under way, but no longer than [`pause_after`]. A caller alone never waits for others.
    pub(crate) fn pause_ends(&self) -> Option<Instant> {
        let last = self.last_sync?;
        let alone = last.waiters <= 1 && self.waiters.len() <= 1;
        let complete = self.fresh <= self.waiters.deciding && self.waiters.len() >= last.waiters;
        if alone || complete {
            return None;
        }
        last.ended.checked_add(pause_after(last.waiters))
    }

    /// A call's decision is on the record.
    pub(crate) fn opened(&mut self, call: CallId, key: CallKey) {
        self.open.insert(call, Some(key));
        self.fresh += usize::from(call >= self.fresh_from);
    }

    /// A call's outcome is on the record.
    pub(crate) fn closed(&mut self, call: CallId) {
        if self.open.remove(&call).is_some() && call >= self.fresh_from {
            self.fresh = self.fresh.saturating_sub(1);
        }
    }

    /// A sync begins: `next` is the id of the next call.
    pub(crate) fn sync_begins(&mut self, next: CallId) -> Waiters {
        self.fresh = 0;
        self.fresh_from = next;
        std::mem::take(&mut self.waiters)
    }

    /// Whether records are taken now.
    pub(crate) fn check(&self) -> Result<(), LedgerError> {
        match &self.health {
            Health::Writable => Ok(()),
            Health::WriteFailed(reason) | Health::SyncFailed(reason) | Health::Lost(reason) => {
                Err(LedgerError::Unwritable {
                    reason: Arc::clone(reason),
                })
            }
            Health::Closed => Err(LedgerError::Closed),
        }
    }

    /// Gathers whatever the health. Begins a new segment first where the old one is long enough; nothing may be gathered then.
    fn gather(&mut self, bodies: &[Body], segment_bytes: u64) -> io::Result<u64> {
        if self.writer.bytes() >= segment_bytes {
            let old = self.writer.handle();
            let open: Vec<CallId> = self.open.keys().copied().collect();
            self.writer.rotate(&open)?;
            self.unsynced_segments.push(old);
        }
        self.writer.gather(bodies.len(), self.synced, |at, sequence, out| {
            if let Some(body) = bodies.get(at) {
                let start = out.len();
                body.write(sequence, out);
                let length = out.len() - start;
                debug_assert!(length <= RECORD_BYTES_MAX, "a record of {length} bytes");
            }
        })
    }

    /// Appends whatever the health, for whoever is alone with the journal.
    pub(crate) fn append(&mut self, bodies: &[Body]) -> io::Result<()> {
        self.gather(bodies, u64::MAX)?;
        self.writer.write_out()
    }

    /// Takes back what is gathered, and says why to those who gathered it.
    fn forget_batch(&mut self, error: &LedgerError) {
        self.writer.forget_gathered();
        let Some(batch) = self.batch.take() else {
            return;
        };
        for undo in batch.undo.into_iter().rev() {
            match undo {
                Undo::Opened(call) => self.closed(call),
                Undo::Closed(call, key) => {
                    self.open.insert(call, key);
                    self.abandoned.push(call);
                }
                Undo::Nothing => {}
            }
        }
        let _ = batch.written.set(Err(error.clone()));
    }

    /// Goes on with a journal that was written anew. Calls whose decision is gone are open no more; those whose outcome
    /// is gone, and those that were written anew without their keys, get `unknown`.
    pub(crate) fn adopt(&mut self, writer: Writer, open: &HashSet<CallId>) {
        self.writer = writer;
        self.unsynced_segments.clear();
        self.open.retain(|call, _| open.contains(call));
        for call in open {
            if !self.open.contains_key(call) {
                self.open.insert(*call, None);
                self.abandoned.push(*call);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Ledger,
        samples::{decision, outcome},
    };
    use std::{
        pin::Pin,
        task::{Context, Waker},
    };

    /// Polls once, in a runtime that does nothing by itself.
    fn poll<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    /// A ledger that tries again soon.
    fn open(directory: &std::path::Path) -> Ledger {
        Ledger::open(Options {
            retry_interval: Duration::from_millis(1),
            ..Options::new(directory, "portcullis.local/test")
        })
        .unwrap()
    }

    /// Waits until it is writable and every call has its outcome.
    fn goes_on(ledger: &Ledger) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ledger.is_writable() || ledger.progress().open_calls > 0 {
            assert!(Instant::now() < deadline, "{:?}", ledger.progress());
            std::thread::yield_now();
        }
    }

    #[test]
    fn calls_of_one_turn_share_a_write_and_go_nowhere_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        let decided = [0; 3].map(|_| decision(ledger.call_id()));
        let mut calls = decided
            .each_ref()
            .map(|decision| Box::pin(ledger.intend(decision, Durability::Written, ())));
        let written = ledger.progress().written;
        assert!(calls.iter_mut().all(|call| poll(call).is_none()));
        assert_eq!(ledger.progress().written, written, "written before the turn is over");
        assert!(poll(&mut calls[1]).unwrap().is_ok());
        assert_eq!(ledger.progress().written, written + 3);
        assert!(poll(&mut calls[0]).unwrap().is_ok() && poll(&mut calls[2]).unwrap().is_ok());
        assert_eq!(ledger.progress().written, written + 3);
    }

    #[test]
    fn a_batch_that_is_not_written_is_refused_whole() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        let mut before = Box::pin(async {
            let call = ledger.call_id();
            let _ = ledger.intend(&decision(call), Durability::Written, ()).await.unwrap();
            call
        });
        assert!(poll(&mut before).is_none());
        let executed = poll(&mut before).unwrap();
        let (decided, ended) = (decision(ledger.call_id()), outcome(executed));
        let mut intends = Box::pin(ledger.intend(&decided, Durability::Written, ()));
        let mut seals = Box::pin(ledger.seal(&ended, Durability::Written, ()));
        assert!(poll(&mut intends).is_none() && poll(&mut seals).is_none());
        let shared = ledger.shared().unwrap();
        let written = {
            let mut core = shared.lock();
            shared.write_failed(&mut core, &io::Error::other("injected"));
            assert_eq!(core.open.keys().collect::<Vec<_>>(), [&executed]);
            core.writer.written()
        };
        assert!(poll(&mut intends).unwrap().is_err() && poll(&mut seals).unwrap().is_err());
        goes_on(&ledger);
        let progress = ledger.progress();
        assert_eq!(
            (progress.open_calls, progress.written),
            (0, written + 2),
            "unknown, and the recovery"
        );
    }

    /// An outcome that was gathered and whose call is waited for no more, and another call's failure before it is written.
    #[test]
    fn an_outcome_that_fails_with_anothers_ends_unknown_though_nobody_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        let shared = ledger.shared().unwrap();
        let calls = [ledger.call_id(), ledger.call_id()];
        for call in calls {
            let decided = decision(call);
            let mut intends = Box::pin(ledger.intend(&decided, Durability::Written, ()));
            while poll(&mut intends).is_none() {}
        }
        let ended = outcome(calls[0]);
        let mut seals = Box::pin(ledger.seal(&ended, Durability::Written, ()));
        assert!(poll(&mut seals).is_none());
        drop(seals);
        {
            let mut core = shared.lock();
            core.writes_to_fail = 1;
            shared.abandon(&mut core, calls[1]);
        }
        goes_on(&ledger);
    }

    #[test]
    fn a_call_that_lasts_longer_than_a_sync_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        let shared = ledger.shared().unwrap();
        let begin = |ledger: &Ledger| {
            let call = ledger.call_id();
            let decided = decision(call);
            let mut intends = Box::pin(ledger.intend(&decided, Durability::Written, ()));
            while poll(&mut intends).is_none() {}
            call
        };
        let (lasting, quick) = (begin(&ledger), begin(&ledger));
        let mut core = shared.lock();
        assert_eq!((core.fresh, core.open.len()), (2, 2));
        drop(core.sync_begins(shared.coming_id()));
        assert_eq!((core.fresh, core.open.len()), (0, 2));
        drop(core);
        let fresh = begin(&ledger);
        let mut core = shared.lock();
        for (call, left) in [(quick, (1, 2)), (fresh, (0, 1)), (lasting, (0, 0))] {
            core.closed(call);
            assert_eq!((core.fresh, core.open.len()), left);
        }
    }

    /// Who waits wakes the thread that syncs where it is not awake; while it pauses, only the last who is waited for does.
    #[test]
    fn a_pause_is_over_with_the_last_who_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        let shared = ledger.shared().unwrap();
        let mut core = shared.lock();
        core.last_sync = Some(LastSync {
            ended: Instant::now(),
            waiters: 3,
        });
        for (syncer, wakes) in [
            (Syncer::Awake, false),
            (Syncer::Pauses, false),
            (Syncer::Pauses, true),
            (Syncer::Pauses, true),
            (Syncer::Sleeps, true),
        ] {
            core.syncer = syncer;
            assert_eq!(shared.wait_for_sync(&mut core).wakes, wakes, "{syncer:?}");
            assert_eq!(core.syncer == Syncer::Awake, wakes || syncer == Syncer::Awake);
        }
    }

    #[test]
    fn what_is_closed_stays_closed() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        let shared = ledger.shared().unwrap();
        let mut core = shared.lock();
        shared.set_health(&mut core, Health::Closed);
        for later in [Health::Writable, Health::SyncFailed("later".into())] {
            shared.set_health(&mut core, later);
            assert!(matches!(core.check(), Err(LedgerError::Closed)) && !shared.is_writable());
        }
    }

    #[test]
    fn callers_that_share_syncs_wait_for_each_other_and_one_alone_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut core = Core::new(Writer::create(directory.path(), 0, &[]).unwrap(), 0, 0);
        let ended = Instant::now();
        let waits = |core: &mut Core, count: usize| {
            core.waiters = Waiters::default();
            for _ in 0..count {
                drop(core.waiters.enter());
            }
        };
        for (waiters, micros) in [(2, 1_000), (50, 3_200), (usize::MAX, 4_000)] {
            assert_eq!(pause_after(waiters), Duration::from_micros(micros));
        }
        // Before the first sync there is nothing to keep a distance from.
        waits(&mut core, 50);
        assert_eq!(core.pause_ends(), None);
        // Waiters before and now, those who wait for a decision among them, fresh calls that are open.
        for (before, now, deciding, open, pauses) in [
            (0, 1, 0, 1, false),
            (1, 1, 0, 1, false),
            (1, 2, 0, 1, true),
            (1, 2, 0, 0, false),
            (2, 1, 0, 0, true),
            (50, 49, 0, 0, true),
            (50, 50, 0, 1, true),
            (50, 50, 0, 0, false),
            (50, 50, 20, 20, false),
            (50, 50, 20, 21, true),
        ] {
            core.last_sync = Some(LastSync { ended, waiters: before });
            core.fresh = open;
            waits(&mut core, now);
            core.waiters.deciding = deciding;
            assert_eq!(
                core.pause_ends(),
                pauses.then(|| ended + pause_after(before)),
                "{before} before, {now} now, {deciding} of them decide, {open} open"
            );
        }
    }
}
