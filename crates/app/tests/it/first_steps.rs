//! What a stranger does in the first hour: from the demo to servers of one's own, and output that goes into `head`.

use crate::explain::{demo, portcullis};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn a_starter_policy_of_other_servers_stops_the_start_with_a_hint_that_helps() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    drop(demo(state.path()));
    let file = state.path().join("portcullis.toml");
    let demos = ["books", "branch"].map(|name| format!("[[upstream]]\nname = \"{name}\"\ndemo = true\n"));
    fs::write(&file, demos.concat()).unwrap();
    let up = || {
        let mut command = portcullis();
        command.args(["up", "--listen", "127.0.0.1:0", "--state"]);
        command.arg(state.path()).arg("--config").arg(&file);
        command
    };
    let refused = up().output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    let policy = state.path().join("policy.cedar");
    assert!(said.contains("there is no upstream `bank`"), "{said}");
    assert!(
        said.contains(&format!("`{}` was written for: bank. Move it away", policy.display())),
        "{said}"
    );

    // A fault of the user's own has nothing to do with that.
    fs::write(&policy, "permt (principal, action, resource);").unwrap();
    let refused = up().output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(!said.contains("Move it away"), "{said}");

    fs::remove_file(&policy).unwrap();
    let mut running = up().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut said: Vec<String> = Vec::new();
    for line in lines.map(Result::unwrap) {
        said.push(line);
        if said.last().unwrap().contains("curl ") {
            break;
        }
    }
    assert!(said.iter().any(|line| line.contains("just written")), "{said:?}");
    // Both have a `find_customer`; the line to try still works as printed.
    let answer = Command::new("sh").args(["-c", said.last().unwrap()]).output().unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.contains("structuredContent"), "{said:?} {answer}");
    let written = fs::read_to_string(&policy).unwrap();
    assert!(written.contains("Tool::\"books/transfer\""), "{written}");
}

#[test]
fn output_that_nobody_reads_is_no_panic() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = portcullis();
    command.args(["policy", "show", "--state"]).arg(state.path());
    let ended = command.stdin(Stdio::null()).stdout(writer).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(141), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn the_columns_of_the_catalog_have_a_heading() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let catalog = |more: &[&str]| {
        let mut command = portcullis();
        command.args(["catalog", "--state"]).arg(state.path()).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = catalog(&[]);
    let heading = said.lines().next().unwrap();
    let tool = said.lines().find(|line| line.contains("find_customer")).unwrap();
    for (head, value) in [("KIND", "tool"), ("NAME", "find_customer"), ("EFFECT", "read ")] {
        assert!(
            heading.find(head).is_some() && heading.find(head) == tool.find(value),
            "{said}"
        );
    }
    let place = heading.find("CLIENTS SEE").unwrap();
    assert!(tool.get(place..).unwrap().starts_with("find_customer"), "{said}");
    assert_eq!(said.matches("KIND").count(), 1, "{said}");
    // Programs get what they got.
    let rows: serde_json::Value = serde_json::from_str(&catalog(&["--json"])).unwrap();
    assert_eq!(rows[0]["tool"], "find_customer");
}

#[test]
fn a_record_that_is_not_there_does_not_verify() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let verify = || {
        let mut command = portcullis();
        command.args(["audit", "verify", "--state"]).arg(state.path());
        let ended = command.output().unwrap();
        (ended.status.code(), format!("{ended:?}"))
    };
    let (code, said) = verify();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("there is no record in"), "{said}");
    drop(demo(state.path()));
    let (code, said) = verify();
    assert_eq!(code, Some(0), "{said}");
}
