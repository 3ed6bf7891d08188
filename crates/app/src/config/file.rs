//! What may stand in the configuration file, as types. The doc comments are the published schema's descriptions and the
//! reader checks the file against that same schema, so what is documented, what is refused and what is used cannot
//! drift apart. Written for whoever writes a file, not for whoever reads this code. It knows no defaults that depend on
//! the machine: those are `plan`'s.

use super::name::{CallerName, ListenAddress, Name, ServerUrl};
use super::secret::{SecretReference, Value};
use portcullis_wire::Effect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Configuration of Portcullis. Every key has a default or may be left out unless it says otherwise; relative paths start at the file's directory.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "portcullis.toml")]
pub(crate) struct File {
    /// Where clients connect.
    pub(crate) listen: Listen,
    /// Who may call, and how callers prove who they are. API keys are kept in the state directory (`portcullis key create`).
    pub(crate) identity: Identity,
    /// Where Portcullis keeps what must outlive it.
    pub(crate) state: State,
    /// The MCP servers behind the gateway. Each is also served alone at `/mcp/NAME`.
    #[schemars(length(max = 1000))]
    pub(crate) upstream: Vec<Upstream>,
    /// Named subsets of the merged catalog, each served at `/mcp/NAME`. `/mcp` has everything.
    #[schemars(length(max = 1000))]
    pub(crate) endpoint: Vec<Endpoint>,
    /// Which calls are allowed. Default is deny.
    pub(crate) policy: Policy,
    /// The tamper-evident record of every call.
    pub(crate) record: Record,
    /// What is looked for in arguments, results and descriptions.
    pub(crate) screen: Screen,
    /// What the program says about itself.
    pub(crate) log: Log,
    /// Limits on messages and calls, whichever transport they come over.
    pub(crate) limits: Limits,
}

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// Address and port. Anything but a loopback address wants `tls` and `hosts`.
    pub(crate) address: ListenAddress,
    /// Threads that serve, each with connections of its own. Default: one per processor.
    #[schemars(range(min = 1, max = 256))]
    pub(crate) threads: Option<u16>,
    /// Serve TLS.
    pub(crate) tls: Option<ServerTls>,
    /// Names by which clients reach the gateway, compared with the `Host` header; others are refused. `NAME` or `NAME:PORT`. On a loopback address the default is the names of this machine.
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    pub(crate) hosts: Vec<String>,
    /// Web origins whose scripts may call, for example `https://inspector.example.org`; other requests with an `Origin` header are refused.
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    pub(crate) origins: Vec<String>,
    /// Listen without TLS on an address that other machines can reach. Credentials and data then travel in clear; only behind something that encrypts.
    pub(crate) danger_plaintext: bool,
    /// Limits on connections.
    pub(crate) limits: ListenLimits,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: ListenAddress(([127, 0, 0, 1], 8650).into()),
            threads: None,
            tls: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            danger_plaintext: false,
            limits: ListenLimits::default(),
        }
    }
}

/// A certificate for the listener.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTls {
    /// Certificate chain, PEM, the server's own first.
    #[schemars(length(min = 1))]
    pub(crate) certificate: PathBuf,
    /// File with the private key, PEM.
    #[schemars(length(min = 1))]
    pub(crate) key: PathBuf,
    /// Authorities, PEM, one of which must have signed the client's certificate; without it no client certificate is asked for.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) client_ca: Option<PathBuf>,
}

/// Most legacy sessions of one caller where the file does not say.
const SESSIONS_PER_CALLER_MAX: usize = 256;

/// Limits on connections.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenLimits {
    /// Bytes of one request's body.
    #[schemars(range(min = 1024, max = 268_435_456))]
    pub(crate) body_bytes_max: usize,
    /// Bytes of one request's headers.
    #[schemars(range(min = 8192, max = 1_048_576))]
    pub(crate) header_bytes_max: usize,
    /// Connections at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections_max: usize,
    /// Requests at once on one HTTP/2 connection.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) connection_streams_max: u32,
    /// Legacy sessions at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) sessions_max: usize,
    /// Legacy sessions at once of one caller; no more than `sessions_max`. Default: 256, or a quarter of `sessions_max` where that is less (at least 1).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) sessions_per_caller_max: Option<usize>,
    /// Time to send a request's headers, and to finish the TLS handshake.
    #[schemars(range(min = 100, max = 600_000))]
    pub(crate) header_timeout_ms: u64,
    /// Time to send a request's body.
    #[schemars(range(min = 100, max = 3_600_000))]
    pub(crate) body_timeout_ms: u64,
    /// Time that a connection may be idle.
    #[schemars(range(min = 1000, max = 86_400_000))]
    pub(crate) idle_timeout_ms: u64,
    /// Time between keep-alive comments on an open event stream.
    #[schemars(range(min = 1000, max = 600_000))]
    pub(crate) keep_alive_interval_ms: u64,
    /// Time for calls under way to finish when the gateway is told to stop.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub(crate) drain_timeout_ms: u64,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            header_bytes_max: 32 << 10,
            connections_max: 10_000,
            connection_streams_max: 128,
            sessions_max: 10_000,
            sessions_per_caller_max: None,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            idle_timeout_ms: 120_000,
            keep_alive_interval_ms: 15_000,
            drain_timeout_ms: 20_000,
        }
    }
}

