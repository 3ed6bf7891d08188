//! What the server's tests share: a scripted handler in the gateway's place, and a client that speaks HTTP/1.1 by hand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its failure"
)]

use portcullis_ledger::Sealed;
use portcullis_transport::server::{HttpServer, Options, ServerLimits};
use portcullis_transport::sse::{Decoder, SseEvent, SseLimits};
use portcullis_transport::{
    Ask, Authorization, BoxFuture, Doorkeeper, Handled, Handler, Inbound, Knock, Outlet, Reply, TurnedAway,
};
use portcullis_wire::{Id, Method, Request, Response, Rope};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come in time"))
}

/// What the scripted handler saw and holds.
#[derive(Default)]
pub(crate) struct Script {
    /// Standing streams by session.
    pub(crate) sessions: Mutex<HashMap<String, Outlet>>,
    /// The request that waits for the answer to a question, with its outlet.
    parked: Mutex<Option<(Id, Outlet)>>,
    /// Lets `gate` calls go on.
    pub(crate) gate: Notify,
    /// Calls of `gate` and `hang` that have begun.
    pub(crate) begun: AtomicUsize,
    /// Those whose future was dropped before its end.
    pub(crate) dropped: AtomicUsize,
    /// Those that came to their end.
    pub(crate) ended: AtomicUsize,
    /// How often the doorkeeper was asked, and how often a message with a bad credential came all the same.
    pub(crate) knocks: AtomicUsize,
    pub(crate) strangers: AtomicUsize,
    /// Notifications, by method.
    pub(crate) notified: Mutex<Vec<String>>,
}

/// Proof enough for a test that a reply is on the record.
pub(crate) fn seal(message: Rope, status: u16, session: Option<&str>, last: bool) -> Handled {
    Handled::Sealed(sealed(message, status, session, last))
}

/// See [`seal`].
pub(crate) fn sealed(message: Rope, status: u16, session: Option<&str>, last: bool) -> Sealed<Reply> {
    Sealed::unrecordable(Reply {
        message,
        status,
        session: session.map(Arc::from),
        last,
    })
}

fn stranger() -> TurnedAway {
    TurnedAway {
        challenge: "Bearer realm=\"test\"".to_owned(),
        message: "who are you".to_owned(),
    }
}

fn result(id: &Id, text: &str) -> Rope {
    Response::own_result(id, text.as_bytes())
}

/// Counts a future that is dropped before its end.
struct Watch(Arc<Script>, bool);

