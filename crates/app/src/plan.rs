//! What will run, wherever it came from: a file, no file (the demo), or the command of `wrap`. Every one-liner makes the same
//! [`Plan`] that a file would.

use crate::config::environment::Environment;
use crate::config::file::{File, Tool, Upstream};
use crate::config::name::{BadWord, ListenAddress, Name};
use crate::config::{Config, FILE_NAME};
use crate::demo;
use crate::failure::Failure;
use crate::wrapped::Server;
use std::path::{Path, PathBuf};

/// Everything that a gateway is built from.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The file, or what would stand in it.
    pub(crate) file: File,
    /// Where the file's relative paths start.
    pub(crate) base: PathBuf,
    /// The file it was read from.
    pub(crate) source: Option<PathBuf>,
    /// Where state is kept.
    pub(crate) state: PathBuf,
    /// The environment that references are resolved in.
    pub(crate) environment: Environment,
    /// Whom the first policy and the first key belong to.
    pub(crate) owner: String,
    /// Whether the first policy lets its owner do everything: `wrap` guards what its host could do anyway.
    pub(crate) permissive: bool,
    /// Whether a command gets the gateway's whole environment: the host of `wrap` put the server's variables there.
    pub(crate) whole_environment: bool,
}

/// The name that the first key goes by.
pub(crate) const OWNER: &str = "owner";

impl Plan {
    /// What `up` runs: `config`, else `./portcullis.toml`, else the demo.
    pub(crate) fn up(
        config: Option<&Path>,
        state: Option<&Path>,
        listen: Option<ListenAddress>,
    ) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let found = match config {
            Some(path) => Some(path.to_owned()),
            None => Some(PathBuf::from(FILE_NAME)).filter(|path| path.exists()),
        };
        let (mut file, base, source) = match found {
            Some(path) => {
                let config = Config::load(&path, &environment)?;
                (config.file, config.directory, Some(config.path))
            }
            None => (demo_file()?, here()?, None),
        };
        if let Some(address) = listen {
            listen_at(&mut file, address)?;
        }
        let owner = file
            .identity
            .anonymous
            .as_ref()
            .map_or_else(|| OWNER.to_owned(), |name| name.as_str().to_owned());
        Ok(Self {
            state: state_directory(state, &file, &base, &environment)?,
            file,
            base,
            source,
            environment,
            owner,
            permissive: false,
            whole_environment: false,
        })
    }

    /// What `wrap` runs: one command, spoken to over stdio. With `takes`, the name that it goes by becomes its own.
    pub(crate) fn wrap(
        name: Option<&str>,
        command: &[String],
        state: Option<&Path>,
        os_user: &str,
        takes: bool,
    ) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let base = here()?;
        let wraps = wraps(&state_directory(state, &File::default(), &base, &environment)?);
        let server = Server::of(command, &base);
        let name = match name {
            None => server.name(&wraps, takes)?,
            Some(name) => {
                let chosen = wrap_name(name)?;
                if takes {
                    server.take_chosen(&wraps, &chosen)?;
                }
                chosen
            }
        };
        let mut upstream = Upstream::named(name.clone());
        upstream.command = Some(command.to_vec());
        let file = File {
            upstream: vec![upstream],
            ..File::default()
        };
        // A directory for each wrapped server, so that policy and key are the server's own; the record is the process's own.
        let state = wraps.join(name.as_str());
        Ok(Self {
            file,
            base,
            source: None,
            state,
            environment,
            owner: os_user.to_owned(),
            permissive: true,
            whole_environment: true,
        })
    }

    /// Whether it is the plan of `wrap`, each process of which keeps a record of its own.
    pub(crate) const fn is_wrap(&self) -> bool {
        self.permissive
    }

    /// Where a path of the file is.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Where the record is kept.
    pub(crate) fn record_directory(&self) -> PathBuf {
        match &self.file.record.directory {
            Some(directory) => self.path(directory),
            None => self.state.join("record"),
        }
    }

    /// The policy files: those of the configuration, or the starter in the state directory.
    pub(crate) fn policy_files(&self) -> (Vec<PathBuf>, bool) {
        match (&self.file.policy.file, &self.file.policy.files) {
            (Some(file), _) => (vec![self.path(file)], false),
            (None, Some(files)) => (files.iter().map(|file| self.path(file)).collect(), false),
            (None, None) => (vec![self.state.join("policy.cedar")], true),
        }
    }

    /// The file of API keys.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.state.join("keys.json")
    }
}

