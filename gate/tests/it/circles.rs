//! No two files of a crate of the gate need each other, and no two types of a crate have the same name.

use std::fs;
use std::path::{Path, PathBuf};

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

/// The findings of all crates, each with the name of its crate in front.
fn found(find: fn(&Path) -> Vec<String>) -> Vec<String> {
    let mut all = Vec::new();
    for (name, root) in crates() {
        all.extend(find(&root).iter().map(|found| format!("{name}: {found}")));
    }
    all
}

#[test]
fn no_file_leads_back_to_itself() {
    assert_eq!(found(circles::circles), [""; 0]);
}

#[test]
fn no_two_types_of_a_crate_have_the_same_name() {
    assert_eq!(found(circles::types_twice), [""; 0]);
}
