//! From policy files to rules that may be put in force: parsed, named, checked against the catalog, with every problem found at
//! once, each with its place and a hint. It must not know requests or decisions.

use super::handling;
use super::index::{Lineage, Scope};
use super::model::{Action, CatalogFacts, Obligation, ObligationKind, TargetKind};
use super::names::{Grade, Names};
use super::reads::Reads;
use super::schema::{self, Callee, has_arguments};
use super::shape::{Field, LeftOut, RecordShape, Shape};
use super::source::{self, Lines, Source, Statement};
use crate::catalog::closest;
use cedar_policy::{
    EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Largest policy file, in bytes.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Most policies over all files.
pub const POLICIES_MAX: usize = 20_000;
/// Largest single policy, in bytes.
pub const POLICY_BYTES_MAX: usize = 64 << 10;
/// Most operators and brackets of one policy: a bound on how deep its expressions nest.
const POLICY_DEPTH_MAX: usize = 1_024;
/// Most problems that are reported at once.
const PROBLEMS_MAX: usize = 200;
/// Longest `@id`, in bytes.
const ID_BYTES_MAX: usize = 128;

/// One policy that may be put in force.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// `@id`, or `file:line`.
    pub(crate) label: Arc<str>,
    /// The file it stands in.
    pub(crate) file: Arc<str>,
    /// Its first line there, from 1.
    pub(crate) line: u32,
    /// Cedar's policy; its id there is its place among the rules.
    pub(crate) policy: Policy,
    /// `permit`, and not `forbid`.
    pub(crate) permits: bool,
    /// Whether it has a `when` or `unless`.
    pub(crate) conditional: bool,
    /// What its conditions read.
    pub(crate) reads: Reads,
    /// What it wants done.
    pub(crate) obligations: Vec<Obligation>,
    /// The tools and prompts that it cannot be asked about, for what it says of their arguments is not so: there a `permit` does
    /// not hold, and a `forbid` refuses.
    pub(crate) unfit: HashSet<EntityUid>,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It does not say what it was meant to say.
    Error,
    /// Somebody should look.
    Warning,
}

/// One problem of a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// How bad.
    pub severity: Severity,
    /// Whether it keeps the files from being put in force.
    pub bars: bool,
    /// The policy's id, where it has one already.
    pub policy: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(
            f,
            "{}:{}:{}: {word}: {}",
            self.file, self.line, self.column, self.message
        )?;
        match &self.hint {
            Some(hint) => write!(f, ", hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// An argument of a tool that no policy may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOutArgument {
    /// `upstream/tool`.
    pub tool: String,
    /// The argument, nested names joined by `.`.
    pub argument: String,
    /// Why, as a noun phrase.
    pub why: String,
}

/// All that is to be said of a set of policy files.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Problems, in the order of files and lines.
    pub problems: Vec<Problem>,
    /// Arguments that no policy may name.
    pub left_out: Vec<LeftOutArgument>,
    /// How many policies there are.
    pub policies: usize,
}

impl Report {
    /// Whether anything is wrong with the files.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether anything keeps the files from being put in force.
    #[must_use]
    pub fn is_barred(&self) -> bool {
        self.problems.iter().any(|problem| problem.bars)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        for left_out in &self.left_out {
            // Names come from an upstream: what would act on a terminal is written out.
            let (argument, tool) = (left_out.argument.escape_debug(), left_out.tool.escape_debug());
            writeln!(
                f,
                "note: argument `{argument}` of `{tool}` may not be named: it is {}",
                left_out.why
            )?;
        }
        Ok(())
    }
}

/// Checks policy files against a catalog and says all that is to be said of them.
#[must_use]
pub fn check(sources: &[Source], facts: &CatalogFacts) -> Report {
    load(sources, facts).1
}

/// The rules of the files, and the report. The rules may be put in force only when the report does not bar it.
pub(crate) fn load(sources: &[Source], facts: &CatalogFacts) -> (Vec<Rule>, Report) {
    let mut loader = Loader {
        sources,
        facts,
        callees: schema::callees(facts),
        rules: Vec::new(),
        places: Vec::new(),
        lines: sources.iter().map(|source| Lines::of(&source.text)).collect(),
        problems: BTreeSet::new(),
        labels: HashMap::new(),
        misnaming: HashSet::new(),
    };
    loader.parse();
    loader.check_entities();
    loader.check_arguments();
    if let Err(message) = loader.check_types() {
        let origin = sources.first().map_or("policy", |source| source.name.as_str());
        loader.problems.insert(Problem {
            file: origin.to_owned(),
            line: 1,
            column: 1,
            severity: Severity::Error,
            bars: true,
            policy: None,
            message: format!("the schema could not be made from the catalog: {message}"),
            hint: None,
        });
    }
    loader.finish()
}

