//! What is asked: one call in the inside shape, whatever revision the client speaks.

use super::Session;
use super::cancel::Cancel;
use crate::catalog::{Item, Tool, View};
use crate::identity::Caller;
use portcullis_transport::Outlet;
use portcullis_wire::{Era, Id, Impact, Method, Raw, Request, Response, Revision};
use std::sync::Arc;

/// An admitted call: its caller is known, its name is resolved, and it has one shape.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) caller: Caller,
    pub(super) client: Client,
    pub(super) view: Arc<View>,
    pub(super) request: Request,
    pub(super) target: Target,
    pub(super) cancel: Option<InFlight>,
}

/// The client's side of a call.
#[derive(Debug)]
pub(crate) struct Client {
    /// The revision that this client speaks.
    pub(crate) revision: Revision,
    /// The legacy session, once there is one.
    pub(crate) session: Option<Arc<Session>>,
    /// What the client declared it can do: per request (modern) or in `initialize` (legacy).
    pub(crate) capabilities: Option<Raw>,
    /// What the client calls itself. For display.
    pub(crate) info: Option<Raw>,
    /// Least severe log message that it wants; modern, per request.
    pub(crate) log_level: Option<String>,
    /// Where news of this call go.
    pub(crate) outlet: Outlet,
    /// With `initialize`: where messages outside any request will go.
    pub(crate) standing: Option<Outlet>,
    /// Behind stdio, one process is one client.
    pub(crate) is_stdio: bool,
}

/// The four lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ListKind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl ListKind {
    /// The member of the result that holds the items.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The capability without which a server has none.
    pub(crate) const fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }

    /// The method that asks for it.
    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Tools => Method::ToolsList,
            Self::Prompts => Method::PromptsList,
            Self::Resources => Method::ResourcesList,
            Self::Templates => Method::ResourcesTemplatesList,
        }
    }
}

/// What a call is aimed at.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// `initialize`: a session begins.
    Initialize,
    /// `server/discover`.
    Discover,
    /// `ping`.
    Ping,
    /// `logging/setLevel` with this level.
    SetLevel(String),
    /// One of the four lists, from this position.
    List(ListKind, usize),
    /// `subscriptions/listen`.
    Listen,
    /// `tools/call` of this tool.
    Tool(Arc<Tool>),
    /// `prompts/get` of this prompt.
    Prompt(Arc<Item>),
    /// `resources/read`, `subscribe` or `unsubscribe`.
    Resource {
        /// The owner.
        upstream: Arc<str>,
        /// What is read.
        uri: Arc<str>,
    },
    /// `completion/complete` for an argument of this prompt or template.
    Completion {
        /// The owner.
        upstream: Arc<str>,
        /// Its own name of the prompt, or the template's URI.
        name: Arc<str>,
    },
    /// `tasks/*` about this task.
    Task {
        /// Where the task runs.
        upstream: Arc<str>,
    },
    /// A method that only the sole upstream of the endpoint can know.
    Vendor {
        /// That upstream.
        upstream: Arc<str>,
    },
    /// The client's answer to a question that belongs to no call.
    Answer {
        /// The question.
        asked: Arc<StandingAsked>,
        /// The client's answer.
        response: Arc<Response>,
    },
    /// The client's answer to a question that was asked in the course of another call, which goes on with it.
    Resume {
        /// The question.
        asked: Arc<Asked>,
        /// The client's answer.
        response: Arc<Response>,
    },
}

/// A question that a legacy client has been asked on behalf of a server, and the call that waits for it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The id of the question towards the client.
    pub(crate) question: Id,
    /// The call in whose course it was asked.
    pub(crate) request: Request,
    /// What that call is aimed at.
    pub(crate) target: Target,
    /// Where that call's answer goes.
    pub(crate) outlet: Outlet,
    /// The question's progress token.
    pub(crate) token: Option<Id>,
}

/// A question of a legacy server that belongs to no call: it went out on the session's standing stream.
#[derive(Debug)]
pub(crate) struct StandingAsked {
    /// The id of the question towards the client.
    pub(crate) question: Id,
    /// Who asks.
    pub(crate) upstream: Arc<str>,
    /// The question as it came, under the server's own id.
    pub(crate) request: Request,
    /// Its progress token.
    pub(crate) token: Option<Id>,
}

/// Registered for as long as the call lives, so that the client can cancel it.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(super) cancel: Arc<Cancel>,
    pub(super) unregister: Box<dyn Unregister>,
}

/// Removes a call from the table that `notifications/cancelled` looks into.
pub(super) trait Unregister: std::fmt::Debug + Send + Sync {
    fn unregister(&self);
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.unregister.unregister();
    }
}

impl Call {
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) const fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub(crate) const fn request(&self) -> &Request {
        &self.request
    }

    /// What it is aimed at; for a resumed call, the answer to the question.
    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// What policy decides on: for a resumed call, the call that asked.
    pub(crate) fn aim(&self) -> &Target {
        match &self.target {
            Target::Resume { asked, .. } => &asked.target,
            own => own,
        }
    }

    pub(crate) const fn era(&self) -> Era {
        self.client.revision.era()
    }

    /// Told when the client cancels.
    pub(crate) fn cancel(&self) -> Option<&Arc<Cancel>> {
        self.cancel.as_ref().map(|in_flight| &in_flight.cancel)
    }

    /// The upstream that it goes to; `None` where the gateway answers itself.
    pub(crate) fn upstream(&self) -> Option<&Arc<str>> {
        self.aim().upstream()
    }

    /// `upstream/name` of the tool, prompt or resource; empty where there is none.
    pub(crate) fn item(&self) -> Arc<str> {
        match self.aim() {
            Target::Tool(tool) => Arc::clone(&tool.id),
            Target::Prompt(item) => Arc::clone(&item.id),
            Target::Completion { upstream, name } => format!("{upstream}/{name}").into(),
            // A URI may hold personal data and a task id is a handle: the record has the upstream and a commitment.
            Target::Resource { upstream, .. } | Target::Task { upstream, .. } | Target::Vendor { upstream } => {
                Arc::clone(upstream)
            }
            _ => Arc::default(),
        }
    }

    /// What the call does to the world.
    pub(crate) fn impact(&self) -> Impact {
        match self.aim() {
            Target::Tool(tool) => tool.impact,
            Target::Vendor { .. } | Target::Task { .. } => match self.request.method() {
                Method::TasksGet | Method::TasksResult | Method::TasksList => Impact::READ,
                _ => Impact::UNDECLARED,
            },
            _ => Impact::READ,
        }
    }
}

impl Target {
    pub(crate) fn upstream(&self) -> Option<&Arc<str>> {
        match self {
            Self::Tool(tool) => Some(&tool.upstream),
            Self::Prompt(item) => Some(&item.upstream),
            Self::Resource { upstream, .. }
            | Self::Completion { upstream, .. }
            | Self::Task { upstream, .. }
            | Self::Vendor { upstream } => Some(upstream),
            Self::Answer { asked, .. } => Some(&asked.upstream),
            Self::Resume { asked, .. } => asked.target.upstream(),
            Self::Initialize | Self::Discover | Self::Ping | Self::SetLevel(_) | Self::List(..) | Self::Listen => None,
        }
    }
}
