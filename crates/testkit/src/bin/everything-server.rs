//! The fixture that the conformance suite measures, directly and behind the gateway. See `everything` in the library.

use std::{net::Ipv4Addr, process::ExitCode};

use clap::Parser;
use portcullis_testkit::everything::{Eras, Everything, HttpOptions, Reply, ServeError, serve_http, serve_stdio};
use tokio::net::TcpListener;

/// An MCP server for tests: one of everything, in both eras.
#[derive(Parser)]
struct Arguments {
    /// The revisions that it admits to.
    #[arg(long, value_enum, default_value = "both")]
    eras: Eras,
    /// The loopback port; 0 takes a free one. The URL is printed once it listens.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How replies are carried over HTTP.
    #[arg(long, value_enum, default_value = "sse")]
    reply: Reply,
    /// Give legacy callers no sessions.
    #[arg(long)]
    no_sessions: bool,
    /// Speak over standard input and output instead of HTTP.
    #[arg(long)]
    stdio: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("everything-server: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<(), ServeError> {
    let server = Everything::new(arguments.eras)?;
    if arguments.stdio {
        return serve_stdio(server).await;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    serve_http(
        server,
        listener,
        HttpOptions {
            reply: arguments.reply,
            sessions: !arguments.no_sessions,
        },
    )
    .await
}
