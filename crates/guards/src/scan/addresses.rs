//! Addresses: of mail, of hosts, of network cards, and what stands in a URL before its host.

use super::class::Class;
use super::kinds::{BLOCK, Kinds, Map};
use super::peek::{ahead, behind};
use super::{Confidence, Found};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// RFC 5321, 4.5.3.1.
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// What stands before the host of a URL is no longer.
const USERINFO_BYTES_MAX: usize = 1_024;

pub(super) fn find<'a>(text: &[u8], kinds: &Map, found: &mut Vec<Found<'a>>) {
    let mut words = Words::of(text);
    for at in memchr::memchr_iter(b'@', text) {
        if let Some(span) = words.scheme_before(at).and_then(|scheme| userinfo(text, scheme, at)) {
            found.push(Found::new(Class::Password, "url-password", Confidence::Certain, span));
        } else if let Some(span) = mail(text, at) {
            if let Some(name) = display_name(text, span.start) {
                found.push(Found::new(Class::Person, "mail-name", Confidence::Sure, name));
            }
            found.push(Found::new(Class::Email, "email", Confidence::Certain, span));
        }
    }
    let mut past = None;
    // `a:b`, `a::b` or `::b`: in JSON most colons are none of these. The next one comes at most five places behind the first.
    let joins = |kinds: &Kinds| {
        let colons = kinds.colons & (kinds.colons >> 1 | 1 << (BLOCK - 1));
        let between = Kinds::between(kinds.colons, kinds.alphanumerics);
        (between | colons) & Kinds::before::<1, 5>(kinds.colons)
    };
    for at in kinds.places(joins) {
        if let Some((class, rule, span)) = colons(text, at, past) {
            past = Some(span.end);
            found.push(Found::new(class, rule, Confidence::Certain, span));
        }
    }
    // The second point comes two to four places behind the first.
    let decimals = |kinds: &Kinds| Kinds::between(kinds.dots, kinds.digits) & Kinds::before::<2, 4>(kinds.dots);
    for at in kinds.places(decimals) {
        dotted(text, at, found);
    }
    // Two of them with four characters between, which is not known of the last five of a block.
    let points = |kinds: &Kinds| kinds.dots & (kinds.dots >> 5 | 0b1_1111 << (BLOCK - 5));
    for at in kinds.places(points) {
        if let Some(span) = grouped(text, at) {
            found.push(Found::new(Class::Mac, "mac", Confidence::Certain, span));
        }
    }
    // Two of them with two characters between, which is not known of the last three of a block.
    let dashes = |kinds: &Kinds| kinds.joints & (kinds.joints >> 3 | 0b111 << (BLOCK - 3));
    for at in kinds.places(dashes) {
        dashed(text, at, found);
    }
}

/// A MAC address as Windows writes it, of which `at` may be the first dash: `F5-B0-08-8D-DA-06`.
fn dashed<'a>(text: &[u8], at: usize, found: &mut Vec<Found<'a>>) {
    let Some(whole) = at.checked_sub(2).and_then(|start| text.get(start..start + 17)) else {
        return;
    };
    let is_cut = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    let is_address = whole.get(2) == Some(&b'-')
        && whole.split(|byte| *byte == b'-').count() == 6
        && whole
            .split(|byte| *byte == b'-')
            .all(|pair| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit));
    // Six pairs of figures alone are as often something else.
    let is_mixed = whole.iter().any(u8::is_ascii_alphabetic);
    let start = at - 2;
    if is_address && is_mixed && !is_cut(start.checked_sub(1)) && !is_cut(Some(start + 17)) {
        found.push(Found::new(Class::Mac, "mac", Confidence::Certain, start..start + 17));
    }
}

