//! What keys of the file mean together: names that must be unique or exist, keys that exclude or want each other, files
//! that must be there. It reads the parsed text and not the types, so that one wrong value elsewhere hides nothing, and it
//! leaves alone what `shape` found damaged.

use super::file::{ListenLimits, PREFIX_BYTES_MAX, default_prefix};
use super::name::{ListenAddress, Name, ServerUrl};
use super::problem::Problem;
use super::secret::is_secret_name;
use super::shape::{element, list, member, nearest};
use portcullis_gateway::identity::share_names;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Checks `table` and returns what is wrong.
pub(crate) fn check(table: &DeTable<'_>, damaged: &HashSet<String>, base: &Path) -> Vec<Problem> {
    let root = Section {
        path: String::new(),
        anchor: 0..0,
        table,
    };
    let mut check = Check {
        damaged,
        base,
        problems: Vec::new(),
    };
    let upstreams = root.elements("upstream");
    let names = check.unique_names(&upstreams, &BTreeMap::new(), "upstream");
    for upstream in &upstreams {
        check.upstream(upstream);
    }
    let endpoints = root.elements("endpoint");
    check.unique_names(&endpoints, &names, "endpoint");
    for endpoint in &endpoints {
        check.endpoint(endpoint, &names);
    }
    check.listen(&root);
    check.identity(&root);
    check.policy(&root);
    check.record(&root);
    check.problems
}

/// What stands before the names of an issuer's callers and of their groups.
struct Prefixes {
    subject: String,
    group: String,
}

/// One table of the file.
struct Section<'a> {
    path: String,
    /// Where to point when something is missing.
    anchor: Range<usize>,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    fn key(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    fn text(&self, key: &str) -> Option<(&'a str, Range<usize>)> {
        text(self.value(key)?)
    }

    fn number(&self, key: &str) -> Option<(u64, Range<usize>)> {
        let value = self.value(key)?;
        let number = value.get_ref().as_integer()?;
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok()?;
        Some((number, value.span()))
    }

    fn is_true(&self, key: &str) -> bool {
        self.value(key).and_then(|value| value.get_ref().as_bool()) == Some(true)
    }

    /// The strings of a list; what is no string has been reported.
    fn texts(&self, key: &str) -> Vec<(&'a str, Range<usize>)> {
        let array = self.value(key).and_then(|value| value.get_ref().as_array());
        array
            .into_iter()
            .flat_map(|array| array.iter())
            .filter_map(text)
            .collect()
    }

    fn section(&self, key: &str) -> Option<Section<'a>> {
        let (name, value) = self.table.get_key_value(key)?;
        Some(Section {
            path: member(&self.path, key),
            anchor: name.span(),
            table: value.get_ref().as_table()?,
        })
    }

    fn elements(&self, key: &str) -> Vec<Section<'a>> {
        let path = member(&self.path, key);
        let array = self.value(key).and_then(|value| value.get_ref().as_array());
        array
            .into_iter()
            .flat_map(|array| array.iter().enumerate())
            .filter_map(|(index, value)| {
                Some(Section {
                    path: element(&path, index),
                    anchor: value.span(),
                    table: value.get_ref().as_table()?,
                })
            })
            .collect()
    }

    /// The entries of a table of values, such as `env`.
    fn entries(&self, key: &str) -> Vec<(&'a str, Range<usize>)> {
        let table = self.value(key).and_then(|value| value.get_ref().as_table());
        table
            .into_iter()
            .flat_map(|table| table.iter())
            .map(|(key, _)| (key.get_ref().as_ref(), key.span()))
            .collect()
    }
}

fn text<'a>(value: &'a Spanned<DeValue<'a>>) -> Option<(&'a str, Range<usize>)> {
    Some((value.get_ref().as_str()?, value.span()))
}

