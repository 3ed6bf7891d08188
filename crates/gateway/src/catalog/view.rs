//! What one endpoint offers: listings merged in the configured order, with exposed names and ready-made text.

use super::listing::{Item, Listing, Tool};
use super::{Known, extensions, names};
use bytes::Bytes;
use portcullis_wire::{Edits, Raw, json};
use std::collections::HashMap;
use std::sync::Arc;

/// A virtual endpoint: a name and what is behind it.
#[derive(Debug, Clone)]
pub struct EndpointPlan {
    /// What follows `/mcp/`; empty for `/mcp`.
    pub name: Arc<str>,
    /// Upstreams, in the order of merging.
    pub upstreams: Vec<Arc<str>>,
    /// Patterns of `upstream/tool` with `*`, of which one must match; empty for all.
    pub tools: Vec<String>,
}

/// An item under the name that clients of this endpoint see.
#[derive(Debug)]
pub struct Shown<T> {
    /// The exposed name (tools, prompts) or URI.
    pub name: Arc<str>,
    /// The item.
    pub item: Arc<T>,
    /// Its definition under the exposed name: one element of the list.
    pub text: Bytes,
}

/// An upstream that is missing from this view now.
#[derive(Debug, Clone)]
pub struct Unavailable {
    /// Its name.
    pub upstream: Arc<str>,
    /// Why, in the words that clients hear.
    pub reason: String,
}

/// What an endpoint offers now.
#[derive(Debug)]
pub struct View {
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// The catalog's epoch when this view was made.
    pub epoch: u64,
    /// Upstreams behind it, present or not.
    pub upstreams: Vec<Arc<str>>,
    /// Listings of those that are present.
    pub listings: Vec<(Arc<str>, Arc<Listing>)>,
    /// Those that are not.
    pub unavailable: Vec<Unavailable>,
    /// Whether every upstream has been asked at least once.
    pub settled: bool,
    /// Tools.
    pub tools: Vec<Shown<Tool>>,
    /// Prompts.
    pub prompts: Vec<Shown<Item>>,
    /// Resources.
    pub resources: Vec<Shown<Item>>,
    /// Templates.
    pub templates: Vec<Shown<Item>>,
    /// Least `ttlMs` of the listings.
    pub ttl_ms: u64,
    tools_by_name: HashMap<Arc<str>, usize>,
    prompts_by_name: HashMap<Arc<str>, usize>,
    resources_by_uri: HashMap<Arc<str>, usize>,
}

impl View {
    pub(super) fn merge(plan: &EndpointPlan, epoch: u64, known: impl Fn(&str) -> Option<Known>) -> Self {
        let mut listings = Vec::new();
        let mut unavailable = Vec::new();
        let mut settled = true;
        for upstream in &plan.upstreams {
            match known(upstream) {
                Some(Known::Listed(listing)) => listings.push((Arc::clone(upstream), listing)),
                Some(Known::Down { told, .. }) => unavailable.push(Unavailable {
                    upstream: Arc::clone(upstream),
                    reason: told,
                }),
                Some(Known::Pending) | None => {
                    settled = false;
                    unavailable.push(Unavailable {
                        upstream: Arc::clone(upstream),
                        reason: "still starting".to_owned(),
                    });
                }
            }
        }
        let tools: Vec<_> = listings
            .iter()
            .flat_map(|(_, listing)| listing.tools.iter())
            .filter(|tool| plan.tools.is_empty() || plan.tools.iter().any(|pattern| glob(pattern, &tool.id)))
            .collect();
        let tools = shown(&tools, |tool| (&tool.upstream, &tool.name), |tool| &tool.definition);
        let prompts: Vec<_> = listings.iter().flat_map(|(_, l)| l.prompts.iter()).collect();
        let prompts = shown(&prompts, |item| (&item.upstream, &item.name), |item| &item.definition);
        let resources = as_they_are(listings.iter().flat_map(|(_, l)| l.resources.iter()));
        let templates = as_they_are(listings.iter().flat_map(|(_, l)| l.templates.iter()));
        Self {
            endpoint: Arc::clone(&plan.name),
            epoch,
            upstreams: plan.upstreams.clone(),
            ttl_ms: listings.iter().map(|(_, l)| l.ttl_ms).min().unwrap_or(0),
            tools_by_name: index(&tools),
            prompts_by_name: index(&prompts),
            resources_by_uri: index(&resources),
            listings,
            unavailable,
            settled,
            tools,
            prompts,
            resources,
            templates,
        }
    }

