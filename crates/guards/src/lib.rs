//! Guards look at content and say what they found. Pure: no I/O, no clock, no configuration. What is done about a finding,
//! and to whom it is told, is the gateway's matter; a finding is never a permit.

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
pub mod hidden;
pub mod json;
pub mod mask;
#[cfg(test)]
mod masking;
pub mod scan;

pub use hash::HashKey;
pub use hidden::{Class, Finding, JsonFinding};

/// What `README.md` shows is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
