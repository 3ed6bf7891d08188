//! Every way a call can end without an answer. A refusal has two faces, both here and nowhere else: what the client hears, and
//! what the record and the operator's log say. The first never names a policy's text, a host or another tenant's things.

use crate::policy::PolicyError;
use crate::route::RouteError;
use crate::screen::{DataError, NOTIFICATION_BYTES_MAX, ScreenError};
use crate::session::{SAID_BYTES_MAX, SessionError, TooManySessions};
use portcullis_ledger::LedgerError;
use portcullis_transport::UpstreamError;
use portcullis_wire::error::{INTERNAL, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, RESOURCE_NOT_FOUND};
use portcullis_wire::{Era, RpcError};
use std::sync::Arc;

/// One of the stages said no. (Identity's no is HTTP's 401 and never gets here.)
#[derive(Debug)]
pub(crate) enum Refusal {
    Ledger(LedgerError),
    Policy(PolicyError),
    Route(RouteError),
    Screen(ScreenError),
    Session(SessionError),
    /// Nobody answered a question in time.
    Unanswered,
}

/// What the client hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// A JSON-RPC error.
    Error(RpcError),
    /// A tool result with `isError`, for the model to read.
    ToolError(String),
}

/// Codes of our own stand outside the range that JSON-RPC reserves (2026-07-28, base protocol, error codes).
pub(crate) mod codes {
    /// Policy said no.
    pub(crate) const DENIED: i32 = 4030;
    /// A guard or schema said no.
    pub(crate) const SCREENED: i32 = 4220;
    /// Too much at once.
    pub(crate) const BUSY: i32 = 4290;
    /// The upstream cannot be reached or does not behave.
    pub(crate) const UNAVAILABLE: i32 = 5020;
    /// The record cannot be written.
    pub(crate) const NO_RECORD: i32 = 5030;
    /// The deadline is over.
    pub(crate) const DEADLINE: i32 = 5040;
}

impl Refusal {
    /// The face that the client sees.
    pub(crate) fn for_client(&self) -> Face {
        let error = |code, message: String| Face::Error(RpcError::new(code, message));
        match self {
            Self::Ledger(_) => Face::Error(
                RpcError::new(
                    codes::NO_RECORD,
                    "the gateway cannot keep its record, so it takes no calls, hint: try again later",
                )
                .with_status(503),
            ),
            Self::Policy(PolicyError::Denied(decided)) => error(
                codes::DENIED,
                match decided.policies.as_slice() {
                    [] => "not permitted: no policy allows it, hint: the operator can run `portcullis explain last`"
                        .to_owned(),
                    ids => format!(
                        "not permitted by policy {}, hint: the operator can run `portcullis explain last`",
                        ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
                    ),
                },
            ),
            Self::Route(route) => route_face(route),
            Self::Screen(screen) => screen_face(screen),
            Self::Session(session) => session_face(session),
            Self::Unanswered => error(
                codes::DEADLINE,
                "the question to the client was not answered in time".to_owned(),
            ),
        }
    }

