//! What the client's tests share: a scripted HTTP server that remembers what it was asked, and short spellings.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic in a test is its failure")]

use bytes::Bytes;
use http::{HeaderMap, Method as Verb, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_transport::client::{HttpOptions, HttpTarget, Target};
use portcullis_transport::{BoxFuture, Connected, Eras, Event, Exchange, Hello, Outgoing, UpstreamError};
use portcullis_wire::{Method, Raw, Revision, Rope};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) verb: Verb,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Raw {
        Raw::own(self.body.clone()).unwrap()
    }

    /// The method of the message, or the verb.
    pub(crate) fn what(&self) -> String {
        match self.body.is_empty() {
            true => self.verb.to_string(),
            false => self
                .json()
                .get("method")
                .map_or("answer".into(), |method| method.as_string().unwrap().into_owned()),
        }
    }

    /// The JSON text of the id.
    pub(crate) fn id(&self) -> String {
        self.json().get("id").unwrap().as_str().to_owned()
    }
}

/// A body that a test feeds.
pub(crate) struct Fed(mpsc::Receiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

pub(crate) type Reply = Response<Fed>;
type Script = dyn Fn(Seen) -> BoxFuture<'static, Reply> + Send + Sync;

/// A response with all of its body.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let (sender, receiver) = mpsc::channel(1);
    let body = body.into();
    if !body.is_empty() {
        sender.try_send(body).unwrap();
    }
    with_body(status, headers, receiver)
}

fn with_body(status: u16, headers: &[(&str, &str)], receiver: mpsc::Receiver<Bytes>) -> Reply {
    let mut response = Response::new(Fed(receiver));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    response
}

pub(crate) fn json(body: impl Into<Bytes>) -> Reply {
    reply(200, &[("content-type", "application/json; charset=utf-8")], body)
}

pub(crate) fn events(body: impl Into<Bytes>) -> Reply {
    reply(200, &[("content-type", "text/event-stream")], body)
}

/// An event stream that the test feeds.
pub(crate) fn fed_events() -> (mpsc::Sender<Bytes>, Reply) {
    let (sender, receiver) = mpsc::channel(16);
    (
        sender,
        with_body(200, &[("content-type", "text/event-stream")], receiver),
    )
}

/// The answer to `seen` with this result.
pub(crate) fn result(seen: &Seen, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, seen.id())
}

pub(crate) fn rpc_error(seen: &Seen, code: i32, data: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{code},"message":"no","data":{data}}}}}"#,
        seen.id()
    )
}

pub(crate) const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public"}"#;

/// What a modern server answers to `server/discover`; `None` for anything else.
pub(crate) fn modern_greeting(seen: &Seen) -> Option<Reply> {
    (seen.what() == "server/discover").then(|| json(result(seen, DISCOVERED)))
}

/// What a legacy server answers in the handshake, with session `s1`; `None` for anything else. GET is refused.
pub(crate) fn legacy_greeting(seen: &Seen, version: &str) -> Option<Reply> {
    match seen.what().as_str() {
        "server/discover" => Some(reply(400, &[("content-type", "text/plain")], "Bad Request: no session")),
        "initialize" => Some(reply(
            200,
            &[("content-type", "application/json"), ("mcp-session-id", "s1")],
            result(
                seen,
                &format!(
                    r#"{{"protocolVersion":"{version}","capabilities":{{}},"serverInfo":{{"name":"s","version":"1"}}}}"#
                ),
            ),
        )),
        "notifications/initialized" => Some(reply(202, &[], "")),
        "GET" if seen.header("last-event-id").is_none() => Some(reply(405, &[], "")),
        _ => None,
    }
}

