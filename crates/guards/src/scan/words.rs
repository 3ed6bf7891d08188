//! What names a value: terms of one or more words, in any language, found in one pass over the view. A key is split where a
//! reader splits it (`customerSSN`, `iban_number`, `kontonummer`), and words are compared whole, so that `tin` is not found in
//! `routing`. Scripts without spaces are searched for terms within their runs.
//!
//! It must not know what a term stands for.

use super::kinds::{self, BLOCK, Kinds, Map, bits};
use aho_corasick::{AhoCorasick, MatchKind};
use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;

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
const OPEN_MAX: usize = 6;

/// From this length on, what is written as one word is no other by chance.
const JOINED_BYTES_MIN: usize = 6;

/// All terms, ready to be found.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    words: HashMap<Box<[u8]>, u32, Hash>,
    /// Words of ASCII that are no longer than eight bytes, by their [`eight`].
    short: HashMap<u64, u32, Hash>,
    /// All words, and those that a term begins with.
    sieve: Sieve,
    first_sieve: Sieve,
    steps: HashMap<(u32, u32), u32, Hash>,
    /// By word, the state that it leads to from the root.
    first_steps: Vec<Option<NonZeroU32>>,
    /// Which term ends in which state.
    ends: Vec<Option<TermId>>,
    /// By state, where in `heads` it is: one who has many ends ends there.
    head_at: Vec<Option<u32>>,
    /// Where their ends begin, and the term that they make.
    heads: Vec<Vec<(u32, TermId)>>,
    /// Ends as one word, longest first, and where they begin; and the same of heads. What they make together is one word too.
    joined_ends: Vec<(Box<[u8]>, Vec<u32>)>,
    joined_heads: HashMap<Box<[u8]>, u32, Hash>,
    /// The last three bytes of an end as one word.
    joined_tails: Sieve,
    /// Terms of their own that are made of a head and an end too, and which.
    pub(crate) twice: Vec<(TermId, TermId)>,
    /// Terms in scripts that have no spaces.
    unspaced: Option<(AhoCorasick, Vec<TermId>)>,
}

/// Terms on their way to a [`Vocabulary`].
#[derive(Debug, Default)]
pub(crate) struct Terms {
    ids: HashMap<String, TermId, Hash>,
    /// By number; empty where a term is made of many heads and ends.
    terms: Vec<String>,
    pairs: Vec<Pairs>,
}

/// Terms that begin with one of some heads and go on with one of some ends: a service's name and a word for a key. To write them
/// out would take more room than all others.
#[derive(Debug)]
struct Pairs {
    heads: Vec<(String, TermId)>,
    ends: Vec<String>,
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

