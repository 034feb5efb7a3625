//! A line as words, as a POSIX shell splits it: quotes and backslashes work, nothing is expanded, and `#` is a letter like
//! any other, so that no argument vanishes as a comment.

/// The words of a line; none where a quote is open or a backslash ends it.
#[must_use]
pub fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => single(&mut letters, word.get_or_insert_default())?,
            '"' => double(&mut letters, word.get_or_insert_default())?,
            // A backslash before the end of a line joins the lines (POSIX, 2.2.1).
            '\\' => match letters.next()? {
                '\n' => {}
                escaped => word.get_or_insert_default().push(escaped),
            },
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Some(words)
}

fn single(letters: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match letters.next()? {
            '\'' => return Some(()),
            letter => word.push(letter),
        }
    }
}

fn double(letters: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match letters.next()? {
            '"' => return Some(()),
            // Only before these a backslash escapes (POSIX, 2.2.3).
            '\\' => match letters.next()? {
                '\n' => {}
                letter @ ('$' | '`' | '"' | '\\') => word.push(letter),
                letter => word.extend(['\\', letter]),
            },
            letter => word.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn an_argument_that_begins_with_a_hash_stays() {
        let words = split("notify.py --channel #ops 'a b' x#y\n--last \"#\"").unwrap();
        assert_eq!(
            words,
            [
                "notify.py",
                "--channel",
                "#ops",
                "a b",
                "x#y",
                "--last",
                "#"
            ]
        );
    }

    #[test]
    fn an_open_end_is_refused() {
        for line in ["'a", "\"a", "\"a\\", "a\\"] {
            assert_eq!(split(line), None, "{line}");
        }
        assert_eq!(split(" \n\t "), Some(vec![]));
        assert_eq!(split("'' \"\""), Some(vec![String::new(), String::new()]));
    }

    #[test]
    fn a_shell_splits_alike() {
        for line in [
            r#"a 'b c' "d e" f\ g"#,
            r#""\$\`\"\\ \n" '\'"#,
            "a\\\nb c",
            "\"a\\\nb\" ''x",
        ] {
            let script = format!("printf '%s\\0' {line}");
            let answer = Command::new("sh").args(["-c", &script]).output().unwrap();
            let expected: String = split(line)
                .unwrap()
                .iter()
                .map(|word| format!("{word}\0"))
                .collect();
            assert_eq!(
                String::from_utf8(answer.stdout).unwrap(),
                expected,
                "{line}"
            );
        }
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("\\PC*", 0..5)) {
            let line: Vec<String> = words.iter().map(|word| readable::quoted(word)).collect();
            prop_assert_eq!(split(&line.join(" ")), Some(words));
        }
    }
}
