//! A child process as an upstream: one line per message, many requests at the same time on one pair of pipes (PROTOCOL 1.4).
//! Finds out which request a message belongs to. Must not know how the process is run (`child`), nor what a call means. The
//! two pipes and the reading task belong to the runtime that connected; requests may come from any.

use super::era::{self, Opening, Verdict};
use super::garbage::{Beginning, LastGarbage};
use super::http::garbage;
use super::strays::Strays;
use super::target::CommandTarget;
use crate::child::{Child, ChildControl, ChildError, Exit, StderrTail};
use crate::lines::{LineError, LineReader, LineWriter};
use crate::upstream::{
    BoxFuture, CancelOnDrop, Connected, Eras, Event, Exchange, Hello, Outgoing, Stray, Upstream, UpstreamError,
};
use bytes::Bytes;
use portcullis_wire::message::batch;
use portcullis_wire::{Era, Id, Limits, Message, Method, Notification, Request, Response, Revision, Rope};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Messages of one request that may wait for whoever asked; past them news is dropped, never the answer.
const NEWS_WAITING_MAX: usize = 64;
/// Lines in a row that are no messages before the process is given up. A stray line or two is common: a `print` left in.
const GARBAGE_LINES_MAX: u32 = 16;
/// Answers of our own (to `ping`) that may wait for a process that does not read.
const REPLIES_WAITING_MAX: usize = 32;
/// How long after the end of stdout the process's own end is waited for, to be named.
const EXIT_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a process may take to end by itself when its stdin is closed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many of the last lines on stderr are quoted.
const STDERR_LINES: usize = 5;

/// A process as an [`Upstream`]. Dropping it ends the process.
struct StdioLink {
    shared: Arc<Shared>,
    control: Arc<Mutex<Option<ChildControl>>>,
    writer: Arc<Writer>,
}

/// What the reading task and the requests share.
struct Shared {
    /// The server's name in the configuration.
    name: String,
    limits: Limits,
    /// Unset during the handshake.
    revision: OnceLock<Revision>,
    strays: Strays,
    waiting: Mutex<Waiting>,
    is_closing: AtomicBool,
    garbage: LastGarbage,
    /// The same for whoever waits for the handshake, and has no connection to ask.
    opening_garbage: Arc<LastGarbage>,
    /// Room for answers of our own, to `ping`.
    replies: Arc<Semaphore>,
    /// Weak, so that dropping the link closes stdin although the reading task goes on.
    writer: Weak<Writer>,
}

/// Requests without an answer.
#[derive(Default)]
struct Waiting {
    requests: HashMap<u64, Asked>,
    /// Set when the connection is over.
    over: Option<UpstreamError>,
}

struct Asked {
    events: mpsc::Sender<Result<Event, UpstreamError>>,
    is_subscription: bool,
}

type Events = mpsc::Receiver<Result<Event, UpstreamError>>;

/// The process's stdin; `None` once it is closed.
struct Writer(tokio::sync::Mutex<Option<LineWriter<pipe::Sender>>>);

impl Writer {
    async fn write(&self, message: Rope) -> Result<(), UpstreamError> {
        let text = message.into_bytes();
        let closed = |detail: String| UpstreamError::Closed { detail };
        match &mut *self.0.lock().await {
            None => Err(closed("its stdin is closed".to_owned())),
            Some(lines) => lines.write(&text).await.map_err(|error| match error {
                LineError::BreakInString { .. } => UpstreamError::Garbage {
                    detail: error.to_string(),
                },
                _ => closed(error.to_string()),
            }),
        }
    }
}

/// Starts the command and shakes hands with it, after probing its era if that is not known.
pub(super) async fn connect(target: &CommandTarget, hello: &Hello) -> Result<Connected, UpstreamError> {
    let begun = Instant::now();
    timeout(target.handshake_time_max, shake_hands(target, hello))
        .await
        .unwrap_or_else(|_| Err(late(target, begun, target.handshake_time_max)))
}

