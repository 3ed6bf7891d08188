//! Speed as a claim. In CI only instructions per call count, since they do not depend on what else a machine does; the ratios
//! are for the full form, each from one run.

use crate::child::{self, Result};
use crate::root;
use std::fs;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3_000);

/// What the issue asks for: the heading of the table's part, the row's beginning, the most that its ratio may be.
const RATIOS: [(&str, &str, f64); 4] = [
    ("1 KiB", "portcullis, policy, screen and record off", 1.8),
    ("1 KiB", "portcullis, everything on", 3.0),
    ("64 KiB", "portcullis, policy, screen and record off", 2.5),
    ("64 KiB", "portcullis, everything on", 7.0),
];

/// Counts, or measures; the figure.
pub(crate) fn prove(full: bool) -> Result<String> {
    let directory = root().join("target/speed");
    fs::create_dir_all(&directory)?;
    let log = directory.join("log");
    let mut build = Command::new("cargo");
    build
        .args([
            "build",
            "--quiet",
            "--release",
            "-p",
            "portcullis",
            "-p",
            "portcullis-benches",
        ])
        .current_dir(root());
    if !child::run(&mut build, &log, LIMIT)?.success() {
        return Err(format!("the release build failed\n{}", child::tail(&log, 20)).into());
    }
    match full {
        false => {
            let file = root().join("benches/instructions.txt");
            let printed = benches(&["count", "--against", &file.to_string_lossy()])?;
            Ok(printed.lines().collect::<Vec<_>>().join("; "))
        }
        true => ratios(&benches(&["table"])?),
    }
}

fn benches(arguments: &[&str]) -> Result<String> {
    let log = root().join("target/speed/benches.log");
    let mut command = Command::new(root().join("target/release/portcullis-benches"));
    command.args(arguments);
    let (status, printed) = child::read(&mut command, &log, LIMIT)?;
    match status.success() {
        true => Ok(printed),
        false => Err(format!("{printed}{}", child::tail(&log, 20)).into()),
    }
}

/// The worst ratio to nginx of each claim, at 16 and 64 connections.
fn ratios(table: &str) -> Result<String> {
    let mut figures = Vec::new();
    let mut short = false;
    for (size, row, most) in RATIOS {
        let worst = worst(table, size, row).ok_or_else(|| format!("no row `{row}` at {size} in the table"))?;
        short |= worst > most;
        figures.push(format!("{size} {row}: {worst:.2} x nginx (at most {most})"));
    }
    let figures = figures.join("; ");
    match short {
        false => Ok(figures),
        true => Err(figures.into()),
    }
}

fn worst(table: &str, size: &str, row: &str) -> Option<f64> {
    let mut in_part = false;
    let mut worst: Option<f64> = None;
    for line in table.lines() {
        if let Some((part, rest)) = line.split_once(" results, ") {
            in_part = part == size && !rest.starts_with("1 connections");
        }
        let Some(cells) = line.strip_prefix("| ").filter(|line| in_part && line.starts_with(row)) else {
            continue;
        };
        let ratio: f64 = cells.split('|').nth(2)?.trim().parse().ok()?;
        worst = Some(worst.map_or(ratio, |worst| worst.max(ratio)));
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_ratio_counts_and_one_connection_does_not() {
        let table = "1 KiB results, 1 connections (median of 5 rounds)\n\
            | portcullis, everything on (durable record) | 900.0 | 9.00 | 1 |\n\
            1 KiB results, 16 connections (median of 5 rounds)\n\
            | nginx | 18.0 | 1.00 | 1 |\n\
            | portcullis, everything on (durable record) | 50.0 | 2.75 | 1 |\n\
            1 KiB results, 64 connections (median of 5 rounds)\n\
            | portcullis, everything on (durable record) | 52.0 | 2.90 | 1 |\n\
            64 KiB results, 16 connections (median of 5 rounds)\n\
            | portcullis, everything on (durable record) | 300.0 | 7.50 | 1 |\n";
        assert_eq!(worst(table, "1 KiB", "portcullis, everything on"), Some(2.9));
        assert_eq!(worst(table, "64 KiB", "portcullis, everything on"), Some(7.5));
        assert_eq!(worst(table, "64 KiB", "nginx"), None);
        assert!(ratios(table).is_err());
    }
}
