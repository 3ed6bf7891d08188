//! The rule files of tokens, issuers and words, held against their own examples by a matcher of the `body` grammar that is not the
//! engine's: a rule that cannot match, or that matches its own counter-example, is found without the engine.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is the failure"
)]

#[path = "../src/scan/checks/tokens.rs"]
mod tokens;

use std::{collections::HashSet, fs, path::Path};

use toml::{Table, Value};

/// An atom: which bytes it takes, how many at least, how many at most.
type Atom = ([bool; 256], usize, usize);

/// The atoms of a `body`.
fn atoms(body: &str) -> Vec<Atom> {
    let mut rest = body.as_bytes();
    let mut take = || -> Option<u8> {
        let (first, others) = rest.split_first()?;
        rest = others;
        Some(*first)
    };
    let mut out: Vec<Atom> = Vec::new();
    while let Some(byte) = take() {
        let mut set = [false; 256];
        match byte {
            b'[' => {
                let mut inside = Vec::new();
                loop {
                    match take().unwrap_or_else(|| panic!("a class is not closed: {body}")) {
                        b']' => break,
                        b'\\' => inside.push((take().unwrap(), true)),
                        byte => inside.push((byte, false)),
                    }
                }
                let mut at = 0;
                while let Some(&(low, _)) = inside.get(at) {
                    let range = inside.get(at + 1) == Some(&(b'-', false)) && at + 2 < inside.len();
                    let high = if range { inside[at + 2].0 } else { low };
                    assert!(low <= high, "a range runs backwards: {body}");
                    set[usize::from(low)..=usize::from(high)].fill(true);
                    at += if range { 3 } else { 1 };
                }
            }
            b'?' if !out.is_empty() => {
                let last = out.last_mut().unwrap();
                (last.1, last.2) = (0, 1);
                continue;
            }
            b'+' if !out.is_empty() => {
                out.last_mut().unwrap().2 = usize::MAX;
                continue;
            }
            b'{' if !out.is_empty() => {
                let text: String = std::iter::from_fn(&mut take)
                    .take_while(|byte| *byte != b'}')
                    .map(char::from)
                    .collect();
                let (low, high) = text.split_once(',').unwrap_or((&text, &text));
                let last = out.last_mut().unwrap();
                last.1 = low.parse().unwrap();
                last.2 = if high.is_empty() {
                    usize::MAX
                } else {
                    high.parse().unwrap()
                };
                assert!(last.1 <= last.2 && last.2 > 0, "{body}");
                continue;
            }
            b'(' | b')' | b'|' | b'*' | b'^' | b'?' | b'+' | b'{' | b'}' => panic!("not of the grammar: {body}"),
            b'\\' => set[usize::from(take().unwrap())] = true,
            byte => set[usize::from(byte)] = true,
        }
        out.push((set, 1, 1));
    }
    out
}

/// Where the atoms end, greedily and with nothing given back.
fn matched(atoms: &[Atom], text: &[u8], mut at: usize) -> Option<usize> {
    for (set, least, most) in atoms {
        let n = text[at..]
            .iter()
            .take(*most)
            .take_while(|byte| set[usize::from(**byte)])
            .count();
        if n < *least {
            return None;
        }
        at += n;
    }
    Some(at)
}

struct Rule {
    id: String,
    prefix: Vec<String>,
    before: Vec<Atom>,
    body: Vec<Atom>,
    check: Option<fn(&[u8]) -> bool>,
    near: Vec<String>,
}