/// A file and its number.
#[derive(Debug, Clone, Copy)]
struct File<'a> {
    number: usize,
    source: &'a Source,
}

/// Where a rule's text is.
#[derive(Debug)]
struct Place<'a> {
    file: File<'a>,
    statement: Statement,
}

/// What a policy names, as it stands in the text.
enum Named {
    Entity(EntityUid),
    Text(String),
}

struct Loader<'a> {
    sources: &'a [Source],
    facts: &'a CatalogFacts,
    callees: Vec<Callee>,
    rules: Vec<Rule>,
    /// In the order of `rules`.
    places: Vec<Place<'a>>,
    /// In the order of `sources`.
    lines: Vec<Lines<'a>>,
    problems: BTreeSet<Problem>,
    labels: HashMap<Arc<str>, usize>,
    /// Places of the rules that name arguments which are not there or cannot be named.
    misnaming: HashSet<usize>,
}

impl<'a> Loader<'a> {
    fn parse(&mut self) {
        let mut found = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            let file = File { number, source };
            if source.text.len() > FILE_BYTES_MAX {
                let message = format!("the file has more than {} MiB", FILE_BYTES_MAX >> 20);
                self.problem_at(
                    file,
                    0,
                    Grade::Bars,
                    None,
                    message,
                    Some("split it, or take out what no longer serves"),
                );
                continue;
            }
            let statements = source::statements(&source.text);
            found.extend(statements.into_iter().map(|statement| (file, statement)));
        }
        if let Some((file, first_too_many)) = found.get(POLICIES_MAX) {
            let (file, start) = (*file, first_too_many.range.start);
            let message = format!("there are more than {POLICIES_MAX} policies");
            let hint = "name groups and servers in place of users and tools";
            return self.problem_at(file, start, Grade::Bars, None, message, Some(hint));
        }
        for (file, statement) in found {
            self.parse_statement(file, statement);
        }
    }

    fn parse_statement(&mut self, file: File<'a>, statement: Statement) {
        let source = file.source;
        let start = statement.range.start;
        let text = source.text.get(statement.range.clone()).unwrap_or_default();
        if text.len() > POLICY_BYTES_MAX || statement.depth_bound(&source.text) > POLICY_DEPTH_MAX {
            let message = format!(
                "the policy has more than {} KiB or {POLICY_DEPTH_MAX} operators",
                POLICY_BYTES_MAX >> 10
            );
            self.problem_at(file, start, Grade::Bars, None, message, Some("split it"));
            return;
        }
        if let Some(slot) = statement.slot() {
            let message = "a template is no policy".to_owned();
            let hint = "write the principal or resource in place of the `?` slot";
            self.problem_at(file, slot, Grade::Bars, None, message, Some(hint));
            return;
        }
        let place = self.rules.len();
        let policy = match Policy::parse(Some(PolicyId::new(place.to_string())), text) {
            Ok(policy) => policy,
            Err(errors) => {
                for error in errors.iter() {
                    let offset = start.saturating_add(offset_of(error));
                    let hint = error.help().map(|help| help.to_string());
                    self.problem_at(file, offset, Grade::Bars, None, error.to_string(), hint.as_deref());
                }
                return;
            }
        };
        let reads = match Reads::of(&policy) {
            Ok(reads) => reads,
            Err(message) => return self.problem_at(file, start, Grade::Bars, None, message, None),
        };
        let (line, _) = self.position(file, start);
        let label = self.label(file, &statement, &policy, line);
        let permits = policy.effect() == cedar_policy::Effect::Permit;
        let obligations = self.obligations(file, &statement, &policy, &label, permits);
        self.rules.push(Rule {
            label,
            file: Arc::from(source.name.as_str()),
            line,
            permits,
            conditional: policy.has_non_scope_constraint(),
            policy,
            reads,
            obligations,
            unfit: HashSet::new(),
        });
        self.places.push(Place { file, statement });
    }

    fn label(&mut self, file: File<'a>, statement: &Statement, policy: &Policy, line: u32) -> Arc<str> {
        let source = file.source;
        let by_place: Arc<str> = Arc::from(format!("{}:{line}", source.name));
        let at = statement.find_name(&source.text, "id");
        let label = match policy.annotation("id") {
            None => by_place,
            Some(id) if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) => {
                let message = format!("the id of a policy has 1 to {ID_BYTES_MAX} bytes and no control characters");
                self.problem_at(file, at, Grade::Bars, Some(&by_place), message, None);
                return by_place;
            }
            Some(id) => Arc::from(id),
        };
        match self.labels.get(&label).and_then(|other| self.rules.get(*other)) {
            Some(other) => {
                let message = format!("policy `{label}` is there already, at {}:{}", other.file, other.line);
                let hint = "give each its own `@id`";
                self.problem_at(file, at, Grade::Bars, Some(&label), message, Some(hint));
            }
            None => {
                self.labels.insert(Arc::clone(&label), self.rules.len());
            }
        }
        label
    }

    fn obligations(
        &mut self,
        file: File<'a>,
        statement: &Statement,
        policy: &Policy,
        label: &str,
        permits: bool,
    ) -> Vec<Obligation> {
        let source = file.source;
        let mut obligations = Vec::new();
        for (name, value) in policy.annotations() {
            if matches!(name, "id" | "description") {
                continue;
            }
            let at = statement.find_name(&source.text, name);
            let Some(kind) = ObligationKind::parse(name) else {
                let known: Vec<&str> = ObligationKind::ALL.into_iter().map(ObligationKind::as_str).collect();
                let message = format!("nothing is done with the annotation `@{name}`");
                let hint = format!("known are id, description, {}", known.join(", "));
                self.problem_at(file, at, Grade::Warning, Some(label), message, Some(&hint));
                continue;
            };
            if !permits && kind != ObligationKind::Record {
                let message = format!("`@{name}` does nothing on a `forbid`");
                self.problem_at(
                    file,
                    at,
                    Grade::Warning,
                    Some(label),
                    message,
                    Some("put it on the `permit`"),
                );
            } else if !kind.is_carried_out() {
                let message = format!("`@{name}` is to come: every call that this policy allows is refused");
                let hint = "take it off if the call may pass without, else leave the `permit` out for now";
                self.problem_at(file, at, Grade::Stays, Some(label), message, Some(hint));
            } else if permits && let Err(wrong) = handling::check(kind, value) {
                let message = format!("`@{name}`: {}", wrong.message);
                self.problem_at(file, at, Grade::Bars, Some(label), message, Some(&wrong.hint));
            }
            obligations.push(Obligation {
                kind,
                value: value.to_owned(),
            });
        }
        obligations
    }

    /// Every tool, prompt, resource, server and endpoint that a policy names must be known, and each principal and group be
    /// somebody's name.
    fn check_entities(&mut self) {
        let names = Names::new(self.facts);
        let mut found = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            let mut entities = rule.policy.entity_literals();
            entities.extend(Scope::of(&rule.policy).entities());
            let mut seen = HashSet::new();
            for uid in entities {
                if !seen.insert(uid.clone()) {
                    continue;
                }
                let wrong = names.unknown(&uid).or_else(|| names.nobody(&uid, &rule.label));
                if let Some((grade, message, hint)) = wrong {
                    found.push((place, Named::Entity(uid), grade, message, hint));
                }
            }
            for issuer in &rule.reads.issuers {
                if let Some((grade, message, hint)) = names.unknown_issuer(issuer, &rule.label) {
                    found.push((place, Named::Text(issuer.clone()), grade, message, hint));
                }
            }
        }
        for (place, named, grade, message, hint) in found {
            let offset = |place: &Place<'_>| match &named {
                Named::Entity(uid) => place.statement.find_entity(&place.file.source.text, uid),
                Named::Text(text) => place.statement.find_name(&place.file.source.text, text),
            };
            self.problem_of(place, offset, grade, message, hint);
        }
    }

    /// Every argument that a policy names must be there in some tool that it may meet, and be expressible in all of them.
    fn check_arguments(&mut self) {
        let mut found = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            if !rule.reads.needs_arguments() {
                continue;
            }
            let met = self.callees_met(rule);
            let callees: Vec<&Callee> = met.iter().filter_map(|at| self.callees.get(*at)).collect();
            for path in rule.reads.argument_paths() {
                if let Some((message, hint)) = unnameable(path, &callees) {
                    let mut unfit = met.clone();
                    if !Scope::of(&rule.policy).names_one() {
                        // An argument that no tool in reach declares any more is as one that is not given.
                        let left_out = |at: &Callee| left_out_of(at, path).is_some();
                        unfit.retain(|at| self.callees.get(*at).is_some_and(left_out));
                    }
                    let name = path.last().cloned().unwrap_or_default();
                    found.push((place, name, unfit, message, hint));
                }
            }
        }
        for (place, name, unfit, message, hint) in found {
            let offset = |place: &Place<'_>| place.statement.find_name(&place.file.source.text, &name);
            self.problem_of(place, offset, Grade::Stays, message, Some(hint));
            self.unfit(place, &unfit);
            self.misnaming.insert(place);
        }
    }

    /// The tools and prompts whose calls a policy's scope can match, by their place among the callees.
    fn callees_met(&self, rule: &Rule) -> Vec<usize> {
        let scope = Scope::of(&rule.policy);
        self.callees
            .iter()
            .enumerate()
            .filter(|(_, callee)| {
                let action = action_uid(callee.action);
                let resource = lineage_of(callee);
                match (action, resource) {
                    (Some(action), Some(resource)) => {
                        scope.matches_action(&action) && scope.matches_resource(&resource)
                    }
                    _ => false,
                }
            })
            .map(|(at, _)| at)
            .collect()
    }

    /// The policy at this place cannot be asked about these callees.
    fn unfit(&mut self, place: usize, callees: &[usize]) {
        if let Some(rule) = self.rules.get_mut(place) {
            let callees = callees.iter().filter_map(|at| self.callees.get(*at));
            rule.unfit
                .extend(callees.filter_map(|callee| Some(lineage_of(callee)?.uid)));
        }
    }

    /// Cedar's own validator, once for what does not read arguments and once for each shape of arguments otherwise.
    fn check_types(&mut self) -> Result<(), String> {
        let wrong: HashSet<usize> = self.places_with_errors();
        let (reading, plain): (Vec<usize>, Vec<usize>) = (0..self.rules.len())
            .partition(|place| self.rules.get(*place).is_some_and(|it| it.reads.needs_arguments()));
        self.validate(schema::common()?, &plain, None, true);
        if reading.is_empty() {
            return Ok(());
        }
        self.validate(schema::without_calls()?, &reading, None, false);

        let mut met: BTreeMap<(Action, RecordShape), BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        let mut uncallable = Vec::new();
        for place in reading {
            let Some(rule) = self.rules.get(place) else { continue };
            let callees = self.callees_met(rule);
            let calls = Action::ALL.into_iter().filter(|action| has_arguments(*action));
            let scope = Scope::of(&rule.policy);
            let is_wrong = wrong.contains(&place);
            if callees.is_empty()
                && !is_wrong
                && calls.filter_map(action_uid).any(|action| scope.matches_action(&action))
            {
                uncallable.push(place);
            }
            for at in callees {
                let Some(callee) = self.callees.get(at) else { continue };
                let rules = met.entry((callee.action, callee.shape.clone())).or_default();
                rules.entry(place).or_default().push(at);
            }
        }
        for place in uncallable {
            let message = "no tool or prompt that is known matches, so that the arguments are not checked".to_owned();
            let start = |place: &Place<'_>| place.statement.range.start;
            self.problem_of(place, start, Grade::Warning, message, None);
        }
        for ((action, shape), rules) in met {
            let places: Vec<usize> = rules.keys().copied().collect();
            match schema::for_call(action, &shape) {
                Ok(schema) => self.validate(schema, &places, Some(&rules), false),
                Err(why) => {
                    for (place, callees) in &rules {
                        let message = format!("nothing can be checked{}: {why}", self.in_a_call_of(callees));
                        let start = |place: &Place<'_>| place.statement.range.start;
                        self.problem_of(*place, start, Grade::Stays, message, None);
                        self.unfit(*place, callees);
                    }
                }
            }
        }
        Ok(())
    }

    fn in_a_call_of(&self, callees: &[usize]) -> String {
        let first = callees.first().and_then(|at| self.callees.get(*at));
        match (first, callees.len()) {
            (None, _) => String::new(),
            (Some(only), 1) => format!(" (in a call of `{}`)", only.id()),
            (Some(first), count) => format!(" (in a call of `{}` and {} more)", first.id(), count - 1),
        }
    }

    fn places_with_errors(&self) -> HashSet<usize> {
        let wrong: HashSet<&str> = self
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .filter_map(|problem| problem.policy.as_deref())
            .collect();
        let rules = self.rules.iter().enumerate();
        rules
            .filter(|(_, rule)| wrong.contains(&*rule.label))
            .map(|(place, _)| place)
            .collect()
    }

    /// `calls` names, where the schema is one for calls, the tools or prompts that each policy meets in it; `whole` says that
    /// the schema leaves nothing out.
    fn validate(&mut self, schema: Schema, places: &[usize], calls: Option<&BTreeMap<usize, Vec<usize>>>, whole: bool) {
        let wrong = self.places_with_errors();
        let policies = places
            .iter()
            .filter_map(|place| self.rules.get(*place))
            .map(|rule| rule.policy.clone());
        let Ok(set) = PolicySet::from_policies(policies) else {
            return;
        };
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        for error in result.validation_errors() {
            if matches!(error, ValidationError::UnrecognizedActionId(_)) {
                // Said already, with a better hint.
                continue;
            }
            let place = place_of(error.policy_id());
            let called = calls.and_then(|calls| calls.get(&place?));
            let mut about = String::new();
            if let (Some(place), Some(callees)) = (place, called) {
                self.unfit(place, callees);
                if self.misnaming.contains(&place) {
                    // Said already, of the argument by name.
                    continue;
                }
                about = self.in_a_call_of(callees);
            }
            let hint = error.help().map(|help| help.to_string());
            let hint = match calls {
                Some(_) => Some(hint.unwrap_or_else(|| {
                    "name the tool in the policy's scope, or ask with `context.arguments has ..` first".to_owned()
                })),
                None => hint,
            };
            let message = format!("{}{about}", without_prefix(&error.to_string()));
            let grade = match calls {
                Some(_) => Grade::Stays,
                None => Grade::Bars,
            };
            self.cedar_problem(error.policy_id(), error, grade, message, hint);
        }
        for warning in result.validation_warnings() {
            // In part of the schema much is impossible that is possible in the whole; and what is wrong is often impossible too.
            let of_whole = matches!(
                warning,
                ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_)
            );
            let follows = place_of(warning.policy_id()).is_some_and(|place| wrong.contains(&place));
            if !of_whole || (whole && !follows) {
                let hint = warning.help().map(|help| help.to_string());
                let message = without_prefix(&warning.to_string());
                self.cedar_problem(warning.policy_id(), warning, Grade::Warning, message, hint);
            }
        }
    }

    fn cedar_problem(
        &mut self,
        id: &PolicyId,
        diagnostic: &dyn Diagnostic,
        grade: Grade,
        message: String,
        hint: Option<String>,
    ) {
        let Some(place) = place_of(id) else {
            return;
        };
        let offset = offset_of(diagnostic);
        let at = |place: &Place<'_>| place.statement.range.start.saturating_add(offset);
        self.problem_of(place, at, grade, message, hint);
    }

    fn problem_of(
        &mut self,
        place: usize,
        offset: impl Fn(&Place<'_>) -> usize,
        grade: Grade,
        message: String,
        hint: Option<String>,
    ) {
        let (Some(rule), Some(place)) = (self.rules.get(place), self.places.get(place)) else {
            return;
        };
        let (file, at) = (place.file, offset(place));
        let label = Arc::clone(&rule.label);
        self.problem_at(file, at, grade, Some(&label), message, hint.as_deref());
    }

    fn position(&self, file: File<'_>, offset: usize) -> (u32, u32) {
        self.lines
            .get(file.number)
            .map_or((1, 1), |lines| lines.position(offset))
    }

    fn problem_at(
        &mut self,
        file: File<'_>,
        offset: usize,
        grade: Grade,
        policy: Option<&str>,
        message: String,
        hint: Option<&str>,
    ) {
        let (line, column) = self.position(file, offset);
        self.problems.insert(Problem {
            file: file.source.name.clone(),
            line,
            column,
            severity: match grade {
                Grade::Bars | Grade::Stays => Severity::Error,
                Grade::Warning => Severity::Warning,
            },
            bars: grade == Grade::Bars,
            policy: policy.map(str::to_owned),
            message,
            hint: hint.map(str::to_owned),
        });
    }

    fn finish(self) -> (Vec<Rule>, Report) {
        let left_out = self.callees.iter().flat_map(|callee| {
            callee.left_out.iter().map(|LeftOut { path, why }| LeftOutArgument {
                tool: callee.id(),
                argument: path.join("."),
                why: why.clone(),
            })
        });
        let mut problems: Vec<Problem> = self.problems.into_iter().collect();
        if problems.len() > PROBLEMS_MAX {
            // The worst first, so that none of the kept is a warning while an error is dropped.
            problems.sort_by_key(|problem| (problem.severity, !problem.bars));
            problems.truncate(PROBLEMS_MAX);
            problems.sort();
        }
        let report = Report {
            problems,
            left_out: left_out.collect(),
            policies: self.rules.len(),
        };
        (self.rules, report)
    }
}

