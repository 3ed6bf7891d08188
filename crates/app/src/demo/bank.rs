//! The bank's books: an embedded SQL database, filled with invented people when it is new, and the questions that can be
//! asked of it. Every value reaches SQL as a parameter. It knows nothing of MCP and blocks: `worker` runs it.

use super::{iban, people};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, named_params, params};
use serde::Serialize;
use std::path::Path;

/// Marks the file as ours ("PcBk"), so that no other database is taken for the bank.
const APPLICATION_ID: i32 = 0x5063_426b;
/// Of the tables below. A file with another one is refused: it is a demo, there is nothing to migrate.
const SCHEMA_VERSION: i32 = 1;
/// Customers in one answer.
const CUSTOMERS_MAX: u32 = 20;
/// The largest transfer.
pub(super) const TRANSFER_CENTS_MAX: i64 = 100_000_000;
/// Entries that the books hold; a demo that has more is being used to fill the disk.
const ENTRIES_MAX: i64 = 200_000;
/// The first entry's number.
const FIRST_ENTRY: i64 = 100_001;

const TABLES: &str = "
CREATE TABLE branches (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, phone TEXT NOT NULL
) STRICT;
CREATE TABLE customers (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, phone TEXT NOT NULL, street TEXT NOT NULL,
    town TEXT NOT NULL, postcode TEXT NOT NULL, date_of_birth TEXT NOT NULL,
    branch_id TEXT NOT NULL REFERENCES branches (id)
) STRICT;
CREATE TABLE accounts (
    id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers (id), iban TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL, opening_cents INTEGER NOT NULL, balance_cents INTEGER NOT NULL CHECK (balance_cents >= 0)
) STRICT;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id), booked_at TEXT NOT NULL,
    amount_cents INTEGER NOT NULL, counterparty TEXT NOT NULL, counterparty_iban TEXT NOT NULL, reference TEXT NOT NULL
) STRICT;
CREATE INDEX entries_by_account ON entries (account_id, id);
CREATE TABLE transfers (
    id INTEGER PRIMARY KEY, from_account TEXT NOT NULL REFERENCES accounts (id), to_iban TEXT NOT NULL,
    amount_cents INTEGER NOT NULL, reference TEXT NOT NULL, booked_at TEXT NOT NULL, balance_cents INTEGER NOT NULL,
    idempotency_key TEXT, UNIQUE (from_account, idempotency_key)
) STRICT;
";

/// Why the bank says no.
#[derive(Debug, thiserror::Error)]
pub(super) enum BankError {
    /// Nobody has this number.
    #[error("no customer `{0}`, hint: `find_customer` gives customer numbers")]
    NoCustomer(String),
    /// No account has this number.
    #[error("no account `{0}`, hint: `list_accounts` gives account numbers")]
    NoAccount(String),
    /// No entry has this number.
    #[error("no transaction `{0}`, hint: `list_transactions` gives transaction numbers")]
    NoTransaction(String),
    /// Not a cursor of ours.
    #[error("`{0}` is no cursor, hint: pass `next_cursor` of the page before, or leave it out")]
    Cursor(String),
    /// Wrong check digits or form.
    #[error("`{0}` is no valid IBAN, hint: check its digits")]
    Iban(String),
    /// Not a month.
    #[error("`{0}` is no month, hint: write it as `2026-09`")]
    Month(String),
    /// Nothing, or too much.
    #[error("`amount_cents` must be from 1 to {TRANSFER_CENTS_MAX}, and is {0}")]
    Amount(i64),
    /// Payer and payee are one.
    #[error("`{0}` is the account that pays, hint: name another one in `to_iban`")]
    SameAccount(String),
    /// Not enough on the account.
    #[error("account `{account}` holds {balance_cents} cents, which is less than {amount_cents}")]
    Funds {
        /// The account.
        account: String,
        /// What it holds.
        balance_cents: i64,
        /// What was to be paid.
        amount_cents: i64,
    },
    /// The key was used for another transfer.
    #[error("`idempotency_key` `{0}` was used for a different transfer, hint: use a new key for a new transfer")]
    KeyReused(String),
    /// The books are full.
    #[error("the demo bank's books are full, hint: stop the gateway and delete the demo bank's file")]
    Full,
    /// The database failed. What it said is for the log.
    #[error("the bank's books cannot be read or written")]
    Database(#[from] rusqlite::Error),
}

/// Why the books do not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The file or its directory.
    #[error("cannot open the demo bank: {0}")]
    Io(#[from] std::io::Error),
    /// The database.
    #[error("cannot open the demo bank: {0}")]
    Database(#[from] rusqlite::Error),
    /// Some other database.
    #[error("`{0}` is no demo bank of this version, hint: delete it, and the next start makes a new one")]
    Foreign(String),
}

/// Opens the books in the file `path`, readable by this user alone, and fills them when they are new.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    use std::os::unix::fs::OpenOptionsExt;
    // SQLite would make the file readable for the group.
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)?;
    let connection = Connection::open(path)?;
    // WAL: one sync for a transfer, none for a look.
    connection.pragma_update(None, "journal_mode", "wal")?;
    prepare(connection, &path.display().to_string())
}

