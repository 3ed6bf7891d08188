//! What stands in the place of a value and is the same for the same value: a keyed hash of it. Without the key nobody can try out
//! whether a value that they guess is the one. It must not know where a value was found.

use crate::scan::view::View;
use crate::scan::{Class, HASH_LETTERS};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// A key to hash values under: HMAC-SHA-256 (RFC 2104), ready.
#[derive(Clone)]
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// Of these bytes. Who does not know them can tell no value from its hash if there are 32 of them and they are random.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        Self(Hmac::new_from_slice(key).expect("of any length"))
    }

    fn sign(&self, parts: &[&[u8]]) -> impl Iterator<Item = u8> + use<> {
        let mut signing = self.0.clone();
        for part in parts {
            signing.update(part);
        }
        signing.finalize().into_bytes().into_iter()
    }

    /// The hash of `value` as a mark says it: 64 bits in letters from `a` to `p`. A figure is never among them: a server that writes a
    /// mark of its own has no number pass as one.
    pub(crate) fn letters(&self, class: Class, value: &[u8]) -> [u8; HASH_LETTERS] {
        let view = View::new(value);
        let plain: Vec<u8> = match class.is_a_number() {
            // However it is grouped.
            true => {
                let letters = view.text().iter().filter(|byte| byte.is_ascii_alphanumeric());
                letters.map(u8::to_ascii_uppercase).collect()
            }
            false => view.text().to_vec(),
        };
        let mut letters = [b'a'; HASH_LETTERS];
        let bits = self.sign(&[class.as_str().as_bytes(), b"\0", &plain]);
        let halves = bits.flat_map(|byte| [byte >> 4, byte & 15]);
        for (letter, half) in letters.iter_mut().zip(halves) {
            *letter += half;
        }
        letters
    }
}

/// Says nothing of the key.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, 4.2, 4.3, 4.7.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for (key, text, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(HashKey::new(key).sign(&[text]).collect()), expected);
        }
        assert_eq!(format!("{:?}", HashKey::new(b"Jefe")), "HashKey(..)");
    }

    #[test]
    fn a_value_has_one_hash_however_it_is_written_and_another_under_another_key_or_class() {
        let key = HashKey::new(b"a key");
        let iban = |text: &str| key.letters(Class::Iban, text.as_bytes());
        assert_eq!(iban("DE89 3704 0044 0532 0130 00"), iban("de89370400440532013000"));
        assert_eq!(iban("DE89\\u0033704 0044 0532 0130 00"), iban("DE89370400440532013000"));
        assert_ne!(iban("DE89370400440532013000"), iban("DE89370400440532013001"));
        let password = |text: &str| key.letters(Class::Password, text.as_bytes());
        assert_ne!(password("a-b-c-d"), password("abcd"), "every sign of a secret counts");
        assert_ne!(password("1234"), key.letters(Class::GenericSecret, b"1234"));
        assert_ne!(
            password("1234"),
            HashKey::new(b"b key").letters(Class::Password, b"1234")
        );
        assert!(password("1234").iter().all(|letter| (b'a'..=b'p').contains(letter)));
    }
}
