//! Sockets: one acceptor, threads with a runtime each, TLS, the watch over connections that do not do their part, and the
//! drain. What is said on a connection is `http`'s matter.

use super::door::Names;
use super::http;
use super::intake::Shares;
use super::rarely::Rarely;
use super::socket::{self, Activity, Protocol, Verdict, Watched};
use super::streams::Sessions;
use super::{Metrics, Options, Phase, ServerLimits};
use crate::inbound::{Handler, Peer};
use crate::tls::{self, ServerTls};
use bytes::BytesMut;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::Future;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Sockets that may wait for a thread before the acceptor has to.
const HANDOVER_MAX: usize = 128;
/// Pause after an accept that failed for want of something (file descriptors, memory): nothing gets better by trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The shortest time between two looks at a connection.
const LOOK_MIN: Duration = Duration::from_millis(10);

/// A running HTTP server. Dropping it cuts everything off; [`HttpServer::drain`] is the polite end.
pub struct HttpServer {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    /// Closed when the last thread has ended.
    ended: mpsc::Receiver<()>,
    addresses: Vec<SocketAddr>,
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) handler: Arc<Handler>,
    pub(super) names: Names,
    pub(super) sessions: Arc<Sessions>,
    pub(super) counters: Counters,
    pub(super) shares: Shares,
    pub(super) phase: watch::Receiver<Phase>,
    /// The name of the endpoint `/mcp`.
    pub(super) whole_endpoint: Arc<str>,
}

/// Counters behind [`Metrics`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    open: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) bodies_bytes: AtomicUsize,
}

/// One connection, as its requests see it.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
    /// Held by whatever a drain waits for.
    pub(super) alive: mpsc::Sender<()>,
}

/// A thread, as the acceptor sees it.
struct Lane {
    sockets: mpsc::Sender<Accepted>,
    open: Arc<AtomicUsize>,
}

/// A socket on its way to its thread; counted from here on, whether it arrives or not.
struct Accepted {
    stream: std::net::TcpStream,
    address: SocketAddr,
    counted: Counted,
}

impl HttpServer {
    /// Serves `listeners`, which are bound already, and calls `handler` for each message.
    ///
    /// The handler's futures run on the thread of the connection; a request of 2026-07-28 whose client has gone is dropped,
    /// one of an older revision is carried on.
    ///
    /// # Errors
    /// What the operating system says when a listener cannot be used or a thread cannot be started.
    pub fn start(listeners: Vec<TcpListener>, options: Options, handler: Arc<Handler>) -> io::Result<Self> {
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<io::Result<Vec<_>>>()?;
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        let hosts = options.hosts.iter().cloned();
        let own = addresses.iter().map(ToString::to_string);
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let (phase, watched) = watch::channel(Phase::Serving);
        let shared = Arc::new(Shared {
            names: Names::new(hosts.chain(own), options.origins.iter().cloned()),
            sessions: Arc::new(Sessions::new(options.limits.clone())),
            handler,
            counters: Counters::default(),
            shares: Shares::default(),
            phase: watched,
            whole_endpoint: Arc::from(""),
            options,
        });
        let (ending, ended) = mpsc::channel(1);
        let mut lanes = Vec::with_capacity(threads);
        for index in 0..threads {
            let (sockets, incoming) = mpsc::channel(HANDOVER_MAX);
            let open = Arc::new(AtomicUsize::new(0));
            let lane = Lane { sockets, open };
            let (shared, ending) = (shared.clone(), ending.clone());
            let runtime = runtime()?;
            std::thread::Builder::new()
                .name(format!("portcullis-http-{index}"))
                .spawn(move || {
                    // Dropped last, when nothing of this thread runs any more.
                    let _ending = ending;
                    runtime.block_on(serve_lane(shared, incoming));
                    drop(runtime);
                })?;
            lanes.push(lane);
        }
        let acceptor = shared.clone();
        let runtime = runtime()?;
        std::thread::Builder::new()
            .name("portcullis-accept".to_owned())
            .spawn(move || {
                let _ending = ending;
                runtime.block_on(accept_all(acceptor, listeners, lanes));
                drop(runtime);
            })?;
        Ok(Self {
            shared,
            phase,
            ended,
            addresses,
        })
    }

    /// The address of the first listener.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }

