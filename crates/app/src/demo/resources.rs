//! The bank's resources: its branches and terms, and each customer's file by a template.

use super::bank::{self, BankError};
use super::worker::Worker;
use super::{LISTS_TTL_MS, Params, complete, failed, invalid, own};
use portcullis_wire::{Raw, RpcError};
use serde_json::{Value, json};

const BRANCHES: &str = "bank://branches";
const TERMS: &str = "bank://terms";
const CUSTOMERS: &str = "bank://customers/";
/// The template of a customer's file.
pub(super) const CUSTOMER_TEMPLATE: &str = "bank://customers/{id}";
const TERMS_TEXT: &str = include_str!("terms.md");

/// The result of `resources/list`.
pub(super) fn list() -> Value {
    complete(
        json!({"resources": [
            {"uri": BRANCHES, "name": "branches", "title": "Branches", "description": "Where the bank has branches.",
             "mimeType": "application/json"},
            {"uri": TERMS, "name": "terms", "title": "Terms", "description": "The bank's terms for its customers.",
             "mimeType": "text/markdown", "size": TERMS_TEXT.len()},
        ]}),
        Some((LISTS_TTL_MS, "public")),
    )
}

/// The result of `resources/templates/list`.
pub(super) fn templates() -> Value {
    complete(
        json!({"resourceTemplates": [
            {"uriTemplate": CUSTOMER_TEMPLATE, "name": "customer", "title": "A customer's file",
             "description": "What the bank knows of a customer, by customer number.", "mimeType": "application/json"},
        ]}),
        Some((LISTS_TTL_MS, "public")),
    )
}

/// Reads a resource. A customer's file belongs to whoever asked and is never kept.
pub(super) async fn read(worker: &Worker, params: &Params) -> Result<Raw, RpcError> {
    let uri = params.text("uri")?;
    let (mime, text, cache) = match uri {
        TERMS => ("text/markdown", TERMS_TEXT.to_owned(), (LISTS_TTL_MS, "public")),
        BRANCHES => {
            let branches = worker
                .run(|books| bank::branches(books))
                .await
                .map_err(|gone| failed(&gone))?;
            let branches = branches.map_err(|error| failed(&error))?;
            (
                "application/json",
                json!({ "branches": branches }).to_string(),
                (LISTS_TTL_MS, "public"),
            )
        }
        _ => {
            let id = uri.strip_prefix(CUSTOMERS).ok_or_else(|| unknown(uri))?.to_owned();
            let customer = worker
                .run(move |books| bank::customer(books, &id))
                .await
                .map_err(|gone| failed(&gone))?;
            match customer {
                Ok(customer) => ("application/json", json!(customer).to_string(), (0, "private")),
                Err(BankError::NoCustomer(_)) => return Err(unknown(uri)),
                Err(error) => return Err(failed(&error)),
            }
        }
    };
    own(&complete(
        json!({"contents": [{"uri": uri, "mimeType": mime, "text": text}]}),
        Some(cache),
    ))
}

/// 2026-07-28, server/resources: `-32602` with the URI.
fn unknown(uri: &str) -> RpcError {
    let uri: String = uri.chars().take(200).collect();
    invalid(format!("unknown resource `{uri}`")).with_data(json!({ "uri": uri }).to_string())
}
