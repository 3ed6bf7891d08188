//! Western and southern Europe: persons and taxpayers.

use super::Check;
use super::sums::{
    birth_year, date, digit, digits, italian, leading, letter, luhn, mod_11, mod_11_10, month_day, number, numeric,
    remainder, two, uniform, verhoeff, weighted,
};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("gb-nino", gb_nino),
    ("gb-utr", gb_utr),
    ("gb-vat", gb_vat),
    ("ie-pps", ie_pps),
    ("de-idnr", de_idnr),
    ("de-stnr", de_stnr),
    ("de-rvnr", de_rvnr),
    ("de-vat", de_vat),
    ("de-document", de_document),
    ("at-svnr", at_svnr),
    ("at-tin", at_tin),
    ("at-vat", at_vat),
    ("ch-ahv", ch_ahv),
    ("ch-uid", ch_uid),
    ("li-peid", li_peid),
    ("fr-nir", fr_nir),
    ("fr-nir-usual", fr_nir_usual),
    ("fr-nif", fr_nif),
    ("fr-siren", fr_siren),
    ("fr-siret", fr_siret),
    ("fr-vat", fr_vat),
    ("be-nn", be_nn),
    ("be-vat", be_vat),
    ("be-eid", be_eid),
    ("nl-bsn", nl_bsn),
    ("nl-vat", nl_vat),
    ("lu-ccss", lu_ccss),
    ("es-dni", es_dni),
    ("es-nie", es_nie),
    ("es-nif", es_nif),
    ("es-nss", es_nss),
    ("pt-nif", pt_nif),
    ("pt-cc", pt_cc),
    ("pt-niss", pt_niss),
    ("it-cf", it_cf),
    ("it-vat", it_vat),
    ("gr-amka", gr_amka),
    ("gr-afm", gr_afm),
    ("gr-adt", gr_adt),
    ("cy-tic", cy_tic),
    ("mt-id", mt_id),
    ("ad-nrt", ad_nrt),
    ("sm-coe", sm_coe),
];

/// HMRC: two letters of which D, F, I, Q, U, V do not occur (nor O as the second), some pairs that were never given, six
/// digits, a letter of A to D that many leave out.
fn gb_nino(value: &[u8]) -> bool {
    let Some((&[first, second], rest)) = value.split_first_chunk::<2>() else {
        return false;
    };
    let Some((all, suffix)) = leading::<6>(rest) else {
        return false;
    };
    let taken = |byte: u8| byte.is_ascii_uppercase() && !b"DFIQUV".contains(&byte);
    taken(first)
        && taken(second)
        && second != b'O'
        && !matches!(&[first, second], b"BG" | b"GB" | b"NK" | b"KN" | b"TN" | b"NT" | b"ZZ")
        && matches!(suffix, [] | [b'A'..=b'D'])
        && !uniform(&all)
}

/// HMRC: the first digit checks the other nine.
fn gb_utr(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let at = usize::try_from(weighted(&all[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11).unwrap_or(0);
    [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1].get(at) == Some(&all[0]) && !uniform(&all)
}

/// HMRC: modulo 97, or since 2009 the same less 55.
fn gb_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"GB").unwrap_or(value);
    let Some(body) = body.first_chunk::<9>().filter(|_| matches!(body.len(), 9 | 12)) else {
        return false;
    };
    let Some(all) = digits::<9>(body) else { return false };
    let sum = (weighted(&all, &[8, 7, 6, 5, 4, 3, 2, 10, 1])) % 97;
    matches!(sum, 0 | 42 | 55) && number(&all[..3]) >= 100 && !uniform(&all)
}

