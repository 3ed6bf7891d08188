//! Bank accounts and the wallets of crypto currencies.

use super::Check;
use super::sums::{
    alphanumeric, digit, digits, italian, leading, letter, luhn, mod_97, number, numeric, remainder, uniform, weighted,
};
use sha2::{Digest, Sha256};

pub(super) const TABLE: &[(&str, Check)] = &[
    ("us-aba", us_aba),
    ("account", account),
    ("account-number", account_number),
    ("gb-sort", gb_sort),
    ("mx-clabe", mx_clabe),
    ("ar-cbu", ar_cbu),
    ("in-ifsc", in_ifsc),
    ("es-ccc", es_ccc),
    ("fr-rib", fr_rib),
    ("be-bban", be_bban),
    ("no-kontonr", no_kontonr),
    ("cz-account", cz_account),
    ("hu-account", hu_account),
    ("it-bban", it_bban),
    ("nl-account", nl_account),
    ("fi-bban", fi_bban),
    ("pl-nrb", pl_nrb),
    ("pt-nib", pt_nib),
    ("nz-account", nz_account),
    ("ng-nuban", ng_nuban),
];

/// Checks that need the value as it is written, in upper and lower case.
pub(super) const AS_WRITTEN: &[(&str, Check)] = &[
    ("bitcoin", bitcoin),
    ("litecoin", litecoin),
    ("dogecoin", dogecoin),
    ("tron", tron),
    ("ripple", ripple),
    ("bech32", bech32_any),
    ("cashaddr", cashaddr),
    ("ethereum", ethereum),
    ("solana", solana),
    ("monero", monero),
    ("stellar", stellar),
    ("extended-key", extended_key),
    ("wif", wif),
];

/// American Bankers Association: a Federal Reserve district, 3-7-1.
fn us_aba(value: &[u8]) -> bool {
    let Some(all) = digits::<9>(value) else { return false };
    matches!(all[0] * 10 + all[1], 1..=12 | 21..=32 | 61..=72 | 80)
        && weighted(&all, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && !uniform(&all)
}

/// An account without a check digit: more than one digit occurs.
fn account(value: &[u8]) -> bool {
    value.iter().any(|byte| Some(byte) != value.first()) && value.iter().any(u8::is_ascii_digit)
}

/// The same with five digits or more: a word beside it is no account.
fn account_number(value: &[u8]) -> bool {
    account(value) && value.iter().filter(|byte| byte.is_ascii_digit()).count() >= 5
}

/// Six digits that are not all the same.
fn gb_sort(value: &[u8]) -> bool {
    digits::<6>(value).is_some_and(|all| !uniform(&all))
}

/// Banxico: bank, place, account, 3-7-1 with each product modulo 10.
fn mx_clabe(value: &[u8]) -> bool {
    let Some(all) = digits::<18>(value) else { return false };
    let sum: u32 = all[..17]
        .iter()
        .zip([3, 7, 1].iter().cycle())
        .map(|(digit, weight)| digit * weight % 10)
        .sum();
    (10 - sum % 10) % 10 == all[17] && number(&all[..3]) > 1 && !uniform(&all)
}

/// BCRA: bank and branch with one digit, account with another.
fn ar_cbu(value: &[u8]) -> bool {
    let Some(all) = digits::<22>(value) else { return false };
    let check = |body: &[u32]| -> u32 {
        let sum: u32 = body
            .iter()
            .rev()
            .zip([3, 1, 7, 9].iter().cycle())
            .map(|(digit, weight)| digit * weight)
            .sum();
        (10 - sum % 10) % 10
    };
    check(&all[..7]) == all[7] && check(&all[8..21]) == all[21] && !uniform(&all)
}

/// Reserve Bank of India: four letters of the bank, 0, six characters of the branch.
fn in_ifsc(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 11]>::try_from(value) else {
        return false;
    };
    all[..4].iter().all(u8::is_ascii_uppercase)
        && all[4] == b'0'
        && all[5..].iter().all(|&byte| alphanumeric(byte).is_some())
}

