//! Child processes against real commands: they work, and whoever is killed, nobody is left.
//!
//! Processes are found by a marker that is unique to each test, in their environment or arguments, and by descent from
//! the gateway. The gateway that gets killed is `examples/launcher.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its failure"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis_transport::child::{self, Child, ChildError, CommandSpec, Exit};
use portcullis_transport::lines::LineError;
use rustix::process::{Pid, Signal};

const PATIENCE: Duration = Duration::from_secs(20);

/// A family that tries to get away: background jobs, a session of its own, a double fork, a wrapper as `npx` is, one
/// that ignores SIGTERM, one that closed its input. `$0` is the marker.
const FAMILY: &str = r#"
    sleep 1000 &
    setsid sh -c 'trap "" TERM HUP; sleep 1001 & sleep 1002; sleep 1003' "$0" </dev/null &
    ( ( setsid sleep 1004 >/dev/null 2>&1 </dev/null & ) & )
    sh -c 'sh -c "sleep 1005; true"; true' "$0" &
    env -i /bin/sleep 1006 &
    echo ready
    sh -c 'cat; sleep 1007' "$0"
    sleep 1008
"#;
/// How many processes the family has at least, the first shell included.
const FAMILY_SIZE: usize = 10;

/// Each starts its successor and ends, so that nobody is ever there for long. Bounded (for a minute or so), since the
/// machine would be the one to suffer if a test failed.
const FAST_RELAY: &str = "perl -e 'for (1..200000) { exit if fork }' &";

// ---- looking at processes ----

/// Number and start time: names a process for good.
type Identity = (i32, u64);

struct Seen {
    identity: Identity,
    parent: i32,
    state: char,
    marked: bool,
}

fn processes(marker: &str) -> Vec<Seen> {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..].split_ascii_whitespace().collect();
        let marked = ["environ", "cmdline"].iter().any(|file| {
            let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
            bytes.windows(marker.len()).any(|window| window == marker.as_bytes())
        });
        seen.push(Seen {
            identity: (id, fields[19].parse().unwrap()),
            parent: fields[1].parse().unwrap(),
            state: fields[0].chars().next().unwrap(),
            marked,
        });
    }
    seen
}

/// Those below `ancestor`, with their states.
fn below(ancestor: u32, marker: &str) -> BTreeMap<Identity, char> {
    let table = processes(marker);
    let mut found = BTreeMap::new();
    let mut ancestors = vec![i32::try_from(ancestor).unwrap()];
    while let Some(ancestor) = ancestors.pop() {
        for process in table.iter().filter(|process| process.parent == ancestor) {
            if found.insert(process.identity, process.state).is_none() {
                ancestors.push(process.identity.0);
            }
        }
    }
    found
}

/// Polls until `check` gives something; fails with `what` when patience ends.
fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// Waits until none of these processes and none with the marker is left. A zombie whose parent is not ours is the
/// parent's business; it is not counted.
fn assert_all_gone(family: &BTreeMap<Identity, char>, marker: &str, what: &str) {
    let mut left = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        left.clear();
        for process in processes(marker) {
            let ours = family.contains_key(&process.identity) || process.marked;
            if ours && !(process.state == 'Z' && process.parent == 1) {
                left.push((process.identity.0, process.state));
            }
        }
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: left over: {left:?}");
    }
}

fn kill(id: i32, signal: Signal) {
    let _ = rustix::process::kill_process(Pid::from_raw(id).unwrap(), signal);
}

