//! An upstream command as a child process: its stdin and stdout as lines, its stderr to the log, its end as a future.
//!
//! Between the gateway and the command stands a launcher (see [`crate::launcher`]), so that nothing the command started
//! outlives it. This file must not know what the lines mean, whether an ended command is started again, or where a
//! configuration came from; it reads no environment of its own.

mod backoff;
mod orphans;
mod stderr;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, pipe};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

pub use backoff::Backoff;
pub use orphans::{become_subreaper, reap_orphans};
pub use stderr::StderrTail;

use crate::launcher::LAUNCH;
use crate::launcher::channel::{ENVIRONMENT_BYTES_MAX, Files, REPORT_BYTES, Report, Step};
use crate::lines::{LineReader, LineWriter};

/// What every child gets from the gateway's own environment, if it is set there; all else must be configured.
pub const INHERITED_VARIABLES: [&str; 8] = ["PATH", "HOME", "LANG", "TERM", "TMPDIR", "USER", "LOGNAME", "SHELL"];

/// How long a launcher may take to say that the command runs or not. Long because a cold disk is slow, not the launcher.
const START_MAX: Duration = Duration::from_secs(30);
/// How long after the last SIGKILL a launcher may still take before it is not waited for any more.
const END_SLACK: Duration = Duration::from_secs(5);

/// A command to run.
#[derive(Debug, Clone)]
pub struct CommandSpec {
    /// The server's name in the configuration, for the log.
    pub name: String,
    /// A path, or a name to be looked for in the `PATH` of `environment`.
    pub program: String,
    /// The arguments, the program's name not included. Anybody on the machine can read them: no secret belongs here.
    pub arguments: Vec<String>,
    /// The child's whole environment; see [`environment`]. Never on a command line.
    pub environment: Vec<(String, String)>,
    /// Where it runs; `None` for where the gateway runs.
    pub working_directory: Option<PathBuf>,
    /// The longest line accepted from stdout, in bytes.
    pub line_bytes_max: usize,
    /// How long it has between SIGTERM and SIGKILL, in milliseconds.
    pub grace_ms: u64,
    /// A program that calls [`crate::launcher::main`]: the gateway's own. `/proc/self/exe` stays right even if the file
    /// is replaced while the gateway runs.
    pub launcher: PathBuf,
}

/// Puts a child's environment together: [`INHERITED_VARIABLES`] out of `own`, and on top what is `configured`.
pub fn environment(
    own: impl IntoIterator<Item = (OsString, OsString)>,
    configured: &[(String, String)],
) -> Vec<(String, String)> {
    // What is not UTF-8 is left out: a configured entry can put it right.
    let own = own
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut entries: BTreeMap<String, String> = own
        .filter(|(name, _)| INHERITED_VARIABLES.contains(&name.as_str()))
        .collect();
    entries.extend(configured.iter().cloned());
    entries.into_iter().collect()
}

/// Why a command did not start or did not stop.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// Something in the specification cannot be passed to any program.
    #[error("the command of server `{name}` cannot be run: {problem}")]
    Unusable {
        /// The server.
        name: String,
        /// What is wrong, with what to do.
        problem: &'static str,
    },
    /// No such program.
    #[error(
        "cannot run `{program}`: there is no such program (hint: did you install it? a name without a slash is looked for in `PATH`)"
    )]
    ProgramMissing {
        /// As configured.
        program: String,
    },
    /// The program is a script and what its first line names is not there.
    #[error("cannot run `{program}`: the interpreter that its first line names is missing (hint: did you install it?)")]
    InterpreterMissing {
        /// As configured.
        program: String,
    },
    /// The working directory cannot be entered.
    #[error(
        "cannot enter the working directory `{directory}` to run `{program}`: {source} (hint: create it or correct `working_directory`)"
    )]
    WorkingDirectory {
        /// As configured.
        program: String,
        /// As configured.
        directory: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The operating system refused to run the program.
    #[error("cannot run `{program}`: {source} (hint: is it a program, and may this user run it?)")]
    NotRun {
        /// As configured.
        program: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The launcher did not do its part.
    #[error("the launcher for `{program}` failed: {source} (hint: is the system out of processes, files or memory?)")]
    Launcher {
        /// As configured.
        program: String,
        /// What happened.
        source: io::Error,
    },
    /// The command was told to stop, killed and still not gone: it hangs in the kernel or belongs to another user.
    #[error("process {process_id} does not end, even killed (hint: it may wait for a dead network disk)")]
    StillRunning {
        /// The command's process.
        process_id: u32,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody knows: its launcher was killed, so the kernel killed the command.
    LauncherLost,
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exited with status {code}"),
            Self::Signal(signal) => write!(formatter, "was killed by signal {signal}"),
            Self::LauncherLost => formatter.write_str("was killed together with its launcher"),
        }
    }
}

