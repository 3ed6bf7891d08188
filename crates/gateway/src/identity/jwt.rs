//! Signed tokens of configured issuers (RFC 7519, best practices of RFC 8725): checked against a set of public keys that is
//! given, never fetched; the algorithm is chosen by configuration, never by the token. It must not know API keys, policy or the
//! wire.

use super::nameable::IssuerNames;
use super::subject::{Method, Subject, SubjectKind};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far our clock and an issuer's may be apart, in seconds.
const LEEWAY_S: u64 = 30;
/// Most verified tokens that are remembered.
const REMEMBERED_MAX: usize = 4_096;
/// Parts that are locked apart.
const SHARDS: usize = 16;
/// Largest key set, in bytes.
const JWKS_BYTES_MAX: usize = 1 << 20;
/// Most keys of one issuer.
const JWKS_KEYS_MAX: usize = 64;

/// An issuer as configured.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// The exact `iss`.
    pub issuer: String,
    /// The `aud`s that mean this gateway: one of them must be in the token.
    pub audiences: Vec<String>,
    /// Names of the algorithms that are accepted, such as `ES256`.
    pub algorithms: Vec<String>,
    /// The issuer's key set, as JSON.
    pub jwks: String,
    /// The claim that names the subject; `sub` by default.
    pub subject_claim: String,
    /// The claim that lists the groups; `groups` by default. Names may be nested: `realm_access.roles`.
    pub groups_claim: String,
    /// Put before every subject's name. Of two issuers neither may have a prefix that begins with the other's, so that they
    /// cannot both name the same subject. Empty: its subjects have the names of API keys.
    pub subject_prefix: String,
    /// The same for groups.
    pub group_prefix: String,
    /// What its subjects are.
    pub subject_kind: SubjectKind,
}

impl Default for IssuerConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audiences: Vec::new(),
            algorithms: vec!["ES256".to_owned(), "EdDSA".to_owned(), "RS256".to_owned()],
            jwks: String::new(),
            subject_claim: "sub".to_owned(),
            groups_claim: "groups".to_owned(),
            subject_prefix: String::new(),
            group_prefix: String::new(),
            subject_kind: SubjectKind::User,
        }
    }
}

/// Why an issuer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Something that must be there is not.
    #[error("issuer `{issuer}` has no {what}, hint: {hint}")]
    Missing {
        /// Which issuer.
        issuer: String,
        /// What is missing.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// An algorithm is unknown, or must not be used.
    #[error(
        "issuer `{issuer}`: algorithm `{algorithm}` is not accepted, hint: use ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384 or RS512"
    )]
    Algorithm {
        /// Which issuer.
        issuer: String,
        /// What was written.
        algorithm: String,
    },
    /// The key set cannot be used.
    #[error("issuer `{issuer}`: the key set cannot be used: {reason}")]
    Keys {
        /// Which issuer.
        issuer: String,
        /// Why.
        reason: String,
    },
    /// Two issuers could name the same subject.
    #[error(
        "issuers `{one}` and `{other}` could name the same subject, hint: give each a `subject_prefix`, neither of which begins with the other"
    )]
    Shared {
        /// One.
        one: String,
        /// The other.
        other: String,
    },
    /// Two issuers have the same name.
    #[error("issuer `{0}` is there twice, hint: put the keys and audiences into one")]
    Twice(String),
}

/// Why a token is refused. The texts may go to the client: none quotes the token or says more than its owner knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not written as a signed token is.
    #[error("the token is malformed")]
    Malformed,
    /// It is too long.
    #[error("the token has more than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Its algorithm is not one that its issuer is configured for.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// It demands an extension, or is a token for something else.
    #[error("the token is of a kind that is not accepted")]
    Kind,
    /// Nobody that is configured issued it.
    #[error("the token's issuer is not known")]
    Issuer,
    /// The key that it names is not in its issuer's key set.
    #[error("the token's key is not known")]
    Key,
    /// The signature is not of that key.
    #[error("the token's signature is wrong")]
    Signature,
    /// It is over.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// A claim that must be there is not, or has the wrong type.
    #[error("the token lacks the claim `{0}`, or it has the wrong type")]
    Claim(&'static str),
    /// The subject or its groups cannot be used as such.
    #[error("the token's subject cannot be used")]
    Subject,
}

/// All issuers, and the tokens of theirs that were verified before.
#[derive(Debug)]
pub struct Issuers {
    by_name: HashMap<String, Issuer>,
    remembered: Vec<Mutex<Remembered>>,
}

