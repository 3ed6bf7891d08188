//! Keys that are known by the name of their issuer and the form that it gives them: `wandb = 7f3c...`, `BROWSHOT_SECRET_KEY: q7Zk...`.
//! The name alone is enough where the value stands at once behind it, and a word for a key between them otherwise. What such a form
//! has besides are hashes, numbers of builds, names of things: a word for one of those, or a sign that ends a member or a sentence,
//! parts the name from the value.
//!
//! It must not know which issuers there are.

use super::checks::{opaque, varied};
use super::peek::{self, ahead};
use super::place::{Bond, Scope};
use super::rules::Token;
use super::{Confidence, secrets};
use std::ops::Range;

/// A key that has another form than its issuer's has this length at least.
pub(super) const OTHER_KEY_BYTES_MIN: usize = 16;

/// A value stands so near behind the name.
const REACH_BYTES: usize = 48;

/// What joins a name and a value is no longer, where it has no word.
const JOINT_BYTES_MAX: usize = 8;

/// So many words may stand between them.
const WORDS_MAX: usize = 3;

/// The other parts of a value are no longer than this.
const PARTS_BYTES_MAX: usize = 1_024;

/// Letters alone are a key from this length on.
const LETTERS_MIN: usize = 20;

/// Words for a key; they may be a part of what is written as one.
const KEYS: [&[u8]; 8] = [
    b"key", b"token", b"secret", b"access", b"private", b"auth", b"api", b"cred",
];

/// Words for what is no key, though it has the form of one.
const OTHERS: [&[u8]; 16] = [
    b"sha",
    b"md5",
    b"hash",
    b"digest",
    b"commit",
    b"revision",
    b"etag",
    b"checksum",
    b"uuid",
    b"version",
    b"release",
    b"build",
    b"trace",
    b"request",
    b"path",
    b"author",
];

/// The first value of the form of `token` behind its issuer's name, which `word` is or begins with.
pub(super) fn find(token: &Token, text: &[u8], word: &Range<usize>) -> Option<(Range<usize>, Confidence)> {
    let name_end = name_end(token, text, word.start)?;
    let reach = ahead(text, name_end, REACH_BYTES);
    let (mut at, mut words) = (0, 0);
    while words <= WORDS_MAX {
        let skipped = reach.get(at..)?.iter().position(u8::is_ascii_alphanumeric)?;
        if reach
            .get(at..at + skipped)?
            .iter()
            .any(|byte| b",;{}&</".contains(byte))
        {
            return None;
        }
        at += skipped;
        let start = name_end + at;
        let span = (at > 0).then(|| whole(token, text, start)).flatten();
        if let Some(span) = span {
            let between = text.get(name_end..start)?;
            return told(between, text.get(span.clone())?).map(|confidence| (span, confidence));
        }
        at += reach
            .get(at..)?
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .count();
        words += 1;
    }
    None
}

/// Whether the words of a term begin with those of `name`.
pub(super) fn is_begun(term: &str, name: &str) -> bool {
    term.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with([' ', '-', '_']))
}

/// Whether the last word of a term is one for a key that is secret.
pub(super) fn is_for_key(term: &[u8]) -> bool {
    let lower = term.to_ascii_lowercase();
    let is_public = [&b"public"[..], b"publish", b"site", b"app", b"client"]
        .iter()
        .any(|word| peek::find(&lower, word).is_some());
    lower.ends_with(b"secret") || !is_public && (lower.ends_with(b"key") || lower.ends_with(b"token"))
}

/// Where the longest of the issuer's names ends that begins at `start`, whatever stands between its words.
fn name_end(token: &Token, text: &[u8], start: usize) -> Option<usize> {
    let rest = ahead(text, start, REACH_BYTES);
    let ends = token.names.iter().filter_map(|name| {
        let mut at = 0;
        for wanted in name.bytes().filter(u8::is_ascii_alphanumeric) {
            at += rest.get(at..)?.iter().position(u8::is_ascii_alphanumeric)?;
            if !rest.get(at)?.eq_ignore_ascii_case(&wanted) {
                return None;
            }
            at += 1;
        }
        Some(start + at)
    });
    ends.max()
}

/// The value that a match of `token` in `scope` is, or is a part of where a key names it.
pub(super) fn value(token: &Token, text: &[u8], scope: &Scope, span: Range<usize>) -> Range<usize> {
    let is_formless = token.prefix.is_empty() && token.near.is_empty();
    let has_parts = is_formless || token.prefix.is_empty() && is_part(text, &span);
    if has_parts && scope.bond == Bond::Key {
        value_around(text, scope, span)
    } else {
        span
    }
}

/// Whether a point joins what stands at `span` and another part of a token.
fn is_part(text: &[u8], span: &Range<usize>) -> bool {
    let is_joint = |pair: &[u8], side: usize| {
        pair.contains(&b'.') && pair.len() == 2 && pair.get(side).is_some_and(u8::is_ascii_alphanumeric)
    };
    is_joint(ahead(text, span.end, 2), 1) || is_joint(peek::behind(text, span.start, 2), 0)
}

