//! Secrets of no issuer: passwords, keys known by their name alone, signed tokens, private keys.

use super::codec::{base64, base64_url, crc24};
use super::dice::{ALNUM, DIGITS, Dice, HEX, LOWER, LOWER_ALNUM, STD64, UPPER, UPPER_ALNUM, URL64};
use super::value::{Class, Value};
use super::words::Lang;

/// Words that people make passwords of.
const ROOTS: &str = "summer|winter|dragon|falcon|pepper|coffee|guitar|purple|silver|rocket|marble|panther|tulip|walnut|harbor|cactus|monsoon|Sommer|Winter|\
    Fussball|Sonne|Kaffee|Hamburg|Bayern|Hund|soleil|chocolat|doudou|marseille|bonjour|azucar|girasol|barcelona|estrella|corazon|palmeiras|saudade|\
    juventus|amore|ciao|kwiatek|kotek|zima|sommar|blomma|hygge|pikachu|sakura|tokyo|galatasaray|yildiz|solnyshko|privet|lubov|zvezda|qwerty|asdf|hunter|trustme";

/// A password of people or of a generator. `phrase` allows words with spaces between.
pub(super) fn password(dice: &mut Dice, lang: &Lang, sub: &str, phrase: bool) -> Value {
    let root = dice.word(ROOTS).to_owned();
    let upper = |text: &str| {
        let mut signs = text.chars();
        signs
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().chain(signs).collect())
    };
    let text = match dice.below(18) {
        0 | 1 => format!("{}{}{}", upper(&root), dice.between(1, 2031), dice.draw("!!?#$*.@+", 1)),
        2 => format!("{}{}", upper(&root), dice.draw(DIGITS, 3)) + &dice.draw(UPPER, 1),
        3 => {
            let other = dice.word(ROOTS);
            format!("{root}{}{other}{}", dice.draw("-_.+&", 1), dice.draw(DIGITS, 2))
        }
        4 => leet(&upper(&root)) + &dice.draw("!@#%&*", 1) + &dice.draw(DIGITS, 3),
        5 => {
            let words: Vec<&str> = (0..4).map(|_| dice.word(ROOTS)).collect();
            if phrase { words.join(" ") } else { words.join("-") }
        }
        6 => format!(
            "{}{}{}{}",
            dice.draw(DIGITS, 2),
            upper(&root),
            dice.draw("#$%=", 1),
            dice.draw(LOWER_ALNUM, 3)
        ),
        7 | 8 => dice.draw(&format!("{ALNUM}!#%*+-=?@^_~"), 14) + &dice.draw(ALNUM, 1),
        9 => dice.draw(&format!("{ALNUM}$&():;<>[]{{}}|,./"), 18) + &dice.draw(ALNUM, 2),
        10 => dice.draw(ALNUM, 12),
        11 => dice.draw(ALNUM, 20),
        12 => format!(
            "{}-{}-{}",
            dice.draw(LOWER_ALNUM, 6),
            dice.draw(LOWER_ALNUM, 6),
            dice.draw(ALNUM, 6)
        ),
        13 => dice.draw(LOWER, 4) + &dice.draw(UPPER, 2) + &dice.draw(DIGITS, 3) + &dice.draw("!?*#", 1),
        14 => dice.draw(HEX, 16),
        15 => format!("{}@{}", upper(&root), dice.draw(DIGITS, 4)),
        16 => {
            // In the writer's own letters, if they have words without spaces.
            let word = lang.word("givens", dice).replace(' ', "");
            format!("{word}{}{}", dice.draw(DIGITS, 4), dice.draw("!*#", 1))
        }
        _ => format!("{}{}", dice.draw(LOWER, 8), dice.draw(DIGITS, 2)),
    };
    Value::new(Class::Password, sub, text, lang.word("password", dice), false)
}

fn leet(text: &str) -> String {
    text.chars()
        .map(|sign| match sign {
            'a' => '4',
            'e' => '3',
            'i' => '1',
            'o' => '0',
            's' => '5',
            other => other,
        })
        .collect()
}

/// What keys of no known issuer are called.
const NAMES: &str = "api key|api_key|secret key|client secret|access token|auth token|signing secret|webhook secret|session secret|encryption key|refresh token|\
    app secret|service token|hmac key|shared secret|private token|jwt secret|cookie secret|master key|api secret|consumer secret|bearer token|integration token";

