//! The record through the running program: killed at random moments under load, on a full disk, changed behind its back.
//!
//! Two witnesses stand outside: the clients note every answer that they receive, the server notes every request that it sees,
//! and both outlive the gateway. [`judge`] holds their notes against the record: a call is found by its JSON-RPC id, which is
//! on the record in clear, and what it carried by the keyed commitment, which is computed here anew from its description.

use crate::harness::{Client, MODERN, Scripted, Shelf, exchange, head, member, upstream_table};
use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_ledger::Tail;
use portcullis_store::keys::Secret;
use portcullis_testkit::gateway::{POLICY, free_address};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Clients that call at the same time.
const CLIENTS: u64 = 6;
/// What a record, or a process that ends, is waited for.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often to look.
const POLL: Duration = Duration::from_millis(5);
/// The error by which the gateway says that its record cannot be written.
const NO_RECORD: i64 = 5030;

/// How often the gateway is killed.
fn kills() -> u64 {
    match std::env::var("PORTCULLIS_FULL").is_ok_and(|value| value == "1") {
        true => 200,
        false => 10,
    }
}

// ---- the gateway ----

/// A gateway's files, which stay when it is killed.
struct Site {
    directory: tempfile::TempDir,
    server: Scripted,
}

/// The gateway as it runs. Dropping it kills it.
struct Running {
    child: Child,
    address: SocketAddr,
}

/// A stdio server that has nothing, and a grandchild of the gateway below it. Both show the directory in their command line.
const IDLE_SERVER: &str = r#"tail -f "$0" &
while read -r line; do
  id=${line#*\"id\":}; id=${id%%[,\}]*}
  case $line in
    *'"initialize"'*) answer='"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"idle","version":"1"}}' ;;
    *'"id":'*) answer='"error":{"code":-32601,"message":"method not found"}' ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$answer"
done
"#;

