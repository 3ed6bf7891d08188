//! People and how to reach them: names, addresses, births, mail, telephone, network addresses.

use super::dice::{Dice, LOWER_ALNUM};
use super::value::{Class, Value};
use super::words::Lang;

/// Syllables of domain and user names that belong to nobody.
const SYLLABLES: &str = "bar|bel|cor|dan|del|fen|gal|hol|jun|kel|lor|mar|nor|ost|pel|quin|ros|sil|tam|ulm|ven|wex|yar|zel|mik|tor|rav|lun|bri|cas";
const ENDINGS: &str = "com|net|org|io|dev|app|co|de|fr|es|it|nl|pl|se|dk|no|fi|cz|hu|ro|gr|bg|tr|ru|ua|jp|cn|kr|il|in|br|mx|ar|cl|ch|at|be|pt|\
                       co.uk|com.au|co.nz|co.za|co.jp|com.br|com.tr|ac.uk|edu|gov.uk|eu|info|biz|cloud|tech|online|health|bank|systems|agency";

/// A word that means nothing.
pub(super) fn coined(dice: &mut Dice) -> String {
    (0..dice.between(2, 3)).map(|_| dice.word(SYLLABLES)).collect()
}

/// A domain name.
pub(super) fn domain(dice: &mut Dice) -> String {
    let second = if dice.chance(25) {
        format!("-{}", coined(dice))
    } else {
        String::new()
    };
    let tail = dice.word("|||-labs|-group|-soft|-it|tech|ware");
    format!("{}{second}{tail}.{}", coined(dice), dice.word(ENDINGS))
}

/// A host with a role before its domain.
pub(super) fn host(dice: &mut Dice) -> String {
    let role = dice.word(
        "api|db|mail|git|vpn|ci|cache|auth|www|pay|reports|intranet|registry|broker|edge|staging-api|ldap|backup",
    );
    let number = if dice.chance(40) {
        format!("{:02}", dice.between(1, 40))
    } else {
        String::new()
    };
    format!("{role}{number}.{}", domain(dice))
}

/// Latin letters only, for the local part of an address.
fn ascii(text: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .chars()
        .filter_map(|sign| match sign {
            'a'..='z' => Some(sign),
            'ä' | 'á' | 'à' | 'â' | 'ã' | 'å' | 'ą' | 'ă' => Some('a'),
            'é' | 'è' | 'ê' | 'ë' | 'ę' | 'ě' => Some('e'),
            'ö' | 'ó' | 'ô' | 'ø' | 'ő' | 'õ' => Some('o'),
            'ü' | 'ú' | 'û' | 'ű' | 'ů' => Some('u'),
            'í' | 'î' | 'ı' => Some('i'),
            'ç' | 'č' | 'ć' => Some('c'),
            'ñ' | 'ń' | 'ň' => Some('n'),
            'ş' | 'š' | 'ś' | 'ß' | 'ș' => Some('s'),
            'ł' => Some('l'),
            'ž' | 'ź' | 'ż' => Some('z'),
            'ř' => Some('r'),
            _ => None,
        })
        .collect();
    plain
}

