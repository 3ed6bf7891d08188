//! Passwords that no word names: in the arguments of programs, in headers, in the files of clients, in SQL. Each is the grammar
//! of the program that reads it.

use super::class::Class;
use super::kinds::{BLOCK, Kinds, Map};
use super::peek::{self, ahead, behind};
use super::placeholders::is_placeholder;
use super::shape::Value;
use super::{Confidence, Found};
use aho_corasick::packed::Searcher;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem::{self, Finder};
use std::ops::Range;
use std::sync::LazyLock;

/// A line of one of these files, or an argument, is no longer.
const LINE_BYTES_MAX: usize = 4_096;

/// What something is constructed of is no longer: each place that looks like it is looked at so far.
const CONSTRUCTED_BYTES_MAX: usize = 512;

/// The name of a variable is no longer.
const NAME_BYTES_MAX: usize = 64;

/// What each grammar begins with.
const BEGINNINGS: [&str; 14] = [
    " -u",
    "-user",
    " -U",
    "mysql",
    "sshpass",
    "docker login",
    "redis-cli",
    "sqlcmd",
    "asic",
    "DENTIFIED BY ",
    "dentified by ",
    "PASSWORD",
    "Credential",
    "Authentication(",
];

/// One search for all of them.
enum Search {
    /// With vectors.
    Packed(Searcher),
    /// Where the machine has none.
    Plain(Vec<Finder<'static>>),
}

static SEARCH: LazyLock<Search> = LazyLock::new(|| match Searcher::new(BEGINNINGS) {
    Some(searcher) => Search::Packed(searcher),
    None => Search::Plain(BEGINNINGS.iter().map(|beginning| Finder::new(*beginning)).collect()),
});

impl Search {
    /// Each beginning that stands in `text`: which it is, and where. None within another.
    fn each(&self, text: &[u8], mut found: impl FnMut(usize, Range<usize>)) {
        match self {
            Self::Packed(searcher) => searcher
                .find_iter(text)
                .for_each(|one| found(one.pattern().as_usize(), one.start()..one.end())),
            Self::Plain(finders) => finders.iter().enumerate().for_each(|(index, finder)| {
                let length = finder.needle().len();
                finder.find_iter(text).for_each(|at| found(index, at..at + length));
            }),
        }
    }
}

pub(super) fn find(text: &[u8], kinds: &Map, found: &mut Vec<Found<'_>>) {
    SEARCH.each(text, |beginning, span| {
        let end = span.end;
        match beginning {
            flag @ (0..3) => {
                let letter = [Some(b'u'), None, Some(b'U')].get(flag).copied().flatten();
                user_flag(text, end, letter, found);
                // The flag's own name may go on.
                let rest = text.get(span.start + 1..).unwrap_or_default();
                if flag == 0 && rest.starts_with(b"-user") {
                    user_flag(text, span.start + 6, None, found);
                }
            }
            3 => attached_flag(text, end, b" -p", true, found),
            4 | 5 => attached_flag(text, end, b" -p", false, found),
            6 => attached_flag(text, end, b" -a", false, found),
            7 => attached_flag(text, end, b" -P", false, found),
            8 => match ahead(text, end, 5) {
                [b' ', ..] => basic(text, end + 1, found),
                b"Auth(" => constructed(text, end + 5, span.start, found),
                _ => {}
            },
            9 | 10 => quoted(text, end, found),
            12 => match ahead(text, end, 2) {
                [b'(', ..] => constructed(text, end + 1, span.start, found),
                b"s(" => constructed(text, end + 2, span.start, found),
                _ => {}
            },
            13 if behind(text, span.start, 8) == b"Password" => constructed(text, end, span.start, found),
            13 => {}
            _ if matches!(text.get(end), Some(b' ' | b'(')) => quoted(text, end + 1, found),
            _ => {}
        }
    });
    pgpass(text, kinds, found);
}

fn push(rule: &'static str, text: &[u8], span: Range<usize>, found: &mut Vec<Found<'_>>) {
    let is_one = text.get(span.clone()).is_some_and(|value| {
        // `(b"mysql", b" -p", true)`: the quote was a closing one.
        let is_list = matches!(value.first(), Some(b',' | b')' | b']'));
        value.len() >= 3
            && !is_list
            && !is_placeholder(&Value::of(value))
            && !value.iter().all(|byte| byte.is_ascii_digit() && value.len() < 6)
    });
    if is_one {
        found.push(Found::new(Class::Password, rule, Confidence::Sure, span));
    }
}

/// An argument of a shell: to the next space, or in quotes.
fn argument(text: &[u8], at: usize) -> Range<usize> {
    let rest = ahead(text, at, LINE_BYTES_MAX);
    match rest.first() {
        Some(quote @ (b'"' | b'\'')) => {
            let end = rest.iter().skip(1).position(|byte| byte == quote).unwrap_or(0);
            at + 1..at + 1 + end
        }
        _ => {
            let end = rest.iter().position(|byte| {
                byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'|' | b';' | b'<')
            });
            at..at + end.unwrap_or(rest.len())
        }
    }
}

