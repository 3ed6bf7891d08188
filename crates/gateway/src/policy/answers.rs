//! The answers to one question so far, by what of a call's circumstances many calls share. For questions that read neither the
//! time nor the arguments: what is left of the circumstances has a handful of values. It must not know policies.

use super::model::{Circumstances, Decision};
use std::sync::{Arc, Mutex, PoisonError};

/// Settings that are remembered. More would be methods that a client made up.
const SETTINGS_MAX: usize = 8;

/// Answers by setting.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: Mutex<Vec<(Setting, Arc<Decision>)>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Setting {
    method: String,
    transport: String,
    client: Option<String>,
    revision: Option<String>,
}

impl Setting {
    fn of(circumstances: &Circumstances<'_>) -> Self {
        Self {
            method: circumstances.method.to_owned(),
            transport: circumstances.transport.to_owned(),
            client: circumstances.client.map(str::to_owned),
            revision: circumstances.revision.map(str::to_owned),
        }
    }

    fn is(&self, circumstances: &Circumstances<'_>) -> bool {
        self.method == circumstances.method
            && self.transport == circumstances.transport
            && self.client.as_deref() == circumstances.client
            && self.revision.as_deref() == circumstances.revision
    }
}

impl Answers {
    /// The answer in this setting, if it was given before.
    pub(super) fn find(&self, circumstances: &Circumstances<'_>) -> Option<Arc<Decision>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, decision) = known.iter().find(|(setting, _)| setting.is(circumstances))?;
        Some(Arc::clone(decision))
    }

    /// Keeps an answer, if there is room.
    pub(super) fn keep(&self, circumstances: &Circumstances<'_>, decision: &Arc<Decision>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < SETTINGS_MAX && !known.iter().any(|(setting, _)| setting.is(circumstances)) {
            known.push((Setting::of(circumstances), Arc::clone(decision)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::ReasonCode;
    use super::*;

    #[test]
    fn each_setting_has_its_own_answer() {
        let answers = Answers::default();
        let http = Circumstances {
            method: "tools/call",
            transport: "http",
            client: Some("ide"),
            revision: Some("2026-07-28"),
            ..Circumstances::default()
        };
        let permitted = Arc::new(Decision::refused(ReasonCode::NoPermit));
        answers.keep(&http, &permitted);
        // The time and the arguments are not looked at: the caller asks only where nothing reads them.
        let later = Circumstances {
            time_unix_ms: 5,
            arguments: Some(b"{}"),
            ..http
        };
        assert!(
            answers
                .find(&later)
                .is_some_and(|found| Arc::ptr_eq(&found, &permitted))
        );
        for other in [
            Circumstances {
                transport: "stdio",
                ..http
            },
            Circumstances { method: "x", ..http },
            Circumstances { client: None, ..http },
            Circumstances { revision: None, ..http },
        ] {
            assert!(answers.find(&other).is_none(), "{other:?}");
        }
        let methods: Vec<String> = (0..100).map(|number| format!("vendor/{number}")).collect();
        for method in &methods {
            answers.keep(&Circumstances { method, ..http }, &permitted);
        }
        let kept = methods
            .iter()
            .filter(|method| answers.find(&Circumstances { method, ..http }).is_some())
            .count();
        assert_eq!(kept, SETTINGS_MAX - 1);
    }
}
