//! The door: one pass that decides whether a text is JSON that may come in, and notes where the members of a message stand.
//! Must not know what a member means.

use super::marks::{self, BLOCK, BLOCKS, Blocks, Carry, Marks};
use super::{Index, JsonError, Member, distinct};
use crate::limits::Limits;
use fearless_simd::Level;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

/// Checks `text` whole and returns where its value stands.
pub(super) fn check(text: &[u8], limits: &Limits) -> Result<Range<usize>, JsonError> {
    admit(text, limits)?;
    let last = marks::last_block(text);
    let mut door = Door::new(text, &last, limits);
    let first = door.next();
    let value = door.value(first, 0);
    door.leave(value)?;
    Ok(first.at..door.end_before(text.len()))
}

/// What the pass over a message noted.
pub(crate) struct Noted {
    /// The members of the message.
    pub(crate) members: Vec<Member>,
    /// Where its `params` or `result` begins, the last of them that is an object, and the members of that; `None` where there
    /// is none or it has too many.
    pub(crate) inner: Option<(usize, Arc<Index>)>,
    /// Whether no key of the message is written with escapes.
    pub(crate) is_plain: bool,
}

/// Checks `text` whole, as [`Raw::parse`] does, and returns the members of the object it must be, found in the same pass.
///
/// # Errors
/// As [`Raw::parse`] and [`Raw::members`].
pub(crate) fn check_object(text: &[u8], limits: &Limits) -> Result<Noted, JsonError> {
    admit(text, limits)?;
    let last = marks::last_block(text);
    let mut door = Door::new(text, &last, limits);
    let first = door.next();
    if first.byte != b'{' {
        // Bad JSON and good JSON of another type get different errors.
        let value = door.value(first, 0);
        door.leave(value)?;
        return Err(JsonError::NotAnObject);
    }
    let mut notes = Notes::of(&["params", "result"]);
    let object = door.object(first.at, 1, &mut notes);
    door.leave(object)?;
    if notes.is_over {
        return Err(JsonError::TooManyMembers { max: door.members_max });
    }
    distinct(text, &notes.members, !notes.is_plain)?;
    Ok(Noted {
        members: notes.members,
        inner: notes.inner,
        is_plain: notes.is_plain,
    })
}

/// What is asked of a text as a whole.
fn admit(text: &[u8], limits: &Limits) -> Result<(), JsonError> {
    if text.len() > limits.message_bytes_max {
        return Err(JsonError::TooLong {
            bytes: text.len(),
            max: limits.message_bytes_max,
        });
    }
    simdutf8::compat::from_utf8(text).map_err(|error| JsonError::Utf8 {
        at: error.valid_up_to(),
    })?;
    Ok(())
}

/// What is noted of one object.
struct Notes {
    members: Vec<Member>,
    /// Whether there were more than may be.
    is_over: bool,
    /// Whether no key is written with escapes.
    is_plain: bool,
    /// The members whose own members are noted too.
    looked_into: &'static [&'static str],
    /// Where the last of them that is an object begins, and those.
    inner: Option<(usize, Arc<Index>)>,
}

impl Notes {
    fn of(looked_into: &'static [&'static str]) -> Self {
        Self {
            members: Vec::with_capacity(8),
            is_over: false,
            is_plain: true,
            looked_into,
            inner: None,
        }
    }
}

/// Where a token begins, and with which byte: of the text's end, the offset and none of JSON's.
#[derive(Clone, Copy)]
struct Token {
    at: usize,
    byte: u8,
}

/// Where the pass is.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    /// The tokens of the block that are still ahead.
    tokens: u64,
    /// That block.
    bytes: &'a [u8; BLOCK],
    /// Where it begins.
    block: usize,
}

/// One pass over a text, from token to token. Strings were looked at when their block was, and what stands between a token and
/// the next is white space: only numbers and words remain to be read.
struct Door<'a> {
    text: &'a [u8],
    blocks: Blocks<'a>,
    depth_max: usize,
    members_max: usize,
    level: Level,
    ahead: Ahead<'a>,
    /// What was found in the run of blocks that is looked at.
    found: [Marks; BLOCKS],
    carry: Carry,
    /// Of the containers that are open, by level: the brackets that close them.
    levels: [u8; Limits::DEPTH_CEILING + 1],
    /// The backslash of a low surrogate that completes a pair.
    low_surrogate: Option<usize>,
    /// Why the pass stopped. Here and not in every step's result, which then fits into registers: a third of the whole cost.
    fault: Option<JsonError>,
}

const KEY: &str = "expected a key";
const COLON: &str = "expected `:`";
const BEHIND_MEMBER: &str = "expected `,` or `}`";
const BEHIND_ELEMENT: &str = "expected `,` or `]`";

