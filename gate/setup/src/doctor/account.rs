//! The account that sshd lets in: its identity, its groups, and the files in its home that it may change itself.
//!
//! The gate works with a home that belongs to the account, as the tutorial makes it. But sshd runs the forced command
//! through a login shell. A user who can write to that home by another way can have a `~/.bashrc`, an `~/.ssh/rc` or a
//! key of his own run before the gate, so the doctor says how to tighten the home.
//!
//! Invariant: every dangerous finding comes with the commands that fix it.

use std::path::Path;
use std::time::Duration;

use super::examination::Examination;
use super::finding::Finding;
use super::ownership::{levels, loose};
use base::error::Failure;
use base::repair::quoted;

use super::known_account::{Account, Entry, entry};

/// Files in a home that shells and sshd read before a forced command.
const READ_BEFORE: [&str; 8] = [
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".profile",
    ".zshenv",
    ".config/fish/config.fish",
    ".ssh/rc",
    ".ssh/environment",
];

/// Time limit for systemd's answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Groups that give their members root's power.
const MIGHTY: [&str; 10] = [
    "root",
    "sudo",
    "wheel",
    "admin",
    "docker",
    "lxd",
    "incus-admin",
    "disk",
    "shadow",
    "libvirt",
];

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let user = doctor.config.account.user.to_string();
    let Some(account) = doctor.account.clone() else {
        let what = format!(
            "there is no account {user}; without it nothing comes in over SSH (account.user names another)"
        );
        let finding = if doctor.root {
            let shell = "/bin/sh";
            Finding::fail(
                what,
                vec![format!(
                    "useradd --system --create-home --home-dir /home/{user} --shell {shell} {user}"
                )],
            )
        } else {
            Finding::skip(what)
        };
        return doctor.tell("account", [finding]);
    };
    let mut entries: Vec<Entry> = [account.home.clone(), account.home.join(".ssh")]
        .iter()
        .filter_map(|path| entry(path, false))
        .collect();
    entries.extend(
        account
            .key_files
            .iter()
            .filter_map(|path| entry(Path::new(path), false)),
    );
    entries.extend(
        READ_BEFORE
            .iter()
            .filter_map(|name| entry(&account.home.join(name), true)),
    );
    let above = account.home.parent().map_or_else(
        || Ok(Vec::new()),
        |parent| levels(parent).map(|levels| loose(&levels, 0)),
    );
    let mut findings = judge(&account, &entries);
    match above {
        Ok(above) => findings.extend(above.into_iter().map(|level| {
            let what = format!(
                "{}; whoever may write to it can replace the home",
                level.what
            );
            Finding::fail(what, level.fix)
        })),
        Err(reason) => findings.push(Finding::fail(
            format!("the home of {user}: {reason}"),
            vec![format!("mkhomedir_helper {user}")],
        )),
    }
    findings.extend(tasks(doctor, account.uid)?);
    doctor.tell("account", findings)
}

/// A limit above this number of processes counts as no limit.
const MOST_TASKS: u64 = 4096;

/// Checks the limit for the processes of all sessions of the account.
fn tasks(doctor: &mut Examination<'_>, uid: u32) -> Result<Option<Finding>, Failure> {
    if !doctor.root || !Path::new("/run/systemd/system").exists() {
        return Ok(None);
    }
    let slice = format!("user-{uid}.slice");
    let argv = [
        "/usr/bin/systemctl",
        "show",
        "--value",
        "--property=TasksMax",
        &slice,
    ];
    let said = doctor.ask("asking systemd", &argv, ANSWER)?;
    let said = said.map(|ended| String::from_utf8_lossy(&ended.stdout).trim().to_owned());
    Ok(Some(judge_tasks(
        &slice,
        said.as_deref().unwrap_or_default(),
    )))
}

/// `said` is systemd's value of TasksMax: a number, or infinity.
fn judge_tasks(slice: &str, said: &str) -> Finding {
    match said.parse::<u64>() {
        Ok(limit) if limit <= MOST_TASKS => Finding::ok(format!(
            "{slice} has room for {limit} processes and threads"
        )),
        _ => Finding::warn(
            format!(
                "{slice} has no limit below {MOST_TASKS} for its processes (TasksMax is '{said}'): whoever has the key can start as many as the host has room for"
            ),
            vec![format!("systemctl set-property {slice} TasksMax=1024")],
        ),
    }
}

/// Findings about the account and its home.
fn judge(account: &Account, entries: &[Entry]) -> Vec<Finding> {
    let name = &account.name;
    let mut findings = Vec::new();
    if account.uid == 0 {
        findings.push(Finding::fail(
            format!(
                "{name} is root itself (uid 0); the gate's account must have no rights of its own"
            ),
            vec!["# set account.user to the account that the forced command belongs to".into()],
        ));
    }
    let mighty: Vec<&str> = account
        .groups
        .iter()
        .map(|(_, group)| group.as_str())
        .filter(|group| MIGHTY.contains(group))
        .collect();
    if !mighty.is_empty() {
        findings.push(Finding::fail(
            format!("{name} is in {}, which amounts to root", mighty.join(", ")),
            mighty
                .iter()
                .map(|group| format!("gpasswd --delete {name} {group}"))
                .collect(),
        ));
    }
    let shell = account.shell.display().to_string();
    if shell.ends_with("/nologin") || shell.ends_with("/false") || shell.is_empty() {
        findings.push(Finding::fail(
            format!("the shell of {name} is '{shell}', so sshd cannot run the forced command"),
            vec![format!("usermod --shell /bin/sh {name}")],
        ));
    }
    let shut: Vec<&str> = entries
        .iter()
        .filter(|entry| !entry.runs && !account.may_read(entry))
        .map(|entry| entry.path.as_str())
        .collect();
    if !shut.is_empty() {
        findings.push(Finding::fail(
            format!(
                "sshd reads keys as {name}, who may not read {}",
                shut.join(", ")
            ),
            tightening(account, entries),
        ));
    }
    let (open, own): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .filter(|entry| account.may_write(entry))
        .partition(|entry| entry.mode & 0o002 != 0 || (entry.uid != account.uid && entry.uid != 0));
    let list = |entries: &[&Entry]| {
        let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        paths.join(", ")
    };
    if !open.is_empty() {
        findings.push(Finding::fail(
            format!("others may write to {}", list(&open)),
            tightening(account, entries),
        ));
    } else if !own.is_empty() {
        findings.push(Finding::warn(
            format!(
                "{name} may change {}: the gate works, but whoever gets to write there by another way in has a ~/.bashrc, ~/.ssh/rc or ~/.ssh/environment run before the gate, or a key without it",
                list(&own)
            ),
            tightening(account, entries),
        ));
    } else if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "{name} (uid {}) has no rights of its own, and its home belongs to root",
            account.uid
        )));
    }
    findings
}

