//! `backupctl-setup`: the program that takes `--install`, `--uninstall` and `--doctor` over, and that checks databases.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Answer, World, have_rclone, names};
use crate::verify::{archived, database};

/// A copy of the gate in the folder of a world, and beside it the setup program if that is wanted.
fn installed(world: &World, with_setup: bool) -> PathBuf {
    let mut programs = vec![("backupctl", env!("CARGO_BIN_EXE_backupctl"))];
    if with_setup {
        programs.push(("backupctl-setup", env!("CARGO_BIN_EXE_backupctl-setup")));
    }
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, source) in programs {
        let place = world.path("bin").join(name);
        fs::copy(source, &place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(world.path("bin"), fs::Permissions::from_mode(0o755)).unwrap();
    world.path("bin/backupctl")
}

fn answer(gate: &PathBuf, words: &[&str]) -> Answer {
    Answer::of(&Command::new(gate).args(words).output().unwrap())
}

#[test]
fn a_missing_setup_program_is_named_with_the_way_to_get_it() {
    let world = World::new();
    let gate = installed(&world, false);
    for words in [
        &["--doctor"][..],
        &["--doctor", "--json"],
        &["--install", "--help"],
        &["--uninstall"],
        &["--completions", "bash"],
    ] {
        let answer = answer(&gate, words).expect(69);
        assert!(
            answer.err.contains("bin/backupctl-setup") && answer.err.contains("`install`"),
            "{}",
            answer.err
        );
    }
}

#[test]
fn a_loose_setup_program_is_refused() {
    let world = World::new();
    let gate = installed(&world, true);
    let help = answer(&gate, &["--install", "--help"]).expect(0);
    assert!(help.out.contains("--data-root"), "{}", help.out);
    for loose in ["bin/backupctl-setup", "bin"] {
        world.set_mode(loose, 0o775);
        let answer = answer(&gate, &["--install", "--help"]).expect(78);
        let path = world.path(loose).display().to_string();
        assert!(
            answer.err.contains(&format!("chmod go-w {path}")),
            "{}",
            answer.err
        );
        assert!(answer.out.is_empty());
        world.set_mode(loose, 0o755);
    }
    // A folder, or a link to a program of another user, is no program of the gate.
    fs::remove_file(world.path("bin/backupctl-setup")).unwrap();
    std::os::unix::fs::symlink("/bin/true", world.path("bin/backupctl-setup")).unwrap();
    let answer = answer(&gate, &["--doctor"]).expect(69);
    assert!(
        answer.err.contains("not a program of the gate"),
        "{}",
        answer.err
    );
}

#[test]
fn a_database_is_checked_by_a_setup_program_that_root_alone_could_have_replaced() {
    if !have_rclone() {
        return;
    }
    let world = archived(|data| drop(database(&data.join("app.db"))));
    let config = world.path("gate.toml").display().to_string();
    let verify = |gate: &PathBuf| answer(gate, &["--config", &config, "--verify", "app"]);
    let gate = installed(&world, true);
    let good = verify(&gate).expect(0);
    assert!(good.out.contains(" 1 database checked"), "{}", good.out);

    let setup = world.path("bin/backupctl-setup");
    world.set_mode("bin/backupctl-setup", 0o775);
    let loose = verify(&gate).expect(78);
    let fix = format!("chmod go-w {}", setup.display());
    assert!(loose.err.contains(&fix), "{}", loose.err);

    // A program that would call each database sound.
    fs::remove_file(&setup).unwrap();
    std::os::unix::fs::symlink("/bin/true", &setup).unwrap();
    let link = verify(&gate).expect(69);
    assert!(
        link.err.contains("not a program of the gate"),
        "{}",
        link.err
    );

    fs::remove_file(&setup).unwrap();
    let missing = verify(&gate).expect(69);
    assert!(
        missing.err.contains("bin/backupctl-setup") && missing.err.contains("`install`"),
        "{}",
        missing.err
    );
    let left = names(&world.path("spool/.fetched/0"));
    assert!(left.is_empty(), "{left:?}");

    // An archive without a database needs no such program.
    let world = archived(|_| {});
    let config = world.path("gate.toml").display().to_string();
    let gate = installed(&world, false);
    answer(&gate, &["--config", &config, "--verify", "app"]).expect(0);
}

#[test]
fn only_the_setup_program_contains_sqlite() {
    let has = |program: &str, words: &[u8]| {
        let bytes = fs::read(program).unwrap();
        bytes.windows(words.len()).any(|found| found == words)
    };
    let message = b"malformed database schema";
    assert!(has(env!("CARGO_BIN_EXE_backupctl-setup"), message));
    assert!(!has(env!("CARGO_BIN_EXE_backupctl"), message));
    let world = World::new();
    world.on_host(&["__inspect", "{}"]).expect(64);
}

#[test]
fn the_setup_program_is_closed_to_ssh() {
    let world = World::new();
    for line in [
        "backupctl --install",
        "backupctl --uninstall --dry-run",
        "backupctl --doctor",
        "backupctl --completions bash",
        "backupctl __facts leases",
        "backupctl __inspect {}",
        "backupctl-setup --doctor",
    ] {
        let answer = world.request(line);
        assert!(
            [64, 77].contains(&answer.code) && answer.out.is_empty(),
            "{line}: {} {}",
            answer.code,
            answer.out
        );
    }
}

#[test]
fn unknown_words_are_refused_before_anything_is_examined() {
    let setup = PathBuf::from(env!("CARGO_BIN_EXE_backupctl-setup"));
    for words in [
        &[][..],
        &["--doctor", "--fix"],
        &["--stop", "app"],
        &["--config", "/x", "--install"],
    ] {
        answer(&setup, words).expect(64);
    }
    let help = answer(&setup, &["--help"]).expect(0);
    assert!(help.out.lines().all(|line| line.len() <= 80));
}

#[test]
fn a_fact_is_told_only_for_a_known_question() {
    let world = World::new();
    for words in [
        &["__facts"][..],
        &["__facts", "secrets"],
        &["__facts", "leases", "app"],
    ] {
        world.on_host(words).expect(64);
    }
    let answer = world
        .on_host(&["__facts", "service", "nextcloud"])
        .expect(77);
    assert!(answer.err.contains("nextcloud is not in the configuration"));
    let answer = world.on_host(&["__facts", "service", "app"]).expect(0);
    assert_eq!(answer.out, "{\"state\":\"up\",\"stops_today\":0}\n");
}
