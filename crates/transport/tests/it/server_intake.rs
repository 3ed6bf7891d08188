//! Of whom the HTTP server takes bodies, and how much.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its failure")]

use crate::server_script::{Answer, Client, META, Script, call, limits, modern_post, serve, until, within};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_transport::server::{HttpServer, Options};
use portcullis_transport::{BoxFuture, Knock, TurnedAway};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const CALL: &str = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n";
const CONTINUE: &str = "Expect: 100-continue\r\n";
const LARGE: usize = 100_000;

/// A call of `name` in `bytes` bytes, by who says `who`: head and body.
fn sized(name: &str, who: &str, bytes: usize) -> (String, String) {
    let text = |padding: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}","arguments":{{{padding}}},{META}}}}}"#
        )
    };
    let body = text(&" ".repeat(bytes - text("").len()));
    let headers = format!("{CALL}Mcp-Name: {name}\r\nAuthorization: Bearer {who}\r\n");
    let (head, body) = split(&modern_post(&headers, &body));
    assert_eq!(body.len(), bytes);
    (head, body)
}

fn split(request: &str) -> (String, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    (format!("{head}\r\n\r\n"), body.to_owned())
}

/// `head` with another header.
fn with(head: &str, header: &str) -> String {
    head.replace("\r\n\r\n", &format!("\r\n{header}\r\n"))
}

/// `head` of a body whose length is not said.
fn undeclared(head: &str) -> String {
    let lines = head
        .trim_end()
        .lines()
        .filter(|line| !line.starts_with("Content-Length"));
    format!(
        "{}\r\nTransfer-Encoding: chunked\r\n\r\n",
        lines.collect::<Vec<_>>().join("\r\n")
    )
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn assert_turned_away(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.header("www-authenticate"), &*answer.body),
        (401, "Bearer realm=\"test\"", "who are you\n")
    );
}

fn asked(script: &Script) -> (usize, usize) {
    (
        script.knocks.load(Ordering::SeqCst),
        script.strangers.load(Ordering::SeqCst),
    )
}

