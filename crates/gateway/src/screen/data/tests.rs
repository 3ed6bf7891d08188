//! What is found in messages and done about it; through the gateway itself, `crates/app/tests/it/screen.rs`.

use super::*;
use crate::policy::{Obligation, ObligationKind};
use serde_json::{Value, json};

const TOKEN: &str = "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";
const CARD: &str = "4539578763621486";
const IBAN: &str = "DE89370400440532013000";
const KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----";

fn handling(kind: ObligationKind, value: &str) -> Handling {
    let value = value.to_owned();
    Handling::of(&[Obligation { kind, value }]).unwrap()
}

fn ready() -> Detectors {
    Detectors::ready(HashKey::new(b"a key")).unwrap()
}

fn results(value: &str) -> Handling {
    handling(ObligationKind::Results, value)
}

fn out(message: &Value, handling: &Handling) -> (Result<Option<Value>, DataError>, Vec<String>) {
    let mut seen = Seen::default();
    let out = ready().outbound(message.to_string().as_bytes(), handling, None, &mut seen);
    let out = out.map(|out| out.map(|out| serde_json::from_slice(&out).unwrap()));
    (out, seen.lines())
}

fn masked(message: &Value) -> Value {
    let (out, _) = out(message, &Handling::STARTER);
    out.unwrap().unwrap_or_else(|| message.clone())
}

fn inward(message: &Value, handling: &Handling) -> (Result<(), DataError>, Vec<String>) {
    let mut seen = Seen::default();
    let looked = ready().inbound(message.to_string().as_bytes(), handling, &Context::default(), &mut seen);
    (looked, seen.lines())
}

fn text_result(text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}})
}

fn call(arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay", "arguments": arguments}})
}

fn spot(class: Class, path: &str) -> Spot {
    Spot {
        class,
        path: path.to_owned(),
    }
}

#[test]
fn the_starter_set_masks_in_results_and_counts_the_rest() {
    let message = json!({"jsonrpc": "2.0", "id": 7, "result": {
        "content": [{"type": "text", "text": format!("{{\"iban\":\"{IBAN}\",\"card\":\"{CARD}\"}}")}],
        "structuredContent": {"rows": [{"iban": IBAN, "email": "ana@bank.example"}, {"iban": IBAN}], "token": TOKEN, "pem": KEY},
        "nextCursor": TOKEN, "_meta": {"progressToken": TOKEN},
    }});
    let (out, seen) = out(&message, &Handling::STARTER);
    let out = out.unwrap().unwrap();
    let mut expected = message.clone();
    expected["result"]["content"][0]["text"] = json!("{\"iban\":\"[IBAN:3000]\",\"card\":\"[CARD:1486]\"}");
    expected["result"]["structuredContent"] = json!({
        "rows": [{"iban": "[IBAN:3000]", "email": "ana@bank.example"}, {"iban": "[IBAN:3000]"}],
        "token": "[PROVIDER_TOKEN]", "pem": "[PRIVATE_KEY]",
    });
    assert_eq!(out, expected, "cursor and token of progress stay");
    for line in [
        "IBAN mask 2 /result/structuredContent/rows/*/iban",
        "IBAN mask 1 /result/content/*/text",
        "EMAIL pass 1 /result/structuredContent/rows/*/email",
        "PROVIDER_TOKEN pass 1 /result/nextCursor",
    ] {
        assert!(seen.iter().any(|seen| seen == line), "{line}: {seen:?}");
    }
    assert!(seen.last().unwrap().contains(" pass "), "{seen:?}");
    let told = seen.join("\n");
    for value in [TOKEN, CARD, IBAN, "ana@bank.example"] {
        assert!(!told.contains(value), "{told}");
    }
}

#[test]
fn disguises_do_not_help_and_look_alikes_stay() {
    use base64::Engine as _;
    let wrapped = base64::engine::general_purpose::STANDARD.encode(format!("iban: {IBAN}"));
    let escaped: String = CARD.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    for text in [
        format!("key {KEY}"),
        format!("payload: {wrapped}"),
        json!(format!("card {CARD}")).to_string(),
        "pay to IBAN DE89 3704\u{200b} 0044 0532 0130 00 now".to_owned(),
    ] {
        let out = masked(&text_result(&text)).to_string();
        for value in ["MIGHAgEAMBMG", &wrapped, CARD, "0532"] {
            assert!(!out.contains(value), "{text}: {out}");
        }
    }
    let raw = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"structuredContent":{{"card":"{escaped}"}}}}}}"#);
    let mut seen = Seen::default();
    let out = ready().outbound(raw.as_bytes(), &Handling::STARTER, None, &mut seen);
    let out: Value = serde_json::from_slice(&out.unwrap().unwrap()).unwrap();
    assert_eq!(out["result"]["structuredContent"]["card"], "[CARD]");
    for text in [
        "order number 4539578763621487 of 2026-11-27",
        "3f2b8c1e-9d4a-4c7b-8e21-5a6b7c8d9e0f",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 5ddb28c4a1b2c3d4e5f60718293a4b5c6d7e8f90, build 20261127.4, ${PASSWORD}",
    ] {
        let message = text_result(text);
        assert_eq!(masked(&message), message, "{text}");
    }
}

