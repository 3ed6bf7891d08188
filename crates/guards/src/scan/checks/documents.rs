//! Passports, driving licences and what a machine reads of them.

use super::Check;
use super::sums::{alphanumeric, digit, digits, leading, month_day, numeric, two, uniform};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("passport", passport),
    ("licence", licence),
    ("national-number", national_number),
    ("gb-licence", gb_licence),
    ("it-licence", it_licence),
    ("kr-licence", kr_licence),
    ("in-licence", in_licence),
    ("jp-licence", jp_licence),
    ("es-passport", es_passport),
    ("plate", plate),
];

/// ICAO 9303: up to nine letters and digits, of which five or more are digits; not one digit all over.
fn passport(value: &[u8]) -> bool {
    value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 4
        && value.iter().all(|&byte| alphanumeric(byte).is_some())
        && value.iter().skip(1).any(|byte| Some(byte) != value.last())
}

/// A licence of no known form: digits occur, and not one alone.
fn licence(value: &[u8]) -> bool {
    value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 4
        && value.iter().any(|byte| Some(byte) != value.first())
}

/// A number of a person that a general word names: five digits or more, not one digit all over.
fn national_number(value: &[u8]) -> bool {
    value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 5 && licence(value)
}

/// DVLA: five of the surname (9 for none), decade, month (5 added to its first digit for women), day, year, initials, three more.
fn gb_licence(value: &[u8]) -> bool {
    let Some((name, rest)) = value.split_first_chunk::<5>() else {
        return false;
    };
    let Some((born, rest)) = leading::<6>(rest) else {
        return false;
    };
    let month = two(born[1], born[2]);
    let month = if month > 50 { month - 50 } else { month };
    let letters = name.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let filled = name.iter().skip(letters).all(|&byte| byte == b'9');
    let Some((initials, tail)) = rest.split_first_chunk::<2>() else {
        return false;
    };
    letters > 0
        && filled
        && month_day(month, two(born[3], born[4]))
        && initials.iter().all(|&byte| byte.is_ascii_uppercase() || byte == b'9')
        && matches!(tail.len(), 3 | 5)
        && tail.iter().all(|&byte| alphanumeric(byte).is_some())
}

/// Motorizzazione: two letters (U1 for the central office), seven digits or characters, a letter.
fn it_licence(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 10]>::try_from(value) else {
        return false;
    };
    let head = all[0].is_ascii_uppercase() && all[1].is_ascii_uppercase() || all[0] == b'U' && all[1] == b'1';
    head && all[9].is_ascii_uppercase()
        && all[2..9].iter().all(|&byte| alphanumeric(byte).is_some())
        && all.iter().filter(|byte| byte.is_ascii_digit()).count() >= 4
}

/// Korea: region of 11 to 28, year, number, check.
fn kr_licence(value: &[u8]) -> bool {
    digits::<12>(value).is_some_and(|all| (11..=28).contains(&two(all[0], all[1])) && !uniform(&all[4..10]))
}

/// India: state, office, year, number.
fn in_licence(value: &[u8]) -> bool {
    let Some((state, rest)) = value.split_first_chunk::<2>() else {
        return false;
    };
    state.iter().all(u8::is_ascii_uppercase)
        && matches!(rest.len(), 11..=14)
        && numeric(rest)
        && rest.iter().any(|byte| Some(byte) != rest.first())
}

/// Japan: a prefecture of 10 to 97, year, number, check, times issued anew.
fn jp_licence(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    let sum = super::sums::weighted(&all, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if sum < 2 { 0 } else { 11 - sum };
    (10..=97).contains(&two(all[0], all[1])) && check == all[10]
}

/// Spain: three letters (two in old ones) and six digits.
fn es_passport(value: &[u8]) -> bool {
    let letters = value.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    matches!(letters, 2 | 3)
        && value
            .get(letters..)
            .is_some_and(|rest| rest.len() == 6 && numeric(rest))
}

/// A number plate: letters and digits both.
fn plate(value: &[u8]) -> bool {
    matches!(value.len(), 4..=10) && value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_uppercase)
}

/// Lines of a machine-readable zone, their length, and where in the whole (without line ends) stand a field and its digit.
struct Zone {
    lines: usize,
    length: usize,
    fields: &'static [(usize, usize, usize)],
}

/// ICAO 9303 parts 4 to 7: TD3, MRV-A; TD2, MRV-B; TD1. Fields: number, day of birth, last day of validity.
const ZONES: &[Zone] = &[
    Zone {
        lines: 2,
        length: 44,
        fields: &[(44, 53, 53), (57, 63, 63), (65, 71, 71)],
    },
    Zone {
        lines: 2,
        length: 36,
        fields: &[(36, 45, 45), (49, 55, 55), (57, 63, 63)],
    },
    Zone {
        lines: 3,
        length: 30,
        fields: &[(5, 14, 14), (30, 36, 36), (38, 44, 44)],
    },
];

/// Most bytes that may stand between two lines of a zone.
const LINE_END_BYTES_MAX: usize = 12;

/// The machine-readable zone of a passport, visa or card that begins at the start of `text`: how many bytes it has. Its three
/// check digits hold. Between the lines may stand line ends, spaces, and quotes, commas or escaped line ends of a list.
pub(crate) fn machine_readable_zone(text: &[u8]) -> Option<usize> {
    if !matches!(text.first(), Some(b'P' | b'I' | b'A' | b'C' | b'V')) {
        return None;
    }
    ZONES.iter().find_map(|zone| {
        let mut all = [0; 90];
        let mut room = all.iter_mut();
        let mut at = 0;
        for line in 0..zone.lines {
            if line > 0 {
                at += gap(text.get(at..)?)?;
            }
            for &byte in text.get(at..at + zone.length)? {
                (alphanumeric(byte).is_some() || byte == b'<').then_some(())?;
                *room.next()? = byte;
            }
            at += zone.length;
        }
        // No further letter may follow: then the line is longer, and another kind.
        let ends = text
            .get(at)
            .is_none_or(|&byte| alphanumeric(byte).is_none() && byte != b'<');
        let holds = |&(from, to, check): &(usize, usize, usize)| -> Option<bool> {
            let field = all.get(from..to)?;
            let mut sum = 0;
            for (&byte, weight) in field.iter().zip([7, 3, 1].iter().cycle()) {
                sum += (if byte == b'<' { 0 } else { alphanumeric(byte)? }) * weight;
            }
            // A day that is unknown has no digit.
            Some(match *all.get(check)? {
                b'<' => field.iter().all(|&byte| byte == b'<'),
                check => digit(check)? == sum % 10,
            })
        };
        (ends && zone.fields.iter().all(|field| holds(field) == Some(true)) && all.contains(&b'<')).then_some(at)
    })
}

/// What stands between two lines.
fn gap(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\n' | b'\r' | b' ' | b'\t' | b'"' | b',' | b'|' => at += 1,
            b'\\' if matches!(text.get(at + 1), Some(b'n' | b'r' | b'"')) => at += 2,
            _ => break,
        }
        if at > LINE_END_BYTES_MAX {
            return None;
        }
    }
    (at > 0).then_some(at)
}
