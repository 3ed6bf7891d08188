//! A refusal in the demo, and what `explain last` makes of it.

use crate::harness::{Answer, META, MODERN, PATIENCE, exchange, head};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

/// The program, running, and a key for it; ended with the value.
pub(crate) struct Demo {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn portcullis() -> Command {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
}

pub(crate) fn demo(state: &Path) -> Demo {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut process = portcullis()
        .args(["up", "--listen", &address.to_string(), "--state"])
        .arg(state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let begun = Instant::now();
    let key = loop {
        assert!(begun.elapsed() < PATIENCE, "the key was not printed");
        let line = lines.next().unwrap().unwrap();
        if let Some((_, rest)) = line.split_once("Bearer ") {
            break rest.split('"').next().unwrap().to_owned();
        }
    };
    Demo { process, address, key }
}

impl Demo {
    /// Asks with its key: `method` of `name`, if there is one to mirror, with `members` in `params`.
    pub(crate) fn ask(&self, method: &str, name: Option<&str>, members: &str) -> Answer {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{members}"_meta":{{{META}}}}}}}"#);
        let mut headers = vec![
            ("Host", self.address.to_string()),
            ("Authorization", format!("Bearer {}", self.key)),
            ("Content-Type", "application/json".to_owned()),
            ("Accept", "application/json, text/event-stream".to_owned()),
            ("MCP-Protocol-Version", MODERN.to_owned()),
            ("Mcp-Method", method.to_owned()),
        ];
        headers.extend(name.map(|name| ("Mcp-Name", name.to_owned())));
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let head = head("POST /mcp", &headers, Some(body.len()));
        exchange(self.address, &head, body.as_bytes()).unwrap()
    }
}

/// The text of the answer to a `tools/call`.
pub(crate) fn call(demo: &Demo, tool: &str, arguments: &str) -> String {
    let members = format!(r#""name":"{tool}","arguments":{arguments},"#);
    let answer = demo.ask("tools/call", Some(tool), &members);
    String::from_utf8(answer.text().unwrap()).unwrap()
}

fn explain_last(state: &Path, more: &[&str]) -> (Option<i32>, String) {
    let Output {
        status, stdout, stderr, ..
    } = portcullis()
        .args(["explain", "last", "--state"])
        .arg(state)
        .args(more)
        .output()
        .unwrap();
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn the_last_refusal_is_explained() {
    let state = tempfile::tempdir().unwrap();
    let (code, said) = explain_last(state.path(), &[]);
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "error: nothing is on the record yet\n")
    );
    let demo = demo(state.path());
    let found = call(&demo, "find_customer", r#"{"name":"an"}"#);
    assert!(found.contains(r#""structuredContent""#), "{found}");
    let (code, said) = explain_last(state.path(), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no refusal on the record, which has "), "{said}");

    // Beyond what the starter policy of the demo lets its owner move.
    const TOO_MUCH: &str = r#"{"from":"x","to":"y","amount_cents":9900000}"#;
    let refused = call(&demo, "transfer", TOO_MUCH);
    assert!(refused.contains("portcullis explain last"), "{refused}");
    let (code, said) = explain_last(state.path(), &[]);
    assert_eq!(code, Some(0), "{said}");
    for part in ["tools/call bank/transfer", "no_permit", "none allows it", "--as NAME"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (_, said) = explain_last(state.path(), &["--json"]);
    let record: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(record["call"]["tool"], "bank/transfer");
    assert_eq!(record["policy"]["decision"], "deny");

    // Who it was: a handle, which can be made for a name that one knows.
    let audit = |more: &[&str]| {
        let output = portcullis()
            .arg("audit")
            .args(more)
            .arg("--state")
            .arg(state.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        audit(&["who", "owner"]).trim(),
        record["who"]["subject_h"].as_str().unwrap()
    );
    assert_ne!(audit(&["who", "owner", "--agent"]), audit(&["who", "owner"]));
    let kinds = |text: String| -> Vec<String> {
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.map(|record| record["t"].as_str().unwrap().to_owned()).collect()
    };
    let theirs = kinds(audit(&["tail", "-n", "100", "--who", "owner", "--json"]));
    let decisions = theirs.iter().filter(|kind| *kind == "decision").count();
    assert!(decisions >= 2 && theirs.len() == 2 * decisions, "{theirs:?}");
    assert_eq!(
        kinds(audit(&["tail", "-n", "1", "--who", "owner", "--json"])),
        ["outcome"]
    );
    assert!(audit(&["tail", "--who", "nobody"]).is_empty());

    // Asked again as the caller: the policies in force say the same, and what would help comes first.
    let (code, said) = explain_last(state.path(), &["--as", "owner", "--arguments", TOO_MUCH]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("denied") && said.contains("bank/transfer"), "{said}");
    let hint = said.lines().find(|line| line.starts_with("hint:")).unwrap();
    assert!(hint.contains("amount_cents"), "{said}");
}

#[test]
fn a_slip_of_the_pen_is_asked_about_and_nothing_is_said_twice() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let explain = |words: &[&str]| {
        let mut command = portcullis();
        command.arg("explain").args(words).arg("--state").arg(state.path());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    for (words, meant) in [
        (["tools/call", "bank/tranfer"], "hint: did you mean `bank/transfer`?"),
        (["tools/call", "bnk/transfer"], "hint: did you mean `bank/transfer`?"),
        (["tools/list", "bnak"], "hint: did you mean `bank`?"),
        (
            ["tools/lst", "/mcp"],
            "hint: `tools/lst` is no method of the protocol, did you mean `tools/list`?",
        ),
    ] {
        let (code, said, error) = explain(&words);
        assert_eq!((code, error.as_str()), (Some(1), ""), "{said}");
        let hint = said.lines().find(|line| line.starts_with("hint:"));
        assert_eq!(hint, Some(meant), "{said}");
    }
    let (code, _, error) = explain(&["tool/call", "bank/transfer"]);
    assert!(
        code == Some(2) && error.contains("hint: did you mean `tools/call`?"),
        "{error}"
    );

    // What is there, and a vendor's method, are meant as they are written.
    for words in [["tools/call", "bank/transfer"], ["vendor/thing", "/mcp"]] {
        let (code, said, error) = explain(&words);
        assert_eq!((code, error.as_str()), (Some(1), ""), "{said}");
        assert!(said.contains("denied") && !said.contains("did you mean"), "{said}");
    }
    let (code, said, error) = explain(&["tools/call", "bank/tranfer", "--json"]);
    assert_eq!((code, error.as_str()), (Some(1), ""));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["needed"][0], "did you mean `bank/transfer`?");
}
