//! The client's stdio against scripted commands: how the era is found, which request a line belongs to, and that each
//! misbehaviour is named and ends only what it must.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its failure")]

use crate::client_script::*;
use portcullis_transport::child::{self, CommandSpec};
use portcullis_transport::client::{CommandTarget, Target};
use portcullis_transport::{Connected, Eras, Event, Stray, UpstreamError};
use portcullis_wire::{Era, Limits, Method, Revision};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Reads lines, notes them in the file `$1`, and does what the cases say; `$id` is the id of the line.
const LOOP: &str = r#"
    result() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
    error() { printf '{"jsonrpc":"2.0","id":%s,"error":{"code":%s,"message":"no"}}\n' "$id" "$1"; }
    say() { printf '%s\n' "$1"; }
    while IFS= read -r line; do
        printf '%s\n' "$line" >> "$1"
        id=${line#*\"id\":}; id=${id%%,*}
        case $line in
            CASES
        esac
    done
"#;
const MODERN: &str = r#"*'"server/discover"'*) result '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}';;"#;
const LEGACY: &str = r#"
    *'"server/discover"'*) error -32601;;
    *'"initialize"'*) result '{"protocolVersion":"2025-11-25","capabilities":{}}';;
    *'"notifications/initialized"'*) ;;
"#;

/// A command and what it was told.
struct Command {
    target: Target,
    folder: TempDir,
}

impl Command {
    fn new(greeting: &str, cases: &str) -> Self {
        Self::running(&LOOP.replace("CASES", &format!("{greeting}\n{cases}")))
    }

    fn running(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "").unwrap();
        let own = std::env::current_exe().unwrap();
        let launcher = own.parent().unwrap().parent().unwrap().join("examples/launcher");
        assert!(
            launcher.exists(),
            "build the example first: cargo build -p portcullis-transport --example launcher"
        );
        let spec = CommandSpec {
            name: "scripted".into(),
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into(), "sh".into(), log.display().to_string()],
            environment: child::environment(std::env::vars_os(), &[]),
            working_directory: None,
            line_bytes_max: 10_000,
            grace_ms: 200,
            launcher,
        };
        let target = CommandTarget::new(spec, Limits::default()).with_times(Duration::from_secs(10), PATIENCE);
        Self {
            target: Target::Command(target),
            folder,
        }
    }

    fn with_probe_time(mut self, probe_time_max: Duration) -> Self {
        if let Target::Command(target) = self.target {
            self.target = Target::Command(target.with_times(probe_time_max, PATIENCE));
        }
        self
    }

    async fn connect(&self) -> Connected {
        connect(&self.target, Eras::Probe).await.unwrap()
    }

    /// The lines that it was told.
    fn told(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        log.lines().map(str::to_owned).collect()
    }

    fn was_told(&self, part: &str) -> bool {
        self.told().iter().any(|line| line.contains(part))
    }

    async fn fails(&self) -> String {
        connect(&self.target, Eras::Probe)
            .await
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }
}