#[test]
fn policy_says_what_is_done_by_class() {
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"iban": IBAN, "mail": "ana@bank.example"}}});
    assert_eq!(out(&message, &results("IBAN pass")).0, Ok(None));
    let (masked, _) = out(&message, &results("personal mask"));
    assert_eq!(
        masked.unwrap().unwrap()["result"]["structuredContent"],
        json!({"iban": "[IBAN:3000]", "mail": "[EMAIL]"})
    );
    let (masked, _) = out(&message, &handling(ObligationKind::Redact, ""));
    assert_eq!(
        masked.unwrap().unwrap()["result"]["structuredContent"]["iban"],
        "[IBAN]"
    );
    let (withheld, seen) = out(&message, &results("EMAIL withhold"));
    assert_eq!(
        withheld,
        Err(DataError::Withheld(spot(
            Class::Email,
            "/result/structuredContent/mail"
        )))
    );
    assert!(
        seen.contains(&"EMAIL withhold 1 /result/structuredContent/mail".to_owned()),
        "{seen:?}"
    );
}

#[test]
fn a_key_that_holds_something_is_masked_and_not_told() {
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {TOKEN: {"card": CARD}}}});
    let (out, seen) = out(&message, &Handling::STARTER);
    assert_eq!(
        out.unwrap().unwrap()["result"]["structuredContent"],
        json!({"[PROVIDER_TOKEN]": {"card": "[CARD:1486]"}})
    );
    assert!(!seen.join(" ").contains(TOKEN), "{seen:?}");
    // Two that become one.
    let other = "ghp_6Tkl5xOKTiJ2z7nZW5phJtfhUItGqXNGhfqXtlI";
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {TOKEN: 1, other: 2}}});
    let (out, _) = super::tests::out(&message, &Handling::STARTER);
    assert!(matches!(out, Err(DataError::Withheld(_))), "{out:?}");
}

#[test]
fn base64_stays_base64_or_does_not_go() {
    use base64::Engine as _;
    let letters = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let resource = |blob: &str| {
        json!({"jsonrpc": "2.0", "id": 1, "result": {"contents": [
            {"uri": "file:///a", "blob": blob}, {"uri": "file:///b", "text": format!("card {CARD}")},
        ]}})
    };
    let (out, _) = out(
        &resource(&letters(format!("{{\"iban\":\"{IBAN}\",\"n\":1}}").as_bytes())),
        &Handling::STARTER,
    );
    let out = out.unwrap().unwrap();
    let blob = out["result"]["contents"][0]["blob"].as_str().unwrap();
    let decoded = base64::engine::general_purpose::STANDARD.decode(blob).unwrap();
    assert_eq!(decoded, br#"{"iban":"[IBAN:3000]","n":1}"#);
    assert_eq!(
        out["result"]["contents"][1]["text"], "card [CARD:1486]",
        "what follows is masked where it stands"
    );
    // What is no Base64 at all.
    let (withheld, _) = super::tests::out(&resource(TOKEN), &Handling::STARTER);
    assert!(matches!(withheld, Err(DataError::Withheld(_))), "{withheld:?}");
    let image: Vec<u8> = (0..=255_u8).cycle().take(4_000).collect();
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [
        {"type": "image", "mimeType": "image/png", "data": letters(&image)},
    ]}});
    assert_eq!(masked(&message), message);
}

