//! Tests of `sse.rs`: the standard's examples, every cut of them, limits, and the writer read back.

use super::*;

fn event(data: &str) -> SseEvent {
    SseEvent {
        id: None,
        event: None,
        retry_ms: None,
        data: Bytes::copy_from_slice(data.as_bytes()),
    }
}

fn drain(decoder: &mut Decoder) -> Vec<Result<SseEvent, SseError>> {
    let mut events = Vec::new();
    while let Some(event) = decoder.next() {
        let failed = event.is_err();
        events.push(event);
        if failed {
            break;
        }
    }
    events
}

fn whole(stream: &[u8]) -> Vec<SseEvent> {
    let mut decoder = Decoder::new(SseLimits::default());
    decoder.push(stream);
    drain(&mut decoder).into_iter().map(Result::unwrap).collect()
}

fn in_chunks(stream: &[u8], size: usize) -> Vec<SseEvent> {
    let mut decoder = Decoder::new(SseLimits::default());
    let mut events = Vec::new();
    for chunk in stream.chunks(size) {
        decoder.push(chunk);
        events.extend(drain(&mut decoder).into_iter().map(Result::unwrap));
    }
    events
}

#[test]
fn the_examples_of_the_standard() {
    assert_eq!(whole(b"data: YHOO\ndata: +2\ndata: 10\n\n"), [event("YHOO\n+2\n10")]);
    // Four blocks: a comment, an event with an id, one that unsets it, one with a space kept; the last is not over.
    let stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    let mut decoder = Decoder::new(SseLimits::default());
    decoder.push(stream);
    assert_eq!(
        decoder.next(),
        Some(Ok(SseEvent {
            id: Some("1".into()),
            ..event("first event")
        }))
    );
    assert_eq!(decoder.last_event_id(), Some("1"));
    assert_eq!(
        decoder.next(),
        Some(Ok(SseEvent {
            id: Some(String::new()),
            ..event("second event")
        }))
    );
    assert_eq!(decoder.last_event_id(), None);
    assert_eq!(decoder.next(), Some(Ok(event(" third event"))));
    assert_eq!(decoder.next(), None);
    // Two events with empty data and one of a line feed; the block after them lacks its end.
    assert_eq!(whole(b"data\n\ndata\ndata\n\ndata:"), [event(""), event("\n")]);
    assert_eq!(whole(b"data:test\n\ndata: test\n\n"), [event("test"), event("test")]);
}

#[test]
fn any_line_end_any_cut_gives_the_same_events() {
    let lines = "\u{feff}event: message\nid: a\u{e9}\nretry: 1500\ndata: {\"a\":\ndata: \"\u{1f980}\"}\n\n: ping\n\nevent: endpoint\ndata: /x?y=1:2\n\nid: only\n\nretry: 7\n\nevent: lost\n\ndata: z\nunknown: field\nretry: 1x\nid: nul\0\n\n";
    let expected = [
        SseEvent {
            id: Some("a\u{e9}".into()),
            retry_ms: Some(1500),
            ..event("{\"a\":\n\"\u{1f980}\"}")
        },
        SseEvent {
            event: Some("endpoint".into()),
            ..event("/x?y=1:2")
        },
        event("z"),
    ];
    for ending in ["\n", "\r", "\r\n"] {
        let stream = lines.replace('\n', ending);
        for size in 1..=stream.len() {
            assert_eq!(in_chunks(stream.as_bytes(), size), expected, "{ending:?} {size}");
        }
        let mut decoder = Decoder::new(SseLimits::default());
        decoder.push(stream.as_bytes());
        drain(&mut decoder);
        assert_eq!(decoder.last_event_id(), Some("only"));
        assert_eq!(decoder.reconnection_ms(), Some(7));
        assert!(decoder.is_between_events());
    }
}

#[test]
fn an_event_that_ends_in_a_return_does_not_wait_for_the_next_byte() {
    let mut decoder = Decoder::new(SseLimits::default());
    decoder.push(b"data: 1\r\n\r");
    assert_eq!(decoder.next(), Some(Ok(event("1"))));
    decoder.push(b"\n");
    decoder.push(b"data: 2\r\r");
    assert_eq!(decoder.next(), Some(Ok(event("2"))));
    assert_eq!(decoder.next(), None);
}

#[test]
fn the_byte_order_mark_counts_only_at_the_start() {
    assert_eq!(whole("\u{feff}data: 1\n\n".as_bytes()), [event("1")]);
    assert_eq!(whole("\u{feff}\u{feff}data: 1\n\n".as_bytes()), []);
    assert_eq!(whole("\n\u{feff}data: 1\n\n".as_bytes()), []);
}

