//! Canaries: values of each class that the starter set masks, drawn from a seed with valid check digits, and the examples of the
//! detectors' own rules, which cover every issuer and country. Each in the words that it would stand in. Knows no encoding, no place.

use crate::child::{self, Result};
use crate::fresh::dice::{ALNUM, Dice, UPPER};
use crate::root;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The classes that the starter set masks in results, in the order in which they take turns.
pub(super) const CLASSES: [&str; 8] = [
    "PROVIDER_TOKEN",
    "PASSWORD",
    "GENERIC_SECRET",
    "JWT",
    "PRIVATE_KEY",
    "CARD",
    "IBAN",
    "NATIONAL_ID",
];
/// Those of them that are secrets: refused in arguments.
pub(super) const SECRETS: usize = 5;

/// A value that must not be seen, in a text that names it.
#[derive(Debug, Clone)]
pub(super) struct Canary {
    /// One of [`CLASSES`].
    pub(super) class: &'static str,
    /// The rule or generator that it is of.
    pub(super) kind: String,
    /// What a field that holds nothing else is called; none where the text alone makes it one.
    pub(super) label: Option<&'static str>,
    /// The values: a text of a rule may hold several.
    pub(super) values: Vec<String>,
    /// The whole text.
    pub(super) text: String,
    /// Whether it is known by its own form, without the word beside it.
    pub(super) is_sure: bool,
}

impl Canary {
    /// Whether it is known by its digits, which people write in their own script.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.class, "CARD" | "IBAN" | "NATIONAL_ID")
    }
}

/// Where canaries come from.
pub(super) struct Nest {
    dice: Dice,
    /// Of each class, the examples of rules, and which comes next.
    examples: Vec<Vec<Canary>>,
    next: Vec<usize>,
}

impl Nest {
    /// # Errors
    /// The rules cannot be read.
    pub(super) fn new(seed: u64) -> Result<Self> {
        let mut dice = Dice::new(seed, 1);
        let mut examples = rules()?;
        for list in &mut examples {
            for at in (1..list.len()).rev() {
                list.swap(at, dice.below(at + 1));
            }
        }
        Ok(Self {
            dice,
            next: vec![0; examples.len()],
            examples,
        })
    }

    /// The next canary of the class at `class` in [`CLASSES`]: in turns one that is drawn and an example. `drawn` wants one that is
    /// drawn, for a field of its own.
    pub(super) fn hatch(&mut self, class: usize, drawn: bool) -> Canary {
        let (at, list) = (self.next[class], &self.examples[class]);
        self.next[class] += 1;
        match (drawn || at.is_multiple_of(2), list.get(at / 2 % list.len().max(1))) {
            (false, Some(example)) => example.clone(),
            _ => draw(&mut self.dice, CLASSES[class]),
        }
    }
}

/// Says of each canary whether it is sure: whether `portcullis scan` finds it in plain, in a file in `directory`, and is sure of it. In
/// what is packed only that is claimed; that it is found there, and masked, is for the gateway to show.
///
/// # Errors
/// The program does not say.
pub(super) fn weigh(canaries: &mut [Canary], program: &Path, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    for (at, canary) in canaries.iter().enumerate() {
        fs::write(directory.join(at.to_string()), &canary.text)?;
    }
    let mut scan = Command::new(program);
    scan.args(["scan", "--json"]).arg(directory);
    let (_, said) = child::read(&mut scan, &directory.with_extension("log"), Duration::from_secs(120))?;
    let said: Value = serde_json::from_str(&said)?;
    let mut sure = vec![0_usize; canaries.len()];
    for finding in said.get("findings").and_then(Value::as_array).ok_or("no findings")? {
        let text = |key: &str| finding.get(key).and_then(Value::as_str).unwrap_or_default();
        let at = text("path")
            .rsplit('/')
            .next()
            .and_then(|name| name.parse::<usize>().ok());
        if let Some(count) = at.and_then(|at| sure.get_mut(at))
            && text("confidence") != "likely"
        {
            *count += 1;
        }
    }
    for (canary, count) in canaries.iter_mut().zip(sure) {
        canary.is_sure = count >= canary.values.len();
    }
    match canaries.iter().filter(|canary| canary.is_sure).count() * 2 > canaries.len() {
        true => Ok(()),
        false => Err("`portcullis scan` is sure of less than half of the canaries in plain".into()),
    }
}

