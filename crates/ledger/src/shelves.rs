//! The tiles of a log that is only read: finds the file that holds a tile, cuts it to the width that counts, and compares
//! what else lies there. It must not know what is true.

use crate::{
    tiles::BUNDLE_BYTES_MAX,
    tree::{self, HASH_BYTES, Hash, Shelf, TILE_WIDTH, parse_tile_path, tile_path},
};
use portcullis_store::files::read_limited;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Directories below `tile/` are never deeper than seven groups of three digits.
const DEPTH_MAX: usize = 12;

/// The tiles below a log's directory.
#[derive(Debug)]
pub(crate) struct Shelves {
    log: PathBuf,
}

/// Cuts a bundle into `width` records, each with its byte offset. Where there are fewer, or bytes are left over, the
/// offset of the trouble comes with them.
pub(crate) fn split_bundle(bundle: &[u8], width: usize) -> (Vec<(u64, &[u8])>, Option<u64>) {
    let mut records = Vec::with_capacity(width);
    let mut rest = bundle;
    while records.len() < width {
        let offset = (bundle.len() - rest.len()) as u64;
        let Some((length, behind)) = rest.split_at_checked(2) else {
            return (records, Some(offset));
        };
        let length = length
            .try_into()
            .map_or(0, |length| usize::from(u16::from_be_bytes(length)));
        let Some((record, behind)) = behind.split_at_checked(length) else {
            return (records, Some(offset));
        };
        records.push((offset, record));
        rest = behind;
    }
    let bad = (!rest.is_empty()).then_some((bundle.len() - rest.len()) as u64);
    (records, bad)
}

/// Bytes of the first `width` parts of a tile's content.
fn prefix_bytes(shelf: Shelf, content: &[u8], width: usize) -> Option<usize> {
    match shelf {
        Shelf::Hashes(_) => Some(width * HASH_BYTES).filter(|bytes| *bytes <= content.len()),
        Shelf::Entries => {
            let (records, _) = split_bundle(content, width);
            let (offset, record) = records.last()?;
            let bytes = usize::try_from(*offset).ok()? + 2 + record.len();
            (records.len() == width).then_some(bytes)
        }
    }
}

/// Parts of a tile in a tree of `size` records; 0 where the tree does not reach it.
fn width_covered(shelf: Shelf, number: u64, size: u64) -> usize {
    let level = match shelf {
        Shelf::Entries => 0,
        Shelf::Hashes(level) => u32::from(level),
    };
    let parts = size.checked_shr(8 * level).unwrap_or(0);
    usize::try_from(parts.saturating_sub(number.saturating_mul(TILE_WIDTH as u64)))
        .unwrap_or(TILE_WIDTH)
        .min(TILE_WIDTH)
}

impl Shelves {
    pub(crate) fn new(log: &Path) -> Self {
        Self { log: log.to_path_buf() }
    }

