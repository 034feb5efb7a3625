//! Working copies in a temporary folder; the test acts as rclone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use super::*;

struct World {
    folder: tempfile::TempDir,
    config: Config,
}

fn text(token: u32) -> String {
    format!(
        "# mine\n[one]\ntype = onedrive\ntoken = {{\"access_token\":\"{token}\",\"expiry\":\"2026-01-01T00:00:{token:02}Z\"}}\n[two]\ntype = alias\n"
    )
}

impl World {
    fn new() -> Self {
        let base = fs::canonicalize(std::env::temp_dir()).unwrap();
        let folder = tempfile::tempdir_in(base).unwrap();
        let here = folder.path().display();
        let config = Config::parse(&format!(
            "state_dir = \"{here}/state\"\n[rclone]\nconfig = \"{here}/rclone.conf\""
        ))
        .unwrap();
        let world = Self { folder, config };
        world.configure(&text(1));
        world
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("rclone.conf")
    }

    fn configure(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o400)).unwrap();
    }

    fn configured(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn open(&self) -> WorkingCopy {
        // A remote without a token, so that no test waits for a turn by accident.
        WorkingCopy::open(&self.config, "two", Duration::ZERO).unwrap()
    }

    fn open_to_renew(&self) -> WorkingCopy {
        WorkingCopy::open(&self.config, "one", turn::PATIENCE).unwrap()
    }

    fn copies(&self) -> usize {
        let store = self.folder.path().join("state/rclone");
        let names = fs::read_dir(store)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name != "lock" && name != "turn")
            .count()
    }
}

fn file(copy: &WorkingCopy) -> PathBuf {
    copy.folder().to_path_buf().join(COPY)
}

/// Rewrites the file as rclone does.
fn rewrite(copy: &WorkingCopy, text: &str) {
    let path = file(copy);
    let fresh = path.with_file_name("rclone.conf123");
    let old = path.with_file_name("rclone.conf.old");
    fs::write(&fresh, text).unwrap();
    fs::rename(&path, &old).unwrap();
    fs::rename(&fresh, &path).unwrap();
    fs::remove_file(&old).unwrap();
}

/// Leaves the files of a killed gate and a killed rclone behind.
fn killed(mut copy: WorkingCopy) {
    copy.users = None;
    std::mem::forget(copy);
}

#[test]
fn a_new_token_comes_back_with_owner_and_mode_and_nothing_else_does() {
    let world = World::new();
    let copy = world.open();
    assert_eq!(fs::read_to_string(file(&copy)).unwrap(), text(1));
    copy.look().unwrap();
    let evil = text(2)
        .replace("alias", "local")
        .replace("# mine", "[three]\ntype = http");
    rewrite(&copy, &evil);
    copy.look().unwrap();
    assert_eq!(world.configured(), text(2));
    assert_eq!(fs::metadata(world.path()).unwrap().mode() & 0o7777, 0o400);
    rewrite(&copy, &text(3));
    drop(copy);
    assert_eq!(world.configured(), text(3));
    assert_eq!(world.copies(), 0);
    assert_eq!(fs::read_dir(world.folder.path()).unwrap().count(), 2);
}

#[test]
fn transfers_at_the_same_time_share_a_copy() {
    let world = World::new();
    let (first, second) = (world.open(), world.open());
    assert_eq!(first.folder(), second.folder());
    rewrite(&first, &text(2));
    drop(first);
    assert_eq!(world.configured(), text(2));
    assert_eq!(fs::read_to_string(file(&second)).unwrap(), text(2));
    let third = world.open();
    assert_eq!(third.folder(), second.folder());
    drop(second);
    assert_eq!(world.copies(), 1);
    drop(third);
    assert_eq!(world.copies(), 0);
}

