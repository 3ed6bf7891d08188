//! End-to-end tests: the program `portcullis` itself runs, and clients and servers talk to it over real pipes and sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is the failure"
)]

mod bad_upstreams;
mod documents;
mod drift;
mod explain;
mod first_steps;
mod harness;
mod issuers;
mod keys;
mod listening;
mod lossless;
mod malformed;
mod notices;
mod outages;
mod record;
mod scan;
mod screen;
mod sessions;
mod strangers;
mod wrapped;
