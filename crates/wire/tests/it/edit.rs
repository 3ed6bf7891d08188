//! Edits: what serde_json would have after the same change, and byte for byte the old text outside what was edited.

use crate::texts;
use bytes::Bytes;
use portcullis_wire::{Edits, Raw};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Map, Value};

fn raw(text: &str) -> Raw {
    Raw::own(Bytes::from(text.to_owned())).unwrap()
}

/// Objects short enough to be copied and long enough not to be.
fn padded() -> impl Strategy<Value = String> {
    (texts::any_object(), prop_oneof![4 => Just(0usize), 1 => Just(20_000)]).prop_map(|(object, pad)| {
        let inside = object[1..].trim_start();
        let comma = if inside == "}" { "" } else { "," };
        match pad {
            0 => object,
            pad => format!("{{\"pad\":\"{}\"{comma}{inside}", "x".repeat(pad)),
        }
    })
}

fn keys() -> impl Strategy<Value = Vec<&'static str>> {
    let all = vec!["id", "method", "params", "_meta", "a", "b", "\n\"", "pad"];
    subsequence(all, 0..=8).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Setting some members and removing others.
    #[test]
    fn set_and_remove_do_what_a_tree_would(
        text in padded(),
        set in btree_map("[a-d]|_meta|id", texts::value(), 0..4),
        remove in keys(),
        remove_first in any::<bool>(),
    ) {
        let object = raw(&text);
        prop_assume!(object.members().is_ok());
        let Ok(Value::Object(mut tree)) = serde_json::from_str::<Value>(&text) else {
            return Ok(());
        };
        let remove: Vec<_> = remove.into_iter().filter(|key| !set.contains_key(*key)).collect();
        let mut edits = Edits::of(object.bytes());
        if remove_first {
            edits.remove(0, &remove).unwrap();
        }
        for (key, value) in &set {
            edits.set(0, key, value.as_bytes()).unwrap();
            tree.insert(key.clone(), serde_json::from_str(value).unwrap());
        }
        if !remove_first {
            edits.remove(0, &remove).unwrap();
        }
        for key in &remove {
            tree.remove(*key);
        }
        let edited = edits.finish().into_bytes();
        let read: Map<String, Value> = serde_json::from_slice(&edited)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&edited)));
        prop_assert_eq!(read, tree);
    }

    /// Replacing some members' values: all else stays.
    #[test]
    fn outside_the_edits_every_byte_stays(
        text in padded(),
        replace in vec((any::<Index>(), texts::value()), 0..4),
    ) {
        let object = raw(&text);
        let Ok(members) = object.members() else { return Ok(()) };
        prop_assume!(!members.is_empty());
        let mut chosen: Vec<(usize, String)> = replace
            .into_iter()
            .map(|(index, value)| (index.index(members.len()), value))
            .collect();
        chosen.sort();
        chosen.dedup_by_key(|(index, _)| *index);
        let mut expected = Vec::new();
        let mut at = 0;
        for (index, value) in &chosen {
            expected.extend_from_slice(&text.as_bytes()[at..members[*index].value.start]);
            expected.extend_from_slice(value.as_bytes());
            at = members[*index].value.end;
        }
        expected.extend_from_slice(&text.as_bytes()[at..]);
        let mut edits = Edits::of(object.bytes());
        for (index, value) in chosen.iter().rev() {
            edits.replace(members[*index].value.clone(), value.clone());
        }
        let rope = edits.finish();
        prop_assert_eq!(rope.len(), expected.len());
        prop_assert!(rope.pieces().iter().all(|piece| !piece.is_empty()));
        prop_assert_eq!(rope.into_bytes(), expected);
    }
}

#[test]
fn an_edited_value_must_be_json() {
    let broken = |value: &'static [u8]| {
        let mut edits = Edits::of(Bytes::from_static(br#"{"a":1}"#));
        edits.set(0, "a", value).unwrap();
        edits.into_raw()
    };
    assert_eq!(broken(b"[2]").unwrap().as_bytes(), br#"{"a":[2]}"#);
    assert!(broken(b"[2").is_err());
    assert!(broken(b"").is_err());
}

#[test]
fn what_is_no_object_cannot_be_edited_as_one() {
    let mut edits = Edits::of(Bytes::from_static(b"[1]"));
    assert!(edits.set(0, "a", b"1").is_err());
    assert!(edits.remove(0, &["a"]).is_err());
    let mut edits = Edits::of(Bytes::from_static(br#"{"a":1,"a":2}"#));
    assert!(edits.set(0, "a", b"1").is_err());
    assert_eq!(edits.finish().into_bytes(), br#"{"a":1,"a":2}"#.as_slice());
}
