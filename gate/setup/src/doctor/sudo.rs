//! The hop from the account to root: the commands that sudo allows the account, as `sudo -l -U` lists them.
//!
//! Invariant: exactly one command is right, to the letter. Any wider rule is a failure, because sudo would run it for
//! a user who has the account's key and another way in.

use std::time::Duration;

use super::examination::Examination;
use super::finding::Finding;
use base::error::Failure;
use base::repair::quoted;

const SUDO: &str = "/usr/bin/sudo";
const VISUDO: &str = "/usr/sbin/visudo";

/// The output of `sudo -l -U`, and the names that it must contain.
pub(super) struct SudoFacts<'a> {
    /// The account.
    pub(super) user: &'a str,
    /// This program's own path.
    pub(super) gate: &'a str,
    /// The listing.
    pub(super) listing: &'a str,
}

/// One command that sudo allows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    runas: String,
    tags: Vec<String>,
    command: String,
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    if !doctor.root {
        return doctor.tell(
            "sudo",
            [Finding::skip(
                "only root may ask sudo for another user's rights",
            )],
        );
    }
    let user = doctor.config.account.user.to_string();
    if doctor.account.is_none() {
        return doctor.tell(
            "sudo",
            [Finding::skip(format!("there is no account {user}"))],
        );
    }
    let time = Duration::from_secs(10);
    let listed = doctor.ask("asking sudo", &[SUDO, "-n", "-l", "-U", &user], time)?;
    let findings = match listed {
        Err(reason) => vec![Finding::fail(
            format!("sudo cannot be asked: {reason}"),
            vec!["apt install sudo".into()],
        )],
        Ok(ended) => judge(&SudoFacts {
            user: &user,
            gate: &doctor.gate,
            listing: &String::from_utf8_lossy(&ended.stdout),
        }),
    };
    doctor.tell("sudo", findings)?;
    let finding = match doctor.ask("checking sudoers", &[VISUDO, "-c", "-q"], time)? {
        Ok(ended) if ended.ok() => Finding::ok("the sudoers files are well formed (visudo -c)"),
        Ok(ended) => Finding::fail(
            format!(
                "visudo does not like the sudoers files: {}",
                ended.describe()
            ),
            vec!["visudo -c".into()],
        ),
        Err(reason) => Finding::skip(format!("visudo cannot be asked: {reason}")),
    };
    doctor.tell("sudo", [finding])
}

/// Commands that write the correct drop-in.
fn drop_in(user: &str, gate: &str) -> Vec<String> {
    vec![
        format!(
            "printf '%s\\n' 'Defaults!{gate} env_keep += \"SSH_ORIGINAL_COMMAND\"' '{user} ALL=(root) NOPASSWD: {gate} --ssh-gate' > /etc/sudoers.d/backupctl"
        ),
        "chmod 0440 /etc/sudoers.d/backupctl && visudo -c".into(),
    ]
}

