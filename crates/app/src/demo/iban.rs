//! International bank account numbers (ISO 13616): the check digits, both ways. It knows no country's inner structure.

/// Longest, in characters, country and check digits included.
const CHARS_MAX: usize = 34;
/// Shortest in use (Norway).
const CHARS_MIN: usize = 15;

/// Puts country, check digits and `rest` together. `rest` is of A-Z and 0-9.
pub(super) fn make(country: &str, rest: &str) -> String {
    let remainder = remainder(rest.bytes().chain(country.bytes()).chain(*b"00")).unwrap_or_default();
    format!("{country}{:02}{rest}", 98 - remainder)
}

/// The number without its spaces, in capitals, if its length, letters and check digits are right.
pub(super) fn parse(text: &str) -> Option<String> {
    let compact: String = text
        .chars()
        .filter(|c| *c != ' ')
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let bytes = compact.as_bytes();
    let (head, rest) = bytes.split_at_checked(4)?;
    let well_formed = (CHARS_MIN..=CHARS_MAX).contains(&bytes.len())
        && head.iter().take(2).all(u8::is_ascii_uppercase)
        && head.iter().skip(2).all(u8::is_ascii_digit);
    let right = remainder(rest.iter().chain(head).copied()) == Some(1);
    (well_formed && right).then_some(compact)
}

/// The remainder by 97 of the number that the characters stand for, letters counting from 10 (ISO 7064); `None` for any
/// other character.
fn remainder(characters: impl Iterator<Item = u8>) -> Option<u32> {
    characters.into_iter().try_fold(0, |remainder, character| {
        let value = char::from(character).to_digit(36)?;
        let shift = if value < 10 { 10 } else { 100 };
        Some((remainder * shift + value) % 97)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_go_both_ways() {
        // The standard's own registry examples.
        for good in [
            "GB29 NWBK 6016 1331 9268 19",
            "DE89370400440532013000",
            "NO9386011117947",
            "ie29aibk93115212345678",
        ] {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "IE",
            "GB29NWBK60161331926818",
            "DE89 3704",
            "IE29AIBK9311521234567é",
            "1E29AIBK93115212345678",
            "IE29AIBK931152123456-8",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert_eq!(make("IE", "AIBK93115212345678"), "IE29AIBK93115212345678");
        assert_eq!(
            parse("ie29 aibk 9311 5212 3456 78").as_deref(),
            Some("IE29AIBK93115212345678")
        );
    }
}
