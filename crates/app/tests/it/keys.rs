//! Keys that end while the gateway runs.

use crate::explain::{Demo, demo, portcullis};
use crate::harness::PATIENCE;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

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
    assert_eq!(running.ask("server/discover", None, "").status, 200);
    fs::write(
        state.path().join("policy.cedar"),
        "permt (principal, action, resource);",
    )
    .unwrap();
    let listed = key(state.path(), &["list"]);
    let id = listed.split_whitespace().next().unwrap();
    key(state.path(), &["revoke", id]);
    let begun = Instant::now();
    while running.ask("server/discover", None, "").status != 401 {
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

#[test]
fn a_key_says_when_it_ends_and_none_is_made_that_has_ended() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (days, hint) in [("0", "hint: at least 1"), ("99999999999", "hint: at most 36500")] {
        let output = portcullis()
            .args(["key", "create", "ana", "--days", days, "--state"])
            .arg(state.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(hint), "{said}");
    }
    assert_eq!(key(state.path(), &["list"]), "");
    key(state.path(), &["create", "ana", "--days", "1"]);
    key(state.path(), &["create", "bob"]);
    let listed = key(state.path(), &["list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].contains("ana") && lines[0].contains("ends 20"), "{listed}");
    assert!(
        lines[1].contains("bob") && lines[1].contains("does not end"),
        "{listed}"
    );
}

/// A server that takes connections and never answers holds the start up for as long as it may.
#[test]
fn a_key_that_is_revoked_during_the_start_ends() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let path = |name: &str| state.path().join(name);
    fs::write(path("all.cedar"), "permit (principal, action, resource);").unwrap();
    fs::write(
        path("portcullis.toml"),
        format!(
            "[listen]\naddress = \"{address}\"\n[policy]\nfile = \"all.cedar\"\n[[upstream]]\nname = \"silent\"\nurl = \"http://{}/mcp\"\n",
            silent.local_addr().unwrap()
        ),
    )
    .unwrap();
    let secret = key(state.path(), &["create", "ana"]);
    let process = portcullis()
        .args(["up", "--config"])
        .arg(path("portcullis.toml"))
        .arg("--state")
        .arg(state.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = Demo {
        process,
        address,
        key: secret.trim().to_owned(),
    };
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not listen");
        std::thread::yield_now();
    }
    let listed = key(state.path(), &["list"]);
    key(state.path(), &["revoke", listed.split_whitespace().next().unwrap()]);
    while running.ask("server/discover", None, "").status != 401 {
        assert!(begun.elapsed() < PATIENCE, "the key still works");
    }
}
