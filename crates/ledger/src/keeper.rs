//! The thread that syncs: one `fdatasync` for everybody who waits. It also writes `unknown` for abandoned calls, and when
//! the disk has failed it tries again until the ledger can go on. It must not know about tiles.

use crate::{
    core::{Core, Ending, Health, LastSync, Shared, Syncer},
    record::{Body, Detail},
    recover,
    terms::{CallId, LedgerError},
};
use std::{
    fs::File,
    io,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// What there is to do next.
enum Task {
    Sync,
    Resume,
    End,
}

/// Runs until the ledger ends.
pub(crate) fn run(shared: &Shared) {
    let mut core = shared.lock();
    loop {
        let task;
        (core, task) = next_task(shared, core);
        core = match task {
            Task::Sync => sync(shared, core),
            Task::Resume => resume(shared, core),
            Task::End => {
                fail_waiters(&mut core, &LedgerError::Closed);
                return;
            }
        };
    }
}

/// Waits until there is something to do.
fn next_task<'a>(shared: &'a Shared, mut core: MutexGuard<'a, Core>) -> (MutexGuard<'a, Core>, Task) {
    let retry_at = Instant::now() + shared.layout.retry_interval;
    loop {
        let now = Instant::now();
        if core.ending != Ending::No {
            return (core, Task::End);
        }
        let wake_at = match &core.health {
            Health::Writable | Health::Closed => {
                let someone_waits = !core.waiters.is_empty() || !core.abandoned.is_empty();
                let pause_ends = core.pause_ends().filter(|end| *end > now);
                if core.sync_due.is_some_and(|due| due <= now) || (someone_waits && pause_ends.is_none()) {
                    return (core, Task::Sync);
                }
                if let Some(end) = pause_ends {
                    // Who comes wakes this thread only where nobody else is waited for.
                    core = wait(shared, core, Syncer::Pauses, Some(end.saturating_duration_since(now)));
                    continue;
                }
                // Records that nobody waits for wake nobody: this thread looks by itself.
                Some(core.sync_due.unwrap_or(now + shared.layout.half_interval))
            }
            Health::WriteFailed(reason) | Health::SyncFailed(reason) | Health::Lost(reason) => {
                let error = LedgerError::Unwritable {
                    reason: Arc::clone(reason),
                };
                let written_well = matches!(core.health, Health::WriteFailed(_));
                // Whoever waits for records that are in the journal may still have their sync.
                if written_well && !core.waiters.is_empty() {
                    return (core, Task::Sync);
                }
                fail_waiters(&mut core, &error);
                let hopeless = matches!(core.health, Health::Lost(_));
                if !hopeless && retry_at <= now {
                    return (core, Task::Resume);
                }
                (!hopeless).then_some(retry_at)
            }
        };
        let time = wake_at.map(|at| at.saturating_duration_since(now));
        core = wait(shared, core, Syncer::Sleeps, time);
    }
}

/// Waits to be woken, for `time` at most.
fn wait<'a>(
    shared: &'a Shared,
    mut core: MutexGuard<'a, Core>,
    how: Syncer,
    time: Option<Duration>,
) -> MutexGuard<'a, Core> {
    core.syncer = how;
    let wake = &shared.sync_wake;
    let mut core = match time {
        Some(time) => wake
            .wait_timeout(core, time)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(core, _)| core),
        None => wake.wait(core).unwrap_or_else(PoisonError::into_inner),
    };
    core.syncer = Syncer::Awake;
    core
}

fn fail_waiters(core: &mut Core, error: &LedgerError) {
    std::mem::take(&mut core.waiters).tell(&Err(error.clone()));
}

