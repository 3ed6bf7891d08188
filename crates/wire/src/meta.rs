//! `_meta`: the keys that the protocol reserves, and what a modern request must say in it (2026-07-28, basic/index).

use crate::error::{self, RpcError};
use crate::json::{Kind, Raw};
use crate::revision::{Era, Revision};

/// Version of the protocol that a request speaks.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// What the client can do, for this request.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who the client says it is. For display: never for a decision.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Least severe log message that the client wants for this request.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The listen request that a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// Who the server says it is.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The task that a message belongs to (2025-11-25 tasks).
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
/// Upstreams that a merged list lacks, with the reason. Ours.
pub const UNAVAILABLE: &str = "io.portcullis/unavailable";

/// What a modern request says of itself.
#[derive(Debug, Clone)]
pub struct ModernMeta {
    /// The version; only 2026-07-28 is modern.
    pub revision: Revision,
    /// `clientCapabilities`, an object.
    pub capabilities: Raw,
    /// `clientInfo`, if sent.
    pub client_info: Option<Raw>,
    /// `logLevel`, if sent.
    pub log_level: Option<String>,
}

impl ModernMeta {
    /// Whether `params` carries any of the keys that only a modern client sends.
    #[must_use]
    pub fn is_present(params: Option<&Raw>) -> bool {
        meta(params).is_some_and(|meta| meta.has(PROTOCOL_VERSION) || meta.has(CLIENT_CAPABILITIES))
    }

    /// Reads the required keys.
    ///
    /// # Errors
    /// `-32602` with HTTP 400 where one is missing or of the wrong type, `-32022` for a version we do not speak.
    pub fn read(params: Option<&Raw>) -> Result<Self, RpcError> {
        let missing = |what: &str| {
            RpcError::new(
                error::INVALID_PARAMS,
                format!("missing or invalid `{what}` in `params._meta`, hint: 2026-07-28 wants it in every request"),
            )
            .with_status(400)
        };
        let meta = meta(params).ok_or_else(|| missing("_meta"))?;
        // A duplicate key is refused by name.
        meta.check_members()
            .map_err(|error| RpcError::new(error::INVALID_PARAMS, format!("`_meta`: {error}")).with_status(400))?;
        let version = meta.get(PROTOCOL_VERSION).ok_or_else(|| missing(PROTOCOL_VERSION))?;
        let version = version.as_string().ok_or_else(|| missing(PROTOCOL_VERSION))?;
        let revision = version
            .parse::<Revision>()
            .ok()
            .filter(|revision| revision.era() == Era::Modern)
            .ok_or_else(|| RpcError::unsupported_version(&version))?;
        let capabilities = meta
            .get(CLIENT_CAPABILITIES)
            .filter(|capabilities| capabilities.kind() == Kind::Object)
            .ok_or_else(|| missing(CLIENT_CAPABILITIES))?;
        Ok(Self {
            revision,
            capabilities,
            client_info: meta.get(CLIENT_INFO),
            log_level: meta
                .get(LOG_LEVEL)
                .and_then(|level| level.as_string().map(|text| text.into_owned())),
        })
    }
}

/// `_meta` of `params`, if it is an object.
#[must_use]
pub fn meta(params: Option<&Raw>) -> Option<Raw> {
    params?.get("_meta").filter(|meta| meta.kind() == Kind::Object)
}
