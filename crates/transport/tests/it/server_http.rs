//! The HTTP server over real sockets: statuses, eras, streams, resumption, limits, drain.

use crate::server_script::{
    Client, META, NEWS, POST_HEADERS, bare, call, initialize, legacy_call, limits, modern_post, post, serve, until,
    within,
};
use portcullis_transport::server::Options;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const MODERN: &str = "MCP-Protocol-Version: 2026-07-28\r\n";

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#)
}

#[tokio::test]
async fn http_says_its_own_statuses() {
    let (_server, address, _) = serve(Options::default());
    let list = request("tools/list", &format!("{{{META}}}"));
    let headers = format!("{MODERN}Mcp-Method: tools/list\r\n");
    let good = modern_post(&headers, &list);
    let json = "Content-Type: application/json\r\n";
    let with = |extra: &str| modern_post(&format!("{headers}{extra}"), &list);
    let host = |host: &str| good.replace("Host: localhost", host);
    let cases: Vec<(&str, String, u16)> = vec![
        ("good", good.clone(), 200),
        (
            "a virtual endpoint",
            post("/mcp/bank.v-1_x", &format!("{POST_HEADERS}{headers}"), &list),
            200,
        ),
        ("another path", post("/other", POST_HEADERS, &list), 404),
        ("an endpoint with a slash", post("/mcp/a/b", POST_HEADERS, &list), 404),
        (
            "an endpoint that is a dot segment",
            post("/mcp/..", POST_HEADERS, &list),
            404,
        ),
        ("an encoded endpoint", post("/mcp/b%61nk", POST_HEADERS, &list), 404),
        (
            "an endpoint that is too long",
            post(&format!("/mcp/{}", "a".repeat(65)), POST_HEADERS, &list),
            404,
        ),
        ("no verb of ours", bare("PUT", "/mcp", ""), 405),
        ("options", bare("OPTIONS", "/mcp", ""), 204),
        ("alive", bare("GET", "/healthz", ""), 200),
        ("ready", bare("GET", "/readyz", ""), 200),
        (
            "alive is read only",
            bare("POST", "/healthz", "Content-Length: 0\r\n"),
            405,
        ),
        (
            "a modern GET",
            bare("GET", "/mcp", &format!("{MODERN}Accept: text/event-stream\r\n")),
            405,
        ),
        ("a modern DELETE", bare("DELETE", "/mcp", MODERN), 405),
        (
            "a GET with an unknown version",
            bare("GET", "/mcp", "MCP-Protocol-Version: 1\r\nAccept: */*\r\n"),
            400,
        ),
        (
            "a GET that wants no events",
            bare("GET", "/mcp", "Accept: application/json\r\n"),
            406,
        ),
        (
            "a GET without a session",
            bare("GET", "/mcp", "Accept: text/event-stream\r\n"),
            400,
        ),
        (
            "a GET of an unknown session",
            bare("GET", "/mcp", "Accept: text/event-stream\r\nMcp-Session-Id: x\r\n"),
            404,
        ),
        ("a DELETE without a session", bare("DELETE", "/mcp", ""), 400),
        (
            "a session id with a space in it",
            bare("DELETE", "/mcp", "Mcp-Session-Id: a b\r\n"),
            400,
        ),
        (
            "two session ids",
            bare("DELETE", "/mcp", "Mcp-Session-Id: a\r\nMcp-Session-Id: b\r\n"),
            400,
        ),
        ("no content type", post("/mcp", "Accept: */*\r\n", &list), 415),
        (
            "text",
            post("/mcp", "Content-Type: text/plain\r\nAccept: */*\r\n", &list),
            415,
        ),
        (
            "JSON in UTF-16",
            post(
                "/mcp",
                "Content-Type: application/json; charset=utf-16\r\nAccept: */*\r\n",
                &list,
            ),
            415,
        ),
        (
            "JSON in UTF-8",
            post(
                "/mcp",
                &format!("content-type: Application/JSON; charset=\"UTF-8\"\r\nAccept: */*\r\n{headers}"),
                &list,
            ),
            200,
        ),
        ("a compressed body", with("Content-Encoding: gzip\r\n"), 415),
        ("a body as it is", with("Content-Encoding: identity\r\n"), 200),
        (
            "JSON only",
            post("/mcp", &format!("{json}Accept: application/json\r\n{headers}"), &list),
            406,
        ),
        (
            "events only",
            post("/mcp", &format!("{json}Accept: text/event-stream\r\n{headers}"), &list),
            406,
        ),
        (
            "events refused by weight",
            post(
                "/mcp",
                &format!("{json}Accept: */*, text/event-stream;q=0\r\n{headers}"),
                &list,
            ),
            406,
        ),
        (
            "both as the protocol writes them, and the one refused in a second header",
            post(
                "/mcp",
                &format!(
                    "{json}Accept: application/json, text/event-stream\r\nAccept: text/event-stream;q=0\r\n{headers}"
                ),
                &list,
            ),
            406,
        ),
        (
            "each in a header of its own",
            post(
                "/mcp",
                &format!("{json}Accept: application/json\r\nAccept: text/event-stream\r\n{headers}"),
                &list,
            ),
            200,
        ),
        (
            "both the other way round",
            post(
                "/mcp",
                &format!("{json}Accept: text/event-stream,application/json\r\n{headers}"),
                &list,
            ),
            200,
        ),
        (
            "anything",
            post("/mcp", &format!("{json}Accept: */*\r\n{headers}"), &list),
            200,
        ),
        (
            "groups",
            post(
                "/mcp",
                &format!("{json}Accept: application/*;q=0.5, text/*\r\n{headers}"),
                &list,
            ),
            200,
        ),
        ("no accept", post("/mcp", &format!("{json}{headers}"), &list), 200),
        (
            "accept in two headers",
            post(
                "/mcp",
                &format!("{json}Accept: application/json\r\nAccept: text/event-stream\r\n{headers}"),
                &list,
            ),
            200,
        ),
        (
            "a token in the query",
            post("/mcp?access_token=abc", &format!("{POST_HEADERS}{headers}"), &list),
            400,
        ),
        (
            "a token in the query, disguised",
            post("/mcp?x=1&API%5Fkey=abc", &format!("{POST_HEADERS}{headers}"), &list),
            400,
        ),
        (
            "another query",
            post("/mcp?trace=1", &format!("{POST_HEADERS}{headers}"), &list),
            200,
        ),
        (
            "two credentials",
            with("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
            400,
        ),
        ("a bad credential", with("Authorization: Bearer bad\r\n"), 401),
        ("a good credential", with("Authorization: Bearer good\r\n"), 200),
        ("no host", host("X-Host: localhost"), 400),
        ("two hosts", host("Host: localhost\r\nHost: localhost"), 400),
        ("a rebound host", host("Host: evil.example.com"), 403),
        (
            "a host that begins like ours",
            host("Host: localhost.evil.example.com"),
            403,
        ),
        ("a host with a user", host("Host: localhost@evil.example.com"), 403),
        ("a port that is none", host("Host: localhost:80x"), 403),
        ("our address", host(&format!("Host: {address}")), 200),
        ("IPv6 loopback", host("Host: [::1]:8080"), 200),
        ("upper case", host("Host: LOCALHOST:1"), 200),
        ("our origin", with("Origin: http://localhost:3000\r\n"), 200),
        ("our origin over TLS", with("Origin: https://127.0.0.1\r\n"), 200),
        ("a foreign origin", with("Origin: http://evil.example.com\r\n"), 403),
        ("an opaque origin", with("Origin: null\r\n"), 403),
        (
            "an origin that begins like ours",
            with("Origin: http://localhost.evil.example.com\r\n"),
            403,
        ),
        (
            "two origins",
            with("Origin: http://localhost\r\nOrigin: http://localhost\r\n"),
            400,
        ),
    ];
    for (what, sent, status) in cases {
        let answer = Client::once(address, &sent).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        if status >= 400 {
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8", "{what}");
            assert!(!answer.body.contains("jsonrpc"), "{what}");
        }
    }
    let answer = Client::once(address, &bare("PUT", "/mcp", "")).await;
    assert_eq!(answer.header("allow"), "GET, POST, DELETE, OPTIONS");
    let answer = Client::once(address, &with("Authorization: Bearer bad\r\n")).await;
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"test\"");
}

