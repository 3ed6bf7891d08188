//! The decision: one question (who, what, to what, under which circumstances), one answer. Default is deny, `forbid` wins, and
//! what cannot be evaluated does not let a call through. Pure: the same question gets the same answer as long as the engine
//! lives; a change of policy or catalog makes a new engine. It must not know the wire, transports or where policy files are.
//!
//! A call costs little because work moves to where it is done once. Per engine: the scope index. Per (subject, action, target),
//! cached: the candidates, and the outcome of every candidate whose condition reads nothing of the call itself. Per call: only
//! the candidates that read the context. That this equals Cedar over the whole set is a property test (`tests.rs`).

use super::answers::Answers;
use super::arguments;
use super::cache::Cache;
use super::check::{self, Report, Rule, action_uid, entity_uid};
use super::index::{Lineage, Scope, ScopeIndex};
use super::model::{Action, CatalogFacts, Circumstances, Decision, Obligation, ReasonCode, Target, TargetKind};
use super::reads::Needs;
use super::schema::{self, Callee};
use super::shape::RecordShape;
use super::source::Source;
use crate::identity::{Subject, SubjectKind};
use aws_lc_rs::digest;
use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Most (subject, action, target) whose candidates are remembered.
const PREPARED_MAX: usize = 32_768;
/// Most small policy sets that are remembered.
const SETS_MAX: usize = 4_096;
/// Most subjects whose view of the catalog is remembered.
const VISIBLE_MAX: usize = 4_096;

/// Why a policy is not asked about a tool or prompt, see [`Rule::unfit`].
pub(super) const UNFIT: &str =
    "it does not fit the arguments that are declared now, `portcullis policy check` says where";

/// A policy set in force over a catalog.
#[derive(Debug)]
pub struct Engine {
    pub(super) rules: Vec<Rule>,
    pub(super) index: ScopeIndex,
    actions: Vec<EntityUid>,
    things: Vec<Thing>,
    servers: HashMap<String, ServerPlaces>,
    tools: usize,
    prompts: usize,
    prepared: Cache<PreparedKey, Arc<Prepared>>,
    sets: Cache<Vec<u32>, Arc<PolicySet>>,
    visible: Cache<([u8; 32], Listing), Arc<Visible>>,
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub subject: &'a Subject,
    /// What for.
    pub action: Action,
    /// Of what.
    pub target: Target<'a>,
    /// And what surrounds it.
    pub circumstances: Circumstances<'a>,
}

/// The lists whose members are shown by policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listing {
    /// The tools, by `tools/call`.
    Tools,
    /// The prompts, by `prompts/get`.
    Prompts,
}

/// Which members of a list a subject may be shown, by their place in the [`CatalogFacts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    bits: Vec<u64>,
    count: usize,
}

impl Visible {
    /// Whether the member at this place may be shown.
    #[must_use]
    pub fn contains(&self, place: usize) -> bool {
        let word = self.bits.get(place / 64).copied().unwrap_or(0);
        word >> (place % 64) & 1 == 1
    }

    /// How many may be shown.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    fn of(shown: impl Iterator<Item = bool>) -> Self {
        let mut bits = Vec::new();
        let mut count: usize = 0;
        for (place, shown) in shown.enumerate() {
            if place % 64 == 0 {
                bits.push(0_u64);
            }
            if let (true, Some(word)) = (shown, bits.last_mut()) {
                *word |= 1 << (place % 64);
                count = count.saturating_add(1);
            }
        }
        Self { bits, count }
    }
}

/// A tool, prompt or server of the catalog, ready for evaluation.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) lineage: Lineage,
    entity: Entity,
    /// The arguments of a call of it.
    pub(super) shape: Option<Arc<RecordShape>>,
    /// All attributes that may tell it from another, as text.
    likeness: String,
}

