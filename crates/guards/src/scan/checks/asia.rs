//! Asia and the Pacific: persons and taxpayers.

use super::Check;
use super::sums::{
    alphanumeric, birth_year, date, digit, digits, leading, letter, luhn, mod_11, month_day, number, numeric, two,
    uniform, verhoeff, weighted,
};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("in-aadhaar", in_aadhaar),
    ("in-vid", in_vid),
    ("in-pan", in_pan),
    ("in-voter", in_voter),
    ("in-gstin", in_gstin),
    ("in-uan", in_uan),
    ("cn-ric", cn_ric),
    ("cn-uscc", cn_uscc),
    ("tw-id", tw_id),
    ("tw-ubn", tw_ubn),
    ("hk-id", hk_id),
    ("mo-id", mo_id),
    ("sg-nric", sg_nric),
    ("sg-uen", sg_uen),
    ("my-nric", my_nric),
    ("th-pin", th_pin),
    ("id-nik", id_nik),
    ("id-npwp", id_npwp),
    ("ph-tin", ph_tin),
    ("ph-psn", ph_psn),
    ("vn-cccd", vn_cccd),
    ("vn-mst", vn_mst),
    ("kr-rrn", kr_rrn),
    ("kr-frn", kr_frn),
    ("kr-brn", kr_brn),
    ("jp-mynumber", jp_mynumber),
    ("jp-corporate", jp_corporate),
    ("pk-cnic", pk_cnic),
    ("lk-nic", lk_nic),
    ("bd-nid", bd_nid),
    ("ir-melli", ir_melli),
    ("il-tz", il_tz),
    ("tr-tckn", tr_tckn),
    ("tr-vkn", tr_vkn),
    ("sa-id", sa_id),
    ("ae-eid", ae_eid),
    ("kw-civil", kw_civil),
    ("qa-qid", qa_qid),
    ("bh-cpr", bh_cpr),
    ("kz-iin", kz_iin),
    ("uz-pinfl", uz_pinfl),
    ("kg-pin", kg_pin),
    ("au-tfn", au_tfn),
    ("au-abn", au_abn),
    ("au-acn", au_acn),
    ("nz-ird", nz_ird),
];

/// UIDAI: begins with 2 to 9, Verhoeff, no palindrome.
fn in_aadhaar(value: &[u8]) -> bool {
    digits::<12>(value).is_some_and(|all| all[0] > 1 && verhoeff(&all) && !all.iter().eq(all.iter().rev()))
}

/// UIDAI: a virtual number in the place of it.
fn in_vid(value: &[u8]) -> bool {
    digits::<16>(value).is_some_and(|all| all[0] > 1 && verhoeff(&all) && !all.iter().eq(all.iter().rev()))
}

/// Income Tax Department: three letters, the kind of holder, a letter of the name, four digits, a letter.
fn in_pan(value: &[u8]) -> bool {
    let Some((head, rest)) = value.split_first_chunk::<5>() else {
        return false;
    };
    let Some((all, [last])) = leading::<4>(rest) else {
        return false;
    };
    head.iter().all(u8::is_ascii_uppercase)
        && b"ABCFGHJLPT".contains(&head[3])
        && last.is_ascii_uppercase()
        && number(&all) != 0
}

/// Election Commission: three letters and seven digits; Luhn over them is kept by most.
fn in_voter(value: &[u8]) -> bool {
    let Some((head, rest)) = value.split_first_chunk::<3>() else {
        return false;
    };
    head.iter().all(u8::is_ascii_uppercase) && digits::<7>(rest).is_some_and(|all| !uniform(&all))
}

/// GST network: state, PAN, serial, Z, a character of base 36.
fn in_gstin(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 15]>::try_from(value) else {
        return false;
    };
    let mut sum = 0;
    for (at, &byte) in all[..14].iter().enumerate() {
        let Some(place) = alphanumeric(byte) else { return false };
        let product = if at % 2 == 0 { place } else { place * 2 };
        sum += product / 36 + product % 36;
    }
    let state = digits::<2>(&all[..2]).map_or(0, |[tens, ones]| two(tens, ones));
    (1..=99).contains(&state) && in_pan(&all[2..12]) && alphanumeric(all[14]) == Some((36 - sum % 36) % 36)
}

/// EPFO: twelve digits that begin with 10.
fn in_uan(value: &[u8]) -> bool {
    digits::<12>(value).is_some_and(|all| all[0] == 1 && !uniform(&all))
}