/// A server and what it was asked.
pub(crate) struct Scripted {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    /// Connections that are open.
    pub(crate) open: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) async fn new(script: impl Fn(Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::slow(move |seen| {
            let reply = script(seen);
            Box::pin(async { reply })
        })
        .await
    }

    pub(crate) async fn slow(script: impl Fn(Seen) -> BoxFuture<'static, Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let script: Arc<Script> = Arc::new(script);
        let scripted = Self {
            url,
            seen: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
        };
        let (seen, connections, open) = (
            scripted.seen.clone(),
            scripted.connections.clone(),
            scripted.open.clone(),
        );
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (script, seen, open) = (script.clone(), seen.clone(), open.clone());
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    let service = service_fn(move |request| serve(request, script.clone(), seen.clone()));
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        scripted
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen().iter().map(Seen::what).collect()
    }

    pub(crate) fn options(&self) -> HttpOptions {
        HttpOptions::new("scripted", &self.url)
    }

    pub(crate) async fn connect(&self, eras: Eras) -> Connected {
        connect(&http_target(self.options()), eras).await.unwrap()
    }
}

async fn serve(
    request: Request<Incoming>,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Reply, Infallible> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let this = Seen {
        verb: head.method,
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        at,
    };
    seen.lock().unwrap().push(this.clone());
    Ok(script(this).await)
}

/// A server that answers the first bytes of each connection with the next of `answers` as they are, then closes it; and counts.
pub(crate) async fn raw(answers: Vec<Vec<u8>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            read_request(&mut stream).await;
            // The client may have given up already.
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, count)
}

/// Reads one request with a `Content-Length`, by hand.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0, "the client closed early");
        let shown = String::from_utf8_lossy(&text).to_lowercase();
        let Some((head, body)) = shown.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .map_or(0, |n| n.parse().unwrap());
        if body.len() >= length {
            return String::from_utf8(text).unwrap();
        }
    }
}

pub(crate) fn http_target(options: HttpOptions) -> Target {
    Target::Http(HttpTarget::new(options).unwrap())
}

pub(crate) fn hello(eras: Eras) -> Hello {
    Hello {
        eras,
        capabilities: Raw::own(r#"{"roots":{}}"#).unwrap(),
        client_info: Raw::own(r#"{"name":"test","version":"1"}"#).unwrap(),
        legacy_revision: Revision::NEWEST_LEGACY,
    }
}

pub(crate) async fn connect(target: &Target, eras: Eras) -> Result<Connected, UpstreamError> {
    within("the connection", target.connect(&hello(eras))).await
}

/// Waits for what must come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come in time"))
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    within(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) fn outgoing(id: u64, method: Method, params: &str) -> Outgoing {
    Outgoing {
        id,
        name: None,
        parameters: Vec::new(),
        message: Rope::one(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{}","params":{params}}}"#,
            method.as_str()
        )),
        method,
    }
}

pub(crate) fn call(id: u64) -> Outgoing {
    Outgoing {
        name: Some("add".into()),
        ..outgoing(id, Method::ToolsCall, r#"{"name":"add","arguments":{"a":1}}"#)
    }
}

/// Asks and reads the answer, with what came before it, each in short.
pub(crate) async fn ask(connected: &Connected, outgoing: Outgoing) -> Result<Vec<String>, UpstreamError> {
    let mut exchange = within("the response", connected.link.request(outgoing)).await?;
    rest(&mut exchange).await
}

pub(crate) async fn rest(exchange: &mut Exchange) -> Result<Vec<String>, UpstreamError> {
    let mut came = Vec::new();
    loop {
        let event = within("an event", exchange.next()).await?;
        came.push(short(&event));
        if matches!(event, Event::Answer(_)) {
            return Ok(came);
        }
    }
}

pub(crate) fn short(event: &Event) -> String {
    match event {
        Event::News(news) => news.method().as_str().to_owned(),
        Event::Question(question) => format!("{}?", question.method().as_str()),
        Event::Answer(answer) => match answer.outcome() {
            portcullis_wire::Outcome::Result(result) => result.as_str().to_owned(),
            portcullis_wire::Outcome::Error(error) => format!("error {}", error.get("code").unwrap().as_str()),
        },
    }
}
