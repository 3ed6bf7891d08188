//! What an answer carries: where it came from. The first form of information flow; a later stage of the product puts these
//! labels into policy's context.

use crate::answer::{Answer, Body};
use crate::screen::Screened;
use std::sync::Arc;

/// An answer that has its label.
#[derive(Debug)]
pub(crate) struct Labelled {
    answer: Answer,
    label: Label,
}

/// Where the content of an answer came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    /// The gateway's own words, made of what was screened at ingest.
    Own,
    /// A server's: untrusted text in every case.
    Upstream(Arc<str>),
}

impl Labelled {
    pub(crate) const fn label(&self) -> &Label {
        &self.label
    }

    pub(crate) const fn answer(&self) -> &Answer {
        &self.answer
    }

    pub(crate) fn into_answer(self) -> Answer {
        self.answer
    }
}

/// Attaches the label.
pub(crate) fn attach(answer: Screened<Answer>) -> Labelled {
    let answer = answer.into_inner();
    let label = match (&answer.body, answer.call.upstream()) {
        (Body::Upstream(_) | Body::Question { .. }, Some(upstream)) => Label::Upstream(Arc::clone(upstream)),
        _ => Label::Own,
    };
    Labelled { answer, label }
}