/// Commands after which the account may read its home, and only root may change it.
fn tightening(account: &Account, entries: &[Entry]) -> Vec<String> {
    let paths = |directory: bool| {
        let fitting = entries.iter().filter(|entry| entry.directory == directory);
        let words: Vec<String> = fitting.map(|entry| quoted(&entry.path)).collect();
        words.join(" ")
    };
    let (directories, files) = (paths(true), paths(false));
    let mut commands = vec![format!(
        "chown --no-dereference root:{} {}",
        quoted(&account.group),
        [directories.as_str(), files.as_str()].join(" ").trim()
    )];
    if !directories.is_empty() {
        commands.push(format!("chmod 0750 {directories}"));
    }
    if !files.is_empty() {
        commands.push(format!("chmod 0640 {files}"));
    }
    let shell = account.shell.display().to_string();
    if !shell.ends_with("/sh") && !shell.ends_with("/dash") {
        // dash reads no file of the home before it runs a command; bash under sshd reads ~/.bashrc.
        commands.push(format!("usermod --shell /bin/sh {}", account.name));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::known_account::Password;
    use super::*;

    fn account() -> Account {
        Account {
            name: "backup_ops".into(),
            uid: 999,
            group: "backup_ops".into(),
            home: "/home/backup_ops".into(),
            shell: "/bin/bash".into(),
            groups: vec![(998, "backup_ops".into())],
            key_files: vec!["/home/backup_ops/.ssh/authorized_keys".into()],
            password: Password::Locked,
        }
    }

    fn made(owner: u32, directory: u32, file: u32) -> Vec<Entry> {
        let entry = |path: &str, mode, directory, runs| Entry {
            path: format!("/home/backup_ops{path}"),
            uid: owner,
            gid: 998,
            mode,
            directory,
            runs,
        };
        vec![
            entry("", directory, true, false),
            entry("/.ssh", directory, true, false),
            entry("/.ssh/authorized_keys", file, false, false),
            entry("/.bashrc", file, false, true),
        ]
    }

    #[test]
    fn a_slice_without_a_limit_is_told() {
        let verdict = |said| judge_tasks("user-999.slice", said).verdict;
        assert_eq!(verdict("1024"), Verdict::Ok);
        for said in ["infinity", "9830", "18446744073709551615", "", "[not set]"] {
            assert_eq!(verdict(said), Verdict::Warn, "{said}");
        }
    }

    #[test]
    fn the_tutorials_home_works_and_could_be_tighter() {
        let found = judge(&account(), &made(999, 0o755, 0o600));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].verdict, Verdict::Warn);
        assert_eq!(
            found[0].fix,
            [
                "chown --no-dereference root:backup_ops /home/backup_ops /home/backup_ops/.ssh /home/backup_ops/.ssh/authorized_keys /home/backup_ops/.bashrc",
                "chmod 0750 /home/backup_ops /home/backup_ops/.ssh",
                "chmod 0640 /home/backup_ops/.ssh/authorized_keys /home/backup_ops/.bashrc",
                "usermod --shell /bin/sh backup_ops",
            ]
        );
    }

    #[test]
    fn what_the_commands_make_of_it_is_right() {
        let found = judge(&account(), &made(0, 0o750, 0o640));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].verdict, Verdict::Ok);
    }

    #[test]
    fn a_home_that_the_account_cannot_read_keeps_everybody_out() {
        let found = judge(&account(), &made(0, 0o700, 0o600));
        assert_eq!(found[0].verdict, Verdict::Fail);
        assert!(
            found[0].what.contains("may not read /home/backup_ops, "),
            "{found:?}"
        );
    }

    #[test]
    fn what_others_may_write_is_a_failure() {
        for (owner, mode) in [(999, 0o777), (1000, 0o770)] {
            let found = judge(&account(), &made(owner, mode, 0o644));
            assert!(
                found.iter().any(|finding| finding.verdict == Verdict::Fail
                    && finding.what.contains("others may write")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn rights_of_its_own_are_failures() {
        let mut mighty = account();
        mighty.groups.push((27, "sudo".into()));
        mighty.shell = "/usr/sbin/nologin".into();
        mighty.uid = 0;
        let found = judge(&mighty, &made(0, 0o750, 0o640));
        let words: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
        for part in [
            "is root itself",
            "amounts to root",
            "cannot run the forced command",
        ] {
            assert!(
                words.iter().any(|what| what.contains(part)),
                "{part}: {words:?}"
            );
        }
        assert!(
            found
                .iter()
                .any(|f| f.fix == ["gpasswd --delete backup_ops sudo"])
        );
    }
}
