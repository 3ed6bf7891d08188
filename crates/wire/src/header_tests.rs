//! Tests of `header.rs`: the specification's examples, each rule of validity broken once, and every kind of disagreement.

use super::*;
use bytes::Bytes;

fn raw(text: &str) -> Raw {
    Raw::own(Bytes::from(text.to_owned())).unwrap()
}

#[test]
fn the_encoding_examples_of_the_specification() {
    for (text, value) in [
        ("us-west1", "us-west1"),
        ("Hello, \u{4e16}\u{754c}", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("", ""),
        ("us west 1", "us west 1"),
        ("=?base64?open", "=?base64?open"),
        ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
    ] {
        assert_eq!(encode(text), value);
        assert_eq!(decode(value.as_bytes()).unwrap(), text);
    }
    for text in ["\ttab", "in\tside", "=?base64?=", "a\u{7f}", "\u{0}", "\u{e9}", "tail "] {
        assert_ne!(encode(text), text, "{text:?}");
        assert_eq!(decode(encode(text).as_bytes()).as_deref(), Ok(text));
    }
}

#[test]
fn values_that_cannot_be_read() {
    assert_eq!(decode(b"  x\t").unwrap(), "x");
    assert_eq!(decode(b"a\tb").unwrap(), "a\tb");
    assert_eq!(decode(b"=?base64??=").unwrap(), "");
    assert_eq!(decode(b" \n x "), Err(ValueError::Character { at: 0 }));
    assert_eq!(decode(b"a\x01b"), Err(ValueError::Character { at: 1 }));
    assert_eq!(decode("\u{e9}".as_bytes()), Err(ValueError::Character { at: 0 }));
    assert_eq!(decode(b"=?base64?a?="), Err(ValueError::Base64));
    assert_eq!(decode(b"=?base64?YQ?="), Err(ValueError::Base64));
    assert_eq!(decode(b"=?base64?Y Q==?="), Err(ValueError::Base64));
    assert_eq!(decode(b"=?base64?/w==?="), Err(ValueError::Utf8));
    let max = Limits::HEADER_VALUE_BYTES_MAX;
    assert!(decode(&vec![b'a'; max]).is_ok());
    assert_eq!(
        decode(&vec![b'a'; max + 1]),
        Err(ValueError::TooLong { bytes: max + 1, max })
    );
}

#[test]
fn integers_compare_by_number_and_exactly() {
    for (text, number) in [
        ("42", Some(42)),
        ("42.0", Some(42)),
        ("4.2e1", Some(42)),
        ("420E-1", Some(42)),
        ("-0", Some(0)),
        ("0e999999999999999999999", Some(0)),
        ("9007199254740991", Some(9_007_199_254_740_991)),
        ("-9007199254740991.000", Some(-9_007_199_254_740_991)),
        ("9007199254740992", None),
        ("42.00000000000000000001", None),
        ("1.5", None),
        ("1e-1", None),
        ("1e400", None),
        ("1e99999999999999999999", None),
        ("1e18", None),
        ("", None),
        ("-", None),
        ("1.", None),
        (".5", None),
        ("1e", None),
        ("+1", None),
        ("0x10", None),
        ("1 ", None),
        ("NaN", None),
        ("1e+", None),
        ("1e--1", None),
    ] {
        assert_eq!(safe_integer(text), number, "{text}");
    }
    let pairs = [
        ("42", "42", true),
        ("42.0", "42", true),
        ("42", "4.2e1", true),
        ("43", "42", false),
        ("x", "42", false),
        ("9007199254740993", "9007199254740993", false),
        ("42.0", "\"42\"", false),
        ("true", "true", true),
        ("True", "true", false),
        ("false", "\"false\"", true),
        ("=?base64?NDI=?=", "42", true),
        ("us", "\"us\"", true),
        ("US", "\"us\"", false),
        ("us", "\"\\u0075s\"", true),
        ("", "\"\"", true),
        ("null", "null", false),
        ("{}", "{}", false),
    ];
    for (header, body, equal) in pairs {
        assert_eq!(matches(header.as_bytes(), &raw(body)), Ok(equal), "{header} {body}");
    }
}

#[test]
fn annotations_are_found_at_any_depth_of_properties() {
    let schema = raw(r#"{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "x-mcp-header":{"type":"string"},
            "options":{"type":"object","properties":{
                "tenant":{"type":["string","null"],"\u0078-mcp-header":"X-Tenant_1"},
                "limit":{"x-mcp-header":"limit","type":"integer"}}},
            "flag":{"type":"boolean","x-mcp-header":"Flag","default":{"x-mcp-header":7}},
            "any":true},
          "examples":[{"x-mcp-header":""}],"enum":[{"x-mcp-header":""}]}"#);
    let found = annotations(&schema).unwrap();
    let short: Vec<_> = found
        .iter()
        .map(|one| (one.header.as_str(), one.path.join(".")))
        .collect();
    assert_eq!(
        short,
        [
            ("Mcp-Param-Region", "region".to_owned()),
            ("Mcp-Param-X-Tenant_1", "options.tenant".to_owned()),
            ("Mcp-Param-limit", "options.limit".to_owned()),
            ("Mcp-Param-Flag", "flag".to_owned()),
        ]
    );
    assert_eq!(annotations(&raw(r#"{"type":"object"}"#)), Ok(vec![]));
    assert_eq!(annotations(&raw("true")), Ok(vec![]));
}

#[test]
fn one_bad_annotation_makes_the_tool_invalid() {
    let property = |text: &str| {
        annotations(&raw(&format!(
            r#"{{"properties":{{"ok":{{"type":"string","x-mcp-header":"Ok"}},"p":{text}}}}}"#
        )))
        .unwrap_err()
    };
    let at = || "/properties/p".to_owned();
    for name in ["", "a b", "a:b", "R\\u00e9gion", "R\\t1", "a\\r\\nb", "(a)"] {
        let error = property(&format!(r#"{{"type":"string","x-mcp-header":"{name}"}}"#));
        assert!(
            matches!(error, AnnotationError::Name { place, .. } if place == at()),
            "{name}"
        );
    }
    for value in ["1", "null", "true", "[\"A\"]", "{}"] {
        assert_eq!(
            property(&format!(r#"{{"type":"string","x-mcp-header":{value}}}"#)),
            AnnotationError::NotAString { place: at() }
        );
    }
    for kind in [
        "\"number\"",
        "\"object\"",
        "\"array\"",
        "\"null\"",
        "[\"null\"]",
        "[]",
        "7",
        "[\"string\",\"number\"]",
    ] {
        assert_eq!(
            property(&format!(r#"{{"type":{kind},"x-mcp-header":"A"}}"#)),
            AnnotationError::Type { place: at() },
            "{kind}"
        );
    }
    assert_eq!(
        property(r#"{"x-mcp-header":"A"}"#),
        AnnotationError::Type { place: at() }
    );
    assert_eq!(
        property(r#"{"type":"string","x-mcp-header":"oK"}"#),
        AnnotationError::Duplicate {
            place: at(),
            name: "oK".into()
        }
    );
    let inner = r#"{"type":"string","x-mcp-header":"A"}"#;
    for around in [
        r#"{"items":@}"#,
        r#"{"prefixItems":[@]}"#,
        r#"{"oneOf":[{},@]}"#,
        r#"{"anyOf":[@]}"#,
        r#"{"allOf":[{"properties":{"x":@}}]}"#,
        r#"{"not":@}"#,
        r#"{"if":@}"#,
        r#"{"then":@}"#,
        r#"{"else":@}"#,
        r#"{"additionalProperties":@}"#,
        r#"{"patternProperties":{"^a":@}}"#,
        r#"{"$defs":{"d":@}}"#,
        r#"{"definitions":{"d":@}}"#,
        r#"{"dependentSchemas":{"d":@}}"#,
        r#"{"propertyNames":@}"#,
        r#"{"contains":@}"#,
        r#"{"unevaluatedItems":@}"#,
        r#"{"properties":{"q":{"items":{"properties":{"z":@}}}}}"#,
    ] {
        let error = property(&around.replace('@', inner));
        assert!(matches!(error, AnnotationError::Place { .. }), "{around} {error}");
    }
    assert_eq!(
        annotations(&raw(r#"{"type":"string","x-mcp-header":"A"}"#)),
        Err(AnnotationError::Place { place: String::new() })
    );
    assert!(matches!(
        property(r#"{"type":"string","x-mcp-header":"A","x-mcp-header":"B"}"#),
        AnnotationError::Schema(JsonError::DuplicateKey { .. })
    ));
    let many: Vec<_> = (0..=Limits::MIRRORED_MAX)
        .map(|n| format!(r#""p{n}":{{"type":"string","x-mcp-header":"H{n}"}}"#))
        .collect();
    assert_eq!(
        annotations(&raw(&format!(r#"{{"properties":{{{}}}}}"#, many.join(",")))),
        Err(AnnotationError::TooMany {
            max: Limits::MIRRORED_MAX
        })
    );
}

fn some() -> Vec<Annotation> {
    let one = |header: &str, path: &[&str]| Annotation {
        header: format!("{PARAM_PREFIX}{header}"),
        path: path.iter().map(|&key| key.to_owned()).collect(),
    };
    vec![
        one("Region", &["region"]),
        one("Limit", &["options", "limit"]),
        one("Flag", &["flag"]),
    ]
}

#[test]
fn headers_are_computed_from_arguments() {
    let of = |text: &str| {
        parameters(&some(), Some(&raw(text))).map(|headers| {
            let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            headers.join("; ")
        })
    };
    assert_eq!(
        of(r#"{"region":" a","options":{"limit":42.0},"flag":false}"#).unwrap(),
        "Mcp-Param-Region: =?base64?IGE=?=; Mcp-Param-Limit: 42; Mcp-Param-Flag: false"
    );
    assert_eq!(of(r#"{"region":null,"options":7,"other":1}"#).unwrap(), "");
    assert_eq!(of(r#"{"region":""}"#).unwrap(), "Mcp-Param-Region: ");
    assert_eq!(parameters(&some(), None), Ok(vec![]));
    for bad in [
        r#"{"region":{}}"#,
        r#"{"region":[1]}"#,
        r#"{"options":{"limit":1.5}}"#,
        r#"{"options":{"limit":9007199254740992}}"#,
    ] {
        assert!(matches!(of(bad), Err(HeaderError::NotMirrorable { .. })), "{bad}");
    }
    let long = format!(r#"{{"region":"{}"}}"#, "x".repeat(Limits::HEADER_VALUE_BYTES_MAX + 1));
    assert!(matches!(of(&long), Err(HeaderError::NotMirrorable { .. })));
    assert!(matches!(
        of(r#"{"region":"a","region":"b"}"#),
        Err(HeaderError::Arguments(_))
    ));
}

#[test]
fn received_headers_are_checked_against_the_arguments() {
    let arguments = raw(r#"{"region":"us west","options":{"limit":42},"flag":null}"#);
    let check = |headers: &[(&'static str, &'static str)]| {
        check(
            &some(),
            Some(&arguments),
            headers.iter().map(|&(name, value)| (name, value.as_bytes())),
        )
    };
    let header = |name: &str| format!("{PARAM_PREFIX}{name}");
    let good = [("mcp-param-region", "us west"), ("MCP-PARAM-LIMIT", "42.0")];
    assert_eq!(check(&good), Ok(vec![]));
    assert_eq!(
        check(&[
            good[0],
            good[1],
            ("mcp-param-else", "\u{1}"),
            ("accept", "x"),
            ("mcp", "x")
        ]),
        Ok(vec!["mcp-param-else"])
    );
    assert_eq!(
        check(&[("mcp-param-region", "=?base64?dXMgd2VzdA==?="), good[1]]),
        Ok(vec![])
    );
    assert_eq!(
        check(&good[..1]),
        Err(HeaderError::Missing {
            header: header("Limit")
        })
    );
    assert_eq!(
        check(&[]),
        Err(HeaderError::Missing {
            header: header("Region")
        })
    );
    assert_eq!(
        check(&[("mcp-param-region", "us  west"), good[1]]),
        Err(HeaderError::Different {
            header: header("Region")
        })
    );
    assert_eq!(
        check(&[good[0], good[1], ("mcp-param-flag", "true")]),
        Err(HeaderError::Unexpected { header: header("Flag") })
    );
    assert_eq!(
        check(&[good[0], good[1], ("Mcp-Param-REGION", "us west")]),
        Err(HeaderError::Repeated {
            header: header("Region")
        })
    );
    assert_eq!(
        check(&[("mcp-param-region", "=?base64?*?="), good[1]]),
        Err(HeaderError::Value {
            header: header("Region"),
            error: ValueError::Base64
        })
    );
    let error = check(&[]).unwrap_err();
    assert_eq!(RpcError::from(&error).code, error::HEADER_MISMATCH);
}

#[test]
fn standard_headers_are_compared() {
    let values = |list: &'static [&'static str]| list.iter().map(|value| value.as_bytes());
    assert!(check_literal(METHOD, values(&[" tools/call "]), "tools/call").is_ok());
    assert!(matches!(
        check_literal(METHOD, values(&["Tools/call"]), "tools/call"),
        Err(HeaderError::Different { .. })
    ));
    assert!(matches!(
        check_literal(METHOD, values(&[]), "tools/call"),
        Err(HeaderError::Missing { .. })
    ));
    assert!(matches!(
        check_literal(METHOD, values(&["a", "a"]), "a"),
        Err(HeaderError::Repeated { .. })
    ));
    assert!(check_encoded(NAME, values(&["=?base64?w6k=?="]), "\u{e9}").is_ok());
    assert!(matches!(
        check_encoded(NAME, values(&["=?base64?w6k=?="]), "e"),
        Err(HeaderError::Different { .. })
    ));
    assert!(matches!(
        check_encoded(NAME, values(&["=?base64?w6k?="]), "\u{e9}"),
        Err(HeaderError::Value { .. })
    ));
}
