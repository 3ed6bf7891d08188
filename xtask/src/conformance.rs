//! The official conformance suite, at the version pinned in `peers/node/package.json`: running it, reading its results,
//! and comparing two runs.
//!
//! The server leg drives a URL: the fixture directly, or the gateway in front of it. The client leg gives the suite's mock
//! servers a client: the test kit's driver directly, or the same driver through the gateway.
//!
//! What a scenario checks is the suite's affair; this file counts.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use portcullis_testkit::gateway::{Gateway, THROUGH, Upstream};
use serde_json::Value;

use crate::{
    child::{self, Result},
    peers::{Fixture, Kit, Peers, build_kit, install},
};

/// The revisions that the suite covers.
pub(crate) const REVISIONS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
/// Those with a frozen set of required scenarios. For the others every scenario counts.
const WITH_REQUIREMENTS: [&str; 2] = ["2025-11-25", "2026-07-28"];
/// What the suite calls a scenario that no revision has.
const EXTENSION: &str = "extension";

const RUN_LIMIT: Duration = Duration::from_secs(600);
const SCENARIO_LIMIT: Duration = Duration::from_secs(90);
/// The length of the time stamp at the end of a result's directory, with the dash before it.
const STAMP_LENGTH: usize = "-2026-07-28T00-00-00-000Z".len();

/// Which side is under test.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Leg {
    /// A server.
    Server,
    /// A client.
    Client,
}

impl Leg {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Leg::Server => "server",
            Leg::Client => "client",
        }
    }
}

/// One scenario's result.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Scenario {
    /// The suite's name for it.
    pub(crate) name: String,
    /// Whether the revision's requirements, frozen at its release, name it.
    pub(crate) scored: bool,
    /// Checks that succeeded.
    pub(crate) passed: usize,
    /// Checks that failed.
    pub(crate) failed: usize,
    /// What the failed checks said.
    pub(crate) errors: Vec<String>,
}

impl Scenario {
    /// The suite's own verdict: no check failed. A scored scenario must have run, too.
    pub(crate) fn is_ok(&self) -> bool {
        self.failed == 0 && (self.passed > 0 || !self.scored)
    }
}

/// One revision's results.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Which side was under test.
    pub(crate) leg: Leg,
    /// The revision, or `extension`.
    pub(crate) revision: String,
    /// The scenarios in the order of the suite's list, scored first.
    pub(crate) scenarios: Vec<Scenario>,
}

impl Run {
    /// How many scored scenarios passed, and how many there are.
    pub(crate) fn scored(&self) -> (usize, usize) {
        let scored: Vec<_> = self.scenarios.iter().filter(|scenario| scenario.scored).collect();
        (scored.iter().filter(|scenario| scenario.is_ok()).count(), scored.len())
    }

    /// How many checks passed, and how many passed or failed.
    pub(crate) fn checks(&self) -> (usize, usize) {
        let passed: usize = self.scenarios.iter().map(|scenario| scenario.passed).sum();
        let failed: usize = self.scenarios.iter().map(|scenario| scenario.failed).sum();
        (passed, passed + failed)
    }

    /// Whether every scored scenario passed.
    pub(crate) fn is_ok(&self) -> bool {
        let (passed, all) = self.scored();
        passed == all
    }
}

/// A check that was lost between two runs of the same revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Loss {
    /// The revision.
    pub(crate) revision: String,
    /// The scenario.
    pub(crate) scenario: String,
    /// Checks passed before.
    pub(crate) before: usize,
    /// Checks passed after.
    pub(crate) after: usize,
}

/// Where `through` falls behind `direct`: a scenario in which fewer checks pass, or one fails that did not.
pub(crate) fn losses(direct: &[Run], through: &[Run]) -> Vec<Loss> {
    let mut losses = Vec::new();
    for run in direct {
        let other = through
            .iter()
            .find(|other| other.leg == run.leg && other.revision == run.revision);
        for scenario in &run.scenarios {
            let now = other.and_then(|other| other.scenarios.iter().find(|now| now.name == scenario.name));
            let (after, failed) = now.map_or((0, usize::MAX), |now| (now.passed, now.failed));
            if after < scenario.passed || failed > scenario.failed {
                losses.push(Loss {
                    revision: run.revision.clone(),
                    scenario: scenario.name.clone(),
                    before: scenario.passed,
                    after,
                });
            }
        }
    }
    losses
}

