//! Characters that a person does not see and a model reads: Unicode tags, zero-width and bidirectional controls, variation
//! selectors used as a channel, terminal escapes and other control characters. Found in decoded text, neutralised by a visible
//! mark. Legitimate uses (emoji sequences, joiners in scripts that need them, marks beside right-to-left text) are no findings.

use std::fmt;
use std::ops::Range;

/// What kind of hidden character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// U+E0000 to U+E007F: an invisible copy of ASCII.
    Tag,
    /// Zero-width spaces, joiners and no-break marks.
    ZeroWidth,
    /// Bidirectional embeddings, overrides, isolates and marks (Trojan Source).
    Bidirectional,
    /// Variation selectors that vary nothing, or several in a row.
    VariationSelector,
    /// ESC, and what a terminal takes for a command.
    TerminalEscape,
    /// Other C0 and C1 controls than tab, line feed and carriage return.
    Control,
    /// Fillers that show nothing: Hangul fillers, soft hyphens in a row, invisible operators.
    Filler,
}

impl Class {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "unicode tag",
            Self::ZeroWidth => "zero-width character",
            Self::Bidirectional => "bidirectional control",
            Self::VariationSelector => "variation selector",
            Self::TerminalEscape => "terminal escape",
            Self::Control => "control character",
            Self::Filler => "invisible filler",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One run of hidden characters of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which kind.
    pub class: Class,
    /// Where, in bytes of the text that was looked at.
    pub span: Range<usize>,
}

/// Every hidden run in `text`, in order.
#[must_use]
pub fn find(text: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    if is_plain(text.as_bytes()) {
        return findings;
    }
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    for (place, (at, character)) in characters.iter().enumerate() {
        let before = |back: usize| place.checked_sub(back).and_then(|at| characters.get(at)).map(|(_, c)| *c);
        let after = characters.get(place + 1).map(|(_, c)| *c);
        let Some(class) = class_of(*character) else {
            continue;
        };
        if is_legitimate(class, *character, &characters, place, before(1), after) {
            continue;
        }
        let span = *at..at + character.len_utf8();
        match findings.last_mut() {
            Some(last) if last.class == class && last.span.end == *at => last.span.end = span.end,
            _ => findings.push(Finding { class, span }),
        }
    }
    findings
}

/// `text` with each hidden run replaced by one U+FFFD: what was hidden is seen to have been there, and says nothing any more.
#[must_use]
pub fn neutralise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for finding in find(text) {
        out.push_str(text.get(from..finding.span.start).unwrap_or_default());
        out.push('\u{fffd}');
        from = finding.span.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// The first finding in any string (keys too) of a JSON text, for people: class and code point. `None` is the usual case and
/// costs one pass over the bytes.
#[must_use]
pub fn first_in_json(text: &[u8]) -> Option<String> {
    if is_plain_json(text) {
        return None;
    }
    for string in strings(text) {
        let written = text.get(string.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok())?;
        let decoded = decode(written);
        if let Some(finding) = find(&decoded).into_iter().next() {
            let character = decoded.get(finding.span).and_then(|run| run.chars().next()).unwrap_or('\u{fffd}');
            return Some(format!("{} U+{:04X}", finding.class, u32::from(character)));
        }
    }
    None
}

/// A JSON text with the strings that hold hidden characters neutralised; all other bytes are as they were.
#[must_use]
pub fn neutralise_json(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for string in strings(text) {
        let Some(written) = text.get(string.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()) else {
            continue;
        };
        let decoded = decode(written);
        if find(&decoded).is_empty() {
            continue;
        }
        out.extend_from_slice(text.get(from..string.start).unwrap_or_default());
        encode(&neutralise(&decoded), &mut out);
        from = string.end;
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
    out
}

/// Nothing in `text` can be a finding: ASCII, and no control character but tab, line feed and carriage return.
fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, 0x20..=0x7e | b'\t' | b'\n' | b'\r'))
}

/// The same for a JSON text, in which a hidden character may also be an escape.
fn is_plain_json(text: &[u8]) -> bool {
    // Blocks keep the loop free of branches, so that it becomes vector instructions.
    text.chunks(64).all(|block| block.iter().fold(true, |plain, byte| plain & matches!(byte, 0x20..=0x7e | 0x09 | 0x0a | 0x0d)))
        && memchr::memmem::find(text, b"\\u").is_none()
        && memchr::memmem::find(text, b"\\b").is_none()
        && memchr::memmem::find(text, b"\\f").is_none()
}

