//! Bodies of requests: how much of them is held, for whom, and reading them. A little is taken of anybody, as it comes with the
//! head; whoever sends more, or when much is held already, is asked first who it is, and from then on has a share, so that
//! strangers take nobody's place and one caller not everybody's. A share is at most as large as what it leaves free: of several
//! that grow each is smaller, and the next caller finds as much as the last one took. Who may come in is the [`Doorkeeper`]'s word.
//!
//! [`Doorkeeper`]: crate::inbound::Doorkeeper

use super::connection::{Link, Shared};
use super::http::{Refusal, bad_request, refuse, turned_away};
use crate::inbound::{Authorization, Knock, TurnedAway};
use crate::upstream::BoxFuture;
use bytes::{Bytes, BytesMut};
use http::header::{EXPECT, HeaderValue, RETRY_AFTER};
use http::{StatusCode, Version, request};
use hyper::body::{Body as _, Incoming};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// Room that a body gets before more of it has come, in bytes: what a client declares is not believed beyond this.
const BODY_ROOM_MAX: usize = 256 << 10;
/// This part of the memory for bodies is kept for callers who hold little: one of so many.
const KEPT_FOR_SMALL: usize = 8;
/// For so long the rest of a refused body is read over, so that its client comes to read why.
const DISCARD_FOR: Duration = Duration::from_secs(5);

/// What each caller holds of the memory for bodies, in bytes: of those who had to say who they are, and as long as they hold
/// any.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<Arc<str>, usize>>);

impl Shares {
    /// Puts `bytes` into the share of `caller`; yields what it holds now.
    fn add(&self, caller: &Arc<str>, bytes: usize) -> usize {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.entry(Arc::clone(caller)).or_default();
        *share += bytes;
        *share
    }

    fn take_out(&self, caller: &Arc<str>, bytes: usize) {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get_mut(caller) {
            *share = share.saturating_sub(bytes);
            if *share == 0 {
                shares.remove(caller);
            }
        }
    }
}

/// A part of the bytes that all bodies together may hold, given back when dropped.
pub(super) struct Reserved {
    shared: Arc<Shared>,
    bytes: usize,
    /// Whose share they are in; `None` as long as nobody had to ask.
    caller: Option<Arc<str>>,
}

/// Whether there is room for what has come.
enum Room {
    Enough,
    /// Only for somebody who is known.
    Stranger,
    /// Not for this caller.
    ShareFull,
    Full,
}

impl Reserved {
    /// Reserves `bytes` more. They have come, so that they are counted whatever the answer is.
    fn grow(&mut self, bytes: usize) -> Room {
        let limits = &self.shared.options.limits;
        let held = self.shared.counters.bodies_bytes.fetch_add(bytes, Ordering::Relaxed);
        let held = held.saturating_add(bytes);
        self.bytes += bytes;
        let caller = self.caller.as_ref();
        let share = caller.map(|caller| self.shared.shares.add(caller, bytes));
        let unasked = self.bytes <= limits.body_unasked_bytes_max && held <= limits.bodies_unasked_bytes_max;
        match share {
            _ if held > limits.bodies_bytes_max => Room::Full,
            None if !unasked => Room::Stranger,
            None => Room::Enough,
            Some(share) => self.room(share, held),
        }
    }

    /// Puts what is reserved into the share of `caller`, who says that there will be `declared` bytes in all.
    fn belongs_to(&mut self, caller: Arc<str>, declared: Option<usize>) -> Room {
        let share = self.shared.shares.add(&caller, self.bytes);
        self.caller = Some(caller);
        let to_come = declared.unwrap_or_default().saturating_sub(self.bytes);
        let held = self.shared.counters.bodies_bytes.load(Ordering::Relaxed);
        self.room(share.saturating_add(to_come), held.saturating_add(to_come))
    }

    /// Whether there is room for a share of so many bytes, with `held` in all.
    fn room(&self, share: usize, held: usize) -> Room {
        let limits = &self.shared.options.limits;
        let all = limits.bodies_bytes_max;
        let free = (all - all / KEPT_FOR_SMALL).saturating_sub(held);
        let is_small = share <= limits.body_unasked_bytes_max;
        match share > self.share_max() {
            _ if held > all => Room::Full,
            true => Room::ShareFull,
            false if is_small || share <= free => Room::Enough,
            false => Room::Full,
        }
    }

    /// One message has room, where nobody else takes much.
    fn share_max(&self) -> usize {
        let options = &self.shared.options;
        let share = options.limits.bodies_bytes_per_caller_max;
        share.max(options.message_limits.message_bytes_max)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shared
            .counters
            .bodies_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
        if let Some(caller) = self.caller.take() {
            self.shared.shares.take_out(&caller, self.bytes);
        }
    }
}

/// Reads the body of a request whole, in one buffer; where it came in one piece, that is the buffer.
///
/// Room is reserved for what has come, not for what is declared: a stranger would reserve all of it with a few bytes. When it
/// is refused, what is left of it is read over.
pub(super) async fn read(
    link: &Arc<Link>,
    authorization: Option<&HeaderValue>,
    head: &request::Parts,
    mut body: Incoming,
) -> Result<(Bytes, Reserved), Refusal> {
    let mut intake = Intake {
        link,
        authorization,
        declared: None,
        reserved: Reserved {
            shared: link.shared.clone(),
            bytes: 0,
            caller: None,
        },
    };
    let expects = || head.headers.contains_key(EXPECT);
    match intake.read(expects, &mut body).await {
        Ok(whole) => Ok((whole, intake.reserved)),
        Err(no) => {
            // What had come of the body is gone by now, and waits for no refusal.
            drop(intake);
            let refusal = match no {
                No::Now(refusal) => refusal,
                No::Stranger(turning_away) => turned_away(turning_away.await),
            };
            // HTTP/2 resets the stream, who waits for `100 Continue` has sent nothing, and who was slow stays so.
            if head.version < Version::HTTP_2 && !expects() && refusal.status() != StatusCode::REQUEST_TIMEOUT {
                discard(link, body);
            }
            Err(refusal)
        }
    }
}

