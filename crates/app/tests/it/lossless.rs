//! The corpus of messages (`crates/wire/tests/corpus`) through the running gateway, both ways, in every revision: what the
//! gateway does not own arrives byte for byte as it left. What it owns of a message that it passes on is the id, and a progress
//! token: those are of one hop. Some messages it owns whole (handshakes, lists, the log level of a session): of these only the
//! parameters travel, under a vendor's method.

use crate::harness::{Client, LEGACY, META, MODERN, Scripted, Shelf, exchange, gateway, head, member, upstream_table};
use portcullis_testkit::corpus::difference;
use portcullis_wire::{Limits, Message, Method};
use serde_json::json;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc;

/// A message of the corpus.
#[derive(Debug, Clone)]
struct Entry {
    /// `REVISION/KIND:LINE`.
    place: String,
    text: String,
    message: Message,
}

/// What became of a message.
#[derive(Debug, Default)]
struct Tally {
    up: BTreeSet<String>,
    down: BTreeSet<String>,
    comparisons: usize,
    wrong: Vec<String>,
}

/// Requests of these methods the gateway answers itself.
const OWN: [Method; 9] = [
    Method::Initialize,
    Method::ServerDiscover,
    Method::Ping,
    Method::LoggingSetLevel,
    Method::ToolsList,
    Method::PromptsList,
    Method::ResourcesList,
    Method::ResourcesTemplatesList,
    Method::SubscriptionsListen,
];

