//! Tokens in two pieces: broken at the end of a line, or put together by a program (`"AKIA.." + ".."`).

use super::pattern::has;
use super::rules::Token;

/// A joint is so long at most.
const JOINT_BYTES_MAX: usize = 24;

/// Joints in one token.
const JOINTS_MAX: usize = 3;

/// Tokens are looked for over joints in so many bytes.
const REACH_BYTES: usize = 512;

/// How long the token is that begins `text`, joints included, if leaving them out makes one of it; `whole` bytes are one as they
/// are, which goes on only if a joint comes right behind them.
pub(super) fn length(token: &Token, prefix: usize, text: &[u8], whole: Option<usize>) -> Option<usize> {
    let text = text.get(..text.len().min(REACH_BYTES))?;
    if let Some(end) = whole {
        let behind = text.get(end..)?;
        // What begins the next line is more often a word of its own.
        let is_next_line = behind.first() == Some(&b'\n');
        joint(behind).filter(|joint| !is_next_line || behind.get(*joint..).is_some_and(is_mixed))?;
    }
    let first = first_joint(token, prefix, text)?;
    let mut whole = Vec::with_capacity(text.len());
    // Where in `text` each piece begins, by its place in `whole`.
    let mut pieces = vec![(0, 0)];
    let mut at = 0;
    let mut next = Some(first);
    while let Some((from, length)) = next.filter(|_| pieces.len() <= JOINTS_MAX) {
        whole.extend_from_slice(text.get(at..from)?);
        at = from + length;
        pieces.push((whole.len(), at));
        next = next_joint(text, at);
    }
    whole.extend_from_slice(text.get(at..)?);
    let length = prefix + token.body_length(whole.get(prefix..)?)?;
    let is_right = token.is_right(whole.get(..length));
    let (piece, from) = pieces.iter().rev().find(|(piece, _)| *piece < length)?;
    // In one piece it was no token.
    (is_right && *piece > 0).then(|| from + length - piece)
}

/// The joint that is within the token, if there is one: nothing but what the token is made of stands before it.
fn first_joint(token: &Token, prefix: usize, text: &[u8]) -> Option<(usize, usize)> {
    let alphabet = token.body.alphabet();
    let body = text.get(prefix..)?;
    if b"\"'\n\\".iter().any(|sign| has(alphabet, *sign)) {
        return next_joint(text, prefix + 1).filter(|(first, _)| first - prefix <= token.body.length_max());
    }
    let length = body.iter().take_while(|byte| has(alphabet, **byte)).count();
    let first = prefix + length;
    let is_within = (1..=token.body.length_max()).contains(&length);
    Some((first, joint(text.get(first..).filter(|_| is_within)?)?))
}

/// Where the next joint is from `from` on, and how long.
fn next_joint(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        at += memchr::memchr3(b'"', b'\'', b'\n', text.get(at..)?)?;
        // The backslash that a line ends with is of the joint.
        let start = at - usize::from(at > from && text.get(at - 1) == Some(&b'\\') && text.get(at) == Some(&b'\n'));
        if let Some(length) = joint(text.get(start..)?) {
            return Some((start, length));
        }
        at += 1;
    }
}

/// Whether `text` begins with letters of both kinds and figures, as no word has them.
fn is_mixed(text: &[u8]) -> bool {
    let piece = text
        .split(|byte| !byte.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    piece.len() >= 12
        && piece.iter().any(u8::is_ascii_digit)
        && piece.iter().any(u8::is_ascii_uppercase)
        && piece.iter().any(u8::is_ascii_lowercase)
}

/// How long the joint is that `text` begins with.
fn joint(text: &[u8]) -> Option<usize> {
    let near = text.get(..text.len().min(JOINT_BYTES_MAX))?;
    let spaces = |from: usize| {
        near.get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count()
    };
    match near.first()? {
        quote @ (b'"' | b'\'') => {
            let mut at = 1 + spaces(1);
            if matches!(near.get(at), Some(b'+' | b'.' | b'&' | b'\\')) {
                at += 1;
                at += spaces(at);
            } else if !near.get(1..at)?.contains(&b'\n') {
                return None;
            }
            (near.get(at) == Some(quote)).then_some(at + 1)
        }
        b'\\' if near.get(1) == Some(&b'\n') => Some(2 + spaces(2)),
        b'\n' => {
            let at = spaces(0);
            // The next line is a piece of one word.
            let word = text
                .get(at..)?
                .iter()
                .take_while(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'/' | b'=')
                })
                .count();
            let ends = text
                .get(at + word)
                .is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''));
            (word >= 4 && ends).then_some(at)
        }
        _ => None,
    }
}
