//! What of a tool's JSON Schema a policy may speak of: the arguments whose type Cedar can express, and for each other one the
//! reason why not. It must not know policies or requests.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Deepest nesting of arguments that a policy may name.
pub(super) const DEPTH_MAX: usize = 8;
/// Most arguments of one tool, nested ones counted.
const FIELDS_MAX: usize = 512;
/// Longest name of an argument, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The type of an argument in Cedar.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// `Bool`.
    Bool,
    /// `Long`: a whole number of 64 bits.
    Long,
    /// `String`.
    Text,
    /// `Set<..>`: order and repetition are lost.
    Set(Box<Self>),
    /// A record.
    Record(RecordShape),
}

impl Shape {
    /// The type in the words of a Cedar schema.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Bool => "Bool".to_owned(),
            Self::Long => "Long".to_owned(),
            Self::Text => "String".to_owned(),
            Self::Set(element) => format!("Set<{}>", element.describe()),
            Self::Record(record) => record.describe(),
        }
    }
}

/// A record of arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RecordShape {
    /// The arguments by name.
    pub(crate) fields: BTreeMap<String, Field>,
}

impl RecordShape {
    /// The type in the words of a Cedar schema.
    pub(crate) fn describe(&self) -> String {
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|(name, field)| {
                let mark = if field.required { "" } else { "?" };
                format!("{name}{mark}: {}", field.shape.describe())
            })
            .collect();
        match fields.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{ {} }}", fields.join(", ")),
        }
    }
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Field {
    /// Its type.
    pub(crate) shape: Shape,
    /// Whether it must be given.
    pub(crate) required: bool,
}

/// An argument that a policy may not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Names from the outside in.
    pub(crate) path: Vec<String>,
    /// Why, as a noun phrase: `a number that need not be whole`.
    pub(crate) why: String,
}

/// The expressible part of an `inputSchema`, and the rest with reasons. Never fails: what is not understood is left out.
///
/// Sound because every keyword of JSON Schema narrows: a property whose `type` is `integer` is an integer whatever else
/// stands beside it. And nothing depends on it being right: at call time an argument that is not of the type found here refuses
/// the call.
pub(crate) fn of_input_schema(schema: &Value) -> (RecordShape, Vec<LeftOut>) {
    let mut reader = Reader {
        root: schema,
        left_out: Vec::new(),
        fields: 0,
    };
    let record = match schema {
        Value::Object(object) => reader.record(object, &mut Vec::new()),
        _ => RecordShape::default(),
    };
    (record, reader.left_out)
}

struct Reader<'a> {
    root: &'a Value,
    left_out: Vec<LeftOut>,
    fields: usize,
}

impl<'a> Reader<'a> {
    fn record(&mut self, schema: &'a Map<String, Value>, path: &mut Vec<String>) -> RecordShape {
        let required: Vec<&str> = match schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut record = RecordShape::default();
        let Some(Value::Object(properties)) = schema.get("properties") else {
            return record;
        };
        for (name, property) in properties {
            path.push(name.clone());
            match self.field(name, property, path) {
                Ok(shape) => {
                    let required = required.contains(&name.as_str());
                    record.fields.insert(name.clone(), Field { shape, required });
                }
                Err(why) => self.left_out.push(LeftOut {
                    path: path.clone(),
                    why,
                }),
            }
            path.pop();
        }
        record
    }

    fn field(&mut self, name: &str, schema: &'a Value, path: &mut Vec<String>) -> Result<Shape, String> {
        self.fields = self.fields.saturating_add(1);
        if self.fields > FIELDS_MAX {
            return Err(format!("past the first {FIELDS_MAX} arguments of this tool"));
        }
        if name.is_empty()
            || name.len() > NAME_BYTES_MAX
            || name.starts_with("__")
            || name.chars().any(char::is_control)
        {
            return Err("named in a way that Cedar cannot write".to_owned());
        }
        self.shape(schema, path, 0)
    }

    /// `hops` counts references followed without going deeper, so that a circle of them ends.
    fn shape(&mut self, schema: &'a Value, path: &mut Vec<String>, hops: usize) -> Result<Shape, String> {
        if path.len() > DEPTH_MAX || hops > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        let Value::Object(object) = schema else {
            return Err("of any type".to_owned());
        };
        if let Some(Value::String(reference)) = object.get("$ref") {
            let target = reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer));
            return match target {
                Some(target) => self.shape(target, path, hops.saturating_add(1)),
                None => Err("declared by a reference that is not within its schema".to_owned()),
            };
        }
        match type_of(object)? {
            "boolean" => Ok(Shape::Bool),
            "integer" => Ok(Shape::Long),
            "string" => Ok(Shape::Text),
            "number" => Err("a number that need not be whole (Cedar has whole numbers only)".to_owned()),
            "null" => Err("null (Cedar has no null)".to_owned()),
            "array" => self.set(object, path, hops),
            "object" if object.contains_key("properties") => Ok(Shape::Record(self.record(object, path))),
            "object" => Err("an object without declared properties".to_owned()),
            other => Err(format!("of the unknown type `{other}`")),
        }
    }

    fn set(&mut self, schema: &'a Map<String, Value>, path: &mut Vec<String>, hops: usize) -> Result<Shape, String> {
        if schema.contains_key("prefixItems") {
            return Err("a tuple (Cedar has sets of one type)".to_owned());
        }
        let Some(items) = schema.get("items") else {
            return Err("a list of any type".to_owned());
        };
        let element = self
            .shape(items, path, hops.saturating_add(1))
            .map_err(|why| format!("a list whose elements are {why}"))?;
        Ok(Shape::Set(Box::new(element)))
    }
}