#[derive(Debug, Default)]
struct ServerPlaces {
    /// Place of the server itself among the things.
    server: usize,
    tools: HashMap<String, usize>,
    prompts: HashMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PreparedKey {
    subject: [u8; 32],
    action: Action,
    target: TargetKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TargetKey {
    /// A thing of the catalog.
    Thing(usize),
    /// SHA-256 of what is not in the catalog: a resource, an endpoint.
    Other([u8; 32]),
}

/// What is known of a question before its circumstances are.
#[derive(Debug)]
struct Prepared {
    /// What the candidates came to whose conditions do not read the context.
    fixed: Outcome,
    /// The answer, when no candidate reads the context.
    decision: Option<Arc<Decision>>,
    /// What is left to do per call otherwise.
    live: Option<Live>,
    /// Whether the thing may be shown in a list.
    shown: bool,
}

#[derive(Debug)]
struct Live {
    set: Arc<PolicySet>,
    needs: Needs,
    entities: Entities,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    shape: Option<Arc<RecordShape>>,
    answers: Answers,
}

impl Live {
    /// The answers so far, where no policy reads what is each call's own.
    fn settled(&self) -> Option<&Answers> {
        (!self.needs.time && self.needs.arguments.is_none()).then_some(&self.answers)
    }
}

/// What Cedar says of a set of policies. Places of rules, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// `permit`s that hold.
    pub(super) permits: Vec<u32>,
    /// `forbid`s that hold.
    pub(super) forbids: Vec<u32>,
    /// Policies that could not be evaluated, with Cedar's message.
    pub(super) errors: Vec<(u32, String)>,
}

/// Why a question could not be put to Cedar.
#[derive(Debug)]
pub(super) enum Unasked {
    /// An argument that a policy reads does not fit; the text may quote it.
    Arguments(String),
    /// Cedar refused what this engine built.
    Cedar(String),
}

impl Engine {
    /// Puts policy files in force over a catalog. Takes milliseconds: not for a thread that serves calls.
    ///
    /// # Errors
    /// The report, when it bars them: nothing is in force then.
    pub fn load(sources: &[Source], facts: &CatalogFacts) -> Result<(Self, Report), Report> {
        let (rules, report) = check::load(sources, facts);
        if report.is_barred() {
            return Err(report);
        }
        match Self::assemble(rules, facts) {
            Ok(engine) => Ok((engine, report)),
            Err(message) => {
                let mut report = report;
                report.problems.push(check::Problem {
                    file: sources.first().map_or_else(String::new, |source| source.name.clone()),
                    line: 1,
                    column: 1,
                    severity: check::Severity::Error,
                    bars: true,
                    policy: None,
                    message,
                    hint: None,
                });
                Err(report)
            }
        }
    }

    /// The engine over rules that were checked before.
    pub(super) fn assemble(rules: Vec<Rule>, facts: &CatalogFacts) -> Result<Self, String> {
        let actions: Vec<EntityUid> = Action::ALL.into_iter().filter_map(action_uid).collect();
        let scopes = rules.iter().map(|rule| Scope::of(&rule.policy)).collect();
        let index = ScopeIndex::new(scopes, &actions);
        let mut things = Vec::new();
        let mut servers: HashMap<String, ServerPlaces> = HashMap::new();
        let callees = schema::callees(facts);
        // Tools and prompts come first, in the order of the facts, so that a place there is a place here.
        for (place, callee) in callees.iter().enumerate() {
            let of_server = servers.entry(callee.server.clone()).or_default();
            let places = match callee.kind() {
                TargetKind::Prompt => &mut of_server.prompts,
                _ => &mut of_server.tools,
            };
            places.insert(callee.name.clone(), place);
            things.push(thing_of(callee, facts.tools.get(place))?);
        }
        let named: Vec<String> = facts.servers.iter().map(|server| server.name.clone()).collect();
        let unnamed: Vec<String> = servers.keys().filter(|name| !named.contains(name)).cloned().collect();
        for name in named.into_iter().chain(unnamed) {
            let uid = uid(TargetKind::Server.as_str(), &name)?;
            servers.entry(name).or_default().server = things.len();
            things.push(Thing {
                entity: Entity::new_no_attrs(uid.clone(), HashSet::new()),
                likeness: String::new(),
                lineage: Lineage {
                    uid,
                    ancestors: Vec::new(),
                },
                shape: None,
            });
        }
        Ok(Self {
            rules,
            index,
            actions,
            things,
            servers,
            tools: facts.tools.len(),
            prompts: facts.prompts.len(),
            prepared: Cache::new(PREPARED_MAX),
            sets: Cache::new(SETS_MAX),
            visible: Cache::new(VISIBLE_MAX),
        })
    }

    /// How many policies are in force.
    #[must_use]
    pub fn policies(&self) -> usize {
        self.rules.len()
    }

