//! What the record says about this call, and the only file that may write a call to the ledger.

use crate::answer::{Answer, Body};
use crate::identity::{Caller, Subject};
use crate::labels::{Label, Labelled};
use crate::policy::Decided;
use crate::refusal::{Face, Refusal};
use crate::route::Effort;
use crate::screen::{Screened, Seen, Sink};
use crate::session::{Asked, Call, Notice, Session};
use bytes::Bytes;
use portcullis_ledger::{
    CallId, Content, Decision, Durability, EffectClass, Event, EventKind, Intended, Ledger, LedgerError, Outcome,
    Request, Sealed, Status, Verdict, VerdictKind, Who, digest,
};
use portcullis_transport::{Ask, Inbound, Reply};
use portcullis_wire::{Effect, Era, Id, Impact, Method, Rope, error};
use std::sync::Arc;
use std::time::Instant;

/// Filled in by the pipeline, and only there. When it is dropped with a decision on the record and no outcome (the client
/// went away, the task was cancelled), the record hears that nobody knows the outcome.
pub(crate) struct Trail {
    ledger: Ledger,
    call: CallId,
    begun: Instant,
    subject: Option<Arc<Subject>>,
    session: Option<Arc<str>>,
    method: Option<Method>,
    item: Arc<str>,
    definition: Option<[u8; 32]>,
    upstream: Option<Arc<str>>,
    revision: &'static str,
    era: Era,
    id: Option<Id>,
    input: Content,
    decided: Option<Arc<Decided>>,
    allowed: bool,
    impact: Impact,
    pub(crate) effort: Effort,
    /// What was found in what the client sent.
    pub(crate) received: Seen,
    /// What was found in what goes to it.
    pub(crate) sent: Seen,
    news: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing on the record yet.
    Open,
    /// The decision is.
    Intended,
    /// The outcome is.
    Sealed,
}

/// Holds the ledger, so that nothing but a labelled answer or a refusal can be sealed.
#[derive(Debug, Clone)]
pub struct Recorder {
    ledger: Ledger,
    settings: RecordSettings,
}

/// How safe a record must be before what it speaks of happens. The defaults are the design's; a weaker one is itself on the
/// record.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// Before a call that only reads goes to its server.
    pub read: Durability,
    /// Before one that may be repeated without further change does.
    pub idempotent: Durability,
    /// Before one that changes something does.
    pub write: Durability,
    /// Before one that destroys does.
    pub destructive: Durability,
    /// Before an answer is released.
    pub outcome: Durability,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self {
            read: Durability::Written,
            idempotent: Durability::Durable,
            write: Durability::Durable,
            destructive: Durability::Durable,
            outcome: Durability::Durable,
        }
    }
}

impl Trail {
    /// The trail of a message of which only the envelope is known.
    pub(crate) fn begin(recorder: &Recorder, inbound: &Inbound) -> Box<Self> {
        let era = inbound.revision.era();
        match &inbound.ask {
            Ask::Request(request) => Self::new(recorder, Some(request.id().clone()), Some(request.method()), era),
            Ask::Refused(refused) => Self::new(recorder, refused.id.clone(), None, era),
            _ => Self::new(recorder, None, None, era),
        }
    }

    /// The trail of a call that waited for a client's answer in vain.
    pub(crate) fn of_parked(recorder: &Recorder, asked: &Asked, session: &Session) -> Box<Self> {
        let request = &asked.request;
        let mut trail = Self::new(
            recorder,
            Some(request.id().clone()),
            Some(request.method()),
            session.revision.era(),
        );
        trail.session = Some(Arc::clone(&session.id));
        trail.upstream = asked.target.upstream().map(Arc::clone);
        trail.revision = session.revision.as_str();
        trail
    }

