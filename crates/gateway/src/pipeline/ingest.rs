//! How the catalog learns what there is: each upstream is asked by the gateway itself, what it lists goes through the screen,
//! and then catalog and policy take it in. Asked again when it says that a list changed, when its `ttlMs` is over, and, with
//! a growing pause, while it is down.

use super::Gateway;
use super::outage::{Outage, Word};
use crate::catalog::{Greeting, Item, Known, Listing, Tool, unmet_pins};
use crate::policy;
use crate::refusal::{self, Refusal};
use crate::route::RouteError;
use portcullis_ledger::{Detail, Event, EventKind};
use portcullis_wire::{Method, Raw, Revision, json, meta};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Pages of one list that are followed.
const PAGES_MAX: usize = 100;
/// Items of one list that are taken in.
const ITEMS_MAX: usize = 10_000;
/// Bytes of definitions of one upstream that are taken in.
const BYTES_MAX: usize = 64 << 20;
/// Least pause between two looks at an upstream that is up, whatever its `ttlMs` says.
const REFRESH_MIN: Duration = Duration::from_secs(30);
/// Pause before a down upstream is looked at again: doubled each time between these.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Keeps the catalog's entry of one upstream up to date for as long as the gateway lives.
pub(super) async fn keep(gateway: Weak<Gateway>, upstream: Arc<str>, again: Arc<Notify>) {
    let mut pause = RETRY_MIN;
    let mut outage = Outage::default();
    loop {
        let Some(strong) = gateway.upgrade() else { return };
        let next = match strong.take_in(&upstream, &mut outage).await {
            Some(ttl) => {
                pause = RETRY_MIN;
                ttl
            }
            None => {
                let now = pause;
                pause = (pause * 2).min(RETRY_MAX);
                Some(now)
            }
        };
        drop(strong);
        match next {
            Some(next) => {
                tokio::select! {
                    () = sleep(next) => {}
                    () = again.notified() => {}
                }
            }
            None => again.notified().await,
        }
    }
}

impl Gateway {
    /// Asks one upstream for everything and takes it in. Returns when to ask again: `Some(None)` when only on its own word,
    /// `None` when it is down.
    async fn take_in(self: &Arc<Self>, upstream: &Arc<str>, outage: &mut Outage) -> Option<Option<Duration>> {
        let begun = Instant::now();
        match self.list(upstream).await {
            Ok(listing) => {
                let ttl = (listing.ttl_ms > 0).then(|| Duration::from_millis(listing.ttl_ms).max(REFRESH_MIN));
                for (item, finding) in self.unsaid(upstream, &listing) {
                    tracing::warn!(%upstream, item, "{finding}");
                }
                self.recorder
                    .note(&Event {
                        kind: EventKind::Control,
                        action: "upstream_listed",
                        actor: None,
                        details: &[
                            ("upstream", Detail::Text(upstream)),
                            ("revision", Detail::Text(listing.greeting.revision.as_str())),
                            ("tools", Detail::Number(listing.tools.len() as u64)),
                            ("findings", Detail::Number(listing.findings.len() as u64)),
                        ],
                    })
                    .await;
                if let Some(past) = outage.over(Instant::now()) {
                    tracing::info!(%upstream, lasted = ?past.lasted, attempts = past.attempts, "the server is back");
                }
                tracing::info!(%upstream, tools = listing.tools.len(), took = ?begun.elapsed(), "listed");
                self.learn(upstream, Known::Listed(Arc::new(listing))).await;
                Some(ttl)
            }
            Err(error) => {
                let told = refusal::state_of(&error);
                let reason = Refusal::Route(error).for_operator();
                match outage.failed(&told, Instant::now()) {
                    Word::Nothing => {}
                    Word::Still(past) => {
                        tracing::warn!(%upstream, lasted = ?past.lasted, attempts = past.attempts, "still down: {reason}");
                    }
                    Word::Down => {
                        tracing::warn!(%upstream, "{reason}");
                        self.recorder
                            .note(&Event {
                                kind: EventKind::Control,
                                action: "upstream_down",
                                actor: None,
                                details: &[("upstream", Detail::Text(upstream)), ("reason", Detail::Text(&reason))],
                            })
                            .await;
                    }
                }
                self.learn(
                    upstream,
                    Known::Down {
                        reason,
                        told,
                        last: None,
                    },
                )
                .await;
                None
            }
        }
    }

