//! `cargo xtask prove`: one command for each numbered claim. It prints one line with its figure and fails when it falls short;
//! the short form is for CI, `--full` runs it at the size that the issue names and keeps its output in `docs/evidence/`.

use crate::child::{self, Result, program};
use crate::{breakages, canaries, conformance, detectors, first_run, fuzz, peers, root, scan_speed, speed, tidy};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// One claim.
struct Claim {
    /// What it is called on the command line.
    name: &'static str,
    /// The issue and the number of the claim in it.
    place: &'static str,
    /// What is claimed.
    says: &'static str,
    /// Whether CI runs its short form in `cargo xtask test`.
    in_ci: bool,
    /// Proves it; the figure, or why it falls short.
    prove: fn(Size) -> Result<String>,
}

/// How thoroughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Within minutes, for CI.
    Short,
    /// As the issue names it.
    Full,
}

const CLAIMS: &[Claim] = &[
    Claim {
        name: "first-run",
        place: "issue 3, 1",
        says: "`up` with no file and no service prints at most twelve lines, and the curl line works as printed",
        in_ci: true,
        prove: |size| first_run::prove(size == Size::Full),
    },
    Claim {
        name: "conformance",
        place: "issue 3, 2",
        says: "the official suite through the gateway: every scored server scenario of four revisions; what the gateway loses is named",
        in_ci: true,
        prove: |_| conformance_through(),
    },
    Claim {
        name: "peers",
        place: "issue 3, 3",
        says: "official clients call official servers through the gateway, by `up` and by `wrap`",
        in_ci: true,
        prove: |_| peers_through(),
    },
    Claim {
        name: "lossless",
        place: "issue 3, 4",
        says: "the corpus goes through the envelope and through the running gateway byte for byte where the gateway owns nothing",
        in_ci: true,
        prove: |_| {
            let envelope = tests("portcullis-wire", &["corpus"], &[])?;
            let gateway = figures("portcullis", &["lossless::"], &[])?;
            Ok(format!("envelope: {envelope}; {gateway}"))
        },
    },
    Claim {
        name: "fuzz",
        place: "issue 3, 4; issue 4, 6",
        says: "envelope, headers, SSE, stdio framing, hidden text, scanner, view and masks fuzzed: a minute each, or an hour of CPU time summed over runs",
        in_ci: true,
        prove: |size| fuzz::prove(size == Size::Full),
    },
    Claim {
        name: "order",
        place: "issue 3, 5",
        says: "the compiler refuses every known breakage of the pipeline",
        in_ci: true,
        prove: |_| {
            breakages::check(&root()).map(|count| format!("{count} of {count} breakages refused at their place"))
        },
    },
    Claim {
        name: "arrows",
        place: "issue 3, 5 and 9",
        says: "the arrows between and inside crates, the heads and lengths of files, the callers of what hurts",
        in_ci: true,
        prove: |_| tidy::check(&root()).map(|files| format!("{files} files, nothing to say")),
    },
    Claim {
        name: "record",
        place: "issue 3, 6",
        says: "kills and a full disk lose nothing that a client or a server saw, every changed byte is refused with its place, an independent verifier agrees",
        in_ci: true,
        prove: record,
    },
    Claim {
        name: "bad-input",
        place: "issue 3, 7",
        says: "300 malformed requests get the protocol's own error and reach no server; bad upstreams give a named error in time, and others are served",
        in_ci: true,
        prove: |_| {
            let wire = tests("portcullis-wire", &[], &[])?;
            let transport = tests("portcullis-transport", &[], &[])?;
            let gateway = figures("portcullis", &["malformed::", "bad_upstreams::"], &[])?;
            Ok(format!("wire: {wire}; transport: {transport}; {gateway}"))
        },
    },
    Claim {
        name: "speed",
        place: "issue 3, 8",
        says: "instructions per call do not rise; in full, CPU per call beside nginx in one run",
        in_ci: true,
        prove: |size| speed::prove(size == Size::Full),
    },
    Claim {
        name: "detectors",
        place: "issue 4, 1",
        says: "secrets and personal data found in the labelled corpora beside the repository: each class, each disguise, clean texts",
        in_ci: false,
        prove: |_| detectors::prove(),
    },
    Claim {
        name: "masking",
        place: "issue 4, 4",
        says: "random JSON documents with planted values: masked, they parse, are the same elsewhere, keep nothing of a value, and are masked once",
        in_ci: true,
        prove: |size| {
            let count = match size {
                Size::Full => "100000",
                Size::Short => "1500",
            };
            figures(
                "portcullis-guards",
                &["masking::"],
                &[("PORTCULLIS_MASKED_DOCUMENTS", count)],
            )
        },
    },
    Claim {
        name: "canaries",
        place: "issue 4, 5",
        says: "secrets, cards, accounts and national ids said by real servers, in each place and encoding, reach no client; look-alikes do, as they were",
        in_ci: true,
        prove: |size| canaries::prove(size == Size::Full),
    },
    Claim {
        name: "scan-speed",
        place: "issue 4, 3",
        says: "instructions for each byte that is looked through do not rise; in full, MB a second of CPU time beside other detectors, small messages, the worst that a fuzzer found, and the start",
        in_ci: true,
        prove: |size| scan_speed::prove(size == Size::Full),
    },
    Claim {
        name: "screen-speed",
        place: "issue 4, 3",
        says: "what calls cost with the detectors on; in full, CPU per call beside nginx in one run",
        in_ci: true,
        prove: |size| speed::prove_screened(size == Size::Full),
    },
    Claim {
        name: "fresh",
        place: "issue 4, 2",
        says: "texts that nobody tuned on (`cargo xtask fresh`): masked and precise at most four points below the corpora",
        in_ci: false,
        prove: |_| detectors::prove_fresh(),
    },
];