fn class_of(character: char) -> Option<Class> {
    match character {
        '\u{1b}' | '\u{9b}' | '\u{9d}' | '\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}' => Some(Class::TerminalEscape),
        '\t' | '\n' | '\r' => None,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Some(Class::Control),
        '\u{e0000}'..='\u{e007f}' => Some(Class::Tag),
        '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{180e}' => Some(Class::ZeroWidth),
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some(Class::Bidirectional),
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Some(Class::VariationSelector),
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2061}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{ad}' | '\u{34f}' => {
            Some(Class::Filler)
        }
        _ => None,
    }
}

/// Whether a character of a class stands where writing systems put it.
fn is_legitimate(
    class: Class,
    character: char,
    characters: &[(usize, char)],
    place: usize,
    before: Option<char>,
    after: Option<char>,
) -> bool {
    match class {
        Class::Tag => in_flag(characters, place),
        Class::ZeroWidth => match character {
            // A byte order mark at the very start says nothing.
            '\u{feff}' => place == 0,
            // Emoji families, and joiners between letters of scripts that shape with them.
            '\u{200d}' => {
                (before.is_some_and(joins_as_emoji) && after.is_some_and(joins_as_emoji))
                    || (before.is_some_and(uses_joiners) && after.is_none_or(|next| uses_joiners(next) || !next.is_alphanumeric()))
            }
            '\u{200c}' => before.is_some_and(uses_joiners) && after.is_none_or(|next| uses_joiners(next) || !next.is_alphanumeric()),
            // Line breaking in scripts without spaces.
            '\u{200b}' => before.is_some_and(breaks_without_space) && after.is_none_or(breaks_without_space),
            _ => false,
        },
        Class::Bidirectional => match character {
            // A single mark or a closed isolate is ordinary beside right-to-left text.
            '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2066}'..='\u{2069}' => {
                // One after another is a channel, not writing.
                before.and_then(class_of) != Some(Class::Bidirectional) && near_right_to_left(characters, place)
            }
            _ => false,
        },
        Class::VariationSelector => {
            // One, behind a character that has variants: emoji, digits of key caps, ideographs, mathematical signs.
            before.is_some_and(|base| class_of(base).is_none() && has_variants(base))
                && after.and_then(class_of) != Some(Class::VariationSelector)
        }
        // A soft hyphen inside a word is typesetting; two in a row, or beside nothing, are not.
        Class::Filler => {
            character == '\u{ad}' && before.is_some_and(char::is_alphabetic) && after.is_some_and(char::is_alphabetic)
        }
        Class::TerminalEscape | Class::Control => false,
    }
}

/// A tag inside one of the three flags that Unicode recommends: U+1F3F4, tags of a subdivision, U+E007F.
fn in_flag(characters: &[(usize, char)], place: usize) -> bool {
    const FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];
    let start = (0..place).rev().take(6).find(|at| characters.get(*at).is_some_and(|(_, c)| *c == '\u{1f3f4}'));
    let Some(start) = start else { return false };
    let tags: String = characters
        .iter()
        .skip(start + 1)
        .map_while(|(_, c)| {
            let code = u32::from(*c);
            (0xe0020..=0xe007e).contains(&code).then(|| char::from_u32(code - 0xe0000).unwrap_or(' '))
        })
        .take(8)
        .collect();
    let end = start + 1 + tags.chars().count();
    FLAGS.contains(&tags.as_str()) && characters.get(end).is_some_and(|(_, c)| *c == '\u{e007f}') && place <= end
}

fn joins_as_emoji(character: char) -> bool {
    matches!(character, '\u{1f000}'..='\u{1faff}' | '\u{2190}'..='\u{2bff}' | '\u{fe0f}')
}

/// Arabic, Syriac, Thaana, N'Ko, Mongolian, the Indic scripts, Khmer, Myanmar, Tibetan.
fn uses_joiners(character: char) -> bool {
    matches!(character, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{a8e0}'..='\u{a8ff}')
}

/// Thai, Lao, Khmer, Myanmar, and the Han, Kana and Hangul blocks.
fn breaks_without_space(character: char) -> bool {
    matches!(character, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

fn near_right_to_left(characters: &[(usize, char)], place: usize) -> bool {
    let from = place.saturating_sub(32);
    characters
        .iter()
        .skip(from)
        .take(64)
        .any(|(_, c)| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'))
}

fn has_variants(base: char) -> bool {
    matches!(base, '#' | '*' | '0'..='9' | '\u{a9}' | '\u{ae}' | '\u{203c}'..='\u{3299}' | '\u{3400}'..='\u{9fff}' | '\u{1000}'..='\u{109f}' | '\u{1820}'..='\u{18aa}' | '\u{1f000}'..='\u{1faff}' | '\u{20000}'..='\u{3134f}')
}

/// The insides of all strings of a JSON text, keys among them. The text has passed the door; of one that has not, what is found
/// is still inside it.
fn strings(text: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let open = at + memchr::memchr(b'"', text.get(at..)?)? + 1;
        let mut end = open;
        loop {
            end += memchr::memchr2(b'"', b'\\', text.get(end..)?)?;
            if text.get(end) == Some(&b'"') {
                at = end + 1;
                return Some(open..end);
            }
            end += 2;
        }
    })
}

fn decode(written: &str) -> std::borrow::Cow<'_, str> {
    if !written.contains('\\') {
        return written.into();
    }
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at + 1..).unwrap_or_default();
        let (character, used) = match escape.as_bytes().first() {
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => unit(escape),
            Some(other) if other.is_ascii() => (char::from(*other), 1),
            _ => ('\u{fffd}', 0),
        };
        out.push(character);
        rest = escape.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    out.into()
}

