//! A JSON-RPC id: a string or an integer, never null, kept as it was written and compared by what it means.

use crate::json::{self, Kind, Raw};
use bytes::Bytes;
use std::hash::{Hash, Hasher};

/// An id as it stands on the wire. Two ids are equal when they denote the same string or the same integer: `"a"` and
/// `"\u0061"` are one id, `1` and `"1"` are two (MCP base protocol, "Requests").
#[derive(Clone)]
pub struct Id {
    text: Bytes,
    /// The decoded string with its opening quote, kept only where the text has escapes.
    decoded: Option<Box<str>>,
}

impl Id {
    /// Reads an id; `None` when the value is neither a string nor an integer written without fraction or exponent.
    #[must_use]
    pub fn from_raw(raw: &Raw) -> Option<Self> {
        match raw.kind() {
            Kind::String => {
                let decoded = match raw.as_bytes().contains(&b'\\') {
                    true => Some(format!("\"{}", raw.as_string()?).into_boxed_str()),
                    false => None,
                };
                Some(Self {
                    text: raw.bytes(),
                    decoded,
                })
            }
            Kind::Number if raw.as_bytes().iter().all(|b| matches!(b, b'-' | b'0'..=b'9')) => Some(Self {
                text: raw.bytes(),
                decoded: None,
            }),
            _ => None,
        }
    }

    /// An integer id.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self {
            text: Bytes::from(number.to_string()),
            decoded: None,
        }
    }

    /// A string id.
    #[must_use]
    pub fn string(text: &str) -> Self {
        let encoded = json::string(text);
        let decoded = match encoded.contains(&b'\\') {
            true => Some(format!("\"{text}").into_boxed_str()),
            false => None,
        };
        Self {
            text: Bytes::from(encoded),
            decoded,
        }
    }

    /// The id as JSON text, as it was written.
    #[must_use]
    pub fn as_json(&self) -> &[u8] {
        &self.text
    }

    /// The id as JSON text, sharing the buffer.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.text.clone()
    }

    /// The integer, if it is one that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        std::str::from_utf8(&self.text).ok()?.parse().ok()
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_string(&self) -> Option<&str> {
        let key = std::str::from_utf8(self.key()).ok()?;
        key.strip_prefix('"')
    }

    /// What equality compares: the integer's text, or `"` and the decoded string. JSON integers have one spelling each, but
    /// for zero.
    fn key(&self) -> &[u8] {
        match &self.decoded {
            Some(decoded) => decoded.as_bytes(),
            None if self.text == b"-0".as_slice() => b"0",
            None => self.text.strip_suffix(b"\"").unwrap_or(&self.text),
        }
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &'static str) -> Option<Id> {
        Id::from_raw(&Raw::own(text).unwrap())
    }

    #[test]
    fn equality_is_by_meaning_and_the_text_is_kept() {
        assert_eq!(id(r#""a""#), id(r#""\u0061""#));
        assert_ne!(id("1"), id(r#""1""#));
        assert_ne!(id(r#""a""#), id(r#""a\"""#));
        assert_eq!(id(r#""\u0061""#).unwrap().as_json(), br#""\u0061""#);
        assert_eq!(id(r#""\u0061b""#).unwrap().as_string(), Some("ab"));
        assert_eq!(id(r#""x""#).unwrap().as_string(), Some("x"));
        assert_eq!(Id::string("q\"").as_string(), Some("q\""));
    }

    #[test]
    fn neither_string_nor_integer_is_no_id() {
        for bad in ["null", "1.0", "1e3", "true", "{}", "[1]", "-1.5"] {
            assert!(id(bad).is_none(), "{bad}");
        }
        assert!(id("-7").is_some());
        assert!(id("123456789012345678901234567890").is_some());
    }
}