    /// The stable code that the record holds.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "record_unwritable",
            Self::Policy(PolicyError::Denied(decided)) => decided.reason,
            Self::Unanswered => "question_unanswered",
            Self::Route(error) => match error {
                RouteError::Upstream { error, .. } => match error {
                    UpstreamError::Connect { .. } => "upstream_unreachable",
                    UpstreamError::Closed { .. } => "upstream_closed",
                    UpstreamError::Status { .. } => "upstream_status",
                    UpstreamError::Garbage { .. } => "upstream_garbage",
                    UpstreamError::TooLarge { .. } => "upstream_too_large",
                    UpstreamError::Timeout { .. } => "upstream_timeout",
                    UpstreamError::SessionEnded => "upstream_session_ended",
                    UpstreamError::Unauthorized { .. } => "upstream_unauthorized",
                    UpstreamError::Revision { .. } => "upstream_revision",
                },
                RouteError::Deadline { .. } => "deadline",
                RouteError::Busy { .. } => "busy",
                RouteError::AllDown(_) => "all_upstreams_down",
                RouteError::NoSuchMethod(_) => "unknown_method",
                RouteError::Untranslatable { .. } => "untranslatable",
                RouteError::TooManySessions(TooManySessions::InAll) => "too_many_sessions",
                RouteError::TooManySessions(TooManySessions::OfCaller(_)) => "too_many_sessions_of_caller",
                RouteError::QuestionGone => "question_gone",
                RouteError::TooManyQuestions => "too_many_questions",
                RouteError::Json(_) => "ambiguous_json",
            },
            Self::Screen(error) => match error {
                ScreenError::Arguments(_) => "arguments_do_not_fit_schema",
                ScreenError::InputSchema(_) => "input_schema_unusable",
                ScreenError::Result(_) => "result_does_not_fit_schema",
                ScreenError::OutputSchema(_) => "output_schema_unusable",
                ScreenError::Hidden { inbound: true, .. } => "hidden_characters_in_arguments",
                ScreenError::Hidden { inbound: false, .. } => "hidden_characters_in_answer",
                ScreenError::Json(_) => "ambiguous_json",
                ScreenError::Lengthy(_) => "notification_too_large",
                ScreenError::Obligation(_) | ScreenError::DetectorsOff => "obligation_not_possible",
                ScreenError::Data(error) => match error {
                    DataError::Refused(_) => "data_in_arguments",
                    DataError::Marked(_) => "mask_in_arguments",
                    DataError::Withheld(_) => "data_in_answer",
                    DataError::Unfit(..) => "masked_does_not_fit_schema",
                    DataError::TooMuch => "too_much_to_look_through",
                },
            },
            Self::Session(error) => match error {
                SessionError::Door(_) => "malformed",
                SessionError::UnknownEndpoint(_) => "unknown_endpoint",
                SessionError::NotInitialized => "not_initialized",
                SessionError::AlreadyInitialized => "already_initialized",
                SessionError::IdInUse(_) => "id_in_use",
                SessionError::UnknownMethod(_) => "unknown_method",
                SessionError::Params(_) | SessionError::Lengthy(_) => "invalid_params",
                SessionError::Json(_) => "ambiguous_json",
                SessionError::UnknownTool(_) => "unknown_tool",
                SessionError::UnknownPrompt(_) => "unknown_prompt",
                SessionError::UnknownResource(..) => "unknown_resource",
                SessionError::OutOfReach(..) => "upstream_unreachable",
                SessionError::UnknownTask => "unknown_task",
                SessionError::NotAsked => "progress_of_no_question",
                SessionError::UnknownLevel(_) => "unknown_level",
                SessionError::BadCursor => "bad_cursor",
                SessionError::Meta(_) => "bad_meta",
                SessionError::Header(_) => "header_mismatch",
            },
        }
    }

    /// One line for the operator's log. It may name hosts and rules; it never holds an argument's value.
    pub(crate) fn for_operator(&self) -> String {
        match self {
            Self::Policy(PolicyError::Denied(decided)) => {
                let ids: Vec<_> = decided.policies.iter().map(|id| &**id).collect();
                format!("policy: {} [{}]", decided.reason, ids.join(", "))
            }
            Self::Route(RouteError::Upstream { name, error }) => format!("upstream {name}: {error}"),
            Self::Route(RouteError::Deadline {
                name,
                after,
                garbage: Some(line),
            }) => {
                let after = after.as_millis();
                format!("upstream {name}: no answer within {after} ms, and no MCP message; last line: {line}")
            }
            Self::Ledger(error) => format!("record: {error}"),
            other => match other.for_client() {
                Face::Error(error) => format!("{}: {}", other.code(), error.message),
                Face::ToolError(text) => format!("{}: {text}", other.code()),
            },
        }
    }
}

fn route_face(route: &RouteError) -> Face {
    let error = |code, message: String| Face::Error(RpcError::new(code, message));
    match route {
        RouteError::Upstream { name, error: cause } => error(
            codes::UNAVAILABLE,
            format!(
                "the server `{name}` {}, hint: `portcullis catalog` shows the reason",
                what_it_did(cause)
            ),
        ),
        RouteError::Deadline { name, .. } => error(codes::DEADLINE, format!("the server `{name}` {}", state_of(route))),
        RouteError::Busy { name } => error(
            codes::BUSY,
            format!("the server `{name}` is busy, hint: try again later"),
        ),
        RouteError::AllDown(down) => error(
            codes::UNAVAILABLE,
            format!("no server behind this endpoint answers: {}", listed(down)),
        ),
        RouteError::NoSuchMethod(method) => unknown_method(method),
        RouteError::Untranslatable { name, what } => error(
            INTERNAL,
            format!("the server `{name}` answered with {what}, for which the client's protocol revision has no form"),
        ),
        RouteError::TooManySessions(TooManySessions::InAll) => Face::Error(
            RpcError::new(codes::BUSY, "too many sessions, hint: end one with DELETE, or wait").with_status(503),
        ),
        RouteError::TooManySessions(TooManySessions::OfCaller(count)) => Face::Error(
            RpcError::new(
                codes::BUSY,
                format!(
                    "you have {count} sessions, which is the most, hint: end one with DELETE; unused ones end in time"
                ),
            )
            .with_status(429),
        ),
        RouteError::QuestionGone => error(INVALID_PARAMS, "the call that asked is no longer waiting".to_owned()),
        RouteError::TooManyQuestions => error(codes::BUSY, "too many questions wait for this client".to_owned()),
        RouteError::Json(what) => error(INVALID_PARAMS, what.clone()),
    }
}

