//! Servers that do not behave (`misbehave` of the test kit), over HTTP and over stdio, in the middle of a call and from their
//! first message on: who calls them hears in time which server it was and what it did, and everybody else is served meanwhile.

use crate::harness::{Client, LEGACY, MODERN, Scripted, Shelf, bad_upstream, gateway, upstream_table};
use portcullis_testkit::misbehave::{Mode, Moment, Script, serve_http};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The deadline of every call here.
const DEADLINE: Duration = Duration::from_secs(2);
/// What a busy machine may add to it.
const GRACE: Duration = Duration::from_secs(3);

/// One server.
#[derive(Debug, Clone)]
struct Cell {
    mode: &'static str,
    transport: &'static str,
    name: String,
}

fn cells(moment: &str) -> Vec<Cell> {
    let transports = ["http", "stdio"];
    let cells = Mode::ALL
        .iter()
        .flat_map(|(mode, _)| transports.map(|transport| (*mode, transport)));
    let cell = |(mode, transport): (&'static str, &'static str)| Cell {
        mode,
        transport,
        name: format!("{mode}-{transport}-{moment}"),
    };
    cells.map(cell).collect()
}

/// The `[[upstream]]` of each; the HTTP servers run on `runtime`.
fn tables(runtime: &tokio::runtime::Runtime, program: &Path, cells: &[Cell], moment: (&str, Moment)) -> String {
    let mut text = String::new();
    for cell in cells {
        if cell.transport == "http" {
            let mode = Mode::from_name(cell.mode).unwrap();
            let script = Script { mode, moment: moment.1 };
            text.push_str(&upstream_table(&cell.name, &serve(runtime, script), ""));
        } else {
            let command = json!([program, "--mode", cell.mode, "--at", moment.0, "--stdio"]);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "[[upstream]]\nname = \"{}\"\ncommand = {command}\n", cell.name);
        }
    }
    text
}

fn serve(runtime: &tokio::runtime::Runtime, script: Script) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let listener = {
        let _guard = runtime.enter();
        tokio::net::TcpListener::from_std(listener).unwrap()
    };
    runtime.spawn(serve_http(script, listener));
    url
}

/// What a caller hears of each: the code, and what the server did. A line on stdout that is no message is skipped, so there
/// the deadline speaks, and says that there were such lines.
fn what_is_heard(cell: &Cell) -> (i64, &'static [&'static str]) {
    const LATE: (i64, &[&str]) = (5040, &["did not answer within 2000 ms"]);
    match (cell.mode, cell.transport) {
        ("silent" | "slow" | "endless" | "flood", _) | ("stranger" | "noise", "stdio") => LATE,
        ("garbage", "stdio") => (
            5040,
            &["did not answer within 2000 ms, and wrote something that is no MCP message"],
        ),
        ("oversized", _) => (5020, &["sent more than is accepted"]),
        ("garbage" | "noise" | "stranger", _) => (5020, &["answered with something that is no MCP message"]),
        ("dying", _) => (5020, &["closed the connection before it answered"]),
        // Whoever comes after the first finds nobody there.
        ("gone", _) => (5020, &["closed the connection before it answered", "cannot be reached"]),
        other => panic!("{other:?} is new"),
    }
}

/// One request and what is wrong with its answer.
fn ask(client: &Client, method: &str, members: &str, expected: (i64, &[&str]), name: &str) -> Option<String> {
    let begun = Instant::now();
    let answer = client.post(client.request("1", method, members).as_bytes());
    let answer = answer.and_then(|answer| answer.last()).unwrap();
    let took = begun.elapsed();
    let error = &serde_json::from_slice::<Value>(&answer).unwrap()["error"];
    let (code, reasons) = expected;
    let message = error["message"].as_str().unwrap_or_default();
    let says_why = reasons.iter().any(|reason| message.contains(reason));
    let says_which = message.contains(&format!("`{name}`"));
    // What a client hears names no host and repeats nothing of the server's.
    let is_discreet = !message.contains("127.0.0.1") && !message.contains("status 1");
    let fits = error["code"] == code && says_why && says_which && is_discreet && took < DEADLINE + GRACE;
    (!fits).then(|| {
        let answer = String::from_utf8_lossy(&answer).chars().take(400).collect::<String>();
        format!("{method} of {name} by {} after {took:?}: {answer}", client.revision)
    })
}

/// Calls a server that behaves, over and over until it is told to end; how often, and the longest that it took.
fn served(client: &Client, ended: &AtomicBool) -> (usize, Duration) {
    let (mut calls, mut longest) = (0, Duration::ZERO);
    while !ended.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let call = client.request("1", "tools/call", r#""name":"echo","arguments":{"text":"still here"}"#);
        let answer = client.post(call.as_bytes()).and_then(|answer| answer.last()).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["result"]["content"][0]["text"], "still here", "{answer}");
        (calls, longest) = (calls + 1, longest.max(begun.elapsed()));
    }
    (calls, longest)
}

