//! What stands on the record in place of what must not: keyed handles of subjects and sessions, keyed commitments to
//! content. It must not know what a record looks like.
//!
//! Every subject has a key of its own, derived from the ledger's secret; every call has one derived from its subject's.
//! Without the secret nobody can try out candidate ids or account numbers against the record.

use crate::terms::CallId;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_store::keys::{KeyError, Secret};
use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};
use zeroize::Zeroizing;

/// Subjects whose keys are kept derived. Beyond that all are derived anew: a bound, not a policy.
const SUBJECTS_CACHED_MAX: usize = 4096;

/// Subjects longer than this are not cached, so that memory is bounded too.
const SUBJECT_BYTES_CACHED_MAX: usize = 512;

/// Characters of 32 bytes in Base64 without padding.
pub(crate) const HASH_TEXT_BYTES: usize = 43;

/// An HMAC-SHA-256 that goes on the record, as it stands there: in Base64url, written once however often it is recorded.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Handle([u8; HASH_TEXT_BYTES]);

impl Handle {
    fn new(mac: &[u8; HASH_BYTES]) -> Self {
        Self(hash_text(mac))
    }

    /// Its text.
    pub(crate) fn text(&self) -> &[u8; HASH_TEXT_BYTES] {
        &self.0
    }
}

/// 32 bytes in Base64url.
pub(crate) fn hash_text(bytes: &[u8; HASH_BYTES]) -> [u8; HASH_TEXT_BYTES] {
    let mut text = [0; HASH_TEXT_BYTES];
    // 32 bytes make 43 characters: it always fits.
    let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
    text
}

/// The file of the ledger's secret, in its directory of keys.
pub(crate) const SECRET_NAME: &str = "commitment.secret";

/// The handle (`subject_h`, Base64url) by which the ledger in `directory` names `subject`: for whoever may read the ledger's
/// secret and looks for one whose name they know. There is no way back from a handle to a name.
///
/// # Errors
/// The secret is not there, as in a copy of `log/` alone, or cannot be used.
pub fn handle_of(directory: &Path, subject: &str) -> Result<String, KeyError> {
    let secret = Secret::load(&directory.join("keys").join(SECRET_NAME))?;
    let subject = Secrets::new(&secret).subject(subject);
    Ok(String::from_utf8_lossy(subject.handle().text()).into_owned())
}

/// Makes handles and commitments.
pub(crate) struct Secrets {
    root: hmac::Key,
    subjects: RwLock<HashMap<Box<str>, Arc<Subject>>>,
}

/// A subject's key, and its handle.
pub(crate) struct Subject {
    key: hmac::Key,
    handle: Handle,
}

/// A call's key: lives from its decision to its outcome, in memory only.
#[derive(Clone)]
pub(crate) struct CallKey(Arc<Zeroizing<[u8; HASH_BYTES]>>);

/// Which side of a call is committed to: the same bytes in and out must not look the same.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    In,
    Out,
}

impl Secrets {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self {
            root: hmac::Key::new(HMAC_SHA256, secret.expose()),
            subjects: RwLock::new(HashMap::new()),
        }
    }

    /// The keys of `subject`.
    pub(crate) fn subject(&self, subject: &str) -> Arc<Subject> {
        if let Some(known) = self
            .subjects
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(subject)
        {
            return Arc::clone(known);
        }
        let key = hmac::Key::new(
            HMAC_SHA256,
            mac(&self.root, b"portcullis subject key v1\0", subject.as_bytes()).as_slice(),
        );
        let handle = Handle::new(&mac(&key, b"subject\0", b""));
        let made = Arc::new(Subject { key, handle });
        if subject.len() <= SUBJECT_BYTES_CACHED_MAX {
            let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
            if subjects.len() >= SUBJECTS_CACHED_MAX {
                subjects.clear();
            }
            subjects.insert(subject.into(), Arc::clone(&made));
        }
        made
    }
}

impl Subject {
    /// The subject as the record names it.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// A session of this subject as the record names it.
    pub(crate) fn session(&self, session: &str) -> Handle {
        Handle::new(&mac(&self.key, b"session\0", session.as_bytes()))
    }

    /// The key of one call.
    pub(crate) fn call_key(&self, call: CallId) -> CallKey {
        CallKey(Arc::new(mac(&self.key, b"call\0", &call.0.to_be_bytes())))
    }
}

impl CallKey {
    /// The commitment to content with this SHA-256 digest.
    pub(crate) fn commitment(&self, side: Side, digest: &[u8; 32]) -> Handle {
        let label: &[u8] = match side {
            Side::In => b"in\0",
            Side::Out => b"out\0",
        };
        // Kept for each open call, the library's key would take a kilobyte more.
        Handle::new(&mac(&hmac::Key::new(HMAC_SHA256, self.0.as_slice()), label, digest))
    }
}

const HASH_BYTES: usize = 32;

fn mac(key: &hmac::Key, label: &[u8], data: &[u8]) -> Zeroizing<[u8; HASH_BYTES]> {
    let mut context = hmac::Context::with_key(key);
    context.update(label);
    context.update(data);
    let mut out = Zeroizing::new([0; HASH_BYTES]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(..)")
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn handles_differ_by_secret_subject_session_call_and_side() {
        let (one, other) = (
            Secrets::new(&Secret::random().unwrap()),
            Secrets::new(&Secret::random().unwrap()),
        );
        let mut seen = HashSet::new();
        for secrets in [&one, &other] {
            for subject in ["alice", "bob"] {
                let subject = secrets.subject(subject);
                assert!(seen.insert(subject.handle().clone()));
                for session in ["", "1"] {
                    assert!(seen.insert(subject.session(session)));
                }
                for call in [CallId(1), CallId(2)] {
                    for side in [Side::In, Side::Out] {
                        assert!(seen.insert(subject.call_key(call).commitment(side, &[0; 32])));
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_is_the_same_also_when_the_cache_overflows() {
        let secrets = Secrets::new(&Secret::random().unwrap());
        let before = secrets.subject("alice").handle().clone();
        for i in 0..=SUBJECTS_CACHED_MAX {
            secrets.subject(&i.to_string());
        }
        assert!(secrets.subjects.read().unwrap().len() <= SUBJECTS_CACHED_MAX);
        assert_eq!(*secrets.subject("alice").handle(), before);
        secrets.subject(&"x".repeat(SUBJECT_BYTES_CACHED_MAX + 1));
        assert!(
            !secrets
                .subjects
                .read()
                .unwrap()
                .keys()
                .any(|subject| subject.len() > SUBJECT_BYTES_CACHED_MAX)
        );
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secrets = Secrets::new(&Secret::random().unwrap());
        let subject = secrets.subject("alice");
        assert_eq!(
            format!("{secrets:?} {subject:?} {:?}", subject.call_key(CallId(1))),
            "Secrets(..) Subject(..) CallKey(..)"
        );
    }
}
