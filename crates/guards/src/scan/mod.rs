//! Secrets and personal data in a text, found by form, check and structure; no model, no entropy alone.
//!
//! One normalised view ([`view`]), one pass for the words that name something ([`words`]), one for what is known by its own
//! form; then each word's value is looked up where structure says that it stands ([`place`]). Work is bounded by the length of
//! the text. It must not know what is done about a finding.

mod addresses;
mod checks;
mod class;
mod code;
mod credentials;
mod decode;
mod fields;
mod findings;
mod issued;
mod joints;
mod kinds;
mod pattern;
mod peek;
mod pem;
mod place;
mod placeholders;
mod proofs;
mod rules;
mod secrets;
mod settle;
mod shape;
mod standins;
mod tables;
pub(crate) mod view;
mod words;
mod work;

pub use class::{Class, Family};
pub use findings::{Confidence, Context, Finding, Findings, Form, IsExempt, Limit, class_within};
pub use rules::{RuleError, Rules};
pub(crate) use settle::{HASH_LETTERS, HASH_SIGN, marks};

use aho_corasick::{AhoCorasick, Input, MatchKind};
use kinds::{Kinds, Map};
use peek::ahead;
use place::{Bond, Place, Scope};
use proofs::{Group, Made, Proofs};
use rules::{Identifier, Token};
use std::collections::HashMap;
use std::ops::Range;
use tables::Tables;
use view::View;
use words::{Hit, TermId, Terms, Vocabulary};
use work::Meter;

/// The longest text that is looked at, in bytes; of a longer one the rest is not.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// Most findings of one text. One with as many may have more.
pub const FINDINGS_MAX: usize = 100_000;

/// Encodings are undone to this depth.
const LEVELS_MAX: usize = 3;

/// Rules, compiled.
#[derive(Debug)]
pub struct Scanner {
    rules: Rules,
    vocabulary: Vocabulary,
    /// By term.
    meanings: Vec<Vec<Meaning>>,
    /// Tokens by the first three bytes of a prefix.
    prefixes: HashMap<[u8; 3], Vec<(usize, usize)>, words::Hash>,
    /// A bit for each hash of three bytes that some prefix begins with.
    begins: Box<[u64; 1024]>,
    /// Tokens whose fixed part is in the middle, and those parts.
    anchors: Option<AhoCorasick>,
    anchored: Vec<(usize, Box<[u8]>)>,
    /// Forms that are proof.
    proofs: Proofs,
}

/// What a term says of the value that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// It may be this identifier.
    Identifier(usize),
    /// It may be this token, which has no prefix.
    Token(usize),
    /// It is a name of the issuer of this token, or begins with one.
    Issued(usize),
    /// It may be such a field.
    Field(usize),
    /// It is a secret, by the rule of this index.
    Secret(usize),
    /// It is no secret, though a part of the term says so.
    Harmless,
    /// It is another kind of number.
    Veto,
}

/// A finding on the view.
#[derive(Debug, Clone)]
struct Found<'a> {
    class: Class,
    rule: &'a str,
    confidence: Confidence,
    span: Range<usize>,
    /// Whether it counts only where the row that it stands in has more to say of somebody.
    wants_company: bool,
}

impl<'a> Found<'a> {
    const fn new(class: Class, rule: &'a str, confidence: Confidence, span: Range<usize>) -> Self {
        Self {
            class,
            rule,
            confidence,
            span,
            wants_company: false,
        }
    }
}

impl From<Bond> for Confidence {
    fn from(bond: Bond) -> Self {
        match bond {
            Bond::Near => Self::Likely,
            Bond::Column | Bond::Key => Self::Sure,
        }
    }
}

/// A named value begins so near the beginning of its scope.
const GROUPS_BYTES_MAX: usize = 512;

/// So many groups of a named value are tried.
const GROUPS_MAX: usize = 12;

/// A veto is so near.
const VETO_BYTES_MAX: usize = 24;

