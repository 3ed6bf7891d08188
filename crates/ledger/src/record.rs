//! The record: what a decision, an outcome and an event say, and their RFC 8785 form. This file owns the schema
//! (REGULATED 1.3, first form). It must not know how a record gets to disk.

use crate::{
    canonical,
    secrets::{HASH_TEXT_BYTES, Handle, hash_text},
    terms::CallId,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// The schema's version, `v` of every record.
pub(crate) const VERSION: u64 = 1;

/// The action of the record by which the ledger starts.
pub(crate) const ACTION_OPENED: &str = "ledger_opened";

/// The action of the record by which the ledger stops.
pub(crate) const ACTION_CLOSED: &str = "ledger_closed";

/// The largest record. The encoder stays below it whatever it is given: names are cut, lists are cut.
pub(crate) const RECORD_BYTES_MAX: usize = 8192;

/// Encoded bytes of a name that go on the record.
const NAME_BYTES_MAX: usize = 256;

/// Encoded bytes of a name in a list.
const LISTED_BYTES_MAX: usize = 128;

/// Names in a list, and details of an event; one more says how many were left out.
const LIST_LENGTH_MAX: usize = 16;

/// Lines of what was found that a decision has: it has two lists of names beside them.
const SEEN_LENGTH_MAX: usize = 6;

/// SHA-256 of `bytes`: what [`Content::digest`] wants. Cache it where the same bytes are recorded often.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    out
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The principal's id. Goes on the record only as a keyed handle (`subject_h`), never in clear.
    pub subject: &'a str,
    /// The client software or key's name; in clear.
    pub client: &'a str,
    /// The session's or conversation's id. Only as a keyed handle (`session_h`).
    pub session: Option<&'a str>,
}

/// What is asked. All in clear: no argument value belongs here.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The MCP method, for example `tools/call`.
    pub method: &'a str,
    /// The tool, prompt or resource by its inside name (`upstream/tool`); empty where there is none.
    pub tool: &'a str,
    /// SHA-256 of the pinned definition of the tool.
    pub tool_definition: Option<[u8; 32]>,
    /// The upstream's name; empty where none is asked.
    pub upstream: &'a str,
    /// The protocol revision the client speaks, for example `2026-07-28`.
    pub protocol: &'a str,
    /// The JSON-RPC id as its JSON text; empty where there is none.
    pub request_id: &'a str,
}

/// Bytes that went in or came out, by digest and length: the record holds a keyed commitment to the digest.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// SHA-256 of the bytes, see [`digest`].
    pub digest: [u8; 32],
    /// Their number.
    pub bytes: u64,
}

/// How policy decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictKind {
    /// Goes on.
    Allow,
    /// Refused.
    Deny,
    /// Waits for an approval.
    Hold,
    /// Goes on with parts taken out.
    Redact,
    /// Goes to the outbox.
    Queue,
}

/// What policy decided, and by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    /// The policy set's id (an epoch or a digest).
    pub set: &'a str,
    /// The ids of the policies that decided.
    pub ids: &'a [&'a str],
    /// What they decided.
    pub decision: VerdictKind,
    /// A stable code, for example `permitted` or `no_policy_permits`.
    pub reason_code: &'a str,
    /// The obligations laid on the call, by name.
    pub obligations: &'a [&'a str],
}

/// REGULATED's four classes of effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectClass {
    /// Changes nothing.
    Read,
    /// Changes something, and twice is as good as once.
    Idempotent,
    /// Changes something.
    Write,
    /// Changes something that cannot be had back.
    Destructive,
}

/// What is about to happen, and why it may (or may not).
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// The call.
    pub call: CallId,
    /// Who asks.
    pub who: Who<'a>,
    /// What is asked.
    pub request: Request<'a>,
    /// The arguments, by digest.
    pub input: Content,
    /// What was found in them, without a value: a class, what was done, how often and where, a line each.
    pub seen: &'a [String],
    /// What policy decided.
    pub policy: Verdict<'a>,
    /// What kind of act it is.
    pub effect: EffectClass,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The upstream answered.
    Executed,
    /// Nothing was sent upstream.
    Refused,
    /// Something was sent, and no answer came or it was not fit to pass.
    Errored,
    /// It waits in the outbox.
    Queued,
    /// Nobody knows: written by recovery for a decision that was left without an outcome.
    Unknown,
}

