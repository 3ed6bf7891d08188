//! The policy that is written on the first run: readable, commented, and tight. It must not know where it is written.

use super::model::{Action, CatalogFacts, ToolFacts};
use super::schema::{self, quoted};
use super::shape::{RecordShape, Shape};
use portcullis_wire::Effect;
use std::collections::HashSet;
use std::fmt::Write;

/// How a starter policy begins; the names of its servers follow, and a full stop.
const HEAD: &str = "// The starter policy, written on the first run for: ";

/// What the starter policy allows beyond looking.
#[derive(Debug, Clone, Default)]
pub struct StarterOptions {
    /// Tools that change something and are allowed up to a limit from the start.
    pub limits: Vec<StarterLimit>,
    /// Tools whose answers show something that is masked elsewhere.
    pub shown: Vec<StarterShown>,
}

/// A tool whose answers show a class of data in clear.
#[derive(Debug, Clone)]
pub struct StarterShown {
    /// Name of the upstream.
    pub server: String,
    /// The tool's name there.
    pub tool: String,
    /// The class of data, as `@results` names it.
    pub class: &'static str,
    /// Why, as a sentence of one line.
    pub why: &'static str,
}

/// A tool that is allowed while an argument of whole numbers is small.
#[derive(Debug, Clone)]
pub struct StarterLimit {
    /// Name of the upstream.
    pub server: String,
    /// The tool's name there.
    pub tool: String,
    /// The argument.
    pub argument: String,
    /// Its highest allowed value.
    pub at_most: i64,
}

/// The text of a starter policy for this catalog: the owner (`User::"owner"`) may look at everything and call what only
/// reads; every other tool is listed, and denied until somebody decides otherwise.
#[must_use]
pub fn starter(facts: &CatalogFacts, owner: &str, options: &StarterOptions) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_starter(&mut text, facts, owner, options);
    text
}

/// The servers that a starter policy was written for, as its first line lists them; `None` when the text is no starter policy.
#[must_use]
pub fn starter_servers(text: &str) -> Option<&str> {
    text.lines().next()?.strip_prefix(HEAD)?.strip_suffix('.')
}

fn write_starter(
    text: &mut String,
    facts: &CatalogFacts,
    owner: &str,
    options: &StarterOptions,
) -> Result<(), std::fmt::Error> {
    let servers: Vec<String> = facts.servers.iter().map(|server| comment(&server.name)).collect();
    let owner = format!("User::{}", quoted(owner));
    writeln!(text, "{HEAD}{}.", listed(&servers))?;
    writeln!(text, "// It is yours: edit it, then run `portcullis policy check`.")?;
    writeln!(
        text,
        "// What no `permit` allows is denied, and a `forbid` wins over every `permit`."
    )?;
    writeln!(text, "// `portcullis explain` shows why a call was decided as it was.")?;

    let looks = Action::ALL
        .into_iter()
        .filter(|action| !matches!(action, Action::CallTool | Action::Other));
    let looks: Vec<String> = looks
        .map(|action| format!("    Action::{}", quoted(action.id())))
        .collect();
    writeln!(
        text,
        "\n// The owner of this gateway may connect, see every list, read resources and get prompts."
    )?;
    writeln!(
        text,
        "@id(\"owner-looks\")\npermit (\n  principal == {owner},\n  action in [\n{}\n  ],\n  resource\n);",
        looks.join(",\n")
    )?;

    writeln!(
        text,
        "\n// Tools that only look: inside the house (`read`), or with an argument that leaves it (`fetch`)."
    )?;
    writeln!(
        text,
        "@id(\"owner-reads\")\npermit (\n  principal == {owner},\n  action == Action::\"tools/call\",\n  resource\n) when {{\n  \
         resource.effect in [Effect::\"read\", Effect::\"fetch\"]\n}};"
    )?;

    let shown = |shown: &&StarterShown| {
        let is_it = |tool: &ToolFacts| tool.server == shown.server && tool.name == shown.tool && tool.effect.is_read();
        facts.tools.iter().any(is_it)
    };
    for StarterShown {
        server,
        tool,
        class,
        why,
    } in options.shown.iter().filter(shown)
    {
        let id = format!("{server}/{tool}");
        writeln!(
            text,
            "\n// {}: in answers, secrets, cards, IBANs and national ids are masked. {why}",
            comment(&id)
        )?;
        writeln!(
            text,
            "@id({})\n@results(\"{class} pass\")\npermit (\n  principal == {owner},\n  action == Action::\"tools/call\",\n  \
             resource == Tool::{}\n);",
            quoted(&format!("owner-sees-{class}-of-{}", plain(&id)).to_lowercase()),
            quoted(&id)
        )?;
    }

    let writing: Vec<&ToolFacts> = facts.tools.iter().filter(|tool| !tool.effect.is_read()).collect();
    if writing.is_empty() {
        return writeln!(text, "\n// No tool in the catalog does more than look.");
    }
    writeln!(
        text,
        "\n// Tools that change something, by what they do to the world. They are denied until allowed one by one:"
    )?;
    writeln!(
        text,
        "// take the two slashes off the lines of a policy to allow its tool."
    )?;
    writeln!(
        text,
        "// A tool of which the configuration does not say what it does counts as `commit`. If it only looks, say so there:\n\
         // `effect = \"read\"` in `[upstream.tools.NAME]`."
    )?;
    let mut used = HashSet::new();
    let effects = Effect::ALL.into_iter().filter(|effect| !effect.is_read());
    for effect in effects {
        for tool in writing.iter().filter(|tool| tool.effect == effect) {
            write_tool(text, tool, &policy_id(tool, &mut used), &owner, options)?;
        }
    }
    Ok(())
}

