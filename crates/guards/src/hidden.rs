//! Characters that a person does not see and a model reads: tag characters, zero-width characters, bidirectional controls,
//! variation selectors that spell bytes, terminal escapes and other control characters.
//!
//! Most of them have honest uses (emoji, Indic and Arabic spelling, right-to-left text), which are no findings: `context`
//! holds the rules. Characters that stray into honest text now and then (a zero-width space from a web page) are findings
//! only where a text has [`WEAK_MIN`] of them or more: fewer spell nothing.
//!
//! This file must not know where a text comes from, nor what is done about it.

mod context;
mod json;

use context::{Kind, Paragraph};
use std::fmt;
use std::ops::Range;

pub use json::{JsonFinding, first_in_json, neutralise_json, scan_json};

/// Fewer stray invisible characters than this in one text are no finding.
pub const WEAK_MIN: usize = 3;

/// What [`neutralise`] puts in the place of a finding: the replacement character, one for each finding however long. It is
/// visible, means nothing to any parser, and cannot be mistaken for what an author wrote; what stood there is in the finding.
pub const MARK: char = '\u{fffd}';

/// Most findings that [`scan`] and [`scan_json`] return; a text with more is beyond doubt. Neutralising has no such bound.
pub const FINDINGS_MAX: usize = 1_000;

/// The longest terminal string (window title, link) that is taken as one escape, in bytes.
const ESCAPE_BYTES_MAX: usize = 4 << 10;

/// The longest payload that is decoded, in bytes.
const PAYLOAD_BYTES_MAX: usize = 4 << 10;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// U+E0000 to E007F, which mirror ASCII invisibly, outside an emoji flag.
    Tags,
    /// Variation selectors that select nothing: in a row they spell bytes.
    VariationSelectors,
    /// Controls of the bidirectional algorithm that make text read otherwise than it is stored.
    Bidi,
    /// Characters without width, fillers and soft hyphens where they have no use.
    ZeroWidth,
    /// A terminal escape sequence (ECMA-48), 7 or 8 bit.
    Escape,
    /// Another C0 or C1 control or DEL, save tab, line feed and carriage return.
    Control,
}

impl Class {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Tags,
        Self::VariationSelectors,
        Self::Bidi,
        Self::ZeroWidth,
        Self::Escape,
        Self::Control,
    ];

    /// The word for it in configuration, metrics and record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tags => "tag-characters",
            Self::VariationSelectors => "variation-selectors",
            Self::Bidi => "bidi-control",
            Self::ZeroWidth => "zero-width",
            Self::Escape => "terminal-escape",
            Self::Control => "control-character",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run of hidden characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What they are.
    pub class: Class,
    /// Where they stand: byte offsets into the text that was looked at, on character boundaries.
    pub span: Range<usize>,
    /// What they spell, where they spell something printable. Hostile text: to be looked at, never to be followed.
    pub payload: Option<String>,
}

/// Finds hidden characters, at most [`FINDINGS_MAX`], in order.
#[must_use]
pub fn scan(text: &str) -> Vec<Finding> {
    findings(text).take(FINDINGS_MAX).collect()
}

/// `text` with each of `findings`, which are in order as [`scan`] gave them, replaced by [`MARK`].
#[must_use]
pub fn neutralise(text: &str, findings: &[Finding]) -> String {
    replace(text, findings.iter().map(|finding| finding.span.clone()))
}

/// `text` with all that is hidden in it replaced by [`MARK`], however much it is.
#[must_use]
pub fn neutralise_all(text: &str) -> String {
    replace(text, findings(text).map(|finding| finding.span))
}

fn replace(text: &str, spans: impl Iterator<Item = Range<usize>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        out.push_str(text.get(at..span.start).unwrap_or_default());
        out.push(MARK);
        at = span.end.max(at);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// All findings, lazily.
fn findings(text: &str) -> Findings<'_> {
    Findings {
        runs: Runs::new(text),
        counts: None,
    }
}

/// Runs of suspects; of the weak ones only where there are enough.
struct Findings<'a> {
    runs: Runs<'a>,
    /// Whether weak suspects count in this text; found out at the first.
    counts: Option<bool>,
}

