//! Findings, masked: what stands in their place cannot be turned back, is not found again, and leaves JSON what it was: the same
//! members, the same strings but for what is masked, a string in the place of a number.

use crate::hash::HashKey;
use crate::json::{number_around, string_end, write_inside};
use crate::scan::{self, Class, Finding, Form};
use std::ops::Range;

/// What stands in the place of a finding. A token that can be turned back would be one more, made by the caller who keeps what it
/// stands for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Mask<'k> {
    /// Its class: `[CARD]`.
    Class,
    /// Its class and its last four letters or digits: `[CARD:1111]`. Of what is shorter than twelve, the class alone.
    Last4,
    /// Its class and a keyed hash of it, the same for the same value however that is grouped or escaped: `[CARD:hash:` with 16 letters
    /// from `a` to `p` and `]`.
    Hash(&'k HashKey),
    /// This in the place of the whole value of JSON that it stands in, a string or number. What is in a key, or in several values, is
    /// masked by its class. In a text that is no JSON it stands in the place of the finding.
    Whole(Whole),
}

/// A value of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    /// A number.
    Number(i64),
    /// What a string says.
    Text(String),
}

/// Values with fewer letters and digits than this keep none of them.
const LAST4_FROM: usize = 12;

/// `text` with each finding that is not exempt masked as `how` says for it. Findings that overlap or lie out of order are masked
/// too.
#[must_use]
pub fn mask<'k>(text: &[u8], form: Form, findings: &[Finding<'_>], how: impl Fn(&Finding<'_>) -> Mask<'k>) -> Vec<u8> {
    let mut order: Vec<&Finding<'_>> = findings.iter().filter(|finding| !finding.is_exempt).collect();
    order.sort_by_key(|finding| (finding.span.start, finding.span.end));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    // Where in `out` the last string begins that something was replaced in.
    let mut begun = 0;
    let mut parts = Parts::new(text, form);
    for finding in order {
        let span = finding.span.start.max(at).max(parts.at)..finding.span.end.min(text.len());
        if span.is_empty() {
            continue;
        }
        let how = how(finding);
        if let (Mask::Whole(whole), Form::Json) = (&how, form)
            && let Some(value) = parts.whole(&span)
        {
            // What stands before it in its string may be replaced already.
            match value.start >= at {
                true => out.extend_from_slice(text.get(at..value.start).unwrap_or_default()),
                false => out.truncate(begun),
            }
            write_whole(&mut out, whole);
            at = value.end;
            continue;
        }
        let mark = mark(
            finding.class,
            &how,
            text.get(finding.span.clone()).unwrap_or_default(),
            form,
        );
        parts.within(&span, |part, quote, string| {
            // A number that was replaced already, for the finding before.
            if part.start < at {
                return;
            }
            if let Some(string) = string.filter(|string| *string >= at) {
                begun = out.len() + string - at;
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

fn mark(class: Class, how: &Mask<'_>, value: &[u8], form: Form) -> Vec<u8> {
    let mut mark = vec![b'['];
    mark.extend_from_slice(class.as_str().as_bytes());
    match how {
        Mask::Last4 => {
            let plain: Vec<u8> = value.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
            if plain.len() >= LAST4_FROM {
                mark.push(b':');
                mark.extend_from_slice(plain.get(plain.len() - 4..).unwrap_or_default());
            }
        }
        Mask::Hash(key) => {
            mark.extend_from_slice(scan::HASH_SIGN);
            mark.extend_from_slice(&key.letters(class, value));
        }
        Mask::Whole(Whole::Text(text)) if form == Form::Text => return text.clone().into_bytes(),
        Mask::Whole(Whole::Number(number)) if form == Form::Text => return number.to_string().into_bytes(),
        Mask::Class | Mask::Whole(_) => {}
    }
    mark.push(b']');
    mark
}

fn write_whole(out: &mut Vec<u8>, whole: &Whole) {
    match whole {
        Whole::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Whole::Text(text) => {
            out.push(b'"');
            write_inside(out, text);
            out.push(b'"');
        }
    }
}

/// The parts of a text that may be replaced: all of it, or in JSON what is in strings, and whole numbers.
struct Parts<'a> {
    text: &'a [u8],
    form: Form,
    /// Everything before this is read.
    at: usize,
    in_string: bool,
    /// The quote that opens the string that was read last.
    opened: usize,
}

impl<'a> Parts<'a> {
    const fn new(text: &'a [u8], form: Form) -> Self {
        Self {
            text,
            form,
            at: 0,
            in_string: false,
            opened: 0,
        }
    }

    /// The whole value that `span` lies in, quotes included, if it is no key; then it is read.
    fn whole(&mut self, span: &Range<usize>) -> Option<Range<usize>> {
        let before = (self.at, self.in_string, self.opened);
        let start = self.read_to(span.start);
        let value = if self.in_string {
            let end = string_end(self.text, start);
            let behind = self.text.get(end + 1..).unwrap_or_default();
            let is_key = behind.trim_ascii_start().first() == Some(&b':');
            (!is_key && span.end <= end && end < self.text.len()).then_some(self.opened..end + 1)
        } else {
            let begins = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
            let number = self
                .text
                .get(start)
                .is_some_and(begins)
                .then(|| number_around(self.text, &(start..start)));
            number.filter(|number| span.end <= number.end)
        };
        match &value {
            Some(value) => (self.at, self.in_string) = (value.end, false),
            None => (self.at, self.in_string, self.opened) = before,
        }
        value
    }

    /// Tells each part of `span` that is to be replaced, the quotes that must be put around what replaces it, and where the string
    /// begins that it is in.
    fn within(&mut self, span: &Range<usize>, mut part: impl FnMut(Range<usize>, &[u8], Option<usize>)) {
        if self.form == Form::Text {
            part(span.clone(), b"", None);
            return;
        }
        // An escape is replaced whole.
        let mut start = self.read_to(span.start);
        while start < span.end {
            if self.in_string {
                let end = self.string_end(start, span.end);
                if end > start {
                    part(start..end, self.quote_within(start..end), Some(self.opened));
                }
                // The closing quote, unless the span ends before it.
                self.in_string = end >= span.end;
                start = end + usize::from(end < span.end);
            } else {
                match self.text.get(start) {
                    Some(b'"') => {
                        self.in_string = true;
                        self.opened = start;
                        start += 1;
                    }
                    Some(byte) if byte.is_ascii_digit() || *byte == b'-' => {
                        let number = number_around(self.text, &(start..start));
                        part(number.clone(), b"\"", None);
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
                    self.opened = self.at;
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
            is_exempt: false,
        }
    }

    fn masked(text: &str, form: Form, spans: &[Range<usize>], how: Mask<'_>) -> String {
        let findings: Vec<Finding<'_>> = spans.iter().cloned().map(finding).collect();
        String::from_utf8(mask(text.as_bytes(), form, &findings, |_| how.clone())).unwrap()
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
    fn what_is_exempt_stays() {
        let mut findings = [finding(0..2), finding(3..5)];
        findings[0].is_exempt = true;
        assert_eq!(mask(b"12 34", Form::Text, &findings, |_| Mask::Class), b"12 [CARD]");
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

    #[test]
    fn a_hash_is_a_mark_and_nothing_passes_as_one() {
        let key = HashKey::new(b"a key");
        let out = masked("a 1234 b 12-34", Form::Text, &[2..6, 9..14], Mask::Hash(&key));
        let mark = out.split(' ').nth(1).unwrap();
        assert_eq!(out, format!("a {mark} b {mark}"), "however it is grouped");
        assert_eq!(mark.len(), "[CARD:hash:]".len() + 16);
        let found: Vec<_> = marks(out.as_bytes()).collect();
        assert_eq!(found, [(Class::Card, 2), (Class::Card, 5 + mark.len())]);
        for no_mark in [
            "[CARD:hash:4539578763621486]",
            "[CARD:hash:abcdefghijklmnoq]",
            "[CARD:hash:abcdefghijklmno]",
            "[CARD:hash:abcdefghijklmnopa]",
            "[CARD:hash:ABCDEFGHIJKLMNOP]",
        ] {
            assert_eq!(marks(no_mark.as_bytes()).count(), 0, "{no_mark}");
        }
    }

    #[test]
    fn a_whole_value_is_replaced_and_json_stays_json() {
        let text = Mask::Whole(Whole::Text("a \"b\"".to_owned()));
        let number = Mask::Whole(Whole::Number(-1));
        for (before, spans, how, expected) in [
            (r#"{"a":1234.5,"b":2}"#, vec![6..8], &number, r#"{"a":-1,"b":2}"#),
            (r#"{"a":"x 12 y","b":2}"#, vec![8..10], &number, r#"{"a":-1,"b":2}"#),
            (r#"{"a":"x 12 y"}"#, vec![8..10], &text, r#"{"a":"a \"b\""}"#),
            (
                r#"{"a":"x 12 \" 34"}"#,
                vec![8..10, 14..16],
                &text,
                r#"{"a":"a \"b\""}"#,
            ),
            (r#"["x","12"]"#, vec![6..8], &text, r#"["x","a \"b\""]"#),
            // A key, several values, no value.
            (r#"{"12" : 3}"#, vec![2..4], &number, r#"{"[CARD]" : 3}"#),
            (r#"["12","34"]"#, vec![2..9], &number, r#"["[CARD]","[CARD]"]"#),
            ("[true]", vec![1..3], &number, "[true]"),
        ] {
            assert_eq!(masked(before, Form::Json, &spans, how.clone()), expected, "{before}");
        }
        assert_eq!(masked("a 12", Form::Text, &[2..4], number), "a -1");
        // One finding of a string is masked, the next has all of it replaced.
        let findings = [finding(3..5), finding(6..8), finding(12..14)];
        let how = |found: &Finding<'_>| match found.span.start {
            3 => Mask::Class,
            6 => Mask::Whole(Whole::Number(0)),
            _ => Mask::Class,
        };
        let out = mask(b"[\"a12 34 b\",56]", Form::Json, &findings, how);
        assert_eq!(String::from_utf8(out).unwrap(), "[0,\"[CARD]\"]");
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
            let key = HashKey::new(b"a key");
            for how in [
                Mask::Class,
                Mask::Hash(&key),
                Mask::Whole(Whole::Number(0)),
                Mask::Whole(Whole::Text("\"".to_owned())),
            ] {
                let out = masked(&text, Form::Json, &spans, how);
                let parsed: Result<Value, _> = serde_json::from_str(&out);
                prop_assert!(parsed.is_ok(), "{}: {}", text, out);
            }
        }
    }
}
