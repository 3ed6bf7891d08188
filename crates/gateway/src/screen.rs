//! Is it clean: the same looks, both ways. Arguments and structured results against the tool's schemas, hidden characters,
//! secrets and personal data in every text that passes, and the obligations that policy laid on the call.

mod data;
mod declared;
mod form;
mod place;

use crate::answer::{Answer, Body};
use crate::catalog::{Compiled, Tool};
use crate::policy::{DataAction, Decided, Handling, Permitted};
use crate::session::{Call, Target, Told};
use data::Detectors;
use form::Forms;
use portcullis_guards::scan::Context;
use portcullis_guards::{HashKey, hidden};
use portcullis_transport::{Outlet, OutletClosed};
use portcullis_wire::{Id, JsonError, Kind, Limits, Message, Method, Notification, Raw, Request, Response, Rope};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use data::{DataError, Seen};
pub use declared::{Declared, NoChance};

/// What is looked at.
#[derive(Debug, Clone)]
pub struct ScreenSettings {
    /// Validate arguments and structured results.
    pub schema: bool,
    /// What is done about hidden characters.
    pub hidden: HiddenAction,
    /// Look for secrets and personal data, and do about them what policy says.
    pub detectors: bool,
}

/// What is done about invisible and control characters in what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenAction {
    /// Made visible in results, refused in arguments: nothing that a caller says is ever rewritten.
    Neutralise,
    /// Refused both ways.
    Refuse,
    /// Counted, passed on.
    Report,
    /// Not looked for; for measurements.
    Ignore,
}

impl Default for ScreenSettings {
    fn default() -> Self {
        Self {
            schema: true,
            hidden: HiddenAction::Neutralise,
            detectors: true,
        }
    }
}

/// The stage.
#[derive(Debug)]
pub struct Screen {
    looks: Looks,
    declared: Declared,
}

/// What is looked at, with what it takes.
#[derive(Debug, Clone)]
struct Looks {
    settings: ScreenSettings,
    /// `None` where nothing is looked for.
    detectors: Option<Detectors>,
}

/// Longest notification of a client that is passed on, in bytes. Those of the protocol have a few hundred.
pub(crate) const NOTIFICATION_BYTES_MAX: usize = 64 << 10;

/// Proof that the screen saw this value. Only [`Screen`] makes one.
#[derive(Debug)]
pub(crate) struct Screened<T> {
    value: T,
    decided: Arc<Decided>,
    /// What policy wants done about data in what belongs to it.
    handling: Handling,
}

impl<T> Screened<T> {
    pub(crate) const fn get(&self) -> &T {
        &self.value
    }

    pub(crate) fn into_inner(self) -> T {
        self.value
    }

    pub(crate) fn into_parts(self) -> (T, Arc<Decided>) {
        (self.value, self.decided)
    }
}

/// Why something does not pass.
#[derive(Debug)]
pub(crate) enum ScreenError {
    /// The arguments do not fit `inputSchema`.
    Arguments(String),
    /// `inputSchema` cannot be used, so nothing can be checked against it.
    InputSchema(String),
    /// The structured result does not fit `outputSchema`, or is missing.
    Result(String),
    /// `outputSchema` cannot be used.
    OutputSchema(String),
    /// Hidden characters, in these places.
    Hidden {
        /// Whether in what the client sent.
        inbound: bool,
        /// Class and place of the first.
        finding: String,
    },
    /// An object that is read as a whole is ambiguous.
    Json(JsonError),
    /// A notification of so many bytes, more than [`NOTIFICATION_BYTES_MAX`].
    Lengthy(usize),
    /// Policy wants something done that this build cannot do.
    Obligation(&'static str),
    /// Policy wants something done about data, and nothing looks for data.
    DetectorsOff,
    /// Secrets, personal data, or a mark of ours.
    Data(DataError),
}

impl From<DataError> for ScreenError {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl From<JsonError> for ScreenError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

/// The way out for what a server says in mid-call, made for one screened call. Keeps order; counts.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    outlet: Outlet,
    looks: Looks,
    handling: Handling,
    passed: Arc<AtomicU64>,
    seen: Arc<Mutex<Seen>>,
}

impl Screen {
    /// A screen that looks at what `settings` say, and lets the secrets that are `declared` for a server go to it. What policy has hashed
    /// is hashed under `hash_key`: the same key gives the same marks.
    ///
    /// # Errors
    /// What is wrong with the rules of the detectors.
    pub fn new(settings: ScreenSettings, declared: Declared, hash_key: HashKey) -> Result<Self, String> {
        let detectors = settings.detectors.then(|| Detectors::ready(hash_key)).transpose()?;
        Ok(Self {
            looks: Looks { settings, detectors },
            declared,
        })
    }