#[test]
fn what_the_administrator_writes_meanwhile_wins() {
    let world = World::new();
    let copy = world.open();
    world.configure(&text(9));
    rewrite(&copy, &text(2));
    copy.look().unwrap();
    assert_eq!(world.configured(), text(9));
    // A newcomer gets the current configuration, not the copy in use.
    let newcomer = world.open();
    assert_ne!(newcomer.folder(), copy.folder());
    assert_eq!(fs::read_to_string(file(&newcomer)).unwrap(), text(9));
    drop(copy);
    drop(newcomer);
    assert_eq!(world.configured(), text(9));
    assert_eq!(world.copies(), 0);
    // Another line changed and the token stayed: both changes are kept.
    let copy = world.open();
    world.configure(&text(9).replace("alias", "crypt"));
    rewrite(&copy, &text(10));
    drop(copy);
    assert_eq!(world.configured(), text(10).replace("alias", "crypt"));
}

#[test]
fn a_copy_left_behind_is_brought_back_at_any_stage_of_rclones_rewrite() {
    let stages: [fn(&WorkingCopy); 5] = [
        // Written, not yet in place: the server already accepts only the new token.
        |copy| fs::write(file(copy).with_file_name("rclone.conf123"), text(2)).unwrap(),
        |copy| {
            fs::write(file(copy).with_file_name("rclone.conf123"), text(2)).unwrap();
            fs::rename(file(copy), file(copy).with_file_name("rclone.conf.old")).unwrap();
        },
        |copy| {
            fs::rename(file(copy), file(copy).with_file_name("rclone.conf.old")).unwrap();
            fs::write(file(copy), text(2)).unwrap();
        },
        |copy| rewrite(copy, &text(2)),
        // A second partial file beside it.
        |copy| {
            rewrite(copy, &text(2));
            fs::write(file(copy).with_file_name("rclone.conf9"), &text(3)[..60]).unwrap();
        },
    ];
    for stage in stages {
        let world = World::new();
        let copy = world.open();
        stage(&copy);
        killed(copy);
        assert_eq!(world.configured(), text(1));
        assert!(recover(&world.config).unwrap());
        assert_eq!(world.configured(), text(2));
        assert_eq!(world.copies(), 0);
        assert!(!recover(&world.config).unwrap());
    }
}

#[test]
fn a_beginning_is_not_taken_for_a_whole() {
    for length in 0..text(2).len() {
        let world = World::new();
        let copy = world.open();
        fs::write(
            file(&copy).with_file_name("rclone.conf123"),
            &text(2)[..length],
        )
        .unwrap();
        killed(copy);
        let next = world.open();
        let given = fs::read_to_string(file(&next)).unwrap();
        assert!(given == text(1) || given == text(2), "{given}");
        drop(next);
        assert!(world.configured() == text(1) || world.configured() == text(2));
    }
}

#[test]
fn a_token_that_cannot_be_put_back_is_kept_and_used() {
    let world = World::new();
    let copy = world.open();
    rewrite(&copy, &text(2));
    // No file can be created: a folder already has this name.
    let blocker = world.folder.path().join(".rclone.conf.new");
    fs::create_dir(&blocker).unwrap();
    assert!(copy.look().unwrap_err().contains("kept"));
    drop(copy);
    assert_eq!((world.configured(), world.copies()), (text(1), 1));
    let next = world.open();
    assert_eq!(fs::read_to_string(file(&next)).unwrap(), text(2));
    rewrite(&next, &text(3));
    drop(next);
    assert_eq!(world.copies(), 1);
    fs::remove_dir(blocker).unwrap();
    assert!(recover(&world.config).unwrap());
    assert_eq!((world.configured(), world.copies()), (text(3), 0));
}

#[test]
fn a_copy_that_others_use_is_not_cleared_away() {
    let world = World::new();
    let copy = world.open();
    recover(&world.config).unwrap();
    assert!(file(&copy).exists());
    // A copy whose maker was killed before it was finished.
    fs::create_dir_all(world.folder.path().join("state/rclone/7/conf")).unwrap();
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(world.folder.path().join("state/rclone/7"), private).unwrap();
    recover(&world.config).unwrap();
    assert_eq!(world.copies(), 1);
}

