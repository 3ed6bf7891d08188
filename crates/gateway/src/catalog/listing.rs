//! One upstream's listing, parsed: each item keeps its definition as it came.

use jsonschema::Validator;
use portcullis_wire::header::Annotation;
use portcullis_wire::{Impact, Raw, Revision, header};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// What a server said when the connection was made.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// The revision that was settled.
    pub revision: Revision,
    /// `capabilities`, a JSON object.
    pub capabilities: Raw,
    /// `instructions`, if any.
    pub instructions: Option<String>,
    /// `serverInfo`, if any. For display.
    pub server_info: Option<Raw>,
}

/// Everything that one upstream lists.
#[derive(Debug, Clone)]
pub struct Listing {
    /// What it said of itself.
    pub greeting: Greeting,
    /// Its tools, in its order.
    pub tools: Vec<Arc<Tool>>,
    /// Its prompts.
    pub prompts: Vec<Arc<Item>>,
    /// Its resources.
    pub resources: Vec<Arc<Item>>,
    /// Its templates of resource URIs.
    pub templates: Vec<Arc<Item>>,
    /// Least `ttlMs` that it gave (modern), 0 where it gave none.
    pub ttl_ms: u64,
    /// What the screen or the parser had to say about definitions: `(item, finding)`.
    pub findings: Vec<(String, String)>,
}

/// What the operator has pinned about a tool.
#[derive(Debug, Clone)]
pub struct ToolPin {
    /// What it does; undeclared is [`Impact::UNDECLARED`].
    pub impact: Option<Impact>,
    /// Most milliseconds that one call may take.
    pub deadline_ms: Option<u64>,
    /// Never shown, never called.
    pub hidden: bool,
}

/// Pins by the tool's own name.
pub(crate) type ToolPins = HashMap<String, ToolPin>;

/// A tool.
pub struct Tool {
    /// Upstream that has it.
    pub upstream: Arc<str>,
    /// Its name there.
    pub name: Arc<str>,
    /// `upstream/tool`: what policies and records call it.
    pub id: Arc<str>,
    /// The definition as it came (after the screen).
    pub definition: Raw,
    /// SHA-256 of the definition.
    pub definition_sha256: [u8; 32],
    /// What it does.
    pub impact: Impact,
    /// Most milliseconds that one call may take, where the operator says so.
    pub deadline_ms: Option<u64>,
    /// Arguments that a modern HTTP client mirrors in headers.
    pub mirrored: Vec<Annotation>,
    /// `inputSchema`, compiled at first use.
    input: OnceLock<Compiled>,
    /// `outputSchema`, compiled at first use.
    output: OnceLock<Compiled>,
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A schema, ready to validate.
pub(crate) enum Compiled {
    /// There is none.
    Absent,
    /// It compiled.
    Ready(Box<Validator>),
    /// It did not, for this reason: what it should have checked is refused.
    Unusable(String),
}

/// Bytes of one schema: beyond that it is not compiled.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// Refuses to fetch: a schema may refer to itself and to nothing else (2026-07-28, basic/index).
struct NoRetrieval;

impl jsonschema::Retrieve for NoRetrieval {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("`$ref` to `{uri}`: schemas are not fetched").into())
    }
}

impl Compiled {
    fn of(schema: Option<Raw>) -> Self {
        let Some(schema) = schema else {
            return Self::Absent;
        };
        if schema.as_bytes().len() > SCHEMA_BYTES_MAX {
            return Self::Unusable(format!("the schema is larger than {SCHEMA_BYTES_MAX} bytes"));
        }
        if let Err(error) = schema.refuse_duplicates() {
            return Self::Unusable(error.to_string());
        }
        let value = match serde_json::from_slice(schema.as_bytes()) {
            Ok(value) => value,
            Err(error) => return Self::Unusable(error.to_string()),
        };
        let compiled = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_retriever(NoRetrieval)
            // Linear time: a schema comes from outside and its patterns must not be a way to stall the gateway.
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .build(&value);
        match compiled {
            Ok(validator) => Self::Ready(Box::new(validator)),
            Err(error) => Self::Unusable(error.to_string()),
        }
    }
}