/// A command that runs. Dropping it, or its `control`, ends the command and all that it started, without blocking.
#[derive(Debug)]
pub struct Child {
    /// One message per line to the command. Dropping it closes the command's stdin.
    pub stdin: LineWriter<pipe::Sender>,
    /// One message per line from the command. Not reading holds the command back.
    pub stdout: LineReader<pipe::Receiver>,
    /// The rest, for whoever does not read or write.
    pub control: ChildControl,
}

/// The hand on a running command.
#[derive(Debug)]
pub struct ChildControl {
    /// The launcher sees this half close and ends everybody. Never written to.
    lifeline: OwnedWriteHalf,
    exit: watch::Receiver<Option<Exit>>,
    stderr: StderrTail,
    process_id: u32,
    grace: Duration,
}

impl Child {
    /// Starts a command; returns when it runs or cannot.
    ///
    /// To be called within a tokio runtime that has I/O, time and process drivers; the two small tasks that follow stderr
    /// and the end belong to that runtime.
    ///
    /// # Errors
    /// See [`ChildError`]. Nothing stays running then, nor if the call is dropped before it returns.
    pub async fn spawn(spec: &CommandSpec) -> Result<Self, ChildError> {
        let environment = check(spec)?;
        let failed = |source| ChildError::Launcher {
            program: spec.program.clone(),
            source,
        };
        let started = Started::new(spec, &environment).map_err(failed)?;
        let tail = StderrTail::default();
        tokio::spawn(stderr::follow(started.stderr, spec.name.clone(), tail.clone()));

        let (first_sender, first) = oneshot::channel();
        let (exit_sender, exit) = watch::channel(None);
        // Followed from here on, so that the launcher is reaped even if this call is dropped.
        tokio::spawn(follow_end(
            started.reports,
            started.launcher,
            started.noted,
            first_sender,
            exit_sender,
        ));
        let process_id = match timeout(START_MAX, first).await {
            Ok(Ok(Report::Started { process_id })) => u32::try_from(process_id).unwrap_or_default(),
            Ok(Ok(Report::Refused { step, error_number })) => {
                return Err(refused(spec, step, io::Error::from_raw_os_error(error_number)));
            }
            Ok(_) => {
                let said = tail
                    .last_lines(1)
                    .pop()
                    .unwrap_or_else(|| "it ended before the command ran".to_owned());
                return Err(failed(io::Error::other(said)));
            }
            Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
        };
        Ok(Self {
            stdin: LineWriter::new(started.stdin),
            stdout: LineReader::new(started.stdout, spec.line_bytes_max),
            control: ChildControl {
                lifeline: started.lifeline,
                exit,
                stderr: tail,
                process_id,
                grace: Duration::from_millis(spec.grace_ms),
            },
        })
    }

    /// Ends the command in the order that MCP asks for: its stdin is closed, it has `patience` to end by itself, then
    /// everybody gets SIGTERM, the grace period, and SIGKILL. What it still writes is read and dropped meanwhile, so
    /// that it does not hang on a full pipe.
    ///
    /// # Errors
    /// [`ChildError::StillRunning`].
    pub async fn stop(self, patience: Duration) -> Result<Exit, ChildError> {
        let Self {
            stdin,
            mut stdout,
            control,
        } = self;
        drop(stdin);
        let drain = async {
            while let Ok(Some(_)) = stdout.next().await {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            exit = control.stop(patience) => exit,
            // Never ends.
            () = drain => Ok(Exit::LauncherLost),
        }
    }
}

impl ChildControl {
    /// The command's process id.
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// How the command ended, as soon as it *and all that it started* are gone. (Its stdout may end earlier.)
    ///
    /// The future stands alone: it may be kept after `self` is gone.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static + use<> {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(exit) => exit.unwrap_or(Exit::LauncherLost),
                // The runtime that watched it is gone.
                Err(_) => Exit::LauncherLost,
            }
        }
    }

    /// What it said last on stderr, to be quoted in an error.
    pub fn stderr_tail(&self) -> &StderrTail {
        &self.stderr
    }

    /// As [`Child::stop`], for a caller that has taken the child apart and dropped its stdin.
    ///
    /// # Errors
    /// [`ChildError::StillRunning`].
    pub async fn stop(self, patience: Duration) -> Result<Exit, ChildError> {
        let exited = self.exited();
        tokio::pin!(exited);
        if let Ok(exit) = timeout(patience, &mut exited).await {
            return Ok(exit);
        }
        let Self {
            lifeline,
            process_id,
            grace,
            ..
        } = self;
        drop(lifeline);
        timeout(grace.saturating_add(END_SLACK), exited)
            .await
            .map_err(|_| ChildError::StillRunning { process_id })
    }
}

