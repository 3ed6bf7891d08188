//! `up` and `wrap`: the gateway running, until it is told to stop.

use crate::build::{self, Lasting};
use crate::cli::exit;
use crate::config::Environment;
use crate::config::environment::LOG_VARIABLE;
use crate::config::file::LogFormat;
use crate::failure::{Failure, counted};
use crate::plan::{OWNER, Plan};
use portcullis_gateway::Gateway;
use portcullis_gateway::catalog::Known;
use portcullis_gateway::identity::{NewKey, SubjectKind};
use portcullis_gateway::policy;
use portcullis_store::files;
use portcullis_transport::child::{become_subreaper, reap_orphans};
use portcullis_transport::server::{HttpServer, Options, OwnStdio, ServerLimits, StdioEnd, StdioOptions, serve_stdio};
use portcullis_transport::tls::{ServerTls, ServerTlsFiles};
use portcullis_transport::{BoxFuture, Handled, Handler, Inbound, Knock};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::io::IsTerminal;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Processes of `wrap` that may begin in one second with one number.
const RECORDS_A_SECOND_MAX: usize = 256;

/// The gateway in force; a reload swaps it.
#[derive(Clone)]
struct InForce(Arc<RwLock<Arc<Gateway>>>);

impl InForce {
    fn new(gateway: Arc<Gateway>) -> Self {
        Self(Arc::new(RwLock::new(gateway)))
    }

    fn now(&self) -> Arc<Gateway> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn swap(&self, gateway: Arc<Gateway>) -> Arc<Gateway> {
        std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), gateway)
    }

    fn handler(&self) -> Arc<Handler> {
        let own = self.clone();
        Arc::new(move |inbound: Box<Inbound>| -> BoxFuture<'static, Handled> { Box::pin(own.now().handle(inbound)) })
    }
}

/// Runs the gateway over HTTP.
pub(crate) async fn up(plan: Plan, again: impl Fn() -> Result<Plan, Failure>) -> Result<(), Failure> {
    log(&plan);
    mind_children();
    build::prepare(&plan);
    let mut key = first_key(&plan)?;
    // Before anything is read of them: what changes from here on is a change.
    let mut seen = fingerprint(&plan);
    let lasting = Lasting::open(&plan, &plan.record_directory())?;
    let (gateway, _) = build::gateway(&plan, &lasting).map_err(|failure| for_other_servers(&plan, failure))?;
    let in_force = InForce::new(gateway);
    let mut ending = Ending::listen()?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(Failure::cannot)?;
    let server = serve(&plan, &in_force)?;
    let start = async {
        let first = build::first_policy(&plan, &in_force.now()).await;
        in_force.now().settled(Duration::from_secs(15)).await;
        first
    };
    let mut is_over = tokio::select! {
        first = start => {
            let is_first = first?;
            if is_first {
                // Our own writing is no news.
                seen.extend(plan.policy_files().0.into_iter().map(|path| {
                    let written = written(&path);
                    (path, written)
                }));
            }
            print!("{}", banner(&plan, &in_force.now(), &server, key.take().as_deref(), is_first));
            false
        }
        // Connections are taken already, so that this end too must be an orderly one.
        () = ending.asked() => true,
    };
    let mut watch = tokio::time::interval(Duration::from_secs(2));
    let mut plan = plan;
    while !is_over {
        let asked = tokio::select! {
            () = ending.asked() => {
                is_over = true;
                continue;
            }
            _ = hang_up.recv() => true,
            _ = watch.tick() => false,
        };
        let now = fingerprint(&plan);
        if !asked && now == seen {
            continue;
        }
        // Of before the reading: what changes meanwhile is read at the next look.
        seen = now;
        match reload(&again, &plan, &lasting, &in_force) {
            Ok(new) => {
                tracing::info!("reloaded");
                plan = new;
            }
            Err(failure) => {
                tracing::error!("not reloaded, what was in force stays but for the keys:\n{failure}");
                match build::key_file(&plan).load() {
                    Ok(keys) => in_force.now().replace_keys(keys),
                    Err(error) => tracing::error!("the keys are not reloaded either: {error}"),
                }
            }
        }
    }
    let patience = Duration::from_millis(plan.file.listen.limits.drain_timeout_ms);
    tracing::info!("stopping, at most {} s for calls under way", patience.as_secs());
    in_force.now().drain();
    let left = server.drain(patience).await;
    if left > 0 {
        tracing::warn!("{left} connections were cut off");
    }
    in_force.now().close().await;
    drop(in_force);
    lasting.ledger.close().await.map_err(Failure::cannot)
}

