//! Several variables as lines `KEY=VALUE`, as people keep them in a file.

use super::field::FieldError;
use super::names::VariableKey;

/// The variables of a text, in its order. Empty lines and lines that begin with `#` are left out; `export ` before a key
/// and quotes around a value are taken away.
///
/// # Errors
/// Names each line that is no variable, and each key that is there twice.
pub fn parse(text: &str) -> Result<Vec<(VariableKey, String)>, Vec<FieldError>> {
    let mut found: Vec<(VariableKey, String)> = Vec::new();
    let mut errors = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match variable(line) {
            Ok((key, _)) if found.iter().any(|(known, _)| *known == key) => {
                errors.push(format!("line {number}: {key} is there twice"));
            }
            Ok(variable) => found.push(variable),
            Err(problem) => errors.push(format!("line {number}: {problem}")),
        }
    }
    if found.is_empty() && errors.is_empty() {
        errors.push("has no line like KEY=VALUE".to_owned());
    }
    match errors.is_empty() {
        true => Ok(found),
        false => Err(vec![FieldError::new("lines", errors.join("; "))]),
    }
}

fn variable(line: &str) -> Result<(VariableKey, String), String> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (key, value) = line
        .split_once('=')
        .ok_or_else(|| format!("{line:?} is not KEY=VALUE"))?;
    let key = VariableKey::new(key.trim()).map_err(|error| error.problem)?;
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then(|| inner.to_owned())
    });
    Ok((key, quoted.unwrap_or_else(|| value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file_become_variables() {
        let text = "# backup\n\nBACKUP_HOST=a@b\nexport REMOTE = \"one drive\"\nEMPTY=\nOPTIONS='a=b \"c\"'\nODD=\"a\" \"b\"\n";
        let found: Vec<(String, String)> = parse(text)
            .unwrap()
            .into_iter()
            .map(|(key, value)| (key.to_string(), value))
            .collect();
        let expected = [
            ("BACKUP_HOST", "a@b"),
            ("REMOTE", "one drive"),
            ("EMPTY", ""),
            ("OPTIONS", "a=b \"c\""),
            ("ODD", "\"a\" \"b\""),
        ];
        assert_eq!(
            found,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn each_bad_line_is_named() {
        let error = parse("A=1\nno variable\n1B=2\nA=2").unwrap_err().remove(0);
        for line in ["line 2", "line 3", "line 4: A is there twice"] {
            assert!(error.problem.contains(line), "{error}");
        }
        assert!(parse("# nothing\n").is_err());
    }
}