/// A launcher that was started and has not reported yet.
struct Started {
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
    reports: OwnedReadHalf,
    lifeline: OwnedWriteHalf,
    launcher: tokio::process::Child,
    noted: orphans::Noted,
}

impl Started {
    fn new(spec: &CommandSpec, environment: &[u8]) -> io::Result<Self> {
        let (child_stdin, stdin) = io::pipe()?;
        let (stdout, child_stdout) = io::pipe()?;
        let (stderr, child_stderr) = io::pipe()?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let mut file = File::from(rustix::fs::memfd_create("environment", MemfdFlags::CLOEXEC)?);
        file.write_all(environment)?;

        let mut command = tokio::process::Command::new(&spec.launcher);
        command
            .arg0("portcullis")
            .args([LAUNCH, &std::process::id().to_string(), &spec.grace_ms.to_string()])
            .arg(spec.working_directory.as_deref().unwrap_or(Path::new("")))
            .arg(&spec.program)
            .args(&spec.arguments)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(child_stderr.try_clone()?);
        let launcher = command.spawn()?;
        // Before the files are sent: see `supervise`.
        let noted = orphans::Noted::new(launcher.id().unwrap_or_default());
        let files = Files {
            stdin: child_stdin.into(),
            stdout: child_stdout.into(),
            stderr: child_stderr.into(),
            environment: file.into(),
        };
        files.send(&ours)?;
        ours.set_nonblocking(true)?;
        let (reports, lifeline) = UnixStream::from_std(ours)?.into_split();
        Ok(Self {
            stdin: pipe::Sender::from_owned_fd(stdin.into())?,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
            reports,
            lifeline,
            launcher,
            noted,
        })
    }
}

/// Reads what the launcher reports until it is gone, reaps it, and tells how the command began and ended.
async fn follow_end(
    mut reports: OwnedReadHalf,
    mut launcher: tokio::process::Child,
    noted: orphans::Noted,
    tell_first: oneshot::Sender<Report>,
    tell_exit: watch::Sender<Option<Exit>>,
) {
    let (mut exit, mut all_gone) = (Exit::LauncherLost, false);
    let mut tell_first = Some(tell_first);
    while let Ok(Some(report)) = read_report(&mut reports).await {
        if let Some(tell) = tell_first.take() {
            let _ = tell.send(report);
        }
        match report {
            Report::Exited { code } => exit = Exit::Code(code),
            Report::Killed { signal } => exit = Exit::Signal(signal),
            Report::AllGone => all_gone = true,
            Report::Started { .. } | Report::Refused { .. } => {}
        }
    }
    let _ = launcher.wait().await;
    if !all_gone {
        noted.lost();
        // The command may have run, and started others, before its launcher could say so. One that cannot be killed is
        // left to the reaper.
        let _ = timeout(END_SLACK, orphans::end_strays()).await;
    }
    drop(tell_first);
    let _ = tell_exit.send(Some(exit));
}

