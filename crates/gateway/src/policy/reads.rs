//! What a policy's conditions read of the request, found in the policy's syntax tree: so that only that is built, and so that a
//! condition which reads nothing of a call is evaluated once. Errs on the side of more. It must not know schemas or requests.

use super::arguments::Wanted;
use cedar_policy::Policy;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a policy reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Each path below `context` that is named, once.
    pub(crate) context: BTreeSet<Vec<String>>,
    /// Each attribute of `resource` that is named.
    pub(crate) resource: BTreeSet<String>,
    /// Whether `resource` stands somewhere as itself, so that two resources with the same attributes may differ.
    pub(crate) resource_itself: bool,
    /// Each text that `principal.issuer` is compared with.
    pub(crate) issuers: BTreeSet<String>,
}

/// The parts of the context that must be built for a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) method: bool,
    pub(crate) time: bool,
    pub(crate) transport: bool,
    pub(crate) client: bool,
    pub(crate) revision: bool,
    pub(crate) arguments: Option<Wanted>,
}

impl Reads {
    /// What this policy reads.
    ///
    /// # Errors
    /// When Cedar cannot give the policy's syntax tree.
    pub(crate) fn of(policy: &Policy) -> Result<Self, String> {
        let tree = policy.to_json().map_err(|error| error.to_string())?;
        let mut reads = Self::default();
        if let Some(Value::Array(conditions)) = tree.get("conditions") {
            for condition in conditions {
                if let Some(body) = condition.get("body") {
                    reads.walk(body);
                }
            }
        }
        Ok(reads)
    }

    /// Whether a condition reads anything that differs from call to call.
    pub(crate) fn needs_context(&self) -> bool {
        !self.context.is_empty()
    }

    /// Whether arguments are read.
    pub(crate) fn needs_arguments(&self) -> bool {
        self.needs().arguments.is_some()
    }

    /// The names below `context.arguments`, outermost first.
    pub(crate) fn argument_paths(&self) -> impl Iterator<Item = &[String]> {
        self.context.iter().filter_map(|path| match path.as_slice() {
            [first, rest @ ..] if first == "arguments" && !rest.is_empty() => Some(rest),
            _ => None,
        })
    }

    /// The parts of the context that must be built.
    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for path in &self.context {
            match path.first().map(String::as_str) {
                Some("method") => needs.method = true,
                Some("time") => needs.time = true,
                Some("transport") => needs.transport = true,
                Some("client") => needs.client = true,
                Some("revision") => needs.revision = true,
                Some("arguments") => needs.want(Wanted::by(path.get(1..).unwrap_or_default())),
                Some(_) => {}
                // `context` as a whole.
                None => {
                    needs.or(Needs {
                        method: true,
                        time: true,
                        transport: true,
                        client: true,
                        revision: true,
                        arguments: Some(Wanted::by(&[])),
                    });
                }
            }
        }
        needs
    }

    /// One node of the tree is an object with one member: the operator, and what it is applied to.
    fn walk(&mut self, node: &Value) {
        let Some((operator, operand)) = only_member(node) else {
            return;
        };
        self.compared(operator, operand);
        match (operator, operand) {
            ("Value", _) => {}
            ("Var", Value::String(name)) => self.variable(name, Vec::new()),
            ("." | "has", Value::Object(_)) => match chain(node) {
                Some((name, path)) => self.variable(name, path),
                None => self.walk(operand.get("left").unwrap_or(&Value::Null)),
            },
            ("Set", Value::Array(elements)) => elements.iter().for_each(|element| self.walk(element)),
            (_, Value::Object(members)) => {
                for member in members.values() {
                    self.walk(member);
                }
            }
            (_, Value::Array(arguments)) => arguments.iter().for_each(|argument| self.walk(argument)),
            _ => {}
        }
    }

    /// The texts in `principal.issuer == ".."` and `["..", ".."].contains(principal.issuer)`.
    fn compared(&mut self, operator: &str, operand: &Value) {
        let (Some(left), Some(right)) = (operand.get("left"), operand.get("right")) else {
            return;
        };
        let texts = match operator {
            "==" | "!=" if is_issuer(left) => right,
            "==" | "!=" | "contains" if is_issuer(right) => left,
            _ => return,
        };
        let set = texts.get("Set").and_then(Value::as_array);
        let texts = set.map_or(std::slice::from_ref(texts), Vec::as_slice).iter();
        self.issuers
            .extend(texts.filter_map(|text| text.get("Value")?.as_str().map(str::to_owned)));
    }

    fn variable(&mut self, name: &str, path: Vec<String>) {
        match (name, path.first()) {
            ("context", _) => {
                self.context.insert(path);
            }
            ("resource", Some(attribute)) => {
                self.resource.insert(attribute.clone());
            }
            ("resource", None) => self.resource_itself = true,
            _ => {}
        }
    }
}

