//! The command line: its grammar and its exit codes, and nothing of what the commands do.

use clap::{Parser, Subcommand};
use std::net::SocketAddr;
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
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
    },
    /// Guard one stdio server: put this in front of its command in any host's configuration.
    Wrap {
        /// What policy and record call the server. Default: the program's name.
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
    Explain {
        /// Who asks.
        #[arg(long = "as", value_name = "NAME")]
        subject: Option<String>,
        /// Groups of who asks.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// A method, or `last` for the last refusal on the record.
        method: String,
        /// `server/tool`, `server/prompt`, `server/uri`, a server, or an endpoint's path.
        target: Option<String>,
        /// The arguments, a JSON object.
        #[arg(long, value_name = "JSON")]
        arguments: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The record: verify it, or read it.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// API keys.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check the policy files against what the servers have.
    Check,
    /// Print the Cedar schema: everything that a policy may name.
    Show,
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
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the last records.
    Tail {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
        lines: u64,
        /// Go on as new ones come.
        #[arg(long)]
        follow: bool,
        /// Print the records as they are, one JSON object a line.
        #[arg(long)]
        json: bool,
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
