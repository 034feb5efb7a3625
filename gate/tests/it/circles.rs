//! No file of the gate's crates leads back to itself through the files that it uses.
//!
//! The search reads `use` lines and paths that begin with `crate` or `super`; unit tests at the end of a file do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The remaining circles, each named by the first of its files. None may be added.
const LEFT: [&str; 6] = [
    "backupctl: action",
    "host: linux",
    "host: program",
    "privilege: syscalls",
    "setup: install::apply",
    "setup: install::change",
];

type Modules = BTreeMap<String, String>;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules of a crate with their text: `a::b` for `a/b.rs` and `a/b/mod.rs`, and an empty name for the root.
fn modules(root: &Path) -> Modules {
    let mut found = Vec::new();
    sources(root, &mut found);
    let mut modules = Modules::new();
    for path in found {
        let relative = path.strip_prefix(root).unwrap().with_extension("");
        let mut names: Vec<&str> = relative.iter().map(|name| name.to_str().unwrap()).collect();
        if names.last() == Some(&"mod") || names == ["lib"] {
            names.pop();
        }
        if names.contains(&"tests") || names.first() == Some(&"bin") || names == ["main"] {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let bare = |line: &str| line.split("//").next().unwrap().to_owned();
        let lines: Vec<String> = code.lines().map(bare).collect();
        modules.insert(names.join("::"), lines.join("\n"));
    }
    modules
}

/// The paths of a tree like `a::{b, c::{d, e}}`.
fn expand(tree: &str, paths: &mut Vec<String>) {
    let Some((before, rest)) = tree.split_once('{') else {
        paths.push(tree.split(" as ").next().unwrap().trim().to_owned());
        return;
    };
    let inner = &rest[..rest.rfind('}').unwrap_or(rest.len())];
    let (mut depth, mut part) = (0, String::new());
    for letter in inner.chars().chain([',']) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            if !part.trim().is_empty() {
                expand(&format!("{}{}", before.trim(), part.trim()), paths);
            }
            part.clear();
        } else {
            part.push(letter);
        }
    }
}

/// Every path in a text: the paths of its `use` lines, and those that begin with `crate` or `super`.
fn paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for part in text.split("use ").skip(1) {
        if let Some((tree, _)) = part.split_once(';') {
            expand(&tree.replace('\n', " "), &mut paths);
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
            let end = text[at..].find(|letter| !is_path(letter));
            let path = &text[at..end.map_or(text.len(), |end| at + end)];
            paths.push(path.trim_end_matches(':').to_owned());
        }
    }
    paths
}

/// The module of this crate that a path leads to, as the file `from` sees it.
fn target(modules: &Modules, from: &str, path: &str) -> Option<String> {
    let mut names: Vec<&str> = from.split("::").filter(|name| !name.is_empty()).collect();
    let mut rest: Vec<&str> = path.split("::").collect();
    let is_own = match rest.first() {
        Some(&"crate") => {
            names.clear();
            rest.remove(0);
            false
        }
        Some(&"super") => {
            while rest.first() == Some(&"super") {
                names.pop();
                rest.remove(0);
            }
            false
        }
        // A child of this file, or another crate.
        _ => true,
    };
    let own = names.len();
    names.extend(rest);
    let least = if is_own { own + 1 } else { 0 };
    (least..=names.len())
        .rev()
        .map(|length| names[..length].join("::"))
        .find(|name| modules.contains_key(name))
}

/// The sets of modules that lead to each other.
fn circles(modules: &Modules) -> BTreeSet<Vec<String>> {
    let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (from, text) in modules {
        let targets = paths(text).into_iter();
        let targets = targets.filter_map(|path| target(modules, from, &path));
        // The root only lists its modules.
        let targets = targets.filter(|to| to != from && !to.is_empty());
        uses.insert(from, targets.collect());
    }
    let reached = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut left: Vec<&str> = vec![from];
        while let Some(at) = left.pop() {
            for next in &uses[at] {
                if seen.insert(next) {
                    left.push(next);
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> = modules
        .keys()
        .map(|name| (name.as_str(), reached(name)))
        .collect();
    let in_circle = |name: &&&str| reach[**name].contains(**name);
    reach
        .keys()
        .filter(in_circle)
        .map(|name| {
            let back = |other: &&&str| reach[**other].contains(*name);
            reach[*name]
                .iter()
                .filter(back)
                .map(|other| (*other).to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn no_file_leads_back_to_itself() {
    let gate = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut known) = (BTreeSet::new(), BTreeSet::new());
    let mut crates = vec![("backupctl".to_owned(), gate.join("src"))];
    for entry in fs::read_dir(gate).unwrap().flatten() {
        if entry.path().join("src/lib.rs").is_file() {
            crates.push((
                entry.file_name().into_string().unwrap(),
                entry.path().join("src"),
            ));
        }
    }
    assert!(crates.len() > 5, "{crates:?}");
    for (name, root) in crates {
        let modules = modules(&root);
        assert!(!modules.is_empty(), "{name}");
        for circle in circles(&modules) {
            let first = format!("{name}: {}", circle[0]);
            if !LEFT.contains(&first.as_str()) {
                found.insert(format!("{name}: {}", circle.join(" ")));
            }
            known.insert(first);
        }
    }
    for left in LEFT {
        assert!(
            known.contains(left),
            "{left} is no circle any more; take it from LEFT"
        );
    }
    let lines: Vec<String> = found.into_iter().collect();
    assert!(lines.is_empty(), "circles of files:\n{}", lines.join("\n"));
}

#[test]
fn a_circle_is_found() {
    let text = |text: &str| text.to_owned();
    let modules = Modules::from([
        (text(""), text("pub mod a;\npub mod b;")),
        (text("a"), text("use crate::b::{self, c::{D, E}};")),
        (text("b"), text("mod c;\nuse c::D;")),
        (text("b::c"), text("fn f() -> super::super::a::A {}")),
        (text("z"), text("use a::A;\nuse std::a;")),
    ]);
    let circle = ["a", "b", "b::c"].map(str::to_owned).to_vec();
    assert_eq!(circles(&modules), BTreeSet::from([circle]));
}