struct Check<'a> {
    damaged: &'a HashSet<String>,
    base: &'a Path,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::at(span, message, hint));
    }

    fn is_whole(&self, section: &Section<'_>) -> bool {
        !self.damaged.contains(&section.path)
    }

    /// Names of `sections`, each with its place; a name that is there twice, or in `taken`, is reported.
    fn unique_names(
        &mut self,
        sections: &[Section<'_>],
        taken: &BTreeMap<String, Range<usize>>,
        what: &str,
    ) -> BTreeMap<String, Range<usize>> {
        let mut names = BTreeMap::new();
        for section in sections {
            let Some((name, span)) = section.text("name") else {
                continue;
            };
            if taken.contains_key(name) {
                self.report(
                    span.clone(),
                    format!("`{name}` is the name of an upstream already"),
                    format!("`/mcp/{name}` can lead to one place: choose another name"),
                );
            } else if names.contains_key(name) {
                self.report(
                    span.clone(),
                    format!("a second {what} is called `{name}`"),
                    "choose another name",
                );
            }
            names.entry(name.to_owned()).or_insert(span);
        }
        names
    }

    fn upstream(&mut self, upstream: &Section<'_>) {
        if !self.is_whole(upstream) {
            return;
        }
        let name = upstream.text("name").map_or("?", |(name, _)| name);
        let mut ways = Vec::new();
        for way in ["url", "command", "demo"] {
            // `demo = false` says nothing.
            if way != "demo" || upstream.is_true("demo") {
                ways.extend(upstream.key(way).map(|span| (way, span)));
            }
        }
        match ways.as_slice() {
            [] => self.report(
                upstream.anchor.clone(),
                format!("upstream `{name}` has no way to be reached"),
                "add `url = \"https://...\"`, `command = [\"program\", \"argument\"]` or `demo = true`",
            ),
            [_] => {}
            [(first, _), rest @ ..] => {
                for (way, span) in rest {
                    self.report(
                        span.clone(),
                        format!("upstream `{name}` has both `{first}` and `{way}`"),
                        "keep one of them, or write two upstreams",
                    );
                }
            }
        }
        if let [(way, _)] = ways.as_slice() {
            self.only_with(
                upstream,
                *way == "command",
                "command",
                &["env", "inherit_env", "working_directory"],
            );
            self.only_with(upstream, *way == "url", "url", &["headers", "tls"]);
        }
        self.upstream_command(upstream);
        self.upstream_url(upstream);
    }

    fn only_with(&mut self, upstream: &Section<'_>, holds: bool, way: &str, keys: &[&str]) {
        for key in keys {
            if !holds && let Some(span) = upstream.key(key) {
                self.report(
                    span,
                    format!("`{key}` means nothing without `{way}`"),
                    format!("remove `{key}`"),
                );
            }
        }
    }

    fn upstream_command(&mut self, upstream: &Section<'_>) {
        if let Some(("", span)) = upstream.texts("command").into_iter().next() {
            self.report(
                span,
                "the program of `command` is empty",
                "name a program, then its arguments",
            );
        }
        for key in ["command", "env"] {
            let nul = upstream.texts(key).into_iter().find(|(text, _)| text.contains('\0'));
            if let Some((_, span)) = nul {
                self.report(span, format!("`{key}` contains a NUL byte"), "remove it");
            }
        }
        for (name, span) in upstream.entries("env") {
            if name.is_empty() || name.contains(['=', '\0']) {
                self.report(
                    span,
                    format!("`{}` is no name of an environment variable", name.escape_debug()),
                    "letters, digits and `_`",
                );
            }
        }
        if let Some((directory, span)) = upstream.text("working_directory")
            && !self.base.join(directory).is_dir()
        {
            self.report(
                span,
                format!("`{directory}` is no directory"),
                "make it, or correct the path; it is relative to this file",
            );
        }
    }

    fn upstream_url(&mut self, upstream: &Section<'_>) {
        for (name, span) in upstream.entries("headers") {
            if name.parse::<http::HeaderName>().is_err() {
                self.report(
                    span,
                    format!("`{}` is no name of a header", name.escape_debug()),
                    "letters, digits and `-`",
                );
            } else if is_own_header(name) {
                self.report(
                    span,
                    format!("the header `{name}` is the gateway's own"),
                    "remove it: the protocol decides its value",
                );
            }
        }
        let headers = upstream.section("headers");
        for (name, _) in upstream.entries("headers") {
            let plain = headers.as_ref().and_then(|headers| headers.text(name));
            if let Some((value, span)) = plain
                && !is_secret_name(name)
                && http::HeaderValue::from_str(value).is_err()
            {
                self.report(
                    span,
                    format!("`{name}`: a header cannot hold this value"),
                    "visible ASCII characters and spaces",
                );
            }
        }
        let Some((url, url_span)) = upstream.text("url") else {
            return;
        };
        let Ok(url) = url.parse::<ServerUrl>() else { return };
        let secret = upstream.section("headers").and_then(|headers| {
            headers
                .table
                .values()
                .find(|value| value.get_ref().is_table())
                .map(Spanned::span)
        });
        if !url.is_https() && !url.is_loopback() && secret.is_some() {
            self.report(
                url_span,
                format!("`{url}` would carry a secret in clear"),
                "use `https`, or remove the secret from `headers`",
            );
        }
        let Some(tls) = upstream.section("tls") else { return };
        if !url.is_https() {
            self.report(
                tls.anchor.clone(),
                format!("`tls` means nothing for `{url}`"),
                "use `https` in `url`, or remove `tls`",
            );
        }
        for (key, other) in [("certificate", "key"), ("key", "certificate")] {
            if let (Some(span), None) = (tls.key(key), tls.key(other)) {
                self.report(
                    span,
                    format!("`{key}` wants `{other}` beside it"),
                    format!("add `{other}`"),
                );
            }
        }
        for key in ["ca", "certificate", "key"] {
            self.readable(&tls, key);
        }
    }

    fn endpoint(&mut self, endpoint: &Section<'_>, upstreams: &BTreeMap<String, Range<usize>>) {
        let known = || upstreams.keys().map(String::as_str);
        let unknown = |name: &str| match nearest(name, known()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => match known().collect::<Vec<_>>().as_slice() {
                [] => "there is no `[[upstream]]` in this file".to_owned(),
                names => format!("one of {}", list(names)),
            },
        };
        let members = endpoint.texts("upstreams");
        for (index, (name, span)) in members.iter().enumerate() {
            // A word that is no name at all has been reported.
            if name.parse::<Name>().is_err() {
                continue;
            }
            if !upstreams.contains_key(*name) {
                self.report(span.clone(), format!("no upstream is called `{name}`"), unknown(name));
            } else if members.iter().take(index).any(|(earlier, _)| earlier == name) {
                self.report(span.clone(), format!("`{name}` is listed twice"), "remove one");
            }
        }
        for (pattern, span) in endpoint.texts("tools") {
            let Some((upstream, tool)) = pattern.split_once('/') else {
                self.report(
                    span,
                    format!("`{pattern}` names no upstream"),
                    format!("write `UPSTREAM/TOOL`, for example `*/{pattern}`"),
                );
                continue;
            };
            if tool.is_empty() || upstream.is_empty() {
                self.report(
                    span,
                    format!("`{pattern}` names nothing"),
                    "write `UPSTREAM/TOOL`, where `*` stands for any text",
                );
            } else if !members.is_empty() && !members.iter().any(|(name, _)| glob(upstream, name)) {
                self.report(
                    span,
                    format!("`{pattern}` can match no tool of this endpoint"),
                    format!(
                        "it has the upstreams {}",
                        list(&members.iter().map(|(name, _)| *name).collect::<Vec<_>>())
                    ),
                );
            }
        }
    }

    fn listen(&mut self, root: &Section<'_>) {
        let Some(listen) = root.section("listen") else { return };
        if let Some(tls) = listen.section("tls") {
            for key in ["certificate", "key", "client_ca"] {
                self.readable(&tls, key);
            }
        }
        for (host, span) in listen.texts("hosts") {
            if host.contains("//") || host.parse::<http::uri::Authority>().is_err() || host.contains('@') {
                self.report(
                    span,
                    format!("`{host}` is no name of a host"),
                    "`NAME` or `NAME:PORT`, for example `gateway.example.org`",
                );
            }
        }
        for (origin, span) in listen.texts("origins") {
            if !is_origin(origin) {
                self.report(
                    span,
                    format!("`{origin}` is no web origin"),
                    "scheme, host and port alone, for example `https://inspector.example.org`",
                );
            }
        }
        if let Some(limits) = listen.section("limits")
            && let Some((of_caller, span)) = limits.number("sessions_per_caller_max")
        {
            let all = limits.number("sessions_max").map(|(all, _)| all);
            let all = all.unwrap_or(ListenLimits::default().sessions_max as u64);
            if of_caller > all {
                self.report(
                    span,
                    format!("one caller may have {of_caller} sessions, and `sessions_max` is {all}"),
                    "lower it, so that one caller cannot have all of them",
                );
            }
        }
        let Some((address, span)) = listen.text("address") else {
            return;
        };
        let Ok(address) = address.parse::<ListenAddress>() else {
            return;
        };
        if address.is_loopback() || !self.is_whole(&listen) {
            return;
        }
        if listen.key("tls").is_none() && !listen.is_true("danger_plaintext") {
            self.report(
                span.clone(),
                format!("`{address}` can be reached from other machines and has no `tls`"),
                "add `tls = { certificate = \"...\", key = \"...\" }`; `danger_plaintext = true` only behind something that encrypts",
            );
        }
        if listen.texts("hosts").is_empty() {
            self.report(
                span,
                format!("`{address}` can be reached from other machines and has no `hosts`"),
                "add the names by which clients reach it, for example `hosts = [\"gateway.example.org\"]`",
            );
        }
    }

    fn identity(&mut self, root: &Section<'_>) {
        let Some(identity) = root.section("identity") else {
            return;
        };
        let address = root
            .section("listen")
            .and_then(|listen| listen.text("address")?.0.parse::<ListenAddress>().ok());
        if let Some(span) = identity.key("anonymous")
            && let Some(address) = address
            && !address.is_loopback()
        {
            self.report(
                span,
                format!("`anonymous` is for loopback addresses, and `listen.address` is `{address}`"),
                "remove it and give callers keys (`portcullis key create`), or listen on `127.0.0.1`",
            );
        }
        let mut before: Vec<(&str, Prefixes)> = Vec::new();
        for jwt in identity.elements("jwt") {
            self.readable(&jwt, "jwks");
            for key in ["subject_prefix", "group_prefix"] {
                if let Some((prefix, span)) = jwt.text(key)
                    && prefix.contains(char::is_control)
                {
                    self.report(
                        span,
                        format!("`{key}` `{}` holds a control character", prefix.escape_debug()),
                        "take it out",
                    );
                }
            }
            if let Some((issuer, span)) = jwt.text("issuer") {
                let prefixes = self.issuer(&jwt, issuer, span, &before);
                before.push((issuer, prefixes));
            }
        }
    }

    /// One issuer and those before it; its prefixes.
    fn issuer(&mut self, jwt: &Section<'_>, issuer: &str, span: Range<usize>, before: &[(&str, Prefixes)]) -> Prefixes {
        let own = jwt.text("subject_prefix");
        let prefix = own
            .as_ref()
            .map_or_else(|| default_prefix(issuer), |(own, _)| (*own).to_owned());
        let group = jwt.text("group_prefix").map(|(own, _)| own.to_owned());
        let group = group.unwrap_or_else(|| prefix.clone());
        if own.is_none() && prefix.len() > PREFIX_BYTES_MAX {
            self.report(
                span.clone(),
                format!("the issuer is too long to stand before the name of each caller (more than {PREFIX_BYTES_MAX} bytes)"),
                "give it a shorter `subject_prefix`, for example `subject_prefix = \"corp:\"`",
            );
        }
        if before.iter().any(|(other, _)| *other == issuer) {
            self.report(
                span,
                format!("the issuer `{issuer}` is there twice"),
                "keep one: a token is good for one `audience`, which is this gateway; keys of both go into one `jwks`",
            );
        } else if let Some((other, theirs)) = before.iter().find(|(_, theirs)| share_names(&theirs.subject, &prefix)) {
            self.report(
                own.map_or(span, |(_, span)| span),
                format!(
                    "`{issuer}` (prefix `{}`) and `{other}` (prefix `{}`) could name the same caller",
                    prefix.escape_debug(),
                    theirs.subject.escape_debug()
                ),
                "give each a `subject_prefix`, neither of which begins with the other, or leave them out",
            );
        } else {
            let place = jwt.text("group_prefix").or(own).map_or(span, |(_, span)| span);
            self.groups(issuer, &group, place, before);
        }
        Prefixes { subject: prefix, group }
    }

    /// Issuers may share all groups, by one prefix or none. A prefix that begins with another's is an accident: whoever names the
    /// groups of the one then has those of the other.
    fn groups(&mut self, issuer: &str, prefix: &str, place: Range<usize>, before: &[(&str, Prefixes)]) {
        let by_accident =
            |theirs: &str| theirs != prefix && ![theirs, prefix].contains(&"") && share_names(theirs, prefix);
        if let Some((other, theirs)) = before.iter().find(|(_, theirs)| by_accident(&theirs.group)) {
            self.report(
                place,
                format!(
                    "`{issuer}` (prefix `{}`) and `{other}` (prefix `{}`) could name the same group",
                    prefix.escape_debug(),
                    theirs.group.escape_debug()
                ),
                "give each a `group_prefix`, neither of which begins with the other, or both the same if they shall share groups",
            );
        }
    }

    fn policy(&mut self, root: &Section<'_>) {
        let Some(policy) = root.section("policy") else { return };
        if let (Some(_), Some(span)) = (policy.key("file"), policy.key("files")) {
            self.report(span, "both `file` and `files` are there", "move the one into the other");
        }
        if policy.is_true("danger_disabled")
            && let Some(span) = policy.key("file").or_else(|| policy.key("files"))
        {
            self.report(
                span,
                "policies have no effect with `danger_disabled`: everything is permitted",
                "remove `danger_disabled`, or this",
            );
        }
        self.readable(&policy, "file");
        for (path, span) in policy.texts("files") {
            self.readable_at(path, span);
        }
    }

    fn record(&mut self, root: &Section<'_>) {
        let Some(record) = root.section("record") else { return };
        if let Some((origin, span)) = record.text("origin") {
            // C2SP signed-note: key names hold no spaces and no plus; tlog-checkpoint: the origin is one line.
            if origin.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') || origin.contains("://") {
                self.report(
                    span,
                    format!("`{}` cannot be the origin of a log", origin.escape_debug()),
                    "a schema-less URL without spaces and `+`, for example `example.org/portcullis`",
                );
            }
        }
        if record.is_true("danger_disabled")
            && let Some(span) = record.key("durability")
        {
            self.report(
                span,
                "`durability` means nothing without a record",
                "remove `danger_disabled`, or this",
            );
        }
    }

    fn readable(&mut self, section: &Section<'_>, key: &str) {
        if let Some((path, span)) = section.text(key) {
            self.readable_at(path, span);
        }
    }

    fn readable_at(&mut self, path: &str, span: Range<usize>) {
        if path.is_empty() {
            return;
        }
        if path.contains("-----BEGIN") {
            let problem = Problem::at(
                span,
                "the key or certificate itself stands where its file should be named",
                "put it in a file and write the path: secrets do not stand in this file",
            );
            self.problems.push(problem.concealed());
            return;
        }
        let full = self.base.join(path);
        let error = match std::fs::File::open(&full).and_then(|file| file.metadata()) {
            Ok(metadata) if metadata.is_file() => return,
            Ok(_) => "it is no file".to_owned(),
            Err(error) => error.to_string(),
        };
        self.report(
            span,
            format!("cannot read `{path}`: {error}"),
            "correct the path; it is relative to this file",
        );
    }
}