/// Department of Social Protection: seven digits, a letter modulo 23, and since 2013 one more.
fn ie_pps(value: &[u8]) -> bool {
    let Some((all, [check, last @ ..])) = leading::<7>(value) else {
        return false;
    };
    let first = weighted(&all, &[8, 7, 6, 5, 4, 3, 2]);
    let is = |sum: u32| {
        let at = usize::try_from(sum % 23).unwrap_or(0);
        b"WABCDEFGHIJKLMNOPQRSTUV".get(at) == Some(check)
    };
    match last {
        [] => is(first),
        [b'W'] => is(first),
        [last @ b'A'..=b'I'] => is(first + (letter(*last).unwrap_or(0) + 1) * 9),
        [b'T' | b'X'] => is(first),
        _ => false,
    }
}

/// Bundeszentralamt für Steuern: ISO/IEC 7064 MOD 11,10. That one digit occurs twice or thrice is left out: made-up numbers in
/// test systems do not keep to it.
fn de_idnr(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| all[0] != 0 && mod_11_10(&all) && !uniform(&all))
}

/// Finanzämter: ten or eleven digits; the sum differs by state and office.
fn de_stnr(value: &[u8]) -> bool {
    numeric(value)
        && match value.len() {
            10 | 11 => value.iter().any(|byte| Some(byte) != value.first()),
            13 => digit(value.get(4).copied().unwrap_or(b'x')) == Some(0),
            _ => false,
        }
}

/// Deutsche Rentenversicherung: area, day of birth (which has 50 added for a second person, and 00 for one unknown), a letter as
/// two digits, serial, one digit.
fn de_rvnr(value: &[u8]) -> bool {
    let Some((head, [name, tail @ ..])) = leading::<8>(value) else {
        return false;
    };
    let Some(tail) = digits::<3>(tail) else { return false };
    let Some(name) = letter(*name).map(|place| place + 1) else {
        return false;
    };
    let all = [
        head[0],
        head[1],
        head[2],
        head[3],
        head[4],
        head[5],
        head[6],
        head[7],
        name / 10,
        name % 10,
        tail[0],
        tail[1],
    ];
    let sum: u32 = all
        .iter()
        .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
        .map(|(digit, weight)| digit * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    let day = two(head[2], head[3]);
    let day = if day > 50 { day - 50 } else { day };
    let month = two(head[4], head[5]);
    sum % 10 == tail[2] && day <= 31 && month <= 12 && two(head[0], head[1]) >= 2
}

/// Umsatzsteuer-Identifikationsnummer: MOD 11,10.
fn de_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"DE").unwrap_or(value);
    digits::<9>(body).is_some_and(|all| all[0] != 0 && mod_11_10(&all))
}

/// Identity card or passport: nine characters of a small alphabet, and often a digit over them, 7-3-1.
fn de_document(value: &[u8]) -> bool {
    let Some((body, check)) = value.split_first_chunk::<9>() else {
        return false;
    };
    let mut sum = 0;
    for (&byte, weight) in body.iter().zip([7, 3, 1].iter().cycle()) {
        let Some(place) = super::sums::alphanumeric(byte) else {
            return false;
        };
        if b"ABDEIOQSU".contains(&byte) {
            return false;
        }
        sum += place * weight;
    }
    b"CFGHJKLMNPRTVWXYZ".contains(&body[0])
        && body.iter().any(u8::is_ascii_digit)
        && match check {
            [] => true,
            [check, ..] => digit(*check) == Some(sum % 10) && matches!(check_tail(value), [] | [b'D']),
        }
}

/// What stands behind a document's check digit: the country, where the whole line was copied.
fn check_tail(value: &[u8]) -> &[u8] {
    value.get(10..).unwrap_or(b"?")
}

/// Sozialversicherungsträger: serial, digit, day of birth (months of 13 and 14 where a day ran out).
fn at_svnr(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let sum = weighted(&all, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    let month = two(all[6], all[7]);
    let month = if month > 12 { month - 12 } else { month };
    all[0] != 0 && sum % 11 == all[3] && (1..=3).contains(&month) | month_day(month, two(all[4], all[5]))
}

/// Steuernummer: Luhn.
fn at_tin(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| luhn(&all) && !uniform(&all))
}

