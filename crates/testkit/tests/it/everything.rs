//! The fixture in each era, driven by the SDK's own client over a pipe.

#![expect(deprecated, reason = "sampling and roots are part of every revision that is served")]

use portcullis_testkit::everything::{Eras, Everything};
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient, ServiceExt,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
        ElicitRequestParams, ElicitResult, ElicitationAction, Implementation, ListRootsResult, ProtocolVersion, Role,
        Root, SamplingMessage, SamplingMessageContentBlock,
    },
    service::{RequestContext, RunningService},
};
use serde_json::json;

struct User;

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder()
            .enable_elicitation()
            .enable_sampling()
            .enable_roots()
            .build();
        ClientConfig::new(capabilities, Implementation::new("test", "1"))
            .with_protocol_version(ProtocolVersion::V_2025_11_25)
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = json!({"name": "Ada", "color": "green", "ok": true, "confirm": true});
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }

    async fn create_message(
        &self,
        _request: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(CreateMessageResult::new(
            SamplingMessage::new(Role::Assistant, SamplingMessageContentBlock::text("Paris")),
            "model".to_owned(),
        ))
    }

    async fn list_roots(&self, _context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///ada")]))
    }
}

fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

async fn connect(eras: Eras, lifecycle: ClientLifecycleMode) -> Result<RunningService<RoleClient, User>, String> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = Everything::new(eras).unwrap();
    tokio::spawn(async move {
        if let Ok(running) = server.serve(far).await {
            let _ = running.waiting().await;
        }
    });
    User.serve_with_lifecycle(near, lifecycle)
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_tool_that_asks_gives_the_same_result_in_both_eras() {
    for lifecycle in [ClientLifecycleMode::Initialize, modern()] {
        let client = connect(Eras::Both, lifecycle.clone()).await.unwrap();
        for (tool, expected) in [
            ("test_input_required_result_elicitation", "Hello, Ada!"),
            ("test_input_required_result_sampling", "Paris"),
            ("test_input_required_result_list_roots", "file:///ada"),
            ("test_input_required_result_request_state", "state-ok"),
            ("test_input_required_result_multiple_inputs", "Paris Ada, your roots:"),
            ("test_input_required_result_multi_round", "Ada likes green"),
            ("test_input_required_result_capabilities", "3 of 3"),
            ("multi_input", "Both answered: accept accept"),
        ] {
            let result = client.call_tool(CallToolRequestParams::new(tool)).await.unwrap();
            let text = serde_json::to_string(&result.content).unwrap();
            assert!(text.contains(expected), "{lifecycle:?} {tool}: {text}");
        }
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn a_state_of_our_own_making_is_refused() {
    let client = connect(Eras::Modern, modern()).await.unwrap();
    let call = CallToolRequestParams::new("test_input_required_result_tampered_state").with_request_state("made up");
    assert!(
        client
            .call_tool(call)
            .await
            .unwrap_err()
            .to_string()
            .contains("request state refused")
    );
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn an_era_that_is_switched_off_is_refused() {
    assert!(connect(Eras::Modern, ClientLifecycleMode::Initialize).await.is_err());
    assert!(connect(Eras::Legacy, modern()).await.is_err());
    assert!(connect(Eras::Legacy, ClientLifecycleMode::Initialize).await.is_ok());
    assert!(connect(Eras::Modern, modern()).await.is_ok());
}
