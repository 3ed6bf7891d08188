//! The record read back: is it one of ours, and what does it say about itself? A table per kind of record says which
//! members it has; anything more, less or other is refused. It must not know where a record was found.

use crate::{
    canonical::{self, Node},
    record::{EffectClass, EventKind, RECORD_BYTES_MAX, Status, VERSION, VerdictKind},
    secrets::HASH_TEXT_BYTES,
    terms::CallId,
};

/// The kinds of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Before an act.
    Decision,
    /// After it.
    Outcome,
    /// The ledger repaired something.
    Recovery,
    /// Anything else that happened.
    Event(EventKind),
}

impl Kind {
    /// As `t` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Outcome => "outcome",
            Self::Recovery => "recovery",
            Self::Event(event) => event.name(),
        }
    }

    fn of(name: &str) -> Option<Self> {
        let events = EventKind::ALL.into_iter().map(Self::Event);
        [Self::Decision, Self::Outcome, Self::Recovery]
            .into_iter()
            .chain(events)
            .find(|kind| kind.name() == name)
    }
}

/// What a record says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// `bseq`: dense from 0.
    pub sequence: u64,
    /// `t`.
    pub kind: Kind,
    /// `id`.
    pub id: CallId,
    /// `pair`: the call, for decisions and outcomes.
    pub call: Option<CallId>,
    /// `effect.status`, for outcomes.
    pub status: Option<Status>,
}

/// Reads a record and checks that it is canonical and keeps to the schema.
///
/// # Errors
/// What is wrong, in words that name the member or the byte.
pub(crate) fn read(record: &[u8]) -> Result<Summary, String> {
    if record.len() > RECORD_BYTES_MAX {
        return Err(format!("{} bytes are more than a record may have", record.len()));
    }
    let node = canonical::parse(record)
        .map_err(|error| format!("not canonical JSON at its byte {}: {}", error.offset, error.reason))?;
    let kind_name = node.member("t").and_then(Node::as_text).unwrap_or_default();
    let kind = Kind::of(kind_name).ok_or_else(|| format!("the kind `{kind_name}` is unknown"))?;
    let members = match kind {
        Kind::Decision => DECISION,
        Kind::Outcome => OUTCOME,
        Kind::Recovery | Kind::Event(_) => EVENT,
    };
    check_object(&node, members, "")?;
    let text = |name: &str| node.member(name).and_then(Node::as_text).unwrap_or_default();
    let status = node
        .member("effect")
        .and_then(|effect| effect.member("status"))
        .and_then(Node::as_text);
    Ok(Summary {
        sequence: node.member("bseq").and_then(Node::as_number).unwrap_or_default(),
        kind,
        id: parse_id(text("id")).ok_or("`id` is no id")?,
        call: parse_id(text("pair")),
        status: status.and_then(|status| Status::ALL.into_iter().find(|known| known.name() == status)),
    })
}

