//! Health numbers, passports, driving licences, numbers of vehicles and devices.

use super::dice::{Dice, UPPER};
use super::digits::{icao, luhn, of, vin, weighted};
use super::national::lay;
use super::value::{Class, Value};

/// A number of a health system or of who works in it.
pub(super) fn health(dice: &mut Dice, region: &str) -> Value {
    let at = match region {
        "GB" => 0,
        "US" => *dice.pick(&[1, 2, 3, 16, 17]),
        "AU" => *dice.pick(&[4, 13]),
        "CA" => *dice.pick(&[5, 6, 7]),
        "DE" => 8,
        "NZ" => 9,
        "HU" => 10,
        "BR" => 12,
        _ => dice.below(18),
    };
    let (sub, text, label) = match at {
        0 => (
            "gb.nhs",
            lay(dice.word("### ### ####|##########|###-###-####"), &nhs(dice)),
            dice.word("NHS number|NHS No.|NHS no"),
        ),
        1 => (
            "us.mbi",
            mbi(dice),
            dice.word("Medicare Beneficiary Identifier|MBI|Medicare number"),
        ),
        2 => (
            "us.npi",
            npi(dice),
            dice.word("NPI|National Provider Identifier|provider NPI"),
        ),
        3 => ("us.dea", dea(dice), dice.word("DEA number|DEA No.|DEA registration")),
        4 => (
            "au.medicare",
            medicare(dice),
            dice.word("Medicare number|Medicare card no.|Medicare card"),
        ),
        5 => {
            let body = dice.pattern("%########");
            let bare = format!("{body}{}{}", luhn(&body), dice.draw("ABCDEFGHJKLMNPQRSTUVWXYZ", 2));
            (
                "ca.ohip",
                lay(dice.word("####-###-###-##|#### ### ### ##|##########-##"), &bare),
                dice.word("OHIP|health card number|Ontario health card"),
            )
        }
        6 => (
            "ca.phn",
            lay(dice.word("#### ### ###|##########"), &phn(dice)),
            dice.word("PHN|Personal Health Number|BC Services Card PHN"),
        ),
        7 => ("ca.ramq", ramq(dice), dice.word("RAMQ|numéro d'assurance maladie|NAM")),
        8 => (
            "de.kvnr",
            kvnr(dice),
            dice.word("Krankenversichertennummer|KVNR|Versichertennummer"),
        ),
        9 => ("nz.nhi", nhi(dice), dice.word("NHI number|NHI|National Health Index")),
        10 => {
            let body = dice.pattern("%#######");
            let check = weighted(&body, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10;
            (
                "hu.taj",
                lay(
                    dice.word("### ### ###|#########|###-###-###"),
                    &format!("{body}{check}"),
                ),
                dice.word("TAJ szám|TAJ-szám|TAJ"),
            )
        }
        11 => (
            "gb.chi",
            chi(dice),
            dice.word("CHI number|CHI No.|Community Health Index"),
        ),
        12 => (
            "br.cns",
            lay(dice.word("### #### #### ####|###############"), &cns(dice)),
            dice.word("CNS|Cartão Nacional de Saúde|cartão SUS"),
        ),
        13 => {
            let body = format!("800360{}", dice.digits(9));
            (
                "au.ihi",
                lay(
                    dice.word("#### #### #### ####|################"),
                    &format!("{body}{}", luhn(&body)),
                ),
                dice.word("IHI|Individual Healthcare Identifier|IHI number"),
            )
        }
        14 => (
            "mrn",
            dice.pattern("#######"),
            dice.word("medical record number|MRN|hospital MRN|patient MRN"),
        ),
        15 => (
            "member",
            dice.pattern("@@@#########"),
            dice.word("health insurance member ID|health plan member ID|medical policy number"),
        ),
        16 => (
            "member",
            dice.pattern("@########0%"),
            dice.word("insurance member ID|health plan member number|subscriber ID (health plan)"),
        ),
        _ => (
            "mrn",
            dice.pattern("MRN-########"),
            dice.word("medical record number|patient chart no.|MRN"),
        ),
    };
    Value::new(Class::HealthId, sub, text, label, false)
}

fn nhs(dice: &mut Dice) -> String {
    loop {
        let first = dice.draw("4679", 1);
        let body = format!("{first}{}", dice.digits(8));
        let check = (11 - weighted(&body, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
        if check < 10 {
            return format!("{body}{check}");
        }
    }
}

/// Eleven signs by their places; the letters leave out S, L, O, I, B, Z.
fn mbi(dice: &mut Dice) -> String {
    const LETTERS: &str = "ACDEFGHJKMNPQRTUVWXY";
    const BOTH: &str = "0123456789ACDEFGHJKMNPQRTUVWXY";
    let bare: String = "1AN9AN9AA99"
        .chars()
        .enumerate()
        .map(|(at, place)| match place {
            '1' => dice.draw("123456789", 1),
            'A' => dice.draw(LETTERS, 1),
            'N' if at > 0 => dice.draw(BOTH, 1),
            _ => dice.digits(1),
        })
        .collect();
    lay(dice.word("####-###-####|###########"), &bare)
}

fn npi(dice: &mut Dice) -> String {
    let body = format!("{}{}", dice.draw("12", 1), dice.digits(8));
    format!("{body}{}", luhn(&format!("80840{body}")))
}

fn dea(dice: &mut Dice) -> String {
    let letters = dice.draw("ABFGM", 1) + &dice.draw(UPPER, 1);
    let body = dice.digits(6);
    let sum = weighted(&body, &[1, 2, 1, 2, 1, 2]);
    format!("{letters}{body}{}", sum % 10)
}

fn medicare(dice: &mut Dice) -> String {
    let body = format!("{}{}", dice.between(2, 6), dice.digits(7));
    let check = weighted(&body, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10;
    let bare = format!("{body}{check}{}", dice.between(1, 9));
    lay(dice.word("#### ##### #|##########|####-#####-#"), &bare)
}

fn phn(dice: &mut Dice) -> String {
    loop {
        let body = dice.digits(8);
        let sum: u32 = of(&body)
            .iter()
            .zip([2, 4, 8, 5, 10, 9, 7, 3])
            .map(|(digit, weight)| digit * weight % 11)
            .sum();
        let check = 11 - sum % 11;
        if check < 10 {
            return format!("9{body}{check}");
        }
    }
}

fn ramq(dice: &mut Dice) -> String {
    let (year, month, day) = dice.birth();
    let month = if dice.chance(50) { month + 50 } else { month };
    let year = year % 100;
    let letters = dice.draw("BCDFGLMNPRSTV", 3) + &dice.draw("ABCDEFGJLMNPRSTV", 1);
    let bare = format!("{letters}{year:02}{month:02}{day:02}{}", dice.digits(2));
    lay(dice.word("#### #### ####|############"), &bare)
}

fn kvnr(dice: &mut Dice) -> String {
    let letter = dice.draw(UPPER, 1);
    let body = dice.digits(8);
    format!("{letter}{body}{}", kvnr_check(&letter, &body))
}

fn kvnr_check(letter: &str, body: &str) -> u32 {
    let value = letter.chars().next().map_or(0, |sign| super::digits::wide(sign) - 9);
    let sum: u32 = of(&format!("{value:02}{body}"))
        .iter()
        .zip([1, 2].iter().cycle())
        .map(|(digit, weight)| digit * weight / 10 + digit * weight % 10)
        .sum();
    sum % 10
}

fn nhi(dice: &mut Dice) -> String {
    const LETTERS: &str = "ABCDEFGHJKLMNPQRSTUVWXYZ";
    loop {
        let letters = dice.draw(LETTERS, 3);
        let body = dice.digits(3);
        let of_letters: u32 = letters
            .chars()
            .zip([7, 6, 5])
            .map(|(sign, weight)| (LETTERS.find(sign).unwrap_or(0) as u32 + 1) * weight)
            .sum();
        let rest = (of_letters + weighted(&body, &[4, 3, 2])) % 11;
        if rest > 0 {
            return format!("{letters}{body}{}", (11 - rest) % 10);
        }
    }
}

fn chi(dice: &mut Dice) -> String {
    loop {
        let (year, month, day) = dice.birth();
        let year = year % 100;
        let body = format!("{day:02}{month:02}{year:02}{}", dice.digits(3));
        let check = (11 - weighted(&body, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
        if check < 10 {
            return format!("{body}{check}");
        }
    }
}

/// A provisional one: the weighted sum of all fifteen is divisible by eleven.
fn cns(dice: &mut Dice) -> String {
    loop {
        let text = format!("{}{}", dice.draw("789", 1), dice.digits(14));
        if weighted(&text, &[15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11) {
            return text;
        }
    }
}

/// Country and forms of passport numbers (see `Dice::pattern`).
const PASSPORTS: &[(&str, &str)] = &[
    ("US", "#########|@########"),
    ("GB", "5########"),
    ("FR", "##@@#####"),
    ("IT", "Y@#######|C@#######"),
    ("ES", "@@@######"),
    ("IN", "@#######"),
    ("CN", "E@#######|G########|E########"),
    ("JP", "T@#######|M@#######"),
    ("KR", "M########|M%##@####"),
    ("BR", "F@######|G@######"),
    ("CA", "@@######|@######@@"),
    ("AU", "N#######|P@#######|RA#######"),
    ("RU", "7% #######"),
    ("UA", "F@######"),
    ("PL", "E@#######"),
    ("MX", "G########|N########"),
    ("ZA", "A########|M########"),
    ("TR", "U########"),
    ("PT", "C@######"),
    ("SE", "A@######"),
    ("NO", "C@A######"),
    ("DK", "2########"),
    ("IE", "P@#######"),
    ("CH", "X#######"),
    ("AT", "U#######|P#######"),
    ("NZ", "L@######"),
    ("SG", "K#######@"),
    ("PH", "P#######A"),
    ("ID", "C#######|X#######"),
    ("VN", "C#######|N########"),
    ("TH", "AA#######"),
    ("EG", "A########"),
    ("SA", "A@######"),
    ("AR", "AA@######"),
    ("GR", "A@#######"),
    ("RO", "05#######"),
    ("CZ", "4#######"),
    ("HU", "B@######"),
];

fn country_code3(region: &str) -> &'static str {
    match region {
        "US" => "USA",
        "GB" => "GBR",
        "FR" => "FRA",
        "IT" => "ITA",
        "ES" => "ESP",
        "IN" => "IND",
        "JP" => "JPN",
        "BR" => "BRA",
        "PL" => "POL",
        "TR" => "TUR",
        "SE" => "SWE",
        "NO" => "NOR",
        "CA" => "CAN",
        "AU" => "AUS",
        "PT" => "PRT",
        "UA" => "UKR",
        _ => "D<<",
    }
}

/// A passport's number.
pub(super) fn passport(dice: &mut Dice, region: &str) -> Value {
    if region == "DE" {
        let body = dice.draw("CFGHJK", 1) + &dice.draw("0123456789CFGHJKLMNPRTVWXYZ", 8);
        return Value::new(Class::Passport, "de", body, "", false);
    }
    let own = PASSPORTS.iter().find(|(country, _)| *country == region);
    let (country, forms) = match own {
        Some(own) => *own,
        None => *dice.pick(PASSPORTS),
    };
    let form = dice.word(forms);
    Value::new(Class::Passport, &country.to_lowercase(), dice.pattern(form), "", false)
}

/// The two lines of a passport's machine-readable zone.
pub(super) fn mrz(dice: &mut Dice, region: &str, family: &str, given: &str) -> Value {
    let plain = |text: &str| -> String {
        text.to_uppercase()
            .chars()
            .map(|sign| if sign.is_ascii_uppercase() { sign } else { '<' })
            .collect()
    };
    let country = country_code3(region);
    let names = format!("P<{country}{}<<{}", plain(family), plain(given));
    let first: String = names.chars().chain("<".repeat(44).chars()).take(44).collect();
    let number = format!("{}{}", dice.pattern("@"), dice.pattern("########"));
    let (year, month, day) = dice.birth();
    let birth = format!("{:02}{month:02}{day:02}", year % 100);
    let end = format!(
        "{}{:02}{:02}",
        dice.between(26, 35),
        dice.between(1, 12),
        dice.between(1, 28)
    );
    let sex = dice.draw("MF", 1);
    let number = format!("{number}{}", icao(&number));
    let birth = format!("{birth}{}", icao(&birth));
    let end = format!("{end}{}", icao(&end));
    let more = "<".repeat(14) + "0";
    let all = icao(&format!("{number}{birth}{end}{more}"));
    let text = format!("{first}\n{number}{country}{birth}{sex}{end}{more}{all}");
    Value::new(Class::Passport, "mrz", text, "MRZ", true)
}

#[cfg(test)]
pub(super) fn mrz_holds(text: &str) -> bool {
    let Some(second) = text.lines().nth(1) else {
        return false;
    };
    let part = |from: usize, to: usize| second.get(from..to).unwrap_or_default();
    let sum = |text: &str| icao(text).to_string();
    text.lines().all(|line| line.len() == 44)
        && sum(part(0, 9)) == part(9, 10)
        && sum(part(13, 19)) == part(19, 20)
        && sum(part(21, 27)) == part(27, 28)
        && sum(&format!("{}{}{}", part(0, 10), part(13, 20), part(21, 43))) == part(43, 44)
}

/// A driving licence's number.
pub(super) fn licence(dice: &mut Dice, region: &str) -> Value {
    let (sub, text) = match region {
        "US" => {
            let (state, form) = *dice.pick(&[
                ("us.ca", "@#######"),
                ("us.ny", "### ### ###"),
                ("us.tx", "########"),
                ("us.fl", "@###-###-##-###-#"),
                ("us.il", "@###-####-####"),
                ("us.pa", "## ### ###"),
                ("us.oh", "@@######"),
                ("us.nj", "@####-#####-#####"),
                ("us.va", "@########"),
                ("us.ma", "S########"),
                ("us.wa", "WDL^^^^^##^#"),
                ("us.mi", "@ ### ### ### ###"),
                ("us.wi", "@###-####-####-##"),
                ("us.az", "D########"),
                ("us.co", "##-###-####"),
                ("us.mn", "@-###-###-###-###"),
            ]);
            (state.to_owned(), dice.pattern(form))
        }
        "GB" => ("gb".to_owned(), gb_licence(dice)),
        other => {
            let forms = [
                ("CA", "@####-#####-#####"),
                ("AU", "########"),
                ("IN", "MH## 201#00#####"),
                ("DE", "@0##^^^^^#%"),
                ("FR", "############"),
                ("IT", "U1######%@|AA#######@"),
                ("BR", "0##########"),
                ("JP", "3############"),
                ("NL", "4#########"),
                ("PL", "#####/##/####"),
                ("ES", "########@"),
                ("RU", "99 ## ######"),
                ("ZA", "##########@@"),
                ("KR", "11-##-######-##"),
                ("MX", "@########"),
                ("SE", "######-####"),
            ];
            let known = forms.iter().find(|(country, _)| *country == other);
            let (country, form) = match known {
                Some(known) => *known,
                None => *dice.pick(&forms[..10]),
            };
            let form = dice.word(form).to_owned();
            let text = if country == "JP" {
                dice.pattern("3###########")
            } else {
                dice.pattern(&form)
            };
            (country.to_lowercase(), text)
        }
    };
    Value::new(Class::DriverLicense, &sub, text, "", false)
}

/// Sixteen signs: name, decade, month (raised for women), day, year, initials, a nine, three more.
fn gb_licence(dice: &mut Dice) -> String {
    let name = dice.draw("BCDFGHJKLMNPRSTW", 1)
        + &dice.draw("AEIOU", 1)
        + &dice.draw("LMNRST", 1)
        + &dice.draw("BCDEFGHKLMNORSTY", 2);
    let (year, month, day) = dice.birth();
    let month = if dice.chance(50) { month + 50 } else { month };
    let (decade, year) = (year / 10 % 10, year % 10);
    let initials = dice.draw("ABCDEFGHJLMNPRST", 1) + &dice.draw("ABCDEFGHJLMNPRST9", 1);
    format!(
        "{name}{decade}{month:02}{day:02}{year}{initials}9{}",
        dice.draw("ABCDEFGHJKLMNPRSTVWXY", 2)
    )
}

/// A vehicle's identification number, or its plate.
pub(super) fn vehicle(dice: &mut Dice, region: &str) -> Value {
    if dice.chance(62) {
        let maker = dice.word(
            "1HG|2T1|5YJ|1FT|1G1|3VW|JHM|KMH|WVW|WBA|WAU|VF1|VF3|ZFA|SAL|YV1|TMB|VSS|JTD|KNA|4T1|1C4|LRW|MA1|9BW|5NP",
        );
        let body = dice.draw("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", 5);
        let year = dice.draw("ABCDEFGHJKLMNPRSTVWXY123456789", 1);
        let plant = dice.draw("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", 1);
        let serial = dice.digits(6);
        let text = format!(
            "{maker}{body}{}{year}{plant}{serial}",
            vin(&format!("{maker}{body}_{year}{plant}{serial}"))
        );
        let label = dice.word("VIN|vehicle identification number|chassis number|VIN code");
        return Value::new(Class::VehicleId, "vin", text, label, false);
    }
    let forms = [
        ("DE", "B-@@ %###|M-@@ %##|HH-@@ %###|K @@ %##"),
        ("GB", "@@## @@@"),
        ("FR", "@@-###-@@"),
        ("IT", "@@ ###@@|@@###@@"),
        ("ES", "#### @@@"),
        ("NL", "@@-###-@|#-@@@-##|##-@@-@@"),
        ("PL", "WA %####|KR #@@##|PO ####@"),
        ("US", "%@@@###|@@@-####"),
        ("IN", "MH 12 @@ ####|KA01@@####|DL 3C @@ ####"),
        ("BR", "@@@#@##|@@@-####"),
        ("SE", "@@@ ###"),
        ("NO", "@@ #####"),
        ("CZ", "#A@ ####"),
        ("RU", "А###ВС 77|К###ОР 178"),
        ("AU", "%@@-#@@"),
        ("CA", "@@@@ ###"),
        ("CH", "ZH ######|BE ######"),
        ("AT", "W-#####@|G %##@@"),
        ("BE", "1-@@@-###|2-@@@-###"),
        ("PT", "@@-##-@@"),
        ("JP", "品川 300 さ ##-##|横浜 500 あ ##-##"),
        ("CN", "京A·#####|沪B·@####"),
        ("TR", "34 @@@ ###|06 @@ ####"),
        ("UA", "АА #### ВС|КА #### ЕН"),
        ("DK", "@@ ## ###"),
    ];
    let known = forms.iter().find(|(country, _)| *country == region);
    let (country, form) = match known {
        Some(known) => *known,
        None => *dice.pick(&forms[..13]),
    };
    let form = dice.word(form).to_owned();
    Value::new(
        Class::VehicleId,
        &format!("plate.{}", country.to_lowercase()),
        dice.pattern(&form),
        "plate",
        false,
    )
}

/// A number of a device: of its radio, its card or its system.
pub(super) fn device(dice: &mut Dice) -> Value {
    let (sub, text, label) = match dice.below(10) {
        0..=3 => {
            let start = dice.word("35|86|01|99|35|35");
            let body = format!("{start}{}", dice.digits(12));
            let bare = format!("{body}{}", luhn(&body));
            (
                "imei",
                lay(
                    dice.word("###############|###############|##-######-######-#|## ###### ###### #"),
                    &bare,
                ),
                dice.word("IMEI|IMEI 1|device IMEI|imei_number"),
            )
        }
        4 => ("imeisv", format!("35{}", dice.digits(14)), "IMEISV"),
        5 => {
            let prefix = dice.word("8949|8944|8933|8901|8986|8981|8939|8948");
            let body = format!("{prefix}{}", dice.digits(14));
            (
                "iccid",
                format!("{body}{}", luhn(&body)),
                dice.word("ICCID|SIM ICCID|SIM card number"),
            )
        }
        6 => {
            let network = dice.word("26201|26202|23415|20801|31026|31041|46000|44010|22201|21401|26002");
            (
                "imsi",
                format!("{network}{}", dice.digits(10)),
                dice.word("IMSI|subscriber IMSI|SIM IMSI"),
            )
        }
        7 => (
            "meid",
            format!("A0{}", dice.draw("0123456789ABCDEF", 12)),
            dice.word("MEID|device MEID|MEID (hex)"),
        ),
        8 => (
            "adid",
            dice.uuid(),
            dice.word("advertising ID|IDFA|Google advertising ID|gaid"),
        ),
        _ => (
            "udid",
            format!("00008{}-{}", dice.draw("0123", 3), dice.draw("0123456789ABCDEF", 16)),
            dice.word("UDID|device UDID|iPhone UDID"),
        ),
    };
    Value::new(Class::DeviceId, sub, text, label, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples() {
        assert_eq!(luhn("80840123456789"), 3);
        assert_eq!((11 - weighted("943476591", &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11, 9);
        assert_eq!(kvnr_check("A", "12345678"), 0);
        assert_eq!(weighted("21234567", &[1, 3, 7, 9, 1, 3, 7, 9]) % 10, 0);
        assert!(mrz_holds(
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
        ));
        assert!(!mrz_holds(
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<11"
        ));
    }

    #[test]
    fn what_is_drawn_holds() {
        let mut dice = Dice::new(3, 1);
        for _ in 0..500 {
            assert!(mrz_holds(&mrz(&mut dice, "SE", "Öberg", "Åsa Maria").text));
            let car = vehicle(&mut dice, "US");
            if car.sub == "vin" {
                assert_eq!(car.text.len(), 17);
                assert_eq!(car.text.chars().nth(8), Some(vin(&car.text)));
            }
        }
    }
}
