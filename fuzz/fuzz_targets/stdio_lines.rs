//! Lines of any bytes: the cuts do not matter. The first byte chooses the cut.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis_transport::lines::{LineDecoder, LineError};

const LINE_BYTES_MAX: usize = 48;

/// The lines, whether a limit was broken, and what an end of the stream here means.
fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, bool, Option<usize>) {
    let mut decoder = LineDecoder::new(LINE_BYTES_MAX);
    let mut lines = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(error, LineError::TooLong { .. }));
                    assert!(decoder.next().is_err());
                    return (lines, true, None);
                }
            }
        }
    }
    let unfinished = match decoder.finish() {
        Ok(()) => None,
        Err(LineError::Truncated { bytes }) => Some(bytes),
        Err(error) => panic!("{error}"),
    };
    (lines, false, unfinished)
}

fuzz_target!(|input: &[u8]| {
    let Some((first, stream)) = input.split_first() else {
        return;
    };
    let whole = read(std::iter::once(stream));
    assert_eq!(whole, read(stream.chunks(usize::from(*first) + 1)));
    assert_eq!(whole, read(stream.chunks(1)));
    for line in &whole.0 {
        assert!(!line.is_empty() && line.len() <= LINE_BYTES_MAX && !line.contains(&b'\n'));
    }
    if !whole.1 {
        let expected: Vec<&[u8]> = stream
            .split_inclusive(|byte| *byte == b'\n')
            .filter_map(|line| line.strip_suffix(b"\n"))
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(whole.0, expected);
    }
});
