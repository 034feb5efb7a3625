//! A fake host for tests of plans: its files, the output of its programs, and the effect of a plan.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::change::{Change, Job, Manager, Owner, resolved};
use super::eyes::{Eyes, Kind, Person, Seen};
use super::options::Options;
use super::record::Record;
use super::release::{Release, tests::sample};
use super::target::Target;
use super::tool::Said;
use config::Config;

/// The host.
#[derive(Debug, Default)]
pub(super) struct MadeUp {
    pub(super) seen: BTreeMap<PathBuf, Seen>,
    people: BTreeMap<String, Person>,
    enabled: BTreeSet<String>,
    active: BTreeSet<String>,
    images: BTreeMap<String, String>,
    pub(super) stacks: BTreeSet<String>,
    pub(super) record: Record,
    asked: RefCell<Vec<String>>,
}

impl MadeUp {
    /// A bare Debian 13.
    pub(super) fn bare() -> Self {
        let mut host = Self::default();
        for folder in [
            "/",
            "/run/systemd/system",
            "/usr/local/bin",
            "/usr/local/share",
            "/usr/local/lib",
            "/etc",
            "/home",
            "/media",
            "/srv",
        ] {
            host.folder(folder, "root", 0o755);
        }
        for program in [
            "/usr/bin/podman",
            "/usr/sbin/sshd",
            "/usr/bin/ssh-keygen",
            "/usr/bin/sudo",
            "/usr/sbin/visudo",
            "/usr/bin/newuidmap",
            "/usr/lib/systemd/user/dbus.socket",
            "/usr/bin/loginctl",
            "/usr/share/zoneinfo/Etc/UTC",
            "/usr/bin/pasta",
            "/usr/lib/systemd/user-generators/podman-user-generator",
            "/sys/fs/cgroup/cgroup.controllers",
            "/usr/lib/systemd/system/ssh.service",
        ] {
            host.file(program, "", "root", 0o755);
        }
        host.file(
            "/etc/ssh/ssh_host_ed25519_key.pub",
            "ssh-ed25519 HOSTKEY root@host\n",
            "root",
            0o644,
        );
        host
    }

    pub(super) fn file(&mut self, path: &str, text: &str, user: &str, mode: u32) {
        self.put(
            Path::new(path),
            Kind::File(text.into()),
            &Owner::of(user, user),
            mode,
        );
    }

    pub(super) fn folder(&mut self, path: &str, user: &str, mode: u32) {
        self.put(Path::new(path), Kind::Folder, &Owner::of(user, user), mode);
    }

    pub(super) fn user(&mut self, name: &str, uid: u32) {
        let person = Person {
            uid,
            group: name.into(),
            home: Path::new("/home").join(name),
        };
        self.people.insert(name.into(), person);
    }

    fn put(&mut self, path: &Path, kind: Kind, owner: &Owner, mode: u32) {
        let path = resolved(path, |name| Some(self.people[name].uid)).unwrap();
        let seen = Seen {
            kind,
            user: owner.user.clone(),
            group: owner.group.clone(),
            mode,
        };
        self.seen.insert(path, seen);
    }

