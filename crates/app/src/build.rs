//! From a plan to a gateway: the one place where configuration becomes stages. A reload builds a whole new one.

use crate::config::file::{self, Durability, HiddenCharacters};
use crate::demo::{self, Demo};
use crate::failure::Failure;
use crate::plan::{Plan, demo_tools};
use portcullis_gateway::catalog::{Catalog, EndpointPlan, ToolPin};
use portcullis_gateway::identity::{Identity, IssuerConfig, Issuers, KeyFile, SubjectKind};
use portcullis_gateway::policy::{
    self, CatalogFacts, Policy, Report, Source, StarterLimit, StarterOptions, StarterShown,
};
use portcullis_gateway::{
    Declared, Gateway, HiddenAction, Parts, RecordSettings, Recorder, Screen, ScreenSettings, SessionLimits, Sessions,
    UpstreamPlan,
};
use portcullis_guards::HashKey;
use portcullis_ledger::{Ledger, Options};
use portcullis_store::files::{self, Safety};
use portcullis_store::keys::Secret;
use portcullis_transport::Eras;
use portcullis_transport::child::{self, CommandSpec};
use portcullis_transport::client::{
    ClientCertificate, CommandTarget, HttpLimits, HttpOptions, HttpTarget, Target, TlsOptions,
};
use portcullis_wire::{Impact, Limits};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The version that peers see.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Policy files that are read, in bytes each.
const POLICY_BYTES_MAX: u64 = policy::FILE_BYTES_MAX as u64;
/// Connections to one upstream at one time: for a command, processes.
const CONNECTIONS_MAX: usize = 1_024;

/// What outlives a reload.
pub(crate) struct Lasting {
    /// The record.
    pub(crate) ledger: Ledger,
    /// Legacy sessions.
    pub(crate) sessions: Arc<Sessions>,
}

impl Lasting {
    /// Opens the record in `directory`.
    ///
    /// # Errors
    /// The directory cannot be used, or another process has it.
    pub(crate) fn open(plan: &Plan, directory: &Path) -> Result<Self, Failure> {
        let ledger = match plan.file.record.danger_disabled {
            true => Ledger::danger_disabled(),
            false => {
                let origin = plan.file.record.origin.clone().unwrap_or_else(default_origin);
                Ledger::open(Options::new(directory, origin))
                    .map_err(|error| Failure::cannot(format!("record in `{}`: {error}", directory.display())))?
            }
        };
        Ok(Self {
            ledger,
            sessions: Arc::new(Sessions::new(SessionLimits {
                sessions_max: plan.file.listen.limits.sessions_max,
                sessions_per_caller_max: plan.file.listen.limits.sessions_per_caller_max(),
                ..SessionLimits::default()
            })),
        })
    }

    /// For commands that ask the servers what they have and make no call.
    pub(crate) fn without_record() -> Self {
        Self {
            ledger: Ledger::danger_disabled(),
            sessions: Arc::new(Sessions::new(SessionLimits::default())),
        }
    }
}

fn default_origin() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        .take(64)
        .collect();
    match host.is_empty() {
        true => "portcullis.local".to_owned(),
        false => format!("portcullis.local/{host}"),
    }
}

/// Builds a gateway and starts it, on the current runtime.
///
/// # Errors
/// Whatever of the plan cannot be had: files, keys, policies, servers that are not configured right.
pub(crate) fn gateway(plan: &Plan, lasting: &Lasting) -> Result<(Arc<Gateway>, Report), Failure> {
    files::create_private_directory(&plan.state)
        .map_err(|error| Failure::cannot(format!("state directory `{}`: {error}", plan.state.display())))?;
    let upstreams = plan
        .file
        .upstream
        .iter()
        .map(|upstream| upstream_plan(plan, upstream))
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<Arc<str>> = upstreams.iter().map(|upstream| Arc::clone(&upstream.name)).collect();
    let catalog = Catalog::new(names.clone(), endpoints(plan, &names));
    let identity = identity(plan)?;
    let facts = policy::facts(&catalog.known(), catalog.paths(), &identity);
    let (policy, report) = policies(plan, &facts, catalog.epoch())?;
    for warning in shared_names(&identity) {
        tracing::warn!("{warning}");
    }
    let gateway = Gateway::start(Parts {
        identity,
        catalog,
        sessions: Arc::clone(&lasting.sessions),
        policy,
        screen: Screen::new(screen(&plan.file.screen), declared(plan)?, hash_key(plan)?)
            .map_err(|error| Failure::cannot(format!("the detectors: {error}")))?,
        recorder: Recorder::new(lasting.ledger.clone(), record(&plan.file.record)),
        upstreams,
        version: VERSION,
    });
    Ok((gateway, report))
}

