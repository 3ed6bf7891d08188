//! The scanner against serde_json: the same texts pass, but for what we refuse on purpose, and they mean the same.

use crate::texts;
use bytes::Bytes;
use portcullis_wire::json::{self, Kind};
use portcullis_wire::{JsonError, Limits, Raw};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::HashSet;

fn parse(text: &[u8]) -> Result<Raw, JsonError> {
    Raw::parse(Bytes::copy_from_slice(text), &Limits::default())
}

/// Grammar alone: serde_json's skipping reader has no limit on depth, number size or surrogates.
fn oracle_accepts(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

pub(crate) fn agree_on_acceptance(text: &[u8]) {
    let accepted = oracle_accepts(text);
    match parse(text) {
        Ok(_) => assert!(accepted, "only we accept it"),
        Err(JsonError::LoneSurrogate { .. }) => {
            // serde_json refuses it as well, where it builds the string.
            assert!(serde_json::from_slice::<Value>(text).is_err());
        }
        Err(JsonError::Depth { .. }) => {
            let brackets = text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
            assert!(brackets > Limits::default().depth_max);
        }
        Err(error) => assert!(!accepted, "only we refuse it: {error}"),
    }
}

/// Whether any object in `raw` repeats a key.
pub(crate) fn agree_on_meaning(raw: &Raw, value: &Value) -> bool {
    match (raw.kind(), value) {
        (Kind::Null, Value::Null) => false,
        (Kind::Bool, Value::Bool(bool)) => {
            assert_eq!(raw.as_bool(), Some(*bool));
            false
        }
        (Kind::Number, Value::Number(number)) => {
            let text = raw.as_str();
            // Near the halves of an epsilon the two readers of decimals may differ by one bit.
            let (ours, theirs) = (text.parse::<f64>().unwrap(), number.as_f64().unwrap());
            assert!((ours - theirs).abs() <= ours.abs() * 1e-15, "{text} {number}");
            if text != "-0" && !text.contains(['.', 'e', 'E']) {
                assert_eq!(raw.as_i64(), number.as_i64());
            }
            false
        }
        (Kind::String, Value::String(string)) => {
            assert_eq!(raw.as_string().as_deref(), Some(string.as_str()));
            // What we write reads back as what it was, for both.
            let written = json::string(string);
            assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), *string);
            assert_eq!(parse(&written).unwrap().as_string().unwrap(), string.as_str());
            false
        }
        (Kind::Array, Value::Array(values)) => {
            let elements = raw.elements();
            assert_eq!(elements.len(), values.len());
            // No short cut: each element is compared.
            elements
                .iter()
                .zip(values)
                .map(|(element, value)| agree_on_meaning(element, value))
                .fold(false, |a, b| a | b)
        }
        (Kind::Object, Value::Object(values)) => {
            let members = match raw.members() {
                Ok(members) => members,
                Err(JsonError::DuplicateKey { .. }) => {
                    assert!(raw.refuse_duplicates().is_err());
                    return true;
                }
                Err(error) => panic!("{error}"),
            };
            let mut keys = HashSet::new();
            let mut repeated = false;
            for member in &members {
                let key = format!("\"{}\"", &raw.as_str()[member.key.clone()]);
                let key: String = serde_json::from_str(&key).unwrap();
                let text = raw.bytes().slice(member.value.clone());
                let found = raw.get(&key).unwrap();
                assert_eq!(found.as_bytes(), &text);
                repeated |= agree_on_meaning(&found, &values[&key]);
                assert!(keys.insert(key));
            }
            assert_eq!(keys.len(), values.len());
            assert!(raw.get("no such key").is_none() || values.contains_key("no such key"));
            repeated
        }
        (kind, value) => panic!("{kind:?} is not {value:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn valid_texts_pass_and_mean_the_same(text in texts::text()) {
        let raw = parse(text.as_bytes()).unwrap();
        prop_assert_eq!(raw.as_str(), text.trim_matches([' ', '\t', '\n', '\r']));
        let value: Value = serde_json::from_str(&text).unwrap();
        let repeated = agree_on_meaning(&raw, &value);
        prop_assert_eq!(raw.refuse_duplicates().is_err(), repeated);
    }

    #[test]
    fn damaged_texts_get_the_same_verdict(text in texts::damaged()) {
        agree_on_acceptance(&text);
    }

    #[test]
    fn soup_gets_the_same_verdict(text in texts::soup()) {
        agree_on_acceptance(&text);
    }

    #[test]
    fn any_string_is_written_as_json(text in any::<String>()) {
        let written = json::string(&text);
        prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text.clone());
        let raw = parse(&written).unwrap();
        prop_assert_eq!(raw.as_string().unwrap(), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn large_texts_pass_and_mean_the_same(text in texts::large()) {
        let raw = parse(text.as_bytes()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let repeated = agree_on_meaning(&raw, &value);
        prop_assert_eq!(raw.refuse_duplicates().is_err(), repeated);
    }

    #[test]
    fn large_damaged_texts_get_the_same_verdict(text in texts::large_damaged()) {
        agree_on_acceptance(&text);
    }

    #[test]
    fn what_looks_like_numbers_gets_the_same_verdict(
        numbers in prop::collection::vec("-?[0-9.eE+-]{1,12}|-?[0-9]{1,9}[.][0-9]{0,9}", 1..40),
    ) {
        for number in &numbers {
            agree_on_acceptance(number.as_bytes());
        }
        agree_on_acceptance(format!("[{}]", numbers.join(",")).as_bytes());
    }
}

/// Most numbers are judged eight bytes at a time, where as many follow.
#[test]
fn all_short_numbers_get_the_same_verdict() {
    let mut numbers = vec![String::new()];
    for length in 1..=5 {
        let longer = |number: &String| ["0", "7", "-", ".", "e", "+"].map(|next| format!("{number}{next}"));
        numbers = numbers.iter().flat_map(longer).collect();
        assert_eq!(numbers.len(), 6_usize.pow(length));
        for number in &numbers {
            agree_on_acceptance(number.as_bytes());
            agree_on_acceptance(format!("[{number}, 1234567]").as_bytes());
        }
    }
    for behind in 0..=255_u8 {
        for value in [
            "7", "70", "0.5", "-3", "1234567", "12345678", "1.345678", "1e5", "true", "false", "null",
        ] {
            agree_on_acceptance(&[b"[", value.as_bytes(), &[behind], b"]        "].concat());
            agree_on_acceptance(&[value.as_bytes(), &[behind]].concat());
        }
    }
}

/// Wherever the blocks and runs of blocks are cut.
#[test]
fn every_cut_and_every_wrong_byte_gets_the_same_verdict() {
    let text = r#"{"a":[1,-2.5e3,true,{}],"b\\":"x\"\n\u00e9", "c" : null , "d":{"e":[ ],"f":[false,"",[0.25]]}}"#;
    for padding in [0, 17, 40, 63, 64, 430, 470, 500] {
        let whole = [" ".repeat(padding).as_str(), text].concat().into_bytes();
        for at in padding..whole.len() {
            agree_on_acceptance(&whole[..at]);
            for byte in *b"\"\\{}[]:, \t\n\x0b\x00\x7f\x8001.-eEtfnu/_" {
                let mut wrong = whole.clone();
                wrong[at] = byte;
                agree_on_acceptance(&wrong);
                wrong.insert(at, whole[at]);
                agree_on_acceptance(&wrong);
            }
        }
    }
}

#[test]
fn each_byte_alone_in_a_string_gets_the_same_verdict() {
    for length in 1..24 {
        for at in 0..length {
            for byte in 0..=255 {
                let mut text = vec![b'x'; length + 2];
                text[0] = b'"';
                text[length + 1] = b'"';
                text[at + 1] = byte;
                agree_on_acceptance(&text);
            }
        }
    }
}

#[test]
fn surrogates_come_in_pairs_or_not_at_all() {
    for good in [r#""\ud83e\udd80""#, r#""\uD800\uDC00x""#, r#""\udbff\udfff""#] {
        assert!(parse(good.as_bytes()).is_ok(), "{good}");
    }
    for bad in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud83e\\udd80""#,
        r#"{"\ud800":1}"#,
        r#"[["\udfff"]]"#,
    ] {
        let error = parse(bad.as_bytes()).unwrap_err();
        assert!(matches!(error, JsonError::LoneSurrogate { .. }), "{bad} {error}");
    }
}

#[test]
fn depth_is_bounded_exactly() {
    let nest = |depth: usize, open: &str, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let max = Limits::default().depth_max;
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let levels = open.matches(['[', '{']).count();
        assert!(parse(nest(max / levels, open, close).as_bytes()).is_ok());
        let error = parse(nest(max / levels + 1, open, close).as_bytes()).unwrap_err();
        assert!(matches!(error, JsonError::Depth { max: 128, .. }), "{error}");
    }
    // A caller's larger limit ends at the ceiling.
    let limits = Limits {
        depth_max: usize::MAX,
        ..Limits::default()
    };
    let deep = |depth| Raw::parse(Bytes::from(nest(depth, "[", "]")), &limits);
    assert!(deep(Limits::DEPTH_CEILING).is_ok());
    assert!(deep(Limits::DEPTH_CEILING + 1).is_err());
    assert!(deep(1_000_000).is_err());
}