/// Headers whose value the protocol or the transport decides.
fn is_own_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("mcp-")
        || matches!(
            name.as_str(),
            "accept"
                | "connection"
                | "content-length"
                | "content-type"
                | "host"
                | "last-event-id"
                | "te"
                | "transfer-encoding"
                | "upgrade"
        )
}

/// RFC 6454 section 6.2: scheme, host, port, and nothing after.
fn is_origin(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
            && !text.ends_with('/')
            && uri.path() == "/"
            && uri.query().is_none()
    })
}

/// Whether `pattern`, in which `*` stands for any text, matches all of `text`. Linear in both for one star, and bounded
/// by their product for many: no pattern can blow it up.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    // The leftmost match of each piece leaves the most for those after it.
    let mut rest = rest;
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text) in [
            ("*", ""),
            ("a*", "a"),
            ("a*c", "abc"),
            ("*b*", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("abc", "abc"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", "ab"),
            ("a*b", "a"),
            ("a*a", "a"),
            ("*b*", "ac"),
            ("ab*ba", "aba"),
        ] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn origins_have_no_path() {
        for good in ["http://localhost:6274", "https://a.example"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["https://a.example/", "a.example", "null", "https://a/x", "ftp://a"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn names_near_by_are_offered() {
        assert_eq!(nearest("adress", ["address", "threads"]), Some("address"));
        assert_eq!(nearest("zzz", ["address", "threads"]), None);
    }
}
