//! Carrying the server: Streamable HTTP on loopback, or stdio.
//!
//! `TCP_NODELAY` is always on: without it an event stream waits for a delayed acknowledgement, and a test would read
//! the fixture's stall as the gateway's latency. This file must not know any tool but one: the reply to
//! `test_reconnection` is cut here, because only the transport can cut it.

use std::{io, net::SocketAddr, sync::Arc};

use futures_util::{Stream, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rmcp::{
    ServiceExt,
    model::{ClientJsonRpcMessage, ClientRequest, ServerJsonRpcMessage},
    transport::{
        stdio,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService,
            session::{
                RestoreOutcome, ServerSseMessage, SessionId, SessionManager,
                local::{LocalSessionManager, LocalSessionManagerError},
            },
        },
    },
};
use tokio::net::TcpListener;

use super::Everything;

/// How replies are carried over HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Reply {
    /// One JSON document where nothing comes before the result; a legacy session always has streams.
    Json,
    /// An event stream, always.
    Sse,
}

/// How to serve over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct HttpOptions {
    /// How replies are carried.
    pub reply: Reply,
    /// Whether legacy callers get sessions. Without them each legacy request stands alone, which a benchmark may want.
    pub sessions: bool,
}

/// Why serving ended.
#[derive(Debug)]
pub enum ServeError {
    /// The listener is not on a loopback address.
    NotLoopback(SocketAddr),
    /// The operating system refused.
    Io(io::Error),
    /// The conversation over stdio could not begin or broke off.
    Stdio(String),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServeError::NotLoopback(address) => write!(formatter, "`{address}` is not a loopback address"),
            ServeError::Io(error) => error.fmt(formatter),
            ServeError::Stdio(error) => write!(formatter, "stdio: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        ServeError::Io(error)
    }
}

/// Serves `/mcp` on `listener` until the task is dropped.
///
/// # Errors
/// The listener is not on loopback, or it fails.
pub async fn serve_http(server: Everything, listener: TcpListener, options: HttpOptions) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let config = StreamableHttpServerConfig::default()
        .with_json_response(options.reply == Reply::Json)
        .with_legacy_session_mode(options.sessions)
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]);
    let service = Arc::new(StreamableHttpService::new(
        move || Ok(server.session()),
        Arc::new(Sessions::default()),
        config,
    ));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let handler = hyper::service::service_fn(move |request: Request<Incoming>| {
                let service = Arc::clone(&service);
                async move {
                    Ok::<_, std::convert::Infallible>(match request.uri().path() {
                        "/mcp" => service.handle(request).await,
                        _ => not_found(),
                    })
                }
            });
            // A client that goes away is no event here.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), handler)
                .await;
        });
    }
}

/// Serves over standard input and output until the input ends.
///
/// # Errors
/// The peer's first message is no opener, or the pipe breaks.
pub async fn serve_stdio(server: Everything) -> Result<(), ServeError> {
    let running = server
        .serve(stdio())
        .await
        .map_err(|error| ServeError::Stdio(error.to_string()))?;
    running
        .waiting()
        .await
        .map(drop)
        .map_err(|error| ServeError::Stdio(error.to_string()))
}

fn not_found() -> Response<BoxBody<Bytes, std::convert::Infallible>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"not found")).boxed());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The SDK's sessions, except that the stream of a call to `test_reconnection` ends after its first event. The result
/// stays in the session until the client comes back for it with `Last-Event-ID`.
#[derive(Default)]
struct Sessions(LocalSessionManager);

fn is_reconnection_test(message: &ClientJsonRpcMessage) -> bool {
    let ClientJsonRpcMessage::Request(request) = message else {
        return false;
    };
    let ClientRequest::CallToolRequest(call) = &request.request else {
        return false;
    };
    call.params.name == "test_reconnection"
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.0.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.0.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.0.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.0.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let events_max = if is_reconnection_test(&message) { 1 } else { usize::MAX };
        Ok(self.0.create_stream(id, message).await?.take(events_max))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.0.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.0.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.0.resume(id, last_event_id).await
    }

    async fn restore_session(&self, id: SessionId) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        self.0.restore_session(id).await
    }
}
