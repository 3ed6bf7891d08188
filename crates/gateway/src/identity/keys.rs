//! API keys: made of random bytes, shown once, kept as salted hashes in a file that only its owner may read. It must not know
//! tokens of others, policy or the wire.
//!
//! A key has 256 random bits, so that a fast hash is enough: nobody guesses one, and a slow hash would only slow every call.

use super::subject::{Method, Subject, SubjectError, SubjectKind};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, str};

/// What every key begins with, so that scanners for leaked secrets know one.
pub const KEY_PREFIX: &str = "pk_";
/// Bytes of randomness in a key.
const SECRET_BYTES: usize = 32;
/// Bytes of randomness in a key's salt.
const SALT_BYTES: usize = 16;
/// Characters of a key's public id.
const ID_CHARS: usize = 12;
/// Characters of a whole key: prefix, id, `_`, secret in Base64.
const KEY_CHARS: usize = KEY_PREFIX.len() + ID_CHARS + 1 + 43;
/// Letters of an id: no upper case, nothing that looks like another.
const ID_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Largest key file, in bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Most keys.
const KEYS_MAX: usize = 10_000;

/// Why keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The operating system said no.
    #[error("the key file `{path}`: {error}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Others may read the file.
    #[error("others may read the key file `{path}`, hint: chmod 600 {path}", path = .0.display())]
    Exposed(PathBuf),
    /// The file is not a key file of ours.
    #[error("the key file `{path}` cannot be read: {reason}, hint: restore it from a copy, or move it away and create new keys", path = path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key's name or a group is impossible.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// There are too many keys.
    #[error("there are {KEYS_MAX} keys already, hint: revoke some")]
    Full,
    /// The machine gave no random bytes.
    #[error("no random bytes could be had from the operating system")]
    Randomness,
}

/// Whom a new key is for.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Person or program.
    pub kind: SubjectKind,
    /// Its name in policies.
    pub name: String,
    /// Its groups in policies.
    pub groups: Vec<String>,
    /// When it ends, in seconds since 1970; `None` is never.
    pub expires_unix_s: Option<u64>,
}

/// A key that was just made. The secret is in no file: this is the one time it can be shown.
pub struct CreatedKey {
    /// Its public id, for `revoke`.
    pub id: String,
    secret: String,
}

impl CreatedKey {
    /// The key itself.
    #[must_use]
    pub fn danger_secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its public id.
    pub id: String,
    /// Person or program.
    pub kind: SubjectKind,
    /// Its name in policies.
    pub name: String,
    /// Its groups in policies.
    pub groups: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// When it ends, in seconds since 1970.
    pub expires_unix_s: Option<u64>,
}

