//! Somebody else's program agrees: Debian's Go with `golang-golang-x-mod-dev` reads our log and says OK, and FAIL where a
//! byte was changed. Without Go the test says so and passes, unless `PORTCULLIS_REQUIRE_GO=1`.

use crate::support::{Dice, block_on, closed_log, files, options, read_call};
use portcullis_ledger::{Durability, Ledger, Options, verify};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Where Debian puts the sources of Go packages.
const DEBIAN_GOPATH: &str = "/usr/share/gocode";

/// Builds the verifier; `None` where there is no Go and none is required.
fn verifier(directory: &Path) -> Option<PathBuf> {
    let program = directory.join("verifier");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/main.go");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(source)
        .env("GO111MODULE", "off")
        .env("GOPATH", DEBIAN_GOPATH)
        .env("GOCACHE", directory.join("cache"))
        .output();
    let trouble = match built {
        Ok(output) if output.status.success() => return Some(program),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let required = std::env::var("PORTCULLIS_REQUIRE_GO").is_ok_and(|value| value == "1");
    assert!(
        !required,
        "Debian's `golang-go` and `golang-golang-x-mod-dev` are required: {trouble}"
    );
    eprintln!("not run: Debian's `golang-go` and `golang-golang-x-mod-dev` are not here: {trouble}");
    None
}

fn run(program: &Path, log: &Path) -> (bool, String) {
    let key = fs::read_to_string(log.join("verifier.key")).unwrap();
    let output = Command::new(program).arg(log).arg(key.trim()).output().unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

#[test]
fn an_independent_verifier_agrees() {
    let (tools, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(program) = verifier(tools.path()) else { return };
    let log = directory.path().join("log");
    for size in [1, 3, 255, 256, 257, 1000] {
        closed_log(directory.path(), size);
        let size = verify(directory.path(), None).unwrap().size;
        assert_eq!(run(&program, &log), (true, format!("OK {size}\n")));
    }
    // What it reads of the log: not the older partial tiles, which no tree needs any more.
    let size = verify(directory.path(), None).unwrap().size;
    let needed = |name: &str| match name.split_once(".p/") {
        Some((tile, width)) => {
            width
                == if tile.starts_with("tile/1/") {
                    size / 256
                } else {
                    size % 256
                }
                .to_string()
        }
        None => name != "verifier.key",
    };
    let names: Vec<String> = files(&log)
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| needed(name))
        .collect();
    let mut dice = Dice(42);
    for _ in 0..100 {
        let path = log.join(&names[usize::try_from(dice.roll(names.len() as u64)).unwrap()]);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[usize::try_from(dice.roll(good.len() as u64)).unwrap()] ^= u8::try_from(1 + dice.roll(255)).unwrap();
        fs::write(&path, &bad).unwrap();
        let (ours, theirs) = (verify(&log, None), run(&program, &log));
        assert!(ours.is_err() && !theirs.0, "{}: {ours:?} {theirs:?}", path.display());
        fs::write(&path, &good).unwrap();
    }
    assert!(run(&program, &log).0);
    println!("figure: the Go verifier agrees on {size} records, and on 100 changed bytes");
}

#[test]
#[ignore = "half a minute: 100,000 records, as REGULATED A1 asks"]
fn an_independent_verifier_agrees_on_a_hundred_thousand_records() {
    let (tools, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(program) = verifier(tools.path()) else { return };
    block_on(async {
        let ledger = Ledger::open(Options {
            publish_interval: Duration::from_secs(1),
            ..options(directory.path())
        })
        .unwrap();
        for _ in 0..50_000 {
            let _ = read_call(&ledger, Durability::Written).await.unwrap();
        }
        ledger.close().await.unwrap();
    });
    assert_eq!(verify(directory.path(), None).unwrap().size, 100_002);
    assert_eq!(
        run(&program, &directory.path().join("log")),
        (true, "OK 100002\n".to_owned())
    );
    println!("figure: the Go verifier agrees on 100002 records");
}
