//! The reason why a program cannot be started, where the words of the system mislead.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of a file in which the kernel looks for its interpreter (execve(2)).
const HEAD: u64 = 256;

/// The error in words, of a step in the folder `dir`. A file that exists is never reported as missing.
pub(super) fn explain(program: &OsStr, dir: &Path, error: &io::Error) -> String {
    let plain = || error.to_string();
    // A name without a slash is looked up in PATH.
    if !program.as_bytes().contains(&b'/') {
        return match error.kind() {
            io::ErrorKind::NotFound => format!(
                "no program {program:?} in the folders of PATH; a script in the folder of scripts is started as ./{} or by its interpreter",
                Path::new(program).display()
            ),
            _ => plain(),
        };
    }
    let shown = Path::new(program).display();
    match (error.raw_os_error(), head(&dir.join(program))) {
        (_, Err(_)) => plain(),
        (Some(nix::libc::ENOENT), Ok(head)) => match interpreter(&head) {
            Some((name, true)) => format!(
                "the first line of {shown} ends like a line of Windows (CR LF), so its interpreter {name} is not found; save the file with line ends of Unix"
            ),
            Some((name, false)) => {
                format!("{shown} needs the interpreter {name}, which does not exist")
            }
            None => plain(),
        },
        (Some(nix::libc::ENOEXEC), Ok(_)) => format!(
            "{shown} does not say which program runs it; begin it with a line like #!/bin/sh, or name the interpreter as the command"
        ),
        (Some(nix::libc::EACCES), Ok(_)) => format!(
            "{shown} may not be executed; make it executable, or name its interpreter as the command"
        ),
        _ => plain(),
    }
}

fn head(program: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(program)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// The interpreter that a script names, and true if its line ends with CR.
fn interpreter(head: &[u8]) -> Option<(String, bool)> {
    let line = head
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    let name = line.split_whitespace().next()?.to_owned();
    Some((name, line.ends_with('\r')))
}
