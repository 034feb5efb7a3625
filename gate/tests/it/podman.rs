//! podmanctl's command line. Its work on units is tried where systemd runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::harness::{Answer, World};
use crate::programs;

fn podmanctl(world: &World, arguments: &[&str]) -> Answer {
    let mut command = Command::new(programs::podmanctl(world));
    command
        .arg("--config")
        .arg(world.path("gate.toml"))
        .args(arguments);
    Answer::of(&command.output().unwrap())
}

#[test]
fn what_does_not_fit_is_refused() {
    let world = World::new();
    for words in [
        &[][..],
        &["--stop"],
        &["--stop", "../x"],
        &["--stop", "app", "--timeout", "0"],
        &["--list", "x"],
        &["app"],
    ] {
        let answer = podmanctl(&world, words).expect(64);
        assert!(!answer.err.is_empty() && answer.out.is_empty());
    }
    let help = podmanctl(&world, &["--help"]).expect(0).out;
    assert!(help.starts_with("podmanctl --list"));
    for line in help.lines() {
        assert!(line.len() <= 80, "{line}");
    }
}

#[test]
fn the_name_makes_the_program_also_behind_a_link_and_as_a_copy() {
    let world = World::new();
    let help = |program: &Path| {
        let output = Command::new(program).arg("--help").output().unwrap();
        Answer::of(&output).expect(0).out
    };
    let setup = Path::new(env!("CARGO_BIN_EXE_backupctl-setup"));
    assert!(help(setup).starts_with("backupctl-setup --install"));
    assert!(help(&programs::podmanctl(&world)).starts_with("podmanctl --list"));
    // A copy, as from the release's folder, and a second name of that copy.
    fs::create_dir(world.path("copy")).unwrap();
    let copy = world.path("copy/podmanctl");
    fs::copy(setup, &copy).unwrap();
    assert!(help(&copy).starts_with("podmanctl --list"));
    let second = world.path("copy/backupctl-setup");
    fs::hard_link(&copy, &second).unwrap();
    assert!(help(&second).starts_with("backupctl-setup --install"));
    // An administrator's own link to it.
    symlink(&copy, world.path("copy/mine")).unwrap();
    assert!(help(&world.path("copy/mine")).starts_with("podmanctl --list"));
}

#[test]
fn a_service_without_units_or_a_host_without_systemd_is_an_error_that_says_so() {
    let world = World::new();
    let answer = podmanctl(
        &world,
        &["--stop", "no-such-service-anywhere", "--timeout", "5"],
    )
    .expect(69);
    assert!(
        answer.err.contains("there is no unit") || answer.err.contains("systemd does not run here"),
        "{}",
        answer.err
    );
}
