//! What a command says on stderr: line by line to the log, within a budget, and the last of it kept for error messages.
//!
//! The text comes from a stranger and is meant for people: control characters are escaped, so that it cannot move the
//! cursor of a terminal or forge a line of the log. It is never taken as a sign of failure (PROTOCOL 1.4). This file
//! must not know what the command is.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::Instant;

/// How much of a line is logged, in bytes; the rest of it is dropped.
const LINE_BYTES_MAX: usize = 4096;
/// How many lines are logged per window.
const LINES_PER_WINDOW: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);
/// How much of the end is kept, in bytes.
const TAIL_BYTES_MAX: usize = 64 * 1024;

/// The last 64 KiB that a command wrote to stderr; shared with the task that reads it.
#[derive(Debug, Clone, Default)]
pub struct StderrTail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

impl StderrTail {
    /// The last `count` lines that are not empty, oldest first, escaped and cut to 4 KiB each.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let bytes: Vec<u8> = self
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .collect();
        let mut lines: Vec<String> = bytes
            .rsplit(|&byte| byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .take(count)
            .map(|line| printable(line.get(..LINE_BYTES_MAX).unwrap_or(line)))
            .collect();
        lines.reverse();
        lines
    }

    fn keep(&self, received: &[u8]) {
        let received = received
            .get(received.len().saturating_sub(TAIL_BYTES_MAX)..)
            .unwrap_or(received);
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let excess = (bytes.len() + received.len()).saturating_sub(TAIL_BYTES_MAX);
        bytes.drain(..excess);
        bytes.extend(received);
    }
}

/// Reads stderr to its end. It never stops reading, whatever the budget: a command must not hang because it talks.
pub(super) async fn follow(mut stream: pipe::Receiver, name: String, tail: StderrTail) {
    let mut log = StderrLog::default();
    let begin = Instant::now();
    let mut log_out = |said: Said| match said {
        Said::Line(line) => tracing::info!(target: "upstream::stderr", server = %name, "{line}"),
        Said::Suppressed(count) => {
            tracing::warn!(target: "upstream::stderr", server = %name, "{count} lines suppressed");
        }
    };
    let mut buffer = [0; 4096];
    loop {
        let window_end = begin + log.window_end();
        let read = tokio::select! {
            read = stream.read(&mut buffer) => read,
            () = tokio::time::sleep_until(window_end), if log.suppresses() => {
                log.tick(begin.elapsed(), &mut log_out);
                continue;
            }
        };
        let received = match read {
            Ok(0) | Err(_) => break,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
        };
        tail.keep(received);
        log.push(received, begin.elapsed(), &mut log_out);
    }
    log.finish(begin.elapsed(), &mut log_out);
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Line(String),
    Suppressed(u64),
}

/// Turns received bytes into what is logged. Pure; `now` counts from any fixed moment.
#[derive(Debug, Default)]
struct StderrLog {
    line: Vec<u8>,
    window_start: Duration,
    lines_in_window: u32,
    suppressed: u64,
}

impl StderrLog {
    fn push(&mut self, received: &[u8], now: Duration, out: &mut impl FnMut(Said)) {
        let mut pieces = received.split(|&byte| byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = LINE_BYTES_MAX - self.line.len().min(LINE_BYTES_MAX);
            self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if pieces.peek().is_some() {
                self.end_line(now, out);
            }
        }
    }

    fn finish(&mut self, now: Duration, out: &mut impl FnMut(Said)) {
        self.end_line(now, out);
        self.tell_suppressed(out);
    }

    fn tick(&mut self, now: Duration, out: &mut impl FnMut(Said)) {
        if now >= self.window_end() {
            self.tell_suppressed(out);
            self.window_start = now;
            self.lines_in_window = 0;
        }
    }

    fn window_end(&self) -> Duration {
        self.window_start.saturating_add(WINDOW)
    }

    fn suppresses(&self) -> bool {
        self.suppressed > 0
    }

    fn end_line(&mut self, now: Duration, out: &mut impl FnMut(Said)) {
        self.tick(now, out);
        if !self.line.trim_ascii().is_empty() {
            if self.lines_in_window < LINES_PER_WINDOW {
                self.lines_in_window += 1;
                out(Said::Line(printable(&self.line)));
            } else {
                self.suppressed = self.suppressed.saturating_add(1);
            }
        }
        self.line.clear();
    }

    fn tell_suppressed(&mut self, out: &mut impl FnMut(Said)) {
        if self.suppressed > 0 {
            out(Said::Suppressed(std::mem::take(&mut self.suppressed)));
        }
    }
}

/// The bytes as text that is safe to print: control characters, and the invisible ones that reorder text, are escaped.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.trim_ascii_end());
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => safe.push(character),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => {
                let _ = write!(safe, "{}", character.escape_unicode());
            }
            _ if character.is_control() => {
                let _ = write!(safe, "{}", character.escape_default());
            }
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pushes: &[(&str, u64)]) -> Vec<Said> {
        let (mut log, mut out) = (StderrLog::default(), Vec::new());
        for (text, second) in pushes {
            log.push(text.as_bytes(), Duration::from_secs(*second), &mut |said| {
                out.push(said)
            });
        }
        log.finish(Duration::from_secs(100), &mut |said| out.push(said));
        out
    }

    #[test]
    fn lines_come_whole_from_pieces_and_the_last_needs_no_end() {
        let line = |text: &str| Said::Line(text.to_owned());
        assert_eq!(
            said(&[("one\ntw", 0), ("o\r\n\n", 1), ("three", 2)]),
            [line("one"), line("two"), line("three")]
        );
    }

    #[test]
    fn a_flood_is_counted_and_the_next_window_is_heard_again() {
        let flood = "x\n".repeat(1000);
        let out = said(&[(&flood, 0), ("after\n", 10)]);
        assert_eq!(out.len(), 202);
        assert_eq!(out[200..], [Said::Suppressed(800), Said::Line("after".into())]);
        let out = said(&[(&flood, 0)]);
        assert_eq!(out[200..], [Said::Suppressed(800)], "told at the end too");
    }

    #[test]
    fn a_long_line_is_cut_and_control_characters_cannot_act() {
        let out = said(&[
            (&"y".repeat(10_000), 0),
            (&format!("{}\n\u{1b}[2J\u{202e}\u{7}ok\n", "y".repeat(10_000)), 0),
        ]);
        assert_eq!(out[0], Said::Line("y".repeat(LINE_BYTES_MAX)));
        assert_eq!(out[1], Said::Line("\\u{1b}[2J\\u{202e}\\u{7}ok".into()));
        assert_eq!(printable(b"\xff\xfe\tx"), "\u{fffd}\u{fffd}\tx");
    }

    #[test]
    fn the_tail_keeps_the_end_and_no_more() {
        let tail = StderrTail::default();
        tail.keep(b"first\n");
        for _ in 0..100 {
            tail.keep(&[b'z'; 1000]);
        }
        tail.keep(b"\nlast but one\n\nlast\n");
        assert_eq!(tail.last_lines(2), ["last but one", "last"]);
        assert_eq!(tail.last_lines(99).len(), 3);
        assert_eq!(tail.bytes.lock().unwrap().len(), TAIL_BYTES_MAX);
        tail.keep(&[b'q'; TAIL_BYTES_MAX + 5]);
        assert_eq!(tail.bytes.lock().unwrap().len(), TAIL_BYTES_MAX);
    }
}