/// How a call ended, tied to its decision by `call`.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// The call, as in its decision.
    pub call: CallId,
    /// The answer as the client gets it, by digest; `None` where there is none.
    pub output: Option<Content>,
    /// Whether the answer is an error to the client.
    pub is_error: bool,
    /// How it ended.
    pub status: Status,
    /// Why, as a stable code; empty where `status` says all.
    pub reason_code: &'a str,
    /// Upstream attempts.
    pub attempts: u32,
    /// From the decision to the answer.
    pub latency_us: u64,
    /// Notifications passed on in mid-call.
    pub news: u64,
    /// What was found in the answer and the notifications, as in [`Decision::seen`].
    pub seen: &'a [String],
}

/// The kinds of event that are not calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// An administrator did something.
    Admin,
    /// The policy set changed.
    Policy,
    /// The gateway did something of itself: probes, lists, upstream up and down.
    Control,
    /// Somebody read the log.
    LogRead,
    /// The product started (the ledger writes one itself when it opens).
    Start,
    /// The product stopped (the ledger writes one itself when it closes).
    Stop,
}

/// One fact of an event.
#[derive(Debug, Clone, Copy)]
pub enum Detail<'a> {
    /// Text, in clear.
    Text(&'a str),
    /// A whole number below 2^53.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

/// Something worth a record that is no call.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its kind.
    pub kind: EventKind,
    /// What happened, as a stable code, for example `policy_reloaded`.
    pub action: &'a str,
    /// Who did it, on the record as a keyed handle; `None` for the product itself.
    pub actor: Option<&'a str>,
    /// Facts, sorted by the encoder. Names are lower-case ASCII, digits and `_`.
    pub details: &'a [(&'a str, Detail<'a>)],
}

/// A record without its number: everything after `{"bseq":N,`. The number is known only under the ledger's lock, and
/// sorts first, so that all else is encoded before.
#[derive(Debug)]
pub(crate) struct Body(Vec<u8>);

/// What the encoder adds to what the caller says: computed by the ledger from its secrets.
#[derive(Debug)]
pub(crate) struct Handles<'a> {
    pub(crate) subject: &'a Handle,
    pub(crate) session: Option<Handle>,
    pub(crate) input: Handle,
}

impl Body {
    /// The body of a decision.
    pub(crate) fn decision(decision: &Decision<'_>, handles: &Handles<'_>, now: SystemTime) -> Self {
        let Decision {
            call,
            who,
            request,
            input,
            seen,
            policy,
            effect,
        } = decision;
        let call = id_text(*call);
        let mut b = Vec::with_capacity(1024);
        b.extend_from_slice(b"\"call\":{\"method\":");
        text(&mut b, request.method);
        b.extend_from_slice(b",\"protocol\":");
        text(&mut b, request.protocol);
        optional(&mut b, b",\"request_id\":", request.request_id);
        optional(&mut b, b",\"tool\":", request.tool);
        if let Some(definition) = &request.tool_definition {
            b.extend_from_slice(b",\"tool_def\":");
            hash(&mut b, &hash_text(definition));
        }
        optional(&mut b, b",\"upstream\":", request.upstream);
        b.extend_from_slice(b"},\"effect\":{\"class\":");
        word(&mut b, effect.name());
        b.extend_from_slice(b"},\"id\":");
        id(&mut b, &call);
        b.extend_from_slice(b",\"in\":{\"bytes\":");
        canonical::number(&mut b, input.bytes);
        b.extend_from_slice(b",\"commit\":");
        hash(&mut b, handles.input.text());
        sightings(&mut b, seen, SEEN_LENGTH_MAX);
        b.extend_from_slice(b"},\"pair\":");
        id(&mut b, &call);
        b.extend_from_slice(b",\"policy\":{\"decision\":");
        word(&mut b, policy.decision.name());
        b.extend_from_slice(b",\"ids\":");
        names(&mut b, policy.ids);
        b.extend_from_slice(b",\"obligations\":");
        names(&mut b, policy.obligations);
        b.extend_from_slice(b",\"reason_code\":");
        text(&mut b, policy.reason_code);
        b.extend_from_slice(b",\"set\":");
        text(&mut b, policy.set);
        b.extend_from_slice(b"},");
        kind_and_time(&mut b, "decision", now);
        b.extend_from_slice(b",\"who\":{\"client\":");
        text(&mut b, who.client);
        if let Some(session) = &handles.session {
            b.extend_from_slice(b",\"session_h\":");
            hash(&mut b, session.text());
        }
        b.extend_from_slice(b",\"subject_h\":");
        hash(&mut b, handles.subject.text());
        b.extend_from_slice(b"}}");
        Self(b)
    }

