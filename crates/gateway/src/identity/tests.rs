//! Who is let in and who is not: every way in, and a table of credentials that look good and are not.

use super::*;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

const NOW: u64 = 1_795_538_433;

/// A P-256 or Ed25519 key pair made for this run.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    jwk: Value,
}

impl Signer {
    fn new(algorithm: Algorithm, id: &str) -> Self {
        use aws_lc_rs::rand::SystemRandom;
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
        let random = SystemRandom::new();
        let (key, mut jwk) = match algorithm {
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
                let key = EncodingKey::from_ec_der(pair.as_ref());
                let jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
                (key, serde_json::to_value(jwk).unwrap())
            }
            Algorithm::EdDSA => {
                let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                (
                    EncodingKey::from_ed_der(der.as_ref()),
                    json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x}),
                )
            }
            other => panic!("{other:?}"),
        };
        jwk["kid"] = json!(id);
        jwk["use"] = json!("sig");
        Self { key, algorithm, jwk }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.sign(&header.to_string(), &claims.to_string())
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

struct House {
    identity: Identity,
    es: Signer,
    ed: Signer,
}

fn config(jwks: &Value) -> IssuerConfig {
    IssuerConfig {
        issuer: "https://login.example".to_owned(),
        audiences: vec!["https://gateway.example/mcp".to_owned()],
        algorithms: vec!["ES256".to_owned(), "EdDSA".to_owned()],
        jwks: json!({ "keys": jwks }).to_string(),
        ..IssuerConfig::default()
    }
}

fn house() -> House {
    let es = Signer::new(Algorithm::ES256, "es-1");
    let ed = Signer::new(Algorithm::EdDSA, "ed-1");
    let issuers = Issuers::new(vec![config(&json!([es.jwk, ed.jwk]))]).unwrap();
    House {
        identity: Identity::new(KeyRing::default(), issuers, None, false).unwrap(),
        es,
        ed,
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "es-1", "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({
        "iss": "https://login.example", "aud": ["other", "https://gateway.example/mcp"], "sub": "ana",
        "groups": ["clerks", "staff"], "exp": NOW + 300, "nbf": NOW - 5, "azp": "desktop",
    })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

fn ask(identity: &Identity, authorization: Option<&str>, now_unix_s: u64) -> Result<Caller, IdentityError> {
    identity.authenticate(Presented {
        authorization: authorization.map(str::as_bytes),
        peer_is_loopback: true,
        os_user: None,
        now_unix_s,
    })
}

fn bearer(identity: &Identity, token: &str, now_unix_s: u64) -> Result<Caller, IdentityError> {
    ask(identity, Some(&format!("Bearer {token}")), now_unix_s)
}

#[test]
fn a_good_token_names_its_subject() {
    let house = house();
    let ed_header = json!({"alg": "EdDSA", "kid": "ed-1"});
    for token in [
        house.es.token(&header(), &claims()),
        house.ed.token(&ed_header, &claims()),
        // The only key for its algorithm needs no name; dates may have fractions; one audience may stand alone.
        house.es.token(&without(header(), "kid"), &claims()),
        house.es.token(
            &with(header(), "typ", json!("application/AT+JWT")),
            &with(claims(), "exp", json!(NOW as f64 + 0.5)),
        ),
        house
            .es
            .token(&header(), &with(claims(), "aud", json!("https://gateway.example/mcp"))),
        // Within the leeway both ways.
        house.es.token(&header(), &with(claims(), "exp", json!(NOW - 29))),
        house.es.token(&header(), &with(claims(), "nbf", json!(NOW + 30))),
        // What a header points to is not followed, and does not matter.
        house
            .es
            .token(&with(header(), "jku", json!("https://evil.example")), &claims()),
    ] {
        let caller = bearer(&house.identity, &token, NOW).unwrap();
        let subject = caller.subject();
        assert_eq!(
            (subject.name(), subject.kind(), subject.method()),
            ("ana", SubjectKind::User, Method::Jwt)
        );
        assert_eq!(subject.groups(), ["clerks", "staff"]);
        assert_eq!(subject.client(), Some("desktop"));
    }
}

