//! The journal: the commit point of the ledger. A record is kept once it is an entry here; tiles are made of entries
//! later, and only then may a segment go.
//!
//! A segment is a file that only grows:
//!
//! ```text
//! header   "PCLJRNL1", first sequence u64, open calls u32, 16 bytes for each, CRC-32 of all before
//! entry    length u16, CRC-32 u32, synced u64, record
//! ```
//!
//! Numbers are big-endian. The CRC covers sequence, synced and record, so that an entry counts only in its own place.
//! `synced` says how many records were durable when the entry was written: it tells a tail that was never promised to
//! anybody (cut off) from a promised entry that was damaged (refused). The open calls are those whose outcome is still to
//! come, so that older segments may go without them. This file must not know what a record says.

use crate::terms::CallId;
use portcullis_store::files::{self, AppendFile, read_limited};
use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

const MAGIC: &[u8; 8] = b"PCLJRNL1";

/// Magic, first sequence, count of open calls.
const HEADER_BYTES_FIXED: usize = 8 + 8 + 4;

const ENTRY_HEADER_BYTES: usize = 2 + 4 + 8;

const CALL_BYTES: usize = 16;

const CRC_BYTES: usize = 4;

/// The longest segment that is read: far above what one grows to.
const SEGMENT_READ_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Calls open at once, as far as a header can say.
const OPEN_CALLS_MAX: usize = 1 << 20;

/// Where records begin: how every record starts, by which entries are found behind damage.
const RECORD_START: &[u8] = b"{\"bseq\":";

/// The directory's segments in order: first sequence and path. A name that is no segment's is left alone.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(first) = name
            .strip_suffix(".journal")
            .filter(|digits| digits.len() == 20)
            .and_then(|digits| digits.parse().ok())
        {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

fn segment_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.journal"))
}

fn header(first: u64, open: &[CallId]) -> Vec<u8> {
    let open = open.get(..OPEN_CALLS_MAX).unwrap_or(open);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&first.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(open.len()).unwrap_or(u32::MAX).to_be_bytes());
    for call in open {
        bytes.extend_from_slice(&call.0.to_be_bytes());
    }
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn entry_crc(sequence: u64, synced: u64, record: &[u8]) -> u32 {
    let mut head = [0; 16];
    let (first, second) = head.split_at_mut(8);
    first.copy_from_slice(&sequence.to_be_bytes());
    second.copy_from_slice(&synced.to_be_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head);
    crc.update(record);
    crc.finalize()
}

/// What stands before an entry's record.
fn entry_head(length: u16, crc: u32, synced: u64) -> [u8; ENTRY_HEADER_BYTES] {
    let word = u128::from(length) << 96 | u128::from(crc) << 64 | u128::from(synced);
    let [_, _, head @ ..] = word.to_be_bytes();
    head
}

/// Writes entries: gathers them, and puts all that are gathered into the file with one `write`.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: PathBuf,
    file: AppendFile,
    handle: Arc<File>,
    /// Records that are in the file.
    written: u64,
    /// From this length on, room is reserved.
    reserve_from: u64,
    /// Entries that are not in the file yet, and how many.
    gathered: Vec<u8>,
    gathered_count: u64,
}

/// A log of a few calls reserves no room.
const RESERVE_FROM_BYTES: u64 = 16 * 1024;

/// Room that is filled with zeros at once, for some hundred records: a sync after it writes the file's length too, and costs
/// half as much again.
const RESERVED_BYTES: u64 = 512 * 1024;

/// Room is filled once less than this is left.
const RESERVED_BYTES_MIN: u64 = 128 * 1024;

