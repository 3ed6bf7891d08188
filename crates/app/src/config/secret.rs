//! Secrets stand in the file only as references: the name of an environment variable or the path of a file. This file
//! knows how to read what a reference means, and that it is never printed.

use super::environment::Environment;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest secret, in bytes: a private key in PEM with its chain fits.
pub(crate) const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Where a secret is found. In the file: `{ env = "NAME" }` or `{ file = "path" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretReference {
    /// In an environment variable.
    Env(String),
    /// In a file, relative to the configuration's directory; one newline at its end is not part of the secret.
    File(PathBuf),
}

/// A value that may be plain text or a reference with an optional prefix: `"text"`, `{ env = "NAME" }`,
/// `{ file = "path", prefix = "Bearer " }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    /// Plain text: no secret.
    Plain(String),
    /// A secret after a public prefix.
    Secret {
        /// Where the secret is found.
        #[serde(flatten)]
        reference: SecretReference,
        /// Plain text before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
    },
}

/// A secret in memory: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps `text`.
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself. The name is for the reader of the calling code.
    pub(crate) fn danger_reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// A reference that leads to no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    /// No such variable.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    /// Not UTF-8.
    #[error("the secret in {0} is not UTF-8 text")]
    NotText(String),
    /// Nothing in it.
    #[error("the secret in {0} is empty")]
    Empty(String),
    /// The file cannot be read.
    #[error("cannot read `{}`: {detail}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Too long to be a secret.
    #[error("`{}` is longer than {SECRET_BYTES_MAX} bytes", .0.display())]
    TooLong(PathBuf),
}

impl SecretError {
    /// What to do.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unset(name) => format!("start with `{name}=... portcullis ...`, or use {{ file = \"path\" }}"),
            Self::NotText(_) => "encode binary secrets, for example as Base64".to_owned(),
            Self::Empty(_) => "put the secret there".to_owned(),
            Self::Unreadable { .. } => "the path is relative to the configuration file's directory".to_owned(),
            Self::TooLong(_) => "name the file that holds the secret alone".to_owned(),
        }
    }
}

impl SecretReference {
    /// Reads the secret. `base` is the directory that relative paths start from.
    pub(crate) fn resolve(&self, environment: &Environment, base: &Path) -> Result<SecretText, SecretError> {
        match self {
            Self::Env(name) => {
                let place = || format!("the environment variable `{name}`");
                let value = environment
                    .variable(name)
                    .ok_or_else(|| SecretError::Unset(name.clone()))?;
                let value = value.to_str().ok_or_else(|| SecretError::NotText(place()))?;
                match value {
                    "" => Err(SecretError::Empty(place())),
                    value => Ok(SecretText::new(value.to_owned())),
                }
            }
            Self::File(path) => read_file(&base.join(path)),
        }
    }
}

fn read_file(path: &Path) -> Result<SecretText, SecretError> {
    let unreadable = |error: std::io::Error| SecretError::Unreadable {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    let file = File::open(path).map_err(unreadable)?;
    // One allocation of the largest size: growing would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX as usize + 1));
    file.take(SECRET_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(SecretError::TooLong(path.to_owned()));
    }
    let place = || format!("`{}`", path.display());
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText(place()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text {
        "" => Err(SecretError::Empty(place())),
        text => Ok(SecretText::new(text.to_owned())),
    }
}

impl Value {
    /// The text that is meant, prefix included.
    pub(crate) fn resolve(&self, environment: &Environment, base: &Path) -> Result<SecretText, SecretError> {
        match self {
            Self::Plain(text) => Ok(SecretText::new(text.clone())),
            Self::Secret { reference, prefix } => {
                let secret = reference.resolve(environment, base)?;
                let prefix = prefix.as_deref().unwrap_or_default();
                Ok(SecretText::new(format!("{prefix}{}", secret.danger_reveal())))
            }
        }
    }
}

/// The word in the schema by which the reader of the file knows a reference.
pub(crate) const SECRET_FORMAT: &str = "portcullis-secret";
/// The same for a value that may also be plain.
pub(crate) const VALUE_FORMAT: &str = "portcullis-value";

fn reference_schema(key: &str, what: &str, prefix: bool) -> Schema {
    let mut schema = json_schema!({
        "type": "object",
        "properties": { key: { "type": "string", "minLength": 1, "description": what } },
        "required": [key],
        "additionalProperties": false,
    });
    if prefix && let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
        properties.insert(
            "prefix".to_owned(),
            serde_json::json!({"type": "string", "description": "Plain text before the secret, for example `Bearer `."}),
        );
    }
    schema
}

const ENV_DESCRIPTION: &str = "Name of the environment variable that holds the secret.";
const FILE_DESCRIPTION: &str = "Path of the file that holds the secret; one newline at its end is left out.";

impl JsonSchema for SecretReference {
    fn schema_name() -> Cow<'static, str> {
        "SecretReference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a secret is found; the secret itself never stands in this file.",
            "format": SECRET_FORMAT,
            "oneOf": [
                reference_schema("env", ENV_DESCRIPTION, false),
                reference_schema("file", FILE_DESCRIPTION, false),
            ],
        })
    }
}

