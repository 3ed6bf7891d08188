//! Northern Europe and the Baltic states: persons and taxpayers.

use super::Check;
use super::sums::{
    alphanumeric, date, digit, digits, leading, luhn, mod_11, month_day, number, numeric, two, uniform, weighted,
};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("se-pnr", se_pnr),
    ("se-orgnr", se_orgnr),
    ("dk-cpr", dk_cpr),
    ("dk-cvr", dk_cvr),
    ("no-fnr", no_fnr),
    ("no-orgnr", no_orgnr),
    ("fi-hetu", fi_hetu),
    ("fi-ytunnus", fi_ytunnus),
    ("fi-satu", fi_satu),
    ("is-kt", is_kt),
    ("fo-ptal", fo_ptal),
    ("ee-ik", ee_ik),
    ("lt-ak", lt_ak),
    ("lv-pk", lv_pk),
    ("ee-vat", ee_vat),
    ("lt-vat", lt_vat),
];

/// Skatteverket: day of birth (60 added for a coordination number), serial, Luhn; with or without the century.
fn se_pnr(value: &[u8]) -> bool {
    let (century, body) = match value.split_at_checked(value.len().saturating_sub(10)) {
        Some((century @ (b"" | b"18" | b"19" | b"20"), body)) => (century, body),
        _ => return false,
    };
    let Some(all) = digits::<10>(body) else { return false };
    let day = two(all[4], all[5]);
    let day = if day > 60 { day - 60 } else { day };
    let year = match century {
        b"18" => 1800,
        b"19" => 1900,
        _ => 2000,
    } + two(all[0], all[1]);
    let born = if century.is_empty() {
        month_day(two(all[2], all[3]), day)
    } else {
        date(year, two(all[2], all[3]), day)
    };
    born && luhn(&all) && number(&all[6..]) != 0
}

/// Bolagsverket: the third digit is 2 or more, Luhn.
fn se_orgnr(value: &[u8]) -> bool {
    let body = value
        .strip_prefix(b"16")
        .filter(|rest| rest.len() == 10)
        .unwrap_or(value);
    digits::<10>(body).is_some_and(|all| all[2] >= 2 && all[0] != 0 && luhn(&all) && !uniform(&all))
}

/// CPR-kontoret: day of birth and serial; the sum is no longer kept since 2007. A replacement number has 60 added to the day.
fn dk_cpr(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let day = two(all[0], all[1]);
    let day = if day > 60 { day - 60 } else { day };
    month_day(two(all[2], all[3]), day) && number(&all[6..]) != 0
}

/// Erhvervsstyrelsen: modulo 11.
fn dk_cvr(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"DK").unwrap_or(value);
    digits::<8>(body).is_some_and(|all| {
        all[0] != 0 && weighted(&all, &[2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11) && !uniform(&all)
    })
}

/// Skatteetaten: day of birth (40 added to the day of a D number; 40, 65 or 80 to the month of other kinds), serial, two digits
/// modulo 11. (From 2032 the first of them may leave another rest.)
fn no_fnr(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let (day, month) = (two(all[0], all[1]), two(all[2], all[3]));
    let day = if day > 40 { day - 40 } else { day };
    let month = match month {
        81..=92 => month - 80,
        66..=77 => month - 65,
        41..=52 => month - 40,
        _ => month,
    };
    month_day(month, day)
        && mod_11(&all, &[3, 7, 6, 1, 8, 9, 4, 5, 2]) == all[9]
        && mod_11(&all, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) == all[10]
}

/// Brønnøysundregistrene: 8 or 9, modulo 11.
fn no_orgnr(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"NO").unwrap_or(value);
    let body = body.strip_suffix(b"MVA").unwrap_or(body);
    digits::<9>(body).is_some_and(|all| {
        matches!(all[0], 8 | 9) && mod_11(&all, &[3, 2, 7, 6, 5, 4, 3, 2]) == all[8] && !uniform(&all)
    })
}

