//! `scan`: secrets and personal data in files, told by class and place. It never prints a value.

use crate::cli::Scan;
use crate::failure::{Failure, counted};
use portcullis_guards::scan::{Class, Context, FINDINGS_MAX, Finding, Form, Limit, Rules, Scanner, TEXT_BYTES_MAX};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// So much of a file decides whether it is text.
const HEAD_BYTES: usize = 8 << 10;
/// Progress is told every so many files.
const PROGRESS_FILES: usize = 500;
/// Directories are followed so deep.
const DEPTH_MAX: usize = 64;
/// The longest line of `--records`.
const RECORD_BYTES_MAX: u64 = 64 << 20;
/// The largest file of rules, or baseline.
const SETTINGS_BYTES_MAX: u64 = 16 << 20;

/// `scan`.
pub(crate) fn scan(scan: &Scan) -> Result<(), Failure> {
    let mut rules = Rules::built_in().map_err(|error| Failure::usage(error.to_string()))?;
    for file in &scan.rules {
        let text = read_limited(file, SETTINGS_BYTES_MAX)?;
        rules
            .add(&text)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
    }
    let scanner = Scanner::new(rules).map_err(|error| Failure::usage(error.to_string()))?;
    if let Some(records) = &scan.records {
        return of_records(&scanner, records);
    }
    if scan.files.is_empty() {
        return Err(Failure::usage(
            "nothing to scan; hint: `portcullis scan FILE...`, or `portcullis scan -` for standard input",
        ));
    }
    let mut report = Report::new(scan)?;
    let mut tree = Tree::default();
    for file in &scan.files {
        match file.to_str() {
            Some("-") => {
                let mut text = Vec::new();
                let limit = TEXT_BYTES_MAX as u64 + 1;
                io::stdin()
                    .lock()
                    .take(limit)
                    .read_to_end(&mut text)
                    .map_err(|error| Failure::cannot(format!("standard input: {error}")))?;
                report.text("-", &text, &scanner);
            }
            _ => {
                // What is named must be there: nothing found in what was not looked at would mislead.
                fs::metadata(file).map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
                tree.walk(file, 0, &mut |path| report.file(path, &scanner));
            }
        }
    }
    report.skipped.extend(tree.skipped);
    report.end(scan)
}

fn read_limited(file: &Path, limit: u64) -> Result<String, Failure> {
    let read = || {
        let mut text = String::new();
        fs::File::open(file)?.take(limit).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error: io::Error| Failure::usage(format!("`{}`: {error}", file.display())))
}

/// Files below what was named. Nothing is followed out of the tree.
#[derive(Default)]
struct Tree {
    skipped: Vec<String>,
    seen: usize,
}

impl Tree {
    fn walk(&mut self, path: &Path, depth: usize, file: &mut impl FnMut(&Path) -> Option<String>) {
        let is_named = depth == 0;
        let kind = if is_named {
            fs::metadata(path)
        } else {
            fs::symlink_metadata(path)
        };
        let kind = match kind {
            Ok(kind) => kind,
            Err(error) => {
                self.skipped.push(format!("`{}`: {error}", path.display()));
                return;
            }
        };
        if kind.is_dir() {
            let is_of_git = path.file_name().is_some_and(|name| name == ".git");
            if depth == DEPTH_MAX || is_of_git && !is_named {
                return;
            }
            let mut entries: Vec<PathBuf> = match fs::read_dir(path) {
                Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
                Err(error) => {
                    self.skipped.push(format!("`{}`: {error}", path.display()));
                    return;
                }
            };
            // The same tree gives the same report.
            entries.sort();
            for entry in entries {
                self.walk(&entry, depth + 1, file);
            }
        } else if kind.is_file() {
            self.skipped.extend(file(path));
            self.seen += 1;
            if self.seen.is_multiple_of(PROGRESS_FILES) && io::stderr().is_terminal() {
                eprint!("\r{} files", self.seen);
                let _ = io::stderr().flush();
            }
        }
    }
}

/// One finding, in words.
struct Told {
    path: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    class: Class,
    rule: String,
    confidence: &'static str,
    /// Where it stands in a JSON text.
    pointer: Option<String>,
}

struct Report {
    told: Vec<Told>,
    skipped: Vec<String>,
    files: usize,
    /// How many of each path and rule are known.
    known: BTreeMap<(String, String), usize>,
    accepted: usize,
    /// Whether places in JSON are told.
    has_pointers: bool,
}

