//! A command of the administrator, for one service.
//!
//! Invariant: no shell reads it, and its program is an absolute path.

use serde::Deserialize;

/// A program by absolute path, and its arguments. There is no shell that could read them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// Program and arguments.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for CommandLine {
    type Error = String;
    fn try_from(argv: Vec<String>) -> Result<Self, String> {
        match argv.first() {
            None => Err("an empty list; name a program".into()),
            Some(program) if !program.starts_with('/') => {
                Err(format!("'{program}' is not an absolute path of a program"))
            }
            Some(_) if argv.iter().any(|word| word.chars().any(char::is_control)) => {
                Err("an argument holds a control character".into())
            }
            Some(_) => Ok(Self(argv)),
        }
    }
}