    /// The trail of a notification on its way to `upstream`; `None` where it concerns nobody.
    pub(crate) fn of_notice(recorder: &Recorder, notice: &Notice, upstream: Option<&Arc<str>>) -> Box<Self> {
        let (session, notification) = (notice.session(), notice.notification());
        let mut trail = Self::new(recorder, None, Some(notification.method()), session.revision.era());
        trail.caller(notice.caller());
        trail.item = upstream.map(Arc::clone).unwrap_or_default();
        trail.upstream = upstream.map(Arc::clone);
        trail.session = Some(Arc::clone(&session.id));
        trail.revision = session.revision.as_str();
        trail.impact = notice.impact();
        let params = notification.params().map(|params| params.bytes()).unwrap_or_default();
        trail.input = content_of(&trail.ledger, &[params]);
        trail
    }

    /// In a box, because it is handed on from stage to stage.
    fn new(recorder: &Recorder, id: Option<Id>, method: Option<&Method>, era: Era) -> Box<Self> {
        Box::new(Self {
            call: recorder.ledger.call_id(),
            ledger: recorder.ledger.clone(),
            begun: Instant::now(),
            subject: None,
            session: None,
            method: method.cloned(),
            item: Arc::default(),
            definition: None,
            upstream: None,
            revision: "",
            era,
            id,
            input: Content {
                digest: [0; 32],
                bytes: 0,
            },
            decided: None,
            allowed: false,
            impact: Impact::READ,
            effort: Effort::default(),
            received: Seen::default(),
            sent: Seen::default(),
            news: 0,
            stage: Stage::Open,
        })
    }

    pub(crate) fn caller(&mut self, caller: &Caller) {
        self.subject = Some(Arc::clone(caller.subject()));
    }

    pub(crate) fn admitted(&mut self, call: &Call) {
        self.item = call.item();
        self.definition = match call.aim() {
            crate::session::Target::Tool(tool) => Some(tool.definition_sha256),
            _ => None,
        };
        self.upstream = call.upstream().map(Arc::clone);
        self.session = call.client().session.as_ref().map(|session| Arc::clone(&session.id));
        self.revision = call.client().revision.as_str();
        self.era = call.era();
        self.impact = call.impact();
        self.id = Some(call.request().id().clone());
        self.method = Some(call.request().method().clone());
        let input = match call.target() {
            crate::session::Target::Resume { response, .. } | crate::session::Target::Answer { response, .. } => {
                response.whole().clone()
            }
            _ => call.request().params().map(|params| params.bytes()).unwrap_or_default(),
        };
        self.input = content_of(&self.ledger, &[input]);
    }

    pub(crate) fn decided(&mut self, decided: &Arc<Decided>, allowed: bool) {
        self.decided = Some(Arc::clone(decided));
        self.allowed = allowed;
    }

    pub(crate) fn news(&mut self, sink: &Sink) {
        self.news = sink.passed();
        self.sent.and(sink.seen());
    }

