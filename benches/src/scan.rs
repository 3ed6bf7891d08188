//! What it costs to look for secrets and personal data: CPU time, and instructions for each byte under callgrind, which is what CI
//! compares.

use crate::{Result, count, number, process};
use portcullis_guards::scan::{Context, Form, Rules, Scanner};
use std::fs;
use std::hint::black_box;
use std::process::Command;

/// Texts are looked through in documents of so many bytes.
const DOCUMENT_BYTES: usize = 64 << 10;

/// The texts that are counted, beside this file; they are ours.
const TEXTS: [&str; 2] = ["found", "clean"];

/// How often a text is looked through in the shorter and in the longer run: the difference leaves the start out.
const TIMES: [usize; 2] = [1, 4];

/// How far a figure may lie above the one on file, in percent. The same build counts the same to a thousandth.
const SLACK_PERCENT: u64 = 4;

/// So much is looked through for one figure, in bytes.
const BYTES_MIN: usize = 16 << 20;

/// The fastest of so many rounds counts.
const ROUNDS: usize = 3;

/// `scan FILE... [--times N]`: what it took to be ready, then for each file what was found and how fast. With `--times`, each is
/// looked through so many times and no more.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let resident_before = process::resident_kib(std::process::id())?;
    let before = cpu_us()?;
    let scanner = Scanner::new(Rules::built_in()?)?;
    let ready_us = cpu_us()? - before;
    let resident = process::resident_kib(std::process::id())?;
    println!(
        "ready after {:.1} ms of CPU time, all tables in {} KiB of {resident} resident",
        ready_us / 1_000.0,
        resident.saturating_sub(resident_before)
    );
    for file in arguments.iter().take_while(|argument| !argument.starts_with("--")) {
        let text = fs::read(file)?;
        let (rounds, times) = match number(arguments, "--times", 0)? {
            0 => (ROUNDS, BYTES_MIN.div_ceil(text.len().max(1))),
            times => (1, times),
        };
        let (mut best, mut found) = (f64::MAX, 0);
        for _ in 0..rounds {
            let before = cpu_us()?;
            for _ in 0..times {
                let documents = text.chunks(DOCUMENT_BYTES);
                found = documents
                    .map(|document| black_box(scanner.scan(document, Form::Json, &Context::default())).len())
                    .sum();
            }
            best = best.min((cpu_us()? - before) / times as f64);
        }
        println!(
            "{file}: {} KiB, {found} findings, {:.1} MB a second of CPU time",
            text.len() >> 10,
            text.len() as f64 / best
        );
    }
    Ok(())
}

/// `scan-count [--bless FILE | --against FILE]`: prints instructions for each byte of each of [`TEXTS`]; compares them with those on
/// file, in thousandths, or puts them there.
pub(crate) fn count_command(arguments: &[String]) -> Result<()> {
    let place = crate::table::Place::new()?;
    let mut lines = Vec::new();
    for text in TEXTS {
        let file = format!("{}/texts/{text}.json", env!("CARGO_MANIFEST_DIR"));
        let mut totals = [0; 2];
        for (times, total) in TIMES.iter().zip(&mut totals) {
            let out = place.path.join(format!("callgrind-{text}-{times}"));
            let output = Command::new("valgrind")
                .arg("--tool=callgrind")
                .arg(format!("--callgrind-out-file={}", out.display()))
                .arg(std::env::current_exe()?)
                .args(["scan", &file, "--times", &times.to_string()])
                .output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            *total = count::total(&out)?;
        }
        let [fewer, more] = totals;
        let bytes = fs::metadata(&file)?.len() * (TIMES[1] - TIMES[0]) as u64;
        let each = more.saturating_sub(fewer) * 1_000 / bytes;
        println!("{text}: {}.{:03} instructions a byte", each / 1_000, each % 1_000);
        lines.push((text, each));
    }
    count::keep_or_compare(arguments, &lines, SLACK_PERCENT)
}

fn cpu_us() -> Result<f64> {
    process::cpu_us(std::process::id())
}
