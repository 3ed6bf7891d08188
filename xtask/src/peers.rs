//! The peers of `peers/`: installing them, and running every official client against every official server.
//!
//! This file must not know the conformance suite; `conformance` does.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use portcullis_testkit::gateway::{Gateway, Upstream, wrap_command};
use serde_json::{Value, json};

use crate::child::{self, Result};

/// Debian's packages that tests need, each with a file that shows that it, or its like, is there.
const DEBIAN: [(&str, &str); 5] = [
    ("valgrind", "/usr/bin/valgrind"),
    ("nginx-light", "/usr/sbin/nginx"),
    ("golang-go", "/usr/bin/go"),
    ("golang-golang-x-mod-dev", "/usr/share/gocode/src/golang.org/x/mod"),
    ("git", "/usr/bin/git"),
];
const INSTALL_LIMIT: Duration = Duration::from_secs(900);
const PROBE_LIMIT: Duration = Duration::from_secs(90);
/// Clients that run at the same time.
const AT_ONCE: usize = 2;

/// Where the peers are.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    root: PathBuf,
    directory: PathBuf,
}

impl Peers {
    /// Node.js 22.
    pub(crate) fn node(&self) -> PathBuf {
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        self.module(&format!("node-linux-{machine}/bin/node"))
    }

    /// A file in `node_modules`.
    pub(crate) fn module(&self, path: &str) -> PathBuf {
        self.directory.join("node/node_modules").join(path)
    }

    /// A program of the Python environment.
    pub(crate) fn python(&self, program: &str) -> PathBuf {
        self.directory.join("python/bin").join(program)
    }

    /// The workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A directory for the peers' own files, created if missing.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let directory = self.directory.join("work").join(name);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }
}

/// The workspace that this task was built in.
pub(crate) fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Installs what is missing: Debian's packages (as root), the Node and the Python peers below `target/peers`. Quick when
/// nothing changed.
///
/// # Errors
/// A package manager is missing or fails.
pub(crate) fn install() -> Result<Peers> {
    let root = workspace();
    let peers = Peers {
        directory: root.join("target/peers"),
        root,
    };
    install_debian()?;
    install_node(&peers)?;
    install_python(&peers)?;
    Ok(peers)
}

fn install_debian() -> Result<()> {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(", "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet=2");
        command
    };
    let hint = |error| format!("{error}\nhint: as root, `apt-get install {}`", missing.join(" "));
    child::succeed(apt().arg("update"), INSTALL_LIMIT).map_err(hint)?;
    child::succeed(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&missing),
        INSTALL_LIMIT,
    )
    .map_err(hint)?;
    Ok(())
}

fn install_node(peers: &Peers) -> Result<()> {
    let (from, to) = (peers.root.join("peers/node"), peers.directory.join("node"));
    let files = ["package.json", "package-lock.json", ".npmrc"];
    let wanted = contents(&from, &files)?;
    let stamp = to.join("installed");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        println!("installing the Node peers");
        fs::create_dir_all(&to)?;
        for file in files {
            fs::copy(from.join(file), to.join(file))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--loglevel=error"]).current_dir(&to);
        child::succeed(&mut npm, INSTALL_LIMIT)
            .map_err(|error| format!("{error}\nhint: Node.js with npm must be on the path"))?;
        fs::write(&stamp, wanted)?;
    }
    // Node finds modules from where a script lies, so the probes go beside them.
    let clients = to.join("clients");
    fs::create_dir_all(&clients)?;
    for entry in fs::read_dir(from.join("clients"))? {
        let entry = entry?;
        fs::copy(entry.path(), clients.join(entry.file_name()))?;
    }
    Ok(())
}

fn install_python(peers: &Peers) -> Result<()> {
    let (from, to) = (peers.root.join("peers/python"), peers.directory.join("python"));
    let wanted = contents(&from, &["requirements.txt"])?;
    let stamp = to.join("installed");
    if fs::read_to_string(&stamp).ok().as_ref() == Some(&wanted) {
        return Ok(());
    }
    println!("installing the Python peers");
    let hint = |error| format!("{error}\nhint: Python 3.10 or later with `venv` must be on the path");
    child::succeed(
        Command::new("python3").args(["-m", "venv", "--clear"]).arg(&to),
        INSTALL_LIMIT,
    )
    .map_err(hint)?;
    let mut pip = Command::new(to.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "-r",
    ])
    .arg(from.join("requirements.txt"));
    child::succeed(&mut pip, INSTALL_LIMIT)?;
    fs::write(&stamp, wanted)?;
    Ok(())
}

