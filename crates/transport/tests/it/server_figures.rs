//! Figures of the HTTP server, not judged here: `cargo test -p portcullis-transport --test it figures -- --ignored --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic in a test is its failure"
)]

use crate::server_script::{Client, call, initialize, legacy_call, serve};
use portcullis_transport::server::Options;
use std::time::Instant;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// CPU time of the server's threads, in ticks of 10 ms.
fn server_ticks() -> u64 {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let name = std::fs::read_to_string(path.join("comm")).unwrap();
        if name.starts_with("portcullis-http") {
            let stat = std::fs::read_to_string(path.join("stat")).unwrap();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    ticks
}

/// Both ends live in this process, so that the client's share is in it too; it is a bare socket and a small buffer.
#[tokio::test]
#[ignore = "prints figures"]
async fn figures_of_idle_connections() {
    let (server, address, _) = serve(Options::default());
    Client::once(address, &call("echo")).await;
    let before = resident_kib();
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = Client::connect(address).await;
        client.ask(&call("echo")).await;
        clients.push(client);
    }
    let plain = resident_kib();
    println!("idle connection: {:.1} KiB", (plain - before) as f64 / 1_000.0);
    let session = initialize(address, "2025-11-25").await;
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = Client::connect(address).await;
        client
            .send(&legacy_call("gate-with-news", &session, "2025-06-18"))
            .await;
        client.head().await;
        clients.push(client);
    }
    println!(
        "open event stream: {:.1} KiB",
        (resident_kib() - plain) as f64 / 1_000.0
    );
    assert!(server.metrics().connections_open >= 2_000);
}

#[tokio::test]
#[ignore = "prints figures"]
async fn figures_of_small_calls() {
    let (_server, address, _) = serve(Options::default());
    for connections in [1, 16, 64] {
        let each = 60_000 / connections;
        let (ticks, start) = (server_ticks(), Instant::now());
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                tokio::spawn(async move {
                    let mut client = Client::connect(address).await;
                    let call = call("echo");
                    for _ in 0..each {
                        assert_eq!(client.ask(&call).await.status, 200);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        let calls = (each * connections) as f64;
        println!(
            "{connections:2} connections: {:.1} us of server CPU a call, {:.0} calls/s",
            (server_ticks() - ticks) as f64 * 10_000.0 / calls,
            calls / start.elapsed().as_secs_f64(),
        );
    }
}
