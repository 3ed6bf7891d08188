//! Which server a command of `wrap` runs, and what it is called. Policies, state and records hang on the name, so that two
//! servers never share one, and one server keeps its own when its version or its arguments change. `command`
//! tells them apart. It starts nothing.

mod command;

use crate::config::name::{NAME_BYTES_MAX, Name};
use crate::failure::Failure;
use portcullis_store::files;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Letters of the digest that tell two servers of one name apart.
const SUFFIX_CHARS: usize = 6;
/// The file in a server's directory that says which server has the name: SHA-256 of what tells it, in hex.
const MARK: &str = "server.sha256";

/// A server as its command tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// What it is called as long as no other server is.
    plain: String,
    /// What makes it another server than others.
    identity: String,
}

impl Server {
    /// The server that `command` runs in `directory`.
    pub(crate) fn of(command: &[String], directory: &Path) -> Self {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let told = command::tell(&words, directory);
        Self {
            plain: slug(&told.name, NAME_BYTES_MAX),
            identity: told.identity,
        }
    }

    /// What it is called where another server has the plain name: the same, and the beginning of a digest.
    fn in_full(&self) -> String {
        let mark = self.mark();
        let suffix = mark.get(..SUFFIX_CHARS).unwrap_or_default();
        format!("{}-{suffix}", slug(&self.plain, NAME_BYTES_MAX - SUFFIX_CHARS - 1))
    }

    /// A digest and not the words: some of them may be secret.
    fn mark(&self) -> String {
        portcullis_ledger::digest(self.identity.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Its name under `wraps`, where each name has a directory. With `takes`, the name becomes its own.
    ///
    /// # Errors
    /// The directory cannot be used, or both names are others' (one in sixteen million).
    pub(crate) fn name(&self, wraps: &Path, takes: bool) -> Result<Name, Failure> {
        let mark = self.mark();
        let names = [self.plain.clone(), self.in_full()];
        let owners = names.each_ref().map(|name| owner(&wraps.join(name)));
        let own = owners.iter().position(|owner| owner.as_deref() == Some(mark.as_str()));
        let mut order: Vec<usize> = own.into_iter().chain([0, 1]).collect();
        order.dedup();
        for name in order.into_iter().filter_map(|place| names.get(place)) {
            let directory = wraps.join(name);
            let is_own = match takes {
                true => take(&directory, &mark)?,
                false => owner(&directory).is_none_or(|owner| owner == mark),
            };
            if is_own {
                return name.parse().map_err(Failure::usage);
            }
        }
        Err(Failure::usage(format!(
            "`{}` and `{}` are names of other servers already, hint: choose one with `--name NAME`",
            self.plain,
            self.in_full()
        )))
    }

    /// Takes `name`, which somebody chose, unless it is another server's: then the two share it, as they are told to.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub(crate) fn take_chosen(&self, wraps: &Path, name: &Name) -> Result<(), Failure> {
        take(&wraps.join(name.as_str()), &self.mark()).map(drop)
    }
}

fn owner(directory: &Path) -> Option<String> {
    let mark = files::read_limited(&directory.join(MARK), 128).ok()?;
    Some(String::from_utf8_lossy(&mark).trim().to_owned())
}

/// Marks `directory`, whole or not at all; whether it is ours now. Of two that start at once one is first.
fn take(directory: &Path, mark: &str) -> Result<bool, Failure> {
    let cannot = |error: io::Error| Failure::cannot(format!("state directory `{}`: {error}", directory.display()));
    if let Some(owner) = owner(directory) {
        return Ok(owner == mark);
    }
    if let Some(parent) = directory.parent() {
        files::create_private_directory(parent).map_err(cannot)?;
    }
    files::create_private_directory(directory).map_err(cannot)?;
    match files::create_whole(&directory.join(MARK), format!("{mark}\n").as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(owner(directory).as_deref() == Some(mark)),
        Err(error) => Err(cannot(error)),
    }
}

/// A name made of a word, of at most `bytes_max` bytes: `Some_Server.py` becomes `some-server-py`.
fn slug(word: &str, bytes_max: usize) -> String {
    let text: String = word
        .trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => c,
            _ => '-',
        })
        .take(bytes_max)
        .collect();
    match text.trim_matches('-') {
        "" => "server".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn server(command: &str) -> Server {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        Server::of(&words, Path::new("/home/me/weather"))
    }

    #[test]
    fn the_first_has_the_plain_name_and_each_keeps_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let wraps = directory.path().join("wrap");
        let [one, other, third] = ["/x/a/dist/index.js", "/y/a/dist/index.js", "/z/a/dist/index.js"]
            .map(|path| server(&format!("node {path}")));
        let name = |server: &Server, takes| server.name(&wraps, takes).unwrap().as_str().to_owned();
        // Who only asks takes nothing.
        assert_eq!(name(&other, false), "a");
        assert!(!wraps.exists());
        for _ in 0..2 {
            assert_eq!(name(&one, true), "a");
            assert_eq!(name(&other, true), other.in_full());
        }
        assert_eq!(name(&one, false), "a");
        assert_eq!(name(&other, false), other.in_full());
        assert_eq!(name(&third, false), third.in_full());
        // The plain name is free again, and who has another keeps it.
        std::fs::remove_dir_all(wraps.join("a")).unwrap();
        assert_eq!(name(&other, true), other.in_full());
        assert_eq!(name(&third, true), "a");
        assert_eq!(name(&one, true), one.in_full());
        // A chosen name is the first's, too, and may be shared on purpose.
        let chosen: Name = "a-b".parse().unwrap();
        one.take_chosen(&wraps, &chosen).unwrap();
        other.take_chosen(&wraps, &chosen).unwrap();
        assert_eq!(owner(&wraps.join("a-b")), Some(one.mark()));
        // Both names are others': it must be said.
        let fourth = server("node /w/a/dist/index.js");
        third.take_chosen(&wraps, &fourth.in_full().parse().unwrap()).unwrap();
        let failure = fourth.name(&wraps, true).unwrap_err().to_string();
        assert!(failure.contains("hint: choose one with `--name NAME`"), "{failure}");
    }
}
