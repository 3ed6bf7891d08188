//! A bounded memory of what was computed before, made of two generations: what is asked for stays, what is not falls out. It must
//! not know what it holds.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

/// Parts that are locked apart, so that threads rarely meet. A lock is held for one look-up.
const SHARDS: usize = 16;

/// A bounded map; a value may be forgotten at any time.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    shards: Vec<Mutex<Generations<K, V>>>,
    hasher: RandomState,
    /// Most entries of one generation of one shard.
    generation_max: usize,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// A cache of at most `entries_max` entries, roughly.
    pub(crate) fn new(entries_max: usize) -> Self {
        let shard = || {
            Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
            })
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
            generation_max: (entries_max / SHARDS / 2).max(1),
        }
    }

    /// What was kept for this key.
    pub(crate) fn find(&self, key: &K) -> Option<V> {
        let mut shard = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = shard.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = shard.old.remove_entry(key)?;
        self.insert(&mut shard, key, value.clone());
        Some(value)
    }

    /// Keeps a value, for a while.
    pub(crate) fn keep(&self, key: K, value: V) {
        if let Some(shard) = self.shard(&key) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            self.insert(&mut shard, key, value);
        }
    }

    fn insert(&self, shard: &mut Generations<K, V>, key: K, value: V) {
        if shard.young.len() >= self.generation_max {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, value);
    }

    fn shard(&self, key: &K) -> Option<&Mutex<Generations<K, V>>> {
        // High bits: the map inside uses the low ones of another hash, but cheap insurance all the same.
        let hash = self.hasher.hash_one(key) >> 48;
        self.shards.get(usize::try_from(hash).ok()? % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_what_is_used_stays() {
        let cache = Cache::new(1_024);
        for n in 0..100_000_u32 {
            cache.keep(n, n);
            assert_eq!(cache.find(&7).is_some(), n >= 7, "{n}");
        }
        let kept = (0..100_000_u32).filter(|n| cache.find(n).is_some()).count();
        assert!((500..=1_024).contains(&kept), "{kept}");
        assert_eq!(cache.find(&200_000), None);
    }
}
