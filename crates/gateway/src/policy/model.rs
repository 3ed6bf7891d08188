//! The words of policy: who (entity types), may do what (actions), to what (targets), and what comes back (decision,
//! obligations). One place for every name that a policy file may use. It must not know Cedar's API, the wire or a transport.

use crate::identity::Nameable;
use portcullis_wire::Effect;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// What is asked for, one action per group of MCP methods. The id in a policy is [`Action::id`]: `Action::"tools/call"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Session upkeep: initialize, discover, ping, log level, cancellation.
    Connect,
    /// The lists of tools, resources, templates and prompts as a whole; what is shown in them follows from the action on each.
    List,
    /// `tools/call`.
    CallTool,
    /// `resources/read`.
    ReadResource,
    /// `prompts/get`.
    GetPrompt,
    /// `completion/complete`.
    Complete,
    /// Following changes: resource subscriptions and `subscriptions/listen`.
    Subscribe,
    /// Asking about, updating and cancelling tasks.
    Task,
    /// The client's answer to a question that a server asked back.
    Answer,
    /// Any other method: vendor extensions, revisions to come. `context.method` says which.
    Other,
}

impl Action {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Connect,
        Self::List,
        Self::CallTool,
        Self::ReadResource,
        Self::GetPrompt,
        Self::Complete,
        Self::Subscribe,
        Self::Task,
        Self::Answer,
        Self::Other,
    ];

    /// The id in a policy file.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::List => "list",
            Self::CallTool => "tools/call",
            Self::ReadResource => "resources/read",
            Self::GetPrompt => "prompts/get",
            Self::Complete => "completion/complete",
            Self::Subscribe => "subscribe",
            Self::Task => "tasks",
            Self::Answer => "answer",
            Self::Other => "method",
        }
    }

    /// The action that a method of the protocol asks for: the whole table, for requests and notifications of all revisions.
    #[must_use]
    pub fn of_method(method: &str) -> Self {
        match method {
            "initialize" | "server/discover" | "ping" | "logging/setLevel" => Self::Connect,
            "notifications/initialized" | "notifications/cancelled" | "notifications/progress" => Self::Connect,
            "notifications/roots/list_changed" => Self::Connect,
            "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list" => Self::List,
            "tools/call" => Self::CallTool,
            "resources/read" => Self::ReadResource,
            "prompts/get" => Self::GetPrompt,
            "completion/complete" => Self::Complete,
            "resources/subscribe" | "resources/unsubscribe" | "subscriptions/listen" => Self::Subscribe,
            "tasks/get" | "tasks/result" | "tasks/list" | "tasks/update" | "tasks/cancel" => Self::Task,
            _ => Self::Other,
        }
    }

    /// The entity types that it may be asked of.
    #[must_use]
    pub const fn targets(self) -> &'static [TargetKind] {
        use TargetKind::{Endpoint, Prompt, Resource, Server, Tool};
        match self {
            Self::Connect | Self::List | Self::Task | Self::Answer | Self::Other => &[Endpoint, Server],
            Self::CallTool => &[Tool],
            Self::ReadResource => &[Resource],
            Self::GetPrompt => &[Prompt],
            Self::Complete => &[Prompt, Resource],
            Self::Subscribe => &[Resource, Endpoint, Server],
        }
    }

    /// Position in [`Action::ALL`].
    pub(crate) const fn ordinal(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// The entity types that something may be asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetKind {
    /// A tool of an upstream, `Tool::"bank/transfer"`.
    Tool,
    /// A resource of an upstream, `Resource::"bank/bank://accounts"`.
    Resource,
    /// A prompt of an upstream, `Prompt::"bank/letter"`.
    Prompt,
    /// An upstream, `Server::"bank"`.
    Server,
    /// A door of the gateway, `Endpoint::"/mcp"`: for what is asked of no single upstream.
    Endpoint,
}

impl TargetKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tool, Self::Resource, Self::Prompt, Self::Server, Self::Endpoint];

    /// The entity type in a policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "Tool",
            Self::Resource => "Resource",
            Self::Prompt => "Prompt",
            Self::Server => "Server",
            Self::Endpoint => "Endpoint",
        }
    }
}

/// One thing that something is asked of. Names are the upstream's own, never those exposed to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// A tool.
    Tool {
        /// Name of the upstream in the configuration.
        server: &'a str,
        /// The tool's name at its upstream.
        name: &'a str,
    },
    /// A resource; it need not be in a list.
    Resource {
        /// Name of the upstream in the configuration.
        server: &'a str,
        /// Its URI at its upstream.
        uri: &'a str,
    },
    /// A prompt.
    Prompt {
        /// Name of the upstream in the configuration.
        server: &'a str,
        /// The prompt's name at its upstream.
        name: &'a str,
    },
    /// An upstream as a whole.
    Server {
        /// Its name in the configuration.
        name: &'a str,
    },
    /// A door of the gateway.
    Endpoint {
        /// Its path, for example `/mcp`; `stdio` behind stdio.
        path: &'a str,
    },
}

