//! Speed as a claim. In CI only instructions per call count, since they do not depend on what else a machine does; the ratios
//! are for the full form, each from one run.

use crate::child::{self, Result};
use crate::{root, ship};
use std::fs;
use std::path::{Path, PathBuf};
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

/// How our rows begin.
const OURS: &str = "portcullis, ";

/// Other figures below the table: the texts around the number, and the most that it may be.
const BOUNDS: [(&str, &str, f64); 3] = [
    ("`tools/list` of 1000 tools", " CPU us", 300.0),
    ("idle:", " MiB", 40.0),
    ("keep-alive connections after one call each", " KiB each", 24.0),
];

/// The version of the program that every cell is compared with.
const PEER_VERSION: &str = "0.6.0";

/// How the row with the detectors on begins.
const SCREENED_ROW: &str = "with detectors";

/// What the issue on secrets and personal data asks for.
const SCREENED: [(&str, &str, f64); 2] = [("1 KiB", SCREENED_ROW, 3.4), ("64 KiB", SCREENED_ROW, 12.0)];

/// What calls cost with the detectors on: in full beside nginx with the program as it is published, in short what a quick look at CI's
/// own build says, which nothing is judged by.
pub(crate) fn prove_screened(full: bool) -> Result<String> {
    let directory = root().join("target/speed");
    fs::create_dir_all(&directory)?;
    if !full {
        release(&["portcullis", "portcullis-benches"], &directory.join("log"))?;
        let table = benches(&["table", "--detectors", "--short"], &[])?;
        let rows = parts(&table).into_iter().flat_map(|part| {
            let size = part.heading.split(" results").next().unwrap_or_default().to_owned();
            part.rows
                .into_iter()
                .map(move |(name, numbers)| (size.clone(), name, numbers))
        });
        let figures: Vec<String> = rows
            .filter(|(_, name, _)| name.starts_with(OURS) || name.starts_with(SCREENED_ROW))
            .filter_map(|(size, name, numbers)| Some(format!("{size} {name}: {} CPU us a call", numbers.first()?)))
            .collect();
        return match figures.is_empty() {
            false => Ok(figures.join("; ")),
            true => Err(format!("no row of ours in\n{table}").into()),
        };
    }
    let gateway = ship::build()?;
    release(&["portcullis-benches"], &directory.join("log"))?;
    child::succeed(&mut Command::new("sync"), LIMIT)?;
    let table = benches(&["table", "--detectors"], &[("PORTCULLIS", &gateway)])?;
    fs::write(directory.join("screened.md"), &table)?;
    let (figures, short) = ratios(&parts(&table), &SCREENED)?;
    match short {
        false => Ok(figures.join("; ")),
        true => Err(figures.join("; ").into()),
    }
}

/// Counts, or measures; the figure.
pub(crate) fn prove(full: bool) -> Result<String> {
    let directory = root().join("target/speed");
    fs::create_dir_all(&directory)?;
    let log = directory.join("log");
    match full {
        false => {
            release(&["portcullis", "portcullis-benches"], &log)?;
            let file = root().join("benches/instructions.txt");
            let printed = benches(&["count", "--against", &file.to_string_lossy()], &[])?;
            Ok(printed.lines().collect::<Vec<_>>().join("; "))
        }
        true => {
            let peer = peer(&log)?;
            let gateway = ship::build()?;
            // What the builds wrote is on the disk before anything is measured that writes to it.
            child::succeed(&mut Command::new("sync"), LIMIT)?;
            let table = benches(&["table"], &[("MCP_PROXY", &peer), ("PORTCULLIS", &gateway)])?;
            fs::write(directory.join("table.md"), &table)?;
            judge(&table)
        }
    }
}

/// These packages as CI builds them.
pub(crate) fn release(packages: &[&str], log: &Path) -> Result<()> {
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--release"]).current_dir(root());
    for package in packages {
        build.args(["--package", package]);
    }
    if !child::run(&mut build, log, LIMIT)?.success() {
        return Err(format!("the release build failed\n{}", child::tail(log, 20)).into());
    }
    Ok(())
}