/// Time is over for a handshake, or a part of it, that began then.
fn late(target: &CommandTarget, begun: Instant, after: Duration) -> UpstreamError {
    let seconds = after.as_secs();
    match target.opening_garbage.since(begun) {
        Some(line) => UpstreamError::Garbage {
            detail: format!("no MCP message within {seconds} s; last line: {line}"),
        },
        None => UpstreamError::Timeout { seconds },
    }
}

async fn shake_hands(target: &CommandTarget, hello: &Hello) -> Result<Connected, UpstreamError> {
    let begun = Instant::now();
    let mut opening = Opening::new(hello.eras, target.era.settled());
    let mut offer = hello.legacy_revision;
    let (mut link, mut strays) = start(target).await?;
    loop {
        opening = match opening {
            Opening::Discover { may_fall_back } => {
                let probe = link.ask(era::DISCOVER_ID, Method::ServerDiscover, era::discover(hello));
                let verdict = match timeout(target.probe_time_max, probe).await {
                    Ok(Ok(answer)) => era::judge(&answer, None, hello),
                    // Some legacy servers end when the first message is not `initialize`.
                    Ok(Err(UpstreamError::Closed { .. })) if may_fall_back => {
                        (link, strays) = start(target).await?;
                        opening = Opening::Initialize { may_probe: false };
                        continue;
                    }
                    Ok(Err(error)) => return Err(error),
                    // Silence means legacy, or a modern server that is slow to start: `initialize` will tell.
                    Err(_) if may_fall_back => {
                        link.shared.forget(era::DISCOVER_ID);
                        opening = Opening::Initialize { may_probe: true };
                        continue;
                    }
                    Err(_) => {
                        return Err(late(target, begun, target.probe_time_max));
                    }
                };
                match verdict {
                    Verdict::Modern(greeting) => {
                        target.era.settle(Era::Modern);
                        return Ok(link.connected(Revision::NEWEST, greeting, strays));
                    }
                    Verdict::Legacy { offer: named, .. } if may_fall_back => {
                        offer = named;
                        Opening::Initialize { may_probe: false }
                    }
                    Verdict::Legacy { why, .. } | Verdict::Neither(why) => {
                        return Err(UpstreamError::Revision { detail: why });
                    }
                }
            }
            Opening::Initialize { may_probe } => match link.initialize(hello, offer).await {
                Ok((revision, greeting)) => {
                    target.era.settle(Era::Legacy);
                    return Ok(link.connected(revision, greeting, strays));
                }
                Err(error) if may_probe && era::may_be_modern(&error) && hello.eras == Eras::Probe => {
                    target.era.forget();
                    if !link.is_alive() {
                        (link, strays) = start(target).await?;
                    }
                    Opening::Discover { may_fall_back: true }
                }
                Err(error) => return Err(error),
            },
        };
    }
}

async fn start(target: &CommandTarget) -> Result<(StdioLink, mpsc::Receiver<Stray>), UpstreamError> {
    let Child { stdin, stdout, control } =
        Child::spawn(&target.spec)
            .await
            .map_err(|error: ChildError| UpstreamError::Connect {
                detail: super::body::chain(&error),
            })?;
    let (strays, receiver) = Strays::new(&target.spec.name);
    let writer = Arc::new(Writer(tokio::sync::Mutex::new(Some(stdin))));
    let shared = Arc::new(Shared {
        name: target.spec.name.clone(),
        limits: target.limits.clone(),
        revision: OnceLock::new(),
        strays,
        waiting: Mutex::default(),
        is_closing: AtomicBool::new(false),
        garbage: LastGarbage::default(),
        opening_garbage: Arc::clone(&target.opening_garbage),
        replies: Arc::new(Semaphore::new(REPLIES_WAITING_MAX)),
        writer: Arc::downgrade(&writer),
    });
    let end = End {
        exited: Box::pin(control.exited()),
        stderr: control.stderr_tail().clone(),
    };
    let control = Arc::new(Mutex::new(Some(control)));
    tokio::spawn(read(shared.clone(), stdout, end, Arc::downgrade(&control)));
    Ok((
        StdioLink {
            shared,
            control,
            writer,
        },
        receiver,
    ))
}

