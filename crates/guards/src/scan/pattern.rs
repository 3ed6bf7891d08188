//! Written forms: sequences of sets of ASCII characters with counts, matched greedily and never given back, so that a match
//! costs no more than the bytes it looks at. Two ways to write them: the body of a token, and the form of an identifier
//! (`crates/guards/README.md` has both).
//!
//! It must not know what a form is good for.

use super::shape::Bytes;
use std::fmt;

/// Longest form, in elements.
const ELEMENTS_MAX: usize = 64;

/// The most that a count may be.
const COUNT_MAX: u32 = 8_192;

/// One set of characters, so many times.
#[derive(Debug, Clone, Copy)]
struct Element {
    /// A bit for each ASCII character.
    set: u128,
    min: u32,
    max: u32,
}

/// A form.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Box<[Element]>);

/// What a match may begin with: rules most places out before it is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    set: u128,
    /// How long the group of letters and digits may be that it begins with: a bit each.
    lengths: u64,
}

/// The last bit for the length of a group, which is for all longer ones, too.
pub(super) const LENGTHS_LAST: usize = u64::BITS as usize - 1;

impl Beginning {
    /// Whether a match may begin with a group of letters and digits of this length, with this byte.
    #[inline]
    pub(crate) fn may_be(self, first: u8, length: usize) -> bool {
        self.lengths >> length.min(LENGTHS_LAST) & 1 == 1 && has(self.set, first)
    }
}

/// What is wrong with a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PatternError {
    /// At this byte.
    At(usize, &'static str),
    /// As a whole.
    Whole(&'static str),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at, what) => write!(f, "at byte {at}: {what}"),
            Self::Whole(what) => f.write_str(what),
        }
    }
}

const DIGITS: u128 = range(b'0', b'9');
const UPPER: u128 = range(b'A', b'Z');
const LOWER: u128 = range(b'a', b'z');
const LETTERS: u128 = UPPER | LOWER;

const fn range(first: u8, last: u8) -> u128 {
    let mut set = 0;
    let mut byte = first;
    while byte <= last && byte < 128 {
        set |= 1 << byte;
        byte += 1;
    }
    set
}

const fn one(byte: u8) -> u128 {
    match byte < 128 {
        true => 1 << byte,
        false => 0,
    }
}

/// Whether `byte` is in a set, which has a bit for each character of ASCII.
#[expect(clippy::cast_possible_truncation, reason = "one half, then the other")]
#[inline]
pub(crate) const fn has(set: u128, byte: u8) -> bool {
    let half = match byte & 64 {
        0 => set as u64,
        _ => (set >> 64) as u64,
    };
    byte < 128 && half >> (byte & 63) & 1 == 1
}

impl Pattern {
    /// The body of a token: literals and classes like `[A-Za-z0-9_-]`, each with `{n}`, `{n,m}`, `{n,}`, `?` or `+`.
    pub(crate) fn body(text: &str) -> Result<Self, PatternError> {
        Reader::new(text).elements(Reader::body_set)
    }

    /// The form of an identifier: `d`, `A`, `X`, `'literal'`, separators, each with `{n}`, `{n,m}` or `?`.
    pub(crate) fn form(text: &str) -> Result<Self, PatternError> {
        Reader::new(text).elements(Reader::form_set)
    }

    /// How many bytes at the beginning of `text` have this form.
    pub(crate) fn matched(&self, text: &[u8]) -> Option<usize> {
        self.reached(text).ok()
    }

    /// The same, or how many bytes could begin a match that the next one ends.
    pub(crate) fn reached(&self, text: &[u8]) -> Result<usize, usize> {
        let mut rest = text;
        for element in &self.0 {
            let set = Bytes::of_ascii(element.set);
            let most = rest.get(..element.max as usize).unwrap_or(rest);
            let count = most.iter().position(|byte| !set.has(*byte)).unwrap_or(most.len());
            rest = rest.get(count..).unwrap_or_default();
            if count < element.min as usize {
                return Err(text.len() - rest.len());
            }
        }
        Ok(text.len() - rest.len())
    }

