//! Words that the file may use for names and addresses, each parsed once into a type that cannot be wrong. It knows no
//! TOML: what is wrong is said without a place, and the reader adds it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Longest name of an upstream or endpoint, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 32;
/// Longest name of a caller, in bytes; the gateway's own limit for subjects.
const CALLER_BYTES_MAX: usize = 256;
/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// A word that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct BadWord {
    /// What is wrong, with the word in backticks.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: String,
}

fn bad(message: impl Into<String>, hint: impl Into<String>) -> BadWord {
    BadWord {
        message: message.into(),
        hint: hint.into(),
    }
}

/// Gives a text type the traits that serde and the schema want; `$format` is the word by which the reader of the file
/// finds the parser again ([`check`]).
macro_rules! word {
    ($name:ident, $format:literal, $pattern:expr) => {
        impl TryFrom<String> for $name {
            type Error = BadWord;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.to_string()
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let pattern: Option<&str> = $pattern;
                match pattern {
                    Some(pattern) => {
                        schemars::json_schema!({"type": "string", "format": $format, "pattern": pattern})
                    }
                    None => schemars::json_schema!({"type": "string", "format": $format}),
                }
            }
        }
    };
}

/// The name of an upstream or an endpoint: part of a path and of every policy, so it is plain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Name(String);

word!(Name, "portcullis-name", Some("^[a-z0-9][a-z0-9-]{0,31}$"));

impl Name {
    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if plain && !text.is_empty() && !text.starts_with('-') && text.len() <= NAME_BYTES_MAX {
            return Ok(Self(text.to_owned()));
        }
        let suggestion: String = text
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let suggestion = suggestion.trim_matches('-');
        let suggestion = suggestion.get(..NAME_BYTES_MAX).unwrap_or(suggestion);
        Err(bad(
            format!("`{text}` is no valid name"),
            match suggestion {
                "" => format!("1 to {NAME_BYTES_MAX} of a-z, 0-9 and `-`, not beginning with `-`"),
                word => format!("1 to {NAME_BYTES_MAX} of a-z, 0-9 and `-`, for example `{word}`"),
            },
        ))
    }
}

/// The name that a caller goes by in policy and record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CallerName(String);

word!(CallerName, "portcullis-caller", None);

impl CallerName {
    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CallerName {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > CALLER_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(bad(
                format!("`{}` is no name of a caller", text.escape_debug()),
                format!("1 to {CALLER_BYTES_MAX} bytes without control characters"),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An address and port to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ListenAddress(pub(crate) SocketAddr);

word!(ListenAddress, "portcullis-address", None);

impl ListenAddress {
    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(self) -> bool {
        self.0.ip().is_loopback()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ListenAddress {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let example = "an address and a port, for example `127.0.0.1:8650` or `[::1]:8650`";
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        // The usual slips: a name, a bare port, a bare address.
        let hint = match text {
            _ if text.parse::<std::net::IpAddr>().is_ok() => "add a port, for example 8650".to_owned(),
            _ if text.starts_with("localhost:") => {
                text.replacen("localhost", "write `127.0.0.1", 1) + "`: a name may mean several addresses"
            }
            _ if text.trim_start_matches(':').parse::<u16>().is_ok() => {
                format!("write `127.0.0.1:{}`", text.trim_start_matches(':'))
            }
            _ => example.to_owned(),
        };
        Err(bad(format!("`{text}` is no address to listen on"), hint))
    }
}

/// Where an MCP server answers: `http` or `https`, a host, a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ServerUrl(http::Uri);

word!(ServerUrl, "portcullis-url", Some("^https?://[^#@]+$"));

impl ServerUrl {
    /// Whether it is encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether the host is this machine by address or by the name `localhost`.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ServerUrl {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let example = "for example `https://mcp.example.org/mcp`";
        if text.len() > URL_BYTES_MAX {
            return Err(bad(
                format!("a URL of {} bytes", text.len()),
                format!("at most {URL_BYTES_MAX}"),
            ));
        }
        let authority = text.split("//").nth(1).unwrap_or_default();
        let authority = authority.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            // The word itself is not repeated: it may hold a password.
            return Err(bad(
                "a URL must not carry a user name or password",
                "remove what stands before `@` and use `headers = { Authorization = { env = \"NAME\" } }`",
            ));
        }
        if text.contains('#') {
            return Err(bad(format!("`{text}` has a fragment"), "remove `#` and what follows"));
        }
        match text.parse::<http::Uri>() {
            Ok(uri)
                if matches!(uri.scheme_str(), Some("http" | "https"))
                    && uri.host().is_some_and(|host| !host.is_empty()) =>
            {
                Ok(Self(uri))
            }
            Ok(_) => Err(bad(format!("`{text}` is no http or https URL"), example)),
            Err(error) => Err(bad(format!("`{text}` is no URL: {error}"), example)),
        }
    }
}

/// Checks `text` against the word that `format` names; formats that are not ours are for other readers of the schema.
pub(crate) fn check(format: &str, text: &str) -> Result<(), BadWord> {
    match format {
        "portcullis-name" => text.parse::<Name>().map(drop),
        "portcullis-caller" => text.parse::<CallerName>().map(drop),
        "portcullis-address" => text.parse::<ListenAddress>().map(drop),
        "portcullis-url" => text.parse::<ServerUrl>().map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["bank", "a", "0-1", &"x".repeat(32)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "Bank", "a b", "a_b", "é", &"x".repeat(33)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
        assert!("My Bank".parse::<Name>().unwrap_err().hint.ends_with("`my-bank`"));
    }

    #[test]
    fn addresses_need_a_port() {
        assert!("127.0.0.1:8650".parse::<ListenAddress>().unwrap().is_loopback());
        assert!("[::1]:1".parse::<ListenAddress>().unwrap().is_loopback());
        assert!(!"0.0.0.0:8650".parse::<ListenAddress>().unwrap().is_loopback());
        let hint = |text: &str| text.parse::<ListenAddress>().unwrap_err().hint;
        assert_eq!(hint("8650"), "write `127.0.0.1:8650`");
        assert_eq!(hint(":8650"), "write `127.0.0.1:8650`");
        assert_eq!(hint("::1"), "add a port, for example 8650");
        assert!(hint("localhost:80").starts_with("write `127.0.0.1:80`"));
    }

    #[test]
    fn urls_are_http_without_credentials() {
        for good in [
            "http://127.0.0.1:1/mcp",
            "https://a.example",
            "https://a.example/x?y=@z",
        ] {
            assert!(good.parse::<ServerUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "ftp://a",
            "a.example/mcp",
            "http://",
            "https://a/#x",
            "/mcp",
            "http:/a",
        ] {
            assert!(bad.parse::<ServerUrl>().is_err(), "{bad}");
        }
        let error = "https://user:hunter2@a.example/".parse::<ServerUrl>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!("http://[::1]:80/".parse::<ServerUrl>().unwrap().is_loopback());
        assert!("http://localhost/".parse::<ServerUrl>().unwrap().is_loopback());
        assert!(!"http://example.org/".parse::<ServerUrl>().unwrap().is_loopback());
    }
}