#[tokio::test]
async fn a_large_body_is_taken_only_of_who_is_let_in() {
    let (server, address, script) = serve(Options::default());
    // Nothing but the head is sent, and nothing but that is needed.
    let (head, _) = sized("echo", "bad", LARGE);
    let mut client = Client::connect(address).await;
    assert_turned_away(&client.ask(&head).await);
    assert_eq!(asked(&script), (1, 0), "asked once, and the message never came");
    // A length that is not said is believed to be small until it is not.
    let (head, body) = sized("echo", "bad", LARGE);
    let mut client = Client::connect(address).await;
    client.send(&undeclared(&head)).await;
    client.send(&chunk(&body[..60_000])).await;
    until("what is small", || server.metrics().bodies_bytes == 60_000).await;
    assert_eq!(asked(&script), (1, 0));
    assert_turned_away(&client.ask(&chunk(&body[60_000..])).await);
    assert_eq!(asked(&script), (2, 0));
    until("the bodies to be let go", || server.metrics().bodies_bytes == 0).await;
    // A small one needs no asking: the message is what is refused.
    let (head, body) = sized("echo", "bad", 1_000);
    assert_turned_away(&Client::once(address, &(head + &body)).await);
    assert_eq!(asked(&script), (2, 1));

    let (head, body) = sized("echo", "good", LARGE);
    let answer = Client::once(address, &format!("{head}{body}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut client = Client::connect(address).await;
    client.send(&undeclared(&head)).await;
    client.send(&chunk(&body)).await;
    assert_eq!(client.ask("0\r\n\r\n").await.status, 200);
    assert_eq!(asked(&script), (4, 1));
    let (head, body) = sized("echo", "good", 1_000);
    assert_eq!(Client::once(address, &(head + &body)).await.status, 200);
    assert_eq!(asked(&script), (4, 1));
    until("the bodies to be let go", || server.metrics().bodies_bytes == 0).await;
}

#[tokio::test]
async fn who_waits_for_100_continue_is_asked_before_it_comes() {
    let (_server, address, script) = serve(Options::default());
    let (head, body) = sized("echo", "bad", LARGE);
    for head in [head.clone(), undeclared(&head)] {
        let mut client = Client::connect(address).await;
        client.send(&with(&head, CONTINUE)).await;
        // An interim answer would be the first head to come.
        assert_turned_away(&client.answer().await);
        assert!(client.closed().await, "nobody can tell whether the body follows");
    }
    assert_eq!(asked(&script), (2, 0));
    let (head, _) = sized("echo", "good", LARGE);
    for (head, body) in [
        (head.clone(), body.clone()),
        (undeclared(&head), chunk(&body) + "0\r\n\r\n"),
    ] {
        let mut client = Client::connect(address).await;
        client.send(&with(&head, CONTINUE)).await;
        assert_eq!(within("an interim answer", client.head()).await.status, 100);
        assert_eq!(client.ask(&body).await.status, 200);
    }
}

/// A body that says how long it is, or not, and sends `first`, and then ends, or does not.
struct Sent {
    declared: Option<u64>,
    first: Option<Bytes>,
    ends: bool,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[tokio::test]
async fn a_stream_of_http2_is_asked_as_a_connection_is() {
    let (server, address, script) = serve(Options::default());
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = |who: &str, declared, first: String, ends| {
        hyper::Request::post("http://localhost/mcp")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "echo")
            .header("authorization", format!("Bearer {who}"))
            .body(Sent {
                declared,
                first: (!first.is_empty()).then(|| first.into()),
                ends,
            })
            .unwrap()
    };
    let (_, body) = sized("echo", "good", LARGE);
    for (declared, first) in [(Some(LARGE as u64), ""), (None, &*body)] {
        let request = request("bad", declared, first.to_owned(), false);
        let answer = within("a refusal", sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"test\"");
    }
    assert_eq!(asked(&script), (2, 0));
    // Who is let in is waited for.
    let mut other = sender.clone();
    let slow = request("good", None, body.clone(), false);
    let waiting = tokio::spawn(async move { other.send_request(slow).await });
    until("the body", || server.metrics().bodies_bytes == LARGE).await;
    assert_eq!(asked(&script), (3, 0));
    waiting.abort();
    for declared in [Some(LARGE as u64), None] {
        let request = request("good", declared, body.clone(), true);
        let answer = within("an answer", sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    until("the body to be let go", || server.metrics().bodies_bytes == 0).await;
}

#[tokio::test]
async fn strangers_who_really_send_keep_nobody_out() {
    const STRANGERS: usize = 40;
    let (server, address, script) = serve(limits(|limits| {
        limits.bodies_bytes_max = 100_000;
        limits.body_unasked_bytes_max = 8_000;
        limits.bodies_unasked_bytes_max = 20_000;
    }));
    let (head, body) = sized("echo", "bad", 6_000);
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        let mut stranger = Client::connect(address).await;
        stranger.send(&format!("{head}{}", &body[..5_000])).await;
        strangers.push(stranger);
    }
    // Each is either waited for or, once there are too many, turned away.
    until("the strangers", || {
        asked(&script).0 + server.metrics().bodies_bytes / 5_000 == STRANGERS
    })
    .await;
    assert!(server.metrics().bodies_bytes <= 20_000, "{:?}", server.metrics());
    for bytes in [1_000, 8_000, 30_000] {
        let (head, body) = sized("echo", "good", bytes);
        let answer = Client::once(address, &(head + &body)).await;
        assert_eq!(answer.status, 200, "{bytes}: {answer:?}");
    }
}

/// Memory for bodies that callers share: so much in all, and so much for one message.
fn shared(bodies: usize, message: usize) -> Options {
    let mut options = limits(|limits| {
        limits.bodies_bytes_max = bodies;
        limits.body_unasked_bytes_max = 8_000;
        limits.bodies_unasked_bytes_max = 0;
        limits.bodies_bytes_per_caller_max = 30_000;
    });
    options.message_limits.message_bytes_max = message;
    options
}

/// Head and body at once.
fn whole(name: &str, who: &str, bytes: usize) -> String {
    let (head, body) = sized(name, who, bytes);
    head + &body
}

#[tokio::test]
async fn one_caller_does_not_take_the_place_of_all() {
    let (server, address, script) = serve(shared(100_000, 20_000));
    let mut held = Client::connect(address).await;
    held.send(&whole("gate", "one", 18_000)).await;
    until("the call", || script.begun.load(Ordering::SeqCst) == 1).await;
    let answer = Client::once(address, &whole("echo", "one", 18_000)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
    assert!(answer.body.contains("hint:"), "{answer:?}");
    // What is declared is too much already.
    let (head, _) = sized("echo", "one", 18_000);
    assert_eq!(Client::once(address, &with(&head, CONTINUE)).await.status, 429);
    // What is not declared is when it has come.
    let (head, body) = sized("echo", "one", 18_000);
    let mut client = Client::connect(address).await;
    client.send(&undeclared(&head)).await;
    client.send(&chunk(&body[..9_000])).await;
    until("a part of it", || server.metrics().bodies_bytes == 27_000).await;
    assert_eq!(client.ask(&chunk(&body[9_000..])).await.status, 429);
    assert_eq!(Client::once(address, &whole("echo", "one", 10_000)).await.status, 200);
    for _ in 0..3 {
        assert_eq!(Client::once(address, &whole("echo", "two", 18_000)).await.status, 200);
    }
    script.gate.notify_one();
    assert_eq!(held.answer().await.status, 200);
    until("the share to be given back", || server.metrics().bodies_bytes == 0).await;
    assert_eq!(Client::once(address, &whole("echo", "one", 18_000)).await.status, 200);
}

/// Of several callers who take what they can, each gets at most what is left free, so that the next one is served all the same.
#[tokio::test]
async fn several_callers_do_not_take_the_place_of_all() {
    let (server, address, script) = serve(shared(120_000, 30_000));
    let mut held = Vec::new();
    for (who, bytes) in [("one", 30_000), ("two", 30_000), ("three", 20_000)] {
        let mut client = Client::connect(address).await;
        client.send(&whole("gate", who, bytes)).await;
        held.push(client);
        until("the call", || script.begun.load(Ordering::SeqCst) == held.len()).await;
    }
    // 105,000 are for shares of any size: 25,000 are left of them, of which nobody may have more than 12,500.
    for (who, bytes) in [("three", 9_000), ("four", 13_000)] {
        let answer = Client::once(address, &whole("echo", who, bytes)).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{who}");
        assert!(answer.body.contains("hint:"), "{answer:?}");
    }
    // One that does not say how much it will be is told when it is too much.
    let (head, body) = sized("echo", "four", 13_000);
    let mut client = Client::connect(address).await;
    client.send(&undeclared(&head)).await;
    client.send(&chunk(&body[..12_000])).await;
    until("a part of it", || server.metrics().bodies_bytes == 92_000).await;
    assert_eq!(client.ask(&chunk(&body[12_000..])).await.status, 503);
    until("the part to be given back", || server.metrics().bodies_bytes == 80_000).await;
    assert_eq!(Client::once(address, &whole("echo", "four", 12_000)).await.status, 200);
    // Whoever holds little has what is kept for such callers, to the last byte.
    for who in ["four", "five", "six", "seven", "eight"] {
        let mut client = Client::connect(address).await;
        client.send(&whole("gate", who, 8_000)).await;
        held.push(client);
        until("the call", || script.begun.load(Ordering::SeqCst) == held.len()).await;
    }
    assert_eq!(server.metrics().bodies_bytes, 120_000);
    assert_eq!(Client::once(address, &whole("echo", "nine", 1_000)).await.status, 503);
    for mut client in held {
        script.gate.notify_waiters();
        assert_eq!(client.answer().await.status, 200);
    }
    until("the shares to be given back", || server.metrics().bodies_bytes == 0).await;
    assert_eq!(Client::once(address, &whole("echo", "four", 30_000)).await.status, 200);
}

#[tokio::test]
async fn who_is_turned_away_while_it_sends_comes_to_read_why() {
    let (server, address, script) = serve(Options::default());
    let (head, body) = sized("echo", "bad", 8 << 20);
    let mut client = Client::connect(address).await;
    assert_turned_away(&client.ask(&(head + &body)).await);
    assert_eq!(server.metrics().bodies_bytes, 0);
    // All of it was read over, and what follows is a request.
    assert_eq!(client.ask(&call("echo")).await.status, 200);
    assert_eq!(asked(&script), (1, 0));
}

/// The refusal may take its time; the body does not wait for it.
#[tokio::test]
async fn what_a_stranger_sent_is_let_go_before_the_refusal_comes() {
    let script = Arc::new(Script::default());
    let (noted, says_why) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (to_note, why) = (noted.clone(), says_why.clone());
    let options = Options {
        doorkeeper: Some(Arc::new(move |_: &Knock<'_>| {
            to_note.notify_one();
            let why = why.clone();
            Err(Box::pin(async move {
                why.notified().await;
                TurnedAway {
                    challenge: "Bearer".to_owned(),
                    message: "no".to_owned(),
                }
            }) as BoxFuture<'static, TurnedAway>)
        })),
        ..Options::default()
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = HttpServer::start(vec![listener], options, script.handler()).unwrap();
    let (head, body) = sized("echo", "bad", LARGE);
    let mut client = Client::connect(server.address().unwrap()).await;
    client.send(&undeclared(&head)).await;
    client.send(&chunk(&body)).await;
    within("the doorkeeper", noted.notified()).await;
    until("the body to be let go", || server.metrics().bodies_bytes == 0).await;
    says_why.notify_one();
    assert_eq!(client.ask("0\r\n\r\n").await.status, 401);
}

#[tokio::test]
async fn without_a_doorkeeper_callers_are_told_apart_by_their_address() {
    let script = Arc::new(Script::default());
    let options = limits(|limits| {
        limits.bodies_unasked_bytes_max = 0;
        limits.bodies_bytes_per_caller_max = 30_000;
    });
    let options = Options {
        message_limits: portcullis_wire::Limits {
            message_bytes_max: 20_000,
            ..portcullis_wire::Limits::default()
        },
        ..options
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = HttpServer::start(vec![listener], options, script.handler()).unwrap();
    let address = server.address().unwrap();
    let whole = |name: &str, who: &str| {
        let (head, body) = sized(name, who, 18_000);
        head + &body
    };
    let mut held = Client::connect(address).await;
    held.send(&whole("gate", "one")).await;
    until("the call", || script.begun.load(Ordering::SeqCst) == 1).await;
    assert_eq!(Client::once(address, &whole("echo", "two")).await.status, 429);
    script.gate.notify_one();
    assert_eq!(held.answer().await.status, 200);
    until("the share to be given back", || server.metrics().bodies_bytes == 0).await;
    assert_eq!(Client::once(address, &whole("echo", "two")).await.status, 200);
}