    /// Has the detectors compiled on a thread of their own, where `settings` want them: [`Screen::new`] then waits for what is left
    /// of that, and a start does other things meanwhile.
    pub fn prepare(settings: &ScreenSettings) {
        if settings.detectors {
            std::thread::spawn(Detectors::compiled);
        }
    }

    /// Looks at what goes to the server. `seen` holds what was found, also where that is why it does not go.
    pub(crate) fn call(&self, call: Permitted<Box<Call>>, seen: &mut Seen) -> Result<Screened<Box<Call>>, ScreenError> {
        let handling = self.looks.carry_out(call.decided())?;
        let (call, decided) = call.into_parts();
        let answered = match call.target() {
            Target::Resume { response, .. } | Target::Answer { response, .. } => Some(response.whole().clone()),
            _ => None,
        };
        let inbound = answered.as_ref().unwrap_or_else(|| call.request().whole());
        if let Some(finding) = self.looks.hidden_inbound(inbound)? {
            tracing::warn!(%finding, item = &*call.item(), "hidden characters in a request");
        }
        // What the gateway answers itself goes to no server.
        if let Some(upstream) = call.upstream() {
            self.data_inbound(inbound, upstream, &handling, seen)?;
        }
        if let (Target::Tool(tool), true) = (call.target(), self.looks.settings.schema) {
            arguments(tool, call.request())?;
        }
        Ok(Screened {
            value: call,
            decided,
            handling,
        })
    }

    /// Looks at a notification that goes to the server.
    pub(crate) fn told(&self, told: Permitted<Told>, seen: &mut Seen) -> Result<Screened<Told>, ScreenError> {
        let handling = self.looks.carry_out(told.decided())?;
        let (told, decided) = told.into_parts();
        let notification = told.notice().notification();
        if notification.whole().len() > NOTIFICATION_BYTES_MAX {
            return Err(ScreenError::Lengthy(notification.whole().len()));
        }
        if let Some(finding) = self.looks.hidden_inbound(notification.whole())? {
            tracing::warn!(%finding, method = %notification.method(), "hidden characters in a notification");
        }
        self.data_inbound(notification.whole(), told.upstream(), &handling, seen)?;
        Ok(Screened {
            value: told,
            decided,
            handling,
        })
    }

    /// The sink for the news of a call.
    pub(crate) fn sink(&self, call: &Screened<Box<Call>>) -> Sink {
        self.sink_with(call.get().client().outlet.clone(), call.handling.clone())
    }

    /// A sink for news that belong to no call: list changes, resource updates, whatever a subscription carries.
    pub(crate) fn sink_to(&self, outlet: Outlet) -> Sink {
        self.sink_with(outlet, Handling::STARTER)
    }

    fn sink_with(&self, outlet: Outlet, handling: Handling) -> Sink {
        Sink {
            outlet,
            looks: self.looks.clone(),
            handling,
            passed: Arc::default(),
            seen: Arc::default(),
        }
    }