#[test]
fn bad_tokens_are_refused_each_with_its_reason() {
    let house = house();
    let stranger = Signer::new(Algorithm::ES256, "es-1");
    let good = house.es.token(&header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let hmac_with = |secret: &[u8], header: Value| {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), parts[1]);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let public_x = URL_SAFE_NO_PAD.decode(house.es.jwk["x"].as_str().unwrap()).unwrap();
    let sign = |header: Value, claims: Value| house.es.token(&header, &claims);
    let none = |alg: &str| {
        format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string()),
            parts[1]
        )
    };
    let flipped = {
        let mut signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        signature[10] ^= 1;
        format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode(signature))
    };
    let raised = URL_SAFE_NO_PAD.encode(with(claims(), "sub", json!("root")).to_string());
    use TokenError as E;
    let table: Vec<(&str, String, TokenError)> = vec![
        ("no algorithm", none("none"), E::Algorithm),
        ("no algorithm in capitals", none("NONE"), E::Algorithm),
        ("no algorithm, odd case", none("nOnE"), E::Algorithm),
        (
            "a shared secret that is the public key",
            hmac_with(&public_x, json!({"alg": "HS256", "kid": "es-1"})),
            E::Algorithm,
        ),
        (
            "a shared secret that is the key set",
            hmac_with(house.es.jwk.to_string().as_bytes(), json!({"alg": "HS256"})),
            E::Algorithm,
        ),
        (
            "an algorithm that is not configured",
            sign(with(header(), "alg", json!("RS256")), claims()),
            E::Algorithm,
        ),
        (
            "the algorithm of another key",
            sign(with(header(), "alg", json!("EdDSA")), claims()),
            E::Key,
        ),
        (
            "the key of another algorithm",
            sign(with(header(), "kid", json!("ed-1")), claims()),
            E::Key,
        ),
        (
            "an unknown algorithm",
            sign(with(header(), "alg", json!("XX1")), claims()),
            E::Algorithm,
        ),
        (
            "an algorithm that is no text",
            sign(with(header(), "alg", json!(256)), claims()),
            E::Malformed,
        ),
        (
            "no algorithm named",
            sign(without(header(), "alg"), claims()),
            E::Malformed,
        ),
        (
            "two algorithms",
            house
                .es
                .sign(r#"{"alg":"none","alg":"ES256","kid":"es-1"}"#, &claims().to_string()),
            E::Malformed,
        ),
        (
            "two subjects",
            house.es.sign(
                &header().to_string(),
                &claims().to_string().replacen('{', r#"{"sub":"root","#, 1),
            ),
            E::Malformed,
        ),
        (
            "an unknown key",
            sign(with(header(), "kid", json!("es-2")), claims()),
            E::Key,
        ),
        (
            "a key id that is a path",
            sign(with(header(), "kid", json!("../../dev/null")), claims()),
            E::Key,
        ),
        (
            "a key id that is no text",
            sign(with(header(), "kid", json!(1)), claims()),
            E::Malformed,
        ),
        (
            "a stranger's key of that id",
            stranger.token(&header(), &claims()),
            E::Signature,
        ),
        (
            "a stranger's key in the header",
            stranger.token(&with(header(), "jwk", stranger.jwk.clone()), &claims()),
            E::Signature,
        ),
        ("a changed signature", flipped, E::Signature),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), E::Signature),
        (
            "changed claims",
            format!("{}.{raised}.{}", parts[0], parts[2]),
            E::Signature,
        ),
        (
            "an all-zero signature",
            format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0_u8; 64])),
            E::Signature,
        ),
        (
            "another issuer",
            sign(header(), with(claims(), "iss", json!("https://evil.example"))),
            E::Issuer,
        ),
        (
            "the issuer with a slash",
            sign(header(), with(claims(), "iss", json!("https://login.example/"))),
            E::Issuer,
        ),
        ("no issuer", sign(header(), without(claims(), "iss")), E::Claim("iss")),
        (
            "a list of issuers",
            sign(header(), with(claims(), "iss", json!(["https://login.example"]))),
            E::Claim("iss"),
        ),
        (
            "another audience",
            sign(header(), with(claims(), "aud", json!("https://other.example"))),
            E::Audience,
        ),
        (
            "an empty list of audiences",
            sign(header(), with(claims(), "aud", json!([]))),
            E::Audience,
        ),
        (
            "an empty audience",
            sign(header(), with(claims(), "aud", json!(""))),
            E::Audience,
        ),
        ("no audience", sign(header(), without(claims(), "aud")), E::Claim("aud")),
        (
            "expired",
            sign(header(), with(claims(), "exp", json!(NOW - 30))),
            E::Expired,
        ),
        (
            "long expired",
            sign(header(), with(claims(), "exp", json!(0))),
            E::Expired,
        ),
        ("no expiry", sign(header(), without(claims(), "exp")), E::Claim("exp")),
        (
            "an expiry that is a text",
            sign(header(), with(claims(), "exp", json!((NOW + 300).to_string()))),
            E::Claim("exp"),
        ),
        (
            "a negative expiry",
            sign(header(), with(claims(), "exp", json!(-1))),
            E::Claim("exp"),
        ),
        (
            "a huge expiry",
            sign(header(), with(claims(), "exp", json!(1e300))),
            E::Claim("exp"),
        ),
        (
            "not yet valid",
            sign(header(), with(claims(), "nbf", json!(NOW + 31))),
            E::NotYetValid,
        ),
        (
            "a start that is a text",
            sign(header(), with(claims(), "nbf", json!("now"))),
            E::Claim("nbf"),
        ),
        ("no subject", sign(header(), without(claims(), "sub")), E::Claim("sub")),
        (
            "an empty subject",
            sign(header(), with(claims(), "sub", json!(""))),
            E::Claim("sub"),
        ),
        (
            "a subject that is a list",
            sign(header(), with(claims(), "sub", json!(["ana"]))),
            E::Claim("sub"),
        ),
        (
            "a subject with a line break",
            sign(header(), with(claims(), "sub", json!("a\nb"))),
            E::Subject,
        ),
        (
            "a group that is no text",
            sign(header(), with(claims(), "groups", json!(["a", 1]))),
            E::Claim("groups"),
        ),
        (
            "too many groups",
            sign(
                header(),
                with(
                    claims(),
                    "groups",
                    json!((0..300).map(|n| n.to_string()).collect::<Vec<_>>()),
                ),
            ),
            E::Subject,
        ),
        (
            "a critical extension",
            sign(with(header(), "crit", json!(["b64"])), claims()),
            E::Kind,
        ),
        (
            "a token for something else",
            sign(with(header(), "typ", json!("logout+jwt")), claims()),
            E::Kind,
        ),
        (
            "a proof of possession",
            sign(with(header(), "typ", json!("dpop+jwt")), claims()),
            E::Kind,
        ),
        ("two parts", format!("{}.{}", parts[0], parts[1]), E::Malformed),
        ("four parts", format!("{good}.x"), E::Malformed),
        ("five parts, as if encrypted", format!("{good}.x.y"), E::Malformed),
        ("only dots", "..".to_owned(), E::Malformed),
        (
            "a header that is no object",
            format!("{}.{}.{}", URL_SAFE_NO_PAD.encode("[]"), parts[1], parts[2]),
            E::Malformed,
        ),
        (
            "a header with something after it",
            format!(
                "{}.{}.{}",
                URL_SAFE_NO_PAD.encode(format!("{} x", header())),
                parts[1],
                parts[2]
            ),
            E::Malformed,
        ),
        (
            "padded Base64",
            format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
            E::Malformed,
        ),
        (
            "the other Base64",
            format!("{}.{}.{}", STANDARD.encode(">>>???"), parts[1], parts[2]),
            E::Malformed,
        ),
        (
            "too long",
            format!("{}.{}.{}", parts[0], "A".repeat(TOKEN_BYTES_MAX), parts[2]),
            E::TooLong,
        ),
    ];
    assert!(table.len() >= 25);
    for (name, token, expected) in table {
        for _ in 0..2 {
            assert_eq!(
                bearer(&house.identity, &token, NOW).err(),
                Some(IdentityError::Token(expected)),
                "{name}"
            );
        }
    }
    assert!(bearer(&house.identity, &good, NOW).is_ok());
}

