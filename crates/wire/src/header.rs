//! Mirrored headers of 2026-07-28 (basic/transports/streamable-http, "Request Metadata"): the Base64 sentinel, the
//! `x-mcp-header` annotations of a tool, and the comparison of what a client sent with the body. Knows header values as bytes
//! and nothing of HTTP. A header is never trusted: it is only ever checked against the body.

use crate::error::{self, RpcError};
use crate::json::{JsonError, Kind, Member, Raw, decode as decode_string};
use crate::limits::Limits;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Mirrors `_meta`'s protocol version.
pub const PROTOCOL_VERSION: &str = "MCP-Protocol-Version";
/// Mirrors `method`.
pub const METHOD: &str = "Mcp-Method";
/// Mirrors the member of `params` that [`crate::Method::name_member`] names.
pub const NAME: &str = "Mcp-Name";
/// Begins the name of a header that mirrors an argument.
pub const PARAM_PREFIX: &str = "Mcp-Param-";

const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";
/// The keyword of a tool's `inputSchema` that asks for a header.
const ANNOTATION: &str = "x-mcp-header";
/// The largest integer whose neighbours a double still tells apart, 2^53 - 1.
const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a header's value cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Longer than [`Limits::HEADER_VALUE_BYTES_MAX`]; found before anything is decoded.
    #[error("value of {bytes} bytes, at most {max} are accepted")]
    TooLong {
        /// Length of the value as received.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A byte that is neither visible ASCII nor a space or tab (RFC 9110 section 5.5).
    #[error("a character that a header must not hold, at byte {at}, hint: encode the value as `=?base64?...?=`")]
    Character {
        /// Offset of the byte.
        at: usize,
    },
    /// What stands between the markers is no Base64 (RFC 4648 section 4, padded).
    #[error("invalid Base64 between `=?base64?` and `?=`")]
    Base64,
    /// What was decoded is not UTF-8.
    #[error("the Base64 text is not UTF-8 inside")]
    Utf8,
}

/// Why a tool's annotations make it invalid: an HTTP client must drop the tool from its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// The schema cannot be read.
    #[error("`inputSchema`: {0}")]
    Schema(#[from] JsonError),
    /// The annotation is no string.
    #[error("`x-mcp-header` at `{place}` is no string")]
    NotAString {
        /// JSON pointer of the annotated schema.
        place: String,
    },
    /// The name is no token (RFC 9110 section 5.6.2).
    #[error("`x-mcp-header` at `{place}`: {name:?} is no header name, hint: letters, digits and `-`")]
    Name {
        /// JSON pointer of the annotated schema.
        place: String,
        /// The name, shortened to 64 characters.
        name: String,
    },
    /// Two annotations ask for one header; case does not count.
    #[error("`x-mcp-header` at `{place}`: `{name}` is taken by another property")]
    Duplicate {
        /// JSON pointer of the second annotated schema.
        place: String,
        /// The name.
        name: String,
    },
    /// The property is not plainly a string, an integer or a boolean (or null besides).
    #[error("`x-mcp-header` at `{place}`: only on a property of type string, integer or boolean")]
    Type {
        /// JSON pointer of the annotated schema.
        place: String,
    },
    /// Not reachable from the root through `properties` alone.
    #[error("`x-mcp-header` at `{place}`: only on properties that `properties` alone lead to")]
    Place {
        /// JSON pointer of the annotated schema.
        place: String,
    },
    /// More than [`Limits::MIRRORED_MAX`].
    #[error("more than {max} `x-mcp-header` annotations")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

/// Why headers and body do not agree, or cannot be made to. Values are not quoted, for arguments may be confidential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The body has a value and the header is absent.
    #[error("header `{header}` is missing, hint: refresh the tool list and mirror the value")]
    Missing {
        /// Full name.
        header: String,
    },
    /// The header says something else than the body.
    #[error("header `{header}` differs from the body")]
    Different {
        /// Full name.
        header: String,
    },
    /// The header is there and the body has no value (absent or null): whoever routed on the header was misled.
    #[error("header `{header}` has no value in the body, hint: leave it out")]
    Unexpected {
        /// Full name.
        header: String,
    },
    /// The header comes more than once: readers disagree on which one counts.
    #[error("header `{header}` comes more than once")]
    Repeated {
        /// Full name.
        header: String,
    },
    /// The header cannot be read.
    #[error("header `{header}`: {error}")]
    Value {
        /// Full name.
        header: String,
        /// What is wrong.
        error: ValueError,
    },
    /// The argument is no string, safe integer or boolean, or is too long for a header.
    #[error(
        "the argument for header `{header}` is no string, boolean or integer within 2^53-1, or too long for a header"
    )]
    NotMirrorable {
        /// Full name.
        header: String,
    },
    /// The arguments cannot be read.
    #[error("`arguments`: {0}")]
    Arguments(#[from] JsonError),
}

