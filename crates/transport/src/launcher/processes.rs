//! The process table: who descends from whom, and how to signal a process without hitting another that took its number.
//!
//! Read from `/proc`, because no other interface names grandchildren. It must not decide who is to be signalled.

use std::collections::{HashMap, HashSet};
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

/// How often a family is looked at again to stop those that were born meanwhile, before it is killed all the same.
const STOP_ROUNDS_MAX: usize = 16;

/// One process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: Pid,
    /// 0 for a process without a parent in this namespace.
    pub(crate) parent: i32,
    /// 0, as for `session`, if its leader is outside this namespace.
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// One letter: `R` runs, `S` sleeps, `T` is stopped, `Z` is dead and not yet reaped, ...
    pub(crate) state: u8,
    /// Clock ticks since boot. With `id` it names a process for good: numbers are used again, this pair is not.
    pub(crate) started: u64,
}

impl Process {
    /// The process with this number, if there is one.
    pub(crate) fn read(id: Pid) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{}/stat", id.as_raw_nonzero())).ok()?;
        parse_stat(&stat)
    }

    /// This process. Read like any other, since `getsid(2)` has no answer in a namespace that the leader is outside of.
    pub(crate) fn own() -> Option<Self> {
        Self::read(rustix::process::getpid())
    }

    /// Whether it has ended and only waits to be reaped.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Whether it cannot fork: dead, or stopped by a signal.
    pub(crate) fn is_still(&self) -> bool {
        self.is_dead() || self.state == b'T'
    }

    /// Sends a signal to this very process: never to another one that has taken its number meanwhile.
    ///
    /// `Ok(false)` when it is gone already.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        let handle = match rustix::process::pidfd_open(self.id, PidfdFlags::empty()) {
            Ok(handle) => Some(handle),
            Err(Errno::SRCH) => return Ok(false),
            // Kernels and sandboxes without handles on processes: the number has to do.
            Err(_) => None,
        };
        // The handle was opened between two looks at the same process, so it is that process's.
        if Self::read(self.id).is_none_or(|now| now.started != self.started) {
            return Ok(false);
        }
        let sent = match handle {
            Some(handle) => rustix::process::pidfd_send_signal(handle, signal),
            None => rustix::process::kill_process(self.id, signal),
        };
        match sent {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// All processes that are visible. Not one instant's picture: the table changes while it is read, so whoever must
/// miss nobody has to look again until nothing changes.
pub(crate) fn all() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw);
        // A process that ends between the listing and the reading is no error.
        processes.extend(id.and_then(Process::read));
    }
    Ok(processes)
}

/// Those that descend from `ancestor`, nearest first, without itself.
pub(crate) fn descendants(processes: &[Process], ancestor: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(*process);
    }
    let mut found = children.remove(&ancestor).unwrap_or_default();
    let mut next = 0;
    // Taking each family out of the map ends the walk even if a table read while it changed shows a circle.
    while let Some(process) = found.get(next) {
        let family = children.remove(&process.id.as_raw_nonzero().get()).unwrap_or_default();
        found.extend(family);
        next += 1;
    }
    found
}

/// SIGKILL to all that `family` finds and to their process groups, after stopping them, so that none forks while the
/// others are killed: a family that forks faster than it is killed would live on. The newborn of the last moment are left
/// to the next call; whoever must miss nobody calls until nobody is found.
///
/// The groups are what catches those that start a successor and end at once: the kernel signals a whole group in one
/// step, and a fork that is under way then starts again after the signal. A group of the caller's session is left alone.
///
/// # Errors
/// The first refusal to signal one of them; the others are signalled all the same.
pub(crate) fn kill_all(family: impl Fn() -> Vec<Process>) -> io::Result<()> {
    for _ in 0..STOP_ROUNDS_MAX {
        let found = family();
        let moving: Vec<_> = found.iter().filter(|process| !process.is_still()).collect();
        if moving.is_empty() {
            break;
        }
        signal_groups(&found, Signal::STOP);
        for process in moving {
            // If it is refused, SIGKILL is too.
            let _ = process.signal(Signal::STOP);
        }
    }
    let mut outcome = Ok(());
    let found = family();
    signal_groups(&found, Signal::KILL);
    for process in found.iter().filter(|process| !process.is_dead()) {
        if let Err(error) = process.signal(Signal::KILL) {
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}

/// Signals every process group of `family`, the dead included: one that waits to be reaped keeps the group's number from
/// being used again, and its successors are in it.
fn signal_groups(family: &[Process], signal: Signal) {
    let Some(own) = Process::own() else { return };
    let mut signalled = HashSet::new();
    for process in family {
        let Some(group) = Pid::from_raw(process.group) else {
            continue;
        };
        if process.session == own.session || !signalled.insert(group) {
            continue;
        }
        let is_current =
            Process::read(process.id).is_some_and(|now| now.started == process.started && now.group == process.group);
        if is_current {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

/// Parses `/proc/PID/stat` (proc_pid_stat(5)): number, name in brackets, state, parent, group, session, ...
fn parse_stat(stat: &[u8]) -> Option<Process> {
    // The name may hold spaces and brackets; the fields begin after the last closing one.
    let name_start = stat.iter().position(|&byte| byte == b'(')?;
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let id = std::str::from_utf8(stat.get(..name_start)?)
        .ok()?
        .trim()
        .parse()
        .ok()
        .and_then(Pid::from_raw)?;
    let mut fields = std::str::from_utf8(stat.get(name_end + 1..)?)
        .ok()?
        .split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Session is field 6 and the start time field 22.
    let started = fields.nth(15)?.parse().ok()?;
    Some(Process {
        id,
        parent,
        group,
        session,
        state,
        started,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let stat = b"4242 (evil) S 1 (x) R 17 4242 4000 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n";
        let process = parse_stat(stat).unwrap();
        assert_eq!(
            (process.id.as_raw_nonzero().get(), process.parent, process.session),
            (4242, 17, 4000)
        );
        assert_eq!((process.state, process.started), (b'R', 987_654));
        for broken in [
            &b""[..],
            b"12",
            b"12 (",
            b"12 (a",
            b"12 (a)",
            b"12 (a) R 1 1",
            b")12(",
            b"0 (a) R 1 1 1",
        ] {
            assert_eq!(parse_stat(broken), None);
        }
    }

    #[test]
    fn this_process_descends_from_its_parent_and_all_from_the_first() {
        let own = i32::try_from(std::process::id()).unwrap();
        let processes = all().unwrap();
        let me = processes
            .iter()
            .find(|process| process.id.as_raw_nonzero().get() == own)
            .unwrap();
        assert!(
            descendants(&processes, me.parent)
                .iter()
                .any(|process| process.id == me.id)
        );
        assert!(!descendants(&processes, own).iter().any(|process| process.id == me.id));
    }

    #[test]
    fn a_circle_ends() {
        let process = |id, parent| Process {
            id: Pid::from_raw(id).unwrap(),
            parent,
            group: 1,
            session: 1,
            state: b'S',
            started: 0,
        };
        let table = [process(2, 3), process(3, 2), process(4, 3)];
        assert_eq!(descendants(&table, 2).len(), 3);
    }

    #[test]
    fn a_number_taken_by_another_process_is_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = Pid::from_child(&child);
        let other = Process {
            started: 1,
            ..Process::read(id).unwrap()
        };
        assert!(!other.signal(Signal::KILL).unwrap());
        assert!(Process::read(id).unwrap().signal(Signal::KILL).unwrap());
        child.wait().unwrap();
        assert!(!other.signal(Signal::KILL).unwrap());
    }
}
