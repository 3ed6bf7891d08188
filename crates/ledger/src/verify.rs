//! Verification offline: is this log what its key signed, is every record one of ours, is none missing, has every
//! decision one outcome? Reads a directory and nothing else; knows no secret and asks no ledger.
//!
//! What is wrong is named by its place. Entries and hashes are kept twice (bundles and tiles), so where they differ the
//! signed root tells which of the two is right.

use crate::{
    checkpoint::{CHECKPOINT_BYTES_MAX, Checkpoint, VerifierKey},
    journal::{self, Segment, SegmentError},
    pairing::Pairing,
    recover::VERIFIER_KEY_NAME,
    shelves::{Shelves, split_bundle},
    terms::CallId,
    tiles::CHECKPOINT_NAME,
    tree::{Edge, HASH_BYTES, Hash, LeafHasher, Shelf, TILE_WIDTH, TILE_WIDTH_U64, tile_path},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis_store::files::read_limited;
use std::{
    convert::Infallible,
    fmt, io,
    path::{Path, PathBuf},
};

/// Findings above this number are not listed: the log is wrong, and one knows where to begin.
const FINDINGS_MAX: usize = 1000;

/// How often a log that grows under our hands is read again.
const ATTEMPTS_MAX: usize = 5;

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The log's origin.
    pub origin: String,
    /// Records under the checkpoint.
    pub size: u64,
    /// The root of the checkpoint, in Base64 as there.
    pub root: String,
    /// Records in the journal that no checkpoint covers yet: whole and in order, but not signed for.
    pub records_not_covered: u64,
    /// Bytes at the journal's end that are no record: a crash, and nobody opened the log since.
    pub bytes_torn: u64,
    /// Whether the journal was there to be checked (a published copy has none).
    pub has_journal: bool,
    /// Decisions.
    pub decisions: u64,
    /// Outcomes.
    pub outcomes: u64,
    /// Outcomes that say `unknown`.
    pub outcomes_unknown: u64,
    /// Decisions whose outcome is still to come: the log is in use, or nobody opened it since it crashed.
    pub open_calls: Vec<CallId>,
}

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the directory.
    pub file: String,
    /// The byte in it, where it can be told.
    pub offset: Option<u64>,
    /// The record's index in the log, where it is about one.
    pub record: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(record) = self.record {
            write!(f, " (record {record})")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Verifies the ledger in `directory`, or a copy of its `log/` alone. Without `key` the verifier key beside the checkpoint
/// is believed: that proves that the log is whole, and not whose it is.
///
/// # Errors
/// All that is wrong, in the order in which it was found; at most 1,000 findings.
pub fn verify(directory: &Path, key: Option<&VerifierKey>) -> Result<Report, Vec<Finding>> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let log = log_directory(directory);
        let before = read_limited(&log.join(CHECKPOINT_NAME), CHECKPOINT_BYTES_MAX).ok();
        let verified = Verification::new(directory, log.clone()).run(key);
        let after = read_limited(&log.join(CHECKPOINT_NAME), CHECKPOINT_BYTES_MAX).ok();
        // A log in use moves on: files go when fuller ones come. Only a log that held still can be called wrong.
        if verified.is_ok() || before == after || attempts >= ATTEMPTS_MAX {
            return verified;
        }
    }
}

/// The public part of a ledger's directory; or the directory itself, where it is a copy of that part.
pub(crate) fn log_directory(directory: &Path) -> PathBuf {
    let log = directory.join("log");
    if log.is_dir() { log } else { directory.to_path_buf() }
}

struct Verification {
    directory: PathBuf,
    log: PathBuf,
    shelves: Shelves,
    findings: Vec<Finding>,
}

/// A leaf whose entry and stored hash differ.
struct Difference {
    index: u64,
    entry_offset: u64,
}

impl Verification {
    fn new(directory: &Path, log: PathBuf) -> Self {
        Self {
            directory: directory.to_path_buf(),
            shelves: Shelves::new(&log),
            log,
            findings: Vec::new(),
        }
    }

