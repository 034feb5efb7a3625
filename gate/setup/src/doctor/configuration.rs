//! The configuration and this program itself: both control root's actions, so only root may change them.
//!
//! Invariant: an unusable configuration is the first finding; the checks that need no configuration still run.

use std::path::Path;
use std::time::Duration;

use super::examination::Examination;
use super::finding::Finding;
use super::ownership::{levels, loose};
use base::error::Failure;
use base::measure;
use base::repair::quoted;
use config::unusable;

/// Time limit for a program to print its version.
const ANSWER: Duration = Duration::from_secs(10);

pub(super) fn examine(
    doctor: &mut Examination<'_>,
    path: &Path,
    problem: Option<&Failure>,
) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let loose_levels = levels(path).map(|levels| loose(&levels, doctor.trusted));
    let finding = match problem {
        None => {
            let config = doctor.config;
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
    let aside = unusable::tables(doctor.config).into_iter();
    let aside = aside.map(|one| {
        Finding::warn(
            format!("{} is not in force: {}", one.place, one.reason),
            vec![format!("editor {}", quoted(&shown))],
        )
    });
    let mut findings: Vec<Finding> = std::iter::once(finding).chain(aside).collect();
    if problem.is_none() && doctor.config.retention.has_former_floors() {
        findings.push(former_floors(&shown));
    }
    if problem.is_none() && doctor.config.has_former_early_start() {
        findings.push(former_early_start(&shown));
    }
    doctor.tell("config", findings)
}

/// Reports the floors that release 0.1 wrote into every configuration; the gate reads them as if they were not set.
/// The administrator's file stays unchanged until the administrator runs the fix. Only the doctor reports them, not
/// every archive.
fn former_floors(file: &str) -> Finding {
    let comment = r"/^ *\[retention\]/,/^ *\[[^r]/s/^ *floor_\(weekly *= *2\|monthly *= *3\) *\(#.*\)\?$/# &/";
    Finding::warn(
        format!(
            "{file}: floor_weekly = 2 and floor_monthly = 3 are the defaults of release 0.1 and count no longer; keep_weekly and keep_monthly are the floors"
        ),
        vec![format!("sudo sed -i {} {}", quoted(comment), quoted(file))],
    )
}

/// Reports the default that release 0.1 wrote into every configuration, in the same way.
fn former_early_start(file: &str) -> Finding {
    let comment = r"0,/^ *\[/s/^ *early_start *= *false *\(#.*\)\?$/# &/";
    Finding::warn(
        format!(
            "{file}: early_start = false at the top level is the default of release 0.1 and counts no longer; services start as soon as their data is captured, unless their own table says early_start = false"
        ),
        vec![format!("sudo sed -i {} {}", quoted(comment), quoted(file))],
    )
}

/// Examines the files of the gate and of this program, which belong to one release.
pub(super) fn own_programs(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let gate = doctor.gate.clone();
    let own = host::handover::beside(host::handover::SETUP);
    let version = env!("CARGO_PKG_VERSION");
    let said = doctor.ask("asking for the version", &[&gate, "--version"], ANSWER)?;
    let said = said.map(|ended| String::from_utf8_lossy(&ended.stdout).trim().to_owned());
    let other = match &said {
        Ok(said) if said == &format!("backupctl {version}") => None,
        Ok(said) | Err(said) => Some(Finding::fail(
            format!(
                "{gate} is not of the release of {}, which is version {version}: {said}",
                own.display()
            ),
            vec!["# run the `install` of a release again".into()],
        )),
    };
    let mut findings = Vec::new();
    for program in [Path::new(&gate), &own] {
        match levels(program) {
            Err(reason) => findings.push(Finding::fail(
                reason,
                vec!["# install the program again".into()],
            )),
            Ok(levels) => {
                findings.extend(loose(&levels, doctor.trusted).into_iter().map(|level| {
                    let what = format!("whoever changes this program is root: {}", level.what);
                    Finding::fail(what, level.fix)
                }))
            }
        }
    }
    findings.dedup();
    findings.extend(other);
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "{gate} is version {version}, and nobody else can change it"
        )));
    }
    doctor.tell("program", findings)
}
