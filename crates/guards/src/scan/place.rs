//! Structure is context: where the value stands that a word names. The same few shapes are in every format that people write
//! values in: a key and a separator, a tag, a flag, a pair of `name` and `value`, the head of a column, a list of columns. They
//! are read around the word, at most so far, without a parser: what passes is often a part of a document, or several in one.
//!
//! It must not know what is looked for.

use super::code::is_tag;
use super::peek::{ahead, behind, find};
use std::ops::Range;

/// A key's value is looked for so far behind it.
const REACH_BYTES: usize = 256;

/// The longest value that something closes, and the longest that goes to the end of its line: what is looked at for each word has
/// a bound, so that a text of nothing but words takes no longer than another.
const VALUE_BYTES_MAX: usize = 8 * 1024;
const LINE_BYTES_MAX: usize = 512;

/// A quoted value of several lines is so long at most.
const QUOTED_LINES_BYTES_MAX: usize = 400;

/// Prose is read so far behind a word, and before it.
const AFTER_BYTES: usize = 72;
const BEFORE_BYTES: usize = 40;

/// How a word and a value belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bond {
    /// In one sentence.
    Near,
    /// The word heads the value's column.
    Column,
    /// The word is, or is in, the value's key.
    Key,
}

/// A part of the text where a named value may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) span: Range<usize>,
    pub(crate) bond: Bond,
    /// Whether quotes or tags say where the value ends.
    pub(crate) is_closed: bool,
}

/// What stands around the word at `word`.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    text: &'a [u8],
    /// The whole key that the word is in.
    key: Range<usize>,
}

impl<'a> Place<'a> {
    pub(crate) fn of(text: &'a [u8], word: &Range<usize>) -> Self {
        let before = text.get(..word.start).unwrap_or_default();
        let is_before = |byte: &u8| is_of_key(*byte) || *byte == b'.';
        let start = word.start - before.iter().rev().take(64).take_while(|byte| is_before(byte)).count();
        let behind = text.get(word.end..).unwrap_or_default();
        let end = word.end + behind.iter().take(64).take_while(|byte| is_of_key(**byte)).count();
        Self { text, key: start..end }
    }

