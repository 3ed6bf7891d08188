//! What looking for secrets and personal data costs, as a claim: in CI instructions for each byte, in full CPU time, beside other
//! detectors on the same documents.

use crate::child::Result;
use crate::rivals::{self, RIVALS};
use crate::root;
use crate::speed::{benches, number_between, release};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Texts with findings and without, and how many MB of them a second of CPU time is asked to do.
const SCANNED: [(&str, f64); 4] = [
    ("secrets/gen.jsonl", 100.0),
    ("pii/gen.jsonl", 100.0),
    ("secrets/clean.jsonl", 200.0),
    ("safety/tools_benign.jsonl", 200.0),
];

/// Documents are of so many bytes, here as in the bench.
const DOCUMENT_BYTES: usize = 64 << 10;

/// Other figures that the bench prints: what asks for it, the text before the number and the one behind, and the most that it may be.
const BOUNDS: [(Asked, &str, &str, f64); 6] = [
    (Asked::Start, "ready after ", " ms", 30.0),
    (Asked::Start, "all tables in ", " KiB", 16.0 * 1024.0),
    (Asked::Messages, "clean messages of 1 KiB: mean ", " us", 5.0),
    (Asked::Messages, "messages of 4 KiB: p99 ", " us", 60.0),
    (Asked::Worst, "the worst takes ", " us a KiB", 200.0),
    (Asked::Worst, "a KiB takes at most ", " times", 1.5),
];

/// A command of the bench.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Start,
    Messages,
    Worst,
}

/// Counts, or measures; the figure.
pub(crate) fn prove(full: bool) -> Result<String> {
    let directory = root().join("target/speed");
    fs::create_dir_all(&directory)?;
    release(&["portcullis-benches"], &directory.join("log"))?;
    if !full {
        let file = root().join("benches/scan-instructions.txt");
        let printed = benches(&["scan-count", "--against", &file.to_string_lossy()], &[])?;
        return Ok(printed.lines().collect::<Vec<_>>().join("; "));
    }
    let corpora = root().join("../shared/data");
    let files: Vec<PathBuf> = SCANNED.iter().map(|(file, _)| corpora.join(file)).collect();
    if let Some(absent) = files.iter().find(|file| !file.exists()) {
        return Err(format!("`{}` is not beside the repository", absent.display()).into());
    }
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let with = |command: &'static str| -> Result<String> {
        let words = std::iter::once(command).chain(names.iter().map(String::as_str));
        benches(&words.collect::<Vec<_>>(), &[])
    };
    let corpus = root().join("fuzz/corpus/scan").display().to_string();
    let printed = Printed {
        scan: with("scan")?,
        messages: with("scan-messages")?,
        worst: benches(&["scan-worst", &corpus], &[])?,
    };
    let judged = judge(&printed);
    let beside = beside(&files, &printed.scan)?;
    match judged {
        Ok(figures) => Ok(format!("{figures}\n{beside}")),
        Err(figures) => Err(format!("{figures}\n{beside}").into()),
    }
}

/// What the bench has said.
struct Printed {
    scan: String,
    messages: String,
    worst: String,
}

/// MB a second of each file, in their order.
fn rates(scan: &str) -> Result<Vec<f64>> {
    let lines = scan.lines().skip(1).take(SCANNED.len());
    let rates: Vec<f64> = lines
        .filter_map(|line| number_between(line, "findings, ", " MB"))
        .collect();
    match rates.len() == SCANNED.len() {
        true => Ok(rates),
        false => Err(format!("the bench said too little: {scan}").into()),
    }
}

