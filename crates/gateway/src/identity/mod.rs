//! Who is asking. A credential comes in, a [`Caller`] goes out; nothing behind this stage sees the credential, and no server
//! ever does (PROTOCOL 3.2, requirements 14 to 16). It must not know sessions, policy or the wire.

mod jwt;
mod keys;
mod subject;

pub use jwt::{Issuer, IssuerError, Issuers};
pub use keys::{KeyEntry, KeyFileError, Keys, NewKey};
pub use subject::{GROUPS_MAX, Method, NAME_BYTES_MAX, Subject, SubjectError, SubjectKind};

/// Proof that someone was authenticated. Only [`Identity::authenticate`] makes one: no `Clone`, no `Default`, no way to build it
/// from parts.
#[derive(Debug)]
pub struct Caller {
    subject: Subject,
}

impl Caller {
    /// Whom the credential stands for.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// What a transport knows of who asks. Nothing in it is trusted yet.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The value of the one `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// Whether the peer is this machine.
    pub peer_is_loopback: bool,
    /// Behind stdio: the user of the operating system that runs the host.
    pub os_user: Option<&'a str>,
    /// Now, in seconds since 1970.
    pub now_unix_s: u64,
}

/// Why nobody was authenticated. What the client reads names no key, no issuer of ours and no other caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is no credential.
    #[error("authentication required, hint: send `Authorization: Bearer KEY`; `portcullis key create NAME` makes one")]
    NoCredential,
    /// The header is no bearer token.
    #[error("the `Authorization` header is not `Bearer TOKEN`, hint: other schemes are not accepted")]
    Scheme,
    /// The token is neither a key of ours nor a signed token.
    #[error("the token is malformed")]
    Malformed,
    /// The key is unknown, revoked, or its secret is wrong: not told apart.
    #[error("the key is not valid, hint: `portcullis key list` shows those that are")]
    UnknownKey,
    /// The key or token is over.
    #[error("the credential has expired")]
    Expired,
    /// The token is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// No configured issuer made it, or its key is not known.
    #[error("the token's issuer or key is not known here")]
    UnknownIssuer,
    /// It is signed with an algorithm that this issuer may not use.
    #[error("the token's signature algorithm is not accepted")]
    Algorithm,
    /// The signature is wrong.
    #[error("the token's signature is not valid")]
    Signature,
    /// It was made for somebody else.
    #[error("the token was not issued for this gateway")]
    Audience,
    /// A claim that must be there is missing or of the wrong type.
    #[error("the token lacks a claim that is needed")]
    Claims,
    /// `identity.anonymous` is for this machine alone.
    #[error("authentication required: anonymous callers are taken from this machine only")]
    NotLoopback,
}

impl IdentityError {
    /// The value of `WWW-Authenticate` (RFC 6750 section 3).
    #[must_use]
    pub const fn challenge(&self) -> &'static str {
        match self {
            Self::NoCredential | Self::NotLoopback | Self::Scheme => "Bearer realm=\"portcullis\"",
            _ => "Bearer realm=\"portcullis\", error=\"invalid_token\"",
        }
    }
}

/// The ways in, as configured.
#[derive(Debug)]
pub struct Identity {
    keys: Keys,
    issuers: Issuers,
    anonymous: Option<Subject>,
}

impl Identity {
    /// The keys in force, the issuers that are trusted, and the name that a caller without a credential goes by, on this
    /// machine.
    ///
    /// # Errors
    /// An `anonymous` that is no name.
    pub fn new(keys: Keys, issuers: Issuers, anonymous: Option<&str>) -> Result<Self, SubjectError> {
        let anonymous = anonymous
            .map(|name| Subject::new(SubjectKind::User, name, [], Method::Anonymous, None))
            .transpose()?;
        Ok(Self {
            keys,
            issuers,
            anonymous,
        })
    }

    /// Authenticates one message. A credential that is sent must be valid: it never falls back to anonymous.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn authenticate(&self, presented: Presented<'_>) -> Result<Caller, IdentityError> {
        let subject = match (presented.authorization, presented.os_user, &self.anonymous) {
            (Some(header), ..) => self.bearer(token_of(header)?, presented.now_unix_s)?,
            (None, Some(user), _) => {
                Subject::new(SubjectKind::User, user, [], Method::OsUser, None).map_err(|_| IdentityError::Malformed)?
            }
            (None, None, Some(anonymous)) if presented.peer_is_loopback => anonymous.clone(),
            (None, None, Some(_)) => return Err(IdentityError::NotLoopback),
            (None, None, None) => return Err(IdentityError::NoCredential),
        };
        Ok(Caller { subject })
    }

    fn bearer(&self, token: &str, now_unix_s: u64) -> Result<Subject, IdentityError> {
        match token.starts_with(keys::PREFIX) {
            true => self.keys.verify(token, now_unix_s),
            false => self.issuers.verify(token, now_unix_s),
        }
    }
}

/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

