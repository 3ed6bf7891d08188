//! A server in this process ([`Server`]) as an upstream. Modern and stateless; each request runs in a task of its own, so that
//! its news flow while it works, and ends when nobody waits for it any more.

use super::strays::Strays;
use crate::upstream::{
    BoxFuture, CancelOnDrop, Connected, Eras, Event, Exchange, Hello, Outgoing, Server, Upstream, UpstreamError,
};
use bytes::Bytes;
use portcullis_wire::{Era, Limits, Message, Method, Request, Response, Revision, Rope};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// News of one request that may wait for the caller.
const NEWS_WAITING_MAX: usize = 16;

/// A local server as a connection.
struct LocalLink {
    server: Arc<dyn Server>,
    alive: AtomicBool,
    /// Held so that the receiving end stays open: such a server has nothing to say outside a request.
    _strays: Strays,
}

/// There is nothing to shake hands with.
///
/// # Errors
/// [`UpstreamError::Revision`] when only the legacy era is wanted.
pub(super) fn connect(server: &Arc<dyn Server>, hello: &Hello) -> Result<Connected, UpstreamError> {
    if hello.eras == Eras::Legacy {
        return Err(UpstreamError::Revision {
            detail: format!("a built-in server speaks {} alone", Revision::NEWEST),
        });
    }
    let (strays, receiver) = Strays::new("built-in");
    Ok(Connected {
        revision: Revision::NEWEST,
        greeting: server.discover(),
        strays: receiver,
        link: Arc::new(LocalLink {
            server: server.clone(),
            alive: AtomicBool::new(true),
            _strays: strays,
        }),
    })
}

impl Upstream for LocalLink {
    fn request(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Exchange, UpstreamError>> {
        Box::pin(async move {
            let request = match parse(outgoing.message.into_bytes())? {
                Message::Request(request) => request,
                Message::Notification(_) | Message::Response(_) => {
                    return Err(UpstreamError::Garbage {
                        detail: "what was to be sent is no request".to_owned(),
                    });
                }
            };
            if *request.method() == Method::ServerDiscover {
                let answer = Response::own_result(request.id(), self.server.discover().as_bytes());
                return Ok(Exchange::answered(answer_of(answer.into_bytes())?));
            }
            let (sender, events) = mpsc::channel(NEWS_WAITING_MAX);
            let task = tokio::spawn(handle(self.server.clone(), request, sender)).abort_handle();
            Ok(Exchange::new(events, Some(CancelOnDrop::new(move || task.abort()))))
        })
    }

    fn tell(&self, _: Rope) -> BoxFuture<'_, Result<(), UpstreamError>> {
        // The newest revision has nothing that a client could tell: no handshake, no answers, and cancelling is dropping.
        Box::pin(async { Ok(()) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.alive.store(false, Ordering::Relaxed);
        Box::pin(async {})
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

async fn handle(server: Arc<dyn Server>, request: Request, events: mpsc::Sender<Result<Event, UpstreamError>>) {
    let (news_sender, mut news) = mpsc::channel(NEWS_WAITING_MAX);
    let work = server.handle(&request, &news_sender);
    tokio::pin!(work);
    let outcome = loop {
        tokio::select! {
            biased;
            Some(told) = news.recv() => {
                // An error means that the caller is gone, and then the task is being aborted.
                let _ = events.send(Ok(Event::News(told))).await;
            }
            outcome = &mut work => break outcome,
        }
    };
    while let Ok(told) = news.try_recv() {
        let _ = events.send(Ok(Event::News(told))).await;
    }
    let text = match outcome {
        Ok(result) => Response::own_result(request.id(), result.as_bytes()).into_bytes(),
        Err(error) => error.to_message(Some(request.id()), Era::Modern),
    };
    let _ = events.send(answer_of(text).map(Event::Answer)).await;
}

fn answer_of(text: Bytes) -> Result<Box<Response>, UpstreamError> {
    match parse(text)? {
        Message::Response(response) => Ok(Box::new(response)),
        Message::Request(_) | Message::Notification(_) => Err(UpstreamError::Garbage {
            detail: "the built-in server's answer is none".to_owned(),
        }),
    }
}

fn parse(text: Bytes) -> Result<Message, UpstreamError> {
    Message::parse(text, &Limits::default()).map_err(|refused| super::http::garbage(&refused.error))
}
