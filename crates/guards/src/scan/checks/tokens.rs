//! Checks of tokens: what can be said of a token's bytes beyond its alphabet and length. Each check is pure and total, and gets the
//! whole token, prefix included. They know no rule and no text: what stands around a token is the engine's matter.

/// The check of that name, where there is one.
pub(crate) fn named(name: &str) -> Option<fn(&[u8]) -> bool> {
    Some(match name {
        "github-crc32" => github_crc32,
        "jwt" => jwt,
        "jwt-unsigned" => jwt_unsigned,
        "jwe" => jwe,
        "varied" => varied,
        "mixed" => mixed,
        "opaque" => opaque,
        "cased" => cased,
        "aws-key-id" => aws_key_id,
        "aws-secret" => aws_secret,
        "discord" => discord,
        _ => return None,
    })
}

/// GitHub's and npm's checksum: the last six characters are the CRC-32 (IEEE) of what stands between the first `_` and them, in
/// base62 (digits, upper case, lower case), filled with `0`.
/// Source: GitHub blog, 2021-04-05, "Behind GitHub's new authentication token formats".
pub(crate) fn github_crc32(token: &[u8]) -> bool {
    let Some(mark) = memchr::memchr(b'_', token) else {
        return false;
    };
    let Some(secret) = token.get(mark + 1..) else {
        return false;
    };
    let Some((random, sum)) = secret.split_last_chunk::<6>() else {
        return false;
    };
    // 62^6 is more than 2^32, but not every six characters are: the sum is taken in 64 bits.
    let said = sum.iter().try_fold(0_u64, |sum, &byte| Some(sum * 62 + base62(byte)?));
    !random.is_empty() && said == Some(u64::from(crc32fast::hash(random)))
}

/// A JSON Web Token in compact form (RFC 7515): three parts, the first a JSON object with a member `alg`.
pub(crate) fn jwt(token: &[u8]) -> bool {
    parts(token) == 3 && header(token).is_some_and(|header| header.alg)
}

/// An unsecured JSON Web Token (RFC 7519, section 6): the third part is empty, and the header says `none`.
pub(crate) fn jwt_unsigned(token: &[u8]) -> bool {
    parts(token) == 3 && token.ends_with(b".") && header(token).is_some_and(|header| header.alg && header.none)
}

/// A JSON Web Encryption in compact form (RFC 7516): five parts, the first a JSON object with members `alg` and `enc`.
pub(crate) fn jwe(token: &[u8]) -> bool {
    parts(token) == 5 && header(token).is_some_and(|header| header.alg && header.enc)
}

/// No filler: the last sixteen bytes hold at least six different ones. Sixteen random hex digits hold fewer once in 28,000 times;
/// `xxxxxxxx`, `00000000` and `abababab` hold one or two.
pub(crate) fn varied(token: &[u8]) -> bool {
    let tail = token.get(token.len().saturating_sub(16)..).unwrap_or(token);
    tail.iter()
        .fold(0_u128, |seen, byte| seen | (1 << (byte & 127)))
        .count_ones()
        >= 6
}

/// Varied, with at least one digit and one letter: no word, no number.
pub(crate) fn mixed(token: &[u8]) -> bool {
    varied(token) && token.iter().any(u8::is_ascii_digit) && token.iter().any(u8::is_ascii_alphabetic)
}

/// Varied, and no name of words and years joined by dashes: a run of at least ten letters and digits has both, or each of at least
/// three runs has both, or it has the form of a UUID.
pub(crate) fn opaque(token: &[u8]) -> bool {
    let both = |run: &[u8]| run.iter().any(u8::is_ascii_digit) && run.iter().any(u8::is_ascii_alphabetic);
    let runs = || {
        token
            .split(|byte| !byte.is_ascii_alphanumeric())
            .filter(|run| !run.is_empty())
    };
    varied(token)
        && (runs().any(|run| run.len() >= 10 && both(run)) || (runs().count() >= 3 && runs().all(both)) || uuid(token))
}

