//! Values without a written form of their own, where structure says what they are: names, postal addresses, dates, telephone
//! numbers. In free prose only dates and telephone numbers are looked for.

use super::peek::{ahead, readable};
use super::place::{Bond, Scope};
use std::ops::Range;

/// How such a value is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// A person's name.
    Name,
    /// A person's name behind what letters begin and end with, or behind a title.
    Salutation,
    /// A postal address.
    Address,
    /// A postal address behind words that say that somebody or something is there, or goes there.
    Whereabouts,
    /// A date.
    Date,
    /// A telephone number.
    Phone,
}

impl Grammar {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "name" => Self::Name,
            "salutation" => Self::Salutation,
            "address" => Self::Address,
            "whereabouts" => Self::Whereabouts,
            "date" => Self::Date,
            "phone" => Self::Phone,
            _ => return None,
        })
    }

    /// Where in this scope such a value stands.
    pub(crate) fn find(self, text: &[u8], scope: &Scope) -> Option<Range<usize>> {
        match self {
            Self::Name if scope.bond > Bond::Near => whole(text, scope, is_name),
            Self::Address | Self::Whereabouts if scope.bond > Bond::Near => whole(text, scope, is_address),
            Self::Salutation => greeted(text, scope.span.start),
            Self::Whereabouts => said_address(text, scope),
            Self::Name | Self::Address => None,
            Self::Date => super::groups(text, &near(scope), true).find_map(|start| date(text, start)),
            Self::Phone => starts(text, &near(scope)).find_map(|start| phone(text, start)),
        }
    }
}

/// A value stands at the beginning of its scope.
fn near(scope: &Scope) -> Range<usize> {
    let reach = match scope.bond {
        Bond::Near => 40,
        Bond::Column | Bond::Key => 64,
    };
    scope.span.start..scope.span.end.min(scope.span.start + reach)
}

fn starts<'t>(text: &'t [u8], span: &Range<usize>) -> impl Iterator<Item = usize> + 't {
    let is_of = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'(');
    (span.start..span.end.min(text.len())).filter(move |at| {
        text.get(*at).is_some_and(is_of)
            && !at
                .checked_sub(1)
                .and_then(|before| text.get(before))
                .is_some_and(|byte| is_of(byte) || byte.is_ascii_alphanumeric() || *byte == b'.')
    })
}

fn whole(text: &[u8], scope: &Scope, is: impl Fn(&str) -> bool) -> Option<Range<usize>> {
    let mut span = scope.span.clone();
    if !scope.is_closed {
        // To the next field on the same line.
        let value = text.get(span.clone())?;
        let end = value
            .iter()
            .position(|byte| matches!(byte, b'\n' | b';' | b'|' | b'\t' | b'}' | b']'));
        span.end = span.start + end.unwrap_or(value.len());
    }
    let is_edge = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b',' | b'.' | b'*' | b'`');
    while span.start < span.end && text.get(span.start).is_some_and(is_edge) {
        span.start += 1;
    }
    while span.end > span.start && text.get(span.end - 1).is_some_and(is_edge) {
        span.end -= 1;
    }
    let value = std::str::from_utf8(text.get(span.clone())?).ok()?;
    is(value).then_some(span)
}

/// One to four words that begin large, directly behind a word: `Dear Ana Lopes,`.
fn greeted(text: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = ahead(text, from, 96);
    let rest = readable(rest);
    let gap = rest.find(|character: char| !matches!(character, ' ' | '.' | ',' | '\n' | '\r'))?;
    // `Lumberton, MS, USA` is a place.
    if rest.starts_with(',') && !rest.get(..gap)?.contains('\n') {
        return None;
    }
    // A line may lie between the end of a letter and who signs it.
    let start = from + gap;
    let mut end = gap;
    let mut words = 0;
    for word in rest.get(gap..)?.split_inclusive(' ') {
        let bare = word.trim_end_matches([' ', ',', ':', '!', ';', '\n', '.', '?', '"']);
        let line = bare.split(['\n', '"', ',']).next().unwrap_or_default();
        let is_large = line.chars().next().is_some_and(char::is_uppercase);
        let is_particle = matches!(
            line,
            "van" | "von" | "de" | "der" | "den" | "la" | "le" | "da" | "di" | "dos" | "del" | "el" | "bin" | "al"
        );
        let is_wordy = line
            .chars()
            .all(|character| character.is_alphabetic() || matches!(character, '-' | '\'' | '.'));
        if words == 4 || !is_wordy || line.is_empty() || !(is_large || is_particle && words > 0) {
            break;
        }
        words += 1;
        end = line.as_ptr() as usize - rest.as_ptr() as usize + line.len();
        if line.len() < word.trim_end().len() {
            break;
        }
    }
    let name = rest.get(gap..end)?;
    // `Dear Customer` and `Dear Sir or Madam` are nobody.
    const NOBODY: [&str; 24] = [
        "Sir",
        "Madam",
        "Sirs",
        "Customer",
        "Team",
        "All",
        "Colleagues",
        "Friends",
        "Members",
        "User",
        "Client",
        "Valued",
        "Editor",
        "Damen",
        "Kunde",
        "Kundin",
        "Kollegen",
        "Monsieur",
        "Madame",
        "Cliente",
        "Members",
        "Hiring",
        "Support",
        "Applicant",
    ];
    let is_nobody = name.split(' ').any(|word| NOBODY.contains(&word));
    (words >= 1 && !is_nobody && name.chars().count() >= 3 && (words >= 2 || gap > 0)).then_some(start..from + end)
}

