//! Asking the caller, in the caller's era.
//!
//! [`Call::ask`] puts questions to the user, the model or the roots. For a modern caller the answers are in the retry,
//! or the call stops with an input-required result; for a legacy caller the questions go out as requests, all at once,
//! and the call waits. A tool that asks is thus a plain function of its answers, which runs again from the top on a retry.
//!
//! This file must not know any tool.

use std::time::Duration;

use futures_util::future::join_all;
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientCapabilities, InputRequest, InputRequiredResult, InputResponses, ProtocolVersion, RequestStateCodec,
        SealOptions, ServerRequest,
    },
    service::RequestContext,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// How long a legacy caller has to answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a sealed state is good for.
const STATE_TTL: Duration = Duration::from_secs(600);

/// One request from a client, with what it brought back from an earlier round.
pub(super) struct Call<'a> {
    /// The request's context.
    pub(super) context: &'a RequestContext<RoleServer>,
    seal: &'a RequestStateCodec,
    subject: String,
    responses: InputResponses,
    state: Option<Vec<u8>>,
}

/// Why a call ends without a result.
pub(super) enum Stop {
    /// A modern caller must answer and come back.
    Pending(InputRequiredResult),
    /// A protocol error.
    Refused(ErrorData),
    /// The caller's user, model or client failed us: for a tool, a tool error.
    Failed(String),
}

impl From<ErrorData> for Stop {
    fn from(error: ErrorData) -> Self {
        Stop::Refused(error)
    }
}

/// A question under the key by which its answer comes back.
pub(super) struct Question {
    key: &'static str,
    request: InputRequest,
}

impl Question {
    /// Asks the user to fill in a form.
    pub(super) fn form(key: &'static str, message: &str, schema: Value) -> Result<Self, Stop> {
        Self::new(
            key,
            "elicitation/create",
            json!({"mode": "form", "message": message, "requestedSchema": schema}),
        )
    }

    /// Asks the caller's model.
    pub(super) fn model(key: &'static str, prompt: &str, tokens_max: u32) -> Result<Self, Stop> {
        let messages = json!([{"role": "user", "content": {"type": "text", "text": prompt}}]);
        Self::new(
            key,
            "sampling/createMessage",
            json!({"messages": messages, "maxTokens": tokens_max}),
        )
    }

    /// Asks which roots the caller has.
    pub(super) fn roots(key: &'static str) -> Result<Self, Stop> {
        Self::new(key, "roots/list", json!({}))
    }

    fn new(key: &'static str, method: &str, params: Value) -> Result<Self, Stop> {
        serde_json::from_value(json!({"method": method, "params": params}))
            .map(|request| Self { key, request })
            .map_err(internal)
    }

    /// The question as the SDK has it, for a task to put to its caller.
    pub(super) fn into_parts(self) -> (&'static str, InputRequest) {
        (self.key, self.request)
    }

    fn capability(&self) -> &'static str {
        match self.request {
            InputRequest::CreateMessage(_) => "sampling",
            InputRequest::ListRoots(_) => "roots",
            _ => "elicitation",
        }
    }

    /// Whether `answer` has the shape of a result of this question.
    fn accepts(&self, answer: &Value) -> bool {
        match self.request {
            InputRequest::CreateMessage(_) => answer.get("content").is_some(),
            InputRequest::ListRoots(_) => answer.get("roots").is_some_and(Value::is_array),
            _ => answer.get("action").is_some_and(Value::is_string),
        }
    }
}

/// The answers to a set of questions, by key.
pub(super) struct Answers(InputResponses);

impl Answers {
    /// The whole answer, or null.
    pub(super) fn get(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    /// The roots that the caller named, as JSON.
    pub(super) fn roots(&self, key: &str) -> String {
        self.get(key).get("roots").unwrap_or(&Value::Null).to_string()
    }

    /// A text field of an accepted form.
    pub(super) fn field(&self, key: &str, field: &str) -> Result<String, Stop> {
        let answer = self.get(key);
        answer
            .pointer(&format!("/content/{field}"))
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| Stop::Failed(format!("`{key}` was not answered: action={}", action(answer))))
    }

    /// The text that the model answered.
    pub(super) fn model_text(&self, key: &str) -> String {
        let content = self.get(key).get("content").unwrap_or(&Value::Null);
        content
            .get("text")
            .and_then(Value::as_str)
            .map_or_else(|| content.to_string(), str::to_owned)
    }
}

/// What the user did with a form.
pub(super) fn action(answer: &Value) -> &str {
    answer.get("action").and_then(Value::as_str).unwrap_or("none")
}

