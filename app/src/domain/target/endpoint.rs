//! A target with a URL: the description of its kind, and the request that tells the news.

use crate::domain::address::HttpUrl;
use crate::domain::field::FieldError;

/// A kind: its words, its check and its request.
pub(super) struct KindInfo {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) summary: &'static str,
    /// A URL as it may look.
    pub(super) example: &'static str,
    pub(super) token: TokenUse,
    pub(super) check: fn(&HttpUrl) -> Result<(), FieldError>,
    /// The request; none for a kind without a URL.
    pub(super) post: Option<fn(&Endpoint, &News) -> Post>,
}

/// The use that a kind has for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUse {
    /// It has none.
    None,
    /// It sends one if there is one.
    Optional,
    /// It refuses an empty one with these words.
    Required(&'static str),
}

/// A target with a URL.
#[derive(Clone)]
pub struct Endpoint {
    kind: &'static KindInfo,
    /// The URL to post to.
    pub url: HttpUrl,
    pub(super) token: Option<String>,
}

impl Endpoint {
    /// An endpoint of that kind.
    pub(super) fn new(kind: &'static KindInfo, url: HttpUrl, token: Option<String>) -> Self {
        Self { kind, url, token }
    }

    /// The request that tells the news.
    pub fn post(&self, news: &News) -> Post {
        match self.kind.post {
            Some(post) => post(self, news),
            None => Post::text(self, &news.sentence),
        }
    }

    /// Every secret of the endpoint.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let url = [self.url.reveal(), self.url.path.as_str()];
        let login = self.url.login.iter().map(|(_, password)| password.as_str());
        url.into_iter().chain(login).chain(self.token.as_deref())
    }
}

/// One event in words, ready to be sent.
pub struct News {
    /// The event in one line.
    pub title: String,
    /// The event in a sentence, with its task and run.
    pub sentence: String,
    /// The page with more about it.
    pub link: String,
    /// A failure or a task that is overdue.
    pub bad: bool,
    /// A run that failed.
    pub failed: bool,
    /// The event as a JSON document.
    pub document: Vec<u8>,
}

/// A POST request without its server.
pub struct Post {
    /// Path and query.
    pub path: String,
    /// Type of the body.
    pub content_type: &'static str,
    /// Bearer token.
    pub bearer: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Post {
    /// A plain text for the URL of the target.
    pub(super) fn text(target: &Endpoint, text: &str) -> Self {
        Self {
            path: target.url.path.clone(),
            content_type: "text/plain; charset=utf-8",
            bearer: target.token.clone(),
            headers: Vec::new(),
            body: text.as_bytes().to_vec(),
        }
    }
}

/// A path below another one; the query stays at the end.
pub(super) fn under(path: &str, below: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (path, String::new()),
    };
    format!("{}{below}{query}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_ping_goes_below_the_url_of_the_check() {
        assert_eq!(under("/uuid", "/fail"), "/uuid/fail");
        assert_eq!(under("/uuid/?create=1", "/fail"), "/uuid/fail?create=1");
        assert_eq!(under("/", "/message"), "/message");
    }
}
