//! Policies over a catalog that is no longer the one they were written for: what they say of other things holds, and where one
//! no longer fits, it errs on the side of refusing.

use super::*;

fn load(text: &str, facts: &CatalogFacts) -> (Engine, Report) {
    Engine::load(&sources(text), facts).unwrap_or_else(|report| panic!("{report}"))
}

fn without(lost: &str) -> CatalogFacts {
    let mut facts = bank();
    facts.tools.retain(|tool| tool.name != lost);
    facts
}

/// The bank's `transfer`, with other arguments.
fn with_transfer(input_schema: Value) -> CatalogFacts {
    let mut facts = bank();
    let transfer = facts.tools.iter_mut().find(|tool| tool.name == "transfer").unwrap();
    transfer.input_schema = input_schema;
    facts
}

fn errors(report: &Report) -> String {
    assert!(report.has_errors() && !report.is_barred(), "{report}");
    report.to_string()
}

const FIND: Target<'static> = Target::Tool {
    server: "bank",
    name: "find_customer",
};

#[test]
fn a_tool_that_is_gone_takes_nothing_else_with_it() {
    let text = r#"
        @id("find") permit (principal, action == Action::"tools/call", resource == Tool::"bank/find_customer");
        @id("pay") permit (principal, action == Action::"tools/call", resource == Tool::"bank/transfer")
        when { context.arguments.amount <= 1000 };
        @id("no-gifts") forbid (principal, action == Action::"tools/call", resource == Tool::"bank/transfer")
        when { context.arguments has note };
        @id("no-more") forbid (principal, action == Action::"tools/call", resource)
        when { context.arguments has amount && context.arguments.amount > 50000 };
        @id("letters") permit (principal, action == Action::"prompts/get", resource == Prompt::"bank/gone");"#;
    let (engine, report) = load(text, &without("transfer"));
    let said = errors(&report);
    for part in [
        "`bank` has no tool `transfer`",
        "`bank` has no prompt `gone`",
        "none of the 3 tools and prompts in scope has an argument `amount`",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let ana = user("ana", &[]);
    assert!(call(&engine, &ana, FIND, r#"{"name":"x"}"#).allowed);
    assert!(engine.visible(&ana, Listing::Tools).contains(0));
    assert_eq!(call(&engine, &ana, TRANSFER, "{}").reason, ReasonCode::UnknownTarget);
    // It comes back: everything is as it was.
    let (engine, _) = load(text, &bank());
    assert!(call(&engine, &ana, TRANSFER, r#"{"to":"x","amount":1000}"#).allowed);
    assert_eq!(
        labels(&call(&engine, &ana, TRANSFER, r#"{"to":"x","amount":50001}"#)),
        ["no-more"]
    );
}

#[test]
fn a_forbid_that_no_longer_fits_a_tool_refuses_its_calls_and_no_others() {
    let all = r#"@id("all") permit (principal, action, resource);"#;
    let ana = user("ana", &[]);
    for (forbid, schema, arguments) in [
        // The argument is no longer one that Cedar can express: `has` alone would be false, and the call would pass.
        (
            "resource) when { context.arguments has amount && context.arguments.amount > 50000 }",
            json!({"properties": {"amount": {"type": "number"}}}),
            r#"{"amount":60000}"#,
        ),
        // The tool no longer says that it takes the argument. It may take it all the same.
        (
            "resource == Tool::\"bank/transfer\") when { context.arguments has note && context.arguments.note like \"*gift*\" }",
            json!({"properties": {"amount": {"type": "integer"}}}),
            r#"{"amount":1,"note":"a gift"}"#,
        ),
        // Of another type, nothing can equal it.
        (
            "resource == Tool::\"bank/transfer\") when { context.arguments has to && context.arguments.to == \"mallory\" }",
            json!({"properties": {"to": {"type": "integer"}}}),
            r#"{"to":7}"#,
        ),
    ] {
        let text = format!("{all} @id(\"no\") forbid (principal, action == Action::\"tools/call\", {forbid};");
        let (before, _) = load(&text, &bank());
        assert!(
            call(&before, &ana, TRANSFER, r#"{"to":"x","amount":1}"#).allowed,
            "{text}"
        );
        let (engine, report) = load(&text, &with_transfer(schema));
        errors(&report);
        let refused = call(&engine, &ana, TRANSFER, arguments);
        assert_eq!(
            (refused.allowed, refused.reason),
            (false, ReasonCode::EvaluationFailed),
            "{text}"
        );
        assert_eq!(labels(&refused), ["no"]);
        assert!(call(&engine, &ana, FIND, r#"{"name":"x"}"#).allowed, "{text}");
        let visible = engine.visible(&ana, Listing::Tools);
        assert!(!visible.contains(0) && visible.contains(1), "{text}");
        let explained = engine.explain(&Ask {
            subject: &ana,
            action: Action::CallTool,
            target: TRANSFER,
            circumstances: Circumstances::default(),
        });
        assert!(
            explained
                .considered
                .iter()
                .any(|it| matches!(it.verdict, Verdict::Broken(_))),
            "{explained:?}"
        );
    }
}

#[test]
fn a_permit_that_no_longer_fits_a_tool_does_not_hold_there() {
    let text = r#"
        @id("small") permit (principal, action == Action::"tools/call", resource)
        unless { context.arguments has amount && context.arguments.amount > 1000 };"#;
    let ana = user("ana", &[]);
    let (engine, report) = load(
        text,
        &with_transfer(json!({"properties": {"amount": {"type": "number"}}})),
    );
    errors(&report);
    let refused = call(&engine, &ana, TRANSFER, r#"{"amount":60000}"#);
    assert_eq!((refused.allowed, refused.reason), (false, ReasonCode::NoPermit));
    assert!(call(&engine, &ana, FIND, r#"{"name":"x"}"#).allowed);
}

/// A policy for many tools is not given what a tool does not declare. The tool may take it all the same, so that a call with it
/// is refused: else whoever writes the tool's schema would decide whom a `forbid` reaches.
#[test]
fn an_argument_that_is_no_longer_declared_does_not_slip_past_a_policy_for_many_tools() {
    let ana = user("ana", &[]);
    for text in [
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"tools/call", resource)
           when { context has arguments && context.arguments has amount && context.arguments.amount > 50000 };"#,
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"tools/call", resource)
           when { context.arguments has amount && context.arguments.amount > 50000 };"#,
        r#"permit (principal, action == Action::"tools/call", resource)
           unless { context.arguments has amount && context.arguments.amount > 50000 };"#,
    ] {
        for schema in [json!({}), json!({"properties": {"to": {"type": "string"}}})] {
            let (engine, _) = load(text, &with_transfer(schema));
            let refused = call(&engine, &ana, TRANSFER, r#"{"to":"x","amount":60000}"#);
            assert_eq!(
                (refused.allowed, refused.reason),
                (false, ReasonCode::ArgumentMismatch),
                "{text}"
            );
            // Without it, and with others that nobody reads, calls pass.
            assert!(
                call(&engine, &ana, TRANSFER, r#"{"to":"x","note":"y"}"#).allowed,
                "{text}"
            );
            assert!(call(&engine, &ana, FIND, r#"{"name":"x"}"#).allowed, "{text}");
        }
    }
}

/// The same of a member of an argument: the tool declares `address`, and not what a policy reads in it.
#[test]
fn a_member_of_an_argument_that_is_not_declared_does_not_slip_past_a_policy() {
    let ana = user("ana", &[]);
    let address = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let facts = with_transfer(json!({"properties": {"to": {"type": "string"}, "address": address}}));
    for text in [
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"tools/call", resource)
           when { context.arguments has address && context.arguments.address has country
                  && context.arguments.address.country == "x" };"#,
        r#"permit (principal, action == Action::"tools/call", resource)
           unless { context.arguments has address.country && context.arguments.address.country == "x" };"#,
    ] {
        let (engine, _) = load(text, &facts);
        let refused = call(&engine, &ana, TRANSFER, r#"{"address":{"city":"y","country":"x"}}"#);
        assert_eq!(
            (refused.allowed, refused.reason),
            (false, ReasonCode::ArgumentMismatch),
            "{text}"
        );
        for good in [
            "{}",
            r#"{"address":{}}"#,
            r#"{"address":{"city":"y","street":"z"},"country":"x"}"#,
        ] {
            assert!(call(&engine, &ana, TRANSFER, good).allowed, "{text} {good}");
        }
    }
}
