//! `audit`: reads records and verifies them, those of the gateway and those of `wrap`; finds the last refusal. It writes nothing.

use crate::cli::AuditCommand;
use crate::config::{list, nearest};
use crate::failure::{Failure, counted};
use crate::plan::{Plan, wraps};
use portcullis_gateway::identity::{Method, Subject, SubjectKind};
use portcullis_ledger::{Recorded, Tail, VerifierKey, handle_of, verify};
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processes of `wrap` whose records are read, the newest.
const PROCESSES_MAX: usize = 64;
/// How far back the last refusal is looked for, in records.
const LAST_RECORDS_MAX: u64 = 20_000;

/// `audit verify`, `audit tail`, `audit who`.
pub(crate) fn audit(plan: &Plan, command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify {
            directory,
            key,
            wrap: None,
            json,
        } => {
            let directory = directory.clone().unwrap_or_else(|| plan.record_directory());
            verify_record(&directory, key.as_deref(), *json)
        }
        AuditCommand::Verify { wrap, json, .. } => {
            let mut bad = 0;
            let records = records(plan, wrap.as_deref())?;
            for directory in &records {
                if !json {
                    println!("{}:", directory.display());
                }
                bad += usize::from(verify_record(directory, None, *json).is_err());
            }
            match bad {
                0 => Ok(()),
                _ => Err(Failure::found(format!(
                    "{bad} of {} do not verify",
                    counted(records.len(), "record", "records")
                ))),
            }
        }
        AuditCommand::Tail {
            lines,
            follow,
            who,
            agent,
            wrap,
            json,
        } => {
            let who = who.as_deref().map(|name| principal(name, *agent)).transpose()?;
            Tailing {
                plan,
                wrap: wrap.as_deref(),
                who,
                json: *json,
            }
            .run(*lines, *follow)
        }
        AuditCommand::Who { name, agent, wrap } => {
            let principal = principal(name, *agent)?;
            for directory in records(plan, wrap.as_deref())? {
                let handle = handle(&directory, &principal)?;
                match wrap {
                    None => println!("{handle}"),
                    Some(_) => println!("{handle}  {}", directory.display()),
                }
            }
            Ok(())
        }
    }
}

/// As the record means one, before it is made a handle.
fn principal(name: &str, agent: bool) -> Result<String, Failure> {
    let kind = if agent { SubjectKind::Agent } else { SubjectKind::User };
    let subject = Subject::new(kind, name, [], Method::Key, None).map_err(Failure::usage)?;
    Ok(subject.principal().to_string())
}

fn handle(directory: &Path, principal: &str) -> Result<String, Failure> {
    handle_of(directory, principal).map_err(|error| {
        Failure::cannot(format!(
            "{error}, hint: a handle is made with the secret that stands beside the record, on the machine that wrote it"
        ))
    })
}

/// The directories of the records in question, oldest first: the gateway's, or one for each process of `wrap`.
fn records(plan: &Plan, wrap: Option<&str>) -> Result<Vec<PathBuf>, Failure> {
    match (wrap, plan.is_wrap()) {
        (_, true) => Ok(of_processes(&plan.state)),
        (None, false) => Ok(vec![plan.record_directory()]),
        (Some(name), false) => {
            let names = wrapped(plan);
            if names.iter().any(|known| known == name) {
                return Ok(of_processes(&wraps(&plan.state).join(name)));
            }
            let known = || names.iter().map(String::as_str);
            let hint = match nearest(name, known()) {
                Some(word) => format!("did you mean `{word}`?"),
                None if names.is_empty() => "the state directory may be another, `--state DIR`".to_owned(),
                None => format!("one of {}", list(&known().collect::<Vec<_>>())),
            };
            Err(Failure::usage(format!(
                "`wrap` has kept no record for a server `{name}`, hint: {hint}"
            )))
        }
    }
}

