//! The admission of each message: whose session, which endpoint, what it is aimed at. Everything ambiguous ends here.

use super::call::{Call, Client, ListKind, StandingAsked, Target};
use super::{Notice, STDIO_SESSION, Session, Sessions, principal_of};
use crate::catalog::{Catalog, View};
use crate::identity::Caller;
use bytes::Bytes;
use portcullis_transport::{Ask, Inbound};
use portcullis_wire::message::Refused;
use portcullis_wire::meta::ModernMeta;
use portcullis_wire::{
    Era, Id, JsonError, Kind, Method, Notification, Raw, Request, Response, Revision, RpcError, header,
};
use std::sync::Arc;

/// What becomes of a message.
pub(crate) enum Admitted {
    /// It goes through the stages, and its reply goes back the way it came.
    Call(Box<Call>),
    /// It is the answer to a question: the call that asked goes on, and what comes of it goes to that call's stream.
    Resumed(Box<Call>),
    /// A notification that concerns the gateway alone was acted on.
    Heard,
    /// A notification for the servers that its session has reached.
    Tell(Box<Notice>),
    /// The client cancelled a call that waits for this question of this session to be answered.
    Withdrawn(Arc<str>, Id),
    /// The client wants the standing stream of its session, which is there.
    StreamOpened,
    /// The session was ended.
    SessionClosed(Arc<Session>),
    /// The session is unknown, over, or another principal's.
    SessionGone,
    /// A legacy message that needs a session came without.
    SessionMissing,
}

/// Why a request is not admitted.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// The transport refused it at the door.
    Door(Refused),
    /// There is no such endpoint.
    UnknownEndpoint(String),
    /// `initialize` has not been done.
    NotInitialized,
    /// A second `initialize` in one session.
    AlreadyInitialized,
    /// The id is in use by a request in flight, or there are too many.
    IdInUse(Id),
    /// The method does not exist in the client's revision, or nobody behind this endpoint could know it.
    UnknownMethod(String),
    /// `params` or a member of it is missing or of the wrong type.
    Params(&'static str),
    /// What a client says of itself in this member is longer than [`SAID_BYTES_MAX`].
    Lengthy(&'static str),
    /// An object that must be read is ambiguous.
    Json(JsonError),
    /// No tool of that name.
    UnknownTool(String),
    /// No prompt of that name.
    UnknownPrompt(String),
    /// No upstream has this resource; the eras have a code each for it.
    UnknownResource(String, Era),
    /// What is asked for (in words) may be one of these servers', which are down, each for its reason.
    OutOfReach(String, Vec<(Arc<str>, String)>),
    /// No task of that id, for this principal.
    UnknownTask,
    /// Progress of something that no server, or not just one, has asked this client for.
    NotAsked,
    /// Not one of the eight levels.
    UnknownLevel(String),
    /// A cursor that we did not give, or whose list has changed.
    BadCursor,
    /// The modern `_meta` is missing or wrong.
    Meta(RpcError),
    /// Mirrored headers and body disagree.
    Header(RpcError),
}

impl From<JsonError> for SessionError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

/// The most that a client may say of itself in one member of `initialize`, in bytes; a session keeps it.
pub(crate) const SAID_BYTES_MAX: usize = 64 << 10;

/// A copy of what a client says of itself in `member`: a slice would keep the whole request in memory as long as the session.
fn kept(params: Option<&Raw>, member: &'static str) -> Result<Option<Raw>, SessionError> {
    let Some(said) = params.and_then(|params| params.get(member)) else {
        return Ok(None);
    };
    if said.as_bytes().len() > SAID_BYTES_MAX {
        return Err(SessionError::Lengthy(member));
    }
    Ok(Some(Raw::own(Bytes::copy_from_slice(said.as_bytes()))?))
}

impl Sessions {
    /// Admits one message.
    pub(crate) fn admit(
        &self,
        catalog: &Catalog,
        inbound: Box<Inbound>,
        caller: Caller,
    ) -> Result<Admitted, SessionError> {
        let view = catalog
            .view(&inbound.endpoint)
            .ok_or_else(|| SessionError::UnknownEndpoint(inbound.endpoint.to_string()))?;
        let session = inbound
            .session
            .as_deref()
            .map(|id| self.find(id, &caller, &inbound.endpoint));
        // The name alone would let an HTTP client take itself for the host of this process.
        let is_stdio = inbound.session.as_deref() == Some(STDIO_SESSION) && inbound.peer.address.is_none();
        let session = match session {
            // A stale id is gone even for `initialize`, which must not come with one.
            Some(None) if inbound.revision.era() == Era::Legacy && !is_stdio => {
                return Ok(Admitted::SessionGone);
            }
            found => found.flatten().filter(|_| inbound.revision.era() == Era::Legacy),
        };
        let arrival = Arrival {
            sessions: self,
            client: Client {
                revision: session.as_ref().map_or(inbound.revision, |session| session.revision),
                capabilities: session.as_ref().map(|session| session.capabilities.clone()),
                info: session.as_ref().and_then(|session| session.info.clone()),
                log_level: None,
                outlet: inbound.outlet,
                standing: inbound.standing,
                is_stdio,
                session,
            },
            caller,
            view,
            meta: inbound.meta,
            parameters: inbound.parameters,
        };
        match inbound.ask {
            Ask::Request(request) => arrival.request(request),
            Ask::Notification(notification) => Ok(arrival.notification(notification)),
            Ask::Response(response) => Ok(arrival.response(response)),
            Ask::OpenStream => Ok(match arrival.client.session {
                Some(_) => Admitted::StreamOpened,
                None => Admitted::SessionMissing,
            }),
            Ask::CloseSession => Ok(match arrival.client.session {
                Some(session) => {
                    self.close(&session.id);
                    Admitted::SessionClosed(session)
                }
                None => Admitted::SessionMissing,
            }),
            Ask::Refused(refused) => Err(SessionError::Door(refused)),
        }
    }
}

struct Arrival<'a> {
    sessions: &'a Sessions,
    client: Client,
    caller: Caller,
    view: Arc<View>,
    meta: Option<ModernMeta>,
    parameters: Vec<(String, Vec<u8>)>,
}