fn contents(directory: &Path, files: &[&str]) -> Result<String> {
    let mut all = String::new();
    for file in files {
        let path = directory.join(file);
        all += &fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    }
    Ok(all)
}

/// The programs of the test kit that stand on the official SDK.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    /// The conformance suite's server under test.
    pub(crate) everything_server: PathBuf,
    /// The conformance suite's client under test.
    pub(crate) conformance_client: PathBuf,
}

/// Builds the test kit's programs.
///
/// # Errors
/// They do not build.
pub(crate) fn build_kit(root: &Path) -> Result<Kit> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args([
            "build",
            "--quiet",
            "--package",
            "portcullis-testkit",
            "--features",
            "sdk",
            "--bins",
        ])
        .current_dir(root);
    child::succeed(&mut build, INSTALL_LIMIT)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = |name: &str| target.join("debug").join(name);
    Ok(Kit {
        everything_server: program("everything-server"),
        conformance_client: program("conformance-client"),
    })
}

/// A running everything-server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Fixture {
    child: Child,
    url: String,
}

impl Fixture {
    /// Starts the fixture with `arguments` (see its `--help`) and waits for its URL.
    ///
    /// # Errors
    /// It does not start or says no URL.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        // It must not outlive this task, however that ends.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        let output = child.stdout.take().ok_or("the fixture has no output")?;
        BufReader::new(output).read_line(&mut url)?;
        let fixture = Self {
            child,
            url: url.trim().to_owned(),
        };
        if fixture.url.starts_with("http") {
            Ok(fixture)
        } else {
            Err("the fixture did not say its URL".into())
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a client reaches a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Route {
    /// Without a gateway.
    Direct,
    /// Over HTTP through `portcullis up`; the path is the program.
    Up(PathBuf),
    /// Over stdio through `portcullis wrap`; the path is the program. Reaches servers over stdio only.
    Wrap(PathBuf),
}

impl Route {
    fn name(&self) -> &'static str {
        match self {
            Route::Direct => "direct",
            Route::Up(_) => "up",
            Route::Wrap(_) => "wrap",
        }
    }
}

/// One client against one server by one route.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// The route's name.
    pub(crate) route: &'static str,
    /// The client.
    pub(crate) client: &'static str,
    /// What the client was told to speak: `legacy` or `auto`.
    pub(crate) era: &'static str,
    /// The server.
    pub(crate) server: &'static str,
    /// What the client saw, or why it failed.
    pub(crate) outcome: std::result::Result<Seen, String>,
}

/// What a client saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The revision that was negotiated, if the client tells.
    pub(crate) revision: Option<String>,
    /// How many tools were listed.
    pub(crate) tools: u64,
}

#[derive(Clone, Copy)]
enum Client {
    TypeScript1,
    TypeScript2,
    Python,
    Inspector,
}

/// Every client in every era that it can be told to speak.
const CLIENTS: [(Client, &str, &str); 7] = [
    (Client::TypeScript1, "typescript-sdk 1", "legacy"),
    (Client::TypeScript2, "typescript-client 2", "legacy"),
    (Client::TypeScript2, "typescript-client 2", "auto"),
    (Client::Python, "python 2", "legacy"),
    (Client::Python, "python 2", "auto"),
    (Client::Inspector, "inspector 2", "legacy"),
    (Client::Inspector, "inspector 2", "auto"),
];

#[derive(Clone, Debug)]
enum Target {
    Http(String),
    Command(Vec<String>),
}

#[derive(Clone, Debug)]
struct Server {
    name: &'static str,
    target: Target,
    tool: &'static str,
    arguments: Value,
    expect: &'static str,
}

/// Runs every client against every server by each of `routes`.
///
/// # Errors
/// A server cannot be prepared. A gateway that does not start, or a client that fails, is in its cells.
pub(crate) fn matrix(peers: &Peers, kit: &Kit, routes: &[Route]) -> Result<Vec<Cell>> {
    let fixture = Fixture::start(&kit.everything_server, &[])?;
    let servers = servers(peers, fixture.url())?;
    let mut cells = Vec::new();
    for route in routes {
        for server in &servers {
            let mut server = server.clone();
            // Kept here: it lives as long as the clients use it.
            let gateway = match (route, &server.target) {
                (Route::Direct, _) => None,
                (Route::Wrap(_), Target::Http(_)) => continue,
                (Route::Wrap(program), Target::Command(command)) => {
                    server.target = Target::Command(wrap_command(program, command));
                    None
                }
                (Route::Up(program), target) => {
                    let upstream = match target {
                        Target::Http(url) => Upstream::Http(url),
                        Target::Command(command) => Upstream::Command(command),
                    };
                    match Gateway::start(program, &peers.scratch("gateways")?, upstream) {
                        Ok(gateway) => Some(gateway),
                        Err(error) => {
                            cells.extend(unreached(route.name(), server.name, &error.to_string()));
                            continue;
                        }
                    }
                }
            };
            if let Some(gateway) = &gateway {
                server.target = Target::Http(gateway.url());
            }
            cells.extend(run_clients(peers, route.name(), &server));
        }
    }
    Ok(cells)
}

