//! Checks that no country owns: payment cards, IBAN, devices, vehicles, persons and firms in trade.

use super::Check;
use super::sums::{digit, digits, luhn, mod_97, numeric, uniform};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("luhn", luhn_any),
    ("card", card),
    ("card-common", card_common),
    ("iban", iban),
    ("imei", imei),
    ("imeisv", imeisv),
    ("meid", meid),
    ("iccid", iccid),
    ("device", device),
    ("mac-bare", mac_bare),
    ("imsi", imsi),
    ("vin", vin),
    ("vin-form", vin_form),
    ("lei", lei),
    ("isni", isni),
];

fn values(value: &[u8]) -> impl DoubleEndedIterator<Item = u32> + Clone + '_ {
    value.iter().map(|&byte| digit(byte).unwrap_or(0))
}

/// Luhn over a number of any length up to 32.
fn luhn_any(value: &[u8]) -> bool {
    if !numeric(value) || value.len() > 32 {
        return false;
    }
    let sum: u32 = values(value)
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit) {
            (1, 5..) => digit * 2 - 9,
            (1, _) => digit * 2,
            _ => digit,
        })
        .sum();
    sum.is_multiple_of(10) && value.iter().any(|&byte| byte != b'0')
}

/// Whose cards begin with a number from `.0` to `.1` (six digits) and have from `.2` to `.3` digits; `.4` is whether a bare
/// number of that kind is common enough to be taken without a word beside it. ISO/IEC 7812 and the networks' own notices.
const NETWORKS: &[(u32, u32, usize, usize, bool)] = &[
    (400_000, 499_999, 13, 13, false), // Visa, the old length
    (400_000, 499_999, 16, 16, true),  // Visa
    (400_000, 499_999, 19, 19, false), // Visa
    (510_000, 559_999, 16, 16, true),  // Mastercard
    (222_100, 272_099, 16, 16, true),  // Mastercard, 2-series
    (340_000, 349_999, 15, 15, true),  // American Express
    (370_000, 379_999, 15, 15, true),  // American Express
    (300_000, 305_999, 14, 19, false), // Diners Club
    (309_500, 309_599, 14, 19, false), // Diners Club
    (360_000, 369_999, 14, 19, false), // Diners Club
    (380_000, 399_999, 14, 19, false), // Diners Club
    (601_100, 601_199, 16, 16, true),  // Discover
    (601_100, 601_199, 17, 19, false), // Discover
    (644_000, 659_999, 16, 16, true),  // Discover; within it RuPay, Troy, Elo
    (644_000, 659_999, 17, 19, false), // Discover
    (352_800, 358_999, 16, 16, true),  // JCB
    (352_800, 358_999, 17, 19, false), // JCB
    (180_000, 180_099, 15, 15, false), // JCB
    (213_100, 213_199, 15, 15, false), // JCB
    (620_000, 629_999, 16, 16, true),  // UnionPay
    (620_000, 629_999, 17, 19, false), // UnionPay
    (810_000, 829_999, 16, 19, false), // UnionPay, RuPay
    (220_000, 220_499, 16, 16, true),  // Mir
    (220_000, 220_499, 17, 19, false), // Mir
    (600_000, 600_099, 12, 19, false), // Maestro, UzCard
    (508_200, 508_999, 16, 16, true),  // RuPay
    (606_900, 608_999, 16, 16, true),  // RuPay, Hipercard
    (353_000, 356_999, 16, 16, true),  // RuPay with JCB
    (979_200, 979_299, 16, 16, true),  // Troy
    (501_800, 501_899, 16, 16, true),  // Maestro
    (502_000, 502_099, 16, 16, true),  // Maestro
    (503_800, 503_899, 16, 16, true),  // Maestro
    (630_400, 630_499, 16, 16, true),  // Maestro
    (675_900, 675_999, 16, 16, true),  // Maestro
    (676_100, 676_399, 16, 16, true),  // Maestro
    (500_000, 509_999, 12, 19, false), // Maestro, Elo, Verve, Dankort 5019, BC Card
    (560_000, 589_999, 12, 19, false), // Maestro, Bancontact
    (590_000, 639_999, 12, 19, false), // Maestro, InstaPayment, Girocard
    (640_000, 643_999, 12, 19, false), // Maestro
    (660_000, 699_999, 12, 19, false), // Maestro, Girocard 67, Laser
    (636_200, 636_999, 16, 19, false), // Elo
    (650_000, 655_099, 16, 16, true),  // Elo, Verve
    (986_000, 986_099, 16, 16, false), // Humo
    (940_000, 949_999, 16, 16, false), // BC Card, Korea
    (960_300, 960_399, 16, 16, false), // LankaPay and others
    (100_000, 199_999, 15, 15, false), // UATP
];

