//! The demo: a small invented bank as an MCP server in this process, so that a newcomer has real calls to make in the first
//! minute. Revision 2026-07-28, stateless. It is a server like any other: it knows nothing of callers, policy or record.

mod bank;
mod iban;
mod people;
mod prompts;
mod resources;
mod tools;
mod worker;

pub(crate) use bank::OpenError;

use crate::config::file::EffectWord;
use portcullis_transport::{BoxFuture, Server};
use portcullis_wire::{Method, Notification, Raw, Request, Revision, RpcError, error};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;
use tokio::sync::mpsc;
use worker::Worker;

/// The name of the demo's upstream when no file says another one.
pub(crate) const NAME: &str = "bank";
/// The file in the state directory that holds the bank's books.
pub(crate) const FILE_NAME: &str = "demo-bank.sqlite";
/// How long a list may be kept: it is part of the program.
const LISTS_TTL_MS: u64 = 3_600_000;

/// What each tool does to the world, as the operator of this bank would pin it.
pub(crate) const EFFECTS: [(&str, EffectWord); 6] = [
    ("find_customer", EffectWord::Read),
    ("get_customer", EffectWord::Read),
    ("list_accounts", EffectWord::Read),
    ("list_transactions", EffectWord::Read),
    ("monthly_statement", EffectWord::Read),
    ("transfer", EffectWord::Commit),
];

/// The bank as a server.
pub(crate) struct Demo {
    worker: Worker,
    greeting: Raw,
    tools: Raw,
}

impl Demo {
    /// Opens the bank whose books are the file `path`; made and filled if absent.
    ///
    /// # Errors
    /// The file cannot be used, or is something else.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        Self::with(bank::open(path)?)
    }

    /// A bank in memory.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::with(bank::in_memory()).unwrap()
    }

    fn with(connection: Connection) -> Result<Self, OpenError> {
        let constant = |value: Value| own(&value).map_err(|error| OpenError::Io(std::io::Error::other(error.message)));
        Ok(Self {
            greeting: constant(greeting())?,
            tools: constant(tools::list()?)?,
            worker: Worker::start(connection)?,
        })
    }

    async fn answer(&self, request: &Request, news: &mpsc::Sender<Notification>) -> Result<Raw, RpcError> {
        let params = Params::read(request)?;
        match request.method() {
            Method::ToolsList => params.first_page().map(|()| self.tools.clone()),
            Method::ToolsCall => tools::call(&self.worker, &params, news).await,
            Method::ResourcesList => params.first_page().and_then(|()| own(&resources::list())),
            Method::ResourcesTemplatesList => params.first_page().and_then(|()| own(&resources::templates())),
            Method::ResourcesRead => resources::read(&self.worker, &params).await,
            Method::PromptsList => params.first_page().and_then(|()| own(&prompts::list())),
            Method::PromptsGet => prompts::get(&self.worker, &params).await,
            Method::CompletionComplete => prompts::complete(&self.worker, &params).await,
            method => Err(RpcError::new(
                error::METHOD_NOT_FOUND,
                format!("the demo bank has no method `{method}`"),
            )),
        }
    }
}

impl Server for Demo {
    fn discover(&self) -> Raw {
        self.greeting.clone()
    }

    fn handle<'a>(
        &'a self,
        request: &'a Request,
        news: &'a mpsc::Sender<Notification>,
    ) -> BoxFuture<'a, Result<Raw, RpcError>> {
        Box::pin(self.answer(request, news))
    }
}

fn greeting() -> Value {
    complete(
        json!({
            "supportedVersions": [Revision::NEWEST.as_str()],
            "capabilities": {"tools": {}, "resources": {}, "prompts": {}, "completions": {}},
            "instructions": "An invented bank: no person, account or payment is real. Begin with `find_customer`.",
        }),
        Some((LISTS_TTL_MS, "public")),
    )
}

/// A complete result (2026-07-28, basic/index) with who made it, and for how long it may be kept where that is said.
fn complete(mut result: Value, cache: Option<(u64, &str)>) -> Value {
    if let Some(members) = result.as_object_mut() {
        members.insert("resultType".to_owned(), json!("complete"));
        if let Some((ttl_ms, scope)) = cache {
            members.insert("ttlMs".to_owned(), json!(ttl_ms));
            members.insert("cacheScope".to_owned(), json!(scope));
        }
        members.insert(
            "_meta".to_owned(),
            json!({portcullis_wire::meta::SERVER_INFO: {
                "name": "portcullis-demo-bank", "title": "Demo bank", "version": env!("CARGO_PKG_VERSION"),
            }}),
        );
    }
    result
}

fn own(value: &Value) -> Result<Raw, RpcError> {
    Raw::own(value.to_string()).map_err(|error| {
        tracing::error!(%error, "the demo bank made a result that is no JSON");
        RpcError::new(error::INTERNAL, "the demo bank failed")
    })
}

/// What a caller hears when the bank itself fails; the cause is in the log.
fn failed(cause: &dyn std::fmt::Display) -> RpcError {
    tracing::error!(%cause, "the demo bank failed");
    RpcError::new(error::INTERNAL, "the demo bank failed")
}

fn invalid(message: impl Into<String>) -> RpcError {
    RpcError::new(error::INVALID_PARAMS, message)
}

/// The parameters of a request, read as a whole.
struct Params(serde_json::Map<String, Value>);

impl Params {
    fn read(request: &Request) -> Result<Self, RpcError> {
        let Some(params) = request.params() else {
            return Ok(Self(serde_json::Map::new()));
        };
        params.refuse_duplicates().map_err(|error| invalid(error.to_string()))?;
        let params = serde_json::from_slice(params.as_bytes()).map_err(|error| invalid(error.to_string()))?;
        Ok(Self(params))
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    fn text(&self, key: &str) -> Result<&str, RpcError> {
        self.get(key)
            .and_then(Value::as_str)
            .ok_or_else(|| invalid(format!("`{key}` must be a string")))
    }

    /// The lists have one page, so no cursor was ever given out.
    fn first_page(&self) -> Result<(), RpcError> {
        match self.get("cursor") {
            None => Ok(()),
            Some(_) => Err(invalid("unknown cursor, hint: ask without one")),
        }
    }

    /// The token that progress is reported under, if it is wanted.
    fn progress_token(&self) -> Option<&Value> {
        self.get("_meta")?
            .get("progressToken")
            .filter(|token| token.is_string() || token.is_i64() || token.is_u64())
    }
}

#[cfg(test)]
mod tests;
