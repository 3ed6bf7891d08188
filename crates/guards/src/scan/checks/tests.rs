//! The checks against what is published, and against the rules: every rule's examples.

use super::{TABLES, as_written, machine_readable_zone, named};
use crate::scan::rules::BUILT_IN;
use std::collections::BTreeSet;

struct Rule {
    id: String,
    check: Option<String>,
    forms: Vec<String>,
    proof: Vec<String>,
    words: Vec<String>,
    finds: Vec<String>,
    passes: Vec<String>,
}

fn rules() -> Vec<Rule> {
    let mut all = Vec::new();
    for text in BUILT_IN {
        let table: toml::Table = text.parse().unwrap();
        for entry in table
            .get("identifier")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
        {
            let entry = entry.as_table().unwrap();
            let list = |key: &str| -> Vec<String> {
                entry.get(key).map_or_else(Vec::new, |list| {
                    list.as_array()
                        .unwrap()
                        .iter()
                        .map(|item| item.as_str().unwrap().to_owned())
                        .collect()
                })
            };
            all.push(Rule {
                id: entry["id"].as_str().unwrap().to_owned(),
                check: entry.get("check").map(|name| name.as_str().unwrap().to_owned()),
                forms: list("forms"),
                proof: list("proof"),
                words: list("words"),
                finds: list("finds"),
                passes: list("passes"),
            });
        }
    }
    all
}

fn holds(rule: &Rule, value: &str) -> bool {
    let Some(name) = &rule.check else { return true };
    let check = named(name).unwrap_or_else(|| panic!("{}: no check {name}", rule.id));
    if as_written(name) {
        return check(value.as_bytes());
    }
    let compact: Vec<u8> = value
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_uppercase())
        .collect();
    check(&compact)
}

#[test]
fn every_rule_is_whole() {
    let mut ids = BTreeSet::new();
    for rule in rules() {
        assert!(ids.insert(rule.id.clone()), "{}: twice", rule.id);
        assert!(!rule.forms.is_empty() && !rule.words.is_empty(), "{}", rule.id);
        assert!(!rule.finds.is_empty() && !rule.passes.is_empty(), "{}", rule.id);
        assert!(
            rule.proof.iter().all(|form| rule.forms.contains(form)),
            "{}: proof is among forms",
            rule.id
        );
        assert!(
            rule.proof.is_empty() || rule.check.is_some(),
            "{}: proof needs a check",
            rule.id
        );
        let unique: BTreeSet<_> = rule.words.iter().collect();
        assert_eq!(unique.len(), rule.words.len(), "{}: a word twice", rule.id);
        for word in &rule.words {
            assert_eq!(*word, word.to_lowercase(), "{}", rule.id);
        }
    }
}

/// One line for each thing that is wrong.
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_check_is_used() {
    let used: BTreeSet<_> = rules().into_iter().filter_map(|rule| rule.check).collect();
    let known: BTreeSet<_> = TABLES
        .iter()
        .copied()
        .flatten()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(
        TABLES.iter().map(|table| table.len()).sum::<usize>(),
        known.len(),
        "a name twice"
    );
    let idle: Vec<_> = known.difference(&used).collect();
    assert!(idle.is_empty(), "no rule has {idle:?}");
}

/// Words of veto name no kind: a word that does both says nothing.
#[test]
fn words_of_veto_name_nothing() {
    let table: toml::Table = include_str!("../../../rules/veto-words.toml").parse().unwrap();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    let names: BTreeSet<String> = rules().into_iter().flat_map(|rule| rule.words).collect();
    for entry in table["veto"].as_array().unwrap() {
        assert!(!entry["reason"].as_str().unwrap().is_empty());
        for word in entry["words"].as_array().unwrap() {
            let word = word.as_str().unwrap();
            if !seen.insert(word.to_owned()) || word != word.to_lowercase() {
                wrong.push(format!("{word}: twice, or not in small letters"));
            }
            if names.contains(word) {
                wrong.push(format!("{word}: names a kind"));
            }
        }
    }
    none(&wrong);
}