#[test]
fn a_gate_waits_for_the_token_that_another_gate_renews() {
    let world = World::new();
    let first = world.open_to_renew();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| world.open_to_renew());
        // A remote without a token does not wait.
        drop(world.open());
        std::thread::sleep(turn::AGAIN * 2);
        assert!(!second.is_finished());
        rewrite(&first, &text(2));
        first.look().unwrap();
        let second = second.join().unwrap();
        assert_eq!(fs::read_to_string(file(&second)).unwrap(), text(2));
        assert_eq!(first.folder(), second.folder());
    });
}

#[test]
fn a_gate_that_ends_without_a_new_token_gives_the_turn_to_the_next() {
    let world = World::new();
    let first = world.open_to_renew();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| world.open_to_renew());
        std::thread::sleep(turn::AGAIN * 2);
        drop(first);
        let second = second.join().unwrap();
        assert!(second.turn.borrow().is_some());
        rewrite(&second, &text(3));
    });
    assert_eq!(world.configured(), text(3));
    // This token is valid for an hour.
    let expiry = (base::clock::utc() + chrono::TimeDelta::hours(1)).to_rfc3339();
    world.configure(&text(3).replace("2026-01-01T00:00:03Z", &expiry));
    assert!(world.open_to_renew().turn.borrow().is_none());
}

/// A text with a token of this many bytes.
fn large(token: u32, bytes: usize) -> String {
    let access = format!("{token}{}", "x".repeat(bytes));
    text(token).replace(
        &format!("\"access_token\":\"{token}\""),
        &format!("\"access_token\":\"{access}\""),
    )
}

#[test]
fn tokens_that_no_server_gives_are_dropped_and_the_copy_is_cleared_away() {
    let world = World::new();
    let copy = world.open();
    for number in 2..10 {
        fs::write(
            copy.folder().to_path_buf().join(COPY),
            large(number, 300_000),
        )
        .unwrap();
        copy.look().unwrap();
    }
    assert_eq!(world.configured(), text(1));
    drop(copy);
    assert_eq!(world.copies(), 0);
    // The store still works.
    let copy = world.open();
    fs::write(copy.folder().to_path_buf().join(COPY), text(20)).unwrap();
    copy.look().unwrap();
    assert_eq!(world.configured(), text(20));
}

#[test]
fn many_large_tokens_make_no_record_that_cannot_be_read() {
    let world = World::new();
    let copy = world.open();
    for number in 2..60 {
        fs::write(
            copy.folder().to_path_buf().join(COPY),
            large(number, 60_000),
        )
        .unwrap();
        copy.look().unwrap();
        assert_eq!(world.configured(), large(number, 60_000), "{number}");
    }
    let origin = world.folder.path().join("state/rclone/0/origin.json");
    assert!(fs::metadata(origin).unwrap().len() < 3 << 20);
    drop(copy);
    assert_eq!(world.copies(), 0);
}

#[test]
fn a_record_that_makes_no_sense_keeps_no_copy_for_ever() {
    for (damage, token) in [("{ torn", 5), ("", 5), ("{}", 5)] {
        let world = World::new();
        let copy = world.open();
        let conf = copy.folder().to_path_buf();
        std::mem::forget(copy);
        let origin = conf.parent().unwrap().join("origin.json");
        fs::write(&origin, damage).unwrap();
        fs::write(conf.join(COPY), text(token)).unwrap();
        // This process uses the copy, like an rclone whose gate was killed.
        recover(&world.config).unwrap();
        assert_eq!(world.configured(), text(token), "{damage}");
    }
    let world = World::new();
    let place = world.folder.path().join("state/rclone/0");
    drop(world.open());
    fs::create_dir_all(place.join("conf")).unwrap();
    for folder in [&place, &place.join("conf")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::write(place.join("origin.json"), "x".repeat(17 << 20)).unwrap();
    fs::write(place.join("conf").join(COPY), text(7)).unwrap();
    recover(&world.config).unwrap();
    assert_eq!((world.configured(), world.copies()), (text(7), 0));
}

#[test]
fn a_gate_without_time_left_does_not_wait_for_the_turn() {
    let world = World::new();
    let first = world.open_to_renew();
    let second = WorkingCopy::open(&world.config, "one", Duration::ZERO).unwrap();
    assert!(first.turn.borrow().is_some() && second.turn.borrow().is_none());
}