    /// Answers one question.
    #[must_use]
    pub fn decide(&self, ask: &Ask<'_>) -> Arc<Decision> {
        let prepared = match self.prepared(ask.subject, ask.action, &ask.target) {
            Ok(prepared) => prepared,
            Err(refused) => return Arc::new(Decision::refused(refused)),
        };
        match (&prepared.decision, &prepared.live) {
            (Some(decision), _) => Arc::clone(decision),
            (None, Some(live)) => match live.settled().and_then(|answers| answers.find(&ask.circumstances)) {
                Some(decision) => decision,
                None => self.decide_live(&prepared.fixed, live, &ask.circumstances),
            },
            (None, None) => Arc::new(Decision::refused(ReasonCode::EvaluationFailed)),
        }
    }

    fn decide_live(&self, fixed: &Outcome, live: &Live, circumstances: &Circumstances<'_>) -> Arc<Decision> {
        match self.evaluate(live, circumstances) {
            Ok(outcome) => {
                let decision = Arc::new(self.decision(&fixed.clone().and(outcome)));
                if let Some(answers) = live.settled() {
                    answers.keep(circumstances, &decision);
                }
                decision
            }
            Err(Unasked::Arguments(_)) => Arc::new(Decision::refused(ReasonCode::ArgumentMismatch)),
            Err(Unasked::Cedar(_)) => Arc::new(Decision::refused(ReasonCode::EvaluationFailed)),
        }
    }

    /// Which members of a list this subject may be shown: those that some `permit` may allow and no `forbid` rules out whatever
    /// the call's arguments and circumstances. It errs on the side of showing; each call is decided on its own.
    ///
    /// The first view of a subject costs about a microsecond per member, every other one a look-up.
    #[must_use]
    pub fn visible(&self, subject: &Subject, listing: Listing) -> Arc<Visible> {
        let key = (*subject.digest(), listing);
        if let Some(visible) = self.visible.find(&key) {
            return visible;
        }
        let visible = Arc::new(self.look(subject, listing));
        self.visible.keep(key, Arc::clone(&visible));
        visible
    }

    /// The same for one thing, which need not be in the catalog: a resource by `resources/read`, a tool by `tools/call`.
    #[must_use]
    pub fn may_show(&self, subject: &Subject, action: Action, target: &Target<'_>) -> bool {
        self.prepared(subject, action, target)
            .is_ok_and(|prepared| prepared.shown)
    }

    /// Place of a tool in the catalog, as [`Visible`] counts.
    #[must_use]
    pub fn tool_place(&self, server: &str, name: &str) -> Option<usize> {
        self.servers.get(server)?.tools.get(name).copied()
    }

    /// Place of a prompt in the catalog, as [`Visible`] counts.
    #[must_use]
    pub fn prompt_place(&self, server: &str, name: &str) -> Option<usize> {
        self.servers.get(server)?.prompts.get(name)?.checked_sub(self.tools)
    }

    fn look(&self, subject: &Subject, listing: Listing) -> Visible {
        let (action, from, count) = match listing {
            Listing::Tools => (Action::CallTool, 0, self.tools),
            Listing::Prompts => (Action::GetPrompt, self.tools, self.prompts),
        };
        let Ok((principal, principal_entity)) = principal_of(subject) else {
            return Visible::of(std::iter::empty());
        };
        let things = self.things.iter().skip(from).take(count);
        // Things that the same policies look at and that differ in nothing these policies read are shown alike.
        let mut seen: HashMap<(Vec<u32>, &str), bool> = HashMap::new();
        Visible::of(things.map(|thing| {
            let candidates = self.index.candidates(&principal, action, &thing.lineage);
            let rules = || candidates.iter().filter_map(|place| self.rule(*place));
            if !rules().any(|rule| rule.permits) {
                return false;
            }
            let tells_apart = |rule: &Rule| {
                rule.reads.resource_itself || rule.reads.resource.contains("name") || !rule.unfit.is_empty()
            };
            let prepare = |candidates: Vec<u32>| {
                let prepared = self.prepare(&principal, &principal_entity, action, thing, candidates);
                prepared.is_ok_and(|prepared| prepared.shown)
            };
            if rules().any(|rule| rule.conditional && tells_apart(rule)) {
                return prepare(candidates);
            }
            let key = (candidates, thing.likeness.as_str());
            if let Some(shown) = seen.get(&key) {
                return *shown;
            }
            let shown = prepare(key.0.clone());
            seen.insert(key, shown);
            shown
        }))
    }