/// An address that prose says: it begins with a number or a large letter, and goes on to the end of its sentence, or three lines.
fn said_address(text: &[u8], scope: &Scope) -> Option<Range<usize>> {
    let rest = ahead(text, scope.span.start, 120);
    let gap = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b':' | b','))
        .count();
    let value = rest.get(gap..)?;
    let mut lines = 0;
    let end = value.iter().position(|byte| {
        lines += usize::from(*byte == b'\n');
        lines == 4 || matches!(byte, b'"' | b'<' | b'|' | b';')
    });
    let value = value.get(..end.unwrap_or(value.len()))?;
    let value = readable(value);
    // Up to the last number: postcodes end addresses, or come before the town.
    let last = value.rfind(|character: char| character.is_ascii_digit())?;
    let behind = value.get(last + 1..)?;
    let town = behind
        .char_indices()
        .take_while(|(_, character)| character.is_alphabetic() || matches!(character, ' ' | '-' | ','))
        .collect::<Vec<_>>();
    let mut end = last + 1;
    let mut word_start = true;
    for (at, character) in &town {
        if *character == ' ' || *character == ',' || *character == '-' {
            word_start = true;
            continue;
        }
        if word_start && !character.is_uppercase() {
            break;
        }
        word_start = false;
        end = last + 1 + at + character.len_utf8();
    }
    let whole = value.get(..end)?;
    let first = whole.chars().next()?;
    let large = whole
        .split([' ', '\n', ','])
        .filter(|word| word.chars().next().is_some_and(char::is_uppercase))
        .count();
    let is_one =
        (first.is_ascii_digit() || first.is_uppercase()) && large >= 2 && is_address(whole) && !whole.contains(". ");
    is_one.then(|| scope.span.start + gap..scope.span.start + gap + whole.len())
}

/// One to six words of letters that begin large, in scripts that have large letters.
fn is_name(value: &str) -> bool {
    let characters = value.chars().count();
    if !(2..=60).contains(&characters)
        || value.chars().any(|character| {
            character.is_ascii_digit() || matches!(character, '_' | '/' | '<' | '{' | '@' | ':' | '=' | '[' | '(')
        })
    {
        return false;
    }
    let words = value.split([' ', ',', '-', '\'', '.']).filter(|word| !word.is_empty());
    let mut large = 0;
    let mut count = 0;
    for word in words {
        let Some(first) = word.chars().next() else { continue };
        count += 1;
        if !word.chars().all(char::is_alphabetic) && !word.chars().any(|character| u32::from(character) >= 0x900) {
            return false;
        }
        large += usize::from(first.is_uppercase() || !first.is_lowercase());
    }
    // Particles are small: `van der Berg`.
    (1..=6).contains(&count) && large * 2 >= count && large > 0
}

/// Letters and a number, or several parts.
fn is_address(value: &str) -> bool {
    let characters = value.chars().count();
    let digits = value.chars().filter(|character| character.is_numeric()).count();
    let letters = value.chars().filter(|character| character.is_alphabetic()).count();
    let is_other = value.contains(['@', '{', '<', '_']) || value.contains("://") || value.starts_with("0x");
    let is_dotted = value.split('.').count() >= 4;
    (6..=200).contains(&characters)
        && letters >= 3
        && digits >= 1
        && letters > digits
        && !is_other
        && !is_dotted
        && value.contains([' ', ',', '號', '号', '丁', '路'])
}

