//! Header values of any text, and tools and arguments of any JSON: `schema LF arguments LF value`.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis_wire::{Limits, Raw, header};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let schema = parts.next().unwrap_or_default();
    let arguments = parts.next().unwrap_or_default();
    let value = parts.next().unwrap_or_default();

    if let Ok(text) = std::str::from_utf8(value) {
        let encoded = header::encode(text);
        assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        if encoded.len() <= Limits::HEADER_VALUE_BYTES_MAX {
            assert_eq!(header::decode(encoded.as_bytes()).as_deref(), Ok(text));
        }
    }
    if let Ok(decoded) = header::decode(value) {
        let again = header::encode(&decoded).into_owned();
        if again.len() <= Limits::HEADER_VALUE_BYTES_MAX {
            assert_eq!(header::decode(again.as_bytes()).as_deref(), Ok(&*decoded));
        }
    }

    let raw = |text: &[u8]| Raw::parse(Bytes::copy_from_slice(text), &Limits::default()).ok();
    let Some(annotations) = raw(schema).and_then(|schema| header::annotations(&schema).ok()) else {
        return;
    };
    let arguments = raw(arguments);
    if let Ok(headers) = header::parameters(&annotations, arguments.as_ref()) {
        let received = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        assert_eq!(header::check(&annotations, arguments.as_ref(), received), Ok(vec![]));
    }
    for annotation in &annotations {
        let received = [(annotation.header.as_str(), value)];
        let _ = header::check(&annotations, arguments.as_ref(), received);
    }
});