    fn prepared(&self, subject: &Subject, action: Action, target: &Target<'_>) -> Result<Arc<Prepared>, ReasonCode> {
        if !action.targets().contains(&target.kind()) {
            return Err(ReasonCode::UnknownTarget);
        }
        let key = PreparedKey {
            subject: *subject.digest(),
            action,
            target: self.target_key(target).ok_or(ReasonCode::UnknownTarget)?,
        };
        if let Some(prepared) = self.prepared.find(&key) {
            return Ok(prepared);
        }
        let failed = |_| ReasonCode::EvaluationFailed;
        let (principal, principal_entity) = principal_of(subject).map_err(failed)?;
        let made;
        let thing = match key.target {
            TargetKey::Thing(place) => self.things.get(place).ok_or(ReasonCode::UnknownTarget)?,
            TargetKey::Other(_) => {
                made = thing_outside(target).map_err(failed)?;
                &made
            }
        };
        let candidates = self.index.candidates(&principal, action, &thing.lineage);
        let prepared = self
            .prepare(&principal, &principal_entity, action, thing, candidates)
            .map_err(failed)?;
        let prepared = Arc::new(prepared);
        self.prepared.keep(key, Arc::clone(&prepared));
        Ok(prepared)
    }

    /// `None` when the thing's upstream, or the tool or prompt, is not in the catalog.
    fn target_key(&self, target: &Target<'_>) -> Option<TargetKey> {
        let place = match target {
            Target::Tool { server, name } => *self.servers.get(*server)?.tools.get(*name)?,
            Target::Prompt { server, name } => *self.servers.get(*server)?.prompts.get(*name)?,
            Target::Server { name } => self.servers.get(*name)?.server,
            Target::Resource { server, uri } => {
                self.servers.get(*server)?;
                return Some(TargetKey::Other(sha256(&["resource", server, uri])));
            }
            Target::Endpoint { path } => return Some(TargetKey::Other(sha256(&["endpoint", path]))),
        };
        Some(TargetKey::Thing(place))
    }

    fn prepare(
        &self,
        principal: &Lineage,
        principal_entity: &Entity,
        action: Action,
        thing: &Thing,
        candidates: Vec<u32>,
    ) -> Result<Prepared, String> {
        let action = self.actions.get(action.ordinal()).ok_or("the action is unknown")?;
        let mut fixed = Outcome::default();
        let mut once = Vec::new();
        let mut live = Vec::new();
        let mut needs = Needs::default();
        for place in candidates {
            let Some(rule) = self.rule(place) else { continue };
            if rule.unfit.contains(&thing.lineage.uid) {
                fixed.errors.push((place, UNFIT.to_owned()));
                continue;
            }
            match (rule.conditional, rule.reads.needs_context()) {
                // Its scope is met and there is nothing else to it.
                (false, _) => fixed.held(place, rule.permits),
                (true, false) => once.push(place),
                (true, true) => {
                    needs.or(rule.reads.needs());
                    live.push(place);
                }
            }
        }
        let needs_entities = !once.is_empty() || !live.is_empty();
        let entities = match needs_entities {
            false => Entities::empty(),
            true => Entities::from_entities([principal_entity.clone(), thing.entity.clone()], None)
                .map_err(|error| error.to_string())?,
        };
        if !once.is_empty() {
            let set = self.set(once)?;
            let request = request(&principal.uid, action, &thing.lineage.uid, Context::empty())?;
            fixed = fixed.and(self.ask(&request, &set, &entities));
        }
        let may_permit = !fixed.permits.is_empty()
            || live
                .iter()
                .filter_map(|place| self.rule(*place))
                .any(|rule| rule.permits);
        let shown = may_permit && fixed.forbids.is_empty() && !self.forbid_failed(&fixed);
        let live = match live.is_empty() {
            true => None,
            false => Some(Live {
                set: self.set(live)?,
                needs,
                entities,
                principal: principal.uid.clone(),
                action: action.clone(),
                resource: thing.lineage.uid.clone(),
                shape: thing.shape.clone(),
                answers: Answers::default(),
            }),
        };
        let decision = match &live {
            Some(_) => None,
            None => Some(Arc::new(self.decision(&fixed))),
        };
        Ok(Prepared {
            fixed,
            decision,
            live,
            shown,
        })
    }