impl Scanner {
    /// Compiles `rules`.
    ///
    /// # Errors
    /// Too many rules.
    pub fn new(rules: Rules) -> Result<Self, RuleError> {
        let too_many = |_| RuleError::Rule {
            rule: "all".to_owned(),
            what: "too many words; hint: leave out what you do not need".to_owned(),
        };
        let mut terms = Terms::default();
        let mut meanings: Vec<Vec<Meaning>> = Vec::new();
        let mut mean = |word: &str, meaning: Meaning| -> Result<(), words::TooMany> {
            let id = terms.id(word)? as usize;
            if meanings.len() <= id {
                meanings.resize(id + 1, Vec::new());
            }
            if let Some(known) = meanings.get_mut(id).filter(|known| !known.contains(&meaning)) {
                known.push(meaning);
            }
            Ok(())
        };
        for (index, identifier) in rules.identifiers.iter().enumerate() {
            for word in &identifier.words {
                mean(word, Meaning::Identifier(index)).map_err(too_many)?;
            }
        }
        for (index, token) in rules.tokens.iter().enumerate() {
            for word in &token.near {
                mean(word, Meaning::Token(index)).map_err(too_many)?;
            }
        }
        let issued = rules.issued();
        for (name, index) in &issued {
            mean(name, Meaning::Issued(*index)).map_err(too_many)?;
        }
        // A longer term has the place of the name in it.
        for word in rules.tokens.iter().flat_map(|token| &token.near) {
            for (_, index) in issued.iter().filter(|(name, _)| issued::is_begun(word, name)) {
                mean(word, Meaning::Issued(*index)).map_err(too_many)?;
            }
        }
        for (index, field) in rules.fields.iter().enumerate() {
            for word in &field.words {
                mean(word, Meaning::Field(index)).map_err(too_many)?;
            }
        }
        for (index, named) in rules.secrets.iter().enumerate() {
            for word in &named.words {
                mean(word, Meaning::Secret(index)).map_err(too_many)?;
            }
        }
        for word in &rules.harmless {
            mean(word, Meaning::Harmless).map_err(too_many)?;
        }
        for word in &rules.vetoes {
            mean(word, Meaning::Veto).map_err(too_many)?;
        }
        for issuers in &rules.issuers {
            let names = issuers.names.iter().map(|(_, names)| names.as_slice());
            let ids = terms.pairs(names, &issuers.words).map_err(too_many)?;
            for (id, (token, names)) in ids.into_iter().zip(&issuers.names) {
                let id = id as usize;
                meanings.resize(meanings.len().max(id + 1), Vec::new());
                if let Some(meanings) = meanings.get_mut(id) {
                    meanings.push(Meaning::Token(*token));
                    let own = issued.iter().filter(|(name, _)| names.contains(name));
                    meanings.extend(own.map(|(_, index)| Meaning::Issued(*index)));
                }
            }
        }
        let mut vocabulary = terms.build().map_err(too_many)?;
        for (own, pair) in std::mem::take(&mut vocabulary.twice) {
            let more = meanings.get(pair as usize).cloned().unwrap_or_default();
            if let Some(own) = meanings.get_mut(own as usize) {
                own.extend(
                    more.into_iter()
                        .filter(|meaning| !own.contains(meaning))
                        .collect::<Vec<_>>(),
                );
            }
        }
        let mut scanner = Self {
            vocabulary,
            meanings,
            prefixes: HashMap::default(),
            begins: Box::new([0; 1024]),
            anchors: None,
            anchored: Vec::new(),
            proofs: Proofs::of(&rules),
            rules,
        };
        scanner.index();
        Ok(scanner)
    }

    fn index(&mut self) {
        for (index, token) in self.rules.tokens.iter().enumerate() {
            if token.before.is_some() {
                self.anchored
                    .extend(token.prefix.iter().map(|prefix| (index, prefix.clone())));
                continue;
            }
            for (at, prefix) in token.prefix.iter().enumerate() {
                let Some(first) = prefix.first_chunk::<3>() else {
                    continue;
                };
                self.prefixes.entry(*first).or_default().push((index, at));
                let bit = hash(*first);
                if let Some(word) = self.begins.get_mut(bit / 64) {
                    *word |= 1 << (bit % 64);
                }
            }
        }
        // Nothing but too many could fail.
        let anchors = self.anchored.iter().map(|(_, anchor)| anchor);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(anchors);
        self.anchors = automaton.ok().filter(|_| !self.anchored.is_empty());
    }

