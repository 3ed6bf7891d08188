//! The commands that look and do not serve: `check`, `catalog`, `policy`, `explain`, `audit`, `key`.

use crate::build::{self, Lasting};
use crate::cli::{AuditCommand, KeyCommand, PolicyCommand};
use crate::failure::Failure;
use crate::plan::Plan;
use crate::run::now_unix_s;
use portcullis_gateway::Gateway;
use portcullis_gateway::catalog::Known;
use portcullis_gateway::identity::{KEY_PREFIX, Method, NewKey, Subject, SubjectKind};
use portcullis_gateway::policy::{self, Action, Ask, Circumstances, Explanation, Report, Target, TargetKind, Verdict};
use portcullis_ledger::{Tail, VerifierKey, verify};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the servers may take to say what they have.
const LIST_WAIT: Duration = Duration::from_secs(30);

/// `check`: the configuration is read already; what is left are the policies and the files that it names.
pub(crate) async fn check(plan: &Plan, json: bool) -> Result<(), Failure> {
    let gateway = listed(plan).await?;
    let report = policy::check(&build::sources(plan)?, &facts(&gateway));
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
                "findings": findings.iter().map(|(server, item, what)| json!({"server": server, "item": item, "finding": what})).collect::<Vec<_>>(),
            })
        );
    } else {
        print!("{report}");
        for (name, known) in &down {
            println!("warning: server `{name}` is {}", state_of(known));
        }
        for (server, item, what) in &findings {
            println!("warning: `{server}/{}`: {what}", item.escape_debug());
        }
        println!("{} servers, {} policies", known.len(), report.policies);
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
    let mut rows = Vec::new();
    for (name, known) in &known {
        let Known::Listed(listing) = known else {
            println_unless(json, &format!("{name}: {}", state_of(known)));
            rows.push(json!({"server": &**name, "state": state_of(known)}));
            continue;
        };
        println_unless(
            json,
            &format!("{name} ({}), {} tools", listing.greeting.revision, listing.tools.len()),
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
                &format!(
                    "  tool      {:<32} {:<10} {exposed}{hint}",
                    tool.name.escape_debug().to_string(),
                    tool.impact.effect
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

fn println_unless(json: bool, line: &str) {
    if !json {
        println!("{line}");
    }
}

/// `policy check`, `policy show`.
pub(crate) async fn policy(plan: &Plan, command: &PolicyCommand) -> Result<(), Failure> {
    let gateway = listed(plan).await?;
    let facts = facts(&gateway);
    gateway.close().await;
    match command {
        PolicyCommand::Show => {
            print!("{}", policy::describe_schema(&facts).map_err(Failure::cannot)?);
            Ok(())
        }
        PolicyCommand::Check => {
            let report = policy::check(&build::sources(plan)?, &facts);
            print!("{report}");
            verdict_of(&report)?;
            match report.policies {
                0 => println!(
                    "no policies: nothing is permitted (hint: the first `portcullis up` writes a policy to start from)"
                ),
                count => println!("{count} policies, in order"),
            }
            Ok(())
        }
    }
}

/// What `explain` is asked.
pub(crate) struct Question<'a> {
    /// Who asks; the owner of the first key, if nobody is named.
    pub(crate) subject: Option<&'a str>,
    pub(crate) groups: &'a [String],
    pub(crate) method: &'a str,
    pub(crate) target: Option<&'a str>,
    pub(crate) arguments: Option<&'a str>,
}

/// `explain`.
pub(crate) async fn explain(plan: &Plan, question: &Question<'_>, json: bool) -> Result<(), Failure> {
    match question.method {
        "last" => explain_last(plan, question, json).await,
        _ => explain_asked(plan, question, json).await,
    }
}

/// How far back the last refusal is looked for, in records.
const LAST_RECORDS_MAX: u64 = 20_000;

/// The last refusal on the record. Who was refused stands there as a keyed handle, so that whoever wants the policies asked
/// again says as whom.
async fn explain_last(plan: &Plan, question: &Question<'_>, json: bool) -> Result<(), Failure> {
    let refusal = last_refusal(&plan.record_directory())?
        .ok_or_else(|| Failure::found(format!("no refusal among the last {LAST_RECORDS_MAX} records")))?;
    let text = |path: &str| refusal.pointer(path).and_then(Value::as_str).unwrap_or("");
    let target = match (text("/call/tool"), text("/call/upstream")) {
        ("", "") => "/mcp",
        ("", upstream) => upstream,
        (tool, _) => tool,
    };
    let method = text("/call/method");
    if question.subject.is_some() {
        let again = Question {
            method,
            // A resource stands on the record by its server alone; whoever knows its URI may say it.
            target: question.target.or(Some(target)),
            ..*question
        };
        return explain_asked(plan, &again, json).await;
    }
    if json {
        println!("{refusal}");
        return Ok(());
    }
    let ids = refusal.pointer("/policy/ids").and_then(Value::as_array);
    let ids: Vec<&str> = ids.into_iter().flatten().filter_map(Value::as_str).collect();
    let (method, target) = (method.escape_debug(), target.escape_debug());
    println!("refused  {method} {target}, {}", text("/ts"));
    println!("reason   {}", text("/policy/reason_code"));
    println!(
        "policies {}",
        match ids.is_empty() {
            true => "none allows it".to_owned(),
            false => ids.join(", "),
        }
    );
    println!("hint: `portcullis explain --as NAME last` asks the policies in force again for that caller;");
    println!("      the record has no names and no arguments, hint: `--arguments JSON`");
    Ok(())
}

fn last_refusal(directory: &Path) -> Result<Option<Value>, Failure> {
    let cannot = |error: std::io::Error| Failure::cannot(format!("record in `{}`: {error}", directory.display()));
    let length = Tail::length(directory).map_err(cannot)?;
    let mut reader = Tail::new(directory, length.saturating_sub(LAST_RECORDS_MAX));
    let mut last = None;
    while let Some(record) = reader.next_record().map_err(cannot)? {
        let Ok(record) = serde_json::from_str::<Value>(&record.json) else {
            continue;
        };
        if record.get("t").and_then(Value::as_str) == Some("decision")
            && record.pointer("/policy/decision").and_then(Value::as_str) == Some("deny")
        {
            last = Some(record);
        }
    }
    Ok(last)
}

async fn explain_asked(plan: &Plan, question: &Question<'_>, json: bool) -> Result<(), Failure> {
    let action = Action::of_method(question.method);
    let id = question.target.unwrap_or("/mcp");
    let target = action
        .targets()
        .iter()
        .find_map(|kind| {
            let fits = match kind {
                TargetKind::Endpoint => id.starts_with('/'),
                TargetKind::Server => !id.contains('/'),
                _ => id.contains('/') && !id.starts_with('/'),
            };
            fits.then(|| Target::parse(*kind, id)).flatten()
        })
        .ok_or_else(|| {
            Failure::usage(format!(
                "`{}` is not asked of `{id}`, hint: `server/tool`, `server/uri`, a server's name or `/mcp`",
                question.method
            ))
        })?;
    if let Some(arguments) = question.arguments
        && !serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object())
    {
        return Err(Failure::usage(
            "`--arguments` is no JSON object, hint: '{\"name\": \"value\"}'",
        ));
    }
    let subject = Subject::new(
        SubjectKind::User,
        question.subject.unwrap_or(&plan.owner),
        question.groups.iter().cloned(),
        Method::Key,
        None,
    )
    .map_err(Failure::usage)?;
    let gateway = listed(plan).await?;
    let ask = Ask {
        subject: &subject,
        action,
        target,
        circumstances: Circumstances {
            method: question.method,
            arguments: question.arguments.map(str::as_bytes),
            time_unix_ms: i64::try_from(now_unix_s()).unwrap_or(0) * 1_000,
            transport: "http",
            client: None,
            revision: Some("2026-07-28"),
        },
    };
    let explanation = gateway
        .policy()
        .with_engine(|engine| engine.explain(&ask))
        .ok_or_else(|| Failure::cannot("policy is disabled in the configuration"));
    gateway.close().await;
    let explanation = explanation?;
    match json {
        true => println!("{}", explanation_json(&explanation)),
        false => print_explanation(&explanation),
    }
    match explanation.decision.allowed {
        true => Ok(()),
        false => Err(Failure::found("not permitted")),
    }
}

fn print_explanation(explanation: &Explanation) {
    let [principal, action, resource] = &explanation.asked;
    let verdict = if explanation.decision.allowed {
        "allowed"
    } else {
        "denied"
    };
    println!(
        "{principal} {action} {resource}: {verdict} ({})",
        explanation.decision.reason.as_str()
    );
    for policy in &explanation.considered {
        let effect = if policy.permits { "permit" } else { "forbid" };
        println!(
            "  {effect} `{}` ({}:{}) {}",
            policy.id,
            policy.file,
            policy.line,
            words(&policy.verdict)
        );
        for clause in &policy.clauses {
            let mark = if clause.met() { "ok " } else { "NOT" };
            let keyword = if clause.unless { "unless" } else { "when" };
            println!("    {mark} {keyword} {}", clause.text);
        }
    }
    for near in &explanation.near {
        println!("  permit `{}` would fit but for its {}", near.id, near.misses);
    }
    if let Some(problem) = &explanation.arguments {
        println!("  arguments: {problem}");
    }
    for needed in &explanation.needed {
        println!("hint: {needed}");
    }
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Holds => "holds".to_owned(),
        Verdict::Fails => "does not hold".to_owned(),
        Verdict::Broken(why) => format!("cannot be evaluated: {why}"),
    }
}

fn explanation_json(explanation: &Explanation) -> Value {
    json!({
        "asked": explanation.asked,
        "allowed": explanation.decision.allowed,
        "reason": explanation.decision.reason.as_str(),
        "policies": explanation.decision.policies,
        "considered": explanation.considered.iter().map(|policy| json!({
            "id": policy.id, "file": policy.file, "line": policy.line, "permits": policy.permits, "verdict": words(&policy.verdict),
            "clauses": policy.clauses.iter().map(|clause| json!({"unless": clause.unless, "text": clause.text, "met": clause.met()})).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "near": explanation.near.iter().map(|near| json!({"id": near.id, "misses": near.misses})).collect::<Vec<_>>(),
        "arguments": explanation.arguments,
        "needed": explanation.needed,
    })
}

/// `audit verify`, `audit tail`.
pub(crate) fn audit(plan: &Plan, command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify { directory, key, json } => {
            let directory = directory.clone().unwrap_or_else(|| plan.record_directory());
            verify_record(&directory, key.as_deref(), *json)
        }
        AuditCommand::Tail { lines, follow, json } => tail(&plan.record_directory(), *lines, *follow, *json),
    }
}

fn verify_record(directory: &Path, key: Option<&Path>, json: bool) -> Result<(), Failure> {
    let key = match key {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
            Some(VerifierKey::parse(&text).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?)
        }
    };
    match verify(directory, key.as_ref()) {
        Ok(report) => {
            match json {
                true => println!(
                    "{}",
                    json!({
                        "ok": true, "origin": report.origin, "size": report.size, "root": report.root,
                        "not_covered": report.records_not_covered, "decisions": report.decisions, "outcomes": report.outcomes,
                        "unknown": report.outcomes_unknown, "open": report.open_calls.len(),
                    })
                ),
                false => println!(
                    "verified: {} records of {}, root {}, {} decisions, {} outcomes ({} unknown), {} open, {} not yet under the checkpoint",
                    report.size,
                    report.origin,
                    report.root,
                    report.decisions,
                    report.outcomes,
                    report.outcomes_unknown,
                    report.open_calls.len(),
                    report.records_not_covered
                ),
            }
            Ok(())
        }
        Err(findings) => {
            match json {
                true => println!(
                    "{}",
                    json!({"ok": false, "findings": findings.iter().map(ToString::to_string).collect::<Vec<_>>()})
                ),
                false => findings.iter().for_each(|finding| println!("{finding}")),
            }
            Err(Failure::found(format!(
                "the record in `{}` does not verify: {} findings",
                directory.display(),
                findings.len()
            )))
        }
    }
}

fn tail(directory: &Path, lines: u64, follow: bool, json: bool) -> Result<(), Failure> {
    let cannot =
        |error: &dyn std::fmt::Display| Failure::cannot(format!("record in `{}`: {error}", directory.display()));
    let length = Tail::length(directory).map_err(|error| cannot(&error))?;
    let mut reader = Tail::new(directory, length.saturating_sub(lines));
    loop {
        while let Some(record) = reader.next_record().map_err(|error| cannot(&error))? {
            match json {
                true => println!("{}", record.json),
                false => println!("{}", line_of(&record.json)),
            }
        }
        if !follow {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// One record in one line for people.
fn line_of(text: &str) -> String {
    let Ok(record) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    // Some of it is what a client said: control characters are for no terminal.
    let text = |path: &str| {
        let text = record.pointer(path).and_then(Value::as_str).unwrap_or("");
        text.escape_debug().to_string()
    };
    let number = |path: &str| {
        record
            .pointer(path)
            .and_then(Value::as_u64)
            .map_or_else(String::new, |number| number.to_string())
    };
    let kind = text("/t");
    let rest = match kind.as_str() {
        "decision" => format!(
            "{} {} {} {}",
            text("/call/method"),
            text("/call/tool"),
            text("/policy/decision"),
            text("/policy/reason_code")
        ),
        "outcome" => format!(
            "{} {} {} us",
            text("/effect/status"),
            text("/effect/reason_code"),
            number("/effect/latency_us")
        ),
        _ => record
            .pointer("/event")
            .or_else(|| record.pointer("/admin"))
            .map_or_else(String::new, ToString::to_string),
    };
    let pair: String = text("/pair")
        .chars()
        .rev()
        .take(8)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    format!("{:>8} {:<9} {pair:<8} {rest}", number("/bseq"), kind)
        .trim_end()
        .to_owned()
}

/// `key`.
pub(crate) fn key(plan: &Plan, command: &KeyCommand) -> Result<(), Failure> {
    let file = build::key_file(plan);
    match command {
        KeyCommand::Create {
            name,
            agent,
            groups,
            days,
        } => {
            portcullis_store::files::create_private_directory(&plan.state).map_err(Failure::cannot)?;
            let new = NewKey {
                kind: if *agent { SubjectKind::Agent } else { SubjectKind::User },
                name: name.clone(),
                groups: groups.clone(),
                expires_unix_s: days.map(|days| now_unix_s().saturating_add(days.saturating_mul(86_400))),
            };
            let made = file.create(new, now_unix_s()).map_err(Failure::usage)?;
            println!("{}", made.danger_secret());
            eprintln!(
                "key {}: this is the only time that it is shown; a running gateway takes it within seconds",
                made.id
            );
            Ok(())
        }
        KeyCommand::List { json } => {
            for key in file.list().map_err(Failure::cannot)? {
                match json {
                    true => println!(
                        "{}",
                        json!({
                            "id": key.id, "name": key.name, "kind": key.kind.as_str(), "groups": key.groups,
                            "created_unix_s": key.created_unix_s, "expires_unix_s": key.expires_unix_s,
                        })
                    ),
                    false => println!(
                        "{}  {:<6} {}  {}",
                        key.id,
                        key.kind.as_str(),
                        key.name,
                        key.groups.join(",")
                    ),
                }
            }
            Ok(())
        }
        KeyCommand::Revoke { id } => match file.revoke(id).map_err(Failure::cannot)? {
            true => {
                forget_first_key(plan, id)?;
                println!("{id} is revoked; a running gateway refuses it within seconds");
                Ok(())
            }
            false => Err(Failure::usage(format!(
                "there is no key `{id}`, hint: `portcullis key list`"
            ))),
        },
    }
}

/// The first run keeps its key for the owner beside the others, in clear. Once it is revoked it has no use but to mislead.
fn forget_first_key(plan: &Plan, id: &str) -> Result<(), Failure> {
    let path = plan.state.join("owner.key");
    let is_its = std::fs::read_to_string(&path).is_ok_and(|key| key.starts_with(&format!("{KEY_PREFIX}{id}_")));
    match is_its {
        true => std::fs::remove_file(&path).map_err(Failure::cannot),
        false => Ok(()),
    }
}

/// A gateway that has asked its servers and serves nobody.
async fn listed(plan: &Plan) -> Result<Arc<Gateway>, Failure> {
    let (gateway, _) = build::gateway(plan, &Lasting::without_record())?;
    gateway.settled(LIST_WAIT).await;
    Ok(gateway)
}

fn facts(gateway: &Gateway) -> policy::CatalogFacts {
    policy::facts(&gateway.catalog().known(), gateway.catalog().paths())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_called_a_method_does_nothing_to_a_terminal() {
        let method = "ev\u{1b}[31mil\nmethod";
        let line = line_of(&json!({"t": "decision", "bseq": 1, "call": {"method": method}}).to_string());
        assert!(line.contains(r"ev\u{1b}[31mil\nmethod"), "{line}");
    }
}
