//! Secrets on disk: 32 random bytes in a file of its own that only the user can read, and the Ed25519 key made of such.
//!
//! Nothing here prints a secret: no `Debug` shows one, and memory is wiped when the value goes. It must not know what
//! a key is for.

use crate::files;
use aws_lc_rs::{
    rand,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The longest key file: one line of Base64.
const KEY_FILE_BYTES_MAX: u64 = 256;

/// Why a key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("cannot use the key file `{}`: {source}", .path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others can read it.
    #[error("the key file `{}` can be read by others (mode {mode:o}); hint: chmod 600 it, and replace the key if it may be known", .path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a key.
    #[error("the key file `{}` does not hold a key (32 bytes as one line of Base64); hint: restore it from a backup", .path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
    },
    /// No random bytes, or bytes that make no key.
    #[error("the cryptography provider refused to make a key")]
    Provider,
}

/// 32 secret bytes, wiped when dropped.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// New random bytes, in memory only.
    ///
    /// # Errors
    /// [`KeyError::Provider`] where there is no randomness.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| KeyError::Provider)?;
        Ok(Self(bytes))
    }

    /// Reads the secret in `path`, or makes one there (0600, synced) where there is none.
    ///
    /// # Errors
    /// Every [`KeyError`]: a file that others can read is refused, and so is one that holds anything else.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let secret = Self::random()?;
        match secret.create(path) {
            Ok(()) => Ok(secret),
            // Another process was first: its secret is the secret.
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Self::load(path),
            Err(source) => Err(KeyError::Io {
                path: path.to_path_buf(),
                source,
            }),
        }
    }

    /// Reads the secret in `path`.
    ///
    /// # Errors
    /// Every [`KeyError`] but [`KeyError::Provider`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let io_error = |source| KeyError::Io {
            path: path.to_path_buf(),
            source,
        };
        let mode = fs::metadata(path).map_err(io_error)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed {
                path: path.to_path_buf(),
                mode,
            });
        }
        let text = Zeroizing::new(files::read_limited(path, KEY_FILE_BYTES_MAX).map_err(io_error)?);
        let malformed = || KeyError::Malformed {
            path: path.to_path_buf(),
        };
        let decoded = Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_| malformed())?);
        let bytes = <[u8; 32]>::try_from(decoded.as_slice()).map_err(|_| malformed())?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// A crash leaves no half key, and a second process makes no second key.
    fn create(&self, path: &Path) -> io::Result<()> {
        let mut line = Zeroizing::new(STANDARD.encode(self.0.as_slice()));
        line.push('\n');
        files::create_whole(path, line.as_bytes())
    }

    /// The bytes, for the one who computes with them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// An Ed25519 key that signs, made of a seed in a file.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl SigningKey {
    /// Reads the seed in `path`, or makes one there where there is none.
    ///
    /// # Errors
    /// As [`Secret::load_or_create`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        Self::from_seed(&Secret::load_or_create(path)?)
    }

    /// The key of a seed (RFC 8032, 5.1.5).
    ///
    /// # Errors
    /// [`KeyError::Provider`] where the provider refuses it.
    pub fn from_seed(seed: &Secret) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| KeyError::Provider)?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| KeyError::Provider)?;
        Ok(Self { pair, public })
    }

    /// The public half.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Signs `message`: 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    #[test]
    fn a_secret_is_made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let first = Secret::load_or_create(&path).unwrap();
        let second = Secret::load_or_create(&path).unwrap();
        assert_eq!(first.expose(), second.expose());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "no scratch file stays"
        );
        assert_ne!(
            Secret::load_or_create(&directory.path().join("other"))
                .unwrap()
                .expose(),
            first.expose()
        );
    }

    #[test]
    fn threads_that_race_get_one_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secrets: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| *Secret::load_or_create(&path).unwrap().expose()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn refuses_what_is_exposed_or_malformed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        Secret::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = Secret::load_or_create(&path).unwrap_err();
        assert!(matches!(exposed, KeyError::Exposed { mode: 0o640, .. }), "{exposed}");
        for text in ["", "AAAA", "not base64!", &"A".repeat(300), &STANDARD.encode([7; 33])] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let refused = Secret::load_or_create(&path).unwrap_err();
            assert!(
                matches!(refused, KeyError::Malformed { .. } | KeyError::Io { .. }),
                "{text}: {refused}"
            );
        }
    }

    #[test]
    fn signs_so_that_the_public_half_verifies() {
        // RFC 8032, 7.1, test 1.
        let seed = Secret(Zeroizing::new(hex(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        )));
        let key = SigningKey::from_seed(&seed).unwrap();
        assert_eq!(
            *key.public(),
            hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        );
        let verifier = UnparsedPublicKey::new(&ED25519, key.public());
        verifier.verify(b"message", &key.sign(b"message")).unwrap();
        verifier.verify(b"massage", &key.sign(b"message")).unwrap_err();
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret(Zeroizing::new([0xAB; 32]));
        let key = SigningKey::from_seed(&secret).unwrap();
        assert_eq!(format!("{secret:?} {key:?}"), "Secret(..) SigningKey(..)");
    }

    fn hex(text: &str) -> [u8; 32] {
        let bytes: Vec<u8> = (0..32)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        bytes.try_into().unwrap()
    }
}
