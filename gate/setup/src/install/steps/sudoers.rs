//! The one program that the account may run as root.
//!
//! Invariant: nothing becomes active that visudo(8) does not like; a drop-in that says the same in other words stays.

use std::path::Path;

use super::super::change::{Change, Proof};
use super::super::target::Target;
use base::sort;

/// The drop-in.
const PATH: &str = "/etc/sudoers.d/backupctl";

pub(super) fn plan(target: &Target<'_>) -> Vec<Change> {
    let ours = target.release.text("etc/sudoers");
    let seen = target.eyes.look(Path::new(PATH));
    let same = seen
        .and_then(|seen| seen.text())
        .filter(|text| rules(text) == rules(&ours));
    let wanted = same.unwrap_or(ours);
    target
        .file(PATH, wanted.as_bytes(), 0o440, Proof::Sudoers)
        .into_iter()
        .collect()
}

/// The rules of a drop-in, without comments and spaces.
fn rules(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().map(str::trim);
    let mut rules: Vec<Vec<&str>> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect())
        .collect();
    sort::sort(&mut rules);
    rules
}
