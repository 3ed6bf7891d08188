//! The Cedar schema, generated from the catalog. One schema holds what is common; the arguments of `tools/call` and
//! `prompts/get` have another type for each tool and prompt, which Cedar cannot say of one action, so there is one schema more
//! for each shape of arguments that a policy in question may meet (docs/decisions/0002-policy-schema.md). It must not know
//! policies or requests.

use super::model::{Action, CatalogFacts, TargetKind};
use super::shape::{self, Field, LeftOut, RecordShape, Shape};
use crate::identity::Method;
use cedar_policy::Schema;
use portcullis_wire::Effect;
use serde_json::{Map, Value, json};

/// What an argument's name in a policy is checked against: one tool or prompt.
#[derive(Debug, Clone)]
pub(crate) struct Callee {
    /// [`Action::CallTool`] or [`Action::GetPrompt`].
    pub(crate) action: Action,
    /// Name of the upstream.
    pub(crate) server: String,
    /// Name there.
    pub(crate) name: String,
    /// The arguments that a policy may name.
    pub(crate) shape: RecordShape,
    /// Those that it may not, with the reason.
    pub(crate) left_out: Vec<LeftOut>,
}

impl Callee {
    /// `upstream/name`.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// Tool or prompt.
    pub(crate) const fn kind(&self) -> TargetKind {
        match self.action {
            Action::GetPrompt => TargetKind::Prompt,
            _ => TargetKind::Tool,
        }
    }
}

/// All tools, then all prompts, each in the order of the facts.
pub(crate) fn callees(facts: &CatalogFacts) -> Vec<Callee> {
    let tools = facts.tools.iter().map(|tool| {
        let (shape, left_out) = shape::of_input_schema(&tool.input_schema);
        Callee {
            action: Action::CallTool,
            server: tool.server.clone(),
            name: tool.name.clone(),
            shape,
            left_out,
        }
    });
    let prompts = facts.prompts.iter().map(|prompt| {
        let fields = prompt.arguments.iter().map(|argument| {
            let field = Field {
                shape: Shape::Text,
                required: argument.required,
            };
            (argument.name.clone(), field)
        });
        Callee {
            action: Action::GetPrompt,
            server: prompt.server.clone(),
            name: prompt.name.clone(),
            shape: RecordShape {
                fields: fields.collect(),
            },
            left_out: Vec::new(),
        }
    });
    tools.chain(prompts).collect()
}

/// The schema for policies that do not read arguments.
pub(crate) fn common() -> Result<Schema, String> {
    schema_of(document(|_| Some(&EMPTY)))
}

/// The schema for what policies that read arguments say of everything but calls of tools and prompts.
pub(crate) fn without_calls() -> Result<Schema, String> {
    schema_of(document(|action| match has_arguments(action) {
        true => None,
        false => Some(&EMPTY),
    }))
}

/// The schema for what policies that read arguments say of one callee's action.
pub(crate) fn for_call(action: Action, shape: &RecordShape) -> Result<Schema, String> {
    schema_of(document(|other| (other == action).then_some(shape)))
}

fn schema_of(document: Value) -> Result<Schema, String> {
    Schema::from_json_value(document).map_err(|error| error.to_string())
}

/// The schema as text for people: the common part and, as comments, each callee's arguments.
///
/// # Errors
/// Never in practice: the document is our own.
pub fn describe(facts: &CatalogFacts) -> Result<String, String> {
    let fragment = cedar_policy::SchemaFragment::from_json_value(document(|_| Some(&EMPTY)));
    let common = fragment
        .map_err(|error| error.to_string())?
        .to_cedarschema()
        .map_err(|error| error.to_string())?;
    let mut text = String::from(
        "// What a policy may name. `context.arguments` is checked for each tool and prompt by its own type, below.\n",
    );
    text.push_str(&common);
    for callee in callees(facts) {
        text.push_str(&format!(
            "\n// {} {}: context.arguments is {}\n",
            callee.kind().as_str(),
            quoted(&callee.id()),
            callee.shape.describe()
        ));
        for left_out in callee.left_out {
            text.push_str(&format!(
                "//   `{}` may not be named: it is {}\n",
                left_out.path.join("."),
                left_out.why
            ));
        }
    }
    Ok(text)
}

/// A text as Cedar writes it, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// Whether requests of this action carry arguments.
pub(crate) const fn has_arguments(action: Action) -> bool {
    matches!(action, Action::CallTool | Action::GetPrompt)
}

static EMPTY: RecordShape = RecordShape {
    fields: std::collections::BTreeMap::new(),
};

/// `arguments_of` says whether an action applies to anything, and the type of its arguments where it has any.
fn document<'a>(arguments_of: impl Fn(Action) -> Option<&'a RecordShape>) -> Value {
    let actions: Map<String, Value> = Action::ALL
        .into_iter()
        .map(|action| {
            let body = match arguments_of(action) {
                Some(shape) => applies_to(action, shape),
                None => json!({}),
            };
            (action.id().to_owned(), body)
        })
        .collect();
    json!({ "": { "entityTypes": entity_types(), "actions": actions } })
}