/// The file that keys are kept in. Each change is one atomic replacement under a lock, so that two programs may change it.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    keys: Vec<Stored>,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: String,
    kind: String,
    name: String,
    groups: Vec<String>,
    created_unix_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_unix_s: Option<u64>,
    salt: String,
    hash: String,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl KeyFile {
    /// The key file at this path. It need not be there yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes a key and keeps its hash.
    ///
    /// # Errors
    /// When the name is impossible, or the file cannot be read or replaced.
    pub fn create(&self, new: NewKey, now_unix_s: u64) -> Result<CreatedKey, KeyFileError> {
        let subject = Subject::new(new.kind, new.name, new.groups, Method::Key, None)?;
        let _lock = self.lock()?;
        let mut document = self.read()?;
        if document.keys.len() >= KEYS_MAX {
            return Err(KeyFileError::Full);
        }
        let id = loop {
            let id = random_id()?;
            if document.keys.iter().all(|key| key.id != id) {
                break id;
            }
        };
        let secret = format!("{KEY_PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?));
        let salt = random::<SALT_BYTES>()?;
        let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salt), secret.as_bytes());
        document.keys.push(Stored {
            id: id.clone(),
            kind: subject.kind().as_str().to_owned(),
            name: subject.name().to_owned(),
            groups: subject.groups().to_vec(),
            created_unix_s: now_unix_s,
            expires_unix_s: new.expires_unix_s,
            salt: URL_SAFE_NO_PAD.encode(salt),
            hash: URL_SAFE_NO_PAD.encode(hash.as_ref()),
        });
        self.write(&document)?;
        Ok(CreatedKey { id, secret })
    }

    /// Takes a key away, by its id. Says whether it was there.
    ///
    /// # Errors
    /// When the file cannot be read or replaced.
    pub fn revoke(&self, id: &str) -> Result<bool, KeyFileError> {
        let _lock = self.lock()?;
        let mut document = self.read()?;
        let before = document.keys.len();
        document.keys.retain(|key| key.id != id);
        let revoked = document.keys.len() < before;
        if revoked {
            self.write(&document)?;
        }
        Ok(revoked)
    }

    /// What may be shown of each key, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self) -> Result<Vec<KeyInfo>, KeyFileError> {
        let keys = self.read()?.keys.into_iter();
        keys.map(|key| {
            Ok(KeyInfo {
                kind: self.kind(&key)?,
                id: key.id,
                name: key.name,
                groups: key.groups,
                created_unix_s: key.created_unix_s,
                expires_unix_s: key.expires_unix_s,
            })
        })
        .collect()
    }

    /// The keys, ready to check what is presented.
    ///
    /// # Errors
    /// When the file cannot be read, or a key in it is impossible.
    pub fn load(&self) -> Result<KeyRing, KeyFileError> {
        let mut keys = HashMap::new();
        for key in self.read()?.keys {
            let malformed = |reason: String| self.malformed(format!("key `{}`: {reason}", key.id.escape_debug()));
            let bytes = |text: &str, wanted: usize| {
                let bytes = URL_SAFE_NO_PAD
                    .decode(text)
                    .map_err(|error| malformed(error.to_string()))?;
                match bytes.len() == wanted {
                    true => Ok(bytes),
                    false => Err(malformed(format!("{} bytes where {wanted} are wanted", bytes.len()))),
                }
            };
            let subject = Subject::new(
                self.kind(&key)?,
                key.name.clone(),
                key.groups.clone(),
                Method::Key,
                None,
            )
            .map_err(|error| malformed(error.to_string()))?;
            let entry = Entry {
                mac: hmac::Key::new(hmac::HMAC_SHA256, &bytes(&key.salt, SALT_BYTES)?),
                hash: bytes(&key.hash, 32)?,
                expires_unix_s: key.expires_unix_s,
                subject: Arc::new(subject),
            };
            if key.id.len() != ID_CHARS || keys.insert(key.id.clone(), entry).is_some() {
                return Err(malformed("its id is not one, or is there twice".to_owned()));
            }
        }
        Ok(KeyRing { keys })
    }

    fn kind(&self, key: &Stored) -> Result<SubjectKind, KeyFileError> {
        match key.kind.as_str() {
            "user" => Ok(SubjectKind::User),
            "agent" => Ok(SubjectKind::Agent),
            other => Err(self.malformed(format!("`{}` is neither `user` nor `agent`", other.escape_debug()))),
        }
    }

    fn read(&self) -> Result<Document, KeyFileError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Document {
                    version: 1,
                    keys: Vec::new(),
                });
            }
            Err(error) => return Err(self.io(error)),
        };
        let metadata = file.metadata().map_err(|error| self.io(error))?;
        if metadata.mode() & 0o077 != 0 {
            return Err(KeyFileError::Exposed(self.path.clone()));
        }
        let mut text = String::new();
        let limit = FILE_BYTES_MAX.saturating_add(1);
        let read = file
            .take(limit)
            .read_to_string(&mut text)
            .map_err(|error| self.io(error))?;
        if u64::try_from(read).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
            return Err(self.malformed(format!("it has more than {} MiB", FILE_BYTES_MAX >> 20)));
        }
        // serde_json's message names a place and a field, and quotes a text only where it has the wrong type.
        let document: Document = serde_json::from_str(&text)
            .map_err(|error| self.malformed(format!("line {}, column {}", error.line(), error.column())))?;
        match (document.version, document.keys.len() <= KEYS_MAX) {
            (1, true) => Ok(document),
            (1, false) => Err(KeyFileError::Full),
            (other, _) => Err(self.malformed(format!("it has version {other}, and this program knows 1"))),
        }
    }

    /// A crash at any point leaves the old file or the new one.
    fn write(&self, document: &Document) -> Result<(), KeyFileError> {
        let text = serde_json::to_string_pretty(document).map_err(|error| self.malformed(error.to_string()))?;
        let new = self.beside("new");
        let replace = || -> io::Result<()> {
            // What a crash left behind may have any mode: a file of our own making has ours.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            match self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        replace().map_err(|error| self.io(error))
    }

    /// Held until dropped; the operating system lets go of it when the program dies.
    fn lock(&self) -> Result<File, KeyFileError> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.beside("lock"));
        let file = file.map_err(|error| self.io(error))?;
        file.lock().map_err(|error| self.io(error))?;
        Ok(file)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(suffix);
        PathBuf::from(name)
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn io(&self, error: io::Error) -> KeyFileError {
        KeyFileError::Io {
            path: self.path.clone(),
            error,
        }
    }

    fn malformed(&self, reason: String) -> KeyFileError {
        KeyFileError::Malformed {
            path: self.path.clone(),
            reason,
        }
    }
}

