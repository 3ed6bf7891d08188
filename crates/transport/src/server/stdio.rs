//! MCP over our own stdin and stdout: one message a line (all revisions, transports, "stdio"). The era is chosen per message as
//! over HTTP, but no header speaks; everything of the process's legacy session goes by the constant session [`SESSION`].

use super::body::{Exchange, Next, Source, array};
use super::door::{self, Admitted};
use crate::inbound::{Ask, Handled, Handler, Inbound, Peer};
use crate::lines::{LineError, LineReader, LineWriter};
use crate::outlet::{Delivery, Outlet};
use portcullis_wire::message::{self, Refused};
use portcullis_wire::{Limits, Message, Revision, Rope, RpcError, error};
use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as Pipe;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The session of every legacy message that comes over stdio.
pub const SESSION: &str = "stdio";

/// Lines that may wait to be written before who writes has to.
const LINES_WAITING_MAX: usize = 64;

/// How [`serve_stdio`] behaves.
#[derive(Debug, Clone)]
pub struct StdioOptions {
    /// Bounds of one message; a line may be as long as one.
    pub message_limits: Limits,
    /// Requests in work at once; further ones are refused. Reading never waits for them, or the answer to a question and a
    /// cancellation would wait too.
    pub requests_max: usize,
    /// How long requests may still be answered after the end of the input.
    pub drain: Duration,
    /// The user of the operating system who runs the host.
    pub os_user: Arc<str>,
    /// Which virtual endpoint is served; empty for all.
    pub endpoint: Arc<str>,
}

impl StdioOptions {
    /// The defaults, for `os_user`.
    #[must_use]
    pub fn new(os_user: impl Into<Arc<str>>) -> Self {
        Self {
            message_limits: Limits::default(),
            requests_max: 256,
            drain: Duration::from_secs(10),
            os_user: os_user.into(),
            endpoint: Arc::from(""),
        }
    }
}

/// How serving ended.
#[derive(Debug)]
pub enum StdioEnd {
    /// The host closed its end between two messages; what was in work was answered, but for `unanswered` requests.
    Closed {
        /// Requests that the drain's patience did not suffice for.
        unanswered: usize,
    },
    /// The host broke the framing, or reads no more.
    Broken(LineError),
}

/// Serves one host until it closes its end.
///
/// A request is begun in the order of its line, so that a cancellation finds what it cancels. A handler that ends a request
/// with anything but a sealed reply leaves it without an answer: there is no status line here to say more.
pub async fn serve_stdio<R, W>(input: R, output: W, options: StdioOptions, handler: Arc<Handler>) -> StdioEnd
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (lines, waiting) = mpsc::channel(LINES_WAITING_MAX);
    let mut writer = tokio::spawn(write_lines(output, waiting));
    let mut reader = LineReader::new(input, options.message_limits.message_bytes_max);
    let mut host = Host {
        revision: Revision::NEWEST_LEGACY,
        batches: false,
        standing: JoinSet::new(),
        requests: JoinSet::new(),
        lines,
        options,
        handler,
    };
    let end = loop {
        let line = tokio::select! {
            line = reader.next() => line,
            // Finished requests are let go; the arm never wins for long.
            Some(_) = host.requests.join_next(), if !host.requests.is_empty() => continue,
            broken = &mut writer => return StdioEnd::Broken(written(broken)),
        };
        match line {
            Ok(Some(line)) => host.take(line).await,
            Ok(None) => break None,
            Err(error) => {
                if matches!(error, LineError::TooLong { .. }) {
                    let error = RpcError::new(error::INVALID_REQUEST, error.to_string());
                    host.refuse(error).await;
                }
                break Some(error);
            }
        }
    };
    let patience = tokio::time::Instant::now() + host.options.drain;
    let unanswered = loop {
        let joined = tokio::select! {
            joined = tokio::time::timeout_at(patience, host.requests.join_next()) => joined,
            broken = &mut writer => return StdioEnd::Broken(written(broken)),
        };
        match joined {
            Ok(None) => break 0,
            Ok(Some(_)) => {}
            Err(_) => break host.requests.len(),
        }
    };
    // The writer ends when nobody is left who could write.
    drop(host);
    let flushed = writer.await;
    match (end, flushed) {
        (Some(error), _) => StdioEnd::Broken(error),
        (None, Ok(Err(error))) => StdioEnd::Broken(error),
        (None, _) => StdioEnd::Closed { unanswered },
    }
}