/// A start that fails beside a starter policy of other servers (the demo's, say) tells how to get one for these.
fn for_other_servers(plan: &Plan, failure: Failure) -> Failure {
    let (paths, is_starter) = plan.policy_files();
    let Some(path) = paths.first().filter(|_| is_starter && failure.code == exit::USAGE) else {
        return failure;
    };
    let text = files::read_limited(path, policy::FILE_BYTES_MAX as u64)
        .ok()
        .and_then(|text| String::from_utf8(text).ok())
        .unwrap_or_default();
    let configured = &plan.file.upstream;
    let is_of_others = |servers: &&str| {
        servers
            .split(", ")
            .any(|server| !configured.iter().any(|upstream| upstream.name.as_str() == server))
    };
    match policy::starter_servers(&text).filter(is_of_others) {
        Some(servers) => Failure::usage(format!(
            "{failure}\nhint: `{}` was written for: {servers}. Move it away, and the next start writes one for your servers",
            path.display()
        )),
        None => failure,
    }
}

/// The signals by which the program is asked to end.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    /// From here on they end nothing by themselves.
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(Failure::cannot)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Failure::cannot)?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Builds a whole new gateway and swaps it in; calls in flight end in the old one.
fn reload(
    again: &impl Fn() -> Result<Plan, Failure>,
    old: &Plan,
    lasting: &Lasting,
    in_force: &InForce,
) -> Result<Plan, Failure> {
    let plan = again()?;
    let fixed = |plan: &Plan| (plan.file.listen.clone(), plan.state.clone(), plan.record_directory());
    if fixed(&plan) != fixed(old) {
        tracing::warn!("`listen`, `state` and the record's directory change at the next start only");
    }
    // What is wrong with the policies is said when the servers have told what they have.
    let (gateway, _) = build::gateway(&plan, lasting)?;
    let before = in_force.swap(gateway);
    tokio::spawn(async move {
        before.drain();
        // What is in flight there keeps it alive; its connections go when the last call has ended.
        let mut patience = 600;
        while Arc::strong_count(&before) > 1 && patience > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            patience -= 1;
        }
        before.close().await;
    });
    Ok(plan)
}

/// The files that a reload reads, and when each was last written.
type Fingerprint = BTreeMap<PathBuf, Option<SystemTime>>;