    fn find(&mut self, file: impl Into<String>, offset: Option<u64>, record: Option<u64>, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                file: file.into(),
                offset,
                record,
                what: what.into(),
            });
        }
    }

    fn run(mut self, key: Option<&VerifierKey>) -> Result<Report, Vec<Finding>> {
        let opened = self.open_checkpoint(key);
        let Some((verifier, checkpoint)) = opened else {
            return Err(self.findings);
        };
        let journal = self.read_journal(checkpoint.size);
        let mut pairing = Pairing::default();
        let mut walk = Walk::default();
        self.walk_entries(checkpoint.size, &journal, &mut pairing, &mut walk);
        self.judge(&checkpoint, &walk);
        self.check_tail(checkpoint.size, &journal, &mut pairing, &mut walk);
        self.check_stray_files(checkpoint.size, &walk);
        let (records_not_covered, bytes_torn) = (journal.next.saturating_sub(checkpoint.size), journal.bytes_torn);
        if !self.findings.is_empty() {
            return Err(self.findings);
        }
        Ok(Report {
            origin: verifier.name().to_owned(),
            size: checkpoint.size,
            root: STANDARD.encode(checkpoint.root),
            records_not_covered: if journal.segments.is_empty() {
                0
            } else {
                records_not_covered
            },
            bytes_torn,
            has_journal: !journal.segments.is_empty(),
            decisions: pairing.decisions(),
            outcomes: pairing.outcomes(),
            outcomes_unknown: pairing.outcomes_unknown(),
            open_calls: pairing.open_calls(),
        })
    }

    fn open_checkpoint(&mut self, given: Option<&VerifierKey>) -> Option<(VerifierKey, Checkpoint)> {
        let beside = match self.read_text(VERIFIER_KEY_NAME) {
            Ok(text) => match VerifierKey::parse(&text) {
                // The file has one spelling too.
                Ok(key) if text == format!("{key}\n") => Some(key),
                Ok(_) => {
                    self.find(
                        VERIFIER_KEY_NAME,
                        None,
                        None,
                        "not the canonical form of a verifier key",
                    );
                    None
                }
                Err(error) => {
                    self.find(VERIFIER_KEY_NAME, None, None, error.to_string());
                    None
                }
            },
            Err(_) if given.is_some() => None,
            Err(error) => {
                self.find(
                    VERIFIER_KEY_NAME,
                    None,
                    None,
                    format!("{error}; hint: name the verifier key"),
                );
                None
            }
        };
        if let (Some(given), Some(beside)) = (given, &beside)
            && given != beside
        {
            self.find(
                VERIFIER_KEY_NAME,
                None,
                None,
                format!("`{beside}` is not the key that was named"),
            );
        }
        let verifier = given.cloned().or(beside)?;
        let opened = match read_limited(&self.log.join(CHECKPOINT_NAME), CHECKPOINT_BYTES_MAX) {
            Ok(bytes) => Checkpoint::open(&bytes, &verifier),
            Err(error) => Err(error.to_string()),
        };
        match opened {
            Ok(checkpoint) => Some((verifier, checkpoint)),
            Err(what) => {
                self.find(CHECKPOINT_NAME, None, None, what);
                None
            }
        }
    }

    fn read_text(&self, name: &str) -> io::Result<String> {
        let bytes = read_limited(&self.log.join(name), CHECKPOINT_BYTES_MAX)?;
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
    }

    /// Reads what journal there is, and checks it by itself: checksums, order, and that it reaches the checkpoint.
    fn read_journal(&mut self, size: u64) -> Journal {
        let mut journal = Journal::default();
        let directory = self.directory.join("journal");
        if directory == self.log.join("journal") || !directory.is_dir() {
            return journal;
        }
        let segments = match journal::segments(&directory) {
            Ok(segments) => segments,
            Err(error) => {
                self.find("journal", None, None, error.to_string());
                return journal;
            }
        };
        let last = segments.len().saturating_sub(1);
        for (at, (first, path)) in segments.into_iter().enumerate() {
            let name = format!("journal/{}", path.file_name().unwrap_or_default().to_string_lossy());
            let segment = match Segment::read(&path, first) {
                Ok(segment) => segment,
                // The crash came as it was begun.
                Err(SegmentError::Unfinished) if at == last && at > 0 => continue,
                Err(SegmentError::Io(error)) => {
                    self.find(name, None, None, error.to_string());
                    continue;
                }
                Err(SegmentError::Unfinished | SegmentError::Damaged) => {
                    self.find(name, Some(0), None, "the segment's header is damaged");
                    continue;
                }
            };
            if at > 0 && first != journal.next {
                self.find(
                    name.clone(),
                    None,
                    None,
                    format!("the segment before it ends at record {}", journal.next),
                );
            }
            let (_, ending) = segment.entries();
            if ending.bytes_bad > 0
                && (at != last || segment.synced_behind(&ending) > ending.next || ending.next < size)
            {
                self.find(
                    name.clone(),
                    Some(ending.offset),
                    Some(ending.next),
                    "the entry is damaged",
                );
            } else {
                journal.bytes_torn = ending.bytes_bad;
            }
            journal.next = ending.next;
            journal.segments.push((name, segment));
        }
        let first = journal.segments.first().map(|(_, segment)| segment.first());
        match first {
            None => self.find("journal", None, None, "there is no segment"),
            Some(first) if first > size || journal.next < size => {
                self.find(
                    "journal",
                    None,
                    None,
                    format!(
                        "it holds records {first} to {}, and the checkpoint covers {size}",
                        journal.next
                    ),
                );
            }
            Some(_) => {}
        }
        journal
    }

    /// Reads every bundle and level-0 tile under the checkpoint side by side.
    fn walk_entries(&mut self, size: u64, journal: &Journal, pairing: &mut Pairing, walk: &mut Walk) {
        let journaled = journal.records();
        let journal_first = journal
            .segments
            .first()
            .map_or(u64::MAX, |(_, segment)| segment.first());
        let mut hasher = LeafHasher::default();
        for number in 0..size.div_ceil(TILE_WIDTH_U64) {
            let width = usize::try_from(size - number * TILE_WIDTH_U64)
                .unwrap_or(TILE_WIDTH)
                .min(TILE_WIDTH);
            let stored = self.stored_tile(0, number, width);
            let (bundle_name, bundle) = self.stored(Shelf::Entries, number, width);
            let (records, bad) = split_bundle(&bundle, width);
            if let Some(offset) = bad
                && !bundle.is_empty()
            {
                self.find(
                    bundle_name.clone(),
                    Some(offset),
                    Some(number * TILE_WIDTH_U64 + records.len() as u64),
                    "no whole entry here",
                );
            }
            let mut differs = false;
            for place in 0..width {
                let index = number * TILE_WIDTH_U64 + place as u64;
                let stored_hash = stored.get(place).copied();
                let entry = records.get(place);
                let hash = entry.map(|(_, record)| hasher.hash(record));
                if let (Some((offset, _)), Some(hash), Some(stored_hash)) = (entry, hash, stored_hash)
                    && hash != stored_hash
                    && !differs
                {
                    // One wrong length makes all that follows wrong: the first is where to look.
                    differs = true;
                    walk.differences.push(Difference {
                        index,
                        entry_offset: *offset,
                    });
                }
                walk.entries_edge.grow(
                    hash.or(stored_hash).unwrap_or_default(),
                    &mut self.shelves,
                    &mut walk.entry_tiles_wrong,
                );
                if let Some((offset, record)) = entry
                    && !differs
                {
                    for what in pairing.follow(record, index) {
                        self.find(bundle_name.clone(), Some(*offset), Some(index), what);
                    }
                    let in_journal = index
                        .checked_sub(journal_first)
                        .and_then(|at| journaled.get(usize::try_from(at).ok()?));
                    if let Some((segment, offset, journal_record)) = in_journal
                        && journal_record != record
                    {
                        self.find(
                            (*segment).to_owned(),
                            Some(*offset),
                            Some(index),
                            "the journal's record is not the one in the bundle",
                        );
                    }
                }
            }
        }
    }

    /// Decides who is wrong where entries, tiles and root do not agree.
    fn judge(&mut self, checkpoint: &Checkpoint, walk: &Walk) {
        if walk.entries_edge.edge.root() == checkpoint.root {
            // The entries are right, so whatever tile differs from them is wrong.
            for difference in &walk.differences {
                let (number, place) = (difference.index / TILE_WIDTH_U64, difference.index % TILE_WIDTH_U64);
                let name = self.shelves.name(
                    Shelf::Hashes(0),
                    number,
                    usize::try_from(place + 1).unwrap_or(TILE_WIDTH),
                    checkpoint.size,
                );
                self.find(
                    name,
                    Some(place * HASH_BYTES as u64),
                    Some(difference.index),
                    "the hash is not that of the entry",
                );
            }
            for wrong in walk.entry_tiles_wrong.iter().filter(|wrong| wrong.level > 0) {
                self.find(
                    wrong.file.clone(),
                    Some(wrong.offset),
                    None,
                    "the hash is not that of the tile below",
                );
            }
            self.check_upper_edge(checkpoint.size, &walk.entries_edge.edge);
            return;
        }
        // Once more, from the stored hashes.
        let mut tiles_edge = CheckedEdge::default();
        let mut wrong = Vec::new();
        for number in 0..checkpoint.size.div_ceil(TILE_WIDTH_U64) {
            let width = usize::try_from(checkpoint.size - number * TILE_WIDTH_U64)
                .unwrap_or(TILE_WIDTH)
                .min(TILE_WIDTH);
            let mut hashes = self.shelves.hashes(0, number, width).unwrap_or_default();
            hashes.resize(width, Hash::default());
            for hash in hashes {
                tiles_edge.grow(hash, &mut self.shelves, &mut wrong);
            }
        }
        let tiles_fit = tiles_edge.edge.root() == checkpoint.root;
        for difference in &walk.differences {
            let (number, place) = (difference.index / TILE_WIDTH_U64, difference.index % TILE_WIDTH_U64);
            let width = usize::try_from(place + 1).unwrap_or(TILE_WIDTH);
            let bundle = self.shelves.name(Shelf::Entries, number, width, checkpoint.size);
            self.find(
                bundle,
                Some(difference.entry_offset),
                Some(difference.index),
                "the entry is not the one that was signed for",
            );
            if !tiles_fit {
                let tile = self.shelves.name(Shelf::Hashes(0), number, width, checkpoint.size);
                self.find(
                    tile,
                    Some(place * HASH_BYTES as u64),
                    Some(difference.index),
                    "the hash is not that of the entry",
                );
            }
        }
        for wrong in wrong.iter().filter(|wrong| wrong.level > 0) {
            self.find(
                wrong.file.clone(),
                Some(wrong.offset),
                None,
                "the hash is not that of the tile below",
            );
        }
        if tiles_fit {
            self.check_upper_edge(checkpoint.size, &tiles_edge.edge);
        } else {
            self.find(
                CHECKPOINT_NAME,
                None,
                None,
                "the signed root is neither that of the entries nor that of the tiles",
            );
        }
    }

    /// The unfinished tiles above level 0, which no full tile vouches for, against the computed ones.
    fn check_upper_edge(&mut self, size: u64, edge: &Edge) {
        for (level, expected) in edge.levels().filter(|(level, hashes)| *level > 0 && !hashes.is_empty()) {
            let number = size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            let stored = self.stored_tile(level, number, expected.len());
            if let Some(place) = stored
                .iter()
                .zip(expected)
                .position(|(stored, expected)| stored != expected)
            {
                let name = self.shelves.name(Shelf::Hashes(level), number, expected.len(), size);
                self.find(
                    name,
                    Some((place * HASH_BYTES) as u64),
                    None,
                    "the hash is not that of the tile below",
                );
            }
        }
    }

    /// The records beyond the checkpoint: schema, order and pairs; and the tiles that were made of them already.
    fn check_tail(&mut self, size: u64, journal: &Journal, pairing: &mut Pairing, walk: &mut Walk) {
        let mut hasher = LeafHasher::default();
        let journal_first = journal
            .segments
            .first()
            .map_or(u64::MAX, |(_, segment)| segment.first());
        let mut bundle = match size % TILE_WIDTH_U64 {
            0 => Vec::new(),
            width => self
                .shelves
                .prefix(
                    Shelf::Entries,
                    size / TILE_WIDTH_U64,
                    usize::try_from(width).unwrap_or(0),
                )
                .unwrap_or_default(),
        };
        if journal_first > size {
            return;
        }
        for ((segment, offset, record), index) in journal
            .records()
            .iter()
            .zip(journal_first..)
            .skip_while(|(_, index)| *index < size)
        {
            for what in pairing.follow(record, index) {
                self.find((*segment).to_owned(), Some(*offset), Some(index), what);
            }
            bundle.extend_from_slice(&u16::try_from(record.len()).unwrap_or(u16::MAX).to_be_bytes());
            bundle.extend_from_slice(record);
            walk.entries_edge.grow_beyond(hasher.hash(record), &mut walk.beyond);
            if (index + 1).is_multiple_of(TILE_WIDTH_U64) {
                walk.beyond
                    .push((Shelf::Entries, index / TILE_WIDTH_U64, std::mem::take(&mut bundle)));
            }
        }
        let end = walk.entries_edge.edge.size();
        walk.beyond.push((Shelf::Entries, end / TILE_WIDTH_U64, bundle));
        let unfinished = walk.entries_edge.edge.levels();
        walk.beyond.extend(unfinished.map(|(level, hashes)| {
            let number = end.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            (Shelf::Hashes(level), number, hashes.as_flattened().to_vec())
        }));
    }

    /// Every other file below `tile/`: older and newer partial tiles must say the same as far as they go.
    fn check_stray_files(&mut self, size: u64, walk: &Walk) {
        let files = match self.shelves.files() {
            Ok(files) => files,
            Err(error) => {
                self.find("tile", None, None, error.to_string());
                return;
            }
        };
        for (name, parsed) in files {
            let Some((shelf, number, width)) = parsed else {
                self.find(name, None, None, "no tile has this name");
                continue;
            };
            let beyond = walk
                .beyond
                .iter()
                .find(|(known_shelf, known_number, _)| (*known_shelf, *known_number) == (shelf, number));
            match self
                .shelves
                .compare(shelf, number, width, beyond.map(|(.., bytes)| bytes.as_slice()), size)
            {
                Ok(None) => {}
                Ok(Some(offset)) => self.find(name, Some(offset), None, "not what the log holds here"),
                Err(error) => self.find(name, None, None, error.to_string()),
            }
        }
    }

    /// The hashes of a tile that must be there.
    fn stored_tile(&mut self, level: u8, number: u64, width: usize) -> Vec<Hash> {
        let (_, bytes) = self.stored(Shelf::Hashes(level), number, width);
        bytes.as_chunks::<HASH_BYTES>().0.to_vec()
    }

    /// The name and the first `width` parts of a tile that must be there.
    fn stored(&mut self, shelf: Shelf, number: u64, width: usize) -> (String, Vec<u8>) {
        match self.shelves.read(shelf, number, width) {
            Ok(found) => found,
            Err(error) => {
                let name = tile_path(shelf, number, width);
                self.find(name.clone(), None, None, error.to_string());
                (name, Vec::new())
            }
        }
    }
}

