//! Turns the manual (`docs/manual/*.md`) into HTML, so that the program serves it offline.
//!
//! `SUMMARY.md` gives the order of the pages, as it does for mdBook. A missing page, and a link to a page or heading that does not
//! exist, end the build.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Failure = Box<dyn Error>;

/// One page of the manual.
struct Page {
    /// The name of its file without `.md`, and the last part of its address.
    slug: String,
    title: String,
    /// The heading of `SUMMARY.md` above it; empty for the first page.
    part: String,
    html: String,
    anchors: BTreeSet<String>,
    /// Links to pages of the manual: slug and anchor.
    links: Vec<(String, String)>,
}

fn main() -> Result<(), Failure> {
    let manual = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../docs/manual");
    println!("cargo::rerun-if-changed={}", manual.display());
    let mut pages = Vec::new();
    let pictures = pictures(&manual)?;
    for (slug, title, part) in summary(&fs::read_to_string(manual.join("SUMMARY.md"))?) {
        let file = format!("{slug}.md");
        let text =
            fs::read_to_string(manual.join(&file)).map_err(|error| format!("{file}: {error}"))?;
        let text = with_included(&text, &manual)?;
        let mut page = render(slug, title, part, &text);
        page.html = sized(page.html, &pictures);
        pages.push(page);
    }
    check(&pages)?;
    let target = PathBuf::from(env::var("OUT_DIR")?).join("manual.rs");
    fs::write(target, source(&pages, &pictures)?)?;
    Ok(())
}

/// A page with the file of each line `{{#include PATH}}` in its place, as mdBook does it.
fn with_included(text: &str, manual: &Path) -> Result<String, Failure> {
    let mut whole = String::new();
    for line in text.lines() {
        let path = line.strip_prefix("{{#include ");
        if let Some(path) = path.and_then(|rest| rest.strip_suffix("}}")) {
            let path = manual.join(path);
            println!("cargo::rerun-if-changed={}", path.display());
            let file = fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            writeln!(whole, "{}", file.trim_end())?;
        } else {
            writeln!(whole, "{line}")?;
        }
    }
    Ok(whole)
}

/// The words up to the end of the present element.
fn words<'a>(events: &mut impl Iterator<Item = Event<'a>>, end: TagEnd) -> String {
    let mut said = String::new();
    for event in events {
        match event {
            Event::Text(text) | Event::Code(text) => said.push_str(&text),
            Event::End(found) if found == end => break,
            _ => {}
        }
    }
    said
}

/// The pages of `SUMMARY.md` in their order: slug, title and part.
fn summary(text: &str) -> Vec<(String, String, String)> {
    let mut pages = Vec::new();
    let mut part = String::new();
    let mut events = Parser::new(text);
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let heading = words(&mut events, TagEnd::Heading(level));
                if heading != "Summary" {
                    part = heading;
                }
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                let slug = dest_url.trim_end_matches(".md").to_owned();
                pages.push((slug, words(&mut events, TagEnd::Link), part.clone()));
            }
            _ => {}
        }
    }
    pages
}

