//! What stands where a secret could and is none, by its form: ciphertext, references to stores of secrets, hashes, public keys, names
//! of algorithms and of things, versions, files, sequences, masks, instructions to whoever fills it in.
//!
//! It must not know what names the value.

use super::peek::find;
use super::shape::{ALPHANUMERICS, Bytes, DIGITS, UPPER, Value};

/// Values that are closed to whoever reads them (SOPS, Jasypt, Spring Cloud Config, Vault's transit engine, AWS KMS, Ansible), keys
/// that are public (age, OpenSSH, Stripe), and hashes.
const BEGINNINGS: [&[u8]; 22] = [
    b"ENC[",
    b"ENC(",
    b"{cipher}",
    b"vault:v",
    b"AQICAH",
    b"$ANSIBLE_VAULT",
    b"age1",
    b"ssh-rsa ",
    b"ssh-ed25519 ",
    b"ecdsa-sha2-",
    b"sk-ssh-",
    b"pk_test_",
    b"pk_live_",
    b"-----BEGIN PUBLIC",
    b"-----BEGIN CERT",
    b"SHA256:",
    b"sha256:",
    b"sha512:",
    b"sha256-",
    b"sha384-",
    b"sha512-",
    b"@Microsoft.KeyVault(",
];

/// Names of stores, before what they keep.
const STORES: [&[u8]; 22] = [
    b"arn",
    b"secret",
    b"secrets",
    b"secretref",
    b"keyring",
    b"keychain",
    b"keyvault",
    b"ssm",
    b"awssm",
    b"aws-sm",
    b"gcpsm",
    b"gcp-sm",
    b"akv",
    b"azurekv",
    b"kms",
    b"sops",
    b"doppler",
    b"infisical",
    b"bws",
    b"file",
    b"cmd",
    b"exec",
];

/// What tells whoever reads it to put a value there, or that it was taken out or made up.
const TELLING: [&[u8]; 20] = [
    b"your",
    b"replace",
    b"replaceme",
    b"changeme",
    b"change",
    b"dummy",
    b"fake",
    b"sample",
    b"example",
    b"placeholder",
    b"insert",
    b"redacted",
    b"removed",
    b"masked",
    b"todo",
    b"fixme",
    b"mock",
    b"fill",
    b"notreal",
    b"invalid",
];

/// Words for secrets: what is called so is a name, not one.
const NAMES: [&[u8]; 16] = [
    b"secret",
    b"secrets",
    b"key",
    b"keys",
    b"token",
    b"tokens",
    b"credential",
    b"credentials",
    b"password",
    b"passwd",
    b"auth",
    b"client",
    b"apikey",
    b"oauth",
    b"oauth2",
    b"vault",
];

/// Small words of sentences.
const SMALL_WORDS: [&[u8]; 24] = [
    b"the",
    b"a",
    b"an",
    b"of",
    b"to",
    b"in",
    b"for",
    b"and",
    b"or",
    b"is",
    b"not",
    b"be",
    b"must",
    b"at",
    b"least",
    b"every",
    b"see",
    b"ask",
    b"with",
    b"from",
    b"by",
    b"on",
    b"your",
    b"characters",
];

/// Endings of files that keys and settings are kept in.
const FILES: [&[u8]; 16] = [
    b".pem", b".key", b".crt", b".cer", b".p12", b".pfx", b".jks", b".json", b".yaml", b".yml", b".txt", b".env",
    b".toml", b".conf", b".gpg", b".asc",
];

/// Parts of the names of algorithms, without their figures.
const ALGORITHMS: [&[u8]; 18] = [
    b"AES", b"RSA", b"SHA", b"HMAC", b"MD", b"HS", b"RS", b"ES", b"PS", b"ECDSA", b"ED", b"GCM", b"CBC", b"CTR",
    b"CHACHA", b"POLY", b"PBKDF", b"HKDF",
];

/// So many letters and digits of a secret are shown beside its mask.
const SHOWN_MAX: usize = 12;

/// What the [`BEGINNINGS`] begin with.
const BEGINNING: Bytes = Bytes::of(b"E{vA$aseSp-@");

