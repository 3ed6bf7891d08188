//! Secrets and personal data in what passes: found once a message, and then done with as policy says, by class and direction.
//! What goes to a server is never rewritten; what goes to a client is masked, or does not go. It must not know calls, schemas
//! or the record's form; a value is in nothing that it tells.

use super::form::Forms;
use super::place::{self, Place, Zone, may_have_letters, zone};
use crate::policy::{DataAction, Handling};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use portcullis_guards::HashKey;
use portcullis_guards::json::decoded;
use portcullis_guards::mask::{Mask, Whole, marks, mask};
use portcullis_guards::scan::{Class, Context, Finding, Findings, Form, Limit, Rules, Scanner, class_within};
use portcullis_wire::Raw;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

/// Different sightings of one message that are told apart; more are counted together.
const SIGHTINGS_MAX: usize = 64;

/// Compiled once in a process: it takes longer than a reload may.
static SCANNER: LazyLock<Result<Scanner, String>> = LazyLock::new(|| {
    let scanner = Rules::built_in().and_then(Scanner::new);
    scanner.map_err(|error| error.to_string())
});

/// As hosts and servers write it: with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The detectors, ready.
#[derive(Debug, Clone)]
pub(super) struct Detectors {
    scanner: &'static Scanner,
    /// What is hashed, is hashed under it.
    hash_key: Arc<HashKey>,
}

/// Why something does not pass. Class and path, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DataError {
    /// Data in what goes to the server that policy refuses there.
    Refused(Spot),
    /// One of our marks in what goes to the server.
    Marked(Spot),
    /// Data in what goes to the client that may not go, or that could not be masked where it stands.
    Withheld(Spot),
    /// What was masked no longer fits the tool's `outputSchema`, and how.
    Unfit(Spot, String),
    /// More than is looked at.
    TooMuch,
}

/// What was found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) class: Class,
    /// JSON pointer into the message.
    pub(crate) path: String,
}

/// What was found in the messages of one direction, and what was done about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    sightings: Vec<Sighting>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sighting {
    class: Class,
    done: &'static str,
    path: String,
    count: u64,
}

impl Seen {
    fn saw(&mut self, class: Class, done: &'static str, path: String, count: u64) {
        let same = |known: &&mut Sighting| known.class == class && known.done == done && known.path == path;
        if let Some(known) = self.sightings.iter_mut().find(same) {
            known.count += count;
            return;
        }
        if self.sightings.len() < SIGHTINGS_MAX {
            self.sightings.push(Sighting {
                class,
                done,
                path,
                count,
            });
        } else {
            // At most one more for each class and what is done about it.
            let elsewhere = |known: &&mut Sighting| known.class == class && known.done == done && known.path == "...";
            match self.sightings.iter_mut().find(elsewhere) {
                Some(known) => known.count += count,
                None => self.sightings.push(Sighting {
                    class,
                    done,
                    path: "...".to_owned(),
                    count,
                }),
            }
        }
    }

    /// Whether nothing was seen.
    pub(crate) const fn is_empty(&self) -> bool {
        self.sightings.is_empty()
    }

    /// One address of mail that passed, for tests of what is done with sightings.
    #[cfg(test)]
    pub(crate) fn of_one(path: &str) -> Self {
        let mut seen = Self::default();
        seen.saw(Class::Email, DataAction::Pass.as_str(), path.to_owned(), 1);
        seen
    }

    /// Adds what was seen in another message.
    pub(crate) fn and(&mut self, other: Self) {
        for sighting in other.sightings {
            self.saw(sighting.class, sighting.done, sighting.path, sighting.count);
        }
    }

    /// For the record: class, what was done, how often, path. What was acted on comes first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut order: Vec<&Sighting> = self.sightings.iter().collect();
        order.sort_by_key(|sighting| sighting.done == DataAction::Pass.as_str());
        let lines = order.into_iter().map(|sighting| {
            let Sighting {
                class,
                done,
                path,
                count,
            } = sighting;
            format!("{class} {done} {count} {path}")
        });
        lines.collect()
    }

    /// How often something was masked.
    pub(super) fn masked(&self) -> u64 {
        let masked = self.sightings.iter().filter(|sighting| sighting.is_masked());
        masked.map(|sighting| sighting.count).sum()
    }

    /// The first that was masked below `path`, or else anywhere.
    pub(super) fn masked_below(&self, path: &str) -> Option<Spot> {
        let masked = || self.sightings.iter().filter(|sighting| sighting.is_masked());
        let below = masked().find(|sighting| sighting.path.starts_with(path));
        let sighting = below.or_else(|| masked().next())?;
        Some(Spot {
            class: sighting.class,
            path: sighting.path.clone(),
        })
    }
}

