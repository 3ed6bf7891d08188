//! `cargo xtask test`: installs what the tests need and runs all of them: what CI runs.

use crate::child::{self, Result};
use crate::{peers, prove, root};
use std::process::Command;
use std::time::{Duration, Instant};

/// Time for one step.
const STEP: Duration = Duration::from_secs(2_400);

/// Runs everything; whether all held.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let step = |name: &str, program: &str, words: &[&str]| -> Result<()> {
        let begun = Instant::now();
        println!("== {name}");
        let mut command = Command::new(program);
        command.args(words).current_dir(root());
        child::succeed(&mut command, STEP)?;
        println!("== {name}: {} s", begun.elapsed().as_secs());
        Ok(())
    };
    step("format", "cargo", &["fmt", "--all", "--check"])?;
    println!("== peers");
    peers::install()?;
    step(
        "lints",
        "cargo",
        &[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--features",
            "portcullis-testkit/sdk",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    match Command::new("cargo").args(["deny", "--version"]).output() {
        Ok(output) if output.status.success() => step(
            "dependencies",
            "cargo",
            &["deny", "check", "bans", "licenses", "sources"],
        )?,
        _ => println!("== dependencies: not looked at, cargo-deny is not installed"),
    }
    step(
        "tests",
        "cargo",
        &["test", "--workspace", "--features", "portcullis-testkit/sdk"],
    )?;
    if arguments.iter().any(|argument| argument == "--fast") {
        return Ok(true);
    }
    println!("== proofs");
    // The tests have run: what is left are the claims that need the whole program, or the compiler.
    let mut held = true;
    for name in [
        "arrows",
        "order",
        "first-run",
        "peers",
        "conformance",
        "canaries",
        "speed",
        "scan-speed",
        "screen-speed",
        "fuzz",
    ] {
        held &= prove::command(&[name.to_owned()])?;
    }
    Ok(held)
}
