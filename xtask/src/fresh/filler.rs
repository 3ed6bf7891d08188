//! What stands in a text and is of no class: names of things, numbers, hashes, times, placeholders. Chiefly what looks like a
//! value and is none.

use super::codec::{base64, base64_url};
use super::contact::{coined, domain, host};
use super::dice::{ALNUM, Dice, HEX, LOWER, LOWER_ALNUM, STD64, UPPER_ALNUM};
use super::money;
use super::pen::Made;
use super::words::Lang;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Sentences by language and kind.
type Sentences = BTreeMap<(&'static str, &'static str), Vec<&'static str>>;

fn sentences(text: &'static str) -> Sentences {
    let mut all = Sentences::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.splitn(3, ' ');
        if let (Some(lang), Some(kind), Some(sentence)) = (parts.next(), parts.next(), parts.next()) {
            all.entry((lang, kind)).or_default().push(sentence);
        }
    }
    all
}

/// Sentences that hold values.
pub(super) static SAYINGS: LazyLock<Sentences> = LazyLock::new(|| sentences(include_str!("texts/sayings.txt")));
/// Sentences that hold none.
pub(super) static CALM: LazyLock<Sentences> = LazyLock::new(|| sentences(include_str!("texts/calm.txt")));

/// Columns of no class: whether the column is an everyday one, its key, its cells.
pub(super) static COLUMNS: LazyLock<Vec<(bool, &'static str, &'static str)>> = LazyLock::new(|| {
    include_str!("texts/columns.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, cells)| (key.starts_with('+'), key.trim_start_matches('+'), cells))
        .collect()
});

/// A sentence of the language: one that holds a value (of `kind` when given), or a calm one.
pub(super) fn sentence(dice: &mut Dice, lang: &Lang, says: bool, kind: &str) -> &'static str {
    let all: &Sentences = if says { &SAYINGS } else { &CALM };
    let fitting: Vec<&'static str> = all
        .iter()
        .filter(|((of, what), _)| *of == lang.code && (kind.is_empty() || *what == kind))
        .flat_map(|(_, sentences)| sentences.iter().copied())
        .collect();
    fitting.get(dice.below(fitting.len())).copied().unwrap_or_default()
}

const COMPANY: &str = " Logistics| Software GmbH| & Sons Ltd| S.A.| Group plc| Energy AG| Foods Inc.| Consulting LLC| Robotics BV| Shipping Co.| Sp. z o.o.| Oy| AB| S.r.l.| Kft.";
const PRODUCT: &str = "desk lamp|water pump|torque wrench|espresso machine|office chair|bearing set|laser printer|garden hose|running shoes|solar panel|gear box|usb hub|winter tyres";

/// A placeholder or a reference where others would write a secret.
fn placeholder(dice: &mut Dice) -> String {
    let name = dice.word("DB_PASSWORD|API_KEY|SECRET|SERVICE_TOKEN|SMTP_PASS|STRIPE_KEY|JWT_SECRET|ADMIN_PW");
    let lower = name.to_lowercase();
    let length = dice.between(6, 14);
    match dice.below(26) {
        0 | 1 => format!("${{{name}}}"),
        2 => format!("${name}"),
        3 => format!("{{{{ {lower} }}}}"),
        4 => format!("{{{{ .Values.{} }}}}", lower.replace('_', ".")),
        5 => format!("<your-{}>", lower.replace('_', "-")),
        6 => format!("<{name}>"),
        7 => format!("YOUR_{name}_HERE"),
        8 => format!("vault:secret/data/{}#{lower}", coined(dice)),
        9 => format!("${{{{ secrets.{name} }}}}"),
        10 => "*".repeat(length),
        11 => "x".repeat(length),
        12 => "[REDACTED]".to_owned(),
        13 => format!(
            "arn:aws:secretsmanager:eu-west-1:{}:secret:{}/{lower}",
            dice.digits(12),
            coined(dice)
        ),
        14 => format!("op://{}/{}/password", coined(dice), coined(dice)),
        15 => format!("process.env.{name}"),
        16 => format!("os.environ[\"{name}\"]"),
        17 => format!("!Ref {}", super::pen::style("pascal", &lower)),
        18 => format!(
            "@Microsoft.KeyVault(SecretUri=https://{}.vault.azure.net/secrets/{})",
            coined(dice),
            lower.replace('_', "-")
        ),
        19 => format!("%({lower})s"),
        20 => format!("/run/secrets/{lower}"),
        21 => "<redacted>".to_owned(),
        22 => "•".repeat(length),
        23 => format!(
            "gcp-sm://projects/{}/secrets/{lower}/versions/{}",
            coined(dice),
            dice.between(1, 12)
        ),
        24 => format!("file:/etc/{}/{lower}.txt", coined(dice)),
        _ => format!("var.{lower}"),
    }
}

