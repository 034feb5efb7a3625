//! `docs/manual/cli.md`: the help of every command as one page of the manual. `BLESS=1 cargo nextest run reference` writes it.

use super::{address, root};
use clap::Command;
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "# Command line\n\n\
    Every command but `serve`, `demo`, `cron`, `snapshot` and `completions` talks to a server. On the host it uses the socket in the data\n\
    directory; root and the server's own user need no password. From elsewhere, set `LIGHTFLOW_URL` and `LIGHTFLOW_TOKEN`.\n";

/// The help of `command` and of all commands below, with `name` in front.
fn describe(command: &Command, name: &str, page: &mut String) {
    let below: Vec<&Command> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .collect();
    let hidden = address::hiding(address::ALL, command.clone());
    let help = hidden.bin_name(name).term_width(100).render_help();
    let help = help.to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let level = "#".repeat(name.split(' ').count().min(3));
    let _ = write!(
        page,
        "\n{level} {name}\n\n```text\n{}\n```\n",
        lines.join("\n")
    );
    for one in below {
        describe(one, &format!("{name} {}", one.get_name()), page);
    }
}

#[test]
fn the_reference_of_commands_is_current() {
    let mut page = HEAD.to_owned();
    for command in root().get_subcommands() {
        if !command.is_hide_set() && command.get_name() != "help" {
            describe(
                command,
                &format!("lightflow {}", command.get_name()),
                &mut page,
            );
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manual/cli.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let present = std::fs::read_to_string(&path).unwrap();
    assert!(
        present == page,
        "docs/manual/cli.md is old; write it anew: BLESS=1 cargo nextest run -p lightflow reference"
    );
}