#[tokio::test]
async fn a_modern_command_is_found_and_called() {
    let command = Command::new(MODERN, r#"*tools/call*) result '{"ok":1}';;"#);
    let connected = command.connect().await;
    assert_eq!(connected.revision, Revision::V2026_07_28);
    assert!(connected.greeting.get("supportedVersions").is_some());
    for id in 1..20 {
        assert_eq!(ask(&connected, call(id)).await.unwrap(), [r#"{"ok":1}"#]);
    }
    within("close", connected.link.close()).await;
    assert!(!connected.link.is_alive());
    assert!(connected.link.request(call(99)).await.is_err());
    assert_eq!(command.told().len(), 20, "nothing but what was asked");
}

#[tokio::test]
async fn a_legacy_command_is_found_by_error_silence_or_its_end_and_remembered() {
    let initialize = LEGACY.replace(r#"*'"server/discover"'*) error -32601;;"#, "");
    let by_error = Command::new(LEGACY, "*tools/call*) result '{}';;");
    let by_silence =
        Command::new(&initialize, "*tools/call*) result '{}';;").with_probe_time(Duration::from_millis(100));
    let by_its_end = Command::new(
        &format!(r#"*'"server/discover"'*) echo 'expected initialize' >&2; exit 1;; {initialize}"#),
        "*tools/call*) result '{}';;",
    );
    for command in [by_error, by_silence, by_its_end] {
        let connected = command.connect().await;
        assert_eq!(connected.revision, Revision::V2025_11_25);
        ask(&connected, call(1)).await.unwrap();
        assert!(command.was_told("notifications/initialized"));
        let count = |what: &str| command.told().iter().filter(|line| line.contains(what)).count();
        assert_eq!(count("server/discover"), 1);
        let again = command.connect().await;
        ask(&again, call(1)).await.unwrap();
        assert_eq!(count("server/discover"), 1, "the era is kept");
        assert_eq!(count("notifications/cancelled"), 0);
    }
}

#[tokio::test]
async fn a_slow_modern_command_is_not_taken_for_legacy() {
    let command = Command::new(
        "",
        r#"*server/discover*) if [ -z "$seen" ]; then seen=1; else result '{"supportedVersions":["2026-07-28"]}'; fi;;
           *initialize*) error -32601;;"#,
    )
    .with_probe_time(Duration::from_millis(200));
    assert_eq!(command.connect().await.revision.era(), Era::Modern);
}

#[tokio::test]
async fn an_era_that_proves_wrong_is_probed_again() {
    let command = Command::new(
        "",
        r#"
        *server/discover*) if [ -e "$1.new" ]; then result '{"supportedVersions":["2026-07-28"]}'; else error -32601; fi;;
        *initialize*) if [ -e "$1.new" ]; then error -32022; else result '{"protocolVersion":"2025-06-18"}'; fi;;
    "#,
    );
    assert_eq!(command.connect().await.revision, Revision::V2025_06_18);
    std::fs::write(command.folder.path().join("log.new"), "").unwrap();
    assert_eq!(command.connect().await.revision, Revision::V2026_07_28);
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order() {
    // The first call is answered with the second.
    let command = Command::new(
        MODERN,
        r#"
        *tools/call*) if [ -z "$first" ]; then first=$id; else result '"second"'; id=$first; result '"first"'; fi;;
    "#,
    );
    let connected = command.connect().await;
    let mut first = connected.link.request(call(1)).await.unwrap();
    let mut second = connected.link.request(call(2)).await.unwrap();
    assert_eq!(rest(&mut second).await.unwrap(), ["\"second\""]);
    assert_eq!(rest(&mut first).await.unwrap(), ["\"first\""]);
}

#[tokio::test]
async fn news_finds_its_request_by_progress_token_and_subscription() {
    let command = Command::new(
        MODERN,
        r#"
        *subscriptions/listen*)
            say '{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":'$id'}}}';;
        *tools/call*)
            say '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'$id',"progress":1}}'
            say '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":555,"progress":1}}'
            say '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}'
            say '{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1}}}'
            result '{}'
            say '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}';;
    "#,
    );
    let connected = command.connect().await;
    let mut listen = connected
        .link
        .request(outgoing(1, Method::SubscriptionsListen, "{}"))
        .await
        .unwrap();
    assert_eq!(
        short(&within("the acknowledgement", listen.next()).await.unwrap()),
        "notifications/subscriptions/acknowledged"
    );
    assert_eq!(
        ask(&connected, call(2)).await.unwrap(),
        ["notifications/progress", "notifications/message", "{}"]
    );
    assert_eq!(
        short(&within("the change", listen.next()).await.unwrap()),
        "notifications/tools/list_changed"
    );
    let ended = within("the end", listen.next()).await.unwrap_err();
    assert!(matches!(ended, UpstreamError::Closed { .. }), "{ended}");
}

