//! What ends a command early: a line for people and an exit code.

use crate::cli::exit;
use crate::config::Problems;
use std::fmt;

/// An error that a person reads, with what to do after `hint:`.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Empty when it has been told already.
    message: String,
    /// The exit code.
    pub(crate) code: u8,
    /// The same for programs, where there is such a form.
    pub(crate) json: Option<serde_json::Value>,
}

impl Failure {
    /// The configuration or the command line cannot be used.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            code: exit::USAGE,
            json: None,
        }
    }

    /// It cannot run here now.
    pub(crate) fn cannot(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            code: exit::CANNOT,
            json: None,
        }
    }

    /// It ran and found something.
    pub(crate) fn found(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            code: exit::FOUND,
            json: None,
        }
    }

    /// It ran, and what it printed says what it found.
    pub(crate) const fn told() -> Self {
        Self {
            message: String::new(),
            code: exit::FOUND,
            json: None,
        }
    }

    /// Whether there is nothing left to say of it.
    pub(crate) const fn is_told(&self) -> bool {
        self.message.is_empty()
    }
}

/// A number of things, for people: `1 tool`, `2 tools`.
pub(crate) fn counted<N: fmt::Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    match count == N::from(1) {
        true => format!("1 {one}"),
        false => format!("{count} {many}"),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self {
            json: Some(problems.to_json()),
            ..Self::usage(problems.to_string().trim_end())
        }
    }
}