/// Why a path below `context.arguments` may not be named in a policy that can meet these callees; `None` when it may.
fn unnameable(path: &[String], met: &[&Callee]) -> Option<(String, String)> {
    let written = path.join(".");
    for callee in met {
        if let Some(left_out) = left_out_of(callee, path) {
            let message = format!(
                "argument `{}` of `{}` may not be named: it is {}",
                left_out.path.join("."),
                callee.id(),
                left_out.why
            );
            let hint = "decide by another argument, or have the tool declare a type that Cedar can express".to_owned();
            return Some((message, hint));
        }
    }
    if met.is_empty() || met.iter().any(|callee| has_path(&callee.shape, path)) {
        return None;
    }
    let known: BTreeSet<&str> = met
        .iter()
        .flat_map(|callee| callee.shape.fields.keys().map(String::as_str))
        .collect();
    let message = match met {
        [only] => format!("`{}` has no argument `{written}`", only.id()),
        _ => format!(
            "none of the {} tools and prompts in scope has an argument `{written}`",
            met.len()
        ),
    };
    let name = path.first().map_or("", String::as_str);
    let hint = match (closest(name, known.iter().copied()), known.is_empty()) {
        (_, true) => "it declares none that a policy could name".to_owned(),
        (Some(near), false) if near != name => format!("did you mean `{near}`?"),
        _ => format!(
            "there are {}",
            known.into_iter().take(12).collect::<Vec<_>>().join(", ")
        ),
    };
    Some((message, hint))
}

