//! Code around a value: types, calls and references, which stand where a value could and are none. Told by the grammar that most
//! languages share: a path of names, and what follows it. Only what stands in no quotes is looked at.
//!
//! It must not know what is looked for.

use super::peek::ahead;

/// A line of code is looked at so far.
const LINE_BYTES_MAX: usize = 256;

/// Names of types, in small letters, that languages, databases and schemas have built in.
const TYPES: [&[u8]; 58] = [
    b"str",
    b"string",
    b"bool",
    b"boolean",
    b"int",
    b"integer",
    b"long",
    b"short",
    b"float",
    b"double",
    b"decimal",
    b"number",
    b"numeric",
    b"char",
    b"byte",
    b"bytes",
    b"bytea",
    b"blob",
    b"text",
    b"varchar",
    b"varchar2",
    b"nvarchar",
    b"tinytext",
    b"mediumtext",
    b"longtext",
    b"uuid",
    b"json",
    b"jsonb",
    b"date",
    b"datetime",
    b"timestamp",
    b"any",
    b"unknown",
    b"never",
    b"object",
    b"void",
    b"null",
    b"nil",
    b"none",
    b"undefined",
    b"optional",
    b"i8",
    b"i16",
    b"i32",
    b"i64",
    b"u8",
    b"u16",
    b"u32",
    b"u64",
    b"u128",
    b"usize",
    b"f32",
    b"f64",
    b"int32",
    b"int64",
    b"secretstr",
    b"securestring",
    b"charsequence",
];

/// What may stand before a type or an expression.
const BEFORE: [&[u8]; 15] = [
    b"*const ", b"*mut ", b"&mut ", b"mut ", b"dyn ", b"impl ", b"new ", b"await ", b"async ", b"const ", b"return ",
    b"yield ", b"not ", b"typeof ", b"lambda ",
];

/// Tags of HTML that follow a value: what else stands in `<` and `>` is an argument of a type.
const TAGS: [&[u8]; 28] = [
    b"br",
    b"td",
    b"th",
    b"tr",
    b"b",
    b"i",
    b"p",
    b"u",
    b"a",
    b"div",
    b"span",
    b"input",
    b"dd",
    b"dt",
    b"strong",
    b"em",
    b"code",
    b"pre",
    b"li",
    b"label",
    b"value",
    b"select",
    b"textarea",
    b"font",
    b"kbd",
    b"tt",
    b"hr",
    b"small",
];

/// What stands between the names of a path.
const JOINTS: [&[u8]; 6] = [b"::", b"->", b"?.", b"!!.", b"!.", b"."];

/// Whether a tag of HTML is opened or closed at `at`.
pub(super) fn is_tag(text: &[u8], at: usize) -> bool {
    let rest = ahead(text, at, 16);
    match rest {
        [b'<', b'/' | b'!', ..] => true,
        [b'<', name @ ..] => {
            let length = name.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            let name = name.get(..length).unwrap_or_default();
            // `<T>` and `<P>` are arguments of types.
            let is_argument = length == 1 && name.first().is_some_and(u8::is_ascii_uppercase);
            !is_argument && TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(name))
        }
        _ => false,
    }
}

