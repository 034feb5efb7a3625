//! sshd's settings for the account, as `sshd -T -C user=…` prints them.
//!
//! Invariant: only settings that matter behind a forced command are judged, each with the drop-in that sets
//! them for this account alone.

use std::time::Duration;

use super::examination::{Examination, SshdSettings as Settings};
use super::finding::Finding;
use super::known_account::{Account, Password};
use base::error::Failure;

const SSHD: &str = "/usr/sbin/sshd";

/// Variables that a shell or the loader obeys if `AcceptEnv` lets them in.
const DANGEROUS: [&str; 7] = [
    "BASH_ENV",
    "ENV",
    "LD_PRELOAD",
    "PATH",
    "SHELLOPTS",
    "IFS",
    "SSH_ORIGINAL_COMMAND",
];

/// Asks sshd for its settings; the `Err` in the `Ok` says why there is no answer.
pub(super) fn settings(doctor: &mut Examination<'_>) -> Result<Result<Settings, String>, Failure> {
    if !doctor.root {
        return Ok(Err("only root may ask sshd for its settings".into()));
    }
    let user = &doctor.config.account.user;
    let whom = format!("user={user},host=localhost,addr=127.0.0.1");
    let time = Duration::from_secs(10);
    let answer = doctor.ask("asking sshd", &[SSHD, "-T", "-C", &whom], time)?;
    Ok(match answer {
        Ok(ended) if ended.ok() => Ok(read(&String::from_utf8_lossy(&ended.stdout))),
        Ok(ended) => Err(format!("sshd -T: {}", ended.describe())),
        Err(reason) => Err(reason),
    })
}

fn read(text: &str) -> Settings {
    let mut settings = Settings::new();
    for line in text.lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let values = settings.entry(name.to_ascii_lowercase()).or_default();
        values.push(value.trim().to_owned());
    }
    settings
}

/// The files of keys that sshd reads for an account.
pub(super) fn key_files(settings: &Settings, account: &Account) -> Vec<String> {
    let home = account.home.display().to_string();
    let patterns = settings
        .get("authorizedkeysfile")
        .cloned()
        .unwrap_or_default();
    patterns
        .iter()
        .flat_map(|line| line.split_whitespace())
        .filter(|pattern| *pattern != "none")
        .map(|pattern| {
            let path = pattern
                .replace("%h", &home)
                .replace("%u", &account.name)
                .replace("%U", &account.uid.to_string())
                .replace("%%", "%");
            if path.starts_with('/') {
                path
            } else {
                format!("{home}/{path}")
            }
        })
        .collect()
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let findings = match (&doctor.sshd, &doctor.account) {
        (_, None) => Vec::new(),
        (Err(reason), _) => vec![Finding::skip(reason.clone())],
        (Ok(settings), Some(account)) => judge(settings, account),
    };
    doctor.tell("sshd", findings)
}

/// Commands for a drop-in that applies to the account alone.
fn drop_in(user: &str, line: &str) -> Vec<String> {
    vec![
        format!(
            "printf '%s\\n' 'Match User {user}' '    {line}' >> /etc/ssh/sshd_config.d/backupctl.conf"
        ),
        "sshd -t && systemctl reload ssh".into(),
    ]
}

/// Commands for settings that do not belong in a Match block.
fn everywhere(line: &str) -> Vec<String> {
    vec![
        format!("printf '%s\\n' '{line}' > /etc/ssh/sshd_config.d/00-backupctl.conf"),
        "sshd -t && systemctl reload ssh".into(),
    ]
}