/// Why a body is not read to its end.
enum No {
    Now(Refusal),
    /// Nobody whom the doorkeeper knows sends it; what to say comes when it has been noted.
    Stranger(BoxFuture<'static, TurnedAway>),
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Now(refusal)
    }
}

/// A body on its way in.
struct Intake<'a> {
    link: &'a Arc<Link>,
    authorization: Option<&'a HeaderValue>,
    declared: Option<usize>,
    reserved: Reserved,
}

impl Intake<'_> {
    async fn read(&mut self, expects: impl Fn() -> bool, body: &mut Incoming) -> Result<Bytes, No> {
        let options = &self.link.shared.options;
        let bytes_max = options.message_limits.message_bytes_max;
        let too_large = || {
            refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {bytes_max} bytes"),
            )
        };
        self.declared = match body.size_hint().exact().map(usize::try_from) {
            Some(Ok(length)) if length <= bytes_max => Some(length),
            Some(_) => return Err(too_large().into()),
            None => None,
        };
        // The first look at the body is what answers `100 Continue`.
        let asks_first = match self.declared {
            Some(length) => length > options.limits.body_unasked_bytes_max,
            None => expects(),
        };
        if asks_first {
            self.ask()?;
        }
        // Nearly always the whole body has come with the head: no timer and no copy then.
        let mut first = None;
        let waiting = poll_fn(|context| {
            Poll::Ready(match Pin::new(&mut *body).poll_frame(context) {
                Poll::Ready(frame) => {
                    first = frame;
                    false
                }
                Poll::Pending => true,
            })
        })
        .await;
        let mut whole = BytesMut::new();
        if !waiting {
            match first {
                None => return Ok(Bytes::new()),
                Some(Err(_)) => return Err(bad_request("the body broke off").into()),
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    if data.len() > bytes_max {
                        return Err(too_large().into());
                    }
                    self.take(data.len())?;
                    if self.declared == Some(data.len()) {
                        return Ok(data);
                    }
                    let room = self.declared.unwrap_or(data.len()).min(BODY_ROOM_MAX);
                    whole.reserve(room.max(data.len()));
                    whole.extend_from_slice(&data);
                }
            }
        } else {
            whole.reserve(self.declared.unwrap_or_default().min(BODY_ROOM_MAX));
        }
        let rest = async {
            loop {
                match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
                    None => return Ok(()),
                    Some(Err(_)) => return Err(bad_request("the body broke off").into()),
                    Some(Ok(frame)) => {
                        let data = frame.into_data().unwrap_or_default();
                        if whole.len() + data.len() > bytes_max {
                            return Err(too_large().into());
                        }
                        self.take(data.len())?;
                        whole.extend_from_slice(&data);
                    }
                }
            }
        };
        match tokio::time::timeout(options.limits.body_timeout, rest).await {
            Ok(read) => read.map(|()| whole.freeze()),
            Err(_) => Err(refuse(StatusCode::REQUEST_TIMEOUT, "the body did not come in time").into()),
        }
    }

    /// Counts `bytes` that have come.
    fn take(&mut self, bytes: usize) -> Result<(), No> {
        match self.reserved.grow(bytes) {
            Room::Stranger => self.ask(),
            room => room.or_no(),
        }
    }

    /// Asks who sends this body, and goes on for somebody who is let in.
    fn ask(&mut self) -> Result<(), No> {
        let peer = &self.link.peer;
        let caller = match &self.link.shared.options.doorkeeper {
            // Nobody knows callers here: an address is what they have.
            None => peer
                .address
                .map(|address| address.ip().to_string())
                .unwrap_or_default()
                .into(),
            Some(doorkeeper) => {
                let authorization = self.authorization.map(|value| Authorization::new(value.as_bytes()));
                let knock = Knock {
                    peer,
                    authorization: authorization.as_ref(),
                };
                doorkeeper(&knock).map_err(No::Stranger)?
            }
        };
        self.reserved.belongs_to(caller, self.declared).or_no()
    }
}

impl Room {
    fn or_no(self) -> Result<(), No> {
        let (status, why) = match self {
            Self::Enough => return Ok(()),
            Self::ShareFull => (
                StatusCode::TOO_MANY_REQUESTS,
                "your requests in work hold all the memory that one caller may have, hint: wait for some of them to end",
            ),
            Self::Full | Self::Stranger => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests are in work, hint: try again later",
            ),
        };
        Err(refuse(status, why)
            .with(RETRY_AFTER, HeaderValue::from_static("1"))
            .into())
    }
}

/// Reads over what is left of a body that was refused: closed at once, the connection would be reset, and a client that still
/// sends might lose the answer. No more than one message, nor for long.
fn discard(link: &Arc<Link>, mut body: Incoming) {
    let busy = link.activity.request();
    let mut left = link.shared.options.message_limits.message_bytes_max;
    tokio::spawn(async move {
        let rest = async {
            while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                let Some(less) = frame.data_ref().and_then(|data| left.checked_sub(data.len())) else {
                    return;
                };
                left = less;
            }
        };
        // Out of time is as good an end as any.
        let _ = tokio::time::timeout(DISCARD_FOR, rest).await;
        drop(busy);
    });
}
