//! The door: one pass that decides whether a text is JSON that may come in, and notes where the members of a message stand.
//! Must not know what a member means.

use super::marks::{BLOCK, Carry, Marks};
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
    let end = door.object(start, 1, &mut notes);
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

/// One pass over a text, from mark to mark. Each step takes the offset where something begins and gives the offset behind it;
/// what stands between two marks is white space or a value without a mark of its own, and is looked at as such.
struct Door<'a> {
    text: &'a [u8],
    depth_max: usize,
    members_max: usize,
    /// The marks of the block that are still ahead.
    marks: u64,
    /// Where that block begins.
    block: usize,
    carry: Carry,
    /// Whether a block with a backslash was seen: without, no key before needs to be looked at for escapes.
    escapes: bool,
    /// The backslash of a low surrogate that completes a pair.
    low_surrogate: Option<usize>,
    /// Why the pass stopped. Here and not in every step's result, which then fits into registers: a third of the whole cost.
    fault: Option<JsonError>,
}

const KEY: &str = "expected a key";
const COLON: &str = "expected `:`";
const BEHIND_MEMBER: &str = "expected `,` or `}`";
const BEHIND_ELEMENT: &str = "expected `,` or `]`";

/// Of the containers that are open, which are objects.
#[derive(Default)]
struct Levels {
    /// Whether the innermost is.
    is_object: bool,
    /// A bit a level.
    objects: [u64; Limits::DEPTH_CEILING / 64 + 1],
}

impl Levels {
    #[inline]
    fn enter(&mut self, depth: usize, is_object: bool) {
        self.is_object = is_object;
        if let Some(word) = self.objects.get_mut(depth / 64) {
            *word = *word & !(1 << (depth % 64)) | u64::from(is_object) << (depth % 64);
        }
    }