    /// A term for each head in `heads`, which are as many terms as they have ways to be written: followed by any of `ends`.
    pub(crate) fn pairs<'t>(
        &mut self,
        heads: impl Iterator<Item = &'t [String]>,
        ends: &[String],
    ) -> Result<Vec<TermId>, TooMany> {
        let mut ids = Vec::new();
        let mut pairs = Pairs {
            heads: Vec::new(),
            ends: ends.to_vec(),
        };
        for ways in heads {
            let id = TermId::try_from(self.terms.len()).map_err(|_| TooMany)?;
            self.terms.push(String::new());
            pairs.heads.extend(ways.iter().map(|way| (way.to_lowercase(), id)));
            ids.push(id);
        }
        self.pairs.push(pairs);
        Ok(ids)
    }

    pub(crate) fn build(self) -> Result<Vocabulary, TooMany> {
        let mut vocabulary = Vocabulary {
            words: HashMap::default(),
            short: HashMap::default(),
            sieve: Sieve::default(),
            first_sieve: Sieve::default(),
            steps: HashMap::default(),
            first_steps: Vec::new(),
            ends: vec![None],
            head_at: Vec::new(),
            heads: Vec::new(),
            joined_ends: Vec::new(),
            joined_heads: HashMap::default(),
            joined_tails: Sieve::default(),
            twice: Vec::new(),
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
            vocabulary.add(0, term, id)?;
        }
        // Other ways to write a term come after all terms: where two meet, what somebody wrote down is meant.
        for (id, term) in numbered() {
            if let Cow::Owned(plain) = without_accents(term) {
                vocabulary.add(0, &plain, id)?;
            }
        }
        for (id, term) in numbered() {
            // As one word, where it is long enough to be no other.
            let plain = without_accents(term);
            let joined = joined(&plain);
            if joined.len() != plain.len() && joined.len() >= JOINED_BYTES_MIN {
                vocabulary.add(0, &joined, id)?;
            }
        }
        for pairs in &self.pairs {
            vocabulary.add_pairs(pairs)?;
        }
        vocabulary.head_at.resize(vocabulary.ends.len(), None);
        vocabulary.first_steps.resize(vocabulary.words.len(), None);
        for ((state, word), next) in &vocabulary.steps {
            if let Some(first) = vocabulary.first_steps.get_mut(*word as usize).filter(|_| *state == 0) {
                *first = NonZeroU32::new(*next);
            }
        }
        for (word, id) in &vocabulary.words {
            vocabulary.sieve.put(word);
            if let Some(Some(_)) = vocabulary.first_steps.get(*id as usize) {
                vocabulary.first_sieve.put(word);
            }
            if word.len() <= 8 && word.is_ascii() {
                vocabulary.short.insert(eight(word, 0, word.len()), *id);
            }
        }
        for (id, term) in numbered() {
            vocabulary.meet(id, term);
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
    fn add_pairs(&mut self, pairs: &Pairs) -> Result<(), TooMany> {
        let root = self.fresh()?;
        self.ends.push(None);
        for end in &pairs.ends {
            // Which term it is, its head says.
            self.add(root, end, 0)?;
            self.add(root, &joined(end), 0)?;
            let joined = joined(end).into_bytes().into_boxed_slice();
            if let Some(tail) = joined.last_chunk::<3>() {
                self.joined_tails.put(tail);
            }
            match self.joined_ends.iter_mut().find(|(known, _)| *known == joined) {
                Some((_, roots)) if roots.contains(&root) => {}
                Some((_, roots)) => roots.push(root),
                None => self.joined_ends.push((joined, vec![root])),
            }
        }
        self.joined_ends.sort_by_key(|(end, _)| std::cmp::Reverse(end.len()));
        for (head, id) in &pairs.heads {
            let plain = without_accents(head);
            let joined = joined(&plain);
            for way in [head.as_str(), &*plain, &*joined] {
                let state = self.path(0, way)?;
                let at = self.head_of(state)?;
                if let Some(head) = self
                    .heads
                    .get_mut(at as usize)
                    .filter(|head| !head.contains(&(root, *id)))
                {
                    head.push((root, *id));
                }
            }
            let state = self.path(0, &joined)?;
            let at = self.head_of(state)?;
            self.joined_heads.insert(joined.into_bytes().into(), at);
        }
        Ok(())
    }

    /// Notes down whether `term` is also one of a head and an end.
    fn meet(&mut self, id: TermId, term: &str) {
        let parts: Vec<Option<u32>> = parts(term)
            .map(|part| self.words.get(part.as_bytes()).copied())
            .collect();
        let walked = |state: u32, parts: &[Option<u32>]| {
            parts
                .iter()
                .try_fold(state, |state, word| self.steps.get(&(state, (*word)?)).copied())
        };
        for at in 1..parts.len() {
            let (head, end) = parts.split_at(at);
            let Some(head) = walked(0, head).and_then(|state| self.head_at.get(state as usize).copied().flatten())
            else {
                continue;
            };
            for (root, other) in self.heads.get(head as usize).into_iter().flatten() {
                let ends = walked(*root, end).and_then(|state| self.ends.get(state as usize).copied().flatten());
                if ends.is_some() {
                    self.twice.push((id, *other));
                }
            }
        }
    }

    /// Where in `heads` a state is.
    fn head_of(&mut self, state: u32) -> Result<u32, TooMany> {
        let next = u32::try_from(self.heads.len()).map_err(|_| TooMany)?;
        self.head_at.resize(self.ends.len().max(self.head_at.len()), None);
        let Some(place) = self.head_at.get_mut(state as usize) else {
            return Err(TooMany);
        };
        if place.is_none() {
            self.heads.push(Vec::new());
        }
        Ok(*place.get_or_insert(next))
    }

    fn fresh(&self) -> Result<u32, TooMany> {
        u32::try_from(self.ends.len()).map_err(|_| TooMany)
    }

    fn add(&mut self, root: u32, term: &str, id: TermId) -> Result<(), TooMany> {
        let state = self.path(root, term)?;
        if let Some(end) = self.ends.get_mut(state as usize).filter(|_| state != root) {
            end.get_or_insert(id);
        }
        Ok(())
    }

    /// The state that the words of `term` lead to from `root`.
    fn path(&mut self, root: u32, term: &str) -> Result<u32, TooMany> {
        let mut state = root;
        for part in parts(term) {
            let next = u32::try_from(self.words.len()).map_err(|_| TooMany)?;
            let word = match self.words.get(part.as_bytes()) {
                Some(word) => *word,
                None => *self.words.entry(part.as_bytes().into()).or_insert(next),
            };
            let fresh = self.fresh()?;
            state = *self.steps.entry((state, word)).or_insert(fresh);
            if state == fresh {
                self.ends.push(None);
            }
        }
        Ok(state)
    }

    /// Finds the terms in `text`, whose kinds of bytes `map` has: the longest that begins at each place, in order.
    pub(super) fn find(&self, text: &[u8], map: &Map, hits: &mut Vec<Hit>) {
        let mut open = Open::default();
        for (begin, block) in map.blocks() {
            let ends = block.ends_of_words();
            for bit in bits(block.starts) {
                let at = begin + bit;
                let length = kinds::length(bit, ends).unwrap_or_else(|| map.length(at, Kinds::ends_of_words));
                if block.high != 0 || bit + length > BLOCK {
                    let word = text.get(at..at + length).unwrap_or_default();
                    if !word.is_ascii() {
                        self.foreign(text, at, word, &mut open, hits);
                        continue;
                    }
                }
                let first = eight(text, at, length);
                // Most words of a text are no term's.
                let sieve = if open.count == 0 {
                    &self.first_sieve
                } else {
                    &self.sieve
                };
                match sieve.may_have(first, length) || self.may_be_joined(text, at + length, length, first) {
                    true => self.word(text, at..at + length, first, &mut open, hits),
                    false => open.count = 0,
                }
            }
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

    fn word(&self, text: &[u8], span: Range<usize>, first: u64, open: &mut Open, hits: &mut Vec<Hit>) {
        let word = text.get(span.clone()).unwrap_or_default();
        let mut known = None;
        let mut term = None;
        if word.len() <= 8 {
            known = self.short.get(&first).copied();
        } else if let Some(lower) = lower(word).get(..word.len()) {
            known = self.words.get(lower).copied();
        }
        if known.is_none() && self.may_be_joined(text, span.end, word.len(), first) {
            term = lower(word).get(..word.len()).and_then(|lower| self.joined_pair(lower));
        }
        if let Some(term) = term {
            hits.push(Hit {
                start: span.start,
                end: span.end,
                term,
            });
        }
        match known {
            Some(word) => self.step(text, span, word, open, hits),
            None => open.count = 0,
        }
    }

    /// Whether a word of `length` bytes with these first [`eight`] ends at `end` as a head and its end do, written as one.
    fn may_be_joined(&self, text: &[u8], end: usize, length: usize, first: u64) -> bool {
        // The last three bytes are the highest.
        let tail = || match length <= 8 {
            true => first & !0xff_ffff_ffff | 0x20_2020_2020,
            false => eight(text, end.saturating_sub(3), 3),
        };
        length >= JOINED_BYTES_MIN && self.joined_tails.may_have(tail(), 3)
    }

    /// A head and its end, written as one word.
    fn joined_pair(&self, word: &[u8]) -> Option<TermId> {
        self.joined_ends.iter().find_map(|(end, roots)| {
            let head = self.joined_heads.get(word.strip_suffix(&**end)?)?;
            let pairs = self.heads.get(*head as usize)?;
            pairs
                .iter()
                .find(|(root, _)| roots.contains(root))
                .map(|(_, term)| *term)
        })
    }

    #[cold]
    fn foreign(&self, text: &[u8], start: usize, word: &[u8], open: &mut Open, hits: &mut Vec<Hit>) {
        // In Latin-1 a capital and its small letter differ by the bit that they do in ASCII: most words are left here, too.
        if word.iter().all(|byte| *byte < 0xc4) {
            let may_be = self.sieve.may_have(eight(text, start, word.len()), word.len());
            let lower = lower(word);
            let known = lower
                .get(..word.len())
                .filter(|_| may_be)
                .and_then(|lower| self.words.get(lower));
            match known {
                Some(known) => self.step(text, start..start + word.len(), *known, open, hits),
                None => open.count = 0,
            }
            return;
        }
        // Their characters are three bytes long.
        let may_be_unspaced = word.iter().any(|byte| *byte >= 0xe0);
        if let Some((automaton, ids)) = self.unspaced.as_ref().filter(|_| may_be_unspaced) {
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
        match self.words.get(lower.as_bytes()) {
            Some(known) => self.step(text, start..start + word.len(), *known, open, hits),
            None => open.count = 0,
        }
    }

    fn step(&self, text: &[u8], span: Range<usize>, word: u32, open: &mut Open, hits: &mut Vec<Hit>) {
        if open.count > 0 {
            let gap = text.get(open.end..span.start).unwrap_or_default();
            if gap.len() > GAP_BYTES_MAX || !gap.iter().all(|byte| b" _-./'".contains(byte)) {
                open.count = 0;
            }
        }
        if open.count > 0 {
            self.go_on(text, &span, word, open, hits);
        }
        if let Some(Some(next)) = self.first_steps.get(word as usize) {
            let fresh = Begun {
                state: 0,
                start: span.start,
                of: None,
            };
            self.stepped(text, &span, next.get(), fresh, open, hits);
        }
        open.end = span.end;
    }

    /// What was begun goes on with `word`, or is left.
    fn go_on(&self, text: &[u8], span: &Range<usize>, word: u32, open: &mut Open, hits: &mut Vec<Hit>) {
        let count = std::mem::take(&mut open.count);
        let before = open.states;
        for begun in before.get(..count).unwrap_or_default() {
            if let Some(next) = self.steps.get(&(begun.state, word)) {
                self.stepped(text, span, *next, *begun, open, hits);
            }
            let head = self.head_at.get(begun.state as usize).copied().flatten();
            let Some(pairs) = head
                .and_then(|head| self.heads.get(head as usize))
                .filter(|_| begun.of.is_none())
            else {
                continue;
            };
            for (root, term) in pairs {
                if let Some(next) = self.steps.get(&(*root, word)) {
                    let of = Some(*term);
                    self.stepped(text, span, *next, Begun { of, ..*begun }, open, hits);
                }
            }
        }
    }

    /// A term goes on, or ends.
    fn stepped(
        &self,
        text: &[u8],
        span: &Range<usize>,
        state: u32,
        begun: Begun,
        open: &mut Open,
        hits: &mut Vec<Hit>,
    ) {
        if let Some(place) = open.states.get_mut(open.count) {
            *place = Begun { state, ..begun };
            open.count += 1;
        }
        let Some(Some(own)) = self.ends.get(state as usize) else {
            return;
        };
        let hit = Hit {
            start: begun.start,
            end: span.end,
            term: begun.of.unwrap_or(*own),
        };
        // `VAT NO964403449` is a VAT of Norway: what figures follow at once is a part of the value.
        let behind = text.get(span.end..).unwrap_or_default().iter().take(4);
        let is_of_value = behind.len() == 4 && behind.clone().all(u8::is_ascii_digit);
        match hits.last_mut() {
            Some(last) if last.start == hit.start && is_of_value => {}
            // Of a head and its end, what is a term of its own is meant: it has the meanings of both.
            Some(last) if last.start == hit.start && last.end == hit.end && begun.of.is_some() => {}
            Some(last) if last.start == hit.start => *last = hit,
            _ => hits.push(hit),
        }
    }
}

/// A term in the making.
#[derive(Debug, Clone, Copy, Default)]
struct Begun {
    state: u32,
    start: usize,
    /// The term of the head that it began with.
    of: Option<TermId>,
}

#[derive(Default)]
struct Open {
    states: [Begun; OPEN_MAX],
    count: usize,
    /// Where the last word ended.
    end: usize,
}

/// Says of nearly all words that are not in it that they are not, by their first bytes and length.
#[derive(Debug)]
struct Sieve(Box<[u64; 1024]>);

impl Default for Sieve {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
    }
}

impl Sieve {
    fn put(&mut self, word: &[u8]) {
        let bit = Self::bit(eight(word, 0, word.len()), word.len());
        if let Some(bits) = self.0.get_mut(bit / 64) {
            *bits |= 1 << (bit % 64);
        }
    }

    /// Whether a word of `length` bytes with these [`eight`] may be in it.
    fn may_have(&self, first: u64, length: usize) -> bool {
        let bit = Self::bit(first, length);
        self.0.get(bit / 64).is_some_and(|bits| bits >> (bit % 64) & 1 == 1)
    }

    const fn bit(first: u64, length: usize) -> usize {
        let mixed = first ^ (length as u64) << 3;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
    }
}

/// The first bytes of the word of `length` bytes at `at`, at most eight, in small letters: the same number for no two words of
/// letters and digits that are no longer.
fn eight(text: &[u8], at: usize, length: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    let first = match rest.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => {
            let mut eight = [0; 8];
            eight.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(eight)
        }
    };
    let beyond = 8_usize.saturating_sub(length) as u32 * 8;
    first.checked_shl(beyond).unwrap_or(0) | 0x2020_2020_2020_2020
}

/// A word of ASCII and Latin-1 in small letters, where it is no longer than words are.
fn lower(word: &[u8]) -> [u8; WORD_BYTES_MAX] {
    let mut lower = [0; WORD_BYTES_MAX];
    let mut before = 0;
    for (to, from) in lower.iter_mut().zip(word) {
        // What follows 0xc3 is U+00C0 to U+00FF; U+00D7 is a sign, and U+00DF is small.
        *to = match (before, from) {
            (0xc3, 0x80..=0x9e) if *from != 0x97 => from | 0x20,
            _ => from.to_ascii_lowercase(),
        };
        before = *from;
    }
    lower
}

/// What a term is compared by, one by one.
fn parts(term: &str) -> impl Iterator<Item = &str> {
    // Signs of vowels are no letters, and part of their words. Letters apart from digits, as a text is split.
    term.split(|character: char| character.is_ascii() && !character.is_ascii_alphanumeric())
        .flat_map(letters_or_digits)
}

/// As one word.
fn joined(term: &str) -> String {
    term.replace([' ', '-', '\'', '.'], "")
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
fn without_accents(text: &str) -> Cow<'_, str> {
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
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let plain = |character: char| {
        // Where Unicode has them: Latin-1 up to Latin Extended-B, and Latin Extended Additional.
        if !matches!(character, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') {
            return character;
        }
        let folded = FOLDED.iter().find(|(accented, _)| accented.contains(character));
        folded.map_or(character, |(_, plain)| *plain)
    };
    Cow::Owned(text.chars().map(plain).collect())
}

/// The table is only asked, never filled, by a text: no word of an attacker's choice makes it slow.
pub(super) type Hash = foldhash::fast::FixedState;

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(terms: &[&'a str], text: &str) -> Vec<(&'a str, String)> {
        let mut building = Terms::default();
        let ids: Vec<TermId> = terms.iter().map(|term| building.id(term).unwrap()).collect();
        let vocabulary = building.build().unwrap();
        let mut hits = Vec::new();
        vocabulary.find(text.as_bytes(), &Map::of(text.as_bytes()), &mut hits);
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

    proptest::proptest! {
        #[test]
        fn latin_words_are_made_small_as_unicode_says(word in "[a-zA-Z0-9\u{80}-\u{ff}]{1,20}") {
            let small = lower(word.as_bytes());
            proptest::prop_assert_eq!(&small[..word.len()], word.to_lowercase().into_bytes());
        }
    }

    #[test]
    fn scripts_without_spaces_are_searched() {
        assert_eq!(
            found(&["身份证号码", "пароль"], "我的身份证号码是 Пароль:"),
            [("身份证号码", "身份证号码".to_owned()), ("пароль", "Пароль".to_owned())]
        );
    }
}
