//! The stage itself: the engine in force, and what turns an admitted call or notification into a permitted one.

use super::{
    Action, Ask, CatalogFacts, Circumstances, Decision, Engine, Listing, Obligation, PromptArgument, PromptFacts,
    Report, ServerFacts, Source, Target as Aim, ToolFacts,
};
use crate::catalog::{Known, View};
use crate::identity::Identity;
use crate::session::{Call, ListKind, Target, Told};
use arc_swap::ArcSwap;
use portcullis_wire::Raw;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Proof that policy looked at this very value and allowed it. Only [`Policy`] makes one.
#[derive(Debug)]
pub(crate) struct Permitted<T> {
    value: T,
    decided: Arc<Decided>,
}

/// What policy said, for the record and for the stages that carry out obligations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decided {
    /// The policy set's id.
    pub(crate) set: Arc<str>,
    /// The ids of the policies that decided.
    pub(crate) policies: Vec<Arc<str>>,
    /// What they want done.
    pub(crate) obligations: Vec<Obligation>,
    /// A stable code.
    pub(crate) reason: &'static str,
    /// The items of a list that the caller may see, by place in the view; `None` for anything but a list.
    pub(crate) visible: Option<Arc<[usize]>>,
}

/// Why a call is not permitted.
#[derive(Debug)]
pub(crate) enum PolicyError {
    /// Policy said no.
    Denied(Arc<Decided>),
}

impl<T> Permitted<T> {
    /// For this file, which decides.
    fn new(value: T, decided: Decided) -> Self {
        Self {
            value,
            decided: Arc::new(decided),
        }
    }

    pub(crate) const fn decided(&self) -> &Arc<Decided> {
        &self.decided
    }

    pub(crate) fn into_parts(self) -> (T, Arc<Decided>) {
        (self.value, self.decided)
    }
}

/// The policies in force. A change of policy or catalog makes a new engine; calls in flight keep the one that they saw.
#[derive(Debug)]
pub struct Policy {
    sources: Mutex<Vec<Source>>,
    force: ArcSwap<InForce>,
    visible: Mutex<HashMap<VisibleKey, Arc<[usize]>>>,
}

#[derive(Debug)]
struct InForce {
    engine: Option<Engine>,
    set: Arc<str>,
    /// Catalog epoch of the facts.
    epoch: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VisibleKey {
    subject: [u8; 32],
    endpoint: Arc<str>,
    kind: ListKind,
    view_epoch: u64,
    facts_epoch: u64,
}

/// Resources that one `subscriptions/listen` may name.
const LISTENED_MAX: usize = 1_024;

/// Views of lists that are remembered.
const VISIBLE_MAX: usize = 1_024;

impl Policy {
    /// The policies of `sources` over what is known now.
    ///
    /// # Errors
    /// The report, when it bars them.
    pub fn load(sources: Vec<Source>, facts: &CatalogFacts, epoch: u64) -> Result<(Self, Report), Report> {
        let (engine, report) = Engine::load(&sources, facts)?;
        let set = set_id(&sources);
        let force = InForce {
            engine: Some(engine),
            set,
            epoch,
        };
        Ok((
            Self {
                sources: Mutex::new(sources),
                force: ArcSwap::from_pointee(force),
                visible: Mutex::default(),
            },
            report,
        ))
    }

    /// No policy: everybody may everything. For measurements alone; the configuration's name for it says so.
    #[must_use]
    pub fn danger_disabled() -> Self {
        Self {
            sources: Mutex::default(),
            force: ArcSwap::from_pointee(InForce {
                engine: None,
                set: "disabled".into(),
                epoch: 0,
            }),
            visible: Mutex::default(),
        }
    }

    /// Puts the same policies in force over a changed catalog. What of them does not fit it is in the report, and refuses or is
    /// never met; all else holds. Takes tens of milliseconds over a large catalog: not for a thread that serves calls.
    ///
    /// `look` gives the facts and their epoch. It is asked when no other renewal is under way, so that of two the later one knows
    /// more.
    ///
    /// # Errors
    /// The report, when it bars them; what was in force stays.
    pub fn renew(&self, look: impl FnOnce() -> (CatalogFacts, u64)) -> Result<Report, Report> {
        if self.force.load().engine.is_none() {
            return Ok(Report::default());
        }
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let (facts, epoch) = look();
        self.put_in_force(&sources, &facts, epoch)
    }

