//! The launcher: a small process that stands between the gateway and one upstream command, so that nothing the command
//! started outlives it or the gateway, whoever is killed and how.
//!
//! The gateway runs its own program again with a hidden first argument; `main` of the program hands its arguments to
//! [`main`] before it does anything else. There are two stages:
//!
//! - `__launch` stays. It is a *child subreaper*: whatever its descendants leave behind (double forks, `setsid`, `npx`)
//!   becomes its child, so `wait` tells when truly nobody is left. It holds one end of a socket, the *lifeline*; when
//!   the gateway ends, even by `kill -9`, the kernel closes the other end.
//! - `__exec` asks the kernel to be killed when the launcher dies, opens a session of its own and becomes the command.
//!   It exists because such requests must be made by the process itself, between fork and exec, where safe Rust has
//!   no place to stand.
//!
//! Who dies, and what then ends the rest:
//!
//! | Dies | Ends the rest |
//! |---|---|
//! | the command | the launcher: SIGTERM to what is left, the grace period, SIGKILL |
//! | the gateway, or it drops the child | the launcher, in the same way, told by the lifeline |
//! | the launcher, by `kill -9` | the kernel kills the command; what hung below it becomes the gateway's child, which kills it ([`crate::child::reap_orphans`]) |
//! | gateway and launcher both by `kill -9`, at the same instant | the kernel kills the command; deeper descendants see their input end and nothing more |
//!
//! This file must not know about messages, servers or tokio, and it reads no environment: it is plain blocking code on
//! one thread (the parent-death signal of a child is tied to the *thread* that started it).

pub(crate) mod channel;
pub(crate) mod processes;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use channel::{ENVIRONMENT_BYTES_MAX, Files, REPORT_BYTES, Report, Step};

/// The hidden first argument of the stage that stays.
pub(crate) const LAUNCH: &str = "__launch";
/// The hidden first argument of the stage that becomes the command.
const EXECUTE: &str = "__exec";

/// The program itself, even if its file was replaced by a newer one meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The exit status of a launcher that could not do its work.
const STATUS_FAILED: u8 = 125;
/// The exit status for a command that could not be run, as shells use it.
const STATUS_NOT_RUN: u8 = 127;

/// The pauses between rounds of killing: short at first, longer if a process hangs in the kernel.
const KILL_PAUSE_MIN: Duration = Duration::from_millis(1);
const KILL_PAUSE_MAX: Duration = Duration::from_millis(100);

/// Runs this process as a launcher if its arguments (program name included) ask for it; the answer is the exit code.
///
/// `None` means that this is an ordinary start. To be called first thing in the program's `main`, before threads or
/// an async runtime exist.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    let stage = arguments.next()?;
    let stage: fn(Start) -> io::Result<u8> = match stage.to_str()? {
        LAUNCH => supervise,
        EXECUTE => execute,
        _ => return None,
    };
    let status = match Start::parse(arguments).map(stage) {
        Some(Ok(status)) => status,
        Some(Err(error)) => complain(&error),
        None => complain(&"these arguments are for the gateway's own use"),
    };
    Some(ExitCode::from(status))
}

/// What either stage is told on its command line. Nothing secret: anybody on the machine can read it.
struct Start {
    /// Who started this process. If its parent is another, that one died before anything could be arranged.
    parent: i32,
    grace: Duration,
    /// Empty for the directory that the gateway runs in.
    directory: OsString,
    program: OsString,
    arguments: Vec<OsString>,
}

impl Start {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        Some(Self {
            parent: arguments.next()?.to_str()?.parse().ok()?,
            grace: Duration::from_millis(arguments.next()?.to_str()?.parse().ok()?),
            directory: arguments.next()?,
            program: arguments.next()?,
            arguments: arguments.collect(),
        })
    }

    fn parent_lives(&self) -> bool {
        Pid::as_raw(rustix::process::getppid()) == self.parent
    }
}

// ---- first stage: stays ----

/// Starts the command and stays until nobody is left. The status is the command's own, as a shell would give it.
fn supervise(start: Start) -> io::Result<u8> {
    let signals = Signals::listen()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // The lifeline tells of the gateway's death too. This is the second string to the bow, in case a stranger holds a copy
    // of the other end. It also comes when only the *thread* that started us ends, hence the look at the parent.
    rustix::process::set_parent_process_death_signal(Some(Signal::USR1))?;
    let lifeline = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(files) = Files::receive(&lifeline)? else {
        return Ok(STATUS_FAILED);
    };
    if !start.parent_lives() {
        return Ok(STATUS_FAILED);
    }
    // Out of the terminal's reach: Ctrl-C is for the gateway, which then ends us in order. Not before the files have
    // come, since by then the gateway has noted our number and does not take us for a stray of another session.
    rustix::process::setsid()?;
    let _ = rustix::thread::set_name(c"portcullis-kid");

    let (started, theirs) = UnixStream::pair()?;
    let mut command = Command::new(OWN_PROGRAM);
    command
        .arg0("portcullis")
        .args([EXECUTE, &std::process::id().to_string(), "0"])
        .args([&start.directory, &start.program])
        .args(&start.arguments)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null());
    let child = Pid::from_child(&command.spawn()?);
    // The command holds copies of the socket's far end and of the files; kept here they would hide that the command closed them.
    drop(command);
    let handed_over = files.send(&started);
    drop(files);
    let mut supervisor = Supervisor {
        lifeline,
        started: Some(started),
        signals,
        child,
        child_status: None,
        grace: start.grace,
        parent: start.parent,
        phase: Phase::Running,
    };
    if handed_over.is_err() {
        supervisor.phase = Phase::Killing { pause: KILL_PAUSE_MIN };
    }
    supervisor.run()?;
    Ok(match supervisor.child_status {
        Some(status) => shell_status(status),
        None => STATUS_FAILED,
    })
}

