//! The server behind every proxy of a run, over HTTP or stdio: both eras, JSON answers of a fixed size, as cheap as hyper
//! allows. It counts calls, so that a proxy that sends two for one is seen.

use crate::{Result, number, option};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use portcullis_wire::{Id, Limits, Message, Method, Raw, json};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, Infallible>;

struct Stub {
    tools: Bytes,
    small: Bytes,
    large: Bytes,
    calls: AtomicU64,
}

impl Stub {
    fn new(tools: usize) -> Self {
        Self {
            tools: tools_of(tools).into(),
            small: [b"{", &*members_of(SMALL), b"}"].concat().into(),
            large: [b"{", &*members_of(LARGE), b"}"].concat().into(),
            calls: AtomicU64::new(0),
        }
    }
}

/// `stdio-stub [--tools N] [--calls FILE]`: serves over stdio until the input ends. Each call adds a byte to the file, which
/// all processes of one run share, since a proxy may start several.
pub(crate) fn stdio_command(arguments: &[String]) -> Result<()> {
    let stub = Stub::new(number(arguments, "--tools", 50)?);
    let mut calls = match option(arguments, "--calls") {
        Some(file) => Some(OpenOptions::new().create(true).append(true).open(file)?),
        None => None,
    };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().split(b'\n') {
        let message = Message::parse(line?.into(), &Limits::default()).map_err(|refused| refused.error.message)?;
        let Message::Request(request) = message else {
            continue;
        };
        if let Some(calls) = calls.as_mut().filter(|_| *request.method() == Method::ToolsCall) {
            calls.write_all(b".")?;
        }
        // A subscription that nothing ever happens to.
        let mut text = match request.method() {
            Method::SubscriptionsListen => acknowledged(request.id()),
            _ => stub.reply(&request),
        };
        text.push(b'\n');
        out.write_all(&text)?;
        out.flush()?;
    }
    Ok(())
}

/// `stub --port N [--tools N]`: serves over HTTP until it is killed.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let port = number(arguments, "--port", 0)?;
    let tools = number(arguments, "--tools", 50)?;
    let stub = Arc::new(Stub::new(tools));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", u16::try_from(port)?)).await?;
        println!("http://{}/mcp", listener.local_addr()?);
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let stub = Arc::clone(&stub);
            tokio::spawn(async move {
                let service = hyper::service::service_fn(|request| answer(Arc::clone(&stub), request));
                // A client that goes away is no matter here.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service)
                    .await;
            });
        }
    })
}

async fn answer(stub: Arc<Stub>, request: Request<Incoming>) -> Result<Response<Body>> {
    if request.uri().path() == "/count" {
        return Ok(json_body(stub.calls.load(Ordering::Relaxed).to_string().into()));
    }
    if request.method() != hyper::Method::POST {
        // No stream and no session: a legacy client asks for the one and ends the other.
        let mut refused = Response::new(Full::new(Bytes::new()).boxed());
        *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return Ok(refused);
    }
    let body = Limited::new(request.into_body(), 1 << 20).collect().await?.to_bytes();
    let message = Message::parse(body, &Limits::default()).map_err(|refused| refused.error.message)?;
    let Message::Request(request) = message else {
        let mut accepted = Response::new(Full::new(Bytes::new()).boxed());
        *accepted.status_mut() = StatusCode::ACCEPTED;
        return Ok(accepted);
    };
    Ok(match request.method() {
        Method::SubscriptionsListen => listen(request.id()),
        _ => json_body(stub.reply(&request).into()),
    })
}

