//! Opening a log: is it whole, is it ours, what did a crash leave behind? And the same, smaller, after a failed sync.
//!
//! The journal is the truth. Its first segments must lead to the published checkpoint, record for record; what lies
//! beyond is integrated later. Bytes that are no entry are cut off only where nothing says that they were promised.

use crate::{
    checkpoint::{CHECKPOINT_BYTES_MAX, Checkpoint, VerifierKey, is_valid_name},
    core::{Core, Layout, Shared},
    journal::{self, Ending, Follower, Segment, SegmentError, Writer},
    keeper,
    record::{ACTION_OPENED, Body, Detail, Event, EventKind},
    schema::{self, Kind},
    secrets::{SECRET_NAME, Secrets},
    terms::{CallId, Options},
    tiles::{CHECKPOINT_NAME, Mode, Tiles},
    tree::{self, TILE_WIDTH_U64},
};
use portcullis_store::{
    files::{self, DirectoryLock, LockError, Safety, read_limited},
    keys::{KeyError, Secret, SigningKey},
};
use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

/// The verifier key's name in the log's directory.
pub(crate) const VERIFIER_KEY_NAME: &str = "verifier.key";

/// Why a ledger does not open. Nothing is changed on disk then, but for directories and keys that were missing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refuses.
    #[error("cannot open the record: {0}")]
    Io(#[from] io::Error),
    /// Another process has it.
    #[error("cannot open the record: {0}")]
    Lock(#[from] LockError),
    /// A key cannot be had.
    #[error("cannot open the record: {0}")]
    Key(#[from] KeyError),
    /// The origin cannot be a key's name.
    #[error("`{0}` cannot be the record's origin; hint: no spaces and no `+`, for example `portcullis.local/HOSTNAME`")]
    Origin(String),
    /// The log is signed with another key, or has another origin.
    #[error("the record in `{}` is by `{found}`, not by `{expected}`; hint: keep origin and signing key, or begin a new record elsewhere", .directory.display())]
    AnotherKey {
        /// The ledger's directory.
        directory: PathBuf,
        /// The log's own verifier key.
        found: String,
        /// The one made of our key and origin.
        expected: String,
    },
    /// A place that was acknowledged is not as it was written.
    #[error(
        "the record is damaged: {place}: {what}; hint: do not delete anything; `audit verify` says more, a backup may have the rest"
    )]
    Damaged {
        /// The file, and where in it.
        place: String,
        /// What is wrong.
        what: String,
    },
}

/// A ledger that is open but for its threads.
pub(crate) struct Opened {
    pub(crate) shared: Shared,
    pub(crate) tiles: Tiles,
    pub(crate) follower: Follower,
    pub(crate) verifier: VerifierKey,
    pub(crate) key: SigningKey,
    pub(crate) lock: DirectoryLock,
}

/// Opens, recovers, and writes `start`.
pub(crate) fn open(options: &Options) -> Result<Opened, OpenError> {
    if !is_valid_name(&options.origin) {
        return Err(OpenError::Origin(options.origin.clone()));
    }
    let layout = Layout::of(options);
    for directory in [&options.directory, &layout.log, &layout.journal, &layout.keys] {
        files::create_private_directory(directory)?;
    }
    let lock = DirectoryLock::acquire(&options.directory)?;
    let key = SigningKey::load_or_create(&layout.keys.join("signing.seed"))?;
    let secret = Secret::load_or_create(&layout.keys.join(SECRET_NAME))?;
    let verifier = VerifierKey::new(&options.origin, key.public());
    publish_verifier_key(options, &layout, &verifier)?;
    let checkpoint = read_checkpoint(&layout.log, &verifier)?;
    let journal = Journal::scan(&layout.journal)?;
    let (mut tiles, follower) = rebuild(&layout, &journal, checkpoint)?;
    if checkpoint.is_none() {
        // Over nothing: a log can be verified from its first moment on.
        tiles.publish(&verifier, &key)?;
    }
    let published = checkpoint.map_or(0, |checkpoint| checkpoint.size);
    let (shared, healed) = (
        begin(layout, &journal, Secrets::new(&secret), published)?,
        tiles.differing(),
    );
    greet(&shared, &journal, healed)?;
    Ok(Opened {
        shared,
        tiles,
        follower,
        verifier,
        key,
        lock,
    })
}