/// Verified tokens by SHA-256, oldest out. The token itself is not kept.
#[derive(Debug, Default)]
struct Remembered {
    by_digest: HashMap<[u8; 32], Verified>,
    order: VecDeque<[u8; 32]>,
}

#[derive(Debug, Clone)]
struct Verified {
    subject: Arc<Subject>,
    expires_unix_s: u64,
}

struct Issuer {
    config: IssuerConfig,
    algorithms: Vec<Algorithm>,
    keys: Vec<Key>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer({}, {} keys)", self.config.issuer, self.keys.len())
    }
}

struct Key {
    id: Option<String>,
    /// The algorithms that this key may be used with here.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Issuers {
    /// The issuers as configured.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn new(configs: Vec<IssuerConfig>) -> Result<Self, IssuerError> {
        let mut by_name: HashMap<String, Issuer> = HashMap::new();
        for config in configs {
            if by_name.contains_key(&config.issuer) {
                return Err(IssuerError::Twice(config.issuer));
            }
            let shared = by_name
                .values()
                .find(|other| share_names(&other.config.subject_prefix, &config.subject_prefix));
            if let Some(other) = shared {
                return Err(IssuerError::Shared {
                    one: other.config.issuer.clone(),
                    other: config.issuer,
                });
            }
            by_name.insert(config.issuer.clone(), Issuer::new(config)?);
        }
        Ok(Self {
            by_name,
            remembered: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
        })
    }

    /// The issuer whose tokens may name a subject of this kind and name, too.
    pub(super) fn naming(&self, subject: &Subject) -> Option<&str> {
        let naming = |issuer: &&Issuer| {
            issuer.config.subject_kind == subject.kind() && subject.name().starts_with(&issuer.config.subject_prefix)
        };
        self.by_name
            .values()
            .find(naming)
            .map(|issuer| issuer.config.issuer.as_str())
    }

    /// How the names begin that each gives.
    pub(super) fn names(&self) -> Vec<IssuerNames> {
        let issuers = self.by_name.values().map(|issuer| &issuer.config);
        issuers
            .map(|config| IssuerNames {
                issuer: config.issuer.clone(),
                kind: config.subject_kind,
                subject_prefix: config.subject_prefix.clone(),
                group_prefix: (!config.groups_claim.is_empty()).then(|| config.group_prefix.clone()),
            })
            .collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The subject of a token that is valid now.
    pub(super) fn check(&self, token: &[u8], now_unix_s: u64) -> Result<Arc<Subject>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let digest = sha256(token);
        let shard = self
            .remembered
            .get(usize::from(digest.first().copied().unwrap_or(0)) % SHARDS);
        if let Some(shard) = shard {
            let remembered = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(verified) = remembered.by_digest.get(&digest) {
                return match is_over(verified.expires_unix_s, now_unix_s) {
                    true => Err(TokenError::Expired),
                    false => Ok(Arc::clone(&verified.subject)),
                };
            }
        }
        let verified = self.verify(token, now_unix_s)?;
        if let Some(shard) = shard {
            let mut remembered = shard.lock().unwrap_or_else(PoisonError::into_inner);
            remembered.keep(digest, verified.clone());
        }
        Ok(verified.subject)
    }

    #[cfg(test)]
    pub(super) fn remembered_count(&self) -> usize {
        self.remembered
            .iter()
            .map(|shard| shard.lock().unwrap().by_digest.len())
            .sum()
    }

    #[cfg(test)]
    pub(super) fn forget(&self) {
        for shard in &self.remembered {
            *shard.lock().unwrap() = Remembered::default();
        }
    }

    fn verify(&self, token: &[u8], now_unix_s: u64) -> Result<Verified, TokenError> {
        let token = std::str::from_utf8(token).map_err(|_| TokenError::Malformed)?;
        let parts: Vec<&str> = token.splitn(4, '.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err(TokenError::Malformed);
        };
        let header = object(header)?;
        let algorithm = accepted_header(&header)?;
        let claims = object(claims)?;

        // Unverified until the signature is checked below: it only says whose keys to check it with.
        let name = claims
            .get("iss")
            .and_then(Value::as_str)
            .ok_or(TokenError::Claim("iss"))?;
        let issuer = self.by_name.get(name).ok_or(TokenError::Issuer)?;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        let key = issuer.key(header.get("kid"), algorithm)?;
        let signed_len = token.len().saturating_sub(signature.len()).saturating_sub(1);
        let signed = token.get(..signed_len).unwrap_or_default();
        match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key.key, algorithm) {
            Ok(true) => issuer.accept(&claims, now_unix_s),
            _ => Err(TokenError::Signature),
        }
    }
}

