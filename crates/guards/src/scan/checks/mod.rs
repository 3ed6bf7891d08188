//! Checks that a number or code carries in itself: check digits, ranges, dates. Pure and total: any bytes in, an answer out.
//! What a check lets pass has the form of its kind; that it is one, the words beside it tell.
//!
//! It must not know where a value stands, nor what it is called.

mod africa;
mod americas;
mod asia;
mod common;
mod documents;
mod east;
mod health;
mod money;
mod north;
mod sums;
mod tokens;
mod west;

#[cfg(test)]
mod tests;

pub(crate) use documents::machine_readable_zone;
pub(crate) use tokens::{opaque, varied};

/// A check. It gets letters and digits alone, letters upper case, unless [`as_written`] says otherwise.
pub(crate) type Check = fn(&[u8]) -> bool;

const TABLES: &[&[(&str, Check)]] = &[
    common::TABLE,
    money::TABLE,
    money::AS_WRITTEN,
    health::TABLE,
    documents::TABLE,
    americas::TABLE,
    west::TABLE,
    north::TABLE,
    east::TABLE,
    asia::TABLE,
    africa::TABLE,
];

/// The check of this name.
pub(crate) fn named(name: &str) -> Option<Check> {
    TABLES
        .iter()
        .copied()
        .flatten()
        .find(|(known, _)| *known == name)
        .map(|&(_, check)| check)
        .or_else(|| tokens::named(name))
}

/// The check of this name needs the value as it is written: in Base58, upper and lower case are different digits.
pub(crate) fn as_written(name: &str) -> bool {
    money::AS_WRITTEN.iter().any(|(known, _)| *known == name)
}
