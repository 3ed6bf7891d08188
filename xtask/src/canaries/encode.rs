//! The encodings that the detectors claim to look through, and looking through all of them without the detectors: written anew here,
//! so that what one of the two misses the other does not miss for the same reason.

use super::make::{CLASSES, Canary};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use std::collections::HashSet;
use std::io::Read;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Encoding {
    Plain,
    /// `\u` escapes for every character, where the message itself is written.
    Wire,
    JsonEscapes,
    JsonInString,
    JsonInStringTwice,
    Percent,
    HtmlDecimal,
    HtmlHex,
    QuotedPrintable,
    ZeroWidth,
    SoftHyphen,
    FullWidth,
    /// Arabic-Indic digits.
    OtherDigits,
    Base64,
    Base64Url,
    Hex,
    Gzip,
    Base64Twice,
    Base64HexBase64,
    GzipInBase64,
    PercentInBase64,
    Base64InJson,
}

pub(super) const ENCODINGS: [Encoding; 22] = [
    Encoding::Plain,
    Encoding::Wire,
    Encoding::JsonEscapes,
    Encoding::JsonInString,
    Encoding::JsonInStringTwice,
    Encoding::Percent,
    Encoding::HtmlDecimal,
    Encoding::HtmlHex,
    Encoding::QuotedPrintable,
    Encoding::ZeroWidth,
    Encoding::SoftHyphen,
    Encoding::FullWidth,
    Encoding::OtherDigits,
    Encoding::Base64,
    Encoding::Base64Url,
    Encoding::Hex,
    Encoding::Gzip,
    Encoding::Base64Twice,
    Encoding::Base64HexBase64,
    Encoding::GzipInBase64,
    Encoding::PercentInBase64,
    Encoding::Base64InJson,
];

/// Most layers that are looked through when a canary is looked for: more than are ever put around one.
const DEPTH_MAX: usize = 7;
/// Shortest run of letters that is taken for an encoding: `[JWT]` in Base64.
const TOKEN_BYTES_MIN: usize = 7;
/// Longest part of a canary that may be seen: what `last4` keeps.
const SHOWN_MAX: usize = 4;

impl Encoding {
    /// How many times Base64, hex or gzip have to be undone; three are claimed.
    pub(super) const fn packed(self) -> usize {
        match self {
            Self::Base64 | Self::Base64Url | Self::Hex | Self::PercentInBase64 | Self::Base64InJson => 1,
            Self::Gzip | Self::Base64Twice => 2,
            Self::Base64HexBase64 | Self::GzipInBase64 => 3,
            _ => 0,
        }
    }

    /// Whether it makes another text of the value alone, in the same surroundings.
    pub(super) const fn is_of_characters(self) -> bool {
        matches!(
            self,
            Self::Plain
                | Self::Wire
                | Self::JsonEscapes
                | Self::Percent
                | Self::HtmlDecimal
                | Self::HtmlHex
                | Self::QuotedPrintable
                | Self::ZeroWidth
                | Self::SoftHyphen
                | Self::FullWidth
                | Self::OtherDigits
        )
    }

    /// The text of `canary` written so.
    pub(super) fn of_text(self, canary: &Canary) -> String {
        let text = &canary.text;
        if self.is_of_characters() {
            let text = match self {
                // As in a mail: without a word of it, `=41` is not one.
                Self::QuotedPrintable => &format!("Content-Transfer-Encoding: quoted-printable\r\n\r\n{text}"),
                _ => text,
            };
            let each = |text: String, value: &String| text.replace(value.as_str(), &self.of_value(value));
            return canary.values.iter().fold(text.clone(), each);
        }
        let json = |text: &str| serde_json::json!({"of": "the ledger", "note": text}).to_string();
        let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
        let gzip = |text: &str| {
            let mut out = Vec::new();
            // Reading from memory cannot fail.
            let _ = GzEncoder::new(text.as_bytes(), Compression::default()).read_to_end(&mut out);
            out
        };
        match self {
            Self::JsonInString => json(text),
            Self::JsonInStringTwice => json(&json(text)),
            Self::Base64 => format!("payload {}", base64(text.as_bytes())),
            Self::Base64Url => URL_SAFE_NO_PAD.encode(text),
            Self::Hex => format!("dump: {}", hex(text.as_bytes())),
            Self::Gzip => base64(&gzip(text)),
            Self::Base64Twice => base64(base64(text.as_bytes()).as_bytes()),
            Self::Base64HexBase64 => base64(hex(base64(text.as_bytes()).as_bytes()).as_bytes()),
            Self::GzipInBase64 => base64(base64(&gzip(text)).as_bytes()),
            Self::PercentInBase64 => base64(Self::Percent.of_text(canary).as_bytes()),
            _ => json(&base64(text.as_bytes())),
        }
    }

