//! Properties of every page, for every user, in both themes, on a phone, a tablet and a wide screen:
//! it is accessible, nothing complains, nothing comes from elsewhere, and nothing jumps.

use crate::browser::base;
use crate::pages::{PAGES, Page, Part};
use crate::tour::Tour;
use crate::webdriver::Browser;
use serde_json::{Value, json};
use std::path::Path;

/// Finds accessibility problems of a page.
const ACCESSIBILITY: &str = include_str!("../pages/accessibility.js");
/// Finds where the Tab key does not lead.
const FOCUS: &str = include_str!("../pages/focus.js");
/// Adds up how far things jumped since a page began to load.
const SHIFTS: &str = "window.shifts = []; new PerformanceObserver((list) => window.shifts.push(...list.getEntries())).observe({ type: 'layout-shift', buffered: true });";

const TAB: &str = "\u{E004}";
const ESCAPE: &str = "\u{E00C}";

/// The problems of the open page at the widths of a phone, a tablet and a screen.
fn inaccessible(browser: &Browser) -> Vec<String> {
    let mut wrong = Vec::new();
    for (width, dark) in [
        (390, false),
        (390, true),
        (820, true),
        (820, false),
        (1440, true),
        (1440, false),
    ] {
        browser.look(width, dark);
        for found in browser.script(ACCESSIBILITY).as_array().unwrap() {
            let theme = if dark { "dark" } else { "light" };
            let text = |key: &str| found[key].as_str().unwrap().to_owned();
            let what = format!("{} {}: {}", text("rule"), text("at"), text("why"));
            if !wrong.iter().any(|known: &String| known.starts_with(&what)) {
                wrong.push(format!("{what} ({width}, {theme})"));
            }
        }
    }
    wrong.extend(refused_by_axe(browser));
    wrong.extend(unreachable_by_key(browser));
    wrong
}

/// The text of axe-core, where `LIGHTFLOW_AXE` names its file.
fn axe() -> Option<String> {
    let file = std::env::var_os("LIGHTFLOW_AXE")?;
    std::fs::read_to_string(file).ok()
}

/// The findings of axe-core; none without it.
fn refused_by_axe(browser: &Browser) -> Vec<String> {
    let Some(axe) = axe() else {
        eprintln!("SKIPPED: axe-core, because LIGHTFLOW_AXE names no file");
        return Vec::new();
    };
    browser.script(&axe);
    let mut wrong = Vec::new();
    for (width, dark) in [(390, true), (1440, false)] {
        browser.look(width, dark);
        let found = browser.script_until_called(
            "const done = arguments[0];
             axe.run().then(({ violations }) => done(violations.flatMap(({ id, help, nodes }) =>
                 nodes.map((node) => `axe ${id}: ${help}: ${node.target.join(' ')}`))), (error) => done([String(error)]));",
        );
        let found = found.as_array().unwrap().iter();
        let texts = found.map(|text| format!("{} ({width})", text.as_str().unwrap()));
        wrong.extend(texts);
    }
    wrong
}

fn unreachable_by_key(browser: &Browser) -> Vec<String> {
    let stops = browser.script_with(FOCUS, json!(["watch"]));
    // Escape leaves an editor that takes Tab for itself.
    let editor = browser.script("return !!document.querySelector('[data-editor]')") == json!(true);
    let keys: &[&str] = if editor { &[ESCAPE, TAB] } else { &[TAB] };
    browser.press_each(keys, stops.as_u64().unwrap() as usize);
    let found = browser.script_with(FOCUS, json!(["tell"]));
    let found = found.as_array().unwrap().iter();
    found
        .map(|f| format!("focus: {}", f.as_str().unwrap()))
        .collect()
}

/// Addresses outside of this server that the page asked for.
fn foreign(browser: &Browser, own: &str) -> Vec<String> {
    let asked = browser
        .script("return performance.getEntries().map(e => e.name).filter(n => /^[a-z]+:/.test(n))");
    let asked = asked
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap());
    asked
        .filter(|name| !name.starts_with(&format!("{own}/")))
        .map(|name| format!("asked for {name}"))
        .collect()
}

/// The elements that jumped on the page while it was loaded and became live.
fn shifted(browser: &Browser) -> Vec<String> {
    let shifts = browser.script_until_called(
        "const done = arguments[0];
         const place = (r) => [r.x, r.y, r.width, r.height].map(Math.round).join(' ');
         requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(window.shifts.flatMap((s) =>
             s.sources.map((source) => `${source.node?.nodeName ?? `something that is gone`} ${source.node?.textContent?.trim().slice(0, 30) ?? ``} jumped from ${place(source.previousRect)} to ${place(source.currentRect)}`))))));",
    );
    shifts
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s.as_str().unwrap().to_owned())
        .collect()
}

