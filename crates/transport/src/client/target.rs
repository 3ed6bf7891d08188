//! How to reach a server, checked and prepared once: nothing here can fail later for a reason that the configuration could
//! have told.

use super::era::EraCache;
use super::garbage::LastGarbage;
use super::http::Place;
use super::pool::{Endpoint, PoolLimits};
use super::tls::{self, TlsError, TlsOptions};
use crate::child::CommandSpec;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use portcullis_wire::Limits;
use rustls_pki_types::ServerName;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Bounds on what an HTTP server may make us hold.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// One message, as a body or as an event.
    pub message: Limits,
    /// The event stream of one request, in bytes; subscriptions and the standing stream have none.
    pub stream_bytes_max: u64,
    /// Connections.
    pub pool: PoolLimits,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            message: Limits::default(),
            stream_bytes_max: 256 << 20,
            pool: PoolLimits::default(),
        }
    }
}

/// A Streamable HTTP server as it is configured.
#[derive(Clone)]
pub struct HttpOptions {
    /// The server's name in the configuration, for the log.
    pub name: String,
    /// Where it is: `http` or `https`, no user name in it.
    pub url: String,
    /// Headers of every request, secrets among them: the values are never shown.
    pub headers: Vec<(String, String)>,
    /// For `https`.
    pub tls: TlsOptions,
    /// How long a connection may take, name resolution and TLS included.
    pub connect_time_max: Duration,
    /// How long the handshake may take, probing included.
    pub handshake_time_max: Duration,
    /// Limits.
    pub limits: HttpLimits,
}

impl HttpOptions {
    /// A server at `url` with everything else as it is by default.
    #[must_use]
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            tls: TlsOptions::default(),
            connect_time_max: Duration::from_secs(10),
            handshake_time_max: Duration::from_secs(30),
            limits: HttpLimits::default(),
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpOptions")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("headers", &headers)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Why a server cannot be reached as configured.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The address is none.
    #[error("`{url}` is no address of a server: {problem}")]
    Url {
        /// As configured.
        url: String,
        /// What is wrong, with what to do.
        problem: &'static str,
    },
    /// A header cannot be sent. Its value is not shown.
    #[error("header `{name}` cannot be sent: {problem}")]
    Header {
        /// As configured.
        name: String,
        /// What is wrong, with what to do.
        problem: &'static str,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A Streamable HTTP server, ready to be connected to. Clones share the cached era.
#[derive(Clone)]
pub struct HttpTarget {
    pub(super) place: Arc<Place>,
}

impl fmt::Debug for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTarget")
            .field("name", &self.place.name)
            .field("url", &self.place.absolute)
            .finish_non_exhaustive()
    }
}

impl HttpTarget {
    /// Checks `options` and reads the files that they name.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn new(options: HttpOptions) -> Result<Self, TargetError> {
        let bad_url = |problem| TargetError::Url {
            url: options.url.clone(),
            problem,
        };
        let absolute: Uri = options
            .url
            .parse()
            .map_err(|_| bad_url("it cannot be read (hint: write `https://host/path`)"))?;
        let is_tls = match absolute.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(bad_url("it does not begin with `https://` or `http://`")),
        };
        let Some(authority) = absolute.authority() else {
            return Err(bad_url("it names no host"));
        };
        if authority.as_str().contains('@') {
            return Err(TargetError::Url {
                // Not shown whole: there is a secret in it.
                url: format!(
                    "{}://...@{}",
                    absolute.scheme_str().unwrap_or_default(),
                    authority.host()
                ),
                problem: "it has a user name in it (hint: send credentials in a header, from a secret reference)",
            });
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.is_empty() {
            return Err(bad_url("it names no host"));
        }
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let host_header =
            HeaderValue::from_str(authority.as_str()).map_err(|_| bad_url("the host cannot stand in a header"))?;
        let origin_form = absolute
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .parse()
            .map_err(|_| bad_url("the path cannot be read"))?;
        let tls = match is_tls {
            false => None,
            true => {
                let server_name = ServerName::try_from(host.clone())
                    .map_err(|_| bad_url("the host is no name that a certificate can have"))?;
                Some((tls::client_config(&options.tls)?, server_name))
            }
        };
        let mut headers = configured_headers(&options.headers)?;
        headers.insert(HOST, host_header);
        let endpoint = Endpoint::new(
            host,
            port,
            tls,
            options.tls == TlsOptions::default(),
            options.connect_time_max,
            options.limits.pool.clone(),
        );
        Ok(Self {
            place: Arc::new(Place {
                name: options.name,
                endpoint,
                origin_form,
                absolute,
                headers,
                limits: options.limits,
                handshake_time_max: options.handshake_time_max,
                era: EraCache::default(),
            }),
        })
    }
}

