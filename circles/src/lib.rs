//! For tests: files of a crate that need each other, and names of types that a crate uses twice.
//!
//! It reads the sources: an edge leads from a file to each file that defines a name it uses. A name that a module passes
//! on with `use` belongs to the file that defines it. Unit tests at the end of a file do not count.
//!
//! Invariant: a source that cannot be read ends the test; nothing is skipped in silence.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Module = Vec<String>;

/// The sources by module path, without comments, texts and tests.
fn sources(folder: &Path, at: &[String], found: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut module = at.to_vec();
        if path.is_dir() {
            module.push(name);
            sources(&path, &module, found);
        } else if path.extension().is_some_and(|e| e == "rs")
            && !["main", "tests"].contains(&name.as_str())
        {
            if name != "mod" && name != "lib" {
                module.push(name);
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            found.insert(module, code(text));
        }
    }
}

fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    let text = lines.collect::<Vec<_>>().join("\n").replace("\\\"", "");
    let outside: String = text.split('"').step_by(2).collect();
    // `pub(in crate::a)` says who may use a name, and uses none.
    let mut parts = outside.split("(in ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').unwrap().1)
}

/// The paths of a use tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expanded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().to_owned()];
    };
    let inside = rest.rsplit_once('}').unwrap().0;
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| expanded(part))
        .map(|path| format!("{before}{path}"))
        .collect()
}

/// The use trees of a file, and the rest of its text.
fn split_uses(text: &str) -> (Vec<String>, String) {
    let (mut uses, mut rest) = (Vec::new(), String::new());
    for statement in text.split_inclusive(';') {
        let begin = statement
            .match_indices("use ")
            .map(|(at, _)| at)
            .find(|at| {
                let line = statement[..*at].rsplit('\n').next().unwrap().trim();
                line.is_empty() || line.starts_with("pub")
            });
        match begin {
            Some(at) => {
                uses.push(statement[at + 4..].trim_end_matches(';').replace('\n', " "));
                rest.push_str(&statement[..at]);
            }
            None => rest.push_str(statement),
        }
    }
    (uses, rest)
}

struct Crate {
    sources: BTreeMap<Module, String>,
    /// The names that each module takes from elsewhere.
    passed_on: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Crate {
    /// A path as seen from the root of the crate; none where it leads to another crate.
    fn absolute(&self, path: &str, from: &Module) -> Option<Module> {
        let mut words: Module = path.split("::").map(|w| w.trim().to_owned()).collect();
        if words.last().is_some_and(|w| w == "self" || w.is_empty()) {
            words.pop();
        }
        let mut at = from.clone();
        match words.first()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                while words.get(1).is_some_and(|w| w == "super") {
                    at.pop();
                    words.remove(0);
                }
                at.pop();
            }
            first => {
                at.push(first.to_owned());
                self.sources.get(&at)?;
                at.pop();
                words.insert(0, String::new());
            }
        }
        at.extend(words.into_iter().skip(1));
        Some(at)
    }

    /// The file that defines the name of a path.
    fn home(&self, path: &Module, depth: u8) -> Option<Module> {
        let mut module = path.clone();
        loop {
            if self.sources.contains_key(&module) {
                let passed = path.get(module.len());
                let passed = passed.and_then(|name| self.passed_on.get(&module)?.get(name));
                return match passed {
                    Some(next) if depth < 5 => self.home(next, depth + 1),
                    _ => Some(module),
                };
            }
            module.pop()?;
        }
    }
}

/// The files that each file needs.
fn edges(root: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut all = Crate {
        sources: BTreeMap::new(),
        passed_on: BTreeMap::new(),
    };
    sources(root, &[], &mut all.sources);
    let mut used: BTreeMap<Module, Vec<Module>> = BTreeMap::new();
    for (module, text) in &all.sources {
        let (uses, rest) = split_uses(text);
        let mut paths = Vec::new();
        for path in uses.iter().flat_map(|tree| expanded(tree)) {
            if let Some(path) = all.absolute(&path, module) {
                let names = all.passed_on.entry(module.clone()).or_default();
                names.insert(path.last().cloned().unwrap_or_default(), path.clone());
                paths.push(path);
            }
        }
        let inside = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
        let words = rest.split(inside).filter(|word| word.contains("::"));
        paths.extend(words.filter_map(|word| all.absolute(word, module)));
        used.insert(module.clone(), paths);
    }
    let mut edges: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, paths) in used {
        let (_, rest) = split_uses(&all.sources[&module]);
        let faces = |path: &Module, home: &Module| {
            // A module that only passes the names of its children on does not need them.
            home.starts_with(&module)
                && path.last().is_some_and(|name| {
                    !rest
                        .split(|c: char| !c.is_alphanumeric() && c != '_')
                        .any(|word| word == name)
                })
        };
        let homes = paths.iter().filter_map(|path| {
            let home = all.home(path, 0)?;
            (home != module && !faces(path, &home)).then_some(home)
        });
        edges.insert(module.clone(), homes.collect());
    }
    edges
}