/// Books in memory, for tests.
#[cfg(test)]
pub(super) fn in_memory() -> Connection {
    prepare(Connection::open_in_memory().unwrap(), "memory").unwrap()
}

fn prepare(mut connection: Connection, name: &str) -> Result<Connection, OpenError> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Another process may be filling the same file: whoever comes second sees what the first has made.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let pragma = |pragma: &str| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (pragma("application_id")?, pragma("user_version")?, tables) {
        (APPLICATION_ID, SCHEMA_VERSION, _) => {}
        (0, 0, 0) => fill(&transaction)?,
        _ => return Err(OpenError::Foreign(name.to_owned())),
    }
    transaction.commit()?;
    Ok(connection)
}

fn fill(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    for (id, name, address, phone) in people::BRANCHES {
        connection.execute(
            "INSERT INTO branches VALUES (?1, ?2, ?3, ?4)",
            params![id, name, address, phone],
        )?;
    }
    let everybody = people::everybody();
    let mut customer_row = connection.prepare("INSERT INTO customers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let mut account_row = connection.prepare("INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut entry_row = connection.prepare("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut entries = Vec::new();
    for customer in &everybody {
        customer_row.execute(params![
            customer.id,
            customer.name,
            customer.email,
            customer.phone,
            customer.street,
            customer.town,
            customer.postcode,
            customer.date_of_birth,
            customer.branch
        ])?;
        for account in &customer.accounts {
            let moved: i64 = account.payments.iter().map(|payment| payment.amount_cents).sum();
            account_row.execute(params![
                account.id,
                customer.id,
                account.iban,
                account.kind,
                account.opening_cents,
                account.opening_cents + moved
            ])?;
            entries.extend(account.payments.iter().map(|payment| (payment, &account.id)));
        }
    }
    // Numbers grow with time over the whole bank, as later entries' will.
    entries.sort_by(|(a, _), (b, _)| a.booked_at.cmp(&b.booked_at));
    for (id, (payment, account)) in (FIRST_ENTRY..).zip(entries) {
        entry_row.execute(params![
            id,
            account,
            payment.booked_at,
            payment.amount_cents,
            payment.counterparty,
            payment.counterparty_iban,
            payment.reference
        ])?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)
}

/// A customer as a search shows them.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Found {
    pub(super) customer_id: String,
    pub(super) name: String,
    pub(super) town: String,
}

/// The result of a search.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Search {
    pub(super) customers: Vec<Found>,
    /// Whether there are more than are shown.
    pub(super) truncated: bool,
}

