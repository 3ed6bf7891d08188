//! A legacy client's notifications: each is decided, screened and recorded for each server that it concerns, and reaches those
//! alone, byte for byte. Nobody is answered, so that the servers' own notes and the record are all that can be looked at.

use crate::harness::{Client, Scripted, Shelf, member, upstream_table};
use portcullis_ledger::Tail;
use portcullis_testkit::gateway::Gateway;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

const REVISION: &str = "2025-11-25";

/// Everything is permitted but a session with `shop` and the notifications of one vendor.
const RULES: &str = "@id(\"all\") permit(principal, action, resource);\n\
     @id(\"no-shop\") forbid(principal, action == Action::\"connect\", resource == Server::\"shop\");\n\
     @id(\"no-evil\") forbid(principal, action == Action::\"method\", resource)\n\
     when { context.method like \"notifications/evil/*\" };\n";

struct Site {
    bank: Scripted,
    shop: Scripted,
    gateway: Gateway,
    record: PathBuf,
    /// How many records have been looked at.
    read: u64,
    client: Client,
}

/// What the record has of one message to one server: its decision, and its outcome.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    upstream: String,
    decision: String,
    reason: String,
    policies: Value,
    status: String,
    code: String,
}

impl Pair {
    fn passed(upstream: &str) -> Self {
        Self::new(upstream, "allow", "permitted", json!(["all"]), "executed", "")
    }

    fn forbidden(upstream: &str, by: &str) -> Self {
        Self::new(upstream, "deny", "forbidden", json!([by]), "refused", "forbidden")
    }

    fn new(upstream: &str, decision: &str, reason: &str, policies: Value, status: &str, code: &str) -> Self {
        let [upstream, decision, reason, status, code] = [upstream, decision, reason, status, code].map(str::to_owned);
        Self {
            upstream,
            decision,
            reason,
            policies,
            status,
            code,
        }
    }
}