/// The journal as it was found.
#[derive(Default)]
struct Journal {
    segments: Vec<(String, Segment)>,
    next: u64,
    bytes_torn: u64,
}

impl Journal {
    /// Its records in order: segment, byte offset, record.
    fn records(&self) -> Vec<(&str, u64, &[u8])> {
        let entries = self
            .segments
            .iter()
            .flat_map(|(name, segment)| segment.entries().0.into_iter().map(move |entry| (name.as_str(), entry)));
        entries
            .map(|(name, entry)| (name, entry.offset, entry.record))
            .collect()
    }
}

/// What walking over the log has brought together.
#[derive(Default)]
struct Walk {
    entries_edge: CheckedEdge,
    differences: Vec<Difference>,
    entry_tiles_wrong: Vec<WrongTile>,
    /// Tiles that hold records beyond the checkpoint, as far as the journal has them.
    beyond: Vec<(Shelf, u64, Vec<u8>)>,
}

/// A stored full tile that differs from the computed one.
struct WrongTile {
    level: u8,
    file: String,
    offset: u64,
}

/// A tree that is computed, and compared with the stored full tiles as it grows.
#[derive(Default)]
struct CheckedEdge {
    edge: Edge,
}

impl CheckedEdge {
    fn grow(&mut self, leaf: Hash, shelves: &mut Shelves, wrong: &mut Vec<WrongTile>) {
        let pushed: Result<(), Infallible> = self.edge.push(leaf, |level, number, expected| {
            // Level 0 is compared leaf by leaf elsewhere.
            if level > 0 {
                let stored = shelves
                    .prefix(Shelf::Hashes(level), number, TILE_WIDTH)
                    .unwrap_or_default();
                let expected = expected.as_flattened();
                if stored != expected {
                    let offset = stored
                        .iter()
                        .zip(expected)
                        .take_while(|(stored, expected)| stored == expected)
                        .count();
                    wrong.push(WrongTile {
                        level,
                        file: tile_path(Shelf::Hashes(level), number, TILE_WIDTH),
                        offset: offset as u64,
                    });
                }
            }
            Ok(())
        });
        let Ok(()) = pushed;
    }

