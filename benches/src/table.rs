//! The table: every proxy over the same upstream in interleaved rounds, medians, and the ratios that the claims are about.

use crate::load::{self, Era, Question};
use crate::proxies::{self, Behind, Proxy, Stub, VARIANTS};
use crate::{Result, number, process, stub};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One cell of one round.
#[derive(Debug, Clone, Default)]
struct Cell {
    cpu_us: f64,
    rate: f64,
    p50_us: f64,
    p99_us: f64,
    failed: u64,
    calls: u64,
    upstream_calls: u64,
}

/// `table [--rounds N] [--millis N] [--short] [--detectors]`: prints the table as Markdown; with `--detectors`, of what they cost
/// alone.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let short = arguments.iter().any(|argument| argument == "--short");
    let rounds = number(arguments, "--rounds", if short { 1 } else { 5 })?;
    let millis = number(arguments, "--millis", if short { 500 } else { 1_500 })?;
    let plan = Plan {
        rounds,
        duration: Duration::from_millis(millis as u64),
        connections: if short { &[16] } else { &[1, 16, 64] },
        of_detectors: arguments.iter().any(|argument| argument == "--detectors"),
    };
    let place = Place::new()?;
    print!("{}", measure(&place.path, &plan)?);
    Ok(())
}

/// A directory of this run alone; gone with the value.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("portcullis-benches-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clear.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// One part of the table.
struct Part {
    /// What follows "results" in its headings.
    of: &'static str,
    era: Era,
    is_stdio: bool,
    /// Every variant of ours, not only the first and the last.
    is_step_by_step: bool,
}

const PARTS: [Part; 4] = [
    Part {
        of: "",
        era: Era::Modern,
        is_stdio: false,
        is_step_by_step: true,
    },
    Part {
        of: " of a server over stdio",
        era: Era::Modern,
        is_stdio: true,
        is_step_by_step: false,
    },
    Part {
        of: " in the legacy era (2025-11-25)",
        era: Era::Legacy,
        is_stdio: false,
        is_step_by_step: false,
    },
    Part {
        of: " of a server over stdio in the legacy era (2025-11-25)",
        era: Era::Legacy,
        is_stdio: true,
        is_step_by_step: false,
    },
];

/// How often and how long.
struct Plan {
    rounds: usize,
    duration: Duration,
    connections: &'static [usize],
    /// Of one part, what stands beside the detectors alone.
    of_detectors: bool,
}

fn measure(place: &Path, plan: &Plan) -> Result<String> {
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{}", machine());
    let _ = writeln!(out, "disk: {:.2} ms for one fdatasync (median of 50)", sync_ms(place)?);
    for part in &PARTS {
        if part.is_step_by_step || !plan.of_detectors {
            one_part(&mut out, part, place, plan)?;
        }
    }
    if plan.of_detectors {
        return Ok(out);
    }
    for tools in [50, 1_000] {
        let _ = writeln!(out, "\n{}", lists(place, tools, plan)?);
    }
    let _ = writeln!(out, "\n{}", idle(place)?);
    Ok(out)
}

fn one_part(out: &mut String, part: &Part, place: &Path, plan: &Plan) -> Result<()> {
    let stub = match part.is_stdio {
        true => None,
        false => Some(proxies::start_stub(300)?),
    };
    let proxies = start(part, stub.as_ref(), place, plan)?;
    if part.is_step_by_step {
        let _ = writeln!(out, "\nResident memory after start, MiB:");
        for proxy in &proxies {
            let mebibytes = process::resident_kib(proxy.pid)? as f64 / 1024.0;
            let _ = writeln!(out, "- {}: {mebibytes:.1}", proxy.name);
        }
    }
    // What ratios are to.
    let base = if part.is_stdio { "mcp-proxy" } else { "nginx" };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (size, tool) in stub::SIZES.iter().zip(stub::MEASURED) {
        for connections in plan.connections {
            let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); proxies.len()];
            for _ in 0..plan.rounds {
                for (proxy, cells) in proxies.iter().zip(&mut cells) {
                    let question = proxy.peer.call(tool);
                    cells.push(cell(&runtime, proxy, &question, *connections, plan.duration)?);
                }
            }
            let base_us = proxies
                .iter()
                .zip(&cells)
                .find(|(proxy, _)| proxy.name.starts_with(base))
                .map(|(_, cells)| median(cells, |cell| cell.cpu_us));
            let _ = writeln!(
                out,
                "\n{size} results{}, {connections} connections (median of {} rounds)\n\n\
                 | | CPU us per call | x {base} | calls/s | p50 us | p99 us | upstream calls per call |\n\
                 |---|---|---|---|---|---|---|",
                part.of, plan.rounds
            );
            for (proxy, cells) in proxies.iter().zip(&cells) {
                let _ = writeln!(out, "{}", row(&proxy.name, cells, base_us));
            }
        }
    }
    Ok(())
}

