//! The hop from a key to the gate: every line of the account's `authorized_keys`.
//!
//! Invariant: a key that is not bound to the gate, or not restricted, is a failure: such a key opens a shell in the
//! account.

use super::examination::Examination;
use super::finding::Finding;
use base::error::Failure;
use base::repair::quoted;

/// Maximum number of bytes read from a file of keys.
const MAX_BYTES: u64 = 1 << 20;

/// One key that sshd accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The line number, counted from 1.
    line: usize,
    /// Option names in lower case, each with the text between its quotes.
    options: Vec<(String, Option<String>)>,
}

/// KeyFacts about one file of keys.
pub(super) struct KeyFacts<'a> {
    /// The path of the file.
    pub(super) path: &'a str,
    /// The content of the file.
    pub(super) text: &'a str,
    /// This program's own path.
    pub(super) gate: &'a str,
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let Some(account) = doctor.account.clone() else {
        return Ok(());
    };
    if !doctor.root {
        return doctor.tell(
            "keys",
            [Finding::skip("only root may read another user's keys")],
        );
    }
    let gate = doctor.gate.clone();
    let mut seen = 0;
    for path in &account.key_files {
        let Some(bytes) = bounded(path) else {
            continue;
        };
        seen += 1;
        let text = String::from_utf8_lossy(&bytes);
        let facts = KeyFacts {
            path,
            text: &text,
            gate: &gate,
        };
        doctor.tell("keys", judge(&facts))?;
    }
    if seen == 0 {
        let wanted = account.key_files.first().cloned().unwrap_or_default();
        let finding = Finding::fail(
            format!("{wanted} is not there, so nobody can come in"),
            forced(&wanted, &gate),
        );
        doctor.tell("keys", [finding])?;
    }
    Ok(())
}

/// Reads at most [`MAX_BYTES`] of a regular file; follows a link, as sshd does.
fn bounded(path: &str) -> Option<Vec<u8>> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Commands that show the correct line.
fn forced(path: &str, gate: &str) -> Vec<String> {
    vec![
        format!("editor {}", quoted(path)),
        format!("# each line: restrict,command=\"sudo {gate} --ssh-gate\" ssh-ed25519 AAAA..."),
    ]
}

pub(super) fn judge(facts: &KeyFacts<'_>) -> Vec<Finding> {
    let path = facts.path;
    let fix = || forced(path, facts.gate);
    let (keys, broken) = read(facts.text);
    let mut findings = Vec::new();
    let mut good = 0_u64;
    for key in &keys {
        let at = format!("line {} of {path}", key.line);
        let problems = key.problems(facts.gate);
        if problems.is_empty() {
            good += 1;
        } else {
            findings.push(Finding::fail(
                format!("{at}: {}", problems.join("; ")),
                fix(),
            ));
        }
        let open = key.loosened();
        if problems.is_empty() && !open.is_empty() {
            findings.push(Finding::warn(
                format!("{at} gives back what restrict takes: {}", open.join(", ")),
                fix(),
            ));
        }
    }
    for line in broken {
        findings.push(Finding::warn(
            format!("line {line} of {path} is no key; sshd passes over it"),
            fix(),
        ));
    }
    if keys.is_empty() {
        findings.push(Finding::fail(
            format!("{path} holds no key, so nobody can come in"),
            fix(),
        ));
    } else if good > 0 {
        let words = base::measure::count(good, "key");
        findings.insert(
            0,
            Finding::ok(format!(
                "{words} in {path} bound to the gate and restricted"
            )),
        );
    }
    findings
}

impl Key {
    fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.options.iter().find(|(option, _)| option == name)?;
        Some(value.as_deref().unwrap_or_default())
    }

    fn problems(&self, gate: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let right = [
            format!("sudo {gate} --ssh-gate"),
            format!("sudo -n {gate} --ssh-gate"),
            format!("/usr/bin/sudo {gate} --ssh-gate"),
            format!("/usr/bin/sudo -n {gate} --ssh-gate"),
        ];
        match self.value("command") {
            None => problems.push("this key is not bound to the gate (no command=)".to_owned()),
            Some(command) if !right.iter().any(|right| right == command) => {
                problems.push(format!("its command is '{command}', not '{}'", right[0]));
            }
            Some(_) => {}
        }
        if self.value("restrict").is_none() {
            problems.push(
                "without restrict it may forward ports and agents and get a terminal".to_owned(),
            );
        }
        if self.value("cert-authority").is_some() {
            problems.push("whoever it signs for comes in as well (cert-authority)".to_owned());
        }
        problems
    }

    /// Features that options after `restrict` allow again.
    fn loosened(&self) -> Vec<&str> {
        const LOOSE: [&str; 6] = [
            "agent-forwarding",
            "port-forwarding",
            "pty",
            "user-rc",
            "x11-forwarding",
            "environment",
        ];
        LOOSE
            .into_iter()
            .filter(|name| self.value(name).is_some())
            .collect()
    }
}