/// The servers that `wrap` has kept records for, by name.
fn wrapped(plan: &Plan) -> Vec<String> {
    let entries = std::fs::read_dir(wraps(&plan.state)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("record").is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// The records of a server's processes. Their directories are named by when each began, and its id.
fn of_processes(server: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(server.join("record")).into_iter().flatten().flatten();
    let mut records: Vec<(u64, u64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (begun, process) = name.split_once('-')?;
            Some((begun.parse().ok()?, process.parse().ok()?, entry.path()))
        })
        .collect();
    records.sort_unstable();
    records.into_iter().map(|(_, _, path)| path).collect()
}

/// Where else there is something to read, for whoever looked at the gateway's record and found nothing.
fn elsewhere(plan: &Plan, wrap: Option<&str>) -> Option<String> {
    let names = wrapped(plan);
    let is_gateways = wrap.is_none() && !plan.is_wrap();
    (is_gateways && !names.is_empty()).then(|| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!(
            "`wrap` keeps records of its own, hint: `--wrap NAME` with one of {}",
            list(&names)
        )
    })
}

fn unreadable(directory: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::cannot(format!("record in `{}`: {error}", directory.display()))
}

/// The last refusal on the record.
///
/// # Errors
/// There is none, or the record cannot be read.
pub(crate) fn last_refusal(plan: &Plan, wrap: Option<&str>) -> Result<Value, Failure> {
    let mut last: Option<Value> = None;
    let mut left = LAST_RECORDS_MAX;
    let mut on_record = 0_u64;
    let directories = records(plan, wrap)?;
    for directory in directories.iter().rev().take(PROCESSES_MAX) {
        let length = Tail::length(directory).map_err(unreadable(directory))?;
        on_record = on_record.saturating_add(length);
        let from = length.saturating_sub(left);
        left -= length - from;
        let mut reader = Tail::new(directory, from);
        while let Some(record) = reader.next_record().map_err(unreadable(directory))? {
            let Ok(record) = serde_json::from_str::<Value>(&record.json) else {
                continue;
            };
            // Times of one form: they compare as texts. Processes run side by side, so that the newest one's is not the last.
            let is_later = || match &last {
                Some(last) => last.get("ts").and_then(Value::as_str) <= record.get("ts").and_then(Value::as_str),
                None => true,
            };
            if text_at(&record, "/t") == "decision" && text_at(&record, "/policy/decision") == "deny" && is_later() {
                last = Some(record);
            }
        }
    }
    last.ok_or_else(|| {
        let elsewhere = elsewhere(plan, wrap).map_or_else(String::new, |elsewhere| format!("; {elsewhere}"));
        let is_whole = on_record <= LAST_RECORDS_MAX && directories.len() <= PROCESSES_MAX;
        Failure::found(match (on_record, is_whole) {
            (0, true) => format!("nothing is on the record yet{elsewhere}"),
            (_, true) => {
                let all = counted(on_record, "entry", "entries");
                format!("no refusal on the record, which has {all}{elsewhere}")
            }
            (_, false) => {
                let last = on_record.min(LAST_RECORDS_MAX);
                format!("no refusal among the last {last} records{elsewhere}")
            }
        })
    })
}

fn text_at<'r>(record: &'r Value, path: &str) -> &'r str {
    record.pointer(path).and_then(Value::as_str).unwrap_or("")
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
    if !directory.is_dir() {
        return Err(Failure::cannot(format!(
            "there is no record in `{}`, hint: name its directory, or the state directory with `--state DIR`",
            directory.display()
        )));
    }
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
                    "verified: {} of {}, root {}, {}, {} ({} unknown), {} open, {} not yet under the checkpoint",
                    counted(report.size, "record", "records"),
                    report.origin,
                    report.root,
                    counted(report.decisions, "decision", "decisions"),
                    counted(report.outcomes, "outcome", "outcomes"),
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
                "the record in `{}` does not verify: {}",
                directory.display(),
                counted(findings.len(), "finding", "findings")
            )))
        }
    }
}

/// What `tail` is asked.
struct Tailing<'a> {
    plan: &'a Plan,
    wrap: Option<&'a str>,
    /// Only what this principal did.
    who: Option<String>,
    json: bool,
}

