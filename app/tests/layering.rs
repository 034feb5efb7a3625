//! The layers of the crate depend on each other in one direction; this reads the sources.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The layers that `lib.rs` lists, from the bottom up. A module may use those before it, and itself.
fn layers() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let list = text.lines().find(|line| line.contains('←')).unwrap();
    let names = list.trim_start_matches("//! ").replace(['`', '.'], "");
    let layer = |names: &str| {
        names
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect()
    };
    names.split('←').map(layer).collect()
}

#[test]
fn the_architecture_lists_the_same_layers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let layers: Vec<String> = layers().iter().map(|layer| layer.join(", ")).collect();
    let list = format!("    {} ← main\n", layers.join(" ← "));
    assert!(text.contains(&list), "ARCHITECTURE.md lacks: {list}");
}

#[test]
fn every_module_has_a_layer() {
    let layers = layers().concat();
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let modules = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    for module in modules {
        let module = module.trim_end_matches(';').to_owned();
        assert!(layers.contains(&module), "{module} has no layer");
    }
}

#[test]
fn only_the_store_speaks_sql() {
    for path in sources(&root()) {
        let text = fs::read_to_string(&path).unwrap();
        if module_of(&path) != "store" {
            assert!(
                !text.contains("rusqlite"),
                "{} names rusqlite",
                path.display()
            );
        }
    }
}

#[test]
fn pages_call_operations_and_no_handler_of_the_api() {
    for path in sources(&root().join("web/pages")) {
        let text = fs::read_to_string(&path).unwrap();
        let found = text.replace("api::document", "").contains("web::api");
        assert!(!found, "{} uses the API's handlers", path.display());
    }
}

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

fn rank(layers: &[Vec<String>], module: &str) -> Option<usize> {
    layers
        .iter()
        .position(|layer| layer.iter().any(|name| name == module))
}

#[test]
fn every_use_points_down() {
    let (mut wrong, layers) = (Vec::new(), layers());
    for path in sources(&root()) {
        let module = module_of(&path);
        let Some(own) = rank(&layers, &module) else {
            continue;
        };
        for line in fs::read_to_string(&path).unwrap().lines() {
            for (at, _) in line.match_indices("crate::") {
                let used = line[at + 7..]
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
                    .unwrap();
                if rank(&layers, used).is_some_and(|used_rank| {
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
