//! JSON as validated text. [`Raw`] is a slice of the received buffer that has passed the door: one value of RFC 8259, valid
//! UTF-8, no lone surrogate in any escape, no trailing byte, bounded depth. Readers walk it in place; nothing is built.
//!
//! An object that is *read* ([`Raw::members`]) also has no duplicate keys, compared after decoding: two parsers that pick
//! different members of one object would be a hole. What is only carried is not looked into that far.

mod door;
mod marks;

use crate::limits::Limits;
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

pub(crate) use door::{Noted, check_object};
use door::{check, hex4};

/// Why a text is not the JSON that the door accepts. Positions are byte offsets into the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not UTF-8 (RFC 8259 section 8.1).
    #[error("invalid UTF-8 at byte {at}")]
    Utf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Grammar of RFC 8259 violated.
    #[error("invalid JSON at byte {at}: {what}")]
    Syntax {
        /// Offset of the offending byte.
        at: usize,
        /// What was expected or found.
        what: &'static str,
    },
    /// A `\uD800`-`\uDFFF` escape without its other half: parsers disagree on what it means.
    #[error("lone surrogate in a string at byte {at}")]
    LoneSurrogate {
        /// Offset of the escape.
        at: usize,
    },
    /// Bytes after the value.
    #[error("trailing bytes after the JSON value at byte {at}")]
    Trailing {
        /// Offset of the first trailing byte.
        at: usize,
    },
    /// Nesting beyond [`Limits::depth_max`].
    #[error("nested deeper than {max} levels at byte {at}")]
    Depth {
        /// The limit.
        max: usize,
        /// Offset of the container that went too deep.
        at: usize,
    },
    /// The text is longer than [`Limits::message_bytes_max`].
    #[error("message of {bytes} bytes, at most {max} are accepted")]
    TooLong {
        /// Length of the text.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Two members of one object share a key.
    #[error("duplicate key `{key}`")]
    DuplicateKey {
        /// The decoded key, shortened to 64 characters.
        key: String,
    },
    /// More members than [`Limits::members_max`] in an object that is read.
    #[error("more than {max} members in one object")]
    TooManyMembers {
        /// The limit.
        max: usize,
    },
    /// An object was expected.
    #[error("expected an object")]
    NotAnObject,
}

