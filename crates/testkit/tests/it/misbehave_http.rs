//! Each misbehaviour over HTTP, seen from a socket.

use std::{net::SocketAddr, time::Duration};

use portcullis_testkit::misbehave::{Mode, Moment, Script, serve_http};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const ECHO: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}"#;
const WORK: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"work"}}"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;

/// Long enough for an answer on loopback, short enough to wait for the lack of one.
const A_WHILE: Duration = Duration::from_millis(300);

async fn server(mode: Mode, moment: Moment) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(serve_http(Script { mode, moment }, listener)))
}

/// Whether `seen` is a whole answer by its own account.
fn is_whole(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&seen[..seen.len().min(1024)]);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let promised = head
        .rsplit_once("content-length: ")
        .and_then(|(_, length)| length.parse::<usize>().ok());
    promised.is_some_and(|promised| seen.len() >= head.len() + 4 + promised)
}

/// Sends `body` and reads until the answer is whole, the end, `limit` bytes, or a while.
async fn post(address: SocketAddr, body: &str, limit: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while seen.len() < limit && !is_whole(&seen) {
        match tokio::time::timeout(A_WHILE, stream.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => seen.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    seen
}

async fn text(address: SocketAddr, body: &str) -> String {
    String::from_utf8_lossy(&post(address, body, usize::MAX).await).into_owned()
}

#[tokio::test]
async fn all_else_works_in_every_mode() {
    for (name, mode) in Mode::ALL {
        let (address, _server) = server(mode, Moment::Call).await;
        assert!(text(address, ECHO).await.contains(r#""text":"hello""#), "{name}");
        assert!(
            text(address, INITIALIZE)
                .await
                .contains(r#""protocolVersion":"2025-06-18""#),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_start_can_be_spoilt() {
    let (address, _server) = server(Mode::Silent, Moment::Start).await;
    assert_eq!(text(address, INITIALIZE).await, "");
}

#[tokio::test]
async fn silent_says_nothing_and_serves_others_meanwhile() {
    let (address, _server) = server(Mode::Silent, Moment::Call).await;
    let (work, echo) = tokio::join!(text(address, WORK), text(address, ECHO));
    assert_eq!(work, "");
    assert!(echo.contains("hello"));
}

#[tokio::test]
async fn slow_and_dying_do_not_finish_what_they_promise() {
    for mode in [Mode::Slow, Mode::Dying] {
        let (address, _server) = server(mode, Moment::Call).await;
        let seen = String::from_utf8(post(address, WORK, 70).await).unwrap();
        let (head, body) = seen.split_once("\r\n\r\n").unwrap();
        let promised: usize = head.rsplit(": ").next().unwrap().parse().unwrap();
        assert!(body.len() < promised, "{mode:?}: {seen}");
    }
}

#[tokio::test]
async fn endless_goes_on_without_an_answer() {
    let (address, _server) = server(Mode::Endless, Moment::Call).await;
    let seen = String::from_utf8(post(address, WORK, 4096).await).unwrap();
    assert!(seen.matches("still busy").count() > 10);
    assert!(!seen.contains("result"));
}

#[tokio::test]
async fn oversized_goes_beyond_any_sane_limit() {
    let (address, _server) = server(Mode::Oversized, Moment::Call).await;
    let limit = 32 * 1024 * 1024;
    assert!(post(address, WORK, limit).await.len() >= limit);
}

#[tokio::test]
async fn garbage_and_noise_are_no_text() {
    let (address, _server) = server(Mode::Garbage, Moment::Call).await;
    let seen = post(address, WORK, usize::MAX).await;
    assert!(seen.starts_with(b"HTTP/1.1 200 OK") && std::str::from_utf8(&seen).is_err());

    let (address, _server) = server(Mode::Noise, Moment::Call).await;
    assert!(!post(address, WORK, usize::MAX).await.starts_with(b"HTTP"));
}

#[tokio::test]
async fn a_stranger_answers_somebody_else() {
    let (address, _server) = server(Mode::Stranger, Moment::Call).await;
    let seen = text(address, WORK).await;
    assert!(seen.contains("nobody-asked-this") && seen.contains("result"), "{seen}");
}

#[tokio::test]
async fn a_gone_server_leaves_no_listener() {
    let (address, server) = server(Mode::Gone, Moment::Call).await;
    assert_eq!(text(address, WORK).await, "");
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let (address, _server) = server(Mode::Silent, Moment::Call).await;
    assert!(text(address, "{").await.starts_with("HTTP/1.1 400"));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /mcp HTTP/1.1\r\n\r\n").await.unwrap();
    let mut seen = [0; 12];
    stream.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"HTTP/1.1 405");
}

#[tokio::test]
async fn any_address_but_loopback_is_refused() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let script = Script {
        mode: Mode::Silent,
        moment: Moment::Call,
    };
    assert!(serve_http(script, listener).await.is_err());
}