/// A secret that only its name or place gives away.
pub(super) fn generic(dice: &mut Dice, lang: &Lang) -> Value {
    let (sub, text) = match dice.below(13) {
        0 | 1 => ("hex", dice.draw(HEX, 32)),
        2 => ("hex", dice.draw(HEX, 64)),
        3 => ("hex", dice.draw(HEX, 40)),
        4 | 5 => ("alnum", dice.draw(ALNUM, 32)),
        6 => {
            let length = dice.between(20, 48);
            ("alnum", dice.draw(ALNUM, length))
        }
        7 => ("base64", dice.draw(STD64, 43) + "="),
        8 => ("base64url", dice.alnum(1) + &dice.draw(URL64, 41) + &dice.alnum(1)),
        9 => ("uuid", dice.uuid()),
        10 => (
            "grouped",
            (0..5).map(|_| dice.draw(UPPER_ALNUM, 5)).collect::<Vec<_>>().join("-"),
        ),
        11 => ("prefixed", {
            let prefix = format!("{}_{}", super::contact::coined(dice), dice.word("live|prod|sk|key|tok"));
            format!("{prefix}_{}", dice.alnum(28))
        }),
        _ => ("lower", dice.draw(LOWER_ALNUM, 24)),
    };
    let label = if lang.code == "en" || dice.chance(40) {
        dice.word(NAMES)
    } else {
        lang.word("secret", dice)
    };
    Value::new(Class::GenericSecret, sub, text, label, false)
}

/// A signed JSON web token.
pub(super) fn jwt(dice: &mut Dice) -> Value {
    let (algorithm, length) = *dice.pick(&[
        ("HS256", 32),
        ("HS512", 64),
        ("RS256", 256),
        ("ES256", 64),
        ("EdDSA", 64),
    ]);
    let head = match dice.below(3) {
        0 => format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}"),
        1 => format!(
            "{{\"typ\":\"JWT\",\"alg\":\"{algorithm}\",\"kid\":\"{}\"}}",
            dice.hex(16)
        ),
        _ => format!("{{\"alg\":\"{algorithm}\",\"kid\":\"{}\"}}", dice.draw(LOWER_ALNUM, 8)),
    };
    let at = dice.between(1_690_000_000, 1_790_000_000);
    let body = format!(
        "{{\"sub\":\"{}\",\"iat\":{at},\"exp\":{},\"iss\":\"https://{}/\",\"scope\":\"{}\"}}",
        dice.uuid(),
        at + 3600,
        super::contact::host(dice),
        dice.word("read|read write|orders:read|admin|openid profile|files.write")
    );
    let signature = dice.bytes(length);
    let text = format!(
        "{}.{}.{}",
        base64_url(head.as_bytes()),
        base64_url(body.as_bytes()),
        base64_url(&signature)
    );
    Value::new(
        Class::Jwt,
        algorithm,
        text,
        dice.word("JWT|id_token|access_token|bearer token|session token"),
        true,
    )
}

/// A length as DER writes it.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        length @ 0..128 => bytes.push(length as u8),
        length @ 128..256 => bytes.extend([0x81, length as u8]),
        length => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend(content);
    bytes
}

/// A positive whole number of `count` random bytes.
fn integer(dice: &mut Dice, count: usize) -> Vec<u8> {
    let mut bytes = dice.bytes(count);
    bytes[0] |= 0x80;
    bytes.insert(0, 0);
    der(2, &bytes)
}

fn rsa(dice: &mut Dice) -> Vec<u8> {
    let size = *dice.pick(&[128, 256, 256]);
    let mut parts = der(2, &[0]);
    parts.extend(integer(dice, size));
    parts.extend(der(2, &[1, 0, 1]));
    parts.extend(integer(dice, size));
    for _ in 0..5 {
        parts.extend(integer(dice, size / 2));
    }
    der(0x30, &parts)
}

fn elliptic(dice: &mut Dice) -> Vec<u8> {
    let mut parts = der(2, &[1]);
    parts.extend(der(4, &dice.bytes(32)));
    parts.extend(der(0xa0, &der(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7])));
    let mut point = vec![0, 4];
    point.extend(dice.bytes(64));
    parts.extend(der(0xa1, &der(3, &point)));
    der(0x30, &parts)
}

fn pkcs8(dice: &mut Dice) -> Vec<u8> {
    let mut parts = der(2, &[0]);
    if dice.chance(60) {
        let mut algorithm = der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]);
        algorithm.extend([5, 0]);
        parts.extend(der(0x30, &algorithm));
        parts.extend(der(4, &rsa(dice)));
    } else {
        parts.extend(der(0x30, &der(6, &[0x2b, 0x65, 0x70])));
        parts.extend(der(4, &der(4, &dice.bytes(32))));
    }
    der(0x30, &parts)
}