impl From<&HeaderError> for RpcError {
    /// `-32020`; for arguments that no header can mirror, `-32602`.
    fn from(error: &HeaderError) -> Self {
        let code = match error {
            HeaderError::NotMirrorable { .. } | HeaderError::Arguments(_) => error::INVALID_PARAMS,
            _ => error::HEADER_MISMATCH,
        };
        Self::new(code, error.to_string())
    }
}

/// A property of a tool's arguments that a header mirrors.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Annotation {
    /// Full name of the header, `Mcp-Param-Region`.
    pub header: String,
    /// The keys that lead to the property in `arguments`; never empty.
    pub path: Vec<String>,
}

// ---- values ---------------------------------------------------------------------------------------------------------

/// `text` as a header's value: as it is where that is safe, else in the sentinel.
#[must_use]
pub fn encode(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let is_plain = bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e)) && trim(bytes) == bytes;
    let is_sentinel = text.starts_with(SENTINEL_START) && text.ends_with(SENTINEL_END);
    match is_plain && !is_sentinel {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("{SENTINEL_START}{}{SENTINEL_END}", STANDARD.encode(text))),
    }
}

/// What a received value says. White space around it does not count; a value without both markers is literal.
///
/// # Errors
/// See [`ValueError`].
pub fn decode(value: &[u8]) -> Result<Cow<'_, str>, ValueError> {
    let value = trim(value);
    if value.len() > Limits::HEADER_VALUE_BYTES_MAX {
        return Err(ValueError::TooLong {
            bytes: value.len(),
            max: Limits::HEADER_VALUE_BYTES_MAX,
        });
    }
    if let Some(at) = value.iter().position(|byte| !matches!(byte, b'\t' | 0x20..=0x7e)) {
        return Err(ValueError::Character { at });
    }
    let text = std::str::from_utf8(value).map_err(|_| ValueError::Utf8)?;
    let Some(encoded) = text
        .strip_prefix(SENTINEL_START)
        .and_then(|rest| rest.strip_suffix(SENTINEL_END))
    else {
        return Ok(Cow::Borrowed(text));
    };
    let decoded = STANDARD.decode(encoded).map_err(|_| ValueError::Base64)?;
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| ValueError::Utf8)
}

/// Whether a received value says what the body's `value` is: strings and booleans to the letter, integers by number (`42.0`
/// is `42`). Of a value that no header can mirror, no.
///
/// # Errors
/// The received value cannot be read.
pub fn matches(received: &[u8], value: &Raw) -> Result<bool, ValueError> {
    let received = decode(received)?;
    Ok(match value.kind() {
        Kind::String => value.as_string().is_some_and(|text| text == received),
        Kind::Bool => value.as_str() == received,
        Kind::Number => {
            let number = safe_integer(value.as_str());
            number.is_some() && safe_integer(&received) == number
        }
        Kind::Null | Kind::Object | Kind::Array => false,
    })
}

