//! The order of records: numbers without a gap, a decision before its outcome, one outcome for each. It must not know
//! where records come from.

use crate::{
    record::{EventKind, Status},
    schema::{self, Kind},
    terms::CallId,
};
use std::collections::{BTreeMap, HashMap};

/// Follows a log record by record.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    next: u64,
    open: HashMap<CallId, u64>,
    seen: SeenCalls,
    decisions: u64,
    outcomes: u64,
    outcomes_unknown: u64,
}

impl Pairing {
    /// Takes the record at `index`; says all that is wrong with it.
    pub(crate) fn follow(&mut self, record: &[u8], index: u64) -> Vec<String> {
        let mut wrong = Vec::new();
        let summary = match schema::read(record) {
            Ok(summary) => summary,
            Err(what) => {
                self.next = self.next.max(index) + 1;
                return vec![what];
            }
        };
        if summary.sequence != self.next {
            wrong.push(match summary.sequence.checked_sub(self.next) {
                Some(1) => format!("record {} is missing", self.next),
                Some(_) => format!("records {} to {} are missing", self.next, summary.sequence - 1),
                None => format!("its number is {} and not {}", summary.sequence, self.next),
            });
        }
        self.next = summary.sequence.saturating_add(1);
        match (summary.kind, summary.call) {
            (Kind::Decision, Some(call)) => {
                self.decisions += 1;
                if call != summary.id || !self.seen.insert(call) {
                    wrong.push(format!("call {call} has a second decision"));
                }
                self.open.insert(call, index);
            }
            (Kind::Outcome, Some(call)) => {
                self.outcomes += 1;
                self.outcomes_unknown += u64::from(summary.status == Some(Status::Unknown));
                if self.open.remove(&call).is_none() {
                    wrong.push(format!("call {call} has an outcome and no decision that waits for one"));
                }
            }
            // The ledger closes all calls before it stops, and at the latest before it starts again.
            (Kind::Event(EventKind::Start | EventKind::Stop), _) if is_the_ledgers_own(record) => {
                let mut left: Vec<_> = self.open.drain().collect();
                left.sort_unstable_by_key(|(_, decision)| *decision);
                wrong.extend(
                    left.into_iter()
                        .map(|(call, decision)| format!("call {call}, decided in record {decision}, has no outcome")),
                );
            }
            _ => {}
        }
        wrong
    }

    pub(crate) fn decisions(&self) -> u64 {
        self.decisions
    }

    pub(crate) fn outcomes(&self) -> u64 {
        self.outcomes
    }

    pub(crate) fn outcomes_unknown(&self) -> u64 {
        self.outcomes_unknown
    }

    /// Decisions without an outcome, in order.
    pub(crate) fn open_calls(&self) -> Vec<CallId> {
        let mut open: Vec<_> = self.open.iter().map(|(call, decision)| (*decision, *call)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, call)| call).collect()
    }
}

/// Others may note starts and stops of theirs; only the ledger's own say that nothing is open.
fn is_the_ledgers_own(record: &[u8]) -> bool {
    let action = crate::canonical::parse(record)
        .ok()
        .and_then(|node| node.member("event")?.member("action")?.as_text().map(str::to_owned));
    matches!(
        action.as_deref(),
        Some(crate::record::ACTION_OPENED | crate::record::ACTION_CLOSED)
    )
}

/// Which calls were decided. Ids count up within a run of the ledger, so that a set of ranges stays small.
#[derive(Debug, Default)]
struct SeenCalls {
    /// First and one past the last of each range, by first.
    ranges: BTreeMap<u128, u128>,
}

impl SeenCalls {
    /// False where it was seen before.
    fn insert(&mut self, call: CallId) -> bool {
        let id = call.0;
        let before = self.ranges.range(..=id).next_back().map(|(start, end)| (*start, *end));
        if before.is_some_and(|(_, end)| id < end) {
            return false;
        }
        let start = before.filter(|(_, end)| *end == id).map_or(id, |(start, _)| start);
        let behind = id.saturating_add(1);
        let end = self.ranges.remove(&behind).unwrap_or(behind);
        self.ranges.insert(start, end);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn ranges_know_what_a_set_knows(ids in proptest::collection::vec(0u128..60, 0..200)) {
            let (mut ranges, mut set) = (SeenCalls::default(), HashSet::new());
            for id in ids {
                prop_assert_eq!(ranges.insert(CallId(id)), set.insert(id));
            }
            let covered: u128 = ranges.ranges.iter().map(|(start, end)| end - start).sum();
            prop_assert_eq!(covered, set.len() as u128);
        }
    }
}
