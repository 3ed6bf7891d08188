//! Values that a word says are secret: where the value ends, and whether it is one.

use super::Found;
use super::class::Class;
use super::code::{is_code, is_tag};
use super::peek::{self, ahead, before, behind, readable};
use super::place::{Bond, Scope};
use super::placeholders::{is_names, is_placeholder};
use super::shape::{DIGITS, LOWER, Value};
use super::work::Work;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::ops::Range;

/// Shorter values are no passwords that a rule can tell, longer ones are texts.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 4..=256;
/// Keys are long.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 8..=4_096;

/// Longer values are of one alphabet: Base64, or a token's.
const ANY_VALUE_BYTES_MAX: usize = 256;

/// A phrase of as many words as wallets have is no longer.
const PHRASE_BYTES_MAX: usize = 256;

/// So many signs at the end of a value are of the text around it.
const CLOSING_MAX: usize = 8;

/// The secrets that the word at `word` names in these scopes.
pub(super) fn named<'a>(
    class: Class,
    text: &[u8],
    word: &Range<usize>,
    scopes: &[Scope],
    work: &mut Work,
    found: &mut Vec<Found<'a>>,
) {
    let prose;
    let scopes = match scopes.is_empty() {
        true => {
            prose = said(text, word);
            prose.as_slice()
        }
        false => scopes,
    };
    if is_verb(text, word) || is_demanded(text, word) {
        return;
    }
    for scope in scopes {
        let mut scope = scope.clone();
        for _ in 0..LIST_MAX {
            let span = value(text, &scope, work).filter(|span| !is_of_code(text, word, &scope, span));
            let span = span.filter(|span| {
                let value = text.get(span.clone()).unwrap_or_default();
                is_secret(class, value, &scope, work) && is_as_said(text, word, value, &scope)
            });
            if let Some(span) = span {
                let rule = match class {
                    Class::Password => "named-password",
                    _ => "named-secret",
                };
                found.push(Found::new(class, rule, scope.bond.into(), span));
            }
            // `"tokens": ["x", "y"]` names each of them.
            let Some(next) = next_in_list(text, &scope) else { break };
            scope = next;
        }
    }
}

/// `${DB_PASSWORD:?not set}`, `${DB_PASSWORD:+set}`: what a shell says or writes instead of the value (POSIX, 2.6.2).
fn is_demanded(text: &[u8], word: &Range<usize>) -> bool {
    let before = behind(text, word.start, 64);
    let name = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let opened = before.len() - name.count();
    before.get(..opened).is_some_and(|opened| opened.ends_with(b"${"))
        && matches!(ahead(text, word.end, 2), [b':', b'?' | b'+'] | [b'?' | b'+', _])
}

/// Words that say little name what has the form of it: `tokens` a list of quoted values, `auth` a name and a password in Base64.
fn is_as_said(text: &[u8], word: &Range<usize>, value: &[u8], scope: &Scope) -> bool {
    let said = text.get(word.clone()).unwrap_or_default();
    if said.eq_ignore_ascii_case(b"tokens") {
        let opened = text.get(..scope.span.start).unwrap_or_default();
        let opened = opened
            .strip_suffix(b"\"")
            .or(opened.strip_suffix(b"'"))
            .unwrap_or_default();
        return scope.is_closed && matches!(opened.trim_ascii_end().last(), Some(b'[' | b','));
    }
    if said.eq_ignore_ascii_case(b"auth") {
        let bare = value.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
        let decoded = STANDARD_NO_PAD.decode(value.get(..bare).unwrap_or_default());
        return decoded
            .is_ok_and(|decoded| decoded.contains(&b':') && decoded.iter().all(|byte| (0x20..0x7f).contains(byte)));
    }
    true
}

/// So many values of a list are looked at.
const LIST_MAX: usize = 64;

