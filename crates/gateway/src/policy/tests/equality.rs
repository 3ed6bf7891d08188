//! The property that speed rests on: over random policy sets and questions, the index with its caches answers what Cedar answers
//! over the whole set: the same decision, the same determining policies, the same failing policies.

use super::{bank, sources};
use crate::identity::{Method, Subject, SubjectKind};
use crate::policy::arguments::Wanted;
use crate::policy::check;
use crate::policy::engine::{Ask, Engine, Outcome, context, request};
use crate::policy::model::{Action, Circumstances, Decision, Target};
use crate::policy::reads::Needs;
use cedar_policy::PolicySet;
use proptest::prelude::*;
use proptest::sample::select;

/// Policy sets in the short form; `PORTCULLIS_PROVE_FULL` runs the full one.
const SETS_SHORT: u32 = 150;
const SETS_FULL: u32 = 2_000;
/// Questions asked of each set.
const QUESTIONS: usize = 12;

fn principal_scope() -> impl Strategy<Value = &'static str> {
    select(vec![
        "principal",
        "principal == User::\"ana\"",
        "principal == User::\"bob\"",
        "principal == Agent::\"ana\"",
        "principal == Group::\"clerks\"",
        "principal in Group::\"clerks\"",
        "principal in Group::\"staff\"",
        "principal in User::\"ana\"",
        "principal is User",
        "principal is Agent",
        "principal is User in Group::\"staff\"",
        "principal is Agent in Group::\"staff\"",
    ])
}

fn action_scope() -> impl Strategy<Value = String> {
    let action = || select(Action::ALL.map(Action::id).to_vec());
    prop_oneof![
        3 => Just("action".to_owned()),
        3 => action().prop_map(|id| format!("action == Action::\"{id}\"")),
        2 => Just("action == Action::\"tools/call\"".to_owned()),
        1 => action().prop_map(|id| format!("action in Action::\"{id}\"")),
        2 => prop::collection::vec(action(), 0..4).prop_map(|ids| {
            let ids: Vec<String> = ids.iter().map(|id| format!("Action::\"{id}\"")).collect();
            format!("action in [{}]", ids.join(", "))
        }),
    ]
}

fn resource_scope() -> impl Strategy<Value = &'static str> {
    select(vec![
        "resource",
        "resource == Tool::\"bank/transfer\"",
        "resource == Tool::\"bank/find_customer\"",
        "resource == Tool::\"shop/search\"",
        "resource == Prompt::\"bank/letter\"",
        "resource == Resource::\"bank/bank://a\"",
        "resource == Server::\"bank\"",
        "resource == Endpoint::\"/mcp\"",
        "resource in Server::\"bank\"",
        "resource in Server::\"shop\"",
        "resource in Tool::\"bank/transfer\"",
        "resource is Tool",
        "resource is Server",
        "resource is Tool in Server::\"bank\"",
        "resource is Prompt in Server::\"bank\"",
        "resource is Resource in Server::\"shop\"",
    ])
}

/// Conditions that hold, that do not, and that fail.
fn condition() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "",
        "when { true }",
        "unless { true }",
        "when { 1 + 9223372036854775807 > 0 }",
        "when { resource.effect == Effect::\"read\" }",
        "when { resource has effect && resource.effect in [Effect::\"read\", Effect::\"fetch\"] }",
        "when { resource has idempotent && resource.idempotent }",
        "when { resource in Server::\"bank\" }",
        "unless { resource == Tool::\"bank/transfer\" }",
        "when { principal in Group::\"staff\" }",
        "when { principal.name == \"ana\" }",
        "when { principal.credential == Credential::\"jwt\" }",
        "when { principal has issuer && principal.issuer == \"https://a\" }",
        "unless { principal has issuer }",
        "when { context.arguments.amount > 10 }",
        "when { context has arguments && context.arguments has amount && context.arguments.amount > 10 }",
        "when { context.arguments has amount } unless { context.arguments.amount + 9223372036854775797 > 0 }",
        "when { context.arguments.note like \"*x*\" }",
        "when { context.arguments has address.city && context.arguments.address.city == \"Bonn\" }",
        "when { context.arguments == {} }",
        "when { context has client } unless { context.client == \"cli\" }",
        "when { context.time > datetime(\"2026-01-01\") }",
        "when { context.transport == \"http\" }",
        "unless { context.method == \"tools/call\" }",
        "when { context.revision like \"2026-*\" }",
        "when { context == {} }",
        "when { {\"a\": context}.a.transport == \"stdio\" }",
        "when { (if principal is User then context else {\"transport\": \"x\"}).transport == \"http\" }",
    ])
}