/// Customers whose name contains `part`, in any case.
pub(super) fn find_customers(connection: &Connection, part: &str) -> Result<Search, BankError> {
    let mut query = connection
        .prepare_cached("SELECT id, name, town FROM customers WHERE name LIKE ?1 ESCAPE '\\' ORDER BY id LIMIT ?2")?;
    let escaped = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let mut customers = query
        .query_map(params![format!("%{escaped}%"), CUSTOMERS_MAX + 1], |row| {
            Ok(Found {
                customer_id: row.get(0)?,
                name: row.get(1)?,
                town: row.get(2)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let truncated = customers.len() > CUSTOMERS_MAX as usize;
    customers.truncate(CUSTOMERS_MAX as usize);
    Ok(Search { customers, truncated })
}

/// Everything the bank knows of a customer.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Customer {
    pub(super) customer_id: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) phone: String,
    pub(super) address: Address,
    pub(super) date_of_birth: String,
    pub(super) branch_id: String,
}

/// A postal address.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Address {
    pub(super) street: String,
    pub(super) town: String,
    pub(super) postcode: String,
}

/// The customer `id`.
pub(super) fn customer(connection: &Connection, id: &str) -> Result<Customer, BankError> {
    connection
        .prepare_cached(
            "SELECT id, name, email, phone, street, town, postcode, date_of_birth, branch_id FROM customers WHERE id = ?1",
        )?
        .query_row([id], |row| {
            Ok(Customer {
                customer_id: row.get(0)?,
                name: row.get(1)?,
                email: row.get(2)?,
                phone: row.get(3)?,
                address: Address {
                    street: row.get(4)?,
                    town: row.get(5)?,
                    postcode: row.get(6)?,
                },
                date_of_birth: row.get(7)?,
                branch_id: row.get(8)?,
            })
        })
        .optional()?
        .ok_or_else(|| BankError::NoCustomer(shown(id)))
}

/// Customer numbers that begin with `prefix`, at most `most`, and how many there are.
pub(super) fn customer_ids(
    connection: &Connection,
    prefix: &str,
    most: usize,
) -> Result<(Vec<String>, usize), BankError> {
    let mut query =
        connection.prepare_cached("SELECT id FROM customers WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id")?;
    let mut ids = query
        .query_map([prefix], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let total = ids.len();
    ids.truncate(most);
    Ok((ids, total))
}

/// An account as its owner sees it.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Account {
    pub(super) account_id: String,
    pub(super) iban: String,
    pub(super) kind: String,
    pub(super) balance_cents: i64,
    pub(super) currency: &'static str,
}

/// The accounts of the customer `id`.
pub(super) fn accounts(connection: &Connection, id: &str) -> Result<Vec<Account>, BankError> {
    customer(connection, id)?;
    let mut query = connection
        .prepare_cached("SELECT id, iban, kind, balance_cents FROM accounts WHERE customer_id = ?1 ORDER BY id")?;
    let accounts = query.query_map([id], |row| {
        Ok(Account {
            account_id: row.get(0)?,
            iban: row.get(1)?,
            kind: row.get(2)?,
            balance_cents: row.get(3)?,
            currency: "EUR",
        })
    })?;
    Ok(accounts.collect::<rusqlite::Result<_>>()?)
}

/// One line of the books.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Entry {
    pub(super) transaction_id: String,
    pub(super) booked_at: String,
    pub(super) amount_cents: i64,
    pub(super) counterparty: String,
    pub(super) counterparty_iban: String,
    pub(super) reference: String,
}

const ENTRY_COLUMNS: &str = "id, booked_at, amount_cents, counterparty, counterparty_iban, reference";

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        transaction_id: format!("T-{}", row.get::<_, i64>(0)?),
        booked_at: row.get(1)?,
        amount_cents: row.get(2)?,
        counterparty: row.get(3)?,
        counterparty_iban: row.get(4)?,
        reference: row.get(5)?,
    })
}

