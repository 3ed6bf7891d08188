//! The scanner against its rules' own examples, and against what has gone wrong before.

use super::*;
use base64::Engine as _;
use std::collections::HashSet;

/// A rule file, as far as it is examples.
#[derive(serde::Deserialize)]
pub(crate) struct Examples {
    #[serde(default)]
    pub(crate) token: Vec<Example>,
    #[serde(default)]
    pub(crate) identifier: Vec<Example>,
    #[serde(default)]
    issuer: Vec<Issuer>,
    form: Option<Form>,
    #[serde(default)]
    field: Vec<Entry>,
    #[serde(default)]
    secret: Vec<Entry>,
    #[serde(default)]
    harmless: Vec<Entry>,
}

#[derive(serde::Deserialize)]
pub(crate) struct Example {
    id: String,
    class: String,
    reason: String,
    pub(crate) finds: Vec<String>,
    passes: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Issuer {
    id: String,
    at: String,
    names: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Form {
    finds: Vec<String>,
    passes: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Entry {
    words: Vec<String>,
    reason: String,
}

pub(crate) fn examples() -> impl Iterator<Item = Examples> {
    rules::BUILT_IN.iter().map(|rules| toml::from_str(rules).unwrap())
}

impl Scanner {
    /// What is in a text of no form, with nothing exempt.
    fn scanned(&self, text: &[u8]) -> Findings<'_> {
        self.scan(text, super::Form::Text, &Context::default())
    }
}

fn built_in() -> Scanner {
    Scanner::new(Rules::built_in().unwrap()).unwrap()
}

/// Whether the value in `[[ ]]` is found whole, as one of `class`.
fn is_found(scanner: &Scanner, marked: &str, class: &str) -> bool {
    let (before, rest) = marked.split_once("[[").unwrap_or_else(|| panic!("no [[ in {marked}"));
    let (value, after) = rest.split_once("]]").unwrap();
    let text = format!("{before}{value}{after}");
    let span = before.len()..before.len() + value.len();
    let found = scanner.scanned(text.as_bytes());
    found
        .iter()
        .any(|found| found.class.as_str() == class && found.span.start <= span.start && found.span.end >= span.end)
}

/// A positive is found where it is marked, as its rule's class; a negative is not found by its rule.
#[test]
fn every_rule_finds_what_it_says_and_passes_what_it_says() {
    let scanner = built_in();
    let (mut wrong, mut ids) = (Vec::new(), HashSet::new());
    for example in examples().flat_map(|file| file.token.into_iter().chain(file.identifier)) {
        assert!(ids.insert(example.id.clone()), "{}: twice", example.id);
        assert!(example.reason.len() > 5, "{}: no reason", example.id);
        let missed = example
            .finds
            .iter()
            .filter(|marked| !is_found(&scanner, marked, &example.class));
        wrong.extend(missed.map(|marked| format!("{}: not found: {marked}", example.id)));
        for text in &example.passes {
            let found = scanner.scanned(text.as_bytes());
            let by_it = found.iter().filter(|found| found.rule == example.id);
            wrong.extend(by_it.map(|found| format!("{}: found: {text}: {found:?}", example.id)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ids.len() >= 900, "{} rules were read", ids.len());
}

/// Examples of a class, beside those of its rules.
#[derive(serde::Deserialize)]
struct Family {
    finds: Vec<String>,
    passes: Vec<String>,
}

/// So many examples of each kind has each class.
const EXAMPLES_MIN: usize = 20;

/// Each class has twenty examples or more that are found as it, and as many that are not, those of its rules among them.
#[test]
fn every_class_has_examples_of_both_kinds() {
    let families: std::collections::BTreeMap<String, Family> = toml::from_str(include_str!("families.toml")).unwrap();
    let scanner = built_in();
    let mut counts: std::collections::BTreeMap<&str, (usize, usize)> =
        Class::ALL.iter().map(|class| (class.as_str(), (0, 0))).collect();
    let mut wrong = Vec::new();
    for (class, family) in &families {
        let count = counts.get_mut(class.as_str()).unwrap();
        *count = (family.finds.len(), family.passes.len());
        let missed = family.finds.iter().filter(|marked| !is_found(&scanner, marked, class));
        wrong.extend(missed.map(|marked| format!("{class}: not found: {marked}")));
        for text in &family.passes {
            let found = scanner.scanned(text.as_bytes());
            let as_it = found.iter().filter(|found| found.class.as_str() == class);
            wrong.extend(as_it.map(|found| format!("{class}: found: {text}: {found:?}")));
        }
    }
    for example in examples().flat_map(|file| file.token.into_iter().chain(file.identifier)) {
        let count = Class::named(&example.class).and_then(|class| counts.get_mut(class.as_str()));
        let count = count.unwrap();
        *count = (count.0 + example.finds.len(), count.1 + example.passes.len());
    }
    let few = counts
        .iter()
        .filter(|(_, (finds, passes))| *finds < EXAMPLES_MIN || *passes < EXAMPLES_MIN);
    wrong.extend(few.map(|(class, (finds, passes))| format!("{class}: {finds} that are found, {passes} that are not")));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// An issuer without a form of its own: its name and a word for a key name a value, its name alone does not.
#[test]
fn every_issuer_is_found_by_its_names_with_a_word_for_a_key_and_not_without() {
    const VALUE: &str = "q7Zk2Lr9TxWc5yXp8sLd4fGj";
    let scanner = built_in();
    let (mut wrong, mut ids) = (Vec::new(), HashSet::new());
    for file in examples() {
        for issuer in file.issuer {
            assert!(
                issuer.at.contains('.') && ids.insert(issuer.id.clone()),
                "{}",
                issuer.id
            );
            for name in &issuer.names {
                let key = name.replace(' ', "_").to_uppercase();
                if !is_found(&scanner, &format!("{key}_API_KEY=[[{VALUE}]]"), "PROVIDER_TOKEN") {
                    wrong.push(format!("{}: not found: {key}", issuer.id));
                }
                // Others may know the form of it.
                let alone = scanner.scanned(format!("{name} {VALUE}").as_bytes());
                if alone.iter().any(|found| found.rule == issuer.id) {
                    wrong.push(format!("{}: found by its name alone: {name}", issuer.id));
                }
            }
        }
        let Some(form) = file.form else { continue };
        let missed = form
            .finds
            .iter()
            .filter(|marked| !is_found(&scanner, marked, "PROVIDER_TOKEN"));
        wrong.extend(missed.map(|marked| format!("form: not found: {marked}")));
        for text in &form.passes {
            let found = scanner.scanned(text.as_bytes());
            let by_one = found.iter().filter(|found| ids.contains(found.rule));
            wrong.extend(by_one.map(|found| format!("form: found: {text}: {found:?}")));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ids.len() >= 500, "{} issuers were read", ids.len());
}

#[test]
fn words_are_in_small_letters_and_said_once() {
    let mut wrong = Vec::new();
    for file in examples() {
        // One word may name several fields or a secret, but in one list once.
        let mut secrets = HashSet::new();
        for entry in file.secret.iter().chain(&file.harmless) {
            let again = entry.words.iter().filter(|word| !secrets.insert((*word).clone()));
            wrong.extend(again.map(|word| format!("{word}: twice")));
        }
        for entry in file.secret.iter().chain(&file.harmless).chain(&file.field) {
            assert!(entry.reason.len() > 5, "{:?}: no reason", entry.words.first());
            let odd = entry
                .words
                .iter()
                .filter(|word| **word != word.to_lowercase() || word.trim() != word.as_str() || word.contains("  "));
            wrong.extend(odd.map(|word| format!("{word}: not in small letters, or with spaces too many")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn spans(text: &str) -> Vec<(Class, String)> {
    static SCANNER: std::sync::LazyLock<Scanner> = std::sync::LazyLock::new(built_in);
    let scanner = &*SCANNER;
    let found = scanner.scanned(text.as_bytes());
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
    let scanner = built_in();
    // Unbounded this is 40 MB of text.
    let found = scanner.scanned(format!("{many} ana@bank.example").as_bytes());
    assert_eq!((found.len(), found.limit()), (1, Some(Limit::Packed)));
    let whole = scanner.scanned(format!("{one} ana@bank.example").as_bytes());
    assert_eq!((whole.len(), whole.is_complete()), (1, true));
}

/// Fuel bounds the work, and where it is out, more is found than there is and not less; who asked is told.
#[test]
fn a_scan_without_fuel_says_so_and_takes_values_for_secrets() {
    let scanner = built_in();
    let scan = |text: &str, fuel: usize| {
        let found = scanner.scan(text.as_bytes(), super::Form::Text, &Context::default().with_fuel(fuel));
        let values: Vec<String> = found.iter().map(|found| text[found.span.clone()].to_owned()).collect();
        (values, found.limit())
    };
    let text = "password: hunter2-Zw9! and ana@bank.example";
    let both = vec!["hunter2-Zw9!".to_owned(), "ana@bank.example".to_owned()];
    assert_eq!(scan(text, Context::fuel_for(text.len())), (both.clone(), None));
    // The text and its one value, and not a unit less.
    assert_eq!(scan(text, text.len() + 12), (both.clone(), None));
    assert_eq!(scan(text, text.len() + 11), (both, Some(Limit::Fuel)));
    assert_eq!(scan(text, 24), (vec!["hunter2-Zw9!".to_owned()], Some(Limit::Fuel)));
    assert_eq!(scan(text, 0), (Vec::new(), Some(Limit::Fuel)));
    let placeholder = "password: ${DB_PASSWORD}";
    assert_eq!(scan(placeholder, usize::MAX), (Vec::new(), None));
    let (taken, limit) = scan(placeholder, placeholder.len());
    assert_eq!((taken.len(), limit), (1, Some(Limit::Fuel)), "{taken:?}");
    // What is packed is looked at with what is left.
    let packed = base64::engine::general_purpose::STANDARD.encode("iban: DE89370400440532013000, and so on");
    assert_eq!(scan(&packed, usize::MAX), (vec![packed.clone()], None));
    assert_eq!(scan(&packed, packed.len()), (Vec::new(), Some(Limit::Fuel)));
    // A value that is named over and over has its bound without anybody's word, in time that grows with the length.
    let often = format!("{}x1\n", "password:".repeat(28)).repeat(200);
    assert_eq!(scan(&often, usize::MAX).1, Some(Limit::Fuel));
}

/// What is exempt is told; nothing is that is not the whole of it.
#[test]
fn what_is_exempt_is_told_as_that() {
    let scanner = built_in();
    let (token, other) = (
        "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",
        "ghp_6Tkl5xOKTiJ2z7nZW5phJtfhUItGqXNGhfqXtlI",
    );
    let is_exempt = |value: &[u8]| [token.as_bytes(), "tr0ub4dor/\u{e9}&3".as_bytes()].contains(&value);
    let context = Context::default().exempting(&is_exempt);
    let exempt = |text: &str, form: super::Form| -> Vec<bool> {
        let found = scanner.scan(text.as_bytes(), form, &context);
        assert_eq!(
            found.counting().count(),
            found.iter().filter(|one| !one.is_exempt).count()
        );
        found.iter().map(|found| found.is_exempt).collect()
    };
    use super::Form::{Json, Text};
    assert_eq!(exempt(&format!("a {token}, b {other}"), Text), [true, false]);
    assert_eq!(exempt(&format!("{{\"a\":\"{token} {other}\"}}"), Json), [true, false]);
    // An escape is read in JSON alone; what it says counts.
    let written = "{\"password\":\"tr0ub4dor\\/\\u00e9&3\"}";
    assert_eq!(
        (exempt(written, Json), exempt(written, Text)),
        (vec![true], vec![false])
    );
    assert_eq!(exempt("{\"password\":\"tr0ub4dor/\u{e9}&4\"}", Json), [false]);
    let packed = base64::engine::general_purpose::STANDARD.encode(format!("key {token}"));
    assert_eq!(exempt(&packed, Text), [false]);
}

#[test]
fn findings_have_a_path_in_json_and_none_elsewhere() {
    let scanner = built_in();
    let text = "{\"a\":[{\"mail\":\"x ana@bank.example and bea@bank.example\"},7],\"bea@bank.example\":{\"b/c\":\"ana@bank.example\"}}";
    let paths = |form| -> Vec<Option<String>> {
        let found = scanner.scan(text.as_bytes(), form, &Context::default());
        found.paths(text.as_bytes()).collect()
    };
    let expected = ["/a/0/mail", "/a/0/mail", "/[EMAIL]", "/[EMAIL]/b~1c"].map(|path| Some(path.to_owned()));
    assert_eq!(paths(super::Form::Json), expected);
    assert_eq!(paths(super::Form::Text), [None, None, None, None]);
}

#[test]
fn names_in_a_column_want_company() {
    let names = |text: &str| spans(text).iter().filter(|(class, _)| *class == Class::Person).count();
    assert_eq!(names("first name,last name,email\nAna,Lopes,ana@bank.example\n"), 2);
    assert_eq!(names("first name,last name,town\nAna,Lopes,Porto\n"), 0);
    assert_eq!(names("{\"first_name\":\"Ana\"}"), 1, "a key says it");
}

#[test]
fn a_token_in_two_pieces_is_found_whole() {
    let (one, other) = ("ghp_6Tkl5xOKTiJ2z7nZ", "W5phJtfhUItGqXNGhfqXtlI");
    // The first piece of a token without a fixed length is one itself.
    let (open, more) = ("xoxb-417pQ2rT9vX4zB6dF8hK", "W4yZ7bC0eF3hJ6kL9");
    for text in [
        format!("t = \"{one}\" + \"{other}\""),
        format!("key: {one}\n{other}\n(wrapped)"),
        format!("key: {one}\\\n    {other}"),
    ] {
        let found = spans(&text);
        assert!(
            found
                .iter()
                .any(|(_, value)| value.starts_with(one) && value.ends_with(other)),
            "{text}: {found:?}"
        );
    }
    let both = format!("\"{open}\" + \"{more}\"");
    assert_eq!(
        spans(&both).first().map(|(_, value)| value.len()),
        Some(both.len() - 2),
        "{both}"
    );
    for text in [
        format!("{open}\nusername: ana"),
        format!("{open}\nREADME"),
        format!("\"{open}\", \"{more}\""),
    ] {
        assert_eq!(
            spans(&text).first().map(|(_, value)| value.as_str()),
            Some(open),
            "{text}"
        );
    }
}

/// A server cannot keep a value from being found by writing a mark of ours where its name would stand.
#[test]
fn a_mark_hides_no_value_that_it_is_the_key_of() {
    let scanner = built_in();
    for text in [
        "[PASSWORD]: hunter2-Zw9!",
        "[PASSWORD] = hunter2-Zw9!",
        "password: [PASSWORD], password: hunter2-Zw9!",
    ] {
        let found = scanner.scanned(text.as_bytes());
        assert!(
            found.iter().any(|found| found.class == Class::Password),
            "{text}: {found:?}"
        );
    }
    assert!(scanner.scanned(b"password: [PASSWORD], iban: [IBAN:3000]").is_empty());
    // The bracket of a mark closes no list of names.
    let next = r#"[["The meeting was moved to the large room on the second floor.","Authorization: Bearer [PROVIDER_TOKEN]",[[false,"報告書は会議の後に送られます。"]]],[]]"#;
    assert!(scanner.scanned(next.as_bytes()).is_empty());
}

/// Types, signatures, definitions, remarks and tables of figures are no values.
#[test]
fn code_holds_no_values() {
    let mut wrong = Vec::new();
    for text in [
        "pub password: Option<String>,",
        "let payee: Option<String> = books.query();",
        "address: ListenAddress(([127, 0, 0, 1], 8650).into()),",
        "fn pin(tool: &Tool) -> ToolPin {",
        "fn password(&self) -> &str {",
        "password: str = Field(...)",
        "def password(self):\n    return self._userinfo[1]",
        "password?: string | null;",
        "Password string `json:\"password\"`",
        "val password: String?",
        "private final Map<String, Password> passwords = new HashMap<>();",
        "password VARCHAR(255) NOT NULL,",
        "| PASSWORD | 79 at 92 | 96 at 98 |",
        "| Password | User name | Remarks |\n|---|---|---|\n",
        "user, password and query: `npx mcp-remote https://a.example/mcp`",
        "string password = 3 [(validate.rules).string.min_len = 8];",
        "type Login { password: String! token: AccessToken! }",
        "{\"password\": {\"type\": \"string\", \"minLength\": 8}}",
        "password:\n  type: string\n  format: password\n",
        "if password:\n    result = getpass.getpass()",
        "password = self.key_password",
        "key_password=settings.key_password, url=url)",
        "pass_fds=(inheritable, other)",
        "future: Pin<Box<dyn Future<Output = ()>>>,",
        "let secret = key.danger_secret().rsplit_once(&key.id).unwrap().1;",
        "let key = SigningKey::from_seed(&Secret::random().unwrap());",
        "Class::Password => PASSWORD_BYTES,",
        "pub const TOKEN_WRITE: TOKEN_ACCESS_MASK = 131072u32;",
        "TLS_PSK_WITH_ARIA_128_CBC_SHA256 => 0xc064,",
        "impact: pin.and_then(|pin| pin.impact).unwrap_or(Impact::UNDECLARED),",
        "words = [\n    b\"password\",\n    b\"passwort\",\n    b\"account\",\n]",
        "[(\"password\", \"Kennwort\"), (\"account\", \"Konto\")]",
        "    pass\n\nclass TestStrftime4dyear(_TestStrftimeYear, _Test4dYear):",
        "B.Gabbert pass incomplete short middle to J.Blackmon",
        "'\\u0399'   #  0x00ad -> GREEK CAPITAL LETTER IOTA",
        "effects on MS Windows. See issue #229.",
        "the end of the pass: nothing may follow",
        "assert password != expected_password",
        "password: ${DB_PASSWORD}\napi_key: ${DB_PASSWORD:?unset}",
        "test -n ${API_TOKEN:+is-set-already-9}",
    ] {
        wrong.extend(
            spans(text)
                .iter()
                .map(|(class, value)| format!("{text}: {class:?} {value}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A value is found though what stands around it could be the head of a table.
#[test]
fn a_head_of_a_column_may_hold_a_value() {
    for list in [
        r#"[[false,"\u092a\u0948\u0928 TPKPK-2362-S"],["a b","c d"]]"#,
        r#"[["note","\u092a\u0948\u0928 TPKPK-2362-S"],["a b","c d"]]"#,
    ] {
        let found = spans(list);
        assert!(
            found.contains(&(Class::NationalId, "TPKPK-2362-S".to_owned())),
            "{list}: {found:?}"
        );
    }
}

/// What looks a little like code is found all the same.
#[test]
fn values_beside_code_are_found() {
    for (text, value) in [
        ("password: hunter2-Zw9!", "hunter2-Zw9!"),
        ("DB_PASSWORD=Hunter(2024)!xQ", "Hunter(2024)!xQ"),
        ("if password == \"hunter2-Zw9!\":", "hunter2-Zw9!"),
        ("Password: hunter2Zw<br>", "hunter2Zw"),
        ("<b>Password</b> hunter2Zw", "hunter2Zw"),
        ("| password | hunter2Zw |", "hunter2Zw"),
        ("Consumer secret: ``B+YfJ-gk$-9Av1``", "B+YfJ-gk$-9Av1"),
        (
            "Authorization: Bearer 86227beefb038e2ce47f20b1b2a0df06",
            "86227beefb038e2ce47f20b1b2a0df06",
        ),
        ("id,password\n1,hunter2Zw\n", "hunter2Zw"),
        ("INSERT INTO t (id, password) VALUES (1, 'hunter2Zw');", "hunter2Zw"),
        ("passwords: [\"aa\", \"hunter2Zw\"]", "hunter2Zw"),
        ("password:\n  hunter2Zw", "hunter2Zw"),
    ] {
        let found = spans(text);
        assert!(found.iter().any(|(_, found)| found == value), "{text}: {found:?}");
    }
}

/// What was masked before stays as it is, also within a value and beside another mark; what stands beside it does not.
#[test]
fn no_finding_covers_a_mark() {
    let scanner = built_in();
    let spans = |text: &str| -> Vec<String> {
        let found = scanner.scanned(text.as_bytes());
        found.iter().map(|found| text[found.span.clone()].to_owned()).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(spans(r#"["token:", "[PROVIDER_TOKEN:ww7w][GENERIC_SECRET]"]"#), none);
    assert_eq!(
        spans("password: hunter2-[CARD:1111]-Zw9!"),
        ["hunter2-", "-Zw9!"],
        "told beside it"
    );
}

/// Wherever a block of bytes that is looked at together ends.
#[test]
fn what_stands_anywhere_is_found() {
    let scanner = built_in();
    let anywhere = |value: &'static str| (0..140).map(move |before| format!("{} {value} x", "-".repeat(before)));
    for value in [
        "2001:db8:0:1:1:1:1:1",
        "2001:db8::8a2e:370:7334",
        "fe80::1ff:fe23:4567:890a",
        "::ffff:203.0.113.7",
        "F5:B0:08:8D:DA:06",
        "F5-B0-08-8D-DA-06",
        "f5b0.088d.da06",
        "203.0.113.77",
        "ana.lopes@bank.example",
        "https://ana:hunter2Zw9x@db.bank.example/x",
        "GB82 WEST 1234 5698 7654 32",
        "4539 5787 6362 1486",
    ] {
        for text in anywhere(value) {
            let found = scanner.scanned(text.as_bytes());
            let all = found.iter().find(|found| value.contains(&text[found.span.clone()]));
            assert!(all.is_some_and(|found| found.span.len() >= 11), "{text} {found:?}");
        }
    }
    for value in [
        "12:30:45",
        "2026-11-28T12:30:45",
        "a::b::c",
        "1.5",
        "v1.2",
        "12:30",
        "12:34:56:78",
    ] {
        for text in anywhere(value) {
            assert!(scanner.scanned(text.as_bytes()).is_empty(), "{text}");
        }
    }
}

/// What is packed in a token is not looked for, and what is packed beside it is.
#[test]
fn a_token_is_told_as_a_whole() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJtYWlsIjoiYW5hLmxvcGVzQGJhbmsuZXhhbXBsZSJ9.c2lnbmF0dXJlLW9mLXRoaXMtdG9rZW4tMQ";
    assert_eq!(spans(&format!("x {jwt} x")), [(Class::Jwt, jwt.to_owned())]);
    let packed = "eyJtYWlsIjoiYW5hLmxvcGVzQGJhbmsuZXhhbXBsZSJ9";
    assert_eq!(spans(&format!("x {packed} x")), [(Class::Email, packed.to_owned())]);
}

/// Whoever judges what is exempt is handed each string once, however much was found in it.
#[test]
fn what_is_asked_of_the_exempt_grows_with_the_text() {
    let scanner = built_in();
    let mails: Vec<String> = (0..500).map(|at| format!("a{at}@bank.example")).collect();
    let text = format!("{{\"a\":\"{}\",\"b\":\"b@bank.example, x\"}}", mails.join(", "));
    let handed = std::cell::Cell::new(0);
    let is_exempt = |value: &[u8]| {
        handed.set(handed.get() + value.len());
        value == b"b@bank.example, x"
    };
    let found = scanner.scan(
        text.as_bytes(),
        super::Form::Json,
        &Context::default().exempting(&is_exempt),
    );
    assert_eq!((found.len(), found.counting().count()), (501, 500));
    assert!(handed.get() <= 2 * text.len(), "{} of {}", handed.get(), text.len());
}
