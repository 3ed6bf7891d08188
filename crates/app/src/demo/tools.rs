//! The bank's tools: arguments in, structured results out. What the caller can put right is a tool error (2025-11-25,
//! SEP-1303); an unknown tool is the protocol's.

use super::bank::{self, BankError, Entry, Month, Order};
use super::worker::Worker;
use super::{LISTS_TTL_MS, Params, complete, failed, invalid, own};
use portcullis_wire::{Method, Notification, Raw, RpcError};
use rusqlite::Connection;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;

/// Between the parts of a statement. The system that this stands for draws one up overnight; without a pause nobody would
/// see progress, or could cancel.
const STATEMENT_PAUSE: Duration = Duration::from_millis(40);
/// Transactions in one statement; a month that has more is cut there.
const STATEMENT_ENTRIES_MAX: usize = 1_000;
const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 100;

/// The result of `tools/list`.
pub(super) fn list() -> std::io::Result<Value> {
    let tools: Value = serde_json::from_str(include_str!("tools.json"))?;
    Ok(complete(json!({ "tools": tools }), Some((LISTS_TTL_MS, "public"))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByName {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByCustomer {
    customer_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paged {
    account_id: String,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Monthly {
    account_id: String,
    month: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    from_account: String,
    to_iban: String,
    amount_cents: i64,
    reference: String,
    idempotency_key: Option<String>,
}

/// Why a tool has no result.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    /// The arguments do not fit; the caller can put it right.
    #[error("invalid arguments: {0}")]
    Arguments(String),
    /// The bank says no.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// The bank failed.
    #[error(transparent)]
    Protocol(#[from] Failed),
}

/// Wraps what is not the caller's matter.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
struct Failed(RpcError);

/// Calls a tool.
pub(super) async fn call(worker: &Worker, params: &Params, news: &mpsc::Sender<Notification>) -> Result<Raw, RpcError> {
    let name = params.text("name")?;
    let outcome = match name {
        "find_customer" => find_customer(worker, params).await,
        "get_customer" => get_customer(worker, params).await,
        "list_accounts" => list_accounts(worker, params).await,
        "list_transactions" => list_transactions(worker, params).await,
        "monthly_statement" => monthly_statement(worker, params, news).await,
        "transfer" => transfer(worker, params).await,
        _ => {
            return Err(invalid(format!(
                "unknown tool `{}`",
                name.chars().take(64).collect::<String>()
            )));
        }
    };
    match outcome {
        Ok(structured) => own(&complete(
            json!({
                "content": [{"type": "text", "text": structured.to_string()}],
                "structuredContent": structured,
            }),
            None,
        )),
        Err(ToolError::Protocol(Failed(error))) => Err(error),
        Err(ToolError::Bank(BankError::Database(cause))) => Err(failed(&cause)),
        Err(error) => own(&complete(
            json!({"isError": true, "content": [{"type": "text", "text": error.to_string()}]}),
            None,
        )),
    }
}

fn arguments<T: DeserializeOwned>(params: &Params) -> Result<T, ToolError> {
    let arguments = params.get("arguments").cloned().unwrap_or_else(|| json!({}));
    serde_json::from_value(arguments).map_err(|error| ToolError::Arguments(error.to_string()))
}

/// Holds the length of a text to what the schema says.
fn length(key: &str, text: &str, least: usize, most: usize) -> Result<(), ToolError> {
    match text.chars().count() {
        count if (least..=most).contains(&count) => Ok(()),
        count => Err(ToolError::Arguments(format!(
            "`{key}` has {count} characters, hint: {least} to {most}"
        ))),
    }
}

fn structured(result: &impl Serialize) -> Result<Value, ToolError> {
    serde_json::to_value(result).map_err(|error| Failed(failed(&error)).into())
}

async fn ask<T: Send + 'static>(
    worker: &Worker,
    question: impl FnOnce(&mut Connection) -> Result<T, BankError> + Send + 'static,
) -> Result<T, ToolError> {
    let answer = worker.run(question).await.map_err(|gone| Failed(failed(&gone)))?;
    Ok(answer?)
}

async fn find_customer(worker: &Worker, params: &Params) -> Result<Value, ToolError> {
    let ByName { name } = arguments(params)?;
    length("name", &name, 2, 100)?;
    structured(&ask(worker, move |books| bank::find_customers(books, &name)).await?)
}

async fn get_customer(worker: &Worker, params: &Params) -> Result<Value, ToolError> {
    let ByCustomer { customer_id } = arguments(params)?;
    structured(&ask(worker, move |books| bank::customer(books, &customer_id)).await?)
}

async fn list_accounts(worker: &Worker, params: &Params) -> Result<Value, ToolError> {
    let ByCustomer { customer_id } = arguments(params)?;
    let accounts = ask(worker, move |books| bank::accounts(books, &customer_id)).await?;
    Ok(json!({ "accounts": structured(&accounts)? }))
}

async fn list_transactions(worker: &Worker, params: &Params) -> Result<Value, ToolError> {
    let Paged {
        account_id,
        limit,
        cursor,
    } = arguments(params)?;
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ToolError::Arguments(format!(
            "`limit` is {limit}, hint: 1 to {PAGE_MAX}"
        )));
    }
    structured(
        &ask(worker, move |books| {
            bank::entries(books, &account_id, limit, cursor.as_deref())
        })
        .await?,
    )
}

async fn monthly_statement(
    worker: &Worker,
    params: &Params,
    news: &mpsc::Sender<Notification>,
) -> Result<Value, ToolError> {
    let Monthly { account_id, month } = arguments(params)?;
    let parsed = Month::parse(&month)?;
    let opening = {
        let (account, month) = (account_id.clone(), parsed.clone());
        ask(worker, move |books| bank::opening_balance(books, &account, &month)).await?
    };
    let (mut income, mut outgo) = (0, 0);
    let mut transactions: Vec<Entry> = Vec::new();
    for part in 0..Month::PARTS {
        let (account, month) = (account_id.clone(), parsed.clone());
        let entries = ask(worker, move |books| bank::month_part(books, &account, &month, part)).await?;
        for entry in entries {
            match entry.amount_cents {
                amount if amount > 0 => income += amount,
                amount => outgo -= amount,
            }
            if transactions.len() <= STATEMENT_ENTRIES_MAX {
                transactions.push(entry);
            }
        }
        report(params, news, part + 1).await?;
        if part + 1 < Month::PARTS {
            tokio::time::sleep(STATEMENT_PAUSE).await;
        }
    }
    let truncated = transactions.len() > STATEMENT_ENTRIES_MAX;
    transactions.truncate(STATEMENT_ENTRIES_MAX);
    Ok(json!({
        "account_id": account_id,
        "month": month,
        "currency": "EUR",
        "opening_balance_cents": opening,
        "closing_balance_cents": opening + income - outgo,
        "in_cents": income,
        "out_cents": outgo,
        "transactions": structured(&transactions)?,
        "truncated": truncated,
    }))
}

/// Says how many parts of a statement are done, to whoever asked to hear it (2026-07-28, basic/utilities/progress).
async fn report(params: &Params, news: &mpsc::Sender<Notification>, done: usize) -> Result<(), ToolError> {
    let Some(token) = params.progress_token() else {
        return Ok(());
    };
    let params = json!({
        "progressToken": token,
        "progress": done,
        "total": Month::PARTS,
        "message": format!("week {done} of {}", Month::PARTS),
    });
    let notification = Notification::own(&Method::Progress, Some(params.to_string().as_bytes()))
        .map_err(|refused| Failed(failed(&refused.error.message)))?;
    // An error means that the caller is gone, and then this future is being dropped.
    let _ = news.send(notification).await;
    Ok(())
}

async fn transfer(worker: &Worker, params: &Params) -> Result<Value, ToolError> {
    let payment: Payment = arguments(params)?;
    length("reference", &payment.reference, 1, 140)?;
    length("to_iban", &payment.to_iban, 15, 42)?;
    if let Some(key) = &payment.idempotency_key {
        length("idempotency_key", key, 1, 64)?;
    }
    let order = Order {
        from_account: payment.from_account,
        to_iban: payment.to_iban,
        amount_cents: payment.amount_cents,
        reference: payment.reference,
        idempotency_key: payment.idempotency_key,
    };
    structured(&ask(worker, move |books| bank::transfer(books, &order)).await?)
}