fn entry_number(id: &str) -> Option<i64> {
    let digits = id.strip_prefix("T-")?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// A page of an account's entries, newest first.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Page {
    pub(super) transactions: Vec<Entry>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

/// Entries of `account` after `cursor`, at most `limit`.
pub(super) fn entries(
    connection: &Connection,
    account: &str,
    limit: u32,
    cursor: Option<&str>,
) -> Result<Page, BankError> {
    account_row(connection, account)?;
    let before = match cursor {
        None => i64::MAX,
        Some(cursor) => entry_number(cursor).ok_or_else(|| BankError::Cursor(shown(cursor)))?,
    };
    let mut query = connection.prepare_cached(&format!(
        "SELECT {ENTRY_COLUMNS} FROM entries WHERE account_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
    ))?;
    let mut transactions = query
        .query_map(params![account, before, i64::from(limit) + 1], entry)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let more = transactions.len() > limit as usize;
    transactions.truncate(limit as usize);
    let next_cursor = transactions
        .last()
        .filter(|_| more)
        .map(|last| last.transaction_id.clone());
    Ok(Page {
        transactions,
        next_cursor,
    })
}

/// The entry `id`, with the name of the account's owner.
pub(super) fn entry_of(connection: &Connection, id: &str) -> Result<(Entry, String), BankError> {
    let no_such = || BankError::NoTransaction(shown(id));
    let number = entry_number(id).ok_or_else(no_such)?;
    connection
        .prepare_cached(
            "SELECT e.id, e.booked_at, e.amount_cents, e.counterparty, e.counterparty_iban, e.reference, c.name
             FROM entries e JOIN accounts a ON a.id = e.account_id JOIN customers c ON c.id = a.customer_id
             WHERE e.id = ?1",
        )?
        .query_row([number], |row| Ok((entry(row)?, row.get(6)?)))
        .optional()?
        .ok_or_else(no_such)
}

struct AccountRow {
    iban: String,
    opening_cents: i64,
    balance_cents: i64,
}

fn account_row(connection: &Connection, id: &str) -> Result<AccountRow, BankError> {
    connection
        .prepare_cached("SELECT iban, opening_cents, balance_cents FROM accounts WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(AccountRow {
                iban: row.get(0)?,
                opening_cents: row.get(1)?,
                balance_cents: row.get(2)?,
            })
        })
        .optional()?
        .ok_or_else(|| BankError::NoAccount(shown(id)))
}

/// A month of the calendar, in parts of a week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Month(String);

impl Month {
    /// The parts of a month: a week each, and what is left.
    pub(super) const PARTS: usize = 5;

    /// Reads `YYYY-MM`.
    pub(super) fn parse(text: &str) -> Result<Self, BankError> {
        let month = text
            .split_once('-')
            .filter(|(year, _)| year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|(_, month)| month.len() == 2 && month.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|(_, month)| month.parse::<u8>().ok());
        match month {
            Some(1..=12) => Ok(Self(text.to_owned())),
            _ => Err(BankError::Month(shown(text))),
        }
    }

    /// The part `index` as bounds of `booked_at`, the second one excluded.
    fn part(&self, index: usize) -> (String, String) {
        let end = match index + 1 {
            // Sorts after every time of the month.
            Self::PARTS.. => format!("{}-99", self.0),
            next => format!("{}-{:02}", self.0, next * 7 + 1),
        };
        (format!("{}-{:02}", self.0, index * 7 + 1), end)
    }
}

/// What `account` held when `month` began.
pub(super) fn opening_balance(connection: &Connection, account: &str, month: &Month) -> Result<i64, BankError> {
    let row = account_row(connection, account)?;
    let moved: i64 = connection
        .prepare_cached("SELECT coalesce(sum(amount_cents), 0) FROM entries WHERE account_id = ?1 AND booked_at < ?2")?
        .query_row([account, month.0.as_str()], |row| row.get(0))?;
    Ok(row.opening_cents + moved)
}

/// The entries of one part of `month`, oldest first.
pub(super) fn month_part(
    connection: &Connection,
    account: &str,
    month: &Month,
    part: usize,
) -> Result<Vec<Entry>, BankError> {
    let (from, to) = month.part(part);
    let mut query = connection.prepare_cached(&format!(
        "SELECT {ENTRY_COLUMNS} FROM entries WHERE account_id = ?1 AND booked_at >= ?2 AND booked_at < ?3 ORDER BY id"
    ))?;
    let entries = query.query_map([account, from.as_str(), to.as_str()], entry)?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

/// A transfer as it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) from_account: String,
    pub(super) to_iban: String,
    pub(super) amount_cents: i64,
    pub(super) reference: String,
    pub(super) idempotency_key: Option<String>,
}

