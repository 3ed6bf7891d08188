//! Secrets and personal data through the running gateway: what policy has masked, withheld or refused does not arrive, what only
//! looks like it does, and the record says class and path and no value.

use crate::explain::{call, demo, portcullis};
use crate::harness::{Client, LEGACY, MODERN, PATIENCE, Scripted, Shelf, gateway, upstream_table};
use portcullis_ledger::Tail;
use portcullis_testkit::gateway::Gateway;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

const TOKEN: &str = "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";
const CARD: &str = "4539578763621486";
const IBAN: &str = "DE89370400440532013000";
const KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----";
/// `iban: DE89370400440532013000` in Base64.
const WRAPPED: &str = "aWJhbjogREU4OTM3MDQwMDQ0MDUzMjAxMzAwMA==";
/// What nobody may see of them.
const CANARIES: [&str; 5] = [TOKEN, CARD, IBAN, "MIGHAgEAMBMG", WRAPPED];

struct Site {
    server: Scripted,
    gateway: Gateway,
    record: PathBuf,
}

impl Site {
    /// A gateway with these policies and this `[screen]` in front of a server with three tools: what `strict` answers has a
    /// schema.
    fn new(rules: &str, screen: &str) -> Self {
        let tools = json!([
            {"name": "look", "inputSchema": {"type": "object"}},
            {"name": "look_up", "inputSchema": {"type": "object"}},
            {"name": "strict", "inputSchema": {"type": "object"}, "outputSchema": {
                "type": "object", "properties": {
                    "card": {"type": "integer"},
                    "mail": {"type": "string", "format": "email"},
                    "ibans": {"type": "array", "items": {"$ref": "#/$defs/iban"}},
                    "note": {"type": "string"},
                    "token": {"type": "string", "pattern": "^ghp_"},
                }, "required": ["card"], "$defs": {"iban": {"type": "string", "pattern": "^[A-Z]{2}[0-9 ]+$"}},
            }},
        ]);
        let server = Scripted::serve(Shelf {
            tools,
            ..Shelf::default()
        });
        let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
        let work = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut record = PathBuf::new();
        let gateway = Gateway::start_with(program, work, |address, state, policy| {
            fs::write(policy, rules).unwrap();
            record = state.join("record");
            format!(
                "[listen]\naddress = \"{address}\"\n[identity]\nanonymous = \"eve\"\n[state]\ndirectory = {}\n\
                 [policy]\nfile = {}\n{}{screen}",
                json!(state),
                json!(policy),
                upstream_table("bank", &server.url, ""),
            )
        })
        .unwrap();
        Self {
            server,
            gateway,
            record,
        }
    }

    fn client(&self, revision: &'static str) -> Client {
        Client::open(self.gateway.address(), "", revision)
    }

