//! ntfy: a push message through a topic of an ntfy server.

use super::endpoint::{Endpoint, KindInfo, News, Post, TokenUse};
use crate::domain::address::HttpUrl;
use crate::domain::field::FieldError;

pub(super) const ABOUT: KindInfo = KindInfo {
    name: "ntfy",
    title: "ntfy",
    summary: "a push message to your phone through an ntfy topic",
    example: "https://ntfy.sh/my-topic",
    token: TokenUse::Optional,
    check,
    post: Some(post),
};

fn check(url: &HttpUrl) -> Result<(), FieldError> {
    if url.path.trim_matches('/').is_empty() {
        let problem = "names no topic; write it like https://ntfy.sh/my-topic";
        return Err(FieldError::new("url", problem));
    }
    Ok(())
}

fn post(target: &Endpoint, news: &News) -> Post {
    let (priority, tag) = match news.bad {
        true => ("4", "red_square"),
        false => ("3", "green_square"),
    };
    Post {
        headers: vec![
            ("title", news.title.clone()),
            ("priority", priority.to_owned()),
            ("tags", tag.to_owned()),
            ("click", news.link.clone()),
        ],
        ..Post::text(target, &news.sentence)
    }
}