/// The type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{...}`
    Object,
    /// `[...]`
    Array,
    /// `"..."`
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`
    Null,
}

/// One validated JSON value, white space around it trimmed, sharing the buffer it arrived in. Clone costs a reference count.
#[derive(Clone)]
pub struct Raw {
    text: Bytes,
    /// Where the pass that validated it noted them, the members of the object.
    index: Option<Arc<Index>>,
}

/// The members of an object, noted by the pass that validated it: `params` and `result` of a message are asked for several of
/// theirs, and a walk for each would cost more than the validation did.
#[derive(Debug)]
pub(crate) struct Index {
    /// By offsets into the object.
    members: Vec<Member>,
    /// Whether no two have the same key.
    is_distinct: bool,
    /// Whether no key is written with escapes. (False where nobody looked.)
    is_plain: bool,
    /// The members of `_meta`, the last of that name that is an object.
    inner: Option<Arc<Index>>,
}

impl Index {
    /// Where the value of the one member `key` stands.
    #[inline]
    fn place(&self, text: &[u8], key: &str) -> Option<Range<usize>> {
        if !self.is_plain || !self.is_distinct {
            return self.place_if_only(text, key);
        }
        // The length tells most keys apart, and costs less than to look at the text.
        let is_named =
            |member: &&Member| member.key.len() == key.len() && text.get(member.key.clone()) == Some(key.as_bytes());
        Some(self.members.iter().find(is_named)?.value.clone())
    }

    #[cold]
    fn place_if_only(&self, text: &[u8], key: &str) -> Option<Range<usize>> {
        let mut named = self.members.iter().filter(|member| is_key(text, &member.key, key));
        let only = named.next()?;
        named.next().is_none().then(|| only.value.clone())
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Raw {}

impl std::fmt::Debug for Raw {
    // Payloads may hold personal data; a log line must not.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raw({} bytes)", self.text.len())
    }
}

/// A member of an object: where its key and its value stand in the text that was walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Offsets of the key, quotes excluded, escapes as written.
    pub key: Range<usize>,
    /// Offsets of the value.
    pub value: Range<usize>,
}

impl Raw {
    /// Takes `text` through the door.
    ///
    /// # Errors
    /// Everything but [`JsonError::DuplicateKey`] and [`JsonError::TooManyMembers`], which only reading finds.
    pub fn parse(text: Bytes, limits: &Limits) -> Result<Self, JsonError> {
        let span = check(&text, limits)?;
        Ok(Self {
            text: text.slice(span),
            index: None,
        })
    }

    /// Validated JSON written by this program (an encoder of its own, or a constant).
    ///
    /// # Errors
    /// As [`Raw::parse`] with the default limits: a writer's bug surfaces here and not on the wire.
    pub fn own(text: impl Into<Bytes>) -> Result<Self, JsonError> {
        Self::parse(text.into(), &Limits::default())
    }

    /// The slice `range` of a text that was validated as a whole; `range` must be a value's range as a walk reported it.
    pub(crate) fn slice_of(text: &Bytes, range: Range<usize>) -> Self {
        Self {
            text: text.slice(range),
            index: None,
        }
    }

    /// The same for an object whose members were noted, by offsets into the object.
    pub(crate) fn indexed(text: &Bytes, range: Range<usize>, index: Option<Arc<Index>>) -> Self {
        Self {
            text: text.slice(range),
            index,
        }
    }

    /// The text of the value.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The text of the value, sharing the buffer.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.text.clone()
    }

    /// The text of the value. UTF-8 was checked at the door.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str(&self.text)
    }

    /// The type of the value.
    #[must_use]
    pub fn kind(&self) -> Kind {
        kind(&self.text)
    }

    /// The members of an object, in order.
    ///
    /// # Errors
    /// [`JsonError::NotAnObject`], [`JsonError::DuplicateKey`], [`JsonError::TooManyMembers`].
    pub fn members(&self) -> Result<Vec<Member>, JsonError> {
        match &self.index {
            Some(index) => {
                self.distinct(index)?;
                Ok(index.members.clone())
            }
            None => members(&self.text, 0),
        }
    }

    /// Whether the value is an object that may be read.
    ///
    /// # Errors
    /// As [`Raw::members`].
    pub fn check_members(&self) -> Result<(), JsonError> {
        match &self.index {
            Some(index) => self.distinct(index),
            None => members(&self.text, 0).map(drop),
        }
    }

    fn distinct(&self, index: &Index) -> Result<(), JsonError> {
        match index.is_distinct {
            true => Ok(()),
            false => distinct(&self.text, &index.members, true),
        }
    }

    /// The value at `key` of an object; `None` when it is no object, has no such member, or has duplicate keys (callers that
    /// must tell these apart use [`Raw::members`]).
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Self> {
        let range = self.place(key)?;
        let index = match (key, &self.index) {
            ("_meta", Some(index)) => index.inner.clone(),
            _ => None,
        };
        Some(Self::indexed(&self.text, range, index))
    }

    /// Where that value stands, by offsets into [`Raw::as_bytes`].
    #[must_use]
    pub fn place(&self, key: &str) -> Option<Range<usize>> {
        match &self.index {
            Some(index) => index.place(&self.text, key),
            None => find(&self.text, key),
        }
    }

    /// Whether [`Raw::get`] would find a value at `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// Whether the value that [`Raw::get`] would find at `key` is written as `text`.
    #[must_use]
    pub fn says(&self, key: &str, text: &[u8]) -> bool {
        self.place(key).and_then(|place| self.text.get(place)) == Some(text)
    }

    /// The type of the value that [`Raw::get`] would find at `key`.
    #[must_use]
    pub fn kind_of(&self, key: &str) -> Option<Kind> {
        let place = self.place(key)?;
        Some(kind(self.text.get(place)?))
    }

    /// [`Raw::get`] along a path of keys.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<Self> {
        let mut here = self.clone();
        for key in path {
            here = here.get(key)?;
        }
        Some(here)
    }

    /// The elements of an array, in order; empty when it is none.
    #[must_use]
    pub fn elements(&self) -> Vec<Self> {
        elements(&self.text)
            .into_iter()
            .map(|range| Self::slice_of(&self.text, range))
            .collect()
    }

    /// The decoded string, if the value is one. Borrowed when there is no escape.
    #[must_use]
    pub fn as_string(&self) -> Option<Cow<'_, str>> {
        string_of(&self.text)
    }

    /// The number, if the value is an integer in range.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if self.kind() != Kind::Number {
            return None;
        }
        self.as_str().parse().ok()
    }

    /// The boolean, if the value is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_bytes() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// Refuses duplicate keys in every object at any depth: for payloads that a stage reads as a whole.
    ///
    /// # Errors
    /// [`JsonError::DuplicateKey`], [`JsonError::TooManyMembers`].
    pub fn refuse_duplicates(&self) -> Result<(), JsonError> {
        refuse_duplicates(&self.text, 0).map(|_| ())
    }
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut start = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => b"",
            _ => continue,
        };
        out.extend_from_slice(bytes.get(start..at).unwrap_or_default());
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape);
        }
        start = at + 1;
    }
    out.extend_from_slice(bytes.get(start..).unwrap_or_default());
    out.push(b'"');
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}

