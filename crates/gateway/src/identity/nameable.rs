//! Whom a credential can stand for, as far as names tell, so that a policy which names somebody else can be told from one that
//! is met. It must not know policies, or what proves that somebody is who they are.

use super::subject::{Subject, SubjectKind};
use std::collections::BTreeSet;

/// What a name in a policy is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// A person.
    User,
    /// A program that acts for itself.
    Agent,
    /// A group of either.
    Group,
}

impl Party {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::User, Self::Agent, Self::Group];

    /// The entity type in policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Agent => "Agent",
            Self::Group => "Group",
        }
    }

    const fn of(kind: SubjectKind) -> Self {
        match kind {
            SubjectKind::User => Self::User,
            SubjectKind::Agent => Self::Agent,
        }
    }
}

/// How the names begin that an issuer's tokens give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerNames {
    /// The issuer, its exact `iss`.
    pub issuer: String,
    /// What its subjects are.
    pub kind: SubjectKind,
    /// The begin of each subject's name.
    pub subject_prefix: String,
    /// The begin of each group's name; `None` where its tokens give no groups.
    pub group_prefix: Option<String>,
}

/// The names that a credential can give at this moment: those of keys and the like one by one, those of tokens by how they begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nameable {
    users: BTreeSet<String>,
    agents: BTreeSet<String>,
    groups: BTreeSet<String>,
    issuers: Vec<IssuerNames>,
}

impl Nameable {
    /// The names of `subjects` and of all that `issuers` may name.
    #[must_use]
    pub fn new<'s>(subjects: impl IntoIterator<Item = &'s Subject>, mut issuers: Vec<IssuerNames>) -> Self {
        issuers.sort_by(|one, other| one.issuer.cmp(&other.issuer));
        let mut nameable = Self {
            issuers,
            ..Self::default()
        };
        for subject in subjects {
            let of_kind = match subject.kind() {
                SubjectKind::User => &mut nameable.users,
                SubjectKind::Agent => &mut nameable.agents,
            };
            of_kind.insert(subject.name().to_owned());
            nameable.groups.extend(subject.groups().iter().cloned());
        }
        nameable
    }

    /// Whether some credential can stand for a party of this name.
    #[must_use]
    pub fn has(&self, party: Party, name: &str) -> bool {
        let one_by_one = match party {
            Party::User => &self.users,
            Party::Agent => &self.agents,
            Party::Group => &self.groups,
        };
        one_by_one.contains(name) || self.prefixes(party).any(|prefix| name.starts_with(prefix))
    }

    /// How names of such parties begin that come from tokens, in the order of the issuers.
    pub fn prefixes(&self, party: Party) -> impl Iterator<Item = &str> {
        self.issuers.iter().filter_map(move |issuer| match party {
            Party::Group => issuer.group_prefix.as_deref(),
            of_kind => (Party::of(issuer.kind) == of_kind).then_some(issuer.subject_prefix.as_str()),
        })
    }

    /// The issuers, sorted.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().map(|issuer| issuer.issuer.as_str())
    }
}
