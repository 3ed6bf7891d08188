//! The door: one pass that decides whether a text is JSON that may come in, and notes where the members of a message stand.
//! Must not know what a member means.

use super::stops::{BLOCK, Stops};
use super::{Index, JsonError, Member, distinct, white_space};
use crate::limits::Limits;
use std::ops::Range;
use std::sync::Arc;

/// Checks `text` whole and returns where its value stands.
pub(super) fn check(text: &[u8], limits: &Limits) -> Result<Range<usize>, JsonError> {
    let mut door = Door::new(text, limits)?;
    let start = door.white_space(0);
    let end = door.value(start, 0);
    door.leave(end)?;
    Ok(start..end.unwrap_or(start))
}

/// What the pass over a message noted.
pub(crate) struct Noted {
    /// The members of the message.
    pub(crate) members: Vec<Member>,
    /// Where its `params` or `result`, the last of them, begins, and the members of that; `None` where it is no object or has
    /// too many.
    pub(crate) inner: Option<(usize, Arc<Index>)>,
}

/// Checks `text` whole, as [`Raw::parse`] does, and returns the members of the object it must be, found in the same pass.
///
/// # Errors
/// As [`Raw::parse`] and [`Raw::members`].
pub(crate) fn check_object(text: &[u8], limits: &Limits) -> Result<Noted, JsonError> {
    let mut door = Door::new(text, limits)?;
    let start = door.white_space(0);
    if text.get(start) != Some(&b'{') {
        // Bad JSON and good JSON of another type get different errors.
        let end = door.value(start, 0);
        door.leave(end)?;
        return Err(JsonError::NotAnObject);
    }
    let mut notes = Notes::of(&["params", "result"]);
    let end = door.object(start, 1, Some(&mut notes));
    door.leave(end)?;
    distinct(text, &notes.members, door.escapes)?;
    Ok(Noted {
        members: notes.members,
        inner: notes.inner,
    })
}

/// What is noted of one object.
struct Notes {
    members: Vec<Member>,
    /// The members whose own members are noted too.
    looked_into: &'static [&'static str],
    /// Where the last of them begins, and those.
    inner: Option<(usize, Arc<Index>)>,
}

impl Notes {
    fn of(looked_into: &'static [&'static str]) -> Self {
        Self {
            members: Vec::with_capacity(8),
            looked_into,
            inner: None,
        }
    }
}

/// One pass over a text. Each step takes the offset where something begins and gives the offset behind it.
struct Door<'a> {
    text: &'a [u8],
    depth_max: usize,
    members_max: usize,
    /// Those of the block that was looked at last.
    stops: Stops,
    /// Whether a block with a backslash was seen: without, no key before needs to be looked at for escapes.
    escapes: bool,
    /// Why the pass stopped. Here and not in every step's result, which then fits into registers: a third of the whole cost.
    fault: Option<JsonError>,
}

/// The pass stopped; [`Door::fault`] says why.
#[derive(Clone, Copy)]
struct Stopped;

type Step = Result<usize, Stopped>;

impl<'a> Door<'a> {
    fn new(text: &'a [u8], limits: &Limits) -> Result<Self, JsonError> {
        if text.len() > limits.message_bytes_max {
            return Err(JsonError::TooLong {
                bytes: text.len(),
                max: limits.message_bytes_max,
            });
        }
        simdutf8::compat::from_utf8(text).map_err(|error| JsonError::Utf8 {
            at: error.valid_up_to(),
        })?;
        Ok(Self {
            text,
            depth_max: limits.depth_max.min(Limits::DEPTH_CEILING),
            members_max: limits.members_max,
            stops: Stops::NONE,
            escapes: false,
            fault: None,
        })
    }

    /// The end of the pass: nothing but white space may follow.
    fn leave(&mut self, end: Step) -> Result<(), JsonError> {
        let Ok(end) = end else {
            return Err(self.fault.take().unwrap_or(JsonError::NotAnObject));
        };
        let at = self.white_space(end);
        match self.text.get(at) {
            None => Ok(()),
            Some(_) => Err(JsonError::Trailing { at }),
        }
    }

    #[cold]
    fn stop(&mut self, fault: JsonError) -> Stopped {
        self.fault = Some(fault);
        Stopped
    }

