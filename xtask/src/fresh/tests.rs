//! The labels are right, the values valid, the texts varied, and all of it the same for the same seed.

use super::compose::{Record, SETTINGS};
use super::digits::vin;
use super::pen::{Form, Span};
use super::value::Class;
use super::{RECORDS, generate, line};
use super::{codec, filler, money, national, papers, tokens, words};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::LazyLock;

/// Enough for every template to come up, and quick in a debug build.
const SAMPLE: usize = 5000;

fn sample() -> &'static [Record] {
    static SHARED: LazyLock<Vec<Record>> = LazyLock::new(|| generate(9, SAMPLE).unwrap());
    &SHARED
}

fn bare(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn valid(span: &Span) -> bool {
    let text = span.plain.as_str();
    match span.class {
        Class::Card => money::card_holds(text),
        Class::Iban => money::iban_holds(text),
        Class::NationalId => {
            let kind = national::kind(&span.sub).unwrap();
            let plain = bare(text);
            let unprefixed = plain.get(2..).unwrap_or_default();
            kind.holds(&plain) || kind.holds(text) || kind.holds(unprefixed)
        }
        Class::ProviderToken => tokens::holds(&span.sub, text),
        Class::Jwt => text.split('.').count() == 3,
        Class::PrivateKey => {
            text.starts_with("-----BEGIN ") && text.ends_with("-----")
                || text.starts_with("PuTTY-User-Key-File-") && text.contains("Private-MAC: ")
        }
        Class::Ip => text.parse::<IpAddr>().is_ok(),
        Class::Mac => bare(text).len() == 12,
        Class::Email => text.rsplit_once('@').is_some_and(|(_, host)| host.contains('.')),
        Class::Phone => (7..=20).contains(&text.chars().filter(char::is_ascii_digit).count()),
        Class::Passport if span.sub == "mrz" => papers::mrz_holds(text),
        Class::VehicleId if span.sub == "vin" => text.chars().nth(8) == Some(vin(text)),
        Class::Crypto
            if matches!(
                span.sub.as_str(),
                "btc.p2pkh" | "btc.p2sh" | "doge" | "tron" | "ltc.p2pkh"
            ) =>
        {
            let bytes = codec::from_base58(text, codec::BITCOIN58).unwrap();
            codec::base58_check(&bytes[..21], codec::BITCOIN58) == text
        }
        _ => text.chars().count() >= 1 && text.trim() == text,
    }
}

#[test]
fn spans_hold_the_planted_values_in_order() {
    for record in sample() {
        let mut last = 0;
        for span in &record.spans {
            assert!(span.start >= last && span.start < span.end, "{}", record.text);
            assert_eq!(
                record.text.get(span.start..span.end),
                Some(span.shown.as_str()),
                "{}",
                record.text
            );
            last = span.end;
            assert!(
                valid(span),
                "{} {} {:?} in {}",
                span.class.name(),
                span.sub,
                span.plain,
                record.text
            );
        }
        for (start, end) in &record.ignore {
            assert!(record.text.get(*start..*end).is_some_and(|text| !text.is_empty()));
            assert!(record.spans.iter().all(|span| span.end <= *start || span.start >= *end));
        }
        assert_eq!(record.positive, !record.spans.is_empty());
        assert!(!record.text.contains(['‹', '›', '⟦', '⟧']), "{}", record.text);
    }
}

#[test]
fn what_is_not_disguised_stands_as_it_is() {
    let mut exact = 0;
    for record in sample()
        .iter()
        .filter(|record| !record.wrapped && record.form == Form::Text && !record.tags.contains(&"url"))
    {
        for span in &record.spans {
            let prefixed = span.class == Class::PrivateKey;
            assert!(prefixed || span.shown == span.plain, "{}", record.text);
            exact += 1;
        }
    }
    assert!(exact > 500, "{exact}");
}

#[test]
fn json_is_json_and_lines_are_lines() {
    let mut parsed = 0;
    for record in sample() {
        let text = &record.text;
        match record.form {
            // TOML and nested settings share JSON's way to escape.
            Form::Json if text.starts_with(['{', '[']) => {
                serde_json::from_str::<serde_json::Value>(text)
                    .unwrap_or_else(|error| panic!("{} {error}: {text}", record.skeleton));
                parsed += 1;
            }
            Form::JsonLines => text.lines().for_each(|line| {
                serde_json::from_str::<serde_json::Value>(line)
                    .unwrap_or_else(|error| panic!("{} {error}: {line}", record.skeleton));
            }),
            _ => {}
        }
    }
    assert!(parsed > 500, "{parsed}");
}

#[test]
fn a_line_is_an_object_with_the_labels() {
    for (at, record) in generate(3, 300).unwrap().iter().enumerate() {
        let object: serde_json::Value = serde_json::from_str(&line(at + 1, record)).unwrap();
        assert_eq!(object["text"], record.text.as_str());
        assert_eq!(object["spans"].as_array().unwrap().len(), record.spans.len());
        assert_eq!(object["subs"].as_array().unwrap().len(), record.spans.len());
    }
}

#[test]
fn the_same_seed_gives_the_same_texts_and_another_one_others() {
    let texts = |seed| -> Vec<String> {
        generate(seed, 200)
            .unwrap()
            .iter()
            .map(|record| line(1, record))
            .collect()
    };
    assert_eq!(texts(5), texts(5));
    assert_ne!(texts(5), texts(6));
}

#[test]
fn all_classes_templates_and_tags_come_up_and_none_too_often() {
    let all = sample();
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut skeletons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tags: BTreeMap<&str, usize> = BTreeMap::new();
    let mut texts = HashSet::new();
    for record in all {
        *skeletons.entry(record.skeleton).or_default() += 1;
        texts.insert(&record.text);
        for tag in &record.tags {
            *tags.entry(tag).or_default() += 1;
        }
        for span in &record.spans {
            *classes.entry(span.class.name()).or_default() += 1;
        }
    }
    // What 20,000 records must have, scaled down.
    let scaled = |count: usize| count * SAMPLE / RECORDS;
    for class in Class::ALL {
        let many = [
            "NATIONAL_ID",
            "PROVIDER_TOKEN",
            "PASSWORD",
            "CARD",
            "PHONE",
            "EMAIL",
            "IBAN",
        ]
        .contains(&class.name());
        let least = scaled(if many { 500 } else { 100 });
        assert!(
            classes.get(class.name()).is_some_and(|count| *count >= least),
            "{} {classes:?}",
            class.name()
        );
    }
    let family = |secret: bool| -> usize {
        Class::ALL
            .iter()
            .filter(|class| class.is_secret() == secret)
            .map(|class| classes[class.name()])
            .sum()
    };
    assert!(
        family(true) >= scaled(4000) && family(false) >= scaled(4000),
        "{classes:?}"
    );
    assert!(skeletons.len() >= 400, "{}", skeletons.len());
    assert!(
        skeletons.values().all(|count| *count <= SAMPLE * 3 / 100),
        "{skeletons:?}"
    );
    assert!(texts.len() * 100 >= SAMPLE * 99);
    for wrap in super::wrap::Wrap::ALL {
        assert!(tags.contains_key(wrap.tag()), "{tags:?}");
    }
    let negatives = all.iter().filter(|record| !record.positive).count();
    assert!(
        (SAMPLE * 36 / 100..SAMPLE * 44 / 100).contains(&negatives),
        "{negatives}"
    );
}

#[test]
fn every_setting_and_sentence_can_be_written() {
    let settings = &*SETTINGS;
    let count = [
        &settings.shapes,
        &settings.secrets,
        &settings.personal,
        &settings.prose,
        &settings.negatives,
        &settings.carriers,
    ]
    .iter()
    .map(|list| list.len())
    .sum::<usize>();
    assert!(count >= 400, "{count}");
    for lang in words::LANGS.iter() {
        for (says, sentences) in [(true, &*filler::SAYINGS), (false, &*filler::CALM)] {
            let own: Vec<&&str> = sentences
                .iter()
                .filter(|((code, _), _)| *code == lang.code)
                .flat_map(|(_, list)| list)
                .collect();
            assert!(own.len() >= 4, "{}", lang.code);
            for sentence in own {
                let mut dice = super::dice::Dice::new(8, 8);
                let mut pen = super::pen::Pen::new(&mut dice, lang, Form::Text);
                pen.write(sentence);
                assert_eq!(pen.fault, None, "{sentence}");
                assert_eq!(says, !pen.spans.is_empty(), "{sentence}");
            }
        }
    }
}

/// Changes whenever a text or a label does: the texts are frozen (see the head of `mod.rs`).
const FROZEN: &str = "343fafa737a3431f0a3a21d761498850100bf779a8ce2025f0a4df26bb0d7d50";

#[test]
fn the_texts_are_the_frozen_ones() {
    let lines: Vec<String> = generate(super::SEED, 2000)
        .unwrap()
        .iter()
        .enumerate()
        .map(|(at, record)| line(at + 1, record))
        .collect();
    assert_eq!(codec::hex(&codec::sha256(lines.join("\n").as_bytes())), FROZEN);
}