    /// The file that holds at least `width` parts of a tile: that partial tile, the full one, or any wider partial one;
    /// with its width.
    fn locate(&self, shelf: Shelf, number: u64, width: usize) -> Option<(String, usize)> {
        for candidate in [width, TILE_WIDTH] {
            let name = tile_path(shelf, number, candidate);
            if self.log.join(&name).is_file() {
                return Some((name, candidate));
            }
        }
        let directory = self.log.join(tree::partial_directory(shelf, number));
        let widths = fs::read_dir(directory)
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<usize>().ok());
        let wider = widths.filter(|found| *found > width && *found < TILE_WIDTH).min()?;
        Some((tile_path(shelf, number, wider), wider))
    }

    /// The name of the file that holds this tile (for messages): as found, or as it must be in a tree of `size` records.
    pub(crate) fn name(&self, shelf: Shelf, number: u64, width: usize, size: u64) -> String {
        let due = width_covered(shelf, number, size).clamp(width.min(TILE_WIDTH), TILE_WIDTH);
        self.locate(shelf, number, due)
            .map_or_else(|| tile_path(shelf, number, due), |(name, _)| name)
    }

    /// The file's name and the first `width` parts of a tile.
    ///
    /// # Errors
    /// What the operating system says, [`io::ErrorKind::NotFound`], or [`io::ErrorKind::InvalidData`] for a hash tile
    /// whose length is not that of its name. A bundle that is too short or too long comes as it is.
    pub(crate) fn read(&self, shelf: Shelf, number: u64, width: usize) -> io::Result<(String, Vec<u8>)> {
        let Some((name, found_width)) = self.locate(shelf, number, width) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file is missing"));
        };
        let mut bytes = read_limited(&self.log.join(&name), BUNDLE_BYTES_MAX)?;
        match shelf {
            Shelf::Hashes(_) if bytes.len() != found_width * HASH_BYTES => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} bytes instead of {}", bytes.len(), found_width * HASH_BYTES),
            )),
            Shelf::Hashes(_) => {
                bytes.truncate(width * HASH_BYTES);
                Ok((name, bytes))
            }
            Shelf::Entries => {
                if found_width > width
                    && let Some(end) = prefix_bytes(shelf, &bytes, width)
                {
                    bytes.truncate(end);
                }
                Ok((name, bytes))
            }
        }
    }

    /// As [`Shelves::read`], without the name; `None` where it cannot be had.
    pub(crate) fn prefix(&self, shelf: Shelf, number: u64, width: usize) -> Option<Vec<u8>> {
        self.read(shelf, number, width).ok().map(|(_, bytes)| bytes)
    }

    /// The first `width` hashes of a tile.
    pub(crate) fn hashes(&self, level: u8, number: u64, width: usize) -> Option<Vec<Hash>> {
        self.prefix(Shelf::Hashes(level), number, width)
            .map(|bytes| bytes.as_chunks::<HASH_BYTES>().0.to_vec())
    }

    /// Compares the very file of this width with what is known of the tile: `beyond` (the tile as it is when all that
    /// lies beyond the checkpoint is in), else what a checkpoint over `size` records covers of it. Gives the offset of
    /// the first difference.
    pub(crate) fn compare(
        &self,
        shelf: Shelf,
        number: u64,
        width: usize,
        beyond: Option<&[u8]>,
        size: u64,
    ) -> io::Result<Option<u64>> {
        let bytes = read_limited(&self.log.join(tile_path(shelf, number, width)), BUNDLE_BYTES_MAX)?;
        let covered;
        let known: &[u8] = match beyond {
            Some(known) => known,
            None => {
                covered = match width_covered(shelf, number, size) {
                    0 => Vec::new(),
                    width => self.read(shelf, number, width)?.1,
                };
                &covered
            }
        };
        let Some(end) = prefix_bytes(shelf, known, width) else {
            // Wider than anything that is known to be true.
            return Ok(Some(known.len() as u64));
        };
        let expected = known.get(..end).unwrap_or_default();
        if bytes == expected {
            return Ok(None);
        }
        Ok(Some(
            bytes
                .iter()
                .zip(expected)
                .take_while(|(found, expected)| found == expected)
                .count() as u64,
        ))
    }

    /// Every file below `tile/`: its name, and what the name says where it is a tile's.
    pub(crate) fn files(&self) -> io::Result<Vec<Named>> {
        let mut files = Vec::new();
        let root = self.log.join("tile");
        if root.is_dir() {
            collect(&root, "tile", DEPTH_MAX, &mut files)?;
        }
        files.sort();
        Ok(files)
    }
}

/// A file's name, and which tile it is: shelf, number, width.
type Named = (String, Option<(Shelf, u64, usize)>);

fn collect(directory: &Path, name: &str, depth_left: usize, files: &mut Vec<Named>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() && depth_left > 0 {
            collect(&entry.path(), &name, depth_left - 1, files)?;
        } else {
            let parsed = parse_tile_path(&name);
            files.push((name, parsed));
        }
    }
    Ok(())
}
