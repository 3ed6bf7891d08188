//! What kind of character each byte of a text is, 64 bytes at a time: a bit a byte, the first byte the lowest. Whoever looks for
//! words, groups, runs or single signs goes from bit to bit.
//!
//! It must not know what is looked for.

use std::ops::Range;

use fearless_simd::{Level, Simd, SimdBase as _, SimdMask as _, dispatch, u8x64};

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// The kinds of the bytes of one block; behind the end of a text there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    /// Where words begin: `customerSSNumber1` is `customer`, `SS`, `Number`, `1`; what is beyond ASCII is of the word that it
    /// stands in.
    pub(super) starts: u64,
    /// Letters and digits of ASCII.
    pub(super) alphanumerics: u64,
    /// Where groups of them begin.
    pub(super) groups: u64,
    /// Digits of ASCII.
    pub(super) digits: u64,
    /// What is beyond ASCII.
    pub(super) high: u64,
    /// `+`, `/`, `-` and `_`, which encodings have beside letters and digits.
    pub(super) joints: u64,
    pub(super) colons: u64,
    pub(super) dots: u64,
}

impl Kinds {
    /// Where no word goes on.
    pub(super) const fn ends_of_words(&self) -> u64 {
        self.starts | !(self.alphanumerics | self.high)
    }

    /// Where a sign of these bits may stand between two bytes of `beside`: at the ends of a block what is beside is not known.
    pub(super) const fn between(signs: u64, beside: u64) -> u64 {
        signs & (beside << 1 | 1) & (beside >> 1 | 1 << (BLOCK - 1))
    }

    /// Where one of these bits stands `FROM` to `TO` places behind; at the end of a block that is not known.
    pub(super) const fn before<const FROM: usize, const TO: usize>(bits: u64) -> u64 {
        let mut before = !(u64::MAX >> TO);
        let mut places = FROM;
        while places <= TO {
            before |= bits >> places;
            places += 1;
        }
        before
    }

    /// Where no group goes on.
    pub(super) const fn ends_of_groups(&self) -> u64 {
        !self.alphanumerics
    }
}

/// The kinds of all bytes of a text.
#[derive(Debug)]
pub(super) struct Map {
    /// The last one is behind the text.
    blocks: Vec<Kinds>,
}

impl Map {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut blocks = Vec::with_capacity(text.len() / BLOCK + 2);
        dispatch!(Level::new(), simd => look(simd, text, &mut blocks));
        blocks.push(Kinds::default());
        Self { blocks }
    }

    /// The blocks, with the places that they begin at.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (usize, &Kinds)> {
        (0..).step_by(BLOCK).zip(&self.blocks)
    }

    /// The places whose bits `wanted` has, in order.
    pub(super) fn places(&self, wanted: impl Fn(&Kinds) -> u64) -> impl Iterator<Item = usize> {
        let of_block = move |(at, kinds): (usize, &Kinds)| bits(wanted(kinds)).map(move |bit| at + bit);
        self.blocks().flat_map(of_block)
    }

    /// The same within `span`.
    pub(super) fn places_in(&self, span: Range<usize>, wanted: impl Fn(&Kinds) -> u64) -> impl Iterator<Item = usize> {
        let first = span.start / BLOCK;
        let last = span.end.div_ceil(BLOCK).min(self.blocks.len());
        let mut from = u64::MAX << (span.start % BLOCK);
        let blocks = self.blocks.get(first..last).unwrap_or_default();
        let of_block = move |(at, kinds): (usize, &Kinds)| {
            let here = wanted(kinds) & std::mem::replace(&mut from, u64::MAX);
            bits(here).map(move |bit| at + bit)
        };
        let places = (first * BLOCK..).step_by(BLOCK).zip(blocks).flat_map(of_block);
        places.take_while(move |at| *at < span.end)
    }

    /// Where letters, digits and what encodings have beside them begin, at least `LENGTH` bytes of them, which is at most 64.
    pub(super) fn runs<const LENGTH: usize>(&self) -> impl Iterator<Item = usize> {
        let run = |kinds: &Kinds| kinds.alphanumerics | kinds.joints;
        let mut before = 0;
        let behind = self.blocks.iter().skip(1).map(run).chain([0]);
        let of_block = move |((at, kinds), behind): ((usize, &Kinds), u64)| {
            let here = run(kinds);
            let starts = here & !(here << 1 | before);
            before = here >> (BLOCK - 1);
            // Each bit stands for as many as `long`.
            let (mut rest, mut long) = (u128::from(behind) << BLOCK | u128::from(here), 1);
            while long < LENGTH && rest != 0 {
                let more = long.min(LENGTH - long);
                rest &= rest >> more;
                long += more;
            }
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
            let long = rest as u64;
            bits(starts & long).map(move |bit| at + bit)
        };
        self.blocks().zip(behind).flat_map(of_block)
    }

    /// How far it is from `from` to the next place behind it whose bit `ends` has, which it has behind every text.
    pub(super) fn length(&self, from: usize, ends: impl Fn(&Kinds) -> u64) -> usize {
        let (index, bit) = (from / BLOCK, from % BLOCK);
        if let Some(length) = self.blocks.get(index).and_then(|kinds| length(bit, ends(kinds))) {
            return length;
        }
        let mut length = BLOCK - bit;
        for bits in self.blocks.iter().skip(index + 1).map(ends) {
            if bits != 0 {
                return length + bits.trailing_zeros() as usize;
            }
            length += BLOCK;
        }
        length
    }

    /// Whether any of the `length` places from `from` on have their bit in `wanted`, and whether any have not.
    pub(super) fn have(&self, from: usize, length: usize, wanted: impl Fn(&Kinds) -> u64) -> (bool, bool) {
        let (mut index, mut bit, mut left) = (from / BLOCK, from % BLOCK, length);
        let (mut with, mut without) = (false, false);
        while left > 0 {
            let here = left.min(BLOCK - bit);
            let (more, less) = have(self.blocks.get(index).map_or(0, &wanted), bit, here);
            (with, without) = (with || more, without || less);
            (index, bit, left) = (index + 1, 0, left - here);
        }
        (with, without)
    }
}

