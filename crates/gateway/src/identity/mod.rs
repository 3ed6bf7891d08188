//! Who is asking: the identity stage. One function, [`Identity::authenticate`], looks at what was presented and mints a
//! [`Caller`], and nothing else can. It must not know policy, what is asked, or where credentials go afterwards: nowhere.

mod failures;
mod jwt;
mod keys;
mod nameable;
mod subject;
#[cfg(test)]
mod tests;

pub use failures::Failures;
pub use jwt::{IssuerConfig, IssuerError, Issuers, TOKEN_BYTES_MAX, TokenError, share_names};
pub use keys::{CreatedKey, KEY_PREFIX, KeyFile, KeyFileError, KeyInfo, KeyRing, NewKey};
pub use nameable::{IssuerNames, Nameable, Party};
pub use subject::{GROUPS_MAX, ISSUER_BYTES_MAX, Method, NAME_BYTES_MAX, Subject, SubjectError, SubjectKind};

use arc_swap::ArcSwap;
use keys::KeyCheck;
use std::fmt;
use std::sync::Arc;

/// Proof that someone was authenticated. Only [`Identity::authenticate`] makes one.
#[derive(Debug)]
pub struct Caller {
    subject: Arc<Subject>,
}

impl Caller {
    /// Whom the credential stands for.
    #[must_use]
    pub const fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }
}

/// What a connection shows of who is behind it.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The value of the `Authorization` header. A request with two such headers is the transport's to refuse.
    pub authorization: Option<&'a [u8]>,
    /// Whether the connection comes from this machine.
    pub peer_is_loopback: bool,
    /// Behind stdio: the user of the operating system.
    pub os_user: Option<&'a str>,
    /// Seconds since 1970.
    pub now_unix_s: u64,
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("authorization", &self.authorization.map(|_| ".."))
            .field("peer_is_loopback", &self.peer_is_loopback)
            .field("os_user", &self.os_user)
            .finish_non_exhaustive()
    }
}

/// Why somebody is not let in. The texts may go to the client: none quotes what was presented.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Nothing was presented.
    #[error("a credential is required, hint: send `Authorization: Bearer` with an API key or a token")]
    Missing,
    /// The header has another scheme than Bearer.
    #[error("the authorization scheme is not accepted, hint: it is `Bearer`")]
    Scheme,
    /// The header is not written as one, or holds something that is neither key nor token.
    #[error("the credential is malformed, hint: one `Bearer` and one API key or token")]
    Malformed,
    /// No such key.
    #[error("the API key is not valid, hint: it may have been revoked; `portcullis key create` makes one")]
    KeyUnknown,
    /// The key has ended.
    #[error("the API key has expired, hint: `portcullis key create` makes one")]
    KeyExpired,
    /// Tokens are presented and no issuer is configured.
    #[error("no issuer of tokens is configured, hint: use an API key")]
    NoIssuer,
    /// The token is refused.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Callers without a credential are let in from this machine alone.
    #[error("a credential is required from another machine, hint: send `Authorization: Bearer` with an API key")]
    AnonymousElsewhere,
    /// The name of the operating system's user cannot be used.
    #[error("the name of the operating system's user cannot be used")]
    OsUser,
}

impl IdentityError {
    /// A stable word for counters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::Scheme => "scheme_unknown",
            Self::Malformed => "credential_malformed",
            Self::KeyUnknown => "key_unknown",
            Self::KeyExpired => "key_expired",
            Self::NoIssuer => "issuer_none",
            Self::Token(TokenError::Malformed) => "token_malformed",
            Self::Token(TokenError::TooLong) => "token_too_long",
            Self::Token(TokenError::Algorithm) => "token_algorithm",
            Self::Token(TokenError::Kind) => "token_kind",
            Self::Token(TokenError::Issuer) => "token_issuer",
            Self::Token(TokenError::Key) => "token_key",
            Self::Token(TokenError::Signature) => "token_signature",
            Self::Token(TokenError::Expired) => "token_expired",
            Self::Token(TokenError::NotYetValid) => "token_not_yet_valid",
            Self::Token(TokenError::Audience) => "token_audience",
            Self::Token(TokenError::Claim(_)) => "token_claim",
            Self::Token(TokenError::Subject) => "token_subject",
            Self::AnonymousElsewhere => "anonymous_elsewhere",
            Self::OsUser => "os_user_unusable",
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 3): without an error code where nothing was presented.
    #[must_use]
    pub fn challenge(&self) -> String {
        const REALM: &str = "Bearer realm=\"portcullis\"";
        match self {
            Self::Missing | Self::Scheme | Self::AnonymousElsewhere | Self::OsUser => REALM.to_owned(),
            Self::Malformed => format!("{REALM}, error=\"invalid_request\""),
            Self::KeyUnknown | Self::KeyExpired | Self::NoIssuer | Self::Token(_) => {
                format!("{REALM}, error=\"invalid_token\"")
            }
        }
    }
}

