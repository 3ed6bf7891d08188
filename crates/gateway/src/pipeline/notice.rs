//! The life of a client's notification: nobody is answered, but it passes the same stages as a call, once for each server that it
//! concerns, and the record has each decision before anything is sent and what came of it after.

use super::Gateway;
use crate::refusal::Refusal;
use crate::session::{Notice, Session, Told};
use crate::trail::Trail;
use portcullis_ledger::{Detail, Event, EventKind};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

impl Gateway {
    /// A notification to the servers that it concerns. Comes back when each has taken it or will not, so that a client's
    /// notifications reach a server in order.
    pub(super) async fn tell(self: &Arc<Self>, notice: Notice) {
        let notice = Arc::new(notice);
        let addressed = notice.addressed(self.route.reached(notice.session()));
        let servers = addressed.as_ref().map_or(0, Vec::len);
        if let Err(due) = notice.session().may_tell(servers, Instant::now()) {
            if let Some(dropped) = due {
                self.dropped(notice.session(), dropped).await;
            }
            return;
        }
        match addressed {
            Ok(told) => {
                let mut deliveries = JoinSet::new();
                for told in told {
                    let gateway = Arc::clone(self);
                    deliveries.spawn(async move {
                        let mut trail = Trail::of_notice(&gateway.recorder, told.notice(), Some(told.upstream()));
                        let outcome = gateway.deliver(told, &mut trail).await;
                        gateway.recorder.told(trail, outcome).await;
                    });
                }
                while deliveries.join_next().await.is_some() {}
            }
            Err(error) => {
                let trail = Trail::of_notice(&self.recorder, &notice, None);
                self.recorder.told(trail, Err(error.into())).await;
            }
        }
    }

    /// The stages.
    async fn deliver(&self, told: Told, trail: &mut Trail) -> Result<(), Refusal> {
        let told = self
            .policy
            .decide_told(told)
            .inspect_err(|crate::policy::PolicyError::Denied(decided)| trail.decided(decided, false))?;
        trail.decided(told.decided(), true);
        let told = self.screen.told(told, &mut trail.received)?;
        let told = self.recorder.intend(trail, told).await?;
        self.route.tell(told, &trail.effort).await?;
        Ok(())
    }

    /// Ends what is held for a session that is over.
    pub(super) async fn forget(&self, session: &Session) {
        self.tell_dropped(session, true).await;
        self.route.forget_session(&session.id).await;
    }

    /// Puts dropped notifications on the record that no record tells of yet, where that is due.
    pub(super) async fn tell_dropped(&self, session: &Session, is_over: bool) {
        if let Some(dropped) = session.untold(Instant::now(), is_over) {
            self.dropped(session, dropped).await;
        }
    }

    /// One line and one record a window for a session that sends more than it may, so that it cannot fill either.
    async fn dropped(&self, session: &Session, count: u64) {
        tracing::warn!(
            session = %session.id,
            count,
            "notifications dropped: the session sends more than it may, hint: its client should tell less often"
        );
        self.recorder
            .note(&Event {
                kind: EventKind::Control,
                action: "notifications_dropped",
                actor: Some(session.owner()),
                details: &[("count", Detail::Number(count))],
            })
            .await;
    }
}