fn marker(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "marker-{test}-{}-{}-end",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

// ---- running commands ----

fn launcher() -> PathBuf {
    // Test binaries lie in `deps`, examples beside it.
    let own = std::env::current_exe().unwrap();
    let path = own.parent().unwrap().parent().unwrap().join("examples/launcher");
    assert!(
        path.exists(),
        "build the example first: cargo build -p portcullis-transport --example launcher"
    );
    path
}

fn spec(marker: &str, program: &str, arguments: &[&str]) -> CommandSpec {
    CommandSpec {
        name: "test".to_owned(),
        program: program.to_owned(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: child::environment(
            std::env::vars_os(),
            &[("PORTCULLIS_TEST_MARKER".to_owned(), marker.to_owned())],
        ),
        working_directory: None,
        line_bytes_max: 1024 * 1024,
        grace_ms: 200,
        launcher: launcher(),
    }
}

fn shell(marker: &str, script: &str) -> CommandSpec {
    spec(marker, "sh", &["-c", script, marker])
}

async fn next(child: &mut Child) -> Option<Bytes> {
    tokio::time::timeout(PATIENCE, child.stdout.next())
        .await
        .unwrap()
        .unwrap()
}

async fn exit_of(child: &Child) -> Exit {
    tokio::time::timeout(PATIENCE, child.control.exited()).await.unwrap()
}

/// A gateway in a process of its own, with a command that has come up to full size.
struct Gateway {
    process: std::process::Child,
    lines: mpsc::Receiver<String>,
    heard: BTreeSet<String>,
    command: i32,
    marker: String,
}

impl Gateway {
    fn start(marker: String, script: &str, size: usize) -> Self {
        let mut process = Command::new(launcher())
            .args([&marker, "sh", "-c", script, &marker])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = process.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let started = lines.recv_timeout(PATIENCE).unwrap();
        let command = started.strip_prefix("started ").unwrap().parse().unwrap();
        let gateway = Self {
            process,
            lines,
            heard: BTreeSet::new(),
            command,
            marker,
        };
        // The launcher is one more.
        eventually("the whole family runs", || {
            (gateway.family().len() > size).then_some(())
        });
        gateway
    }

    fn id(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    fn family(&self) -> BTreeMap<Identity, char> {
        below(self.process.id(), &self.marker)
    }

    fn launcher(&self) -> i32 {
        processes(&self.marker)
            .iter()
            .find(|process| process.parent == self.id())
            .unwrap()
            .identity
            .0
    }

    fn kill_itself(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits until the gateway says this line; what else it says is passed over.
    fn wait_for(&mut self, expected: &str) {
        if self.heard.iter().any(|line| line.starts_with(expected)) {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|error| panic!("`{expected}` was not said: {error}"));
            let found = line.starts_with(expected);
            self.heard.insert(line);
            if found {
                return;
            }
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// ---- the good way ----

#[tokio::test]
async fn lines_go_there_and_back_and_it_ends_when_its_input_ends() {
    let mut child = Child::spawn(&spec(&marker("echo"), "cat", &[])).await.unwrap();
    for message in ["{\"id\":1}", "{\"text\":\"\u{e4}\\n\"}"] {
        child.stdin.write(&Bytes::from(message)).await.unwrap();
        assert_eq!(next(&mut child).await.unwrap(), message);
    }
    child.stdin.write(&Bytes::from_static(b"[1,\r\n2]")).await.unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "[1,  2]");
    assert_eq!(child.stop(PATIENCE).await.unwrap(), Exit::Code(0));
}

#[tokio::test]
async fn a_large_message_passes_and_each_way_waits_for_the_other() {
    let mut child = Child::spawn(&spec(&marker("large"), "cat", &[])).await.unwrap();
    let message = Bytes::from("m".repeat(1024 * 1024));
    let Child { stdin, stdout, .. } = &mut child;
    for _ in 0..20 {
        let (written, read) = tokio::join!(stdin.write(&message), stdout.next());
        written.unwrap();
        assert_eq!(read.unwrap().unwrap(), message);
    }
}

#[tokio::test]
async fn it_gets_its_arguments_environment_directory_and_nothing_else() {
    let folder = std::fs::canonicalize(std::env::temp_dir()).unwrap();
    let mut spec = spec(
        &marker("surroundings"),
        "sh",
        &["-c", "echo \"$0|$1|$(pwd)\"; env; ls /proc/self/fd", "a b", "c\"d"],
    );
    spec.working_directory = Some(folder.clone());
    spec.environment.push(("TOKEN".to_owned(), "se=cret\nline".to_owned()));
    let mut child = Child::spawn(&spec).await.unwrap();
    assert_eq!(
        next(&mut child).await.unwrap(),
        format!("a b|c\"d|{}", folder.display())
    );
    let mut said = Vec::new();
    while let Some(line) = next(&mut child).await {
        said.push(String::from_utf8(line.to_vec()).unwrap());
    }
    assert!(said.contains(&"TOKEN=se=cret".to_owned()) && said.contains(&"line".to_owned()));
    // `sh` sets PWD, OLDPWD, SHLVL and _ itself.
    let allowed = [
        &child::INHERITED_VARIABLES[..],
        &["TOKEN", "PORTCULLIS_TEST_MARKER", "PWD", "OLDPWD", "SHLVL", "_"],
    ]
    .concat();
    for name in said
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
    {
        assert!(allowed.contains(&name), "`{name}` leaked into the child");
    }
    assert_eq!(exit_of(&child).await, Exit::Code(0));
}

#[tokio::test]
async fn a_secret_is_on_no_command_line_and_not_with_the_launcher() {
    let secret = marker("secret");
    let mut spec = spec(&marker("holder"), "cat", &[]);
    spec.environment.push(("TOKEN".to_owned(), secret.clone()));
    let child = Child::spawn(&spec).await.unwrap();
    let holders: Vec<i32> = processes(&secret)
        .iter()
        .filter(|process| process.marked)
        .map(|process| process.identity.0)
        .collect();
    assert_eq!(holders, [i32::try_from(child.control.process_id()).unwrap()]);
    let shown = std::fs::read_to_string(format!("/proc/{}/cmdline", child.control.process_id())).unwrap();
    assert!(!shown.contains(&secret));
}

#[tokio::test]
async fn it_holds_no_file_of_ours() {
    let mut child = Child::spawn(&spec(&marker("files"), "cat", &[])).await.unwrap();
    // Only when it answers is it `cat` for sure.
    child.stdin.write(&Bytes::from_static(b"{}")).await.unwrap();
    next(&mut child).await.unwrap();
    let names = |id: u32| -> Vec<String> {
        let entries = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().flatten();
        entries
            .map(|entry| entry.file_name().to_str().unwrap().to_owned())
            .collect()
    };
    // What this process was given itself without a close-on-exec mark goes on to its children; nothing else does.
    let inherited = |name: &String| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{name}")).unwrap_or_default();
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap_or("2000000");
        i64::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 == 0
    };
    let unexpected: Vec<String> = names(child.control.process_id())
        .into_iter()
        .filter(|name| !inherited(name))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test]
async fn its_end_is_told_as_it_was() {
    for (script, expected) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
    ] {
        let mut child = Child::spawn(&shell(&marker("end"), script)).await.unwrap();
        assert_eq!(exit_of(&child).await, expected, "{script}");
        assert_eq!(next(&mut child).await, None, "{script}");
    }
}

// ---- what cannot run ----

#[tokio::test]
async fn what_cannot_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let script = file("script", "#!/no/such/interpreter\n", 0o755);
    let text = file("text", "hello", 0o644);
    let marker = marker("missing");
    let refused = async |spec: CommandSpec| Child::spawn(&spec).await.unwrap_err();

    let error = refused(spec(&marker, "no-such-program-here", &[])).await;
    assert!(matches!(error, ChildError::ProgramMissing { .. }), "{error}");
    assert!(error.to_string().contains("`no-such-program-here`") && error.to_string().contains("did you install it?"));
    let error = refused(spec(&marker, "/no/such/program", &[])).await;
    assert!(matches!(error, ChildError::ProgramMissing { .. }), "{error}");
    let error = refused(spec(&marker, &script, &[])).await;
    assert!(matches!(error, ChildError::InterpreterMissing { .. }), "{error}");
    let error = refused(spec(&marker, &text, &[])).await;
    assert!(
        matches!(&error, ChildError::NotRun { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied),
        "{error}"
    );
    let error = refused(CommandSpec {
        working_directory: Some("/no/such/folder".into()),
        ..spec(&marker, "cat", &[])
    })
    .await;
    assert!(matches!(error, ChildError::WorkingDirectory { .. }), "{error}");
    let error = refused(CommandSpec {
        launcher: "/no/such/launcher".into(),
        ..spec(&marker, "cat", &[])
    })
    .await;
    assert!(matches!(error, ChildError::Launcher { .. }), "{error}");
    let error = refused(CommandSpec {
        launcher: "/bin/true".into(),
        ..spec(&marker, "cat", &[])
    })
    .await;
    assert!(
        matches!(error, ChildError::Launcher { .. }),
        "a launcher that is none: {error}"
    );
    assert_all_gone(&BTreeMap::new(), &marker, "after refusals");
}

// ---- bad streams ----

#[tokio::test]
async fn an_oversized_line_and_an_unfinished_one_are_named() {
    let mut child = Child::spawn(&CommandSpec {
        line_bytes_max: 1000,
        ..shell(&marker("long"), "echo ok; yes | tr -d '\\n'")
    })
    .await
    .unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "ok");
    for _ in 0..2 {
        let refused = tokio::time::timeout(PATIENCE, child.stdout.next()).await.unwrap();
        assert!(matches!(refused, Err(LineError::TooLong { line_bytes_max: 1000 })));
    }
    let mut child = Child::spawn(&shell(&marker("half"), "echo ok; printf '{\"half\"'"))
        .await
        .unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "ok");
    let refused = tokio::time::timeout(PATIENCE, child.stdout.next()).await.unwrap();
    assert!(matches!(refused, Err(LineError::Truncated { bytes: 7 })));
}

#[tokio::test]
async fn writing_to_one_that_closed_its_input_is_named() {
    let mut child = Child::spawn(&shell(&marker("deaf"), "exec <&-; echo deaf; exec sleep 1000"))
        .await
        .unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "deaf");
    assert!(matches!(
        child.stdin.write(&Bytes::from_static(b"{}")).await,
        Err(LineError::Closed)
    ));
}

