//! Hidden characters in JSON text: looks at the decoded strings, keys too, without building a tree. The text has passed a
//! parser; one that has not is looked at as far as it goes, and nothing here can fail.

use super::context::{Kind, may_begin_hidden};
use super::{FINDINGS_MAX, Finding, findings, neutralise_all};
use crate::json::{Places, Segment, decode, write_inside};
use fearless_simd::{Level, dispatch};
use std::borrow::Cow;
use std::fmt;
use std::ops::{ControlFlow, Range};

/// The longest path that is written out, in bytes.
const PATH_BYTES_MAX: usize = 256;

/// A finding and the string that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFinding {
    /// JSON pointer (RFC 6901) of the value, or of the member whose key it is; itself made visible, and cut off with `...`
    /// when long.
    pub path: String,
    /// Whether it is in the key.
    pub in_key: bool,
    /// What was found; its span is of the decoded string.
    pub finding: Finding,
}

impl fmt::Display for JsonFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.in_key { "in the key" } else { "at" };
        write!(f, "{} {place} `{}`", self.finding.class, self.path)
    }
}

/// Finds hidden characters in the strings of a JSON text, at most [`FINDINGS_MAX`], in order.
#[must_use]
pub fn scan_json(text: &[u8]) -> Vec<JsonFinding> {
    let mut found = Vec::new();
    visit(text, |path, in_key, string| {
        for finding in findings(&string.decoded()) {
            if found.len() == FINDINGS_MAX {
                return ControlFlow::Break(());
            }
            found.push(JsonFinding {
                path: path(),
                in_key,
                finding,
            });
        }
        ControlFlow::Continue(())
    });
    found
}

/// The first finding in a JSON text, in words that may be logged and told: class and place, nothing of what it spells.
#[must_use]
pub fn first_in_json(text: &[u8]) -> Option<String> {
    let mut first = None;
    visit(text, |path, in_key, string| {
        let decoded = string.decoded();
        match findings(&decoded).next() {
            None => ControlFlow::Continue(()),
            Some(finding) => {
                let found = JsonFinding {
                    path: path(),
                    in_key,
                    finding,
                };
                first = Some(found.to_string());
                ControlFlow::Break(())
            }
        }
    });
    first
}

/// The JSON text with all that is hidden in its strings replaced by [`super::MARK`]. Strings without a finding, and all
/// between strings, stay byte for byte. Two keys that differ in hidden characters alone become one: a reader that refuses
/// duplicates refuses that object, as it should.
#[must_use]
pub fn neutralise_json(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    visit(text, |_, _, string| {
        let decoded = string.decoded();
        if findings(&decoded).next().is_some() {
            out.extend_from_slice(text.get(at..string.span.start).unwrap_or_default());
            write_inside(&mut out, &neutralise_all(&decoded));
            at = string.span.end;
        }
        ControlFlow::Continue(())
    });
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

/// A string of the text that may hold something hidden: not plain, or with escapes that may make it so.
struct Inside<'a> {
    text: &'a str,
    /// Where it stands, quotes excluded.
    span: Range<usize>,
}

impl Inside<'_> {
    fn decoded(&self) -> Cow<'_, str> {
        decode(self.text)
    }
}