/// `prove --list | NAME [--full] | --all [--full]`.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    if arguments.iter().any(|argument| argument == "--list") {
        for claim in CLAIMS {
            println!("{:<12} {:<18} {}", claim.name, claim.place, claim.says);
        }
        return Ok(true);
    }
    let size = match arguments.iter().any(|argument| argument == "--full") {
        true => Size::Full,
        false => Size::Short,
    };
    let all = arguments.iter().any(|argument| argument == "--all");
    let name = arguments.iter().find(|argument| !argument.starts_with("--"));
    let chosen: Vec<&Claim> = match (all, name) {
        (true, _) => CLAIMS
            .iter()
            .filter(|claim| claim.in_ci || size == Size::Full)
            .collect(),
        (false, Some(name)) => CLAIMS.iter().filter(|claim| claim.name == *name).collect(),
        (false, None) => Vec::new(),
    };
    if chosen.is_empty() {
        return Err("usage: cargo xtask prove (--list | NAME | --all) [--full]; `--list` shows the names".into());
    }
    let mut held = true;
    for claim in chosen {
        held &= prove(claim, size)?;
    }
    Ok(held)
}

fn prove(claim: &Claim, size: Size) -> Result<bool> {
    let begun = Instant::now();
    let outcome = (claim.prove)(size);
    let took = begun.elapsed().as_secs();
    let (line, held) = match outcome {
        Ok(figure) => (format!("{}: {figure} ({took} s)", claim.name), true),
        Err(error) => (format!("{}: FALLS SHORT: {error} ({took} s)", claim.name), false),
    };
    println!("{line}");
    if size == Size::Full {
        keep(claim, &line)?;
    }
    Ok(held)
}

/// The last full output, with date, commit and machine.
fn keep(claim: &Claim, line: &str) -> Result<()> {
    let read = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default()
    };
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "claim    {} ({})", claim.says, claim.place);
    let _ = writeln!(text, "command  cargo xtask prove {} --full", claim.name);
    let _ = writeln!(text, "date     {}", read("date", &["-u", "+%Y-%m-%d %H:%M UTC"]));
    let _ = writeln!(text, "commit   {}", read("git", &["rev-parse", "--short", "HEAD"]));
    let _ = writeln!(
        text,
        "machine  {} x {model}, kernel {}",
        read("nproc", &[]),
        read("uname", &["-r"])
    );
    let _ = writeln!(text, "\n{line}");
    let directory = root().join("docs/evidence");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(format!("{}.txt", claim.name)), text)?;
    Ok(())
}