/// `curl -u name:password`, also `--user`, `--proxy-user`; the flag ends at `at`, and is of one letter or a word.
fn user_flag(text: &[u8], at: usize, letter: Option<u8>, found: &mut Vec<Found<'_>>) {
    let mut from = at;
    match text.get(from) {
        Some(b' ' | b'=') => from += 1,
        Some(b'"' | b'\'') => {}
        // `-uname:password` is curl's too.
        Some(byte) if letter.is_some() && byte.is_ascii_alphanumeric() => {}
        _ => return,
    }
    let span = argument(text, from);
    // `smbclient -U name%password`
    let joint = if letter == Some(b'U') { b'%' } else { b':' };
    let colon = text
        .get(span.clone())
        .and_then(|value| memchr::memchr(joint, value).or_else(|| memchr::memchr(b':', value)));
    let Some(colon) = colon else {
        beside_user(text, span.end, found);
        return;
    };
    let user = text.get(span.start..span.start + colon).unwrap_or_default();
    let is_user = !user.is_empty()
        && user
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-@\\+%".contains(byte));
    let is_url = text
        .get(span.start + colon..)
        .is_some_and(|rest| rest.starts_with(b"://"));
    // `docker run -u 1000:1000`.
    let is_number = user.iter().all(u8::is_ascii_digit);
    if is_user && !is_url && !is_number {
        push("flag-user-password", text, span.start + colon + 1..span.end, found);
    }
}

/// `-u name -p password`: with a name beside it, `-p` is no port.
fn beside_user(text: &[u8], end: usize, found: &mut Vec<Found<'_>>) {
    let rest = ahead(text, end, 48);
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let flag = [&b" -p "[..], b" -P ", b" -w "]
        .into_iter()
        .find_map(|flag| Some(memmem::find(line, flag)? + flag.len()));
    if let Some(flag) = flag {
        push("flag-user-password", text, argument(text, end + flag), found);
    }
}

/// `mysql -pPASSWORD`, `sshpass -p PASSWORD`, and others whose `-p` is no port; the program's name ends at `at`.
fn attached_flag(text: &[u8], at: usize, flag: &[u8], is_attached: bool, found: &mut Vec<Found<'_>>) {
    let line = ahead(text, at, LINE_BYTES_MAX);
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(from) = memmem::find(line, flag) else { return };
    let mut from = at + from + flag.len();
    match (is_attached, text.get(from)) {
        (false, Some(b' ')) => from += 1,
        (true, Some(byte)) if !byte.is_ascii_whitespace() => {}
        (false, Some(byte)) if !byte.is_ascii_alphabetic() => {}
        _ => return,
    }
    push("flag-password", text, argument(text, from), found);
}