#[tokio::test]
async fn hosts_and_origins_can_be_added() {
    let (_server, address, _) = serve(Options {
        hosts: vec!["Gateway.example.com".to_owned(), "pinned.example.com:8443".to_owned()],
        origins: vec!["https://App.example.com/".to_owned()],
        ..Options::default()
    });
    for (host, origin, status) in [
        ("gateway.example.com", "", 200),
        ("gateway.example.com:99", "", 200),
        ("pinned.example.com:8443", "", 200),
        ("pinned.example.com", "", 403),
        ("pinned.example.com:80", "", 403),
        ("localhost", "Origin: https://app.example.com\r\n", 200),
        ("localhost", "Origin: http://app.example.com\r\n", 403),
        ("localhost", "Origin: https://app.example.com:8443\r\n", 403),
    ] {
        let sent = call("echo")
            .replace("Host: localhost", &format!("Host: {host}"))
            .replace("Mcp-Method", &format!("{origin}Mcp-Method"));
        let answer = Client::once(address, &sent).await;
        assert_eq!(answer.status, status, "{host} {origin}");
    }
}

#[tokio::test]
async fn readiness_is_asked() {
    let (_server, address, _) = serve(Options {
        ready: Some(Arc::new(|| Err("the record is not writable".to_owned()))),
        ..Options::default()
    });
    let answer = Client::once(address, &bare("GET", "/readyz", "")).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, "the record is not writable\n")
    );
    assert_eq!(Client::once(address, &bare("GET", "/healthz", "")).await.status, 200);
}

