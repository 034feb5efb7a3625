//! Plans for fake hosts: bare, finished, with foreign files, and removals.

use std::path::Path;

use super::change::{Change, Job};
use super::eyes::{Eyes, Seen};
use super::made_up::{MadeUp, no_options};
use super::options::Options;
use super::release::{Release, tests::sample};
use super::steps::runner::{self, Runner};
use super::{needs, removal};

mod programs;
mod rclone;

fn installed() -> MadeUp {
    let mut host = MadeUp::bare();
    let plan = host.plan(&no_options());
    host.apply(&plan);
    host
}

fn text(host: &MadeUp, path: &str) -> String {
    host.look(Path::new(path))
        .as_ref()
        .and_then(Seen::text)
        .unwrap_or_default()
}

fn import() -> Options {
    Options {
        import: true,
        ..no_options()
    }
}

#[test]
fn a_bare_host_needs_nothing_and_a_finished_one_gets_nothing() {
    let mut host = MadeUp::bare();
    let (release, options) = (sample(), no_options());
    assert_eq!(needs::check(&host.target(&release, &options)), []);
    let plan = host.plan(&options);
    host.apply(&plan);
    assert_eq!(host.plan(&options), []);
    assert_eq!(needs::check(&host.target(&release, &options)), []);
}

#[test]
fn the_sessions_of_the_account_get_a_limit() {
    let host = installed();
    let file = host
        .seen
        .keys()
        .find(|path| {
            path.ends_with("backupctl.conf") && path.display().to_string().contains(".slice.d/")
        })
        .unwrap();
    let uid = host.person("backup_ops").unwrap().uid;
    let path = format!("/etc/systemd/system/user-{uid}.slice.d/backupctl.conf");
    assert_eq!(file, Path::new(&path));
    assert!(text(&host, &path).contains("[Slice]\nTasksMax=1024\n"));
}

#[test]
fn what_is_loosened_by_hand_is_put_right() {
    for (path, mode) in [
        ("/usr/local/bin/backupctl", 0o777),
        ("/etc/sudoers.d/backupctl", 0o644),
        ("/home/backup_ops", 0o777),
    ] {
        let mut host = installed();
        host.seen.get_mut(Path::new(path)).unwrap().mode = mode;
        let plan = host.plan(&no_options());
        assert_eq!(plan.len(), 1, "{path}: {plan:?}");
        host.apply(&plan);
        assert_eq!(host.plan(&no_options()), []);
    }
}

#[test]
fn a_first_configuration_names_what_was_found_and_is_well_formed() {
    let mut host = MadeUp::bare();
    for name in ["immich", "unused", "No Service", "lightflow"] {
        host.folder(&format!("/media/ssd/podman/{name}"), "root", 0o755);
        host.folder(
            &format!("/media/ssd/podman/{name}/data"),
            "lightflow",
            0o700,
        );
    }
    host.stacks.insert("immich".into());
    let options = Options {
        local_remote: Some(base::names::PlainPath::parse("/srv/disk").unwrap()),
        ..no_options()
    };
    let plan = host.plan(&options);
    host.apply(&plan);
    let written = text(&host, "/etc/backupctl/backupctl.toml");
    let config = config::Config::parse(&written).unwrap();
    let names: Vec<&str> = config.services.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["immich", "lightflow"]);
    let advice = super::steps::configuration::advice(&host.target(&sample(), &options));
    assert_eq!(advice.len(), 1);
    for word in [
        "/media/ssd/podman/No Service cannot be a service",
        "to No-Service for example",
    ] {
        assert!(advice[0].contains(word), "{advice:?}");
        assert!(written.contains(word), "{written}");
    }
    assert!(written.contains("# [services.unused]"), "{written}");
    assert_eq!(config.rclone.local_folders.len(), 1);
    assert!(text(&host, "/etc/backupctl/rclone.conf").contains("remote = /srv/disk"));
    assert!(text(&host, "/etc/lightflow/lightflow.env").contains("\nTZ=Europe/Paris\n"));
}

#[test]
fn an_upgrade_replaces_ours_and_keeps_what_others_wrote() {
    let mut host = installed();
    let release = sample();
    host.file("/etc/backupctl/backupctl.toml", "# mine\n", "root", 0o600);
    host.file(
        "/usr/local/share/man/man8/backupctl.8",
        "mine",
        "root",
        0o644,
    );
    let mut newer = release;
    newer
        .files
        .insert("bin/backupctl".into(), b"newer".to_vec());
    newer
        .files
        .insert("man/backupctl.8".into(), b"newer page".to_vec());
    let options = no_options();
    let plan = super::steps::plan(&host.target(&newer, &options));
    let files: Vec<(String, bool)> = plan
        .iter()
        .filter_map(|change| match change {
            Change::File(file) => Some((file.path.display().to_string(), file.keep)),
            _ => None,
        })
        .collect();
    assert_eq!(
        files,
        [
            ("/usr/local/bin/backupctl".to_owned(), false),
            ("/usr/local/share/man/man8/backupctl.8".to_owned(), true),
        ]
    );
}

