//! The client's legacy Streamable HTTP: sessions, questions on a stream, resumption, the standing stream.

use crate::client_script::*;
use portcullis_transport::{Eras, Stray, UpstreamError};
use portcullis_wire::{Method, Response, Revision};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A legacy server (2025-11-25, session `s1`) that answers all but the handshake in this way.
async fn legacy(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::new(move |seen| legacy_greeting(&seen, "2025-11-25").unwrap_or_else(|| answer(&seen))).await
}

fn news(method: &str) -> String {
    format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{method}\"}}\n\n")
}

#[tokio::test]
async fn a_legacy_session_is_opened_used_and_ended() {
    let server = legacy(|seen| match seen.what().as_str() {
        "tools/call" => json(result(seen, "{}")),
        _ => reply(202, &[], ""),
    })
    .await;
    let connected = server.connect(Eras::Probe).await;
    assert_eq!(connected.revision, Revision::V2025_11_25);
    assert!(connected.greeting.get("protocolVersion").is_some());
    ask(&connected, call(1)).await.unwrap();
    within(
        "tell",
        connected
            .link
            .tell(Response::own_result(&portcullis_wire::Id::number(5), b"{}")),
    )
    .await
    .unwrap();
    until("the GET", || server.asked().contains(&"GET".to_owned())).await;
    within("close", connected.link.close()).await;
    assert!(!connected.link.is_alive());

    let seen = server.seen();
    let order: Vec<String> = server.asked().into_iter().filter(|what| what != "GET").collect();
    assert_eq!(
        order,
        [
            "server/discover",
            "initialize",
            "notifications/initialized",
            "tools/call",
            "answer",
            "DELETE"
        ]
    );
    assert_eq!(seen[1].header("mcp-session-id"), None);
    assert_eq!(seen[1].header("mcp-protocol-version"), None);
    assert_eq!(
        seen[1].json().at(&["params", "protocolVersion"]).unwrap().as_str(),
        "\"2025-11-25\""
    );
    for after in &seen[2..] {
        assert_eq!(after.header("mcp-session-id"), Some("s1"), "{}", after.what());
        assert_eq!(
            after.header("mcp-protocol-version"),
            Some("2025-11-25"),
            "{}",
            after.what()
        );
        assert_eq!(after.header("mcp-method"), None);
    }
}

#[tokio::test]
async fn an_old_revision_gets_no_version_header_and_may_answer_in_batches() {
    let server = Scripted::new(|seen| {
        legacy_greeting(&seen, "2025-03-26").unwrap_or_else(|| match seen.id().as_str() {
            "1" => json(format!("[{}]", result(&seen, "{}"))),
            _ => events(format!(
                "data: [{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}},{}]\n\n",
                result(&seen, "{}")
            )),
        })
    })
    .await;
    let connected = server.connect(Eras::Legacy).await;
    assert_eq!(connected.revision, Revision::V2025_03_26);
    assert_eq!(ask(&connected, call(1)).await.unwrap(), ["{}"]);
    assert_eq!(ask(&connected, call(2)).await.unwrap(), ["notifications/message", "{}"]);
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.header("mcp-protocol-version").is_none())
    );
}

#[tokio::test]
async fn a_lost_session_is_told_apart() {
    let server = legacy(|_| {
        reply(
            404,
            &[("content-type", "application/json")],
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}}"#,
        )
    })
    .await;
    let mut connected = server.connect(Eras::Legacy).await;
    assert_eq!(ask(&connected, call(1)).await.unwrap_err(), UpstreamError::SessionEnded);
    assert!(!connected.link.is_alive());
    assert!(matches!(
        within("the end", connected.strays.recv()).await,
        Some(Stray::Gone(_))
    ));
}

