//! The corpus: messages of every kind and revision, one a line, that must travel unchanged. A directory for each revision
//! holds what its schema knows; `any` holds what every revision must carry (vendors' fields, numbers, strings, white space,
//! ids, deep and wide values).

use crate::json::{agree_on_acceptance, agree_on_meaning};
use bytes::Bytes;
use portcullis_testkit::corpus::difference;
use portcullis_wire::{Edits, Id, Limits, Message, Method, Raw, Revision};
use std::path::Path;

/// File (its path below the corpus, without the ending), line number, text.
fn corpus() -> Vec<(String, usize, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let entries = portcullis_testkit::corpus::read(&root).unwrap();
    entries
        .into_iter()
        .map(|entry| (entry.file, entry.line, entry.text))
        .collect()
}

fn parse(text: &str) -> Message {
    Message::parse(Bytes::from(text.to_owned()), &Limits::default())
        .unwrap_or_else(|refused| panic!("{}: {text:.300}", refused.error.message))
}

fn with_id(message: &Message, id: &Id) -> Option<Edits> {
    match message {
        Message::Request(request) => Some(request.with_id(id)),
        Message::Response(response) => response.id().map(|_| response.with_id(id)),
        Message::Notification(_) => None,
    }
}

fn id_of(message: &Message) -> Option<Id> {
    match message {
        Message::Request(request) => Some(request.id().clone()),
        Message::Response(response) => response.id().cloned(),
        Message::Notification(_) => None,
    }
}

#[test]
fn another_id_and_back_gives_the_same_bytes() {
    let others = [Id::number(987_654_321), Id::string("g/\"1\" \u{e9}"), Id::number(0)];
    for (file, line, text) in corpus() {
        let message = parse(&text);
        let Some(original) = id_of(&message) else {
            continue;
        };
        for other in &others {
            let there = with_id(&message, other).unwrap().finish().into_bytes();
            let changed = parse(std::str::from_utf8(&there).unwrap());
            assert_eq!(id_of(&changed).as_ref(), Some(other), "{file}:{line}");
            // All but the id's own span is as it was.
            let id_text = original.as_json();
            let at = (0..text.len())
                .find(|&at| {
                    let (before, behind) = (&text.as_bytes()[..at], &text.as_bytes()[at..]);
                    behind
                        .strip_prefix(id_text)
                        .is_some_and(|behind| [before, other.as_json(), behind].concat() == there)
                })
                .unwrap_or_else(|| panic!("{file}:{line}: more than the id changed"));
            assert!(at > 0);
            let back = with_id(&changed, &original).unwrap().finish().into_bytes();
            if let Some(difference) = difference(text.as_bytes(), &back) {
                panic!("{file}:{line} {difference}");
            }
        }
    }
}

#[test]
fn the_corpus_is_what_it_says() {
    let messages = corpus();
    assert!(messages.len() >= 200, "{} messages", messages.len());
    for (file, line, text) in &messages {
        let message = parse(text);
        let (directory, kind) = file.split_once(['/', '\\']).unwrap();
        let fits = matches!(
            (kind, &message),
            ("requests" | "questions", Message::Request(_))
                | ("notifications", Message::Notification(_))
                | ("results" | "errors", Message::Response(_))
        );
        assert!(fits || directory == "any", "{file}:{line} is of another kind");
        if let (Ok(revision), Message::Request(request)) = (directory.parse::<Revision>(), &message) {
            assert!(request.method().is_in(revision), "{file}:{line}");
            assert_eq!(
                request.method().is_question(),
                kind == "questions" && request.method() != &Method::Ping,
                "{file}:{line}"
            );
        }
    }
}

#[test]
fn every_method_of_every_revision_is_there() {
    let messages = corpus();
    for revision in Revision::ALL {
        for method in Method::KNOWN.iter().filter(|method| method.is_in(revision)) {
            let there = messages.iter().any(|(file, _, text)| {
                file.starts_with(revision.as_str())
                    && match parse(text) {
                        Message::Request(request) => request.method() == method,
                        Message::Notification(notification) => notification.method() == method,
                        // Questions of the modern era travel inside a result.
                        Message::Response(_) => {
                            method.is_question() && text.contains(&format!("\"method\":\"{method}\""))
                        }
                    }
            });
            assert!(there, "no {method} of {revision}");
        }
    }
}

/// What the fuzzer kept: the verdicts and meanings that its target asks for.
#[test]
fn the_fuzzers_corpus_gets_the_same_verdict() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/envelope");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        count += 1;
        agree_on_acceptance(&text);
        let raw = Raw::parse(Bytes::copy_from_slice(&text), &Limits::default());
        if let (Ok(raw), Ok(value)) = (&raw, serde_json::from_slice(&text)) {
            let repeated = agree_on_meaning(raw, &value);
            assert_eq!(raw.refuse_duplicates().is_err(), repeated);
        }
        if let Ok(message) = Message::parse(Bytes::copy_from_slice(&text), &Limits::default()) {
            assert!(raw.is_ok());
            let original = id_of(&message);
            if let Some(there) = with_id(&message, &Id::string("another \"id\"")) {
                let there = there.finish().into_bytes();
                let back = Message::parse(there, &Limits::default()).unwrap();
                let back = with_id(&back, &original.unwrap()).unwrap().finish().into_bytes();
                assert_eq!(back, text);
            }
        }
    }
    assert!(count > 1000, "only {count}");
}
