//! The checkpoint: size and root of the tree as a C2SP signed note with one Ed25519 signature. It must not know where
//! it is kept.

use crate::tree::{HASH_BYTES, Hash};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis_store::keys::SigningKey;
use std::fmt;

/// The longest checkpoint: a few lines.
pub(crate) const CHECKPOINT_BYTES_MAX: u64 = 4096;

/// The algorithm byte of Ed25519 in signed notes.
const ALGORITHM_ED25519: u8 = 1;

/// Bytes of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

/// Whether `name` may name a key and be an origin: not empty, no white space, no `+`, at most 255 bytes (C2SP signed-note).
pub(crate) fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// Who may sign the log: the public half of the log's key under its name, in the signed-note form `name+hash+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

/// A text is no verifier key. The text is not said back: it may be of the wrong file, the private key's perhaps.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is no verifier key; hint: it reads `NAME+HASH+BASE64`, as in the log's `verifier.key`")]
pub struct VerifierKeyError;

impl VerifierKey {
    /// The key `public` under `name`, which must be fit for a note (the ledger checks it when it opens).
    pub(crate) fn new(name: &str, public: &[u8; 32]) -> Self {
        Self {
            name: name.to_owned(),
            public: *public,
        }
    }

    /// Reads `name+hash+base64`; white space around it is left out.
    ///
    /// # Errors
    /// [`VerifierKeyError`] where it is malformed, of another algorithm, or its hash does not fit.
    pub fn parse(text: &str) -> Result<Self, VerifierKeyError> {
        let text = text.trim();
        Self::parse_parts(text).ok_or(VerifierKeyError)
    }

    fn parse_parts(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (_, base64) = rest.split_once('+')?;
        let bytes = STANDARD.decode(base64).ok()?;
        let (algorithm, public) = bytes.split_first()?;
        let public = <[u8; 32]>::try_from(public).ok()?;
        let key = Self {
            name: name.to_owned(),
            public,
        };
        (*algorithm == ALGORITHM_ED25519 && is_valid_name(name) && key.to_string() == text).then_some(key)
    }

    /// The name: the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256 of name, line feed, algorithm and key (C2SP signed-note).
    fn hash(&self) -> [u8; 4] {
        let mut bytes = Vec::with_capacity(self.name.len() + 34);
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(&[b'\n', ALGORITHM_ED25519]);
        bytes.extend_from_slice(&self.public);
        let [a, b, c, d, ..] = crate::record::digest(&bytes);
        [a, b, c, d]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ALGORITHM_ED25519];
        key.extend_from_slice(&self.public);
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            u32::from_be_bytes(self.hash()),
            STANDARD.encode(key)
        )
    }
}

/// A tree of `size` records with the root `root`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

impl Checkpoint {
    fn text(&self, origin: &str) -> String {
        format!("{origin}\n{}\n{}\n", self.size, STANDARD.encode(self.root))
    }

    /// The signed note: text, empty line, signature line.
    pub(crate) fn sign(&self, verifier: &VerifierKey, key: &SigningKey) -> String {
        let text = self.text(&verifier.name);
        let signature = key.sign(text.as_bytes());
        note(&text, verifier, &signature)
    }

