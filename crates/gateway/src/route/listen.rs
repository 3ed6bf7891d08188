//! `subscriptions/listen` (2026-07-28, basic/patterns/subscriptions): acknowledge, then tell, until the client goes or the
//! gateway drains. List changes come from the gateway's own connections; single resources and extensions' filters are asked
//! of their modern owner in a subscription of its own, for each client.

use super::{Link, LinkKey, Route, RouteError, translate};
use crate::answer::Body;
use crate::screen::Sink;
use crate::session::{Call, Sessions, principal_of};
use bytes::Bytes;
use portcullis_transport::{Event, Exchange};
use portcullis_wire::{Era, Method, Notification, Raw, json, meta};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

/// A list of an upstream changed, or a resource of it.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// Whose.
    pub(crate) upstream: Arc<str>,
    /// What.
    pub(crate) what: What,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Tools,
    Prompts,
    Resources,
    /// The gateway is about to stop: subscriptions end properly.
    Draining,
}

impl What {
    pub(crate) const fn method(self) -> Option<Method> {
        match self {
            Self::Tools => Some(Method::ToolsListChanged),
            Self::Prompts => Some(Method::PromptsListChanged),
            Self::Resources => Some(Method::ResourcesListChanged),
            Self::Draining => None,
        }
    }

    const fn filter(self) -> &'static str {
        match self {
            Self::Tools => "toolsListChanged",
            Self::Prompts => "promptsListChanged",
            Self::Resources => "resourcesListChanged",
            Self::Draining => "",
        }
    }

    const fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Draining => "resources",
        }
    }
}

/// What a client wants to hear.
struct Wanted {
    lists: Vec<What>,
    /// Filters that only their owner understands, by owner: member of `notifications` and its JSON text.
    owned: HashMap<Arc<str>, Vec<(String, Vec<u8>)>>,
}

/// News of an owner's subscription that wait to be written.
const QUEUE_MAX: usize = 64;

impl Route {
    /// Tells all listeners that a list changed.
    pub(crate) fn announce(&self, changed: Changed) {
        // Nobody listening is no error.
        let _ = self.changed.send(changed);
    }

    pub(super) async fn listen(&self, call: &Call, sink: &Sink, sessions: &Sessions) -> Result<Body, RouteError> {
        // Heard from now on: what changes while we acknowledge is told afterwards.
        let mut changes = self.changed.subscribe();
        let wanted = self.wanted(call, sessions);
        let (sender, mut owned) = mpsc::channel(QUEUE_MAX);
        let mut accepted: Vec<(String, Vec<u8>)> = wanted
            .lists
            .iter()
            .map(|what| (what.filter().to_owned(), b"true".to_vec()))
            .collect();
        // Held until the end: dropping an exchange ends the owner's subscription.
        let mut following = Vec::new();
        for (upstream, filters) in &wanted.owned {
            match self.subscribe(upstream, filters).await {
                Ok((exchange, granted)) => {
                    accepted.extend(granted);
                    following.push(tokio::spawn(follow(exchange, sender.clone())));
                }
                Err(error) => tracing::warn!(%upstream, ?error, "subscription not taken"),
            }
        }
        drop(sender);
        let id = call.request().id();
        let _guard = AbortAll(following);
        let acknowledgement = acknowledge(id.as_json(), &accepted);
        if sink.news(&acknowledgement).await.is_err() {
            return Ok(Body::Silence);
        }
        loop {
            tokio::select! {
                biased;
                () = sink.closed() => return Ok(Body::Silence),
                () = super::cancelled(call) => return Ok(ended(id.as_json())),
                Some(notification) = owned.recv() => {
                    if let Some(tagged) = translate::subscribed(&notification, id)
                        && sink.news(&tagged).await.is_err()
                    {
                        return Ok(Body::Silence);
                    }
                }
                changed = changes.recv() => {
                    let what = match changed {
                        Ok(changed) if changed.what == What::Draining => return Ok(ended(id.as_json())),
                        Ok(changed) if call.view().upstreams.contains(&changed.upstream) => Some(changed.what),
                        Ok(_) => None,
                        // Missed some: tell all, so that the client asks again.
                        Err(broadcast::error::RecvError::Lagged(_)) => {
                            for what in &wanted.lists {
                                tell(*what, id, sink).await;
                            }
                            None
                        }
                        Err(broadcast::error::RecvError::Closed) => return Ok(ended(id.as_json())),
                    };
                    if let Some(what) = what.filter(|what| wanted.lists.contains(what)) {
                        tell(what, id, sink).await;
                    }
                }
            }
        }
    }