impl Writer {
    /// A new segment that begins with record `first`.
    pub(crate) fn create(directory: &Path, first: u64, open: &[CallId]) -> io::Result<Self> {
        let path = segment_path(directory, first);
        let mut file = AppendFile::create(&path)?;
        let made = file.append(&header(first, open)).and_then(|()| file.handle());
        match made {
            Ok(handle) => Ok(Self {
                directory: directory.to_path_buf(),
                file,
                handle: Arc::new(handle),
                written: first,
                reserve_from: RESERVE_FROM_BYTES,
                gathered: Vec::new(),
                gathered_count: 0,
            }),
            Err(error) => {
                // Half a header must not stand in the way of the next try.
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Goes on in a segment that was scanned up to `bytes`, where record `next` comes.
    pub(crate) fn resume(directory: &Path, path: &Path, bytes: u64, next: u64) -> io::Result<Self> {
        let file = AppendFile::open_cut(path, bytes)?;
        let handle = Arc::new(file.handle()?);
        Ok(Self {
            directory: directory.to_path_buf(),
            file,
            handle,
            written: next,
            reserve_from: RESERVE_FROM_BYTES,
            gathered: Vec::new(),
            gathered_count: 0,
        })
    }

    /// Gathers records, all of them or none, for the next [`Writer::write_out`]. `record(i, sequence, out)` appends the `i`th to
    /// what is gathered.
    pub(crate) fn gather(
        &mut self,
        count: usize,
        synced: u64,
        mut record: impl FnMut(usize, u64, &mut Vec<u8>),
    ) -> io::Result<u64> {
        let first = self.next();
        let before = self.gathered.len();
        for (at, sequence) in (0..count).zip(first..) {
            let start = self.gathered.len();
            self.gathered.extend_from_slice(&[0; ENTRY_HEADER_BYTES]);
            record(at, sequence, &mut self.gathered);
            let entry = self.gathered.get_mut(start..).unwrap_or_default();
            let (head, record) = entry.split_at_mut_checked(ENTRY_HEADER_BYTES).unwrap_or_default();
            let Ok(length) = u16::try_from(record.len()) else {
                self.gathered.truncate(before);
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a record longer than a bundle can hold",
                ));
            };
            let crc = entry_crc(sequence, synced, record);
            head.copy_from_slice(&entry_head(length, crc, synced));
        }
        self.gathered_count += count as u64;
        Ok(first)
    }

    /// Puts what is gathered into the file: all of it, or nothing, and then it is gathered no more.
    pub(crate) fn write_out(&mut self) -> io::Result<()> {
        if self.gathered_count == 0 {
            return Ok(());
        }
        let appended = self.file.append(&self.gathered);
        if appended.is_ok() {
            self.written += self.gathered_count;
        }
        self.forget_gathered();
        appended
    }

    /// Takes back what is gathered.
    pub(crate) fn forget_gathered(&mut self) {
        self.gathered.clear();
        self.gathered_count = 0;
    }

    /// Bytes that are gathered.
    pub(crate) fn gathered_bytes(&self) -> usize {
        self.gathered.len()
    }

    /// Fills the room for the next records with zeros where it runs out, in a segment that is longer than a little and up to
    /// `segment_bytes`. To be followed by a sync. It only saves time, so that a failure is no matter: records have their own.
    pub(crate) fn reserve(&mut self, segment_bytes: u64) {
        let length = self.file.len();
        if length < self.reserve_from || self.file.ahead() >= RESERVED_BYTES_MIN {
            return;
        }
        let room = segment_bytes.saturating_sub(length).min(RESERVED_BYTES);
        if self.file.reserve(room).is_err() {
            self.reserve_from = length + RESERVED_BYTES;
        }
    }

    /// Gives back what is reserved.
    pub(crate) fn trim(&mut self) -> io::Result<()> {
        self.file.trim()
    }

    /// Begins the next segment. The old one may still have to be synced.
    pub(crate) fn rotate(&mut self, open: &[CallId]) -> io::Result<()> {
        debug_assert_eq!(self.gathered_count, 0, "gathered for the segment before");
        self.trim()?;
        *self = Self::create(&self.directory, self.written, open)?;
        Ok(())
    }

    /// Takes back the records from `next` on, which nobody was told of. They must be in this segment, from `bytes` on.
    pub(crate) fn take_back(&mut self, bytes: u64, next: u64) -> io::Result<()> {
        self.written = next;
        self.file.truncate(bytes)
    }

    /// The sequence that the next record gets: as many are written or gathered.
    pub(crate) fn next(&self) -> u64 {
        self.written + self.gathered_count
    }

    /// Records that are in the file.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes in the current segment.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.len()
    }