/// Whether a value is known by its form to be no secret. What it is made of rules most forms out.
pub(super) fn is_stand_in(asked: &Value<'_>) -> bool {
    let (value, lower, set) = (asked.text, asked.lower.as_slice(), asked.set);
    let begins = value.first().is_some_and(|first| BEGINNING.has(*first));
    begins && BEGINNINGS.iter().any(|begin| value.starts_with(begin))
        || (set.has_any(MASKS) || set.has_all(TAKEN_OUT)) && is_masked(value)
        || is_reference(asked)
        || set.has_any(FILED) && is_file(asked)
        || set.are_of(UPPER.or(DIGITS).and(b"-_/")) && is_algorithm(value)
        || is_version(lower)
        || set.has(b':') && is_time(value)
        || is_sequence(lower)
        || set.has_any(HASHED) && is_stored_hash(value)
        || set.are_of(ALPHANUMERICS.and(b"-_. /")) && is_told(lower)
        || set.are_of(ALPHANUMERICS.and(b"_.()")) && is_dotted(value)
        || set.has(b' ') && is_sentence(lower)
}

/// Signs of masks.
const MASKS: Bytes = Bytes::of(b"*.");
/// The letters that `REDACTED` and `REMOVED` have.
const TAKEN_OUT: Bytes = Bytes::of(b"RED");
/// A file has an ending, or a drive.
const FILED: Bytes = Bytes::of(b".:");
/// Signs of hashes as they are stored.
const HASHED: Bytes = Bytes::of(b"*$");

/// `ghp_****1234`, `sk-...a1B2`, `[REDACTED:KEY]`: of what is shown beside the mask there is too little for a secret.
fn is_masked(value: &[u8]) -> bool {
    let marks = [&b"***"[..], b"...", b"REDACTED", b"REMOVED"];
    let mask = marks.iter().find(|mark| find(value, mark).is_some());
    // Of a URL the rest is no secret.
    let is_url = find(value, b"://").is_some();
    mask.is_some_and(|mask| {
        let shown = value.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        shown.saturating_sub(mask.iter().filter(|byte| byte.is_ascii_alphanumeric()).count()) <= SHOWN_MAX || is_url
    })
}

/// `arn:aws:...`, `secret:prod/key`, `%(KEY)s`, `@@KEY@@`, `__KEY__`, `projects/1/secrets/x`.
fn is_reference(asked: &Value<'_>) -> bool {
    let (value, lower) = (asked.text, asked.lower.as_slice());
    let colon = if asked.set.has(b':') {
        memchr::memchr(b':', lower)
    } else {
        None
    };
    let is_stored = colon.is_some_and(|colon| {
        let rest = lower.get(colon + 1..).unwrap_or_default();
        let is_name = rest.len() >= 3
            && rest
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b":/._-#@".contains(byte));
        is_name && lower.get(..colon).is_some_and(|store| STORES.contains(&store))
    });
    let scheme = colon.and_then(|_| find(lower, b"://"));
    let is_url = scheme.is_some_and(|at| {
        at > 0
            && lower.get(..at).is_some_and(|scheme| {
                scheme
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
            })
            && memchr::memchr(b'@', lower).is_none()
    });
    let is_between = |open: &[u8], close: &[u8]| {
        value
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|name| {
                name.len() >= 2
                    && name
                        .iter()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
            })
    };
    let is_resource = lower.starts_with(b"projects/") && find(lower, b"/secrets/").is_some();
    is_stored
        || is_url
        || is_resource
        || is_between(b"%(", b")s")
        || is_between(b"@@", b"@@")
        || is_between(b"__", b"__")
}

/// A file by its ending, or by a Windows drive.
fn is_file(asked: &Value<'_>) -> bool {
    let (value, lower) = (asked.text, asked.lower.as_slice());
    let is_drive = matches!(value, [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic());
    let is_named =
        asked.set.are_of(ALPHANUMERICS.and(b"._-/\\:~")) && FILES.iter().any(|ending| lower.ends_with(ending));
    is_drive || is_named
}

/// `AES-256-GCM`, `HS512`, `RSA-SHA256`.
fn is_algorithm(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| matches!(byte, b'-' | b'_' | b'/'));
    parts.all(|part| {
        let letters = part.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        let (name, figures) = part.split_at(letters);
        figures.len() <= 5
            && figures.iter().all(u8::is_ascii_digit)
            && (ALGORITHMS.contains(&name) || name.is_empty() && figures.len() == 3)
    })
}