/// `UsernamePasswordCredentials("name", "password")`, `HTTPBasicAuth(name, "password")`, `BasicAWSCredentials("id", "secret")`,
/// `NetworkCredential("name", "password", "domain")`: what is made of a name and a password alone; its arguments begin at `at`.
fn constructed(text: &[u8], at: usize, called: usize, found: &mut Vec<Found<'_>>) {
    let text = text.get(..at + CONSTRUCTED_BYTES_MAX).unwrap_or(text);
    let space = |at: usize| {
        let rest = ahead(text, at, LINE_BYTES_MAX);
        at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
    };
    let name = argument(text, space(at));
    let name = match text.get(name.end) {
        Some(b'"' | b'\'') if text.get(name.start.saturating_sub(1)) == text.get(name.end) => name.end + 1,
        _ => {
            let rest = ahead(text, at, NAME_BYTES_MAX);
            let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$ ".contains(byte);
            at + rest.iter().take_while(|byte| is_of_name(byte)).count()
        }
    };
    let comma = space(name);
    if text.get(comma) != Some(&b',') {
        return;
    }
    let open = space(comma + 1);
    if !matches!(text.get(open), Some(b'"' | b'\'')) {
        return;
    }
    let password = argument(text, open);
    let rest = ahead(text, password.end + 1, 16);
    let rest = rest.strip_prefix(b".toCharArray()").unwrap_or(rest).trim_ascii_start();
    let is_end = match rest.first() {
        Some(b')') => true,
        Some(b',') => behind(text, called, 8).ends_with(b"Network"),
        _ => false,
    };
    if is_end && !password.is_empty() {
        push("constructed-password", text, password, found);
    }
}

/// `Authorization: Basic ...` (RFC 7617): name and password in Base64.
fn basic(text: &[u8], start: usize, found: &mut Vec<Found<'_>>) {
    let rest = ahead(text, start, LINE_BYTES_MAX);
    let length = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')))
        .unwrap_or(rest.len());
    let Some(decoded) = rest.get(..length).and_then(|token| STANDARD_NO_PAD.decode(token).ok()) else {
        return;
    };
    let Some(colon) = memchr::memchr(b':', &decoded) else {
        return;
    };
    let password = decoded.get(colon + 1..).unwrap_or_default();
    let is_text = std::str::from_utf8(&decoded).is_ok_and(|text| !text.chars().any(char::is_control));
    if is_text && password.len() >= 3 && !is_placeholder(&Value::of(password)) {
        let padding = rest
            .get(length..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| **byte == b'=')
            .count();
        found.push(Found::new(
            Class::Password,
            "http-basic",
            Confidence::Certain,
            start..start + length + padding,
        ));
    }
}

/// Lines of PostgreSQL's password file: `host:port:database:name:password`.
fn pgpass(text: &[u8], kinds: &Map, found: &mut Vec<Found<'_>>) {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-*$@".contains(byte);
    // What a port stands between, as far as one block tells.
    let ports = |kinds: &Kinds| {
        let next = (2..=6).fold(0b11_1111 << (BLOCK - 6), |next, length| next | kinds.colons >> length);
        kinds.colons & next
    };
    for colon in kinds.places(ports) {
        let port = ahead(text, colon + 1, 5);
        let port = port
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b'*')
            .count();
        let host = behind(text, colon, LINE_BYTES_MAX);
        let host = host.iter().rev().take_while(|byte| is_name(byte)).count();
        let start = colon - host;
        let is_begin = !matches!(peek::before(text, start), Some(byte) if !matches!(byte, b'\n' | b'"'));
        if port == 0 || host == 0 || !is_begin {
            continue;
        }
        let line = ahead(text, start, LINE_BYTES_MAX + 1);
        let line = line
            .split(|byte| matches!(byte, b'\n' | b'"'))
            .next()
            .unwrap_or_default();
        if line.len() > LINE_BYTES_MAX {
            continue;
        }
        let mut parts = line.splitn(5, |byte| *byte == b':');
        let (Some(host), Some(port), Some(database), Some(user), Some(password)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let is_port = port == b"*" || (2..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
        let is_host = host
            .iter()
            .any(|byte| byte.is_ascii_alphabetic() || *byte == b'*' || *byte == b'.');
        let are_names = [host, database, user]
            .iter()
            .all(|part| !part.is_empty() && part.iter().all(is_name));
        let is_word = !password.iter().any(u8::is_ascii_whitespace);
        if is_host && is_port && are_names && is_word {
            let end = start + line.len();
            push("pgpass", text, end - password.len()..end, found);
        }
    }
}

/// `IDENTIFIED BY 'password'`, `WITH PASSWORD 'password'` and what other dialects write.
fn quoted(text: &[u8], at: usize, found: &mut Vec<Found<'_>>) {
    if matches!(text.get(at), Some(b'\'' | b'"')) {
        push("sql-password", text, argument(text, at), found);
    }
}