/// Findings about the settings.
pub(super) fn judge(settings: &Settings, account: &Account) -> Vec<Finding> {
    let user = account.name.as_str();
    let all = |name: &str| settings.get(name).cloned().unwrap_or_default();
    let one = |name: &str| all(name).first().cloned().unwrap_or_default();
    let mut findings = Vec::new();
    if one("pubkeyauthentication") == "no" {
        findings.push(Finding::fail(
            "sshd accepts no keys (PubkeyAuthentication no)",
            drop_in(user, "PubkeyAuthentication yes"),
        ));
    }
    findings.extend(kept_out(settings, account));
    let forced = one("forcecommand");
    if !forced.is_empty() && forced != "none" {
        findings.push(Finding::warn(
            format!("ForceCommand '{forced}' takes the place of the command of the keys"),
            vec!["grep -rn ForceCommand /etc/ssh/sshd_config /etc/ssh/sshd_config.d".into()],
        ));
    }
    if one("authorizedkeyscommand") != "none" && !one("authorizedkeyscommand").is_empty() {
        findings.push(Finding::warn(
            "AuthorizedKeysCommand gives keys that are not looked at here",
            drop_in(user, "AuthorizedKeysCommand none"),
        ));
    }
    if one("permituserenvironment") != "no" && !one("permituserenvironment").is_empty() {
        findings.push(Finding::fail(
            "a ~/.ssh/environment or a key's environment= sets variables for the login shell (PermitUserEnvironment)",
            everywhere("PermitUserEnvironment no"),
        ));
    }
    let accepted: Vec<String> = all("acceptenv")
        .iter()
        .flat_map(|line| line.split_whitespace())
        .map(str::to_owned)
        .collect();
    let harmful: Vec<&str> = accepted
        .iter()
        .map(String::as_str)
        .filter(|pattern| DANGEROUS.iter().any(|name| fits(pattern, name)))
        .collect();
    if !harmful.is_empty() {
        findings.push(Finding::fail(
            format!(
                "a client may set {} for the login shell (AcceptEnv), which can run code before the gate",
                harmful.join(" ")
            ),
            vec!["grep -rn AcceptEnv /etc/ssh/sshd_config /etc/ssh/sshd_config.d".into()],
        ));
    }
    if one("strictmodes") == "no" {
        findings.push(Finding::warn(
            "sshd does not look at who may change the keys (StrictModes no)",
            everywhere("StrictModes yes"),
        ));
    }
    if account.password == Password::Usable && one("passwordauthentication") != "no" {
        findings.push(Finding::fail(
            format!("{user} has a password, and with it a shell without the gate"),
            vec![format!("passwd --lock {user}")],
        ));
    }
    if account.password == Password::Locked && one("usepam") == "no" {
        findings.push(Finding::fail(
            format!("without PAM sshd lets no locked account in, and {user} is one"),
            vec![format!("usermod --password '*' {user}")],
        ));
    }
    if one("clientaliveinterval") == "0" {
        findings.push(Finding::warn(
            "sshd never notices a client that has died without a word (ClientAliveInterval 0), and the work for it goes on to its own deadline",
            drop_in(user, "ClientAliveInterval 15"),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "the settings for {user} leave no way around the forced command"
        )));
    }
    findings
}

/// Findings about lists of users and groups that exclude the account.
fn kept_out(settings: &Settings, account: &Account) -> Vec<Finding> {
    let mut findings = Vec::new();
    let user = account.name.as_str();
    let words = |name: &str| -> Vec<String> {
        let lines = settings.get(name).into_iter().flatten();
        lines
            .flat_map(|line| line.split_whitespace())
            .map(str::to_owned)
            .collect()
    };
    let is_user = |pattern: &String| {
        let name = pattern.split('@').next().unwrap_or_default();
        fits(name, user)
    };
    let is_group = |pattern: &String| account.groups.iter().any(|(_, group)| fits(pattern, group));
    let show = "grep -rnE '(Allow|Deny)(Users|Groups)' /etc/ssh/sshd_config /etc/ssh/sshd_config.d";
    let (users, groups) = (words("allowusers"), words("allowgroups"));
    let outside = (!users.is_empty() && !users.iter().any(is_user))
        || (!groups.is_empty() && !groups.iter().any(is_group))
        || words("denyusers").iter().any(is_user)
        || words("denygroups").iter().any(is_group);
    if outside {
        findings.push(Finding::fail(
            format!(
                "sshd does not let {user} in (AllowUsers, AllowGroups, DenyUsers or DenyGroups)"
            ),
            vec![show.into()],
        ));
    }
    findings
}

