//! MCP as data: envelopes, revisions, methods, errors, headers. No I/O, no clock, no async: every other crate may know
//! these shapes, and this crate knows nobody.
//!
//! A message is parsed once, over the buffer it arrived in. What the gateway does not own stays a slice of that buffer and
//! leaves byte for byte as it came ([`message`], [`edit`]).

pub mod edit;
pub mod effect;
pub mod error;
pub mod header;
pub mod id;
pub mod json;
pub mod limits;
pub mod message;
pub mod meta;
pub mod method;
pub mod revision;

pub use edit::{Edits, Rope};
pub use effect::{Effect, Impact};
pub use error::RpcError;
pub use id::Id;
pub use json::{JsonError, Kind, Raw};
pub use limits::Limits;
pub use message::{Message, Notification, Outcome, Request, Response};
pub use method::Method;
pub use revision::{Era, Revision};
