//! Eastern Europe, the Balkans and the Caucasus: persons and taxpayers.

use super::Check;
use super::sums::{
    alphanumeric, birth_year, date, digit, digits, leading, letter, mod_11, mod_11_10, month_day, number, numeric, two,
    uniform, weighted,
};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("pl-pesel", pl_pesel),
    ("pl-nip", pl_nip),
    ("pl-regon", pl_regon),
    ("pl-dowod", pl_dowod),
    ("pl-passport", pl_passport),
    ("cz-rc", cz_rc),
    ("sk-vat", sk_vat),
    ("cz-ico", cz_ico),
    ("hu-taj", hu_taj),
    ("hu-tax", hu_tax),
    ("hu-vat", hu_vat),
    ("hu-personal", hu_personal),
    ("ro-cnp", ro_cnp),
    ("ro-cui", ro_cui),
    ("bg-egn", bg_egn),
    ("bg-lnch", bg_lnch),
    ("bg-eik", bg_eik),
    ("emso", emso),
    ("si-tax", si_tax),
    ("hr-oib", hr_oib),
    ("rs-pib", rs_pib),
    ("mk-edb", mk_edb),
    ("al-nid", al_nid),
    ("al-nipt", al_nipt),
    ("ru-inn", ru_inn),
    ("ru-inn-firm", ru_inn_firm),
    ("ru-snils", ru_snils),
    ("ru-ogrn", ru_ogrn),
    ("ru-passport", ru_passport),
    ("ua-rntrc", ua_rntrc),
    ("ua-unzr", ua_unzr),
    ("ua-edrpou", ua_edrpou),
    ("by-pin", by_pin),
    ("by-unp", by_unp),
    ("md-idnp", md_idnp),
    ("az-voen", az_voen),
    ("az-fin", az_fin),
    ("am-psn", am_psn),
    ("ge-pin", ge_pin),
    ("xk-pin", xk_pin),
];

/// Ministerstwo Cyfryzacji: day of birth with the century in the month, serial, 1-3-7-9.
fn pl_pesel(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let month = two(all[2], all[3]);
    let (century, month) = match month / 20 {
        4 => (1800, month - 80),
        over => (1900 + over * 100, month - over * 20),
    };
    date(century + two(all[0], all[1]), month, two(all[4], all[5]))
        && weighted(&all, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

/// Krajowa Administracja Skarbowa: modulo 11.
fn pl_nip(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"PL").unwrap_or(value);
    digits::<10>(body)
        .is_some_and(|all| all[0] != 0 && weighted(&all, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == all[9] && !uniform(&all))
}

/// GUS: nine digits, or fourteen of a place.
fn pl_regon(value: &[u8]) -> bool {
    match value.len() {
        9 => digits::<9>(value)
            .is_some_and(|all| weighted(&all, &[8, 9, 2, 3, 4, 5, 6, 7]) % 11 % 10 == all[8] && !uniform(&all)),
        14 => digits::<14>(value).is_some_and(|all| {
            weighted(&all, &[8, 9, 2, 3, 4, 5, 6, 7]) % 11 % 10 == all[8]
                && weighted(&all, &[2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8]) % 11 % 10 == all[13]
                && !uniform(&all)
        }),
        _ => false,
    }
}

/// Identity card: three letters, a digit over all, five digits.
fn pl_dowod(value: &[u8]) -> bool {
    pl_document(value, &[7, 3, 1, 9, 7, 3, 1, 7, 3], 3)
}

/// Passport: two letters, a digit over all, six digits.
fn pl_passport(value: &[u8]) -> bool {
    pl_document(value, &[7, 3, 9, 1, 7, 3, 1, 7, 3], 2)
}

fn pl_document(value: &[u8], weights: &[u32; 9], letters: usize) -> bool {
    let Ok(all) = <&[u8; 9]>::try_from(value) else {
        return false;
    };
    let mut sum = 0;
    for (at, (&byte, weight)) in all.iter().zip(weights).enumerate() {
        if byte.is_ascii_uppercase() != (at < letters) {
            return false;
        }
        sum += alphanumeric(byte).unwrap_or(0) * weight;
    }
    sum.is_multiple_of(10)
}

/// Ministerstvo vnitra: day of birth (50 added to the month of women, 20 where a day ran out), serial, and since 1954 a digit
/// modulo 11. Nine digits until then.
fn cz_rc(value: &[u8]) -> bool {
    let (body, last) = match value.len() {
        10 => (value, true),
        9 => (value, false),
        _ => return false,
    };
    let Some((all, serial)) = leading::<6>(body) else {
        return false;
    };
    let month = two(all[2], all[3]);
    let plain = match month {
        1..=12 => month,
        21..=32 => month - 20,
        51..=62 => month - 50,
        71..=82 => month - 70,
        _ => return false,
    };
    if !month_day(plain, two(all[4], all[5])) || !numeric(serial) {
        return false;
    }
    match digits::<10>(value) {
        Some(whole) if last => number(&whole[..9]) % 11 % 10 == u64::from(whole[9]),
        _ => !last && two(all[0], all[1]) < 54 && serial != b"000",
    }
}

/// Daň z pridanej hodnoty of Slovakia: a multiple of 11.
fn sk_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"SK").unwrap_or(value);
    digits::<10>(body)
        .is_some_and(|all| all[0] != 0 && matches!(all[2], 2..=4 | 7..=9) && number(&all).is_multiple_of(11))
}

