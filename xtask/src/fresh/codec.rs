//! Encodings and checksums that formats of values and wrappings need: base58, bech32, base62, Keccak, gzip. Knows bytes only.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn base64_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// A number in base 62 (`0-9A-Za-z`), padded with zeros to `width`: the checksum of GitHub's and npm's tokens.
pub(super) fn base62(mut number: u32, width: usize) -> String {
    let alphabet = super::dice::ALNUM.as_bytes();
    let mut signs = Vec::new();
    while number > 0 || signs.len() < width {
        signs.push(char::from(alphabet[(number % 62) as usize]));
        number /= 62;
    }
    signs.iter().rev().collect()
}

pub(super) const BITCOIN58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
pub(super) const RIPPLE58: &str = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// Base 58 in the given alphabet; leading zero bytes are leading first signs.
pub(super) fn base58(bytes: &[u8], alphabet: &str) -> String {
    let alphabet = alphabet.as_bytes();
    let mut digits: Vec<u32> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut text: String = (0..zeros).map(|_| char::from(alphabet[0])).collect();
    text.extend(digits.iter().rev().map(|digit| char::from(alphabet[*digit as usize])));
    text
}

/// Base 58 with the first four bytes of a double SHA-256 behind the payload.
pub(super) fn base58_check(payload: &[u8], alphabet: &str) -> String {
    let mut bytes = payload.to_vec();
    bytes.extend(sha256(&sha256(payload)).iter().take(4));
    base58(&bytes, alphabet)
}

/// The bytes of a base-58 text, `None` for a sign outside the alphabet.
#[cfg(test)]
pub(super) fn from_base58(text: &str, alphabet: &str) -> Option<Vec<u8>> {
    let mut bytes: Vec<u32> = Vec::new();
    for sign in text.chars() {
        let mut carry = u32::try_from(alphabet.find(sign)?).ok()?;
        for byte in &mut bytes {
            carry += *byte * 58;
            *byte = carry & 255;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(carry & 255);
            carry >>= 8;
        }
    }
    let first = alphabet.chars().next()?;
    let zeros = text.chars().take_while(|sign| *sign == first).count();
    let mut all = vec![0; zeros];
    all.extend(bytes.iter().rev().map(|byte| *byte as u8));
    Some(all)
}

pub(super) const BECH32: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

fn bech32_polymod(values: &[u8]) -> u32 {
    let generator = [0x3b6a_57b2_u32, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let mut sum: u32 = 1;
    for value in values {
        let top = sum >> 25;
        sum = ((sum & 0x1ff_ffff) << 5) ^ u32::from(*value);
        for (at, part) in generator.iter().enumerate() {
            if (top >> at) & 1 == 1 {
                sum ^= part;
            }
        }
    }
    sum
}

/// Bytes in groups of five bits, padded with zeros.
pub(super) fn five_bits(bytes: &[u8]) -> Vec<u8> {
    let (mut held, mut bits, mut groups) = (0_u32, 0, Vec::new());
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xffff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            groups.push((held >> bits & 31) as u8);
        }
    }
    if bits > 0 {
        groups.push((held << (5 - bits) & 31) as u8);
    }
    groups
}

fn spread(prefix: &str) -> Vec<u8> {
    let mut values: Vec<u8> = prefix.bytes().map(|byte| byte >> 5).collect();
    values.push(0);
    values.extend(prefix.bytes().map(|byte| byte & 31));
    values
}

/// Bech32 (`constant` 1) or bech32m (`0x2bc830a3`) of groups of five bits.
pub(super) fn bech32(prefix: &str, groups: &[u8], constant: u32) -> String {
    let mut values = spread(prefix);
    values.extend(groups);
    values.extend([0; 6]);
    let sum = bech32_polymod(&values) ^ constant;
    let alphabet = BECH32.as_bytes();
    let tail = (0..6).map(|at| (sum >> (5 * (5 - at)) & 31) as u8);
    let body: String = groups
        .iter()
        .copied()
        .chain(tail)
        .map(|group| char::from(alphabet[usize::from(group)]))
        .collect();
    format!("{prefix}1{body}")
}

