//! A server in this process as an upstream.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its failure")]

use crate::client_script::*;
use portcullis_transport::client::Target;
use portcullis_transport::{BoxFuture, Eras, Server, UpstreamError};
use portcullis_wire::{Method, Notification, Raw, Request, RpcError, error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

#[derive(Default)]
struct Built {
    dropped: Arc<AtomicBool>,
}

struct Drops(Arc<AtomicBool>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Server for Built {
    fn discover(&self) -> Raw {
        Raw::own(DISCOVERED).unwrap()
    }

    fn handle<'a>(
        &'a self,
        request: &'a Request,
        news: &'a mpsc::Sender<Notification>,
    ) -> BoxFuture<'a, Result<Raw, RpcError>> {
        Box::pin(async move {
            match request.method() {
                Method::ToolsCall => {
                    // More than may wait.
                    for _ in 0..100 {
                        news.send(Notification::own(&Method::Progress, Some(b"{}")).unwrap())
                            .await
                            .unwrap();
                    }
                    Ok(Raw::own(r#"{"resultType":"complete"}"#).unwrap())
                }
                Method::ToolsList => {
                    let _drops = Drops(self.dropped.clone());
                    news.send(Notification::own(&Method::Progress, Some(b"{}")).unwrap())
                        .await
                        .unwrap();
                    std::future::pending().await
                }
                _ => Err(RpcError::new(error::METHOD_NOT_FOUND, "no")),
            }
        })
    }
}

#[tokio::test]
async fn a_local_server_answers_tells_news_in_order_and_refuses() {
    let target = Target::Local(Arc::new(Built::default()));
    let connected = connect(&target, Eras::Probe).await.unwrap();
    assert_eq!(connected.greeting.as_str(), DISCOVERED);
    let came = ask(&connected, call(1)).await.unwrap();
    assert_eq!(came.len(), 101);
    assert_eq!(came.last().unwrap(), r#"{"resultType":"complete"}"#);
    assert_eq!(
        ask(&connected, outgoing(2, Method::PromptsList, "{}")).await.unwrap(),
        ["error -32601"]
    );
    assert_eq!(
        ask(&connected, outgoing(3, Method::ServerDiscover, "{}"))
            .await
            .unwrap(),
        [DISCOVERED]
    );
    let error = connect(&target, Eras::Legacy).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, UpstreamError::Revision { .. }), "{error}");
}

#[tokio::test]
async fn a_dropped_exchange_drops_the_work() {
    let built = Built::default();
    let dropped = built.dropped.clone();
    let connected = connect(&Target::Local(Arc::new(built)), Eras::Modern).await.unwrap();
    let mut exchange = connected
        .link
        .request(outgoing(1, Method::ToolsList, "{}"))
        .await
        .unwrap();
    within("news", exchange.next()).await.unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    drop(exchange);
    until("the work is dropped", || dropped.load(Ordering::SeqCst)).await;
}