fn written(ended: Result<Result<(), LineError>, tokio::task::JoinError>) -> LineError {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => LineError::Closed,
    }
}

async fn write_lines<W: AsyncWrite + Unpin>(output: W, mut waiting: mpsc::Receiver<Rope>) -> Result<(), LineError> {
    let mut writer = LineWriter::new(output);
    while let Some(message) = waiting.recv().await {
        match writer.write(&message.into_bytes()).await {
            Ok(()) => {}
            Err(error @ LineError::BreakInString { .. }) => {
                tracing::error!(%error, "a message that is no JSON was not written");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is known of the host.
struct Host {
    /// The revision of its latest message: a line that cannot be read is refused in its words.
    revision: Revision,
    /// Whether its legacy session speaks the revision that has batches.
    batches: bool,
    /// The task that writes what belongs to no request.
    standing: JoinSet<()>,
    requests: JoinSet<()>,
    lines: mpsc::Sender<Rope>,
    options: StdioOptions,
    handler: Arc<Handler>,
}

impl Host {
    async fn take(&mut self, line: bytes::Bytes) {
        match message::batch(&line, &self.options.message_limits) {
            None => {
                let message = Message::parse(line, &self.options.message_limits);
                let admitted = door::admit_line(message, self.revision);
                self.revision = admitted.revision;
                if admitted.opens_session {
                    self.batches = admitted.revision.has_batches();
                }
                self.one(admitted).await;
            }
            Some(Ok(texts)) if self.batches => self.batch(texts).await,
            Some(Ok(_)) => {
                let error = RpcError::new(
                    error::INVALID_REQUEST,
                    "a batch, which this session's revision does not have, hint: send one message a line",
                );
                self.refuse(error).await;
            }
            Some(Err(Refused { error, .. })) => self.refuse(error).await,
        }
    }

    /// Answers what is no message.
    async fn refuse(&mut self, error: RpcError) {
        let admitted = Admitted::refused(self.revision, error, None);
        self.one(admitted).await;
    }

    async fn one(&mut self, mut admitted: Admitted) {
        if self.requests.len() >= self.options.requests_max
            && let Ask::Request(request) = &admitted.ask
        {
            let error = RpcError::new(
                error::INTERNAL,
                format!(
                    "{} requests are in work already, hint: wait for answers",
                    self.options.requests_max
                ),
            );
            admitted = Admitted::refused(admitted.revision, error, Some(request.id().clone()));
        }
        let is_request = matches!(admitted.ask, Ask::Request(_));
        let standing = admitted.opens_session.then(|| self.stand());
        let mut source = Source::One(self.ask(admitted, standing));
        if !is_request {
            // Notifications, responses and refusals are short, and in order.
            carry(source, None, &self.lines).await;
            return;
        }
        // Begun here, in the order of the lines; carried on in a task.
        let first = begin(&mut source).await;
        let lines = self.lines.clone();
        self.requests.spawn(async move { carry(source, first, &lines).await });
    }

    /// A new standing stream in place of the old one.
    fn stand(&mut self) -> Outlet {
        let (outlet, mut end) = Outlet::channel();
        let lines = self.lines.clone();
        self.standing.abort_all();
        self.standing.spawn(async move {
            while let Some(delivery) = end.next().await {
                let message = match delivery {
                    Delivery::News(message) => message,
                    Delivery::Reply(reply) => reply.into_inner().message,
                };
                if lines.send(message).await.is_err() {
                    return;
                }
            }
        });
        outlet
    }

    /// A 2025-03-26 batch: replies are one array, news lines of their own.
    async fn batch(&mut self, texts: Vec<bytes::Bytes>) {
        let exchanges = texts
            .into_iter()
            .map(|text| {
                let message = Message::parse(text, &self.options.message_limits);
                let admitted = door::admit_line(message, self.revision);
                self.ask(door::not_initialize(admitted), None)
            })
            .collect();
        let mut source = Source::Many(exchanges);
        let mut next = begin(&mut source).await;
        let lines = self.lines.clone();
        self.requests.spawn(async move {
            let mut replies = Vec::new();
            loop {
                let current = match next.take() {
                    Some(next) => next,
                    None => source.next().await,
                };
                match current {
                    Next::Reply(reply) if reply.get().last => replies.push(reply),
                    Next::Plain(_) => {}
                    Next::End => break,
                    Next::News(message) => {
                        let _ = lines.send(message).await;
                    }
                    Next::Reply(question) => {
                        let _ = lines.send(question.into_inner().message).await;
                    }
                }
            }
            if !replies.is_empty() {
                let _ = lines.send(array(replies)).await;
            }
        });
    }

    fn ask(&self, admitted: Admitted, standing: Option<Outlet>) -> Exchange {
        let (outlet, news) = Outlet::channel();
        let inbound = Box::new(Inbound {
            peer: Peer {
                address: None,
                certificate_sha256: None,
                os_user: Some(self.options.os_user.clone()),
            },
            authorization: None,
            endpoint: self.options.endpoint.clone(),
            session: match admitted.revision.era() {
                portcullis_wire::Era::Modern => None,
                portcullis_wire::Era::Legacy => Some(Arc::from(SESSION)),
            },
            revision: admitted.revision,
            meta: admitted.meta,
            parameters: Vec::new(),
            received: Instant::now(),
            ask: admitted.ask,
            outlet,
            standing,
        });
        Exchange::new((self.handler)(inbound), news)
    }
}

/// Lets the handler begin; what comes at once is returned.
async fn begin(source: &mut Source) -> Option<Next> {
    poll_fn(|context| {
        Poll::Ready(match source.poll_next(context) {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        })
    })
    .await
}

/// Writes what comes of a message, in order, to its end.
async fn carry(mut source: Source, mut first: Option<Next>, lines: &mpsc::Sender<Rope>) {
    loop {
        let next = match first.take() {
            Some(next) => next,
            None => source.next().await,
        };
        let message = match next {
            Next::News(message) => message,
            Next::Reply(reply) => reply.into_inner().message,
            Next::Plain(Handled::Accepted | Handled::Sealed(_)) => continue,
            Next::Plain(handled) => {
                tracing::warn!(?handled, "a message over stdio has no answer");
                continue;
            }
            Next::End => return,
        };
        if lines.send(message).await.is_err() {
            return;
        }
    }
}

/// This process's stdin and stdout as the runtime can use them, whatever they are (pipes, sockets, files, a terminal): a thread
/// each copies, since of these only some can be waited for.
#[derive(Debug)]
pub struct OwnStdio {
    /// What the host writes.
    pub input: UnixStream,
    /// What the host reads.
    pub output: UnixStream,
    /// Ends when all of `output` has been written.
    pub written: JoinHandle<io::Result<u64>>,
}

impl OwnStdio {
    /// Takes stdin and stdout over: nobody else in the process may read or write them from now on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn take() -> io::Result<Self> {
        let (input, mut filled) = Pipe::pair()?;
        let (output, mut drained) = Pipe::pair()?;
        input.set_nonblocking(true)?;
        output.set_nonblocking(true)?;
        std::thread::Builder::new()
            .name("portcullis-stdin".to_owned())
            .spawn(move || copy(&mut io::stdin().lock(), &mut filled))?;
        let written = std::thread::Builder::new()
            .name("portcullis-stdout".to_owned())
            .spawn(move || copy(&mut drained, &mut io::stdout().lock()))?;
        Ok(Self {
            input: UnixStream::from_std(input)?,
            output: UnixStream::from_std(output)?,
            written,
        })
    }
}

/// Not `io::copy`, which splices: a splice into a pipe holds the pipe's lock while it waits for the socket, and whoever reads the
/// pipe meanwhile (our host) hangs in the kernel.
fn copy(from: &mut impl io::Read, to: &mut impl io::Write) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(buffer.get(..read).unwrap_or_default())?;
        to.flush()?;
        total += read as u64;
    }
}
