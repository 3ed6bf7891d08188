//! Killed under load: what was acknowledged is there, what was not finished is said to be unknown, and a torn end is cut.
//!
//! The test runs itself as the victim: with `LEDGER_VICTIM` set it writes to that directory until it is killed, and
//! reports on its standard output each call whose answer left.

use crate::support::{Dice, block_on, closed_log, decision, eventually, options, outcome, read_call};
use portcullis_ledger::{Durability, Ledger, OpenError, Tail, verify};
use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

const VICTIM: &str = "LEDGER_VICTIM";

/// How often it is killed.
fn kills() -> u64 {
    match std::env::var("PORTCULLIS_FULL").is_ok_and(|value| value == "1") {
        true => 200,
        false => 20,
    }
}

#[test]
fn victim() {
    let Some(directory) = std::env::var_os(VICTIM) else {
        return;
    };
    let ledger = Ledger::open(options(Path::new(&directory))).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let ledger = ledger.clone();
            scope.spawn(move || {
                block_on(async {
                    let mut at = thread;
                    loop {
                        let call = ledger.call_id();
                        let intended = ledger.intend(&decision(call), Durability::Written, ()).await.unwrap();
                        // The upstream sees the request: `+`. The client gets the answer: `=`.
                        writeln!(std::io::stdout(), "+{call}").unwrap();
                        let durability = if at % 8 == 0 {
                            Durability::Durable
                        } else {
                            Durability::Written
                        };
                        let _ = intended;
                        let _ = ledger.seal(&outcome(call), durability, ()).await.unwrap();
                        writeln!(std::io::stdout(), "={call}").unwrap();
                        at += 1;
                    }
                });
            });
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut seen, mut answered) = (HashSet::new(), HashSet::new());
    for round in 0..kills() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--nocapture"])
            .env(VICTIM, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut calls_left = dice.roll(600);
        let mut line = String::new();
        let mut killed = false;
        // Read to the end, also what was in the pipe as it died: all of that was acknowledged.
        while {
            line.clear();
            lines.read_line(&mut line).unwrap() > 0
        } {
            let whole = line.ends_with('\n');
            if let Some(call) = line.trim_end().strip_prefix('+').filter(|_| whole) {
                seen.insert(call.to_owned());
            } else if let Some(call) = line.trim_end().strip_prefix('=').filter(|_| whole) {
                answered.insert(call.to_owned());
            }
            calls_left = calls_left.saturating_sub(1);
            if calls_left == 0 && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed, "round {round}: the victim died by itself");
        // As the crash left it, the log is sound as far as the checkpoint and the journal go.
        verify(directory.path(), None).unwrap_or_else(|findings| panic!("round {round}: {findings:#?}"));
    }
    let ledger = Ledger::open(options(directory.path())).unwrap();
    block_on(ledger.close()).unwrap();
    let report = verify(directory.path(), None).unwrap();
    assert!(report.open_calls.is_empty() && report.decisions == report.outcomes);
    let (mut decided, mut ended) = (HashSet::new(), HashSet::new());
    let mut tail = Tail::new(directory.path(), 0);
    while let Some(record) = tail.next_record().unwrap() {
        let pair = record
            .json
            .split_once("\"pair\":\"")
            .map(|(_, rest)| rest[..32].to_owned());
        if record.json.contains("\"t\":\"decision\"") {
            decided.extend(pair);
        } else if record.json.contains("\"status\":\"executed\"") {
            ended.extend(pair);
        }
    }
    assert!(!answered.is_empty());
    assert_eq!(seen.difference(&decided).count(), 0, "requests without a decision");
    assert_eq!(answered.difference(&ended).count(), 0, "answers without an outcome");
    println!(
        "figure: the ledger alone: {} kills, {} answers and {} requests on record, 0 missing",
        kills(),
        answered.len(),
        seen.len()
    );
}

