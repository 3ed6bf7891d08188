//! Keys that end while the gateway runs.

use crate::explain::{Demo, demo, portcullis};
use crate::harness::{META, MODERN, PATIENCE, exchange, head};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// The status of a ping with the demo's key.
fn ping(demo: &Demo) -> u16 {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{{"_meta":{{{META}}}}}}}"#);
    let headers = [
        ("Host", demo.address.to_string()),
        ("Authorization", format!("Bearer {}", demo.key)),
        ("Content-Type", "application/json".to_owned()),
        ("Accept", "application/json, text/event-stream".to_owned()),
        ("MCP-Protocol-Version", MODERN.to_owned()),
        ("Mcp-Method", "server/discover".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let head = head("POST /mcp", &headers, Some(body.len()));
    exchange(demo.address, &head, body.as_bytes()).unwrap().status
}

fn key(state: &Path, arguments: &[&str]) -> String {
    let output = portcullis()
        .arg("key")
        .args(arguments)
        .arg("--state")
        .arg(state)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_revoked_key_ends_though_a_policy_has_a_fault_and_none_takes_its_place() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let running = demo(state.path());
    assert_eq!(ping(&running), 200);
    fs::write(
        state.path().join("policy.cedar"),
        "permt (principal, action, resource);",
    )
    .unwrap();
    let listed = key(state.path(), &["list"]);
    let id = listed.split_whitespace().next().unwrap();
    key(state.path(), &["revoke", id]);
    let begun = Instant::now();
    while ping(&running) != 401 {
        assert!(begun.elapsed() < PATIENCE, "the key still works");
        std::thread::yield_now();
    }
    drop(running);
    // The next start finds a file without keys: it makes none, and has none to show.
    fs::remove_file(state.path().join("policy.cedar")).unwrap();
    let mut again = portcullis()
        .args(["up", "--listen", "127.0.0.1:0", "--state"])
        .arg(state.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(again.stdout.take().unwrap()).lines();
    let banner: Vec<String> = lines
        .by_ref()
        .map(Result::unwrap)
        .take_while(|line| !line.contains("record "))
        .collect();
    assert!(!banner.is_empty());
    again.kill().unwrap();
    again.wait().unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(!rest.iter().any(|line| line.contains("Bearer")), "{banner:?} {rest:?}");
    assert_eq!(key(state.path(), &["list"]), "");
}
