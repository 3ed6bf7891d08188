//! What the program prints: the banner of `up`, tables, errors. It is given facts and makes text; it opens nothing and
//! decides nothing.

use crate::plan::{Front, Plan, PolicySource, Source, Target};
use serde_json::json;
use std::fmt::Write as _;

/// Lines of the banner, at most.
pub(crate) const BANNER_LINES_MAX: usize = 12;
/// Upstreams that the banner names.
const UPSTREAMS_SHOWN: usize = 3;

/// What is known only when the gateway stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The address that was bound: the port may have been 0.
    pub(crate) address: Option<std::net::SocketAddr>,
    /// A key made on this first run, shown this once.
    pub(crate) new_key: Option<String>,
    /// Whether the starter policy was written just now.
    pub(crate) policy_written: bool,
    /// What is known of each upstream, in the plan's order: `6 tools`, or why it is not available.
    pub(crate) upstreams: Vec<String>,
    /// A tool and arguments for the `curl` line, by its exposed name; without one it lists the tools.
    pub(crate) example: Option<(String, serde_json::Value)>,
}

/// The banner of `up`: where it listens, what it federates, which policy is in force, where the record is, and a line to
/// try.
pub(crate) fn banner(plan: &Plan, facts: &Facts) -> String {
    let mut lines = Lines::default();
    lines.plain(format!(
        "portcullis {}, {}",
        env!("CARGO_PKG_VERSION"),
        match &plan.source {
            Source::File(path) => format!("configured by {}", path.display()),
            Source::Demo => "the built-in demo (there is no portcullis.toml here)".to_owned(),
            Source::Wrap => "guarding one command".to_owned(),
        }
    ));
    let url = match &plan.front {
        Front::Stdio => None,
        Front::Http(listener) => {
            let scheme = if listener.tls.is_some() { "https" } else { "http" };
            Some(format!("{scheme}://{}/mcp", facts.address.unwrap_or(listener.address.0)))
        }
    };
    lines.named("listening", url.clone().unwrap_or_else(|| "on stdin and stdout".to_owned()));
    for (index, upstream) in plan.upstreams.iter().take(UPSTREAMS_SHOWN).enumerate() {
        let target = match &upstream.target {
            Target::Http { url, .. } => url.clone(),
            Target::Command { program, .. } => format!("`{program}`"),
            Target::Demo { .. } => "invented customers and accounts".to_owned(),
        };
        let known = facts.upstreams.get(index).map(|known| format!(": {known}")).unwrap_or_default();
        lines.named("upstream", format!("{}, {target}{known}", upstream.name));
    }
    if let more @ 1.. = plan.upstreams.len().saturating_sub(UPSTREAMS_SHOWN) {
        lines.named("", format!("and {more} more (`portcullis catalog`)"));
    }
    lines.named(
        "policy",
        match &plan.policy {
            PolicySource::Starter(path) if facts.policy_written => {
                format!("{} (the starter policy, written now)", path.display())
            }
            PolicySource::Starter(path) => path.display().to_string(),
            PolicySource::Files(paths) => match paths.as_slice() {
                [only] => only.display().to_string(),
                paths => format!("{} files", paths.len()),
            },
        },
    );
    lines.named(
        "record",
        match plan.record.enabled {
            true => plan.record.directory.display().to_string(),
            false => "NONE (`record.danger_disabled`): nothing that happens can be proved".to_owned(),
        },
    );
    if let Some(name) = &plan.identity.anonymous {
        lines.named("anonymous", format!("callers without a credential are `{name}`"));
    }
    if let Some(key) = &facts.new_key {
        lines.named("key", format!("{key} (shown this once)"));
    }
    if let Some(url) = url {
        lines.named("try", curl(&url, facts));
    }
    lines.finish()
}