    /// The current segment, to be synced by somebody else.
    pub(crate) fn handle(&self) -> Arc<File> {
        Arc::clone(&self.handle)
    }
}

/// A segment in memory.
#[derive(Debug)]
pub(crate) struct Segment {
    bytes: Vec<u8>,
    first: u64,
    open: Vec<CallId>,
    entries_start: usize,
}

/// Why a segment's header cannot be read.
#[derive(Debug)]
pub(crate) enum SegmentError {
    Io(io::Error),
    /// It ends before its header does: a crash as it was made.
    Unfinished,
    /// It is something else.
    Damaged,
}

/// An entry, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) sequence: u64,
    pub(crate) synced: u64,
    pub(crate) record: &'a [u8],
    /// Byte offset of the entry in its segment.
    pub(crate) offset: u64,
}

/// Where the good entries of a segment end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Byte offset behind the last good entry.
    pub(crate) offset: u64,
    /// The sequence that comes next.
    pub(crate) next: u64,
    /// Bytes behind that which are no entries.
    pub(crate) bytes_bad: u64,
}

impl Segment {
    /// Reads the segment at `path`, which by its name begins with record `first`.
    pub(crate) fn read(path: &Path, first: u64) -> Result<Self, SegmentError> {
        let bytes = read_limited(path, SEGMENT_READ_BYTES_MAX).map_err(SegmentError::Io)?;
        let (open, entries_start) = read_header(&bytes, first).map_err(|error| match error {
            // A header that was never finished has no records behind it: the count of its open calls is not what it was.
            SegmentError::Unfinished if memchr_all(&bytes, RECORD_START).next().is_some() => SegmentError::Damaged,
            error => error,
        })?;
        // Room that was reserved for records and got none. No record ends with a zero.
        let content = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let mut bytes = bytes;
        bytes.truncate(content.max(entries_start));
        Ok(Self {
            first,
            open,
            entries_start,
            bytes,
        })
    }

    /// Where the segment that begins with record `first` is.
    pub(crate) fn path(directory: &Path, first: u64) -> PathBuf {
        segment_path(directory, first)
    }

    /// Byte offset of the first entry in a segment that began with no call open.
    pub(crate) fn entries_start_of_empty() -> u64 {
        (HEADER_BYTES_FIXED + CRC_BYTES) as u64
    }

    /// The sequence of the first entry.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Byte offset of the first entry.
    pub(crate) fn entries_start(&self) -> u64 {
        self.entries_start as u64
    }

    /// Calls that were open when the segment began.
    pub(crate) fn open(&self) -> &[CallId] {
        &self.open
    }

    /// The good entries from the first on; and where they end.
    pub(crate) fn entries(&self) -> (Vec<Entry<'_>>, Ending) {
        let mut entries = Vec::new();
        let (mut offset, mut next) = (self.entries_start, self.first);
        while let Some(entry) = entry_at(&self.bytes, offset, next) {
            offset += ENTRY_HEADER_BYTES + entry.record.len();
            next += 1;
            entries.push(entry);
        }
        let bytes_bad = self.bytes.len().saturating_sub(offset) as u64;
        (
            entries,
            Ending {
                offset: offset as u64,
                next,
                bytes_bad,
            },
        )
    }

