//! Signed tokens of configured issuers (RFC 7519), checked against key sets that are files (RFC 7517): issuer, audience, expiry,
//! and an allow-list of asymmetric algorithms for each issuer. A token that verified is remembered by its digest until it
//! expires, for a signature costs more than all the rest of a call.

use super::{IdentityError, Method, Subject, SubjectKind};
use aws_lc_rs::digest;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// Tokens remembered at one time.
const REMEMBERED_MAX: usize = 4_096;
/// Keys in one set.
const KEYS_MAX: usize = 256;

/// An issuer, checked and ready.
pub struct Issuer {
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
    subject_claim: String,
    groups_claim: Option<String>,
    leeway_s: u64,
    keys: Vec<(Option<String>, DecodingKey, Option<Algorithm>)>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("issuer", &self.issuer).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// Why an issuer cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key set is no RFC 7517 JSON.
    #[error("the key set of `{issuer}` cannot be read: {detail}")]
    KeySet {
        /// The issuer.
        issuer: String,
        /// What is wrong.
        detail: String,
    },
    /// An algorithm that is unknown, symmetric or `none`.
    #[error("algorithm `{algorithm}` is not accepted, hint: one of ES256, ES384, EdDSA, RS256, RS384, RS512, PS256, PS384, PS512")]
    Algorithm {
        /// As configured.
        algorithm: String,
    },
}

impl Issuer {
    /// An issuer with its key set's text.
    ///
    /// # Errors
    /// See [`IssuerError`].
    pub fn new(
        issuer: &str,
        audience: &str,
        key_set: &[u8],
        algorithms: &[&str],
        subject_claim: &str,
        groups_claim: Option<&str>,
        leeway_s: u64,
    ) -> Result<Self, IssuerError> {
        let algorithms = algorithms
            .iter()
            .map(|name| {
                Algorithm::from_str(name)
                    .ok()
                    .filter(|algorithm| is_asymmetric(*algorithm))
                    .ok_or_else(|| IssuerError::Algorithm {
                        algorithm: (*name).to_owned(),
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let bad = |detail: String| IssuerError::KeySet {
            issuer: issuer.to_owned(),
            detail,
        };
        let set: JwkSet = serde_json::from_slice(key_set).map_err(|error| bad(error.to_string()))?;
        if set.keys.is_empty() || set.keys.len() > KEYS_MAX {
            return Err(bad(format!("{} keys, between 1 and {KEYS_MAX} are accepted", set.keys.len())));
        }
        let keys = set
            .keys
            .iter()
            .map(|key| {
                let decoding = DecodingKey::from_jwk(key).map_err(|error| bad(error.to_string()))?;
                let algorithm = key.common.key_algorithm.and_then(|known| Algorithm::from_str(&known.to_string()).ok());
                Ok((key.common.key_id.clone(), decoding, algorithm))
            })
            .collect::<Result<Vec<_>, IssuerError>>()?;
        Ok(Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            algorithms,
            subject_claim: subject_claim.to_owned(),
            groups_claim: groups_claim.map(str::to_owned),
            leeway_s,
            keys,
        })
    }

    fn verify(&self, token: &str, header: &jsonwebtoken::Header, now_unix_s: u64) -> Result<(Subject, u64), IdentityError> {
        if !self.algorithms.contains(&header.alg) {
            return Err(IdentityError::Algorithm);
        }
        // With a key id only that key is tried; without one, each that may sign so.
        let candidates = self.keys.iter().filter(|(id, _, algorithm)| {
            algorithm.is_none_or(|algorithm| algorithm == header.alg)
                && match (&header.kid, id) {
                    (Some(wanted), Some(id)) => wanted == id,
                    (Some(_), None) => false,
                    (None, _) => true,
                }
        });
        let mut validation = Validation::new(header.alg);
        // Time and names are checked below, each with its own error and on the clock that was passed in.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let mut last = IdentityError::UnknownIssuer;
        for (_, key, _) in candidates {
            match jsonwebtoken::decode::<Value>(token, key, &validation) {
                Ok(data) => return self.claims(&data.claims, now_unix_s),
                Err(_) => last = IdentityError::Signature,
            }
        }
        Err(last)
    }

    fn claims(&self, claims: &Value, now_unix_s: u64) -> Result<(Subject, u64), IdentityError> {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        if text("iss") != Some(self.issuer.as_str()) {
            return Err(IdentityError::UnknownIssuer);
        }
        let for_us = match claims.get("aud") {
            Some(Value::String(one)) => *one == self.audience,
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(&self.audience)),
            _ => false,
        };
        if !for_us {
            return Err(IdentityError::Audience);
        }
        let expires = claims.get("exp").and_then(number).ok_or(IdentityError::Claims)?;
        if now_unix_s >= expires.saturating_add(self.leeway_s) {
            return Err(IdentityError::Expired);
        }
        if let Some(not_before) = claims.get("nbf") {
            let not_before = number(not_before).ok_or(IdentityError::Claims)?;
            if now_unix_s.saturating_add(self.leeway_s) < not_before {
                return Err(IdentityError::NotYetValid);
            }
        }
        let name = text(&self.subject_claim).ok_or(IdentityError::Claims)?;
        let groups: Vec<String> = match self.groups_claim.as_ref().and_then(|claim| claims.get(claim)) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => several
                .iter()
                .map(|group| group.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or(IdentityError::Claims)?,
            Some(_) => return Err(IdentityError::Claims),
        };
        let client = text("client_id").or_else(|| text("azp")).map(str::to_owned);
        let subject =
            Subject::new(SubjectKind::User, name, groups, Method::Jwt, client).map_err(|_| IdentityError::Claims)?;
        Ok((subject, expires.saturating_add(self.leeway_s)))
    }
}

/// The issuers that are trusted, and the tokens of theirs that have verified.
#[derive(Debug, Default)]
pub struct Issuers {
    issuers: Vec<Issuer>,
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    tokens: HashMap<[u8; 32], (Subject, u64)>,
    order: VecDeque<[u8; 32]>,
}

impl Issuers {
    /// These and no others.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>) -> Self {
        Self {
            issuers,
            remembered: Mutex::default(),
        }
    }

    pub(super) fn verify(&self, token: &str, now_unix_s: u64) -> Result<Subject, IdentityError> {
        let key = sha256(token.as_bytes());
        {
            let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((subject, until)) = remembered.tokens.get(&key) {
                return match now_unix_s < *until {
                    true => Ok(subject.clone()),
                    false => Err(IdentityError::Expired),
                };
            }
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| match is_unsigned(token) {
            true => IdentityError::Algorithm,
            false => IdentityError::Malformed,
        })?;
        let mut last = IdentityError::UnknownIssuer;
        for issuer in &self.issuers {
            match issuer.verify(token, &header, now_unix_s) {
                Ok((subject, until)) => {
                    self.remember(key, subject.clone(), until);
                    return Ok(subject);
                }
                // The most telling reason stands: that of the issuer whose signature it bears.
                Err(IdentityError::UnknownIssuer) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn remember(&self, key: [u8; 32], subject: Subject, until: u64) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.order.len() >= REMEMBERED_MAX
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.tokens.remove(&oldest);
        }
        if remembered.tokens.insert(key, (subject, until)).is_none() {
            remembered.order.push_back(key);
        }
    }
}

const fn is_asymmetric(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

/// Whether the header says `"alg":"none"`, which the library does not even name.
fn is_unsigned(token: &str) -> bool {
    use base64::Engine;
    let head = token.split('.').next().unwrap_or_default();
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(head)
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .and_then(|header| header.get("alg")?.as_str().map(|name| name.eq_ignore_ascii_case("none")))
        .unwrap_or(false)
}

/// A `NumericDate` (RFC 7519 section 2), fractions cut off.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0 && *seconds < 1e15)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range, as just checked")]
        let whole = seconds as u64;
        Some(whole)
    })
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;

