//! Cards, IBANs, bank accounts, addresses of cryptographic money. All random and valid by their check digits.

use super::codec::{
    BITCOIN58, RIPPLE58, base32, base58, base58_check, bech32, cash_address, crc16, five_bits, hex, keccak256,
};
use super::dice::Dice;
#[cfg(test)]
use super::digits::luhn_holds;
use super::digits::{ean, luhn, mod_97_10, of, weighted};
use super::national::lay;
use super::value::{Class, Value};

/// Network, first digits (`low-high`, `|` between), lengths.
const NETWORKS: &[(&str, &str, &[usize])] = &[
    ("visa", "4-4", &[16, 16, 16, 16, 13, 19]),
    ("mastercard", "51-55|2221-2720", &[16]),
    ("amex", "34-34|37-37", &[15]),
    ("discover", "6011-6011|644-649|65-65", &[16]),
    ("diners", "36-36|38-39|300-305", &[14]),
    ("jcb", "3528-3589", &[16]),
    ("unionpay", "620-625", &[16, 16, 17, 18, 19]),
    (
        "maestro",
        "5018-5018|5020-5020|5038-5038|5893-5893|6304-6304|6759-6759|6761-6763",
        &[16, 12, 13, 18, 19],
    ),
    ("mir", "2200-2204", &[16]),
    ("rupay", "6521-6522|508500-508999|8172-8179", &[16]),
    (
        "elo",
        "636368-636368|438935-438935|504175-504175|451416-451416|509000-509899|650031-650033",
        &[16],
    ),
    ("hipercard", "606282-606282", &[16]),
    ("troy", "979200-979289", &[16]),
    ("verve", "506099-506198", &[16, 18, 19]),
    ("dankort", "5019-5019", &[16]),
];

/// A payment card's number, bare or in groups.
pub(super) fn card(dice: &mut Dice) -> Value {
    let at = if dice.chance(55) {
        dice.below(3)
    } else {
        dice.below(NETWORKS.len())
    };
    let (network, prefixes, lengths) = NETWORKS[at];
    let (low, high) = dice.word(prefixes).split_once('-').unwrap_or(("4", "4"));
    let prefix = dice
        .between(low.parse().unwrap_or(4), high.parse().unwrap_or(4))
        .to_string();
    let length = *dice.pick(lengths);
    let body = format!("{prefix}{}", dice.digits(length - 1 - prefix.len()));
    let bare = format!("{body}{}", luhn(&body));
    let form = match length {
        _ if dice.chance(40) => "",
        14 => "#### ###### ####",
        15 => "#### ###### #####",
        13 => "#### ### ### ###",
        12 => "#### #### ####",
        19 => dice.word("#### #### #### #### ###|###### #############"),
        _ => "#### #### #### ####",
    };
    let text = match dice.below(5) {
        0 | 1 => lay(&form.replace(' ', "-"), &bare),
        _ => lay(form, &bare),
    };
    Value::new(Class::Card, network, text, "", true)
}

#[cfg(test)]
pub(super) fn card_holds(text: &str) -> bool {
    luhn_holds(text) && (12..=19).contains(&of(text).len())
}