/// The name before an address in angle brackets (RFC 5322, 3.4): `Ana Lopes <ana@bank.example>`.
fn display_name(text: &[u8], start: usize) -> Option<Range<usize>> {
    let before = behind(text, start, 72);
    let before = before.strip_suffix(b"<")?;
    let name = before.trim_ascii_end();
    let name = name.strip_suffix(b"\"").unwrap_or(name);
    let end = start - 1 - (before.len() - name.len());
    let begin = name
        .iter()
        .rposition(|byte| {
            matches!(
                byte,
                b'"' | b':' | b'<' | b'>' | b',' | b';' | b'\n' | b'\t' | b'(' | b')' | b'[' | b'='
            )
        })
        .map_or(0, |at| at + 1);
    // What is looked at ends within a name.
    if begin == 0 && name.len() + 2 >= 72 {
        return None;
    }
    let name = name.get(begin..)?;
    let space = name.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let name = name.get(space..)?;
    let whole = std::str::from_utf8(name).ok()?;
    let is_one = whole.split(' ').filter(|word| !word.is_empty()).count() >= 2 && super::fields::is_persons(whole);
    is_one.then_some(end - name.len()..end)
}

const fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(
            byte,
            b'.' | b'_' | b'-' | b'+' | b'\'' | b'~' | b'#' | b'!' | b'$' | b'&' | b'*' | b'^'
        )
}

const fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'-' | b'.')
}

fn mail(text: &[u8], at: usize) -> Option<Range<usize>> {
    let before = behind(text, at, LOCAL_BYTES_MAX);
    let quoted = before.last() == Some(&b'"');
    let local = match quoted {
        true => 1 + before.iter().rev().skip(1).position(|byte| *byte == b'"')? + 1,
        false => before.iter().rev().take_while(|byte| is_local(**byte)).count(),
    };
    let mut start = at - local;
    // Quotes and marks of the text around it.
    while !quoted
        && start < at
        && text.get(start).is_some_and(|byte| {
            matches!(
                byte,
                b'.' | b'\'' | b'*' | b'#' | b'!' | b'~' | b'&' | b'$' | b'^' | b'-'
            )
        })
    {
        start += 1;
    }
    if start == at || text.get(at - 1) == Some(&b'.') {
        return None;
    }
    let behind = ahead(text, at + 1, DOMAIN_BYTES_MAX);
    let mut length = behind.iter().take_while(|byte| is_domain(**byte)).count();
    while length > 0 && behind.get(length - 1).is_some_and(|byte| matches!(byte, b'.' | b'-')) {
        length -= 1;
    }
    let domain = behind.get(..length)?;
    // `git@github.com` is the name of a service.
    let is_service = text.get(start..at).is_some_and(|local| local == b"git");
    (is_mail_domain(domain) && !is_service).then_some(start..at + 1 + length)
}

/// Labels of a domain, of which the last is letters.
fn is_mail_domain(domain: &[u8]) -> bool {
    let mut labels = 0;
    let mut last: &[u8] = b"";
    for label in domain.split(|byte| *byte == b'.') {
        if label.is_empty() || label.len() > 63 || label.first() == Some(&b'-') || label.last() == Some(&b'-') {
            return false;
        }
        labels += 1;
        last = label;
    }
    let is_top = last.len() >= 2
        && (last.starts_with(b"xn--") || last.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80));
    labels >= 2 && is_top && !is_file_ending(last)
}

/// `logo@2x.png` is a picture.
fn is_file_ending(label: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 16] = [
        b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"js", b"mjs", b"css", b"ts", b"json", b"html", b"tgz",
        b"gz", b"zip", b"md",
    ];
    ENDINGS.iter().any(|ending| label.eq_ignore_ascii_case(ending))
}

/// Words without white space and quotes, asked for in order, so that no byte is looked at twice.
struct Words<'t> {
    text: &'t [u8],
    /// Everything before this is looked at.
    past: usize,
    /// Where the last word begins.
    start: usize,
    /// Where `://` is looked for from, and where it stood last.
    schemes_past: usize,
    scheme: Option<usize>,
}

impl<'t> Words<'t> {
    const fn of(text: &'t [u8]) -> Self {
        Self {
            text,
            past: 0,
            start: 0,
            schemes_past: 0,
            scheme: None,
        }
    }