    fn grow_beyond(&mut self, leaf: Hash, beyond: &mut Vec<(Shelf, u64, Vec<u8>)>) {
        let pushed: Result<(), Infallible> = self.edge.push(leaf, |level, number, hashes| {
            beyond.push((Shelf::Hashes(level), number, hashes.as_flattened().to_vec()));
            Ok(())
        });
        let Ok(()) = pushed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Durability, Ledger, Options, Tail,
        samples::{decision, outcome},
        tiles::{Mode, Tiles},
    };
    use portcullis_store::keys::SigningKey;
    use std::fs;

    /// The records of a log with three calls.
    fn records(directory: &Path) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let ledger = Ledger::open(Options::new(directory, "portcullis.local/test")).unwrap();
            for _ in 0..3 {
                let call = ledger.call_id();
                let _ = ledger.intend(&decision(call), Durability::Written, ()).await.unwrap();
                let _ = ledger.seal(&outcome(call), Durability::Written, ()).await.unwrap();
            }
            ledger.close().await.unwrap();
        });
        let mut tail = Tail::new(directory, 0);
        std::iter::from_fn(|| tail.next_record().unwrap())
            .map(|record| record.json)
            .collect()
    }

    /// A log with a valid tree and signature over whatever records: what an insider with the key can make.
    fn forge(directory: &Path, key: &SigningKey, records: &[String]) -> PathBuf {
        let log = tempfile::tempdir_in(directory).unwrap().keep();
        let verifier = VerifierKey::new("portcullis.local/test", key.public());
        let mut tiles = Tiles::resume(&log, &directory.join("scratch"), 0, Mode::Write).unwrap();
        records.iter().for_each(|record| tiles.push(record.as_bytes()).unwrap());
        tiles.publish(&verifier, key).unwrap();
        fs::write(log.join(VERIFIER_KEY_NAME), format!("{verifier}\n")).unwrap();
        log
    }

    #[test]
    fn a_valid_tree_over_a_wrong_record_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let records = records(directory.path());
        let key = SigningKey::load_or_create(&directory.path().join("keys/signing.seed")).unwrap();
        assert_eq!(verify(&forge(directory.path(), &key, &records), None).unwrap().size, 8);
        let renumbered = |records: Vec<String>| -> Vec<String> {
            let bodies = records
                .iter()
                .map(|record| record.split_once(',').unwrap().1.to_owned());
            bodies
                .enumerate()
                .map(|(at, body)| format!("{{\"bseq\":{at},{body}"))
                .collect()
        };
        let mut dropped = records.clone();
        dropped.remove(4);
        let outcome_lost = renumbered(dropped.clone());
        let mut twice = records.clone();
        twice.insert(3, records[2].clone());
        let mut swapped = records.clone();
        swapped.swap(1, 2);
        let mut redecided = records.clone();
        redecided.insert(7, records[1].clone());
        let mut sloppy = records.clone();
        sloppy[2] = sloppy[2].replace("\"bseq\":2", "\"bseq\": 2");
        let mut unknown_field = records.clone();
        unknown_field[2] = unknown_field[2].replace("\"t\":\"outcome\"", "\"surprise\":1,\"t\":\"outcome\"");
        for (what, records, record, words) in [
            ("a record is dropped", dropped, 4, "record 4 is missing"),
            (
                "an outcome is dropped, the rest renumbered",
                outcome_lost,
                6,
                "has no outcome",
            ),
            ("an outcome comes twice", renumbered(twice), 3, "no decision that waits"),
            (
                "an outcome comes before its decision",
                renumbered(swapped),
                1,
                "no decision that waits",
            ),
            ("a call is decided twice", renumbered(redecided), 7, "second decision"),
            ("a record is not canonical", sloppy, 2, "not canonical"),
            ("a member is unknown", unknown_field, 2, "`surprise` is unknown"),
        ] {
            let findings = verify(&forge(directory.path(), &key, &records), None).expect_err(what);
            let found = findings.iter().any(|finding| {
                finding.record == Some(record)
                    && finding.what.contains(words)
                    && finding.file.starts_with("tile/entries/")
            });
            assert!(found, "{what}: {findings:?}");
        }
    }
}