/// Shows every string that may hold something hidden to `look`, with a function that writes its path.
fn visit(text: &[u8], mut look: impl FnMut(&dyn Fn() -> String, bool, &Inside<'_>) -> ControlFlow<()>) {
    if is_clean(text) {
        return;
    }
    let mut places = Places::of(text);
    while let Some((span, in_key)) = places.next_string() {
        let inside = text.get(span.clone()).unwrap_or_default();
        if is_clean(inside) {
            continue;
        }
        let Ok(inside) = std::str::from_utf8(inside) else {
            continue;
        };
        let path = || {
            // No more of a key than can be shown, with an escape for each character.
            path(places.place(0..0, in_key).segments_up_to(text, PATH_BYTES_MAX * 6))
        };
        if look(&path, in_key, &Inside { text: inside, span }).is_break() {
            return;
        }
    }
}

/// Whether no character and no escape of the text can be part of a finding, wherever it stands.
pub(super) fn is_clean(text: &[u8]) -> bool {
    is_clearly_clean(text) || is_clean_at_a_closer_look(text)
}

/// [`is_clean`] for nearly all texts, by bytes alone.
fn is_clearly_clean(text: &[u8]) -> bool {
    dispatch!(Level::new(), _simd => is_clean_by_bytes(text))
}

/// Made of folds without an early end, for that is what the compiler turns into vector code, here for each set of
/// instructions: many bytes a step where the closer look takes one. The first finds what most texts are, printable ASCII, with
/// two comparisons a byte; the others look at what it did not settle.
#[inline(always)]
fn is_clean_by_bytes(text: &[u8]) -> bool {
    const CHUNK: usize = 4096;
    let (mut beyond, mut backslash) = (false, false);
    for byte in text {
        beyond |= byte.wrapping_sub(b' ') > b'~' - b' ';
        backslash |= *byte == b'\\';
    }
    (!beyond || has_no_odd_byte(text, CHUNK)) && (!backslash || has_no_odd_escape(text, CHUNK))
}

#[inline(always)]
fn has_no_odd_byte(text: &[u8], chunk: usize) -> bool {
    let is_odd = |byte: &u8| {
        let break_ = (*byte == b'\t') | (*byte == b'\n') | (*byte == b'\r');
        let control = ((*byte < 0x20) & !break_) | (*byte == 0x7f);
        // The lead bytes of `may_begin_hidden`.
        let two = (*byte == 0xc2) | (*byte == 0xcd) | (*byte == 0xd8);
        let three = ((*byte >= 0xe1) & (*byte <= 0xe3)) | (*byte == 0xef);
        control | two | three | (*byte == 0xf0) | (*byte >= 0xf3)
    };
    !text
        .chunks(chunk)
        .any(|chunk| chunk.iter().fold(false, |odd, byte| odd | is_odd(byte)))
}

#[inline(always)]
fn has_no_odd_escape(text: &[u8], chunk: usize) -> bool {
    // An escaped backslash before one of these letters looks the same: the closer look tells.
    let is_escape =
        |(before, byte): (&u8, &u8)| (*before == b'\\') & ((*byte == b'u') | (*byte == b'b') | (*byte == b'f'));
    let after = text.get(1..).unwrap_or_default();
    !text.chunks(chunk).zip(after.chunks(chunk)).any(|(before, after)| {
        before
            .iter()
            .zip(after)
            .fold(false, |found, pair| found | is_escape(pair))
    })
}

pub(super) fn is_clean_at_a_closer_look(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += match LOOKS.get(usize::from(*byte)) {
            Some(Look::None) => 1,
            Some(Look::Escape) => match text.get(at + 1) {
                Some(b'u' | b'b' | b'f') => return false,
                _ => 2,
            },
            Some(Look::Lead) => match first_char(text.get(at..).unwrap_or_default()) {
                Some(character) if Kind::of(character).is_none() => character.len_utf8(),
                _ => return false,
            },
            Some(Look::Control) | None => return false,
        };
    }
    true
}

/// What a byte of JSON text asks for.
#[derive(Clone, Copy)]
enum Look {
    /// Nothing: it is, or is part of, a character that hides nothing.
    None,
    /// A backslash: the next byte tells.
    Escape,
    /// A character that may hide something begins.
    Lead,
    /// A control character that JSON does not allow, or DEL.
    Control,
}

const LOOKS: [Look; 256] = {
    let mut looks = [Look::None; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let this = byte as u8;
        #[expect(
            clippy::indexing_slicing,
            reason = "in bounds, and checked by the compiler that evaluates it"
        )]
        {
            looks[byte] = match this {
                b'\\' => Look::Escape,
                b'\t' | b'\n' | b'\r' => Look::None,
                0..=0x1f | 0x7f => Look::Control,
                _ if may_begin_hidden(this) => Look::Lead,
                _ => Look::None,
            };
        }
        byte += 1;
    }
    looks
};

/// The first character, if the text begins with a whole one.
fn first_char(text: &[u8]) -> Option<char> {
    let head = text.get(..text.len().min(4)).unwrap_or_default();
    let valid = match std::str::from_utf8(head) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?,
    };
    valid.chars().next()
}

fn path<'t>(segments: impl Iterator<Item = Segment<'t>>) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        match segment {
            Segment::Element(index) => path.push_str(&index.to_string()),
            Segment::Member(key) => {
                let key = neutralise_all(&key).replace('~', "~0").replace('/', "~1");
                path.extend(key.chars().map(|one| if one.is_control() { super::MARK } else { one }));
            }
        }
        if path.len() > PATH_BYTES_MAX {
            let cut = (0..=PATH_BYTES_MAX).rev().find(|cut| path.is_char_boundary(*cut));
            path.truncate(cut.unwrap_or(0));
            path.push_str("...");
            break;
        }
    }
    path
}
