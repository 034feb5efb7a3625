//! Steps that start an interpreter without a script: `python3` with the arguments of a script whose name was left out.
//! The interpreter takes them for options of its own, and the first run is red.

use crate::domain::field::FieldError;
use crate::view::{Args, StepBody, TaskBody};

/// Long options of bash (bash(1), OPTIONS).
const OF_BASH: &[&str] = &[
    "--debugger",
    "--dump-po-strings",
    "--dump-strings",
    "--help",
    "--init-file",
    "--login",
    "--noediting",
    "--noprofile",
    "--norc",
    "--posix",
    "--pretty-print",
    "--rcfile",
    "--restricted",
    "--verbose",
    "--version",
];
/// Long options of Python (docs.python.org, "Command line and environment").
const OF_PYTHON: &[&str] = &[
    "--check-hash-based-pycs",
    "--help",
    "--help-all",
    "--help-env",
    "--help-xoptions",
    "--version",
];

/// The refusals of all steps.
pub(super) fn check(task: &TaskBody) -> Vec<FieldError> {
    let problem = |(index, step): (usize, &StepBody)| {
        Some(FieldError::new(
            format!("steps[{index}].args"),
            problem(step)?,
        ))
    };
    task.steps.iter().enumerate().filter_map(problem).collect()
}

fn problem(step: &StepBody) -> Option<String> {
    let Args::List(args) = &step.args else {
        return None;
    };
    let program = step.command.rsplit('/').next().unwrap_or_default();
    let (options, example) = match program {
        "bash" => (OF_BASH, "backup.sh"),
        "sh" | "dash" | "ash" => (&[] as &[&str], "backup.sh"),
        python if python.starts_with("python") => (OF_PYTHON, "backup.py"),
        _ => return None,
    };
    let Some(first) = args.first() else {
        return Some(format!(
            "is empty, so {program} runs nothing; name the script first, for example {example}"
        ));
    };
    let name = first.split('=').next().unwrap_or_default();
    let foreign = name.len() > 2 && name.starts_with("--") && !options.contains(&name);
    foreign.then(|| {
        format!(
            "{program} has no option {name}; name the script first, for example {example} {first}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(command: &str, args: &[&str]) -> bool {
        let step = StepBody {
            command: command.to_owned(),
            args: Args::List(args.iter().map(|arg| (*arg).to_owned()).collect()),
            ..StepBody::default()
        };
        problem(&step).is_some()
    }

    #[test]
    fn a_missing_script_is_noticed_and_nothing_else() {
        assert!(refused("python3", &["--stop", "vaultwarden"]));
        assert!(refused("/usr/bin/python3.13", &[]));
        assert!(refused("sh", &["--sync", "x"]));
        for (command, args) in [
            ("python3", &["backup.py", "--stop", "x"] as &[&str]),
            ("python3", &["-c", "print()"]),
            ("python3", &["--version"]),
            ("bash", &["--norc", "x.sh"]),
            ("bash", &["--", "x.sh"]),
            ("rsync", &["--archive"]),
            ("sh", &["-c", "true"]),
        ] {
            assert!(!refused(command, args), "{command} {args:?}");
        }
    }
}