    /// The whole key that the word is in.
    pub(crate) fn key(&self) -> Range<usize> {
        self.key.clone()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    fn skip(&self, at: usize, wanted: impl Fn(u8) -> bool) -> usize {
        let rest = ahead(self.text, at, REACH_BYTES);
        at + rest.iter().take_while(|byte| wanted(**byte)).count()
    }

    /// The value that the word names, if it is a key.
    pub(crate) fn value(&self) -> Option<Scope> {
        let is_flag = self.byte(self.key.start) == Some(b'-')
            || self.text.get(..self.key.start).is_some_and(|b| b.ends_with(b"-"));
        let is_tag_name = self.key.start.checked_sub(1).and_then(|at| self.byte(at)) == Some(b'<');
        if is_tag_name && self.byte(self.key.end) != Some(b'=') {
            let close = self.end(self.key.end, |byte| byte == b'>');
            let inner = close + 1;
            let end = self.end(inner, |byte| byte == b'<');
            // `"<token>"` is no tag.
            let is_quoted = matches!(self.byte(inner), Some(b'"' | b'\'' | b'`'));
            return (end > inner && !is_quoted).then_some(Scope {
                span: inner..end,
                bond: Bond::Key,
                is_closed: true,
            });
        }
        // What closes the key: `"ssn":`, `ssn]`, `**SSN**:`, `SSN (required):`, `SSN No.:`, `ssn_1:`.
        let mut at = self.skip(self.key.end, |byte| matches!(byte, b'"' | b'\'' | b'`' | b']' | b'*'));
        let is_closed_key = at > self.key.end;
        // `ACCT #:`
        at = self.skip(at, |byte| matches!(byte, b' ' | b'#'));
        at = self.skip(at, |byte| matches!(byte, b' ' | b'\t' | b'.' | b'?'));
        let is_called = self.byte(at) == Some(b'(') && at == self.key.end;
        if let Some(scope) = self.written(at, is_called, is_closed_key) {
            return Some(scope);
        }
        if self.byte(at) == Some(b'(') {
            let close = self.skip(at, |byte| byte != b')' && byte != b'\n');
            at = self.skip(close + 1, |byte| matches!(byte, b' ' | b'*' | b'"'));
        }
        match self.byte(at)? {
            // `fn pin(tool: &Tool) -> ToolPin`, `def pin(self):`.
            b'-' | b':' if is_called && self.is_signature(at) => None,
            // What is compared with something written out has it for its value.
            b'=' | b'!' if self.text.get(at + 1) == Some(&b'=') => {
                let other = self.skip(at, |byte| matches!(byte, b'=' | b'!' | b' '));
                matches!(self.byte(other), Some(b'"' | b'\'')).then(|| self.literal(other))
            }
            // `Secret::new`: a path.
            b':' if self.is_path(at) || self.is_in_chain() => None,
            b':' | b'=' => {
                at = self.skip(at, |byte| matches!(byte, b':' | b'=' | b'>' | b'*' | b'~'));
                // `input('Password: ')`: the quote closes what was opened before the word.
                let opened = self.key.start.checked_sub(1).and_then(|before| self.byte(before));
                let quote = self.byte(self.skip(at, |byte| byte == b' '));
                let is_label = !is_closed_key && matches!(quote, Some(b'"' | b'\'')) && quote == opened;
                (!is_label).then(|| self.literal(at))
            }
            b'-' if self.text.get(at..at + 2) == Some(b"->") => Some(self.literal(at + 2)),
            b'<' if !is_tag(self.text, at) => None,
            b'>' if !is_closed_key => None,
            b'>' | b'<' => self.tagged(at),
            b',' if is_closed_key => self.paired(at),
            b'\n' | b'\r' => self.paired(at),
            b'"' | b'\'' if is_flag || is_closed_key => Some(self.literal(at)),
            _ if is_flag && at > self.key.end => Some(self.literal(at)),
            // `|pin| pin.impact`: a closure.
            b'|' if at == self.key.end && !self.line().starts_with(b"|") => None,
            b'|' => self.cell(at + 1),
            _ => None,
        }
    }

    /// Where programs and their settings write a value that is neither behind a colon nor behind an equals sign.
    fn written(&self, at: usize, is_called: bool, is_closed_key: bool) -> Option<Scope> {
        let quoted = |at: usize| {
            let at = self.skip(at, |byte| byte == b' ');
            matches!(self.byte(at), Some(b'"' | b'\'')).then(|| self.literal(at))
        };
        let rest = ahead(self.text, at, REACH_BYTES);
        match rest {
            // `setPassword("x")`
            [b'(', quote @ (b'"' | b'\''), ..] if is_called => {
                let name = self.text.get(self.key()).unwrap_or_default();
                let name = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
                let is_setter = [&b"set"[..], b"Set", b"with", b"With"]
                    .iter()
                    .any(|verb| name.starts_with(verb));
                let is_one = is_setter && rest.iter().skip(2).any(|byte| byte == quote);
                is_one.then(|| self.literal(at + 1))
            }
            // `process.env.PASSWORD || "x"`, `ENV["PASSWORD"] ?? "x"`
            [b'|', b'|', ..] | [b'?', b'?', ..] => quoted(at + 2),
            [b'o', b'r', b' ', ..] => quoted(at + 3),
            // `${PASSWORD:-x}`
            [b':', b'-', ..]
                if self
                    .text
                    .get(..self.key.start)
                    .is_some_and(|before| before.ends_with(b"${")) =>
            {
                Some(self.literal(at + 2))
            }
            // `const password: string = "x"`, `val password: String = "x"`, `Dim password As String = "x"`
            [b':', typed @ ..] | [b'A' | b'a', b's', b' ', typed @ ..] => {
                // Most values begin otherwise: they are looked at no further.
                let line = typed.get(..40).unwrap_or(typed);
                let begin = line.iter().find(|byte| **byte != b' ');
                if !begin.is_some_and(u8::is_ascii_alphabetic) {
                    return None;
                }
                let equals = memchr::memchr2(b'=', b'\n', line).filter(|at| line.get(*at) == Some(&b'='))?;
                let name = line.get(..equals)?.trim_ascii();
                let is_type = name.first().is_some_and(u8::is_ascii_alphabetic)
                    && name
                        .iter()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"_.:<>[]?&, |".contains(byte));
                let from = at + rest.len() - typed.len() + equals + 1;
                is_type.then(|| quoted(from)).flatten()
            }
            // `define('PASSWORD', 'x')`, `os.environ.get("PASSWORD", "x")`, `getenv("PASSWORD", default="x")`
            [b',', ..] if is_closed_key && self.is_argument() => {
                let next = self.skip(at + 1, |byte| byte == b' ');
                let named = ahead(self.text, next, 16);
                // A string of code that has its quotes in it, of which the view has left the backslashes out.
                if matches!(named, [b'"', b'"', first, ..] if first.is_ascii_alphanumeric()) {
                    let span = next + 2..self.end(next + 2, |byte| matches!(byte, b'"' | b'\n'));
                    return Some(Scope {
                        span,
                        bond: Bond::Key,
                        is_closed: true,
                    });
                }
                let name = [&b"default="[..], b"default_value=", b"fallback=", b"value="]
                    .into_iter()
                    .find(|name| named.starts_with(name));
                quoted(next + name.map_or(0, <[u8]>::len))
            }
            // `variable "db_password" { default = "x" }`
            [b'{', ..] if is_closed_key => {
                let body = rest.split(|byte| *byte == b'}').next().unwrap_or_default();
                let default = memchr::memmem::find(body, b"default")?;
                let equals = memchr::memchr(b'=', body.get(default..)?)?;
                quoted(at + default + equals + 1)
            }
            // `<add key="password" value="x"/>`, `<input type="password" value="x">`
            [first, ..] if is_closed_key && first.is_ascii_alphabetic() => {
                let opened = self.text.get(..self.key.start)?;
                if !opened.ends_with(b"=\"") && !opened.ends_with(b"='") {
                    return None;
                }
                let tag = rest.split(|byte| *byte == b'>').next().unwrap_or_default();
                let value = memchr::memmem::find(tag, b"value=").or_else(|| memchr::memmem::find(tag, b"content="))?;
                let equals = memchr::memchr(b'=', tag.get(value..)?)?;
                quoted(at + value + equals + 1)
            }
            _ => None,
        }
    }

