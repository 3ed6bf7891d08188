//! Random JSON documents with planted values, masked: what is left parses, is the same outside the findings, has nothing of what
//! was planted in any encoding that is decoded, and is not masked again. `PORTCULLIS_MASKED_DOCUMENTS` says how many.

use crate::HashKey;
use crate::mask::{Mask, mask};
use crate::scan::tests::examples;
use crate::scan::{Class, Confidence, Context, Finding, Form, Rules, Scanner};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A rule's example: a text, and the values in it.
struct Planted {
    text: String,
    values: Vec<String>,
    /// It is masked in Base64 too, where only what is beyond doubt is.
    is_sure: bool,
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound
    }

    fn one_of<'a, T: ?Sized>(&mut self, among: &[&'a T]) -> &'a T {
        among[self.below(among.len())]
    }
}

/// Says nothing of anybody, and names nothing.
const PROSE: [&str; 6] = [
    "The meeting was moved to the large room on the second floor.",
    "Le rapport décrit les travaux prévus pour le printemps.",
    "Die Anlage ist seit dem Umbau wieder in Betrieb.",
    "All boxes were counted twice; none of them was missing.",
    "報告書は会議の後に送られます。",
    "Nothing else was said about the weather.",
];

const KEYS: [&str; 8] = [
    "summary", "body", "extract", "remarks", "content", "entry", "parts", "more",
];

/// What stands for a leaf that is written in escapes, until the document is a text.
const ESCAPED: &str = "@@escaped@@";

fn planted(scanner: &Scanner) -> Vec<Planted> {
    let mut all = Vec::new();
    for example in examples().flat_map(|file| file.token.into_iter().chain(file.identifier)) {
        for marked in &example.finds {
            let text = marked.replace("[[", "").replace("]]", "");
            let values = marked
                .split("[[")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once("]]")?.0));
            let values: Vec<String> = values.map(str::to_owned).collect();
            let found = scanner.scan(text.as_bytes(), Form::Text, &Context::default());
            // Of a value that stands there twice, only one is the example.
            let is_one = values
                .iter()
                .all(|value| value.len() >= 6 && text.matches(value.as_str()).count() == 1);
            if is_one {
                let is_sure = found.iter().any(|found| found.confidence > Confidence::Likely) && found.len() == 1;
                all.push(Planted { text, values, is_sure });
            }
        }
    }
    assert!(all.len() >= 900, "{} examples to plant", all.len());
    all
}

/// A private key that nobody has.
fn private_key(numbers: &mut Numbers) -> Planted {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let lines: Vec<String> = (0..4 + numbers.below(20))
        .map(|_| (0..64).map(|_| char::from(DIGITS[numbers.below(64)])).collect())
        .collect();
    let kind = numbers.one_of(&[
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
    ]);
    Planted {
        text: format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n")),
        values: lines,
        is_sure: true,
    }
}

