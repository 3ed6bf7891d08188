//! Order, room and end of an outlet.

use super::*;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn text(delivery: Option<Delivery>) -> String {
    match delivery {
        Some(Delivery::News(news)) => String::from_utf8(news.into_bytes().to_vec()).unwrap(),
        other => format!("{other:?}"),
    }
}

fn news(number: usize) -> Rope {
    Rope::one(number.to_string())
}

#[tokio::test]
async fn all_that_is_written_comes_in_order_and_then_the_end() {
    let (outlet, mut end) = Outlet::channel();
    let other = outlet.clone();
    outlet.danger_news(news(1)).await.unwrap();
    other.danger_try_news(news(2)).unwrap();
    drop(outlet);
    assert_eq!(text(end.next().await), "1");
    assert_eq!(text(end.next().await), "2");
    assert!(end.look().is_pending(), "an outlet is left");
    drop(other);
    assert_eq!(text(end.next().await), "None");
}

#[test]
fn whoever_waits_at_the_end_hears_of_news_and_of_the_last_outlet() {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let (outlet, mut end) = Outlet::channel();
    assert!(end.poll_next(&mut context).is_pending());
    let other = outlet.clone();
    drop(other);
    assert_eq!(woken.count(), 0);
    outlet.danger_try_news(news(1)).unwrap();
    assert_eq!(woken.count(), 1);
    assert!(end.poll_next(&mut context).is_ready());
    assert!(end.poll_next(&mut context).is_pending());
    drop(outlet);
    assert_eq!(woken.count(), 2);
    assert!(matches!(end.poll_next(&mut context), Poll::Ready(None)));
}

#[test]
fn a_full_outlet_makes_writers_wait_each_for_room_of_its_own() {
    let woken: Vec<_> = (0..2).map(|_| Arc::new(Woken::default())).collect();
    let wakers: Vec<_> = woken.iter().map(|woken| Waker::from(Arc::clone(woken))).collect();
    let (outlet, mut end) = Outlet::channel();
    for number in 0..Outlet::QUEUE_MAX {
        outlet.danger_try_news(news(number)).unwrap();
    }
    assert_eq!(outlet.danger_try_news(news(64)), Err(OutletClosed), "nobody may wait");
    let mut first = pin!(outlet.danger_news(news(64)));
    let mut second = pin!(outlet.danger_news(news(65)));
    assert!(first.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_pending());
    assert!(second.as_mut().poll(&mut Context::from_waker(&wakers[1])).is_pending());
    assert_eq!(text_of(end.look()), "0");
    assert_eq!((woken[0].count(), woken[1].count()), (1, 0));
    assert_eq!(text_of(end.look()), "1");
    assert_eq!((woken[0].count(), woken[1].count()), (1, 1));
    assert!(second.as_mut().poll(&mut Context::from_waker(&wakers[1])).is_ready());
    assert!(first.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_ready());
}

fn text_of(delivery: Poll<Option<Delivery>>) -> String {
    match delivery {
        Poll::Ready(delivery) => text(delivery),
        Poll::Pending => "pending".to_owned(),
    }
}

#[test]
fn an_end_that_goes_lets_everybody_know() {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let (outlet, end) = Outlet::channel();
    for number in 0..Outlet::QUEUE_MAX {
        outlet.danger_try_news(news(number)).unwrap();
    }
    let mut writing = pin!(outlet.danger_news(news(64)));
    let mut closed = pin!(outlet.closed());
    assert!(writing.as_mut().poll(&mut context).is_pending());
    assert!(closed.as_mut().poll(&mut context).is_pending());
    assert!(!outlet.is_closed());
    drop(end);
    assert_eq!(woken.count(), 2);
    assert!(outlet.is_closed());
    assert_eq!(writing.as_mut().poll(&mut context), Poll::Ready(Err(OutletClosed)));
    assert!(closed.as_mut().poll(&mut context).is_ready());
    assert_eq!(outlet.danger_try_news(news(65)), Err(OutletClosed));
    assert!(
        pin!(outlet.closed()).poll(&mut context).is_ready(),
        "also who asks late"
    );
}
