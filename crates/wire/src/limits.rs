//! The one table of limits on what comes from outside as a message. Numbers stand here and nowhere else; transports and
//! stages take a `&Limits`.

/// Bounds on one received message. `Default` is what the gateway uses where the configuration says nothing.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Whole message, in bytes.
    pub message_bytes_max: usize,
    /// Nesting of arrays and objects; the outermost container is depth 1. At most [`Limits::DEPTH_CEILING`].
    pub depth_max: usize,
    /// Members of one object that the gateway reads.
    pub members_max: usize,
    /// A JSON-RPC id as text, quotes included, in bytes.
    pub id_bytes_max: usize,
    /// A method name, in bytes.
    pub method_bytes_max: usize,
    /// Messages in one 2025-03-26 batch.
    pub batch_max: usize,
}

impl Limits {
    /// Some readers recurse once a level; this keeps their stack far below a thread's.
    pub const DEPTH_CEILING: usize = 256;
    /// The value of a mirrored header as received, in bytes; longer ones are refused before they are decoded.
    pub const HEADER_VALUE_BYTES_MAX: usize = 8 << 10;
    /// The name that an `x-mcp-header` annotation gives, in bytes.
    pub const HEADER_NAME_BYTES_MAX: usize = 128;
    /// `x-mcp-header` annotations of one tool.
    pub const MIRRORED_MAX: usize = 32;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 16 << 20,
            depth_max: 128,
            members_max: 10_000,
            id_bytes_max: 512,
            method_bytes_max: 256,
            batch_max: 64,
        }
    }
}