    /// The addresses of all listeners.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the server has done and holds.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let counters = &self.shared.counters;
        Metrics {
            connections_open: counters.open.load(Ordering::Relaxed),
            connections_accepted: counters.accepted.load(Ordering::Relaxed),
            connections_refused: counters.refused.load(Ordering::Relaxed),
            requests: counters.requests.load(Ordering::Relaxed),
            sessions: self.shared.sessions.count(),
            bodies_bytes: counters.bodies_bytes.load(Ordering::Relaxed),
            replay_bytes: self.shared.sessions.kept_bytes(),
        }
    }

    /// Ends the server: takes no more connections, ends standing streams and subscriptions at once, lets what is in flight
    /// finish for at most `timeout`, then cuts the rest. Returns how many connections were cut.
    ///
    /// Subscriptions are ended without a result, as a lost connection would: a gateway that wants to end them properly does
    /// so before.
    pub async fn drain(mut self, timeout: Duration) -> usize {
        let _ = self.phase.send(Phase::Draining(Instant::now() + timeout));
        while self.ended.recv().await.is_some() {}
        self.shared.counters.open.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer")
            .field("addresses", &self.addresses)
            .field("metrics", &self.metrics())
            .finish_non_exhaustive()
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Resolves with the end of the drain's patience when the drain begins; at once when the server was dropped.
async fn draining(phase: &mut watch::Receiver<Phase>) -> Instant {
    match phase.wait_for(|phase| *phase != Phase::Serving).await.as_deref() {
        Ok(Phase::Draining(until)) => *until,
        Ok(Phase::Serving) | Err(_) => Instant::now(),
    }
}

async fn accept_all(shared: Arc<Shared>, listeners: Vec<TcpListener>, lanes: Vec<Lane>) {
    let lanes: Arc<[Lane]> = lanes.into();
    let mut accepting = tokio::task::JoinSet::new();
    for listener in listeners {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                accepting.spawn(accept(shared.clone(), listener, lanes.clone()));
            }
            Err(error) => tracing::error!(%error, "a listener cannot be used"),
        }
    }
    draining(&mut shared.phase.clone()).await;
    // Closes the listeners, and with the last lane the channels that the threads wait on.
    accepting.shutdown().await;
}

async fn accept(shared: Arc<Shared>, listener: tokio::net::TcpListener, lanes: Arc<[Lane]>) {
    let counters = &shared.counters;
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // A client that was gone before it was accepted is no trouble of ours.
                if !matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let Ok(stream) = stream.into_std() else {
            continue;
        };
        if counters.open.load(Ordering::Relaxed) >= shared.options.limits.connections_max {
            counters.refused.fetch_add(1, Ordering::Relaxed);
            turn_away(stream, shared.options.tls.is_some());
            continue;
        }
        let least = lanes.iter().min_by_key(|lane| lane.open.load(Ordering::Relaxed));
        let Some(lane) = least else {
            return;
        };
        counters.accepted.fetch_add(1, Ordering::Relaxed);
        let counted = Counted::new(&shared, &lane.open);
        let accepted = Accepted {
            stream,
            address,
            counted,
        };
        if lane.sockets.send(accepted).await.is_err() {
            return;
        }
    }
}

