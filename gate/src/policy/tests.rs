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