fn entity_types() -> Value {
    let effects: Vec<&str> = Effect::ALL.into_iter().map(Effect::as_str).collect();
    let credentials: Vec<&str> = Method::ALL.into_iter().map(Method::as_str).collect();
    let principal = json!({
        "memberOfTypes": ["Group"],
        "shape": record([
            ("name", string(true)),
            ("credential", entity("Credential")),
            ("issuer", string(false)),
        ]),
    });
    json!({
        "User": principal,
        "Agent": principal,
        "Group": {},
        "Credential": { "enum": credentials },
        "Effect": { "enum": effects },
        "Endpoint": {},
        "Server": {},
        "Tool": {
            "memberOfTypes": ["Server"],
            "shape": record([
                ("name", string(true)),
                ("server", entity("Server")),
                ("effect", entity("Effect")),
                ("idempotent", json!({ "type": "Boolean" })),
            ]),
        },
        "Resource": {
            "memberOfTypes": ["Server"],
            "shape": record([("uri", string(true)), ("server", entity("Server"))]),
        },
        "Prompt": {
            "memberOfTypes": ["Server"],
            "shape": record([("name", string(true)), ("server", entity("Server"))]),
        },
    })
}

fn applies_to(action: Action, arguments: &RecordShape) -> Value {
    let resources: Vec<&str> = action.targets().iter().map(|kind| kind.as_str()).collect();
    let mut context = vec![
        ("method", string(true)),
        ("time", json!({ "type": "Extension", "name": "datetime" })),
        ("transport", string(true)),
        ("client", string(false)),
        ("revision", string(false)),
    ];
    if has_arguments(action) {
        context.push(("arguments", record_type(arguments)));
    }
    json!({ "appliesTo": {
        "principalTypes": ["User", "Agent"],
        "resourceTypes": resources,
        "context": record(context),
    } })
}

fn record_type(shape: &RecordShape) -> Value {
    record(shape.fields.iter().map(|(name, field)| {
        let mut body = type_of(&field.shape);
        if let Value::Object(body) = &mut body {
            body.insert("required".to_owned(), Value::Bool(field.required));
        }
        (name.as_str(), body)
    }))
}

fn type_of(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "Boolean" }),
        Shape::Long => json!({ "type": "Long" }),
        Shape::Text => json!({ "type": "String" }),
        Shape::Set(element) => json!({ "type": "Set", "element": type_of(element) }),
        Shape::Record(record) => record_type(record),
    }
}

fn record<'a>(attributes: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let attributes: Map<String, Value> = attributes
        .into_iter()
        .map(|(name, body)| (name.to_owned(), body))
        .collect();
    json!({ "type": "Record", "attributes": attributes })
}

fn string(required: bool) -> Value {
    json!({ "type": "String", "required": required })
}

fn entity(name: &str) -> Value {
    json!({ "type": "Entity", "name": name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::{PromptArgument, PromptFacts, ServerFacts, ToolFacts};

    #[test]
    fn the_generated_schemas_are_schemas() {
        let shape = shape::of_input_schema(&json!({"properties": {
            "a b": {"type": "string"}, "if": {"type": "integer"}, "é\"": {"type": "boolean"},
            "deep": {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "integer"}}}}
        }, "required": ["if"]}))
        .0;
        common().unwrap();
        without_calls().unwrap();
        for action in Action::ALL {
            let schema = for_call(action, &shape).unwrap();
            assert_eq!(schema.request_envs().count(), 2 * action.targets().len(), "{action}");
        }
    }

    #[test]
    fn the_description_names_every_callee_and_what_is_left_out() {
        let facts = CatalogFacts {
            servers: vec![ServerFacts {
                name: "bank".to_owned(),
                unavailable: false,
            }],
            tools: vec![ToolFacts {
                server: "bank".to_owned(),
                name: "transfer".to_owned(),
                effect: Effect::Commit,
                idempotent: false,
                input_schema: json!({"properties": {"amount": {"type": "integer"}, "rate": {"type": "number"}}}),
            }],
            prompts: vec![PromptFacts {
                server: "bank".to_owned(),
                name: "letter".to_owned(),
                arguments: vec![PromptArgument {
                    name: "to".to_owned(),
                    required: true,
                }],
            }],
            ..CatalogFacts::default()
        };
        let text = describe(&facts).unwrap();
        for part in [
            "action \"tools/call\"",
            "Tool \"bank/transfer\"",
            "amount?: Long",
            "`rate` may not be named",
            "Prompt \"bank/letter\"",
            "to: String",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // The text is itself a schema.
        let (_, warnings) = cedar_policy::Schema::from_cedarschema_str(&text).unwrap();
        assert_eq!(warnings.count(), 0);
    }
}