fn openssh(dice: &mut Dice) -> Vec<u8> {
    let field = |bytes: &[u8]| {
        let mut field = (bytes.len() as u32).to_be_bytes().to_vec();
        field.extend(bytes);
        field
    };
    let public = dice.bytes(32);
    let mut public_part = field(b"ssh-ed25519");
    public_part.extend(field(&public));
    let check = dice.bytes(4);
    let mut private = [check.clone(), check].concat();
    private.extend(&public_part);
    private.extend(field(&[dice.bytes(32), public].concat()));
    private.extend(field(
        format!("{}@{}", dice.draw(LOWER, 5), dice.draw(LOWER, 7)).as_bytes(),
    ));
    for pad in 1..8 {
        if private.len().is_multiple_of(8) {
            break;
        }
        private.push(pad);
    }
    let mut all = b"openssh-key-v1\0".to_vec();
    for part in [&b"none"[..], b"none", b""] {
        all.extend(field(part));
    }
    all.extend([0, 0, 0, 1]);
    all.extend(field(&public_part));
    all.extend(field(&private));
    all
}

fn lines(text: &str, width: usize) -> String {
    let signs: Vec<char> = text.chars().collect();
    let lines: Vec<String> = signs.chunks(width).map(|line| line.iter().collect()).collect();
    lines.join("\n")
}

/// A private key as text, of several lines.
pub(super) fn private_key(dice: &mut Dice) -> Value {
    let pem = |kind: &str, head: &str, body: &[u8], width: usize| {
        format!(
            "-----BEGIN {kind}-----\n{head}{}\n-----END {kind}-----",
            lines(&base64(body), width)
        )
    };
    let (sub, text) = match dice.below(11) {
        0 | 1 => ("rsa", pem("RSA PRIVATE KEY", "", &rsa(dice), 64)),
        2 => ("ec", pem("EC PRIVATE KEY", "", &elliptic(dice), 64)),
        3 | 4 => ("pkcs8", pem("PRIVATE KEY", "", &pkcs8(dice), 64)),
        5 => {
            let body = dice.bytes(620);
            (
                "pkcs8.encrypted",
                pem("ENCRYPTED PRIVATE KEY", "", &der(0x30, &body), 64),
            )
        }
        6 => {
            let head = format!(
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{}\n\n",
                dice.hex(32).to_uppercase()
            );
            ("rsa.encrypted", pem("RSA PRIVATE KEY", &head, &rsa(dice), 64))
        }
        7 | 8 => ("openssh", pem("OPENSSH PRIVATE KEY", "", &openssh(dice), 70)),
        9 => {
            let length = dice.between(420, 900);
            let mut body = vec![0x95, 0x01, 0xd8, 4];
            body.extend(dice.bytes(length));
            let sum = base64(&crc24(&body).to_be_bytes()[1..]);
            let head = if dice.chance(40) { "Version: GnuPG v2\n\n" } else { "\n" };
            let body = lines(&base64(&body), 64);
            (
                "pgp",
                format!(
                    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n{head}{body}\n={sum}\n-----END PGP PRIVATE KEY BLOCK-----"
                ),
            )
        }
        _ => {
            let version = dice.word("2|3");
            let (public, private) = (base64(&dice.bytes(51)), base64(&dice.bytes(36)));
            let mac = if version == "3" { dice.hex(64) } else { dice.hex(40) };
            let name = format!("ed25519-key-20{}", dice.pattern("2#0%1#"));
            (
                "putty",
                format!(
                    "PuTTY-User-Key-File-{version}: ssh-ed25519\nEncryption: none\nComment: {name}\nPublic-Lines: 2\n{}\nPrivate-Lines: 1\n{private}\nPrivate-MAC: {mac}",
                    lines(&public, 64)
                ),
            )
        }
    };
    Value::new(
        Class::PrivateKey,
        sub,
        text,
        dice.word("private_key|ssh_private_key|tls_key|signing_key|deploy_key"),
        true,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_lines() {
        let mut dice = Dice::new(5, 1);
        for _ in 0..200 {
            let key = private_key(&mut dice).text;
            assert!(key.starts_with("-----BEGIN ") || key.starts_with("PuTTY"), "{key}");
            assert!(key.lines().count() >= 3);
            assert_eq!(jwt(&mut dice).text.split('.').count(), 3);
        }
    }
}
