//! The structure of a text, found 64 bytes at a time: where strings begin and end, where the brackets, colons and commas
//! between them stand, and which bytes in strings need a look. Must not know the grammar.

use wide::u8x16;

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// What one block holds; a bit a byte, the first byte the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// Unescaped quotes, and outside of strings the bytes `{}[]:,`.
    pub(super) structure: u64,
    /// In strings: control characters, and escaped bytes that are no short escape.
    pub(super) doubtful: u64,
    /// Bytes behind a backslash that escapes them.
    pub(super) escaped: u64,
    /// Whether there is any backslash.
    pub(super) escapes: bool,
}

/// What a block leaves to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Carry {
    /// Whether its last byte escapes the first of the next.
    escapes_next: bool,
    /// All bits where the next begins inside a string, else none.
    in_string: u64,
}

impl Marks {
    /// Looks at block `index` of `text`; behind the text's end there is white space. `carry` is what the block before left.
    ///
    /// Outside of strings a backslash is no JSON: what it does to the bytes behind it does not matter, since whoever walks from
    /// mark to mark finds it in between.
    pub(super) fn of(text: &[u8], index: usize, carry: &mut Carry) -> Self {
        let rest = text.get(index * BLOCK..).unwrap_or_default();
        let block = match rest.first_chunk() {
            Some(bytes) => Block::load(bytes),
            None => {
                let mut padded = [b' '; BLOCK];
                for (to, from) in padded.iter_mut().zip(rest) {
                    *to = *from;
                }
                Block::load(&padded)
            }
        };
        let all_quotes = block.equal(b'"');
        let backslashes = block.equal(b'\\');
        let (escaped, escapes_next) = escaped(backslashes, carry.escapes_next);
        let quotes = all_quotes & !escaped;
        let in_string = behind_odd(quotes) ^ carry.in_string;
        // Most escapes are of these; the others cost five comparisons more.
        let mut unusual = escaped & !(all_quotes | backslashes);
        if unusual != 0 {
            unusual &= !block.equal(b'n');
        }
        if unusual != 0 {
            unusual &= !block.any_of([b'/', b'b', b'f', b'r', b't']);
        }
        *carry = Carry {
            escapes_next,
            in_string: 0_u64.wrapping_sub(in_string >> (BLOCK - 1)),
        };
        // Long strings have blocks of their own, and so has what is between them.
        let structure = match in_string {
            u64::MAX => 0,
            _ => block.structure() & !in_string,
        };
        let doubtful = match in_string {
            0 => 0,
            _ => (unusual | block.at_most(0x1f)) & in_string,
        };
        Self {
            structure: quotes | structure,
            doubtful,
            escaped,
            escapes: backslashes != 0,
        }
    }
}

/// The bits from each odd one of `bits` up to before the next: from the quotes, the strings with their opening quotes.
fn behind_odd(bits: u64) -> u64 {
    [1, 2, 4, 8, 16, 32]
        .into_iter()
        .fold(bits, |sum, shift| sum ^ sum << shift)
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

    /// `{}[]:,`; a bracket and a brace differ in one bit alone.
    fn structure(&self) -> u64 {
        self.bits(|quarter| {
            let brace = quarter | u8x16::splat(0x20);
            brace.simd_eq(u8x16::splat(b'{'))
                | brace.simd_eq(u8x16::splat(b'}'))
                | quarter.simd_eq(u8x16::splat(b':'))
                | quarter.simd_eq(u8x16::splat(b','))
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

    /// Byte by byte, over the whole text.
    fn slow(text: &[u8]) -> Vec<Marks> {
        let (mut escaped, mut in_string) = (false, false);
        let blocks = text.len().div_ceil(BLOCK);
        let block = |index: usize| {
            let mut marks = Marks {
                structure: 0,
                doubtful: 0,
                escaped: 0,
                escapes: false,
            };
            for bit in 0..BLOCK {
                let byte = text.get(index * BLOCK + bit).copied().unwrap_or(b' ');
                let is_quote = byte == b'"' && !escaped;
                let is_bracket = !in_string && b"{}[]:,".contains(&byte);
                let is_short = b"\"\\/bfnrt".contains(&byte);
                let is_doubtful = in_string && (byte < 0x20 || escaped && !is_short);
                marks.structure |= u64::from(is_quote || is_bracket) << bit;
                marks.doubtful |= u64::from(is_doubtful) << bit;
                marks.escaped |= u64::from(escaped) << bit;
                marks.escapes |= byte == b'\\';
                in_string ^= is_quote;
                escaped = byte == b'\\' && !escaped;
            }
            marks
        };
        (0..blocks).map(block).collect()
    }

    fn fast(text: &[u8]) -> Vec<Marks> {
        let mut carry = Carry::default();
        (0..text.len().div_ceil(BLOCK))
            .map(|index| Marks::of(text, index, &mut carry))
            .collect()
    }

    #[test]
    fn every_byte_at_every_place_in_and_out_of_strings() {
        for byte in 0..=255 {
            for place in 2..BLOCK + 2 {
                for (before, behind) in [(&b"  "[..], b' '), (b" \"", b'x'), (b"\"\\", b'"'), (b"x\\", b'n')] {
                    let mut text = before.to_vec();
                    text.resize(place, b'x');
                    text.extend([byte, behind, b'"', b',']);
                    assert_eq!(fast(&text), slow(&text), "{text:?}");
                    let mut text = vec![b'x'; place - 2];
                    text.extend(before);
                    text.extend([byte, behind, b'"', b',']);
                    assert_eq!(fast(&text), slow(&text), "{text:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_mixture(text in prop::collection::vec(prop::sample::select(&b"\\\\\\\"\"ux\n/ \xc3{}[]:,"[..]), 0..300)) {
            prop_assert_eq!(fast(&text), slow(&text));
        }
    }
}
