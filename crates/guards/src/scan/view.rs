//! The normalised view: what a reader of the text would see, with the way back to the bytes that stand there. Escapes are
//! undone (JSON's to any depth, percent, HTML, quoted-printable), invisible characters are gone, digits of every script, full
//! width, dashes and spaces are folded to ASCII. Not NFKC: that would join what is apart.
//!
//! A text that needs none of it is its own view, and costs one look. It must not know what is looked for.

use super::kinds;
use super::peek::readable;
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// Room is made for so many turns before the first.
const TURNS_AT_FIRST: usize = 1_024;

/// A normalised text, and where each of its bytes came from.
#[derive(Debug)]
pub(crate) struct View<'a> {
    original: &'a [u8],
    text: Cow<'a, [u8]>,
    /// From the byte `.0` of the view on, the original is at `.1` and goes on byte for byte until the next.
    turns: Vec<(u32, u32)>,
}

impl<'a> View<'a> {
    /// The view of `original`, which is shorter than 4 GiB.
    pub(crate) fn new(original: &'a [u8]) -> Self {
        let specials = specials(original);
        match specials.iter().all(|block| *block == 0) {
            true => Self {
                original,
                text: Cow::Borrowed(original),
                turns: Vec::new(),
            },
            false => Writer::new(original, &specials).write(&specials),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where a span of the view is in the original.
    pub(crate) fn original(&self, span: &Range<usize>) -> Range<usize> {
        let (mut start, mut end) = (self.start(span.start), self.end(span.end));
        // No character is cut, wherever a limit fell.
        let is_within = |at: usize| self.original.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        for _ in 0..3 {
            start -= usize::from(start > 0 && is_within(start));
            end += usize::from(is_within(end));
        }
        start..end.max(start)
    }

    fn start(&self, at: usize) -> usize {
        let turns = self.turns.partition_point(|turn| turn.0 as usize <= at);
        self.behind(turns, at)
    }

    /// What was left out directly behind a span is not in it.
    fn end(&self, at: usize) -> usize {
        let first = self.turns.partition_point(|turn| (turn.0 as usize) < at);
        match self.turns.get(first) {
            Some(turn) if turn.0 as usize == at => turn.1 as usize,
            _ => self.behind(first, at),
        }
    }

    /// `at`, where the turn before the one with this index was the last.
    fn behind(&self, index: usize, at: usize) -> usize {
        match index.checked_sub(1).and_then(|last| self.turns.get(last)) {
            None => at,
            Some(turn) => turn.1 as usize + at.saturating_sub(turn.0 as usize),
        }
    }
}

/// Where something may have to be done; in blocks, a bit a byte. Of what is beyond ASCII, these begin the characters that are
/// folded, and some that are not.
fn specials(text: &[u8]) -> Vec<u64> {
    kinds::places_of(
        text,
        [b'\\', b'%', b'&', b'=', 0xc2, 0xcd],
        [(0xd6, 0xe3), (0xea, 0xff)],
    )
}

struct Writer<'a> {
    original: &'a [u8],
    out: Vec<u8>,
    turns: Vec<(u32, u32)>,
    /// Everything before this is written.
    at: usize,
    is_quoted_printable: bool,
}

/// What stands in the view for some bytes.
enum Instead {
    /// These bytes mean themselves.
    Same(usize),
    /// So many bytes are one character.
    Char(usize, char),
    /// So many bytes are one byte.
    Byte(usize, u8),
    /// So many bytes are nothing.
    Nothing(usize),
}

impl<'a> Writer<'a> {
    fn new(original: &'a [u8], specials: &[u64]) -> Self {
        let specials: usize = specials.iter().map(|block| block.count_ones() as usize).sum();
        Self {
            original,
            out: Vec::with_capacity(original.len()),
            // As many as most texts want.
            turns: Vec::with_capacity((2 * specials).min(TURNS_AT_FIRST)),
            at: 0,
            is_quoted_printable: is_quoted_printable(original),
        }
    }

