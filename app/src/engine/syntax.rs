//! Asks an interpreter if it can read a script, without running the script.

use crate::domain::names::ScriptName;
use crate::scripts::{Interpreter, Language};
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// Time limit of an interpreter.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most characters of its complaint that are kept.
const MOST_SAID: usize = 4000;

/// Reads the text from standard input and compiles it, which executes nothing.
const PYTHON: &str =
    "import sys; compile(sys.stdin.buffer.read(), sys.argv[1], 'exec', dont_inherit=True)";

/// The interpreter's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Syntax {
    /// It can read the script.
    Fine,
    /// It cannot read the script; these are its words.
    Wrong(String),
    /// There is no answer, for this reason.
    Unchecked(String),
}

/// Checks the syntax of a script.
pub async fn check(name: &ScriptName, bytes: &[u8]) -> Syntax {
    let Some(Interpreter {
        program, language, ..
    }) = Interpreter::of(name, bytes)
    else {
        return Syntax::Unchecked("its first line names no interpreter".to_owned());
    };
    let args: &[&str] = match language {
        Some(Language::Python) => &["-I", "-S", "-c", PYTHON, name.as_str()],
        Some(Language::Shell) => &["-n"],
        None => return Syntax::Unchecked(format!("{program} cannot check without running it")),
    };
    match timeout(PATIENCE, ask(&program, args, bytes)).await {
        Ok(Ok(None)) => Syntax::Fine,
        Ok(Ok(Some(said))) => Syntax::Wrong(short(&said)),
        Ok(Err(error)) => Syntax::Unchecked(format!("{program}: {error}")),
        Err(_) => Syntax::Unchecked(format!("{program} thought about it for too long")),
    }
}

/// The interpreter's complaint, if any.
async fn ask(program: &str, args: &[&str], bytes: &[u8]) -> io::Result<Option<String>> {
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", super::environment::PATH)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // One that has seen enough stops reading.
            let _ = stdin.write_all(bytes).await;
        }
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((!output.status.success()).then_some(said))
}

/// Without the frames of our own call, and not endless.
fn short(said: &str) -> String {
    let from = said
        .rfind("  File \"")
        .filter(|_| said.starts_with("Traceback"));
    let said = &said[from.unwrap_or(0)..];
    said.trim_end().chars().take(MOST_SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn checked(name: &str, text: &str) -> Syntax {
        check(&ScriptName::new(name).unwrap(), text.as_bytes()).await
    }

    #[tokio::test]
    async fn a_shell_says_where_it_stumbles_and_runs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let text = format!("touch {}\nif true; then\n", mark.display());
        let Syntax::Wrong(said) = checked("a.sh", &text).await else {
            panic!("it is wrong")
        };
        assert!(said.to_lowercase().contains("syntax error"), "{said}");
        assert!(!mark.exists());
        assert_eq!(checked("a.sh", "echo fine\n").await, Syntax::Fine);
    }

    #[tokio::test]
    async fn who_cannot_be_asked_does_not_say_no() {
        let text = "#!/no/such/python3\nx =";
        assert!(matches!(checked("a", text).await, Syntax::Unchecked(_)));
        assert!(matches!(checked("a.txt", "x").await, Syntax::Unchecked(_)));
    }
}
