//! Measures Portcullis beside its peers on one machine in one run: `portcullis-benches stub | load | table | count | scan |
//! scan-count | scan-messages | scan-worst | train`. The figure of record is CPU time of the process under test for each request; see `benches/README.md`.

mod count;
mod load;
mod messages;
mod process;
mod proxies;
mod scan;
mod stub;
mod table;
mod train;

use std::process::ExitCode;

/// What the commands return: an error is for a person to read.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((command, rest)) if command == "stub" => stub::command(rest),
        Some((command, rest)) if command == "stdio-stub" => stub::stdio_command(rest),
        Some((command, rest)) if command == "load" => load::command(rest),
        Some((command, rest)) if command == "table" => table::command(rest),
        Some((command, rest)) if command == "count" => count::command(rest),
        Some((command, rest)) if command == "scan" => scan::command(rest),
        Some((command, rest)) if command == "scan-count" => scan::count_command(rest),
        Some((command, rest)) if command == "scan-messages" => messages::command(rest),
        Some((command, rest)) if command == "scan-worst" => messages::worst_command(rest),
        Some((command, rest)) if command == "train" => train::command(rest),
        _ => Err(
            "usage: portcullis-benches stub --port N [--tools N] | stdio-stub [--tools N] [--calls FILE] | load --address HOST:PORT ... | table [--rounds N] [--short] [--detectors] | count [--against FILE] | scan FILE... | scan-count [--against FILE] | scan-messages FILE... | scan-worst DIRECTORY | train DIRECTORY"
                .into(),
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The value of `--name VALUE` among `arguments`.
pub(crate) fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

/// The same as a number, `default` when it is not given.
pub(crate) fn number(arguments: &[String], name: &str, default: usize) -> Result<usize> {
    match option(arguments, name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("`{name} {text}`: a number is wanted").into()),
    }
}
