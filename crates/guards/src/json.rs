//! JSON read from its beginning without building anything: where in it a byte stands, and what its strings say. The text has passed
//! a parser; one that has not is read as far as it goes, and nothing here can fail. It must not know what is looked for.

use std::borrow::Cow;
use std::ops::Range;

/// Paths are cut off behind the key that makes them longer, in bytes.
const PATH_BYTES_MAX: usize = 200;
/// Longest key of a path, in characters.
const KEY_CHARACTERS_MAX: usize = 48;
/// Objects and arrays that lie deeper are no part of a path, and what is in them is told as where they are.
const DEPTH_MAX: usize = 512;

/// One step of the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// In an object: the key that was read last, as a range of the text, and whether a key comes next.
    Key(Range<usize>, bool),
    /// In an array: the index.
    Index(usize),
}

/// One step of the way to a value, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment<'t> {
    /// The member with this key.
    Member(Cow<'t, str>),
    /// The element of an array with this index, from 0.
    Element(usize),
}

/// What a reader wants to know of each object and array on the way: a mark of its own, `()` where it wants to know nothing.
#[derive(Debug, Clone, Copy)]
pub struct Marking<M> {
    /// The mark of an object or array, from the mark of the value that it is; of a value that lies in no other, from `None`.
    pub open: fn(Option<M>) -> M,
    /// The mark of the value behind a key, from the mark of its object, the key as it is written without its quotes, and the text
    /// from the colon on.
    pub member: fn(M, &[u8], &[u8]) -> M,
}

/// An object or array that the reading is in.
#[derive(Debug, Clone)]
struct Frame<M> {
    step: Step,
    /// What it is.
    own: M,
    /// What its next value is.
    next: M,
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<M = ()> {
    /// The string that it is in, quotes excluded; empty where it is in none.
    pub string: Range<usize>,
    /// Whether it is in the key of a member.
    pub in_key: bool,
    /// The mark of the object or array that it is in, if any.
    pub own: Option<M>,
    /// The mark of the value that it is in, if that lies in an object or array.
    pub next: Option<M>,
    /// How a path to it would be written.
    steps: Vec<Step>,
    /// Whether it lies deeper than that.
    is_deeper: bool,
}

/// Reads a text once from its beginning, from place to place.
#[derive(Debug)]
pub struct Places<'a, M = ()> {
    text: &'a [u8],
    at: usize,
    frames: Vec<Frame<M>>,
    /// How many objects and arrays the reading is in beside those.
    deeper: usize,
    /// The string that was come to last, where it is a key or value that the reading is before.
    found: Option<Place<M>>,
    marking: Marking<M>,
}

impl<'a> Places<'a> {
    /// Reads `text`.
    #[must_use]
    pub const fn of(text: &'a [u8]) -> Self {
        Self::marked(
            text,
            Marking {
                open: |_| (),
                member: |(), _, _| (),
            },
        )
    }
}

impl<'a, M: Copy> Places<'a, M> {
    /// Reads `text` and marks what it comes by.
    #[must_use]
    pub const fn marked(text: &'a [u8], marking: Marking<M>) -> Self {
        Self {
            text,
            at: 0,
            frames: Vec::new(),
            deeper: 0,
            found: None,
            marking,
        }
    }

