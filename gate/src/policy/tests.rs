use super::*;

fn denied(line: &str) -> Reason {
    let config =
        Config::parse("[services.n8n]\n[services.lightflow]\n[extra.docs]\npath = \"/srv/docs\"\n")
            .unwrap();
    let request = Request::parse_line(line.as_bytes()).unwrap();
    match decide(&config, &Caller::over_ssh(), &request) {
        Decision::Denied(reason) => reason,
        Decision::Granted(grant) => panic!("{line} was granted: {grant:?}"),
    }
}

#[test]
fn each_refusal_has_its_own_reason() {
    assert!(matches!(
        denied("backupctl --stop immich"),
        Reason::UnknownService { .. }
    ));
    assert!(matches!(
        denied("backupctl --stop lightflow"),
        Reason::NeverStopped(_)
    ));
    assert!(matches!(
        denied("backupctl --list"),
        Reason::OnlyOnTheHost("--list")
    ));
    assert!(matches!(
        denied("backupctl --restore n8n"),
        Reason::OnlyOnTheHost("--restore")
    ));
    assert!(matches!(
        denied("backupctl --stop n8n --timeout 901"),
        Reason::TimeoutAboveLimit { .. }
    ));
    let sync = "backupctl --sync n8n --path /media/ssd/podman/n8n/data --remote";
    assert!(matches!(
        denied(&format!("{sync} onedrive:/Other")),
        Reason::OtherRemote(_)
    ));
    assert!(matches!(
        denied(&format!("{sync} onedrive:OdroidBackup")),
        Reason::OtherRemote(_)
    ));
}

#[test]
fn a_string_prefix_is_not_a_path_test() {
    for path in [
        "/media/ssd/podman/n8n/data2",
        "/media/ssd/podman/n8n",
        "/media/ssd/podman/n8n/data/x",
        "/media/ssd/podman2/n8n/data",
    ] {
        let line = format!("backupctl --sync n8n --path {path} --remote onedrive:/OdroidBackup");
        assert!(matches!(denied(&line), Reason::OtherPath { .. }), "{path}");
    }
}

#[test]
fn a_request_for_fewer_archives_is_raised_to_the_configured_numbers() {
    let archive = |top: &str, options: &str| {
        let config = Config::parse(&format!("{top}\n[services.n8n]\n")).unwrap();
        let line = format!(
            "backupctl --archive n8n --path /media/ssd/podman/n8n/data --remote onedrive:/OdroidBackup {options}"
        );
        let request = Request::parse_line(line.trim().as_bytes()).unwrap();
        match decide(&config, &Caller::over_ssh(), &request) {
            Decision::Denied(reason) => panic!("{line} was denied: {reason}"),
            Decision::Granted(grant) => match grant.order() {
                Order::Archive(archive) => (
                    (archive.keep_weekly, archive.keep_monthly),
                    archive.raised.len(),
                ),
                other => panic!("{other:?}"),
            },
        }
    };
    let former = "[retention]\nfloor_weekly = 2\nfloor_monthly = 3";
    let own = "[retention]\nfloor_weekly = 1\nfloor_monthly = 2";
    for (top, options, expected) in [
        ("", "", ((3, 12), 0)),
        ("", "--keep-weekly 2 --keep-monthly 3", ((3, 12), 2)),
        ("", "--keep-weekly 0 --keep-monthly 0", ((3, 12), 2)),
        ("", "--keep-weekly 9 --keep-monthly 12", ((9, 12), 0)),
        (former, "--keep-weekly 2 --keep-monthly 3", ((3, 12), 2)),
        (own, "--keep-weekly 2 --keep-monthly 1", ((2, 2), 1)),
    ] {
        assert_eq!(archive(top, options), expected, "{top} {options}");
    }
}

/// Every path, lock and record that requests for these names write or take, in lower case: OneDrive ignores case.
fn places(config: &Config) -> Vec<Vec<String>> {
    let granted = |line: String| {
        let request = Request::parse_line(line.as_bytes()).unwrap();
        match decide(config, &Caller::over_ssh(), &request) {
            Decision::Granted(grant) => grant,
            Decision::Denied(reason) => panic!("{line}: {reason}"),
        }
    };
    let remote = "--remote onedrive:/OdroidBackup";
    let mirrored = |grant: Grant| match grant.order {
        Order::Sync(mirror) => vec![
            mirror.destination.to_lowercase(),
            mirror.versions.to_lowercase(),
            format!("lock {}", mirror.lock.stem().to_lowercase()),
        ],
        other => panic!("{other:?}"),
    };
    let services = config.services.keys().map(|name| {
        let what = format!("{name} --path {} {remote}", config.data_of(name));
        let mut all = mirrored(granted(format!("backupctl --sync {what}")));
        match granted(format!("backupctl --archive {what}")).order {
            Order::Archive(archive) => {
                all.extend([archive.folder.to_lowercase(), archive.pruned.to_lowercase()]);
            }
            other => panic!("{other:?}"),
        }
        for lock in [LockName::archives(name), LockName::restores(name)] {
            all.push(format!("lock {}", lock.stem().to_lowercase()));
        }
        all
    });
    let extra = config.extra.keys();
    let extra =
        extra.map(|name| mirrored(granted(format!("backupctl --sync-extra {name} {remote}"))));
    services.chain(extra).collect()
}

proptest::proptest! {
    #[test]
    fn names_side_by_side_share_no_place(
        names in proptest::collection::btree_set(
            "(?i)(archive|restore|extra|a|data)[.,_-]?(n8n|a|lock|data|archives|versions)?[.]?", 1..6
        )
    ) {
        let tables: String = names
            .iter()
            .map(|name| format!("[services.\"{name}\"]\nhot = true\n[extra.\"{name}\"]\npath = \"/srv/a\"\n"))
            .collect();
        let config = Config::parse(&tables).unwrap();
        let places = places(&config);
        for (at, ones) in places.iter().enumerate() {
            for place in ones {
                for other in places.iter().skip(at + 1).flatten() {
                    let inside = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}/"));
                    proptest::prop_assert!(!inside(place, other) && !inside(other, place), "{place} {other}");
                }
            }
        }
    }
}
