//! From the JSON of a call's arguments to Cedar's values, in one pass over the received bytes: what no policy reads is skipped,
//! what one reads must have its declared type. It must not know policies or decisions.

use super::shape::{DEPTH_MAX, RecordShape, Shape};
use cedar_policy::RestrictedExpression;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Most elements of one list that a policy reads.
const ELEMENTS_MAX: usize = 4_096;

/// Which members of a record are wanted: of the arguments, and within each that is itself one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// All that are declared, besides those with a name.
    whole: bool,
    /// Those that are read by their name, with what is read within. They must not be given where they are not declared.
    named: BTreeMap<String, Wanted>,
}

static WHOLE: Wanted = Wanted {
    whole: true,
    named: BTreeMap::new(),
};

impl Wanted {
    /// What a policy wants that reads `path` below the arguments, outermost name first: they as a whole, where it is empty. Names
    /// deeper than any that is declared make no difference and are not looked at.
    pub(crate) fn by(path: &[String]) -> Self {
        let path = path.get(..DEPTH_MAX + 1).unwrap_or(path);
        let innermost = WHOLE.clone();
        let mut wanted = path.iter().rev().fold(innermost, |within, name| Self {
            whole: true,
            named: BTreeMap::from([(name.clone(), within)]),
        });
        wanted.whole = path.is_empty();
        wanted
    }

    fn has(&self, name: &str) -> bool {
        self.whole || self.named.contains_key(name)
    }

    /// Wants what either wants.
    pub(crate) fn or(&mut self, other: Self) {
        self.whole |= other.whole;
        for (name, within) in other.named {
            self.named.entry(name).or_default().or(within);
        }
    }
}

/// The record of wanted arguments.
///
/// # Errors
/// When the JSON is none, a wanted argument is given twice, required but missing, not of its declared type, or given and not
/// declared where it is wanted by name. The text may quote the value: it is for the person who asked, never for the record.
pub(crate) fn record(json: &[u8], shape: &RecordShape, wanted: &Wanted) -> Result<RestrictedExpression, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let seed = RecordSeed { shape, wanted };
    let value = seed.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

struct RecordSeed<'a> {
    shape: &'a RecordShape,
    wanted: &'a Wanted,
}

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    type Value = RestrictedExpression;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = RestrictedExpression;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs: Vec<(String, RestrictedExpression)> = Vec::new();
        let names = Name {
            shape: self.shape,
            wanted: self.wanted,
        };
        while let Some(found) = map.next_key_seed(names)? {
            let Some((name, shape, wanted)) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            // The upstream may keep the first of two and this the last: what policy saw would not be what is done.
            if pairs.iter().any(|(seen, _)| seen == name) {
                return Err(A::Error::custom(format_args!("argument `{name}` is given twice")));
            }
            let value = map.next_value_seed(ShapeSeed { shape, wanted })?;
            pairs.push((name.to_owned(), value));
        }
        for (name, field) in &self.shape.fields {
            if field.required && self.wanted.has(name) && !pairs.iter().any(|(seen, _)| seen == name) {
                return Err(A::Error::custom(format_args!("argument `{name}` is missing")));
            }
        }
        RestrictedExpression::new_record(pairs).map_err(A::Error::custom)
    }
}

/// Reads a key; yields the field's own name and type, and what of it is wanted, when it is declared and wanted.
#[derive(Clone, Copy)]
struct Name<'a> {
    shape: &'a RecordShape,
    wanted: &'a Wanted,
}

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<(&'a str, &'a Shape, &'a Wanted)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<(&'a str, &'a Shape, &'a Wanted)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        match (self.shape.fields.get_key_value(name), self.wanted.named.get(name)) {
            (Some((name, field)), Some(within)) => Ok(Some((name, &field.shape, within))),
            (Some((name, field)), None) if self.wanted.whole => Ok(Some((name, &field.shape, &WHOLE))),
            // To the policy it would be as one that is not given; the server may take it all the same.
            (None, Some(_)) => Err(E::custom(format_args!(
                "argument `{name}` is not declared, and a policy reads it"
            ))),
            (_, None) => Ok(None),
        }
    }
}

