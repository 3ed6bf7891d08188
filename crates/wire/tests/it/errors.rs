//! Errors as messages, and which revision may carry which code.

use portcullis_wire::error::{self, RpcError, may_carry, modern_status};
use portcullis_wire::{Era, Id, Limits, Message, Outcome, Raw, Revision};
use proptest::prelude::*;

proptest! {
    /// Whatever a message quotes, what goes out is JSON that says it.
    #[test]
    fn an_error_is_read_back(code in any::<i32>(), message in any::<String>(), id in any::<String>()) {
        let made = RpcError::new(code, message.clone()).with_data(&br#"{"a":[1]}"#[..]);
        let id = Id::string(&id);
        let text = made.to_message(Some(&id), Era::Modern);
        let Message::Response(response) = Message::parse(text, &Limits::default()).unwrap() else {
            panic!("no response");
        };
        prop_assert_eq!(response.id(), Some(&id));
        let Outcome::Error(error) = response.outcome() else { panic!("no error") };
        prop_assert_eq!(RpcError::code_of(error), Some(code));
        let read = error.get("message").unwrap();
        prop_assert_eq!(read.as_string().unwrap(), message);
        let data = error.get("data").unwrap();
        prop_assert_eq!(data.as_bytes(), br#"{"a":[1]}"#);
    }
}

#[test]
fn without_an_id_the_member_is_null_or_absent_by_era() {
    let error = RpcError::new(error::PARSE, "no");
    assert_eq!(
        error.to_message(None, Era::Legacy),
        &br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#[..]
    );
    assert_eq!(
        error.to_message(None, Era::Modern),
        &br#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"no"}}"#[..]
    );
    for era in [Era::Legacy, Era::Modern] {
        let Ok(Message::Response(response)) = Message::parse(error.to_message(None, era), &Limits::default()) else {
            panic!("no response");
        };
        assert!(response.id().is_none());
    }
}

#[test]
fn codes_and_revisions() {
    for revision in Revision::ALL {
        let modern = revision.era() == Era::Modern;
        assert_eq!(may_carry(error::RESOURCE_NOT_FOUND, revision), !modern);
        for code in [
            error::HEADER_MISMATCH,
            error::MISSING_CLIENT_CAPABILITY,
            error::UNSUPPORTED_VERSION,
        ] {
            assert_eq!(may_carry(code, revision), modern);
        }
        assert_eq!(
            may_carry(error::URL_ELICITATION_REQUIRED, revision),
            revision == Revision::V2025_11_25
        );
        for code in [error::PARSE, error::INVALID_PARAMS, error::INTERNAL, -32000, 0, 1, 404] {
            assert!(may_carry(code, revision));
        }
    }
}

#[test]
fn statuses_of_the_modern_transport() {
    for (code, status) in [
        (error::PARSE, 400),
        (error::INVALID_REQUEST, 400),
        (error::HEADER_MISMATCH, 400),
        (error::MISSING_CLIENT_CAPABILITY, 400),
        (error::UNSUPPORTED_VERSION, 400),
        (error::METHOD_NOT_FOUND, 404),
        (error::INVALID_PARAMS, 200),
        (error::INTERNAL, 200),
        (7, 200),
    ] {
        assert_eq!(modern_status(code), status, "{code}");
    }
}

#[test]
fn an_unsupported_version_names_ours_newest_first() {
    let error = RpcError::unsupported_version("1999-01-01\"");
    let data = Raw::own(error.data.unwrap()).unwrap();
    let supported: Vec<_> = data
        .get("supported")
        .unwrap()
        .elements()
        .iter()
        .map(|version| version.as_string().unwrap().into_owned())
        .collect();
    assert_eq!(supported[0], "2026-07-28");
    assert_eq!(supported.len(), Revision::ALL.len());
    assert_eq!(data.get("requested").unwrap().as_string().unwrap(), "1999-01-01\"");
}

#[test]
fn a_code_is_an_integer() {
    let code = |text: &'static str| RpcError::code_of(&Raw::own(text).unwrap());
    assert_eq!(code(r#"{"code":-32601}"#), Some(-32601));
    for bad in [
        r#"{"code":"1"}"#,
        r#"{"code":1.5}"#,
        r#"{"code":99999999999}"#,
        "{}",
        r#"{"code":1,"code":2}"#,
    ] {
        assert_eq!(code(bad), None, "{bad}");
    }
}
