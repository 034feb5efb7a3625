//! The rclone of the release as that of the gate: a configuration with the former default is moved to it, once, and an
//! administrator's own program is kept.
//!
//! Invariant: one value of the configuration changes, the former text is kept, and the new text was read as a configuration
//! that names the release's rclone before anything is written.

use std::path::Path;

use toml_edit::Document;

use super::super::change::{Change, NewFile, Owner, Proof};
use super::super::target::{CONFIGURATION, Target};
use config::{BUNDLED_RCLONE, Config, FORMER_RCLONE};
use rclone::Version;
use rclone::credentials::backends::kinds;
use rclone::credentials::ini::Ini;
use rclone::version::Fitness;

/// The change that moves a configuration to the rclone of the release.
pub(super) fn plan(target: &Target<'_>) -> Option<Change> {
    let file = Path::new(CONFIGURATION).join("backupctl.toml");
    let has_former = target
        .config
        .as_ref()
        .is_some_and(|config| config.rclone.program.to_string() == FORMER_RCLONE);
    // An administrator who goes back to it later has chosen it.
    if !has_former || target.record.rclone_moved {
        return None;
    }
    let seen = target.look(&file)?;
    let text = moved(&seen.text()?)?;
    Some(Change::Rclone(NewFile {
        path: file,
        bytes: text.into_bytes(),
        owner: Owner::of(&seen.user, &seen.group),
        mode: seen.mode,
        proof: Proof::None,
        keep: true,
        theirs: true,
    }))
}

/// The text of a configuration with the rclone of the release in the place of the former default. All else stays, byte by
/// byte.
fn moved(text: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let program = document.get("rclone")?.get("program")?;
    if program.as_str() != Some(FORMER_RCLONE) {
        return None;
    }
    let place = program.as_value()?.span()?;
    let mut new = text.to_owned();
    new.replace_range(place, &format!("\"{BUNDLED_RCLONE}\""));
    let is_moved = |config: Config| config.rclone.program.to_string() == BUNDLED_RCLONE;
    Config::parse(&new).is_ok_and(is_moved).then_some(new)
}

/// Warnings about a program that stays, one a line.
pub(in crate::install) fn advice(target: &Target<'_>) -> Vec<String> {
    let Some(config) = &target.config else {
        return Vec::new();
    };
    let program = config.rclone.program.to_string();
    if program == BUNDLED_RCLONE || plan(target).is_some() {
        return Vec::new();
    }
    let text = target.eyes.text(&config.rclone.config.to_string());
    let ini = Ini::parse(&text);
    let mut found: Vec<String> = config
        .remotes
        .iter()
        .flat_map(|remote| kinds(&ini, remote.name()))
        .collect();
    found.dedup();
    let said = target
        .eyes
        .ask_for(&[&program, "version", "--config", "/dev/null"])
        .map(|said| said.out)
        .unwrap_or_default();
    let Some(version) = Version::parse(&said) else {
        return vec![format!(
            "rclone.program stays {program}, which does not tell its version"
        )];
    };
    match version.worst(&found) {
        (_, Fitness::Fine) => Vec::new(),
        (kind, Fitness::Faulty { needs, reason } | Fitness::TooOld { needs, reason }) => {
            vec![format!(
                "rclone.program stays {program}, which is {version}; remotes of type {kind} need {needs}: {reason}. This release brings {BUNDLED_RCLONE}"
            )]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_replaced_and_nothing_else() {
        for text in [
            "# /usr/bin/rclone\n[rclone] # mine\nprogram = \"/usr/bin/rclone\" # Debian's\nretries = 2\n",
            "rclone.program = '/usr/bin/rclone'\n[services.a]\n",
            "[services.a]\n[rclone]\n  program=\"/usr/bin/rclone\"\r\n",
            "rclone = { program = \"/usr/bin/rclone\" } # mine\n",
        ] {
            let new = moved(text).unwrap();
            let back = new.replace(BUNDLED_RCLONE, FORMER_RCLONE);
            assert_eq!(
                back,
                text.replace("'/usr/bin/rclone'", "\"/usr/bin/rclone\"")
            );
            assert_eq!(new.matches(BUNDLED_RCLONE).count(), 1, "{new}");
            assert_eq!(new.matches('#').count(), text.matches('#').count());
        }
        assert_eq!(moved("[rclone]\nprogram = \"/opt/rclone\"\n"), None);
        assert_eq!(
            moved(
                "[services.a]\nstop = [\"/usr/bin/rclone\"]\n[other]\nprogram = \"/usr/bin/rclone\"\n"
            ),
            None
        );
    }
}