/// The program that every cell is compared with, installed where the tools of the tests are.
fn peer(log: &Path) -> Result<PathBuf> {
    let directory = root().join("target/tools/mcp-proxy");
    let program = directory.join("bin/mcp-proxy");
    if !program.exists() {
        let mut install = Command::new("cargo");
        install
            .args(["install", "--quiet", "--locked", "mcp-proxy", "--version", PEER_VERSION])
            .args(["--features", "protocol-2026-07-28", "--root"])
            .arg(&directory);
        if !child::run(&mut install, log, LIMIT)?.success() {
            return Err(format!("mcp-proxy cannot be installed\n{}", child::tail(log, 20)).into());
        }
    }
    Ok(program)
}

pub(crate) fn benches(arguments: &[&str], environment: &[(&str, &Path)]) -> Result<String> {
    let log = root().join("target/speed/benches.log");
    let mut command = Command::new(root().join("target/release/portcullis-benches"));
    command.args(arguments).envs(environment.iter().copied());
    let (status, printed) = child::read(&mut command, &log, LIMIT)?;
    match status.success() {
        true => Ok(printed),
        false => Err(format!("{printed}{}", child::tail(&log, 20)).into()),
    }
}

/// One part of the table: its heading, and the rows by name with the numbers of their cells.
struct Part<'a> {
    heading: &'a str,
    rows: Vec<(&'a str, Vec<f64>)>,
}

impl Part<'_> {
    fn is_counted(&self) -> bool {
        !self.heading.contains(", 1 connections")
    }
}

fn parts(table: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part> = Vec::new();
    for line in table.lines() {
        if line.contains(" results") {
            parts.push(Part {
                heading: line,
                rows: Vec::new(),
            });
        }
        let mut cells = line.split('|').map(str::trim).skip(1);
        if let (Some(part), Some(name)) = (parts.last_mut(), cells.next()) {
            let numbers: Vec<f64> = cells.map_while(|cell| cell.parse().ok()).collect();
            if !numbers.is_empty() {
                part.rows.push((name, numbers));
            }
        }
    }
    parts
}

/// What the issue asks of the table, at 16 and 64 connections: a figure for each, and whether all hold.
fn judge(table: &str) -> Result<String> {
    let parts = parts(table);
    let (mut figures, mut short) = ratios(&parts, &RATIOS)?;
    let (below, cells) = beside_the_peer(&parts);
    short |= below < cells || cells == 0;
    figures.push(format!("{below} of {cells} cells below mcp-proxy"));
    let calls = parts
        .iter()
        .flat_map(|part| &part.rows)
        .filter_map(|(name, numbers)| match name.starts_with(OURS) {
            true => numbers.get(5).copied(),
            false => None,
        });
    let other_than_one = calls.filter(|calls| *calls != 1.0).count();
    short |= other_than_one > 0;
    figures.push(format!(
        "{other_than_one} cells with other than one upstream call per call"
    ));
    for (before, after, most) in BOUNDS {
        let found = number_between(table, before, after).ok_or_else(|| format!("no `{before}` in the table"))?;
        short |= found > most;
        figures.push(format!("{before} {found}{after} (at most {most})"));
    }
    let figures = figures.join("; ");
    match short {
        false => Ok(figures),
        true => Err(figures.into()),
    }
}

/// The worst ratio of each of `wanted` at 16 and 64 connections, and whether any is too high.
fn ratios(parts: &[Part], wanted: &[(&str, &str, f64)]) -> Result<(Vec<String>, bool)> {
    let mut figures = Vec::new();
    let mut short = false;
    for (size, row, most) in wanted {
        let counted = parts
            .iter()
            .filter(|part| part.heading.starts_with(&format!("{size} results, ")));
        let ratios = counted
            .filter(|part| part.is_counted())
            .flat_map(|part| &part.rows)
            .filter(|(name, _)| name.starts_with(*row))
            .filter_map(|(_, numbers)| numbers.get(1).copied());
        let worst = ratios
            .reduce(f64::max)
            .ok_or_else(|| format!("no row `{row}` at {size} in the table"))?;
        short |= worst > *most;
        figures.push(format!("{size} {row}: {worst:.2} x nginx (at most {most})"));
    }
    Ok((figures, short))
}