/// The next quoted value of a list in square brackets that a value is in.
fn next_in_list(text: &[u8], scope: &Scope) -> Option<Scope> {
    if scope.bond != Bond::Key || !scope.is_closed {
        return None;
    }
    let quote = *text.get(scope.span.end)?;
    let opened = text.get(..scope.span.start.checked_sub(1)?)?;
    let is_quoted = matches!(quote, b'"' | b'\'') && before(text, scope.span.start) == Some(quote);
    let gap = opened
        .iter()
        .rev()
        .take(64)
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let opener = opened.len().checked_sub(gap + 1).and_then(|at| opened.get(at));
    if !is_quoted || !matches!(opener, Some(b'[' | b',')) {
        return None;
    }
    let rest = ahead(text, scope.span.end + 1, 64);
    let comma = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    if rest.get(comma) != Some(&b',') {
        return None;
    }
    let gap = rest
        .iter()
        .skip(comma + 1)
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    if rest.get(comma + 1 + gap) != Some(&quote) {
        return None;
    }
    let start = scope.span.end + 1 + comma + 1 + gap + 1;
    let value = ahead(text, start, *KEY_BYTES.end());
    let length = value.iter().position(|byte| *byte == quote)?;
    // The name of the next member, where the list was none.
    if text.get(start + length + 1) == Some(&b':') {
        return None;
    }
    Some(Scope {
        span: start..start + length,
        bond: Bond::Key,
        is_closed: true,
    })
}

/// `pass_fds`, `passEnv`: something is passed.
fn is_verb(text: &[u8], word: &Range<usize>) -> bool {
    let is_pass = text
        .get(word.clone())
        .is_some_and(|word| word.eq_ignore_ascii_case(b"pass"));
    let behind = ahead(text, word.end, 2);
    is_pass && matches!(behind, [b'_' | b'-', next] if next.is_ascii_alphabetic())
}

/// Whether what would be the value of the word at `word` is a part of code or of a sentence.
fn is_of_code(text: &[u8], word: &Range<usize>, scope: &Scope, span: &Range<usize>) -> bool {
    if scope.bond != Bond::Key {
        return scope.bond == Bond::Near && !scope.is_closed && is_code(text, span.start);
    }
    let value = text.get(span.clone()).unwrap_or_default();
    if scope.is_closed {
        // A cell of a table, which no quotes close: one with spaces is a remark.
        let is_cell = text
            .get(span.end..)
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"|"));
        return is_cell && value.contains(&b' ');
    }
    let said = text.get(word.clone()).unwrap_or_default();
    let is_short = [&b"pass"[..], b"pin", b"pw"]
        .iter()
        .any(|short| said.eq_ignore_ascii_case(short));
    let is_plain = value.iter().all(u8::is_ascii_lowercase);
    // `the end of the pass: nothing may follow`.
    let is_in_prose = text
        .get(..word.start)
        .is_some_and(|text| matches!(text, [.., byte, b' '] if byte.is_ascii_alphabetic()));
    is_short && is_plain && is_in_prose || is_code(text, span.start)
}

