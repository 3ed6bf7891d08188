//! The JSON-RPC envelope over the received buffer: parsed once, `params`, `result` and `error` kept as slices.

use crate::edit::{Edits, Rope};
use crate::error::{self, RpcError};
use crate::id::Id;
use crate::json::{self, Index, JsonError, Kind, Raw};
use crate::limits::Limits;
use crate::method::Method;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// One JSON-RPC message (JSON-RPC 2.0; MCP base protocol, "Messages").
#[derive(Debug, Clone)]
pub enum Message {
    /// Wants an answer.
    Request(Request),
    /// Wants none.
    Notification(Notification),
    /// Is one.
    Response(Response),
}

/// A request as received: `whole` is its text, the ranges say where the parts stand in it.
#[derive(Debug, Clone)]
pub struct Request {
    whole: Bytes,
    id: Id,
    id_at: Range<usize>,
    method: Method,
    params: Option<Raw>,
    params_at: Option<Range<usize>>,
}

/// A notification as received.
#[derive(Debug, Clone)]
pub struct Notification {
    whole: Bytes,
    method: Method,
    params: Option<Raw>,
    params_at: Option<Range<usize>>,
}

/// A response as received. `id` is absent only with an error.
#[derive(Debug, Clone)]
pub struct Response {
    whole: Bytes,
    id: Option<Id>,
    id_at: Option<Range<usize>>,
    outcome: Outcome,
    outcome_at: Range<usize>,
}

/// What a response says.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The `result` member.
    Result(Raw),
    /// The `error` member.
    Error(Raw),
}

/// A message that is refused at the door, with what the sender hears and its id where that could be read.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The error to answer with.
    pub error: RpcError,
    /// The id of the message, if it had a usable one.
    pub id: Option<Id>,
}

impl Message {
    /// Reads one message.
    ///
    /// # Errors
    /// `-32700` for what is no JSON, `-32600` for what is no message: each names what is wrong.
    pub fn parse(text: Bytes, limits: &Limits) -> Result<Self, Refused> {
        let noted = json::check_object(&text, limits).map_err(|error| Refused {
            error: door_error(&error),
            id: None,
        })?;
        Envelope::find(&text, noted)
            .map_err(|message| refused(message, None))?
            .into_message(text, limits)
    }

    /// The text of the message.
    #[must_use]
    pub const fn whole(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.whole,
            Self::Notification(notification) => &notification.whole,
            Self::Response(response) => &response.whole,
        }
    }
}

/// Splits a 2025-03-26 batch into the texts of its messages; `None` when `text` is no array.
///
/// # Errors
/// `-32700` for what is no JSON, `-32600` for an empty batch or one beyond [`Limits::batch_max`].
pub fn batch(text: &Bytes, limits: &Limits) -> Option<Result<Vec<Bytes>, Refused>> {
    let first = text.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))?;
    if *first != b'[' {
        return None;
    }
    let raw = match Raw::parse(text.clone(), limits) {
        Ok(raw) => raw,
        Err(error) => {
            return Some(Err(Refused {
                error: door_error(&error),
                id: None,
            }));
        }
    };
    let elements = raw.elements();
    Some(match elements.len() {
        0 => Err(refused("an empty batch", None)),
        count if count > limits.batch_max => Err(Refused {
            error: RpcError::new(
                error::INVALID_REQUEST,
                format!("a batch of {count} messages, at most {} are accepted", limits.batch_max),
            ),
            id: None,
        }),
        _ => Ok(elements.iter().map(Raw::bytes).collect()),
    })
}

/// What the sender of bad JSON hears.
fn door_error(error: &JsonError) -> RpcError {
    let code = match error {
        // Valid JSON, invalid message.
        JsonError::NotAnObject
        | JsonError::DuplicateKey { .. }
        | JsonError::TooManyMembers { .. }
        | JsonError::TooLong { .. }
        | JsonError::Depth { .. } => error::INVALID_REQUEST,
        JsonError::Utf8 { .. }
        | JsonError::Syntax { .. }
        | JsonError::LoneSurrogate { .. }
        | JsonError::Trailing { .. } => error::PARSE,
    };
    let status = match error {
        JsonError::TooLong { .. } => Some(413),
        _ => None,
    };
    RpcError {
        status,
        ..RpcError::new(code, error.to_string())
    }
}

fn refused(message: &str, id: Option<Id>) -> Refused {
    Refused {
        error: RpcError::new(error::INVALID_REQUEST, format!("invalid message: {message}")),
        id,
    }
}