impl StdioLink {
    fn connected(self, revision: Revision, greeting: portcullis_wire::Raw, strays: mpsc::Receiver<Stray>) -> Connected {
        // Set once: only the handshake comes here.
        let _ = self.shared.revision.set(revision);
        Connected {
            link: Arc::new(self),
            revision,
            greeting,
            strays,
        }
    }

    async fn initialize(
        &self,
        hello: &Hello,
        offer: Revision,
    ) -> Result<(Revision, portcullis_wire::Raw), UpstreamError> {
        let answer = self
            .ask(era::INITIALIZE_ID, Method::Initialize, era::initialize(hello, offer))
            .await?;
        let settled = era::read_initialize(&answer, offer)?;
        self.writer.write(era::initialized()).await?;
        Ok(settled)
    }

    /// A request of the handshake, which is not cancelled when it is given up.
    async fn ask(&self, id: u64, method: Method, message: Rope) -> Result<Response, UpstreamError> {
        let events = self.shared.expect(id, &method)?;
        let events = self.write_request(id, message, events).await?;
        era::answer(&mut Exchange::new(events, None), &self.shared.strays).await
    }

    /// Writes a request that is being waited for.
    async fn write_request(&self, id: u64, message: Rope, mut events: Events) -> Result<Events, UpstreamError> {
        let Err(error) = self.writer.write(message).await else {
            return Ok(events);
        };
        // The reading task is about to find out why nobody reads.
        let why = match &error {
            UpstreamError::Closed { .. } => timeout(EXIT_TIME_MAX * 2, events.recv()).await.ok().flatten(),
            _ => None,
        };
        self.shared.forget(id);
        match why {
            Some(Err(why)) => Err(why),
            _ => Err(error),
        }
    }