/// IČO of Czechia and Slovakia: modulo 11.
fn cz_ico(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"CZ").unwrap_or(value);
    digits::<8>(body).is_some_and(|all| {
        let check = match mod_11(&all, &[8, 7, 6, 5, 4, 3, 2]) {
            0 => 1,
            10 => 0,
            other => other,
        };
        check == all[7] && !uniform(&all)
    })
}

/// NEAK: 3-7 over eight digits.
fn hu_taj(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| weighted(&all, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == all[8] && !uniform(&all))
}

/// NAV: 8, days since 1867, serial, modulo 11.
fn hu_tax(value: &[u8]) -> bool {
    digits::<10>(value)
        .is_some_and(|all| all[0] == 8 && weighted(&all, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 == all[9] && !uniform(&all))
}

/// NAV: eight digits 9-7-3-1, the kind, the county.
fn hu_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"HU").unwrap_or(value);
    let Some((all, tail)) = leading::<8>(body) else {
        return false;
    };
    let county = match tail {
        [] => true,
        [b'1'..=b'5', rest @ ..] => {
            digits::<2>(rest).is_some_and(|[tens, ones]| matches!(two(tens, ones), 2..=44 | 51))
        }
        _ => false,
    };
    county && weighted(&all, &[9, 7, 3, 1, 9, 7, 3, 1]).is_multiple_of(10) && all[0] != 0
}

/// Személyi szám: sex and century, day of birth, serial, modulo 11; the weights go up before 1997 and down after.
fn hu_personal(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let up = weighted(&all, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) % 11;
    let down = weighted(&all, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11;
    (1..=8).contains(&all[0])
        && month_day(two(all[3], all[4]), two(all[5], all[6]))
        && (up == all[10] || down == all[10])
}

/// Direcția pentru Evidența Persoanelor: sex and century, day of birth, county, serial, modulo 11.
fn ro_cnp(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    let rest = weighted(&all, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    all[0] != 0
        && month_day(two(all[3], all[4]), two(all[5], all[6]))
        && matches!(two(all[7], all[8]), 1..=52 | 70 | 80..=83)
        && all[12] == (if rest == 10 { 1 } else { rest })
}

/// ANAF: two to ten digits, modulo 11.
fn ro_cui(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"RO").unwrap_or(value);
    let Some((&check, rest)) = body.split_last() else {
        return false;
    };
    if !matches!(rest.len(), 1..=9) || !numeric(rest) || rest.starts_with(b"0") {
        return false;
    }
    let sum: u32 = rest
        .iter()
        .rev()
        .zip([2, 3, 5, 7, 1, 2, 3, 5, 7])
        .map(|(&byte, weight)| digit(byte).unwrap_or(0) * weight)
        .sum();
    digit(check) == Some(sum * 10 % 11 % 10)
}

/// GRAO: day of birth with the century in the month, serial, modulo 11.
fn bg_egn(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let month = two(all[2], all[3]);
    let (century, month) = match month {
        41..=52 => (2000, month - 40),
        21..=32 => (1800, month - 20),
        _ => (1900, month),
    };
    date(century + two(all[0], all[1]), month, two(all[4], all[5]))
        && weighted(&all, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == all[9]
}

/// For foreigners: modulo 10.
fn bg_lnch(value: &[u8]) -> bool {
    digits::<10>(value)
        .is_some_and(|all| weighted(&all, &[21, 19, 17, 13, 11, 9, 7, 3, 1]) % 10 == all[9] && !uniform(&all))
}

/// BULSTAT: nine digits in two rounds modulo 11.
fn bg_eik(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"BG").unwrap_or(value);
    let Some(all) = digits::<9>(body) else { return false };
    let check = match weighted(&all, &[1, 2, 3, 4, 5, 6, 7, 8]) % 11 {
        10 => weighted(&all, &[3, 4, 5, 6, 7, 8, 9, 10]) % 11 % 10,
        rest => rest,
    };
    check == all[8] && !uniform(&all)
}

/// JMBG, EMŠO, ЕМБГ of what was Yugoslavia: day of birth with three digits of the year, region, serial, modulo 11.
fn emso(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    let year = number(&all[4..7]);
    let year = u32::try_from(if year < 800 { year + 2000 } else { year + 1000 }).unwrap_or(0);
    birth_year(year)
        && date(year, two(all[2], all[3]), two(all[0], all[1]))
        && mod_11(&all, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 10 == all[12]
}

/// FURS: eight digits, modulo 11.
fn si_tax(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"SI").unwrap_or(value);
    digits::<8>(body).is_some_and(|all| {
        let rest = mod_11(&all, &[8, 7, 6, 5, 4, 3, 2]);
        all[0] != 0 && rest != 0 && rest % 10 == all[7] && !uniform(&all)
    })
}

/// Porezna uprava: MOD 11,10.
fn hr_oib(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"HR").unwrap_or(value);
    digits::<11>(body).is_some_and(|all| mod_11_10(&all) && !uniform(&all))
}

