//! The structure of a text, found 64 bytes at a time: where strings begin and end, where the brackets, colons and commas
//! between them stand, and which bytes in strings need a look. Must not know the grammar.

use fearless_simd::{Level, Simd, SimdBase as _, SimdMask as _, dispatch, mask8x64, u8x64};

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// Blocks looked at in one go: what the choice of instructions and the call cost is paid once for all of them.
pub(super) const BLOCKS: usize = 8;

/// What one block holds; a bit a byte, the first byte the lowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Where tokens begin: opening quotes, and outside of strings the bytes `{}[]:,`, control characters and the first bytes of
    /// whatever else is no white space. Between two of these bits there is the rest of the first's token and white space,
    /// nothing else.
    pub(super) tokens: u64,
    /// In strings: control characters, and escaped bytes that are no short escape.
    pub(super) doubtful: u64,
    /// Bytes behind a backslash that escapes them.
    pub(super) escaped: u64,
}

/// What the blocks so far leave to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Carry {
    /// One if the last byte escapes the first of the next block, else none.
    escapes_next: u64,
    /// All bits where the next begins inside a string, else none.
    in_string: u64,
    /// One where the last byte is of a token without a mark of its own behind it: a number or a word. Else none.
    in_word: u64,
    /// Whether there was any backslash.
    pub(super) escapes: bool,
}

impl Carry {
    /// Whether the next block begins inside a string.
    pub(super) const fn in_string(&self) -> bool {
        self.in_string != 0
    }
}

/// A text in blocks.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    whole: &'a [[u8; BLOCK]],
    /// What is behind them, if anything; behind the text's end there is white space.
    last: Option<&'a [u8; BLOCK]>,
}

impl<'a> Blocks<'a> {
    /// `last` is [`last_block`] of `text`.
    pub(super) fn of(text: &'a [u8], last: &'a [u8; BLOCK]) -> Self {
        let (whole, rest) = text.as_chunks();
        Self {
            whole,
            last: (!rest.is_empty()).then_some(last),
        }
    }

    /// Block `index`, if the text is that long.
    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> Option<&'a [u8; BLOCK]> {
        match self.whole.get(index) {
            None if index == self.whole.len() => self.last,
            block => block,
        }
    }
}

/// What of `text` is behind its whole blocks.
pub(super) fn last_block(text: &[u8]) -> [u8; BLOCK] {
    let (_, rest) = text.as_chunks::<BLOCK>();
    let mut last = [b' '; BLOCK];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    last
}

/// Looks at the [`BLOCKS`] blocks from block `first` on, or at what there is of them. `carry` is what came before. Returns
/// whether anything is doubtful.
///
/// Outside of strings a backslash is no JSON: what it does to the bytes behind it does not matter, since it is part of a word,
/// and whoever walks from mark to mark looks at all words.
pub(super) fn look(
    level: Level,
    blocks: Blocks<'_>,
    first: usize,
    carry: &mut Carry,
    found: &mut [Marks; BLOCKS],
) -> bool {
    dispatch!(level, simd => look_with(simd, blocks, first, carry, found))
}

#[inline(always)]
fn look_with<S: Simd>(
    simd: S,
    blocks: Blocks<'_>,
    first: usize,
    carry: &mut Carry,
    found: &mut [Marks; BLOCKS],
) -> bool {
    let mut state = *carry;
    let mut doubtful = 0;
    for (index, marks) in found.iter_mut().enumerate() {
        let Some(block) = blocks.get(first + index) else {
            break;
        };
        *marks = Block(u8x64::from_slice(simd, block)).marks(&mut state);
        doubtful |= marks.doubtful;
    }
    *carry = state;
    doubtful != 0
}

/// The bits from each odd one of `bits` up to before the next: from the quotes, the strings with their opening quotes.
#[inline(always)]
fn behind_odd(bits: u64) -> u64 {
    [1, 2, 4, 8, 16, 32]
        .into_iter()
        .fold(bits, |sum, shift| sum ^ sum << shift)
}

/// Which bytes a backslash escapes, out of a block's backslashes and whether its first byte is escaped; and whether its
/// last byte escapes the next. Every second of a run does; one addition finds for all runs at once whether they begin at an
/// odd place (Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019, section 3.1.1).
#[inline(always)]
fn escaped(backslashes: u64, first: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslashes = backslashes & !first;
    if backslashes == 0 {
        return (first, 0);
    }
    let behind = backslashes << 1 | first;
    let odd_starts = backslashes & !EVEN & !behind;
    // The carry runs through a run that begins at an odd place and turns the parity of what is behind it.
    let (carried, escapes_next) = odd_starts.overflowing_add(backslashes);
    ((EVEN ^ carried << 1) & behind, u64::from(escapes_next))
}

/// Everything on it is inlined into what [`dispatch!`] compiles for each set of instructions: only there may they be used.
#[derive(Clone, Copy)]
struct Block<S: Simd>(u8x64<S>);