// ---- walking text that has passed the door -------------------------------------------------------------------------

#[inline]
fn white_space(text: &[u8], mut at: usize) -> usize {
    // Mostly there is none, which one comparison tells.
    while let Some(byte @ ..=b' ') = text.get(at)
        && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
    {
        at += 1;
    }
    at
}

/// UTF-8 was checked at the door; were it not, the empty string is a refusal further on and never undefined behaviour.
fn str(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

pub(crate) fn kind(text: &[u8]) -> Kind {
    match text.first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

/// The decoded string, if the value `text` is one.
pub(crate) fn string_of(text: &[u8]) -> Option<Cow<'_, str>> {
    text.strip_prefix(b"\"")?.strip_suffix(b"\"").map(decode)
}

/// The offset behind the string whose opening quote is at `at`.
fn skip_string(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        match memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
            Some(step) if text.get(at + step) == Some(&b'"') => return at + step + 1,
            Some(step) => at += step + 2,
            None => return text.len(),
        }
    }
}

/// The offset behind the value that starts at `at`.
fn skip(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'{' | b'[') => {
            let mut depth = 0usize;
            let mut at = at;
            loop {
                match text.get(at) {
                    Some(b'"') => {
                        at = skip_string(text, at);
                        continue;
                    }
                    Some(b'{' | b'[') => depth += 1,
                    Some(b'}' | b']') => {
                        depth -= 1;
                        if depth == 0 {
                            return at + 1;
                        }
                    }
                    Some(_) => {}
                    None => return text.len(),
                }
                at += 1;
            }
        }
        _ => {
            let mut at = at;
            while !matches!(
                text.get(at),
                None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
            ) {
                at += 1;
            }
            at
        }
    }
}

/// Walks the object at `at`, calling `visit` for each member until it says stop; `None` when there is no object there.
fn walk(text: &[u8], at: usize, mut visit: impl FnMut(Member) -> std::ops::ControlFlow<()>) -> Option<()> {
    if text.get(at) != Some(&b'{') {
        return None;
    }
    let mut at = white_space(text, at + 1);
    while text.get(at) == Some(&b'"') {
        let key_end = skip_string(text, at);
        let key = at + 1..key_end - 1;
        let colon = white_space(text, key_end);
        let start = white_space(text, colon + 1);
        let end = skip(text, start);
        if visit(Member { key, value: start..end }).is_break() {
            return Some(());
        }
        at = white_space(text, end);
        if text.get(at) != Some(&b',') {
            return Some(());
        }
        at = white_space(text, at + 1);
    }
    Some(())
}

/// The members of the object at `at` of a validated text.
///
/// # Errors
/// As [`Raw::members`].
pub(crate) fn members(text: &[u8], at: usize) -> Result<Vec<Member>, JsonError> {
    let max = Limits::default().members_max;
    let mut found = Vec::with_capacity(8);
    walk(text, at, |member| {
        found.push(member);
        match found.len() > max {
            true => std::ops::ControlFlow::Break(()),
            false => std::ops::ControlFlow::Continue(()),
        }
    })
    .ok_or(JsonError::NotAnObject)?;
    if found.len() > max {
        return Err(JsonError::TooManyMembers { max });
    }
    distinct(text, &found, true)?;
    Ok(found)
}

/// The value of the one member named `key`; `None` also when the object has duplicates of it.
#[inline(never)]
fn find(text: &[u8], key: &str) -> Option<Range<usize>> {
    let mut found = None;
    let mut twice = false;
    walk(text, 0, |member| {
        if is_key(text, &member.key, key) {
            twice |= found.replace(member.value).is_some();
        }
        std::ops::ControlFlow::Continue(())
    })?;
    found.filter(|_| !twice)
}

/// Whether the key that stands at `range`, escapes decoded, is `key`.
pub(crate) fn is_key(text: &[u8], range: &Range<usize>, key: &str) -> bool {
    let written = text.get(range.clone()).unwrap_or_default();
    match written.len().cmp(&key.len()) {
        // An escape is longer than what it stands for.
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => written == key.as_bytes() && !written.contains(&b'\\'),
        std::cmp::Ordering::Greater => written.contains(&b'\\') && decode(written) == key,
    }
}