    /// Splits the client's filters by who can serve them.
    fn wanted(&self, call: &Call, sessions: &Sessions) -> Wanted {
        let view = call.view();
        let mut wanted = Wanted {
            lists: Vec::new(),
            owned: HashMap::new(),
        };
        let Some(filters) = call.request().params().and_then(|params| params.get("notifications")) else {
            return wanted;
        };
        let Ok(members) = filters.members() else {
            return wanted;
        };
        for member in members {
            let text = filters.as_bytes();
            let key = text.get(member.key.clone()).unwrap_or_default();
            let value = text.get(member.value.clone()).unwrap_or_default();
            let Ok(key) = std::str::from_utf8(key) else {
                continue;
            };
            let list = [What::Tools, What::Prompts, What::Resources]
                .into_iter()
                .find(|what| what.filter() == key);
            if let Some(what) = list {
                let told = view.listings.iter().any(|(_, listing)| {
                    listing
                        .greeting
                        .capabilities
                        .at(&[what.capability(), "listChanged"])
                        .and_then(|flag| flag.as_bool())
                        == Some(true)
                });
                if value == b"true" && told {
                    wanted.lists.push(what);
                }
                continue;
            }
            self.assign(call, key, value, sessions, &mut wanted);
        }
        wanted
    }

    fn assign(&self, call: &Call, key: &str, value: &[u8], sessions: &Sessions, wanted: &mut Wanted) {
        let view = call.view();
        if !matches!(key, "resourceSubscriptions" | "taskIds") {
            // An extension's filter goes to the only upstream that can know it; with several, to none.
            if let Some(upstream) = view.sole_upstream() {
                wanted
                    .owned
                    .entry(Arc::clone(upstream))
                    .or_default()
                    .push((key.to_owned(), value.to_vec()));
            }
            return;
        }
        let Ok(names) = Raw::own(Bytes::copy_from_slice(value)) else {
            return;
        };
        let principal = principal_of(call.caller());
        // The connection is shared by all callers, so that the server cannot tell whose task it is. We can.
        let owner_of = |name: &str| match key {
            "taskIds" => sessions
                .tasks
                .owner(name, principal)
                .filter(|owner| view.upstreams.contains(owner)),
            _ => view.owner_of(name),
        };
        let mut by_owner: HashMap<Arc<str>, Vec<u8>> = HashMap::new();
        for name in names.elements() {
            let Some(owner) = name.as_string().and_then(|name| owner_of(&name)) else {
                continue;
            };
            let list = by_owner.entry(owner).or_insert_with(|| vec![b'[']);
            if list.len() > 1 {
                list.push(b',');
            }
            list.extend_from_slice(name.as_bytes());
        }
        for (owner, mut list) in by_owner {
            list.push(b']');
            wanted.owned.entry(owner).or_default().push((key.to_owned(), list));
        }
    }