/// Spain, before the IBAN: bank and branch with one digit, account with another.
fn es_ccc(value: &[u8]) -> bool {
    const WEIGHTS: [u32; 10] = [1, 2, 4, 8, 5, 10, 9, 7, 3, 6];
    let Some(all) = digits::<20>(value) else { return false };
    let check = |body: &[u32], weights: &[u32]| match 11 - weighted(body, weights) % 11 {
        11 => 0,
        10 => 1,
        other => other,
    };
    check(&all[..8], &WEIGHTS[2..]) == all[8] && check(&all[10..], &WEIGHTS) == all[9] && !uniform(&all)
}

/// France, before the IBAN: bank, branch, account (letters count as digits), key modulo 97.
fn fr_rib(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 23]>::try_from(value) else {
        return false;
    };
    let place = |byte: u8| -> Option<u32> {
        Some(match byte {
            b'0'..=b'9' => u32::from(byte - b'0'),
            b'A'..=b'I' => u32::from(byte - b'A') + 1,
            b'J'..=b'R' => u32::from(byte - b'J') + 1,
            b'S'..=b'Z' => u32::from(byte - b'S') + 2,
            _ => return None,
        })
    };
    let mut sum = 0;
    for &byte in all {
        let Some(place) = place(byte) else { return false };
        sum = (sum * 10 + place) % 97;
    }
    sum == 0 && all[..10].iter().all(u8::is_ascii_digit) && all.iter().any(|byte| *byte != b'0')
}

/// Belgium, before the IBAN: the first ten modulo 97, 97 for 0.
fn be_bban(value: &[u8]) -> bool {
    let Some(all) = digits::<12>(value) else { return false };
    let rest = remainder(&all[..10], 97);
    number(&all[10..]) == u64::from(if rest == 0 { 97 } else { rest }) && number(&all) != 0
}

