//! Malformed requests against the running gateway: each gets the specification's own status and error, none reaches a server,
//! and a good request is answered after all of them.
//!
//! Two tables: `malformed.jsonl` beside this file, and the malformed envelopes of the wire crate, which are sent in both eras.
//! A row of the first: `why`; `on`, the revisions of the clients that send it; `call` (method and the inside of `params`, in an
//! envelope by the book) or `body` as it is; changes by `line` and `set` (headers: another value, several, or none), or a whole
//! `head` by hand; then what must come back: `status`, `code` (`null` where HTTP answers alone), `id`, a part of the message
//! in `says`. `<<x*n>>` is the text x, n times; `<<hex xx>>` are bytes; `<<meta>>` and `<<host>>` are the client's.

use crate::harness::{
    Answer, Client, LEGACY, META, MODERN, Scripted, Shelf, bad_upstream, exchange, gateway, head, upstream_table,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

const TABLE: &str = include_str!("malformed.jsonl");
const ENVELOPES: &str = include_str!("../../../wire/tests/it/malformed.jsonl");
/// As many as the claim names, in the two tables together.
const CASES_MIN: usize = 300;

fn rows(table: &str) -> impl Iterator<Item = Value> + '_ {
    let lines = table.lines().filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

/// Two servers, so that what only one server could know has no address.
fn servers() -> [Scripted; 2] {
    let tool = |name: &str, properties: Value| json!({"name": name, "inputSchema": {"type": "object", "properties": properties}});
    let mirrored = |kind: &str, header: &str| json!({"type": kind, "x-mcp-header": header});
    let properties = json!({
        "region": mirrored("string", "Region"), "count": mirrored("integer", "Count"), "fast": mirrored("boolean", "Fast"),
    });
    let shop = Shelf {
        tools: json!([tool("now", json!({})), tool("mirror", properties)]),
        prompts: json!([{"name": "review", "arguments": [{"name": "style"}]}]),
        resources: json!([{"uri": "file:///a", "name": "a"}]),
        templates: json!([]),
    };
    let other = Shelf {
        tools: json!([tool("other", json!({}))]),
        ..Shelf::default()
    };
    [Scripted::serve(shop), Scripted::serve(other)]
}

/// Expands the marks of a row.
fn expanded(text: &str, client: &Client) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("<<") {
        out.extend_from_slice(before.as_bytes());
        let (mark, behind) = behind.split_once(">>").unwrap();
        rest = behind;
        match (mark, mark.strip_prefix("hex ")) {
            ("meta", _) if client.revision == MODERN => out.extend_from_slice(META.as_bytes()),
            ("meta", _) => out.extend_from_slice(br#""acme/n":1"#),
            ("host", _) => out.extend_from_slice(client.address.to_string().as_bytes()),
            (_, Some(digits)) => out.extend(digits.as_bytes().chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair).unwrap();
                u8::from_str_radix(pair, 16).unwrap()
            })),
            _ => {
                let (what, times) = mark.rsplit_once('*').unwrap();
                out.extend_from_slice(what.repeat(times.parse().unwrap()).as_bytes());
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Sends what a row says.
fn sent(row: &Value, client: &Client) -> io::Result<Answer> {
    let body = match row["call"].as_array() {
        Some(call) => {
            let [method, members] = [&call[0], &call[1]].map(|word| word.as_str().unwrap());
            client.request("1", method, members).into_bytes()
        }
        None => expanded(text(row, "body"), client),
    };
    if let Some(by_hand) = row["head"].as_str() {
        return exchange(client.address, &expanded(by_hand, client), &body);
    }
    let mut headers = client.headers(&body);
    let set = row["set"].as_object().into_iter().flatten();
    for (name, value) in set {
        headers.retain(|(known, _)| known != name);
        let values = match value {
            Value::Null => Vec::new(),
            Value::Array(several) => several.iter().collect(),
            one => vec![one],
        };
        headers.extend(values.iter().map(|value| {
            let value = expanded(value.as_str().unwrap(), client);
            (name.clone(), String::from_utf8(value).unwrap())
        }));
    }
    let line = row["line"].as_str();
    let line = line.map_or_else(|| format!("POST {}", client.path), str::to_owned);
    let body = if line.starts_with("GET") { Vec::new() } else { body };
    exchange(client.address, &head(&line, &headers, Some(body.len())), &body)
}

/// What is wrong with an answer; `None` when it is what was wanted.
fn verdict(answer: io::Result<Answer>, status: u64, code: Option<i64>, id: &Value, says: &str) -> Option<String> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Some(format!("no answer for {status} and {code:?}: {error}")),
    };
    let got = u64::from(answer.status);
    let is_json = answer.header("content-type") == Some("application/json");
    let body = match answer.text() {
        Ok(body) => body,
        Err(error) => return Some(format!("no end of the answer: {error}")),
    };
    let shown = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
    let answered: Option<Value> = is_json.then(|| serde_json::from_slice(&body).unwrap());
    // The reply to a batch of one.
    let answered = match answered {
        Some(Value::Array(mut replies)) if replies.len() == 1 => replies.pop(),
        other => other,
    };
    let error = answered.as_ref().map(|answered| &answered["error"]);
    let got_code = error.and_then(|error| error["code"].as_i64());
    let message = error.and_then(|error| error["message"].as_str()).unwrap_or(&shown);
    let got_id = answered.as_ref().map_or(&Value::Null, |answered| &answered["id"]);
    let names_versions = code != Some(-32022)
        || error.is_some_and(|error| error["data"]["supported"].is_array() && error["data"]["requested"].is_string());
    let fits = got == status && got_code == code && got_id == id && message.contains(says) && names_versions;
    (!fits).then(|| format!("{got} and {got_code:?} for {status} and {code:?}: {shown}"))
}

