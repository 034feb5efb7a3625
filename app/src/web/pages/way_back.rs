//! The way back after a login: the address that a browser asked for, and the form that it sent. A session may end while a
//! form is filled in; the login page carries the form along, and nothing typed is lost.

use super::page::html;
use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};

/// Most bytes of a form that is kept. A stranger can send as much.
pub(super) const LARGEST_KEPT: usize = 24 * 1024;

/// The address and the form that a browser returns to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WayBack {
    /// A path of this server; empty for the overview.
    pub(super) next: String,
    /// The body of the form that was sent there; empty for none.
    pub(super) kept: String,
    /// True if a form was sent that was too large to be kept.
    pub(super) lost: bool,
}

/// The page after a login that sends a kept form again.
#[derive(Template)]
#[template(path = "send_again.html")]
struct SendAgainPage {
    action: String,
    fields: Vec<(String, String)>,
}

impl WayBack {
    /// The way back that the login form names. An address elsewhere is dropped.
    pub(super) fn new(next: String, kept: String) -> Self {
        let next = if is_ours(&next) { next } else { String::new() };
        Self {
            kept: if next.is_empty() { String::new() } else { kept },
            next,
            lost: false,
        }
    }

    /// The answer to a login.
    pub(super) fn answer(self) -> Response {
        if self.next.is_empty() {
            return Redirect::to("/").into_response();
        }
        match serde_urlencoded::from_str::<Vec<(String, String)>>(&self.kept) {
            Ok(fields) if !fields.is_empty() => html(&SendAgainPage {
                action: self.next,
                fields,
            }),
            _ => Redirect::to(&self.next).into_response(),
        }
    }
}

/// Reports if `address` is a path of this server, and no page of the login itself.
pub(super) fn is_ours(address: &str) -> bool {
    let begins_here = address.starts_with('/') && !address[1..].starts_with(['/', '\\']);
    let plain = address.bytes().all(|byte| byte.is_ascii_graphic());
    let login = ["/login", "/logout", "/setup"];
    begins_here && plain && !login.iter().any(|path| address.starts_with(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_on_this_server() {
        for good in ["/", "/runs/5?step=2", "/variables/A%20B"] {
            assert!(is_ours(good), "{good}");
        }
        for bad in [
            "",
            "//evil",
            "/\\evil",
            "https://evil",
            "/a\nb",
            "/logout",
            "/login?next=/",
            "runs",
        ] {
            assert!(!is_ours(bad), "{bad}");
        }
    }
}
