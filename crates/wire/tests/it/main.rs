//! Tests of the wire crate from outside: the scanner against serde_json, edits, envelopes, ids, errors and the corpus of
//! messages. `cargo test --release -p portcullis-wire --test it -- --ignored --nocapture` measures.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is the failure"
)]

mod corpus;
mod edit;
mod errors;
mod ids;
mod json;
mod message;
mod speed;
mod texts;
