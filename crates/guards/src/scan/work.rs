//! How much one scan may cost, and how much of one text is looked at more than once. It must not know what is looked for.

use super::findings::Limit;
use std::ops::Range;

/// Small texts may name a value this often and more.
const WORK_BYTES_BASE: usize = 16 * 1024;

/// What may be unpacked of one text, beside twice its length.
const UNPACKED_BYTES_BASE: usize = 512 * 1024;

/// The fuel of small texts: they may hold as much as is unpacked, and name its values.
pub(super) const FUEL_BASE: usize = 1024 * 1024;

/// What is left for one scan, and what kept it from more.
#[derive(Debug)]
pub(super) struct Meter {
    /// Units that may still be used: a byte looked at is one.
    fuel: usize,
    /// So many bytes may still be unpacked, however much fuel there is.
    unpacked: usize,
    limit: Option<Limit>,
}

impl Meter {
    /// For a text of so many bytes.
    pub(super) const fn new(length: usize, fuel: usize) -> Self {
        Self {
            fuel,
            unpacked: UNPACKED_BYTES_BASE + 2 * length,
            limit: None,
        }
    }

    pub(super) const fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// Something keeps more from being found.
    pub(super) fn hits(&mut self, limit: Limit) {
        self.limit = self.limit.max(Some(limit));
    }

    /// As much of `text` as there is fuel to look at, in whole characters.
    pub(super) fn looks_at<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        let mut length = text.len();
        if length > self.fuel {
            self.hits(Limit::Fuel);
            length = self.fuel;
            let begins = |at: usize| text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
            // A character has at most four bytes.
            length -= (0..4.min(length)).find(|back| begins(length - back)).unwrap_or(0);
        }
        self.fuel -= length;
        text.get(..length).unwrap_or_default()
    }

    /// How much one more thing may unpack to, if that is at most `wanted`.
    pub(super) fn room(&mut self, wanted: usize) -> usize {
        let room = wanted.min(self.unpacked).min(self.fuel);
        if room < wanted.min(self.unpacked) {
            self.hits(Limit::Fuel);
        }
        room
    }

    /// So many bytes were unpacked. What is looked at of them is paid then.
    pub(super) fn unpacks(&mut self, bytes: usize) {
        self.unpacked = self.unpacked.saturating_sub(bytes);
    }

    /// Work on the values of `text`.
    pub(super) fn begin(&self, text: &[u8]) -> Work {
        Work {
            left: self.fuel.min(WORK_BYTES_BASE + 4 * text.len()),
            used: 0,
            is_out: false,
            run: 0..0,
        }
    }

    /// Takes what that work was.
    pub(super) fn end(&mut self, work: &Work) {
        self.fuel = self.fuel.saturating_sub(work.used);
        if work.is_out {
            self.hits(Limit::Fuel);
        }
    }
}

/// What the values of one text may cost, however often they are named: a text that names the same value over and over is looked at
/// in time that grows with its length.
#[derive(Debug)]
pub(super) struct Work {
    /// So many bytes of values are still asked whether they are placeholders; then all of them are taken for secrets.
    left: usize,
    used: usize,
    is_out: bool,
    /// Where the last value without quotes begins, and how far it goes on at least.
    run: Range<usize>,
}

impl Work {
    /// Whether this value can be asked, too.
    pub(super) fn pays(&mut self, value: &[u8]) -> bool {
        let pays = value.len() <= self.left;
        let used = value.len().min(self.left);
        self.left -= used;
        self.used += used;
        self.is_out |= !pays;
        pays
    }

    /// The first place in `span` that ends a value there, or its end; a value within the last one ends where that does.
    pub(super) fn end(&mut self, span: &Range<usize>, ends: impl Fn(usize) -> bool) -> usize {
        let from = match self.run.contains(&span.start) {
            true => self.run.end.min(span.end),
            false => span.start,
        };
        let end = (from..span.end).find(|at| ends(*at)).unwrap_or(span.end);
        self.run = span.start..end;
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_within_another_ends_where_it_does() {
        let text = b"token:token:x y";
        let mut work = Meter::new(text.len(), usize::MAX).begin(text);
        let ends = |at: usize| text.get(at) == Some(&b' ');
        assert_eq!(work.end(&(6..15), ends), 13);
        assert_eq!(work.end(&(12..15), |at| at >= 13 || panic!("asked again")), 13);
        assert_eq!(work.end(&(14..15), ends), 15);
    }

    #[test]
    fn work_ends_and_says_so() {
        let value = [b'x'; 256];
        for (fuel, count) in [(usize::MAX, WORK_BYTES_BASE / 256), (1_024, 4), (0, 0)] {
            let mut meter = Meter::new(0, fuel);
            let mut work = meter.begin(b"");
            assert_eq!((0..100).filter(|_| work.pays(&value)).count(), count);
            meter.end(&work);
            assert_eq!(meter.limit(), Some(Limit::Fuel));
        }
        let mut meter = Meter::new(0, 1_024);
        let mut work = meter.begin(b"");
        assert!(work.pays(&value));
        meter.end(&work);
        assert_eq!((meter.limit(), meter.fuel), (None, 768));
    }

    #[test]
    fn a_text_is_looked_at_as_far_as_there_is_fuel_in_whole_characters() {
        let text = "aé€".as_bytes();
        for (fuel, looked) in [(9, 6), (6, 6), (5, 3), (4, 3), (3, 3), (2, 1), (1, 1), (0, 0)] {
            let mut meter = Meter::new(text.len(), fuel);
            assert_eq!(meter.looks_at(text).len(), looked, "{fuel}");
            assert_eq!(meter.limit().is_none(), looked == 6, "{fuel}");
        }
    }
}
