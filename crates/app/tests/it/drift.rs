//! A configuration and policies that speak of tools which their server does not have, or has no longer: that is said, with what
//! was probably meant, and takes nothing else down.

use crate::explain::portcullis;
use crate::harness::{Client, MODERN, PATIENCE, Scripted, Shelf, upstream_table};
use portcullis_testkit::gateway::Gateway;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn shelf(tools: &[&str]) -> Shelf {
    let tool = |name: &&str| json!({"name": name, "inputSchema": {"type": "object"}});
    Shelf {
        tools: tools.iter().map(tool).collect(),
        ..Shelf::default()
    }
}

/// The gateway in front of `server`, and its configuration file.
fn gateway(server: &Scripted, pins: &str, rules: &str) -> (Gateway, PathBuf) {
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let work = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut file = PathBuf::new();
    let gateway = Gateway::start_with(program, work, |address, state, policy| {
        fs::write(policy, rules).unwrap();
        file = policy.with_file_name("portcullis.toml");
        format!(
            "[listen]\naddress = \"{address}\"\n[identity]\nanonymous = \"eve\"\n[state]\ndirectory = {}\n[policy]\nfile = {}\n{}",
            json!(state),
            json!(policy),
            upstream_table("shop", &server.url, pins)
        )
    })
    .unwrap();
    (gateway, file)
}

/// Whether a call of `tool` gets to the server.
fn passes(client: &Client, server: &Scripted, tool: &str) -> bool {
    let call = client.request("1", "tools/call", &format!(r#""name":"{tool}""#));
    let answer = client.post(call.as_bytes()).and_then(|answer| answer.last()).unwrap();
    let passed = !server.seen().is_empty();
    if passed {
        server.take();
    }
    assert_eq!(passed, !String::from_utf8_lossy(&answer).contains("\"error\""));
    passed
}

fn wait_for(gateway: &Gateway, text: &str) {
    let begun = Instant::now();
    while !gateway.output().contains(text) {
        assert!(begun.elapsed() < PATIENCE, "{text} is not in\n{}", gateway.output());
        std::thread::yield_now();
    }
}

/// Whether a command that looks is content, and what it printed.
fn look(words: &[&str], file: &Path) -> (bool, String) {
    let output = portcullis().args(words).arg("--config").arg(file).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_policy_for_a_tool_that_is_not_there_takes_no_other_policy_down() {
    let server = Scripted::serve(shelf(&["look", "store"]));
    let rules = "@id(\"eve\") permit(principal, action, resource in Server::\"shop\");\n\
                 @id(\"none\") permit(principal, action == Action::\"tools/call\", resource == Tool::\"shop/lok\");\n\
                 @id(\"store\") forbid(principal, action == Action::\"tools/call\", resource == Tool::\"shop/store\");\n";
    let (gateway, file) = gateway(&server, "", rules);
    let client = Client::open(gateway.address(), "", MODERN);
    assert!(passes(&client, &server, "look"));
    assert!(!passes(&client, &server, "store"));
    wait_for(
        &gateway,
        "`shop` has no tool `lok`, hint: did you mean `Tool::\"shop/look\"`?",
    );

    let (content, said) = look(&["policy", "check"], &file);
    assert!(!content, "{said}");
    assert!(
        said.contains("error: `shop` has no tool `lok`, hint: did you mean"),
        "{said}"
    );
    assert!(said.contains("all else holds"), "{said}");

    // The server loses a tool that policy names, and has another: the policies are in force over what it has now.
    server.stock(shelf(&["look", "fetch"]));
    server.play(|id, stage| {
        stage.event(br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#)?;
        stage.event(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#).as_bytes())
    });
    assert!(passes(&client, &server, "look"));
    wait_for(&gateway, "`shop` has no tool `store`");
    assert!(passes(&client, &server, "fetch"));
    assert!(passes(&client, &server, "look"));
    assert_eq!(
        gateway.output().matches("`shop` has no tool `lok`").count(),
        1,
        "what stays is said once"
    );
}

#[test]
fn an_obligation_that_cannot_be_carried_out_is_a_problem_before_a_call_is_refused() {
    let server = Scripted::serve(shelf(&["look", "store"]));
    let rules = "@id(\"look\") @purpose(\"support\") permit(principal, action, resource == Tool::\"shop/look\");\n";
    let approved = "@id(\"store\") @approve(\"leads\") permit(principal, action, resource == Tool::\"shop/store\");\n";
    let (gateway, file) = gateway(&server, "", &format!("{rules}{approved}"));
    let client = Client::open(gateway.address(), "", MODERN);
    assert!(passes(&client, &server, "look"));
    assert!(!passes(&client, &server, "store"));
    let (content, said) = look(&["policy", "check"], &file);
    assert!(
        !content && said.contains("`@approve` is to come") && said.contains("hint: "),
        "{said}"
    );
    assert!(!said.contains("purpose"), "{said}");
    fs::write(file.with_file_name("policy.cedar"), rules).unwrap();
    let (content, said) = look(&["policy", "check"], &file);
    assert!(content, "{said}");
}

#[test]
fn a_pin_for_a_tool_that_is_not_there_is_said() {
    let server = Scripted::serve(shelf(&["search", "store"]));
    let pins = "[upstream.tools]\nserch = { effect = \"read\" }\nstore = { effect = \"write\" }\n";
    let (gateway, file) = gateway(&server, pins, "permit(principal, action, resource);");
    let said_of = |tool: &str| format!("{tool}: the configuration pins this tool, but the server does not have it");
    let near = ", hint: did you mean `search`?";
    wait_for(
        &gateway,
        &format!("the configuration pins this tool, but the server does not have it{near}"),
    );
    let (content, said) = look(&["check"], &file);
    assert!(content, "{said}");
    assert!(
        said.contains(&format!(
            "`shop/serch`: the configuration pins this tool, but the server does not have it{near}"
        )),
        "{said}"
    );
    assert!(!said.contains("`shop/store`"), "{said}");
    let (content, said) = look(&["catalog"], &file);
    assert!(
        content && said.contains(&format!("{}{near}", said_of("serch"))),
        "{said}"
    );

    // A reload with the name put right, and another that is not.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("serch =", "search =").replace("store =", "quite-other ="),
    )
    .unwrap();
    wait_for(
        &gateway,
        "does not have it, hint: `portcullis catalog` shows the tools that it has",
    );
    let (_, said) = look(&["check"], &file);
    assert!(
        !said.contains("`shop/search`") && said.contains("`shop/quite-other`"),
        "{said}"
    );
}
