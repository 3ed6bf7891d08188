//! Where in a message a finding stands: a path that may be told, and whether what stands there is content or something that the
//! protocol itself needs. It must not know what a finding is, nor what is done about it.

use memchr::memmem::Finder;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// Longest path that is told, in bytes.
const PATH_BYTES_MAX: usize = 200;
/// Longest key of a path, in characters.
const KEY_CHARACTERS_MAX: usize = 48;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) zone: Zone,
    /// Whether it is in the key of a member.
    pub(super) in_key: bool,
    /// The string that it is in, quotes excluded; empty where it is in none.
    pub(super) string: Range<usize>,
    /// How a path to it would be written.
    steps: Vec<Step>,
}

/// One step of the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// In an object: the key that was read last, as a range of the text, and whether a key comes next.
    Key(Range<usize>, bool),
    /// In an array: the index.
    Index(usize),
}

/// An object or array that the reading is in.
#[derive(Debug, Clone)]
struct Frame {
    step: Step,
    /// What it is.
    own: Within,
    /// What its next value is.
    next: Within,
}

/// Reads a message once from its beginning, from place to place.
pub(super) struct Places<'a> {
    text: &'a [u8],
    at: usize,
    frames: Vec<Frame>,
    /// The string that was come to last, where it is a key or value that the reading is before.
    found: Option<Place>,
}

impl<'a> Places<'a> {
    pub(super) const fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            frames: Vec::new(),
            found: None,
        }
    }

    /// The place of the byte `at`. Places are asked for in order; what was passed is told as where the reading is.
    pub(super) fn find(&mut self, at: usize) -> Place {
        if let Some(found) = self.found.take_if(|found| at > found.string.end) {
            self.at = found.string.end + 1;
        }
        if let Some(found) = &self.found {
            return found.clone();
        }
        while let Some(byte) = self.text.get(self.at).filter(|_| self.at <= at) {
            match self.read(*byte) {
                Some((inside, is_key)) if at <= inside.end => {
                    let place = self.place(inside, is_key);
                    self.found = Some(place.clone());
                    return place;
                }
                Some((inside, _)) => self.at = inside.end + 1,
                None => self.at += 1,
            }
        }
        self.place(0..0, false)
    }

    /// The values in Base64, quotes excluded, in order.
    pub(super) fn letters(text: &'a [u8]) -> Vec<Range<usize>> {
        let mut places = Self::of(text);
        let mut all = Vec::new();
        while let Some(byte) = text.get(places.at) {
            match places.read(*byte) {
                Some((inside, is_key)) => {
                    places.at = inside.end + 1;
                    if !is_key && places.zone(false) == Zone::Binary {
                        all.push(inside);
                    }
                }
                None => places.at += 1,
            }
        }
        all
    }

    /// Takes in `byte`, which the reading is at. Where a string begins: what is inside it, and whether it is a key.
    fn read(&mut self, byte: u8) -> Option<(Range<usize>, bool)> {
        match byte {
            b'{' => self.open(Step::Key(0..0, true)),
            b'[' => self.open(Step::Index(0)),
            b'}' | b']' => {
                self.frames.pop();
            }
            b':' => self.name(),
            b',' => match self.frames.last_mut().map(|frame| &mut frame.step) {
                Some(Step::Key(_, is_next)) => *is_next = true,
                Some(Step::Index(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let inside = self.at + 1..string_end(self.text, self.at + 1);
                let is_key = match self.frames.last_mut().map(|frame| &mut frame.step) {
                    Some(Step::Key(key, true)) => {
                        *key = inside.clone();
                        true
                    }
                    _ => false,
                };
                return Some((inside, is_key));
            }
            _ => {}
        }
        None
    }

    fn open(&mut self, step: Step) {
        let own = match self.frames.last().map(|frame| frame.next) {
            None => Within::Envelope,
            // Words and handles are no objects: this is something else.
            Some(Within::Fixed) => Within::Free,
            Some(within) => within,
        };
        self.frames.push(Frame { step, own, next: own });
    }

    /// Behind a key.
    fn name(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        let Step::Key(key, is_next) = &mut frame.step else {
            return;
        };
        *is_next = false;
        let value = self.text.get(self.at..).unwrap_or_default();
        frame.next = frame
            .own
            .member(&decoded(self.text.get(key.clone()).unwrap_or_default()), value);
    }

    fn zone(&self, in_key: bool) -> Zone {
        match (self.frames.last(), in_key) {
            (None, _) => Zone::Protocol,
            (Some(frame), true) => match frame.own {
                Within::Free => Zone::Content,
                Within::Letters => Zone::Binary,
                _ => Zone::Protocol,
            },
            (Some(frame), false) => match frame.next {
                Within::Fixed => Zone::Protocol,
                Within::Letters => Zone::Binary,
                // Also where a structure is expected and something else stands.
                _ => Zone::Content,
            },
        }
    }

    fn place(&self, string: Range<usize>, in_key: bool) -> Place {
        Place {
            zone: self.zone(in_key),
            in_key,
            string,
            steps: self.frames.iter().map(|frame| frame.step.clone()).collect(),
        }
    }
}

/// What is known of the place that a path has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
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

impl Place {
    /// The JSON pointer of the value, or of the member whose key it is. `hidden` says what stands in the place of a key, by its
    /// range in the text, which must not be told.
    pub(super) fn path(&self, text: &[u8], hidden: impl Fn(&Range<usize>) -> Option<String>) -> String {
        self.written(text, false, hidden)
    }

    /// The same for all members of an array alike.
    pub(super) fn pattern(&self, text: &[u8], hidden: impl Fn(&Range<usize>) -> Option<String>) -> String {
        self.written(text, true, hidden)
    }

    fn written(&self, text: &[u8], alike: bool, hidden: impl Fn(&Range<usize>) -> Option<String>) -> String {
        let mut path = String::new();
        for step in &self.steps {
            path.push('/');
            match step {
                Step::Index(_) if alike => path.push('*'),
                Step::Index(index) => path.push_str(&index.to_string()),
                Step::Key(key, _) => match hidden(key) {
                    Some(mark) => path.push_str(&mark),
                    None => {
                        let key = decoded(text.get(key.clone()).unwrap_or_default());
                        for character in key.chars().take(KEY_CHARACTERS_MAX) {
                            match character {
                                '~' => path.push_str("~0"),
                                '/' => path.push_str("~1"),
                                '"' | '\'' => path.push(character),
                                _ => path.extend(character.escape_debug()),
                            }
                        }
                    }
                },
            }
            if path.len() > PATH_BYTES_MAX {
                path.push_str("/...");
                break;
            }
        }
        path
    }
}

/// What a string of JSON says; as it stands, where it is none.
pub(super) fn decoded(inside: &[u8]) -> Cow<'_, str> {
    if !inside.contains(&b'\\') {
        return String::from_utf8_lossy(inside);
    }
    let quoted = [b"\"", inside, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text),
        Err(_) => String::from_utf8_lossy(inside),
    }
}