fn clients(address: SocketAddr) -> Vec<Client> {
    let revisions = LEGACY.into_iter().chain([MODERN]);
    revisions.map(|revision| Client::open(address, "", revision)).collect()
}

/// A good call of each client arrives, and nothing else has.
fn nothing_slipped_past(clients: &[Client], servers: &[Scripted; 2], wrong: &mut Vec<String>) {
    for server in servers {
        for seen in server.seen() {
            wrong.push(format!("a server saw {}", String::from_utf8_lossy(&seen)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    for client in clients {
        let answer = client.post(client.request("1", "tools/call", r#""name":"now""#).as_bytes());
        let answer: Value = serde_json::from_slice(&answer.unwrap().last().unwrap()).unwrap();
        assert!(answer["result"]["content"].is_array(), "{answer}");
        let seen: Value = serde_json::from_slice(&servers[0].take()).unwrap();
        assert_eq!(seen["method"], "tools/call");
    }
    assert!(servers[1].seen().is_empty());
}

#[test]
fn each_gets_its_own_error_and_no_server_hears_of_it() {
    let servers = servers();
    let gateway = gateway(&format!(
        "{}{}",
        upstream_table("shop", &servers[0].url, ""),
        upstream_table("other", &servers[1].url, "")
    ));
    let clients = clients(gateway.address());
    let of = |revision: &str| clients.iter().find(|client| client.revision == revision).unwrap();
    let (mut wrong, mut cases, mut exchanges) = (Vec::new(), BTreeSet::new(), 0);
    for row in rows(TABLE) {
        assert!(cases.insert(text(&row, "why").to_owned()), "twice: {row}");
        for revision in row["on"].as_array().unwrap() {
            let client = of(revision.as_str().unwrap());
            let id = match (&row["id"], row["call"].is_array() && row["code"].is_i64()) {
                (Value::Null, true) => json!(1),
                (Value::String(none), _) if none == "none" => Value::Null,
                (id, _) => id.clone(),
            };
            exchanges += 1;
            let status = row["status"].as_u64().unwrap();
            let problem = verdict(
                sent(&row, client),
                status,
                row["code"].as_i64(),
                &id,
                text(&row, "says"),
            );
            wrong.extend(problem.map(|problem| format!("{} on {revision}: {problem}", text(&row, "why"))));
        }
    }
    for row in rows(ENVELOPES) {
        assert!(cases.insert(format!("envelope: {}", text(&row, "why"))), "twice: {row}");
        for client in [of("2025-11-25"), of(MODERN)] {
            let body = expanded(text(&row, "text"), client);
            let answer = client.post(&body);
            exchanges += 1;
            // HTTP itself refuses a body beyond the limit; and an array is a batch, which has words of its own.
            let too_long = body.len() > 16 << 20;
            let is_array = body.trim_ascii_start().starts_with(b"[");
            let problem = match (too_long, is_array) {
                (true, _) => verdict(answer, 413, None, &Value::Null, ""),
                (_, true) => verdict(answer, 400, row["code"].as_i64(), &row["id"], ""),
                _ => verdict(answer, 400, row["code"].as_i64(), &row["id"], text(&row, "says")),
            };
            wrong.extend(problem.map(|problem| format!("{} on {}: {problem}", text(&row, "why"), client.revision)));
        }
    }
    nothing_slipped_past(&clients, &servers, &mut wrong);
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    println!(
        "figure: {} malformed requests in {exchanges} exchanges, each with its own status and error, none seen by a server",
        cases.len()
    );
}

/// Over stdio no status speaks, and the host's line is all that there is: a call without a usable id is an error, not a
/// notification that goes on to the server.
#[test]
fn over_stdio_a_call_without_an_id_does_not_slip_past() {
    let directory = tempfile::tempdir().unwrap();
    let seen = directory.path().join("seen");
    // What the server gets is kept on its way, before it gets it; there is a process for the gateway and one for the session.
    let script = format!(
        "while IFS= read -r line; do printf '%s\\n' \"$line\" >> {}; printf '%s\\n' \"$line\"; done | {} --mode silent --stdio",
        seen.display(),
        bad_upstream().display()
    );
    let mut host = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["wrap", "--", "sh", "-c", &script])
        .env("PORTCULLIS_STATE", directory.path().join("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut answers = BufReader::new(host.stdout.take().unwrap()).lines();
    let mut asking = host.stdin.take().unwrap();
    let mut say = |line: &str| writeln!(asking, "{line}").unwrap();
    let mut hear = || serde_json::from_str::<Value>(&answers.next().unwrap().unwrap()).unwrap();
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tester", "version": "1"},
    }});
    say(&hello.to_string());
    assert!(hear()["result"]["protocolVersion"].is_string());
    say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let bad_ids = [
        "",
        r#""id":1.5,"#,
        r#""id":null,"#,
        r#""id":1.0,"#,
        r#""id":1e2,"#,
        r#""id":[1],"#,
        r#""id":true,"#,
    ];
    for id in bad_ids {
        for meta in [r#""acme/n":1"#, META] {
            let call = r#""method":"tools/call","params":{"name":"echo","arguments":{"text":"slipped"}"#;
            say(&format!(r#"{{"jsonrpc":"2.0",{id}{call},"_meta":{{{meta}}}}}}}"#));
            let answer = hear();
            assert_eq!(
                (&answer["error"]["code"], &answer["id"]),
                (&json!(-32600), &Value::Null),
                "{id}"
            );
        }
    }
    say(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a good one"}}}"#);
    let answer = hear();
    assert_eq!(answer["result"]["content"][0]["text"], "a good one", "{answer}");
    drop(asking);
    assert!(host.wait().unwrap().success());
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("a good one") && !seen.contains("slipped"), "{seen}");
}