impl Rule {
    /// Every span of the text that the rule finds.
    fn found(&self, text: &str) -> Vec<(usize, usize)> {
        let bytes = text.as_bytes();
        let prefixes: &[String] = if self.prefix.is_empty() {
            &[String::new()]
        } else {
            &self.prefix
        };
        let mut out = Vec::new();
        for start in 0..bytes.len() {
            if start > 0 && bytes[start - 1].is_ascii_alphanumeric() {
                continue;
            }
            for prefix in prefixes {
                let Some(from) = matched(&self.before, bytes, start) else {
                    continue;
                };
                let Some(end) = bytes[from..]
                    .starts_with(prefix.as_bytes())
                    .then_some(from + prefix.len())
                else {
                    continue;
                };
                let Some(end) = matched(&self.body, bytes, end) else {
                    continue;
                };
                let last = &self.body.last().unwrap().0;
                if bytes.get(end).is_some_and(|byte| last[usize::from(*byte)])
                    || !self.check.is_none_or(|check| check(&bytes[start..end]))
                    || !(self.near.is_empty() || self.named(&text[start.saturating_sub(64)..start]))
                {
                    continue;
                }
                out.push((start, end));
            }
        }
        out
    }

    /// The faults against examples: `finds` with the value in `[[ ]]`, and `passes`.
    fn faults(&self, finds: &[String], passes: &[String]) -> Vec<String> {
        let mut faults = Vec::new();
        for example in finds {
            let start = example
                .find("[[")
                .unwrap_or_else(|| panic!("{}: no [[ in {example}", self.id));
            let span = (start, example.find("]]").unwrap() - 2);
            if !self.found(&example.replace("[[", "").replace("]]", "")).contains(&span) {
                faults.push(format!("{} does not find {example}", self.id));
            }
        }
        for example in passes {
            for (start, end) in self.found(example) {
                faults.push(format!("{} finds {} in {example}", self.id, &example[start..end]));
            }
        }
        faults
    }

    /// Whether one of the words stands there, whole: words are split at what is no letter or digit and at a change of case.
    fn named(&self, before: &str) -> bool {
        let plain = words(before);
        self.near.iter().any(|near| plain.contains(&words(near)))
    }
}

/// The words of a text, lower case, each with a space on both sides.
fn words(text: &str) -> String {
    let mut out = String::from(" ");
    let mut last = ' ';
    for letter in text.chars() {
        if (letter.is_uppercase() && last.is_lowercase()) || !letter.is_alphanumeric() {
            out.push(' ');
        }
        if letter.is_alphanumeric() {
            out.extend(letter.to_lowercase());
        }
        last = letter;
    }
    out.push(' ');
    let words: Vec<&str> = out.split_whitespace().collect();
    format!(" {} ", words.join(" "))
}

fn files(prefix: &str) -> Vec<(String, Table)> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut out: Vec<(String, Table)> = fs::read_dir(rules)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(prefix))
        .map(|name| {
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(&name)).unwrap();
            assert!(text.lines().count() <= 900, "{name} is over 900 lines");
            let table = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, table)
        })
        .collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

fn strings(table: &Table, key: &str) -> Vec<String> {
    match table.get(key) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        Some(other) => panic!("`{key}` is no list: {other}"),
    }
}