/// An e-mail address.
pub(super) fn email(dice: &mut Dice, lang: &Lang) -> Value {
    let given = ascii(lang.word("givens", dice));
    let family = ascii(lang.word("families", dice));
    let (given, family) = match (given.is_empty(), family.is_empty()) {
        (false, false) => (given, family),
        _ => (coined(dice), coined(dice)),
    };
    let initial = given.chars().take(1).collect::<String>();
    let at = domain(dice);
    let (sub, text) = match dice.below(20) {
        0..=4 => ("plain", format!("{given}.{family}@{at}")),
        5 => ("plain", format!("{initial}{family}{}@{at}", dice.between(1, 99))),
        6 => ("plain", format!("{family}_{initial}@{at}")),
        7 => ("plain", format!("{}@{at}", coined(dice))),
        8 => ("role", format!("{}@{at}", dice.word("info|billing|support|hr|accounts|kontakt|ventas|compta|no-reply|jobs|press|security"))),
        9 | 10 => ("plus", format!("{given}.{family}+{}@{at}", dice.word("news|shop|2024|bank|test1|invoices|signup-a"))),
        11 => ("sub", format!("{given}@mail.{at}")),
        12 => ("dashed", format!("{given}-{family}@{at}")),
        13 => ("freemail", format!("{given}.{family}{}{}@{}", dice.draw("_.", 1).replace('.', ""), dice.between(1000, 99999), dice.word("gmail.com|outlook.com|yahoo.co.uk|gmx.de|web.de|proton.me|orange.fr|mail.ru|qq.com|naver.com|wp.pl|libero.it|icloud.com"))),
        14 => ("upper", format!("{}.{}@{}", given.to_uppercase(), family.to_uppercase(), at.to_uppercase())),
        15 => ("quoted", format!("\"{given} {family}\"@{at}")),
        16 => ("odd", format!("{initial}'{family}{}@{at}", dice.between(2, 9))),
        17 => ("idn", format!("{given}.{family}@{}", dice.word("münchner-fähre.de|bücherstube-süd.at|crème-brûlée.fr|señal-año.es|grønnmø.no|łódź-sklep.pl|例え話.jp|пример-почта.рф|ελαιώνας.gr|한글누리.kr"))),
        18 => ("eai", format!("{}@{}", eai_local(dice, lang), dice.word("почта-дома.рф|ящик.укр|メール箱.jp|邮箱站.中国|शब्दकोष.भारत|grüßwort.de|post-öst.se"))),
        _ => ("random", format!("{}@{at}", dice.draw(LOWER_ALNUM, 9))),
    };
    Value::new(Class::Email, sub, text, lang.word("email", dice), true)
}

/// A local part of the language's own letters, where it has names in one word.
fn eai_local(dice: &mut Dice, lang: &Lang) -> String {
    let given = lang.word("givens", dice).to_lowercase();
    let plain: String = given.chars().filter(|sign| sign.is_alphanumeric()).collect();
    // Marks that combine would not be letters for all readers: such scripts use a Latin word.
    if plain.chars().count() == given.chars().count() {
        plain
    } else {
        format!("{}{}", coined(dice), dice.between(10, 99))
    }
}

