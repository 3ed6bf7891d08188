//! `explain`: why a call is allowed or not, asked of the policies or read from the record.

use crate::audit;
use crate::cli::Question;
use crate::config::file::Jwt;
use crate::config::{list, nearest};
use crate::failure::Failure;
use crate::inspect::listed;
use crate::plan::Plan;
use crate::run::now_unix_s;
use portcullis_gateway::identity::{Method, Subject, SubjectKind};
use portcullis_gateway::policy::{
    self, Action, Ask, Circumstances, Explanation, ReasonCode, Target, TargetKind, Verdict,
};
use portcullis_wire::Method as ProtocolMethod;
use serde_json::{Value, json};

/// Most letters in which a method may differ from the one that was meant.
const METHOD_EDITS_MAX: usize = 2;

/// `explain`.
pub(crate) async fn explain(plan: &Plan, question: &Question) -> Result<(), Failure> {
    match question.method.as_str() {
        "last" => explain_last(plan, question).await,
        method => explain_asked(plan, question, method, question.target.as_deref()).await,
    }
}

/// The last refusal on the record. Who was refused stands there as a keyed handle, so that whoever wants the policies asked
/// again says as whom.
async fn explain_last(plan: &Plan, question: &Question) -> Result<(), Failure> {
    let refusal = audit::last_refusal(plan, question.wrap.as_deref())?;
    let text = |path: &str| refusal.pointer(path).and_then(Value::as_str).unwrap_or("");
    let target = match (text("/call/tool"), text("/call/upstream")) {
        ("", "") => "/mcp",
        ("", upstream) => upstream,
        (tool, _) => tool,
    };
    let method = text("/call/method");
    if question.subject.is_some() {
        // A resource stands on the record by its server alone; whoever knows its URI may say it.
        return explain_asked(plan, question, method, question.target.as_deref().or(Some(target))).await;
    }
    if question.json {
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
        match (ids.is_empty(), text("/policy/reason_code")) {
            (true, "no_permit") => "none allows it".to_owned(),
            (true, _) => "none decided it".to_owned(),
            (false, _) => ids.join(", "),
        }
    );
    let command = match (&question.wrap, question.wrapped.is_empty()) {
        (None, true) => "",
        _ => " -- COMMAND",
    };
    println!("hint: `portcullis explain --as NAME last{command}` asks the policies in force again for that caller;");
    println!("      the record has no names and no arguments, hint: `--arguments JSON`");
    Ok(())
}

async fn explain_asked(plan: &Plan, question: &Question, method: &str, target: Option<&str>) -> Result<(), Failure> {
    if question.wrap.is_some() && question.wrapped.is_empty() {
        return Err(Failure::usage(
            "policies of `wrap` are asked about a server that runs, hint: say its command, too: `explain ... -- COMMAND`",
        ));
    }
    let action = Action::of_method(method);
    let id = target.unwrap_or("/mcp");
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
            let hint = meant_method(method).map_or_else(
                || "`server/tool`, `server/uri`, a server's name or `/mcp`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            Failure::usage(format!("`{method}` is not asked of `{id}`, hint: {hint}"))
        })?;
    if let Some(arguments) = &question.arguments
        && !serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object())
    {
        return Err(Failure::usage(
            "`--arguments` is no JSON object, hint: '{\"name\": \"value\"}'",
        ));
    }
    let subject = subject(plan, question)?;
    let transport = match (&question.transport, subject.method()) {
        (Some(transport), _) => transport,
        (None, Method::OsUser) => "stdio",
        (None, _) => "http",
    };
    let gateway = listed(plan).await?;
    let ask = Ask {
        subject: &subject,
        action,
        target,
        circumstances: Circumstances {
            method,
            arguments: question.arguments.as_deref().map(str::as_bytes),
            time_unix_ms: i64::try_from(question.time.unwrap_or_else(now_unix_s)).unwrap_or(0) * 1_000,
            transport,
            client: subject.client(),
            revision: Some(&question.revision),
        },
    };
    // As the pipeline: who tells a server something must be allowed to connect to it, whatever else is asked.
    let connects = method.starts_with("notifications/") && action != Action::Connect;
    let connect = connects.then_some(Ask {
        action: Action::Connect,
        ..ask
    });
    let explanation = gateway
        .policy()
        .with_engine(|engine| (engine.explain(&ask), connect.as_ref().map(|ask| engine.explain(ask))))
        .ok_or_else(|| Failure::cannot("policy is disabled in the configuration"));
    let near = policy::nearest(&gateway.facts(), &ask.target);
    gateway.close().await;
    let (mut explanation, connect) = explanation?;
    if let Some(near) = near.filter(|_| explanation.decision.reason == ReasonCode::UnknownTarget) {
        // The server chose the name: it is for no terminal as it is.
        let meant = format!("did you mean `{}`?", near.escape_debug());
        explanation.needed.insert(0, meant);
    }
    if let Some(near) = meant_method(method) {
        let meant = format!("`{method}` is no method of the protocol, did you mean `{near}`?");
        explanation.needed.insert(0, meant);
    }
    let allowed = connect.iter().chain([&explanation]).all(|it| it.decision.allowed);
    if question.json {
        let mut told = explanation_json(&explanation);
        if let (Some(connect), Some(members)) = (&connect, told.as_object_mut()) {
            members.insert("allowed".to_owned(), json!(allowed));
            members.insert("connect".to_owned(), explanation_json(connect));
        }
        println!("{told}");
    } else {
        connect.iter().for_each(print_explanation);
        print_explanation(&explanation);
    }
    match allowed {
        true => Ok(()),
        false => Err(Failure::told()),
    }
}