/// Matches a name against a pattern of sshd's, with `*` and `?`.
fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = pattern.get(1..).unwrap_or_default();
            (0..=name.len()).any(|at| name.get(at..).is_some_and(|behind| fits(rest, behind)))
        }
        (Some(p), Some(n)) if p == '?' || p == n => fits(
            pattern.get(p.len_utf8()..).unwrap_or_default(),
            name.get(n.len_utf8()..).unwrap_or_default(),
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn account(password: Password) -> Account {
        Account {
            name: "backup_ops".into(),
            uid: 999,
            group: "backup_ops".into(),
            home: "/home/backup_ops".into(),
            shell: "/bin/sh".into(),
            groups: vec![(998, "backup_ops".into())],
            key_files: Vec::new(),
            password,
        }
    }

    /// A part of the settings as Debian 12's sshd prints them.
    const DEBIAN: &str = "port 22\nusepam yes\nclientaliveinterval 0\npubkeyauthentication yes\npasswordauthentication yes\nstrictmodes yes\nforcecommand none\nauthorizedkeyscommand none\nauthorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\nacceptenv LANG\nacceptenv LC_*\npermituserenvironment no\n";

    fn found(text: &str, password: Password) -> Vec<Finding> {
        judge(&read(text), &account(password))
    }

    #[test]
    fn debians_defaults_lack_one_thing() {
        let found = found(DEBIAN, Password::Locked);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].verdict, Verdict::Warn);
        assert!(found[0].fix[0].contains("ClientAliveInterval 15"));
        let mended = DEBIAN.replace("interval 0", "interval 15");
        let found = judge(&read(&mended), &account(Password::Locked));
        assert_eq!(found[0].verdict, Verdict::Ok, "{found:?}");
    }

    #[test]
    fn each_way_around_the_gate_is_a_failure() {
        let with = |more: &str| format!("{}{more}\n", DEBIAN.replace("interval 0", "interval 15"));
        let check = |text: &str, password: Password, words: &str| {
            let found = found(text, password);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].verdict, Verdict::Fail, "{found:?}");
            assert!(found[0].what.contains(words), "{found:?}");
        };
        let locked = Password::Locked;
        check(&with("acceptenv BASH_*"), locked, "AcceptEnv");
        check(&with("acceptenv *"), locked, "AcceptEnv");
        check(
            &with("allowusers root odroid@10.*"),
            locked,
            "does not let backup_ops in",
        );
        check(
            &with("denygroups backup*"),
            locked,
            "does not let backup_ops in",
        );
        check(&with(""), Password::Usable, "has a password");
        let environment = with("").replace("environment no", "environment yes");
        check(&environment, locked, "PermitUserEnvironment");
        let pam = with("").replace("usepam yes", "usepam no");
        check(&pam, locked, "locked account");
        let keys = with("").replace("pubkeyauthentication yes", "pubkeyauthentication no");
        check(&keys, locked, "no keys");
    }

    #[test]
    fn the_files_of_keys_are_found_by_their_patterns() {
        let settings = read("authorizedkeysfile .ssh/authorized_keys /etc/ssh/keys/%u %h/k%%\n");
        assert_eq!(
            key_files(&settings, &account(Password::Locked)),
            [
                "/home/backup_ops/.ssh/authorized_keys",
                "/etc/ssh/keys/backup_ops",
                "/home/backup_ops/k%"
            ]
        );
    }

    #[test]
    fn patterns_fit_as_sshd_has_them() {
        for (pattern, name, expected) in [
            ("*", "PATH", true),
            ("LC_*", "PATH", false),
            ("P?TH", "PATH", true),
            ("*TH", "PATH", true),
            ("", "PATH", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern}");
        }
    }
}
