//! Any bytes as a message: the same verdict as serde_json on what is JSON, and edits that can be taken back.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis_wire::json::Kind;
use portcullis_wire::{Id, JsonError, Limits, Message, Raw};
use serde::de::IgnoredAny;

fn agree(text: &[u8]) -> Option<Raw> {
    let accepted = std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match Raw::parse(Bytes::copy_from_slice(text), &Limits::default()) {
        Ok(raw) => {
            assert!(accepted, "only we accept it");
            Some(raw)
        }
        Err(JsonError::LoneSurrogate { .. } | JsonError::Depth { .. }) => None,
        Err(error) => {
            assert!(!accepted, "only we refuse it: {error}");
            None
        }
    }
}

/// Reads everything that can be read; the ranges must be values of their own.
fn walk(raw: &Raw) {
    match raw.kind() {
        Kind::Object => {
            if let Ok(members) = raw.members() {
                for member in members {
                    let value = raw.bytes().slice(member.value);
                    walk(&Raw::own(value).expect("a member is a value"));
                }
            }
        }
        Kind::Array => raw.elements().iter().for_each(walk),
        Kind::String => {
            let string = raw.as_string().expect("a string");
            let oracle: String = serde_json::from_slice(raw.as_bytes()).expect("a string");
            assert_eq!(string, oracle);
        }
        Kind::Number | Kind::Bool | Kind::Null => {}
    }
}

fn there_and_back(message: &Message, text: &[u8]) {
    let other = Id::string("another \"id\"");
    let (id, there) = match message {
        Message::Request(request) => (request.id().clone(), request.with_id(&other)),
        Message::Response(response) => match response.id() {
            Some(id) => (id.clone(), response.with_id(&other)),
            None => return,
        },
        Message::Notification(_) => return,
    };
    let there = there.finish().into_bytes();
    let back = match Message::parse(there, &Limits::default()).expect("still a message") {
        Message::Request(request) => {
            assert_eq!(request.id(), &other);
            request.with_id(&id)
        }
        Message::Response(response) => {
            assert_eq!(response.id(), Some(&other));
            response.with_id(&id)
        }
        Message::Notification(_) => panic!("became a notification"),
    };
    assert_eq!(back.finish().into_bytes(), text);
}

fuzz_target!(|text: &[u8]| {
    let raw = agree(text);
    if let Some(raw) = &raw {
        walk(raw);
        let _ = raw.refuse_duplicates();
    }
    match Message::parse(Bytes::copy_from_slice(text), &Limits::default()) {
        Ok(message) => {
            assert!(raw.is_some());
            there_and_back(&message, text);
        }
        Err(refused) => {
            let answer = refused
                .error
                .to_message(refused.id.as_ref(), portcullis_wire::Era::Modern);
            assert!(Message::parse(answer, &Limits::default()).is_ok());
        }
    }
});
