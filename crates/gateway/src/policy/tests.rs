//! The policy stage as a whole: decisions, problems found at load, what may be shown, explanations, and the property that
//! the index and the caches never change an answer.

use super::*;
use crate::identity::{Method, Subject, SubjectKind};
use portcullis_wire::Effect;
use serde_json::{Value, json};
use std::sync::Arc;

mod drift;
mod equality;
mod measure;
mod people;
mod starter;

pub(super) fn tool(server: &str, name: &str, effect: Effect, input_schema: Value) -> ToolFacts {
    ToolFacts {
        server: server.to_owned(),
        name: name.to_owned(),
        effect,
        idempotent: effect.is_read(),
        input_schema,
    }
}

pub(super) fn bank() -> CatalogFacts {
    let server = |name: &str, unavailable| ServerFacts {
        name: name.to_owned(),
        unavailable,
    };
    let transfer = json!({"type": "object", "required": ["to", "amount"], "properties": {
        "to": {"type": "string"}, "amount": {"type": "integer"}, "rate": {"type": "number"},
        "note": {"type": "string"}, "address": {"type": "object", "properties": {"city": {"type": "string"}}}
    }});
    let find = json!({"type": "object", "properties": {"name": {"type": "string"}, "limit": {"type": "integer"}}});
    CatalogFacts {
        servers: vec![server("bank", false), server("shop", false), server("far", true)],
        tools: vec![
            tool("bank", "transfer", Effect::Commit, transfer),
            tool("bank", "find_customer", Effect::Read, find),
            tool(
                "shop",
                "search",
                Effect::Fetch,
                json!({"type": "object", "properties": {"q": {"type": "string"}}}),
            ),
            tool("shop", "wipe", Effect::Destroy, json!({"type": "object"})),
        ],
        prompts: vec![PromptFacts {
            server: "bank".to_owned(),
            name: "letter".to_owned(),
            arguments: vec![PromptArgument {
                name: "tone".to_owned(),
                required: false,
            }],
        }],
        endpoints: vec!["/mcp".to_owned(), "/mcp/bank".to_owned()],
        people: None,
    }
}

pub(super) fn user(name: &str, groups: &[&str]) -> Subject {
    let groups = groups.iter().map(|group| (*group).to_owned());
    Subject::new(SubjectKind::User, name, groups, Method::Key, None).unwrap()
}

pub(super) fn sources(text: &str) -> Vec<Source> {
    vec![Source {
        name: "test.cedar".to_owned(),
        text: text.to_owned(),
    }]
}

pub(super) fn engine(text: &str) -> Engine {
    match Engine::load(&sources(text), &bank()) {
        Ok((engine, _)) => engine,
        Err(report) => panic!("{report}"),
    }
}

pub(super) const TRANSFER: Target<'static> = Target::Tool {
    server: "bank",
    name: "transfer",
};

fn call(engine: &Engine, subject: &Subject, target: Target<'_>, arguments: &str) -> Arc<Decision> {
    engine.decide(&Ask {
        subject,
        action: Action::CallTool,
        target,
        circumstances: Circumstances {
            method: "tools/call",
            arguments: Some(arguments.as_bytes()),
            time_unix_ms: 1_795_538_433_999,
            transport: "http",
            client: None,
            revision: Some("2026-07-28"),
        },
    })
}

fn labels(decision: &Decision) -> Vec<&str> {
    decision.policies.iter().map(|label| &**label).collect()
}

const CLERKS: &str = r#"
@id("clerks-small") @mask("iban")
permit (principal in Group::"clerks", action == Action::"tools/call", resource == Tool::"bank/transfer")
when { context.arguments.amount <= 1000 };

@id("not-to-mallory")
forbid (principal, action == Action::"tools/call", resource in Server::"bank")
when { context.arguments has to && context.arguments.to == "mallory" };
"#;

