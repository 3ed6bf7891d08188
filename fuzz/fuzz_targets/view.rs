//! Any bytes: the view's way back is in order and within, and what it leads to is the same character, or the beginning of something
//! that is written otherwise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_guards::fuzzing::view;

fuzz_target!(|input: &[u8]| {
    view(input, |seen, original| {
        let is_text = std::str::from_utf8(input).ok();
        assert!(seen.len() <= input.len(), "{} bytes are read as {}", input.len(), seen.len());
        let mut last = 0..0;
        let mut at = 0;
        while let Some(rest) = seen.get(at..).filter(|rest| !rest.is_empty()) {
            let length = 1 + rest.iter().skip(1).take_while(|byte| **byte & 0xc0 == 0x80).count();
            let (character, span) = (&rest[..length], original(at..at + length));
            assert!(span.start >= last.end, "{at}: {last:?}, then {span:?}");
            assert!(span.start < span.end && span.end <= input.len(), "{at}: {span:?}");
            if let Some(text) = is_text {
                assert!(text.get(span.clone()).is_some(), "{at}: {span:?} cuts a character");
            }
            // Of what is no text, bytes that would go on with a character stand alone.
            assert!(
                is_text.is_none() || &input[span.clone()] == character || is_written_otherwise(input[span.start]),
                "{at}: {character:x?} at {span:?}"
            );
            // What is between two characters of the view was left out, which no plain byte is.
            if span.start > last.end {
                assert!(is_written_otherwise(input[last.end]), "{at}: {last:?}, then {span:?}");
            }
            last = span;
            at += length;
        }
        let whole = original(0..seen.len());
        assert!(whole.end <= input.len());
        if !input.iter().copied().any(is_written_otherwise) {
            assert_eq!((seen, whole), (input, 0..input.len()));
        }
    });
});

/// An escape of JSON, percent, HTML or quoted-printable begins so, or a character that is not ASCII.
fn is_written_otherwise(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&' | b'=' | 0x80..)
}