/// The members of the envelope that JSON-RPC names; all others are carried and not looked at.
#[derive(Default)]
struct Envelope {
    version: Option<Range<usize>>,
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
    /// Where `params` or `result` begins, the last of them that is an object, and its members.
    index: Option<(usize, Arc<Index>)>,
}

impl Envelope {
    /// The value at `range`, with its members if they are those that were noted.
    fn value(text: &Bytes, range: &Range<usize>, noted: Option<(usize, Arc<Index>)>) -> Raw {
        let index = noted.and_then(|(at, index)| (range.start == at).then_some(index));
        Raw::indexed(text, range.clone(), index)
    }

    fn find(text: &Bytes, noted: json::Noted) -> Result<Self, &'static str> {
        let mut found = Self {
            index: noted.inner,
            ..Self::default()
        };
        for member in noted.members {
            let written = text.get(member.key.clone()).unwrap_or_default();
            // An escaped spelling of one of our keys is read by some parsers as the key and by others not at all.
            if !noted.is_plain && written.contains(&b'\\') {
                let key = json::decode(written);
                if matches!(
                    key.as_ref(),
                    "jsonrpc" | "id" | "method" | "params" | "result" | "error"
                ) {
                    return Err("an envelope key is written with escapes");
                }
                continue;
            }
            let slot = match written {
                b"jsonrpc" => &mut found.version,
                b"id" => &mut found.id,
                b"method" => &mut found.method,
                b"params" => &mut found.params,
                b"result" => &mut found.result,
                b"error" => &mut found.error,
                _ => continue,
            };
            *slot = Some(member.value);
        }
        Ok(found)
    }

    fn into_message(self, text: Bytes, limits: &Limits) -> Result<Message, Refused> {
        let at = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        // The id first, so that every later refusal can carry it.
        let id = self
            .id
            .as_ref()
            .filter(|id| id.len() <= limits.id_bytes_max)
            .and_then(|id| Id::from_raw(&Raw::slice_of(&text, id.clone())));
        if self.version.as_ref().map(at) != Some(br#""2.0""#) {
            return Err(refused("`jsonrpc` must be \"2.0\"", id));
        }
        let Some(method) = &self.method else {
            return self.into_response(text, id);
        };
        if self.result.is_some() || self.error.is_some() {
            return Err(refused("both a method and a result or error", id));
        }
        let Some(method) = json::string_of(at(method)) else {
            return Err(refused("`method` must be a string", id));
        };
        if method.is_empty() || method.len() > limits.method_bytes_max {
            return Err(refused("`method` is empty or too long", id));
        }
        let method = Method::new(&method);
        if let Some(params) = &self.params
            && json::kind(at(params)) != Kind::Object
        {
            return Err(refused("`params` must be an object", id));
        }
        let params_at = self.params;
        let params = params_at.as_ref().map(|range| Self::value(&text, range, self.index));
        match (id, self.id) {
            (Some(id), Some(id_at)) => {
                if method.is_notification() {
                    return Err(refused("a notification must not have an id", Some(id)));
                }
                Ok(Message::Request(Request {
                    id,
                    id_at,
                    method,
                    params,
                    params_at,
                    whole: text,
                }))
            }
            (None, Some(_)) => Err(refused(
                "`id` must be a string or an integer of reasonable length",
                None,
            )),
            _ if method.is_notification() => Ok(Message::Notification(Notification {
                method,
                params,
                params_at,
                whole: text,
            })),
            _ => Err(refused("a request needs an `id`", None)),
        }
    }

    fn into_response(self, text: Bytes, id: Option<Id>) -> Result<Message, Refused> {
        let (outcome, outcome_at) = match (self.result, self.error) {
            (Some(at), None) => (Outcome::Result(Self::value(&text, &at, self.index)), at),
            (None, Some(at)) => (Outcome::Error(Raw::slice_of(&text, at.clone())), at),
            (Some(_), Some(_)) => return Err(refused("both a result and an error", id)),
            (None, None) => return Err(refused("no `method`, `result` or `error`", id)),
        };
        let kind_at = |range: &Range<usize>| json::kind(text.get(range.clone()).unwrap_or_default());
        let null = self.id.as_ref().is_none_or(|id| kind_at(id) == Kind::Null);
        match (&outcome, &id, null) {
            (_, Some(_), _) | (Outcome::Error(_), None, true) => {}
            _ => return Err(refused("a response needs the request's `id`", None)),
        }
        if let Outcome::Error(error) = &outcome
            && error.kind() != Kind::Object
        {
            return Err(refused("`error` must be an object", id));
        }
        Ok(Message::Response(Response {
            id_at: self.id,
            id,
            outcome,
            outcome_at,
            whole: text,
        }))
    }
}