fn policy() -> impl Strategy<Value = String> {
    let effect = prop_oneof![2 => Just("permit"), 1 => Just("forbid")];
    (
        effect,
        principal_scope(),
        action_scope(),
        resource_scope(),
        condition(),
        condition(),
    )
        .prop_map(|(effect, principal, action, resource, one, two)| {
            format!("{effect} ({principal}, {action}, {resource}) {one} {two};\n")
        })
}

fn subject() -> impl Strategy<Value = Subject> {
    let kind = select(vec![SubjectKind::User, SubjectKind::Agent]);
    let groups = prop::sample::subsequence(vec!["clerks".to_owned(), "staff".to_owned()], 0..=2);
    let method = select(Method::ALL.to_vec());
    let issuer = select(vec!["https://a", "https://b"]);
    let name = select(vec!["ana", "bob", "eve"]);
    (kind, name, groups, method, issuer).prop_map(|(kind, name, groups, method, issuer)| {
        let subject = Subject::new(kind, name, groups, method, None).unwrap();
        match method {
            Method::Jwt => subject.issued_by(issuer).unwrap(),
            _ => subject,
        }
    })
}

#[derive(Debug, Clone)]
struct Question {
    subject: Subject,
    action: Action,
    target: Target<'static>,
    arguments: Option<&'static str>,
    transport: &'static str,
    client: Option<&'static str>,
}

