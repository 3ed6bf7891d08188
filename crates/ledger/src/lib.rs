//! The tamper-evident log: every decision before its act, every outcome before its answer, on disk in
//! formats that tools which are not ours can verify (C2SP tlog-tiles, signed-note checkpoints, RFC 8785 records).
//!
//! It grants two kinds of evidence, [`Intended`] before an act and [`Sealed`] after it. It must not know what
//! a gateway is: records come in as borrowed plain data ([`Decision`], [`Outcome`], [`Event`]).

mod canonical;
mod checkpoint;
mod core;
mod evidence;
mod journal;
mod keeper;
mod ledger;
mod pairing;
mod publisher;
mod record;
mod recover;
#[cfg(test)]
mod samples;
mod schema;
mod secrets;
mod shelves;
mod tail;
mod terms;
mod tiles;
mod tree;
#[cfg(test)]
mod vectors;
mod verify;
mod waiters;

pub use checkpoint::{VerifierKey, VerifierKeyError};
pub use evidence::{Intended, Sealed};
pub use ledger::{CloseError, Ledger, Progress};
pub use record::{
    Content, Decision, Detail, EffectClass, Event, EventKind, Outcome, Request, Status, Verdict, VerdictKind, Who,
    digest,
};
pub use recover::OpenError;
pub use schema::{Kind, Summary};
pub use secrets::handle_of;
pub use tail::{Recorded, Tail};
pub use terms::{CallId, Durability, LedgerError, Options};
pub use verify::{Finding, Report, verify};