    /// The findings that were not there when it was listed before: one that stays is said once, however often it is listed.
    fn unsaid<'a>(&self, upstream: &str, listing: &'a Listing) -> Vec<&'a (String, String)> {
        let known = self.catalog.known();
        let before = known.iter().find(|(name, _)| **name == *upstream);
        let before = before.and_then(|(_, known)| match known {
            Known::Listed(listing) => Some(listing),
            Known::Down { last, .. } => last.as_ref(),
            Known::Pending => None,
        });
        let said = |finding: &&(String, String)| before.is_some_and(|before| before.findings.contains(*finding));
        listing.findings.iter().filter(|finding| !said(finding)).collect()
    }

    async fn learn(self: &Arc<Self>, upstream: &str, news: Known) {
        if self.is_known_down(upstream, &news) {
            // Who waits for this attempt hears that it is over. Nothing is taken in, so that clients' cursors stay good.
            self.taken_in.send_modify(|_| {});
            return;
        }
        self.catalog.update(upstream, news);
        let epoch = self.catalog.epoch();
        let gateway = Arc::clone(self);
        // Not on this thread: it has calls' connections, signals and other servers to mind.
        let renewed = tokio::task::spawn_blocking(move || {
            gateway.policy.renew(|| {
                let epoch = gateway.catalog.epoch();
                (gateway.facts(), epoch)
            })
        });
        match renewed.await {
            Ok(Ok(report)) => self.say(report),
            Ok(Err(report)) => {
                self.say(report);
                tracing::error!("the policies cannot be put in force over the catalog: the ones before stay in force");
            }
            Err(error) => tracing::error!(%error, "the policies were not renewed: the ones before stay in force"),
        }
        // Another upstream's later news may have been taken in meanwhile.
        self.taken_in.send_if_modified(|before| {
            let is_later = epoch > *before;
            *before = epoch.max(*before);
            is_later
        });
    }

    /// Logs what is wrong with the policies, and was not when it was last said: the catalog is renewed again and again.
    fn say(&self, report: policy::Report) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in report.problems.iter().filter(|problem| !said.contains(problem)) {
            match problem.severity {
                policy::Severity::Error => tracing::error!("policy: {problem}"),
                policy::Severity::Warning => tracing::warn!("policy: {problem}"),
            }
        }
        *said = report.problems;
    }

    /// Whether it is news of a server that is down that it is, for the very same reason.
    fn is_known_down(&self, upstream: &str, news: &Known) -> bool {
        let Known::Down { reason, told, .. } = news else {
            return false;
        };
        self.catalog.known().iter().any(|(name, known)| {
            **name == *upstream && matches!(known, Known::Down { reason: r, told: t, .. } if r == reason && t == told)
        })
    }

    async fn list(&self, upstream: &Arc<str>) -> Result<Listing, RouteError> {
        let (revision, greeting) = self.route.greeting(upstream).await?;
        let greeting = read_greeting(revision, &greeting);
        let has = |capability: &str| greeting.capabilities.get(capability).is_some();
        let mut taken = Taken::default();
        let mut tools = Vec::new();
        let empty = std::collections::HashMap::new();
        let pins = self.route.pins(upstream).unwrap_or(&empty);
        let mut listed = Vec::new();
        if has("tools") {
            for definition in self.all(upstream, &Method::ToolsList, "tools", &mut taken).await? {
                listed.extend(
                    definition
                        .get("name")
                        .as_ref()
                        .and_then(Raw::as_string)
                        .map(String::from),
                );
                let definition = self.look(definition, "name", &mut taken);
                match Tool::read(upstream, definition.clone(), pins) {
                    Ok(tool) if pins.get(&*tool.name).is_some_and(|pin| pin.hidden) => {}
                    Ok(tool) => tools.push(Arc::new(tool)),
                    Err(why) => taken
                        .findings
                        .push((named(&definition, "name"), format!("not offered: {why}"))),
                }
            }
        }
        taken.findings.extend(unmet_pins(pins, &listed));
        let mut prompts = Vec::new();
        if has("prompts") {
            let listed = self.all(upstream, &Method::PromptsList, "prompts", &mut taken).await?;
            self.items(upstream, listed, "name", &mut prompts, &mut taken);
        }
        let (mut resources, mut templates) = (Vec::new(), Vec::new());
        if has("resources") {
            let listed = self
                .all(upstream, &Method::ResourcesList, "resources", &mut taken)
                .await?;
            self.items(upstream, listed, "uri", &mut resources, &mut taken);
            // A server with resources need not know templates.
            match self
                .all(
                    upstream,
                    &Method::ResourcesTemplatesList,
                    "resourceTemplates",
                    &mut taken,
                )
                .await
            {
                Ok(listed) => self.items(upstream, listed, "uriTemplate", &mut templates, &mut taken),
                Err(error) => tracing::debug!(%upstream, ?error, "no templates"),
            }
        }
        Ok(Listing {
            greeting,
            tools,
            prompts,
            resources,
            templates,
            ttl_ms: taken.ttl_ms.unwrap_or(0),
            findings: taken.findings,
        })
    }

    fn items(&self, upstream: &Arc<str>, listed: Vec<Raw>, key: &str, into: &mut Vec<Arc<Item>>, taken: &mut Taken) {
        for definition in listed {
            let definition = self.look(definition, key, taken);
            match Item::read(upstream, definition.clone(), key) {
                Ok(item) => into.push(Arc::new(item)),
                Err(why) => taken
                    .findings
                    .push((named(&definition, key), format!("not offered: {why}"))),
            }
        }
    }

    /// A definition through the screen.
    fn look(&self, definition: Raw, key: &str, taken: &mut Taken) -> Raw {
        let (clean, finding) = self.screen.definition(definition);
        if let Some(finding) = finding {
            taken.findings.push((named(&clean, key), finding));
        }
        clean
    }

    /// All pages of one list.
    async fn all(
        &self,
        upstream: &Arc<str>,
        method: &Method,
        member: &str,
        taken: &mut Taken,
    ) -> Result<Vec<Raw>, RouteError> {
        let garbage = |detail: String| RouteError::Upstream {
            name: Arc::clone(upstream),
            error: portcullis_transport::UpstreamError::Garbage { detail },
        };
        let too_large = |detail: String| RouteError::Upstream {
            name: Arc::clone(upstream),
            error: portcullis_transport::UpstreamError::TooLarge { detail },
        };
        let mut items = Vec::new();
        let mut cursor: Option<Raw> = None;
        for _ in 0..PAGES_MAX {
            let params = cursor.as_ref().map(|cursor| {
                let mut params = br#"{"cursor":"#.to_vec();
                params.extend_from_slice(cursor.as_bytes());
                params.push(b'}');
                params
            });
            let response = self.route.ask(upstream, method, params.as_deref()).await?;
            let Some(result) = response.result() else {
                return Err(garbage(format!("`{method}` was answered with an error")));
            };
            let list = result
                .get(member)
                .ok_or_else(|| garbage(format!("`{method}` without `{member}`")))?;
            taken.bytes += list.as_bytes().len();
            items.extend(list.elements());
            if items.len() > ITEMS_MAX || taken.bytes > BYTES_MAX {
                return Err(too_large(format!(
                    "more than {ITEMS_MAX} items or {BYTES_MAX} bytes of definitions"
                )));
            }
            if let Some(ttl) = result.get("ttlMs").and_then(|ttl| ttl.as_i64()) {
                let ttl = u64::try_from(ttl).unwrap_or(0);
                taken.ttl_ms = Some(taken.ttl_ms.map_or(ttl, |before| before.min(ttl)));
            }
            cursor = result.get("nextCursor").filter(|cursor| cursor.as_string().is_some());
            if cursor.is_none() {
                return Ok(items);
            }
        }
        Err(too_large(format!("`{method}` has more than {PAGES_MAX} pages")))
    }
}