#[test]
fn one_line_of_data_is_a_slice_of_the_chunk() {
    let chunk = Bytes::from_static(b"event: message\ndata: {\"jsonrpc\":\"2.0\"}\n\n");
    let mut decoder = Decoder::new(SseLimits::default());
    decoder.push_bytes(chunk.clone());
    let data = decoder.next().unwrap().unwrap().data;
    assert!(chunk.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn a_priming_event_has_an_id_and_empty_data() {
    let mut out = Vec::new();
    encode_event(&mut out, Some("s1-0"), Some(3000), b"");
    assert_eq!(out, b"id: s1-0\nretry: 3000\ndata: \n\n");
    assert_eq!(
        whole(&out),
        [SseEvent {
            id: Some("s1-0".into()),
            retry_ms: Some(3000),
            ..event("")
        }]
    );
}

#[test]
fn beyond_a_limit_the_stream_is_given_up_for_good() {
    let limits = SseLimits {
        line_bytes_max: 16,
        event_bytes_max: 12,
        field_bytes_max: 4,
    };
    let failure = |stream: &[u8], size: usize| {
        let mut decoder = Decoder::new(limits);
        for chunk in stream.chunks(size) {
            decoder.push(chunk);
            if let Some(Err(error)) = drain(&mut decoder).pop() {
                decoder.push(b"\n\ndata: 1\n\n");
                assert_eq!(decoder.next(), Some(Err(error)));
                return Some(error);
            }
        }
        None
    };
    for size in [1, 3, 1000] {
        assert_eq!(failure(b"data: 0123456789\n\n", size), None);
        assert_eq!(
            failure(b"data: 0123456789x", size),
            Some(SseError::LineTooLong { line_bytes_max: 16 })
        );
        // A comment that never ends is a line too.
        assert_eq!(
            failure(&[b':'; 64], size),
            Some(SseError::LineTooLong { line_bytes_max: 16 })
        );
        assert_eq!(failure(b"data: 01234\ndata: 012345\n\n", size), None);
        assert_eq!(
            failure(b"data: 01234\ndata: 0123456\n\n", size),
            Some(SseError::EventTooLong { event_bytes_max: 12 })
        );
        // Empty lines count by their line feeds.
        assert_eq!(
            failure(&b"data\n".repeat(20), size),
            Some(SseError::EventTooLong { event_bytes_max: 12 })
        );
        assert_eq!(
            failure(b"id: 12345\n", size),
            Some(SseError::FieldTooLong {
                field: "id",
                field_bytes_max: 4
            })
        );
        assert_eq!(failure(b"data: \xff\n", size), Some(SseError::Utf8 { at: 6 }));
        assert_eq!(failure(b": \xc3(\n", size), Some(SseError::Utf8 { at: 2 }));
    }
}

#[test]
fn retry_is_digits_alone() {
    assert_eq!(
        whole(b"retry: 99999999999999999999999\ndata: 1\n\nretry: -1\nretry: +1\nretry:\ndata: 2\n\n"),
        [
            SseEvent {
                retry_ms: Some(u64::MAX),
                ..event("1")
            },
            event("2")
        ]
    );
}

#[test]
fn what_is_written_is_read_back_with_line_feeds_for_breaks() {
    let texts = [
        "",
        "{}",
        "{\"a\":\n1}",
        "{\r\n\"a\":\r1\n\r}",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "a\r",
        " b",
        "\r\r\n\n",
        ": c",
    ];
    for text in texts {
        let expected = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut out = Vec::new();
        encode_event(&mut out, Some("7"), None, text.as_bytes());
        let read = whole(&out);
        assert_eq!(
            read,
            [SseEvent {
                id: Some("7".into()),
                ..event(&expected)
            }],
            "{text:?}"
        );
        // In pieces, short and long, cut everywhere.
        for pad in [0, COPY_BYTES_MAX] {
            let padding = "x".repeat(pad);
            for cut in 0..=text.len() {
                let mut rope = Rope::default();
                rope.push(Bytes::from(text[..cut].to_owned()));
                rope.push(Bytes::from(text[cut..].to_owned()));
                rope.push(Bytes::from(padding.clone()));
                let written = event_rope(Some("7"), None, &rope);
                assert_eq!(written.pieces().len() > 1, pad > 0);
                assert_eq!(
                    whole(&written.into_bytes()),
                    [SseEvent {
                        id: Some("7".into()),
                        ..event(&(expected.clone() + &padding))
                    }],
                    "{text:?} {cut}"
                );
            }
        }
    }
}

#[test]
fn names_that_cannot_be_written_are_left_out() {
    let mut out = Vec::new();
    encode_event(&mut out, Some("1\ndata: injected"), None, b"x");
    encode_event(&mut out, Some("1\0"), None, b"y");
    encode_typed_event(&mut out, "a\revil", b"z");
    encode_typed_event(&mut out, "endpoint", b"/m");
    out.extend_from_slice(KEEP_ALIVE);
    assert_eq!(
        whole(&out),
        [
            event("x"),
            event("y"),
            event("z"),
            SseEvent {
                event: Some("endpoint".into()),
                ..event("/m")
            }
        ]
    );
}