/// Whether what stands at `start`, in no quotes, is code or the name of a type.
pub(super) fn is_code(text: &[u8], start: usize) -> bool {
    let line = ahead(text, start, LINE_BYTES_MAX);
    let end = memchr::memchr2(b'\n', b'\r', line).unwrap_or(line.len());
    let mut rest = line.get(..end).unwrap_or_default();
    while let Some(after) = BEFORE.iter().find_map(|word| rest.strip_prefix(*word)) {
        rest = after;
    }
    rest = rest.strip_prefix(b"::").unwrap_or(rest);
    if is_typed_number(rest) {
        return true;
    }
    let bare = rest;
    while let [b'&' | b'*', after @ ..] = rest {
        rest = after.strip_prefix(b"mut ").unwrap_or(after);
    }
    // `[]byte`, `&[u8]`, `[u8; 4]`.
    if let Some(inner) = rest.strip_prefix(b"[") {
        let inner = inner.strip_prefix(b"]").unwrap_or(inner);
        let name = inner.get(..name_length(inner)).unwrap_or_default();
        let is_closed = matches!(
            inner.get(name.len()),
            None | Some(b']' | b';' | b' ' | b',' | b')' | b'<')
        );
        return !name.is_empty() && is_closed && (is_type(name) || bare.len() != rest.len());
    }
    // `'a str`, behind a reference.
    if bare.len() != rest.len() && rest.first() == Some(&b'\'') {
        return true;
    }
    // `(uint8_t)length`
    if let Some(inner) = rest.strip_prefix(b"(") {
        let name = inner.get(..name_length(inner)).unwrap_or_default();
        let behind = inner.get(name.len()..).unwrap_or_default();
        return (is_type(name) || name.ends_with(b"_t"))
            && matches!(behind, [b')', next, ..] if next.is_ascii_alphabetic() || matches!(next, b'_' | b'*'));
    }
    let path = path(rest);
    let Some(after) = rest.get(path.bytes..) else {
        return false;
    };
    let name = rest.get(..path.bytes).unwrap_or_default();
    if path.bytes == 0 {
        return false;
    }
    if is_type(name)
        && matches!(
            after.first(),
            None | Some(
                b' ' | b',' | b')' | b';' | b'?' | b'|' | b'=' | b'[' | b'(' | b'<' | b'{' | b'}' | b'!' | b'*' | b'`'
            )
        )
    {
        return true;
    }
    let has_digits = name.iter().any(u8::is_ascii_digit);
    let is_followed = matches!(after, [] | [b',' | b';' | b')' | b'}' | b']', ..] | [b' ', b'=', ..]);
    // `$password;`, `__psw_t,`, `NTSTATUS = -1`, `.field = self`.
    let is_variable = name.first() == Some(&b'$')
        && name.len() > 3
        && !has_digits
        && matches!(after, [b',' | b';' | b')' | b':' | b'.', ..]);
    let is_named_type = name.ends_with(b"_t")
        || name == b"self"
        || name.first().is_some_and(u8::is_ascii_uppercase) && after.starts_with(b" = ") && !has_digits;
    if is_followed && is_named_type || is_variable {
        return true;
    }
    if has_digits && is_followed && (path.is_joined() && name.starts_with(b"std") || is_numbered_name(name)) {
        return true;
    }
    match after {
        [b'(', inner @ ..] => closes(inner, b'(', b')'),
        [b'!', b'(' | b'[', ..] if !has_digits => true,
        [b'[', inner @ ..] => !has_digits && closes(inner, b'[', b']'),
        [b'<', ..] => !has_digits && name.len() >= 2 && (path.is_joined() || is_arguments(after)),
        [b' ', b'{', ..] => name.first().is_some_and(u8::is_ascii_uppercase) && !has_digits,
        // Two names and an operator between them.
        [b' ', operator @ ..] if !has_digits => {
            const OPERATORS: [&[u8]; 14] = [
                b"+ ", b"== ", b"!= ", b"=== ", b"!== ", b"=> ", b"&& ", b"|| ", b"?? ", b"if ", b"or ", b"and ",
                b"as ", b"is ",
            ];
            OPERATORS.iter().any(|word| operator.starts_with(word))
                || path.is_joined()
                || is_compound(name) && operator.starts_with(b"=")
        }
        [] | [b',' | b')' | b';' | b'?' | b'}' | b']' | b':', ..] => {
            !has_digits && (path.is_joined() || bare.len() != rest.len() || is_compound(name))
                // `password = passwd;`: no file of settings ends its lines so.
                || matches!(after, [b';'] | [b')', b';']) && !has_digits && text.get(..start).is_some_and(|text| text.ends_with(b" = "))
        }
        _ => false,
    }
}

/// A path of names: `self.password`, `std::str::from_utf8`, `this->key`, `user?.name`.
struct Path {
    bytes: usize,
    joints: usize,
}

impl Path {
    const fn is_joined(&self) -> bool {
        self.joints > 0
    }
}

fn path(text: &[u8]) -> Path {
    let mut path = Path {
        bytes: name_length(text),
        joints: 0,
    };
    while path.bytes > 0 {
        let rest = text.get(path.bytes..).unwrap_or_default();
        let joint = JOINTS.iter().find(|joint| rest.starts_with(joint));
        let Some(joint) = joint else { break };
        let length = name_length(rest.get(joint.len()..).unwrap_or_default());
        if length == 0 {
            break;
        }
        path.bytes += joint.len() + length;
        path.joints += 1;
    }
    path
}

fn name_length(text: &[u8]) -> usize {
    match text.first() {
        Some(first) if first.is_ascii_alphabetic() || matches!(first, b'_' | b'$' | b'@') => {
            1 + text
                .iter()
                .skip(1)
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count()
        }
        _ => 0,
    }
}

/// `131072u32`, `0xc069`: a number with its type, or to its base.
fn is_typed_number(text: &[u8]) -> bool {
    if let Some(digits) = text.strip_prefix(b"0x") {
        let length = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        return (1..=8).contains(&length) && !digits.get(length).is_some_and(u8::is_ascii_alphanumeric);
    }
    let digits = text
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'_')
        .count();
    if digits == 0 {
        return false;
    }
    let suffix = text.get(digits..).unwrap_or_default();
    let length = suffix.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    const SUFFIXES: [&[u8]; 14] = [
        b"i8", b"i16", b"i32", b"i64", b"i128", b"isize", b"u8", b"u16", b"u32", b"u64", b"u128", b"usize", b"f32",
        b"f64",
    ];
    SUFFIXES.contains(&suffix.get(..length).unwrap_or_default())
}