#[test]
fn headers_that_are_not_one_bearer_credential_are_refused() {
    let house = house();
    let good = house.es.token(&header(), &claims());
    for (value, expected) in [
        (String::new(), IdentityError::Scheme),
        ("Bearer".to_owned(), IdentityError::Malformed),
        ("Bearer ".to_owned(), IdentityError::Malformed),
        (format!("Basic {good}"), IdentityError::Scheme),
        (format!("Digest {good}"), IdentityError::Scheme),
        (good.clone(), IdentityError::Scheme),
        (format!("Bearer\t{good}"), IdentityError::Scheme),
        (format!(" Bearer {good}"), IdentityError::Scheme),
        (format!("Bearer {good}, Bearer {good}"), IdentityError::Malformed),
        (format!("Bearer {good} {good}"), IdentityError::Malformed),
        (format!("Bearer {good}\0"), IdentityError::Malformed),
        (format!("Bearer \"{good}\""), IdentityError::Malformed),
        ("Bearer abc".to_owned(), IdentityError::Malformed),
        ("Bearer pk_short".to_owned(), IdentityError::Malformed),
        (
            "Bearer pk_aaaaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            IdentityError::KeyUnknown,
        ),
        (format!("Bearer {good}\u{e9}"), IdentityError::Malformed),
    ] {
        assert_eq!(ask(&house.identity, Some(&value), NOW).err(), Some(expected), "{value}");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert!(ask(&house.identity, Some(&format!("{scheme} {good}")), NOW).is_ok());
    }
    assert_eq!(ask(&house.identity, None, NOW).err(), Some(IdentityError::Missing));
}