/// Hex digits in groups of 8, 4, 4, 4 and 12.
fn uuid(token: &[u8]) -> bool {
    token.len() == 36
        && token.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Varied, with letters of both cases behind the last `_` or `-`: no identifier of a program, no name of a file.
pub(crate) fn cased(token: &[u8]) -> bool {
    let body = token.rsplit(|byte| matches!(byte, b'_' | b'-')).next().unwrap_or(token);
    varied(token) && body.iter().any(u8::is_ascii_uppercase) && body.iter().any(u8::is_ascii_lowercase)
}

/// The id of an AWS access key that is not one of the documentation's (`AKIAIOSFODNN7EXAMPLE`).
pub(crate) fn aws_key_id(token: &[u8]) -> bool {
    varied(token) && !token.ends_with(b"EXAMPLE")
}

/// An AWS secret access key: letters of both cases and digits, and not the documentation's, which ends in `EXAMPLEKEY`.
/// Of 40 random base64 characters all three kinds are missing at most once in a thousand times.
pub(crate) fn aws_secret(token: &[u8]) -> bool {
    mixed(token)
        && token.iter().any(u8::is_ascii_uppercase)
        && token.iter().any(u8::is_ascii_lowercase)
        && !token.ends_with(b"EXAMPLEKEY")
}

/// A Discord bot token: its first part is the base64 of the bot's id, which is 15 to 20 decimal digits.
pub(crate) fn discord(token: &[u8]) -> bool {
    let mut digits = 0;
    for byte in Decoded::of(token) {
        match byte {
            Some(b'0'..=b'9') => digits += 1,
            _ => return false,
        }
    }
    (15..=20).contains(&digits) && varied(token)
}

/// How many parts dots make of it.
fn parts(token: &[u8]) -> usize {
    token.iter().filter(|byte| **byte == b'.').count() + 1
}

/// What the protected header of a compact JOSE object says.
#[derive(Default)]
struct Header {
    alg: bool,
    enc: bool,
    /// Somewhere in it stands the string `none`.
    none: bool,
}

/// The header, read from the first part without keeping it: nothing, where it is no base64url of one JSON object in balance. It is
/// not a JSON parser: strings and braces are followed, which is what tells a member's name at the top from a word elsewhere.
fn header(token: &[u8]) -> Option<Header> {
    let mut header = Header::default();
    let (mut depth, mut in_string, mut escaped, mut closed) = (0_u32, false, false, false);
    // The last string's first four bytes and its length; and whether only white space came since.
    let (mut word, mut length, mut fresh) = ([0_u8; 4], 0_usize, false);
    for byte in Decoded::of(token) {
        let byte = byte?;
        if closed {
            return None;
        }
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    (in_string, fresh) = (false, true);
                    header.none |= length == 4 && word == *b"none";
                    continue;
                }
                // A control character: JSON has them escaped only, and bytes that are no header have them everywhere.
                0..=31 => return None,
                _ => {}
            }
            if let Some(slot) = word.get_mut(length) {
                *slot = byte;
            }
            length += 1;
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'"' if depth > 0 => (in_string, word, length) = (true, [0; 4], 0),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                closed = depth == 0;
            }
            b':' if fresh && depth == 1 && length == 3 => {
                header.alg |= word.starts_with(b"alg");
                header.enc |= word.starts_with(b"enc");
            }
            b':' | b',' | b'0'..=b'9' | b'a'..=b'z' | b'.' | b'-' | b'+' | b'E' if depth > 0 => {}
            _ => return None,
        }
        fresh = false;
    }
    closed.then_some(header)
}

/// The bytes that the base64 or base64url before the first dot stands for; `None` for each character that is of neither. Filling is
/// not looked for, and the bits that are left over at the end are dropped, as lenient decoders do.
struct Decoded<'a> {
    encoded: std::slice::Iter<'a, u8>,
    bits: u32,
    held: u32,
}

impl<'a> Decoded<'a> {
    fn of(token: &'a [u8]) -> Self {
        let first = token.split(|byte| *byte == b'.').next().unwrap_or_default();
        Self {
            encoded: first.iter(),
            bits: 0,
            held: 0,
        }
    }
}

impl Iterator for Decoded<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Option<u8>> {
        while self.held < 8 {
            let Some(six) = sextet(*self.encoded.next()?) else {
                return Some(None);
            };
            self.bits = (self.bits << 6 | six) & 0x3FFF;
            self.held += 6;
        }
        self.held -= 8;
        Some(u8::try_from(self.bits >> self.held & 0xFF).ok())
    }
}

