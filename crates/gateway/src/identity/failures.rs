//! How often strangers fail, so that one record a window says so and nobody can fill the log. It must not know a clock or the log.

/// Length of a window, in seconds.
const WINDOW_S: u64 = 60;

/// Counts failures of authentication. The first is told at once, later ones when the window is over.
#[derive(Debug, Default)]
pub struct Failures {
    /// When the window began; `None` when nothing has failed since the last one ended.
    since_unix_s: Option<u64>,
    /// Failures that no record tells of yet.
    untold: u64,
}

impl Failures {
    /// Counts one failure. Yields how many to put on the record now, this one counted, when a record is due.
    pub fn observe(&mut self, now_unix_s: u64) -> Option<u64> {
        self.untold = self.untold.saturating_add(1);
        match self.since_unix_s {
            // A clock that was set back begins a new window: it must not silence the record.
            Some(since) if (since..since.saturating_add(WINDOW_S)).contains(&now_unix_s) => None,
            _ => {
                self.since_unix_s = Some(now_unix_s);
                Some(std::mem::take(&mut self.untold))
            }
        }
    }

    /// How many are still to be told, when a window is over and nothing has failed since; to be asked now and then, and at the
    /// end with `u64::MAX`.
    pub fn flush(&mut self, now_unix_s: u64) -> Option<u64> {
        let over = self
            .since_unix_s
            .is_some_and(|since| now_unix_s >= since.saturating_add(WINDOW_S));
        if !over {
            return None;
        }
        self.since_unix_s = None;
        Some(std::mem::take(&mut self.untold)).filter(|untold| *untold > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_a_window_and_no_failure_is_lost() {
        let mut failures = Failures::default();
        assert_eq!(failures.observe(100), Some(1));
        for second in 101..160 {
            assert_eq!(failures.observe(second), None);
        }
        assert_eq!(failures.observe(160), Some(60));
        assert_eq!(failures.observe(161), None);
        assert_eq!(failures.flush(200), None);
        assert_eq!(failures.flush(220), Some(1));
        assert_eq!(failures.flush(400), None);
        assert_eq!(failures.observe(500), Some(1));
    }

    #[test]
    fn a_clock_set_back_does_not_silence_it() {
        let mut failures = Failures::default();
        assert_eq!(failures.observe(1_000), Some(1));
        assert_eq!(failures.observe(10), Some(1));
        assert_eq!(failures.flush(u64::MAX), None);
    }
}
