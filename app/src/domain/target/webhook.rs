//! A webhook: a JSON document is posted to a URL.

use super::endpoint::{Endpoint, KindInfo, News, Post, TokenUse};

pub(super) const ABOUT: KindInfo = KindInfo {
    name: "webhook",
    title: "Webhook",
    summary: "posts a JSON document to a URL of yours",
    example: "https://host.example/…",
    token: TokenUse::Optional,
    check: |_| Ok(()),
    post: Some(post),
};

fn post(target: &Endpoint, news: &News) -> Post {
    Post {
        content_type: "application/json",
        body: news.document.clone(),
        ..Post::text(target, "")
    }
}