/// Compares `Mcp-Method` or `MCP-Protocol-Version` with the body. `received` are all values of that header.
///
/// # Errors
/// [`HeaderError::Missing`], [`HeaderError::Repeated`], [`HeaderError::Different`].
pub fn check_literal<'a>(
    header: &str,
    received: impl IntoIterator<Item = &'a [u8]>,
    expected: &str,
) -> Result<(), HeaderError> {
    let value = only(header, received)?.ok_or_else(|| HeaderError::Missing {
        header: header.to_owned(),
    })?;
    match trim(value) == expected.as_bytes() {
        true => Ok(()),
        false => Err(HeaderError::Different {
            header: header.to_owned(),
        }),
    }
}

/// Compares `Mcp-Name`, which may be in the sentinel, with the body. `received` are all values of that header.
///
/// # Errors
/// As [`check_literal`], and [`HeaderError::Value`].
pub fn check_encoded<'a>(
    header: &str,
    received: impl IntoIterator<Item = &'a [u8]>,
    expected: &str,
) -> Result<(), HeaderError> {
    let named = || header.to_owned();
    let value = only(header, received)?.ok_or_else(|| HeaderError::Missing { header: named() })?;
    let value = decode(value).map_err(|error| HeaderError::Value { header: named(), error })?;
    match value == expected {
        true => Ok(()),
        false => Err(HeaderError::Different { header: named() }),
    }
}

/// Without the optional white space around a field value (RFC 9110 section 5.5): spaces and tabs, and nothing else.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn only<'a>(header: &str, received: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, HeaderError> {
    let mut received = received.into_iter();
    let first = received.next();
    match received.next() {
        None => Ok(first),
        Some(_) => Err(HeaderError::Repeated {
            header: header.to_owned(),
        }),
    }
}

/// The number that `text` (JSON's grammar, white space excluded) denotes, if it is an integer within 2^53-1. Exact: no
/// rounding makes an integer of `42.00000000000000000001`.
fn safe_integer(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let trailing = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    let signed = exponent.strip_prefix('+').unwrap_or(exponent);
    if !is_digits(signed.strip_prefix('-').unwrap_or(signed)) {
        return None;
    }
    if significant.is_empty() {
        return Some(0);
    }
    let exponent: i64 = signed.parse().ok()?;
    let scale = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(i64::try_from(trailing).ok()?)?;
    // 2^53 has 16 digits, so that what passes here fits.
    if significant.len() > 16 || !(0..=15).contains(&scale) {
        return None;
    }
    let number = significant
        .parse::<u64>()
        .ok()?
        .checked_mul(10u64.checked_pow(u32::try_from(scale).ok()?)?)?;
    if number > SAFE_INTEGER_MAX {
        return None;
    }
    let number = i64::try_from(number).ok()?;
    Some(if negative { -number } else { number })
}

// ---- annotations ----------------------------------------------------------------------------------------------------

/// Reads the annotations of a tool's `inputSchema`, in document order.
///
/// # Errors
/// The first that breaks a rule, with its place: the tool is invalid.
pub fn annotations(input_schema: &Raw) -> Result<Vec<Annotation>, AnnotationError> {
    let text = input_schema.as_bytes();
    let mut found = Vec::new();
    // Nearly all tools have none. The keyword can also be spelt with escapes.
    let may_have =
        memchr::memmem::find(text, ANNOTATION.as_bytes()).is_some() || memchr::memmem::find(text, br"\u").is_some();
    if may_have {
        schema(input_schema, &Place::Root, &mut found)?;
    }
    Ok(found)
}

/// Where a schema stands.
enum Place<'a> {
    Root,
    /// Reached through `properties` alone: the property's key, and the schema whose property it is.
    Property(&'a str, &'a Place<'a>),
    /// Anywhere else: the tokens of the pointer, and the schema that it is a part of.
    Elsewhere(&'a str, &'a Place<'a>),
}

impl Place<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Property(key, parent) => {
                let key = key.replace('~', "~0").replace('/', "~1");
                format!("{}/properties/{key}", parent.pointer())
            }
            Self::Elsewhere(tokens, parent) => format!("{}/{tokens}", parent.pointer()),
        }
    }

    fn path(&self) -> Option<Vec<String>> {
        match self {
            Self::Root => Some(Vec::new()),
            Self::Property(key, parent) => {
                let mut path = parent.path()?;
                path.push((*key).to_owned());
                Some(path)
            }
            Self::Elsewhere(..) => None,
        }
    }
}

