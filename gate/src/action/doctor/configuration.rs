//! The configuration and this program itself: both decide what root does, so both are root's alone.
//!
//! Invariant: a configuration that cannot be used is the first thing told, and ends no other check.

use std::path::Path;

use super::super::unusable;
use super::Examination;
use super::finding::Finding;
use super::ownership::{levels, loose};
use crate::error::Failure;
use crate::host::repair::quoted;
use crate::measure;

pub(super) fn examine(
    doctor: &mut Examination<'_>,
    path: &Path,
    problem: Option<&Failure>,
) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let loose_levels = levels(path).map(|levels| loose(&levels, doctor.trusted));
    let finding = match problem {
        None => {
            let config = doctor.context.config;
            let count = |number: usize, what| measure::count(number as u64, what);
            Finding::ok(format!(
                "{shown}: {}, {}, {}",
                count(config.services.len(), "service"),
                count(config.extra.len(), "extra target"),
                count(config.remotes.len(), "remote")
            ))
        }
        Some(problem) => {
            let words = problem.to_string();
            let fix = match loose_levels {
                Ok(levels) if !levels.is_empty() => {
                    levels.into_iter().flat_map(|level| level.fix).collect()
                }
                Ok(_) => vec![format!("editor {}", quoted(&shown))],
                Err(_) => vec![format!(
                    "install -D -m 0600 backupctl.example.toml {}",
                    quoted(&shown)
                )],
            };
            Finding::fail(words, fix)
        }
    };
    let aside = unusable::tables(doctor.context.config).into_iter();
    let aside = aside.map(|one| {
        Finding::warn(
            format!("{} is not in force: {}", one.place, one.reason),
            vec![format!("editor {}", quoted(&shown))],
        )
    });
    let findings: Vec<Finding> = std::iter::once(finding).chain(aside).collect();
    doctor.tell("config", findings)
}

/// This program's own file.
pub(super) fn own_program(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let gate = doctor.gate.clone();
    let version = env!("CARGO_PKG_VERSION");
    let findings = match levels(Path::new(&gate)) {
        Err(reason) => vec![Finding::fail(
            reason,
            vec!["# install the program again".into()],
        )],
        Ok(levels) => {
            let loose = loose(&levels, doctor.trusted);
            if loose.is_empty() {
                vec![Finding::ok(format!(
                    "{gate} is version {version}, and nobody else can change it"
                ))]
            } else {
                let fail = |level: super::ownership::Loose| {
                    let what = format!("whoever changes this program is root: {}", level.what);
                    Finding::fail(what, level.fix)
                };
                loose.into_iter().map(fail).collect()
            }
        }
    };
    doctor.tell("program", findings)
}
