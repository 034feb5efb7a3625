//! No two files of a crate of the gate need each other, and no two types of a crate have the same name.

use std::fs;
use std::path::{Path, PathBuf};

/// The remaining circles, each by its crate and its first file. None may be added.
const CIRCLES_LEFT: [&str; 2] = ["setup: install", "setup: install/change"];

/// The remaining names of two types. None may be added.
const NAMES_LEFT: [&str; 1] = ["setup: Facts"];

/// The crates of the gate, each with its sources.
fn crates() -> Vec<(String, PathBuf)> {
    let gate = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut crates = vec![("backupctl".to_owned(), gate.join("src"))];
    for entry in fs::read_dir(gate).unwrap().flatten() {
        let root = entry.path().join("src");
        if root.join("lib.rs").is_file() {
            crates.push((entry.file_name().into_string().unwrap(), root));
        }
    }
    assert!(crates.len() > 5, "{crates:?}");
    crates
}

/// Every finding with the name of its crate in front has to be in a list, and every entry of the list has to be found.
#[track_caller]
fn compare(find: fn(&Path) -> Vec<String>, known: &[&str]) {
    let found: Vec<String> = crates()
        .iter()
        .flat_map(|(name, root)| {
            find(root)
                .into_iter()
                .map(move |found| format!("{name}: {found}"))
        })
        .collect();
    let covers = |known: &str, found: &str| {
        let rest = found.strip_prefix(known);
        rest.is_some_and(|rest| rest.starts_with([' ', ':']))
    };
    let new: Vec<&String> = found
        .iter()
        .filter(|found| !known.iter().any(|known| covers(known, found)))
        .collect();
    assert!(new.is_empty(), "{new:#?}");
    for known in known {
        assert!(
            found.iter().any(|found| covers(known, found)),
            "{known} is mended; take it from the list"
        );
    }
}

#[test]
fn no_file_leads_back_to_itself() {
    compare(circles::circles, &CIRCLES_LEFT);
}

#[test]
fn no_two_types_of_a_crate_have_the_same_name() {
    compare(circles::types_twice, &NAMES_LEFT);
}
