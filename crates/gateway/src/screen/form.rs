//! Values that a tool's `outputSchema` takes, to stand in a structured result where it takes no mark: zero for a number, an address of
//! nobody for an address. What is declared for a place is read from the schema as far as it says it there; whether the whole result
//! fits is for the validator to say, later and of everything. It must not know what is found, nor what policy says.

use super::place::Place;
use crate::catalog::{Compiled, Tool};
use jsonschema::Validator;
use portcullis_guards::json::{Segment, decoded, number_around};
use portcullis_guards::mask::Whole;
use portcullis_guards::scan::{Family, Finding};
use serde_json::{Map, Value, json};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Places of one result that are told apart; values in more are masked as usual.
const PLACES_MAX: usize = 64;
/// So many ways to read what is declared for a place.
const ALTERNATIVES_MAX: usize = 16;
/// So many schemas of one way.
const PARTS_MAX: usize = 32;
/// So many schemas are looked at for one place.
const STEPS_MAX: usize = 2_048;
/// So many schemas are compiled for one place.
const COMPILED_MAX: usize = 32;
/// References and combinations are followed so deep.
const DEPTH_MAX: usize = 16;
/// The longest text that is made up, in characters.
const TEXT_CHARACTERS_MAX: usize = 256;

/// What says something of a number or text by itself.
const KEYWORDS: [&str; 12] = [
    "type",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
];

/// A text of each format that has one of nobody (RFC 2606, RFC 9562, RFC 6890 and the like).
const FORMATS: [(&str, &str); 14] = [
    ("email", "masked@masked.invalid"),
    ("idn-email", "masked@masked.invalid"),
    ("hostname", "masked.invalid"),
    ("idn-hostname", "masked.invalid"),
    ("uri", "https://masked.invalid/"),
    ("uri-reference", "https://masked.invalid/"),
    ("iri", "https://masked.invalid/"),
    ("iri-reference", "https://masked.invalid/"),
    ("date", "0001-01-01"),
    ("date-time", "0001-01-01T00:00:00Z"),
    ("time", "00:00:00Z"),
    ("ipv4", "0.0.0.0"),
    ("ipv6", "::"),
    ("uuid", "00000000-0000-0000-0000-000000000000"),
];

/// Schemas of which a value must fit all.
type Alternative<'s> = Vec<&'s Value>;

/// What a tool declares for the values of its structured result.
pub(super) struct Forms<'t> {
    tool: &'t Tool,
    /// `outputSchema`, read when it is first asked for.
    schema: OnceCell<Value>,
    /// By the place, all elements of an array alike.
    known: RefCell<HashMap<String, Rc<Declared>>>,
}

/// What is declared for one place.
#[derive(Default)]
struct Declared {
    /// A value fits one of these if it fits all of its own.
    alternatives: Vec<Vec<Validator>>,
    /// What may fit.
    numbers: Vec<i64>,
    texts: Vec<String>,
    /// Lengths of texts, in characters.
    lengths: Vec<usize>,
}

impl<'t> Forms<'t> {
    /// Those of `tool`, if it has a schema.
    pub(super) fn of(tool: &'t Tool) -> Option<Self> {
        matches!(tool.output(), Compiled::Ready(_)).then(|| Self {
            tool,
            schema: OnceCell::new(),
            known: RefCell::default(),
        })
    }