/// Why the ways in cannot be as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityConfigError {
    /// Callers without a credential would be let in from other machines.
    #[error(
        "`identity.anonymous` lets anybody in who can reach a listener, and one is not on loopback, hint: listen on 127.0.0.1, or take it out"
    )]
    AnonymousExposed,
    /// Their name cannot be used.
    #[error("`identity.anonymous`: {0}")]
    AnonymousName(#[from] SubjectError),
}

/// Everybody who may come in, and how.
#[derive(Debug)]
pub struct Identity {
    keys: ArcSwap<KeyRing>,
    issuers: Issuers,
    anonymous: Option<Arc<Subject>>,
}

impl Identity {
    /// Puts other keys in force, and leaves all else as it is.
    pub fn replace_keys(&self, keys: KeyRing) {
        self.keys.store(Arc::new(keys));
    }

    /// The ways in: API keys, tokens of issuers, and callers without a credential under the name `anonymous`, who must come from
    /// this machine. `listeners_are_loopback` says that no listener can be reached from elsewhere.
    ///
    /// # Errors
    /// When `anonymous` is given and cannot be used.
    pub fn new(
        keys: KeyRing,
        issuers: Issuers,
        anonymous: Option<&str>,
        listeners_are_loopback: bool,
    ) -> Result<Self, IdentityConfigError> {
        let anonymous = match anonymous {
            Some(_) if !listeners_are_loopback => return Err(IdentityConfigError::AnonymousExposed),
            Some(name) => Some(Arc::new(Subject::new(
                SubjectKind::User,
                name,
                [],
                Method::Anonymous,
                None,
            )?)),
            None => None,
        };
        Ok(Self {
            keys: ArcSwap::from_pointee(keys),
            issuers,
            anonymous,
        })
    }

    /// Subjects that a credential without an issuer stands for and that an issuer's tokens may name, too, each with that issuer:
    /// for policy they are one principal. Nothing of an issuer with its default prefix is among them by chance.
    #[must_use]
    pub fn shared(&self) -> Vec<(String, String)> {
        let keys = self.keys.load();
        let anonymous = self.anonymous.as_deref();
        let mut shared: Vec<(String, String)> = keys
            .subjects()
            .chain(anonymous)
            .filter_map(|subject| {
                Some((
                    subject.principal().to_string(),
                    self.issuers.naming(subject)?.to_owned(),
                ))
            })
            .collect();
        shared.sort_unstable();
        shared.dedup();
        shared
    }

    /// The names that a credential can give, for the check of policies. Whoever the operating system names is not among them.
    #[must_use]
    pub fn nameable(&self) -> Nameable {
        let keys = self.keys.load();
        Nameable::new(keys.subjects().chain(self.anonymous.as_deref()), self.issuers.names())
    }

    /// Finds out who is asking. A credential that is presented must be good: a bad one is never taken for none.
    ///
    /// # Errors
    /// When nobody that is known is.
    pub fn authenticate(&self, presented: Presented<'_>) -> Result<Caller, IdentityError> {
        if let Some(header) = presented.authorization {
            let subject = self.bearer(credential(header)?, presented.now_unix_s)?;
            return Ok(Caller { subject });
        }
        if let Some(name) = presented.os_user {
            let subject = Subject::new(SubjectKind::User, name, [], Method::OsUser, None);
            let subject = Arc::new(subject.map_err(|_| IdentityError::OsUser)?);
            return Ok(Caller { subject });
        }
        match &self.anonymous {
            Some(subject) if presented.peer_is_loopback => Ok(Caller {
                subject: Arc::clone(subject),
            }),
            Some(_) => Err(IdentityError::AnonymousElsewhere),
            None => Err(IdentityError::Missing),
        }
    }

    /// A key has our prefix, a token has dots; nothing is both.
    fn bearer(&self, credential: &[u8], now_unix_s: u64) -> Result<Arc<Subject>, IdentityError> {
        if credential.starts_with(KEY_PREFIX.as_bytes()) {
            return match self.keys.load().check(credential, now_unix_s) {
                KeyCheck::Is(subject) => Ok(subject),
                KeyCheck::Malformed => Err(IdentityError::Malformed),
                KeyCheck::Unknown => Err(IdentityError::KeyUnknown),
                KeyCheck::Expired => Err(IdentityError::KeyExpired),
            };
        }
        if !credential.contains(&b'.') {
            return Err(IdentityError::Malformed);
        }
        if self.issuers.is_empty() {
            return Err(IdentityError::NoIssuer);
        }
        Ok(self.issuers.check(credential, now_unix_s)?)
    }
}

/// The one credential of `Bearer <credential>` (RFC 6750 2.1; the scheme in any case, RFC 9110 11.1).
fn credential(header: &[u8]) -> Result<&[u8], IdentityError> {
    let end = header.iter().position(|byte| *byte == b' ').unwrap_or(header.len());
    let (scheme, rest) = header.split_at_checked(end).ok_or(IdentityError::Malformed)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(IdentityError::Scheme);
    }
    let credential = rest.trim_ascii();
    // The characters of `b64token`. A comma or a space would be a second credential, or two headers made one.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    match !credential.is_empty() && credential.iter().all(plain) {
        true => Ok(credential),
        false => Err(IdentityError::Malformed),
    }
}