/// A call that works as printed when it can: with the new key, or anonymously.
fn curl(url: &str, facts: &Facts) -> String {
    let meta = json!({
        portcullis_wire::meta::PROTOCOL_VERSION: portcullis_wire::Revision::NEWEST.as_str(),
        portcullis_wire::meta::CLIENT_CAPABILITIES: {},
    });
    let (method, params, name) = match &facts.example {
        Some((tool, arguments)) => (
            "tools/call",
            json!({"name": tool, "arguments": arguments, "_meta": meta}),
            format!(" -H {}", quoted(&format!("Mcp-Name: {tool}"))),
        ),
        None => ("tools/list", json!({"_meta": meta}), String::new()),
    };
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let key = match &facts.new_key {
        Some(key) => format!(" -H {}", quoted(&format!("Authorization: Bearer {key}"))),
        None => String::new(),
    };
    format!(
        "curl -s {url}{key} -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
         -H 'MCP-Protocol-Version: {}' -H 'Mcp-Method: {method}'{name} -d {}",
        portcullis_wire::Revision::NEWEST,
        quoted(&body.to_string())
    )
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn plain(&mut self, line: String) {
        self.0.push(line);
    }

    fn named(&mut self, name: &str, line: String) {
        self.0.push(format!("  {name:<10}{line}"));
    }

    fn finish(self) -> String {
        // What comes from a file must not draw on the terminal or make a line of its own.
        let clean = |line: &String| line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>();
        let lines: Vec<String> = self.0.iter().take(BANNER_LINES_MAX).map(clean).collect();
        lines.join("\n")
    }
}

/// A table with its columns side by side; the last one is not padded. Rows that are shorter are filled with nothing.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([title.chars().count()]).max().unwrap_or_default()
        })
        .collect();
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let cell: String = cell.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            // Writing to a string cannot fail.
            let _ = write!(text, "{cell:<width$}  ");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(&mut head.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    out
}

/// An error with all its causes on one line: `portcullis: cannot ..., hint: ...`.
pub(crate) fn error(error: &dyn std::error::Error) -> String {
    let mut text = format!("portcullis: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors repeat their cause in their own words.
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};
    use crate::plan::Setting;
    use std::path::Path;

    fn plan(text: Option<&str>) -> Plan {
        let environment = Environment::of([("HOME", "/home/a")]);
        let setting = Setting {
            environment: &environment,
            listen: None,
            state: None,
            working_directory: Path::new("/w"),
            host_name: "h",
        };
        match text {
            None => Plan::demo(&setting).unwrap(),
            Some(text) => {
                let config = Config::read(Path::new("/w/portcullis.toml"), text, &environment).unwrap();
                Plan::of_config(&config, &setting).unwrap()
            }
        }
    }

    #[test]
    fn the_banner_says_it_in_twelve_lines() {
        let facts = Facts {
            address: Some(([127, 0, 0, 1], 9000).into()),
            new_key: Some("pk_x".to_owned()),
            policy_written: true,
            upstreams: vec!["6 tools".to_owned()],
            example: Some(("find_customer".to_owned(), json!({"name": "O'Neill"}))),
        };
        let shown = banner(&plan(None), &facts);
        for word in ["demo", "http://127.0.0.1:9000/mcp", "bank", "6 tools", "policy.cedar", "written now", "record", "pk_x", r"O'\''Neill", "Mcp-Name: find_customer"] {
            assert!(shown.contains(word), "{word} in {shown}");
        }
        assert!(shown.lines().count() <= BANNER_LINES_MAX);
        let many: String = (0..20).map(|n| format!("[[upstream]]\nname = \"u{n}\"\ncommand = [\"a\\u001b[2J\"]\n")).collect();
        let many = format!("[identity]\nanonymous = \"me\"\n[record]\ndanger_disabled = true\n{many}");
        let shown = banner(&plan(Some(&many)), &facts);
        assert!(shown.lines().count() <= BANNER_LINES_MAX && !shown.contains('\u{1b}'));
        for word in ["NONE", "`me`", "and 17 more", "curl"] {
            assert!(shown.contains(word), "{word} in {shown}");
        }
    }

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned()]];
        assert_eq!(table(&["id", "name"], &rows), "id    name\na     b\nlong\n");
    }

    #[test]
    fn errors_name_their_causes_once() {
        let inner = std::io::Error::other("disk on fire");
        let outer = crate::demo::OpenError::Io(inner);
        assert_eq!(error(&outer), "portcullis: cannot open the demo bank: disk on fire");
    }
}
