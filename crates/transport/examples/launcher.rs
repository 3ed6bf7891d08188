//! A gateway in small, for the tests of child processes: `launcher MARKER PROGRAM [ARGUMENT...]` runs one command under
//! supervision until it is killed itself. Like any program that uses `child`, it is its own launcher.
//!
//! It says `started PID` when the command runs, `silent` when nobody holds the command's stdout any more, and
//! `ended ...` when the command ended.

use std::process::ExitCode;

use portcullis_transport::child::{self, Child, CommandSpec};
use portcullis_transport::{launcher, lines};

fn main() -> ExitCode {
    if let Some(code) = launcher::main(std::env::args_os()) {
        return code;
    }
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) | Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> std::io::Result<()> {
    child::become_subreaper()?;
    let reaper = tokio::spawn(child::reap_orphans());
    let mut arguments = std::env::args().skip(1);
    let marker = arguments.next().unwrap_or_default();
    let spec = CommandSpec {
        name: "example".to_owned(),
        program: arguments.next().unwrap_or_default(),
        arguments: arguments.collect(),
        environment: child::environment(std::env::vars_os(), &[("PORTCULLIS_TEST_MARKER".to_owned(), marker)]),
        working_directory: None,
        line_bytes_max: lines::LINE_BYTES_MAX_DEFAULT,
        grace_ms: 200,
        launcher: "/proc/self/exe".into(),
    };
    let child = Child::spawn(&spec).await.map_err(std::io::Error::other)?;
    println!("started {}", child.control.process_id());
    let Child {
        stdin: _open,
        mut stdout,
        control,
    } = child;
    tokio::spawn(async move {
        while let Ok(Some(_)) = stdout.next().await {}
        println!("silent");
    });
    println!("ended: it {}", control.exited().await);
    reaper.await?
}
