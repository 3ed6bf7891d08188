//! A legacy client's notification on its way to servers: whom it concerns, and how many a session may send. It must not know
//! whom policy lets it reach.

use super::{Session, SessionError};
use crate::identity::Caller;
use portcullis_wire::{Id, Impact, Method, Notification, Raw};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Notifications that a session may send to servers at once, counted once for each server.
const BURST: u32 = 256;
/// And so many more each second.
const EACH_SECOND: u32 = 32;
/// How long after one record of dropped notifications the next may follow.
const WINDOW: Duration = Duration::from_secs(60);
/// Longest progress token by which a client's progress finds the server that asked, in bytes.
const TOKEN_BYTES_MAX: usize = 1_024;

/// A notification that is not the gateway's own business.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(super) caller: Caller,
    pub(super) session: Arc<Session>,
    pub(super) is_stdio: bool,
    pub(super) notification: Notification,
}

/// A notification and one server that it concerns: what is decided, screened and recorded.
#[derive(Debug)]
pub(crate) struct Told {
    notice: Arc<Notice>,
    upstream: Arc<str>,
}

impl Notice {
    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) const fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) const fn is_stdio(&self) -> bool {
        self.is_stdio
    }

    pub(crate) const fn notification(&self) -> &Notification {
        &self.notification
    }

    /// What it does to a server. Of the two that the protocol knows this much is known; any other may do anything.
    pub(crate) const fn impact(&self) -> Impact {
        match self.notification.method() {
            Method::Progress | Method::RootsListChanged => Impact::READ,
            _ => Impact::UNDECLARED,
        }
    }

    /// Addresses it to those of the servers `reached` by its session that it concerns.
    ///
    /// # Errors
    /// [`SessionError`], for progress of something that no server waits for.
    pub(crate) fn addressed(self: &Arc<Self>, reached: Vec<Arc<str>>) -> Result<Vec<Told>, SessionError> {
        let concerned = match self.notification.method() {
            Method::Progress => vec![self.asker()?],
            _ => reached,
        };
        let told = |upstream| Told {
            notice: Arc::clone(self),
            upstream,
        };
        Ok(concerned.into_iter().map(told).collect())
    }

    /// The server whose question has the progress token of this.
    fn asker(&self) -> Result<Arc<str>, SessionError> {
        let params = self.notification.params();
        if let Some(params) = &params {
            // Read by us and by the server: it must mean the same to both.
            params.members()?;
        }
        let token = params.and_then(|params| params.get("progressToken"));
        let token = token.and_then(|token| Id::from_raw(&token));
        let token = token.ok_or(SessionError::Params("progressToken"))?;
        self.session.asker(&token).ok_or(SessionError::NotAsked)
    }
}

impl Told {
    pub(crate) fn notice(&self) -> &Notice {
        &self.notice
    }

    /// The server that it goes to.
    pub(crate) const fn upstream(&self) -> &Arc<str> {
        &self.upstream
    }
}

/// The progress token of a question, by itself: a slice would keep the whole question in memory. `None` where there is none
/// that a client's progress could be told by.
pub(crate) fn token_of(params: Option<&Raw>) -> Option<Id> {
    let token = params?.at(&["_meta", "progressToken"])?;
    let text = Some(token.as_bytes()).filter(|text| text.len() <= TOKEN_BYTES_MAX)?;
    Id::from_raw(&Raw::own(bytes::Bytes::copy_from_slice(text)).ok()?)
}

/// How many notifications a session may still send. What it must not know: a clock, the log.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u32,
    /// Up to when `left` was filled up.
    filled: Option<Instant>,
    /// When a record was last made of what was dropped.
    told: Option<Instant>,
    /// Dropped, and on no record yet.
    untold: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: BURST,
            filled: None,
            told: None,
            untold: 0,
        }
    }
}

impl Allowance {
    /// Takes from what is left for a notification to so many servers.
    ///
    /// # Errors
    /// There is not enough left: the notification is dropped. Holds how many were, this one counted, when a record is due.
    pub(crate) fn take(&mut self, servers: usize, now: Instant) -> Result<(), Option<u64>> {
        let filled = *self.filled.get_or_insert(now);
        let seconds = now.saturating_duration_since(filled).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(EACH_SECOND);
            self.left = self.left.saturating_add(more).min(BURST);
            self.filled = Some(filled + Duration::from_secs(seconds));
        }
        // One to more servers than the burst has room for takes all of it.
        let cost = u32::try_from(servers.max(1)).unwrap_or(u32::MAX).min(BURST);
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.untold = self.untold.saturating_add(1);
                let window_is_over = |told: Instant| now.saturating_duration_since(told) >= WINDOW;
                Err(match self.told.is_none_or(window_is_over) {
                    true => {
                        self.told = Some(now);
                        Some(std::mem::take(&mut self.untold))
                    }
                    false => None,
                })
            }
        }
    }

    /// How many were dropped that no record tells of, when there are any and their window is over, or the session is.
    pub(crate) fn untold(&mut self, now: Instant, is_over: bool) -> Option<u64> {
        let due = is_over
            || self
                .told
                .is_some_and(|told| now.saturating_duration_since(told) >= WINDOW);
        if !due || self.untold == 0 {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_a_burst_and_then_a_rate_and_no_drop_is_forgotten() {
        let mut allowance = Allowance::default();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        for _ in 0..BURST {
            assert_eq!(allowance.take(1, at(0)), Ok(()));
        }
        assert_eq!(allowance.take(1, at(0)), Err(Some(1)));
        assert_eq!(allowance.take(0, at(999)), Err(None));
        // A second later there is room for a second's worth, counted by servers.
        assert_eq!(allowance.take(EACH_SECOND as usize - 1, at(1_000)), Ok(()));
        assert_eq!(allowance.take(2, at(1_000)), Err(None));
        assert_eq!(allowance.take(1, at(1_000)), Ok(()));
        assert_eq!(allowance.take(1, at(1_900)), Err(None));
        // The half seconds in between are not lost.
        assert_eq!(allowance.take(EACH_SECOND as usize, at(2_000)), Ok(()));
        assert_eq!(allowance.untold(at(3_000), false), None);
        assert_eq!(allowance.untold(at(60_000), false), Some(3));
        assert_eq!(allowance.untold(at(200_000), false), None);
        // Full again, and no fuller.
        assert_eq!(allowance.take(1_000_000, at(200_000)), Ok(()));
        assert_eq!(allowance.take(1, at(200_000)), Err(Some(1)));
        assert_eq!(allowance.take(1, at(200_000)), Err(None));
        assert_eq!(allowance.untold(at(200_000), true), Some(1));
    }
}