impl Sighting {
    fn is_masked(&self) -> bool {
        [DataAction::Hash, DataAction::Mask, DataAction::Form, DataAction::Redact]
            .iter()
            .any(|action| action.as_str() == self.done)
    }
}

/// What was found in one text, in order.
struct Found<'a> {
    text: &'a [u8],
    findings: &'a [Finding<'a>],
}

impl Found<'_> {
    /// What begins in `range`.
    fn within(&self, range: &Range<usize>) -> &[Finding<'_>] {
        let begins_before = |at: usize| self.findings.partition_point(|finding| finding.span.start < at);
        self.findings
            .get(begins_before(range.start)..begins_before(range.end))
            .unwrap_or_default()
    }

    fn pattern(&self, place: &Place) -> String {
        place.pattern(self.text, |key| class_within(self.findings, key))
    }

    fn spot(&self, class: Class, place: &Place) -> Spot {
        Spot {
            class,
            path: place.path(self.text, |key| class_within(self.findings, key)),
        }
    }
}

/// The text that Base64 of the protocol stands for.
struct Within {
    plain: Vec<u8>,
    findings: Findings<'static>,
}

impl Detectors {
    /// Takes the detectors, compiling them if nobody has. Where policy has values hashed, they are hashed under `hash_key`.
    ///
    /// # Errors
    /// What is wrong with the built-in rules.
    pub(super) fn ready(hash_key: HashKey) -> Result<Self, String> {
        Ok(Self {
            scanner: Self::compiled()?,
            hash_key: Arc::new(hash_key),
        })
    }