impl Iterator for Findings<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        loop {
            let run = self.runs.next()?;
            let text = self.runs.text;
            let counts = run.weak == 0
                || *self.counts.get_or_insert_with(|| {
                    let mut total = 0usize;
                    Runs::new(text).any(|run| {
                        total += run.weak;
                        total >= WEAK_MIN
                    })
                });
            if counts {
                return Some(Finding {
                    payload: payload(run.class, text.get(run.span.clone()).unwrap_or_default()),
                    class: run.class,
                    span: run.span,
                });
            }
        }
    }
}

/// A run of characters that have no honest use where they stand.
struct Run {
    class: Class,
    span: Range<usize>,
    /// How many stray characters it is; 0 when it is a finding by itself.
    weak: usize,
}

struct Runs<'a> {
    text: &'a str,
    at: usize,
    paragraph: Paragraph,
}

impl<'a> Runs<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            paragraph: Paragraph::default(),
        }
    }

    /// The character at `at`, with what it may be.
    fn look(&self, at: usize) -> Option<(char, Kind)> {
        let character = self.text.get(at..)?.chars().next()?;
        Some((character, Kind::of(character)?))
    }

    fn before(&self, at: usize) -> Option<char> {
        self.text.get(..at)?.chars().next_back()
    }

    /// The offset behind the characters from `at` on that are of `kind`.
    fn end_of(&self, at: usize, kind: Kind) -> usize {
        let mut end = at;
        while let Some((character, found)) = self.look(end)
            && found == kind
        {
            end += character.len_utf8();
        }
        end
    }

    /// The run that starts at `at` with a character of `kind`; or, as an error, the offset to go on from.
    fn run(&mut self, at: usize, character: char, kind: Kind) -> Result<Run, usize> {
        let behind = at + character.len_utf8();
        let strong = |class, end| {
            Ok(Run {
                class,
                span: at..end,
                weak: 0,
            })
        };
        match kind {
            Kind::Tag => {
                let end = self.end_of(at, kind);
                let tags = self.text.get(at..end).unwrap_or_default();
                match context::flag(self.before(at), tags) {
                    // What follows the flag in the same run is not part of it.
                    Some(length) => Err(at + length),
                    None => strong(Class::Tags, end),
                }
            }
            Kind::Variation => {
                let end = self.end_of(at, kind);
                let selects = context::selects(self.before(at), character);
                // Editors are seen to double the emoji selector; that spells nothing.
                let is_double = selects && self.text.get(at..end) == Some("\u{fe0f}\u{fe0f}");
                if end > behind && !is_double {
                    return strong(Class::VariationSelectors, end);
                }
                match selects {
                    true => Err(end),
                    false => Ok(Run {
                        class: Class::VariationSelectors,
                        span: at..end,
                        weak: 1,
                    }),
                }
            }
            Kind::Bidi => {
                self.paragraph.enter(self.text, at);
                match self.paragraph.is_paired(self.text, at) {
                    true => Err(behind),
                    false => strong(Class::Bidi, behind),
                }
            }
            Kind::Escape => match escape_end(self.text, at) {
                Some(end) => strong(Class::Escape, end),
                None => strong(Class::Control, behind),
            },
            Kind::Control => strong(Class::Control, self.end_of(at, kind)),
            Kind::DirectionMark | Kind::Invisible => {
                let mut end = at;
                let mut weak = 0;
                while let Some((character, kind)) = self.look(end)
                    && matches!(kind, Kind::DirectionMark | Kind::Invisible)
                    && !self.is_honest(end, character, kind)
                {
                    end += character.len_utf8();
                    weak += 1;
                }
                match weak {
                    0 => Err(behind),
                    weak => Ok(Run {
                        class: Class::ZeroWidth,
                        span: at..end,
                        weak,
                    }),
                }
            }
        }
    }

    fn is_honest(&mut self, at: usize, character: char, kind: Kind) -> bool {
        if kind == Kind::DirectionMark {
            self.paragraph.enter(self.text, at);
            return self.paragraph.is_right_to_left();
        }
        let (before, from) = self.text.split_at_checked(at).unwrap_or_default();
        let mut behind = from.chars();
        behind.next();
        context::is_of_use(before, character, behind.as_str())
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            self.at += rest.iter().position(|byte| context::may_begin_hidden(*byte))?;
            match self.look(self.at) {
                None => {
                    let step = self.text.get(self.at..)?.chars().next()?.len_utf8();
                    self.at += step;
                }
                Some((character, kind)) => match self.run(self.at, character, kind) {
                    Ok(run) => {
                        self.at = run.span.end;
                        return Some(run);
                    }
                    Err(end) => self.at = end,
                },
            }
        }
    }
}