/// Runs `work` while a client of either era calls the server that behaves, and prints the figures of both.
fn while_others_are_served(address: SocketAddr, what: &str, work: impl FnOnce() -> Vec<String>) {
    let ended = AtomicBool::new(false);
    let (wrong, served) = thread::scope(|scope| {
        let others = [LEGACY[2], MODERN].map(|revision| {
            let ended = &ended;
            scope.spawn(move || served(&Client::open(address, "well", revision), ended))
        });
        let wrong = work();
        ended.store(true, Ordering::Relaxed);
        (wrong, others.map(|other| other.join().unwrap()))
    });
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(served.iter().all(|(calls, _)| *calls > 0), "{served:?}");
    let calls: usize = served.iter().map(|(calls, _)| calls).sum();
    let longest = served.iter().map(|(_, longest)| longest).max().unwrap();
    println!(
        "figure: {what}, each named in time; {calls} calls of another server meanwhile, the longest {} ms",
        longest.as_millis()
    );
}

/// Each cell in a thread of its own, all at once, first by a legacy client and then by a modern one.
fn all_at_once(cells: &[Cell], each: impl Fn(&Cell, &'static str) -> Vec<String> + Sync) -> Vec<String> {
    let mut wrong = Vec::new();
    for revision in [LEGACY[2], MODERN] {
        thread::scope(|scope| {
            let running: Vec<_> = cells.iter().map(|cell| scope.spawn(|| each(cell, revision))).collect();
            wrong.extend(running.into_iter().flat_map(|running| running.join().unwrap()));
        });
    }
    wrong
}

/// The server that behaves, and the limits on all.
fn well(runtime: &tokio::runtime::Runtime) -> String {
    let script = Script {
        mode: Mode::Silent,
        moment: Moment::Call,
    };
    let deadline = format!("deadline_ms = {}", (DEADLINE + GRACE).as_millis());
    let well = upstream_table("well", &serve(runtime, script), &deadline);
    // What is too much comes within the deadline on any machine.
    let limits = format!(
        "deadline_ms = {}\nmessage_bytes_max = {}",
        DEADLINE.as_millis(),
        1 << 20
    );
    format!("[limits]\n{limits}\n\n{well}")
}

#[test]
fn in_a_call_each_is_named_in_time() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut cells = cells("call");
    let bad = tables(&runtime, &bad_upstream(), &cells, ("call", Moment::Call));
    // News without a pause: there is always a next one before the clock is looked at.
    let flood = Scripted::serve(Shelf {
        tools: json!([{"name": "work", "inputSchema": {"type": "object"}}]),
        ..Shelf::default()
    });
    cells.push(Cell {
        mode: "flood",
        transport: "http",
        name: "flood-http-call".to_owned(),
    });
    let flooding = upstream_table("flood-http-call", &flood.url, "");
    let gateway = gateway(&format!("{}{bad}{flooding}", well(&runtime)));
    let address = gateway.address();
    let what = format!("{} cells of bad upstreams in a call", cells.len() * 2);
    while_others_are_served(address, &what, || {
        all_at_once(&cells, |cell, revision| {
            if cell.mode == "flood" {
                flood.play(|_, stage| {
                    let news =
                        br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
                    loop {
                        stage.event(news)?;
                    }
                });
            }
            let client = Client::open(address, &cell.name, revision);
            let problem = ask(
                &client,
                "tools/call",
                r#""name":"work""#,
                what_is_heard(cell),
                &cell.name,
            );
            problem.into_iter().collect()
        })
    });
    // The operator's log has the line that came in place of a message.
    let log = gateway.output();
    let named = "upstream garbage-stdio-call: no answer within 2000 ms, and no MCP message; last line: `";
    assert!(log.contains(named), "{log}");
    assert!(!log.contains("silent-stdio-call: no answer within"), "{log}");
}

#[test]
fn from_the_start_each_is_named_in_time() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cells = cells("start");
    let bad = tables(&runtime, &bad_upstream(), &cells, ("start", Moment::Start));
    let gateway = gateway(&format!("{}{bad}", well(&runtime)));
    let address = gateway.address();
    let what = format!("{} cells of bad upstreams from the start", cells.len() * 2);
    while_others_are_served(address, &what, || {
        let mut wrong = all_at_once(&cells, |cell, revision| {
            let client = Client::open(address, &cell.name, revision);
            // It is not there: that is the code, and the reason is its own.
            let expected = (5020, what_is_heard(cell).1);
            let asked = [("tools/list", ""), ("tools/call", r#""name":"work""#)];
            let asked = asked.map(|(method, members)| ask(&client, method, members, expected, &cell.name));
            asked.into_iter().flatten().collect()
        });
        wrong.extend(
            [LEGACY[2], MODERN]
                .iter()
                .flat_map(|revision| merged(address, revision, &cells)),
        );
        wrong
    });
}

/// The list of all servers together has what there is, and says of each that is missing why.
fn merged(address: SocketAddr, revision: &'static str, cells: &[Cell]) -> Vec<String> {
    let client = Client::open(address, "", revision);
    let answer = client.post(client.request("1", "tools/list", "").as_bytes());
    let answer: Value = serde_json::from_slice(&answer.unwrap().last().unwrap()).unwrap();
    let tools = answer["result"]["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool["name"] == "echo"), "{answer}");
    let missing = answer["result"]["_meta"]["io.portcullis/unavailable"]
        .as_array()
        .unwrap();
    let fits = |cell: &&Cell| {
        let said = missing.iter().find(|missing| missing["server"] == cell.name.as_str());
        said.is_some_and(|said| what_is_heard(cell).1.iter().any(|reason| said["reason"] == *reason))
    };
    let wrong = cells.iter().filter(|cell| !fits(cell));
    wrong.map(|cell| format!("{} in {missing:?}", cell.name)).collect()
}