/// A policy id of plain characters that no other tool has.
fn policy_id(tool: &ToolFacts, used: &mut HashSet<String>) -> String {
    let name = plain(&format!("{}-{}", tool.server, tool.name));
    let mut id = format!("owner-{name}");
    let mut count = 2_u32;
    while !used.insert(id.clone()) {
        id = format!("owner-{name}-{count}");
        count = count.saturating_add(1);
    }
    id
}

fn plain(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    name.chars().map(plain).take(96).collect()
}

fn write_tool(
    text: &mut String,
    tool: &ToolFacts,
    policy: &str,
    owner: &str,
    options: &StarterOptions,
) -> Result<(), std::fmt::Error> {
    let id = format!("{}/{}", tool.server, tool.name);
    let facts = CatalogFacts {
        tools: vec![tool.clone()],
        ..CatalogFacts::default()
    };
    let shape = schema::callees(&facts)
        .into_iter()
        .next()
        .map(|callee| callee.shape)
        .unwrap_or_default();
    let limit = options
        .limits
        .iter()
        .find(|limit| limit.server == tool.server && limit.tool == tool.name)
        .and_then(|limit| condition(limit, &shape));
    let mark = if limit.is_some() { "" } else { "// " };
    writeln!(text, "\n// {} ({}): {}", comment(&id), tool.effect, means(tool.effect))?;
    writeln!(text, "// context.arguments: {}", comment(&shape.describe()))?;
    if limit.is_some() {
        writeln!(
            text,
            "// Allowed from the start, up to a limit: change it, or take the policy out."
        )?;
    }
    writeln!(text, "{mark}@id({})", quoted(policy))?;
    writeln!(text, "{mark}permit (")?;
    writeln!(text, "{mark}  principal == {owner},")?;
    writeln!(text, "{mark}  action == Action::\"tools/call\",")?;
    writeln!(text, "{mark}  resource == Tool::{}", quoted(&id))?;
    match limit {
        Some(condition) => writeln!(text, ") when {{\n  {condition}\n}};"),
        None => writeln!(text, "{mark});"),
    }
}

/// The limit as a condition; `None` when the tool has no such argument of whole numbers.
fn condition(limit: &StarterLimit, shape: &RecordShape) -> Option<String> {
    let field = shape.fields.get(&limit.argument)?;
    if field.shape != Shape::Long {
        return None;
    }
    let name = quoted(&limit.argument);
    let plain = limit.argument.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let access =
        match plain && !limit.argument.starts_with(|c: char| c.is_ascii_digit()) && !is_reserved(&limit.argument) {
            true => format!("context.arguments.{}", limit.argument),
            false => format!("context.arguments[{name}]"),
        };
    let guard = match field.required {
        true => String::new(),
        false => format!("context.arguments has {name} && "),
    };
    Some(format!("{guard}{access} <= {}", limit.at_most))
}

/// Words that Cedar keeps for itself.
fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "true" | "false" | "if" | "then" | "else" | "in" | "is" | "like" | "has" | "__cedar"
    )
}

const fn means(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "looks, inside the house",
        Effect::Fetch => "looks, with an argument that leaves the house",
        Effect::Write => "changes something inside that can be changed back",
        Effect::Outward => "someone outside receives something",
        Effect::Commit => "binds: an order, a booking, a payment, a decision",
        Effect::Grant => "gives somebody a right",
        Effect::Credential => "creates or shows a credential",
        Effect::Destroy => "cannot be taken back",
    }
}

/// A text that comes from an upstream, on one line of a comment.
fn comment(text: &str) -> String {
    text.escape_debug().to_string()
}

fn listed(names: &[String]) -> String {
    match names.is_empty() {
        true => "no upstream yet".to_owned(),
        false => names.join(", "),
    }
}