#[test]
fn base64_of_the_protocol_is_looked_into_however_short_or_long_it_is() {
    use base64::Engine as _;
    let letters = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let long = format!("{} card {CARD}", "nothing to see here. ".repeat(40_000));
    for (text, clean) in [
        ("pin: 4711".to_owned(), "pin: [PASSWORD]".to_owned()),
        (format!("CC {CARD}"), "CC [CARD:1486]".to_owned()),
        (long.clone(), long.replace(CARD, "[CARD:1486]")),
    ] {
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [
            {"type": "audio", "mimeType": "audio/wav", "data": letters(&text)},
            {"type": "resource", "resource": {"uri": "file:///a", "blob": letters(&text)}},
        ], "structuredContent": {"data": "ZGF0YQ=="}}});
        let (out, seen) = out(&message, &Handling::STARTER);
        let mut expected = message.clone();
        expected["result"]["content"][0]["data"] = json!(letters(&clean));
        expected["result"]["content"][1]["resource"]["blob"] = json!(letters(&clean));
        assert_eq!(out.unwrap().unwrap(), expected, "{}", text.len());
        assert!(
            seen.iter().any(|line| line.ends_with("1 /result/content/*/data")),
            "{seen:?}"
        );
    }
    // A key that is written with an escape is the same key.
    let raw = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"contents":[{{"uri":"a:b","bl\u006fb":"{}"}}]}}}}"#,
        letters(&format!("CC {CARD}"))
    );
    let mut seen = Seen::default();
    let out = ready().outbound(raw.as_bytes(), &Handling::STARTER, None, &mut seen);
    let out: Value = serde_json::from_slice(&out.unwrap().unwrap()).unwrap();
    assert_eq!(out["result"]["contents"][0]["blob"], letters("CC [CARD:1486]"));
    // And towards a server.
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"role": "assistant", "model": "m", "content": {
        "type": "audio", "mimeType": "audio/wav", "data": letters("pin: 4711"),
    }}});
    let (refused, _) = inward(&answer, &Handling::STARTER);
    assert_eq!(
        refused,
        Err(DataError::Refused(spot(Class::Password, "/result/content/data")))
    );
}

#[test]
fn arguments_are_refused_by_class_and_path_and_never_rewritten() {
    let (refused, seen) = inward(
        &call(&json!({"list": [{"note": format!("use {TOKEN}")}]})),
        &Handling::STARTER,
    );
    assert_eq!(
        refused,
        Err(DataError::Refused(spot(
            Class::ProviderToken,
            "/params/arguments/list/0/note"
        )))
    );
    assert_eq!(seen, ["PROVIDER_TOKEN refuse 1 /params/arguments/list/*/note"]);
    let personal = call(&json!({"iban": IBAN, "card": CARD, "email": "ana@bank.example"}));
    let (passed, seen) = inward(&personal, &Handling::STARTER);
    assert_eq!(passed, Ok(()));
    assert_eq!(seen.len(), 3, "{seen:?}");
    let arguments = |value| handling(ObligationKind::Arguments, value);
    assert_eq!(
        inward(&call(&json!({"a": TOKEN})), &arguments("PROVIDER_TOKEN pass")).0,
        Ok(())
    );
    let (refused, _) = inward(&personal, &arguments("IBAN refuse"));
    assert_eq!(
        refused,
        Err(DataError::Refused(spot(Class::Iban, "/params/arguments/iban")))
    );
    // What the server gave and wants back is its own.
    let mut resumed = call(&json!({}));
    resumed["params"]["requestState"] = json!(TOKEN);
    resumed["params"]["_meta"] = json!({"progressToken": "[CARD]"});
    assert_eq!(inward(&resumed, &Handling::STARTER).0, Ok(()));
}

#[test]
fn what_is_declared_goes_to_its_server_and_nothing_beside_it() {
    let looked = |message: &Value| {
        let mut seen = Seen::default();
        let is_declared = |value: &[u8]| value == TOKEN.as_bytes() || value == "tr0ub4dor/\u{e9}&3".as_bytes();
        let detectors = ready();
        let looked = detectors.inbound(
            message.to_string().as_bytes(),
            &Handling::STARTER,
            &Context::default().exempting(&is_declared),
            &mut seen,
        );
        (looked, seen.lines())
    };
    let (passed, seen) = looked(&call(
        &json!({"auth": {"token": TOKEN}, "note": format!("use {TOKEN} for it")}),
    ));
    assert_eq!(passed, Ok(()));
    assert_eq!(
        seen,
        [
            "PROVIDER_TOKEN declared 1 /params/arguments/auth/token",
            "PROVIDER_TOKEN declared 1 /params/arguments/note",
        ]
    );
    assert_eq!(looked(&call(&json!({"password": "tr0ub4dor/\u{e9}&3"}))).0, Ok(()));
    let other = "ghp_6Tkl5xOKTiJ2z7nZW5phJtfhUItGqXNGhfqXtlI";
    for arguments in [
        json!({"a": TOKEN, "b": other}),
        json!({"a": format!("{TOKEN} {other}")}),
        json!({"password": "tr0ub4dor/\u{e9}&4"}),
    ] {
        let (refused, seen) = looked(&call(&arguments));
        assert!(matches!(refused, Err(DataError::Refused(_))), "{arguments}: {seen:?}");
    }
    // A mark is never declared.
    let marked = looked(&call(&json!({"a": TOKEN, "b": "[PASSWORD]"}))).0;
    assert_eq!(
        marked,
        Err(DataError::Marked(spot(Class::Password, "/params/arguments/b")))
    );
}

