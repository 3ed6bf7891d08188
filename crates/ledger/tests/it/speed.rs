//! How fast, and at what cost: records a second and CPU microseconds for each, beside the disk's own time for a sync.
//! Not a test of the code but of the machine, so it runs only when asked:
//! `cargo test --release -p portcullis-ledger --test it -- --ignored --nocapture speed`.

use crate::support::{ORIGIN, block_on, read_call};
use portcullis_ledger::{Durability, Ledger, Options, verify};
use rustix::time::{ClockId, clock_gettime};
use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

/// The median time of a sync after an append of one record's length.
fn sync_time(directory: &Path) -> Duration {
    let mut file = File::create(directory.join("probe")).unwrap();
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            file.write_all(&[0; 700]).unwrap();
            let start = Instant::now();
            file.sync_data().unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn measure(name: &str, directory: &Path, threads: u64, tasks: u64, calls: u64, durability: Durability) {
    let ledger = Ledger::open(Options::new(directory.join(name), ORIGIN)).unwrap();
    let (start, cpu) = (Instant::now(), cpu_time());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let ledger = &ledger;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let local = tokio::task::LocalSet::new();
                for _ in 0..tasks {
                    let ledger = ledger.clone();
                    local.spawn_local(async move {
                        for _ in 0..calls / threads / tasks {
                            let _ = read_call(&ledger, durability).await.unwrap();
                        }
                    });
                }
                runtime.block_on(local);
            });
        }
    });
    block_on(ledger.close()).unwrap();
    let (wall, cpu) = (start.elapsed(), cpu_time().checked_sub(cpu).unwrap());
    let records = 2 * calls;
    println!(
        "{name:24} {:>9.0} records/s  {:>6.2} CPU us/record  {:>6.2} CPU us/call",
        records as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / records as f64,
        cpu.as_secs_f64() * 1e6 / calls as f64,
    );
    let start = Instant::now();
    let report = verify(&directory.join(name), None).unwrap();
    println!(
        "{:24} {:>9.0} records/s",
        "  verified",
        report.size as f64 / start.elapsed().as_secs_f64()
    );
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let directory =
        tempfile::tempdir_in(std::env::var_os("LEDGER_SPEED_DIR").unwrap_or_else(|| std::env::temp_dir().into()))
            .unwrap();
    println!(
        "fdatasync p50            {:>9.0} us",
        sync_time(directory.path()).as_secs_f64() * 1e6
    );
    measure("written-1-thread", directory.path(), 1, 1, 200_000, Durability::Written);
    measure(
        "written-2-threads",
        directory.path(),
        2,
        1,
        200_000,
        Durability::Written,
    );
    measure("durable-16", directory.path(), 2, 8, 16_000, Durability::Durable);
    measure("durable-64", directory.path(), 2, 32, 64_000, Durability::Durable);
    measure("durable-256", directory.path(), 2, 128, 200_000, Durability::Durable);
    println!(
        "fdatasync p50            {:>9.0} us",
        sync_time(directory.path()).as_secs_f64() * 1e6
    );
}
