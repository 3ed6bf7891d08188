//! Servers behind `wrap`: what they are called, and what is found of them afterwards.

use crate::explain::portcullis;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Output, Stdio};

/// A server of one tool, in shell.
const SERVER: &str = r#"
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([^,}]*\).*/\1/p')
  case "$line" in
    *'"method":"initialize"'*)
      said='"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"notes","version":"1"}}' ;;
    *'"method":"tools/list"'*) said='"result":{"tools":[{"name":"look","inputSchema":{"type":"object"}}]}' ;;
    *'"method":"tools/call"'*) said='"result":{"content":[{"type":"text","text":"seen"}]}' ;;
    *) said='"error":{"code":-32601,"message":"no such method"}' ;;
  esac
  if [ -n "$id" ]; then printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$said"; fi
done
"#;

/// Puts it at a path that says little.
fn server(directory: &Path, place: &str) -> String {
    let script = directory.join(place);
    fs::create_dir_all(script.parent().unwrap()).unwrap();
    fs::write(&script, SERVER).unwrap();
    script.display().to_string()
}

/// Runs `wrap` and asks, after the handshake, each of `calls`; the answers.
fn ask(state: &Path, command: &[&str], calls: &[Value]) -> Vec<Value> {
    ask_logged(state, command, calls, Stdio::null())
}

/// The same, with the log.
fn ask_logged(state: &Path, command: &[&str], calls: &[Value], log: Stdio) -> Vec<Value> {
    let mut host = portcullis()
        .arg("--state")
        .arg(state)
        .args(["wrap", "--"])
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut answers = BufReader::new(host.stdout.take().unwrap()).lines();
    let mut asking = host.stdin.take().unwrap();
    let mut exchange = |message: &Value| {
        writeln!(asking, "{message}").unwrap();
        message.get("id").map(|id| {
            let mut answers = answers
                .by_ref()
                .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
            answers.find(|answer| answer["id"] == *id).unwrap()
        })
    };
    exchange(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tester", "version": "1"},
    }}));
    exchange(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let said = calls.iter().filter_map(&mut exchange).collect();
    drop(asking);
    assert!(host.wait().unwrap().success());
    said
}

fn run(state: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = portcullis().arg("--state").arg(state).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn call(tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}})
}

/// The names of the directories of servers.
fn names(state: &Path) -> Vec<String> {
    let entries = fs::read_dir(state.join("wrap")).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn servers_at_places_alike_share_neither_name_nor_policy() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let one = server(state.path(), "x/notes/dist/index.js");
    let other = server(state.path(), "y/notes/dist/index.js");
    let answered = ask(state.path(), &["sh", &one], &[call("look")]);
    assert_eq!(answered[0]["result"]["content"][0]["text"], "seen", "{answered:?}");
    assert_eq!(names(state.path()), ["notes"]);
    // The policy of the one is tightened; the other's is its own, also when both are run again.
    let policy = state.path().join("wrap/notes/policy.cedar");
    let text = fs::read_to_string(&policy).unwrap();
    assert!(text.contains("Written on the first run of `portcullis wrap`"), "{text}");
    let forbid = format!(
        "{text}\n@id(\"no\") forbid (principal, action == Action::\"tools/call\", resource in Server::\"notes\");\n"
    );
    fs::write(&policy, forbid).unwrap();
    for _ in 0..2 {
        let refused = ask(state.path(), &["sh", &one], &[call("look")]);
        assert!(
            refused[0].to_string().contains("portcullis explain last"),
            "{refused:?}"
        );
        let answered = ask(state.path(), &["sh", &other, "--more"], &[call("look")]);
        assert_eq!(answered[0]["result"]["content"][0]["text"], "seen", "{answered:?}");
    }
    let found = names(state.path());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[1].starts_with("notes-") && found[1].len() == "notes-".len() + 6,
        "{found:?}"
    );

    // `policy check` and `explain` see what `wrap` sees, and take no name.
    let (code, said, error) = run(state.path(), &["policy", "check", "--", "sh", &one]);
    assert_eq!((code, said.as_str()), (Some(0), "2 policies, in order\n"), "{error}");
    let explain = |more: &[&str]| {
        let fixed = ["explain", "tools/call", "notes/look", "--arguments", "{}"];
        run(state.path(), &[&fixed, more, &["--", "sh", &one]].concat())
    };
    let (code, said, error) = explain(&[]);
    assert!(code == Some(1) && said.contains("forbid `no`"), "{said}{error}");
    assert_eq!(names(state.path()), found);
}

#[test]
fn a_connection_that_we_end_is_not_lost() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let script = server(state.path(), "notes.sh");
    let log = state.path().join("log");
    let to = Stdio::from(fs::File::create(&log).unwrap());
    ask_logged(state.path(), &["sh", &script], &[call("look")], to);
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("guarding") && !said.contains("connection lost"), "{said}");
}

#[test]
fn what_wrap_recorded_is_found() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let script = server(state.path(), "x/notes/dist/index.js");
    let (code, said, error) = run(state.path(), &["audit", "tail"]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{error}");
    assert!(
        error.contains("nothing is on the record") && !error.contains("--wrap"),
        "{error}"
    );
    let call = call("no-such-tool");
    ask(state.path(), &["sh", &script], std::slice::from_ref(&call));
    ask(state.path(), &["sh", &script], &[call]);

    let (_, said, error) = run(state.path(), &["audit", "tail"]);
    assert!(
        said.is_empty() && error.contains("`--wrap NAME` with one of `notes`"),
        "{said}{error}"
    );
    let (code, _, error) = run(state.path(), &["explain", "last"]);
    assert!(
        code == Some(1) && error.contains("`--wrap NAME` with one of `notes`"),
        "{error}"
    );
    let (code, _, error) = run(state.path(), &["audit", "tail", "--wrap", "note"]);
    assert!(code == Some(2) && error.contains("did you mean `notes`?"), "{error}");

    let tail = |more: &[&str]| run(state.path(), &[&["audit", "tail", "--wrap", "notes"], more].concat());
    let (code, said, error) = tail(&["-n", "1000"]);
    assert_eq!(code, Some(0), "{error}");
    let processes = said
        .lines()
        .filter(|line| line.ends_with(':') && line.contains("/record/"))
        .count();
    let calls = said
        .lines()
        .filter(|line| line.contains("decision") && line.contains("tools/call"))
        .count();
    assert_eq!((processes, calls), (2, 2), "{said}");
    let (_, last, _) = tail(&["-n", "1", "--json"]);
    assert_eq!(last.lines().count(), 1, "{last}");
    assert_eq!(serde_json::from_str::<Value>(&last).unwrap()["t"], "stop");

    let (code, said, error) = run(state.path(), &["audit", "verify", "--wrap", "notes"]);
    assert_eq!(said.matches("verified:").count(), 2, "{said}{error}");
    assert_eq!(code, Some(0));
    let (code, said, error) = run(state.path(), &["explain", "last", "--wrap", "notes"]);
    assert!(code == Some(0) && said.contains("refused  tools/call"), "{said}{error}");
    assert!(said.contains("policies none decided it"), "{said}");
    let (code, said, error) = run(state.path(), &["explain", "last", "--", "sh", &script]);
    assert!(code == Some(0) && said.contains("refused  tools/call"), "{said}{error}");
    // Policies are asked of a server that runs.
    let (code, _, error) = run(state.path(), &["explain", "--wrap", "notes", "--as", "me", "last"]);
    assert!(code == Some(2) && error.contains("-- COMMAND"), "{error}");
}
