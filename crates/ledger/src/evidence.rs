//! The two kinds of evidence that the ledger grants. Private fields, no `Clone`, no `Default`, no `Deserialize`:
//! holding one is the proof. It must not know how a record is kept.

/// Proof that the record says `T` is about to be acted on. Only [`Ledger::intend`](crate::Ledger::intend) makes one.
#[derive(Debug)]
#[must_use = "an intended act that is dropped leaves a decision without an outcome"]
pub struct Intended<T> {
    value: T,
    sequence: u64,
}

impl<T> Intended<T> {
    /// The ledger alone mints evidence, after the record is written.
    pub(crate) fn new(value: T, sequence: u64) -> Self {
        Self { value, sequence }
    }

    /// What may now be acted on.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The dense number (`bseq`) of the decision's record.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Spends the evidence.
    pub fn into_inner(self) -> T {
        self.value
    }
}

/// Proof that `T` is on the record. Only [`Ledger::seal`](crate::Ledger::seal) and
/// [`Ledger::refuse`](crate::Ledger::refuse) make one, but for the reply that says that the record cannot be written.
#[derive(Debug)]
#[must_use = "a sealed reply is what a transport writes"]
pub struct Sealed<T> {
    value: T,
    sequence: Option<u64>,
}

impl<T> Sealed<T> {
    /// The ledger alone mints evidence, after the record is written.
    pub(crate) fn new(value: T, sequence: u64) -> Self {
        Self {
            value,
            sequence: Some(sequence),
        }
    }

    /// The one reply that leaves off the record: that the record cannot be kept. A tidy test holds its callers to one.
    pub fn unrecordable(value: T) -> Self {
        Self { value, sequence: None }
    }

    /// The dense number (`bseq`) of the outcome's record; `None` for the one reply that is off the record.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// What was sealed, to look at.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Spends the evidence.
    pub fn into_inner(self) -> T {
        self.value
    }
}