/// Says 503 without reading anything; the socket does not block, and what it does not take is not said.
fn turn_away(mut stream: std::net::TcpStream, tls: bool) {
    if !tls {
        let _ = stream.write(
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\nretry-after: 1\r\nconnection: close\r\n\r\ntoo many connections\n",
        );
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

/// Counts a connection as long as it lives.
struct Counted {
    shared: Arc<Shared>,
    lane: Arc<AtomicUsize>,
}

impl Counted {
    fn new(shared: &Arc<Shared>, lane: &Arc<AtomicUsize>) -> Self {
        shared.counters.open.fetch_add(1, Ordering::Relaxed);
        lane.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: shared.clone(),
            lane: lane.clone(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.lane.fetch_sub(1, Ordering::Relaxed);
        // Past the drain's patience a connection is not ended but cut, and stays counted for who asks how many were.
        let cut = matches!(*self.shared.phase.borrow(), Phase::Draining(until) if Instant::now() >= until);
        if !cut {
            self.shared.counters.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// One thread: takes sockets until the acceptor ends, then waits for what is under way.
async fn serve_lane(shared: Arc<Shared>, mut sockets: mpsc::Receiver<Accepted>) {
    let (alive, mut gone) = mpsc::channel(1);
    let mut phase = shared.phase.clone();
    let until = loop {
        let accepted = tokio::select! {
            biased;
            until = draining(&mut phase) => break until,
            accepted = sockets.recv() => match accepted {
                Some(accepted) => accepted,
                None => break draining(&mut phase).await,
            },
        };
        let Accepted {
            stream,
            address,
            counted,
        } = accepted;
        let (shared, alive) = (shared.clone(), alive.clone());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, address, shared, alive.clone()).await {
                tracing::debug!(%address, %error, "connection ended");
            }
            // In this order: the drain counts when nothing is alive any more.
            drop(counted);
            drop(alive);
        });
    };
    drop(alive);
    // What was handed over and not taken yet was never answered: its client may try elsewhere.
    drop(sockets);
    let _ = tokio::time::timeout_at(until, gone.recv()).await;
}

async fn connection(
    stream: std::net::TcpStream,
    address: SocketAddr,
    shared: Arc<Shared>,
    alive: mpsc::Sender<()>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = TcpStream::from_std(stream)?;
    let timeout = shared.options.limits.header_timeout;
    let peer = Peer {
        address: Some(address),
        certificate_sha256: None,
        os_user: None,
    };
    // What few connections need stands on the heap here and below, so that an idle one of the common kind is small.
    if let Some(tls) = shared.options.tls.clone() {
        return Box::pin(secured(stream, tls, peer, shared, alive)).await;
    }
    let (protocol, start) = tokio::time::timeout(timeout, socket::sniff(&mut stream)).await??;
    serve(stream, start, protocol, peer, shared, alive).await
}

async fn secured(
    stream: TcpStream,
    tls: Arc<ServerTls>,
    peer: Peer,
    shared: Arc<Shared>,
    alive: mpsc::Sender<()>,
) -> io::Result<()> {
    let timeout = shared.options.limits.header_timeout;
    let opening = async {
        let mut stream = tls.acceptor().accept(stream).await?;
        let (_, session) = stream.get_ref();
        let certificate_sha256 = tls::client_certificate_sha256(session);
        let (protocol, start) = match session.alpn_protocol() {
            Some(b"h2") => (Protocol::Http2, BytesMut::new()),
            Some(_) => (Protocol::Http1, BytesMut::new()),
            None => socket::sniff(&mut stream).await?,
        };
        io::Result::Ok((stream, certificate_sha256, protocol, start))
    };
    let (stream, certificate_sha256, protocol, start) = tokio::time::timeout(timeout, opening).await??;
    let peer = Peer {
        certificate_sha256,
        ..peer
    };
    serve(stream, start, protocol, peer, shared, alive).await
}

async fn serve<S>(
    stream: S,
    start: BytesMut,
    protocol: Protocol,
    peer: Peer,
    shared: Arc<Shared>,
    alive: mpsc::Sender<()>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &shared.options.limits;
    let activity = Arc::new(Activity::begin());
    let stream = Watched::new(stream, start, protocol, activity.clone());
    let link = Arc::new(Link {
        shared: shared.clone(),
        peer,
        activity: activity.clone(),
        alive,
    });
    let service = service_fn(move |request| http::answer(link.clone(), request));
    match protocol {
        Protocol::Http1 => {
            let connection = http1::Builder::new()
                // The watch below does it, with one timer a connection and not one a request.
                .header_read_timeout(None)
                .max_header_size(limits.header_bytes_max.max(8 << 10))
                .serve_connection(TokioIo::new(stream), service);
            let end = |connection: Pin<&mut _>| http1::Connection::graceful_shutdown(connection);
            attend(pin!(connection), end, &shared, &activity).await
        }
        Protocol::Http2 => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits.requests_per_connection_max)
                .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
                .serve_connection(TokioIo::new(stream), service);
            let end = |connection: Pin<&mut _>| http2::Connection::graceful_shutdown(connection);
            attend(Box::pin(connection).as_mut(), end, &shared, &activity).await
        }
    }
}

/// Drives a connection, looks at it now and then, and ends it when the server drains.
async fn attend<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>),
    shared: &Shared,
    activity: &Activity,
) -> io::Result<()> {
    let limits = &shared.options.limits;
    let mut phase = shared.phase.clone();
    let noticed = Rarely::new(async {
        tokio::select! {
            verdict = watch(limits, activity) => verdict,
            // Nothing more is to be asked on it.
            _ = draining(&mut phase) => Verdict::Idle,
        }
    });
    let verdict = tokio::select! {
        biased;
        result = connection.as_mut() => return result.map_err(io::Error::other),
        verdict = noticed => verdict,
    };
    if verdict == Verdict::Stuck {
        return Err(io::ErrorKind::TimedOut.into());
    }
    end(connection.as_mut());
    tokio::select! {
        biased;
        result = connection.as_mut() => result.map_err(io::Error::other),
        _ = Rarely::new(watch(limits, activity)) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Looks at a connection now and then, until there is something to be done about it.
async fn watch(limits: &ServerLimits, activity: &Activity) -> Verdict {
    let every = limits
        .header_timeout
        .min(limits.write_timeout)
        .min(limits.idle_timeout)
        .max(LOOK_MIN);
    loop {
        tokio::time::sleep(every).await;
        match activity.look(limits.header_timeout, limits.write_timeout, limits.idle_timeout) {
            Verdict::Keep => {}
            verdict => return verdict,
        }
    }
}