    /// Behind the good entries, looks for later entries that are whole, and gives the highest `synced` that one of them
    /// claims. Above `ending.next`, something that was promised is lost.
    pub(crate) fn synced_behind(&self, ending: &Ending) -> u64 {
        let start = usize::try_from(ending.offset).unwrap_or(usize::MAX);
        let tail = self.bytes.get(start..).unwrap_or_default();
        let mut synced = 0;
        for at in memchr_all(tail, RECORD_START) {
            let Some(entry_start) = (start + at).checked_sub(ENTRY_HEADER_BYTES) else {
                continue;
            };
            let digits = tail.get(at + RECORD_START.len()..).unwrap_or_default();
            let sequence = digits
                .iter()
                .take(17)
                .take_while(|digit| digit.is_ascii_digit())
                .fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
            if sequence >= ending.next
                && let Some(entry) = entry_at(&self.bytes, entry_start, sequence)
            {
                synced = synced.max(entry.synced);
            }
        }
        synced
    }

    /// The bytes before `offset`.
    pub(crate) fn head(&self, offset: u64) -> &[u8] {
        usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get(..offset))
            .unwrap_or_default()
    }

    /// The bytes from `offset` on.
    pub(crate) fn tail(&self, offset: u64) -> &[u8] {
        usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get(offset..))
            .unwrap_or_default()
    }
}

/// The bytes of a segment's header, as far as the file has them: a segment may be long, and its entries may be still to come.
fn header_bytes(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader = file.take(HEADER_BYTES_FIXED as u64);
    reader.read_to_end(&mut bytes)?;
    let count = bytes
        .last_chunk()
        .map_or(0, |count| u32::from_be_bytes(*count) as usize)
        .min(OPEN_CALLS_MAX);
    reader.set_limit((count * CALL_BYTES + CRC_BYTES) as u64);
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The open calls that the header at the beginning of `bytes` tells of, and where the entries begin.
fn read_header(bytes: &[u8], first: u64) -> Result<(Vec<CallId>, usize), SegmentError> {
    let fixed = bytes.get(..HEADER_BYTES_FIXED).ok_or(SegmentError::Unfinished)?;
    let (magic, rest) = fixed.split_at(MAGIC.len());
    let (first_bytes, count_bytes) = rest.split_at(8);
    let count = count_bytes.try_into().map(u32::from_be_bytes).unwrap_or(u32::MAX) as usize;
    if magic != MAGIC || first_bytes != first.to_be_bytes() || count > OPEN_CALLS_MAX {
        return Err(SegmentError::Damaged);
    }
    let crc_start = HEADER_BYTES_FIXED + count * CALL_BYTES;
    let entries_start = crc_start + CRC_BYTES;
    let (Some(covered), Some(crc)) = (bytes.get(..crc_start), bytes.get(crc_start..entries_start)) else {
        return Err(SegmentError::Unfinished);
    };
    if crc != crc32fast::hash(covered).to_be_bytes() {
        return Err(SegmentError::Damaged);
    }
    let calls = covered
        .get(HEADER_BYTES_FIXED..)
        .unwrap_or_default()
        .chunks_exact(CALL_BYTES);
    let open = calls
        .filter_map(|call| call.try_into().ok().map(|call| CallId(u128::from_be_bytes(call))))
        .collect();
    Ok((open, entries_start))
}

fn memchr_all<'a>(haystack: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    haystack
        .windows(needle.len())
        .enumerate()
        .filter(move |(_, window)| *window == needle)
        .map(|(at, _)| at)
}

fn entry_at(bytes: &[u8], offset: usize, sequence: u64) -> Option<Entry<'_>> {
    let (head, rest) = bytes.get(offset..)?.split_at_checked(ENTRY_HEADER_BYTES)?;
    let (length, rest_of_head) = head.split_at_checked(2)?;
    let (crc, synced) = rest_of_head.split_at_checked(CRC_BYTES)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    let synced = u64::from_be_bytes(synced.try_into().ok()?);
    let record = rest.get(..length)?;
    // Nothing is no record: a file that was made longer and never written reads as zeros.
    let good = length > 0 && crc == entry_crc(sequence, synced, record).to_be_bytes();
    good.then_some(Entry {
        sequence,
        synced,
        record,
        offset: offset as u64,
    })
}