/// What the door refuses goes to the handler, which gives it back sealed: code and HTTP status are the spec's.
#[tokio::test]
async fn the_door_refuses_with_the_specs_own_error() {
    let (_server, address, _) = serve(Options::default());
    let meta = |version: &str| {
        format!(
            r#"{{"name":"echo","_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}}}}}}"#
        )
    };
    let modern = meta("2026-07-28");
    let list = format!("{MODERN}Mcp-Method: tools/list\r\n");
    let call = format!("{MODERN}Mcp-Method: tools/call\r\n");
    let cases: Vec<(&str, String, i32, u16)> = vec![
        ("no JSON", modern_post(&list, "{"), -32700, 400),
        ("no JSON, legacy", modern_post("", "nonsense"), -32700, 400),
        ("an empty body", modern_post(&list, ""), -32700, 400),
        ("no message", modern_post(&list, "{}"), -32600, 400),
        (
            "a call without an id",
            modern_post(&call, r#"{"jsonrpc":"2.0","method":"tools/call","params":{}}"#),
            -32600,
            400,
        ),
        (
            "a fractional id",
            modern_post(&call, r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{}}"#),
            -32600,
            400,
        ),
        (
            "no _meta",
            modern_post(&list, &request("tools/list", "{}")),
            -32602,
            400,
        ),
        (
            "no params",
            modern_post(&list, r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#),
            -32602,
            400,
        ),
        (
            "no version in _meta",
            modern_post(
                &list,
                &request(
                    "tools/list",
                    r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}"#,
                ),
            ),
            -32602,
            400,
        ),
        (
            "no capabilities in _meta",
            modern_post(
                &list,
                &request(
                    "tools/list",
                    r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
                ),
            ),
            -32602,
            400,
        ),
        (
            "an unknown version",
            modern_post(
                "MCP-Protocol-Version: v999\r\nMcp-Method: tools/list\r\n",
                &request("tools/list", &meta("v999")),
            ),
            -32022,
            400,
        ),
        (
            "an unknown version, legacy shape",
            modern_post("MCP-Protocol-Version: v999\r\n", &request("tools/list", "{}")),
            -32022,
            400,
        ),
        (
            "an unknown version, notification",
            modern_post(
                "MCP-Protocol-Version: v999\r\n",
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            ),
            -32022,
            400,
        ),
        (
            "another version in _meta",
            modern_post(&list, &request("tools/list", &meta("v999"))),
            -32020,
            400,
        ),
        (
            "no version header",
            modern_post("Mcp-Method: tools/list\r\n", &request("tools/list", &modern)),
            -32020,
            400,
        ),
        (
            "a legacy version header",
            modern_post(
                "MCP-Protocol-Version: 2025-11-25\r\nMcp-Method: tools/list\r\n",
                &request("tools/list", &modern),
            ),
            -32020,
            400,
        ),
        (
            "two version headers",
            modern_post(&format!("{list}{MODERN}"), &request("tools/list", &modern)),
            -32020,
            400,
        ),
        (
            "no method header",
            modern_post(MODERN, &request("tools/list", &modern)),
            -32020,
            400,
        ),
        (
            "another method",
            modern_post(&list, &request("prompts/list", &modern)),
            -32020,
            400,
        ),
        (
            "another case",
            modern_post(
                &format!("{MODERN}Mcp-Method: TOOLS/LIST\r\n"),
                &request("tools/list", &modern),
            ),
            -32020,
            400,
        ),
        (
            "two method headers",
            modern_post(
                &format!("{list}Mcp-Method: tools/list\r\n"),
                &request("tools/list", &modern),
            ),
            -32020,
            400,
        ),
        (
            "no name header",
            modern_post(&call, &request("tools/call", &modern)),
            -32020,
            400,
        ),
        (
            "another name",
            modern_post(&format!("{call}Mcp-Name: other\r\n"), &request("tools/call", &modern)),
            -32020,
            400,
        ),
        (
            "two names",
            modern_post(
                &format!("{call}Mcp-Name: echo\r\nMcp-Name: echo\r\n"),
                &request("tools/call", &modern),
            ),
            -32020,
            400,
        ),
        (
            "a name in bad Base64",
            modern_post(
                &format!("{call}Mcp-Name: =?base64?ZWNob?=\r\n"),
                &request("tools/call", &modern),
            ),
            -32020,
            400,
        ),
        (
            "another method on a notification",
            modern_post(
                &list,
                &format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{modern}}}"#),
            ),
            -32020,
            400,
        ),
        (
            "a modern initialize",
            modern_post(
                &format!("{MODERN}Mcp-Method: initialize\r\n"),
                &request("initialize", &modern),
            ),
            -32601,
            404,
        ),
        (
            "a removed method",
            modern_post(&format!("{MODERN}Mcp-Method: ping\r\n"), &request("ping", &modern)),
            -32601,
            404,
        ),
        (
            "a modern response",
            modern_post(MODERN, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#),
            -32600,
            400,
        ),
        (
            "a modern batch",
            modern_post(&list, &format!("[{}]", request("tools/list", &modern))),
            -32600,
            400,
        ),
        (
            "a batch in 2025-06-18",
            modern_post(
                "MCP-Protocol-Version: 2025-06-18\r\n",
                &format!("[{}]", request("tools/list", "{}")),
            ),
            -32600,
            400,
        ),
        ("an empty batch", modern_post("", "[]"), -32600, 400),
    ];
    for (what, sent, code, status) in cases {
        let answer = Client::once(address, &sent).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(answer.body.contains(&format!("\"code\":{code},")), "{what}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/json", "{what}");
        let carries_id = sent.contains("\"id\":7") && !sent.ends_with(']');
        let broken_version = what == "two version headers";
        assert_eq!(
            answer.body.contains("\"id\":7"),
            carries_id && !broken_version,
            "{what}: the request's id comes back: {answer:?}"
        );
    }
}

