//! What the ledger's callers and all its parts speak of: the id of a call, where and how a log is kept, how safe a record is, and why
//! one could not be kept. It must know none of the parts.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// Calls open at once. Above it no call may begin: each costs memory, and all stand in every segment's header.
pub(crate) const OPEN_CALLS_MAX: usize = 65_536;

/// One call: 16 bytes, made by [`Ledger::call_id`](crate::Ledger::call_id); ties a decision to its outcome (`pair`).
///
/// The first half is drawn at random when the ledger opens, the second half counts, so that it is unique and cheap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(crate) u128);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({self})")
    }
}

/// Where the log lives, and how large and how often.
#[derive(Debug, Clone)]
pub struct Options {
    /// The ledger's own directory; made if absent. Holds `log/` (public: checkpoint, key, tiles), `journal/` and `keys/`.
    pub directory: PathBuf,
    /// The checkpoint's origin line and the signing key's name, for example `portcullis.local/HOSTNAME`.
    pub origin: String,
    /// A journal segment that is longer is followed by a new one.
    pub segment_bytes: u64,
    /// At the latest so long after a record was written, it is synced and under a published checkpoint.
    pub publish_interval: Duration,
    /// So many durable records are published at once, before the interval is over: up to the last whole tile of 256 among them.
    pub publish_records: u64,
    /// How long after a failure the disk is tried again.
    pub retry_interval: Duration,
}

impl Options {
    /// The defaults for a log at `directory` under the name `origin`.
    pub fn new(directory: impl Into<PathBuf>, origin: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            origin: origin.into(),
            segment_bytes: 8 * 1024 * 1024,
            publish_interval: Duration::from_secs(1),
            publish_records: 8192,
            retry_interval: Duration::from_secs(1),
        }
    }
}

/// How safe a record is before its evidence is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// In the page cache: survives the death of the process.
    Written,
    /// Synced: survives the loss of power.
    Durable,
}

/// Why a record could not be kept. Nothing may happen that needed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The disk refused. The ledger tries again by itself, see [`Ledger::is_writable`].
    #[error("the record cannot be written: {reason}; hint: free space or repair the disk, then it goes on by itself")]
    Unwritable {
        /// What the operating system said.
        reason: Arc<str>,
    },
    /// An outcome whose call has no open decision, or a decision whose call has one already.
    #[error("call {0} is not at this point of its record")]
    OutOfTurn(CallId),
    /// Too many calls have a decision and no outcome.
    #[error(
        "{OPEN_CALLS_MAX} calls are open on the record; hint: calls that never end are abandoned or sealed by whoever began them"
    )]
    TooManyOpen,
    /// The ledger is closed.
    #[error("the record is closed")]
    Closed,
}