/// Country and the form of its account part: `n` digit, `a` letter, `c` letter or digit, each with a count.
const IBANS: &[(&str, &str)] = &[
    ("AD", "8n12c"),
    ("AE", "19n"),
    ("AL", "8n16c"),
    ("AT", "16n"),
    ("AZ", "4a20c"),
    ("BA", "16n"),
    ("BE", "12n"),
    ("BG", "4a6n8c"),
    ("BH", "4a14c"),
    ("BR", "23n1a1c"),
    ("BY", "4c4n16c"),
    ("CH", "5n12c"),
    ("CR", "18n"),
    ("CY", "8n16c"),
    ("CZ", "20n"),
    ("DE", "18n"),
    ("DK", "14n"),
    ("DO", "4c20n"),
    ("EE", "16n"),
    ("EG", "25n"),
    ("ES", "20n"),
    ("FI", "14n"),
    ("FO", "14n"),
    ("FR", "10n11c2n"),
    ("GB", "4a14n"),
    ("GE", "2a16n"),
    ("GI", "4a15c"),
    ("GL", "14n"),
    ("GR", "7n16c"),
    ("GT", "24c"),
    ("HR", "17n"),
    ("HU", "24n"),
    ("IE", "4a14n"),
    ("IL", "19n"),
    ("IQ", "4a15n"),
    ("IS", "22n"),
    ("IT", "1a10n12c"),
    ("JO", "4a4n18c"),
    ("KW", "4a22c"),
    ("KZ", "3n13c"),
    ("LB", "4n20c"),
    ("LC", "4a24c"),
    ("LI", "5n12c"),
    ("LT", "16n"),
    ("LU", "3n13c"),
    ("LV", "4a13c"),
    ("LY", "21n"),
    ("MC", "10n11c2n"),
    ("MD", "20c"),
    ("ME", "18n"),
    ("MK", "3n10c2n"),
    ("MR", "23n"),
    ("MT", "4a5n18c"),
    ("MU", "4a19n3a"),
    ("NL", "4a10n"),
    ("NO", "11n"),
    ("PK", "4a16c"),
    ("PL", "24n"),
    ("PS", "4a21c"),
    ("PT", "21n"),
    ("QA", "4a21c"),
    ("RO", "4a16c"),
    ("RS", "18n"),
    ("SA", "2n18c"),
    ("SE", "20n"),
    ("SI", "15n"),
    ("SK", "20n"),
    ("SM", "1a10n12c"),
    ("TN", "20n"),
    ("TR", "5n1n16c"),
    ("UA", "6n19c"),
    ("VG", "4a16n"),
    ("XK", "16n"),
];

/// An IBAN, of `region` when that country has IBANs and the dice agree.
pub(super) fn iban(dice: &mut Dice, region: &str) -> Value {
    let own = IBANS.iter().find(|(country, _)| *country == region);
    let (country, form) = match own {
        Some(own) if dice.chance(45) => *own,
        _ => *dice.pick(IBANS),
    };
    let mut account = String::new();
    let mut count = 0;
    for sign in form.chars() {
        match sign {
            'n' => account.push_str(&dice.digits(count)),
            'a' => account.push_str(&dice.draw(super::dice::UPPER, count)),
            // Where letters may stand, banks seldom use them.
            'c' if dice.chance(80) => account.push_str(&dice.digits(count)),
            'c' => account.push_str(&dice.draw(super::dice::UPPER_ALNUM, count)),
            digit => {
                count = count * 10 + super::digits::wide(digit) as usize;
                continue;
            }
        }
        count = 0;
    }
    let bare = format!("{country}{}{account}", mod_97_10(&format!("{account}{country}")));
    let text = match dice.below(10) {
        0..=4 => bare,
        5..=8 => grouped(&bare, ' '),
        _ => grouped(&bare, '-'),
    };
    Value::new(Class::Iban, &format!("iban.{}", country.to_lowercase()), text, "", true)
}

fn grouped(bare: &str, between: char) -> String {
    let signs: Vec<char> = bare.chars().collect();
    let groups: Vec<String> = signs.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(&between.to_string())
}

#[cfg(test)]
pub(super) fn iban_holds(text: &str) -> bool {
    let bare: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let (Some(country), Some(sum), Some(account)) = (bare.get(..2), bare.get(2..4), bare.get(4..)) else {
        return false;
    };
    mod_97_10(&format!("{account}{country}")) == sum
}

/// Part of a bank account: (kind, what it is called).
pub(super) fn bank(dice: &mut Dice, region: &str) -> Value {
    let at = match region {
        "US" => dice.below(2),
        "GB" | "IE" => dice.between(2, 3),
        "MX" => 4,
        "AU" => dice.between(5, 6),
        "IN" => 7,
        "NZ" => 8,
        "CA" => dice.between(9, 10),
        "DE" | "AT" => 11,
        "ES" => 12,
        "PL" => 13,
        "HU" => 14,
        "NO" => 15,
        "CZ" | "SK" => 16,
        "BR" => 17,
        "SE" => 18,
        "DK" => 19,
        "NG" => 20,
        "JP" => 21,
        "AR" => 22,
        "ZA" => 24,
        _ => dice.below(25),
    };
    let (sub, text, label) = account(dice, at);
    Value::new(Class::BankAccount, sub, text, label, false)
}