    /// Whether the key is the first argument of a call that reads or writes what it names.
    fn is_argument(&self) -> bool {
        const CALLS: [&[u8]; 18] = [
            b"define",
            b"get",
            b"getenv",
            b"env",
            b"setenv",
            b"set",
            b"put",
            b"add",
            b"fetch",
            b"property",
            b"header",
            b"param",
            b"default",
            b"option",
            b"append",
            b"item",
            b"config",
            b"var",
        ];
        let before = behind(self.text, self.key.start, 48);
        let Some(before) = before.strip_suffix(b"\"").or(before.strip_suffix(b"'")) else {
            return false;
        };
        let Some(before) = before.strip_suffix(b"(") else {
            // Android's builds: the type comes first.
            let is_second = before.trim_ascii_end().ends_with(b",");
            return is_second
                && [&b"buildConfigField"[..], b"resValue"]
                    .iter()
                    .any(|call| find(before, call).is_some());
        };
        let before = before.to_ascii_lowercase();
        CALLS.iter().any(|call| before.ends_with(call))
    }

    /// Whether what closes brackets at once behind a name is followed as in the head of a function.
    fn is_signature(&self, at: usize) -> bool {
        let rest = ahead(self.text, at, REACH_BYTES);
        match rest {
            [b'-', b'>', ..] => true,
            [b':', rest @ ..] => {
                let rest = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
                rest.trim_ascii().is_empty()
            }
            _ => false,
        }
    }

    /// Whether a member of a mapping begins at `at`: `type: string`.
    fn is_member(&self, at: usize) -> bool {
        let end = self.skip(at, is_of_key);
        end > at && matches!(self.text.get(end..end + 2), Some([b':', b' ' | b'\n' | b'\r']))
    }

