//! Detectors. Text in, findings out: no I/O, no clock, no gateway types, so that each can be fuzzed and read on its own.

pub mod hidden;
