//! Envelopes: the table of malformed ones, and what must pass although it looks odd.

use crate::texts;
use bytes::Bytes;
use portcullis_wire::message::batch;
use portcullis_wire::{Id, Limits, Message, Method, Raw};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

fn parse(text: impl Into<Bytes>) -> Result<Message, portcullis_wire::message::Refused> {
    Message::parse(text.into(), &Limits::default())
}

/// Expands `<<x*n>>` (the text x, n times) and `<<hex xx>>` (bytes) in a case of the table.
fn expand(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("<<") {
        out.extend_from_slice(before.as_bytes());
        let (mark, behind) = behind.split_once(">>").unwrap();
        if let Some(hex) = mark.strip_prefix("hex ") {
            for pair in hex.as_bytes().chunks(2) {
                out.push(u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            }
        } else {
            let (what, times) = mark.rsplit_once('*').unwrap();
            out.extend_from_slice(what.repeat(times.parse().unwrap()).as_bytes());
        }
        rest = behind;
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

#[test]
fn malformed_messages_are_refused_with_code_and_id() {
    let table = include_str!("malformed.jsonl");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty()) {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| case[key].as_str().unwrap_or_else(|| panic!("`{key}` in {line}"));
        cases += 1;
        let refused = match parse(expand(text("text"))) {
            Ok(_) => {
                wrong.push(format!("{}: accepted", text("why")));
                continue;
            }
            Err(refused) => refused,
        };
        let id = refused
            .id
            .map_or(Value::Null, |id| serde_json::from_slice(id.as_json()).unwrap());
        let says = refused.error.message.contains(text("says"));
        if (i64::from(refused.error.code), &id) != (case["code"].as_i64().unwrap(), &case["id"]) || !says {
            wrong.push(format!(
                "{}: {} with id {id}, `{}`",
                text("why"),
                refused.error.code,
                refused.error.message
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 120, "{cases} cases");
}

#[test]
fn odd_messages_that_are_right_pass() {
    for text in [
        "\t{ \"id\" : 1 ,\r\n\"method\":\"a\",\"jsonrpc\":\"2.0\"}\n ",
        r#"{"jsonrpc":"2.0","id":"","method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":-1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":0,"method":"\u0070ing"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"acme/x","params":{"a":1,"a":2}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","vendor":[1e999],"z":"\ud83e\udd80"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/acme"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"},"params":[]}"#,
    ] {
        assert!(parse(text).is_ok(), "{text} {:?}", parse(text));
    }
}

#[test]
fn parts_are_found_where_they_stand() {
    let text = r#" {"id":"é","jsonrpc":"2.0","params":{"id":9} ,"method":"tools\/call","x":{"method":1}}"#;
    let Ok(Message::Request(request)) = parse(text) else {
        panic!("no request");
    };
    assert_eq!(request.method(), &Method::ToolsCall);
    assert_eq!(&text[request.id_at()], "\"é\"");
    assert_eq!(&text[request.params_at().unwrap()], r#"{"id":9}"#);
    assert_eq!(request.params().unwrap().as_str(), r#"{"id":9}"#);
    assert_eq!(request.whole(), text);
}

#[test]
fn an_error_without_an_id_is_given_one() {
    for (text, expected) in [
        (
            r#" { "jsonrpc":"2.0","error":{"code":1} }"#,
            r#" {"id":"x", "jsonrpc":"2.0","error":{"code":1} }"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id": null,"error":{"code":1}}"#,
            r#"{"jsonrpc":"2.0","id": "x","error":{"code":1}}"#,
        ),
    ] {
        let Ok(Message::Response(response)) = parse(text) else {
            panic!("no response");
        };
        assert_eq!(response.id(), None);
        assert_eq!(response.with_id(&Id::string("x")).finish().into_bytes(), expected);
    }
}

#[test]
fn an_id_is_bounded() {
    let max = Limits::default().id_bytes_max;
    let with = |length: usize| {
        parse(format!(
            r#"{{"jsonrpc":"2.0","id":"{}","method":"x"}}"#,
            "i".repeat(length)
        ))
    };
    assert!(with(max - 2).is_ok());
    assert!(with(max - 1).is_err());
}

#[test]
fn batches_are_split_and_bounded() {
    let limits = Limits::default();
    let split = |text: String| batch(&Bytes::from(text), &limits);
    assert!(split(r#"{"jsonrpc":"2.0"}"#.into()).is_none());
    assert!(split("  ".into()).is_none());
    assert_eq!(
        split(" [ {\"a\":1} , 2 ]".into()).unwrap().unwrap(),
        [&b"{\"a\":1}"[..], b"2"]
    );
    assert_eq!(split("[]".into()).unwrap().unwrap_err().error.code, -32600);
    assert_eq!(split("[1,".into()).unwrap().unwrap_err().error.code, -32700);
    let many = |count: usize| split(format!("[{}]", vec!["1"; count].join(",")));
    assert_eq!(many(limits.batch_max).unwrap().unwrap().len(), limits.batch_max);
    assert_eq!(many(limits.batch_max + 1).unwrap().unwrap_err().error.code, -32600);
}

/// The door notes the members of one of `params` and `result`. A server that sends both must not have one read by the members
/// of the other: what is screened would not be what is passed on.
#[test]
fn a_result_is_read_by_its_own_members() {
    use portcullis_wire::Outcome;
    let result = r#""result":{"pad":"xxxxxxxx","isError":true,"_meta":{"a":1}}"#;
    let params = r#""params":{"a":{"isError":false},"isError":false}"#;
    for both in [format!("{result},{params}"), format!("{params},{result}")] {
        let Ok(Message::Response(response)) = parse(format!(r#"{{"jsonrpc":"2.0","id":1,{both}}}"#)) else {
            panic!("{both} is a response");
        };
        let Outcome::Result(result) = response.outcome() else {
            panic!("{both} has a result");
        };
        assert_eq!(
            result.get("isError").and_then(|flag| flag.as_bool()),
            Some(true),
            "{both}"
        );
        assert_eq!(result.get("a"), None, "{both}");
        assert_eq!(result.at(&["_meta", "a"]).and_then(|a| a.as_i64()), Some(1), "{both}");
        assert_eq!(result.members().unwrap().len(), 3, "{both}");
    }
}

#[test]
fn an_ambiguous_meta_is_not_read() {
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"a":1,"\u0061":2},"b":{"_meta":3}}}"#;
    let Ok(Message::Request(request)) = parse(twice) else {
        panic!("carried is not read");
    };
    let params = request.params().unwrap();
    params.check_members().unwrap();
    assert_eq!(params.at(&["_meta", "a"]), None);
    params.get("_meta").unwrap().check_members().unwrap_err();
    let two = r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"a":1},"_meta":{"b":2}}}"#;
    let Ok(Message::Request(request)) = parse(two) else {
        panic!("carried is not read");
    };
    let params = request.params().unwrap();
    assert_eq!(params.get("_meta"), None);
    params.check_members().unwrap_err();
}

/// What the door noted of an object with too many members it forgets, and reads it to the end. Wherever it begins within a
/// block, a pair of surrogates that the block's end parts is one.
#[test]
fn an_object_with_too_many_members_is_read_to_its_end() {
    let pair = "\\ud83d\\ude00";
    let limits = Limits {
        members_max: 4,
        ..Limits::default()
    };
    for padding in 0..64 {
        let padding = " ".repeat(padding);
        let first = pair.repeat(6);
        let params = format!(r#"{{"a":"{first}","b":"{pair}","c":0,"d":0,"e":0}}"#);
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x",{padding}"params":{params}}}"#);
        let Ok(Message::Request(request)) = Message::parse(Bytes::from(text.clone()), &limits) else {
            panic!("refused: {text}");
        };
        let a = request.params().unwrap().get("a").unwrap();
        assert_eq!(a.as_string().as_deref(), Some("\u{1f600}".repeat(6).as_str()), "{text}");
        // Behind them faults are still found.
        let lone = text.replace(&format!("{pair}\","), "\\ude00\",");
        assert_ne!(lone, text);
        Message::parse(Bytes::from(lone), &limits).unwrap_err();
    }
}

proptest! {
    /// Whatever was noted of an object is what a walk finds in it.
    #[test]
    fn what_is_noted_is_what_a_walk_finds(
        object in texts::any_object(),
        padding in 0..600_usize,
        members_max in select(vec![4, 5, 10_000]),
        member in select(vec!["params", "result"]),
    ) {
        let limits = Limits { members_max, ..Limits::default() };
        let method = if member == "params" { r#""method":"x","# } else { "" };
        let padding = " ".repeat(padding);
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,{method}{padding}"{member}":{object}}}"#);
        let noted = match Message::parse(Bytes::from(text), &limits) {
            Ok(Message::Request(request)) => request.params().unwrap().clone(),
            Ok(Message::Response(response)) => response.result().unwrap().clone(),
            other => panic!("{other:?}"),
        };
        let walked = Raw::parse(Bytes::from(object), &limits).unwrap();
        same(&noted, &walked)?;
        let (meta, other) = (noted.get("_meta"), walked.get("_meta"));
        prop_assert_eq!(&meta, &other);
        if let (Some(noted), Some(walked)) = (meta, other) {
            same(&noted, &walked)?;
        }
    }
}

fn same(noted: &Raw, walked: &Raw) -> Result<(), TestCaseError> {
    prop_assert_eq!(noted, walked);
    prop_assert_eq!(noted.members(), walked.members());
    prop_assert_eq!(noted.check_members(), walked.check_members());
    for key in ["id", "method", "params", "_meta", "a", "b", "\\u0061"] {
        prop_assert_eq!(noted.place(key), walked.place(key), "{}", key);
        prop_assert_eq!(noted.get(key), walked.get(key), "{}", key);
    }
    Ok(())
}
