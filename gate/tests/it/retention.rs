//! Retention of archives: only verified ones count, a request cannot lower the numbers, and a removed archive is first
//! put aside.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::{Answer, World, have_rclone};
use crate::restore::restored;

pub(crate) fn folder(world: &World) -> PathBuf {
    let folder = world.path("remote/OdroidBackup/app/archives");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// An archive of three bytes, and a manifest with this size.
pub(crate) fn plant(world: &World, day: &str, said: Option<u64>) {
    let folder = folder(world);
    fs::write(folder.join(format!("app-{day}.tar.gz")), "old").unwrap();
    let Some(said) = said else { return };
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = format!("backupctl-manifest 2 app-{day}.tar.gz\nend 0 0 {said} {digest}\n");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let manifest = folder.join(format!("app-{day}.manifest.gz"));
    fs::write(manifest, gzip.finish().unwrap()).unwrap();
}

/// The archives of 2020 that are in their place.
fn left(world: &World) -> Vec<String> {
    let mut names = world.archives();
    names.retain(|name| name.starts_with("app-2020") || name.starts_with("app-2019"));
    names
}

/// The codes of the warnings, without the warning of every archive here: the service is up.
fn told(answer: &Answer) -> Vec<String> {
    let mut codes = codes(answer);
    codes.retain(|code| code != "service_up");
    codes
}

/// The codes of the warnings among the results.
pub(crate) fn codes(answer: &Answer) -> Vec<String> {
    answer
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("result: "))
        .map(|json| serde_json::from_str::<serde_json::Value>(json).unwrap())
        .filter(|json| json["version"] == 1 && json["kind"] == "warning")
        .map(|json| json["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn retention_gives_up_what_it_should_and_puts_it_aside() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    for day in ["2020-01-05", "2020-01-12", "2019-12-01"] {
        plant(&world, day, Some(3));
    }
    for name in [
        "app-2019-12-01.tar.gz.partial",
        "app-x.tar.gz",
        "notes.txt",
        "other-2019-01-01.tar.gz",
    ] {
        fs::write(folder(&world).join(name), "old").unwrap();
    }
    world.configure("[retention]\nkeep_weekly = 2\nkeep_monthly = 3\n");
    let answer = world.request(&world.archive()).expect(0);
    assert!(
        answer.out.contains("1 old archives put aside"),
        "{}",
        answer.out
    );
    let mut here = world.listing("app/archives");
    here.retain(|name| {
        !name.starts_with("app-20") || name.contains("2020") || name.contains("2019")
    });
    // Two weeks: this one and that of 12 January; three months: this one, January, December.
    assert_eq!(
        here,
        [
            "app-2019-12-01.manifest.gz",
            "app-2019-12-01.tar.gz",
            "app-2020-01-12.manifest.gz",
            "app-2020-01-12.tar.gz",
            "app-x.tar.gz",
            "notes.txt",
            "other-2019-01-01.tar.gz"
        ]
    );
    let days = world.listing("app/.pruned");
    assert_eq!(days.len(), 1, "{days:?}");
    assert_eq!(
        world.listing(&format!("app/.pruned/{}", days[0])),
        ["app-2020-01-05.manifest.gz", "app-2020-01-05.tar.gz"]
    );
}

#[test]
fn what_was_put_aside_goes_after_its_days_and_nothing_else_in_there() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let aside = world.path("remote/OdroidBackup/app/.pruned");
    for name in ["2020-01-01", "2999-01-01", "notes"] {
        fs::create_dir_all(aside.join(name)).unwrap();
        fs::write(aside.join(name).join("app-2019-12-01.tar.gz"), "old").unwrap();
    }
    world.request(&world.archive()).expect(0);
    assert_eq!(world.listing("app/.pruned"), ["2999-01-01", "notes"]);
}

