//! What is said: the same news in the form each kind of target wants.

use crate::domain::channel::Occasion;
use crate::domain::target::{Email, Target};
use crate::store::Message;
use crate::view::NoticeView;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// What is posted, apart from where to.
pub(super) struct Post {
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) bearer: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// The news in one line.
fn title(message: &Message) -> String {
    let task = &message.task;
    match message.occasion {
        Occasion::Failure => format!("{task} failed"),
        Occasion::Recovery => format!("{task} is fine again"),
        Occasion::Overdue => format!("{task} is overdue"),
        Occasion::Success => format!("{task} succeeded"),
        Occasion::Test => "Test of Lightflow".to_owned(),
    }
}

/// The news in a sentence, with what it is about.
fn sentence(message: &Message) -> String {
    match message.run {
        Some(run) => format!("{}, run {run}: {}", message.task, message.text),
        None if message.task.is_empty() => message.text.clone(),
        None => format!("{} {}", message.task, message.text),
    }
}

/// The page that says more.
fn link(message: &Message, base_url: &str) -> String {
    match message.run {
        Some(run) => format!("{base_url}/runs/{run}"),
        None if message.task.is_empty() => format!("{base_url}/"),
        None => format!("{base_url}/tasks/{}", message.task),
    }
}

/// The POST for a target that has a URL.
pub(super) fn request(target: &Target, message: &Message, base_url: &str) -> Post {
    let link = link(message, base_url);
    let bad = matches!(message.occasion, Occasion::Failure | Occasion::Overdue);
    let text = |path: String, token: &Option<String>, headers| Post {
        path,
        content_type: "text/plain; charset=utf-8",
        bearer: token.clone(),
        headers,
        body: sentence(message).into_bytes(),
    };
    match target {
        Target::Webhook { url, token } => Post {
            path: url.path.clone(),
            content_type: "application/json",
            bearer: token.clone(),
            headers: Vec::new(),
            body: NoticeView::new(message, title(message), link).json(),
        },
        Target::Ntfy { url, token } => {
            let (priority, tag) = if bad {
                ("4", "red_square")
            } else {
                ("3", "green_square")
            };
            let headers = vec![
                ("title", title(message)),
                ("priority", priority.to_owned()),
                ("tags", tag.to_owned()),
                ("click", link),
            ];
            text(url.path.clone(), token, headers)
        }
        Target::Gotify { url, token } => Post {
            path: under(&url.path, "/message"),
            content_type: "application/json",
            bearer: None,
            headers: vec![("x-gotify-key", token.clone())],
            body: json!({
                "title": title(message),
                "message": sentence(message),
                "priority": if bad { 8 } else { 4 },
                "extras": {"client::notification": {"click": {"url": link}}},
            })
            .to_string()
            .into_bytes(),
        },
        Target::Ping { url } => {
            let path = match message.occasion {
                Occasion::Failure => under(&url.path, "/fail"),
                _ => url.path.clone(),
            };
            text(path, &None, Vec::new())
        }
        Target::Email(_) => text(String::new(), &None, Vec::new()),
    }
}

/// A path below another one, whose query stays at the end.
fn under(path: &str, below: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (path, String::new()),
    };
    format!("{}{below}{query}", path.trim_end_matches('/'))
}

/// The whole text of a mail, lines ended as SMTP wants them. The body is in base64, so no
/// line of it is too long, holds a bare dot or is changed on the way.
pub(super) fn mail(email: &Email, message: &Message, base_url: &str) -> String {
    let to: Vec<&str> = email.to.iter().map(|to| to.as_str()).collect();
    let from = email.from.as_str();
    let domain = from
        .rsplit_once('@')
        .map_or("localhost", |(_, domain)| domain);
    let body = format!(
        "{}\r\n\r\n{}\r\n",
        sentence(message),
        link(message, base_url)
    );
    let mut text = format!(
        "From: Lightflow <{from}>\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <lightflow.{}.{}@{domain}>\r\n",
        to.join(",\r\n "),
        subject(&title(message)),
        message.at.to_rfc2822(),
        message.id,
        message.at.timestamp_millis(),
    );
    text.push_str("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    let mut rest = STANDARD.encode(body);
    while !rest.is_empty() {
        let tail = rest.split_off(rest.len().min(76));
        text.push_str(&rest);
        text.push_str("\r\n");
        rest = tail;
    }
    text
}

/// A subject line: names of tasks are ASCII, so nothing has to be encoded; what is not is
/// left out rather than trusted.
fn subject(title: &str) -> String {
    title
        .chars()
        .filter(|c| c.is_ascii() && !c.is_ascii_control())
        .collect()
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