/// One sync for all. The lock is free meanwhile: records go on being written, and wait for the next one.
fn sync<'a>(shared: &'a Shared, mut core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
    if matches!(core.health, Health::Writable) && !core.abandoned.is_empty() {
        let abandoned = std::mem::take(&mut core.abandoned);
        // A failure makes the ledger unwritable and puts them back, for the time when it goes on, beside those whose outcomes
        // were in the batch that failed.
        if close_calls(shared, &mut core, &abandoned).is_err() {
            core.abandoned.extend(abandoned);
        }
    }
    // Where it fails, whoever gathered hears of it; who waits for what is in the file may still have their sync.
    let _ = shared.write_out(&mut core);
    let waiters = core.sync_begins(shared.coming_id());
    let covered = core.writer.written();
    let files = unsynced_files(&mut core);
    core.writer.reserve(shared.layout.segment_bytes);
    core.sync_due = None;
    #[cfg(test)]
    let injected = core
        .syncs_to_fail
        .checked_sub(1)
        .inspect(|left| core.syncs_to_fail = *left)
        .is_some();
    #[cfg(not(test))]
    let injected = false;
    drop(core);
    let synced = if injected {
        Err(io::Error::other("injected"))
    } else {
        sync_files(shared, &files)
    };
    let mut core = shared.lock();
    core.last_sync = Some(LastSync {
        ended: Instant::now(),
        waiters: waiters.len(),
    });
    let answer = match synced {
        Ok(()) => {
            core.synced = core.synced.max(covered);
            shared.wake_tiles(&mut core);
            Ok(())
        }
        Err(error) => {
            let reason: Arc<str> = Arc::from(error.to_string());
            shared.set_health(&mut core, Health::SyncFailed(Arc::clone(&reason)));
            Err(LedgerError::Unwritable { reason })
        }
    };
    // Without the lock: those who are told want it next.
    drop(core);
    waiters.tell(&answer);
    shared.lock()
}

/// The segments that hold records which are not durable yet, oldest first.
pub(crate) fn unsynced_files(core: &mut Core) -> Vec<Arc<File>> {
    let mut files = std::mem::take(&mut core.unsynced_segments);
    files.push(core.writer.handle());
    files
}

pub(crate) fn sync_files(shared: &Shared, files: &[Arc<File>]) -> io::Result<()> {
    for file in files {
        file.sync_data()?;
    }
    if files.len() > 1 {
        // A segment was begun: its name must be durable too.
        portcullis_store::files::sync_directory(&shared.layout.journal)?;
    }
    Ok(())
}

/// Appends `unknown` for `calls` as far as they are open.
fn close_calls(shared: &Shared, core: &mut Core, calls: &[CallId]) -> Result<(), LedgerError> {
    let outcomes = shared.unknown_outcomes(core, calls, "abandoned");
    if outcomes.is_empty() {
        return Ok(());
    }
    let (calls, bodies): (Vec<CallId>, Vec<Body>) = outcomes.into_iter().unzip();
    shared.append(core, &bodies)?;
    for call in calls {
        core.closed(call);
    }
    Ok(())
}

