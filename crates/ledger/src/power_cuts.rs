//! Tests of what a power cut leaves of a journal: a ledger whose threads' work is done by hand, and a disk that loses any part
//! of what was not synced.

use crate::{
    CallId, Detail, Event, EventKind, Ledger, OpenError, Options, Tail, core::Shared, journal::Segment,
    publisher::Publisher, record::Body, recover, verify,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

const SECTOR: usize = 512;

/// Long enough that room is reserved.
const SEGMENT_BYTES: u64 = 32 * 1024;

fn options(directory: &Path) -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES,
        publish_interval: Duration::from_secs(3600),
        ..Options::new(directory, "portcullis.local/test")
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

/// A ledger without threads.
struct Bench {
    directory: TempDir,
    shared: Shared,
    publisher: Publisher,
    _lock: portcullis_store::files::DirectoryLock,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let opened = recover::open(&options(directory.path())).unwrap();
        // So that a header is longer than a sector. Nobody asks for these calls: the first segment stays.
        let ids = (1..=100u128).map(|id| (CallId(id << 64 | id), None));
        opened.shared.lock().open.extend(ids);
        Self {
            directory,
            shared: opened.shared,
            publisher: Publisher::new(opened.tiles, opened.follower, opened.verifier, opened.key),
            _lock: opened.lock,
        }
    }

    fn journal(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    fn write(&self, count: usize) {
        let event = Event {
            kind: EventKind::Policy,
            action: "policy_reloaded",
            actor: None,
            details: &[("policies", Detail::Number(count as u64))],
        };
        let bodies: Vec<Body> = (0..count)
            .map(|_| Body::event(&event, self.shared.next_id(), None, SystemTime::now()))
            .collect();
        self.shared.append(&mut self.shared.lock(), &bodies).unwrap();
    }

    /// As the thread does that syncs.
    fn sync(&self) -> u64 {
        let mut core = self.shared.lock();
        core.unsynced_segments.clear();
        core.writer.reserve(SEGMENT_BYTES);
        core.synced = core.writer.written();
        core.synced
    }

    fn publish(&mut self) {
        let synced = self.sync();
        self.publisher.publish(&self.shared, synced).unwrap();
    }

    /// The next record begins a segment.
    fn fill(&self) {
        while self.shared.lock().writer.bytes() < SEGMENT_BYTES {
            self.write(1);
        }
    }

    /// A synced part of the first segment, an end that is not, and a second segment with three records: what was promised, and
    /// where the first ends.
    fn rotated(&self) -> (u64, u64) {
        self.write(20);
        let promised = self.sync();
        self.fill();
        let boundary = self.shared.lock().writer.written();
        self.write(3);
        (promised, boundary)
    }

    fn segments(&self) -> BTreeMap<String, Vec<u8>> {
        disk(&self.journal())
    }

    fn records(&self) -> Vec<String> {
        records(self.directory.path())
    }

    /// A copy with this journal.
    fn with(&self, journal: &BTreeMap<String, Vec<u8>>) -> TempDir {
        put_down(self.directory.path(), journal)
    }

    /// Refused, and nothing is touched.
    fn assert_refused(&self, journal: &BTreeMap<String, Vec<u8>>) {
        let directory = self.with(journal);
        let refused = Ledger::open(options(directory.path())).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        assert!(verify(directory.path(), None).is_err());
        assert!(&disk(&directory.path().join("journal")) == journal);
    }
}

fn name(first: u64) -> String {
    format!("{first:020}.journal")
}

fn records(directory: &Path) -> Vec<String> {
    let mut tail = Tail::new(directory, 0);
    std::iter::from_fn(|| tail.next_record().unwrap())
        .map(|record| record.json)
        .collect()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else if entry.file_name() != "lock" {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What a directory holds: each file's name and content.
fn disk(journal: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(journal).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn put_down(bench: &Path, journal: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(bench, directory.path());
    let to = directory.path().join("journal");
    fs::remove_dir_all(&to).unwrap();
    fs::create_dir(&to).unwrap();
    for (name, bytes) in journal {
        fs::write(to.join(name), bytes).unwrap();
    }
    directory
}

/// What may be on the disk of a file that was `base` when it was synced and has become `target`: any of the sectors between,
/// and any length.
fn torn(base: &[u8], target: &[u8], dice: &mut Dice) -> Vec<u8> {
    let loss = dice.roll(4);
    let mut bytes = base.to_vec();
    for at in (0..target.len()).step_by(SECTOR) {
        let kept = match loss {
            0 => false,
            1 => true,
            2 => dice.roll(2) == 0,
            _ => dice.roll(8) > 0,
        };
        if kept {
            let end = (at + SECTOR).min(target.len());
            bytes.resize(bytes.len().max(end), 0);
            bytes[at..end].copy_from_slice(&target[at..end]);
        }
    }
    if target.len() < base.len() && dice.roll(2) == 0 {
        bytes.truncate(target.len());
    }
    if target.len() > base.len() && dice.roll(3) == 0 {
        bytes.truncate(base.len() + dice.roll(target.len() - base.len() + 1));
    }
    bytes
}

/// What a power cut leaves of `base`, which is on the disk, and what it has become: of new files, any.
fn crashed(
    base: &BTreeMap<String, Vec<u8>>,
    target: &BTreeMap<String, Vec<u8>>,
    dice: &mut Dice,
) -> BTreeMap<String, Vec<u8>> {
    let mut left = BTreeMap::new();
    for file in base.keys().chain(target.keys()).collect::<BTreeSet<_>>() {
        let before = base.get(file).map(Vec::as_slice);
        if before.is_some() || dice.roll(4) > 0 {
            let bytes = torn(before.unwrap_or_default(), &target[file], dice);
            left.insert(file.clone(), bytes);
        }
    }
    left
}

/// Opens what a power cut left: what was promised is there, what else is there was written, all that is cut off is told, and
/// it goes on.
fn assert_sound(directory: &Path, written: &[String], promised: u64) {
    let report = verify(directory, None).unwrap_or_else(|findings| panic!("as it was left: {findings:#?}"));
    let ledger = Ledger::open(options(directory)).unwrap_or_else(|refused| panic!("{refused}"));
    let found = records(directory);
    let same = found
        .iter()
        .zip(written)
        .take_while(|(one, other)| one == other)
        .count();
    assert!(same as u64 >= promised, "{same} of {promised} that were promised");
    let (recovery, others): (Vec<_>, Vec<_>) = found[same..]
        .iter()
        .partition(|record| record.contains("\"t\":\"recovery\""));
    assert!(
        others.iter().all(|record| record.contains("\"t\":\"start\"")),
        "{others:?}"
    );
    let told = format!("\"bytes_cut\":{}", report.bytes_torn);
    assert!(recovery[0].contains(&told), "{told}: {recovery:?}");
    let beside = disk(&directory.join("journal"));
    let kept = beside.iter().filter(|(name, _)| name.ends_with(".cut"));
    assert!(kept.map(|(_, bytes)| bytes.len() as u64).sum::<u64>() >= report.bytes_torn);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(ledger.close()).unwrap();
    let report = verify(directory, None).unwrap_or_else(|findings| panic!("closed: {findings:#?}"));
    assert_eq!(report.bytes_torn, 0);
}

fn in_full() -> bool {
    std::env::var("PORTCULLIS_FULL").is_ok_and(|value| value == "1")
}

#[test]
fn no_power_cut_around_a_rotation_loses_what_was_promised_or_refuses_the_rest() {
    let (rounds, crashes) = if in_full() { (60, 100) } else { (6, 25) };
    let mut dice = Dice(0x5EED_1234_5678_9ABC);
    for round in 0..rounds {
        let bench = Bench::new();
        bench.write(90 + dice.roll(20));
        let promised = bench.sync();
        let base = bench.segments();
        let before = tempfile::tempdir().unwrap();
        copy(bench.directory.path(), before.path());
        // One segment is begun before the next sync, or two, or three.
        for _ in 0..=round % 3 {
            bench.fill();
            bench.write(1 + dice.roll(9));
        }
        let (target, written) = (bench.segments(), bench.records());
        assert_eq!(target.len(), 2 + round % 3);
        for _ in 0..crashes {
            let directory = put_down(before.path(), &crashed(&base, &target, &mut dice));
            assert_sound(directory.path(), &written, promised);
        }
    }
}

#[test]
fn a_segment_whose_predecessor_lost_its_end_is_kept_beside() {
    let bench = Bench::new();
    let (promised, boundary) = bench.rotated();
    let mut journal = bench.segments();
    let whole = journal[&name(boundary)].clone();
    let start = Segment::read(&bench.journal().join(name(boundary)), boundary)
        .unwrap()
        .entries_start();
    let first = journal.get_mut(&name(0)).unwrap();
    first.truncate(first.len() - 1000);
    let written = bench.records();
    // As it is, and without the first sector.
    let mut headless = whole.clone();
    headless[..SECTOR].fill(0);
    for left in [whole, headless] {
        journal.insert(name(boundary), left.clone());
        let directory = bench.with(&journal);
        let torn = verify(directory.path(), None).unwrap().bytes_torn;
        let in_second = left.len() as u64 - start;
        assert!(torn > in_second && torn < in_second + 1000, "{torn}, {in_second}");
        assert_sound(directory.path(), &written, promised);
        let beside = disk(&directory.path().join("journal"));
        assert!(beside[&format!("{boundary:020}.cut")] == left);
        assert!(!beside.contains_key(&name(boundary)));
    }
}

#[test]
fn where_a_later_segment_says_that_the_lost_end_was_promised_it_is_refused() {
    let bench = Bench::new();
    let (_, boundary) = bench.rotated();
    bench.sync();
    // It says that all before was durable.
    bench.write(1);
    let whole = bench.segments();
    let mut shorter = whole.clone();
    let first = shorter.get_mut(&name(0)).unwrap();
    first.truncate(first.len() - 10);
    bench.assert_refused(&shorter);
    let mut damaged = whole.clone();
    let first = damaged.get_mut(&name(0)).unwrap();
    let end = first.len();
    first[end - 10] ^= 1;
    bench.assert_refused(&damaged);
    // Whatever stands between.
    shorter.get_mut(&name(boundary)).unwrap()[..SECTOR].fill(0);
    bench.assert_refused(&shorter);
    let mut headless = whole.clone();
    headless.get_mut(&name(boundary)).unwrap()[..SECTOR].fill(0);
    bench.assert_refused(&headless);
    assert!(
        Tail::new(bench.with(&headless).path(), boundary).next_record().is_err(),
        "nor does it read as one that was just begun"
    );
    // A header that goes on beyond the file's end, as it says.
    let mut endless = whole;
    endless.get_mut(&name(boundary)).unwrap()[17] ^= 1;
    bench.assert_refused(&endless);
}

/// The claim is no higher than the segment's first record, and above what is left.
#[test]
fn a_claim_in_a_segment_without_header_counts_against_what_is_left() {
    let bench = Bench::new();
    bench.fill();
    let boundary = bench.sync();
    bench.write(3);
    let mut journal = bench.segments();
    journal.get_mut(&name(boundary)).unwrap()[..SECTOR].fill(0);
    // Nothing is lost that was promised.
    assert_sound(bench.with(&journal).path(), &bench.records(), boundary);
    let first = journal.get_mut(&name(0)).unwrap();
    first.truncate(first.len() - 10);
    bench.assert_refused(&journal);
}

#[test]
fn a_claim_two_segments_on_is_heard() {
    let bench = Bench::new();
    let (_, second) = bench.rotated();
    bench.fill();
    let third = bench.sync();
    bench.write(1);
    let mut journal = bench.segments();
    let end = journal[&name(0)].len();
    journal.get_mut(&name(0)).unwrap().truncate(end - 10);
    bench.assert_refused(&journal);
    // Not even with the one between gone.
    journal.remove(&name(second));
    assert!(journal.contains_key(&name(third)));
    bench.assert_refused(&journal);
}

#[test]
fn where_the_checkpoint_covers_the_lost_end_it_is_refused() {
    let mut bench = Bench::new();
    bench.rotated();
    bench.publish();
    let mut journal = bench.segments();
    let first = journal.get_mut(&name(0)).unwrap();
    first.truncate(first.len() - 10);
    bench.assert_refused(&journal);
}

#[test]
fn a_damaged_header_behind_a_lost_end_is_refused() {
    let bench = Bench::new();
    let (_, boundary) = bench.rotated();
    let mut journal = bench.segments();
    journal.get_mut(&name(boundary)).unwrap()[30] ^= 1;
    bench.assert_refused(&journal);
    let first = journal.get_mut(&name(0)).unwrap();
    first.truncate(first.len() - 10);
    bench.assert_refused(&journal);
}

/// What the power cut left of the first segment is room that was reserved and not given back.
#[test]
fn room_that_was_not_given_back_at_a_segments_end_is_stepped_over() {
    let mut bench = Bench::new();
    bench.fill();
    bench.write(20);
    bench.publish();
    let written = bench.records();
    for zeros in [1, 20_000, 600_000] {
        let mut journal = bench.segments();
        let first = journal.get_mut(&name(0)).unwrap();
        first.resize(first.len() + zeros, 0);
        // The follower goes over it as the ledger is opened, and as it publishes.
        assert_sound(bench.with(&journal).path(), &written, written.len() as u64);
        let directory = bench.with(&journal);
        for name in ["checkpoint", "tile"] {
            let path = directory.path().join("log").join(name);
            drop(fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)));
        }
        let ledger = Ledger::open(options(directory.path())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ledger.close()).unwrap();
        assert!(verify(directory.path(), None).unwrap().size > written.len() as u64);
    }
}

/// It stands at the end of the first segment, all of which is published now.
#[test]
fn publishing_goes_on_behind_a_segment_that_went() {
    let mut bench = Bench::new();
    bench.shared.lock().open.clear();
    let written = usize::try_from(bench.shared.lock().writer.written()).unwrap();
    bench.write(256 - written);
    bench.write(3);
    bench.sync();
    bench.publisher.publish(&bench.shared, 256).unwrap();
    assert_eq!(bench.segments().into_keys().collect::<Vec<_>>(), [name(256)]);
    bench.publish();
    assert_eq!(verify(bench.directory.path(), None).unwrap().size, 259);
}

/// After a sync that failed, what can be read is as good as what a power cut leaves.
#[test]
fn a_journal_whose_unsynced_end_is_unreadable_is_written_anew_without_what_follows() {
    let bench = Bench::new();
    let (promised, boundary) = bench.rotated();
    let first = bench.journal().join(name(0));
    let mut bytes = fs::read(&first).unwrap();
    let end = bytes.len();
    bytes[end - 10] ^= 1;
    fs::write(&first, &bytes).unwrap();
    let rewritten = recover::rewrite_unsynced(&bench.shared.layout, promised).unwrap_or_else(|_| panic!("lost"));
    assert_eq!(rewritten.writer.written(), boundary - 1);
    let left: Vec<_> = bench.segments().into_keys().collect();
    assert_eq!(left, [name(0), format!("{boundary:020}.cut")]);
    assert!(recover::rewrite_unsynced(&bench.shared.layout, boundary).is_err());
}
