//! What stands between the load and the stub: nginx, `mcp-proxy` and Portcullis, each with what it needs to serve one era with
//! one thread. It measures nothing.

use crate::load::{self, Era, Peer};
use crate::{Result, stub};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One thing between the load and the stub.
pub(crate) struct Proxy {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    /// Whose CPU time counts.
    pub(crate) pid: u32,
    counter: Counter,
    child: Option<Child>,
}

impl Proxy {
    /// How many calls the stub behind it has had; of all proxies, where they share it.
    pub(crate) fn upstream_calls(&self) -> Result<u64> {
        self.counter.read()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already gone is as good.
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }
}

/// The stub over HTTP.
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

/// How a proxy reaches the stub, and what both speak.
#[derive(Clone, Copy)]
pub(crate) struct Behind<'a> {
    pub(crate) era: Era,
    /// `None`: over stdio, as a child of the proxy on the second core.
    pub(crate) stub: Option<&'a Stub>,
}

/// Where the stub counts calls.
#[derive(Clone)]
enum Counter {
    Http(String),
    /// Its length.
    File(PathBuf),
}

impl Counter {
    fn read(&self) -> Result<u64> {
        match self {
            Self::Http(address) => {
                let mut socket = TcpStream::connect(address)?;
                write!(
                    socket,
                    "GET /count HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
                )?;
                let mut text = String::new();
                socket.read_to_string(&mut text)?;
                Ok(text.split("\r\n\r\n").nth(1).unwrap_or_default().trim().parse()?)
            }
            Self::File(path) => Ok(fs::metadata(path)?.len()),
        }
    }
}

/// Which stages are on.
pub(crate) struct Variant {
    name: &'static str,
    policy: bool,
    screen: bool,
    pub(crate) detectors: bool,
    pub(crate) key: bool,
    pub(crate) record: bool,
}

pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        name: "portcullis, policy, screen and record off",
        policy: false,
        screen: false,
        detectors: false,
        key: false,
        record: false,
    },
    Variant {
        name: "portcullis, + authentication by key",
        policy: false,
        screen: false,
        detectors: false,
        key: true,
        record: false,
    },
    Variant {
        name: "portcullis, + 200 policies",
        policy: true,
        screen: false,
        detectors: false,
        key: true,
        record: false,
    },
    Variant {
        name: "portcullis, + schema and hidden characters",
        policy: true,
        screen: true,
        detectors: false,
        key: true,
        record: false,
    },
    Variant {
        name: EVERYTHING,
        policy: true,
        screen: true,
        detectors: false,
        key: true,
        record: true,
    },
    Variant {
        // Issue 3 asks nothing of it: its rows begin otherwise than those that are judged.
        name: "with detectors of secrets and personal data",
        policy: true,
        screen: true,
        detectors: true,
        key: true,
        record: true,
    },
];

/// The variant that most claims are about.
const EVERYTHING: &str = "portcullis, everything on (durable record)";

/// The variant with everything on but the detectors, which have claims of their own.
pub(crate) fn everything() -> Result<&'static Variant> {
    Ok(VARIANTS
        .iter()
        .find(|variant| variant.is_everything())
        .ok_or("no variant has everything on")?)
}

impl Variant {
    pub(crate) fn is_everything(&self) -> bool {
        self.name == EVERYTHING
    }
}

/// Starts the stub over HTTP with that many tools.
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

/// Nothing in between: the stub itself is measured.
pub(crate) fn direct(stub: &Stub, era: Era) -> Proxy {
    Proxy {
        name: "direct (the stub itself)".to_owned(),
        peer: Peer {
            address: stub.address.clone(),
            path: "/mcp",
            prefix: "",
            token: None,
            era,
        },
        pid: stub.child.id(),
        counter: Counter::Http(stub.address.clone()),
        child: None,
    }
}

/// A plain reverse proxy.
pub(crate) fn nginx(stub: &Stub, era: Era, place: &Path) -> Result<Proxy> {
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
    let behind = Behind { era, stub: Some(stub) };
    Start {
        port,
        path: "/mcp",
        prefix: "",
        token: None,
    }
    .ready("nginx", child, &behind, place)
}

