//! What the gateway answers itself: the handshake of either era, ping, log level, and the four lists. Lists are made of what
//! the screen saw at ingest.

use super::{Route, RouteError, quoted};
use crate::answer::Body;
use crate::catalog::{Shown, View, carried};
use crate::policy::Decided;
use crate::session::{Call, ListKind, Sessions, Target, settle};
use bytes::Bytes;
use portcullis_transport::Eras;
use portcullis_wire::{Era, Method, Raw, Revision, json, meta};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Items of one page of a list.
const PAGE_ITEMS_MAX: usize = 1_000;
/// Ready pages kept at one time.
const PAGES_MAX: usize = 256;
/// How long a client may take our lists as fresh when the upstream says nothing shorter.
const LIST_TTL_MS_MAX: u64 = 60_000;

/// What the gateway says of itself, and the ready pages of lists.
#[derive(Debug)]
pub(crate) struct Greeter {
    version: &'static str,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    epoch: u64,
    ready: HashMap<PageKey, Arc<Page>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PageKey {
    endpoint: Arc<str>,
    kind: ListKind,
    modern: bool,
    from: usize,
    visible: u64,
}

/// A page of a list as it goes out, and its digest for the record.
#[derive(Debug)]
struct Page {
    text: Bytes,
    digest: [u8; 32],
}

impl Greeter {
    /// A greeter for this version of the product.
    #[must_use]
    pub(crate) fn new(version: &'static str) -> Self {
        Self {
            version,
            pages: Mutex::default(),
        }
    }

    /// `clientInfo` towards servers, where the gateway speaks for itself.
    pub(super) fn info(&self) -> Raw {
        let text = format!(r#"{{"name":"portcullis","version":{}}}"#, quoted(self.version));
        Raw::own(text).unwrap_or_else(|_| crate::session::empty_object())
    }

    fn server_info(&self, view: &View) -> Value {
        let behind: Vec<_> = view.upstreams.iter().map(|name| &**name).collect();
        json!({
            "name": "portcullis",
            "title": format!("Portcullis in front of {}", behind.join(", ")),
            "version": self.version,
        })
    }

    fn initialize(&self, view: &View, revision: Revision) -> Vec<u8> {
        let mut result = Map::new();
        result.insert("protocolVersion".into(), json!(revision.as_str()));
        result.insert("serverInfo".into(), self.server_info(view));
        if let Some(instructions) = instructions(view) {
            result.insert("instructions".into(), json!(instructions));
        }
        with_capabilities(result, view, Era::Legacy)
    }

    fn discover(&self, view: &View) -> Vec<u8> {
        let versions: Vec<_> = Revision::ALL.into_iter().rev().map(Revision::as_str).collect();
        let mut result = Map::new();
        result.insert("supportedVersions".into(), json!(versions));
        result.insert("resultType".into(), json!("complete"));
        result.insert("ttlMs".into(), json!(view.ttl_ms.min(LIST_TTL_MS_MAX)));
        result.insert("cacheScope".into(), json!("private"));
        result.insert("_meta".into(), json!({ meta::SERVER_INFO: self.server_info(view) }));
        if let Some(instructions) = instructions(view) {
            result.insert("instructions".into(), json!(instructions));
        }
        with_capabilities(result, view, Era::Modern)
    }

    fn page(&self, view: &View, kind: ListKind, era: Era, from: usize, visible: &[usize]) -> Arc<Page> {
        let mut hasher = DefaultHasher::new();
        visible.hash(&mut hasher);
        let key = PageKey {
            endpoint: Arc::clone(&view.endpoint),
            kind,
            modern: era == Era::Modern,
            from,
            visible: hasher.finish(),
        };
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.epoch == view.epoch
            && let Some(page) = pages.ready.get(&key)
        {
            return Arc::clone(page);
        }
        if pages.epoch != view.epoch || pages.ready.len() >= PAGES_MAX {
            pages.ready.clear();
            pages.epoch = view.epoch;
        }
        let text = write_page(view, kind, era, from, visible);
        let page = Arc::new(Page {
            digest: portcullis_ledger::digest(&text),
            text: Bytes::from(text),
        });
        pages.ready.insert(key, Arc::clone(&page));
        page
    }
}

impl Route {
    pub(super) async fn own(&self, call: &Call, decided: &Decided, sessions: &Sessions) -> Result<Body, RouteError> {
        let view = call.view();
        let plain = |text: Vec<u8>| Body::Own {
            result: vec![Bytes::from(text)],
            digest: None,
            session: None,
        };
        match call.target() {
            Target::Initialize => {
                let revision = settle(call.request().params());
                let session = sessions
                    .open(call.caller(), &view.endpoint, call.client(), revision)
                    .map_err(RouteError::TooManySessions)?;
                Ok(Body::Own {
                    result: vec![Bytes::from(self.greeter.initialize(view, revision))],
                    digest: None,
                    session: Some(Arc::clone(&session.id)),
                })
            }
            Target::Discover => Ok(plain(self.greeter.discover(view))),
            Target::SetLevel(level) => {
                if let Some(session) = &call.client().session {
                    session.set_log_level(level);
                    self.set_level(call, session, level).await;
                }
                Ok(plain(b"{}".to_vec()))
            }
            Target::List(kind, from) => {
                let Some(visible) = &decided.visible else {
                    return Err(RouteError::Json("a list without a view".to_owned()));
                };
                if view.listings.is_empty() && !view.unavailable.is_empty() {
                    return Err(RouteError::AllDown(
                        view.unavailable
                            .iter()
                            .map(|down| (Arc::clone(&down.upstream), down.reason.clone()))
                            .collect(),
                    ));
                }
                if !view.unavailable.is_empty() || has(view, kind.capability()) {
                    let page = self.greeter.page(view, *kind, call.era(), *from, visible);
                    return Ok(Body::Own {
                        result: vec![page.text.clone()],
                        digest: Some(page.digest),
                        session: None,
                    });
                }
                Err(RouteError::NoSuchMethod(kind.method().to_string()))
            }
            // `ping`, and whatever else has nothing to say.
            _ => Ok(plain(b"{}".to_vec())),
        }
    }