/// The HTML of a page. Comments are left out: they are for the test of the manual's commands.
fn render(slug: String, title: String, part: String, text: &str) -> Page {
    let mut anchors = BTreeSet::new();
    let mut links = Vec::new();
    let events: Vec<Event> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let mut kept = Vec::with_capacity(events.len());
    for (at, event) in events.iter().enumerate() {
        kept.push(match event.clone() {
            Event::Html(_) | Event::InlineHtml(_) => continue,
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => continue,
            Event::Start(Tag::Heading {
                level,
                classes,
                attrs,
                ..
            }) => {
                let heading = words(
                    &mut events[at + 1..].iter().cloned(),
                    TagEnd::Heading(level),
                );
                let mut id = anchor(&heading);
                while !anchors.insert(id.clone()) {
                    id.push_str("-1");
                }
                Event::Start(Tag::Heading {
                    level,
                    id: Some(id.into()),
                    classes,
                    attrs,
                })
            }
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }) => {
                let dest_url = match dest_url.split_once(".md") {
                    Some((page, rest)) if !page.contains(':') => {
                        links.push((page.to_owned(), rest.trim_start_matches('#').to_owned()));
                        address(page, rest).into()
                    }
                    _ => dest_url,
                };
                Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    id,
                })
            }
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                title,
                id,
            }) => {
                let dest_url = format!("/docs/{dest_url}").into();
                Event::Start(Tag::Image {
                    link_type,
                    dest_url,
                    title,
                    id,
                })
            }
            other => other,
        });
    }
    let mut body = String::new();
    html::push_html(&mut body, kept.into_iter());
    let html = body.replace("<th>", "<th scope=\"col\">");
    Page {
        slug,
        title,
        part,
        html,
        anchors,
        links,
    }
}

/// The address of a page in the program.
fn address(slug: &str, rest: &str) -> String {
    match slug {
        "index" => format!("/docs{rest}"),
        slug => format!("/docs/{slug}{rest}"),
    }
}

/// The name of a heading in an address, as mdBook makes it.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|one| match one {
            one if one.is_alphanumeric() || one == '-' || one == '_' => Some(one),
            one if one.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

/// Refuses a link to a page or heading that does not exist.
fn check(pages: &[Page]) -> Result<(), Failure> {
    for page in pages {
        for (slug, anchor) in &page.links {
            let target = match slug.as_str() {
                "" => Some(page),
                slug => pages.iter().find(|page| page.slug == slug),
            };
            let found =
                target.is_some_and(|target| anchor.is_empty() || target.anchors.contains(anchor));
            if !found {
                return Err(format!("docs/manual/{}.md: no {slug}.md#{anchor}", page.slug).into());
            }
        }
    }
    Ok(())
}

/// A picture: its path, name, width and height.
struct Picture {
    path: PathBuf,
    name: String,
    width: u32,
    height: u32,
}

/// The pictures of the manual, PNG files (https://www.w3.org/TR/png-3/#11IHDR).
fn pictures(manual: &Path) -> Result<Vec<Picture>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(manual.join("pictures"))? {
        let path = fs::canonicalize(entry?.path())?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let content = fs::read(&path)?;
        let number = |at: usize| {
            Some(u32::from_be_bytes(
                content.get(at..at + 4)?.try_into().ok()?,
            ))
        };
        let (Some(width), Some(height)) = (number(16), number(20)) else {
            return Err(format!("{name} is no picture").into());
        };
        found.push(Picture {
            path,
            name,
            width,
            height,
        });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Gives pictures their size, so that the page does not move when they arrive.
fn sized(mut html: String, pictures: &[Picture]) -> String {
    for Picture {
        name,
        width,
        height,
        ..
    } in pictures
    {
        let plain = format!("<img src=\"/docs/pictures/{name}\"");
        html = html.replace(
            &plain,
            &format!("{plain} width=\"{width}\" height=\"{height}\""),
        );
    }
    html
}

/// The source of the lists of pages and pictures.
fn source(pages: &[Page], pictures: &[Picture]) -> Result<String, Failure> {
    let mut out = String::from("const PAGES: &[ManualPage] = &[\n");
    for page in pages {
        let Page {
            slug,
            title,
            part,
            html,
            ..
        } = page;
        let address = address(slug, "");
        writeln!(
            out,
            "ManualPage {{ slug: {slug:?}, address: {address:?}, title: {title:?}, part: {part:?}, html: {html:?} }},"
        )?;
    }
    out.push_str("];\nconst PICTURES: &[(&str, &[u8])] = &[\n");
    for Picture { name, path, .. } in pictures {
        writeln!(out, "({name:?}, include_bytes!({path:?})),")?;
    }
    out.push_str("];\n");
    Ok(out)
}