fn endpoints(plan: &Plan, names: &[Arc<str>]) -> Vec<EndpointPlan> {
    let whole = EndpointPlan {
        name: "".into(),
        upstreams: names.to_vec(),
        tools: Vec::new(),
    };
    let single = names.iter().map(|name| EndpointPlan {
        name: Arc::clone(name),
        upstreams: vec![Arc::clone(name)],
        tools: Vec::new(),
    });
    let named = plan.file.endpoint.iter().map(|endpoint| EndpointPlan {
        name: endpoint.name.as_str().into(),
        upstreams: endpoint.upstreams.iter().map(|name| name.as_str().into()).collect(),
        tools: endpoint.tools.clone().unwrap_or_default(),
    });
    std::iter::once(whole).chain(single).chain(named).collect()
}

fn upstream_plan(plan: &Plan, upstream: &file::Upstream) -> Result<UpstreamPlan, Failure> {
    let limits = &plan.file.limits;
    let deadline = Duration::from_millis(upstream.deadline_ms.unwrap_or(limits.deadline_ms));
    let mut tools: HashMap<String, ToolPin> = upstream
        .tools
        .iter()
        .map(|(name, tool)| (name.clone(), pin(tool)))
        .collect();
    let target = match (&upstream.url, &upstream.command, upstream.demo) {
        (Some(url), _, _) => http_target(plan, upstream, &url.to_string())?,
        (None, Some(command), _) => command_target(plan, upstream, command)?,
        (None, None, true) => {
            tools.extend(
                demo_tools(upstream)
                    .iter()
                    .map(|(name, tool)| (name.clone(), pin(tool))),
            );
            let path = plan.state.join(demo::FILE_NAME);
            let demo = Demo::open(&path)
                .map_err(|error| Failure::cannot(format!("demo bank `{}`: {error}", path.display())))?;
            Target::Local(Arc::new(demo))
        }
        (None, None, false) => {
            return Err(Failure::usage(format!(
                "upstream `{}` has neither `url`, `command` nor `demo`",
                upstream.name
            )));
        }
    };
    Ok(UpstreamPlan {
        name: upstream.name.as_str().into(),
        target,
        eras: match upstream.era {
            file::Era::Probe => Eras::Probe,
            file::Era::Legacy => Eras::Legacy,
            file::Era::Modern => Eras::Modern,
        },
        deadline,
        concurrency_max: upstream.concurrency_max.unwrap_or(limits.upstream_concurrency_max),
        connections_max: CONNECTIONS_MAX,
        tools,
    })
}

fn pin(tool: &file::Tool) -> ToolPin {
    ToolPin {
        impact: tool.effect.map(|word| {
            let effect = word.into();
            Impact {
                effect,
                idempotent: tool.idempotent.unwrap_or(effect.is_read()),
            }
        }),
        deadline_ms: tool.deadline_ms,
        hidden: tool.hidden,
    }
}

pub(crate) fn message_limits(plan: &Plan) -> Limits {
    let limits = &plan.file.limits;
    Limits {
        message_bytes_max: limits.message_bytes_max,
        depth_max: limits.depth_max,
        members_max: limits.members_max,
        batch_max: limits.batch_max,
        ..Limits::default()
    }
}

