//! What is said of a server that stays down: once why, again at growing distances, and that it is back. It must not know logs
//! or the record, nor a clock.

use std::time::Duration;
use tokio::time::Instant;

/// Least and most time between two reminders of one outage; each is twice the one before.
const REMIND_MIN: Duration = Duration::from_secs(600);
const REMIND_MAX: Duration = Duration::from_secs(6 * 3600);

/// The time since a server did not answer, if it does not.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Begun>);

#[derive(Debug)]
struct Begun {
    since: Instant,
    attempts: u64,
    /// The kinds of reasons that were said.
    said: Vec<String>,
    remind_at: Instant,
    remind_after: Duration,
}

/// What a failed attempt is worth saying.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// That it is down, or for another reason than any so far.
    Down,
    /// That it still is.
    Still(Past),
    /// Nothing that was not said.
    Nothing,
}

/// An outage so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) lasted: Duration,
    pub(super) attempts: u64,
}

impl Outage {
    /// An attempt has failed, for a reason of this kind; of kinds there are few.
    pub(super) fn failed(&mut self, kind: &str, now: Instant) -> Word {
        let begun = self.0.get_or_insert_with(|| Begun {
            since: now,
            attempts: 0,
            said: Vec::new(),
            remind_at: now + REMIND_MIN,
            remind_after: REMIND_MIN,
        });
        begun.attempts += 1;
        if !begun.said.iter().any(|said| said == kind) {
            begun.said.push(kind.to_owned());
            return Word::Down;
        }
        if now < begun.remind_at {
            return Word::Nothing;
        }
        begun.remind_after = (begun.remind_after * 2).min(REMIND_MAX);
        begun.remind_at = now + begun.remind_after;
        Word::Still(begun.past(now))
    }

    /// The server has answered. Yields the outage that is over, if there was one.
    pub(super) fn over(&mut self, now: Instant) -> Option<Past> {
        self.0.take().map(|begun| begun.past(now))
    }
}

impl Begun {
    fn past(&self, now: Instant) -> Past {
        Past {
            lasted: now.duration_since(self.since),
            attempts: self.attempts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of attempts, one in half a minute.
    #[test]
    fn an_outage_is_said_once_and_then_ever_more_rarely() {
        let begun = Instant::now();
        let mut outage = Outage::default();
        assert_eq!(outage.over(begun), None);
        let at = |attempt: u64| begun + Duration::from_secs(30 * attempt);
        let mut said = Vec::new();
        for attempt in 0..2_880 {
            match outage.failed("cannot be reached", at(attempt)) {
                Word::Down => assert_eq!(attempt, 0),
                Word::Still(past) => said.push(past.lasted.as_secs() / 60),
                Word::Nothing => {}
            }
        }
        assert_eq!(said, [10, 30, 70, 150, 310, 630, 990, 1350]);
        // Another reason is news, the second time it is not.
        assert_eq!(outage.failed("closed", at(2_880)), Word::Down);
        assert_eq!(outage.failed("cannot be reached", at(2_881)), Word::Nothing);
        assert_eq!(outage.failed("closed", at(2_882)), Word::Nothing);
        let past = outage.over(at(2_883)).unwrap();
        assert_eq!((past.lasted.as_secs(), past.attempts), (30 * 2_883, 2_883));
        assert_eq!(outage.over(at(2_884)), None);
        // The next outage is one of its own.
        assert_eq!(outage.failed("closed", at(2_885)), Word::Down);
    }
}
