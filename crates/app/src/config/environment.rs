//! The one file that reads the environment of the process. Everybody else is given an [`Environment`], so that a test can
//! give one, and so that it can be seen at a glance what the program takes from outside its command line and file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Where state is kept when neither the command line nor the file says so.
pub(crate) const STATE_VARIABLE: &str = "PORTCULLIS_STATE";
/// What `tracing` filters by, over `log.level`.
pub(crate) const LOG_VARIABLE: &str = "PORTCULLIS_LOG";

/// What a child process is given of our environment unless more is configured: what programs need to run at all, and
/// nothing that holds credentials.
const CHILD_BASICS: [&str; 12] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// The environment as it was at one moment.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl std::fmt::Debug for Environment {
    // Half of the world keeps credentials here.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}

impl Environment {
    /// That of this process, now.
    pub(crate) fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
        }
    }

    /// One that holds `variables` and nothing else.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    /// The value of `name`, if set.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Where state is kept by default: `$PORTCULLIS_STATE`, or `portcullis` under the XDG state directory (XDG Base
    /// Directory Specification 0.8: relative values are ignored). `None` where there is no home either.
    pub(crate) fn state_directory(&self) -> Option<PathBuf> {
        let set = |name: &str| self.variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set(STATE_VARIABLE).or_else(|| {
            set("XDG_STATE_HOME")
                .filter(|directory| directory.is_absolute())
                .or_else(|| set("HOME").map(|home| home.join(".local/state")))
                .map(|directory| directory.join("portcullis"))
        })
    }

    /// What a child process is given: all of it for `wrap`, whose host has put the server's variables there, and the
    /// basics for everybody else.
    pub(crate) fn for_child(&self, everything: bool) -> Vec<(OsString, OsString)> {
        self.variables
            .iter()
            .filter(|(name, _)| everything || CHILD_BASICS.iter().any(|basic| name.as_os_str() == *basic))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn state_is_found_in_order() {
        let directory = |environment: Environment| environment.state_directory();
        let home = ("HOME", "/home/a");
        assert_eq!(directory(Environment::of([])), None);
        assert_eq!(
            directory(Environment::of([home])).as_deref(),
            Some(Path::new("/home/a/.local/state/portcullis"))
        );
        assert_eq!(
            directory(Environment::of([home, ("XDG_STATE_HOME", "/x")])).as_deref(),
            Some(Path::new("/x/portcullis"))
        );
        assert_eq!(
            directory(Environment::of([home, ("XDG_STATE_HOME", "relative")])).as_deref(),
            Some(Path::new("/home/a/.local/state/portcullis"))
        );
        assert_eq!(
            directory(Environment::of([home, (STATE_VARIABLE, "/p")])).as_deref(),
            Some(Path::new("/p"))
        );
    }

    #[test]
    fn a_child_is_given_no_credentials() {
        let environment = Environment::of([("PATH", "/bin"), ("AWS_SECRET_ACCESS_KEY", "x")]);
        assert_eq!(environment.for_child(false), [("PATH".into(), "/bin".into())]);
        assert_eq!(environment.for_child(true).len(), 2);
        assert!(!format!("{environment:?}").contains('x'.to_string().repeat(2).as_str()));
    }
}
