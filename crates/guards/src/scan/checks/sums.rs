//! What the checks are made of: digits as numbers, weighted sums, the check systems that many countries share, dates.

/// The value as exactly `N` decimal digits.
pub(super) fn digits<const N: usize>(value: &[u8]) -> Option<[u32; N]> {
    let all: &[u8; N] = value.try_into().ok()?;
    all.iter()
        .all(u8::is_ascii_digit)
        .then(|| all.map(|byte| u32::from(byte.wrapping_sub(b'0'))))
}

/// The first `N` bytes as digits, and the rest.
pub(super) fn leading<const N: usize>(value: &[u8]) -> Option<([u32; N], &[u8])> {
    let (head, rest) = value.split_first_chunk::<N>()?;
    Some((digits(head)?, rest))
}

/// All bytes are digits, and there is at least one.
pub(super) fn numeric(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// The digit of a byte.
pub(super) fn digit(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte.wrapping_sub(b'0')))
}

/// The place of a capital letter in the alphabet, from 0.
pub(super) fn letter(byte: u8) -> Option<u32> {
    byte.is_ascii_uppercase().then(|| u32::from(byte.wrapping_sub(b'A')))
}

/// Digits as they are, letters as 10 to 35 (ISO 13616, ICAO 9303 and others).
pub(super) fn alphanumeric(byte: u8) -> Option<u32> {
    digit(byte).or_else(|| letter(byte).map(|place| place + 10))
}

/// The sum of digits times weights, as far as both go.
pub(super) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// The digit that makes the weighted sum a multiple of 11; 10 has a meaning of its own in each country.
pub(super) fn mod_11(digits: &[u32], weights: &[u32]) -> u32 {
    (11 - weighted(digits, weights) % 11) % 11
}

/// The number that the digits spell.
pub(super) fn number(digits: &[u32]) -> u64 {
    digits
        .iter()
        .fold(0, |sum: u64, &digit| sum.wrapping_mul(10).wrapping_add(digit.into()))
}

/// The number that the digits spell, modulo `modulus`; however long it is.
pub(super) fn remainder(digits: &[u32], modulus: u32) -> u32 {
    let modulus = u64::from(modulus.max(1));
    let rest = digits
        .iter()
        .fold(0, |rest: u64, &digit| (rest * 10 + u64::from(digit)) % modulus);
    u32::try_from(rest).unwrap_or(u32::MAX)
}

/// Every digit is the first one: filler, which passes many sums.
pub(super) fn uniform(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| pair.first() == pair.last())
}

/// Luhn (ISO/IEC 7812-1 annex B) over the whole, check digit last.
pub(super) fn luhn(digits: &[u32]) -> bool {
    luhn_sum(digits).is_multiple_of(10)
}

/// The sum of Luhn: every second digit from the right is doubled, its digits summed.
pub(super) fn luhn_sum(digits: &[u32]) -> u32 {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| if at % 2 == 1 { doubled(digit) } else { digit })
        .sum()
}

/// ISO/IEC 7064 MOD 11,10 over the whole, check digit last.
pub(super) fn mod_11_10(digits: &[u32]) -> bool {
    let Some((&check, body)) = digits.split_last() else {
        return false;
    };
    let product = body.iter().fold(10, |product, &digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (product + check) % 10 == 1
}

/// ISO/IEC 7064 MOD 97-10 over digits and letters as they stand: the whole leaves 1.
pub(super) fn mod_97(value: impl Iterator<Item = u8>) -> Option<u32> {
    let mut rest = 0;
    for byte in value {
        let place = alphanumeric(byte)?;
        rest = (if place > 9 {
            rest * 100 + place
        } else {
            rest * 10 + place
        }) % 97;
    }
    Some(rest)
}

const VERHOEFF_PRODUCT: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];

const VERHOEFF_TURN: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

/// Verhoeff (the dihedral group of ten), check digit last.
pub(super) fn verhoeff(digits: &[u32]) -> bool {
    let mut state = 0_usize;
    for (turn, &digit) in VERHOEFF_TURN.iter().cycle().zip(digits.iter().rev()) {
        let turned = usize::try_from(digit)
            .ok()
            .and_then(|digit| turn.get(digit))
            .copied()
            .map(usize::from);
        let next = turned.and_then(|turned| VERHOEFF_PRODUCT.get(state)?.get(turned));
        let Some(&next) = next else { return false };
        state = next.into();
    }
    state == 0 && !digits.is_empty()
}

/// Two digits as a number.
pub(super) fn two(tens: u32, ones: u32) -> u32 {
    tens * 10 + ones
}

/// A day that some year has.
pub(super) fn month_day(month: u32, day: u32) -> bool {
    date(2000, month, day)
}

/// A day of the Gregorian calendar.
pub(super) fn date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=last).contains(&day)
}

/// A year in which somebody who lives, or died not long ago, was born; the upper end leaves room for the years to come.
pub(super) fn birth_year(year: u32) -> bool {
    (1880..=2049).contains(&year)
}

/// The sum of digits from the right, with the weights 2, 3, 4 and on.
pub(super) fn rising(digits: &[u8]) -> u32 {
    let weighted = digits.iter().rev().zip(2..);
    weighted.map(|(&byte, weight)| digit(byte).unwrap_or(0) * weight).sum()
}

/// Italy's control of letters and digits, as a number below 26: those in odd places count by a table of their own.
pub(super) fn italian(value: &[u8]) -> Option<u32> {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let mut sum = 0;
    for (at, &byte) in value.iter().enumerate() {
        let place = digit(byte).or_else(|| letter(byte))?;
        sum += match at % 2 {
            0 => *ODD.get(usize::try_from(place).ok()?)?,
            _ => place,
        };
    }
    Some(sum % 26)
}
