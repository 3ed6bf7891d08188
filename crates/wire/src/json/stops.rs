//! The places in strings that need a look, found 64 bytes at a time: a quote that ends, a control character, an escape that
//! is not one of the short ones. Must not know where strings begin.

use wide::u8x16;

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// Where a scan through a string has to stop in one block; a bit a byte, the first byte the lowest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stops {
    /// Which block of the text this is.
    pub(super) index: usize,
    /// Unescaped quotes, control characters, and escaped bytes that are no short escape. Behind the text's end all are set.
    pub(super) at: u64,
    /// Bytes behind a backslash that escapes them.
    pub(super) escaped: u64,
    /// Whether the last byte escapes the first of the next block.
    pub(super) escapes_next: bool,
    /// Whether there is any backslash.
    pub(super) escapes: bool,
}

impl Stops {
    /// Those of no block.
    pub(super) const NONE: Self = Self {
        index: usize::MAX,
        at: 0,
        escaped: 0,
        escapes_next: false,
        escapes: false,
    };

    /// Looks at block `index` of `text`. `is_escaped` tells whether its first byte is; where that byte is in no string, or in
    /// one that ends before the place of interest, it does not matter: an escape reaches no farther than its string.
    pub(super) fn of(text: &[u8], index: usize, is_escaped: bool) -> Self {
        let rest = text.get(index * BLOCK..).unwrap_or_default();
        let mut padded = [0; BLOCK];
        let bytes = rest.first_chunk().unwrap_or_else(|| {
            for (to, from) in padded.iter_mut().zip(rest) {
                *to = *from;
            }
            &padded
        });
        let block = Block::load(bytes);
        let quotes = block.equal(b'"');
        let backslashes = block.equal(b'\\');
        let mut at = block.at_most(0x1f);
        let (escaped, escapes_next) = escaped(backslashes, is_escaped);
        // Most escapes are of these; the others cost five comparisons more.
        let mut unusual = escaped & !(quotes | backslashes);
        if unusual != 0 {
            unusual &= !block.equal(b'n');
        }
        if unusual != 0 {
            unusual &= !block.any_of([b'/', b'b', b'f', b'r', b't']);
        }
        at |= unusual | quotes & !escaped;
        Self {
            index,
            at,
            escaped,
            escapes_next,
            escapes: backslashes != 0,
        }
    }
}

/// Which bytes a backslash escapes, out of a block's backslashes and whether its first byte is escaped; and whether its
/// last byte escapes the next. Every second of a run does; one addition finds for all runs at once whether they begin at an
/// odd place (Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019, section 3.1.1).
fn escaped(backslashes: u64, is_escaped: bool) -> (u64, bool) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let first = u64::from(is_escaped);
    let backslashes = backslashes & !first;
    if backslashes == 0 {
        return (first, false);
    }
    let behind = backslashes << 1 | first;
    let odd_starts = backslashes & !EVEN & !behind;
    // The carry runs through a run that begins at an odd place and turns the parity of what is behind it.
    let (carried, escapes_next) = odd_starts.overflowing_add(backslashes);
    ((EVEN ^ carried << 1) & behind, escapes_next)
}

struct Block([u8x16; 4]);

impl Block {
    fn load(bytes: &[u8; BLOCK]) -> Self {
        let (quarters, _) = bytes.as_chunks::<16>();
        let mut quarters = quarters.iter();
        Self(std::array::from_fn(|_| {
            quarters.next().map_or(u8x16::ZERO, |quarter| u8x16::new(*quarter))
        }))
    }

    #[inline]
    fn bits(&self, test: impl Fn(u8x16) -> u8x16) -> u64 {
        let [a, b, c, d] = self.0.map(|quarter| u64::from(test(quarter).to_bitmask()));
        a | b << 16 | c << 32 | d << 48
    }

    fn equal(&self, byte: u8) -> u64 {
        self.bits(|quarter| quarter.simd_eq(u8x16::splat(byte)))
    }

    fn any_of<const N: usize>(&self, bytes: [u8; N]) -> u64 {
        self.bits(|quarter| {
            let equal = bytes.map(|byte| quarter.simd_eq(u8x16::splat(byte)));
            equal.into_iter().fold(u8x16::ZERO, |any, one| any | one)
        })
    }

    fn at_most(&self, byte: u8) -> u64 {
        self.bits(|quarter| quarter.simd_eq(quarter.min(u8x16::splat(byte))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Byte by byte.
    fn slow(text: &[u8], index: usize, is_escaped: bool) -> Stops {
        let mut stops = Stops { index, ..Stops::NONE };
        let mut escaped = is_escaped;
        for bit in 0..BLOCK {
            let byte = text.get(index * BLOCK + bit).copied().unwrap_or(0);
            let stop = match byte {
                b'"' => !escaped,
                b'\\' => false,
                0..=0x1f => true,
                b'/' | b'b' | b'f' | b'n' | b'r' | b't' => false,
                _ => escaped,
            };
            stops.at |= u64::from(stop) << bit;
            stops.escaped |= u64::from(escaped) << bit;
            escaped = byte == b'\\' && !escaped;
            stops.escapes |= byte == b'\\';
        }
        stops.escapes_next = escaped;
        stops
    }

    fn same(text: &[u8], is_escaped: bool) {
        let (fast, slow) = (Stops::of(text, 0, is_escaped), slow(text, 0, is_escaped));
        assert_eq!(
            (fast.at, fast.escaped, fast.escapes_next, fast.escapes),
            (slow.at, slow.escaped, slow.escapes_next, slow.escapes),
            "{text:?}"
        );
    }

    #[test]
    fn every_byte_after_a_backslash_and_without() {
        for byte in 0..=255 {
            for place in 0..BLOCK {
                let mut text = [b'x'; BLOCK];
                text[place] = byte;
                same(&text, false);
                same(&text, true);
                if place > 0 {
                    text[place - 1] = b'\\';
                    same(&text, false);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_mixture(text in prop::collection::vec(prop::sample::select(&b"\\\\\\\"ux\n/ \xc3"[..]), 0..130), is_escaped: bool) {
            same(&text, is_escaped);
            let later = Stops::of(&text, 1, false);
            prop_assert_eq!(later.at, slow(&text, 1, false).at);
        }
    }
}