impl<S: Simd> Block<S> {
    #[inline(always)]
    fn marks(self, carry: &mut Carry) -> Marks {
        let all_quotes = self.equal(b'"').to_bitmask();
        let backslashes = self.equal(b'\\').to_bitmask();
        let controls = self.0.simd_le(0x1f).to_bitmask();
        let (escaped, escapes_next) = escaped(backslashes, carry.escapes_next);
        let quotes = all_quotes & !escaped;
        // With the opening quotes, without the closing ones.
        let in_string = behind_odd(quotes) ^ carry.in_string;
        // Most escapes are of these; the others cost five comparisons more.
        let mut unusual = escaped & !(all_quotes | backslashes);
        if unusual != 0 {
            unusual &= !self.equal(b'n').to_bitmask();
        }
        if unusual != 0 {
            unusual &= !self.any_of([b'/', b'b', b'f', b'r', b't']);
        }
        carry.escapes_next = escapes_next;
        carry.escapes |= backslashes != 0;
        carry.in_string = 0_u64.wrapping_sub(in_string >> (BLOCK - 1));
        let doubtful = (unusual | controls) & in_string;
        // Long strings have blocks of their own.
        if in_string == u64::MAX {
            carry.in_word = 0;
            return Marks {
                tokens: quotes,
                doubtful,
                escaped,
            };
        }
        let mut stray = controls & !in_string;
        if stray != 0 {
            stray &= !self.any_of([b'\t', b'\n', b'\r']);
        }
        // Control characters included: those that are no white space are tokens, which nobody takes.
        let space = self.0.simd_le(b' ').to_bitmask();
        let signs = self.signs() & !in_string;
        let words = !(in_string | quotes | signs | space);
        let starts = words & !(words << 1 | carry.in_word);
        carry.in_word = words >> (BLOCK - 1);
        Marks {
            tokens: quotes & in_string | signs | starts | stray,
            doubtful,
            escaped,
        }
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> mask8x64<S> {
        self.0.simd_eq(byte)
    }

    #[inline(always)]
    fn any_of<const N: usize>(self, bytes: [u8; N]) -> u64 {
        bytes
            .into_iter()
            .fold(0, |any, byte| any | self.equal(byte).to_bitmask())
    }

    /// `{}[]:,`; a bracket and a brace differ in one bit alone.
    #[inline(always)]
    fn signs(self) -> u64 {
        let braces = Self(self.0 | 0x20);
        (braces.equal(b'{') | braces.equal(b'}') | self.equal(b':') | self.equal(b',')).to_bitmask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Byte by byte, over the whole text; and what the carry says of it.
    fn slow(text: &[u8]) -> (Vec<Marks>, bool, bool) {
        let (mut escaped, mut in_string, mut in_word) = (false, false, false);
        let blocks = text.len().div_ceil(BLOCK);
        let block = |index: usize| {
            let mut marks = Marks::default();
            for bit in 0..BLOCK {
                let byte = text.get(index * BLOCK + bit).copied().unwrap_or(b' ');
                let is_quote = byte == b'"' && !escaped;
                let is_sign = b"{}[]:,".contains(&byte);
                let is_word = !in_string && !is_quote && !is_sign && byte > b' ';
                let is_stray = byte < b' ' && !b"\t\n\r".contains(&byte);
                let is_token = !in_string && (is_quote || is_sign || is_stray || is_word && !in_word);
                let is_short = b"\"\\/bfnrt".contains(&byte);
                let is_doubtful = in_string && (byte < b' ' || escaped && !is_short);
                marks.tokens |= u64::from(is_token) << bit;
                marks.doubtful |= u64::from(is_doubtful) << bit;
                marks.escaped |= u64::from(escaped) << bit;
                in_string ^= is_quote;
                in_word = is_word;
                escaped = byte == b'\\' && !escaped;
            }
            marks
        };
        let marks = (0..blocks).map(block).collect();
        (marks, in_string, text.contains(&b'\\'))
    }

    fn fast(text: &[u8], level: Level) -> (Vec<Marks>, bool, bool) {
        let last = last_block(text);
        let blocks = Blocks::of(text, &last);
        let mut carry = Carry::default();
        let mut all = Vec::new();
        for first in (0..text.len().div_ceil(BLOCK)).step_by(BLOCKS) {
            let mut found = [Marks::default(); BLOCKS];
            look(level, blocks, first, &mut carry, &mut found);
            all.extend(found);
        }
        all.truncate(text.len().div_ceil(BLOCK));
        (all, carry.in_string(), carry.escapes)
    }

    /// The best that this machine has, the least that any of its kind has, and what is between them.
    fn levels() -> Vec<Level> {
        let best = Level::new();
        let mut levels = vec![best, Level::baseline()];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(best.as_sse4_2().map(Simd::level));
            levels.extend(best.as_avx2().map(Simd::level));
        }
        levels
    }

    fn agree(text: &[u8]) {
        let expected = slow(text);
        for level in levels() {
            assert_eq!(fast(text, level), expected, "{level:?} {text:?}");
        }
    }

    #[test]
    fn every_byte_at_every_place_in_and_out_of_strings() {
        for byte in 0..=255 {
            for place in 2..BLOCK + 2 {
                for (before, behind) in [(&b"  "[..], b' '), (b" \"", b'x'), (b"\"\\", b'"'), (b"x\\", b'n')] {
                    let mut text = before.to_vec();
                    text.resize(place, b'x');
                    text.extend([byte, behind, b'"', b',']);
                    agree(&text);
                    let mut text = vec![b'x'; place - 2];
                    text.extend(before);
                    text.extend([byte, behind, b'"', b',']);
                    agree(&text);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_mixture(text in prop::collection::vec(prop::sample::select(&b"\\\\\\\"\"ux\n/ \x0b\xc3{}[]:,"[..]), 0..1300)) {
            agree(&text);
        }
    }
}