impl Report {
    fn new(scan: &Scan) -> Result<Self, Failure> {
        let mut known = BTreeMap::new();
        if let Some(file) = scan.baseline.as_deref().filter(|file| file.exists()) {
            let text = read_limited(file, SETTINGS_BYTES_MAX)?;
            let baseline: Vec<(String, String, usize)> = serde_json::from_str(&text).map_err(|error| {
                Failure::usage(format!(
                    "`{}` is no baseline: {error}; hint: write it with `--write-baseline`",
                    file.display()
                ))
            })?;
            known = baseline
                .into_iter()
                .map(|(path, rule, count)| ((path, rule), count))
                .collect();
        }
        Ok(Self {
            told: Vec::new(),
            skipped: Vec::new(),
            files: 0,
            known,
            accepted: 0,
            has_pointers: scan.json || scan.sarif,
        })
    }

    /// Why the file was not looked at, if it was not.
    fn file(&mut self, path: &Path, scanner: &Scanner) -> Option<String> {
        let read = || {
            let mut text = Vec::new();
            fs::File::open(path)?
                .take(TEXT_BYTES_MAX as u64 + 1)
                .read_to_end(&mut text)?;
            Ok(text)
        };
        let name = path.display().to_string();
        match read() {
            Err(error) => {
                let error: io::Error = error;
                Some(format!("`{name}`: {error}"))
            }
            Ok(text) if memchr::memchr(0, text.get(..HEAD_BYTES).unwrap_or(&text)).is_some() => {
                Some(format!("`{}`: it is no text, or none in UTF-8", shown(&name)))
            }
            Ok(text) => {
                self.text(&name, &text, scanner);
                None
            }
        }
    }

    fn text(&mut self, name: &str, text: &[u8], scanner: &Scanner) {
        self.files += 1;
        let mut place = Position::default();
        let form = match self.has_pointers {
            true => form_of(text),
            false => Form::Text,
        };
        let found = scanner.scan(text, form, &Context::default());
        if let Some(limit) = found.limit() {
            self.skipped.push(format!("`{}`: {}", shown(name), beyond(limit)));
        }
        let mut paths = found.paths(text);
        for finding in &found {
            let pointer = paths.next().flatten();
            let key = (name.to_owned(), finding.rule.to_owned());
            if let Some(left) = self.known.get_mut(&key).filter(|left| **left > 0) {
                *left -= 1;
                self.accepted += 1;
                continue;
            }
            let (line, column) = place.of(text, finding.span.start);
            let (end_line, end_column) = place.of(text, finding.span.end);
            self.told.push(Told {
                path: name.to_owned(),
                line,
                column,
                end_line,
                end_column,
                class: finding.class,
                rule: finding.rule.to_owned(),
                confidence: finding.confidence.as_str(),
                pointer,
            });
        }
    }

    fn end(self, scan: &Scan) -> Result<(), Failure> {
        if io::stderr().is_terminal() {
            eprint!("\r");
        }
        for skipped in &self.skipped {
            eprintln!("warning: not scanned: {skipped}");
        }
        if let Some(file) = scan.write_baseline.as_deref() {
            let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            for told in &self.told {
                *counts.entry((&told.path, &told.rule)).or_default() += 1;
            }
            let baseline: Vec<Value> = counts
                .iter()
                .map(|((path, rule), count)| json!([path, rule, count]))
                .collect();
            let text = serde_json::to_string_pretty(&baseline).unwrap_or_default();
            fs::write(file, text + "\n").map_err(|error| Failure::cannot(format!("`{}`: {error}", file.display())))?;
            println!(
                "{} noted in {}",
                counted(self.told.len(), "finding", "findings"),
                file.display()
            );
            return Ok(());
        }
        if scan.sarif {
            println!("{}", sarif(&self.told));
        } else if scan.json {
            let findings: Vec<Value> = self.told.iter().map(Told::json).collect();
            println!(
                "{}",
                json!({ "files": self.files, "accepted": self.accepted, "findings": findings, "skipped": self.skipped })
            );
        } else {
            for told in &self.told {
                println!(
                    "{}:{}:{}: {} ({}, {})",
                    shown(&told.path),
                    told.line,
                    told.column,
                    told.class,
                    told.rule,
                    told.confidence
                );
            }
            let accepted = match self.accepted {
                0 => String::new(),
                known => format!(", {known} known"),
            };
            eprintln!(
                "{} in {}{accepted}",
                counted(self.told.len(), "finding", "findings"),
                counted(self.files, "file", "files")
            );
        }
        match self.told.is_empty() {
            true => Ok(()),
            false => Err(Failure::told()),
        }
    }
}