    /// The body of an outcome. `record` is the record's own id, `output` the commitment to the answer.
    pub(crate) fn outcome(outcome: &Outcome<'_>, record: CallId, output: Option<&Handle>, now: SystemTime) -> Self {
        let Outcome {
            call,
            output: content,
            is_error,
            status,
            reason_code,
            attempts,
            latency_us,
            news,
            seen,
        } = outcome;
        let mut b = Vec::with_capacity(640);
        b.extend_from_slice(b"\"effect\":{\"attempts\":");
        canonical::number(&mut b, u64::from(*attempts));
        b.extend_from_slice(b",\"latency_us\":");
        canonical::number(&mut b, *latency_us);
        b.extend_from_slice(b",\"news\":");
        canonical::number(&mut b, *news);
        optional(&mut b, b",\"reason_code\":", reason_code);
        b.extend_from_slice(b",\"status\":");
        word(&mut b, status.name());
        b.extend_from_slice(b"},\"id\":");
        id(&mut b, &id_text(record));
        b.extend_from_slice(b",\"out\":{");
        if let (Some(content), Some(commitment)) = (content, output) {
            b.extend_from_slice(b"\"bytes\":");
            canonical::number(&mut b, content.bytes);
            b.extend_from_slice(b",\"commit\":");
            hash(&mut b, commitment.text());
            b.push(b',');
        }
        b.extend_from_slice(b"\"is_error\":");
        flag(&mut b, *is_error);
        sightings(&mut b, seen, LIST_LENGTH_MAX);
        b.extend_from_slice(b"},\"pair\":");
        id(&mut b, &id_text(*call));
        b.push(b',');
        kind_and_time(&mut b, "outcome", now);
        b.push(b'}');
        Self(b)
    }

    /// The outcome of a call that nobody will finish.
    pub(crate) fn unknown(call: CallId, record: CallId, reason_code: &str, now: SystemTime) -> Self {
        let outcome = Outcome {
            call,
            output: None,
            is_error: true,
            status: Status::Unknown,
            reason_code,
            attempts: 0,
            latency_us: 0,
            news: 0,
            seen: &[],
        };
        Self::outcome(&outcome, record, None, now)
    }

    /// The body of an event.
    pub(crate) fn event(event: &Event<'_>, record: CallId, actor: Option<&Handle>, now: SystemTime) -> Self {
        Self::fact(event.kind.name(), event.action, event.details, record, actor, now)
    }