    fn evaluate(&self, live: &Live, circumstances: &Circumstances<'_>) -> Result<Outcome, Unasked> {
        let context = context(&live.needs, live.shape.as_deref(), circumstances)?;
        let request = request(&live.principal, &live.action, &live.resource, context).map_err(Unasked::Cedar)?;
        Ok(self.ask(&request, &live.set, &live.entities))
    }

    pub(super) fn ask(&self, request: &Request, set: &PolicySet, entities: &Entities) -> Outcome {
        let response = Authorizer::new().is_authorized(request, set, entities);
        let mut outcome = Outcome::default();
        for place in response.diagnostics().reason().filter_map(place_of) {
            let permits = self.rule(place).is_some_and(|rule| rule.permits);
            outcome.held(place, permits);
        }
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            if let Some(place) = place_of(error.policy_id()) {
                outcome.errors.push((place, error.inner().to_string()));
            }
        }
        // Of a refused set Cedar names only the forbids; the permits do not matter then, here or there.
        outcome
    }

    /// The small policy set of these places, without scopes: it is only asked where these are met, and checking them again
    /// would be a third of the cost.
    fn set(&self, places: Vec<u32>) -> Result<Arc<PolicySet>, String> {
        if let Some(set) = self.sets.find(&places) {
            return Ok(set);
        }
        let rules = places.iter().filter_map(|place| self.rule(*place));
        let policies: Vec<Policy> = rules
            .map(|rule| without_scope(&rule.policy))
            .collect::<Result<_, _>>()?;
        let set = PolicySet::from_policies(policies).map_err(|error| error.to_string())?;
        let set = Arc::new(set);
        self.sets.keep(places, Arc::clone(&set));
        Ok(set)
    }

    /// The decision that follows from an outcome.
    pub(super) fn decision(&self, outcome: &Outcome) -> Decision {
        let labels = |places: &mut dyn Iterator<Item = u32>| -> Vec<Arc<str>> {
            places
                .filter_map(|place| self.rule(place))
                .map(|rule| Arc::clone(&rule.label))
                .collect()
        };
        let failed = || outcome.errors.iter().map(|(place, _)| *place);
        let failed_forbids = || failed().filter(|place| self.rule(*place).is_some_and(|rule| !rule.permits));
        let (reason, deciding) = if !outcome.forbids.is_empty() {
            (ReasonCode::Forbidden, outcome.forbids.clone())
        } else if failed_forbids().next().is_some() {
            (ReasonCode::EvaluationFailed, failed_forbids().collect())
        } else if !outcome.permits.is_empty() {
            (ReasonCode::Permitted, outcome.permits.clone())
        } else {
            (ReasonCode::NoPermit, Vec::new())
        };
        let mut obligations: Vec<Obligation> = deciding
            .iter()
            .filter_map(|place| self.rule(*place))
            .flat_map(|rule| rule.obligations.iter().cloned())
            .collect();
        obligations.sort_unstable();
        obligations.dedup();
        Decision {
            allowed: reason == ReasonCode::Permitted,
            reason,
            policies: labels(&mut deciding.into_iter()),
            obligations,
            errors: labels(&mut failed()),
        }
    }

    fn forbid_failed(&self, outcome: &Outcome) -> bool {
        let forbids = |place: u32| self.rule(place).is_some_and(|rule| !rule.permits);
        outcome.errors.iter().any(|(place, _)| forbids(*place))
    }

    pub(super) fn rule(&self, place: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(place).ok()?)
    }

    /// Everything that a question means to Cedar, without any cache: for explanations and for the property test.
    pub(super) fn spelled_out(&self, ask: &Ask<'_>) -> Result<SpelledOut, ReasonCode> {
        let failed = |_| ReasonCode::EvaluationFailed;
        if !ask.action.targets().contains(&ask.target.kind()) {
            return Err(ReasonCode::UnknownTarget);
        }
        let thing = match self.target_key(&ask.target).ok_or(ReasonCode::UnknownTarget)? {
            TargetKey::Thing(place) => self.things.get(place).cloned().ok_or(ReasonCode::UnknownTarget)?,
            TargetKey::Other(_) => thing_outside(&ask.target).map_err(failed)?,
        };
        let (principal, principal_entity) = principal_of(ask.subject).map_err(failed)?;
        let entities = [principal_entity, thing.entity.clone()];
        Ok(SpelledOut {
            entities: Entities::from_entities(entities, None).map_err(|_| ReasonCode::EvaluationFailed)?,
            principal,
            action: self
                .actions
                .get(ask.action.ordinal())
                .cloned()
                .ok_or(ReasonCode::UnknownTarget)?,
            resource: thing.lineage,
            shape: thing.shape,
        })
    }
}

