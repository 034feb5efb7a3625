//! No two files of the crate need each other. This reads the sources: an edge leads from a file
//! to each file that defines a name it uses. A name that a module passes on with `use` belongs
//! to the file that defines it.
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
        } else if path.extension().is_some_and(|e| e == "rs") && name != "main" && name != "tests" {
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

fn edges() -> BTreeMap<Module, BTreeSet<Module>> {
    let mut all = Crate {
        sources: BTreeMap::new(),
        passed_on: BTreeMap::new(),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root, &[], &mut all.sources);
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

#[test]
fn no_files_need_each_other() {
    let edges = edges();
    assert!(edges.len() > 100, "{}", edges.len());
    // Files without a need that is left are taken away until only circles remain.
    let mut left = edges.clone();
    loop {
        let needed: Vec<Module> = left.keys().cloned().collect();
        left.retain(|_, needs| {
            needs.retain(|need| needed.contains(need));
            !needs.is_empty()
        });
        if left.len() == needed.len() {
            break;
        }
    }
    // The files above a circle need it, and nothing needs them.
    loop {
        let before = left.len();
        let needed: BTreeSet<Module> = left.values().flatten().cloned().collect();
        left.retain(|module, _| needed.contains(module));
        if left.len() == before {
            break;
        }
    }
    let named = left.iter().map(|(module, needs)| {
        let needs = needs.iter().map(|need| need.join("/"));
        format!(
            "{} → {}",
            module.join("/"),
            needs.collect::<Vec<_>>().join(", ")
        )
    });
    let named: Vec<String> = named.collect();
    assert!(named.is_empty(), "{named:#?}");
}