/// The whole of a key's value that `span` is a part of: a token may have parts (`x.y.z`, `1:x`, `x%2Fy`), of which a form tells one.
fn value_around(text: &[u8], scope: &Scope, span: Range<usize>) -> Range<usize> {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=._~%:-".contains(byte);
    let before = text.get(scope.span.start..span.start).unwrap_or_default();
    let begin = span.start
        - before
            .iter()
            .rev()
            .take(PARTS_BYTES_MAX)
            .take_while(|byte| is_of_token(byte))
            .count();
    let rest = ahead(text, span.end, PARTS_BYTES_MAX);
    let rest = rest.iter().take_while(|byte| is_of_token(byte)).count();
    let mut end = span.end + rest;
    while end > span.end && text.get(end - 1).is_some_and(|last| b"+/._~%:-".contains(last)) {
        end -= 1;
    }
    let value = text.get(begin..end).unwrap_or_default();
    // An address, a path, a call of what has such a name.
    let is_other = peek::find(value, b"://").is_some() || value.starts_with(b"/") || text.get(end) == Some(&b'(');
    if is_other { span } else { begin..end }
}

/// A value of this form that begins at `start` and does not go on.
fn whole(token: &Token, text: &[u8], start: usize) -> Option<Range<usize>> {
    let length = token.body_length(text.get(start..)?)?;
    let goes_on = matches!(ahead(text, start + length, 2), [sign, next] if b"-_.+/%~@".contains(sign) && next.is_ascii_alphanumeric());
    (!goes_on).then_some(start..start + length)
}

/// Whether what stands between the name and the value says that it is the issuer's key.
fn told(between: &[u8], value: &[u8]) -> Option<Confidence> {
    let lower = between.to_ascii_lowercase();
    let says = |words: &[&[u8]]| words.iter().any(|word| peek::find(&lower, word).is_some());
    if says(&OTHERS) {
        return None;
    }
    if says(&KEYS) {
        return is_key(value).then_some(Confidence::Sure);
    }
    let is_joint = |byte: &u8| b" \t\r\n=:>\"'`([|*".contains(byte);
    let is_joined = (1..=JOINT_BYTES_MAX).contains(&between.len()) && between.iter().all(is_joint);
    (is_joined && (opaque(value) || is_grouped(value))).then_some(Confidence::Likely)
}

/// Groups of letters and digits with dashes, as they are printed: four at least, none of them a word.
fn is_grouped(value: &[u8]) -> bool {
    let groups = || value.split(|byte| *byte == b'-');
    let has = |kind: fn(&u8) -> bool| value.iter().filter(|byte| kind(byte)).count() >= 4;
    groups().count() >= 4
        && groups().all(|group| (4..=12).contains(&group.len()) && group.iter().all(u8::is_ascii_alphanumeric))
        && groups().filter(|group| group.iter().any(u8::is_ascii_digit)).count() >= 2
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && varied(value)
}

/// What a word for a key names may count up, or have one case alone; it is neither filled up nor made of words.
fn is_key(value: &[u8]) -> bool {
    let is_one = value.iter().all(u8::is_ascii_alphanumeric);
    let has_digits = value.iter().any(u8::is_ascii_digit);
    varied(value)
        && (opaque(value)
            || is_grouped(value)
            || is_one && (has_digits || value.len() >= LETTERS_MIN && secrets::is_random(value)))
}

#[cfg(test)]
mod tests {
    use super::super::{Context, Findings, Form, Rules, Scanner};

    fn scanner() -> Scanner {
        let mut rules = Rules::default();
        let rule = r#"
            [[token]]
            id = "acme-key"
            class = "PROVIDER_TOKEN"
            issuer = "acme"
            names = ["acme"]
            body = '[0-9a-f]{32}'
            reason = "made up"
            finds = ["acme: [[7f3c2b1a9d8e4c5fa6b71e2d3c4b5a69]]"]
            passes = ["acme"]
        "#;
        rules.add(rule).unwrap();
        Scanner::new(rules).unwrap()
    }

    fn scan<'s>(scanner: &'s Scanner, text: &str) -> Findings<'s> {
        scanner.scan(text.as_bytes(), Form::Text, &Context::default())
    }

    #[test]
    fn a_name_and_a_form_make_a_key() {
        let scanner = scanner();
        let value = "7f3c2b1a9d8e4c5fa6b71e2d3c4b5a69";
        for before in [
            "acme ",
            "acme: ",
            "ACME=",
            "\"acme\": \"",
            "acme_api: ",
            "acmeSecretKey-",
            "acme\nKEY\n",
            "acme XYZ token bar ",
            "acme => '",
        ] {
            let text = format!("{before}{value}");
            let found = scan(&scanner, &text);
            assert_eq!(
                found.first().map(|found| found.span.clone()),
                Some(before.len()..text.len()),
                "{text}"
            );
        }
        for before in [
            "acme/",
            "acme-",
            "acme@",
            "acme.example/x/",
            "acme x ",
            "acme commit ",
            "acme key sha: ",
            "acme_key: x, id: ",
            "acme image ",
            "acme token. The digest is ",
            "acme key of the one who builds: ",
            "\"acme_key\": \"a\", \"id\": \"",
        ] {
            let text = format!("{before}{value}");
            assert!(scan(&scanner, &text).is_empty(), "{text}");
        }
        for text in [
            format!("acme key: {value}0"),
            format!("acme key: {value}-x"),
            format!("acme key: {}", "0".repeat(32)),
            format!("acme: {}", "1234567890".repeat(4).get(..32).unwrap_or_default()),
        ] {
            assert!(scan(&scanner, &text).is_empty(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            let scanner = scanner();
            let _ = scan(&scanner, &format!("{text}acme{text}acme key"));
        }
    }
}
