//! The client that the conformance suite's `client` command measures, on the official Rust SDK.
//!
//! The suite appends the URL of its mock server and names the scenario and the revision in the environment. With
//! `PORTCULLIS_THROUGH=/path/to/portcullis` the same scenario goes through the gateway: it is started with the mock
//! server as its one upstream, and the client talks to it instead. What the suite then measures is the gateway as client.
//!
//! This program must not know what a scenario checks, only what a user would do in it.

use std::{collections::BTreeMap, env, error::Error, path::PathBuf, process::ExitCode};

use portcullis_testkit::gateway::{Gateway, THROUGH, Upstream};
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction,
        GetPromptRequestParams, Implementation, JsonObject, ProtocolVersion, ReadResourceRequestParams,
        ResourceContents, Skill, SkillResources,
    },
    service::{RequestContext, RunningService},
    transport::StreamableHttpClientTransport,
};
use serde::Deserialize;
use serde_json::{Value, json};

type Client = RunningService<RoleClient, Driver>;
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conformance-client: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome {
    let upstream = env::args()
        .next_back()
        .filter(|word| word.starts_with("http"))
        .ok_or("the last argument is a URL")?;
    let scenario = env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let version = env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_else(|_| "2026-07-28".to_owned());

    let gateway = env::var_os(THROUGH)
        .map(|program| Gateway::start(&PathBuf::from(program), &env::temp_dir(), Upstream::Http(&upstream)))
        .transpose()?;
    let url = gateway.as_ref().map_or(upstream, Gateway::url);

    let outcome = async {
        let client = connect(url, &version).await?;
        let outcome = drive(&client, &scenario).await;
        client.cancel().await?;
        outcome
    }
    .await;
    if let (Err(_), Some(gateway)) = (&outcome, &gateway) {
        eprintln!("the gateway's own words:\n{}", gateway.output());
    }
    outcome
}

async fn connect(url: String, version: &str) -> Outcome<Client> {
    let version: ProtocolVersion = serde_json::from_value(json!(version))?;
    let modern = ProtocolVersion::V_2026_07_28;
    let lifecycle = if version.as_str() < modern.as_str() {
        ClientLifecycleMode::Initialize
    } else {
        ClientLifecycleMode::Discover {
            preferred_versions: vec![modern],
        }
    };
    let transport = StreamableHttpClientTransport::from_uri(url);
    Ok(Driver { version }.serve_with_lifecycle(transport, lifecycle).await?)
}

async fn drive(client: &Client, scenario: &str) -> Outcome {
    match scenario {
        "http-custom-headers" => {
            client.list_all_tools().await?;
            for ToolCall { name, arguments } in context()?.tool_calls {
                client
                    .call_tool(CallToolRequestParams::new(name).with_arguments(arguments))
                    .await?;
            }
        }
        "http-standard-headers" => {
            call_each_tool(client).await?;
            for resource in client.list_all_resources().await? {
                client
                    .read_resource(ReadResourceRequestParams::new(resource.uri))
                    .await?;
            }
            for prompt in client.list_all_prompts().await? {
                client.get_prompt(GetPromptRequestParams::new(prompt.name)).await?;
            }
        }
        "sep-2322-client-request-state" => {
            client.list_all_tools().await?;
            let call = |name: &'static str| client.call_tool(CallToolRequestParams::new(name));
            // At once, so that the answers of one could leak into the other.
            tokio::try_join!(call("test_mrtr_echo_state"), call("test_mrtr_unrelated"))?;
            call("test_mrtr_no_state").await?;
            call("test_mrtr_no_result_type").await?;
        }
        "json-schema-ref-no-deref" => {
            client.list_all_tools().await?;
        }
        "json-schema-2020-12-preservation" => {
            let tools = client.list_all_tools().await?;
            let tool = tools
                .iter()
                .find(|tool| tool.name == "json_schema_2020_12_tool")
                .ok_or("no such tool")?;
            let arguments = JsonObject::from_iter([("schema".to_owned(), json!(*tool.input_schema))]);
            client
                .call_tool(CallToolRequestParams::new("json_schema_echo").with_arguments(arguments))
                .await?;
        }
        "sep-2640-client-no-prefetch" => {
            client.list_all_skills().await?;
        }
        skills if skills.starts_with("sep-2640-client-verify-") => {
            for skill in client.list_all_skills().await? {
                load(client, &skill).await?;
            }
        }
        // A server without tools answers this one, and the suite has seen what it wants by then.
        "request-metadata" => {
            let _ = client.list_all_tools().await;
        }
        _ => call_each_tool(client).await?,
    }
    Ok(())
}

