//! Any bytes, masked where the scanner found something, and where chance says: JSON stays JSON, what lies outside stays as it is,
//! no mark is masked again, and what is masked again and again comes to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_guards::HashKey;
use portcullis_guards::mask::{Mask, Whole, marks, mask};
use portcullis_guards::scan::{Class, Confidence, Context, Finding, Form, Rules, Scanner};
use serde_json::Value;
use std::sync::LazyLock;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let rules = Rules::built_in().expect("tested");
    Scanner::new(rules).expect("tested")
});

static HASH_KEY: LazyLock<HashKey> = LazyLock::new(|| HashKey::new(b"a key"));

/// So often a text is masked until nothing changes.
const ROUNDS_MAX: usize = 64;

fuzz_target!(|input: &[u8]| {
    let is_json = serde_json::from_slice::<Value>(input).is_ok();
    let findings = SCANNER.scan(input, Form::Json, &Context::default()).into_vec();
    let chance = by_chance(input);
    if is_json {
        for findings in [&findings, &chance] {
            let whole = Mask::Whole(Whole::Text("\"".to_owned()));
            let masked = mask(input, Form::Json, findings, |_| whole.clone());
            let read = serde_json::from_slice::<Value>(&masked);
            assert!(read.is_ok(), "{}", String::from_utf8_lossy(&masked));
        }
    }
    for how in [Mask::Class, Mask::Last4, Mask::Hash(&HASH_KEY)] {
        for form in [Form::Text, Form::Json] {
            if form == Form::Json && !is_json {
                continue;
            }
            for findings in [&findings, &chance] {
                let masked = mask(input, form, findings, |_| how.clone());
                if form == Form::Json {
                    let read = serde_json::from_slice::<Value>(&masked);
                    assert!(read.is_ok(), "{}", String::from_utf8_lossy(&masked));
                }
                outside_is_the_same(input, &masked, form, findings);
            }
            let mut masked = mask(input, form, &findings, |_| how.clone());
            for round in 0.. {
                let again = SCANNER.scan(&masked, form, &Context::default());
                let twice = mask(&masked, form, &again, |_| how.clone());
                if twice == masked {
                    break;
                }
                // A key's second value, say: the first is looked for alone, and behind a mark the next.
                let shown = || format!("{}\n{again:?}", String::from_utf8_lossy(&masked));
                assert!(marks(&masked).all(|mark| is_beside(&again, mark.1)), "{}", shown());
                assert!(round < ROUNDS_MAX, "{}", shown());
                masked = twice;
            }
        }
    }
});

/// Whether no finding covers the mark that begins at `mark`.
fn is_beside(findings: &[Finding<'_>], mark: usize) -> bool {
    findings.iter().all(|finding| !finding.span.contains(&mark))
}

/// Spans anywhere, in order and out of it, that end and begin between characters; the same for the same text.
fn by_chance(text: &[u8]) -> Vec<Finding<'static>> {
    let mut state = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % bound
    };
    let whole = |mut at: usize| {
        while text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80) {
            at += 1;
        }
        at
    };
    let count = below(5);
    let spans = (0..count).map(|_| {
        let start = below(text.len() + 1);
        let end = start + below(40);
        whole(start)..whole(end.min(text.len()))
    });
    spans
        .map(|span| Finding {
            class: Class::Card,
            rule: "chance",
            confidence: Confidence::Sure,
            span,
            is_exempt: false,
        })
        .collect()
}

/// What stands between the findings stands there still, in order. In JSON a number is replaced whole, and so is an escape.
fn outside_is_the_same(text: &[u8], masked: &[u8], form: Form, findings: &[Finding<'_>]) {
    let mut spans: Vec<_> = findings.iter().map(|found| found.span.clone()).collect();
    spans.sort_by_key(|span| (span.start, span.end));
    spans.push(text.len()..text.len());
    let is_of_neighbour = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'\\' | b'"');
    let (mut at, mut rest) = (0, masked);
    for span in spans {
        let mut between = text.get(at..span.start).unwrap_or_default();
        if form == Form::Json {
            // The escape that a finding ends in, `\/` too.
            let is_cut = at.checked_sub(1).and_then(|last| text.get(last)) == Some(&b'\\');
            between = between.strip_prefix(b"/").filter(|_| is_cut).unwrap_or(between);
            let begin = between.iter().take_while(|byte| is_of_neighbour(byte)).count();
            between = &between[begin..];
            let end = between.iter().rev().take_while(|byte| is_of_neighbour(byte)).count();
            between = &between[..between.len() - end];
        }
        let place = rest.windows(between.len().max(1)).position(|window| window == between);
        let place = match between.is_empty() {
            true => 0,
            false => place.unwrap_or_else(|| panic!("`{}` is gone", String::from_utf8_lossy(between))),
        };
        rest = &rest[place + between.len()..];
        at = at.max(span.end);
    }
}