    fn write(mut self, specials: &[u64]) -> View<'a> {
        let mut past = 0;
        for at in kinds::places(specials) {
            // A part of what was read already.
            if at < past {
                continue;
            }
            let rest = self.original.get(at..).unwrap_or_default();
            let length = match instead_of(rest, self.is_quoted_printable) {
                Instead::Same(length) => length,
                Instead::Char(length, character) => {
                    self.copy_up_to(at);
                    let mut bytes = [0; 4];
                    self.put(length, character.encode_utf8(&mut bytes).as_bytes());
                    length
                }
                Instead::Byte(length, byte) => {
                    self.copy_up_to(at);
                    self.put(length, &[byte]);
                    length
                }
                Instead::Nothing(length) => {
                    self.copy_up_to(at);
                    self.put(length, b"");
                    length
                }
            };
            past = at + length.max(1);
        }
        if self.turns.is_empty() {
            return View {
                original: self.original,
                text: Cow::Borrowed(self.original),
                turns: Vec::new(),
            };
        }
        self.copy_up_to(self.original.len());
        View {
            original: self.original,
            text: Cow::Owned(self.out),
            turns: self.turns,
        }
    }

    fn copy_up_to(&mut self, at: usize) {
        self.out
            .extend_from_slice(self.original.get(self.at..at).unwrap_or_default());
        self.at = self.at.max(at);
    }

    #[expect(clippy::cast_possible_truncation, reason = "shorter than 4 GiB")]
    fn put(&mut self, length: usize, bytes: &[u8]) {
        self.turns.push((self.out.len() as u32, self.at as u32));
        self.out.extend_from_slice(bytes);
        self.at += length;
        self.turns.push((self.out.len() as u32, self.at as u32));
    }
}

static SAYS_SO: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("uoted-printable"));

/// Quoted-printable says so, or breaks its lines softly.
fn is_quoted_printable(text: &[u8]) -> bool {
    SAYS_SO.find(text).is_some()
        || memchr::memchr_iter(b'=', text).any(|at| {
            matches!(text.get(at + 1..at + 2), Some(b"\n")) || matches!(text.get(at + 1..at + 3), Some(b"\r\n" | b"3D"))
        })
}

fn instead_of(rest: &[u8], is_quoted_printable: bool) -> Instead {
    match rest.first() {
        Some(b'\\') => backslashes(rest),
        Some(b'%') => percent(rest),
        Some(b'&') => entity(rest),
        Some(b'=') if is_quoted_printable => quoted_printable(rest),
        Some(0x80..) => folded(rest),
        _ => Instead::Same(1),
    }
}

/// However many backslashes stand before it: each level of JSON in JSON doubles them.
fn backslashes(rest: &[u8]) -> Instead {
    let count = match rest {
        [_, b'\\', ..] => rest.iter().take(16).take_while(|byte| **byte == b'\\').count(),
        _ => 1,
    };
    let Some(escaped) = rest.get(count) else {
        return Instead::Same(count);
    };
    let length = count + 1;
    match escaped {
        b'"' | b'/' | b'\'' => Instead::Byte(length, *escaped),
        b'n' => Instead::Byte(length, b'\n'),
        b'r' => Instead::Byte(length, b'\r'),
        b't' => Instead::Byte(length, b'\t'),
        b'f' | b'b' => Instead::Byte(length, b' '),
        b'u' => match unicode(rest.get(count..).unwrap_or_default()) {
            Some((more, character)) => of_character(count + more, character),
            // Half a pair is one unit all the same.
            None if rest
                .get(length..length + 4)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) =>
            {
                Instead::Byte(length + 4, b'?')
            }
            None => Instead::Same(length),
        },
        b'x' => match hex_pair(rest.get(length..).unwrap_or_default()) {
            Some(byte @ 0x20..=0x7e) => Instead::Byte(length + 2, byte),
            _ => Instead::Same(length),
        },
        _ => Instead::Same(count),
    }
}

