//! What the server says unasked: change announcements, log messages, progress.
//!
//! A change is broadcast once and reaches modern callers on their `subscriptions/listen` stream and legacy callers on
//! their session, each according to what it subscribed to.

#![expect(deprecated, reason = "log messages are part of every revision that is served")]

use rmcp::{
    RoleServer,
    model::{
        LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ResourceUpdatedNotificationParam,
    },
    service::{Peer, SubscriptionContext},
};
use serde_json::json;
use tokio::sync::broadcast;

use super::{Everything, ask::Call, lock};

/// How many changes a slow listener may lag behind before it loses the oldest.
const CHANGES_MAX: usize = 256;

/// Something that changed.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// One resource.
    Resource(String),
}

/// The place where changes are announced.
#[derive(Clone)]
pub(super) struct Notices(broadcast::Sender<Change>);

/// One listener's queue of changes.
pub(super) struct Changes(broadcast::Receiver<Change>);

impl Notices {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(CHANGES_MAX))
    }

    /// Announces `change` to whoever listens now.
    pub(super) fn announce(&self, change: Change) {
        // An error only says that nobody listens.
        let _ = self.0.send(change);
    }

    pub(super) fn subscribe(&self) -> Changes {
        Changes(self.0.subscribe())
    }

    /// Serves a modern subscription until the caller ends it. The SDK drops what was not asked for.
    pub(super) async fn forward_to_subscription(&self, subscription: &SubscriptionContext) {
        let mut changes = self.subscribe();
        loop {
            let change = tokio::select! {
                () = subscription.cancelled() => return,
                change = changes.next() => change,
            };
            let sink = subscription.sink();
            // A refusal means that the change was not subscribed to; the end of the stream is seen above.
            let _ = match change {
                None => return,
                Some(Change::Tools) => sink.notify_tool_list_changed().await,
                Some(Change::Prompts) => sink.notify_prompt_list_changed().await,
                Some(Change::Resources) => sink.notify_resource_list_changed().await,
                Some(Change::Resource(uri)) => sink.notify_resource_updated(uri).await,
            };
        }
    }
}

impl Changes {
    async fn next(&mut self) -> Option<Change> {
        loop {
            match self.0.recv().await {
                Ok(change) => return Some(change),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Serves a legacy session until it is gone.
    pub(super) async fn forward_to_session(mut self, peer: Peer<RoleServer>, watches: impl Fn(&str) -> bool) {
        while let Some(change) = self.next().await {
            let sent = match change {
                Change::Tools => peer.notify_tool_list_changed().await,
                Change::Prompts => peer.notify_prompt_list_changed().await,
                Change::Resources => peer.notify_resource_list_changed().await,
                Change::Resource(uri) if watches(&uri) => {
                    peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri))
                        .await
                }
                Change::Resource(_) => Ok(()),
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// Logs `text` at `info`, if the caller wants it: in the modern era it must say so in the request.
pub(super) async fn log(server: &Everything, call: &Call<'_>, text: &str) {
    let threshold = if call.is_modern() {
        call.context.meta.log_level().as_ref().map(severity)
    } else {
        Some(lock(&server.session.log_level).unwrap_or(0))
    };
    if threshold.is_some_and(|threshold| threshold <= severity(&LoggingLevel::Info)) {
        let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(text)).with_logger("everything");
        // The caller may be gone; the call's result will tell.
        let _ = call.context.peer.notify_logging_message(message).await;
    }
}

/// Reports progress, if the caller gave a token.
pub(super) async fn progress(call: &Call<'_>, done: f64, total: f64) {
    if let Some(token) = call.context.meta.get_progress_token() {
        let progress = ProgressNotificationParam::new(token, done).with_total(total);
        let _ = call.context.peer.notify_progress(progress).await;
    }
}

/// The RFC 5424 severities in rising order.
pub(super) fn severity(level: &LoggingLevel) -> u8 {
    match level {
        LoggingLevel::Debug => 0,
        LoggingLevel::Info => 1,
        LoggingLevel::Notice => 2,
        LoggingLevel::Warning => 3,
        LoggingLevel::Error => 4,
        LoggingLevel::Critical => 5,
        LoggingLevel::Alert => 6,
        LoggingLevel::Emergency => 7,
    }
}