/// A payment card: a known network of that length, and Luhn.
fn card(value: &[u8]) -> bool {
    card_of(value, false)
}

/// A payment card of a network and length that most cards have.
fn card_common(value: &[u8]) -> bool {
    card_of(value, true)
}

fn card_of(value: &[u8], common: bool) -> bool {
    let Some(head) = value.first_chunk::<6>().and_then(|head| digits::<6>(head)) else {
        return false;
    };
    let head = head.iter().fold(0, |sum, digit| sum * 10 + digit);
    // UATP shares its first digit with every time in epoch seconds: only a word can tell.
    NETWORKS.iter().any(|&(from, to, short, long, usual)| {
        (from..=to).contains(&head) && (short..=long).contains(&value.len()) && (usual || !common)
    }) && luhn_any(value)
        && !value.windows(2).all(|pair| pair.first() == pair.last())
}

/// Lengths of IBANs by country: the registry of ISO 13616 and, after it, the countries that use the form without being in it.
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
    (b"AO", 25),
    (b"BF", 28),
    (b"BJ", 28),
    (b"CF", 27),
    (b"CG", 27),
    (b"CI", 28),
    (b"CM", 27),
    (b"CV", 25),
    (b"DZ", 26),
    (b"GA", 27),
    (b"GQ", 27),
    (b"GW", 25),
    (b"IR", 26),
    (b"KM", 27),
    (b"MA", 28),
    (b"MG", 27),
    (b"ML", 28),
    (b"MZ", 25),
    (b"NE", 28),
    (b"SN", 28),
    (b"TD", 27),
    (b"TG", 28),
];

/// ISO 13616: a country, its length, MOD 97-10 with the first four characters last.
fn iban(value: &[u8]) -> bool {
    let Some((head, body)) = value.split_first_chunk::<4>() else {
        return false;
    };
    let [first, second, tens, ones] = *head;
    let known = IBAN_LENGTHS
        .iter()
        .any(|&(country, length)| *country == [first, second] && length == value.len());
    known
        && tens.is_ascii_digit()
        && ones.is_ascii_digit()
        && body.iter().any(|&byte| byte != b'0')
        && mod_97(body.iter().chain(head).copied()) == Some(1)
}

/// 3GPP TS 23.003: reporting body, type and serial number, Luhn.
fn imei(value: &[u8]) -> bool {
    let Some(all) = digits::<15>(value) else { return false };
    // Reporting bodies begin with 01, 35, 86, 91, 98, 99 and others; none with 00 that is a telephone.
    let body = all[0] * 10 + all[1];
    matches!(body, 1 | 10 | 30 | 31 | 33 | 35 | 44 | 45 | 49..=54 | 86 | 91 | 98 | 99)
        && luhn(&all)
        && !uniform(&all[2..14])
}

/// 3GPP TS 23.003: the same with a version of software in the place of the check digit.
fn imeisv(value: &[u8]) -> bool {
    let Some(all) = digits::<16>(value) else { return false };
    matches!(
        all[0] * 10 + all[1],
        1 | 10 | 30 | 31 | 33 | 35 | 44 | 45 | 49..=54 | 86 | 91 | 98 | 99
    )
}

