//! Whom a credential stands for: kind, name, groups, and how they proved it. Plain data that anyone may make, for example to
//! ask "what if"; it proves nothing. It must not know credentials, policy or the wire.

use aws_lc_rs::digest;
use std::fmt;
use std::sync::Arc;

/// Longest name of a subject, group or client, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Most groups of one subject.
pub const GROUPS_MAX: usize = 256;
/// Longest name of an issuer of tokens, in bytes.
pub const ISSUER_BYTES_MAX: usize = 2_048;

/// What sort of party a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// A person, or a program that acts as one.
    User,
    /// A program that acts for itself.
    Agent,
}

impl SubjectKind {
    /// The word for it in key files, claims and the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
        }
    }
}

/// How a subject was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// An API key of ours.
    Key,
    /// A signed token of a configured issuer.
    Jwt,
    /// The operating system says who runs the process (stdio).
    OsUser,
    /// Nobody asked: a loopback listener with `identity.anonymous`.
    Anonymous,
}

impl Method {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Key, Self::Jwt, Self::OsUser, Self::Anonymous];

    /// The word for it in policy and record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Jwt => "jwt",
            Self::OsUser => "os_user",
            Self::Anonymous => "anonymous",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom a credential stands for. Groups are sorted and without duplicates, so that equal subjects are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    kind: SubjectKind,
    name: String,
    groups: Vec<String>,
    method: Method,
    client: Option<String>,
    issuer: Option<String>,
    /// Made once: every call is recorded under it.
    principal: Arc<str>,
    digest: [u8; 32],
}