/// Reads one schema and those in it. The recursion is bounded by the depth that the door lets in.
fn schema(raw: &Raw, place: &Place<'_>, found: &mut Vec<Annotation>) -> Result<(), AnnotationError> {
    if raw.kind() != Kind::Object {
        return Ok(());
    }
    let members = raw.members()?;
    for member in &members {
        let (key, value) = parts(raw, member);
        match &*key {
            ANNOTATION => annotation(raw, &value, place, found)?,
            "properties" => {
                for (key, value) in entries(&value)? {
                    schema(&value, &Place::Property(&key, place), found)?;
                }
            }
            // Keywords of JSON Schema (any draft in use) that hold schemas by name ...
            "patternProperties" | "dependentSchemas" | "dependencies" | "$defs" | "definitions" => {
                for (name, value) in entries(&value)? {
                    let tokens = format!("{key}/{name}");
                    schema(&value, &Place::Elsewhere(&tokens, place), found)?;
                }
            }
            // ... one, or a list ...
            "items"
            | "prefixItems"
            | "additionalItems"
            | "contains"
            | "unevaluatedItems"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "propertyNames"
            | "oneOf"
            | "anyOf"
            | "allOf"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contentSchema" => {
                let here = Place::Elsewhere(&key, place);
                schema(&value, &here, found)?;
                for element in value.elements() {
                    schema(&element, &here, found)?;
                }
            }
            // ... and all others, whose values are data: a `default` may well hold the word.
            _ => {}
        }
    }
    Ok(())
}

fn annotation(
    annotated: &Raw,
    value: &Raw,
    place: &Place<'_>,
    found: &mut Vec<Annotation>,
) -> Result<(), AnnotationError> {
    let pointer = || place.pointer();
    let name = value
        .as_string()
        .ok_or_else(|| AnnotationError::NotAString { place: pointer() })?;
    let is_token = !name.is_empty()
        && name.len() <= Limits::HEADER_NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !is_token {
        return Err(AnnotationError::Name {
            place: pointer(),
            name: name.chars().take(64).collect(),
        });
    }
    let path = place
        .path()
        .filter(|path| !path.is_empty())
        .ok_or_else(|| AnnotationError::Place { place: pointer() })?;
    if !annotated.get("type").is_some_and(|kind| is_mirrorable(&kind)) {
        return Err(AnnotationError::Type { place: pointer() });
    }
    let header = format!("{PARAM_PREFIX}{name}");
    if found.iter().any(|other| other.header.eq_ignore_ascii_case(&header)) {
        return Err(AnnotationError::Duplicate {
            place: pointer(),
            name: name.into_owned(),
        });
    }
    if found.len() == Limits::MIRRORED_MAX {
        return Err(AnnotationError::TooMany {
            max: Limits::MIRRORED_MAX,
        });
    }
    found.push(Annotation { header, path });
    Ok(())
}

/// Whether `type` allows strings, integers and booleans alone; null may stand beside them, for it is not mirrored.
fn is_mirrorable(kind: &Raw) -> bool {
    let one = |kind: &Raw| matches!(kind.as_string().as_deref(), Some("string" | "integer" | "boolean"));
    let null = |kind: &Raw| kind.as_string().as_deref() == Some("null");
    match kind.kind() {
        Kind::Array => {
            let kinds = kind.elements();
            kinds.iter().any(one) && kinds.iter().all(|kind| one(kind) || null(kind))
        }
        _ => one(kind),
    }
}

/// The members of an object with their decoded keys; none when it is no object.
fn entries(raw: &Raw) -> Result<Vec<(Cow<'_, str>, Raw)>, JsonError> {
    if raw.kind() != Kind::Object {
        return Ok(Vec::new());
    }
    let members = raw.members()?;
    Ok(members.iter().map(|member| parts(raw, member)).collect())
}