/// `uXXXX`, or a pair of surrogates; how long, and which character. Backslashes in between may be many too.
fn unicode(rest: &[u8]) -> Option<(usize, char)> {
    let unit = |rest: &[u8]| -> Option<u32> {
        let digits = std::str::from_utf8(rest.get(1..5)?).ok()?;
        digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let high = unit(rest)?;
    if !(0xd800..0xdc00).contains(&high) {
        return Some((5, char::from_u32(high)?));
    }
    let behind = rest.get(5..)?;
    let count = behind.iter().take(16).take_while(|byte| **byte == b'\\').count();
    let low = behind
        .get(count..)
        .filter(|low| count > 0 && low.first() == Some(&b'u'))?;
    let low = unit(low).filter(|low| (0xdc00..0xe000).contains(low))?;
    let character = char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?;
    Some((5 + count + 5, character))
}

/// A character that was written as an escape is folded like one that stands there.
fn of_character(length: usize, character: char) -> Instead {
    match fold(character) {
        Fold::Same => Instead::Char(length, character),
        Fold::Ascii(byte) => Instead::Byte(length, byte),
        Fold::Nothing => Instead::Nothing(length),
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The byte that two hexadecimal figures write at the beginning of `rest`.
pub(super) fn hex_pair(rest: &[u8]) -> Option<u8> {
    Some(hex_digit(*rest.first()?)? << 4 | hex_digit(*rest.get(1)?)?)
}

/// `%40`, also of several bytes that are one character, and also doubled (`%2540`).
fn percent(rest: &[u8]) -> Instead {
    let mut length = 1;
    // `%25` is a percent sign: what follows may be escaped once more.
    while rest.get(length..length + 2) == Some(b"25") && length < 9 {
        length += 2;
    }
    let byte_at = |at: usize| hex_pair(rest.get(at..).unwrap_or_default());
    let Some(first) = byte_at(length) else {
        return match length {
            1 => Instead::Same(1),
            _ => Instead::Byte(length, b'%'),
        };
    };
    let step = length + 2;
    match first {
        0x20..=0x7e | b'\n' | b'\r' | b'\t' => Instead::Byte(step, first),
        0xc2..=0xf4 => {
            let mut bytes = vec![first];
            let mut at = step;
            while bytes.len() < 4 && rest.get(at) == Some(&b'%') {
                // The same prefix as of the first byte.
                match byte_at(at + length) {
                    Some(byte @ 0x80..=0xbf) => bytes.push(byte),
                    _ => break,
                }
                at += step;
            }
            of_bytes(&bytes, |used| used * step)
        }
        _ => Instead::Same(1),
    }
}

/// The one character that these bytes begin with; `length` says how long so many bytes are in the original.
fn of_bytes(bytes: &[u8], length: impl Fn(usize) -> usize) -> Instead {
    let valid = readable(bytes);
    match valid.chars().next() {
        Some(character) => of_character(length(character.len_utf8()), character),
        None => Instead::Same(1),
    }
}

/// The entities of HTML that stand for ASCII, and numbers.
fn entity(rest: &[u8]) -> Instead {
    let Some(end) = rest.iter().take(12).position(|byte| *byte == b';') else {
        return Instead::Same(1);
    };
    let name = rest.get(1..end).unwrap_or_default();
    let length = end + 1;
    let byte = match name {
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        b"quot" => b'"',
        b"apos" => b'\'',
        b"nbsp" => b' ',
        b"commat" => b'@',
        b"period" => b'.',
        b"colon" => b':',
        b"sol" => b'/',
        b"lowbar" => b'_',
        b"hyphen" | b"dash" | b"ndash" => b'-',
        b"equals" => b'=',
        b"plus" => b'+',
        b"shy" | b"zwnj" | b"zwj" => return Instead::Nothing(length),
        [b'#', b'x' | b'X', digits @ ..] => return of_number(digits, 16, length),
        [b'#', digits @ ..] => return of_number(digits, 10, length),
        _ => return Instead::Same(1),
    };
    // `&amp;#64;` is `&#64;` to whoever reads it twice; the next look would see it. Twice is as far as it goes.
    if byte == b'&' {
        let mut again = vec![b'&'];
        again.extend_from_slice(rest.get(length..(length + 12).min(rest.len())).unwrap_or_default());
        return match (again.get(1), entity_number(&again)) {
            (Some(b'#'), Some((used, character))) => of_character(length + used - 1, character),
            _ => Instead::Byte(length, b'&'),
        };
    }
    Instead::Byte(length, byte)
}

fn entity_number(text: &[u8]) -> Option<(usize, char)> {
    let end = text.iter().position(|byte| *byte == b';')?;
    let (digits, radix) = match text.get(2..end)? {
        [b'x' | b'X', digits @ ..] => (digits, 16),
        digits => (digits, 10),
    };
    let number = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    Some((end + 1, char::from_u32(number)?))
}

fn of_number(digits: &[u8], radix: u32, length: usize) -> Instead {
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, radix).ok());
    match number.and_then(char::from_u32) {
        Some(character) => of_character(length, character),
        None => Instead::Same(1),
    }
}

/// How long the line break is that `text` begins with, also one that is written as an escape at any depth of JSON.
fn line_break(text: &[u8]) -> Option<usize> {
    let one = |from: usize, plain: u8, escaped: u8| {
        let rest = text.get(from..).unwrap_or_default();
        let count = rest.iter().take(16).take_while(|byte| **byte == b'\\').count();
        match (count, rest.get(count)) {
            (0, Some(byte)) if *byte == plain => Some(from + 1),
            (1.., Some(byte)) if *byte == escaped => Some(from + count + 1),
            _ => None,
        }
    };
    let feed = one(0, b'\r', b'r').unwrap_or(0);
    one(feed, b'\n', b'n')
}

/// `=40`, and the soft break of a line.
fn quoted_printable(rest: &[u8]) -> Instead {
    if let Some(length) = line_break(rest.get(1..).unwrap_or_default()) {
        return Instead::Nothing(1 + length);
    }
    let byte_at = |at: usize| match rest.get(at) {
        Some(b'=') => hex_pair(rest.get(at + 1..).unwrap_or_default()),
        _ => None,
    };
    match byte_at(0) {
        Some(byte @ (0x20..=0x7e | b'\t')) => Instead::Byte(3, byte),
        Some(0xc2..=0xf4) => {
            let bytes: Vec<u8> = (0..4).map_while(|index| byte_at(index * 3)).collect();
            of_bytes(&bytes, |used| used * 3)
        }
        _ => Instead::Same(1),
    }
}

enum Fold {
    Same,
    Ascii(u8),
    Nothing,
}

/// A character that stands there.
fn folded(rest: &[u8]) -> Instead {
    let (length, character) = match first_character(rest) {
        Some(character) => (character.len_utf8(), character),
        None => return Instead::Same(1),
    };
    match fold(character) {
        Fold::Same => Instead::Same(length),
        Fold::Ascii(byte) => Instead::Byte(length, byte),
        Fold::Nothing => Instead::Nothing(length),
    }
}

fn first_character(rest: &[u8]) -> Option<char> {
    let length = match rest.first()? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    std::str::from_utf8(rest.get(..length)?).ok()?.chars().next()
}

/// The first digit of each script that has ten in a row (Unicode general category Nd).
const DIGIT_ZEROS: [u32; 37] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6, 0x0e50,
    0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xaa50, 0xabf0, 0x1_d7ce, 0x1_d7d8, 0x1_d7e2,
];

