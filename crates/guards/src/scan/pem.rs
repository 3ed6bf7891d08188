//! Private keys, from BEGIN to END (RFC 7468, OpenSSH, PGP, PuTTY). The body is always in the span: also through quotes, line
//! prefixes and escapes, which the view has undone, and also where the END is missing.

use super::class::Class;
use super::peek::ahead;
use super::{Confidence, Found};
use memchr::memmem::{self, Finder};
use std::ops::Range;
use std::sync::LazyLock;

/// The longest key that is looked for.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// Between BEGIN and `PRIVATE KEY` stand a few words at most.
const LABEL_BYTES_MAX: usize = 48;

static BEGIN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("-BEGIN "));
static PUTTY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("PuTTY-User-Key-File-"));

pub(super) fn find<'a>(text: &[u8], found: &mut Vec<Found<'a>>) {
    let mut past = 0;
    for begin in BEGIN.find_iter(text) {
        if begin < past {
            continue;
        }
        if let Some(span) = key_at(text, begin) {
            past = span.end;
            found.push(Found::new(
                Class::PrivateKey,
                "private-key-pem",
                Confidence::Certain,
                span,
            ));
        }
    }
    for begin in PUTTY.find_iter(text) {
        let rest = ahead(text, begin, KEY_BYTES_MAX);
        let Some(private) = memmem::find(rest, b"Private-Lines:") else {
            continue;
        };
        let mac = memmem::find(rest, b"Private-MAC:").filter(|mac| *mac > private);
        let end = match mac {
            Some(mac) => mac + line_length(rest, mac),
            None => private + body_length(rest.get(private..).unwrap_or_default()),
        };
        found.push(Found::new(
            Class::PrivateKey,
            "private-key-putty",
            Confidence::Certain,
            begin..begin + end,
        ));
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
    let rest = ahead(text, begin, KEY_BYTES_MAX);
    let label = rest.get(b"-BEGIN ".len()..(b"-BEGIN ".len() + LABEL_BYTES_MAX).min(rest.len()))?;
    let private = memmem::find(label, b"PRIVATE KEY")?;
    // `PRIVATE KEY BLOCK` too.
    let label_end = b"-BEGIN ".len() + private + b"PRIVATE KEY".len();
    let behind = rest.get(label_end..)?;
    // The END of the same label: others stand in comments, or close something else.
    let mut closing = b"-END ".to_vec();
    closing.extend_from_slice(rest.get(b"-BEGIN ".len()..label_end)?);
    let end = memmem::find(behind, &closing).map(|end| {
        let at = label_end + end + closing.len();
        let tail = rest.get(at..).unwrap_or_default();
        let more = if tail.starts_with(b" BLOCK") {
            b" BLOCK".len()
        } else {
            0
        };
        let dashes = tail.get(more..).unwrap_or_default();
        at + more + dashes.iter().take(5).take_while(|byte| **byte == b'-').count()
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
        // Whatever stands before or behind it on its line.
        let runs = content.split(|byte| !is_base64(byte));
        let body = runs.map(<[u8]>::len).max().unwrap_or(0);
        let name = content
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-')
            .count();
        let is_header = (2..=24).contains(&name) && content.get(name) == Some(&b':');
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
