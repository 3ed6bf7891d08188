//! Running the gateway as a test's subject: its command line and its configuration for tests, in one place.
//!
//! This file knows the program only from outside; it must not depend on any crate of the gateway.

use std::{
    fmt::Write as _,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long the gateway may take until it accepts connections.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often to look.
const READY_POLL: Duration = Duration::from_millis(10);

/// The file with what the gateway wrote.
const OUTPUT: &str = "output.log";

/// The environment variable that names the gateway's program, for drivers that can go through it.
pub const THROUGH: &str = "PORTCULLIS_THROUGH";

/// What stands behind the gateway.
#[derive(Clone, Copy, Debug)]
pub enum Upstream<'a> {
    /// A Streamable HTTP server.
    Http(&'a str),
    /// A command that speaks over standard input and output.
    Command(&'a [String]),
}

/// A configuration for tests: one upstream named `fixture`, everything permitted, a caller without a credential.
///
/// `state` and `policy` are the state directory and the policy file (see [`POLICY`]).
#[must_use]
pub fn config(address: SocketAddr, state: &Path, policy: &Path, upstream: Upstream<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail. The strings of JSON are strings of TOML too.
    let _ = writeln!(text, "[listen]\naddress = \"{address}\"\n");
    let _ = writeln!(text, "[identity]\nanonymous = \"conformance\"\n");
    let _ = writeln!(text, "[state]\ndirectory = {}\n", quoted(&state.to_string_lossy()));
    let _ = writeln!(text, "[policy]\nfile = {}\n", quoted(&policy.to_string_lossy()));
    let _ = writeln!(text, "[[upstream]]\nname = \"fixture\"");
    let _ = match upstream {
        Upstream::Http(url) => writeln!(text, "url = {}", quoted(url)),
        Upstream::Command(command) => {
            let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
            writeln!(text, "command = [{}]", words.join(", "))
        }
    };
    text
}

/// A policy that permits everything, so that a test sees the protocol alone.
pub const POLICY: &str = "permit(principal, action, resource);\n";

/// The command by which a host reaches the stdio server `command` through the gateway.
#[must_use]
pub fn wrap_command(program: &Path, command: &[String]) -> Vec<String> {
    let mut words = vec![
        program.to_string_lossy().into_owned(),
        "wrap".to_owned(),
        "--".to_owned(),
    ];
    words.extend_from_slice(command);
    words
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A running gateway. Dropping it kills it and removes its files.
///
/// It also dies with the thread that started it, so that a test that is killed leaves nothing behind.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Gateway {
    /// Starts `program` in front of `upstream` on a free loopback port and waits until it accepts connections. Its
    /// files are in a new directory below `work`.
    ///
    /// # Errors
    /// The program does not start, ends early (the end of its output is in the error), or is not ready in time.
    pub fn start(program: &Path, work: &Path, upstream: Upstream<'_>) -> io::Result<Self> {
        Self::start_with(program, work, |address, state, policy| {
            config(address, state, policy, upstream)
        })
    }

    /// As [`Gateway::start`], with the configuration that `write` makes of the address, the state directory and the
    /// policy file (which holds [`POLICY`]).
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub fn start_with(
        program: &Path,
        work: &Path,
        write: impl FnOnce(SocketAddr, &Path, &Path) -> String,
    ) -> io::Result<Self> {
        let address = free_address()?;
        let directory = work.join(format!("gateway-{}-{}", std::process::id(), address.port()));
        fs::create_dir_all(&directory)?;
        let (policy, file, log) = (
            directory.join("policy.cedar"),
            directory.join("portcullis.toml"),
            directory.join(OUTPUT),
        );
        fs::write(&policy, POLICY)?;
        fs::write(&file, write(address, &directory.join("state"), &policy))?;
        let output = fs::File::create(&log)?;
        // `setpriv` of util-linux arms the parent-death signal and becomes the program itself.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(["up", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut gateway = Self {
            child,
            address,
            directory,
        };
        gateway.wait_until_ready()?;
        Ok(gateway)
    }

    /// The endpoint of all upstreams together.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process, for measurements.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// What the gateway has written so far, to either output.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(self.directory.join(OUTPUT)).unwrap_or_default()
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let output = self.output();
                let what = ended.map_or_else(
                    || "is not ready in time".to_owned(),
                    |status| format!("ended: {status}"),
                );
                return Err(io::Error::other(format!("the gateway {what}\n{output}")));
            }
            thread::sleep(READY_POLL);
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// A loopback address that was free a moment ago.
///
/// # Errors
/// The operating system has none.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
