//! Values without a written form of their own, where structure says what they are: names, postal addresses, dates, telephone
//! numbers. In free prose only dates and telephone numbers are looked for.

use super::code::is_code;
use super::kinds::Map;
use super::peek::{ahead, readable};
use super::place::{Bond, Scope};
use super::shape::{Bytes, DIGITS, HIGH};
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
    pub(super) fn find(self, text: &[u8], map: &Map, scope: &Scope) -> Option<Range<usize>> {
        match self {
            Self::Name if scope.bond > Bond::Near => whole(text, scope, is_name),
            Self::Address | Self::Whereabouts if scope.bond > Bond::Near => whole(text, scope, is_address),
            Self::Salutation => greeted(text, scope.span.start),
            Self::Whereabouts => said_address(text, scope),
            Self::Name | Self::Address => None,
            Self::Date => super::groups(map, &near(scope), false).find_map(|group| date(text, group.start)),
            Self::Phone => starts(text, &near(scope))
                .find_map(|start| phone(text, start))
                .map(|span| with_bracket(text, span)),
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
    let first = span.start;
    (span.start..span.end.min(text.len())).filter(move |at| {
        text.get(*at).is_some_and(is_of)
            && !at
                .checked_sub(1)
                .and_then(|before| text.get(before))
                // What a scope begins behind may be the number's own bracket.
                .is_some_and(|byte| {
                    is_of(byte) && !(*byte == b'(' && *at == first) || byte.is_ascii_alphanumeric() || *byte == b'.'
                })
    })
}

/// Whether a key is a number: `0x00ad` holds no word.
pub(super) fn is_hexadecimal(key: &[u8]) -> bool {
    key.iter().any(u8::is_ascii_digit) && key.strip_prefix(b"0x").unwrap_or(key).iter().all(u8::is_ascii_hexdigit)
}

fn whole(text: &[u8], scope: &Scope, is: impl Fn(&str) -> bool) -> Option<Range<usize>> {
    let mut span = scope.span.clone();
    if !scope.is_closed {
        if is_code(text, span.start) {
            return None;
        }
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

/// Words for whoever reads a letter, and for offices.
const NOBODY: [&str; 44] = [
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
    "World",
    "There",
    "Everyone",
    "Folks",
    "Again",
    "And",
    "This",
    "The",
    "Desk",
    "Service",
    "Services",
    "Office",
    "Department",
    "Group",
    "Project",
    "Developers",
    "Maintainers",
    "Administrator",
    "List",
    "Bot",
];

/// One to four words that begin large, directly behind a word: `Dear Ana Lopes,`.
fn greeted(text: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = ahead(text, from, 96);
    let rest = readable(rest);
    let gap = rest.find(|character: char| !matches!(character, ' ' | '.' | ',' | '\n' | '\r'))?;
    // `Lumberton, MS, USA` is a place.
    if rest.starts_with(',') && !rest.get(..gap)?.contains('\n') {
        return None;
    }
    // `MS Office` is no woman's.
    let is_large = |text: &[u8]| {
        text.iter()
            .filter(|byte| byte.is_ascii_alphabetic())
            .all(u8::is_ascii_uppercase)
    };
    // Titles are written large: `sr.Top` and `15 ms. Use` have none.
    let before = text.get(..from).unwrap_or_default();
    let word = before
        .iter()
        .rev()
        .take(8)
        .take_while(|byte| byte.is_ascii_alphabetic());
    let title = before.get(before.len() - word.count()..).unwrap_or_default();
    if [&b"ms"[..], b"sr", b"sra", b"don", b"miss"].contains(&title) {
        return None;
    }
    if title == b"MS"
        && !rest
            .get(gap..)?
            .split([' ', '\n'])
            .next()
            .is_some_and(|name| is_large(name.as_bytes()))
    {
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
    // `Thanks,` and a name on the next line; `Best Western` is nobody.
    let is_thanks = [&b"thanks"[..], b"best", b"cheers", b"thank you"].iter().any(|word| {
        before.len() >= word.len()
            && before
                .get(before.len() - word.len()..)
                .is_some_and(|end| end.eq_ignore_ascii_case(word))
    });
    if is_thanks && !rest.get(..gap)?.contains('\n') {
        return None;
    }
    // `Dear Customer` and `Dear Sir or Madam` are nobody.
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
    let is_one = (first.is_ascii_digit() || first.is_uppercase())
        && large >= 2
        && is_address(whole)
        && !whole.contains(". ")
        && !whole.contains(".\n");
    is_one.then(|| scope.span.start + gap..scope.span.start + gap + whole.len())
}

/// Whether these words are a name of somebody, not of an office.
pub(super) fn is_persons(value: &str) -> bool {
    is_name(value) && !value.split([' ', '-']).any(|word| NOBODY.contains(&word))
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

/// Whether a bracket directly follows a small letter: a call.
fn is_called(value: &str) -> bool {
    value
        .as_bytes()
        .windows(2)
        .any(|two| matches!(two, [before, b'('] if before.is_ascii_lowercase()))
}

/// The longest postal address, in characters.
const ADDRESS_CHARACTERS_MAX: usize = 200;

/// Letters and a number, or several parts.
fn is_address(value: &str) -> bool {
    // Nearly all that is none is told by what it is made of, and most of that by how long it is.
    let characters = value.chars().count();
    if !(6..=ADDRESS_CHARACTERS_MAX).contains(&characters) {
        return false;
    }
    let set = Bytes::of(value.as_bytes());
    if !set.has_any(HIGH.and(b" ,")) || !set.has_any(HIGH.or(DIGITS)) || set.has_any(Bytes::of(b"@{<_")) {
        return false;
    }
    let digits = value.chars().filter(|character| character.is_numeric()).count();
    let letters = value.chars().filter(|character| character.is_alphabetic()).count();
    let is_other = value.contains("://") || value.starts_with("0x");
    let is_dotted = value.split('.').count() >= 4;
    // Code and remarks: `ListenAddress((`, `p.split('=', 1)`, `1  # why`.
    let is_code = value.contains([';', '=', '"', '%']) && !value.contains('\n')
        || value.contains("# ")
        || value.contains("((")
        || is_called(value);
    // A sentence has more small words than an address.
    let words = value
        .split([' ', ',', '\n'])
        .filter(|word| word.chars().all(char::is_alphabetic) && !word.is_empty());
    let small = words
        .clone()
        .filter(|word| word.chars().next().is_some_and(char::is_lowercase))
        .count();
    let is_prose = small >= 5 && small * 3 >= words.count() * 2;
    letters >= 3
        && digits >= 1
        && letters > digits
        && !is_other
        && !is_dotted
        && !is_code
        && !is_prose
        && value.contains([
            ' ', ',', '號', '号', '丁', '路', '市', '区', '區', '県', '街', '町', '道', '동', '로', '구',
        ])
}

/// Beginnings of the names of months in languages of Europe, as far as a date begins with them.
const MONTHS: [(&str, u32); 36] = [
    ("jan", 1),
    ("feb", 2),
    ("mar", 3),
    ("apr", 4),
    ("may", 5),
    ("jun", 6),
    ("jul", 7),
    ("aug", 8),
    ("sep", 9),
    ("oct", 10),
    ("nov", 11),
    ("dec", 12),
    ("mai", 5),
    ("okt", 10),
    ("dez", 12),
    ("fev", 2),
    ("avr", 4),
    ("juin", 6),
    ("juil", 7),
    ("aou", 8),
    ("ene", 1),
    ("abr", 4),
    ("ago", 8),
    ("dic", 12),
    ("gen", 1),
    ("mag", 5),
    ("giu", 6),
    ("lug", 7),
    ("set", 9),
    ("ott", 10),
    ("out", 10),
    ("mei", 5),
    ("maj", 5),
    ("lis", 11),
    ("gru", 12),
    ("wrz", 9),
];

/// Eras that years are counted in: of Japan, and of the Republic of China.
const ERAS: [&str; 7] = ["明治", "大正", "昭和", "平成", "令和", "民國", "民国"];

/// A part of a date: a number, or a word for a month.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// None in a word.
    digits: usize,
    /// The number, or the month; 0 where the word is none of those that are known.
    value: u32,
    /// Whether the mark of a year stands behind it.
    is_year: bool,
    end: usize,
}

/// The part of a date that begins at `at`.
fn part(rest: &[u8], at: usize) -> Option<Part> {
    let begin = rest.get(at..)?;
    let digits = begin.iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 {
        let value = std::str::from_utf8(begin.get(..digits)?).ok()?.parse().ok()?;
        let mut end = at + digits;
        // `12th`, `1er`, `3º`
        let suffix = ["st", "nd", "rd", "th", "er", "º", "ª"]
            .iter()
            .find(|suffix| rest.get(end..).is_some_and(|rest| rest.starts_with(suffix.as_bytes())));
        if let Some(suffix) = suffix
            && !rest.get(end + suffix.len()).is_some_and(u8::is_ascii_alphanumeric)
        {
            end += suffix.len();
        }
        // Years, months and days of the calendars of East Asia are marked.
        let mark = ["年", "月", "日", "년", "월", "일"]
            .iter()
            .find(|mark| rest.get(end..).is_some_and(|rest| rest.starts_with(mark.as_bytes())));
        let is_year = mark.is_some_and(|mark| ["年", "년"].contains(mark));
        return Some(Part {
            digits,
            value,
            is_year,
            end: end + mark.map_or(0, |mark| mark.len()),
        });
    }
    let length = begin
        .iter()
        .take(20)
        .take_while(|byte| byte.is_ascii_alphabetic() || **byte >= 0x80)
        .count();
    let word = std::str::from_utf8(begin.get(..length)?).ok()?.to_lowercase();
    let month = MONTHS.iter().find(|(name, _)| word.starts_with(name));
    (length >= 3).then_some(Part {
        digits: 0,
        value: month.map_or(0, |(_, month)| *month),
        is_year: false,
        end: at + length,
    })
}

/// A date in figures, or with a month's name; its year is one that somebody alive may be born in, in the calendars in use.
fn date(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = ahead(text, start, 48);
    // A time may follow: `1980-03-12T00:00:00Z`.
    let end_of = |end: usize| {
        let is_time = rest.get(end) == Some(&b'T') && rest.get(end + 1).is_some_and(u8::is_ascii_digit);
        (is_time || !rest.get(end).is_some_and(u8::is_ascii_alphanumeric)).then_some(end)
    };
    let digits = rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 8 {
        let packed = std::str::from_utf8(rest.get(..digits)?).ok()?.parse::<u32>().ok()?;
        let (year, month, day) = (packed / 10_000, packed / 100 % 100, packed % 100);
        let (day2, month2, year2) = (packed / 1_000_000, packed / 10_000 % 100, packed % 10_000);
        let is_one = is_birth(year, month, day) || is_birth(year2, month2, day2);
        return is_one.then(|| end_of(8)).flatten().map(|end| start..start + end);
    }
    let next = |at: usize, is_marked: bool| {
        let mut gap = 0;
        while gap < 4
            && rest
                .get(at + gap)
                .is_some_and(|byte| matches!(byte, b'-' | b'/' | b'.' | b' ' | b',' | b'\''))
        {
            gap += 1;
        }
        let at = at + gap;
        const PARTICLES: [&[u8]; 5] = [b"of ", b"de ", b"di ", b"del ", b"da "];
        let particle = PARTICLES
            .iter()
            .find(|word| rest.get(at..).is_some_and(|rest| rest.starts_with(word)));
        (gap > 0 || is_marked).then(|| at + particle.map_or(0, |word| word.len()))
    };
    let first = part(rest, 0)?;
    if first.digits == 0 && first.value == 0 {
        return None;
    }
    let is_marked = |part: &Part| part.digits > 0 && rest.get(part.end - 1).is_some_and(|byte| *byte >= 0x80);
    let second = part(rest, next(first.end, is_marked(&first))?)?;
    let third = part(rest, next(second.end, is_marked(&second))?)?;
    let short = |year: u32| 1_900 + year;
    let [one, two, three] = [first.value, second.value, third.value];
    let is_date = match (first.digits, second.digits, third.digits) {
        (4, 1..=2, 1..=2) => is_birth(one, two, three),
        (1..=2, 1..=2, 4) => is_birth(three, two, one) || is_birth(three, one, two),
        (1..=3, 1..=2, 1..=2) if first.is_year => is_birth(short(one), two, three),
        (1..=2, 1..=2, 2) => is_birth(short(three), two, one) || is_birth(short(three), one, two),
        // `12 March 1980`, in any language.
        (1..=2, 0, 4) => is_birth(three, 1, one),
        (1..=2, 0, 2) if two > 0 => is_birth(short(three), two, one),
        (0, 1..=2, 4) => is_birth(three, one, two),
        (0, 1..=2, 2) => is_birth(short(three), one, two),
        (4, 0, 1..=2) if two > 0 => is_birth(one, two, three),
        _ => false,
    };
    let mut end = is_date.then(|| end_of(third.end)).flatten()?;
    // The time of a time stamp goes with its day.
    if rest.get(end) == Some(&b'T') {
        let time = rest.iter().skip(end + 1);
        end += 1 + time
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'+' | b'-' | b'Z'))
            .count();
    }
    // The era is a part of it.
    let era = ERAS
        .iter()
        .find(|era| text.get(..start).is_some_and(|before| before.ends_with(era.as_bytes())));
    Some(start - era.map_or(0, |era| era.len())..start + end)
}

/// A day of a year of the Gregorian calendar, of the Buddhist one of Thailand, or of the solar one of Iran.
fn is_birth(year: u32, month: u32, day: u32) -> bool {
    let is_year = [1_900..=2_035, 2_443..=2_578, 1_279..=1_414]
        .iter()
        .any(|years| years.contains(&year));
    is_year && (1..=12).contains(&month) && (1..=31).contains(&day)
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
    let is_phone = (7..=15).contains(&digits) && is_whole && !is_date && !is_decimal && singles <= 2;
    is_phone.then(|| start..start + end + extension(text, start + end))
}

/// `(415) 555-0132`: a bracket before the number that closes in it is a part of it.
fn with_bracket(text: &[u8], span: Range<usize>) -> Range<usize> {
    let number = text.get(span.clone()).unwrap_or_default();
    let is_open = memchr::memchr(b')', number).is_some() && memchr::memchr(b'(', number).is_none();
    let before = span.start.checked_sub(1).filter(|at| text.get(*at) == Some(&b'('));
    match before {
        Some(start) if is_open => start..span.end,
        _ => span,
    }
}

/// How long the extension behind a telephone number is: ` ext. 12`, ` x12`, `;ext=12` (RFC 3966).
fn extension(text: &[u8], at: usize) -> usize {
    let rest = ahead(text, at, 16);
    const NAMES: [&[u8]; 10] = [
        b" ext. ",
        b" ext.",
        b" ext ",
        b", ext. ",
        b", ext ",
        b" extension ",
        b" x",
        b";ext=",
        b" Ext. ",
        b" Durchwahl ",
    ];
    let named = NAMES.iter().find(|name| rest.starts_with(name));
    let Some(name) = named else { return 0 };
    let digits = ahead(text, at + name.len(), 7)
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let is_cut = text
        .get(at + name.len() + digits)
        .is_some_and(u8::is_ascii_alphanumeric);
    if (1..=6).contains(&digits) && !is_cut {
        name.len() + digits
    } else {
        0
    }
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