    /// What the client hears when the server answers `tool` with `result`.
    fn answer(&self, client: &Client, tool: &str, result: &Value) -> Value {
        let mut result = result.clone();
        result["resultType"] = json!("complete");
        self.server.play(move |id, stage| {
            stage.json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).as_bytes())
        });
        let answer = self.call(client, tool, &json!({}));
        self.server.take();
        answer
    }

    fn call(&self, client: &Client, tool: &str, arguments: &Value) -> Value {
        let call = client.request(
            "1",
            "tools/call",
            &format!(r#""name":"{tool}","arguments":{arguments}"#),
        );
        let answer = client.post(call.as_bytes()).unwrap().last().unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// The records so far, as text.
    fn records(&self) -> String {
        records(&self.record)
    }
}

fn records(record: &Path) -> String {
    let mut tail = Tail::new(record, 0);
    let records = std::iter::from_fn(|| tail.next_record().unwrap());
    records.map(|record| record.json + "\n").collect()
}

const ALL: &str = "@id(\"all\") permit(principal, action, resource);\n";

fn hot() -> Value {
    json!({
        "content": [
            {"type": "text", "text": format!("{{\"iban\":\"{IBAN}\",\"card\":\"{CARD}\"}}")},
            {"type": "text", "text": format!("token {TOKEN}\n{KEY}\npayload {WRAPPED}")},
            {"type": "resource", "resource": {"uri": "bank://a", "blob": WRAPPED}},
        ],
        "structuredContent": {"iban": IBAN, "card": CARD, "keys": [TOKEN, KEY], "packed": WRAPPED},
    })
}

#[test]
fn what_the_starter_set_masks_reaches_no_client_in_clear_and_look_alikes_do() {
    let site = Site::new(ALL, "");
    for revision in [MODERN, LEGACY[2]] {
        let client = site.client(revision);
        let answer = site.answer(&client, "look", &hot());
        let heard = answer.to_string();
        for canary in CANARIES {
            assert!(!heard.contains(canary), "{revision}: {canary} in {heard}");
        }
        let result = &answer["result"];
        assert_eq!(
            result["content"][0]["text"],
            "{\"iban\":\"[IBAN:3000]\",\"card\":\"[CARD:1486]\"}"
        );
        assert_eq!(result["structuredContent"]["iban"], "[IBAN:3000]");
        assert_eq!(
            result["structuredContent"]["keys"],
            json!(["[PROVIDER_TOKEN]", "[PRIVATE_KEY]"])
        );
        let alike = json!({"content": [{"type": "text", "text": "order 4539578763621487"}], "structuredContent": {
            "order": "4539578763621487", "id": "3f2b8c1e-9d4a-4c7b-8e21-5a6b7c8d9e0f", "email": "ana@bank.example",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "build": 20_261_127,
        }});
        let answer = site.answer(&client, "look", &alike);
        for part in ["content", "structuredContent"] {
            assert_eq!(answer["result"][part], alike[part], "{revision}");
        }
    }
    // An error's text, and news in mid-call.
    let client = site.client(MODERN);
    site.server.play(move |id, stage| {
        stage.event(
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {
                "progressToken": "p", "progress": 1, "message": format!("card {CARD}"),
            }})
            .to_string()
            .as_bytes(),
        )?;
        stage.event(
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"no, {TOKEN}"}}}}"#).as_bytes(),
        )
    });
    let call = client.request("1", "tools/call", r#""name":"look","arguments":{}"#);
    let call = call.replacen(r#""_meta":{"#, r#""_meta":{"progressToken":"p","#, 1);
    let heard: Vec<String> = client
        .post(call.as_bytes())
        .unwrap()
        .messages()
        .map(|message| String::from_utf8(message.unwrap()).unwrap())
        .collect();
    let heard = heard.join("\n");
    assert!(
        heard.contains("card [CARD:1486]") && heard.contains("no, [PROVIDER_TOKEN]"),
        "{heard}"
    );
    let records = site.records();
    for line in [
        "IBAN mask 1 /result/structuredContent/iban",
        "EMAIL pass 1 /result/structuredContent/email",
        "CARD mask 1 /params/message",
        "PROVIDER_TOKEN mask 1 /error/message",
    ] {
        assert!(records.contains(line), "{line}: {records}");
    }
    for canary in CANARIES {
        assert!(!records.contains(canary), "{canary} on the record");
    }
}

#[test]
fn a_secret_or_a_mark_in_arguments_goes_to_no_server_and_is_not_said_back() {
    let site = Site::new(ALL, "");
    for revision in [MODERN, LEGACY[2]] {
        let client = site.client(revision);
        let answer = site
            .call(&client, "look", &json!({"deep": [{"note": format!("use {TOKEN}")}]}))
            .to_string();
        for part in ["PROVIDER_TOKEN", "/params/arguments/deep/0/note", "hint: "] {
            assert!(answer.contains(part), "{answer}");
        }
        assert!(!answer.contains(TOKEN), "{answer}");
        let answer = site.call(&client, "look", &json!({"to": "[IBAN:3000]"})).to_string();
        for part in ["mark of a masked IBAN", "/params/arguments/to", "hint: "] {
            assert!(answer.contains(part), "{answer}");
        }
        assert!(site.server.seen().is_empty());
        // Personal data is what a server works with.
        let arguments = json!({"iban": IBAN, "card": CARD});
        site.call(&client, "look", &arguments);
        let seen: Value = serde_json::from_slice(&site.server.take()).unwrap();
        assert_eq!(seen["params"]["arguments"], arguments);
    }
    let records = site.records();
    for part in [
        "PROVIDER_TOKEN refuse 1 /params/arguments/deep/*/note",
        "data_in_arguments",
        "mask_in_arguments",
    ] {
        assert!(records.contains(part), "{part}: {records}");
    }
    assert!(!records.contains(TOKEN));
}

#[test]
fn policy_says_otherwise_by_tool_and_class() {
    let rules = "@id(\"all\") permit(principal, action, resource);\n\
        @id(\"look-up\") @results(\"IBAN pass, EMAIL withhold\") @arguments(\"PROVIDER_TOKEN pass, CARD refuse\")\n\
        permit(principal, action == Action::\"tools/call\", resource == Tool::\"bank/look_up\");\n";
    let site = Site::new(rules, "");
    let client = site.client(MODERN);
    let iban = json!({"content": [], "structuredContent": {"iban": IBAN}});
    assert_eq!(
        site.answer(&client, "look_up", &iban)["result"]["structuredContent"]["iban"],
        IBAN
    );
    assert_eq!(
        site.answer(&client, "look", &iban)["result"]["structuredContent"]["iban"],
        "[IBAN:3000]"
    );
    let mail = json!({"content": [{"type": "text", "text": "write to ana.lopes@bank.example"}]});
    let withheld = site.answer(&client, "look_up", &mail).to_string();
    assert!(
        withheld.contains("withheld: EMAIL at `/result/content/0/text`"),
        "{withheld}"
    );
    assert!(!withheld.contains("ana.lopes"), "{withheld}");
    let refused = site.call(&client, "look_up", &json!({"card": CARD})).to_string();
    assert!(
        refused.contains("CARD in the request at `/params/arguments/card`"),
        "{refused}"
    );
    site.call(&client, "look_up", &json!({"token": TOKEN}));
    assert!(String::from_utf8(site.server.take()).unwrap().contains(TOKEN));
}

#[test]
fn what_does_not_fit_its_schema_once_it_is_masked_is_withheld() {
    let site = Site::new(ALL, "");
    let client = site.client(MODERN);
    let number: u64 = CARD.parse().unwrap();
    let withheld = site
        .answer(
            &client,
            "strict",
            &json!({"content": [], "structuredContent": {"card": number}}),
        )
        .to_string();
    for part in [
        "CARD at `/result/structuredContent/card`",
        "outputSchema",
        "hint: ",
        "CARD form",
    ] {
        assert!(withheld.contains(part), "{withheld}");
    }
    assert!(!withheld.contains(CARD), "{withheld}");
    let fits = site.answer(
        &client,
        "strict",
        &json!({"content": [], "structuredContent": {"card": 12}}),
    );
    assert_eq!(fits["result"]["structuredContent"]["card"], 12);
}

/// Where policy says `form`, a value that the schema takes stands where it takes no mark; where there is none, nothing goes out.
#[test]
fn a_value_of_the_form_that_the_schema_demands_takes_the_place_of_one_that_is_masked() {
    let rules = "@id(\"all\") @results(\"CARD form, IBAN form, EMAIL form, PROVIDER_TOKEN form\")\n\
        permit(principal, action, resource);\n";
    let site = Site::new(rules, "");
    let number: u64 = CARD.parse().unwrap();
    for revision in [MODERN, LEGACY[2]] {
        let client = site.client(revision);
        let structured = json!({
            "card": number, "mail": "ana.lopes@bank.example", "ibans": [IBAN, "DE89 3704 0044 0532 0130 00"],
            "note": format!("card {CARD}"), "more": CARD,
        });
        let text = json!([{"type": "text", "text": structured.to_string()}]);
        let answer = site.answer(
            &client,
            "strict",
            &json!({"content": text, "structuredContent": structured}),
        );
        assert_eq!(
            answer["result"]["structuredContent"],
            json!({
                "card": 0, "mail": "masked@masked.invalid",
                "ibans": ["XX00000000000000000000", "XX00 0000 0000 0000 0000 00"],
                "note": "card [CARD]", "more": "[CARD]",
            }),
            "{revision}"
        );
        let heard = answer.to_string();
        assert!(heard.contains("[EMAIL]"), "in texts there are marks: {heard}");
        for value in [CARD, IBAN, "0532", "ana.lopes"] {
            assert!(!heard.contains(value), "{revision}: {value} in {heard}");
        }
        let withheld = site.answer(
            &client,
            "strict",
            &json!({"content": [], "structuredContent": {"card": 1, "token": TOKEN}}),
        );
        let withheld = withheld.to_string();
        assert!(
            withheld.contains("PROVIDER_TOKEN at `/result/structuredContent/token`") && !withheld.contains(TOKEN),
            "{withheld}"
        );
    }
    let records = site.records();
    assert!(
        records.contains("CARD form 1 /result/structuredContent/card"),
        "{records}"
    );
    assert!(!records.contains(CARD) && !records.contains(TOKEN));
}

/// The same value has the same mark in every answer, whoever asks; another state directory has another.
#[test]
fn a_hash_says_that_two_values_are_one_and_goes_to_no_server() {
    let rules = "@id(\"all\") @results(\"IBAN hash\") permit(principal, action, resource);\n";
    let marks = [0, 1].map(|_| {
        let site = Site::new(rules, "");
        let ask = |value: &str| {
            let client = site.client(MODERN);
            let structured = json!({"content": [], "structuredContent": {"iban": value}});
            let answer = site.answer(&client, "look", &structured);
            answer["result"]["structuredContent"]["iban"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let mark = ask(IBAN);
        assert!(mark.starts_with("[IBAN:hash:"), "{mark}");
        assert_eq!(ask("DE89 3704 0044 0532 0130 00"), mark);
        assert_ne!(ask("GB82WEST12345698765432"), mark);
        let client = site.client(MODERN);
        let refused = site.call(&client, "look", &json!({"to": mark})).to_string();
        assert!(refused.contains("the mark of a masked IBAN"), "{refused}");
        assert!(site.server.seen().is_empty());
        mark
    });
    assert_ne!(marks[0], marks[1]);
}

#[test]
fn with_the_detectors_off_all_passes_but_what_policy_demands_is_not_promised() {
    let rules = "@id(\"look\") @results(\"IBAN pass\") permit(principal, action, resource);\n\
        @id(\"masks\") @mask(\"iban\") permit(principal, action, resource == Tool::\"bank/look_up\");\n";
    let site = Site::new(rules, "[screen]\ndetectors = false\n");
    let client = site.client(MODERN);
    let answer = site.answer(&client, "look", &hot());
    assert_eq!(answer["result"]["structuredContent"], hot()["structuredContent"]);
    let arguments = json!({"token": TOKEN, "to": "[IBAN:3000]"});
    site.call(&client, "look", &arguments);
    let seen: Value = serde_json::from_slice(&site.server.take()).unwrap();
    assert_eq!(seen["params"]["arguments"], arguments);
    let refused = site.call(&client, "look_up", &json!({})).to_string();
    assert!(refused.contains("detectors are switched off"), "{refused}");
    assert!(site.server.seen().is_empty());
}

/// The demo's policy shows the accounts' IBANs, for a transfer needs them; elsewhere they are masked, and a mask pays nobody.
#[test]
fn the_demo_works_from_end_to_end() {
    let state = tempfile::tempdir().unwrap();
    let demo = demo(state.path());
    let structured = |tool: &str, arguments: Value| -> Value {
        let answer = call(&demo, tool, &arguments.to_string());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["result"]["structuredContent"].clone()
    };
    let accounts = structured("list_accounts", json!({"customer_id": "C-1002"}));
    let iban = accounts["accounts"][0]["iban"].as_str().unwrap();
    assert!(iban.starts_with("IE"), "{accounts}");
    let order = |to: &str| json!({"from_account": "A-2001", "to_iban": to, "amount_cents": 1250, "reference": "Rent"});
    let receipt = structured("transfer", order(iban));
    assert_eq!(receipt["to_iban"], format!("[IBAN:{}]", &iban[iban.len() - 4..]));
    let entries = structured("list_transactions", json!({"account_id": "A-2001"}));
    let masked = entries["transactions"][0]["counterparty_iban"].as_str().unwrap();
    assert!(masked.starts_with("[IBAN:"), "{entries}");
    let refused = call(&demo, "transfer", &order(masked).to_string());
    assert!(
        refused.contains("the mark of a masked IBAN") && refused.contains("hint: "),
        "{refused}"
    );
}

/// A secret that is declared for a server goes to it, in whatever a caller says, and to no other; nothing else that is secret does.
#[test]
fn a_declared_credential_goes_to_its_server_alone() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let serve = || {
        Scripted::serve(Shelf {
            tools: json!([{"name": "look", "inputSchema": {"type": "object"}}]),
            ..Shelf::default()
        })
    };
    let (bank, shop) = (serve(), serve());
    let credentials = format!("credentials = [{{ file = {} }}]\n", json!(file));
    let gateway = gateway(&format!(
        "{}{}",
        upstream_table("bank", &bank.url, &credentials),
        upstream_table("shop", &shop.url, ""),
    ));
    let other = "ghp_6Tkl5xOKTiJ2z7nZW5phJtfhUItGqXNGhfqXtlI";
    for revision in [MODERN, LEGACY[2]] {
        let ask = |endpoint: &str, text: &str| {
            let client = Client::open(gateway.address(), endpoint, revision);
            let members = format!(r#""name":"look","arguments":{{"token":{}}}"#, json!(text));
            let call = client.request("1", "tools/call", &members);
            String::from_utf8(client.post(call.as_bytes()).unwrap().last().unwrap()).unwrap()
        };
        ask("bank", TOKEN);
        assert!(String::from_utf8(bank.take()).unwrap().contains(TOKEN), "{revision}");
        for (endpoint, text) in [("bank", other), ("shop", TOKEN)] {
            let refused = ask(endpoint, text);
            for part in [
                "PROVIDER_TOKEN in the request at `/params/arguments/token`",
                "`credentials`",
            ] {
                assert!(refused.contains(part), "{revision}: {refused}");
            }
        }
        assert!(shop.seen().is_empty() && bank.seen().is_empty(), "{revision}");
    }
}

/// A legacy server, in shell, that speaks in no call when roots change, and asks in a call what cannot be masked.
const STRAY_SERVER: &str = r#"
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([^,}]*\).*/\1/p')
  case "$line" in
    *'"method":"initialize"'*)
      said='"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"notes","version":"1"}}' ;;
    *'"method":"tools/list"'*)
      said='"result":{"tools":[{"name":"look","inputSchema":{"type":"object"}},{"name":"ask","inputSchema":{"type":"object"}}]}' ;;
    *'"name":"look"'*) said='"result":{"content":[]}' ;;
    *'"name":"ask"'*)
      printf '%s\n' '{"jsonrpc":"2.0","id":70,"method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{"TOKEN":{"type":"string"},"OTHER":{"type":"string"}}}}}'
      id='' ;;
    *'"method":"notifications/cancelled"'*)
      printf '%s\n' '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"let go"}}' ;;
    *'"method":"notifications/roots/list_changed"'*)
      for n in 1 2; do printf '%s\n' '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"card CARD"}}'; done
      printf '%s\n' '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":70}}'
      printf '%s\n' '{"jsonrpc":"2.0","id":71,"method":"elicitation/create","params":{"message":"with TOKEN?","requestedSchema":{"type":"object","properties":{}}}}' ;;
    *) said='"error":{"code":-32601,"message":"no such method"}' ;;
  esac
  if [ -n "$id" ]; then printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$said"; fi
