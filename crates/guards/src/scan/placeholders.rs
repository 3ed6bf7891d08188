//! What stands for a value: a reference, a template, a mask, a type, a sentence, nothing. It is known by its grammar, not by a list of
//! words.
//!
//! It must not know what names the value.

use super::peek;
use super::secrets::is_passphrase;
use super::shape::{ALPHANUMERICS, Bytes, HIGH, LETTERS, LOWER, UPPER, Value};
use super::standins::is_stand_in;

/// The letters of `EXAMPLE`.
const EXAMPLE: Bytes = Bytes::of(b"EXAMPLE");

/// One of these stands in each beginning of a reference.
const REFERRING: Bytes = Bytes::of(b":/.([!");

/// Whether a value stands for a value: a reference, a template, a mask, a type, nothing.
pub(super) fn is_placeholder(asked: &Value<'_>) -> bool {
    const WORDS: [&[u8]; 42] = [
        b"null",
        b"none",
        b"nil",
        b"true",
        b"false",
        b"undefined",
        b"string",
        b"str",
        b"secret",
        b"password",
        b"passwd",
        b"changeme",
        b"change_me",
        b"change-me",
        b"redacted",
        b"hidden",
        b"masked",
        b"removed",
        b"example",
        b"todo",
        b"tbd",
        b"required",
        b"optional",
        b"empty",
        b"unset",
        b"text",
        b"token",
        b"bytes",
        b"boolean",
        b"number",
        b"integer",
        b"object",
        b"any",
        b"varchar",
        b"placeholder",
        b"yourpassword",
        b"your_password",
        b"your-password",
        b"test",
        b"default",
        b"encrypted",
        b"n/a",
    ];
    let (value, lower, set) = (asked.text, asked.lower.as_slice(), asked.set);
    if WORDS.contains(&lower) || set.count() <= 2 {
        return true;
    }
    // Cut from a reference that goes on.
    let is_tag = value
        .strip_prefix(b"!")
        .is_some_and(|tag| !tag.is_empty() && tag.iter().all(u8::is_ascii_alphabetic));
    if is_tag
        || [&b"${"[..], b"$(", b"{{", b"#{", b"<%"]
            .iter()
            .any(|open| value.starts_with(open))
    {
        return true;
    }
    // Cut short, as in manuals; and actions of AWS's policies, `ec2:GetPasswordData`.
    if value.ends_with(b"...") || value.ends_with("…".as_bytes()) || set.has(b':') && is_action(value) {
        return true;
    }
    // The example of AWS's documentation, and whoever else says so.
    let says_example = set.has_all(EXAMPLE) && peek::find(value, b"EXAMPLE").is_some();
    if says_example || lower.starts_with(b"example") || lower.ends_with(b"example") {
        return true;
    }
    if is_stand_in(asked)
        || set.has(b'/') && is_path(lower)
        || is_names(value, set)
        || is_hash(value)
        || is_description(asked)
        || is_counted(asked)
    {
        return true;
    }
    // `${X}`, `{{ x }}`, `$(x)`, `$X`, `%X%`, `<x>`, `[x]`, `@x@`, `#{x}`.
    let is_wrapped = |open: &[u8], close: &[u8]| {
        let at = peek::find(value, open);
        at.is_some_and(|at| {
            value
                .get(at + open.len()..)
                .is_some_and(|rest| peek::find(rest, close).is_some())
        })
    };
    if set.has(b'}') && (is_wrapped(b"${", b"}") || is_wrapped(b"{{", b"}}") || is_wrapped(b"#{", b"}"))
        || set.has(b')') && is_wrapped(b"$(", b")")
        || set.has(b'%') && is_wrapped(b"<%", b"%>")
    {
        return true;
    }
    let edges = (value.first(), value.last());
    if matches!(
        edges,
        (Some(b'<'), Some(b'>'))
            | (Some(b'['), Some(b']'))
            | (Some(b'{'), Some(b'}'))
            | (Some(b'%'), Some(b'%'))
            | (Some(b'('), Some(b')'))
    ) {
        return true;
    }
    let is_name = |name: &[u8]| {
        !name.is_empty()
            && name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b':'))
    };
    if value.strip_prefix(b"$").is_some_and(|name| {
        is_name(name)
            && name
                .iter()
                .all(|byte| byte.is_ascii_uppercase() || *byte == b'_' || byte.is_ascii_digit())
    }) {
        return true;
    }
    // `env:X`, `vault:path`, `process.env.X`, `os.environ["X"]`, `config.password`, `getenv("X")`.
    const REFERENCES: [&[u8]; 20] = [
        b"env:",
        b"vault:",
        b"vault/",
        b"process.env",
        b"os.environ",
        b"os.getenv",
        b"getenv(",
        b"system.getenv",
        b"env.",
        b"env(",
        b"env[",
        b"secrets.",
        b"config.",
        b"var.",
        b"ssm:",
        b"arn:",
        b"secretref:",
        b"ref:",
        b"op://",
        b"!ref",
    ];
    if set.has_any(REFERRING) && REFERENCES.iter().any(|reference| lower.starts_with(reference)) {
        return true;
    }
    // A call: code that gets a value.
    // One that is closed ends the value, one that is cut at a space is not closed.
    let closed = || memchr::memrchr(b')', value);
    let is_call = || {
        closed().is_none_or(|at| {
            value
                .get(at + 1..)
                .is_some_and(|rest| rest.iter().all(|byte| matches!(byte, b')' | b';' | b',' | b'?')))
        })
    };
    if set.has(b'(')
        && is_call()
        && memchr::memchr(b'(', value).is_some_and(|at| {
            at > 2
                && is_name(value.get(..at).unwrap_or_default())
                && value.get(..at).is_some_and(|name| {
                    name.iter().any(|byte| matches!(byte, b'_' | b'.' | b':'))
                        || name.iter().all(u8::is_ascii_alphabetic)
                })
        })
    {
        return true;
    }
    if is_mask(asked) {
        return true;
    }
    // `your-api-key-here`, `my_secret`, `insert token`: words and nothing else.
    let words = lower
        .split(|byte| !byte.is_ascii_alphabetic())
        .filter(|word| !word.is_empty());
    let mut telling = words.filter(|word| {
        const TELLING: [&[u8]; 24] = [
            b"your",
            b"my",
            b"here",
            b"insert",
            b"enter",
            b"replace",
            b"replaceme",
            b"example",
            b"placeholder",
            b"sample",
            b"dummy",
            b"fake",
            b"todo",
            b"changeme",
            b"change",
            b"redacted",
            b"masked",
            b"some",
            b"goes",
            b"put",
            b"xxx",
            b"xxxx",
            b"fixme",
            b"fill",
        ];
        TELLING.contains(word)
    });
    set.are_of(LETTERS.and(b"_- .")) && telling.next().is_some()
}

