//! The names that policies may use, looked up in the catalog and among those who may come in. It must not know policies, but for
//! the entities and texts that they name.

use super::model::{Action, CatalogFacts, ServerFacts, Target, TargetKind};
use super::schema;
use crate::catalog::closest;
use crate::identity::{Nameable, Party};
use cedar_policy::EntityUid;
use std::collections::{HashMap, HashSet};

/// What a problem means for the files that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    /// An error: they are not put in force.
    Bars,
    /// An error, but one that a server can cause by changing what it has, or that shows in refused calls alone: they are put in
    /// force all the same, and what the rest of them says holds.
    Stays,
    /// See [`Severity::Warning`](super::Severity::Warning).
    Warning,
}

/// The known names of the catalog, to look names of policies up in.
pub(super) struct Names<'a> {
    /// Upstream to "is down, or has not been listed yet".
    servers: HashMap<&'a str, bool>,
    tools: HashSet<(&'a str, &'a str)>,
    prompts: HashSet<(&'a str, &'a str)>,
    endpoints: &'a [String],
    people: Option<&'a Nameable>,
}

impl<'a> Names<'a> {
    pub(super) fn new(facts: &'a CatalogFacts) -> Self {
        let server = |server: &'a ServerFacts| (server.name.as_str(), server.unavailable);
        Self {
            servers: facts.servers.iter().map(server).collect(),
            tools: facts
                .tools
                .iter()
                .map(|tool| (tool.server.as_str(), tool.name.as_str()))
                .collect(),
            prompts: facts
                .prompts
                .iter()
                .map(|prompt| (prompt.server.as_str(), prompt.name.as_str()))
                .collect(),
            endpoints: &facts.endpoints,
            people: facts.people.as_ref(),
        }
    }

    /// What is wrong with an entity that a policy names; `None` when it is known, or of a type that nobody can list.
    pub(super) fn unknown(&self, uid: &EntityUid) -> Option<(Grade, String, Option<String>)> {
        let kind = uid.type_name().to_string();
        if kind == "Action" {
            return unknown_action(uid.id().as_ref());
        }
        let kind = TargetKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let id: &str = uid.id().as_ref();
        let Some(target) = Target::parse(kind, id) else {
            let message = format!("`{uid}` names no upstream");
            let hint = format!("the id of a {} is `upstream/name`", kind.as_str());
            return Some((Grade::Bars, message, Some(hint)));
        };
        let meant = |near: String| format!("did you mean `{}::{}`?", kind.as_str(), schema::quoted(&near));
        let error = |message: String, near: Option<String>| Some((Grade::Bars, message, near.map(meant)));
        if let Target::Endpoint { path } = target {
            let known = self.endpoints.is_empty() || self.endpoints.iter().any(|endpoint| endpoint == path);
            let near = || closest(path, self.endpoints.iter().map(String::as_str));
            return if known {
                None
            } else {
                error(format!("there is no endpoint `{path}`"), near().map(str::to_owned))
            };
        }
        let server = target.server()?;
        let Some(unavailable) = self.servers.get(server) else {
            let near = closest(server, self.servers.keys().copied());
            let near = near.map(|near| id.replacen(server, near, 1));
            return error(format!("there is no upstream `{server}`"), near);
        };
        let (known, names) = match target {
            Target::Tool { name, .. } => (self.tools.contains(&(server, name)), &self.tools),
            Target::Prompt { name, .. } => (self.prompts.contains(&(server, name)), &self.prompts),
            _ => return None,
        };
        match (known, unavailable) {
            (true, _) => None,
            (false, true) => {
                let message = format!("`{uid}` is not known, for `{server}` is down or not listed yet");
                Some((Grade::Warning, message, Some("check again when it is up".to_owned())))
            }
            (false, false) => {
                let names = names.iter().filter(|(of, _)| *of == server).map(|(_, name)| *name);
                let wanted = id.split_once('/').map_or("", |(_, name)| name);
                let near = closest(wanted, names).map(|near| format!("{server}/{near}"));
                // A server may lose a tool at any time, and what the other policies say must hold all the same. This one never
                // matches, which is what Cedar makes of an entity that is not there.
                let message = format!("`{server}` has no {} `{wanted}`", kind.as_str().to_lowercase());
                Some((Grade::Stays, message, near.map(meant)))
            }
        }
    }
}

/// How near to an issuer's prefix the begin of a name is that was meant to begin so, from 0 to 1.
const PREFIX_LIKENESS_MIN: f64 = 0.8;
/// Most issuers that a hint tells of.
const ISSUERS_TOLD_MAX: usize = 3;