/// A transfer as it was made.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Receipt {
    pub(super) transfer_id: String,
    pub(super) from_account: String,
    pub(super) to_iban: String,
    pub(super) amount_cents: i64,
    pub(super) currency: &'static str,
    pub(super) reference: String,
    pub(super) booked_at: String,
    /// On the paying account, after it.
    pub(super) balance_cents: i64,
    /// Whether it was made by an earlier call with the same key.
    pub(super) replayed: bool,
}

/// Makes a transfer, whole or not at all.
pub(super) fn transfer(connection: &mut Connection, order: &Order) -> Result<Receipt, BankError> {
    let to_iban = iban::parse(&order.to_iban).ok_or_else(|| BankError::Iban(shown(&order.to_iban)))?;
    if !(1..=TRANSFER_CENTS_MAX).contains(&order.amount_cents) {
        return Err(BankError::Amount(order.amount_cents));
    }
    // Immediate: what is read here cannot change before it is written.
    let books = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(key) = &order.idempotency_key
        && let Some(earlier) = earlier(&books, &order.from_account, key)?
    {
        let same = earlier.to_iban == to_iban
            && earlier.amount_cents == order.amount_cents
            && earlier.reference == order.reference;
        return match same {
            true => Ok(earlier),
            false => Err(BankError::KeyReused(shown(key))),
        };
    }
    let payer = account_row(&books, &order.from_account)?;
    if payer.iban == to_iban {
        return Err(BankError::SameAccount(order.from_account.clone()));
    }
    if payer.balance_cents < order.amount_cents {
        return Err(BankError::Funds {
            account: order.from_account.clone(),
            balance_cents: payer.balance_cents,
            amount_cents: order.amount_cents,
        });
    }
    let last: i64 = books.query_row("SELECT coalesce(max(id), 0) FROM entries", [], |row| row.get(0))?;
    if last - FIRST_ENTRY > ENTRIES_MAX {
        return Err(BankError::Full);
    }
    let booked_at: String = books.query_row("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now')", [], |row| row.get(0))?;
    let balance_cents = payer.balance_cents - order.amount_cents;
    books.execute(
        "INSERT INTO transfers (from_account, to_iban, amount_cents, reference, booked_at, balance_cents, idempotency_key)
         VALUES (:from, :to, :amount, :reference, :booked, :balance, :key)",
        named_params! {
            ":from": order.from_account, ":to": to_iban, ":amount": order.amount_cents, ":reference": order.reference,
            ":booked": booked_at, ":balance": balance_cents, ":key": order.idempotency_key,
        },
    )?;
    let transfer_id = format!("P-{}", books.last_insert_rowid());
    let payee: Option<String> = books
        .query_row("SELECT id FROM accounts WHERE iban = ?1", [&to_iban], |row| row.get(0))
        .optional()?;
    let book = |account: &str, amount_cents: i64, counterparty: &str, counterparty_iban: &str| {
        books.execute(
            "UPDATE accounts SET balance_cents = balance_cents + ?2 WHERE id = ?1",
            params![account, amount_cents],
        )?;
        books.execute(
            "INSERT INTO entries (account_id, booked_at, amount_cents, counterparty, counterparty_iban, reference)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                account,
                booked_at,
                amount_cents,
                counterparty,
                counterparty_iban,
                order.reference
            ],
        )
    };
    let kind = match payee {
        Some(_) => "Transfer within the bank",
        None => "Transfer to another bank",
    };
    book(&order.from_account, -order.amount_cents, kind, &to_iban)?;
    if let Some(payee) = payee {
        book(&payee, order.amount_cents, kind, &payer.iban)?;
    }
    books.commit()?;
    Ok(Receipt {
        transfer_id,
        from_account: order.from_account.clone(),
        to_iban,
        amount_cents: order.amount_cents,
        currency: "EUR",
        reference: order.reference.clone(),
        booked_at,
        balance_cents,
        replayed: false,
    })
}