    /// Whether a match may begin with `byte`.
    pub(crate) fn may_begin_with(&self, byte: u8) -> bool {
        self.0
            .first()
            .is_some_and(|first| first.min == 0 || has(first.set, byte))
    }

    /// Whether `byte` could go on the last element: then a match that ends before it is a part of something longer.
    pub(crate) fn goes_on_with(&self, byte: u8) -> bool {
        self.0.last().is_some_and(|last| has(last.set, byte))
    }

    /// What a match may begin with, where letters and digits do.
    pub(crate) fn begins(&self) -> Beginning {
        let is_mixed =
            |element: &Element| element.set & (LETTERS | DIGITS) != 0 && element.set & !(LETTERS | DIGITS) != 0;
        let lengths = match self.0.iter().any(is_mixed) {
            true => u64::MAX,
            false => {
                let (least, most) = self.first_group().into_inner();
                let lengths = least.min(LENGTHS_LAST)..=most.min(LENGTHS_LAST);
                lengths.fold(0, |all, length| all | 1 << length)
            }
        };
        Beginning {
            set: self.beginning(),
            lengths,
        }
    }

    /// How many letters and digits a match may begin with, before a separator or its end.
    pub(crate) fn first_group(&self) -> std::ops::RangeInclusive<usize> {
        let (mut min, mut max) = (0_usize, 0_usize);
        for element in &self.0 {
            let is_word = element.set & !(LETTERS | DIGITS) == 0;
            match (is_word, element.min) {
                (true, _) => {
                    min += element.min as usize;
                    max += element.max as usize;
                }
                // A separator that may be missing: the group may end here, or go on.
                (false, 0) => {}
                (false, _) => break,
            }
        }
        let least = self
            .0
            .iter()
            .take_while(|element| element.set & !(LETTERS | DIGITS) == 0);
        let least: usize = least.map(|element| element.min as usize).sum();
        least.min(min)..=max
    }

    /// Whether a match may begin with letters alone up to a separator or its end; with digits alone; and with both.
    pub(crate) fn first_group_kinds(&self) -> (bool, bool, bool) {
        let is_word = |element: &&Element| element.set & !(LETTERS | DIGITS) == 0;
        let group = self.0.iter().take_while(is_word).filter(|element| element.min > 0);
        let (letters, digits) = group.fold((true, true), |(letters, digits), element| {
            (
                letters && element.set & LETTERS != 0,
                digits && element.set & DIGITS != 0,
            )
        });
        let may_have = |kind: u128| {
            let is_border = |element: &&Element| is_word(element) || element.min == 0;
            self.0
                .iter()
                .take_while(is_border)
                .any(|element| element.set & kind != 0)
        };
        (letters, digits, may_have(LETTERS) && may_have(DIGITS))
    }

    /// What a match is made of; a bit for each character.
    pub(crate) fn alphabet(&self) -> u128 {
        self.0.iter().fold(0, |all, element| all | element.set)
    }

    /// What a match may begin with; a bit for each character.
    pub(crate) fn beginning(&self) -> u128 {
        let may_be_missing = self.0.iter().take_while(|element| element.min == 0).count();
        let first = self.0.iter().take(may_be_missing + 1);
        first.fold(0, |all, element| all | element.set)
    }

    /// The separators that a match whose first group is so long may go on with, and what may come behind one, byte by byte.
    pub(crate) fn behind_first_group<const N: usize>(&self, length: usize) -> (u128, [u128; N]) {
        let (mut separators, mut behind) = (0, [0; N]);
        let (mut min, mut max) = (0, 0);
        for (at, element) in self.0.iter().enumerate() {
            let here = element.set & !(LETTERS | DIGITS);
            if here != 0 && min <= length && length <= max {
                separators |= here;
                self.follow(at, 1, &mut behind);
            }
            if element.set & (LETTERS | DIGITS) == 0 && element.min > 0 {
                break;
            }
            if element.set & (LETTERS | DIGITS) != 0 {
                min += element.min as usize;
                max += element.max as usize;
            }
        }
        (separators, behind)
    }

