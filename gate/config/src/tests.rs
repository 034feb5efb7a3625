//! The configuration: every default and sample is read back, and each fault is named.

use super::key::Section;
use super::*;

#[test]
fn defaults_are_well_formed() {
    let config = Config::parse("").unwrap();
    assert_eq!(config.remotes.len(), 1);
    assert_eq!(config.data_root.to_string(), "/media/ssd/podman");
}

#[test]
fn the_shipped_example_parses_and_names_only_defaults() {
    let config = Config::parse(include_str!("../../backupctl.example.toml")).unwrap();
    assert!(
        config
            .services
            .keys()
            .any(|name| name.as_str() == "vaultwarden")
    );
    assert_eq!(config.limits.stop, Limits::default().stop);
    assert_eq!(config.data_root, Config::default().data_root);
}

#[test]
fn mistakes_are_named() {
    let check = |text: &str, word: &str| {
        let error = Config::parse(text).unwrap_err();
        assert!(error.contains(word), "{text} → {error}");
    };
    check("unknown = 1", "unknown");
    check("[services.a]\nstopp = []", "stopp");
    check("[services.a]\nstop = [\"/bin/true\"]", "services.a");
    check("[services.a]\nstop = [\"true\"]\n", "absolute");
    check("data_root = \"/a/../b\"", "/a/../b");
    check("remotes = []", "remotes");
    check("remotes = [\":local:/etc\"]", ":local:/etc");
    check("[lease]\nseconds = 0", "lease.seconds");
    check("[capture]\nseconds = 0", "capture.seconds");
    check(
        "[services.a.capture]\ntake = [\"/bin/true\"]\nrelease = [\"/bin/true\"]\npath = \"/media/ssd/podman/a\"",
        "services.a.capture.path",
    );
    check("[services.a.capture]\ntake = [\"/bin/true\"]", "release");
    check("[lease]\nkeeper = \"cron\"", "cron");
    check(
        "[services.a]\nready = [\"/bin/true\"]\nready_url = \"http://127.0.0.1\"",
        "not both",
    );
    check("[services.a]\nready_url = \"https://x\"", "http://");
    check("[services.a]\nlease = 700000", "services.a.lease");
    check("[limits.stop]\ndefault = 0\nmax = 5", "limits.stop");
    check("[retention]\nfloor_weekly = 0\nfloor_monthly = 0", "floor");
    check("[retention]\nkeep_weekly = 0\nkeep_monthly = 0", "floor");
    check("[retention]\nkeep_weekly = 1\nfloor_weekly = 2", "floors");
    check("[retention]\npruned_days = 0", "pruned_days");
    check("[rclone]\nlandlock = \"maybe\"", "landlock");
    for folder in [
        "/media/ssd",
        "/media/ssd/podman/n8n",
        "/var/lib/backupctl",
        "/etc/backupctl",
    ] {
        check(&format!("[rclone]\nlocal_folders = [\"{folder}\"]"), folder);
    }
    check("[versions]\nkeep_days = 6", "floors");
    check("[versions]\nfloor_count = 0", "floor_count");
    check("[limits]\nmax_delete_percent = 101", "max_delete_percent");
    check("[limits]\napproval_hours = 0", "approval_hours");
    check(
        "[services.a.limits]\nmax_change_percent = 200",
        "services.a.limits.max_change_percent",
    );
    check(
        "[extra.a]\npath = \"/a\"\nlimits = { min_left_percent = 101 }",
        "extra.a.limits",
    );
    check("[rclone]\nchunk_mib = 4", "chunk_mib");
    check("[rclone]\nretries = 0", "retries");
    check("[rclone]\nbwlimit = \"--config\"", "--config");
}

