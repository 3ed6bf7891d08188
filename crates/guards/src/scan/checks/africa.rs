//! Africa: persons and taxpayers.

use super::Check;
use super::sums::{
    alphanumeric, birth_year, date, digit, digits, leading, luhn, month_day, number, numeric, remainder, two, uniform,
};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("za-id", za_id),
    ("za-tax", za_tax),
    ("ng-nin", ng_nin),
    ("ke-pin", ke_pin),
    ("gh-card", gh_card),
    ("gh-tin", gh_tin),
    ("eg-nid", eg_nid),
    ("ma-cin", ma_cin),
    ("ma-ice", ma_ice),
    ("tn-mf", tn_mf),
    ("dz-nin", dz_nin),
    ("ug-nin", ug_nin),
    ("tz-nida", tz_nida),
    ("rw-nid", rw_nid),
    ("zm-nrc", zm_nrc),
    ("zw-nid", zw_nid),
    ("bw-omang", bw_omang),
    ("na-id", na_id),
    ("mu-nid", mu_nid),
    ("ao-bi", ao_bi),
    ("mz-nuit", mz_nuit),
    ("sn-ninea", sn_ninea),
];

/// Home Affairs: day of birth, sex, citizenship, Luhn.
fn za_id(value: &[u8]) -> bool {
    digits::<13>(value)
        .is_some_and(|all| month_day(two(all[2], all[3]), two(all[4], all[5])) && all[10] <= 2 && luhn(&all))
}

/// SARS: begins with 0 to 3 or 9, Luhn.
fn za_tax(value: &[u8]) -> bool {
    digits::<10>(value).is_some_and(|all| matches!(all[0], 0..=3 | 9) && luhn(&all) && !uniform(&all))
}

/// NIMC and CBN: eleven digits, no check is published.
fn ng_nin(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| !uniform(&all))
}

/// KRA: A for persons, P for others, nine digits, a letter.
fn ke_pin(value: &[u8]) -> bool {
    let Some((kind, rest)) = value.split_first() else {
        return false;
    };
    matches!(kind, b'A' | b'P')
        && leading::<9>(rest).is_some_and(|(_, last)| last.len() == 1 && last.iter().all(u8::is_ascii_uppercase))
}

/// NIA: three letters of the country, nine digits, one.
fn gh_card(value: &[u8]) -> bool {
    let Some((country, rest)) = value.split_first_chunk::<3>() else {
        return false;
    };
    country.iter().all(u8::is_ascii_uppercase) && digits::<10>(rest).is_some_and(|all| !uniform(&all))
}

/// GRA: kind, 00, number, a character modulo 11.
fn gh_tin(value: &[u8]) -> bool {
    let Some((kind, rest)) = value.split_first() else {
        return false;
    };
    let Some((all, [check])) = leading::<9>(rest) else {
        return false;
    };
    let sum: u32 = all.iter().zip(1..).map(|(digit, weight)| digit * weight).sum();
    let wanted = if sum % 11 == 10 {
        *check == b'X'
    } else {
        digit(*check) == Some(sum % 11)
    };
    b"PCGQV".contains(kind) && all[0] == 0 && all[1] == 0 && wanted
}

/// Egypt: century, day of birth, governorate, serial; the check digit's rule is not published.
fn eg_nid(value: &[u8]) -> bool {
    let Some(all) = digits::<14>(value) else { return false };
    let year = match all[0] {
        2 => 1900,
        3 => 2000,
        _ => return false,
    } + two(all[1], all[2]);
    date(year, two(all[3], all[4]), two(all[5], all[6]))
        && matches!(two(all[7], all[8]), 1..=4 | 11..=19 | 21..=29 | 31..=35 | 88)
}

/// DGSN: one or two letters and up to seven digits.
fn ma_cin(value: &[u8]) -> bool {
    let letters = value.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    matches!(letters, 1 | 2)
        && value
            .get(letters..)
            .is_some_and(|rest| matches!(rest.len(), 4..=7) && numeric(rest))
}

/// Identifiant commun de l'entreprise: fifteen digits, a multiple of 97.
fn ma_ice(value: &[u8]) -> bool {
    digits::<15>(value).is_some_and(|all| remainder(&all, 97) == 0 && number(&all) != 0)
}

/// Tunisia, tax: seven digits, a letter, and the kinds of tax, of firm and of place.
fn tn_mf(value: &[u8]) -> bool {
    let Some((_, rest)) = leading::<7>(value) else {
        return false;
    };
    match rest {
        [key] => key.is_ascii_uppercase() && !b"IOU".contains(key),
        [key, tax, kind, tail @ ..] => {
            key.is_ascii_uppercase() && b"APBDN".contains(tax) && b"MPCNE".contains(kind) && digits::<3>(tail).is_some()
        }
        [..] => false,
    }
}

/// Algeria: eighteen digits; the third to fifth are the year of birth without its first digit.
fn dz_nin(value: &[u8]) -> bool {
    digits::<18>(value).is_some_and(|all| matches!(all[0], 1 | 2) && matches!(all[2], 9 | 0) && !uniform(&all))
}