#[tokio::test]
async fn each_request_chooses_its_era() {
    let (_server, address, script) = serve(Options::default());
    let answer = Client::once(address, &call("echo")).await;
    assert!(
        answer.body.contains("tools/call 2026-07-28 endpoint= session=none"),
        "{answer:?}"
    );
    assert_eq!(answer.header("mcp-session-id"), "");
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());

    // The session header of a modern request means nothing; parameters are handed over as they came; a name may be in the
    // sentinel.
    let sent = call("echo").replace(
        "Mcp-Name: echo",
        "Mcp-Session-Id: x\r\nMCP-Param-Region:  eu west \r\nAuthorization: Bearer t\r\nMcp-Name: =?base64?ZWNobw==?=",
    );
    let answer = Client::once(address, &sent).await;
    assert!(
        answer
            .body
            .contains("session=none secret=true certificate=none mcp-param-region=eu west"),
        "{answer:?}"
    );

    let sent = call("echo").replace("POST /mcp ", "POST /mcp/bank ");
    let answer = Client::once(address, &sent).await;
    assert!(answer.body.contains("endpoint=bank"), "{answer:?}");

    // Legacy, on the same endpoint.
    for (offered, revision) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("9999-01-01", "2025-11-25"),
    ] {
        let body = request("initialize", &format!(r#"{{"protocolVersion":"{offered}"}}"#));
        let answer = Client::once(address, &modern_post("", &body)).await;
        assert!(answer.body.contains(revision), "{offered}: {answer:?}");
        assert!(answer.header("mcp-session-id").starts_with("session-"));
    }
    // Whatever the version header says, `initialize` with a version is legacy.
    let body = request("initialize", r#"{"protocolVersion":"2025-11-25"}"#);
    assert_eq!(Client::once(address, &modern_post(MODERN, &body)).await.status, 200);

    let session = initialize(address, "2025-11-25").await;
    let answer = Client::once(address, &legacy_call("echo", &session, "2025-06-18")).await;
    assert!(
        answer.body.contains(&format!("2025-06-18 endpoint= session={session}")),
        "{answer:?}"
    );
    let sent = legacy_call("echo", &session, "x").replace("MCP-Protocol-Version: x\r\n", "");
    let answer = Client::once(address, &sent).await;
    assert!(
        answer.body.contains("2025-03-26"),
        "without a header that is assumed: {answer:?}"
    );

    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let sent = modern_post(&format!("Mcp-Session-Id: {session}\r\n"), notification);
    let answer = Client::once(address, &sent).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    assert_eq!(Client::once(address, &modern_post("", notification)).await.status, 400);
    let gone = modern_post("Mcp-Session-Id: gone\r\n", notification);
    assert_eq!(Client::once(address, &gone).await.status, 404);
    assert_eq!(*script.notified.lock().unwrap(), ["notifications/initialized"]);

    // A modern notification needs no `Mcp-Method`.
    let sent = modern_post(
        MODERN,
        &format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{{META}}}}}"#),
    );
    assert_eq!(Client::once(address, &sent).await.status, 202);
}

