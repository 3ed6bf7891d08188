//! Changed behind our back: every change to tiles, bundles or checkpoint is found, and its place is named.

use crate::support::{Dice, closed_log, copy_tree, files};
use portcullis_ledger::{Finding, VerifierKey, verify};
use std::{collections::BTreeSet, fs, path::Path};

fn named(findings: &[Finding], file: &str) -> bool {
    findings.iter().any(|finding| finding.file == file)
}

#[test]
fn a_thousand_changed_bytes_are_each_refused_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    // Full and partial tiles at two levels, and older partial tiles beside.
    closed_log(directory.path(), 500);
    closed_log(directory.path(), 620);
    let log = directory.path().join("log");
    verify(&log, None).unwrap();
    let names: Vec<String> = files(&log)
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name != "verifier.key")
        .collect();
    assert!(
        names.iter().any(|name| name.contains(".p/")) && names.contains(&"tile/entries/001".to_owned()),
        "{names:?}"
    );
    let mut dice = Dice(0xD1CE);
    let mut changed = |name: &str| {
        let path = log.join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let at = usize::try_from(dice.roll(good.len() as u64)).unwrap();
        bad[at] ^= u8::try_from(1 + dice.roll(255)).unwrap();
        fs::write(&path, &bad).unwrap();
        let findings = verify(&log, None).expect_err(&format!("byte {at} of {name}"));
        fs::write(&path, &good).unwrap();
        (at, findings)
    };
    let mut choice = Dice(0xF11E);
    let mut hit = BTreeSet::new();
    for _ in 0..1000 {
        // By file first, so that small files are hit as often as large ones.
        let name = &names[usize::try_from(choice.roll(names.len() as u64)).unwrap()];
        let (at, findings) = changed(name);
        assert!(
            named(&findings, name) && findings.len() <= 4,
            "byte {at} of {name}: {findings:?}"
        );
        hit.insert(name);
    }
    assert_eq!(hit.len(), names.len());
    // With a changed key beside it, the checkpoint is what does not fit.
    for _ in 0..100 {
        let (at, findings) = changed("verifier.key");
        assert!(
            named(&findings, "verifier.key") || named(&findings, "checkpoint"),
            "byte {at} of the key: {findings:?}"
        );
    }
    verify(&log, None).unwrap();
    println!(
        "figure: 1000 changed bytes in {} files, each refused with its place",
        hit.len()
    );
}

#[test]
fn deletions_truncations_and_swaps_are_refused_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    closed_log(directory.path(), 800);
    let log = directory.path().join("log");
    let names: Vec<String> = files(&log)
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name != "verifier.key")
        .collect();
    let last_bundle = names
        .iter()
        .rfind(|name| name.starts_with("tile/entries/003.p/"))
        .unwrap()
        .clone();
    for name in &names {
        let path = log.join(name);
        let good = fs::read(&path).unwrap();
        for bad in [
            Vec::new(),
            good[..good.len() - 1].to_vec(),
            good[1..].to_vec(),
            [good.as_slice(), b"\n"].concat(),
            good.repeat(2),
        ] {
            fs::write(&path, &bad).unwrap();
            let findings = verify(&log, None).expect_err(name);
            assert!(named(&findings, name), "{name}: {findings:?}");
        }
        fs::remove_file(&path).unwrap();
        // An older partial tile may go; that is no change to the log.
        let needed = !name.contains(".p/") || name == &last_bundle;
        if needed {
            let findings = verify(&log, None).expect_err(name);
            assert!(named(&findings, name), "{name}: {findings:?}");
        }
        fs::write(&path, &good).unwrap();
    }
    let (one, two) = (log.join("tile/entries/000"), log.join("tile/entries/001"));
    let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    fs::write(&one, &second).unwrap();
    fs::write(&two, &first).unwrap();
    let findings = verify(&log, None).unwrap_err();
    assert!(
        named(&findings, "tile/entries/000") && named(&findings, "tile/entries/001"),
        "{findings:?}"
    );
    fs::write(&one, &first).unwrap();
    fs::write(&two, &second).unwrap();
    for stray in [
        "tile/entries/000.p/7",
        "tile/0/009",
        "tile/0/000.tmp",
        "tile/9/000",
        "tile/notes",
    ] {
        let path = log.join(stray);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"stray").unwrap();
        let findings = verify(&log, None).expect_err(stray);
        assert!(named(&findings, stray), "{stray}: {findings:?}");
        fs::remove_file(&path).unwrap();
    }
    verify(&log, None).unwrap();
}

#[test]
fn another_log_is_not_this_log() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    closed_log(ours.path(), 20);
    closed_log(theirs.path(), 20);
    let key = |directory: &Path| {
        VerifierKey::parse(&fs::read_to_string(directory.join("log/verifier.key")).unwrap()).unwrap()
    };
    verify(ours.path(), Some(&key(ours.path()))).unwrap();
    let findings = verify(ours.path(), Some(&key(theirs.path()))).unwrap_err();
    assert!(
        named(&findings, "checkpoint") && named(&findings, "verifier.key"),
        "{findings:?}"
    );
}

#[test]
fn an_older_state_of_the_log_is_sound_in_itself() {
    let (directory, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    closed_log(directory.path(), 300);
    copy_tree(directory.path(), copy.path());
    closed_log(directory.path(), 900);
    assert!(verify(copy.path(), None).unwrap().size < verify(directory.path(), None).unwrap().size);
    let nothing = verify(Path::new("/nonexistent"), None).unwrap_err();
    assert!(!nothing.is_empty());
}
