//! The program that runs a script: by its first line, else by the end of its name.

use crate::domain::names::ScriptName;

/// Languages with a syntax check that runs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python 3.
    Python,
    /// A shell of POSIX: sh, dash, bash and the like.
    Shell,
}

/// The program that runs a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Its name, looked up in PATH, or its path.
    pub program: String,
    /// Its arguments before the script.
    pub args: Vec<String>,
    /// Its language, where it is one of those that can be checked.
    pub language: Option<Language>,
}

impl Interpreter {
    /// The interpreter of a script; none where neither its text nor its name tells.
    pub fn of(name: &ScriptName, bytes: &[u8]) -> Option<Self> {
        let mut words = first_line(bytes).or_else(|| by_name(name))?.into_iter();
        let program = words.next()?;
        let language = match program.rsplit('/').next().unwrap_or_default() {
            python if python.starts_with("python") => Some(Language::Python),
            "sh" | "dash" | "bash" | "ash" | "ksh" => Some(Language::Shell),
            _ => None,
        };
        Some(Self {
            program,
            args: words.collect(),
            language,
        })
    }
}

/// The program of `#!` (execve(2)), past `env` and its options, then its arguments.
fn first_line(bytes: &[u8]) -> Option<Vec<String>> {
    let line = bytes.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let first = words.first()?;
    if first.rsplit('/').next() != Some("env") {
        return Some(words);
    }
    let of_env = |word: &&String| word.starts_with('-') || word.contains('=');
    let past = 1 + words[1..].iter().take_while(of_env).count();
    Some(words[past..].to_vec())
}

fn by_name(name: &ScriptName) -> Option<Vec<String>> {
    let (_, end) = name.as_str().rsplit_once('.')?;
    match end {
        "py" => Some(vec!["python3".to_owned()]),
        "sh" => Some(vec!["sh".to_owned()]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_wins_over_the_name() {
        let of = |name: &str, text: &str| {
            let found = Interpreter::of(&ScriptName::new(name).unwrap(), text.as_bytes());
            found.map(|i| (i.program, i.args.join(" "), i.language))
        };
        let found = |line: &str, language| {
            let (program, args) = line.split_once(' ').unwrap_or((line, ""));
            Some((program.to_owned(), args.to_owned(), language))
        };
        let python = Some(Language::Python);
        assert_eq!(
            of("a", "#!/usr/bin/env python3\n"),
            found("python3", python)
        );
        assert_eq!(
            of("a", "#!/usr/bin/env -S X=1 python3.12 -u"),
            found("python3.12 -u", python)
        );
        assert_eq!(
            of("a.py", "#!/bin/bash -e\n"),
            found("/bin/bash -e", Some(Language::Shell))
        );
        assert_eq!(of("a.py", "print()"), found("python3", python));
        assert_eq!(of("a", "#!/usr/bin/perl\n"), found("/usr/bin/perl", None));
        assert_eq!(of("a.txt", "words"), None);
        assert_eq!(of("a", "#!\n"), None);
    }
}
