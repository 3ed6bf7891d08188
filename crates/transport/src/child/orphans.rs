//! The last resort: what becomes of an upstream's descendants when its launcher itself is killed.
//!
//! The kernel kills the command (it asked for that), but not what hung below it. With [`become_subreaper`] those become
//! children of the gateway, and [`reap_orphans`] ends them. It tells a stray from any other child of the gateway by the
//! session: a launcher and all below it left the gateway's session before the command began, and nobody can go back.
//! The live launchers are noted here by number, so they are never taken for strays.
//!
//! The state of this file is one per process, as children and their signals are.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::WaitOptions;
use tokio::signal::unix::SignalKind;
use tokio::sync::Notify;

use crate::launcher::processes::{self, Process};

static LAUNCHERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
/// A launcher died without having ended everybody, and the search for those has not begun.
static LAUNCHER_LOST: AtomicBool = AtomicBool::new(false);
static NEWS: Notify = Notify::const_new();

/// The pauses before strays are looked for again while some are left: short at first, long if one cannot be killed.
const SEARCH_PAUSE_MIN: Duration = Duration::from_millis(5);
const SEARCH_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Makes this process the parent of whatever its descendants leave behind. To be called once, at the start.
///
/// # Errors
/// The operating system's, when it does not know the request (Linux before 3.4).
pub fn become_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Kills and reaps the descendants of launchers that were killed; runs until dropped. One such task per process, on a
/// runtime that lives as long as the process; without [`become_subreaper`] it finds nothing.
///
/// It kills only after a launcher was lost, and only in foreign sessions: children that the program started by other
/// means are left alone, also when the program is the first process of a container and inherits everybody's orphans.
///
/// # Errors
/// If the runtime has no signal driver.
pub async fn reap_orphans() -> io::Result<()> {
    let mut child_signals = tokio::signal::unix::signal(SignalKind::child())?;
    loop {
        tokio::select! {
            _ = child_signals.recv() => {}
            () = NEWS.notified() => {}
        }
        match LAUNCHER_LOST.swap(false, Ordering::SeqCst) {
            true => end_strays().await,
            false => drop(swept(false).await),
        }
    }
}

/// Kills and reaps strays until there are none. [`reap_orphans`] does so sooner or later; whoever must not go on before
/// waits for this, for a program that ends because a command did not start ends its reaper too.
pub(super) async fn end_strays() {
    let mut pause = SEARCH_PAUSE_MIN;
    loop {
        match swept(true).await {
            Swept::Nobody => return,
            Swept::Refused(error) if pause == SEARCH_PAUSE_MIN => {
                tracing::warn!("processes that an upstream left behind cannot be killed: {error}");
            }
            Swept::Some | Swept::Refused(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SEARCH_PAUSE_MAX);
    }
}

/// [`sweep`], elsewhere: reading the process table takes longer than a thread of connections may be held.
async fn swept(kill: bool) -> Swept {
    tokio::task::spawn_blocking(move || sweep(kill))
        .await
        .unwrap_or_else(|error| {
            tracing::error!("the search for processes that an upstream left behind failed: {error}");
            Swept::Nobody
        })
}

#[derive(Debug)]
enum Swept {
    Nobody,
    Some,
    Refused(io::Error),
}

/// Reaps dead strays and, if `kill`, kills the living with all below them. Tells whether any stray was there.
///
/// `Nobody` is exact although the table changes while it is read: whoever is left of a family has an ancestor or
/// predecessor that is our child, and a child, even dead, stays in the table until it is reaped right here.
fn sweep(kill: bool) -> Swept {
    let refused = if kill {
        processes::kill_all(stray_families).err()
    } else {
        None
    };
    let table = processes::all().unwrap_or_default();
    let mut swept = Swept::Nobody;
    for stray in strays(&table) {
        swept = Swept::Some;
        // Not "any child": the launchers' ends are for those who wait for them.
        let _ = rustix::process::waitpid(Some(stray.id), WaitOptions::NOHANG);
    }
    refused.map_or(swept, Swept::Refused)
}

/// Children of this process that are in a foreign session and no launchers.
fn strays(table: &[Process]) -> Vec<Process> {
    let Some(own) = Process::own() else {
        return Vec::new();
    };
    // Asked after the table was read: a launcher leaves our session only after it was noted, so one that the table
    // shows elsewhere is in here.
    let launchers = LAUNCHERS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_stray = |process: &&Process| {
        process.parent == own.id.as_raw_nonzero().get()
            && process.session != own.session
            && !launchers.contains(&process.id.as_raw_nonzero().get())
    };
    table.iter().filter(is_stray).copied().collect()
}

fn stray_families() -> Vec<Process> {
    let table = processes::all().unwrap_or_default();
    let mut families = strays(&table);
    for stray in families.clone() {
        families.extend(processes::descendants(&table, stray.id.as_raw_nonzero().get()));
    }
    families
}

/// Notes a launcher for as long as the value lives.
#[derive(Debug)]
pub(super) struct Noted {
    id: i32,
}

impl Noted {
    pub(super) fn new(launcher: u32) -> Self {
        let id = i32::try_from(launcher).unwrap_or_default();
        LAUNCHERS.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        Self { id }
    }

    /// The launcher is dead and did not say that everybody is gone.
    pub(super) fn lost(self) {
        drop(self);
        LAUNCHER_LOST.store(true, Ordering::SeqCst);
        NEWS.notify_one();
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        LAUNCHERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}
