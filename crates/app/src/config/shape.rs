//! Holds a parsed file against the published schema: unknown keys, missing keys, types, ranges, words, references to
//! secrets. It reports everything it finds, each at its place. It knows the schema's vocabulary and no key by name;
//! what keys mean together is `check`'s matter.

use super::environment::Environment;
use super::name;
use super::problem::Problem;
use super::secret::{self, SECRET_FORMAT, SecretReference, VALUE_FORMAT};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

/// How alike two words must be for one to be offered in place of the other (Jaro-Winkler, 0 to 1).
const LIKENESS_MIN: f64 = 0.84;

/// What was found.
pub(crate) struct Findings {
    /// The problems, in no order.
    pub(crate) problems: Vec<Problem>,
    /// Paths of the tables that have a problem in themselves, as [`element`] and [`member`] write them: what else seems
    /// wrong there may only follow from it.
    pub(crate) damaged: HashSet<String>,
}

/// Holds `table` against `schema`.
pub(crate) fn check(schema: &Json, table: &Spanned<DeTable<'_>>, environment: &Environment, base: &Path) -> Findings {
    let mut walk = Walk {
        root: schema,
        environment,
        base,
        findings: Findings {
            problems: Vec::new(),
            damaged: HashSet::new(),
        },
    };
    let here = Here {
        path: String::new(),
        key: String::new(),
        anchor: 0..0,
    };
    walk.table(schema, table.get_ref(), &here);
    walk.findings
}

