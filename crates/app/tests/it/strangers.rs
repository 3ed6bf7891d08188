//! What strangers can make the gateway take of them.

use crate::explain::demo;
use crate::harness::{Answer, exchange, head};

const LARGE: usize = 1 << 20;

/// What a stranger is told.
fn told(answer: Answer) -> (u16, Option<String>, String) {
    let challenge = answer.header("www-authenticate").map(str::to_owned);
    (
        answer.status,
        challenge,
        String::from_utf8(answer.text().unwrap()).unwrap(),
    )
}

#[test]
fn a_large_body_is_taken_of_who_has_a_key_and_the_head_refuses_who_has_none() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let running = demo(state.path());
    let mut wrong = running.key.clone();
    let last = wrong.pop().unwrap();
    wrong.push(if last == 'a' { 'b' } else { 'a' });
    for credential in [None, Some(format!("Bearer {wrong}")), Some("Basic YTpi".to_owned())] {
        let headers = |more: Option<(&str, &str)>| {
            let mut headers = vec![
                ("host", running.address.to_string()),
                ("content-type", "application/json".to_owned()),
                ("accept", "application/json, text/event-stream".to_owned()),
            ];
            headers.extend(credential.clone().map(|credential| ("authorization", credential)));
            headers.extend(more.map(|(name, value)| (name, value.to_owned())));
            let owned = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
            owned.collect::<Vec<_>>()
        };
        let post = |headers: &[(String, String)], declared, body: &[u8]| {
            let head = head("POST /mcp", headers, declared);
            told(exchange(running.address, &head, body).unwrap())
        };
        let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let small = post(&headers(None), Some(ping.len()), ping);
        assert_eq!(small.0, 401, "{small:?}");
        assert!(small.1.is_some() && small.2.contains("hint:"), "{small:?}");
        // Of a large one nothing is sent, and nothing is waited for.
        assert_eq!(post(&headers(None), Some(LARGE), b""), small);
        assert_eq!(
            post(&headers(Some(("expect", "100-continue"))), Some(LARGE), b""),
            small
        );
        let chunked = headers(Some(("transfer-encoding", "chunked")));
        let piece = format!("{:x}\r\n{}\r\n", LARGE / 8, " ".repeat(LARGE / 8));
        assert_eq!(post(&chunked, None, piece.as_bytes()), small);
        // Sent all the same, it is read over.
        assert_eq!(post(&headers(None), Some(LARGE), &vec![b' '; LARGE]), small);
    }
    let padding = " ".repeat(LARGE);
    let members = format!(r#"{padding}"name":"find_customer","arguments":{{"name":"an"}},"#);
    let answer = running.ask("tools/call", Some("find_customer"), &members);
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.text().unwrap()).unwrap();
    assert!(text.contains("structuredContent"), "{text}");
}
