//! Order and end of what the handler gives.

use super::*;
use crate::outlet::Outlet;

fn reply(text: &'static str, last: bool) -> Sealed<Reply> {
    Sealed::unrecordable(Reply {
        message: Rope::one(text),
        status: 200,
        session: None,
        last,
    })
}

fn name(next: Next) -> String {
    match next {
        Next::News(news) => String::from_utf8(news.into_bytes().to_vec()).unwrap(),
        Next::Reply(reply) => {
            let text = reply.into_inner().message.into_bytes();
            String::from_utf8(text.to_vec()).unwrap()
        }
        Next::Plain(_) => "plain".to_owned(),
        Next::End => "end".to_owned(),
    }
}

async fn all(mut source: Source) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let next = source.next().await;
        let end = matches!(next, Next::End);
        found.push(name(next));
        if end {
            return found;
        }
    }
}

#[tokio::test]
async fn what_is_queued_goes_before_what_is_returned() {
    let (outlet, news) = Outlet::channel();
    let run = Box::pin(async move {
        outlet.danger_news(Rope::one("1")).await.unwrap();
        outlet.danger_news(Rope::one("2")).await.unwrap();
        Handled::Sealed(reply("3", true))
    });
    let source = Source::One(Exchange::new(run, news));
    assert_eq!(all(source).await, ["1", "2", "3", "end"]);
}

#[tokio::test]
async fn a_question_keeps_the_exchange_open_until_the_last_reply() {
    let (outlet, news) = Outlet::channel();
    let later = outlet.clone();
    let run = Box::pin(async move {
        drop(outlet);
        Handled::Sealed(reply("question", false))
    });
    let answer = tokio::spawn(async move {
        later.danger_news(Rope::one("news")).await.unwrap();
        later.reply(reply("again", false)).await.unwrap();
        later.reply(reply("answer", true)).await.unwrap();
    });
    let mut found = all(Source::One(Exchange::new(run, news))).await;
    answer.await.unwrap();
    // Who runs first, the handler or the other task, is open; the order of each is not.
    let at = found.iter().position(|name| name == "question").unwrap();
    found.remove(at);
    assert_eq!(found, ["news", "again", "answer", "end"]);
}

#[tokio::test]
async fn an_exchange_whose_senders_are_gone_ends() {
    let (outlet, news) = Outlet::channel();
    let run = Box::pin(async move {
        drop(outlet);
        Handled::Sealed(reply("question", false))
    });
    let source = Source::One(Exchange::new(run, news));
    assert_eq!(all(source).await, ["question", "end"]);
}

#[tokio::test]
async fn many_exchanges_end_together() {
    let exchange = |text| {
        let (_, news) = Outlet::channel();
        Exchange::new(Box::pin(async move { Handled::Sealed(reply(text, true)) }), news)
    };
    let source = Source::Many(vec![exchange("a"), exchange("b"), exchange("c")]);
    let mut found = all(source).await;
    assert_eq!(found.pop().as_deref(), Some("end"));
    found.sort();
    assert_eq!(found, ["a", "b", "c"]);
}
