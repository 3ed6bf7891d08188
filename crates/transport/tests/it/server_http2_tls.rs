//! The HTTP server over HTTP/2 and TLS, with certificates made on the spot.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its failure")]

use crate::server_script::{Client, META, NEWS, call, initialize, serve, until, within};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_transport::server::{Options, ServerLimits};
use portcullis_transport::sse::{Decoder, SseLimits};
use portcullis_transport::tls::{ServerTls, ServerTlsFiles, TlsError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Sender = http2::SendRequest<Full<Bytes>>;

async fn http2<S>(stream: S) -> Sender
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn modern(name: &str, authority: &str) -> hyper::Request<Full<Bytes>> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}",{META}}}}}"#);
    hyper::Request::post(format!("http://{authority}/mcp"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", name)
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

async fn text(response: hyper::Response<Incoming>) -> String {
    let body = within("a body", response.into_body().collect()).await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http2_with_prior_knowledge() {
    let (server, address, script) = serve(Options {
        limits: ServerLimits {
            idle_timeout: Duration::from_millis(300),
            header_timeout: Duration::from_millis(50),
            ..ServerLimits::default()
        },
        ..Options::default()
    });
    let mut sender = http2(TcpStream::connect(address).await.unwrap()).await;
    let response = sender.send_request(modern("echo", "localhost")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(text(response).await.contains("2026-07-28"));
    let response = sender.send_request(modern("echo", "evil.example.com")).await.unwrap();
    assert_eq!(response.status(), 403, "`:authority` is checked as `Host` is");

    // Many on one connection, each stream in order.
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                let response = sender.send_request(modern("news", "localhost")).await.unwrap();
                assert_eq!(response.headers()["content-type"], "text/event-stream");
                let mut events = Decoder::new(SseLimits::default());
                events.push(text(response).await.as_bytes());
                for number in 0..1_000 {
                    let event = events.next().unwrap().unwrap();
                    let text = String::from_utf8(event.data.to_vec()).unwrap();
                    assert!(text.contains(&format!("\"progress\":{number}}}")), "{number}: {text}");
                }
                assert!(
                    events
                        .next()
                        .unwrap()
                        .unwrap()
                        .data
                        .starts_with(b"{\"jsonrpc\":\"2.0\",\"id\":7")
                );
            })
        })
        .collect();
    for call in calls {
        within("a call", call).await.unwrap();
    }

    // A reset stream is a cancellation, and of that stream alone.
    let mut other = sender.clone();
    let first = tokio::spawn(async move { other.send_request(modern("gate", "localhost")).await });
    until("the call", || script.begun.load(Ordering::SeqCst) == 1).await;
    first.abort();
    until("the cancellation", || script.dropped.load(Ordering::SeqCst) == 1).await;
    let response = sender.send_request(modern("echo", "localhost")).await.unwrap();
    assert_eq!(response.status(), 200);

    // Longer than the time-outs, and not cut: it is busy.
    let mut other = sender.clone();
    let busy = tokio::spawn(async move { other.send_request(modern("gate", "localhost")).await });
    until("the call", || script.begun.load(Ordering::SeqCst) == 2).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    script.gate.notify_one();
    assert_eq!(within("the answer", busy).await.unwrap().unwrap().status(), 200);
    // Quiet, and ended.
    until("the idle connection to end", || server.metrics().connections_open == 0).await;
}