    /// Where the first `://` of the word stands that `at` is in, if it is near.
    fn scheme_before(&mut self, at: usize) -> Option<usize> {
        let is_edge = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'<' | b'>' | b'`');
        let new = self.text.get(self.past..at).unwrap_or_default();
        if let Some(edge) = new.iter().rposition(is_edge) {
            self.start = self.past + edge + 1;
        }
        self.past = at;
        let start = self.start.max(at.saturating_sub(USERINFO_BYTES_MAX));
        if let Some(scheme) = self.scheme.filter(|scheme| *scheme >= start) {
            return Some(scheme);
        }
        let from = self.schemes_past.max(start);
        let found = memchr::memmem::find(self.text.get(from..at).unwrap_or_default(), b"://");
        self.scheme = found.map(|found| from + found);
        // The next one may begin in what was looked at.
        self.schemes_past = self.scheme.map_or(at.saturating_sub(2).max(from), |scheme| scheme + 1);
        self.scheme
    }
}

/// The password in `scheme://user:password@host`, where that is.
fn userinfo(text: &[u8], scheme: usize, at: usize) -> Option<Range<usize>> {
    let user = text.get(scheme + 3..at)?;
    let colon = memchr::memchr(b':', user)?;
    let password = user.get(colon + 1..)?;
    let host = text.get(at + 1)?;
    let is_host = host.is_ascii_alphanumeric() || matches!(host, b'[' | b'$' | b'{' | b'<');
    // The last `@` before the host closes it.
    let rest = ahead(text, at + 1, 64);
    let goes_on = rest
        .iter()
        .take_while(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'"' | b'\'' | b'?' | b'<' | b','))
        .any(|byte| *byte == b'@');
    if password.is_empty()
        || !is_host
        || goes_on
        || memchr::memchr2(b'/', b'?', user).is_some()
        || super::placeholders::is_placeholder(&super::shape::Value::of(password))
    {
        return None;
    }
    let password_at = scheme + 3 + colon + 1;
    Some(password_at..at)
}

/// A MAC address or an IPv6 address, of which `at` is the first colon.
fn colons(text: &[u8], at: usize, past: Option<usize>) -> Option<(Class, &'static str, Range<usize>)> {
    if past.is_some_and(|past| at < past) {
        return None;
    }
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit();
    let group = text
        .get(..at)?
        .iter()
        .rev()
        .take(5)
        .take_while(|byte| is_hex(byte))
        .count();
    if group > 4 {
        return None;
    }
    let start = at - group;
    let before = start.checked_sub(1).and_then(|before| text.get(before));
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'_')) {
        return None;
    }
    let rest = ahead(text, start, 48);
    let length = rest
        .iter()
        .take_while(|byte| is_hex(byte) || matches!(byte, b':' | b'.'))
        .count();
    let mut whole = rest.get(..length)?;
    if text
        .get(start + length)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    {
        return None;
    }
    while whole.last() == Some(&b'.') || whole.last() == Some(&b':') && !whole.ends_with(b"::") {
        whole = whole.get(..whole.len() - 1)?;
    }
    let span = start..start + whole.len();
    let parts = whole.split(|byte| *byte == b':').count();
    if parts == 6 && whole.len() == 17 && whole.split(|byte| *byte == b':').all(|part| part.len() == 2) {
        return Some((Class::Mac, "mac", span));
    }
    // Eight groups, six and an IPv4 address, or fewer and two colons for those that are nothing: `12:30:45` is a time.
    if parts < 7 && memchr::memmem::find(whole, b"::").is_none() {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(whole).ok()?.parse().ok()?;
    let is_spelled =
        whole.len() >= 6 && (parts >= 4 || whole.iter().any(|byte| matches!(byte, b'a'..=b'f' | b'A'..=b'F')));
    let is_somebodys = !address.is_loopback() && !address.is_unspecified();
    (is_spelled && is_somebodys).then_some((Class::Ip, "ipv6", span))
}

