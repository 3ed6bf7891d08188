//! The program: reads the command line, makes a plan, and hands it to the command that runs it.

mod audit;
mod build;
mod cli;
mod clock;
mod config;
mod demo;
mod explain;
mod failure;
mod inspect;
mod keys;
mod plan;
mod run;
mod scan;
mod wrapped;

use clap::Parser;
use cli::{Cli, Command, PolicyCommand, exit};
use failure::Failure;
use plan::Plan;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code when nobody reads what is printed: what a shell makes of a program that SIGPIPE ended.
const NO_READER: i32 = 128 + 13;

fn main() -> ExitCode {
    // The launcher of a server's command is this same program, started again; before threads exist.
    if let Some(code) = portcullis_transport::launcher::main(std::env::args_os()) {
        return code;
    }
    end_quietly_without_a_reader();
    let cli = Cli::parse();
    // The control runtime: start, reload, lists, signals. Connections have threads of their own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::from(exit::CANNOT);
        }
    };
    match runtime.block_on(run(&cli)) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(failure) => {
            match (&failure.json, wants_json(&cli.command)) {
                (Some(json), true) => println!("{}", serde_json::json!({ "problems": json })),
                _ if failure.is_told() => {}
                _ => eprintln!("error: {failure}"),
            }
            ExitCode::from(failure.code)
        }
    }
}

/// `portcullis explain .. | head` is no fault of ours: the program ends as others do by SIGPIPE, which is ignored here because a
/// server that dies must not take the gateway along.
fn end_quietly_without_a_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>().map_or("", String::as_str);
        if text.starts_with("failed printing to std") && text.contains("Broken pipe") {
            std::process::exit(NO_READER);
        }
        usual(info);
    }));
}

const fn wants_json(command: &Command) -> bool {
    match command {
        Command::Check { json, .. } | Command::Catalog { json } => *json,
        Command::Explain(question) => question.json,
        _ => false,
    }
}

async fn run(cli: &Cli) -> Result<(), Failure> {
    let plan = || Plan::up(cli.config.as_deref(), cli.state.as_deref(), None);
    // As `wrap` would run it, to look at: no name is taken.
    let wrap = |name: Option<&str>, command: &[String]| {
        Plan::wrap(name, command, cli.state.as_deref(), &run::os_user(), false)
    };
    match &cli.command {
        Command::Up { listen } => {
            let again = || Plan::up(cli.config.as_deref(), cli.state.as_deref(), *listen);
            run::up(again()?, again).await
        }
        Command::Wrap { name, command } => {
            let user = run::os_user();
            run::wrap(
                Plan::wrap(name.as_deref(), command, cli.state.as_deref(), &user, true)?,
                &user,
            )
            .await
        }
        Command::Check { file, json } => {
            let file = file.as_deref().or(cli.config.as_deref());
            inspect::check(&Plan::up(file, cli.state.as_deref(), None)?, *json).await
        }
        Command::Catalog { json } => inspect::catalog(&plan()?, *json).await,
        Command::Policy { command } => {
            let (PolicyCommand::Check(guarded) | PolicyCommand::Show(guarded)) = command;
            let plan = match guarded.command.as_slice() {
                [] => plan()?,
                wrapped => wrap(guarded.wrap.as_deref(), wrapped)?,
            };
            inspect::policy(&plan, command).await
        }
        Command::Explain(question) => {
            let plan = match question.wrapped.as_slice() {
                [] => plan()?,
                wrapped => wrap(question.wrap.as_deref(), wrapped)?,
            };
            explain::explain(&plan, question).await
        }
        Command::Audit { command } => audit::audit(&plan()?, command),
        Command::Scan(scan) => scan::scan(scan),
        Command::Key { command } => keys::key(&plan()?, command),
    }
}
