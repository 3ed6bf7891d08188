//! API keys of our own: `pk_ID_SECRET`. The file holds a salted hash of each secret (32 random bytes need no slow hash), never
//! the secret. It must not know where the file is.

use super::{IdentityError, Method, Subject, SubjectError, SubjectKind};
use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// What every key begins with, so that a scanner of leaked secrets can know it.
pub(super) const PREFIX: &str = "pk_";
/// Keys in one file.
const KEYS_MAX: usize = 100_000;

/// One key, as the file holds it and `key list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Public part: 12 characters of Base64url.
    pub id: String,
    /// Whom it stands for.
    pub name: String,
    /// Whether a person or a program holds it: `user` or `agent`.
    pub kind: String,
    /// Groups of the holder.
    #[serde(default)]
    pub groups: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// When it ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_unix_s: Option<u64>,
    /// 16 random bytes, Base64url.
    salt: String,
    /// SHA-256 of salt and secret, Base64url.
    hash: String,
}

/// The keys in force, by id.
#[derive(Debug, Default)]
pub struct Keys {
    entries: HashMap<String, Ready>,
    order: Vec<String>,
}

#[derive(Debug)]
struct Ready {
    entry: KeyEntry,
    subject: Subject,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// A key that was just made: the only time that its secret is seen.
pub struct NewKey {
    id: String,
    secret: String,
}

impl NewKey {
    /// The public part.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole key, to be shown once.
    #[must_use]
    pub fn danger_secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({})", self.id)
    }
}

/// Why a key file cannot be used, or a key not be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The text is not what we write.
    #[error("the key file cannot be read: {0}")]
    Format(String),
    /// A name, group or kind that cannot be.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// Too many.
    #[error("more than {KEYS_MAX} keys, hint: revoke those that nobody uses")]
    TooMany,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u32,
    keys: Vec<KeyEntry>,
}

