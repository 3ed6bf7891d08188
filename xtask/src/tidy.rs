//! What no compiler checks: the arrows between and inside crates, the length and head of files, and who may call the few
//! functions that hurt.

use crate::child::Result;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file, in lines, without a reason at its head (`//! Long because: ...`).
const LINES_MAX: usize = 900;

/// What each crate may know. Anything else is refused, in `[dependencies]` as in `use`.
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("guards", &[]),
    ("store", &[]),
    ("ledger", &["store"]),
    ("transport", &["ledger", "wire"]),
    ("gateway", &["guards", "ledger", "store", "transport", "wire"]),
    ("app", &["gateway", "guards", "ledger", "store", "transport", "wire"]),
];

/// The stages of the gateway in the order of the pipeline: a module knows those before it and none behind it.
const STAGES: &[&str] = &[
    "identity", "catalog", "session", "answer", "policy", "screen", "route", "labels", "trail", "refusal", "pipeline",
];

/// Arrows inside the gateway that point forward on purpose, each with its reason.
const FORWARD: &[(&str, &str, &str)] = &[
    ("answer", "policy", "an answer carries what was decided for its call"),
    ("trail", "refusal", "the record says why a call was refused"),
];

/// Functions that may be called from these files alone.
const DANGER: &[(&str, &[&str])] = &[
    ("Sealed::unrecordable(", &["crates/gateway/src/trail.rs"]),
    (".danger_news(", &["crates/gateway/src/screen.rs"]),
    (".danger_try_news(", &["crates/gateway/src/screen.rs"]),
    (
        // A credential as it came in; and a key just made, which is shown once.
        ".danger_secret(",
        &[
            "crates/gateway/src/pipeline/mod.rs",
            "crates/gateway/src/identity/keys.rs",
            "crates/app/src/keys.rs",
            "crates/app/src/run.rs",
        ],
    ),
    ("danger_disabled()", &["crates/app/src/build.rs"]),
];

/// Looks at the whole tree; prints each finding. Returns how many files were read.
///
/// # Errors
/// The findings, one a line.
pub(crate) fn check(root: &Path) -> Result<usize> {
    let mut findings = Vec::new();
    let files = sources(&root.join("crates"))?;
    for (path, text) in &files {
        let shown = path.strip_prefix(root).unwrap_or(path).display().to_string();
        head_and_length(&shown, text, &mut findings);
        danger(&shown, text, &mut findings);
        crate_arrows(&shown, text, &mut findings);
        stage_arrows(&shown, text, &mut findings);
    }
    manifests(root, &mut findings)?;
    cycles(root, &files, &mut findings);
    match findings.is_empty() {
        true => Ok(files.len()),
        false => Err(findings.join("\n").into()),
    }
}

fn sources(directory: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)?;
                found.push((path, text));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn head_and_length(shown: &str, text: &str, findings: &mut Vec<String>) {
    let in_tests = shown.contains("/tests/") || shown.ends_with("tests.rs");
    if !text.starts_with("//!") && !in_tests {
        findings.push(format!("{shown}: no header that says what the file is for"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX && !in_tests && !text.contains("//! Long because:") {
        findings.push(format!(
            "{shown}: {lines} lines, at most {LINES_MAX} without a reason at its head"
        ));
    }
}

fn danger(shown: &str, text: &str, findings: &mut Vec<String>) {
    if shown.contains("/tests/") || shown.ends_with("tests.rs") || shown.contains("testkit") {
        return;
    }
    for (name, homes) in DANGER {
        let calls = text
            .lines()
            .filter(|line| line.contains(name) && !line.contains("fn ") && !line.trim_start().starts_with("//"))
            .count();
        if calls > 0 && !homes.contains(&shown) {
            findings.push(format!("{shown}: calls `{name}`, which only {} may", homes.join(", ")));
        }
        if *name == "Sealed::unrecordable(" && calls > 1 {
            findings.push(format!("{shown}: {calls} callers of `{name}`, one is allowed"));
        }
    }
}

/// `crates/NAME/src/...` may `use portcullis_X` only for what ARROWS says.
fn crate_arrows(shown: &str, text: &str, findings: &mut Vec<String>) {
    let Some((name, _)) = shown.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")) else {
        return;
    };
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        return;
    };
    for (other, _) in ARROWS {
        let path = format!("portcullis_{other}::");
        let used = text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && line.contains(&path)
        });
        if used && *other != name && !allowed.contains(other) {
            findings.push(format!(
                "{shown}: knows `portcullis_{other}`, which crate {name} must not"
            ));
        }
    }
}

fn stage_of(shown: &str) -> Option<&str> {
    let rest = shown.strip_prefix("crates/gateway/src/")?;
    let stage = rest.split(['/', '.']).next()?;
    STAGES.contains(&stage).then_some(stage)
}

fn place(stage: &str) -> usize {
    STAGES.iter().position(|known| *known == stage).unwrap_or(usize::MAX)
}

fn stage_arrows(shown: &str, text: &str, findings: &mut Vec<String>) {
    let Some(stage) = stage_of(shown) else { return };
    // What only tests see may point anywhere.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    for known in used_modules(text) {
        if place(known) > place(stage) && !FORWARD.iter().any(|(from, to, _)| *from == stage && *to == known) {
            findings.push(format!(
                "{shown}: stage `{stage}` knows `{known}`, which comes after it"
            ));
        }
    }
}

fn used_modules(text: &str) -> Vec<&'static str> {
    STAGES
        .iter()
        .copied()
        .filter(|stage| {
            text.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//") && line.contains(&format!("crate::{stage}::"))
            })
        })
        .collect()
}

/// The manifests' own arrows, as cargo sees them.
fn manifests(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root.join("crates").join(name).join("Cargo.toml"))?;
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines() {
            let Some(other) = line
                .strip_prefix("portcullis-")
                .and_then(|rest| rest.split([' ', '=', '.']).next())
            else {
                continue;
            };
            if !allowed.contains(&other) {
                findings.push(format!(
                    "crates/{name}/Cargo.toml: depends on `portcullis-{other}`, which it must not know"
                ));
            }
        }
    }
    Ok(())
}

/// No circle among the top-level modules of any crate.
fn cycles(root: &Path, files: &[(PathBuf, String)], findings: &mut Vec<String>) {
    for (name, _) in ARROWS {
        let source = root.join("crates").join(name).join("src");
        let mut arrows: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, text) in files {
            let Ok(inner) = path.strip_prefix(&source) else {
                continue;
            };
            let module = inner
                .iter()
                .next()
                .map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned());
            let Some(module) = module.filter(|module| module != "lib" && module != "main") else {
                continue;
            };
            let text = text.split("#[cfg(test)]").next().unwrap_or(text);
            let known = arrows.entry(module.clone()).or_default();
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                for part in line.split("crate::").skip(1) {
                    let other: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    if other != module && !known.contains(&other) {
                        known.push(other);
                    }
                }
            }
        }
        let modules: Vec<String> = arrows.keys().cloned().collect();
        for known in arrows.values_mut() {
            known.retain(|other| modules.contains(other));
        }
        for (from, known) in &arrows {
            for to in known {
                let allowed = FORWARD
                    .iter()
                    .any(|(a, b, _)| (a == from && b == to) || (a == to && b == from));
                if *name == "gateway" && allowed {
                    continue;
                }
                if from < to && arrows.get(to).is_some_and(|back| back.contains(from)) {
                    findings.push(format!("crates/{name}: `{from}` and `{to}` know each other"));
                }
            }
        }
    }
}