/// Follows the journal as it grows, for the one who makes tiles of it.
#[derive(Debug)]
pub(crate) struct Follower {
    directory: PathBuf,
    path: PathBuf,
    file: Option<File>,
    next: u64,
    /// Byte offset of the entry that comes next.
    offset: u64,
    /// Read ahead up to `filled`; what lies behind is left over.
    buffer: Vec<u8>,
    filled: usize,
    /// Where that entry is in `buffer`.
    start: usize,
    /// Its length, once it was given.
    given: usize,
}

/// Bytes that the follower reads at once. An entry always fits, and they stay in the processor's cache until they are used.
const FOLLOW_BYTES: usize = 128 * 1024;

impl Follower {
    /// Begins at `offset` of the segment at `path`, with record `next`.
    pub(crate) fn at(directory: &Path, path: &Path, offset: u64, next: u64) -> Self {
        let (directory, path) = (directory.to_path_buf(), path.to_path_buf());
        Self {
            directory,
            path,
            file: None,
            next,
            offset,
            buffer: Vec::new(),
            filled: 0,
            start: 0,
            given: 0,
        }
    }

    /// The sequence of the entry that comes next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The next record, which must be known to be durable.
    ///
    /// # Errors
    /// What the operating system says, or [`io::ErrorKind::InvalidData`] where the entry is damaged. May be tried again.
    pub(crate) fn record(&mut self) -> io::Result<&[u8]> {
        loop {
            let found = entry_at(self.read(), self.start, self.next).map(|entry| entry.record.len());
            if let Some(length) = found {
                self.given = ENTRY_HEADER_BYTES + length;
                let entry = self.read().get(self.start..self.start + self.given).unwrap_or_default();
                return Ok(entry.get(ENTRY_HEADER_BYTES..).unwrap_or_default());
            }
            if self.fill()? == 0 {
                self.next_segment()?;
            }
        }
    }

    /// Steps over the record that was given last.
    pub(crate) fn advance(&mut self) {
        self.start += self.given;
        self.offset += self.given as u64;
        self.next += u64::from(self.given > 0);
        self.given = 0;
    }

    /// Lets go of the file and of what was read ahead: bytes that are not durable yet may still be taken back. What was given is
    /// not read again, and need not stay in the page cache.
    pub(crate) fn rest(&mut self) {
        if let Some(file) = self.file.take() {
            files::forget_cached(&file, self.offset);
        }
        self.filled = 0;
        self.start = 0;
        self.given = 0;
    }