    /// Finds secrets and personal data in `text`, which has this `form`, at most [`FINDINGS_MAX`], in order, none within another.
    /// `context` has what changes at run time: what is exempt, and how much work may be done.
    #[must_use]
    pub fn scan(&self, text: &[u8], form: Form, context: &Context<'_>) -> Findings<'_> {
        let whole = text.len();
        let text = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
        // For all that is wrapped in it too, at every depth.
        let mut meter = Meter::new(text.len(), context.fuel(text.len()));
        let mut findings = self.looked_through(text, 0, &mut meter);
        context.exempt(text, form, &mut findings);
        if findings.len() >= FINDINGS_MAX {
            meter.hits(Limit::Findings);
        }
        if text.len() < whole {
            meter.hits(Limit::Length);
        }
        Findings::new(findings, form, meter.limit())
    }

    fn looked_through(&self, text: &[u8], level: usize, meter: &mut Meter) -> Vec<Finding<'_>> {
        let text = meter.looks_at(text);
        let view = View::new(text);
        let seen = view.text();
        let kinds = Map::of(seen);
        let mut hits = Vec::new();
        self.vocabulary.find(seen, &kinds, &mut hits);
        // What stands in the place of something that was found before is not found again, and names nothing unless it is written as
        // a key: a server could hide a value behind it.
        let is_key = |hit: &Hit| {
            matches!(
                ahead(seen, hit.end, 3),
                [b']', b':' | b'=', ..] | [b']', b' ', b':' | b'=']
            )
        };
        let marks: Vec<Range<usize>> = marks(seen).map(|(_, mark)| mark).collect();
        if !marks.is_empty() {
            hits.retain(|hit| is_key(hit) || !settle::is_within(&marks, &(hit.start..hit.end)));
        }
        let mut found = Vec::new();
        self.by_form(seen, &kinds, &mut found);
        found.retain(|found| found.confidence == Confidence::Certain || !self.is_vetoed(seen, &hits, &found.span));
        self.by_middle(seen, &mut found);
        self.by_name(seen, &kinds, &hits, &marks, meter, &mut found);
        addresses::find(seen, &kinds, &mut found);
        credentials::find(seen, &kinds, &mut found);
        pem::find(seen, &mut found);
        zones(seen, &mut found);
        for plus in memchr::memchr_iter(b'+', seen) {
            if let Some(span) = fields::international(seen, plus) {
                found.push(Found::new(Class::Phone, "phone-international", Confidence::Sure, span));
            }
        }
        if level < LEVELS_MAX {
            self.within(seen, &kinds, level, meter, &mut found);
        }
        found.retain(|found| !settle::is_within(&marks, &found.span));
        settle::strangers(seen, &mut found);
        settle::overlaps(&mut found);
        settle::beside_marks(seen, &marks, &mut found);
        let mut past = 0;
        let findings = found.into_iter().filter_map(|found| {
            let mut span = view.original(&found.span);
            // What is widened to whole characters, or was left over beside another, begins behind the one before.
            span.start = span.start.max(past);
            past = past.max(span.end);
            (!span.is_empty()).then_some(Finding {
                class: found.class,
                rule: found.rule,
                confidence: found.confidence,
                span,
                is_exempt: false,
            })
        });
        findings.collect()
    }

