//! Why a question is answered as it is, and what would change the answer: as plain data, for a person with the right to read
//! policy. It may quote arguments, so that it must never reach the record or a client. It must not know how it is printed.

use super::check::{Rule, entity_uid};
use super::engine::{Ask, Engine, UNFIT, Unasked, context, request};
use super::index::Match;
use super::model::{Decision, ReasonCode};
use super::reads::Reads;
use super::schema::quoted;
use cedar_policy::{AuthorizationError, Authorizer, Decision as CedarDecision, Entities, Policy, PolicySet, Request};
use serde_json::{Value, json};

/// Most policies that are named because they nearly matched.
const NEAR_MAX: usize = 8;
/// Longest text of a condition, in bytes.
const CLAUSE_BYTES_MAX: usize = 2_048;

/// Why it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The answer, as [`Engine::decide`] gives it.
    pub decision: Decision,
    /// The question in Cedar's words: principal, action, resource.
    pub asked: [String; 3],
    /// Every policy whose scope the question meets.
    pub considered: Vec<Considered>,
    /// `permit`s whose scope it misses in one part only.
    pub near: Vec<NearMiss>,
    /// What is wrong with the arguments, when they kept policy from being asked.
    pub arguments: Option<String>,
    /// What would allow it, in sentences.
    pub needed: Vec<String>,
}

/// A policy whose scope was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// `@id` or `file:line`.
    pub id: String,
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// `permit`, and not `forbid`.
    pub permits: bool,
    /// What it came to.
    pub verdict: Verdict,
    /// Its conditions, each alone.
    pub clauses: Vec<Clause>,
}

/// What a policy or condition came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It could not be evaluated, and why.
    Broken(String),
}

/// One condition: a whole `unless`, or one part of a `when` that stands between `&&`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// `unless`, and not `when`: the policy wants it to fail.
    pub unless: bool,
    /// Its text.
    pub text: String,
    /// What it came to.
    pub verdict: Verdict,
    /// Whether it reads the context, so that the same caller may have it otherwise in another call of the same thing.
    pub of_the_call: bool,
}

impl Clause {
    /// Whether it lets its policy hold.
    #[must_use]
    pub fn met(&self) -> bool {
        match self.verdict {
            Verdict::Holds => !self.unless,
            Verdict::Fails => self.unless,
            Verdict::Broken(_) => false,
        }
    }
}

/// A `permit` that was nearly in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// `@id` or `file:line`.
    pub id: String,
    /// `principal`, `action` or `resource`.
    pub misses: &'static str,
}

impl Engine {
    /// Explains one question. Evaluates condition by condition: not for the path of a call.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>) -> Explanation {
        let decision = Decision::clone(&self.decide(ask));
        let asked = [
            cedar_name(ask.subject.kind().as_str(), ask.subject.name()),
            cedar_name("Action", ask.action.id()),
            cedar_name(ask.target.kind().as_str(), &ask.target.id()),
        ];
        let mut explanation = Explanation {
            decision,
            asked,
            considered: Vec::new(),
            near: Vec::new(),
            arguments: None,
            needed: Vec::new(),
        };
        let Ok(spelled_out) = self.spelled_out(ask) else {
            let [_, action, resource] = &explanation.asked;
            explanation.needed.push(format!(
                "{resource} is not in the catalog, or {action} is not asked of such things: policy cannot allow it"
            ));
            return explanation;
        };
        for (rule, place) in self.rules.iter().zip(0_u32..) {
            let Some(scope) = self.index.scope(place) else { continue };
            let met = scope.matches(&spelled_out.principal, &spelled_out.action, &spelled_out.resource);
            if met.whole() {
                let needs = rule.reads.needs();
                let built = context(&needs, spelled_out.shape.as_deref(), &ask.circumstances);
                let request = built.and_then(|context| {
                    request(
                        &spelled_out.principal.uid,
                        &spelled_out.action,
                        &spelled_out.resource.uid,
                        context,
                    )
                    .map_err(Unasked::Cedar)
                });
                let considered = match request {
                    _ if rule.unfit.contains(&spelled_out.resource.uid) => {
                        unasked(rule, Verdict::Broken(UNFIT.to_owned()))
                    }
                    Ok(request) => considered(rule, &request, &spelled_out.entities),
                    Err(Unasked::Arguments(message)) => {
                        let broken = Verdict::Broken(message.clone());
                        explanation.arguments = Some(message);
                        unasked(rule, broken)
                    }
                    Err(Unasked::Cedar(message)) => unasked(rule, Verdict::Broken(message)),
                };
                explanation.considered.push(considered);
            } else if let (true, Some(misses)) = (rule.permits, only_miss(met))
                && explanation.near.len() < NEAR_MAX
            {
                explanation.near.push(NearMiss {
                    id: rule.label.to_string(),
                    misses,
                });
            }
        }
        explanation.needed = needed(&explanation);
        explanation
    }
}

fn unasked(rule: &Rule, verdict: Verdict) -> Considered {
    Considered {
        id: rule.label.to_string(),
        file: rule.file.to_string(),
        line: rule.line,
        permits: rule.permits,
        verdict,
        clauses: Vec::new(),
    }
}

fn considered(rule: &Rule, request: &Request, entities: &Entities) -> Considered {
    let verdict = verdict(&rule.policy, rule.permits, request, entities);
    Considered {
        clauses: clauses(rule, request, entities),
        ..unasked(rule, verdict)
    }
}