#[test]
fn a_mark_of_ours_does_not_go_to_a_server() {
    for (text, class) in [("pay to [IBAN:3000]", Class::Iban), ("[PASSWORD]", Class::Password)] {
        let message = call(&json!({"a": ["x", text]}));
        let (refused, seen) = inward(&message, &Handling::STARTER);
        assert_eq!(refused, Err(DataError::Marked(spot(class, "/params/arguments/a/1"))));
        assert_eq!(seen, [format!("{class} mark 1 /params/arguments/a/*")]);
        let passes = handling(ObligationKind::Arguments, "marks pass");
        assert_eq!(inward(&message, &passes).0, Ok(()));
    }
    assert_eq!(
        inward(&call(&json!({"a": "[x] IBAN] [IBAN"})), &Handling::STARTER).0,
        Ok(())
    );
}

#[test]
fn many_findings_are_counted_together() {
    let rows: Vec<Value> = (0..200)
        .map(|at| json!({format!("mail-{at}"): format!("ana{at}@bank.example")}))
        .collect();
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": rows}});
    let (_, seen) = out(&message, &Handling::STARTER);
    assert_eq!(seen.len(), SIGHTINGS_MAX + 1, "{seen:?}");
    assert_eq!(seen.last().unwrap(), &format!("EMAIL pass {} ...", 200 - SIGHTINGS_MAX));
    assert!(
        out(
            &json!({"jsonrpc": "2.0", "id": 1, "result": {"text": "nothing"}}),
            &Handling::STARTER
        )
        .1
        .is_empty()
    );
}

#[test]
fn a_hash_is_the_same_for_the_same_value_and_does_not_come_back() {
    let spaced = "DE89 3704 0044 0532 0130 00";
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {
        "iban": IBAN, "rows": [{"iban": spaced}], "text": format!("from IBAN {IBAN} on"), "card": CARD,
    }}});
    let (hashed, seen) = out(&message, &results("IBAN hash, CARD hash"));
    let hashed = hashed.unwrap().unwrap();
    let structured = &hashed["result"]["structuredContent"];
    let mark = structured["iban"].as_str().unwrap();
    assert!(mark.starts_with("[IBAN:hash:") && mark.len() == 28, "{mark}");
    assert_eq!(structured["rows"][0]["iban"], mark);
    assert_eq!(structured["text"], format!("from IBAN {mark} on"));
    assert_ne!(structured["card"].as_str().unwrap().get(6..), mark.get(6..));
    assert!(
        seen.contains(&"IBAN hash 1 /result/structuredContent/iban".to_owned()),
        "{seen:?}"
    );
    // Again it stays, and a server gets none.
    assert_eq!(out(&hashed, &results("IBAN hash, CARD hash")).0, Ok(None));
    let (refused, _) = inward(&call(&json!({"to": mark})), &Handling::STARTER);
    assert_eq!(
        refused,
        Err(DataError::Marked(spot(Class::Iban, "/params/arguments/to")))
    );
    // No number passes as one.
    let sly =
        json!({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"card": format!("[CARD:hash:{CARD}]")}}});
    assert!(!masked(&sly).to_string().contains(CARD));
}

/// A message that names so many values so often that they cannot all be judged goes neither way.
#[test]
fn what_could_not_be_looked_through_does_not_pass() {
    let often = format!("{}x1\n", "password:".repeat(28)).repeat(400);
    let (passed, _) = inward(&call(&json!({"a": often})), &Handling::STARTER);
    assert_eq!(passed, Err(DataError::TooMuch));
    assert_eq!(out(&text_result(&often), &Handling::STARTER).0, Err(DataError::TooMuch));
    let seldom = format!("{}x1\n", "password:".repeat(2)).repeat(400);
    assert_ne!(
        inward(&call(&json!({"a": seldom})), &Handling::STARTER).0,
        Err(DataError::TooMuch)
    );
}