/// A question in Cedar's terms.
#[derive(Debug)]
pub(super) struct SpelledOut {
    pub(super) entities: Entities,
    pub(super) principal: Lineage,
    pub(super) action: EntityUid,
    pub(super) resource: Lineage,
    pub(super) shape: Option<Arc<RecordShape>>,
}

impl Outcome {
    fn held(&mut self, place: u32, permits: bool) {
        match permits {
            true => self.permits.push(place),
            false => self.forbids.push(place),
        }
    }

    /// This and another, over disjoint sets of policies.
    fn and(mut self, other: Self) -> Self {
        self.permits.extend(other.permits);
        self.forbids.extend(other.forbids);
        self.errors.extend(other.errors);
        self.permits.sort_unstable();
        self.forbids.sort_unstable();
        self.errors.sort_unstable();
        self
    }
}

/// The same policy for everybody, everything and anything.
fn without_scope(policy: &Policy) -> Result<Policy, String> {
    let mut tree = policy.to_json().map_err(|error| error.to_string())?;
    for part in ["principal", "action", "resource"] {
        if let Some(scope) = tree.get_mut(part) {
            *scope = serde_json::json!({ "op": "All" });
        }
    }
    Policy::from_json(Some(policy.id().clone()), tree).map_err(|error| error.to_string())
}

/// Only what is needed is built.
pub(super) fn context(
    needs: &Needs,
    shape: Option<&RecordShape>,
    circumstances: &Circumstances<'_>,
) -> Result<Context, Unasked> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let mut pairs = Vec::new();
    if needs.method {
        pairs.push(("method".to_owned(), text(circumstances.method)));
    }
    if needs.time {
        let time = RestrictedExpression::new_datetime(datetime(circumstances.time_unix_ms));
        pairs.push(("time".to_owned(), time));
    }
    if needs.transport {
        pairs.push(("transport".to_owned(), text(circumstances.transport)));
    }
    if let (true, Some(client)) = (needs.client, circumstances.client) {
        pairs.push(("client".to_owned(), text(client)));
    }
    if let (true, Some(revision)) = (needs.revision, circumstances.revision) {
        pairs.push(("revision".to_owned(), text(revision)));
    }
    if let (Some(wanted), Some(shape)) = (&needs.arguments, shape) {
        let json = circumstances.arguments.unwrap_or(b"{}");
        let record = arguments::record(json, shape, wanted).map_err(Unasked::Arguments)?;
        pairs.push(("arguments".to_owned(), record));
    }
    Context::from_pairs(pairs).map_err(|error| Unasked::Cedar(error.to_string()))
}

pub(super) fn request(
    principal: &EntityUid,
    action: &EntityUid,
    resource: &EntityUid,
    context: Context,
) -> Result<Request, String> {
    Request::new(principal.clone(), action.clone(), resource.clone(), context, None).map_err(|error| error.to_string())
}

/// The entity of a subject, with its groups above it.
fn principal_of(subject: &Subject) -> Result<(Lineage, Entity), String> {
    let kind = match subject.kind() {
        SubjectKind::User => "User",
        SubjectKind::Agent => "Agent",
    };
    let own = uid(kind, subject.name())?;
    let groups: Vec<EntityUid> = subject
        .groups()
        .iter()
        .map(|group| uid("Group", group))
        .collect::<Result<_, _>>()?;
    let mut attributes = HashMap::from([
        (
            "name".to_owned(),
            RestrictedExpression::new_string(subject.name().to_owned()),
        ),
        (
            "credential".to_owned(),
            RestrictedExpression::new_entity_uid(uid("Credential", subject.method().as_str())?),
        ),
    ]);
    if let Some(issuer) = subject.issuer() {
        let issuer = RestrictedExpression::new_string(issuer.to_owned());
        attributes.insert("issuer".to_owned(), issuer);
    }
    let entity =
        Entity::new(own.clone(), attributes, groups.iter().cloned().collect()).map_err(|error| error.to_string())?;
    let lineage = Lineage {
        uid: own,
        ancestors: groups,
    };
    Ok((lineage, entity))
}