    /// Adds what may come, byte by byte, where `count` of element `at` are there.
    fn follow(&self, at: usize, count: u32, behind: &mut [u128]) {
        let Some((next, behind)) = behind.split_first_mut() else {
            return;
        };
        let Some(element) = self.0.get(at) else {
            // Anything may come behind a match.
            *next = u128::MAX;
            behind.fill(u128::MAX);
            return;
        };
        if count < element.max {
            *next |= element.set;
            self.follow(at, count + 1, behind);
        }
        if count >= element.min {
            let mut rest = vec![0; behind.len() + 1];
            self.follow(at + 1, 0, &mut rest);
            for (all, more) in std::iter::once(next).chain(behind).zip(rest) {
                *all |= more;
            }
        }
    }

    /// How long the first group is at least where it may be the whole match.
    pub(crate) fn alone(&self) -> Option<usize> {
        let is_separator = |element: &&Element| element.set & (LETTERS | DIGITS) == 0;
        let is_one = !self.0.iter().filter(is_separator).any(|element| element.min > 0);
        let groups = self.0.iter().filter(|element| !is_separator(element));
        is_one.then(|| groups.map(|element| element.min as usize).sum())
    }

    /// The fewest bytes of a match.
    pub(crate) fn length_min(&self) -> usize {
        self.0.iter().map(|element| element.min as usize).sum()
    }

