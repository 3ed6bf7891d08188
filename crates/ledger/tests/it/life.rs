//! A ledger that lives as it should: opens, records, closes, opens again.

use crate::support::{block_on, closed_log, decision, eventually, files, options, outcome, read_call, refusal};
use portcullis_ledger::{Detail, Durability, Event, EventKind, Ledger, LedgerError, OpenError, Options, Tail, verify};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

fn records(directory: &std::path::Path) -> Vec<String> {
    let mut tail = Tail::new(directory, 0);
    std::iter::from_fn(|| tail.next_record().unwrap())
        .map(|record| record.json)
        .collect()
}

#[test]
fn a_call_leaves_a_decision_and_an_outcome() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let ledger = Ledger::open(options(directory.path())).unwrap();
        assert!(ledger.is_writable());
        let call = ledger.call_id();
        let intended = ledger
            .intend(&decision(call), Durability::Durable, "ask")
            .await
            .unwrap();
        assert_eq!((*intended.get(), intended.sequence()), ("ask", 1));
        let sealed = ledger
            .seal(&outcome(call), Durability::Durable, "answer")
            .await
            .unwrap();
        assert_eq!((*sealed.get(), sealed.sequence()), ("answer", Some(2)));
        let refused = ledger.call_id();
        let sealed = ledger
            .refuse(&decision(refused), &refusal(refused), Durability::Durable, "no")
            .await
            .unwrap();
        assert_eq!(sealed.sequence(), Some(4));
        ledger
            .note(&Event {
                kind: EventKind::Policy,
                action: "policy_reloaded",
                actor: Some("root"),
                details: &[("policies", Detail::Number(3))],
            })
            .await
            .unwrap();
        ledger.close().await.unwrap();
    });
    let report = verify(directory.path(), None).unwrap();
    assert_eq!(
        (report.size, report.decisions, report.outcomes, report.outcomes_unknown),
        (7, 2, 2, 0)
    );
    assert_eq!(
        (report.records_not_covered, report.bytes_torn, report.open_calls.len()),
        (0, 0, 0)
    );
    let records = records(directory.path());
    let kinds: Vec<_> = ["start", "decision", "outcome", "decision", "outcome", "policy", "stop"]
        .iter()
        .map(|kind| format!("\"t\":\"{kind}\""))
        .collect();
    assert!(
        records.iter().zip(&kinds).all(|(record, kind)| record.contains(kind)),
        "{records:#?}"
    );
    assert!(records[4].contains("\"status\":\"refused\""));
    assert!(!records.concat().contains("alice") && !records.concat().contains("root"));
}

#[test]
fn a_log_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    for run in 1..=3u64 {
        closed_log(directory.path(), run * 700);
        let report = verify(directory.path(), None).unwrap();
        assert!(report.size >= run * 700, "{report:?}");
        let segments = fs::read_dir(directory.path().join("journal")).unwrap().count();
        assert!(segments <= 4, "{segments} segments stay");
    }
    assert!(!records(directory.path()).concat().contains("\"t\":\"recovery\""));
}

#[test]
fn the_gateways_keys_and_journal_are_private() {
    let directory = tempfile::tempdir().unwrap();
    closed_log(directory.path(), 3);
    for file in files(directory.path()) {
        let mode = fs::metadata(directory.path().join(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", file.display());
    }
}

#[test]
fn one_process_one_name_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(options(directory.path())).unwrap();
    let taken = Ledger::open(options(directory.path())).unwrap_err();
    assert!(
        matches!(taken, OpenError::Lock(_)) && taken.to_string().contains("hint:"),
        "{taken}"
    );
    block_on(ledger.close()).unwrap();
    let renamed = Ledger::open(Options::new(directory.path(), "another.local/name")).unwrap_err();
    assert!(matches!(renamed, OpenError::AnotherKey { .. }), "{renamed}");
    let bad = Ledger::open(Options::new(directory.path(), "two words")).unwrap_err();
    assert!(matches!(bad, OpenError::Origin(_)), "{bad}");
    fs::remove_file(directory.path().join("keys/signing.seed")).unwrap();
    let rekeyed = Ledger::open(options(directory.path())).unwrap_err();
    assert!(matches!(rekeyed, OpenError::AnotherKey { .. }), "{rekeyed}");
}

#[test]
fn records_come_in_turn_only() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let ledger = Ledger::open(options(directory.path())).unwrap();
        let call = ledger.call_id();
        let early = ledger.seal(&outcome(call), Durability::Written, ()).await;
        assert_eq!(early.unwrap_err(), LedgerError::OutOfTurn(call));
        let _ = ledger.intend(&decision(call), Durability::Written, ()).await.unwrap();
        let twice = ledger.intend(&decision(call), Durability::Written, ()).await;
        assert_eq!(twice.unwrap_err(), LedgerError::OutOfTurn(call));
        let _ = ledger.seal(&outcome(call), Durability::Written, ()).await.unwrap();
        let late = ledger.seal(&outcome(call), Durability::Written, ()).await;
        assert_eq!(late.unwrap_err(), LedgerError::OutOfTurn(call));
        let other = ledger.clone();
        ledger.close().await.unwrap();
        assert!(!other.is_writable());
        assert_eq!(
            read_call(&other, Durability::Written).await.unwrap_err(),
            LedgerError::Closed
        );
        assert!(other.close().await.is_err());
    });
    assert_eq!(verify(directory.path(), None).unwrap().size, 4);
}

