//! May they: the policy stage. Cedar decides, default is deny; the schema comes from the catalog, so that a policy which names
//! a tool or an argument that does not exist is found when it is loaded.
//!
//! [`model`] has every word that a policy may use. [`check`](mod@check) turns files into rules and says what is wrong with them, [`engine`] answers
//! questions, [`explain`] says why, [`starter`](mod@starter) writes the first policy. None of them knows the wire or a transport.

mod answers;
mod arguments;
mod cache;
mod check;
mod decide;
mod engine;
mod explain;
mod handling;
mod index;
mod model;
mod names;
mod reads;
mod schema;
mod shape;
mod source;
mod starter;
#[cfg(test)]
mod tests;

pub use check::{FILE_BYTES_MAX, LeftOutArgument, POLICIES_MAX, POLICY_BYTES_MAX, Problem, Report, Severity, check};
pub(crate) use decide::{Decided, Permitted, PolicyError};
pub use decide::{Policy, facts};
pub use engine::{Ask, Engine, Listing, Visible};
pub use explain::{Clause, Considered, Explanation, NearMiss, Verdict};
pub(crate) use handling::{Action as DataAction, Handling};
pub use model::{
    Action, CatalogFacts, Circumstances, Decision, Obligation, ObligationKind, PromptArgument, PromptFacts, ReasonCode,
    ServerFacts, Target, TargetKind, ToolFacts,
};
pub use names::nearest;
pub use schema::describe as describe_schema;
pub use source::Source;
pub use starter::{StarterLimit, StarterOptions, StarterShown, starter, starter_servers};
