//! What these tests share: the gateway as a running program, a client that writes HTTP by hand so that it can write it wrong,
//! and a server that answers with exactly the bytes it is told to.

use portcullis_testkit::gateway::Gateway;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time that any answer is waited for, here where no deadline is the subject.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The stateless revision.
pub(crate) const MODERN: &str = "2026-07-28";
/// The revisions with sessions that Streamable HTTP carries.
pub(crate) const LEGACY: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// Starts the gateway: `more` follows the sections of the configuration that say who, where and what policy (everything is
/// permitted, to a caller without a credential).
pub(crate) fn gateway(more: &str) -> Gateway {
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let work = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Gateway::start_with(program, work, |address, state, policy| {
        format!(
            "[listen]\naddress = \"{address}\"\n\n[identity]\nanonymous = \"tester\"\n\n[state]\ndirectory = {}\n\n\
             [policy]\nfile = {}\n\n{more}",
            json!(state),
            json!(policy)
        )
    })
    .unwrap()
}

/// One `[[upstream]]` that is reached by `url`.
pub(crate) fn upstream_table(name: &str, url: &str, more: &str) -> String {
    format!("[[upstream]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
}

// ---- the client's side ----

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

/// The body of an answer, still to be read.
#[derive(Debug)]
struct Body {
    stream: BufReader<TcpStream>,
    framing: Framing,
    /// A stream that is kept alive without an answer is read no longer than this.
    until: Instant,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    /// What is left of the chunk that is being read; `None` behind the last.
    Chunked(Option<u64>),
    ToTheEnd,
}

/// Sends a request, head and body as they are, on a connection of its own, and reads the head of the answer.
pub(crate) fn exchange(address: SocketAddr, head: &[u8], body: &[u8]) -> io::Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    // A server that refuses by the head alone may close before it has read all of a long body.
    let written = writer.write_all(head).and_then(|()| writer.write_all(body));
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        written?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
    let headers = read_headers(&mut stream)?;
    let named = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let framing = match (named("transfer-encoding"), named("content-length")) {
        _ if head.starts_with(b"HEAD ") => Framing::Length(0),
        (Some(_), _) => Framing::Chunked(Some(0)),
        (None, Some(length)) => Framing::Length(length.parse().map_err(io::Error::other)?),
        (None, None) => Framing::ToTheEnd,
    };
    Ok(Answer {
        status,
        headers,
        body: Body {
            stream,
            framing,
            until: Instant::now() + PATIENCE,
        },
    })
}

/// Header lines up to the empty one, names in lower case.
fn read_headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok(headers),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() > self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = match &mut self.framing {
            Framing::ToTheEnd => return self.stream.read(buffer),
            Framing::Length(left) => left,
            Framing::Chunked(None) => return Ok(0),
            Framing::Chunked(Some(left)) => left,
        };
        if *left == 0 {
            if matches!(self.framing, Framing::Length(_)) {
                return Ok(0);
            }
            let size = next_chunk(&mut self.stream)?;
            self.framing = Framing::Chunked((size > 0).then_some(size));
            return self.read(buffer);
        }
        let room = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.stream.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= count as u64;
        Ok(count)
    }
}

/// The size of the next chunk; the line break behind the one before is read over.
fn next_chunk(stream: &mut impl BufRead) -> io::Result<u64> {
    let mut line = String::new();
    while line.trim_end().is_empty() {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)
}

impl Answer {
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    }

    /// All of the body.
    pub(crate) fn text(mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.body.read_to_end(&mut text)?;
        Ok(text)
    }

    /// The messages of the body in order, as they come: the one of a JSON body, or the data of each event.
    pub(crate) fn messages(self) -> Messages {
        let is_stream = self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"));
        Messages {
            is_stream,
            body: BufReader::new(self.body),
        }
    }

    /// The last message of the body.
    pub(crate) fn last(self) -> io::Result<Vec<u8>> {
        let last = self.messages().last();
        last.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }
}

/// See [`Answer::messages`].
pub(crate) struct Messages {
    is_stream: bool,
    body: BufReader<Body>,
}

impl Iterator for Messages {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = match self.is_stream {
            true => next_event(&mut self.body),
            false => {
                let mut whole = Vec::new();
                self.body.read_to_end(&mut whole).map(|_| whole)
            }
        };
        match message {
            Ok(message) if message.is_empty() => None,
            other => Some(other),
        }
    }
}

/// The data of the next event that has any; empty at the end.
fn next_event(body: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut data: Vec<u8> = Vec::new();
    loop {
        let mut line = Vec::new();
        if body.read_until(b'\n', &mut line)? == 0 {
            return Ok(data);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        match line.strip_prefix(b"data:") {
            Some(value) => {
                let value = value.strip_prefix(b" ").unwrap_or(value);
                if !data.is_empty() {
                    data.push(b'\n');
                }
                data.extend_from_slice(value);
            }
            None if line.is_empty() && !data.is_empty() => return Ok(data),
            None => {}
        }
    }
}

/// A client of one revision; for a legacy one with a session.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) revision: &'static str,
    pub(crate) session: Option<String>,
}