#[tokio::test]
async fn a_legacy_question_goes_to_the_only_request_or_astray_and_ping_to_nobody() {
    let command = Command::new(
        LEGACY,
        r#"
        *'"name":"add"'*)
            say '{"jsonrpc":"2.0","id":"p","method":"ping"}'
            say '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
            say '{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}'
            asked=$id;;
        *'"id":"q"'*) id=$asked; result '{"asked":1}';;
        *tools/list*) say '{"jsonrpc":"2.0","id":"r","method":"roots/list"}'; result '{}';;
        *'"id":"p"'*) ;;
    "#,
    );
    let mut connected = command.connect().await;
    let mut first = connected.link.request(call(1)).await.unwrap();
    let Event::Question(question) = within("the question", first.next()).await.unwrap() else {
        panic!("no question")
    };
    let Some(Stray::News(change)) = within("the change", connected.strays.recv()).await else {
        panic!("no change")
    };
    assert_eq!(*change.method(), Method::ToolsListChanged);
    let mut second = connected
        .link
        .request(outgoing(2, Method::ToolsList, "{}"))
        .await
        .unwrap();
    assert_eq!(rest(&mut second).await.unwrap(), ["{}"]);
    let Some(Stray::Question(stray)) = within("the stray", connected.strays.recv()).await else {
        panic!("no stray")
    };
    assert_eq!(*stray.method(), Method::RootsList);
    connected
        .link
        .tell(portcullis_wire::Response::own_result(question.id(), b"{}"))
        .await
        .unwrap();
    assert_eq!(rest(&mut first).await.unwrap(), [r#"{"asked":1}"#]);
    until("the pong", || command.was_told(r#""id":"p","result":{}"#)).await;
}

#[tokio::test]
async fn dropping_an_exchange_says_cancelled_and_a_late_answer_finds_nobody() {
    let command = Command::new(
        MODERN,
        r#"
        *notifications/cancelled*) id=1; result '"late"';;
        *tools/call*) ;;
        *tools/list*) result '"next"';;
    "#,
    );
    let connected = command.connect().await;
    drop(connected.link.request(call(1)).await.unwrap());
    until("the cancellation", || {
        command.was_told(r#"notifications/cancelled","params":{"requestId":1"#)
    })
    .await;
    assert_eq!(
        ask(&connected, outgoing(2, Method::ToolsList, "{}")).await.unwrap(),
        ["\"next\""]
    );
    let told = command.told().len();
    assert_eq!(told, 4, "an answered request is not cancelled");
}

#[tokio::test]
async fn a_few_lines_of_garbage_are_passed_over_and_sixteen_end_the_connection() {
    let some = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do say 'debug: hello'; done;";
    let command = Command::new(
        MODERN,
        &format!("*tools/call*) {some} result '{{}}';; *tools/list*) {some} say '[1]';;"),
    );
    let mut connected = command.connect().await;
    ask(&connected, call(1)).await.unwrap();
    ask(&connected, call(2)).await.unwrap();
    let mut other = connected
        .link
        .request(outgoing(3, Method::SubscriptionsListen, "{}"))
        .await
        .unwrap();
    let error = ask(&connected, outgoing(4, Method::ToolsList, "{}")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a valid MCP message: 16 lines in a row that are no messages; last line: `[1]` (hint: does the command write its log to stdout?)"
    );
    assert_eq!(within("the other's end", other.next()).await.unwrap_err(), error);
    assert!(!connected.link.is_alive());
    assert!(matches!(
        within("the end", connected.strays.recv()).await,
        Some(Stray::Gone(_))
    ));
    assert_eq!(connected.link.request(call(5)).await.unwrap_err(), error);
}

/// Whoever waits in vain hears what came in place of an answer, and whoever has one does not.
#[tokio::test]
async fn what_came_in_place_of_an_answer_is_told() {
    let chatty = Command::running(r"while read -r line; do printf 'Loading \033[2J\nmodel..\n'; done");
    let Target::Command(target) = chatty.target.clone() else {
        panic!("a command")
    };
    let times = Duration::from_secs(2);
    let target = Target::Command(target.with_times(times, times));
    let (probed, modern) = tokio::join!(connect(&target, Eras::Probe), connect(&target, Eras::Modern));
    for connected in [probed, modern] {
        assert_eq!(
            connected.map(|_| ()).unwrap_err().to_string(),
            "not a valid MCP message: no MCP message within 2 s; last line: `model..`"
        );
    }
    let begun = Instant::now();
    let command = Command::new(
        MODERN,
        &format!("*tools/call*) say 'oops'; say '{}'; result '{{}}';;", "x".repeat(300)),
    );
    let connected = command.connect().await;
    assert_eq!(connected.link.garbage_since(begun), None);
    ask(&connected, call(1)).await.unwrap();
    let last = connected.link.garbage_since(begun).unwrap();
    assert_eq!(last, format!("`{}..`", "x".repeat(160)));
    assert_eq!(command.target.garbage_since(begun), None, "the connection was open");
    assert_eq!(connected.link.garbage_since(Instant::now()), None);
}

#[tokio::test]
async fn a_broken_answer_fails_its_own_request_alone() {
    let command = Command::new(
        MODERN,
        r#"
        *tools/call*) say '{"jsonrpc":"2.0","id":'$id',"result":{},"error":{}}';;
        *tools/list*) result '{}';;
    "#,
    );
    let connected = command.connect().await;
    let error = ask(&connected, call(1)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Garbage { .. }), "{error}");
    ask(&connected, outgoing(2, Method::ToolsList, "{}")).await.unwrap();
}