    /// What is wrapped in an encoding: the whole of what is wrapped is found, if what is in it is beyond doubt.
    fn within<'a>(&'a self, text: &[u8], kinds: &Map, level: usize, meter: &mut Meter, found: &mut Vec<Found<'a>>) {
        // What is a token as it stands is not taken apart.
        let certain = found
            .iter()
            .filter(|found| found.confidence == Confidence::Certain && found.class.family() == Family::Secrets);
        let mut tokens: Vec<Range<usize>> = certain.map(|found| found.span.clone()).collect();
        tokens.sort_unstable_by_key(|token| token.start);
        let known = |run: &Range<usize>| settle::is_within(&tokens, run);
        decode::find(text, kinds, known, meter, |span, inside, meter| {
            let surest = match inside {
                decode::Inside::PrivateKey => Some((Class::PrivateKey, "private-key-der")),
                decode::Inside::Text(inside) => {
                    let found = self.looked_through(&inside, level + 1, meter);
                    let sure = found.iter().filter(|found| found.confidence > Confidence::Likely);
                    sure.max_by_key(|found| found.confidence)
                        .map(|found| (found.class, found.rule))
                }
            };
            if let Some((class, rule)) = surest {
                found.push(Found::new(class, rule, Confidence::Certain, span));
            }
        });
    }

    /// What is known by its own form.
    fn by_form<'a>(&'a self, text: &[u8], map: &Map, found: &mut Vec<Found<'a>>) {
        for (begin, block) in map.blocks() {
            let ends = block.ends_of_groups();
            for bit in kinds::bits(block.groups) {
                let start = begin + bit;
                let length = kinds::length(bit, ends).unwrap_or_else(|| map.length(start, Kinds::ends_of_groups));
                self.tokens_at(text, start, found);
                let digits = match bit + length {
                    ..=kinds::BLOCK => kinds::have(block.digits, bit, length),
                    _ => map.have(start, length, |kinds| kinds.digits),
                };
                let made = match digits {
                    (false, _) => Made::Letters,
                    (_, false) => Made::Digits,
                    _ => Made::Both,
                };
                let group = Group { start, length, made };
                self.proofs.of_group(text, &group, |identifier, form| {
                    let identifier = self.rules.identifiers.get(identifier);
                    let Some((identifier, form)) = identifier.and_then(|one| Some((one, one.forms.get(form)?))) else {
                        return;
                    };
                    if let Some(span) = matched(identifier, &form.pattern, text, start) {
                        found.push(Found::new(identifier.class, &identifier.id, Confidence::Sure, span));
                    }
                });
            }
        }
    }

    fn tokens_at<'a>(&'a self, text: &[u8], start: usize, found: &mut Vec<Found<'a>>) {
        let Some(rest) = text.get(start..) else { return };
        let Some(first) = rest.first_chunk::<3>() else { return };
        let bit = hash(*first);
        if self.begins.get(bit / 64).is_none_or(|word| word >> (bit % 64) & 1 == 0) {
            return;
        }
        for (index, prefix) in self.prefixes.get(first).into_iter().flatten() {
            let Some(token) = self.rules.tokens.get(*index) else {
                continue;
            };
            let Some(prefix) = token.prefix.get(*prefix) else {
                continue;
            };
            // Many begin with `https://`: the last byte tells most of them apart.
            if rest.get(prefix.len() - 1) != prefix.last() || !token.near.is_empty() {
                continue;
            }
            let Some(body) = rest.strip_prefix(&**prefix) else {
                continue;
            };
            let reached = token.body_reached(body);
            let end = prefix.len() + reached.unwrap_or_else(|length| length);
            let whole = reached.is_ok().then_some(end);
            let whole = whole.filter(|length| token.is_right(rest.get(..*length)));
            let length = joints::length(token, prefix.len(), rest, end, whole.is_some()).or(whole);
            if let Some(length) = length {
                found.push(Found::new(
                    token.class,
                    &token.id,
                    Confidence::Certain,
                    start..start + length,
                ));
            }
        }
    }

    /// Tokens whose fixed part is in the middle.
    fn by_middle<'a>(&'a self, text: &[u8], found: &mut Vec<Found<'a>>) {
        let Some(anchors) = &self.anchors else { return };
        let mut at = 0;
        // The next, whatever it overlaps with.
        while let Some(first) = anchors.find(Input::new(text).range(at..)) {
            at = first.start() + 1;
            self.around_middle(text, first.start(), found);
        }
    }

    /// Tokens whose fixed part stands at `from`.
    fn around_middle<'a>(&'a self, text: &[u8], from: usize, found: &mut Vec<Found<'a>>) {
        for (index, middle) in &self.anchored {
            let behind = text.get(from..).and_then(|rest| rest.strip_prefix(&**middle));
            let (Some(behind), Some(token)) = (behind, self.rules.tokens.get(*index)) else {
                continue;
            };
            let Some(before) = token.before.as_ref() else {
                continue;
            };
            let start = (before.length_min()..=before.length_max().min(256))
                .rev()
                .find_map(|length| {
                    let start = from.checked_sub(length)?;
                    let is_cut = peek::before(text, start).is_some_and(|byte| byte.is_ascii_alphanumeric());
                    (!is_cut && before.matched(text.get(start..from)?) == Some(length)).then_some(start)
                });
            let (Some(start), Some(length)) = (start, token.body_length(behind)) else {
                continue;
            };
            let span = start..from + middle.len() + length;
            if token.near.is_empty() && token.is_right(text.get(span.clone())) {
                found.push(Found::new(token.class, &token.id, Confidence::Certain, span));
            }
        }
    }

    /// What a word names.
    fn by_name<'a>(
        &'a self,
        text: &[u8],
        map: &Map,
        hits: &[Hit],
        marks: &[Range<usize>],
        meter: &mut Meter,
        found: &mut Vec<Found<'a>>,
    ) {
        let mut tables = Tables::of(text);
        let mut work = meter.begin(text);
        for (order, hit) in hits.iter().enumerate() {
            let Some(meanings) = self.meanings.get(hit.term as usize) else {
                continue;
            };
            let names = |meaning: &Meaning| !matches!(meaning, Meaning::Veto | Meaning::Harmless);
            if !meanings.iter().any(names) {
                continue;
            }
            let word = hit.start..hit.end;
            let known = found.len();
            let mut is_issued = true;
            for meaning in meanings {
                match meaning {
                    Meaning::Issued(index) => self.issued(*index, text, &word, found),
                    _ => is_issued = false,
                }
            }
            // A name alone says no more.
            if is_issued {
                continue;
            }
            let mut is_found = found.len() > known;
            let place = Place::of(text, &word);
            let key = place.key();
            let neighbours = hits
                .get(order.saturating_sub(8)..(order + 8).min(hits.len()))
                .unwrap_or_default();
            let says = |wanted: Meaning, span: &Range<usize>| {
                neighbours
                    .iter()
                    .any(|other| other.start >= span.start && other.end <= span.end && self.means(other.term, wanted))
            };
            let mut scopes: Vec<Scope> = place.value().into_iter().collect();
            if scopes.is_empty() {
                scopes.extend(tables.cells(&word).iter().map(|cell| Scope {
                    span: cell.clone(),
                    bond: Bond::Column,
                    is_closed: true,
                }));
            }
            // A part of a longer word may be a key's; in prose it is chance, as in Base64.
            let is_letter = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric);
            let is_alone =
                !is_letter(word.start.checked_sub(1)) && !is_letter(Some(word.end)) && !is_host(text, word.end);
            // A key has its own value, or none; only a token is looked for behind it, too.
            let wants_near = scopes.is_empty() || meanings.iter().any(|meaning| matches!(meaning, Meaning::Token(_)));
            let sentence = (wants_near && is_alone).then(|| place.near(&word));
            let sentence = sentence.as_ref().map(<[Scope; 2]>::as_slice).unwrap_or_default();
            // What a mark follows has its value there, and none before it.
            let is_answered = marks
                .get(marks.partition_point(|mark| mark.start < word.end))
                .is_some_and(|mark| is_joined(text, word.end..mark.start));
            let near = if is_answered {
                sentence.get(..1).unwrap_or_default()
            } else {
                sentence
            };
            // What names a key of an issuer names one that has another form than we know, too.
            let mut length_min = None;
            for meaning in meanings {
                match meaning {
                    Meaning::Identifier(index) => {
                        let Some(identifier) = self.rules.identifiers.get(*index) else {
                            continue;
                        };
                        // What another number's name stands before is that number.
                        let vetoed = |span: &Range<usize>| says(Meaning::Veto, &(word.end..span.start));
                        // What heads a column may hold a value of its own.
                        let is_column = scopes.first().is_some_and(|scope| scope.bond == Bond::Column);
                        let own = is_column.then(|| Scope {
                            span: word.end..word.end + cell_length(ahead(text, word.end, GROUPS_BYTES_MAX)),
                            bond: Bond::Near,
                            is_closed: false,
                        });
                        let near = if is_column { own.as_slice() } else { near };
                        identified(identifier, text, map, &scopes, near, vetoed, found);
                    }
                    Meaning::Token(index) => {
                        let Some(token) = self.rules.tokens.get(*index) else {
                            continue;
                        };
                        let all = scopes.iter().chain(near);
                        let is_formless = token.prefix.is_empty() && token.near.is_empty();
                        if is_formless {
                            length_min = Some(0);
                        } else if length_min.is_none() && text.get(word.clone()).is_some_and(issued::is_for_key) {
                            length_min = Some(issued::OTHER_KEY_BYTES_MIN);
                        }
                        let span = all.into_iter().find_map(|scope| {
                            let span = token_in(token, text, map, &scope.span)?;
                            Some(issued::value(token, text, scope, span))
                        });
                        if let Some(span) = span {
                            is_found = true;
                            found.push(Found::new(token.class, &token.id, Confidence::Sure, span));
                        }
                    }
                    Meaning::Issued(_) => {}
                    Meaning::Field(index) => {
                        let Some(field) = self.rules.fields.get(*index) else {
                            continue;
                        };
                        let is_thing =
                            field.class == Class::Person && text.get(key.start..word.start).is_some_and(is_of_things);
                        if is_thing || text.get(key.clone()).is_some_and(fields::is_hexadecimal) {
                            continue;
                        }
                        let vetoed = |span: &Range<usize>| says(Meaning::Veto, &(word.end..span.start));
                        fielded(field, text, map, &scopes, near, vetoed, found);
                    }
                    Meaning::Secret(index) => {
                        let Some(named) = self.rules.secrets.get(*index) else {
                            continue;
                        };
                        if says(Meaning::Harmless, &key) {
                            continue;
                        }
                        secrets::named(named.class, text, &word, &scopes, &mut work, found);
                    }
                    Meaning::Harmless | Meaning::Veto => {}
                }
            }
            if let Some(length_min) = length_min
                && !is_found
                && !scopes.is_empty()
                && !meanings.iter().any(|meaning| matches!(meaning, Meaning::Secret(_)))
                && !says(Meaning::Harmless, &key)
            {
                let known = found.len();
                secrets::named(Class::GenericSecret, text, &word, &scopes, &mut work, found);
                let others = found.split_off(known);
                found.extend(others.into_iter().filter(|found| found.span.len() >= length_min));
            }
        }
        meter.end(&work);
    }

    /// The key of an issuer whose name a term is or begins with.
    #[inline(never)]
    fn issued<'a>(&'a self, index: usize, text: &[u8], word: &Range<usize>, found: &mut Vec<Found<'a>>) {
        let token = self.rules.tokens.get(index);
        let one = token.and_then(|token| Some((token, issued::find(token, text, word)?)));
        found.extend(one.map(|(token, (span, sure))| Found::new(token.class, &token.id, sure, span)));
    }

    /// Whether the last word before a value, in its sentence, says that it is another kind of number.
    fn is_vetoed(&self, text: &[u8], hits: &[Hit], span: &Range<usize>) -> bool {
        let behind = hits.partition_point(|hit| hit.end <= span.start);
        let last = behind.checked_sub(1).and_then(|last| hits.get(last));
        last.is_some_and(|hit| {
            let between = text.get(hit.end..span.start).unwrap_or_default();
            let is_one = between.len() <= VETO_BYTES_MAX
                && !between.iter().any(|byte| matches!(byte, b'\n' | b',' | b';' | b'}'));
            is_one && self.means(hit.term, Meaning::Veto)
        })
    }

    fn means(&self, term: TermId, wanted: Meaning) -> bool {
        self.meanings
            .get(term as usize)
            .is_some_and(|meanings| meanings.contains(&wanted))
    }
}