    /// The rules, compiled now if nobody has.
    ///
    /// # Errors
    /// What is wrong with the built-in rules.
    pub(super) fn compiled() -> Result<&'static Scanner, String> {
        SCANNER.as_ref().map_err(Clone::clone)
    }

    /// Looks at a message on its way to a server. What `context` exempts, which is declared for that server, goes to it.
    pub(super) fn inbound(
        &self,
        text: &[u8],
        handling: &Handling,
        context: &Context<'_>,
        seen: &mut Seen,
    ) -> Result<(), DataError> {
        let findings = self.scan(text, Form::Json, context)?;
        let found = Found {
            text,
            findings: &findings,
        };
        let mut refused = None;
        let mut places = place::read(text);
        for finding in &findings {
            let place = places.find(finding.span.start);
            let action = match zone(&place) {
                Zone::Protocol => DataAction::Pass,
                Zone::Content | Zone::Binary => handling.argument(finding.class),
            };
            if action != DataAction::Pass && finding.is_exempt {
                seen.saw(finding.class, "declared", found.pattern(&place), 1);
                continue;
            }
            seen.saw(finding.class, action.as_str(), found.pattern(&place), 1);
            if action != DataAction::Pass && refused.is_none() {
                refused = Some(DataError::Refused(found.spot(finding.class, &place)));
            }
        }
        let mut places = place::read(text);
        for string in letters(text) {
            let place = places.find(string.start);
            for finding in self.within(text, &string)?.iter().flat_map(|within| &within.findings) {
                let action = handling.argument(finding.class);
                seen.saw(finding.class, action.as_str(), found.pattern(&place), 1);
                if action != DataAction::Pass && refused.is_none() {
                    refused = Some(DataError::Refused(found.spot(finding.class, &place)));
                }
            }
        }
        let mut places = place::read(text);
        for (class, at) in marks(text) {
            let place = places.find(at);
            if handling.mark() != DataAction::Pass && zone(&place) == Zone::Content {
                seen.saw(class, "mark", found.pattern(&place), 1);
                if refused.is_none() {
                    refused = Some(DataError::Marked(found.spot(class, &place)));
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Looks at a message on its way to a client: what goes out in its place, where something is to be masked. `forms` are those of
    /// the tool's structured result, where it has some.
    pub(super) fn outbound(
        &self,
        text: &[u8],
        handling: &Handling,
        forms: Option<&Forms<'_>>,
        seen: &mut Seen,
    ) -> Result<Option<Vec<u8>>, DataError> {
        let findings = self.scan(text, Form::Json, &Context::default())?;
        let strings = letters(text);
        if findings.is_empty() && strings.is_empty() {
            return Ok(None);
        }
        let found = Found {
            text,
            findings: &findings,
        };
        let mut withheld = None;
        let mut letters: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
        let mut places = place::read(text);
        for string in strings {
            let place = places.find(string.start);
            let mut saw = |class: Class, done: DataAction| {
                seen.saw(class, done.as_str(), found.pattern(&place), 1);
                if done >= DataAction::Withhold && withheld.is_none() {
                    withheld = Some(DataError::Withheld(found.spot(class, &place)));
                }
            };
            if let Some(with) = self.letters(text, &string, found.within(&string), handling, &mut saw)? {
                letters.push((string, with));
            }
        }
        let mut masked = Vec::new();
        let mut wholes: Vec<Option<Whole>> = Vec::new();
        let mut key = None;
        let mut places = place::read(text);
        for finding in &findings {
            let place = places.find(finding.span.start);
            let wanted = match zone(&place) {
                Zone::Protocol => DataAction::Pass,
                Zone::Binary if !place.in_key => continue,
                Zone::Content | Zone::Binary => handling.result(finding.class),
            };
            let done = match (wanted.is_masking(), zone(&place)) {
                (true, Zone::Content) => {
                    let last = places.find(finding.span.end.saturating_sub(1));
                    // From content into what must stay: masking would take that along.
                    match zone(&last) == Zone::Content && last.in_key == place.in_key {
                        true => {
                            let forms = forms.filter(|_| wanted == DataAction::Form && !place.in_key);
                            wholes.push(forms.and_then(|forms| forms.instead(text, finding, &place)));
                            masked.push(finding.clone());
                            wanted
                        }
                        false => DataAction::Withhold,
                    }
                }
                // A key where letters should be: what is in the strings was looked at.
                (true, Zone::Binary) => DataAction::Withhold,
                _ => wanted,
            };
            seen.saw(finding.class, done.as_str(), found.pattern(&place), 1);
            if done >= DataAction::Withhold && withheld.is_none() {
                withheld = Some(DataError::Withheld(found.spot(finding.class, &place)));
            }
            if place.in_key && done > DataAction::Pass && key.is_none() {
                key = Some(found.spot(finding.class, &place));
            }
        }
        if let Some(withheld) = withheld {
            return Err(withheld);
        }
        if masked.is_empty() && letters.is_empty() {
            return Ok(None);
        }
        let text = splice(text, &letters, &mut masked);
        // They are told apart by where they begin, now that they may have moved.
        let wholes: HashMap<usize, Whole> = masked
            .iter()
            .zip(wholes)
            .filter_map(|(finding, whole)| Some((finding.span.start, whole?)))
            .collect();
        let out = mask(&text, Form::Json, &masked, |finding| {
            match wholes.get(&finding.span.start) {
                Some(whole) => Mask::Whole(whole.clone()),
                None => self.how(&text, finding, handling),
            }
        });
        if let Some(spot) = key {
            // Two keys that were different may be one now.
            let is_whole = Raw::own(out.clone()).is_ok_and(|raw| raw.refuse_duplicates().is_ok());
            if !is_whole {
                return Err(DataError::Withheld(spot));
            }
        }
        Ok(Some(out))
    }

    /// All that is in a text; one that could hold more than is found does not pass. What is packed in it and unpacks to more than is
    /// looked through may hold more, as what is encrypted does.
    fn scan(&self, text: &[u8], form: Form, context: &Context<'_>) -> Result<Findings<'static>, DataError> {
        let findings = self.scanner.scan(text, form, context);
        match findings.limit() {
            None | Some(Limit::Packed) => Ok(findings),
            Some(Limit::Findings | Limit::Fuel | Limit::Length) => Err(DataError::TooMuch),
        }
    }

    /// What takes the place of the Base64 in `string`, if anything does. `outer` was found in its letters; `saw` is told what is done
    /// about what is in it.
    fn letters(
        &self,
        text: &[u8],
        string: &Range<usize>,
        outer: &[Finding<'_>],
        handling: &Handling,
        saw: &mut dyn FnMut(Class, DataAction),
    ) -> Result<Option<Vec<u8>>, DataError> {
        let within = self.within(text, string)?;
        if let Some(Within { plain, findings }) = within
            && !findings.is_empty()
        {
            let mut inside = findings.into_vec();
            for finding in &inside {
                saw(finding.class, handling.result(finding.class));
            }
            inside.retain(|finding| handling.result(finding.class) > DataAction::Pass);
            if inside.is_empty() {
                return Ok(None);
            }
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&plain).is_ok();
            let form = if is_json { Form::Json } else { Form::Text };
            let clean = mask(&plain, form, &inside, |finding| self.how(&plain, finding, handling));
            return Ok(Some(BASE64.encode(clean).into_bytes()));
        }
        for finding in outer {
            // A part that looks like something by chance is not what the letters stand for, if they are some.
            let is_whole = finding.span.len() * 10 >= string.len() * 9;
            let done = match handling.result(finding.class) {
                DataAction::Pass => DataAction::Pass,
                _ if is_whole || unlettered(text, string).is_none() => DataAction::Withhold,
                _ => DataAction::Pass,
            };
            saw(finding.class, done);
        }
        Ok(None)
    }

    /// The text that the Base64 in `string` stands for, with what is in it; nothing where it stands for no text.
    fn within(&self, text: &[u8], string: &Range<usize>) -> Result<Option<Within>, DataError> {
        match unlettered(text, string) {
            Some(plain) if std::str::from_utf8(&plain).is_ok() => {
                let findings = self.scan(&plain, Form::Text, &Context::default())?;
                Ok(Some(Within { plain, findings }))
            }
            _ => Ok(None),
        }
    }

    /// What stands in the place of a finding. The last characters of a card or account are said, as banks do, where the value stands
    /// there in clear.
    fn how(&self, text: &[u8], finding: &Finding<'_>, handling: &Handling) -> Mask<'_> {
        let value = text.get(finding.span.clone()).unwrap_or_default();
        let is_plain = match finding.class {
            Class::Card | Class::BankAccount => value
                .iter()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-')),
            Class::Iban => {
                value.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ')
                    && value.len() <= 42
                    && value
                        .get(2..4)
                        .is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
            }
            _ => false,
        };
        match handling.result(finding.class) {
            DataAction::Hash => Mask::Hash(&self.hash_key),
            DataAction::Mask if is_plain => Mask::Last4,
            _ => Mask::Class,
        }
    }
}

/// The values of a message that are Base64 by the protocol: however short or long they are, they are looked into.
fn letters(text: &[u8]) -> Vec<Range<usize>> {
    match may_have_letters(text) {
        true => place::letters(text),
        false => Vec::new(),
    }
}

/// What the Base64 in `string` stands for, where it is some. Slashes and line breaks may be written with escapes.
fn unlettered(text: &[u8], string: &Range<usize>) -> Option<Vec<u8>> {
    let written = decoded(text.get(string.clone()).unwrap_or_default());
    let letters: Vec<u8> = written.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(letters).ok()
}

/// `text` with each range replaced, and `findings`, which lie in none of them, where they stand then.
fn splice<'a>(text: &'a [u8], edits: &[(Range<usize>, Vec<u8>)], findings: &mut [Finding<'_>]) -> Cow<'a, [u8]> {
    if edits.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut rest = findings.iter_mut().peekable();
    let mut shift = |up_to: usize, written: usize, read: usize| {
        while let Some(finding) = rest.next_if(|finding| finding.span.start < up_to) {
            finding.span = finding.span.start - read + written..finding.span.end - read + written;
        }
    };
    for (range, with) in edits {
        shift(range.start, out.len(), at);
        out.extend_from_slice(text.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(with);
        at = range.end;
    }
    shift(usize::MAX, out.len(), at);
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
