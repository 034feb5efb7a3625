//! A viewer looks at every page and finds nothing there that changes anything: no form, and no
//! button that asks the server for more than a look.

use crate::pages::{PAGES, Page, Part, Who};
use crate::tour::Tour;
use serde_json::json;
use std::collections::BTreeSet;

/// Notes each request that would change something, instead of sending.
const WATCH: &str = r#"
    window.attempts = [];
    const note = (method, url) => window.attempts.push(`${method} ${new URL(url, location).pathname}`);
    const real = window.fetch;
    window.fetch = (what, how = {}) => {
        const method = (how.method ?? what.method ?? "GET").toUpperCase();
        if (method === "GET") return real(what, how);
        note(method, what.url ?? what);
        return new Promise(() => {});
    };
    XMLHttpRequest.prototype.open = note;
    navigator.sendBeacon = (url) => note("POST", url);
    // After every listener of the page, which may have taken the form for itself.
    window.addEventListener("submit", (event) => {
        if (location.pathname === "/login") return;
        if (event.target.method === "post") note("POST", event.submitter?.getAttribute("formaction") ?? event.target.action);
        if (!event.defaultPrevented) event.preventDefault();
    });
    HTMLFormElement.prototype.submit = function () { note("POST", this.action); };
"#;

/// The offers of the open page: every form that posts, and the requests that clicks on all
/// buttons lead to.
const OFFERS: &str = r#"
    const forms = [...document.forms].filter((form) => form.method === "post")
        .map((form) => `POST ${new URL(form.action).pathname}`);
    for (const fold of document.querySelectorAll("details")) fold.open = true;
    // A field of another button's form is looked at with that one.
    for (const button of document.querySelectorAll("button, [role=button], input[type=submit]")) button.click();
    return [...new Set([...forms, ...window.attempts])].sort();
"#;

/// The things that a viewer changes: the own password and the own sessions.
fn is_own(offer: &str) -> bool {
    offer == "POST /logout"
        || offer == "POST /settings/account"
        || (offer.starts_with("POST /settings/sessions/") && offer.ends_with("/end"))
}

fn offers(tour: &Tour, who: Who, page: &Page) -> Vec<String> {
    tour.open_as(who, page);
    let found = tour.browser.script(OFFERS);
    let found = found.as_array().unwrap().iter();
    found.map(|o| o.as_str().unwrap().to_owned()).collect()
}

/// Walks over the pages of one part as a viewer.
fn walk(part: Part) {
    let Some(tour) = Tour::start(2) else { return };
    tour.browser.devtools(
        "Page.addScriptToEvaluateOnNewDocument",
        json!({"source": WATCH}),
    );
    // Some are in the list for an admin and for a viewer.
    let mut paths = BTreeSet::new();
    let pages: Vec<&Page> = PAGES
        .iter()
        .filter(|page| page.who != Who::Stranger && page.part() == part)
        .filter(|page| paths.insert(page.path))
        .collect();
    // An admin is offered something almost everywhere; otherwise nothing was looked at.
    let places = [
        "overview",
        "tasks",
        "task",
        "run",
        "run-running",
        "pool",
        "script",
        "user",
        "snapshots",
    ];
    let places = pages.iter().filter(|page| places.contains(&page.name));
    let mut looked_at = 0;
    for page in places {
        let found = offers(&tour, Who::Admin, page);
        assert!(
            found.iter().any(|offer| !is_own(offer)),
            "{}: {found:?}",
            page.name
        );
        looked_at += 1;
    }
    assert!(
        looked_at > 0,
        "no page of {part:?} offers an admin anything"
    );
    let (mut wrong, mut own) = (Vec::new(), 0);
    for page in pages {
        for offer in offers(&tour, Who::Viewer, page) {
            if is_own(&offer) {
                own += 1;
            } else {
                wrong.push(format!("{}: {offer}", page.name));
            }
        }
    }
    assert!(own > 0, "not even logging out was offered");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_viewer_is_offered_no_change_on_the_pages_of_tasks() {
    walk(Part::Tasks);
}

#[test]
fn a_viewer_is_offered_no_change_on_the_pages_of_runs() {
    walk(Part::Runs);
}

#[test]
fn a_viewer_is_offered_no_change_on_the_pages_of_pools_and_variables() {
    walk(Part::Pools);
}

#[test]
fn a_viewer_is_offered_no_change_on_the_pages_of_scripts_libraries_and_notifications() {
    walk(Part::Scripts);
}

#[test]
fn a_viewer_is_offered_no_change_on_the_pages_of_people() {
    walk(Part::People);
}

#[test]
fn a_viewer_is_offered_no_change_on_the_pages_of_the_server() {
    walk(Part::Server);
}