impl Site {
    fn new() -> Self {
        let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
        let site = Self {
            directory: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            server: Scripted::serve(Shelf {
                tools: json!([tool("look"), tool("store")]),
                ..Shelf::default()
            }),
        };
        fs::write(site.path("policy.cedar"), POLICY).unwrap();
        fs::write(site.path("idle.sh"), IDLE_SERVER).unwrap();
        fs::create_dir_all(site.record()).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn record(&self) -> PathBuf {
        self.path("state/record")
    }

    /// Starts the gateway on the state that there is, and does not wait for it.
    fn start(&self) -> Running {
        let address = free_address().unwrap();
        // The parent-death signal ends it with this test. A file that may not grow is an error, as on a full disk, no death.
        self.write_configuration(address);
        let log = fs::File::create(self.path("output.log")).unwrap();
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec setpriv --pdeathsig KILL -- \"$@\"", "sh"])
            .args([program(), Path::new("up"), Path::new("--config")])
            .arg(self.path("portcullis.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Running { child, address }
    }

    fn write_configuration(&self, address: SocketAddr) {
        let effects = "[upstream.tools]\nlook = { effect = \"read\" }\nstore = { effect = \"commit\" }\n";
        let text = format!(
            "[listen]\naddress = \"{address}\"\n\n[identity]\nanonymous = \"tester\"\n\n[state]\ndirectory = {}\n\n\
             [policy]\nfile = {}\n\n[[upstream]]\nname = \"idle\"\nera = \"legacy\"\ncommand = {}\n\n{}",
            json!(self.path("state")),
            json!(self.path("policy.cedar")),
            json!(["sh", self.path("idle.sh")]),
            upstream_table("shop", &self.server.url, effects),
        );
        fs::write(self.path("portcullis.toml"), text).unwrap();
    }

    /// `portcullis audit verify`: whether it is content, and what it printed.
    fn verify(&self, more: &[&str]) -> (bool, String) {
        let output = Command::new(program())
            .args(["audit", "verify"])
            .args(more)
            .arg("--config")
            .arg(self.path("portcullis.toml"))
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn assert_verified(&self, when: &str) {
        let (sound, text) = self.verify(&[]);
        assert!(sound, "{when}: {text}");
    }

    /// What the gateway wrote since it was last started.
    fn output(&self) -> String {
        fs::read_to_string(self.path("output.log")).unwrap_or_default()
    }

    /// Every record, in order.
    fn records(&self) -> Vec<Value> {
        let mut tail = Tail::new(&self.record(), 0);
        std::iter::from_fn(|| tail.next_record().unwrap())
            .map(|record| serde_json::from_str(&record.json).unwrap())
            .collect()
    }

    /// The record may still be in the middle of a recovery as the gateway is asked to stop: this waits for a clean end.
    fn stop(&self, mut gateway: Running) {
        kill_process(gateway.id(), Signal::TERM).unwrap();
        let ended = gateway.ended();
        assert!(ended.success(), "{ended}: {}", self.output());
    }

    /// Processes of this gateway: whatever names its directory, or was `known` to descend from it. A zombie counts.
    fn processes(&self, known: &HashSet<Process>) -> Vec<Process> {
        let directory = self.directory.path().to_str().unwrap();
        let mine = |process: &Process| known.contains(process) || process.command_line().contains(directory);
        Process::all().into_iter().filter(mine).collect()
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_portcullis"))
}

impl Running {
    fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until it takes connections.
    fn ready(&mut self, site: &Site) {
        eventually("the gateway is ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", site.output());
            std::net::TcpStream::connect(self.address).is_ok()
        });
    }

    fn ended(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the gateway ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }

    /// The status of `/readyz`.
    fn readiness(&self) -> u16 {
        let headers = [("host", self.address.to_string()), ("connection", "close".to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        exchange(self.address, &head("GET /readyz", &headers, None), b"")
            .unwrap()
            .status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process, told from a later one with the same number by when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Process {
    id: u32,
    begun: u64,
    parent: u32,
}

impl Process {
    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| {
                let id = entry.file_name().to_str()?.parse().ok()?;
                // The name in brackets may hold anything; the rest is numbers (proc(5), /proc/pid/stat).
                let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
                let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
                Some(Self {
                    id,
                    parent: fields.get(1)?.parse().ok()?,
                    begun: fields.get(19)?.parse().ok()?,
                })
            })
            .collect()
    }

    /// Those below `root`.
    fn descendants(root: u32) -> HashSet<Self> {
        let all = Self::all();
        let mut found = HashSet::new();
        let mut above = HashSet::from([root]);
        loop {
            let next: Vec<Self> = all
                .iter()
                .filter(|process| above.contains(&process.parent))
                .copied()
                .collect();
            above = next.iter().map(|process| process.id).collect();
            if next.is_empty() {
                return found;
            }
            found.extend(next);
        }
    }

    /// Empty for a zombie, and for one that is gone.
    fn command_line(&self) -> String {
        let line = fs::read(format!("/proc/{}/cmdline", self.id)).unwrap_or_default();
        String::from_utf8_lossy(&line).into_owned()
    }
}

/// Asks again until it is true.
fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(POLL);
    }
}

// ---- the clients ----

/// What the clients sent and received, by the id of the call.
#[derive(Debug, Default)]
struct Notes {
    sent: HashMap<String, String>,
    answers: HashMap<String, Vec<u8>>,
    refusals: usize,
}

/// Clients that call whatever gateway there is at the moment.
#[derive(Default)]
struct Load {
    notes: Mutex<Notes>,
    /// The gateway's address, while there is one.
    gateway: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
enum Gate {
    #[default]
    Down,
    Up(SocketAddr),
    /// The clients go home.
    Over,
}

impl Load {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, gate: Gate) {
        *self.gateway.lock().unwrap_or_else(PoisonError::into_inner) = gate;
        self.changed.notify_all();
    }