/// `dl.acm.org`: a word that a name of a host begins with.
fn is_host(text: &[u8], at: usize) -> bool {
    matches!(text.get(at..at + 2), Some([b'.', next]) if next.is_ascii_alphabetic())
}

/// How far it is to the end of the cell of a table.
fn cell_length(text: &[u8]) -> usize {
    let ends = |byte: &u8| matches!(byte, b'"' | b'\'' | b',' | b';' | b'|' | b'\t' | b'\n' | b')' | b']');
    text.iter().position(ends).unwrap_or(text.len())
}

/// Whether nothing but what joins a word to its value stands in `between`.
fn is_joined(text: &[u8], between: Range<usize>) -> bool {
    let between = text.get(between).unwrap_or_default();
    between.len() <= VETO_BYTES_MAX && !between.iter().any(|byte| byte.is_ascii_alphanumeric() || *byte == b',')
}

const fn hash(bytes: [u8; 3]) -> usize {
    let [first, second, third] = bytes;
    let mixed = u32::from_le_bytes([first, second, third, 0]).wrapping_mul(0x9e37_79b9);
    (mixed >> 16) as usize
}

/// The first such token in a part of the text.
fn token_in(token: &Token, text: &[u8], map: &Map, span: &Range<usize>) -> Option<Range<usize>> {
    groups(map, span, false).find_map(|group| {
        let start = group.start;
        let rest = text.get(start..)?;
        let first = *rest.first()?;
        let right = |length: &usize| token.is_right(rest.get(..*length));
        let length = if token.prefix.is_empty() {
            let may_be = token.begins.may_be(first, group.len());
            may_be.then(|| token.body_length(rest))?.filter(right)
        } else {
            let mut prefixes = token.prefix.iter().filter(|prefix| prefix.first() == Some(&first));
            prefixes.find_map(|prefix| {
                let length = prefix.len() + token.body_length(rest.strip_prefix(&**prefix)?)?;
                Some(length).filter(right)
            })
        };
        Some(start..start + length?)
    })
}