/// The pass stopped; [`Door::fault`] says why.
#[derive(Clone, Copy)]
struct Stopped;

type Step = Result<(), Stopped>;

impl<'a> Door<'a> {
    /// `last` is [`marks::last_block`] of `text`.
    fn new(text: &'a [u8], last: &'a [u8; BLOCK], limits: &Limits) -> Self {
        Self {
            text,
            blocks: Blocks::of(text, last),
            depth_max: limits.depth_max.min(Limits::DEPTH_CEILING),
            members_max: limits.members_max,
            level: Level::new(),
            // The first turn leads to the first block.
            ahead: Ahead {
                tokens: 0,
                bytes: last,
                block: 0_usize.wrapping_sub(BLOCK),
            },
            found: [Marks::default(); BLOCKS],
            carry: Carry::default(),
            levels: [0; _],
            low_surrogate: None,
            fault: None,
        }
    }

    /// The next token; the text's end also where a string held a fault. Nothing may be asked for behind the end.
    #[inline(always)]
    fn next(&mut self) -> Token {
        let mut ahead = self.ahead;
        let token = self.next_of(&mut ahead);
        self.ahead = ahead;
        token
    }

    /// The same for a loop that keeps in registers where it is.
    #[inline(always)]
    fn next_of(&mut self, ahead: &mut Ahead<'a>) -> Token {
        if ahead.tokens == 0 {
            *ahead = self.turn(*ahead);
        }
        let Some(tokens) = NonZeroU64::new(ahead.tokens) else {
            return Token {
                at: self.text.len(),
                byte: 0,
            };
        };
        let bit = tokens.trailing_zeros() as usize;
        ahead.tokens &= ahead.tokens - 1;
        Token {
            at: ahead.block + bit,
            byte: ahead.bytes.get(bit).copied().unwrap_or_default(),
        }
    }