/// The path of the member `key` of the table at `path`.
pub(crate) fn member(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// The path of an element of the array at `path`.
pub(crate) fn element(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// The known word that `word` was perhaps meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Where the walk is.
struct Here {
    path: String,
    /// The last key on the way here, for messages.
    key: String,
    /// A place to point at when something is missing.
    anchor: Range<usize>,
}

impl Here {
    fn member(&self, key: &str, anchor: Range<usize>) -> Self {
        Self {
            path: member(&self.path, key),
            key: key.to_owned(),
            anchor,
        }
    }

    /// " in `listen.tls`", or nothing at the top.
    fn within(&self) -> String {
        match self.path.as_str() {
            "" => String::new(),
            path => format!(" in `{path}`"),
        }
    }
}

struct Walk<'a> {
    root: &'a Json,
    environment: &'a Environment,
    base: &'a Path,
    findings: Findings,
}

impl<'a> Walk<'a> {
    fn report(&mut self, problem: Problem) {
        self.findings.problems.push(problem);
    }

    /// Follows a reference, if `schema` is one; its siblings (descriptions, defaults) do not matter here.
    fn resolved(&self, schema: &'a Json) -> &'a Json {
        let target = schema
            .get("$ref")
            .and_then(Json::as_str)
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| self.root.pointer(pointer));
        target.unwrap_or(schema)
    }

    fn value(&mut self, schema: &'a Json, value: &Spanned<DeValue<'_>>, here: &Here) {
        let schema = self.resolved(schema);
        let before = self.findings.problems.len();
        match schema.get("format").and_then(Json::as_str) {
            Some(SECRET_FORMAT) => self.secret(value, here, false),
            Some(VALUE_FORMAT) => self.secret(value, here, true),
            _ => self.plain_value(schema, value, here),
        }
        if self.findings.problems.len() > before
            && let Some((table, _)) = here.path.rsplit_once('.')
        {
            self.findings.damaged.insert(table.to_owned());
        }
    }

    fn plain_value(&mut self, schema: &'a Json, value: &Spanned<DeValue<'_>>, here: &Here) {
        let words = words(schema);
        match (value.get_ref(), kind(schema)) {
            (DeValue::String(text), _) if !words.is_empty() => {
                if !words.contains(&text.as_ref()) {
                    self.unknown_word(&here.key, text, &words, value.span());
                }
            }
            (DeValue::String(text), "string") => self.string(schema, text, here, value.span()),
            (DeValue::Integer(number), "integer") => self.integer(schema, number, here, value.span()),
            (DeValue::Boolean(_), "boolean") => {}
            (DeValue::Array(array), "array") => self.array(schema, array, here, value.span()),
            (DeValue::Table(table), "object") => self.table(schema, table, here),
            (found, _) => {
                let expected = expectation(schema, &words);
                self.report(Problem::at(
                    value.span(),
                    format!("`{}` must be {expected}, not {}", here.key, article(found.type_str())),
                    type_hint(schema, &words, found, here),
                ));
            }
        }
    }

    fn table(&mut self, schema: &'a Json, table: &DeTable<'_>, here: &Here) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let additional = schema.get("additionalProperties").filter(|schema| schema.is_object());
        self.count(
            schema,
            "maxProperties",
            table.len(),
            "entries",
            here,
            here.anchor.clone(),
        );
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let known = properties.and_then(|properties| properties.get(name)).or(additional);
            match known {
                Some(schema) => self.value(schema, value, &here.member(name, key.span())),
                None => {
                    self.findings.damaged.insert(here.path.clone());
                    self.unknown_key(name, properties, here, key.span());
                }
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            if !table.contains_key(name) {
                self.findings.damaged.insert(here.path.clone());
                let description = properties
                    .and_then(|properties| properties.get(name))
                    .and_then(|schema| schema.get("description"))
                    .and_then(Json::as_str)
                    .unwrap_or_default();
                self.report(Problem::at(
                    here.anchor.clone(),
                    format!("missing key `{name}`{}", here.within()),
                    format!("add `{name} = ...`: {}", lower_first(description)),
                ));
            }
        }
    }

    fn array(&mut self, schema: &'a Json, array: &DeArray<'_>, here: &Here, span: Range<usize>) {
        self.count(schema, "maxItems", array.len(), "entries", here, span.clone());
        if array.is_empty() && least(schema, "minItems") > 0 {
            self.report(Problem::at(
                span,
                format!("`{}` must not be empty", here.key),
                "name at least one, or remove the key",
            ));
        }
        let Some(items) = schema.get("items") else { return };
        for (index, value) in array.iter().enumerate() {
            let here = Here {
                path: element(&here.path, index),
                key: here.key.clone(),
                anchor: value.span(),
            };
            self.value(items, value, &here);
        }
    }

    fn string(&mut self, schema: &Json, text: &str, here: &Here, span: Range<usize>) {
        self.count(schema, "maxLength", text.len(), "bytes", here, span.clone());
        if text.is_empty() && least(schema, "minLength") > 0 {
            self.report(Problem::at(
                span,
                format!("`{}` must not be empty", here.key),
                "write a value, or remove the key",
            ));
            return;
        }
        let format = schema.get("format").and_then(Json::as_str).unwrap_or_default();
        if let Err(bad) = name::check(format, text) {
            self.report(Problem::at(span, format!("`{}`: {}", here.key, bad.message), bad.hint));
        }
    }

    fn integer(&mut self, schema: &Json, number: &DeInteger<'_>, here: &Here, span: Range<usize>) {
        let bound = |name: &str| schema.get(name).and_then(Json::as_i64);
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = value.is_some_and(|value| {
            bound("minimum").is_none_or(|least| value >= least) && bound("maximum").is_none_or(|most| value <= most)
        });
        if !fits {
            self.report(Problem::at(
                span,
                format!("`{}` is out of range: {number}", here.key),
                range(schema),
            ));
        }
    }

    fn count(&mut self, schema: &Json, limit: &str, count: usize, unit: &str, here: &Here, span: Range<usize>) {
        if let Some(most) = schema.get(limit).and_then(Json::as_u64)
            && count as u64 > most
        {
            self.report(Problem::at(
                span,
                format!("`{}` has {count} {unit}", here.key),
                format!("at most {most}"),
            ));
        }
    }

    /// A reference to a secret, or with `may_be_plain` a value that need not be one. What stands in its place is not
    /// shown: it may be the secret.
    fn secret(&mut self, value: &Spanned<DeValue<'_>>, here: &Here, may_be_plain: bool) {
        let use_reference = "write `{ env = \"NAME\" }` or `{ file = \"path\" }`: secrets do not stand in this file";
        let table = match value.get_ref() {
            DeValue::Table(table) => table,
            DeValue::String(_) if may_be_plain && !secret::is_secret_name(&here.key) => return,
            DeValue::String(_) => {
                self.report(
                    Problem::at(
                        value.span(),
                        format!("`{}` must be a reference to a secret, not the secret itself", here.key),
                        use_reference,
                    )
                    .concealed(),
                );
                return;
            }
            found => {
                self.report(
                    Problem::at(
                        value.span(),
                        format!(
                            "`{}` must be {}a reference to a secret, not {}",
                            here.key,
                            if may_be_plain { "a string or " } else { "" },
                            article(found.type_str())
                        ),
                        use_reference,
                    )
                    .concealed(),
                );
                return;
            }
        };
        let mut references = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let text = value.get_ref().as_str();
            match (name, text) {
                ("env" | "file", Some(text)) if !text.is_empty() => {
                    references.push((name.to_owned(), text.to_owned(), value.span()));
                }
                ("prefix", Some(_)) if may_be_plain => {}
                ("env" | "file", _) => self.report(Problem::at(
                    value.span(),
                    format!("`{name}` must be a string that is not empty"),
                    "the name of an environment variable, or the path of a file",
                )),
                ("prefix", None) if may_be_plain => self.report(Problem::at(
                    value.span(),
                    "`prefix` must be a string",
                    "for example `\"Bearer \"`",
                )),
                _ => self.report(
                    Problem::at(
                        key.span(),
                        format!("unknown key `{name}` in a reference to a secret"),
                        use_reference,
                    )
                    .concealed(),
                ),
            }
        }
        match references.as_slice() {
            [(kind, text, span)] => {
                let reference = match kind.as_str() {
                    "env" => SecretReference::Env(text.clone()),
                    _ => SecretReference::File(text.into()),
                };
                if let Err(error) = reference.resolve(self.environment, self.base) {
                    self.report(Problem::at(
                        span.clone(),
                        format!("`{}`: {error}", here.key),
                        error.hint(),
                    ));
                }
            }
            [] if table.contains_key("env") || table.contains_key("file") => {}
            [] => self.report(
                Problem::at(
                    here.anchor.clone(),
                    format!("`{}` refers to no secret", here.key),
                    use_reference,
                )
                .concealed(),
            ),
            [_, (_, _, span), ..] => self.report(Problem::at(
                span.clone(),
                format!("`{}` has both `env` and `file`", here.key),
                "keep one of them",
            )),
        }
    }

    fn unknown_word(&mut self, key: &str, text: &str, words: &[&str], span: Range<usize>) {
        let hint = match nearest(text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("one of {}", list(words)),
        };
        self.report(Problem::at(span, format!("`{key}` cannot be `{text}`"), hint));
    }

    fn unknown_key(
        &mut self,
        name: &str,
        properties: Option<&'a serde_json::Map<String, Json>>,
        here: &Here,
        span: Range<usize>,
    ) {
        let mut known: Vec<&str> = properties
            .into_iter()
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect();
        // The schema's own order depends on how the JSON library was built.
        known.sort_unstable();
        let hint = match nearest(name, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => match self.homes(name).as_slice() {
                [] => format!("known here: {}", list(&known)),
                homes => format!("`{name}` belongs {}", homes.join(", or ")),
            },
        };
        self.report(Problem::at(
            span,
            format!("unknown key `{name}`{}", here.within()),
            hint,
        ));
    }

    /// The tables of the schema that know the key `name`.
    fn homes(&self, name: &str) -> Vec<String> {
        let mut homes = Vec::new();
        self.search(self.root, name, "", 0, &mut homes);
        homes
    }

    fn search(&self, schema: &'a Json, name: &str, path: &str, depth: usize, homes: &mut Vec<String>) {
        // The schema is ours and has four levels; the bound is for whoever makes it recursive.
        if depth > 8 {
            return;
        }
        let schema = self.resolved(schema);
        for (key, below) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            if key == name {
                homes.push(match path {
                    "" => "at the top of the file".to_owned(),
                    path => format!("in `{path}`"),
                });
            }
            let path = member(path, key);
            self.search(below, name, &path, depth + 1, homes);
            if let Some(items) = self.resolved(below).get("items") {
                self.search(items, name, &path, depth + 1, homes);
            }
            if let Some(values) = self.resolved(below).get("additionalProperties") {
                self.search(values, name, &format!("{path}.NAME"), depth + 1, homes);
            }
        }
    }
}