fn ulid(dice: &mut Dice) -> String {
    format!(
        "01{}{}",
        dice.draw("HJK", 1),
        dice.draw("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 23)
    )
}

/// Something of no class for a slot; `None` for an unknown kind.
pub(super) fn filler(dice: &mut Dice, lang: &Lang, kind: &str, argument: &str) -> Option<Made> {
    let count = argument.parse().unwrap_or(8);
    let (year, month, day) = (dice.between(2019, 2026), dice.between(1, 12), dice.between(1, 28));
    let (hour, minute, second) = (dice.below(24), dice.below(60), dice.below(60));
    Some(Made::Plain(match kind {
        "company" => {
            let name = super::pen::style("title", &coined(dice));
            return Some(Made::Ignored(format!("{name}{}", dice.word(COMPANY))));
        }
        "city" => return Some(Made::Ignored(lang.word("cities", dice).to_owned())),
        "age" => return Some(Made::Ignored(dice.between(18, 93).to_string())),
        "word" => coined(dice),
        "noun" => dice.word("pump|ledger|turbine|harvest|camera|invoice|cargo|harbour|printer|sensor|bicycle|garden|library|kettle|window").to_owned(),
        "product" => dice.word(PRODUCT).to_owned(),
        "key" => dice.word(lang.words(argument)).to_owned(),
        "bye" => lang.word("bye", dice).to_owned(),
        "int" => dice.draw("123456789", 1) + &dice.digits(count - 1),
        "dig" => dice.digits(count),
        "num" => {
            let (low, high) = argument.split_once('-').unwrap_or(("1", "100"));
            dice.between(low.parse().unwrap_or(1), high.parse().unwrap_or(100)).to_string()
        }
        "dec" => format!("{}.{}", dice.between(0, 999), dice.digits(count)),
        "hex" => dice.draw(HEX, count),
        "HEX" => dice.draw("0123456789ABCDEF", count),
        "alnum" => dice.draw(ALNUM, count),
        "lower" => dice.draw(LOWER, count),
        "lalnum" => dice.draw(LOWER_ALNUM, count),
        "ualnum" => dice.draw(UPPER_ALNUM, count),
        "b64" => base64(&dice.bytes(count)),
        "b64u" => base64_url(&dice.bytes(count)),
        "uuid" => dice.uuid(),
        "ulid" => ulid(dice),
        "pattern" => dice.pattern(argument),
        "pick" => {
            let options: Vec<&str> = argument.split(',').collect();
            (*dice.pick(&options)).to_owned()
        }
        "date" => format!("{year}-{month:02}-{day:02}"),
        "edate" => match dice.below(3) {
            0 => format!("{day:02}.{month:02}.{year}"),
            1 => format!("{day:02}/{month:02}/{year}"),
            _ => format!("{month}/{day}/{year}"),
        },
        "time" => format!("{hour:02}:{minute:02}:{second:02}"),
        "ts" => format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{}", dice.word("Z|Z|+02:00|.417Z|.002931Z|-05:00")),
        "syslogts" => format!("{} {day:2} {hour:02}:{minute:02}:{second:02}", dice.word("Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec")),
        "clfts" => format!("{day:02}/{}/{year}:{hour:02}:{minute:02}:{second:02} +0{}00", dice.word("Jan|Mar|May|Jul|Sep|Nov"), dice.below(4)),
        "maildate" => format!("{}, {day} {} {year} {hour:02}:{minute:02}:{second:02} +0{}00", dice.word("Mon|Tue|Wed|Thu|Fri"), dice.word("Jan|Feb|Apr|Jun|Aug|Oct|Dec"), dice.below(4)),
        "epoch" => dice.between(1_560_000_000, 1_799_999_999).to_string(),
        "epochms" => format!("{}{}", dice.between(1_560_000_000, 1_799_999_999), dice.digits(3)),
        "epochns" => format!("{}{}", dice.between(1_560_000_000, 1_799_999_999), dice.digits(9)),
        "price" => format!("{}.{:02}", dice.between(1, 4999), dice.below(100)),
        "euro" => format!("{}.{:03},{:02} €", dice.between(1, 99), dice.below(1000), dice.below(100)),
        "host" => host(dice),
        "domain" => domain(dice),
        "shorthost" => format!("{}-{:02}", dice.word("web|db|app|node|worker|edge|cache|build"), dice.between(1, 60)),
        "user" => dice.word("svc_deploy|ops|batch7|root|jenkins|reporting|etl_runner|postgres|webapp|backup|appuser|ci-bot|guest2|operator").to_owned(),
        "path" => format!("/{}/{}/{}", dice.word("srv|opt|var/lib|home/app|mnt/data"), coined(dice), coined(dice)),
        "url" => format!("https://{}/{}/{}", host(dice), coined(dice), dice.between(1, 9999)),
        "file" => format!("{}.{}", coined(dice), dice.word("rs|py|ts|go|java|yaml|csv|pdf|log|md|sql")),
        "port" => dice.word("5432|3306|6379|8080|8443|27017|5672|9200|1433|2222").to_owned(),
        "pid" => dice.between(200, 65000).to_string(),
        "ver" => format!("{}.{}.{}", dice.below(20), dice.below(40), dice.below(100)),
        "ver4" => format!("{}.{}.{}.{}", dice.between(1, 20), dice.below(20), dice.below(256), dice.between(1, 200)),
        "oid" => format!("1.3.6.1.4.1.{}.{}.{}.{}", dice.between(1000, 60000), dice.between(1, 9), dice.between(1, 40), dice.between(1, 9)),
        "isbn" => {
            let body = format!("978{}", dice.digits(9));
            let bare = format!("{body}{}", super::digits::ean(&body));
            super::national::lay(dice.word("###-#-###-#####-#|###-##-####-###-#|#############"), &bare)
        }
        "ean" => money::article(dice),
        "coord" => format!("{}.{}, {}.{}", dice.between(0, 89), dice.digits(5), dice.between(0, 179), dice.digits(5)),
        "sri" => match dice.below(3) {
            0 => format!("sha256-{}", base64(&dice.bytes(32))),
            1 => format!("sha384-{}", base64(&dice.bytes(48))),
            _ => format!("sha512-{}", base64(&dice.bytes(64))),
        },
        "sshpub" => {
            let mut key = vec![0, 0, 0, 11];
            key.extend(b"ssh-ed25519");
            key.extend([0, 0, 0, 32]);
            key.extend(dice.bytes(32));
            format!("ssh-ed25519 {} {}@{}", base64(&key), dice.word("deploy|ops|build|git"), dice.word("laptop|runner-3|bastion|nas"))
        }
        "sshfp" => format!("SHA256:{}", base64(&dice.bytes(32)).trim_end_matches('=')),
        "colonfp" => (0..count).map(|_| dice.draw("0123456789ABCDEF", 2)).collect::<Vec<_>>().join(":"),
        "cert" => {
            let kind = dice.word("CERTIFICATE|PUBLIC KEY|CERTIFICATE REQUEST|RSA PUBLIC KEY");
            let lines: Vec<String> = (0..dice.between(4, 12)).map(|_| dice.draw(STD64, 64)).collect();
            format!("-----BEGIN {kind}-----\nMII{}\n{}==\n-----END {kind}-----", dice.draw(STD64, 61), lines.join("\n"))
        }
        "pgppub" => {
            let lines: Vec<String> = (0..dice.between(5, 9)).map(|_| dice.draw(STD64, 64)).collect();
            format!("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQEN{}\n{}\n={}\n-----END PGP PUBLIC KEY BLOCK-----", dice.draw(STD64, 60), lines.join("\n"), dice.draw(STD64, 4))
        }
        "pubkey" => match dice.below(5) {
            0 => format!("pk_live_{}", dice.alnum(24)),
            1 => format!("pk_test_51{}", dice.alnum(97)),
            2 => format!("sb_publishable_{}_{}", dice.alnum(22), dice.alnum(8)),
            3 => format!("pk.{}.{}", base64_url(format!("{{\"u\":\"{}\",\"a\":\"c{}\"}}", dice.draw(LOWER, 8), dice.draw(LOWER_ALNUM, 24)).as_bytes()), dice.alnum(22)),
            _ => format!("phc_{}", dice.alnum(43)),
        },
        "age1" => format!("age1{}", dice.draw(super::codec::BECH32, 58)),
        "bcrypt" => format!("$2b$12${}", dice.draw("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 53)),
        "cipher" => match dice.below(4) {
            0 => format!("ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]", base64(&dice.bytes(18)), base64(&dice.bytes(32)), base64(&dice.bytes(16))),
            1 => format!("vault:v{}:{}", dice.between(1, 4), base64(&dice.bytes(45))),
            2 => format!("AQICAH{}", base64(&dice.bytes(90))),
            _ => format!("Ag{}", base64(&dice.bytes(150))),
        },
        "ph" => placeholder(dice),
        "tracking" => match dice.below(4) {
            0 => format!("1Z{}", dice.draw(UPPER_ALNUM, 16)),
            1 => dice.pattern("00#################"),
            2 => dice.pattern("@@#########DE"),
            _ => format!("94{}", dice.digits(20)),
        },
        "order" => match dice.below(6) {
            0 => dice.pattern("%########"),
            1 => dice.pattern("###-#######-#######"),
            2 => format!("SO-{}-{}", year, dice.digits(6)),
            3 => dice.pattern("%###############"),
            4 => dice.pattern("PO%#######"),
            _ => format!("{year}/{month:02}/{}", dice.digits(5)),
        },
        "part" => match dice.below(4) {
            0 => dice.pattern("@@-####-@#"),
            1 => dice.pattern("###-####-##"),
            2 => dice.pattern("@###@@##"),
            _ => dice.pattern("##.###.###.##"),
        },
        "handle" => format!("@{}{}", coined(dice), dice.word("|_dev|42|.io")),
        "scope" => format!("@{}/{}", coined(dice), dice.word("core|ui-kit|eslint-config|types|cli")),
        "method" => dice.word("GET|POST|PUT|PATCH|DELETE").to_owned(),
        "code" => dice.word("200|201|204|301|400|401|403|404|429|500|502").to_owned(),
        "ua" => dice.word("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0|curl/8.9.1|python-requests/2.32.3|okhttp/4.12.0|PostmanRuntime/7.41.0").to_owned(),
        _ => return None,
    }))
}