/// Scenarios that pass directly, scored or not, and do not pass through.
pub(crate) fn lost_scenarios(direct: &[Run], through: &[Run]) -> Vec<String> {
    let mut lost = Vec::new();
    for run in direct {
        let other = through
            .iter()
            .find(|other| other.leg == run.leg && other.revision == run.revision);
        for scenario in run
            .scenarios
            .iter()
            .filter(|scenario| scenario.failed == 0 && scenario.passed > 0)
        {
            let now = other.and_then(|other| other.scenarios.iter().find(|now| now.name == scenario.name));
            if now.is_none_or(|now| now.failed > 0 || now.passed == 0) {
                lost.push(format!("{} {} {}", run.leg.name(), run.revision, scenario.name));
            }
        }
    }
    lost
}

/// Runs the server leg against `url` for `revisions`; results and logs go below `out`.
///
/// # Errors
/// The suite cannot be run or its results not be read. A failed scenario is in its run.
pub(crate) fn server_leg(peers: &Peers, url: &str, revisions: &[&str], out: &Path) -> Result<Vec<Run>> {
    revisions
        .iter()
        .map(|revision| server_run(peers, url, revision, &out.join("server").join(revision)))
        .collect()
}

fn server_run(peers: &Peers, url: &str, revision: &str, out: &Path) -> Result<Run> {
    let results = fresh(out)?;
    let mut suite = suite(peers);
    suite.args(["server", "--url", url, "-o"]).arg(&results);
    if WITH_REQUIREMENTS.contains(&revision) {
        suite.args(["--requirements", revision]);
    } else {
        suite.args(["--suite", "all", "--spec-version", revision]);
    }
    let log = out.join("suite.log");
    child::run(&mut suite, &log, RUN_LIMIT)?;
    let required = required(peers, Leg::Server, revision)?;
    let found = scenarios(&results, "server-")?;
    if found.is_empty() {
        return Err(format!("the suite ran nothing at {revision}:\n{}", child::tail(&log, 10)).into());
    }
    Ok(assemble(Leg::Server, revision, required, found))
}

/// Runs the client leg for `revisions` and the extensions, without `auth/*`: each scenario with `client`, through the
/// gateway's program where one is given.
///
/// # Errors
/// The suite cannot be run or its results not be read. A failed scenario is in its run.
pub(crate) fn client_leg(
    peers: &Peers,
    client: &Path,
    through: Option<&Path>,
    revisions: &[&str],
    out: &Path,
) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for &revision in revisions.iter().chain(&[EXTENSION]) {
        let names = client_scenarios(peers, revision, out)?;
        let out = out.join("client").join(revision);
        let results = fresh(&out)?;
        for name in &names {
            let mut suite = suite(peers);
            suite
                .args(["client", "--command"])
                .arg(client)
                .args(["--scenario", name, "-o"])
                .arg(&results);
            if revision != EXTENSION {
                suite.args(["--spec-version", revision]);
            }
            match through {
                Some(program) => suite.env(THROUGH, program),
                None => suite.env_remove(THROUGH),
            };
            child::run(
                &mut suite,
                &out.join(format!("{}.log", name.replace('/', "-"))),
                SCENARIO_LIMIT,
            )?;
        }
        let mut required = required(peers, Leg::Client, revision)?;
        if let Some(required) = &mut required {
            required.retain(|name| names.contains(name));
        }
        let mut found = scenarios(&results, "")?;
        // A scenario that left no result is not one that passed.
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !found.iter().any(|scenario| scenario.name == **name))
            .collect();
        found.extend(missing.into_iter().map(|name| did_not_run(name)));
        if !names.is_empty() {
            runs.push(assemble(Leg::Client, revision, required, found));
        }
    }
    Ok(runs)
}

