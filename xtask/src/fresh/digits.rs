//! Check digits: the algorithms, over texts of digits. Knows no country.

/// The digits of a text; other signs are left out.
pub(super) fn of(text: &str) -> Vec<u32> {
    text.chars().filter_map(|sign| sign.to_digit(10)).collect()
}

/// The value of a sign where letters count on from ten.
pub(super) fn wide(sign: char) -> u32 {
    sign.to_digit(36).unwrap_or(0)
}

/// Sum of digits times weights, pair by pair.
pub(super) fn weighted(text: &str, weights: &[u32]) -> u32 {
    of(text).iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// The number that the digits of a text spell.
pub(super) fn number(text: &str) -> u64 {
    of(text).iter().fold(0, |sum, digit| sum * 10 + u64::from(*digit))
}

/// The remainder of a long number of digits.
pub(super) fn remainder(text: &str, modulus: u32) -> u32 {
    of(text).iter().fold(0, |rest, digit| (rest * 10 + digit) % modulus)
}

/// The digit that makes the text with it pass Luhn's test.
pub(super) fn luhn(text: &str) -> u32 {
    let sum: u32 = of(text)
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 if *digit > 4 => digit * 2 - 9,
            0 => digit * 2,
            _ => *digit,
        })
        .sum();
    (10 - sum % 10) % 10
}

/// Whether the text passes Luhn's test.
#[cfg(test)]
pub(super) fn luhn_holds(text: &str) -> bool {
    let all = of(text);
    let Some((last, _)) = all.split_last() else {
        return false;
    };
    let body: String = all[..all.len() - 1].iter().map(u32::to_string).collect();
    luhn(&body) == *last
}

/// ISO 7064 mod 11,10.
pub(super) fn mod_11_10(text: &str) -> u32 {
    let rest = of(text).iter().fold(10, |rest, digit| {
        let sum = (rest + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - rest) % 10
}

/// ISO 7064 mod 11-2; ten is `X`.
pub(super) fn mod_11_2(text: &str) -> char {
    let rest = of(text).iter().fold(0, |rest, digit| (rest + digit) * 2 % 11);
    match (12 - rest) % 11 {
        10 => 'X',
        digit => char::from_digit(digit, 10).unwrap_or('0'),
    }
}

/// Two digits of ISO 7064 mod 97-10 for a text of digits and letters (each letter counts as two digits).
pub(super) fn mod_97_10(text: &str) -> String {
    let rest = text.chars().chain("00".chars()).fold(0_u32, |rest, sign| {
        let value = wide(sign);
        if value > 9 {
            (rest * 100 + value) % 97
        } else {
            (rest * 10 + value) % 97
        }
    });
    format!("{:02}", 98 - rest)
}

/// Verhoeff's check digit.
pub(super) fn verhoeff(text: &str) -> u32 {
    const TURN: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let turned = |mut digit: u32, times: usize| {
        for _ in 0..times % 8 {
            digit = TURN[digit as usize];
        }
        digit
    };
    let sum = of(text)
        .iter()
        .rev()
        .enumerate()
        .fold(0, |sum, (at, digit)| dihedral(sum, turned(*digit, at + 1)));
    (0..10).find(|digit| dihedral(sum, *digit) == 0).unwrap_or(0)
}

fn dihedral(left: u32, right: u32) -> u32 {
    match (left < 5, right < 5) {
        (true, true) => (left + right) % 5,
        (true, false) => (left + right) % 5 + 5,
        (false, true) => (left + 5 - right) % 5 + 5,
        (false, false) => (left + 5 - right) % 5,
    }
}

/// The EAN check digit: weights 1 and 3 in turn, 3 next to the check digit.
pub(super) fn ean(text: &str) -> u32 {
    let sum: u32 = of(text)
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 0 { digit * 3 } else { *digit })
        .sum();
    (10 - sum % 10) % 10
}

/// Weights 7, 3, 1 over digits and letters, modulo 10: machine-readable zones.
pub(super) fn icao(text: &str) -> u32 {
    text.chars()
        .map(|sign| if sign == '<' { 0 } else { wide(sign) })
        .zip([7, 3, 1].iter().cycle())
        .map(|(value, weight)| value * weight)
        .sum::<u32>()
        % 10
}

/// The ninth sign of a vehicle identification number of seventeen.
pub(super) fn vin(text: &str) -> char {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |sign: char| match sign {
        'A'..='H' => sign as u32 - 'A' as u32 + 1,
        'J'..='R' => sign as u32 - 'J' as u32 + 1,
        'S'..='Z' => sign as u32 - 'S' as u32 + 2,
        _ => wide(sign),
    };
    let sum: u32 = text
        .chars()
        .zip(WEIGHTS)
        .map(|(sign, weight)| value(sign) * weight)
        .sum();
    match sum % 11 {
        10 => 'X',
        digit => char::from_digit(digit, 10).unwrap_or('0'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples() {
        assert_eq!(luhn("7992739871"), 3);
        assert!(luhn_holds("4111 1111 1111 1111") && !luhn_holds("4111111111111112"));
        assert_eq!(verhoeff("236"), 3);
        assert_eq!(mod_11_2("11010519491231002"), 'X');
        assert_eq!(mod_11_10("3339200596"), 1);
        assert_eq!(ean("400638133393"), 1);
        assert_eq!(mod_97_10("WEST12345698765432GB"), "82");
        assert_eq!(icao("L898902C3"), 6);
        assert_eq!(icao("740812"), 2);
        assert_eq!(vin("1M8GDM9A_KP042788"), 'X');
        assert_eq!(remainder("1234567", 97), 1_234_567 % 97);
    }
}