impl<'a> Target<'a> {
    /// Its entity type.
    #[must_use]
    pub const fn kind(&self) -> TargetKind {
        match self {
            Self::Tool { .. } => TargetKind::Tool,
            Self::Resource { .. } => TargetKind::Resource,
            Self::Prompt { .. } => TargetKind::Prompt,
            Self::Server { .. } => TargetKind::Server,
            Self::Endpoint { .. } => TargetKind::Endpoint,
        }
    }

    /// Its entity id, `upstream/name`.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Tool { server, name } | Self::Prompt { server, name } => format!("{server}/{name}"),
            Self::Resource { server, uri } => format!("{server}/{uri}"),
            Self::Server { name } => (*name).to_owned(),
            Self::Endpoint { path } => (*path).to_owned(),
        }
    }

    /// The target that an entity id of this kind means; `None` when an id of an upstream's part has no `/`.
    #[must_use]
    pub fn parse(kind: TargetKind, id: &'a str) -> Option<Self> {
        Some(match kind {
            TargetKind::Server => Self::Server { name: id },
            TargetKind::Endpoint => Self::Endpoint { path: id },
            TargetKind::Tool | TargetKind::Prompt | TargetKind::Resource => {
                let (server, name) = id.split_once('/')?;
                match kind {
                    TargetKind::Tool => Self::Tool { server, name },
                    TargetKind::Prompt => Self::Prompt { server, name },
                    _ => Self::Resource { server, uri: name },
                }
            }
        })
    }

    /// The upstream it belongs to.
    #[must_use]
    pub const fn server(&self) -> Option<&'a str> {
        match self {
            Self::Tool { server, .. } | Self::Prompt { server, .. } | Self::Resource { server, .. } => Some(server),
            Self::Server { name } => Some(name),
            Self::Endpoint { .. } => None,
        }
    }
}

/// What policies may name: the catalog, the last known one where an upstream is down now, and who may come in.
#[derive(Debug, Clone, Default)]
pub struct CatalogFacts {
    /// The upstreams.
    pub servers: Vec<ServerFacts>,
    /// Their tools. The order is that of [`super::Visible`].
    pub tools: Vec<ToolFacts>,
    /// Their prompts. The order is that of [`super::Visible`].
    pub prompts: Vec<PromptFacts>,
    /// The gateway's doors, `/mcp` and so on.
    pub endpoints: Vec<String>,
    /// Whom a credential can stand for; `None` where that is not known, and names of principals are not looked at.
    pub people: Option<Nameable>,
}

/// One upstream. Its name must not hold a `/`, for ids are split at the first.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// Name in the configuration.
    pub name: String,
    /// Down now: names of its parts that are not known only warn.
    pub unavailable: bool,
}

/// One tool of an upstream.
#[derive(Debug, Clone)]
pub struct ToolFacts {
    /// Name of the upstream.
    pub server: String,
    /// The tool's name there.
    pub name: String,
    /// What it does to the world, as pinned.
    pub effect: Effect,
    /// Whether a second identical call changes nothing more.
    pub idempotent: bool,
    /// Its `inputSchema`.
    pub input_schema: Value,
}

/// One prompt of an upstream.
#[derive(Debug, Clone)]
pub struct PromptFacts {
    /// Name of the upstream.
    pub server: String,
    /// The prompt's name there.
    pub name: String,
    /// Its arguments: all are strings.
    pub arguments: Vec<PromptArgument>,
}

/// One argument of a prompt.
#[derive(Debug, Clone)]
pub struct PromptArgument {
    /// Its name.
    pub name: String,
    /// Whether it must be given.
    pub required: bool,
}

/// What surrounds a call. Only what some policy reads is turned into Cedar's context.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// The method of the protocol, `context.method`.
    pub method: &'a str,
    /// The JSON object of arguments as received, `context.arguments`; `None` is an empty object.
    pub arguments: Option<&'a [u8]>,
    /// Milliseconds since 1970, `context.time`.
    pub time_unix_ms: i64,
    /// `http` or `stdio`, `context.transport`.
    pub transport: &'a str,
    /// The client that the credential was issued to, `context.client`.
    pub client: Option<&'a str>,
    /// The revision that the client speaks, `context.revision`.
    pub revision: Option<&'a str>,
}

/// What policy wants done beyond yes and no: an annotation of a policy that decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Obligation {
    /// Which.
    pub kind: ObligationKind,
    /// The annotation's text; empty when it has none.
    pub value: String,
}