    fn control(&self) -> MutexGuard<'_, Option<ChildControl>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream for StdioLink {
    fn request(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Exchange, UpstreamError>> {
        Box::pin(async move {
            let id = outgoing.id;
            let events = self.shared.expect(id, &outgoing.method)?;
            let shared = self.shared.clone();
            // Also when the caller goes before the message is written: a part of it may be on the wire.
            let mut cancel = CancelOnDrop::new(move || shared.cancel(id));
            match self.write_request(id, outgoing.message, events).await {
                Ok(events) => Ok(Exchange::new(events, Some(cancel))),
                Err(error) => {
                    cancel.disarm();
                    Err(error)
                }
            }
        })
    }

    fn tell(&self, message: Rope) -> BoxFuture<'_, Result<(), UpstreamError>> {
        Box::pin(self.writer.write(message))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.shared.is_closing.store(true, Ordering::Relaxed);
            // A writer that hangs on a full pipe is ended with the process.
            if let Ok(mut stdin) = timeout(PATIENCE, self.writer.0.lock()).await {
                *stdin = None;
            }
            let control = self.control().take();
            if let Some(control) = control
                && let Err(error) = control.stop(PATIENCE).await
            {
                tracing::warn!(server = %self.shared.name, %error, "the process does not end");
            }
        })
    }

    fn is_alive(&self) -> bool {
        !self.shared.is_closing.load(Ordering::Relaxed) && self.shared.waiting().over.is_none()
    }

    fn garbage_since(&self, begun: Instant) -> Option<String> {
        self.shared.garbage.since(begun)
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_modern(&self) -> bool {
        self.revision
            .get()
            .is_some_and(|revision| revision.era() == Era::Modern)
    }

    /// Opens an entry for a request.
    fn expect(&self, id: u64, method: &Method) -> Result<Events, UpstreamError> {
        let mut waiting = self.waiting();
        if let Some(over) = &waiting.over {
            return Err(over.clone());
        }
        if waiting.requests.contains_key(&id) {
            return Err(UpstreamError::Garbage {
                detail: format!("request id {id} is in use"),
            });
        }
        // One place more than for news: the answer always has room.
        let (events, receiver) = mpsc::channel(NEWS_WAITING_MAX + 1);
        let is_subscription = *method == Method::SubscriptionsListen;
        waiting.requests.insert(
            id,
            Asked {
                events,
                is_subscription,
            },
        );
        Ok(receiver)
    }

    fn forget(&self, id: u64) -> Option<Asked> {
        self.waiting().requests.remove(&id)
    }

    /// Nobody waits for `id` any more: the server is told, and what it still says about it finds nobody.
    fn cancel(self: &Arc<Self>, id: u64) {
        if self.forget(id).is_none() {
            return;
        }
        if let (Some(writer), Ok(runtime)) = (self.writer.upgrade(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                // A process that is gone needs no cancelling.
                let _ = writer.write(era::cancelled(id)).await;
            });
        }
    }

    /// Answers for the client, without holding up the reading task, and not without end for a server that does not read.
    fn reply(self: &Arc<Self>, message: Rope) {
        if let (Some(writer), Ok(runtime)) = (self.writer.upgrade(), tokio::runtime::Handle::try_current())
            && let Ok(room) = self.replies.clone().try_acquire_owned()
        {
            runtime.spawn(async move {
                let _ = writer.write(message).await;
                drop(room);
            });
        }
    }

    /// The connection is over: everybody hears why.
    fn fail(&self, error: &UpstreamError) {
        let requests = {
            let mut waiting = self.waiting();
            waiting.over = Some(error.clone());
            std::mem::take(&mut waiting.requests)
        };
        for asked in requests.into_values() {
            // There is room: see `expect`.
            let _ = asked.events.try_send(Err(error.clone()));
        }
        self.strays.gone(error.to_string());
    }

    /// Takes a line; `false` when it is no message.
    fn take(self: &Arc<Self>, line: Bytes) -> bool {
        let batched = self
            .revision
            .get()
            .is_some_and(|revision| revision.has_batches())
            .then(|| batch(&line, &self.limits))
            .flatten();
        match batched {
            None => self.take_message(line),
            Some(Ok(texts)) => texts.into_iter().all(|text| self.take_message(text)),
            Some(Err(refused)) => {
                self.complain(&refused.error.message);
                false
            }
        }
    }

    fn take_message(self: &Arc<Self>, text: Bytes) -> bool {
        match Message::parse(text, &self.limits) {
            Ok(Message::Response(response)) => self.take_response(response),
            Ok(Message::Notification(news)) => self.take_news(news),
            Ok(Message::Request(question)) => self.take_question(question),
            Err(refused) => {
                // A broken answer to a request of ours is that request's error.
                let asked = refused.id.as_ref().and_then(Id::as_u64).and_then(|id| self.forget(id));
                match asked {
                    Some(asked) => drop(asked.events.try_send(Err(garbage(&refused.error)))),
                    None => {
                        self.complain(&refused.error.message);
                        return false;
                    }
                }
            }
        }
        true
    }

    fn take_response(&self, response: Response) {
        let asked = match response.id() {
            Some(id) => id.as_u64().and_then(|id| self.forget(id)),
            // An error about a message that the server could not read: ours, if there is but one.
            None => self.only_request().and_then(|id| self.forget(id)),
        };
        match asked {
            Some(asked) => drop(asked.events.try_send(Ok(Event::Answer(Box::new(response))))),
            None => tracing::debug!(server = %self.name, id = ?response.id(), "an answer that nobody waits for"),
        }
    }

    fn take_news(&self, news: Notification) {
        let request = match news.method() {
            // Progress of a request that is over is nobody's.
            Method::Progress => match era::progress_token(&news) {
                Some(token) => return self.tell_request(token, news),
                None => return,
            },
            Method::Cancelled if self.is_modern() => {
                // The only one that a modern server may send: it ends a subscription.
                if let Some(asked) = era::cancelled_request(&news).and_then(|id| self.forget(id)) {
                    let _ = asked.events.try_send(Err(UpstreamError::Closed {
                        detail: "the server ended the subscription".to_owned(),
                    }));
                }
                return;
            }
            // These belong to the session, whatever is in flight.
            Method::ToolsListChanged
            | Method::PromptsListChanged
            | Method::ResourcesListChanged
            | Method::ResourcesUpdated
            | Method::TasksStatus
            | Method::ElicitationComplete
                if !self.is_modern() =>
            {
                None
            }
            _ => era::subscription(&news).or_else(|| self.only_request()),
        };
        match request {
            Some(id) => self.tell_request(id, news),
            None => self.strays.news(news),
        }
    }

    fn tell_request(&self, id: u64, news: Notification) {
        let waiting = self.waiting();
        if let Some(asked) = waiting.requests.get(&id) {
            // The last place is the answer's.
            if asked.events.capacity() > 1 {
                let _ = asked.events.try_send(Ok(Event::News(news)));
            } else {
                tracing::debug!(server = %self.name, id, "news dropped: nobody takes it");
            }
        }
    }

    fn take_question(self: &Arc<Self>, question: Request) {
        if era::is_ping(&question) {
            return self.reply(era::pong(question.id()));
        }
        if self.is_modern() {
            return self.complain("a request of the server, which 2026-07-28 forbids");
        }
        let id = question.id().clone();
        let is_taken = match self.only_request() {
            Some(request) => match self.waiting().requests.get(&request) {
                // The last place is the answer's.
                Some(asked) if asked.events.capacity() > 1 => {
                    asked.events.try_send(Ok(Event::Question(Box::new(question)))).is_ok()
                }
                _ => false,
            },
            None => self.strays.question(question).is_ok(),
        };
        if !is_taken {
            self.reply(era::nobody(&id));
        }
    }

    /// The request in flight, if it is the only one; a subscription, which lives long, does not count.
    fn only_request(&self) -> Option<u64> {
        let waiting = self.waiting();
        let mut requests = waiting.requests.iter().filter(|(_, asked)| !asked.is_subscription);
        match (requests.next(), requests.next()) {
            (Some((id, _)), None) => Some(*id),
            _ => None,
        }
    }

    fn keep_garbage(&self, line: &Beginning) {
        self.garbage.keep(line);
        if self.revision.get().is_none() {
            self.opening_garbage.keep(line);
        }
    }

    fn complain(&self, problem: &str) {
        tracing::warn!(server = %self.name, problem, "a line on stdout that is no message");
    }
}