/// NIRA: C and the sex, then twelve characters.
fn ug_nin(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 14]>::try_from(value) else {
        return false;
    };
    matches!(all[0], b'C' | b'A')
        && matches!(all[1], b'M' | b'F')
        && all[2..7].iter().all(u8::is_ascii_digit)
        && all[7..].iter().all(|&byte| alphanumeric(byte).is_some())
}

/// NIDA: day of birth, place, serial, one digit.
fn tz_nida(value: &[u8]) -> bool {
    let Some((all, rest)) = leading::<8>(value) else {
        return false;
    };
    let year = all[0] * 1000 + all[1] * 100 + two(all[2], all[3]);
    rest.len() == 12 && numeric(rest) && birth_year(year) && date(year, two(all[4], all[5]), two(all[6], all[7]))
}

/// Rwanda: kind of 1 to 3, year of birth, sex of 7 or 8, serial.
fn rw_nid(value: &[u8]) -> bool {
    let Some(all) = digits::<16>(value) else { return false };
    let year = all[1] * 1000 + all[2] * 100 + two(all[3], all[4]);
    (1..=3).contains(&all[0]) && birth_year(year) && matches!(all[5], 7 | 8)
}

/// Zambia: number, province and district, citizenship of 1 to 3.
fn zm_nrc(value: &[u8]) -> bool {
    digits::<9>(value)
        .is_some_and(|all| (1..=3).contains(&all[8]) && (1..=10).contains(&all[6]) && number(&all[..6]) != 0)
}

/// Zimbabwe: district, number, a letter modulo 23, district.
fn zw_nid(value: &[u8]) -> bool {
    let Some((tail, body)) = value.split_last_chunk::<2>().map(|(body, tail)| (tail, body)) else {
        return false;
    };
    let Some((check, number)) = body.split_last() else {
        return false;
    };
    if !matches!(number.len(), 8 | 9) || !numeric(number) || !numeric(tail) {
        return false;
    }
    let rest = number
        .iter()
        .fold(0, |rest, &byte| (rest * 10 + digit(byte).unwrap_or(0)) % 23);
    b"ZABCDEFGHJKLMNPQRSTVWXY".get(usize::try_from(rest).unwrap_or(0)) == Some(check)
}

/// Botswana: nine digits; the fifth is the sex, 1 or 2.
fn bw_omang(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| matches!(all[4], 1 | 2) && !uniform(&all))
}

/// Namibia: day of birth and five digits.
fn na_id(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| month_day(two(all[2], all[3]), two(all[4], all[5])))
}

/// Mauritius: a letter, day of birth, serial, a character modulo 17.
fn mu_nid(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 14]>::try_from(value) else {
        return false;
    };
    let Some(born) = all.get(1..7).and_then(digits::<6>) else {
        return false;
    };
    let mut sum = 0;
    for (&byte, weight) in all[..13].iter().zip((2..=14).rev()) {
        let Some(place) = alphanumeric(byte) else { return false };
        sum += place * weight;
    }
    all[0].is_ascii_uppercase()
        && month_day(two(born[2], born[3]), two(born[0], born[1]))
        && alphanumeric(all[13]) == Some((17 - sum % 17) % 17)
}

/// Angola: nine digits, two letters of the province, three digits.
fn ao_bi(value: &[u8]) -> bool {
    let Some((_, rest)) = leading::<9>(value) else {
        return false;
    };
    let Some((place, tail)) = rest.split_first_chunk::<2>() else {
        return false;
    };
    place.iter().all(u8::is_ascii_uppercase) && digits::<3>(tail).is_some()
}

/// Autoridade Tributária of Mozambique: nine digits, modulo 11.
fn mz_nuit(value: &[u8]) -> bool {
    let Some(all) = digits::<9>(value) else { return false };
    let sum = super::sums::weighted(&all, &[8, 9, 4, 5, 6, 7, 8, 9]) % 11;
    let check = usize::try_from(sum)
        .ok()
        .and_then(|at| [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1].get(at))
        .copied();
    check == Some(all[8]) && !uniform(&all)
}

/// Senegal, tax: seven or nine digits, 1-2, and three characters of the kind.
fn sn_ninea(value: &[u8]) -> bool {
    let (body, kind) = match value.len() {
        7 | 9 => (value, &b""[..]),
        10 | 12 => value
            .split_at_checked(value.len().saturating_sub(3))
            .unwrap_or((b"", b"")),
        _ => return false,
    };
    let sum: u32 = body
        .iter()
        .rev()
        .zip([1, 2].iter().cycle())
        .map(|(&byte, weight)| digit(byte).unwrap_or(0) * weight)
        .sum();
    let known = match kind {
        [] => true,
        [b'0'..=b'2', tax, form] => tax.is_ascii_uppercase() && form.is_ascii_digit(),
        _ => false,
    };
    numeric(body) && known && sum.is_multiple_of(10) && body.iter().any(|&byte| byte != b'0')
}
