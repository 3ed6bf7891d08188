//! Reading the record in order, from any index on, and following it as it grows. Shows what is there and proves nothing:
//! that is what [`verify`](crate::verify) is for. It must not write, nor know a secret.

use crate::{
    journal::{self, Segment, SegmentError},
    shelves::{Shelves, split_bundle},
    tiles::CHECKPOINT_NAME,
    tree::{Shelf, TILE_WIDTH, TILE_WIDTH_U64},
    verify::log_directory,
};
use portcullis_store::files::read_limited;
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
};

/// A record as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its index, which is its `bseq`.
    pub index: u64,
    /// The record: one JSON object.
    pub json: String,
    /// Whether the checkpoint covers it already.
    pub covered: bool,
}

/// Goes through a log from an index on.
#[derive(Debug)]
pub struct Tail {
    journal: PathBuf,
    log: PathBuf,
    shelves: Shelves,
    next: u64,
    ready: VecDeque<Recorded>,
}

impl Tail {
    /// Begins at record `from` of the ledger in `directory`, or of a copy of its `log/`.
    pub fn new(directory: &Path, from: u64) -> Self {
        let log = log_directory(directory);
        Self {
            journal: directory.join("journal"),
            shelves: Shelves::new(&log),
            log,
            next: from,
            ready: VecDeque::new(),
        }
    }

    /// Records in the log in `directory` now, to begin a tail so many before its end.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn length(directory: &Path) -> io::Result<u64> {
        let tail = Self::new(directory, 0);
        let journaled = tail
            .segments()?
            .pop()
            .and_then(|(first, path)| Segment::read(&path, first).ok())
            .map(|segment| segment.entries().1.next);
        journaled.map_or_else(|| tail.covered(), Ok)
    }

    /// The next record; `None` where there is none yet. To follow a log, ask again later.
    ///
    /// # Errors
    /// What the operating system says, or [`io::ErrorKind::InvalidData`] where a bundle is not whole.
    pub fn next_record(&mut self) -> io::Result<Option<Recorded>> {
        if self.ready.is_empty() {
            self.refill()?;
        }
        let record = self.ready.pop_front();
        if let Some(record) = &record {
            self.next = record.index + 1;
        }
        Ok(record)
    }

    fn refill(&mut self) -> io::Result<()> {
        let covered = self.covered()?;
        if self.next < covered {
            self.refill_from_bundle(covered)
        } else {
            self.refill_from_journal()
        }
    }

    /// The size that the checkpoint states. Its signature is not looked at here.
    fn covered(&self) -> io::Result<u64> {
        match read_limited(&self.log.join(CHECKPOINT_NAME), crate::checkpoint::CHECKPOINT_BYTES_MAX) {
            Ok(note) => {
                let text = String::from_utf8_lossy(&note);
                text.lines()
                    .nth(1)
                    .and_then(|size| size.parse().ok())
                    .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the checkpoint has no size"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn refill_from_bundle(&mut self, covered: u64) -> io::Result<()> {
        let number = self.next / TILE_WIDTH_U64;
        let first = number * TILE_WIDTH_U64;
        let width = usize::try_from(covered - first).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
        let (name, bundle) = self.shelves.read(Shelf::Entries, number, width)?;
        let (records, bad) = split_bundle(&bundle, width);
        if bad.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{name}` is not whole"),
            ));
        }
        for ((_, record), index) in records.iter().zip(first..).skip_while(|(_, index)| *index < self.next) {
            self.ready.push_back(recorded(record, index, true));
        }
        Ok(())
    }

    fn refill_from_journal(&mut self) -> io::Result<()> {
        for (first, path) in self.segments()?.into_iter().rev() {
            if first > self.next {
                continue;
            }
            let segment = match Segment::read(&path, first) {
                Ok(segment) => segment,
                // Gone since: its records are under the checkpoint now. Or just begun.
                Err(SegmentError::Unfinished) => return Ok(()),
                Err(SegmentError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(SegmentError::Io(error)) => return Err(error),
                Err(SegmentError::Damaged) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("`{}` is damaged", path.display()),
                    ));
                }
            };
            let (entries, _) = segment.entries();
            let fresh = entries.iter().filter(|entry| entry.sequence >= self.next);
            self.ready
                .extend(fresh.map(|entry| recorded(entry.record, entry.sequence, false)));
            return Ok(());
        }
        Ok(())
    }

    fn segments(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        if self.journal.is_dir() {
            journal::segments(&self.journal)
        } else {
            Ok(Vec::new())
        }
    }
}

fn recorded(record: &[u8], index: u64, covered: bool) -> Recorded {
    Recorded {
        index,
        json: String::from_utf8_lossy(record).into_owned(),
        covered,
    }
}
