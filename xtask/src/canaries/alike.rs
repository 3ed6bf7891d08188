//! Look-alikes: what has the form of a secret, a card, an account or a person's number and is none, and what is one of a class that
//! the starter set lets pass. All of it must arrive as it was.

use super::make::{iban_check, luhn};
use crate::fresh::dice::{ALNUM, Dice};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A text that must arrive untouched.
#[derive(Debug, Clone)]
pub(super) struct Alike {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

type Write = fn(&mut Dice) -> String;

/// In turns: what it looks like, and how it is written.
const KINDS: [(&str, Write); 30] = [
    ("number of a card's length, wrong check digit", |dice| {
        let body = format!("4539{}", dice.digits(11));
        let wrong = (luhn(&body) + 1 + dice.below(8) as u32) % 10;
        format!("order {body}{wrong} was shipped")
    }),
    ("account number, wrong check digits", |dice| {
        let account = dice.digits(18);
        let right: u32 = iban_check("DE", &account).parse().unwrap_or(0);
        format!(
            "reference DE{:02}{account} of the batch",
            (right + 1 + dice.below(60) as u32) % 97
        )
    }),
    ("UUID", |dice| {
        let part = |dice: &mut Dice, count| dice.hex(count);
        let (a, b, c, d, e) = (
            part(dice, 8),
            part(dice, 4),
            part(dice, 3),
            part(dice, 3),
            part(dice, 12),
        );
        format!("{{\"id\": \"{a}-{b}-4{c}-a{d}-{e}\"}}")
    }),
    ("commit", |dice| format!("commit {} (HEAD -> main)", dice.hex(40))),
    ("integrity", |dice| {
        let sum = STANDARD.encode(dice.bytes(64));
        format!("\"integrity\": \"sha512-{sum}\"")
    }),
    ("digest of an image", |dice| {
        format!("image: registry.example/app@sha256:{}", dice.hex(64))
    }),
    ("checksum", |dice| {
        format!("{}  archive-{}.tar.xz", dice.hex(64), dice.digits(2))
    }),
    ("version", |dice| {
        format!(
            "openssl {}.{}.{}-rc.{}+build.{}",
            dice.below(9),
            dice.below(40),
            dice.below(40),
            dice.below(9),
            dice.digits(5)
        )
    }),
    ("reference to a variable", |dice| {
        let name = *dice.pick(&["DB_PASSWORD", "API_KEY", "CLIENT_SECRET"]);
        format!("password: ${{{name}}}\napi_key: ${{{name}:?unset}}")
    }),
    ("template", |dice| {
        let name = *dice.pick(&["deploy", "registry", "mail"]);
        format!("token: {{{{ secrets.{name}_token }}}}\npassword = \"{{{{ vault_{name}_password }}}}\"")
    }),
    ("placeholder", |dice| {
        let name = *dice.pick(&[
            "<your-api-key>",
            "<API_KEY>",
            "********",
            "xxxxxxxxxxxx",
            "[redacted]",
            "changeme-please",
        ]);
        match name {
            "changeme-please" => "api_key=<insert key here>".to_owned(),
            _ => format!("api_key={name}"),
        }
    }),
    ("example of a manual", |dice| {
        let line = dice.below(900);
        format!("line {line}: aws_access_key_id = AKIAIOSFODNN7EXAMPLE")
    }),
    ("read from the environment", |dice| {
        let line = *dice.pick(&[
            "api_key = os.environ[\"LEDGER_API_KEY\"]",
            "const token = process.env.LEDGER_TOKEN;",
            "password := os.Getenv(\"LEDGER_PASSWORD\")",
            "let secret = std::env::var(\"LEDGER_SECRET\")?;",
        ]);
        line.to_owned()
    }),
    ("type in code", |dice| {
        let line = *dice.pick(&[
            "pub password: Option<String>,",
            "fn pin(tool: &Tool) -> ToolPin",
            "token: Annotated[str, Field(min_length=1)]",
            "private readonly secret: Promise<string>;",
            "def login(user: str, password: str) -> Session:",
            "password VARCHAR(255) NOT NULL,",
        ]);
        format!("{line} // {}", dice.below(100))
    }),
    ("prose about passwords", |dice| {
        let line = *dice.pick(&[
            "The password is changed every ninety days.",
            "Reset your password from the settings page.",
            "A token is a short string that names a session.",
            "Das Passwort wird per Post verschickt.",
        ]);
        line.to_owned()
    }),
    ("order", |dice| {
        format!(
            "Order no. {}-{}, invoice {}",
            2020 + dice.below(7),
            dice.digits(6),
            dice.digits(8)
        )
    }),
    ("milliseconds", |dice| {
        format!(
            "{{\"created_at\": 17{}, \"updated_at\": 17{}}}",
            dice.digits(11),
            dice.digits(11)
        )
    }),
    ("time", |dice| {
        format!(
            "2026-{:02}-{:02}T{:02}:14:05.{}Z started",
            1 + dice.below(12),
            1 + dice.below(28),
            dice.below(24),
            dice.digits(6)
        )
    }),
    ("picture", |dice| {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(dice.bytes(600));
        format!("data:image/png;base64,{}", STANDARD.encode(png))
    }),
    ("coordinates", |dice| {
        format!(
            "[[{}.{}, {}.{}]]",
            dice.below(90),
            dice.digits(14),
            dice.below(180),
            dice.digits(13)
        )
    }),
    ("row of numbers", |dice| {
        let row: Vec<String> = (0..8).map(|_| format!("0.{}", dice.digits(16))).collect();
        format!("weights: [{}]", row.join(", "))
    }),
    ("trace", |dice| {
        format!("traceparent: 00-{}-{}-01", dice.hex(32), dice.hex(16))
    }),
    ("public key", |dice| {
        let mut key = b"\0\0\0\x0bssh-ed25519\0\0\0 ".to_vec();
        key.extend(dice.bytes(32));
        format!("ssh-ed25519 {} build", STANDARD.encode(key))
    }),
    ("mail address", |dice| {
        format!("write to ana.{}@bank.example", dice.draw("abcdefghijk", 6))
    }),
    ("network address", |dice| {
        format!(
            "peer 10.{}.{}.{} closed the connection",
            dice.below(250),
            dice.below(250),
            dice.below(250)
        )
    }),
    ("name of a resource", |dice| {
        format!(
            "arn:aws:iam::{}:role/reader-{}",
            dice.digits(12),
            dice.draw("abcdefghijk", 5)
        )
    }),
    ("book", |dice| {
        format!("ISBN 978-3-16-1484{}-0, 2nd edition", dice.digits(2))
    }),
    ("log", |dice| {
        format!(
            "INFO request_id={} status=200 bytes={} took={}ms",
            dice.hex(16),
            dice.digits(5),
            dice.below(900)
        )
    }),
    ("style", |dice| {
        format!(
            ".card {{ color: #{}; width: {}px; token-color: inherit }}",
            dice.hex(6),
            dice.below(900)
        )
    }),
    ("identifier without a meaning", |dice| {
        format!(
            "{{\"cursor\": \"{}\", \"etag\": \"W/\\\"{}\\\"\"}}",
            dice.draw(ALNUM, 22),
            dice.hex(24)
        )
    }),
];

/// The look-alike number `at`.
pub(super) fn alike(dice: &mut Dice, at: usize) -> Alike {
    let (kind, write) = KINDS[at % KINDS.len()];
    Alike {
        kind,
        text: write(dice),
    }
}

/// How many kinds there are.
pub(super) const fn kinds() -> usize {
    KINDS.len()
}