/// The obligations there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObligationKind {
    /// `@results("IBAN pass, EMAIL mask, PASSWORD withhold")`: what is done about data in what goes to the client.
    Results,
    /// `@arguments("IBAN refuse, PROVIDER_TOKEN pass")`: what is done about data in what goes to the server.
    Arguments,
    /// `@mask("iban, name")`: replace these kinds of data in the answer.
    Mask,
    /// `@redact`: take personal data out of the answer altogether.
    Redact,
    /// `@approve("group")`: a person of that group says yes first.
    Approve,
    /// `@purpose("fraud-check")`: the purpose that goes on the record.
    Purpose,
    /// `@record("full")`: how much goes on the record.
    Record,
}

impl ObligationKind {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Results,
        Self::Arguments,
        Self::Mask,
        Self::Redact,
        Self::Approve,
        Self::Purpose,
        Self::Record,
    ];

    /// The annotation's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Results => "results",
            Self::Arguments => "arguments",
            Self::Mask => "mask",
            Self::Redact => "redact",
            Self::Approve => "approve",
            Self::Purpose => "purpose",
            Self::Record => "record",
        }
    }

    /// Whether this build can do it. A call that is allowed under one that it cannot is refused.
    #[must_use]
    pub const fn is_carried_out(self) -> bool {
        match self {
            // These go on the record with the decision, which is all they ask.
            Self::Purpose | Self::Record => true,
            // The screen does these.
            Self::Results | Self::Arguments | Self::Mask | Self::Redact => true,
            Self::Approve => false,
        }
    }

    /// The obligation that an annotation's name stands for.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Why it was decided so, for counters and the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReasonCode {
    /// At least one `permit` held and no `forbid`.
    Permitted,
    /// At least one `forbid` held.
    Forbidden,
    /// No `permit` held: the default.
    NoPermit,
    /// A `forbid` could not be evaluated, so that it might have held.
    EvaluationFailed,
    /// An argument that a policy reads is missing or not of its declared type.
    ArgumentMismatch,
    /// The thing asked for is not in the catalog, or the action is not asked of such things.
    UnknownTarget,
}

impl ReasonCode {
    /// The word in counters and the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Forbidden => "forbidden",
            Self::NoPermit => "no_permit",
            Self::EvaluationFailed => "evaluation_failed",
            Self::ArgumentMismatch => "argument_mismatch",
            Self::UnknownTarget => "unknown_target",
        }
    }
}

/// The answer to one question. Ids are `@id` or `file:line`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Yes or no.
    pub allowed: bool,
    /// Why.
    pub reason: ReasonCode,
    /// The policies that decided: every `permit` that held when allowed, every `forbid` that held (or failed) when not.
    pub policies: Vec<Arc<str>>,
    /// What those policies want done, without duplicates.
    pub obligations: Vec<Obligation>,
    /// Policies whose condition could not be evaluated. Ids only: Cedar's messages quote values, which may be personal data.
    pub errors: Vec<Arc<str>>,
}

impl Decision {
    /// A refusal that no policy took part in.
    pub(crate) const fn refused(reason: ReasonCode) -> Self {
        Self {
            allowed: false,
            reason,
            policies: Vec::new(),
            obligations: Vec::new(),
            errors: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_know_their_place_and_their_names_differ() {
        for (place, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action.ordinal(), place);
            assert_eq!(Action::ALL.iter().filter(|other| other.id() == action.id()).count(), 1);
            assert!(!action.targets().is_empty());
        }
    }

    #[test]
    fn methods_of_all_revisions_have_an_action() {
        for (method, action) in [
            ("initialize", Action::Connect),
            ("server/discover", Action::Connect),
            ("tools/list", Action::List),
            ("tools/call", Action::CallTool),
            ("resources/read", Action::ReadResource),
            ("subscriptions/listen", Action::Subscribe),
            ("tasks/cancel", Action::Task),
            ("vendor/thing", Action::Other),
            ("tools/callx", Action::Other),
            ("Tools/call", Action::Other),
        ] {
            assert_eq!(Action::of_method(method), action, "{method}");
        }
    }

    #[test]
    fn target_ids_split_at_the_first_slash() {
        for target in [
            Target::Tool {
                server: "bank",
                name: "a/b",
            },
            Target::Resource {
                server: "bank",
                uri: "bank://x/y",
            },
            Target::Prompt {
                server: "bank",
                name: "letter",
            },
            Target::Server { name: "bank" },
            Target::Endpoint { path: "/mcp" },
        ] {
            let id = target.id();
            assert_eq!(Target::parse(target.kind(), &id), Some(target));
        }
        assert_eq!(Target::parse(TargetKind::Tool, "bank"), None);
    }
}
