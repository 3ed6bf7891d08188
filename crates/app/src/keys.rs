//! `key`: makes, lists and ends API keys.

use crate::build;
use crate::cli::KeyCommand;
use crate::clock;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::run::now_unix_s;
use portcullis_gateway::identity::{KEY_PREFIX, NewKey, SubjectKind};
use serde_json::json;

/// Longest life of a key that ends, in days.
const DAYS_MAX: u64 = 36_500;

/// `key`.
pub(crate) fn key(plan: &Plan, command: &KeyCommand) -> Result<(), Failure> {
    let file = build::key_file(plan);
    match command {
        KeyCommand::Create {
            name,
            agent,
            groups,
            days,
        } => {
            portcullis_store::files::create_private_directory(&plan.state).map_err(Failure::cannot)?;
            let new = NewKey {
                kind: if *agent { SubjectKind::Agent } else { SubjectKind::User },
                name: name.clone(),
                groups: groups.clone(),
                expires_unix_s: days.map(|days| end_in(days, now_unix_s())).transpose()?,
            };
            let end = end_of(new.expires_unix_s, now_unix_s());
            let made = file.create(new, now_unix_s()).map_err(Failure::usage)?;
            println!("{}", made.danger_secret());
            eprintln!(
                "key {} {end}: this is the only time that it is shown; a running gateway takes it within seconds",
                made.id
            );
            Ok(())
        }
        KeyCommand::List { json } => {
            for key in file.list().map_err(Failure::cannot)? {
                match json {
                    true => println!(
                        "{}",
                        json!({
                            "id": key.id, "name": key.name, "kind": key.kind.as_str(), "groups": key.groups,
                            "created_unix_s": key.created_unix_s, "expires_unix_s": key.expires_unix_s,
                        })
                    ),
                    false => {
                        let end = end_of(key.expires_unix_s, now_unix_s());
                        let (kind, groups) = (key.kind.as_str(), key.groups.join(","));
                        let line = format!("{}  {kind:<6} {:<24} {end:<18} {groups}", key.id, key.name);
                        println!("{}", line.trim_end());
                    }
                }
            }
            Ok(())
        }
        KeyCommand::Revoke { id } => match file.revoke(id).map_err(Failure::cannot)? {
            true => {
                forget_first_key(plan, id)?;
                println!("{id} is revoked; a running gateway refuses it within seconds");
                Ok(())
            }
            false => Err(Failure::usage(format!(
                "there is no key `{id}`, hint: `portcullis key list`"
            ))),
        },
    }
}

/// The first run keeps its key for the owner beside the others, in clear. Once it is revoked it has no use but to mislead.
fn forget_first_key(plan: &Plan, id: &str) -> Result<(), Failure> {
    let path = plan.state.join("owner.key");
    let is_its = std::fs::read_to_string(&path).is_ok_and(|key| key.starts_with(&format!("{KEY_PREFIX}{id}_")));
    match is_its {
        true => std::fs::remove_file(&path).map_err(Failure::cannot),
        false => Ok(()),
    }
}

/// When a key that is made now ends.
fn end_in(days: u64, now_unix_s: u64) -> Result<u64, Failure> {
    match days {
        1..=DAYS_MAX => Ok(now_unix_s.saturating_add(days.saturating_mul(86_400))),
        0 => Err(Failure::usage(
            "`--days 0` would make a key that has ended already, hint: at least 1, or leave it out for a key that does not end",
        )),
        _ => Err(Failure::usage(format!(
            "`--days {days}` is too long, hint: at most {DAYS_MAX}, or leave it out for a key that does not end"
        ))),
    }
}

/// `ends 2027-01-31`, for people; the day is that of UTC.
fn end_of(expires_unix_s: Option<u64>, now_unix_s: u64) -> String {
    match expires_unix_s {
        None => "does not end".to_owned(),
        Some(end) if end <= now_unix_s => format!("ended {}", clock::date(end)),
        Some(end) => format!("ends {}", clock::date(end)),
    }
}
