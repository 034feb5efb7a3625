//! Rules about the source that a compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

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

/// The crates of the gate, lowest layer first, with the folder of each.
const CRATES: [(&str, &str); 12] = [
    ("base", "base"),
    ("facts", "facts"),
    ("privilege", "privilege"),
    ("archive", "archive"),
    ("host", "host"),
    ("config", "config"),
    ("rclone", "rclone"),
    ("stack", "stack"),
    ("mirror", "mirror"),
    ("database", "database"),
    ("setup", "setup"),
    ("backupctl", "."),
];

/// Every source file of the gate with its text. The names in crates other than `backupctl` begin with that of the crate.
fn all() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (name, folder) in CRATES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(folder)
            .join("src");
        let mut found = Vec::new();
        sources(&root, &mut found);
        assert!(found.len() > 3, "{name}");
        for path in found {
            let file = path.strip_prefix(&root).unwrap().display().to_string();
            let shown = match name {
                "backupctl" => file,
                name => format!("{name}/{file}"),
            };
            texts.push((shown, fs::read_to_string(path).unwrap()));
        }
    }
    texts
}

#[test]
fn a_crate_uses_only_crates_of_lower_layers() {
    for (at, (name, folder)) in CRATES.iter().enumerate() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(folder)
            .join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some(*name));
        for (other, value) in manifest["dependencies"].as_table().unwrap() {
            let shared = ["durable", "readable"].contains(&other.as_str());
            let own = value.get("path").is_some() && !shared;
            let lower = CRATES[..at].iter().any(|(lower, _)| lower == other);
            assert!(!own || lower, "{name} must not use {other}");
        }
    }
}

/// Unit tests start programs as they need them, so only the code before them counts.
#[track_caller]
fn only_in(word: &str, homes: &[&str]) {
    for (name, text) in all() {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        assert!(
            !text.contains(word) || homes.contains(&name.as_str()),
            "{word} has no business in {name}"
        );
    }
}

#[test]
fn the_environment_is_read_in_one_place() {
    only_in("env::var", &["privilege/hardening.rs"]);
}

#[test]
fn programs_are_started_in_one_place() {
    only_in(
        "Command::new",
        &[
            "archive/tests/duplicates.rs",
            "host/handover.rs",
            "host/program.rs",
            "host/program/enter.rs",
            "setup/install/tool.rs",
            "privilege/hardening.rs",
        ],
    );
}

#[test]
fn nothing_is_printed_past_the_reply() {
    for word in ["println!(", "eprintln!(", "print!("] {
        only_in(word, &[]);
    }
}

#[test]
fn grants_are_made_by_policy() {
    only_in("Grant {", &["policy.rs"]);
}

#[test]
fn every_file_says_what_it_holds_and_is_of_one_concept() {
    for (name, text) in all() {
        let tests = name.ends_with("tests.rs");
        assert!(tests || text.starts_with("//!"), "{name} has no header");
        assert!(
            text.lines().count() <= 450,
            "{name} is too long for one concept"
        );
    }
}

/// The words of a progress line as GRAMMAR.md gives them, from the expression that a reader of logs copies.
fn documented_phases() -> Vec<String> {
    let grammar = concat!(env!("CARGO_MANIFEST_DIR"), "/GRAMMAR.md");
    let text = fs::read_to_string(grammar).unwrap();
    let words = text.split("s left \\((").nth(1).unwrap();
    let words = words.split(')').next().unwrap();
    words.split('|').map(str::to_owned).collect()
}

#[test]
fn every_phase_of_the_grammar_is_printed_by_an_action() {
    let phases = documented_phases();
    assert!(phases.iter().any(|phase| phase == "packing"), "{phases:?}");
    for phase in phases {
        let (first, rest) = phase.split_at(1);
        let value = format!("Phase::{}{rest}", first.to_uppercase());
        let used = all().into_iter().any(|(name, text)| {
            name != "base/progress.rs" && !name.starts_with("fuzzing") && text.contains(&value)
        });
        assert!(used, "no action reports the phase {phase}");
    }
}

/// The modules at the top of each crate: files, and folders that have no file of their name beside them.
fn modules() -> Vec<String> {
    let folders = CRATES.map(|(_, folder)| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let mut found: Vec<String> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder.join("src")).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "lib" && name != "tests")
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn architecture_names_every_module() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let gate = text.split("## The gate:").nth(1).unwrap();
    let gate = gate.split("\n## ").next().unwrap();
    let named: Vec<&str> = gate
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let modules = modules();
    assert!(modules.len() > 20, "{modules:?}");
    for module in &modules {
        assert!(
            named.contains(&module.as_str()),
            "the table of the gate's modules lacks {module}"
        );
    }
    for name in named {
        assert!(
            modules.iter().any(|module| module == name),
            "the table names {name}, which is no module of the gate"
        );
    }
}

#[test]
fn the_walk_of_a_request_names_files_that_exist() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let walk = text.split("### The walk of a request line").nth(1).unwrap();
    let walk = walk.split("\n### ").next().unwrap();
    let sources: Vec<String> = all().into_iter().map(|(name, _)| name).collect();
    let named = walk.split('`').filter(|word| word.ends_with(".rs"));
    assert!(named.clone().count() > 20);
    for name in named {
        assert!(sources.iter().any(|file| file == name), "{name}");
    }
}