#[test]
fn a_remembered_token_expires_all_the_same() {
    let house = house();
    let token = house.es.token(&header(), &claims());
    assert!(bearer(&house.identity, &token, NOW).is_ok());
    assert!(bearer(&house.identity, &token, NOW + 329).is_ok());
    assert_eq!(
        bearer(&house.identity, &token, NOW + 330).err(),
        Some(IdentityError::Token(TokenError::Expired))
    );
}

#[test]
fn memory_of_tokens_is_bounded() {
    let house = house();
    for n in 0..5_000 {
        let token = house.ed.token(
            &json!({"alg": "EdDSA", "kid": "ed-1"}),
            &with(claims(), "sub", json!(format!("u{n}"))),
        );
        assert!(bearer(&house.identity, &token, NOW).is_ok());
    }
    assert!(house.identity.issuers.remembered_count() <= 4_096);
}

#[test]
fn claims_are_found_where_configured() {
    let es = Signer::new(Algorithm::ES256, "es-1");
    let configured = IssuerConfig {
        subject_claim: "email".to_owned(),
        groups_claim: "realm_access.roles".to_owned(),
        subject_prefix: "corp/".to_owned(),
        group_prefix: "corp:".to_owned(),
        subject_kind: SubjectKind::Agent,
        ..config(&json!([es.jwk]))
    };
    let identity = Identity::new(KeyRing::default(), Issuers::new(vec![configured]).unwrap(), None, false).unwrap();
    let claims = with(
        with(claims(), "email", json!("a@b.example")),
        "realm_access",
        json!({"roles": ["x"]}),
    );
    let caller = bearer(&identity, &es.token(&header(), &claims), NOW).unwrap();
    let subject = caller.subject();
    assert_eq!(
        (subject.name(), subject.kind(), subject.groups()),
        ("corp/a@b.example", SubjectKind::Agent, ["corp:x".to_owned()].as_slice())
    );
    let scoped = with(claims, "realm_access.roles", json!("one two"));
    assert_eq!(
        bearer(&identity, &es.token(&header(), &scoped), NOW)
            .unwrap()
            .subject()
            .groups(),
        ["corp:one", "corp:two"]
    );
}

