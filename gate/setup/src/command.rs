//! The command line of `backupctl-setup`, and the way to its other two jobs: `podmanctl`, by its name, and the check of a
//! database, by its hidden entry.
//!
//! Invariant: each line has one verb; an unknown word is refused before the host is examined.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use base::error::ExitStatus;
use base::reply::{Reply, Stream};
use host::audit::Audit;
use host::caller::{Caller, Door};
use host::door::door;
use privilege::hardening::Surroundings;

use crate::doctor;
use crate::install::{self, Verb};

const HELP: &str = "\
backupctl-setup --install [OPTIONS]
backupctl-setup --uninstall [--dry-run]
backupctl-setup --doctor [--json]
backupctl-setup --completions bash|zsh|fish

backupctl hands these verbs over to this program; see backupctl(8).
--install --help lists the options of an installation.

--config FILE before --doctor names another configuration than
/etc/backupctl/backupctl.toml.";

/// The second name of the program.
const PODMANCTL: &str = "podmanctl";

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        // A child process of the gate that reads a database.
        Some((first, rest)) if first == database::ENTRY => inspect(rest),
        // A child process of the gate that starts a service on a copy.
        Some((first, _)) if first == stack::rehearsal::ENTRY => stack::rehearsal::main(&arguments),
        _ if is_podmanctl() => stack::podmanctl::main(),
        _ => setup(&arguments),
    }
}

/// True if the caller used the second name, or a link that leads to it.
fn is_podmanctl() -> bool {
    let called = std::env::args_os().next().map(PathBuf::from);
    let started = std::fs::read_link("/proc/self/exe").ok();
    let mut names = [called, started].into_iter().flatten();
    names.any(|path| path.file_name().is_some_and(|name| name == PODMANCTL))
}

fn inspect(words: &[OsString]) -> ExitCode {
    let (code, lines) = database::inspect(words);
    let mut reply = Reply::default();
    lines.iter().for_each(|line| reply.line(Stream::Out, line));
    ExitCode::from(code)
}

fn setup(arguments: &[OsString]) -> ExitCode {
    door("backupctl", arguments, |arguments, surroundings, reply| {
        command(arguments, surroundings, reply).code()
    })
}

fn command(arguments: &[OsString], surroundings: &Surroundings, mut reply: Reply) -> ExitStatus {
    let caller = Caller::new(Door::Host, surroundings);
    let installer = |verb, words: &[OsString], reply| {
        install::command(verb, words, &Audit::new(caller.facts()), reply)
    };
    let (config, rest) = match arguments {
        [option, file, rest @ ..] if option == "--config" => (Some(PathBuf::from(file)), rest),
        all => (None, all),
    };
    match rest {
        _ if config.is_some() && rest.first().is_some_and(|word| word != "--doctor") => {
            usage(reply)
        }
        [word, words @ ..] if word == "--install" => installer(Verb::Install, words, reply),
        [word, words @ ..] if word == "--uninstall" => installer(Verb::Uninstall, words, reply),
        [word] if word == "--doctor" => doctor::command(config, false, &caller, reply),
        [word, json] if word == "--doctor" && json == "--json" => {
            doctor::command(config, true, &caller, reply)
        }
        [word, shell] if word == "--completions" => completions(shell, reply),
        [word] if word == "--help" => {
            HELP.lines().for_each(|line| reply.line(Stream::Out, line));
            ExitStatus::Done
        }
        [word] if word == "--version" => {
            let words = concat!("backupctl-setup ", env!("CARGO_PKG_VERSION"));
            reply.line(Stream::Out, words);
            ExitStatus::Done
        }
        _ => usage(reply),
    }
}

/// Prints the script that a shell reads to complete this program's arguments.
fn completions(shell: &OsString, mut reply: Reply) -> ExitStatus {
    let script = match shell.to_str() {
        Some("bash") => include_str!("../../completions/backupctl.bash"),
        Some("zsh") => include_str!("../../completions/_backupctl"),
        Some("fish") => include_str!("../../completions/backupctl.fish"),
        _ => {
            let words = "backupctl: --completions is for bash, zsh or fish";
            reply.line(Stream::Err, words);
            return ExitStatus::Usage;
        }
    };
    script
        .lines()
        .for_each(|line| reply.line(Stream::Out, line));
    ExitStatus::Done
}

fn usage(mut reply: Reply) -> ExitStatus {
    HELP.lines().for_each(|line| reply.line(Stream::Err, line));
    ExitStatus::Usage
}