/// Norway: modulo 11.
fn no_kontonr(value: &[u8]) -> bool {
    let Some(all) = digits::<11>(value) else { return false };
    let rest = weighted(&all, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (11 - rest) % 11 == all[10] && !uniform(&all)
}

/// Czechia and Slovakia: a prefix, the number and the bank; the number's sum is a multiple of 11. The bank's four digits
/// stand last here, and ten of the number before them.
fn cz_account(value: &[u8]) -> bool {
    if !numeric(value) || !matches!(value.len(), 6..=20) {
        return false;
    }
    let Some((body, _bank)) = value.split_last_chunk::<4>() else {
        return false;
    };
    let sum: u32 = body
        .iter()
        .rev()
        .zip([1, 2, 4, 8, 5, 10, 9, 7, 3, 6])
        .map(|(&byte, weight)| digit(byte).unwrap_or(0) * weight)
        .sum();
    sum.is_multiple_of(11) && body.iter().any(|&byte| byte != b'0')
}

/// Hungary: the first eight, and all others, 9-7-3-1.
fn hu_account(value: &[u8]) -> bool {
    let sum = |body: &[u8]| -> u32 {
        body.iter()
            .zip([9, 7, 3, 1].iter().cycle())
            .map(|(&byte, weight)| digit(byte).unwrap_or(0) * weight)
            .sum()
    };
    let Some((bank, rest)) = value.split_first_chunk::<8>() else {
        return false;
    };
    numeric(value)
        && matches!(value.len(), 16 | 24)
        && sum(bank).is_multiple_of(10)
        && sum(rest).is_multiple_of(10)
        && bank.iter().any(|&byte| byte != b'0')
}

/// Italy, before the IBAN: a control letter, bank and branch, account.
fn it_bban(value: &[u8]) -> bool {
    let Ok(all) = <&[u8; 23]>::try_from(value) else {
        return false;
    };
    letter(all[0]).is_some() && letter(all[0]) == italian(&all[1..]) && all[1..11].iter().all(u8::is_ascii_digit)
}

/// The Netherlands, before the IBAN: nine or ten digits, the sum of eleven.
fn nl_account(value: &[u8]) -> bool {
    let Some(all) = digits::<10>(value).or_else(|| {
        let nine = digits::<9>(value)?;
        let mut ten = [0; 10];
        ten.iter_mut()
            .skip(1)
            .zip(nine)
            .for_each(|(place, digit)| *place = digit);
        Some(ten)
    }) else {
        return false;
    };
    weighted(&all, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11) && !uniform(&all[1..])
}

/// Finland, before the IBAN: fourteen digits in machine form, Luhn.
fn fi_bban(value: &[u8]) -> bool {
    digits::<14>(value).is_some_and(|all| luhn(&all) && !uniform(&all))
}

/// An IBAN without its country, whose check digits come first.
fn bare_iban(country: [u8; 2], checks: &[u8], body: &[u8]) -> bool {
    mod_97(body.iter().copied().chain(country).chain(checks.iter().copied())) == Some(1)
        && body.iter().any(|&byte| byte != b'0')
}

/// Poland: the IBAN without `PL`.
fn pl_nrb(value: &[u8]) -> bool {
    value.len() == 26
        && numeric(value)
        && value
            .split_at_checked(2)
            .is_some_and(|(checks, body)| bare_iban(*b"PL", checks, body))
}

/// Portugal: 21 digits, MOD 97-10.
fn pt_nib(value: &[u8]) -> bool {
    digits::<21>(value).is_some_and(|all| remainder(&all, 97) == 1 && !uniform(&all))
}

/// New Zealand: bank of 01 to 38, branch, account, suffix; the sums differ by bank and are not looked at.
fn nz_account(value: &[u8]) -> bool {
    matches!(value.len(), 15 | 16)
        && leading::<2>(value).is_some_and(|([tens, ones], _)| (1..=38).contains(&(tens * 10 + ones)))
        && numeric(value)
        && value.iter().skip(6).any(|&byte| byte != b'0')
}

/// Nigeria, NUBAN: its check digit needs the bank's code, which is not in the number; ten digits, not all the same.
fn ng_nuban(value: &[u8]) -> bool {
    digits::<10>(value).is_some_and(|all| !uniform(&all))
}

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE58_RIPPLE: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// Most bytes that an address in Base58 stands for here (an extended key has 82).
const BASE58_BYTES_MAX: usize = 96;

/// Base58 into the end of a buffer; returns how many bytes. Big numbers by hand: an address has at most 112 characters.
fn base58(value: &[u8], alphabet: &[u8; 58], room: &mut [u8; BASE58_BYTES_MAX]) -> Option<usize> {
    if value.len() > 112 {
        return None;
    }
    let mut length = 0;
    for &byte in value {
        let mut carry = alphabet.iter().position(|&letter| letter == byte)?;
        for place in room.iter_mut().rev().take(length) {
            let sum = usize::from(*place) * 58 + carry;
            *place = u8::try_from(sum % 256).ok()?;
            carry = sum / 256;
        }
        while carry > 0 {
            length += 1;
            let at = BASE58_BYTES_MAX.checked_sub(length)?;
            *room.get_mut(at)? = u8::try_from(carry % 256).ok()?;
            carry /= 256;
        }
    }
    let zero = alphabet.first().copied()?;
    length += value.iter().take_while(|&&byte| byte == zero).count();
    (length <= BASE58_BYTES_MAX).then_some(length)
}

/// Base58Check: so many bytes, a version that `known` knows, and four bytes of SHA-256 twice.
fn base58_check(value: &[u8], alphabet: &[u8; 58], bytes: &[usize], known: fn(&[u8]) -> bool) -> bool {
    let mut room = [0; BASE58_BYTES_MAX];
    let Some(length) = base58(value, alphabet, &mut room) else {
        return false;
    };
    let Some(whole) = BASE58_BYTES_MAX.checked_sub(length).and_then(|at| room.get(at..)) else {
        return false;
    };
    let Some((payload, sum)) = whole.split_last_chunk::<4>() else {
        return false;
    };
    bytes.contains(&payload.len())
        && known(payload)
        && Sha256::digest(Sha256::digest(payload)).first_chunk::<4>() == Some(sum)
}

/// Bitcoin: an address of the main or test net in Base58, or in Bech32.
fn bitcoin(value: &[u8]) -> bool {
    base58_check(value, BASE58, &[21], |payload| {
        matches!(payload.first(), Some(0 | 5 | 0x6f | 0xc4))
    }) || bech32(value).is_some_and(|(part, long)| matches!(part, b"bc" | b"tb" | b"BC" | b"TB") && long)
}

/// Litecoin.
fn litecoin(value: &[u8]) -> bool {
    base58_check(value, BASE58, &[21], |payload| {
        matches!(payload.first(), Some(0x30 | 0x32 | 5))
    }) || bech32(value).is_some_and(|(part, long)| matches!(part, b"ltc" | b"LTC") && long)
}

/// Dogecoin and Dash.
fn dogecoin(value: &[u8]) -> bool {
    base58_check(value, BASE58, &[21], |payload| {
        matches!(payload.first(), Some(0x1e | 0x16 | 0x4c | 0x10))
    })
}

/// Tron.
fn tron(value: &[u8]) -> bool {
    base58_check(value, BASE58, &[21], |payload| payload.first() == Some(&0x41))
}

/// The XRP Ledger, which has an alphabet of its own.
fn ripple(value: &[u8]) -> bool {
    base58_check(value, BASE58_RIPPLE, &[21], |payload| payload.first() == Some(&0))
}

/// BIP 32: an extended public or private key (`xpub`, `xprv`, `ypub`, `zpub` and their kin).
fn extended_key(value: &[u8]) -> bool {
    base58_check(value, BASE58, &[78], |payload| matches!(payload.first(), Some(4 | 2)))
}

/// A private key of Bitcoin in wallet import format.
fn wif(value: &[u8]) -> bool {
    base58_check(value, BASE58, &[33, 34], |payload| {
        matches!(payload.first(), Some(0x80 | 0xef)) && (payload.len() == 33 || payload.last() == Some(&1))
    })
}

const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// BIP 173 and BIP 350: the human part, and whether the data has a length that an address has.
fn bech32(value: &[u8]) -> Option<(&[u8], bool)> {
    let lower = value.iter().any(u8::is_ascii_lowercase);
    let upper = value.iter().any(u8::is_ascii_uppercase);
    if value.len() > 130 || lower && upper {
        return None;
    }
    let at = value.iter().rposition(|&byte| byte == b'1')?;
    let (part, data) = (value.get(..at)?, value.get(at + 1..)?);
    if part.is_empty() || data.len() < 6 {
        return None;
    }
    let mut state = 1;
    let low = |byte: &u8| u32::from(byte.to_ascii_lowercase());
    for byte in part {
        state = bech32_step(state, low(byte) >> 5);
    }
    state = bech32_step(state, 0);
    for byte in part {
        state = bech32_step(state, low(byte) & 31);
    }
    for byte in data {
        let byte = byte.to_ascii_lowercase();
        let place = BECH32.iter().position(|&letter| letter == byte)?;
        state = bech32_step(state, u32::try_from(place).ok()?);
    }
    matches!(state, 1 | 0x2bc8_30a3).then_some((part, matches!(data.len(), 39 | 59)))
}

fn bech32_step(state: u32, value: u32) -> u32 {
    const GENERATORS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = state >> 25;
    let next = (state & 0x01ff_ffff) << 5 ^ value;
    GENERATORS.iter().enumerate().fold(
        next,
        |next, (bit, generator)| if top >> bit & 1 == 1 { next ^ generator } else { next },
    )
}

/// Bech32 with a human part of any currency (`cosmos`, `addr`, `bnb`, `osmo`, `tb`).
fn bech32_any(value: &[u8]) -> bool {
    bech32(value).is_some_and(|(part, _)| part.iter().all(u8::is_ascii_alphabetic) && value.len() >= 30)
}

/// Bitcoin Cash: a sum of forty bits over the prefix and the data.
fn cashaddr(value: &[u8]) -> bool {
    let body = value.strip_prefix(b"bitcoincash:").unwrap_or(value);
    if body.len() != 42 {
        return false;
    }
    let mut state = 1;
    for byte in b"bitcoincash" {
        state = cashaddr_step(state, u64::from(byte & 31));
    }
    state = cashaddr_step(state, 0);
    for byte in body {
        let byte = byte.to_ascii_lowercase();
        let Some(place) = BECH32.iter().position(|&letter| letter == byte) else {
            return false;
        };
        state = cashaddr_step(state, u64::try_from(place).unwrap_or(0));
    }
    state == 1
}

fn cashaddr_step(state: u64, value: u64) -> u64 {
    const GENERATORS: [u64; 5] = [
        0x98_f2bc_8e61,
        0x79_b76d_99e2,
        0xf3_3e5f_b3c4,
        0xae_2eab_e2a8,
        0x1e_4f43_e470,
    ];
    let top = state >> 35;
    let next = (state & 0x07_ffff_ffff) << 5 ^ value;
    GENERATORS.iter().enumerate().fold(
        next,
        |next, (bit, generator)| if top >> bit & 1 == 1 { next ^ generator } else { next },
    )
}

/// Ethereum and its kin: 0x and forty hexadecimal digits. The case of EIP-55 is a sum over Keccak, which no crate here has;
/// what tells an address from another number of that length is the word beside it, or that nobody writes others of it.
fn ethereum(value: &[u8]) -> bool {
    let Some(body) = value.strip_prefix(b"0x").or_else(|| value.strip_prefix(b"0X")) else {
        return false;
    };
    body.len() == 40 && body.iter().all(u8::is_ascii_hexdigit) && body.iter().any(|byte| Some(byte) != body.first())
}

/// Solana: 32 bytes in Base58, without a sum.
fn solana(value: &[u8]) -> bool {
    let mut room = [0; BASE58_BYTES_MAX];
    matches!(value.len(), 32..=44) && base58(value, BASE58, &mut room) == Some(32)
}

/// Monero: Base58 in blocks, a sum over Keccak that no crate here has: the form alone.
fn monero(value: &[u8]) -> bool {
    matches!(
        (value.first(), value.len()),
        (Some(b'4' | b'8'), 95) | (Some(b'4'), 106)
    ) && value.iter().all(|byte| BASE58.contains(byte))
}

/// Stellar: Base32, version, 32 bytes, CRC-16 (XMODEM).
fn stellar(value: &[u8]) -> bool {
    let (mut bits, mut held, mut room, mut length) = (0_u32, 0_u32, [0_u8; 35], 0_usize);
    if value.len() != 56 || !matches!(value.first(), Some(b'G' | b'S')) {
        return false;
    }
    for &byte in value {
        let place = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return false,
        };
        bits = (bits << 5 | u32::from(place)) & 0xffff;
        held += 5;
        if held >= 8 {
            held -= 8;
            let Some(slot) = room.get_mut(length) else { return false };
            *slot = u8::try_from(bits >> held & 0xff).unwrap_or(0);
            length += 1;
        }
    }
    let mut sum = 0_u16;
    for &byte in &room[..33] {
        sum ^= u16::from(byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 };
        }
    }
    sum.to_le_bytes() == [room[33], room[34]]
}
