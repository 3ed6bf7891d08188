//! Where in a message a finding stands: a path that may be told, and whether what stands there is content or something that the
//! protocol itself needs. It must not know what a finding is, nor what is done about it.

use memchr::memmem::Finder;
use portcullis_guards::json::{self, Marking, decoded};
use std::ops::Range;
use std::sync::LazyLock;

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// Content: it may be masked.
    Content,
    /// Content in Base64: what is in it may be masked, the letters may not.
    Binary,
    /// What the protocol needs as it is: ids, names, cursors, tokens of progress, URIs, keys of the envelope.
    Protocol,
}

/// A place in a message.
pub(super) type Place = json::Place<Within>;

/// Reads a message once from its beginning, from place to place.
pub(super) type Places<'a> = json::Places<'a, Within>;

/// The places in a message.
pub(super) const fn read(text: &[u8]) -> Places<'_> {
    Places::marked(
        text,
        Marking {
            open: Within::open,
            member: |own, key, value| own.member(&decoded(key), value),
        },
    )
}

/// What stands at `place`.
pub(super) fn zone(place: &Place) -> Zone {
    match place.in_key {
        true => place.own.map_or(Zone::Protocol, Within::zone_of_key),
        false => place.next.map_or(Zone::Protocol, Within::zone),
    }
}

/// The values in Base64, quotes excluded, in order.
pub(super) fn letters(text: &[u8]) -> Vec<Range<usize>> {
    let mut places = read(text);
    let mut all = Vec::new();
    while let Some((inside, is_key)) = places.next_string() {
        if !is_key && places.next().map(Within::zone) == Some(Zone::Binary) {
            all.push(inside);
        }
    }
    all
}

/// What is known of the place that a path has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// The message itself.
    Envelope,
    /// `params`, `result` or `error`, or what is built like them.
    Message,
    /// Blocks of content, resources, prompts' messages.
    Parts,
    /// An object whose keys are names that somebody gave, and whose values are messages.
    Names,
    /// What must stay as it is.
    Fixed,
    /// Base64.
    Letters,
    /// Somebody's own content, however deep.
    Free,
}

impl Within {
    /// An object or array that stands where `own` was expected.
    fn open(own: Option<Self>) -> Self {
        match own {
            None => Self::Envelope,
            // Words and handles are no objects: this is something else.
            Some(Self::Fixed) => Self::Free,
            Some(within) => within,
        }
    }

    fn zone_of_key(self) -> Zone {
        match self {
            Self::Free => Zone::Content,
            Self::Letters => Zone::Binary,
            _ => Zone::Protocol,
        }
    }

    fn zone(self) -> Zone {
        match self {
            Self::Fixed => Zone::Protocol,
            Self::Letters => Zone::Binary,
            // Also where a structure is expected and something else stands.
            _ => Zone::Content,
        }
    }

    /// What stands behind the key `key`; `value` begins at its colon.
    fn member(self, key: &str, value: &[u8]) -> Self {
        match self {
            Self::Free | Self::Fixed | Self::Letters => self,
            Self::Names => Self::Message,
            Self::Envelope => match key {
                "jsonrpc" | "id" | "method" => Self::Fixed,
                "params" | "result" | "error" => Self::Message,
                _ => Self::Free,
            },
            Self::Message | Self::Parts => match key {
                // Names, handles and words of the protocol.
                "name"
                | "uri"
                | "uriTemplate"
                | "url"
                | "type"
                | "mimeType"
                | "role"
                | "level"
                | "logger"
                | "method"
                | "cursor"
                | "nextCursor"
                | "progressToken"
                | "requestState"
                | "requestId"
                | "taskId"
                | "elicitationId"
                | "resultType"
                | "protocolVersion"
                | "toolUseId"
                | "id"
                | "code"
                | "model"
                | "stopReason"
                | "status"
                | "ttlMs"
                | "cacheScope"
                | "io.modelcontextprotocol/subscriptionId" => Self::Fixed,
                "blob" => Self::Letters,
                "data" if self == Self::Parts => Self::Letters,
                // A question's form is filled in with fields of any name; a block of content has a type.
                "content" if is_object(value) => match says_type(value) {
                    true => Self::Parts,
                    false => Self::Free,
                },
                "content" | "contents" | "messages" | "resource" => Self::Parts,
                "inputRequests" | "inputResponses" => Self::Names,
                "params"
                | "result"
                | "_meta"
                | "task"
                | "tasks"
                | "ref"
                | "argument"
                | "roots"
                | "notifications"
                | "io.modelcontextprotocol/related-task" => Self::Message,
                _ => Self::Free,
            },
        }
    }
}