/// Calls whose results are the server's alone: method and the inside of the parameters.
const CARRIERS: [(&str, &str); 5] = [
    ("tools/call", r#""name":"now""#),
    ("resources/read", r#""uri":"file:///srv/shop/prices.csv""#),
    ("prompts/get", r#""name":"review""#),
    (
        "completion/complete",
        r#""ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"style","value":"p"}"#,
    ),
    ("acme/do", r#""any":"thing""#),
];

fn corpus() -> Vec<Entry> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/corpus");
    let entries = portcullis_testkit::corpus::read(&root).unwrap();
    entries
        .into_iter()
        .map(|entry| Entry {
            place: format!("{}:{}", entry.file, entry.line),
            message: parse(entry.text.as_bytes()),
            text: entry.text,
        })
        .collect()
}

fn parse(text: &[u8]) -> Message {
    Message::parse(text.to_vec().into(), &Limits::default()).unwrap()
}

impl Tally {
    fn not_passed(&mut self, what: &str, heard: &[u8]) {
        let heard = String::from_utf8_lossy(heard).chars().take(300).collect::<String>();
        self.wrong.push(format!("{what} not passed: {heard}"));
    }

    fn compare(&mut self, what: &str, sent: &[u8], received: &[u8]) -> bool {
        self.comparisons += 1;
        match difference(sent, received) {
            None => true,
            Some(difference) => {
                self.wrong.push(format!("{what} {difference}"));
                false
            }
        }
    }
}

/// `text` with other bytes at `spans`, which must not overlap.
fn spliced(text: &str, mut spans: Vec<(Range<usize>, String)>) -> String {
    let mut out = text.to_owned();
    spans.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    for (span, with) in spans {
        out.replace_range(span, &with);
    }
    out
}

/// Where the member `key` of `object`, a part of `text`, stands.
fn span_of(text: &str, object: &str, key: &str) -> Option<Range<usize>> {
    let value = member(object.as_bytes(), key)?;
    let start = value.as_ptr() as usize - text.as_ptr() as usize;
    Some(start..start + value.len())
}

/// Where the id stands, by this test's own reading.
fn id_span(text: &str) -> Option<Range<usize>> {
    span_of(text, text, "id").filter(|span| &text[span.clone()] != "null")
}

/// Where the progress token of a request stands.
fn token_span(text: &str) -> Option<Range<usize>> {
    let meta = member(member(text.as_bytes(), "params")?.as_bytes(), "_meta")?;
    span_of(text, meta, "progressToken")
}

fn shelf(entries: &[Entry]) -> Shelf {
    let called = |entry: &Entry| {
        let Message::Request(request) = &entry.message else {
            return None;
        };
        let name = request.params()?.get("name")?.as_string()?.into_owned();
        (*request.method() == Method::ToolsCall).then_some(name)
    };
    let tools: BTreeSet<String> = entries.iter().filter_map(called).collect();
    Shelf {
        tools: tools
            .iter()
            .map(|name| json!({"name": name, "inputSchema": {"type": "object"}}))
            .collect(),
        prompts: json!([{"name": "review", "arguments": [{"name": "style"}]}]),
        resources: json!([{"uri": "file:///srv/shop/prices.csv", "name": "prices"}]),
        templates: json!([{"uriTemplate": "file:///{path}", "name": "files"}]),
    }
}

/// The messages of the corpus that a client of `revision` may meet.
fn of<'a>(entries: &'a [Entry], revision: &str) -> Vec<&'a Entry> {
    let mine = |entry: &&Entry| entry.place.starts_with(revision) || entry.place.starts_with("any/");
    entries.iter().filter(mine).collect()
}

#[test]
fn the_corpus_travels_byte_for_byte() {
    let entries = corpus();
    let server = Scripted::serve(shelf(&entries));
    // What the screen takes out of a text is its business; here it only looks.
    let shop = upstream_table("shop", &server.url, "");
    let strict = gateway(&format!("{shop}\n[screen]\nhidden_characters = \"report\"\n"));
    let mut tally = Tally::default();
    for revision in REVISIONS {
        let client = Client::open(strict.address(), "", revision);
        let entries = of(&entries, revision);
        results(&mut tally, &client, &server, &entries);
        requests(&mut tally, &client, &server, &entries);
        news(&mut tally, &client, &server, &entries);
        if revision == MODERN {
            subscription(&mut tally, &client, &server, &entries);
        } else {
            questions(&mut tally, &client, &server, &entries);
            tidings(&mut tally, &client, &server, &entries);
        }
    }
    drop(strict);
    let lenient = gateway(&format!(
        "{shop}\n[screen]\nhidden_characters = \"report\"\nschema = false\n"
    ));
    for revision in REVISIONS {
        let client = Client::open(lenient.address(), "", revision);
        let unread: Vec<_> = entries.iter().filter(|entry| is_unreadable(entry).is_some()).collect();
        for entry in unread {
            request(&mut tally, &client, &server, entry);
        }
    }
    tally.finish(&entries);
}

const REVISIONS: [&str; 5] = ["2024-11-05", LEGACY[0], LEGACY[1], LEGACY[2], MODERN];

impl Tally {
    /// Every message has travelled, but for those that are the gateway's own.
    fn finish(&self, entries: &[Entry]) {
        println!(
            "figure: {} messages of the corpus through the gateway byte for byte: {} to the server, {} to the client ({} both \
             ways), {} are its own; {} comparisons",
            entries.len(),
            self.up.len(),
            self.down.len(),
            self.up.intersection(&self.down).count(),
            entries.iter().filter(|entry| is_own(entry)).count(),
            self.comparisons,
        );
        let missing: Vec<_> = entries
            .iter()
            .map(|entry| {
                (
                    entry,
                    self.up.contains(&entry.place) || self.down.contains(&entry.place),
                )
            })
            .filter(|(entry, travelled)| *travelled == is_own(entry))
            .map(|(entry, travelled)| format!("{}: travelled: {travelled}", entry.place))
            .collect();
        assert!(
            self.wrong.is_empty() && missing.is_empty(),
            "{} differences\n{}\n{}",
            self.wrong.len(),
            self.wrong.join("\n"),
            missing.join("\n")
        );
    }
}

/// Whether nothing of a message is a server's or client's: what it says is about one hop.
fn is_own(entry: &Entry) -> bool {
    match &entry.message {
        Message::Notification(notification) => match notification.method() {
            Method::Initialized | Method::Cancelled | Method::SubscriptionsAcknowledged => true,
            // The gateway tells of its own lists, which are merged, in its client's own subscription.
            Method::ToolsListChanged | Method::PromptsListChanged | Method::ResourcesListChanged => {
                entry.place.starts_with(MODERN)
            }
            _ => false,
        },
        Message::Request(request) => *request.method() == Method::Ping && entry.place.contains("/questions:"),
        Message::Response(_) => false,
    }
}

/// What the client hears where the arguments cannot be checked against a schema, because two readers could read them
/// differently or no reader of ours can hold them.
fn is_unreadable(entry: &Entry) -> Option<&'static str> {
    let says = [
        (r#""a":1,"a":2"#, "duplicate key `a`"),
        ("1e400", "a number out of range"),
    ];
    let found = says.iter().find(|(what, _)| entry.text.contains(what));
    found.map(|(_, says)| *says)
}

/// What the client hears in the place of an answer; `None` for what is passed on.
fn refused(entry: &Entry, client: &Client) -> Option<&'static str> {
    match &entry.message {
        // No header can mirror it.
        Message::Request(request) if client.revision == MODERN && request.method().as_str().trim().is_empty() => {
            Some("header `Mcp-Method` differs from the body")
        }
        _ => is_unreadable(entry),
    }
}

