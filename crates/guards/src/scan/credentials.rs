//! Passwords that no word names: in the arguments of programs, in headers, in the files of clients, in SQL. Each is the grammar
//! of the program that reads it.

use super::class::Class;
use super::peek::ahead;
use super::secrets::is_placeholder;
use super::{Confidence, Found};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use std::ops::Range;

/// A line of one of these files, or an argument, is no longer.
const LINE_BYTES_MAX: usize = 4_096;

pub(super) fn find(text: &[u8], found: &mut Vec<Found<'_>>) {
    user_flags(text, found);
    attached_flags(text, found);
    basic(text, found);
    pgpass(text, found);
    identified_by(text, found);
}

fn push(rule: &'static str, text: &[u8], span: Range<usize>, found: &mut Vec<Found<'_>>) {
    let is_one = text.get(span.clone()).is_some_and(|value| {
        // `(b"mysql", b" -p", true)`: the quote was a closing one.
        let is_list = matches!(value.first(), Some(b',' | b')' | b']'));
        value.len() >= 3
            && !is_list
            && !is_placeholder(value)
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

/// `curl -u name:password`, also `--user`, `--proxy-user`.
fn user_flags(text: &[u8], found: &mut Vec<Found<'_>>) {
    for flag in [&b" -u"[..], b"-user", b" -U"] {
        for at in memmem::find_iter(text, flag) {
            let mut from = at + flag.len();
            match text.get(from) {
                Some(b' ' | b'=') => from += 1,
                Some(b'"' | b'\'') => {}
                // `-uname:password` is curl's too.
                Some(byte) if flag.len() == 3 && byte.is_ascii_alphanumeric() => {}
                _ => continue,
            }
            let span = argument(text, from);
            // `smbclient -U name%password`
            let joint = if flag == b" -U" { b'%' } else { b':' };
            let colon = text
                .get(span.clone())
                .and_then(|value| memchr::memchr(joint, value).or_else(|| memchr::memchr(b':', value)));
            let Some(colon) = colon else {
                beside_user(text, span.end, found);
                continue;
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

/// `mysql -pPASSWORD`, `sshpass -p PASSWORD`, and others whose `-p` is no port.
fn attached_flags(text: &[u8], found: &mut Vec<Found<'_>>) {
    const PROGRAMS: [(&[u8], &[u8], bool); 7] = [
        (b"mysql", b" -p", true),
        (b"mysqldump", b" -p", true),
        (b"mysqladmin", b" -p", true),
        (b"sshpass", b" -p", false),
        (b"docker login", b" -p", false),
        (b"redis-cli", b" -a", false),
        (b"sqlcmd", b" -P", false),
    ];
    for (program, flag, is_attached) in PROGRAMS {
        for at in memmem::find_iter(text, program) {
            let begin = at + program.len();
            let line = ahead(text, begin, LINE_BYTES_MAX);
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let Some(from) = memmem::find(line, flag) else { continue };
            let mut from = begin + from + flag.len();
            match (is_attached, text.get(from)) {
                (false, Some(b' ')) => from += 1,
                (true, Some(byte)) if !byte.is_ascii_whitespace() => {}
                (false, Some(byte)) if !byte.is_ascii_alphabetic() => {}
                _ => continue,
            }
            push("flag-password", text, argument(text, from), found);
        }
    }
}

/// `Authorization: Basic ...` (RFC 7617): name and password in Base64.
fn basic(text: &[u8], found: &mut Vec<Found<'_>>) {
    for at in memmem::find_iter(text, b"asic ") {
        let start = at + b"asic ".len();
        let rest = ahead(text, start, LINE_BYTES_MAX);
        let length = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')))
            .unwrap_or(rest.len());
        let Some(decoded) = rest.get(..length).and_then(|token| STANDARD_NO_PAD.decode(token).ok()) else {
            continue;
        };
        let Some(colon) = memchr::memchr(b':', &decoded) else {
            continue;
        };
        let password = decoded.get(colon + 1..).unwrap_or_default();
        let is_text = std::str::from_utf8(&decoded).is_ok_and(|text| !text.chars().any(char::is_control));
        if is_text && password.len() >= 3 && !is_placeholder(password) {
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
}

/// A line of PostgreSQL's password file: `host:port:database:name:password`.
fn pgpass(text: &[u8], found: &mut Vec<Found<'_>>) {
    let mut at = 0;
    for line in text.split(|byte| matches!(byte, b'\n' | b'"')) {
        let start = at;
        at += line.len() + 1;
        if line.len() > LINE_BYTES_MAX || memchr::memchr(b':', line).is_none() {
            continue;
        }
        let mut parts = line.splitn(5, |byte| *byte == b':');
        let (Some(host), Some(port), Some(database), Some(user), Some(password)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let is_name = |part: &[u8]| {
            !part.is_empty()
                && part
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-*$@".contains(byte))
        };
        let is_port = port == b"*" || (2..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
        let is_host = is_name(host)
            && host
                .iter()
                .any(|byte| byte.is_ascii_alphabetic() || *byte == b'*' || *byte == b'.');
        let is_word = !password.iter().any(u8::is_ascii_whitespace);
        if is_host && is_port && is_name(database) && is_name(user) && is_word {
            push(
                "pgpass",
                text,
                start + line.len() - password.len()..start + line.len(),
                found,
            );
        }
    }
}

/// `IDENTIFIED BY 'password'`, `WITH PASSWORD 'password'` and what other dialects write.
fn identified_by(text: &[u8], found: &mut Vec<Found<'_>>) {
    for phrase in [
        &b"DENTIFIED BY "[..],
        b"dentified by ",
        b"PASSWORD ",
        b"password = PASSWORD(",
        b"PASSWORD(",
    ] {
        for at in memmem::find_iter(text, phrase) {
            let start = at + phrase.len();
            if matches!(text.get(start), Some(b'\'' | b'"')) {
                push("sql-password", text, argument(text, start), found);
            }
        }
    }
}