/// `v1.2.3-beta`, `3600s`.
fn is_version(lower: &[u8]) -> bool {
    let rest = lower.strip_prefix(b"v").unwrap_or(lower);
    if !rest.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let figures = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    let (number, tail) = rest.split_at(figures);
    let points = number.iter().filter(|byte| **byte == b'.').count();
    let is_number = number.last().is_some_and(u8::is_ascii_digit);
    let is_unit = points == 0 && [&b"s"[..], b"m", b"h", b"d", b"ms", b"min", b"kb", b"mb", b"gb"].contains(&tail);
    let is_tail = tail.is_empty() || tail.first() == Some(&b'-') && tail.len() <= 10;
    is_number && (is_unit || (2..=3).contains(&points) && is_tail)
}

/// `2024-05-01T12:00:00Z`.
fn is_time(value: &[u8]) -> bool {
    value.len() >= 16
        && value.iter().zip(b"0000-00-00T00:00").all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form || *form == b'T' && *byte == b' ',
        })
}

/// `1234567890abcdef1234567890abcdef`: each byte but a few is the one after that before it.
fn is_sequence(lower: &[u8]) -> bool {
    let goes_up = |(one, next): (&u8, &u8)| {
        *next == one.wrapping_add(1)
            || matches!(
                (one, next),
                (b'9', b'0' | b'a') | (b'0', b'a') | (b'f' | b'z', b'0' | b'1')
            )
    };
    let pairs = lower.len().saturating_sub(1);
    // A fifth of them may be another; with one more it is told.
    let mut others = lower.iter().zip(lower.iter().skip(1)).filter(|pair| !goes_up(*pair));
    lower.len() >= 10 && others.nth(pairs / 5).is_none()
}

/// `pbkdf2_sha256$260000$...`, `*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19`.
fn is_stored_hash(value: &[u8]) -> bool {
    let is_mysql = value.strip_prefix(b"*").is_some_and(|hash| {
        hash.len() == 40
            && hash
                .iter()
                .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte))
    });
    let mut parts = value.split(|byte| *byte == b'$');
    let is_django = parts.next().is_some_and(|name| {
        name.len() >= 4
            && name
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_')
    }) && parts
        .next()
        .is_some_and(|rounds| rounds.len() >= 3 && rounds.iter().all(u8::is_ascii_digit));
    is_mysql || is_django
}

/// `your-token-here-123`, `REPLACE_WITH_TOKEN_1`, `prod-db-credentials-v2`: words and short numbers, of which one tells.
fn is_told(lower: &[u8]) -> bool {
    let is_joint = |byte: &u8| matches!(byte, b'-' | b'_' | b'.' | b' ' | b'/');
    let parts = || lower.split(is_joint).filter(|part| !part.is_empty());
    let bare = |part: &'_ [u8]| part.len() - part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let is_word = |part: &[u8]| {
        let letters = bare(part);
        let word = part.get(..letters).unwrap_or_default();
        part.len() - letters <= 5
            && word.len() <= 14
            && word.iter().all(u8::is_ascii_lowercase)
            && (word.len() <= 3 || has_vowel(word))
    };
    let is_one_of = |words: &[&[u8]]| {
        parts().any(|part| words.contains(&part) || part.get(..bare(part)).is_some_and(|word| words.contains(&word)))
    };
    if !parts().all(is_word) {
        return false;
    }
    let count = parts().count();
    is_one_of(&TELLING) || count >= 3 && (is_one_of(&NAMES) || parts().next() == Some(b"test"))
}

fn has_vowel(word: &[u8]) -> bool {
    word.iter().any(|byte| b"aeiouy".contains(byte))
}