fn restarts(host: &MadeUp, release: &Release) -> usize {
    let options = no_options();
    let plan = super::steps::plan(&host.target(release, &options));
    let restart = |change: &&Change| matches!(change, Change::Systemd(_, Job::Restart(_)));
    plan.iter().filter(restart).count()
}

#[test]
fn another_image_or_quadlet_starts_the_container_again_and_nothing_else_does() {
    let mut host = installed();
    let mut newer = sample();
    newer
        .files
        .insert("bin/lightflow".into(), b"newer".to_vec());
    assert_eq!(restarts(&host, &newer), 0);
    newer.image.id = "ef".repeat(32);
    assert_eq!(restarts(&host, &newer), 1);
    let options = no_options();
    let plan = super::steps::plan(&host.target(&newer, &options));
    let ids = vec![sample().image.id];
    let user = "lightflow".to_owned();
    assert_eq!(plan.last(), Some(&Change::Prune { user, ids }));
    let path = format!(
        "/etc/containers/systemd/users/{}/lightflow.container",
        host.person("lightflow").unwrap().uid
    );
    host.file(&path, "mine", "root", 0o644);
    assert_eq!(restarts(&host, &sample()), 1);
}

fn tutorials() -> MadeUp {
    let mut host = MadeUp::bare();
    host.user("backup_ops", 998);
    host.folder("/home/backup_ops", "backup_ops", 0o755);
    host.folder("/home/backup_ops/.ssh", "backup_ops", 0o700);
    host.file("/home/backup_ops/.bashrc", "", "backup_ops", 0o644);
    let key = "restrict,command=\"sudo /usr/local/bin/backupctl --ssh-gate\" ssh-ed25519 AAAA lightflow-backup\n";
    host.file(
        "/home/backup_ops/.ssh/authorized_keys",
        key,
        "backup_ops",
        0o600,
    );
    let rule = "Defaults!/usr/local/bin/backupctl  env_keep += \"SSH_ORIGINAL_COMMAND\"\nbackup_ops ALL=(root) NOPASSWD: /usr/local/bin/backupctl --ssh-gate\n";
    host.file("/etc/sudoers.d/backupctl", rule, "root", 0o440);
    host.folder("/etc/backupctl", "root", 0o755);
    host.file("/etc/backupctl/rclone.conf", "[onedrive]\n", "root", 0o600);
    host.file(
        "/usr/local/bin/backupctl",
        "#!/usr/bin/python3\n",
        "root",
        0o755,
    );
    host.file("/usr/local/bin/podmanctl", "#!/bin/sh\n", "root", 0o755);
    host
}

#[test]
fn the_tutorials_set_up_is_taken_over_only_when_asked_to() {
    let host = tutorials();
    let (release, options) = (sample(), no_options());
    let needs = needs::check(&host.target(&release, &options));
    assert_eq!(needs.len(), 1, "{needs:?}");
    for word in [
        "/usr/local/bin/backupctl",
        "/etc/sudoers.d/backupctl",
        "backup_ops",
    ] {
        assert!(needs[0].what.contains(word), "{needs:?}");
    }
    let options = import();
    assert_eq!(needs::check(&host.target(&release, &options)), []);
}

#[test]
fn an_import_keeps_keys_rules_configuration_and_podmanctl_and_tightens_the_home() {
    let mut host = tutorials();
    let before: Vec<String> = [
        "/etc/sudoers.d/backupctl",
        "/etc/backupctl/rclone.conf",
        "/usr/local/bin/podmanctl",
        "/home/backup_ops/.ssh/authorized_keys",
    ]
    .map(|path| text(&host, path))
    .into();
    let plan = host.plan(&import());
    host.apply(&plan);
    let after: Vec<String> = [
        "/etc/sudoers.d/backupctl",
        "/etc/backupctl/rclone.conf",
        "/usr/local/bin/podmanctl",
        "/home/backup_ops/.ssh/authorized_keys",
    ]
    .map(|path| text(&host, path))
    .into();
    assert_eq!(before, after);
    assert_eq!(text(&host, "/usr/local/bin/backupctl"), "bin/backupctl");
    for path in [
        "/home/backup_ops",
        "/home/backup_ops/.ssh",
        "/home/backup_ops/.bashrc",
    ] {
        assert_eq!(host.look(Path::new(path)).unwrap().user, "root", "{path}");
    }
    assert_eq!(host.plan(&import()), []);
}

