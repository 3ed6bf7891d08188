//! The thread that makes the journal's durable records public: tiles, and a signed checkpoint over them, every so many
//! records and at the latest every so often; and lets journal segments go that are not needed any more. It must not know
//! who waits for what.

use crate::{
    checkpoint::VerifierKey,
    core::{Core, Ending, Health, Shared, TILED_AT_ONCE},
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
    /// When the records that the last round left over are to be published.
    left_until: Option<Instant>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Work {
    /// Up to this record.
    target: u64,
    /// Under a checkpoint; or into full tiles only.
    publish: bool,
    ending: Ending,
}

impl Publisher {
    pub(crate) fn new(tiles: Tiles, follower: Follower, verifier: VerifierKey, key: SigningKey) -> Self {
        Self {
            tiles,
            follower,
            verifier,
            key,
            left_until: None,
        }
    }

    /// Runs until the ledger ends, and then tells whether all was published.
    pub(crate) fn run(mut self, shared: &Shared, tell: oneshot::Sender<Result<(), String>>) {
        let last = loop {
            let work = wait_for_work(shared, &mut self.left_until);
            if work.ending == Ending::Now {
                break Err("it was told to end at once".to_owned());
            }
            let done = if work.publish {
                self.publish(shared, work.target)
            } else {
                self.grow(shared, work.target)
            };
            if work.ending == Ending::Finish {
                break done.map_err(|error| error.to_string());
            }
            let mut core = shared.lock();
            match done {
                Ok(()) => recovered(shared, &mut core),
                Err(error) => failed(shared, &mut core, &error),
            }
        };
        // Nobody hears when the ledger was dropped.
        let _ = tell.send(last);
    }

    fn publish(&mut self, shared: &Shared, target: u64) -> io::Result<()> {
        self.grow(shared, target)?;
        self.tiles.publish(&self.verifier, &self.key)?;
        shared.lock().published = self.tiles.size();
        retire(shared, self.tiles.size())
    }

    fn grow(&mut self, shared: &Shared, target: u64) -> io::Result<()> {
        let grown = self.push_until(target);
        self.follower.rest();
        shared.lock().tiled = self.tiles.size();
        grown
    }

    fn push_until(&mut self, target: u64) -> io::Result<()> {
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

/// Waits until enough durable records are not in tiles or not published, or for long enough: where the round before left some
/// over, until they are due.
fn wait_for_work(shared: &Shared, left_until: &mut Option<Instant>) -> Work {
    let mut core = shared.lock();
    let left = left_until.take();
    let mut due = left.unwrap_or_else(|| Instant::now() + shared.layout.half_interval);
    if core.tiles_trouble.is_some() {
        due = Instant::now() + shared.layout.retry_interval;
    }
    loop {
        let waiting = core.synced.saturating_sub(core.published);
        let now = Instant::now();
        let work = |target, publish| Work {
            target,
            publish,
            ending: core.ending,
        };
        if core.ending != Ending::No || (waiting > 0 && due <= now) {
            return work(core.synced, true);
        }
        if core.tiles_trouble.is_none() && waiting >= shared.layout.publish_records {
            let target = whole_tiles(core.published, core.synced);
            *left_until = (target < core.synced).then_some(due);
            return work(target, true);
        }
        if core.tiles_trouble.is_none() && core.synced.saturating_sub(core.tiled) >= TILED_AT_ONCE {
            *left_until = Some(due);
            return work(whole_tiles(core.tiled, core.synced), false);
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
    use crate::{
        Durability, Ledger, Options,
        record::Body,
        recover,
        samples::{decision, event},
        verify,
    };
    use std::{
        path::Path,
        time::{Duration, SystemTime},
    };

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

    /// Enough records are published up to whole tiles; who is left over waits no longer for that.
    #[test]
    fn enough_records_are_published_in_whole_tiles_and_the_rest_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            publish_interval: Duration::from_secs(7200),
            publish_records: 8192,
            ..Options::new(directory.path(), "portcullis.local/test")
        };
        // Without its threads.
        let shared = recover::open(&options).unwrap().shared;
        let set = |published: u64, synced: u64, ending: Ending| {
            let mut core = shared.lock();
            (core.published, core.synced, core.ending) = (published, synced, ending);
        };
        let published_up_to = |left: &mut Option<Instant>| {
            let work = wait_for_work(&shared, left);
            assert!(work.publish);
            work.target
        };
        let mut left = None;
        for (published, synced, target) in [
            (0, 8192, 8192),
            (0, 8192 + 255, 8192),
            (100, 100 + 8192, 8192),
            (8192, 8192 + 8192 + 257, 16384 + 256),
        ] {
            set(published, synced, Ending::No);
            left = None;
            assert_eq!(published_up_to(&mut left), target, "{published} to {synced}");
            assert_eq!(left.is_some(), target < synced, "{published} to {synced}");
        }
        // A round that leaves some over again does not put them off.
        let due = left.unwrap();
        set(16384 + 256, 16384 + 256 + 8192 + 1, Ending::No);
        assert_eq!(published_up_to(&mut left), 16384 + 256 + 8192);
        assert_eq!(left, Some(due));
        // When they are due, all are published, be they few.
        left = Some(Instant::now());
        set(16384, 16384 + 3, Ending::No);
        assert_eq!(published_up_to(&mut left), 16384 + 3);
        assert_eq!(left, None);
        set(0, 8192 + 255, Ending::Finish);
        assert_eq!(published_up_to(&mut left), 8192 + 255);
    }

    /// Full tiles are made long before they are published, and put no publication off.
    #[test]
    fn tiles_are_made_as_records_come_and_published_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let shared = recover::open(&by_hand(directory.path())).unwrap().shared;
        let set = |tiled: u64, synced: u64| {
            let mut core = shared.lock();
            (core.tiled, core.published, core.synced) = (tiled, 0, synced);
        };
        let mut left = None;
        set(0, 512 + 3);
        let work = wait_for_work(&shared, &mut left);
        assert_eq!((work.target, work.publish), (512, false));
        let due = left.unwrap();
        set(512, 1024 + 255);
        let work = wait_for_work(&shared, &mut left);
        assert_eq!((work.target, work.publish, left), (1024, false, Some(due)));
        left = Some(Instant::now());
        set(1024, 1024 + 600);
        let work = wait_for_work(&shared, &mut left);
        assert_eq!((work.target, work.publish), (1024 + 600, true));
    }

    /// What is in tiles and not under a checkpoint is published when it is due, though nothing comes after it.
    #[test]
    fn what_is_in_tiles_already_is_published_too() {
        let directory = tempfile::tempdir().unwrap();
        let opened = recover::open(&by_hand(directory.path())).unwrap();
        let shared = opened.shared;
        let mut publisher = Publisher::new(opened.tiles, opened.follower, opened.verifier, opened.key);
        write(&shared, 512);
        publisher.grow(&shared, 512).unwrap();
        let counts = || {
            let core = shared.lock();
            (core.tiled, core.published)
        };
        assert_eq!(counts(), (512, 0));
        publisher.publish(&shared, 512).unwrap();
        assert_eq!(counts(), (512, 512));
        assert_eq!(verify(directory.path(), None).unwrap().size, 512);
    }

    #[test]
    fn fewer_records_than_a_tile_holds_are_published_as_they_are() {
        for (published, synced, target) in [(0, 10, 10), (255, 256, 256), (256, 300, 300), (250, 260, 256)] {
            assert_eq!(whole_tiles(published, synced), target, "{published} to {synced}");
        }
    }

    /// Short segments, and nothing is published but by hand.
    fn by_hand(directory: &Path) -> Options {
        Options {
            segment_bytes: 32 * 1024,
            publish_interval: Duration::from_secs(7200),
            ..Options::new(directory, "portcullis.local/test")
        }
    }

    /// In one append.
    fn write(shared: &Shared, count: u64) {
        let bodies: Vec<Body> = (0..count)
            .map(|_| Body::event(&event(), shared.next_id(), None, SystemTime::now()))
            .collect();
        shared.append(&mut shared.lock(), &bodies).unwrap();
    }

    /// The follower stands at the end of a segment all of which is published, and which is gone.
    #[test]
    fn publishing_goes_on_behind_a_segment_that_went() {
        let directory = tempfile::tempdir().unwrap();
        let opened = recover::open(&by_hand(directory.path())).unwrap();
        let shared = opened.shared;
        let mut publisher = Publisher::new(opened.tiles, opened.follower, opened.verifier, opened.key);
        let written = shared.lock().writer.written();
        write(&shared, 256 - written);
        write(&shared, 3);
        publisher.publish(&shared, 256).unwrap();
        let segments = journal::segments(&shared.layout.journal).unwrap();
        assert_eq!(segments.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [256]);
        publisher.publish(&shared, 259).unwrap();
        assert_eq!(verify(directory.path(), None).unwrap().size, 259);
    }

    /// A power cut took the end of the file back to what it was before the room was given back.
    #[test]
    fn room_that_was_not_given_back_at_a_segments_end_is_stepped_over() {
        for zeros in [1, 20_000, 600_000] {
            let directory = tempfile::tempdir().unwrap();
            let shared = recover::open(&by_hand(directory.path())).unwrap().shared;
            while shared.lock().writer.bytes() < shared.layout.segment_bytes {
                write(&shared, 1);
            }
            write(&shared, 20);
            let written = shared.lock().writer.written();
            let (_, first) = journal::segments(&shared.layout.journal).unwrap().remove(0);
            drop(shared);
            let file = fs::OpenOptions::new().append(true).open(first).unwrap();
            file.set_len(file.metadata().unwrap().len() + zeros).unwrap();
            let ledger = Ledger::open(by_hand(directory.path())).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(ledger.close()).unwrap();
            assert!(verify(directory.path(), None).unwrap().size > written, "{zeros}");
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