    /// Opens a subscription at a modern owner; returns it with what the owner granted.
    async fn subscribe(
        &self,
        upstream: &Arc<str>,
        filters: &[(String, Vec<u8>)],
    ) -> Result<(Exchange, Vec<(String, Vec<u8>)>), RouteError> {
        let lane = self.lane(upstream)?;
        let link: Arc<Link> = self.shared_link(lane).await?;
        if link.revision.era() == Era::Legacy {
            return Err(RouteError::Untranslatable {
                name: Arc::clone(upstream),
                what: "a subscription to single resources".to_owned(),
            });
        }
        let mut params = br#"{"notifications":"#.to_vec();
        write_object(&mut params, filters);
        params.push(b'}');
        let opening = async {
            let mut exchange = self
                .open(lane, &link, &Method::SubscriptionsListen, Some(&params))
                .await?;
            let failed = |error| RouteError::Upstream {
                name: Arc::clone(upstream),
                error,
            };
            loop {
                match exchange.next().await.map_err(failed)? {
                    Event::News(news) if *news.method() == Method::SubscriptionsAcknowledged => {
                        let granted = news
                            .params()
                            .and_then(|params| params.get("notifications"))
                            .map(|granted| members_of(&granted))
                            .unwrap_or_default();
                        return Ok((exchange, granted));
                    }
                    Event::News(_) => {}
                    Event::Question(_) | Event::Answer(_) => {
                        return Err(RouteError::Untranslatable {
                            name: Arc::clone(upstream),
                            what: "a subscription that ends before it begins".to_owned(),
                        });
                    }
                }
            }
        };
        let after = lane.plan.deadline;
        let deadline = Instant::now() + after;
        tokio::time::timeout_at(deadline, opening)
            .await
            .map_err(|_| lane.late(lane.open_link(&LinkKey::Shared).as_deref(), deadline, after))?
    }
}

/// Reads an owner's subscription to its end.
async fn follow(mut exchange: Exchange, sender: mpsc::Sender<Notification>) {
    while let Ok(event) = exchange.next().await {
        match event {
            Event::News(notification) => {
                if sender.send(notification).await.is_err() {
                    return;
                }
            }
            Event::Question(_) => {}
            Event::Answer(_) => return,
        }
    }
}

struct AbortAll(Vec<tokio::task::JoinHandle<()>>);

impl Drop for AbortAll {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

async fn tell(what: What, id: &portcullis_wire::Id, sink: &Sink) {
    let Some(method) = what.method() else { return };
    let params = translate::subscription_meta(id.as_json());
    if let Ok(notification) = Notification::own(&method, Some(&params)) {
        // A client that is gone is noticed by the loop.
        let _ = sink.news(&notification).await;
    }
}

fn acknowledge(id: &[u8], accepted: &[(String, Vec<u8>)]) -> Notification {
    let mut params = br#"{"_meta":"#.to_vec();
    params.extend_from_slice(&translate::inner_subscription_meta(id));
    params.extend_from_slice(br#","notifications":"#);
    write_object(&mut params, accepted);
    params.push(b'}');
    #[expect(
        clippy::expect_used,
        reason = "built from members of validated JSON and an id that was parsed"
    )]
    Notification::own(&Method::SubscriptionsAcknowledged, Some(&params)).expect("own JSON")
}

fn write_object(out: &mut Vec<u8>, members: &[(String, Vec<u8>)]) {
    out.push(b'{');
    let mut seen = std::collections::HashSet::new();
    for (key, value) in members {
        // Two owners may grant the same filter; the first stands.
        if !seen.insert(key) {
            continue;
        }
        if seen.len() > 1 {
            out.push(b',');
        }
        json::write_string(out, key);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
}

fn members_of(object: &Raw) -> Vec<(String, Vec<u8>)> {
    let text = object.as_bytes();
    object
        .members()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|member| {
            let key = std::str::from_utf8(text.get(member.key)?).ok()?;
            Some((key.to_owned(), text.get(member.value)?.to_vec()))
        })
        .collect()
}

/// The end of a subscription: its result (which closes the stream), tagged as all of it.
fn ended(id: &[u8]) -> Body {
    let mut result = br#"{"resultType":"complete","_meta":{"#.to_vec();
    json::write_string(&mut result, meta::SUBSCRIPTION_ID);
    result.push(b':');
    result.extend_from_slice(id);
    result.extend_from_slice(b"}}");
    Body::Own {
        result: vec![Bytes::from(result)],
        digest: None,
        session: None,
    }
}