/// What keeps a path below `context.arguments` out of what may be named of this callee.
fn left_out_of<'c>(callee: &'c Callee, path: &[String]) -> Option<&'c LeftOut> {
    callee.left_out.iter().find(|left_out| path.starts_with(&left_out.path))
}

fn has_path(shape: &RecordShape, path: &[String]) -> bool {
    match path {
        [] => true,
        [name, rest @ ..] => match shape.fields.get(name) {
            Some(Field {
                shape: Shape::Record(record),
                ..
            }) => has_path(record, rest),
            Some(_) => rest.is_empty(),
            None => false,
        },
    }
}

/// The entity of an action.
pub(crate) fn action_uid(action: Action) -> Option<EntityUid> {
    entity_uid("Action", action.id())
}

/// The entity of this type and id; `None` only when the type is no name.
pub(crate) fn entity_uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind = kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(id)))
}

fn lineage_of(callee: &Callee) -> Option<Lineage> {
    Some(Lineage {
        uid: entity_uid(callee.kind().as_str(), &callee.id())?,
        ancestors: vec![entity_uid(TargetKind::Server.as_str(), &callee.server)?],
    })
}

/// The place among the rules that a policy's id in Cedar stands for.
fn place_of(id: &PolicyId) -> Option<usize> {
    AsRef::<str>::as_ref(id).parse().ok()
}

fn offset_of(diagnostic: &dyn Diagnostic) -> usize {
    diagnostic
        .labels()
        .and_then(|mut labels| labels.next())
        .map_or(0, |label| label.offset())
}

/// Cedar's messages begin with the policy's id, which here is only its place.
fn without_prefix(message: &str) -> String {
    let rest = message
        .strip_prefix("for policy `")
        .and_then(|rest| rest.split_once('`'))
        .map_or(message, |(_, rest)| rest.trim_start_matches([',', ':', ' ']));
    rest.to_owned()
}
