//! How long `Message::parse` takes beside an envelope of serde_json's raw values. Prints figures and asserts little, for a
//! shared machine has its moods.

use bytes::Bytes;
use portcullis_wire::{Limits, Message};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What a gateway built on serde would keep of a message: everything borrowed, nothing built.
#[derive(Deserialize)]
struct Borrowed<'a> {
    #[serde(borrow)]
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// A `tools/call` of a modern client, its one long argument filled up to `bytes`.
fn call(bytes: usize) -> Bytes {
    let head = r#"{"jsonrpc":"2.0","id":4711,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"ExampleClient","version":"1.0.0","title":"Example"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}}},"progressToken":"4711","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},"name":"create_order","arguments":{"customer":"C-2209","lines":[{"sku":"A-17","count":2,"price":19.95},{"sku":"B-3","count":1,"price":7.5}],"note":""#;
    let tail = r#""}}}"#;
    let text = "Please deliver before noon; ring twice. \\u00dcber den Hof, \u{fc}ber die Treppe.\\n";
    let mut whole = head.to_owned();
    while whole.len() + text.len() + tail.len() < bytes {
        whole.push_str(text);
    }
    while whole.len() + tail.len() < bytes {
        whole.push('.');
    }
    whole.push_str(tail);
    Bytes::from(whole)
}

/// A `tools/call` result full of small members and numbers, where string content is rare.
fn table(bytes: usize) -> Bytes {
    let mut whole = r#"{"jsonrpc":"2.0","id":"a-7","result":{"content":[],"structuredContent":{"rows":["#.to_owned();
    let mut number = 0;
    while whole.len() + 80 < bytes {
        number += 1;
        whole.push_str(&format!(
            r#"{{"id":{number},"ok":true,"amount":{number}.25,"tag":null,"x":[1,-2.5e3,{{}}]}},"#
        ));
    }
    whole.push_str("0]}}}");
    Bytes::from(whole)
}

fn fastest(mut run: impl FnMut()) -> Duration {
    let started = Instant::now();
    run();
    let once = started.elapsed().max(Duration::from_nanos(50));
    let repeats = (Duration::from_millis(20).as_nanos() / once.as_nanos()).clamp(1, 200_000) as u32;
    (0..15)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..repeats {
                run();
            }
            started.elapsed() / repeats
        })
        .min()
        .unwrap()
}

#[test]
#[ignore = "a measurement, for release builds"]
fn speed() {
    let limits = Limits::default();
    for (name, make) in [("call", call as fn(usize) -> Bytes), ("table", table)] {
        for bytes in [858, 64 << 10, 1 << 20] {
            let text = make(bytes);
            let ours = fastest(|| {
                let _ = black_box(Message::parse(black_box(text.clone()), &limits).unwrap());
            });
            let serde = fastest(|| {
                let text = black_box(&text);
                let envelope: Borrowed<'_> = serde_json::from_slice(text).unwrap();
                black_box((
                    envelope.jsonrpc,
                    envelope.id,
                    envelope.method,
                    envelope.params,
                    envelope.result,
                ));
            });
            println!(
                "{name:5} {:>8} B: parse {:>9} ns ({:>5.2} GB/s), serde_json RawValue {:>9} ns",
                text.len(),
                ours.as_nanos(),
                text.len() as f64 / ours.as_nanos() as f64,
                serde.as_nanos(),
            );
        }
    }
}
