//! The words of a message: title, sentence, link and mail.

use crate::domain::channel::Occasion;
use crate::domain::target::{Email, News};
use crate::store::Message;
use crate::view::NoticeView;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The news in one line.
fn title(message: &Message) -> String {
    let task = &message.task;
    match message.occasion {
        // About the server itself.
        Occasion::Failure if task.is_empty() => "Lightflow cannot write its database".to_owned(),
        Occasion::Recovery if task.is_empty() => {
            "Lightflow can write its database again".to_owned()
        }
        Occasion::Failure => format!("{task} failed"),
        Occasion::Recovery => format!("{task} is fine again"),
        Occasion::Overdue => format!("{task} is overdue"),
        Occasion::Success => format!("{task} succeeded"),
        Occasion::Test => "Test of Lightflow".to_owned(),
    }
}

/// The news in a sentence, with its task and run.
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

/// The news about a message, for a target with a URL.
pub(super) fn news(message: &Message, base_url: &str) -> News {
    let link = link(message, base_url);
    News {
        title: title(message),
        sentence: sentence(message),
        bad: matches!(message.occasion, Occasion::Failure | Occasion::Overdue),
        failed: message.occasion == Occasion::Failure,
        document: NoticeView::new(message, title(message), link.clone()).json(),
        link,
    }
}

/// The whole text of a mail, lines ended as SMTP wants them. The body is in base64, so no
/// line is too long, holds a bare dot or is changed on the way.
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

/// A subject line: names of tasks are ASCII, so nothing has to be encoded; another character is
/// left out rather than trusted.
fn subject(title: &str) -> String {
    title
        .chars()
        .filter(|c| c.is_ascii() && !c.is_ascii_control())
        .collect()
}