#[derive(Clone, Copy)]
struct ShapeSeed<'a> {
    shape: &'a Shape,
    /// Within it, where it is a record: the elements of a list have no names that a policy could read.
    wanted: &'a Wanted,
}

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = RestrictedExpression;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.shape {
            Shape::Record(shape) => RecordSeed {
                shape,
                wanted: self.wanted,
            }
            .deserialize(deserializer),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = RestrictedExpression;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shape.describe())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        match self.shape {
            Shape::Bool => Ok(RestrictedExpression::new_bool(value)),
            _ => Err(E::custom(format_args!(
                "a truth value where {} is declared",
                self.shape.describe()
            ))),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        match self.shape {
            Shape::Long => Ok(RestrictedExpression::new_long(value)),
            _ => Err(E::custom(format_args!(
                "a number where {} is declared",
                self.shape.describe()
            ))),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::custom("a whole number beyond 64 bits")),
        }
    }

    /// `1.0` and `1e3` are integers by JSON Schema; beyond 2^53 a double no longer says which.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() != 0.0 || value.abs() > EXACT {
            return Err(E::custom(format_args!(
                "a fraction or a number too large where {} is declared",
                self.shape.describe()
            )));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked above")]
        self.visit_i64(value as i64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        match self.shape {
            Shape::Text => Ok(RestrictedExpression::new_string(value.to_owned())),
            _ => Err(E::custom(format_args!(
                "a text where {} is declared",
                self.shape.describe()
            ))),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Err(E::custom(format_args!(
            "null where {} is declared",
            self.shape.describe()
        )))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Shape::Set(element) = self.shape else {
            return Err(A::Error::custom(format_args!(
                "a list where {} is declared",
                self.shape.describe()
            )));
        };
        let element = ShapeSeed {
            shape: element,
            wanted: &WHOLE,
        };
        let mut elements = Vec::new();
        while let Some(value) = seq.next_element_seed(element)? {
            if elements.len() >= ELEMENTS_MAX {
                return Err(A::Error::custom(format_args!("a list of more than {ELEMENTS_MAX}")));
            }
            elements.push(value);
        }
        Ok(RestrictedExpression::new_set(elements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::shape::of_input_schema;
    use cedar_policy::Context;
    use serde_json::json;

    fn transfer() -> RecordShape {
        of_input_schema(&json!({"properties": {
            "to": {"type": "string"}, "amount": {"type": "integer"}, "rate": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "who": {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
        }, "required": ["to", "amount"]}))
        .0
    }

    /// What a policy wants that reads these paths.
    fn wanted(paths: &[&str]) -> Wanted {
        let mut wanted = Wanted::default();
        for path in paths {
            let names: Vec<String> = path
                .split('.')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect();
            wanted.or(Wanted::by(&names));
        }
        wanted
    }

    fn read(json: &str, wanted: &Wanted) -> Result<String, String> {
        let value = record(json.as_bytes(), &transfer(), wanted)?;
        let context = Context::from_pairs([("a".to_owned(), value)]).map_err(|error| error.to_string())?;
        Ok(context.to_json_value().unwrap()["a"].to_string())
    }

    #[test]
    fn declared_arguments_arrive_typed_and_others_do_not() {
        let json = r#"{"to":"DE\u00e9","amount":12,"rate":0.5,"extra":{"amount":1},"tags":["x","y"],"who":{"age":3,"more":[]}}"#;
        let value = read(json, &WHOLE).unwrap();
        assert_eq!(value, r#"{"amount":12,"tags":["x","y"],"to":"DEé","who":{"age":3}}"#);
    }

    #[test]
    fn only_the_wanted_are_looked_at() {
        let only = wanted(&["amount"]);
        assert_eq!(read(r#"{"amount":1,"to":7}"#, &only).unwrap(), r#"{"amount":1}"#);
        assert_eq!(read(r#"{"amount":1.0e2}"#, &only).unwrap(), r#"{"amount":100}"#);
    }

    #[test]
    fn what_a_policy_reads_is_declared_or_not_given() {
        let only = wanted(&["amount", "limit"]);
        assert_eq!(read(r#"{"amount":1,"extra":7}"#, &only).unwrap(), r#"{"amount":1}"#);
        for undeclared in [r#"{"amount":1,"limit":7}"#, r#"{"amount":1,"l\u0069mit":null}"#] {
            let refused = read(undeclared, &only).unwrap_err();
            assert!(refused.starts_with("argument `limit` is not declared"), "{refused}");
        }
    }

    /// However else the argument around it is read, and at any depth.
    #[test]
    fn what_a_policy_reads_within_an_argument_is_declared_or_not_given() {
        let nested = of_input_schema(&json!({"properties": {"opts": {"type": "object", "properties": {
            "note": {"type": "string"}, "inner": {"type": "object", "properties": {"a": {"type": "integer"}}}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}}}))
        .0;
        let read = |json: &str, wanted: &Wanted| record(json.as_bytes(), &nested, wanted);
        for wanted in [
            wanted(&["opts.amount", "opts.inner.amount"]),
            wanted(&["opts", "opts.amount", "opts.inner.amount"]),
            wanted(&["", "opts.amount", "opts.inner.amount"]),
        ] {
            for good in [
                "{}",
                r#"{"opts":{"note":"x","inner":{"a":1,"more":2},"more":3},"amount":5}"#,
                r#"{"list":[{"a":1,"amount":2}],"other":{"amount":1}}"#,
            ] {
                assert!(read(good, &wanted).is_ok(), "{good} {wanted:?}");
            }
            for bad in [
                r#"{"opts":{"note":"x","amount":1}}"#,
                r#"{"opts":{"\u0061mount":null}}"#,
                r#"{"opts":{"inner":{"amount":1}}}"#,
            ] {
                let refused = read(bad, &wanted).unwrap_err();
                assert!(
                    refused.starts_with("argument `amount` is not declared"),
                    "{bad}: {refused}"
                );
            }
        }
        assert!(read(r#"{"opts":{"amount":1}}"#, &wanted(&["opts", "opts.note"])).is_ok());
        assert!(
            read(r#"{"amount":1}"#, &wanted(&["", "amount"])).is_err(),
            "read by name beside the whole"
        );
        // A policy may nest as deep as it likes.
        let deep: Vec<String> = std::iter::repeat_n("a".to_owned(), 2_000).collect();
        let mut twice = Wanted::by(&deep);
        twice.or(Wanted::by(&deep));
        assert_eq!(twice, Wanted::by(&deep[..9]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for bad in [
            r#"{"to":"x"}"#,
            r#"{"to":"x","amount":null}"#,
            r#"{"to":"x","amount":"1"}"#,
            r#"{"to":"x","amount":1.5}"#,
            r#"{"to":"x","amount":1e300}"#,
            r#"{"to":"x","amount":9223372036854775808}"#,
            r#"{"to":"x","amount":[1]}"#,
            r#"{"to":"x","amount":{}}"#,
            r#"{"to":"x","amount":true}"#,
            r#"{"to":1,"amount":1}"#,
            r#"{"to":"x","amount":1,"amount":2}"#,
            r#"{"to":"x","amount":1,"\u0061mount":2}"#,
            r#"{"to":"x","amount":1,"tags":"x"}"#,
            r#"{"to":"x","amount":1,"tags":[1]}"#,
            r#"{"to":"x","amount":1,"who":{}}"#,
            r#"{"to":"x","amount":1,"who":{"age":1,"age":2}}"#,
            r#"{"to":"x","amount":1} x"#,
            r#"{"to":"x","amount":1"#,
            "[]",
            "null",
            "",
        ] {
            assert!(read(bad, &WHOLE).is_err(), "{bad}");
        }
        let long = format!(r#"{{"to":"x","amount":1,"tags":[{}"a"]}}"#, "\"a\",".repeat(5_000));
        assert!(read(&long, &WHOLE).is_err());
    }
}
