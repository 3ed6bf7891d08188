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

fn spans(text: &str) -> Vec<(Class, String)> {
    let scanner = Scanner::new(Rules::built_in().unwrap()).unwrap();
    let found = scanner.scan(text.as_bytes());
    found
        .iter()
        .map(|found| (found.class, text[found.span.clone()].to_owned()))
        .collect()
}

#[test]
fn values_end_where_they_end_and_nothing_hides_them() {
    use Class::{Card, Email, Ip, Mac, Password};
    let mail = "ana@bank.example";
    for (text, expected) in [
        // An escape, or half a pair, is a unit of its own; no character is cut.
        (r#"{"text":"\fana@bank.example"}"#, vec![(Email, mail)]),
        (r#""\ud83dana@bank.example""#, vec![(Email, mail)]),
        // What is found before hides nothing.
        (
            r#"{"mac":"00:1A:2B:3C:4D:5E","src":"2001:db8::1:2f","mail":"ana@bank.example"}"#,
            vec![(Mac, "00:1A:2B:3C:4D:5E"), (Ip, "2001:db8::1:2f"), (Email, mail)],
        ),
        // What one finding has beside another is masked too.
        (
            "password=S3cr3tXyQ:4111 1111 1111 1111",
            vec![(Password, "S3cr3tXyQ:"), (Card, "4111 1111 1111 1111")],
        ),
        // An empty value is none, and the next line is not its value.
        ("DB_PASSWORD=\"\"\nDB_HOST=\"localhost\"", vec![]),
        ("password:\nusername: bob_builder7", vec![]),
        ("password:\n  hunter2!Xk", vec![(Password, "hunter2!Xk")]),
        // Placeholders are references, calls and tags, not what looks a little like them.
        (r#"{"password":"!Xk93jd0s$Qw"}"#, vec![(Password, "!Xk93jd0s$Qw")]),
        (r#"{"password":"Hunter(2024)!xQ"}"#, vec![(Password, "Hunter(2024)!xQ")]),
        (r#"{"password":"!vault"}"#, vec![]),
        ("password = get_password(user)", vec![]),
    ] {
        let expected: Vec<(Class, String)> = expected
            .into_iter()
            .map(|(class, value)| (class, value.to_owned()))
            .collect();
        assert_eq!(spans(text), expected, "{text}");
    }
}

#[test]
fn the_body_of_a_private_key_is_always_found() {
    let body = format!("lQOYBF{}\n", "a1B2".repeat(14)).repeat(10);
    for text in [
        format!(
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nComment: WEEK-END backup\n\n{body}-----END PGP PRIVATE KEY BLOCK-----"
        ),
        format!("-----BEGIN PRIVATE KEY-----\n{body}"),
        format!("-----BEGIN PRIVATE KEY-----\n{}", body.replace('\n', " // 1\n")),
        format!("-----BEGIN EC PRIVATE KEY-----\n> {}", body.replace('\n', "\n> ")),
    ] {
        let found = spans(&text);
        let [(Class::PrivateKey, key)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(key.matches("lQOYBF").count(), 10, "{text}");
    }
    // What is no key does not reach to the end of something else.
    let text = r#"{"a":"see -----BEGIN PRIVATE KEY----- for more","b":"x","c":"-----END CERTIFICATE-----"}"#;
    assert!(spans(text).iter().all(|(_, value)| !value.contains("\"b\"")));
}

#[test]
fn what_unpacks_to_very_much_is_looked_at_so_far() {
    use base64::Engine;
    use std::io::Write as _;
    let pack = |text: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(text).unwrap();
        base64::engine::general_purpose::STANDARD.encode(packer.finish().unwrap())
    };
    let one = pack(
        b"nothing but words here, and more of them, and more\n"
            .repeat(4_000)
            .as_slice(),
    );
    let many = pack(format!("{one}\n").repeat(200).as_bytes());
    let scanner = Scanner::new(Rules::built_in().unwrap()).unwrap();
    // Unbounded this is 40 MB of text.
    let mut budget = UNPACKED_BYTES_BASE;
    let found = scanner.looked_through(format!("{many} ana@bank.example").as_bytes(), 0, &mut budget);
    assert_eq!((found.len(), budget < UNPACKED_BYTES_BASE / 2), (1, true));
}
