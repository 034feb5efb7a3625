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
        Reason::UnknownService(_)
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
fn floors_cannot_be_lowered() {
    let line = "backupctl --archive n8n --path /media/ssd/podman/n8n/data --remote onedrive:/OdroidBackup --keep-weekly 1";
    assert!(matches!(
        denied(line),
        Reason::BelowFloor {
            option: "--keep-weekly",
            ..
        }
    ));
}
