//! Requirements that are checked before the first change; all missing ones are reported together.
//!
//! Invariant: every missing part comes with the package that brings it, or with the command that repairs it.

use std::path::Path;

use super::eyes::Kind;
use super::steps::{self, data_folder};
use super::target::{ACCOUNT, PROGRAMS, Target};
use base::sort;

/// The oldest Podman with quadlets.
const PODMAN: (u32, u32) = (4, 4);

/// Port of the runner's page.
const PORT: u16 = 8443;

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// The missing part.
    pub(super) what: String,
    /// The package that brings it.
    pub(super) package: Option<&'static str>,
    /// The command that repairs it, if no package does.
    pub(super) fix: Option<String>,
}

impl Need {
    fn package(what: impl Into<String>, package: &'static str) -> Self {
        Self {
            what: what.into(),
            package: Some(package),
            fix: None,
        }
    }

    fn fix(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            package: None,
            fix: Some(fix.into()),
        }
    }
}

/// Programs and data, each with the package of Debian's that brings it.
const PROGRAMS_NEEDED: [(&str, &str); 9] = [
    ("/usr/bin/podman", "podman"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh-keygen", "openssh-client"),
    ("/usr/bin/sudo", "sudo"),
    ("/usr/sbin/visudo", "sudo"),
    ("/usr/bin/newuidmap", "uidmap"),
    ("/usr/lib/systemd/user/dbus.socket", "dbus-user-session"),
    ("/usr/bin/loginctl", "systemd"),
    // The container mounts the folder.
    ("/usr/share/zoneinfo/Etc/UTC", "tzdata"),
];

/// Everything that is missing.
pub(super) fn check(target: &Target<'_>) -> Vec<Need> {
    let mut needs = Vec::new();
    let eyes = target.eyes;
    if !eyes.is_there("/run/systemd/system") {
        needs.push(Need::fix(
            "systemd is not process 1; it runs the container, and brings services back",
            "# boot a system with systemd",
        ));
    }
    for (path, package) in PROGRAMS_NEEDED {
        if !eyes.is_there(path) {
            needs.push(Need::package(format!("{path} is not there"), package));
        }
    }
    needs.extend(podman(target));
    if !eyes.is_there("/sys/fs/cgroup/cgroup.controllers") {
        needs.push(Need::fix(
            "control groups are those of version 1, with which rootless containers have no limits",
            "# boot with systemd.unified_cgroup_hierarchy=1",
        ));
    }
    for (knob, closed) in [
        ("user/max_user_namespaces", "0"),
        ("kernel/unprivileged_userns_clone", "0"),
    ] {
        if eyes.text(&format!("/proc/sys/{knob}")).trim() == closed {
            let name = knob.replace('/', ".");
            needs.push(Need::fix(
                format!("{name} is {closed}, so no user may have containers"),
                format!(
                    "sysctl -w {name}={}",
                    if knob.starts_with("user") {
                        "15000"
                    } else {
                        "1"
                    }
                ),
            ));
        }
    }
    needs.extend(ids(target));
    needs.extend(place(target));
    needs.extend(port(target));
    needs.extend(strangers(target));
    needs
}

/// The packages of all needs, once each.
pub(super) fn packages(needs: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = needs.iter().filter_map(|need| need.package).collect();
    sort::sort(&mut packages);
    packages.dedup();
    packages
}

fn podman(target: &Target<'_>) -> Vec<Need> {
    let eyes = target.eyes;
    if !eyes.is_there("/usr/bin/podman") {
        return Vec::new();
    }
    let mut needs = Vec::new();
    let said = eyes
        .ask_for(&["/usr/bin/podman", "--version"])
        .map(|said| said.out);
    let said = said.unwrap_or_default();
    let number = said.split_whitespace().last().and_then(|number| {
        let mut parts = number.split('.');
        Some((
            parts.next()?.parse::<u32>().ok()?,
            parts.next()?.parse::<u32>().ok()?,
        ))
    });
    let quadlet = eyes.is_there("/usr/lib/systemd/user-generators/podman-user-generator");
    match number {
        Some(number) if number >= PODMAN && quadlet => {
            // With 5.0 to 5.2 it is reached by no container: pasta had no address for it yet.
            if number.0 == 5 && number.1 < 3 {
                needs.push(Need::fix(
                    format!(
                        "podman {}.{} gives containers no way to their host; 5.3 does, and 4.9 did",
                        number.0, number.1
                    ),
                    "apt install podman   # of Debian 13",
                ));
            }
        }
        Some((major, minor)) => needs.push(Need::fix(
            format!(
                "podman {major}.{minor} has no quadlets; 4.4 has, and Debian 13 comes with 5.4"
            ),
            "# upgrade this host to Debian 13",
        )),
        None => needs.push(Need::package(
            format!("podman does not tell its version ('{}')", said.trim()),
            "podman",
        )),
    }
    if number.is_some_and(|(major, _)| major >= 5) && !eyes.is_there("/usr/bin/pasta") {
        needs.push(Need::package(
            "/usr/bin/pasta is not there, the network of rootless containers",
            "passt",
        ));
    }
    needs
}

/// Subordinate ids of a user who is there already; others get theirs with their account.
fn ids(target: &Target<'_>) -> Vec<Need> {
    let user = &target.user;
    let Some(person) = target.eyes.person(user) else {
        return Vec::new();
    };
    let has = |file: &str| {
        target.eyes.text(file).lines().any(|line| {
            let owner = line.split(':').next().unwrap_or_default();
            owner == user || owner == person.uid.to_string()
        })
    };
    if has("/etc/subuid") && has("/etc/subgid") {
        return Vec::new();
    }
    vec![Need::fix(
        format!("{user} has no subordinate ids, which rootless containers need"),
        format!("usermod --add-subuids 200000-265535 --add-subgids 200000-265535 {user}"),
    )]
}

/// The data root, and the runner's own data in it.
fn place(target: &Target<'_>) -> Vec<Need> {
    let mut needs = Vec::new();
    let root = target.data_root.to_path_buf();
    if let (Some(asked), Some(config)) = (&target.options.data_root, &target.config)
        && *asked != config.data_root
    {
        needs.push(Need::fix(
            format!(
                "--data-root is {asked}, and the gate's configuration says {}",
                config.data_root
            ),
            "editor /etc/backupctl/backupctl.toml   # or leave --data-root out",
        ));
    }
    for level in root.ancestors() {
        let seen = target.eyes.look(level);
        if seen.is_some_and(|seen| seen.kind != Kind::Folder) {
            needs.push(Need::fix(
                format!(
                    "{} is not a directory; the gate follows no link",
                    level.display()
                ),
                format!(
                    "readlink -f {}   # and give that with --data-root",
                    root.display()
                ),
            ));
        }
    }
    let mounts = target.eyes.text("/proc/self/mountinfo");
    for line in target.eyes.text("/etc/fstab").lines().map(str::trim) {
        let point = line
            .split_whitespace()
            .nth(1)
            .filter(|_| !line.starts_with('#'));
        let Some(point) = point.filter(|point| *point != "/" && root.starts_with(point)) else {
            continue;
        };
        let mounted = mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some(point));
        if !mounted {
            needs.push(Need::fix(
                format!(
                    "{} lies below {point}, which is in /etc/fstab and not mounted",
                    root.display()
                ),
                format!("mount {point}"),
            ));
        }
    }
    let data = data_folder(target);
    if let Some(seen) = target.eyes.look(&data)
        && seen.user != target.user
    {
        let (data, user) = (data.display(), &target.user);
        let mut fix = format!("chown -R {user}: {data}");
        if target.eyes.person(user).is_none() {
            fix = format!("mv {data} {data}.former   # {user} is yet to be made");
        }
        if seen.user != "root" {
            fix = format!("./install --user {}   # or: {fix}", seen.user);
        }
        needs.push(Need::fix(
            format!(
                "{data} belongs to {}, and the runner is to be {user}'s",
                seen.user
            ),
            fix,
        ));
    }
    needs
}

