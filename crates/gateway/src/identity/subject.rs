//! Whom a credential stands for: kind, name, groups, and how they proved it. Plain data that anyone may make, for example to
//! ask "what if"; it proves nothing. It must not know credentials, policy or the wire.

use aws_lc_rs::digest;
use std::fmt;

/// Longest name of a subject, group or client, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Most groups of one subject.
pub const GROUPS_MAX: usize = 256;

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
    digest: [u8; 32],
}

/// A subject that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The name, a group or the client is empty.
    #[error("the {0} is empty, hint: give it at least one character")]
    Empty(&'static str),
    /// The name, a group or the client is too long.
    #[error("the {0} has more than {NAME_BYTES_MAX} bytes, hint: shorten it")]
    TooLong(&'static str),
    /// The name, a group or the client holds a control character.
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
        let digest = digest_of(kind, &name, &groups, method, client.as_deref());
        Ok(Self {
            kind,
            name,
            groups,
            method,
            client,
            digest,
        })
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

    /// SHA-256 over all of the above: two subjects with the same digest are the same subject, so that it may key a cache of
    /// decisions.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

fn checked(part: &'static str, text: &str) -> Result<(), SubjectError> {
    if text.is_empty() {
        return Err(SubjectError::Empty(part));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(SubjectError::TooLong(part));
    }
    if text.chars().any(char::is_control) {
        return Err(SubjectError::Control(part));
    }
    Ok(())
}

/// Every part goes in with its length before it, so that no two different subjects hash the same bytes.
fn digest_of(kind: SubjectKind, name: &str, groups: &[String], method: Method, client: Option<&str>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |text: &str| {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    };
    part(kind.as_str());
    part(name);
    part(method.as_str());
    part(client.map_or("", |_| "client"));
    part(client.unwrap_or(""));
    for group in groups {
        part(group);
    }
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    bytes
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
        ];
        for other in others {
            assert_ne!(base.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn impossible_subjects_are_refused() {
        assert_eq!(user("", &[]), Err(SubjectError::Empty("name")));
        assert_eq!(user("a\nb", &[]), Err(SubjectError::Control("name")));
        assert_eq!(user(&"x".repeat(257), &[]), Err(SubjectError::TooLong("name")));
        assert_eq!(user("ana", &[""]), Err(SubjectError::Empty("group")));
        let many: Vec<String> = (0..257).map(|n| n.to_string()).collect();
        assert_eq!(
            Subject::new(SubjectKind::User, "ana", many, Method::Key, None),
            Err(SubjectError::TooManyGroups(257))
        );
    }
}