/// Country, calling code, trunk prefix, national numbers as groups (`#` digit, `%` 1 to 9, `&` 2 to 9).
#[rustfmt::skip]
const PHONES: &[(&str, &str, &str, &str)] = &[
    ("US", "1", "", "212 &## ####|415 &## ####|303 &## ####|512 &## ####|617 &## ####|206 &## ####|773 &## ####|404 &## ####"),
    ("CA", "1", "", "416 &## ####|514 &## ####|604 &## ####|403 &## ####"),
    ("GB", "44", "0", "20 7### ####|161 4## ####|7911 ######|7700 ######|131 5## ####|1865 ######"),
    ("IE", "353", "0", "1 6## ####|87 ### ####|21 4## ####"),
    ("AU", "61", "0", "2 9### ####|4## ### ###|3 8### ####"),
    ("NZ", "64", "0", "9 3## ####|21 ### ###|27 ### ####"),
    ("ZA", "27", "0", "11 4## ####|82 ### ####|21 5## ####"),
    ("IN", "91", "0", "9#### #####|8#### #####|22 2### ####"),
    ("SG", "65", "", "6### ####|9### ####|8### ####"),
    ("DE", "49", "0", "30 ########|89 #######|151 ########|172 #######|221 #######|40 #######"),
    ("AT", "43", "0", "1 #######|664 #######|316 ######"),
    ("CH", "41", "0", "44 ### ## ##|79 ### ## ##|22 ### ## ##"),
    ("FR", "33", "0", "1 4# ## ## ##|6 ## ## ## ##|7 8# ## ## ##|4 7# ## ## ##"),
    ("BE", "32", "0", "2 5## ## ##|47# ## ## ##|48# ## ## ##"),
    ("LU", "352", "", "26 ## ## ##|621 ### ###"),
    ("ES", "34", "", "91# ### ###|6## ## ## ##|93# ## ## ##"),
    ("MX", "52", "", "55 5### ####|33 3### ####|81 8### ####"),
    ("AR", "54", "0", "11 4### ####|351 4## ####"),
    ("CL", "56", "", "2 2### ####|9 8### ####"),
    ("CO", "57", "", "601 ### ####|310 ### ####|320 ### ####"),
    ("PE", "51", "0", "1 4## ####|9## ### ###"),
    ("BR", "55", "0", "11 9####-####|21 2###-####|31 9####-####|85 3###-####"),
    ("PT", "351", "", "21# ### ###|91# ### ###|93# ### ###"),
    ("IT", "39", "", "06 6### ####|347 ### ####|02 8### ####|333 #######"),
    ("NL", "31", "0", "20 6## ####|6 2### ####|6 1#######|30 2## ## ##"),
    ("PL", "48", "", "22 6## ## ##|501 ### ###|6## ### ###|12 4## ## ##"),
    ("SE", "46", "0", "8 5## ### ##|70 ### ## ##|73 ### ## ##|31 7## ## ##"),
    ("DK", "45", "", "3# ## ## ##|2# ## ## ##|86 ## ## ##"),
    ("NO", "47", "", "22 ## ## ##|4## ## ###|9## ## ###"),
    ("FI", "358", "0", "9 4### ###|40 ### ####|50 ### ####"),
    ("CZ", "420", "", "22# ### ###|60# ### ###|72# ### ###|77# ### ###"),
    ("SK", "421", "0", "2 5### ####|90# ### ###"),
    ("HU", "36", "06", "1 4## ####|20 ### ####|30 ### ####|70 ### ####"),
    ("RO", "40", "0", "21 3## ## ##|72# ### ###|74# ### ###"),
    ("GR", "30", "", "21# ### ####|69# ### ####"),
    ("BG", "359", "0", "2 9## ####|88 ### ####|89 ### ####"),
    ("HR", "385", "0", "1 4### ###|91 ### ####|98 ### ###"),
    ("TR", "90", "0", "212 3## ## ##|532 ### ## ##|542 ### ## ##"),
    ("RU", "7", "8", "495 ### ## ##|916 ### ## ##|812 3## ## ##|903 ### ## ##"),
    ("KZ", "7", "8", "701 ### ## ##|727 2## ## ##"),
    ("UA", "380", "0", "44 4## ## ##|50 ### ## ##|67 ### ## ##"),
    ("JP", "81", "0", "3 3### ####|90 #### ####|80 #### ####|6 6### ####"),
    ("CN", "86", "0", "10 6### ####|13# #### ####|186 #### ####|21 5### ####"),
    ("TW", "886", "0", "2 2### ####|9## ### ###"),
    ("HK", "852", "", "2### ####|9### ####|6### ####"),
    ("KR", "82", "0", "2 7## ####|10 #### ####|51 8## ####"),
    ("SA", "966", "0", "11 4## ####|50 ### ####|55 ### ####"),
    ("AE", "971", "0", "4 3## ####|50 ### ####|55 ### ####"),
    ("IL", "972", "0", "3 6## ####|52 ### ####|54 ### ####"),
    ("TH", "66", "0", "2 6## ####|81 ### ####|89 ### ####"),
    ("VN", "84", "0", "24 3### ####|90# ### ###|98# ### ###"),
    ("ID", "62", "0", "21 5### ####|812 #### ####|857 #### ####"),
    ("PH", "63", "0", "2 8### ####|917 ### ####"),
    ("MY", "60", "0", "3 2### ####|12 ### ####"),
    ("PK", "92", "0", "21 3### ####|300 #######"),
    ("EG", "20", "0", "2 2### ####|10 #### ####"),
    ("NG", "234", "0", "1 4## ####|803 ### ####"),
    ("KE", "254", "0", "20 2## ####|722 ######"),
];