    /// Where to call; `None` when it is over.
    fn address(&self) -> Option<SocketAddr> {
        let mut gate = self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *gate {
                Gate::Up(address) => return Some(address),
                Gate::Over => return None,
                Gate::Down => gate = self.changed.wait(gate).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// One call with arguments that no other call has: whether an answer came that is no refusal for want of a record.
    fn call(&self, address: SocketAddr, name: &str) -> Option<bool> {
        // Every third changes something, so that its decision must be durable first.
        let tool = match name.ends_with(['0', '3', '6', '9']) {
            true => "store",
            false => "look",
        };
        let client = Client::open(address, "", MODERN);
        let members = json!({"name": tool, "arguments": {"of": name}}).to_string();
        let request = client.request(&json!(name).to_string(), "tools/call", &members[1..members.len() - 1]);
        let params = member(request.as_bytes(), "params").unwrap().to_owned();
        self.notes().sent.insert(name.to_owned(), params);
        let answer = client.post(request.as_bytes()).ok()?;
        let status = answer.status;
        let message = answer.last().ok()?;
        assert_eq!(
            member(&message, "id"),
            member(request.as_bytes(), "id"),
            "{}",
            String::from_utf8_lossy(&message)
        );
        let refused = is_unrecordable(&message);
        if refused {
            let text = String::from_utf8_lossy(&message);
            assert!(
                status == 503 && text.contains("cannot keep its record") && text.contains("hint"),
                "{status} {text}"
            );
        }
        let mut notes = self.notes();
        notes.refusals += usize::from(refused);
        notes.answers.insert(name.to_owned(), message);
        Some(!refused)
    }

    /// Client number `number`, until it is over.
    fn client(&self, number: u64) {
        let mut count = 0_u64;
        while let Some(address) = self.address() {
            // A connection that breaks is an answer that did not come.
            let _ = self.call(address, &format!("{number}-{count}"));
            count += 1;
        }
    }

    /// So many clients while `work` is done. They end with it, also when it panics.
    fn with_clients<T>(&self, clients: u64, work: impl FnOnce() -> T) -> T {
        struct GoHome<'a>(&'a Load);
        impl Drop for GoHome<'_> {
            fn drop(&mut self) {
                self.0.set(Gate::Over);
            }
        }
        thread::scope(|scope| {
            let _home = GoHome(self);
            for number in 0..clients {
                scope.spawn(move || self.client(number));
            }
            work()
        })
    }

    /// Waits for `answers` more.
    fn answered(&self, answers: usize) {
        let before = self.notes().answers.len();
        eventually("answers", || self.notes().answers.len() >= before + answers);
    }
}

fn is_unrecordable(message: &[u8]) -> bool {
    let error = member(message, "error").and_then(|error| serde_json::from_str::<Value>(error).ok());
    error.is_some_and(|error| error["code"] == NO_RECORD)
}

// ---- the judge ----

/// How much was compared.
#[derive(Debug, Default)]
struct Tally {
    /// Answers that clients received.
    answers: usize,
    /// Requests that the server saw.
    requests: usize,
    /// Of these, requests whose answer never reached a client.
    unanswered: usize,
    /// Outcomes that recovery wrote.
    unknown: usize,
    records: usize,
    wrong: Vec<String>,
}

/// The keyed commitments of the test's one caller, after the description in REGULATED 1.3: a key for the subject from the
/// ledger's secret, a key for the call from the subject's, and HMAC-SHA-256 of the SHA-256 of the content with it.
struct Commitments(hmac::Key);

impl Commitments {
    fn of(record: &Path) -> Self {
        let secret = Secret::load(&record.join("keys/commitment.secret")).unwrap();
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Self(keyed(&root, b"portcullis subject key v1\0user:tester"))
    }

    fn commitment(&self, call: &str, side: &str, content: &[u8]) -> String {
        let mut label = b"call\0".to_vec();
        label.extend_from_slice(&u128::from_str_radix(call, 16).unwrap().to_be_bytes());
        let mut content_digest = format!("{side}\0").into_bytes();
        content_digest.extend_from_slice(digest::digest(&digest::SHA256, content).as_ref());
        URL_SAFE_NO_PAD.encode(hmac::sign(&keyed(&self.0, &label), &content_digest))
    }
}

fn keyed(key: &hmac::Key, text: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(key, text).as_ref())
}

