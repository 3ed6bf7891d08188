//! A misbehaving upstream as a program: `bad-upstream --mode MODE [--at start|call] (--stdio | --port PORT)`.
//!
//! Over HTTP it prints its URL once it listens. See `misbehave` in the library.

use std::{io, net::Ipv4Addr, process::ExitCode};

use portcullis_testkit::misbehave::{Mode, Moment, Script, serve_http, serve_stdio};
use tokio::net::TcpListener;

const USAGE: &str = "usage: bad-upstream --mode MODE [--at start|call] (--stdio | --port PORT)";

enum Way {
    Stdio,
    Port(u16),
}

fn main() -> ExitCode {
    let Some((script, way)) = parse(std::env::args().skip(1)) else {
        let modes: Vec<_> = Mode::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("{USAGE}\nmodes: {}", modes.join(", "));
        return ExitCode::FAILURE;
    };
    match run(script, way) {
        // An end that the script made is no success, and a supervisor should see so.
        Ok(()) if !matches!(script.mode, Mode::Dying | Mode::Gone) => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bad-upstream: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<(Script, Way)> {
    let (mut mode, mut moment, mut way) = (None, Moment::Call, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--mode" => mode = Some(Mode::from_name(&words.next()?)?),
            "--at" => {
                moment = match words.next()?.as_str() {
                    "start" => Moment::Start,
                    "call" => Moment::Call,
                    _ => return None,
                }
            }
            "--stdio" => way = Some(Way::Stdio),
            "--port" => way = Some(Way::Port(words.next()?.parse().ok()?)),
            _ => return None,
        }
    }
    Some((Script { mode: mode?, moment }, way?))
}

fn run(script: Script, way: Way) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(script, way));
    // A read of standard input cannot be interrupted, so this must not wait for it.
    runtime.shutdown_background();
    outcome
}

async fn serve(script: Script, way: Way) -> io::Result<()> {
    match way {
        Way::Stdio => serve_stdio(script, tokio::io::stdin(), tokio::io::stdout()).await,
        Way::Port(port) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            println!("http://{}/mcp", listener.local_addr()?);
            serve_http(script, listener).await
        }
    }
}