/// The offset behind the escape sequence that starts at `at` (ECMA-48 sections 5.4 to 5.6); `None` when none follows.
fn escape_end(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let (introducer, body) = match rest.strip_prefix('\u{1b}') {
        Some(behind) => {
            let introducer = behind.bytes().next()?;
            if !matches!(introducer, b' '..=b'~') {
                return None;
            }
            (introducer, behind.get(1..)?)
        }
        // The 8-bit forms stand for ESC and the character 0x40 below.
        None => {
            let mut characters = rest.chars();
            let introducer = u8::try_from(u32::from(characters.next()?)).ok()?.checked_sub(0x40)?;
            (introducer, characters.as_str())
        }
    };
    let body_at = text.len() - body.len();
    let bytes = body.as_bytes();
    match introducer {
        b'[' => {
            let end = bytes.iter().position(|byte| !matches!(byte, 0x20..=0x3f));
            match end.and_then(|end| Some((end, bytes.get(end)?))) {
                Some((end, 0x40..=0x7e)) => Some(body_at + end + 1),
                Some((end, _)) => Some(body_at + end),
                None => Some(text.len()),
            }
        }
        // Strings: operating system command, device control, privacy message, application command, start of string.
        b']' | b'P' | b'^' | b'_' | b'X' => {
            for (offset, character) in body.char_indices() {
                let ends = match character {
                    '\u{7}' | '\u{9c}' => offset + character.len_utf8(),
                    '\u{1b}' if bytes.get(offset + 1) == Some(&b'\\') => offset + 2,
                    // Another escape ends the string unfinished; so does a line's end, where honest ones never go on.
                    _ if character == '\n' || offset >= ESCAPE_BYTES_MAX => break,
                    _ if Kind::of(character) == Some(Kind::Escape) => break,
                    _ => continue,
                };
                return Some(body_at + ends);
            }
            // Not ended: what follows is text for all that one can tell.
            Some(body_at)
        }
        // Intermediates and a final character, as in `ESC ( B`.
        b' '..=b'/' => {
            let end = bytes.iter().position(|byte| !matches!(byte, b' '..=b'/'));
            match end.and_then(|end| Some((end, bytes.get(end)?))) {
                Some((end, b'0'..=b'~')) => Some(body_at + end + 1),
                _ => Some(body_at),
            }
        }
        _ => Some(body_at),
    }
}

/// What the characters of a run spell, if it is printable and more than one character.
fn payload(class: Class, run: &str) -> Option<String> {
    let bytes: Vec<u8> = match class {
        Class::Tags => run
            .chars()
            .filter_map(|tag| u8::try_from(u32::from(tag) - 0xe0000).ok())
            .filter(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
            .take(PAYLOAD_BYTES_MAX)
            .collect(),
        Class::VariationSelectors => run
            .chars()
            .filter_map(|selector| match u32::from(selector) {
                one @ 0xfe00..=0xfe0f => u8::try_from(one - 0xfe00).ok(),
                one => u8::try_from(one.wrapping_sub(0xe0100) + 16).ok(),
            })
            .take(PAYLOAD_BYTES_MAX)
            .collect(),
        Class::ZeroWidth => return bits(run),
        Class::Bidi | Class::Escape | Class::Control => return None,
    };
    printable(bytes)
}

/// Text of at least two characters, none of them a control or itself invisible.
fn printable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let readable = text.chars().nth(1).is_some()
        && text
            .chars()
            .all(|one| matches!(one, '\n' | '\t') || Kind::of(one).is_none());
    readable.then_some(text)
}

/// Two zero-width characters can spell bits; which of them is 1 is tried out. The most significant bit first.
fn bits(run: &str) -> Option<String> {
    let zero = run.chars().next()?;
    let one = run.chars().find(|other| *other != zero)?;
    if run.chars().any(|other| other != zero && other != one) {
        return None;
    }
    let bits: Vec<u8> = run
        .chars()
        .map(|bit| u8::from(bit == one))
        .take(PAYLOAD_BYTES_MAX * 8)
        .collect();
    let spell = |flip: u8| {
        let bytes = bits
            .chunks_exact(8)
            .map(|byte| byte.iter().fold(0, |value, bit| value << 1 | (bit ^ flip)));
        printable(bytes.collect())
    };
    spell(0).or_else(|| spell(1))
}

#[cfg(test)]
#[path = "hidden/tests.rs"]
mod tests;