/// UID: U and eight digits; the first seven are summed as in Luhn without its check digit, and 4 added.
fn at_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"AT").unwrap_or(value);
    let Some(all) = body.strip_prefix(b"U").and_then(digits::<8>) else {
        return false;
    };
    (super::sums::luhn_sum(&all[..7]) + 4 + all[7]).is_multiple_of(10)
}

/// Zentrale Ausgleichsstelle: 756 and an EAN-13.
fn ch_ahv(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    number(&all[..3]) == 756
        && weighted(&all, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
        && !uniform(&all[3..])
}

/// Bundesamt für Statistik: CHE and nine digits, modulo 11; a word for VAT may follow.
fn ch_uid(value: &[u8]) -> bool {
    let Some((all, tail)) = value.strip_prefix(b"CHE").and_then(leading::<9>) else {
        return false;
    };
    mod_11(&all, &[5, 4, 3, 2, 7, 6, 5, 4]) == all[8]
        && matches!(tail, b"" | b"MWST" | b"TVA" | b"IVA" | b"VAT" | b"TPV" | b"HR")
}

/// Liechtenstein: up to twelve digits.
fn li_peid(value: &[u8]) -> bool {
    numeric(value) && matches!(value.len(), 4..=12) && !value.starts_with(b"0000000")
}

/// INSEE: sex, year, month, place (2A and 2B for Corsica), serial, key modulo 97; the key is often left out.
fn fr_nir(value: &[u8]) -> bool {
    if value.len() != 15 {
        return false;
    }
    let Some((head, rest)) = value.split_at_checked(5) else {
        return false;
    };
    let Some((place, tail)) = rest.split_first_chunk::<2>() else {
        return false;
    };
    let (Some(head), Some(tail)) = (digits::<5>(head), digits::<8>(tail)) else {
        return false;
    };
    let (place, less) = match place {
        b"2A" => ([1, 9], 0),
        b"2B" => ([1, 8], 0),
        [tens, ones] => match (digit(*tens), digit(*ones)) {
            (Some(tens), Some(ones)) => ([tens, ones], 0),
            _ => return false,
        },
    };
    let body = [
        head[0], head[1], head[2], head[3], head[4], place[0], place[1], tail[0], tail[1], tail[2], tail[3], tail[4],
        tail[5],
    ];
    let key = 97 - (remainder(&body, 97) + less) % 97;
    let month = two(head[3], head[4]);
    matches!(head[0], 1..=4 | 7 | 8)
        && (matches!(month, 1..=12 | 20 | 30..=42 | 50..=99))
        && two(place[0], place[1]) != 0
        && two(tail[6], tail[7]) == key
}

/// The same with a sex, month and place that most have: a bare number of fifteen digits passes once in 4,000 times.
fn fr_nir_usual(value: &[u8]) -> bool {
    let month = value
        .get(3..5)
        .and_then(digits::<2>)
        .map_or(0, |[tens, ones]| two(tens, ones));
    matches!(value.first(), Some(b'1' | b'2')) && (1..=12).contains(&month) && fr_nir(value)
}

/// DGFiP: begins with 0 to 3, the last three are the first ten modulo 511.
fn fr_nif(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    all[0] <= 3 && number(&all[..10]) % 511 == number(&all[10..]) && !uniform(&all)
}

/// INSEE: a firm, Luhn.
fn fr_siren(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| luhn(&all) && !uniform(&all))
}

/// INSEE: a firm and its place, Luhn (La Poste has a sum of its own).
fn fr_siret(value: &[u8]) -> bool {
    let Some(all) = digits::<14>(value) else { return false };
    luhn(&all) && luhn(&all[..9]) && !uniform(&all)
        || number(&all[..9]) == 356_000_000 && all.iter().sum::<u32>().is_multiple_of(5)
}

