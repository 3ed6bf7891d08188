//! An event stream of any bytes: the cuts do not matter, and what is written is read back. The first byte chooses the cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_transport::sse::{Decoder, SseError, SseEvent, SseLimits, encode_event, event_rope};
use portcullis_wire::Rope;

const LIMITS: SseLimits = SseLimits {
    line_bytes_max: 64,
    event_bytes_max: 128,
    field_bytes_max: 16,
};

type Read = (Vec<SseEvent>, Option<SseError>, Option<String>, Option<u64>);

fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>, limits: SseLimits) -> Read {
    let mut decoder = Decoder::new(limits);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(event) = decoder.next() {
            match event {
                Ok(event) => events.push(event),
                Err(error) => {
                    return (events, Some(error), None, None);
                }
            }
        }
    }
    let id = decoder.last_event_id().map(str::to_owned);
    (events, None, id, decoder.reconnection_ms())
}

fuzz_target!(|input: &[u8]| {
    let Some((first, stream)) = input.split_first() else {
        return;
    };
    let whole = read(std::iter::once(stream), LIMITS);
    assert_eq!(whole, read(stream.chunks(usize::from(*first) + 1), LIMITS));
    assert_eq!(whole, read(stream.chunks(1), LIMITS));
    for event in &whole.0 {
        assert!(event.data.len() <= LIMITS.event_bytes_max);
        assert!(!event.data.contains(&b'\r'));
    }

    let Ok(text) = std::str::from_utf8(stream) else { return };
    let mut written = Vec::new();
    encode_event(&mut written, Some("7"), Some(1), stream);
    let expected = SseEvent {
        id: Some("7".to_owned()),
        event: None,
        retry_ms: Some(1),
        data: text.replace("\r\n", "\n").replace('\r', "\n").into(),
    };
    assert_eq!(read(std::iter::once(&written[..]), SseLimits::default()).0, [expected]);
    let mut rope = Rope::default();
    for piece in stream.chunks(usize::from(*first) + 1) {
        rope.push(piece.to_vec().into());
    }
    assert_eq!(event_rope(Some("7"), Some(1), &rope).into_bytes(), written);
});
