//! Extensions (SEP-2133): which of those that servers declare the gateway can carry, to clients of which era. What it cannot
//! carry it must not declare. Pure; it must not know how a message is translated.

use super::View;
use portcullis_wire::{Era, Raw};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const TASKS: &str = "io.modelcontextprotocol/tasks";
const UI: &str = "io.modelcontextprotocol/ui";

/// Whether each message of the extension says whose it is, a task by its id and an app by its tool, so that several servers
/// may have it beside each other. The methods of any other extension name nobody.
fn is_addressed(extension: &str) -> bool {
    matches!(extension, TASKS | UI)
}

/// Whether a server of one era can have the extension for a client of the other.
fn crosses(extension: &str, server: Era, client: Era) -> bool {
    match (server, client) {
        // The gateway says in every request what the client's session declared.
        // Tasks have another form in the legacy era, where they are no extension.
        (Era::Modern, Era::Legacy) => extension != TASKS,
        // A legacy server hears of extensions once, in a handshake that clients share who declare them in each request.
        (Era::Legacy, Era::Modern) => false,
        _ => true,
    }
}

/// Whether a server with these capabilities declares an extension whose methods name nobody.
pub(super) fn wants_methods(capabilities: &Raw) -> bool {
    of(capabilities).keys().any(|extension| !is_addressed(extension))
}

/// Whether a server with these capabilities declares tasks as an extension.
pub(super) fn has_tasks(capabilities: &Raw) -> bool {
    of(capabilities).contains_key(TASKS)
}

/// The extensions of all servers of the view that can be carried to a client of `era`.
pub(crate) fn carried(view: &View, era: Era) -> Map<String, Value> {
    let mut carried = Map::new();
    for (upstream, listing) in &view.listings {
        let server = listing.greeting.revision.era();
        for (extension, settings) in of(&listing.greeting.capabilities) {
            let reachable = is_addressed(&extension) || view.sole_upstream() == Some(upstream);
            if reachable && crosses(&extension, server, era) {
                add(carried.entry(extension).or_insert(Value::Null), settings);
            }
        }
    }
    carried
}

/// What a legacy client declared of extensions in its handshake, as the capabilities of a request to a modern server. Nothing
/// else is passed on: a question back could not reach the client.
pub(crate) fn declared(capabilities: Option<&Raw>) -> Vec<u8> {
    let extensions = capabilities.and_then(|capabilities| capabilities.get("extensions"));
    let declared = extensions
        .as_ref()
        .and_then(|extensions| serde_json::from_slice::<BTreeMap<String, &RawValue>>(extensions.as_bytes()).ok());
    let Some(mut declared) = declared else {
        return b"{}".to_vec();
    };
    declared.retain(|extension, _| crosses(extension, Era::Modern, Era::Legacy));
    serde_json::to_vec(&BTreeMap::from([("extensions", declared)])).unwrap_or_else(|_| b"{}".to_vec())
}

fn of(capabilities: &Raw) -> BTreeMap<String, Value> {
    capabilities
        .get("extensions")
        .and_then(|extensions| serde_json::from_slice(extensions.as_bytes()).ok())
        .unwrap_or_default()
}