/// Puts the verifier key beside the checkpoint, for whoever has no other source; refuses a log by another key.
fn publish_verifier_key(options: &Options, layout: &Layout, verifier: &VerifierKey) -> Result<(), OpenError> {
    let path = layout.log.join(VERIFIER_KEY_NAME);
    let expected = verifier.to_string();
    match read_limited(&path, CHECKPOINT_BYTES_MAX) {
        Ok(found) => {
            let found = String::from_utf8_lossy(&found).trim().to_owned();
            if found == expected {
                Ok(())
            } else {
                Err(OpenError::AnotherKey {
                    directory: options.directory.clone(),
                    found,
                    expected,
                })
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("{expected}\n");
            files::replace(&path, &layout.scratch, text.as_bytes(), Safety::Synced)?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn read_checkpoint(log: &Path, verifier: &VerifierKey) -> Result<Option<Checkpoint>, OpenError> {
    let path = log.join(CHECKPOINT_NAME);
    match read_limited(&path, CHECKPOINT_BYTES_MAX) {
        Ok(bytes) => Checkpoint::open(&bytes, verifier)
            .map(Some)
            .map_err(|what| damaged(&path, None, what)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn damaged(path: &Path, offset: Option<u64>, what: impl Into<String>) -> OpenError {
    let place = offset.map_or_else(
        || format!("`{}`", path.display()),
        |offset| format!("`{}` at byte {offset}", path.display()),
    );
    OpenError::Damaged {
        place,
        what: what.into(),
    }
}

/// The journal's segments as they were found.
#[derive(Debug, Default)]
struct Journal {
    /// First sequence and path, oldest first; without a last one whose header was never finished.
    segments: Vec<(u64, PathBuf)>,
    /// A segment that was begun as the crash came.
    unfinished: Option<PathBuf>,
    /// The record that comes next.
    next: u64,
    /// Where the last segment's good entries end.
    ending: Option<Ending>,
    /// Calls that have a decision and no outcome.
    open: HashSet<CallId>,
    /// The last record is a `stop`.
    stopped: bool,
}

impl Journal {
    /// Reads all segments. The last may have a torn end; anything else that is not whole is damage.
    fn scan(directory: &Path) -> Result<Self, OpenError> {
        let mut journal = Self::default();
        let found = journal::segments(directory)?;
        let last = found.len().saturating_sub(1);
        for (at, (first, path)) in found.into_iter().enumerate() {
            let segment = match Segment::read(&path, first) {
                Ok(segment) => segment,
                Err(SegmentError::Unfinished) if at == last => {
                    journal.unfinished = Some(path);
                    continue;
                }
                Err(SegmentError::Io(error)) => return Err(error.into()),
                Err(SegmentError::Unfinished | SegmentError::Damaged) => {
                    return Err(damaged(&path, Some(0), "the segment's header is damaged"));
                }
            };
            if at > 0 && first != journal.next {
                return Err(damaged(
                    &path,
                    None,
                    format!("the segment before it ends at record {}", journal.next),
                ));
            }
            journal.read(&segment, first, &path, at == last)?;
            journal.segments.push((first, path));
        }
        Ok(journal)
    }

    fn read(&mut self, segment: &Segment, first: u64, path: &Path, is_last: bool) -> Result<(), OpenError> {
        if self.segments.is_empty() {
            self.open.extend(segment.open());
            self.next = first;
        }
        let (entries, ending) = segment.entries();
        for entry in &entries {
            let summary = schema::read(entry.record).map_err(|what| damaged(path, Some(entry.offset), what))?;
            if summary.sequence != entry.sequence {
                return Err(damaged(
                    path,
                    Some(entry.offset),
                    format!("record {} stands in the place of {}", summary.sequence, entry.sequence),
                ));
            }
            match (summary.kind, summary.call) {
                (Kind::Decision, Some(call)) => drop(self.open.insert(call)),
                (Kind::Outcome, Some(call)) => drop(self.open.remove(&call)),
                _ => {}
            }
            self.stopped = summary.kind == Kind::Event(EventKind::Stop);
        }
        self.next = ending.next;
        self.ending = Some(ending);
        let promised = segment.synced_behind(&ending);
        if ending.bytes_bad > 0 && (!is_last || promised > ending.next) {
            return Err(damaged(
                path,
                Some(ending.offset),
                format!("record {} was durable and cannot be read", ending.next),
            ));
        }
        Ok(())
    }

    /// Bytes at the end that are no entries.
    fn bytes_bad(&self) -> u64 {
        self.ending.map_or(0, |ending| ending.bytes_bad)
    }
}

/// Checks that the journal leads to the checkpoint, and puts right what full tiles a crash left wrong. Gives the tiles as
/// far as the checkpoint goes, and a follower that goes on from there.
fn rebuild(layout: &Layout, journal: &Journal, checkpoint: Option<Checkpoint>) -> Result<(Tiles, Follower), OpenError> {
    let path = layout.log.join(CHECKPOINT_NAME);
    let Some((first, first_path)) = journal.segments.first() else {
        if checkpoint.is_some() {
            return Err(damaged(&layout.journal, None, "there is a checkpoint and no journal"));
        }
        let tiles = Tiles::resume(&layout.log, &layout.scratch, 0, Mode::Write)?;
        let journal_start = Segment::path(&layout.journal, 0);
        return Ok((
            tiles,
            Follower::at(&layout.journal, &journal_start, Segment::entries_start_of_empty(), 0),
        ));
    };
    let Some(checkpoint) = checkpoint.or((*first == 0).then(|| Checkpoint {
        size: 0,
        root: tree::empty_root(),
    })) else {
        return Err(damaged(
            &path,
            None,
            "there is a journal that begins in the middle, and no checkpoint",
        ));
    };
    let start = first.next_multiple_of(TILE_WIDTH_U64);
    if (*first > 0 && checkpoint.size < start) || checkpoint.size > journal.next {
        return Err(damaged(
            &path,
            None,
            format!(
                "it covers {} records, but the journal holds {first} to {}",
                checkpoint.size, journal.next
            ),
        ));
    }
    let offset = Segment::read(first_path, *first).map_or(0, |segment| segment.entries_start());
    let grow = |mode: Mode| -> Result<(Tiles, Follower), OpenError> {
        let mut tiles = Tiles::resume(&layout.log, &layout.scratch, start.min(checkpoint.size), mode)?;
        let mut follower = Follower::at(&layout.journal, first_path, offset, *first);
        while follower.next() < checkpoint.size {
            let next = follower.next();
            let record = follower.record()?;
            if next >= tiles.size() {
                tiles.push(record)?;
            }
            follower.advance();
        }
        // What was read ahead may be a torn end, which is about to be cut off.
        follower.rest();
        Ok((tiles, follower))
    };
    let (mut tiles, mut follower) = grow(Mode::Compare)?;
    if tiles.root() != checkpoint.root {
        return Err(damaged(
            &path,
            None,
            "its root is not that of the records in tiles and journal",
        ));
    }
    if tiles.differing() > 0 {
        // Full tiles that the journal still covers were not synced when the power went: they are made again.
        let differing = tiles.differing();
        (tiles, follower) = grow(Mode::Write)?;
        tiles.note_differing(differing);
    }
    tiles.write_from_now_on();
    tiles.adopt_partials(start.min(checkpoint.size));
    Ok((tiles, follower))
}

/// Opens the journal for writing, and cuts off its torn end. The bytes that are cut are kept beside it.
fn begin(layout: Layout, journal: &Journal, secrets: Secrets, published: u64) -> Result<Shared, OpenError> {
    if let Some(unfinished) = &journal.unfinished {
        fs::remove_file(unfinished)?;
    }
    let writer = match (journal.segments.last(), journal.ending) {
        (Some((first, path)), Some(ending)) => {
            if ending.bytes_bad > 0
                && let Ok(segment) = Segment::read(path, *first)
            {
                let kept = layout.journal.join(format!("{:020}.cut", ending.next));
                files::replace(&kept, &layout.scratch, segment.tail(ending.offset), Safety::Synced)?;
            }
            Writer::resume(&layout.journal, path, ending.offset, ending.next)?
        }
        _ => {
            let writer = Writer::create(&layout.journal, 0, &[])?;
            files::sync_directory(&layout.journal)?;
            writer
        }
    };
    let mut core = Core::new(writer, published, published);
    core.open = journal.open.iter().map(|call| (*call, None)).collect();
    // A run that was killed left them to the kernel: from the first sync on, entries say that they are durable.
    let older = journal.segments.split_last().map_or(&[][..], |(_, older)| older);
    for (_, path) in older {
        core.unsynced_segments.push(Arc::new(File::open(path)?));
    }
    let mut run = [0; 8];
    aws_lc_rs::rand::fill(&mut run).map_err(|_| KeyError::Provider)?;
    Ok(Shared::new(layout, secrets, core, u64::from_be_bytes(run)))
}

/// The first records of a run, in one append: `unknown` for what a crash left open, `recovery` where there was anything
/// to recover, `start`.
fn greet(shared: &Shared, journal: &Journal, tiles_rewritten: u64) -> Result<(), OpenError> {
    let now = SystemTime::now();
    let mut core = shared.lock();
    let open: Vec<CallId> = core.open.keys().copied().collect();
    let mut bodies: Vec<Body> = shared
        .unknown_outcomes(&core, &open, "crashed")
        .into_iter()
        .map(|(_, body)| body)
        .collect();
    let crashed = journal.next > 0 && !journal.stopped;
    if crashed || journal.bytes_bad() > 0 || tiles_rewritten > 0 || !open.is_empty() {
        let details = [
            ("bytes_cut", Detail::Number(journal.bytes_bad())),
            ("tiles_rewritten", Detail::Number(tiles_rewritten)),
            ("unknown_outcomes", Detail::Number(open.len() as u64)),
        ];
        bodies.push(Body::recovery("unclean_stop", &details, shared.next_id(), now));
    }
    let start = Event {
        kind: EventKind::Start,
        action: ACTION_OPENED,
        actor: None,
        details: &[("software", Detail::Text(env!("CARGO_PKG_VERSION")))],
    };
    bodies.push(Body::event(&start, shared.next_id(), None, now));
    core.append(&bodies)?;
    core.open.clear();
    let files = keeper::unsynced_files(&mut core);
    keeper::sync_files(shared, &files)?;
    core.synced = core.writer.written();
    Ok(())
}

/// What stands in the way of going on after a failed sync.
pub(crate) enum Rewrite {
    /// The disk, still.
    Retry(io::Error),
    /// Records that were promised are gone.
    Lost(String),
}

/// A journal that was made again.
pub(crate) struct Rewritten {
    pub(crate) writer: Writer,
    /// Calls that have a decision and no outcome.
    pub(crate) open: HashSet<CallId>,
}

/// After a failed sync nobody knows what is on the disk, and a second sync that succeeds proves nothing: the kernel may
/// have given up on the pages. So the segments that hold records from `synced` on are read once more, as far as they can
/// be, and written to new files. Where one that was durable cannot be read nothing is touched: what stands behind it tells
/// the next start that it is lost.
pub(crate) fn rewrite_unsynced(layout: &Layout, synced: u64) -> Result<Rewritten, Rewrite> {
    let segments = journal::segments(&layout.journal).map_err(Rewrite::Retry)?;
    let mut anew = Vec::new();
    for (at, (first, path)) in segments.iter().enumerate() {
        let next_first = segments.get(at + 1).map_or(u64::MAX, |(next_first, _)| *next_first);
        if next_first <= synced {
            continue;
        }
        let (bytes, next) = match Segment::read(path, *first) {
            Ok(segment) => {
                let (_, ending) = segment.entries();
                (Some(segment.head(ending.offset).to_vec()), ending.next)
            }
            Err(SegmentError::Io(error)) => return Err(Rewrite::Retry(error)),
            Err(SegmentError::Unfinished | SegmentError::Damaged) => (None, *first),
        };
        if next < synced {
            return Err(Rewrite::Lost(format!(
                "records {next} to {synced} were durable and cannot be read"
            )));
        }
        anew.push((path, bytes));
    }
    for (path, bytes) in anew {
        match bytes {
            Some(bytes) => files::replace(path, &layout.scratch, &bytes, Safety::Synced).map(drop),
            None => fs::remove_file(path).and_then(|()| files::sync_directory(&layout.journal)),
        }
        .map_err(Rewrite::Retry)?;
    }
    let journal = Journal::scan(&layout.journal).map_err(|error| match error {
        OpenError::Io(error) => Rewrite::Retry(error),
        other => Rewrite::Lost(other.to_string()),
    })?;
    let (Some((_, path)), Some(ending)) = (journal.segments.last(), journal.ending) else {
        return Err(Rewrite::Lost("the journal is gone".to_owned()));
    };
    if journal.next < synced {
        return Err(Rewrite::Lost(format!(
            "records {} to {synced} were durable and cannot be read",
            journal.next
        )));
    }
    let writer = Writer::resume(&layout.journal, path, ending.offset, journal.next).map_err(Rewrite::Retry)?;
    Ok(Rewritten {
        writer,
        open: journal.open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::event;

    /// Who was killed between a rotation and the sync after it has synced neither segment, nor the name of the second.
    #[test]
    fn what_a_killed_run_left_to_the_kernel_is_synced_before_it_counts_as_durable() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            segment_bytes: 1024,
            ..Options::new(directory.path(), "portcullis.local/test")
        };
        let opened = open(&options).unwrap();
        for _ in 0..20 {
            let body = Body::event(&event(), opened.shared.next_id(), None, SystemTime::now());
            opened.shared.append(&mut opened.shared.lock(), &[body]).unwrap();
        }
        drop(opened);
        let layout = Layout::of(&options);
        let journal = Journal::scan(&layout.journal).unwrap();
        assert!(journal.segments.len() > 2);
        let secret = Secret::load_or_create(&layout.keys.join(SECRET_NAME)).unwrap();
        let shared = begin(layout, &journal, Secrets::new(&secret), 0).unwrap();
        assert_eq!(shared.lock().unsynced_segments.len(), journal.segments.len() - 1);
        greet(&shared, &journal, 0).unwrap();
        let core = shared.lock();
        assert_eq!(
            (core.unsynced_segments.len(), core.synced),
            (0, core.writer.written()),
            "synced with the first records"
        );
    }

    /// Twenty records, of which the first fifteen were promised.
    fn twenty(options: &Options) -> (Layout, PathBuf) {
        let opened = open(options).unwrap();
        while opened.shared.lock().writer.written() < 20 {
            let body = Body::event(&event(), opened.shared.next_id(), None, SystemTime::now());
            opened.shared.append(&mut opened.shared.lock(), &[body]).unwrap();
        }
        let layout = Layout::of(options);
        let (_, path) = journal::segments(&layout.journal).unwrap().pop().unwrap();
        (layout, path)
    }

    fn spoil(path: &Path, record: u64) -> Vec<u8> {
        let segment = Segment::read(path, 0).unwrap();
        let at = usize::try_from(segment.entries().0[usize::try_from(record).unwrap()].offset).unwrap();
        let mut bytes = fs::read(path).unwrap();
        bytes[at + 20] ^= 1;
        fs::write(path, &bytes).unwrap();
        bytes
    }

    #[test]
    fn what_was_promised_and_reads_badly_after_a_failed_sync_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new(directory.path(), "portcullis.local/test");
        let (layout, path) = twenty(&options);
        let bytes = spoil(&path, 7);
        assert!(matches!(rewrite_unsynced(&layout, 15), Err(Rewrite::Lost(_))));
        assert!(fs::read(&path).unwrap() == bytes, "it was written to");
        // Nor where not even the header reads.
        fs::write(&path, &bytes[1..]).unwrap();
        assert!(matches!(rewrite_unsynced(&layout, 15), Err(Rewrite::Lost(_))));
        assert!(fs::read(&path).unwrap() == bytes[1..], "it was written to");
    }

    #[test]
    fn what_was_not_promised_and_reads_badly_after_a_failed_sync_goes() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new(directory.path(), "portcullis.local/test");
        let (layout, path) = twenty(&options);
        spoil(&path, 17);
        let Ok(rewritten) = rewrite_unsynced(&layout, 15) else {
            panic!("what was promised is there");
        };
        assert_eq!(rewritten.writer.written(), 17);
    }
}
