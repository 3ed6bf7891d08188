//! Whom a subscription may hear: policy decides on each resource, and a task is its owner's.

use crate::harness::{Client, MODERN, Scripted, Shelf, member, upstream_table};
use portcullis_testkit::gateway::Gateway;
use serde_json::json;
use std::fs;
use std::path::Path;

fn gateway(server: &Scripted) -> Gateway {
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let work = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Gateway::start_with(program, work, |address, state, policy| {
        let rules = "permit(principal, action, resource);\n\
                     forbid(principal, action, resource == Resource::\"shop/secret://payroll\");\n";
        fs::write(policy, rules).unwrap();
        format!(
            "[listen]\naddress = \"{address}\"\n[identity]\nanonymous = \"eve\"\n[state]\ndirectory = {}\n[policy]\nfile = {}\n{}",
            json!(state),
            json!(policy),
            upstream_table("shop", &server.url, "")
        )
    })
    .unwrap()
}

/// What the server sees of a subscription with `filters`, and what the client hears first.
fn listen(client: &Client, server: &Scripted, filters: &str) -> (Option<String>, String) {
    server.play(|id, stage| {
        let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
        let acknowledged = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{}},{meta}}}}}"#
        );
        stage.event(acknowledged.as_bytes())
    });
    let before = server.seen().len();
    let members = format!(r#""notifications":{{{filters}}}"#);
    let request = client.request("1", "subscriptions/listen", &members);
    let first = client
        .post(request.as_bytes())
        .unwrap()
        .messages()
        .next()
        .unwrap()
        .unwrap();
    let seen = server.seen().split_off(before).into_iter().find_map(|message| {
        let is_listen = member(&message, "method") == Some("\"subscriptions/listen\"");
        is_listen.then(|| String::from_utf8(message.clone()).unwrap())
    });
    (seen, String::from_utf8(first).unwrap())
}

#[test]
fn policy_decides_on_each_resource_and_a_task_is_its_owners() {
    let resource = |uri: &str| json!({"uri": uri, "name": uri});
    let server = Scripted::serve(Shelf {
        resources: json!([resource("secret://payroll"), resource("public://menu")]),
        ..Shelf::default()
    });
    let gateway = gateway(&server);
    let client = Client::open(gateway.address(), "", MODERN);

    let (seen, heard) = listen(&client, &server, r#""resourceSubscriptions":["public://menu"]"#);
    assert!(seen.is_some_and(|seen| seen.contains("public://menu")), "{heard}");
    assert!(heard.contains("acknowledged"), "{heard}");

    let both = r#""resourceSubscriptions":["public://menu","secret://payroll"]"#;
    let (seen, heard) = listen(&client, &server, both);
    assert_eq!(seen, None);
    assert!(heard.contains("\"error\""), "{heard}");

    let (seen, heard) = listen(&client, &server, r#""taskIds":["another-callers"]"#);
    assert_eq!(seen, None);
    assert!(
        heard.contains("acknowledged") && !heard.contains("another-callers"),
        "{heard}"
    );
}