/// A ledger that dies without a word, with one call open and some records that no checkpoint covers.
fn abandoned_log(directory: &Path) {
    block_on(async {
        let ledger = Ledger::open(options(directory)).unwrap();
        for _ in 0..50 {
            let _ = read_call(&ledger, Durability::Durable).await.unwrap();
        }
        let open = ledger.call_id();
        let _ = ledger.intend(&decision(open), Durability::Written, ()).await.unwrap();
    });
}

fn last_segment(directory: &Path) -> std::path::PathBuf {
    let segments = fs::read_dir(directory.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    segments
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .max()
        .unwrap()
}

fn records(directory: &Path) -> Vec<String> {
    let mut tail = Tail::new(directory, 0);
    std::iter::from_fn(|| tail.next_record().unwrap())
        .map(|record| record.json)
        .collect()
}

#[test]
fn a_torn_end_is_cut_kept_and_told() {
    let directory = tempfile::tempdir().unwrap();
    abandoned_log(directory.path());
    let segment = last_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    // Half of the last record: the decision that was only written.
    fs::write(&segment, &whole[..whole.len() - 100]).unwrap();
    let report = verify(directory.path(), None).unwrap();
    assert!(report.bytes_torn > 0);
    block_on(Ledger::open(options(directory.path())).unwrap().close()).unwrap();
    let told = records(directory.path())
        .into_iter()
        .find(|record| record.contains("\"t\":\"recovery\""))
        .unwrap();
    assert!(
        told.contains("\"unknown_outcomes\":0") && told.contains(&format!("\"bytes_cut\":{}", report.bytes_torn)),
        "{told}"
    );
    let kept = fs::read_dir(directory.path().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().unwrap() == "cut");
    assert_eq!(fs::metadata(kept.unwrap()).unwrap().len(), report.bytes_torn);
    verify(directory.path(), None).unwrap();
}

#[test]
fn an_open_call_ends_unknown() {
    let directory = tempfile::tempdir().unwrap();
    abandoned_log(directory.path());
    assert_eq!(verify(directory.path(), None).unwrap().open_calls.len(), 1);
    block_on(Ledger::open(options(directory.path())).unwrap().close()).unwrap();
    let report = verify(directory.path(), None).unwrap();
    assert_eq!((report.outcomes_unknown, report.open_calls.len()), (1, 0));
}

#[test]
fn a_damaged_place_that_was_promised_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    abandoned_log(directory.path());
    let segment = last_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&segment, &damaged).unwrap();
    let refused = Ledger::open(options(directory.path())).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Damaged { place, .. } if place.contains("at byte")),
        "{refused}"
    );
    assert_eq!(fs::read(&segment).unwrap(), damaged, "nothing is touched");
    let findings = verify(directory.path(), None).unwrap_err();
    assert!(
        findings
            .iter()
            .any(|finding| finding.file.starts_with("journal/") && finding.offset.is_some()),
        "{findings:?}"
    );
    fs::write(&segment, &whole).unwrap();
    block_on(Ledger::open(options(directory.path())).unwrap().close()).unwrap();
}

#[test]
fn a_journal_or_checkpoint_from_yesterday_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    closed_log(directory.path(), 300);
    let segment = last_segment(directory.path());
    let (old_journal, checkpoint) = (fs::read(&segment).unwrap(), directory.path().join("log/checkpoint"));
    closed_log(directory.path(), 330);
    let (new_journal, new_checkpoint) = (fs::read(&segment).unwrap(), fs::read(&checkpoint).unwrap());
    fs::write(&segment, &old_journal).unwrap();
    assert!(matches!(
        Ledger::open(options(directory.path())),
        Err(OpenError::Damaged { .. })
    ));
    fs::write(&segment, &new_journal).unwrap();
    fs::write(&checkpoint, b"x").unwrap();
    assert!(matches!(
        Ledger::open(options(directory.path())),
        Err(OpenError::Damaged { .. })
    ));
    fs::write(&checkpoint, &new_checkpoint).unwrap();
    fs::remove_file(&segment).unwrap();
    assert!(matches!(
        Ledger::open(options(directory.path())),
        Err(OpenError::Damaged { .. })
    ));
    fs::write(&segment, &new_journal).unwrap();
    block_on(Ledger::open(options(directory.path())).unwrap().close()).unwrap();
}

