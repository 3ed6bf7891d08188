//! The examples of documents, run. Every fenced block of them is one of these, and nothing else passes:
//!
//! - a file that the document shows: the word behind the language is its name, as in `toml acme.toml`;
//! - `console`: lines that are typed, each behind `$ `, and below it all that is answered, in a directory with those files;
//! - `rust` in the README of a crate, which its own documentation tests run.

use crate::explain::{call, demo, portcullis};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fenced block.
struct Block {
    line: usize,
    language: String,
    /// What file it is, if it is one.
    name: Option<String>,
    text: String,
}

/// A document, and a directory in which its files lie.
struct Document {
    blocks: Vec<Block>,
    directory: tempfile::TempDir,
}

fn path(document: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document)
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), is_open) {
            (Some(info), false) => {
                let (language, name) = info.split_once(' ').map_or((info, None), |(a, b)| (a, Some(b)));
                blocks.push(Block {
                    line: at + 1,
                    language: language.to_owned(),
                    name: name.map(str::to_owned),
                    text: String::new(),
                });
                is_open = true;
            }
            (Some(_), true) => is_open = false,
            (None, true) => {
                let block = blocks.last_mut().unwrap();
                block.text += line;
                block.text.push('\n');
            }
            // What is set apart in another way would not be run.
            (None, false) => assert!(!line.starts_with("    "), "line {}: fence it: {line}", at + 1),
        }
    }
    assert!(!is_open, "a block is not closed");
    blocks
}

impl Document {
    /// Puts the files of a document where its commands look for them.
    fn open(document: &str) -> Self {
        let text = fs::read_to_string(path(document)).unwrap();
        let blocks = blocks(&text);
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for block in &blocks {
            if let Some(name) = &block.name {
                let file = directory.path().join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                assert!(!file.exists(), "line {}: `{name}` is there already", block.line);
                fs::write(file, &block.text).unwrap();
            }
        }
        Self { blocks, directory }
    }

    fn files<'a>(&'a self, language: &'a str) -> impl Iterator<Item = &'a Block> {
        let is_file = move |block: &&Block| block.language == language && block.name.is_some();
        self.blocks.iter().filter(is_file)
    }

    /// Runs what is typed in each `console`, in order; how many lines.
    fn type_in(&self) -> usize {
        let mut typed = 0;
        for block in self.blocks.iter().filter(|block| block.language == "console") {
            let mut said = String::new();
            for line in block.text.lines() {
                if let Some(command) = line.strip_prefix("$ ") {
                    said += &format!("$ {command}\n{}", self.shell(command));
                    typed += 1;
                }
            }
            assert_eq!(said, block.text, "the block at line {}", block.line);
        }
        typed
    }

