//! What was found in news and questions that belong to no call, until the record tells of it: the first at once, then one record a
//! window for each server and principal, so that a server cannot fill the log. It must not know where either comes from.

use crate::screen::Seen;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long findings are gathered behind a record of some.
const WINDOW: Duration = Duration::from_secs(60);
/// Servers and principals that are told apart; the findings of more wait in the last place, under no name.
const PLACES_MAX: usize = 1_024;

/// Findings that are due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Strewn {
    pub(super) upstream: Arc<str>,
    /// Whose session it was.
    pub(super) owner: Arc<str>,
    pub(super) seen: Seen,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct StrewnData {
    places: HashMap<(Arc<str>, Arc<str>), Gathered>,
}

#[derive(Debug)]
struct Gathered {
    told: Instant,
    seen: Seen,
}

impl StrewnData {
    /// Takes in what was seen; what is due at once.
    pub(super) fn saw(&mut self, upstream: &Arc<str>, owner: &str, seen: Seen, now: Instant) -> Option<Strewn> {
        let is_full = self.places.len() >= PLACES_MAX;
        let mut key = (Arc::clone(upstream), Arc::from(owner));
        if is_full && !self.places.contains_key(&key) {
            key = ("".into(), "".into());
        }
        match self.places.get_mut(&key) {
            Some(gathered) => {
                gathered.seen.and(seen);
                None
            }
            None => {
                let (upstream, owner) = key.clone();
                self.places.insert(
                    key,
                    Gathered {
                        told: now,
                        seen: Seen::default(),
                    },
                );
                Some(Strewn { upstream, owner, seen })
            }
        }
    }

    /// What is due as its window is over; all of it where all is over.
    pub(super) fn due(&mut self, now: Instant, is_over: bool) -> Vec<Strewn> {
        let mut due = Vec::new();
        self.places.retain(|(upstream, owner), gathered| {
            if !is_over && now.saturating_duration_since(gathered.told) < WINDOW {
                return true;
            }
            let seen = std::mem::take(&mut gathered.seen);
            gathered.told = now;
            let is_quiet = seen.is_empty();
            if !is_quiet {
                due.push(Strewn {
                    upstream: Arc::clone(upstream),
                    owner: Arc::clone(owner),
                    seen,
                });
            }
            // Whoever was quiet for a window is told of at once again.
            !is_quiet
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str) -> Seen {
        Seen::of_one(path)
    }

    #[test]
    fn the_first_is_told_at_once_and_then_one_record_a_window() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let bank: Arc<str> = "bank".into();
        let mut data = StrewnData::default();
        let first = data.saw(&bank, "ana", seen("/a"), at(0)).unwrap();
        assert_eq!(
            (&*first.upstream, &*first.owner, first.seen),
            ("bank", "ana", seen("/a"))
        );
        assert_eq!(data.saw(&bank, "ana", seen("/b"), at(1)), None);
        assert_eq!(data.saw(&bank, "ana", seen("/b"), at(2)), None);
        assert!(data.saw(&bank, "bob", seen("/b"), at(2)).is_some(), "another principal");
        assert_eq!(data.due(at(30), false), []);
        let [due] = data.due(at(60), false).try_into().unwrap();
        assert_eq!(
            (&*due.owner, due.seen.lines()),
            ("ana", vec!["EMAIL pass 2 /b".to_owned()])
        );
        assert_eq!(data.saw(&bank, "ana", seen("/c"), at(61)), None, "its window goes on");
        assert_eq!(data.due(at(62), true).len(), 1, "all of it at the end");
        assert_eq!(data.due(at(300), false), []);
        assert!(
            data.saw(&bank, "ana", seen("/d"), at(301)).is_some(),
            "at once after a quiet window"
        );
    }

    #[test]
    fn no_more_places_are_kept_than_there_may_be() {
        let now = Instant::now();
        let bank: Arc<str> = "bank".into();
        let mut data = StrewnData::default();
        for at in 0..PLACES_MAX * 2 {
            data.saw(&bank, &at.to_string(), seen("/a"), now);
        }
        assert_eq!(data.places.len(), PLACES_MAX + 1);
        let due = data.due(now, true);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].seen.lines(), [format!("EMAIL pass {} /a", PLACES_MAX - 1)]);
    }
}
