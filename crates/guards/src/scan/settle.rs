//! What of all that was found is told: findings that others overlap, and those that want company and have none.

use super::class::Class;
use super::peek::{ahead, behind};
use super::{Confidence, FINDINGS_MAX, Found};
use std::cmp::Reverse;
use std::ops::Range;

/// What stands between a class and the hash of a value in a mark.
pub(crate) const HASH_SIGN: &[u8] = b":hash:";

/// Letters of a hash in a mark, from `a` to `p`.
pub(crate) const HASH_LETTERS: usize = 16;

/// The marks in `text` that [`mask`](crate::mask::mask) puts in the place of findings: `[CLASS]`, or `[CLASS:` and four letters or
/// digits and `]`, or `[CLASS:hash:`, a hash and `]`. No number fits in one; what a server
/// spells out in letters of its own is not found anywhere.
pub(crate) fn marks(text: &[u8]) -> impl Iterator<Item = (Class, Range<usize>)> {
    memchr::memchr_iter(b'[', text).filter_map(|at| {
        let rest = text.get(at + 1..)?;
        if !rest.first()?.is_ascii_uppercase() {
            return None;
        }
        let (class, length) = Class::ALL.iter().find_map(|class| {
            let name = class.as_str().as_bytes();
            match rest.strip_prefix(name)? {
                [b']', ..] => Some((*class, name.len() + 2)),
                kept if let Some(hash) = kept.strip_prefix(HASH_SIGN) => {
                    let is_letter = |byte: &u8| (b'a'..=b'p').contains(byte);
                    let is_mark =
                        hash.get(HASH_LETTERS) == Some(&b']') && hash.iter().take(HASH_LETTERS).all(is_letter);
                    is_mark.then_some((*class, name.len() + HASH_SIGN.len() + HASH_LETTERS + 2))
                }
                [b':', last4 @ ..] => {
                    let is_mark = last4.get(4) == Some(&b']') && last4.iter().take(4).all(u8::is_ascii_alphanumeric);
                    is_mark.then_some((*class, name.len() + 7))
                }
                _ => None,
            }
        })?;
        Some((class, at..at + length))
    })
}

/// Whether `span` lies in the last of these, which are in order, that does not begin behind it: in a mark of ours, say.
pub(super) fn is_within(all: &[Range<usize>], span: &Range<usize>) -> bool {
    let before = all.partition_point(|one| one.start <= span.start);
    let last = before.checked_sub(1).and_then(|last| all.get(last));
    last.is_some_and(|one| span.end <= one.end)
}

/// A row of a table is so long at most.
const ROW_BYTES_MAX: usize = 1_024;

/// A column of names or addresses is of people whom somebody keeps data on where its rows hold more of that; else it may be a list
/// of authors, streets or places, as published data is full of.
pub(super) fn strangers(text: &[u8], found: &mut Vec<Found<'_>>) {
    if !found.iter().any(|found| found.wants_company) {
        return;
    }
    let mut known: Vec<usize> = found
        .iter()
        .filter(|found| !matches!(found.class, Class::Person | Class::Address))
        .map(|found| found.span.start)
        .collect();
    known.sort_unstable();
    found.retain(|one| {
        let line = |at: usize| {
            let before = behind(text, at, ROW_BYTES_MAX);
            let behind = ahead(text, at, ROW_BYTES_MAX);
            let start = at
                - before
                    .iter()
                    .rev()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(before.len());
            start..at + behind.iter().position(|byte| *byte == b'\n').unwrap_or(behind.len())
        };
        !one.wants_company || {
            let row = line(one.span.start);
            let first = known.partition_point(|at| *at < row.start);
            known.get(first).is_some_and(|at| *at < row.end)
        }
    });
}

/// Findings in order, of which none lies in another: of two that overlap one gives way, and keeps what it has beside the other.
pub(super) fn overlaps(found: &mut Vec<Found<'_>>) {
    // Of those that begin together the surer first, then the longer.
    found.sort_by_key(|found| (found.span.start, Reverse(found.confidence), Reverse(found.span.len())));
    let mut kept: Vec<Found<'_>> = Vec::with_capacity(found.len());
    for mut next in found.drain(..) {
        let overlapped = kept.last_mut().filter(|last| next.span.start < last.span.end);
        if let Some(last) = overlapped {
            // What holds another whole masks it too. Of equals an issuer's is more than anybody's, and the later one has a word to
            // name it.
            let holds = |one: &Found<'_>, other: &Found<'_>| {
                one.confidence > Confidence::Likely
                    && one.span.start <= other.span.start
                    && one.span.end >= other.span.end
            };
            let rank = |found: &Found<'_>| (found.confidence, found.span.len(), found.class != Class::GenericSecret);
            let is_more = match (holds(&next, last), holds(last, &next)) {
                (true, false) => true,
                (false, true) => false,
                _ => rank(&next) >= rank(last),
            };
            // What the lesser one has beside the other is masked too.
            if is_more && last.span.start < next.span.start && next.span.end > last.span.end {
                last.span.end = next.span.start;
                kept.push(next);
            } else if is_more {
                *last = next;
            } else if next.span.end > last.span.end {
                next.span.start = last.span.end;
                kept.push(next);
            }
        } else {
            kept.push(next);
        }
    }
    kept.truncate(FINDINGS_MAX);
    *found = kept;
}

/// No finding covers a mark: it is told as what it has beside the marks, and where it has nothing there it is none. Findings and
/// marks are in order, and none lies in another.
pub(super) fn beside_marks(text: &[u8], marks: &[Range<usize>], found: &mut Vec<Found<'_>>) {
    if marks.is_empty() {
        return;
    }
    let is_something = |part: &Range<usize>| {
        let part = text.get(part.clone()).unwrap_or_default();
        part.iter().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    let mut told = Vec::with_capacity(found.len());
    for one in found.drain(..) {
        let first = marks.partition_point(|mark| mark.end <= one.span.start);
        let mut start = one.span.start;
        for mark in marks.iter().skip(first).take_while(|mark| mark.start < one.span.end) {
            let part = start..mark.start.max(start);
            if is_something(&part) {
                told.push(Found {
                    span: part,
                    ..one.clone()
                });
            }
            start = mark.end;
        }
        let part = start..one.span.end.max(start);
        if start == one.span.start || is_something(&part) {
            told.push(Found { span: part, ..one });
        }
    }
    told.truncate(FINDINGS_MAX);
    *found = told;
}