/// A subject that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The name, a group, the client or the issuer is empty.
    #[error("the {0} is empty, hint: give it at least one character")]
    Empty(&'static str),
    /// The name, a group, the client or the issuer is too long.
    #[error("the {0} has more than {1} bytes, hint: shorten it")]
    TooLong(&'static str, usize),
    /// The name, a group, the client or the issuer holds a control character.
    #[error("the {0} holds a control character, hint: take it out")]
    Control(&'static str),
    /// Too many groups.
    #[error("{0} groups are more than {GROUPS_MAX}, hint: have the issuer send only those that policy needs")]
    TooManyGroups(usize),
}

impl Subject {
    /// Makes a subject from its parts.
    ///
    /// # Errors
    /// When a part is empty, longer than [`NAME_BYTES_MAX`], holds a control character, or there are too many groups.
    pub fn new(
        kind: SubjectKind,
        name: impl Into<String>,
        groups: impl IntoIterator<Item = String>,
        method: Method,
        client: Option<String>,
    ) -> Result<Self, SubjectError> {
        let name = name.into();
        let mut groups: Vec<String> = groups.into_iter().collect();
        if groups.len() > GROUPS_MAX {
            return Err(SubjectError::TooManyGroups(groups.len()));
        }
        groups.sort_unstable();
        groups.dedup();
        checked("name", &name)?;
        for group in &groups {
            checked("group", group)?;
        }
        if let Some(client) = &client {
            checked("client", client)?;
        }
        let subject = Self {
            principal: format!("{}:{name}", kind.as_str()).into(),
            kind,
            name,
            groups,
            method,
            client,
            issuer: None,
            digest: [0; 32],
        };
        Ok(subject.digested())
    }

    /// The same, known by a token of `issuer`.
    ///
    /// # Errors
    /// When `issuer` is empty, longer than [`ISSUER_BYTES_MAX`], or holds a control character.
    pub fn issued_by(mut self, issuer: &str) -> Result<Self, SubjectError> {
        checked_to("issuer", issuer, ISSUER_BYTES_MAX)?;
        self.issuer = Some(issuer.to_owned());
        Ok(self.digested())
    }

    /// Every part goes in with its length before it, so that no two different subjects hash the same bytes.
    fn digested(mut self) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut part = |text: &str| {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        };
        part(self.kind.as_str());
        part(&self.name);
        part(self.method.as_str());
        // Neither may be empty, so that an empty part is none.
        part(self.client.as_deref().unwrap_or(""));
        part(self.issuer.as_deref().unwrap_or(""));
        for group in &self.groups {
            part(group);
        }
        for (to, from) in self.digest.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        self
    }

    /// Person or program.
    #[must_use]
    pub const fn kind(&self) -> SubjectKind {
        self.kind
    }

    /// The name within its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups, sorted.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// How the subject was authenticated.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The client program that the credential was issued to, where the credential says so.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The issuer of the token that was shown, its exact `iss`; `None` where there was no token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `user:NAME` or `agent:NAME`: what sessions, tasks and records are bound to.
    #[must_use]
    pub const fn principal(&self) -> &Arc<str> {
        &self.principal
    }

    /// SHA-256 over all of the above: two subjects with the same digest are the same subject, so that it may key a cache of
    /// decisions.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

fn checked(part: &'static str, text: &str) -> Result<(), SubjectError> {
    checked_to(part, text, NAME_BYTES_MAX)
}

fn checked_to(part: &'static str, text: &str, bytes_max: usize) -> Result<(), SubjectError> {
    if text.is_empty() {
        return Err(SubjectError::Empty(part));
    }
    if text.len() > bytes_max {
        return Err(SubjectError::TooLong(part, bytes_max));
    }
    if text.chars().any(char::is_control) {
        return Err(SubjectError::Control(part));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, groups: &[&str]) -> Result<Subject, SubjectError> {
        let groups = groups.iter().map(|group| (*group).to_owned());
        Subject::new(SubjectKind::User, name, groups, Method::Key, None)
    }

    #[test]
    fn groups_are_a_set() {
        let subject = user("ana", &["b", "a", "b"]).unwrap();
        assert_eq!(subject.groups(), ["a", "b"]);
        assert_eq!(subject.digest(), user("ana", &["a", "b"]).unwrap().digest());
    }

    #[test]
    fn the_digest_tells_every_part_apart() {
        let base = user("ana", &["a"]).unwrap();
        let others = [
            user("ana", &["aa"]).unwrap(),
            user("anaa", &[]).unwrap(),
            user("an", &["aa"]).unwrap(),
            Subject::new(SubjectKind::Agent, "ana", ["a".to_owned()], Method::Key, None).unwrap(),
            Subject::new(SubjectKind::User, "ana", ["a".to_owned()], Method::Jwt, None).unwrap(),
            Subject::new(
                SubjectKind::User,
                "ana",
                ["a".to_owned()],
                Method::Key,
                Some("a".to_owned()),
            )
            .unwrap(),
            user("ana", &["a"]).unwrap().issued_by("a").unwrap(),
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(base.digest(), other.digest(), "{other:?}");
            assert!(
                others
                    .iter()
                    .skip(place + 1)
                    .all(|next| next.digest() != other.digest())
            );
        }
    }

    #[test]
    fn impossible_subjects_are_refused() {
        assert_eq!(user("", &[]), Err(SubjectError::Empty("name")));
        assert_eq!(user("a\nb", &[]), Err(SubjectError::Control("name")));
        assert_eq!(
            user(&"x".repeat(257), &[]),
            Err(SubjectError::TooLong("name", NAME_BYTES_MAX))
        );
        assert_eq!(user("ana", &[""]), Err(SubjectError::Empty("group")));
        let issued = |issuer: &str| user("ana", &[]).unwrap().issued_by(issuer).map(drop);
        assert_eq!(issued(""), Err(SubjectError::Empty("issuer")));
        assert_eq!(issued("a\nb"), Err(SubjectError::Control("issuer")));
        assert_eq!(issued(&"x".repeat(2_049)), Err(SubjectError::TooLong("issuer", 2_048)));
        assert_eq!(issued(&"x".repeat(2_048)), Ok(()));
        let many: Vec<String> = (0..257).map(|n| n.to_string()).collect();
        assert_eq!(
            Subject::new(SubjectKind::User, "ana", many, Method::Key, None),
            Err(SubjectError::TooManyGroups(257))
        );
    }
}
