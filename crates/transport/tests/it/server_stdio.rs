//! The stdio server over pipes in memory.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its failure")]

use crate::server_script::{META, NEWS, QUESTION, Script, until, within};
use portcullis_transport::lines::LineError;
use portcullis_transport::server::{StdioEnd, StdioOptions, serve_stdio};
use portcullis_wire::Raw;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

struct Host {
    input: Option<WriteHalf<DuplexStream>>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    end: JoinHandle<StdioEnd>,
    script: Arc<Script>,
}

fn start(change: impl FnOnce(&mut StdioOptions)) -> Host {
    let mut options = StdioOptions::new("alice");
    change(&mut options);
    let script = Arc::new(Script::default());
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (input, output) = tokio::io::split(theirs);
    let end = tokio::spawn(serve_stdio(input, output, options, script.handler()));
    let (output, input) = tokio::io::split(ours);
    Host {
        input: Some(input),
        output: BufReader::new(output).lines(),
        end,
        script,
    }
}

impl Host {
    async fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        within("a line", self.output.next_line()).await.unwrap().unwrap()
    }

    async fn ask(&mut self, line: &str) -> String {
        self.send(line).await;
        self.line().await
    }

    async fn close(mut self) -> StdioEnd {
        self.input.take().unwrap().shutdown().await.unwrap();
        within("the end", &mut self.end).await.unwrap()
    }
}

fn modern(id: u32, name: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}",{META}}}}}"#)
}

fn legacy(id: u32, name: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}"}}}}"#)
}

fn initialize(version: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}"}}}}"#)
}

#[tokio::test]
async fn both_eras_on_one_process() {
    let mut host = start(|_| {});
    let answer = host.ask(&modern(2, "echo")).await;
    assert!(
        answer.contains("tools/call 2026-07-28 endpoint= session=none secret=false"),
        "{answer}"
    );
    let answer = host.ask(&initialize("2025-06-18")).await;
    assert!(answer.contains("2025-06-18"), "{answer}");
    host.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
        .await;
    let answer = host.ask(&legacy(3, "echo")).await;
    assert!(
        answer.contains("tools/call 2025-06-18 endpoint= session=stdio"),
        "{answer}"
    );
    assert!(host.ask(&modern(4, "echo")).await.contains("2026-07-28"));
    assert_eq!(*host.script.notified.lock().unwrap(), ["notifications/initialized"]);
    assert!(matches!(host.close().await, StdioEnd::Closed { unanswered: 0 }));
}