struct Supervisor {
    lifeline: UnixStream,
    /// The socket to the second stage; the kernel closes it when the second stage becomes the command.
    started: Option<UnixStream>,
    signals: Signals,
    child: Pid,
    child_status: Option<WaitStatus>,
    grace: Duration,
    parent: i32,
    phase: Phase,
}

enum Phase {
    Running,
    /// Everybody was asked to end and may take until `deadline`. `asked` are those who were (number and start time).
    Ending {
        deadline: Instant,
        asked: HashSet<(Pid, u64)>,
    },
    Killing {
        pause: Duration,
    },
}

impl Supervisor {
    /// Returns when no descendant is left.
    fn run(&mut self) -> io::Result<()> {
        while self.reap()? {
            let timeout = self.act();
            self.wait(timeout)?;
        }
        self.report(Report::AllGone);
        Ok(())
    }

    /// Collects all who have ended. `false` when there is nobody left to wait for: since what descendants leave behind
    /// becomes our child, that means that there is no descendant.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((id, status))) if id == self.child => {
                    self.child_status = Some(status);
                    self.hear_second_stage();
                    let report = match status.terminating_signal() {
                        Some(signal) => Report::Killed { signal },
                        None => Report::Exited {
                            code: status.exit_status().unwrap_or_default(),
                        },
                    };
                    self.report(report);
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Ok(true),
                Err(Errno::CHILD) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Does what the phase asks for; the answer is how long there is nothing to do.
    fn act(&mut self) -> Option<Duration> {
        if matches!(self.phase, Phase::Running) && self.must_end() {
            self.phase = Phase::Ending {
                deadline: Instant::now() + self.grace,
                asked: HashSet::new(),
            };
        }
        if let Phase::Ending { deadline, asked } = &mut self.phase {
            let left = deadline.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                ask_to_end(asked);
                return Some(left);
            }
            self.phase = Phase::Killing { pause: KILL_PAUSE_MIN };
        }
        if let Phase::Killing { pause } = &mut self.phase {
            // Refused only for a process of another user (a set-user-id program). It is waited for all the same.
            let _ = processes::kill_all(own_descendants);
            let now = *pause;
            *pause = (now * 2).min(KILL_PAUSE_MAX);
            return Some(now);
        }
        None
    }

    fn must_end(&self) -> bool {
        self.child_status.is_some()
            || self.signals.asked_to_end.load(Ordering::SeqCst)
            || Pid::as_raw(rustix::process::getppid()) != self.parent
    }

    /// Sleeps until something happens: a signal, news on a socket, or the time is up.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // Once all are to end, the lifeline has nothing more to tell (and would be readable for ever).
        let lifeline_interest = if matches!(self.phase, Phase::Running) {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        let mut watched = vec![PollFd::new(&self.signals.wake, PollFlags::IN)];
        if !lifeline_interest.is_empty() {
            watched.push(PollFd::new(&self.lifeline, lifeline_interest));
        }
        if let Some(started) = &self.started {
            watched.push(PollFd::new(started, PollFlags::IN));
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match rustix::event::poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = watched.iter().map(|watched| !watched.revents().is_empty());
        let signalled = ready.next().unwrap_or_default();
        let lifeline_ready = !lifeline_interest.is_empty() && ready.next().unwrap_or_default();
        let started_ready = self.started.is_some() && ready.next().unwrap_or_default();
        if signalled {
            self.signals.drain();
        }
        if started_ready {
            self.hear_second_stage();
        }
        // The gateway sends nothing after the files: what can be read is the end.
        if lifeline_ready && !matches!(self.lifeline.read(&mut [0; 16]), Ok(1..)) {
            self.phase = Phase::Ending {
                deadline: Instant::now() + self.grace,
                asked: HashSet::new(),
            };
        }
        Ok(())
    }

    /// The second stage says why it failed, or its end of the socket closes because it has become the command.
    fn hear_second_stage(&mut self) {
        let Some(mut started) = self.started.take() else { return };
        let mut bytes = [0; REPORT_BYTES];
        let report = match started.read_exact(&mut bytes) {
            Ok(()) => Report::from_bytes(bytes),
            // Killed before it was the command looks the same; then its end is reported next.
            Err(_) => Some(Report::Started {
                process_id: self.child.as_raw_nonzero().get(),
            }),
        };
        if let Some(report) = report {
            self.report(report);
        }
    }

    /// Tells the gateway. If it is gone there is nobody to tell, so an error says nothing new.
    fn report(&self, report: Report) {
        let _ = (&self.lifeline).write_all(&report.to_bytes());
    }
}

