//! Gotify: a push message through a server of one's own.

use super::endpoint::{Endpoint, KindInfo, News, Post, TokenUse, under};
use serde_json::json;

pub(super) const ABOUT: KindInfo = KindInfo {
    name: "gotify",
    title: "Gotify",
    summary: "a push message through your own Gotify server",
    example: "https://host.example/…",
    token: TokenUse::Required("is empty; Gotify shows an application token for each application"),
    check: |_| Ok(()),
    post: Some(post),
};

fn post(target: &Endpoint, news: &News) -> Post {
    let body = json!({
        "title": news.title,
        "message": news.sentence,
        "priority": if news.bad { 8 } else { 4 },
        "extras": {"client::notification": {"click": {"url": news.link}}},
    });
    Post {
        path: under(&target.url.path, "/message"),
        content_type: "application/json",
        bearer: None,
        headers: vec![("x-gotify-key", target.token.clone().unwrap_or_default())],
        body: body.to_string().into_bytes(),
    }
}