    /// What is to stand in the place of the value that `finding` is in, where a mark would not fit there and something else does.
    /// Nothing of the value is in it but its length and, of personal data, its outline.
    pub(super) fn instead(&self, text: &[u8], finding: &Finding<'_>, place: &Place) -> Option<Whole> {
        let mut segments = place.segments(text);
        for wanted in ["result", "structuredContent"] {
            if segments.next() != Some(Segment::Member(wanted.into())) {
                return None;
            }
        }
        let declared = self.declared(text, place, &segments.collect::<Vec<_>>())?;
        let part = |from: usize, to: usize| decoded(text.get(from..to).unwrap_or_default());
        let (span, string) = (&finding.span, &place.string);
        let is_text = string.start <= span.start && span.end <= string.end;
        let value = match is_text {
            true => part(string.start, string.end),
            false => part(span.start, span.end),
        };
        let marked = match is_text {
            true => format!(
                "{}[{}]{}",
                part(string.start, span.start),
                finding.class,
                part(span.end, string.end)
            ),
            false => format!("[{}]", finding.class),
        };
        if declared.takes(&json!(marked)) {
            return None;
        }
        let told = [value.as_ref(), &*part(span.start, span.end)].map(plain);
        // However it is written: `1.5e15` and `1500000000000000` are one.
        let number = text.get(number_around(text, span)).map(String::from_utf8_lossy);
        let written = number.and_then(|number| number.parse::<f64>().ok());
        #[expect(clippy::cast_precision_loss, reason = "what is nearly the value is it, too")]
        let is_it = |number: i64| written == Some(number as f64) || told.contains(&plain(&number.to_string()));
        let numbers = declared.numbers.iter().copied();
        let numbers = numbers.filter(|number| !is_it(*number) && declared.takes(&json!(number)));
        let texts = declared.made_up(&value, finding.class.family());
        let texts = texts.filter(|text| !told.contains(&plain(text)) && declared.takes(&json!(text)));
        let (mut numbers, mut texts) = (numbers.map(Whole::Number), texts.map(Whole::Text));
        match is_text {
            true => texts.next().or_else(|| numbers.next()),
            false => numbers.next().or_else(|| texts.next()),
        }
    }