/// Where the string ends that `from` is in: its closing quote.
fn string_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        match text.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at,
            None => return text.len(),
            Some(_) => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, of: &str) -> (Zone, String, bool) {
        let at = text.find(of).unwrap();
        let place = Places::of(text.as_bytes()).find(at);
        (place.zone, place.path(text.as_bytes(), |_| None), place.in_key)
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

    #[test]
    fn places_are_found_one_after_the_other_and_keys_can_be_kept_from_being_told() {
        let text = br#"{"result":{"a \"q\" b":["x","yy"],"n":12,"s":{"t":"z"}}}"#;
        let mut places = Places::of(text);
        let at = |of: &[u8]| text.windows(of.len()).position(|window| window == of).unwrap();
        let mut path = |of: &[u8]| places.find(at(of)).path(text, |_| None);
        assert_eq!(path(b"x"), "/result/a \"q\" b/0");
        assert_eq!(path(b"yy"), "/result/a \"q\" b/1");
        assert_eq!(path(b"y\""), "/result/a \"q\" b/1", "the same string again");
        assert_eq!(path(b"12"), "/result/n");
        assert_eq!(path(b"z"), "/result/s/t");
        let place = Places::of(text).find(at(b"yy"));
        assert_eq!(place.pattern(text, |_| None), "/result/a \"q\" b/*");
        let key = |range: &Range<usize>| text.get(range.clone()).unwrap().starts_with(b"a");
        assert_eq!(
            place.path(text, |range| key(range).then(|| "[EMAIL]".to_owned())),
            "/result/[EMAIL]/1"
        );
        for cut in 0..text.len() {
            let _ = Places::of(text.get(..cut).unwrap()).find(text.len());
        }
    }
}
