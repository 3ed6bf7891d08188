//! North and South America and the Caribbean: persons and taxpayers.

use super::Check;
use super::sums::{
    alphanumeric, birth_year, date, digit, digits, leading, luhn, month_day, number, numeric, rising, two, uniform,
    weighted,
};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("us-ssn", us_ssn),
    ("us-itin", us_itin),
    ("us-atin", us_atin),
    ("us-ein", us_ein),
    ("us-ptin", us_ptin),
    ("us-alien", us_alien),
    ("ca-sin", ca_sin),
    ("ca-bn", ca_bn),
    ("mx-curp", mx_curp),
    ("mx-rfc", mx_rfc),
    ("mx-rfc-form", mx_rfc_form),
    ("mx-nss", mx_nss),
    ("br-cpf", br_cpf),
    ("br-cnpj", br_cnpj),
    ("br-pis", br_pis),
    ("br-voter", br_voter),
    ("br-cnh", br_cnh),
    ("ar-cuit", ar_cuit),
    ("ar-dni", ar_dni),
    ("cl-rut", cl_rut),
    ("co-nit", co_nit),
    ("co-cc", co_cc),
    ("pe-dni", pe_dni),
    ("pe-ruc", pe_ruc),
    ("uy-ci", uy_ci),
    ("uy-rut", uy_rut),
    ("ec-ci", ec_ci),
    ("ec-ruc", ec_ruc),
    ("ve-rif", ve_rif),
    ("ve-ci", ve_ci),
    ("py-ruc", py_ruc),
    ("do-cedula", do_cedula),
    ("do-rnc", do_rnc),
    ("gt-cui", gt_cui),
    ("gt-nit", gt_nit),
    ("sv-dui", sv_dui),
    ("sv-nit", sv_nit),
    ("hn-dni", hn_dni),
    ("ni-cedula", ni_cedula),
    ("cu-ni", cu_ni),
    ("cr-cedula", cr_cedula),
];

/// Social Security Administration: no area 000, 666 or 900 and above, no group 00, no serial 0000; numbers from advertisements
/// (078-05-1120, 219-09-9999) are nobody's.
fn us_ssn(value: &[u8]) -> bool {
    let Some(all) = digits::<9>(value) else { return false };
    let area = number(&all[..3]);
    area != 0
        && area != 666
        && area < 900
        && number(&all[3..5]) != 0
        && number(&all[5..]) != 0
        && !uniform(&all)
        && !matches!(number(&all), 78_051_120 | 219_099_999)
}

/// IRS: 9 and a group of 50 to 65, 70 to 88, 90 to 92, 94 to 99.
fn us_itin(value: &[u8]) -> bool {
    let Some(all) = digits::<9>(value) else { return false };
    all[0] == 9 && matches!(two(all[3], all[4]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// IRS: for a child in adoption, 9 and group 93.
fn us_atin(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| all[0] == 9 && two(all[3], all[4]) == 93)
}

/// IRS: prefixes that campuses gave out.
fn us_ein(value: &[u8]) -> bool {
    let Some(all) = digits::<9>(value) else { return false };
    !matches!(two(all[0], all[1]), 0 | 7..=9 | 17..=19 | 28 | 29 | 49 | 69 | 70 | 78 | 79 | 89 | 96 | 97)
        && !uniform(&all[2..])
}

/// IRS: a preparer's number, P and eight digits.
fn us_ptin(value: &[u8]) -> bool {
    value
        .strip_prefix(b"P")
        .and_then(digits::<8>)
        .is_some_and(|all| !uniform(&all))
}

/// USCIS: A and seven to nine digits.
fn us_alien(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"A").unwrap_or(value);
    matches!(body.len(), 7..=9) && numeric(body) && body.windows(2).any(|pair| pair.first() != pair.last())
}

/// Service Canada: Luhn; none begins with 0 or 8.
fn ca_sin(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| luhn(&all) && !matches!(all[0], 0 | 8))
}

