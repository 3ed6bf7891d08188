//! Guards look at content and say what they found. Pure: no I/O, no clock, no configuration. What is done about a finding,
//! and to whom it is told, is the gateway's matter; a finding is never a permit.

pub mod hidden;

pub use hidden::{Class, Finding, JsonFinding};