    /// The outcome as the ledger takes it, but for what was found in it.
    fn outcome(
        &self,
        output: Option<Content>,
        is_error: bool,
        status: Status,
        reason: &'static str,
    ) -> Outcome<'static> {
        Outcome {
            seen: &[],
            call: self.call,
            output,
            is_error,
            status,
            reason_code: reason,
            attempts: self.effort.attempts(),
            latency_us: u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            news: self.news,
        }
    }

    /// How a call ended that has no answer: whether a server may have acted on it.
    fn failed(&self) -> Status {
        match self.stage {
            Stage::Intended if self.effort.attempts() > 0 => Status::Errored,
            _ => Status::Refused,
        }
    }

    fn log(&self, refusal: &Refusal) {
        tracing::info!(
            method = self.method(),
            item = &*self.item,
            "refused: {}",
            refusal.for_operator()
        );
    }

    fn method(&self) -> &str {
        self.method.as_ref().map_or("", Method::as_str)
    }

    /// The names that the decision's record borrows.
    fn names(&self) -> Names<'_> {
        let seen = self.received.lines();
        let Some(decided) = &self.decided else {
            return Names {
                seen,
                ..Names::default()
            };
        };
        let obligations = decided.obligations.iter();
        Names {
            policies: decided.policies.iter().map(|id| &**id).collect(),
            obligations: obligations.map(|obligation| obligation.kind.as_str()).collect(),
            seen,
        }
    }

    /// The decision as the ledger takes it; `reason` where policy had no part in it.
    fn decision<'a>(&'a self, names: &'a Names<'a>, reason: &'a str) -> Decision<'a> {
        let subject = self.subject.as_deref();
        Decision {
            call: self.call,
            who: Who {
                subject: subject.map_or("", |subject| subject.principal()),
                client: subject.and_then(Subject::client).unwrap_or(""),
                session: self.session.as_deref(),
            },
            request: Request {
                method: self.method(),
                tool: &self.item,
                tool_definition: self.definition,
                upstream: self.upstream.as_deref().unwrap_or(""),
                protocol: self.revision,
                request_id: self
                    .id
                    .as_ref()
                    .map_or("", |id| std::str::from_utf8(id.as_json()).unwrap_or_default()),
            },
            input: self.input,
            seen: &names.seen,
            policy: Verdict {
                set: self.decided.as_ref().map_or("", |decided| &decided.set),
                ids: &names.policies,
                decision: match self.allowed {
                    true => VerdictKind::Allow,
                    false => VerdictKind::Deny,
                },
                reason_code: match self.decided.as_ref().map_or("", |decided| decided.reason) {
                    "" => reason,
                    code => code,
                },
                obligations: &names.obligations,
            },
            effect: class_of(self.impact),
        }
    }
}

#[derive(Default)]
struct Names<'a> {
    policies: Vec<&'a str>,
    obligations: Vec<&'a str>,
    seen: Vec<String>,
}

impl Drop for Trail {
    fn drop(&mut self) {
        if self.stage == Stage::Intended {
            self.ledger.abandon(self.call);
        }
    }
}

impl Recorder {
    /// A recorder on this ledger.
    #[must_use]
    pub const fn new(ledger: Ledger, settings: RecordSettings) -> Self {
        Self { ledger, settings }
    }