fn parts<'a>(raw: &'a Raw, member: &Member) -> (Cow<'a, str>, Raw) {
    let key = raw.as_bytes().get(member.key.clone()).unwrap_or_default();
    let value = Raw::slice_of(&raw.bytes(), member.value.clone());
    (decode_string(key), value)
}

// ---- arguments ------------------------------------------------------------------------------------------------------

/// The headers that a `tools/call` with `arguments` must carry: full name and encoded value. Absent and null arguments have
/// none.
///
/// # Errors
/// [`HeaderError::NotMirrorable`], [`HeaderError::Arguments`].
pub fn parameters(annotations: &[Annotation], arguments: Option<&Raw>) -> Result<Vec<(String, String)>, HeaderError> {
    let mut headers = Vec::with_capacity(annotations.len());
    for annotation in annotations {
        let Some(value) = argument(arguments, &annotation.path)? else {
            continue;
        };
        let text = match value.kind() {
            Kind::String => value.as_string(),
            Kind::Bool => Some(Cow::Borrowed(value.as_str())),
            Kind::Number => safe_integer(value.as_str()).map(|number| number.to_string().into()),
            Kind::Null | Kind::Object | Kind::Array => None,
        };
        let encoded = text
            .as_deref()
            .map(encode)
            .filter(|encoded| encoded.len() <= Limits::HEADER_VALUE_BYTES_MAX)
            .ok_or_else(|| HeaderError::NotMirrorable {
                header: annotation.header.clone(),
            })?;
        headers.push((annotation.header.clone(), encoded.into_owned()));
    }
    Ok(headers)
}

/// Checks received headers against `arguments`. `received` may be all headers of the request, names in any case; those that
/// are not `Mcp-Param-*` are passed over.
///
/// Returns the names, as received, of the `Mcp-Param-*` headers that no annotation asks for: they must be forwarded and mean
/// nothing here.
///
/// # Errors
/// The first disagreement, in the order of the annotations.
pub fn check<'a>(
    annotations: &[Annotation],
    arguments: Option<&Raw>,
    received: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<&'a str>, HeaderError> {
    let mut unknown = Vec::new();
    let mut values: Vec<Option<&[u8]>> = vec![None; annotations.len()];
    for (name, value) in received {
        let is_parameter = name
            .get(..PARAM_PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PARAM_PREFIX));
        if !is_parameter {
            continue;
        }
        let known = annotations
            .iter()
            .zip(&mut values)
            .find(|(annotation, _)| annotation.header.eq_ignore_ascii_case(name));
        match known {
            None => unknown.push(name),
            Some((annotation, slot)) => {
                if slot.replace(value).is_some() {
                    return Err(HeaderError::Repeated {
                        header: annotation.header.clone(),
                    });
                }
            }
        }
    }
    for (annotation, received) in annotations.iter().zip(values) {
        let header = || annotation.header.clone();
        match (received, argument(arguments, &annotation.path)?) {
            (None, None) => {}
            (None, Some(_)) => return Err(HeaderError::Missing { header: header() }),
            (Some(_), None) => return Err(HeaderError::Unexpected { header: header() }),
            (Some(received), Some(value)) => match matches(received, &value) {
                Ok(true) => {}
                Ok(false) => return Err(HeaderError::Different { header: header() }),
                Err(error) => {
                    return Err(HeaderError::Value {
                        header: header(),
                        error,
                    });
                }
            },
        }
    }
    Ok(unknown)
}

/// The value at `path`; `None` when it is absent or null. Objects on the way must not have duplicate keys, or another reader
/// would find another value.
fn argument(arguments: Option<&Raw>, path: &[String]) -> Result<Option<Raw>, JsonError> {
    let Some(mut here) = arguments.cloned() else {
        return Ok(None);
    };
    for key in path {
        if here.kind() != Kind::Object {
            return Ok(None);
        }
        let next = entries(&here)?.into_iter().find(|(name, _)| name == key);
        let Some((_, next)) = next else {
            return Ok(None);
        };
        here = next;
    }
    Ok(Some(here).filter(|value| value.kind() != Kind::Null))
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