/// Whether a message may have Base64 where the protocol has it: a look that costs little. A key may be written with escapes.
pub(super) fn may_have_letters(text: &[u8]) -> bool {
    static SIGNS: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| ["\"blob\"", "\"data\"", "\\u"].map(Finder::new));
    SIGNS.iter().any(|sign| sign.find(text).is_some())
}

fn is_object(value: &[u8]) -> bool {
    let begins = value
        .iter()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b':'));
    begins == Some(&b'{')
}

/// Whether the object that `value` begins with has a `type` that blocks of content have.
fn says_type(value: &[u8]) -> bool {
    let Some(begin) = value.iter().position(|byte| *byte == b'{') else {
        return false;
    };
    let Ok(Some(at)) = portcullis_wire::json::member(value, begin, "type") else {
        return false;
    };
    let said = value.get(at).unwrap_or_default();
    [
        &b"\"text\""[..],
        b"\"image\"",
        b"\"audio\"",
        b"\"resource\"",
        b"\"resource_link\"",
        b"\"tool_use\"",
        b"\"tool_result\"",
    ]
    .contains(&said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, of: &str) -> (Zone, String, bool) {
        let at = text.find(of).unwrap();
        let place = read(text.as_bytes()).find(at);
        (zone(&place), place.path(text.as_bytes(), |_| None), place.in_key)
    }

    #[test]
    fn content_is_told_from_what_the_protocol_needs() {
        let call = r#"{"jsonrpc":"2.0","id":"ID","method":"tools/call","params":{"name":"NAME","_meta":{"progressToken":"TOKEN",
            "org/x":"META"},"requestState":"STATE","inputResponses":{"Q-1":{"action":"accept","content":{"name":"FORM"}}},
            "arguments":{"name":"ARGUMENT","list":[1,{"KEY":"x","uri":["DEEP"]}],"a/b~c":"ODD"}},"extra":{"id":"EXTRA"}}"#;
        for (of, zone, path) in [
            ("ID\"", Zone::Protocol, "/id"),
            ("NAME", Zone::Protocol, "/params/name"),
            ("TOKEN", Zone::Protocol, "/params/_meta/progressToken"),
            ("META", Zone::Content, "/params/_meta/org~1x"),
            ("STATE", Zone::Protocol, "/params/requestState"),
            ("Q-1", Zone::Protocol, "/params/inputResponses/Q-1"),
            ("FORM", Zone::Content, "/params/inputResponses/Q-1/content/name"),
            ("ARGUMENT", Zone::Content, "/params/arguments/name"),
            ("KEY", Zone::Content, "/params/arguments/list/1/KEY"),
            ("DEEP", Zone::Content, "/params/arguments/list/1/uri/0"),
            ("ODD", Zone::Content, "/params/arguments/a~1b~0c"),
            ("EXTRA", Zone::Content, "/extra/id"),
            ("arguments", Zone::Protocol, "/params/arguments"),
        ] {
            assert_eq!(
                place(call, of),
                (zone, path.to_owned(), matches!(of, "KEY" | "Q-1" | "arguments")),
                "{of}"
            );
        }
        let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"TEXT"},{"type":"image","data":"IMAGE",
            "mimeType":"MIME"},{"type":"resource","resource":{"uri":"URI","blob":"BLOB","text":"RT"}},
            {"type":"resource_link","uri":"LINK","name":"LN","description":"LD"}],"structuredContent":{"type":"STRUCTURED",
            "data":"SD"},"nextCursor":"CURSOR","resultType":"complete","messages":[{"role":"user","content":{"type":"text",
            "text":"PROMPT"}}],"completion":{"values":["VALUE"]},"contents":[{"uri":"CU","text":"CT","blob":"CB"}]}}"#;
        for (of, zone) in [
            ("TEXT", Zone::Content),
            ("IMAGE", Zone::Binary),
            ("MIME", Zone::Protocol),
            ("URI", Zone::Protocol),
            ("BLOB", Zone::Binary),
            ("RT", Zone::Content),
            ("LINK", Zone::Protocol),
            ("LN", Zone::Protocol),
            ("LD", Zone::Content),
            ("STRUCTURED", Zone::Content),
            ("SD", Zone::Content),
            ("CURSOR", Zone::Protocol),
            ("PROMPT", Zone::Content),
            ("VALUE", Zone::Content),
            ("CU", Zone::Protocol),
            ("CT", Zone::Content),
            ("CB", Zone::Binary),
        ] {
            assert_eq!(place(result, of).0, zone, "{of}");
        }
        let log =
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","logger":"L","data":"LOG"}}"#;
        assert_eq!(place(log, "LOG").0, Zone::Content);
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"MESSAGE","data":{"uri":"DATA"}}}"#;
        assert_eq!([place(error, "MESSAGE").0, place(error, "DATA").0], [Zone::Content; 2]);
    }
}
