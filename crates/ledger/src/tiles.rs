//! The public side of the log on disk: tiles, bundles and the checkpoint, as C2SP tlog-tiles lays them out.
//!
//! Everything here can be made again from the journal, so only the checkpoint is synced as it is written; the rest is
//! synced in one go before a journal segment is let go. It must not know when to publish.

use crate::{
    checkpoint::{Checkpoint, VerifierKey},
    tree::{self, Edge, HASH_BYTES, Hash, Shelf, TILE_WIDTH, TILE_WIDTH_U64},
};
use portcullis_store::{
    files::{self, Safety, read_limited},
    keys::SigningKey,
};
use std::{
    collections::{HashSet, VecDeque},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// The longest bundle: 256 entries of the longest length that fits its prefix.
pub(crate) const BUNDLE_BYTES_MAX: u64 = TILE_WIDTH_U64 * (2 + 65_535);

/// The checkpoint's name in the log's directory.
pub(crate) const CHECKPOINT_NAME: &str = "checkpoint";

/// So many bundles are set going to the disk before the first of them has to be there.
const LEAVING_MAX: usize = 4;

/// Grows the tiles below a directory.
#[derive(Debug)]
pub(crate) struct Tiles {
    log: PathBuf,
    scratch: PathBuf,
    mode: Mode,
    edge: Edge,
    /// The entries of the unfinished bundle, with their length prefixes.
    bundle: Vec<u8>,
    /// Tiles that have partial files on disk, which go once the full tile stands.
    partials: HashSet<(Shelf, u64)>,
    filled: Vec<(Shelf, u64)>,
    /// Bundles that are on their way to the disk.
    leaving: VecDeque<(File, u64)>,
    /// Full tiles on disk that were not as they must be.
    differing: u64,
}

/// What to do with a full tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Compare it with what is on disk, write nothing.
    Compare,
    /// Write it.
    Write,
}

impl Tiles {
    /// Tiles below `log` for a tree of `size` records (a multiple of 256) whose full tiles are on disk.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::InvalidData`] where a full tile has not its length.
    pub(crate) fn resume(log: &Path, scratch: &Path, size: u64, mode: Mode) -> io::Result<Self> {
        let mut upper_levels = Vec::new();
        let mut full_below = size / TILE_WIDTH_U64;
        let mut below = 0u8;
        while full_below > 0 {
            let unfinished_start = full_below / TILE_WIDTH_U64 * TILE_WIDTH_U64;
            let hashes = (unfinished_start..full_below)
                .map(|number| read_full_tile(log, below, number).map(|tile| tree::subtree_root(&tile)));
            upper_levels.push(hashes.collect::<io::Result<Vec<Hash>>>()?);
            full_below /= TILE_WIDTH_U64;
            below += 1;
        }
        Ok(Self {
            log: log.to_path_buf(),
            scratch: scratch.to_path_buf(),
            mode,
            edge: Edge::resume(size, upper_levels),
            bundle: Vec::new(),
            partials: HashSet::new(),
            filled: Vec::new(),
            leaving: VecDeque::new(),
            differing: 0,
        })
    }

    /// Records in the tree.
    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The tree's root.
    pub(crate) fn root(&self) -> Hash {
        self.edge.root()
    }

    /// Full tiles that [`Mode::Compare`] found wanting.
    pub(crate) fn differing(&self) -> u64 {
        self.differing
    }

    /// Remembers what an earlier comparison found.
    pub(crate) fn note_differing(&mut self, differing: u64) {
        self.differing = differing;
    }

    /// From now on, full tiles are written.
    pub(crate) fn write_from_now_on(&mut self) {
        self.mode = Mode::Write;
    }

