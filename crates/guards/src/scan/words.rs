//! What names a value: terms of one or more words, in any language, found in one pass over the view. A key is split where a
//! reader splits it (`customerSSN`, `iban_number`, `kontonummer`), and words are compared whole, so that `tin` is not found in
//! `routing`. Scripts without spaces are searched for terms within their runs.
//!
//! It must not know what a term stands for.

use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::HashMap;

/// A term of the vocabulary, by number.
pub(crate) type TermId = u32;

/// A term in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) term: TermId,
}

/// Longer words are no term's.
const WORD_BYTES_MAX: usize = 40;

/// So many bytes may stand between the words of one term.
const GAP_BYTES_MAX: usize = 3;

/// Terms that may be in the making at one place.
const OPEN_MAX: usize = 4;

/// All terms, ready to be found.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    words: HashMap<Box<[u8]>, u32, Hash>,
    steps: HashMap<(u32, u32), u32, Hash>,
    /// Which term ends in which state.
    ends: Vec<Option<TermId>>,
    /// Terms in scripts that have no spaces.
    unspaced: Option<(AhoCorasick, Vec<TermId>)>,
}

/// Terms on their way to a [`Vocabulary`].
#[derive(Debug, Default)]
pub(crate) struct Terms {
    ids: HashMap<String, TermId>,
    /// By number.
    terms: Vec<String>,
}

/// There is no room for more terms or words.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Terms {
    /// The number of `term`, which is written as in a rule: lower case, words apart.
    pub(crate) fn id(&mut self, term: &str) -> Result<TermId, TooMany> {
        // `api-key` and `api key` are one.
        let words = term.to_lowercase();
        let words: Vec<&str> = words.split([' ', '-', '_']).filter(|word| !word.is_empty()).collect();
        let term = words.join(" ");
        if let Some(known) = self.ids.get(&term) {
            return Ok(*known);
        }
        let next = TermId::try_from(self.terms.len()).map_err(|_| TooMany)?;
        self.terms.push(term.clone());
        self.ids.insert(term, next);
        Ok(next)
    }

    pub(crate) fn build(self) -> Result<Vocabulary, TooMany> {
        let mut vocabulary = Vocabulary {
            words: HashMap::default(),
            steps: HashMap::default(),
            ends: vec![None],
            unspaced: None,
        };
        let mut unspaced = Vec::new();
        let mut unspaced_ids = Vec::new();
        let numbered = || (0..).zip(&self.terms);
        for (id, term) in numbered() {
            if term.chars().any(has_no_spaces) {
                unspaced.push(term.replace(' ', ""));
                unspaced_ids.push(id);
            }
            vocabulary.add(term, id)?;
        }
        // Other ways to write a term come after all terms: where two meet, what somebody wrote down is meant.
        for (id, term) in numbered() {
            vocabulary.add(&without_accents(term), id)?;
        }
        for (id, term) in numbered() {
            // As one word, where it is long enough to be no other.
            let plain = without_accents(term);
            let joined = plain.replace([' ', '-', '\'', '.'], "");
            if joined != plain && joined.len() >= 6 {
                vocabulary.add(&joined, id)?;
            }
        }
        if !unspaced.is_empty() {
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&unspaced)
                .map_err(|_| TooMany)?;
            vocabulary.unspaced = Some((automaton, unspaced_ids));
        }
        Ok(vocabulary)
    }
}

impl Vocabulary {
    fn add(&mut self, term: &str, id: TermId) -> Result<(), TooMany> {
        let mut state = 0;
        // Signs of vowels are no letters, and part of their words.
        for word in term.split(|character: char| character.is_ascii() && !character.is_ascii_alphanumeric()) {
            // As a text is split: letters apart from digits.
            for part in letters_or_digits(word) {
                let next = u32::try_from(self.words.len()).map_err(|_| TooMany)?;
                let word = *self.words.entry(part.as_bytes().into()).or_insert(next);
                let fresh = u32::try_from(self.ends.len()).map_err(|_| TooMany)?;
                state = *self.steps.entry((state, word)).or_insert(fresh);
                if state == fresh {
                    self.ends.push(None);
                }
            }
        }
        if let Some(end) = self.ends.get_mut(state as usize).filter(|_| state != 0) {
            end.get_or_insert(id);
        }
        Ok(())
    }

