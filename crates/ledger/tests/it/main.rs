//! The ledger as a whole: on a real disk, killed, filled, changed behind its back, and read by somebody else's program.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the failure; helpers outside test functions count as test code too"
)]

mod crash;
mod disk;
mod independent;
mod life;
mod speed;
mod support;
mod tamper;