/// The groups of letters and digits that begin within `span`; where a number is looked for, no words.
fn groups(map: &Map, span: &Range<usize>, is_number: bool) -> impl Iterator<Item = Range<usize>> {
    // A named value is among the first: what is looked at for each word has a bound.
    let end = span.end.min(span.start + GROUPS_BYTES_MAX);
    let group = move |start| {
        let length = map.length(start, Kinds::ends_of_groups);
        // No number or code begins with so many letters.
        let is_prose = is_number && (7..24).contains(&length) && !map.have(start, length, |kinds| kinds.digits).0;
        (!is_prose).then_some(start..start + length)
    };
    map.places_in(span.start..end, |kinds| kinds.groups)
        .filter_map(group)
        .take(GROUPS_MAX)
}

/// The span of `identifier` in this form at `start`, if it is whole and its check holds.
fn matched(identifier: &Identifier, pattern: &pattern::Pattern, text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    if !rest.first().is_some_and(|first| pattern.may_begin_with(*first)) {
        return None;
    }
    let length = pattern.matched(rest)?;
    let end = start + length;
    if text.get(end).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    // A part of a decimal, of a longer row of groups, of a path.
    let joins = |at: Option<usize>, beyond: Option<usize>| {
        let byte = |at: Option<usize>| at.and_then(|at| text.get(at)).copied();
        matches!(byte(at), Some(b'.' | b'-' | b'_' | b'/' | b':'))
            && byte(beyond).is_some_and(|byte| byte.is_ascii_digit())
    };
    if joins(Some(end), Some(end + 1)) || joins(start.checked_sub(1), start.checked_sub(2)) {
        return None;
    }
    let mut plain = [0; 128];
    let mut count = 0;
    let written = rest.get(..length)?;
    for byte in written
        .iter()
        .filter(|byte| identifier.is_as_written || byte.is_ascii_alphanumeric())
    {
        *plain.get_mut(count)? = if identifier.is_as_written {
            *byte
        } else {
            byte.to_ascii_uppercase()
        };
        count += 1;
    }
    let plain = plain.get(..count)?;
    // Nobody has the number 000-00-0000.
    if plain.iter().all(|byte| Some(byte) == plain.first()) {
        return None;
    }
    identifier.check.is_none_or(|check| check(plain)).then_some(start..end)
}