/// Canada Revenue Agency: Luhn over nine digits, then a programme and its account.
fn ca_bn(value: &[u8]) -> bool {
    let Some((all, programme)) = leading::<9>(value) else {
        return false;
    };
    let known = |two: &[u8]| matches!(two, b"RC" | b"RM" | b"RP" | b"RT" | b"RR" | b"RZ");
    luhn(&all)
        && (programme.is_empty()
            || programme.len() == 6
                && programme
                    .split_at_checked(2)
                    .is_some_and(|(two, rest)| known(two) && numeric(rest)))
}

/// The day of birth in a Mexican number; a year of two digits.
fn mx_day(value: &[u8]) -> bool {
    value
        .get(4..10)
        .and_then(digits::<6>)
        .is_some_and(|day| month_day(two(day[2], day[3]), two(day[4], day[5])))
}

/// RENAPO: names, day of birth, sex, state, consonants, and a check digit of base 37.
fn mx_curp(value: &[u8]) -> bool {
    const STATES: &[&[u8; 2]] = &[
        b"AS", b"BC", b"BS", b"CC", b"CL", b"CM", b"CS", b"CH", b"DF", b"DG", b"GT", b"GR", b"HG", b"JC", b"MC", b"MN",
        b"MS", b"NT", b"NL", b"OC", b"PL", b"QT", b"QR", b"SP", b"SL", b"SR", b"TC", b"TS", b"TL", b"VZ", b"YN", b"ZS",
        b"NE", b"MX", b"CX",
    ];
    let Ok(all) = <&[u8; 18]>::try_from(value) else {
        return false;
    };
    let mut sum = 0;
    for (&byte, weight) in all[..17].iter().zip((2..=18).rev()) {
        // The alphabet has Ñ behind N.
        let Some(place) = alphanumeric(byte) else { return false };
        sum += (if place > 23 { place + 1 } else { place }) * weight;
    }
    all[..4].iter().all(u8::is_ascii_uppercase)
        && mx_day(value)
        && matches!(all[10], b'H' | b'M' | b'X')
        && STATES.contains(&&[all[11], all[12]])
        && all[13..16].iter().all(u8::is_ascii_uppercase)
        && digit(all[17]) == Some((10 - sum % 10) % 10)
}

/// SAT: four letters of a person (three of a firm), a day, two characters, and a check character modulo 11.
fn mx_rfc(value: &[u8]) -> bool {
    // `&` and Ñ are lost before the check: a firm with one of them is refused here.
    let (names, person) = match value.len() {
        13 => (4, true),
        12 => (3, false),
        _ => return false,
    };
    let Some((letters, rest)) = value.split_at_checked(names) else {
        return false;
    };
    let Some((day, tail)) = leading::<6>(rest) else {
        return false;
    };
    let Ok([first_mark, second_mark, check]) = <&[u8; 3]>::try_from(tail) else {
        return false;
    };
    let first = if person { 13 } else { 12 };
    // A firm's number stands behind a space, which counts 37; weights go down from 13 to 2.
    let mut sum = if person { 0 } else { 37 * 13 };
    for (&byte, weight) in value.iter().zip((2..=first).rev()) {
        let Some(place) = alphanumeric(byte) else { return false };
        sum += (if place > 23 { place + 1 } else { place }) * weight;
    }
    let wanted = match 11 - sum % 11 {
        11 => b'0',
        10 => b'A',
        other => u8::try_from(other).unwrap_or(0) + b'0',
    };
    letters.iter().all(u8::is_ascii_uppercase)
        && month_day(two(day[2], day[3]), two(day[4], day[5]))
        && matches!(first_mark, b'1'..=b'9' | b'A'..=b'V')
        && matches!(second_mark, b'1'..=b'9' | b'A'..=b'Z')
        && *check == wanted
}

/// The same without the check character, which the tax office itself did not always keep to.
fn mx_rfc_form(value: &[u8]) -> bool {
    let names = value.len().saturating_sub(9);
    let Some((letters, rest)) = value.split_at_checked(names) else {
        return false;
    };
    let Some((day, tail)) = leading::<6>(rest) else {
        return false;
    };
    matches!(names, 3 | 4)
        && letters.iter().all(u8::is_ascii_uppercase)
        && month_day(two(day[2], day[3]), two(day[4], day[5]))
        && tail.iter().all(|&byte| alphanumeric(byte).is_some())
}