    fn declared(&self, text: &[u8], place: &Place, segments: &[Segment<'_>]) -> Option<Rc<Declared>> {
        let pattern = place.pattern(text, |_| None);
        if let Some(known) = self.known.borrow().get(&pattern) {
            return Some(Rc::clone(known));
        }
        if self.known.borrow().len() >= PLACES_MAX {
            return None;
        }
        let schema = self.schema.get_or_init(|| {
            let schema = self.tool.definition.get("outputSchema");
            let schema = schema.and_then(|schema| serde_json::from_slice(schema.as_bytes()).ok());
            schema.unwrap_or_default()
        });
        let declared = Rc::new(Declared::at(schema, segments));
        self.known.borrow_mut().insert(pattern, Rc::clone(&declared));
        Some(declared)
    }
}

/// Letters and figures alone, small: values are compared by them.
fn plain(value: &str) -> String {
    let plain = value.chars().filter(|character| character.is_alphanumeric());
    plain.flat_map(char::to_lowercase).collect()
}

impl Declared {
    fn at(schema: &Value, segments: &[Segment<'_>]) -> Self {
        let mut declared = Self::default();
        let mut left = COMPILED_MAX;
        for alternative in alternatives_at(schema, segments) {
            let own = alternative.into_iter().map(simple).filter(|own| !own.is_empty());
            let own: Vec<Map<String, Value>> = own.collect();
            let Some(rest) = left.checked_sub(own.len()) else {
                break;
            };
            left = rest;
            let Some(validators) = own.iter().map(compiled).collect::<Option<Vec<_>>>() else {
                continue;
            };
            declared.alternatives.push(validators);
            for own in &own {
                declared.read(own);
            }
        }
        declared.numbers.insert(0, 0);
        declared
    }

    /// What may fit by what a schema says.
    fn read(&mut self, own: &Map<String, Value>) {
        let number = |key: &str| own.get(key).and_then(Value::as_f64);
        // Out of range is the nearest that is in it.
        #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
        let whole = |number: f64| number as i64;
        self.numbers.extend(number("minimum").map(|least| whole(least.ceil())));
        self.numbers.extend(number("maximum").map(|most| whole(most.floor())));
        let above = number("exclusiveMinimum").map(|least| whole(least.floor()).saturating_add(1));
        let below = number("exclusiveMaximum").map(|most| whole(most.ceil()).saturating_sub(1));
        self.numbers.extend(above.into_iter().chain(below));
        self.numbers.extend(number("multipleOf").map(whole));
        // What an `enum` lists is not tried: another of its values would be told as the true one.
        let format = own.get("format").and_then(Value::as_str);
        let known = FORMATS.iter().filter(|(name, _)| Some(*name) == format);
        self.texts.extend(known.map(|(_, text)| (*text).to_owned()));
        for key in ["minLength", "maxLength"] {
            let length = own.get(key).and_then(Value::as_u64);
            self.lengths
                .extend(length.and_then(|length| usize::try_from(length).ok()));
        }
    }

    /// Whether `value` fits what is declared; where nothing is, all does.
    fn takes(&self, value: &Value) -> bool {
        let fits = |validators: &Vec<Validator>| validators.iter().all(|validator| validator.is_valid(value));
        self.alternatives.is_empty() || self.alternatives.iter().any(fits)
    }

    /// Texts that may fit: those of a format, the value's own outline where it is no secret, and such of one sign.
    fn made_up(&self, value: &str, family: Family) -> impl Iterator<Item = String> {
        let outlined = |letter: char| {
            let outline = value.chars().map(move |character| match character {
                '0'..='9' => '0',
                ' ' | '-' | '.' | '/' | ':' | '@' | '+' => character,
                _ if character.is_uppercase() => letter.to_ascii_uppercase(),
                _ => letter,
            });
            outline.collect::<String>()
        };
        let outlines = (family == Family::Personal && value.len() <= TEXT_CHARACTERS_MAX).then(|| outlined('x'));
        let own = value.chars().take(TEXT_CHARACTERS_MAX + 1).count();
        let mut lengths: Vec<usize> = self.lengths.iter().copied().chain([own]).collect();
        lengths.retain(|length| *length <= TEXT_CHARACTERS_MAX);
        let of_one = lengths
            .into_iter()
            .flat_map(|length| ["*", "0", "x", "X"].map(|sign| sign.repeat(length)));
        self.texts.iter().cloned().chain(outlines).chain(of_one)
    }
}

/// The keywords of a schema that say something of a number or text by itself.
fn simple(schema: &Value) -> Map<String, Value> {
    let members = schema.as_object().into_iter().flatten();
    let known = members.filter(|(key, _)| KEYWORDS.contains(&key.as_str()));
    known.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn compiled(schema: &Map<String, Value>) -> Option<Validator> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        // A client may check what the schema only notes.
        .should_validate_formats(true)
        .build(&Value::Object(schema.clone()))
        .ok()
}

/// What a value must fit that `segments` lead to; nothing where that takes too long to say.
fn alternatives_at<'s>(schema: &'s Value, segments: &[Segment<'_>]) -> Vec<Alternative<'s>> {
    let mut reading = Reading {
        root: schema,
        left: STEPS_MAX,
    };
    let mut all = vec![vec![schema]];
    for segment in segments {
        let inner = reading.expanded(&all).into_iter().map(|alternative| {
            let parts = alternative.into_iter().filter_map(|own| inner(own, segment));
            parts.fold(Vec::new(), with)
        });
        all = inner.collect();
    }
    let all = reading.expanded(&all);
    match reading.left {
        0 => Vec::new(),
        _ => all,
    }
}

/// The schema of a member or element of what fits `own`.
fn inner<'s>(own: &'s Value, segment: &Segment<'_>) -> Option<&'s Value> {
    match segment {
        Segment::Member(key) => {
            let declared = own.get("properties").and_then(|properties| properties.get(&**key));
            declared.or_else(|| own.get("additionalProperties"))
        }
        Segment::Element(index) => {
            let declared = own.get("prefixItems").and_then(|items| items.get(index));
            declared.or_else(|| own.get("items"))
        }
    }
}

/// Reads what a schema refers to and combines. A schema comes from a server, and may go round or fan out.
struct Reading<'s> {
    root: &'s Value,
    /// So many parts are still looked at.
    left: usize,
}

impl<'s> Reading<'s> {
    /// The ways to fit one of these, what they refer to and combine included.
    fn expanded(&mut self, alternatives: &[Alternative<'s>]) -> Vec<Alternative<'s>> {
        let mut all = Vec::new();
        for alternative in alternatives {
            let mut expanded = vec![Vec::new()];
            for own in alternative {
                expanded = product(&expanded, &self.ways(own, 0));
            }
            all.extend(expanded);
        }
        all.truncate(ALTERNATIVES_MAX);
        all
    }

    fn ways(&mut self, own: &'s Value, depth: usize) -> Vec<Alternative<'s>> {
        let mut all = vec![vec![own]];
        self.left = self.left.saturating_sub(1);
        if depth == DEPTH_MAX || self.left == 0 {
            return all;
        }
        let parts = |key: &str| own.get(key).and_then(Value::as_array);
        // A schema may refer to itself and to nothing else.
        let reference = own
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|to| to.strip_prefix('#'));
        let target = reference.and_then(|pointer| self.root.pointer(pointer));
        for part in target.into_iter().chain(parts("allOf").into_iter().flatten()) {
            all = product(&all, &self.ways(part, depth + 1));
        }
        for one_of in [parts("anyOf"), parts("oneOf")].into_iter().flatten() {
            let mut branches = Vec::new();
            for branch in one_of {
                if branches.len() < ALTERNATIVES_MAX {
                    branches.extend(self.ways(branch, depth + 1));
                }
            }
            all = product(&all, &branches);
        }
        all
    }
}

fn product<'s>(some: &[Alternative<'s>], others: &[Alternative<'s>]) -> Vec<Alternative<'s>> {
    let pairs = some.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
    let both = pairs.map(|(one, other)| other.iter().copied().fold(one.clone(), with));
    both.take(ALTERNATIVES_MAX).collect()
}

/// The same schema is in an alternative once.
fn with<'s>(mut alternative: Alternative<'s>, own: &'s Value) -> Alternative<'s> {
    let is_in = alternative.iter().any(|known| std::ptr::eq(*known, own));
    if !is_in && alternative.len() < PARTS_MAX {
        alternative.push(own);
    }
    alternative
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::place;
    use portcullis_guards::scan::{Class, Confidence};
    use portcullis_wire::Raw;
    use std::sync::Arc;

    const CARD: &str = "4539578763621486";

    /// What stands in the place of `value`, of this class, where `schema` is that of `/a`.
    fn instead(schema: &Value, value: &Value, class: Class) -> Option<Whole> {
        let tool = json!({"name": "t", "inputSchema": {"type": "object"}, "outputSchema": {
            "type": "object", "properties": {"a": schema}, "$defs": {"number": {"type": "integer"}},
        }});
        let definition = Raw::own(tool.to_string().into_bytes()).unwrap();
        let tool = Tool::read(&Arc::from("u"), definition, &HashMap::default()).unwrap();
        let text = json!({"result": {"structuredContent": {"a": value}}}).to_string();
        let found = match value {
            Value::String(text) if text.contains(CARD) => CARD.to_owned(),
            Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        let at = text.find(&found).unwrap();
        let finding = Finding {
            class,
            rule: "test",
            confidence: Confidence::Sure,
            span: at..at + found.len(),
            is_exempt: false,
        };
        let place = place::read(text.as_bytes()).find(at);
        Forms::of(&tool).unwrap().instead(text.as_bytes(), &finding, &place)
    }

    #[test]
    fn a_value_that_fits_takes_the_place_of_one_that_a_mark_would_not_fit() {
        let card: u64 = CARD.parse().unwrap();
        let text = |text: &str| Some(Whole::Text(text.to_owned()));
        let number = |number: i64| Some(Whole::Number(number));
        for (schema, value, class, expected) in [
            (json!({"type": "integer"}), json!(card), Class::Card, number(0)),
            (json!({"$ref": "#/$defs/number"}), json!(card), Class::Card, number(0)),
            (
                json!({"type": ["null", "number"], "minimum": 0.5}),
                json!(card),
                Class::Card,
                number(1),
            ),
            (
                json!({"type": "integer", "exclusiveMaximum": -4}),
                json!(card),
                Class::Card,
                number(-5),
            ),
            (
                json!({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 7}]}),
                json!(card),
                Class::Card,
                number(7),
            ),
            // A mark fits.
            (json!({"type": "string"}), json!(CARD), Class::Card, None),
            (json!({}), json!(card), Class::Card, None),
            (json!({"type": ["string", "integer"]}), json!(card), Class::Card, None),
            (
                json!({"type": "string", "maxLength": 16}),
                json!(CARD),
                Class::Card,
                None,
            ),
            // None does.
            (
                json!({"type": "string", "format": "email"}),
                json!("ana@bank.example"),
                Class::Email,
                text("masked@masked.invalid"),
            ),
            (
                json!({"type": "string", "format": "date"}),
                json!("1980-02-03"),
                Class::Dob,
                text("0001-01-01"),
            ),
            (
                json!({"type": "string", "format": "ipv4"}),
                json!("81.2.69.142"),
                Class::Ip,
                text("0.0.0.0"),
            ),
            (
                json!({"type": "string", "format": "uuid"}),
                json!("3f2b8c1e-9d4a-4c7b-8e21-5a6b7c8d9e0f"),
                Class::DeviceId,
                text("00000000-0000-0000-0000-000000000000"),
            ),
            (
                json!({"type": "string", "maxLength": 4}),
                json!("4711"),
                Class::Password,
                text("****"),
            ),
            (
                json!({"type": "string", "pattern": "^[0-9]{16}$"}),
                json!(CARD),
                Class::Card,
                text("0000000000000000"),
            ),
            (
                json!({"allOf": [{"type": "string"}, {"pattern": "^[A-Z]{2}[0-9]{2} [0-9]{4}$"}]}),
                json!("DE89 3704"),
                Class::Iban,
                text("XX00 0000"),
            ),
            // Another value that somebody may have is none to put there, and neither is the same one written otherwise.
            (json!({"enum": ["4711", "0815"]}), json!("4711"), Class::Password, None),
            (
                json!({"enum": ["Ana@bank.example", "ana@bank.example"]}),
                json!("ana@bank.example"),
                Class::Email,
                None,
            ),
            (
                json!({"type": "integer", "minimum": card}),
                json!(card),
                Class::Card,
                None,
            ),
            (
                json!({"type": "number", "minimum": card}),
                json!(CARD.parse::<f64>().unwrap()),
                Class::Card,
                None,
            ),
            // Nothing is made up of a secret, and no value is its own mask.
            (json!({"enum": ["4711"]}), json!("4711"), Class::Password, None),
            (json!({"const": "4711"}), json!("4711"), Class::Password, None),
            (
                json!({"type": "string", "pattern": "^[a-z]-[0-9]{4}$"}),
                json!("a-4711"),
                Class::Password,
                None,
            ),
            (json!({"type": "boolean"}), json!(card), Class::Card, None),
            // What cannot be read is for the validator.
            (json!({"$ref": "#"}), json!(card), Class::Card, None),
        ] {
            assert_eq!(instead(&schema, &value, class), expected, "{schema} {value}");
        }
        let within = json!(format!("card {CARD}, and more"));
        assert_eq!(instead(&json!({"type": "string"}), &within, Class::Card), None);
        let short = json!({"type": "string", "pattern": "^card [0-9]{16}, and more$"});
        assert_eq!(
            instead(&short, &within, Class::Card),
            None,
            "nothing that is made up says so"
        );
    }

    #[test]
    fn a_schema_that_goes_round_or_fans_out_has_an_end() {
        let many: Vec<Value> = (0..200).map(|at| json!({"minimum": at})).collect();
        let fan = json!({"anyOf": many, "oneOf": many, "allOf": [{"anyOf": many}, {"anyOf": many}]});
        assert_eq!(alternatives_at(&fan, &[]).len(), ALTERNATIVES_MAX);
        let path = vec![Segment::Member("a".into()); 100];
        let round = json!({"$ref": "#", "properties": {"a": {"$ref": "#"}}});
        assert_eq!(alternatives_at(&round, &path).len(), 1);
        let never = json!({"anyOf": []});
        for round in [
            json!({"anyOf": vec![json!({"$ref": "#"}); 10], "properties": {"a": {"$ref": "#"}}}),
            json!({"allOf": vec![json!({"$ref": "#"}); 10], "anyOf": [never], "properties": {"a": {"$ref": "#"}}}),
            json!({"anyOf": [{"allOf": [never, {"$ref": "#"}]}, {"allOf": [{"$ref": "#"}, never]}]}),
        ] {
            assert!(alternatives_at(&round, &path).len() <= ALTERNATIVES_MAX);
        }
    }
}
