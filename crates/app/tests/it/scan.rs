//! `scan`: files, standard input, rules and baselines, and what it prints. It never prints a value.

use crate::explain::portcullis;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

const KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----";
const MAIL: &str = "write to ana.lopes@bank.example";

fn run(arguments: &[&str], directory: &Path) -> Output {
    portcullis()
        .arg("scan")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("deep")).unwrap();
    fs::write(directory.path().join("deep/key.pem"), format!("\n{KEY}\n")).unwrap();
    fs::write(directory.path().join("mail.txt"), format!("é {MAIL}\n")).unwrap();
    fs::write(directory.path().join("clean.txt"), "nothing here\n").unwrap();
    fs::write(directory.path().join("binary"), [b"\0\0", MAIL.as_bytes()].concat()).unwrap();
    directory
}

#[test]
fn what_is_found_is_told_by_place_and_class_and_never_by_value() {
    let directory = tree();
    let output = run(&["."], directory.path());
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        out,
        "./deep/key.pem:2:1: PRIVATE_KEY (private-key-pem, certain)\n./mail.txt:1:12: EMAIL (email, certain)\n"
    );
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "warning: not scanned: `./binary`: it is no text, or none in UTF-8\n2 findings in 3 files\n"
    );
    assert_eq!(run(&["clean.txt"], directory.path()).status.code(), Some(0));
    for wrong in [&["absent.txt"][..], &[]] {
        assert_eq!(run(wrong, directory.path()).status.code(), Some(2));
    }
}

#[test]
fn standard_input_and_other_forms() {
    let directory = tree();
    let mut child = portcullis()
        .args(["scan", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(MAIL.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["findings"][0]["class"], "EMAIL");
    assert_eq!(told["findings"][0]["column"], 10);
    assert_eq!(output.status.code(), Some(1));

    let output = run(&["--sarif", "mail.txt"], directory.path());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["version"], "2.1.0");
    let result = &told["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "email");
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startColumn"], 12);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("lopes"));
    assert!(
        result["locations"][0]["logicalLocations"].is_null(),
        "no JSON: {result}"
    );
    // In JSON it says where; a key that holds something is not told.
    let text = "{\"to\":[{\"mail/1\":\"ana.lopes@bank.example\"}],\"ana.lopes@bank.example\":1}";
    fs::write(directory.path().join("mail.json"), text).unwrap();
    let output = run(&["--sarif", "mail.json"], directory.path());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = told["runs"][0]["results"].as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|result| &result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"])
        .collect();
    assert_eq!(names, ["/to/0/mail~11", "/[EMAIL]"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("lopes"));
}

#[test]
fn what_a_baseline_knows_is_not_told_again() {
    let directory = tree();
    let noted = run(
        &["--write-baseline", "known.json", "mail.txt", "deep"],
        directory.path(),
    );
    assert_eq!(noted.status.code(), Some(0), "{noted:?}");
    assert!(
        !fs::read_to_string(directory.path().join("known.json"))
            .unwrap()
            .contains("lopes")
    );
    let again = run(&["--baseline", "known.json", "mail.txt", "deep"], directory.path());
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    fs::write(
        directory.path().join("mail.txt"),
        format!("é {MAIL} and bo.li@bank.example\n"),
    )
    .unwrap();
    let more = run(&["--baseline", "known.json", "mail.txt", "deep"], directory.path());
    assert_eq!(
        (
            more.status.code(),
            String::from_utf8(more.stdout).unwrap().lines().count()
        ),
        (Some(1), 1)
    );
}

#[test]
fn rules_of_ones_own_are_taken_and_wrong_ones_named() {
    let directory = tree();
    let rule = "[[token]]\nid = \"acme\"\nclass = \"PROVIDER_TOKEN\"\nissuer = \"acme\"\nprefix = [\"acme_\"]\nbody = '[0-9]{8}'\nreason = \"ours\"\nfinds = [\"[[acme_12345678]]\"]\npasses = [\"acme_1\"]\n";
    fs::write(directory.path().join("rules.toml"), rule).unwrap();
    fs::write(directory.path().join("text"), "key acme_12345678").unwrap();
    let output = run(&["--rules", "rules.toml", "text"], directory.path());
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("PROVIDER_TOKEN (acme, certain)")
    );
    for (wrong, said) in [
        (rule.replace("{8}", "{8"), "acme"),
        (rule.replace("PROVIDER_TOKEN", "TOKEN"), "hint: one of"),
        (rule.replace("reason", "raison"), "raison"),
    ] {
        fs::write(directory.path().join("rules.toml"), wrong).unwrap();
        let output = run(&["--rules", "rules.toml", "text"], directory.path());
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains(said), "{said}");
    }
}

#[test]
fn records_are_scored_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let records = "{\"id\":\"a\",\"text\":\"é x@y.example\"}\n{\"id\":\"b\",\"text\":\"\"}\n";
    fs::write(directory.path().join("records.jsonl"), records).unwrap();
    let output = run(&["--records", "records.jsonl"], directory.path());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "{\"id\":\"a\",\"spans\":[[3,14,\"EMAIL\"]]}\n{\"id\":\"b\",\"spans\":[]}\n"
    );
    fs::write(directory.path().join("records.jsonl"), "{\"id\":1}\n").unwrap();
    let output = run(&["--records", "records.jsonl"], directory.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("line 1"));
}