/// The runs as a table per leg, a line per scenario, and one line per revision.
pub(crate) fn table(runs: &[Run]) -> String {
    let mut out = String::new();
    for leg in [Leg::Server, Leg::Client] {
        let runs: Vec<&Run> = runs.iter().filter(|run| run.leg == leg).collect();
        if runs.is_empty() {
            continue;
        }
        let _ = write!(out, "{:<50}", format!("{} scenario (* not scored)", leg.name()));
        for run in &runs {
            let _ = write!(out, " {:>10}", run.revision);
        }
        let mut names: Vec<&str> = Vec::new();
        for scenario in runs.iter().flat_map(|run| &run.scenarios) {
            if !names.contains(&scenario.name.as_str()) {
                names.push(&scenario.name);
            }
        }
        for name in names {
            let of = |run: &Run| run.scenarios.iter().find(|scenario| scenario.name == name).cloned();
            let star = if runs.iter().any(|run| of(run).is_some_and(|scenario| scenario.scored)) {
                ""
            } else {
                "*"
            };
            let _ = write!(out, "\n{:<50}", format!("{name}{star}"));
            for run in &runs {
                let text = of(run).map_or("-".to_owned(), |scenario| {
                    format!("{}/{}", scenario.passed, scenario.passed + scenario.failed)
                });
                let _ = write!(out, " {text:>10}");
            }
        }
        let _ = write!(out, "\n{:<50}", "checks");
        for run in &runs {
            let (passed, all) = run.checks();
            let _ = write!(out, " {:>10}", format!("{passed}/{all}"));
        }
        out.push('\n');
        for run in &runs {
            let (passed, all) = run.scored();
            let unscored: Vec<_> = run.scenarios.iter().filter(|scenario| !scenario.scored).collect();
            let fine = unscored.iter().filter(|scenario| scenario.is_ok()).count();
            let _ = writeln!(
                out,
                "{} {}: {passed}/{all} scored, {fine}/{} not scored",
                leg.name(),
                run.revision,
                unscored.len()
            );
            for scenario in run.scenarios.iter().filter(|scenario| !scenario.is_ok()) {
                let reason = scenario.errors.first().map_or("no check ran", String::as_str);
                let reason: String = reason.chars().take(300).collect();
                let _ = writeln!(out, "  failed: {}: {reason}", scenario.name);
            }
        }
    }
    out
}

/// `xtask conformance`: see [`USAGE`]. Returns whether every scored scenario passed and, behind the gateway, nothing was
/// lost against the direct run.
///
/// # Errors
/// An unknown argument, or the suite cannot be run.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let options = Options::parse(arguments)?;
    let peers = install()?;
    let out = peers.root().join("target/conformance");
    let revisions: Vec<&str> = REVISIONS
        .into_iter()
        .filter(|known| options.revision.as_deref().is_none_or(|wanted| wanted == *known))
        .collect();
    if let Some(url) = &options.url {
        let runs = server_leg(&peers, url, &revisions, &out.join("url"))?;
        print!("{}", table(&runs));
        return Ok(runs.iter().all(Run::is_ok));
    }
    let kit = build_kit(peers.root())?;
    let direct = both_legs(&peers, &kit, None, &revisions, &out.join("direct"))?;
    let Some(program) = &options.through else {
        print!("{}", table(&direct));
        return Ok(direct.iter().all(Run::is_ok));
    };
    let through = both_legs(&peers, &kit, Some(program), &revisions, &out.join("through"))?;
    print!("{}", table(&through));
    let losses = losses(&direct, &through);
    for loss in &losses {
        println!(
            "lost: {} {}: {} of {} checks",
            loss.revision, loss.scenario, loss.after, loss.before
        );
    }
    Ok(losses.is_empty() && through.iter().all(Run::is_ok))
}

/// How to call the task.
const USAGE: &str = "usage: conformance (--direct | --url URL | --through PROGRAM) [--revision REVISION]
  --direct           the fixture and the client driver, without a gateway
  --url URL          the server leg against whatever listens there
  --through PROGRAM  directly, then both legs through the gateway's program; compares the two";

/// Runs the server leg on the fixture and the client leg with the driver, both behind the gateway where one is given.
///
/// # Errors
/// A program does not start, or the suite cannot be run.
pub(crate) fn both_legs(
    peers: &Peers,
    kit: &Kit,
    through: Option<&Path>,
    revisions: &[&str],
    out: &Path,
) -> Result<Vec<Run>> {
    let fixture = Fixture::start(&kit.everything_server, &[])?;
    let gateway = match through {
        Some(program) => Some(Gateway::start(
            program,
            &peers.scratch("gateways")?,
            Upstream::Http(fixture.url()),
        )?),
        None => None,
    };
    let url = gateway.as_ref().map_or_else(|| fixture.url().to_owned(), Gateway::url);
    let mut runs = server_leg(peers, &url, revisions, out)?;
    if let Some(gateway) = &gateway {
        fs::write(out.join("gateway.log"), gateway.output())?;
    }
    runs.extend(client_leg(peers, &kit.conformance_client, through, revisions, out)?);
    Ok(runs)
}