fn kind(schema: &Json) -> &str {
    schema.get("type").and_then(Json::as_str).unwrap_or_default()
}

fn least(schema: &Json, name: &str) -> u64 {
    schema.get(name).and_then(Json::as_u64).unwrap_or_default()
}

/// The words of a closed set, if `schema` is one.
fn words(schema: &Json) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    let described = schema
        .get("oneOf")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|choice| choice.get("const"));
    listed.chain(described).filter_map(Json::as_str).collect()
}

/// What a value must be, in words.
fn expectation(schema: &Json, words: &[&str]) -> String {
    if !words.is_empty() {
        return format!("one of {}", list(words));
    }
    match kind(schema) {
        "integer" => "an integer".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a table".to_owned(),
        _ => "a string".to_owned(),
    }
}

fn type_hint(schema: &Json, words: &[&str], found: &DeValue<'_>, here: &Here) -> String {
    let holds_tables = schema.get("items").is_some_and(|items| items.get("$ref").is_some());
    if let [word, ..] = words {
        return format!("for example `{} = \"{word}\"`", here.key);
    }
    match (kind(schema), found) {
        ("integer", DeValue::String(text)) => match milliseconds(text) {
            Some(number) if here.key.ends_with("_ms") => format!("milliseconds without quotes: `{number}`"),
            _ if text.parse::<i64>().is_ok() => format!("without quotes: `{text}`"),
            _ => range(schema),
        },
        ("integer", _) => range(schema),
        ("boolean", DeValue::String(text)) if matches!(text.as_ref(), "true" | "false") => {
            format!("without quotes: `{text}`")
        }
        ("array", DeValue::Table(_)) if holds_tables => {
            format!("begin each one with `[[{}]]`", here.path)
        }
        ("array", DeValue::String(_)) => format!("put it in brackets: `{} = [\"...\"]`", here.key),
        ("array", _) => format!("for example `{} = [\"...\"]`", here.key),
        ("object", _) => format!("for example `{} = {{ ... }}`", here.key),
        ("string", DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => "put it in quotes".to_owned(),
        _ => match schema.get("description").and_then(Json::as_str) {
            Some(description) => lower_first(description),
            None => format!("change `{}`", here.key),
        },
    }
}

/// `5s`, `250 ms` and `1m` in milliseconds, for a hint.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)?.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn range(schema: &Json) -> String {
    let bound = |name: &str| schema.get(name).and_then(Json::as_i64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!("an integer from {least} to {most}"),
        (Some(least), None) => format!("an integer of at least {least}"),
        _ => "an integer".to_owned(),
    }
}

fn article(noun: &str) -> String {
    match noun {
        "table" | "string" | "float" | "boolean" | "datetime" => format!("a {noun}"),
        "array" => "a list".to_owned(),
        noun => format!("an {noun}"),
    }
}

/// "`a`, `b`, `c`".
pub(crate) fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn lower_first(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // An abbreviation keeps its capitals.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}
