//! The places in which a server can say something to a client, and how each is come to: in the carrier (`peers/python/carrier.py`, on the
//! official SDK) all of them, in the published servers those that they have. Knows nothing of what is said there.

use super::client::{Client, Era};
use crate::child::Result;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// `peers/python/carrier.py`.
    Carrier,
    /// `@modelcontextprotocol/server-filesystem`.
    Files,
    /// `@modelcontextprotocol/server-everything`.
    Everything,
}

/// What a place wants of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Text,
    /// A value alone, in a field that its label names.
    Field,
    /// A text that goes into Base64 there.
    Bytes,
    /// The name of a file.
    Name,
    /// What may stand in arguments: the server gives back what it is given.
    Echo,
}

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) server: Server,
    pub(super) wants: Wants,
    /// Whether there is such a place for a modern client.
    pub(super) is_modern: bool,
}

const fn place(name: &'static str, server: Server, wants: Wants) -> Place {
    Place {
        name,
        server,
        wants,
        is_modern: true,
    }
}

const fn legacy(name: &'static str, server: Server, wants: Wants) -> Place {
    Place {
        name,
        server,
        wants,
        is_modern: false,
    }
}

pub(super) const PLACES: [Place; 32] = [
    place("text", Server::Carrier, Wants::Text),
    place("structured", Server::Carrier, Wants::Text),
    place("field", Server::Carrier, Wants::Field),
    place("key", Server::Carrier, Wants::Text),
    place("embedded text", Server::Carrier, Wants::Text),
    place("embedded blob", Server::Carrier, Wants::Bytes),
    place("image", Server::Carrier, Wants::Bytes),
    place("audio", Server::Carrier, Wants::Bytes),
    place("link", Server::Carrier, Wants::Text),
    place("meta", Server::Carrier, Wants::Text),
    place("tool error", Server::Carrier, Wants::Text),
    place("error message", Server::Carrier, Wants::Text),
    place("error data", Server::Carrier, Wants::Text),
    place("progress", Server::Carrier, Wants::Text),
    place("log", Server::Carrier, Wants::Text),
    place("elicitation", Server::Carrier, Wants::Text),
    place("sampling", Server::Carrier, Wants::Text),
    legacy("log of no call", Server::Carrier, Wants::Text),
    legacy("elicitation of no call", Server::Carrier, Wants::Text),
    place("resource text", Server::Carrier, Wants::Text),
    place("resource blob", Server::Carrier, Wants::Bytes),
    place("prompt text", Server::Carrier, Wants::Text),
    place("prompt resource", Server::Carrier, Wants::Text),
    place("prompt description", Server::Carrier, Wants::Text),
    place("completion", Server::Carrier, Wants::Text),
    place("file", Server::Files, Wants::Text),
    place("files", Server::Files, Wants::Text),
    place("picture file", Server::Files, Wants::Bytes),
    place("binary file", Server::Files, Wants::Bytes),
    place("file name", Server::Files, Wants::Name),
    place("echo", Server::Everything, Wants::Echo),
    place("prompt with an argument", Server::Everything, Wants::Echo),
];

/// The clients of one way to the servers.
pub(super) struct Site {
    pub(super) carrier: Client,
    pub(super) files: Client,
    pub(super) everything: Client,
    /// The directory that the file server serves.
    pub(super) directory: PathBuf,
}

/// The file that the text number `at` is in, by the place that it is read at; the directory, for a name.
pub(super) fn file(directory: &Path, place: &Place, at: usize) -> PathBuf {
    match place.name {
        "picture file" => directory.join(format!("picture-{at}.png")),
        "binary file" => directory.join(format!("binary-{at}.bin")),
        "file name" => directory.join(format!("directory-{at}")),
        _ => directory.join(format!("note-{at}.txt")),
    }
}

impl Site {
    pub(super) fn clients(&self) -> [&Client; 3] {
        [&self.carrier, &self.files, &self.everything]
    }

    /// Has the text number `at`, which is `text`, said at `place`: all messages that come of it, as bytes.
    ///
    /// # Errors
    /// No answer comes.
    pub(super) fn hear(&mut self, place: &Place, at: usize, text: &str) -> Result<Vec<Vec<u8>>> {
        let path = file(&self.directory, place, at);
        let call = |tool: &str, arguments: Value| ("tools/call", json!({"name": tool, "arguments": arguments}));
        let (method, params) = match place.name {
            "resource text" => ("resources/read", json!({"uri": format!("carrier://text/{at}")})),
            "resource blob" => ("resources/read", json!({"uri": format!("carrier://blob/{at}")})),
            "prompt text" | "prompt resource" | "prompt description" => (
                "prompts/get",
                json!({"name": "letter", "arguments": {"place": place.name, "at": at.to_string()}}),
            ),
            "completion" => (
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "letter"}, "argument": {"name": "at", "value": at.to_string()}}),
            ),
            "file" => call("read_text_file", json!({"path": path})),
            "files" => call("read_multiple_files", json!({"paths": [path]})),
            "picture file" | "binary file" => call("read_media_file", json!({"path": path})),
            "file name" => call("list_directory", json!({"path": path})),
            "echo" => call("echo", json!({"message": text})),
            "prompt with an argument" => (
                "prompts/get",
                json!({"name": "args-prompt", "arguments": {"city": text}}),
            ),
            _ => call("say", json!({"place": place.name, "at": at})),
        };
        let client = match place.server {
            Server::Carrier => &mut self.carrier,
            Server::Files => &mut self.files,
            Server::Everything => &mut self.everything,
        };
        let mut heard = client.ask(method, params.clone(), &mut agree)?;
        match place.name {
            "log of no call" => {
                client.tell("notifications/roots/list_changed", json!({}))?;
                heard.extend(client.strays(2, &mut agree)?);
            }
            "elicitation of no call" => {
                client.tell("notifications/roots/list_changed", json!({}))?;
                heard.extend(client.strays(1, &mut agree)?);
            }
            _ => heard.extend(go_on(client, method, params, &heard, &mut agree)?),
        }
        Ok(heard)
    }
}

/// Answers the questions that a modern server asks by the last of `heard`, and asks again with the answers.
pub(super) fn go_on(
    client: &mut Client,
    method: &str,
    mut params: Value,
    heard: &[Vec<u8>],
    reply: &mut dyn FnMut(&Value) -> Value,
) -> Result<Vec<Vec<u8>>> {
    if client.era() == Era::Legacy {
        return Ok(Vec::new());
    }
    let last: Value = serde_json::from_slice(heard.last().map(Vec::as_slice).unwrap_or_default())?;
    let Some(questions) = last.pointer("/result/inputRequests").and_then(Value::as_object) else {
        return Ok(Vec::new());
    };
    let answers = questions.iter().map(|(name, question)| (name.clone(), reply(question)));
    let answers = Value::Object(answers.collect());
    if let Value::Object(members) = &mut params {
        members.insert("inputResponses".to_owned(), answers);
        if let Some(state) = last.pointer("/result/requestState") {
            members.insert("requestState".to_owned(), state.clone());
        }
    }
    client.ask(method, params, &mut agree)
}

/// Says yes to every question.
pub(super) fn agree(question: &Value) -> Value {
    match question.get("method").and_then(Value::as_str) {
        Some("sampling/createMessage") => {
            json!({"role": "assistant", "content": {"type": "text", "text": "yes"}, "model": "none"})
        }
        Some("roots/list") => json!({"roots": []}),
        _ => json!({"action": "accept", "content": {"reply": "yes"}}),
    }
}