/// Lines and columns, from 1, counted onwards: columns are characters.
#[derive(Default)]
struct Position {
    at: usize,
    line: usize,
    column: usize,
}

impl Position {
    fn of(&mut self, text: &[u8], offset: usize) -> (usize, usize) {
        if offset < self.at {
            *self = Self::default();
        }
        for byte in text.get(self.at..offset).unwrap_or_default() {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.column = 0;
                }
                // Not the second byte of a character, or a later one.
                byte if byte & 0xc0 != 0x80 => self.column += 1,
                _ => {}
            }
        }
        self.at = offset;
        (self.line + 1, self.column + 1)
    }
}

/// Whether a text is JSON, where findings have a pointer.
fn form_of(text: &[u8]) -> Form {
    let begins = text.trim_ascii_start().first();
    let is_json = matches!(begins, Some(b'{' | b'[')) && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
    match is_json {
        true => Form::Json,
        false => Form::Text,
    }
}

/// What of a text was not looked at.
fn beyond(limit: Limit) -> String {
    match limit {
        Limit::Packed => "part of what is packed in it".to_owned(),
        Limit::Findings => format!("what comes after its first {FINDINGS_MAX} findings"),
        Limit::Fuel => "part of it: it names too many values too often".to_owned(),
        Limit::Length => format!("what comes after its first {TEXT_BYTES_MAX} bytes"),
    }
}

/// A name as it may be printed: a file may be called by what a terminal obeys.
fn shown(name: &str) -> String {
    name.chars()
        .map(|character| match character.is_control() {
            true => character.escape_default().to_string(),
            false => character.to_string(),
        })
        .collect()
}

/// A path as a reference (RFC 3986): what is neither a letter, a figure nor one of a few signs is in percent.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

impl Told {
    fn json(&self) -> Value {
        let mut told = json!({
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "class": self.class.as_str(),
            "rule": self.rule,
            "confidence": self.confidence,
        });
        if let (Some(pointer), Some(members)) = (&self.pointer, told.as_object_mut()) {
            members.insert("pointer".to_owned(), json!(pointer));
        }
        told
    }
}

/// SARIF 2.1.0 (OASIS), for code scanning.
fn sarif(told: &[Told]) -> Value {
    let mut rules: Vec<&str> = told.iter().map(|told| told.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<Value> = rules.iter().map(|rule| json!({ "id": rule })).collect();
    let results: Vec<Value> = told
        .iter()
        .map(|told| {
            let mut location = json!({ "physicalLocation": {
                "artifactLocation": { "uri": uri(&told.path) },
                "region": {
                    "startLine": told.line,
                    "startColumn": told.column,
                    "endLine": told.end_line,
                    "endColumn": told.end_column,
                },
            }});
            if let (Some(pointer), Some(members)) = (&told.pointer, location.as_object_mut()) {
                let name = json!([{ "fullyQualifiedName": pointer }]);
                members.insert("logicalLocations".to_owned(), name);
            }
            json!({
                "ruleId": told.rule,
                "level": "error",
                "message": { "text": format!("{} ({})", told.class, told.confidence) },
                "locations": [location],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// `--records`: one object a line with `id` and `text`; one line each with what is in it.
fn of_records(scanner: &Scanner, file: &Path) -> Result<(), Failure> {
    let opened = fs::File::open(file).map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
    let mut lines = BufReader::new(opened);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        let read = (&mut lines).take(RECORD_BYTES_MAX).read_line(&mut line);
        let wrong = |what: String| Failure::usage(format!("`{}`, line {number}: {what}", file.display()));
        match read {
            Ok(0) => break,
            Ok(_) if line.trim().is_empty() => continue,
            Ok(_) => {}
            Err(error) => return Err(wrong(error.to_string())),
        }
        let record: Value = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        let (Some(id), Some(text)) = (record.get("id"), record.get("text").and_then(Value::as_str)) else {
            return Err(wrong(
                "no `id` and `text`; hint: {\"id\": \"1\", \"text\": \"..\"}".to_owned(),
            ));
        };
        let found = scanner.scan(text.as_bytes(), Form::Text, &Context::default());
        let spans: Vec<Value> = found.iter().map(span).collect();
        writeln!(out, "{}", json!({ "id": id, "spans": spans })).map_err(|error| Failure::cannot(error.to_string()))?;
    }
    out.flush().map_err(|error| Failure::cannot(error.to_string()))
}

fn span(finding: &Finding<'_>) -> Value {
    json!([finding.span.start, finding.span.end, finding.class.as_str()])
}
