//! Any bytes: findings are in order and lie within, and what is masked is JSON if it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_guards::mask::{Form, Mask, mask};
use portcullis_guards::scan::{Rules, Scanner};
use std::sync::LazyLock;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let rules = Rules::built_in().expect("tested");
    Scanner::new(rules).expect("tested")
});

fuzz_target!(|input: &[u8]| {
    let findings = SCANNER.scan(input);
    let mut at = 0;
    for finding in &findings {
        assert!(finding.span.start >= at && finding.span.start < finding.span.end, "{finding:?}");
        assert!(finding.span.end <= input.len());
        at = finding.span.end;
    }
    let _ = mask(input, Form::Text, &findings, |_| Mask::Last4);
    if serde_json::from_slice::<serde_json::Value>(input).is_ok() {
        let masked = mask(input, Form::Json, &findings, |_| Mask::Class);
        let read = serde_json::from_slice::<serde_json::Value>(&masked);
        assert!(read.is_ok(), "{}", String::from_utf8_lossy(&masked));
    }
});
