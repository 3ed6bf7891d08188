//! Credentials that may go to a server in what a caller says: the operator has declared them for that server, and for no other. Their
//! values are not kept, only what they hash to under a key of this process. It must not know what is looked for, nor messages.

use aws_lc_rs::digest::SHA256_OUTPUT_LEN;
use aws_lc_rs::hmac;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The credentials of all servers.
#[derive(Default, Clone)]
pub struct Declared {
    /// Made with the first.
    key: Option<Arc<hmac::Key>>,
    by_upstream: HashMap<String, Credentials>,
}

/// Those of one server.
#[derive(Default, Clone)]
struct Credentials {
    hashes: HashSet<[u8; SHA256_OUTPUT_LEN]>,
    /// None is longer, in bytes: what is, is not hashed.
    longest: usize,
}

/// Why a credential cannot be declared.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoChance;

impl Declared {
    /// Lets `credential` go to `upstream`.
    ///
    /// # Errors
    /// There is no key to hash it under.
    pub fn declare(&mut self, upstream: &str, credential: &str) -> Result<(), NoChance> {
        let key = match &self.key {
            Some(key) => Arc::clone(key),
            None => {
                let chance = aws_lc_rs::rand::SystemRandom::new();
                let key = hmac::Key::generate(hmac::HMAC_SHA256, &chance).map_err(|_| NoChance)?;
                Arc::clone(self.key.insert(Arc::new(key)))
            }
        };
        let of_upstream = self.by_upstream.entry(upstream.to_owned()).or_default();
        of_upstream.hashes.insert(hash(&key, credential.as_bytes()));
        of_upstream.longest = of_upstream.longest.max(credential.len());
        Ok(())
    }

    /// Whether anything may.
    pub(super) fn has_any(&self, upstream: &str) -> bool {
        self.by_upstream.contains_key(upstream)
    }

    /// Whether `value` may go to `upstream`.
    pub(super) fn has(&self, upstream: &str, value: &[u8]) -> bool {
        match (&self.key, self.by_upstream.get(upstream)) {
            (Some(key), Some(of_upstream)) => {
                value.len() <= of_upstream.longest && of_upstream.hashes.contains(&hash(key, value))
            }
            _ => false,
        }
    }
}

/// How many each server has, and nothing of them.
impl std::fmt::Debug for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = self
            .by_upstream
            .iter()
            .map(|(upstream, all)| (upstream, all.hashes.len()));
        f.debug_map().entries(counts).finish()
    }
}

fn hash(key: &hmac::Key, value: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut out = [0; SHA256_OUTPUT_LEN];
    let tag = hmac::sign(key, value);
    // Both are of one length.
    for (to, from) in out.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_of_the_server_that_it_was_declared_for_and_is_not_shown() {
        let mut declared = Declared::default();
        assert!(!declared.has("bank", b"") && !declared.has_any("bank"));
        declared.declare("bank", "hunter2hunter2").unwrap();
        declared.declare("shop", "other").unwrap();
        assert!(declared.has("bank", b"hunter2hunter2") && declared.has_any("bank") && !declared.has_any("mail"));
        assert!(!declared.has("shop", b"hunter2hunter2") && !declared.has("bank", b"hunter2hunter"));
        assert_eq!(format!("{declared:?}").matches('1').count(), 2);
        assert!(!format!("{declared:?}").contains("hunter"));
    }
}