/// The value of a base64 or base64url character.
fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// The value of a base62 character, in GitHub's order.
fn base62(byte: u8) -> Option<u64> {
    Some(u64::from(match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'Z' => byte - b'A' + 10,
        b'a'..=b'z' => byte - b'a' + 36,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Base64url without filling, the other way round.
    fn encoded(bytes: &[u8]) -> String {
        const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut out = String::new();
        for three in bytes.chunks(3) {
            let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
            out.extend((0..=three.len()).map(|at| char::from(SIGNS[(bits >> (18 - 6 * at) & 63) as usize])));
        }
        out
    }

    fn base62_of(mut number: u64) -> String {
        let mut out = [b'0'; 6];
        for slot in out.iter_mut().rev() {
            *slot = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(number % 62) as usize];
            number /= 62;
        }
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn github_checksum_holds_and_every_change_breaks_it() {
        for (prefix, random) in [
            ("ghp_", "Tq7Zk2Lr9TxWc5yXp8sLd4fGjRbVn3"),
            ("npm_", "0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o"),
        ] {
            let token = format!(
                "{prefix}{random}{}",
                base62_of(u64::from(crc32fast::hash(random.as_bytes())))
            );
            assert!(github_crc32(token.as_bytes()));
            for at in prefix.len()..token.len() {
                let mut changed = token.clone().into_bytes();
                changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
                assert!(!github_crc32(&changed), "{at}");
            }
        }
        for short in ["", "_", "ghp_", "ghp_00000", "ghp_000000", "no mark"] {
            assert!(!github_crc32(short.as_bytes()));
        }
    }

    #[test]
    fn a_jwt_is_known_by_its_header() {
        let token = |header: &str, rest: &str| format!("{}{rest}", encoded(header.as_bytes()));
        // RFC 7515, appendix A.1 (with line ends in its header), and A.5's unsecured one.
        assert!(jwt(
            b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.dBjftJeZ4CVP"
        ));
        assert!(jwt_unsigned(b"eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ."));
        assert!(jwt(token(
            r#"{"x5c":["a:,{}\""],"n":{"alg":1}, "alg" : "ES256"}"#,
            ".e30.c2ln"
        )
        .as_bytes()));
        assert!(jwe(
            token(r#"{"alg":"dir","enc":"A256GCM"}"#, "..aXY.Y3Q.dGFn").as_bytes()
        ));
        for wrong in [
            token(r#"{"typ":"JWT"}"#, ".e30.c2ln"),         // no alg
            token(r#"{"n":{"alg":"HS256"}}"#, ".e30.c2ln"), // alg not at the top
            token(r#"{"typ":"alg"}"#, ".e30.c2ln"),         // alg as a value
            token(r#"{"alg":"HS256""#, ".e30.c2ln"),        // not closed
            token(r#"{"alg":"HS256"}}"#, ".e30.c2ln"),      // closed twice
            token(r#"{"alg":"HS256"} x"#, ".e30.c2ln"),     // something after it
            token(r#"["alg":"HS256"]"#, ".e30"),            // two parts
            token("\u{1}\u{2}\u{3}", ".e30.c2ln"),
            "....".into(),
            "".into(),
            "#.e30.x".into(),
        ] {
            assert!(!jwt(wrong.as_bytes()), "{wrong}");
            assert!(!jwe(wrong.as_bytes()), "{wrong}");
        }
        assert!(!jwe(token(r#"{"alg":"dir"}"#, "..aXY.Y3Q.dGFn").as_bytes()));
        assert!(!jwt_unsigned(b"eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ."));
    }

    #[test]
    fn filler_words_and_numbers_are_told_from_tokens() {
        for filler in [
            "ghp_xxxxxxxxxxxxxxxxxxxx",
            "00000000-0000-0000-0000-000000000000",
            "abababababababab",
            "",
        ] {
            assert!(!varied(filler.as_bytes()), "{filler}");
        }
        assert!(varied(b"7f3c2b1a9d8e4c5f"));
        assert!(mixed(b"7f3c2b1a9d8e4c5f") && !mixed(b"productionCluster") && !mixed(b"1700000123456789"));
        assert!(
            cased(b"hf_kTqZwLrTxWcyXpsLd") && !cased(b"hf_cellprioritydescription") && !cased(b"HF_ico-7f3c2b1a9d8e")
        );
        assert!(opaque(b"a1_7f3c2b1a9d8e4c5f") && !opaque(b"my-production-cluster-2024-backup"));
        assert!(opaque(b"12345678-1234-1234-a123-123456789012"));
        assert!(opaque(b"AB12-CD34-EF56-GH78") && !opaque(b"AB12-CD34") && !opaque(b"2024-01-02T10"));
    }

    #[test]
    fn the_documentations_keys_of_aws_are_refused() {
        assert!(aws_key_id(b"AKIAQ7ZK2LR4TXWC5YXP") && !aws_key_id(b"AKIAIOSFODNN7EXAMPLE"));
        assert!(aws_secret(b"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"));
        assert!(!aws_secret(b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
        assert!(!aws_secret(b"3f786850e387550fdab836ed7e6dc881de23001b"));
    }

    #[test]
    fn a_discord_token_begins_with_its_id() {
        let rest = ".GhTq7Z.k2Lr9TxWc5yXp8sLd4fGjRbVn3mHa6QeUi0oPz";
        assert!(discord(format!("{}{rest}", encoded(b"1078224456799551649")).as_bytes()));
        assert!(!discord(
            format!("{}{rest}", encoded(b"10782244567x9551649")).as_bytes()
        ));
        assert!(!discord(format!("{}{rest}", encoded(b"12345")).as_bytes()));
        assert!(!discord(b""));
    }

    #[test]
    fn no_check_panics_on_any_bytes() {
        let names = [
            "github-crc32",
            "jwt",
            "jwt-unsigned",
            "jwe",
            "varied",
            "mixed",
            "opaque",
            "cased",
            "aws-key-id",
            "aws-secret",
            "discord",
        ];
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for round in 0..20_000_usize {
            let bytes: Vec<u8> = (0..round % 67)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let byte = (state >> 33) as u8;
                    if round % 2 == 0 {
                        byte
                    } else {
                        b"eyJ._{}\"alg:0aZ"[usize::from(byte % 15)]
                    }
                })
                .collect();
            for name in names {
                let _ = named(name).unwrap()(&bytes);
            }
        }
        assert!(named("unknown").is_none());
    }
}
