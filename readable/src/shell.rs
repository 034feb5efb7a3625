//! One word of a command line.

/// The word as a POSIX shell reads it back: in quotes unless it is plain.
///
/// A word with `=` gets quotes: in front of a command it would be an assignment.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "+-./:@_".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::quoted;

    #[test]
    fn plain_words_stay_as_they_are() {
        for word in ["/etc/a-b.c", "user@host:22", "a+b_c"] {
            assert_eq!(quoted(word), word);
        }
    }

    #[test]
    fn a_shell_reads_each_word_back() {
        let words = [
            "",
            "a b",
            "/a b/$(x)'y",
            "A=b",
            "*",
            "~",
            "~/x",
            "#",
            "!",
            "\\",
            "\"",
            "`x`",
            "a\nb",
            "'",
            "''",
            "é",
            "{a,b}",
            "a;b",
            "&",
            "|",
            "<x",
            "[a]",
            "%1",
            "-",
        ];
        let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        for shell in ["sh", "bash"] {
            let script = format!("printf '%s\\0' {}", line.join(" "));
            let answer = Command::new(shell).args(["-c", &script]).output().unwrap();
            let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
            assert_eq!(String::from_utf8(answer.stdout).unwrap(), expected);
        }
        // As the name of a command such a word must not become an assignment.
        let script = format!("{} || echo none", quoted("A=b"));
        let answer = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(answer.stdout, b"none\n");
    }
}