fn fold(character: char) -> Fold {
    let code = u32::from(character);
    match code {
        0x00a0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => Fold::Ascii(b' '),
        0x00ad | 0x034f | 0x061c | 0x180b..=0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff => {
            Fold::Nothing
        }
        0xfe00..=0xfe0f | 0xe_0000..=0xe_0fff => Fold::Nothing,
        0x058a | 0x05be | 0x2010..=0x2015 | 0x2212 | 0x2e3a | 0x2e3b | 0xfe58 | 0xfe63 => Fold::Ascii(b'-'),
        0x2018 | 0x2019 | 0x201a | 0x2032 => Fold::Ascii(b'\''),
        0x201c..=0x201e | 0x00ab | 0x00bb | 0x300c | 0x300d => Fold::Ascii(b'"'),
        0x2024 | 0x3002 | 0xff61 => Fold::Ascii(b'.'),
        0x2236 | 0xa789 => Fold::Ascii(b':'),
        #[expect(clippy::cast_possible_truncation, reason = "below 0x7f")]
        0xff01..=0xff5e => Fold::Ascii((code - 0xff01) as u8 + b'!'),
        0x1_d7ec..=0x1_d7ff => digit((code - 0x1_d7ec) % 10),
        _ => match DIGIT_ZEROS.partition_point(|zero| *zero <= code).checked_sub(1) {
            Some(index) => match DIGIT_ZEROS.get(index) {
                Some(zero) if code - zero < 10 => digit(code - zero),
                _ => Fold::Same,
            },
            None => Fold::Same,
        },
    }
}