/// A date in figures, or with a month's name; its year is one that somebody alive may be born in.
fn date(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = ahead(text, start, 32);
    let figures = |at: usize| {
        let digits = rest
            .get(at..)?
            .iter()
            .take(5)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = std::str::from_utf8(rest.get(at..at + digits)?)
            .ok()?
            .parse::<u32>()
            .ok()?;
        Some((digits, number))
    };
    let end_of = |end: usize| (!rest.get(end).is_some_and(u8::is_ascii_alphanumeric)).then_some(start..start + end);
    let digits = rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 8 {
        let packed = std::str::from_utf8(rest.get(..digits)?).ok()?.parse::<u32>().ok()?;
        let (year, month, day) = (packed / 10_000, packed / 100 % 100, packed % 100);
        let (day2, month2, year2) = (packed / 1_000_000, packed / 10_000 % 100, packed % 10_000);
        return (is_birth(year, month, day) || is_birth(year2, month2, day2)).then(|| end_of(8))?;
    }
    let (first_digits, first) = figures(0)?;
    let separators = |at: usize| {
        let gap = rest
            .get(at..)?
            .iter()
            .take(3)
            .take_while(|byte| matches!(byte, b'-' | b'/' | b'.' | b' ' | b','))
            .count();
        (gap > 0).then_some(at + gap)
    };
    // Years, months and days of the calendars of East Asia are marked.
    let marked = |at: usize| {
        ["年", "月", "日", "년", "월", "일"]
            .iter()
            .find_map(|mark| rest.get(at..)?.starts_with(mark.as_bytes()).then_some(at + mark.len()))
    };
    let next = |at: usize| match marked(at) {
        Some(at) => Some(at + rest.get(at..)?.iter().take_while(|byte| **byte == b' ').count()),
        None => separators(at),
    };
    let second_at = next(first_digits)?;
    if let Some((second_digits, second)) = figures(second_at) {
        let third_at = next(second_at + second_digits)?;
        let (third_digits, third) = figures(third_at)?;
        let is_date = match (first_digits, second_digits, third_digits) {
            (4, 1..=2, 1..=2) => is_birth(first, second, third),
            (1..=2, 1..=2, 4) => is_birth(third, second, first) || is_birth(third, first, second),
            (1..=2, 1..=2, 2) => is_birth(1_900 + third, second, first) || is_birth(1_900 + third, first, second),
            _ => false,
        };
        let end = third_at + third_digits;
        return is_date.then(|| end_of(marked(end).unwrap_or(end)))?;
    }
    // `12 March 1980`.
    let month = rest
        .get(second_at..)?
        .iter()
        .take(16)
        .take_while(|byte| byte.is_ascii_alphabetic() || **byte >= 0x80)
        .count();
    let year_at = separators(second_at + month)?;
    let (year_digits, year) = figures(year_at)?;
    (month >= 3 && year_digits == 4 && is_birth(year, 1, first)).then(|| end_of(year_at + year_digits))?
}

fn is_birth(year: u32, month: u32, day: u32) -> bool {
    (1_900..=2_035).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Seven to fifteen figures with what people put between them.
fn phone(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = ahead(text, start, 40);
    let mut digits = 0;
    let mut end = 0;
    let mut gap = 0;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + 1;
                gap = 0;
            }
            b'+' if at == 0 => {}
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' if gap < 3 => gap += 1,
            _ => break,
        }
    }
    let is_whole = !rest.get(end).is_some_and(u8::is_ascii_alphanumeric);
    let first = rest.get(..end)?;
    // A date, a decimal, an address of a host have few figures or none of the usual groups.
    let groups = first
        .split(|byte| !byte.is_ascii_digit())
        .filter(|group| !group.is_empty());
    let is_date = date(text, start).is_some_and(|span| span.end == start + end);
    let is_decimal = first.iter().filter(|byte| !byte.is_ascii_digit()).eq(b".");
    let singles = groups.filter(|group| group.len() == 1).count();
    ((7..=15).contains(&digits) && is_whole && !is_date && !is_decimal && singles <= 2).then_some(start..start + end)
}

/// An international number proves itself (E.164): `+`, a country, and as many figures as its numbers have.
pub(super) fn international(text: &[u8], plus: usize) -> Option<Range<usize>> {
    let before = plus.checked_sub(1).and_then(|before| text.get(before));
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'=' | b'/' | b'.' | b'_')) {
        return None;
    }
    if !text.get(plus + 1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let span = phone(text, plus)?;
    let digits = text
        .get(span.clone())?
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .count();
    let is_grouped = text
        .get(span.clone())?
        .iter()
        .any(|byte| matches!(byte, b' ' | b'-' | b'.' | b'('));
    (digits >= if is_grouped { 8 } else { 9 }).then_some(span)
}