impl Client {
    /// A client of `/mcp/ENDPOINT`. A legacy one has shaken hands; it can be asked whatever there is.
    pub(crate) fn open(address: SocketAddr, endpoint: &str, revision: &'static str) -> Self {
        let mut client = Self {
            address,
            path: format!("/mcp/{endpoint}").trim_end_matches('/').to_owned(),
            revision,
            session: None,
        };
        if revision == MODERN {
            return client;
        }
        let hello = json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
            "protocolVersion": revision,
            "capabilities": {"roots": {"listChanged": true}, "sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}},
            "clientInfo": {"name": "tester", "version": "1"},
        }});
        let answer = client.post(hello.to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "initialize of {revision}");
        client.session = answer.header("mcp-session-id").map(str::to_owned);
        assert!(client.session.is_some(), "a session of {revision}");
        let answer = client.post(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(answer.unwrap().status, 202);
        client
    }

    /// The headers that a POST of `body` has by the book, `Content-Length` aside.
    pub(crate) fn headers(&self, body: &[u8]) -> Vec<(String, String)> {
        let mut headers = vec![
            ("host", self.address.to_string()),
            ("connection", "close".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ];
        if let Some(session) = &self.session {
            headers.push(("mcp-session-id", session.clone()));
        }
        if self.revision >= "2025-06-18" {
            headers.push(("mcp-protocol-version", self.revision.to_owned()));
        }
        if self.revision == MODERN {
            let (method, name) = mirrored(body);
            if let Some(method) = method {
                headers.push(("mcp-method", method));
            }
            if let Some(name) = name {
                headers.push(("mcp-name", header_value(&name)));
            }
        }
        headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Sends one message by the book.
    pub(crate) fn post(&self, body: &[u8]) -> io::Result<Answer> {
        let head = head(&format!("POST {}", self.path), &self.headers(body), Some(body.len()));
        exchange(self.address, &head, body)
    }

    /// `params` of a request of this client: `members` (the inside of an object) with the `_meta` that the revision wants.
    pub(crate) fn request(&self, id: &str, method: &str, members: &str) -> String {
        let gap = if members.is_empty() { "" } else { "," };
        let meta = if self.revision == MODERN { META } else { r#""acme/n":1"# };
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{{{members}{gap}"_meta":{{{meta}}}}}}}"#,
            json!(method)
        )
    }
}

/// What the `_meta` of every modern request holds.
pub(crate) const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"tester","version":"1"}"#;

/// What `Mcp-Method` and `Mcp-Name` mirror of `body`, where there is such a thing.
fn mirrored(body: &[u8]) -> (Option<String>, Option<String>) {
    let Some(method) = member(body, "method").and_then(|method| serde_json::from_str::<String>(method).ok()) else {
        return (None, None);
    };
    let key = match method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return (Some(method), None),
    };
    let name = member(body, "params").and_then(|params| member(params.as_bytes(), key));
    let name = name.and_then(|name| serde_json::from_str(name).ok());
    (Some(method), name)
}

/// The text of the member `key` of the object `text`. What else is in it is not read: it may be deeper than this test's JSON
/// library goes.
pub(crate) fn member<'a>(text: &'a [u8], key: &str) -> Option<&'a str> {
    let members: HashMap<String, &'a RawValue> = serde_json::from_slice(text).ok()?;
    members.get(key).map(|value| value.get())
}

/// A value as a mirrored header carries it (2026-07-28, streamable HTTP). Written from the specification, not from the
/// program's own encoder.
fn header_value(text: &str) -> String {
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.trim() == text;
    if plain && !text.starts_with("=?base64?") {
        return text.to_owned();
    }
    format!("=?base64?{}?=", base64(text.as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            out.push(match place <= group.len() {
                true => char::from(LETTERS[word >> (18 - 6 * place) & 63]),
                false => '=',
            });
        }
    }
    out
}