/// IMSS: Luhn over eleven digits.
fn mx_nss(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| luhn(&all) && !uniform(&all))
}

/// One digit of the Brazilian modulo 11: weights go up from 2 at the right, to `top` and round again.
fn br_digit(body: &[u32], top: u32) -> u32 {
    let sum: u32 = body
        .iter()
        .rev()
        .zip((2..=top).cycle())
        .map(|(digit, weight)| digit * weight)
        .sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

/// Receita Federal: two digits modulo 11.
fn br_cpf(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    !uniform(&all) && br_digit(&all[..9], 11) == all[9] && br_digit(&all[..10], 11) == all[10]
}

/// Receita Federal: the same with weights to 9; since 2026 the first twelve may be letters, which count as their ASCII less 48.
fn br_cnpj(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 14]>::try_from(value) else {
        return false;
    };
    if !all.iter().all(|&byte| alphanumeric(byte).is_some()) {
        return false;
    }
    let all = all.map(|byte| u32::from(byte - b'0'));
    !uniform(&all) && br_digit(&all[..12], 9) == all[12] && br_digit(&all[..13], 9) == all[13]
}

/// Caixa: PIS, PASEP, NIS, NIT.
fn br_pis(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| !uniform(&all) && br_digit(&all[..10], 9) == all[10])
}

/// TSE: eight digits, a state of 01 to 28, two digits modulo 11 of which 10 counts as 0.
fn br_voter(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    let state = two(all[8], all[9]);
    let one = weighted(&all[..8], &[2, 3, 4, 5, 6, 7, 8, 9]) % 11 % 10;
    let two = (all[8] * 7 + all[9] * 8 + one * 9) % 11 % 10;
    (1..=28).contains(&state) && all[10] == one && all[11] == two
}

