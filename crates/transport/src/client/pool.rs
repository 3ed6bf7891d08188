//! Connections to HTTP servers: made, kept while idle, handed out again. Each thread has shelves of its own, because a
//! connection is driven by the runtime that made it and the gateway runs one single-threaded runtime per core; nothing here
//! is contended. Redirects and proxies do not exist here. Must not know what a request means: the one thing that it decides
//! about a request is whether it certainly was not processed and so may be sent again.

use super::body::{RopeBody, chain};
use crate::upstream::UpstreamError;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// The head of a response, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// HTTP/2 windows, in bytes: a 16 MiB answer should not wait for credit at every 64 KiB.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// A peer that is gone without a word is noticed within about a minute, even on a stream that is silent by nature.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_PROBES: u32 = 3;

/// Bounds on the connections to one server, for each thread of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolLimits {
    /// Requests and streams at the same time; more wait.
    pub in_use_max: usize,
    /// Idle connections kept.
    pub idle_max: usize,
    /// How long a connection may be idle. Below the five seconds after which common servers close one: what meets that moment
    /// fails, for a request that may have been processed is never sent twice.
    pub idle_time_max: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            in_use_max: 256,
            idle_max: 64,
            idle_time_max: Duration::from_secs(4),
        }
    }
}

/// Where connections go: everything that makes two of them interchangeable.
pub(super) struct Endpoint {
    id: u64,
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    connect_time_max: Duration,
    limits: PoolLimits,
}

impl Endpoint {
    /// `shared_identity`: whether all endpoints with these arguments may use each other's connections, which is so unless
    /// the TLS configuration is this one's alone.
    pub(super) fn new(
        host: String,
        port: u16,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        shared_identity: bool,
        connect_time_max: Duration,
        limits: PoolLimits,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        type Key = (String, u16, bool, PoolLimits);
        static SHARED: Mutex<Option<HashMap<Key, u64>>> = Mutex::new(None);
        let id = match shared_identity {
            false => NEXT.fetch_add(1, Ordering::Relaxed),
            true => {
                let key = (host.clone(), port, tls.is_some(), limits.clone());
                let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
                *shared
                    .get_or_insert_default()
                    .entry(key)
                    .or_insert_with(|| NEXT.fetch_add(1, Ordering::Relaxed))
            }
        };
        Self {
            id,
            host,
            port,
            tls,
            connect_time_max,
            limits,
        }
    }

    fn shelf(&self) -> Arc<Shelf> {
        SHELVES.with_borrow_mut(|shelves| {
            if let Some(shelf) = shelves.get(&self.id) {
                return shelf.clone();
            }
            // A new server is rare: the moment to forget those that nobody uses any more.
            shelves.retain(|_, shelf| Arc::strong_count(shelf) > 1 || !shelf.lock().is_empty());
            let shelf = Arc::new(Shelf {
                limits: self.limits.clone(),
                slots: Arc::new(Semaphore::new(self.limits.in_use_max)),
                kept: Mutex::default(),
            });
            shelves.insert(self.id, shelf.clone());
            shelf
        })
    }

    /// Sends `request` (with `Host`; its URI is set here: `origin_form`, or `absolute` for HTTP/2) and waits for the head of
    /// the response. Waits for a free slot first.
    ///
    /// # Errors
    /// [`UpstreamError::Connect`] when nothing was sent, [`UpstreamError::Closed`] or [`UpstreamError::Garbage`] when it may
    /// have been.
    pub(super) async fn send(
        &self,
        mut request: Box<Request<RopeBody>>,
        origin_form: &Uri,
        absolute: &Uri,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let shelf = self.shelf();
        let slot = match shelf.slots.clone().try_acquire_owned() {
            Ok(slot) => slot,
            // Never closed, so the error cannot be.
            Err(_) => shelf.slots.clone().acquire_owned().await.map_err(|_| no_slot())?,
        };
        if let Some(connection) = shelf.take() {
            match connection.send(request, origin_form, absolute).await {
                Ok((response, sender)) => {
                    return Ok((
                        response,
                        Lease {
                            sender,
                            shelf,
                            _slot: slot,
                        },
                    ));
                }
                // Closed in the moment of sending, before a byte was written: safe to send again.
                Err(Refused {
                    unsent: Some(unsent), ..
                }) => request = unsent,
                Err(refused) => return Err(failed(&refused.error)),
            }
        }
        // In a box: what a handshake needs is several times what a request on an open connection does.
        let connection = Box::pin(self.connect()).await?;
        if let Connection::Http2(sender) = &connection {
            shelf.lock().http2.get_or_insert_with(|| sender.clone());
        }
        match connection.send(request, origin_form, absolute).await {
            Ok((response, sender)) => Ok((
                response,
                Lease {
                    sender,
                    shelf,
                    _slot: slot,
                },
            )),
            Err(refused) => Err(failed(&refused.error)),
        }
    }

