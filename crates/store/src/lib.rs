//! What must outlive the process: files that are replaced whole or only grow, a lock on the state directory, and keys.
//!
//! It must not know what is kept: the ledger, the configuration and the sessions each say that themselves.

pub mod files;
pub mod keys;
