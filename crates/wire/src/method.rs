//! The methods of the five revisions. An unknown one is kept as it was written: a vendor's method passes.

use crate::revision::Revision;
use std::fmt;

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $from:ident..$to:ident;)*) => {
        /// A method or notification by name.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $name,)*
            /// None of the above.
            Other(Box<str>),
        }

        impl Method {
            /// All that have a name here.
            pub const KNOWN: &'static [Self] = &[$(Self::$name,)*];

            /// Reads a name.
            #[must_use]
            pub fn new(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)*
                    other => Self::Other(other.into()),
                }
            }

            /// The name as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(text) => text,
                }
            }

            /// Whether `revision` has it. An unknown method may be any revision's.
            #[must_use]
            pub fn is_in(&self, revision: Revision) -> bool {
                match self {
                    $(Self::$name => (Revision::$from..=Revision::$to).contains(&revision),)*
                    Self::Other(_) => true,
                }
            }
        }
    };
}

methods! {
    /// Opens a legacy session.
    Initialize = "initialize", V2024_11_05..V2025_11_25;
    /// Asks whether the peer lives, both ways.
    Ping = "ping", V2024_11_05..V2025_11_25;
    /// What a modern server is and has.
    ServerDiscover = "server/discover", V2026_07_28..V2026_07_28;
    /// Lists tools.
    ToolsList = "tools/list", V2024_11_05..V2026_07_28;
    /// Calls a tool.
    ToolsCall = "tools/call", V2024_11_05..V2026_07_28;
    /// Lists prompts.
    PromptsList = "prompts/list", V2024_11_05..V2026_07_28;
    /// Fills in a prompt.
    PromptsGet = "prompts/get", V2024_11_05..V2026_07_28;
    /// Lists resources.
    ResourcesList = "resources/list", V2024_11_05..V2026_07_28;
    /// Lists templates of resource URIs.
    ResourcesTemplatesList = "resources/templates/list", V2024_11_05..V2026_07_28;
    /// Reads a resource.
    ResourcesRead = "resources/read", V2024_11_05..V2026_07_28;
    /// Asks for news of one resource.
    ResourcesSubscribe = "resources/subscribe", V2024_11_05..V2025_11_25;
    /// Ends it.
    ResourcesUnsubscribe = "resources/unsubscribe", V2024_11_05..V2025_11_25;
    /// Proposes values for an argument.
    CompletionComplete = "completion/complete", V2024_11_05..V2026_07_28;
    /// Sets the session's log level.
    LoggingSetLevel = "logging/setLevel", V2024_11_05..V2025_11_25;
    /// Opens a stream of news.
    SubscriptionsListen = "subscriptions/listen", V2026_07_28..V2026_07_28;
    /// A task's state (core in 2025-11-25, extension in 2026-07-28).
    TasksGet = "tasks/get", V2025_11_25..V2026_07_28;
    /// A task's result; waits for it.
    TasksResult = "tasks/result", V2025_11_25..V2025_11_25;
    /// Lists tasks.
    TasksList = "tasks/list", V2025_11_25..V2025_11_25;
    /// Ends a task.
    TasksCancel = "tasks/cancel", V2025_11_25..V2026_07_28;
    /// Answers a task's questions.
    TasksUpdate = "tasks/update", V2026_07_28..V2026_07_28;
    /// Server asks for a completion of the host's model.
    SamplingCreateMessage = "sampling/createMessage", V2024_11_05..V2026_07_28;
    /// Server asks the user.
    ElicitationCreate = "elicitation/create", V2025_06_18..V2026_07_28;
    /// Server asks for the host's roots.
    RootsList = "roots/list", V2024_11_05..V2026_07_28;
    /// The handshake is over.
    Initialized = "notifications/initialized", V2024_11_05..V2025_11_25;
    /// A request is no longer wanted.
    Cancelled = "notifications/cancelled", V2024_11_05..V2026_07_28;
    /// How far a request has come.
    Progress = "notifications/progress", V2024_11_05..V2026_07_28;
    /// A log message.
    LogMessage = "notifications/message", V2024_11_05..V2026_07_28;
    /// The list of tools changed.
    ToolsListChanged = "notifications/tools/list_changed", V2024_11_05..V2026_07_28;
    /// The list of prompts changed.
    PromptsListChanged = "notifications/prompts/list_changed", V2024_11_05..V2026_07_28;
    /// The list of resources changed.
    ResourcesListChanged = "notifications/resources/list_changed", V2024_11_05..V2026_07_28;
    /// A resource changed.
    ResourcesUpdated = "notifications/resources/updated", V2024_11_05..V2026_07_28;
    /// The host's roots changed.
    RootsListChanged = "notifications/roots/list_changed", V2024_11_05..V2025_11_25;
    /// The first message of a subscription.
    SubscriptionsAcknowledged = "notifications/subscriptions/acknowledged", V2026_07_28..V2026_07_28;
    /// A task's state changed (extension).
    TasksNotification = "notifications/tasks", V2026_07_28..V2026_07_28;
    /// A task's state changed (core).
    TasksStatus = "notifications/tasks/status", V2025_11_25..V2025_11_25;
    /// A URL elicitation is complete.
    ElicitationComplete = "notifications/elicitation/complete", V2025_11_25..V2025_11_25;
}

impl Method {
    /// Whether the name says notification. Only such a message may come without an id: a `tools/call` without one must
    /// never slip past as a notification.
    #[must_use]
    pub fn is_notification(&self) -> bool {
        self.as_str().starts_with("notifications/")
    }

    /// The member of `params` that `Mcp-Name` mirrors (2026-07-28, streamable HTTP; tasks: the extension).
    #[must_use]
    pub fn name_member(&self) -> Option<&'static str> {
        match self {
            Self::ToolsCall | Self::PromptsGet => Some("name"),
            Self::ResourcesRead | Self::ResourcesSubscribe | Self::ResourcesUnsubscribe => Some("uri"),
            Self::TasksGet | Self::TasksUpdate | Self::TasksCancel => Some("taskId"),
            _ => None,
        }
    }

    /// Whether a modern server may answer it with `input_required` (2026-07-28, basic/patterns/mrtr).
    #[must_use]
    pub fn may_ask_back(&self) -> bool {
        matches!(self, Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead)
    }

    /// Whether a complete modern result carries `ttlMs` and `cacheScope` (2026-07-28, server/utilities/caching).
    #[must_use]
    pub fn is_cacheable(&self) -> bool {
        matches!(
            self,
            Self::ServerDiscover
                | Self::ToolsList
                | Self::PromptsList
                | Self::ResourcesList
                | Self::ResourcesTemplatesList
                | Self::ResourcesRead
        )
    }

    /// Whether a server sends it to a client (as a request, in the legacy era).
    #[must_use]
    pub fn is_question(&self) -> bool {
        matches!(
            self,
            Self::SamplingCreateMessage | Self::ElicitationCreate | Self::RootsList
        )
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for method in Method::KNOWN {
            assert_eq!(&Method::new(method.as_str()), method);
        }
        assert_eq!(Method::new("acme/do"), Method::Other("acme/do".into()));
    }
}