impl Names<'_> {
    /// What is wrong with the name of a principal or group that no credential gives, in `policy`. A key may be made at any time:
    /// it is told only where tokens may name such parties, or the name is written as theirs are.
    pub(super) fn nobody(&self, uid: &EntityUid, policy: &str) -> Option<(Grade, String, Option<String>)> {
        let people = self.people?;
        let kind = uid.type_name().to_string();
        let party = Party::ALL.into_iter().find(|party| party.as_str() == kind)?;
        let name: &str = uid.id().as_ref();
        let of_token = name.contains("://");
        let is_asked = of_token || people.prefixes(party).next().is_some();
        if !is_asked || people.has(party, name) {
            return None;
        }
        let message = format!(
            "policy `{}` names `{uid}`, which nobody is: no key has that name, and no issuer's tokens give it",
            policy.escape_debug()
        );
        let written = |name: &str| format!("`{}::{}`", party.as_str(), schema::quoted(name));
        let near = people.prefixes(party).find_map(|prefix| meant_by(name, prefix));
        let ways: Vec<String> = people
            .prefixes(party)
            .take(ISSUERS_TOLD_MAX)
            .map(|prefix| written(&format!("{prefix}{}", if of_token { ".." } else { name })))
            .collect();
        let ways = ways.join(" or ");
        let hint = match (near, ways.is_empty(), party) {
            (Some(near), ..) => format!("did you mean {}?", written(&near)),
            (None, true, _) => "no issuer is configured whose tokens give such names, `[[identity.jwt]]`".to_owned(),
            (None, false, _) if of_token => format!("from a token it is {ways}"),
            (None, false, Party::Group) => format!("from a token it is {ways}; or make a key, `--group`"),
            (None, false, _) => format!("from a token it is {ways}; or make a key, `portcullis key create`"),
        };
        Some((Grade::Warning, message, Some(hint)))
    }

    /// What is wrong with a text that `policy` compares `principal.issuer` with.
    pub(super) fn unknown_issuer(&self, issuer: &str, policy: &str) -> Option<(Grade, String, Option<String>)> {
        let people = self.people?;
        if people.issuers().any(|known| known == issuer) {
            return None;
        }
        let (policy, quoted) = (policy.escape_debug(), schema::quoted(issuer));
        let message = format!("policy `{policy}` asks for the issuer {quoted}, which is not configured");
        let known: Vec<String> = people.issuers().take(ISSUERS_TOLD_MAX).map(schema::quoted).collect();
        let hint = match (closest(issuer, people.issuers()), known.is_empty()) {
            (Some(near), _) => format!("did you mean {}?", schema::quoted(near)),
            (None, true) => "there is none, `[[identity.jwt]]`".to_owned(),
            (None, false) => format!("there is {}", known.join(", ")),
        };
        Some((Grade::Warning, message, Some(hint)))
    }
}

/// The name with the prefix that it was probably meant to have: one that ends with the same mark and is nearly the same.
fn meant_by(name: &str, prefix: &str) -> Option<String> {
    let mark = prefix.chars().next_back()?;
    let times = prefix.matches(mark).count();
    let (at, found) = name.match_indices(mark).nth(times.checked_sub(1)?)?;
    let (head, rest) = name.split_at_checked(at.checked_add(found.len())?)?;
    let likeness = strsim::normalized_damerau_levenshtein(head, prefix);
    (likeness >= PREFIX_LIKENESS_MIN && !rest.is_empty()).then(|| format!("{prefix}{rest}"))
}

/// The id of what was probably meant by a target that is not in the catalog; `None` when it is there, when nothing is like it, or
/// when nobody can list such things.
#[must_use]
pub fn nearest(facts: &CatalogFacts, target: &Target<'_>) -> Option<String> {
    let names = Names::new(facts);
    let other = |id: &str, near: Option<&str>| near.filter(|near| *near != id).map(str::to_owned);
    let server = match target {
        Target::Endpoint { path } => return other(path, closest(path, facts.endpoints.iter().map(String::as_str))),
        _ => target.server()?,
    };
    let near_server = match names.servers.get_key_value(server) {
        Some((known, _)) => *known,
        None => closest(server, names.servers.keys().copied())?,
    };
    let (name, known) = match *target {
        Target::Tool { name, .. } => (name, &names.tools),
        Target::Prompt { name, .. } => (name, &names.prompts),
        Target::Resource { uri, .. } => return other(server, Some(near_server)).map(|near| format!("{near}/{uri}")),
        Target::Server { .. } | Target::Endpoint { .. } => return other(server, Some(near_server)),
    };
    let of_server = known.iter().filter(|(of, _)| *of == near_server).map(|(_, name)| *name);
    let near = format!("{near_server}/{}", closest(name, of_server)?);
    other(&target.id(), Some(&near))
}

fn unknown_action(id: &str) -> Option<(Grade, String, Option<String>)> {
    let ids = Action::ALL.map(Action::id);
    if ids.contains(&id) {
        return None;
    }
    let hint = match closest(id, ids.into_iter()) {
        Some(near) => format!("did you mean `Action::{}`?", schema::quoted(near)),
        None => format!("there are {}", ids.join(", ")),
    };
    Some((Grade::Bars, format!("there is no action `{id}`"), Some(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::bank;

    #[test]
    fn what_was_probably_meant_is_in_the_catalog() {
        for (kind, id, meant) in [
            (TargetKind::Tool, "bank/transfr", Some("bank/transfer")),
            (TargetKind::Tool, "bnk/trasnfer", Some("bank/transfer")),
            (TargetKind::Tool, "bank/transfer", None),
            (TargetKind::Tool, "bank/quite-other", None),
            (TargetKind::Tool, "bank/search", None),
            (TargetKind::Tool, "elsewhere/transfer", None),
            // Down: its names are not known.
            (TargetKind::Tool, "far/transfer", None),
            (TargetKind::Prompt, "bank/leter", Some("bank/letter")),
            (TargetKind::Resource, "bnk/bank://x", Some("bank/bank://x")),
            (TargetKind::Resource, "bank/bank://x", None),
            (TargetKind::Server, "shp", Some("shop")),
            (TargetKind::Server, "shop", None),
            (TargetKind::Endpoint, "/mcq", Some("/mcp")),
            (TargetKind::Endpoint, "/mcp", None),
        ] {
            let target = Target::parse(kind, id).unwrap();
            assert_eq!(nearest(&bank(), &target).as_deref(), meant, "{id}");
        }
    }
}