/// Every answer has its outcome, every request has its decision, each with what it carried.
fn judge(site: &Site, notes: &Notes) -> Tally {
    let commitments = Commitments::of(&site.record());
    let (mut decisions, mut outcomes) = (HashMap::new(), HashMap::new());
    let mut tally = Tally::default();
    for record in site.records() {
        tally.records += 1;
        tally.unknown += usize::from(record["effect"]["status"] == "unknown");
        let pair = record["pair"].as_str().unwrap_or_default().to_owned();
        let twice = match record["t"].as_str() {
            Some("decision") => {
                // The JSON text of a string.
                let id = record["call"]["request_id"].as_str().unwrap_or_default();
                let id = serde_json::from_str::<String>(id).unwrap_or_default();
                decisions.insert(id, record)
            }
            Some("outcome") => outcomes.insert(pair, record),
            _ => None,
        };
        tally
            .wrong
            .extend(twice.map(|record| format!("a second record beside {record}")));
    }
    for (id, answer) in &notes.answers {
        if is_unrecordable(answer) {
            continue;
        }
        tally.answers += 1;
        let text = String::from_utf8_lossy(answer);
        let pair = decisions.get(id).map(|decision| &decision["pair"]);
        let outcome = pair.and_then(|pair| outcomes.get(pair.as_str()?));
        let Some(outcome) = outcome else {
            tally.wrong.push(format!("no outcome for the answer {text}"));
            continue;
        };
        let (content, status) = match member(answer, "result") {
            Some(result) => (result.as_bytes(), "executed"),
            None => (answer.as_slice(), "refused"),
        };
        let commitment = commitments.commitment(outcome["pair"].as_str().unwrap(), "out", content);
        if outcome["out"]["commit"] != json!(commitment) || outcome["effect"]["status"] != status {
            tally
                .wrong
                .push(format!("the outcome {outcome} is not that of the answer {text}"));
        }
    }
    for request in site.server.seen() {
        let text = String::from_utf8_lossy(&request);
        let arguments = member(&request, "params").and_then(|params| member(params.as_bytes(), "arguments"));
        let Some(arguments) = arguments.filter(|_| member(&request, "method") == Some("\"tools/call\"")) else {
            tally.wrong.push(format!("the server was sent {text}"));
            continue;
        };
        tally.requests += 1;
        let id = serde_json::from_str::<Value>(arguments).unwrap()["of"]
            .as_str()
            .unwrap()
            .to_owned();
        tally.unanswered += usize::from(!notes.answers.contains_key(&id));
        let sent = &notes.sent[&id];
        if member(sent.as_bytes(), "arguments") != Some(arguments) {
            tally.wrong.push(format!("sent {sent}, but the server saw {text}"));
        }
        let Some(decision) = decisions.get(&id) else {
            tally.wrong.push(format!("no decision for the request {text}"));
            continue;
        };
        let commitment = commitments.commitment(decision["pair"].as_str().unwrap(), "in", sent.as_bytes());
        if decision["in"]["commit"] != json!(commitment) || decision["policy"]["decision"] != "allow" {
            tally
                .wrong
                .push(format!("the decision {decision} is not that on {sent}"));
        }
    }
    tally
}

impl Tally {
    fn assert_right(&self) {
        let first = self.wrong.iter().take(5).collect::<Vec<_>>();
        assert!(
            self.wrong.is_empty(),
            "{} wrong, the first: {first:#?}",
            self.wrong.len()
        );
    }
}

/// A small generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, range: Range<u64>) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        range.start + self.0 % (range.end - range.start)
    }
}

// ---- killed ----

