//! The ledger as a whole: on a real disk, killed, filled, changed behind its back, and read by somebody else's program.

mod crash;
mod disk;
mod independent;
mod life;
mod speed;
mod support;
mod tamper;
