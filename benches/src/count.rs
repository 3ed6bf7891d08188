//! Instructions per call, under callgrind: the figure that does not depend on what else the machine does, and so the one that
//! CI compares. A process is run twice with different numbers of calls; the difference leaves the start out.

use crate::load::{self, Era};
use crate::proxies::{self, Behind, VARIANTS, Variant};
use crate::table::Place;
use crate::{Result, option};
use std::fs;
use std::path::{Path, PathBuf};

/// Calls of the shorter and of the longer run.
const CALLS: [u64; 2] = [100, 300];

/// How far a figure may lie above the one on file before it fails, in percent. Runs differ by about two, since a thread that
/// wakes a little later finds more to do at once.
const SLACK_PERCENT: u64 = 8;

/// What is counted: its name on file, whether everything is on or off, the tool.
const CELLS: [(&str, bool, &str); 4] = [
    ("off 1 KiB", false, "read_1k"),
    ("on 1 KiB", true, "read_1k"),
    ("off 64 KiB", false, "read_64k"),
    ("on 64 KiB", true, "read_64k"),
];

/// `count [--bless FILE | --against FILE]`: prints instructions per call; compares them with those on file, or puts them there.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let place = Place::new()?;
    let mut lines = Vec::new();
    for (name, is_on, tool) in CELLS {
        let variant = VARIANTS
            .iter()
            .find(|variant| variant.record == is_on && variant.key == is_on)
            .ok_or("no such variant")?;
        let mut totals = [0; 2];
        for (calls, total) in CALLS.iter().zip(&mut totals) {
            *total = instructions(&place.path, variant, tool, *calls)?;
        }
        let [fewer, more] = totals;
        let each = more.saturating_sub(fewer) / (CALLS[1] - CALLS[0]);
        println!("{name}: {each} instructions a call");
        lines.push((name, each));
    }
    keep_or_compare(arguments, &lines, SLACK_PERCENT)
}

/// Puts figures into the file of `--bless`, or compares them with those in the file of `--against`.
pub(crate) fn keep_or_compare(arguments: &[String], lines: &[(&str, u64)], slack_percent: u64) -> Result<()> {
    if let Some(file) = option(arguments, "--bless") {
        let text: String = lines.iter().map(|(name, each)| format!("{name} = {each}\n")).collect();
        fs::write(file, text)?;
    }
    match option(arguments, "--against") {
        Some(file) => compare(&fs::read_to_string(file)?, lines, slack_percent),
        None => Ok(()),
    }
}

fn compare(on_file: &str, lines: &[(&str, u64)], slack_percent: u64) -> Result<()> {
    let mut worse = Vec::new();
    for (name, each) in lines {
        let known = on_file
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))
            .and_then(|figure| figure.trim().parse::<u64>().ok())
            .ok_or_else(|| format!("`{name}` is not on file, hint: `--bless` puts it there"))?;
        if *each > known + known * slack_percent / 100 {
            worse.push(format!("{name}: {each} instructions, {known} on file"));
        }
    }
    match worse.is_empty() {
        true => Ok(()),
        false => Err(worse.join("; ").into()),
    }
}

/// What a gateway that starts, answers `calls` calls over one connection, and ends has executed in all.
fn instructions(place: &Path, variant: &Variant, tool: &str, calls: u64) -> Result<u64> {
    let out: PathBuf = place.join(format!("callgrind-{tool}-{calls}-{}", variant.record));
    let stub = proxies::start_stub(300)?;
    let callgrind = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let behind = Behind {
        era: Era::Modern,
        stub: Some(&stub),
    };
    let proxy = proxies::portcullis(&behind, place, variant, &callgrind)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(load::ask_times(&proxy.peer.call(tool), calls))?;
    // Ends it in order: callgrind writes its file at the exit.
    drop(proxy);
    total(&out)
}

/// What callgrind counted in all, by the file that it wrote.
pub(crate) fn total(out: &Path) -> Result<u64> {
    let text = fs::read_to_string(out)?;
    text.lines()
        .find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))
        .and_then(|figure| figure.trim().parse().ok())
        .ok_or_else(|| "callgrind wrote no total".into())
}