impl Tailing<'_> {
    fn run(&self, lines: usize, follow: bool) -> Result<(), Failure> {
        let mut readers = Vec::new();
        let mut left = lines;
        let mut shown = Vec::new();
        let mut length = 0_u64;
        // The newest first, until there is enough; older ones are only followed.
        for directory in records(self.plan, self.wrap)?.into_iter().rev().take(PROCESSES_MAX) {
            let records = Tail::length(&directory).map_err(unreadable(&directory))?;
            length = length.saturating_add(records);
            let from = match (left, &self.who) {
                (0, _) => records,
                (_, Some(_)) => 0,
                (left, None) => records.saturating_sub(left as u64),
            };
            let mut kept = VecDeque::new();
            let mut reader = self.reader(directory, from)?;
            reader.read(|line| {
                kept.push_back(line);
                if kept.len() > left {
                    kept.pop_front();
                }
            })?;
            left -= kept.len();
            shown.push((reader.directory.clone(), kept));
            readers.push(reader);
        }
        for (directory, kept) in shown.iter().rev().filter(|(_, kept)| !kept.is_empty()) {
            self.head(directory);
            kept.iter().for_each(|line| println!("{line}"));
        }
        if length == 0 {
            let place = self.plan.record_directory();
            eprintln!("nothing is on the record in `{}` yet", place.display());
            if let Some(elsewhere) = elsewhere(self.plan, self.wrap) {
                eprintln!("{elsewhere}");
            }
        }
        if !follow {
            return Ok(());
        }
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let known: HashSet<PathBuf> = readers.iter().map(|reader| reader.directory.clone()).collect();
            for directory in records(self.plan, self.wrap)? {
                if !known.contains(&directory) && readers.len() < 2 * PROCESSES_MAX {
                    // A process that is just beginning may have no secret yet: it is looked for again.
                    readers.extend(self.reader(directory, 0).ok());
                }
            }
            for reader in &mut readers {
                let mut is_first = true;
                let directory = reader.directory.clone();
                reader.read(|line| {
                    if std::mem::take(&mut is_first) {
                        self.head(&directory);
                    }
                    println!("{line}");
                })?;
            }
        }
    }

    /// Which process speaks, where there are several.
    fn head(&self, directory: &Path) {
        if (self.wrap.is_some() || self.plan.is_wrap()) && !self.json {
            println!("{}:", directory.display());
        }
    }

    fn reader(&self, directory: PathBuf, from: u64) -> Result<Reader, Failure> {
        let handle = match &self.who {
            Some(who) if directory.is_dir() => Some(handle(&directory, who)?),
            // Nobody did anything yet.
            Some(_) => Some(String::new()),
            None => None,
        };
        Ok(Reader {
            tail: Tail::new(&directory, from),
            directory,
            handle,
            calls: HashSet::new(),
            json: self.json,
        })
    }
}

/// One record, as it is read.
struct Reader {
    directory: PathBuf,
    tail: Tail,
    /// Whose records alone are shown: handles differ from record to record.
    handle: Option<String>,
    /// Calls of theirs that have no outcome yet.
    calls: HashSet<String>,
    json: bool,
}

impl Reader {
    /// What has come since the last time, a line each.
    fn read(&mut self, mut show: impl FnMut(String)) -> Result<(), Failure> {
        while let Some(record) = self.tail.next_record().map_err(unreadable(&self.directory))? {
            if self.is_meant(&record) {
                show(match self.json {
                    true => record.json,
                    false => line_of(&record.json),
                });
            }
        }
        Ok(())
    }

    /// An outcome names nobody: it is theirs whose decision it follows.
    fn is_meant(&mut self, record: &Recorded) -> bool {
        let Some(handle) = &self.handle else { return true };
        let Ok(record) = serde_json::from_str::<Value>(&record.json) else {
            return false;
        };
        let pair = text_at(&record, "/pair");
        let is_theirs = text_at(&record, "/who/subject_h") == handle;
        match text_at(&record, "/t") {
            "outcome" => self.calls.remove(pair),
            "decision" if is_theirs => self.calls.insert(pair.to_owned()) || is_theirs,
            _ => is_theirs,
        }
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