fn account(dice: &mut Dice, at: usize) -> (&'static str, String, &'static str) {
    match at {
        0 => (
            "us.routing",
            us_routing(dice),
            dice.word("routing number|ABA routing number|ABA/RTN|bank routing no."),
        ),
        1 => {
            let length = dice.between(8, 12);
            let label =
                dice.word("account number|bank account number|checking account|acct no.|savings account number");
            ("us.account", dice.digits(length), label)
        }
        2 => (
            "gb.sortcode",
            dice.pattern("##-##-##"),
            dice.word("sort code|bank sort code|s/c"),
        ),
        3 => (
            "gb.account",
            dice.digits(8),
            dice.word("account number|bank account number|a/c no.|account no"),
        ),
        4 => (
            "mx.clabe",
            mx_clabe(dice),
            dice.word("CLABE|CLABE interbancaria|cuenta CLABE"),
        ),
        5 => ("au.bsb", dice.pattern("%##-###"), dice.word("BSB|BSB number")),
        6 => {
            let length = dice.between(8, 9);
            (
                "au.account",
                dice.digits(length),
                dice.word("account number|bank account number|acc no."),
            )
        }
        7 => {
            let length = dice.between(11, 15);
            (
                "in.account",
                format!("{}{}", dice.between(1, 9), dice.digits(length)),
                dice.word("bank account number|account number|खाता संख्या|A/c No."),
            )
        }
        8 => (
            "nz.account",
            nz_account(dice),
            dice.word("bank account number|NZ bank account|account number"),
        ),
        9 => (
            "ca.account",
            dice.pattern("#######"),
            dice.word("bank account number|account number|numéro de compte"),
        ),
        10 => (
            "ca.transit",
            dice.pattern("#####-00%"),
            dice.word("transit number|transit and institution number"),
        ),
        11 => (
            "de.konto",
            dice.pattern("%#########"),
            dice.word("Kontonummer|Konto-Nr.|Kto.-Nr."),
        ),
        12 => (
            "es.ccc",
            es_ccc(dice),
            dice.word("CCC|código cuenta cliente|número de cuenta bancaria"),
        ),
        13 => {
            let body = dice.digits(24);
            let bare = format!("{}{body}", mod_97_10(&format!("{body}PL")));
            (
                "pl.nrb",
                lay(
                    dice.word("## #### #### #### #### #### ####|##########################"),
                    &bare,
                ),
                dice.word("numer rachunku|nr konta|rachunek bankowy"),
            )
        }
        14 => ("hu.giro", hu_giro(dice), dice.word("bankszámlaszám|számlaszám")),
        15 => ("no.konto", no_konto(dice), dice.word("kontonummer|bankkonto|kontonr.")),
        16 => (
            "cz.account",
            cz_account(dice),
            dice.word("číslo účtu|bankovní účet|č. účtu"),
        ),
        17 => (
            "br.conta",
            dice.pattern("#####-#"),
            dice.word("conta corrente|número da conta|conta bancária"),
        ),
        18 => {
            let body = dice.pattern("%######");
            let bare = format!("{body}{}", luhn(&body));
            (
                "se.bankgiro",
                lay("####-####", &bare),
                dice.word("bankgiro|bankgironummer|BG"),
            )
        }
        19 => (
            "dk.konto",
            dice.pattern("%### ##########"),
            dice.word("kontonummer|reg.nr. og kontonr.|bankkonto"),
        ),
        20 => (
            "ng.nuban",
            dice.pattern("0#########"),
            dice.word("account number|NUBAN|bank account"),
        ),
        21 => (
            "jp.koza",
            dice.digits(7),
            dice.word("口座番号|普通預金口座番号|bank account number"),
        ),
        22 => ("ar.cbu", ar_cbu(dice), dice.word("CBU|clave bancaria uniforme")),
        23 => (
            "kr.account",
            dice.pattern("%##-######-##-0%#"),
            dice.word("계좌번호|은행 계좌번호|bank account number"),
        ),
        _ => {
            let length = dice.between(8, 10);
            let label = dice.word("bank account number|account number|rekeningnommer");
            (
                "za.account",
                format!("{}{}", dice.between(1, 9), dice.digits(length)),
                label,
            )
        }
    }
}

fn us_routing(dice: &mut Dice) -> String {
    let start = match dice.chance(70) {
        true => dice.padded(1, 12, 2),
        false => dice.between(21, 32).to_string(),
    };
    let body = format!("{start}{}", dice.digits(6));
    let check = (10 - weighted(&body, &[3, 7, 1, 3, 7, 1, 3, 7]) % 10) % 10;
    format!("{body}{check}")
}

