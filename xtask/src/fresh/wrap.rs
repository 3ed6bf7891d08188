//! Disguises: how a value or a whole text is written so that it no longer looks like itself.

use super::codec::{base64, gzip, hex};
use super::dice::Dice;
use super::pen::Form;
use super::value::{Class, Value};

/// The disguises, each with its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrap {
    UEscape,
    Nested,
    Url,
    Base64,
    Html,
    QuotedPrintable,
    Hex,
    Gzip64,
    ZeroWidth,
    FullWidth,
    Arabic,
    Nbsp,
    Dashes,
}

impl Wrap {
    pub(super) const ALL: &[Self] = &[
        Self::UEscape,
        Self::Nested,
        Self::Url,
        Self::Base64,
        Self::Html,
        Self::QuotedPrintable,
        Self::Hex,
        Self::Gzip64,
        Self::ZeroWidth,
        Self::FullWidth,
        Self::Arabic,
        Self::Nbsp,
        Self::Dashes,
    ];

    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::UEscape => "uescape",
            Self::Nested => "nested",
            Self::Url => "url",
            Self::Base64 => "base64",
            Self::Html => "html",
            Self::QuotedPrintable => "qp",
            Self::Hex => "hex",
            Self::Gzip64 => "gzip64",
            Self::ZeroWidth => "zwsp",
            Self::FullWidth => "fullwidth",
            Self::Arabic => "arabic",
            Self::Nbsp => "nbsp",
            Self::Dashes => "dashes",
        }
    }

    /// Whether the value stands in a text made for this disguise (`texts/carriers.txt`).
    pub(super) fn has_carriers(self) -> bool {
        matches!(
            self,
            Self::Url | Self::Base64 | Self::Html | Self::QuotedPrintable | Self::Hex | Self::Gzip64
        )
    }
}

fn numeric(class: Class) -> bool {
    matches!(
        class,
        Class::Card
            | Class::Iban
            | Class::Phone
            | Class::NationalId
            | Class::HealthId
            | Class::BankAccount
            | Class::Dob
            | Class::DeviceId
            | Class::Passport
            | Class::DriverLicense
    )
}

/// A value as it stands in any text under a disguise; the second is whether it is final (needs no escaping for its place).
/// `None` where the disguise does not fit the value or the place.
pub(super) fn disguise(wrap: Wrap, value: &Value, form: Form, dice: &mut Dice) -> Option<(String, bool)> {
    let text = &value.text;
    let several_lines = text.contains('\n');
    let changed = match wrap {
        Wrap::UEscape if matches!(form, Form::Json | Form::JsonLines) => (u_escape(text, dice), true),
        Wrap::ZeroWidth if !several_lines => (zero_width(text, dice), false),
        Wrap::FullWidth if !several_lines && text.len() < 80 => (full_width(text, numeric(value.class)), false),
        Wrap::Arabic if numeric(value.class) && text.chars().filter(char::is_ascii_digit).count() > 4 => {
            (other_digits(text, dice), false)
        }
        Wrap::Nbsp if numeric(value.class) => (
            text.replace(' ', dice.word("\u{a0}|\u{a0}|\u{202f}|\u{2009}|\u{2007}")),
            false,
        ),
        Wrap::Dashes if numeric(value.class) => {
            let dash = dice.word("\u{2010}|\u{2011}|\u{2012}|\u{2013}|\u{2014}|\u{2212}|\u{fe63}|\u{ff0d}");
            (text.replace('-', dash), false)
        }
        _ => return None,
    };
    (changed.0 != *text).then_some(changed)
}

fn u_escape(text: &str, dice: &mut Dice) -> String {
    let share = *dice.pick(&[100, 100, 50, 30]);
    let mut shown = String::new();
    for sign in text.chars() {
        if sign.is_ascii_alphanumeric() && !dice.chance(share) {
            shown.push(sign);
            continue;
        }
        let mut units = [0; 2];
        for unit in sign.encode_utf16(&mut units) {
            shown.push_str(&format!("\\u{unit:04x}"));
        }
    }
    shown
}