fn thing_of(callee: &Callee, tool: Option<&super::model::ToolFacts>) -> Result<Thing, String> {
    let mut attributes = vec![("name", RestrictedExpression::new_string(callee.name.clone()))];
    let mut likeness = callee.server.clone();
    if let (TargetKind::Tool, Some(tool)) = (callee.kind(), tool) {
        let effect = uid("Effect", tool.effect.as_str())?;
        attributes.push(("effect", RestrictedExpression::new_entity_uid(effect)));
        attributes.push(("idempotent", RestrictedExpression::new_bool(tool.idempotent)));
        likeness = format!("{}/{}/{}", callee.server, tool.effect, tool.idempotent);
    }
    let mut thing = part(callee.kind(), &callee.id(), &callee.server, attributes)?;
    thing.shape = Some(Arc::new(callee.shape.clone()));
    thing.likeness = likeness;
    Ok(thing)
}

/// A thing that is in no catalog.
fn thing_outside(target: &Target<'_>) -> Result<Thing, String> {
    match target {
        Target::Resource { server, uri } => {
            let attributes = vec![("uri", RestrictedExpression::new_string((*uri).to_owned()))];
            part(TargetKind::Resource, &target.id(), server, attributes)
        }
        other => {
            let uid = uid(other.kind().as_str(), &other.id())?;
            Ok(Thing {
                entity: Entity::new_no_attrs(uid.clone(), HashSet::new()),
                likeness: String::new(),
                lineage: Lineage {
                    uid,
                    ancestors: Vec::new(),
                },
                shape: None,
            })
        }
    }
}

/// A part of an upstream.
fn part(
    kind: TargetKind,
    id: &str,
    server: &str,
    attributes: Vec<(&str, RestrictedExpression)>,
) -> Result<Thing, String> {
    let own = uid(kind.as_str(), id)?;
    let server = uid(TargetKind::Server.as_str(), server)?;
    let mut named: HashMap<String, RestrictedExpression> = attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    named.insert(
        "server".to_owned(),
        RestrictedExpression::new_entity_uid(server.clone()),
    );
    let entity = Entity::new(own.clone(), named, HashSet::from([server.clone()])).map_err(|error| error.to_string())?;
    Ok(Thing {
        lineage: Lineage {
            uid: own,
            ancestors: vec![server],
        },
        entity,
        shape: None,
        likeness: String::new(),
    })
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    entity_uid(kind, id).ok_or_else(|| format!("`{kind}` is no entity type"))
}

fn place_of(id: &PolicyId) -> Option<u32> {
    AsRef::<str>::as_ref(id).parse().ok()
}

/// Each part goes in with its length before it.
fn sha256(parts: &[&str]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    bytes
}

/// `2026-11-24T16:40:33.123Z`, as Cedar's `datetime` reads it. Times outside the years 0 to 9999 are held at the nearest end.
fn datetime(unix_ms: i64) -> String {
    const DAY_MS: i64 = 86_400_000;
    let unix_ms = unix_ms.clamp(-62_167_219_200_000, 253_402_300_799_999);
    let (days, ms) = (unix_ms.div_euclid(DAY_MS), unix_ms.rem_euclid(DAY_MS));
    // Days since 0000-03-01, so that the leap day ends the year (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z",
        ms % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_cedar_reads_them() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_795_538_433_999, "2026-11-24T16:40:33.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(datetime(unix_ms), text);
            let read = RestrictedExpression::new_datetime(datetime(unix_ms));
            assert!(Context::from_pairs([("t".to_owned(), read)]).is_ok(), "{text}");
        }
    }

    #[test]
    fn visible_counts_what_it_holds() {
        let visible = Visible::of((0..130).map(|place| place % 3 == 0));
        assert_eq!(visible.count(), 44);
        assert!((0..200).all(|place| visible.contains(place) == (place < 130 && place % 3 == 0)));
    }
}