#[tokio::test]
async fn a_flood_on_stderr_blocks_nothing_and_its_end_is_kept() {
    let script = "head -c 50000000 /dev/zero | tr '\\0' 'e' | fold -w 200 >&2; echo >&2; echo last words >&2; echo done; read line";
    let mut child = Child::spawn(&shell(&marker("flood"), script)).await.unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "done");
    let tail = child.control.stderr_tail().clone();
    child.stop(PATIENCE).await.unwrap();
    // The task that reads stderr may be a few lines behind.
    let deadline = Instant::now() + PATIENCE;
    while tail.last_lines(1) != ["last words"] {
        assert!(Instant::now() < deadline, "{:?}", tail.last_lines(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(tail.last_lines(2)[0], "e".repeat(200));
}

#[tokio::test]
async fn a_flood_on_stdout_waits_for_the_reader() {
    let marker = marker("yes");
    let mut child = Child::spawn(&spec(
        &marker,
        "yes",
        &["{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}"],
    ))
    .await
    .unwrap();
    let id = i32::try_from(child.control.process_id()).unwrap();
    for _ in 0..10 {
        next(&mut child).await.unwrap();
    }
    // Nobody reads: it sleeps in its write, and its CPU time stands still.
    let cpu = || std::fs::read_to_string(format!("/proc/{id}/schedstat")).unwrap();
    let asleep = || {
        processes(&marker)
            .iter()
            .any(|process| process.identity.0 == id && process.state == 'S')
    };
    let mut before = cpu();
    eventually("the command sleeps", || {
        let now = cpu();
        let still = asleep() && now == before;
        before = now;
        still.then_some(())
    });
    let begin = Instant::now();
    for _ in 0..300_000 {
        next(&mut child).await.unwrap();
    }
    println!("300,000 lines in {:?}", begin.elapsed());
    // It never ends by itself and does not read its stdin.
    assert_eq!(child.stop(Duration::ZERO).await.unwrap(), Exit::Signal(15));
}

// ---- nobody is left ----

#[tokio::test]
async fn dropping_it_ends_the_whole_family_without_blocking() {
    let marker = marker("drop");
    let mut child = Child::spawn(&shell(&marker, FAMILY)).await.unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "ready");
    let exited = child.control.exited();
    let family = below(std::process::id(), &marker);
    let begin = Instant::now();
    drop(child);
    assert!(begin.elapsed() < Duration::from_millis(50));
    tokio::time::timeout(PATIENCE, exited).await.unwrap();
    let family = family
        .into_iter()
        .filter(|((id, _), _)| processes(&marker).iter().any(|p| p.identity.0 == *id && p.marked))
        .collect();
    assert_all_gone(&family, &marker, "after drop");
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let marker = marker("stubborn");
    let script = "trap '' TERM INT HUP; echo ready; while :; do sleep 1000; done";
    let mut child = Child::spawn(&CommandSpec {
        grace_ms: 700,
        ..shell(&marker, script)
    })
    .await
    .unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "ready");
    let begin = Instant::now();
    assert_eq!(child.stop(Duration::ZERO).await.unwrap(), Exit::Signal(9));
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_millis(690) && took < Duration::from_secs(10),
        "{took:?}"
    );
    assert_all_gone(&BTreeMap::new(), &marker, "stubborn");
}