impl Drop for Watch {
    fn drop(&mut self) {
        let count = if self.1 { &self.0.ended } else { &self.0.dropped };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

impl Script {
    pub(crate) fn handler(self: &Arc<Self>) -> Arc<Handler> {
        let script = self.clone();
        Arc::new(move |inbound| -> BoxFuture<'static, Handled> { Box::pin(script.clone().handle(inbound)) })
    }

    /// Lets in who does not say `Bearer bad`, under what it says.
    fn doorkeeper(self: &Arc<Self>) -> Arc<Doorkeeper> {
        let script = self.clone();
        Arc::new(move |knock: &Knock<'_>| {
            script.knocks.fetch_add(1, Ordering::SeqCst);
            assert!(knock.peer.address.is_some());
            let secret = knock
                .authorization
                .map(Authorization::danger_secret)
                .unwrap_or_default();
            match secret {
                b"Bearer bad" => Err(Box::pin(async { stranger() }) as BoxFuture<'static, TurnedAway>),
                name => Ok(String::from_utf8(name.to_vec()).unwrap().into()),
            }
        })
    }

    async fn handle(self: Arc<Self>, inbound: Box<Inbound>) -> Handled {
        if let Some(authorization) = &inbound.authorization
            && authorization.danger_secret() == b"Bearer bad"
        {
            self.strangers.fetch_add(1, Ordering::SeqCst);
            return Handled::Unauthenticated(stranger());
        }
        let session = inbound.session.as_deref();
        let opens = matches!(&inbound.ask, Ask::Request(request) if *request.method() == Method::Initialize);
        if inbound.revision.era() == portcullis_wire::Era::Legacy && !opens && !matches!(inbound.ask, Ask::Refused(_)) {
            match session {
                None => return Handled::SessionMissing,
                Some(id) if !self.sessions.lock().unwrap().contains_key(id) => {
                    return Handled::SessionGone;
                }
                Some(_) => {}
            }
        }
        match &inbound.ask {
            Ask::Refused(refused) => {
                let text = refused.error.to_message(refused.id.as_ref(), inbound.revision.era());
                seal(Rope::one(text), refused.error.status.unwrap_or(200), None, true)
            }
            Ask::OpenStream => Handled::Accepted,
            Ask::CloseSession => {
                self.sessions.lock().unwrap().remove(session.unwrap_or_default());
                Handled::Accepted
            }
            Ask::Notification(notification) => {
                let method = notification.method().to_string();
                self.notified.lock().unwrap().push(method);
                Handled::Accepted
            }
            Ask::Response(response) => {
                let parked = self.parked.lock().unwrap().take();
                if let Some((id, outlet)) = parked {
                    let text = format!(r#"{{"answered":{}}}"#, String::from_utf8_lossy(response.whole()));
                    outlet.danger_news(Rope::one(NEWS)).await.unwrap();
                    outlet.reply(sealed(result(&id, &text), 200, None, true)).await.unwrap();
                }
                Handled::Accepted
            }
            Ask::Request(request) => self.request(&inbound, request).await,
        }
    }

    async fn request(self: &Arc<Self>, inbound: &Inbound, request: &Request) -> Handled {
        let id = request.id();
        if *request.method() == Method::Initialize {
            let session = match &inbound.session {
                Some(constant) => constant.to_string(),
                None => format!("session-{}", self.begun.load(Ordering::SeqCst)),
            };
            let standing = inbound.standing.clone().unwrap();
            self.sessions.lock().unwrap().insert(session.clone(), standing);
            let text = format!(r#"{{"protocolVersion":"{}"}}"#, inbound.revision);
            return seal(result(id, &text), 200, Some(&session), true);
        }
        if *request.method() == Method::SubscriptionsListen {
            inbound.outlet.danger_news(Rope::one(NEWS)).await.unwrap();
            let mut watch = Watch(self.clone(), false);
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.gate.notified().await;
            watch.1 = true;
            return seal(result(id, "{}"), 200, None, true);
        }
        let params = request.params();
        let name = params
            .as_ref()
            .and_then(|params| params.get("name"))
            .and_then(|name| name.as_string().map(|name| name.into_owned()))
            .unwrap_or_default();
        match name.as_str() {
            "news" => {
                for number in 0..1_000 {
                    let text = format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progress":{number}}}}}"#
                    );
                    inbound.outlet.danger_news(Rope::one(text)).await.unwrap();
                }
                seal(result(id, "{}"), 200, None, true)
            }
            "pretty" => {
                inbound.outlet.danger_news(Rope::one(NEWS)).await.unwrap();
                let text = format!(
                    "{{\n  \"jsonrpc\": \"2.0\",\r\n  \"id\": {},\n\n  \"result\": {{}}\n}}",
                    String::from_utf8_lossy(id.as_json())
                );
                seal(Rope::one(text), 200, None, true)
            }
            "gate" | "gate-with-news" => {
                if name == "gate-with-news" {
                    inbound.outlet.danger_news(Rope::one(NEWS)).await.unwrap();
                }
                let mut watch = Watch(self.clone(), false);
                self.begun.fetch_add(1, Ordering::SeqCst);
                self.gate.notified().await;
                watch.1 = true;
                seal(result(id, r#"{"gate":"open"}"#), 200, None, true)
            }
            "question" => {
                *self.parked.lock().unwrap() = Some((id.clone(), inbound.outlet.clone()));
                seal(Rope::one(QUESTION), 200, None, false)
            }
            "plain" => Handled::SessionGone,
            "large" => seal(result(id, &format!("\"{}\"", "x".repeat(300_000))), 200, None, true),
            _ => {
                let certificate = inbound.peer.certificate_sha256.map_or_else(
                    || "none".to_owned(),
                    |digest| digest.iter().map(|byte| format!("{byte:02x}")).collect(),
                );
                let parameters = inbound
                    .parameters
                    .iter()
                    .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
                    .collect::<Vec<_>>()
                    .join(",");
                let text = format!(
                    r#"{{"seen":"{method} {revision} endpoint={endpoint} session={session} secret={secret} certificate={certificate} {parameters}"}}"#,
                    method = request.method(),
                    revision = inbound.revision,
                    endpoint = inbound.endpoint,
                    session = inbound.session.as_deref().unwrap_or("none"),
                    secret = inbound.authorization.is_some(),
                );
                seal(result(id, &text), 200, None, true)
            }
        }
    }
}

/// A notification.
pub(crate) const NEWS: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"hello"}}"#;
/// A question of a legacy server.
pub(crate) const QUESTION: &str = r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{}}"#;

/// A server on a free port of this machine.
pub(crate) fn serve(options: Options) -> (HttpServer, SocketAddr, Arc<Script>) {
    let script = Arc::new(Script::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options {
        threads: 2,
        doorkeeper: Some(script.doorkeeper()),
        ..options
    };
    let server = HttpServer::start(vec![listener], options, script.handler()).unwrap();
    let address = server.address().unwrap();
    (server, address, script)
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// `_meta` of a modern request.
pub(crate) const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// The headers that every POST has.
pub(crate) const POST_HEADERS: &str =
    "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

/// A modern `tools/call`.
pub(crate) fn call(name: &str) -> String {
    post(
        "/mcp",
        &format!("{POST_HEADERS}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {name}\r\n"),
        &format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}","arguments":{{}},{META}}}}}"#
        ),
    )
}

/// A legacy `tools/call` in `session`.
pub(crate) fn legacy_call(name: &str, session: &str, version: &str) -> String {
    post(
        "/mcp",
        &format!("{POST_HEADERS}MCP-Protocol-Version: {version}\r\nMcp-Session-Id: {session}\r\n"),
        &format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}"}}}}"#),
    )
}

/// A POST.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A POST with the headers that every one has, and more.
pub(crate) fn modern_post(headers: &str, body: &str) -> String {
    post("/mcp", &format!("{POST_HEADERS}{headers}"), body)
}

/// Options with other limits.
pub(crate) fn limits(change: impl FnOnce(&mut ServerLimits)) -> Options {
    let mut limits = ServerLimits::default();
    change(&mut limits);
    Options {
        limits,
        ..Options::default()
    }
}

/// A request without a body.
pub(crate) fn bare(verb: &str, path: &str, headers: &str) -> String {
    format!("{verb} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// An HTTP/1.1 connection by hand.
pub(crate) struct Client<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    chunked: bool,
    /// Of a body with a length: what is still to come.
    left: usize,
    events: Decoder,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn once(address: SocketAddr, request: &str) -> Answer {
        let mut client = Self::connect(address).await;
        client.ask(request).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            chunked: false,
            left: 0,
            events: Decoder::new(SseLimits::default()),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// A request and its whole response.
    pub(crate) async fn ask(&mut self, request: &str) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        within("a response", async {
            let mut answer = self.head().await;
            let mut body = Vec::new();
            while let Some(piece) = self.piece().await {
                body.extend_from_slice(&piece);
            }
            answer.body = String::from_utf8(body).unwrap();
            answer
        })
        .await
    }

    /// Status line and headers only.
    pub(crate) async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            assert!(
                self.fill().await,
                "the connection ended before a response: {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        };
        let text = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HashMap<String, String> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        self.chunked = headers
            .get("transfer-encoding")
            .is_some_and(|coding| coding == "chunked");
        self.left = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        self.events = Decoder::new(SseLimits::default());
        Answer {
            status,
            headers,
            body: String::new(),
        }
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Option<Vec<u8>> {
        if !self.chunked {
            if self.left == 0 {
                return None;
            }
            if self.buffer.is_empty() {
                assert!(self.fill().await, "the connection ended inside a body");
            }
            let piece: Vec<u8> = self.buffer.drain(..self.left.min(self.buffer.len())).collect();
            self.left -= piece.len();
            return Some(piece);
        }
        let line_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break at;
            }
            assert!(self.fill().await, "the connection ended between chunks");
        };
        let size = std::str::from_utf8(&self.buffer[..line_end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        while self.buffer.len() < line_end + 2 + size + 2 {
            assert!(self.fill().await, "the connection ended inside a chunk");
        }
        let piece = self.buffer[line_end + 2..line_end + 2 + size].to_vec();
        self.buffer.drain(..line_end + 2 + size + 2);
        self.chunked = size > 0;
        (size > 0).then_some(piece)
    }

    /// The next event of a stream; `None` at its end.
    pub(crate) async fn event(&mut self) -> Option<SseEvent> {
        within("an event", async {
            loop {
                if let Some(event) = self.events.next() {
                    return Some(event.unwrap());
                }
                let piece = self.piece().await?;
                self.events.push(&piece);
            }
        })
        .await
    }

    /// Data of the events up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(event) = self.event().await {
            found.push(String::from_utf8(event.data.to_vec()).unwrap());
        }
        found
    }

    /// Whether the server has closed the connection, which must come.
    pub(crate) async fn closed(&mut self) -> bool {
        within("the end of the connection", async {
            while self.fill().await {}
            true
        })
        .await
    }

    async fn fill(&mut self) -> bool {
        self.stream
            .read_buf(&mut self.buffer)
            .await
            .is_ok_and(|count| count > 0)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Begins a legacy session and gives its id.
pub(crate) async fn initialize(address: SocketAddr, version: &str) -> String {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}}}}}}"#
    );
    let answer = Client::once(address, &post("/mcp", POST_HEADERS, &body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("mcp-session-id").to_owned()
}