#[expect(clippy::cast_possible_truncation, reason = "below ten")]
fn digit(value: u32) -> Fold {
    Fold::Ascii(b'0' + value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(original: &str) -> String {
        String::from_utf8(View::new(original.as_bytes()).text().to_vec()).unwrap()
    }

    #[test]
    fn every_way_of_writing_reads_the_same() {
        for (written, read) in [
            ("plain \"text\": 1", "plain \"text\": 1"),
            (r#"a\u0040b\u002ec"#, "a@b.c"),
            (r#"\\\"k\\\": \\u0041"#, "\"k\": A"),
            (r"line\nline", "line\nline"),
            ("a%40b %2540 100% %zz", "a@b @ 100% %zz"),
            ("%D9%A1%D9%A2", "12"),
            ("a&#64;b&#x40;c&amp;d&amp;#64;", "a@b@c&d@"),
            ("=\nx=40y", "x@y"),
            ("a=40", "a=40"),
            (
                r"quoted-printable: 1=\r\n2=\n3=\\r\\n4 x=\q",
                r"quoted-printable: 1234 x=\q",
            ),
            ("1\u{200b}2\u{ad}3", "123"),
            ("\u{661}\u{662} \u{ff11}\u{ff21} \u{1d7d7}", "12 1A 9"),
            ("1\u{2013}2\u{a0}3", "1-2 3"),
            ("\\ud83d\\ude00 \u{1f600}", "\u{1f600} \u{1f600}"),
            (r"\ud83d alone", "? alone"),
            (r"a\fb\bc", "a b c"),
            ("Привет", "Привет"),
        ] {
            assert_eq!(seen(written), read, "{written}");
        }
    }

    #[test]
    fn a_span_goes_back_to_what_stands_there() {
        let original = "x \u{200b}1\u{200b}\\u0032\u{200b}3\u{200b} y";
        let view = View::new(original.as_bytes());
        assert_eq!(view.text(), b"x 123 y");
        let span = view.original(&(2..5));
        assert_eq!(&original[span], "1\u{200b}\\u0032\u{200b}3");
        assert_eq!(view.original(&(0..7)), 0..original.len());
        let whole = View::new(b"abc");
        assert_eq!(whole.original(&(1..2)), 1..2);
    }

    #[test]
    fn every_character_that_is_folded_is_looked_at() {
        for character in '\u{80}'..=char::MAX {
            let mut bytes = [0; 4];
            let written = character.encode_utf8(&mut bytes).as_bytes();
            let is_folded = !matches!(fold(character), Fold::Same);
            let is_looked_at = specials(written).first().is_some_and(|block| block & 1 == 1);
            assert!(is_looked_at || !is_folded, "{character:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_a_view_whose_spans_lie_in_them(original: Vec<u8>, from in 0..64_usize, length in 0..64_usize) {
            let view = View::new(&original);
            let from = from.min(view.text().len());
            let to = (from + length).min(view.text().len());
            let span = view.original(&(from..to));
            proptest::prop_assert!(span.start <= span.end && span.end <= original.len(), "{span:?}");
        }

        #[test]
        fn escaped_to_any_depth_reads_as_what_it_was(text in "[a-zA-Z0-9@. \\-\n\"]{0,40}", depth in 0..4_usize) {
            let mut written = text.clone();
            for _ in 0..depth {
                let quoted = serde_json::to_string(&written).unwrap();
                written = quoted[1..quoted.len() - 1].to_owned();
            }
            proptest::prop_assert_eq!(seen(&written), text);
        }
    }
}