/// The settings of one server beside those of others: what the others do not say is added.
fn add(have: &mut Value, more: Value) {
    match (have, more) {
        (Value::Object(have), Value::Object(more)) => {
            for (key, value) in more {
                add(have.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(have), Value::Array(more)) => {
            for value in more {
                if !have.contains(&value) {
                    have.push(value);
                }
            }
        }
        (have @ Value::Null, more) => *have = more,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Catalog, EndpointPlan, Greeting, Known, Listing};
    use super::*;
    use portcullis_wire::Revision;
    use serde_json::json;
    use std::sync::Arc;

    /// The view of one endpoint over servers with these revisions and extensions.
    fn view(servers: &[(Revision, Value)]) -> Arc<View> {
        let names: Vec<Arc<str>> = (0..servers.len()).map(|at| format!("server-{at}").into()).collect();
        let endpoint = EndpointPlan {
            name: "".into(),
            upstreams: names.clone(),
            tools: Vec::new(),
        };
        let catalog = Catalog::new(names.clone(), vec![endpoint]);
        for (name, (revision, extensions)) in names.iter().zip(servers) {
            let capabilities = json!({"resources": {}, "extensions": extensions}).to_string();
            let listing = Listing {
                greeting: Greeting {
                    revision: *revision,
                    capabilities: Raw::own(capabilities).unwrap(),
                    instructions: None,
                    server_info: None,
                },
                tools: Vec::new(),
                prompts: Vec::new(),
                resources: Vec::new(),
                templates: Vec::new(),
                ttl_ms: 0,
                findings: Vec::new(),
            };
            catalog.update(name, Known::Listed(Arc::new(listing)));
        }
        catalog.view("").unwrap()
    }

    const MODERN: Revision = Revision::NEWEST;
    const LEGACY: Revision = Revision::NEWEST_LEGACY;
    const SKILLS: &str = "io.modelcontextprotocol/skills";

    fn sole(view: &View) -> Option<&str> {
        view.sole_upstream().map(|name| &**name)
    }

    #[test]
    fn what_a_modern_server_declares_reaches_clients_of_both_eras_but_for_tasks() {
        let view = view(&[(
            MODERN,
            json!({SKILLS: {"directoryRead": true}, TASKS: {}, "com.example/x": {}}),
        )]);
        let all = json!({SKILLS: {"directoryRead": true}, TASKS: {}, "com.example/x": {}});
        assert_eq!(Value::Object(carried(&view, Era::Modern)), all);
        let across = json!({SKILLS: {"directoryRead": true}, "com.example/x": {}});
        assert_eq!(Value::Object(carried(&view, Era::Legacy)), across);
    }

    #[test]
    fn what_a_legacy_server_declares_reaches_legacy_clients() {
        let view = view(&[(LEGACY, json!({SKILLS: {}}))]);
        assert_eq!(Value::Object(carried(&view, Era::Legacy)), json!({SKILLS: {}}));
        assert!(carried(&view, Era::Modern).is_empty());
    }

    #[test]
    fn of_several_servers_each_extension_is_declared_whose_messages_find_their_server() {
        let app = |kind: &str| json!({"mimeTypes": ["text/html", kind]});
        let one = view(&[
            (MODERN, json!({UI: app("a"), TASKS: {}})),
            (MODERN, json!({UI: app("b"), SKILLS: {}})),
            (MODERN, json!({})),
        ]);
        assert_eq!(sole(&one), Some("server-1"));
        assert_eq!(
            Value::Object(carried(&one, Era::Modern)),
            json!({UI: {"mimeTypes": ["text/html", "a", "b"]}, TASKS: {}, SKILLS: {}})
        );
        assert_eq!(one.tasks_upstream().map(|name| &**name), Some("server-0"));
        let two = view(&[(MODERN, json!({SKILLS: {}, UI: {}})), (MODERN, json!({SKILLS: {}}))]);
        assert_eq!(sole(&two), None);
        assert_eq!(Value::Object(carried(&two, Era::Modern)), json!({UI: {}}));
        assert_eq!(sole(&view(&[(MODERN, json!({})), (MODERN, json!({TASKS: {}}))])), None);
    }

    #[test]
    fn a_legacy_clients_extensions_are_said_in_its_requests_and_nothing_else_is() {
        let capabilities = |text: &str| Raw::own(text.to_owned()).unwrap();
        let of_client = capabilities(&format!(
            r#"{{"sampling":{{}},"extensions":{{"{TASKS}":{{}},"com.example/x":{{"n":1.50}}}}}}"#
        ));
        assert_eq!(
            declared(Some(&of_client)),
            br#"{"extensions":{"com.example/x":{"n":1.50}}}"#
        );
        for nothing in [
            Some(capabilities(r#"{"sampling":{}}"#)),
            Some(capabilities(r#"{"extensions":7}"#)),
            None,
        ] {
            assert_eq!(declared(nothing.as_ref()), b"{}");
        }
    }
}
