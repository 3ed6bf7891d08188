//! Names that clients see: the upstream's own where they are unique and safe, else made so. Deterministic: the same
//! listings in the same order give the same names.

use std::collections::{HashMap, HashSet};

/// Longest name that is kept as it is (2026-07-28, server/tools).
const NAME_CHARS_MAX: usize = 128;

/// The name that was probably meant.
pub(crate) fn closest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let near = |name: &str| strsim::normalized_damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase());
    names
        .map(|name| (near(name), name))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|(one, left), (two, right)| one.total_cmp(two).then(right.cmp(left)))
        .map(|(_, name)| name)
}

/// The exposed names for `(upstream, own name)` pairs, in their order. A name that two upstreams share is prefixed by the
/// upstream, `upstream_name`; characters that are not header-safe become `_`; what is then still taken gets a number.
pub(super) fn expose(items: &[(&str, &str)]) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (_, name) in items {
        *seen.entry(safe(name)).or_default() += 1;
    }
    let mut taken: HashSet<String> = seen
        .iter()
        .filter(|(_, count)| **count == 1)
        .map(|(name, _)| name.clone())
        .collect();
    items
        .iter()
        .map(|(upstream, name)| {
            let plain = safe(name);
            if seen.get(&plain) == Some(&1) {
                return plain;
            }
            let wanted = safe(&format!("{upstream}_{name}"));
            let free = numbered(&wanted, &taken);
            taken.insert(free.clone());
            free
        })
        .collect()
}

fn numbered(wanted: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(wanted) {
        return wanted.to_owned();
    }
    (2..)
        .map(|number| format!("{wanted}_{number}"))
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| wanted.to_owned())
}

fn safe(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '/' => c,
            _ => '_',
        })
        .take(NAME_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::expose;

    #[test]
    fn only_collisions_are_renamed() {
        assert_eq!(
            expose(&[("a", "read"), ("b", "read"), ("b", "write")]),
            ["a_read", "b_read", "write"]
        );
    }

    #[test]
    fn unsafe_and_taken_names_are_made_unique() {
        assert_eq!(
            expose(&[("a", "x y"), ("b", "x_y"), ("c", "a_x_y")]),
            ["a_x_y_2", "b_x_y", "a_x_y"]
        );
        assert_eq!(expose(&[("a", "lire é")]), ["lire__"]);
    }
}