    /// Looks at what goes to the client. `seen` holds what was found, also where that is why it does not go.
    pub(crate) fn answer(&self, answer: Answer, seen: &mut Seen) -> Result<Screened<Answer>, ScreenError> {
        let Answer { call, decided, body } = answer;
        let handling = self.looks.carry_out(&decided)?;
        let body = match body {
            Body::Upstream(response) => {
                let tool = match (call.aim(), self.looks.settings.schema) {
                    (Target::Tool(tool), true) => Some(tool),
                    _ => None,
                };
                if let Some(tool) = tool {
                    result(tool, &response)?;
                }
                let masked = seen.masked();
                let forms = tool.and_then(|tool| Forms::of(tool));
                let response = self.looks.response(response, &handling, forms.as_ref(), seen)?;
                if let (Some(tool), Some(spot)) = (tool, seen.masked_below("/result/structuredContent"))
                    && seen.masked() > masked
                {
                    still_fits(tool, &response, &handling, spot)?;
                }
                Body::Upstream(response)
            }
            Body::Question { id, request } => Body::Question {
                id,
                request: Box::new(self.looks.question(*request, &handling, seen)?),
            },
            own @ (Body::Own { .. } | Body::Silence) => own,
        };
        Ok(Screened {
            value: Answer {
                call,
                decided: Arc::clone(&decided),
                body,
            },
            decided,
            handling,
        })
    }

    fn data_inbound(
        &self,
        text: &[u8],
        upstream: &str,
        handling: &Handling,
        seen: &mut Seen,
    ) -> Result<(), ScreenError> {
        let Some(detectors) = &self.looks.detectors else {
            return Ok(());
        };
        let is_declared = |value: &[u8]| self.declared.has(upstream, value);
        let context = match self.declared.has_any(upstream) {
            true => Context::default().exempting(&is_declared),
            false => Context::default(),
        };
        Ok(detectors.inbound(text, handling, &context, seen)?)
    }

    /// Looks at a definition that an upstream lists; returns what may be shown and what was found.
    pub(crate) fn definition(&self, definition: Raw) -> (Raw, Option<String>) {
        if self.looks.settings.hidden == HiddenAction::Ignore {
            return (definition, None);
        }
        let Some(finding) = hidden::first_in_json(definition.as_bytes()) else {
            return (definition, None);
        };
        let clean = hidden::neutralise_json(definition.as_bytes());
        (Raw::own(clean).unwrap_or(definition), Some(finding))
    }
}

impl Looks {
    /// What policy wants done. Whatever cannot be done here refuses the call: an obligation is a condition of the yes.
    fn carry_out(&self, decided: &Decided) -> Result<Handling, ScreenError> {
        for obligation in &decided.obligations {
            if !obligation.kind.is_carried_out() {
                return Err(ScreenError::Obligation(obligation.kind.as_str()));
            }
        }
        // Nothing that cannot be understood is put in force.
        let handling =
            Handling::of(&decided.obligations).map_err(|_| ScreenError::Obligation("results or arguments"))?;
        match self.detectors.is_none() && handling.is_demanding() {
            true => Err(ScreenError::DetectorsOff),
            false => Ok(handling),
        }
    }

    fn response(
        &self,
        response: Box<Response>,
        handling: &Handling,
        forms: Option<&Forms<'_>>,
        seen: &mut Seen,
    ) -> Result<Box<Response>, ScreenError> {
        match self.outbound(response.whole(), handling, forms, seen)? {
            None => Ok(response),
            Some(clean) => match Message::parse(clean.into(), &Limits::default()) {
                Ok(Message::Response(clean)) => Ok(Box::new(clean)),
                _ => Err(ScreenError::Result("unreadable after cleaning".to_owned())),
            },
        }
    }

    fn question(&self, request: Request, handling: &Handling, seen: &mut Seen) -> Result<Request, ScreenError> {
        match self.outbound(request.whole(), handling, None, seen)? {
            None => Ok(request),
            Some(clean) => match Message::parse(clean.into(), &Limits::default()) {
                Ok(Message::Request(clean)) => Ok(clean),
                _ => Err(ScreenError::Result("unreadable after cleaning".to_owned())),
            },
        }
    }