impl ListenLimits {
    /// Legacy sessions at once of one caller.
    pub(crate) fn sessions_per_caller_max(&self) -> usize {
        let default = || (self.sessions_max / 4).clamp(1, SESSIONS_PER_CALLER_MAX);
        self.sessions_per_caller_max.unwrap_or_else(default)
    }
}

/// Who may call.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Identity {
    /// The name that a caller without a credential goes by. Only on a loopback address.
    pub(crate) anonymous: Option<CallerName>,
    /// Issuers whose signed tokens (JWT) are accepted.
    #[schemars(length(max = 64))]
    pub(crate) jwt: Vec<Jwt>,
}

/// An issuer of signed tokens.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwt {
    /// The `iss` that a token must carry, exactly.
    #[schemars(length(min = 1, max = 2048))]
    pub(crate) issuer: String,
    /// The `aud` that a token must carry: this gateway, never an upstream.
    #[schemars(length(min = 1, max = 2048))]
    pub(crate) audience: String,
    /// File with the issuer's public keys (RFC 7517 key set, JSON).
    #[schemars(length(min = 1))]
    pub(crate) jwks: PathBuf,
    /// Signature algorithms that are accepted. Symmetric ones and `none` do not exist here.
    #[serde(default = "algorithms")]
    #[schemars(length(min = 1))]
    pub(crate) algorithms: Vec<Algorithm>,
    /// The claim that names the caller.
    #[serde(default = "subject_claim")]
    #[schemars(length(min = 1, max = 256))]
    pub(crate) subject_claim: String,
    /// The claim that lists the caller's groups: an array of strings, or one string.
    #[serde(default)]
    #[schemars(length(min = 1, max = 256))]
    pub(crate) groups_claim: Option<String>,
    /// Put before the name of each caller, so that no other issuer and no API key has the same: `User::"PREFIXana"`. Default: the issuer and `#`. Of two issuers neither may have one that begins with the other's; `""` gives a lone issuer's callers the names of API keys.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub(crate) subject_prefix: Option<String>,
    /// Put before the name of each group. Default: `subject_prefix`. `""` lets the issuer put its callers into any group.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub(crate) group_prefix: Option<String>,
}

/// Longest prefix, in bytes: what follows must still fit a name.
pub(crate) const PREFIX_BYTES_MAX: usize = 128;

/// The prefix of an issuer that has none configured. It has the whole issuer, so that two issuers have two.
pub(crate) fn default_prefix(issuer: &str) -> String {
    format!("{issuer}#")
}

impl Jwt {
    /// What stands before every caller's name.
    pub(crate) fn subject_prefix(&self) -> String {
        self.subject_prefix
            .clone()
            .unwrap_or_else(|| default_prefix(&self.issuer))
    }

    /// What stands before every group's name.
    pub(crate) fn group_prefix(&self) -> String {
        self.group_prefix.clone().unwrap_or_else(|| self.subject_prefix())
    }
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]
}

fn subject_claim() -> String {
    "sub".to_owned()
}

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    /// ECDSA P-256.
    Es256,
    /// ECDSA P-384.
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSA PKCS #1 with SHA-256.
    Rs256,
    /// RSA PKCS #1 with SHA-384.
    Rs384,
    /// RSA PKCS #1 with SHA-512.
    Rs512,
    /// RSA PSS with SHA-256.
    Ps256,
    /// RSA PSS with SHA-384.
    Ps384,
    /// RSA PSS with SHA-512.
    Ps512,
}

impl Algorithm {
    /// As a token's header names it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }
}

/// What must outlive the program.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct State {
    /// Keys, pins, and by default policy and record. Default: `$PORTCULLIS_STATE`, or `portcullis` in the XDG state directory.
    #[schemars(length(min = 1))]
    pub(crate) directory: Option<PathBuf>,
}

