//! `--help`, at most 79 columns wide.

use backupctl::request::table::{Place, Use, VERBS, Value, Verb};

use super::{option, options, shown};

const WIDTH: usize = 79;

/// The column of the second half of a line.
const SECOND: usize = 29;

const HEAD: &str = "backupctl, the gate to this host's services and their backups\n";

const TAIL: &str = "
  --config FILE              before any of these, on the host's command line:
                             another file than /etc/backupctl/backupctl.toml

Exit codes: 0 done, 64 not a request, 65 bad data, 69 a tool, service or
remote failed, 70 internal, 73 no space, 76 unsafe change refused, 77 refused
by policy, 78 bad configuration, 124 timed out.
";

/// The first half of a line and its second half, which begins a line of its own where there is no room.
fn line(first: &str, second: &[String], text: &mut String) {
    let mut at = format!("{first:<width$}", width = SECOND);
    if first.len() >= SECOND {
        text.push_str(first.trim_end());
        text.push('\n');
        at = " ".repeat(SECOND);
    }
    let mut is_empty = true;
    for word in second {
        if !is_empty && at.len() + 1 + word.len() > WIDTH {
            text.push_str(at.trim_end());
            text.push('\n');
            at = " ".repeat(SECOND);
            is_empty = true;
        }
        if !is_empty {
            at.push(' ');
        }
        at.push_str(word);
        is_empty = false;
    }
    text.push_str(at.trim_end());
    text.push('\n');
}

fn words(help: &str) -> Vec<String> {
    help.split(' ').map(str::to_owned).collect()
}

/// Services have two words in help: the column is narrow.
fn first(verb: &Verb) -> String {
    let shown = match verb.takes.value() {
        Some(Value::Shell) => format!("{} SHELL", verb.name),
        _ => shown(verb.name, verb.takes),
    };
    format!("  backupctl {shown}")
}

pub(super) fn file(_: &str) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\nRequests, over SSH and on the host:\n");
    for verb in VERBS.iter().filter(|verb| verb.place == Place::Request) {
        line(&first(verb), &words(verb.help), &mut text);
        line("", &options(verb), &mut text);
    }
    text.push_str("\nOn the host only:\n");
    for verb in VERBS.iter().filter(|verb| verb.place == Place::Host) {
        line(&first(verb), &words(verb.help), &mut text);
        for used in verb.options {
            for one in used.options() {
                let or = if matches!(used, Use::Either(_, last) if last.name == one.name) {
                    "or "
                } else {
                    ""
                };
                line(
                    &format!("      {or}{}", option(one)),
                    &words(one.help),
                    &mut text,
                );
            }
        }
    }
    text.push('\n');
    for verb in VERBS
        .iter()
        .filter(|verb| matches!(verb.place, Place::Alone | Place::Forced))
    {
        line(&first(verb), &words(verb.help), &mut text);
    }
    text + TAIL
}