/// Each character of `text` as an escape of JSON.
fn in_escapes(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// A leaf with `planted` in one of the ways that are undone; and what is to stand for [`ESCAPED`].
fn leaf(numbers: &mut Numbers, planted: &Planted) -> (Value, Option<String>) {
    let text = &planted.text;
    match numbers.below(7) {
        0 => (json!(text), None),
        1 => (json!(format!("{}\n{text}\n", numbers.one_of(&PROSE))), None),
        2 => (json!(json!({ "said": text }).to_string()), None),
        3 => (json!(json!([json!({ "said": text }).to_string()]).to_string()), None),
        4 => (json!(ESCAPED), Some(in_escapes(text))),
        5 if planted.is_sure && text.len() >= 24 => (json!(STANDARD.encode(text)), None),
        _ => {
            // A space without width in the middle of each value.
            let mut text = text.clone();
            for value in planted.values.iter().filter(|value| value.is_ascii()) {
                let (head, tail) = value.split_at(value.len() / 2);
                text = text.replace(value.as_str(), &format!("{head}\u{200b}{tail}"));
            }
            (json!(text), None)
        }
    }
}

fn document(numbers: &mut Numbers, leaves: &mut Vec<Value>, depth: usize) -> Value {
    let count = 1 + numbers.below(5);
    let mut part = |numbers: &mut Numbers| match numbers.below(if depth < 3 { 7 } else { 5 }) {
        0 | 1 if !leaves.is_empty() => leaves.pop().unwrap_or_default(),
        0..=2 => json!(numbers.one_of(&PROSE)),
        3 => json!(numbers.below(1_000)),
        4 => json!(numbers.below(2) == 0),
        _ => document(numbers, leaves, depth + 1),
    };
    match numbers.below(2) {
        0 => Value::Array((0..count).map(|_| part(numbers)).collect()),
        _ => {
            let members = (0..count).map(|at| {
                let key = format!(
                    "{}{}",
                    KEYS[numbers.below(KEYS.len())],
                    ["", "_a", "_b", "_c", "_d"][at]
                );
                (key, part(numbers))
            });
            Value::Object(members.collect())
        }
    }
}

/// All texts in `value`, also those that are encoded in others.
fn texts(value: &Value, depth: usize, all: &mut Vec<String>) {
    match value {
        Value::Array(parts) => parts.iter().for_each(|part| texts(part, depth, all)),
        Value::Object(members) => members.values().for_each(|part| texts(part, depth, all)),
        Value::String(text) => {
            all.push(text.replace('\u{200b}', ""));
            if depth < 4 {
                if let Ok(inner) = serde_json::from_str::<Value>(text) {
                    texts(&inner, depth + 1, all);
                }
                if let Some(inner) = STANDARD
                    .decode(text)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                {
                    texts(&Value::String(inner), depth + 1, all);
                }
            }
        }
        Value::Number(number) => all.push(number.to_string()),
        Value::Bool(_) | Value::Null => {}
    }
}

/// Parts of `value` that must not be left: the whole of it, and where it is long all that is longer than chance.
fn parts_of(value: &str) -> Vec<&str> {
    const LONG: usize = 16;
    if value.len() < LONG || !value.is_ascii() {
        return vec![value];
    }
    (0..=value.len() - LONG)
        .filter_map(|at| value.get(at..at + LONG))
        .collect()
}

#[test]
fn random_documents_with_planted_values_are_masked_and_nothing_else_is() {
    let count = std::env::var("PORTCULLIS_MASKED_DOCUMENTS").map_or(1_500, |count| count.parse().unwrap());
    let scanner = Scanner::new(Rules::built_in().unwrap()).unwrap();
    let known = planted(&scanner);
    let key = HashKey::new(b"a key");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut values, mut left) = (0_usize, Vec::new());
    for order in 0..count {
        let mut chosen = Vec::new();
        for _ in 0..=numbers.below(3) {
            chosen.push(match numbers.below(12) {
                0 => private_key(&mut numbers),
                _ => {
                    let Planted { text, values, is_sure } = &known[numbers.below(known.len())];
                    Planted {
                        text: text.clone(),
                        values: values.clone(),
                        is_sure: *is_sure,
                    }
                }
            });
        }
        let (mut leaves, mut escaped) = (Vec::new(), None);
        for planted in &chosen {
            let (leaf, escapes) = match escaped {
                None => leaf(&mut numbers, planted),
                Some(_) => (json!(planted.text), None),
            };
            leaves.push(leaf);
            escaped = escaped.or(escapes);
        }
        let mut document = document(&mut numbers, &mut leaves, 0);
        // What found no place in it.
        document = json!([document, leaves]);
        let text = document
            .to_string()
            .replace(ESCAPED, escaped.as_deref().unwrap_or_default());
        let found = scanner.scan(text.as_bytes(), Form::Json, &Context::default());
        let how = |finding: &Finding<'_>| match finding.class {
            Class::Card | Class::Iban => Mask::Last4,
            Class::Email | Class::NationalId | Class::ProviderToken | Class::PrivateKey => Mask::Hash(&key),
            _ => Mask::Class,
        };
        let masked = mask(text.as_bytes(), Form::Json, &found, how);
        let read: Value = serde_json::from_slice(&masked).unwrap_or_else(|error| panic!("{order}: {error}: {text}"));
        outside_is_the_same(text.as_bytes(), &masked, &found);
        let mut all = Vec::new();
        texts(&read, 0, &mut all);
        for value in chosen.iter().flat_map(|planted| &planted.values) {
            values += 1;
            if let Some(part) = parts_of(value)
                .iter()
                .find(|part| all.iter().any(|text| text.contains(**part)))
            {
                left.push(format!("{order}: {part} of {value}: {text}"));
            }
        }
        let again = scanner.scan(&masked, Form::Json, &Context::default());
        let twice = mask(&masked, Form::Json, &again, how);
        let moved: Vec<_> = again
            .iter()
            .map(|found| (found.rule, String::from_utf8_lossy(&masked[found.span.clone()])))
            .collect();
        assert!(
            twice == masked,
            "{order}: {moved:?} in {}",
            String::from_utf8_lossy(&masked)
        );
    }
    assert!(
        left.is_empty(),
        "{} of {values} are left:\n{}",
        left.len(),
        left.join("\n")
    );
    println!(
        "figure: {count} documents with {values} planted values: all parse, nothing is left of a value, and no mark is masked again"
    );
}

/// What stands between the findings stands there still, in order.
fn outside_is_the_same(text: &[u8], masked: &[u8], found: &[Finding<'_>]) {
    let mut at = 0;
    let mut rest = masked;
    for span in found
        .iter()
        .map(|found| found.span.clone())
        .chain(std::iter::once(text.len()..text.len()))
    {
        let between = &text[at..span.start.max(at)];
        let begins = memchr::memmem::find(rest, between);
        let begin = begins.unwrap_or_else(|| panic!("`{}` is gone", String::from_utf8_lossy(between)));
        rest = &rest[begin + between.len()..];
        at = span.end;
    }
}