/// Findings about the account's rights.
pub(super) fn judge(facts: &SudoFacts<'_>) -> Vec<Finding> {
    let SudoFacts { user, gate, .. } = facts;
    let rules = rules(facts.listing);
    let exact = format!("{gate} --ssh-gate");
    let mut findings = Vec::new();
    let (right, other): (Vec<&Rule>, Vec<&Rule>) =
        rules.iter().partition(|rule| rule.command == exact);
    match right.first() {
        None => findings.push(Finding::fail(
            format!("{user} may not run '{exact}' as root, so no request gets through"),
            drop_in(user, gate),
        )),
        Some(rule) if !rule.tags.iter().any(|tag| tag == "NOPASSWD") => {
            findings.push(Finding::fail(
                format!("sudo asks {user} for a password, which nobody is there to type"),
                drop_in(user, gate),
            ));
        }
        Some(rule) if rule.tags.iter().any(|tag| tag == "SETENV") => findings.push(Finding::fail(
            format!("SETENV lets {user} set any variable for the gate"),
            drop_in(user, gate),
        )),
        Some(rule) if rule.runas != "root" => findings.push(Finding::warn(
            format!(
                "{user} may run the gate as ({}); root is enough",
                rule.runas
            ),
            drop_in(user, gate),
        )),
        Some(_) => findings.push(Finding::ok(format!(
            "{user} may run exactly '{exact}' as root, without a password"
        ))),
    }
    if !other.is_empty() {
        let commands: Vec<String> = other
            .iter()
            .map(|rule| format!("({}) {}", rule.runas, rule.command))
            .collect();
        findings.push(Finding::fail(
            format!(
                "sudo lets {user} run more than the gate: {}; whoever finds another way into the account has that too",
                commands.join(", ")
            ),
            vec![
                format!("grep -rn -e {} -e '^%' /etc/sudoers /etc/sudoers.d", quoted(user)),
                "visudo -f FILE   # remove the line that was found".into(),
            ],
        ));
    }
    let keeps = facts
        .listing
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '=' | '"'))
        .any(|word| word == "SSH_ORIGINAL_COMMAND");
    if keeps {
        findings.push(Finding::ok("sudo keeps SSH_ORIGINAL_COMMAND"));
    } else {
        findings.push(Finding::fail(
            "sudo drops SSH_ORIGINAL_COMMAND, so the gate never sees a request",
            drop_in(user, gate),
        ));
    }
    let option = |name: &str| {
        let mut words = facts.listing.split([' ', ',', '\n']);
        words.any(|word| word.trim() == name)
    };
    if option("requiretty") {
        findings.push(Finding::fail(
            "sudo wants a terminal (requiretty), which a forced command does not have",
            vec![format!(
                "printf '%s\\n' 'Defaults:{user} !requiretty' >> /etc/sudoers.d/backupctl && visudo -c"
            )],
        ));
    }
    if option("!env_reset") {
        findings.push(Finding::warn(
            "sudo hands over the whole environment (!env_reset); the gate drops it, but starts in it",
            vec![format!(
                "printf '%s\\n' 'Defaults:{user} env_reset' >> /etc/sudoers.d/backupctl && visudo -c"
            )],
        ));
    }
    findings
}

/// The commands below "may run the following commands", without those that are only forbidden.
fn rules(listing: &str) -> Vec<Rule> {
    let mut lines = listing.lines();
    if !lines.any(|line| line.contains("may run the following commands")) {
        return Vec::new();
    }
    let mut entries: Vec<String> = Vec::new();
    for line in lines.take_while(|line| line.starts_with(' ')) {
        let text = line.trim();
        match entries.last_mut() {
            // sudo breaks long lines; a new entry begins with the user that the command runs as.
            Some(last) if !text.starts_with('(') => {
                last.push(' ');
                last.push_str(text);
            }
            _ => entries.push(text.to_owned()),
        }
    }
    entries
        .iter()
        .flat_map(|entry| entry_rules(entry))
        .collect()
}

fn entry_rules(entry: &str) -> Vec<Rule> {
    let (runas, rest) = entry
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .unwrap_or(("root", entry));
    let mut tags: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for part in split_commands(rest) {
        let mut command = part.trim();
        // Tags stay in force for the commands after them.
        while let Some((tag, behind)) = command.split_once(':') {
            if tag.is_empty() || !tag.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') {
                break;
            }
            let opposite = tag
                .strip_prefix("NO")
                .map_or(format!("NO{tag}"), str::to_owned);
            tags.retain(|known| *known != opposite);
            tags.push(tag.to_owned());
            command = behind.trim();
        }
        if !command.is_empty() && !command.starts_with('!') {
            found.push(Rule {
                runas: runas.trim().to_owned(),
                tags: tags.clone(),
                command: command.to_owned(),
            });
        }
    }
    found
}