    /// Adds a record; writes what it fills.
    ///
    /// # Errors
    /// What the operating system says. The same record may then be added again.
    pub(crate) fn push(&mut self, record: &[u8]) -> io::Result<()> {
        let length = u16::try_from(record.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a record longer than a bundle can hold"))?;
        let (number, place) = (self.edge.size() / TILE_WIDTH_U64, self.edge.size() % TILE_WIDTH_U64);
        let bundle_bytes = self.bundle.len();
        // Hashed in place: until its length is put in, a zero stands before the record.
        self.bundle.extend_from_slice(&[0, 0]);
        self.bundle.extend_from_slice(record);
        let leaf = tree::leaf_hash_prefixed(self.bundle.get(bundle_bytes + 1..).unwrap_or_default());
        if let Some(prefix) = self.bundle.get_mut(bundle_bytes..).and_then(<[u8]>::first_chunk_mut) {
            *prefix = length.to_be_bytes();
        }
        let mut outcome = Ok(());
        if place + 1 == TILE_WIDTH_U64 {
            outcome = settle(
                &self.log,
                &self.scratch,
                self.mode,
                Shelf::Entries,
                number,
                &self.bundle,
                &mut self.differing,
            )
            .map(|file| self.send_off(file));
        }
        if outcome.is_ok() {
            let (log, scratch, mode, differing, filled) = (
                &self.log,
                &self.scratch,
                self.mode,
                &mut self.differing,
                &mut self.filled,
            );
            outcome = self.edge.push(leaf, |level, number, hashes| {
                settle(
                    log,
                    scratch,
                    mode,
                    Shelf::Hashes(level),
                    number,
                    hashes.as_flattened(),
                    differing,
                )?;
                filled.push((Shelf::Hashes(level), number));
                Ok(())
            });
        }
        if outcome.is_err() {
            self.bundle.truncate(bundle_bytes);
        } else if place + 1 == TILE_WIDTH_U64 {
            self.bundle.clear();
            self.filled.push((Shelf::Entries, number));
        }
        outcome
    }

    /// What is written once and read by auditors alone takes no room in the page cache.
    fn send_off(&mut self, bundle: Option<File>) {
        let Some(file) = bundle else { return };
        let bytes = self.bundle.len() as u64;
        files::forget_cached(&file, bytes);
        self.leaving.push_back((file, bytes));
        if self.leaving.len() > LEAVING_MAX
            && let Some((file, bytes)) = self.leaving.pop_front()
        {
            files::forget_cached(&file, bytes);
        }
    }

    /// Writes the partial tiles of the tree as it is, then the checkpoint that vouches for it (synced), then removes the
    /// partial tiles whose full ones stand.
    ///
    /// # Errors
    /// What the operating system says. May be tried again.
    pub(crate) fn publish(&mut self, verifier: &VerifierKey, key: &SigningKey) -> io::Result<()> {
        let size = self.edge.size();
        for (level, hashes) in self.edge.levels() {
            let number = size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            let (shelf, bytes) = (Shelf::Hashes(level), hashes.as_flattened());
            put_partial(
                &self.log,
                &self.scratch,
                &mut self.partials,
                (shelf, number),
                hashes.len(),
                bytes,
            )?;
        }
        let (number, place) = (
            size / TILE_WIDTH_U64,
            usize::try_from(size % TILE_WIDTH_U64).unwrap_or(0),
        );
        put_partial(
            &self.log,
            &self.scratch,
            &mut self.partials,
            (Shelf::Entries, number),
            place,
            &self.bundle,
        )?;
        let note = Checkpoint {
            size,
            root: self.edge.root(),
        }
        .sign(verifier, key);
        files::replace(
            &self.log.join(CHECKPOINT_NAME),
            &self.scratch,
            note.as_bytes(),
            Safety::Synced,
        )?;
        for (shelf, number) in self.filled.drain(..) {
            if self.partials.remove(&(shelf, number)) {
                // A partial tile that stays behind is true and does no harm: no reason to fail.
                let _ = fs::remove_dir_all(self.log.join(tree::partial_directory(shelf, number)));
            }
        }
        Ok(())
    }

    /// Takes note of all partial tiles on disk from tile `number` on, so that they go when full tiles come.
    pub(crate) fn adopt_partials(&mut self, first_size: u64) {
        for level in 0..=8u8 {
            let (first, last) = (
                first_size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0),
                self.size().checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0),
            );
            for number in first..=last {
                let shelves = [Some(Shelf::Hashes(level)), (level == 0).then_some(Shelf::Entries)];
                self.partials.extend(
                    shelves
                        .into_iter()
                        .flatten()
                        .map(|shelf| (shelf, number))
                        .filter(|(shelf, number)| self.log.join(tree::partial_directory(*shelf, *number)).exists()),
                );
            }
        }
    }
}

/// Makes the whole of `log` durable, so that the journal below it may go.
pub(crate) fn sync(log: &Path) -> io::Result<()> {
    files::sync_filesystem(log)
}

/// The hashes of the full tile `number` at `level`.
fn read_full_tile(log: &Path, level: u8, number: u64) -> io::Result<Vec<Hash>> {
    let path = log.join(tree::tile_path(Shelf::Hashes(level), number, TILE_WIDTH));
    let bytes = read_limited(&path, (TILE_WIDTH * HASH_BYTES) as u64)?;
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    if hashes.len() != TILE_WIDTH || !rest.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{}` is not a full tile", path.display()),
        ));
    }
    Ok(hashes.to_vec())
}

/// Writes or compares a full tile; gives the file that was written.
fn settle(
    log: &Path,
    scratch: &Path,
    mode: Mode,
    shelf: Shelf,
    number: u64,
    bytes: &[u8],
    differing: &mut u64,
) -> io::Result<Option<File>> {
    let path = log.join(tree::tile_path(shelf, number, TILE_WIDTH));
    match mode {
        Mode::Write => put(&path, scratch, bytes).map(Some),
        Mode::Compare => {
            *differing += u64::from(!read_limited(&path, BUNDLE_BYTES_MAX).is_ok_and(|found| found == bytes));
            Ok(None)
        }
    }
}

/// Puts a partial tile of `width` parts, where there are any, and makes note of it.
fn put_partial(
    log: &Path,
    scratch: &Path,
    partials: &mut HashSet<(Shelf, u64)>,
    (shelf, number): (Shelf, u64),
    width: usize,
    bytes: &[u8],
) -> io::Result<()> {
    if width == 0 {
        return Ok(());
    }
    if !partials.contains(&(shelf, number)) {
        // To find out by a failure that there is no directory would cost another file.
        files::create_private_directory(&log.join(tree::partial_directory(shelf, number)))?;
    }
    put(&log.join(tree::tile_path(shelf, number, width)), scratch, bytes)?;
    partials.insert((shelf, number));
    Ok(())
}

/// Whole or not at all, though not synced. Makes the directory when it is missing. Gives the file.
fn put(path: &Path, scratch: &Path, bytes: &[u8]) -> io::Result<File> {
    match files::replace(path, scratch, bytes, Safety::Written) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), files::create_private_directory)?;
            files::replace(path, scratch, bytes, Safety::Written)
        }
        done => done,
    }
}