    /// What was read.
    fn read(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    /// At the end of a segment: record `next` begins the one after it.
    fn next_segment(&mut self) -> io::Result<()> {
        let path = segment_path(&self.directory, self.next);
        let invalid = |what: &str| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{what} in the journal at record {}", self.next),
            )
        };
        let behind = self.read().get(self.start..).unwrap_or_default();
        let is_room = behind.iter().all(|byte| *byte == 0);
        if !is_room || path == self.path {
            return Err(invalid("a damaged entry"));
        }
        let file = File::open(&path).map_err(|error| match error.kind() {
            // Zeros are room that was reserved only where the segment ends.
            io::ErrorKind::NotFound if !behind.is_empty() => invalid("a damaged entry"),
            _ => error,
        })?;
        let header = header_bytes(&file)?;
        let (_, entries_start) = read_header(&header, self.next).map_err(|_| invalid("a damaged header"))?;
        self.rest();
        self.file = Some(file);
        self.path = path;
        self.offset = entries_start as u64;
        Ok(())
    }

    /// Reads on. Gives 0 where the segment ends, and where the buffer is full of what is no entry.
    fn fill(&mut self) -> io::Result<usize> {
        let file = match self.file.take() {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => file,
                // All of it was published, and it went.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            },
        };
        self.buffer.resize(FOLLOW_BYTES, 0);
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        let read = self
            .buffer
            .get_mut(self.filled..)
            .map_or(Ok(0), |free| file.read_at(free, self.offset + self.filled as u64));
        self.filled += *read.as_ref().unwrap_or(&0);
        self.file = Some(file);
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_whose_count_of_open_calls_was_changed_is_damage_and_not_unfinished() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(directory.path(), 0, &[]).unwrap();
        let path = segment_path(directory.path(), 0);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(matches!(Segment::read(&path, 0), Err(SegmentError::Unfinished)));
        fs::write(&path, &whole).unwrap();
        writer
            .gather(1, 0, |_, _, out| out.extend_from_slice(b"{\"bseq\":0}"))
            .unwrap();
        writer.write_out().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[17] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(Segment::read(&path, 0), Err(SegmentError::Damaged)));
    }

    /// Three segments with headers of several lengths, and records of all lengths: an entry that ends where a read does, one
    /// that goes on beyond it, the longest one.
    #[test]
    fn a_follower_gives_every_record_over_segments_and_reads() {
        let directory = tempfile::tempdir().unwrap();
        let length = |sequence: u64| match sequence {
            7 | 450 => usize::from(u16::MAX),
            other => 1 + usize::try_from(other * 7919 % 1500).unwrap(),
        };
        let record = |sequence: u64| vec![b'a' + u8::try_from(sequence % 26).unwrap(); length(sequence)];
        let mut writer = Writer::create(directory.path(), 0, &[]).unwrap();
        for open in [None, Some(0), Some(1), Some(400)] {
            if let Some(open) = open {
                let open: Vec<CallId> = (0..open).map(CallId).collect();
                writer.rotate(&open).unwrap();
            }
            writer
                .gather(400, 0, |_, sequence, out| out.extend_from_slice(&record(sequence)))
                .unwrap();
            writer.write_out().unwrap();
        }
        let start = Segment::entries_start_of_empty();
        let mut follower = Follower::at(directory.path(), &segment_path(directory.path(), 0), start, 0);
        for sequence in 0..1600 {
            assert_eq!(follower.next(), sequence);
            assert!(follower.record().unwrap() == record(sequence), "record {sequence}");
            // Whether it was let go of or not.
            if sequence % 333 == 0 {
                follower.rest();
                assert!(
                    follower.record().unwrap() == record(sequence),
                    "record {sequence} again"
                );
            }
            follower.advance();
        }
        assert_eq!(follower.record().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// A segment may be long when the follower comes to it: of that, it reads the header.
    #[test]
    fn a_header_is_read_alone() {
        let directory = tempfile::tempdir().unwrap();
        for (first, open) in [(0, 0), (1, 1), (2, 300)] {
            let open: Vec<CallId> = (0..open).map(CallId).collect();
            let mut writer = Writer::create(directory.path(), first, &open).unwrap();
            writer
                .gather(100, 0, |_, _, out| out.extend_from_slice(&[7; 900]))
                .unwrap();
            writer.write_out().unwrap();
            let path = segment_path(directory.path(), first);
            let bytes = header_bytes(&File::open(&path).unwrap()).unwrap();
            assert_eq!(bytes, header(first, &open));
            assert_eq!(read_header(&bytes, first).unwrap(), (open, bytes.len()));
            for cut in [0, 3, HEADER_BYTES_FIXED, bytes.len() - 1] {
                fs::write(&path, bytes.get(..cut).unwrap()).unwrap();
                let bytes = header_bytes(&File::open(&path).unwrap()).unwrap();
                assert!(
                    matches!(read_header(&bytes, first), Err(SegmentError::Unfinished)),
                    "{cut}"
                );
            }
            let mut damaged = bytes.clone();
            damaged[HEADER_BYTES_FIXED - 1] ^= 0x80;
            fs::write(&path, &damaged).unwrap();
            let bytes = header_bytes(&File::open(&path).unwrap()).unwrap();
            assert!(read_header(&bytes, first).is_err());
        }
    }
}
