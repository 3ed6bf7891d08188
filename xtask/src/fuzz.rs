//! Fuzzing as a claim: every target for a minute, or until an hour of CPU time is full over all runs that are on file.

use crate::child::{self, Result};
use crate::root;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The targets whose hour the issues ask for: the wire, then the detectors.
const TARGETS: [&str; 8] = [
    "envelope",
    "headers",
    "sse",
    "stdio_lines",
    "hidden",
    "scan",
    "view",
    "mask",
];
/// The driver, at a version that the stable toolchain of this workspace builds.
const CARGO_FUZZ: &str = "0.13.2";
/// Seconds of each target in the short form.
const SHORT_S: u64 = 60;
/// CPU seconds of each target, summed over runs, in the full form.
const FULL_CPU_S: u64 = 3_600;
/// One run of the full form, so that what was done is on file even when somebody stops it.
const SLICE_S: u64 = 600;
/// Time to build everything with sanitizers.
const BUILD_LIMIT: Duration = Duration::from_secs(1_800);
/// How long one input may take before it counts as a hang, in seconds of wall time on a shared machine.
const HANG_S: u64 = 25;

/// Fuzzes; the figure.
pub(crate) fn prove(full: bool) -> Result<String> {
    build()?;
    match full {
        false => {
            let mut figure = String::new();
            // Two at a time: the machines that this is for have two cores.
            for pair in TARGETS.chunks(2) {
                let runs: Vec<_> = pair
                    .iter()
                    .map(|target| std::thread::spawn(|| run(target, SHORT_S)))
                    .collect();
                for (target, run) in pair.iter().zip(runs) {
                    let ran = run.join().map_err(|_| "a thread that fuzzes panicked")??;
                    let _ = write!(figure, "{target} {} inputs, ", ran.inputs);
                }
            }
            Ok(format!("{figure}{SHORT_S} s each, no crash, no hang"))
        }
        true => hours(),
    }
}

/// Fuzzes each target until its hour is full; what was done before counts.
fn hours() -> Result<String> {
    let file = root().join("docs/evidence/fuzz-runs.txt");
    let mut figure = String::new();
    for target in TARGETS {
        while cpu_seconds(&file, target) < FULL_CPU_S {
            let left = FULL_CPU_S - cpu_seconds(&file, target);
            let ran = run(target, left.clamp(10, SLICE_S))?;
            note(&file, target, &ran)?;
        }
        let _ = write!(figure, "{target} {} CPU s, ", cpu_seconds(&file, target));
    }
    Ok(format!(
        "{figure}summed over the runs in docs/evidence/fuzz-runs.txt, no crash, no hang"
    ))
}

/// `DATE COMMIT TARGET CPU_SECONDS INPUTS` a line.
fn cpu_seconds(file: &Path, target: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let of_target = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(2);
        (words.next()? == target).then(|| words.next()?.parse::<u64>().ok())?
    });
    of_target.sum()
}

fn note(file: &Path, target: &str, ran: &Ran) -> Result<()> {
    let word = |program: &str, arguments: &[&str]| -> Result<String> {
        let output = Command::new(program).args(arguments).current_dir(root()).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let date = word("date", &["-u", "+%Y-%m-%d"])?;
    let commit = word("git", &["rev-parse", "--short", "HEAD"])?;
    let mut text = fs::read_to_string(file).unwrap_or_default();
    let _ = writeln!(text, "{date} {commit} {target} {} {}", ran.cpu_s, ran.inputs);
    Ok(fs::write(file, text)?)
}

/// What one run did.
struct Ran {
    cpu_s: u64,
    inputs: u64,
}

/// Runs one target for `seconds`; fails with the engine's last words where it found something.
fn run(target: &str, seconds: u64) -> Result<Ran> {
    let scratch = root().join("target/fuzz").join(target);
    let found = scratch.join("found");
    let finds = scratch.join("crashes");
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&finds)?;
    let log = scratch.join("log");
    let usage = scratch.join("usage");
    // The shell's own `times`, for a process that has ended tells its CPU time to its parent alone; in a pipe it would be another
    // shell's.
    let mut command = Command::new("sh");
    command
        .args(["-c", r#""$@"; status=$?; times > "$USAGE"; exit $status"#, "sh"])
        .arg(binary(target))
        .arg(format!("-artifact_prefix={}/", finds.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={HANG_S}"))
        .args(["-rss_limit_mb=4096", "-print_final_stats=1"])
        .arg(&found)
        .arg(root().join("fuzz/corpus").join(target))
        // Looking for leaks needs to trace the process, which a sandbox may forbid; it is not what is claimed.
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .env("USAGE", &usage);
    let status = child::run(&mut command, &log, Duration::from_secs(seconds + 300))?;
    if !status.success() {
        return Err(format!("{target}: {status}\n{}", child::tail(&log, 20)).into());
    }
    let said = fs::read_to_string(&log)?;
    let inputs = said
        .lines()
        .find_map(|line| {
            line.strip_prefix("stat::number_of_executed_units:")?
                .trim()
                .parse()
                .ok()
        })
        .ok_or("the engine printed no statistics")?;
    Ok(Ran {
        cpu_s: cpu_of(&fs::read_to_string(&usage)?).ok_or("the shell printed no times")?,
        inputs,
    })
}

/// User and system time of a shell's children, the last line of what it says: `1m2.34s 0m5.6s`.
fn cpu_of(times: &str) -> Option<u64> {
    let mut total = 0.0;
    for word in times.lines().last()?.split_whitespace() {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        total += minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?;
    }
    Some(total as u64)
}

fn binary(target: &str) -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    root().join("fuzz/target").join(triple).join("release").join(target)
}

fn build() -> Result<()> {
    let tools = root().join("target/tools");
    let driver = tools.join("bin/cargo-fuzz");
    if !driver.exists() {
        let mut install = Command::new("cargo");
        install
            .args([
                "install",
                "--quiet",
                "--locked",
                "cargo-fuzz",
                "--version",
                CARGO_FUZZ,
                "--root",
            ])
            .arg(&tools);
        child::succeed(&mut install, BUILD_LIMIT)?;
    }
    let log = root().join("target/fuzz");
    fs::create_dir_all(&log)?;
    let log = log.join("build.log");
    let mut command = Command::new(driver);
    // The engine needs compiler flags that the stable compiler has and does not offer.
    command
        .args(["fuzz", "build"])
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root());
    match child::run(&mut command, &log, BUILD_LIMIT)?.success() {
        true => Ok(()),
        false => Err(format!("the fuzz targets do not build\n{}", child::tail(&log, 30)).into()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_summed() {
        assert_eq!(super::cpu_of("0m0.000s 9m0.00s\n1m2.50s 0m0.60s\n"), Some(63));
        assert_eq!(super::cpu_of("nonsense"), None);
    }
}