/// Digi- ja väestötietovirasto: day of birth, a sign or letter of the century, serial, a character modulo 31. The signs `+` and
/// `-` are gone here, the letters are not.
fn fi_hetu(value: &[u8]) -> bool {
    let Some((born, rest)) = leading::<6>(value) else {
        return false;
    };
    let rest = match rest.split_first() {
        Some((b'A'..=b'F' | b'U'..=b'Y', rest)) if rest.len() == 4 => rest,
        _ => rest,
    };
    let Some((serial, [check])) = leading::<3>(rest) else {
        return false;
    };
    let whole = number(&born) * 1000 + number(&serial);
    let at = usize::try_from(whole % 31).unwrap_or(0);
    month_day(two(born[2], born[3]), two(born[0], born[1]))
        && number(&serial) >= 2
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(at) == Some(check)
}

/// PRH: a firm, modulo 11.
fn fi_ytunnus(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"FI").unwrap_or(value);
    digits::<8>(body).is_some_and(|all| mod_11(&all, &[7, 9, 10, 5, 8, 4, 2]) == all[7] && !uniform(&all))
}

/// The electronic number of a Finn: eight digits and a character modulo 31.
fn fi_satu(value: &[u8]) -> bool {
    let Some((all, [check])) = leading::<8>(value) else {
        return false;
    };
    let at = usize::try_from(number(&all) % 31).unwrap_or(0);
    number(&all) != 0 && b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(at) == Some(check)
}

/// Þjóðskrá: day of birth (40 added for a firm), serial, modulo 11, century.
fn is_kt(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let day = two(all[0], all[1]);
    let day = if day > 40 { day - 40 } else { day };
    month_day(two(all[2], all[3]), day)
        && matches!(all[9], 0 | 8 | 9)
        && weighted(&all, &[3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Umhvørvisstovan: day of birth and three digits.
fn fo_ptal(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| month_day(two(all[2], all[3]), two(all[0], all[1])))
}

/// The code of Estonia and Lithuania: sex and century, day of birth, serial, a digit modulo 11 in two rounds.
fn baltic(all: &[u32; 11]) -> bool {
    let check = match weighted(all, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11 {
        10 => weighted(all, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10,
        rest => rest,
    };
    check == all[10]
}

/// Siseministeerium.
fn ee_ik(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let year = 1800 + (all[0].saturating_sub(1)) / 2 * 100 + two(all[1], all[2]);
    (1..=8).contains(&all[0]) && date(year, two(all[3], all[4]), two(all[5], all[6])) && baltic(&all)
}

/// Registrų centras: as in Estonia; the day may be unknown, and a 9 stands for what no date fits.
fn lt_ak(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let (month, day) = (two(all[3], all[4]), two(all[5], all[6]));
    let born = month_day(month, day) || month == 0 && day == 0;
    matches!(all[0], 3..=6) && born && baltic(&all)
}

/// Pilsonības un migrācijas lietu pārvalde: day of birth, century, serial, modulo 11; since 2017 a 32 and nine digits.
fn lv_pk(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let sum = weighted(&all, &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9]);
    if all[0] == 3 && all[1] > 1 {
        return !uniform(&all[2..]);
    }
    let year = 1800 + all[6] * 100 + two(all[4], all[5]);
    all[6] <= 2 && date(year, two(all[2], all[3]), two(all[0], all[1])) && (1 + sum) % 11 % 10 == all[10]
}

/// KMKR: 3-7-1.
fn ee_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"EE").unwrap_or(value);
    digits::<9>(body)
        .is_some_and(|all| weighted(&all, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10) && number(&all) != 0)
}

/// PVM: nine digits, or twelve of one registered for a time; modulo 11 in two rounds.
fn lt_vat(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"LT").unwrap_or(value);
    let Some((&check, rest)) = body.split_last() else {
        return false;
    };
    let sum = |from: u32| -> u32 {
        rest.iter()
            .zip((1..=9).cycle().skip(usize::try_from(from).unwrap_or(0)))
            .map(|(&byte, weight): (&u8, u32)| digit(byte).unwrap_or(0) * weight)
            .sum()
    };
    let first = match sum(0) % 11 {
        10 => sum(2) % 11 % 10,
        rest => rest,
    };
    let marked = matches!(body.len(), 9 | 12) && numeric(body) && rest.last() == Some(&b'1');
    marked && alphanumeric(check) == Some(first)
}
