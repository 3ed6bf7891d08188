//! Any text and any JSON: spans are in order, and what is neutralised is clean.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_guards::hidden::{first_in_json, neutralise, neutralise_all, neutralise_json, scan, scan_json};

fuzz_target!(|input: &[u8]| {
    let _ = scan_json(input);
    let clean = neutralise_json(input);
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(input) {
        let read: serde_json::Value = serde_json::from_slice(&clean).expect("still JSON");
        assert_eq!(first_in_json(input).is_none(), clean == input);
        if clean == input {
            assert_eq!(read, value);
        }
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let findings = scan(text);
    let mut at = 0;
    for finding in &findings {
        assert!(finding.span.start >= at && finding.span.start < finding.span.end);
        assert!(text.get(finding.span.clone()).is_some());
        at = finding.span.end;
    }
    let clean = neutralise(text, &findings);
    if findings.len() < portcullis_guards::hidden::FINDINGS_MAX {
        assert_eq!(clean, neutralise_all(text));
        assert!(!clean.contains(['\0', '\u{1b}', '\u{9b}', '\u{202e}', '\u{7f}']));
    }
});
