//! RFC 8785 canonical JSON, as far as records need it: text, whole numbers, flags, lists, objects. Writes into a byte
//! buffer, and reads with one strict pass that accepts the canonical form alone. It must not know what a record says.

use std::borrow::Cow;

/// The largest whole number that every JSON reader keeps (RFC 7493, 2.2).
pub(crate) const NUMBER_MAX: u64 = (1 << 53) - 1;

/// The deepest nesting that the reader follows.
const DEPTH_MAX: usize = 8;

/// Appends a whole number; what is beyond [`NUMBER_MAX`] is written as that.
pub(crate) fn number(buffer: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = value.min(NUMBER_MAX);
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        start = at;
        if rest == 0 {
            break;
        }
    }
    buffer.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends a string with its quotes. What does not fit in `bytes_max` of encoded text is cut at a character, and the
/// marker `…+N` says how many bytes of it are missing: an overlong name must not cost us the record.
pub(crate) fn text(buffer: &mut Vec<u8>, value: &str, bytes_max: usize) {
    buffer.push(b'"');
    if value.len() <= bytes_max && are_plain(value.as_bytes()) {
        buffer.extend_from_slice(value.as_bytes());
    } else {
        text_slowly(buffer, value, bytes_max);
    }
    buffer.push(b'"');
}

fn text_slowly(buffer: &mut Vec<u8>, value: &str, bytes_max: usize) {
    /// `…+` and the digits of a length.
    const MARKER_BYTES_MAX: usize = 4 + 20;
    let start = buffer.len();
    // Where to cut, should the whole turn out not to fit: the last character that leaves room for the marker.
    let mut cut = (start, 0);
    for (at, character) in value.char_indices() {
        if buffer.len() - start + MARKER_BYTES_MAX <= bytes_max {
            cut = (buffer.len(), at);
        }
        escape(buffer, character);
        if buffer.len() - start > bytes_max {
            buffer.truncate(cut.0);
            buffer.extend_from_slice("…+".as_bytes());
            number(buffer, (value.len() - cut.1) as u64);
            return;
        }
    }
}

fn is_plain(byte: u8) -> bool {
    (byte >= 0x20) & (byte != b'"') & (byte != b'\\')
}

/// Whether all are. A fold without an early end, which the compiler turns into vector code: nearly all names are plain.
fn are_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & is_plain(*byte))
}