/// An MCP server behind the gateway: exactly one of `url`, `command` and `demo`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// What policies and paths call it: 1 to 32 of a-z, 0-9 and `-`. Required and unique.
    pub(crate) name: Name,
    /// Where it answers, for a server that speaks Streamable HTTP.
    #[serde(default)]
    pub(crate) url: Option<ServerUrl>,
    /// Program and arguments, for a server that speaks stdio. No shell is involved.
    #[serde(default)]
    #[schemars(length(min = 1, max = 256), inner(length(max = 32_768)))]
    pub(crate) command: Option<Vec<String>>,
    /// The built-in demo bank.
    #[serde(default)]
    pub(crate) demo: bool,
    /// Environment of the command, over a few basics (PATH, HOME, LANG and the like): plain text or a reference to a secret.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(crate) env: BTreeMap<String, Value>,
    /// Give the command the whole environment of the gateway, not only the basics.
    #[serde(default)]
    pub(crate) inherit_env: bool,
    /// Headers on every request to the URL: plain text or a reference to a secret. The client's own credential is never passed on.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(crate) headers: BTreeMap<String, Value>,
    /// Credentials that callers may send to this server in arguments: references to secrets. All other secrets are refused there.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(crate) credentials: Vec<SecretReference>,
    /// Directory that the command runs in. Default: the directory of this file.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) working_directory: Option<PathBuf>,
    /// Which protocol eras to try.
    #[serde(default)]
    pub(crate) era: Era,
    /// Time for the connection to be made.
    #[serde(default = "connect_timeout_ms")]
    #[schemars(range(min = 100, max = 600_000))]
    pub(crate) connect_timeout_ms: u64,
    /// Time for a call, from the moment it is sent. Default: `limits.deadline_ms`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(crate) deadline_ms: Option<u64>,
    /// Calls at once. Default: `limits.upstream_concurrency_max`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) concurrency_max: Option<usize>,
    /// TLS towards the URL.
    #[serde(default)]
    pub(crate) tls: Option<ClientTls>,
    /// What is known of its tools, by the server's own names.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub(crate) tools: BTreeMap<String, Tool>,
}

const fn connect_timeout_ms() -> u64 {
    10_000
}

impl Upstream {
    /// One that is called `name` and says nothing else yet.
    pub(crate) const fn named(name: Name) -> Self {
        Self {
            name,
            url: None,
            command: None,
            demo: false,
            env: BTreeMap::new(),
            inherit_env: false,
            headers: BTreeMap::new(),
            credentials: Vec::new(),
            working_directory: None,
            era: Era::Probe,
            connect_timeout_ms: connect_timeout_ms(),
            deadline_ms: None,
            concurrency_max: None,
            tls: None,
            tools: BTreeMap::new(),
        }
    }
}

/// Which protocol eras to try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Era {
    /// Find out: modern first, then legacy.
    #[default]
    Probe,
    /// Sessions that begin with `initialize` (2024-11-05 to 2025-11-25).
    Legacy,
    /// Stateless (2026-07-28).
    Modern,
}

/// TLS towards a URL.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClientTls {
    /// Authorities, PEM, that are trusted instead of the operating system's.
    #[schemars(length(min = 1))]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate chain, PEM, that the gateway shows; wants `key`.
    #[schemars(length(min = 1))]
    pub(crate) certificate: Option<PathBuf>,
    /// File with the private key, PEM, of `certificate`.
    #[schemars(length(min = 1))]
    pub(crate) key: Option<PathBuf>,
}

/// What is known of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tool {
    /// What a call does to the world. Undeclared is `commit`, whatever the server says of itself.
    pub(crate) effect: Option<EffectWord>,
    /// Whether a second identical call changes nothing more. Default: true for `read` and `fetch`, else false.
    pub(crate) idempotent: Option<bool>,
    /// Time for a call. Default: the upstream's.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(crate) deadline_ms: Option<u64>,
    /// Leave it out of every list, and refuse calls to it.
    pub(crate) hidden: bool,
}

/// What a call does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EffectWord {
    /// Looks, inside the house.
    Read,
    /// A read whose argument leaves the house.
    Fetch,
    /// Changes something inside, reversibly.
    Write,
    /// Someone outside receives something.
    Outward,
    /// Binds: an order, a booking, a payment, a decision.
    Commit,
    /// Gives somebody a right.
    Grant,
    /// Creates or shows a credential.
    Credential,
    /// Cannot be taken back.
    Destroy,
}

impl From<EffectWord> for Effect {
    fn from(word: EffectWord) -> Self {
        match word {
            EffectWord::Read => Self::Read,
            EffectWord::Fetch => Self::Fetch,
            EffectWord::Write => Self::Write,
            EffectWord::Outward => Self::Outward,
            EffectWord::Commit => Self::Commit,
            EffectWord::Grant => Self::Grant,
            EffectWord::Credential => Self::Credential,
            EffectWord::Destroy => Self::Destroy,
        }
    }
}

