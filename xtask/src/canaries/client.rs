//! A client of both eras over HTTP and stdio that keeps every byte that it receives, for the official clients hand on what they have
//! parsed. Knows the protocol's framing, and neither canaries nor places.

use crate::child::Result;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long what belongs to no call is waited for: nobody says that it does not come.
const STRAY_PATIENCE: Duration = Duration::from_secs(10);

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// 2025-11-25, with a session.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    const fn revision(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

/// A connection to a server, or to a gateway in its place.
pub(super) struct Client {
    era: Era,
    way: Way,
    /// What comes outside the answer of a POST: all of it behind stdio, the session's stream of HTTP.
    heard: Receiver<Vec<u8>>,
    next_id: u64,
    /// Every byte of heads and bodies that is in no message.
    beside: Vec<u8>,
}

enum Way {
    Http {
        address: SocketAddr,
        path: String,
        session: Option<String>,
    },
    Stdio {
        child: Child,
        input: ChildStdin,
    },
}

/// What a client says to a server's question.
pub(super) type Reply<'a> = &'a mut dyn FnMut(&Value) -> Value;

impl Client {
    /// A client of the endpoint `path` at `address`.
    ///
    /// # Errors
    /// The handshake fails.
    pub(super) fn http(era: Era, address: SocketAddr, path: &str) -> Result<Self> {
        let (said, heard) = channel();
        let mut client = Self {
            era,
            way: Way::Http {
                address,
                path: path.to_owned(),
                session: None,
            },
            heard,
            next_id: 0,
            beside: Vec::new(),
        };
        client.greet()?;
        if era == Era::Legacy {
            client.listen(said)?;
        }
        Ok(client)
    }