/// RFC 8785, 3.2.2.2.
fn escape(buffer: &mut Vec<u8>, character: char) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        control if u32::from(control) < 0x20 => {
            buffer.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            return;
        }
        plain => {
            buffer.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    buffer.extend_from_slice(&[b'\\', short]);
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    Flag(bool),
    List(Vec<Node<'a>>),
    Object(Vec<(&'a str, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The member `name` of an object.
    pub(crate) fn member(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members.iter().find(|(key, _)| *key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A string's text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number.
    pub(crate) fn as_number(&self) -> Option<u64> {
        match self {
            Node::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// Where and why a text is not canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotCanonical {
    /// Byte offset within the text.
    pub(crate) offset: usize,
    /// What was expected.
    pub(crate) reason: &'static str,
}

/// Reads the canonical form of a value and nothing else: sorted unique ASCII names, no white space, shortest escapes.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node<'_>, NotCanonical> {
    let source = std::str::from_utf8(bytes).map_err(|error| NotCanonical {
        offset: error.valid_up_to(),
        reason: "not UTF-8",
    })?;
    let mut reader = Reader { source, at: 0 };
    let node = reader.value(0)?;
    if reader.at < source.len() {
        return Err(reader.wrong("bytes after the end"));
    }
    Ok(node)
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, reason: &'static str) -> NotCanonical {
        NotCanonical {
            offset: self.at,
            reason,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8, reason: &'static str) -> Result<(), NotCanonical> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(reason));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, NotCanonical> {
        if depth >= DEPTH_MAX {
            return Err(self.wrong("nested too deeply"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Node::Text),
            Some(b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true").map(|()| Node::Flag(true)),
            Some(b'f') => self.word("false").map(|()| Node::Flag(false)),
            _ => Err(self.wrong("no value")),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), NotCanonical> {
        if !self.source.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.wrong("no value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, NotCanonical> {
        self.at += 1;
        let mut members: Vec<(&'a str, Node<'a>)> = Vec::with_capacity(8);
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Node::Object(members));
        }
        loop {
            let start = self.at;
            let Cow::Borrowed(name) = self.string()? else {
                return Err(NotCanonical {
                    offset: start,
                    reason: "an escape in a name",
                });
            };
            if !name.is_ascii() || members.last().is_some_and(|(last, _)| *last >= name) {
                return Err(NotCanonical {
                    offset: start,
                    reason: "names are not ASCII, sorted and unique",
                });
            }
            self.expect(b':', "no colon after a name")?;
            members.push((name, self.value(depth + 1)?));
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect(b'}', "no end of an object")?;
            return Ok(Node::Object(members));
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node<'a>, NotCanonical> {
        self.at += 1;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect(b']', "no end of a list")?;
            return Ok(Node::List(items));
        }
    }

    fn number(&mut self) -> Result<Node<'a>, NotCanonical> {
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let leading_zero = self.at - start > 1 && self.source.as_bytes().get(start) == Some(&b'0');
        if leading_zero || value > NUMBER_MAX {
            return Err(NotCanonical {
                offset: start,
                reason: "no canonical whole number",
            });
        }
        Ok(Node::Number(value))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, NotCanonical> {
        self.expect(b'"', "no string")?;
        let start = self.at;
        while self.peek().is_some_and(is_plain) {
            self.at += 1;
        }
        let plain = self.source.get(start..self.at).unwrap_or_default();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            let rest = self.source.get(self.at..).unwrap_or_default();
            match rest.chars().next() {
                None => return Err(self.wrong("no end of a string")),
                Some('"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some('\\') => {
                    let character = self.unescape(rest)?;
                    text.push(character);
                }
                Some(control) if u32::from(control) < 0x20 => return Err(self.wrong("a bare control character")),
                Some(character) => {
                    text.push(character);
                    self.at += character.len_utf8();
                }
            }
        }
    }

    /// Only the escapes that the writer would make: found by writing each candidate.
    fn unescape(&mut self, rest: &str) -> Result<char, NotCanonical> {
        let mut written = Vec::with_capacity(6);
        for character in ('\u{0}'..'\u{20}').chain(['"', '\\']) {
            written.clear();
            escape(&mut written, character);
            if rest.as_bytes().starts_with(&written) {
                self.at += written.len();
                return Ok(character);
            }
        }
        Err(self.wrong("no canonical escape"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &str, bytes_max: usize) -> String {
        let mut buffer = Vec::new();
        text(&mut buffer, value, bytes_max);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn writes_the_escapes_of_the_rfc() {
        // RFC 8785, 3.2.2.2, its example string.
        assert_eq!(
            written("\u{20ac}$\u{f}\nA'\u{42}\u{22}\u{5c}\\\"/", 99),
            r#""€$\u000f\nA'B\"\\\\\"/""#
        );
        assert_eq!(written("\u{7f}\u{8}\t\u{c}\r", 99), "\"\u{7f}\\b\\t\\f\\r\"");
    }

    #[test]
    fn cuts_what_is_too_long_and_says_so() {
        assert_eq!(written(&"a".repeat(30), 30), format!("\"{}\"", "a".repeat(30)));
        assert_eq!(written(&"a".repeat(1000), 30), "\"aaaaaa…+994\"");
        assert_eq!(written(&"é".repeat(20), 30), "\"ééé…+34\"");
    }

    #[test]
    fn reads_the_canonical_form_alone() {
        for good in [
            r#"{"a":1,"b":{"c":[true,false,"x"]}}"#,
            "{}",
            "[]",
            "0",
            r#""\u000f\n""#,
            "9007199254740991",
        ] {
            assert!(parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a": 1}"#,
            "01",
            "1.0",
            "-1",
            "1e3",
            "9007199254740992",
            "null",
            r#""\u000a""#,
            r#""\u000F""#,
            r#""\/""#,
            r#""\u0041""#,
            "\"\n\"",
            r#"{"a":1"#,
            "[1,]",
            "[1 ]",
            "{} ",
            "",
            r#"{"\n":1}"#,
            r#"{"é":1}"#,
            "[[[[[[[[[]]]]]]]]]",
            "tru",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}").unwrap_err().offset, 6);
    }

    #[test]
    fn every_byte_is_plain_or_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in 1..=17 {
                for at in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    assert_eq!(are_plain(&bytes), is_plain(byte), "{byte} at {at} of {length}");
                }
            }
        }
        assert!(are_plain(b""));
    }

    proptest! {
        #[test]
        fn bytes_are_plain_where_each_is(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(are_plain(&bytes), bytes.iter().copied().all(is_plain));
        }

        #[test]
        fn what_is_written_reads_back(value in ".{0,60}", number_value in any::<u64>()) {
            let mut buffer = Vec::new();
            text(&mut buffer, &value, 1000);
            prop_assert_eq!(parse(&buffer).unwrap(), Node::Text(Cow::Owned(value)));
            buffer.clear();
            number(&mut buffer, number_value);
            prop_assert_eq!(parse(&buffer).unwrap(), Node::Number(number_value.min(NUMBER_MAX)));
        }

        #[test]
        fn what_is_cut_stays_canonical_and_within_bounds(value in "[\\x00-\\x7fé€😀]{0,300}", bytes_max in 24usize..200) {
            let mut buffer = Vec::new();
            text(&mut buffer, &value, bytes_max);
            prop_assert!(buffer.len() <= bytes_max + 2);
            prop_assert!(parse(&buffer).is_ok());
        }
    }
}