/// What a server did, in words that name no host and repeat nothing that it said.
const fn what_it_did(error: &UpstreamError) -> &'static str {
    match error {
        UpstreamError::Connect { .. } => "cannot be reached",
        UpstreamError::Closed { .. } => "closed the connection before it answered",
        UpstreamError::Status { .. } => "answered with an unexpected HTTP status",
        UpstreamError::Garbage { .. } => "answered with something that is no MCP message",
        UpstreamError::TooLarge { .. } => "sent more than is accepted",
        UpstreamError::Timeout { .. } => "did not answer in time",
        UpstreamError::SessionEnded => "ended the session",
        UpstreamError::Unauthorized { .. } => "refused the gateway's credentials",
        UpstreamError::Revision { .. } => "speaks no protocol revision that the gateway knows",
    }
}

/// Why an upstream is missing, as clients hear it in lists.
pub(crate) fn state_of(error: &RouteError) -> String {
    match error {
        RouteError::Upstream { error, .. } => what_it_did(error).to_owned(),
        RouteError::Deadline { after, garbage, .. } => {
            let meanwhile = match garbage {
                Some(_) => ", and wrote something that is no MCP message",
                None => "",
            };
            format!("did not answer within {} ms{meanwhile}", after.as_millis())
        }
        _ => "cannot be listed".to_owned(),
    }
}

/// Servers, each with its reason.
fn listed(down: &[(Arc<str>, String)]) -> String {
    let each = down.iter().map(|(name, reason)| format!("`{name}` ({reason})"));
    each.collect::<Vec<_>>().join(", ")
}

fn screen_face(screen: &ScreenError) -> Face {
    let error = |code, message: String| Face::Error(RpcError::new(code, message));
    match screen {
        ScreenError::Arguments(what) => {
            Face::ToolError(format!("the arguments do not fit the tool's inputSchema: {what}"))
        }
        ScreenError::InputSchema(why) => error(
            codes::SCREENED,
            format!("the tool's inputSchema cannot be used, so no call of it is let through: {why}"),
        ),
        ScreenError::Result(what) => error(
            codes::SCREENED,
            format!("the result does not fit the tool's outputSchema: {what}"),
        ),
        ScreenError::OutputSchema(why) => error(
            codes::SCREENED,
            format!("the tool's outputSchema cannot be used, so its results are withheld: {why}"),
        ),
        ScreenError::Hidden { inbound, finding } => error(
            codes::SCREENED,
            match inbound {
                true => format!("hidden characters in the request: {finding}, hint: remove them"),
                false => format!("hidden characters in the answer: {finding}"),
            },
        ),
        ScreenError::Json(cause) => error(INVALID_PARAMS, cause.to_string()),
        ScreenError::Lengthy(bytes) => error(
            codes::SCREENED,
            format!("a notification of {bytes} bytes, where at most {NOTIFICATION_BYTES_MAX} are passed on"),
        ),
        ScreenError::Obligation(what) => error(
            codes::SCREENED,
            format!("policy asks for `{what}`, which this build cannot carry out, so the call is refused"),
        ),
        ScreenError::DetectorsOff => error(
            codes::SCREENED,
            "policy asks that data be masked or refused, and the detectors are switched off, so the call is refused"
                .to_owned(),
        ),
        ScreenError::Data(data) => error(codes::SCREENED, data_face(data)),
    }
}

fn data_face(error: &DataError) -> String {
    match error {
        DataError::Refused(spot) => format!(
            "{} in the request at `{}`: it does not go to the server, hint: leave it out, or the operator can declare it \
             in the server's `credentials`, or permit the kind with `@arguments(\"{} pass\")`",
            spot.class, spot.path, spot.class
        ),
        DataError::Marked(spot) => format!(
            "the mark of a masked {} in the request at `{}`: the server would take it for the value, hint: leave it \
             out, or the operator can let the value through with `@results(\"{} pass\")` where it comes from",
            spot.class, spot.path, spot.class
        ),
        DataError::Withheld(spot) => format!("the answer is withheld: {} at `{}`", spot.class, spot.path),
        DataError::Unfit(spot, problem) => format!(
            "the answer is withheld: with {} at `{}` masked it does not fit the tool's outputSchema: {problem}",
            spot.class, spot.path
        ),
        DataError::TooMuch => "more data in one message than is looked through".to_owned(),
    }
}

