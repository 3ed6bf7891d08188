//! The test kit's own tests: what the other crates' tests rely on must itself do what it says.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test's helper, too, a panic is the failure"
)]

mod gateway;
mod misbehave_http;
mod misbehave_stdio;

#[cfg(feature = "sdk")]
mod everything;
