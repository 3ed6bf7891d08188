//! The command line: its grammar and its exit codes, and nothing of what the commands do.

use crate::clock;
use crate::config::name::{BadWord, ListenAddress};
use clap::{Args, Parser, Subcommand};
use portcullis_gateway::identity::Method;
use std::path::PathBuf;

/// How the program ends.
pub(crate) mod exit {
    /// All is well.
    pub(crate) const OK: u8 = 0;
    /// It ran, and found something wrong: a check, a verification, a refused call.
    pub(crate) const FOUND: u8 = 1;
    /// The command line or the configuration cannot be used. (clap ends with it, too.)
    pub(crate) const USAGE: u8 = 2;
    /// It cannot run here now: address in use, state directory locked, server not reachable.
    pub(crate) const CANNOT: u8 = 3;
}

/// A gateway for the Model Context Protocol: every call authenticated, decided, inspected, routed, and on a record that a
/// stranger can verify.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 all is well, 1 something was found or refused, 2 the command line or configuration cannot be used, 3 it cannot run here now."
)]
pub(crate) struct Cli {
    /// Configuration file. Default: ./portcullis.toml if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// State directory: keys, policy, record. Default: $PORTCULLIS_STATE, or portcullis in the XDG state directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway. Without a file: the built-in demo bank.
    Up {
        /// Listen here instead of what the file says.
        #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
        listen: Option<ListenAddress>,
    },
    /// Guard one stdio server: put this in front of its command in any host's configuration.
    Wrap {
        /// What policy and record call the server, and its directory in the state directory. Default: a name made of what the
        /// command runs, with a few letters more if another server has it already.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// The server's command.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Check the configuration, ask every server what it has, and check the policies against that. No call is made.
    Check {
        /// The file to check.
        file: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask every server what it has, and show it as clients would see it.
    Catalog {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Policies: check them against the catalog, or show what they may name.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Why a call is allowed or not: `explain --as ana tools/call bank/transfer --arguments '{"amount_cents": 5}'`.
    Explain(Box<Question>),
    /// The record: verify it, or read it.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Find secrets and personal data in files; values are never printed. Exit code 1 when something is found.
    Scan(Scan),
    /// API keys.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

/// What `scan` looks at, and how it tells.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Files and directories; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long, conflicts_with = "sarif")]
    pub(crate) json: bool,
    /// Print SARIF 2.1.0, for code scanning.
    #[arg(long)]
    pub(crate) sarif: bool,
    /// Rules of your own, beside ours.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// What is in this file is known, and not told again.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Note what is found in this file, as a baseline, and tell nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "sarif", "baseline"])]
    pub(crate) write_baseline: Option<PathBuf>,
    /// For measuring: JSON lines with `id` and `text`; prints one line each with `id` and `spans`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "json", "sarif", "baseline", "write_baseline"])]
    pub(crate) records: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check the policy files against what the servers have.
    Check(Guarded),
    /// Print the Cedar schema: everything that a policy may name.
    Show(Guarded),
}

/// What `wrap` guards, in place of what the configuration has.
#[derive(Debug, Args)]
pub(crate) struct Guarded {
    /// With a command: the name that `wrap` gives it, if it was given one.
    #[arg(long, value_name = "NAME", requires = "command")]
    pub(crate) wrap: Option<String>,
    /// The policy of `wrap` for this command, in place of the gateway's.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// What `explain` is asked. What is not said is as it would be: an API key over HTTP, or behind `wrap` the user of the
/// operating system over stdio.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// Who asks, by the name that policy knows. Default: whom the first policy is for.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) subject: Option<String>,
    /// A program that acts for itself asks, not a person.
    #[arg(long)]
    pub(crate) agent: bool,
    /// Groups of who asks.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// How who asks was authenticated: `key`, `jwt`, `os_user` or `anonymous`.
    #[arg(long, value_name = "CREDENTIAL", value_parser = credential)]
    pub(crate) credential: Option<Method>,
    /// Who issued the token; means `--credential jwt`.
    #[arg(long, value_name = "ISSUER")]
    pub(crate) issuer: Option<String>,
    /// The client that the credential was issued to.
    #[arg(long, value_name = "CLIENT")]
    pub(crate) client: Option<String>,
    /// The transport that it asks over.
    #[arg(long, value_name = "TRANSPORT", value_parser = ["http", "stdio"])]
    pub(crate) transport: Option<String>,
    /// The revision of the protocol that it speaks.
    #[arg(long, value_name = "REVISION", default_value = "2026-07-28")]
    pub(crate) revision: String,
    /// When it asks, in UTC: `2026-07-28T23:30:00Z`. Default: now.
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    pub(crate) time: Option<u64>,
    /// The arguments, a JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) arguments: Option<String>,
    /// With `last`: the last refusal on the records of `wrap` for the server of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) wrap: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// A method, or `last` for the last refusal on the record.
    pub(crate) method: String,
    /// `server/tool`, `server/prompt`, `server/uri`, a server, or an endpoint's path.
    pub(crate) target: Option<String>,
    /// The policy of `wrap` for this command, in place of the gateway's.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) wrapped: Vec<String>,
}

fn credential(word: &str) -> Result<Method, String> {
    let methods = Method::ALL;
    methods
        .into_iter()
        .find(|method| method.as_str() == word)
        .ok_or_else(|| {
            let words = methods.map(|method| format!("`{method}`"));
            format!("hint: one of {}", words.join(", "))
        })
}

fn listen_address(text: &str) -> Result<ListenAddress, String> {
    text.parse()
        .map_err(|bad: BadWord| format!("{}, hint: {}", bad.message, bad.hint))
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check the whole record: signature, tree, schema, numbers, pairs.
    Verify {
        /// The record's directory. Default: the one of the configuration.
        directory: Option<PathBuf>,
        /// File with the verifier key. Default: the key beside the record, which proves that it is whole and not whose it is.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// All records that `wrap` kept for the server of this name.
        #[arg(long, value_name = "NAME", conflicts_with_all = ["directory", "key"])]
        wrap: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the last records.
    Tail {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
        lines: usize,
        /// Go on as new ones come.
        #[arg(long)]
        follow: bool,
        /// Only what this user did.
        #[arg(long, value_name = "NAME")]
        who: Option<String>,
        /// `--who` is a program that acts for itself, not a person.
        #[arg(long, requires = "who")]
        agent: bool,
        /// The records that `wrap` kept for the server of this name: each of its processes has one.
        #[arg(long, value_name = "NAME")]
        wrap: Option<String>,
        /// Print the records as they are, one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Print the handle (`subject_h`) by which the record names a user.
    Who {
        /// The user, by the name that policy knows.
        name: String,
        /// A program that acts for itself, not a person.
        #[arg(long)]
        agent: bool,
        /// On the records that `wrap` kept for the server of this name: each of its processes has one, with handles of its own.
        #[arg(long, value_name = "NAME")]
        wrap: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, once.
    Create {
        /// Whom it stands for.
        name: String,
        /// A program that acts for itself holds it, not a person.
        #[arg(long)]
        agent: bool,
        /// Groups of the holder.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Days until it ends. Default: it does not.
        #[arg(long, value_name = "DAYS")]
        days: Option<u64>,
    },
    /// List the keys, without their secrets.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// End a key.
    Revoke {
        /// Its id, as `key list` shows it.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_whole() {
        Cli::command().debug_assert();
    }

    #[test]
    fn slips_come_with_a_hint() {
        for (line, hint) in [
            ("up --listen 127.0.0.1", "hint: add a port, for example 8650"),
            ("up --listen 8650", "hint: write `127.0.0.1:8650`"),
            ("explain --credential token tools/list", "hint: one of `key`"),
            ("explain --time noon tools/list", "hint: for example"),
        ] {
            let words = ["portcullis"].into_iter().chain(line.split(' '));
            let error = Cli::try_parse_from(words).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        let words = "portcullis explain last --wrap notes".split(' ');
        assert!(Cli::try_parse_from(words).is_ok());
        // A name of `wrap` means nothing to `policy` without the command.
        assert!(Cli::try_parse_from("portcullis policy check --wrap notes".split(' ')).is_err());
        assert!(Cli::try_parse_from("portcullis policy check --wrap notes -- a -b".split(' ')).is_ok());
    }
}