fn session_face(session: &SessionError) -> Face {
    let error = |code, message: String| Face::Error(RpcError::new(code, message));
    match session {
        SessionError::Door(refused) => Face::Error(refused.error.clone()),
        SessionError::UnknownEndpoint(name) => {
            Face::Error(RpcError::new(INVALID_REQUEST, format!("there is no endpoint `/mcp/{name}`")).with_status(404))
        }
        SessionError::NotInitialized => error(
            INVALID_REQUEST,
            "not initialized, hint: send `initialize` first".to_owned(),
        ),
        SessionError::AlreadyInitialized => error(
            INVALID_REQUEST,
            "already initialized, hint: open a new session".to_owned(),
        ),
        SessionError::IdInUse(id) => error(
            INVALID_REQUEST,
            format!("id {id:?} is in use, or too many requests are in flight"),
        ),
        SessionError::UnknownMethod(method) => unknown_method(method),
        SessionError::Lengthy(member) => error(
            INVALID_PARAMS,
            format!("`{member}` is longer than the {SAID_BYTES_MAX} bytes that a session keeps"),
        ),
        SessionError::Params(member) => error(
            INVALID_PARAMS,
            format!("`params.{member}` is missing or of the wrong type"),
        ),
        SessionError::Json(cause) => error(INVALID_PARAMS, cause.to_string()),
        SessionError::UnknownTool(name) => error(INVALID_PARAMS, format!("unknown tool `{}`", short(name))),
        SessionError::UnknownPrompt(name) => error(INVALID_PARAMS, format!("unknown prompt `{}`", short(name))),
        SessionError::UnknownResource(uri, era) => {
            let mut data = br#"{"uri":"#.to_vec();
            portcullis_wire::json::write_string(&mut data, uri);
            data.push(b'}');
            Face::Error(
                RpcError::new(
                    match era {
                        Era::Legacy => RESOURCE_NOT_FOUND,
                        Era::Modern => INVALID_PARAMS,
                    },
                    format!("no server has the resource `{}`", short(uri)),
                )
                .with_data(data),
            )
        }
        SessionError::OutOfReach(what, down) => error(
            codes::UNAVAILABLE,
            format!(
                "{what} is unknown, and these servers, which may have it, do not answer: {}",
                listed(down)
            ),
        ),
        SessionError::UnknownTask => error(INVALID_PARAMS, "unknown task".to_owned()),
        SessionError::NotAsked => error(
            INVALID_PARAMS,
            "no server, or not just one, has a question open with this progress token".to_owned(),
        ),
        SessionError::UnknownLevel(level) => error(
            INVALID_PARAMS,
            format!(
                "unknown log level `{}`, hint: one of {}",
                short(level),
                crate::session::LEVELS.join(", ")
            ),
        ),
        SessionError::BadCursor => error(INVALID_PARAMS, "invalid cursor, hint: start the list again".to_owned()),
        SessionError::Meta(cause) => Face::Error(cause.clone()),
        SessionError::Header(cause) => Face::Error(cause.clone()),
    }
}

fn unknown_method(method: &str) -> Face {
    Face::Error(RpcError::new(
        METHOD_NOT_FOUND,
        format!("method `{}` not found", short(method)),
    ))
}

/// What a client sent, short enough to say back, and in one line of whatever log it comes to.
fn short(text: &str) -> String {
    let mut short = String::new();
    for c in text.chars().take(128) {
        match c {
            '"' | '\'' | '\\' => short.push(c),
            _ => short.extend(c.escape_debug()),
        }
    }
    short
}

macro_rules! refusal_from {
    ($($variant:ident($error:ty)),* $(,)?) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

refusal_from!(
    Ledger(LedgerError),
    Policy(PolicyError),
    Route(RouteError),
    Screen(ScreenError),
    Session(SessionError),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sent_stays_on_its_line() {
        assert_eq!(short("read \"x\" of `a\\b`"), "read \"x\" of `a\\b`");
        assert_eq!(
            short("x\nINFO forged\u{1b}[31m\u{202e}"),
            "x\\nINFO forged\\u{1b}[31m\\u{202e}"
        );
        assert_eq!(short(&"x".repeat(1_000)).len(), 128);
    }
}