#[tokio::test]
async fn news_make_an_event_stream_in_order() {
    let (_server, address, _) = serve(Options::default());
    let clients = (0..8).map(|_| {
        tokio::spawn(async move {
            let mut client = Client::connect(address).await;
            for _ in 0..2 {
                client.send(&call("news")).await;
                let head = client.head().await;
                assert_eq!(head.status, 200);
                assert_eq!(head.header("content-type"), "text/event-stream");
                assert_eq!(head.header("x-accel-buffering"), "no");
                let events = client.rest().await;
                assert_eq!(events.len(), 1_001);
                for (number, event) in events.iter().take(1_000).enumerate() {
                    assert!(event.contains(&format!("\"progress\":{number}}}")), "{number}: {event}");
                }
                assert!(events[1_000].contains("\"result\""));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_message_with_line_breaks_is_one_event() {
    let (_server, address, _) = serve(Options::default());
    let mut client = Client::connect(address).await;
    client.send(&call("pretty")).await;
    client.head().await;
    let events = client.rest().await;
    assert_eq!(events.len(), 2);
    let reply = portcullis_wire::Raw::own(events[1].clone()).unwrap();
    assert_eq!(reply.get("id").unwrap().as_i64(), Some(7));
}

#[tokio::test]
async fn a_large_reply_comes_whole() {
    let (_server, address, _) = serve(Options::default());
    let mut client = Client::connect(address).await;
    for _ in 0..3 {
        let answer = client.ask(&call("large")).await;
        assert!(answer.body.len() > 300_000 && answer.body.ends_with("x\"}"));
    }
}

#[tokio::test]
async fn a_modern_request_is_cancelled_when_its_client_goes_away() {
    let (_server, address, script) = serve(Options::default());
    for (name, count) in [("gate", 1), ("gate-with-news", 2)] {
        let mut client = Client::connect(address).await;
        client.send(&call(name)).await;
        until("the call", || script.begun.load(Ordering::SeqCst) == count).await;
        drop(client);
        until("the cancellation", || script.dropped.load(Ordering::SeqCst) == count).await;
    }
    assert_eq!(script.ended.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_slow_request_gets_a_stream_with_keep_alive_comments() {
    let (_server, address, script) = serve(limits(|limits| {
        limits.stream_after = Duration::from_millis(10);
        limits.keep_alive = Duration::from_millis(10);
    }));
    let mut client = Client::connect(address).await;
    client.send(&call("gate")).await;
    let head = client.head().await;
    assert_eq!(head.header("content-type"), "text/event-stream");
    assert_eq!(within("a comment", client.piece()).await.unwrap(), b":\n\n");
    assert_eq!(within("a comment", client.piece()).await.unwrap(), b":\n\n");
    script.gate.notify_one();
    let events = client.rest().await;
    assert!(events.len() == 1 && events[0].contains("open"), "{events:?}");
}

#[tokio::test]
async fn who_does_not_do_its_part_is_cut_off() {
    let (server, address, _) = serve(limits(|limits| {
        limits.header_timeout = Duration::from_millis(50);
        limits.body_timeout = Duration::from_millis(50);
        limits.idle_timeout = Duration::from_millis(200);
    }));
    // Nothing at all, half a head, half a second head.
    for start in ["", "POST /mcp HTTP/1.1\r\nHost: loc"] {
        let mut client = Client::connect(address).await;
        client.send(start).await;
        assert!(client.closed().await);
    }
    let mut client = Client::connect(address).await;
    client.ask(&call("echo")).await;
    client.send("POST /mcp HT").await;
    assert!(client.closed().await);
    // A body that stops.
    let mut client = Client::connect(address).await;
    let sent = call("echo");
    client.send(&sent[..sent.len() - 5]).await;
    assert_eq!(client.answer().await.status, 408);
    // A connection that is quiet.
    let start = Instant::now();
    let mut client = Client::connect(address).await;
    client.ask(&call("echo")).await;
    assert!(client.closed().await);
    assert!(start.elapsed() >= Duration::from_millis(200));
    until("all connections to go", || server.metrics().connections_open == 0).await;
}

#[tokio::test]
async fn a_body_in_pieces_is_read_whole() {
    let (server, address, _) = serve(Options::default());
    let mut client = Client::connect(address).await;
    let sent = call("echo");
    let (start, end) = sent.split_at(sent.len() - 20);
    client.send(start).await;
    Client::once(address, &call("echo")).await;
    assert_eq!(client.ask(end).await.status, 200);
    // Chunked.
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    let head = head
        .lines()
        .filter(|line| !line.starts_with("Content-Length"))
        .collect::<Vec<_>>()
        .join("\r\n");
    let (one, two) = body.split_at(10);
    client
        .send(&format!(
            "{head}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n",
            one.len()
        ))
        .await;
    client.send(&format!("{:x}\r\n{two}\r\n0\r\n\r\n", two.len())).await;
    assert_eq!(client.answer().await.status, 200);
    until("the bodies to be let go", || server.metrics().bodies_bytes == 0).await;
}

#[tokio::test]
async fn too_much_is_refused() {
    let mut options = limits(|limits| {
        limits.connections_max = 3;
        limits.bodies_bytes_max = 10_000;
        limits.header_bytes_max = 8 << 10;
    });
    options.message_limits.message_bytes_max = 9_000;
    let (server, address, script) = serve(options);
    let large = |bytes: usize| {
        let padding = " ".repeat(bytes);
        modern_post(
            &format!("{MODERN}Mcp-Method: tools/list\r\n"),
            &request("tools/list", &format!("{{{padding}{META}}}")),
        )
    };
    assert_eq!(Client::once(address, &large(8_000)).await.status, 200);
    assert_eq!(Client::once(address, &large(9_000)).await.status, 413);
    // Declared, and never sent.
    let declared = bare(
        "POST",
        "/mcp",
        &format!("{POST_HEADERS}Content-Length: 99999999999\r\n"),
    );
    assert_eq!(Client::once(address, &declared).await.status, 413);
    // Not declared.
    let mut client = Client::connect(address).await;
    client
        .send(&format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\n{POST_HEADERS}Transfer-Encoding: chunked\r\n\r\n3000\r\n{}\r\n",
            " ".repeat(0x3000)
        ))
        .await;
    assert_eq!(client.answer().await.status, 413);
    drop(client);
    let header = bare("GET", "/healthz", &format!("X: {}\r\n", "x".repeat(9_000)));
    assert_eq!(Client::once(address, &header).await.status, 431);
    // Bodies held by others.
    until("the connections to go", || server.metrics().connections_open == 0).await;
    let mut held = Client::connect(address).await;
    let padded = call("gate").replace("\"arguments\":{}", &format!("\"arguments\":{{{}}}", " ".repeat(6_000)));
    let padded = padded.replace(
        &format!(
            "Content-Length: {}",
            call("gate").split_once("\r\n\r\n").unwrap().1.len()
        ),
        &format!(
            "Content-Length: {}",
            call("gate").split_once("\r\n\r\n").unwrap().1.len() + 6_000
        ),
    );
    held.send(&padded).await;
    until("the call", || script.begun.load(Ordering::SeqCst) == 1).await;
    let answer = Client::once(address, &large(6_000)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(Client::once(address, &call("echo")).await.status, 200);
    // Connections.
    until("the others to go", || server.metrics().connections_open == 1).await;
    let mut more = vec![Client::connect(address).await, Client::connect(address).await];
    for client in &mut more {
        client.ask(&call("echo")).await;
    }
    let mut client = Client::connect(address).await;
    assert_eq!(client.answer().await.status, 503);
    assert_eq!(server.metrics().connections_refused, 1);
    script.gate.notify_one();
    assert_eq!(held.answer().await.status, 200);
}

#[tokio::test]
async fn what_is_declared_and_never_sent_keeps_nobody_out() {
    let (server, address, _) = serve(limits(|limits| limits.bodies_bytes_max = 9_050));
    let head = bare("POST", "/mcp", &format!("{POST_HEADERS}Content-Length: 9000\r\n"));
    let mut strangers = Vec::new();
    for _ in 0..20 {
        let mut stranger = Client::connect(address).await;
        stranger.send(&head).await;
        strangers.push(stranger);
    }
    // All of their heads have been read: what is counted begins before the body is waited for.
    until("the strangers", || server.metrics().requests == 20).await;
    assert_eq!(Client::once(address, &call("echo")).await.status, 200);
}

#[tokio::test]
async fn a_body_counts_until_its_call_ends_though_its_client_is_gone() {
    let (server, address, script) = serve(Options::default());
    let session = initialize(address, "2025-06-18").await;
    let mut gone = Client::connect(address).await;
    gone.send(&legacy_call("gate", &session, "2025-06-18")).await;
    until("the call", || script.begun.load(Ordering::SeqCst) == 1).await;
    let held = server.metrics().bodies_bytes;
    drop(gone);
    until("the client to be gone", || server.metrics().connections_open == 0).await;
    assert!(held > 0);
    assert_eq!(server.metrics().bodies_bytes, held);
    script.gate.notify_one();
    until("the body to be let go", || server.metrics().bodies_bytes == 0).await;
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight() {
    let (server, address, script) = serve(Options::default());
    let session = initialize(address, "2025-11-25").await;
    let mut idle = Client::connect(address).await;
    idle.ask(&call("echo")).await;
    let mut standing = Client::connect(address).await;
    standing
        .send(&bare(
            "GET",
            "/mcp",
            &format!("Accept: text/event-stream\r\nMcp-Session-Id: {session}\r\n"),
        ))
        .await;
    standing.head().await;
    let mut listen = Client::connect(address).await;
    let listening = modern_post(
        &format!("{MODERN}Mcp-Method: subscriptions/listen\r\n"),
        &request("subscriptions/listen", &format!(r#"{{"notifications":{{}},{META}}}"#)),
    );
    listen.send(&listening).await;
    listen.head().await;
    assert_eq!(listen.event().await.unwrap().data, NEWS);
    let mut busy = Client::connect(address).await;
    busy.send(&call("gate")).await;
    let mut streaming = Client::connect(address).await;
    streaming.send(&call("gate-with-news")).await;
    streaming.head().await;
    // A legacy call whose client is gone is in flight too.
    let mut left = Client::connect(address).await;
    left.send(&legacy_call("gate", &session, "2025-06-18")).await;
    until("the calls", || script.begun.load(Ordering::SeqCst) == 4).await;
    drop(left);

    let draining = tokio::spawn(server.drain(Duration::from_secs(10)));
    assert!(idle.closed().await);
    assert!(standing.event().await.is_none());
    assert!(listen.event().await.is_none());
    until("the subscription to end", || script.dropped.load(Ordering::SeqCst) == 1).await;
    until("the listener to close", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    assert!(!draining.is_finished());
    // Each permit wakes one; the three that are left end one after the other.
    for count in 1..=3 {
        script.gate.notify_one();
        until("an end", || script.ended.load(Ordering::SeqCst) == count).await;
    }
    assert!(busy.answer().await.body.contains("open"));
    assert!(busy.closed().await);
    assert_eq!(streaming.rest().await.len(), 2);
    assert_eq!(within("the drain", draining).await.unwrap(), 0);
}

#[tokio::test]
async fn a_drain_cuts_what_does_not_end() {
    let (server, address, script) = serve(Options::default());
    let mut client = Client::connect(address).await;
    client.send(&call("gate")).await;
    until("the call", || script.begun.load(Ordering::SeqCst) == 1).await;
    assert_eq!(within("the drain", server.drain(Duration::from_millis(50))).await, 1);
    assert!(client.closed().await);
    assert_eq!(script.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn dropping_the_server_cuts_everything() {
    let (server, address, script) = serve(Options::default());
    let mut client = Client::connect(address).await;
    client.send(&call("gate")).await;
    until("the call", || script.begun.load(Ordering::SeqCst) == 1).await;
    drop(server);
    assert!(client.closed().await);
}
