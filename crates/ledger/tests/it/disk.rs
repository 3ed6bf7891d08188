//! A disk that is full: calls are refused at once, nothing acknowledged is lost, and when there is room again it goes on.
//!
//! Twice: on a small file system of its own (where the test may mount one), and in a child process that may not make
//! files longer than so much (everywhere).

use crate::support::{block_on, decision, eventually, options, outcome, read_call};
use portcullis_ledger::{Durability, Ledger, LedgerError, Options, Tail, verify};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Calls until the ledger refuses; the sequences of what it acknowledged.
async fn fill(ledger: &Ledger) -> (HashSet<u64>, LedgerError) {
    let mut acknowledged = HashSet::new();
    for at in 0..1_000_000u64 {
        let durability = if at % 50 == 0 {
            Durability::Durable
        } else {
            Durability::Written
        };
        // Calls at the same time share a write: some of them, or all, meet the end of the disk together.
        let call = || read_call(ledger, durability);
        let (a, b, c, d) = tokio::join!(call(), call(), call(), call());
        let mut refused = None;
        for call in [a, b, c, d] {
            match call {
                Ok(sealed) => acknowledged.extend(sealed.sequence()),
                Err(error) => refused = Some(error),
            }
        }
        if let Some(error) = refused {
            return (acknowledged, error);
        }
    }
    panic!("never full");
}

/// After the failure: refused, not written. After `make_room`: written again, and all that was promised is there.
async fn refuses_then_goes_on(directory: &Path, options: Options, make_room: impl FnOnce()) {
    let ledger = Ledger::open(options).unwrap();
    let left_open = ledger.call_id();
    let _ = ledger
        .intend(&decision(left_open), Durability::Durable, ())
        .await
        .unwrap();
    let (acknowledged, error) = fill(&ledger).await;
    assert!(
        matches!(error, LedgerError::Unwritable { .. }) && error.to_string().contains("hint:"),
        "{error}"
    );
    assert!(!ledger.is_writable());
    for _ in 0..100 {
        assert!(read_call(&ledger, Durability::Written).await.is_err());
    }
    // The upstream has answered meanwhile: the answer may not leave, and the call will be closed as unknown.
    assert!(ledger.seal(&outcome(left_open), Durability::Durable, ()).await.is_err());
    make_room();
    eventually("it goes on", || ledger.is_writable());
    for _ in 0..100 {
        let _ = read_call(&ledger, Durability::Durable).await.unwrap();
    }
    assert_eq!(ledger.progress().open_calls, 0);
    ledger.close().await.unwrap();
    let report = verify(directory, None).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(report.decisions, report.outcomes);
    let mut tail = Tail::new(directory, 0);
    let (mut outcomes, mut recoveries, mut unknown) = (HashSet::new(), 0, 0);
    while let Some(record) = tail.next_record().unwrap() {
        if record.json.contains("\"status\":\"executed\"") {
            outcomes.insert(record.index);
        }
        recoveries += u32::from(record.json.contains("\"action\":\"write_failure\""));
        unknown += u32::from(
            record.json.contains(&format!("\"pair\":\"{left_open}\""))
                && record.json.contains("\"status\":\"unknown\""),
        );
    }
    assert_eq!(acknowledged.difference(&outcomes).count(), 0);
    assert!(
        recoveries >= 1 && unknown == 1,
        "{recoveries} recoveries, {unknown} unknown"
    );
}

struct Mounted(PathBuf);

impl Mounted {
    fn small(path: &Path) -> Option<Self> {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "none"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        status
            .is_ok_and(|status| status.success())
            .then(|| Self(path.to_path_buf()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::small(directory.path()) else {
        // The other test of this file covers the same ground without the right to mount.
        return;
    };
    let ballast = directory.path().join("ballast");
    fs::write(&ballast, vec![0; 2 * 1024 * 1024]).unwrap();
    let options = Options {
        segment_bytes: 256 * 1024,
        ..options(&directory.path().join("ledger"))
    };
    block_on(refuses_then_goes_on(&directory.path().join("ledger"), options, || {
        fs::remove_file(&ballast).unwrap()
    }));
}

const LIMITED: &str = "LEDGER_LIMITED";
const FILE_BYTES_MAX: u64 = 200_000;

#[test]
fn limited() {
    let Some(directory) = std::env::var_os(LIMITED) else {
        return;
    };
    let directory = Path::new(&directory);
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(FILE_BYTES_MAX),
            maximum: None,
        },
    )
    .unwrap();
    // One segment only, so that its length is what the limit meets.
    let options = Options {
        segment_bytes: u64::MAX,
        ..options(directory)
    };
    block_on(refuses_then_goes_on(directory, options, || {
        setrlimit(
            Resource::Fsize,
            Rlimit {
                current: None,
                maximum: None,
            },
        )
        .unwrap()
    }));
}

#[test]
fn a_write_that_is_cut_short_is_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    // The shell lets the signal be ignored, so that the limit is an error and not a death.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact disk::limited --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(LIMITED, directory.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(verify(directory.path(), None).unwrap().size > 200);
}
