//! The first minute: `up` in an empty directory with nothing configured, and the line that it prints to try.

use crate::child::{self, Result};
use crate::root;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Lines that `up` may print.
const LINES_MAX: usize = 12;
/// Time from start to the last line of the banner.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts `up`, reads what it prints, runs the `curl` line as printed, and looks at the answer. In full with a release build made
/// by the README's own command.
pub(crate) fn prove(full: bool) -> Result<String> {
    let program = child::program(full)?;
    let begun = Instant::now();
    let (_running, lines) = Running::start(&program, &root().join("target/first-run"))?;
    let ready_ms = begun.elapsed().as_millis();
    if lines.len() > LINES_MAX {
        return Err(format!("{} lines, at most {LINES_MAX}", lines.len()).into());
    }
    let curl = lines
        .last()
        .filter(|line| line.trim_start().starts_with("curl "))
        .ok_or("no curl line was printed")?;
    let answer = Command::new("sh").args(["-c", curl]).output()?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let found = text.contains("\"structuredContent\"") && !text.contains("\"isError\":true");
    match answer.status.success() && found {
        true => Ok(format!(
            "{} lines, ready in {ready_ms} ms, the printed line answers with {} bytes",
            lines.len(),
            text.len()
        )),
        false => Err(format!(
            "the printed line does not work: {text}{}",
            String::from_utf8_lossy(&answer.stderr)
        )
        .into()),
    }
}

/// The demo, until it is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `up` in `place`, which is emptied first, with its state in `place/state`; with it what it printed, the line to try last.
    ///
    /// # Errors
    /// It does not start, or does not say that it did.
    pub(crate) fn start(program: &Path, place: &Path) -> Result<(Self, Vec<String>)> {
        if place.exists() {
            std::fs::remove_dir_all(place)?;
        }
        std::fs::create_dir_all(place)?;
        let child = Command::new(program)
            .args(["up", "--listen", "127.0.0.1:0"])
            .env("PORTCULLIS_STATE", place.join("state"))
            .current_dir(place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut running = Self(child);
        let lines = running.banner()?;
        Ok((running, lines))
    }

    /// What it prints until the line to try.
    fn banner(&mut self) -> Result<Vec<String>> {
        let output = self.0.stdout.take().ok_or("no output")?;
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let deadline = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = receiver
                .recv_timeout(left)
                .map_err(|_| format!("`up` printed {} lines and no curl line", lines.len()))?;
            let last = line.trim_start().starts_with("curl ");
            lines.push(line);
            if last {
                return Ok(lines);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}