    /// Back to level `depth`.
    #[inline]
    fn leave(&mut self, depth: usize) {
        let word = self.objects.get(depth / 64).copied().unwrap_or_default();
        self.is_object = word >> (depth % 64) & 1 == 1;
    }
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
        let mut door = Self {
            text,
            depth_max: limits.depth_max.min(Limits::DEPTH_CEILING),
            members_max: limits.members_max,
            marks: 0,
            block: 0,
            carry: Carry::default(),
            escapes: false,
            low_surrogate: None,
            fault: None,
        };
        match door.look() {
            Ok(()) => Ok(door),
            Err(Stopped) => Err(door.why()),
        }
    }

    /// The next mark; at the text's end, where that is.
    #[inline]
    fn mark(&mut self) -> Step {
        while self.marks == 0 {
            self.block += BLOCK;
            if self.block >= self.text.len() {
                return Ok(self.text.len());
            }
            self.look()?;
        }
        let at = self.block + self.marks.trailing_zeros() as usize;
        self.marks &= self.marks - 1;
        Ok(at)
    }

    /// Finds the marks of the block that begins at [`Door::block`].
    #[inline(never)]
    fn look(&mut self) -> Result<(), Stopped> {
        let found = Marks::of(self.text, self.block / BLOCK, &mut self.carry);
        self.marks = found.structure;
        self.escapes |= found.escapes;
        let mut doubtful = found.doubtful;
        while doubtful != 0 {
            let bit = doubtful.trailing_zeros();
            doubtful &= doubtful - 1;
            self.no_plain_byte(self.block + bit as usize, found.escaped >> bit & 1 == 1)?;
        }
        Ok(())
    }

    fn why(&mut self) -> JsonError {
        self.fault.take().unwrap_or(JsonError::NotAnObject)
    }

    /// The next mark, with nothing but white space between `at` and it.
    #[inline]
    fn mark_behind(&mut self, at: usize, what: &'static str) -> Step {
        let mark = self.mark()?;
        if mark != at {
            let found = self.white_space(at);
            if found != mark {
                return Err(self.syntax(found, what));
            }
        }
        Ok(mark)
    }

    /// The end of the pass: nothing but white space may follow.
    fn leave(&mut self, end: Step) -> Result<(), JsonError> {
        let Ok(end) = end else {
            return Err(self.why());
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

    /// A value at `at`, inside `depth` containers. What is nested in it is walked in one loop: nothing is kept of a level but
    /// whether it is an object.
    fn value(&mut self, at: usize, depth: usize) -> Step {
        let floor = depth;
        let (mut at, mut depth) = (at, depth);
        let mut levels = Levels::default();
        loop {
            let mut end = match self.text.get(at) {
                Some(b'"') => {
                    self.mark()?;
                    self.string_end()?
                }
                Some(b'{') => {
                    depth += 1;
                    self.deeper(at, depth)?;
                    self.mark()?;
                    levels.enter(depth, true);
                    let mark = self.mark_behind(at + 1, KEY)?;
                    if self.text.get(mark) != Some(&b'}') {
                        (_, at) = self.key(mark)?;
                        continue;
                    }
                    depth -= 1;
                    levels.leave(depth);
                    mark + 1
                }
                Some(b'[') => {
                    depth += 1;
                    self.deeper(at, depth)?;
                    self.mark()?;
                    levels.enter(depth, false);
                    at = self.white_space(at + 1);
                    if self.text.get(at) != Some(&b']') {
                        continue;
                    }
                    self.mark()?;
                    depth -= 1;
                    levels.leave(depth);
                    at + 1
                }
                Some(b'-' | b'0'..=b'9') => self.number(at)?,
                Some(b't') => self.literal(at, b"true")?,
                Some(b'f') => self.literal(at, b"false")?,
                Some(b'n') => self.literal(at, b"null")?,
                Some(_) => return Err(self.syntax(at, "expected a value")),
                None => return Err(self.syntax(at, "the text ends where a value is expected")),
            };
            loop {
                if depth == floor {
                    return Ok(end);
                }
                let what = if levels.is_object {
                    BEHIND_MEMBER
                } else {
                    BEHIND_ELEMENT
                };
                let mark = self.mark_behind(end, what)?;
                match (self.text.get(mark), levels.is_object) {
                    (Some(b','), true) => {
                        let open = self.mark_behind(mark + 1, KEY)?;
                        (_, at) = self.key(open)?;
                        break;
                    }
                    (Some(b','), false) => {
                        at = self.white_space(mark + 1);
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        depth -= 1;
                        levels.leave(depth);
                        end = mark + 1;
                    }
                    _ => return Err(self.syntax(mark, what)),
                }
            }
        }
    }

    /// Behind the quote that ends the string whose opening quote was the last mark. What is inside was looked at when its block
    /// was.
    #[inline]
    fn string_end(&mut self) -> Step {
        let end = self.mark()?;
        match end < self.text.len() {
            true => Ok(end + 1),
            false => Err(self.syntax(end, "the text ends inside a string")),
        }
    }

    /// A key whose opening quote should be at the mark `open`: behind its closing quote, and where its value begins.
    #[inline]
    fn key(&mut self, open: usize) -> Result<(usize, usize), Stopped> {
        if self.text.get(open) != Some(&b'"') {
            return Err(self.syntax(open, KEY));
        }
        let end = self.string_end()?;
        let colon = self.mark_behind(end, COLON)?;
        match self.text.get(colon) {
            Some(b':') => Ok((end, self.white_space(colon + 1))),
            _ => Err(self.syntax(colon, COLON)),
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

    /// The object at `at`, at level `depth`, with notes of its members.
    fn object(&mut self, at: usize, depth: usize, notes: &mut Notes) -> Step {
        self.deeper(at, depth)?;
        self.mark()?;
        let mut open = self.mark_behind(at + 1, KEY)?;
        if self.text.get(open) == Some(&b'}') {
            return Ok(open + 1);
        }
        loop {
            let (key_end, start) = self.key(open)?;
            let end = self.noted(open + 1..key_end - 1, start, depth, notes)?;
            let mark = self.mark_behind(end, BEHIND_MEMBER)?;
            match self.text.get(mark) {
                Some(b',') => open = self.mark_behind(mark + 1, KEY)?,
                Some(b'}') => return Ok(mark + 1),
                _ => return Err(self.syntax(mark, BEHIND_MEMBER)),
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
        let (marks, block, carry, low_surrogate) = (self.marks, self.block, self.carry, self.low_surrogate);
        match self.object(at, depth + 1, &mut notes) {
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
                // The low surrogate, too: the first block that is looked at again may begin with the second half of a pair.
                (self.marks, self.block, self.carry, self.low_surrogate) = (marks, block, carry, low_surrogate);
                Ok((self.value(at, depth)?, None))
            }
            Err(Stopped) => Err(Stopped),
        }
    }

    /// A byte in a string that is a control character, or is escaped and no short escape: an escape of a code unit, or a fault.
    fn no_plain_byte(&mut self, at: usize, is_escaped: bool) -> Result<(), Stopped> {
        match (is_escaped, self.text.get(at)) {
            (true, Some(b'u')) => self.unicode_escape(at - 1),
            (true, _) => Err(self.syntax(at - 1, "unknown escape")),
            (false, _) => Err(self.syntax(at, "control character in a string")),
        }
    }

    /// `at` is the backslash of a `\u`.
    fn unicode_escape(&mut self, at: usize) -> Result<(), Stopped> {
        match self.unit(at)? {
            0xd800..=0xdbff => match self.text.get(at + 6..at + 8) {
                Some(b"\\u") if matches!(self.unit(at + 6)?, 0xdc00..=0xdfff) => {
                    self.low_surrogate = Some(at + 6);
                    Ok(())
                }
                _ => Err(self.stop(JsonError::LoneSurrogate { at })),
            },
            0xdc00..=0xdfff if self.low_surrogate != Some(at) => Err(self.stop(JsonError::LoneSurrogate { at })),
            _ => Ok(()),
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