/// A foreign listener on the port of the page.
fn port(target: &Target<'_>) -> Vec<Need> {
    let ours = target.look(&steps::quadlet_file(&target.user)).is_some();
    if ours || !listens(target, PORT) {
        return Vec::new();
    }
    vec![Need::fix(
        format!("something listens on port {PORT} already, where Lightflow's page is to be"),
        format!("ss -ltnp 'sport = :{PORT}'   # and stop it"),
    )]
}

/// `sl local_address rem_address st …`, of which 0A is LISTEN: proc(5).
fn listens(target: &Target<'_>, port: u16) -> bool {
    let ending = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|file| {
        target.eyes.text(file).lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let local = words.next().unwrap_or_default();
            local.ends_with(&ending) && words.nth(1) == Some("0A")
        })
    })
}

/// Files of another installation, unless they are to be imported.
fn strangers(target: &Target<'_>) -> Vec<Need> {
    let mut needs = Vec::new();
    if !target.options.import {
        let mut found: Vec<String> = ["backupctl", "backupctl-setup", "podmanctl", "lightflow"]
            .iter()
            .map(|name| format!("{PROGRAMS}/{name}"))
            .chain(["/etc/sudoers.d/backupctl".to_owned()])
            .filter(|path| target.is_strangers(path))
            .collect();
        if target.eyes.person(ACCOUNT).is_some()
            && !target.record.accounts.contains(ACCOUNT)
            && target.record.version.is_empty()
        {
            found.push(format!("the account {ACCOUNT}"));
        }
        if !found.is_empty() {
            needs.push(Need::fix(
                format!(
                    "another installation of the gate is here: {}",
                    found.join(", ")
                ),
                "./install --import   # keeps its keys and configuration; --dry-run shows it",
            ));
        }
    }
    for (file, user) in quadlets_elsewhere(target) {
        needs.push(Need::fix(
            format!("{file} makes a container named lightflow as well"),
            format!("./install --user {user}   # with that file moved away"),
        ));
    }
    needs
}

/// Quadlets of the runner in the home of a user who runs services.
fn quadlets_elsewhere(target: &Target<'_>) -> Vec<(String, String)> {
    let users = target.eyes.names(Path::new("/var/lib/systemd/linger"));
    let files = users.into_iter().filter_map(|user| {
        let home = target.eyes.person(&user)?.home;
        let file = home.join(".config/containers/systemd/lightflow.container");
        target.eyes.look(&file)?;
        Some((file.display().to_string(), user))
    });
    files.collect()
}

/// Reasons to refuse a removal for now.
pub(super) fn before_removal(target: &Target<'_>) -> Vec<Need> {
    let leases = target.eyes.names(Path::new("/var/lib/backupctl/leases"));
    let mut stopped = leases.iter().filter_map(|name| name.strip_suffix(".json"));
    stopped.next().map_or_else(Vec::new, |service| {
        vec![Need::fix(
            format!("a backup has stopped {service}, and the gate is what brings it back"),
            "backupctl --recover",
        )]
    })
}
