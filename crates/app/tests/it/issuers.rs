//! Tokens of two issuers and an API key of one name, over HTTP: three principals.

use crate::explain::{Demo, portcullis};
use crate::harness::PATIENCE;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::mpsc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const A: &str = "https://a.example";
const B: &str = "https://b.example";

fn signer() -> Ed25519KeyPair {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap()
}

fn token(signer: &Ed25519KeyPair, issuer: &str, subject: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": issuer, "aud": "gateway", "sub": subject, "groups": ["staff"], "exp": now + 3_600, "azp": "desktop",
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "1"})), part(&claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes())))
}

fn run(state: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = portcullis()
        .args(arguments)
        .arg("--state")
        .arg(state)
        .arg("--config")
        .arg(state.join("portcullis.toml"))
        .output()
        .unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// Writes a configuration with `issuers` (each with its keys, and more lines of its own) and makes a key of `ana`, which it returns.
fn configure(state: &Path, listen: &str, issuers: &[(&str, &Ed25519KeyPair, &str)]) -> String {
    let mut config = format!("{listen}[policy]\nfile = \"p.cedar\"\n[[upstream]]\nname = \"bank\"\ndemo = true\n");
    for (place, (issuer, signer, more)) in issuers.iter().enumerate() {
        let x = URL_SAFE_NO_PAD.encode(signer.public_key().as_ref());
        let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "1", "x": x}]});
        fs::write(state.join(format!("{place}.json")), set.to_string()).unwrap();
        config += &format!(
            "[[identity.jwt]]\nissuer = \"{issuer}\"\naudience = \"gateway\"\njwks = \"{place}.json\"\ngroups_claim = \"groups\"\n{more}\n"
        );
    }
    fs::write(state.join("portcullis.toml"), config).unwrap();
    let (code, key) = run(state, &["key", "create", "ana", "--group", "staff"]);
    assert_eq!(code, Some(0), "{key}");
    key.lines().find(|line| line.starts_with("pk_")).unwrap().to_owned()
}

/// The program with both issuers, a key of `ana`, and a policy.
fn start(state: &Path, [a, b]: [&Ed25519KeyPair; 2]) -> Demo {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let key = configure(
        state,
        &format!("[listen]\naddress = \"{address}\"\n"),
        &[(A, a, ""), (B, b, "")],
    );
    let process = portcullis()
        .args(["up", "--config"])
        .arg(state.join("portcullis.toml"))
        .arg("--state")
        .arg(state)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let demo = Demo { process, address, key };
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() || demo.ask("server/discover", None, "").status != 200 {
        assert!(begun.elapsed() < PATIENCE, "it does not listen");
        std::thread::yield_now();
    }
    demo
}

/// Whether the tool answers whoever holds `credential`.
fn finds(demo: &mut Demo, credential: &str) -> bool {
    demo.key = credential.to_owned();
    let answer = demo.ask(
        "tools/call",
        Some("find_customer"),
        r#""name":"find_customer","arguments":{"name":"an"},"#,
    );
    let said = String::from_utf8(answer.text().unwrap()).unwrap();
    let (found, refused) = (
        said.contains("structuredContent"),
        said.contains("portcullis explain last"),
    );
    assert!(found != refused, "{said}");
    found
}