/// TIA: 14 hexadecimal digits that begin with A0 or above, or 18 decimal ones.
fn meid(value: &[u8]) -> bool {
    match value.len() {
        14 | 15 => value.iter().all(u8::is_ascii_hexdigit) && matches!(value.first(), Some(b'A'..=b'F' | b'9')),
        18 => numeric(value) && value.starts_with(b"2"),
        _ => false,
    }
}

/// ITU-T E.118: 89 for telecommunication, country, issuer, account, Luhn over 19 digits; many write a twentieth digit.
fn iccid(value: &[u8]) -> bool {
    let value = value.strip_suffix(b"F").unwrap_or(value);
    value.starts_with(b"89")
        && match value.len() {
            18 => numeric(value),
            19 | 20 => luhn_any(value) || value.get(..19).is_some_and(luhn_any),
            21 | 22 => luhn_any(value),
            _ => false,
        }
}

/// An identifier that an operating system gives a device: 16 hexadecimal digits (Android), 24 or 40 (Apple), a UUID.
fn device(value: &[u8]) -> bool {
    matches!(value.len(), 16 | 24 | 32 | 40) && is_mixed_hex(value)
}

/// Twelve hexadecimal digits.
fn mac_bare(value: &[u8]) -> bool {
    value.len() == 12 && is_mixed_hex(value)
}

/// Hexadecimal digits, both letters and figures among them.
fn is_mixed_hex(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_hexdigit)
        && value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
}

/// ITU-T E.212: a mobile country code (201 to 799, or 901) and a number.
fn imsi(value: &[u8]) -> bool {
    let Some(all) = digits::<15>(value) else { return false };
    let country = all[0] * 100 + all[1] * 10 + all[2];
    ((202..=750).contains(&country) || country == 901) && !uniform(&all[3..])
}

/// What a letter or digit counts for in a vehicle number: I, O and Q do not occur.
fn vin_value(byte: u8) -> Option<u32> {
    Some(match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A' | b'J' => 1,
        b'B' | b'K' | b'S' => 2,
        b'C' | b'L' | b'T' => 3,
        b'D' | b'M' | b'U' => 4,
        b'E' | b'N' | b'V' => 5,
        b'F' | b'W' => 6,
        b'G' | b'P' | b'X' => 7,
        b'H' | b'Y' => 8,
        b'R' | b'Z' => 9,
        _ => return None,
    })
}

/// 49 CFR 565.15: the ninth character is the weighted sum modulo 11.
fn vin(value: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let Ok(all) = <&[u8; 17]>::try_from(value) else {
        return false;
    };
    let mut sum = 0;
    for (&byte, weight) in all.iter().zip(WEIGHTS) {
        let Some(place) = vin_value(byte) else { return false };
        sum += place * weight;
    }
    let check = if all[8] == b'X' { Some(10) } else { digit(all[8]) };
    check == Some(sum % 11) && vin_form(value)
}

/// ISO 3779: 17 characters without I, O, Q, of which the last four are digits; Europe uses no check digit.
fn vin_form(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 17]>::try_from(value) else {
        return false;
    };
    all.iter().all(|&byte| vin_value(byte).is_some())
        && all[13..].iter().all(u8::is_ascii_digit)
        && all.iter().any(u8::is_ascii_uppercase)
        && all.iter().any(|byte| *byte != all[0])
}

/// ISO 17442: 18 characters and two digits, MOD 97-10.
fn lei(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 20]>::try_from(value) else {
        return false;
    };
    all[18].is_ascii_digit() && all[19].is_ascii_digit() && mod_97(value.iter().copied()) == Some(1)
}

/// ISO 27729 (and ORCID): ISO/IEC 7064 MOD 11-2 over 16 characters.
fn isni(value: &[u8]) -> bool {
    let Some((&check, body)) = value.split_last() else {
        return false;
    };
    let Some(body) = digits::<15>(body) else { return false };
    let sum = body.iter().fold(0, |sum, digit| (sum + digit) * 2 % 11);
    let wanted = (12 - sum) % 11;
    check
        == if wanted == 10 {
            b'X'
        } else {
            u8::try_from(wanted).unwrap_or(0) + b'0'
        }
}