fn configured_headers(configured: &[(String, String)]) -> Result<HeaderMap, TargetError> {
    let mut headers = HeaderMap::with_capacity(configured.len() + 8);
    for (name, value) in configured {
        let bad = |problem| TargetError::Header {
            name: name.clone(),
            problem,
        };
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| bad("that is no header name (hint: letters, digits and hyphens)"))?;
        let ours = [
            ACCEPT,
            CONNECTION,
            CONTENT_ENCODING,
            CONTENT_LENGTH,
            CONTENT_TYPE,
            HOST,
            TE,
            TRAILER,
            TRANSFER_ENCODING,
            UPGRADE,
        ];
        if ours.contains(&parsed) || parsed.as_str().starts_with("mcp-") || parsed == super::http::LAST_EVENT_ID {
            return Err(bad("the protocol sets it (hint: remove it)"));
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| bad("its value has a line break or another character that no header may have (hint: does the secret end with a newline?)"))?;
        value.set_sensitive(true);
        headers.append(parsed, value);
    }
    Ok(headers)
}

/// A command that speaks MCP on its stdin and stdout.
#[derive(Clone)]
pub struct CommandTarget {
    pub(super) spec: Arc<CommandSpec>,
    pub(super) limits: Limits,
    pub(super) probe_time_max: Duration,
    pub(super) handshake_time_max: Duration,
    pub(super) era: Arc<EraCache>,
    /// Of connections that are being opened.
    pub(super) opening_garbage: Arc<LastGarbage>,
}

impl fmt::Debug for CommandTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the environment: there may be secrets in it.
        f.debug_struct("CommandTarget")
            .field("name", &self.spec.name)
            .field("program", &self.spec.program)
            .finish_non_exhaustive()
    }
}

impl CommandTarget {
    /// How long a command may leave `server/discover` unanswered before it counts as legacy. Long enough for a package runner
    /// that fetches before it runs.
    const PROBE_TIME_MAX: Duration = Duration::from_secs(20);
    /// How long the whole handshake may take.
    const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(60);

    /// The command of `spec`; its messages are bounded by `limits` and its lines by the limit in `spec`. Clones
    /// share the cached era.
    #[must_use]
    pub fn new(spec: CommandSpec, limits: Limits) -> Self {
        Self {
            spec: Arc::new(spec),
            limits,
            probe_time_max: Self::PROBE_TIME_MAX,
            handshake_time_max: Self::HANDSHAKE_TIME_MAX,
            era: Arc::default(),
            opening_garbage: Arc::default(),
        }
    }

    /// With other times for the probe and for the whole handshake.
    #[must_use]
    pub const fn with_times(mut self, probe_time_max: Duration, handshake_time_max: Duration) -> Self {
        self.probe_time_max = probe_time_max;
        self.handshake_time_max = handshake_time_max;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, headers: &[(&str, &str)]) -> Result<HttpTarget, TargetError> {
        HttpTarget::new(HttpOptions {
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..HttpOptions::new("bank", url)
        })
    }

    #[test]
    fn an_address_is_taken_apart_once() {
        let place = target("http://[::1]:8080/mcp?x=1#frag", &[]).unwrap().place;
        assert_eq!(place.origin_form, "/mcp?x=1");
        assert_eq!(place.headers[HOST], "[::1]:8080");
        let place = target("http://example.org", &[]).unwrap().place;
        assert_eq!(place.origin_form, "/");
    }

    #[test]
    fn bad_addresses_are_refused() {
        for url in [
            "",
            "example.org",
            "/mcp",
            "ftp://example.org/",
            "http://",
            "http://a b/",
            "unix:/x",
        ] {
            assert!(matches!(target(url, &[]), Err(TargetError::Url { .. })), "{url}");
        }
        let refused = target("https://me:s3cret@example.org/", &[]).unwrap_err().to_string();
        assert!(!refused.contains("s3cret"), "{refused}");
    }

    #[test]
    fn headers_of_the_protocol_and_broken_values_are_refused_and_secrets_not_shown() {
        for name in [
            "Host",
            "content-type",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "Transfer-Encoding",
            "a b",
            "",
        ] {
            assert!(
                matches!(target("http://h/", &[(name, "x")]), Err(TargetError::Header { .. })),
                "{name}"
            );
        }
        let refused = target("http://h/", &[("Authorization", "Bearer s3cret\n")])
            .unwrap_err()
            .to_string();
        assert!(!refused.contains("s3cret"), "{refused}");
        let options = HttpOptions {
            headers: vec![("Authorization".into(), "Bearer s3cret".into())],
            ..HttpOptions::new("bank", "http://h/")
        };
        assert!(!format!("{options:?}").contains("s3cret"));
        let target = HttpTarget::new(options).unwrap();
        assert!(!format!("{target:?} {:?}", target.place.headers).contains("s3cret"));
    }
}