/// Two characters and the SIREN, of which the new kind is the number modulo 97; Monaco's begin with 000.
fn fr_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"FR").unwrap_or(value);
    let Some((key, siren)) = body.split_first_chunk::<2>() else {
        return false;
    };
    let Some(all) = digits::<9>(siren) else { return false };
    match (digit(key[0]), digit(key[1])) {
        (Some(tens), Some(ones)) => {
            u64::from(two(tens, ones)) == (12 + 3 * (number(&all) % 97)) % 97 && (luhn(&all) || number(&all[..3]) == 0)
        }
        _ => {
            luhn(&all)
                && key
                    .iter()
                    .all(|&byte| byte != b'O' && byte != b'I' && byte.is_ascii_alphanumeric())
        }
    }
}

/// Rijksregister: day of birth (20 or 40 added to the month of those who have no register), serial, modulo 97; since 2000 a 2
/// stands before the number.
fn be_nn(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let (body, check) = (number(&all[..9]), number(&all[9..]));
    let month = two(all[2], all[3]);
    let month = match month {
        20..=32 => month - 20,
        40..=52 => month - 40,
        _ => month,
    };
    let day = two(all[4], all[5]);
    let known = month == 0 || day == 0 && month <= 12 || month_day(month, day);
    known
        && day <= 31
        && number(&all[6..9]) != 0
        && (97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check)
}

/// Kruispuntbank: a firm, modulo 97.
fn be_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"BE").unwrap_or(value);
    digits::<10>(body)
        .is_some_and(|all| all[0] <= 1 && number(&all) != 0 && 97 - number(&all[..8]) % 97 == number(&all[8..]))
}

/// The card: twelve digits, modulo 97.
fn be_eid(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    let rest = number(&all[..10]) % 97;
    number(&all[10..]) == (if rest == 0 { 97 } else { rest })
}

/// Rijksdienst: eight or nine digits, the sum of eleven.
fn nl_bsn(value: &[u8]) -> bool {
    let all = match value.len() {
        9 => digits::<9>(value),
        8 => digits::<8>(value).map(|all| [0, all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7]]),
        _ => None,
    };
    let Some(all) = all else { return false };
    (weighted(&all, &[9, 8, 7, 6, 5, 4, 3, 2]) + 10 * all[8]).is_multiple_of(11) && !uniform(&all[1..])
}

/// Belastingdienst: nine digits, B, two digits; a person's passes MOD 97-10, a firm's the sum of eleven.
fn nl_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"NL").unwrap_or(value);
    let Some((all, [b'B', tail @ ..])) = leading::<9>(body) else {
        return false;
    };
    let person = super::sums::mod_97(b"NL".iter().chain(body).copied()) == Some(1);
    digits::<2>(tail).is_some() && (person || weighted(&all, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == all[8])
}

/// CCSS: day of birth, serial, Luhn over eleven and Verhoeff over the same eleven.
fn lu_ccss(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    let year = all[0] * 1000 + all[1] * 100 + two(all[2], all[3]);
    let mut second = [0; 12];
    second
        .iter_mut()
        .zip(&all[..11])
        .for_each(|(place, digit)| *place = *digit);
    second[11] = all[12];
    birth_year(year) && date(year, two(all[4], all[5]), two(all[6], all[7])) && luhn(&all[..12]) && verhoeff(&second)
}

/// The letter of a Spanish number.
fn es_letter(all: &[u32]) -> Option<u8> {
    b"TRWAGMYFPDXBNJZSQVHLCKE"
        .get(usize::try_from(number(all) % 23).ok()?)
        .copied()
}

/// Policía Nacional: up to eight digits and a letter modulo 23.
fn es_dni(value: &[u8]) -> bool {
    let Some((check, body)) = value.split_last() else {
        return false;
    };
    match body.len() {
        8 => digits::<8>(body).is_some_and(|all| es_letter(&all) == Some(*check) && number(&all) != 0),
        7 => digits::<7>(body).is_some_and(|all| es_letter(&all) == Some(*check) && number(&all) != 0),
        _ => false,
    }
}