/// A named subset of the merged catalog.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    /// It is served at `/mcp/NAME`; no upstream may have the name. Required and unique.
    pub(crate) name: Name,
    /// Names of the upstreams it has. Required.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) upstreams: Vec<Name>,
    /// Tools it has, as `UPSTREAM/TOOL`, where `*` stands for any text: `bank/list_*`. Default: all.
    #[serde(default)]
    #[schemars(length(max = 10_000), inner(length(min = 1, max = 256)))]
    pub(crate) tools: Option<Vec<String>>,
}

/// Which calls are allowed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    /// One file of Cedar policies.
    #[schemars(length(min = 1))]
    pub(crate) file: Option<PathBuf>,
    /// Several. Without `file` and `files`, a starter policy is written to the state directory on first run and read from there.
    #[schemars(length(min = 1, max = 1000), inner(length(min = 1)))]
    pub(crate) files: Option<Vec<PathBuf>>,
    /// No policy at all, for benchmarks. Everybody who is authenticated may everything then.
    pub(crate) danger_disabled: bool,
}

/// The record of every call.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Record {
    /// Where it is kept. Default: `record` in the state directory.
    #[schemars(length(min = 1))]
    pub(crate) directory: Option<PathBuf>,
    /// Name of the log in its checkpoints: a schema-less URL of yours, for example `example.org/portcullis`. Default: `portcullis.local/` and the name of the host. A log keeps the name it was started with.
    #[schemars(length(min = 1, max = 128))]
    pub(crate) origin: Option<String>,
    /// How safe a decision is before the server sees the call, by what the call does. An outcome is always durable before the answer is released.
    pub(crate) durability: DurabilityByClass,
    /// No record at all, for benchmarks. Nothing that happens can be proved then.
    pub(crate) danger_disabled: bool,
}

/// How safe a decision is before the server sees the call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DurabilityByClass {
    /// For `read` and `fetch`.
    pub(crate) read: Durability,
    /// For what may be repeated without further change.
    pub(crate) idempotent: Durability,
    /// For what changes something.
    pub(crate) write: Durability,
    /// For `destroy`.
    pub(crate) destructive: Durability,
}

impl Default for DurabilityByClass {
    fn default() -> Self {
        Self {
            read: Durability::Ordered,
            idempotent: Durability::Strict,
            write: Durability::Strict,
            destructive: Durability::Strict,
        }
    }
}

/// How safe a decision is before the server sees the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// Synced: survives the loss of power.
    Strict,
    /// Written, in order: survives the death of the program.
    Ordered,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Screen {
    /// Check arguments against the tool's `inputSchema` and structured results against its `outputSchema`.
    pub(crate) schema: bool,
    /// What to do with invisible and control characters (Unicode tags, zero width, bidirectional, terminal escapes).
    pub(crate) hidden_characters: HiddenCharacters,
    /// Look for secrets and personal data in what passes, and mask, withhold or refuse them as policy says.
    pub(crate) detectors: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            schema: true,
            hidden_characters: HiddenCharacters::Neutralise,
            detectors: true,
        }
    }
}

/// What to do with invisible and control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HiddenCharacters {
    /// Replace them by something visible.
    Neutralise,
    /// Refuse the call, the answer or the tool.
    Refuse,
    /// Let them pass and say so on the record.
    Report,
    /// Do not look for them.
    Ignore,
}

/// What the program says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// Least important message that is written; `$PORTCULLIS_LOG` overrides it.
    pub(crate) level: LogLevel,
    /// How messages look. They go to stderr.
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Text,
        }
    }
}

/// Importance of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// Something does not work.
    Error,
    /// Something will not.
    Warn,
    /// What an operator wants to see.
    Info,
    /// What a developer wants to see.
    Debug,
    /// Everything but payloads.
    Trace,
}

impl LogLevel {
    /// The word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Limits on messages and calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Bytes of one message, from a client or a server.
    #[schemars(range(min = 1024, max = 268_435_456))]
    pub(crate) message_bytes_max: usize,
    /// Depth of arrays and objects in a message.
    #[schemars(range(min = 8, max = 256))]
    pub(crate) depth_max: usize,
    /// Members of one object that the gateway reads.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub(crate) members_max: usize,
    /// Messages in one batch (revision 2025-03-26).
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) batch_max: usize,
    /// Time for a call where neither upstream nor tool says so.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub(crate) deadline_ms: u64,
    /// Calls at once to one upstream that does not say so itself.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) upstream_concurrency_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let wire = portcullis_wire::Limits::default();
        Self {
            message_bytes_max: wire.message_bytes_max,
            depth_max: wire.depth_max,
            members_max: wire.members_max,
            batch_max: wire.batch_max,
            deadline_ms: 60_000,
            upstream_concurrency_max: 256,
        }
    }
}
