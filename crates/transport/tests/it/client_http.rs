//! The client's Streamable HTTP against scripted servers: what is sent, what comes back as which event, and that each
//! misbehaviour is named.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its failure")]

use crate::client_script::*;
use bytes::Bytes;
use portcullis_transport::client::{HttpLimits, HttpOptions, PoolLimits};
use portcullis_transport::{Eras, UpstreamError};
use portcullis_wire::{Era, Limits, Method, Revision};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// A modern server that answers every call in this way.
async fn modern(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::new(move |seen| modern_greeting(&seen).unwrap_or_else(|| answer(&seen))).await
}

fn news(method: &str) -> String {
    format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{method}\"}}\n\n")
}

#[tokio::test]
async fn a_modern_call_is_one_request_with_mirrored_headers() {
    let server = modern(|seen| json(result(seen, r#"{"ok":true}"#))).await;
    let connected = connect(
        &http_target(HttpOptions {
            headers: vec![("Authorization".into(), "Bearer t".into())],
            ..server.options()
        }),
        Eras::Probe,
    )
    .await
    .unwrap();
    assert_eq!(connected.revision, Revision::V2026_07_28);
    assert_eq!(connected.greeting.as_str(), DISCOVERED);
    let mut outgoing = call(7);
    outgoing.name = Some("größe".into());
    outgoing.parameters = vec![("Mcp-Param-Region".into(), "eu".into())];
    let body = outgoing.message.clone().into_bytes();
    assert_eq!(ask(&connected, outgoing).await.unwrap(), [r#"{"ok":true}"#]);

    let seen = server.seen();
    assert_eq!(server.asked(), ["server/discover", "tools/call"]);
    assert_eq!(seen[0].header("mcp-method"), Some("server/discover"));
    let meta = seen[0].json().at(&["params", "_meta"]).unwrap();
    assert_eq!(
        meta.get("io.modelcontextprotocol/protocolVersion").unwrap().as_str(),
        "\"2026-07-28\""
    );
    assert_eq!(
        meta.get("io.modelcontextprotocol/clientCapabilities").unwrap().as_str(),
        r#"{"roots":{}}"#
    );
    assert_eq!(seen[1].body.as_bytes(), body);
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "=?base64?Z3LDtsOfZQ==?="),
        ("mcp-param-region", "eu"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("authorization", "Bearer t"),
    ] {
        assert_eq!(seen[1].header(name), Some(value), "{name}");
    }
    assert_eq!(seen[1].header("content-length"), Some(body.len().to_string().as_str()));
    assert_eq!(seen[1].header("mcp-session-id"), None);
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection_and_at_once_have_their_own() {
    let together = Arc::new(tokio::sync::Barrier::new(4));
    let server = Scripted::slow(move |seen| {
        let together = together.clone();
        Box::pin(async move {
            if seen.id().len() == 3 {
                together.wait().await;
            }
            modern_greeting(&seen).unwrap_or_else(|| json(result(&seen, "{}")))
        })
    })
    .await;
    let connected = server.connect(Eras::Modern).await;
    for id in 1..=50 {
        ask(&connected, call(id)).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let (a, b, c, d) = tokio::join!(
        ask(&connected, call(100)),
        ask(&connected, call(101)),
        ask(&connected, call(102)),
        ask(&connected, call(103))
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 4);
    assert_eq!(server.seen().len(), 1 + 50 + 4, "exactly one request per call");
}

#[tokio::test]
async fn more_calls_than_connections_wait_and_idle_ones_are_closed() {
    let server = modern(|seen| json(result(seen, "{}"))).await;
    let pool = PoolLimits {
        in_use_max: 2,
        idle_max: 1,
        idle_time_max: Duration::from_millis(50),
    };
    let limits = HttpLimits {
        pool,
        ..HttpLimits::default()
    };
    let connected = connect(
        &http_target(HttpOptions {
            limits,
            ..server.options()
        }),
        Eras::Modern,
    )
    .await
    .unwrap();
    let calls: Vec<_> = (1..=20)
        .map(|id| {
            let link = connected.link.clone();
            tokio::spawn(async move { link.request(call(id)).await.unwrap().next().await.unwrap() })
        })
        .collect();
    for call in calls {
        within("a call", call).await.unwrap();
    }
    assert_eq!(server.seen().len(), 21);
    until("idle connections close", || server.open.load(Ordering::SeqCst) == 0).await;
    ask(&connected, call(21)).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_closed_while_idle_is_replaced_without_a_second_request() {
    let server = Scripted::new(|seen| {
        let mut answer = modern_greeting(&seen).unwrap_or_else(|| json(result(&seen, "{}")));
        answer.headers_mut().insert("connection", "close".parse().unwrap());
        answer
    })
    .await;
    let connected = server.connect(Eras::Modern).await;
    for id in 1..=20 {
        ask(&connected, call(id)).await.unwrap();
    }
    assert_eq!(server.seen().len(), 21);
}

#[tokio::test]
async fn a_call_that_may_have_been_processed_is_never_sent_again() {
    let greeting = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{{\"jsonrpc\":\"2.0\",\"id\":9007199254740991,\"result\":{DISCOVERED}}}"
    );
    let (url, connections) = raw(vec![greeting.into_bytes(), Vec::new(), Vec::new()]).await;
    let connected = connect(&http_target(HttpOptions::new("raw", &url)), Eras::Modern)
        .await
        .unwrap();
    let error = ask(&connected, call(1)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Closed { .. }), "{error}");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_no_http_or_is_cut_off_is_named() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let table: Vec<(Vec<u8>, &str)> = vec![
        (
            b"\x16\x03\x01 what is this\r\n\r\n".to_vec(),
            "not a valid MCP message: not HTTP",
        ),
        (
            format!("{head}content-length: 1000\r\n\r\n{{\"jsonrpc\"").into_bytes(),
            "connection closed: the body was cut off",
        ),
        (
            format!("{head}content-length: 99999999999\r\n\r\n{{}}").into_bytes(),
            "too large: a body",
        ),
        (
            format!("{head}x: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes(),
            "too large: the head",
        ),
        (
            format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
            "connection closed: the body was cut off",
        ),
    ];
    for (answer, expected) in table {
        let greeting = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{{\"jsonrpc\":\"2.0\",\"id\":9007199254740991,\"result\":{DISCOVERED}}}"
        );
        let (url, _) = raw(vec![greeting.into_bytes(), answer]).await;
        let connected = connect(&http_target(HttpOptions::new("raw", &url)), Eras::Modern)
            .await
            .unwrap();
        let error = ask(&connected, call(1)).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn bad_answers_are_named() {
    type Bad = (&'static str, fn(&Seen) -> Reply, &'static str);
    let table: [Bad; 14] = [
        (
            "html",
            |_| reply(200, &[("content-type", "text/html")], "<html>"),
            "not a valid MCP message: the answer is of type `text/html`",
        ),
        (
            "no type",
            |_| reply(200, &[], "{}"),
            "not a valid MCP message: the answer is of type `none`",
        ),
        (
            "gzip",
            |_| {
                reply(
                    200,
                    &[("content-type", "application/json"), ("content-encoding", "gzip")],
                    "x",
                )
            },
            "not a valid MCP message: the answer is of type `application/json` in encoding `gzip`",
        ),
        ("no JSON", |_| json("hello"), "not a valid MCP message"),
        ("empty", |_| json(""), "not a valid MCP message"),
        (
            "two ends",
            |seen| {
                json(format!(
                    r#"{{"jsonrpc":"2.0","id":{},"result":{{}},"error":{{}}}}"#,
                    seen.id()
                ))
            },
            "not a valid MCP message",
        ),
        (
            "another id",
            |_| json(r#"{"jsonrpc":"2.0","id":999,"result":{}}"#),
            "not a valid MCP message: an answer to request 999",
        ),
        (
            "a request",
            |_| json(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
            "not a valid MCP message",
        ),
        ("accepted", |_| reply(202, &[], ""), "unexpected HTTP status 202"),
        (
            "trouble",
            |_| reply(500, &[("content-type", "text/plain")], "out\x1b[2J of order"),
            "unexpected HTTP status 500: out\\u{1b}[2J of order",
        ),
        (
            "redirect",
            |_| reply(307, &[("location", "http://evil.example/")], ""),
            "unexpected HTTP status 307: a redirect to `http://evil.example/`, which is not followed",
        ),
        (
            "401",
            |_| reply(401, &[("www-authenticate", "Bearer realm=\"x\"")], ""),
            "the server refused our credentials: HTTP 401 Unauthorized, `Bearer realm=\"x\"`",
        ),
        (
            "403",
            |_| reply(403, &[], "no"),
            "the server refused our credentials: HTTP 403 Forbidden: no",
        ),
        (
            "large",
            |_| json(vec![b' '; 20_000]),
            "too large: a body of more than 10000 bytes",
        ),
    ];
    for (name, answer, expected) in table {
        let server = modern(answer).await;
        let message = Limits {
            message_bytes_max: 10_000,
            ..Limits::default()
        };
        let limits = HttpLimits {
            message,
            ..HttpLimits::default()
        };
        let connected = connect(
            &http_target(HttpOptions {
                limits,
                ..server.options()
            }),
            Eras::Modern,
        )
        .await
        .unwrap();
        let error = ask(&connected, call(1)).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
        assert_eq!(server.seen().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn the_protocols_own_errors_are_answers() {
    for status in [200, 400, 404] {
        let server = modern(move |seen| {
            reply(
                status,
                &[("content-type", "application/json")],
                rpc_error(seen, -32601, "{}"),
            )
        })
        .await;
        let connected = server.connect(Eras::Modern).await;
        assert_eq!(ask(&connected, call(1)).await.unwrap(), ["error -32601"]);
        assert!(connected.link.is_alive());
    }
}

#[tokio::test]
async fn events_come_in_order_and_the_connection_is_used_again() {
    let server = modern(|seen| {
        events(format!(
            ": hello\n\n{}event: other\ndata: x\n\n{}data: {}\n\n",
            news("progress"),
            news("message"),
            result(seen, "{}")
        ))
    })
    .await;
    let connected = server.connect(Eras::Modern).await;
    for id in 1..=5 {
        assert_eq!(
            ask(&connected, call(id)).await.unwrap(),
            ["notifications/progress", "notifications/message", "{}"]
        );
        // The stream's end is read behind the answer.
        tokio::task::yield_now().await;
    }
    assert!(
        server.connections.load(Ordering::SeqCst) <= 3,
        "{:?}",
        server.connections
    );
}

#[tokio::test]
async fn bad_streams_are_named() {
    type Bad = (&'static str, fn(&Seen) -> String, &'static str);
    let table: [Bad; 7] = [
        (
            "no answer",
            |_| news("progress"),
            "connection closed: the event stream ended before the answer",
        ),
        ("no JSON", |_| "data: hello\n\n".into(), "not a valid MCP message"),
        (
            "a question",
            |_| "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"roots/list\"}\n\n".into(),
            "not a valid MCP message: a request of the server",
        ),
        (
            "another id",
            |_| "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n\n".into(),
            "not a valid MCP message: an answer to request 9",
        ),
        (
            "a long event",
            |_| format!("data: {}\n\n", "x".repeat(11_000)),
            "too large: a line of the event stream",
        ),
        (
            "a long stream",
            |_| news("progress").repeat(2000),
            "too large: the event stream of one request",
        ),
        (
            "an event id without answer",
            |_| format!("id: 1\n{}", news("progress")),
            "connection closed: the event stream ended before the answer",
        ),
    ];
    for (name, answer, expected) in table {
        let server = modern(move |seen| events(answer(seen))).await;
        let limits = HttpLimits {
            message: Limits {
                message_bytes_max: 10_000,
                ..Limits::default()
            },
            stream_bytes_max: 20_000,
            ..HttpLimits::default()
        };
        let connected = connect(
            &http_target(HttpOptions {
                limits,
                ..server.options()
            }),
            Eras::Modern,
        )
        .await
        .unwrap();
        let error = ask(&connected, call(1)).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
    }
}

/// A server whose event stream the test holds.
async fn holding(era: Era) -> (Scripted, mpsc::Receiver<mpsc::Sender<Bytes>>) {
    let (hand_out, streams) = mpsc::channel(4);
    let server = Scripted::new(move |seen| {
        let greeting = match era {
            Era::Modern => modern_greeting(&seen),
            Era::Legacy => legacy_greeting(&seen, "2025-11-25"),
        };
        greeting.unwrap_or_else(|| match seen.what().as_str() {
            "tools/call" => {
                let (stream, answer) = fed_events();
                hand_out.try_send(stream).unwrap();
                answer
            }
            _ => reply(202, &[], ""),
        })
    })
    .await;
    (server, streams)
}

#[tokio::test]
async fn dropping_a_modern_exchange_closes_its_stream() {
    let (server, mut streams) = holding(Era::Modern).await;
    let connected = server.connect(Eras::Modern).await;
    let mut exchange = connected.link.request(call(1)).await.unwrap();
    let stream = streams.recv().await.unwrap();
    stream.send(news("progress").into()).await.unwrap();
    within("news", exchange.next()).await.unwrap();
    drop(exchange);
    within("the end of the stream", stream.closed()).await;
    assert_eq!(server.asked(), ["server/discover", "tools/call"]);
}

#[tokio::test]
async fn dropping_a_legacy_exchange_says_cancelled() {
    let (server, mut streams) = holding(Era::Legacy).await;
    let connected = server.connect(Eras::Legacy).await;
    let exchange = connected.link.request(call(41)).await.unwrap();
    let _stream = streams.recv().await.unwrap();
    drop(exchange);
    until("the cancellation", || {
        server.asked().contains(&"notifications/cancelled".to_owned())
    })
    .await;
    let cancelled = server
        .seen()
        .into_iter()
        .find(|seen| seen.what() == "notifications/cancelled")
        .unwrap();
    assert_eq!(cancelled.json().at(&["params", "requestId"]).unwrap().as_str(), "41");
    assert_eq!(cancelled.header("mcp-session-id"), Some("s1"));

    // Also before the response has begun, and not after the answer.
    let server = Scripted::slow(|seen| {
        Box::pin(async move {
            match legacy_greeting(&seen, "2025-11-25") {
                Some(reply) => reply,
                None if seen.what() == "tools/list" => json(result(&seen, "{}")),
                None if seen.what() == "tools/call" => std::future::pending().await,
                None => reply(202, &[], ""),
            }
        })
    })
    .await;
    let connected = server.connect(Eras::Legacy).await;
    ask(&connected, outgoing(1, Method::ToolsList, "{}")).await.unwrap();
    tokio::select! {
        _ = connected.link.request(call(2)) => panic!("it never answers"),
        () = until("the call", || server.asked().contains(&"tools/call".to_owned())) => {}
    }
    until("the cancellation", || {
        server.asked().contains(&"notifications/cancelled".to_owned())
    })
    .await;
    let cancelled: Vec<Seen> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.what() == "notifications/cancelled")
        .collect();
    assert_eq!(cancelled.len(), 1);
    assert_eq!(cancelled[0].json().at(&["params", "requestId"]).unwrap().as_str(), "2");
}

#[tokio::test]
async fn the_era_is_probed_by_the_table_and_kept() {
    type Case = (&'static str, fn(&Seen) -> Reply, Result<Era, &'static str>);
    let table: [Case; 11] = [
        (
            "discover result",
            |seen| json(result(seen, DISCOVERED)),
            Ok(Era::Modern),
        ),
        (
            "discover result as events",
            |seen| events(format!("data: {}\n\n", result(seen, DISCOVERED))),
            Ok(Era::Modern),
        ),
        (
            "missing capability",
            |seen| reply(400, &[], rpc_error(seen, -32021, "{}")),
            Ok(Era::Modern),
        ),
        (
            "header mismatch",
            |seen| reply(400, &[], rpc_error(seen, -32020, "{}")),
            Ok(Era::Modern),
        ),
        (
            "404 and method not found",
            |seen| reply(404, &[], rpc_error(seen, -32601, "{}")),
            Ok(Era::Modern),
        ),
        (
            "200 and method not found",
            |seen| json(rpc_error(seen, -32601, "{}")),
            Ok(Era::Legacy),
        ),
        ("400 and nothing", |_| reply(400, &[], ""), Ok(Era::Legacy)),
        ("405", |_| reply(405, &[], "no"), Ok(Era::Legacy)),
        (
            "names legacy versions",
            |seen| reply(400, &[], rpc_error(seen, -32022, r#"{"supported":["2025-06-18"]}"#)),
            Ok(Era::Legacy),
        ),
        (
            "names versions of nobody",
            |seen| reply(400, &[], rpc_error(seen, -32022, r#"{"supported":["2027-01-01"]}"#)),
            Err("no common protocol revision"),
        ),
        (
            "in trouble",
            |_| reply(503, &[], "later"),
            Err("unexpected HTTP status 503"),
        ),
    ];
    for (name, probe, expected) in table {
        let server = Scripted::new(move |seen| match seen.what().as_str() {
            "server/discover" => probe(&seen),
            "tools/call" => json(result(&seen, "{}")),
            _ => legacy_greeting(&seen, "2025-06-18").unwrap(),
        })
        .await;
        let target = http_target(server.options());
        match (connect(&target, Eras::Probe).await, expected) {
            (Ok(connected), Ok(era)) => {
                assert_eq!(connected.revision.era(), era, "{name}");
                ask(&connected, call(1)).await.unwrap();
                connect(&target.clone(), Eras::Probe).await.unwrap();
                let probes = server.asked().iter().filter(|what| *what == "server/discover").count();
                assert_eq!(
                    probes,
                    if era == Era::Modern { 2 } else { 1 },
                    "{name}: a legacy server is probed once"
                );
            }
            (Err(error), Err(expected)) => assert!(error.to_string().starts_with(expected), "{name}: {error}"),
            (found, _) => panic!("{name}: {:?}", found.map(|connected| connected.revision)),
        }
    }
}

#[tokio::test]
async fn an_era_that_proves_wrong_is_probed_again() {
    let is_modern = Arc::new(Mutex::new(true));
    let now = is_modern.clone();
    let server = Scripted::new(move |seen| match *now.lock().unwrap() {
        true => modern_greeting(&seen).unwrap_or_else(|| match seen.what().as_str() {
            "initialize" => reply(404, &[], rpc_error(&seen, -32601, "{}")),
            _ => json(result(&seen, "{}")),
        }),
        false => legacy_greeting(&seen, "2025-11-25").unwrap_or_else(|| match seen.header("mcp-session-id") {
            Some(_) => json(result(&seen, "{}")),
            None => reply(400, &[], "no session"),
        }),
    })
    .await;
    let target = http_target(server.options());
    let first = connect(&target, Eras::Probe).await.unwrap();
    assert_eq!(first.revision.era(), Era::Modern);
    // The server is replaced by an older one.
    *is_modern.lock().unwrap() = false;
    let error = ask(&first, call(1)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Status { status: 400, .. }), "{error}");
    assert!(!first.link.is_alive(), "so that the gateway connects again");
    let second = connect(&target, Eras::Probe).await.unwrap();
    assert_eq!(second.revision.era(), Era::Legacy);
    ask(&second, call(2)).await.unwrap();
    // And back.
    *is_modern.lock().unwrap() = true;
    let third = connect(&target, Eras::Probe).await.unwrap();
    assert_eq!(third.revision.era(), Era::Modern);
}

#[tokio::test]
async fn a_handshake_that_fails_says_why() {
    type Case = (&'static str, fn(&Seen) -> Reply, &'static str);
    let cases: [Case; 6] = [
        (
            "unknown version",
            |seen| json(result(seen, r#"{"protocolVersion":"2031-01-01"}"#)),
            "no common protocol revision: we offered 2025-11-25, the server answered `2031-01-01`",
        ),
        ("no version", |seen| json(result(seen, "{}")), "not a valid MCP message"),
        (
            "refused",
            |seen| json(rpc_error(seen, -32000, "{}")),
            "not a valid MCP message: `initialize` was answered with error -32000: no",
        ),
        (
            "not found",
            |_| reply(404, &[], "nothing here"),
            "unexpected HTTP status 404: to `initialize`: nothing here",
        ),
        (
            "forbidden",
            |_| reply(401, &[], ""),
            "the server refused our credentials",
        ),
        (
            "a bad session id",
            |seen| {
                let mut answer = json(result(seen, r#"{"protocolVersion":"2025-11-25"}"#));
                answer.headers_mut().insert("mcp-session-id", "a b".parse().unwrap());
                answer
            },
            "not a valid MCP message: the session id",
        ),
    ];
    for (name, answer, expected) in cases {
        let server = Scripted::new(move |seen| answer(&seen)).await;
        let error = connect(&http_target(server.options()), Eras::Legacy)
            .await
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
    }
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_named_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let options = HttpOptions {
        handshake_time_max: Duration::from_millis(100),
        ..HttpOptions::new("silent", &url)
    };
    let error = connect(&http_target(options), Eras::Probe)
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout { .. }), "{error}");
    drop(listener);
    let error = connect(&http_target(HttpOptions::new("gone", &url)), Eras::Probe)
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, UpstreamError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_long_body_in_pieces_comes_whole() {
    let text = "x".repeat(3 << 20);
    let expected = format!("{{\"text\":\"{text}\"}}");
    let body = expected.clone();
    let server = modern(move |seen| json(result(seen, &body))).await;
    let connected = server.connect(Eras::Modern).await;
    assert_eq!(ask(&connected, call(1)).await.unwrap(), [expected]);
}

#[test]
fn one_link_serves_several_runtimes() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (tell_url, url) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        runtime().block_on(async {
            let server = modern(|seen| json(result(seen, "{}"))).await;
            tell_url.send(server.url.clone()).unwrap();
            let _ = stopped.await;
        });
    });
    let target = http_target(HttpOptions::new("many", &url.recv().unwrap()));
    let connected = Arc::new(runtime().block_on(connect(&target, Eras::Modern)).unwrap());
    // The runtime that connected is gone; its connection is of no use to the others.
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let connected = connected.clone();
            std::thread::spawn(move || {
                runtime().block_on(async {
                    for id in 1..100 {
                        ask(&connected, call(thread * 1000 + id)).await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    stop.send(()).unwrap();
    server.join().unwrap();
}

/// CPU time of the client's thread for a trivial call. Run with `--release -- --ignored --nocapture cpu_per_call`.
#[test]
#[ignore = "a measurement"]
fn cpu_per_call() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (tell_url, url) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let text = "x".repeat(900);
            let server = modern(move |seen| json(result(seen, &format!("{{\"text\":\"{text}\"}}")))).await;
            tell_url.send(server.url.clone()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let target = http_target(HttpOptions::new("bench", &url.recv().unwrap()));
    let cpu = || {
        let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(spent.split(' ').next().unwrap().parse().unwrap())
    };
    runtime().block_on(async {
        let connected = Arc::new(connect(&target, Eras::Modern).await.unwrap());
        for in_flight in [1, 16, 64] {
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let before = cpu();
                let calls: Vec<_> = (0..in_flight)
                    .map(|task| {
                        let connected = connected.clone();
                        tokio::spawn(async move {
                            for id in 0..6400 / in_flight {
                                let mut exchange = connected.link.request(call(task * 10_000 + id + 1)).await.unwrap();
                                exchange.next().await.unwrap();
                            }
                        })
                    })
                    .collect();
                for call in calls {
                    call.await.unwrap();
                }
                best = best.min((cpu() - before) / 6400);
            }
            println!(
                "{in_flight:>3} in flight: {:.1} us CPU per call",
                best.as_secs_f64() * 1e6
            );
        }
    });
}
