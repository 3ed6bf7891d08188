//! Any bytes: findings are in order, apart, whole characters within the text, and have paths with an end; with less fuel a scan says
//! that it was not whole; and eight times as much text takes no more than eight times as long, but for what a measure of time is
//! off by.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_guards::scan::{Context, Form, Limit, Rules, Scanner};
use rustix::time::{ClockId, clock_gettime};
use std::sync::LazyLock;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let rules = Rules::built_in().expect("tested");
    Scanner::new(rules).expect("tested")
});

/// Nanoseconds of CPU time for each byte from which on an input is suspected of growing faster than its length. This build is some
/// ten times slower than what ships.
const SUSPECT_NS: u64 = 1_000;

/// The longest path, with its last key and what tells that it was cut.
const PATH_BYTES_MAX: usize = 800;

/// How much longer an input is made to see how it grows.
const TIMES: usize = 8;

/// What a measure of time may be off by, as a factor; an input whose time grows with the square of its length is at eight.
const SLACK: u64 = 3;

fuzz_target!(|input: &[u8]| {
    let begun = cpu_ns();
    let findings = SCANNER.scan(input, Form::Json, &Context::default());
    let took = cpu_ns() - begun;
    let text = std::str::from_utf8(input).ok();
    let mut at = 0;
    for finding in &findings {
        assert!(finding.span.start >= at && finding.span.start < finding.span.end, "{finding:?}");
        assert!(finding.span.end <= input.len(), "{finding:?}");
        assert!(text.is_none_or(|text| text.get(finding.span.clone()).is_some()), "{finding:?} cuts a character");
        at = finding.span.end;
    }
    let paths: Vec<_> = findings.paths(input).collect();
    assert_eq!(paths.len(), findings.len());
    for path in paths.into_iter().flatten() {
        assert!(path.len() <= PATH_BYTES_MAX && (path.is_empty() || path.starts_with('/')), "{path}");
    }
    // Half of what it wants to look at once.
    let less = SCANNER.scan(input, Form::Json, &Context::default().with_fuel(input.len() / 2));
    assert!(less.limit() >= Some(Limit::Fuel) || input.is_empty());
    let all = SCANNER.scan(input, Form::Json, &Context::default().exempting(&|_| true));
    assert!(all.counting().next().is_none() && all.len() == findings.len());
    if took / (input.len() as u64).max(1_024) > SUSPECT_NS {
        let least = |text: &[u8]| {
            let times = (0..3).map(|_| {
                let begun = cpu_ns();
                let _ = SCANNER.scan(text, Form::Json, &Context::default());
                cpu_ns() - begun
            });
            times.min().unwrap_or_default()
        };
        let (once, often) = (least(input), least(&input.repeat(TIMES)));
        assert!(often <= SLACK * TIMES as u64 * once, "{once} ns, {TIMES} times as long {often} ns");
    }
});

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