/// GB 11643: place, day of birth, serial, ISO/IEC 7064 MOD 11-2; fifteen digits before 1999 have no check.
fn cn_ric(value: &[u8]) -> bool {
    let place = |all: [u32; 2]| matches!(two(all[0], all[1]), 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91);
    if let Some(all) = digits::<15>(value) {
        return place([all[0], all[1]]) && date(1900 + two(all[6], all[7]), two(all[8], all[9]), two(all[10], all[11]));
    }
    let Some((all, [check])) = leading::<17>(value) else {
        return false;
    };
    let year = all[6] * 1000 + all[7] * 100 + two(all[8], all[9]);
    let sum = weighted(&all, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
    place([all[0], all[1]])
        && birth_year(year)
        && date(year, two(all[10], all[11]), two(all[12], all[13]))
        && b"10X98765432".get(usize::try_from(sum).unwrap_or(0)) == Some(check)
}

/// GB 32100: eighteen characters, modulo 31.
fn cn_uscc(value: &[u8]) -> bool {
    const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    const WEIGHTS: [u32; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let Ok(all) = <&[u8; 18]>::try_from(value) else {
        return false;
    };
    let place = |byte: u8| {
        ALPHABET
            .iter()
            .position(|&letter| letter == byte)
            .and_then(|at| u32::try_from(at).ok())
    };
    let mut sum = 0;
    for (&byte, weight) in all.iter().zip(WEIGHTS) {
        let Some(place) = place(byte) else { return false };
        sum += place * weight;
    }
    all[2..8].iter().all(u8::is_ascii_digit) && place(all[17]) == Some((31 - sum % 31) % 31)
}

/// Taiwan: a letter of the place as two digits, sex (or kind of foreigner), number, 1-9-8-7-6-5-4-3-2-1-1; the older form of
/// foreigners has a second letter.
fn tw_id(value: &[u8]) -> bool {
    const PLACES: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Ok(all) = <&[u8; 10]>::try_from(value) else {
        return false;
    };
    let place = |byte: u8| {
        PLACES
            .iter()
            .position(|&letter| letter == byte)
            .and_then(|at| u32::try_from(at).ok())
            .map(|at| at + 10)
    };
    let Some(first) = place(all[0]) else { return false };
    let second = match all[1] {
        b'1' | b'2' | b'8' | b'9' => digit(all[1]),
        b'A'..=b'D' => place(all[1]).map(|at| at % 10),
        _ => None,
    };
    let (Some(second), Some(rest)) = (second, digits::<8>(&all[2..])) else {
        return false;
    };
    let sum = first / 10 + first % 10 * 9 + second * 8 + weighted(&rest, &[7, 6, 5, 4, 3, 2, 1, 1]);
    sum.is_multiple_of(10)
}

/// Taiwan, firm: eight digits.
fn tw_ubn(value: &[u8]) -> bool {
    let Some(all) = digits::<8>(value) else { return false };
    let sum: u32 = all
        .iter()
        .zip([1, 2, 1, 2, 1, 2, 4, 1])
        .map(|(digit, weight)| digit * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    (sum.is_multiple_of(5) || sum % 5 == 4 && all[6] == 7) && !uniform(&all)
}

/// Hong Kong: one or two letters, six digits, a check of modulo 11, A for 10.
fn hk_id(value: &[u8]) -> bool {
    let (first, rest) = match value.len() {
        8 => (36, value),
        9 => match value.split_first() {
            Some((&byte, rest)) if byte.is_ascii_uppercase() => (alphanumeric(byte).unwrap_or(0), rest),
            _ => return false,
        },
        _ => return false,
    };
    let Some((&second, rest)) = rest.split_first() else {
        return false;
    };
    let (Some(second), Some((all, [check]))) = (letter(second), leading::<6>(rest)) else {
        return false;
    };
    let sum = first * 9 + (second + 10) * 8 + weighted(&all, &[7, 6, 5, 4, 3, 2]);
    let check = if *check == b'A' { Some(10) } else { digit(*check) };
    check == Some((11 - sum % 11) % 11)
}

/// Macau: begins with 1, 5 or 7, eight digits.
fn mo_id(value: &[u8]) -> bool {
    digits::<8>(value).is_some_and(|all| matches!(all[0], 1 | 5 | 7) && !uniform(&all))
}

/// ICA: a letter of the century and kind, seven digits, a letter.
fn sg_nric(value: &[u8]) -> bool {
    let Some((kind, rest)) = value.split_first() else {
        return false;
    };
    let Some((all, [check])) = leading::<7>(rest) else {
        return false;
    };
    let sum = weighted(&all, &[2, 7, 6, 5, 4, 3, 2]);
    let (letters, sum): (&[u8; 11], u32) = match kind {
        b'S' => (b"JZIHGFEDCBA", sum),
        b'T' => (b"JZIHGFEDCBA", sum + 4),
        b'F' => (b"XWUTRQPNMLK", sum),
        b'G' => (b"XWUTRQPNMLK", sum + 4),
        b'M' => (b"XWUTRQPNJLK", sum + 3),
        _ => return false,
    };
    letters.get(usize::try_from(sum % 11).unwrap_or(0)) == Some(check)
}

/// ACRA: a business, a firm or another body.
fn sg_uen(value: &[u8]) -> bool {
    let Some((check, body)) = value.split_last() else {
        return false;
    };
    let letters: &[u8] = match body.len() {
        8 => b"XMKECAWLJDB",
        9 => b"ZKCMDNERGWH",
        _ => return false,
    };
    let weights: &[u32] = if body.len() == 8 {
        &[10, 4, 9, 3, 8, 2, 7, 1]
    } else {
        &[10, 8, 6, 4, 9, 7, 5, 3, 1]
    };
    if !numeric(body) {
        return matches!(body.first(), Some(b'R' | b'S' | b'T')) && check.is_ascii_uppercase() && body.len() == 9;
    }
    let sum: u32 = body
        .iter()
        .zip(weights)
        .map(|(&byte, weight)| digit(byte).unwrap_or(0) * weight)
        .sum();
    letters.get(usize::try_from(sum % 11).unwrap_or(0)) == Some(check)
}

/// JPN: day of birth, place, serial.
fn my_nric(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    month_day(two(all[2], all[3]), two(all[4], all[5]))
        && matches!(two(all[6], all[7]), 1..=16 | 21..=68 | 71 | 72 | 74..=79 | 82..=93 | 98 | 99)
}

/// Department of Provincial Administration: thirteen digits, modulo 11.
fn th_pin(value: &[u8]) -> bool {
    let Some(all) = digits::<13>(value) else { return false };
    let sum = weighted(&all, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    (11 - sum % 11) % 10 == all[12] && all[0] != 0 && !uniform(&all)
}

/// Kemendagri: province, regency, district, day of birth (40 added for women), serial.
fn id_nik(value: &[u8]) -> bool {
    let Some(all) = digits::<16>(value) else { return false };
    let day = two(all[6], all[7]);
    let day = if day > 40 { day - 40 } else { day };
    matches!(two(all[0], all[1]), 11..=21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81 | 82 | 91..=97)
        && two(all[2], all[3]) != 0
        && month_day(two(all[8], all[9]), day)
        && number(&all[12..]) != 0
}

/// DJP: fifteen digits, Luhn over the first nine; or sixteen, which are the NIK or have a zero before.
fn id_npwp(value: &[u8]) -> bool {
    let body = value
        .strip_prefix(b"0")
        .filter(|rest| rest.len() == 15)
        .unwrap_or(value);
    match digits::<15>(body) {
        Some(all) => luhn(&all[..9]) && number(&all[..9]) != 0,
        None => id_nik(value),
    }
}

/// BIR: nine digits and a branch of three to five.
fn ph_tin(value: &[u8]) -> bool {
    matches!(value.len(), 9 | 12..=14) && numeric(value) && value.iter().take(9).any(|byte| Some(byte) != value.first())
}

/// PSA: twelve digits, or sixteen on the card.
fn ph_psn(value: &[u8]) -> bool {
    matches!(value.len(), 12 | 16) && numeric(value) && value.iter().any(|byte| Some(byte) != value.first())
}

/// Bộ Công an: province, sex and century, year, serial; nine digits before 2016.
fn vn_cccd(value: &[u8]) -> bool {
    match digits::<12>(value) {
        Some(all) => (1..=96).contains(&number(&all[..3])) && !uniform(&all[6..]),
        None => digits::<9>(value).is_some_and(|all| !uniform(&all)),
    }
}

/// Tổng cục Thuế: ten digits modulo 11, and a branch.
fn vn_mst(value: &[u8]) -> bool {
    let Some((all, branch)) = leading::<10>(value) else {
        return false;
    };
    let sum = weighted(&all, &[31, 29, 23, 19, 17, 13, 7, 5, 3]) % 11;
    10 - sum == all[9]
        && number(&all[2..9]) != 0
        && (branch.is_empty() || digits::<3>(branch).is_some_and(|branch| number(&branch) != 0))
}

/// Ministry of the Interior: day of birth, sex and century, serial. What follows the sex is random since October 2020, in the
/// numbers of babies and in those given anew; so the digit modulo 11 of the older ones cannot be asked for.
fn kr_resident(all: &[u32; 13]) -> bool {
    month_day(two(all[2], all[3]), two(all[4], all[5])) && !uniform(&all[7..])
}

/// Citizens: sex and century of 1 to 4, or 9 and 0 for the nineteenth.
fn kr_rrn(value: &[u8]) -> bool {
    digits::<13>(value).is_some_and(|all| kr_resident(&all) && !matches!(all[6], 5..=8))
}

/// Foreigners: sex and century of 5 to 8.
fn kr_frn(value: &[u8]) -> bool {
    digits::<13>(value).is_some_and(|all| kr_resident(&all) && matches!(all[6], 5..=8))
}

/// National Tax Service: ten digits, 1-3-7.
fn kr_brn(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let sum = weighted(&all, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + all[8] * 5 / 10;
    (10 - sum % 10) % 10 == all[9] && number(&all[..3]) >= 101
}

/// Ministry of Internal Affairs: twelve digits, modulo 11.
fn jp_mynumber(value: &[u8]) -> bool {
    digits::<12>(value)
        .is_some_and(|all| mod_11(&all, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 10 == all[11] && !uniform(&all))
}

/// National Tax Agency: a digit modulo 9 and twelve.
fn jp_corporate(value: &[u8]) -> bool {
    digits::<13>(value).is_some_and(|all| {
        9 - weighted(&all[1..], &[2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1]) % 9 == all[0] && !uniform(&all)
    })
}

/// NADRA: region, family, sex.
fn pk_cnic(value: &[u8]) -> bool {
    digits::<13>(value).is_some_and(|all| (1..=7).contains(&all[0]) && all[12] != 0 && !uniform(&all))
}

/// Sri Lanka: year and day of birth (500 added for women), serial; V or X in the older form.
fn lk_nic(value: &[u8]) -> bool {
    let day = |day: u64| matches!(day, 1..=366 | 501..=866);
    match value.len() {
        10 => leading::<9>(value).is_some_and(|(all, last)| matches!(last, b"V" | b"X") && day(number(&all[2..5]))),
        12 => digits::<12>(value).is_some_and(|all| {
            let year = all[0] * 1000 + all[1] * 100 + two(all[2], all[3]);
            birth_year(year) && day(number(&all[4..7]))
        }),
        _ => false,
    }
}

/// Bangladesh: ten digits, thirteen, or seventeen with the year of birth before.
fn bd_nid(value: &[u8]) -> bool {
    match value.len() {
        10 | 13 => numeric(value) && value.iter().any(|byte| Some(byte) != value.first()),
        17 => leading::<4>(value)
            .is_some_and(|(all, rest)| numeric(rest) && birth_year(all[0] * 1000 + all[1] * 100 + two(all[2], all[3]))),
        _ => false,
    }
}

/// Iran: ten digits, modulo 11.
fn ir_melli(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let rest = weighted(&all, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    all[9] == (if rest < 2 { rest } else { 11 - rest }) && !uniform(&all)
}

/// Israel: up to nine digits, Luhn with zeros before.
fn il_tz(value: &[u8]) -> bool {
    let mut room = [0; 9];
    let Some(start) = room.len().checked_sub(value.len()) else {
        return false;
    };
    if !matches!(value.len(), 8 | 9) || !numeric(value) {
        return false;
    }
    for (place, &byte) in room.iter_mut().skip(start).zip(value) {
        *place = digit(byte).unwrap_or(0);
    }
    luhn(&room) && !uniform(&room)
}

/// Nüfus: eleven digits, two of them sums.
fn tr_tckn(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let odd = all[0] + all[2] + all[4] + all[6] + all[8];
    let even = all[1] + all[3] + all[5] + all[7];
    all[0] != 0 && (odd * 7 + 10 * 9 - even) % 10 == all[9] && (odd + even + all[9]) % 10 == all[10]
}

/// Gelir İdaresi: ten digits, powers of two modulo 9.
fn tr_vkn(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value) else { return false };
    let mut sum = 0;
    for (place, &digit) in (1..=9).rev().zip(&all) {
        let first = (digit + place) % 10;
        let second = first * (1 << place) % 9;
        sum += if first != 0 && second == 0 { 9 } else { second };
    }
    (10 - sum % 10) % 10 == all[9] && !uniform(&all)
}

/// Saudi Arabia: 1 for citizens, 2 for residents, Luhn.
fn sa_id(value: &[u8]) -> bool {
    digits::<10>(value).is_some_and(|all| matches!(all[0], 1 | 2) && luhn(&all) && !uniform(&all[1..]))
}

/// Emirates: 784, year of birth, serial, Luhn.
fn ae_eid(value: &[u8]) -> bool {
    let Some(all) = digits::<15>(value) else { return false };
    let year = all[3] * 1000 + all[4] * 100 + two(all[5], all[6]);
    number(&all[..3]) == 784 && birth_year(year) && luhn(&all)
}

/// PACI: century, day of birth, serial, modulo 11.
fn kw_civil(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    let sum = weighted(&all, &[2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11;
    matches!(all[0], 2 | 3) && month_day(two(all[3], all[4]), two(all[5], all[6])) && 11 - sum == all[11]
}

/// Qatar: century, year, country of nationality (ISO 3166, numeric), serial.
fn qa_qid(value: &[u8]) -> bool {
    digits::<11>(value).is_some_and(|all| matches!(all[0], 2 | 3) && (4..=894).contains(&number(&all[3..6])))
}

/// Bahrain: year and month of birth, serial.
fn bh_cpr(value: &[u8]) -> bool {
    digits::<9>(value).is_some_and(|all| (1..=12).contains(&two(all[2], all[3])) && !uniform(&all))
}

/// Kazakhstan: day of birth, sex and century, serial, modulo 11 in two rounds.
fn kz_iin(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    let first = weighted(&all, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) % 11;
    let check = if first == 10 {
        weighted(&all, &[3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]) % 11
    } else {
        first
    };
    check == all[11] && all[6] <= 6 && month_day(two(all[2], all[3]), two(all[4], all[5]))
}

/// Uzbekistan: sex and century, day of birth, place, serial, 7-3-1.
fn uz_pinfl(value: &[u8]) -> bool {
    let Some(all) = digits::<14>(value) else { return false };
    (1..=6).contains(&all[0])
        && month_day(two(all[3], all[4]), two(all[1], all[2]))
        && weighted(&all, &[7, 3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 1, 7]) % 10 == all[13]
}

/// Kyrgyzstan: sex, day of birth with the whole year, serial.
fn kg_pin(value: &[u8]) -> bool {
    let Some(all) = digits::<14>(value) else { return false };
    let year = all[5] * 1000 + all[6] * 100 + two(all[7], all[8]);
    matches!(all[0], 1 | 2) && birth_year(year) && date(year, two(all[3], all[4]), two(all[1], all[2]))
}

/// ATO: nine digits modulo 11 (eight in old ones).
fn au_tfn(value: &[u8]) -> bool {
    match value.len() {
        9 => digits::<9>(value)
            .is_some_and(|all| weighted(&all, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) && !uniform(&all)),
        8 => digits::<8>(value).is_some_and(|all| {
            let old = weighted(&all, &[10, 7, 8, 4, 6, 3, 5, 1]).is_multiple_of(11);
            (old || weighted(&all, &[1, 4, 3, 7, 5, 8, 6, 9]).is_multiple_of(11)) && !uniform(&all)
        }),
        _ => false,
    }
}

/// ABR: eleven digits modulo 89 with 1 taken from the first.
fn au_abn(value: &[u8]) -> bool {
    let Some(mut all) = digits::<11>(value) else {
        return false;
    };
    let Some(first) = all[0].checked_sub(1) else {
        return false;
    };
    all[0] = first;
    weighted(&all, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]).is_multiple_of(89)
}

/// ASIC: nine digits, modulo 10.
fn au_acn(value: &[u8]) -> bool {
    digits::<9>(value)
        .is_some_and(|all| (10 - weighted(&all, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10 == all[8] && !uniform(&all))
}

/// Inland Revenue: eight or nine digits, modulo 11 in two rounds.
fn nz_ird(value: &[u8]) -> bool {
    let all = match value.len() {
        9 => digits::<9>(value),
        8 => digits::<8>(value).map(|all| [0, all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7]]),
        _ => None,
    };
    let Some(all) = all else { return false };
    let check = match mod_11(&all, &[3, 2, 7, 6, 5, 4, 3, 2]) {
        10 => mod_11(&all, &[7, 4, 3, 2, 5, 2, 7, 6]),
        rest => rest,
    };
    check == all[8] && (10_000_000..=150_000_000).contains(&number(&all))
}
