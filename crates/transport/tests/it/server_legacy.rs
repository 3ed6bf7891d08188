//! The HTTP server's legacy era: sessions, questions, resumption, the standing stream, batches.

use crate::server_script::{
    Client, NEWS, QUESTION, bare, call, initialize, legacy_call, limits, modern_post, serve, until,
};
use portcullis_transport::server::Options;
use portcullis_wire::Rope;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn a_legacy_request_is_carried_on_when_its_client_goes_away() {
    let (_server, address, script) = serve(limits(|limits| limits.resumable_after = Duration::from_secs(60)));
    let session = initialize(address, "2025-11-25").await;
    for (name, count) in [("gate", 1), ("gate-with-news", 2)] {
        let mut client = Client::connect(address).await;
        client.send(&legacy_call(name, &session, "2025-11-25")).await;
        until("the call", || script.begun.load(Ordering::SeqCst) == count).await;
        drop(client);
        // A second connection's round trip gives the server time to notice.
        Client::once(address, &call("echo")).await;
        script.gate.notify_one();
        until("the end", || script.ended.load(Ordering::SeqCst) == count).await;
    }
    assert_eq!(script.dropped.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_question_keeps_the_stream_open_until_the_answer() {
    let (_server, address, _) = serve(Options::default());
    let session = initialize(address, "2025-06-18").await;
    let mut client = Client::connect(address).await;
    client.send(&legacy_call("question", &session, "2025-06-18")).await;
    assert_eq!(client.head().await.header("content-type"), "text/event-stream");
    let question = client.event().await.unwrap();
    assert_eq!(question.data, QUESTION);
    assert_eq!(
        question.id.as_deref(),
        Some("1-1"),
        "no priming event before 2025-11-25"
    );
    let answer = modern_post(
        &format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n"),
        r#"{"jsonrpc":"2.0","id":"q1","result":{"action":"accept"}}"#,
    );
    assert_eq!(Client::once(address, &answer).await.status, 202);
    let rest = client.rest().await;
    assert_eq!(rest[0], NEWS);
    assert!(rest[1].contains(r#""answered""#) && rest.len() == 2, "{rest:?}");
}

#[tokio::test]
async fn a_stream_can_be_resumed() {
    let (server, address, script) = serve(limits(|limits| limits.resumable_after = Duration::from_millis(5)));
    let session = initialize(address, "2025-11-25").await;
    let other = {
        script.begun.fetch_add(100, Ordering::SeqCst);
        initialize(address, "2025-11-25").await
    };
    let resume = |session: &str, event: &str| {
        bare(
            "GET",
            "/mcp",
            &format!(
                "Accept: text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: {session}\r\nLast-Event-ID: {event}\r\n"
            ),
        )
    };

    let mut client = Client::connect(address).await;
    client
        .send(&legacy_call("gate-with-news", &session, "2025-11-25"))
        .await;
    client.head().await;
    let priming = client.event().await.unwrap();
    assert_eq!(
        (priming.id.as_deref(), priming.retry_ms, priming.data.len()),
        (Some("1-0"), Some(1_000), 0)
    );
    assert_eq!(client.event().await.unwrap().id.as_deref(), Some("1-1"));
    drop(client);

    // The answer comes while nobody reads, and is there for who resumes.
    script.gate.notify_one();
    until("the end", || script.ended.load(Ordering::SeqCst) == 1).await;
    for (after, count) in [("1-1", 1), ("1-0", 2), ("1-1", 1), ("1-2", 0)] {
        let mut client = Client::connect(address).await;
        client.send(&resume(&session, after)).await;
        assert_eq!(client.head().await.status, 200, "{after}");
        let priming = client.event().await.unwrap();
        assert_eq!(priming.id.as_deref(), Some(after));
        let events = client.rest().await;
        assert_eq!(events.len(), count, "{after}: {events:?}");
        assert!(count == 0 || events[count - 1].contains("open"));
    }
    // Not another session's, not one that never was.
    for (session, event) in [
        (&other, "1-1"),
        (&session, "1-3"),
        (&session, "2-0"),
        (&session, "nonsense"),
        (&session, "1"),
        (&session, "-1"),
    ] {
        let answer = Client::once(address, &resume(session, event)).await;
        assert_eq!(answer.status, 400, "{event}: {answer:?}");
    }
    assert!(server.metrics().replay_bytes > 0);
    assert_eq!(server.metrics().sessions, 2);
    let delete = bare("DELETE", "/mcp", &format!("Mcp-Session-Id: {session}\r\n"));
    assert_eq!(Client::once(address, &delete).await.status, 204);
    assert_eq!(server.metrics().sessions, 1);
    assert_eq!(Client::once(address, &delete).await.status, 404);
    assert_eq!(Client::once(address, &resume(&session, "1-1")).await.status, 404);
    until("the kept events to go", || server.metrics().replay_bytes == 0).await;
}

#[tokio::test]
async fn a_slow_call_of_2025_11_25_becomes_resumable() {
    let (_server, address, script) = serve(limits(|limits| limits.resumable_after = Duration::from_millis(5)));
    let session = initialize(address, "2025-11-25").await;
    let mut client = Client::connect(address).await;
    client.send(&legacy_call("gate", &session, "2025-11-25")).await;
    client.head().await;
    assert_eq!(client.event().await.unwrap().id.as_deref(), Some("1-0"));
    script.gate.notify_one();
    let event = client.event().await.unwrap();
    assert_eq!(event.id.as_deref(), Some("1-1"));
    assert!(client.event().await.is_none());
    // A quick one is plain JSON on the same connection.
    let answer = client.ask(&legacy_call("echo", &session, "2025-11-25")).await;
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let (server, address, script) = serve(limits(|limits| {
        limits.replay_events_max = 10;
        limits.streams_per_session_max = 2;
    }));
    let session = initialize(address, "2025-11-25").await;
    for _ in 0..5 {
        let mut client = Client::connect(address).await;
        client.send(&legacy_call("news", &session, "2025-11-25")).await;
        client.head().await;
        let events = client.rest().await;
        assert_eq!(
            events.len(),
            1_002,
            "a reader that reads loses nothing, whatever is kept"
        );
    }
    let kept = server.metrics().replay_bytes;
    assert!(kept > 0 && kept < 2 * 10 * 200, "{kept}");
    // The fifth stream has its last ten events, the first has none.
    let resume = |event: &str| {
        bare(
            "GET",
            "/mcp",
            &format!(
                "Accept: text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: {session}\r\nLast-Event-ID: {event}\r\n"
            ),
        )
    };
    for (event, status) in [("5-991", 200), ("5-990", 400), ("5-1001", 200), ("1-1001", 400)] {
        let mut client = Client::connect(address).await;
        client.send(&resume(event)).await;
        assert_eq!(client.head().await.status, status, "{event}");
    }
    // Streams beyond the limit are served without ids.
    let mut clients = Vec::new();
    for count in 1..=3 {
        let mut client = Client::connect(address).await;
        client
            .send(&legacy_call("gate-with-news", &session, "2025-06-18"))
            .await;
        client.head().await;
        let event = client.event().await.unwrap();
        assert_eq!(event.id.is_some(), count <= 2, "stream {count}");
        clients.push(client);
    }
    until("three calls", || script.begun.load(Ordering::SeqCst) == 3).await;
    script.gate.notify_waiters();
    for client in &mut clients {
        assert_eq!(client.rest().await.len(), 1);
    }
}

#[tokio::test]
async fn the_standing_stream_has_one_reader() {
    let (server, address, script) = serve(Options::default());
    let session = initialize(address, "2025-11-25").await;
    let standing = script.sessions.lock().unwrap().get(&session).unwrap().clone();
    let get = bare(
        "GET",
        "/mcp",
        &format!("Accept: text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: {session}\r\n"),
    );
    // What came before anybody read is not lost.
    standing.danger_try_news(Rope::one(NEWS)).unwrap();
    let mut first = Client::connect(address).await;
    first.send(&get).await;
    assert_eq!(first.head().await.status, 200);
    assert_eq!(first.event().await.unwrap().id.as_deref(), Some("0-0"));
    assert_eq!(first.event().await.unwrap().id.as_deref(), Some("0-1"));
    // A second reader takes over; the first one ends; nothing goes out twice.
    let mut second = Client::connect(address).await;
    second.send(&get).await;
    second.head().await;
    assert!(first.event().await.is_none());
    standing.danger_try_news(Rope::one(NEWS)).unwrap();
    assert_eq!(
        second.event().await.unwrap().id.as_deref(),
        Some("0-1"),
        "where it began"
    );
    assert_eq!(second.event().await.unwrap().id.as_deref(), Some("0-2"));
    // The session ends when the gateway lets go of it.
    drop(standing);
    script.sessions.lock().unwrap().clear();
    assert!(second.event().await.is_none());
    until("the session to go", || server.metrics().sessions == 0).await;
}

#[tokio::test]
async fn a_batch_is_answered_with_an_array_or_a_stream() {
    let (_server, address, script) = serve(Options::default());
    let session = initialize(address, "2025-03-26").await;
    let send = |messages: &[&str]| {
        modern_post(
            &format!("Mcp-Session-Id: {session}\r\n"),
            &format!("[{}]", messages.join(",\n")),
        )
    };
    let request = |id: u32, name: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}"}}}}"#)
    };
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let answer = Client::once(address, &send(&[&request(1, "echo"), note, &request(2, "echo"), "{}"])).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json")
    );
    let replies = portcullis_wire::Raw::own(answer.body.clone()).unwrap().elements();
    let mut ids: Vec<_> = replies
        .iter()
        .map(|reply| reply.get("id").unwrap().as_str().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["1", "2", "null"], "{answer:?}");

    let answer = Client::once(address, &send(&[note, note])).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    assert_eq!(script.notified.lock().unwrap().len(), 3);

    let init = r#"{"jsonrpc":"2.0","id":9,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}"#;
    let answer = Client::once(address, &send(&[&request(1, "echo"), init])).await;
    assert!(
        answer.body.contains("-32600") && answer.body.contains("\"id\":9"),
        "{answer:?}"
    );

    let mut client = Client::connect(address).await;
    client.send(&send(&[&request(1, "echo"), &request(2, "pretty")])).await;
    assert_eq!(client.head().await.header("content-type"), "text/event-stream");
    let events = client.rest().await;
    assert_eq!(events.len(), 3, "{events:?}");

    let answer = Client::once(address, &send(&[&request(1, "echo")]).replace(&session, "gone")).await;
    assert_eq!(answer.status, 404);
}