/// Vectors that the issuers, standards or their own test suites publish.
#[test]
fn published_numbers_hold() {
    let published: &[(&str, &str)] = &[
        ("card", "4111111111111111"),
        ("card", "5555555555554444"),
        ("card", "2223003122003222"),
        ("card", "378282246310005"),
        ("card", "6011111111111117"),
        ("card", "30569309025904"),
        ("card", "3530111333300000"),
        ("card", "6200000000000005"),
        ("iban", "GB82WEST12345698765432"),
        ("iban", "DE89370400440532013000"),
        ("iban", "FR1420041010050500013M02606"),
        ("iban", "NO9386011117947"),
        ("iban", "MT84MALT011000012345MTLCAST001S"),
        ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("bitcoin", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
        (
            "bitcoin",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ),
        ("cashaddr", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
        ("ripple", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"),
        (
            "extended-key",
            "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
        ),
        ("wif", "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"),
        ("de-idnr", "86095742719"),
        ("de-rvnr", "15070649C103"),
        ("de-kvnr", "A123456780"),
        ("gb-nhs", "9434765919"),
        ("us-npi", "1234567893"),
        ("us-mbi", "1EG4TE5MK73"),
        ("us-aba", "021000021"),
        ("ch-ahv", "7569217076985"),
        ("fi-hetu", "131052308T"),
        ("fi-hetu", "131052A308T"),
        ("es-dni", "12345678Z"),
        ("it-cf", "RSSMRA85T10A562S"),
        ("nl-bsn", "111222333"),
        ("au-tfn", "123456782"),
        ("au-abn", "51824753556"),
        ("au-acn", "004085616"),
        ("nz-ird", "49091850"),
        ("nz-nhi", "ZZZ0016"),
        ("nz-nhi", "ZZZ00AX"),
        ("in-gstin", "27AAPFU0939F1ZV"),
        ("kr-brn", "1208147521"),
        ("lei", "5493001KJTIIGC8Y1R12"),
        ("isni", "0000000218250097"),
        ("vin", "1M8GDM9AXKP042788"),
        ("imei", "490154203237518"),
        ("stellar", "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ"),
        ("tw-id", "A123456789"),
        ("hk-id", "G123456A"),
        ("hk-id", "A1234563"),
        ("cn-ric", "11010519491231002X"),
        ("za-id", "8001015009087"),
        ("ee-ik", "37605030299"),
        ("emso", "0101006500006"),
        ("mx-clabe", "032180000118359719"),
    ];
    let refused = published
        .iter()
        .filter(|(name, value)| !named(name).unwrap()(value.as_bytes()));
    none(
        &refused
            .map(|(name, value)| format!("{name} refuses {value}"))
            .collect::<Vec<_>>(),
    );
}

/// ICAO 9303, the specimen of Utopia.
#[test]
fn a_machine_readable_zone_is_found_whole() {
    let passport = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10";
    assert_eq!(machine_readable_zone(passport.as_bytes()), Some(passport.len()));
    let followed = format!("{passport}\nSigned");
    assert_eq!(machine_readable_zone(followed.as_bytes()), Some(passport.len()));
    let escaped = passport.replace('\n', "\\n");
    assert_eq!(machine_readable_zone(escaped.as_bytes()), Some(escaped.len()));
    let listed = passport.replace('\n', "\", \"");
    assert_eq!(machine_readable_zone(listed.as_bytes()), Some(listed.len()));
    let card = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<";
    assert_eq!(machine_readable_zone(card.as_bytes()), Some(card.len()));
    let small = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6";
    assert_eq!(machine_readable_zone(small.as_bytes()), Some(small.len()));
    assert_eq!(
        machine_readable_zone(passport.replace("898902C36", "898902C37").as_bytes()),
        None
    );
    assert_eq!(
        machine_readable_zone(passport.replace("7408122", "7408132").as_bytes()),
        None
    );
    assert_eq!(machine_readable_zone(&passport.as_bytes()[..80]), None);
    assert_eq!(machine_readable_zone(b"PLAIN TEXT"), None);
}

/// How often, in percent, a check refuses the rule's own examples with one digit changed.
fn refused(rule: &Rule) -> u32 {
    let (mut tried, mut refused) = (0, 0);
    for text in &rule.finds {
        let value = text.split_once("[[").unwrap().1.split_once("]]").unwrap().0;
        for (at, byte) in value.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
            for other in (b'0'..=b'9').filter(|other| *other != byte) {
                let mut changed = value.to_owned().into_bytes();
                changed[at] = other;
                tried += 1;
                refused += u32::from(!holds(rule, std::str::from_utf8(&changed).unwrap()));
            }
        }
    }
    refused * 100 / tried.max(1)
}

/// Checks that look at the form, a range or a day alone.
const FORM_ALONE: &[&str] = &[
    "account",
    "account-number",
    "ad-nrt",
    "al-nid",
    "al-nipt",
    "am-psn",
    "ao-bi",
    "ar-dni",
    "au-dva",
    "az-fin",
    "bd-nid",
    "bh-cpr",
    "bw-omang",
    "ca-phn-nine",
    "ca-ramq",
    "ca-ten",
    "co-cc",
    "cr-cedula",
    "cu-ni",
    "de-stnr",
    "dk-cpr",
    "dz-nin",
    "eg-nid",
    "ehic",
    "es-passport",
    "ethereum",
    "fo-ptal",
    "gb-licence",
    "gb-nino",
    "gb-sort",
    "ge-pin",
    "gh-card",
    "gr-adt",
    "hn-dni",
    "id-nik",
    "imeisv",
    "imsi",
    "in-abha",
    "in-ifsc",
    "in-licence",
    "in-pan",
    "in-uan",
    "in-voter",
    "it-licence",
    "ke-pin",
    "kg-pin",
    "kr-frn",
    "kr-licence",
    "kr-rrn",
    "li-peid",
    "device",
    "licence",
    "mac-bare",
    "lk-nic",
    "lv-pk",
    "ma-cin",
    "meid",
    "mo-id",
    "monero",
    "mrn",
    "mt-id",
    "mx-rfc-form",
    "my-nric",
    "na-id",
    "national-number",
    "ng-nin",
    "ng-nuban",
    "nl-agb",
    "nz-account",
    "passport",
    "pe-dni",
    "ph-psn",
    "ph-tin",
    "pk-cnic",
    "plate",
    "qa-qid",
    "ru-passport",
    "rw-nid",
    "sm-coe",
    "solana",
    "tn-mf",
    "tz-nida",
    "ug-nin",
    "us-alien",
    "us-atin",
    "us-ein",
    "us-hicn",
    "us-itin",
    "us-mbi",
    "us-ptin",
    "us-ssn",
    "ve-ci",
    "vin-form",
    "vn-cccd",
    "xk-pin",
    "zm-nrc",
];

/// Checks whose digit does not watch over all of the value (a bank's or insurer's number, a branch, an old form without it),
/// and how often they refuse at least. All others do in four cases of five, most always.
const PARTLY: &[(&str, u32)] = &[
    ("iccid", 50),
    ("id-npwp", 55),
    ("cz-account", 60),
    ("ca-bn", 65),
    ("de-document", 65),
    ("sg-uen", 65),
    ("de-lanr", 70),
    ("gt-cui", 70),
    ("ec-ruc", 75),
    ("de-kvnr", 75),
    ("cz-rc", 75),
    ("zw-nid", 75),
    ("cn-ric", 75),
];

#[test]
fn a_changed_digit_is_refused() {
    let wrong = rules().into_iter().filter_map(|rule| {
        let check = rule
            .check
            .clone()
            .filter(|check| !FORM_ALONE.contains(&check.as_str()))?;
        let promise = PARTLY
            .iter()
            .find(|(name, _)| *name == check)
            .map_or(80, |(_, percent)| *percent);
        let refused = refused(&rule);
        (refused < promise).then(|| format!("{}: {check} refuses {refused} % of {promise}", rule.id))
    });
    none(&wrong.collect::<Vec<_>>());
}

/// Any bytes: an answer, no panic.
#[test]
fn every_check_answers_anything() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (_, check) in TABLES.iter().copied().flatten() {
        for length in 0..130 {
            let kind = next() % 4;
            let value: Vec<u8> = (0..length)
                .map(|_| {
                    let byte = (next() >> 24) as u8;
                    match kind {
                        0 => byte,
                        1 => b'0' + byte % 10,
                        2 => b'A' + byte % 26,
                        _ => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<"[usize::from(byte) % 37],
                    }
                })
                .collect();
            check(&value);
            machine_readable_zone(&value);
        }
        for value in [&[0xff; 20][..], &[b'9'; 128], &[b'Z'; 128], &[b'0'; 22]] {
            check(value);
        }
    }
}