/// Prose that says a secret: "the password is X", "password for the server: X", in a few languages.
fn said(text: &[u8], word: &Range<usize>) -> Vec<Scope> {
    const VERBS: [&str; 24] = [
        "is",
        "was",
        "ist",
        "lautet",
        "est",
        "es",
        "è",
        "é",
        "jest",
        "to",
        "er",
        "är",
        "on",
        "adalah",
        "является",
        "это",
        "は",
        "是",
        "为",
        "는",
        "हे",
        "هي",
        "هو",
        "are",
    ];
    let rest = ahead(text, word.end, 96);
    let rest = readable(rest);
    let name = text.get(word.clone()).unwrap_or_default();
    let is_english = [&b"pas"[..], b"pin", b"pw", b"tok", b"sec", b"key"]
        .iter()
        .any(|begin| {
            name.get(..begin.len())
                .is_some_and(|name| name.eq_ignore_ascii_case(begin))
        });
    let from = |start: usize| {
        let value = ahead(text, start, 256);
        let length = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        Scope {
            span: start..start + length,
            bond: Bond::Near,
            is_closed: false,
        }
    };
    // Scripts without spaces: `密码是X`, `パスワードはX`.
    let joined = ["是", "为", "為", "は", "は「", "는", "은"].into_iter().rfind(|verb| {
        rest.strip_prefix(verb)
            .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_graphic()))
    });
    if let Some(verb) = joined {
        return vec![from(word.end + verb.len())];
    }
    // A label of its own line, and the value on the next.
    let starts_line = word.start == 0 || before(text, word.start) == Some(b'\n');
    if let Some(next) = rest.strip_prefix('\n').filter(|_| starts_line) {
        let line = next.split('\n').next().unwrap_or_default().trim_end();
        let is_one = !line.contains(' ') && is_strong(line.as_bytes(), b"");
        return is_one.then(|| from(word.end + 1)).into_iter().collect();
    }
    // `username bob password 0 X`: how Cisco's routers say that it is in clear.
    if let Some(next) = rest.strip_prefix(" 0 ").or(rest.strip_prefix(" 7 ")) {
        let is_one = next.starts_with(|first: char| first.is_ascii_graphic());
        return is_one.then(|| from(word.end + 3)).into_iter().collect();
    }
    let mut at = 0;
    for (order, part) in rest.split(' ').enumerate().take(8) {
        let end = at + part.len();
        // `on` is a verb in Finnish.
        let is_pass = name.eq_ignore_ascii_case(b"pass");
        let is_verb = order > 0 && VERBS.contains(&part) && !(is_english && part == "on" || is_pass && part == "to");
        let is_colon = order > 0 && part.ends_with([':', '：']) && !is_pass;
        if is_verb || is_colon {
            let start = word.end + end + 1;
            // What the look ends in may go on.
            if text.get(start - 1) == Some(&b' ') {
                let quote = text
                    .get(start)
                    .copied()
                    .filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
                let start = start + usize::from(quote.is_some());
                let value = ahead(text, start, 256);
                let length = match quote {
                    Some(quote) => value.iter().position(|byte| *byte == quote).unwrap_or(0),
                    None => value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len()),
                };
                return vec![Scope {
                    span: start..start + length,
                    bond: Bond::Near,
                    is_closed: quote.is_some(),
                }];
            }
        }
        // `login NAME password VALUE` of netrc, and `with password VALUE`: a word behind it that is no word.
        if order == 1
            && is_strong(
                part.trim_end_matches([',', '.', ';', '!', ')']).as_bytes(),
                text.get(..word.start).unwrap_or_default(),
            )
        {
            let start = word.end + at;
            let bond = match is_login(text.get(..word.start).unwrap_or_default()) {
                true => Bond::Column,
                false => Bond::Near,
            };
            return vec![Scope {
                span: start..start + part.len(),
                bond,
                is_closed: false,
            }];
        }
        // The end of the sentence, and what is in no sentence.
        let is_code = part.contains([
            '(', ')', '{', '}', '<', '>', '=', '[', ']', ';', '"', '`', '\n', '|', '\\',
        ]);
        if part.ends_with(['.', '!', '?']) || is_code {
            break;
        }
        at = end + 1;
    }
    Vec::new()
}

/// Whether a name that logs in stands before a word, as in netrc.
fn is_login(before: &[u8]) -> bool {
    let near = before.get(before.len().saturating_sub(80)..).unwrap_or_default();
    [&b"login "[..], b"machine "]
        .iter()
        .any(|word| memchr::memmem::find(near, word).is_some())
}