    /// The place of the byte `at`. Places are asked for in order; what was passed is told as where the reading is.
    pub fn find(&mut self, at: usize) -> Place<M> {
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

    /// The next string, quotes excluded, and whether it is a key.
    pub fn next_string(&mut self) -> Option<(Range<usize>, bool)> {
        loop {
            let byte = self.text.get(self.at)?;
            match self.read(*byte) {
                Some((inside, is_key)) => {
                    self.at = inside.end + 1;
                    return Some((inside, is_key));
                }
                None => self.at += 1,
            }
        }
    }

    /// The place that the reading has come to, for `string` in it.
    pub fn place(&self, string: Range<usize>, in_key: bool) -> Place<M> {
        Place {
            string,
            in_key,
            own: self.frames.last().map(|frame| frame.own),
            next: self.next(),
            steps: self.frames.iter().map(|frame| frame.step.clone()).collect(),
            is_deeper: self.deeper > 0,
        }
    }

    /// The mark of the value that comes next.
    #[must_use]
    pub fn next(&self) -> Option<M> {
        self.frames.last().map(|frame| frame.next)
    }

    /// Takes in `byte`, which the reading is at. Where a string begins: what is inside it, and whether it is a key.
    fn read(&mut self, byte: u8) -> Option<(Range<usize>, bool)> {
        match byte {
            b'{' => self.open(Step::Key(0..0, true)),
            b'[' => self.open(Step::Index(0)),
            b'}' | b']' if self.deeper > 0 => self.deeper -= 1,
            b'}' | b']' => {
                self.frames.pop();
            }
            b':' => self.name(),
            b',' => match self.step() {
                Some(Step::Key(_, is_next)) => *is_next = true,
                Some(Step::Index(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let inside = self.at + 1..string_end(self.text, self.at + 1);
                let is_key = match self.step() {
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

    /// The step to the value that comes next, unless that lies too deep.
    fn step(&mut self) -> Option<&mut Step> {
        let last = self.frames.last_mut().filter(|_| self.deeper == 0);
        last.map(|frame| &mut frame.step)
    }

    fn open(&mut self, step: Step) {
        if self.frames.len() == DEPTH_MAX {
            self.deeper += 1;
            return;
        }
        let own = (self.marking.open)(self.next());
        self.frames.push(Frame { step, own, next: own });
    }

    /// Behind a key.
    fn name(&mut self) {
        let Some(frame) = self.frames.last_mut().filter(|_| self.deeper == 0) else {
            return;
        };
        let Step::Key(key, is_next) = &mut frame.step else {
            return;
        };
        *is_next = false;
        let key = self.text.get(key.clone()).unwrap_or_default();
        frame.next = (self.marking.member)(frame.own, key, self.text.get(self.at..).unwrap_or_default());
    }
}

impl<M> Place<M> {
    /// The JSON pointer (RFC 6901) of the value, or of the member whose key it is, fit to be told: `hidden` says what a key is, by its
    /// range in the text, that must not be told itself, as [`class_within`](crate::scan::class_within) does; control and invisible
    /// characters are written as escapes; what is long is cut, a key without a sign, a path with `/...` at its end.
    pub fn path(&self, text: &[u8], hidden: impl Fn(&Range<usize>) -> Option<&'static str>) -> String {
        self.written(text, hidden, false)
    }

    /// The same for all elements of an array alike, `*` in the place of their indices.
    pub fn pattern(&self, text: &[u8], hidden: impl Fn(&Range<usize>) -> Option<&'static str>) -> String {
        self.written(text, hidden, true)
    }

    /// The way to the value, whole and as it is: not to be told.
    pub fn segments<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = Segment<'t>> {
        self.segments_up_to(text, usize::MAX)
    }

    /// The same with so many bytes of each key as it is written.
    pub(crate) fn segments_up_to<'t>(&self, text: &'t [u8], key_bytes_max: usize) -> impl Iterator<Item = Segment<'t>> {
        self.steps.iter().map(move |step| match step {
            Step::Index(index) => Segment::Element(*index),
            Step::Key(key, _) => {
                let key = text.get(key.clone()).unwrap_or_default();
                Segment::Member(decoded(key.get(..key_bytes_max).unwrap_or(key)))
            }
        })
    }

    fn written(&self, text: &[u8], hidden: impl Fn(&Range<usize>) -> Option<&'static str>, alike: bool) -> String {
        let mut path = String::new();
        for step in &self.steps {
            path.push('/');
            match step {
                Step::Index(_) if alike => path.push('*'),
                Step::Index(index) => path.push_str(&index.to_string()),
                Step::Key(key, _) => match hidden(key) {
                    Some(class) => path.extend(["[", class, "]"]),
                    None => write_key(&mut path, text.get(key.clone()).unwrap_or_default()),
                },
            }
            if path.len() > PATH_BYTES_MAX {
                path.push_str("/...");
                return path;
            }
        }
        if self.is_deeper {
            path.push_str("/...");
        }
        path
    }
}

fn write_key(path: &mut String, key: &[u8]) {
    // No more than can be shown, with an escape of two units for each character.
    let key = key.get(..KEY_CHARACTERS_MAX * 12).unwrap_or(key);
    for character in decoded(key).chars().take(KEY_CHARACTERS_MAX) {
        match character {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            '"' | '\'' => path.push(character),
            _ => path.extend(character.escape_debug()),
        }
    }
}

/// What the inside of a string says, of bytes. What is no UTF-8, or no escape, becomes the replacement character.
#[must_use]
pub fn decoded(inside: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(inside) {
        Cow::Borrowed(inside) => decode(inside),
        Cow::Owned(inside) => Cow::Owned(decode(&inside).into_owned()),
    }
}

/// What the inside of a string says. What a parser would refuse becomes the replacement character.
pub(crate) fn decode(inside: &str) -> Cow<'_, str> {
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let unit = |at: usize| escape.get(at..at + 4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let (character, used) = match escape.chars().next() {
            Some('b') => ('\u{8}', 1),
            Some('f') => ('\u{c}', 1),
            Some('n') => ('\n', 1),
            Some('r') => ('\r', 1),
            Some('t') => ('\t', 1),
            Some('u') => match (unit(1), unit(7)) {
                (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) if escape.get(5..7) == Some("\\u") => {
                    let scalar = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), 11)
                }
                (unit, _) => (unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER), 5),
            },
            Some(other) => (other, other.len_utf8()),
            None => (char::REPLACEMENT_CHARACTER, 0),
        };
        out.push(character);
        rest = escape.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Writes `text` as the inside of a JSON string.
pub(crate) fn write_inside(out: &mut Vec<u8>, text: &str) {
    let mut buffer = [0; 4];
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..='\x1f' => out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes()),
            other => out.extend_from_slice(other.encode_utf8(&mut buffer).as_bytes()),
        }
    }
}