/// Walks over the pages of one part.
fn walk(part: Part) {
    let Some(tour) = Tour::start(2) else { return };
    let browser = &tour.browser;
    browser.devtools(
        "Page.addScriptToEvaluateOnNewDocument",
        json!({"source": SHIFTS}),
    );
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in PAGES.iter().filter(|page| page.part() == part) {
        seen += 1;
        let mut here = Vec::new();
        for (width, dark) in [(390, true), (820, false), (1440, false)] {
            browser.look(width, dark);
            tour.open(page);
            let shifts = shifted(browser).into_iter();
            here.extend(shifts.map(|what| format!("{what} ({width})")));
        }
        here.extend(foreign(browser, &base(&tour.world.server)));
        here.extend(inaccessible(browser));
        // These pages have a status other than success on purpose.
        let refused = ["setup-wrong", "not-found", "viewer-refused"].contains(&page.name);
        here.extend(
            browser
                .complaints()
                .into_iter()
                .filter(|c| !(refused && c.contains("the server responded with a status of 40"))),
        );
        wrong.extend(
            here.into_iter()
                .map(|what| format!("{}: {what}", page.name)),
        );
    }
    assert!(seen > 0, "no page belongs to {part:?}");
    assert!(
        wrong.is_empty(),
        "{} findings\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_pages_of_tasks_are_open_to_everybody_and_quiet() {
    walk(Part::Tasks);
}

#[test]
fn the_pages_of_runs_are_open_to_everybody_and_quiet() {
    walk(Part::Runs);
}

#[test]
fn the_pages_of_pools_and_variables_are_open_to_everybody_and_quiet() {
    walk(Part::Pools);
}

#[test]
fn the_pages_of_scripts_libraries_and_notifications_are_open_to_everybody_and_quiet() {
    walk(Part::Scripts);
}

#[test]
fn the_pages_of_people_and_strangers_are_open_to_everybody_and_quiet() {
    walk(Part::People);
}

#[test]
fn the_pages_of_the_server_are_open_to_everybody_and_quiet() {
    walk(Part::Server);
}

#[test]
fn the_checks_find_every_known_fault_and_nothing_else() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/faults.html");
    browser.goto(&format!("file://{}", page.display()));
    for dark in [false, true] {
        browser.look(1440, dark);
        let expected = browser.script_with(
            "return [...document.querySelectorAll('[data-fault], [data-fault-dark]')].flatMap((el) =>
                ((el.dataset.fault ?? '') + (arguments[0] ? ' ' + (el.dataset.faultDark ?? '') : '')).split(' ').filter(Boolean)
                    .map((rule) => `${rule} ${el.localName}#${el.id}`))",
            json!([dark]),
        );
        let mut expected: Vec<String> = expected
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e.as_str().unwrap().to_owned())
            .collect();
        let found = browser.script(ACCESSIBILITY);
        let name = |f: &Value| {
            let at = f["at"].as_str().unwrap();
            let end = at.find(['.', '[', ' ']).unwrap_or(at.len());
            format!("{} {}", f["rule"].as_str().unwrap(), &at[..end])
        };
        let mut found: Vec<String> = found.as_array().unwrap().iter().map(name).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "dark: {dark}");
    }
    let by_axe = refused_by_axe(&browser);
    for rule in ["axe image-alt", "axe label", "axe color-contrast"] {
        let found = by_axe.iter().any(|finding| finding.starts_with(rule));
        assert!(found || axe().is_none(), "{rule}: {by_axe:#?}");
    }
}

#[test]
fn the_keys_find_every_known_fault_and_nothing_else() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/focus_faults.html");
    browser.goto(&format!("file://{}", page.display()));
    browser.look(1440, false);
    let found = unreachable_by_key(&browser);
    assert_eq!(
        found,
        [
            "focus: button#unseen \"No ring\" shows no focus",
            "focus: button#covered \"Covered\" is covered when it has the focus",
            "focus: button#shy \"Shy\" is not reached by Tab",
            "focus: button#late \"Late\" comes after button#last \"Last\"",
        ]
    );
}

/// The one command for pictures: `ci/screenshots`.
#[test]
#[ignore = "makes pictures for people to look at; it checks nothing"]
fn every_page_has_its_picture() {
    let Some(tour) = Tour::start(24) else {
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("screenshots");
    let wanted = std::env::var("LIGHTFLOW_PICTURES").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let is_wanted = |page: &&Page| wanted.is_empty() || wanted.contains(&page.name);
    for page in PAGES.iter().filter(is_wanted) {
        for width in [390, 820, 1440] {
            // Some things are placed once, when a page is opened.
            tour.browser.look(width, false);
            tour.open(page);
            for (theme, dark) in [("light", false), ("dark", true)] {
                tour.browser.look(width, dark);
                let name = format!("{}-{width}-{theme}.png", page.name);
                tour.browser.picture(width, &folder.join(name));
            }
        }
    }
}
