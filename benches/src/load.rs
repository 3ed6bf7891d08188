//! The load generator: a closed loop over raw sockets, one request in flight for each connection. Nothing in it allocates for
//! each request, so that what it costs does not move the figure. It compares every answer with what the stub said.

use crate::{Result, number, option, stub};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one run of the loop saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Requests answered with status 200 and what was expected.
    pub(crate) answered: u64,
    /// Requests answered otherwise.
    pub(crate) failed: u64,
    /// Microseconds each, sorted.
    pub(crate) latencies_us: Vec<u32>,
    /// How long it ran.
    pub(crate) took: Duration,
}

impl Seen {
    /// The latency below which `share` of all requests stayed, in microseconds.
    pub(crate) fn percentile(&self, share: f64) -> u32 {
        let last = self.latencies_us.len().saturating_sub(1);
        let at = (last as f64 * share) as usize;
        self.latencies_us.get(at).copied().unwrap_or(0)
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }
}

/// How the load speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2026-07-28: every request stands alone.
    Modern,
    /// 2025-11-25: each connection has a session of its own.
    Legacy,
}

/// Whom to ask.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// `host:port`.
    pub(crate) address: String,
    /// Where its endpoint is.
    pub(crate) path: &'static str,
    /// What stands before the names of tools.
    pub(crate) prefix: &'static str,
    /// What it wants to see.
    pub(crate) token: Option<String>,
    /// How it is spoken to.
    pub(crate) era: Era,
}

impl Peer {
    /// A request for `method`, with `params` inside the braces (`"name":"x"`).
    pub(crate) fn question(&self, method: &str, name: Option<&str>, params: &str) -> Question {
        let mut headers = String::new();
        let params = match self.era {
            Era::Legacy => params.to_owned(),
            Era::Modern => {
                headers = format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n");
                if let Some(name) = name {
                    headers.push_str(&format!("Mcp-Name: {name}\r\n"));
                }
                let comma = if params.is_empty() { "" } else { "," };
                format!(
                    r#"{params}{comma}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"load","version":"1"}}}}"#
                )
            }
        };
        Question {
            peer: self.clone(),
            headers,
            body: format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}}}}}"#),
            expected: None,
        }
    }

    /// A call of `tool`, as the stub names it; the answer must be the stub's.
    pub(crate) fn call(&self, tool: &str) -> Question {
        let name = format!("{}{tool}", self.prefix);
        let params = format!(r#""name":"{name}","arguments":{{"key":"k","limit":10,"fields":["a","b"]}}"#);
        Question {
            expected: Some(stub::members_of(tool).into()),
            ..self.question("tools/call", Some(&name), &params)
        }
    }

    fn bytes(&self, verb: &str, headers: &str, body: &str) -> Vec<u8> {
        let token = self
            .token
            .as_ref()
            .map(|token| format!("Authorization: Bearer {token}\r\n"));
        format!(
            "{verb} {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{headers}{}Content-Length: {}\r\n\r\n{body}",
            self.path,
            self.address,
            token.unwrap_or_default(),
            body.len(),
        )
        .into_bytes()
    }
}

/// What is asked, over and over.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    peer: Peer,
    /// Each with its line end.
    headers: String,
    body: String,
    /// What must stand in the answer, byte for byte; without it, any answer that is no error is right.
    expected: Option<Arc<[u8]>>,
}

impl Question {
    fn bytes(&self, session: &str) -> Vec<u8> {
        self.peer
            .bytes("POST", &format!("{session}{}", self.headers), &self.body)
    }
}

/// A connection on which the next thing to send is the question.
pub(crate) struct Client {
    socket: TcpStream,
    request: Vec<u8>,
    expected: Option<Arc<[u8]>>,
    buffer: Vec<u8>,
    /// What ends the session, where there is one.
    farewell: Option<Vec<u8>>,
}

impl Client {
    async fn open(question: &Question) -> Result<Self> {
        let socket = TcpStream::connect(&question.peer.address).await?;
        socket.set_nodelay(true)?;
        let mut client = Self {
            socket,
            request: Vec::new(),
            expected: None,
            buffer: Vec::with_capacity(256 << 10),
            farewell: None,
        };
        let session = match question.peer.era {
            Era::Modern => String::new(),
            Era::Legacy => client.greet(&question.peer).await?,
        };
        client.request = question.bytes(&session);
        client.expected.clone_from(&question.expected);
        Ok(client)
    }

    /// Begins a session; the headers that its requests carry.
    async fn greet(&mut self, peer: &Peer) -> Result<String> {
        self.request = peer.bytes(
            "POST",
            "",
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#,
        );
        if !self.ask().await? {
            return Err(format!("`initialize` failed: {}", self.shown()).into());
        }
        let mut headers = "MCP-Protocol-Version: 2025-11-25\r\n".to_owned();
        let (head, _) = split(&self.buffer);
        if let Some(id) = header(head, "mcp-session-id") {
            headers.push_str(&format!("Mcp-Session-Id: {id}\r\n"));
            self.farewell = Some(peer.bytes("DELETE", &headers, ""));
        }
        self.request = peer.bytes(
            "POST",
            &headers,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        );
        self.ask().await?;
        match self.buffer.starts_with(b"HTTP/1.1 202") {
            true => Ok(headers),
            false => Err(format!("`notifications/initialized` failed: {}", self.shown()).into()),
        }
    }

