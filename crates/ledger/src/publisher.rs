//! The thread that makes the journal's durable records public: tiles, and a signed checkpoint over them, every so many
//! records and at the latest every so often; and lets journal segments go that are not needed any more. It must not know
//! who waits for what.

use crate::{
    checkpoint::VerifierKey,
    core::{Core, Ending, Health, Shared},
    journal::{self, Follower},
    tiles::{self, Tiles},
    tree::TILE_WIDTH_U64,
};
use portcullis_store::{files, keys::SigningKey};
use std::{fs, io, path::PathBuf, sync::Arc, time::Instant};
use tokio::sync::oneshot;

/// Makes tiles of records.
#[derive(Debug)]
pub(crate) struct Publisher {
    tiles: Tiles,
    follower: Follower,
    verifier: VerifierKey,
    key: SigningKey,
}

impl Publisher {
    pub(crate) fn new(tiles: Tiles, follower: Follower, verifier: VerifierKey, key: SigningKey) -> Self {
        Self {
            tiles,
            follower,
            verifier,
            key,
        }
    }

    /// Runs until the ledger ends, and then tells whether all was published.
    pub(crate) fn run(mut self, shared: &Shared, tell: oneshot::Sender<Result<(), String>>) {
        let last = loop {
            let (target, ending) = wait_for_work(shared);
            if ending == Ending::Now {
                break Err("it was told to end at once".to_owned());
            }
            let published = self.publish(shared, target);
            if ending == Ending::Finish {
                break published.map_err(|error| error.to_string());
            }
            let mut core = shared.lock();
            match published {
                Ok(()) => recovered(shared, &mut core),
                Err(error) => failed(shared, &mut core, &error),
            }
        };
        // Nobody hears when the ledger was dropped.
        let _ = tell.send(last);
    }

    pub(crate) fn publish(&mut self, shared: &Shared, target: u64) -> io::Result<()> {
        let grown = self.grow(target);
        self.follower.rest();
        grown?;
        self.tiles.publish(&self.verifier, &self.key)?;
        shared.lock().published = self.tiles.size();
        retire(shared, self.tiles.size())
    }

    fn grow(&mut self, target: u64) -> io::Result<()> {
        while self.follower.next() < target {
            let next = self.follower.next();
            let record = self.follower.record()?;
            // The journal's first segment may begin within a tile that was full long ago.
            if next >= self.tiles.size() {
                self.tiles.push(record)?;
            }
            self.follower.advance();
        }
        Ok(())
    }
}

/// Waits until enough durable records are not published, or for long enough.
fn wait_for_work(shared: &Shared) -> (u64, Ending) {
    let mut core = shared.lock();
    let mut due = Instant::now() + shared.layout.half_interval;
    if core.tiles_trouble.is_some() {
        due = Instant::now() + shared.layout.retry_interval;
    }
    loop {
        let waiting = core.synced.saturating_sub(core.published);
        let now = Instant::now();
        let enough = core.tiles_trouble.is_none() && waiting >= shared.layout.publish_records;
        if core.ending != Ending::No || (waiting > 0 && due <= now) {
            return (core.synced, core.ending);
        }
        if enough {
            return (whole_tiles(core.published, core.synced), core.ending);
        }
        if due <= now {
            due = now + shared.layout.half_interval;
        }
        core.tiles_sleep = true;
        let timeout = due.saturating_duration_since(now);
        core = shared
            .tiles_wake
            .wait_timeout(core, timeout)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(core, _)| core);
        core.tiles_sleep = false;
    }
}

/// How far to publish before the interval is over: up to whole tiles where that is further than `published`. Partial tiles
/// are of use for a moment only, and file systems are slow with files that come and go (ext4 passes over the inode of each
/// that was removed in the last minutes whenever it makes a file). Who is left over comes next time, at the latest when the
/// interval is over.
fn whole_tiles(published: u64, synced: u64) -> u64 {
    let whole = synced / TILE_WIDTH_U64 * TILE_WIDTH_U64;
    if whole > published { whole } else { synced }
}

fn recovered(shared: &Shared, core: &mut Core) {
    if core.tiles_trouble.take().is_some() {
        // The keeper writes the `recovery` record and opens the gate.
        shared.wake_sync(core);
    }
}

