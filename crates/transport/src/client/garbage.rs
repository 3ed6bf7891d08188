//! What a process last wrote to its stdout that is no message: such lines are passed over, so that only whoever waited in vain
//! for an answer asks what came in its place. It must not know connections or requests.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How much of a line is kept, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 160;

/// The beginning of a line. On the stack, since it is taken of each line before it is known what it is.
#[derive(Clone, Copy)]
pub(super) struct Beginning {
    bytes: [u8; LINE_BYTES_MAX],
    kept: usize,
    is_whole: bool,
}

impl Beginning {
    pub(super) fn of(line: &[u8]) -> Self {
        let mut bytes = [0; LINE_BYTES_MAX];
        let kept = line.len().min(LINE_BYTES_MAX);
        if let (Some(to), Some(from)) = (bytes.get_mut(..kept), line.get(..kept)) {
            to.copy_from_slice(from);
        }
        Self {
            bytes,
            kept,
            is_whole: kept == line.len(),
        }
    }

    /// In quotes, with what would act on a terminal written out.
    pub(super) fn quoted(&self) -> String {
        let text = String::from_utf8_lossy(self.bytes.get(..self.kept).unwrap_or_default());
        let more = if self.is_whole { "" } else { ".." };
        format!("`{}{more}`", text.escape_debug())
    }
}

/// The last such line, and when it came.
#[derive(Debug, Default)]
pub(super) struct LastGarbage(Mutex<Option<(Instant, String)>>);

impl LastGarbage {
    pub(super) fn keep(&self, line: &Beginning) {
        let last = Some((Instant::now(), line.quoted()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// The line in quotes, if it has come since `begun`.
    pub(super) fn since(&self, begun: Instant) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .filter(|(came, _)| *came >= begun)
            .map(|(_, line)| line.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_quoted_in_part_and_acts_on_no_terminal() {
        assert_eq!(Beginning::of(b"Loading\x1b[2J..").quoted(), "`Loading\\u{1b}[2J..`");
        assert_eq!(Beginning::of(b"").quoted(), "``");
        let long = Beginning::of(&[b'x'; 5_000]).quoted();
        assert_eq!(long, format!("`{}..`", "x".repeat(LINE_BYTES_MAX)));
        assert!(Beginning::of(b"\xff\xfe").quoted().contains('\u{fffd}'));
    }

    #[test]
    fn only_what_came_since_is_told() {
        let last = LastGarbage::default();
        let begun = Instant::now();
        assert_eq!(last.since(begun), None);
        last.keep(&Beginning::of(b"one"));
        last.keep(&Beginning::of(b"two"));
        assert_eq!(last.since(begun).as_deref(), Some("`two`"));
        assert_eq!(last.since(Instant::now() + std::time::Duration::from_secs(1)), None);
    }
}
