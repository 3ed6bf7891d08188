//! How many legacy sessions a caller may have.

use crate::harness::{Answer, Client, LEGACY, Scripted, Shelf, exchange, gateway, head, upstream_table};
use serde_json::{Value, json};

fn initialize(like: &Client) -> Answer {
    let client = Client {
        session: None,
        ..like.clone()
    };
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": client.revision, "capabilities": {}, "clientInfo": {"name": "tester", "version": "1"},
    }});
    client.post(hello.to_string().as_bytes()).unwrap()
}

#[test]
fn a_caller_has_so_many_sessions_and_one_that_is_deleted_makes_room() {
    let server = Scripted::serve(Shelf::default());
    let config = format!(
        "[listen.limits]\nsessions_per_caller_max = 2\n{}",
        upstream_table("shop", &server.url, "")
    );
    let gateway = gateway(&config);
    for revision in LEGACY {
        let first = Client::open(gateway.address(), "", revision);
        let second = Client::open(gateway.address(), "shop", revision);
        let answer = initialize(&first);
        assert_eq!((answer.status, answer.header("mcp-session-id")), (429, None));
        let error: Value = serde_json::from_slice(&answer.text().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], 4290, "{error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("2 sessions") && message.contains("hint:"), "{message}");
        // Those that are there go on.
        let ping = first.post(first.request("2", "ping", "").as_bytes()).unwrap();
        assert_eq!(ping.status, 200);
        let end = |client: &Client| {
            let head = head(&format!("DELETE {}", client.path), &client.headers(b""), None);
            exchange(client.address, &head, b"").unwrap().status
        };
        assert_eq!(end(&first), 204);
        let answer = initialize(&first);
        assert_eq!(answer.status, 200);
        let third = Client {
            session: answer.header("mcp-session-id").map(str::to_owned),
            ..first
        };
        assert_eq!(initialize(&third).status, 429, "one made room for one");
        assert_eq!((end(&second), end(&third)), (204, 204));
    }
}