    /// Whether the record can be written now.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.ledger.is_writable()
    }

    /// Puts the decision on the record before the call or notification may go anywhere.
    pub(crate) async fn intend<T>(
        &self,
        trail: &mut Trail,
        call: Screened<T>,
    ) -> Result<Intended<Screened<T>>, LedgerError> {
        let durability = match class_of(trail.impact) {
            EffectClass::Read => self.settings.read,
            EffectClass::Idempotent => self.settings.idempotent,
            EffectClass::Write => self.settings.write,
            EffectClass::Destructive => self.settings.destructive,
        };
        let names = trail.names();
        let decision = trail.decision(&names, "");
        let intended = self.ledger.intend(&decision, durability, call).await?;
        drop(names);
        trail.stage = Stage::Intended;
        Ok(intended)
    }

    /// Every request, allowed or refused, ends on the record before it ends on the wire. If the record cannot be written, what
    /// goes out is the one reply that says so.
    pub(crate) async fn seal(&self, mut trail: Box<Trail>, outcome: Result<Labelled, Refusal>) -> Sealed<Reply> {
        let (reply, outcome) = match outcome {
            Ok(labelled) => {
                let (content, is_error, reason) = weigh(&self.ledger, &labelled);
                let status = Status::Executed;
                let outcome = trail.outcome(content, is_error, status, reason);
                (reply_of(labelled), outcome)
            }
            Err(refusal) => {
                trail.log(&refusal);
                let reply = refused(&refusal, &trail);
                let content = content_of(&self.ledger, reply.message.pieces());
                let status = trail.failed();
                let outcome = trail.outcome(Some(content), true, status, refusal.code());
                (reply, outcome)
            }
        };
        let id = trail.id.clone();
        let era = trail.era;
        let seen = trail.sent.lines();
        let outcome = Outcome { seen: &seen, ..outcome };
        let sealed = match trail.stage {
            Stage::Intended => self.ledger.seal(&outcome, self.settings.outcome, reply).await,
            Stage::Open | Stage::Sealed => {
                let names = trail.names();
                let decision = trail.decision(&names, outcome.reason_code);
                self.ledger
                    .refuse(&decision, &outcome, self.settings.outcome, reply)
                    .await
            }
        };
        match sealed {
            Ok(sealed) => {
                trail.stage = Stage::Sealed;
                sealed
            }
            Err(error) => {
                tracing::error!(%error, "the record cannot be kept: {}", unkept_call(outcome.status));
                let refusal = Refusal::Ledger(error);
                Sealed::unrecordable(refused_with(&refusal, id.as_ref(), era))
            }
        }
    }

    /// What became of a notification, on the record. Nobody waits for it, so that it need not be synced at once.
    pub(crate) async fn told(&self, mut trail: Box<Trail>, outcome: Result<(), Refusal>) {
        if let Err(refusal) = &outcome {
            trail.log(refusal);
        }
        let status = match &outcome {
            Ok(()) => Status::Executed,
            Err(_) => trail.failed(),
        };
        let reason = outcome.as_ref().map_or_else(Refusal::code, |()| "");
        let outcome = trail.outcome(None, outcome.is_err(), status, reason);
        let kept = match trail.stage {
            Stage::Intended => self.ledger.seal(&outcome, Durability::Written, ()).await,
            Stage::Open | Stage::Sealed => {
                let names = trail.names();
                let decision = trail.decision(&names, outcome.reason_code);
                self.ledger.refuse(&decision, &outcome, Durability::Written, ()).await
            }
        };
        match kept {
            Ok(_) => trail.stage = Stage::Sealed,
            Err(error) => tracing::error!(%error, "the record cannot be kept: {}", unkept_notice(outcome.status)),
        }
    }

    /// Puts what is no call on the record: probes, lists, reloads.
    pub(crate) async fn note(&self, event: &Event<'_>) {
        if let Err(error) = self.ledger.note(event).await {
            tracing::error!(%error, action = event.action, "not on the record");
        }
    }

    /// One record for a window of failed authentications, so that a stranger cannot fill the log.
    pub(crate) async fn turned_away(&self, count: u64) {
        self.note(&Event {
            kind: EventKind::Control,
            action: "authentication_failed",
            actor: None,
            details: &[("count", portcullis_ledger::Detail::Number(count))],
        })
        .await;
    }
}

/// What the log says of a call whose end cannot be put on the record: its client hears that it is refused, whatever it came to.
const fn unkept_call(status: Status) -> &'static str {
    match status {
        Status::Executed => "the call was made, its answer is withheld",
        Status::Errored | Status::Queued | Status::Unknown => "the call may have been made, no answer came",
        Status::Refused => "call refused",
    }
}

/// The same of a notification.
const fn unkept_notice(status: Status) -> &'static str {
    match status {
        Status::Executed => "the notification was passed on, its outcome is on no record",
        Status::Errored | Status::Queued | Status::Unknown => {
            "the notification may have been passed on, its outcome is on no record"
        }
        Status::Refused => "notification not passed on",
    }
}

/// What of an answer goes on the record: its content by digest, whether it is an error, and a code.
fn weigh(ledger: &Ledger, labelled: &Labelled) -> (Option<Content>, bool, &'static str) {
    let from = match labelled.label() {
        Label::Own => "",
        Label::Upstream(_) => "untrusted",
    };
    match &labelled.answer().body {
        Body::Own { result, digest, .. } => {
            let content = match digest {
                Some(digest) => Content {
                    digest: *digest,
                    bytes: result.iter().map(|piece| piece.len() as u64).sum(),
                },
                None => content_of(ledger, result),
            };
            (Some(content), false, from)
        }
        Body::Upstream(response) => {
            let (raw, is_error) = match response.outcome() {
                portcullis_wire::Outcome::Result(result) => (result, result.says("isError", b"true")),
                portcullis_wire::Outcome::Error(error) => (error, true),
            };
            (Some(content_of(ledger, &[raw.bytes()])), is_error, from)
        }
        Body::Question { request, .. } => {
            let content = content_of(ledger, std::slice::from_ref(request.whole()));
            (Some(content), false, "asked")
        }
        Body::Silence => (None, false, "cancelled"),
    }
}