#[test]
fn the_same_name_of_two_issuers_and_of_a_key_is_three_principals() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (a, b) = (signer(), signer());
    let policy = state.path().join("p.cedar");
    let connects = "permit (principal, action in [Action::\"connect\", Action::\"list\"], resource);\n";
    let call = "action == Action::\"tools/call\", resource == Tool::\"bank/find_customer\"";
    let ways = [
        // Who alone may call, by which policy.
        (
            format!("permit (principal == User::\"ana\", {call});"),
            [true, false, false],
        ),
        (
            format!("permit (principal == User::\"{A}#ana\", {call});"),
            [false, true, false],
        ),
        (
            format!("permit (principal in Group::\"{B}#staff\", {call});"),
            [false, false, true],
        ),
        (
            format!("permit (principal in Group::\"staff\", {call});"),
            [true, false, false],
        ),
        (
            format!("permit (principal, {call}) when {{ principal has issuer && principal.issuer == \"{A}\" }};"),
            [false, true, false],
        ),
    ];
    for (text, expected) in ways {
        fs::write(&policy, format!("{connects}{text}")).unwrap();
        let mut demo = start(state.path(), [&a, &b]);
        let key = demo.key.clone();
        let found = [key, token(&a, A, "ana"), token(&b, B, "ana")].map(|credential| finds(&mut demo, &credential));
        assert_eq!(found, expected, "{text}");
        // A `sub` that spells the other's name gets nothing by it.
        let spelt = token(&b, B, &format!("{A}#ana"));
        assert_eq!(finds(&mut demo, &spelt), expected[2], "{text}");
    }
    // `explain` asks as each of them.
    let asked = [
        "explain",
        "tools/call",
        "bank/find_customer",
        "--arguments",
        "{\"name\":\"an\"}",
    ];
    let explain = |more: &[&str]| run(state.path(), &[&asked, more].concat());
    let (code, said) = explain(&["--as", "https://a.example#ana", "--issuer", A]);
    assert!(code == Some(0) && said.contains("allowed"), "{said}");
    let (code, said) = explain(&["--as", "https://b.example#ana", "--issuer", B]);
    assert!(code == Some(1) && said.contains("denied"), "{said}");
    let (code, said) = explain(&["--as", "ana"]);
    assert!(code == Some(1) && said.contains("denied"), "{said}");
    let (code, said) = explain(&["--as", "ana", "--issuer", A]);
    assert!(
        code == Some(2) && said.contains("hint: `--as 'https://a.example#ana'`"),
        "{said}"
    );
    let (code, said) = explain(&["--as", "ana", "--issuer", "https://a.exmple"]);
    assert!(
        code == Some(2) && said.contains("did you mean `--issuer https://a.example`?"),
        "{said}"
    );
    let (code, said) = explain(&["--as", "ana", "--credential", "jwt"]);
    assert!(code == Some(2) && said.contains("`--issuer` with one of"), "{said}");
    let (code, said) = explain(&["--as", "ana", "--credential", "key", "--issuer", A]);
    assert!(code == Some(2) && said.contains("hint: leave out one"), "{said}");
    let (code, said) = explain(&["--credential", "kee"]);
    assert!(code == Some(2) && said.contains("hint: one of `key`, `jwt`"), "{said}");
}

/// An issuer may be given the names of the keys; `check` says which names that joins.
#[test]
fn names_that_an_issuer_shares_with_keys_are_warned_about() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(state.path().join("p.cedar"), "permit (principal, action, resource);").unwrap();
    let a = signer();
    let check = |prefix: &str| {
        configure(state.path(), "", &[(A, &a, prefix)]);
        run(state.path(), &["check"])
    };
    let (code, said) = check("");
    assert!(code == Some(0) && said == "1 server, 1 policy\n", "{said}");
    let (code, said) = check("subject_prefix = \"\"\n");
    assert!(
        code == Some(0) && said.contains("warning: `user:ana`") && said.contains(A),
        "{said}"
    );
}

/// `check`, `policy check` and the log of a start name the policy that meets nobody, and say how its name is written.
#[test]
fn a_policy_that_names_nobody_is_told_wherever_policies_are_read() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let a = signer();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = format!("[listen]\naddress = \"{}\"\n", free.local_addr().unwrap());
    drop(free);
    let policy = |names: &str| {
        let text =
            format!("permit (principal, action, resource);\n@id(\"not-he\")\nforbid ({names}, action, resource);\n");
        fs::write(state.path().join("p.cedar"), text).unwrap();
    };
    policy("principal");
    configure(state.path(), &listen, &[(A, &a, "")]);
    for names in [
        "principal == User::\"ana\"",
        "principal == User::\"https://a.example#bob\"",
        "principal in Group::\"staff\"",
    ] {
        policy(names);
        for command in [&["check"][..], &["policy", "check"]] {
            let (code, said) = run(state.path(), command);
            assert!(code == Some(0) && !said.contains("warning"), "{names}: {said}");
        }
    }
    for (names, hint) in [
        ("principal == User::\"bob\"", "`User::\"https://a.example#bob\"`"),
        (
            "principal in Group::\"https://a.exmple#staff\"",
            "did you mean `Group::\"https://a.example#staff\"`?",
        ),
    ] {
        policy(names);
        for command in [&["check"][..], &["policy", "check"]] {
            let (code, said) = run(state.path(), command);
            let told = said.contains("p.cedar:3:") && said.contains("warning: policy `not-he` names");
            assert!(code == Some(0) && told && said.contains(hint), "{names}: {said}");
        }
        let mut process = portcullis()
            .args(["up", "--config"])
            .arg(state.path().join("portcullis.toml"))
            .arg("--state")
            .arg(state.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let (line_to, lines) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            // Nobody listens once it was found.
            log.lines()
                .map_while(Result::ok)
                .try_for_each(|line| line_to.send(line))
                .ok()
        });
        let told = |line: &String| line.contains("policy `not-he` names") && line.contains(hint);
        let begun = Instant::now();
        let left = || PATIENCE.saturating_sub(begun.elapsed());
        let found = std::iter::from_fn(|| lines.recv_timeout(left()).ok()).any(|line| told(&line));
        process.kill().unwrap();
        process.wait().unwrap();
        drop(lines);
        reader.join().unwrap();
        assert!(found, "{names}");
    }
}

