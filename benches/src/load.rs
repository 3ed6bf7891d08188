//! The load generator: a closed loop over raw sockets, one request in flight for each connection. Nothing in it allocates for
//! each request, so that what it costs does not move the figure.

use crate::{Result, number, option};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one run of the loop saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Requests answered with status 200 and no error.
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

/// What is asked, over and over.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// `host:port`.
    pub(crate) address: String,
    /// The path.
    pub(crate) path: String,
    /// Headers, each with its line end.
    pub(crate) headers: String,
    /// The body.
    pub(crate) body: String,
}

impl Question {
    /// A modern `method`, with `params` inside the braces (`"name":"x",`).
    pub(crate) fn modern(
        address: &str,
        path: &str,
        token: Option<&str>,
        method: &str,
        name: Option<&str>,
        params: &str,
    ) -> Self {
        let mut headers = format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n");
        if let Some(name) = name {
            headers.push_str(&format!("Mcp-Name: {name}\r\n"));
        }
        if let Some(token) = token {
            headers.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        Self {
            address: address.to_owned(),
            path: path.to_owned(),
            headers,
            body: format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"load","version":"1"}}}}}}}}"#
            ),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{}Content-Length: {}\r\n\r\n{}",
            self.path,
            self.address,
            self.headers,
            self.body.len(),
            self.body
        )
        .into_bytes()
    }
}

/// Asks over `connections` connections for `duration`, on the current runtime.
pub(crate) async fn run(question: &Question, connections: usize, duration: Duration) -> Result<Seen> {
    let stop = Arc::new(AtomicBool::new(false));
    let request: Arc<[u8]> = question.bytes().into();
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let socket = TcpStream::connect(&question.address).await?;
        socket.set_nodelay(true)?;
        tasks.push(tokio::spawn(ask(socket, Arc::clone(&request), Arc::clone(&stop))));
    }
    tokio::time::sleep(duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    for task in tasks {
        let one = task.await??;
        seen.answered += one.answered;
        seen.failed += one.failed;
        seen.latencies_us.extend(one.latencies_us);
    }
    seen.took = begun.elapsed();
    seen.latencies_us.sort_unstable();
    Ok(seen)
}

/// Asks `calls` times over one connection; the first call that fails is shown.
pub(crate) async fn ask_times(question: &Question, calls: u64) -> Result<()> {
    let request = question.bytes();
    let mut socket = TcpStream::connect(&question.address).await?;
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(256 << 10);
    for _ in 0..calls {
        socket.write_all(&request).await?;
        buffer.clear();
        if !read_response(&mut socket, &mut buffer).await? {
            let shown: String = String::from_utf8_lossy(&buffer).chars().take(1_000).collect();
            return Err(format!("a call failed: {shown}").into());
        }
    }
    Ok(())
}

/// Opens `count` connections, asks once on each, waits for the head of the answer and its first bytes, and returns the open
/// connections.
pub(crate) async fn hold(question: &Question, count: usize) -> Result<Vec<TcpStream>> {
    let request = question.bytes();
    let mut held = Vec::with_capacity(count);
    let mut buffer = Vec::with_capacity(64 << 10);
    for _ in 0..count {
        let mut socket = TcpStream::connect(&question.address).await?;
        socket.set_nodelay(true)?;
        socket.write_all(&request).await?;
        buffer.clear();
        while find(&buffer, b"\r\n\r\n", 0).is_none() {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Err("the connection was closed".into());
            }
        }
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

async fn ask(mut socket: TcpStream, request: Arc<[u8]>, stop: Arc<AtomicBool>) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut buffer = Vec::with_capacity(256 << 10);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        socket.write_all(&request).await?;
        buffer.clear();
        let ok = read_response(&mut socket, &mut buffer).await?;
        let took = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
        match ok {
            true => seen.answered += 1,
            false => seen.failed += 1,
        }
        seen.latencies_us.push(took);
    }
    Ok(seen)
}

/// Reads one response, by length or in chunks. Whether its status is 200.
async fn read_response(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<bool> {
    let head = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n", 0) {
            break at + 4;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err("the connection was closed".into());
        }
    };
    let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let ok = text.starts_with("http/1.1 200");
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
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
    Ok(ok && find(buffer, br#""error":{"code""#, head).is_none() && find(buffer, br#""isError":true"#, head).is_none())
}

fn find(text: &[u8], what: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(text.get(from..)?, what).map(|at| at + from)
}

/// `load --address HOST:PORT [--path /mcp] [--token T] [--tool NAME] [--connections N] [--seconds N]`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let address = option(arguments, "--address").ok_or("`--address HOST:PORT` is wanted")?;
    let tool = option(arguments, "--tool").unwrap_or("read_1k");
    let question = Question::modern(
        address,
        option(arguments, "--path").unwrap_or("/mcp"),
        option(arguments, "--token"),
        "tools/call",
        Some(tool),
        &format!(r#""name":"{tool}","arguments":{{"key":"k","limit":10,"fields":["a","b"]}},"#),
    );
    let connections = number(arguments, "--connections", 16)?;
    let seconds = number(arguments, "--seconds", 2)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = runtime.block_on(run(&question, connections, Duration::from_secs(seconds as u64)))?;
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
