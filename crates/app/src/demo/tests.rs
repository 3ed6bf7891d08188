//! The bank as its callers see it: each tool, resource and prompt, the good and the bad.

use super::*;
use portcullis_wire::Id;

struct Teller {
    demo: Demo,
}

impl Teller {
    fn new() -> Self {
        Self {
            demo: Demo::in_memory(),
        }
    }

    async fn ask(&self, method: &str, params: Value) -> (Result<Value, RpcError>, Vec<Value>) {
        let request = Request::own(
            &Id::number(1),
            &Method::new(method),
            Some(params.to_string().as_bytes()),
        )
        .unwrap();
        let (sender, mut news) = mpsc::channel(32);
        let result = self.demo.handle(&request, &sender).await;
        let mut told = Vec::new();
        while let Ok(notification) = news.try_recv() {
            told.push(serde_json::from_slice(notification.whole()).unwrap());
        }
        let result = result.map(|raw| serde_json::from_str(raw.as_str()).unwrap());
        (result, told)
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        let result = self.ask(method, params).await.0.unwrap();
        assert_eq!(result["resultType"], "complete");
        result
    }

    async fn error(&self, method: &str, params: Value) -> RpcError {
        self.ask(method, params).await.0.unwrap_err()
    }

    /// The structured result of a tool, held against its own schemas.
    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let definition = definition(tool);
        let input = jsonschema::validator_for(&definition["inputSchema"]).unwrap();
        assert!(input.is_valid(&arguments), "{tool} {arguments}");
        let result = self
            .result("tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        assert_eq!(result.get("isError"), None, "{result}");
        let structured = result["structuredContent"].clone();
        let output = jsonschema::validator_for(&definition["outputSchema"]).unwrap();
        let problems: Vec<String> = output.iter_errors(&structured).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{tool}: {problems:?}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, structured);
        structured
    }

    /// What a tool says to arguments that it refuses.
    async fn refusal(&self, tool: &str, arguments: Value) -> String {
        let result = self
            .result("tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        assert_eq!(result["isError"], true, "{tool} {arguments}: {result}");
        assert_eq!(result.get("structuredContent"), None);
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }
}

fn definition(tool: &str) -> Value {
    let tools = tools::list().unwrap();
    let tools = tools["tools"].as_array().unwrap();
    tools
        .iter()
        .find(|definition| definition["name"] == tool)
        .unwrap()
        .clone()
}

#[tokio::test]
async fn the_greeting_and_the_lists_say_how_long_they_hold() {
    let teller = Teller::new();
    let greeting: Value = serde_json::from_str(teller.demo.discover().as_str()).unwrap();
    assert_eq!(greeting["supportedVersions"], json!(["2026-07-28"]));
    let mut results = vec![greeting];
    for method in [
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
    ] {
        results.push(teller.result(method, json!({})).await);
        assert_eq!(
            teller.error(method, json!({"cursor": ""})).await.code,
            error::INVALID_PARAMS
        );
    }
    for result in results {
        assert_eq!(
            (result["ttlMs"].as_u64(), result["cacheScope"].as_str()),
            (Some(3_600_000), Some("public"))
        );
        assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].is_string());
    }
}