#[test]
fn strangers_are_counted_to_the_last() {
    const STRANGERS: u64 = 7;
    let site = Site::new();
    let mut gateway = site.start();
    gateway.ready(&site);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    for stranger in 0..STRANGERS {
        let headers = [
            ("host", gateway.address.to_string()),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
            ("authorization", "Bearer pk_nobody_has_this".to_owned()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        // Some mean to send much, and are counted by their head; nobody is counted twice.
        let (length, body) = match stranger % 2 {
            0 => (ping.len(), ping.as_str()),
            _ => (1 << 20, ""),
        };
        let request = head("POST /mcp", &headers, Some(length));
        assert_eq!(
            exchange(gateway.address, &request, body.as_bytes()).unwrap().status,
            401
        );
    }
    site.stop(gateway);
    // The first at once, and the rest of the window when the gateway ends.
    let counts: Vec<u64> = site
        .records()
        .iter()
        .filter(|record| record["event"]["action"] == "authentication_failed")
        .filter_map(|record| record["event"]["detail"]["count"].as_u64())
        .collect();
    assert_eq!(counts, [1, STRANGERS - 1], "{:#?}", site.records());
    site.assert_verified("after strangers");
}

#[test]
fn killed_at_random_moments_it_has_every_answer_and_every_request_on_record() {
    let (site, load, mut dice) = (Site::new(), Load::default(), Dice(0x5EED_0F0D_DE00));
    let (mut in_start, mut processes) = (0, 0);
    load.with_clients(CLIENTS, || {
        for round in 1..=kills() {
            let mut gateway = site.start();
            if dice.roll(0..5) == 0 {
                // In the middle of its start, which is also where it recovers from the kill before.
                pause(Duration::from_micros(dice.roll(0..120_000)));
                in_start += 1;
            } else {
                gateway.ready(&site);
                load.set(Gate::Up(gateway.address));
                load.answered(usize::try_from(dice.roll(1..120)).unwrap());
                pause(Duration::from_micros(dice.roll(0..20_000)));
            }
            let below = Process::descendants(gateway.child.id());
            processes += below.len();
            gateway.child.kill().unwrap();
            load.set(Gate::Down);
            gateway.child.wait().unwrap();
            eventually("nobody is left of a gateway that was killed", || {
                site.processes(&below).is_empty()
            });
            if round % 5 == 0 {
                site.assert_verified(&format!("after kill {round}"));
            }
        }
        let mut gateway = site.start();
        gateway.ready(&site);
        load.set(Gate::Up(gateway.address));
        load.answered(50);
        load.set(Gate::Down);
        let below = Process::descendants(gateway.child.id());
        site.stop(gateway);
        eventually("nobody is left of a gateway that was stopped", || {
            site.processes(&below).is_empty()
        });
    });
    let (sound, text) = site.verify(&["--json"]);
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    assert!(sound && report["open"] == 0 && report["not_covered"] == 0, "{text}");
    assert_eq!(report["decisions"], report["outcomes"], "{text}");
    let notes = load.notes();
    assert_eq!(notes.refusals, 0, "refused for want of a record");
    let tally = judge(&site, &notes);
    tally.assert_right();
    // The test has seen what it is about: answers and requests in number, calls that a kill cut in two, a process tree.
    let kills = usize::try_from(kills()).unwrap();
    assert!(tally.answers >= 20 * kills && tally.requests >= 20 * kills, "{tally:?}");
    assert!(
        tally.unanswered > 0 && tally.unknown > 0 && processes >= kills,
        "{tally:?}, {processes} processes"
    );
    println!(
        "figure: {kills} kills ({in_start} in the start): {} answers and {} requests on record, 0 missing; {} requests cut off \
         from their answer, {} outcomes unknown; {} records verified; {processes} processes below, 0 left",
        tally.answers, tally.requests, tally.unanswered, tally.unknown, tally.records
    );
}

/// Lets the others run for so long: the moment of a kill is chance, and nothing is waited for.
fn pause(time: Duration) {
    thread::sleep(time);
}

/// The test of the test.
#[test]
fn a_record_that_is_one_short_is_noticed() {
    let (site, load) = (Site::new(), Load::default());
    let mut gateway = site.start();
    gateway.ready(&site);
    for count in 0..40 {
        assert_eq!(load.call(gateway.address, &format!("one-{count}")), Some(true));
    }
    gateway.child.kill().unwrap();
    gateway.child.wait().unwrap();
    let notes = load.notes();
    judge(&site, &notes).assert_right();

    // The journal without its last outcome: the judge misses it, and if it was promised, so does the gateway itself.
    let segment = last_segment(&site.record());
    let whole = fs::read(&segment).unwrap();
    let start = last_outcome(&whole);
    fs::write(&segment, &whole[..start - JOURNAL_ENTRY_HEADER_BYTES]).unwrap();
    let mut gateway = site.start();
    let mut ended = None;
    eventually("the gateway is ready, or refuses the record", || {
        ended = gateway.child.try_wait().unwrap();
        ended.is_some() || std::net::TcpStream::connect(gateway.address).is_ok()
    });
    match ended {
        Some(status) => assert!(
            !status.success() && site.output().contains("journal"),
            "{}",
            site.output()
        ),
        None => {
            drop(gateway);
            let wrong = judge(&site, &notes).wrong;
            assert!(wrong.len() == 1 && wrong[0].contains("one-39"), "{wrong:?}");
        }
    }
    fs::write(&segment, &whole).unwrap();
}

#[test]
fn audit_verify_names_the_place_of_a_changed_byte() {
    let (site, load) = (Site::new(), Load::default());
    let mut gateway = site.start();
    gateway.ready(&site);
    for count in 0..150 {
        assert_eq!(load.call(gateway.address, &format!("byte-{count}")), Some(true));
    }
    site.stop(gateway);
    site.assert_verified("untouched");
    judge(&site, &load.notes()).assert_right();
    let mut dice = Dice(0xB17E);
    for name in ["checkpoint", "tile/entries/000", "tile/0/000"] {
        let path = site.record().join("log").join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let at = usize::try_from(dice.roll(0..good.len() as u64)).unwrap();
        bad[at] ^= 1 << dice.roll(0..8);
        fs::write(&path, &bad).unwrap();
        for more in [&[][..], &["--json"]] {
            let (sound, text) = site.verify(more);
            assert!(!sound && text.contains(name), "byte {at} of {name}: {text}");
        }
        fs::write(&path, &good).unwrap();
    }
    site.assert_verified("mended");
}

/// Where the last outcome begins in a journal.
fn last_outcome(journal: &[u8]) -> usize {
    let last = |text: &[u8], before: usize| {
        journal[..before]
            .windows(text.len())
            .rposition(|place| place == text)
            .unwrap()
    };
    last(br#"{"bseq":"#, last(br#""t":"outcome""#, journal.len()))
}

/// Length, checksum and promise stand before every record in the journal.
const JOURNAL_ENTRY_HEADER_BYTES: usize = 2 + 4 + 8;

fn last_segment(record: &Path) -> PathBuf {
    let entries = fs::read_dir(record.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .max()
        .unwrap()
}

// ---- full ----

/// The gateway under load on a disk that `fill` fills, until `make_room`.
fn refuses_then_serves_again(how: &str, site: &Site, fill: impl FnOnce(&Running), make_room: impl FnOnce(&Running)) {
    let load = Load::default();
    let mut gateway = site.start();
    gateway.ready(site);
    load.with_clients(CLIENTS, || {
        load.set(Gate::Up(gateway.address));
        load.answered(100);
        fill(&gateway);
        eventually("calls are refused", || load.notes().refusals > 0);
    });
    // Nobody calls now. What is refused from here on was refused at the door: the server hears nothing of it.
    eventually("not ready", || gateway.readiness() == 503);
    let (seen, refused) = (site.server.seen().len(), load.notes().refusals);
    let quiet: Vec<String> = (0..60).map(|count| format!("full-{count}")).collect();
    for name in &quiet {
        assert_eq!(load.call(gateway.address, name), Some(false), "{name} is refused");
    }
    assert_eq!(site.server.seen().len(), seen, "the server heard of refused calls");
    assert_eq!(load.notes().refusals, refused + quiet.len());
    make_room(&gateway);
    eventually("ready again", || gateway.readiness() == 200);
    for count in 0..60 {
        assert_eq!(load.call(gateway.address, &format!("room-{count}")), Some(true));
    }
    site.stop(gateway);
    site.assert_verified("after a full disk");
    let notes = load.notes();
    let tally = judge(site, &notes);
    tally.assert_right();
    assert!(tally.answers >= 160 && tally.requests >= 160, "{tally:?}");
    let records = site.records();
    let of_quiet = records.iter().filter(|record| {
        record["call"]["request_id"]
            .as_str()
            .is_some_and(|id| id.contains("full-"))
    });
    assert_eq!(
        of_quiet.count(),
        0,
        "nothing is on record of what was refused at the door"
    );
    let recoveries = records
        .iter()
        .filter(|record| record["event"]["action"] == "write_failure")
        .count();
    assert!(recoveries >= 1, "a recovery is on record");
    println!(
        "figure: full disk ({how}): {} calls refused, the server saw 0 of {} that came when it was full; \
         {} answers and {} requests on record, 0 missing; {recoveries} recovery",
        notes.refusals,
        quiet.len(),
        tally.answers,
        tally.requests
    );
}

/// A small file system of its own; `None` where the test may not mount one.
struct Mounted(PathBuf);

impl Mounted {
    fn small(path: &Path) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "none"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        mount
            .is_ok_and(|status| status.success())
            .then(|| Self(path.to_path_buf()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Also where a process that is about to die has a file open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_it_refuses_calls_and_loses_nothing() {
    let site = Site::new();
    let Some(_mounted) = Mounted::small(&site.record()) else {
        // The next test covers the same ground without the right to mount.
        return;
    };
    let ballast = site.record().join("ballast");
    let fill = |_: &Running| {
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    };
    refuses_then_serves_again("no space", &site, fill, |_| fs::remove_file(&ballast).unwrap());
}

#[test]
fn where_files_may_not_grow_it_refuses_calls_and_loses_nothing() {
    let site = Site::new();
    let limit = |gateway: &Running, bytes: Option<u64>| {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(gateway.id()), Resource::Fsize, limit).unwrap();
    };
    let fill = |gateway: &Running| {
        let journal = fs::metadata(last_segment(&site.record())).unwrap().len();
        // Above the longest tile, so that the journal is what meets it.
        limit(gateway, Some(journal.max(400_000) + 10_000));
    };
    refuses_then_serves_again("no growth", &site, fill, |gateway| limit(gateway, None));
}