fn token_of(header: &[u8]) -> Result<&str, IdentityError> {
    let text = std::str::from_utf8(header).map_err(|_| IdentityError::Malformed)?;
    let (scheme, token) = text.trim().split_once(' ').ok_or(IdentityError::Scheme)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(IdentityError::Scheme);
    }
    let token = token.trim();
    match token.is_empty() || token.len() > TOKEN_BYTES_MAX || token.contains(char::is_whitespace) {
        true => Err(IdentityError::Malformed),
        false => Ok(token),
    }
}

/// Counts failed authentications, so that a stranger costs one record a window and not one a try.
#[derive(Debug, Default)]
pub struct Failures {
    window: u64,
    count: u64,
}

impl Failures {
    /// Length of a window, in seconds.
    pub const WINDOW_S: u64 = 60;

    /// Counts one. `Some` with the failures of the window before (this one alone, the first time) when a record is due.
    pub const fn observe(&mut self, now_unix_s: u64) -> Option<u64> {
        let window = now_unix_s / Self::WINDOW_S;
        if window == self.window {
            self.count = self.count.saturating_add(1);
            return None;
        }
        let due = self.count.saturating_add(1);
        self.window = window;
        self.count = 0;
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(authorization: Option<&'static [u8]>) -> Presented<'static> {
        Presented {
            authorization,
            peer_is_loopback: true,
            os_user: None,
            now_unix_s: 1_800_000_000,
        }
    }

    fn identity(anonymous: Option<&str>) -> (Identity, String) {
        let mut keys = Keys::default();
        let made = keys.create("ana", SubjectKind::User, &["tellers".to_owned()], None, 1_800_000_000).unwrap();
        (
            Identity::new(keys, Issuers::default(), anonymous).unwrap(),
            made.danger_secret().to_owned(),
        )
    }

    #[test]
    fn a_key_of_ours_is_its_owner() {
        let (identity, key) = identity(None);
        let header = format!("Bearer {key}");
        let presented = Presented {
            authorization: Some(header.as_bytes()),
            ..presented(None)
        };
        let caller = identity.authenticate(presented).unwrap();
        assert_eq!(caller.subject().name(), "ana");
        assert_eq!(caller.subject().groups(), ["tellers"]);
        assert_eq!(caller.subject().method(), Method::Key);
    }

    #[test]
    fn bad_headers_are_refused_each_for_its_reason() {
        let (identity, key) = identity(Some("guest"));
        let mut wrong = key.clone();
        wrong.pop();
        wrong.push(if key.ends_with('A') { 'B' } else { 'A' });
        let cases: Vec<(String, IdentityError)> = vec![
            ("Basic dXNlcjpwYXNz".into(), IdentityError::Scheme),
            ("Bearer".into(), IdentityError::Scheme),
            ("Bearer  ".into(), IdentityError::Scheme),
            (key.clone(), IdentityError::Scheme),
            (format!("Bearer {key} {key}"), IdentityError::Malformed),
            (format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1)), IdentityError::Malformed),
            (format!("Bearer {wrong}"), IdentityError::UnknownKey),
            ("Bearer pk_nobody_AAAA".into(), IdentityError::UnknownKey),
            ("Bearer pk_".into(), IdentityError::Malformed),
            ("Bearer not.a.token".into(), IdentityError::Malformed),
            ("Bearer abc".into(), IdentityError::Malformed),
        ];
        for (header, expected) in cases {
            let presented = Presented {
                authorization: Some(header.as_bytes()),
                ..presented(None)
            };
            // A bad credential never falls back to anonymous.
            assert_eq!(identity.authenticate(presented).unwrap_err(), expected, "{header:.40}");
        }
    }

    #[test]
    fn anonymous_is_for_this_machine_alone() {
        let (with, _) = identity(Some("guest"));
        let caller = with.authenticate(presented(None)).unwrap();
        assert_eq!(caller.subject().method(), Method::Anonymous);
        let far = Presented {
            peer_is_loopback: false,
            ..presented(None)
        };
        assert_eq!(with.authenticate(far).unwrap_err(), IdentityError::NotLoopback);
        let (without, _) = identity(None);
        assert_eq!(without.authenticate(presented(None)).unwrap_err(), IdentityError::NoCredential);
    }

    #[test]
    fn behind_stdio_the_caller_is_the_systems_user() {
        let (identity, _) = identity(None);
        let caller = identity
            .authenticate(Presented {
                os_user: Some("ana"),
                ..presented(None)
            })
            .unwrap();
        assert_eq!(caller.subject().method(), Method::OsUser);
    }

    #[test]
    fn failures_are_one_record_a_window() {
        let mut failures = Failures::default();
        assert_eq!(failures.observe(6_000), Some(1));
        assert_eq!(failures.observe(6_001), None);
        assert_eq!(failures.observe(6_059), None);
        assert_eq!(failures.observe(6_060), Some(3));
        assert_eq!(failures.observe(6_061), None);
    }
}