impl Needs {
    /// Needs what either needs.
    pub(crate) fn or(&mut self, other: Self) {
        self.method |= other.method;
        self.time |= other.time;
        self.transport |= other.transport;
        self.client |= other.client;
        self.revision |= other.revision;
        if let Some(wanted) = other.arguments {
            self.want(wanted);
        }
    }

    fn want(&mut self, wanted: Wanted) {
        self.arguments.get_or_insert_default().or(wanted);
    }
}

fn only_member(node: &Value) -> Option<(&str, &Value)> {
    let object = node.as_object()?;
    match object.len() {
        1 => object.iter().next().map(|(name, value)| (name.as_str(), value)),
        _ => None,
    }
}

fn is_issuer(node: &Value) -> bool {
    chain(node).is_some_and(|(name, path)| name == "principal" && path == ["issuer"])
}

/// The variable and the names after it, when the node is `variable.a.b`, `variable["a"]` or `variable.a has b.c`.
fn chain(node: &Value) -> Option<(&str, Vec<String>)> {
    let (operator, operand) = only_member(node)?;
    match operator {
        "Var" => Some((operand.as_str()?, Vec::new())),
        "." | "has" => {
            let (name, mut path) = chain(operand.get("left")?)?;
            match operand.get("attr")? {
                Value::String(attribute) => path.push(attribute.clone()),
                Value::Array(attributes) => {
                    path.extend(attributes.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => return None,
            }
            Some((name, path))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(condition: &str) -> Reads {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        Reads::of(&Policy::parse(None, text).unwrap()).unwrap()
    }

    fn paths(condition: &str) -> Vec<String> {
        reads(condition).context.iter().map(|path| path.join(".")).collect()
    }

    #[test]
    fn every_way_to_read_the_context_is_seen() {
        for (condition, expected) in [
            ("context.arguments.a > 1", vec!["arguments.a"]),
            ("context[\"arguments\"][\"a b\"] > 1", vec!["arguments.a b"]),
            (
                "context has arguments && context.arguments has a.b",
                vec!["arguments", "arguments.a.b"],
            ),
            ("context has arguments.a", vec!["arguments.a"]),
            ("context.time < datetime(\"2026-01-01\")", vec!["time"]),
            ("[1, context.x].contains(2)", vec!["x"]),
            (
                "{\"Var\": context.x, \".\": 1, \"Value\": context.y}.Var",
                vec!["x", "y"],
            ),
            ("{\"a\": context} == {\"a\": {}}", vec![""]),
            ("if context.x then context.y else !context.z", vec!["x", "y", "z"]),
            ("context.x like \"*context.q*\"", vec!["x"]),
            ("ip(\"1.1.1.1\").isInRange(context.x)", vec!["x"]),
            ("principal is User in context.x", vec!["x"]),
            ("(if true then context else context).x", vec![""]),
            ("principal == User::\"context\" && \"context\" == \"x\"", vec![]),
            ("-context.x == 1 || context.y.isEmpty()", vec!["x", "y"]),
            ("resource.effect == context.x", vec!["x"]),
        ] {
            assert_eq!(paths(condition), expected, "{condition}");
        }
    }

    #[test]
    fn what_an_issuer_is_compared_with_is_seen() {
        for (condition, expected) in [
            ("principal.issuer == \"a\"", vec!["a"]),
            ("principal has issuer && \"a\" != principal[\"issuer\"]", vec!["a"]),
            ("[\"a\", \"b\"].contains(principal.issuer)", vec!["a", "b"]),
            ("principal.name == \"a\" || context.issuer == \"b\"", vec![]),
            ("principal.issuer == context.client", vec![]),
            ("principal.issuer like \"a*\"", vec![]),
        ] {
            assert_eq!(Vec::from_iter(reads(condition).issuers), expected, "{condition}");
        }
    }

    #[test]
    fn needs_follow_from_reads() {
        let needs = reads("context.arguments.a > 1 && context.arguments.b.c && context.time == context.method").needs();
        let mut wanted = Wanted::by(&["a".to_owned()]);
        wanted.or(Wanted::by(&["b".to_owned(), "c".to_owned()]));
        assert_eq!(needs.arguments, Some(wanted));
        assert!(needs.time && needs.method && !needs.client);
        assert_eq!(
            reads("context.arguments == {}").needs().arguments,
            Some(Wanted::by(&[]))
        );
        assert!(reads("context == {}").needs().revision);
        assert!(!reads("resource.effect == 1").needs_context());
    }

    #[test]
    fn a_resource_as_itself_is_told_from_its_attributes() {
        assert!(!reads("resource.effect == Effect::\"read\"").resource_itself);
        assert!(reads("resource == Tool::\"a/b\"").resource_itself);
        assert!(reads("resource in Server::\"a\"").resource_itself);
        assert!(reads("resource is Tool").resource_itself);
        assert!(reads("resource.name == \"x\"").resource.contains("name"));
    }
}