/// DENATRAN: two digits modulo 11; where the first is 10 or more, two is taken from the second.
fn br_cnh(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let first = weighted(&all, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11;
    let second = weighted(&all, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11;
    let (first, less) = if first > 9 { (0, 2) } else { (first, 0) };
    let second = if second > 9 { 0 } else { second };
    let lowered = if second >= less {
        second - less
    } else {
        second + 11 - less
    };
    !uniform(&all) && all[9] == first && (all[10] == lowered % 11 || all[10] == second)
}

/// AFIP: kind, document, one digit modulo 11.
fn ar_cuit(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let sum = weighted(&all, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
    matches!(
        two(all[0], all[1]),
        20 | 23 | 24 | 25 | 26 | 27 | 30 | 33 | 34 | 50 | 51 | 55
    ) && match 11 - sum % 11 {
        11 => all[10] == 0,
        10 => all[10] == 9,
        other => all[10] == other,
    }
}

/// RENAPER: seven or eight digits.
fn ar_dni(value: &[u8]) -> bool {
    matches!(value.len(), 7 | 8)
        && numeric(value)
        && !value.starts_with(b"0")
        && value.iter().any(|byte| Some(byte) != value.first())
}

/// Registro Civil: modulo 11, K for 10.
fn cl_rut(value: &[u8]) -> bool {
    let Some((&check, body)) = value.split_last() else {
        return false;
    };
    if !matches!(body.len(), 7 | 8) || !numeric(body) || body.iter().all(|byte| Some(byte) == body.first()) {
        return false;
    }
    let sum: u32 = body
        .iter()
        .rev()
        .zip((2..=7).cycle())
        .map(|(&byte, weight)| digit(byte).unwrap_or(0) * weight)
        .sum();
    check
        == match 11 - sum % 11 {
            11 => b'0',
            10 => b'K',
            other => u8::try_from(other).unwrap_or(0) + b'0',
        }
}

/// DIAN: primes as weights, modulo 11.
fn co_nit(value: &[u8]) -> bool {
    const WEIGHTS: [u32; 15] = [3, 7, 13, 17, 19, 23, 29, 37, 41, 43, 47, 53, 59, 67, 71];
    let Some((&check, body)) = value.split_last() else {
        return false;
    };
    if !matches!(body.len(), 7..=15) || !numeric(body) {
        return false;
    }
    let sum: u32 = body
        .iter()
        .rev()
        .zip(WEIGHTS)
        .map(|(&byte, weight)| digit(byte).unwrap_or(0) * weight)
        .sum();
    let rest = sum % 11;
    digit(check) == Some(if rest < 2 { rest } else { 11 - rest })
}

/// Registraduría: six to eight digits, or ten that begin with 1.
fn co_cc(value: &[u8]) -> bool {
    numeric(value)
        && !value.starts_with(b"0")
        && (matches!(value.len(), 6..=8) || value.len() == 10 && value.starts_with(b"1"))
}

/// RENIEC: eight digits, and a check character (digit or letter) that many leave out.
fn pe_dni(value: &[u8]) -> bool {
    let Some((all, check)) = leading::<8>(value) else {
        return false;
    };
    let sum = weighted(&all, &[3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let at = usize::try_from(sum).unwrap_or(0);
    !uniform(&all)
        && match check {
            [] => true,
            [byte] => b"65432110987".get(at) == Some(byte) || b"KJIHGFEDCBA".get(at) == Some(byte),
            _ => false,
        }
}

/// SUNAT: kind, number, modulo 11.
fn pe_ruc(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let sum = weighted(&all, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
    matches!(two(all[0], all[1]), 10 | 15 | 16 | 17 | 20) && all[10] == (11 - sum % 11) % 10
}

/// DNIC: seven or six digits and one modulo 10.
fn uy_ci(value: &[u8]) -> bool {
    let check = |body: &[u32], weights: &[u32], last: u32| (10 - weighted(body, weights) % 10) % 10 == last;
    match value.len() {
        8 => digits::<8>(value).is_some_and(|all| !uniform(&all) && check(&all[..7], &[2, 9, 8, 7, 6, 3, 4], all[7])),
        7 => digits::<7>(value).is_some_and(|all| !uniform(&all) && check(&all[..6], &[9, 8, 7, 6, 3, 4], all[6])),
        _ => false,
    }
}

/// DGI: an office of 01 to 22, a number, 001, modulo 11.
fn uy_rut(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    let sum = weighted(&all, &[4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    (1..=22).contains(&two(all[0], all[1]))
        && number(&all[2..8]) != 0
        && number(&all[8..11]) == 1
        && all[11] == (11 - sum % 11) % 11
}

/// The person's number of Ecuador: province, third digit below 6, Luhn.
fn ec_person(all: &[u32; 10]) -> bool {
    (matches!(two(all[0], all[1]), 1..=24 | 30 | 50)) && all[2] <= 6 && luhn(all)
}

fn ec_ci(value: &[u8]) -> bool {
    digits::<10>(value).is_some_and(|all| ec_person(&all))
}

/// SRI: a person's number and a branch; public bodies and firms have modulo 11.
fn ec_ruc(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    let Some(person) = value.first_chunk::<10>().and_then(|head| digits::<10>(head)) else {
        return false;
    };
    let place = matches!(two(all[0], all[1]), 1..=24 | 30 | 50);
    let natural = ec_person(&person) && number(&all[10..]) != 0;
    let public = place && number(&all[9..]) != 0 && weighted(&all, &[3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11);
    let firm = place && number(&all[10..]) != 0 && weighted(&all, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11);
    match all[2] {
        0..=5 => natural,
        6 => public || natural,
        9 => public || firm,
        _ => false,
    }
}

/// SENIAT: kind, eight digits, modulo 11.
fn ve_rif(value: &[u8]) -> bool {
    let Some((kind, body)) = value.split_first() else {
        return false;
    };
    let Some(all) = digits::<9>(body) else { return false };
    let first = match kind {
        b'V' => 4,
        b'E' => 8,
        b'J' | b'C' => 12,
        b'P' => 16,
        b'G' => 20,
        _ => return false,
    };
    let sum = first + weighted(&all, &[3, 2, 7, 6, 5, 4, 3, 2]);
    all[8]
        == match 11 - sum % 11 {
            10 | 11 => 0,
            other => other,
        }
}

/// SAIME: V or E and six to eight digits.
fn ve_ci(value: &[u8]) -> bool {
    let body = value
        .strip_prefix(b"V")
        .or_else(|| value.strip_prefix(b"E"))
        .unwrap_or(value);
    matches!(body.len(), 6..=8) && numeric(body) && !body.starts_with(b"0")
}

/// SET: five to eight digits and one modulo 11.
fn py_ruc(value: &[u8]) -> bool {
    let Some((&check, body)) = value.split_last() else {
        return false;
    };
    if !matches!(body.len(), 5..=8) || !numeric(body) {
        return false;
    }
    let sum = rising(body);
    digit(check) == Some((11 - sum % 11) % 11 % 10)
}

/// JCE: Luhn over eleven digits.
fn do_cedula(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| luhn(&all) && !uniform(&all))
}

/// DGII: nine digits, modulo 11 of its own kind.
fn do_rnc(value: &[u8]) -> bool {
    let Some(all) = digits::<9>(value) else { return false };
    let rest = weighted(&all, &[7, 9, 8, 6, 5, 4, 3, 2]) % 11;
    all[8] == (10 - rest) % 9 + 1 || rest == 0 && all[8] == 2
}

/// RENAP: eight digits, one modulo 11, department of 01 to 22, municipality.
fn gt_cui(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    let sum = weighted(&all, &[2, 3, 4, 5, 6, 7, 8, 9]);
    sum % 11 == all[8] && (1..=22).contains(&two(all[9], all[10])) && two(all[11], all[12]) != 0
}

/// SAT: up to eleven digits and one modulo 11, K for 10.
fn gt_nit(value: &[u8]) -> bool {
    let Some((&check, body)) = value.split_last() else {
        return false;
    };
    if !matches!(body.len(), 4..=11) || !numeric(body) {
        return false;
    }
    let sum = rising(body);
    match (11 - sum % 11) % 11 {
        10 => check == b'K',
        other => digit(check) == Some(other),
    }
}

/// RNPN: eight digits and one modulo 10.
fn sv_dui(value: &[u8]) -> bool {
    let Some(all) = digits::<9>(value) else { return false };
    !uniform(&all) && (10 - weighted(&all, &[9, 8, 7, 6, 5, 4, 3, 2]) % 10) % 10 == all[8]
}

/// Ministerio de Hacienda: place, day of birth, serial, one digit whose sum depends on the serial.
fn sv_nit(value: &[u8]) -> bool {
    let Some(all) = digits::<14>(value) else { return false };
    let old = number(&all[10..13]) <= 100;
    let rest = if old {
        weighted(&all, &[14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11 % 10
    } else {
        let sum = weighted(&all, &[2, 7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
        (11 - sum % 11) % 11 % 10
    };
    matches!(all[0], 0 | 1 | 9) && all[13] == rest
}

/// RNP: department of 01 to 18, municipality, year of birth, serial.
fn hn_dni(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    let year = all[4] * 1000 + all[5] * 100 + two(all[6], all[7]);
    (1..=18).contains(&two(all[0], all[1])) && (1..=28).contains(&two(all[2], all[3])) && birth_year(year)
}

/// Consejo Supremo Electoral: place, day of birth, serial, a letter that is the number modulo 23.
fn ni_cedula(value: &[u8]) -> bool {
    let Some((all, [check])) = leading::<13>(value) else {
        return false;
    };
    let at = usize::try_from(number(&all) % 23).unwrap_or(0);
    month_day(two(all[5], all[6]), two(all[3], all[4])) && b"ABCDEFGHJKLMNPQRSTUVWXY".get(at) == Some(check)
}

/// The day of birth and the century in the seventh digit.
fn cu_ni(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let century = match all[6] {
        9 => 1800,
        0..=5 => 1900,
        _ => 2000,
    };
    let year = century + two(all[0], all[1]);
    birth_year(year) && date(year, two(all[2], all[3]), two(all[4], all[5]))
}

/// TSE: province of 1 to 9 and eight digits (ten with zeros before the parts).
fn cr_cedula(value: &[u8]) -> bool {
    match value.len() {
        9 => digits::<9>(value).is_some_and(|all| (1..=9).contains(&all[0]) && !uniform(&all)),
        10 => digits::<10>(value).is_some_and(|all| all[0] == 0 && (1..=9).contains(&all[1]) && !uniform(&all[1..])),
        11 | 12 => numeric(value) && value.starts_with(b"1"),
        _ => false,
    }
}