    /// Finds the terms in `text`, the longest that begins at each place, in order.
    pub(crate) fn find(&self, text: &[u8], hits: &mut Vec<Hit>) {
        let mut open = Open::default();
        let mut at = 0;
        while let Some(rest) = text.get(at..) {
            let Some(begin) = rest.iter().position(|byte| kind(*byte) != Kind::Other) else {
                break;
            };
            let start = at + begin;
            let run = rest.get(begin..).unwrap_or_default();
            let length = run
                .iter()
                .position(|byte| kind(*byte) == Kind::Other)
                .unwrap_or(run.len());
            let run = run.get(..length).unwrap_or_default();
            self.run(text, start, run, &mut open, hits);
            at = start + length;
        }
        hits.sort_unstable_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
        // A word within a longer term is a part of it: `reference number` in `tax reference number`.
        let mut past = 0;
        hits.retain(|hit| {
            let is_within = hit.end <= past;
            past = past.max(hit.end);
            !is_within
        });
    }

    /// A run of letters, digits and bytes beyond ASCII.
    fn run(&self, text: &[u8], start: usize, run: &[u8], open: &mut Open, hits: &mut Vec<Hit>) {
        let mut at = 0;
        while at < run.len() {
            let length = word_length(run.get(at..).unwrap_or_default());
            let word = run.get(at..at + length).unwrap_or_default();
            match word.is_ascii() {
                true => self.word(text, start + at, word, open, hits),
                false => self.foreign(text, start + at, word, open, hits),
            }
            at += length.max(1);
        }
    }

    fn word(&self, text: &[u8], start: usize, word: &[u8], open: &mut Open, hits: &mut Vec<Hit>) {
        let mut lower = [0; WORD_BYTES_MAX];
        let known = match lower.get_mut(..word.len()) {
            Some(lower) if word.first().is_some_and(u8::is_ascii_alphabetic) => {
                lower.copy_from_slice(word);
                lower.make_ascii_lowercase();
                self.words.get(&*lower)
            }
            Some(_) => self.words.get(word),
            None => None,
        };
        self.step(text, start..start + word.len(), known.copied(), open, hits);
    }

    #[cold]
    fn foreign(&self, text: &[u8], start: usize, word: &[u8], open: &mut Open, hits: &mut Vec<Hit>) {
        if let Some((automaton, ids)) = &self.unspaced {
            for found in automaton.find_iter(word) {
                if let Some(term) = ids.get(found.pattern().as_usize()) {
                    hits.push(Hit {
                        start: start + found.start(),
                        end: start + found.end(),
                        term: *term,
                    });
                }
            }
        }
        let lower = String::from_utf8_lossy(word).to_lowercase();
        let known = self.words.get(lower.as_bytes()).copied();
        self.step(text, start..start + word.len(), known, open, hits);
    }

    fn step(&self, text: &[u8], span: std::ops::Range<usize>, word: Option<u32>, open: &mut Open, hits: &mut Vec<Hit>) {
        let Some(word) = word else {
            open.count = 0;
            return;
        };
        let gap = text.get(open.end..span.start).unwrap_or_default();
        if gap.len() > GAP_BYTES_MAX || !gap.iter().all(|byte| b" _-./'".contains(byte)) {
            open.count = 0;
        }
        let begun = std::mem::take(&mut open.count);
        let before = open.states;
        let begun = before.get(..begun).unwrap_or_default();
        for (state, start) in begun.iter().chain([&(0, span.start)]) {
            let Some(next) = self.steps.get(&(*state, word)) else {
                continue;
            };
            if let Some(place) = open.states.get_mut(open.count) {
                *place = (*next, *start);
                open.count += 1;
            }
            if let Some(Some(term)) = self.ends.get(*next as usize) {
                let hit = Hit {
                    start: *start,
                    end: span.end,
                    term: *term,
                };
                // `VAT NO964403449` is a VAT of Norway: what figures follow at once is a part of the value.
                let behind = text.get(span.end..).unwrap_or_default().iter().take(4);
                let is_of_value = behind.len() == 4 && behind.clone().all(u8::is_ascii_digit);
                match hits.last_mut() {
                    Some(last) if last.start == hit.start && is_of_value => {}
                    Some(last) if last.start == hit.start => *last = hit,
                    _ => hits.push(hit),
                }
            }
        }
        open.end = span.end;
    }
}

