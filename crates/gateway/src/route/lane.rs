//! One configured upstream: how it is reached, its limits, and its live connections.
//!
//! A legacy upstream session belongs to exactly one client session, or, for stateless clients, to one principal: what a
//! server remembers of one conversation cannot leak into another. A modern upstream keeps nothing, so its one connection is
//! shared.

use super::RouteError;
use portcullis_transport::child::Backoff;
use portcullis_transport::client::Target;
use portcullis_transport::{Connected, Eras, Hello, Stray, Upstream, UpstreamError};
use portcullis_wire::{Era, Raw, Revision};
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore, mpsc};

/// An upstream as configured.
#[derive(Debug)]
pub struct UpstreamPlan {
    /// Its name: `[a-z0-9-]{1,32}`.
    pub name: Arc<str>,
    /// How it is reached.
    pub target: Target,
    /// Which eras may be tried.
    pub eras: Eras,
    /// Longest time that one call may take.
    pub deadline: Duration,
    /// Calls to it at one time.
    pub concurrency_max: usize,
    /// Connections to it at one time: for a command, processes.
    pub connections_max: usize,
    /// What the operator has pinned about its tools.
    pub tools: HashMap<String, crate::catalog::ToolPin>,
}

/// Whose connection it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LinkKey {
    /// The gateway's own: probes, lists, and for a modern upstream all calls.
    Shared,
    /// A stateless client's, towards a legacy upstream.
    Principal(Arc<str>),
    /// A legacy client session's.
    Session(Arc<str>),
}

/// A live connection and what was settled on it.
pub(crate) struct Link {
    pub(crate) upstream: Arc<dyn Upstream>,
    pub(crate) revision: Revision,
    pub(crate) greeting: Raw,
}

/// A message that belongs to no call, with where it came from.
#[derive(Debug)]
pub(crate) struct StrayNews {
    pub(crate) upstream: Arc<str>,
    pub(crate) key: LinkKey,
    pub(crate) stray: Stray,
}

/// An upstream and its connections.
pub(crate) struct Lane {
    pub(crate) plan: UpstreamPlan,
    pub(crate) slots: Semaphore,
    links: Mutex<HashMap<LinkKey, Arc<OnceCell<Arc<Link>>>>>,
    trouble: Mutex<Trouble>,
    /// Settled by the first connection; a legacy client of a server of both eras gets a legacy session of its own.
    speaks: Mutex<Option<Speaks>>,
}

/// The eras that an upstream has been seen to have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaks {
    pub(crate) modern: bool,
    pub(crate) legacy: bool,
}

#[derive(Debug)]
struct Trouble {
    backoff: Backoff,
    not_before: Option<Instant>,
    last: Option<UpstreamError>,
}

impl Lane {
    pub(crate) fn new(plan: UpstreamPlan) -> Self {
        Self {
            slots: Semaphore::new(plan.concurrency_max),
            links: Mutex::default(),
            trouble: Mutex::new(Trouble {
                backoff: Backoff::new(),
                not_before: None,
                last: None,
            }),
            speaks: Mutex::default(),
            plan,
        }
    }