    /// All that a shell answers.
    fn shell(&self, command: &str) -> String {
        let programs = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap();
        let paths = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(self.directory.path())
            .env("PATH", format!("{}:{paths}", programs.display()))
            .env_remove("PORTCULLIS_STATE")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every block is run by something.
    fn is_all_run(&self) {
        for block in &self.blocks {
            let is_known = matches!(
                (block.language.as_str(), &block.name),
                ("console" | "rust", None) | ("text" | "json" | "toml" | "cedar", Some(_))
            );
            assert!(is_known, "line {}: nothing runs `{}`", block.line, block.language);
        }
    }
}

/// A file of rules, as far as it is examples.
#[derive(Deserialize)]
struct Rules {
    #[serde(default)]
    token: Vec<Rule>,
    #[serde(default)]
    identifier: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    class: String,
    finds: Vec<String>,
    passes: Vec<String>,
}

/// What the rules of a file say that they find is found with it and not without, and what they let pass passes.
fn keeps_its_word(directory: &Path, name: &str) -> usize {
    let rules: Rules = toml::from_str(&fs::read_to_string(directory.join(name)).unwrap()).unwrap();
    let rules: Vec<Rule> = rules.token.into_iter().chain(rules.identifier).collect();
    let spans = |text: &str, more: &[&str]| -> Vec<Value> {
        let records = directory.join("examples.jsonl");
        fs::write(&records, json!({"id": 1, "text": text}).to_string()).unwrap();
        let mut scan = portcullis();
        scan.args(["scan", "--records", "examples.jsonl"]).args(more);
        let output = scan.current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        told["spans"].as_array().unwrap().clone()
    };
    for rule in &rules {
        for example in &rule.finds {
            let (before, rest) = example.split_once("[[").unwrap();
            let (value, behind) = rest.split_once("]]").unwrap();
            let text = format!("{before}{value}{behind}");
            let wanted = json!([before.len(), before.len() + value.len(), rule.class]);
            let found = spans(&text, &["--rules", name]);
            assert!(found.contains(&wanted), "{}: {text}: {found:?}", rule.id);
            assert!(!spans(&text, &[]).contains(&wanted), "{}: is found without it", rule.id);
        }
        for example in &rule.passes {
            let found = spans(example, &["--rules", name]);
            let is_taken = found.iter().any(|span| span[2] == rule.class.as_str());
            assert!(!is_taken, "{}: {example}: {found:?}", rule.id);
        }
    }
    rules.len()
}

#[test]
fn the_examples_about_detectors_do_what_is_said() {
    let document = Document::open("docs/detectors.md");
    document.is_all_run();
    let typed = document.type_in();
    assert!(typed >= 10, "{typed}");
    let files = document.files("toml").map(|file| file.name.as_deref().unwrap());
    let rules: usize = files.map(|name| keeps_its_word(document.directory.path(), name)).sum();
    assert!(rules >= 2, "{rules}");
}

#[test]
fn the_policy_about_detectors_does_what_is_said() {
    let document = Document::open("docs/detectors.md");
    let state = document.directory.path().join("state");
    assert!(state.join("policy.cedar").exists());
    let demo = demo(&state);
    const CUSTOMER: &str = r#"{"customer_id":"C-1001"}"#;
    let accounts = call(&demo, "list_accounts", CUSTOMER);
    assert!(accounts.contains(r#""iban":"IE64DEMO99000110000000""#), "{accounts}");
    let customer = call(&demo, "get_customer", CUSTOMER);
    for masked in [
        r#""email":"[EMAIL]""#,
        r#""phone":"[PHONE]""#,
        r#""date_of_birth":"[DOB]""#,
    ] {
        assert!(customer.contains(masked), "{masked} in {customer}");
    }
    let transfer = |reference: &str| {
        let iban = "DE89370400440532013000";
        let arguments = json!({"from_account": "A-2001", "to_iban": iban, "amount_cents": 1, "reference": reference});
        call(&demo, "transfer", &arguments.to_string())
    };
    // It goes to the bank, whose answer is masked as ever.
    let paid = transfer("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");
    assert!(paid.contains(r#""transfer_id""#), "{paid}");
    assert!(paid.contains(r#""reference":"[PROVIDER_TOKEN]""#), "{paid}");
    let refused = transfer("password: Kx7-otter-rambles-92");
    assert!(
        !refused.contains("transfer_id") && refused.contains("PASSWORD"),
        "{refused}"
    );
}

#[test]
fn the_examples_of_the_crate_do_what_is_said() {
    let document = Document::open("crates/guards/README.md");
    document.is_all_run();
    let files = document.files("toml").map(|file| file.name.as_deref().unwrap());
    let rules: usize = files.map(|name| keeps_its_word(document.directory.path(), name)).sum();
    assert!(rules >= 2, "{rules}");
    // The block of Rust is a documentation test of the crate, as long as it says so.
    let crate_says = fs::read_to_string(path("crates/guards/src/lib.rs")).unwrap();
    assert!(crate_says.contains("#[doc = include_str!(\"../README.md\")]"));
}