#[derive(Default)]
struct Open {
    states: [(u32, usize); OPEN_MAX],
    count: usize,
    /// Where the last word ended.
    end: usize,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Kind {
    Lower,
    Upper,
    Digit,
    High,
    Other,
}

const fn kind(byte: u8) -> Kind {
    match byte {
        b'a'..=b'z' => Kind::Lower,
        b'A'..=b'Z' => Kind::Upper,
        b'0'..=b'9' => Kind::Digit,
        0x80.. => Kind::High,
        _ => Kind::Other,
    }
}

/// How long the first word of a run is: `customerSSNumber1` is `customer`, `SS`, `Number`, `1`.
fn word_length(run: &[u8]) -> usize {
    let mut kinds = run.iter().map(|byte| kind(*byte));
    let Some(first) = kinds.next() else { return 0 };
    let mut before = first;
    let mut length = 1;
    for next in kinds {
        let joins = match (before, next) {
            (Kind::Digit, Kind::Digit) | (Kind::Lower | Kind::High, Kind::Lower | Kind::High) => true,
            (Kind::High, Kind::Upper) | (Kind::Upper, Kind::Upper | Kind::High) => true,
            // `Name`, but `SSName` is `SS` and `Name`.
            (Kind::Upper, Kind::Lower) if length > 1 => return length - 1,
            (Kind::Upper, Kind::Lower) => true,
            _ => false,
        };
        if !joins {
            return length;
        }
        before = next;
        length += 1;
    }
    length
}

fn letters_or_digits(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let is_digit = rest.chars().next()?.is_ascii_digit();
        let end = rest
            .find(|character: char| character.is_ascii_digit() != is_digit)
            .unwrap_or(rest.len());
        let (part, behind) = rest.split_at_checked(end)?;
        rest = behind;
        Some(part)
    })
}

fn has_no_spaces(character: char) -> bool {
    matches!(u32::from(character), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af)
}

/// Letters of the Latin script without what is on or below them, as people type them in names of fields.
fn without_accents(text: &str) -> String {
    const FOLDED: [(&str, char); 22] = [
        ("àáâãäåāăą", 'a'),
        ("çćĉċč", 'c'),
        ("ďđð", 'd'),
        ("èéêëēĕėęě", 'e'),
        ("ĝğġģ", 'g'),
        ("ĥħ", 'h'),
        ("ìíîïĩīĭįı", 'i'),
        ("ĵ", 'j'),
        ("ķ", 'k'),
        ("ĺļľŀł", 'l'),
        ("ñńņňŋ", 'n'),
        ("òóôõöøōŏő", 'o'),
        ("ŕŗř", 'r'),
        ("śŝşšș", 's'),
        ("ţťŧț", 't'),
        ("ùúûüũūŭůűų", 'u'),
        ("ŵ", 'w'),
        ("ýÿŷ", 'y'),
        ("źżž", 'z'),
        ("ơ", 'o'),
        ("ư", 'u'),
        ("ạảấầẩẫậắằẳẵặ", 'a'),
    ];
    text.chars()
        .map(|character| {
            let folded = FOLDED.iter().find(|(accented, _)| accented.contains(character));
            folded.map_or(character, |(_, plain)| *plain)
        })
        .collect()
}

/// The table is only asked, never filled, by a text: no word of an attacker's choice makes it slow.
type Hash = foldhash::fast::FixedState;

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(terms: &[&'a str], text: &str) -> Vec<(&'a str, String)> {
        let mut building = Terms::default();
        let ids: Vec<TermId> = terms.iter().map(|term| building.id(term).unwrap()).collect();
        let vocabulary = building.build().unwrap();
        let mut hits = Vec::new();
        vocabulary.find(text.as_bytes(), &mut hits);
        let name = |id| terms[ids.iter().position(|known| *known == id).unwrap()];
        hits.iter()
            .map(|hit| (name(hit.term), text[hit.start..hit.end].to_owned()))
            .collect()
    }

    #[test]
    fn keys_are_split_and_words_compared_whole() {
        let terms = [
            "ssn",
            "social security number",
            "account number",
            "tin",
            "iban",
            "contraseña",
        ];
        for (text, expected) in [
            ("customerSSN", vec![("ssn", "SSN")]),
            ("customer_ssn2", vec![("ssn", "ssn")]),
            ("SSNumber", vec![]),
            ("routing_tint", vec![]),
            (
                "Social-Security  Number:",
                vec![("social security number", "Social-Security  Number")],
            ),
            (
                "socialSecurityNumber",
                vec![("social security number", "socialSecurityNumber")],
            ),
            ("accountnumber", vec![("account number", "accountnumber")]),
            ("account, number", vec![]),
            ("tax account number", vec![("account number", "account number")]),
            ("IBANs IBAN", vec![("iban", "IBAN")]),
            (
                "Contraseña contrasena CONTRASEÑA",
                vec![
                    ("contraseña", "Contraseña"),
                    ("contraseña", "contrasena"),
                    ("contraseña", "CONTRASEÑA"),
                ],
            ),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(term, at)| (term, at.to_owned())).collect();
            assert_eq!(found(&terms, text), expected, "{text}");
        }
    }

    #[test]
    fn the_longest_term_at_a_place_is_meant() {
        assert_eq!(
            found(&["account", "account number", "number"], "account number"),
            [("account number", "account number".to_owned())]
        );
    }

    #[test]
    fn scripts_without_spaces_are_searched() {
        assert_eq!(
            found(&["身份证号码", "пароль"], "我的身份证号码是 Пароль:"),
            [("身份证号码", "身份证号码".to_owned()), ("пароль", "Пароль".to_owned())]
        );
    }
}