impl Arrival<'_> {
    fn request(mut self, request: Request) -> Result<Admitted, SessionError> {
        let params = request.params();
        if let Some(params) = params {
            // Read by us and by the server: it must mean the same to both.
            params.check_members()?;
            well_formed_meta(params, self.client.revision.era())?;
        }
        match self.client.revision.era() {
            Era::Modern => {
                let meta = match self.meta.take() {
                    Some(meta) => meta,
                    None => ModernMeta::read(params).map_err(SessionError::Meta)?,
                };
                self.client.capabilities = Some(meta.capabilities);
                self.client.info = meta.client_info;
                self.client.log_level = meta.log_level;
            }
            Era::Legacy => {
                let is_new = self.client.session.is_none();
                match request.method() {
                    Method::Initialize if !is_new => return Err(SessionError::AlreadyInitialized),
                    Method::Initialize => {
                        self.client.capabilities = kept(params, "capabilities")?;
                        self.client.info = kept(params, "clientInfo")?;
                    }
                    Method::Ping if self.client.is_stdio => {}
                    _ if is_new && self.client.is_stdio => return Err(SessionError::NotInitialized),
                    _ if is_new => return Ok(Admitted::SessionMissing),
                    _ => {}
                }
            }
        }
        if !request.method().is_in(self.client.revision) && *request.method() != Method::Initialize {
            return Err(SessionError::UnknownMethod(request.method().to_string()));
        }
        let target = self.target(&request, params)?;
        self.mirrored(&target, params)?;
        let cancel = match self.in_flight_table() {
            Some(table) => Some(
                table
                    .register(request.id(), self.sessions.limits.in_flight_max)
                    .ok_or_else(|| SessionError::IdInUse(request.id().clone()))?,
            ),
            None => None,
        };
        Ok(Admitted::Call(Box::new(Call {
            caller: self.caller,
            client: self.client,
            view: self.view,
            request,
            target,
            cancel,
        })))
    }

    /// Where a client's `notifications/cancelled` finds its calls; modern HTTP clients close the stream instead.
    fn in_flight_table(&self) -> Option<&Arc<super::InFlightTable>> {
        match &self.client.session {
            Some(session) => Some(session.in_flight()),
            None if self.client.is_stdio => Some(&self.sessions.stdio),
            None => None,
        }
    }

    fn target(&self, request: &Request, params: Option<&Raw>) -> Result<Target, SessionError> {
        let text = |key: &'static str| -> Result<String, SessionError> {
            params
                .and_then(|params| params.get(key))
                .and_then(|value| value.as_string().map(std::borrow::Cow::into_owned))
                .ok_or(SessionError::Params(key))
        };
        let list = |kind| Ok(Target::List(kind, self.position(params)?));
        match request.method() {
            Method::Initialize => text("protocolVersion").map(|_| Target::Initialize),
            Method::ServerDiscover => Ok(Target::Discover),
            Method::Ping => Ok(Target::Ping),
            Method::LoggingSetLevel => {
                let level = text("level")?;
                match LEVELS.contains(&level.as_str()) {
                    true => Ok(Target::SetLevel(level)),
                    false => Err(SessionError::UnknownLevel(level)),
                }
            }
            Method::ToolsList => list(ListKind::Tools),
            Method::PromptsList => list(ListKind::Prompts),
            Method::ResourcesList => list(ListKind::Resources),
            Method::ResourcesTemplatesList => list(ListKind::Templates),
            Method::SubscriptionsListen => match params.and_then(|params| params.get("notifications")) {
                Some(filters) if filters.kind() == Kind::Object => Ok(Target::Listen),
                _ => Err(SessionError::Params("notifications")),
            },
            Method::ToolsCall => {
                let name = text("name")?;
                arguments_are_an_object(params)?;
                match self.view.tool(&name) {
                    Some(shown) => Ok(Target::Tool(Arc::clone(&shown.item))),
                    None => Err(self.missing("the tool", &name, SessionError::UnknownTool(name.clone()))),
                }
            }
            Method::PromptsGet => {
                let name = text("name")?;
                arguments_are_an_object(params)?;
                match self.view.prompt(&name) {
                    Some(shown) => Ok(Target::Prompt(Arc::clone(&shown.item))),
                    None => Err(self.missing("the prompt", &name, SessionError::UnknownPrompt(name.clone()))),
                }
            }
            Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
                let uri = text("uri")?;
                match self.view.owner_of(&uri) {
                    Some(upstream) => Ok(Target::Resource {
                        upstream,
                        uri: uri.into(),
                    }),
                    None => Err(self.unknown_resource(uri)),
                }
            }
            Method::CompletionComplete => self.completion(params),
            Method::TasksGet | Method::TasksResult | Method::TasksCancel | Method::TasksUpdate => {
                self.declares_tasks()?;
                let id = text("taskId")?;
                let upstream = self
                    .sessions
                    .tasks
                    .owner(&id, principal_of(&self.caller))
                    .ok_or(SessionError::UnknownTask)?;
                Ok(Target::Task { upstream })
            }
            other => match self.view.sole_upstream() {
                Some(upstream) => Ok(Target::Vendor {
                    upstream: Arc::clone(upstream),
                }),
                None => Err(SessionError::UnknownMethod(other.to_string())),
            },
        }
    }

    /// `tasks/*` of a modern client that did not declare the extension in this very request (ext-tasks).
    fn declares_tasks(&self) -> Result<(), SessionError> {
        const TASKS: &str = "io.modelcontextprotocol/tasks";
        let declared = self
            .client
            .capabilities
            .as_ref()
            .is_some_and(|capabilities| capabilities.at(&["extensions", TASKS]).is_some());
        if self.client.revision.era() == Era::Legacy || declared {
            return Ok(());
        }
        let data = format!(r#"{{"requiredCapabilities":{{"extensions":{{"{TASKS}":{{}}}}}}}}"#);
        Err(SessionError::Meta(
            RpcError::new(
                portcullis_wire::error::MISSING_CLIENT_CAPABILITY,
                format!(
                    "this method needs the extension `{TASKS}`, hint: declare it in `clientCapabilities.extensions`"
                ),
            )
            .with_data(data),
        ))
    }

    fn unknown_resource(&self, uri: String) -> SessionError {
        let unknown = SessionError::UnknownResource(uri.clone(), self.client.revision.era());
        self.missing("the resource", &uri, unknown)
    }

    /// What nobody has is unknown only where everybody was heard.
    fn missing(&self, what: &str, name: &str, unknown: SessionError) -> SessionError {
        if self.view.unavailable.is_empty() {
            return unknown;
        }
        let down = self.view.unavailable.iter();
        let down = down.map(|down| (Arc::clone(&down.upstream), down.reason.clone()));
        let name: String = name.chars().take(128).collect();
        SessionError::OutOfReach(format!("{what} `{name}`"), down.collect())
    }

    fn completion(&self, params: Option<&Raw>) -> Result<Target, SessionError> {
        let reference = params
            .and_then(|params| params.get("ref"))
            .ok_or(SessionError::Params("ref"))?;
        let member = |key: &'static str| {
            reference
                .get(key)
                .and_then(|value| value.as_string().map(std::borrow::Cow::into_owned))
        };
        match (member("name"), member("uri")) {
            (Some(name), None) => {
                let unknown = || self.missing("the prompt", &name, SessionError::UnknownPrompt(name.clone()));
                let prompt = self.view.prompt(&name).ok_or_else(unknown)?;
                Ok(Target::Completion {
                    upstream: Arc::clone(&prompt.item.upstream),
                    name: Arc::clone(&prompt.item.name),
                })
            }
            (None, Some(uri)) => {
                let template = self.view.templates.iter().find(|t| *t.name == *uri);
                let upstream = match template {
                    Some(template) => Arc::clone(&template.item.upstream),
                    None => self
                        .view
                        .owner_of(&uri)
                        .ok_or_else(|| self.unknown_resource(uri.clone()))?,
                };
                Ok(Target::Completion {
                    upstream,
                    name: uri.into(),
                })
            }
            _ => Err(SessionError::Params("ref")),
        }
    }

    /// Where in a list to go on: our cursors are `epoch.offset`.
    fn position(&self, params: Option<&Raw>) -> Result<usize, SessionError> {
        let Some(cursor) = params.and_then(|params| params.get("cursor")) else {
            return Ok(0);
        };
        let cursor = cursor.as_string().ok_or(SessionError::Params("cursor"))?;
        let (epoch, offset) = cursor.split_once('.').ok_or(SessionError::BadCursor)?;
        if epoch.parse() != Ok(self.view.epoch) {
            return Err(SessionError::BadCursor);
        }
        offset.parse().map_err(|_| SessionError::BadCursor)
    }

    /// `Mcp-Param-*` against the arguments, by the tool's own annotations (2026-07-28, streamable HTTP).
    fn mirrored(&self, target: &Target, params: Option<&Raw>) -> Result<(), SessionError> {
        let Target::Tool(tool) = target else {
            return Ok(());
        };
        if self.client.is_stdio || self.client.revision.era() == Era::Legacy {
            return Ok(());
        }
        if tool.mirrored.is_empty() {
            return Ok(());
        }
        let arguments = params.and_then(|params| params.get("arguments"));
        let received = self
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        header::check(&tool.mirrored, arguments.as_ref(), received)
            .map(|_| ())
            .map_err(|error| SessionError::Header(RpcError::from(&error)))
    }

    fn notification(self, notification: Notification) -> Admitted {
        let params = notification.params();
        match notification.method() {
            Method::Cancelled => {
                let id = params
                    .and_then(|params| params.get("requestId"))
                    .and_then(|id| Id::from_raw(&id));
                let (Some(id), Some(table)) = (id, self.in_flight_table()) else {
                    return Admitted::Heard;
                };
                table.cancel(&id);
                match &self.client.session {
                    Some(session) => match session.withdraw(&id) {
                        Some(question) => Admitted::Withdrawn(Arc::clone(&session.id), question),
                        None => Admitted::Heard,
                    },
                    None => Admitted::Heard,
                }
            }
            method => match self.client.session {
                Some(_) if *method == Method::Initialized => Admitted::Heard,
                Some(session) => Admitted::Tell(Box::new(Notice {
                    caller: self.caller,
                    session,
                    is_stdio: self.client.is_stdio,
                    notification,
                })),
                None if self.client.revision.era() == Era::Legacy => Admitted::SessionMissing,
                // A modern client has nothing to tell a server outside of its requests (2026-07-28, changelog).
                None => Admitted::Heard,
            },
        }
    }

    /// The answer to a question of no call is a call of its own: decided, screened and recorded as any.
    fn standing_answer(self, asked: Arc<StandingAsked>, response: Response) -> Admitted {
        Admitted::Resumed(Box::new(Call {
            caller: self.caller,
            client: self.client,
            view: self.view,
            request: asked.request.clone(),
            target: Target::Answer {
                asked,
                response: Arc::new(response),
            },
            cancel: None,
        }))
    }

    fn response(self, response: Response) -> Admitted {
        let Some(session) = self.client.session.as_ref() else {
            return Admitted::SessionMissing;
        };
        // An answer to nothing, a second answer, or a late one: heard and forgotten.
        let Some(asked) = response.id().and_then(|id| session.answered(id)) else {
            return match response.id().and_then(|id| session.answered_standing(id)) {
                Some(asked) => self.standing_answer(asked, response),
                None => Admitted::Heard,
            };
        };
        let in_flight = session
            .in_flight()
            .register(asked.request.id(), self.sessions.limits.in_flight_max);
        let mut client = self.client;
        client.outlet = asked.outlet.clone();
        Admitted::Resumed(Box::new(Call {
            caller: self.caller,
            client,
            view: self.view,
            request: asked.request.clone(),
            target: Target::Resume {
                asked,
                response: Arc::new(response),
            },
            cancel: in_flight,
        }))
    }
}

