//! Records, byte for byte: what these inputs were written as when the format was fixed, with commitments and handles, in
//! `testdata/records.jsonl`. A line that changes is another format, and logs that stand elsewhere are of this one.

use crate::{
    CallId, Content, Decision, Detail, EffectClass, Event, EventKind, Outcome, Request, Status, Verdict, VerdictKind,
    Who,
    ledger::decision_body,
    record::Body,
    samples,
    secrets::{CallKey, SECRET_NAME, Secrets, Side, handle_of},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis_store::keys::Secret;
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const KEPT: &str = include_str!("../testdata/records.jsonl");

/// 2026-11-24T16:39:47.000000042Z.
const NOW: Duration = Duration::new(1_795_538_387, 42);

fn secret(directory: &Path) -> Secret {
    let keys = directory.join("keys");
    fs::create_dir(&keys).unwrap();
    let path = keys.join(SECRET_NAME);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .unwrap();
    let bytes = std::array::from_fn::<u8, 32, _>(|at| at as u8 * 7);
    file.write_all(STANDARD.encode(bytes).as_bytes()).unwrap();
    Secret::load(&path).unwrap()
}

/// Writes as the ledger does.
struct Writer {
    secrets: Secrets,
    lines: Vec<u8>,
    next: u64,
}

impl Writer {
    fn write(&mut self, body: &Body) {
        body.write(self.next, &mut self.lines);
        self.lines.push(b'\n');
        self.next = self.next * 11 + 1;
    }

    fn decision(&mut self, decision: &Decision<'_>, now: SystemTime) -> CallKey {
        let (body, key) = decision_body(&self.secrets, decision, now);
        self.write(&body);
        key
    }

    fn outcome(&mut self, outcome: &Outcome<'_>, key: &CallKey, now: SystemTime) {
        let commitment = outcome.output.map(|output| key.commitment(Side::Out, &output.digest));
        let record = CallId(outcome.call.0 ^ (0xFACE << 48));
        self.write(&Body::outcome(outcome, record, commitment.as_ref(), now));
    }
}

#[test]
fn records_are_what_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer {
        secrets: Secrets::new(&secret(directory.path())),
        lines: Vec::new(),
        next: 0,
    };
    let now = UNIX_EPOCH + NOW;
    let call = CallId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
    let plain = samples::decision(call);
    let key = writer.decision(&plain, now);
    writer.outcome(&samples::outcome(call), &key, now + Duration::from_nanos(812_345_999));
    // All that may stand in a record, and what must be escaped or cut.
    let long = format!("{}é\"\\\u{1}\n{}", "x".repeat(200), "y".repeat(200));
    let many: Vec<String> = (0..20)
        .map(|place| format!("rule-{place}{}", "z".repeat(place * 9)))
        .collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).collect();
    let longest_session = "s".repeat(300);
    for (place, (session, tool)) in [
        ("", "ends\"here"),
        ("0a1b2c3d", "tab\there"),
        ("é\u{7f}", &long),
        (&longest_session, "bank/ü"),
    ]
    .into_iter()
    .enumerate()
    {
        let call = CallId(u128::MAX - place as u128);
        let subject = ["user:ana", &long, "", "agent:\u{1F600}"]
            .into_iter()
            .nth(place)
            .unwrap();
        let full = Decision {
            call,
            who: Who {
                subject,
                client: &long,
                session: Some(session),
            },
            request: Request {
                method: "resources/read",
                tool,
                tool_definition: Some([0xF0 | place as u8; 32]),
                upstream: "bank",
                protocol: "2025-06-18",
                request_id: "\"a\\u0000b\"",
            },
            input: Content {
                digest: [place as u8; 32],
                bytes: u64::MAX,
            },
            seen: &[],
            policy: Verdict {
                set: "0123456789abcdef",
                ids: ids.get(..place * 6).unwrap(),
                decision: VerdictKind::ALL.into_iter().nth(place + 1).unwrap(),
                reason_code: "no_policy_permits",
                obligations: &["redact", "hold"],
            },
            effect: EffectClass::ALL.into_iter().nth(place).unwrap(),
        };
        let times = [
            Duration::ZERO,
            NOW,
            Duration::new(951_827_696, 999_999_999),
            Duration::new(253_402_300_800, 1),
        ];
        let now = UNIX_EPOCH + times.into_iter().nth(place).unwrap();
        let key = writer.decision(&full, now);
        let ended = Outcome {
            call,
            output: (place != 2).then_some(Content {
                digest: [0xFF; 32],
                bytes: place as u64 * 9_007_199_254_740,
            }),
            is_error: place > 0,
            status: Status::ALL.into_iter().nth(place + 1).unwrap(),
            reason_code: "untrusted",
            attempts: u32::MAX,
            latency_us: 1 << place,
            news: 10 * place as u64,
            seen: &[],
        };
        writer.outcome(&ended, &key, now);
    }
    let none = Decision {
        request: Request {
            method: "",
            tool: "",
            upstream: "",
            protocol: "",
            request_id: "",
            ..plain.request
        },
        who: Who {
            subject: "",
            client: "",
            session: None,
        },
        ..plain
    };
    writer.decision(&none, UNIX_EPOCH - Duration::from_secs(1));
    writer.write(&Body::unknown(call, CallId(3), "crash", now));
    let details = [
        ("count", Detail::Number(3)),
        ("Who?", Detail::Text(&long)),
        ("ok", Detail::Flag(false)),
    ];
    let event = Event {
        kind: EventKind::Admin,
        action: "policy_reloaded",
        actor: Some("user:ana"),
        details: &details,
    };
    let actor = writer.secrets.subject("user:ana");
    writer.write(&Body::event(&event, CallId(4), Some(actor.handle()), now));
    writer.write(&Body::recovery("write_failure", &details, CallId(5), now));
    let lines = String::from_utf8(writer.lines).unwrap();
    for (now, kept) in lines.lines().zip(KEPT.lines()) {
        assert_eq!(now, kept);
    }
    assert_eq!(lines, KEPT);
    let handle = handle_of(directory.path(), "alice@example.org").unwrap();
    assert!(
        KEPT.lines()
            .next()
            .unwrap()
            .contains(&format!("\"subject_h\":\"{handle}\""))
    );
}
