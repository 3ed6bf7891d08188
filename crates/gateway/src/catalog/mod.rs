//! What there is: the screened listings of all upstreams, merged into one deterministic view for each endpoint. Pure data:
//! it is fed by the ingest of the pipeline and never asks a server itself.

mod extensions;
mod listing;
mod names;
mod view;

pub(crate) use extensions::{carried, declared};
pub(crate) use listing::{Compiled, unmet_pins};
pub use listing::{Greeting, Item, Listing, Tool, ToolPin};
pub(crate) use names::closest;
pub use view::{EndpointPlan, Shown, Unavailable, View};

use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is known of one upstream now.
#[derive(Debug, Clone)]
pub enum Known {
    /// Nobody has asked it yet.
    Pending,
    /// Its last listing.
    Listed(Arc<Listing>),
    /// It cannot be reached or listed; `last` is what it had when it could.
    Down {
        /// Why, for the operator: it may name hosts, and what a process last said.
        reason: String,
        /// Why, for clients.
        told: String,
        /// The last listing, for policy's schema.
        last: Option<Arc<Listing>>,
    },
}

/// The merged catalog. Readers take a snapshot of a [`View`] without a lock; each change builds new views.
#[derive(Debug)]
pub struct Catalog {
    endpoints: Vec<EndpointPlan>,
    order: Vec<Arc<str>>,
    known: Mutex<HashMap<Arc<str>, Known>>,
    /// Looked into twice for each message: a few names are compared sooner than one is hashed.
    views: ArcSwap<BTreeMap<Arc<str>, Arc<View>>>,
    epoch: AtomicU64,
    changed: tokio::sync::watch::Sender<u64>,
}

impl Catalog {
    /// An empty catalog of `upstreams`, in the order in which they are merged, and the endpoints over them. The endpoint
    /// named by the empty string is `/mcp`.
    #[must_use]
    pub fn new(upstreams: Vec<Arc<str>>, endpoints: Vec<EndpointPlan>) -> Self {
        let known = upstreams
            .iter()
            .map(|name| (Arc::clone(name), Known::Pending))
            .collect();
        let catalog = Self {
            endpoints,
            order: upstreams,
            known: Mutex::new(known),
            views: ArcSwap::default(),
            epoch: AtomicU64::new(0),
            changed: tokio::sync::watch::Sender::new(0),
        };
        catalog.rebuild();
        catalog
    }

    /// The view of an endpoint; `None` when there is no such endpoint.
    #[must_use]
    pub fn view(&self, endpoint: &str) -> Option<Arc<View>> {
        self.views.load().get(endpoint).map(Arc::clone)
    }

    /// Takes what was learnt of one upstream and rebuilds the views.
    pub fn update(&self, upstream: &str, news: Known) {
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(slot) = known.get_mut(upstream) else {
                return;
            };
            let last = match &*slot {
                Known::Listed(listing) => Some(Arc::clone(listing)),
                Known::Down { last, .. } => last.clone(),
                Known::Pending => None,
            };
            *slot = match news {
                Known::Down {
                    reason,
                    told,
                    last: None,
                } => Known::Down { reason, told, last },
                other => other,
            };
        }
        self.rebuild();
    }

    /// What is known of each upstream, in order.
    #[must_use]
    pub fn known(&self) -> Vec<(Arc<str>, Known)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.order
            .iter()
            .filter_map(|name| Some((Arc::clone(name), known.get(name)?.clone())))
            .collect()
    }

    /// The number of the current state; grows with each change.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Told the epoch after each change.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The endpoints' paths.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.endpoints.iter().map(|plan| match plan.name.is_empty() {
            true => "/mcp".to_owned(),
            false => format!("/mcp/{}", plan.name),
        })
    }

    fn rebuild(&self) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let views = self
            .endpoints
            .iter()
            .map(|plan| {
                let view = View::merge(plan, epoch, |name| known.get(name).cloned());
                (Arc::clone(&plan.name), Arc::new(view))
            })
            .collect();
        // Stored while `known` is locked, so that two updates cannot store their views in the wrong order.
        self.views.store(Arc::new(views));
        drop(known);
        self.changed.send_replace(epoch);
    }
}
