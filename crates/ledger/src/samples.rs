//! Records for the unit tests.

use crate::{
    CallId, Content, Decision, EffectClass, Event, EventKind, Outcome, Request, Status, Verdict, VerdictKind, Who,
};

pub(crate) fn decision(call: CallId) -> Decision<'static> {
    Decision {
        call,
        who: Who {
            subject: "alice@example.org",
            client: "inspector",
            session: None,
        },
        request: Request {
            method: "tools/call",
            tool: "bank/balance",
            tool_definition: None,
            upstream: "bank",
            protocol: "2026-07-28",
            request_id: "17",
        },
        input: Content {
            digest: [1; 32],
            bytes: 18,
        },
        seen: &[],
        policy: Verdict {
            set: "starter-1",
            ids: &["permit-reads"],
            decision: VerdictKind::Allow,
            reason_code: "permitted",
            obligations: &[],
        },
        effect: EffectClass::Read,
    }
}

pub(crate) fn outcome(call: CallId) -> Outcome<'static> {
    let output = Some(Content {
        digest: [2; 32],
        bytes: 14,
    });
    Outcome {
        call,
        output,
        is_error: false,
        status: Status::Executed,
        reason_code: "",
        attempts: 1,
        latency_us: 812,
        news: 0,
        seen: &[],
    }
}

pub(crate) fn event() -> Event<'static> {
    Event {
        kind: EventKind::Policy,
        action: "policy_reloaded",
        actor: None,
        details: &[],
    }
}
