//! Files that come from the table of verbs (`request::table`) and the table of keys (`config::key`). A test compares them; with
//! `BLESS=1` it writes them anew:
//!
//!     BLESS=1 cargo nextest run -p backupctl -E 'test(generated)'

mod bash;
mod fish;
mod grammar;
mod help;
mod keys;
mod manual;
mod zsh;

use std::fs;
use std::path::Path;

use backupctl::request::table::{Opt, Takes, Use, Verb};

/// A verb or option with its value as a synopsis shows it.
fn shown(name: &str, takes: Takes) -> String {
    match takes {
        Takes::One(value) => format!("{name} {}", value.word()),
        Takes::AtMostOne(value) => format!("{name} [{}]", value.word()),
        Takes::Nothing => name.to_owned(),
    }
}

fn option(option: Opt) -> String {
    shown(option.name, option.takes)
}

/// The options of a verb as a synopsis shows them.
fn options(verb: &Verb) -> Vec<String> {
    let of = |used: &Use| match used {
        Use::Must(needed) => option(*needed),
        Use::May(possible) => format!("[{}]", option(*possible)),
        Use::Repeat(possible) => format!("[{}]...", option(*possible)),
        Use::Either(first, second) => format!("[{} | {}]", option(*first), option(*second)),
    };
    verb.options.iter().map(of).collect()
}

/// The text between two lines of a file, with other lines in its place.
fn replaced(text: &str, begin: &str, end: &str, with: &str) -> String {
    let (before, rest) = text
        .split_once(begin)
        .unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}{with}{end}{after}")
}

#[test]
fn help_manuals_grammar_completions_and_example_are_those_of_the_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut stale = Vec::new();
    for (name, make) in [
        ("src/help.txt", help::file as fn(&str) -> String),
        ("man/backupctl.8", manual::file),
        ("GRAMMAR.md", grammar::file),
        ("backupctl.example.toml", keys::example),
        ("man/backupctl.toml.5", keys::manual),
        ("completions/backupctl.bash", bash::file),
        ("completions/_backupctl", zsh::file),
        ("completions/backupctl.fish", fish::file),
    ] {
        let path = root.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let made = make(&text);
        if made == text {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, made).unwrap();
        } else {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "not as the tables of verbs and keys say: {stale:?}; run this test with BLESS=1"
    );
}