/// A bank and a branch of its range, a base number below 990,000, the weighted sum divisible by eleven.
fn nz_account(dice: &mut Dice) -> String {
    loop {
        let bank = dice.word("01|02|03|06");
        let (branch, base) = (dice.padded(1, 999, 4), dice.padded(10_000, 989_999, 7));
        if weighted(&format!("{branch}{base}"), &[6, 3, 7, 9, 0, 10, 5, 8, 4, 2, 1]).is_multiple_of(11) {
            return format!("{bank}-{branch}-{base}-{}", dice.word("00|01|02|25|050"));
        }
    }
}

fn mx_clabe(dice: &mut Dice) -> String {
    let bank = dice.word("002|012|014|021|030|036|044|058|072|127|137|638|646|722");
    let body = format!("{bank}{}", dice.digits(14));
    let sum: u32 = of(&body)
        .iter()
        .zip([3, 7, 1].iter().cycle())
        .map(|(digit, weight)| digit * weight % 10)
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn es_ccc(dice: &mut Dice) -> String {
    let (bank, account) = (dice.digits(8), dice.digits(10));
    let check = |sum: u32| match 11 - sum % 11 {
        11 => 0,
        10 => 1,
        rest => rest,
    };
    let first = check(weighted(&bank, &[4, 8, 5, 10, 9, 7, 3, 6]));
    let second = check(weighted(&account, &[1, 2, 4, 8, 5, 10, 9, 7, 3, 6]));
    let bare = format!("{bank}{first}{second}{account}");
    lay(
        dice.word("#### #### ## ##########|####################|####-####-##-##########"),
        &bare,
    )
}

fn hu_giro(dice: &mut Dice) -> String {
    let check = |body: &str| {
        let sum: u32 = of(body)
            .iter()
            .zip([9, 7, 3, 1].iter().cycle())
            .map(|(digit, weight)| digit * weight)
            .sum();
        (10 - sum % 10) % 10
    };
    let (bank, account) = (dice.pattern("1######"), dice.digits(15));
    let bare = format!("{bank}{}{account}{}", check(&bank), check(&account));
    lay("########-########-########", &bare)
}

fn no_konto(dice: &mut Dice) -> String {
    loop {
        let body = dice.pattern("%#########");
        let check = (11 - weighted(&body, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
        if check < 10 {
            return lay(
                dice.word("#### ## #####|####.##.#####|###########"),
                &format!("{body}{check}"),
            );
        }
    }
}

fn cz_account(dice: &mut Dice) -> String {
    let bank = dice.word("0100|0300|0600|0800|2010|2700|3030|5500|6210");
    loop {
        let account = dice.pattern("%#########");
        if weighted(&account, &[6, 3, 7, 9, 10, 5, 8, 4, 2, 1]).is_multiple_of(11) {
            return format!("{account}/{bank}");
        }
    }
}

fn ar_cbu(dice: &mut Dice) -> String {
    let first = format!("0{}", dice.digits(6));
    let second = dice.digits(13);
    let check = |sum: u32| (10 - sum % 10) % 10;
    let one = check(weighted(&first, &[7, 1, 3, 9, 7, 1, 3]));
    let two = check(weighted(&second, &[3, 9, 7, 1, 3, 9, 7, 1, 3, 9, 7, 1, 3]));
    format!("{first}{one}{second}{two}")
}

/// An address of one of the larger chains.
pub(super) fn crypto(dice: &mut Dice) -> Value {
    let versioned = |dice: &mut Dice, version: u8, alphabet: &str| {
        let mut payload = vec![version];
        payload.extend(dice.bytes(20));
        base58_check(&payload, alphabet)
    };
    let witness = |dice: &mut Dice, prefix: &str, version: u8, length: usize| {
        let mut groups = vec![version];
        groups.extend(five_bits(&dice.bytes(length)));
        bech32(prefix, &groups, if version == 0 { 1 } else { 0x2bc8_30a3 })
    };
    let (sub, text, label, proof) = match dice.below(19) {
        0 | 1 => ("btc.p2pkh", versioned(dice, 0, BITCOIN58), "BTC address", true),
        2 => ("btc.p2sh", versioned(dice, 5, BITCOIN58), "Bitcoin address", true),
        3 | 4 => ("btc.bech32", witness(dice, "bc", 0, 20), "BTC wallet", true),
        5 => (
            "btc.taproot",
            witness(dice, "bc", 1, 32),
            "bitcoin payout address",
            true,
        ),
        6 | 7 => ("eth", ethereum(dice, true), "ETH address", true),
        8 => ("eth.lower", ethereum(dice, false), "ethereum wallet", true),
        9 => ("ltc.p2pkh", versioned(dice, 0x30, BITCOIN58), "LTC address", true),
        10 => ("ltc.bech32", witness(dice, "ltc", 0, 20), "Litecoin address", true),
        11 => ("doge", versioned(dice, 0x1e, BITCOIN58), "DOGE address", true),
        12 => ("tron", versioned(dice, 0x41, BITCOIN58), "TRX (TRC20) address", true),
        13 => ("xrp", versioned(dice, 0, RIPPLE58), "XRP address", true),
        14 => {
            let mut payload = vec![0];
            payload.extend(dice.bytes(20));
            let body = cash_address("bitcoincash", &payload);
            ("bch", format!("bitcoincash:{body}"), "BCH address", true)
        }
        15 => {
            let mut payload = vec![6 << 3];
            payload.extend(dice.bytes(32));
            payload.extend(crc16(&payload).to_le_bytes());
            ("xlm", base32(&payload), "Stellar account", true)
        }
        16 => (
            "sol",
            base58(&dice.bytes(32), BITCOIN58),
            "Solana wallet address",
            false,
        ),
        17 => {
            let mut payload = vec![1];
            payload.extend(dice.bytes(56));
            ("ada", bech32("addr", &five_bits(&payload), 1), "Cardano address", true)
        }
        _ => ("xmr", monero(dice), "Monero address", true),
    };
    Value::new(Class::Crypto, sub, text, label, proof)
}

/// With mixed case as the checksum (EIP-55), or all lower case.
fn ethereum(dice: &mut Dice, mixed: bool) -> String {
    let lower = hex(&dice.bytes(20));
    if mixed {
        format!("0x{}", eip55(&lower))
    } else {
        format!("0x{lower}")
    }
}

pub(super) fn eip55(lower: &str) -> String {
    let sum = hex(&keccak256(lower.as_bytes()));
    lower
        .chars()
        .zip(sum.chars())
        .map(|(sign, of_sum)| if of_sum >= '8' { sign.to_ascii_uppercase() } else { sign })
        .collect()
}

/// Base 58 in blocks of eight bytes, as Monero writes it.
fn monero(dice: &mut Dice) -> String {
    let mut payload = vec![18];
    payload.extend(dice.bytes(64));
    let sum = keccak256(&payload);
    payload.extend(&sum[..4]);
    payload
        .chunks(8)
        .map(|block| {
            let width = if block.len() == 8 { 11 } else { 7 };
            let first = block.iter().position(|byte| *byte != 0).unwrap_or(block.len());
            let text = base58(&block[first..], BITCOIN58);
            format!("{}{text}", "1".repeat(width - text.len()))
        })
        .collect()
}

/// A code that is Luhn- or EAN-like but no class: the number of an article.
pub(super) fn article(dice: &mut Dice) -> String {
    let start = dice.word("400|401|405|500|501|300|301|760|690|880|978|979|871|890|590|841");
    let body = format!("{start}{}", dice.digits(9));
    format!("{body}{}", ean(&body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples() {
        assert!(iban_holds("DE89 3704 0044 0532 0130 00") && !iban_holds("DE89 3704 0044 0532 0130 01"));
        assert!(iban_holds("GB82WEST12345698765432"));
        assert!(card_holds("378282246310005") && !card_holds("378282246310006"));
        assert_eq!(
            eip55("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"),
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
        );
        // The Federal Reserve Bank of Boston, and an example of Mexico's central bank.
        assert!(weighted("011000015", &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10));
    }

    #[test]
    fn what_is_drawn_holds() {
        let mut dice = Dice::new(2, 1);
        for _ in 0..2000 {
            assert!(card_holds(&card(&mut dice).text));
            assert!(iban_holds(&iban(&mut dice, "DE").text));
            let coin = crypto(&mut dice);
            match coin.sub.as_str() {
                "btc.bech32" | "ltc.bech32" | "ada" => assert!(super::super::codec::bech32_holds(&coin.text, 1)),
                "xmr" => assert_eq!(coin.text.len(), 95),
                "xlm" => assert!(coin.text.len() == 56 && coin.text.starts_with('G')),
                "sol" => assert!((40..=44).contains(&coin.text.len())),
                _ => {}
            }
        }
    }
}
