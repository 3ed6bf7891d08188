//! Texts for properties: JSON written in all the ways that the grammar allows, and the same with damage.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn space() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(String::new()),
        1 => vec(select(vec![" ", "\t", "\n", "\r"]), 1..4).prop_map(|spaces| spaces.concat()),
    ]
}

/// The inside of a string, escapes as written.
fn inside() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9 _./:{}\\[\\],-]{0,12}".prop_map(String::from),
        2 => any::<char>()
            .prop_filter("must be escaped", |c| *c >= ' ' && *c != '"' && *c != '\\')
            .prop_map(String::from),
        2 => select(vec!["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"]).prop_map(String::from),
        1 => any::<u16>()
            .prop_filter("surrogate", |unit| !(0xd800..=0xdfff).contains(unit))
            .prop_map(|unit| format!("\\u{unit:04x}")),
        1 => (0xd800u16..=0xdbff, 0xdc00u16..=0xdfff)
            .prop_map(|(high, low)| format!("\\u{high:04X}\\u{low:04x}")),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,5})".prop_map(String::from),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?".prop_map(String::from),
    ]
}

/// A valid JSON value, without white space around it.
pub(crate) fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => inside().prop_map(|inside| format!("\"{inside}\"")),
        2 => number(),
        1 => select(vec!["true", "false", "null", "{}", "[]", "\"\""]).prop_map(String::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            2 => object(inner.clone()),
            1 => vec((space(), inner, space()), 0..6).prop_map(|elements| {
                let elements: Vec<_> = elements
                    .into_iter()
                    .map(|(before, element, behind)| before + &element + &behind)
                    .collect();
                format!("[{}]", elements.join(","))
            }),
        ]
    })
}

/// An object with up to seven members of `inner`; keys may repeat.
fn object(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let key = prop_oneof![
        3 => select(vec!["id", "method", "params", "_meta", "a", "b", "\\u0061"]).prop_map(String::from),
        2 => inside(),
    ];
    let member = (space(), key, space(), space(), inner, space());
    (space(), vec(member, 0..7)).prop_map(|(inside, members)| {
        if members.is_empty() {
            return format!("{{{inside}}}");
        }
        let members: Vec<_> = members
            .into_iter()
            .map(|(a, key, b, c, value, d)| format!("{a}\"{key}\"{b}:{c}{value}{d}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

/// A valid object.
pub(crate) fn any_object() -> impl Strategy<Value = String> {
    object(value())
}

/// A valid text: a value with white space around it.
pub(crate) fn text() -> impl Strategy<Value = String> {
    (space(), value(), space()).prop_map(|(before, value, behind)| before + &value + &behind)
}

/// A valid text of up to some ten thousand bytes, with white space before it, so that everything stands at every place in the
/// blocks and runs of blocks that the door looks at.
pub(crate) fn large() -> impl Strategy<Value = String> {
    (0..600_usize, vec((space(), value()), 1..40), any::<bool>()).prop_map(|(padding, values, dense)| {
        let values: Vec<_> = values
            .into_iter()
            .map(|(space, value)| if dense { value } else { space + &value })
            .collect();
        format!("{}[{}]", " ".repeat(padding), values.join(","))
    })
}

/// What one mutation does.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index, Index),
    Put(Index, Vec<u8>),
    Set(Index, u8),
    Truncate(Index),
}

/// A valid text with one to three wounds.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    wounded(text())
}

/// The same of a large one.
pub(crate) fn large_damaged() -> impl Strategy<Value = Vec<u8>> {
    wounded(large())
}

fn wounded(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let tokens = vec![
        "\"", "\\", "\\u", "\\ud800", "\\udc00", "{", "}", "[", "]", ",", ":", "-", "0", ".", "e", "+", "null", "tru",
        "\u{0}", "\u{1f}", "\u{7f}", "/", "'", "\u{feff}", "01", "1.", "NaN",
    ];
    let wound = prop_oneof![
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::Cut(a, b)),
        (any::<Index>(), select(tokens)).prop_map(|(at, token)| Damage::Put(at, token.into())),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        any::<Index>().prop_map(Damage::Truncate),
    ];
    (text, vec(wound, 1..4)).prop_map(|(text, wounds)| {
        let mut text = text.into_bytes();
        for wound in wounds {
            let length = text.len();
            if length == 0 {
                break;
            }
            match wound {
                Damage::Cut(a, b) => {
                    let start = a.index(length);
                    let end = (start + 1 + b.index(3)).min(length);
                    text.drain(start..end);
                }
                Damage::Put(at, token) => {
                    let at = at.index(length + 1);
                    text.splice(at..at, token);
                }
                Damage::Set(at, byte) => text[at.index(length)] = byte,
                Damage::Truncate(at) => text.truncate(at.index(length)),
            }
        }
        text
    })
}

/// Bytes that look like JSON more often than chance would have it.
pub(crate) fn soup() -> impl Strategy<Value = Vec<u8>> {
    let tokens: Vec<&[u8]> = vec![
        b"{", b"}", b"[", b"]", b",", b":", b"\"", b"\"a\"", b"\\", b"\\u", b"d8", b"00", b"1", b"-", b"0", b".5",
        b"e", b"E+", b"true", b"false", b"null", b" ", b"\n", b"\xff", b"\xc3", b"\x00",
    ];
    prop_oneof![
        vec(select(tokens), 0..24).prop_map(|tokens| tokens.concat()),
        vec(any::<u8>(), 0..40),
    ]
}