/// The files that a file leads to.
fn reached<'a>(
    edges: &'a BTreeMap<Module, BTreeSet<Module>>,
    from: &'a Module,
) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut left = vec![from];
    while let Some(at) = left.pop() {
        left.extend(edges[at].iter().filter(|next| seen.insert(*next)));
    }
    seen
}

fn shown(module: &Module) -> String {
    if module.is_empty() {
        "lib".to_owned()
    } else {
        module.join("/")
    }
}

/// The circles among the files below `root`, the folder `src` of a crate: each line names the files that lead to each
/// other, `a b` for `a.rs` and `b/mod.rs`.
#[must_use]
pub fn circles(root: &Path) -> Vec<String> {
    let edges = edges(root);
    assert!(!edges.is_empty(), "no sources in {}", root.display());
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = edges
        .keys()
        .map(|module| (module, reached(&edges, module)))
        .collect();
    let found: BTreeSet<String> = edges
        .keys()
        .filter(|module| reach[*module].contains(*module))
        .map(|module| {
            let circle = reach[module]
                .iter()
                .filter(|other| reach[**other].contains(module));
            circle
                .map(|module| shown(module))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    found.into_iter().collect()
}

/// The names that two types of the crate below `root` have, each with its files. A type of a test counts as well, but not
/// one inside of a function.
#[must_use]
pub fn types_twice(root: &Path) -> Vec<String> {
    let mut all = BTreeMap::new();
    sources(root, &[], &mut all);
    let mut homes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (module, text) in &all {
        for line in text.lines().filter(|line| !line.starts_with(' ')) {
            let line = match line.split_once(") ") {
                Some((before, rest)) if before.starts_with("pub(") => rest,
                _ => line.trim_start_matches("pub "),
            };
            let rest = ["struct ", "enum ", "trait ", "type ", "union "]
                .iter()
                .find_map(|word| line.strip_prefix(word));
            let name = rest.and_then(|rest| {
                rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
            });
            if let Some(name) = name {
                homes.entry(name).or_default().push(shown(module));
            }
        }
    }
    homes.retain(|_, files| files.len() > 1);
    homes
        .iter()
        .map(|(name, files)| format!("{name}: {}", files.join(" ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_circle_is_found() {
        let src = folder(&[
            ("lib.rs", "pub mod a;\npub mod b;\npub mod z;"),
            ("a.rs", "use crate::b::{self, c::{D, E}};"),
            ("b.rs", "mod c;\nuse c::D;\nfn f(_: D) {}"),
            ("b/c.rs", "fn f() -> super::super::a::A {}"),
            ("z.rs", "use a::A;\nuse std::a;\nuse crate::a::A;"),
        ]);
        assert_eq!(circles(src.path()), ["a b b/c"]);
    }

    #[test]
    fn a_module_that_passes_names_on_needs_none_of_them() {
        let src = folder(&[
            ("lib.rs", "pub mod a;"),
            ("a/mod.rs", "mod b;\nmod c;\npub use b::B;"),
            ("a/b.rs", "pub struct B;"),
            ("a/c.rs", "use super::B;"),
        ]);
        assert!(circles(src.path()).is_empty());
        let src = folder(&[
            ("lib.rs", "pub mod a;"),
            ("a/mod.rs", "mod b;\npub use b::B;\npub fn f() -> B {}"),
            ("a/b.rs", "pub struct B;\nfn g() { super::f() }"),
        ]);
        assert_eq!(circles(src.path()), ["a a/b"]);
    }

    #[test]
    fn a_name_that_two_types_have_is_found() {
        let src = folder(&[
            (
                "a.rs",
                "pub(crate) struct Same {}\nstruct One;\nfn f() {\n    struct Inner;\n}",
            ),
            ("b.rs", "enum Same {}\ntype Other = u8;\n    struct Inner;"),
        ]);
        assert_eq!(types_twice(src.path()), ["Same: a b"]);
    }
}