/// Every figure with its bound; an error if one falls short.
fn judge(printed: &Printed) -> Result<String> {
    let mut figures = Vec::new();
    let mut short = 0;
    let mut told = |figure: String, is_short: bool| {
        short += usize::from(is_short);
        figures.push(match is_short {
            true => format!("{figure}, SHORT"),
            false => figure,
        });
    };
    for (rate, (file, least)) in rates(&printed.scan)?.into_iter().zip(SCANNED) {
        told(format!("{file} {rate} MB/s (at least {least})"), rate < least);
    }
    for (asked, before, after, most) in BOUNDS {
        let text = match asked {
            Asked::Start => &printed.scan,
            Asked::Messages => &printed.messages,
            Asked::Worst => &printed.worst,
        };
        let found = number_between(text, before, after).ok_or_else(|| format!("no `{before}` in `{text}`"))?;
        told(
            format!("{} {found}{after} (at most {most})", before.trim()),
            // What is no number is not within a bound.
            found > most || found.is_nan(),
        );
    }
    let figures = figures.join("; ");
    match short {
        0 => Ok(figures),
        _ => Err(figures.into()),
    }
}

/// MB a second of us and of each other detector, on the same documents.
fn beside(files: &[PathBuf], scan: &str) -> Result<String> {
    let rivals = rivals::install()?;
    let mut table = String::from("MB a second of user time on one core, documents of 64 KiB:");
    for ((file, (name, _)), ours) in files.iter().zip(SCANNED).zip(rates(scan)?) {
        let documents = cut(file, &name.replace('/', "-"))?;
        // Writing to a `String` cannot fail.
        let _ = write!(table, "\n{name}: portcullis {ours}");
        for rival in RIVALS {
            let _ = match rivals.speed(rival, &documents) {
                Ok(rate) => write!(table, ", {rival} {rate:.2}"),
                Err(error) => write!(table, ", {rival} could not be run here ({error})"),
            };
        }
    }
    Ok(table)
}

/// The documents of a file, each a file below `target`.
fn cut(file: &Path, name: &str) -> Result<PathBuf> {
    let directory = root().join("target/speed/documents").join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    for (at, document) in fs::read(file)?.chunks(DOCUMENT_BYTES).enumerate() {
        fs::write(directory.join(format!("{at:05}.json")), document)?;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Printed {
        let scan = "ready after 29.0 ms of CPU time, all tables in 9000 KiB of 15000 resident\n\
            a: 1 KiB, 3 findings, 101.0 MB a second\nb: 1 KiB, 3 findings, 100.0 MB a second\n\
            c: 1 KiB, 3 findings, 201.0 MB a second\nd: 1 KiB, 3 findings, 200.0 MB a second\n";
        let messages = "7 clean messages of 1 KiB: mean 4.0 us, p50 3.9 us, p99 9.0 us\n9 messages of 4 KiB: p99 59.0 us, p50 20.0 us\n";
        let worst = "9 inputs, each repeated to 64 KiB: the worst takes 199.0 us a KiB (a)\n4 times as long, a KiB takes at most 1.10 times as long (b)\n";
        Printed {
            scan: scan.to_owned(),
            messages: messages.to_owned(),
            worst: worst.to_owned(),
        }
    }

    #[test]
    fn each_figure_alone_makes_it_fail() {
        let figures = judge(&good()).unwrap();
        assert!(
            figures.contains("the worst takes 199 us a KiB (at most 200)"),
            "{figures}"
        );
        for (of, right, wrong) in [
            ("scan", "29.0 ms", "30.1 ms"),
            ("scan", "9000 KiB", "16385 KiB"),
            ("scan", "101.0", "99.9"),
            ("scan", "100.0", "99.9"),
            ("scan", "201.0", "199.9"),
            ("scan", "200.0", "199.9"),
            ("messages", "mean 4.0", "mean 5.1"),
            ("messages", "p99 59.0", "p99 60.1"),
            ("messages", "p99 59.0", "p99 NaN"),
            ("worst", "199.0", "200.1"),
            ("worst", "1.10", "1.51"),
        ] {
            let mut bad = good();
            let text = match of {
                "scan" => &mut bad.scan,
                "messages" => &mut bad.messages,
                _ => &mut bad.worst,
            };
            assert!(text.contains(right), "{right}");
            *text = text.replace(right, wrong);
            let told = judge(&bad).unwrap_err().to_string();
            assert_eq!(told.matches("SHORT").count(), 1, "{told}");
        }
    }
}