impl Request {
    /// Builds a request of this program's own. `params` is the JSON text of an object.
    ///
    /// # Errors
    /// What reading it back finds: a bug of the caller, surfaced early.
    pub fn own(id: &Id, method: &Method, params: Option<&[u8]>) -> Result<Self, Refused> {
        let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
        out.extend_from_slice(id.as_json());
        out.extend_from_slice(br#","method":"#);
        json::write_string(&mut out, method.as_str());
        if let Some(params) = params {
            out.extend_from_slice(br#","params":"#);
            out.extend_from_slice(params);
        }
        out.push(b'}');
        match Message::parse(Bytes::from(out), &Limits::default())? {
            Message::Request(request) => Ok(request),
            Message::Notification(_) | Message::Response(_) => Err(refused("a request was expected", None)),
        }
    }

    /// The text.
    #[must_use]
    pub const fn whole(&self) -> &Bytes {
        &self.whole
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &Id {
        &self.id
    }

    /// Where the id stands in the text.
    #[must_use]
    pub fn id_at(&self) -> Range<usize> {
        self.id_at.clone()
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The parameters, an object if there are any.
    #[must_use]
    pub const fn params(&self) -> Option<&Raw> {
        self.params.as_ref()
    }

    /// Where the parameters stand in the text.
    #[must_use]
    pub fn params_at(&self) -> Option<Range<usize>> {
        self.params_at.clone()
    }

    /// The text with another id, and whatever `more` edits besides; ranges are those of [`Request::whole`].
    #[must_use]
    pub fn with_id(&self, id: &Id) -> Edits {
        let mut edits = Edits::of(self.whole.clone());
        edits.replace(self.id_at.clone(), id.bytes());
        edits
    }
}

impl Notification {
    /// Builds a notification of this program's own. `params` is the JSON text of an object.
    ///
    /// # Errors
    /// As [`Request::own`].
    pub fn own(method: &Method, params: Option<&[u8]>) -> Result<Self, Refused> {
        let mut out = br#"{"jsonrpc":"2.0","method":"#.to_vec();
        json::write_string(&mut out, method.as_str());
        if let Some(params) = params {
            out.extend_from_slice(br#","params":"#);
            out.extend_from_slice(params);
        }
        out.push(b'}');
        match Message::parse(Bytes::from(out), &Limits::default())? {
            Message::Notification(notification) => Ok(notification),
            Message::Request(_) | Message::Response(_) => Err(refused("a notification was expected", None)),
        }
    }

    /// The text.
    #[must_use]
    pub const fn whole(&self) -> &Bytes {
        &self.whole
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The parameters, an object if there are any.
    #[must_use]
    pub const fn params(&self) -> Option<&Raw> {
        self.params.as_ref()
    }

    /// Where the parameters stand in the text.
    #[must_use]
    pub fn params_at(&self) -> Option<Range<usize>> {
        self.params_at.clone()
    }
}

impl Response {
    /// Builds a response of this program's own; `result` is JSON text.
    #[must_use]
    pub fn own_result(id: &Id, result: &[u8]) -> Rope {
        let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
        out.extend_from_slice(id.as_json());
        out.extend_from_slice(br#","result":"#);
        out.extend_from_slice(result);
        out.push(b'}');
        Rope::one(out)
    }

    /// The text.
    #[must_use]
    pub const fn whole(&self) -> &Bytes {
        &self.whole
    }

    /// The id of the request it answers; absent in an error about a request whose id could not be read.
    #[must_use]
    pub const fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// What it says.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The result, if it is one.
    #[must_use]
    pub const fn result(&self) -> Option<&Raw> {
        match self.outcome() {
            Outcome::Result(result) => Some(result),
            Outcome::Error(_) => None,
        }
    }

    /// Where `result` or `error` stands in the text.
    #[must_use]
    pub fn outcome_at(&self) -> Range<usize> {
        self.outcome_at.clone()
    }

    /// The text with another id, or with one where there was none: what the client receives, for ids are of one hop. Other
    /// edits may follow; ranges are those of [`Response::whole`].
    #[must_use]
    pub fn with_id(&self, id: &Id) -> Edits {
        let mut edits = Edits::of(self.whole.clone());
        match &self.id_at {
            Some(at) => edits.replace(at.clone(), id.bytes()),
            None => {
                // An error that names no request came as the answer to one, and whoever waits for that knows it by its id. Other
                // members follow: `error` at least.
                let inside = self.whole.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
                let member = [br#""id":"#, id.as_json(), b","].concat();
                edits.replace(inside..inside, member);
            }
        }
        edits
    }
}