/// The keys as the gateway holds them: by id, each with its hash.
#[derive(Default)]
pub struct KeyRing {
    keys: HashMap<String, Entry>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.keys.len())
    }
}

struct Entry {
    mac: hmac::Key,
    hash: Vec<u8>,
    expires_unix_s: Option<u64>,
    subject: Arc<Subject>,
}

/// What became of a presented key.
#[derive(Debug)]
pub(super) enum KeyCheck {
    /// It is this subject's.
    Is(Arc<Subject>),
    /// No key is written so.
    Malformed,
    /// There is no such key, or its secret is another.
    Unknown,
    /// It was one until it ended.
    Expired,
}

impl KeyRing {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whom they stand for.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.keys.values().map(|entry| &*entry.subject)
    }

    pub(super) fn check(&self, presented: &[u8], now_unix_s: u64) -> KeyCheck {
        let Some(id) = id_of(presented) else {
            return KeyCheck::Malformed;
        };
        let Some(entry) = self.keys.get(id) else {
            return KeyCheck::Unknown;
        };
        // Constant time. That the id exists may show; it is not secret.
        if hmac::verify(&entry.mac, presented, &entry.hash).is_err() {
            return KeyCheck::Unknown;
        }
        match entry.expires_unix_s {
            Some(expires) if now_unix_s >= expires => KeyCheck::Expired,
            _ => KeyCheck::Is(Arc::clone(&entry.subject)),
        }
    }
}

/// The public id within a key, when it is written as one.
fn id_of(key: &[u8]) -> Option<&str> {
    let key = str::from_utf8(key).ok()?;
    let rest = key.strip_prefix(KEY_PREFIX).filter(|_| key.len() == KEY_CHARS)?;
    let (id, secret) = rest.split_at_checked(ID_CHARS)?;
    let plain = secret
        .strip_prefix('_')?
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let known = id.bytes().all(|byte| ID_ALPHABET.contains(&byte));
    (plain && known).then_some(id)
}

fn random<const N: usize>() -> Result<[u8; N], KeyFileError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| KeyFileError::Randomness)?;
    Ok(bytes)
}