/// All that can stand in a part. Without the peers the figures of ours are still worth something.
fn start(part: &Part, stub: Option<&Stub>, place: &Path, plan: &Plan) -> Result<Vec<Proxy>> {
    let behind = Behind { era: part.era, stub };
    let mut started = Vec::new();
    let mut peers = Vec::new();
    if let Some(stub) = stub {
        started.push(proxies::direct(stub, part.era));
        peers.push(proxies::nginx(stub, part.era, place));
    }
    if !plan.of_detectors {
        peers.push(proxies::mcp_proxy(&behind, place));
    }
    for peer in peers {
        match peer {
            Ok(proxy) => started.push(proxy),
            Err(error) => eprintln!("a peer is left out: {error}"),
        }
    }
    for (at, variant) in VARIANTS.iter().enumerate() {
        let is_wanted = match plan.of_detectors {
            true => variant.detectors || variant.is_everything(),
            false => part.is_step_by_step || at == 0 || variant.is_everything(),
        };
        if is_wanted {
            started.push(proxies::portcullis(&behind, place, variant, &[])?);
        }
    }
    Ok(started)
}

fn row(name: &str, cells: &[Cell], base_us: Option<f64>) -> String {
    let cpu_us = median(cells, |cell| cell.cpu_us);
    let ratio = base_us.map_or_else(|| "-".to_owned(), |base_us| format!("{:.2}", cpu_us / base_us));
    let note = match cells.iter().map(|cell| cell.failed).sum::<u64>() {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    };
    let calls: u64 = cells.iter().map(|cell| cell.calls).sum();
    let upstream: u64 = cells.iter().map(|cell| cell.upstream_calls).sum();
    format!(
        "| {name}{note} | {cpu_us:.1} | {ratio} | {:.0} | {:.0} | {:.0} | {:.3} |",
        median(cells, |cell| cell.rate),
        median(cells, |cell| cell.p50_us),
        median(cells, |cell| cell.p99_us),
        upstream as f64 / calls.max(1) as f64
    )
}

fn cell(
    runtime: &tokio::runtime::Runtime,
    proxy: &Proxy,
    question: &Question,
    connections: usize,
    duration: Duration,
) -> Result<Cell> {
    // Handshakes are not what is measured.
    let clients = runtime.block_on(load::open(question, connections))?;
    let calls = proxy.upstream_calls()?;
    let before = process::cpu_us(proxy.pid)?;
    let (clients, seen) = runtime.block_on(load::run(clients, duration))?;
    let used = process::cpu_us(proxy.pid)? - before;
    let upstream_calls = proxy.upstream_calls()? - calls;
    runtime.block_on(load::close(clients))?;
    let calls = seen.answered + seen.failed;
    Ok(Cell {
        cpu_us: used / calls.max(1) as f64,
        rate: seen.rate(),
        p50_us: f64::from(seen.percentile(0.5)),
        p99_us: f64::from(seen.percentile(0.99)),
        failed: seen.failed,
        calls,
        upstream_calls,
    })
}

fn median(cells: &[Cell], figure: impl Fn(&Cell) -> f64) -> f64 {
    let mut figures: Vec<f64> = cells.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// The list of tools through Portcullis, from its cached view.
fn lists(place: &Path, tools: usize, plan: &Plan) -> Result<String> {
    let stub = proxies::start_stub(tools)?;
    let proxy = everything_on(&stub, place)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let question = proxy.peer.question("tools/list", None, "");
    let mut cells = Vec::new();
    for _ in 0..plan.rounds {
        cells.push(cell(&runtime, &proxy, &question, 16, plan.duration)?);
    }
    Ok(format!(
        "`tools/list` of {tools} tools, one page, cached view, everything on, 16 connections: {:.0} CPU us, {:.0} lists/s, p50 {:.0} us",
        median(&cells, |cell| cell.cpu_us),
        median(&cells, |cell| cell.rate),
        median(&cells, |cell| cell.p50_us)
    ))
}

fn everything_on(stub: &Stub, place: &Path) -> Result<Proxy> {
    let behind = Behind {
        era: Era::Modern,
        stub: Some(stub),
    };
    proxies::portcullis(&behind, place, proxies::everything()?, &[])
}

/// Memory of idle keep-alive connections, and of idle subscriptions.
fn idle(place: &Path) -> Result<String> {
    const COUNT: usize = 1_000;
    let stub = proxies::start_stub(50)?;
    let proxy = everything_on(&stub, place)?;
    let ready = process::resident_kib(proxy.pid)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let held = runtime.block_on(load::hold(&proxy.peer.call("read_1k"), COUNT))?;
    let connections = process::resident_kib(proxy.pid)?;
    drop(held);
    let listen = proxy
        .peer
        .question("subscriptions/listen", None, r#""notifications":{}"#);
    let before = process::resident_kib(proxy.pid)?;
    let held = runtime.block_on(load::hold(&listen, COUNT))?;
    let streams = process::resident_kib(proxy.pid)?;
    drop(held);
    Ok(format!(
        "idle: {:.1} MiB at start; {COUNT} keep-alive connections after one call each {:.1} KiB each; {COUNT} idle subscriptions {:.1} KiB each",
        ready as f64 / 1024.0,
        connections.saturating_sub(ready) as f64 / COUNT as f64,
        streams.saturating_sub(before) as f64 / COUNT as f64
    ))
}

fn sync_ms(place: &Path) -> Result<f64> {
    let path = place.join("sync");
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        file.write_all(&[7; 1024])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(25).copied().unwrap_or(0.0))
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "machine: {cores} x {model}, load average {}",
        load.split(' ').take(3).collect::<Vec<_>>().join(" ")
    )
}