/// `xxxxxx`, `******`, `••••`, with a few characters left.
fn is_mask(asked: &Value<'_>) -> bool {
    const SIGNS: Bytes = Bytes::of(b"*xX#._");
    let value = asked.text;
    // Three tenths of it may be others; with one more it is told.
    let others_max = value.len() * 3 / 10;
    if asked.set.count() as usize <= SIGNS.count() as usize + others_max {
        let mut others = value.iter().filter(|byte| !SIGNS.has(**byte));
        if others.nth(others_max).is_none() {
            return true;
        }
    }
    if !asked.set.has_any(HIGH) || asked.set.count() > 4 {
        return false;
    }
    let high = value.iter().filter(|byte| !byte.is_ascii()).count();
    high * 10 >= value.len() * 9
}

/// A service in small letters, a colon, and words that each begin large.
fn is_action(value: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', value) else {
        return false;
    };
    let (service, action) = value.split_at(colon);
    let action = action.get(1..).unwrap_or_default();
    service.len() >= 2
        && service
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
        && is_names(action, Bytes::of(action))
        && action.first().is_some_and(u8::is_ascii_uppercase)
        && action.iter().all(u8::is_ascii_alphabetic)
}

/// A path or an address: where a value is, not the value.
fn is_path(lower: &[u8]) -> bool {
    if let Some(at) = peek::find(lower, b"://") {
        return lower
            .get(..at)
            .is_some_and(|scheme| scheme.iter().all(u8::is_ascii_alphabetic))
            && memchr::memchr(b'@', lower).is_none();
    }
    let is_rooted = lower.starts_with(b"/") || lower.starts_with(b"./") || lower.starts_with(b"~/");
    let segments = lower.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    let count = segments.clone().count();
    if count < if is_rooted { 2 } else { 3 } {
        return false;
    }
    let is_word = |segment: &&[u8]| {
        let letters = segment.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        segment.len() <= 24
            && (letters == segment.len()
                || letters == 0 && segment.len() <= 4
                || segment.iter().any(|byte| matches!(byte, b'.' | b'-' | b'_')))
    };
    let words = segments.filter(is_word).count();
    words * 4 >= count * 3
}