    fn put_in_force(&self, sources: &[Source], facts: &CatalogFacts, epoch: u64) -> Result<Report, Report> {
        let (engine, report) = Engine::load(sources, facts)?;
        self.force.store(Arc::new(InForce {
            engine: Some(engine),
            set: set_id(sources),
            epoch,
        }));
        Ok(report)
    }

    /// Puts other policies in force.
    ///
    /// # Errors
    /// The report, when it bars them; what was in force stays.
    pub fn replace(&self, sources: Vec<Source>, facts: &CatalogFacts, epoch: u64) -> Result<Report, Report> {
        let mut before = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if self.force.load().engine.is_none() {
            return Ok(Report::default());
        }
        let report = self.put_in_force(&sources, facts, epoch)?;
        *before = sources;
        Ok(report)
    }

    /// The policy set's id: the first 16 hexadecimal digits of a SHA-256 over the files.
    #[must_use]
    pub fn set(&self) -> Arc<str> {
        Arc::clone(&self.force.load().set)
    }

    /// How many policies are in force.
    #[must_use]
    pub fn count(&self) -> usize {
        self.force.load().engine.as_ref().map_or(0, Engine::policies)
    }

    /// Asks the policies in force. A resumed call is decided again, on the arguments of the call that asked.
    pub(crate) fn decide(&self, call: Box<Call>) -> Result<Permitted<Box<Call>>, PolicyError> {
        let force = self.force.load();
        let Some(engine) = &force.engine else {
            let decided = Decided {
                set: Arc::clone(&force.set),
                reason: "policy_disabled",
                visible: all_of(&call),
                ..Decided::default()
            };
            return Ok(Permitted::new(call, decided));
        };
        let params = call.request().params();
        let arguments = params.and_then(|params| params.get("arguments"));
        let path = path_of(call.view());
        let (action, target) = question(&call, &path);
        let time_unix_ms = now_unix_ms();
        let decide = |action: Action, target: Aim<'_>| {
            engine.decide(&Ask {
                subject: call.caller().subject(),
                action,
                target,
                circumstances: Circumstances {
                    method: call.request().method().as_str(),
                    arguments: arguments.as_ref().map(Raw::as_bytes),
                    time_unix_ms,
                    transport: transport_of(call.client().is_stdio),
                    client: call.caller().subject().client(),
                    revision: Some(call.client().revision.as_str()),
                },
            })
        };
        let decision = decide(action, target);
        let mut decided = decided_of(&decision, &force.set);
        if !decision.allowed {
            return Err(PolicyError::Denied(Arc::new(decided)));
        }
        if matches!(call.target(), Target::Listen) {
            // One request subscribes to many resources: each is asked about as a subscription to it alone would be.
            let uris = listened(params);
            if uris.len() > LISTENED_MAX {
                decided.reason = "too_many_resources";
                return Err(PolicyError::Denied(Arc::new(decided)));
            }
            for uri in &uris {
                let Some(server) = call.view().owner_of(uri) else {
                    continue;
                };
                let decision = decide(Action::Subscribe, Aim::Resource { server: &server, uri });
                if !decision.allowed {
                    return Err(PolicyError::Denied(Arc::new(decided_of(&decision, &force.set))));
                }
            }
        }
        if let Target::List(kind, _) = call.target() {
            decided.visible = Some(self.visible(engine, force.epoch, &call, *kind));
        }
        Ok(Permitted::new(call, decided))
    }

