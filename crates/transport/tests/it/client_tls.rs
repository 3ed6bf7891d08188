//! The client's TLS and HTTP/2: who is believed, what is shown, and that calls share one connection.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its failure")]

use crate::client_script::*;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_transport::client::{ClientCertificate, HttpOptions, HttpTarget, TargetError, TlsOptions};
use portcullis_transport::{Eras, UpstreamError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

struct Party {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn party(name: &str, issuer: &CertifiedIssuer<'_, KeyPair>) -> Party {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    Party {
        certificate: params.signed_by(&key, issuer).unwrap().der().clone(),
        key,
    }
}

fn pem(folder: &Path, name: &str, label: &str, der: &[u8]) -> PathBuf {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let path = folder.join(name);
    std::fs::write(
        &path,
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"),
    )
    .unwrap();
    path
}

/// An MCP server over TLS on `localhost`: its address, its connections, and its requests over HTTP/2.
async fn server(
    own: &Party,
    clients: Option<&CertificateDer<'static>>,
    alpn: &[&[u8]],
) -> (String, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(root) => {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone()).unwrap();
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .unwrap(),
            )
        }
    };
    let key = PrivateKeyDer::try_from(own.key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![own.certificate.clone()], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/mcp", listener.local_addr().unwrap().port());
    let (connections, over_http2) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (connections.clone(), over_http2.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, (connections, over_http2)) = (acceptor.clone(), counts.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                connections.fetch_add(1, Ordering::SeqCst);
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let over_http2 = over_http2.clone();
                    async move {
                        if request.version() == http::Version::HTTP_2 {
                            over_http2.fetch_add(1, Ordering::SeqCst);
                        }
                        let body = String::from_utf8(request.into_body().collect().await.unwrap().to_bytes().to_vec())
                            .unwrap();
                        let id = body.split("\"id\":").nth(1).unwrap().split(',').next().unwrap();
                        let result = if body.contains("server/discover") {
                            DISCOVERED
                        } else {
                            "{}"
                        };
                        let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}");
                        let mut response = hyper::Response::new(Full::new(Bytes::from(text)));
                        response
                            .headers_mut()
                            .insert("content-type", "application/json".parse().unwrap());
                        Ok::<_, Infallible>(response)
                    }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (url, connections, over_http2)
}

#[tokio::test]
async fn calls_share_an_http2_connection_of_a_believed_server() {
    let folder = tempfile::tempdir().unwrap();
    let ours = authority();
    let (url, connections, over_http2) = server(&party("localhost", &ours), None, &[b"h2", b"http/1.1"]).await;
    let options = HttpOptions {
        tls: TlsOptions {
            ca_file: Some(pem(folder.path(), "ca.pem", "CERTIFICATE", ours.der())),
            client_certificate: None,
        },
        ..HttpOptions::new("tls", &url)
    };
    let connected = Arc::new(connect(&http_target(options), Eras::Probe).await.unwrap());
    let calls: Vec<_> = (1..=50)
        .map(|id| {
            let connected = connected.clone();
            tokio::spawn(async move { ask(&connected, call(id)).await.unwrap() })
        })
        .collect();
    for call in calls {
        within("a call", call).await.unwrap();
    }
    assert_eq!(
        (connections.load(Ordering::SeqCst), over_http2.load(Ordering::SeqCst)),
        (1, 51)
    );
}

#[tokio::test]
async fn a_stranger_and_a_false_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, strangers) = (authority(), authority());
    let ca_file = Some(pem(folder.path(), "ca.pem", "CERTIFICATE", ours.der()));
    let believed = TlsOptions {
        ca_file,
        client_certificate: None,
    };
    for (own, tls) in [
        (party("localhost", &strangers), believed.clone()),
        (party("elsewhere", &ours), believed.clone()),
        // The operating system knows nothing of our authority.
        (party("localhost", &ours), TlsOptions::default()),
    ] {
        let (url, connections, _) = server(&own, None, &[b"h2"]).await;
        let target = match HttpTarget::new(HttpOptions {
            tls,
            ..HttpOptions::new("tls", &url)
        }) {
            Ok(target) => portcullis_transport::client::Target::Http(target),
            // A system without any root certificates says so at once.
            Err(TargetError::Tls(_)) => continue,
            Err(other) => panic!("{other}"),
        };
        let error = connect(&target, Eras::Probe).await.map(|_| ()).unwrap_err();
        assert!(
            matches!(&error, UpstreamError::Connect { detail } if detail.contains("TLS")),
            "{error}"
        );
        assert_eq!(connections.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_shown_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, clients) = (authority(), authority());
    let (url, _, over_http2) = server(&party("localhost", &ours), Some(clients.der()), &[b"http/1.1"]).await;
    let me = party("gateway", &clients);
    let ca_file = Some(pem(folder.path(), "ca.pem", "CERTIFICATE", ours.der()));
    let shown = ClientCertificate {
        certificate_file: pem(folder.path(), "me.pem", "CERTIFICATE", &me.certificate),
        key_file: pem(folder.path(), "key.pem", "PRIVATE KEY", &me.key.serialize_der()),
    };
    let with = |client_certificate| {
        http_target(HttpOptions {
            tls: TlsOptions {
                ca_file: ca_file.clone(),
                client_certificate,
            },
            ..HttpOptions::new("tls", &url)
        })
    };
    let connected = connect(&with(Some(shown)), Eras::Probe).await.unwrap();
    ask(&connected, call(1)).await.unwrap();
    assert_eq!(over_http2.load(Ordering::SeqCst), 0);
    // Without it, and after the connection above: it is not shared.
    assert!(connect(&with(None), Eras::Probe).await.is_err());
}

#[test]
fn files_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "hello").unwrap();
    for ca_file in [empty, folder.path().join("missing.pem")] {
        let tls = TlsOptions {
            ca_file: Some(ca_file.clone()),
            client_certificate: None,
        };
        let refused = HttpTarget::new(HttpOptions {
            tls,
            ..HttpOptions::new("tls", "https://localhost/")
        })
        .unwrap_err();
        assert!(refused.to_string().contains(ca_file.to_str().unwrap()), "{refused}");
    }
}
