//! How much of one text is looked at more than once. It must not know what is looked for.

use std::ops::Range;

/// Small texts may name a value this often and more.
const WORK_BYTES_BASE: usize = 16 * 1024;

/// What the values of one text may cost, however often they are named: a text that names the same value over and over is looked at
/// in time that grows with its length.
#[derive(Debug)]
pub(super) struct Work {
    /// So many bytes of values are still asked whether they are placeholders; then all of them are taken for secrets.
    left: usize,
    /// Where the last value without quotes begins, and how far it goes on at least.
    run: Range<usize>,
}

impl Work {
    pub(super) const fn of(text: &[u8]) -> Self {
        Self {
            left: WORK_BYTES_BASE + 4 * text.len(),
            run: 0..0,
        }
    }

    /// Whether this value can be asked, too.
    pub(super) fn pays(&mut self, value: &[u8]) -> bool {
        let left = self.left.checked_sub(value.len());
        self.left = left.unwrap_or(0);
        left.is_some()
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
        let mut work = Work::of(text);
        let ends = |at: usize| text.get(at) == Some(&b' ');
        assert_eq!(work.end(&(6..15), ends), 13);
        assert_eq!(work.end(&(12..15), |at| at >= 13 || panic!("asked again")), 13);
        assert_eq!(work.end(&(14..15), ends), 15);
    }

    #[test]
    fn work_ends() {
        let mut work = Work::of(b"");
        let value = [b'x'; 256];
        assert_eq!((0..100).filter(|_| work.pays(&value)).count(), WORK_BYTES_BASE / 256);
    }
}
