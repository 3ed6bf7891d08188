//! The README's picture: what a first session prints, taken from the running demo and drawn as a terminal, with its text as text.
//! Nothing in it is made up but what differs from machine to machine: port, state directory and the name of the host.

use crate::child::{self, Result};
use crate::first_run::Running;
use crate::root;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the picture is.
pub(crate) const FILE: &str = "docs/first-run.svg";
/// Characters in a line; longer ones go on in the next, as in a terminal.
const COLUMNS: usize = 112;
/// Pixels of a character at most (monospaced fonts differ), of a line, and around the text.
const CHARACTER: usize = 8;
const LINE: usize = 18;
const MARGIN: usize = 16;
/// Time for a checkpoint that has the first call.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is typed after the first call.
const COMMANDS: [&str; 3] = [
    "portcullis audit tail",
    r#"portcullis explain --as owner tools/call bank/transfer --arguments '{"amount_cents": 250000}'"#,
    "portcullis audit verify",
];

/// Runs the session and writes the picture; its size in bytes.
///
/// # Errors
/// The demo does not start, a command prints nothing, or the picture cannot be written.
pub(crate) fn draw(is_release: bool) -> Result<usize> {
    let program = child::program(is_release)?;
    let place = root().join("target/picture");
    let state = place.join("state");
    let (_running, banner) = Running::start(&program, &place)?;
    // Files are shown as seen from here: whole.
    let desk = place.join("desk");
    std::fs::create_dir(&desk)?;
    let curl = banner.last().ok_or("no line to try")?.trim();
    let mut lines = vec!["$ portcullis up".to_owned()];
    lines.extend(banner.iter().cloned());
    let typed = curl.split(" -H ").next().unwrap_or("curl");
    lines.extend([String::new(), format!("$ {typed} -H …   # the line above, as printed")]);
    let home = program.parent().ok_or("the program has no directory")?;
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap_or_default());
    for line in std::iter::once(curl).chain(COMMANDS) {
        if line != curl {
            lines.extend([String::new(), format!("$ {line}")]);
        }
        let begun = Instant::now();
        let text = loop {
            let output = Command::new("sh")
                .args(["-c", line])
                .env("PATH", &path)
                .env("PORTCULLIS_STATE", &state)
                .current_dir(&desk)
                .output()?;
            let text = String::from_utf8(output.stdout)?;
            if text.is_empty() {
                return Err(format!("`{line}`: {}", String::from_utf8_lossy(&output.stderr)).into());
            }
            // The next checkpoint is a matter of seconds.
            if !text.contains("not yet under") || begun.elapsed() > PATIENCE {
                break text;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        lines.extend(text.lines().map(str::to_owned));
    }
    let address = banner
        .first()
        .and_then(|line| line.split("http://").nth(1)?.split('/').next())
        .ok_or("no address")?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let lines: Vec<String> = lines
        .iter()
        .map(|line| {
            line.replace(address, "127.0.0.1:8650")
                .replace(&state.display().to_string(), "~/.local/state/portcullis")
                .replace(&format!("portcullis.local/{}", host.trim()), "portcullis.local/desk")
        })
        .collect();
    let picture = svg(&lines);
    std::fs::write(root().join(FILE), &picture)?;
    Ok(picture.len())
}

/// The lines as a terminal, light or dark as the reader has it.
fn svg(lines: &[String]) -> String {
    let rows: Vec<(&str, String)> = lines.iter().flat_map(|line| wrapped(line)).collect();
    let (width, height) = (COLUMNS * CHARACTER + 2 * MARGIN, rows.len() * LINE + 2 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>A first session with Portcullis</title>\n\
         <desc>Made by `cargo xtask picture` from what the program prints.</desc>\n\
         <style>\n\
         text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre; fill: #1f2328 }}\n\
         rect {{ fill: #f6f8fa; stroke: #d0d7de }}\n\
         .typed {{ fill: #0550ae; font-weight: bold }} .good {{ fill: #116329 }} .bad {{ fill: #a40e26 }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         text {{ fill: #e6edf3 }} rect {{ fill: #0d1117; stroke: #30363d }}\n\
         .typed {{ fill: #79c0ff }} .good {{ fill: #7ee787 }} .bad {{ fill: #ff7b72 }}\n\
         }}\n\
         </style>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        width - 1,
        height - 1
    );
    for (row, (class, text)) in rows.iter().enumerate().filter(|(_, (_, text))| !text.is_empty()) {
        let y = MARGIN + row * LINE + 13;
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "<text x=\"{MARGIN}\" y=\"{y}\"{class} xml:space=\"preserve\">{text}</text>"
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A line in pieces that fit, with what they are.
fn wrapped(line: &str) -> Vec<(&'static str, String)> {
    let class = if line.starts_with("$ ") {
        " class=\"typed\""
    } else if line.contains(": denied (") || line.trim_start().starts_with("NOT ") {
        " class=\"bad\""
    } else if line.starts_with("verified: ") || line.ends_with(" allow permitted") {
        " class=\"good\""
    } else {
        ""
    };
    let characters: Vec<char> = line.chars().collect();
    if characters.is_empty() {
        return vec![(class, String::new())];
    }
    characters
        .chunks(COLUMNS)
        .map(|piece| (class, piece.iter().collect()))
        .collect()
}