fn zero_width(text: &str, dice: &mut Dice) -> String {
    let between = dice
        .word("\u{200b}|\u{200b}|\u{200c}|\u{200d}|\u{2060}|\u{feff}|\u{ad}")
        .to_owned();
    let count = text.chars().count();
    let share = *dice.pick(&[15, 30, 100]);
    let certain = dice.between(1, count.saturating_sub(1).max(1));
    let mut shown = String::new();
    for (at, sign) in text.chars().enumerate() {
        if at > 0 && (at == certain || dice.chance(share)) {
            shown.push_str(&between);
        }
        shown.push(sign);
    }
    shown
}

fn full_width(text: &str, digits_only: bool) -> String {
    text.chars()
        .map(|sign| match sign {
            '0'..='9' => char::from_u32(sign as u32 + 0xfee0).unwrap_or(sign),
            '!'..='~' if !digits_only => char::from_u32(sign as u32 + 0xfee0).unwrap_or(sign),
            other => other,
        })
        .collect()
}

fn other_digits(text: &str, dice: &mut Dice) -> String {
    let zero = *dice.pick(&[0x0660_u32, 0x0660, 0x06f0, 0x0966, 0x09e6, 0x0e50]);
    text.chars()
        .map(|sign| match sign.to_digit(10) {
            Some(digit) => char::from_u32(zero + digit).unwrap_or(sign),
            None => sign,
        })
        .collect()
}

/// A value or small document as one encoded token, for texts made for the disguise.
pub(super) fn encode(wrap: Wrap, text: &str, dice: &mut Dice) -> String {
    match wrap {
        Wrap::Url => percent(text, dice),
        Wrap::Base64 if dice.chance(25) => super::codec::base64_url(text.as_bytes()),
        Wrap::Base64 => base64(text.as_bytes()),
        Wrap::Gzip64 => base64(&gzip(text.as_bytes())),
        Wrap::Hex => hex(text.as_bytes()),
        Wrap::Html => entities(text, dice),
        Wrap::QuotedPrintable => quoted_printable(text, dice),
        _ => text.to_owned(),
    }
}

fn percent(text: &str, dice: &mut Dice) -> String {
    let all = dice.chance(25) || text.chars().all(|sign| sign.is_ascii_alphanumeric());
    let mut shown = String::new();
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        match plain && !all {
            true => shown.push(char::from(byte)),
            false => shown.push_str(&format!("%{byte:02X}")),
        }
    }
    if shown == text {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    } else {
        shown
    }
}

fn entities(text: &str, dice: &mut Dice) -> String {
    let share = *dice.pick(&[100, 100, 40]);
    let hexadecimal = dice.chance(50);
    let count = text.chars().count();
    text.chars()
        .enumerate()
        .map(|(at, sign)| match sign {
            '\n' => "\n".to_owned(),
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            // At least the middle one, so that something is disguised.
            other if at != count / 2 && !dice.chance(share) => other.to_string(),
            other if hexadecimal => format!("&#x{:x};", other as u32),
            other => format!("&#{};", other as u32),
        })
        .collect()
}

/// Quoted-printable with one soft line break inside the value.
fn quoted_printable(text: &str, dice: &mut Dice) -> String {
    let cut = text.chars().count() / 2;
    let breaks = text.len() < 120;
    let mut shown = String::new();
    for (at, sign) in text.chars().enumerate() {
        if breaks && at == cut {
            shown.push_str("=\n");
        }
        let mut bytes = [0; 4];
        for byte in sign.encode_utf8(&mut bytes).bytes() {
            let plain =
                byte == b'\n' || (b' '..=b'~').contains(&byte) && byte != b'=' && !(byte == b'@' && dice.chance(50));
            match plain {
                true => shown.push(char::from(byte)),
                false => shown.push_str(&format!("={byte:02X}")),
            }
        }
    }
    shown
}
