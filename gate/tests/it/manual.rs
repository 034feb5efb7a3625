//! The manual pages: well formed, and complete as far as a program can check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Answer, World, have, names};

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn pages() -> Vec<PathBuf> {
    let folder = here("man");
    let pages: Vec<PathBuf> = names(&folder)
        .iter()
        .map(|name| folder.join(name))
        .collect();
    assert_eq!(pages.len(), 3);
    pages
}

#[test]
fn groff_has_no_warnings() {
    if !have("/usr/bin/man") || !have("/usr/bin/groff") {
        return;
    }
    for page in pages() {
        let done = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
            .arg(&page)
            .output();
        let answer = Answer::of(&done.unwrap()).expect(0);
        assert_eq!(answer.err, "", "{}", page.display());
    }
}

#[test]
fn mandoc_has_no_complaints() {
    if !have("/usr/bin/mandoc") {
        return;
    }
    for page in pages() {
        let done = Command::new("mandoc")
            .args(["-Tlint", "-Wwarning"])
            .arg(&page)
            .output();
        let answer = Answer::of(&done.unwrap());
        assert_eq!(answer.out, "", "{}", page.display());
    }
}

/// Every new key must be on the page. The example has every key; keys without a default value are in a comment.
#[test]
fn every_key_of_the_example_is_in_its_page() {
    let page = fs::read_to_string(here("man/backupctl.toml.5")).unwrap();
    let described: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .flat_map(|line| line.split(" , "))
        .collect();
    let example = fs::read_to_string(here("backupctl.example.toml")).unwrap();
    let mut keys = 0;
    for line in example.lines() {
        let line = line.trim_start_matches("# ");
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            keys += 1;
            assert!(
                described.contains(&key),
                "{key} is not in man/backupctl.toml.5"
            );
        }
    }
    assert!(keys > 25, "{keys}");
}

#[test]
fn the_help_fits_a_terminal() {
    let world = World::new();
    let help = Answer::of(&world.gate().arg("--help").output().unwrap()).expect(0);
    for line in help.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