/// Whether the checksum of a bech32 text holds for `constant`.
#[cfg(test)]
pub(super) fn bech32_holds(text: &str, constant: u32) -> bool {
    let Some((prefix, body)) = text.rsplit_once('1') else {
        return false;
    };
    let mut values = spread(prefix);
    for sign in body.chars() {
        let Some(at) = BECH32.find(sign) else { return false };
        values.push(at as u8);
    }
    bech32_polymod(&values) == constant
}

/// The address format of Bitcoin Cash: five-bit groups with a 40-bit checksum.
pub(super) fn cash_address(prefix: &str, payload: &[u8]) -> String {
    let generator = [
        0x98_f2bc_8e61_u64,
        0x79_b76d_99e2,
        0xf3_3e5f_b3c4,
        0xae_2eab_e2a8,
        0x1e_4f43_e470,
    ];
    let groups = five_bits(payload);
    let mut values: Vec<u8> = prefix.bytes().map(|byte| byte & 31).collect();
    values.push(0);
    values.extend(&groups);
    values.extend([0; 8]);
    let mut sum: u64 = 1;
    for value in &values {
        let top = sum >> 35;
        sum = ((sum & 0x07_ffff_ffff) << 5) ^ u64::from(*value);
        for (at, part) in generator.iter().enumerate() {
            if (top >> at) & 1 == 1 {
                sum ^= part;
            }
        }
    }
    sum ^= 1;
    let alphabet = BECH32.as_bytes();
    let tail = (0..8).map(|at| (sum >> (5 * (7 - at)) & 31) as u8);
    groups
        .iter()
        .copied()
        .chain(tail)
        .map(|group| char::from(alphabet[usize::from(group)]))
        .collect()
}

/// Base 32 of RFC 4648 without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    let alphabet = super::dice::BASE32.as_bytes();
    five_bits(bytes)
        .iter()
        .map(|group| char::from(alphabet[usize::from(*group)]))
        .collect()
}

/// CRC-16/XMODEM: Stellar's addresses.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 }
        })
    })
}

/// CRC-24 of OpenPGP's armour.
pub(super) fn crc24(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x00b7_04ce, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 16), |sum, _| {
            let sum = sum << 1;
            if sum & 0x0100_0000 == 0 { sum } else { sum ^ 0x0186_4cfb }
        })
    }) & 0x00ff_ffff
}

/// Keccak-256 as Ethereum and Monero use it (the padding of before the standard).
pub(super) fn keccak256(bytes: &[u8]) -> [u8; 32] {
    const RATE: usize = 136;
    let mut padded = bytes.to_vec();
    padded.push(1);
    while !padded.len().is_multiple_of(RATE) {
        padded.push(0);
    }
    let last = padded.len() - 1;
    padded[last] |= 0x80;
    let mut state = [0_u64; 25];
    for block in padded.chunks(RATE) {
        for (lane, part) in block.chunks(8).enumerate() {
            let mut word = [0; 8];
            word.copy_from_slice(part);
            state[lane] ^= u64::from_le_bytes(word);
        }
        keccak_rounds(&mut state);
    }
    let mut sum = [0; 32];
    for (lane, part) in sum.chunks_mut(8).enumerate() {
        part.copy_from_slice(&state[lane].to_le_bytes());
    }
    sum
}

