//! Running other programs with a time limit, and leaving none behind.

use crate::root;
use std::{
    error::Error,
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What the tasks return: an error is for a person to read.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const POLL: Duration = Duration::from_millis(10);

/// Runs `command` with both outputs in the file `log`, at most for `limit`; then it and its descendants are killed.
///
/// # Errors
/// It does not start, or it ran out of time. A failure of its own is in the status.
pub(crate) fn run(command: &mut Command, log: &Path, limit: Duration) -> Result<ExitStatus> {
    let output = fs::File::create(log)?;
    command.stdout(output.try_clone()?).stderr(output);
    wait(command, limit)
}

/// Runs `command`, at most for `limit`, and returns what it wrote to standard output. Its errors go to `log`.
///
/// # Errors
/// It does not start, or it ran out of time.
pub(crate) fn read(command: &mut Command, log: &Path, limit: Duration) -> Result<(ExitStatus, String)> {
    let output = log.with_extension("out");
    command
        .stdout(fs::File::create(&output)?)
        .stderr(fs::File::create(log)?);
    let status = wait(command, limit)?;
    Ok((status, fs::read_to_string(&output)?))
}

/// Runs `command` on the terminal, at most for `limit`, and wants it to succeed.
///
/// # Errors
/// It does not start, fails, or ran out of time.
pub(crate) fn succeed(command: &mut Command, limit: Duration) -> Result<()> {
    let name = format!("{command:?}");
    let status = wait(command, limit)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name}: {status}").into())
    }
}

/// The program under test: the debug build, where what it does is what counts, or the one that the README makes.
///
/// # Errors
/// It does not build.
pub(crate) fn program(is_release: bool) -> Result<PathBuf> {
    let (profile, directory) = match is_release {
        false => ("dev", "debug"),
        true => ("release", "release"),
    };
    let mut build = Command::new("cargo");
    build
        .args(["build", "--quiet", "--package", "portcullis", "--profile", profile])
        .current_dir(root());
    succeed(&mut build, Duration::from_secs(1_800))?;
    Ok(root().join("target").join(directory).join("portcullis"))
}

/// The last `count` lines of a file, for an error message.
pub(crate) fn tail(file: &Path, count: usize) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(count))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}

fn wait(command: &mut Command, limit: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    // A group of its own, so that a whole family can be ended at once.
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| named(command, &error))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            kill_group(&mut child);
            return Err(format!("{command:?}: not done after {} s", limit.as_secs()).into());
        }
        thread::sleep(POLL);
    }
}

fn named(command: &Command, error: &io::Error) -> String {
    format!("`{}` does not start: {error}", command.get_program().to_string_lossy())
}

fn kill_group(child: &mut Child) {
    // The standard library can only kill the one process. Already gone is as good.
    let _ = Command::new("kill")
        .args(["-KILL", "--", &format!("-{}", child.id())])
        .status();
    let _ = child.wait();
}