fn question() -> impl Strategy<Value = Question> {
    let target = select(vec![
        (
            Action::CallTool,
            Target::Tool {
                server: "bank",
                name: "transfer",
            },
        ),
        (
            Action::CallTool,
            Target::Tool {
                server: "bank",
                name: "find_customer",
            },
        ),
        (
            Action::CallTool,
            Target::Tool {
                server: "shop",
                name: "search",
            },
        ),
        (
            Action::CallTool,
            Target::Tool {
                server: "shop",
                name: "wipe",
            },
        ),
        (
            Action::GetPrompt,
            Target::Prompt {
                server: "bank",
                name: "letter",
            },
        ),
        (
            Action::Complete,
            Target::Prompt {
                server: "bank",
                name: "letter",
            },
        ),
        (
            Action::ReadResource,
            Target::Resource {
                server: "bank",
                uri: "bank://a",
            },
        ),
        (
            Action::Subscribe,
            Target::Resource {
                server: "shop",
                uri: "bank://a",
            },
        ),
        (Action::List, Target::Server { name: "bank" }),
        (Action::List, Target::Endpoint { path: "/mcp" }),
        (Action::Connect, Target::Endpoint { path: "/mcp" }),
        (Action::Other, Target::Server { name: "shop" }),
    ]);
    let arguments = select(vec![
        None,
        Some("{}"),
        Some(r#"{"to":"x","amount":5}"#),
        Some(r#"{"to":"x","amount":50,"note":"axb","rate":0.1,"address":{"city":"Bonn"}}"#),
        Some(r#"{"to":"x","amount":9223372036854775807}"#),
        Some(r#"{"name":"y","limit":3,"amount":50}"#),
    ]);
    (
        subject(),
        target,
        arguments,
        select(vec!["http", "stdio"]),
        select(vec![None, Some("cli")]),
    )
        .prop_map(|(subject, (action, target), arguments, transport, client)| Question {
            subject,
            action,
            target,
            arguments,
            transport,
            client,
        })
}

/// Cedar over the whole set with the whole context, from the question alone. `None` when the arguments do not fit their
/// declaration: Cedar is not asked then.
fn whole(engine: &Engine, ask: &Ask<'_>) -> Option<Outcome> {
    let spelled_out = engine.spelled_out(ask).unwrap();
    let needs = Needs {
        method: true,
        time: true,
        transport: true,
        client: true,
        revision: true,
        arguments: Some(Wanted::by(&[])),
    };
    let context = context(&needs, spelled_out.shape.as_deref(), &ask.circumstances).ok()?;
    let (principal, resource) = (&spelled_out.principal.uid, &spelled_out.resource.uid);
    let request = request(principal, &spelled_out.action, resource, context).unwrap();
    let set = PolicySet::from_policies(engine.rules.iter().map(|rule| rule.policy.clone())).unwrap();
    let mut outcome = engine.ask(&request, &set, &spelled_out.entities);
    outcome.permits.sort_unstable();
    outcome.forbids.sort_unstable();
    outcome.errors.sort_unstable();
    Some(outcome)
}

/// Whether an argument is given that its tool does not declare and some policy reads: Cedar is not asked then, either.
fn names_undeclared(engine: &Engine, ask: &Ask<'_>) -> bool {
    let shape = engine.spelled_out(ask).unwrap().shape;
    let given: serde_json::Value = serde_json::from_slice(ask.circumstances.arguments.unwrap_or(b"{}")).unwrap();
    let is_declared = |name: &str| shape.as_ref().is_some_and(|shape| shape.fields.contains_key(name));
    let paths = engine.rules.iter().flat_map(|rule| rule.reads.argument_paths());
    let mut names = paths.filter_map(|path| path.first());
    names.any(|name| given.get(name).is_some() && !is_declared(name))
}

fn same(engine: &Engine, question: &Question) -> Result<bool, TestCaseError> {
    let ask = Ask {
        subject: &question.subject,
        action: question.action,
        target: question.target,
        circumstances: Circumstances {
            method: "tools/call",
            arguments: question.arguments.map(str::as_bytes),
            time_unix_ms: 1_795_538_433_999,
            transport: question.transport,
            client: question.client,
            revision: Some("2026-07-28"),
        },
    };
    let Some(whole) = whole(engine, &ask) else {
        return Ok(false);
    };
    let expected: Decision = engine.decision(&whole);
    let first = engine.decide(&ask);
    let second = engine.decide(&ask);
    if first.reason == crate::policy::ReasonCode::ArgumentMismatch && names_undeclared(engine, &ask) {
        prop_assert_eq!(&second, &first, "{:?}", question);
        return Ok(false);
    }
    prop_assert_eq!(&*first, &expected, "{:?}", question);
    prop_assert_eq!(&*second, &expected, "{:?}", question);
    if expected.allowed {
        prop_assert!(
            engine.may_show(ask.subject, ask.action, &ask.target),
            "allowed but not shown: {:?}",
            question
        );
    }
    Ok(true)
}

#[test]
fn index_and_caches_equal_the_whole_set() {
    let sets = match std::env::var_os("PORTCULLIS_PROVE_FULL") {
        Some(_) => SETS_FULL,
        None => SETS_SHORT,
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: sets,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let compared = std::cell::Cell::new(0_u64);
    let strategy = (
        prop::collection::vec(policy(), 0..30),
        prop::collection::vec(question(), QUESTIONS),
    );
    runner
        .run(&strategy, |(policies, questions)| {
            // Unchecked on purpose: policies that fail at run time are part of the property.
            let (mut rules, report) = check::load(&sources(&policies.concat()), &bank());
            prop_assert_eq!(rules.len(), policies.len(), "{}", report);
            for rule in &mut rules {
                rule.unfit.clear();
            }
            let engine = Engine::assemble(rules, &bank()).unwrap();
            for question in &questions {
                if same(&engine, question)? {
                    compared.set(compared.get() + 1);
                }
            }
            Ok(())
        })
        .unwrap();
    let compared = compared.get();
    println!("policy equality: {sets} policy sets, {compared} questions compared");
    assert!(compared > u64::from(sets) * 6, "{compared}");
}