    /// Asks the policies in force about a notification: whoever sends it must be allowed to `connect` to the server, and for one
    /// that is more than upkeep of the session, the action that its method asks for too.
    pub(crate) fn decide_told(&self, told: Told) -> Result<Permitted<Told>, PolicyError> {
        let force = self.force.load();
        let Some(engine) = &force.engine else {
            let decided = Decided {
                set: Arc::clone(&force.set),
                reason: "policy_disabled",
                ..Decided::default()
            };
            return Ok(Permitted::new(told, decided));
        };
        let notice = told.notice();
        let method = notice.notification().method().as_str();
        let subject = notice.caller().subject();
        let time_unix_ms = now_unix_ms();
        let decide = |action: Action| {
            engine.decide(&Ask {
                subject,
                action,
                target: Aim::Server { name: told.upstream() },
                circumstances: Circumstances {
                    method,
                    arguments: None,
                    time_unix_ms,
                    transport: transport_of(notice.is_stdio()),
                    client: subject.client(),
                    revision: Some(notice.session().revision.as_str()),
                },
            })
        };
        let connect = decide(Action::Connect);
        let mut allowed = connect.allowed;
        let mut decided = decided_of(&connect, &force.set);
        let action = Action::of_method(method);
        if allowed && action != Action::Connect {
            let also = decide(action);
            allowed = also.allowed;
            let connect = std::mem::replace(&mut decided, decided_of(&also, &force.set));
            if allowed {
                // Both had to say yes, so that what either wants done is to be done.
                for policy in connect.policies {
                    if !decided.policies.contains(&policy) {
                        decided.policies.push(policy);
                    }
                }
                for obligation in connect.obligations {
                    if !decided.obligations.contains(&obligation) {
                        decided.obligations.push(obligation);
                    }
                }
            }
        }
        match allowed {
            true => Ok(Permitted::new(told, decided)),
            false => Err(PolicyError::Denied(Arc::new(decided))),
        }
    }

    /// Which items of a list the caller may see: those that some call could be permitted on.
    fn visible(&self, engine: &Engine, epoch: u64, call: &Call, kind: ListKind) -> Arc<[usize]> {
        let subject = call.caller().subject();
        let view = call.view();
        let key = VisibleKey {
            subject: *subject.digest(),
            endpoint: Arc::clone(&view.endpoint),
            kind,
            view_epoch: view.epoch,
            facts_epoch: epoch,
        };
        let mut remembered = self.visible.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visible) = remembered.get(&key) {
            return Arc::clone(visible);
        }
        let visible: Arc<[usize]> = match kind {
            ListKind::Tools => {
                let shown = engine.visible(subject, Listing::Tools);
                places(&view.tools, |tool| {
                    engine
                        .tool_place(&tool.upstream, &tool.name)
                        .is_some_and(|place| shown.contains(place))
                })
            }
            ListKind::Prompts => {
                let shown = engine.visible(subject, Listing::Prompts);
                places(&view.prompts, |prompt| {
                    engine
                        .prompt_place(&prompt.upstream, &prompt.name)
                        .is_some_and(|place| shown.contains(place))
                })
            }
            ListKind::Resources | ListKind::Templates => {
                let items = match kind {
                    ListKind::Resources => &view.resources,
                    _ => &view.templates,
                };
                places(items, |item| {
                    let target = Aim::Resource {
                        server: &item.upstream,
                        uri: &item.name,
                    };
                    engine.may_show(subject, Action::ReadResource, &target)
                })
            }
        };
        if remembered.len() >= VISIBLE_MAX {
            remembered.clear();
        }
        remembered.insert(key, Arc::clone(&visible));
        visible
    }

    /// The engine in force, for `policy check` and `explain`.
    pub fn with_engine<T>(&self, look: impl FnOnce(&Engine) -> T) -> Option<T> {
        self.force.load().engine.as_ref().map(look)
    }
}

const fn transport_of(is_stdio: bool) -> &'static str {
    match is_stdio {
        true => "stdio",
        false => "http",
    }
}

fn places<T>(shown: &[crate::catalog::Shown<T>], may_see: impl Fn(&T) -> bool) -> Arc<[usize]> {
    shown
        .iter()
        .enumerate()
        .filter(|(_, shown)| may_see(&shown.item))
        .map(|(place, _)| place)
        .collect()
}

/// Every item of the list that is asked for; for the disabled policy.
fn all_of(call: &Call) -> Option<Arc<[usize]>> {
    let Target::List(kind, _) = call.target() else {
        return None;
    };
    let view = call.view();
    let count = match kind {
        ListKind::Tools => view.tools.len(),
        ListKind::Prompts => view.prompts.len(),
        ListKind::Resources => view.resources.len(),
        ListKind::Templates => view.templates.len(),
    };
    Some((0..count).collect())
}

/// The resources that a `subscriptions/listen` names (2026-07-28, `notifications.resourceSubscriptions`).
fn listened(params: Option<&Raw>) -> Vec<String> {
    params
        .and_then(|params| params.at(&["notifications", "resourceSubscriptions"]))
        .map(|uris| {
            uris.elements()
                .iter()
                .filter_map(Raw::as_string)
                .map(Into::into)
                .collect()
        })
        .unwrap_or_default()
}