    /// What goes to the client in the place of a text, where something in it was masked or made visible. Data first: what is
    /// hidden in a number would keep it from being found once it is visible.
    fn outbound(
        &self,
        text: &[u8],
        handling: &Handling,
        forms: Option<&Forms<'_>>,
        seen: &mut Seen,
    ) -> Result<Option<Vec<u8>>, ScreenError> {
        let masked = match &self.detectors {
            None => None,
            Some(detectors) => detectors.outbound(text, handling, forms, seen)?,
        };
        let visible = self.hidden_outbound(masked.as_deref().unwrap_or(text))?;
        Ok(visible.or(masked))
    }

    /// What is hidden in a client's text, where that is only to be told.
    fn hidden_inbound(&self, text: &[u8]) -> Result<Option<String>, ScreenError> {
        if self.settings.hidden == HiddenAction::Ignore {
            return Ok(None);
        }
        match (hidden::first_in_json(text), self.settings.hidden) {
            (Some(finding), HiddenAction::Neutralise | HiddenAction::Refuse) => {
                Err(ScreenError::Hidden { inbound: true, finding })
            }
            (finding, _) => Ok(finding),
        }
    }

    /// The neutralised text where there was something to neutralise.
    fn hidden_outbound(&self, text: &[u8]) -> Result<Option<Vec<u8>>, ScreenError> {
        if self.settings.hidden == HiddenAction::Ignore {
            return Ok(None);
        }
        let Some(finding) = hidden::first_in_json(text) else {
            return Ok(None);
        };
        match self.settings.hidden {
            HiddenAction::Refuse => Err(ScreenError::Hidden {
                inbound: false,
                finding,
            }),
            HiddenAction::Neutralise => {
                tracing::warn!(%finding, "hidden characters neutralised");
                Ok(Some(hidden::neutralise_json(text)))
            }
            HiddenAction::Report | HiddenAction::Ignore => {
                tracing::warn!(%finding, "hidden characters");
                Ok(None)
            }
        }
    }
}

impl Sink {
    /// Passes a notification on; waits for room, so that order is kept and nothing is lost.
    pub(crate) async fn news(&self, notification: &Notification) -> Result<(), OutletClosed> {
        let Some(message) = self.screened(notification) else {
            return Ok(());
        };
        self.outlet.danger_news(message).await?;
        self.passed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Passes a notification on if there is room now: for news that nobody may wait for.
    pub(crate) fn try_news(&self, notification: &Notification) -> Result<(), OutletClosed> {
        let Some(message) = self.screened(notification) else {
            return Ok(());
        };
        self.outlet.danger_try_news(message)
    }

    /// Passes a server's question of no call on, under the id that the client will answer, if there is room now.
    pub(crate) fn try_question(&self, question: &Request, id: &Id) -> Result<(), ScreenError> {
        let mut seen = Seen::default();
        let question = self.looks.question(question.clone(), &self.handling, &mut seen);
        self.saw(seen);
        let question = question?;
        let full = |_| ScreenError::Result("nobody reads the session's stream".to_owned());
        self.outlet.danger_try_news(question.with_id(id).finish()).map_err(full)
    }

    /// How many went out.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// What was found in those that went out, and in those that did not.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the client is gone.
    pub(crate) async fn closed(&self) {
        self.outlet.closed().await;
    }

    fn saw(&self, seen: Seen) {
        if !seen.is_empty() {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).and(seen);
        }
    }