fn http_target(plan: &Plan, upstream: &file::Upstream, url: &str) -> Result<Target, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::usage(format!("upstream `{}`: {error}", upstream.name));
    let headers = upstream
        .headers
        .iter()
        .map(|(name, value)| {
            let value = value
                .resolve(&plan.environment, &plan.base)
                .map_err(|error| named(&format_args!("{error}, hint: {}", error.hint())))?;
            Ok((name.clone(), value.danger_reveal().to_owned()))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let tls = match &upstream.tls {
        None => TlsOptions::default(),
        Some(tls) => TlsOptions {
            ca_file: tls.ca.as_ref().map(|path| plan.path(path)),
            client_certificate: match (&tls.certificate, &tls.key) {
                (Some(certificate), Some(key)) => Some(ClientCertificate {
                    certificate_file: plan.path(certificate),
                    key_file: plan.path(key),
                }),
                _ => None,
            },
        },
    };
    let target = HttpTarget::new(HttpOptions {
        headers,
        tls,
        connect_time_max: Duration::from_millis(upstream.connect_timeout_ms),
        limits: HttpLimits {
            message: message_limits(plan),
            ..HttpLimits::default()
        },
        ..HttpOptions::new(upstream.name.as_str(), url)
    });
    Ok(Target::Http(target.map_err(|error| named(&error))?))
}

fn command_target(plan: &Plan, upstream: &file::Upstream, command: &[String]) -> Result<Target, Failure> {
    let configured = upstream
        .env
        .iter()
        .map(|(name, value)| {
            let value = value.resolve(&plan.environment, &plan.base).map_err(|error| {
                let (upstream, hint) = (&upstream.name, error.hint());
                Failure::usage(format!("upstream `{upstream}`, `env.{name}`: {error}, hint: {hint}"))
            })?;
            Ok((name.clone(), value.danger_reveal().to_owned()))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let own = plan
        .environment
        .for_child(upstream.inherit_env || plan.whole_environment);
    let environment = match upstream.inherit_env || plan.whole_environment {
        false => child::environment(own, &configured),
        true => {
            let own = own
                .into_iter()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
            own.filter(|(name, _)| !configured.iter().any(|(other, _)| other == name))
                .chain(configured.iter().cloned())
                .collect()
        }
    };
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::usage(format!("upstream `{}` has an empty command", upstream.name)))?;
    let limits = message_limits(plan);
    let spec = CommandSpec {
        name: upstream.name.to_string(),
        program: program.clone(),
        arguments: arguments.to_vec(),
        environment,
        working_directory: Some(
            upstream
                .working_directory
                .as_ref()
                .map_or_else(|| plan.base.clone(), |path| plan.path(path)),
        ),
        line_bytes_max: limits.message_bytes_max,
        grace_ms: 2_000,
        launcher: PathBuf::from("/proc/self/exe"),
    };
    Ok(Target::Command(CommandTarget::new(spec, limits)))
}

/// Begins what takes a while and needs nothing but the plan.
pub(crate) fn prepare(plan: &Plan) {
    Screen::prepare(&screen(&plan.file.screen));
}

fn screen(screen: &file::Screen) -> ScreenSettings {
    ScreenSettings {
        schema: screen.schema,
        detectors: screen.detectors,
        hidden: match screen.hidden_characters {
            HiddenCharacters::Neutralise => HiddenAction::Neutralise,
            HiddenCharacters::Refuse => HiddenAction::Refuse,
            HiddenCharacters::Report => HiddenAction::Report,
            HiddenCharacters::Ignore => HiddenAction::Ignore,
        },
    }
}

/// The file of the secret that masks are hashed under, in the state directory.
const HASH_KEY_NAME: &str = "masks.secret";

/// What masks are hashed under: made at the first start, so that the same value has the same mark from then on.
fn hash_key(plan: &Plan) -> Result<HashKey, Failure> {
    let secret = Secret::load_or_create(&plan.state.join(HASH_KEY_NAME)).map_err(Failure::cannot)?;
    Ok(HashKey::new(secret.expose()))
}

/// What callers may send to which server.
fn declared(plan: &Plan) -> Result<Declared, Failure> {
    let mut declared = Declared::default();
    for upstream in &plan.file.upstream {
        for (at, credential) in upstream.credentials.iter().enumerate() {
            let credential = credential.resolve(&plan.environment, &plan.base).map_err(|error| {
                let (upstream, hint) = (&upstream.name, error.hint());
                Failure::usage(format!(
                    "upstream `{upstream}`, `credentials[{at}]`: {error}, hint: {hint}"
                ))
            })?;
            declared
                .declare(upstream.name.as_str(), credential.danger_reveal())
                .map_err(|error| Failure::cannot(error.to_string()))?;
        }
    }
    Ok(declared)
}

fn record(record: &file::Record) -> RecordSettings {
    let safety = |durability| match durability {
        Durability::Strict => portcullis_ledger::Durability::Durable,
        Durability::Ordered => portcullis_ledger::Durability::Written,
    };
    RecordSettings {
        read: safety(record.durability.read),
        idempotent: safety(record.durability.idempotent),
        write: safety(record.durability.write),
        destructive: safety(record.durability.destructive),
        ..RecordSettings::default()
    }
}

/// Principals that a token and another credential may both stand for. It is as somebody wrote it, and not for them to guess.
pub(crate) fn shared_names(identity: &Identity) -> Vec<String> {
    let shared = identity.shared().into_iter();
    shared
        .map(|(principal, issuer)| {
            format!(
                "`{}` has a credential of its own, and tokens of `{issuer}` may name it, too: policy takes both for one, hint: give that issuer another `subject_prefix`",
                principal.escape_debug()
            )
        })
        .collect()
}

/// Who may come in, and how.
///
/// # Errors
/// Key sets, keys or issuers cannot be used.
pub(crate) fn identity(plan: &Plan) -> Result<Identity, Failure> {
    let issuers = plan
        .file
        .identity
        .jwt
        .iter()
        .map(|jwt| {
            let path = plan.path(&jwt.jwks);
            let text = files::read_limited(&path, 1 << 20)
                .map_err(|error| Failure::usage(format!("key set `{}`: {error}", path.display())))?;
            Ok(IssuerConfig {
                issuer: jwt.issuer.clone(),
                audiences: vec![jwt.audience.clone()],
                algorithms: jwt
                    .algorithms
                    .iter()
                    .map(|algorithm| algorithm.as_str().to_owned())
                    .collect(),
                jwks: String::from_utf8(text)
                    .map_err(|_| Failure::usage(format!("key set `{}` is not UTF-8", path.display())))?,
                subject_claim: jwt.subject_claim.clone(),
                groups_claim: jwt.groups_claim.clone().unwrap_or_default(),
                subject_prefix: jwt.subject_prefix(),
                group_prefix: jwt.group_prefix(),
                subject_kind: SubjectKind::User,
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let anonymous = plan.file.identity.anonymous.as_ref().map(|name| name.as_str());
    let keys = key_file(plan).load().map_err(Failure::cannot)?;
    let issuers = Issuers::new(issuers).map_err(Failure::usage)?;
    Identity::new(keys, issuers, anonymous, plan.file.listen.address.is_loopback()).map_err(Failure::usage)
}

/// The file of API keys in the state directory.
pub(crate) fn key_file(plan: &Plan) -> KeyFile {
    KeyFile::at(plan.key_file())
}

/// Puts a file that only its owner may read into the state directory.
pub(crate) fn write_private(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::cannot(format!("`{}`: {error}", path.display()));
    if let Some(directory) = path.parent() {
        files::create_private_directory(directory).map_err(cannot)?;
    }
    let scratch = files::scratch(path).map_err(cannot)?;
    files::replace(path, &scratch, text, Safety::Synced)
        .map(drop)
        .map_err(cannot)
}

/// The policy files as they are now. A starter that is not there yet is no file at all: nothing is permitted until it is.
pub(crate) fn sources(plan: &Plan) -> Result<Vec<Source>, Failure> {
    let (paths, is_starter) = plan.policy_files();
    let mut sources = Vec::new();
    for path in paths {
        let text = match files::read_limited(&path, POLICY_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if is_starter && error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::usage(format!("policy `{}`: {error}", path.display()))),
        };
        let text =
            String::from_utf8(text).map_err(|_| Failure::usage(format!("policy `{}` is not UTF-8", path.display())))?;
        let name = path.strip_prefix(&plan.base).unwrap_or(&path).display().to_string();
        sources.push(Source { name, text });
    }
    Ok(sources)
}

fn policies(plan: &Plan, facts: &CatalogFacts, epoch: u64) -> Result<(Policy, Report), Failure> {
    if plan.file.policy.danger_disabled {
        return Ok((Policy::danger_disabled(), Report::default()));
    }
    Policy::load(sources(plan)?, facts, epoch).map_err(|report| Failure::usage(report.to_string().trim_end()))
}

/// Writes the first policy, once the servers have said what they have; whether there was none before.
pub(crate) async fn first_policy(plan: &Plan, gateway: &Gateway) -> Result<bool, Failure> {
    let (paths, is_starter) = plan.policy_files();
    let Some(path) = paths.first().filter(|path| is_starter && !path.exists()) else {
        return Ok(false);
    };
    gateway.settled(Duration::from_secs(15)).await;
    let facts = gateway.facts();
    let text = match plan.permissive {
        true => permissive(plan),
        false => policy::starter(
            &facts,
            &plan.owner,
            &StarterOptions {
                limits: starter_limits(plan),
                shown: starter_shown(plan),
            },
        ),
    };
    write_private(path, text.as_bytes())?;
    gateway
        .policy()
        .replace(sources(plan)?, &facts, gateway.catalog().epoch())
        .map_err(|report| Failure::cannot(format!("the first policy does not load:\n{report}")))?;
    Ok(true)
}

/// The demo's transfer is allowed while it is small, to show a policy that reads arguments.
fn starter_limits(plan: &Plan) -> Vec<StarterLimit> {
    plan.file
        .upstream
        .iter()
        .filter(|upstream| upstream.demo)
        .map(|upstream| StarterLimit {
            server: upstream.name.to_string(),
            tool: "transfer".to_owned(),
            argument: "amount_cents".to_owned(),
            at_most: 100_000,
        })
        .collect()
}

/// The demo's accounts are shown with their IBANs, to show a policy that says what is not masked: a transfer needs them.
fn starter_shown(plan: &Plan) -> Vec<StarterShown> {
    plan.file
        .upstream
        .iter()
        .filter(|upstream| upstream.demo)
        .map(|upstream| StarterShown {
            server: upstream.name.to_string(),
            tool: "list_accounts".to_owned(),
            class: "IBAN",
            why: "A transfer needs the IBAN.",
        })
        .collect()
}

fn permissive(plan: &Plan) -> String {
    let server = plan
        .file
        .upstream
        .first()
        .map_or("SERVER", |upstream| upstream.name.as_str());
    let mut name = String::new();
    for c in plan.owner.chars() {
        match c {
            '"' | '\\' => {
                name.push('\\');
                name.push(c);
            }
            c => name.push(c),
        }
    }
    format!(
        "// Written on the first run of `portcullis wrap`. The host could run this server without us, so its user may do with it\n\
         // what the server can; what passes is screened and on the record. Tighten it as you like, for example:\n\
         //\n\
         //     forbid (principal, action == Action::\"tools/call\", resource == Tool::\"{server}/TOOL\");\n\
         //\n\
         // `portcullis policy check -- COMMAND` checks it, COMMAND being what stands behind `wrap --`; the next start takes it.\n\
         @id(\"the-hosts-user\")\n\
         permit (principal == User::\"{name}\", action, resource);\n"
    )
}