#[test]
fn length_is_bounded_exactly() {
    let limits = Limits {
        message_bytes_max: 8,
        ..Limits::default()
    };
    assert!(Raw::parse(Bytes::from_static(b"\"123456\""), &limits).is_ok());
    assert_eq!(
        Raw::parse(Bytes::from_static(b"\"123456\" "), &limits),
        Err(JsonError::TooLong { bytes: 9, max: 8 })
    );
}

#[test]
fn duplicates_are_found_by_meaning_however_wide_or_deep() {
    let duplicate = |key: &str| Err(JsonError::DuplicateKey { key: key.into() });
    let own = |text: String| Raw::own(Bytes::from(text)).unwrap();
    assert_eq!(own(r#"{"a":1,"a":2}"#.into()).members(), duplicate("a"));
    assert_eq!(own(r#"{"a":1,"\u0061":2}"#.into()).members(), duplicate("a"));
    let wide = |last: &str| {
        let members: Vec<_> = (0..5000).map(|n| format!("\"k{n}\":{n}")).collect();
        own(format!("{{{},\"{last}\":0}}", members.join(",")))
    };
    assert_eq!(wide("z").members().unwrap().len(), 5001);
    assert_eq!(wide("k4999").members(), duplicate("k4999"));
    assert_eq!(wide("\\u006b0").members(), duplicate("k0"));
    assert_eq!(wide("k0").get("k1").unwrap().as_bytes(), b"1");
    assert!(wide("k0").get("k0").is_none());
    let deep = |inner: &str| own(format!("{}{inner}{}", "[{\"a\":".repeat(50), "}]".repeat(50)));
    assert_eq!(
        deep(r#"{"x":[],"x":0}"#).refuse_duplicates().map(|()| Vec::new()),
        duplicate("x")
    );
    assert!(deep(r#"{"x":[],"y":0}"#).refuse_duplicates().is_ok());
    assert!(deep("1").refuse_duplicates().is_ok());
    let limit = Limits::default().members_max;
    let members: Vec<_> = (0..=limit).map(|n| format!("\"{n}\":0")).collect();
    let too_many = own(format!("[{{{}}}]", members.join(",")));
    assert_eq!(
        too_many.elements()[0].members(),
        Err(JsonError::TooManyMembers { max: limit })
    );
    assert_eq!(
        too_many.refuse_duplicates(),
        Err(JsonError::TooManyMembers { max: limit })
    );
}

/// `\/` names `/`, and a key that reads as `\/` is written `\\/`: what is sought is compared with what a key means.
#[test]
fn a_key_that_looks_like_an_escape_is_not_found_by_how_another_is_written() {
    let text = r#"{"\\\/":1,"\/":2}"#;
    for object in [
        Raw::own(Bytes::from_static(text.as_bytes())).unwrap(),
        parse(text.as_bytes()).unwrap(),
    ] {
        assert_eq!(object.get(r"\/").unwrap().as_bytes(), b"1");
        assert_eq!(object.get("/").unwrap().as_bytes(), b"2");
        assert_eq!(object.get(r"\\\/"), None);
    }
    let one = parse(br#"{"\/":2}"#).unwrap();
    assert_eq!(one.get(r"\/"), None);
    assert_eq!(json::member(one.as_bytes(), 0, r"\/"), Ok(None));
}

#[test]
fn readers_of_the_wrong_type_find_nothing() {
    let own = |text: &'static str| Raw::own(Bytes::from_static(text.as_bytes())).unwrap();
    assert_eq!(own("[1]").members(), Err(JsonError::NotAnObject));
    assert!(own("[1]").get("a").is_none());
    assert!(own("{}").elements().is_empty());
    assert!(own("1").as_string().is_none());
    assert!(own("\"1\"").as_i64().is_none());
    assert!(own("1.0").as_i64().is_none());
    assert!(own("9223372036854775808").as_i64().is_none());
    assert_eq!(own("-9223372036854775808").as_i64(), Some(i64::MIN));
    assert!(own("\"true\"").as_bool().is_none());
    assert_eq!(own(r#"{"a":{"b":[7]}}"#).at(&["a", "b"]).unwrap().as_bytes(), b"[7]");
    assert!(own(r#"{"a":{"b":[7]}}"#).at(&["a", "c"]).is_none());
}

#[test]
fn a_value_does_not_print_itself() {
    let secret = Raw::own(Bytes::from_static(b"\"secret\"")).unwrap();
    assert_eq!(format!("{secret:?}"), "Raw(8 bytes)");
}

#[test]
fn the_type_of_a_member_is_that_of_its_value() {
    let object = parse(br#" { "a": {}, "b":[], "c" : "", "d":-1, "e":true, "f":null, "g":1, "\u0061":2 }"#).unwrap();
    for key in ["b", "c", "d", "e", "f", "absent", "a"] {
        assert_eq!(object.kind_of(key), object.get(key).map(|value| value.kind()), "{key}");
    }
    assert_eq!(parse(br#"{"a":{},"b":[]}"#).unwrap().kind_of("b"), Some(Kind::Array));
    assert_eq!(parse(b"[]").unwrap().kind_of("a"), None);
}
