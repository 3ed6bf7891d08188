use super::*;

/// Every example of every rule: a positive is found where it is marked, by that rule's class; a negative is not found by it.
fn check_examples(rules: &str) {
    #[derive(serde::Deserialize)]
    struct Examples {
        #[serde(default)]
        token: Vec<Example>,
        #[serde(default)]
        identifier: Vec<Example>,
    }
    #[derive(serde::Deserialize)]
    struct Example {
        id: String,
        class: String,
        finds: Vec<String>,
        passes: Vec<String>,
    }
    let examples: Examples = toml::from_str(rules).unwrap();
    let scanner = Scanner::new(Rules::built_in().unwrap()).unwrap();
    let mut wrong = Vec::new();
    for example in examples.token.iter().chain(&examples.identifier) {
        for marked in &example.finds {
            let (before, rest) = marked.split_once("[[").unwrap();
            let (value, after) = rest.split_once("]]").unwrap();
            let text = format!("{before}{value}{after}");
            let span = before.len()..before.len() + value.len();
            let found = scanner.scan(text.as_bytes());
            let is_found = found.iter().any(|found| {
                found.class.as_str() == example.class && found.span.start <= span.start && found.span.end >= span.end
            });
            if !is_found {
                wrong.push(format!("{}: not found: {marked}: {found:?}", example.id));
            }
        }
        for text in &example.passes {
            if let Some(found) = scanner
                .scan(text.as_bytes())
                .iter()
                .find(|found| found.rule == example.id)
            {
                wrong.push(format!("{}: found: {text}: {found:?}", example.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_finds_what_it_says_and_passes_what_it_says() {
    for rules in rules::BUILT_IN {
        check_examples(rules);
    }
}