/// Whether any of the `length` bits from `bit` on are set, and whether any are not; at least one, and all in the block.
#[inline]
pub(super) const fn have(bits: u64, bit: usize, length: usize) -> (bool, bool) {
    let all = u64::MAX >> (BLOCK - length);
    let bits = bits >> bit & all;
    (bits != 0, bits != all)
}

/// How far it is from `bit` to the next one behind it that `ends` has, if it has one.
#[inline]
pub(super) const fn length(bit: usize, ends: u64) -> Option<usize> {
    // Two shifts, since one by 64 is none.
    match ends >> bit >> 1 {
        0 => None,
        behind => Some(behind.trailing_zeros() as usize + 1),
    }
}

/// The places of the bits that are set, in order.
pub(super) fn bits(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let first = bits.trailing_zeros() as usize;
        bits &= bits.checked_sub(1)?;
        Some(first)
    })
}

/// What the blocks so far leave to the next: a bit, the lowest, for the last byte's kind.
#[derive(Debug, Default)]
struct Before {
    small: u64,
    capital: u64,
    digit: u64,
    high: u64,
}

/// Inlined into what [`dispatch!`] compiles for each set of instructions.
#[inline(always)]
fn look<S: Simd>(simd: S, text: &[u8], blocks: &mut Vec<Kinds>) {
    let (whole, last) = in_blocks(text);
    let mut before = Before::default();
    for block in whole.iter().chain([&last]) {
        let block = Block(u8x64::from_slice(simd, block));
        let capital = block.range(b'A', b'Z');
        let small = block.range(b'a', b'z');
        let digits = block.range(b'0', b'9');
        let high = block.0.simd_ge(0x80).to_bitmask();
        let after_small = small << 1 | before.small;
        let after_capital = capital << 1 | before.capital;
        let after_digit = digits << 1 | before.digit;
        let after_high = high << 1 | before.high;
        let after_letter = after_small | after_capital | after_high;
        // A capital that a small letter follows begins a word, also behind another capital: `SSName` is `SS` and `Name`.
        if before.capital & small & 1 != 0
            && let Some(last) = blocks.last_mut()
        {
            last.starts |= 1 << (BLOCK - 1);
        }
        let alphanumerics = capital | small | digits;
        blocks.push(Kinds {
            starts: digits & !after_digit
                | (small | high) & !after_letter
                | capital & (!(after_capital | after_high) | small >> 1),
            alphanumerics,
            groups: alphanumerics & !(after_small | after_capital | after_digit),
            digits,
            high,
            joints: block.any_of([b'+', b'/', b'-', b'_']),
            colons: block.any_of([b':']),
            dots: block.any_of([b'.']),
        });
        before = Before {
            small: small >> (BLOCK - 1),
            capital: capital >> (BLOCK - 1),
            digit: digits >> (BLOCK - 1),
            high: high >> (BLOCK - 1),
        };
    }
}

/// A closure would not get the instructions of its caller.
#[derive(Clone, Copy)]
struct Block<S: Simd>(u8x64<S>);

impl<S: Simd> Block<S> {
    #[inline(always)]
    fn any_of<const N: usize>(self, bytes: [u8; N]) -> u64 {
        self.any_within(bytes, [])
    }

    /// One of `bytes`, or one within `ranges`.
    #[inline(always)]
    fn any_within<const N: usize, const M: usize>(self, bytes: [u8; N], ranges: [(u8, u8); M]) -> u64 {
        // The least distance to any of them is none. The compiler takes comparisons that are joined by `|` apart, bit by bit.
        let mut least = self.0.max(u8::MAX);
        for byte in bytes {
            least = least.min(self.0 ^ byte);
        }
        for (first, last) in ranges {
            // Below the first, it wraps and is large.
            least = least.min((self.0 - first).max(last - first) ^ (last - first));
        }
        least.simd_eq(0).to_bitmask()
    }