#[tokio::test]
async fn refusals_are_answered_and_the_next_line_is_served() {
    let mut host = start(|_| {});
    for (line, code) in [
        ("nonsense", -32700),
        ("{}", -32600),
        (r#"{"jsonrpc":"2.0","method":"tools/call","params":{}}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{}}"#,
            -32600,
        ),
        ("[]", -32600),
        (&format!("[{}]", legacy(1, "echo")), -32600),
        (
            &format!(r#"{{"jsonrpc":"2.0","id":5,"method":"ping","params":{{{META}}}}}"#),
            -32601,
        ),
        (
            r#"{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
            -32602,
        ),
        (&modern(5, "echo").replace("2026-07-28", "v9"), -32022),
    ] {
        let answer = host.ask(line).await;
        assert!(answer.contains(&format!("\"code\":{code},")), "{line}: {answer}");
        assert_eq!(answer.contains("\"id\":5"), line.contains("\"id\":5"), "{answer}");
    }
    assert!(host.ask(&modern(6, "echo")).await.contains("result"));
}

#[tokio::test]
async fn news_precede_their_reply_and_lines_stay_whole() {
    let mut host = start(|_| {});
    for id in 0..4 {
        host.send(&modern(id, "news")).await;
    }
    let mut replies = 0;
    let mut progress = 0;
    while replies < 4 {
        let line = host.line().await;
        let message = Raw::own(line.clone()).unwrap_or_else(|error| panic!("{error}: {line}"));
        match message.get("id") {
            Some(_) => {
                replies += 1;
                assert!(progress >= replies * 1_000, "a reply overtook its news");
            }
            None => progress += 1,
        }
    }
    assert_eq!(progress, 4_000);
    // A message with line breaks between its tokens is one line.
    host.send(&modern(9, "pretty")).await;
    assert_eq!(host.line().await, NEWS);
    assert!(Raw::own(host.line().await).unwrap().get("result").is_some());
}

#[tokio::test]
async fn many_requests_at_once_up_to_the_limit() {
    let mut host = start(|options| options.requests_max = 2);
    host.send(&modern(1, "gate")).await;
    host.send(&modern(2, "gate")).await;
    let refused = host.ask(&modern(3, "gate")).await;
    assert!(refused.contains("\"id\":3") && refused.contains("-32603"), "{refused}");
    host.script.gate.notify_waiters();
    let mut answers = [host.line().await, host.line().await];
    answers.sort();
    assert!(
        answers[0].contains("\"id\":1") && answers[1].contains("\"id\":2"),
        "{answers:?}"
    );
    assert!(host.ask(&modern(4, "echo")).await.contains("\"id\":4"));
}

#[tokio::test]
async fn a_question_is_answered_on_the_same_pipe() {
    let mut host = start(|_| {});
    host.ask(&initialize("2025-11-25")).await;
    assert_eq!(host.ask(&legacy(2, "question")).await, QUESTION);
    let news = host
        .ask(r#"{"jsonrpc":"2.0","id":"q1","result":{"action":"decline"}}"#)
        .await;
    assert_eq!(news, NEWS);
    assert!(host.line().await.contains("decline"));
    // And what belongs to no request.
    let standing = host.script.sessions.lock().unwrap()["stdio"].clone();
    standing.danger_try_news(portcullis_wire::Rope::one(NEWS)).unwrap();
    assert_eq!(host.line().await, NEWS);
}

#[tokio::test]
async fn batches_are_2025_03_26_alone() {
    let mut host = start(|_| {});
    host.ask(&initialize("2025-03-26")).await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let answer = host
        .ask(&format!("[{},{note},{}]", legacy(1, "echo"), legacy(2, "echo")))
        .await;
    assert_eq!(Raw::own(answer).unwrap().elements().len(), 2);
    host.send(&format!("[{note}]")).await;
    let answer = host.ask(&format!("[{}]", initialize("2025-03-26"))).await;
    assert!(answer.starts_with('[') && answer.contains("-32600"), "{answer}");
    host.ask(&initialize("2025-06-18")).await;
    let answer = host.ask(&format!("[{}]", legacy(1, "echo"))).await;
    assert!(answer.contains("-32600"), "{answer}");
}

#[tokio::test]
async fn the_end_of_the_input_waits_for_answers() {
    let mut host = start(|_| {});
    host.send(&modern(1, "gate")).await;
    until("the call", || host.script.begun.load(Ordering::SeqCst) == 1).await;
    host.input.take().unwrap().shutdown().await.unwrap();
    host.script.gate.notify_one();
    assert!(host.line().await.contains("open"));
    let end = within("the end", &mut host.end).await.unwrap();
    assert!(matches!(end, StdioEnd::Closed { unanswered: 0 }), "{end:?}");

    let mut host = start(|options| options.drain = Duration::from_millis(20));
    host.send(&modern(1, "gate")).await;
    until("the call", || host.script.begun.load(Ordering::SeqCst) == 1).await;
    let script = host.script.clone();
    let end = host.close().await;
    assert!(matches!(end, StdioEnd::Closed { unanswered: 1 }), "{end:?}");
    assert_eq!(script.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn broken_framing_ends_it() {
    let mut host = start(|options| options.message_limits.message_bytes_max = 1_000);
    let answer = host.ask(&" ".repeat(2_000)).await;
    assert!(answer.contains("-32600") && answer.contains("1000"), "{answer}");
    let end = within("the end", &mut host.end).await.unwrap();
    assert!(matches!(end, StdioEnd::Broken(LineError::TooLong { .. })), "{end:?}");

    let mut host = start(|_| {});
    host.input.as_mut().unwrap().write_all(b"{\"half").await.unwrap();
    let end = host.close().await;
    assert!(matches!(end, StdioEnd::Broken(LineError::Truncated { .. })), "{end:?}");
}