#[derive(Debug, Default)]
struct Options {
    url: Option<String>,
    through: Option<PathBuf>,
    revision: Option<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut direct = false;
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or(format!("`{word}` wants a value\n{USAGE}"));
            match word.as_str() {
                "--direct" => direct = true,
                "--url" => options.url = Some(value()?),
                "--through" => options.through = Some(PathBuf::from(value()?).canonicalize()?),
                "--revision" => options.revision = Some(value()?),
                _ => return Err(format!("unknown argument `{word}`\n{USAGE}").into()),
            }
        }
        if let Some(revision) = options
            .revision
            .as_ref()
            .filter(|revision| !REVISIONS.contains(&revision.as_str()))
        {
            return Err(format!("no revision `{revision}`\nhint: one of {}", REVISIONS.join(", ")).into());
        }
        match usize::from(direct) + usize::from(options.url.is_some()) + usize::from(options.through.is_some()) {
            1 => Ok(options),
            _ => Err(USAGE.into()),
        }
    }
}

fn suite(peers: &Peers) -> Command {
    let mut command = Command::new(peers.node());
    command.arg(peers.module("@modelcontextprotocol/conformance/dist/index.js"));
    command
}

/// An empty directory for results below `out`.
fn fresh(out: &Path) -> Result<PathBuf> {
    let results = out.join("results");
    match fs::remove_dir_all(&results) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::create_dir_all(&results)?;
    Ok(results)
}

/// The scenarios that `revision` requires on `leg`; none where every scenario counts.
fn required(peers: &Peers, leg: Leg, revision: &str) -> Result<Option<Vec<String>>> {
    if revision == EXTENSION {
        return Ok(Some(Vec::new()));
    }
    if !WITH_REQUIREMENTS.contains(&revision) {
        return Ok(None);
    }
    let file = peers.module(&format!(
        "@modelcontextprotocol/conformance/requirements/{revision}.yaml"
    ));
    Ok(Some(list_in_yaml(&fs::read_to_string(file)?, leg.name())))
}

/// The plain list under a top-level key, which is all of YAML that the requirement files use for it.
fn list_in_yaml(text: &str, key: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| line.strip_suffix(':') != Some(key))
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with([' ', '#']))
        .filter_map(|line| line.trim().strip_prefix("- "))
        .map(str::to_owned)
        .collect()
}

/// The client scenarios of `revision`, as the suite lists them, without `auth/*`.
fn client_scenarios(peers: &Peers, revision: &str, out: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(out)?;
    let mut suite = suite(peers);
    let (status, text) = child::read(suite.arg("list"), &out.join("list.log"), SCENARIO_LIMIT)?;
    if !status.success() {
        return Err(format!("the suite does not list its scenarios: {status}").into());
    }
    Ok(listed(&text, revision))
}

fn listed(text: &str, revision: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| !line.starts_with("Client scenarios"))
        .skip(1)
        .take_while(|line| line.starts_with("  - "))
        .filter_map(|line| line.trim_start_matches("  - ").split_once(" ["))
        .filter(|(name, revisions)| {
            !name.starts_with("auth/")
                && revisions
                    .trim_end_matches(']')
                    .split(',')
                    .any(|known| known == revision)
        })
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Reads every `checks.json` below `results`, in the order in which the scenarios ran.
fn scenarios(results: &Path, prefix: &str) -> Result<Vec<Scenario>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(results)? {
        let directory = entry?.path();
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((name, stamp)) = name
            .len()
            .checked_sub(STAMP_LENGTH)
            .and_then(|at| name.split_at_checked(at))
        else {
            continue;
        };
        let Ok(text) = fs::read_to_string(directory.join("checks.json")) else {
            continue;
        };
        let checks: Value = serde_json::from_str(&text)?;
        let name = name.strip_prefix(prefix).unwrap_or(name);
        found.push((
            stamp.to_owned(),
            count(name, checks.as_array().map_or(&[], Vec::as_slice)),
        ));
    }
    found.sort_by(|(earlier, _), (later, _)| earlier.cmp(later));
    Ok(found.into_iter().map(|(_, scenario)| scenario).collect())
}

