//! Policy files as text: cut into statements and words, so that every problem has its line, all are found at once, and a name
//! in a message can be pointed at. It must not know what the words mean; Cedar's own parser decides what is a policy.

use cedar_policy::EntityUid;
use std::ops::Range;

/// One policy file, as read.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name to show, usually relative to the configuration.
    pub name: String,
    /// The text.
    pub text: String,
}

/// One statement: from its first word (an annotation's `@` or the effect) to its `;`.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Where it stands in the file, in bytes.
    pub(crate) range: Range<usize>,
    /// Its words.
    pub(crate) words: Vec<Word>,
}

/// One word of a statement; its range is in bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) kind: WordKind,
    pub(crate) range: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordKind {
    /// A name, a keyword or a number.
    Name,
    /// A text in quotes.
    Text,
    /// One character of punctuation.
    Mark(u8),
}

/// Cuts a file into statements. Total: what is no policy is a statement all the same, for Cedar to complain about.
pub(crate) fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    for word in (Words { text, at: 0 }) {
        let ends = word.kind == WordKind::Mark(b';');
        words.push(word);
        if ends {
            statements.extend(statement(std::mem::take(&mut words)));
        }
    }
    statements.extend(statement(words));
    statements
}

fn statement(words: Vec<Word>) -> Option<Statement> {
    let start = words.first()?.range.start;
    let end = words.last()?.range.end;
    Some(Statement {
        range: start..end,
        words,
    })
}

struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        loop {
            let rest = self.text.get(self.at..)?;
            let first = rest.chars().next()?;
            if first.is_whitespace() {
                self.at = self.at.saturating_add(first.len_utf8());
            } else if rest.starts_with("//") {
                self.at = self.at.saturating_add(rest.find('\n').unwrap_or(rest.len()));
            } else {
                let (kind, len) = match first {
                    '"' => (WordKind::Text, text_len(rest)),
                    c if is_name(c) => (WordKind::Name, rest.find(|c| !is_name(c)).unwrap_or(rest.len())),
                    c if c.is_ascii() => (WordKind::Mark(rest.as_bytes().first().copied().unwrap_or(0)), 1),
                    c => (WordKind::Mark(0), c.len_utf8()),
                };
                let start = self.at;
                self.at = self.at.saturating_add(len);
                return Some(Word {
                    kind,
                    range: start..self.at,
                });
            }
        }
    }
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Length of the text in quotes that `rest` starts with, to the end of the file where the quote is never closed.
fn text_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at.saturating_add(1),
            _ => {}
        }
    }
    rest.len()
}

impl Statement {
    /// How deep its expressions may nest at most: each of these words nests by one.
    pub(crate) fn depth_bound(&self, text: &str) -> usize {
        let nests = |word: &&Word| match word.kind {
            WordKind::Mark(mark) => b"&|!({[.+-*".contains(&mark),
            WordKind::Name => matches!(text.get(word.range.clone()), Some("if" | "has" | "in" | "is")),
            WordKind::Text => false,
        };
        self.words.iter().filter(nests).count()
    }

    /// Where a template's slot stands, if it has one.
    pub(crate) fn slot(&self) -> Option<usize> {
        let slot = self.words.iter().find(|word| word.kind == WordKind::Mark(b'?'));
        slot.map(|word| word.range.start)
    }

    /// Where an entity stands in it, or the statement's own start where it is written in an unusual way.
    pub(crate) fn find_entity(&self, text: &str, uid: &EntityUid) -> usize {
        let wanted = uid.to_string();
        let found = self.words.windows(4).find(|words| match words {
            [name, _, _, id] => text.get(name.range.start..id.range.end) == Some(wanted.as_str()),
            _ => false,
        });
        found
            .and_then(<[Word]>::first)
            .map_or(self.range.start, |word| word.range.start)
    }

    /// Where a name stands in it as an attribute or annotation, or the statement's own start.
    pub(crate) fn find_name(&self, text: &str, name: &str) -> usize {
        let found = self.words.iter().find(|word| {
            let written = text.get(word.range.clone()).unwrap_or_default();
            match word.kind {
                WordKind::Name => written == name,
                WordKind::Text => written.get(1..written.len().saturating_sub(1)) == Some(name),
                WordKind::Mark(_) => false,
            }
        });
        found.map_or(self.range.start, |word| word.range.start)
    }
}

/// Where the lines of a text begin, so that finding a place takes no second reading of it.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at.saturating_add(1)));
        Self {
            text,
            starts: starts.collect(),
        }
    }

    /// Line and column, both from 1, of a byte of the text; the column counts characters.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|line| self.starts.get(line))
            .copied()
            .unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or_default();
        let column = rest
            .char_indices()
            .take_while(|(at, c)| at.saturating_add(start).saturating_add(c.len_utf8()) <= offset)
            .count();
        (
            u32::try_from(line).unwrap_or(u32::MAX),
            u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_texts_and_comments() {
        let text = "// a; b\n@id(\"x;\\\";\") permit(principal, action, resource); // c;\nforbid (x)\n";
        let found: Vec<&str> = statements(text)
            .iter()
            .map(|statement| &text[statement.range.clone()])
            .collect();
        assert_eq!(
            found,
            ["@id(\"x;\\\";\") permit(principal, action, resource);", "forbid (x)"]
        );
    }

    #[test]
    fn nothing_is_no_statement_and_garbage_is_one() {
        assert!(statements(" // only a comment").is_empty());
        assert_eq!(statements("\"never closed; ").len(), 1);
        assert_eq!(statements("é;ü").len(), 2);
    }

    #[test]
    fn names_and_entities_are_found() {
        let text = "permit(principal, action, resource == Tool::\"a/b\") when { context.x.y };";
        let statements = statements(text);
        let uid: EntityUid = "Tool::\"a/b\"".parse().unwrap();
        let [statement] = statements.as_slice() else { panic!() };
        assert_eq!(&text[statement.find_entity(text, &uid)..][..4], "Tool");
        assert_eq!(&text[statement.find_name(text, "y")..][..1], "y");
        assert_eq!(statement.find_name(text, "nowhere"), 0);
    }

    #[test]
    fn positions_count_characters_from_one() {
        for (text, offset, place) in [
            ("é\nab", 0, (1, 1)),
            ("é\nab", 1, (1, 1)),
            ("éx\nab", 2, (1, 2)),
            ("é\nab", 4, (2, 2)),
            ("a\n", 2, (2, 1)),
            ("", 9, (1, 1)),
        ] {
            assert_eq!(Lines::of(text).position(offset), place, "{text:?} {offset}");
        }
    }
}