/// Poreska uprava: MOD 11,10.
fn rs_pib(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"RS").unwrap_or(value);
    digits::<9>(body).is_some_and(|all| all[0] != 0 && mod_11_10(&all) && !uniform(&all))
}

/// North Macedonia, tax: thirteen digits, modulo 11.
fn mk_edb(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"MK").unwrap_or(value);
    digits::<13>(body)
        .is_some_and(|all| mod_11(&all, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 10 == all[12] && !uniform(&all))
}

/// Albania: a letter of the decade, year, month (50 added for women), day, serial, a letter.
fn al_nid(value: &[u8]) -> bool {
    let Some((decade, rest)) = value.split_first() else {
        return false;
    };
    let Some((all, [last])) = leading::<8>(rest) else {
        return false;
    };
    let month = two(all[1], all[2]);
    let month = if month > 50 { month - 50 } else { month };
    decade.is_ascii_uppercase() && last.is_ascii_uppercase() && month_day(month, two(all[3], all[4]))
}

/// Albania, tax: a letter, eight digits, a letter.
fn al_nipt(value: &[u8]) -> bool {
    let body = value
        .strip_prefix(b"AL")
        .filter(|rest| rest.len() == 10)
        .unwrap_or(value);
    let Some((first, rest)) = body.split_first() else {
        return false;
    };
    (b'A'..=b'M').contains(first)
        && leading::<8>(rest).is_some_and(|(_, last)| last.len() == 1 && last.iter().all(u8::is_ascii_uppercase))
}