/// The transfer that `account` made under `key`, if there is one.
fn earlier(connection: &Connection, account: &str, key: &str) -> rusqlite::Result<Option<Receipt>> {
    connection
        .prepare_cached(
            "SELECT id, from_account, to_iban, amount_cents, reference, booked_at, balance_cents
             FROM transfers WHERE from_account = ?1 AND idempotency_key = ?2",
        )?
        .query_row([account, key], |row| {
            Ok(Receipt {
                transfer_id: format!("P-{}", row.get::<_, i64>(0)?),
                from_account: row.get(1)?,
                to_iban: row.get(2)?,
                amount_cents: row.get(3)?,
                currency: "EUR",
                reference: row.get(4)?,
                booked_at: row.get(5)?,
                balance_cents: row.get(6)?,
                replayed: true,
            })
        })
        .optional()
}

/// A branch of the bank.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Branch {
    pub(super) branch_id: String,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) phone: String,
}

/// All branches.
pub(super) fn branches(connection: &Connection) -> Result<Vec<Branch>, BankError> {
    let mut query = connection.prepare_cached("SELECT id, name, address, phone FROM branches ORDER BY id")?;
    let branches = query.query_map([], |row| {
        Ok(Branch {
            branch_id: row.get(0)?,
            name: row.get(1)?,
            address: row.get(2)?,
            phone: row.get(3)?,
        })
    })?;
    Ok(branches.collect::<rusqlite::Result<_>>()?)
}