fn servers(peers: &Peers, fixture_url: &str) -> Result<Vec<Server>> {
    let node = text(&peers.node());
    let script = |name: &str| text(&peers.module(&format!("@modelcontextprotocol/{name}/dist/index.js")));
    let files = peers.scratch("files")?;
    let note = files.join("note.txt");
    fs::write(&note, "the gate is down\n")?;
    let repository = peers.scratch("repository")?;
    child::succeed(
        Command::new("git")
            .args(["-c", "init.defaultBranch=main", "init", "--quiet"])
            .arg(&repository),
        PROBE_LIMIT,
    )?;
    let (files, note, repository) = (text(&files), text(&note), text(&repository));
    Ok(vec![
        Server {
            name: "everything",
            target: Target::Command(vec![node.clone(), script("server-everything"), "stdio".to_owned()]),
            tool: "echo",
            arguments: json!({"message": "the gate is down"}),
            expect: "the gate is down",
        },
        Server {
            name: "filesystem",
            target: Target::Command(vec![node, script("server-filesystem"), files]),
            tool: "read_text_file",
            arguments: json!({"path": note}),
            expect: "the gate is down",
        },
        Server {
            name: "git",
            target: Target::Command(vec![
                text(&peers.python("mcp-server-git")),
                "--repository".to_owned(),
                repository.clone(),
            ]),
            tool: "git_status",
            arguments: json!({"repo_path": repository}),
            expect: "On branch main",
        },
        Server {
            name: "http",
            target: Target::Http(fixture_url.to_owned()),
            tool: "greet",
            arguments: json!({"name": "Portcullis"}),
            expect: "Hello, Portcullis!",
        },
    ])
}

/// The cells of a server that no client could reach.
fn unreached(route: &'static str, server: &'static str, error: &str) -> Vec<Cell> {
    let cell = |&(_, client, era)| Cell {
        route,
        client,
        era,
        server,
        outcome: Err(error.to_owned()),
    };
    CLIENTS.iter().map(cell).collect()
}

fn run_clients(peers: &Peers, route: &'static str, server: &Server) -> Vec<Cell> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(client, name, era)) = CLIENTS.get(index) else {
                        return;
                    };
                    let log = format!("{route}-{}-{index}.log", server.name);
                    let outcome = probe(peers, client, era, server, &log).map_err(|error| error.to_string());
                    let cell = Cell {
                        route,
                        client: name,
                        era,
                        server: server.name,
                        outcome,
                    };
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, cell));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, cell)| cell).collect()
}

fn probe(peers: &Peers, client: Client, era: &str, server: &Server, log: &str) -> Result<Seen> {
    let log = peers.scratch("logs")?.join(log);
    let mut command = match client {
        Client::Inspector => return inspect(peers, era, server, &log),
        Client::TypeScript1 | Client::TypeScript2 => {
            let script = if matches!(client, Client::TypeScript1) {
                "sdk1.mjs"
            } else {
                "client2.mjs"
            };
            let mut command = Command::new(peers.node());
            command.arg(peers.directory.join("node/clients").join(script));
            command
        }
        Client::Python => {
            let mut command = Command::new(peers.python("python"));
            command.arg(peers.root.join("peers/python/client.py"));
            command
        }
    };
    let (key, target) = match &server.target {
        Target::Http(url) => ("url", json!(url)),
        Target::Command(words) => ("command", json!(words)),
    };
    let job = json!({
        key: target, "era": era, "tool": server.tool, "arguments": server.arguments, "expect": server.expect,
    });
    let (_, output) = child::read(command.arg(job.to_string()), &log, PROBE_LIMIT)?;
    let line: Value = serde_json::from_str(output.lines().last().unwrap_or_default())
        .map_err(|error| format!("no line of JSON: {error}\n{}", child::tail(&log, 10)))?;
    let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
    if line.get("ok") != Some(&json!(true)) {
        return Err(text("error").unwrap_or_else(|| "no reason given".to_owned()).into());
    }
    Ok(Seen {
        revision: text("revision"),
        tools: line.get("tools").and_then(Value::as_u64).unwrap_or_default(),
    })
}