/// A member: its name, its type, whether it must be there.
type Member = (&'static str, Type, bool);

enum Type {
    Text,
    Number,
    Flag,
    Texts,
    /// 16 bytes in hexadecimal.
    Id,
    /// 32 bytes in Base64.
    Hash,
    Time,
    Version,
    OneOf(fn(&str) -> bool),
    Object(&'static [Member]),
    /// An object of texts, numbers and flags.
    Details,
}

const DECISION: &[Member] = &[
    ("bseq", Type::Number, true),
    (
        "call",
        Type::Object(&[
            ("method", Type::Text, true),
            ("protocol", Type::Text, true),
            ("request_id", Type::Text, false),
            ("tool", Type::Text, false),
            ("tool_def", Type::Hash, false),
            ("upstream", Type::Text, false),
        ]),
        true,
    ),
    (
        "effect",
        Type::Object(&[(
            "class",
            Type::OneOf(|name| EffectClass::ALL.iter().any(|class| class.name() == name)),
            true,
        )]),
        true,
    ),
    ("id", Type::Id, true),
    (
        "in",
        Type::Object(&[
            ("bytes", Type::Number, true),
            ("commit", Type::Hash, true),
            ("seen", Type::Texts, false),
        ]),
        true,
    ),
    ("pair", Type::Id, true),
    (
        "policy",
        Type::Object(&[
            (
                "decision",
                Type::OneOf(|name| VerdictKind::ALL.iter().any(|kind| kind.name() == name)),
                true,
            ),
            ("ids", Type::Texts, true),
            ("obligations", Type::Texts, true),
            ("reason_code", Type::Text, true),
            ("set", Type::Text, true),
        ]),
        true,
    ),
    ("t", Type::Text, true),
    ("ts", Type::Time, true),
    ("v", Type::Version, true),
    (
        "who",
        Type::Object(&[
            ("client", Type::Text, true),
            ("session_h", Type::Hash, false),
            ("subject_h", Type::Hash, true),
        ]),
        true,
    ),
];

const OUTCOME: &[Member] = &[
    ("bseq", Type::Number, true),
    (
        "effect",
        Type::Object(&[
            ("attempts", Type::Number, true),
            ("latency_us", Type::Number, true),
            ("news", Type::Number, true),
            ("reason_code", Type::Text, false),
            (
                "status",
                Type::OneOf(|name| Status::ALL.iter().any(|status| status.name() == name)),
                true,
            ),
        ]),
        true,
    ),
    ("id", Type::Id, true),
    (
        "out",
        Type::Object(&[
            ("bytes", Type::Number, false),
            ("commit", Type::Hash, false),
            ("is_error", Type::Flag, true),
            ("seen", Type::Texts, false),
        ]),
        true,
    ),
    ("pair", Type::Id, true),
    ("t", Type::Text, true),
    ("ts", Type::Time, true),
    ("v", Type::Version, true),
];

const EVENT: &[Member] = &[
    ("bseq", Type::Number, true),
    (
        "event",
        Type::Object(&[("action", Type::Text, true), ("detail", Type::Details, true)]),
        true,
    ),
    ("id", Type::Id, true),
    ("t", Type::Text, true),
    ("ts", Type::Time, true),
    ("v", Type::Version, true),
    ("who", Type::Object(&[("subject_h", Type::Hash, true)]), false),
];

fn check_object(node: &Node<'_>, members: &[Member], path: &str) -> Result<(), String> {
    let Node::Object(found) = node else {
        return Err(format!("`{path}` is no object"));
    };
    for (name, value) in found {
        let Some((_, kind, _)) = members.iter().find(|(known, ..)| known == name) else {
            return Err(format!("`{path}{name}` is unknown"));
        };
        check(value, kind, &format!("{path}{name}"))?;
    }
    match members
        .iter()
        .find(|(name, _, needed)| *needed && !found.iter().any(|(known, _)| known == name))
    {
        Some((name, ..)) => Err(format!("`{path}{name}` is missing")),
        None => Ok(()),
    }
}

fn check(value: &Node<'_>, kind: &Type, path: &str) -> Result<(), String> {
    let text = value.as_text();
    let fits = match kind {
        Type::Text => text.is_some(),
        Type::Number => value.as_number().is_some(),
        Type::Flag => matches!(value, Node::Flag(_)),
        Type::Texts => matches!(value, Node::List(items) if items.iter().all(|item| item.as_text().is_some())),
        Type::Id => text.is_some_and(|text| parse_id(text).is_some()),
        Type::Hash => text.is_some_and(|text| {
            text.len() == HASH_TEXT_BYTES
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        }),
        Type::Time => text.is_some_and(is_time),
        Type::Version => value.as_number() == Some(VERSION),
        Type::OneOf(known) => text.is_some_and(known),
        Type::Object(members) => return check_object(value, members, &format!("{path}.")),
        Type::Details => {
            matches!(value, Node::Object(details) if details.iter().all(|(_, detail)| matches!(detail, Node::Text(_) | Node::Number(_) | Node::Flag(_))))
        }
    };
    if fits {
        Ok(())
    } else {
        Err(format!("`{path}` is not what it must be"))
    }
}

fn parse_id(text: &str) -> Option<CallId> {
    let lower = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if lower {
        u128::from_str_radix(text, 16).ok().map(CallId)
    } else {
        None
    }
}

/// `2026-11-24T16:39:47.123456789Z`
fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000000000Z";
    text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(byte, form)| {
            if *form == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == *form
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{Body, Content, Decision, Detail, Event, Handles, Outcome, Request, Verdict, Who},
        secrets::{Secrets, Side},
    };
    use portcullis_store::keys::Secret;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW_S: u64 = 1_795_538_387;

    fn decision<'a>(name: &'a str, names: &'a [&'a str], definition: Option<[u8; 32]>) -> Decision<'a> {
        seen(name, names, &[], definition)
    }

    fn seen<'a>(name: &'a str, names: &'a [&'a str], seen: &'a [String], definition: Option<[u8; 32]>) -> Decision<'a> {
        Decision {
            call: CallId(0xABCD),
            who: Who {
                subject: name,
                client: name,
                session: Some(name),
            },
            request: Request {
                method: name,
                tool: name,
                tool_definition: definition,
                upstream: name,
                protocol: name,
                request_id: name,
            },
            input: Content {
                digest: [3; 32],
                bytes: u64::MAX,
            },
            seen,
            policy: Verdict {
                set: name,
                ids: names,
                decision: VerdictKind::Allow,
                reason_code: name,
                obligations: names,
            },
            effect: EffectClass::Read,
        }
    }

    fn written(body: &Body) -> String {
        let mut buffer = Vec::new();
        body.write(7, &mut buffer);
        String::from_utf8(buffer).unwrap()
    }

    fn decision_text(decision: &Decision<'_>) -> String {
        let secrets = Secrets::new(&Secret::random().unwrap());
        let subject = secrets.subject(decision.who.subject);
        let handles = Handles {
            subject: subject.handle(),
            session: decision.who.session.map(|session| subject.session(session)),
            input: subject
                .call_key(decision.call)
                .commitment(Side::In, &decision.input.digest),
        };
        written(&Body::decision(
            decision,
            &handles,
            UNIX_EPOCH + Duration::new(NOW_S, 42),
        ))
    }

    fn outcome_text(reason_code: &str, with_output: bool, seen: &[String]) -> String {
        let secrets = Secrets::new(&Secret::random().unwrap());
        let commitment = secrets
            .subject("alice")
            .call_key(CallId(1))
            .commitment(Side::Out, &[1; 32]);
        let output = with_output.then_some(Content {
            digest: [1; 32],
            bytes: 9,
        });
        let outcome = Outcome {
            call: CallId(1),
            output,
            is_error: false,
            status: Status::Executed,
            reason_code,
            attempts: 1,
            latency_us: 812,
            news: 0,
            seen,
        };
        written(&Body::outcome(
            &outcome,
            CallId(2),
            output.map(|_| &commitment),
            UNIX_EPOCH + Duration::new(NOW_S, 0),
        ))
    }

    #[test]
    fn what_is_written_keeps_to_the_schema() {
        let text = decision_text(&decision("bank/transfer", &["p1", "p2"], Some([9; 32])));
        let summary = read(text.as_bytes()).unwrap();
        assert_eq!(
            (summary.sequence, summary.kind, summary.id, summary.call),
            (7, Kind::Decision, CallId(0xABCD), Some(CallId(0xABCD)))
        );
        assert!(text.contains("\"ts\":\"2026-11-24T16:39:47.000000042Z\""), "{text}");
        for with_output in [true, false] {
            let summary = read(outcome_text("", with_output, &[]).as_bytes()).unwrap();
            assert_eq!(
                (summary.kind, summary.call, summary.status),
                (Kind::Outcome, Some(CallId(1)), Some(Status::Executed))
            );
        }
        let lines: Vec<String> = (0..20).map(|at| format!("CARD mask 2 /result/{at}")).collect();
        let text = outcome_text("", true, &lines);
        assert!(
            read(text.as_bytes()).is_ok() && text.contains("/result/15\",\"…+4\"]"),
            "{text}"
        );
        let text = decision_text(&seen("a", &[], &lines, None));
        assert!(
            read(text.as_bytes()).is_ok() && text.contains("/result/5\",\"…+14\"]"),
            "{text}"
        );
        let details = [
            ("version", Detail::Text("1")),
            ("Count!", Detail::Number(3)),
            ("ok", Detail::Flag(true)),
            ("ok", Detail::Flag(false)),
        ];
        for kind in EventKind::ALL {
            let event = Event {
                kind,
                action: "policy_reloaded",
                actor: None,
                details: &details,
            };
            let summary = read(written(&Body::event(&event, CallId(5), None, UNIX_EPOCH)).as_bytes()).unwrap();
            assert_eq!((summary.kind, summary.call), (Kind::Event(kind), None));
        }
        assert_eq!(
            read(written(&Body::recovery("x", &details, CallId(6), UNIX_EPOCH)).as_bytes())
                .unwrap()
                .kind,
            Kind::Recovery
        );
        assert_eq!(
            read(written(&Body::unknown(CallId(1), CallId(2), "crash", UNIX_EPOCH)).as_bytes())
                .unwrap()
                .status,
            Some(Status::Unknown)
        );
    }

    #[test]
    fn no_subject_or_session_is_in_clear() {
        let names = decision("x", &[], None);
        let text = decision_text(&Decision {
            who: Who {
                subject: "alice@example.org",
                client: "inspector",
                session: Some("s-4711"),
            },
            ..names
        });
        assert!(
            text.contains("inspector") && !text.contains("alice") && !text.contains("4711"),
            "{text}"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let good = decision_text(&decision("a", &["p1"], None));
        for (from, to, reason) in [
            ("\"v\":1", "\"v\":2", "`v`"),
            ("\"t\":\"decision\"", "\"t\":\"revision\"", "unknown"),
            ("\"method\":\"a\",", "", "`call.method` is missing"),
            ("\"method\":\"a\"", "\"method\":1", "`call.method`"),
            ("\"ids\":[\"p1\"]", "\"ids\":[1]", "`policy.ids`"),
            ("\"class\":\"read\"", "\"class\":\"reap\"", "`effect.class`"),
            ("\"pair\":\"0", "\"pair\":\"g", "`pair`"),
            ("\"t\":", "\"sneaky\":1,\"t\":", "`sneaky` is unknown"),
            ("{\"bseq\"", "{ \"bseq\"", "not canonical"),
            ("2026-11-24T", "2026-11-24 ", "`ts`"),
        ] {
            assert!(good.contains(from), "{from}: {good}");
            let refused = read(good.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(refused.contains(reason), "{from} -> {to}: {refused}");
        }
        read(b"").unwrap_err();
        read(&[b' '; 9000]).unwrap_err();
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (1_709_164_800, "2024-02-29T00:00:00"),
        ] {
            let body = Body::recovery("x", &[], CallId(0), UNIX_EPOCH + Duration::from_secs(seconds));
            assert!(written(&body).contains(text), "{text}: {}", written(&body));
        }
    }

    proptest! {
        #[test]
        fn a_record_is_small_and_canonical_whatever_it_is_given(
            name in "[\\x00-\\x7f\"\\\\é😀]{0,2000}",
            names in proptest::collection::vec("[\\x00-\\x1f]{0,300}|.{0,20}", 0..40),
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let lines: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let text = decision_text(&seen(&name, &names, &lines, Some([1; 32])));
            prop_assert!(text.len() <= RECORD_BYTES_MAX, "{} bytes", text.len());
            prop_assert!(read(text.as_bytes()).is_ok());
            let ended = outcome_text(&name, true, &lines);
            prop_assert!(ended.len() <= RECORD_BYTES_MAX && read(ended.as_bytes()).is_ok());
            let details: Vec<(&str, Detail<'_>)> = names.iter().map(|name| (*name, Detail::Text(name))).collect();
            let event = Event { kind: EventKind::Admin, action: &name, actor: None, details: &details };
            let text = written(&Body::event(&event, CallId(1), None, UNIX_EPOCH));
            prop_assert!(text.len() <= RECORD_BYTES_MAX && read(text.as_bytes()).is_ok());
        }
    }
}