    #[inline(always)]
    fn range(self, first: u8, last: u8) -> u64 {
        (self.0.simd_ge(first) & self.0.simd_le(last)).to_bitmask()
    }
}

/// The places of the bits of blocks, in order.
pub(super) fn places(blocks: &[u64]) -> impl Iterator<Item = usize> {
    let of_block = |(at, block): (usize, &u64)| bits(*block).map(move |bit| at + bit);
    (0..).step_by(BLOCK).zip(blocks).flat_map(of_block)
}

/// Where one of `bytes`, or one within `ranges`, stands in `text`; in blocks, a bit a byte. Zero is none of them.
pub(super) fn places_of<const N: usize, const M: usize>(
    text: &[u8],
    bytes: [u8; N],
    ranges: [(u8, u8); M],
) -> Vec<u64> {
    let mut blocks = Vec::with_capacity(text.len() / BLOCK + 1);
    dispatch!(Level::new(), simd => look_for(simd, text, bytes, ranges, &mut blocks));
    blocks
}

#[inline(always)]
fn look_for<S: Simd, const N: usize, const M: usize>(
    simd: S,
    text: &[u8],
    bytes: [u8; N],
    ranges: [(u8, u8); M],
    blocks: &mut Vec<u64>,
) {
    let (whole, last) = in_blocks(text);
    for block in whole.iter().chain([&last]) {
        let block = Block(u8x64::from_slice(simd, block));
        blocks.push(block.any_within(bytes, ranges));
    }
}

/// The whole blocks of a text, and the rest of it with zeros behind.
fn in_blocks(text: &[u8]) -> (&[[u8; BLOCK]], [u8; BLOCK]) {
    let (whole, rest) = text.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    (whole, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a text, byte by byte.
    fn words(text: &[u8]) -> Vec<(usize, usize)> {
        #[derive(PartialEq, Clone, Copy)]
        enum Kind {
            Other,
            Small,
            Capital,
            Digit,
            High,
        }
        let kind = |at: usize| match text.get(at) {
            Some(b'a'..=b'z') => Kind::Small,
            Some(b'A'..=b'Z') => Kind::Capital,
            Some(b'0'..=b'9') => Kind::Digit,
            Some(0x80..) => Kind::High,
            _ => Kind::Other,
        };
        let mut words = Vec::new();
        let mut at = 0;
        while at < text.len() {
            if kind(at) == Kind::Other {
                at += 1;
                continue;
            }
            let start = at;
            at += 1;
            loop {
                match (kind(at - 1), kind(at)) {
                    (Kind::Digit, Kind::Digit)
                    | (Kind::Small | Kind::High, Kind::Small | Kind::High)
                    | (Kind::High, Kind::Capital)
                    | (Kind::Capital, Kind::Capital | Kind::High) => at += 1,
                    (Kind::Capital, Kind::Small) if at > start + 1 => {
                        at -= 1;
                        break;
                    }
                    (Kind::Capital, Kind::Small) => at += 1,
                    _ => break,
                }
            }
            words.push((start, at - start));
        }
        words
    }

    fn check(text: &[u8]) {
        let map = Map::of(text);
        let starts = map.places(|kinds| kinds.starts);
        let found: Vec<_> = starts.map(|at| (at, map.length(at, Kinds::ends_of_words))).collect();
        assert_eq!(found, words(text));
        let mut groups = Vec::new();
        let mut before = b' ';
        for (at, byte) in text.iter().enumerate() {
            match (before.is_ascii_alphanumeric(), byte.is_ascii_alphanumeric()) {
                (false, true) => groups.push((at, 1)),
                (true, true) => groups.last_mut().unwrap().1 += 1,
                _ => {}
            }
            before = *byte;
        }
        let starts = map.places(|kinds| kinds.groups);
        let found: Vec<_> = starts.map(|at| (at, map.length(at, Kinds::ends_of_groups))).collect();
        assert_eq!(found, groups);
        for (bits, signs) in [
            (map.places(|kinds| kinds.joints).collect::<Vec<_>>(), &b"+/-_"[..]),
            (map.places(|kinds| kinds.colons).collect(), b":"),
            (map.places(|kinds| kinds.dots).collect(), b"."),
            (map.places(|kinds| kinds.digits).collect(), b"0123456789"),
        ] {
            let found = text.iter().enumerate().filter(|(_, byte)| signs.contains(byte));
            assert_eq!(bits, found.map(|(at, _)| at).collect::<Vec<_>>());
        }
    }

    #[test]
    fn kinds_at_every_place_of_a_block() {
        for before in 0..70 {
            for text in ["SSName é9 ÀB aBC1x", "customerSSNumber1", "a+b@c.d:e", "X", ""] {
                for fill in ["a", "A", "1", "\u{e9}", " "] {
                    check(format!("{}{text}{}", fill.repeat(before), fill.repeat(before % 7)).as_bytes());
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_the_words_that_a_reader_sees(
            text in proptest::collection::vec(proptest::sample::select(b"aaabbABCXY019\xc3\xa9 ._-+/:@<[\n".to_vec()), 0..300)
        ) {
            check(&text);
        }
    }
}
