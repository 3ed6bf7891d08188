//! The table.

use crate::Result;

pub(crate) fn command(_arguments: &[String]) -> Result<()> {
    Err("not yet".into())
}
