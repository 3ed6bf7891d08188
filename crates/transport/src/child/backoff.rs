//! How long to wait before a command that ended is started again. Pure: time and chance come in as arguments.

use std::time::Duration;

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A command that lived this long was healthy: the next pause is the first one again.
const HEALTHY: Duration = Duration::from_secs(60);

/// Pauses that double from 250 ms to 30 s, and begin anew after 60 s of health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// No failure so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many times in a row the command ended before it was healthy.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes that the command ended after `lived` (zero if it did not start) and gives the pause before the next start.
    ///
    /// `chance` in 0.0..=1.0 spreads the pause over the upper half of its length, so that many that failed together do
    /// not start together; what is outside counts as the nearer end.
    pub fn pause_after(&mut self, lived: Duration, chance: f64) -> Duration {
        if lived >= HEALTHY {
            self.failures = 0;
        }
        let whole = PAUSE_MIN
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        let chance = if chance.is_nan() { 1.0 } else { chance.clamp(0.0, 1.0) };
        whole.mul_f64(0.5 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_stop_growing_and_begin_anew_after_health() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..10)
            .map(|_| backoff.pause_after(Duration::ZERO, 1.0).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]
        );
        assert_eq!(backoff.failures(), 10);
        assert_eq!(
            backoff.pause_after(Duration::from_millis(59_999), 1.0).as_millis(),
            30_000
        );
        assert_eq!(backoff.pause_after(Duration::from_secs(60), 1.0).as_millis(), 250);
        assert_eq!(backoff.failures(), 1);
    }

    #[test]
    fn chance_spreads_over_the_upper_half_and_never_outside() {
        for (chance, expected) in [
            (0.0, 125),
            (0.5, 187),
            (1.0, 250),
            (-3.0, 125),
            (9.0, 250),
            (f64::NAN, 250),
        ] {
            assert_eq!(Backoff::new().pause_after(Duration::ZERO, chance).as_millis(), expected);
        }
        let mut tired = Backoff { failures: u32::MAX };
        assert_eq!(tired.pause_after(Duration::ZERO, 1.0), PAUSE_MAX);
    }
}