#[test]
fn a_runner_gets_what_it_lacks_and_keeps_what_it_has() {
    let mut host = installed();
    let (release, options) = (sample(), no_options());
    let lacks =
        |host: &MadeUp, runner: &Runner| runner::plan(&host.target(&release, &options), runner);
    let fresh = lacks(&host, &Runner::default());
    let lines: Vec<String> = fresh.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 9, "{lines:#?}");
    assert!(
        lines.contains(
            &"variable BACKUP_KNOWN_HOSTS = host.containers.internal ssh-ed25519 HOSTKEY"
                .to_owned()
        ),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("key")));

    let mut runner = Runner {
        pools: vec!["backup".into()],
        ..Runner::default()
    };
    for key in [
        "BACKUP_HOST",
        "BACKUP_KNOWN_HOSTS",
        "BACKUP_SSH_KEY",
        "ONEDRIVE_REMOTE",
        "ONEDRIVE_FOLDER",
        "ARCHIVE_WEEKDAY",
        "KEEP_WEEKLY",
        "KEEP_MONTHLY",
    ] {
        runner.variables.insert(key.into(), None);
    }
    // A key that opens nothing is no key.
    assert!(matches!(lacks(&host, &runner)[..], [Change::Key { .. }]));
    let line = "restrict,command=\"sudo /usr/local/bin/backupctl --ssh-gate\" ssh-ed25519 B lightflow-appliance\n";
    host.file("/home/backup_ops/.ssh/authorized_keys", line, "root", 0o640);
    assert_eq!(lacks(&host, &runner), []);
    // One that goes to another host is none of ours.
    host.file("/home/backup_ops/.ssh/authorized_keys", "", "root", 0o640);
    runner
        .variables
        .insert("BACKUP_HOST".into(), Some("me@elsewhere".into()));
    assert_eq!(lacks(&host, &runner), []);
}

#[test]
fn all_that_is_missing_is_told_with_its_packages() {
    let mut host = MadeUp::bare();
    for path in ["/usr/bin/podman", "/usr/sbin/visudo", "/usr/bin/sudo"] {
        host.seen.remove(Path::new(path));
    }
    host.file(
        "/etc/fstab",
        "UUID=1 /media/ssd ext4 defaults 0 2\n",
        "root",
        0o644,
    );
    host.file(
        "/proc/net/tcp",
        "  0: 00000000:20FB 00000000:0000 0A 0\n",
        "root",
        0o444,
    );
    let (release, options) = (sample(), no_options());
    let needs = needs::check(&host.target(&release, &options));
    assert_eq!(needs::packages(&needs), ["podman", "sudo"]);
    for word in [
        "/media/ssd, which is in /etc/fstab and not mounted",
        "port 8443",
    ] {
        assert!(
            needs.iter().any(|need| need.what.contains(word)),
            "{word}: {needs:?}"
        );
    }
}

#[test]
fn a_user_without_subordinate_ids_and_data_of_another_are_told() {
    let mut host = MadeUp::bare();
    host.user("debian", 1000);
    host.folder("/media/ssd", "root", 0o755);
    host.folder("/media/ssd/podman", "root", 0o755);
    host.folder("/media/ssd/podman/lightflow", "root", 0o755);
    host.folder("/media/ssd/podman/lightflow/data", "alice", 0o700);
    let options = Options {
        user: Some("debian".into()),
        ..no_options()
    };
    let release = sample();
    let told: Vec<String> = needs::check(&host.target(&release, &options))
        .into_iter()
        .map(|need| need.what)
        .collect();
    assert!(
        told.iter().any(|what| what.contains("subordinate ids")),
        "{told:?}"
    );
    assert!(
        told.iter().any(|what| what.contains("belongs to alice")),
        "{told:?}"
    );
}

#[test]
fn a_removal_closes_the_door_first_and_takes_only_what_is_ours() {
    let mut host = installed();
    host.file("/usr/local/bin/lightflow", "somebody else's", "root", 0o755);
    let (release, options) = (sample(), no_options());
    let target = host.target(&release, &options);
    let plan = removal::plan(&target, true);
    assert_eq!(plan[0], Change::Remove("/etc/sudoers.d/backupctl".into()));
    let removed: Vec<String> = plan.iter().map(ToString::to_string).collect();
    assert!(
        removed.contains(&"remove   /usr/local/bin/backupctl".to_owned()),
        "{removed:#?}"
    );
    let slice = |line: &&String| line.contains(".slice.d");
    assert_eq!(removed.iter().filter(slice).count(), 2, "{removed:#?}");
    for kept in [
        "/usr/local/bin/lightflow",
        "/etc/backupctl",
        "lightflow.env",
        "/media",
    ] {
        assert!(
            !removed.iter().any(|line| line.contains(kept)),
            "{kept}: {removed:#?}"
        );
    }
    let stays = removal::what_stays(&target).join("\n");
    assert!(
        stays.contains("/usr/local/bin/lightflow was changed since, and stays"),
        "{stays}"
    );
    assert!(
        stays.contains("/media/ssd/podman/lightflow/data"),
        "{stays}"
    );
}

#[test]
fn a_removal_waits_for_services_that_are_stopped() {
    let mut host = installed();
    host.file("/var/lib/backupctl/leases/n8n.json", "{}", "root", 0o600);
    let (release, options) = (sample(), no_options());
    let needs = needs::before_removal(&host.target(&release, &options));
    assert!(needs[0].what.contains("has stopped n8n"), "{needs:?}");
}