fn identified<'a>(
    identifier: &'a Identifier,
    text: &[u8],
    map: &Map,
    scopes: &[Scope],
    near: &[Scope],
    vetoed: impl Fn(&Range<usize>) -> bool,
    found: &mut Vec<Found<'a>>,
) {
    let in_scope = |scope: &Scope| {
        groups(map, &scope.span, true).find_map(|group| {
            let start = group.start;
            let first = *text.get(start)?;
            let forms = identifier.forms.iter();
            let forms = forms.filter(|form| form.begins.may_be(first, group.len()));
            let spans = forms.filter_map(|form| matched(identifier, &form.pattern, text, start));
            spans.max_by_key(|span| span.end)
        })
    };
    let mut push = |span, scope: &Scope| {
        found.push(Found::new(identifier.class, &identifier.id, scope.bond.into(), span));
    };
    for scope in scopes {
        if let Some(span) = in_scope(scope) {
            push(span, scope);
        }
    }
    // A key has its own value, or none.
    if scopes.iter().any(|scope| scope.bond == Bond::Key) {
        return;
    }
    if let Some((span, scope)) = near.iter().find_map(|scope| Some((in_scope(scope)?, scope)))
        && !vetoed(&span)
    {
        push(span, scope);
    }
}

/// Whether the beginning of a key says that its name is a thing's: `serviceFullName`.
fn is_of_things(key: &[u8]) -> bool {
    const THINGS: [&[u8]; 20] = [
        b"service",
        b"product",
        b"company",
        b"file",
        b"host",
        b"app",
        b"api",
        b"brand",
        b"team",
        b"project",
        b"package",
        b"class",
        b"function",
        b"table",
        b"column",
        b"field",
        b"server",
        b"group",
        b"role",
        b"event",
    ];
    let key = key.to_ascii_lowercase();
    THINGS.iter().any(|thing| {
        key.ends_with(thing)
            || key
                .strip_suffix(b"_")
                .or(key.strip_suffix(b"-"))
                .is_some_and(|key| key.ends_with(thing))
    })
}