#[test]
fn what_nobody_finishes_ends_unknown() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let ledger = Ledger::open(options(directory.path())).unwrap();
        let (dropped, left) = (ledger.call_id(), ledger.call_id());
        let _ = ledger
            .intend(&decision(dropped), Durability::Durable, ())
            .await
            .unwrap();
        ledger.abandon(dropped);
        ledger.abandon(dropped);
        ledger.abandon(ledger.call_id());
        eventually("the abandoned call is closed", || ledger.progress().open_calls == 0);
        assert_eq!(
            ledger
                .seal(&outcome(dropped), Durability::Durable, ())
                .await
                .unwrap_err(),
            LedgerError::OutOfTurn(dropped)
        );
        // A caller that gives up while the decision is being synced.
        let impatient = ledger.call_id();
        let decided = decision(impatient);
        tokio::select! {
            biased;
            _ = ledger.intend(&decided, Durability::Durable, ()) => {}
            () = std::future::ready(()) => {}
        }
        eventually("the call that was given up is closed", || {
            ledger.progress().open_calls == 0
        });
        let _ = ledger.intend(&decision(left), Durability::Durable, ()).await.unwrap();
        ledger.close().await.unwrap();
    });
    let report = verify(directory.path(), None).unwrap();
    assert_eq!((report.decisions, report.outcomes, report.outcomes_unknown), (3, 3, 3));
}

#[test]
fn many_threads_share_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(options(directory.path())).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let ledger = ledger.clone();
            scope.spawn(move || {
                block_on(async {
                    for at in 0..200 {
                        let durability = if (thread + at) % 10 == 0 {
                            Durability::Durable
                        } else {
                            Durability::Written
                        };
                        let _ = read_call(&ledger, durability).await.unwrap();
                        let refused = ledger.call_id();
                        let _ = ledger
                            .refuse(&decision(refused), &refusal(refused), durability, ())
                            .await
                            .unwrap();
                    }
                });
            });
        }
    });
    // A log in use verifies too.
    verify(directory.path(), None).unwrap();
    block_on(ledger.close()).unwrap();
    let report = verify(directory.path(), None).unwrap();
    assert_eq!(
        (report.size, report.decisions, report.outcomes),
        (2 + 8 * 200 * 4, 3200, 3200)
    );
}

#[test]
fn records_that_nobody_waits_for_are_published_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let ledger = Ledger::open(options(directory.path())).unwrap();
        for _ in 0..300 {
            let _ = read_call(&ledger, Durability::Written).await.unwrap();
        }
        eventually("all is published", || ledger.progress().published == 601);
        drop(ledger);
    });
    let report = verify(directory.path(), None).unwrap();
    assert_eq!((report.size, report.records_not_covered), (601, 0));
}

#[test]
fn a_tail_follows_from_journal_to_bundles() {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let ledger = Ledger::open(Options {
            publish_interval: Duration::from_secs(3600),
            ..options(directory.path())
        })
        .unwrap();
        let mut tail = Tail::new(directory.path(), 1);
        assert_eq!(tail.next_record().unwrap(), None);
        let mut expected = 1;
        for round in 0..5 {
            for _ in 0..100 {
                let _ = read_call(&ledger, Durability::Written).await.unwrap();
            }
            while let Some(record) = tail.next_record().unwrap() {
                assert_eq!((record.index, record.covered), (expected, false));
                assert!(record.json.starts_with(&format!("{{\"bseq\":{expected},")));
                expected += 1;
            }
            assert_eq!(expected, 201 + round * 200);
        }
        assert_eq!(Tail::length(directory.path()).unwrap(), 1001);
        ledger.close().await.unwrap();
        assert_eq!(
            tail.next_record().unwrap().map(|record| (record.index, record.covered)),
            Some((1001, true))
        );
    });
    let mut tail = Tail::new(&directory.path().join("log"), 500);
    assert_eq!(std::iter::from_fn(|| tail.next_record().unwrap()).count(), 502);
}

#[test]
fn nothing_prints_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(options(directory.path())).unwrap();
    assert!(format!("{ledger:?}").starts_with("Ledger { progress: Progress {"));
}
