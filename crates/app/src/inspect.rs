//! The commands that look at servers and policies and make no call: `check`, `catalog`, `policy`.

use crate::build::{self, Lasting};
use crate::cli::PolicyCommand;
use crate::failure::{Failure, counted};
use crate::plan::Plan;
use portcullis_gateway::Gateway;
use portcullis_gateway::catalog::Known;
use portcullis_gateway::policy::{self, Report};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long the servers may take to say what they have.
const LIST_WAIT: Duration = Duration::from_secs(30);

/// `check`: the configuration is read already; what is left are the policies and the files that it names.
pub(crate) async fn check(plan: &Plan, json: bool) -> Result<(), Failure> {
    let shared = build::shared_names(&build::identity(plan)?);
    let gateway = listed(plan).await?;
    let report = policy::check(&build::sources(plan)?, &gateway.facts());
    let known = gateway.catalog().known();
    let down: Vec<_> = known
        .iter()
        .filter(|(_, known)| !matches!(known, Known::Listed(_)))
        .collect();
    let findings: Vec<(String, String, String)> = known
        .iter()
        .filter_map(|(name, known)| match known {
            Known::Listed(listing) => Some((name, listing)),
            _ => None,
        })
        .flat_map(|(name, listing)| {
            listing
                .findings
                .iter()
                .map(|(item, what)| (name.to_string(), item.clone(), what.clone()))
        })
        .collect();
    gateway.close().await;
    if json {
        println!(
            "{}",
            json!({
                "policies": report.policies,
                "problems": report.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "servers": known.iter().map(|(name, known)| json!({"name": &**name, "state": state_of(known)})).collect::<Vec<_>>(),
                "shared_names": shared,
                "findings": findings.iter().map(|(server, item, what)| json!({"server": server, "item": item, "finding": what})).collect::<Vec<_>>(),
            })
        );
    } else {
        print!("{report}");
        for (name, known) in &down {
            println!("warning: server `{name}` is {}", state_of(known));
        }
        for warning in &shared {
            println!("warning: {warning}");
        }
        for (server, item, what) in &findings {
            println!("warning: `{server}/{}`: {what}", item.escape_debug());
        }
        println!(
            "{}, {}",
            counted(known.len(), "server", "servers"),
            counted(report.policies, "policy", "policies")
        );
    }
    verdict_of(&report)
}

/// Whether policy files are in order.
fn verdict_of(report: &Report) -> Result<(), Failure> {
    match (report.is_barred(), report.has_errors()) {
        (true, _) => Err(Failure::found("the policies cannot be put in force")),
        (false, true) => Err(Failure::found(
            "the policies have errors: in force, what they concern is refused or never met, and all else holds",
        )),
        (false, false) => Ok(()),
    }
}

fn state_of(known: &Known) -> String {
    match known {
        Known::Listed(_) => "up".to_owned(),
        Known::Down { reason, .. } => format!("down: {reason}"),
        Known::Pending => "still starting".to_owned(),
    }
}

/// `catalog`.
pub(crate) async fn catalog(plan: &Plan, json: bool) -> Result<(), Failure> {
    let gateway = listed(plan).await?;
    let known = gateway.catalog().known();
    let view = gateway.catalog().view("");
    gateway.close().await;
    let has_tools = |known: &Known| matches!(known, Known::Listed(listing) if !listing.tools.is_empty());
    if known.iter().any(|(_, known)| has_tools(known)) {
        println_unless(json, &row("KIND", "NAME", "EFFECT", "CLIENTS SEE"));
    }
    let mut rows = Vec::new();
    for (name, known) in &known {
        let Known::Listed(listing) = known else {
            println_unless(json, &format!("{name}: {}", state_of(known)));
            rows.push(json!({"server": &**name, "state": state_of(known)}));
            continue;
        };
        println_unless(
            json,
            &format!(
                "{name} ({}), {}",
                listing.greeting.revision,
                counted(listing.tools.len(), "tool", "tools")
            ),
        );
        for tool in &listing.tools {
            let exposed = view
                .iter()
                .flat_map(|view| &view.tools)
                .find(|shown| shown.item.id == tool.id);
            let exposed = exposed.map_or("(hidden)", |shown| &shown.name);
            let hint = match tool.hint("readOnlyHint") {
                Some(true) => ", says it only reads",
                _ => "",
            };
            println_unless(
                json,
                &row(
                    "tool",
                    &tool.name.escape_debug().to_string(),
                    tool.impact.effect.as_str(),
                    &format!("{exposed}{hint}"),
                ),
            );
            rows.push(json!({
                "server": &**name, "tool": &*tool.name, "exposed": exposed, "effect": tool.impact.effect.as_str(),
                "idempotent": tool.impact.idempotent, "definition_sha256": hex(&tool.definition_sha256),
            }));
        }
        for (kind, items) in [
            ("prompt", &listing.prompts),
            ("resource", &listing.resources),
            ("template", &listing.templates),
        ] {
            for item in items {
                println_unless(json, &format!("  {kind:<9} {}", item.name.escape_debug()));
                rows.push(json!({"server": &**name, kind: &*item.name}));
            }
        }
        for (item, finding) in &listing.findings {
            println_unless(json, &format!("  finding   {}: {finding}", item.escape_debug()));
            rows.push(json!({"server": &**name, "item": item, "finding": finding}));
        }
    }
    if json {
        println!("{}", Value::Array(rows));
    }
    match known.iter().any(|(_, known)| !matches!(known, Known::Listed(_))) {
        true => Err(Failure::found("some servers are down")),
        false => Ok(()),
    }
}

/// A line of what `catalog` prints of a tool, and the heading of such lines.
fn row(kind: &str, name: &str, effect: &str, exposed: &str) -> String {
    format!("  {kind:<9} {name:<32} {effect:<10} {exposed}")
}

fn println_unless(json: bool, line: &str) {
    if !json {
        println!("{line}");
    }
}

/// `policy check`, `policy show`.
pub(crate) async fn policy(plan: &Plan, command: &PolicyCommand) -> Result<(), Failure> {
    let gateway = listed(plan).await?;
    let facts = gateway.facts();
    gateway.close().await;
    match command {
        PolicyCommand::Show(_) => {
            print!("{}", policy::describe_schema(&facts).map_err(Failure::cannot)?);
            Ok(())
        }
        PolicyCommand::Check(_) => {
            let report = policy::check(&build::sources(plan)?, &facts);
            print!("{report}");
            verdict_of(&report)?;
            match report.policies {
                0 => println!(
                    "no policies: nothing is permitted (hint: the first `portcullis up` writes a policy to start from)"
                ),
                count => println!("{}, in order", counted(count, "policy", "policies")),
            }
            Ok(())
        }
    }
}

/// A gateway that has asked its servers and serves nobody.
pub(crate) async fn listed(plan: &Plan) -> Result<Arc<Gateway>, Failure> {
    let (gateway, _) = build::gateway(plan, &Lasting::without_record())?;
    gateway.settled(LIST_WAIT).await;
    Ok(gateway)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
