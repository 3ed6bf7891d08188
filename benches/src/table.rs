//! The table: every proxy over the same upstream in interleaved rounds, medians, and the ratios that the claims are about.

use crate::load::{self, Question, Seen};
use crate::{Result, number, process};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One thing between the load and the stub.
pub(crate) struct Proxy {
    name: String,
    address: String,
    path: &'static str,
    /// What stands before the names of tools.
    prefix: &'static str,
    token: Option<String>,
    /// Whose CPU time counts.
    pid: u32,
    children: Vec<Child>,
}

impl Proxy {
    /// A modern request to it.
    pub(crate) fn question(&self, method: &str, name: Option<&str>, params: &str) -> Question {
        Question::modern(&self.address, self.path, self.token.as_deref(), method, name, params)
    }

    /// A call of `tool`, as it is named here.
    fn call(&self, tool: &str) -> Question {
        let tool = format!("{}{tool}", self.prefix);
        self.question("tools/call", Some(&tool), &call_params(&tool))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Already gone is as good.
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }
}

/// One cell of one round.
#[derive(Debug, Clone, Default)]
struct Cell {
    cpu_us: f64,
    rate: f64,
    p50_us: f64,
    p99_us: f64,
    failed: u64,
}

const SIZES: [(&str, &str); 2] = [("1 KiB", "read_1k"), ("64 KiB", "read_64k")];

/// `table [--rounds N] [--seconds N] [--short]`: prints the table as Markdown.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let short = arguments.iter().any(|argument| argument == "--short");
    let rounds = number(arguments, "--rounds", if short { 1 } else { 5 })?;
    let millis = number(arguments, "--millis", if short { 500 } else { 1_500 })?;
    let connections: &[usize] = if short { &[16] } else { &[1, 16, 64] };
    let place = Place::new()?;
    print!(
        "{}",
        measure(&place.path, rounds, Duration::from_millis(millis as u64), connections)?
    );
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