impl JsonSchema for Value {
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Plain text, or where a secret is found with an optional prefix.",
            "format": VALUE_FORMAT,
            "oneOf": [
                { "type": "string" },
                reference_schema("env", ENV_DESCRIPTION, true),
                reference_schema("file", FILE_DESCRIPTION, true),
            ],
        })
    }
}

/// Whether a header or variable of this name holds a credential by all custom, so that plain text for it is refused.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    matches!(name.as_str(), "AUTHORIZATION" | "PROXY_AUTHORIZATION" | "COOKIE")
        || [
            "TOKEN",
            "SECRET",
            "PASSWORD",
            "PASSWD",
            "API_KEY",
            "APIKEY",
            "ACCESS_KEY",
            "PRIVATE_KEY",
        ]
        .iter()
        .any(|word| {
            name.strip_suffix(word)
                .is_some_and(|before| before.is_empty() || before.ends_with('_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_and_never_shown() {
        let environment = Environment::of([("KEY", "hunter2"), ("EMPTY", "")]);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), "s3cret\r\n").unwrap();
        std::fs::write(directory.path().join("nothing"), "\n").unwrap();
        std::fs::write(directory.path().join("binary"), [0xff, 0xfe]).unwrap();
        std::fs::write(directory.path().join("huge"), vec![b'x'; (64 << 10) + 1]).unwrap();
        let resolve = |reference: SecretReference| reference.resolve(&environment, directory.path());
        let env = |name: &str| resolve(SecretReference::Env(name.to_owned()));
        let file = |path: &str| resolve(SecretReference::File(path.into()));
        let secret = env("KEY").unwrap();
        assert_eq!(secret.danger_reveal(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(file("key").unwrap().danger_reveal(), "s3cret");
        assert_eq!(env("NONE"), Err(SecretError::Unset("NONE".to_owned())));
        assert!(matches!(env("EMPTY"), Err(SecretError::Empty(_))));
        assert!(matches!(file("absent"), Err(SecretError::Unreadable { .. })));
        assert!(matches!(file("nothing"), Err(SecretError::Empty(_))));
        assert!(matches!(file("binary"), Err(SecretError::NotText(_))));
        assert!(matches!(file("huge"), Err(SecretError::TooLong(_))));
    }

    #[test]
    fn a_prefix_stands_before_the_secret() {
        let environment = Environment::of([("KEY", "k")]);
        let value: Value =
            toml::from_str::<std::collections::BTreeMap<String, Value>>("v = { env = \"KEY\", prefix = \"Bearer \" }")
                .unwrap()
                .remove("v")
                .unwrap();
        assert_eq!(
            value.resolve(&environment, Path::new("/")).unwrap().danger_reveal(),
            "Bearer k"
        );
    }

    #[test]
    fn names_of_credentials_are_known() {
        for name in [
            "Authorization",
            "x-api-key",
            "GITHUB_TOKEN",
            "password",
            "Cookie",
            "DB_PASSWORD",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["TOKENIZERS_PARALLELISM", "X-Tenant", "KEYBOARD", "PATH", "MONKEY"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