/// What the caller wrote, short enough to be repeated to them.
fn shown(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(amount_cents: i64, key: Option<&str>) -> Order {
        Order {
            from_account: "A-2001".to_owned(),
            to_iban: iban::make("IE", "ELSE99000200000001"),
            amount_cents,
            reference: "Rent".to_owned(),
            idempotency_key: key.map(str::to_owned),
        }
    }

    fn sums_are_right(connection: &Connection) -> bool {
        connection
            .query_row(
                "SELECT count(*) FROM accounts a WHERE balance_cents <> opening_cents
                 + coalesce((SELECT sum(amount_cents) FROM entries WHERE account_id = a.id), 0)",
                [],
                |row| row.get::<_, i64>(0),
            )
            .unwrap()
            == 0
    }

    #[test]
    fn the_books_are_kept_between_starts_and_foreign_ones_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bank.sqlite");
        let balance = transfer(&mut open(&path).unwrap(), &order(100, None))
            .unwrap()
            .balance_cents;
        let again = open(&path).unwrap();
        assert_eq!(account_row(&again, "A-2001").unwrap().balance_cents, balance);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        let foreign = directory.path().join("foreign.sqlite");
        Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE t (x)")
            .unwrap();
        assert!(matches!(open(&foreign), Err(OpenError::Foreign(_))));
        std::fs::write(
            directory.path().join("text"),
            "no database at all, but long enough to be read as one",
        )
        .unwrap();
        assert!(open(&directory.path().join("text")).is_err());
        assert!(open(&directory.path().join("absent/bank.sqlite")).is_err());
    }

    #[test]
    fn a_search_takes_no_wildcards() {
        let books = in_memory();
        assert_eq!(find_customers(&books, "AOIFE").unwrap().customers.len(), 2);
        assert!(find_customers(&books, "e").unwrap().truncated);
        for nobody in ["%", "_", "\\", "' OR 1=1 --", "Nobody"] {
            assert_eq!(find_customers(&books, nobody).unwrap().customers, []);
        }
    }

    #[test]
    fn a_transfer_is_whole_or_not_at_all() {
        let mut books = in_memory();
        let before = account_row(&books, "A-2001").unwrap().balance_cents;
        let receipt = transfer(&mut books, &order(1_000, Some("k"))).unwrap();
        assert_eq!(receipt.balance_cents, before - 1_000);
        assert!(!receipt.replayed);
        // The same key: the same transfer, once.
        let replay = transfer(&mut books, &order(1_000, Some("k"))).unwrap();
        assert!(replay.replayed && replay.transfer_id == receipt.transfer_id);
        assert!(matches!(
            transfer(&mut books, &order(1_001, Some("k"))),
            Err(BankError::KeyReused(_))
        ));
        assert_eq!(account_row(&books, "A-2001").unwrap().balance_cents, before - 1_000);
        // Within the bank the other side is credited.
        let own = account_row(&books, "A-2003").unwrap();
        let inside = Order {
            to_iban: own.iban.to_lowercase(),
            ..order(500, None)
        };
        transfer(&mut books, &inside).unwrap();
        assert_eq!(
            account_row(&books, "A-2003").unwrap().balance_cents,
            own.balance_cents + 500
        );
        assert!(sums_are_right(&books));
        // What is refused changes nothing.
        let payer = account_row(&books, "A-2001").unwrap();
        assert!(matches!(
            transfer(&mut books, &order(payer.balance_cents + 1, None)),
            Err(BankError::Funds { .. })
        ));
        assert!(matches!(
            transfer(&mut books, &order(0, None)),
            Err(BankError::Amount(0))
        ));
        assert!(matches!(
            transfer(&mut books, &order(i64::MAX, None)),
            Err(BankError::Amount(_))
        ));
        let same = Order {
            to_iban: payer.iban,
            ..order(1, None)
        };
        assert!(matches!(transfer(&mut books, &same), Err(BankError::SameAccount(_))));
        let wrong = Order {
            to_iban: "IE00DEMO".to_owned(),
            ..order(1, None)
        };
        assert!(matches!(transfer(&mut books, &wrong), Err(BankError::Iban(_))));
        let nobody = Order {
            from_account: "A-1".to_owned(),
            ..order(1, None)
        };
        assert!(matches!(transfer(&mut books, &nobody), Err(BankError::NoAccount(_))));
        assert_eq!(
            account_row(&books, "A-2001").unwrap().balance_cents,
            payer.balance_cents
        );
        assert!(sums_are_right(&books));
    }

    #[test]
    fn pages_join_without_gap_or_overlap() {
        let books = in_memory();
        let whole = entries(&books, "A-2001", 1_000, None).unwrap();
        assert_eq!(whole.next_cursor, None);
        let mut joined = Vec::new();
        let mut cursor = None;
        loop {
            let page = entries(&books, "A-2001", 3, cursor.as_deref()).unwrap();
            joined.extend(page.transactions);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(joined, whole.transactions);
        for bad in ["", "T-", "T--1", "T-x", "7", "T-99999999999999999999"] {
            assert!(
                matches!(entries(&books, "A-2001", 3, Some(bad)), Err(BankError::Cursor(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_month_is_the_sum_of_its_parts() {
        let books = in_memory();
        let month = Month::parse("2026-09").unwrap();
        let opening = opening_balance(&books, "A-2001", &month).unwrap();
        let parts: Vec<Entry> = (0..Month::PARTS)
            .flat_map(|part| month_part(&books, "A-2001", &month, part).unwrap())
            .collect();
        let closing = opening + parts.iter().map(|entry| entry.amount_cents).sum::<i64>();
        let next = Month::parse("2026-10").unwrap();
        assert_eq!(opening_balance(&books, "A-2001", &next).unwrap(), closing);
        assert!(!parts.is_empty());
        for bad in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "2026-9",
            "26-09",
            "2026-+9",
            "x026-09",
            "2026-09-01",
        ] {
            assert!(Month::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_statement_cannot_be_smuggled_in() {
        let books = in_memory();
        for id in ["' OR '1'='1", "C-1001'; DROP TABLE customers; --", "\0"] {
            assert!(matches!(customer(&books, id), Err(BankError::NoCustomer(_))));
            assert!(matches!(entries(&books, id, 1, None), Err(BankError::NoAccount(_))));
            assert!(matches!(entry_of(&books, id), Err(BankError::NoTransaction(_))));
        }
        assert!(customer(&books, "C-1001").is_ok());
    }
}