    async fn connect(&self) -> Result<Connection, UpstreamError> {
        let Self { host, port, .. } = self;
        let refused = |detail: String| UpstreamError::Connect {
            detail: format!("`{host}` port {port}: {detail}"),
        };
        match timeout(self.connect_time_max, self.connect_without_limit()).await {
            Ok(connected) => connected.map_err(refused),
            Err(_) => Err(refused(format!(
                "not connected within {} ms",
                self.connect_time_max.as_millis()
            ))),
        }
    }

    async fn connect_without_limit(&self) -> Result<Connection, String> {
        let stream = self.connect_tcp().await?;
        let Some((config, server_name)) = &self.tls else {
            return http1_over(stream).await;
        };
        let connector = TlsConnector::from(config.clone());
        let stream = connector
            .connect(server_name.clone(), stream)
            .await
            .map_err(|error| format!("TLS: {}", chain(&error)))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => http2_over(stream).await,
            _ => http1_over(stream).await,
        }
    }

    /// The first address that answers; each gets an equal share of the time, so that a dead one does not use it up.
    async fn connect_tcp(&self) -> Result<TcpStream, String> {
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("the name cannot be resolved: {error}"))?
            .collect();
        let share = self.connect_time_max / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut said = "the name has no address".to_owned();
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // None of these can fail on a connected socket in a way that matters to the call.
                    let _ = stream.set_nodelay(true);
                    let _ = sockopt::set_socket_keepalive(&stream, true);
                    let _ = sockopt::set_tcp_keepidle(&stream, KEEP_ALIVE_AFTER);
                    let _ = sockopt::set_tcp_keepintvl(&stream, KEEP_ALIVE_INTERVAL);
                    let _ = sockopt::set_tcp_keepcnt(&stream, KEEP_ALIVE_PROBES);
                    return Ok(stream);
                }
                Ok(Err(error)) => said = error.to_string(),
                Err(_) => said = format!("no answer from {address}"),
            }
        }
        Err(said)
    }
}

/// A request that was sent keeps its connection in one of these until the response is read to its end. Dropping it closes an
/// HTTP/1.1 connection.
pub(super) struct Lease {
    sender: Option<http1::SendRequest<RopeBody>>,
    shelf: Arc<Shelf>,
    _slot: OwnedSemaphorePermit,
}

impl Lease {
    /// To be called when the response was read to its end: another request may use the connection.
    pub(super) fn give_back(self) {
        if let Some(sender) = self.sender {
            Shelf::put(&self.shelf, sender);
        }
    }
}

thread_local! {
    static SHELVES: RefCell<HashMap<u64, Arc<Shelf>>> = RefCell::default();
}

/// This thread's connections to one endpoint.
struct Shelf {
    limits: PoolLimits,
    slots: Arc<Semaphore>,
    // A lock and not a cell: a response may be read to its end on another thread than the one that made the connection.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Least recently used first.
    http1: Vec<(http1::SendRequest<RopeBody>, Instant)>,
    http2: Option<http2::SendRequest<RopeBody>>,
    sweeper: Option<JoinHandle<()>>,
}

