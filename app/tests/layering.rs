//! The layers of the crate depend on each other in one direction; this reads the sources.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up. A module may use those before it, and itself.
const LAYERS: &[&[&str]] = &[
    &["panics", "faults"],
    &["blocking"],
    &["domain"],
    &["secrets", "scripts", "libraries", "setting"],
    &["store"],
    &["engine"],
    &["config", "view"],
    &["notify"],
    &["web"],
    &["cli"],
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The layer a source file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root()).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn every_use_points_down() {
    let mut wrong = Vec::new();
    for path in sources(&root()) {
        let module = module_of(&path);
        let Some(own) = rank(&module) else { continue };
        for line in fs::read_to_string(&path).unwrap().lines() {
            for (at, _) in line.match_indices("crate::") {
                let used = line[at + 7..]
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
                    .unwrap();
                if rank(used).is_some_and(|used_rank| {
                    used_rank > own || (used_rank == own && used != module)
                }) {
                    wrong.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rules_know_nothing_of_the_world() {
    for path in sources(&root().join("domain")) {
        let text = fs::read_to_string(&path).unwrap();
        for word in [
            "tokio",
            "rusqlite",
            "axum",
            "std::fs",
            "std::net",
            "SystemTime",
            "Utc::now",
            "Instant::now",
        ] {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_readable() {
    for path in sources(&root()) {
        let text = fs::read_to_string(&path).unwrap();
        if !path.ends_with("tests.rs") {
            assert!(text.starts_with("//!"), "{} has no heading", path.display());
            let lines = text.lines().count();
            assert!(lines <= 450, "{} has {lines} lines", path.display());
        }
        for name in ["utils", "helpers", "common", "misc", "types"] {
            assert!(path.file_stem().unwrap() != name, "{}", path.display());
        }
    }
}