/// The head of a request: the line without the version, the headers, and `Content-Length` where it is said.
pub(crate) fn head(line: &str, headers: &[(String, String)], length: Option<usize>) -> Vec<u8> {
    let mut head = format!("{line} HTTP/1.1\r\n");
    for (name, value) in headers {
        // Writing to a string cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if let Some(length) = length {
        let _ = write!(head, "content-length: {length}\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

// ---- the server's side ----

/// A server of both eras that answers what a test tells it to, byte for byte, and remembers what it was sent. What every
/// server must know (the handshake, the lists) it answers by itself and does not remember.
pub(crate) struct Scripted {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

/// What it lists.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// `tools` of `tools/list`, and so on.
    pub(crate) tools: Value,
    pub(crate) prompts: Value,
    pub(crate) resources: Value,
    pub(crate) templates: Value,
}

struct Shared {
    shelf: Mutex<Shelf>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    seen: Vec<Vec<u8>>,
    next: Option<Play>,
}

/// How the next call is answered: with the JSON text of its id, and the means to answer.
type Play = Box<dyn FnOnce(&str, &mut Stage<'_>) -> io::Result<()> + Send>;

/// Where an answer is written.
pub(crate) struct Stage<'a> {
    stream: &'a mut TcpStream,
    is_stream: bool,
}

impl Stage<'_> {
    /// The whole answer, as JSON.
    pub(crate) fn json(&mut self, body: &[u8]) -> io::Result<()> {
        write_json(self.stream, "200 OK", body)
    }

    /// One event of a stream, which ends when the play is over. A line break in the message would end its line.
    pub(crate) fn event(&mut self, message: &[u8]) -> io::Result<()> {
        if !self.is_stream {
            self.is_stream = true;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            self.stream.write_all(head.as_bytes())?;
        }
        self.stream.write_all(b"data: ")?;
        self.stream.write_all(message)?;
        self.stream.write_all(b"\n\n")
    }
}

fn write_json(stream: &mut TcpStream, status: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

impl Scripted {
    /// Serves on a free loopback port, for as long as the process lives.
    pub(crate) fn serve(shelf: Shelf) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            shelf: Mutex::new(shelf),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // A gateway that hangs up is no event here.
                thread::spawn(move || drop(serve_connection(&shared, stream)));
            }
        });
        Self { url, shared }
    }

    /// Lists other things from now on.
    pub(crate) fn stock(&self, shelf: Shelf) {
        *self.shared.shelf.lock().unwrap_or_else(PoisonError::into_inner) = shelf;
    }

    /// How the next call is answered. Without this it is answered with an empty tool result.
    pub(crate) fn play(&self, play: impl FnOnce(&str, &mut Stage<'_>) -> io::Result<()> + Send + 'static) {
        self.shared.state().next = Some(Box::new(play));
    }

    /// Every message that came and was not the handshake's or a list's, as it came.
    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        self.shared.state().seen.clone()
    }

    /// Takes the one message that has come since the last time, waiting for it.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.watch().take()
    }

    /// See [`Scripted::take`], for a play.
    pub(crate) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared))
    }
}

/// The messages that a [`Scripted`] server has seen.
pub(crate) struct Watch(Arc<Shared>);

impl Watch {
    /// Takes the one message that has come since the last time, waiting for it.
    pub(crate) fn take(&self) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.0.state();
        while state.seen.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the server has seen nothing");
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        assert_eq!(state.seen.len(), 1, "one message was expected");
        state.seen.remove(0)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result that every server must know; `None` for what the test answers.
    fn own_result(&self, method: &str, body: &[u8]) -> Option<Value> {
        let capabilities = json!({"tools": {}, "prompts": {}, "resources": {"subscribe": true}, "completions": {}});
        let list = |key: &str, items: &Value| {
            let items = if items.is_null() { json!([]) } else { items.clone() };
            json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", key: items})
        };
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match method {
            "initialize" => {
                let hello: Value = serde_json::from_slice(body).unwrap_or_default();
                json!({
                    "protocolVersion": hello["params"]["protocolVersion"], "capabilities": capabilities,
                    "serverInfo": {"name": "scripted", "version": "1"},
                })
            }
            "server/discover" => json!({
                "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "supportedVersions": [MODERN, "2025-11-25"], "capabilities": capabilities,
            }),
            "tools/list" => list("tools", &shelf.tools),
            "prompts/list" => list("prompts", &shelf.prompts),
            "resources/list" => list("resources", &shelf.resources),
            "resources/templates/list" => list("resourceTemplates", &shelf.templates),
            _ => return None,
        })
    }
}

fn serve_connection(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let headers = read_headers(&mut reader)?;
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length
            .map_or(Ok(0), |(_, length)| length.parse())
            .map_err(io::Error::other)?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if !line.starts_with("POST ") {
            writer.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        }
        let id = member(&body, "id").map(str::to_owned);
        let method = member(&body, "method").and_then(|method| serde_json::from_str::<String>(method).ok());
        let own = method.as_ref().and_then(|method| shared.own_result(method, &body));
        if let (Some(id), Some(result)) = (&id, own) {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
            write_json(&mut writer, "200 OK", answer.as_bytes())?;
            continue;
        }
        let is_request = id.is_some() && method.is_some();
        let next = {
            let mut state = shared.state();
            if method.as_deref() != Some("notifications/initialized") {
                state.seen.push(body);
                shared.changed.notify_all();
            }
            is_request.then(|| state.next.take())
        };
        match (id, next) {
            (Some(id), Some(play)) => {
                let mut stage = Stage {
                    stream: &mut writer,
                    is_stream: false,
                };
                match play {
                    Some(play) => play(&id, &mut stage)?,
                    None => {
                        let result = r#"{"resultType":"complete","content":[]}"#;
                        stage.json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).as_bytes())?;
                    }
                }
                if stage.is_stream {
                    return Ok(());
                }
            }
            _ => writer.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?,
        }
    }
}

/// The program `bad-upstream` of the test kit, built if it has to be: cargo builds a package's programs for its own tests only.
pub(crate) fn bad_upstream() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--package", "portcullis-testkit", "--bin", "bad-upstream"])
        .args(["--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let made = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = made
        .filter_map(|made| made["executable"].as_str().map(PathBuf::from))
        .next_back();
    program.expect("cargo names the program that it built")
}