fn elements(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if text.first() != Some(&b'[') {
        return found;
    }
    let mut at = white_space(text, 1);
    while !matches!(text.get(at), None | Some(b']')) {
        let end = skip(text, at);
        found.push(at..end);
        at = white_space(text, end);
        if text.get(at) != Some(&b',') {
            break;
        }
        at = white_space(text, at + 1);
    }
    found
}

/// `escapes` is false where it is known that no key is written with any.
fn distinct(text: &[u8], members: &[Member], escapes: bool) -> Result<(), JsonError> {
    let key = |member: &Member| text.get(member.key.clone()).unwrap_or_default();
    let duplicate = |key: &[u8]| JsonError::DuplicateKey {
        key: decode(key).chars().take(64).collect(),
    };
    // A handful of members is the rule: compare pairwise there, hash only wide objects.
    let is_plain = || !escapes || !members.iter().any(|member| key(member).contains(&b'\\'));
    if members.len() <= 12 && is_plain() {
        // The length tells most keys apart, and costs less than to look at the text.
        let mut lengths = 0_u64;
        for (index, member) in members.iter().enumerate() {
            let length = 1 << (member.key.len() % 64);
            if lengths & length != 0 && members.iter().take(index).any(|other| key(other) == key(member)) {
                return Err(duplicate(key(member)));
            }
            lengths |= length;
        }
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(members.len());
    for member in members {
        if !seen.insert(decode(key(member))) {
            return Err(duplicate(key(member)));
        }
    }
    Ok(())
}

/// Looks into every object of the value at `at` of a validated text and returns the offset behind the value. Each byte is
/// walked once, whatever the nesting; the recursion is bounded by the door's depth.
fn refuse_duplicates(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let close = match text.get(at) {
        Some(b'{') => b'}',
        Some(b'[') => b']',
        _ => return Ok(skip(text, at)),
    };
    let max = Limits::default().members_max;
    let mut found = Vec::new();
    let mut at = white_space(text, at + 1);
    while let Some(byte) = text.get(at).filter(|byte| **byte != close) {
        let mut start = at;
        if close == b'}' && *byte == b'"' {
            let key_end = skip_string(text, at);
            let colon = white_space(text, key_end);
            start = white_space(text, colon + 1);
            if found.len() == max {
                return Err(JsonError::TooManyMembers { max });
            }
            found.push(Member {
                key: at + 1..key_end - 1,
                value: start..start,
            });
        }
        at = white_space(text, refuse_duplicates(text, start)?);
        if text.get(at) != Some(&b',') {
            break;
        }
        at = white_space(text, at + 1);
    }
    distinct(text, &found, true)?;
    Ok(at + 1)
}

/// Decodes the inside of a validated JSON string.
pub(crate) fn decode(inner: &[u8]) -> Cow<'_, str> {
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(str(inner));
    }
    let text = str(inner);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at..).unwrap_or_default();
        let (character, used) = decode_escape(escape);
        out.push(character);
        rest = escape.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn decode_escape(escape: &str) -> (char, usize) {
    let bytes = escape.as_bytes();
    let unit = |at: usize| bytes.get(at..at + 4).and_then(hex4).unwrap_or(0xfffd);
    match bytes.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => match unit(2) {
            high @ 0xd800..=0xdbff => {
                let low = unit(8).wrapping_sub(0xdc00) & 0x3ff;
                let scalar = 0x10000 + ((high - 0xd800) << 10) + low;
                (char::from_u32(scalar).unwrap_or('\u{fffd}'), 12)
            }
            scalar => (char::from_u32(scalar).unwrap_or('\u{fffd}'), 6),
        },
        Some(other) => (*other as char, 2),
        None => ('\u{fffd}', 1),
    }
}

/// Where the value of the one member `key` of the object at `object` stands in a validated text; `None` when it is absent.
///
/// # Errors
/// [`JsonError::NotAnObject`], and [`JsonError::DuplicateKey`] when `key` is there twice.
pub fn member(text: &[u8], object: usize, key: &str) -> Result<Option<Range<usize>>, JsonError> {
    let mut found = None;
    let mut twice = false;
    walk(text, object, |member| {
        if is_key(text, &member.key, key) {
            twice |= found.replace(member.value).is_some();
        }
        std::ops::ControlFlow::Continue(())
    })
    .ok_or(JsonError::NotAnObject)?;
    match twice {
        true => Err(JsonError::DuplicateKey { key: key.to_owned() }),
        false => Ok(found),
    }
}