    /// Tells the servers that this session has reached, each in its own time.
    async fn set_level(&self, call: &Call, session: &crate::session::Session, level: &str) {
        let params = format!(r#"{{"level":{}}}"#, quoted(level));
        for (name, listing) in &call.view().listings {
            if listing.greeting.capabilities.get("logging").is_none() {
                continue;
            }
            let Ok(lane) = self.lane(name) else { continue };
            if lane.speaks().is_none_or(|speaks| !speaks.legacy) || lane.plan.eras == Eras::Modern {
                continue;
            }
            let key = super::link_key(call, lane);
            let hello = || super::hello(call, &key, &self.greeter);
            let told = async {
                let link = lane.link(&key, &hello, &self.strays).await?;
                if link.revision.era() == Era::Modern {
                    return Ok(());
                }
                let mut exchange = match self
                    .open(lane, &link, &Method::LoggingSetLevel, Some(params.as_bytes()))
                    .await
                {
                    Ok(exchange) => exchange,
                    Err(error) => {
                        tracing::warn!(upstream = %name, ?error, "log level not set");
                        return Ok(());
                    }
                };
                exchange.next().await.map(|_| ())
            };
            match tokio::time::timeout(lane.plan.deadline, told).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(upstream = %name, %error, "log level not set"),
                Err(_) => tracing::warn!(upstream = %name, session = %session.id, "log level not set in time"),
            }
        }
    }
}

/// Whether any upstream that is present has `capability`.
fn has(view: &View, capability: &str) -> bool {
    view.listings
        .iter()
        .any(|(_, listing)| listing.greeting.capabilities.get(capability).is_some())
}

fn instructions(view: &View) -> Option<String> {
    let mut said: Vec<_> = view
        .listings
        .iter()
        .filter_map(|(name, listing)| Some((name, listing.greeting.instructions.as_ref()?)))
        .collect();
    match said.as_slice() {
        [] => None,
        [(_, only)] => Some((*only).clone()),
        _ => Some(
            said.drain(..)
                .map(|(name, text)| format!("[{name}]\n{text}"))
                .collect::<Vec<_>>()
                .join("\n\n"),
        ),
    }
}

/// Adds `capabilities`: the only upstream's own bytes where there is one of the same era, else the union.
fn with_capabilities(mut result: Map<String, Value>, view: &View, era: Era) -> Vec<u8> {
    if let ([(_, only)], true) = (view.listings.as_slice(), view.unavailable.is_empty())
        && only.greeting.revision.era() == era
    {
        let mut out = br#"{"capabilities":"#.to_vec();
        out.extend_from_slice(only.greeting.capabilities.as_bytes());
        for (key, value) in &result {
            out.push(b',');
            json::write_string(&mut out, key);
            out.push(b':');
            out.extend_from_slice(value.to_string().as_bytes());
        }
        out.push(b'}');
        return out;
    }
    let mut union = Map::new();
    for (_, listing) in &view.listings {
        let Ok(Value::Object(own)) = serde_json::from_slice(listing.greeting.capabilities.as_bytes()) else {
            continue;
        };
        let same_era = listing.greeting.revision.era() == era;
        for (key, value) in own {
            // What only one era knows is not promised to the other. Extensions follow below.
            if key == "extensions" || !same_era && key == "tasks" {
                continue;
            }
            merge(&mut union, key, value, same_era);
        }
    }
    let extensions = carried(view, era);
    if !extensions.is_empty() {
        union.insert("extensions".into(), Value::Object(extensions));
    }
    result.insert("capabilities".into(), Value::Object(union));
    Value::Object(result).to_string().into_bytes()
}

fn merge(union: &mut Map<String, Value>, key: String, value: Value, same_era: bool) {
    let mut value = value;
    if !same_era
        && key == "resources"
        && let Value::Object(resources) = &mut value
    {
        // News of single resources do not cross eras yet.
        resources.remove("subscribe");
    }
    match (union.get_mut(&key), value) {
        (Some(Value::Object(have)), Value::Object(more)) => {
            for (key, value) in more {
                let slot = have.entry(key).or_insert(Value::Null);
                if !matches!(slot, Value::Bool(true)) {
                    *slot = value;
                }
            }
        }
        (None, value) => {
            union.insert(key, value);
        }
        (Some(_), _) => {}
    }
}

fn write_page(view: &View, kind: ListKind, era: Era, from: usize, visible: &[usize]) -> Vec<u8> {
    let texts: Vec<&Bytes> = match kind {
        ListKind::Tools => pick(&view.tools, visible),
        ListKind::Prompts => pick(&view.prompts, visible),
        ListKind::Resources => pick(&view.resources, visible),
        ListKind::Templates => pick(&view.templates, visible),
    };
    let mut out = vec![b'{'];
    json::write_string(&mut out, kind.member());
    out.extend_from_slice(b":[");
    let page = texts.iter().skip(from).take(PAGE_ITEMS_MAX);
    for (at, text) in page.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(text);
    }
    out.push(b']');
    let next = from.saturating_add(PAGE_ITEMS_MAX);
    if next < texts.len() {
        out.extend_from_slice(format!(r#","nextCursor":"{}.{next}""#, view.epoch).as_bytes());
    }
    if era == Era::Modern {
        let ttl = view.ttl_ms.min(LIST_TTL_MS_MAX);
        out.extend_from_slice(format!(r#","resultType":"complete","ttlMs":{ttl},"cacheScope":"private""#).as_bytes());
    }
    if !view.unavailable.is_empty() {
        out.extend_from_slice(br#","_meta":{"#);
        json::write_string(&mut out, meta::UNAVAILABLE);
        out.extend_from_slice(b":[");
        for (at, down) in view.unavailable.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(br#"{"server":"#);
            json::write_string(&mut out, &down.upstream);
            out.extend_from_slice(br#","reason":"#);
            json::write_string(&mut out, &down.reason);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    out.push(b'}');
    out
}

fn pick<'a, T>(shown: &'a [Shown<T>], visible: &[usize]) -> Vec<&'a Bytes> {
    visible
        .iter()
        .filter_map(|at| shown.get(*at))
        .map(|shown| &shown.text)
        .collect()
}