/// `AdminResetUserPassword`, `cognito-idp:ResetPassword`, `credhub.password`: names of things, made of words.
pub(super) fn is_names(value: &[u8], set: Bytes) -> bool {
    if value.len() < 12 || !set.are_of(LETTERS.and(b":._-/")) {
        return false;
    }
    // `CLIENT_EARLY_TRAFFIC_SECRET`
    if set.has_any(UPPER) && !set.has_any(LOWER) && set.has(b'_') {
        let lower = value.to_ascii_lowercase();
        return is_names(&lower, Bytes::of(&lower));
    }
    if is_passphrase(value) {
        return false;
    }
    let mut words = 0;
    let mut vowelless = 0;
    let mut at = 0;
    while at < value.len() {
        let rest = value.get(at..).unwrap_or_default();
        let is_joint = !rest.first().is_some_and(u8::is_ascii_alphabetic);
        let tail = rest
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_lowercase() && !is_joint);
        let length = 1 + tail.count();
        let word = rest.get(..length).unwrap_or_default();
        if word.first().is_some_and(u8::is_ascii_alphabetic) {
            words += 1;
            let vowels = word.iter().filter(|byte| b"aeiouyAEIOUY".contains(byte)).count();
            // No word of a language that people name things in goes without.
            vowelless += usize::from(vowels * 5 < length || !(2..=14).contains(&length));
        }
        at += length;
    }
    words >= 2 && vowelless * 4 <= words
}

/// A password that is hashed already: crypt's forms (`$6$...`), `{SSHA}...`.
fn is_hash(value: &[u8]) -> bool {
    let is_crypt = value.first() == Some(&b'$')
        && value.get(1..).is_some_and(|rest| {
            let name = rest
                .iter()
                .take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || **byte == b'-')
                .count();
            (1..=16).contains(&name) && rest.get(name) == Some(&b'$')
        });
    is_crypt
        || value.first() == Some(&b'{')
            && value.get(1).is_some_and(u8::is_ascii_uppercase)
            && memchr::memchr(b'}', value).is_some()
}

/// `API password`, `The key of your account`: words, of which one says what should stand there.
fn is_description(asked: &Value<'_>) -> bool {
    const NAMES: [&[u8]; 12] = [
        b"password",
        b"passwort",
        b"passwd",
        b"secret",
        b"token",
        b"key",
        b"passphrase",
        b"pin",
        b"code",
        b"credentials",
        b"account",
        b"login",
    ];
    let mut words = asked
        .lower
        .split(|byte| !byte.is_ascii_alphabetic())
        .filter(|word| !word.is_empty());
    if asked.set.are_of(LETTERS.or(HIGH).and(b" .,?'-")) {
        return words.any(|word| NAMES.contains(&word));
    }
    let only = words.next();
    only.is_some_and(|word| NAMES.contains(&word)) && words.next().is_none()
}

/// `123456`, `1234token`, `test1`, `secret123`: figures that count up, or a word for a test or a secret with a few figures.
fn is_counted(asked: &Value<'_>) -> bool {
    const WORDS: [&[u8]; 16] = [
        b"test",
        b"token",
        b"secret",
        b"password",
        b"passwd",
        b"pass",
        b"admin",
        b"root",
        b"user",
        b"refresh",
        b"demo",
        b"foo",
        b"bar",
        b"abc",
        b"mypassword",
        b"rootpassword",
    ];
    const LETTERS_MAX: usize = 12;
    let lower = asked.lower.as_slice();
    // No word is longer.
    let is_long = || {
        lower
            .iter()
            .filter(|byte| byte.is_ascii_alphabetic())
            .nth(LETTERS_MAX)
            .is_some()
    };
    if !asked.set.are_of(ALPHANUMERICS) || is_long() {
        return false;
    }
    let digits: Vec<u8> = lower.iter().copied().filter(u8::is_ascii_digit).collect();
    let letters: Vec<u8> = lower.iter().copied().filter(u8::is_ascii_alphabetic).collect();
    let counts_up = digits
        .iter()
        .zip(digits.iter().skip(1))
        .all(|(one, other)| *other == one + 1 || (*one, *other) == (b'9', b'0'));
    let is_word = letters.is_empty() || WORDS.contains(&letters.as_slice());
    is_word && (counts_up && digits.len() != 1 || !letters.is_empty() && digits.len() <= 4)
}