impl Keys {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyFileError::Format`], [`KeyFileError::Subject`], [`KeyFileError::TooMany`].
    pub fn read(text: &[u8]) -> Result<Self, KeyFileError> {
        let file: KeyFile = serde_json::from_slice(text).map_err(|error| KeyFileError::Format(error.to_string()))?;
        if file.version != 1 {
            return Err(KeyFileError::Format(format!("version {} is not known", file.version)));
        }
        let mut keys = Self::default();
        for entry in file.keys {
            keys.add(entry)?;
        }
        Ok(keys)
    }

    /// The file's text.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let file = KeyFile {
            version: 1,
            keys: self.list().cloned().collect(),
        };
        serde_json::to_vec_pretty(&file).unwrap_or_default()
    }

    /// The keys in the order in which they were made.
    pub fn list(&self) -> impl Iterator<Item = &KeyEntry> {
        self.order.iter().filter_map(|id| self.entries.get(id)).map(|ready| &ready.entry)
    }

    /// Makes a key. `expires_unix_s` ends it; the secret is in what is returned and nowhere else.
    ///
    /// # Errors
    /// [`KeyFileError::Subject`], [`KeyFileError::TooMany`], [`KeyFileError::Random`].
    pub fn create(
        &mut self,
        name: &str,
        kind: SubjectKind,
        groups: &[String],
        expires_unix_s: Option<u64>,
        now_unix_s: u64,
    ) -> Result<NewKey, KeyFileError> {
        let id = random::<9>()?;
        let secret = random::<32>()?;
        let salt = random::<16>()?;
        let raw_salt = URL_SAFE_NO_PAD.decode(&salt).map_err(|_| KeyFileError::Random)?;
        let hash = URL_SAFE_NO_PAD.encode(hash_of(&raw_salt, &secret));
        // The id must not hold the separator.
        let id = id.replace('_', "-");
        self.add(KeyEntry {
            id: id.clone(),
            name: name.to_owned(),
            kind: kind.as_str().to_owned(),
            groups: groups.to_vec(),
            created_unix_s: now_unix_s,
            expires_unix_s,
            salt,
            hash,
        })?;
        Ok(NewKey {
            secret: format!("{PREFIX}{id}_{secret}"),
            id,
        })
    }

    /// Revokes a key; whether there was one.
    pub fn revoke(&mut self, id: &str) -> bool {
        self.order.retain(|known| known != id);
        self.entries.remove(id).is_some()
    }

    /// Whom `token` stands for. About half a microsecond: one hash, no list.
    pub(super) fn verify(&self, token: &str, now_unix_s: u64) -> Result<Subject, IdentityError> {
        let (id, secret) = token
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or(IdentityError::Malformed)?;
        let ready = self.entries.get(id).ok_or(IdentityError::UnknownKey)?;
        let hash = hash_of(&ready.salt, secret);
        constant_time::verify_slices_are_equal(&hash, &ready.hash).map_err(|_| IdentityError::UnknownKey)?;
        match ready.entry.expires_unix_s {
            Some(expires) if now_unix_s >= expires => Err(IdentityError::Expired),
            _ => Ok(ready.subject.clone()),
        }
    }

    fn add(&mut self, entry: KeyEntry) -> Result<(), KeyFileError> {
        if self.entries.len() >= KEYS_MAX {
            return Err(KeyFileError::TooMany);
        }
        let kind = match entry.kind.as_str() {
            "user" => SubjectKind::User,
            "agent" => SubjectKind::Agent,
            other => return Err(KeyFileError::Format(format!("kind `{other}`, hint: `user` or `agent`"))),
        };
        let decode = |text: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| KeyFileError::Format(format!("key `{}`: salt or hash is no Base64url", entry.id)))
        };
        let (salt, hash) = (decode(&entry.salt)?, decode(&entry.hash)?);
        let subject = Subject::new(kind, entry.name.clone(), entry.groups.iter().cloned(), Method::Key, None)?;
        if self.entries.contains_key(&entry.id) {
            return Err(KeyFileError::Format(format!("key `{}` is there twice", entry.id)));
        }
        self.order.push(entry.id.clone());
        let id = entry.id.clone();
        self.entries.insert(
            id,
            Ready {
                entry,
                subject,
                salt,
                hash,
            },
        );
        Ok(())
    }
}

fn hash_of(salt: &[u8], secret: &str) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt);
    context.update(secret.as_bytes());
    context.finish().as_ref().to_vec()
}

fn random<const BYTES: usize>() -> Result<String, KeyFileError> {
    let mut bytes = [0_u8; BYTES];
    rand::fill(&mut bytes).map_err(|_| KeyFileError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn keys_survive_the_file_and_the_file_holds_no_secret() {
        let mut keys = Keys::default();
        let made = keys.create("ana", SubjectKind::Agent, &[], Some(NOW + 10), NOW).unwrap();
        let text = keys.write();
        let secret = made.danger_secret().rsplit('_').next().unwrap();
        assert!(!String::from_utf8(text.clone()).unwrap().contains(secret));
        let read = Keys::read(&text).unwrap();
        assert_eq!(read.verify(made.danger_secret(), NOW).unwrap().name(), "ana");
        assert_eq!(read.verify(made.danger_secret(), NOW + 10), Err(IdentityError::Expired));
        assert!(!format!("{made:?}").contains(secret));
    }

    #[test]
    fn a_revoked_key_is_unknown() {
        let mut keys = Keys::default();
        let made = keys.create("ana", SubjectKind::User, &[], None, NOW).unwrap();
        assert!(keys.verify(made.danger_secret(), NOW).is_ok());
        assert!(keys.revoke(made.id()));
        assert!(!keys.revoke(made.id()));
        assert_eq!(keys.verify(made.danger_secret(), NOW), Err(IdentityError::UnknownKey));
    }

    #[test]
    fn bad_files_are_refused() {
        for bad in [
            "",
            "[]",
            r#"{"version":2,"keys":[]}"#,
            r#"{"version":1,"keys":[],"more":1}"#,
            r#"{"version":1,"keys":[{"id":"a","name":"n","kind":"god","created_unix_s":1,"salt":"AA","hash":"AA"}]}"#,
            r#"{"version":1,"keys":[{"id":"a","name":"","kind":"user","created_unix_s":1,"salt":"AA","hash":"AA"}]}"#,
            r#"{"version":1,"keys":[{"id":"a","name":"n","kind":"user","created_unix_s":1,"salt":"!","hash":"AA"}]}"#,
        ] {
            assert!(Keys::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