    /// The body of the ledger's own word on what it repaired.
    pub(crate) fn recovery(action: &str, details: &[(&str, Detail<'_>)], record: CallId, now: SystemTime) -> Self {
        Self::fact("recovery", action, details, record, None, now)
    }

    fn fact(
        kind: &'static str,
        action: &str,
        details: &[(&str, Detail<'_>)],
        record: CallId,
        actor: Option<&Handle>,
        now: SystemTime,
    ) -> Self {
        let mut b = Vec::with_capacity(512);
        b.extend_from_slice(b"\"event\":{\"action\":");
        text(&mut b, action);
        b.extend_from_slice(b",\"detail\":{");
        // Names are sorted and unique in the canonical form; of two that are the same the last one said counts.
        let sorted: std::collections::BTreeMap<String, &Detail<'_>> = details
            .iter()
            .take(LIST_LENGTH_MAX)
            .map(|(name, detail)| (detail_name(name), detail))
            .collect();
        for (at, (name, detail)) in sorted.iter().enumerate() {
            b.extend_from_slice(if at > 0 { b",\"" } else { b"\"" });
            b.extend_from_slice(name.as_bytes());
            b.extend_from_slice(b"\":");
            match detail {
                Detail::Text(value) => text(&mut b, value),
                Detail::Number(value) => canonical::number(&mut b, *value),
                Detail::Flag(value) => flag(&mut b, *value),
            }
        }
        b.extend_from_slice(b"}},\"id\":");
        id(&mut b, &id_text(record));
        b.push(b',');
        kind_and_time(&mut b, kind, now);
        if let Some(actor) = actor {
            b.extend_from_slice(b",\"who\":{\"subject_h\":");
            hash(&mut b, actor.text());
            b.push(b'}');
        }
        b.push(b'}');
        Self(b)
    }

    /// Appends the whole record under its number.
    pub(crate) fn write(&self, sequence: u64, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(b"{\"bseq\":");
        canonical::number(buffer, sequence);
        buffer.push(b',');
        buffer.extend_from_slice(&self.0);
    }
}

fn text(b: &mut Vec<u8>, value: &str) {
    canonical::text(b, value, NAME_BYTES_MAX);
}

/// A word of ours, in which there is nothing to escape.
fn word(b: &mut Vec<u8>, value: &'static str) {
    b.push(b'"');
    b.extend_from_slice(value.as_bytes());
    b.push(b'"');
}

/// Only where there is something to say.
fn optional(b: &mut Vec<u8>, key: &[u8], value: &str) {
    if !value.is_empty() {
        b.extend_from_slice(key);
        text(b, value);
    }
}

fn flag(b: &mut Vec<u8>, value: bool) {
    b.extend_from_slice(if value { b"true" } else { b"false" });
}

fn names(b: &mut Vec<u8>, values: &[&str]) {
    list(b, values, LIST_LENGTH_MAX);
}

fn list(b: &mut Vec<u8>, values: &[&str], most: usize) {
    b.push(b'[');
    for (at, value) in values.iter().take(most).enumerate() {
        if at > 0 {
            b.push(b',');
        }
        canonical::text(b, value, LISTED_BYTES_MAX);
    }
    if values.len() > most {
        b.push(b',');
        canonical::text(b, &format!("…+{}", values.len() - most), LISTED_BYTES_MAX);
    }
    b.push(b']');
}

/// Only where something was found.
fn sightings(b: &mut Vec<u8>, seen: &[String], most: usize) {
    if !seen.is_empty() {
        b.extend_from_slice(b",\"seen\":");
        let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
        list(b, &seen, most);
    }
}

fn hash(b: &mut Vec<u8>, value: &[u8; HASH_TEXT_BYTES]) {
    b.push(b'"');
    b.extend_from_slice(value);
    b.push(b'"');
}

/// A call's id in lower-case hex.
fn id_text(value: CallId) -> [[u8; 2]; 16] {
    // Without a table, so that all digits are made at once.
    let digit = |nibble: u8| nibble + b'0' + u8::from(nibble > 9) * (b'a' - b'9' - 1);
    value.0.to_be_bytes().map(|byte| [digit(byte >> 4), digit(byte & 15)])
}

fn id(b: &mut Vec<u8>, text: &[[u8; 2]; 16]) {
    b.push(b'"');
    b.extend_from_slice(text.as_flattened());
    b.push(b'"');
}

fn kind_and_time(b: &mut Vec<u8>, kind: &'static str, now: SystemTime) {
    b.extend_from_slice(b"\"t\":");
    word(b, kind);
    b.extend_from_slice(b",\"ts\":");
    b.extend_from_slice(&timestamp(now));
    b.extend_from_slice(b",\"v\":");
    canonical::number(b, VERSION);
}

/// RFC 3339 in UTC with nine digits of a second, in quotes. Clocks before 1970 read as 1970.
fn timestamp(now: SystemTime) -> [u8; 32] {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, (since.as_secs() % 86_400) as u32);
    let (year, month, day) = civil_date(days);
    let two = |value: u32| [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
    let year = (year % 10_000) as u32;
    let ([y1, y2], [y3, y4]) = (two(year / 100), two(year % 100));
    let ([mo1, mo2], [d1, d2]) = (two(month as u32), two(day as u32));
    let ([h1, h2], [mi1, mi2], [s1, s2]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
    let nanos = since.subsec_nanos();
    let n1 = b'0' + (nanos / 100_000_000) as u8;
    let [[n2, n3], [n4, n5], [n6, n7], [n8, n9]] =
        [nanos / 1_000_000, nanos / 10_000, nanos / 100, nanos].map(|above| two(above % 100));
    [
        b'"', y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2, b'.', n1, n2,
        n3, n4, n5, n6, n7, n8, n9, b'Z', b'"',
    ]
}

/// The Gregorian date `days` days after 1970-01-01, counting in years that begin in March, so that the leap day comes last.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_PER_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (400 * era + year_of_era + u64::from(month <= 2), month, day)
}

/// A detail's name as the record may hold it: what is not lower-case ASCII, a digit or `_` becomes `_`.
fn detail_name(name: &str) -> String {
    name.chars()
        .take(40)
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '_'
            }
        })
        .collect()
}

impl VerdictKind {
    pub(crate) const ALL: [Self; 5] = [Self::Allow, Self::Deny, Self::Hold, Self::Redact, Self::Queue];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Hold => "hold",
            Self::Redact => "redact",
            Self::Queue => "queue",
        }
    }
}

impl EffectClass {
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Idempotent, Self::Write, Self::Destructive];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
}

impl Status {
    pub(crate) const ALL: [Self; 5] = [
        Self::Executed,
        Self::Refused,
        Self::Errored,
        Self::Queued,
        Self::Unknown,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Refused => "refused",
            Self::Errored => "errored",
            Self::Queued => "queued",
            Self::Unknown => "unknown",
        }
    }
}

impl EventKind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Admin,
        Self::Policy,
        Self::Control,
        Self::LogRead,
        Self::Start,
        Self::Stop,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Policy => "policy",
            Self::Control => "control",
            Self::LogRead => "log_read",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}