/// For foreigners: X, Y, Z count as 0, 1, 2.
fn es_nie(value: &[u8]) -> bool {
    let Some((first, rest)) = value.split_first() else {
        return false;
    };
    let Some((body, [check])) = leading::<7>(rest) else {
        return false;
    };
    let first = match first {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        _ => return false,
    };
    let all = [first, body[0], body[1], body[2], body[3], body[4], body[5], body[6]];
    es_letter(&all) == Some(*check)
}

/// Agencia Tributaria: a person with or without document (K, L, M), or a firm.
fn es_nif(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"ES").unwrap_or(value);
    let special = body
        .strip_prefix(b"K")
        .or_else(|| body.strip_prefix(b"L"))
        .or_else(|| body.strip_prefix(b"M"))
        .is_some_and(|rest| rest.len() == 8 && es_dni(rest));
    special || es_dni(body) || es_nie(body) || es_cif(body)
}

/// Agencia Tributaria: a letter of the kind of firm, seven digits, a digit or letter over Luhn.
fn es_cif(value: &[u8]) -> bool {
    let Some((first, rest)) = value.split_first() else {
        return false;
    };
    let Some((all, [check])) = leading::<7>(rest) else {
        return false;
    };
    let body = [all[0], all[1], all[2], all[3], all[4], all[5], all[6], 0];
    let wanted = (10 - super::sums::luhn_sum(&body) % 10) % 10;
    let as_letter = b"JABCDEFGHI".get(usize::try_from(wanted).unwrap_or(0)) == Some(check);
    match first {
        b'P' | b'Q' | b'R' | b'S' | b'N' | b'W' => as_letter,
        b'A' | b'B' | b'E' | b'H' => digit(*check) == Some(wanted),
        b'C' | b'D' | b'F' | b'G' | b'J' | b'U' | b'V' => as_letter || digit(*check) == Some(wanted),
        _ => false,
    }
}

/// Seguridad Social: province, number, modulo 97.
fn es_nss(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    let (place, body) = (number(&all[..2]), number(&all[2..10]));
    let whole = if body < 10_000_000 {
        body + place * 10_000_000
    } else {
        number(&all[..10])
    };
    matches!(place, 1..=53 | 66) && body != 0 && whole % 97 == number(&all[10..])
}

/// Autoridade Tributária: modulo 11.
fn pt_nif(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"PT").unwrap_or(value);
    let Some(all) = digits::<9>(body) else { return false };
    (matches!(all[0], 1 | 2 | 3 | 5 | 6 | 7 | 8 | 9) || all[0] == 4 && all[1] == 5)
        && mod_11(&all, &[9, 8, 7, 6, 5, 4, 3, 2]) % 10 == all[8]
        && !uniform(&all)
}

/// Cartão de Cidadão: eight digits and one, two characters of the version, Luhn over all with letters as numbers.
fn pt_cc(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 12]>::try_from(value) else {
        return false;
    };
    let mut sum = 0;
    for (at, &byte) in all.iter().enumerate() {
        let Some(place) = super::sums::alphanumeric(byte) else {
            return false;
        };
        let doubled = place * 2;
        sum += match at % 2 {
            0 if doubled > 9 => doubled - 9,
            0 => doubled,
            _ => place,
        };
    }
    sum.is_multiple_of(10)
        && all[..9].iter().all(u8::is_ascii_digit)
        && all[11].is_ascii_digit()
        && number_of(value) != 0
}

fn number_of(value: &[u8]) -> u64 {
    value
        .iter()
        .filter_map(|&byte| digit(byte))
        .fold(0, |sum, digit| sum * 10 + u64::from(digit))
}

/// Segurança Social: primes as weights, nine less the sum's last digit.
fn pt_niss(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    matches!(all[0], 1 | 2) && 9 - weighted(&all, &[29, 23, 19, 17, 13, 11, 7, 5, 3, 2]) % 10 == all[10]
}

