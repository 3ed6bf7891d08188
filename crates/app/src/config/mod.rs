//! The configuration file: read, held against the schema, checked for what its keys mean together, and given back as types.
//! All that is wrong is reported at once. It knows the file and the environment; what will run, with the defaults of
//! this machine, is `plan`'s matter.

mod check;
pub(crate) mod environment;
pub(crate) mod file;
pub(crate) mod name;
mod problem;
pub(crate) mod secret;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use environment::Environment;
pub(crate) use file::File;
pub(crate) use problem::Problems;

use problem::Problem;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde::Deserialize;
pub(crate) use shape::{list, nearest};
use std::io::Read;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The file that is taken when none is named.
pub(crate) const FILE_NAME: &str = "portcullis.toml";

/// A file that is in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// Where it was read from.
    pub(crate) path: PathBuf,
    /// The directory that its relative paths start from.
    pub(crate) directory: PathBuf,
    /// What it says.
    pub(crate) file: File,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it: syntax, keys, types, ranges, references, files that are not there.
    pub(crate) fn load(path: &Path, environment: &Environment) -> Result<Self, Problems> {
        let unreadable = |error: std::io::Error| {
            let message = format!("cannot read the configuration: {error}");
            Problems::whole(path, message, "name another file with `--config FILE`")
        };
        let mut text = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text))
            .map_err(unreadable)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            let message = format!("longer than {FILE_BYTES_MAX} bytes");
            return Err(Problems::whole(path, message, "name the configuration file"));
        }
        let text = String::from_utf8(text).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problems::whole(path, format!("invalid UTF-8 at byte {at}"), "save the file as UTF-8")
        })?;
        // Relative paths must go on meaning the same if the program changes its directory.
        let path = std::path::absolute(path).map_err(unreadable)?;
        Self::read(&path, &text, environment)
    }

    /// Reads `text` as the content of `path`, which is named in messages and whose directory relative paths start from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(crate) fn read(path: &Path, text: &str, environment: &Environment) -> Result<Self, Problems> {
        let directory = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut problems: Vec<Problem> = errors.iter().map(syntax).collect();
        // A text that is no TOML parses to a part of what was meant: nothing more can be said of it.
        if problems.is_empty() {
            let schema = schema();
            let findings = shape::check(schema.as_value(), &table, environment, &directory);
            problems.extend(findings.problems);
            problems.extend(check::check(table.get_ref(), &findings.damaged, &directory));
        }
        if !problems.is_empty() {
            return Err(Problems::new(path, text, problems));
        }
        let file = File::deserialize(toml::de::Deserializer::from(table)).map_err(|error| {
            // The schema and the types come from one place, so this is for what only the types know.
            Problems::new(path, text, vec![syntax(&error)])
        })?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            file,
        })
    }
}

fn syntax(error: &toml::de::Error) -> Problem {
    let message = error.message().to_owned();
    let hint = match message.contains("duplicate") {
        true => "remove one of the two",
        false => "see https://toml.io for the syntax",
    };
    Problem {
        span: error.span(),
        message,
        hint: hint.to_owned(),
        concealed: false,
    }
}

/// The schema of the file (JSON Schema 2020-12), made from the types.
pub(crate) fn schema() -> Schema {
    SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(WithoutNull)
        .into_generator()
        .into_root_schema_for::<File>()
}

/// TOML has no null: an optional key is one that may be left out.
#[derive(Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        use serde_json::Value;
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                for (key, value) in only {
                    // The key's own description says more than its type's.
                    if schema.get(key.as_str()).is_none() {
                        schema.insert(key, value);
                    }
                }
            }
        }
        if schema.get("default") == Some(&Value::Null) {
            schema.remove("default");
        }
        transform_subschemas(self, schema);
    }
}