impl Tool {
    /// Reads one element of a `tools` array.
    ///
    /// # Errors
    /// Why the tool cannot be offered, for people.
    pub(crate) fn read(upstream: &Arc<str>, definition: Raw, pins: &ToolPins) -> Result<Self, String> {
        definition.members().map_err(|error| error.to_string())?;
        let name: Arc<str> = definition
            .get("name")
            .as_ref()
            .and_then(Raw::as_string)
            .filter(|name| !name.is_empty() && name.len() <= 512)
            .ok_or("a tool without a usable `name`")?
            .into();
        let pin = pins.get(&*name);
        let mirrored = match definition.get("inputSchema") {
            Some(schema) => header::annotations(&schema).map_err(|error| error.to_string())?,
            None => Vec::new(),
        };
        Ok(Self {
            id: format!("{upstream}/{name}").into(),
            upstream: Arc::clone(upstream),
            definition_sha256: portcullis_ledger::digest(definition.as_bytes()),
            impact: pin.and_then(|pin| pin.impact).unwrap_or(Impact::UNDECLARED),
            deadline_ms: pin.and_then(|pin| pin.deadline_ms),
            mirrored,
            name,
            definition,
            input: OnceLock::new(),
            output: OnceLock::new(),
        })
    }

    /// `inputSchema` as it came.
    #[must_use]
    pub fn input_schema(&self) -> Option<Raw> {
        self.definition.get("inputSchema")
    }

    /// What the server suggests about its effect (`annotations.readOnlyHint`, `destructiveHint`); never a decision.
    #[must_use]
    pub fn hint(&self, name: &str) -> Option<bool> {
        self.definition.at(&["annotations", name])?.as_bool()
    }

    pub(crate) fn input(&self) -> &Compiled {
        self.input.get_or_init(|| Compiled::of(self.input_schema()))
    }

    pub(crate) fn output(&self) -> &Compiled {
        self.output
            .get_or_init(|| Compiled::of(self.definition.get("outputSchema")))
    }
}

/// A prompt, a resource or a template.
#[derive(Debug)]
pub struct Item {
    /// Upstream that has it.
    pub upstream: Arc<str>,
    /// A prompt's name, a resource's URI, a template's URI template.
    pub name: Arc<str>,
    /// `upstream/name`: what policies and records call it.
    pub id: Arc<str>,
    /// The definition as it came (after the screen).
    pub definition: Raw,
}

/// Pins of tools that are not among those that the server lists: `(tool, what to do)`, in order of name. What the operator meant
/// to pin or to hide has no pin then.
pub(crate) fn unmet_pins(pins: &ToolPins, listed: &[String]) -> Vec<(String, String)> {
    let known: HashSet<&str> = listed.iter().map(String::as_str).collect();
    let mut unmet: Vec<&String> = pins.keys().filter(|name| !known.contains(name.as_str())).collect();
    unmet.sort_unstable();
    unmet
        .into_iter()
        .map(|name| {
            let hint = match super::closest(name, listed.iter().map(String::as_str)) {
                // The server chose it: it is for no terminal as it is.
                Some(near) => format!("did you mean `{}`?", near.escape_debug()),
                None => "`portcullis catalog` shows the tools that it has".to_owned(),
            };
            let finding = format!("the configuration pins this tool, but the server does not have it, hint: {hint}");
            (name.clone(), finding)
        })
        .collect()
}

impl Item {
    /// Reads one element of a list; `key` is the member that names it.
    ///
    /// # Errors
    /// Why it cannot be offered, for people.
    pub(crate) fn read(upstream: &Arc<str>, definition: Raw, key: &str) -> Result<Self, String> {
        definition.members().map_err(|error| error.to_string())?;
        let name: Arc<str> = definition
            .get(key)
            .as_ref()
            .and_then(Raw::as_string)
            .filter(|name| !name.is_empty() && name.len() <= 8192)
            .ok_or_else(|| format!("an item without a usable `{key}`"))?
            .into();
        Ok(Self {
            id: format!("{upstream}/{name}").into(),
            upstream: Arc::clone(upstream),
            name,
            definition,
        })
    }

    /// Whether this template of RFC 6570, read loosely, can have made `uri`: its literal parts stand in `uri` in order.
    #[must_use]
    pub fn template_matches(&self, uri: &str) -> bool {
        let mut rest = uri;
        let mut literals = self.name.split('{');
        let Some(tail) = literals.next().and_then(|prefix| rest.strip_prefix(prefix)) else {
            return false;
        };
        rest = tail;
        for part in literals {
            let literal = part.split_once('}').map_or("", |(_, literal)| literal);
            if literal.is_empty() {
                continue;
            }
            match rest.find(literal) {
                Some(at) => rest = rest.get(at + literal.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        true
    }
}
