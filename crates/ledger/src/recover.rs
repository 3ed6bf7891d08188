//! Opening a log: is it whole, is it ours, what did a crash leave behind? And the same, smaller, after a failed sync.
//!
//! The journal is the truth. Its first segments must lead to the published checkpoint, record for record; what lies
//! beyond is integrated later. Bytes that are no entry are cut off only where nothing says that they were promised.

use crate::{
    checkpoint::{CHECKPOINT_BYTES_MAX, Checkpoint, VerifierKey, is_valid_name},
    core::{Core, Layout, Shared},
    journal::{self, Ending, Follower, Segment, SegmentError, Writer},
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
    fs, io,
    path::{Path, PathBuf},
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(files::replace(
            &path,
            &layout.scratch,
            format!("{expected}\n").as_bytes(),
            Safety::Synced,
        )?),
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
    /// First sequence and path, oldest first; without those that were only begun.
    segments: Vec<(u64, PathBuf)>,
    /// Segments that were begun as the crash came and do not count, oldest first, each with the bytes of the entries in it.
    begun: Vec<(PathBuf, u64)>,
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
    /// Reads all segments. The last that counts may have a torn end; anything else that is not whole is damage.
    fn scan(directory: &Path) -> Result<Self, OpenError> {
        let mut journal = Self::default();
        let found = journal::segments(directory)?;
        let mut rest = found.as_slice();
        while let Some(((first, path), behind)) = rest.split_first() {
            let segment = match Segment::read(path, *first) {
                Ok(segment) => segment,
                Err(SegmentError::Unfinished)
                    if found.len() == 1
                        && let Some(begun) = journal::begun(&found, 0)? =>
                {
                    journal.begun = begun;
                    break;
                }
                Err(SegmentError::Io(error)) => return Err(error.into()),
                Err(SegmentError::Unfinished | SegmentError::Damaged) => {
                    return Err(damaged(path, Some(0), "the segment's header is damaged"));
                }
            };
            if !journal.segments.is_empty() && *first != journal.next {
                return Err(damaged(
                    path,
                    None,
                    format!("the segment before it ends at record {}", journal.next),
                ));
            }
            rest = journal.read(&segment, *first, path, behind)?;
            journal.segments.push((*first, path.clone()));
        }
        Ok(journal)
    }

    /// Reads a segment, and gives those of `behind` that count.
    fn read<'a>(
        &mut self,
        segment: &Segment,
        first: u64,
        path: &Path,
        behind: &'a [(u64, PathBuf)],
    ) -> Result<&'a [(u64, PathBuf)], OpenError> {
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
        let begun = journal::begun(behind, ending.next)?;
        let promised = segment.synced_behind(&ending);
        if ending.bytes_bad > 0 && (begun.is_none() || promised > ending.next) {
            return Err(damaged(
                path,
                Some(ending.offset),
                format!("record {} was durable and cannot be read", ending.next),
            ));
        }
        Ok(match begun {
            Some(begun) => {
                self.begun = begun;
                &[]
            }
            None => behind,
        })
    }

    /// Bytes that are cut off: what is no entry at the end, and entries in segments that do not count.
    fn bytes_cut(&self) -> u64 {
        let begun: u64 = self.begun.iter().map(|(_, bytes)| bytes).sum();
        self.ending.map_or(0, |ending| ending.bytes_bad) + begun
    }

    /// Takes the segments away that do not count; those that hold entries are kept beside. A crash here leaves some of them,
    /// which do not count either, as long as the one before has not grown: so that comes after the sync.
    fn drop_begun(&self, make_durable: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        for (path, bytes) in self.begun.iter().rev() {
            match bytes {
                0 => fs::remove_file(path)?,
                _ => fs::rename(path, path.with_extension("cut"))?,
            }
        }
        if self.begun.is_empty() {
            return Ok(());
        }
        make_durable()
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
    journal.drop_begun(|| files::sync_directory(&layout.journal))?;
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
    if crashed || journal.bytes_cut() > 0 || tiles_rewritten > 0 || !open.is_empty() {
        let details = [
            ("bytes_cut", Detail::Number(journal.bytes_cut())),
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
    core.writer.handle().sync_data()?;
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
/// be, and written to new files.
pub(crate) fn rewrite_unsynced(layout: &Layout, synced: u64) -> Result<Rewritten, Rewrite> {
    let segments = journal::segments(&layout.journal).map_err(Rewrite::Retry)?;
    for (at, (first, path)) in segments.iter().enumerate() {
        let holds_unsynced = segments.get(at + 1).is_none_or(|(next_first, _)| *next_first > synced);
        if holds_unsynced {
            let bytes = match Segment::read(path, *first) {
                Ok(segment) => {
                    let (_, ending) = segment.entries();
                    segment.head(ending.offset).to_vec()
                }
                Err(SegmentError::Io(error)) => return Err(Rewrite::Retry(error)),
                Err(SegmentError::Unfinished | SegmentError::Damaged) => {
                    let removed = fs::remove_file(path).and_then(|()| files::sync_directory(&layout.journal));
                    removed.map_err(Rewrite::Retry)?;
                    continue;
                }
            };
            files::replace(path, &layout.scratch, &bytes, Safety::Synced).map_err(Rewrite::Retry)?;
        }
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
    journal
        .drop_begun(|| files::sync_directory(&layout.journal))
        .map_err(Rewrite::Retry)?;
    let writer = Writer::resume(&layout.journal, path, ending.offset, journal.next).map_err(Rewrite::Retry)?;
    Ok(Rewritten {
        writer,
        open: journal.open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The segment before would grow beyond where they begin.
    #[test]
    fn segments_that_do_not_count_are_durably_gone_before_anything_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["1.journal", "2.journal"].map(|name| directory.path().join(name));
        for path in &paths {
            fs::write(path, b"x").unwrap();
        }
        let [unfinished, with_entries] = paths.clone();
        let mut journal = Journal {
            begun: vec![(unfinished, 0), (with_entries, 1)],
            ..Journal::default()
        };
        let mut syncs = 0;
        let mut made_durable = || {
            assert!(paths.iter().all(|path| !path.exists()));
            syncs += 1;
            Ok(())
        };
        journal.drop_begun(&mut made_durable).unwrap();
        journal.begun.clear();
        journal.drop_begun(&mut made_durable).unwrap();
        assert_eq!(syncs, 1);
        assert!(directory.path().join("2.cut").exists() && !directory.path().join("1.cut").exists());
    }
}