fn fielded<'a>(
    field: &'a rules::Field,
    text: &[u8],
    map: &Map,
    scopes: &[Scope],
    near: &[Scope],
    vetoed: impl Fn(&Range<usize>) -> bool,
    found: &mut Vec<Found<'a>>,
) {
    // What stands before the word is not looked at.
    let scopes = if scopes.is_empty() {
        near.get(..1).unwrap_or_default()
    } else {
        scopes
    };
    for scope in scopes {
        let Some(span) = field.grammar.find(text, map, scope) else {
            continue;
        };
        if scope.bond == Bond::Near && vetoed(&span) {
            continue;
        }
        let mut one = Found::new(field.class, &field.id, scope.bond.into(), span);
        // A list of authors, streets or places may be of nobody.
        one.wants_company = scope.bond == Bond::Column && matches!(field.class, Class::Person | Class::Address);
        found.push(one);
    }
}

/// Machine-readable zones (ICAO 9303).
fn zones(text: &[u8], found: &mut Vec<Found<'_>>) {
    let mut past = 0;
    for at in memchr::memchr_iter(b'<', text) {
        // The first is the second or third character, or a later line's.
        let starts = [at.checked_sub(1), at.checked_sub(2), at.checked_sub(5)];
        for start in starts.into_iter().flatten().filter(|start| *start >= past) {
            let is_cut = peek::before(text, start).is_some_and(|byte| byte.is_ascii_alphanumeric());
            let length = text.get(start..).and_then(checks::machine_readable_zone);
            if let Some(length) = length.filter(|_| !is_cut) {
                found.push(Found::new(
                    Class::Passport,
                    "machine-readable-zone",
                    Confidence::Certain,
                    start..start + length,
                ));
                past = start + length;
                break;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
