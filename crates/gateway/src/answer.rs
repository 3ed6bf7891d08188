//! How a call can end, before anybody has looked at it: untrusted until screened.

use crate::policy::Decided;
use crate::session::{Call, Session};
use bytes::Bytes;
use portcullis_wire::{Id, Request, Response};
use std::sync::Arc;

/// What came of a call, with the call and what was decided for it: the answer is screened by that.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) call: Box<Call>,
    pub(crate) decided: Arc<Decided>,
    pub(crate) body: Body,
}

impl Answer {
    /// The question in it: its id towards the client, and the session that would answer it.
    pub(crate) fn asks(&self) -> Option<(Arc<Session>, Id)> {
        match (&self.body, &self.call.client().session) {
            (Body::Question { id, .. }, Some(session)) => Some((Arc::clone(session), id.clone())),
            _ => None,
        }
    }
}

/// The message in it.
#[derive(Debug)]
pub(crate) enum Body {
    /// The gateway's own result: JSON text of `result`, made of what was screened when it came in.
    Own {
        /// The text, in pieces that may be shared with a cache.
        result: Vec<Bytes>,
        /// SHA-256 of the text, where a cache has it.
        digest: Option<[u8; 32]>,
        /// The session that begins with it.
        session: Option<Arc<str>>,
    },
    /// A server's response, in the client's era; its id is still ours.
    Upstream(Box<Response>),
    /// A legacy server's question, under the id that the client will answer.
    Question {
        /// The id of the question towards the client.
        id: Id,
        /// The question as it came.
        request: Box<Request>,
    },
    /// The client has cancelled: the record has an outcome, the wire has nothing.
    Silence,
}
