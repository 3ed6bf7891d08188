//! The workspace's tasks: `cargo xtask NAME`.

mod breakages;
mod canaries;
mod child;
mod conformance;
mod detectors;
mod first_run;
mod fresh;
mod fuzz;
mod peers;
mod picture;
mod prove;
mod rivals;
mod scan_speed;
mod ship;
mod speed;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((task, rest)) if task == "conformance" => conformance::command(rest),
        Some((task, rest)) if task == "fresh" => fresh::command(rest),
        Some((task, rest)) if task == "peers" => peers::command(rest),
        Some((task, rest)) if task == "picture" => {
            picture::draw(rest.iter().any(|word| word == "--release")).map(|bytes| {
                println!("picture: {bytes} bytes in {}", picture::FILE);
                true
            })
        }
        Some((task, rest)) if task == "prove" => prove::command(rest),
        Some((task, _)) if task == "ship" => ship::build().map(|program| {
            println!("ship: {}", program.display());
            true
        }),
        Some((task, rest)) if task == "test" => test::command(rest),
        Some((task, _)) if task == "tidy" => tidy::check(&root()).map(|files| {
            println!("tidy: {files} files, nothing to say");
            true
        }),
        Some((task, _)) if task == "breakages" => breakages::check(&root()).map(|count| {
            println!("breakages: {count} of {count} refused by the compiler at their place");
            true
        }),
        _ => Err(
            "usage: cargo xtask (test | prove | conformance | peers | tidy | breakages | fresh | picture | ship)"
                .into(),
        ),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's own directory.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