#[tokio::test]
async fn a_legacy_server_asks_in_the_course_of_a_call_and_pings() {
    let server = legacy(|seen| match seen.what().as_str() {
        "tools/call" => events(format!(
            "data: {{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":\"e\",\"method\":\"elicitation/create\",\"params\":{{}}}}\n\ndata: {}\n\n",
            result(seen, "{}")
        )),
        _ => reply(202, &[], ""),
    })
    .await;
    let connected = server.connect(Eras::Legacy).await;
    assert_eq!(ask(&connected, call(1)).await.unwrap(), ["elicitation/create?", "{}"]);
    until("the pong", || {
        server
            .seen()
            .iter()
            .any(|seen| seen.body == r#"{"jsonrpc":"2.0","id":"p","result":{}}"#)
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_ends_early_is_resumed_after_the_servers_pause() {
    let server = legacy(|seen| match (seen.what().as_str(), seen.header("last-event-id")) {
        ("tools/call", _) => events("id: e1\nretry: 150\ndata:\n\n"),
        ("GET", Some("e1")) => events(format!("id: e2\n{}", news("progress"))),
        ("GET", Some("e2")) => events("id: e3\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"late\":1}}\n\n"),
        _ => reply(202, &[], ""),
    })
    .await;
    let connected = server.connect(Eras::Legacy).await;
    assert_eq!(
        ask(&connected, call(1)).await.unwrap(),
        ["notifications/progress", "{\"late\":1}"]
    );
    let seen = server.seen();
    let at = |what: &str, after: Option<&str>| {
        seen.iter()
            .find(|seen| seen.what() == what && seen.header("last-event-id") == after)
            .unwrap()
    };
    let (first, second, third) = (at("tools/call", None), at("GET", Some("e1")), at("GET", Some("e2")));
    assert!(
        second.at - first.at >= Duration::from_millis(150),
        "{:?}",
        second.at - first.at
    );
    assert!(third.at - second.at >= Duration::from_millis(150));
    assert!(
        third.at - first.at < Duration::from_secs(3),
        "the server's pause, not ours"
    );
    assert_eq!(second.header("mcp-session-id"), Some("s1"));
    assert_eq!(second.header("accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn a_server_that_cannot_resume_is_named() {
    let server = legacy(|seen| match seen.what().as_str() {
        "tools/call" => events("id: e1\nretry: 1\ndata:\n\n"),
        "GET" => reply(405, &[], ""),
        _ => reply(202, &[], ""),
    })
    .await;
    let connected = server.connect(Eras::Legacy).await;
    let error = ask(&connected, call(1)).await.unwrap_err().to_string();
    assert!(error.contains("cannot resume"), "{error}");
}

#[tokio::test]
async fn the_standing_stream_brings_strays_and_is_taken_up_again() {
    let opened = Arc::new(AtomicUsize::new(0));
    let server = Scripted::new(move |seen| {
        if seen.what() != "GET" {
            return legacy_greeting(&seen, "2025-11-25").unwrap_or_else(|| reply(202, &[], ""));
        }
        match opened.fetch_add(1, Ordering::SeqCst) {
            0 => events(format!("retry: 20\nid: g1\n{}", news("tools/list_changed"))),
            1 => events(
                "data: {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"roots/list\"}\n\n",
            ),
            2 => reply(503, &[], ""),
            _ => reply(404, &[], ""),
        }
    })
    .await;
    let mut connected = server.connect(Eras::Legacy).await;
    let stray = within("the change", connected.strays.recv()).await;
    assert!(
        matches!(&stray, Some(Stray::News(news)) if *news.method() == Method::ToolsListChanged),
        "{stray:?}"
    );
    let stray = within("the question", connected.strays.recv()).await;
    assert!(
        matches!(&stray, Some(Stray::Question(question)) if *question.method() == Method::RootsList),
        "{stray:?}"
    );
    until("the pong", || {
        server
            .seen()
            .iter()
            .any(|seen| seen.body.contains(r#""id":3,"result""#))
    })
    .await;
    assert!(matches!(
        within("the end", connected.strays.recv()).await,
        Some(Stray::Gone(_))
    ));
    assert!(!connected.link.is_alive());
    let gets: Vec<Seen> = server.seen().into_iter().filter(|seen| seen.what() == "GET").collect();
    assert_eq!(gets[0].header("last-event-id"), None);
    assert!(gets[1..].iter().all(|seen| seen.header("last-event-id") == Some("g1")));
}