/// Whether what follows a word for a password at once is one: behind a name that logs in anything is, elsewhere what has capitals,
/// figures and signs mixed as no word has.
fn is_strong(value: &[u8], before: &[u8]) -> bool {
    let is_of_login = is_login(before);
    let classes = [
        value.iter().any(u8::is_ascii_lowercase),
        value.iter().any(u8::is_ascii_uppercase),
        value.iter().any(u8::is_ascii_digit),
        value.iter().any(u8::is_ascii_punctuation),
    ];
    let count = classes.iter().filter(|is_there| **is_there).count();
    // A link of Markdown.
    if peek::find(value, b"](").is_some() {
        return false;
    }
    let is_called = value
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_')
        .count();
    if value.iter().filter(|byte| **byte == b',').count() >= 2 || is_called >= 4 && value.get(is_called) == Some(&b'(')
    {
        return false;
    }
    is_of_login && value.len() >= 4 || value.len() >= 8 && count >= 3 && value.iter().any(u8::is_ascii_digit)
}

/// The value itself in its scope.
fn value(text: &[u8], scope: &Scope, work: &mut Work) -> Option<Range<usize>> {
    let mut span = scope.span.clone();
    let is_edge = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`');
    while text.get(span.start).is_some_and(is_edge) && span.start < span.end {
        span.start += 1;
    }
    // The scheme of a header is no part of its token.
    for scheme in [
        &b"Bearer "[..],
        b"bearer ",
        b"Basic ",
        b"basic ",
        b"Token ",
        b"token ",
        b"ApiKey ",
    ] {
        if text.get(span.clone()).is_some_and(|value| value.starts_with(scheme)) {
            span.start += scheme.len();
        }
    }
    // `<your password>`
    if !scope.is_closed && text.get(span.start) == Some(&b'<') {
        return None;
    }
    if !scope.is_closed {
        // A key may be longer than a line is looked at for others.
        span.end = span.end.max((span.start + *KEY_BYTES.end()).min(text.len()));
    }
    let bytes = text.get(span.clone())?;
    if !scope.is_closed {
        if let Some(length) = phrase_length(bytes.get(..PHRASE_BYTES_MAX).unwrap_or(bytes)) {
            span.end = span.start + length;
            return Some(span);
        }
        let ends = |at: usize| match text.get(at) {
            Some(b'"') => true,
            Some(b'<') => is_tag(text, at) || text.get(at + 1).is_none_or(|next| !next.is_ascii_alphanumeric()),
            byte => byte.is_some_and(u8::is_ascii_whitespace),
        };
        span.end = work.end(&span, ends);
        // What closes a list, an object, a statement, a sentence; a bracket that is opened in the value closes there.
        let mut left = CLOSING_MAX;
        while left > 0 {
            let value = text.get(span.clone())?;
            let count = |wanted: u8| memchr::memchr_iter(wanted, value).count();
            // So many brackets close what was opened before the value.
            let surplus = |open: u8, close: u8| {
                let run = value.iter().rev().take(left).take_while(|byte| **byte == close).count();
                count(close).saturating_sub(count(open)).min(run)
            };
            let closing = match value.last() {
                Some(b'}') => surplus(b'{', b'}'),
                Some(b']') => surplus(b'[', b']'),
                Some(b')') => surplus(b'(', b')'),
                last => usize::from(matches!(last, Some(b',' | b';' | b'\'' | b'`'))),
            };
            if closing == 0 {
                break;
            }
            span.end -= closing;
            left -= closing;
        }
        if scope.bond == Bond::Near {
            while span.end > span.start && text.get(span.end - 1).is_some_and(|byte| matches!(byte, b'.' | b':')) {
                span.end -= 1;
            }
        }
        // One of several in a query or a connection string.
        if let Some(next) = text
            .get(span.clone())
            .and_then(|value| memchr::memchr2(b'&', b';', value))
        {
            let behind = text.get(span.start + next + 1..span.end).unwrap_or_default();
            if memchr::memchr(b'=', behind).is_some() {
                span.end = span.start + next;
            }
        }
    } else {
        while span.end > span.start && text.get(span.end - 1).is_some_and(is_edge) {
            span.end -= 1;
        }
    }
    (!span.is_empty()).then_some(span)
}