/// Length and, where a record is kept, digest.
fn content_of(ledger: &Ledger, pieces: &[Bytes]) -> Content {
    let digest = match (ledger.is_kept(), pieces) {
        (false, _) => [0; 32],
        (true, [only]) => digest(only),
        (true, pieces) => digest(&pieces.concat()),
    };
    Content {
        digest,
        bytes: pieces.iter().map(|piece| piece.len() as u64).sum(),
    }
}

/// The reply as it goes on the wire.
fn reply_of(labelled: Labelled) -> Reply {
    let Answer { call, body, .. } = labelled.into_answer();
    let id = call.request().id();
    let mut reply = Reply {
        message: Rope::default(),
        status: 200,
        session: None,
        last: true,
    };
    match body {
        Body::Own { result, session, .. } => {
            let mut head = br#"{"jsonrpc":"2.0","id":"#.to_vec();
            head.extend_from_slice(id.as_json());
            head.extend_from_slice(br#","result":"#);
            reply.message.push(Bytes::from(head));
            for piece in result {
                reply.message.push(piece);
            }
            reply.message.push(Bytes::from_static(b"}"));
            reply.session = session;
        }
        Body::Upstream(response) => {
            if call.era() == Era::Modern
                && let portcullis_wire::Outcome::Error(error) = response.outcome()
            {
                reply.status = portcullis_wire::RpcError::code_of(error).map_or(200, error::modern_status);
            }
            reply.message = response.with_id(id).finish();
        }
        Body::Question { id, request } => {
            reply.message = request.with_id(&id).finish();
            reply.last = false;
        }
        Body::Silence => {}
    }
    reply
}

fn refused(refusal: &Refusal, trail: &Trail) -> Reply {
    refused_with(refusal, trail.id.as_ref(), trail.era)
}

fn refused_with(refusal: &Refusal, id: Option<&Id>, era: Era) -> Reply {
    let (message, status) = match refusal.for_client() {
        Face::Error(error) => {
            let status = match (error.status, era) {
                (Some(status), _) => status,
                (None, Era::Modern) => error::modern_status(error.code),
                (None, Era::Legacy) => 200,
            };
            (error.to_message(id, era), status)
        }
        Face::ToolError(text) => (tool_error(&text, id, era), 200),
    };
    Reply {
        message: Rope::one(message),
        status,
        session: None,
        last: true,
    }
}

/// A tool result that says what went wrong, for the model to read and mend (SEP-1303, since 2025-11-25).
fn tool_error(text: &str, id: Option<&Id>, era: Era) -> Bytes {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    out.extend_from_slice(id.map_or(b"null", |id| id.as_json()));
    out.extend_from_slice(br#","result":{"content":[{"type":"text","text":"#);
    portcullis_wire::json::write_string(&mut out, text);
    out.extend_from_slice(br#"}],"isError":true"#);
    if era == Era::Modern {
        out.extend_from_slice(br#","resultType":"complete""#);
    }
    out.extend_from_slice(b"}}");
    Bytes::from(out)
}

const fn class_of(impact: Impact) -> EffectClass {
    match (impact.effect, impact.idempotent) {
        (Effect::Read | Effect::Fetch, _) => EffectClass::Read,
        (Effect::Destroy, _) => EffectClass::Destructive,
        (_, true) => EffectClass::Idempotent,
        (_, false) => EffectClass::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_not_logged_as_held_back() {
        assert_eq!(unkept_notice(Status::Refused), "notification not passed on");
        assert_eq!(unkept_call(Status::Refused), "call refused");
        for status in [Status::Executed, Status::Errored, Status::Unknown] {
            let said = [unkept_notice(status), unkept_call(status)];
            let held_back = |said: &&str| said.contains("not passed on") || said.contains("refused");
            assert!(!said.iter().any(held_back), "{status:?}: {said:?}");
        }
    }
}