impl Kept {
    const fn is_empty(&self) -> bool {
        self.http1.is_empty() && self.http2.is_none()
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if it is still open.
    fn take(&self) -> Option<Connection> {
        let mut kept = self.lock();
        if let Some(sender) = &kept.http2 {
            match sender.is_closed() {
                false => return Some(Connection::Http2(sender.clone())),
                true => kept.http2 = None,
            }
        }
        while let Some((sender, since)) = kept.http1.pop() {
            if !sender.is_closed() && since.elapsed() < self.limits.idle_time_max {
                return Some(Connection::Http1(sender));
            }
        }
        None
    }

    fn put(self: &Arc<Self>, sender: http1::SendRequest<RopeBody>) {
        if sender.is_closed() {
            return;
        }
        let mut kept = self.lock();
        kept.http1.push((sender, Instant::now()));
        if kept.http1.len() > self.limits.idle_max {
            kept.http1.remove(0);
        }
        // A runtime that has ended took its sweeper along.
        if kept.sweeper.as_ref().is_none_or(JoinHandle::is_finished)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            kept.sweeper = Some(runtime.spawn(sweep(self.clone())));
        }
    }
}

/// Closes what has been idle for too long, until nothing is left.
async fn sweep(shelf: Arc<Shelf>) {
    loop {
        tokio::time::sleep(shelf.limits.idle_time_max).await;
        let mut kept = shelf.lock();
        kept.http1
            .retain(|(sender, since)| !sender.is_closed() && since.elapsed() < shelf.limits.idle_time_max);
        if kept.http1.is_empty() {
            kept.sweeper = None;
            return;
        }
    }
}

enum Connection {
    Http1(http1::SendRequest<RopeBody>),
    Http2(http2::SendRequest<RopeBody>),
}

type Sent = (Response<Incoming>, Option<http1::SendRequest<RopeBody>>);

/// A request that a connection did not take to its end.
struct Refused {
    /// The request, where no byte of it was written.
    unsent: Option<Box<Request<RopeBody>>>,
    error: hyper::Error,
}

impl From<TrySendError<Request<RopeBody>>> for Refused {
    fn from(mut refused: TrySendError<Request<RopeBody>>) -> Self {
        Self {
            unsent: refused.take_message().map(Box::new),
            error: refused.into_error(),
        }
    }
}

impl Connection {
    async fn send(
        self,
        mut request: Box<Request<RopeBody>>,
        origin_form: &Uri,
        absolute: &Uri,
    ) -> Result<Sent, Refused> {
        match self {
            Self::Http1(mut sender) => {
                request.uri_mut().clone_from(origin_form);
                // It was given back the moment its last response ended; its driver may need one more turn.
                if !sender.is_ready() {
                    // A connection that closed meanwhile refuses the request below and hands it back.
                    let _ = sender.ready().await;
                }
                let response = sender.try_send_request(*request).await?;
                Ok((response, Some(sender)))
            }
            Self::Http2(mut sender) => {
                request.uri_mut().clone_from(absolute);
                let response = sender.try_send_request(*request).await?;
                Ok((response, None))
            }
        }
    }
}

async fn http1_over<S>(stream: S) -> Result<Connection, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_header_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| chain(&error))?;
    // What ended it is heard by whoever waits for a response on it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::Http1(sender))
}

async fn http2_over<S>(stream: S) -> Result<Connection, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(KEEP_ALIVE_AFTER)
        .keep_alive_timeout(KEEP_ALIVE_INTERVAL)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| chain(&error))?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::Http2(sender))
}

/// What became of a request that may have been written.
fn failed(error: &hyper::Error) -> UpstreamError {
    let detail = chain(error);
    if error.is_parse_too_large() {
        return UpstreamError::TooLarge {
            detail: format!("the head of a response, at most {HEAD_BYTES_MAX} bytes: {detail}"),
        };
    }
    if error.is_parse() {
        return UpstreamError::Garbage {
            detail: format!("not HTTP: {detail}"),
        };
    }
    UpstreamError::Closed { detail }
}

fn no_slot() -> UpstreamError {
    UpstreamError::Connect {
        detail: "the pool is closed".to_owned(),
    }
}