/// What tells how a process ended.
struct End {
    exited: BoxFuture<'static, Exit>,
    stderr: StderrTail,
}

impl End {
    async fn describe(self, stdout: &str) -> UpstreamError {
        let mut detail = match timeout(EXIT_TIME_MAX, self.exited).await {
            Ok(exit) => format!("the process {exit}"),
            Err(_) => stdout.to_owned(),
        };
        let said = self.stderr.last_lines(STDERR_LINES);
        if !said.is_empty() {
            detail.push_str("; its last words on stderr: ");
            detail.push_str(&said.join(" | "));
        }
        UpstreamError::Closed { detail }
    }
}

/// Reads the process's stdout to its end, or until it is given up.
async fn read(
    shared: Arc<Shared>,
    mut stdout: LineReader<pipe::Receiver>,
    end: End,
    control: Weak<Mutex<Option<ChildControl>>>,
) {
    let mut garbage_lines = 0;
    let error = loop {
        match stdout.next().await {
            Ok(Some(line)) => {
                let beginning = Beginning::of(&line);
                if shared.take(line) {
                    garbage_lines = 0;
                    continue;
                }
                garbage_lines += 1;
                shared.keep_garbage(&beginning);
                if garbage_lines >= GARBAGE_LINES_MAX {
                    let last = beginning.quoted();
                    break UpstreamError::Garbage {
                        detail: format!(
                            "{GARBAGE_LINES_MAX} lines in a row that are no messages; last line: {last} (hint: does the command write its log to stdout?)"
                        ),
                    };
                }
            }
            Ok(None) => break end.describe("its stdout has ended").await,
            Err(error @ LineError::TooLong { .. }) => {
                break UpstreamError::TooLarge {
                    detail: error.to_string(),
                };
            }
            Err(error) => break end.describe(&error.to_string()).await,
        }
    };
    shared.fail(&error);
    // Whatever of it still runs has nobody to talk to. Not while it is being closed: then it has its grace.
    if !shared.is_closing.load(Ordering::Relaxed)
        && let Some(control) = control.upgrade()
    {
        drop(control.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