/// Whether a value is a name in code by its own form: `PrivatePkcs8KeyDer`, `MLKEM768_SECRET_KEY_BYTES`. Figures are few in it, and
/// its words have vowels or are many.
fn is_numbered_name(name: &[u8]) -> bool {
    let digits = name.iter().filter(|byte| byte.is_ascii_digit()).count();
    let large = name.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let small = name.iter().filter(|byte| byte.is_ascii_lowercase()).count();
    if name.len() < 8 || digits > 4 || digits * 4 > name.len() {
        return false;
    }
    let is_snake = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') && (large == 0 || small == 0);
    if is_snake {
        let parts = name.split(|byte| *byte == b'_').filter(|part| !part.is_empty());
        let words = parts
            .clone()
            .filter(|part| part.len() >= 3 && part.iter().all(u8::is_ascii_alphabetic));
        return words.clone().count() >= 1 && parts.count() <= words.count() + 2;
    }
    // Words of a camel's name are longer than chance makes them.
    name.iter().all(u8::is_ascii_alphanumeric)
        && large >= 3
        && large * 4 <= name.len() + 2
        && small > 2 * (large + digits)
}

fn is_type(name: &[u8]) -> bool {
    TYPES.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// `AccessToken`, `PASSWORD_BYTES`, `user_password`: names of two words or more, without figures.
fn is_compound(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"_").unwrap_or(name);
    let parts = name.split(|byte| *byte == b'_');
    let is_large = name.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    let is_small = name.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    if is_large || is_small {
        return parts.clone().count() >= 2 && parts.clone().all(|part| (2..=14).contains(&part.len()));
    }
    let humps = name.iter().filter(|byte| byte.is_ascii_uppercase()).count()
        + usize::from(name.first().is_some_and(u8::is_ascii_lowercase));
    let is_camel = name.iter().all(u8::is_ascii_alphabetic)
        && name
            .iter()
            .zip(name.iter().skip(1))
            .all(|(one, next)| !(one.is_ascii_uppercase() && next.is_ascii_uppercase()))
        && !name.last().is_some_and(u8::is_ascii_uppercase);
    is_camel && humps >= 2 && name.len() >= 3 * humps
}

/// Whether brackets that are open close before the end of the line or at it, and code goes on behind them.
fn closes(inner: &[u8], open: u8, close: u8) -> bool {
    let mut depth = 1_usize;
    for (at, byte) in inner.iter().enumerate() {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                return matches!(
                    inner.get(at + 1),
                    None | Some(
                        b'.' | b','
                            | b';'
                            | b')'
                            | b'?'
                            | b'['
                            | b']'
                            | b':'
                            | b' '
                            | b'{'
                            | b'}'
                            | b'-'
                            | b'('
                            | b'`'
                            | b'"'
                    )
                );
            }
        }
    }
    true
}

/// Whether `<` opens the arguments of a type.
fn is_arguments(text: &[u8]) -> bool {
    let is_begun = text
        .get(1)
        .is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'&' | b'\'' | b'(' | b'?' | b'[' | b'_'));
    is_begun && !is_tag(text, 0) && memchr::memchr(b'>', text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_calls_and_references_are_code() {
        for code in [
            "Option<String>,",
            "Vec<Box<dyn Key>>",
            "&str",
            "&'static str",
            "&[u8],",
            "[u8; 32],",
            "[]byte",
            "string | null;",
            "String?",
            "str = Field(...)",
            "VARCHAR(255) NOT NULL",
            "std::str::from_utf8(token).map_err(|_|",
            "Secret::random().unwrap());",
            "head.headers.get_all(AUTHORIZATION)",
            "self.password,",
            "process.env.PASSWORD",
            "this->password;",
            "user_password",
            "AccessToken,",
            "PASSWORD_BYTES,",
            "pw[:-1]",
            "ListenAddress(([127, 0, 0, 1], 80).into()),",
            "new Secret(name)",
            "await ask(name);",
            "ToolPin {",
            "value == other",
        ] {
            assert!(is_code(code.as_bytes(), 0), "{code}");
        }
    }

    #[test]
    fn passwords_are_no_code() {
        for value in [
            "hunter2",
            "Hunter(2024)!xQ",
            "sunshine",
            "S3cr3t.Pass",
            "Xk9<br>",
            "abc<td>",
            "aB3[x]Q",
            "correct-horse",
            "p4ss_w0rd",
            "Sommer",
            "k7_Qm2",
            "",
            "1234",
            "!x(y)",
            "qwerty secret",
        ] {
            assert!(!is_code(value.as_bytes(), 0), "{value}");
        }
    }

    #[test]
    fn tags_are_no_arguments_of_types() {
        for (text, is) in [
            ("</b>", true),
            ("<br>", true),
            ("<TD>", true),
            ("<T>", false),
            ("<P>", false),
            ("<String>", false),
            ("<", false),
        ] {
            assert_eq!(is_tag(text.as_bytes(), 0), is, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_code_or_not(text: Vec<u8>, at in 0..40_usize) {
            let _ = (is_code(&text, at), is_tag(&text, at));
        }
    }
}