impl<'a> Call<'a> {
    /// Takes up a request; a state that we did not seal for this very subject is refused.
    pub(super) fn new(
        context: &'a RequestContext<RoleServer>,
        seal: &'a RequestStateCodec,
        subject: String,
        responses: Option<InputResponses>,
        state: Option<&str>,
    ) -> Result<Self, ErrorData> {
        let state = state
            .map(|sealed| seal.open_with(sealed, subject.as_bytes()))
            .transpose()
            .map_err(|error| ErrorData::invalid_params(format!("request state refused: {error}"), None))?;
        Ok(Self {
            context,
            seal,
            subject,
            responses: responses.unwrap_or_default(),
            state,
        })
    }

    /// Whether the caller speaks 2026-07-28 or later.
    pub(super) fn is_modern(&self) -> bool {
        self.context
            .protocol_version()
            .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
    }

    /// What the caller said it can do, in this request or at `initialize`.
    pub(super) fn capabilities(&self) -> ClientCapabilities {
        self.context.client_capabilities().unwrap_or_default()
    }

    /// Whether the caller has the capability `name`.
    pub(super) fn can(&self, name: &str) -> bool {
        serde_json::to_value(self.capabilities()).is_ok_and(|capabilities| capabilities.get(name).is_some())
    }

    /// The error for a caller that lacks the capability `name`, as its era has it.
    pub(super) fn lacks(&self, name: &str) -> Stop {
        if !self.is_modern() {
            return Stop::Failed(format!("the client does not support {name}"));
        }
        match serde_json::from_value(json!({name: {}})) {
            Ok(capabilities) => ErrorData::missing_required_client_capability(capabilities).into(),
            Err(error) => internal(error),
        }
    }

    /// The state that the caller brought back, if any.
    pub(super) fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, Stop> {
        self.state
            .as_deref()
            .map(serde_json::from_slice)
            .transpose()
            .map_err(internal)
    }

    /// Puts `questions` to the caller and returns once all are answered.
    ///
    /// # Errors
    /// [`Stop::Pending`] as long as a modern caller has not answered all of them; the caller lacks a capability; an
    /// answer has the wrong shape; a legacy caller refuses or is silent.
    pub(super) async fn ask(&self, questions: Vec<Question>) -> Result<Answers, Stop> {
        self.ask_sealed::<()>(questions, None).await
    }

    /// As [`Call::ask`], and the modern caller must bring back `state`.
    pub(super) async fn ask_sealed<T: Serialize>(
        &self,
        questions: Vec<Question>,
        state: Option<&T>,
    ) -> Result<Answers, Stop> {
        if let Some(question) = questions.iter().find(|question| !self.can(question.capability())) {
            return Err(self.lacks(question.capability()));
        }
        if self.is_modern() {
            self.answers_in_retry(questions, state)
        } else {
            self.answers_now(questions).await
        }
    }

    fn answers_in_retry<T: Serialize>(&self, questions: Vec<Question>, state: Option<&T>) -> Result<Answers, Stop> {
        for question in &questions {
            if self
                .responses
                .get(question.key)
                .is_some_and(|answer| !question.accepts(answer))
            {
                let text = format!("the answer to `{}` has the wrong shape", question.key);
                return Err(ErrorData::invalid_params(text, None).into());
            }
        }
        let answered = questions
            .iter()
            .all(|question| self.responses.contains_key(question.key));
        if answered && (state.is_none() || self.state.is_some()) {
            return Ok(Answers(self.responses.clone()));
        }
        let sealed = state
            .map(|state| {
                let options = SealOptions::new()
                    .associated_data(self.subject.as_bytes())
                    .ttl(STATE_TTL);
                self.seal.seal_json_with(state, &options)
            })
            .transpose()
            .map_err(internal)?;
        let requests = questions
            .into_iter()
            .map(|question| (question.key.to_owned(), question.request))
            .collect();
        Err(Stop::Pending(InputRequiredResult::new(Some(requests), sealed)))
    }

    /// All at once and on this very task: the SDK ties a server's request to the call by a task-local.
    async fn answers_now(&self, questions: Vec<Question>) -> Result<Answers, Stop> {
        let answers = join_all(questions.into_iter().map(|question| async move {
            let (key, request) = question.into_parts();
            let request = match request {
                InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
                InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
                InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
                _ => return Err(Stop::Failed(format!("`{key}` is of an unknown kind"))),
            };
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.context.peer.send_request(request))
                .await
                .map_err(|_| Stop::Failed(format!("`{key}` was not answered in time")))?
                .map_err(|error| Stop::Failed(format!("`{key}` was refused: {error}")))?;
            let answer = serde_json::to_value(answer).map_err(internal)?;
            Ok((key.to_owned(), answer))
        }))
        .await;
        answers.into_iter().collect::<Result<_, _>>().map(Answers)
    }
}

/// An error that is ours.
pub(super) fn internal(error: impl std::fmt::Display) -> Stop {
    ErrorData::internal_error(error.to_string(), None).into()
}