#[tokio::test]
async fn every_tool_is_described_and_pinned() {
    let tools = tools::list().unwrap();
    let names: Vec<&str> = tools["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    let mut pinned: Vec<&str> = EFFECTS.iter().map(|(name, _)| *name).collect();
    pinned.sort_by_key(|name| names.iter().position(|other| other == name));
    assert_eq!(names, pinned);
    for tool in tools["tools"].as_array().unwrap() {
        for key in ["title", "description"] {
            assert!(tool[key].is_string(), "{tool}");
        }
        for schema in ["inputSchema", "outputSchema"] {
            assert!(jsonschema::meta::is_valid(&tool[schema]), "{tool}");
            assert_eq!(tool[schema]["additionalProperties"], false);
        }
        let reads = EFFECTS
            .iter()
            .any(|(name, effect)| tool["name"] == *name && *effect == EffectWord::Read);
        assert_eq!(tool["annotations"]["readOnlyHint"], reads);
    }
}

#[tokio::test]
async fn customers_are_found() {
    let teller = Teller::new();
    let found = teller.call("find_customer", json!({"name": "aoife"})).await;
    assert_eq!(found["customers"].as_array().unwrap().len(), 2);
    assert_eq!(
        teller.call("find_customer", json!({"name": "%%"})).await["customers"],
        json!([])
    );
    for bad in [
        json!({}),
        json!({"name": "a"}),
        json!({"name": 7}),
        json!({"name": "aoife", "x": 1}),
        json!({"name": "a".repeat(101)}),
    ] {
        assert!(
            teller
                .refusal("find_customer", bad)
                .await
                .starts_with("invalid arguments")
        );
    }
    let customer = teller.call("get_customer", json!({"customer_id": "C-1001"})).await;
    assert_eq!(customer["name"], "Aoife Ashgrove");
    assert!(
        teller
            .refusal("get_customer", json!({"customer_id": "C-9999"}))
            .await
            .contains("no customer `C-9999`")
    );
    assert!(
        teller
            .refusal("get_customer", json!(null))
            .await
            .starts_with("invalid arguments")
    );
}

#[tokio::test]
async fn accounts_and_transactions_are_listed() {
    let teller = Teller::new();
    let accounts = teller.call("list_accounts", json!({"customer_id": "C-1001"})).await;
    assert_eq!(accounts["accounts"][0]["account_id"], "A-2001");
    assert!(
        teller
            .refusal("list_accounts", json!({"customer_id": "x"}))
            .await
            .contains("no customer")
    );
    let page = teller
        .call("list_transactions", json!({"account_id": "A-2001", "limit": 2}))
        .await;
    assert_eq!(page["transactions"].as_array().unwrap().len(), 2);
    let next = teller
        .call(
            "list_transactions",
            json!({"account_id": "A-2001", "limit": 2, "cursor": page["next_cursor"]}),
        )
        .await;
    assert_ne!(page["transactions"], next["transactions"]);
    for (bad, word) in [
        (json!({"account_id": "A-1"}), "no account"),
        (json!({"account_id": "A-2001", "limit": 0}), "`limit`"),
        (json!({"account_id": "A-2001", "limit": 101}), "`limit`"),
        (json!({"account_id": "A-2001", "limit": -1}), "invalid arguments"),
        (json!({"account_id": "A-2001", "cursor": "x"}), "no cursor"),
    ] {
        assert!(teller.refusal("list_transactions", bad).await.contains(word), "{word}");
    }
}

#[tokio::test]
async fn a_transfer_moves_money_once() {
    let teller = Teller::new();
    let order = json!({
        "from_account": "A-2001", "to_iban": "DE89 3704 0044 0532 0130 00", "amount_cents": 1250,
        "reference": "Rent", "idempotency_key": "k1",
    });
    let receipt = teller.call("transfer", order.clone()).await;
    let again = teller.call("transfer", order.clone()).await;
    assert_eq!(
        (&receipt["replayed"], &again["replayed"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(receipt["balance_cents"], again["balance_cents"]);
    let accounts = teller.call("list_accounts", json!({"customer_id": "C-1001"})).await;
    assert_eq!(accounts["accounts"][0]["balance_cents"], receipt["balance_cents"]);
    let page = teller
        .call("list_transactions", json!({"account_id": "A-2001", "limit": 1}))
        .await;
    assert_eq!(page["transactions"][0]["amount_cents"], -1250);
    let with = |key: &str, value: Value| {
        let mut order = order.clone();
        order[key] = value;
        order
    };
    for (bad, word) in [
        (with("amount_cents", json!(1251)), "`idempotency_key`"),
        (with("amount_cents", json!(12.5)), "invalid arguments"),
        (with("amount_cents", json!(0)), "`amount_cents`"),
        (with("to_iban", json!("DE00370400440532013000")), "no valid IBAN"),
        (with("from_account", json!("A-9999")), "no account"),
        (with("reference", json!("")), "`reference`"),
        (with("idempotency_key", json!("")), "`idempotency_key`"),
        (with("extra", json!(1)), "unknown field"),
    ] {
        let said = teller.refusal("transfer", bad).await;
        assert!(said.contains(word), "{said}");
    }
    let mut dear = with("amount_cents", json!(100_000_000));
    dear["idempotency_key"] = json!("k2");
    assert!(teller.refusal("transfer", dear).await.contains("which is less than"));
}

#[tokio::test(start_paused = true)]
async fn a_statement_reports_progress_where_it_is_wanted() {
    let teller = Teller::new();
    let arguments = json!({"account_id": "A-2001", "month": "2026-09"});
    let statement = teller.call("monthly_statement", arguments.clone()).await;
    let sum = statement["opening_balance_cents"].as_i64().unwrap() + statement["in_cents"].as_i64().unwrap()
        - statement["out_cents"].as_i64().unwrap();
    assert_eq!(statement["closing_balance_cents"], sum);
    for token in [json!("a token"), json!(7)] {
        let params = json!({"name": "monthly_statement", "arguments": arguments, "_meta": {"progressToken": token}});
        let (result, told) = teller.ask("tools/call", params).await;
        assert!(result.is_ok());
        let progress: Vec<u64> = told
            .iter()
            .map(|told| told["params"]["progress"].as_u64().unwrap())
            .collect();
        assert_eq!(progress, [1, 2, 3, 4, 5]);
        assert!(told.iter().all(|told| told["params"]["progressToken"] == token));
    }
    for params in [json!({}), json!({"progressToken": 1.5})] {
        let params = json!({"name": "monthly_statement", "arguments": arguments, "_meta": params});
        assert!(teller.ask("tools/call", params).await.1.is_empty());
    }
    assert!(
        teller
            .refusal("monthly_statement", json!({"account_id": "A-2001", "month": "2026-13"}))
            .await
            .contains("no month")
    );
    assert!(
        teller
            .refusal("monthly_statement", json!({"account_id": "A-1", "month": "2026-09"}))
            .await
            .contains("no account")
    );
}

#[tokio::test]
async fn what_is_unknown_is_a_protocol_error() {
    let teller = Teller::new();
    for (method, params, code) in [
        ("tools/call", json!({"name": "rob"}), error::INVALID_PARAMS),
        ("tools/call", json!({}), error::INVALID_PARAMS),
        ("prompts/get", json!({"name": "rob"}), error::INVALID_PARAMS),
        ("resources/read", json!({"uri": "bank://vault"}), error::INVALID_PARAMS),
        (
            "resources/read",
            json!({"uri": "bank://customers/C-9999"}),
            error::INVALID_PARAMS,
        ),
        ("acme/do", json!({}), error::METHOD_NOT_FOUND),
        ("subscriptions/listen", json!({}), error::METHOD_NOT_FOUND),
    ] {
        assert_eq!(teller.error(method, params).await.code, code, "{method}");
    }
}

#[tokio::test]
async fn resources_are_read() {
    let teller = Teller::new();
    for (uri, word, scope) in [
        ("bank://terms", "invented", "public"),
        ("bank://branches", "Port Cullin Harbour", "public"),
        ("bank://customers/C-1001", "Aoife Ashgrove", "private"),
    ] {
        let result = teller.result("resources/read", json!({"uri": uri})).await;
        assert_eq!(result["cacheScope"], scope);
        assert!(result["contents"][0]["text"].as_str().unwrap().contains(word), "{uri}");
        assert_eq!(result["contents"][0]["uri"], uri);
    }
}

#[tokio::test]
async fn the_prompt_is_filled_in_and_completed() {
    let teller = Teller::new();
    let letter = teller
        .result(
            "prompts/get",
            json!({"name": "dispute_letter", "arguments": {"transaction_id": "T-100001", "tone": "firm"}}),
        )
        .await;
    let text = letter["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(
        text.starts_with("Write a firm letter") && text.contains("T-100001"),
        "{text}"
    );
    for bad in [
        json!({}),
        json!({"transaction_id": "T-1"}),
        json!({"transaction_id": "T-100001", "tone": "rude"}),
        json!({"transaction_id": "T-100001", "x": ""}),
        json!([]),
    ] {
        let params = json!({"name": "dispute_letter", "arguments": bad});
        assert_eq!(teller.error("prompts/get", params).await.code, error::INVALID_PARAMS);
    }
    let complete = |reference: Value, name: &str, value: &str| json!({"ref": reference, "argument": {"name": name, "value": value}});
    let prompt = json!({"type": "ref/prompt", "name": "dispute_letter"});
    let template = json!({"type": "ref/resource", "uri": "bank://customers/{id}"});
    let result = teller
        .result("completion/complete", complete(prompt.clone(), "tone", "f"))
        .await;
    assert_eq!(
        result["completion"],
        json!({"values": ["firm", "formal"], "total": 2, "hasMore": false})
    );
    let result = teller
        .result("completion/complete", complete(template.clone(), "id", "C-100"))
        .await;
    assert_eq!(result["completion"]["total"], 9);
    for bad in [
        complete(prompt, "mood", ""),
        complete(template, "name", ""),
        complete(json!({"type": "ref/prompt", "name": "x"}), "tone", ""),
        json!({}),
    ] {
        assert_eq!(
            teller.error("completion/complete", bad).await.code,
            error::INVALID_PARAMS
        );
    }
}