/// A telephone number in one of its written forms.
pub(super) fn phone(dice: &mut Dice, region: &str, lang: &Lang) -> Value {
    let own = PHONES.iter().find(|(country, ..)| *country == region);
    let (country, code, trunk, forms) = match own {
        Some(own) if dice.chance(70) => *own,
        _ => *dice.pick(PHONES),
    };
    let form = dice.word(forms).replace('&', dice.word("2|3|4|6|7|8|9"));
    let groups = dice.pattern(&form);
    let bare: String = groups.chars().filter(char::is_ascii_digit).collect();
    let area = groups.split(' ').next().unwrap_or_default().to_owned();
    let rest = groups.get(area.len() + 1..).unwrap_or_default().to_owned();
    let american = code == "1";
    let (mut text, proof) = match dice.below(14) {
        0..=2 => (format!("+{code}{bare}"), true),
        3..=5 => (format!("+{code} {groups}"), true),
        6 => (format!("+{code}-{}", groups.replace(' ', "-")), true),
        7 => (format!("00{code} {groups}"), false),
        8 if !trunk.is_empty() => (format!("+{code} ({trunk}){groups}"), true),
        8 | 9 if american => (format!("{area}-{}", rest.replace(' ', "-")), false),
        9 => (format!("({trunk}{area}) {rest}"), false),
        10 if american => (format!("{area}.{}", rest.replace(' ', ".")), false),
        10 => (format!("{trunk}{area}/{}", rest.replace(' ', "")), false),
        11 if american => (format!("1-{area}-{}", rest.replace(' ', "-")), false),
        11 => (format!("{trunk}{area}-{}", rest.replace(' ', "-")), false),
        12 if american => (format!("({area}) {}", rest.replace(' ', "-")), false),
        12 => (format!("{trunk}{bare}"), false),
        _ if american => (format!("({area}) {}", rest.replace(' ', "-")), false),
        _ => (format!("{trunk}{groups}"), false),
    };
    if dice.chance(7) {
        let short = dice.between(10, 9999);
        text.push_str(&format!("{}{short}", dice.word(" ext. | x| ext |, ext. ")));
    }
    Value::new(
        Class::Phone,
        &format!("phone.{}", country.to_lowercase()),
        text,
        lang.word("phone", dice),
        proof,
    )
}

/// A network address, version 4.
pub(super) fn ip4(dice: &mut Dice, lang: &Lang) -> Value {
    let text = match dice.below(10) {
        0 | 1 => format!("10.{}.{}.{}", dice.below(256), dice.below(256), dice.between(1, 254)),
        2 => format!("192.168.{}.{}", dice.below(256), dice.between(1, 254)),
        3 => format!(
            "172.{}.{}.{}",
            dice.between(16, 31),
            dice.below(256),
            dice.between(1, 254)
        ),
        _ => {
            let first = loop {
                let first = dice.between(23, 222);
                if ![127, 100, 169, 172, 192, 198, 203].contains(&first) {
                    break first;
                }
            };
            format!(
                "{first}.{}.{}.{}",
                dice.below(256),
                dice.below(256),
                dice.between(1, 254)
            )
        }
    };
    Value::new(Class::Ip, "v4", text, lang.word("ip", dice), false)
}

/// A network address of version 6, full, shortened, or a mapped one of version 4.
pub(super) fn ip6(dice: &mut Dice, lang: &Lang) -> Value {
    let group = |dice: &mut Dice| format!("{:x}", dice.between(1, 65535));
    let start = dice
        .word("2a01|2a02|2600|2607|2001|2400|2a00|fd12|fe80|2804")
        .to_owned();
    let many = |dice: &mut Dice, count: usize| (0..count).map(|_| group(dice)).collect::<Vec<_>>().join(":");
    let (sub, text, proof) = match dice.below(8) {
        0..=3 => ("v6", format!("{start}:{}", many(dice, 7)), true),
        4 | 5 => {
            let count = dice.between(2, 3);
            let front = many(dice, count);
            ("v6.short", format!("{start}:{front}::{}", group(dice)), false)
        }
        6 => ("v6.short", format!("{start}::{}", many(dice, 4)), false),
        _ => ("v6.mapped", format!("::ffff:{}", ip4(dice, lang).text), true),
    };
    let text = if dice.chance(8) { text.to_uppercase() } else { text };
    Value::new(Class::Ip, sub, text, lang.word("ip", dice), proof)
}

pub(super) fn ip(dice: &mut Dice, lang: &Lang) -> Value {
    if dice.chance(68) {
        ip4(dice, lang)
    } else {
        ip6(dice, lang)
    }
}