/// Splits at commas, except those that are part of an argument (`\,`).
fn split_commands(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const GATE: &str = "/usr/local/bin/backupctl";

    fn verdicts(listing: &str) -> Vec<(Verdict, String)> {
        let facts = SudoFacts {
            user: "backup_ops",
            gate: GATE,
            listing,
        };
        judge(&facts)
            .into_iter()
            .map(|finding| (finding.verdict, finding.what))
            .collect()
    }

    #[track_caller]
    fn fails(listing: &str, words: &str) {
        let found = verdicts(listing);
        assert!(
            found
                .iter()
                .any(|(verdict, what)| *verdict == Verdict::Fail && what.contains(words)),
            "{found:?}"
        );
    }

    /// The output as sudo 1.9.13 prints it.
    fn listing(defaults: &str, rules: &str) -> String {
        format!(
            "Matching Defaults entries for backup_ops on odroid:\n    env_reset, mail_badpass, secure_path=/usr/sbin\\:/usr/bin, use_pty\n\nRunas and Command-specific defaults for backup_ops:\n    {defaults}\n\nUser backup_ops may run the following commands on odroid:\n    {rules}\n"
        )
    }

    const KEEP: &str = "Defaults!/usr/local/bin/backupctl env_keep+=SSH_ORIGINAL_COMMAND";
    const RULE: &str = "(root) NOPASSWD: /usr/local/bin/backupctl --ssh-gate";

    #[test]
    fn the_tutorials_drop_in_is_right() {
        let found = verdicts(&listing(KEEP, RULE));
        assert!(
            found.iter().all(|(verdict, _)| *verdict == Verdict::Ok),
            "{found:?}"
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn no_rights_at_all_come_with_the_drop_in() {
        let facts = SudoFacts {
            user: "backup_ops",
            gate: GATE,
            listing: "User backup_ops is not allowed to run sudo on odroid.\n",
        };
        let found = judge(&facts);
        assert!(found[0].fix[0].contains("NOPASSWD: /usr/local/bin/backupctl --ssh-gate"));
        assert!(found[0].fix[1].contains("visudo -c"));
        fails(facts.listing, "drops SSH_ORIGINAL_COMMAND");
    }

    #[test]
    fn wider_rules_are_failures() {
        for wider in [
            "(ALL : ALL) ALL",
            "(root) NOPASSWD: /usr/local/bin/backupctl",
            "(root) NOPASSWD: /usr/local/bin/backupctl --ssh-gate *",
            "(root) NOPASSWD: /usr/local/bin/backupctl *",
            "(www-data) /bin/ls",
            "(root) NOPASSWD: /usr/local/bin/backupctl --ssh-gate, /bin/sh",
            "(root) sudoedit /etc/passwd",
        ] {
            fails(
                &listing(KEEP, &format!("{RULE}\n    {wider}")),
                "more than the gate",
            );
        }
        // A command that is only forbidden grants no right.
        let found = verdicts(&listing(KEEP, &format!("{RULE}, !/bin/sh")));
        assert!(
            found.iter().all(|(verdict, _)| *verdict == Verdict::Ok),
            "{found:?}"
        );
    }

    #[test]
    fn a_password_a_terminal_and_a_free_environment_are_noticed() {
        fails(
            &listing(KEEP, "(root) /usr/local/bin/backupctl --ssh-gate"),
            "password",
        );
        fails(
            &listing(
                KEEP,
                "(root) NOPASSWD: SETENV: /usr/local/bin/backupctl --ssh-gate",
            ),
            "SETENV",
        );
        fails(&listing("Defaults:backup_ops requiretty", RULE), "terminal");
        fails(
            &listing("Defaults!/usr/local/bin/backupctl env_keep+=OTHER", RULE),
            "drops",
        );
    }

    #[test]
    fn another_path_than_this_programs_is_no_way_to_it() {
        let rule = "(root) NOPASSWD: /usr/bin/backupctl --ssh-gate";
        fails(
            &listing(KEEP, rule),
            "may not run '/usr/local/bin/backupctl --ssh-gate'",
        );
    }

    #[test]
    fn a_broken_line_is_put_together() {
        let rule = "(root) NOPASSWD: /usr/local/bin/backupctl\n        --ssh-gate";
        let found = verdicts(&listing(KEEP, rule));
        assert!(
            found.iter().all(|(verdict, _)| *verdict == Verdict::Ok),
            "{found:?}"
        );
    }
}