/// `random_password.db1.result`, `com.example.auth.TokenProvider2`, `getToken1()`.
fn is_dotted(value: &[u8]) -> bool {
    let value = match value.strip_suffix(b"()") {
        Some(name)
            if name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) =>
        {
            return true;
        }
        _ => value,
    };
    let parts = || value.split(|byte| *byte == b'.');
    let is_name = |part: &[u8]| {
        let letters = part.len() - part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let name = part.get(..letters).unwrap_or_default();
        let large = name.iter().filter(|byte| byte.is_ascii_uppercase()).count();
        part.len() - letters <= 2
            && letters >= 2
            && name.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
            && (large * 4 <= letters || !name.iter().any(u8::is_ascii_lowercase))
            && has_vowel(&name.to_ascii_lowercase())
    };
    let is_secrets = |part: &[u8]| {
        let part = part.to_ascii_lowercase();
        NAMES.iter().any(|name| find(&part, name).is_some())
    };
    let count = parts().count();
    count >= 2 && parts().all(is_name) && (count >= 3 || parts().any(is_secrets))
}

/// Whether a word is of a sentence, and of no passphrase.
pub(super) fn is_of_sentence(word: &[u8]) -> bool {
    const MORE: [&[u8]; 22] = [
        b"should",
        b"will",
        b"can",
        b"are",
        b"was",
        b"has",
        b"have",
        b"been",
        b"this",
        b"that",
        b"you",
        b"when",
        b"then",
        b"only",
        b"contain",
        b"reset",
        b"sent",
        b"required",
        b"password",
        b"user",
        b"all",
        b"letters",
    ];
    SMALL_WORDS.contains(&word) || MORE.contains(&word) || NAMES.contains(&word)
}

/// `at least 12 characters`: three words or more, of which one is small.
fn is_sentence(lower: &[u8]) -> bool {
    let words = || lower.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    words().count() >= 3 && words().any(|word| SMALL_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(value: &str) -> bool {
        is_stand_in(&Value::of(value.as_bytes()))
    }

    #[test]
    fn forms_that_are_no_secret() {
        for value in [
            "ENC[AES256_GCM,data:Ab3d,type:str]",
            "ENC(Ab3dE6gH9jKl0mN2)",
            "{cipher}682bc583f4641835fa2db0",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-Ab12Cd",
            "secret:prod/api/key1",
            "gcp-sm://projects/p1/secrets/s",
            "projects/123456/secrets/api-key/versions/3",
            "%(API_KEY1)s",
            "@@API_TOKEN_1@@",
            "__API_TOKEN_1__",
            "your-token-here-123",
            "REPLACE_WITH_TOKEN_1",
            "changeme123",
            "dummy-token-123",
            "test-token-12345",
            "1234567890abcdef1234567890abcdef",
            "abcdefghijklmnopqrstuvwxyz123456",
            "ghp_****************1234",
            "sk-...a1B2",
            "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDQYzWsFqXJ4pYKqTw",
            "pbkdf2_sha256$260000$abc$Zm9vYmFyYmF6cXV4",
            "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19",
            "2024-05-01T12:00:00Z",
            "HS512-SHA256",
            "AES-256-GCM",
            "C:\\keys\\server1.pem",
            "server1.key",
            "prod-db-credentials-v2",
            "com.example.auth.TokenProvider2",
            "random_password.db1.result",
            "getToken1()",
            "v1.2.3-beta",
            "3600s",
            "rotate every 90 days",
        ] {
            assert!(is(value), "{value}");
        }
    }

    #[test]
    fn values_that_may_be_secret() {
        for value in [
            "hunter2",
            "Summer2024!",
            "xK9#mQ2$vL",
            "correct-horse-battery-staple",
            "tr0ub4dor&3",
            "Zx8.Kq2_Lm4-Rt6vWy",
            "q7Zk2Lr9TxWc5yXp8sLd4fGj",
            "9f86d081884c7d659a2feaa0c55ad015",
            "6f1d3c1e-8a2b-4c7d-9e0f-1a2b3c4d5e6f",
            "Blue-Tiger-42",
            "S3cr3t_Value",
            "AbCd-1234-EfGh-5678",
            "P@ss;word,1",
            "letmein42",
            "4711",
            "wile.E.coyote7!",
            "p*ss**w0rd",
            "a.b",
            "Winter 2024 Sonne",
            "*2470C0",
        ] {
            assert!(!is(value), "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_value_is_one_or_not(value: Vec<u8>) {
            let _ = is_stand_in(&Value::of(&value));
        }
    }
}