    /// Reads a note that `verifier`'s key signed over its own origin. There is one way to write it: any other byte is refused.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn open(bytes: &[u8], verifier: &VerifierKey) -> Result<Self, String> {
        let note_text =
            std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
        let (text, signatures) = note_text
            .split_once("\n\n")
            .ok_or("no empty line between text and signature")?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err("the text is not the three lines origin, size and root".to_owned());
        };
        if origin != verifier.name {
            return Err(format!("the origin is `{origin}` and not `{}`", verifier.name));
        }
        let size = size.parse().map_err(|_| format!("the size `{size}` is no number"))?;
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|root| <[u8; HASH_BYTES]>::try_from(root).ok())
            .ok_or("the root is not 32 bytes in Base64")?;
        let checkpoint = Self { size, root };
        let signature_base64 = signatures
            .strip_prefix("\u{2014} ")
            .and_then(|line| line.strip_prefix(verifier.name.as_str()))
            .and_then(|line| line.strip_prefix(' '))
            .and_then(|line| line.strip_suffix('\n'))
            .ok_or_else(|| format!("no signature line by `{}`", verifier.name))?;
        let signature = STANDARD
            .decode(signature_base64)
            .map_err(|_| "the signature is not in Base64")?;
        let Some((hash, signature)) = signature
            .split_at_checked(4)
            .filter(|(_, signature)| signature.len() == SIGNATURE_BYTES)
        else {
            return Err("the signature has the wrong length".to_owned());
        };
        if hash != verifier.hash() {
            return Err("the signature is by another key".to_owned());
        }
        let canonical = checkpoint.text(&verifier.name);
        UnparsedPublicKey::new(&ED25519, &verifier.public)
            .verify(canonical.as_bytes(), signature)
            .map_err(|_| "the signature does not fit the text")?;
        // Parsers forgive (a `+` before a number, for one): what we would not write ourselves is not ours.
        if note(&canonical, verifier, signature).as_bytes() != bytes {
            return Err("not the canonical form of a checkpoint".to_owned());
        }
        Ok(checkpoint)
    }
}

fn note(text: &str, verifier: &VerifierKey, signature: &[u8]) -> String {
    let mut line = verifier.hash().to_vec();
    line.extend_from_slice(signature);
    format!("{text}\n\u{2014} {} {}\n", verifier.name, STANDARD.encode(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_store::keys::Secret;

    #[test]
    fn what_is_no_verifier_key_is_not_said_back() {
        let error = VerifierKey::parse("the bytes of a private key").unwrap_err();
        assert!(!error.to_string().contains("private"), "{error}");
        assert!(error.to_string().contains("hint:"), "{error}");
    }

    #[test]
    fn a_signed_checkpoint_opens_and_no_changed_one_does() {
        let key = SigningKey::from_seed(&Secret::random().unwrap()).unwrap();
        let verifier = VerifierKey::new("portcullis.local/test", key.public());
        let checkpoint = Checkpoint {
            size: 12_345,
            root: [7; 32],
        };
        let note = checkpoint.sign(&verifier, &key);
        assert_eq!(Checkpoint::open(note.as_bytes(), &verifier), Ok(checkpoint));
        for at in 0..note.len() {
            for flip in [1, 2, 0x20, 0x80] {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= flip;
                assert!(Checkpoint::open(&bytes, &verifier).is_err(), "byte {at} ^ {flip}");
            }
        }
        for end in 0..note.len() {
            assert!(
                Checkpoint::open(&note.as_bytes()[..end], &verifier).is_err(),
                "cut at {end}"
            );
        }
        assert!(Checkpoint::open(note.replace("12345", "+12345").as_bytes(), &verifier).is_err());
        assert!(Checkpoint::open(format!("{note}x").as_bytes(), &verifier).is_err());
    }

    #[test]
    fn another_key_or_name_is_refused() {
        let key = SigningKey::from_seed(&Secret::random().unwrap()).unwrap();
        let other = SigningKey::from_seed(&Secret::random().unwrap()).unwrap();
        let note = Checkpoint { size: 0, root: [0; 32] }.sign(&VerifierKey::new("a.example/log", key.public()), &key);
        assert!(Checkpoint::open(note.as_bytes(), &VerifierKey::new("a.example/log", other.public())).is_err());
        assert!(Checkpoint::open(note.as_bytes(), &VerifierKey::new("b.example/log", key.public())).is_err());
    }

    #[test]
    fn a_verifier_key_has_one_spelling() {
        // The example of the specification (C2SP signed-note).
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key = VerifierKey::parse(text).unwrap();
        assert_eq!((key.name(), key.to_string().as_str()), ("PeterNeumann", text));
        assert_eq!(VerifierKey::parse(&format!(" {text}\n")).unwrap(), key);
        for bad in [
            "",
            "a+b",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(VerifierKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_those_of_the_specification() {
        assert!(is_valid_name("portcullis.local/host-1"));
        for bad in ["", "a b", "a+b", "a\n", "a\u{a0}b"] {
            assert!(!is_valid_name(bad), "{bad:?}");
        }
    }
}
