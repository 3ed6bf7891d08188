//! The bank's one prompt, and completion of its arguments and of customer numbers.

use super::bank::{self, BankError};
use super::resources::CUSTOMER_TEMPLATE;
use super::worker::Worker;
use super::{LISTS_TTL_MS, Params, complete as completed, failed, invalid, own};
use portcullis_wire::{Raw, RpcError};
use serde_json::{Value, json};

const LETTER: &str = "dispute_letter";
/// The tones of a letter, the default first.
const TONES: [&str; 3] = ["polite", "firm", "formal"];
/// Values in one completion (2026-07-28, server/utilities/completion).
const VALUES_MAX: usize = 100;

/// The result of `prompts/list`.
pub(super) fn list() -> Value {
    completed(
        json!({"prompts": [{
            "name": LETTER,
            "title": "Write a dispute letter",
            "description": "A letter to the bank in which a customer disputes a transaction.",
            "arguments": [
                {"name": "transaction_id", "title": "Transaction", "required": true,
                 "description": "The disputed transaction, for example `T-100001`."},
                {"name": "tone", "title": "Tone", "required": false,
                 "description": "`polite` (default), `firm` or `formal`."},
            ],
        }]}),
        Some((LISTS_TTL_MS, "public")),
    )
}

/// Fills the prompt in.
pub(super) async fn get(worker: &Worker, params: &Params) -> Result<Raw, RpcError> {
    let name = params.text("name")?;
    if name != LETTER {
        return Err(invalid(format!(
            "unknown prompt `{}`",
            name.chars().take(64).collect::<String>()
        )));
    }
    let arguments = match params.get("arguments") {
        None => Params(serde_json::Map::new()),
        Some(Value::Object(arguments)) => Params(arguments.clone()),
        Some(_) => return Err(invalid("`arguments` must be an object")),
    };
    if let Some(unknown) = arguments
        .0
        .keys()
        .find(|key| !matches!(key.as_str(), "transaction_id" | "tone"))
    {
        return Err(invalid(format!(
            "unknown argument `{}`",
            unknown.chars().take(64).collect::<String>()
        )));
    }
    let id = arguments.text("transaction_id")?.to_owned();
    let tone = match arguments.get("tone") {
        None => "polite",
        Some(_) => arguments.text("tone")?,
    };
    if !TONES.contains(&tone) {
        return Err(invalid(format!("`tone` must be one of {}", TONES.join(", "))));
    }
    let found = worker
        .run(move |books| bank::entry_of(books, &id))
        .await
        .map_err(|gone| failed(&gone))?;
    let (entry, owner) = match found {
        Ok(found) => found,
        Err(BankError::Database(cause)) => return Err(failed(&cause)),
        Err(error) => return Err(invalid(error.to_string())),
    };
    let text = format!(
        "Write a {tone} letter from {owner} to their bank that disputes this transaction and asks for the amount back: \
         {} of {} on {}, {} to or from {} ({}), reference \"{}\". Leave out what is not known.",
        entry.transaction_id,
        euros(entry.amount_cents),
        entry.booked_at,
        if entry.amount_cents < 0 { "paid" } else { "received" },
        entry.counterparty,
        entry.counterparty_iban,
        entry.reference,
    );
    own(&completed(
        json!({
            "description": format!("A {tone} letter that disputes {}", entry.transaction_id),
            "messages": [{"role": "user", "content": {"type": "text", "text": text}}],
        }),
        None,
    ))
}

fn euros(cents: i64) -> String {
    let cents = cents.unsigned_abs();
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}

/// Completes an argument of the prompt, or the customer number of the template.
pub(super) async fn complete(worker: &Worker, params: &Params) -> Result<Raw, RpcError> {
    let member = |object: &str, key: &str| {
        params
            .get(object)
            .and_then(|object| object.get(key))
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| invalid(format!("`{object}.{key}` must be a string")))
    };
    let (kind, argument, value) = (
        member("ref", "type")?,
        member("argument", "name")?,
        member("argument", "value")?,
    );
    let (values, total) = match (kind.as_str(), argument.as_str()) {
        ("ref/prompt", argument) if member("ref", "name")? == LETTER => {
            let values: Vec<String> = match argument {
                "tone" => TONES
                    .iter()
                    .filter(|tone| tone.starts_with(&value))
                    .map(|tone| (*tone).to_owned())
                    .collect(),
                "transaction_id" => Vec::new(),
                _ => return Err(invalid(format!("`{LETTER}` has no such argument"))),
            };
            let total = values.len();
            (values, total)
        }
        ("ref/resource", "id") if member("ref", "uri")? == CUSTOMER_TEMPLATE => worker
            .run(move |books| bank::customer_ids(books, &value, VALUES_MAX))
            .await
            .map_err(|gone| failed(&gone))?
            .map_err(|error| failed(&error))?,
        _ => {
            return Err(invalid(
                "unknown reference, hint: a prompt or a resource template of this server",
            ));
        }
    };
    own(&completed(
        json!({"completion": {"values": values, "total": total, "hasMore": total > values.len()}}),
        None,
    ))
}
