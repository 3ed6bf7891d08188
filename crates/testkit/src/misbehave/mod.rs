//! Upstream servers that misbehave on purpose, one way at a time.
//!
//! Each is a small MCP server of both eras with two tools: `echo` always works, `work` triggers the script. A script can
//! also spoil the very first request. So a test can ask: does the caller get a named error within its deadline, and is
//! everybody else still served?
//!
//! - [`serve_http`] writes HTTP/1.1 by hand, since the point is to break it; it refuses any address but loopback.
//! - [`serve_stdio`] speaks lines over any pair of streams; the program `bad-upstream` gives it standard input and output.
//!
//! This module stands on tokio alone and must not know the SDK.

mod http;
mod stdio;

use std::time::Duration;

use serde_json::{Value, json};

pub use http::serve_http;
pub use stdio::serve_stdio;

/// How much an oversized answer carries, in bytes: more than any sane limit, less than the memory of a machine.
pub const OVERSIZED_BYTES: usize = 256 * 1024 * 1024;
/// The pause between two bytes of a slow answer.
pub const TRICKLE: Duration = Duration::from_millis(200);
/// The pause between two messages of an endless answer.
pub const ENDLESS_PAUSE: Duration = Duration::from_millis(1);

const CHUNK_BYTES: usize = 64 * 1024;
const VERSIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// The way in which an answer is bad.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// No byte of an answer ever comes; the connection stays open.
    Silent,
    /// A correct answer, one byte every [`TRICKLE`].
    Slow,
    /// Valid notifications without end, and never the answer.
    Endless,
    /// A correct answer of [`OVERSIZED_BYTES`].
    Oversized,
    /// A complete answer that is neither JSON nor UTF-8.
    Garbage,
    /// Bytes that are not even framed: no HTTP, no line.
    Noise,
    /// A correct answer to a request that nobody made.
    Stranger,
    /// Half an answer; then the connection, or over stdio the server, is gone.
    Dying,
    /// The whole server is gone before the first byte.
    Gone,
}

impl Mode {
    /// All modes, with the names that the program's command line has for them.
    pub const ALL: [(&str, Mode); 9] = [
        ("silent", Mode::Silent),
        ("slow", Mode::Slow),
        ("endless", Mode::Endless),
        ("oversized", Mode::Oversized),
        ("garbage", Mode::Garbage),
        ("noise", Mode::Noise),
        ("stranger", Mode::Stranger),
        ("dying", Mode::Dying),
        ("gone", Mode::Gone),
    ];

    /// The mode with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Mode> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, mode)| *mode)
    }
}

/// When the server misbehaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// From the first request on, `initialize` or `server/discover` included.
    Start,
    /// On every call of the tool `work`; all else is fine.
    Call,
}

/// What a server does wrong, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Script {
    /// How.
    pub mode: Mode,
    /// When.
    pub moment: Moment,
}

/// What to do with one message.
enum Reply {
    /// Nothing to say: it was a notification.
    Nothing,
    /// The right answer.
    Answer(Value),
    /// Do what the script says; the value is what the right answer would have been.
    Spoil(Value),
}

impl Script {
    fn reply(self, message: &Value) -> Reply {
        let Some(id) = message.get("id") else {
            return Reply::Nothing;
        };
        let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
        let params = message.get("params").unwrap_or(&Value::Null);
        let answer = match result(method, params) {
            Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            None => json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "method not found"}}),
        };
        let works = method == "tools/call" && params.get("name").is_some_and(|name| name == "work");
        if self.moment == Moment::Start || works {
            Reply::Spoil(answer)
        } else {
            Reply::Answer(answer)
        }
    }
}

/// The result that a well-behaved server would give.
fn result(method: &str, params: &Value) -> Option<Value> {
    let info = json!({"name": "bad-upstream", "version": env!("CARGO_PKG_VERSION")});
    let asked = params
        .get("protocolVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Some(match method {
        "initialize" => {
            let legacy = VERSIONS
                .iter()
                .find(|known| **known == asked && asked < "2026")
                .unwrap_or(&"2025-11-25");
            json!({"protocolVersion": legacy, "capabilities": {"tools": {}}, "serverInfo": info})
        }
        "server/discover" => json!({
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            "supportedVersions": VERSIONS, "capabilities": {"tools": {}},
            "_meta": {"io.modelcontextprotocol/serverInfo": info},
        }),
        "ping" => json!({}),
        "tools/list" => {
            let text = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
            json!({
                "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "tools": [
                    {"name": "echo", "description": "Says what it is told.", "inputSchema": text},
                    {"name": "work", "description": "Does what its script says.", "inputSchema": {"type": "object"}},
                ],
            })
        }
        "tools/call" => {
            let text = params
                .pointer("/arguments/text")
                .and_then(Value::as_str)
                .unwrap_or("done");
            json!({"resultType": "complete", "content": [{"type": "text", "text": text}]})
        }
        _ => return None,
    })
}

/// The same answer under an id that nobody used.
fn estranged(mut answer: Value) -> Value {
    if let Some(id) = answer.get_mut("id") {
        *id = json!("nobody-asked-this");
    }
    answer
}

/// A notification that a busy server may send.
fn busy_notification() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "still busy"}})
}

/// Bytes that are no text in any encoding that matters here. They have no line break.
const NOISE: [u8; 16] = [
    0xff, 0xfe, 0x00, 0x81, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0x7b, 0x22, 0xf5, 0x00, 0x1b, 0x5b, 0xff,
];

/// The two ends of a correct answer whose middle can be as long as one likes.
fn around_padding(answer: &Value) -> (String, &'static str) {
    let id = answer.get("id").unwrap_or(&Value::Null);
    let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"");
    (head, "\"}]}}")
}