    /// A value written so; one of [`Encoding::is_of_characters`].
    pub(super) fn of_value(self, value: &str) -> String {
        let each = |write: &dyn Fn(char) -> String| value.chars().map(write).collect::<String>();
        let bytes = |write: &dyn Fn(u8) -> String| value.bytes().map(write).collect::<String>();
        match self {
            Self::JsonEscapes => {
                let units = value.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
                units.collect()
            }
            Self::Percent => bytes(&|byte| format!("%{byte:02X}")),
            Self::HtmlDecimal => each(&|sign| format!("&#{};", u32::from(sign))),
            Self::HtmlHex => each(&|sign| format!("&#x{:x};", u32::from(sign))),
            Self::QuotedPrintable => {
                let mut out = String::new();
                for (at, byte) in value.bytes().enumerate() {
                    if at % 20 == 19 {
                        out.push_str("=\r\n");
                    }
                    out.push_str(&format!("={byte:02X}"));
                }
                out
            }
            Self::ZeroWidth => spaced(value, '\u{200b}'),
            Self::SoftHyphen => spaced(value, '\u{ad}'),
            Self::FullWidth => each(&|sign| match sign {
                '!'..='~' => char::from_u32(u32::from(sign) + 0xfee0).unwrap_or(sign).to_string(),
                _ => sign.to_string(),
            }),
            Self::OtherDigits => each(&|sign| match sign.to_digit(10) {
                Some(digit) => char::from_u32(0x660 + digit).unwrap_or(sign).to_string(),
                None => sign.to_string(),
            }),
            _ => value.to_owned(),
        }
    }
}