/// The offset of the quote that ends the string whose inside starts at `at`, or the end of the text.
pub(crate) fn string_end(text: &[u8], mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(step) if rest.get(step) == Some(&b'"') => return at + step,
            Some(step) => at += step + 2,
            None => return text.len(),
        }
    }
}

/// The whole number of a JSON text that `span` lies in, or begins in, where it lies in one: the bytes around it that numbers have
/// (RFC 8259, 6).
#[must_use]
pub fn number_around(text: &[u8], span: &Range<usize>) -> Range<usize> {
    let is_of_number = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let before = text.get(..span.start).unwrap_or_default().iter().rev();
    let behind = text.get(span.end..).unwrap_or_default().iter();
    span.start - before.take_while(is_of_number).count()..span.end + behind.take_while(is_of_number).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

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
        let hidden = |key: &Range<usize>| key.contains(&at(b"q")).then_some("EMAIL");
        assert_eq!(place.path(text, hidden), "/result/[EMAIL]/1");
        let segments: Vec<_> = place.segments(text).collect();
        let member = |key: &'static str| Segment::Member(key.into());
        assert_eq!(segments, [member("result"), member("a \"q\" b"), Segment::Element(1)]);
        for cut in 0..text.len() {
            let _ = Places::of(text.get(..cut).unwrap()).find(text.len());
        }
    }

    #[test]
    fn a_path_has_an_end() {
        let deep = [vec![b'['; 100_000], b"{\"a\":\"x".to_vec()].concat();
        let mut places = Places::of(&deep);
        let place = places.find(deep.len() - 1);
        assert!(place.steps.len() <= DEPTH_MAX && place.is_deeper);
        assert!(place.path(&deep, |_| None).len() < 2 * PATH_BYTES_MAX);
        let long = format!("{{\"{}\":{{\"b\":1}}}}", "\\u00e9~".repeat(1_000));
        let path = Places::of(long.as_bytes())
            .find(long.len() - 3)
            .path(long.as_bytes(), |_| None);
        assert_eq!(path, format!("/{}/b", "\u{e9}~0".repeat(KEY_CHARACTERS_MAX / 2)));
        // Out of it again.
        let text = [vec![b'['; 600], vec![b']'; 600], b"[0,\"x\"]".to_vec()].concat();
        let place = Places::of(&text).find(text.len() - 3);
        assert_eq!(place.path(&text, |_| None), "/1");
    }

    proptest! {
        /// A pointer that was not cut leads to the string.
        #[test]
        fn a_path_leads_to_what_it_names(keys in prop::collection::vec("[a-z~/]{1,9}", 1..6), in_list in 0..4_usize) {
            let mut value = Value::String("here".to_owned());
            for (order, key) in keys.iter().enumerate() {
                value = match order % 4 == in_list {
                    true => serde_json::json!([0, key, value]),
                    false => serde_json::json!({ key: value, "\u{e9}": [] }),
                };
            }
            let text = value.to_string();
            let at = text.find("here").unwrap();
            let path = Places::of(text.as_bytes()).find(at).path(text.as_bytes(), |_| None);
            prop_assert_eq!(value.pointer(&path), Some(&Value::String("here".to_owned())));
        }
    }
}