/// The next report; `None` when the launcher is gone.
async fn read_report(reports: &mut OwnedReadHalf) -> io::Result<Option<Report>> {
    let mut bytes = [0; REPORT_BYTES];
    match reports.read_exact(&mut bytes).await {
        Ok(_) => match Report::from_bytes(bytes) {
            Some(report) => Ok(Some(report)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "an unknown report")),
        },
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Refuses what no program can be given, and puts the environment into the form of [`Files::environment`].
fn check(spec: &CommandSpec) -> Result<Vec<u8>, ChildError> {
    let unusable = |problem| {
        Err(ChildError::Unusable {
            name: spec.name.clone(),
            problem,
        })
    };
    let mut environment = Vec::new();
    for (name, value) in &spec.environment {
        if name.is_empty() || name.contains(['=', '\0']) {
            return unusable(
                "a name in `environment` is empty or has `=` or a zero byte in it (hint: correct the name)",
            );
        }
        if value.contains('\0') {
            return unusable("a value in `environment` has a zero byte in it (hint: is the secret file binary?)");
        }
        for part in [name, "=", value, "\0"] {
            environment.extend_from_slice(part.as_bytes());
        }
    }
    if environment.len() > ENVIRONMENT_BYTES_MAX {
        return unusable("its `environment` is longer than 1 MiB (hint: pass the name of a file instead)");
    }
    if spec.program.is_empty() {
        return unusable("the program's name is empty (hint: set `command`)");
    }
    let words = spec.arguments.iter().chain([&spec.program]);
    if words.into_iter().any(|word| word.contains('\0')) {
        return unusable("the program or an argument has a zero byte in it (hint: remove it)");
    }
    Ok(environment)
}

/// Names what the second stage met.
fn refused(spec: &CommandSpec, step: Step, source: io::Error) -> ChildError {
    let program = spec.program.clone();
    let missing = source.raw_os_error() == Some(Errno::NOENT.raw_os_error());
    match step {
        Step::Prepare => ChildError::Launcher { program, source },
        Step::Directory => {
            let directory = spec
                .working_directory
                .as_deref()
                .unwrap_or(Path::new(""))
                .display()
                .to_string();
            ChildError::WorkingDirectory {
                program,
                directory,
                source,
            }
        }
        // "No such file" is said of a script's interpreter too.
        Step::Program if missing && program_exists(spec) => ChildError::InterpreterMissing { program },
        Step::Program if missing => ChildError::ProgramMissing { program },
        Step::Program => ChildError::NotRun { program, source },
    }
}

fn program_exists(spec: &CommandSpec) -> bool {
    let base = spec.working_directory.clone().unwrap_or_default();
    if spec.program.contains('/') {
        return base.join(&spec.program).exists();
    }
    let path = spec
        .environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.as_str());
    std::env::split_paths(path.unwrap_or_default()).any(|folder| base.join(folder).join(&spec.program).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_child_gets_the_allow_list_and_what_is_configured() {
        let own = [
            ("PATH", "/bin"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("HOME", "/root"),
            ("LD_PRELOAD", "x.so"),
        ];
        let own = own.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let found = environment(own, &pairs(&[("TOKEN", "t"), ("HOME", "/srv")]));
        assert_eq!(found, pairs(&[("HOME", "/srv"), ("PATH", "/bin"), ("TOKEN", "t")]));
    }

    #[test]
    fn what_no_program_can_be_given_is_refused_without_showing_values() {
        let good = CommandSpec {
            name: "files".into(),
            program: "cat".into(),
            arguments: vec!["-".into()],
            environment: pairs(&[("A", "1"), ("B", "")]),
            working_directory: None,
            line_bytes_max: 1024,
            grace_ms: 2000,
            launcher: "/proc/self/exe".into(),
        };
        assert_eq!(check(&good).unwrap(), b"A=1\0B=\0");
        let bad = [
            CommandSpec {
                environment: pairs(&[("", "hunter2")]),
                ..good.clone()
            },
            CommandSpec {
                environment: pairs(&[("A=B", "hunter2")]),
                ..good.clone()
            },
            CommandSpec {
                environment: pairs(&[("A", "hunter2\0")]),
                ..good.clone()
            },
            CommandSpec {
                environment: pairs(&[("A", &"hunter2".repeat(200_000))]),
                ..good.clone()
            },
            CommandSpec {
                program: String::new(),
                ..good.clone()
            },
            CommandSpec {
                arguments: vec!["a\0b".into()],
                ..good.clone()
            },
        ];
        for spec in bad {
            let error = check(&spec).unwrap_err().to_string();
            assert!(error.contains("hint:") && !error.contains("hunter2"), "{error}");
        }
    }
}