    fn screened(&self, notification: &Notification) -> Option<Rope> {
        let mut seen = Seen::default();
        let outbound = self
            .looks
            .outbound(notification.whole(), &self.handling, None, &mut seen);
        self.saw(seen);
        match outbound {
            Ok(None) => Some(Rope::one(notification.whole().clone())),
            Ok(Some(clean)) => Some(Rope::one(clean)),
            // Refused news are dropped: a notification has no error to answer with.
            Err(error) => {
                tracing::warn!(?error, method = %notification.method(), "news withheld");
                None
            }
        }
    }
}

fn arguments(tool: &Tool, request: &Request) -> Result<(), ScreenError> {
    let validator = match tool.input() {
        Compiled::Absent => return Ok(()),
        Compiled::Unusable(reason) => return Err(ScreenError::InputSchema(reason.clone())),
        Compiled::Ready(validator) => validator,
    };
    let arguments = request.params().and_then(|params| params.get("arguments"));
    let value = match &arguments {
        Some(arguments) => {
            arguments.refuse_duplicates()?;
            read(arguments)?
        }
        None => serde_json::Value::Object(serde_json::Map::new()),
    };
    let problem = match validator.validate(&value) {
        Ok(()) => return Ok(()),
        Err(error) => describe(&error),
    };
    // Clients send null for what they leave out, and the protocol itself takes the two for one (mirrored headers). What a null
    // stands in for must still be optional: a required member that is gone does not validate.
    match value {
        serde_json::Value::Object(members) if members.values().any(serde_json::Value::is_null) => {
            let given = members.into_iter().filter(|(_, value)| !value.is_null()).collect();
            match validator.validate(&serde_json::Value::Object(given)) {
                Ok(()) => Ok(()),
                Err(_) => Err(ScreenError::Arguments(problem)),
            }
        }
        _ => Err(ScreenError::Arguments(problem)),
    }
}

fn result(tool: &Tool, response: &Response) -> Result<(), ScreenError> {
    let Some(result) = response.result() else {
        return Ok(());
    };
    // Errors, questions and tasks carry no structured result.
    let complete = result.says("resultType", br#""complete""#) || !result.has("resultType");
    if !complete || result.says("isError", b"true") {
        return Ok(());
    }
    let validator = match tool.output() {
        Compiled::Absent => return Ok(()),
        Compiled::Unusable(reason) => return Err(ScreenError::OutputSchema(reason.clone())),
        Compiled::Ready(validator) => validator,
    };
    let Some(structured) = result.get("structuredContent") else {
        // A legacy task answers with the task first; its result comes by `tasks/result`.
        if result.get("task").is_some_and(|task| task.kind() == Kind::Object) {
            return Ok(());
        }
        return Err(ScreenError::Result("no `structuredContent`".to_owned()));
    };
    structured.refuse_duplicates()?;
    match validator.validate(&read(&structured)?) {
        Ok(()) => Ok(()),
        Err(error) => Err(ScreenError::Result(describe(&error))),
    }
}

/// A structured result that was masked in its structure, at `spot`, against the schema once more.
fn still_fits(tool: &Tool, response: &Response, handling: &Handling, spot: data::Spot) -> Result<(), ScreenError> {
    match result(tool, response) {
        Err(ScreenError::Result(problem)) => {
            let hint = match handling.result(spot.class) {
                // There is none.
                DataAction::Form => String::new(),
                _ => format!(
                    ", hint: the operator can have a value that fits put in its place, with `@results(\"{} form\")`",
                    spot.class
                ),
            };
            Err(DataError::Unfit(spot, problem + &hint).into())
        }
        other => other,
    }
}

fn read(raw: &Raw) -> Result<serde_json::Value, ScreenError> {
    serde_json::from_slice(raw.as_bytes())
        .map_err(|_| ScreenError::Arguments("too deep or a number out of range".to_owned()))
}

/// Where and what, without the value: it may be personal data, and the message may reach a log.
fn describe(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let place = match place.is_empty() {
        true => "the arguments".to_owned(),
        false => format!("`{place}`"),
    };
    let rule: String = error.masked().to_string().chars().take(300).collect();
    format!("{place}: {rule}")
}

/// Whether a method's news may reach a client at all; what is unknown passes.
pub(crate) fn is_hop_local(method: &Method) -> bool {
    matches!(
        method,
        Method::Initialized | Method::Cancelled | Method::SubscriptionsAcknowledged
    )
}