/// SIGTERM to every descendant that was not asked yet. Called again whenever somebody ends, since a walk through a
/// changing process table may miss those that changed their parent in between.
fn ask_to_end(asked: &mut HashSet<(Pid, u64)>) {
    for process in own_descendants() {
        if !process.is_dead() && asked.insert((process.id, process.started)) {
            let _ = process.signal(Signal::TERM);
            // A stopped process does not see SIGTERM until it continues.
            let _ = process.signal(Signal::CONT);
        }
    }
}

fn own_descendants() -> Vec<processes::Process> {
    processes::descendants(
        &processes::all().unwrap_or_default(),
        Pid::as_raw(Some(rustix::process::getpid())),
    )
}

/// Wakes the launcher on the signals that concern it.
struct Signals {
    wake: UnixStream,
    asked_to_end: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let (wake, write) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let asked_to_end = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            // Before the waking, so that the flag is up when the launcher looks.
            signal_hook::flag::register(signal, Arc::clone(&asked_to_end))?;
        }
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD] {
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        Ok(Self { wake, asked_to_end })
    }

    fn drain(&self) {
        while matches!((&self.wake).read(&mut [0; 64]), Ok(1..)) {}
    }
}

// ---- second stage: becomes the command ----

/// Becomes the command. Returns only if that failed, after telling the launcher why.
fn execute(start: Start) -> io::Result<u8> {
    let launcher = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (step, error) = become_command(&start, &launcher);
    let report = Report::Refused {
        step,
        error_number: error.raw_os_error().unwrap_or_default(),
    };
    (&launcher).write_all(&report.to_bytes())?;
    Ok(STATUS_NOT_RUN)
}

fn become_command(start: &Start, launcher: &UnixStream) -> (Step, io::Error) {
    let prepared = (|| {
        rustix::process::setsid()?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The launcher may have died before the line above: then no signal will ever come.
        if !start.parent_lives() {
            return Err(io::Error::from(Errno::SRCH));
        }
        let files = Files::receive(launcher)?.ok_or(Errno::PIPE)?;
        let environment = read_environment(File::from(files.environment))?;
        Ok((files.stdin, files.stdout, files.stderr, environment))
    })();
    let (stdin, stdout, stderr, environment) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return (Step::Prepare, error),
    };
    if !start.directory.is_empty()
        && let Err(error) = std::env::set_current_dir(&start.directory)
    {
        return (Step::Directory, error);
    }
    let error = Command::new(&start.program)
        .args(&start.arguments)
        .env_clear()
        .envs(entries(&environment))
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .exec();
    (Step::Program, error)
}

fn read_environment(file: File) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > ENVIRONMENT_BYTES_MAX {
        return Err(Errno::TOOBIG.into());
    }
    let mut bytes = vec![0; length];
    // From the start, wherever another reader of the same open file has got to.
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The `NAME=VALUE` entries of an environment file.
fn entries(environment: &[u8]) -> impl Iterator<Item = (&OsStr, &OsStr)> {
    environment.split(|&byte| byte == 0).filter_map(|entry| {
        let equals = entry.iter().position(|&byte| byte == b'=')?;
        Some((
            OsStr::from_bytes(entry.get(..equals)?),
            OsStr::from_bytes(entry.get(equals + 1..)?),
        ))
    })
}

// ---- both ----

/// 128 and the signal number for a command that was killed, as shells do it.
fn shell_status(status: WaitStatus) -> u8 {
    let code = match status.terminating_signal() {
        Some(signal) => 128 + signal,
        None => status.exit_status().unwrap_or_default(),
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The launcher's stderr is the command's: what is said there reaches the gateway's log.
fn complain(problem: &dyn std::fmt::Display) -> u8 {
    let _ = writeln!(io::stderr(), "portcullis launcher: {problem}");
    STATUS_FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_start_is_none_of_its_business() {
        for arguments in [&["portcullis"][..], &["portcullis", "up"], &[]] {
            assert!(main(arguments.iter().map(OsString::from)).is_none());
        }
    }

    #[test]
    fn arguments_by_hand_are_refused() {
        for arguments in [
            &["portcullis", LAUNCH][..],
            &["portcullis", EXECUTE, "x", "0", "", "true"],
            &["p", LAUNCH, "1", "0", ""],
        ] {
            assert_eq!(
                main(arguments.iter().map(OsString::from)),
                Some(ExitCode::from(STATUS_FAILED))
            );
        }
    }

    #[test]
    fn entries_keep_later_equals_signs_and_empty_values() {
        let found: Vec<_> = entries(b"A=1\0B=\0C=x=y\0broken\0").collect();
        let expected = [("A", "1"), ("B", ""), ("C", "x=y")].map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        assert_eq!(found, expected);
    }
}