/// Every circumstance and every trait of a principal that policy knows can be asked about.
#[test]
fn explain_asks_as_anybody_in_any_circumstances() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let call = "action == Action::\"tools/call\", resource == Tool::\"bank/find_customer\"";
    fs::write(
        state.path().join("portcullis.toml"),
        "[policy]\nfile = \"p.cedar\"\n[[upstream]]\nname = \"bank\"\ndemo = true\n",
    )
    .unwrap();
    for (condition, yes, no) in [
        ("principal is Agent", vec!["--agent"], vec![]),
        (
            "principal in Group::\"staff\"",
            vec!["--group", "staff"],
            vec!["--group", "other"],
        ),
        (
            "principal.credential == Credential::\"os_user\"",
            vec!["--credential", "os_user"],
            vec![],
        ),
        ("context.transport == \"stdio\"", vec!["--transport", "stdio"], vec![]),
        ("context.transport == \"http\"", vec![], vec!["--credential", "os_user"]),
        (
            "context has client && context.client == \"ide\"",
            vec!["--client", "ide"],
            vec!["--client", "cli"],
        ),
        (
            "context has revision && context.revision == \"2025-11-25\"",
            vec!["--revision", "2025-11-25"],
            vec![],
        ),
        (
            "context.time.toTime() < duration(\"6h\")",
            vec!["--time", "2026-07-28T05:59:59Z"],
            vec!["--time", "2026-07-28T06:00:00Z"],
        ),
    ] {
        let policy = format!("permit (principal, {call}) when {{ {condition} }};");
        fs::write(state.path().join("p.cedar"), &policy).unwrap();
        for (more, code) in [(yes, 0), (no, 1)] {
            let asked = [
                "explain",
                "--as",
                "ana",
                "tools/call",
                "bank/find_customer",
                "--arguments",
                "{}",
            ];
            let (ended, said) = run(state.path(), &[&asked, more.as_slice()].concat());
            assert_eq!(ended, Some(code), "{policy} {more:?}\n{said}");
        }
    }
    // A notification asks to connect as well, whatever its own action is.
    for (policy, code) in [
        (
            "permit (principal, action in [Action::\"connect\", Action::\"method\"], resource);",
            0,
        ),
        ("permit (principal, action == Action::\"method\", resource);", 1),
        ("permit (principal, action == Action::\"connect\", resource);", 1),
    ] {
        fs::write(state.path().join("p.cedar"), policy).unwrap();
        let asked = ["explain", "--as", "ana", "notifications/vendor/news", "bank"];
        let (ended, said) = run(state.path(), &asked);
        let both = [
            "Action::\"connect\" Server::\"bank\": ",
            "Action::\"method\" Server::\"bank\": ",
        ];
        assert!(
            ended == Some(code) && both.iter().all(|it| said.contains(it)),
            "{policy}\n{said}"
        );
        let (ended, said) = run(state.path(), &[&asked[..], &["--json"]].concat());
        let told: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        assert_eq!(
            (ended, &told["allowed"]),
            (Some(code), &json!(code == 0)),
            "{policy}\n{said}"
        );
        assert_eq!(
            told["connect"]["allowed"],
            json!(policy.contains("connect")),
            "{policy}\n{said}"
        );
        // A request of the vendor's does not.
        let (ended, said) = run(state.path(), &["explain", "--as", "ana", "vendor/ask", "bank"]);
        assert_eq!(ended, Some(i32::from(!policy.contains("method"))), "{policy}\n{said}");
        assert!(!said.contains("Action::\"connect\""), "{said}");
    }
    let (code, said) = run(state.path(), &["explain", "--time", "noon", "tools/list"]);
    assert!(code == Some(2) && said.contains("hint: for example `2026-"), "{said}");
}