    #[cold]
    fn syntax(&mut self, at: usize, what: &'static str) -> Stopped {
        self.stop(JsonError::Syntax { at, what })
    }

    fn white_space(&self, at: usize) -> usize {
        white_space(self.text, at)
    }

    fn value(&mut self, at: usize, depth: usize) -> Step {
        match self.text.get(at) {
            Some(b'"') => self.string(at),
            Some(b'{') => self.object(at, depth + 1, None),
            Some(b'[') => self.array(at, depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number(at),
            Some(b't') => self.literal(at, b"true"),
            Some(b'f') => self.literal(at, b"false"),
            Some(b'n') => self.literal(at, b"null"),
            Some(_) => Err(self.syntax(at, "expected a value")),
            None => Err(self.syntax(at, "the text ends where a value is expected")),
        }
    }

    fn deeper(&mut self, at: usize, depth: usize) -> Result<(), Stopped> {
        if depth > self.depth_max {
            return Err(self.stop(JsonError::Depth {
                max: self.depth_max,
                at,
            }));
        }
        Ok(())
    }

    fn object(&mut self, at: usize, depth: usize, mut notes: Option<&mut Notes>) -> Step {
        self.deeper(at, depth)?;
        let mut at = self.white_space(at + 1);
        if self.text.get(at) == Some(&b'}') {
            return Ok(at + 1);
        }
        loop {
            if self.text.get(at) != Some(&b'"') {
                return Err(self.syntax(at, "expected a key"));
            }
            let key_end = self.string(at)?;
            let key = at + 1..key_end - 1;
            at = self.white_space(key_end);
            if self.text.get(at) != Some(&b':') {
                return Err(self.syntax(at, "expected `:`"));
            }
            let start = self.white_space(at + 1);
            let end = match notes.as_deref_mut() {
                None => self.value(start, depth)?,
                Some(notes) => self.noted(key, start, depth, notes)?,
            };
            at = self.white_space(end);
            match self.text.get(at) {
                Some(b',') => at = self.white_space(at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return Err(self.syntax(at, "expected `,` or `}`")),
            }
        }
    }

    /// The value at `at` of the member `key`, which is noted.
    fn noted(&mut self, key: Range<usize>, at: usize, depth: usize, notes: &mut Notes) -> Step {
        let name = self.text.get(key.clone()).unwrap_or_default();
        let end = match notes.looked_into.iter().any(|known| known.as_bytes() == name) {
            false => self.value(at, depth)?,
            true => {
                let (end, inner) = self.looked_into(at, depth)?;
                notes.inner = inner.map(|index| (at, index));
                end
            }
        };
        if notes.members.len() == self.members_max {
            return Err(self.stop(JsonError::TooManyMembers { max: self.members_max }));
        }
        notes.members.push(Member { key, value: at..end });
        Ok(end)
    }

    /// A value with its members, if it is an object. One with too many is left to whoever walks it.
    fn looked_into(&mut self, at: usize, depth: usize) -> Result<(usize, Option<Arc<Index>>), Stopped> {
        if self.text.get(at) != Some(&b'{') {
            return Ok((self.value(at, depth)?, None));
        }
        let mut notes = Notes::of(if depth == 1 { &["_meta"] } else { &[] });
        match self.object(at, depth + 1, Some(&mut notes)) {
            Ok(end) => {
                let is_distinct = distinct(self.text, &notes.members, self.escapes).is_ok();
                for member in &mut notes.members {
                    member.key = member.key.start - at..member.key.end - at;
                    member.value = member.value.start - at..member.value.end - at;
                }
                let index = Index {
                    members: notes.members,
                    is_distinct,
                    is_plain: !self.escapes,
                    inner: notes.inner.map(|(_, index)| index),
                };
                Ok((end, Some(Arc::new(index))))
            }
            Err(Stopped) if matches!(self.fault, Some(JsonError::TooManyMembers { .. })) => {
                self.fault = None;
                Ok((self.value(at, depth)?, None))
            }
            Err(Stopped) => Err(Stopped),
        }
    }

    fn array(&mut self, at: usize, depth: usize) -> Step {
        self.deeper(at, depth)?;
        let mut at = self.white_space(at + 1);
        if self.text.get(at) == Some(&b']') {
            return Ok(at + 1);
        }
        loop {
            let end = self.value(at, depth)?;
            at = self.white_space(end);
            match self.text.get(at) {
                Some(b',') => at = self.white_space(at + 1),
                Some(b']') => return Ok(at + 1),
                _ => return Err(self.syntax(at, "expected `,` or `]`")),
            }
        }
    }

    /// `at` is the opening quote; gives the offset behind the closing one.
    fn string(&mut self, at: usize) -> Step {
        let mut at = at + 1;
        if self.stops.index != at / BLOCK {
            self.look(at / BLOCK, false);
        }
        loop {
            let left = self.stops.at >> (at % BLOCK);
            if left == 0 {
                self.next_block();
                at = self.stops.index * BLOCK;
                continue;
            }
            at += left.trailing_zeros() as usize;
            if self.text.get(at) == Some(&b'"') {
                return Ok(at + 1);
            }
            at = self.no_plain_byte(at)?;
            // An escape of several bytes may end in the next block, or right behind this one.
            if at / BLOCK != self.stops.index {
                self.next_block();
            }
        }
    }

    fn next_block(&mut self) {
        self.look(self.stops.index + 1, self.stops.escapes_next);
    }

    fn look(&mut self, index: usize, is_escaped: bool) {
        self.stops = Stops::of(self.text, index, is_escaped);
        self.escapes |= self.stops.escapes;
    }

    /// What stands at a stop that is no quote: an escape of a code unit, behind which the string goes on, or a fault.
    fn no_plain_byte(&mut self, at: usize) -> Step {
        let is_escaped = self.stops.escaped >> (at % BLOCK) & 1 == 1;
        match (is_escaped, self.text.get(at)) {
            (true, Some(b'u')) => self.unicode_escape(at - 1),
            (true, _) => Err(self.syntax(at - 1, "unknown escape")),
            (false, Some(_)) => Err(self.syntax(at, "control character in a string")),
            (false, None) => Err(self.syntax(at, "the text ends inside a string")),
        }
    }

    /// `at` is the backslash of a `\u`; gives the offset behind the escape, or behind the two of a pair.
    fn unicode_escape(&mut self, at: usize) -> Step {
        match self.unit(at)? {
            0xd800..=0xdbff => match self.text.get(at + 6..at + 8) {
                Some(b"\\u") if matches!(self.unit(at + 6)?, 0xdc00..=0xdfff) => Ok(at + 12),
                _ => Err(self.stop(JsonError::LoneSurrogate { at })),
            },
            0xdc00..=0xdfff => Err(self.stop(JsonError::LoneSurrogate { at })),
            _ => Ok(at + 6),
        }
    }

    /// The code unit of the `\uXXXX` that starts at `at`.
    fn unit(&mut self, at: usize) -> Result<u32, Stopped> {
        match self.text.get(at + 2..at + 6).and_then(hex4) {
            Some(unit) => Ok(unit),
            None => Err(self.syntax(at, "expected four hexadecimal digits after `\\u`")),
        }
    }

    fn number(&mut self, at: usize) -> Step {
        let mut at = at;
        if self.text.get(at) == Some(&b'-') {
            at += 1;
        }
        at = match self.text.get(at) {
            Some(b'0') => at + 1,
            Some(b'1'..=b'9') => digits(self.text, at),
            _ => return Err(self.syntax(at, "expected a digit")),
        };
        if self.text.get(at) == Some(&b'.') {
            at = self.some_digits(at + 1)?;
        }
        if matches!(self.text.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(self.text.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            at = self.some_digits(at)?;
        }
        Ok(at)
    }

    fn some_digits(&mut self, at: usize) -> Step {
        let end = digits(self.text, at);
        if end == at {
            return Err(self.syntax(at, "expected a digit"));
        }
        Ok(end)
    }

    fn literal(&mut self, at: usize, word: &'static [u8]) -> Step {
        let end = at + word.len();
        match self.text.get(at..end) == Some(word) {
            true => Ok(end),
            false => Err(self.syntax(at, "expected a value")),
        }
    }
}

fn digits(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b'0'..=b'9')) {
        at += 1;
    }
    at
}

pub(super) fn hex4(digits: &[u8]) -> Option<u32> {
    let mut unit = 0;
    for digit in digits {
        unit = unit * 16 + (*digit as char).to_digit(16)?;
    }
    Some(unit)
}