fn fingerprint(plan: &Plan) -> Fingerprint {
    let (policies, _) = plan.policy_files();
    let key_sets = plan.file.identity.jwt.iter().map(|jwt| plan.path(&jwt.jwks));
    plan.source
        .iter()
        .cloned()
        .chain(policies)
        .chain(key_sets)
        .chain([plan.key_file()])
        .map(|path| {
            let written = written(&path);
            (path, written)
        })
        .collect()
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn serve(plan: &Plan, in_force: &InForce) -> Result<HttpServer, Failure> {
    let listen = &plan.file.listen;
    let address = listen.address.0;
    let listener = TcpListener::bind(address).map_err(|error| {
        Failure::cannot(format!(
            "cannot listen on `{address}`: {error}, hint: `--listen 127.0.0.1:0` takes a free port"
        ))
    })?;
    let tls = match &listen.tls {
        None => None,
        Some(tls) => {
            let files = ServerTlsFiles {
                certificate: plan.path(&tls.certificate),
                key: plan.path(&tls.key),
                client_authorities: tls.client_ca.as_ref().map(|path| plan.path(path)),
                client_certificate_required: tls.client_ca.is_some(),
            };
            Some(Arc::new(ServerTls::load(files).map_err(Failure::usage)?))
        }
    };
    let limits = &listen.limits;
    let (readiness, doorkeeper) = (in_force.clone(), in_force.clone());
    let server_limits = ServerLimits::default();
    let options = Options {
        threads: listen.threads.map_or(0, usize::from),
        limits: ServerLimits {
            connections_max: limits.connections_max,
            requests_per_connection_max: limits.connection_streams_max,
            header_bytes_max: limits.header_bytes_max,
            header_timeout: Duration::from_millis(limits.header_timeout_ms),
            body_timeout: Duration::from_millis(limits.body_timeout_ms),
            idle_timeout: Duration::from_millis(limits.idle_timeout_ms),
            keep_alive: Duration::from_millis(limits.keep_alive_interval_ms),
            // However large bodies may be, no caller's one takes the place of all others'.
            bodies_bytes_max: server_limits
                .bodies_bytes_max
                .max(limits.body_bytes_max.saturating_mul(4)),
            ..server_limits
        },
        message_limits: portcullis_wire::Limits {
            message_bytes_max: limits.body_bytes_max,
            ..build::message_limits(plan)
        },
        hosts: listen.hosts.clone(),
        origins: listen.origins.clone(),
        tls,
        ready: Some(Arc::new(move || match readiness.now().is_ready() {
            true => Ok(()),
            false => Err("the record cannot be written".to_owned()),
        })),
        doorkeeper: Some(Arc::new(move |knock: &Knock<'_>| doorkeeper.now().vouch(knock))),
    };
    HttpServer::start(vec![listener], options, in_force.handler()).map_err(Failure::cannot)
}

/// A key for whoever starts the gateway for the first time; `None` when there are keys, or callers need none.
fn first_key(plan: &Plan) -> Result<Option<String>, Failure> {
    let file = build::key_file(plan);
    let others = plan.file.identity.anonymous.is_some() || !plan.file.identity.jwt.is_empty();
    // Only where there never was one: whoever revoked the last key does not want another.
    if others || plan.key_file().exists() {
        return Ok(None);
    }
    files::create_private_directory(&plan.state)
        .map_err(|error| Failure::cannot(format!("state directory `{}`: {error}", plan.state.display())))?;
    let owner = NewKey {
        kind: SubjectKind::User,
        name: OWNER.to_owned(),
        groups: Vec::new(),
        expires_unix_s: None,
    };
    let made = file.create(owner, now_unix_s()).map_err(Failure::cannot)?;
    // Kept for the owner beside the keys, so that the line below the banner can be printed again.
    build::write_private(&plan.state.join("owner.key"), made.danger_secret().as_bytes())?;
    Ok(Some(made.danger_secret().to_owned()))
}

/// What `up` prints: where it listens, what is behind it, which policy is in force, where the record is, and a call to try.
fn banner(plan: &Plan, gateway: &Gateway, server: &HttpServer, key: Option<&str>, first: bool) -> String {
    let address = server.address().map_or_else(String::new, |address| address.to_string());
    let scheme = if plan.file.listen.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "portcullis {} listens on {scheme}://{address}/mcp", build::VERSION);
    for (name, known) in gateway.catalog().known().iter().take(4) {
        let line = match known {
            Known::Listed(listing) => format!(
                "{}, {}, {} ({})",
                counted(listing.tools.len(), "tool", "tools"),
                counted(
                    listing.resources.len() + listing.templates.len(),
                    "resource",
                    "resources"
                ),
                counted(listing.prompts.len(), "prompt", "prompts"),
                listing.greeting.revision
            ),
            Known::Down { reason, .. } => format!("down: {reason}"),
            Known::Pending => "still starting".to_owned(),
        };
        let _ = writeln!(out, "  server  {name}: {line}");
    }
    let servers = gateway.catalog().known().len();
    if servers > 4 {
        let _ = writeln!(out, "          and {} more, see `portcullis catalog`", servers - 4);
    }
    let (files, _) = plan.policy_files();
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let written = if first { ", just written" } else { "" };
    let _ = writeln!(
        out,
        "  policy  {} ({}{written})",
        files.join(", "),
        counted(gateway.policy().count(), "policy", "policies")
    );
    match plan.file.record.danger_disabled {
        true => {
            let _ = writeln!(out, "  record  DISABLED: nothing that happens can be proved");
        }
        false => {
            let _ = writeln!(out, "  record  {}", plan.record_directory().display());
        }
    }
    let credential = match (&plan.file.identity.anonymous, key) {
        (Some(name), _) => {
            let _ = writeln!(out, "  callers without a credential are `{name}` (this machine only)");
            None
        }
        (None, Some(key)) => Some(key.to_owned()),
        (None, None) => Some(format!("$(cat {})", plan.state.join("owner.key").display()))
            .filter(|_| plan.state.join("owner.key").exists()),
    };
    if let Some(curl) = curl(plan, &format!("{scheme}://{address}/mcp"), credential.as_deref()) {
        let _ = writeln!(out, "try:\n{curl}");
    }
    out
}

/// A call that works as printed, in one line: the demo's look-up, or the list of tools.
fn curl(plan: &Plan, url: &str, credential: Option<&str>) -> Option<String> {
    if credential.is_none() && plan.file.identity.anonymous.is_none() {
        return None;
    }
    let upstreams = &plan.file.upstream;
    let demo = upstreams.iter().find(|upstream| upstream.demo);
    // Among others its tools may go by longer names, alone never.
    let url = match demo.filter(|_| upstreams.len() > 1) {
        Some(demo) => format!("{url}/{}", demo.name),
        None => url.to_owned(),
    };
    let (method, name, params) = match demo {
        Some(_) => (
            "tools/call",
            " -H 'Mcp-Name: find_customer'",
            r#""name":"find_customer","arguments":{"name":"Ciara"},"#,
        ),
        None => ("tools/list", "", ""),
    };
    let authorization = credential.map_or_else(String::new, |key| format!(" -H \"Authorization: Bearer {key}\""));
    Some(format!(
        "  curl -s {url}{authorization} -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: {method}'{name} -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{{{params}\"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}'"
    ))
}

/// Guards one command over our own stdin and stdout.
pub(crate) async fn wrap(plan: Plan, os_user: &str) -> Result<(), Failure> {
    log(&plan);
    mind_children();
    build::prepare(&plan);
    let record = new_record(&plan.state.join("record"), std::process::id())?;
    let lasting = Lasting::open(&plan, &record)?;
    let (gateway, _) = build::gateway(&plan, &lasting)?;
    for upstream in &plan.file.upstream {
        let (name, state) = (&upstream.name, plan.state.display());
        tracing::info!(
            "guarding `{name}`: policy `{state}/policy.cedar`, record `{}`",
            record.display()
        );
    }
    let in_force = InForce::new(gateway);
    let mut ending = Ending::listen()?;
    let serving = async {
        build::first_policy(&plan, &in_force.now()).await?;
        let own = OwnStdio::take().map_err(Failure::cannot)?;
        let options = StdioOptions::new(os_user);
        Ok::<_, Failure>(serve_stdio(own.input, own.output, options, in_force.handler()).await)
    };
    let end = tokio::select! {
        end = serving => Some(end?),
        () = ending.asked() => None,
    };
    in_force.now().close().await;
    drop(in_force);
    lasting.ledger.close().await.map_err(Failure::cannot)?;
    match end {
        Some(StdioEnd::Broken(error)) => Err(Failure::cannot(format!("the host: {error}"))),
        _ => Ok(()),
    }
}

/// A record for each process, so that several run at once: a new directory, named by when it began and the process's id, or the
/// next number that is free. In another container, a process may have the same id.
fn new_record(records: &Path, id: u32) -> Result<PathBuf, Failure> {
    let cannot = |error: std::io::Error| Failure::cannot(format!("record in `{}`: {error}", records.display()));
    files::create_private_directory(records).map_err(cannot)?;
    let began = now_unix_s();
    for number in (u64::from(id)..).take(RECORDS_A_SECOND_MAX) {
        let directory = records.join(format!("{began}-{number}"));
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(error)),
        }
    }
    Err(cannot(std::io::Error::other("too many processes begin at once")))
}