#[tokio::test]
async fn http2_is_drained() {
    let (server, address, script) = serve(Options::default());
    let mut sender = http2(TcpStream::connect(address).await.unwrap()).await;
    let response = sender.send_request(modern("gate-with-news", "localhost"));
    let response = within("the head", response).await.unwrap();
    until("the call", || script.begun.load(Ordering::SeqCst) == 1).await;
    let draining = tokio::spawn(server.drain(Duration::from_secs(10)));
    until("the listener to close", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    script.gate.notify_one();
    let text = text(response).await;
    assert!(text.contains(NEWS) && text.contains("open"));
    assert_eq!(within("the drain", draining).await.unwrap(), 0);
}

struct Party {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn party(name: &str, issuer: &CertifiedIssuer<'_, KeyPair>) -> Party {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    Party {
        certificate: params.signed_by(&key, issuer).unwrap().der().clone(),
        key,
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn write(directory: &Path, server: &Party, authority: Option<&CertificateDer<'_>>) -> ServerTlsFiles {
    let files = ServerTlsFiles {
        certificate: directory.join("certificate.pem"),
        key: directory.join("key.pem"),
        client_authorities: authority.map(|_| directory.join("authorities.pem")),
        client_certificate_required: false,
    };
    std::fs::write(&files.certificate, pem("CERTIFICATE", &server.certificate)).unwrap();
    std::fs::write(&files.key, server.key.serialize_pem()).unwrap();
    if let (Some(path), Some(authority)) = (&files.client_authorities, authority) {
        std::fs::write(path, pem("CERTIFICATE", authority)).unwrap();
    }
    files
}

async fn connect(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
    client: Option<&Party>,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => builder
            .with_client_auth_cert(
                vec![client.certificate.clone()],
                PrivateKeyDer::try_from(client.key.serialize_der()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn tls_with_and_without_a_client_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs, strangers) = (authority(), authority(), authority());
    let root = ours.der().clone();
    let files = write(directory.path(), &party("localhost", &ours), Some(theirs.der()));
    let tls = Arc::new(ServerTls::load(files.clone()).unwrap());
    let (_server, address, _) = serve(Options {
        tls: Some(tls.clone()),
        ..Options::default()
    });

    let mut client = Client::over(connect(address, &root, None, &[b"http/1.1"]).await.unwrap());
    assert!(client.ask(&call("echo")).await.body.contains("certificate=none"));
    let mut client = Client::over(connect(address, &root, None, &[]).await.unwrap());
    assert_eq!(
        client.ask(&call("echo")).await.status,
        200,
        "without ALPN the first bytes tell"
    );

    let alice = party("alice", &theirs);
    let digest: String = portcullis_ledger::digest(&alice.certificate)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut client = Client::over(connect(address, &root, Some(&alice), &[b"http/1.1"]).await.unwrap());
    let answer = client.ask(&call("echo")).await;
    assert!(answer.body.contains(&format!("certificate={digest}")), "{answer:?}");
    let stream = connect(address, &root, Some(&alice), &[b"h2", b"http/1.1"])
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let mut sender = http2(stream).await;
    let response = sender.send_request(modern("echo", "localhost")).await.unwrap();
    assert!(text(response).await.contains(&format!("certificate={digest}")));

    // One that a stranger issued is refused; in TLS 1.3 the client learns it with its first read.
    let mallory = party("alice", &strangers);
    let refused = match connect(address, &root, Some(&mallory), &[b"http/1.1"]).await {
        Err(_) => true,
        Ok(stream) => Client::over(stream).closed().await,
    };
    assert!(refused);

    // New certificates are used after a reload, and a bad reload changes nothing.
    let fresh = authority();
    write(directory.path(), &party("localhost", &fresh), Some(theirs.der()));
    assert!(connect(address, fresh.der(), None, &[]).await.is_err());
    tls.reload().unwrap();
    assert!(connect(address, fresh.der(), None, &[]).await.is_ok());
    assert!(connect(address, &root, None, &[]).await.is_err());
    std::fs::write(&files.key, "no key").unwrap();
    assert!(matches!(
        tls.reload(),
        Err(TlsError::File {
            what: "a private key",
            ..
        })
    ));
    assert!(connect(address, fresh.der(), None, &[]).await.is_ok());
}

#[tokio::test]
async fn a_required_client_certificate_is_required() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = (authority(), authority());
    let mut files = write(directory.path(), &party("localhost", &ours), Some(theirs.der()));
    files.client_certificate_required = true;
    let tls = Some(Arc::new(ServerTls::load(files).unwrap()));
    let (_server, address, _) = serve(Options {
        tls,
        ..Options::default()
    });
    let refused = match connect(address, ours.der(), None, &[b"http/1.1"]).await {
        Err(_) => true,
        Ok(stream) => Client::over(stream).closed().await,
    };
    assert!(refused);
    let alice = party("alice", &theirs);
    let mut client = Client::over(connect(address, ours.der(), Some(&alice), &[]).await.unwrap());
    assert_eq!(client.ask(&call("echo")).await.status, 200);
}

#[test]
fn bad_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let ours = authority();
    let files = write(directory.path(), &party("localhost", &ours), None);
    assert!(ServerTls::load(files.clone()).is_ok());
    let required = ServerTlsFiles {
        client_certificate_required: true,
        ..files.clone()
    };
    assert!(matches!(ServerTls::load(required), Err(TlsError::NoAuthorities)));
    let other = party("localhost", &ours);
    std::fs::write(&files.key, other.key.serialize_pem()).unwrap();
    assert!(matches!(ServerTls::load(files.clone()), Err(TlsError::Pair { .. })));
    std::fs::write(&files.certificate, "").unwrap();
    let error = ServerTls::load(files.clone()).unwrap_err().to_string();
    assert!(error.contains("certificate.pem"), "{error}");
    std::fs::remove_file(&files.certificate).unwrap();
    assert!(matches!(ServerTls::load(files), Err(TlsError::File { .. })));
}

#[tokio::test]
async fn a_silent_handshake_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let ours = authority();
    let files = write(directory.path(), &party("localhost", &ours), None);
    let (_server, address, _) = serve(Options {
        tls: Some(Arc::new(ServerTls::load(files).unwrap())),
        limits: ServerLimits {
            header_timeout: Duration::from_millis(30),
            ..ServerLimits::default()
        },
        ..Options::default()
    });
    let mut client = Client::connect(address).await;
    assert!(client.closed().await);
    // Plain HTTP on a TLS port ends too.
    let mut client = Client::connect(address).await;
    client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(client.closed().await);
}

#[tokio::test]
async fn sessions_are_begun_over_http2_too() {
    let (server, address, _) = serve(Options::default());
    let session = initialize(address, "2025-11-25").await;
    let mut sender = http2(TcpStream::connect(address).await.unwrap()).await;
    let get = hyper::Request::get("http://localhost/mcp")
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &session)
        .body(Full::new(Bytes::new()))
        .unwrap();
    let response = sender.send_request(get).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(server.metrics().sessions, 1);
    drop(response);
}