#[test]
fn the_only_good_archive_stays_beside_newer_ones_that_are_none() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    plant(&world, "2020-01-05", Some(3));
    for (day, said) in [
        ("2020-01-12", None),
        ("2020-01-19", None),
        ("2020-01-26", Some(4)),
        ("2020-02-02", Some(0)),
    ] {
        plant(&world, day, said);
    }
    fs::write(folder(&world).join("app-2020-02-02.tar.gz"), "").unwrap();
    // Two weeks and two months: if every archive counted, the good one would have no place.
    world.configure("[retention]\nkeep_weekly = 2\nkeep_monthly = 2\n");
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(left(&world).len(), 5, "{}", answer.out);
    assert_eq!(told(&answer), ["archive_unverified"]);
    for day in ["2020-01-12", "2020-01-19", "2020-01-26"] {
        assert!(answer.err.contains(day), "{}", answer.err);
    }
    assert!(!answer.err.contains("2020-01-05"), "{}", answer.err);
    // When verified archives cover two weeks and two months, the others are put aside, and can still be restored.
    plant(&world, "2020-12-06", Some(3));
    world.request(&world.archive()).expect(0);
    assert_eq!(left(&world), ["app-2020-12-06.tar.gz"]);
    let day = world.listing("app/.pruned").remove(0);
    let aside = world.listing(&format!("app/.pruned/{day}"));
    assert_eq!(
        aside
            .iter()
            .filter(|name| name.ends_with(".tar.gz"))
            .count(),
        5
    );
}

#[test]
fn manifests_are_read_once_and_not_with_every_archive() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    for day in ["2020-01-05", "2020-01-12", "2020-01-13"] {
        plant(&world, day, Some(3));
    }
    plant(&world, "2020-01-14", Some(9));
    let here = world.path("").display().to_string();
    let program = world.script(
        "counting",
        &format!("test $1 = cat && echo >> {here}/read\nexec /usr/bin/rclone \"$@\"\n"),
    );
    world.configure_with("", &program);
    world.request(&world.archive()).expect(0);
    assert_eq!(world.read("read").lines().count(), 4);
    // The one that did not fit is put aside, and the gate reads only the new one of the others.
    plant(&world, "2020-01-06", Some(3));
    world.request(&world.archive()).expect(0);
    assert_eq!(world.read("read").lines().count(), 4 + 1);
    // Another file with the name of a verified one is detected.
    fs::write(folder(&world).join("app-2020-01-13.tar.gz"), "cut off").unwrap();
    plant(&world, "2020-01-07", Some(3));
    let answer = world.request(&world.archive()).expect(0);
    assert!(answer.err.contains("app-2020-01-13"), "{}", answer.err);
}

#[test]
fn one_line_of_a_stolen_key_takes_no_archive_away() {
    if !have_rclone() {
        return;
    }
    for top in ["", "[retention]\nfloor_weekly = 2\nfloor_monthly = 3\n"] {
        let world = World::new();
        for month in 1..=11 {
            plant(&world, &format!("2020-{month:02}-20"), Some(3));
        }
        world.configure(top);
        let line = format!("{} --keep-weekly 2 --keep-monthly 3", world.archive());
        let answer = world.request(&line).expect(0);
        assert_eq!(left(&world).len(), 11, "{}", answer.out);
        assert_eq!(told(&answer), ["retention_raised"; 2]);
        assert!(answer.err.contains("raised to 12"), "{}", answer.err);
        // Only --doctor reports this, not every archive.
        assert!(!answer.err.contains("release 0.1"), "{}", answer.err);
        assert!(world.listing("app/.pruned").is_empty());
    }
}

#[test]
fn an_archive_of_the_future_is_named_and_never_the_newest() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    // The numbers of the tutorial cause no message.
    let line = format!("{} --keep-weekly 3 --keep-monthly 12", world.archive());
    let answer = world.request(&line).expect(0);
    assert!(!answer.err.contains("raised"), "{}", answer.err);
    assert_eq!(told(&answer).len(), 0);
    let today = world.archives().remove(0);
    plant(&world, "2999-01-01", None);
    let answer = world.request(&world.archive()).expect(0);
    assert_eq!(told(&answer), ["archive_in_the_future"]);
    for words in [&["--verify", "app"][..], &["--restore", "app"]] {
        let answer = world.on_host(words).expect(0);
        assert!(answer.out.contains(&today), "{}", answer.out);
        assert!(
            answer.err.contains("app-2999-01-01.tar.gz"),
            "{}",
            answer.err
        );
        assert_eq!(told(&answer), ["archive_in_the_future"]);
    }
    assert_eq!(
        fs::read_to_string(restored(&world).join("file")).unwrap(),
        "content"
    );
    // Asked for by its day it is taken, and this one is none.
    let answer = world
        .on_host(&["--verify", "app", "--from", "2999-01-01"])
        .expect(65);
    assert!(answer.err.contains("finding"), "{}", answer.err);
}

#[test]
fn where_all_archives_are_of_the_future_none_is_taken() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    plant(&world, "2999-01-01", None);
    let answer = world.on_host(&["--restore", "app"]).expect(69);
    assert!(answer.err.contains("2999-01-01"), "{}", answer.err);
}
