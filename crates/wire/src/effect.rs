//! What a call does to the world: one vocabulary for retry, record, policy and flow rules of the whole product.

use std::fmt;
use std::str::FromStr;

/// The effect of a tool, pinned by the operator. A server's annotations are only a suggestion; undeclared is `Commit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Looks, inside the house.
    Read,
    /// A read whose argument leaves the house.
    Fetch,
    /// Changes something inside, reversibly.
    Write,
    /// Someone outside receives something.
    Outward,
    /// Binds: an order, a booking, a payment, a decision.
    Commit,
    /// Gives somebody a right.
    Grant,
    /// Creates or shows a credential.
    Credential,
    /// Cannot be taken back.
    Destroy,
}

impl Effect {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Fetch,
        Self::Write,
        Self::Outward,
        Self::Commit,
        Self::Grant,
        Self::Credential,
        Self::Destroy,
    ];

    /// The word for it in configuration, policy and record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Fetch => "fetch",
            Self::Write => "write",
            Self::Outward => "outward",
            Self::Commit => "commit",
            Self::Grant => "grant",
            Self::Credential => "credential",
            Self::Destroy => "destroy",
        }
    }

    /// Whether it only looks: its decision may be written without a sync before the call goes out.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Fetch)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is none of the eight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown effect `{0}`, hint: one of read, fetch, write, outward, commit, grant, credential, destroy")]
pub struct UnknownEffect(pub String);

impl FromStr for Effect {
    type Err = UnknownEffect;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|effect| effect.as_str() == word)
            .ok_or_else(|| UnknownEffect(word.to_owned()))
    }
}

/// An effect and whether repeating the call changes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impact {
    /// What the call does.
    pub effect: Effect,
    /// Whether a second identical call changes nothing more.
    pub idempotent: bool,
}

impl Impact {
    /// What holds where nobody has declared anything.
    pub const UNDECLARED: Self = Self {
        effect: Effect::Commit,
        idempotent: false,
    };

    /// A look: may be repeated.
    pub const READ: Self = Self {
        effect: Effect::Read,
        idempotent: true,
    };

    /// The record's four classes: `read`, `idempotent`, `destructive`, `write`.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match (self.effect, self.idempotent) {
            (Effect::Read | Effect::Fetch, _) => "read",
            (Effect::Destroy, _) => "destructive",
            (_, true) => "idempotent",
            (_, false) => "write",
        }
    }
}