/// Results and errors of the server, each as the answer to every call that is the server's alone.
fn results(tally: &mut Tally, client: &Client, server: &Scripted, entries: &[&Entry]) {
    for entry in entries {
        if !matches!(entry.message, Message::Response(_)) {
            continue;
        }
        let at = id_span(&entry.text);
        let id = at.clone().map_or("1", |at| &entry.text[at]);
        let mut same = true;
        for (method, members) in CARRIERS {
            let (text, at) = (entry.text.clone(), at.clone());
            server.play(move |id, stage| match at {
                Some(at) => stage.json(spliced(&text, vec![(at, id.to_owned())]).as_bytes()),
                None => stage.json(text.as_bytes()),
            });
            let what = format!("{} as the answer to {method} of {}:", entry.place, client.revision);
            let received = client.post(client.request(id, method, members).as_bytes());
            let received = received.and_then(|answer| answer.last()).unwrap();
            if server.seen().is_empty() {
                tally.not_passed(&what, &received);
                same = false;
                continue;
            }
            server.take();
            same &= tally.compare(&what, with_an_id(&entry.text).as_bytes(), &received);
        }
        if same {
            tally.down.insert(entry.place.clone());
        }
    }
}

/// An error that says no id answers the request whose answer it is: the client gets its own id with it.
fn with_an_id(text: &str) -> String {
    match (id_span(text), span_of(text, text, "id")) {
        (Some(_), _) => text.to_owned(),
        (None, Some(null)) => spliced(text, vec![(null, "1".to_owned())]),
        (None, None) => text.replacen('{', r#"{"id":1,"#, 1),
    }
}

fn requests(tally: &mut Tally, client: &Client, server: &Scripted, entries: &[&Entry]) {
    for entry in entries {
        if !matches!(entry.message, Message::Request(_)) || entry.place.contains("/questions:") {
            continue;
        }
        match refused(entry, client) {
            None => request(tally, client, server, entry),
            Some(says) => {
                let answer = client.post(as_sent(entry, client).as_bytes());
                let answer = answer.and_then(|answer| answer.last()).unwrap();
                let answer = String::from_utf8_lossy(&answer);
                assert!(answer.contains(says), "{}: {answer}", entry.place);
                assert!(server.seen().is_empty(), "{} was passed on", entry.place);
            }
        }
    }
}

/// A request of the client: all but its id and progress token arrives at the server, and the answer has its id.
fn request(tally: &mut Tally, client: &Client, server: &Scripted, entry: &Entry) {
    let text = as_sent(entry, client);
    let received = client.post(text.as_bytes()).and_then(|answer| answer.last()).unwrap();
    let what = format!("{} of {}:", entry.place, client.revision);
    if server.seen().is_empty() {
        return tally.not_passed(&what, &received);
    }
    let seen = server.take();
    let hop = member(&seen, "id").unwrap().to_owned();
    let mut spans = vec![(id_span(&text).unwrap(), hop.clone())];
    spans.extend(token_span(&text).map(|at| (at, hop)));
    let answered = member(&received, "id").unwrap_or_default();
    if tally.compare(&what, spliced(&text, spans).as_bytes(), &seen)
        & tally.compare(&what, text[id_span(&text).unwrap()].as_bytes(), answered.as_bytes())
    {
        tally.up.insert(entry.place.clone());
    }
}

/// The text of a request as this client can send it and the gateway passes it on: a vendor's method in the place of one that
/// the gateway answers itself, and in the modern era what every request must say.
fn as_sent(entry: &Entry, client: &Client) -> String {
    let mut text = entry.text.clone();
    let Message::Request(request) = &entry.message else {
        return text;
    };
    if OWN.contains(request.method()) {
        let at = span_of(&text, &text, "method").unwrap();
        text.replace_range(at, r#""acme/do""#);
    }
    if client.revision != MODERN {
        return text;
    }
    const CAPABILITIES: &str = r#""io.modelcontextprotocol/clientCapabilities":{"#;
    if let Some(at) = text.find(CAPABILITIES) {
        // Tasks are an extension, which the client of the corpus does not declare.
        let tasks = r#""extensions":{"io.modelcontextprotocol/tasks":{}},"#;
        text.insert_str(at + CAPABILITIES.len(), tasks);
        return text;
    }
    let insert = |text: &mut String, object: Range<usize>, what: &str| {
        let is_empty = text[object.start + 1..object.end - 1].trim().is_empty();
        let gap = if is_empty { "" } else { "," };
        text.insert_str(object.start + 1, &format!("{what}{gap}"));
    };
    let Some(params) = span_of(&text, &text, "params") else {
        let start = text.find('{').unwrap();
        let whole = start..text.trim_end().len();
        insert(&mut text, whole, &format!(r#""params":{{"_meta":{{{META}}}}}"#));
        return text;
    };
    match span_of(&text, &text[params.clone()], "_meta") {
        Some(meta) => insert(&mut text, meta, META),
        None => insert(&mut text, params, &format!(r#""_meta":{{{META}}}"#)),
    }
    text
}

/// Notifications of the server in the course of a call, before its result. Progress is under the call's own token on each hop.
fn news(tally: &mut Tally, client: &Client, server: &Scripted, entries: &[&Entry]) {
    for entry in entries {
        let Message::Notification(notification) = &entry.message else {
            continue;
        };
        if is_own(entry) || is_for_all(notification.method()) || *notification.method() == Method::RootsListChanged {
            continue;
        }
        let token = member(entry.text.as_bytes(), "params")
            .filter(|_| *notification.method() == Method::Progress)
            .and_then(|params| span_of(&entry.text, params, "progressToken"));
        // A call's token is a string or an integer, spelt as such; news of others go under one of this test's.
        let own = token.clone().map(|at| &entry.text[at]).filter(|token| *token != "1e2");
        let own = own.unwrap_or(r#""t""#);
        let call = client.request("1", "tools/call", r#""name":"now""#);
        let call = call.replacen(r#""_meta":{"#, &format!(r#""_meta":{{"progressToken":{own},"#), 1);
        let (text, expected) = (entry.text.clone(), at_token(&entry.text, &token, own));
        server.play(move |id, stage| {
            let said = at_token(&text, &token, id);
            stage.event(said.as_bytes())?;
            stage.event(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#).as_bytes())
        });
        let heard: Vec<_> = client
            .post(call.as_bytes())
            .unwrap()
            .messages()
            .map(Result::unwrap)
            .collect();
        server.take();
        let what = format!("{} in a call of {}:", entry.place, client.revision);
        match heard.as_slice() {
            [news, _result] => {
                if tally.compare(&what, expected.as_bytes(), news) {
                    tally.down.insert(entry.place.clone());
                }
            }
            other => tally.not_passed(&what, &other.concat()),
        }
    }
}

/// The text of a notification with another progress token, if it has one.
fn at_token(text: &str, token: &Option<Range<usize>>, with: &str) -> String {
    spliced(text, token.iter().map(|at| (at.clone(), with.to_owned())).collect())
}

/// Whether a notification concerns all who watch a list or a resource: it does not stay on the stream of a call.
fn is_for_all(method: &Method) -> bool {
    matches!(
        method,
        Method::ToolsListChanged | Method::PromptsListChanged | Method::ResourcesListChanged | Method::ResourcesUpdated
    )
}

/// Questions of a legacy server in the course of a call, each with every answer that a client may give.
fn questions(tally: &mut Tally, client: &Client, server: &Scripted, entries: &[&Entry]) {
    let asked = entries.iter().filter(|entry| entry.place.contains("/questions:"));
    for question in asked.filter(|entry| !is_own(entry)) {
        let answers = entries.iter().filter(|entry| {
            let is_answer = matches!(&entry.message, Message::Response(response) if response.id().is_some());
            is_answer && !entry.place.starts_with("any/ids")
        });
        for answer in answers {
            let (text, watch) = (question.text.clone(), server.watch());
            server.play(move |id, stage| {
                // The call first: once the question is out the answer may come at any time.
                watch.take();
                stage.event(text.as_bytes())?;
                let told = String::from_utf8(watch.take()).unwrap();
                let result = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"told":{}}}}}"#,
                    json!(told)
                );
                stage.event(result.as_bytes())
            });
            let call = client.request("1", "tools/call", r#""name":"now""#);
            let mut heard = client.post(call.as_bytes()).unwrap().messages();
            let heard_question = String::from_utf8(heard.next().unwrap().unwrap()).unwrap();
            let what = format!("{} of {}:", question.place, client.revision);
            let at = id_span(&heard_question).unwrap();
            let own = heard_question[at].to_owned();
            let expected = spliced(&question.text, vec![(id_span(&question.text).unwrap(), own.clone())]);
            if tally.compare(&what, expected.as_bytes(), heard_question.as_bytes()) {
                tally.down.insert(question.place.clone());
            }
            let said = spliced(&answer.text, vec![(id_span(&answer.text).unwrap(), own)]);
            assert_eq!(client.post(said.as_bytes()).unwrap().status, 202);
            let result = heard.next().unwrap().unwrap();
            let told = serde_json::from_slice::<serde_json::Value>(&result).unwrap();
            let asked = question.text[id_span(&question.text).unwrap()].to_owned();
            let expected = spliced(&answer.text, vec![(id_span(&answer.text).unwrap(), asked)]);
            let what = format!(
                "{} as the answer to {} of {}:",
                answer.place, question.place, client.revision
            );
            let told = told["result"]["told"].as_str().unwrap_or_default();
            if tally.compare(&what, expected.as_bytes(), told.as_bytes()) {
                tally.up.insert(answer.place.clone());
            }
        }
    }
}

/// Notifications outside of calls: a client's to the server that its session has reached, and a server's on the stream that a
/// session keeps open.
fn tidings(tally: &mut Tally, client: &Client, server: &Scripted, entries: &[&Entry]) {
    for entry in entries {
        let Message::Notification(notification) = &entry.message else {
            continue;
        };
        if is_own(entry) {
            continue;
        }
        let tell = || {
            assert_eq!(
                client.post(entry.text.as_bytes()).unwrap().status,
                202,
                "{}",
                entry.place
            )
        };
        if *notification.method() == Method::Progress {
            if let Some(told) = told_to_asker(client, server, entry, tell) {
                let what = format!("{} to the server that asked in {}:", entry.place, client.revision);
                if tally.compare(&what, entry.text.as_bytes(), &told) {
                    tally.up.insert(entry.place.clone());
                }
            }
            continue;
        }
        tell();
        let what = format!("{} to the server of {}:", entry.place, client.revision);
        if tally.compare(&what, entry.text.as_bytes(), &server.take()) {
            tally.up.insert(entry.place.clone());
        }
    }
    let mut headers = client.headers(b"");
    headers.retain(|(name, _)| name != "content-type");
    let open = || {
        exchange(
            client.address,
            &head(&format!("GET {}", client.path), &headers, None),
            b"",
        )
        .unwrap()
    };
    let mut standing = open().messages();
    for entry in entries {
        let Message::Notification(notification) = &entry.message else {
            continue;
        };
        if !is_for_all(notification.method()) {
            continue;
        }
        let text = entry.text.clone();
        server.play(move |id, stage| {
            stage.event(text.as_bytes())?;
            stage.event(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#).as_bytes())
        });
        let call = client.request("1", "tools/call", r#""name":"now""#);
        client.post(call.as_bytes()).and_then(|answer| answer.last()).unwrap();
        server.take();
        let what = format!("{} on the stream of {}:", entry.place, client.revision);
        let heard = standing.next().unwrap().unwrap();
        if tally.compare(&what, entry.text.as_bytes(), &heard) {
            tally.down.insert(entry.place.clone());
        }
    }
}

/// What a server hears of a client's progress: it concerns the server whose question carries its token, while that waits. `None`
/// where no token can be spelt so.
fn told_to_asker(client: &Client, server: &Scripted, entry: &Entry, tell: impl FnOnce()) -> Option<Vec<u8>> {
    let params = member(entry.text.as_bytes(), "params")?;
    let token = member(params.as_bytes(), "progressToken").filter(|token| *token != "1e2")?;
    let question = format!(
        r#"{{"jsonrpc":"2.0","id":"ask","method":"roots/list","params":{{"_meta":{{"progressToken":{token}}}}}}}"#
    );
    let watch = server.watch();
    let (told, heard_by_server) = mpsc::channel();
    server.play(move |id, stage| {
        watch.take();
        stage.event(question.as_bytes())?;
        told.send(watch.take()).map_err(std::io::Error::other)?;
        watch.take();
        stage.event(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#).as_bytes())
    });
    let call = client.request("1", "tools/call", r#""name":"now""#);
    let mut heard = client.post(call.as_bytes()).unwrap().messages();
    let question = heard.next().unwrap().unwrap();
    tell();
    let told = heard_by_server.recv().unwrap();
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"roots":[]}}}}"#,
        member(&question, "id").unwrap()
    );
    assert_eq!(client.post(answer.as_bytes()).unwrap().status, 202);
    heard.next().unwrap().unwrap();
    Some(told)
}

/// What a modern server tells in a subscription. Its id is of one hop.
fn subscription(tally: &mut Tally, client: &Client, server: &Scripted, entries: &[&Entry]) {
    for entry in entries {
        let Message::Notification(notification) = &entry.message else {
            continue;
        };
        let told = [Method::ResourcesUpdated, Method::TasksNotification];
        let meta = member(entry.text.as_bytes(), "params").and_then(|params| member(params.as_bytes(), "_meta"));
        let Some(at) = meta.and_then(|meta| span_of(&entry.text, meta, "io.modelcontextprotocol/subscriptionId"))
        else {
            continue;
        };
        if !told.contains(notification.method()) {
            continue;
        }
        let own = entry.text[at.clone()].to_owned();
        let text = entry.text.clone();
        server.play(move |id, stage| {
            let granted = r#""notifications":{"resourceSubscriptions":["file:///a"],"taskIds":["t-1"]}"#;
            let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
            let method = Method::SubscriptionsAcknowledged;
            let opening = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{granted},{meta}}}}}"#);
            stage.event(opening.as_bytes())?;
            stage.event(spliced(&text, vec![(at, id.to_owned())]).as_bytes())
        });
        let filters = r#""notifications":{"resourceSubscriptions":["file:///a"],"taskIds":["t-1"]}"#;
        let listen = client.request(&own, "subscriptions/listen", filters);
        let mut heard = client.post(listen.as_bytes()).unwrap().messages();
        heard.next().unwrap().unwrap();
        let what = format!("{} in a subscription:", entry.place);
        if tally.compare(&what, entry.text.as_bytes(), &heard.next().unwrap().unwrap()) {
            tally.down.insert(entry.place.clone());
        }
        server.take();
    }
}
