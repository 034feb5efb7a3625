//! The verbs and options for fish.

use backupctl::request::table::{Opt, Takes, VERBS, Value};

use super::replaced;

/// The switches of `complete` for a value.
fn completes(value: Value) -> &'static str {
    match value {
        Value::Service => " -xa '(__backupctl_names services)'",
        Value::Target => " -xa '(__backupctl_names extra)'",
        Value::Path => " -xa '(__backupctl_path)'",
        Value::Remote => " -xa '(__backupctl_remotes)'",
        Value::Directory => " -xa '(__fish_complete_directories)'",
        Value::User => " -xa '(__fish_complete_users)'",
        Value::Shell => " -xa 'bash zsh fish'",
        Value::Origin => " -xa mirror",
        Value::InnerPath | Value::Seconds | Value::Count | Value::Line => " -x",
    }
}

fn bare(name: &str) -> &str {
    name.trim_start_matches('-')
}

pub(super) fn file(text: &str) -> String {
    let all: Vec<&str> = VERBS.iter().map(|verb| bare(verb.name)).collect();
    let needy: Vec<&str> = VERBS
        .iter()
        .filter(|verb| matches!(verb.takes, Takes::One(_)))
        .map(|verb| verb.name)
        .collect();
    let maybe: Vec<&str> = VERBS
        .iter()
        .filter(|verb| matches!(verb.takes, Takes::AtMostOne(_)))
        .map(|verb| bare(verb.name))
        .collect();
    let mut lines = String::new();
    for verb in VERBS {
        let value = match verb.takes {
            Takes::One(value) => completes(value),
            Takes::AtMostOne(_) | Takes::Nothing => "",
        };
        lines.push_str(&format!(
            "complete -c backupctl -n __backupctl_has_none -l {}{value} -d '{}'\n",
            bare(verb.name),
            verb.help
        ));
    }
    lines.push_str(&format!(
        "complete -c backupctl -n '__backupctl_has {}' -xa '(__backupctl_names services)'\n",
        maybe.join(" ")
    ));
    // One line for each option, with all verbs that have it.
    let mut seen: Vec<Opt> = Vec::new();
    for verb in VERBS {
        for option in verb.options.iter().flat_map(|used| used.options()) {
            if !seen.contains(&option) {
                seen.push(option);
            }
        }
    }
    for option in seen {
        let has = |verb: &&backupctl::request::table::Verb| {
            verb.options
                .iter()
                .any(|used| used.options().any(|one| one == option))
        };
        let verbs: Vec<&str> = VERBS
            .iter()
            .filter(has)
            .map(|verb| bare(verb.name))
            .collect();
        lines.push_str(&format!(
            "complete -c backupctl -n '__backupctl_has {}' -l {}{} -d '{}'\n",
            verbs.join(" "),
            bare(option.name),
            option.takes.value().map_or("", completes),
            option.help
        ));
    }
    let text = replaced(
        text,
        "    contains -- $words[-1] ",
        "\n    and return 0\n",
        &needy.join(" "),
    );
    let text = replaced(&text, "    not __backupctl_has ", "\nend\n", &all.join(" "));
    replaced(
        &text,
        "# Table of verbs: begin\n",
        "# Table of verbs: end\n",
        &lines,
    )
}