impl Remembered {
    fn keep(&mut self, digest: [u8; 32], verified: Verified) {
        if self.by_digest.insert(digest, verified).is_none() {
            self.order.push_back(digest);
        }
        while self.order.len() > REMEMBERED_MAX / SHARDS {
            if let Some(oldest) = self.order.pop_front() {
                self.by_digest.remove(&oldest);
            }
        }
    }
}

impl Issuer {
    fn new(config: IssuerConfig) -> Result<Self, IssuerError> {
        let missing = |what, hint| IssuerError::Missing {
            issuer: config.issuer.clone(),
            what,
            hint,
        };
        if config.issuer.is_empty() {
            return Err(missing("name", "write the exact `iss` of its tokens"));
        }
        if config.audiences.iter().all(String::is_empty) {
            return Err(missing("audience", "write the `aud` that means this gateway"));
        }
        if config.algorithms.is_empty() {
            return Err(missing("algorithm", "write those that it signs with, such as ES256"));
        }
        let algorithms: Vec<Algorithm> = config
            .algorithms
            .iter()
            .map(|name| {
                accepted_algorithm(name).ok_or_else(|| IssuerError::Algorithm {
                    issuer: config.issuer.clone(),
                    algorithm: name.clone(),
                })
            })
            .collect::<Result<_, _>>()?;
        let keys = keys_of(&config.jwks, &algorithms).map_err(|reason| IssuerError::Keys {
            issuer: config.issuer.clone(),
            reason,
        })?;
        Ok(Self {
            config,
            algorithms,
            keys,
        })
    }

    /// The key that a token names; without a name, the only one that there can be.
    fn key(&self, id: Option<&Value>, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        match id {
            Some(Value::String(id)) => fitting.find(|key| key.id.as_deref() == Some(id)).ok_or(TokenError::Key),
            Some(_) => Err(TokenError::Malformed),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(TokenError::Key),
            },
        }
    }

    /// The subject of verified claims.
    fn accept(&self, claims: &BTreeMap<String, Value>, now_unix_s: u64) -> Result<Verified, TokenError> {
        let expires_unix_s = claims.get("exp").and_then(seconds).ok_or(TokenError::Claim("exp"))?;
        if is_over(expires_unix_s, now_unix_s) {
            return Err(TokenError::Expired);
        }
        if let Some(not_before) = claims.get("nbf") {
            let not_before = seconds(not_before).ok_or(TokenError::Claim("nbf"))?;
            if not_before > now_unix_s.saturating_add(LEEWAY_S) {
                return Err(TokenError::NotYetValid);
            }
        }
        let ours = |audience: &str| !audience.is_empty() && self.config.audiences.iter().any(|own| own == audience);
        let for_us = match claims.get("aud") {
            Some(Value::String(audience)) => ours(audience),
            Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).any(ours),
            _ => return Err(TokenError::Claim("aud")),
        };
        if !for_us {
            return Err(TokenError::Audience);
        }
        let name = claim(claims, &self.config.subject_claim)
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .ok_or(TokenError::Claim("sub"))?;
        let group = |name: &str| format!("{}{name}", self.config.group_prefix);
        let groups = match claim(claims, &self.config.groups_claim) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(list)) => list.split_whitespace().map(group).collect(),
            Some(Value::Array(list)) => list
                .iter()
                .map(|name| name.as_str().map(group).ok_or(TokenError::Claim("groups")))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(TokenError::Claim("groups")),
        };
        let client = ["azp", "client_id"]
            .into_iter()
            .find_map(|name| claims.get(name)?.as_str());
        let subject = Subject::new(
            self.config.subject_kind,
            format!("{}{name}", self.config.subject_prefix),
            groups,
            Method::Jwt,
            client.map(str::to_owned),
        )
        .and_then(|subject| subject.issued_by(&self.config.issuer))
        .map_err(|_| TokenError::Subject)?;
        Ok(Verified {
            subject: Arc::new(subject),
            expires_unix_s,
        })
    }
}