/// The examples of each class that a rule finds, one a rule and more where it has them, in the texts that they stand in.
fn rules() -> Result<Vec<Vec<Canary>>> {
    let mut all: Vec<Vec<Canary>> = CLASSES.iter().map(|_| Vec::new()).collect();
    let mut files: Vec<_> = fs::read_dir(root().join("crates/guards/rules"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    for file in files {
        let rules: toml::Table = toml::from_str(&fs::read_to_string(&file)?)?;
        for rule in ["token", "identifier"]
            .iter()
            .filter_map(|kind| rules.get(*kind)?.as_array())
            .flatten()
        {
            let said = |key: &str| rule.get(key).and_then(toml::Value::as_str).unwrap_or_default();
            let Some(class) = CLASSES.iter().position(|class| *class == said("class")) else {
                continue;
            };
            let texts = rule.get("finds").and_then(toml::Value::as_array).into_iter().flatten();
            for text in texts.filter_map(toml::Value::as_str) {
                let pieces: Vec<&str> = text.split("[[").skip(1).collect();
                let values = pieces.iter().filter_map(|piece| piece.split("]]").next());
                all[class].push(Canary {
                    class: CLASSES[class],
                    kind: said("id").to_owned(),
                    label: None,
                    values: values.map(str::to_owned).collect(),
                    text: text.replace("[[", "").replace("]]", ""),
                    is_sure: false,
                });
            }
        }
    }
    match all.iter().all(|list| list.len() < 2) {
        true => Err("no rule has an example".into()),
        false => Ok(all),
    }
}

/// One that is drawn.
fn draw(dice: &mut Dice, class: &'static str) -> Canary {
    let (kind, label, value) = match class {
        "PROVIDER_TOKEN" => provider_token(dice),
        "PASSWORD" => password(dice),
        "GENERIC_SECRET" => generic(dice),
        "JWT" => ("jwt", "id_token", jwt(dice)),
        "PRIVATE_KEY" => private_key(dice),
        "CARD" => card(dice),
        "IBAN" => iban(dice),
        _ => national(dice),
    };
    let text = match (class, dice.below(4)) {
        ("PASSWORD", 0) => format!("postgres://report:{value}@db.example.net:5432/ledger"),
        ("PRIVATE_KEY", 0 | 1) => value.clone(),
        ("PROVIDER_TOKEN" | "JWT", 1) => format!("Authorization: Bearer {value}"),
        (_, 0) => serde_json::json!({"of": "the ledger", label: value}).to_string(),
        (_, 1) => format!("As you asked, {label}: {value}\nThat was all of it."),
        (_, 2) => format!("{}={value}", label.to_uppercase().replace([' ', '-'], "_")),
        _ => format!("{label}: {value}"),
    };
    Canary {
        class,
        kind: format!("drawn {kind}"),
        label: Some(label),
        values: vec![value],
        text,
        is_sure: false,
    }
}

type Drawn = (&'static str, &'static str, String);

fn provider_token(dice: &mut Dice) -> Drawn {
    match dice.below(5) {
        // GitHub's blog, "Behind GitHub's new authentication token formats": CRC-32 of the body in base 62.
        0 => {
            let body = dice.draw(ALNUM, 30);
            let prefix = *dice.pick(&["ghp_", "gho_", "ghs_"]);
            let sum = base62(crc32fast::hash(body.as_bytes()), 6);
            ("github", "github_token", format!("{prefix}{body}{sum}"))
        }
        // npm's blog, "new npm access token format": the same.
        1 => {
            let body = dice.draw(ALNUM, 30);
            let sum = base62(crc32fast::hash(body.as_bytes()), 6);
            ("npm", "npm_token", format!("npm_{body}{sum}"))
        }
        // Stripe's documentation, API keys.
        2 => ("stripe", "stripe_key", format!("sk_live_{}", dice.draw(ALNUM, 24))),
        // Slack's documentation, token types.
        3 => {
            let (team, bot) = (dice.digits(12), dice.digits(13));
            let secret = dice.draw(ALNUM, 24);
            ("slack", "slack_token", format!("xoxb-1{team}-1{bot}-{secret}"))
        }
        // GitLab's documentation, token prefixes.
        _ => ("gitlab", "gitlab_token", format!("glpat-{}", dice.draw(ALNUM, 20))),
    }
}

fn base62(mut number: u32, width: usize) -> String {
    let mut signs = Vec::new();
    while number > 0 || signs.len() < width {
        signs.push(char::from(ALNUM.as_bytes()[(number % 62) as usize]));
        number /= 62;
    }
    signs.iter().rev().collect()
}

/// As generators of passwords make them: letters of both cases and digits, signs between, never two alike.
fn password(dice: &mut Dice) -> Drawn {
    let labels = [
        "password",
        "db_password",
        "passwort",
        "mot_de_passe",
        "contraseña",
        "admin password",
        "smtp-password",
    ];
    let length = 5 + dice.below(6);
    let first = dice.draw("ABCDEFGHJKLMNPQRSTUVWXYZ", 1);
    let second = dice.draw("23456789", 1);
    let sign = *dice.pick(&["!", "_", "-", "+", "*", "."]);
    let (front, back) = (
        dice.draw("abcdefghkmnpqrstuvwxyz", 4),
        dice.draw("abcdefghkmnpqrstuvwxyz23456789ABCDEFGHJKLMNPQRSTUVWXYZ", length),
    );
    (
        "password",
        *dice.pick(&labels),
        format!("{first}{front}{second}{sign}{back}7q"),
    )
}

fn generic(dice: &mut Dice) -> Drawn {
    let label = *dice.pick(&[
        "client_secret",
        "api_key",
        "secret_key",
        "encryption_key",
        "x-api-key",
        "webhook_secret",
    ]);
    match dice.below(3) {
        0 => ("hexadecimal key", label, dice.hex(40)),
        1 => ("letters and digits", label, dice.draw(ALNUM, 36)),
        _ => ("base64", label, STANDARD.encode(dice.bytes(32))),
    }
}

/// RFC 7519.
pub(super) fn jwt(dice: &mut Dice) -> String {
    let header = serde_json::json!({"alg": *dice.pick(&["HS256", "RS256", "ES256"]), "typ": "JWT", "kid": dice.hex(8)});
    let payload = serde_json::json!({"sub": dice.digits(9), "iss": "https://login.example.net", "jti": dice.hex(16)});
    let parts = [
        header.to_string().into_bytes(),
        payload.to_string().into_bytes(),
        dice.bytes(32),
    ];
    parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// RFC 7468 around what begins as RFC 5958, 8017 or 5915 say and is random behind; OpenSSH's `PROTOCOL.key` likewise.
fn private_key(dice: &mut Dice) -> Drawn {
    let (name, head): (&str, &[u8]) = match dice.below(4) {
        0 => (
            "PRIVATE KEY",
            &[
                0x30, 0x82, 0x01, 0x55, 0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
            ],
        ),
        1 => (
            "RSA PRIVATE KEY",
            &[0x30, 0x82, 0x02, 0x5c, 0x02, 0x01, 0x00, 0x02, 0x81, 0x81, 0x00],
        ),
        2 => ("EC PRIVATE KEY", &[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20]),
        _ => (
            "OPENSSH PRIVATE KEY",
            b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01",
        ),
    };
    let mut body = head.to_vec();
    body.extend(dice.bytes(160));
    let letters = STANDARD.encode(body);
    let lines: Vec<&str> = (0..letters.len())
        .step_by(64)
        .filter_map(|at| letters.get(at..(at + 64).min(letters.len())))
        .collect();
    let value = format!("-----BEGIN {name}-----\n{}\n-----END {name}-----", lines.join("\n"));
    ("private key", "key_pem", value)
}

/// ISO/IEC 7812-1: a network's range and length, and Luhn's digit.
fn card(dice: &mut Dice) -> Drawn {
    let label = *dice.pick(&["card_number", "credit card", "kreditkarte", "pan", "cc_number"]);
    let (kind, prefix, length) = *dice.pick(&[
        ("visa", "4539", 16),
        ("mastercard", "5412", 16),
        ("mastercard", "2314", 16),
        ("amex", "3782", 15),
        ("discover", "6011", 16),
        ("mir", "2202", 16),
        ("jcb", "3541", 16),
    ]);
    let body = format!("{prefix}{}", dice.digits(length - 1 - prefix.len()));
    let bare = format!("{body}{}", luhn(&body));
    let groups: &[usize] = if length == 15 { &[4, 6, 5] } else { &[4, 4, 4, 4] };
    let value = match dice.below(3) {
        0 => grouped(&bare, groups, " "),
        1 => grouped(&bare, groups, "-"),
        _ => bare,
    };
    (kind, label, value)
}

pub(super) fn luhn(body: &str) -> u32 {
    let digits = body.bytes().rev().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| {
            if at % 2 == 0 {
                digit * 2 / 10 + digit * 2 % 10
            } else {
                digit
            }
        })
        .sum();
    (10 - sum % 10) % 10
}

fn grouped(bare: &str, groups: &[usize], gap: &str) -> String {
    let mut at = 0;
    let parts: Vec<&str> = groups
        .iter()
        .filter_map(|width| {
            at += width;
            bare.get(at - width..at)
        })
        .collect();
    parts.join(gap)
}

/// ISO 13616: the registry's lengths, and the check over all.
fn iban(dice: &mut Dice) -> Drawn {
    let label = *dice.pick(&["iban", "IBAN", "konto iban", "creditor iban"]);
    let (country, letters, digits) = *dice.pick(&[
        ("DE", 0, 18),
        ("NL", 4, 10),
        ("GB", 4, 14),
        ("IE", 4, 14),
        ("AT", 0, 16),
        ("CH", 0, 17),
        ("PL", 0, 24),
        ("SE", 0, 20),
        ("LU", 0, 16),
        ("LT", 0, 16),
    ]);
    let account = format!("{}{}", dice.draw(UPPER, letters), dice.digits(digits));
    let bare = format!("{country}{}{account}", iban_check(country, &account));
    let value = match dice.below(2) {
        0 => bare,
        _ => grouped_by_four(&bare),
    };
    (country, label, value)
}

pub(super) fn iban_check(country: &str, account: &str) -> String {
    let signs = format!("{account}{country}00");
    let rest = signs.bytes().fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    format!("{:02}", 98 - rest)
}

fn grouped_by_four(bare: &str) -> String {
    let parts: Vec<&str> = (0..bare.len())
        .step_by(4)
        .filter_map(|at| bare.get(at..(at + 4).min(bare.len())))
        .collect();
    parts.join(" ")
}

/// Numbers of persons of eight countries, with the check that their law has.
fn national(dice: &mut Dice) -> Drawn {
    let year = 1950 + dice.below(50);
    let (month, day) = (1 + dice.below(12), 1 + dice.below(28));
    let weighted = |body: &str, weights: &[u32]| -> u32 {
        body.bytes()
            .zip(weights)
            .map(|(byte, weight)| u32::from(byte - b'0') * weight)
            .sum()
    };
    match dice.below(8) {
        // Wet algemene bepalingen burgerservicenummer: eleven test.
        0 => loop {
            let body = format!("1{}", dice.digits(7));
            let rest = weighted(&body, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            if rest < 10 {
                return ("nl.bsn", "bsn", format!("{body}{rest}"));
            }
        },
        // Real Decreto 1553/2005: the letter of the rest by 23.
        1 => {
            let body = dice.digits(8);
            let rest = body.parse::<usize>().unwrap_or(0) % 23;
            let letter = char::from(b"TRWAGMYFPDXBNJZSQVHLCKE"[rest]);
            ("es.dni", "dni", format!("{body}{letter}"))
        }
        // Décret 82-103: 97 less the rest.
        2 => {
            let body = format!("1{:02}{month:02}75{}", year % 100, dice.digits(6));
            let rest = 97 - body.parse::<u64>().unwrap_or(0) % 97;
            ("fr.nir", "numéro de sécurité sociale", format!("{body}{rest:02}"))
        }
        // Ustawa o ewidencji ludności: weights 1, 3, 7, 9.
        3 => {
            let body = format!("{:02}{month:02}{day:02}{}", year % 100, dice.digits(4));
            let check = (10 - weighted(&body, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
            ("pl.pesel", "pesel", format!("{body}{check}"))
        }
        // Receita Federal: two digits by eleven.
        4 => {
            let mut body = format!("3{}", dice.digits(8));
            for width in [10_u32, 11] {
                let weights: Vec<u32> = (2..=width).rev().collect();
                let rest = weighted(&body, &weights) * 10 % 11 % 10;
                body.push_str(&rest.to_string());
            }
            let dotted = grouped(&body, &[3, 3, 3], ".");
            (
                "br.cpf",
                "cpf",
                format!("{dotted}-{}", body.get(9..).unwrap_or_default()),
            )
        }
        // Folkbokföringslagen, § 18: Luhn's digit.
        5 => {
            let body = format!("{:02}{month:02}{day:02}{}", year % 100, dice.digits(3));
            let check = luhn(&body);
            let (front, back) = body.split_at(6);
            ("se.personnummer", "personnummer", format!("{front}-{back}{check}"))
        }
        // Väestötietolaki: the sign of the rest by 31.
        6 => {
            let (date, serial) = (format!("{day:02}{month:02}{:02}", year % 100), 100 + dice.below(799));
            let rest = format!("{date}{serial}").parse::<usize>().unwrap_or(0) % 31;
            let sign = char::from(b"0123456789ABCDEFHJKLMNPRSTUVWXY"[rest]);
            ("fi.hetu", "henkilötunnus", format!("{date}-{serial}{sign}"))
        }
        // Social Security Administration, since 2011: no area 000, 666 or 9xx.
        _ => {
            let value = format!(
                "{}-{:02}-{:04}",
                501 + dice.below(90),
                11 + dice.below(80),
                1_201 + dice.below(8_000)
            );
            ("us.ssn", "social security number", value)
        }
    }
}