#[tokio::test]
async fn an_endless_line_ends_the_connection_and_the_process() {
    let command = Command::new(MODERN, r#"*tools/call*) exec tr '\0' x < /dev/zero;;"#);
    let connected = command.connect().await;
    let error = ask(&connected, call(1)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { .. }), "{error}");
    assert!(!connected.link.is_alive());
}

#[tokio::test]
async fn a_command_that_dies_says_how_and_its_last_words() {
    let command = Command::new(MODERN, r#"*tools/call*) echo 'out of cheese' >&2; exit 3;;"#);
    let mut connected = command.connect().await;
    let mut other = connected
        .link
        .request(outgoing(1, Method::SubscriptionsListen, "{}"))
        .await
        .unwrap();
    let error = ask(&connected, call(2)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "connection closed: the process exited with status 3; its last words on stderr: out of cheese"
    );
    assert_eq!(within("the other's end", other.next()).await.unwrap_err(), error);
    assert!(!connected.link.is_alive());
    let Some(Stray::Gone(why)) = within("the end", connected.strays.recv()).await else {
        panic!("not gone")
    };
    assert!(why.contains("status 3"), "{why}");
    // A request after the end hears the same.
    assert_eq!(connected.link.request(call(3)).await.unwrap_err(), error);
}

#[tokio::test]
async fn a_call_that_is_never_answered_holds_up_no_other() {
    let command = Command::new(MODERN, "*tools/call*) ;; *tools/list*) result '{}';;");
    let connected = command.connect().await;
    let mut silent = connected.link.request(call(1)).await.unwrap();
    for id in 2..20 {
        ask(&connected, outgoing(id, Method::ToolsList, "{}")).await.unwrap();
    }
    assert!(
        tokio::time::timeout(Duration::from_millis(20), silent.next())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn news_that_nobody_takes_is_dropped_and_the_answer_still_comes() {
    let command = Command::new(
        MODERN,
        r#"
        *tools/call*)
            n=0; while [ $n -lt 500 ]; do
                say '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'$id',"progress":1}}'
                n=$((n+1))
            done
            result '{}';;
        *tools/list*) result '{}';;
    "#,
    );
    let connected = command.connect().await;
    let mut flooded = connected.link.request(call(1)).await.unwrap();
    ask(&connected, outgoing(2, Method::ToolsList, "{}")).await.unwrap();
    let came = rest(&mut flooded).await.unwrap();
    assert!(came.len() <= 65, "{}", came.len());
    assert_eq!(came.last().unwrap(), "{}");
}

#[tokio::test]
async fn a_command_that_cannot_be_reached_is_named() {
    let dead = Command::running("echo 'no such token' >&2; exit 4");
    assert_eq!(
        dead.fails().await,
        "connection closed: the process exited with status 4; its last words on stderr: no such token"
    );
    let silent = Command::running("exec sleep 1000").with_probe_time(Duration::from_millis(50));
    let Target::Command(target) = silent.target.clone() else {
        panic!("a command")
    };
    let target = Target::Command(target.with_times(Duration::from_millis(50), Duration::from_millis(200)));
    let error = connect(&target, Eras::Probe).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout { .. }), "{error}");
    let legacy_only = Command::new(LEGACY, "");
    let error = connect(&legacy_only.target, Eras::Modern)
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, UpstreamError::Revision { .. }), "{error}");
    let unknown = Command::new(
        r#"*server/discover*) result '{"supportedVersions":["2030-01-01"]}';;"#,
        "",
    );
    assert!(unknown.fails().await.starts_with("no common protocol revision"));
}

#[test]
fn a_link_is_used_from_several_runtimes() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let home = runtime();
    let command = Command::new(MODERN, "*tools/call*) result '{}';;");
    let connected = Arc::new(home.block_on(command.connect()));
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let connected = connected.clone();
            std::thread::spawn(move || {
                runtime().block_on(async {
                    for id in 1..50 {
                        ask(&connected, call(thread * 1000 + id)).await.unwrap();
                    }
                });
            })
        })
        .collect();
    home.block_on(until("the threads", || {
        threads.iter().all(std::thread::JoinHandle::is_finished)
    }));
    for thread in threads {
        thread.join().unwrap();
    }
}