#[tokio::test]
async fn one_that_tidies_up_on_sigterm_has_the_time_to() {
    let script = "trap 'echo tidied >&2; exit 3' TERM; echo ready; while :; do read line || sleep 1000 & wait; done";
    let mut child = Child::spawn(&CommandSpec {
        grace_ms: 20_000,
        ..shell(&marker("tidy"), script)
    })
    .await
    .unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "ready");
    let tail = child.control.stderr_tail().clone();
    assert_eq!(child.stop(Duration::ZERO).await.unwrap(), Exit::Code(3));
    let deadline = Instant::now() + PATIENCE;
    while tail.last_lines(1) != ["tidied"] {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_that_is_stopped_ends_all_the_same() {
    let marker = marker("stopped");
    let mut child = Child::spawn(&shell(&marker, "echo ready; kill -STOP $$"))
        .await
        .unwrap();
    assert_eq!(next(&mut child).await.unwrap(), "ready");
    child.stop(Duration::ZERO).await.unwrap();
    assert_all_gone(&BTreeMap::new(), &marker, "stopped");
}

#[tokio::test]
async fn what_it_leaves_behind_when_it_ends_is_ended() {
    let marker = marker("daemon");
    let script = "( setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' $0 >/dev/null 2>&1 </dev/null & ) ; exit 4";
    let child = Child::spawn(&shell(&marker, script)).await.unwrap();
    assert_eq!(exit_of(&child).await, Exit::Code(4));
    // Not eventually: the end is told when nobody is left.
    assert!(
        !processes(&marker)
            .iter()
            .any(|process| process.marked && process.parent != i32::try_from(std::process::id()).unwrap())
    );
}

#[tokio::test]
async fn families_that_fork_while_they_are_killed_are_caught() {
    // One that starts others as fast as it can, and one where each starts its successor and ends.
    let breeder =
        "trap '' TERM; echo ready; i=0; while [ $i -lt 5000 ]; do sleep 1000 </dev/null & i=$((i+1)); done; wait";
    let relay =
        "trap '' TERM; echo ready; exec >/dev/null; f() { [ $1 -lt 50000 ] && ( f $(($1+1)) ) & }; f 0; sleep 1000";
    let fast_relay = &format!("trap '' TERM; echo ready; {FAST_RELAY} sleep 1000");
    for script in [breeder, relay, fast_relay] {
        let marker = marker("fork");
        let mut child = Child::spawn(&CommandSpec {
            grace_ms: 50,
            ..shell(&marker, script)
        })
        .await
        .unwrap();
        assert_eq!(next(&mut child).await.unwrap(), "ready");
        let begin = Instant::now();
        let Child {
            stdin: _,
            mut stdout,
            control,
        } = child;
        control.stop(Duration::ZERO).await.unwrap();
        println!("caught in {:?}", begin.elapsed());
        // Whoever holds the other end of stdout would keep it open.
        tokio::time::timeout(PATIENCE, async { while let Ok(Some(_)) = stdout.next().await {} })
            .await
            .unwrap();
        assert_all_gone(&BTreeMap::new(), &marker, script);
    }
}

#[test]
fn killing_the_gateway_leaves_nobody() {
    let mut gateway = Gateway::start(marker("gateway"), FAMILY, FAMILY_SIZE);
    let family = gateway.family();
    gateway.kill_itself();
    assert_all_gone(&family, &gateway.marker, "gateway killed");
}

#[test]
fn killing_the_launcher_leaves_nobody_and_no_zombie() {
    let mut gateway = Gateway::start(marker("launcher"), FAMILY, FAMILY_SIZE);
    let family = gateway.family();
    kill(gateway.launcher(), Signal::KILL);
    gateway.wait_for("ended: it was killed together with its launcher");
    gateway.wait_for("silent");
    assert_all_gone(&family, "no marker: the gateway itself carries it", "launcher killed");
    eventually("the gateway has no child left", || {
        gateway.family().is_empty().then_some(())
    });
    assert!(gateway.process.try_wait().unwrap().is_none(), "the gateway lives on");
}

#[test]
fn killing_the_launcher_of_one_that_forks_leaves_nobody() {
    let mut gateway = Gateway::start(
        marker("relay"),
        &format!("trap '' TERM; {FAST_RELAY} echo ready; sleep 1000"),
        2,
    );
    let begin = Instant::now();
    kill(gateway.launcher(), Signal::KILL);
    gateway.wait_for("ended: it was killed together with its launcher");
    // The relay holds stdout, so this is exact where a look at the process table may miss it between two legs.
    gateway.wait_for("silent");
    println!("caught without launcher in {:?}", begin.elapsed());
    eventually("the gateway has no child left", || {
        gateway.family().is_empty().then_some(())
    });
}

/// A gateway that runs `script` and that nobody listens to.
fn unheard(marker: &str, script: &str) -> std::process::Child {
    Command::new(launcher())
        .args([marker, "sh", "-c", script, marker])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Between the first fork and the command there are moments without a command, a session, a parent-death signal.
#[test]
fn killing_during_the_start_leaves_nobody() {
    for round in 0..60 {
        let marker = marker("start");
        let begin = Instant::now();
        let mut gateway = unheard(&marker, "sleep 1000");
        // Ever later, from before the launcher to after the command.
        let mut family = BTreeMap::new();
        while family.is_empty() || begin.elapsed() < Duration::from_micros(200 * round) {
            family = below(gateway.id(), &marker);
        }
        if round % 2 == 0 {
            // The nearest is the launcher.
            let gateway_id = i32::try_from(gateway.id()).unwrap();
            let launcher = processes(&marker)
                .iter()
                .find(|process| process.parent == gateway_id)
                .map(|process| process.identity.0);
            launcher.into_iter().for_each(|launcher| kill(launcher, Signal::KILL));
            family.extend(below(gateway.id(), &marker));
            eventually("the gateway has no child left", || {
                below(gateway.id(), &marker).is_empty().then_some(())
            });
        }
        gateway.kill().unwrap();
        gateway.wait().unwrap();
        assert_all_gone(&family, &marker, &format!("start, round {round}"));
    }
}

/// The command runs and has started another, but its launcher dies before it has said so: to the gateway that is a failed
/// start, after which it ends at once.
#[test]
fn killing_a_launcher_that_has_not_reported_leaves_nobody() {
    let mut unreported = 0;
    for round in 0..40 {
        let marker = marker("unreported");
        let mut gateway = unheard(&marker, "sleep 1000 & wait");
        let gateway_id = i32::try_from(gateway.id()).unwrap();
        let launcher = eventually("a launcher", || {
            let found = processes(&marker)
                .into_iter()
                .find(|process| process.parent == gateway_id);
            found.map(|process| process.identity.0)
        });
        let first = eventually("the second stage", || {
            below(u32::try_from(launcher).unwrap(), &marker).into_keys().next()
        });
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(100 * round) {}
        kill(launcher, Signal::STOP);
        // Nobody below moves any more: the second stage waits for its files, or the command for the other.
        let mut quiet = 0;
        let mut family = BTreeMap::from([(first, 'R')]);
        eventually("quiet", || {
            let now = below(u32::try_from(launcher).unwrap(), &marker);
            quiet = if now.values().all(|&state| state == 'S') {
                quiet + 1
            } else {
                0
            };
            family.extend(now);
            (quiet > 5).then_some(())
        });
        unreported += usize::from(family.len() > 1);
        kill(launcher, Signal::KILL);
        // With the launcher gone and nobody to run, this gateway ends by itself.
        eventually("the gateway's end", || {
            below(gateway.id(), &marker).is_empty().then_some(())
        });
        let _ = gateway.kill();
        gateway.wait().unwrap();
        assert_all_gone(&family, &marker, &format!("unreported, round {round}"));
    }
    assert!(unreported > 0, "no launcher was stopped after its command had begun");
}

#[test]
fn asking_the_launcher_to_end_leaves_nobody() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut gateway = Gateway::start(marker("asked"), FAMILY, FAMILY_SIZE);
        let family = gateway.family();
        kill(gateway.launcher(), signal);
        gateway.wait_for("ended");
        assert!(gateway.family().is_empty(), "told when all were gone");
        assert_all_gone(&family, "no marker: the gateway itself carries it", "launcher asked");
    }
}

