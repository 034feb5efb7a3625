//! The synopsis of backupctl(8).

use backupctl::request::table::{Opt, Takes, Use, VERBS, Value};

use super::replaced;

/// A word and its value in mdoc(7).
fn mdoc(name: &str, takes: Takes) -> String {
    let name = name.strip_prefix('-').unwrap();
    let value = |value: Value| match value {
        Value::Origin => "Ar DAY | Cm mirror".to_owned(),
        Value::Shell => "Cm bash | zsh | fish".to_owned(),
        value => format!("Ar {}", value.word().trim_matches('"')),
    };
    match takes {
        Takes::One(kind) => format!("Fl {name} {}", value(kind)),
        Takes::AtMostOne(kind) => format!("Fl {name}\n.Op {}", value(kind)),
        Takes::Nothing => format!("Fl {name}"),
    }
}

pub(super) fn file(text: &str) -> String {
    let mut lines = String::new();
    for verb in VERBS {
        lines.push_str(&format!(".Nm\n.{}\n", mdoc(verb.name, verb.takes)));
        for used in verb.options {
            let one = |option: &Opt| mdoc(option.name, option.takes);
            lines.push_str(&match used {
                Use::Must(option) => format!(".{}\n", one(option)),
                Use::May(option) => format!(".Op {}\n", one(option)),
                Use::Repeat(option) => format!(".Op {} ...\n", one(option)),
                Use::Either(first, second) => format!(".Op {} | {}\n", one(first), one(second)),
            });
        }
    }
    replaced(text, ".Sh SYNOPSIS\n", ".Sh DESCRIPTION\n", &lines)
}