/// What one policy alone comes to.
fn verdict(policy: &Policy, permits: bool, request: &Request, entities: &Entities) -> Verdict {
    let Ok(set) = PolicySet::from_policies([policy.clone()]) else {
        return Verdict::Broken("the policy does not stand alone".to_owned());
    };
    let response = Authorizer::new().is_authorized(request, &set, entities);
    if let Some(error) = response.diagnostics().errors().next() {
        let AuthorizationError::PolicyEvaluationError(error) = error;
        return Verdict::Broken(error.inner().to_string());
    }
    let held = match permits {
        true => response.decision() == CedarDecision::Allow,
        false => response.diagnostics().reason().next().is_some(),
    };
    if held { Verdict::Holds } else { Verdict::Fails }
}

/// Each condition as a policy of its own, so that Cedar says what it comes to.
fn clauses(rule: &Rule, request: &Request, entities: &Entities) -> Vec<Clause> {
    let Ok(tree) = rule.policy.to_json() else {
        return Vec::new();
    };
    let conditions = tree.get("conditions").and_then(Value::as_array);
    let mut clauses = Vec::new();
    for condition in conditions.into_iter().flatten() {
        let Some(body) = condition.get("body") else { continue };
        let unless = condition.get("kind").and_then(Value::as_str) == Some("unless");
        let mut parts = Vec::new();
        match unless {
            true => parts.push(body),
            false => conjuncts(body, &mut parts),
        }
        for part in parts {
            let alone = json!({
                "effect": "permit",
                "principal": { "op": "All" },
                "action": { "op": "All" },
                "resource": { "op": "All" },
                "conditions": [{ "kind": "when", "body": part }],
            });
            let Ok(alone) = Policy::from_json(None, alone) else {
                continue;
            };
            clauses.push(Clause {
                unless,
                text: condition_text(&alone),
                verdict: verdict(&alone, true, request, entities),
                of_the_call: Reads::of(&alone).is_ok_and(|reads| reads.needs_context()),
            });
        }
    }
    clauses
}

/// The parts between `&&`, left to right.
fn conjuncts<'v>(body: &'v Value, parts: &mut Vec<&'v Value>) {
    let both = body.get("&&").map(|and| (and.get("left"), and.get("right")));
    match both {
        Some((Some(left), Some(right))) => {
            conjuncts(left, parts);
            conjuncts(right, parts);
        }
        _ => parts.push(body),
    }
}

/// What stands in the braces of a policy with one `when`.
fn condition_text(policy: &Policy) -> String {
    let text = policy.to_cedar().unwrap_or_default();
    let inside = text
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'))
        .map_or(text.as_str(), |(inside, _)| inside);
    let mut inside = inside.trim().to_owned();
    if inside.len() > CLAUSE_BYTES_MAX {
        let end = (0..=CLAUSE_BYTES_MAX)
            .rev()
            .find(|end| inside.is_char_boundary(*end))
            .unwrap_or(0);
        inside.truncate(end);
        inside.push_str(" ..");
    }
    inside
}

const fn only_miss(met: Match) -> Option<&'static str> {
    match (met.principal, met.action, met.resource) {
        (false, true, true) => Some("principal"),
        (true, false, true) => Some("action"),
        (true, true, false) => Some("resource"),
        _ => None,
    }
}

/// What would allow it, what the caller can do something about first: after what forbids, conditions on the call; then
/// policies for others, and conditions that no call of this caller on this thing can meet.
fn needed(explanation: &Explanation) -> Vec<String> {
    if explanation.decision.allowed {
        return Vec::new();
    }
    let mut needed = Vec::new();
    let mut in_reach = Vec::new();
    let mut out_of_reach = Vec::new();
    for policy in &explanation.considered {
        let place = format!("`{}` ({}:{})", policy.id, policy.file, policy.line);
        match (&policy.verdict, policy.permits) {
            (Verdict::Holds, false) => {
                needed.push(format!("{place} forbids it: it wins over every permit while it holds"))
            }
            (Verdict::Broken(_), false) => {
                needed.push(format!(
                    "{place} could not be evaluated, and as it forbids, the call is refused"
                ));
            }
            (Verdict::Fails | Verdict::Broken(_), true) => {
                let unmet: Vec<String> = policy
                    .clauses
                    .iter()
                    .filter(|clause| !clause.met())
                    .map(|clause| {
                        format!(
                            "{} {{ {} }}",
                            if clause.unless { "unless" } else { "when" },
                            clause.text
                        )
                    })
                    .collect();
                let text = format!(
                    "{place} would permit it, were its condition met: {}",
                    unmet.join(" and ")
                );
                match policy.unmet().all(|clause| clause.of_the_call) {
                    _ if unmet.is_empty() => {}
                    true => in_reach.push(text),
                    false => out_of_reach.push(text),
                }
            }
            _ => {}
        }
    }
    if let Some(message) = &explanation.arguments {
        needed.push(format!("the arguments do not fit what the tool declares: {message}"));
    }
    needed.append(&mut in_reach);
    for near in &explanation.near {
        needed.push(format!(
            "`{}` would permit it, but is for another {}",
            near.id, near.misses
        ));
    }
    needed.append(&mut out_of_reach);
    if explanation.decision.reason == ReasonCode::NoPermit {
        let [principal, action, resource] = &explanation.asked;
        needed.push(format!(
            "a policy such as: permit (principal == {principal}, action == {action}, resource == {resource});"
        ));
    }
    needed
}

/// `User::"ana"`. Kinds of subjects are written small where they are data.
fn cedar_name(kind: &str, id: &str) -> String {
    let mut kind = kind.to_owned();
    if let Some(first) = kind.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    entity_uid(&kind, id).map_or_else(|| format!("{kind}::{}", quoted(id)), |uid| uid.to_string())
}

impl Considered {
    /// The conditions that keep it from holding.
    pub fn unmet(&self) -> impl Iterator<Item = &Clause> {
        self.clauses.iter().filter(|clause| !clause.met())
    }
}