#[test]
fn every_token_rule_finds_its_examples_and_passes_its_counter_examples() {
    let mut ids = HashSet::new();
    let mut faults = Vec::new();
    for (file, table) in files("tokens-") {
        for item in table["token"].as_array().unwrap() {
            let item = item.as_table().unwrap();
            let text = |key: &str| item.get(key).and_then(Value::as_str);
            let id = text("id").unwrap().to_owned();
            for key in item.keys() {
                let known = [
                    "id", "class", "issuer", "prefix", "before", "body", "check", "near", "reason", "finds", "passes",
                ];
                assert!(known.contains(&key.as_str()), "{file}: {id}: unknown key `{key}`");
            }
            assert!(ids.insert(id.clone()), "{file}: {id} twice");
            assert!(matches!(text("class"), Some("PROVIDER_TOKEN" | "JWT")), "{file}: {id}");
            assert!(text("issuer").is_some_and(|issuer| !issuer.is_empty()), "{file}: {id}");
            assert!(text("reason").is_some_and(|reason| reason.len() > 20), "{file}: {id}");
            let rule = Rule {
                prefix: strings(item, "prefix"),
                before: atoms(text("before").unwrap_or_default()),
                body: atoms(text("body").unwrap()),
                check: text("check").map(|name| tokens::named(name).unwrap_or_else(|| panic!("{id}: no check {name}"))),
                near: strings(item, "near"),
                id,
            };
            assert!(
                rule.prefix.iter().all(|prefix| prefix.len() >= 3),
                "{}: a prefix is under 3 bytes",
                rule.id
            );
            assert!(
                !rule.prefix.is_empty() || !rule.near.is_empty(),
                "{}: neither prefix nor near",
                rule.id
            );
            let (finds, passes) = (strings(item, "finds"), strings(item, "passes"));
            assert!(!finds.is_empty() && !passes.is_empty(), "{}: no examples", rule.id);
            faults.extend(rule.faults(&finds, &passes));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(ids.len() >= 500, "{} rules were read", ids.len());
}

#[test]
fn every_issuer_is_found_by_its_names_with_a_word_for_a_key_and_not_without() {
    let (_, table) = files("issuers").pop().unwrap();
    let form = table["form"].as_table().unwrap();
    let (body, words) = (form["body"].as_str().unwrap(), strings(form, "words"));
    let check = tokens::named(form["check"].as_str().unwrap());
    let (mut ids, mut all, mut faults) = (HashSet::new(), Vec::new(), Vec::new());
    for item in table["issuer"].as_array().unwrap() {
        let item = item.as_table().unwrap();
        let (id, names) = (item["id"].as_str().unwrap().to_owned(), strings(item, "names"));
        assert!(ids.insert(id.clone()), "{id} twice");
        assert!(
            item["at"].as_str().is_some_and(|at| at.contains('.')) && item.len() == 3,
            "{id}"
        );
        let near: Vec<String> = names
            .iter()
            .flat_map(|name| words.iter().map(move |word| format!("{name} {word}")))
            .collect();
        let finds: Vec<String> = names
            .iter()
            .map(|name| {
                format!(
                    "{}_API_KEY=[[q7Zk2Lr9TxWc5yXp8sLd4fGj]]",
                    name.replace(' ', "_").to_uppercase()
                )
            })
            .collect();
        let passes: Vec<String> = names
            .iter()
            .map(|name| format!("{name} q7Zk2Lr9TxWc5yXp8sLd4fGj"))
            .collect();
        all.extend(near.iter().cloned());
        let rule = Rule {
            id,
            prefix: Vec::new(),
            before: Vec::new(),
            body: atoms(body),
            check,
            near,
        };
        faults.extend(rule.faults(&finds, &passes));
    }
    let form_rule = Rule {
        id: "form".into(),
        prefix: Vec::new(),
        before: Vec::new(),
        body: atoms(body),
        check,
        near: all,
    };
    faults.extend(form_rule.faults(&strings(form, "finds"), &strings(form, "passes")));
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(ids.len() >= 500, "{} issuers were read", ids.len());
}

#[test]
fn the_words_are_lower_case_split_and_said_once() {
    let (_, table) = files("secret-words").pop().unwrap();
    let mut seen = HashSet::new();
    for kind in ["secret", "harmless"] {
        for entry in table[kind].as_array().unwrap() {
            let entry = entry.as_table().unwrap();
            assert!(entry["reason"].as_str().is_some_and(|reason| reason.len() > 5));
            let class = entry.get("class").and_then(Value::as_str);
            assert_eq!(
                matches!(class, Some("PASSWORD" | "GENERIC_SECRET")),
                kind == "secret",
                "{entry}"
            );
            for word in strings(entry, "words") {
                assert!(
                    word.chars()
                        .all(|letter| letter == ' ' || !letter.is_ascii_punctuation()),
                    "{word}"
                );
                assert!(
                    word == word.to_lowercase() && word == word.trim() && !word.contains("  "),
                    "{word}"
                );
                assert!(seen.insert(word.clone()), "{word} twice");
            }
        }
    }
    for known in [
        "password",
        "passwort",
        "mot de passe",
        "пароль",
        "密码",
        "كلمة المرور",
        "api key",
        "token type",
    ] {
        assert!(seen.contains(known), "{known}");
    }
}
