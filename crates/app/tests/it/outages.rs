//! What the log says of a server that is down for a while.

use crate::harness::{Client, MODERN, PATIENCE, Scripted, Shelf, gateway, upstream_table};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

/// Connections that find nobody, each an attempt.
const IN_VAIN: usize = 3;

/// An address behind which `server` is, once [`IN_VAIN`] connections have been closed.
fn down_at_first(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().skip(IN_VAIN).flatten() {
            let server = TcpStream::connect(server).unwrap();
            let (mut here, mut there) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let (mut client, mut server) = (client, server);
            // Ends with the connection, on whichever side.
            thread::spawn(move || drop(io::copy(&mut here, &mut server)));
            thread::spawn(move || drop(io::copy(&mut there, &mut client)));
        }
    });
    address
}

#[test]
fn a_server_that_is_down_is_said_to_be_once_and_then_to_be_back() {
    let server = Scripted::serve(Shelf::default());
    let behind = server.url.trim_start_matches("http://").trim_end_matches("/mcp");
    let address = down_at_first(behind.parse().unwrap());
    let gateway = gateway(&upstream_table("shop", &format!("http://{address}/mcp"), ""));
    let begun = Instant::now();
    let log = loop {
        let log = gateway.output();
        if log.contains("the server is back") {
            break log;
        }
        assert!(begun.elapsed() < PATIENCE, "{log}");
        thread::yield_now();
    };
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("shop"), "{log}");
    let back = log.lines().find(|line| line.contains("the server is back")).unwrap();
    assert!(back.contains(&format!("attempts={IN_VAIN}")), "{back}");
    let client = Client::open(gateway.address(), "", MODERN);
    let answer = client.post(client.request("1", "tools/list", "").as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
}