/// Children of children that lost their launcher become ours, and are ended.
fn mind_children() {
    if let Err(error) = become_subreaper() {
        tracing::warn!("cannot mind the children of servers: {error}");
        return;
    }
    tokio::spawn(async {
        if let Err(error) = reap_orphans().await {
            tracing::warn!("cannot mind the children of servers: {error}");
        }
    });
}

fn log(plan: &Plan) {
    let filter = Environment::of_process()
        .variable(LOG_VARIABLE)
        .and_then(|value| value.to_str())
        .map_or_else(|| plan.file.log.level.as_str().to_owned(), str::to_owned);
    let filter =
        tracing_subscriber::EnvFilter::try_new(&filter).unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second call (tests) finds one installed, which is as good.
    let _ = match plan.file.log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// The user of the operating system that runs this process.
pub(crate) fn os_user() -> String {
    let id = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        })
        .unwrap_or_else(|| format!("uid-{id}"))
}

pub(crate) fn now_unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_of_one_id_keep_two_records() {
        let directory = tempfile::tempdir().unwrap();
        let records = directory.path().join("record");
        let mut made: Vec<PathBuf> = (0..20).map(|_| new_record(&records, 1).unwrap()).collect();
        assert!(made.iter().all(|record| record.is_dir()));
        made.dedup();
        assert_eq!(made.len(), 20);
    }
}