fn is_secret(class: Class, value: &[u8], scope: &Scope, work: &mut Work) -> bool {
    let lengths = match class {
        Class::Password => PASSWORD_BYTES,
        _ => KEY_BYTES,
    };
    if !lengths.contains(&value.len()) || value.len() > ANY_VALUE_BYTES_MAX && !is_of_one_alphabet(value) {
        return false;
    }
    if !work.pays(value) {
        return true;
    }
    let asked = Value::of(value);
    if is_placeholder(&asked) {
        return false;
    }
    let spaces = value.iter().filter(|byte| **byte == b' ').count();
    let has_digits = asked.set.has_any(DIGITS);
    match class {
        // A passphrase of a few words is one, a sentence is not; prose alone does not make a word a password.
        Class::Password => {
            let is_phrase = is_passphrase(value) || is_phrase(value);
            let is_plain = asked.set.are_of(LOWER.and(b" "));
            let is_word = is_plain || !has_digits && !has_mark(value);
            (spaces <= 5 || is_phrase)
                && (scope.bond > Bond::Near || is_phrase || spaces == 0 && (!is_word || is_random(value)))
        }
        // A key is no word; one of letters alone is long, and no row of words.
        _ => {
            let is_long = || value.len() >= 20 && !is_names(value, asked.set) || value.len() >= 16 && is_random(value);
            spaces == 0 && asked.set.count() >= 6 && (has_digits || is_long())
                || is_wallets(spaces + 1) && is_phrase(value)
        }
    }
}

/// Letters, digits and what Base64 and tokens have beside them, with padding at the end alone.
fn is_of_one_alphabet(value: &[u8]) -> bool {
    let padding = value.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = value.get(..value.len() - padding).unwrap_or_default();
    body.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_.~%$|".contains(byte))
}

/// How long a phrase of words is that ends its line or sentence: four to six of a passphrase, or as many as wallets have (BIP 39).
fn phrase_length(bytes: &[u8]) -> Option<usize> {
    let is_in = |byte: &u8| byte.is_ascii_lowercase() || *byte == b' ';
    let length = bytes.iter().position(|byte| !is_in(byte)).unwrap_or(bytes.len());
    let ends = matches!(
        bytes.get(length),
        None | Some(b'\n' | b'\r' | b'.' | b',' | b'"' | b'<' | b'\\')
    );
    let phrase = bytes.get(..length)?.trim_ascii_end();
    (ends && is_phrase(phrase)).then_some(phrase.len())
}

/// Words alone, none of them a small one: a passphrase, or a wallet's.
fn is_phrase(value: &[u8]) -> bool {
    let words = value.split(|byte| *byte == b' ');
    let count = words.clone().count();
    (matches!(count, 4..=6) || is_wallets(count))
        && words.clone().all(|word| {
            (3..=9).contains(&word.len())
                && word.iter().all(u8::is_ascii_lowercase)
                && (is_wallets(count) || !super::standins::is_of_sentence(word))
        })
}

const fn is_wallets(count: usize) -> bool {
    matches!(count, 12 | 15 | 18 | 21 | 24)
}

/// Letters alone that no word has together: five consonants in a row, or hardly a vowel.
pub(super) fn is_random(value: &[u8]) -> bool {
    let is_vowel = |byte: &u8| b"aeiouyAEIOUY".contains(byte);
    let vowels = value.iter().filter(|byte| is_vowel(byte)).count();
    value.len() >= 8
        && value.iter().all(u8::is_ascii_alphabetic)
        && (vowels * 5 < value.len() || value.split(is_vowel).any(|run| run.len() >= 5))
}

/// Words of a passphrase, joined: four at least, each of three letters or more.
pub(super) fn is_passphrase(value: &[u8]) -> bool {
    let words = value.split(|byte| *byte == b'-');
    words.clone().count() >= 4
        && words
            .clone()
            .all(|word| word.len() >= 3 && word.iter().all(u8::is_ascii_lowercase))
}

fn has_mark(value: &[u8]) -> bool {
    value
        .iter()
        .any(|byte| byte.is_ascii_punctuation() && !matches!(byte, b'.' | b',' | b'\'' | b'-'))
        || value.iter().skip(1).any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase)
}