/// An IPv4 address, of which `at` may be the first point.
fn dotted<'a>(text: &[u8], at: usize, found: &mut Vec<Found<'a>>) {
    let digits = text
        .get(..at)
        .unwrap_or_default()
        .iter()
        .rev()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if !(1..=3).contains(&digits) {
        return;
    }
    let start = at - digits;
    let before = start.checked_sub(1).and_then(|before| text.get(before)).copied();
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@')) {
        return;
    }
    let rest = ahead(text, start, 16);
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    let mut whole = rest.get(..length).unwrap_or_default();
    if whole.last() == Some(&b'.') {
        whole = whole.get(..whole.len() - 1).unwrap_or_default();
    }
    let next = text.get(start + whole.len()).copied();
    let beyond = text.get(start + whole.len() + 1).copied();
    let goes_on = next.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        || matches!(next, Some(b'.' | b'-')) && beyond.is_some_and(|byte| byte.is_ascii_alphanumeric());
    // Most points are a decimal's.
    if whole.iter().filter(|byte| **byte == b'.').count() != 3 {
        return;
    }
    let address = std::str::from_utf8(whole)
        .ok()
        .and_then(|whole| whole.parse::<Ipv4Addr>().ok());
    let Some(address) = address.filter(|_| !goes_on) else {
        return;
    };
    // `2.7.2.3`: who has small networks of the first blocks to talk of has them in a field.
    let is_small =
        address.octets().iter().all(|octet| *octet < 30) && address.octets().first().is_some_and(|first| *first < 10);
    // `Chrome/120.0.0.0`; in a path or a URL no word begins it.
    let product = match before {
        Some(b'/') => {
            let word = behind(text, start - 1, 24);
            let length = word
                .iter()
                .rev()
                .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
                .count();
            let is_path = word.len().checked_sub(length + 1).and_then(|at| word.get(at)) == Some(&b'/');
            length > 0 && !is_path
        }
        _ => false,
    };
    let bits = u32::from(address);
    let is_mask = bits >> 24 == 255 && bits.leading_ones() + bits.trailing_zeros() == 32;
    let is_version = is_small || product || is_mask || is_version_before(text.get(..start).unwrap_or_default());
    if address.is_unspecified() || address.is_broadcast() || address.is_loopback() || is_version {
        return;
    }
    found.push(Found::new(
        Class::Ip,
        "ipv4",
        Confidence::Sure,
        start..start + whole.len(),
    ));
}

/// A MAC address as Cisco writes it, `001a.2b3c.4d5e`, of which `at` is the first point.
fn grouped(text: &[u8], at: usize) -> Option<Range<usize>> {
    if text.get(at + 5) != Some(&b'.') {
        return None;
    }
    let start = at.checked_sub(4)?;
    let whole = text.get(start..start + 14)?;
    let is_address = whole
        .split(|byte| *byte == b'.')
        .all(|group| group.len() == 4 && group.iter().all(u8::is_ascii_hexdigit));
    let is_cut = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let beyond = matches!(text.get(start + 14..start + 16), Some([b'.', next]) if next.is_ascii_alphanumeric());
    // Three groups of figures alone are as often something else.
    let is_mixed = whole.iter().any(u8::is_ascii_alphabetic) && whole.iter().any(u8::is_ascii_digit);
    let is_joined = start.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'.');
    (is_address && is_mixed && !beyond && !is_joined && !is_cut(start.checked_sub(1)) && !is_cut(Some(start + 14)))
        .then_some(start..start + 14)
}

/// Whether what stands before says that four numbers are a version.
fn is_version_before(text: &[u8]) -> bool {
    let near = text
        .get(text.len().saturating_sub(24)..)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let near = near.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    [
        &b"version"[..],
        b"ver.",
        b"release",
        b"build",
        b"v.",
        b"oid",
        b"firmware",
        b"section",
    ]
    .iter()
    .any(|word| memchr::memmem::find(near, word).is_some())
}
