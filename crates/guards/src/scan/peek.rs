//! Looks at a text around a place, as far as it goes and no further than is wanted. Nothing here can fail.

/// At most so many bytes from `at` on.
pub(super) fn ahead(text: &[u8], at: usize, bytes_max: usize) -> &[u8] {
    let rest = text.get(at..).unwrap_or_default();
    rest.get(..bytes_max).unwrap_or(rest)
}

/// At most so many bytes before `at`.
pub(super) fn behind(text: &[u8], at: usize, bytes_max: usize) -> &[u8] {
    text.get(at.saturating_sub(bytes_max)..at).unwrap_or_default()
}

/// The byte before `at`.
pub(super) fn before(text: &[u8], at: usize) -> Option<u8> {
    text.get(at.checked_sub(1)?).copied()
}

/// Where `wanted` stands first in a short text: to prepare a search would cost more than the search.
pub(super) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    memchr::memchr_iter(first, text).find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(wanted)))
}

/// The beginning of `bytes` that is UTF-8.
pub(super) fn readable(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_ends_where_the_text_does() {
        assert_eq!(
            (ahead(b"abc", 1, 1), ahead(b"abc", 1, 9), ahead(b"abc", 4, 1)),
            (&b"b"[..], &b"bc"[..], &b""[..])
        );
        assert_eq!(
            (behind(b"abc", 2, 1), behind(b"abc", 2, 9), behind(b"abc", 4, 1)),
            (&b"b"[..], &b"ab"[..], &b""[..])
        );
        assert_eq!(
            (before(b"abc", 0), before(b"abc", 3), before(b"abc", 5)),
            (None, Some(b'c'), None)
        );
        assert_eq!(
            (find(b"aabab", b"ab"), find(b"aabab", b"bb"), find(b"a", b"ab")),
            (Some(1), None, None)
        );
        assert_eq!(
            (readable(b"\xc3\xa9\xc3"), readable(b"\xff"), readable(b"")),
            ("\u{e9}", "", "")
        );
    }
}
