//! Health: patients, insured persons, and those who prescribe.

use super::Check;
use super::sums::{
    digit, digits, leading, letter, luhn, luhn_sum, mod_11, month_day, number, numeric, two, uniform, verhoeff,
    weighted,
};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("gb-nhs", gb_nhs),
    ("gb-chi", gb_chi),
    ("gb-hcn", gb_hcn),
    ("us-npi", us_npi),
    ("us-mbi", us_mbi),
    ("us-dea", us_dea),
    ("us-hicn", us_hicn),
    ("au-medicare", au_medicare),
    ("au-ihi", au_ihi),
    ("au-dva", au_dva),
    ("ca-ohip", ca_ohip),
    ("ca-bcphn", ca_bcphn),
    ("ca-ramq", ca_ramq),
    ("ca-phn-nine", ca_phn_nine),
    ("ca-ten", ca_ten),
    ("nz-nhi", nz_nhi),
    ("de-kvnr", de_kvnr),
    ("de-lanr", de_lanr),
    ("br-cns", br_cns),
    ("fr-rpps", fr_rpps),
    ("nl-agb", nl_agb),
    ("ehic", ehic),
    ("mrn", mrn),
    ("in-abha", in_abha),
];

/// NHS England and Wales: modulo 11, 10 is never given.
fn gb_nhs(value: &[u8]) -> bool {
    digits::<10>(value).is_some_and(|all| mod_11(&all, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) == all[9] && !uniform(&all))
}

/// NHS Scotland: day of birth, and the same modulo 11.
fn gb_chi(value: &[u8]) -> bool {
    gb_nhs(value) && digits::<10>(value).is_some_and(|all| month_day(two(all[2], all[3]), two(all[0], all[1])))
}

/// Northern Ireland: the same within a range of its own.
fn gb_hcn(value: &[u8]) -> bool {
    gb_nhs(value) && digits::<10>(value).is_some_and(|all| (320..=399).contains(&number(&all[..3])))
}

/// 45 CFR 162.406: ten digits that begin with 1 or 2; Luhn with 80840 before it, which adds 24.
fn us_npi(value: &[u8]) -> bool {
    let body = value
        .strip_prefix(b"80840")
        .filter(|rest| rest.len() == 10)
        .unwrap_or(value);
    digits::<10>(body)
        .is_some_and(|all| matches!(all[0], 1 | 2) && (luhn_sum(&all) + 24).is_multiple_of(10) && !uniform(&all[1..]))
}

/// CMS: a pattern of digits and letters without S, L, O, I, B, Z.
fn us_mbi(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 11]>::try_from(value) else {
        return false;
    };
    let taken = |byte: u8| byte.is_ascii_uppercase() && !b"SLOIBZ".contains(&byte);
    let number = |byte: u8| byte.is_ascii_digit();
    let either = |byte: u8| taken(byte) || number(byte);
    (b'1'..=b'9').contains(&all[0])
        && taken(all[1])
        && either(all[2])
        && number(all[3])
        && taken(all[4])
        && either(all[5])
        && number(all[6])
        && taken(all[7])
        && taken(all[8])
        && number(all[9])
        && number(all[10])
}

/// Drug Enforcement Administration: two letters (the second may be 9), seven digits, of which the last is a sum of the others.
fn us_dea(value: &[u8]) -> bool {
    let Some((&[kind, name], rest)) = value.split_first_chunk::<2>() else {
        return false;
    };
    let Some(all) = digits::<7>(rest) else { return false };
    let sum = all[0] + all[2] + all[4] + 2 * (all[1] + all[3] + all[5]);
    b"ABCDEFGHJKLMPRSTUX".contains(&kind)
        && (name.is_ascii_uppercase() || name == b'9')
        && sum % 10 == all[6]
        && number(&all) != 0
}

/// Medicare before 2018: a social security number and one or two characters of the kind of beneficiary.
fn us_hicn(value: &[u8]) -> bool {
    let Some((all, tail)) = leading::<9>(value) else {
        return false;
    };
    let kind = match tail {
        [kind] => kind.is_ascii_uppercase(),
        [kind, more] => kind.is_ascii_uppercase() && more.is_ascii_alphanumeric(),
        _ => false,
    };
    kind && number(&all[..3]) != 0 && number(&all[3..5]) != 0 && number(&all[5..]) != 0
}

/// Services Australia: begins with 2 to 6, weighted digit, issue, and often the person.
fn au_medicare(value: &[u8]) -> bool {
    let Some((all, tail)) = leading::<10>(value) else {
        return false;
    };
    (2..=6).contains(&all[0])
        && weighted(&all, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == all[8]
        && all[9] != 0
        && matches!(tail, [] | [b'1'..=b'9'])
}

/// Healthcare identifiers of Australia: 80036, Luhn.
fn au_ihi(value: &[u8]) -> bool {
    digits::<16>(value).is_some_and(|all| number(&all[..5]) == 80_036 && luhn(&all))
}

/// Department of Veterans' Affairs: state, war, number.
fn au_dva(value: &[u8]) -> bool {
    let Some((state, rest)) = value.split_first() else {
        return false;
    };
    let letters = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let tail = rest.get(letters..).unwrap_or(b"");
    let body = tail
        .strip_suffix(b"A")
        .or_else(|| tail.strip_suffix(b"B"))
        .unwrap_or(tail);
    b"NVQSWT".contains(state) && letters <= 4 && matches!(body.len(), 2..=7) && numeric(body)
}

/// Ontario: Luhn over ten digits, and two letters of the version.
fn ca_ohip(value: &[u8]) -> bool {
    let Some((all, version)) = leading::<10>(value) else {
        return false;
    };
    luhn(&all)
        && all[0] != 0
        && matches!(version.len(), 0..=2)
        && version.iter().all(u8::is_ascii_uppercase)
        && !uniform(&all)
}

/// British Columbia: 9, modulo 11.
fn ca_bcphn(value: &[u8]) -> bool {
    digits::<10>(value).is_some_and(|all| {
        let sum = weighted(&all[1..], &[2, 4, 8, 5, 10, 9, 7, 3]) % 11;
        all[0] == 9 && (11 - sum) % 11 == all[9]
    })
}

/// Québec: four letters of the name, year, month (50 added for women), day, two digits.
fn ca_ramq(value: &[u8]) -> bool {
    let Some((name, rest)) = value.split_first_chunk::<4>() else {
        return false;
    };
    let Some(all) = digits::<8>(rest) else { return false };
    let month = two(all[2], all[3]);
    let month = if month > 50 { month - 50 } else { month };
    name.iter().all(u8::is_ascii_uppercase) && month_day(month, two(all[4], all[5]))
}

/// Alberta, Manitoba, Saskatchewan, New Brunswick: nine digits.
fn ca_phn_nine(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| !uniform(&all) && number(&all) > 99_999_999)
}