    /// The tool that clients call `name`.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Shown<Tool>> {
        self.tools.get(*self.tools_by_name.get(name)?)
    }

    /// The prompt that clients call `name`.
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<&Shown<Item>> {
        self.prompts.get(*self.prompts_by_name.get(name)?)
    }

    /// The upstream that owns `uri`: the one that lists it, else the first with a template for it, else the only one that
    /// has resources at all (a server may serve URIs that it does not list).
    #[must_use]
    pub fn owner_of(&self, uri: &str) -> Option<Arc<str>> {
        if let Some(resource) = self
            .resources_by_uri
            .get(uri)
            .and_then(|index| self.resources.get(*index))
        {
            return Some(Arc::clone(&resource.item.upstream));
        }
        if let Some(template) = self.templates.iter().find(|t| t.item.template_matches(uri)) {
            return Some(Arc::clone(&template.item.upstream));
        }
        let mut candidates = self
            .listings
            .iter()
            .filter(|(_, listing)| listing.greeting.capabilities.get("resources").is_some());
        match (candidates.next(), candidates.next()) {
            (Some((only, _)), None) => Some(Arc::clone(only)),
            _ => None,
        }
    }

    /// Where what has no other address goes: the only upstream of this endpoint, or of several the only one that declares
    /// an extension with methods of its own.
    #[must_use]
    pub fn sole_upstream(&self) -> Option<&Arc<str>> {
        match self.upstreams.as_slice() {
            [only] => Some(only),
            _ => self.only_with(extensions::wants_methods),
        }
    }

    /// Where a subscription to tasks goes: the only upstream of this endpoint, or of several the only one that has tasks as
    /// an extension.
    #[must_use]
    pub fn tasks_upstream(&self) -> Option<&Arc<str>> {
        match self.upstreams.as_slice() {
            [only] => Some(only),
            _ => self.only_with(extensions::has_tasks),
        }
    }

    fn only_with(&self, is_meant: impl Fn(&Raw) -> bool) -> Option<&Arc<str>> {
        let mut meant = self
            .listings
            .iter()
            .filter(|(_, listing)| is_meant(&listing.greeting.capabilities));
        match (meant.next(), meant.next()) {
            (Some((only, _)), None) => Some(only),
            _ => None,
        }
    }

    /// The listing of one upstream, if it is present.
    #[must_use]
    pub fn listing(&self, upstream: &str) -> Option<&Arc<Listing>> {
        self.listings
            .iter()
            .find(|(name, _)| &**name == upstream)
            .map(|(_, listing)| listing)
    }
}

fn index<T>(shown: &[Shown<T>]) -> HashMap<Arc<str>, usize> {
    let mut index = HashMap::with_capacity(shown.len());
    for (at, item) in shown.iter().enumerate() {
        // The first wins, as in the list.
        index.entry(Arc::clone(&item.name)).or_insert(at);
    }
    index
}

fn shown<T>(items: &[&Arc<T>], key: impl Fn(&T) -> (&str, &str), definition: impl Fn(&T) -> &Raw) -> Vec<Shown<T>> {
    let pairs: Vec<_> = items.iter().map(|item| key(item)).collect();
    names::expose(&pairs)
        .into_iter()
        .zip(items)
        .map(|(name, item)| {
            let (_, own) = key(item);
            Shown {
                text: match name == own {
                    true => definition(item).bytes(),
                    false => renamed(definition(item), &name),
                },
                name: name.into(),
                item: Arc::clone(item),
            }
        })
        .collect()
}

fn renamed(definition: &Raw, name: &str) -> Bytes {
    let mut edits = Edits::of(definition.bytes());
    // The definition was read as an object when it was listed; were it none, the text stays as it was.
    let _ = edits.set(0, "name", &json::string(name));
    edits.finish().into_bytes()
}

fn as_they_are<'a>(items: impl Iterator<Item = &'a Arc<Item>>) -> Vec<Shown<Item>> {
    let mut seen = std::collections::HashSet::new();
    items
        .filter(|item| seen.insert(Arc::clone(&item.name)))
        .map(|item| Shown {
            name: Arc::clone(&item.name),
            text: item.definition.bytes(),
            item: Arc::clone(item),
        })
        .collect()
}

/// Whether `name` matches `pattern`, in which `*` stands for any characters.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|prefix| name.strip_prefix(prefix)) else {
        return false;
    };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let mut last = "";
    for part in parts {
        last = part;
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    last.is_empty() || name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs() {
        assert!(glob("get_*", "get_customer"));
        assert!(glob("*", "anything"));
        assert!(glob("a*b*c", "a--b--c"));
        assert!(!glob("get_*", "set_customer"));
        assert!(!glob("get", "get_customer"));
        assert!(!glob("*_customer", "get_account"));
        assert!(glob("*ab", "abab"));
    }
}
