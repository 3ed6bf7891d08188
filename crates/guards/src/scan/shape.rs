//! Which bytes a value is made of, looked up once: most of what a value could stand for is told apart by that alone.
//!
//! It must not know what a value stands for.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes([u64; 4]);

/// Letters of ASCII in small.
pub(super) const LOWER: Bytes = Bytes::from_to(b'a', b'z');
/// Letters of ASCII in large.
pub(super) const UPPER: Bytes = Bytes::from_to(b'A', b'Z');
/// Letters of ASCII.
pub(super) const LETTERS: Bytes = LOWER.or(UPPER);
/// Figures of ASCII.
pub(super) const DIGITS: Bytes = Bytes::from_to(b'0', b'9');
/// Letters and figures of ASCII.
pub(super) const ALPHANUMERICS: Bytes = LETTERS.or(DIGITS);
/// What is beyond ASCII.
pub(super) const HIGH: Bytes = Bytes::from_to(0x80, 0xff);

impl Bytes {
    /// Those that stand in `text`.
    pub(super) const fn of(text: &[u8]) -> Self {
        let mut words = [0; 4];
        let mut at = 0;
        #[expect(
            clippy::indexing_slicing,
            reason = "a constant must be made without iterators; six bits and two are in bounds"
        )]
        while at < text.len() {
            let byte = text[at];
            words[(byte >> 6) as usize] |= 1 << (byte & 63);
            at += 1;
        }
        Self(words)
    }

    /// A bit for each character of ASCII.
    #[expect(clippy::cast_possible_truncation, reason = "one half, then the other")]
    pub(crate) const fn of_ascii(set: u128) -> Self {
        Self([set as u64, (set >> 64) as u64, 0, 0])
    }

    const fn from_to(first: u8, last: u8) -> Self {
        let mut words = [0; 4];
        let mut byte = first;
        #[expect(
            clippy::indexing_slicing,
            reason = "a constant must be made without iterators; two bits are in bounds"
        )]
        loop {
            words[(byte >> 6) as usize] |= 1 << (byte & 63);
            if byte == last {
                return Self(words);
            }
            byte += 1;
        }
    }

    /// Those of both.
    pub(super) const fn or(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// These and a few more.
    pub(super) const fn and(self, more: &[u8]) -> Self {
        self.or(Self::of(more))
    }

    /// Whether `byte` is one of these.
    #[inline]
    pub(crate) const fn has(self, byte: u8) -> bool {
        #[expect(clippy::indexing_slicing, reason = "two bits are in bounds")]
        let word = self.0[(byte >> 6) as usize];
        word >> (byte & 63) & 1 == 1
    }

    /// Whether any of these is one of `others`.
    pub(super) const fn has_any(self, others: Self) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, others.0);
        a & e | b & f | c & g | d & h != 0
    }

    /// Whether each of `others` is one of these.
    pub(super) const fn has_all(self, others: Self) -> bool {
        others.are_of(self)
    }

    /// Whether each of these is one of `others`.
    pub(super) const fn are_of(self, others: Self) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, others.0);
        a & !e | b & !f | c & !g | d & !h == 0
    }

    /// How many there are.
    pub(super) const fn count(self) -> u32 {
        let [a, b, c, d] = self.0;
        a.count_ones() + b.count_ones() + c.count_ones() + d.count_ones()
    }
}

/// A value that is asked what it is.
#[derive(Debug)]
pub(super) struct Value<'v> {
    pub(super) text: &'v [u8],
    /// The same with letters of ASCII in small.
    pub(super) lower: Vec<u8>,
    /// What it is made of.
    pub(super) set: Bytes,
}

impl<'v> Value<'v> {
    pub(super) fn of(text: &'v [u8]) -> Self {
        Self {
            text,
            lower: text.to_ascii_lowercase(),
            set: Bytes::of(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let set = Bytes::of("a-Zé\0\u{7f}".as_bytes());
        for byte in 0..=255 {
            assert_eq!(set.has(byte), "a-Zé\0\u{7f}".as_bytes().contains(&byte), "{byte}");
            assert_eq!(LOWER.has(byte), byte.is_ascii_lowercase());
            assert_eq!(ALPHANUMERICS.has(byte), byte.is_ascii_alphanumeric());
            assert_eq!(HIGH.has(byte), !byte.is_ascii());
        }
        assert_eq!((set.count(), Bytes::of(b"").count(), HIGH.count()), (7, 0, 128));
        assert!(set.has_any(LOWER) && set.has_any(HIGH) && !set.has_any(DIGITS));
        assert!(set.are_of(LETTERS.or(HIGH).and(b"-\0\x7f")) && !set.are_of(LETTERS.or(HIGH)));
        assert!(LETTERS.has_all(LOWER) && !LOWER.has_all(LETTERS));
    }
}