    fn is_path(&self, at: usize) -> bool {
        matches!(self.text.get(at..at + 3), Some([b':', b':', next]) if next.is_ascii_alphabetic() || matches!(next, b'_' | b'{' | b'<'))
    }

    /// `arn:aws:secretsmanager:eu-west-1:1:secret:x`: the key is one of several parts between colons.
    fn is_in_chain(&self) -> bool {
        let before = self.text.get(..self.key.start).unwrap_or_default();
        matches!(before, [.., byte, b':'] if byte.is_ascii_digit())
    }

    /// What stands before the key in its line.
    fn line(&self) -> &'a [u8] {
        let before = behind(self.text, self.key.start, REACH_BYTES);
        let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        line.trim_ascii_start()
    }

    /// Whether the line of the key is a statement of code that others follow: `if password:`.
    fn is_statement(&self) -> bool {
        const WORDS: [&[u8]; 12] = [
            b"if", b"elif", b"else", b"while", b"for", b"with", b"def", b"class", b"try", b"except", b"case", b"when",
        ];
        let line = self.line();
        let word = line.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        WORDS.contains(&line.get(..word).unwrap_or_default())
    }

    /// A cell of a Markdown table whose rows begin with a name; a head has its values below.
    fn cell(&self, at: usize) -> Option<Scope> {
        let rest = ahead(self.text, at, VALUE_BYTES_MAX);
        let line = at + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let below = ahead(self.text, line + 1, REACH_BYTES);
        let below = below.get(..memchr::memchr(b'\n', below).unwrap_or(below.len()));
        let below = below.unwrap_or_default();
        let is_head = below
            .iter()
            .all(|byte| matches!(byte, b'|' | b'-' | b':' | b' ' | b'\r'))
            && memchr::memmem::find(below, b"--").is_some();
        if is_head {
            return None;
        }
        let start = self.skip(at, |byte| matches!(byte, b' ' | b'`' | b'*'));
        let rest = ahead(self.text, start, VALUE_BYTES_MAX);
        let end = start + memchr::memchr2(b'|', b'\n', rest).unwrap_or(rest.len());
        Some(Scope {
            span: start..end,
            bond: Bond::Key,
            is_closed: true,
        })
    }

    fn end(&self, start: usize, closes: impl Fn(u8) -> bool) -> usize {
        let rest = ahead(self.text, start, VALUE_BYTES_MAX);
        start + rest.iter().position(|byte| closes(*byte)).unwrap_or(rest.len())
    }

    /// How far in the line of the key begins.
    fn indent(&self) -> usize {
        let before = behind(self.text, self.key.start, REACH_BYTES);
        let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
    }

    /// What stands from `at` on: in quotes, or to the end of its line.
    fn literal(&self, at: usize) -> Scope {
        let mut start = self.skip(at, |byte| matches!(byte, b' ' | b'\t' | b'[' | b'(' | b'*'));
        // JSON over several lines, YAML's blocks: the value is on the next line, further in or in quotes.
        if matches!(self.byte(start), Some(b'\n' | b'\r' | b'|' | b'>')) {
            let nothing = Scope {
                span: start..start,
                bond: Bond::Key,
                is_closed: false,
            };
            if self.is_statement() {
                return nothing;
            }
            let next = self.skip(start, |byte| matches!(byte, b'\n' | b'\r' | b'|' | b'>' | b'-'));
            let value = self.skip(next, |byte| matches!(byte, b' ' | b'\t' | b'-'));
            let is_deeper = value > next
                && self
                    .text
                    .get(next..value)
                    .is_some_and(|indent| indent.len() > self.indent());
            match self.byte(value) {
                Some(b'"' | b'\'') => start = value,
                Some(_) if is_deeper && !self.is_member(value) => start = value,
                _ => return nothing,
            }
        }
        let quote = self.byte(start).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
        let (start, end) = match quote {
            // `""` is nothing, `"""` opens more than a line, two back quotes open what one would.
            Some(quote @ (b'"' | b'\''))
                if self.byte(start + 1) == Some(quote) && self.byte(start + 2) != Some(quote) =>
            {
                (start + 1, start + 1)
            }
            Some(quote) => {
                let start = self.skip(start, |byte| byte == quote);
                let end = self.end(start, |byte| byte == quote);
                // Over several lines only where the quote is closed soon.
                let is_short = end - start <= QUOTED_LINES_BYTES_MAX && self.byte(end) == Some(quote);
                let end = if is_short {
                    end
                } else {
                    self.end(start, |byte| byte == quote || byte == b'\n')
                };
                (start, end)
            }
            None => {
                let rest = ahead(self.text, start, LINE_BYTES_MAX);
                let end = memchr::memchr3(b'"', b'\n', b'<', rest).unwrap_or(rest.len());
                let line = rest.get(..end).unwrap_or_default();
                let end = memchr::memchr3(b'\r', b'`', b'|', line).unwrap_or(end);
                (start, start + end)
            }
        };
        Scope {
            span: start..end.max(start),
            bond: Bond::Key,
            is_closed: quote.is_some(),
        }
    }

    /// `<ssn>1</ssn>`, `<ssn type="x">1</ssn>`, `<td>SSN</td><td>1</td>`, `<label>SSN</label><input value="1">`.
    fn tagged(&self, at: usize) -> Option<Scope> {
        let mut at = at;
        let mut tags = 0;
        if self.byte(at) == Some(b'>') {
            at += 1;
        }
        loop {
            at = self.skip(at, |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b':'));
            if self.byte(at) != Some(b'<') || tags == 6 {
                break;
            }
            let close = self.end(at, |byte| byte == b'>');
            let tag = self.text.get(at..close).unwrap_or_default();
            for attribute in [&b"value=\""[..], b"content=\"", b"value='"] {
                if let Some(from) = memchr::memmem::find(tag, attribute) {
                    let start = at + from + attribute.len();
                    let end = self.end(start, |byte| matches!(byte, b'"' | b'\''));
                    return Some(Scope {
                        span: start..end,
                        bond: Bond::Key,
                        is_closed: true,
                    });
                }
            }
            at = close + 1;
            tags += 1;
        }
        let end = self.end(at, |byte| byte == b'<');
        (end > at && at < self.text.len()).then_some(Scope {
            span: at..end,
            bond: Bond::Key,
            is_closed: true,
        })
    }

    /// `"name": "ssn", "value": "1"`: the member behind the word's.
    fn paired(&self, at: usize) -> Option<Scope> {
        const VALUES: [&[u8]; 13] = [
            b"value",
            // JSON-RPC: what the method wants.
            b"params",
            b"val",
            b"content",
            b"answer",
            b"data",
            b"text",
            b"valuestring",
            b"string",
            b"stringvalue",
            b"v",
            b"defaultvalue",
            b"input",
        ];
        let mut at = at;
        // The member at once behind it, or one later.
        for _ in 0..3 {
            let open = self.skip(at, |byte| {
                matches!(byte, b',' | b' ' | b'\n' | b'\r' | b'\t' | b'{' | b'"' | b'\'' | b'-')
            });
            let key_end = self.skip(open, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let key = self.text.get(open..key_end)?.to_ascii_lowercase();
            let colon = self.skip(key_end, |byte| matches!(byte, b'"' | b'\'' | b' '));
            if key.is_empty() || !matches!(self.byte(colon), Some(b':' | b'=')) {
                return None;
            }
            let value = self.literal(colon + 1);
            if VALUES.contains(&key.as_slice()) {
                return Some(value);
            }
            at = self.skip(value.span.end, |byte| matches!(byte, b'"' | b'\''));
        }
        None
    }

    /// The sentence around the word.
    pub(crate) fn near(&self, word: &Range<usize>) -> [Scope; 2] {
        let scope = |span| Scope {
            span,
            bond: Bond::Near,
            is_closed: false,
        };
        let behind = ahead(self.text, word.end, AFTER_BYTES);
        let after = word.end + sentence_end(behind);
        let from = word.start.saturating_sub(BEFORE_BYTES);
        let before = self.text.get(from..word.start).unwrap_or_default();
        let start = from + sentence_start(before);
        [scope(word.end..after), scope(start..word.start)]
    }
}

const fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte >= 0x80
}

/// Whether the point at `at` ends a sentence: one behind a short word, or before a number, is an abbreviation's.
fn ends_sentence(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let word = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte >= 0x80);
    let length = word.clone().count();
    let is_number = word.clone().all(u8::is_ascii_digit);
    let behind = text.get(at + 1..).unwrap_or_default().trim_ascii_start();
    let is_before_number = behind.first().is_some_and(u8::is_ascii_digit);
    (length > 3 || is_number && length > 0) && !is_before_number
}

fn sentence_end(text: &[u8]) -> usize {
    let mut windows = text.iter().zip(text.iter().skip(1)).enumerate();
    windows
        .find(|(at, (byte, next))| {
            **byte == b'.' && next.is_ascii_whitespace() && ends_sentence(text, *at)
                || matches!(byte, b'!' | b'?' | b';') && next.is_ascii_whitespace()
                || **byte == b'\n' && **next == b'\n'
                || **byte == b'"' && matches!(next, b',' | b'}' | b']' | b':')
        })
        .map_or(text.len(), |(at, _)| at)
}

fn sentence_start(text: &[u8]) -> usize {
    let mut windows = text.iter().zip(text.iter().skip(1)).enumerate().rev();
    windows
        .find(|(at, (byte, next))| {
            **byte == b'.' && next.is_ascii_whitespace() && ends_sentence(text, *at)
                || matches!(byte, b'!' | b'?' | b';') && next.is_ascii_whitespace()
                || matches!(byte, b'\n' | b'"')
        })
        .map_or(0, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Range<usize> {
        let start = text.find("ssn").unwrap();
        start..start + 3
    }

    #[test]
    fn a_key_has_its_value() {
        for (text, value) in [
            (r#"{"ssn": "123", "x": 1}"#, "123"),
            (r#"{"customer_ssn_2":123}"#, "123}"),
            ("ssn: 123\nnext", "123"),
            ("export ssn='12 3'", "12 3"),
            ("<ssn>123</ssn>", "123"),
            ("<ssn type=\"a\">123</ssn>", "123"),
            ("<td>ssn</td>\n <td>123</td>", "123"),
            ("<label>ssn</label><input value=\"123\">", "123"),
            (r#"{"name":"ssn","value":"123"}"#, "123"),
            (r#"{"name":"ssn","type":"string","value":"123"}"#, "123"),
            (r#"{"method":"check.ssn", "params":["123"]}"#, "123"),
            ("buildConfigField 'String', 'ssn', '\"123\"'", "\"123\""),
            ("buildConfigField(\"String\", \"ssn\", \"\"123\"\")", "123"),
            ("resValue(\"string\", \"ssn\", \"123\")", "123"),
            ("- name: ssn\n  value: 123", "123"),
            ("**ssn:** 123", "123"),
            ("ssn (required): 123", "123"),
            ("--ssn 123 --x", "123 --x"),
            ("| ssn | 123 | x |", "123 "),
            ("ssn:\n  \"123\"", "123"),
            ("ssn:\n  123", "123"),
            ("ssn: \"\"\nx: \"1\"", ""),
            ("ssn:\nname: 1", ""),
        ] {
            let found = Place::of(text.as_bytes(), &word(text)).value();
            let found = found.map(|scope| &text[scope.span]);
            assert_eq!(found, Some(value), "{text}");
        }
        for text in ["the ssn of", "ssn", "ssn,"] {
            assert_eq!(Place::of(text.as_bytes(), &word(text)).value(), None, "{text}");
        }
    }

    #[test]
    fn a_sentence_ends_where_it_ends() {
        let text = "Older. The ssn no. is 123. Order 456";
        let [after, before] = Place::of(text.as_bytes(), &word(text)).near(&word(text));
        assert_eq!((&text[after.span], &text[before.span]), (" no. is 123", " The "));
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_places(text: String, at in 0..40_usize) {
            let text = format!("{text}ssn{text}");
            let at = at.min(text.len());
            let place = Place::of(text.as_bytes(), &(at..(at + 3).min(text.len())));
            let word = at..(at + 3).min(text.len());
            let _ = (place.value(), place.near(&word));
        }
    }
}
