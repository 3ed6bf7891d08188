//! What a decision costs. Not a test of anything: run with `--release --ignored --nocapture`.

use super::{bank, sources, tool, user};
use crate::policy::{Action, Ask, CatalogFacts, Circumstances, Engine, Listing, ServerFacts};
use portcullis_wire::Effect;
use serde_json::json;
use std::fmt::Write;
use std::time::Instant;

/// 200 policies, of which 10 match the scope of a call of `bank/transfer` by a clerk; `reading` of those read the context.
fn two_hundred(reading: usize) -> String {
    let mut text = String::new();
    for n in 0..10 {
        let condition = match n < reading {
            true => format!("when {{ context.arguments.amount <= {} }}", 1_000 + n),
            false => format!("when {{ resource.effect == Effect::\"commit\" && principal.name != \"mallory{n}\" }}"),
        };
        let scope =
            "principal in Group::\"clerks\", action == Action::\"tools/call\", resource == Tool::\"bank/transfer\"";
        writeln!(text, "permit ({scope}) {condition};").unwrap();
    }
    for n in 0..190 {
        writeln!(
            text,
            "permit (principal in Group::\"team{n}\", action == Action::\"tools/call\", resource in Server::\"shop\") when {{ principal.name != \"x\" }};"
        )
        .unwrap();
    }
    text
}

fn median_ns(mut run: impl FnMut()) -> u128 {
    let mut rounds: Vec<u128> = (0..9)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..2_000 {
                run();
            }
            start.elapsed().as_nanos() / 2_000
        })
        .collect();
    rounds.sort_unstable();
    rounds[4]
}

#[test]
#[ignore = "a measurement"]
fn what_a_decision_costs() {
    let clerk = user("ana", &["clerks", "staff", "all"]);
    let arguments = br#"{"to":"DE89370400440532013000","amount":250,"note":"rent for November"}"#;
    let circumstances = Circumstances {
        method: "tools/call",
        arguments: Some(arguments),
        ..Circumstances::default()
    };
    let ask = Ask {
        subject: &clerk,
        action: Action::CallTool,
        target: super::TRANSFER,
        circumstances,
    };
    for reading in [0, 1, 10] {
        let text = two_hundred(reading);
        let start = Instant::now();
        let (engine, _) = Engine::load(&sources(&text), &bank()).unwrap_or_else(|report| panic!("{report}"));
        let load = start.elapsed();
        assert!(engine.decide(&ask).allowed);
        let warm = median_ns(|| assert!(engine.decide(&ask).allowed));
        let subjects: Vec<_> = (0..18_001)
            .map(|n| user(&format!("u{n}"), &["clerks", "staff", "all"]))
            .collect();
        let mut next = 0;
        let cold = median_ns(|| {
            let ask = Ask {
                subject: &subjects[next],
                ..ask
            };
            next = (next + 1) % subjects.len();
            assert!(engine.decide(&ask).allowed);
        });
        println!(
            "200 policies, 10 in scope, {reading} read arguments: load {load:?}, known subject {warm} ns, first call of a subject {cold} ns"
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn what_a_view_costs() {
    let tools = (0..1_000).map(|n| {
        let effect = if n % 3 == 0 { Effect::Commit } else { Effect::Read };
        tool(
            &format!("s{}", n % 20),
            &format!("tool_{n}"),
            effect,
            json!({"properties": {"a": {"type": "string"}}}),
        )
    });
    let facts = CatalogFacts {
        servers: (0..20)
            .map(|n| ServerFacts {
                name: format!("s{n}"),
                unavailable: false,
            })
            .collect(),
        tools: tools.collect(),
        ..CatalogFacts::default()
    };
    let mut text = crate::policy::starter(&facts, "owner", &crate::policy::StarterOptions::default());
    for n in 0..200 {
        writeln!(text, "permit (principal in Group::\"g{}\", action == Action::\"tools/call\", resource == Tool::\"s{}/tool_{n}\");", n % 7, n % 20).unwrap();
    }
    let start = Instant::now();
    let (engine, _) = Engine::load(&sources(&text), &facts).unwrap_or_else(|report| panic!("{report}"));
    println!(
        "1,000 tools, {} policies: load {:?}",
        engine.policies(),
        start.elapsed()
    );
    for (name, groups) in [("owner", vec![]), ("ana", vec!["g1", "g2"])] {
        let subject = user(name, &groups);
        let start = Instant::now();
        let count = engine.visible(&subject, Listing::Tools).count();
        let first = start.elapsed();
        let again = median_ns(|| assert_eq!(engine.visible(&subject, Listing::Tools).count(), count));
        println!("view of {name}: {count} of 1,000, first {first:?}, again {again} ns");
    }
}