    /// Has the effect of `apply`.
    pub(super) fn apply(&mut self, plan: &[Change]) {
        self.record = self.record.with(plan);
        self.record.version = "1.2.3".into();
        self.record.rclone_moved = true;
        for change in plan {
            match change {
                Change::Account {
                    name, containers, ..
                } => {
                    let uid = 900 + u32::try_from(self.people.len()).unwrap();
                    self.user(name, uid);
                    if *containers {
                        for file in ["/etc/subuid", "/etc/subgid"] {
                            self.file(file, &format!("{name}:100000:65536\n"), "root", 0o644);
                        }
                    }
                }
                Change::Linger(user) => self.file(
                    &format!("/var/lib/systemd/linger/{user}"),
                    "",
                    "root",
                    0o644,
                ),
                Change::Folder { path, owner, mode } => {
                    let parent = path.parent().unwrap();
                    let uid = |name: &str| Some(self.people[name].uid);
                    let parent = resolved(parent, uid).unwrap();
                    assert!(
                        self.seen.contains_key(&parent),
                        "{change} comes before {}",
                        parent.display()
                    );
                    self.put(path, Kind::Folder, owner, *mode);
                }
                Change::Tighten { path, owner, mode } => {
                    let seen = self.seen.get_mut(path).unwrap();
                    (seen.user, seen.group, seen.mode) =
                        (owner.user.clone(), owner.group.clone(), *mode);
                }
                Change::File(file) | Change::Rclone(file) | Change::SecondName(file, _) => self
                    .put(
                        &file.path,
                        Kind::File(file.bytes.clone()),
                        &file.owner,
                        file.mode,
                    ),
                Change::Tmpfiles(_) => {
                    for folder in [
                        "/var/lib/backupctl",
                        "/var/cache/backupctl",
                        "/run/backupctl",
                    ] {
                        self.folder(folder, "root", 0o700);
                    }
                }
                Change::Systemd(_, Job::Enable(unit)) => drop(self.enabled.insert((*unit).into())),
                Change::Systemd(_, Job::Start(unit) | Job::Restart(unit)) => {
                    self.active.insert((*unit).into());
                }
                Change::Systemd(Manager::User(_) | Manager::System, _) => {}
                Change::Image { id, names, .. } => {
                    let named = names.iter().map(|name| (name.clone(), id.clone()));
                    self.images.extend(named);
                }
                Change::Prune { ids, .. } => self.images.retain(|_, id| !ids.contains(id)),
                other => panic!("{other} is none of a host's"),
            }
        }
    }

    /// The target that it is, to be looked at with a configuration.
    pub(super) fn target<'a>(&'a self, release: &'a Release, options: &'a Options) -> Target<'a> {
        let config = self
            .seen
            .get(Path::new("/etc/backupctl/backupctl.toml"))
            .and_then(Seen::text);
        let config = config.map(|text| Config::parse(&text).unwrap());
        Target::new(self, release, options, Some(self.record.clone()), config)
    }

    /// The plan for it.
    pub(super) fn plan(&self, options: &Options) -> Vec<Change> {
        let release = sample();
        super::steps::plan(&self.target(&release, options))
    }
}

/// Nothing was said.
pub(super) fn no_options() -> Options {
    Options {
        dry_run: false,
        import: false,
        user: None,
        data_root: None,
        local_remote: None,
    }
}

impl Eyes for MadeUp {
    fn look(&self, path: &Path) -> Option<Seen> {
        self.seen.get(path).cloned()
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let inside = self
            .seen
            .keys()
            .filter(|path| path.parent() == Some(folder));
        inside
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    fn person(&self, name: &str) -> Option<Person> {
        self.people.get(name).cloned()
    }

    fn ask(&self, argv: &[String]) -> Result<Said, String> {
        self.asked.borrow_mut().push(argv.join(" "));
        let has = |word: &str| argv.iter().any(|part| part == word);
        let last = argv.last().cloned().unwrap_or_default();
        let out = if has("is-enabled") {
            if self.enabled.contains(&last) {
                "enabled"
            } else {
                "disabled"
            }
            .to_owned()
        } else if has("is-active") {
            if self.active.contains(&last) {
                "active"
            } else {
                "inactive"
            }
            .to_owned()
        } else if has("image") {
            self.images.get(&last).cloned().unwrap_or_default()
        } else if has("images") {
            self.images
                .values()
                .map(|id| format!("sha256:{id}\n"))
                .collect()
        } else if has("version") {
            "rclone v1.60.1-DEV\n".to_owned()
        } else if has("--version") {
            "podman version 5.4.2".to_owned()
        } else if has("--property=Timezone") {
            "Europe/Paris\n".to_owned()
        } else {
            String::new()
        };
        Ok(Said {
            code: Some(0),
            out,
            err: String::new(),
        })
    }

    fn stacks(&self, _: &Path, _: &str, names: &[String]) -> BTreeSet<String> {
        names
            .iter()
            .filter(|name| self.stacks.contains(*name))
            .cloned()
            .collect()
    }
}