/// Agenzia delle Entrate: names, day of birth (40 added for women), place, a letter; where two persons would share one, digits
/// are written as letters.
fn it_cf(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 16]>::try_from(value) else {
        return false;
    };
    // L M N P Q R S T U V stand for 0 to 9.
    let folded = |byte: u8| {
        digit(byte).or_else(|| {
            b"LMNPQRSTUV"
                .iter()
                .position(|&letter| letter == byte)
                .and_then(|at| u32::try_from(at).ok())
        })
    };
    let numbers = [all[6], all[7], all[9], all[10], all[12], all[13], all[14]];
    if numbers.iter().any(|&byte| folded(byte).is_none()) {
        return false;
    }
    let day = two(folded(all[9]).unwrap_or(0), folded(all[10]).unwrap_or(0));
    letter(all[15]).is_some()
        && letter(all[15]) == italian(&all[..15])
        && all[..6].iter().all(u8::is_ascii_uppercase)
        && b"ABCDEHLMPRST".contains(&all[8])
        && matches!(day, 1..=31 | 41..=71)
        && all[11].is_ascii_uppercase()
}

/// Partita IVA: Luhn, an office of 001 to 121 and some more.
fn it_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"IT").unwrap_or(value);
    let Some(all) = digits::<11>(body) else { return false };
    let office = number(&all[7..10]);
    luhn(&all) && number(&all[..7]) != 0 && matches!(office, 1..=121 | 888 | 999)
}

/// IDIKA: day of birth, Luhn.
fn gr_amka(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| month_day(two(all[2], all[3]), two(all[0], all[1])) && luhn(&all))
}

/// AADE: powers of two, modulo 11.
fn gr_afm(value: &[u8]) -> bool {
    let body = value
        .strip_prefix(b"EL")
        .or_else(|| value.strip_prefix(b"GR"))
        .unwrap_or(value);
    let Some(all) = digits::<9>(body) else { return false };
    weighted(&all, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == all[8] && !uniform(&all)
}

/// Identity card of Greece: one or two letters, six or seven digits.
fn gr_adt(value: &[u8]) -> bool {
    let letters = value.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    matches!(letters, 1..=2)
        && value
            .get(letters..)
            .is_some_and(|rest| matches!(rest.len(), 6 | 7) && numeric(rest))
}

/// Cyprus: eight digits and a letter modulo 26.
fn cy_tic(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"CY").unwrap_or(value);
    let Some((all, [check])) = leading::<8>(body) else {
        return false;
    };
    let odd = |digit: u32| match digit {
        0 => 1,
        1 => 0,
        2 => 5,
        3 => 7,
        4 => 9,
        other => other * 2 + 3,
    };
    let sum = odd(all[0]) + all[1] + odd(all[2]) + all[3] + odd(all[4]) + all[5] + odd(all[6]) + all[7];
    letter(*check) == Some(sum % 26)
}

/// Identity Malta: up to seven digits and a letter.
fn mt_id(value: &[u8]) -> bool {
    let Some((check, body)) = value.split_last() else {
        return false;
    };
    matches!(body.len(), 3..=7) && numeric(body) && b"MGAPLHBZ".contains(check) && body.iter().any(|&byte| byte != b'0')
}

/// Andorra: a letter, six digits, a letter.
fn ad_nrt(value: &[u8]) -> bool {
    let Some((kind, rest)) = value.split_first() else {
        return false;
    };
    let Some((all, [last])) = leading::<6>(rest) else {
        return false;
    };
    b"ACDEFGLOPU".contains(kind) && last.is_ascii_uppercase() && !uniform(&all)
}

/// San Marino: two to five digits, with or without its country.
fn sm_coe(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"SM").unwrap_or(value);
    matches!(body.len(), 2..=5) && numeric(body) && !body.starts_with(b"0")
}