    /// The most bytes of a match.
    pub(crate) fn length_max(&self) -> usize {
        self.0.iter().map(|element| element.max as usize).sum()
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Literals that are still to come, between quotes.
    is_quoted: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            is_quoted: false,
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn error(&self, what: &'static str) -> PatternError {
        PatternError::At(self.at, what)
    }

    fn elements(
        mut self,
        set: fn(&mut Self, u8) -> Result<Option<u128>, PatternError>,
    ) -> Result<Pattern, PatternError> {
        let mut elements: Vec<Element> = Vec::new();
        while let Some(byte) = self.next() {
            let Some(set) = set(&mut self, byte)? else { continue };
            let (min, max) = self.count()?;
            match elements.last_mut() {
                // Two of the same are one that is longer: greed of the first would leave the second nothing.
                Some(last) if last.set == set => {
                    last.min += min;
                    last.max += max;
                }
                _ => elements.push(Element { set, min, max }),
            }
        }
        match (elements.len(), self.is_quoted) {
            (_, true) => Err(PatternError::Whole("a quote is not closed")),
            (0, _) => Err(PatternError::Whole("nothing stands there")),
            (1..=ELEMENTS_MAX, _) => Ok(Pattern(elements.into())),
            _ => Err(PatternError::Whole("too long")),
        }
    }

    fn body_set(&mut self, byte: u8) -> Result<Option<u128>, PatternError> {
        match byte {
            b'\\' => {
                let escaped = self.next().ok_or(self.error("nothing is escaped"))?;
                Ok(Some(one(escaped)))
            }
            b'[' => self.class().map(Some),
            b'(' | b')' | b'|' | b'*' | b'.' | b'^' | b'$' | b'{' | b'}' | b'?' | b'+' | b']' => {
                Err(self.error("not known here; to be meant itself it wants a backslash"))
            }
            0x80.. => Err(self.error("not ASCII")),
            literal => Ok(Some(one(literal))),
        }
    }

    fn class(&mut self) -> Result<u128, PatternError> {
        let mut set = 0;
        while let Some(byte) = self.next() {
            let first = match byte {
                b']' if set != 0 => return Ok(set),
                b'\\' => self.next().ok_or(self.error("nothing is escaped"))?,
                0x80.. => return Err(self.error("not ASCII")),
                byte => byte,
            };
            match (self.text.get(self.at), self.text.get(self.at + 1)) {
                (Some(b'-'), Some(last)) if *last != b']' => {
                    if *last < first {
                        return Err(self.error("a range that ends before it begins"));
                    }
                    set |= range(first, *last);
                    self.at += 2;
                }
                _ => set |= one(first),
            }
        }
        Err(self.error("a class is not closed"))
    }

    fn form_set(&mut self, byte: u8) -> Result<Option<u128>, PatternError> {
        if byte == b'\'' {
            self.is_quoted = !self.is_quoted;
            return Ok(None);
        }
        Ok(Some(match byte {
            0x80.. => return Err(self.error("not ASCII")),
            letter if self.is_quoted && letter.is_ascii_alphabetic() => {
                one(letter.to_ascii_lowercase()) | one(letter.to_ascii_uppercase())
            }
            literal if self.is_quoted => one(literal),
            b'd' => DIGITS,
            b'A' => LETTERS,
            b'X' => LETTERS | DIGITS,
            letter if letter.is_ascii_alphanumeric() => {
                return Err(self.error("`d`, `A`, `X`, or a literal in quotes"));
            }
            separator => one(separator),
        }))
    }

    fn count(&mut self) -> Result<(u32, u32), PatternError> {
        if self.is_quoted {
            return Ok((1, 1));
        }
        match self.text.get(self.at) {
            Some(b'?') => {
                self.at += 1;
                Ok((0, 1))
            }
            Some(b'+') => {
                self.at += 1;
                Ok((1, COUNT_MAX))
            }
            Some(b'{') => {
                let rest = self.text.get(self.at + 1..).unwrap_or_default();
                let end = rest
                    .iter()
                    .position(|byte| *byte == b'}')
                    .ok_or(self.error("a count is not closed"))?;
                let inner = std::str::from_utf8(rest.get(..end).unwrap_or_default()).unwrap_or_default();
                let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= COUNT_MAX);
                let counts = match inner.split_once(',') {
                    None => number(inner).map(|count| (count, count)),
                    Some((min, "")) => number(min).map(|min| (min, COUNT_MAX)),
                    Some((min, max)) => number(min).zip(number(max)),
                };
                let (min, max) = counts
                    .filter(|(min, max)| min <= max && *max > 0)
                    .ok_or(self.error("no count"))?;
                self.at += end + 2;
                Ok((min, max))
            }
            _ => Ok((1, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_match_as_written() {
        for (body, text, length) in [
            ("[A-Z2-7]{16}", "ABCDEFGHIJKLMNOP", Some(16)),
            ("[A-Z2-7]{16}", "ABCDEFGHIJKLMNO", None),
            (r"[0-9]{2,4}\.x", "123.x", Some(5)),
            ("a-[a-f]+z?", "a-beefz", Some(7)),
            ("[A-Za-z0-9_-]{3}", "a_-", Some(3)),
            ("[]a]{2}", "]a", Some(2)),
        ] {
            assert_eq!(Pattern::body(body).unwrap().matched(text.as_bytes()), length, "{body}");
        }
        for bad in ["", "(a)", "a|b", "[a", "a{2", "a{3,2}", "[z-a]", "a{99999}", ".*", "é"] {
            assert!(Pattern::body(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn forms_match_as_written() {
        for (form, text, length) in [
            ("ddd-dd-dddd", "123-45-6789", Some(11)),
            ("d{9}", "123456789", Some(9)),
            ("A{2} ?d{6} ?A", "QQ123456C", Some(9)),
            ("A{2} ?d{6} ?A", "QQ 123456 C", Some(11)),
            ("'DE'd{9}", "de123456789", Some(11)),
            ("'L-'dX", "l-1a", Some(4)),
            ("d{2}/d", "12-3", None),
        ] {
            assert_eq!(Pattern::form(form).unwrap().matched(text.as_bytes()), length, "{form}");
        }
        for (form, groups) in [("ddd-dd", 3..=3), ("d{2,4} ?d{3}", 2..=7), ("A{2}d{2}.d", 4..=4)] {
            assert_eq!(Pattern::form(form).unwrap().first_group(), groups, "{form}");
        }
        for bad in ["", "ABC", "'DE", "d{0}"] {
            assert!(Pattern::form(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_goes_on_is_known() {
        let pattern = Pattern::body("x[0-9]{2}").unwrap();
        assert!(pattern.goes_on_with(b'5') && !pattern.goes_on_with(b'x'));
        assert_eq!((pattern.length_min(), pattern.length_max()), (3, 3));
    }
}
