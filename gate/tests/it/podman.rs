//! podmanctl's command line. Its work on units is tried where systemd runs.

use std::process::Command;

use crate::harness::{Answer, World};

fn podmanctl(world: &World, arguments: &[&str]) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podmanctl"));
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