/// A hardware address.
pub(super) fn mac(dice: &mut Dice, lang: &Lang) -> Value {
    let first = dice.word("00|04|08|0c|10|18|28|3c|40|5c|60|74|8c|a4|ac|b8|d4|dc|e4|f0|02|9a");
    let octets: Vec<String> = (0..5).map(|_| dice.hex(2)).collect();
    let text = format!("{first}:{}", octets.join(":"));
    let text = if dice.chance(40) { text.to_uppercase() } else { text };
    let plain = text.replace(':', "");
    let (sub, text, proof) = match dice.below(10) {
        0..=5 => ("colon", text, true),
        6 | 7 => ("dash", text.replace(':', "-"), true),
        8 => ("dot", format!("{}.{}.{}", &plain[..4], &plain[4..8], &plain[8..]), true),
        _ => ("bare", plain, false),
    };
    Value::new(Class::Mac, sub, text, lang.word("mac", dice), proof)
}

/// A date of birth.
pub(super) fn dob(dice: &mut Dice, lang: &Lang) -> Value {
    let (year, month, day) = dice.birth();
    let month_name = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ][month - 1];
    let short: String = month_name.chars().take(3).collect();
    let local = match lang.code {
        "en" => match dice.below(6) {
            0 => format!("{month:02}/{day:02}/{year}"),
            1 => format!("{day:02}/{month:02}/{year}"),
            2 => format!("{day} {month_name} {year}"),
            3 => format!("{month_name} {day}, {year}"),
            4 => format!("{day:02}-{short}-{year}"),
            _ => format!("{month}/{day}/{:02}", year % 100),
        },
        "de" | "pl" | "cs" | "ru" | "uk" | "bg" | "ro" | "tr" | "no" | "fi" | "da" => {
            format!("{day:02}.{month:02}.{year}")
        }
        "nl" => format!("{day:02}-{month:02}-{year}"),
        "hu" => format!("{year}. {month:02}. {day:02}."),
        "ja" | "zh" => format!("{year}年{month}月{day}日"),
        "ko" => format!("{year}년 {month}월 {day}일"),
        "sv" => format!("{year}-{month:02}-{day:02}"),
        _ => format!("{day:02}/{month:02}/{year}"),
    };
    let text = match dice.below(10) {
        0..=2 => format!("{year}-{month:02}-{day:02}"),
        3 => format!("{year}{month:02}{day:02}"),
        4 => format!("{year}/{month:02}/{day:02}"),
        _ => local,
    };
    Value::new(Class::Dob, "dob", text, lang.word("dob", dice), false)
}

/// A part of a person's name: `name`, `given`, `family` or `sorted` (family first, with a comma).
pub(super) fn person(dice: &mut Dice, lang: &Lang, part: &str) -> Value {
    let given = lang.word("givens", dice);
    let family = lang.word("families", dice);
    let text = match part {
        "given" => given.to_owned(),
        "family" => family.to_owned(),
        "sorted" if lang.joins_names() => lang.full_name(given, family),
        "sorted" => format!("{family}, {given}"),
        _ => lang.full_name(given, family),
    };
    let what = if part == "sorted" { "name" } else { part };
    Value::new(Class::Person, part, text, lang.word(what, dice), false)
}

/// A postal address on one line.
pub(super) fn address(dice: &mut Dice, lang: &Lang, region: &str) -> Value {
    let post = match region {
        "GB" => "@@# #@@".to_owned(),
        "US" => format!("{} #####", dice.word("OR|TX|OH|ME|VT|CO|WA|GA|NC|MN")),
        "CA" => "@#@ #@#".to_owned(),
        "AU" => format!("{} %###", dice.word("NSW|VIC|QLD|WA|SA|TAS")),
        "IE" => "D## @#@#".to_owned(),
        "NZ" | "ZA" | "AT" | "CH" | "BE" => "%###".to_owned(),
        "IN" | "SG" => "%#####".to_owned(),
        _ => lang.words("post").to_owned(),
    };
    let post = dice.pattern(&post);
    let number = match lang.code {
        "ja" => format!("{}-{}-{}", dice.between(1, 9), dice.between(1, 30), dice.between(1, 20)),
        "de" if dice.chance(25) => format!("{}{}", dice.between(1, 180), dice.draw("abc", 1)),
        _ => dice.between(1, 240).to_string(),
    };
    let text = lang
        .words("form")
        .replace("{n}", &number)
        .replace("{s}", lang.word("streets", dice))
        .replace("{c}", lang.word("cities", dice))
        .replace("{z}", &post);
    Value::new(
        Class::Address,
        &format!("address.{}", region.to_lowercase()),
        text,
        lang.word("address", dice),
        false,
    )
}