/// Runs the tests of a package whose names hold one of `filters` (all without); how many passed.
fn tests(package: &str, filters: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut command = Command::new("cargo");
    command
        .args(["test", "--quiet", "--package", package, "--"])
        .args(filters)
        .current_dir(root());
    for (name, value) in environment {
        command.env(name, value);
    }
    let log = log_of(&log_name(package, filters))?;
    let status = child::run(&mut command, &log, Duration::from_secs(1_800))?;
    let text = fs::read_to_string(&log)?;
    let mut passed = 0_u64;
    for line in text.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        let count = line.split(' ').nth(1).and_then(|count| count.parse::<u64>().ok());
        passed += count.unwrap_or(0);
    }
    match status.success() && passed > 0 {
        true => Ok(format!("{passed} tests passed")),
        false => Err(format!("{package}: {status}\n{}", child::tail(&log, 40)).into()),
    }
}

/// The ledger alone, then the running program. In full with 200 kills each, and 100,000 records for the other verifier.
fn record(size: Size) -> Result<String> {
    let mut environment = vec![("PORTCULLIS_REQUIRE_GO", "1")];
    let mut runs = vec![("portcullis-ledger", vec![]), ("portcullis", vec!["record::"])];
    if size == Size::Full {
        environment.push(("PORTCULLIS_FULL", "1"));
        runs.push(("portcullis-ledger", vec!["hundred_thousand", "--ignored"]));
    }
    let printed: Result<Vec<String>> = runs
        .into_iter()
        .map(|(package, filters)| figures(package, &filters, &environment))
        .collect();
    Ok(printed?.join("; "))
}

/// Runs tests as [`tests`] does; what they print of themselves as their figures. The harness may have begun the line.
fn figures(package: &str, filters: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let mut words = filters.to_vec();
    words.push("--nocapture");
    tests(package, &words, environment)?;
    let text = fs::read_to_string(log_of(&log_name(package, &words))?)?;
    let printed = text.lines().filter_map(|line| line.split_once("figure: "));
    let figures: Vec<_> = printed.map(|(_, figure)| figure).collect();
    match figures.is_empty() {
        false => Ok(figures.join("; ")),
        true => Err(format!("the tests of {package} printed no figure").into()),
    }
}

/// A log for each choice of tests, so that claims that are proved side by side keep their own.
fn log_name(package: &str, filters: &[&str]) -> String {
    let chosen = filters.iter().filter(|filter| !filter.starts_with("--"));
    let words = chosen.map(|filter| filter.trim_end_matches(':'));
    [package].into_iter().chain(words).collect::<Vec<_>>().join("-")
}

fn log_of(name: &str) -> Result<std::path::PathBuf> {
    let directory = root().join("target/prove");
    fs::create_dir_all(&directory)?;
    Ok(directory.join(format!("{name}.log")))
}

/// Every scored scenario must hold; an unscored one that passes directly and is lost through the gateway falls short, too.
fn conformance_through() -> Result<String> {
    let program = program(false)?;
    let peers = peers::install()?;
    let kit = peers::build_kit(peers.root())?;
    let out = peers.root().join("target/conformance");
    let revisions = conformance::REVISIONS;
    let direct = conformance::both_legs(&peers, &kit, None, &revisions, &out.join("direct"))?;
    let through = conformance::both_legs(&peers, &kit, Some(&program), &revisions, &out.join("through"))?;
    let mut figure = String::new();
    for run in &through {
        let (passed, all) = run.scored();
        let gap = if figure.is_empty() { "" } else { ", " };
        // Writing to a `String` cannot fail.
        let _ = write!(figure, "{gap}{} {} {passed}/{all}", run.leg.name(), run.revision);
    }
    let lost: Vec<String> = conformance::lost_scenarios(&direct, &through);
    match lost.is_empty() && through.iter().all(conformance::Run::is_ok) {
        true => Ok(format!("{figure}; no scenario that passes directly is lost")),
        false => Err(format!("{figure}; lost: {}", lost.join("; ")).into()),
    }
}

fn peers_through() -> Result<String> {
    let program = program(false)?;
    let installed = peers::install()?;
    let kit = peers::build_kit(installed.root())?;
    let routes = [peers::Route::Up(program.clone()), peers::Route::Wrap(program)];
    let cells = peers::matrix(&installed, &kit, &routes)?;
    let failed = cells.iter().filter(|cell| cell.outcome.is_err()).count();
    match failed {
        0 => Ok(format!(
            "{0} of {0} clients and servers meet, by `up` and by `wrap`",
            cells.len()
        )),
        _ => Err(peers::table(&cells).into()),
    }
}