    /// A client of the program that `words` start, which logs to `log`.
    ///
    /// # Errors
    /// It does not start, or the handshake fails.
    pub(super) fn stdio(era: Era, words: &[String], log: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(words)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log)?)
            .spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = child.stdout.take().ok_or("no output")?;
        let (said, heard) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(std::result::Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        let mut client = Self {
            era,
            way: Way::Stdio { child, input },
            heard,
            next_id: 0,
            beside: Vec::new(),
        };
        client.greet()?;
        Ok(client)
    }

    pub(super) const fn era(&self) -> Era {
        self.era
    }

    /// What was received and is no message: the heads of HTTP.
    pub(super) fn beside(&self) -> &[u8] {
        &self.beside
    }

    fn greet(&mut self) -> Result<()> {
        if self.era == Era::Modern {
            return Ok(());
        }
        let heard = self.ask(
            "initialize",
            json!({
                "protocolVersion": self.era.revision(), "capabilities": capabilities(),
                "clientInfo": {"name": "listener", "version": "1"},
            }),
            &mut |_| Value::Null,
        )?;
        match heard
            .last()
            .is_some_and(|answer| answer.windows(8).any(|part| part == b"\"result\""))
        {
            true => self.tell("notifications/initialized", json!({})),
            false => Err("the handshake failed".into()),
        }
    }

    /// Sends a request and reads to its answer, answering what the server asks in between: all messages in order, as bytes.
    ///
    /// # Errors
    /// Nothing comes, or something that is no message.
    pub(super) fn ask(&mut self, method: &str, params: Value, reply: Reply<'_>) -> Result<Vec<Vec<u8>>> {
        self.next_id += 1;
        let id = format!("q-{}", self.next_id);
        let mut params = params;
        if let Value::Object(members) = &mut params {
            self.mark(members);
        }
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut heard = Vec::new();
        match &mut self.way {
            Way::Stdio { input, .. } => {
                writeln!(input, "{request}")?;
                loop {
                    let line = self.heard.recv_timeout(PATIENCE)?;
                    let message: Value = serde_json::from_slice(&line)?;
                    heard.push(line);
                    if message.get("method").is_none() {
                        if message.get("id") == Some(&json!(id)) {
                            return Ok(heard);
                        }
                    } else if let Some(of) = message.get("id") {
                        let answer = json!({"jsonrpc": "2.0", "id": of, "result": reply(&message)});
                        writeln!(input, "{answer}")?;
                    }
                }
            }
            Way::Http { .. } => {
                let mut answer = self.post(&request)?;
                while let Some(message) = answer.message()? {
                    let read: Value = serde_json::from_slice(&message)?;
                    heard.push(message);
                    if read.get("method").is_some()
                        && let Some(of) = read.get("id")
                    {
                        let told = json!({"jsonrpc": "2.0", "id": of, "result": reply(&read)});
                        let accepted = self.post(&told)?;
                        self.beside.extend_from_slice(&accepted.head);
                    }
                }
                self.beside.extend_from_slice(&answer.head);
                match heard.is_empty() {
                    true => Err(format!("no answer: {}", String::from_utf8_lossy(&answer.head)).into()),
                    false => Ok(heard),
                }
            }
        }
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// It is not accepted.
    pub(super) fn tell(&mut self, method: &str, params: Value) -> Result<()> {
        let notification = json!({"jsonrpc": "2.0", "method": method, "params": params});
        match &mut self.way {
            Way::Stdio { input, .. } => Ok(writeln!(input, "{notification}")?),
            Way::Http { .. } => {
                let answer = self.post(&notification)?;
                self.beside.extend_from_slice(&answer.head);
                Ok(())
            }
        }
    }

    /// The next `count` messages that belong to no call, or as many as come; questions among them are answered.
    ///
    /// # Errors
    /// What comes is no message, or an answer is not taken.
    pub(super) fn strays(&mut self, count: usize, reply: Reply<'_>) -> Result<Vec<Vec<u8>>> {
        let mut heard = Vec::new();
        for _ in 0..count {
            // Notifications that are withheld are dropped.
            let Ok(line) = self.heard.recv_timeout(STRAY_PATIENCE) else {
                break;
            };
            let message: Value = serde_json::from_slice(&line)?;
            heard.push(line);
            if let Some(of) = message.get("id") {
                let answer = json!({"jsonrpc": "2.0", "id": of, "result": reply(&message)});
                match &mut self.way {
                    Way::Stdio { input, .. } => writeln!(input, "{answer}")?,
                    Way::Http { .. } => drop(self.post(&answer)?),
                }
            }
        }
        Ok(heard)
    }

    /// What the revision wants beside a request's own parameters, and a token so that progress is told.
    fn mark(&self, members: &mut Map<String, Value>) {
        let meta = match self.era {
            Era::Legacy => json!({"progressToken": self.next_id}),
            Era::Modern => json!({
                "progressToken": self.next_id,
                "io.modelcontextprotocol/protocolVersion": self.era.revision(),
                "io.modelcontextprotocol/clientCapabilities": capabilities(),
                "io.modelcontextprotocol/clientInfo": {"name": "listener", "version": "1"},
                "io.modelcontextprotocol/logLevel": "debug",
            }),
        };
        members.insert("_meta".to_owned(), meta);
    }

    /// Opens the session's stream.
    fn listen(&mut self, said: Sender<Vec<u8>>) -> Result<()> {
        let Way::Http { address, path, session } = &self.way else {
            return Ok(());
        };
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\nmcp-session-id: {}\r\n\
             mcp-protocol-version: {}\r\n\r\n",
            session.as_deref().unwrap_or_default(),
            self.era.revision()
        );
        let mut stream = exchange(*address, head.as_bytes(), None)?;
        self.beside.extend_from_slice(&stream.head);
        thread::spawn(move || {
            while let Ok(Some(message)) = stream.message() {
                if said.send(message).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    fn post(&mut self, message: &Value) -> Result<Incoming> {
        let Way::Http { address, path, session } = &mut self.way else {
            return Err("a POST on stdio".into());
        };
        let body = message.to_string();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: {}\r\ncontent-length: {}\r\n",
            self.era.revision(),
            body.len()
        );
        let mut header = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        if let Some(session) = session {
            header("mcp-session-id", session);
        }
        if self.era == Era::Modern {
            header(
                "mcp-method",
                message.get("method").and_then(Value::as_str).unwrap_or_default(),
            );
            let named = ["/params/name", "/params/uri"]
                .iter()
                .find_map(|at| message.pointer(at)?.as_str());
            if let Some(name) = named {
                header("mcp-name", name);
            }
        }
        head.push_str("\r\n");
        let answer = exchange(*address, head.as_bytes(), Some(body.as_bytes()))?;
        if let Some(id) = answer.header("mcp-session-id") {
            *session = Some(id);
        }
        Ok(answer)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Way::Stdio { child, .. } = &mut self.way {
            // Already gone is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn capabilities() -> Value {
    json!({"roots": {"listChanged": true}, "sampling": {}, "elicitation": {"form": {}}})
}

/// An answer of HTTP as it comes.
struct Incoming {
    head: Vec<u8>,
    stream: BufReader<TcpStream>,
    is_chunked: bool,
    is_events: bool,
    /// What is left of a body with a length.
    left: usize,
    /// What has come of the body and is no message yet.
    text: Vec<u8>,
}

fn exchange(address: SocketAddr, head: &[u8], body: Option<&[u8]>) -> Result<Incoming> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    if body.is_some() {
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    stream.write_all(&[head, body.unwrap_or_default()].concat())?;
    let mut answer = Incoming {
        head: Vec::new(),
        stream: BufReader::new(stream),
        is_chunked: false,
        is_events: false,
        left: 0,
        text: Vec::new(),
    };
    loop {
        let from = answer.head.len();
        answer.stream.read_until(b'\n', &mut answer.head)?;
        if answer.head.len() <= from + 2 {
            break;
        }
    }
    let has = |name: &str, value: &str| answer.header(name).is_some_and(|said| said.contains(value));
    (answer.is_chunked, answer.is_events) = (
        has("transfer-encoding", "chunked"),
        has("content-type", "text/event-stream"),
    );
    answer.left = answer
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    Ok(answer)
}

impl Incoming {
    fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(&self.head);
        let found = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    }

    /// The next message; none at the end.
    fn message(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if self.is_events
                && let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n")
            {
                let event: Vec<u8> = self.text.drain(..end + 2).collect();
                let data: Vec<u8> = event
                    .split(|byte| *byte == b'\n')
                    .filter_map(|line| line.strip_prefix(b"data:"))
                    .flat_map(|data| data.strip_prefix(b" ").unwrap_or(data))
                    .copied()
                    .collect();
                if !data.is_empty() {
                    return Ok(Some(data));
                }
                continue;
            }
            if !self.more()? {
                let rest = std::mem::take(&mut self.text);
                return Ok((!self.is_events && !rest.is_empty()).then_some(rest));
            }
        }
    }

    /// Takes more of the body; whether there was any.
    fn more(&mut self) -> Result<bool> {
        if self.is_chunked {
            let mut size = String::new();
            while size.trim().is_empty() {
                size.clear();
                if self.stream.read_line(&mut size)? == 0 {
                    return Ok(false);
                }
            }
            self.left = usize::from_str_radix(size.trim(), 16)?;
        }
        let mut part = vec![0; self.left];
        self.stream.read_exact(&mut part)?;
        self.text.extend_from_slice(&part);
        self.left = 0;
        Ok(!part.is_empty())
    }
}