#[test]
fn issuers_that_cannot_be_used_are_refused_at_start() {
    let es = Signer::new(Algorithm::ES256, "es-1");
    let good = config(&json!([es.jwk]));
    assert!(Issuers::new(vec![good.clone()]).is_ok());
    let secret = json!([{"kty": "oct", "k": "c2VjcmV0", "kid": "h"}]);
    let encrypting = with(es.jwk.clone(), "use", json!("enc"));
    for (name, bad) in [
        (
            "no issuer",
            IssuerConfig {
                issuer: String::new(),
                ..good.clone()
            },
        ),
        (
            "no audience",
            IssuerConfig {
                audiences: Vec::new(),
                ..good.clone()
            },
        ),
        (
            "an empty audience",
            IssuerConfig {
                audiences: vec![String::new()],
                ..good.clone()
            },
        ),
        (
            "no algorithm",
            IssuerConfig {
                algorithms: Vec::new(),
                ..good.clone()
            },
        ),
        (
            "none",
            IssuerConfig {
                algorithms: vec!["none".to_owned()],
                ..good.clone()
            },
        ),
        (
            "a shared secret",
            IssuerConfig {
                algorithms: vec!["HS256".to_owned()],
                ..good.clone()
            },
        ),
        (
            "no key set",
            IssuerConfig {
                jwks: String::new(),
                ..good.clone()
            },
        ),
        ("an empty key set", config(&json!([]))),
        ("a key set of secrets", config(&secret)),
        ("a key for encryption", config(&json!([encrypting]))),
        (
            "a key of another curve",
            config(&json!([with(es.jwk.clone(), "crv", json!("P-521"))])),
        ),
        (
            "a key of another algorithm",
            config(&json!([with(es.jwk.clone(), "alg", json!("ES384"))])),
        ),
        ("a key id twice", config(&json!([es.jwk, es.jwk]))),
        (
            "a key set too large",
            IssuerConfig {
                jwks: " ".repeat(2 << 20),
                ..good.clone()
            },
        ),
    ] {
        let error = Issuers::new(vec![bad]).err();
        assert!(error.is_some(), "{name}");
        assert!(error.unwrap().to_string().contains("hint:"), "{name}");
    }
    assert!(matches!(
        Issuers::new(vec![good.clone(), good]),
        Err(IssuerError::Twice(_))
    ));
}

/// Two issuers with a signer each, and a key ring with one key for `owner`.
fn two_issuers(prefixes: [&str; 2]) -> Result<(Identity, [Signer; 2], String), IssuerError> {
    let signers = [
        Signer::new(Algorithm::ES256, "es-1"),
        Signer::new(Algorithm::ES256, "es-1"),
    ];
    let configs = ["https://a.example", "https://b.example"]
        .into_iter()
        .zip(prefixes)
        .zip(&signers)
        .map(|((issuer, prefix), signer)| IssuerConfig {
            issuer: issuer.to_owned(),
            subject_prefix: prefix.to_owned(),
            group_prefix: prefix.to_owned(),
            ..config(&json!([signer.jwk]))
        });
    let issuers = Issuers::new(configs.collect())?;
    let dir = tempfile::tempdir().unwrap();
    let file = KeyFile::at(dir.path().join("keys.json"));
    let new = NewKey {
        kind: SubjectKind::User,
        name: "owner".to_owned(),
        groups: vec!["clerks".to_owned()],
        expires_unix_s: None,
    };
    let key = file.create(new, NOW).unwrap().danger_secret().to_owned();
    let identity = Identity::new(file.load().unwrap(), issuers, Some("me"), true).unwrap();
    Ok((identity, signers, key))
}

