//! From the JSON of a call's arguments to Cedar's values, in one pass over the received bytes: what no policy reads is skipped,
//! what one reads must have its declared type. It must not know policies or decisions.

use super::shape::{RecordShape, Shape};
use cedar_policy::RestrictedExpression;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// Most elements of one list that a policy reads.
const ELEMENTS_MAX: usize = 4_096;

/// Which arguments are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All that are declared.
    All,
    /// Those with these names, which are given only where they are declared.
    Only(BTreeSet<String>),
}

impl Wanted {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }

    /// Wants what either wants.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut one), Self::Only(two)) => {
                one.extend(two);
                Self::Only(one)
            }
            _ => Self::All,
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
            let Some((name, shape)) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            // The upstream may keep the first of two and this the last: what policy saw would not be what is done.
            if pairs.iter().any(|(seen, _)| seen == name) {
                return Err(A::Error::custom(format_args!("argument `{name}` is given twice")));
            }
            let value = map.next_value_seed(ShapeSeed(shape))?;
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

/// Reads a key; yields the field's own name and type when it is declared and wanted.
#[derive(Clone, Copy)]
struct Name<'a> {
    shape: &'a RecordShape,
    wanted: &'a Wanted,
}

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<(&'a str, &'a Shape)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<(&'a str, &'a Shape)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        match (self.shape.fields.get_key_value(name), self.wanted) {
            (Some((name, field)), wanted) if wanted.has(name) => Ok(Some((name, &field.shape))),
            // To the policy it would be as one that is not given; the server may take it all the same.
            (None, Wanted::Only(names)) if names.contains(name) => Err(E::custom(format_args!(
                "argument `{name}` is not declared, and a policy reads it"
            ))),
            _ => Ok(None),
        }
    }
}

struct ShapeSeed<'a>(&'a Shape);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = RestrictedExpression;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            Shape::Record(shape) => RecordSeed {
                shape,
                wanted: &Wanted::All,
            }
            .deserialize(deserializer),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = RestrictedExpression;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.describe())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        match self.0 {
            Shape::Bool => Ok(RestrictedExpression::new_bool(value)),
            _ => Err(E::custom(format_args!(
                "a truth value where {} is declared",
                self.0.describe()
            ))),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        match self.0 {
            Shape::Long => Ok(RestrictedExpression::new_long(value)),
            _ => Err(E::custom(format_args!(
                "a number where {} is declared",
                self.0.describe()
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
                self.0.describe()
            )));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked above")]
        self.visit_i64(value as i64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        match self.0 {
            Shape::Text => Ok(RestrictedExpression::new_string(value.to_owned())),
            _ => Err(E::custom(format_args!(
                "a text where {} is declared",
                self.0.describe()
            ))),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Err(E::custom(format_args!("null where {} is declared", self.0.describe())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Shape::Set(element) = self.0 else {
            return Err(A::Error::custom(format_args!(
                "a list where {} is declared",
                self.0.describe()
            )));
        };
        let mut elements = Vec::new();
        while let Some(value) = seq.next_element_seed(ShapeSeed(element))? {
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

    fn read(json: &str, wanted: &Wanted) -> Result<String, String> {
        let value = record(json.as_bytes(), &transfer(), wanted)?;
        let context = Context::from_pairs([("a".to_owned(), value)]).map_err(|error| error.to_string())?;
        Ok(context.to_json_value().unwrap()["a"].to_string())
    }

    #[test]
    fn declared_arguments_arrive_typed_and_others_do_not() {
        let json = r#"{"to":"DE\u00e9","amount":12,"rate":0.5,"extra":{"amount":1},"tags":["x","y"],"who":{"age":3,"more":[]}}"#;
        let value = read(json, &Wanted::All).unwrap();
        assert_eq!(value, r#"{"amount":12,"tags":["x","y"],"to":"DEé","who":{"age":3}}"#);
    }

    #[test]
    fn only_the_wanted_are_looked_at() {
        let only = Wanted::Only(BTreeSet::from(["amount".to_owned()]));
        assert_eq!(read(r#"{"amount":1,"to":7}"#, &only).unwrap(), r#"{"amount":1}"#);
        assert_eq!(read(r#"{"amount":1.0e2}"#, &only).unwrap(), r#"{"amount":100}"#);
    }

    #[test]
    fn what_a_policy_reads_is_declared_or_not_given() {
        let only = Wanted::Only(BTreeSet::from(["amount".to_owned(), "limit".to_owned()]));
        assert_eq!(read(r#"{"amount":1,"extra":7}"#, &only).unwrap(), r#"{"amount":1}"#);
        for undeclared in [r#"{"amount":1,"limit":7}"#, r#"{"amount":1,"l\u0069mit":null}"#] {
            let refused = read(undeclared, &only).unwrap_err();
            assert!(refused.starts_with("argument `limit` is not declared"), "{refused}");
        }
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
            assert!(read(bad, &Wanted::All).is_err(), "{bad}");
        }
        let long = format!(r#"{{"to":"x","amount":1,"tags":[{}"a"]}}"#, "\"a\",".repeat(5_000));
        assert!(read(&long, &Wanted::All).is_err());
    }
}