/// Calls every tool that the client holds to be valid, with arguments made from its schema.
async fn call_each_tool(client: &Client) -> Outcome {
    for tool in client.list_all_tools().await? {
        let arguments = example(&json!(*tool.input_schema));
        client
            .call_tool(CallToolRequestParams::new(tool.name).with_arguments(arguments))
            .await?;
    }
    Ok(())
}

/// Reads a skill's files, each verified before it is used; stops at the first that is not what was listed.
async fn load(client: &Client, skill: &Skill) -> Outcome {
    let SkillResources::Files(files) = &skill.resources else {
        return Ok(());
    };
    for file in files {
        let result = client.read_resource(ReadResourceRequestParams::new(&file.uri)).await?;
        let Some(ResourceContents::TextResourceContents { text, .. }) = result.contents.first() else {
            return Err(format!("`{}` is not a text", file.uri).into());
        };
        if let Err(error) = file.verify(text.as_bytes()) {
            eprintln!("skill rejected: {error}");
            return Ok(());
        }
        if file.uri == skill.uri && frontmatter(text) != json!(skill.frontmatter) {
            eprintln!("skill rejected: its frontmatter is not the one that was listed");
            return Ok(());
        }
    }
    Ok(())
}

/// The frontmatter of a `SKILL.md`: plain `key: value` lines between two `---`, all that the scenarios use of YAML.
fn frontmatter(text: &str) -> Value {
    let body = text
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---"))
        .map_or("", |(body, _)| body);
    let fields: BTreeMap<&str, &str> = body.lines().filter_map(|line| line.split_once(": ")).collect();
    json!(fields)
}

/// What the suite hands to the client for one scenario.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
}

#[derive(Deserialize)]
struct ToolCall {
    name: String,
    arguments: JsonObject,
}

fn context() -> Outcome<Context> {
    Ok(env::var("MCP_CONFORMANCE_CONTEXT")
        .map_or_else(|_| Ok(Context::default()), |text| serde_json::from_str(&text))?)
}

/// An object that fits `schema`: the default of each property, else a value of its type.
fn example(schema: &Value) -> JsonObject {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return JsonObject::new();
    };
    properties
        .iter()
        .map(|(name, property)| (name.clone(), example_value(property)))
        .collect()
}

fn example_value(property: &Value) -> Value {
    if let Some(default) = property.get("default") {
        return default.clone();
    }
    match property.get("type").and_then(Value::as_str) {
        Some("number" | "integer") => json!(5),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        Some("null") => Value::Null,
        _ => property.pointer("/enum/0").cloned().unwrap_or_else(|| json!("test")),
    }
}

/// The client's own side: it accepts every form and fills it in from its defaults.
struct Driver {
    version: ProtocolVersion,
}

impl ClientHandler for Driver {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(
            capabilities,
            Implementation::new("portcullis-conformance-client", env!("CARGO_PKG_VERSION")),
        )
        .with_protocol_version(self.version.clone())
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let schema =
            serde_json::to_value(request).map(|params| params.get("requestedSchema").cloned().unwrap_or_default());
        let schema = schema.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(example(&schema))))
    }
}
