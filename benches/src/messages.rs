//! What looking through single messages costs: small ones, and the worst that a fuzzer has found. CPU time of one thread; of each
//! message the fastest of a few rounds counts, since what else the machine does is not the scanner's.

use crate::{Result, number};
use portcullis_guards::scan::{Context, Form, Rules, Scanner};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::hint::black_box;

/// A small message that nothing is found in, and a larger one of any kind, in bytes.
const CLEAN_BYTES: usize = 1 << 10;
const MESSAGE_BYTES: usize = 4 << 10;

/// The fastest of so many rounds counts.
const ROUNDS: usize = 5;

/// What a fuzzer has found is repeated to so many bytes, and to so many more to see how it grows.
const REPEATED_BYTES: usize = 64 << 10;
const LONGER: usize = 4;

/// So many of the worst are measured again.
const WORST: usize = 20;

/// `scan-messages FILE...`: what messages of 1 KiB cost that nothing is found in, and messages of 4 KiB of any kind, all cut from these
/// files.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let scanner = Scanner::new(Rules::built_in()?)?;
    let files: Vec<Vec<u8>> = arguments.iter().map(fs::read).collect::<std::io::Result<_>>()?;
    let of = |bytes: usize| files.iter().flat_map(move |text| text.chunks_exact(bytes));
    let clean: Vec<&[u8]> = of(CLEAN_BYTES)
        .filter(|message| scanner.scan(message, Form::Json, &Context::default()).is_empty())
        .collect();
    let mut times = each(&scanner, &clean);
    println!(
        "{} clean messages of 1 KiB: mean {:.1} us, p50 {:.1} us, p99 {:.1} us",
        clean.len(),
        times.iter().sum::<f64>() / times.len() as f64,
        percentile(&mut times, 50),
        percentile(&mut times, 99)
    );
    let messages: Vec<&[u8]> = of(MESSAGE_BYTES).collect();
    let mut times = each(&scanner, &messages);
    println!(
        "{} messages of 4 KiB: p99 {:.1} us, p50 {:.1} us",
        messages.len(),
        percentile(&mut times, 99),
        percentile(&mut times, 50)
    );
    Ok(())
}

/// `scan-worst DIRECTORY`: each file of it repeated to 64 KiB; the worst, and how its time grows with its length.
pub(crate) fn worst_command(arguments: &[String]) -> Result<()> {
    let scanner = Scanner::new(Rules::built_in()?)?;
    let directory = arguments.first().ok_or("usage: scan-worst DIRECTORY")?;
    let mut inputs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let text = fs::read(&path)?;
        if !text.is_empty() {
            let us = us_a_kib(&scanner, &repeated(&text, REPEATED_BYTES), 1);
            inputs.push((us, path, text));
        }
    }
    let count = inputs.len();
    inputs.sort_by(|one, other| other.0.total_cmp(&one.0));
    inputs.truncate(number(arguments, "--worst", WORST)?);
    let (mut worst, mut steepest) = ((0.0, String::new()), (0.0, String::new()));
    for (_, path, text) in inputs {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let us = us_a_kib(&scanner, &repeated(&text, REPEATED_BYTES), ROUNDS);
        let longer = us_a_kib(&scanner, &repeated(&text, LONGER * REPEATED_BYTES), ROUNDS);
        if us > worst.0 {
            worst = (us, name.clone());
        }
        if longer / us > steepest.0 {
            steepest = (longer / us, name);
        }
    }
    println!(
        "{count} inputs, each repeated to 64 KiB: the worst takes {:.1} us a KiB ({})",
        worst.0, worst.1
    );
    println!(
        "{LONGER} times as long, a KiB takes at most {:.2} times as long ({})",
        steepest.0, steepest.1
    );
    Ok(())
}

fn repeated(text: &[u8], bytes: usize) -> Vec<u8> {
    text.iter().copied().cycle().take(bytes).collect()
}

fn us_a_kib(scanner: &Scanner, text: &[u8], rounds: usize) -> f64 {
    let us = fastest(rounds, || {
        black_box(scanner.scan(text, Form::Json, &Context::default()));
    });
    us * 1_024.0 / text.len() as f64
}

/// What each message takes, in microseconds.
fn each(scanner: &Scanner, messages: &[&[u8]]) -> Vec<f64> {
    let times = messages.iter().map(|message| {
        fastest(ROUNDS, || {
            black_box(scanner.scan(message, Form::Json, &Context::default()));
        })
    });
    times.collect()
}

fn fastest(rounds: usize, work: impl Fn()) -> f64 {
    let times = (0..rounds).map(|_| {
        let before = cpu_us();
        work();
        cpu_us() - before
    });
    times.fold(f64::MAX, f64::min)
}

/// CPU time of this thread, exact where the kernel's tables (`process`) lag by a tick.
fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn percentile(times: &mut [f64], percent: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    let last = times.len().saturating_sub(1);
    times.get(last * percent / 100).copied().unwrap_or(f64::NAN)
}