#[test]
fn default_is_deny_and_forbid_wins() {
    let engine = engine(CLERKS);
    let clerk = user("ana", &["clerks"]);
    let yes = call(&engine, &clerk, TRANSFER, r#"{"to":"bob","amount":1000,"rate":0.5}"#);
    assert!(yes.allowed);
    assert_eq!(labels(&yes), ["clerks-small"]);
    assert_eq!(
        yes.obligations.first().map(|it| (it.kind, it.value.as_str())),
        Some((ObligationKind::Mask, "iban"))
    );

    let too_much = call(&engine, &clerk, TRANSFER, r#"{"to":"bob","amount":1001}"#);
    assert_eq!((too_much.allowed, too_much.reason), (false, ReasonCode::NoPermit));

    let forbidden = call(&engine, &clerk, TRANSFER, r#"{"to":"mallory","amount":1}"#);
    assert_eq!((forbidden.allowed, forbidden.reason), (false, ReasonCode::Forbidden));
    assert_eq!(labels(&forbidden), ["not-to-mallory"]);
    assert!(forbidden.obligations.is_empty());

    let other = call(&engine, &user("bob", &[]), TRANSFER, r#"{"to":"bob","amount":1}"#);
    assert_eq!(other.reason, ReasonCode::NoPermit);
    let nobody = Engine::load(&[], &bank()).unwrap().0;
    assert_eq!(call(&nobody, &clerk, TRANSFER, "{}").reason, ReasonCode::NoPermit);
}

#[test]
fn arguments_that_do_not_fit_are_refused_and_not_skipped() {
    let engine = engine(CLERKS);
    let clerk = user("ana", &["clerks"]);
    for bad in [
        r#"{"to":"bob","amount":"1"}"#,
        r#"{"to":"bob"}"#,
        r#"{"to":"bob","amount":1,"amount":5000}"#,
        r#"{"to":["mallory"],"amount":1}"#,
        r#"{"to":"bob","amount":1e30}"#,
        "[]",
        "",
    ] {
        let decision = call(&engine, &clerk, TRANSFER, bad);
        assert_eq!(
            (decision.allowed, decision.reason),
            (false, ReasonCode::ArgumentMismatch),
            "{bad}"
        );
    }
}

#[test]
fn a_forbid_that_cannot_be_evaluated_refuses() {
    let engine = engine(
        r#"@id("all") permit (principal, action, resource);
        @id("sum") forbid (principal, action == Action::"tools/call", resource == Tool::"bank/transfer")
        when { context.arguments.amount + 1 > 1000 };"#,
    );
    let ana = user("ana", &[]);
    assert!(call(&engine, &ana, TRANSFER, r#"{"to":"x","amount":1}"#).allowed);
    let overflow = call(&engine, &ana, TRANSFER, r#"{"to":"x","amount":9223372036854775807}"#);
    assert_eq!(
        (overflow.allowed, overflow.reason),
        (false, ReasonCode::EvaluationFailed)
    );
    assert_eq!(labels(&overflow), ["sum"]);
    assert_eq!(overflow.errors.len(), 1);
}

#[test]
fn what_is_not_in_the_catalog_is_refused_whatever_policy_says() {
    let engine = engine("permit (principal, action, resource);");
    let ana = user("ana", &[]);
    let ask = |action, target| {
        let circumstances = Circumstances::default();
        engine
            .decide(&Ask {
                subject: &ana,
                action,
                target,
                circumstances,
            })
            .reason
    };
    let tool = |server, name| Target::Tool { server, name };
    assert_eq!(ask(Action::CallTool, tool("bank", "transfer")), ReasonCode::Permitted);
    assert_eq!(ask(Action::CallTool, tool("bank", "steal")), ReasonCode::UnknownTarget);
    assert_eq!(
        ask(Action::CallTool, tool("nowhere", "transfer")),
        ReasonCode::UnknownTarget
    );
    assert_eq!(
        ask(Action::CallTool, Target::Server { name: "bank" }),
        ReasonCode::UnknownTarget
    );
    assert_eq!(
        ask(Action::List, Target::Server { name: "bank" }),
        ReasonCode::Permitted
    );
    assert_eq!(
        ask(Action::List, Target::Server { name: "none" }),
        ReasonCode::UnknownTarget
    );
    assert_eq!(
        ask(Action::List, Target::Endpoint { path: "/mcp" }),
        ReasonCode::Permitted
    );
    let resource = |server| Target::Resource {
        server,
        uri: "bank://x",
    };
    assert_eq!(ask(Action::ReadResource, resource("bank")), ReasonCode::Permitted);
    assert_eq!(ask(Action::ReadResource, resource("none")), ReasonCode::UnknownTarget);
    let prompt = |name| Target::Prompt { server: "bank", name };
    assert_eq!(ask(Action::GetPrompt, prompt("letter")), ReasonCode::Permitted);
    assert_eq!(ask(Action::GetPrompt, prompt("other")), ReasonCode::UnknownTarget);
}

#[test]
fn attributes_and_circumstances_can_be_asked_for() {
    let engine = engine(
        r#"@id("reads") permit (principal, action == Action::"tools/call", resource)
        when { resource.effect in [Effect::"read", Effect::"fetch"] && resource.idempotent };
        @id("public") permit (principal, action == Action::"resources/read", resource in Server::"bank")
        when { resource.uri like "bank://public/*" };
        @id("no-stdio") forbid (principal, action, resource) when { context.transport == "stdio" };
        @id("no-night") forbid (principal, action == Action::"tools/call", resource is Tool in Server::"shop")
        when { context.time.toTime() < duration("6h") };
        @id("keys-only") forbid (principal is User, action, resource)
        unless { principal.credential == Credential::"key" || principal.credential == Credential::"jwt" };"#,
    );
    let ana = user("ana", &[]);
    let search = Target::Tool {
        server: "shop",
        name: "search",
    };
    let ask = |subject: &Subject, action, target, transport, time_unix_ms| {
        let circumstances = Circumstances {
            transport,
            time_unix_ms,
            ..Circumstances::default()
        };
        engine.decide(&Ask {
            subject,
            action,
            target,
            circumstances,
        })
    };
    let noon = 1_795_521_600_000;
    let night = noon - 43_200_000 + 3_600_000;
    assert!(ask(&ana, Action::CallTool, search, "http", noon).allowed);
    assert_eq!(
        labels(&ask(&ana, Action::CallTool, search, "stdio", noon)),
        ["no-stdio"]
    );
    assert_eq!(
        labels(&ask(&ana, Action::CallTool, search, "http", night)),
        ["no-night"]
    );
    assert_eq!(
        ask(&ana, Action::CallTool, TRANSFER, "http", noon).reason,
        ReasonCode::NoPermit
    );
    let resource = |uri| Target::Resource { server: "bank", uri };
    assert!(
        ask(
            &ana,
            Action::ReadResource,
            resource("bank://public/rates"),
            "http",
            noon
        )
        .allowed
    );
    assert!(
        !ask(
            &ana,
            Action::ReadResource,
            resource("bank://private/rates"),
            "http",
            noon
        )
        .allowed
    );
    let guest = Subject::new(SubjectKind::User, "ana", [], Method::Anonymous, None).unwrap();
    assert_eq!(
        labels(&ask(&guest, Action::CallTool, search, "http", noon)),
        ["keys-only"]
    );
}

/// What is permitted to the subjects of one issuer is not permitted to a namesake of another, or of a key.
#[test]
fn issuers_can_be_told_apart() {
    let engine = engine(
        r#"@id("a-searches") permit (principal, action == Action::"tools/call", resource == Tool::"shop/search")
        when { principal has issuer && principal.issuer == "https://a.example" };
        @id("bank-is-for-keys") forbid (principal, action, resource in Server::"bank") when { principal has issuer };
        @id("ana-transfers") permit (principal == User::"https://a.example#ana", action == Action::"tools/call", resource in Server::"shop");"#,
    );
    let of = |name: &str, issuer: &str| {
        let subject = Subject::new(SubjectKind::User, name, [], Method::Jwt, None).unwrap();
        subject.issued_by(issuer).unwrap()
    };
    let (search, wipe) = ("search", "wipe");
    let may = |subject: &Subject, name: &'static str| {
        let decision = call(&engine, subject, Target::Tool { server: "shop", name }, "{}");
        (decision.allowed, labels(&decision).len())
    };
    // Names that are alike, to see that nothing but the issuer tells them apart.
    assert_eq!(may(&of("ana", "https://a.example"), search), (true, 1));
    assert_eq!(may(&of("ana", "https://b.example"), search), (false, 0));
    assert_eq!(may(&user("ana", &[]), search), (false, 0));
    assert_eq!(may(&of("https://a.example#ana", "https://a.example"), wipe), (true, 1));
    for other in ["ana", "https://b.example#ana"] {
        assert_eq!(may(&of(other, "https://b.example"), wipe), (false, 0));
    }
    let barred = call(
        &engine,
        &of("ana", "https://a.example"),
        TRANSFER,
        r#"{"to":"bob","amount":1}"#,
    );
    assert_eq!(labels(&barred), ["bank-is-for-keys"]);
    assert_eq!(
        call(&engine, &user("ana", &[]), TRANSFER, r#"{"to":"bob","amount":1}"#).reason,
        ReasonCode::NoPermit
    );
    // Whether there is an issuer must be asked first.
    let unasked = r#"permit (principal, action, resource) when { principal.issuer == "https://a.example" };"#;
    assert!(check(&sources(unasked), &bank()).has_errors());
}

/// Each bad policy file, part of the message, part of the hint, and where it stands.
#[test]
fn problems_are_found_at_load_with_place_and_hint() {
    let mut wrong = Vec::new();
    for (text, message, hint, at) in [
        (
            "permit (principal, action, resource == Tool::\"bank/transfr\");",
            "no tool `transfr`",
            "did you mean `Tool::\"bank/transfer\"`?",
            (1, 40),
        ),
        (
            "permit (principal, action, resource in Server::\"bnak\");",
            "no upstream `bnak`",
            "did you mean `Server::\"bank\"`?",
            (1, 40),
        ),
        (
            "permit (principal, action, resource)\nwhen { resource == Tool::\"bank/none_such\" };",
            "no tool `none_such`",
            "",
            (2, 20),
        ),
        (
            "permit (principal, action, resource == Tool::\"transfer\");",
            "names no upstream",
            "`upstream/name`",
            (1, 40),
        ),
        (
            "permit (principal, action, resource == Prompt::\"bank/leter\");",
            "no prompt `leter`",
            "letter",
            (1, 40),
        ),
        (
            "permit (principal, action, resource == Endpoint::\"/mpc\");",
            "no endpoint `/mpc`",
            "/mcp",
            (1, 40),
        ),
        (
            "permit (principal, action == Action::\"tool/call\", resource);",
            "no action `tool/call`",
            "did you mean `Action::\"tools/call\"`?",
            (1, 30),
        ),
        (
            "permit (principal is Usr, action, resource);",
            "unrecognized entity type `Usr`",
            "`User`",
            (1, 22),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource) when { resource.effect == Effect::\"reed\" };",
            "not declared as a valid eid",
            "\"read\"",
            (1, 88),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource) when { resource.effekt == 1 };",
            "effekt",
            "effect",
            (1, 69),
        ),
        (
            "permit (principal, action, resource) when { context.tyme == 1 };",
            "tyme",
            "",
            (1, 45),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource == Tool::\"bank/transfer\") when { context.arguments.amuont > 1 };",
            "`bank/transfer` has no argument `amuont`",
            "did you mean `amount`?",
            (1, 112),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource == Tool::\"bank/transfer\") when { context.arguments.rate > 1 };",
            "`rate` of `bank/transfer` may not be named",
            "another argument",
            (1, 112),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource == Tool::\"bank/transfer\") when { context.arguments has rate };",
            "may not be named",
            "",
            (1, 116),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource == Tool::\"bank/transfer\") when { context.arguments.amount == \"1\" };",
            "types Long and String are not compatible",
            "",
            (1, 94),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource == Tool::\"bank/transfer\") when { context.arguments.note == \"1\" };",
            "(in a call of `bank/transfer`)",
            "has",
            (1, 94),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource) when { context.arguments.amount > 1 };",
            "in a call of",
            "scope",
            (1, 69),
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource == Tool::\"bank/transfer\") when { context.arguments.address.town == \"x\" };",
            "no argument `address.town`",
            "",
            (1, 120),
        ),
        (
            "permit (principal, action == Action::\"prompts/get\", resource == Prompt::\"bank/letter\") when { context.arguments has ton };",
            "no argument `ton`",
            "did you mean `tone`?",
            (1, 117),
        ),
        (
            "permit (principal == ?principal, action, resource);",
            "template",
            "in place of the `?`",
            (1, 22),
        ),
        (
            "permit (principal, action, resource)\nwhen { 1 + };",
            "unexpected token",
            "",
            (2, 12),
        ),
        (
            "permit (principal, action, resource)",
            "unexpected end of input",
            "",
            (1, 37),
        ),
        (
            "permit (principal, action, resource);\n\npermt (principal, action, resource);",
            "permt",
            "",
            (3, 1),
        ),
        (
            "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
            "is there already, at test.cedar:1",
            "its own",
            (2, 2),
        ),
        (
            "@id(\"\") permit (principal, action, resource);",
            "1 to 128 bytes",
            "",
            (1, 2),
        ),
        (
            "permit (principal, action, resource) when { \"never closed };",
            "",
            "",
            (1, 45),
        ),
    ] {
        let report = check(&sources(text), &bank());
        let errors: Vec<&Problem> = report
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        let found = errors.iter().any(|problem| {
            problem.message.contains(message)
                && problem.hint.as_deref().unwrap_or("").contains(hint)
                && (problem.line, problem.column) == at
        });
        if !found {
            wrong.push(format!("{text}\nwanted {message:?} {hint:?} {at:?}, got\n{report}"));
        }
        // What a server can cause by changing what it has takes no policy down.
        let of_catalog = [
            "no tool",
            "no prompt",
            "argument",
            "may not be named",
            "in a call of",
            "types Long",
        ];
        let stays = of_catalog.iter().any(|part| message.contains(part));
        assert_eq!(Engine::load(&sources(text), &bank()).is_ok(), stays, "{text}\n{report}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_are_told_at_once() {
    let report = check(
        &sources(
            "permit (principal, action, resource == Tool::\"bank/transfr\");\npermit (;\n\
            permit (principal, action, resource) when { context.tyme == 1 };\n@foo permit (principal, action, resource);",
        ),
        &bank(),
    );
    let lines: Vec<u32> = report.problems.iter().map(|problem| problem.line).collect();
    for line in [1, 2, 3, 4] {
        assert!(lines.contains(&line), "{line}: {report}");
    }
    assert!(report.has_errors());
    assert!(
        report
            .left_out
            .iter()
            .any(|left_out| left_out.tool == "bank/transfer" && left_out.argument == "rate")
    );
}

#[test]
fn warnings_do_not_keep_policies_from_being_in_force() {
    for (text, message) in [
        (
            "permit (principal, action, resource == Tool::\"far/away\");",
            "`far` is down or not listed yet",
        ),
        ("@colour(\"red\") permit (principal, action, resource);", "`@colour`"),
        (
            "@mask(\"x\") forbid (principal, action, resource);",
            "does nothing on a `forbid`",
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource == Server::\"bank\");",
            "",
        ),
        (
            "permit (principal, action == Action::\"tools/call\", resource == Tool::\"far/away\") when { context.arguments.x == 1 };",
            "not checked",
        ),
    ] {
        let (_, report) = Engine::load(&sources(text), &bank()).unwrap_or_else(|report| panic!("{text}: {report}"));
        assert!(
            report.problems.iter().any(|problem| problem.message.contains(message)),
            "{text}: {report}"
        );
    }
}

#[test]
fn a_class_or_action_that_does_not_exist_keeps_policies_from_being_in_force() {
    for (annotation, hint) in [
        ("@results(\"IBNA pass\")", "did you mean `IBAN`?"),
        ("@results(\"IBAN maks\")", "did you mean `mask`?"),
        ("@arguments(\"IBAN mask\")", "never rewritten"),
        ("@mask(\"ibam\")", "did you mean `IBAN`?"),
        ("@redact(\"iban\")", "@results"),
    ] {
        let text = format!("@id(\"x\")\n{annotation}\npermit (principal, action, resource);");
        let report = Engine::load(&sources(&text), &bank()).unwrap_err();
        let [problem] = report.problems.as_slice() else {
            panic!("{text}: {report}")
        };
        assert_eq!((problem.line, problem.policy.as_deref()), (2, Some("x")), "{report}");
        assert!(
            problem.hint.as_deref().is_some_and(|said| said.contains(hint)),
            "{report}"
        );
    }
    let text = "@results(\"secrets withhold, iban pass\") @arguments(\"marks pass\") @redact permit (principal, action, resource);";
    let (_, report) = Engine::load(&sources(text), &bank()).unwrap_or_else(|report| panic!("{report}"));
    assert!(report.problems.is_empty(), "{report}");
}

#[test]
fn limits_hold() {
    let many = "permit (principal, action, resource);\n".repeat(20_001);
    assert!(
        check(&sources(&many), &CatalogFacts::default())
            .problems
            .iter()
            .any(|it| it.message.contains("20000"))
    );
    let big = " ".repeat(FILE_BYTES_MAX + 1);
    assert!(check(&sources(&big), &bank()).has_errors());
    for deep in [
        format!(
            "permit (principal, action, resource) when {{ {}true{} }};",
            "(".repeat(5_000),
            ")".repeat(5_000)
        ),
        format!(
            "permit (principal, action, resource) when {{ {}true }};",
            "!".repeat(5_000)
        ),
        format!(
            "permit (principal, action, resource) when {{ true{} }};",
            " && true".repeat(5_000)
        ),
        format!(
            "permit (principal, action, resource) when {{ {}1{} }};",
            "if true then ".repeat(2_000),
            " else 1".repeat(2_000)
        ),
    ] {
        assert!(check(&sources(&deep), &bank()).has_errors());
    }
}

#[test]
fn unscoped_policies_may_read_an_argument_that_they_ask_for_first() {
    let engine = engine(
        r#"permit (principal, action, resource);
        @id("cap") forbid (principal, action == Action::"tools/call", resource)
        when { context.arguments has amount && context.arguments.amount > 10 };"#,
    );
    let ana = user("ana", &[]);
    assert!(call(&engine, &ana, TRANSFER, r#"{"to":"x","amount":10}"#).allowed);
    assert_eq!(
        labels(&call(&engine, &ana, TRANSFER, r#"{"to":"x","amount":11}"#)),
        ["cap"]
    );
    // Another tool does not declare an argument of that name: it cannot be looked at, and so not be given.
    let wipe = Target::Tool {
        server: "shop",
        name: "wipe",
    };
    assert_eq!(
        call(&engine, &ana, wipe, r#"{"amount":11}"#).reason,
        ReasonCode::ArgumentMismatch
    );
    assert!(call(&engine, &ana, wipe, r#"{"other":11}"#).allowed);
}

#[test]
fn only_what_may_be_allowed_is_shown() {
    let engine = engine(&format!(
        "{CLERKS} @id(\"reads\") permit (principal, action == Action::\"tools/call\", resource) when {{ resource.effect == Effect::\"read\" }};
        @id(\"no-shop\") forbid (principal, action == Action::\"tools/call\", resource in Server::\"shop\");
        @id(\"shop\") permit (principal == User::\"ana\", action == Action::\"tools/call\", resource in Server::\"shop\");"
    ));
    let shown = |subject: &Subject| -> Vec<bool> {
        let visible = engine.visible(subject, Listing::Tools);
        (0..4).map(|place| visible.contains(place)).collect()
    };
    assert_eq!(shown(&user("ana", &["clerks"])), [true, true, false, false]);
    assert_eq!(shown(&user("bob", &[])), [false, true, false, false]);
    assert_eq!(engine.visible(&user("bob", &[]), Listing::Tools).count(), 1);
    assert_eq!(engine.visible(&user("bob", &[]), Listing::Prompts).count(), 0);
    assert_eq!(engine.tool_place("shop", "wipe"), Some(3));
    assert_eq!(engine.prompt_place("bank", "letter"), Some(0));
    assert_eq!(engine.tool_place("shop", "letter"), None);
    assert!(engine.may_show(&user("bob", &["clerks"]), Action::CallTool, &TRANSFER));
    let resource = Target::Resource {
        server: "bank",
        uri: "x",
    };
    assert!(!engine.may_show(&user("bob", &["clerks"]), Action::ReadResource, &resource));
}

/// What the caller can change comes before what no call of theirs to this tool can meet.
#[test]
fn hints_begin_with_what_is_in_reach() {
    let engine = engine(
        r#"@id("readers") permit (principal, action == Action::"tools/call", resource)
        when { resource.effect == Effect::"read" };
        @id("others") permit (principal == User::"eve", action == Action::"tools/call", resource);
        @id("both") permit (principal, action == Action::"tools/call", resource == Tool::"bank/transfer")
        when { principal.name == "eve" && context.arguments.amount <= 10 };
        @id("small") permit (principal, action == Action::"tools/call", resource == Tool::"bank/transfer")
        when { context.arguments.amount <= 1000 };
        @id("not-now") forbid (principal, action, resource) when { context.transport == "http" };"#,
    );
    let needed = |transport| {
        let explanation = engine.explain(&Ask {
            subject: &user("ana", &[]),
            action: Action::CallTool,
            target: TRANSFER,
            circumstances: Circumstances {
                transport,
                arguments: Some(br#"{"to":"bob","amount":5000}"#),
                ..Circumstances::default()
            },
        });
        let first_words = explanation
            .needed
            .iter()
            .map(|line| line.split(' ').next().unwrap_or("").to_owned());
        first_words.collect::<Vec<_>>()
    };
    assert_eq!(needed("stdio"), ["`small`", "`others`", "`readers`", "`both`", "a"]);
    assert_eq!(needed("http").first().unwrap(), "`not-now`");
}

#[test]
fn an_explanation_names_the_policy_the_condition_and_the_way_out() {
    let engine = engine(CLERKS);
    let clerk = user("ana", &["clerks"]);
    let explain = |subject: &Subject, arguments: &str| {
        engine.explain(&Ask {
            subject,
            action: Action::CallTool,
            target: TRANSFER,
            circumstances: Circumstances {
                arguments: Some(arguments.as_bytes()),
                ..Circumstances::default()
            },
        })
    };
    let too_much = explain(&clerk, r#"{"to":"bob","amount":5000}"#);
    assert_eq!(
        too_much.asked,
        ["User::\"ana\"", "Action::\"tools/call\"", "Tool::\"bank/transfer\""]
    );
    let [small, mallory] = too_much.considered.as_slice() else {
        panic!("{too_much:?}")
    };
    assert_eq!((small.id.as_str(), &small.verdict), ("clerks-small", &Verdict::Fails));
    assert_eq!(
        small.unmet().map(|clause| clause.text.as_str()).collect::<Vec<_>>(),
        ["context.arguments.amount <= 1000"]
    );
    assert_eq!(
        mallory.clauses.iter().map(Clause::met).collect::<Vec<_>>(),
        [true, false]
    );
    assert!(
        too_much
            .needed
            .iter()
            .any(|line| line.contains("clerks-small") && line.contains("<= 1000")),
        "{too_much:?}"
    );

    let forbidden = explain(&clerk, r#"{"to":"mallory","amount":1}"#);
    assert!(
        forbidden
            .needed
            .iter()
            .any(|line| line.contains("not-to-mallory") && line.contains("forbids")),
        "{forbidden:?}"
    );
    let stranger = explain(&user("eve", &[]), r#"{"to":"bob","amount":1}"#);
    assert_eq!(
        stranger.near.first().map(|near| (near.id.as_str(), near.misses)),
        Some(("clerks-small", "principal"))
    );
    assert!(
        stranger
            .needed
            .iter()
            .any(|line| line.contains("permit (principal == User::\"eve\"")),
        "{stranger:?}"
    );
    assert!(explain(&clerk, r#"{"amount":"x"}"#).arguments.is_some());
    assert!(explain(&clerk, r#"{"to":"bob","amount":1}"#).needed.is_empty());
}