/// FNS, a person: twelve digits, two modulo 11.
fn ru_inn(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    weighted(&all, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == all[10]
        && weighted(&all, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == all[11]
        && !uniform(&all)
}

/// FNS, a firm: ten digits.
fn ru_inn_firm(value: &[u8]) -> bool {
    digits::<10>(value)
        .is_some_and(|all| weighted(&all, &[2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == all[9] && !uniform(&all))
}

/// Social fund: nine digits, two modulo 101.
fn ru_snils(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let sum = weighted(&all, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100;
    number(&all[9..]) == u64::from(sum) && number(&all[..9]) > 1_001_998
}

/// FNS: thirteen digits modulo 11, or fifteen of a sole trader modulo 13.
fn ru_ogrn(value: &[u8]) -> bool {
    match value.len() {
        13 => digits::<13>(value)
            .is_some_and(|all| matches!(all[0], 1 | 5) && number(&all[..12]) % 11 % 10 == u64::from(all[12])),
        15 => digits::<15>(value).is_some_and(|all| all[0] == 3 && number(&all[..14]) % 13 % 10 == u64::from(all[14])),
        _ => false,
    }
}

/// MVD: a region of the series, the year of the form, number.
fn ru_passport(value: &[u8]) -> bool {
    digits::<10>(value).is_some_and(|all| two(all[0], all[1]) != 0 && number(&all[4..]) > 100 && !uniform(&all))
}

/// Податкова: days since 1899, serial, modulo 11.
fn ua_rntrc(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    // The first weight is -1, which is 10 modulo 11.
    weighted(&all, &[10, 5, 7, 9, 4, 6, 10, 5, 7]) % 11 % 10 == all[9] && !uniform(&all)
}

/// УНЗР: day of birth, serial, digit 7-3-1.
fn ua_unzr(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    let year = all[0] * 1000 + all[1] * 100 + two(all[2], all[3]);
    birth_year(year)
        && date(year, two(all[4], all[5]), two(all[6], all[7]))
        && weighted(&all, &[7, 3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 1]) % 10 == all[12]
}

/// ЄДРПОУ: eight digits; the weights depend on the range.
fn ua_edrpou(value: &[u8]) -> bool {
    let Some(all) = digits::<8>(value) else { return false };
    let middle = (30_000_000..60_000_000).contains(&number(&all));
    let (first, second): (&[u32], &[u32]) = if middle {
        (&[7, 1, 2, 3, 4, 5, 6], &[9, 3, 4, 5, 6, 7, 8])
    } else {
        (&[1, 2, 3, 4, 5, 6, 7], &[3, 4, 5, 6, 7, 8, 9])
    };
    let check = match weighted(&all, first) % 11 {
        10 => weighted(&all, second) % 11 % 10,
        rest => rest,
    };
    check == all[7] && !uniform(&all)
}

/// МВД of Belarus: sex and century, day of birth, region, serial, kind, a digit 7-3-1.
fn by_pin(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 14]>::try_from(value) else {
        return false;
    };
    let Some(born) = all.get(1..7).and_then(digits::<6>) else {
        return false;
    };
    let mut sum = 0;
    for (&byte, weight) in all[..13].iter().zip([7, 3, 1].iter().cycle()) {
        let Some(place) = alphanumeric(byte) else { return false };
        sum += place * weight;
    }
    matches!(all[0], b'1'..=b'6')
        && month_day(two(born[2], born[3]), two(born[0], born[1]))
        && b"ABCHKEM".contains(&all[7])
        && all[8..11].iter().all(u8::is_ascii_digit)
        && all[11].is_ascii_uppercase()
        && all[12].is_ascii_uppercase()
        && digit(all[13]) == Some(sum % 10)
}

/// МНС of Belarus: nine characters, modulo 11.
fn by_unp(value: &[u8]) -> bool {
    const LETTERS: &[u8; 10] = b"ABCEHKMOPT";
    let Ok(all) = <&[u8; 9]>::try_from(value) else {
        return false;
    };
    let person = LETTERS.contains(&all[0]) && LETTERS.contains(&all[1]);
    let firm = all[0].is_ascii_digit() && all[1].is_ascii_digit();
    if !(person || firm) || !all[2..].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let mut sum = 0;
    for (at, (&byte, weight)) in all.iter().zip([29, 23, 19, 17, 13, 7, 5, 3]).enumerate() {
        let place = if person && at == 1 {
            LETTERS
                .iter()
                .position(|&letter| letter == byte)
                .and_then(|at| u32::try_from(at).ok())
        } else {
            alphanumeric(byte)
        };
        sum += place.unwrap_or(0) * weight;
    }
    b"1234567ABCEHKM".contains(&all[0]) && digit(all[8]) == Some(sum % 11)
}

/// Moldova: thirteen digits, 7-3-1; a person's begins with 0 or 2, a firm's with 1.
fn md_idnp(value: &[u8]) -> bool {
    digits::<13>(value).is_some_and(|all| {
        all[0] <= 2 && weighted(&all, &[7, 3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 1]) % 10 == all[12] && number(&all) != 0
    })
}

/// Azerbaijan, tax: ten digits, the last 1 or 2.
fn az_voen(value: &[u8]) -> bool {
    digits::<10>(value)
        .is_some_and(|all| matches!(all[9], 1 | 2) && weighted(&all, &[4, 1, 8, 6, 2, 7, 5, 3]) % 11 == all[8])
}

/// Azerbaijan, person: seven characters, letters and digits mixed.
fn az_fin(value: &[u8]) -> bool {
    value.len() == 7
        && value.iter().all(|&byte| digit(byte).or_else(|| letter(byte)).is_some())
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_uppercase)
}

/// Armenia, public services number: sex and century with the day of birth, serial.
fn am_psn(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let day = two(all[0], all[1]);
    let day = match day {
        11..=41 => day - 10,
        51..=81 => day - 50,
        _ => day,
    };
    month_day(two(all[2], all[3]), day) && !uniform(&all)
}

/// Georgia: eleven digits.
fn ge_pin(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| number(&all[..2]) <= 66 && !uniform(&all))
}

/// Kosovo: ten digits that begin with 1 or 2; Luhn is not kept.
fn xk_pin(value: &[u8]) -> bool {
    digits::<10>(value).is_some_and(|all| matches!(all[0], 1 | 2) && !uniform(&all))
}
