//! Findings, masked: what stands in their place cannot be turned back, is not found again, and leaves JSON what it was: the same
//! members, the same strings but for what is masked, a string in the place of a number.

use crate::scan::{self, Class, Finding};
use std::ops::Range;

/// What stands in the place of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Its class: `[CARD]`.
    Class,
    /// Its class and its last four letters or digits: `[CARD:1111]`. Of what is shorter than twelve, the class alone.
    Last4,
}

/// What kind of text is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON text: it stays one.
    Json,
    /// Any other text.
    Text,
}

/// Values with fewer letters and digits than this keep none of them.
const LAST4_FROM: usize = 12;

/// `text` with each finding masked as `how` says for it. Findings that overlap or lie out of order are masked too.
#[must_use]
pub fn mask(text: &[u8], form: Form, findings: &[Finding<'_>], how: impl Fn(&Finding<'_>) -> Mask) -> Vec<u8> {
    let mut order: Vec<&Finding<'_>> = findings.iter().collect();
    order.sort_by_key(|finding| (finding.span.start, finding.span.end));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut parts = Parts::new(text, form);
    for finding in order {
        let span = finding.span.start.max(at).max(parts.at)..finding.span.end.min(text.len());
        if span.is_empty() {
            continue;
        }
        let mark = mark(
            finding.class,
            how(finding),
            text.get(finding.span.clone()).unwrap_or_default(),
        );
        parts.within(&span, |part, quote| {
            // A number that was replaced already, for the finding before.
            if part.start < at {
                return;
            }
            out.extend_from_slice(text.get(at..part.start).unwrap_or_default());
            out.extend_from_slice(quote);
            out.extend_from_slice(&mark);
            out.extend_from_slice(quote);
            at = part.end;
        });
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

/// The marks of ours in `text`, in order: the class that each names, and where it begins. A text with marks went through [`mask`]
/// before, and writing it back would write the marks over the values.
pub fn marks(text: &[u8]) -> impl Iterator<Item = (Class, usize)> {
    scan::marks(text).map(|(class, span)| (class, span.start))
}

fn mark(class: Class, how: Mask, value: &[u8]) -> Vec<u8> {
    let mut mark = vec![b'['];
    mark.extend_from_slice(class.as_str().as_bytes());
    if how == Mask::Last4 {
        let plain: Vec<u8> = value.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
        if plain.len() >= LAST4_FROM {
            mark.push(b':');
            mark.extend_from_slice(plain.get(plain.len() - 4..).unwrap_or_default());
        }
    }
    mark.push(b']');
    mark
}

/// The parts of a text that may be replaced: all of it, or in JSON what is in strings, and whole numbers.
struct Parts<'a> {
    text: &'a [u8],
    form: Form,
    /// Everything before this is read.
    at: usize,
    in_string: bool,
}

impl<'a> Parts<'a> {
    const fn new(text: &'a [u8], form: Form) -> Self {
        Self {
            text,
            form,
            at: 0,
            in_string: false,
        }
    }

    /// Tells each part of `span` that is to be replaced, and the quotes that must be put around what replaces it.
    fn within(&mut self, span: &Range<usize>, mut part: impl FnMut(Range<usize>, &[u8])) {
        if self.form == Form::Text {
            part(span.clone(), b"");
            return;
        }
        // An escape is replaced whole.
        let mut start = self.read_to(span.start);
        while start < span.end {
            if self.in_string {
                let end = self.string_end(start, span.end);
                if end > start {
                    part(start..end, self.quote_within(start..end));
                }
                // The closing quote, unless the span ends before it.
                self.in_string = end >= span.end;
                start = end + usize::from(end < span.end);
            } else {
                match self.text.get(start) {
                    Some(b'"') => {
                        self.in_string = true;
                        start += 1;
                    }
                    Some(byte) if byte.is_ascii_digit() || *byte == b'-' => {
                        let number = self.number(start);
                        part(number.clone(), b"\"");
                        start = number.end;
                    }
                    _ => start += 1,
                }
            }
        }
        self.at = start.max(span.end);
    }

    /// Reads up to `to`; where that is, or the escape begins that it is in.
    fn read_to(&mut self, to: usize) -> usize {
        let mut begin = self.at;
        while self.at < to {
            begin = self.at;
            match (self.in_string, self.text.get(self.at)) {
                (true, Some(b'\\')) => self.at += self.escape(self.at),
                (_, Some(b'"')) => {
                    self.in_string = !self.in_string;
                    self.at += 1;
                }
                (_, Some(_)) => self.at += 1,
                (_, None) => return to,
            }
        }
        if self.at > to { begin } else { to }
    }

    /// How long the escape at `at` is.
    fn escape(&self, at: usize) -> usize {
        match self.text.get(at + 1) {
            Some(b'u') => 6,
            _ => 2,
        }
    }

    /// Where the string ends that `from` is in, or the span.
    fn string_end(&self, from: usize, to: usize) -> usize {
        let mut at = from;
        while at < to {
            match self.text.get(at) {
                Some(b'\\') => at += self.escape(at),
                Some(b'"') | None => return at,
                Some(_) => at += 1,
            }
        }
        at.min(self.text.len())
    }

    /// The quotes that a number needs that is the value of a member in JSON within a string: those of its key, escaped as they are.
    fn quote_within(&self, number: Range<usize>) -> &'a [u8] {
        let value = self.text.get(number.clone()).unwrap_or_default();
        let before = self.text.get(..number.start).unwrap_or_default().trim_ascii_end();
        let behind = self.text.get(number.end..).unwrap_or_default().trim_ascii_start();
        let ends = matches!(behind, [b',' | b'}' | b']', ..] | [b'\\', b'n' | b'r', ..]);
        match before.strip_suffix(b":").map(<[u8]>::trim_ascii_end) {
            Some(key) if ends && value.iter().all(u8::is_ascii_digit) && key.ends_with(b"\\\"") => {
                let slashes = key.iter().rev().skip(1).take_while(|byte| **byte == b'\\').count();
                key.get(key.len() - 1 - slashes..).unwrap_or_default()
            }
            _ => b"",
        }
    }

    /// The whole number around `at`: a part of one cannot be replaced.
    fn number(&self, at: usize) -> Range<usize> {
        let is_of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let before = self
            .text
            .get(..at)
            .unwrap_or_default()
            .iter()
            .rev()
            .take_while(|byte| is_of_number(byte))
            .count();
        let behind = self
            .text
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| is_of_number(byte))
            .count();
        at - before..at + behind
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one span is meant")]
mod tests {
    use super::*;
    use crate::scan::Confidence;
    use proptest::prelude::*;
    use serde_json::Value;

    fn finding(span: Range<usize>) -> Finding<'static> {
        Finding {
            class: Class::Card,
            rule: "test",
            confidence: Confidence::Sure,
            span,
        }
    }

    fn masked(text: &str, form: Form, spans: &[Range<usize>], how: Mask) -> String {
        let findings: Vec<Finding<'_>> = spans.iter().cloned().map(finding).collect();
        String::from_utf8(mask(text.as_bytes(), form, &findings, |_| how)).unwrap()
    }

    #[test]
    fn the_mark_stands_where_the_value_stood() {
        assert_eq!(masked("a 1234 b", Form::Text, &[2..6], Mask::Class), "a [CARD] b");
        assert_eq!(
            masked("4111-1111-1111-1234", Form::Text, &[0..19], Mask::Last4),
            "[CARD:1234]"
        );
        assert_eq!(
            masked("12345678901", Form::Text, &[0..11], Mask::Last4),
            "[CARD]",
            "too short to keep anything"
        );
        assert_eq!(
            masked("ab", Form::Text, &[0..2, 1..2, 0..1], Mask::Class),
            "[CARD][CARD]",
            "overlapping, out of order"
        );
        assert_eq!(masked("ab", Form::Text, &[5..9], Mask::Class), "ab", "outside");
    }

    #[test]
    fn json_stays_json() {
        for (text, span, expected) in [
            (r#"{"a":1234,"b":[12]}"#, 5..9, r#"{"a":"[CARD]","b":[12]}"#),
            (r#"{"a":1234.5}"#, 6..8, r#"{"a":"[CARD]"}"#),
            (r#"{"a":"x 12 y"}"#, 8..10, r#"{"a":"x [CARD] y"}"#),
            (r#"["ab","cd",true]"#, 1..15, r#"["[CARD]","[CARD]",true]"#),
        ] {
            let out = masked(text, Form::Json, std::slice::from_ref(&span), Mask::Class);
            assert_eq!(out, expected, "{text}");
            assert!(serde_json::from_str::<Value>(&out).is_ok(), "{text}: {out}");
        }
    }

    #[test]
    fn json_in_a_string_stays_json() {
        for (text, value, expected) in [
            (
                r#"{"t":"{\"a\":1234,\"b\":1}"}"#,
                "1234",
                r#"{"t":"{\"a\":\"[CARD]\",\"b\":1}"}"#,
            ),
            (
                r#"{"t":"{\n  \"a\": 1234\n}"}"#,
                "1234",
                r#"{"t":"{\n  \"a\": \"[CARD]\"\n}"}"#,
            ),
            (r#"{"t":"{\"a\":\"1234\"}"}"#, "1234", r#"{"t":"{\"a\":\"[CARD]\"}"}"#),
            (
                r#"{"t":"\"{\\\"a\\\":1234}\""}"#,
                "1234",
                r#"{"t":"\"{\\\"a\\\":\\\"[CARD]\\\"}\""}"#,
            ),
            (
                r#"{"t":"\"said\": 1234 and more"}"#,
                "1234",
                r#"{"t":"\"said\": [CARD] and more"}"#,
            ),
            (r#"{"t":"card: 1234, or"}"#, "1234", r#"{"t":"card: [CARD], or"}"#),
        ] {
            let at = text.find(value).unwrap();
            let span = at..at + value.len();
            let out = masked(text, Form::Json, std::slice::from_ref(&span), Mask::Class);
            assert_eq!(out, expected, "{text}");
            assert!(serde_json::from_str::<Value>(&out).is_ok(), "{text}: {out}");
        }
    }

    #[test]
    fn our_marks_are_known() {
        let count = |text: &[u8]| marks(text).count();
        assert_eq!([count(b"pay to [IBAN:1234] now"), count(b"[PASSWORD]")], [1, 1]);
        assert_eq!(count(b"[x] IBAN] [IBANX] [ IBAN]"), 0);
        let found: Vec<_> = marks(b"[CARD] and [IP:0012] and [IP:1]").collect();
        assert_eq!(found, [(Class::Card, 0), (Class::Ip, 11)]);
    }

    proptest! {
        #[test]
        fn any_json_with_any_spans_stays_json(
            strings in prop::collection::vec("[ -~\u{e9}\n\"\\\\]{0,12}", 1..5),
            numbers in prop::collection::vec(-1_000_000_i64..1_000_000, 1..4),
            cuts in prop::collection::vec((0..120_usize, 1..20_usize), 0..4),
        ) {
            let text = serde_json::json!({ "strings": strings, "numbers": numbers, "none": null }).to_string();
            // Wherever a finding begins and ends in a character.
            let whole = |at: usize| {
                let mut at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let spans: Vec<Range<usize>> = cuts
                .iter()
                .map(|(start, length)| whole(*start)..whole(start + length))
                .collect();
            let out = masked(&text, Form::Json, &spans, Mask::Class);
            let parsed: Result<Value, _> = serde_json::from_str(&out);
            prop_assert!(parsed.is_ok(), "{}: {}", text, out);
        }
    }
}