    struct Signer {
        pkcs8: Vec<u8>,
        key_set: Vec<u8>,
        public: Vec<u8>,
    }

    fn signer(kid: &str) -> Signer {
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        let key_set = json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(&public[1..33]), "y": URL_SAFE_NO_PAD.encode(&public[33..65]),
        }]});
        Signer {
            pkcs8: pkcs8.as_ref().to_vec(),
            key_set: key_set.to_string().into_bytes(),
            public,
        }
    }

    impl Signer {
        fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
            let header = Header {
                kid: kid.map(str::to_owned),
                ..Header::new(Algorithm::ES256)
            };
            jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(&self.pkcs8)).unwrap()
        }
    }

    fn claims() -> Value {
        json!({"iss": "https://idp.example", "aud": "portcullis", "sub": "ana", "exp": NOW + 60, "groups": ["tellers"]})
    }

    fn with(change: Value) -> Value {
        let mut claims = claims();
        for (key, value) in change.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(key),
                value => claims.as_object_mut().unwrap().insert(key.clone(), value.clone()),
            };
        }
        claims
    }

    fn issuers(signer: &Signer) -> Issuers {
        let issuer = Issuer::new("https://idp.example", "portcullis", &signer.key_set, &["ES256"], "sub", Some("groups"), 30);
        Issuers::new(vec![issuer.unwrap()])
    }

    #[test]
    fn good_tokens_name_their_subject_and_are_remembered_until_they_expire() {
        let signer = signer("k1");
        let issuers = issuers(&signer);
        for good in [
            claims(),
            with(json!({"aud": ["other", "portcullis"]})),
            with(json!({"nbf": NOW + 29})),
            with(json!({"exp": NOW - 29})),
            with(json!({"groups": "tellers"})),
            with(json!({"exp": NOW as f64 + 0.5})),
        ] {
            let token = signer.sign(Some("k1"), &good);
            let subject = issuers.verify(&token, NOW).unwrap();
            assert_eq!((subject.name(), subject.groups()), ("ana", &["tellers".to_owned()][..]), "{good}");
            assert_eq!(issuers.verify(&token, NOW).unwrap().name(), "ana");
            assert_eq!(issuers.verify(&token, NOW + 1_000), Err(IdentityError::Expired));
        }
        assert!(issuers.verify(&signer.sign(None, &claims()), NOW).is_ok());
    }

    #[test]
    fn bad_tokens_are_refused_each_for_its_reason() {
        let ours = signer("k1");
        let other = signer("k1");
        let issuers = issuers(&ours);
        let sign = |claims: Value| ours.sign(Some("k1"), &claims);
        let unsigned = |header: Value| {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.", part(&header), part(&claims()))
        };
        let confused = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &EncodingKey::from_secret(&ours.public));
        let good = sign(claims());
        let (head, signature) = good.rsplit_once('.').unwrap();
        let payload = URL_SAFE_NO_PAD.encode(with(json!({"sub": "eve"})).to_string());
        let cases: Vec<(&str, String, IdentityError)> = vec![
            ("alg none", unsigned(json!({"alg": "none"})), IdentityError::Algorithm),
            ("alg None", unsigned(json!({"alg": "None"})), IdentityError::Algorithm),
            ("no alg", unsigned(json!({"typ": "JWT"})), IdentityError::Malformed),
            ("HS256 with the public key", confused.unwrap(), IdentityError::Algorithm),
            ("another signer", other.sign(Some("k1"), &claims()), IdentityError::Signature),
            ("another key id", ours.sign(Some("k2"), &claims()), IdentityError::UnknownIssuer),
            ("payload changed", format!("{}.{payload}.{signature}", head.split('.').next().unwrap()), IdentityError::Signature),
            ("signature cut", format!("{head}.{}", &signature[..20]), IdentityError::Signature),
            ("no signature", format!("{head}."), IdentityError::Signature),
            ("two parts", head.to_owned(), IdentityError::Malformed),
            ("five parts", format!("{good}.a.b"), IdentityError::Malformed),
            ("no Base64", "a.b.c".to_owned(), IdentityError::Malformed),
            ("empty parts", "..".to_owned(), IdentityError::Malformed),
            ("another issuer", sign(with(json!({"iss": "https://evil.example"}))), IdentityError::UnknownIssuer),
            ("issuer with a slash", sign(with(json!({"iss": "https://idp.example/"}))), IdentityError::UnknownIssuer),
            ("no issuer", sign(with(json!({"iss": null}))), IdentityError::UnknownIssuer),
            ("another audience", sign(with(json!({"aud": "files"}))), IdentityError::Audience),
            ("no audience", sign(with(json!({"aud": null}))), IdentityError::Audience),
            ("audience an object", sign(with(json!({"aud": {}}))), IdentityError::Audience),
            ("expired", sign(with(json!({"exp": NOW - 30}))), IdentityError::Expired),
            ("no expiry", sign(with(json!({"exp": null}))), IdentityError::Claims),
            ("expiry a text", sign(with(json!({"exp": "tomorrow"}))), IdentityError::Claims),
            ("expiry below zero", sign(with(json!({"exp": -1}))), IdentityError::Claims),
            ("not yet", sign(with(json!({"nbf": NOW + 31}))), IdentityError::NotYetValid),
            ("not before a text", sign(with(json!({"nbf": "x"}))), IdentityError::Claims),
            ("no subject", sign(with(json!({"sub": null}))), IdentityError::Claims),
            ("subject a number", sign(with(json!({"sub": 7}))), IdentityError::Claims),
            ("subject empty", sign(with(json!({"sub": ""}))), IdentityError::Claims),
            ("groups a number", sign(with(json!({"groups": 7}))), IdentityError::Claims),
        ];
        for (what, token, expected) in cases {
            assert_eq!(issuers.verify(&token, NOW), Err(expected), "{what}");
        }
    }

    #[test]
    fn symmetric_algorithms_cannot_be_configured() {
        let signer = signer("k1");
        for bad in ["HS256", "none", "ES257"] {
            assert!(Issuer::new("i", "a", &signer.key_set, &[bad], "sub", None, 0).is_err(), "{bad}");
        }
        assert!(Issuer::new("i", "a", b"{\"keys\":[]}", &["ES256"], "sub", None, 0).is_err());
        assert!(Issuer::new("i", "a", b"nonsense", &["ES256"], "sub", None, 0).is_err());
    }
}
