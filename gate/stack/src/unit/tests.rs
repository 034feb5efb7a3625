use super::*;
use crate::tests::unit;

fn names(all: &[&str]) -> Vec<ServiceName> {
    all.iter()
        .map(|name| ServiceName::parse(name).unwrap())
        .collect()
}

fn from(id: &str, source: &str) -> Unit {
    Unit {
        source: source.into(),
        ..unit(id)
    }
}

const QUADLETS: &str = "/etc/containers/systemd";

#[test]
fn the_output_of_systemctl_is_read() {
    let shown = "Id=app.service\nSourcePath=/etc/containers/systemd/app.container\nFragmentPath=/run/systemd/generator/app.service\nActiveState=active\nSubState=running\nLoadState=loaded\nType=notify\nRemainAfterExit=no\nJob=\nAfter=b.service -.mount\nWantedBy=default.target\nBoundBy=c.service\nTriggeredBy=app.timer\n\nId=gone.service\nActiveState=inactive\nSubState=dead\nLoadState=not-found\n\nId=app.service\nActiveState=active\nLoadState=loaded\n";
    let units = parse(shown);
    let [app] = units.as_slice() else {
        panic!("{units:?}");
    };
    assert_eq!(
        (app.activity, app.lasting, app.startable),
        (Activity::Active, true, true)
    );
    assert_eq!(app.words, "active (running)");
    assert_eq!(app.source, "/etc/containers/systemd/app.container");
    assert_eq!(app.wanted_by, ["default.target", "c.service"]);
    assert_eq!(
        (&app.after[..], &app.triggered_by[..]),
        (
            &["b.service".to_owned(), "-.mount".into()][..],
            &["app.timer".to_owned()][..]
        )
    );
}

#[test]
fn what_is_about_to_change_does_not_rest() {
    let activity = |lines: &str| {
        let units = parse(&format!("Id=a.service\nLoadState=loaded\n{lines}\n"));
        units.first().map(|unit| unit.activity)
    };
    assert_eq!(
        activity("ActiveState=inactive\nJob="),
        Some(Activity::Resting)
    );
    assert_eq!(
        activity("ActiveState=inactive\nJob=12"),
        Some(Activity::Changing)
    );
    assert_eq!(
        activity("ActiveState=activating\nSubState=auto-restart"),
        Some(Activity::Changing)
    );
    assert_eq!(
        activity("ActiveState=deactivating"),
        Some(Activity::Changing)
    );
    assert_eq!(activity("ActiveState=failed"), Some(Activity::Failed));
    assert_eq!(activity("ActiveState=news"), Some(Activity::Changing));
}

#[test]
fn a_unit_that_runs_without_its_file_is_seen() {
    let shown = "Id=app.service\nLoadState=not-found\nActiveState=active\nSubState=running\n";
    assert!(parse(shown).iter().all(|unit| !unit.startable));
    assert_eq!(parse(shown).len(), 1);
}

#[test]
fn names_that_could_be_options_do_not_get_in() {
    for id in ["-a.service", "a b.service", "a;b.service", "a.target", "a"] {
        assert_eq!(
            parse(&format!("Id={id}\nLoadState=loaded\nActiveState=active\n")),
            [],
            "{id}"
        );
    }
    assert_eq!(
        candidates(
            "-x.service generated -\n--user generated\napp@.service enabled\n",
            &names(&["app"])
        ),
        [""; 0]
    );
}

#[test]
fn candidates_are_named_after_a_service_or_made_by_a_generator() {
    let listing = "app.service enabled -\ncontainer-app-db.service disabled -\nquad.service generated -\nssh.service enabled -\napp@1.service enabled\n";
    assert_eq!(
        candidates(listing, &names(&["app"])),
        [
            "app.service",
            "container-app-db.service",
            "quad.service",
            "app@1.service"
        ]
    );
}

#[test]
fn a_stack_is_what_runs_under_the_services_name() {
    let all = names(&["immich", "immich-kiosk", "networkd"]);
    let check = |id: &str, source: &str, expected: bool| {
        assert_eq!(
            belongs(&from(id, source), &all[0], &all),
            expected,
            "{id} of {source}"
        );
    };
    let quadlet = |file: &str| format!("{QUADLETS}/{file}");
    check("immich.service", &quadlet("immich.container"), true);
    check(
        "immich-server.service",
        &quadlet("immich-server.container"),
        true,
    );
    check(
        "immich_redis.service",
        &quadlet("immich_redis.container"),
        true,
    );
    check("immich-pod.service", &quadlet("immich.pod"), true);
    check("immich@1.service", &quadlet("immich@.container"), true);
    check("other.service", &quadlet("immich-renamed.container"), true);
    check("immich-network.service", &quadlet("immich.network"), false);
    check(
        "immich-kiosk.service",
        &quadlet("immich-kiosk.container"),
        false,
    );
    check(
        "immich-kiosk-pod.service",
        &quadlet("immich-kiosk.pod"),
        false,
    );
    check("immichx.service", &quadlet("immichx.container"), false);
    check(
        "container-immich.service",
        "/etc/systemd/system/container-immich.service",
        true,
    );
    check(
        "container-immich-db.service",
        "/etc/systemd/system/container-immich-db.service",
        true,
    );
    check("immich.service", "/etc/systemd/system/immich.service", true);
    check(
        "immich-cleanup.service",
        "/etc/systemd/system/immich-cleanup.service",
        false,
    );
    assert!(!belongs(
        &from(
            "systemd-networkd.service",
            "/usr/lib/systemd/system/systemd-networkd.service"
        ),
        &all[2],
        &all
    ));
}

#[test]
fn a_label_makes_no_unit_a_member_that_is_not_about_containers() {
    let all = names(&["immich", "n8n"]);
    let may = |id: &str, source: &str| may_be_named(&from(id, source), &all[0], &all);
    assert!(may(
        "photos.service",
        "/etc/containers/systemd/photos.container"
    ));
    assert!(may(
        "immich-db.service",
        "/etc/systemd/system/immich-db.service"
    ));
    assert!(may(
        "container-photos.service",
        "/etc/systemd/system/container-photos.service"
    ));
    assert!(!may("ssh.service", "/usr/lib/systemd/system/ssh.service"));
    assert!(!may("n8n.service", "/etc/containers/systemd/n8n.container"));
}