#[test]
fn tiles_that_the_journal_covers_are_made_again() {
    let directory = tempfile::tempdir().unwrap();
    closed_log(directory.path(), 300);
    for name in ["log/tile/entries/000", "log/tile/0/000"] {
        fs::write(directory.path().join(name), b"").unwrap();
    }
    verify(directory.path(), None).unwrap_err();
    // Only where the journal still has the records: these options keep the first segment no longer than 64 KiB.
    let first_segment_left = fs::read_dir(directory.path().join("journal"))
        .unwrap()
        .any(|entry| entry.unwrap().file_name() == "00000000000000000000.journal");
    match Ledger::open(options(directory.path())) {
        Ok(ledger) => {
            assert!(first_segment_left);
            block_on(ledger.close()).unwrap();
            verify(directory.path(), None).unwrap();
            assert!(
                records(directory.path())
                    .iter()
                    .any(|record| record.contains("\"tiles_rewritten\":2"))
            );
        }
        Err(refused) => assert!(!first_segment_left, "{refused}"),
    }
}

/// As a power cut would leave it: the journal's room for records to come is there, and nothing of it was used.
fn copy_of_a_live_log(to: &Path) {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let ledger = Ledger::open(options(directory.path())).unwrap();
        for _ in 0..40 {
            let _ = read_call(&ledger, Durability::Durable).await.unwrap();
        }
        eventually("published", || ledger.progress().published == ledger.progress().written);
        let copied = Command::new("cp")
            .arg("-r")
            .arg(directory.path().join("."))
            .arg(to)
            .status();
        assert!(copied.unwrap().success());
    });
}

#[test]
fn reserved_room_is_no_damage_and_what_comes_next_overwrites_it() {
    let directory = tempfile::tempdir().unwrap();
    copy_of_a_live_log(directory.path());
    let segment = last_segment(directory.path());
    let whole = fs::read(&segment).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    assert!(
        whole.len() >= used + 1_000,
        "room was reserved behind {used} of {} bytes",
        whole.len()
    );
    let before = records(directory.path());
    assert_eq!(verify(directory.path(), None).unwrap().bytes_torn, 0);
    block_on(async {
        let ledger = Ledger::open(options(directory.path())).unwrap();
        let _ = read_call(&ledger, Durability::Durable).await.unwrap();
        ledger.close().await.unwrap();
    });
    let after = records(directory.path());
    assert_eq!(after.get(..before.len()), Some(&*before), "nothing is lost");
    assert!(
        after
            .iter()
            .all(|record| !record.contains("\"bytes_cut\":") || record.contains("\"bytes_cut\":0"))
    );
    let report = verify(directory.path(), None).unwrap();
    assert_eq!((report.decisions, report.outcomes, report.bytes_torn), (41, 41, 0));
    assert_ne!(
        fs::read(last_segment(directory.path())).unwrap().last(),
        Some(&0),
        "given back at the end"
    );
}

#[test]
fn what_stands_in_reserved_room_and_is_no_record_is_cut_and_told() {
    let directory = tempfile::tempdir().unwrap();
    copy_of_a_live_log(directory.path());
    let segment = last_segment(directory.path());
    let mut torn = fs::read(&segment).unwrap();
    let used = torn.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    torn[used + 10..used + 30].fill(b'x');
    fs::write(&segment, &torn).unwrap();
    assert_eq!(verify(directory.path(), None).unwrap().bytes_torn, 30);
    block_on(Ledger::open(options(directory.path())).unwrap().close()).unwrap();
    let told = records(directory.path());
    assert!(
        told.iter().any(|record| record.contains("\"bytes_cut\":30")),
        "{told:?}"
    );
    assert_eq!(verify(directory.path(), None).unwrap().bytes_torn, 0);
}