/// The inspector's command line does one thing at a time: it lists, then calls.
fn inspect(peers: &Peers, era: &str, server: &Server, log: &Path) -> Result<Seen> {
    let home = peers.scratch("home")?;
    let run = |arguments: &[&str]| -> Result<Value> {
        let mut command = Command::new(peers.node());
        command
            .arg(peers.module("@modelcontextprotocol/inspector/clients/launcher/build/index.js"))
            .args(["--cli", "--format", "json", "--quiet", "--protocol-era", era])
            .args(arguments)
            .env("HOME", &home);
        match &server.target {
            Target::Http(url) => command.args(["--transport", "http", url]),
            // What follows `--` is the server's command, options and all.
            Target::Command(words) => command.arg("--").args(words),
        };
        let (status, output) = child::read(&mut command, log, PROBE_LIMIT)?;
        if !status.success() {
            return Err(format!("inspector: {status}\n{}", child::tail(log, 5)).into());
        }
        Ok(serde_json::from_str(&output)?)
    };
    let list = run(&["--method", "tools/list"])?;
    let tools = list
        .pointer("/result/tools")
        .and_then(Value::as_array)
        .ok_or("no list of tools")?;
    if !tools.iter().any(|tool| tool.get("name") == Some(&json!(server.tool))) {
        return Err(format!("`{}` is not among the {} tools listed", server.tool, tools.len()).into());
    }
    let arguments = server.arguments.to_string();
    let called = run(&[
        "--method",
        "tools/call",
        "--tool-name",
        server.tool,
        "--tool-args-json",
        arguments.as_str(),
    ])?;
    let content = called
        .pointer("/result/content")
        .map(Value::to_string)
        .unwrap_or_default();
    if !content.contains(server.expect) {
        return Err(format!("`{}` is not in {content}", server.expect).into());
    }
    Ok(Seen {
        revision: None,
        tools: tools.len() as u64,
    })
}

/// The cells as a table, one line per route, client and era, and the failures below.
pub(crate) fn table(cells: &[Cell]) -> String {
    let mut servers: Vec<&str> = Vec::new();
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    for cell in cells {
        if !servers.contains(&cell.server) {
            servers.push(cell.server);
        }
        let row = (cell.route, cell.client, cell.era);
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let mut out = format!("{:<7} {:<20} {:<7}", "route", "client", "era");
    for server in &servers {
        let _ = write!(out, " {server:<16}");
    }
    for (route, client, era) in rows {
        let _ = write!(out, "\n{route:<7} {client:<20} {era:<7}");
        for server in &servers {
            let cell = cells
                .iter()
                .find(|cell| (cell.route, cell.client, cell.era, cell.server) == (route, client, era, *server));
            let text = match cell.map(|cell| &cell.outcome) {
                None => "-".to_owned(),
                Some(Err(_)) => "FAILED".to_owned(),
                Some(Ok(seen)) => format!("{:>2} {}", seen.tools, seen.revision.as_deref().unwrap_or("ok")),
            };
            let _ = write!(out, " {text:<16}");
        }
    }
    let failed: Vec<_> = cells.iter().filter(|cell| cell.outcome.is_err()).collect();
    for cell in &failed {
        let reason = cell.outcome.as_ref().err().map_or("", String::as_str);
        let _ = write!(
            out,
            "\n{} / {} {} / {}: {reason}",
            cell.route, cell.client, cell.era, cell.server
        );
    }
    let _ = write!(out, "\n{} passed, {} failed", cells.len() - failed.len(), failed.len());
    out
}

/// `xtask peers [--through PROGRAM]`: installs the peers and runs the matrix, directly or through the gateway by `up` and
/// by `wrap`. Returns whether all passed.
///
/// # Errors
/// An unknown argument, or the matrix cannot be run.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let routes = match arguments {
        [] => vec![Route::Direct],
        [flag] if flag == "--install-only" => return install().map(|_| true),
        [flag, program] if flag == "--through" => {
            let program = PathBuf::from(program).canonicalize()?;
            vec![Route::Up(program.clone()), Route::Wrap(program)]
        }
        _ => return Err("usage: peers [--install-only | --through PROGRAM]".into()),
    };
    let peers = install()?;
    let kit = build_kit(peers.root())?;
    let cells = matrix(&peers, &kit, &routes)?;
    println!("{}", table(&cells));
    Ok(cells.iter().all(|cell| cell.outcome.is_ok()))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
