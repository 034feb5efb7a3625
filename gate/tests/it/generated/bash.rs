//! The verbs and options for bash.

use backupctl::request::table::{Takes, VERBS, Value, Verb};

use super::replaced;

/// The kind of a value as the functions of the file know it.
fn kind(value: Value) -> &'static str {
    match value {
        Value::Service => "services",
        Value::Target => "extra",
        Value::Path => "path",
        Value::Remote => "remote",
        Value::Directory => "directory",
        Value::User => "user",
        Value::Shell => "shell",
        Value::Origin => "origin",
        Value::InnerPath | Value::Seconds | Value::Count | Value::Line => "unknown",
    }
}

fn options(verb: &Verb) -> Vec<&'static str> {
    let options = verb.options.iter().flat_map(|used| used.options());
    options.map(|option| option.name).collect()
}

pub(super) fn file(text: &str) -> String {
    let names: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
    let mut lines = format!("_backupctl_verbs='{}'\n", names.join(" "));
    lines.push_str("\n# _backupctl_options VERB: the options that go with it.\n_backupctl_options() {\n    case $1 in\n");
    for verb in VERBS.iter().filter(|verb| !verb.options.is_empty()) {
        lines.push_str(&format!(
            "    {}) echo '{}' ;;\n",
            verb.name,
            options(verb).join(" ")
        ));
    }
    lines.push_str("    esac\n}\n");
    lines.push_str("\n# _backupctl_kind VERB WORD: the kind of the value that WORD needs, or `maybe` and the kind; nothing for no value.\n_backupctl_kind() {\n    case \"$1 $2\" in\n");
    for verb in VERBS {
        match verb.takes {
            Takes::One(value) => lines.push_str(&format!(
                "    '{0} {0}') echo {1} ;;\n",
                verb.name,
                kind(value)
            )),
            Takes::AtMostOne(value) => {
                lines.push_str(&format!(
                    "    '{0} {0}') echo maybe {1} ;;\n",
                    verb.name,
                    kind(value)
                ));
            }
            Takes::Nothing => {}
        }
        for option in verb.options.iter().flat_map(|used| used.options()) {
            if let Some(value) = option.takes.value() {
                lines.push_str(&format!(
                    "    '{} {}') echo {} ;;\n",
                    verb.name,
                    option.name,
                    kind(value)
                ));
            }
        }
    }
    lines.push_str("    esac\n}\n");
    replaced(
        text,
        "# Table of verbs: begin\n",
        "# Table of verbs: end\n",
        &lines,
    )
}