/// Where each server that `wrap` guards has a directory of its name, in the state directory.
pub(crate) fn wraps(state: &Path) -> PathBuf {
    state.join("wrap")
}

/// A name that somebody chose for a server.
pub(crate) fn wrap_name(name: &str) -> Result<Name, Failure> {
    name.parse()
        .map_err(|error: BadWord| Failure::usage(format!("`{name}`: {error}, hint: {}", error.hint)))
}

fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::cannot(format!("cannot tell the current directory: {error}")))
}

fn state_directory(
    chosen: Option<&Path>,
    file: &File,
    base: &Path,
    environment: &Environment,
) -> Result<PathBuf, Failure> {
    let chosen = chosen
        .map(Path::to_owned)
        .or_else(|| file.state.directory.as_ref().map(|directory| base.join(directory)))
        .or_else(|| environment.state_directory())
        .ok_or_else(|| Failure::usage("nowhere to keep state, hint: name a directory with `--state DIR`"))?;
    std::path::absolute(&chosen).map_err(|error| Failure::cannot(format!("`{}`: {error}", chosen.display())))
}

/// What stands in the file that nobody wrote: the demo bank, its tools pinned.
fn demo_file() -> Result<File, Failure> {
    let name: Name = demo::NAME.parse().map_err(Failure::usage)?;
    let mut upstream = Upstream::named(name);
    upstream.demo = true;
    Ok(File {
        upstream: vec![upstream],
        ..File::default()
    })
}

/// The pins of the demo's tools, where the file says nothing else.
pub(crate) fn demo_tools(upstream: &Upstream) -> Vec<(String, Tool)> {
    demo::EFFECTS
        .iter()
        .filter(|(name, _)| !upstream.tools.contains_key(*name))
        .map(|(name, effect)| {
            let tool = Tool {
                effect: Some(*effect),
                ..Tool::default()
            };
            ((*name).to_owned(), tool)
        })
        .collect()
}

/// Puts `--listen` in the place of the file's address, under the rules that the file's own is under.
fn listen_at(file: &mut File, address: ListenAddress) -> Result<(), Failure> {
    let listen = &file.listen;
    let wanting = [
        (
            listen.tls.is_none() && !listen.danger_plaintext,
            "there is no TLS, hint: configure `listen.tls`",
        ),
        (
            listen.hosts.is_empty(),
            "has no names, hint: list those by which clients reach it in `listen.hosts`",
        ),
        (
            file.identity.anonymous.is_some(),
            "callers need no credential, hint: remove `identity.anonymous`",
        ),
    ];
    let wanting = wanting.iter().find(|(wanting, _)| *wanting && !address.is_loopback());
    if let Some((_, what)) = wanting {
        return Err(Failure::usage(format!(
            "`--listen {address}` can be reached by other machines and {what}"
        )));
    }
    file.listen.address = address;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_on_the_command_line_is_under_the_rules_of_the_file() {
        let read = |text: &str| {
            let environment = Environment::of([]);
            Config::read(Path::new("/nowhere/portcullis.toml"), text, &environment)
                .unwrap()
                .file
        };
        let (open, loopback) = ("0.0.0.0:8650".parse().unwrap(), "127.0.0.1:0".parse().unwrap());
        for (text, missing) in [
            ("", "listen.tls"),
            ("[listen]\ndanger_plaintext = true\n", "listen.hosts"),
            (
                "[listen]\ndanger_plaintext = true\nhosts = [\"a.example\"]\n[identity]\nanonymous = \"me\"\n",
                "identity.anonymous",
            ),
        ] {
            let failure = listen_at(&mut read(text), open).unwrap_err().to_string();
            assert!(failure.contains(missing), "{failure}");
            assert!(listen_at(&mut read(text), loopback).is_ok());
        }
        let mut file = read("[listen]\ndanger_plaintext = true\nhosts = [\"a.example\"]\n");
        assert!(listen_at(&mut file, open).is_ok());
        assert_eq!(file.listen.address, open);
    }
}