/// The same `sub` of two issuers, and a key of that name: three principals, in name and in group.
#[test]
fn issuers_and_keys_name_subjects_of_their_own() {
    let (identity, [a, b], key) = two_issuers(["https://a.example#", "https://b.example#"]).unwrap();
    let owner = with(with(claims(), "sub", json!("owner")), "groups", json!(["clerks"]));
    let of = |signer: &Signer, issuer: &str| {
        let token = signer.token(&header(), &with(owner.clone(), "iss", json!(issuer)));
        bearer(&identity, &token, NOW).unwrap()
    };
    let callers = [
        bearer(&identity, &key, NOW).unwrap(),
        of(&a, "https://a.example"),
        of(&b, "https://b.example"),
    ];
    let named = callers.each_ref().map(|caller| {
        let subject = caller.subject();
        (
            subject.principal().to_string(),
            subject.groups().join(","),
            subject.issuer(),
        )
    });
    let expected = [
        ("user:owner", "clerks", None),
        (
            "user:https://a.example#owner",
            "https://a.example#clerks",
            Some("https://a.example"),
        ),
        (
            "user:https://b.example#owner",
            "https://b.example#clerks",
            Some("https://b.example"),
        ),
    ];
    assert_eq!(
        named,
        expected.map(|(who, group, issuer)| (who.to_owned(), group.to_owned(), issuer))
    );
    assert_eq!(identity.shared(), []);
    // No issuer can speak for the other: its signature is checked with its own keys.
    let forged = a.token(&header(), &with(owner, "iss", json!("https://b.example")));
    assert!(matches!(
        bearer(&identity, &forged, NOW),
        Err(IdentityError::Token(TokenError::Signature))
    ));
}

#[test]
fn prefixes_that_let_two_issuers_name_one_subject_are_refused() {
    for prefixes in [["", ""], ["", "b/"], ["a", "a"], ["a/", "a/b/"], ["a/b/", "a/"]] {
        let error = two_issuers(prefixes).map(drop).unwrap_err();
        assert!(matches!(error, IssuerError::Shared { .. }), "{prefixes:?}");
        assert!(error.to_string().contains("hint:"), "{error}");
    }
    assert!(two_issuers(["a/", "b/"]).is_ok());
}

/// One issuer may be given the names of the keys on purpose; that it was can be seen.
#[test]
fn names_that_an_issuer_shares_with_keys_are_told() {
    let (identity, ..) = two_issuers(["own", "b/"]).unwrap();
    let owner = ("user:owner".to_owned(), "https://a.example".to_owned());
    assert_eq!(identity.shared(), [owner]);
    let (identity, ..) = two_issuers(["me", "b/"]).unwrap();
    let me = ("user:me".to_owned(), "https://a.example".to_owned());
    assert_eq!(identity.shared(), [me]);
}

#[test]
fn callers_without_a_credential() {
    let none = || Issuers::new(Vec::new()).unwrap();
    let open = Identity::new(KeyRing::default(), none(), Some("guest"), true).unwrap();
    let presented = |peer_is_loopback, os_user| Presented {
        authorization: None,
        peer_is_loopback,
        os_user,
        now_unix_s: NOW,
    };
    let guest = open.authenticate(presented(true, None)).unwrap();
    assert_eq!(
        (guest.subject().name(), guest.subject().method()),
        ("guest", Method::Anonymous)
    );
    assert_eq!(
        open.authenticate(presented(false, None)).err(),
        Some(IdentityError::AnonymousElsewhere)
    );
    // A bad credential is not taken for none.
    assert_eq!(
        ask(&open, Some("Bearer a.b.c"), NOW).err(),
        Some(IdentityError::NoIssuer)
    );
    assert_eq!(
        Identity::new(KeyRing::default(), none(), Some("guest"), false).err(),
        Some(IdentityConfigError::AnonymousExposed)
    );
    assert!(Identity::new(KeyRing::default(), none(), Some(""), true).is_err());

    let closed = Identity::new(KeyRing::default(), none(), None, true).unwrap();
    assert_eq!(
        closed.authenticate(presented(true, None)).err(),
        Some(IdentityError::Missing)
    );
    let caller = closed.authenticate(presented(false, Some("ana"))).unwrap();
    assert_eq!(
        (caller.subject().name(), caller.subject().method()),
        ("ana", Method::OsUser)
    );
    assert_eq!(
        closed.authenticate(presented(true, Some("a\nb"))).err(),
        Some(IdentityError::OsUser)
    );
}