fn random_id() -> Result<String, KeyFileError> {
    let letter = |byte: u8| ID_ALPHABET.get(usize::from(byte % 32)).copied().map_or('a', char::from);
    Ok(random::<ID_CHARS>()?.into_iter().map(letter).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn new(name: &str) -> NewKey {
        NewKey {
            kind: SubjectKind::User,
            name: name.to_owned(),
            groups: vec!["clerks".to_owned()],
            expires_unix_s: None,
        }
    }

    #[test]
    fn a_key_lives_from_create_to_revoke() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::at(dir.path().join("keys.json"));
        assert!(file.load().unwrap().is_empty());
        let ana = file.create(new("ana"), 100).unwrap();
        let bob = file
            .create(
                NewKey {
                    expires_unix_s: Some(200),
                    ..new("bob")
                },
                101,
            )
            .unwrap();
        let ring = file.load().unwrap();
        let KeyCheck::Is(subject) = ring.check(ana.danger_secret().as_bytes(), 1_000) else {
            panic!()
        };
        assert_eq!(
            (subject.name(), subject.groups(), subject.method()),
            ("ana", ["clerks".to_owned()].as_slice(), Method::Key)
        );
        assert!(matches!(
            ring.check(bob.danger_secret().as_bytes(), 199),
            KeyCheck::Is(_)
        ));
        assert!(matches!(
            ring.check(bob.danger_secret().as_bytes(), 200),
            KeyCheck::Expired
        ));

        let listed = file.list().unwrap();
        assert_eq!(
            listed.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(),
            ["ana", "bob"]
        );
        assert!(file.revoke(&ana.id).unwrap());
        assert!(!file.revoke(&ana.id).unwrap());
        assert!(matches!(
            file.load().unwrap().check(ana.danger_secret().as_bytes(), 1),
            KeyCheck::Unknown
        ));
    }

    #[test]
    fn the_secret_is_nowhere_but_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::at(dir.path().join("keys.json"));
        let key = file.create(new("ana"), 100).unwrap();
        let secret = key.danger_secret().rsplit_once(&key.id).unwrap().1;
        let kept = fs::read_to_string(file.path()).unwrap();
        assert!(
            !kept.contains(secret)
                && !format!("{key:?} {:?} {:?}", file.load().unwrap(), file.read().unwrap()).contains(secret)
        );
        assert!(!format!("{:?}", file.read().unwrap()).contains("hash"));
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(file.load(), Err(KeyFileError::Exposed(_))));
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::at(dir.path().join("keys.json"));
        let key = file.create(new("ana"), 100).unwrap();
        let ring = file.load().unwrap();
        let secret = key.danger_secret();
        for malformed in [
            String::new(),
            "pk_".to_owned(),
            secret[..58].to_owned(),
            format!("{secret}A"),
            secret.replace("pk_", "PK_"),
            secret.replacen(&key.id, "aaaaaaaaaaa!", 1),
            format!("{}=", &secret[..58]),
            format!("{}\u{e9}", &secret[..57]),
            secret.replacen(&format!("{}_", key.id), &format!("{}-", key.id), 1),
        ] {
            assert!(
                matches!(ring.check(malformed.as_bytes(), 100), KeyCheck::Malformed),
                "{malformed}"
            );
        }
        let last = if secret.ends_with('A') { "B" } else { "A" };
        for unknown in [
            format!("{}{last}", &secret[..58]),
            secret.replacen(&key.id, "aaaaaaaaaaaa", 1),
        ] {
            assert!(
                matches!(ring.check(unknown.as_bytes(), 100), KeyCheck::Unknown),
                "{unknown}"
            );
        }
    }

    #[test]
    fn files_that_are_not_ours_are_refused_without_quoting_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let key = r#"{"id":"aaaaaaaaaaaa","kind":"user","name":"ana","groups":[],"created_unix_s":1,"salt":"AAAAAAAAAAAAAAAAAAAAAA","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let good = format!("{{\"version\":1,\"keys\":[{key}]}}");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write(&good);
        assert_eq!(KeyFile::at(&path).load().unwrap().len(), 1);
        for bad in [
            String::new(),
            "[]".to_owned(),
            good.replace("\"version\":1", "\"version\":2"),
            good.replace("\"groups\"", "\"groupz\""),
            good.replace("\"user\"", "\"root\""),
            good.replace("\"ana\"", "\"\""),
            good.replace("AAAAAAAAAAAAAAAAAAAAAA\"", "AA\""),
            good.replace("\"id\":\"aaaaaaaaaaaa\"", "\"id\":\"a\""),
            format!("{{\"version\":1,\"keys\":[{key},{key}]}}"),
        ] {
            write(&bad);
            let error = KeyFile::at(&path).load().unwrap_err();
            assert!(matches!(error, KeyFileError::Malformed { .. }), "{bad}: {error}");
            assert!(!error.to_string().contains("AAAA"), "{error}");
        }
    }

    #[test]
    fn many_programs_may_create_keys_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let file = KeyFile::at(&path);
                scope.spawn(move || file.create(new(&format!("u{n}")), 1).unwrap());
            }
        });
        assert_eq!(KeyFile::at(&path).load().unwrap().len(), 8);
    }
}
