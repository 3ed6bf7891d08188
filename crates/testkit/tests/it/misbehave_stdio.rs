//! Each misbehaviour over lines, seen from the other end of a pipe.

use std::time::Duration;

use portcullis_testkit::misbehave::{Mode, Moment, Script, serve_stdio};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
};

const ECHO: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\"}}\n";
const WORK: &str = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"work\"}}\n";
const A_WHILE: Duration = Duration::from_millis(300);

struct Server {
    to: DuplexStream,
    from: DuplexStream,
    task: JoinHandle<std::io::Result<()>>,
}

fn server(mode: Mode) -> Server {
    let (to, input) = duplex(64 * 1024);
    let (output, from) = duplex(64 * 1024);
    let task = tokio::spawn(serve_stdio(
        Script {
            mode,
            moment: Moment::Call,
        },
        input,
        output,
    ));
    Server { to, from, task }
}

impl Server {
    /// Sends `line` and reads until the end, `limit` bytes, or a while.
    async fn ask(&mut self, line: &str, limit: usize) -> Vec<u8> {
        self.to.write_all(line.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while seen.len() < limit {
            match tokio::time::timeout(A_WHILE, self.from.read(&mut buffer)).await {
                Ok(Ok(count)) if count > 0 => seen.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        seen
    }
}

#[tokio::test]
async fn all_else_works_in_every_mode() {
    for (name, mode) in Mode::ALL {
        let seen = server(mode).ask(ECHO, 1).await;
        assert!(
            seen.ends_with(b"\n") && String::from_utf8_lossy(&seen).contains("\"id\":1"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_notification_and_nonsense_are_not_answered() {
    let mut server = server(Mode::Silent);
    let nothing = server
        .ask(
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\nnonsense\n",
            1,
        )
        .await;
    assert_eq!(nothing, b"");
    assert!(!server.ask(ECHO, 1).await.is_empty());
}

#[tokio::test]
async fn silent_and_endless_leave_room_for_others() {
    for mode in [Mode::Silent, Mode::Endless] {
        let mut server = server(mode);
        server.ask(WORK, 1).await;
        let seen = String::from_utf8(server.ask(ECHO, 2048).await).unwrap();
        assert!(seen.contains("\"id\":1") && !seen.contains("\"id\":2"), "{mode:?}");
    }
}

#[tokio::test]
async fn slow_noise_and_oversized_hold_the_line() {
    for (mode, limit) in [
        (Mode::Slow, 2),
        (Mode::Noise, usize::MAX),
        (Mode::Oversized, 32 * 1024 * 1024),
    ] {
        let mut server = server(mode);
        let seen = server.ask(WORK, limit).await;
        assert!(!seen.is_empty() && !seen.contains(&b'\n'), "{mode:?}");
    }
}

#[tokio::test]
async fn garbage_is_a_line_and_no_text() {
    let seen = server(Mode::Garbage).ask(WORK, usize::MAX).await;
    assert!(seen.ends_with(b"\n") && std::str::from_utf8(&seen).is_err());
}

#[tokio::test]
async fn a_stranger_answers_somebody_else() {
    let seen = server(Mode::Stranger).ask(WORK, 1).await;
    assert!(String::from_utf8(seen).unwrap().contains("nobody-asked-this"));
}

#[tokio::test]
async fn dying_leaves_half_a_line_and_gone_leaves_nothing() {
    let mut dying = server(Mode::Dying);
    let seen = dying.ask(WORK, usize::MAX).await;
    assert!(seen.starts_with(b"{") && !seen.contains(&b'\n'));
    dying.task.await.unwrap().unwrap();

    let mut gone = server(Mode::Gone);
    assert_eq!(gone.ask(WORK, usize::MAX).await, b"");
    gone.task.await.unwrap().unwrap();
}