    /// Whether the answer is right.
    async fn ask(&mut self) -> Result<bool> {
        self.socket.write_all(&self.request).await?;
        self.buffer.clear();
        read_response(&mut self.socket, &mut self.buffer).await?;
        let (head, body) = split(&self.buffer);
        let carries = match &self.expected {
            Some(expected) => find(body, br#""content":["#, 0)
                .and_then(|at| body.get(at..at + expected.len()))
                .is_some_and(|found| found == &**expected),
            None => find(body, br#""error":{"code""#, 0).is_none(),
        };
        Ok(carries && head.starts_with(b"HTTP/1.1 200"))
    }

    async fn ask_until(mut self, stop: Arc<AtomicBool>) -> Result<(Self, Seen)> {
        let mut seen = Seen::default();
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let is_right = self.ask().await?;
            let took = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
            match is_right {
                true => seen.answered += 1,
                false => seen.failed += 1,
            }
            seen.latencies_us.push(took);
        }
        Ok((self, seen))
    }

    async fn close(mut self) -> Result<()> {
        if let Some(farewell) = &self.farewell {
            self.socket.write_all(farewell).await?;
            self.buffer.clear();
            // The head alone: 204 has nothing behind it.
            read_head(&mut self.socket, &mut self.buffer).await?;
        }
        Ok(())
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.buffer).chars().take(1_000).collect()
    }
}

/// Opens `connections` connections, with the handshake of their era behind them.
pub(crate) async fn open(question: &Question, connections: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::open(question).await?);
    }
    Ok(clients)
}

/// Asks over all `clients` at once for `duration`, on the current runtime.
pub(crate) async fn run(clients: Vec<Client>, duration: Duration) -> Result<(Vec<Client>, Seen)> {
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(client.ask_until(Arc::clone(&stop))))
        .collect();
    tokio::time::sleep(duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut clients = Vec::with_capacity(tasks.len());
    let mut seen = Seen::default();
    for task in tasks {
        let (client, one) = task.await??;
        clients.push(client);
        seen.answered += one.answered;
        seen.failed += one.failed;
        seen.latencies_us.extend(one.latencies_us);
    }
    seen.took = begun.elapsed();
    seen.latencies_us.sort_unstable();
    Ok((clients, seen))
}

/// Ends the sessions of `clients`, where they have one.
pub(crate) async fn close(clients: Vec<Client>) -> Result<()> {
    for client in clients {
        client.close().await?;
    }
    Ok(())
}

/// Asks `calls` times over one connection; the first call that fails is shown.
pub(crate) async fn ask_times(question: &Question, calls: u64) -> Result<()> {
    let mut client = Client::open(question).await?;
    for _ in 0..calls {
        if !client.ask().await? {
            return Err(format!("a call failed: {}", client.shown()).into());
        }
    }
    client.close().await
}

/// Opens `count` connections, asks once on each, waits for the head of the answer and its first bytes, and returns the open
/// connections.
pub(crate) async fn hold(question: &Question, count: usize) -> Result<Vec<TcpStream>> {
    let request = question.bytes("");
    let mut held = Vec::with_capacity(count);
    let mut buffer = Vec::with_capacity(64 << 10);
    for _ in 0..count {
        let mut socket = TcpStream::connect(&question.peer.address).await?;
        socket.set_nodelay(true)?;
        socket.write_all(&request).await?;
        buffer.clear();
        read_head(&mut socket, &mut buffer).await?;
        if !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&buffer)
                .chars()
                .take(200)
                .collect::<String>()
                .into());
        }
        held.push(socket);
    }
    Ok(held)
}

/// Reads one response, by length or in chunks.
async fn read_response(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    let head = read_head(socket, buffer).await?;
    let length = header(buffer.get(..head).unwrap_or_default(), "content-length");
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => {
            while buffer.len() < head + length {
                if socket.read_buf(buffer).await? == 0 {
                    return Err("the connection was closed in mid-body".into());
                }
            }
        }
        // Chunked: the last chunk is empty.
        None => {
            while find(buffer, b"\r\n0\r\n\r\n", head.saturating_sub(2)).is_none() {
                if socket.read_buf(buffer).await? == 0 {
                    return Err("the connection was closed in mid-body".into());
                }
            }
        }
    }
    Ok(())
}

/// Reads until the head of a response is there, and returns where it ends.
async fn read_head(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<usize> {
    loop {
        if let Some(at) = find(buffer, b"\r\n\r\n", 0) {
            return Ok(at + 4);
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err("the connection was closed".into());
        }
    }
}

/// The value of a header.
fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (found, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Head and body.
fn split(response: &[u8]) -> (&[u8], &[u8]) {
    let end = find(response, b"\r\n\r\n", 0).map_or(response.len(), |at| at + 4);
    response.split_at_checked(end).unwrap_or((response, &[]))
}

fn find(text: &[u8], what: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(text.get(from..)?, what).map(|at| at + from)
}

/// `load --address HOST:PORT [--token T] [--tool NAME] [--connections N] [--seconds N]`: asks what answers at `/mcp`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let peer = Peer {
        address: option(arguments, "--address")
            .ok_or("`--address HOST:PORT` is wanted")?
            .to_owned(),
        path: "/mcp",
        prefix: "",
        token: option(arguments, "--token").map(str::to_owned),
        era: Era::Modern,
    };
    let question = peer.call(option(arguments, "--tool").unwrap_or("read_1k"));
    let connections = number(arguments, "--connections", 16)?;
    let seconds = number(arguments, "--seconds", 2)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clients = runtime.block_on(open(&question, connections))?;
    let (_, seen) = runtime.block_on(run(clients, Duration::from_secs(seconds as u64)))?;
    println!(
        "{} answered, {} failed, {:.0} a second, p50 {} us, p99 {} us",
        seen.answered,
        seen.failed,
        seen.rate(),
        seen.percentile(0.5),
        seen.percentile(0.99)
    );
    Ok(())
}