fn spaced(value: &str, with: char) -> String {
    let mut out = String::new();
    for (at, sign) in value.chars().enumerate() {
        if at % 3 == 2 {
            out.push(with);
        }
        out.push(sign);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The parts of a canary that nobody may see: every part longer than what `last4` keeps and than what its surroundings say anyway.
pub(super) struct Traces {
    parts: HashSet<Vec<u8>>,
}

impl Traces {
    pub(super) fn of(canary: &Canary) -> Self {
        let mut around = canary.text.clone();
        let mut parts = HashSet::new();
        for value in &canary.values {
            // What frames a private key is in every key, and in the marks.
            let value: String = value.lines().filter(|line| !line.contains("-----")).collect();
            parts.extend(folded(&value).windows(SHOWN_MAX + 1).map(<[u8]>::to_vec));
        }
        for value in &canary.values {
            around = around.replace(value.as_str(), "\n");
        }
        for line in around.lines() {
            for part in folded(line).windows(SHOWN_MAX + 1) {
                parts.remove(part);
            }
        }
        Self { parts }
    }

    /// Whether there is anything to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// A part that can be read in what was received, however it is wrapped.
    pub(super) fn seen_in(&self, received: &[u8]) -> Option<String> {
        in_layers(received, &|bytes| {
            let plain = folded(&String::from_utf8_lossy(bytes));
            let part = plain.windows(SHOWN_MAX + 1).find(|part| self.parts.contains(*part));
            part.map(|part| String::from_utf8_lossy(part).into_owned())
        })
    }
}

/// Whether a mark of the gateway stands in what was received, however it is wrapped.
pub(super) fn is_marked(received: &[u8]) -> bool {
    let found = in_layers(received, &|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let mark = text.split('[').skip(1).find(|part| {
            let end = part.find([']', ':']).unwrap_or(0);
            CLASSES.contains(&part.get(..end).unwrap_or_default())
        });
        mark.map(|_| String::new())
    });
    found.is_some()
}

/// What `look` finds first in a text or in what it stands for.
fn in_layers(received: &[u8], look: &dyn Fn(&[u8]) -> Option<String>) -> Option<String> {
    let mut known = HashSet::new();
    let mut left = vec![(received.to_vec(), 0)];
    while let Some((bytes, depth)) = left.pop() {
        if let Some(found) = look(&bytes) {
            return Some(found);
        }
        if depth < DEPTH_MAX {
            for inner in unwrapped(&bytes) {
                if inner != bytes && known.insert(inner.clone()) {
                    left.push((inner, depth + 1));
                }
            }
        }
    }
    None
}

/// Letters and digits alone, those of other scripts and widths as ASCII has them.
fn folded(text: &str) -> Vec<u8> {
    let folded = text.chars().filter_map(|sign| {
        let sign = match u32::from(sign) {
            wide @ 0xff01..=0xff5e => char::from_u32(wide - 0xfee0)?,
            arabic @ 0x660..=0x669 => char::from_u32(arabic - 0x660 + 0x30)?,
            _ => sign,
        };
        sign.is_ascii_alphanumeric().then_some(sign as u8)
    });
    folded.collect()
}

/// What a text may stand for: everything that one layer less leaves.
fn unwrapped(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        if GzDecoder::new(bytes).take(1 << 20).read_to_end(&mut plain).is_ok() {
            all.push(plain);
        }
        return all;
    }
    let text = String::from_utf8_lossy(bytes);
    all.push(without_escapes(&text).into_bytes());
    all.push(without_hex_pairs(bytes, b'%'));
    all.push(without_hex_pairs(
        text.replace("=\r\n", "").replace("=\n", "").as_bytes(),
        b'=',
    ));
    all.push(without_entities(&text).into_bytes());
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    for token in bytes
        .split(|byte| !is_letter(byte))
        .filter(|token| token.len() >= TOKEN_BYTES_MIN)
    {
        let standard: Vec<u8> = token
            .iter()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            })
            .collect();
        // What is left of a token begins anywhere in a group of four.
        for from in 0..4 {
            let whole = standard.get(from..).unwrap_or_default();
            let whole = whole.get(..whole.len() / 4 * 4 + if whole.len() % 4 == 1 { 0 } else { whole.len() % 4 });
            all.extend(whole.and_then(|letters| LENIENT.decode(letters).ok()));
        }
        if token.iter().all(u8::is_ascii_hexdigit) {
            for from in 0..2 {
                let pairs = token.get(from..).unwrap_or_default().chunks_exact(2);
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16);
                all.push(pairs.filter_map(|pair| byte(pair).ok()).collect());
            }
        }
    }
    all
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn without_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut units: Vec<u16> = Vec::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        let unit = match sign {
            '\\' if text.get(at + 1..at + 2) == Some("u") => text
                .get(at + 2..at + 6)
                .and_then(|hex| u16::from_str_radix(hex, 16).ok()),
            _ => None,
        };
        if let Some(unit) = unit {
            units.push(unit);
            for _ in 0..5 {
                signs.next();
            }
            continue;
        }
        out.push_str(&String::from_utf16_lossy(&units));
        units.clear();
        match sign {
            '\\' => match signs.next() {
                Some((_, 'n' | 'r' | 't')) => out.push('\n'),
                Some((_, other)) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out.push_str(&String::from_utf16_lossy(&units));
    out
}

/// Bytes that are written as `mark` and two digits.
fn without_hex_pairs(bytes: &[u8], mark: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match (byte, pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (byte, Some(value)) if *byte == mark => {
                out.push(value);
                at += 3;
            }
            (byte, _) => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

fn without_entities(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split("&#");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let read = part.split_once(';').and_then(|(number, rest)| {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(number) => u32::from_str_radix(number, 16).ok(),
                None => number.parse().ok(),
            };
            Some((char::from_u32(code?)?, rest))
        });
        match read {
            Some((sign, rest)) => {
                out.push(sign);
                out.push_str(rest);
            }
            None => {
                out.push_str("&#");
                out.push_str(part);
            }
        }
    }
    out
}