fn keccak_rounds(state: &mut [u64; 25]) {
    let mut register: u8 = 1;
    for _ in 0..24 {
        let mut parity = [0_u64; 5];
        for (at, lane) in state.iter().enumerate() {
            parity[at % 5] ^= lane;
        }
        for (at, lane) in state.iter_mut().enumerate() {
            *lane ^= parity[(at + 4) % 5] ^ parity[(at + 1) % 5].rotate_left(1);
        }
        let (mut x, mut y, mut held) = (1, 0, state[1]);
        for step in 0..24_u32 {
            (x, y) = (y, (2 * x + 3 * y) % 5);
            let turned = held.rotate_left((step + 1) * (step + 2) / 2 % 64);
            held = std::mem::replace(&mut state[x + 5 * y], turned);
        }
        for row in state.chunks_mut(5) {
            let old = [row[0], row[1], row[2], row[3], row[4]];
            for (at, lane) in row.iter_mut().enumerate() {
                *lane = old[at] ^ (!old[(at + 1) % 5] & old[(at + 2) % 5]);
            }
        }
        for step in 0..7 {
            if register & 1 == 1 {
                state[0] ^= 1 << ((1_u32 << step) - 1);
            }
            register = register << 1 ^ if register & 0x80 == 0 { 0 } else { 0x71 };
        }
    }
}

/// Bits, lowest first, as deflate packs them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, width: u32) {
        self.held |= value << self.count;
        self.count += width;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A code of the fixed table, highest bit first.
    fn code(&mut self, symbol: u32) {
        let (code, width) = match symbol {
            0..=143 => (0x30 + symbol, 8),
            144..=255 => (0x190 + symbol - 144, 9),
            256..=279 => (symbol - 256, 7),
            _ => (0xc0 + symbol - 280, 8),
        };
        self.push(code.reverse_bits() >> (32 - width), width);
    }
}

/// A gzip file: one block with the fixed code, repeats of three to ten bytes looked for in the last 512.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(0b011, 3);
    let mut at = 0;
    while at < bytes.len() {
        match repeat(bytes, at) {
            Some((length, distance)) => {
                bits.code(257 + length as u32 - 3);
                let (code, extra_bits, base) = distance_code(distance as u32);
                bits.push(code.reverse_bits() >> 27, 5);
                bits.push(distance as u32 - base, extra_bits);
                at += length;
            }
            None => {
                bits.code(u32::from(bytes[at]));
                at += 1;
            }
        }
    }
    bits.code(256);
    bits.push(0, 7);
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    file.extend(bits.bytes);
    file.extend(crc32fast::hash(bytes).to_le_bytes());
    file.extend((bytes.len() as u32).to_le_bytes());
    file
}

fn repeat(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let reach = at.min(512);
    (1..=reach)
        .map(|distance| {
            let length = (0..10)
                .take_while(|step| {
                    bytes
                        .get(at + step)
                        .is_some_and(|byte| *byte == bytes[at + step - distance])
                })
                .count();
            (length, distance)
        })
        .filter(|(length, _)| *length >= 3)
        .max_by_key(|(length, distance)| (*length, usize::MAX - distance))
}

/// The code, the width of its extra bits and its first distance.
fn distance_code(distance: u32) -> (u32, u32, u32) {
    let mut found = (0, 0, 1);
    let mut base = 1;
    for code in 0..30_u32 {
        let extra = if code < 4 { 0 } else { code / 2 - 1 };
        if base <= distance {
            found = (code, extra, base);
        }
        base += 1 << extra;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keccak_of_nothing_is_the_published_one() {
        assert_eq!(
            hex(&keccak256(b"")),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
    }

    #[test]
    fn sums_of_123456789_are_the_published_ones() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc24(b"123456789"), 0x0021_cf02);
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn bech32_of_the_standard_holds() {
        assert!(bech32_holds("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 1));
        assert!(bech32_holds(
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            0x2bc8_30a3
        ));
        assert!(!bech32_holds("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", 1));
    }

    #[test]
    fn base58_of_the_first_block_goes_both_ways() {
        let address = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
        let bytes = from_base58(address, BITCOIN58).unwrap();
        assert_eq!(base58_check(&bytes[..21], BITCOIN58), address);
    }

    #[test]
    fn cash_address_of_the_standard() {
        let hash = from_base58("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", BITCOIN58).unwrap();
        assert_eq!(
            cash_address("bitcoincash", &hash[..21]),
            "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"
        );
    }
}