impl Site {
    /// A client whose session has reached both servers.
    fn new() -> Self {
        let serve = |tool: &str| {
            Scripted::serve(Shelf {
                tools: json!([{"name": tool, "inputSchema": {"type": "object"}}]),
                ..Shelf::default()
            })
        };
        let (bank, shop) = (serve("balance"), serve("search"));
        let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
        let work = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let mut record = PathBuf::new();
        let gateway = Gateway::start_with(program, work, |address, state, policy| {
            fs::write(policy, RULES).unwrap();
            record = state.join("record");
            format!(
                "[listen]\naddress = \"{address}\"\n[identity]\nanonymous = \"eve\"\n[state]\ndirectory = {}\n\
                 [policy]\nfile = {}\n{}{}",
                json!(state),
                json!(policy),
                upstream_table("bank", &bank.url, ""),
                upstream_table("shop", &shop.url, ""),
            )
        })
        .unwrap();
        let client = Client::open(gateway.address(), "", REVISION);
        for (server, tool) in [(&bank, "balance"), (&shop, "search")] {
            let call = client.request("1", "tools/call", &format!(r#""name":"{tool}""#));
            client.post(call.as_bytes()).and_then(|answer| answer.last()).unwrap();
            server.take();
        }
        let mut site = Self {
            bank,
            shop,
            gateway,
            record,
            read: 0,
            client,
        };
        site.news();
        site
    }

    /// Sends a notification, which is accepted whatever becomes of it. When this returns, it has reached whom it will.
    fn tell(&self, text: &str) {
        assert_eq!(self.client.post(text.as_bytes()).unwrap().status, 202, "{text}");
    }

    /// The records since the last time.
    fn news(&mut self) -> Vec<Value> {
        let mut tail = Tail::new(&self.record, self.read);
        let records: Vec<Value> = std::iter::from_fn(|| tail.next_record().unwrap())
            .map(|record| serde_json::from_str(&record.json).unwrap())
            .collect();
        self.read += records.len() as u64;
        records
    }

    /// What the record has since the last time of `method`, by upstream.
    fn pairs(&mut self, method: &str) -> Vec<Pair> {
        let records = self.news();
        let text = |record: &Value, path: &str| record.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
        let decisions = records
            .iter()
            .enumerate()
            .filter(|(_, record)| text(record, "/t") == "decision" && text(record, "/call/method") == method);
        let mut pairs: Vec<Pair> = decisions
            .map(|(at, decision)| {
                let outcome = records.iter().enumerate().find(|(_, record)| {
                    text(record, "/t") == "outcome" && text(record, "/pair") == text(decision, "/pair")
                });
                let (after, outcome) = outcome.expect("an outcome for each decision");
                assert!(at < after, "the decision stands before the outcome");
                Pair {
                    upstream: text(decision, "/call/upstream"),
                    decision: text(decision, "/policy/decision"),
                    reason: text(decision, "/policy/reason_code"),
                    policies: decision["policy"]["ids"].clone(),
                    status: text(outcome, "/effect/status"),
                    code: text(outcome, "/effect/reason_code"),
                }
            })
            .collect();
        pairs.sort_by(|one, other| one.upstream.cmp(&other.upstream));
        pairs
    }

    fn nobody_heard(&self) {
        assert!(self.bank.seen().is_empty() && self.shop.seen().is_empty());
    }
}

#[test]
fn policy_decides_for_each_server_and_what_passes_is_as_it_came() {
    let mut site = Site::new();

    let roots = r#"{"jsonrpc":"2.0",  "method":"notifications/roots/list_changed", "vendor": [1e2]}"#;
    site.tell(roots);
    assert_eq!(site.bank.take(), roots.as_bytes());
    assert!(site.shop.seen().is_empty());
    let both = [Pair::passed("bank"), Pair::forbidden("shop", "no-shop")];
    assert_eq!(site.pairs("notifications/roots/list_changed"), both);

    let vendor = r#"{"method":"notifications/acme/tick","jsonrpc":"2.0","params":{ "n": 1.50, "n2":"\u00e9" }}"#;
    site.tell(vendor);
    assert_eq!(site.bank.take(), vendor.as_bytes());
    assert!(site.shop.seen().is_empty());
    assert_eq!(site.pairs("notifications/acme/tick"), both);

    site.tell(r#"{"jsonrpc":"2.0","method":"notifications/evil/wipe","params":{}}"#);
    site.nobody_heard();
    assert_eq!(
        site.pairs("notifications/evil/wipe"),
        [Pair::forbidden("bank", "no-evil"), Pair::forbidden("shop", "no-shop")]
    );

    // The handshake's last word and a cancellation are the gateway's own business.
    site.tell(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    site.tell(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    site.nobody_heard();
    assert_eq!(site.news(), Vec::<Value>::new());
}

#[test]
fn hidden_characters_and_size_are_looked_at() {
    let mut site = Site::new();
    let told =
        |text: &str| format!(r#"{{"jsonrpc":"2.0","method":"notifications/acme/say","params":{{"text":"{text}"}}}}"#);
    let refused = |code: &str| {
        [
            Pair::new("bank", "allow", "permitted", json!(["all"]), "refused", code),
            Pair::forbidden("shop", "no-shop"),
        ]
    };

    site.tell(&told("tick\\u200b\\udb40\\udc41\\udb40\\udc42"));
    site.nobody_heard();
    assert_eq!(
        site.pairs("notifications/acme/say"),
        refused("hidden_characters_in_arguments")
    );

    site.tell(&told(&"x".repeat(64 << 10)));
    site.nobody_heard();
    assert_eq!(site.pairs("notifications/acme/say"), refused("notification_too_large"));

    let fits = told(&"x".repeat(60 << 10));
    site.tell(&fits);
    assert_eq!(site.bank.take(), fits.as_bytes());
}

#[test]
fn progress_goes_to_the_server_that_asked_for_it() {
    let mut site = Site::new();
    let progress = |token: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{ "progressToken":{token},"progress":0.50}}}}"#
        )
    };
    const METHOD: &str = "notifications/progress";
    let nobody = [Pair::new(
        "",
        "deny",
        "progress_of_no_question",
        json!([]),
        "refused",
        "progress_of_no_question",
    )];

    site.tell(&progress("7"));
    site.nobody_heard();
    assert_eq!(site.pairs(METHOD), nobody);

    // Both servers ask in mid-call; one token is the bank's alone, the other is both's.
    let client = site.client.clone();
    let ask = |server: &Scripted, tool: &str, token: &'static str| {
        let (go_on, end) = mpsc::channel::<()>();
        server.play(move |id, stage| {
            let question = format!(
                r#"{{"jsonrpc":"2.0","id":"ask","method":"sampling/createMessage","params":{{"messages":[],"maxTokens":1,"_meta":{{"progressToken":{token}}}}}}}"#
            );
            stage.event(question.as_bytes())?;
            end.recv().unwrap();
            stage.event(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#).as_bytes())
        });
        let call = client.request(&format!("\"{tool}\""), "tools/call", &format!(r#""name":"{tool}""#));
        let mut heard = client.post(call.as_bytes()).unwrap().messages();
        let question = heard.next().unwrap().unwrap();
        server.take();
        (go_on, heard, member(&question, "id").unwrap().to_owned())
    };
    let (go_on, mut heard, question) = ask(&site.bank, "balance", "7");
    site.news();
    site.tell(&progress("7"));
    assert_eq!(site.bank.take(), progress("7").as_bytes());
    assert!(site.shop.seen().is_empty());
    assert_eq!(site.pairs(METHOD), [Pair::passed("bank")]);
    // `"7"` is another token.
    site.tell(&progress(r#""7""#));
    site.nobody_heard();
    assert_eq!(site.pairs(METHOD), nobody);

    // The shop may not be connected to, whatever it asks.
    let (shop_goes_on, mut shop_heard, shops) = ask(&site.shop, "search", "\"s\"");
    site.news();
    site.tell(&progress(r#""\u0073""#));
    site.nobody_heard();
    assert_eq!(site.pairs(METHOD), [Pair::forbidden("shop", "no-shop")]);
    for (question, go_on, heard) in [(question, go_on, &mut heard), (shops, shop_goes_on, &mut shop_heard)] {
        site.tell(&format!(
            r#"{{"jsonrpc":"2.0","id":{question},"result":{{"role":"assistant"}}}}"#
        ));
        go_on.send(()).unwrap();
        heard.next().unwrap().unwrap();
    }
    site.bank.take();
    site.shop.take();

    // A token that both servers have chosen belongs to neither for sure.
    let (bank_goes_on, _bank_heard, _) = ask(&site.bank, "balance", "1");
    let (shop_goes_on, _shop_heard, _) = ask(&site.shop, "search", "1");
    site.news();
    site.tell(&progress("1"));
    site.nobody_heard();
    assert_eq!(site.pairs(METHOD), nobody);
    bank_goes_on.send(()).unwrap();
    shop_goes_on.send(()).unwrap();

    // Twice the same key: two readers may read two things.
    site.tell(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progressToken":2,"progress":1}}"#);
    site.nobody_heard();
    assert_eq!(
        site.pairs(METHOD).first().map(|pair| pair.code.as_str()),
        Some("ambiguous_json")
    );
}

#[test]
fn a_flood_fills_neither_the_servers_nor_the_record() {
    let mut site = Site::new();
    let mut sent = 0_usize;
    let dropped = loop {
        assert!(sent < 20_000, "nothing was dropped");
        for _ in 0..200 {
            site.tell(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
            sent += 1;
        }
        let records = site.news();
        let dropped = records
            .iter()
            .find(|record| record.pointer("/event/action") == Some(&json!("notifications_dropped")));
        if let Some(dropped) = dropped {
            break dropped.clone();
        }
    };
    assert!(dropped["event"]["detail"]["count"].as_u64() >= Some(1), "{dropped}");
    let arrived = site.bank.seen().len();
    assert!((1..sent).contains(&arrived), "{arrived} of {sent}");
    assert!(site.gateway.output().contains("notifications dropped"));

    // Another session has its own allowance.
    let other = Client::open(site.gateway.address(), "", REVISION);
    let call = other.request("1", "tools/call", r#""name":"balance""#);
    other.post(call.as_bytes()).and_then(|answer| answer.last()).unwrap();
    let before = site.bank.seen().len();
    let roots = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    assert_eq!(other.post(roots.as_bytes()).unwrap().status, 202);
    assert_eq!(site.bank.seen().len(), before + 1);
}