/// The keys of a file, and the numbers of the lines that are not keys.
fn read(text: &str) -> (Vec<Key>, Vec<usize>) {
    let mut keys = Vec::new();
    let mut broken = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (options, rest) = if is_kind(line) {
            (Vec::new(), line)
        } else {
            options(line)
        };
        if is_kind(rest.trim_start()) {
            keys.push(Key {
                line: at + 1,
                options,
            });
        } else {
            broken.push(at + 1);
        }
    }
    (keys, broken)
}

fn is_kind(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let known = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"];
    known.iter().any(|prefix| kind.starts_with(prefix)) && words.next().is_some()
}

/// Splits `a,b="x, \"y\"" rest` into options and the rest.
fn options(line: &str) -> (Vec<(String, Option<String>)>, &str) {
    let mut found = Vec::new();
    let mut name = String::new();
    let mut value: Option<String> = None;
    let mut inside = false;
    let mut chars = line.char_indices();
    let mut end = line.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                inside = !inside;
                value.get_or_insert_with(String::new);
            }
            '\\' if inside && line[at..].starts_with("\\\"") => {
                chars.next();
                value.get_or_insert_with(String::new).push('"');
            }
            _ if inside => value.get_or_insert_with(String::new).push(c),
            ',' => found.push((std::mem::take(&mut name).to_ascii_lowercase(), value.take())),
            '=' if value.is_none() => {}
            ' ' | '\t' => {
                end = at;
                break;
            }
            _ => name.push(c),
        }
    }
    if !name.is_empty() {
        found.push((name.to_ascii_lowercase(), value));
    }
    (found, line.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const GATE: &str = "/usr/local/bin/backupctl";
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA lightflow-backup";

    fn found(text: &str) -> Vec<Finding> {
        judge(&KeyFacts {
            path: "/home/backup_ops/.ssh/authorized_keys",
            text,
            gate: GATE,
        })
    }

    #[track_caller]
    fn fails(text: &str, words: &str) {
        let found = found(text);
        assert!(
            found
                .iter()
                .any(|finding| finding.verdict == Verdict::Fail && finding.what.contains(words)),
            "{found:?}"
        );
    }

    #[test]
    fn the_tutorials_line_is_right() {
        let text = format!(
            "# a comment\n\nrestrict,command=\"sudo /usr/local/bin/backupctl --ssh-gate\" {KEY}\n"
        );
        let found = found(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].verdict, Verdict::Ok);
        assert!(found[0].what.starts_with("1 key "));
    }

    #[test]
    fn a_key_without_a_leash_is_a_failure() {
        let command = "command=\"sudo /usr/local/bin/backupctl --ssh-gate\"";
        fails(KEY, "not bound to the gate");
        fails(&format!("restrict {KEY}"), "not bound to the gate");
        fails(&format!("{command} {KEY}"), "without restrict");
        fails(&format!("{command},no-pty {KEY}"), "without restrict");
        fails(
            &format!("restrict,command=\"sudo /usr/local/bin/backupctl --stop x\" {KEY}"),
            "its command is",
        );
        fails(
            &format!("restrict,command=\"sudo /usr/local/bin/backupctl --ssh-gate; sh\" {KEY}"),
            "its command is",
        );
        fails(
            &format!("restrict,cert-authority,{command} {KEY}"),
            "cert-authority",
        );
        fails("", "holds no key");
        // The second key is checked as well.
        let first = format!("restrict,{command} {KEY}\n{KEY}\n");
        fails(&first, "line 2 of");
    }

    #[test]
    fn options_that_give_back_are_warned_of() {
        let text = format!(
            "restrict,pty,environment=\"A=b,c \\\"d\\\"\",command=\"sudo {GATE} --ssh-gate\" {KEY}\nnonsense\n"
        );
        let found = found(&text);
        let verdicts: Vec<Verdict> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(
            verdicts,
            [Verdict::Ok, Verdict::Warn, Verdict::Warn],
            "{found:?}"
        );
        assert!(found[1].what.ends_with("pty, environment"), "{found:?}");
        assert!(found[2].what.contains("line 2 "), "{found:?}");
    }

    #[test]
    fn options_are_read_as_sshd_reads_them() {
        let (options, rest) = options("a,B=\"x, \\\"y\\\" z\",c  ssh-rsa AAAA");
        assert_eq!(
            options,
            [
                ("a".to_owned(), None),
                ("b".to_owned(), Some("x, \"y\" z".to_owned())),
                ("c".to_owned(), None)
            ]
        );
        assert_eq!(rest.trim(), "ssh-rsa AAAA");
    }
}