#[test]
fn an_api_key_names_its_subject() {
    let dir = tempfile::tempdir().unwrap();
    let file = KeyFile::at(dir.path().join("keys.json"));
    let new = |name: &str, expires_unix_s| NewKey {
        kind: SubjectKind::Agent,
        name: name.to_owned(),
        groups: Vec::new(),
        expires_unix_s,
    };
    let key = file.create(new("bot", None), NOW).unwrap();
    let ended = file.create(new("old", Some(NOW)), NOW - 10).unwrap();
    let identity = Identity::new(file.load().unwrap(), Issuers::new(Vec::new()).unwrap(), None, false).unwrap();
    let caller = bearer(&identity, key.danger_secret(), NOW).unwrap();
    assert_eq!(
        (caller.subject().name(), caller.subject().kind()),
        ("bot", SubjectKind::Agent)
    );
    assert_eq!(
        bearer(&identity, ended.danger_secret(), NOW).err(),
        Some(IdentityError::KeyExpired)
    );
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let header = b"Bearer very-secret";
    let presented = Presented {
        authorization: Some(header),
        peer_is_loopback: true,
        os_user: None,
        now_unix_s: NOW,
    };
    assert!(!format!("{presented:?}").contains("secret"));
    let house = house();
    let shown = format!("{:?}", house.identity);
    assert!(!shown.contains(house.es.jwk["x"].as_str().unwrap()), "{shown}");
    for error in [
        IdentityError::Missing,
        IdentityError::Token(TokenError::Claim("aud")),
        IdentityError::Malformed,
    ] {
        let challenge = error.challenge();
        assert!(
            challenge.starts_with("Bearer realm=") && !challenge.contains('\n'),
            "{challenge}"
        );
    }
}

/// Run with `--release --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_authentication_costs() {
    let house = house();
    let dir = tempfile::tempdir().unwrap();
    let file = KeyFile::at(dir.path().join("keys.json"));
    let new = NewKey {
        kind: SubjectKind::User,
        name: "ana".to_owned(),
        groups: Vec::new(),
        expires_unix_s: None,
    };
    let key = file.create(new, NOW).unwrap();
    let keyed = Identity::new(file.load().unwrap(), Issuers::new(Vec::new()).unwrap(), None, false).unwrap();
    let key = format!("Bearer {}", key.danger_secret());
    let token = format!("Bearer {}", house.es.token(&header(), &claims()));
    let median_ns = |run: &dyn Fn()| {
        let mut rounds: Vec<u128> = (0..9)
            .map(|_| {
                let start = std::time::Instant::now();
                (0..2_000).for_each(|_| run());
                start.elapsed().as_nanos() / 2_000
            })
            .collect();
        rounds.sort_unstable();
        rounds[4]
    };
    let key_ns = median_ns(&|| assert!(ask(&keyed, Some(&key), NOW).is_ok()));
    let token_ns = median_ns(&|| assert!(ask(&house.identity, Some(&token), NOW).is_ok()));
    let fresh_ns = median_ns(&|| {
        house.identity.issuers.forget();
        assert!(ask(&house.identity, Some(&token), NOW).is_ok());
    });
    println!("API key {key_ns} ns, remembered ES256 token {token_ns} ns, new one {fresh_ns} ns");
}
