//! Tokens in two pieces: broken at the end of a line, or put together by a program (`"AKIA.." + ".."`).

use super::pattern::has;
use super::rules::Token;

/// A joint is so long at most.
const JOINT_BYTES_MAX: usize = 24;

/// Joints in one token.
const JOINTS_MAX: usize = 3;

/// Tokens are looked for over joints in so many bytes.
const REACH_BYTES: usize = 512;

/// How long the token is that begins `text`, joints included, if leaving them out makes one of it. Without that it goes up to
/// `end`: to where it is whole, or something else than a token comes.
pub(super) fn length(token: &Token, prefix: usize, text: &[u8], end: usize, is_whole: bool) -> Option<usize> {
    // Nearly all end here.
    if !matches!(text.get(end)?, b'"' | b'\'' | b'\n' | b'\\') {
        return None;
    }
    let text = text.get(..text.len().min(REACH_BYTES))?;
    let behind = text.get(end..)?;
    let first = joint(behind)?;
    // What begins the next line is more often a word of its own.
    let is_next_line = is_whole && behind.first() == Some(&b'\n');
    let is_token = (1..=token.body.length_max()).contains(&(end - prefix));
    if !is_token || is_next_line && !behind.get(first..).is_some_and(is_mixed) {
        return None;
    }
    let alphabet = token.body.alphabet();
    let mut whole = text.get(..end)?.to_vec();
    // Where in `text` each piece begins, by its place in `whole`.
    let mut pieces = vec![(0, 0), (whole.len(), end + first)];
    // Nothing but what the token is made of stands before a joint.
    let piece = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| has(alphabet, **byte)).count()
    };
    let mut at = end + first;
    let mut end = piece(at);
    while pieces.len() <= JOINTS_MAX
        && let Some(length) = text.get(end..).and_then(joint)
    {
        whole.extend_from_slice(text.get(at..end)?);
        at = end + length;
        pieces.push((whole.len(), at));
        end = piece(at);
    }
    // What stands behind the last piece tells whether it ends there.
    whole.extend_from_slice(text.get(at..text.len().min(end + 1))?);
    let length = prefix + token.body_length(whole.get(prefix..)?)?;
    let is_right = token.is_right(whole.get(..length));
    let (piece, from) = pieces.iter().rev().find(|(piece, _)| *piece < length)?;
    // In one piece it was no token.
    (is_right && *piece > 0).then(|| from + length - piece)
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