#[test]
fn killing_gateway_and_launcher_at_once_leaves_no_command() {
    let mut gateway = Gateway::start(marker("both"), "echo ready; exec sleep 1000", 1);
    let family = gateway.family();
    // Stopped first, so that neither can act between the two blows.
    for signal in [Signal::STOP, Signal::KILL] {
        kill(gateway.id(), signal);
        kill(gateway.launcher_of(&family), signal);
    }
    gateway.process.wait().unwrap();
    assert_all_gone(&family, &gateway.marker, "both killed");
}

impl Gateway {
    /// The launcher, when the gateway may be gone: the one above the command.
    fn launcher_of(&self, family: &BTreeMap<Identity, char>) -> i32 {
        family.keys().map(|(id, _)| *id).find(|id| *id != self.command).unwrap()
    }
}

#[test]
fn fifty_random_kills_leave_nobody() {
    // A fixed sequence (Knuth's MMIX generator), so that a failure is likely to come again.
    let mut state = 20_261_124_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut hit = BTreeMap::<&str, u32>::new();
    for round in 0..50 {
        let mut gateway = Gateway::start(marker("random"), FAMILY, 1 + random(FAMILY_SIZE));
        let mut family = gateway.family();
        let launcher = gateway.launcher();
        let gateway_dies = random(4) == 0;
        let victim = match random(4) {
            _ if gateway_dies => gateway.id(),
            0 => launcher,
            1 => gateway.command,
            _ => *family.keys().map(|(id, _)| id).nth(random(family.len())).unwrap(),
        };
        *hit.entry(match victim {
            _ if gateway_dies => "gateway",
            _ if victim == launcher => "launcher",
            _ if victim == gateway.command => "command",
            _ => "descendant",
        })
        .or_default() += 1;
        kill(victim, Signal::KILL);
        if !gateway_dies && victim != launcher && victim != gateway.command {
            // One of many died and the command lives on, so its launcher is still in charge; now the gateway goes too.
            family.extend(gateway.family());
            gateway.kill_itself();
        } else if gateway_dies {
            gateway.process.wait().unwrap();
        } else {
            gateway.wait_for("ended");
            eventually("the gateway has no child left, dead or alive", || {
                gateway.family().is_empty().then_some(())
            });
            gateway.kill_itself();
        }
        assert_all_gone(&family, &gateway.marker, &format!("round {round}, killed {victim}"));
    }
    println!("killed: {hit:?}");
}