/// The program of the `mcp-proxy` crate, installed by cargo where the variable `MCP_PROXY` says. It serves both eras at `/`, and
/// speaks 2025-11-25 to what is behind it whatever it is asked in.
pub(crate) fn mcp_proxy(behind: &Behind, place: &Path) -> Result<Proxy> {
    let program = std::env::var_os("MCP_PROXY")
        .map(PathBuf::from)
        .ok_or("set MCP_PROXY to the program of the `mcp-proxy` crate 0.6.0")?;
    let port = free_port()?;
    let backend = match behind.stub {
        Some(stub) => format!("transport = \"http\"\nurl = \"http://{}/mcp\"", stub.address),
        None => {
            let words = stdio_stub(place, port)?;
            let (program, arguments) = words.split_first().ok_or("no command")?;
            format!("transport = \"stdio\"\ncommand = {program:?}\nargs = {arguments:?}")
        }
    };
    let file = place.join(format!("mcp-proxy-{port}.toml"));
    fs::write(
        &file,
        format!(
            "[proxy]\nname = \"bench\"\n[proxy.listen]\nhost = \"127.0.0.1\"\nport = {port}\n[observability]\nlog_level = \"error\"\n[[backends]]\nname = \"stub\"\n{backend}\n"
        ),
    )?;
    let child = pinned(&program)
        .arg("--config")
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()?;
    Start {
        port,
        path: "/",
        prefix: "stub/",
        token: None,
    }
    .ready("mcp-proxy 0.6.0", child, behind, place)
}

/// Portcullis; `under` is the command that runs it, if there is one.
pub(crate) fn portcullis(behind: &Behind, place: &Path, variant: &Variant, under: &[String]) -> Result<Proxy> {
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
    match (variant.screen, variant.detectors) {
        (true, true) => {}
        (true, false) => text.push_str("[screen]\ndetectors = false\n"),
        (false, _) => text.push_str("[screen]\nschema = false\nhidden_characters = \"ignore\"\ndetectors = false\n"),
    }
    if !variant.record {
        text.push_str("[record]\ndanger_disabled = true\n");
    }
    let upstream = match behind.stub {
        Some(stub) => format!("url = \"http://{}/mcp\"", stub.address),
        None => format!("command = {:?}", stdio_stub(place, port)?),
    };
    let era = match behind.era {
        Era::Modern => "modern",
        Era::Legacy => "legacy",
    };
    let _ = writeln!(
        text,
        "[[upstream]]\nname = \"stub\"\nera = \"{era}\"\n{upstream}\n[upstream.tools.read_1k]\neffect = \"read\"\n[upstream.tools.read_64k]\neffect = \"read\""
    );
    let file = state.join("portcullis.toml");
    fs::write(&file, text)?;
    let program = gateway()?;
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
    Start {
        port,
        path: "/mcp",
        prefix: "",
        token,
    }
    .ready(variant.name, child, behind, place)
}

/// The gateway: where the variable `PORTCULLIS` says, and otherwise beside this program.
fn gateway() -> Result<PathBuf> {
    match std::env::var_os("PORTCULLIS") {
        Some(path) => Ok(path.into()),
        None => Ok(std::env::current_exe()?.with_file_name("portcullis")),
    }
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

/// The command of the stub over stdio, the program first, for the proxy on `port`.
fn stdio_stub(place: &Path, port: u16) -> Result<Vec<String>> {
    let own = std::env::current_exe()?.display().to_string();
    let calls = calls_file(place, port).display().to_string();
    Ok([
        "taskset",
        "-c",
        "1",
        &own,
        "stdio-stub",
        "--tools",
        "300",
        "--calls",
        &calls,
    ]
    .map(str::to_owned)
    .to_vec())
}

fn calls_file(place: &Path, port: u16) -> PathBuf {
    place.join(format!("calls-{port}"))
}

/// A proxy that has been started on `port` and may not be listening yet.
struct Start {
    port: u16,
    path: &'static str,
    prefix: &'static str,
    token: Option<String>,
}

impl Start {
    /// Waits until it answers a call of each size as the stub does.
    fn ready(self, name: &str, child: Child, behind: &Behind, place: &Path) -> Result<Proxy> {
        let proxy = Proxy {
            name: name.to_owned(),
            peer: Peer {
                address: format!("127.0.0.1:{}", self.port),
                path: self.path,
                prefix: self.prefix,
                token: self.token,
                era: behind.era,
            },
            // `taskset` becomes the program, so the child is the process that counts.
            pid: child.id(),
            counter: match behind.stub {
                Some(stub) => Counter::Http(stub.address.clone()),
                None => Counter::File(calls_file(place, self.port)),
            },
            child: Some(child),
        };
        // Long, for the gateway under callgrind.
        let deadline = Instant::now() + Duration::from_secs(120);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for tool in stub::MEASURED {
            let question = proxy.peer.call(tool);
            while let Err(error) = runtime.block_on(load::ask_times(&question, 1)) {
                if Instant::now() > deadline {
                    return Err(format!("{name} does not answer: {error}").into());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(proxy)
    }
}