    pub(crate) fn speaks(&self) -> Option<Speaks> {
        *self.speaks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live connection for `key`, made with `hello` if there is none. Strays of a new one go to `strays`.
    pub(crate) async fn link(
        &self,
        key: &LinkKey,
        hello: impl Fn() -> Hello,
        strays: &mpsc::Sender<StrayNews>,
    ) -> Result<Arc<Link>, UpstreamError> {
        let cell = {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            let is_of_use = |cell: &OnceCell<Arc<Link>>| cell.get().is_none_or(|link| link.upstream.is_alive());
            match links.get(key) {
                Some(cell) if is_of_use(cell) => Arc::clone(cell),
                _ => {
                    links.retain(|_, cell| is_of_use(cell));
                    if links.len() >= self.plan.connections_max {
                        return Err(UpstreamError::Connect {
                            detail: format!(
                                "{} connections are open already, the most allowed",
                                self.plan.connections_max
                            ),
                        });
                    }
                    Arc::clone(links.entry(key.clone()).or_default())
                }
            }
        };
        if let Some(link) = cell.get() {
            return Ok(Arc::clone(link));
        }
        // In a box, for it is ten times as large as all else that a call keeps while it waits.
        let connecting = cell.get_or_try_init(|| async { self.connect(key, &hello(), strays).await });
        let link = Box::pin(connecting).await?;
        Ok(Arc::clone(link))
    }

    async fn connect(
        &self,
        key: &LinkKey,
        hello: &Hello,
        strays: &mpsc::Sender<StrayNews>,
    ) -> Result<Arc<Link>, UpstreamError> {
        self.wait_out_trouble()?;
        let connected = self.plan.target.connect(hello).await;
        let Connected {
            link,
            revision,
            greeting,
            strays: mut heard,
        } = match connected {
            Ok(connected) => connected,
            Err(error) => {
                self.in_trouble(&error);
                return Err(error);
            }
        };
        self.out_of_trouble();
        if *key == LinkKey::Shared {
            *self.speaks.lock().unwrap_or_else(PoisonError::into_inner) = Some(Speaks::of(revision, &greeting));
        }
        let (upstream, key, strays) = (Arc::clone(&self.plan.name), key.clone(), strays.clone());
        tokio::spawn(async move {
            while let Some(stray) = heard.recv().await {
                let news = StrayNews {
                    upstream: Arc::clone(&upstream),
                    key: key.clone(),
                    stray,
                };
                if strays.send(news).await.is_err() {
                    return;
                }
            }
        });
        Ok(Arc::new(Link {
            upstream: link,
            revision,
            greeting,
        }))
    }

    /// Ends the connection of `key`, if there is one.
    pub(crate) async fn forget(&self, key: &LinkKey) {
        let cell = {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.remove(key)
        };
        if let Some(link) = cell.as_ref().and_then(|cell| cell.get()) {
            link.upstream.close().await;
        }
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        let links: Vec<_> = {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.drain().collect()
        };
        for (_, cell) in links {
            if let Some(link) = cell.get() {
                link.upstream.close().await;
            }
        }
    }

    /// The open connections of one client session.
    pub(crate) fn open_link(&self, key: &LinkKey) -> Option<Arc<Link>> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links
            .get(key)
            .and_then(|cell| cell.get())
            .filter(|link| link.upstream.is_alive())
            .map(Arc::clone)
    }

    /// What to say when the `deadline` of something is over that took `after`, on `link` or while a connection was opened.
    pub(crate) fn late(&self, link: Option<&Link>, deadline: tokio::time::Instant, after: Duration) -> RouteError {
        let begun = deadline.checked_sub(after).unwrap_or(deadline).into_std();
        RouteError::Deadline {
            name: Arc::clone(&self.plan.name),
            after,
            garbage: match link {
                Some(link) => link.upstream.garbage_since(begun),
                None => self.plan.target.garbage_since(begun),
            },
        }
    }

    /// While the server is down, callers hear so at once; the next attempt waits for the backoff.
    fn wait_out_trouble(&self) -> Result<(), UpstreamError> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&trouble.not_before, &trouble.last) {
            (Some(not_before), Some(error)) if Instant::now() < *not_before => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn in_trouble(&self, error: &UpstreamError) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = trouble.backoff.pause_after(Duration::ZERO, jitter());
        trouble.not_before = Some(Instant::now() + pause);
        trouble.last = Some(error.clone());
    }

    fn out_of_trouble(&self) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.backoff = Backoff::new();
        trouble.not_before = None;
        trouble.last = None;
    }
}

impl Speaks {
    fn of(revision: Revision, greeting: &Raw) -> Self {
        match revision.era() {
            Era::Legacy => Self {
                modern: false,
                legacy: true,
            },
            Era::Modern => Self {
                modern: true,
                legacy: greeting.get("supportedVersions").is_some_and(|versions| {
                    versions.elements().iter().any(|version| {
                        version
                            .as_string()
                            .and_then(|text| Revision::from_str(&text).ok())
                            .is_some_and(|revision| revision.era() == Era::Legacy)
                    })
                }),
            },
        }
    }
}

/// Between 0 and 1, from the clock's low digits: enough to spread reconnects, and no more is asked of it.
fn jitter() -> f64 {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    f64::from(nanos % 1_000) / 1_000.0
}