#[test]
fn the_former_default_floors_count_no_longer() {
    let floors = |text: &str| {
        let text = format!("[retention]\nkeep_weekly = 4\n{text}");
        let kept = Config::parse(&text).unwrap().retention;
        (kept.floors(), kept.has_former_floors())
    };
    assert_eq!(floors(""), ((4, 12), false));
    let former = "floor_weekly = 2\nfloor_monthly = 3";
    assert_eq!(floors(former), ((4, 12), true));
    assert_eq!(floors("floor_weekly = 2"), ((2, 12), false));
    assert_eq!(
        floors("floor_weekly = 1\nfloor_monthly = 3"),
        ((1, 3), false)
    );
}

#[test]
fn the_former_default_of_early_start_counts_no_longer() {
    let read = |top: &str| {
        let text = format!("{top}[services.a]\n[services.b]\nearly_start = false\n");
        let config = Config::parse(&text).unwrap();
        let early: Vec<bool> = config
            .services
            .keys()
            .map(|name| config.starts_early(name))
            .collect();
        (early, config.has_former_early_start())
    };
    assert_eq!(read(""), (vec![true, false], false));
    assert_eq!(read("early_start = true\n"), (vec![true, false], false));
    assert_eq!(read("early_start = false\n"), (vec![true, false], true));
}

#[test]
fn lightflow_is_hot_unless_told_otherwise() {
    let config = Config::parse("[services.lightflow]\n[services.n8n]").unwrap();
    let hot: Vec<bool> = config.services.iter().map(|(n, s)| s.is_hot(n)).collect();
    assert_eq!(hot, [true, false]);
}

/// The text of one key in its table.
fn line(section: &Section, name: &str, value: &str) -> String {
    match section.table {
        "" => format!("{name} = {value}\n"),
        table => format!("[{table}]\n{name} = {value}\n"),
    }
}

#[test]
fn every_sample_of_a_service_is_read() {
    for section in own_sections() {
        let table = section.table.replace("NAME", "a");
        for key in &section.keys {
            let line = |name: &str, value: &str| format!("{name} = {value}\n");
            let mut text = format!("[{table}]\n{}", line(key.name, key.sample.unwrap()));
            // A table with required keys, and three commands, are complete or refused.
            let others = section.keys.iter().filter(|other| {
                let commands = ["stop", "start", "status"];
                let required = table.ends_with("capture") || other.name == "path";
                other.name != key.name
                    && (required
                        || (commands.contains(&key.name) && commands.contains(&other.name)))
            });
            text.extend(others.map(|other| line(other.name, other.sample.unwrap())));
            Config::parse(&text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
            if let Some((low, high)) = key.range {
                for number in [low.checked_sub(1), Some(high + 1)].into_iter().flatten() {
                    let text = format!("[{table}]\n{}", line(key.name, &number.to_string()));
                    let reason = Config::parse(&text).unwrap_err();
                    assert!(reason.contains(key.name), "{text}: {reason}");
                }
            }
        }
    }
}

#[test]
fn every_default_and_sample_is_read_as_it_is_shown() {
    let mut keys = 0;
    for section in sections() {
        for key in &section.keys {
            keys += 1;
            let shown = key.default.as_deref().or(key.sample).unwrap();
            Config::parse(&line(&section, key.name, shown))
                .unwrap_or_else(|reason| panic!("{} {}: {reason}", section.table, key.name));
            assert_eq!(key.default.is_none(), key.sample.is_some(), "{}", key.name);
        }
    }
    assert!(keys > 45, "{keys}");
}

#[test]
fn a_number_outside_of_its_range_is_refused_by_the_name_of_its_key() {
    let mut ranges = 0;
    for section in sections() {
        for key in &section.keys {
            let Some((low, high)) = key.range else {
                continue;
            };
            ranges += 1;
            let outside = [low.checked_sub(1), (high < u64::MAX).then(|| high + 1)];
            for number in outside.into_iter().flatten() {
                let text = line(&section, key.name, &number.to_string());
                let reason = Config::parse(&text).unwrap_err();
                assert!(reason.contains(key.name), "{text}: {reason}");
            }
        }
    }
    assert!(ranges > 15, "{ranges}");
}
