//! What a scan is told and what it tells: the form of a text, what changes at run time, and what was found. It must not know how
//! anything is found.

use super::class::Class;
use super::work::FUEL_BASE;
use crate::json::{Places, decoded};
use std::fmt;
use std::ops::{Deref, Range};

/// What kind of text is looked at, and masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON text (RFC 8259): findings have a path in it, what is masked in it stays JSON, and an exempt value is compared with
    /// what its strings say.
    Json,
    /// Any other text.
    Text,
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// A word near it and its form.
    Likely,
    /// Its key or column and its form, or a form with a check.
    Sure,
    /// A form that nothing else has.
    Certain,
}

impl Confidence {
    /// The word for it in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Sure => "sure",
            Self::Certain => "certain",
        }
    }
}

/// What was found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<'a> {
    /// What it is.
    pub class: Class,
    /// The `id` of the rule that found it.
    pub rule: &'a str,
    /// How sure it is.
    pub confidence: Confidence,
    /// Its bytes in the text that was scanned.
    pub span: Range<usize>,
    /// Whether the [`Context`] lets it be: [`mask`](crate::mask::mask) leaves it as it stands.
    pub is_exempt: bool,
}

/// Whether a value is to be let be.
pub type IsExempt<'c> = &'c dyn Fn(&[u8]) -> bool;

/// What a scan is told that is not in the rules, since it changes at run time. The default exempts nothing and has fuel for the text.
#[derive(Clone, Copy, Default)]
pub struct Context<'c> {
    is_exempt: Option<IsExempt<'c>>,
    fuel: Option<usize>,
}

impl<'c> Context<'c> {
    /// The fuel of a scan that is given none, for a text of so many bytes: one mebibyte and eight units for each byte.
    #[must_use]
    pub const fn fuel_for(length_bytes: usize) -> usize {
        FUEL_BASE.saturating_add(length_bytes.saturating_mul(8))
    }

    /// Lets a value be that `is_exempt`, a declared credential say. What a finding covers is asked for, and in JSON also the whole
    /// string that it lies in, both without escapes; nothing that is packed is. A list of hashes will do: values are only handed in.
    #[must_use]
    pub const fn exempting(self, is_exempt: IsExempt<'c>) -> Self {
        Self {
            is_exempt: Some(is_exempt),
            ..self
        }
    }

    /// Bounds the work. One unit is one byte that is looked at: the text costs its length, what is unpacked from it costs its
    /// length, and so does the value of a word that names a secret, each time that one names it (of these, one text has at most
    /// 16 KiB and four for each byte). Where fuel is out, what has not been unpacked or looked at is not, a value that cannot be
    /// judged any more is taken for a secret, and [`Findings::limit`] says [`Limit::Fuel`].
    #[must_use]
    pub const fn with_fuel(self, units: usize) -> Self {
        Self {
            fuel: Some(units),
            ..self
        }
    }

    /// The fuel for a text of so many bytes.
    pub(super) fn fuel(&self, length_bytes: usize) -> usize {
        self.fuel.unwrap_or(Self::fuel_for(length_bytes))
    }

    /// Marks what is exempt among `findings`, which are in order.
    pub(super) fn exempt(&self, text: &[u8], form: Form, findings: &mut [Finding<'_>]) {
        let Some(is_exempt) = self.is_exempt else { return };
        let mut places = Places::of(text);
        // However many findings lie in one string, it is asked for once.
        let mut last: Option<(usize, bool)> = None;
        for finding in findings {
            let says = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
            finding.is_exempt = match form {
                Form::Text => is_exempt(says(&finding.span)),
                Form::Json => {
                    let string = places.find(finding.span.start).string;
                    let is_within = string.start <= finding.span.start && finding.span.end <= string.end;
                    let says = |range: &Range<usize>| is_exempt(decoded(says(range)).as_bytes());
                    says(&finding.span)
                        || is_within && {
                            let asked = last.filter(|(start, _)| *start == string.start);
                            let (_, is_such) = asked.unwrap_or_else(|| (string.start, says(&string)));
                            last = Some((string.start, is_such));
                            is_such
                        }
                }
            };
        }
    }
}

/// Says nothing of what is exempt.
impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("exempts", &self.is_exempt.is_some())
            .field("fuel", &self.fuel)
            .finish()
    }
}

/// Why there may be more in a text than was found. In order: what keeps more from being found comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Something is packed in it (Base64, hex, gzip) that unpacks to more than is looked through: 256 KiB for one, and for all
    /// together 512 KiB and twice the length of the text. The rest of that was not looked at.
    Packed,
    /// [`FINDINGS_MAX`](super::FINDINGS_MAX) were found, and there may be more behind them.
    Findings,
    /// The fuel is out.
    Fuel,
    /// It is longer than [`TEXT_BYTES_MAX`](super::TEXT_BYTES_MAX), and the rest was not looked at.
    Length,
}

/// The class of the first of `findings`, which are in order, that has a byte in `range`: what a key that holds something is told by.
#[must_use]
pub fn class_within(findings: &[Finding<'_>], range: &Range<usize>) -> Option<&'static str> {
    let at = findings.partition_point(|finding| finding.span.end <= range.start);
    let finding = findings.get(at).filter(|finding| finding.span.start < range.end);
    finding.map(|finding| finding.class.as_str())
}

/// What was found in a text: in order, none within another. A slice of [`Finding`]s that also says whether it is all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings<'a> {
    all: Vec<Finding<'a>>,
    form: Form,
    limit: Option<Limit>,
}

impl<'a> Findings<'a> {
    pub(super) const fn new(all: Vec<Finding<'a>>, form: Form, limit: Option<Limit>) -> Self {
        Self { all, form, limit }
    }

    /// Whether nothing kept more from being found. What must be masked whole does not go out where this is false.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.limit.is_none()
    }

    /// What kept more from being found; of several, the last in their order.
    #[must_use]
    pub const fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// The JSON pointer (RFC 6901) of each finding in `text`, which was scanned; `None` where it is no JSON. They are written as
    /// they are asked for, in one pass over the text, each in about 250 bytes at most: see [`Place::path`](crate::json::Place::path).
    pub fn paths(&self, text: &[u8]) -> impl Iterator<Item = Option<String>> {
        let mut places = Places::of(text);
        self.all.iter().map(move |finding| match self.form {
            Form::Json => Some(
                places
                    .find(finding.span.start)
                    .path(text, |key| class_within(&self.all, key)),
            ),
            Form::Text => None,
        })
    }

    /// Whatever is not exempt.
    pub fn counting(&self) -> impl Iterator<Item = &Finding<'a>> {
        self.all.iter().filter(|finding| !finding.is_exempt)
    }

    /// The findings alone.
    #[must_use]
    pub fn into_vec(self) -> Vec<Finding<'a>> {
        self.all
    }
}

impl<'a> Deref for Findings<'a> {
    type Target = [Finding<'a>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl<'f, 'a> IntoIterator for &'f Findings<'a> {
    type Item = &'f Finding<'a>;
    type IntoIter = std::slice::Iter<'f, Finding<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}