/// Whether some name begins with both prefixes.
#[must_use]
pub fn share_names(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// What is written in a token's header, and nothing that it points to, is ever used to find a key.
fn accepted_header(header: &BTreeMap<String, Value>) -> Result<Algorithm, TokenError> {
    let name = header.get("alg").and_then(Value::as_str).ok_or(TokenError::Malformed)?;
    let algorithm = accepted_algorithm(name).ok_or(TokenError::Algorithm)?;
    // RFC 7515 4.1.11: what is critical and not understood makes the token invalid, and we understand none.
    if header.contains_key("crit") || header.contains_key("zip") || header.contains_key("enc") {
        return Err(TokenError::Kind);
    }
    match header.get("typ") {
        None => Ok(algorithm),
        Some(Value::String(kind)) => {
            let kind = kind.to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            match matches!(kind, "jwt" | "at+jwt") {
                true => Ok(algorithm),
                false => Err(TokenError::Kind),
            }
        }
        Some(_) => Err(TokenError::Malformed),
    }
}

/// Public-key algorithms alone: with a shared secret whoever checks tokens could also make them.
fn accepted_algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        _ => return None,
    })
}

/// The usable keys of a key set. Keys for other purposes and algorithms are passed over; a set without any is an error.
fn keys_of(jwks: &str, accepted: &[Algorithm]) -> Result<Vec<Key>, String> {
    if jwks.len() > JWKS_BYTES_MAX {
        return Err(format!(
            "it has more than {} KiB, hint: is this the right file?",
            JWKS_BYTES_MAX >> 10
        ));
    }
    let set: JwkSet =
        serde_json::from_str(jwks).map_err(|error| format!("{error}, hint: it is JSON with a list `keys`"))?;
    if set.keys.len() > JWKS_KEYS_MAX {
        return Err(format!(
            "it has more than {JWKS_KEYS_MAX} keys, hint: take out those that are no longer used"
        ));
    }
    let mut keys: Vec<Key> = Vec::new();
    for jwk in &set.keys {
        let algorithms: Vec<Algorithm> = fitting(jwk)
            .into_iter()
            .filter(|fits| accepted.contains(fits))
            .collect();
        let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        if algorithms.is_empty() || !for_signatures {
            continue;
        }
        let id = jwk.common.key_id.clone();
        if id.is_some() && keys.iter().any(|key| key.id == id) {
            let id = id.unwrap_or_default();
            return Err(format!(
                "the key id `{}` is there twice, hint: each key has its own",
                id.escape_debug()
            ));
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|error| format!("a key cannot be read: {error}"))?;
        keys.push(Key { id, algorithms, key });
    }
    match keys.is_empty() {
        true => Err(
            "it has no public key for an accepted algorithm, hint: look at `kty`, `crv`, `alg` and `use`".to_owned(),
        ),
        false => Ok(keys),
    }
}

/// The algorithms that a key is for: by its type and curve, and by its own `alg` where it has one.
fn fitting(jwk: &Jwk) -> Vec<Algorithm> {
    let fits: Vec<Algorithm> = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
        _ => Vec::new(),
    };
    match jwk.common.key_algorithm {
        None => fits,
        Some(own) => fits
            .into_iter()
            .filter(|fits| format!("{fits:?}") == own.to_string())
            .collect(),
    }
}

/// A claim by its name; where there is none, a name with dots is a way into nested objects.
fn claim<'c>(claims: &'c BTreeMap<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.')
        .try_fold(claims.get(first)?, |value, name| value.get(name))
}

/// A NumericDate of RFC 7519, which may have a fraction.
fn seconds(value: &Value) -> Option<u64> {
    match (value.as_u64(), value.as_f64()) {
        (Some(whole), _) => Some(whole),
        (None, Some(fraction)) if (0.0..=9_007_199_254_740_992.0).contains(&fraction) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 2^53, checked above"
            )]
            Some(fraction as u64)
        }
        _ => None,
    }
}

const fn is_over(expires_unix_s: u64, now_unix_s: u64) -> bool {
    expires_unix_s.saturating_add(LEEWAY_S) <= now_unix_s
}

/// The object that a part of a token is.
fn object(part: &str) -> Result<BTreeMap<String, Value>, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    let object: Unique = serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)?;
    Ok(object.0)
}

/// An object in which no name stands twice (RFC 7515 4, RFC 7519 4): parsers that disagree on which of two counts are a hole.
struct Unique(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                }
                Ok(Unique(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}
