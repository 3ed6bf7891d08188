//! What is wrapped in an encoding: Base64, Base64url, hex, gzip within them. Found by its alphabet and length, taken for what it
//! is only when it decodes to text, to gzip or to a private key. Bounded in depth and in bytes.

use super::findings::Limit;
use super::kinds::Map;
use super::peek::readable;
use super::view::hex_pair;
use super::work::Meter;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::Read;
use std::ops::Range;

/// Shorter runs are words.
const RUN_CHARACTERS_MIN: usize = 24;

/// Longer runs are looked at so far.
const RUN_BYTES_MAX: usize = 512 * 1024;

/// What a run may unpack to.
const UNPACKED_BYTES_MAX: usize = 256 * 1024;

/// What a run decodes to.
#[derive(Debug)]
pub(super) enum Inside {
    Text(Vec<u8>),
    /// A private key in DER: PKCS #8, PKCS #1 or SEC 1.
    PrivateKey,
}

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// Of those, so many are no padding.
const RUN_BYTES_MIN: usize = RUN_CHARACTERS_MIN - 2;

fn is_of_run(byte: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "the compiler does it, and would say so")]
    const OF_RUN: [bool; 256] = {
        let mut of_run = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            let character = byte as u8;
            of_run[byte] = character.is_ascii_alphanumeric() || matches!(character, b'+' | b'/' | b'-' | b'_');
            byte += 1;
        }
        of_run
    };
    OF_RUN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Each run that is something else inside, in order, but those that are `known`.
pub(super) fn find(
    text: &[u8],
    kinds: &Map,
    known: impl Fn(&Range<usize>) -> bool,
    meter: &mut Meter,
    mut inside: impl FnMut(Range<usize>, Inside, &mut Meter),
) {
    let mut past = 0;
    for start in kinds.runs::<RUN_BYTES_MIN>() {
        if start < past {
            continue;
        }
        let run = text.get(start..).unwrap_or_default();
        let length = run_length(run, kinds.length(start, |kinds| !(kinds.alphanumerics | kinds.joints)));
        past = start + length;
        if length < RUN_CHARACTERS_MIN || known(&(start..start + length)) {
            continue;
        }
        if let Some(decoded) = run.get(..length).and_then(|run| decode(run, meter)) {
            inside(start..start + length, decoded, meter);
        }
    }
}

/// A run goes on over the end of a long line; the first line is so long.
fn run_length(run: &[u8], first: usize) -> usize {
    let line = |text: &[u8]| text.iter().position(|byte| !is_of_run(*byte)).unwrap_or(text.len());
    let mut length = first;
    let mut last = length;
    while last >= 60 && length < RUN_BYTES_MAX {
        let rest = run.get(length..).unwrap_or_default();
        let gap = rest
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n' | b' '))
            .count();
        let is_break = rest.get(..gap).is_some_and(|gap| gap.contains(&b'\n'));
        let next = line(rest.get(gap..).unwrap_or_default());
        if !is_break || gap > 16 || next == 0 || next > last {
            break;
        }
        length += gap + next;
        last = next;
    }
    let padding = run.get(length..).unwrap_or_default();
    length + padding.iter().take(2).take_while(|byte| **byte == b'=').count()
}

fn decode(run: &[u8], meter: &mut Meter) -> Option<Inside> {
    // The first characters tell for most that they are hashes or names.
    let begin = run.first_chunk::<8>()?;
    let may_be = |first: &[u8]| {
        // The last character may be cut.
        let is_begin = || std::str::from_utf8(first).map_or_else(|error| error.error_len().is_none(), |_| true);
        first.iter().all(|byte| is_texty(*byte)) && is_begin()
            || first.starts_with(&[0x1f, 0x8b])
            || first.first() == Some(&0x30)
    };
    let mut pairs = [0; 4];
    let pairs_of_hex = begin.chunks_exact(2).map_while(hex_pair).zip(&mut pairs);
    let is_hex = pairs_of_hex.map(|(byte, pair)| *pair = byte).count() == 4;
    let may_be_hex = is_hex && may_be(&pairs);
    let is_url_safe = memchr::memchr2(b'-', b'_', begin).is_some();
    let engine = if is_url_safe { URL_SAFE } else { STANDARD };
    let mut first = [0; 6];
    let may_be_base64 = engine.decode_slice(begin, &mut first).is_ok() && may_be(&first);
    if !may_be_hex && !may_be_base64 {
        return None;
    }
    if is_hex && run.iter().all(u8::is_ascii_hexdigit) && run.len().is_multiple_of(2) {
        let bytes = run.chunks_exact(2).map_while(hex_pair).collect();
        return may_be_hex.then(|| inside(bytes, meter))?;
    }
    if !may_be_base64 {
        return None;
    }
    let is_url_safe = memchr::memchr2(b'-', b'_', run).is_some();
    let engine = if is_url_safe { URL_SAFE } else { STANDARD };
    let packed: Vec<u8> = run.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    inside(engine.decode(&packed).ok()?, meter)
}

const fn is_texty(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0x80..=0xf4)
}

fn inside(bytes: Vec<u8>, meter: &mut Meter) -> Option<Inside> {
    if meter.room(bytes.len()) < bytes.len() {
        meter.hits(Limit::Packed);
        return None;
    }
    meter.unpacks(bytes.len());
    if is_private_key(&bytes) {
        return Some(Inside::PrivateKey);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        let room = meter.room(UNPACKED_BYTES_MAX);
        let mut reader = flate2::read::GzDecoder::new(bytes.as_slice()).take(room as u64 + 1);
        // What comes before an error has come.
        let _ = reader.read_to_end(&mut unpacked);
        if unpacked.len() > room {
            unpacked.truncate(room);
            meter.hits(Limit::Packed);
        }
        meter.unpacks(unpacked.len());
        return is_text(&unpacked).then_some(Inside::Text(unpacked));
    }
    is_text(&bytes).then_some(Inside::Text(bytes))
}

fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // Cut in the middle of a character.
        Err(error) if error.valid_up_to() + 4 > bytes.len() => readable(bytes),
        Err(_) => return false,
    };
    let controls = valid
        .chars()
        .filter(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t'));
    valid.len() >= 8 && controls.count() == 0
}

/// The ASN.1 headers of PKCS #8 (RFC 5208), PKCS #1 (RFC 8017, A.1.2) and SEC 1 (RFC 5915).
fn is_private_key(bytes: &[u8]) -> bool {
    let Some(body) = sequence(bytes) else { return false };
    match body {
        // Version 0 or 1, then an algorithm, or a modulus.
        [0x02, 0x01, 0x00 | 0x01, 0x30, _, 0x06, ..] => true,
        [0x02, 0x01, 0x00, 0x02, 0x81 | 0x82, ..] => true,
        [0x02, 0x01, 0x01, 0x04, 0x20 | 0x30 | 0x42, ..] => true,
        _ => false,
    }
}

fn sequence(bytes: &[u8]) -> Option<&[u8]> {
    let (length, body) = match bytes {
        [0x30, length @ 0..=0x7f, body @ ..] => (usize::from(*length), body),
        [0x30, 0x81, length, body @ ..] => (usize::from(*length), body),
        [0x30, 0x82, high, low, body @ ..] => (usize::from(*high) << 8 | usize::from(*low), body),
        _ => return None,
    };
    (length >= 32 && length <= body.len() + 4).then_some(body)
}
