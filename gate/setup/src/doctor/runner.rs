//! The way from the runner to the gate: its own key opens the account, and the gate answers.
//!
//! Invariant: the runner itself makes the test, so an old key that came back with a restored runner is found, although
//! the account's file of keys looks right.

use std::time::Duration;

use super::examination::Examination;
use super::finding::Finding;
use crate::install::runner_command;
use base::error::Failure;
use base::repair::quoted;
use host::Exit;

/// The runner waits twenty seconds for the host, and its queue may hold other steps.
const ASKING: Duration = Duration::from_secs(75);

/// A word of the test's first line.
const ASKED: &str = "backupctl --list";

/// The words of ssh when the account knows no key of the client.
const UNKNOWN_KEY: &str = "Permission denied (";

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    const HOP: &str = "runner";
    if !doctor.root {
        return doctor.tell(HOP, [Finding::skip("only root may ask the runner")]);
    }
    let Some(argv) = runner_command(&["connection", "test"]) else {
        let words = "the installer put no runner on this host";
        return doctor.tell(HOP, [Finding::skip(words)]);
    };
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let answer = doctor.ask("asking the runner", &argv, ASKING)?;
    let account = doctor.account.as_ref();
    let keys = account.and_then(|account| account.key_files.first().cloned());
    let finding = match answer {
        Err(reason) => Finding::skip(format!("the runner was not asked: {reason}")),
        Ok(ended) => judge(
            ended.exit,
            &String::from_utf8_lossy(&ended.stdout),
            &keys.unwrap_or_default(),
        ),
    };
    doctor.tell(HOP, [finding])
}

/// Judges the end and the log of the test. `keys` is the account's file of keys.
fn judge(exit: Exit, log: &str, keys: &str) -> Finding {
    match exit {
        Exit::Code(0) => Finding::ok("the runner reaches the gate with its own key"),
        Exit::Code(1) if log.contains(UNKNOWN_KEY) => Finding::fail(
            "the runner's key is none of those that the account accepts; a restored runner has an old one",
            vec![
                format!("sed -i '/ lightflow-appliance$/d' {}", quoted(keys)),
                "./install   # in the folder of the release; it gives the runner a new key".into(),
            ],
        ),
        Exit::Code(1) if log.contains(ASKED) => Finding::warn(
            "the runner does not reach the gate; the log of its test says why",
            vec!["# open the page Variables of the runner, and press Test the connection".into()],
        ),
        // No container, or a runner without this command.
        exit => Finding::skip(format!("the runner made no test: {exit}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn an_old_key_is_a_failure_and_a_silent_runner_is_not() {
        let log = "run 7 of scratch started\nasking ops@host for backupctl --list\n";
        let judged = |code, more: &str| {
            judge(
                Exit::Code(code),
                &format!("{log}{more}"),
                "/home/ops/.ssh/authorized_keys",
            )
        };
        assert_eq!(judged(0, "").verdict, Verdict::Ok);
        let old = judged(1, "ops@host: Permission denied (publickey).\n");
        assert_eq!(old.verdict, Verdict::Fail);
        assert!(
            old.fix[0].ends_with("/home/ops/.ssh/authorized_keys"),
            "{old:?}"
        );
        let silent = judged(1, "ssh: connect to host host port 22: Connection refused\n");
        assert_eq!(silent.verdict, Verdict::Warn);
        for (exit, said) in [
            (
                Exit::Code(2),
                "error: unrecognized subcommand 'connection'\n",
            ),
            (Exit::Code(125), "Error: no container with name lightflow\n"),
            (Exit::Signal(9), ""),
        ] {
            assert_eq!(judge(exit, said, "").verdict, Verdict::Skip, "{said}");
        }
    }
}
