//! Things to test Portcullis against, none of which ships.
//!
//! - [`misbehave`]: scripted upstream servers that answer late, endlessly, too much, nonsense, or die;
//!   over HTTP and stdio, on loopback only.
//! - [`corpus`]: the messages that must travel unchanged.
//! - [`gateway`]: starting the gateway's program with a configuration for tests.
//! - `everything` (feature `sdk`): a complete, well-behaved MCP server on the official Rust SDK, which speaks both
//!   eras; it passes the official conformance suite directly and is the upstream when the gateway is measured by it.
//!
//! All but the last stand on tokio and the standard library alone, so that any crate's tests can use them. The programs
//! are thin: `everything-server` and `conformance-client` (both feature `sdk`), `bad-upstream`.
//!
//! This crate must not depend on another crate of the workspace: it knows the gateway from outside only.

pub mod corpus;
#[cfg(feature = "sdk")]
pub mod everything;
pub mod gateway;
pub mod misbehave;
