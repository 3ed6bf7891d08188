//! The policies that users begin with: the one written on the first run, and the guide's examples.

use super::*;

#[test]
fn the_starter_policy_loads_and_does_what_it_says() {
    let limit = StarterLimit {
        server: "bank".to_owned(),
        tool: "transfer".to_owned(),
        argument: "amount".to_owned(),
        at_most: 1000,
    };
    let shown = ["find_customer", "transfer", "gone"].map(|tool| StarterShown {
        server: "bank".to_owned(),
        tool: tool.to_owned(),
        class: "IBAN",
        why: "It is needed.",
    });
    let options = StarterOptions {
        limits: vec![limit],
        shown: shown.to_vec(),
    };
    let text = starter(&bank(), "owner", &options);
    assert_eq!(
        text.matches("@results(\"IBAN pass\")").count(),
        1,
        "only of what looks, and is there: {text}"
    );
    assert_eq!(starter_servers(&text), Some("bank, shop, far"));
    assert_eq!(starter_servers("permit (principal, action, resource);"), None);
    let (engine, report) = Engine::load(&sources(&text), &bank()).unwrap_or_else(|report| panic!("{text}\n{report}"));
    assert!(report.problems.is_empty(), "{text}\n{report}");
    let owner = user("owner", &[]);
    assert!(call(&engine, &owner, TRANSFER, r#"{"to":"x","amount":1000}"#).allowed);
    assert!(!call(&engine, &owner, TRANSFER, r#"{"to":"x","amount":1001}"#).allowed);
    assert!(
        call(
            &engine,
            &owner,
            Target::Tool {
                server: "bank",
                name: "find_customer"
            },
            "{}"
        )
        .allowed
    );
    assert!(
        call(
            &engine,
            &owner,
            Target::Tool {
                server: "shop",
                name: "search"
            },
            "{}"
        )
        .allowed
    );
    let wipe = Target::Tool {
        server: "shop",
        name: "wipe",
    };
    assert!(!call(&engine, &owner, wipe, "{}").allowed);
    assert!(
        !call(
            &engine,
            &user("other", &[]),
            Target::Tool {
                server: "shop",
                name: "search"
            },
            "{}"
        )
        .allowed
    );
    for action in Action::ALL
        .into_iter()
        .filter(|action| action.targets().contains(&TargetKind::Endpoint))
    {
        let ask = Ask {
            subject: &owner,
            action,
            target: Target::Endpoint { path: "/mcp" },
            circumstances: Circumstances::default(),
        };
        assert_eq!(engine.decide(&ask).allowed, action != Action::Other, "{action}");
    }

    // Taking the slashes off allows the tool.
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix("// ") {
            Some(rest)
                if ["@id(", "permit (", "  principal", "  action", "  resource", ");"]
                    .iter()
                    .any(|start| rest.starts_with(start)) =>
            {
                rest
            }
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let (engine, report) =
        Engine::load(&sources(&uncommented), &bank()).unwrap_or_else(|report| panic!("{uncommented}\n{report}"));
    assert!(report.problems.is_empty(), "{report}");
    assert!(call(&engine, &owner, wipe, "{}").allowed);
}

#[test]
fn the_starter_policy_survives_hostile_names() {
    let mut facts = CatalogFacts {
        servers: vec![ServerFacts {
            name: "x\n\"};".to_owned(),
            unavailable: false,
        }],
        ..CatalogFacts::default()
    };
    for name in [
        "a\"b",
        "a\\",
        "a\npermit (principal, action, resource);",
        "\u{202e}x",
        "a//b",
        "",
    ] {
        facts.tools.push(tool(
            "x\n\"};",
            name,
            Effect::Write,
            json!({"properties": {"a\nb": {"type": "integer"}, "if": {"type": "integer"}}}),
        ));
    }
    let limits = facts.tools.iter().map(|tool| StarterLimit {
        server: tool.server.clone(),
        tool: tool.name.clone(),
        argument: "if".to_owned(),
        at_most: 3,
    });
    let options = StarterOptions {
        limits: limits.collect(),
        shown: Vec::new(),
    };
    for options in [StarterOptions::default(), options] {
        let text = starter(&facts, "o\"wner\n", &options);
        let (engine, report) =
            Engine::load(&sources(&text), &facts).unwrap_or_else(|report| panic!("{text}\n{report}"));
        assert_eq!(engine.policies(), 2 + options.limits.len(), "{text}");
        assert!(!report.has_errors());
        assert!(
            !call(
                &engine,
                &user("eve", &[]),
                Target::Tool {
                    server: "x\n\"};",
                    name: "a\"b"
                },
                "{}"
            )
            .allowed
        );
    }
}

/// Every block of Cedar in the guide is a policy file that loads over the catalog that the guide speaks of.
#[test]
fn the_guides_examples_load() {
    let guide = include_str!("../../../../../docs/guide/policy.md");
    let mut blocks = 0;
    for block in guide.split("```cedar\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        match Engine::load(&sources(text), &bank()) {
            Ok((_, report)) => assert!(report.problems.is_empty(), "{text}\n{report}"),
            Err(report) => panic!("{text}\n{report}"),
        }
        blocks += 1;
    }
    assert!(blocks >= 8, "{blocks}");
}
