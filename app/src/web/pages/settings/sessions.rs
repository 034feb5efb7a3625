//! Sessions: users, browsers and addresses. A viewer sees the own ones.

use crate::store::SessionInfo;
use crate::web::caller::Known;
use crate::web::extract::Path;
use crate::web::operations::sessions;
use crate::web::pages::edit::deleted;
use crate::web::pages::frame::{Frame, Part};
use crate::web::pages::{Moment, PageError, PageViewer, html};
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    rows: Vec<SessionRow>,
}

struct SessionRow {
    id: i64,
    user: String,
    browser: String,
    agent: String,
    address: String,
    seen: Moment,
    since: Moment,
    current: bool,
}

/// `/settings/sessions`: those that this person may see.
pub(super) async fn list(viewer: PageViewer, known: Known) -> Result<Response, PageError> {
    let own = known.session();
    let sessions = sessions::seen(&viewer, &known).await?;
    let row = |session: SessionInfo| SessionRow {
        id: session.id,
        user: session.user.to_string(),
        browser: browser(&session.client.agent),
        agent: session.client.agent,
        address: session.client.address,
        seen: Moment::new(&viewer, session.seen_at),
        since: Moment::new(&viewer, session.created_at),
        current: own == Some(session.id),
    };
    Ok(html(&SessionsPage {
        rows: sessions.into_iter().map(row).collect(),
        frame: Frame::within(&viewer, Part::Sessions),
    }))
}

/// Ends a session.
pub(super) async fn end(
    viewer: PageViewer,
    known: Known,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    deleted(
        sessions::delete(&viewer, &known, id).await,
        "/settings/sessions",
    )
}

/// A browser in words, as far as its long name tells.
fn browser(agent: &str) -> String {
    let first = |known: &[(&str, &'static str)]| {
        let found = known.iter().find(|(mark, _)| agent.contains(mark));
        found.map(|(_, name)| *name)
    };
    // Each of these also calls itself by the names after it.
    let program = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if agent.is_empty() => "unknown".to_owned(),
        (None, None) => agent.chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn a_browser_is_told_in_words() {
        for (agent, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("", "unknown"),
            ("my-script", "my-script"),
        ] {
            assert_eq!(browser(agent), words);
        }
    }
}
