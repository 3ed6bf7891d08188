//! The Merkle tree of RFC 6962, cut into tiles as C2SP tlog-tiles does it. Pure: hashes and names, no disk.

use aws_lc_rs::digest::{SHA256, digest};

/// A SHA-256 hash of a leaf or a node.
pub(crate) type Hash = [u8; 32];

/// Bytes of a [`Hash`].
pub(crate) const HASH_BYTES: usize = 32;

/// Hashes in a full tile, entries in a full bundle.
pub(crate) const TILE_WIDTH: usize = 256;

/// [`TILE_WIDTH`] as a count of records.
pub(crate) const TILE_WIDTH_U64: u64 = 256;

/// The root of the tree without leaves: SHA-256 of nothing.
pub(crate) fn empty_root() -> Hash {
    sha256(&[])
}

/// Hashes leaves; keeps a buffer, because one call over joined bytes costs less than two over parts.
#[derive(Debug, Default)]
pub(crate) struct LeafHasher {
    buffer: Vec<u8>,
}

impl LeafHasher {
    /// RFC 6962, 2.1: SHA-256 of 0x00 and the record.
    pub(crate) fn hash(&mut self, record: &[u8]) -> Hash {
        self.buffer.clear();
        self.buffer.push(0);
        self.buffer.extend_from_slice(record);
        leaf_hash_prefixed(&self.buffer)
    }
}

/// RFC 6962, 2.1: the hash of a leaf, of a record that stands behind the 0x00 already.
pub(crate) fn leaf_hash_prefixed(zero_and_record: &[u8]) -> Hash {
    debug_assert_eq!(zero_and_record.first(), Some(&0));
    sha256(zero_and_record)
}

/// RFC 6962, 2.1: SHA-256 of 0x01 and both children.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut joined = [0; 1 + 2 * HASH_BYTES];
    let (prefix, children) = joined.split_at_mut(1);
    prefix.fill(1);
    let (first, second) = children.split_at_mut(HASH_BYTES);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    sha256(&joined)
}

/// The root of a subtree by the hashes of its equally high parts (RFC 6962's split at the largest power of two).
pub(crate) fn subtree_root(parts: &[Hash]) -> Hash {
    match parts {
        [] => empty_root(),
        [one] => *one,
        _ => {
            let (left, right) = parts.split_at(parts.len().next_power_of_two() / 2);
            node_hash(&subtree_root(left), &subtree_root(right))
        }
    }
}

fn sha256(bytes: &[u8]) -> Hash {
    let mut out = [0; HASH_BYTES];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// The right edge of a tree: at each level the hashes of the tile that is not full yet. Enough to grow and to know the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    levels: Vec<Vec<Hash>>,
    size: u64,
}

impl Edge {
    /// An edge whose level 0 is empty (`size` is a multiple of 256), from the hashes at level 1 and up.
    pub(crate) fn resume(size: u64, upper_levels: Vec<Vec<Hash>>) -> Self {
        let mut levels = Vec::with_capacity(upper_levels.len() + 1);
        levels.push(Vec::new());
        levels.extend(upper_levels);
        Self { levels, size }
    }

    /// Leaves in the tree.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the unfinished tile at each level, from 0 up; levels above the tree are absent.
    pub(crate) fn levels(&self) -> impl Iterator<Item = (u8, &[Hash])> {
        (0u8..).zip(self.levels.iter().map(Vec::as_slice))
    }