fn decided_of(decision: &Decision, set: &Arc<str>) -> Decided {
    Decided {
        set: Arc::clone(set),
        policies: decision.policies.clone(),
        obligations: decision.obligations.clone(),
        reason: decision.reason.as_str(),
        visible: None,
    }
}

/// The endpoint's path, as policies call it.
pub(crate) fn path_of(view: &View) -> String {
    match view.endpoint.is_empty() {
        true => "/mcp".to_owned(),
        false => format!("/mcp/{}", view.endpoint),
    }
}

/// What is asked of policy for a call.
fn question<'a>(call: &'a Call, path: &'a str) -> (Action, Aim<'a>) {
    let action = match call.aim() {
        Target::Answer { .. } => Action::Answer,
        _ => Action::of_method(call.request().method().as_str()),
    };
    let target = match call.aim() {
        Target::Answer { asked, .. } => Aim::Server { name: &asked.upstream },
        Target::Tool(tool) => Aim::Tool {
            server: &tool.upstream,
            name: &tool.name,
        },
        Target::Prompt(item) => Aim::Prompt {
            server: &item.upstream,
            name: &item.name,
        },
        Target::Resource { upstream, uri } => Aim::Resource { server: upstream, uri },
        Target::Completion { upstream, name } => match call.view().prompts.iter().any(|p| p.item.name == *name) {
            true => Aim::Prompt { server: upstream, name },
            false => Aim::Resource {
                server: upstream,
                uri: name,
            },
        },
        Target::Task { upstream, .. } | Target::Vendor { upstream } => Aim::Server { name: upstream },
        Target::Initialize
        | Target::Discover
        | Target::Ping
        | Target::SetLevel(_)
        | Target::List(..)
        | Target::Listen
        | Target::Resume { .. } => Aim::Endpoint { path },
    };
    (action, target)
}

/// What policies are checked against, and their schema is made of: the last known catalog, and who may come in.
#[must_use]
pub fn facts(
    known: &[(Arc<str>, Known)],
    endpoints: impl Iterator<Item = String>,
    identity: &Identity,
) -> CatalogFacts {
    let mut facts = CatalogFacts {
        endpoints: endpoints.collect(),
        people: Some(identity.nameable()),
        ..CatalogFacts::default()
    };
    for (name, known) in known {
        let (listing, unavailable) = match known {
            Known::Listed(listing) => (Some(listing), false),
            Known::Down { last, .. } => (last.as_ref(), true),
            Known::Pending => (None, true),
        };
        facts.servers.push(ServerFacts {
            name: name.to_string(),
            unavailable,
        });
        let Some(listing) = listing else { continue };
        facts.tools.extend(listing.tools.iter().map(|tool| {
            ToolFacts {
                server: tool.upstream.to_string(),
                name: tool.name.to_string(),
                effect: tool.impact.effect,
                idempotent: tool.impact.idempotent,
                input_schema: tool
                    .input_schema()
                    .and_then(|schema| serde_json::from_slice(schema.as_bytes()).ok())
                    .unwrap_or_default(),
            }
        }));
        facts.prompts.extend(listing.prompts.iter().map(|prompt| PromptFacts {
            server: prompt.upstream.to_string(),
            name: prompt.name.to_string(),
            arguments: prompt_arguments(&prompt.definition),
        }));
    }
    facts
}

fn prompt_arguments(definition: &Raw) -> Vec<PromptArgument> {
    let Some(arguments) = definition.get("arguments") else {
        return Vec::new();
    };
    arguments
        .elements()
        .iter()
        .filter_map(|argument| {
            Some(PromptArgument {
                name: argument.get("name")?.as_string()?.into_owned(),
                required: argument.get("required").and_then(|flag| flag.as_bool()) == Some(true),
            })
        })
        .collect()
}

fn set_id(sources: &[Source]) -> Arc<str> {
    let mut text = Vec::new();
    for source in sources {
        text.extend_from_slice(source.name.as_bytes());
        text.push(0);
        text.extend_from_slice(source.text.as_bytes());
        text.push(0);
    }
    let digest = portcullis_ledger::digest(&text);
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

fn now_unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
