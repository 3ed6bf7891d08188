//! Ids: equal by meaning, kept as written, and never anything but a string or an integer.

use bytes::Bytes;
use portcullis_wire::{Id, Raw};
use proptest::prelude::*;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

fn read(text: &str) -> Option<Id> {
    Id::from_raw(&Raw::own(Bytes::from(text.to_owned())).unwrap())
}

fn hash(id: &Id) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// `text` with every character written as an escape.
fn escaped(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

proptest! {
    #[test]
    fn spelling_does_not_make_another_id(text in any::<String>()) {
        let plain = Id::string(&text);
        let spelling = escaped(&text);
        let spelt = read(&spelling).unwrap();
        prop_assert_eq!(&plain, &spelt);
        prop_assert_eq!(hash(&plain), hash(&spelt));
        prop_assert_eq!(plain.as_string(), Some(text.as_str()));
        prop_assert_eq!(spelt.as_string(), Some(text.as_str()));
        prop_assert_eq!(spelt.as_json(), spelling.as_bytes());
    }

    #[test]
    fn ids_are_equal_when_what_they_denote_is(a in "[a\"\\\\1]{0,2}", b in "[a\"\\\\1]{0,2}") {
        prop_assert_eq!(Id::string(&a) == Id::string(&b), a == b);
        prop_assert_eq!(Id::string(&a) == read(&escaped(&b)).unwrap(), a == b);
    }

    #[test]
    fn numbers_are_numbers_and_no_strings(number in any::<u64>()) {
        let id = Id::number(number);
        prop_assert_eq!(id.as_u64(), Some(number));
        prop_assert_eq!(id.as_string(), None);
        prop_assert_eq!(read(&number.to_string()), Some(id.clone()));
        prop_assert_ne!(&id, &Id::string(&number.to_string()));
        prop_assert_eq!(Id::string(&number.to_string()).as_u64(), None);
    }
}

#[test]
fn integers_of_any_size_are_kept() {
    for text in ["0", "-1", "18446744073709551615", "123456789012345678901234567890"] {
        let id = read(text).unwrap();
        assert_eq!(id.as_json(), text.as_bytes());
        assert_eq!(format!("{id:?}"), text);
    }
    assert_eq!(read("18446744073709551616").unwrap().as_u64(), None);
    assert_eq!(read("-1").unwrap().as_u64(), None);
    assert_ne!(
        read("123456789012345678901234567890"),
        read("123456789012345678901234567891")
    );
}

#[test]
fn other_values_are_no_ids() {
    for text in [
        "null", "true", "false", "1.0", "-1.5", "1e3", "1E3", "0.0", "[]", "[1]", "{}",
    ] {
        assert!(read(text).is_none(), "{text}");
    }
}

#[test]
fn minus_zero_is_zero() {
    assert_eq!(read("-0"), read("0"));
    assert_eq!(hash(&read("-0").unwrap()), hash(&read("0").unwrap()));
    assert_eq!(read("-0").unwrap().as_json(), b"-0");
}
