//! JSON-RPC errors and which revision may carry which code (base protocol, "Error Codes").

use crate::id::Id;
use crate::json::{Raw, write_string};
use crate::revision::{Era, Revision};
use bytes::Bytes;

/// Invalid JSON was received.
pub const PARSE: i32 = -32700;
/// Not a valid request object.
pub const INVALID_REQUEST: i32 = -32600;
/// The method does not exist or is not available.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// Invalid parameters; since 2026-07-28 also an unknown resource.
pub const INVALID_PARAMS: i32 = -32602;
/// Internal error.
pub const INTERNAL: i32 = -32603;
/// Resource not found, up to 2025-11-25.
pub const RESOURCE_NOT_FOUND: i32 = -32002;
/// A URL elicitation is required first, 2025-11-25 only.
pub const URL_ELICITATION_REQUIRED: i32 = -32042;
/// Headers and body disagree, 2026-07-28.
pub const HEADER_MISMATCH: i32 = -32020;
/// The client lacks a capability, 2026-07-28.
pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
/// The protocol version is not supported, 2026-07-28.
pub const UNSUPPORTED_VERSION: i32 = -32022;
/// The user rejected sampling, legacy.
pub const USER_REJECTED: i32 = -1;

/// Whether a peer on `revision` may be sent `code`. Codes outside the reserved range are the application's and may always;
/// -32000 to -32019 are grandfathered.
#[must_use]
pub fn may_carry(code: i32, revision: Revision) -> bool {
    match code {
        RESOURCE_NOT_FOUND => revision.era() == Era::Legacy,
        URL_ELICITATION_REQUIRED => revision == Revision::V2025_11_25,
        HEADER_MISMATCH | MISSING_CLIENT_CAPABILITY | UNSUPPORTED_VERSION => revision.era() == Era::Modern,
        _ => true,
    }
}

/// The HTTP status that a modern answer with this error has (2026-07-28, streamable HTTP); 200 for all others. A missing
/// `_meta` is the one `-32602` with 400, which only the door can tell: see `RpcError::status`.
#[must_use]
pub const fn modern_status(code: i32) -> u16 {
    match code {
        PARSE | INVALID_REQUEST | HEADER_MISMATCH | MISSING_CLIENT_CAPABILITY | UNSUPPORTED_VERSION => 400,
        METHOD_NOT_FOUND => 404,
        _ => 200,
    }
}

/// An error that this program makes. Errors of others pass as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// JSON-RPC code.
    pub code: i32,
    /// What the peer reads: lower case, what to do after `hint:`.
    pub message: String,
    /// JSON text of `data`, if any.
    pub data: Option<Bytes>,
    /// The HTTP status where it differs from what the code says.
    pub status: Option<u16>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
            status: None,
        }
    }

    /// With `data`, JSON text.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// With an HTTP status of its own.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The protocol version is not supported (2026-07-28, versioning).
    #[must_use]
    pub fn unsupported_version(requested: &str) -> Self {
        let mut data = br#"{"supported":["#.to_vec();
        for (index, revision) in Revision::ALL.into_iter().rev().enumerate() {
            if index > 0 {
                data.push(b',');
            }
            write_string(&mut data, revision.as_str());
        }
        data.extend_from_slice(br#"],"requested":"#);
        write_string(&mut data, requested);
        data.push(b'}');
        Self::new(
            UNSUPPORTED_VERSION,
            format!("unsupported protocol version `{requested}`"),
        )
        .with_data(data)
    }

    /// The `error` object as JSON text.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = format!(r#"{{"code":{},"message":"#, self.code).into_bytes();
        write_string(&mut out, &self.message);
        if let Some(data) = &self.data {
            out.extend_from_slice(br#","data":"#);
            out.extend_from_slice(data);
        }
        out.push(b'}');
        out
    }

    /// The whole response message for `id`; without an id the member is absent, as it must be where the request's could not
    /// be read (2025-11-25 and later schemas; a legacy peer gets `null`).
    #[must_use]
    pub fn to_message(&self, id: Option<&Id>, era: Era) -> Bytes {
        let mut out = br#"{"jsonrpc":"2.0","#.to_vec();
        match (id, era) {
            (Some(id), _) => {
                out.extend_from_slice(br#""id":"#);
                out.extend_from_slice(id.as_json());
                out.push(b',');
            }
            (None, Era::Legacy) => out.extend_from_slice(br#""id":null,"#),
            (None, Era::Modern) => {}
        }
        out.extend_from_slice(br#""error":"#);
        out.extend_from_slice(&self.to_json());
        out.push(b'}');
        Bytes::from(out)
    }

    /// Reads the code of an `error` object.
    #[must_use]
    pub fn code_of(error: &Raw) -> Option<i32> {
        error.get("code")?.as_i64().and_then(|code| i32::try_from(code).ok())
    }
}