/// `_meta` and the progress token in it are the gateway's to read in every era. (The rest of a modern `_meta` is read in whole.)
fn well_formed_meta(params: &Raw, era: Era) -> Result<(), SessionError> {
    let Some(meta) = params.get("_meta") else {
        return Ok(());
    };
    if era == Era::Legacy {
        if meta.kind() != Kind::Object {
            return Err(SessionError::Params("_meta"));
        }
        meta.check_members()?;
    }
    match meta.get("progressToken") {
        // A token is what an id is: a string or an integer.
        Some(token) if Id::from_raw(&token).is_none() => Err(SessionError::Params("_meta.progressToken")),
        _ => Ok(()),
    }
}

fn arguments_are_an_object(params: Option<&Raw>) -> Result<(), SessionError> {
    match params.and_then(|params| params.kind_of("arguments")) {
        Some(kind) if kind != Kind::Object => Err(SessionError::Params("arguments")),
        _ => Ok(()),
    }
}

/// RFC 5424 severities, least severe first (2025-11-25, server/utilities/logging).
pub(crate) const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// The revision that `initialize` settles on: the client's if we speak it, else our newest legacy one.
pub(crate) fn settle(params: Option<&Raw>) -> Revision {
    params
        .and_then(|params| params.get("protocolVersion"))
        .and_then(|version| version.as_string()?.parse::<Revision>().ok())
        .filter(|revision| revision.era() == Era::Legacy)
        .unwrap_or(Revision::NEWEST_LEGACY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::Limits;

    #[test]
    fn a_session_keeps_what_was_said_and_not_the_request_that_said_it() {
        let long = "x".repeat(SAID_BYTES_MAX);
        let text = Bytes::from(format!(
            r#"{{"clientInfo":{{"name":"a"}},"capabilities":{{"a":"{long}"}}}}"#
        ));
        let params = Raw::parse(text.clone(), &Limits::default()).unwrap();
        let info = kept(Some(&params), "clientInfo").unwrap().unwrap();
        assert_eq!(info.as_str(), r#"{"name":"a"}"#);
        assert!(
            !text.as_ptr_range().contains(&info.as_bytes().as_ptr()),
            "a slice of the request"
        );
        assert!(matches!(
            kept(Some(&params), "capabilities"),
            Err(SessionError::Lengthy("capabilities"))
        ));
        assert!(kept(Some(&params), "absent").unwrap().is_none());
    }
}