done
"#;

/// What a server says in no call is masked, and the record says what was in it; a question that may not be asked ends its call.
#[test]
fn news_and_questions_of_no_call_are_masked_and_on_the_record() {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let script = state.path().join("notes.sh");
    let other = "ghp_6Tkl5xOKTiJ2z7nZW5phJtfhUItGqXNGhfqXtlI";
    let text = STRAY_SERVER.replace("OTHER", other);
    fs::write(
        &script,
        text.replace("TOKEN", TOKEN)
            .replace("card CARD", &format!("card {CARD}")),
    )
    .unwrap();
    let mut host = portcullis()
        .arg("--state")
        .arg(state.path())
        .args(["wrap", "--", "sh"])
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (said, lines) = mpsc::channel();
    let output = BufReader::new(host.stdout.take().unwrap());
    thread::spawn(move || output.lines().try_for_each(|line| said.send(line.unwrap())));
    let mut asking = host.stdin.take().unwrap();
    let mut tell = |message: Value| writeln!(asking, "{message}").unwrap();
    let hear = |until: &str| -> Vec<String> {
        let mut all = Vec::new();
        while !all.last().is_some_and(|line: &String| line.contains(until)) {
            all.push(lines.recv_timeout(PATIENCE).unwrap());
        }
        all
    };
    let call = |id: &str, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
    tell(
        json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}, "roots": {"listChanged": true}},
            "clientInfo": {"name": "tester", "version": "1"},
        }}),
    );
    hear("hello");
    tell(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    tell(call("looked", "look"));
    hear("looked");
    tell(json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}));
    let said = hear("elicitation/create");
    assert_eq!(
        said.len(),
        3,
        "what the server takes back is its own business: {said:?}"
    );
    let said = said.join("\n");
    assert_eq!(said.matches("card [CARD:1486]").count(), 2, "{said}");
    assert!(
        said.contains("with [PROVIDER_TOKEN]?") && !said.contains(TOKEN),
        "{said}"
    );
    // Two keys that would become one: it does not go out, and the server hears that its call is over.
    tell(call("asked", "ask"));
    let refused = hear("asked").join("\n");
    assert!(
        refused.contains("withheld: PROVIDER_TOKEN") && !refused.contains(TOKEN),
        "{refused}"
    );
    // It may come before the refusal.
    if !refused.contains("let go") {
        hear("let go");
    }
    drop(asking);
    assert!(host.wait().unwrap().success());
    let server = fs::read_dir(state.path().join("wrap"))
        .unwrap()
        .flatten()
        .next()
        .unwrap();
    let processes = fs::read_dir(server.path().join("record")).unwrap().flatten();
    let told: String = processes.map(|process| records(&process.path())).collect();
    let told: Vec<&str> = told.lines().filter(|line| line.contains("data_in_no_call")).collect();
    // The first at once, the rest together at the end.
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("CARD mask 1 /params/data"), "{told:?}");
    for line in ["CARD mask 1 /params/data", "PROVIDER_TOKEN mask 1 /params/message"] {
        assert!(told[1].contains(line), "{line}: {told:?}");
    }
    assert!(
        !told.concat().contains(TOKEN) && !told.concat().contains(CARD),
        "{told:?}"
    );
}
