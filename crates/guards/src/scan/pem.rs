//! Private keys, from BEGIN to END (RFC 7468, OpenSSH, PGP, PuTTY). The body is always in the span: also through quotes, line
//! prefixes and escapes, which the view has undone, and also where the END is missing.

use super::class::Class;
use super::{Confidence, Found};
use memchr::memmem;
use std::ops::Range;

/// The longest key that is looked for.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// Between BEGIN and `PRIVATE KEY` stand a few words at most.
const LABEL_BYTES_MAX: usize = 48;

pub(super) fn find<'a>(text: &[u8], found: &mut Vec<Found<'a>>) {
    let mut past = 0;
    for begin in memmem::find_iter(text, b"-BEGIN ") {
        if begin < past {
            continue;
        }
        if let Some(span) = key_at(text, begin) {
            past = span.end;
            found.push(Found {
                class: Class::PrivateKey,
                rule: "private-key-pem",
                confidence: Confidence::Certain,
                span,
            });
        }
    }
    for begin in memmem::find_iter(text, b"PuTTY-User-Key-File-") {
        let rest = text
            .get(begin..(begin + KEY_BYTES_MAX).min(text.len()))
            .unwrap_or_default();
        let Some(private) = memmem::find(rest, b"Private-Lines:") else {
            continue;
        };
        let mac = memmem::find(rest, b"Private-MAC:").filter(|mac| *mac > private);
        let end = match mac {
            Some(mac) => mac + line_length(rest, mac),
            None => private + body_length(rest.get(private..).unwrap_or_default()),
        };
        found.push(Found {
            class: Class::PrivateKey,
            rule: "private-key-putty",
            confidence: Confidence::Certain,
            span: begin..begin + end,
        });
    }
}

/// The key whose `-BEGIN ` is at `begin`.
fn key_at(text: &[u8], begin: usize) -> Option<Range<usize>> {
    let dashes = text
        .get(..begin)?
        .iter()
        .rev()
        .take_while(|byte| **byte == b'-')
        .count();
    let start = begin - dashes;
    let rest = text.get(begin..(begin + KEY_BYTES_MAX).min(text.len()))?;
    let label = rest.get(b"-BEGIN ".len()..(b"-BEGIN ".len() + LABEL_BYTES_MAX).min(rest.len()))?;
    let private = memmem::find(label, b"PRIVATE KEY")?;
    // `PRIVATE KEY BLOCK` too.
    let label_end = b"-BEGIN ".len() + private + b"PRIVATE KEY".len();
    let behind = rest.get(label_end..)?;
    let end = memmem::find(behind, b"-END ").map(|end| {
        let at = label_end + end;
        let label = rest.get(at + 1..).unwrap_or_default();
        let label_length = label
            .iter()
            .take(LABEL_BYTES_MAX + 8)
            .take_while(|byte| **byte != b'-')
            .count();
        let closing = label.get(label_length..).unwrap_or_default();
        at + 1 + label_length + closing.iter().take(5).take_while(|byte| **byte == b'-').count()
    });
    let end = end.unwrap_or_else(|| label_end + body_length(behind));
    Some(start..begin + end)
}

fn line_length(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.iter()
        .position(|byte| matches!(byte, b'\n' | b'\r' | b'"' | b'<'))
        .unwrap_or(rest.len())
}

/// How far Base64 goes, in lines with whatever stands before each.
fn body_length(text: &[u8]) -> usize {
    let mut end = 0;
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let content = line.trim_ascii();
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        // What quotes or marks the line, and headers such as `Proc-Type:`.
        let body = content
            .iter()
            .rev()
            .skip_while(|byte| !is_base64(byte))
            .take_while(|byte| is_base64(byte))
            .count();
        let is_header = memchr::memchr(b':', content).is_some();
        let is_body = body >= 16
            || body > 0 && body == content.len()
            || is_header && at < 256
            || content.iter().all(|byte| *byte == b'-');
        if !is_body && !content.is_empty() {
            break;
        }
        at += line.len();
        if body > 0 {
            end = at - (line.len() - line.trim_ascii_end().len());
        }
    }
    end
}