impl Stub {
    /// The answer to a request, whole.
    fn reply(&self, request: &portcullis_wire::Request) -> Vec<u8> {
        let modern = portcullis_wire::meta::ModernMeta::is_present(request.params());
        let result: Bytes = match request.method() {
        Method::Initialize => {
            let version = request.params().and_then(|params| params.get("protocolVersion"));
            let version = version.as_ref().map_or(r#""2025-11-25""#, Raw::as_str);
            format!(r#"{{"protocolVersion":{version},"capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"stub","version":"1"}}}}"#).into()
        }
        Method::ServerDiscover => Bytes::from_static(
            br#"{"supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{"tools":{}},"resultType":"complete","ttlMs":3600000,"cacheScope":"public"}"#,
        ),
        Method::ToolsList => {
            let mut text = br#"{"tools":"#.to_vec();
            text.extend_from_slice(&self.tools);
            if modern {
                text.extend_from_slice(br#","resultType":"complete","ttlMs":3600000,"cacheScope":"public""#);
            }
            text.push(b'}');
            text.into()
        }
        Method::ToolsCall => {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let name = request.params().and_then(|params| params.get("name"));
            let is_large = name.as_ref().and_then(Raw::as_string).is_some_and(|name| name == LARGE);
            let text = if is_large { &self.large } else { &self.small };
            complete(text, modern)
        }
        _ => Bytes::from_static(b"{}"),
    };
        let mut text = br#"{"jsonrpc":"2.0","id":"#.to_vec();
        text.extend_from_slice(request.id().as_json());
        text.extend_from_slice(br#","result":"#);
        text.extend_from_slice(&result);
        text.push(b'}');
        text
    }
}

fn complete(text: &Bytes, modern: bool) -> Bytes {
    if !modern {
        return text.clone();
    }
    let mut whole = br#"{"resultType":"complete","#.to_vec();
    whole.extend_from_slice(text.get(1..).unwrap_or_default());
    whole.into()
}

fn json_body(text: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(text).boxed());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The acknowledgement of a subscription.
fn acknowledged(id: &Id) -> Vec<u8> {
    let mut text = br#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/subscriptionId":"#.to_vec();
    text.extend_from_slice(id.as_json());
    text.extend_from_slice(b"}}}");
    text
}

/// Acknowledges a subscription and holds it open.
fn listen(id: &Id) -> Response<Body> {
    let text = [&b"data: "[..], &acknowledged(id), b"\n\n"].concat();
    let mut response = Response::new(BodyExt::boxed(Held(Some(text.into()))));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// One piece, and then an open end.
struct Held(Option<Bytes>);

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            // Never woken: hyper drops the body when the client goes.
            None => Poll::Pending,
        }
    }
}

fn tools_of(count: usize) -> String {
    let mut text = String::from("[");
    for at in 0..count.max(2) {
        let name = match at {
            0 => SMALL.to_owned(),
            1 => LARGE.to_owned(),
            other => format!("tool_{other:04}"),
        };
        if at > 0 {
            text.push(',');
        }
        // About 300 bytes each.
        let _ = write!(
            text,
            r#"{{"name":"{name}","description":"Reads the record that the key names and returns it as it stands.","inputSchema":{{"type":"object","properties":{{"key":{{"type":"string"}},"limit":{{"type":"integer"}},"fields":{{"type":"array","items":{{"type":"string"}}}}}},"required":["key"]}},"annotations":{{"readOnlyHint":true}}}}"#
        );
    }
    text.push(']');
    text
}

/// The tools that are measured; every other has the small result too.
pub(crate) const MEASURED: [&str; 2] = [SMALL, LARGE];

/// How large their results are.
pub(crate) const SIZES: [&str; 2] = ["1 KiB", "64 KiB"];

const SMALL: &str = "read_1k";
const LARGE: &str = "read_64k";

/// What stands inside the braces of the result of `tool`, at least 1 KiB or 64 KiB: half escaped text with characters beyond
/// ASCII, half structured rows.
pub(crate) fn members_of(tool: &str) -> Vec<u8> {
    let bytes = if tool == LARGE { 64 << 10 } else { 1 << 10 };
    let mut words = String::new();
    while words.len() < bytes / 2 - 40 {
        words.push_str("Größe: 12 \"units\"\n");
    }
    let mut rows = String::from("[");
    let mut at = 0;
    while rows.len() < bytes / 2 - 60 {
        if at > 0 {
            rows.push(',');
        }
        let _ = write!(rows, r#"{{"id":{at},"balance":{}.5,"open":true}}"#, at * 7);
        at += 1;
    }
    rows.push(']');
    let mut text = br#""content":[{"type":"text","text":"#.to_vec();
    json::write_string(&mut text, &words);
    text.extend_from_slice(br#"}],"structuredContent":{"rows":"#);
    text.extend_from_slice(rows.as_bytes());
    text.push(b'}');
    text
}
