//! A server that exposes one of everything that the conformance suite asks for, in the era that the caller speaks.
//!
//! A modern caller (2026-07-28) that must be asked gets an `InputRequiredResult`; a legacy one gets a real
//! `elicitation/create`, `sampling/createMessage` or `roots/list` request on the stream of its call. The tools are
//! written once: [`ask`] knows the difference, [`tools`] does not.
//!
//! This module must not know the transport; [`serve`] does.

#![expect(
    clippy::result_large_err,
    reason = "the SDK's own error type is what its handlers return"
)]

mod ask;
mod catalog;
mod notices;
mod prompts;
mod resources;
mod serve;
mod tools;

use std::{
    borrow::Cow,
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
        CompletionInfo, DiscoverResult, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
        Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec,
        ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
        UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
    task_manager::TaskManager,
};

pub use serve::{HttpOptions, Reply, ServeError, serve_http, serve_stdio};

use ask::{Call, Stop};
use catalog::Catalog;
use notices::{Change, Notices};

/// How long a client may keep a list or a resource, in milliseconds. Short, so that a test sees both a hit and a miss.
const CACHE_TTL_MS: u64 = 2_000;

/// The revisions that the server admits to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "sdk", derive(clap::ValueEnum))]
pub enum Eras {
    /// 2024-11-05 to 2025-11-25: `initialize`, sessions, server requests.
    Legacy,
    /// 2026-07-28: stateless requests, input-required results.
    Modern,
    /// Both on one endpoint; the caller's first request decides.
    Both,
}

impl Eras {
    fn versions(self) -> Cow<'static, [ProtocolVersion]> {
        let modern = ProtocolVersion::V_2026_07_28;
        Cow::Owned(
            ProtocolVersion::KNOWN_VERSIONS
                .iter()
                .filter(|version| match self {
                    Eras::Legacy => version.as_str() < modern.as_str(),
                    Eras::Modern => version.as_str() >= modern.as_str(),
                    Eras::Both => true,
                })
                .cloned()
                .collect(),
        )
    }
}

/// The server. Cloned per request (modern) or per session (legacy, see [`Everything::session`]).
#[derive(Clone)]
pub struct Everything {
    eras: Eras,
    catalog: Arc<Catalog>,
    notices: Notices,
    tasks: TaskManager,
    seal: Arc<RequestStateCodec>,
    session: Arc<Session>,
}

/// What a legacy session remembers. A modern request has a fresh, unused one.
#[derive(Default)]
struct Session {
    log_level: Mutex<Option<u8>>,
    watched: Mutex<HashSet<String>>,
}

impl Everything {
    /// Builds the server for `eras`. States that it seals are worthless to another process.
    ///
    /// # Errors
    /// The built-in catalogue does not fit the SDK's types: a mistake in this crate.
    pub fn new(eras: Eras) -> io::Result<Self> {
        let mut key = Vec::with_capacity(2 * RequestStateCodec::MIN_KEY_LENGTH);
        while key.len() < RequestStateCodec::MIN_KEY_LENGTH {
            key.extend_from_slice(random_word().as_bytes());
        }
        Ok(Self {
            eras,
            catalog: Arc::new(Catalog::load()?),
            notices: Notices::new(),
            tasks: TaskManager::new(),
            seal: Arc::new(RequestStateCodec::try_new(key).map_err(io::Error::other)?),
            session: Arc::default(),
        })
    }

    /// The same server for a new legacy session: shares tasks and announcements, not the log level or subscriptions.
    #[must_use]
    pub fn session(&self) -> Self {
        Self {
            session: Arc::default(),
            ..self.clone()
        }
    }

    fn call<'a>(
        &'a self,
        context: &'a RequestContext<RoleServer>,
        subject: String,
        responses: Option<rmcp::model::InputResponses>,
        state: Option<String>,
    ) -> Result<Call<'a>, ErrorData> {
        Call::new(context, &self.seal, subject, responses, state.as_deref())
    }
}

/// Sixteen random hexadecimal digits, from the standard library's own source of hash keys.
fn random_word() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(deprecated, reason = "a legacy server must keep logging and resource subscriptions")]
impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_completions()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("portcullis-everything", env!("CARGO_PKG_VERSION")))
            .with_instructions("A server for tests: one of everything.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.eras.versions()
    }

    async fn discover(&self, _context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info())
            .with_ttl_ms(CACHE_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.catalog.tools.clone())
            .with_ttl_ms(CACHE_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.catalog.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let CallToolRequestParams {
            name,
            arguments,
            input_responses,
            request_state,
            ..
        } = request;
        let call = self.call(&context, format!("tools/call {name}"), input_responses, request_state)?;
        match tools::run(self, &name, arguments.unwrap_or_default(), &call).await {
            Ok(response) => Ok(response),
            Err(Stop::Pending(result)) => Ok(result.into()),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::Failed(text)) => Ok(tools::failure(text).into()),
        }
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(self.catalog.prompts.clone())
            .with_ttl_ms(CACHE_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let GetPromptRequestParams {
            name,
            arguments,
            input_responses,
            request_state,
            ..
        } = request;
        let call = self.call(&context, format!("prompts/get {name}"), input_responses, request_state)?;
        match prompts::get(&name, &arguments.unwrap_or_default(), &call).await {
            Ok(result) => Ok(result.into()),
            Err(Stop::Pending(result)) => Ok(result.into()),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::Failed(text)) => Err(ErrorData::internal_error(text, None)),
        }
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(self.catalog.resources.clone())
            .with_ttl_ms(CACHE_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(
            ListResourceTemplatesResult::with_all_items(self.catalog.templates.clone())
                .with_ttl_ms(CACHE_TTL_MS)
                .with_cache_scope(CacheScope::Public),
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(resources::read(&request.uri)?
            .with_ttl_ms(CACHE_TTL_MS)
            .with_cache_scope(CacheScope::Private)
            .into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = ["paris", "park", "party", "test", "testing"]
            .into_iter()
            .filter(|word| word.starts_with(&request.argument.value))
            .map(str::to_owned)
            .collect();
        let completion =
            CompletionInfo::with_all_values(values).map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(completion))
    }

    async fn set_level(
        &self,
        request: rmcp::model::SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *lock(&self.session.log_level) = Some(notices::severity(&request.level));
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        resources::read(&request.uri)?;
        lock(&self.session.watched).insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        lock(&self.session.watched).remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        self.notices.forward_to_subscription(&subscription).await;
        Ok(())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let session = Arc::clone(&self.session);
        let watches = move |uri: &str| lock(&session.watched).contains(uri);
        tokio::spawn(self.notices.subscribe().forward_to_session(context.peer, watches));
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }
}
