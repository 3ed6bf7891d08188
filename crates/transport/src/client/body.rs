//! Bodies: a [`Rope`] as the body of a request, and a response's body collected within a limit. Must not know what is in them.

use crate::upstream::UpstreamError;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use portcullis_wire::Rope;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// At most this much is reserved on a server's word about its length, in bytes.
const RESERVE_BYTES_MAX: usize = 1 << 20;
/// How much of an error's text is shown, in characters.
const EXCERPT_CHARS_MAX: usize = 300;

/// The pieces of a rope as frames, with their exact length, so that nothing is copied together.
#[derive(Debug)]
pub(super) struct RopeBody {
    pieces: std::vec::IntoIter<Bytes>,
    bytes_left: u64,
}

impl From<Rope> for RopeBody {
    fn from(rope: Rope) -> Self {
        Self {
            bytes_left: rope.len() as u64,
            pieces: rope.into_pieces().into_iter(),
        }
    }
}

impl Body for RopeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next();
        if let Some(piece) = &piece {
            self.bytes_left = self.bytes_left.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes_left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}

/// Reads a body to its end. One that comes in one chunk is not copied.
///
/// # Errors
/// [`UpstreamError::TooLarge`] beyond `bytes_max`, at once where the length was announced; [`UpstreamError::Closed`] when it
/// is cut off.
pub(super) async fn collect(body: &mut Incoming, bytes_max: usize) -> Result<Bytes, UpstreamError> {
    let too_large = || UpstreamError::TooLarge {
        detail: format!("a body of more than {bytes_max} bytes"),
    };
    let announced = body.size_hint().lower();
    if announced > bytes_max as u64 {
        return Err(too_large());
    }
    let Some(first) = chunk(body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > bytes_max {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(second) = chunk(body).await? else {
        return Ok(first);
    };
    let announced = usize::try_from(announced).unwrap_or(0).min(RESERVE_BYTES_MAX);
    let mut whole = BytesMut::with_capacity(announced.max((first.len() + second.len()) * 2));
    whole.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(more) = next {
        if whole.len() + more.len() > bytes_max {
            return Err(too_large());
        }
        whole.extend_from_slice(&more);
        next = chunk(body).await?;
    }
    Ok(whole.freeze())
}

/// The next data frame; `None` at the end. Cancel safe.
pub(super) async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, UpstreamError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                // Trailers say nothing that MCP knows.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => {
                return Err(UpstreamError::Closed {
                    detail: format!("the body was cut off: {}", chain(&error)),
                });
            }
        }
    }
}

/// The start of a text from outside, printable, for a person.
pub(super) fn excerpt(text: &[u8]) -> String {
    let text = text.get(..EXCERPT_CHARS_MAX * 4).unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    let mut shown = String::new();
    for character in text.trim().chars().take(EXCERPT_CHARS_MAX) {
        match character {
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => {
                shown.extend(character.escape_unicode());
            }
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rope_is_sent_piece_by_piece_with_its_exact_length() {
        let mut rope = Rope::one("{\"a\":");
        rope.push(Bytes::from_static(b"1}"));
        let mut body = RopeBody::from(rope);
        assert_eq!(body.size_hint().exact(), Some(7));
        let mut frames = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            frames.push(frame.into_data().unwrap());
        }
        assert_eq!(frames, ["{\"a\":", "1}"]);
        assert!(body.is_end_stream());
        assert!(RopeBody::from(Rope::default()).is_end_stream());
    }

    #[test]
    fn an_excerpt_is_short_and_cannot_act() {
        assert_eq!(excerpt(b" <b>\x1b[2J\n\xff "), "<b>\\u{1b}[2J\\n\u{fffd}");
        assert_eq!(excerpt("\u{202e}x".as_bytes()), "\\u{202e}x");
        assert_eq!(excerpt(&[b'y'; 100_000]).len(), EXCERPT_CHARS_MAX);
    }
}