/// The parameters of a call of `tool`, inside the braces.
pub(crate) fn call_params(tool: &str) -> String {
    format!(r#""name":"{tool}","arguments":{{"key":"k","limit":10,"fields":["a","b"]}},"#)
}

fn measure(place: &Path, rounds: usize, duration: Duration, connections: &[usize]) -> Result<String> {
    let stub = start_stub(300)?;
    let mut proxies = vec![direct(&stub)];
    match nginx(&stub, place) {
        Ok(proxy) => proxies.push(proxy),
        Err(error) => eprintln!("no nginx: {error}"),
    }
    match mcp_proxy(Behind::Http(&stub)) {
        Ok(proxy) => proxies.push(proxy),
        Err(error) => eprintln!("no mcp-proxy: {error}"),
    }
    for variant in VARIANTS {
        proxies.push(portcullis(&stub, place, variant, &[])?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{}", machine());
    let _ = writeln!(out, "disk: {:.2} ms for one fdatasync (median of 50)", sync_ms(place)?);
    let _ = writeln!(out, "\nResident memory after start, MiB:");
    for proxy in &proxies {
        let _ = writeln!(
            out,
            "- {}: {:.1}",
            proxy.name,
            process::resident_kib(proxy.pid)? as f64 / 1024.0
        );
    }
    for (size, tool) in SIZES {
        for connections in connections {
            let _ = writeln!(
                out,
                "\n{size} results, {connections} connections (median of {rounds} rounds)\n"
            );
            let _ = writeln!(
                out,
                "| | CPU us per call | x nginx | calls/s | p50 us | p99 us | upstream calls per call |"
            );
            let _ = writeln!(out, "|---|---|---|---|---|---|---|");
            let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); proxies.len()];
            let mut counts = vec![(0_u64, 0_u64); proxies.len()];
            for _ in 0..rounds {
                for (index, proxy) in proxies.iter().enumerate() {
                    let before = count(&stub)?;
                    let (cell, seen) = one(&runtime, proxy, tool, *connections, duration)?;
                    let after = count(&stub)?;
                    if let (Some(list), Some(total)) = (cells.get_mut(index), counts.get_mut(index)) {
                        list.push(cell);
                        total.0 += after - before;
                        total.1 += seen.answered + seen.failed;
                    }
                }
            }
            let base = proxies
                .iter()
                .position(|proxy| proxy.name == "nginx")
                .and_then(|at| cells.get(at))
                .map(|cells| median(cells, |cell| cell.cpu_us));
            for ((proxy, cells), (upstream, calls)) in proxies.iter().zip(&cells).zip(&counts) {
                let cpu = median(cells, |cell| cell.cpu_us);
                let ratio = base.map_or_else(|| "-".to_owned(), |base| format!("{:.2}", cpu / base));
                let note = failures(cells);
                let _ = writeln!(
                    out,
                    "| {}{note} | {cpu:.1} | {ratio} | {:.0} | {:.0} | {:.0} | {:.3} |",
                    proxy.name,
                    median(cells, |cell| cell.rate),
                    median(cells, |cell| cell.p50_us),
                    median(cells, |cell| cell.p99_us),
                    *upstream as f64 / (*calls).max(1) as f64
                );
            }
        }
    }
    drop(proxies);
    drop(stub);
    stdio(&mut out, place, rounds, duration, connections)?;
    for tools in [50, 1_000] {
        let _ = writeln!(out, "\n{}", lists(place, tools, rounds, duration)?);
    }
    let _ = writeln!(out, "\n{}", idle(place)?);
    Ok(out)
}

/// The same over stdio: those proxies that can start a server.
fn stdio(out: &mut String, place: &Path, rounds: usize, duration: Duration, connections: &[usize]) -> Result<()> {
    let mut proxies = Vec::new();
    match mcp_proxy(Behind::Stdio) {
        Ok(proxy) => proxies.push(proxy),
        Err(error) => eprintln!("no mcp-proxy over stdio: {error}"),
    }
    for variant in VARIANTS.first().into_iter().chain(VARIANTS.last()) {
        proxies.push(portcullis_before(Behind::Stdio, place, variant, &[])?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (size, tool) in SIZES {
        for connections in connections {
            let _ = writeln!(
                out,
                "\n{size} results of a server over stdio, {connections} connections (median of {rounds} rounds)\n\n\
                 | | CPU us per call | calls/s | p50 us | p99 us |\n|---|---|---|---|---|"
            );
            let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); proxies.len()];
            for _ in 0..rounds {
                for (proxy, cells) in proxies.iter().zip(&mut cells) {
                    cells.push(one(&runtime, proxy, tool, *connections, duration)?.0);
                }
            }
            for (proxy, cells) in proxies.iter().zip(&cells) {
                let _ = writeln!(
                    out,
                    "| {}{} | {:.1} | {:.0} | {:.0} | {:.0} |",
                    proxy.name,
                    failures(cells),
                    median(cells, |cell| cell.cpu_us),
                    median(cells, |cell| cell.rate),
                    median(cells, |cell| cell.p50_us),
                    median(cells, |cell| cell.p99_us)
                );
            }
        }
    }
    Ok(())
}

/// What to say of calls that failed.
fn failures(cells: &[Cell]) -> String {
    match cells.iter().map(|cell| cell.failed).sum::<u64>() {
        0 => String::new(),
        failed => format!(" ({failed} failed)"),
    }
}

fn one(
    runtime: &tokio::runtime::Runtime,
    proxy: &Proxy,
    tool: &str,
    connections: usize,
    duration: Duration,
) -> Result<(Cell, Seen)> {
    cell(runtime, proxy, &proxy.call(tool), connections, duration)
}

fn cell(
    runtime: &tokio::runtime::Runtime,
    proxy: &Proxy,
    question: &Question,
    connections: usize,
    duration: Duration,
) -> Result<(Cell, Seen)> {
    let before = process::cpu_us(proxy.pid)?;
    let seen = runtime.block_on(load::run(question, connections, duration))?;
    let used = process::cpu_us(proxy.pid)? - before;
    let cell = Cell {
        cpu_us: used / (seen.answered + seen.failed).max(1) as f64,
        rate: seen.rate(),
        p50_us: f64::from(seen.percentile(0.5)),
        p99_us: f64::from(seen.percentile(0.99)),
        failed: seen.failed,
    };
    Ok((cell, seen))
}

fn median(cells: &[Cell], figure: impl Fn(&Cell) -> f64) -> f64 {
    let mut figures: Vec<f64> = cells.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// The list of tools through Portcullis, from its cached view.
fn lists(place: &Path, tools: usize, rounds: usize, duration: Duration) -> Result<String> {
    let stub = start_stub(tools)?;
    let full = VARIANTS.last().ok_or("no variants")?;
    let proxy = portcullis(&stub, place, full, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let question = proxy.question("tools/list", None, "");
    let mut cells = Vec::new();
    for _ in 0..rounds {
        cells.push(cell(&runtime, &proxy, &question, 16, duration)?.0);
    }
    Ok(format!(
        "`tools/list` of {tools} tools, one page, cached view, everything on, 16 connections: {:.0} CPU us, {:.0} lists/s, p50 {:.0} us",
        median(&cells, |cell| cell.cpu_us),
        median(&cells, |cell| cell.rate),
        median(&cells, |cell| cell.p50_us)
    ))
}

/// Memory of idle keep-alive connections, and of idle subscriptions.
fn idle(place: &Path) -> Result<String> {
    const COUNT: usize = 1_000;
    let stub = start_stub(50)?;
    let proxy = portcullis(&stub, place, VARIANTS.last().ok_or("no variants")?, &[])?;
    let ready = process::resident_kib(proxy.pid)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let held = runtime.block_on(load::hold(&proxy.call("read_1k"), COUNT))?;
    let connections = process::resident_kib(proxy.pid)?;
    drop(held);
    let listen = proxy.question("subscriptions/listen", None, r#""notifications":{},"#);
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

// ---- the proxies ------------------------------------------------------------------------------------------------------

pub(crate) struct Stub {
    child: Child,
    address: String,
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn start_stub(tools: usize) -> Result<Stub> {
    let own = std::env::current_exe()?;
    let mut child = Command::new("taskset")
        .args(["-c", "1"])
        .arg(own)
        .args(["stub", "--port", "0", "--tools", &tools.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let address = line
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches("/mcp")
        .to_owned();
    Ok(Stub { child, address })
}

fn count(stub: &Stub) -> Result<u64> {
    let text = http_get(&stub.address, "/count")?;
    Ok(text.trim().parse()?)
}

fn http_get(address: &str, path: &str) -> Result<String> {
    use std::io::Read as _;
    let mut socket = std::net::TcpStream::connect(address)?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    Ok(text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}

fn direct(stub: &Stub) -> Proxy {
    Proxy {
        name: "direct (the stub itself)".to_owned(),
        address: stub.address.clone(),
        path: "/mcp",
        prefix: "",
        token: None,
        pid: stub.child.id(),
        children: Vec::new(),
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// On the first core alone, as every proxy; load and stub share the second.
fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command
        .args(["-c", "0"])
        .arg(program)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn nginx(stub: &Stub, place: &Path) -> Result<Proxy> {
    let port = free_port()?;
    let configuration = format!(
        "daemon off; master_process off; pid {0}/nginx.pid; error_log /dev/null; worker_processes 1;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;\n\
         keepalive_requests 1000000; tcp_nodelay on; proxy_buffers 16 16k; proxy_buffer_size 16k;\n\
         upstream stub {{ server {1}; keepalive 128; keepalive_requests 1000000; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
        place.display(),
        stub.address
    );
    let file = place.join("nginx.conf");
    fs::write(&file, configuration)?;
    let child = pinned(Path::new("/usr/sbin/nginx"))
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()?;
    ready("nginx", port, child, ("/mcp", ""), None)
}

/// What a proxy has behind it.
#[derive(Clone, Copy)]
enum Behind<'a> {
    Http(&'a Stub),
    /// The stub as a child of the proxy, on the second core.
    Stdio,
}

/// The command of the stub over stdio, the program first.
fn stdio_stub() -> Result<Vec<String>> {
    let own = std::env::current_exe()?.display().to_string();
    Ok(["taskset", "-c", "1", &own, "stdio-stub", "--tools", "300"]
        .map(str::to_owned)
        .to_vec())
}

/// The program of the `mcp-proxy` crate, installed by cargo where the variable `MCP_PROXY` says.
fn mcp_proxy(behind: Behind) -> Result<Proxy> {
    let program = std::env::var_os("MCP_PROXY")
        .map(PathBuf::from)
        .ok_or("set MCP_PROXY to the program of the `mcp-proxy` crate 0.6.0")?;
    let port = free_port()?;
    let file = std::env::temp_dir().join(format!("mcp-proxy-{port}.toml"));
    let backend = match behind {
        Behind::Http(stub) => format!("transport = \"http\"\nurl = \"http://{}/mcp\"", stub.address),
        Behind::Stdio => {
            let words = stdio_stub()?;
            let (program, arguments) = words.split_first().ok_or("no command")?;
            format!("transport = \"stdio\"\ncommand = {program:?}\nargs = {arguments:?}")
        }
    };
    fs::write(
        &file,
        format!(
            "[proxy]\nname = \"bench\"\n[proxy.listen]\nhost = \"127.0.0.1\"\nport = {port}\n[observability]\nlog_level = \"error\"\n[[backends]]\nname = \"stub\"\n{backend}\n"
        ),
    )?;
    let child = pinned(&program)
        .args(["--config"])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()?;
    let proxy = ready("mcp-proxy 0.6.0", port, child, ("/", "stub/"), None);
    // It has read it.
    let _ = fs::remove_file(&file);
    proxy
}

/// Which stages are on.
pub(crate) struct Variant {
    name: &'static str,
    policy: bool,
    screen: bool,
    pub(crate) key: bool,
    pub(crate) record: bool,
}

pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        name: "portcullis, policy, screen and record off",
        policy: false,
        screen: false,
        key: false,
        record: false,
    },
    Variant {
        name: "portcullis, + authentication by key",
        policy: false,
        screen: false,
        key: true,
        record: false,
    },
    Variant {
        name: "portcullis, + 200 policies",
        policy: true,
        screen: false,
        key: true,
        record: false,
    },
    Variant {
        name: "portcullis, + schema and hidden characters",
        policy: true,
        screen: true,
        key: true,
        record: false,
    },
    Variant {
        name: "portcullis, everything on (durable record)",
        policy: true,
        screen: true,
        key: true,
        record: true,
    },
];

/// Portcullis in front of the stub; `under` is the command that runs it, if there is one.
pub(crate) fn portcullis(stub: &Stub, place: &Path, variant: &Variant, under: &[String]) -> Result<Proxy> {
    portcullis_before(Behind::Http(stub), place, variant, under)
}

fn portcullis_before(behind: Behind, place: &Path, variant: &Variant, under: &[String]) -> Result<Proxy> {
    let port = free_port()?;
    let state = place.join(format!("state-{port}"));
    fs::create_dir_all(&state)?;
    let mut text = format!(
        "[listen]\naddress = \"127.0.0.1:{port}\"\nthreads = 1\n[state]\ndirectory = {:?}\n[log]\nlevel = \"error\"\n",
        state.display().to_string()
    );
    if !variant.key {
        text.push_str("[identity]\nanonymous = \"bench\"\n");
    }
    if variant.policy {
        let file = state.join("bench.cedar");
        fs::write(&file, policies())?;
        let _ = writeln!(text, "[policy]\nfile = {:?}", file.display().to_string());
    } else {
        text.push_str("[policy]\ndanger_disabled = true\n");
    }
    if !variant.screen {
        text.push_str("[screen]\nschema = false\nhidden_characters = \"ignore\"\n");
    }
    if !variant.record {
        text.push_str("[record]\ndanger_disabled = true\n");
    }
    let upstream = match behind {
        Behind::Http(stub) => format!("url = \"http://{}/mcp\"", stub.address),
        Behind::Stdio => format!("command = {:?}", stdio_stub()?),
    };
    let _ = writeln!(
        text,
        "[[upstream]]\nname = \"stub\"\n{upstream}\n[upstream.tools.read_1k]\neffect = \"read\"\n[upstream.tools.read_64k]\neffect = \"read\""
    );
    let file = state.join("portcullis.toml");
    fs::write(&file, text)?;
    let program = std::env::current_exe()?.with_file_name("portcullis");
    let token = match variant.key {
        false => None,
        true => {
            let made = Command::new(&program)
                .args(["--config"])
                .arg(&file)
                .args(["key", "create", "owner"])
                .output()?;
            Some(String::from_utf8(made.stdout)?.trim().to_owned())
        }
    };
    let mut words = under
        .iter()
        .map(std::ffi::OsString::from)
        .chain([program.into_os_string()]);
    let child = pinned(Path::new(&words.next().unwrap_or_default()))
        .args(words)
        .args(["up", "--config"])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()?;
    ready(variant.name, port, child, ("/mcp", ""), token)
}

/// 200 policies, of which at most ten can match a call of the measured tools.
fn policies() -> String {
    let mut text = String::from(
        "permit (principal, action in [Action::\"connect\", Action::\"list\", Action::\"subscribe\"], resource);\n",
    );
    for number in 0..5 {
        let _ = writeln!(
            text,
            "@id(\"reads-{number}\") permit (principal == User::\"owner\", action == Action::\"tools/call\", resource) when {{ resource.effect == Effect::\"read\" && context.transport == \"http\" }};"
        );
    }
    for number in 0..4 {
        let _ = writeln!(
            text,
            "@id(\"never-{number}\") forbid (principal, action == Action::\"tools/call\", resource in Server::\"stub\") when {{ context.transport == \"never-{number}\" }};"
        );
    }
    for number in 2..192 {
        let _ = writeln!(
            text,
            "@id(\"tool-{number}\") permit (principal == User::\"somebody-{number}\", action == Action::\"tools/call\", resource == Tool::\"stub/tool_{:04}\");",
            2 + number % 48
        );
    }
    text
}

/// Waits until it answers a call. The pair is the path of its endpoint and what stands before its tools' names.
fn ready(
    name: &str,
    port: u16,
    child: Child,
    (path, prefix): (&'static str, &'static str),
    token: Option<String>,
) -> Result<Proxy> {
    // `taskset` becomes the program, so the child is the process that counts.
    let proxy = Proxy {
        name: name.to_owned(),
        address: format!("127.0.0.1:{port}"),
        path,
        prefix,
        token,
        pid: child.id(),
        children: vec![child],
    };
    // Long, for the gateway under callgrind.
    let deadline = Instant::now() + Duration::from_secs(120);
    let question = proxy.call("read_1k");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    loop {
        let answered = runtime.block_on(load::ask_times(&question, 1));
        match answered {
            Ok(()) => return Ok(proxy),
            Err(error) if Instant::now() > deadline => return Err(format!("{name} does not answer: {error}").into()),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
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