/// A log that cannot be published cannot be verified: calls are refused until it can.
fn failed(shared: &Shared, core: &mut Core, error: &io::Error) {
    let reason: Arc<str> = Arc::from(format!("tiles: {error}"));
    core.tiles_trouble = Some(Arc::clone(&reason));
    // The journal is well: what is gathered may still go into it.
    if matches!(core.health, Health::Writable) && shared.write_out(core).is_ok() {
        shared.set_health(core, Health::WriteFailed(reason));
        shared.wake_sync(core);
    }
}

/// Removes the segments whose records all stand in full tiles under a published checkpoint. What the next segment begins
/// with must be rebuilt from full tiles alone, so its first record is rounded up to one. A crash right before a removal
/// leaves a segment too many, which does no harm. The oldest goes first, and is durably gone before the next one goes: were
/// an older one to outlive a later one, there would be a hole in the journal.
fn retire(shared: &Shared, published: u64) -> io::Result<()> {
    let segments = journal::segments(&shared.layout.journal)?;
    let mut retired = Vec::new();
    for pair in segments.windows(2) {
        if let [(_, path), (next_first, _)] = pair
            && next_first.next_multiple_of(TILE_WIDTH_U64) <= published
        {
            retired.push(path);
        }
    }
    if retired.is_empty() {
        return Ok(());
    }
    tiles::sync(&shared.layout.log)?;
    remove_in_turn(&retired, || files::sync_directory(&shared.layout.journal))
}

fn remove_in_turn(paths: &[&PathBuf], mut make_durable: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for path in paths {
        fs::remove_file(path)?;
        make_durable()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Durability, Ledger, Options, recover, samples::decision};
    use std::time::Duration;

    /// The journal is well where tiles are not: who has a decision gathered when that comes out has it kept.
    #[test]
    fn what_is_gathered_is_kept_when_tiles_fail() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(Options::new(directory.path(), "portcullis.local/test")).unwrap();
        let decided = decision(ledger.call_id());
        let mut intends = Box::pin(ledger.intend(&decided, Durability::Written, ()));
        let mut poll = || {
            let waker = std::task::Waker::noop();
            intends.as_mut().poll(&mut std::task::Context::from_waker(waker))
        };
        assert!(poll().is_pending());
        let shared = ledger.shared().unwrap();
        failed(shared, &mut shared.lock(), &io::Error::other("injected"));
        assert!(!ledger.is_writable());
        assert!(matches!(poll(), std::task::Poll::Ready(Ok(_))));
    }

    /// Enough records are published up to whole tiles; who is left over waits for the interval once, and not for ever.
    #[test]
    fn enough_records_are_published_in_whole_tiles_and_the_rest_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            publish_interval: Duration::from_millis(2),
            publish_records: 8192,
            ..Options::new(directory.path(), "portcullis.local/test")
        };
        // Without its threads.
        let shared = recover::open(&options).unwrap().shared;
        let work = |published: u64, synced: u64, ending: Ending| {
            let mut core = shared.lock();
            (core.published, core.synced, core.ending) = (published, synced, ending);
            drop(core);
            wait_for_work(&shared).0
        };
        for (published, synced, target) in [
            (0, 8192, 8192),
            (0, 8192 + 255, 8192),
            (100, 100 + 8192, 8192),
            (8192, 8192 + 8192 + 257, 16384 + 256),
        ] {
            assert_eq!(work(published, synced, Ending::No), target, "{published} to {synced}");
            // What was left over, with one more: once the interval is over.
            assert_eq!(work(target, synced + 1, Ending::No), synced + 1);
        }
        assert_eq!(work(0, 8192 + 255, Ending::Finish), 8192 + 255);
    }

    #[test]
    fn fewer_records_than_a_tile_holds_are_published_as_they_are() {
        for (published, synced, target) in [(0, 10, 10), (255, 256, 256), (256, 300, 300), (250, 260, 256)] {
            assert_eq!(whole_tiles(published, synced), target, "{published} to {synced}");
        }
    }

    #[test]
    fn no_segment_goes_before_the_older_one_is_durably_gone() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["0", "1", "2"].map(|name| directory.path().join(name));
        for path in &paths {
            fs::write(path, b"").unwrap();
        }
        let there = || paths.each_ref().map(|path| path.exists());
        let mut synced = Vec::new();
        remove_in_turn(&paths.each_ref(), || {
            synced.push(there());
            Ok(())
        })
        .unwrap();
        assert_eq!(
            synced,
            [[false, true, true], [false, false, true], [false, false, false]]
        );
    }
}