/// Nova Scotia, Newfoundland: ten or twelve digits.
fn ca_ten(value: &[u8]) -> bool {
    numeric(value) && matches!(value.len(), 8 | 10 | 12) && value.iter().any(|byte| Some(byte) != value.first())
}

/// HISO 10046: three letters without I and O, three digits and a digit modulo 11; since 2019 two digits, a letter and one modulo
/// 24.
fn nz_nhi(value: &[u8]) -> bool {
    const LETTERS: &[u8; 24] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
    let Ok(all) = <&[u8; 7]>::try_from(value) else {
        return false;
    };
    let place = |byte: u8| -> Option<u32> {
        digit(byte).or_else(|| {
            let at = LETTERS.iter().position(|&letter| letter == byte)?;
            u32::try_from(at).ok().map(|at| at + 1)
        })
    };
    let mut sum = 0;
    for (&byte, weight) in all[..6].iter().zip((2..=7).rev()) {
        let Some(place) = place(byte) else { return false };
        sum += place * weight;
    }
    let letters = all[..3].iter().all(u8::is_ascii_uppercase);
    let numbers = all[3].is_ascii_digit() && all[4].is_ascii_digit();
    if !letters || !numbers {
        return false;
    }
    if all[5].is_ascii_digit() {
        let rest = sum % 11;
        return rest != 0 && digit(all[6]) == Some((11 - rest) % 10);
    }
    let at = usize::try_from(24 - sum % 24).unwrap_or(0);
    at.checked_sub(1).and_then(|at| LETTERS.get(at)) == Some(&all[6])
}

/// GKV-Spitzenverband: a letter as two digits, eight digits, one of Luhn with weights 1 and 2 from the left; the twenty-digit form
/// adds insurer and family.
fn de_kvnr(value: &[u8]) -> bool {
    let Some((first, rest)) = value.split_first() else {
        return false;
    };
    let Some(rest) = rest.first_chunk::<9>().filter(|_| matches!(rest.len(), 9 | 19)) else {
        return false;
    };
    let (Some(first), Some(all)) = (letter(*first).map(|place| place + 1), digits::<9>(rest)) else {
        return false;
    };
    let body = [
        first / 10,
        first % 10,
        all[0],
        all[1],
        all[2],
        all[3],
        all[4],
        all[5],
        all[6],
        all[7],
    ];
    let sum: u32 = body
        .iter()
        .zip([1, 2].iter().cycle())
        .map(|(digit, weight)| digit * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    sum % 10 == all[8] && value.iter().skip(10).all(u8::is_ascii_digit)
}

/// Kassenärztliche Bundesvereinigung: a physician, 4-9 over six digits, then the field.
fn de_lanr(value: &[u8]) -> bool {
    let Some(all) = digits::<9>(value) else { return false };
    (10 - weighted(&all, &[4, 9, 4, 9, 4, 9]) % 10) % 10 == all[6] && !uniform(&all)
}

/// DATASUS: fifteen digits; weights from 15 down, modulo 11.
fn br_cns(value: &[u8]) -> bool {
    let Some(all) = digits::<15>(value) else { return false };
    matches!(all[0], 1 | 2 | 7 | 8 | 9)
        && weighted(&all, &[15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
        && (all[0] > 2 || number(&all[11..13]) == 0)
}

/// ANS: a professional of health, Luhn, begins with 10 or 8.
fn fr_rpps(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| matches!(all[0], 1 | 8) && luhn(&all) && !uniform(&all))
}

/// Vektis: eight digits.
fn nl_agb(value: &[u8]) -> bool {
    digits::<8>(value).is_some_and(|all| !uniform(&all))
}

/// Decision S2 of the Administrative Commission: 80 and a country, an insurer, a serial.
fn ehic(value: &[u8]) -> bool {
    value.len() == 20 && numeric(value) && value.starts_with(b"80")
}

/// A hospital's own number: letters and digits, of which five or more are digits.
fn mrn(value: &[u8]) -> bool {
    value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 5
        && value.iter().any(|byte| Some(byte) != value.first())
}

/// NHA: fourteen digits, Verhoeff; begins with 91 for most.
fn in_abha(value: &[u8]) -> bool {
    digits::<14>(value)
        .is_some_and(|all| all[0] != 0 && !uniform(&all) && (verhoeff(&all) || all[0] == 9 && all[1] == 1))
}