fn count(name: &str, checks: &[Value]) -> Scenario {
    let with = |status: &'static str| {
        checks
            .iter()
            .filter(move |check| check.get("status").and_then(Value::as_str) == Some(status))
    };
    Scenario {
        name: name.to_owned(),
        scored: false,
        passed: with("SUCCESS").count(),
        failed: with("FAILURE").count(),
        errors: with("FAILURE")
            .map(|check| {
                let text = |key: &str| check.get(key).and_then(Value::as_str);
                format!(
                    "{}: {}",
                    text("id").unwrap_or_default(),
                    text("errorMessage").unwrap_or("no reason given")
                )
            })
            .collect(),
    }
}

fn did_not_run(name: &str) -> Scenario {
    Scenario {
        name: name.to_owned(),
        scored: false,
        passed: 0,
        failed: 1,
        errors: vec!["the scenario left no result".to_owned()],
    }
}

/// Marks what is scored, adds what is required but did not run, and puts the scored first.
fn assemble(leg: Leg, revision: &str, required: Option<Vec<String>>, mut found: Vec<Scenario>) -> Run {
    let all: BTreeSet<String> = found.iter().map(|scenario| scenario.name.clone()).collect();
    for scenario in &mut found {
        scenario.scored = required
            .as_ref()
            .is_none_or(|required| required.contains(&scenario.name));
    }
    for name in required.iter().flatten().filter(|name| !all.contains(*name)) {
        found.push(Scenario {
            scored: true,
            ..did_not_run(name)
        });
    }
    found.sort_by_key(|scenario| !scenario.scored);
    Run {
        leg,
        revision: revision.to_owned(),
        scenarios: found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(name: &str, passed: usize, failed: usize) -> Run {
        let found = vec![Scenario {
            name: name.to_owned(),
            scored: false,
            passed,
            failed,
            errors: Vec::new(),
        }];
        assemble(Leg::Server, "2025-11-25", Some(vec![name.to_owned()]), found)
    }

    #[test]
    fn reads_the_requirements_of_one_leg_only() {
        let text =
            "# a comment\nserver:\n  - ping\n\n  - tools-list\nclient:\n  - initialize\nnot_scored:\n  - scenario: x\n";
        assert_eq!(list_in_yaml(text, "server"), ["ping", "tools-list"]);
        assert_eq!(list_in_yaml(text, "client"), ["initialize"]);
        assert!(list_in_yaml(text, "absent").is_empty());
    }

    #[test]
    fn lists_client_scenarios_of_a_revision_without_auth() {
        let text = "Server scenarios:\n  - ping [2025-11-25]\n\nClient scenarios (x):\n  - initialize [2025-06-18,2025-11-25]\n  \
                    - auth/basic [2025-11-25]\n  - skills [extension]\n\nAuthorization\n  - other [2025-11-25]\n";
        assert_eq!(listed(text, "2025-11-25"), ["initialize"]);
        assert_eq!(listed(text, "extension"), ["skills"]);
    }

    #[test]
    fn counts_success_and_failure_only() {
        let checks = [
            json!({"status": "SUCCESS"}),
            json!({"status": "SKIPPED"}),
            json!({"status": "FAILURE", "id": "a"}),
        ];
        let scenario = count("x", &checks);
        assert_eq!((scenario.passed, scenario.failed), (1, 1));
        assert_eq!(scenario.errors, ["a: no reason given"]);
    }

    #[test]
    fn a_required_scenario_that_did_not_run_fails() {
        let run = assemble(Leg::Server, "2025-11-25", Some(vec!["ping".to_owned()]), Vec::new());
        assert_eq!(run.scored(), (0, 1));
        assert!(!run.is_ok());
    }

    #[test]
    fn fewer_checks_or_new_failures_are_losses_and_more_checks_are_not() {
        let direct = [run("ping", 2, 0)];
        assert!(losses(&direct, &[run("ping", 2, 0)]).is_empty());
        assert!(losses(&direct, &[run("ping", 3, 0)]).is_empty());
        assert_eq!(losses(&direct, &[run("ping", 1, 0)]).len(), 1);
        assert_eq!(losses(&direct, &[run("ping", 2, 1)]).len(), 1);
        assert_eq!(losses(&direct, &[]).len(), 1);
    }

    #[test]
    fn wants_exactly_one_target() {
        let parse = |words: &[&str]| Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(parse(&["--direct"]).is_ok());
        assert!(parse(&["--url", "http://127.0.0.1:1/mcp", "--revision", "2025-11-25"]).is_ok());
        for wrong in [
            &[][..],
            &["--direct", "--url", "x"],
            &["--url"],
            &["--direct", "--revision", "2020-01-01"],
            &["--x"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