    /// Adds a leaf. Each tile that it fills goes to `full` (level, number within the level, hashes), from below to above.
    ///
    /// # Errors
    /// Whatever `full` says. The edge is then as before.
    pub(crate) fn push<E>(
        &mut self,
        leaf: Hash,
        mut full: impl FnMut(u8, u64, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut carry = leaf;
        let mut number = self.size;
        for (level, hashes) in (0u8..).zip(self.levels.iter_mut()) {
            hashes.push(carry);
            if hashes.len() < TILE_WIDTH {
                self.size += 1;
                self.clear_below(level);
                return Ok(());
            }
            number /= TILE_WIDTH_U64;
            if let Err(error) = full(level, number, hashes) {
                // Taken back at every level that got a hash, so that the same leaf can be pushed again.
                for touched in self.levels.iter_mut().take(usize::from(level) + 1) {
                    touched.pop();
                }
                return Err(error);
            }
            carry = subtree_root(hashes);
        }
        let level = u8::try_from(self.levels.len()).unwrap_or(u8::MAX);
        self.levels.push(vec![carry]);
        self.size += 1;
        self.clear_below(level);
        Ok(())
    }

    /// The tiles below `level` are full and written: they are edge no more.
    fn clear_below(&mut self, level: u8) {
        for hashes in self.levels.iter_mut().take(usize::from(level)) {
            hashes.clear();
        }
    }

    /// The root of the tree (RFC 6962, 2.1).
    pub(crate) fn root(&self) -> Hash {
        // Perfect subtrees from left to right: high levels first, in each level by the bits of its count.
        let mut root: Option<Hash> = None;
        for hashes in &self.levels {
            let mut end = hashes.len();
            for bit in 0..8u32 {
                let width = 1usize << bit;
                if hashes.len() & width == 0 {
                    continue;
                }
                let start = end - width;
                let perfect = subtree_root(hashes.get(start..end).unwrap_or_default());
                root = Some(root.map_or(perfect, |right| node_hash(&perfect, &right)));
                end = start;
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

/// What a tile file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Shelf {
    /// The records themselves: `tile/entries`.
    Entries,
    /// Hashes at a level: `tile/<level>`.
    Hashes(u8),
}

/// The name of a tile below the log's directory: `tile/0/x001/067`, `tile/entries/000.p/12`. A width of 256 is a full tile.
pub(crate) fn tile_path(shelf: Shelf, number: u64, width: usize) -> String {
    let mut path = tile_path_full(shelf, number);
    if width < TILE_WIDTH {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

/// The directory that holds the partial tiles of one number: `tile/0/x001/067.p`.
pub(crate) fn partial_directory(shelf: Shelf, number: u64) -> String {
    let mut path = tile_path_full(shelf, number);
    path.push_str(".p");
    path
}

fn tile_path_full(shelf: Shelf, number: u64) -> String {
    let mut groups = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        groups = format!("x{:03}/{groups}", rest % 1000);
        rest /= 1000;
    }
    match shelf {
        Shelf::Entries => format!("tile/entries/{groups}"),
        Shelf::Hashes(level) => format!("tile/{level}/{groups}"),
    }
}

/// The inverse of [`tile_path`]: `None` for any other name, so that a stray file is seen as one.
pub(crate) fn parse_tile_path(path: &str) -> Option<(Shelf, u64, usize)> {
    let rest = path.strip_prefix("tile/")?;
    let (shelf, rest) = rest.split_once('/')?;
    let shelf = match shelf {
        "entries" => Shelf::Entries,
        level => Shelf::Hashes(level.parse().ok()?),
    };
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => (groups, width.parse().ok()?),
        None => (rest, TILE_WIDTH),
    };
    let number = groups.split('/').try_fold(0u64, |number, group| {
        let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
        number.checked_mul(1000)?.checked_add(digits)
    })?;
    // One spelling only: what does not come out the same is another name.
    (width > 0 && width <= TILE_WIDTH && tile_path(shelf, number, width) == path).then_some((shelf, number, width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn leaves(count: u64) -> Vec<Hash> {
        let mut hasher = LeafHasher::default();
        (0..count).map(|i| hasher.hash(&i.to_be_bytes())).collect()
    }

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn hashes_as_the_rfc_says() {
        // The vectors of RFC 6962's reference implementation (certificate-transparency, merkle tree tests).
        assert_eq!(
            hex(&empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let mut hasher = LeafHasher::default();
        assert_eq!(
            hex(&hasher.hash(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        let two = [hasher.hash(b""), hasher.hash(&[0])];
        assert_eq!(
            hex(&subtree_root(&two)),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
    }

    #[test]
    fn an_edge_has_the_root_of_all_leaves() {
        let leaves = leaves(70_000);
        let mut edge = Edge::default();
        assert_eq!(edge.root(), empty_root());
        let mut tiles = 0;
        for (count, leaf) in (1usize..).zip(&leaves) {
            edge.push(*leaf, |_, _, hashes| {
                tiles += 1;
                assert_eq!(hashes.len(), TILE_WIDTH);
                Ok::<(), Infallible>(())
            })
            .unwrap();
            if count < 600 || count % 9973 == 0 || count > 69_990 || (65_530..65_540).contains(&count) {
                assert_eq!(edge.root(), subtree_root(&leaves[..count]), "{count} leaves");
            }
        }
        // 273 full tiles at level 0 and one at level 1, as the specification's example for 70,000 says.
        assert_eq!(tiles, 274);
        let widths: Vec<usize> = edge.levels().map(|(_, hashes)| hashes.len()).collect();
        assert_eq!(widths, [112, 17, 1]);
    }

    #[test]
    fn a_leaf_that_could_not_be_settled_is_pushed_again() {
        let leaves = leaves(65_536);
        let (mut edge, mut plain) = (Edge::default(), Edge::default());
        for leaf in &leaves {
            plain.push(*leaf, |_, _, _| Ok::<(), Infallible>(())).unwrap();
            for failing_level in [0, 1] {
                let before = edge.clone();
                let mut touched = false;
                let refused = edge.push(*leaf, |level, _, _| {
                    if level == failing_level {
                        touched = true;
                        Err(())
                    } else {
                        Ok(())
                    }
                });
                if touched {
                    assert_eq!((refused, &edge), (Err(()), &before));
                } else {
                    edge = before;
                }
            }
            edge.push(*leaf, |_, _, _| Ok::<(), Infallible>(())).unwrap();
        }
        assert_eq!(edge, plain);
    }

    #[test]
    fn names_tiles_as_the_specification_does() {
        let names = [
            (Shelf::Hashes(0), 1_234_067, 256, "tile/0/x001/x234/067"),
            (Shelf::Hashes(2), 0, 1, "tile/2/000.p/1"),
            (Shelf::Entries, 999, 256, "tile/entries/999"),
            (Shelf::Entries, 1000, 255, "tile/entries/x001/000.p/255"),
        ];
        for (shelf, number, width, path) in names {
            assert_eq!(tile_path(shelf, number, width), path);
            assert_eq!(parse_tile_path(path), Some((shelf, number, width)));
        }
        for other in [
            "tile/0/0",
            "tile/00/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/x000/001",
            "tile/0/1000",
            "checkpoint",
            "tile/0/+01",
            "tile/data/000",
        ] {
            assert_eq!(parse_tile_path(other), None, "{other}");
        }
    }
}
