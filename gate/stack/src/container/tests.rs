use super::*;
use crate::tests::{container, unit};

const LISTED: &str = r#"[{"AutoRemove":true,"Exited":false,"ExitCode":0,"Id":"ID","Names":["systemd-app"],"State":"running",
"Status":"Up 5 minutes (healthy)","Labels":{"PODMAN_SYSTEMD_UNIT":"app.service"},"Pod":"","PodName":""},
{"Id":"ID","Names":["b"],"State":"exited","Status":"Exited (137) 2 minutes ago","Labels":null,"Exited":true,"ExitCode":137}]"#;

fn listed() -> String {
    LISTED.replace("ID", &"0a".repeat(32))
}

fn names(all: &[&str]) -> Vec<ServiceName> {
    all.iter()
        .map(|name| ServiceName::parse(name).unwrap())
        .collect()
}

#[test]
fn the_output_of_podman_is_read() {
    let all = parse(listed().as_bytes()).unwrap();
    let [a, b] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!(
        (a.life, a.health, a.fleeting),
        (Life::Running, Health::Healthy, true)
    );
    assert_eq!(a.unit.as_deref(), Some("app.service"));
    assert_eq!(
        (b.life, b.health, b.broken),
        (Life::Resting, Health::Unchecked, true)
    );
    assert_eq!(parse(b"null").unwrap(), []);
    assert_eq!(parse(b"[]").unwrap(), []);
}

#[test]
fn what_podman_would_not_write_is_refused() {
    for wrong in ["--all", "a b", "a\\nb", ""] {
        let json = listed().replace("systemd-app", wrong);
        assert!(parse(json.as_bytes()).is_err(), "{wrong}");
    }
    let id = "0a".repeat(32);
    for wrong in ["--all", "", &"x".repeat(64)] {
        assert!(
            parse(listed().replace(&id, wrong).as_bytes()).is_err(),
            "{wrong}"
        );
    }
    assert!(parse(b"[{}]").is_err() && parse(b"").is_err() && parse(b"{").is_err());
    let bomb = "[".repeat(100_000);
    assert!(parse(bomb.as_bytes()).is_err());
    let one = listed().trim_matches(['[', ']']).to_owned();
    assert!(parse(format!("[{}]", vec![one; MOST].join(",")).as_bytes()).is_err());
}

#[test]
fn a_label_that_is_no_unit_is_no_unit() {
    let json = listed().replace("app.service", "--now app.service");
    assert_eq!(parse(json.as_bytes()).unwrap()[0].unit, None);
}

#[test]
fn details_are_added_to_the_container_that_they_are_of() {
    let mut all = [container("a"), container("b")];
    let json = format!(
        r#"[{{"Id":"{}","Created":"2026-11-23T08:59:01.123456789+01:00","Dependencies":["x"],"HostConfig":{{"RestartPolicy":{{"Name":"unless-stopped"}}}}}}]"#,
        all[1].id
    );
    add_details(&mut all, json.as_bytes(), DateTime::UNIX_EPOCH).unwrap();
    assert!(!all[0].restarts && all[1].restarts);
    assert_eq!(all[1].requires, ["x"]);
    assert!(
        all[1]
            .created
            .is_some_and(|at| at.to_string() == "2026-11-23 07:59:01.123456789 UTC")
    );
}

#[test]
fn a_container_is_a_services_by_unit_project_pod_or_name() {
    let all = names(&["immich", "immich-kiosk", "n8n"]);
    let units = [unit("photos.service")];
    let is = |change: &dyn Fn(&mut Container)| {
        let mut one = container("x");
        change(&mut one);
        belongs(&one, &units, &all[0], &all)
    };
    assert!(!is(&|_| ()));
    assert!(is(&|one| one.unit = Some("photos.service".into())));
    assert!(!is(&|one| one.unit = Some("else.service".into())));
    assert!(is(&|one| one.project = Some("immich".into())));
    assert!(is(&|one| one.pod = Some("pod_immich".into())));
    for name in [
        "immich",
        "immich_redis_1",
        "immich-server",
        "systemd-immich",
    ] {
        assert!(is(&|one| one.name = name.into()), "{name}");
    }
    for name in ["immich-kiosk", "n8n", "myimmich"] {
        assert!(!is(&|one| one.name = name.into()), "{name}");
    }
    // The project was given to compose; the name may be a coincidence.
    assert!(!is(&|one| {
        one.name = "immich-kiosk".into();
        one.project = Some("immich-kiosk".into());
    }));
    assert!(is(&|one| {
        one.name = "n8n".into();
        one.project = Some("immich".into());
    }));
    assert!(is(&|one| {
        one.name = "immich_db".into();
        one.project = Some("some-folder".into());
    }));
}

#[test]
fn a_container_that_crashes_again_and_again_is_not_down_between_two_crashes() {
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let life = |policy: &str, state: &str| {
        let mut all = [container("a")];
        all[0].life = Life::Resting;
        let json = format!(
            r#"[{{"Id":"{}","RestartCount":3,"State":{{{state}}},"HostConfig":{{"RestartPolicy":{policy}}}}}]"#,
            all[0].id
        );
        add_details(&mut all, json.as_bytes(), now).unwrap();
        all[0].life
    };
    let at = |seconds: i64| (now - TimeDelta::seconds(seconds)).to_rfc3339();
    let ended = |seconds, code| format!(r#""FinishedAt":"{}","ExitCode":{code}"#, at(seconds));
    let always = r#"{"Name":"always"}"#;
    assert_eq!(life(always, &ended(1, 1)), Life::Changing);
    assert_eq!(life(always, &ended(1, 0)), Life::Changing);
    assert_eq!(life(always, &ended(60, 1)), Life::Resting);
    let by_us = format!(r#"{},"StoppedByUser":true"#, ended(1, 1));
    assert_eq!(life(always, &by_us), Life::Resting);
    assert_eq!(life(r#"{"Name":"no"}"#, &ended(1, 1)), Life::Resting);
    let on_failure = |most: u8| format!(r#"{{"Name":"on-failure","MaximumRetryCount":{most}}}"#);
    assert_eq!(life(&on_failure(0), &ended(1, 1)), Life::Changing);
    assert_eq!(life(&on_failure(4), &ended(1, 1)), Life::Changing);
    assert_eq!(life(&on_failure(3), &ended(1, 1)), Life::Resting);
    assert_eq!(life(&on_failure(0), &ended(1, 0)), Life::Resting);
}

#[test]
fn containers_that_can_write_to_the_data_are_found_by_their_mounts() {
    let json = r#"[{"Id":"1","Name":"inner","Mounts":[{"Source":"/x","RW":true},{"Source":"/d/app/data/sub","RW":true}]},
        {"Id":"2","Name":"same","Mounts":[{"Source":"/d/app/data","RW":true}]},
        {"Id":"3","Name":"reader","Mounts":[{"Source":"/d/app/data","RW":false}]},
        {"Id":"4","Name":"beside","Mounts":[{"Source":"/d/app/data2","RW":true}]},
        {"Id":"5","Name":"none","Mounts":null},
        {"Id":"6","Name":"--all","Mounts":[{"Source":"/d/app/data","RW":true}]}]"#;
    let found = writers(json.as_bytes(), "/d/app/data").unwrap();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["inner", "same"]);
}