/// What one upstream's lists had in common.
#[derive(Default)]
struct Taken {
    bytes: usize,
    ttl_ms: Option<u64>,
    findings: Vec<(String, String)>,
}

fn named(definition: &Raw, key: &str) -> String {
    definition
        .get(key)
        .as_ref()
        .and_then(Raw::as_string)
        .map_or_else(|| "?".to_owned(), |name| name.chars().take(128).collect())
}

fn read_greeting(revision: Revision, greeting: &Raw) -> Greeting {
    Greeting {
        revision,
        capabilities: greeting
            .get("capabilities")
            .filter(|capabilities| capabilities.kind() == portcullis_wire::Kind::Object)
            .unwrap_or_else(crate::session::empty_object),
        instructions: greeting
            .get("instructions")
            .as_ref()
            .and_then(Raw::as_string)
            .map(|text| text.chars().take(64 << 10).collect()),
        server_info: greeting
            .get("serverInfo")
            .or_else(|| greeting.at(&["_meta", meta::SERVER_INFO])),
    }
}

/// Filters of the gateway's own subscription at a modern upstream, for the lists that it says it changes.
pub(super) fn list_filters(capabilities: &Raw) -> Option<Vec<u8>> {
    let mut params = br#"{"notifications":{"#.to_vec();
    let mut any = false;
    for (capability, filter) in [
        ("tools", "toolsListChanged"),
        ("prompts", "promptsListChanged"),
        ("resources", "resourcesListChanged"),
    ] {
        if capabilities
            .at(&[capability, "listChanged"])
            .and_then(|flag| flag.as_bool())
            != Some(true)
        {
            continue;
        }
        if any {
            params.push(b',');
        }
        any = true;
        json::write_string(&mut params, filter);
        params.extend_from_slice(b":true");
    }
    params.extend_from_slice(b"}}");
    any.then_some(params)
}