/// Tries to go on after a failure: writes what is owed and a `recovery` record, and syncs. While the ledger is not
/// writable nobody else touches the journal, so the lock is free as long as the disk works: callers are refused at once.
fn resume<'a>(shared: &'a Shared, mut core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
    let reason: Arc<str> = match &core.health {
        Health::WriteFailed(reason) | Health::SyncFailed(reason) => Arc::clone(reason),
        Health::Writable | Health::Closed | Health::Lost(_) => return core,
    };
    if core.tiles_trouble.is_some() {
        // The publisher tries again by itself; until it succeeds there is no way forward.
        return core;
    }
    if matches!(core.health, Health::SyncFailed(_)) {
        let (synced, written) = (core.synced, core.writer.written());
        drop(core);
        let rewritten = recover::rewrite_unsynced(&shared.layout, synced);
        core = shared.lock();
        if matches!(core.health, Health::Closed) {
            return core;
        }
        match rewritten {
            Ok(rewritten) => {
                tracing::warn!(
                    records_lost = written.saturating_sub(rewritten.writer.written()),
                    "the journal was written anew after a failed sync"
                );
                core.adopt(rewritten.writer, &rewritten.open);
                // Whole again: should the rest fail, it is as after a failed write.
                core.health = Health::WriteFailed(Arc::clone(&reason));
            }
            Err(recover::Rewrite::Retry(error)) => {
                tracing::debug!(%error, "the journal cannot be written anew yet");
                return core;
            }
            Err(recover::Rewrite::Lost(lost)) => {
                shared.set_health(&mut core, Health::Lost(Arc::from(lost)));
                return core;
            }
        }
    }
    let abandoned = std::mem::take(&mut core.abandoned);
    let outcomes = shared.unknown_outcomes(&core, &abandoned, "abandoned");
    let details = [
        ("reason", Detail::Text(&reason)),
        ("unknown_outcomes", Detail::Number(outcomes.len() as u64)),
    ];
    let (calls, mut bodies): (Vec<CallId>, Vec<Body>) = outcomes.into_iter().unzip();
    bodies.push(Body::recovery(
        "write_failure",
        &details,
        shared.next_id(),
        SystemTime::now(),
    ));
    let before = (core.writer.bytes(), core.writer.written());
    let mut tried = core.append(&bodies);
    if tried.is_ok() {
        let files = unsynced_files(&mut core);
        drop(core);
        tried = sync_files(shared, &files);
        core = shared.lock();
        if matches!(core.health, Health::Closed) {
            // The next start recovers.
            return core;
        }
    }
    match tried {
        Ok(()) => {
            for call in calls {
                core.closed(call);
            }
            core.synced = core.writer.written();
            tracing::info!(%reason, "the record can be written again");
            shared.set_health(&mut core, Health::Writable);
        }
        Err(error) => {
            tracing::debug!(%error, "the record still cannot be written");
            core.abandoned.extend(abandoned);
            if core.writer.written() > before.1 {
                // It was the sync that failed. What nobody was told of is taken back; the rest is read once more.
                let taken_back = core.writer.take_back(before.0, before.1);
                tracing::debug!(?taken_back, "the journal must be written anew");
                core.health = Health::SyncFailed(reason);
            }
        }
    }
    core
}

#[cfg(test)]
mod tests {
    use crate::{
        Durability, Ledger, LedgerError, Options,
        samples::{decision, outcome},
        verify,
    };
    use std::time::{Duration, Instant};

    #[test]
    fn after_a_failed_sync_the_journal_is_written_anew_and_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            retry_interval: Duration::from_millis(10),
            segment_bytes: 16 * 1024,
            ..Options::new(directory.path(), "portcullis.local/test")
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let ledger = Ledger::open(options).unwrap();
            for round in 1..=3 {
                let in_flight = ledger.call_id();
                let _ = ledger
                    .intend(&decision(in_flight), Durability::Written, ())
                    .await
                    .unwrap();
                ledger.shared().unwrap().lock().syncs_to_fail = 1;
                let told_to_fail = ledger.call_id();
                let refused = ledger
                    .intend(&decision(told_to_fail), Durability::Durable, ())
                    .await
                    .unwrap_err();
                assert!(matches!(refused, LedgerError::Unwritable { .. }), "{refused}");
                let deadline = Instant::now() + Duration::from_secs(30);
                while !ledger.is_writable() {
                    assert!(Instant::now() < deadline, "round {round}: never writable again");
                    std::thread::yield_now();
                }
                // The call that was in flight ends as it would have; the one that was refused ended unknown.
                let _ = ledger.seal(&outcome(in_flight), Durability::Durable, ()).await.unwrap();
                assert_eq!(ledger.progress().open_calls, 0);
                for _ in 0..30 {
                    let call = ledger.call_id();
                    let _ = ledger.intend(&decision(call), Durability::Written, ()).await.unwrap();
                    let _ = ledger.seal(&outcome(call), Durability::Durable, ()).await.unwrap();
                }
            }
            ledger.close().await.unwrap();
        });
        let report = verify(directory.path(), None).unwrap_or_else(|findings| panic!("{findings:#?}"));
        assert_eq!(
            (report.decisions, report.outcomes, report.outcomes_unknown),
            (96, 96, 3)
        );
    }
}