    /// On to the next block with a token; none is ahead where there is no such block.
    #[inline(never)]
    fn turn(&mut self, ahead: Ahead<'a>) -> Ahead<'a> {
        let mut block = ahead.block;
        loop {
            block = block.wrapping_add(BLOCK);
            let index = block / BLOCK;
            let Some(bytes) = self.blocks.get(index) else {
                return Ahead { block, ..ahead };
            };
            if index.is_multiple_of(BLOCKS) && self.look(index).is_err() {
                return Ahead { block, ..ahead };
            }
            let tokens = self.found.get(index % BLOCKS).map_or(0, |marks| marks.tokens);
            if tokens != 0 {
                return Ahead { tokens, bytes, block };
            }
        }
    }

    /// Finds the marks of the run of blocks that begins with block `first`.
    #[inline(never)]
    fn look(&mut self, first: usize) -> Step {
        match marks::look(self.level, self.blocks, first, &mut self.carry, &mut self.found) {
            true => self.doubtful(first),
            false => Ok(()),
        }
    }

    /// Looks at the doubtful bytes of the run of blocks that begins with block `first`.
    #[inline(never)]
    fn doubtful(&mut self, first: usize) -> Step {
        // Where the text ends in this run, what is left of the run before stands behind it.
        let count = self.text.len().div_ceil(BLOCK) - first;
        let found = self.found;
        for (index, marks) in found.iter().take(count).enumerate() {
            let mut doubtful = marks.doubtful;
            while doubtful != 0 {
                let bit = doubtful.trailing_zeros();
                doubtful &= doubtful - 1;
                let at = (first + index) * BLOCK + bit as usize;
                self.no_plain_byte(at, marks.escaped >> bit & 1 == 1)?;
            }
        }
        Ok(())
    }

    fn why(&mut self) -> JsonError {
        self.fault.take().unwrap_or(JsonError::NotAnObject)
    }

    /// Behind the last byte before `at` that is no white space.
    #[inline]
    fn end_before(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        before.trim_ascii_end().len()
    }

    /// The end of the pass: nothing may follow.
    fn leave(&mut self, value: Step) -> Result<(), JsonError> {
        let end = match value {
            Ok(()) => self.next(),
            Err(Stopped) => return Err(self.why()),
        };
        if end.at < self.text.len() {
            return Err(JsonError::Trailing { at: end.at });
        }
        if self.fault.is_some() || self.carry.in_string() {
            self.syntax(end.at, BEHIND_MEMBER);
            return Err(self.why());
        }
        Ok(())
    }

    /// The first fault is the one that is told.
    #[cold]
    fn stop(&mut self, fault: JsonError) -> Stopped {
        self.fault.get_or_insert(fault);
        Stopped
    }

    #[cold]
    fn syntax(&mut self, at: usize, what: &'static str) -> Stopped {
        let what = match at >= self.text.len() && self.carry.in_string() {
            true => "the text ends inside a string",
            false => what,
        };
        self.stop(JsonError::Syntax { at, what })
    }

    /// The value whose first token is `token`, inside `depth` containers. What is nested in it is walked in one loop: nothing is
    /// kept of a level but what closes it.
    fn value(&mut self, token: Token, depth: usize) -> Step {
        let floor = depth;
        let (mut token, mut depth) = (token, depth);
        let mut close = 0;
        let mut ahead = self.ahead;
        loop {
            match token.byte {
                b'"' => {}
                b'0'..=b'9' => self.number(token.at)?,
                b'{' => {
                    depth += 1;
                    self.deeper(token.at, depth)?;
                    let first = self.next_of(&mut ahead);
                    if first.byte != b'}' {
                        close = b'}';
                        self.enter(depth, close);
                        self.colon(&mut ahead, first)?;
                        token = self.next_of(&mut ahead);
                        continue;
                    }
                    depth -= 1;
                }
                b'[' => {
                    depth += 1;
                    self.deeper(token.at, depth)?;
                    token = self.next_of(&mut ahead);
                    if token.byte != b']' {
                        close = b']';
                        self.enter(depth, close);
                        continue;
                    }
                    depth -= 1;
                }
                _ => self.word(token)?,
            }
            loop {
                if depth == floor {
                    self.ahead = ahead;
                    return Ok(());
                }
                let behind = self.next_of(&mut ahead);
                if behind.byte == b',' {
                    token = self.next_of(&mut ahead);
                    if close == b'}' {
                        self.colon(&mut ahead, token)?;
                        token = self.next_of(&mut ahead);
                    }
                    break;
                }
                if behind.byte != close {
                    let what = if close == b'}' { BEHIND_MEMBER } else { BEHIND_ELEMENT };
                    return Err(self.syntax(behind.at, what));
                }
                depth -= 1;
                close = self.levels.get(depth).copied().unwrap_or_default();
            }
        }
    }

    /// The colon behind what should be a key.
    #[inline(always)]
    fn colon(&mut self, ahead: &mut Ahead<'a>, key: Token) -> Result<Token, Stopped> {
        if key.byte != b'"' {
            return Err(self.syntax(key.at, KEY));
        }
        let colon = self.next_of(ahead);
        match colon.byte {
            b':' => Ok(colon),
            _ => Err(self.syntax(colon.at, COLON)),
        }
    }

    #[inline(always)]
    fn enter(&mut self, depth: usize, close: u8) {
        if let Some(level) = self.levels.get_mut(depth) {
            *level = close;
        }
    }

    #[inline(always)]
    fn deeper(&mut self, at: usize, depth: usize) -> Step {
        match depth > self.depth_max {
            true => Err(self.stop(JsonError::Depth {
                max: self.depth_max,
                at,
            })),
            false => Ok(()),
        }
    }

    /// The object at `at`, at level `depth`, with notes of its members.
    fn object(&mut self, at: usize, depth: usize, notes: &mut Notes) -> Step {
        self.deeper(at, depth)?;
        let mut ahead = self.ahead;
        let mut key = self.next_of(&mut ahead);
        if key.byte == b'}' {
            self.ahead = ahead;
            return Ok(());
        }
        loop {
            let colon = self.colon(&mut ahead, key)?;
            let range = key.at + 1..self.end_before(colon.at).saturating_sub(1);
            let first = self.next_of(&mut ahead);
            // Nothing is left to do of a string.
            if first.byte != b'"' {
                self.ahead = ahead;
                if first.byte == b'{' && notes.looked_into.iter().any(|known| self.is(&range, known)) {
                    let inner = self.looked_into(first.at, depth)?;
                    notes.inner = inner.map(|index| (first.at, index));
                } else {
                    self.value(first, depth)?;
                }
                ahead = self.ahead;
            }
            let behind = self.next_of(&mut ahead);
            if !matches!(behind.byte, b',' | b'}') {
                return Err(self.syntax(behind.at, BEHIND_MEMBER));
            }
            self.note(range, first.at..self.end_before(behind.at), notes);
            if behind.byte == b'}' {
                self.ahead = ahead;
                return Ok(());
            }
            key = self.next_of(&mut ahead);
        }
    }

    fn is(&self, key: &Range<usize>, known: &str) -> bool {
        key.len() == known.len() && self.text.get(key.clone()) == Some(known.as_bytes())
    }

    fn note(&self, key: Range<usize>, value: Range<usize>, notes: &mut Notes) {
        if notes.members.len() == self.members_max {
            notes.is_over = true;
            return;
        }
        // No key before the first backslash needs to be looked at.
        if self.carry.escapes && self.text.get(key.clone()).unwrap_or_default().contains(&b'\\') {
            notes.is_plain = false;
        }
        notes.members.push(Member { key, value });
    }

    /// The object at `at`, inside `depth` containers, with its members. One with too many is left to whoever walks it.
    fn looked_into(&mut self, at: usize, depth: usize) -> Result<Option<Arc<Index>>, Stopped> {
        let mut notes = Notes::of(if depth == 1 { &["_meta"] } else { &[] });
        self.object(at, depth + 1, &mut notes)?;
        if notes.is_over {
            return Ok(None);
        }
        let is_distinct = distinct(self.text, &notes.members, !notes.is_plain).is_ok();
        for member in &mut notes.members {
            member.key = member.key.start - at..member.key.end - at;
            member.value = member.value.start - at..member.value.end - at;
        }
        Ok(Some(Arc::new(Index {
            members: notes.members,
            is_distinct,
            is_plain: notes.is_plain,
            inner: notes.inner.map(|(_, index)| index),
        })))
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

    /// The number at `at`, which begins with a digit.
    #[inline(always)]
    fn number(&mut self, at: usize) -> Step {
        let rest = self.text.get(at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(bytes) if is_short_number(*bytes) => Ok(()),
            _ => self.any_number(at),
        }
    }

    /// `true`, `false`, `null`, a number below zero, or no value at all.
    #[inline(always)]
    fn word(&mut self, token: Token) -> Step {
        let rest = self.text.get(token.at..).unwrap_or_default();
        let end = match token.byte {
            b't' if rest.starts_with(b"true") => 4,
            b'f' if rest.starts_with(b"false") => 5,
            b'n' if rest.starts_with(b"null") => 4,
            b'-' => return self.any_number(token.at),
            _ if rest.is_empty() => return Err(self.syntax(token.at, "the text ends where a value is expected")),
            _ => return Err(self.syntax(token.at, "expected a value")),
        };
        self.ends(token.at + end)
    }

    /// A number or a word must end where it does: what follows without white space between has no mark of its own.
    #[inline(always)]
    fn ends(&mut self, at: usize) -> Step {
        match self.text.get(at) {
            Some(byte) if !ends(*byte) => Err(self.syntax(at, "expected the value to end")),
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn any_number(&mut self, at: usize) -> Step {
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
        self.ends(at)
    }

    fn some_digits(&mut self, at: usize) -> Result<usize, Stopped> {
        let end = digits(self.text, at);
        if end == at {
            return Err(self.syntax(at, "expected a digit"));
        }
        Ok(end)
    }
}

/// Whether `byte` may stand behind a number or a word. A quote or an opening bracket may not: they have marks, and whoever
/// walks would find them, but it need not come to that.
#[inline(always)]
fn ends(byte: u8) -> bool {
    #[expect(
        clippy::indexing_slicing,
        reason = "while compiling, and no byte is beyond the table"
    )]
    const ENDS: [bool; 256] = {
        let mut ends = [false; 256];
        let mut list: &[u8] = b",}] \t\n\r";
        while let [byte, rest @ ..] = list {
            ends[*byte as usize] = true;
            list = rest;
        }
        ends
    };
    ENDS.get(usize::from(byte)).is_some_and(|ends| *ends)
}

/// Whether these bytes, the first of them a digit, hold a number without an exponent and its end. Of other numbers false says
/// nothing.
#[inline(always)]
fn is_short_number(bytes: [u8; 8]) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    // The first byte the lowest.
    let word = u64::from_le_bytes(bytes);
    // Digits become 0 to 9. What is added to each byte carries into its highest bit from 10 on; into the next byte only from a
    // byte that is no digit and no point, and behind such a one nothing is looked at.
    let digits = word ^ (LOW * b'0' as u64);
    let others = (digits.wrapping_add(LOW * (0x80 - 10)) | digits) & (LOW * 0x80);
    let Some(other) = NonZeroU64::new(others) else {
        return false;
    };
    let mut end = other.trailing_zeros() / 8;
    if end > 1 && bytes[0] == b'0' {
        return false;
    }
    if (word >> (end * 8)) as u8 == b'.' {
        let Some(other) = NonZeroU64::new(others & (others - 1)) else {
            return false;
        };
        let behind_point = end + 1;
        end = other.trailing_zeros() / 8;
        if end == behind_point {
            return false;
        }
    }
    ends((word >> (end * 8)) as u8)
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
