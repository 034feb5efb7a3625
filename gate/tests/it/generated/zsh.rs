//! The verbs and options for zsh.

use backupctl::request::table::{Opt, Place, Takes, Use, VERBS, Value};

use super::replaced;

/// The message and the action of a value.
fn completes(value: Value) -> &'static str {
    match value {
        Value::InnerPath => "path below the data:",
        Value::Service => "service:{_backupctl_names services service}",
        Value::Target => "target:{_backupctl_names extra target}",
        Value::Path => "path:_backupctl_path",
        Value::Remote => "remote:_backupctl_remotes",
        Value::Seconds => "seconds:",
        Value::Count => "count:",
        Value::Origin => "day (YYYY-MM-DD) or mirror:(mirror)",
        Value::Directory => "directory:_files -/",
        Value::User => "user:_users",
        Value::Shell => "shell:(bash zsh fish)",
        Value::Line => "line:",
    }
}

fn option(option: Opt, other: Option<Opt>) -> String {
    let unless = other.map_or(String::new(), |other| format!("({})", other.name));
    let value = option
        .takes
        .value()
        .map_or(String::new(), |value| format!(":{}", completes(value)));
    format!("'{unless}{}[{}]{value}'", option.name, option.help)
}

pub(super) fn file(text: &str) -> String {
    let mut lines = String::new();
    for verb in VERBS {
        let value = match verb.takes {
            Takes::One(value) => format!(":{}", completes(value)),
            Takes::AtMostOne(value) => format!("::{}", completes(value)),
            Takes::Nothing => String::new(),
        };
        let mut words = vec![format!("'{}{value}'", verb.name)];
        for used in verb.options {
            match *used {
                Use::Must(one) | Use::May(one) => words.push(option(one, None)),
                Use::Repeat(one) => words.push(format!("'*{}", &option(one, None)[1..])),
                Use::Either(first, second) => {
                    words.push(option(first, Some(second)));
                    words.push(option(second, Some(first)));
                }
            }
        }
        if matches!(verb.place, Place::Request | Place::Host) {
            words.push("'--config:file:_files'".into());
        }
        lines.push_str(&format!(
            "{})\n    _arguments {}\n    ;;\n",
            verb.name,
            words.join(" \\\n        ")
        ));
    }
    lines.push_str("*)\n    _arguments \\\n        '--config[another configuration]:file:_files'");
    for verb in VERBS {
        lines.push_str(&format!(" \\\n        '{}[{}]'", verb.name, verb.help));
    }
    lines.push_str("\n    ;;\n");
    let names: Vec<&str> = VERBS
        .iter()
        .map(|verb| verb.name.trim_start_matches('-'))
        .collect();
    let text = replaced(
        text,
        "\nlocal verb=${words[(r)--(",
        ")]}\n",
        &names.join("|"),
    );
    replaced(
        &text,
        "# Table of verbs: begin\n",
        "# Table of verbs: end\n",
        &lines,
    )
}
