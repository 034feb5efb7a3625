//! The files that steps execute. Those that were there before an upgrade become scripts without a question; other files
//! may hold the output of steps, and wait for an admin.

use crate::domain::names::ScriptName;
use std::path::Path;

/// Programs that execute the file in their first argument.
const INTERPRETERS: [&str; 12] = [
    "ash", "bash", "dash", "ksh", "lua", "node", "perl", "php", "ruby", "sh", "zsh", "Rscript",
];

/// The file in the folder of scripts that a command executes, if it names one.
#[must_use]
pub fn run_by(program: &str, args: &[String]) -> Option<ScriptName> {
    let base = Path::new(program).file_name()?.to_str()?;
    if !base.starts_with("python") && !INTERPRETERS.contains(&base) {
        return script(program);
    }
    script(args.iter().find(|arg| !arg.starts_with('-'))?)
}

/// The script that a word names: `x.py`, `./x.py`, `/scripts/x.py` and `/data/scripts/x.py`.
fn script(word: &str) -> Option<ScriptName> {
    let path = Path::new(word);
    let folder = path.parent()?;
    let ours =
        folder.as_os_str().is_empty() || folder == Path::new(".") || folder.ends_with("scripts");
    let name = path.file_name()?.to_str()?;
    ours.then(|| ScriptName::new(name).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_executed_file_is_named() {
        for (line, name) in [
            ("python3 backup.py --stop x", Some("backup.py")),
            ("python3 -u /scripts/backup.py", Some("backup.py")),
            ("/usr/bin/python3.13 ./a.py", Some("a.py")),
            ("/data/scripts/run.sh a b", Some("run.sh")),
            ("sh /elsewhere/run.sh", None),
            ("sh -c env>debug.txt", None),
            ("cat debug.txt", Some("cat")),
            ("python3 -m module", Some("module")),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let found = run_by(&words[0], &words[1..]);
            assert_eq!(found.as_ref().map(ScriptName::as_str), name, "{line}");
        }
    }
}