/// The method that was probably meant by one that the protocol does not have. Vendors have methods of their own, so that only a slip
/// of the pen counts: most such names are like some name of the protocol.
fn meant_method(method: &str) -> Option<&'static str> {
    if !matches!(ProtocolMethod::new(method), ProtocolMethod::Other(_)) {
        return None;
    }
    let known = ProtocolMethod::KNOWN.iter().map(ProtocolMethod::as_str);
    known
        .filter(|name| Action::of_method(name) != Action::Other)
        .map(|name| (strsim::osa_distance(&method.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(edits, _)| *edits <= METHOD_EDITS_MAX)
        .min()
        .map(|(_, name)| name)
}

/// Who asks. What nobody could be in this configuration is refused: its answer would mislead.
fn subject(plan: &Plan, question: &Question) -> Result<Subject, Failure> {
    let name = question.subject.as_deref().unwrap_or(&plan.owner);
    let method = match (question.credential, &question.issuer) {
        (None | Some(Method::Jwt), Some(_)) => Method::Jwt,
        (Some(other), Some(_)) => {
            return Err(Failure::usage(format!(
                "`--credential {other}` has no issuer, hint: leave out one of the two"
            )));
        }
        (Some(method), None) => method,
        (None, None) if plan.is_wrap() => Method::OsUser,
        (None, None) if question.subject.is_none() && plan.file.identity.anonymous.is_some() => Method::Anonymous,
        (None, None) => Method::Key,
    };
    let issuer = match method {
        Method::Jwt => Some(issuer(plan, question)?),
        _ => None,
    };
    if let Some(issuer) = issuer {
        let (of_name, of_group) = (issuer.subject_prefix(), issuer.group_prefix());
        let names = [("--as", name, &of_name)].into_iter();
        let groups = question
            .groups
            .iter()
            .map(|group| ("--group", group.as_str(), &of_group));
        let wrong = names
            .chain(groups)
            .find(|(_, word, prefix)| !word.starts_with(prefix.as_str()));
        if let Some((option, word, prefix)) = wrong {
            return Err(Failure::usage(format!(
                "tokens of `{}` name nobody `{word}`, hint: `{option} '{prefix}{word}'`",
                issuer.issuer
            )));
        }
    }
    let kind = if question.agent {
        SubjectKind::Agent
    } else {
        SubjectKind::User
    };
    let groups = question.groups.iter().cloned();
    let subject = Subject::new(kind, name, groups, method, question.client.clone()).map_err(Failure::usage)?;
    match issuer {
        Some(issuer) => subject.issued_by(&issuer.issuer).map_err(Failure::usage),
        None => Ok(subject),
    }
}

/// The issuer in question: the one that is named, or the only one.
fn issuer<'p>(plan: &'p Plan, question: &Question) -> Result<&'p Jwt, Failure> {
    let issuers = &plan.file.identity.jwt;
    let names: Vec<&str> = issuers.iter().map(|jwt| jwt.issuer.as_str()).collect();
    let found = match &question.issuer {
        Some(name) => issuers.iter().find(|jwt| jwt.issuer == *name),
        None if issuers.len() == 1 => issuers.first(),
        None => None,
    };
    let hint = || match question
        .issuer
        .as_deref()
        .and_then(|name| nearest(name, names.iter().copied()))
    {
        Some(name) => format!("did you mean `--issuer {name}`?"),
        None if names.is_empty() => "configure one, `[[identity.jwt]]`".to_owned(),
        None => format!("`--issuer` with one of {}", list(&names)),
    };
    found.ok_or_else(|| {
        Failure::usage(match &question.issuer {
            Some(name) => format!("no issuer `{name}` is configured, hint: {}", hint()),
            None => format!("it is not said whose token, hint: {}", hint()),
        })
    })
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