/// The one JSON type that a schema allows.
fn type_of(schema: &Map<String, Value>) -> Result<&str, String> {
    const UNION: &str = "of more than one type (Cedar has no unions)";
    match schema.get("type") {
        Some(Value::String(name)) => return Ok(name),
        Some(Value::Array(names)) => match names.as_slice() {
            [Value::String(name)] => return Ok(name),
            _ => return Err(UNION.to_owned()),
        },
        Some(_) => return Err("of a type that is not a word".to_owned()),
        None => {}
    }
    let values: Vec<&Value> = match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => vec![value],
        (None, Some(Value::Array(values))) => values.iter().collect(),
        _ => Vec::new(),
    };
    let all = |is: fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| is(value));
    if all(Value::is_string) {
        return Ok("string");
    }
    if all(Value::is_i64) {
        return Ok("integer");
    }
    if all(Value::is_boolean) {
        return Ok("boolean");
    }
    let combined = ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .any(|word| schema.contains_key(word));
    match combined || !values.is_empty() {
        true => Err(UNION.to_owned()),
        false => Err("of any type".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cedar_can_say_is_kept() {
        let (record, left_out) = of_input_schema(&json!({
            "type": "object",
            "required": ["to", "amount"],
            "$defs": {"Address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
            "properties": {
                "to": {"type": "string", "maxLength": 34},
                "amount": {"type": "integer", "anyOf": [{"minimum": 1}]},
                "urgent": {"type": ["boolean"]},
                "tags": {"type": "array", "items": {"type": "string"}},
                "kind": {"enum": ["a", "b"]},
                "level": {"const": 3},
                "address": {"$ref": "#/$defs/Address"},
            }
        }));
        assert_eq!(
            record.describe(),
            "{ address?: { city: String }, amount: Long, kind?: String, level?: Long, tags?: Set<String>, to: String, urgent?: Bool }"
        );
        assert!(left_out.is_empty(), "{left_out:?}");
    }

    #[test]
    fn what_it_cannot_say_is_left_out_with_a_reason() {
        for (schema, reason) in [
            (json!({"type": "number"}), "need not be whole"),
            (json!({"type": "null"}), "no null"),
            (json!({"type": ["string", "null"]}), "more than one type"),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
                "more than one type",
            ),
            (json!({"enum": ["a", 1]}), "more than one type"),
            (json!({"type": "object"}), "without declared properties"),
            (json!({"type": "array"}), "list of any type"),
            (
                json!({"type": "array", "items": {"type": "number"}}),
                "elements are a number",
            ),
            (json!({"type": "array", "prefixItems": []}), "a tuple"),
            (json!({"type": "text"}), "unknown type `text`"),
            (json!({"$ref": "https://elsewhere/x"}), "not within its schema"),
            (json!({"$ref": "#/properties/it"}), "nested deeper"),
            (json!(true), "any type"),
            (json!({}), "any type"),
        ] {
            let (record, left_out) = of_input_schema(&json!({"properties": {"it": schema}}));
            assert!(record.fields.is_empty(), "{schema}");
            let [only] = left_out.as_slice() else {
                panic!("{schema}: {left_out:?}")
            };
            assert_eq!(only.path, ["it"]);
            assert!(only.why.contains(reason), "{schema}: {}", only.why);
        }
    }

    #[test]
    fn a_nested_argument_is_left_out_alone() {
        let (record, left_out) = of_input_schema(&json!({"properties": {"a": {"type": "object", "properties": {
            "ok": {"type": "string"}, "bad": {"type": "number"}}}}}));
        assert_eq!(record.describe(), "{ a?: { ok?: String } }");
        assert_eq!(left_out.first().map(|out| out.path.join(".")), Some("a.bad".to_owned()));
    }

    #[test]
    fn schemas_that_are_none_have_no_arguments() {
        for schema in [
            json!(null),
            json!(true),
            json!([]),
            json!({"properties": 3}),
            json!({"required": 3}),
        ] {
            assert_eq!(of_input_schema(&schema).0, RecordShape::default());
        }
    }

    #[test]
    fn width_and_depth_are_bounded() {
        let wide: Map<String, Value> = (0..600).map(|n| (format!("a{n}"), json!({"type": "string"}))).collect();
        let (record, left_out) = of_input_schema(&json!({"properties": wide}));
        assert_eq!(record.fields.len(), 512);
        assert_eq!(left_out.len(), 88);
        let mut deep = json!({"type": "string"});
        for _ in 0..40 {
            deep = json!({"type": "object", "properties": {"a": deep}});
        }
        let (_, left_out) = of_input_schema(&json!({"properties": {"a": deep}}));
        assert!(
            left_out.iter().any(|out| out.why.contains("nested deeper")),
            "{left_out:?}"
        );
    }
}