/// The character of `uXXXX`, or of `uXXXX\uXXXX`, and how many bytes that is.
fn unit(escape: &str) -> (char, usize) {
    let four = |at: usize| escape.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let Some(first) = four(1) else { return ('\u{fffd}', 1) };
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first).unwrap_or('\u{fffd}'), 5);
    }
    match (escape.get(5..7), four(7)) {
        (Some("\\u"), Some(low)) if (0xdc00..0xe000).contains(&low) => {
            let code = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(code).unwrap_or('\u{fffd}'), 11)
        }
        _ => ('\u{fffd}', 5),
    }
}

fn encode(text: &str, out: &mut Vec<u8>) {
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            control if control < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes()),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_found_and_neutralised() {
        let cases = [
            ("a\u{e0041}\u{e0042}b", Class::Tag),
            ("pass\u{200b}word", Class::ZeroWidth),
            ("a\u{200d}b", Class::ZeroWidth),
            ("x\u{feff}y", Class::ZeroWidth),
            ("user\u{202e}txt.exe", Class::Bidirectional),
            ("a\u{2066}b\u{2069}", Class::Bidirectional),
            ("a\u{fe01}\u{fe02}b", Class::VariationSelector),
            ("a\u{e0100}b", Class::VariationSelector),
            ("ok\u{1b}[2Jgone", Class::TerminalEscape),
            ("ok\u{9b}2Jgone", Class::TerminalEscape),
            ("nul\u{0}", Class::Control),
            ("bell\u{7}", Class::Control),
            ("a\u{3164}b", Class::Filler),
            ("a\u{2063}b", Class::Filler),
            ("\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}", Class::Tag),
        ];
        for (text, class) in cases {
            let found = find(text);
            assert_eq!(found.first().map(|finding| finding.class), Some(class), "{text:?}");
            assert!(find(&neutralise(text)).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn what_writing_needs_is_no_finding() {
        for text in [
            "plain\ttext\r\n",
            "\u{feff}with a byte order mark",
            "family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "heart \u{2764}\u{fe0f}, key cap 1\u{fe0f}\u{20e3}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} Alba",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "שלום\u{200f} (hello)",
            "Größe, naïve, 日本語, Ελληνικά",
            "co\u{ad}operate",
        ] {
            assert_eq!(find(text), [], "{text:?}");
            assert_eq!(neutralise(text), text);
        }
    }

    #[test]
    fn escapes_in_json_hide_nothing() {
        for text in [
            r#"{"a":"x\u200by"}"#,
            r#"{"a\u202e":1}"#,
            r#"["\udb40\udc41"]"#,
            r#"{"a":"\u001b[2J"}"#,
            r#"{"a":"\b"}"#,
            "{\"a\":\"x\u{200b}y\"}",
        ] {
            assert!(first_in_json(text.as_bytes()).is_some(), "{text}");
            let clean = neutralise_json(text.as_bytes());
            assert_eq!(first_in_json(&clean), None, "{text}");
        }
        for text in [r#"{"a":"x\ny \u00e4 \"q\" \\u200b"}"#, r#"{"a":[1.50,"b\/c"]}"#] {
            assert_eq!(first_in_json(text.as_bytes()), None, "{text}");
            assert_eq!(neutralise_json(text.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn all_bytes_outside_the_finding_stay() {
        let text = r#"{ "n" : 1.50, "a":"x\u200by", "b":"\u00e4\/" }"#;
        let clean = String::from_utf8(neutralise_json(text.as_bytes())).unwrap();
        assert_eq!(clean, "{ \"n\" : 1.50, \"a\":\"x\u{fffd}y\", \"b\":\"\\u00e4\\/\" }");
    }
}