/// In how many cells we take less CPU time than the peer, of how many in which both stand.
fn beside_the_peer(parts: &[Part]) -> (usize, usize) {
    let mut counts = (0, 0);
    for part in parts {
        let peer = part.rows.iter().find(|(name, _)| name.starts_with("mcp-proxy"));
        let Some(peer) = peer.and_then(|(_, numbers)| numbers.first()) else {
            continue;
        };
        for (_, numbers) in part.rows.iter().filter(|(name, _)| name.starts_with(OURS)) {
            counts.1 += 1;
            counts.0 += usize::from(numbers.first().is_some_and(|ours| ours < peer));
        }
    }
    counts
}

/// The number between two texts on one line.
pub(crate) fn number_between(table: &str, before: &str, after: &str) -> Option<f64> {
    let line = table.lines().find_map(|line| line.split_once(before))?.1;
    let head = line.split_once(after)?.0;
    head.rsplit([' ', ':']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "1 KiB results, 1 connections (median of 5 rounds)\n\
        | portcullis, everything on (durable record) | 900.0 | 9.00 | 1 | 1 | 1 | 1.000 |\n\
        1 KiB results, 16 connections (median of 5 rounds)\n\
        | | CPU us per call | x nginx | calls/s | p50 us | p99 us | upstream calls per call |\n|---|---|---|---|---|---|---|\n\
        | nginx | 18.0 | 1.00 | 1 | 1 | 1 | 1.000 |\n\
        | mcp-proxy 0.6.0 | 200.0 | 11.00 | 1 | 1 | 1 | 1.000 |\n\
        | portcullis, policy, screen and record off | 30.0 | 1.70 | 1 | 1 | 1 | 1.000 |\n\
        | portcullis, everything on (durable record) | 50.0 | 2.75 | 1 | 1 | 1 | 1.000 |\n\
        1 KiB results, 64 connections (median of 5 rounds)\n\
        | portcullis, everything on (durable record) | 52.0 | 2.90 | 1 | 1 | 1 | 1.000 |\n\
        64 KiB results, 16 connections (median of 5 rounds)\n\
        | portcullis, policy, screen and record off | 80.0 | 2.40 | 1 | 1 | 1 | 1.000 |\n\
        | portcullis, everything on (durable record) | 300.0 | 6.50 | 1 | 1 | 1 | 1.000 |\n\
        1 KiB results of a server over stdio, 16 connections (median of 5 rounds)\n\
        | mcp-proxy 0.6.0 | 120.0 | 1.00 | 1 | 1 | 1 | 1.000 |\n\
        | portcullis, everything on (durable record) | 110.0 | 0.92 | 1 | 1 | 1 | 1.000 |\n\
        `tools/list` of 1000 tools, one page, cached view, everything on, 16 connections: 100 CPU us, 1 lists/s, p50 1 us\n\
        idle: 25.2 MiB at start; 1000 keep-alive connections after one call each 22.3 KiB each; 1000 idle subscriptions 1 KiB each\n";

    #[test]
    fn a_good_table_passes_and_one_connection_does_not_count() {
        let figures = judge(GOOD).unwrap();
        assert!(
            figures.contains("1 KiB portcullis, everything on: 2.90 x nginx"),
            "{figures}"
        );
        assert!(figures.contains("3 of 3 cells below mcp-proxy"), "{figures}");
        assert!(figures.contains("22.3 KiB each"), "{figures}");
    }

    #[test]
    fn each_figure_alone_makes_it_fail() {
        for (good, bad) in [
            ("30.0 | 1.70", "30.0 | 1.90"),
            ("52.0 | 2.90", "52.0 | 3.10"),
            ("80.0 | 2.40", "80.0 | 2.60"),
            ("300.0 | 6.50", "300.0 | 7.10"),
            ("on (durable record) | 110.0", "on (durable record) | 130.0"),
            ("2.90 | 1 | 1 | 1 | 1.000", "2.90 | 1 | 1 | 1 | 1.001"),
            (": 100 CPU", ": 301 CPU"),
            (": 25.2 MiB", ": 41.0 MiB"),
            ("22.3 KiB", "24.3 KiB"),
        ] {
            assert!(GOOD.contains(good), "{good}");
            assert!(judge(&GOOD.replace(good, bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_table_without_the_peer_or_a_row_fails() {
        assert!(judge(&GOOD.replace("mcp-proxy", "another")).is_err());
        assert!(judge(&GOOD.replace("64 KiB", "32 KiB")).is_err());
    }
}
