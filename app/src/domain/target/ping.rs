//! A dead man's switch: it hears of every run, and raises the alarm itself when it hears of
//! none.

use super::endpoint::{Endpoint, KindInfo, News, Post, TokenUse, under};

pub(super) const ABOUT: KindInfo = KindInfo {
    name: "ping",
    title: "Dead-man ping",
    summary: "tells a service such as Healthchecks of every good run, so that it raises the alarm when this board is silent",
    example: "https://hc-ping.com/…",
    token: TokenUse::None,
    check: |_| Ok(()),
    post: Some(post),
};

fn post(target: &Endpoint, news: &News) -> Post {
    let path = match news.failed {
        true => under(&target.url.path, "/fail"),
        false => target.url.path.clone(),
    };
    Post {
        path,
        ..Post::text(target, &news.sentence)
    }
}
