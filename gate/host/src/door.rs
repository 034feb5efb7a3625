//! The first statements of a program of the gate: its hidden entry, or a hardened start.
//!
//! Invariant: no word of the caller is understood before the environment, the descriptors and the limits are safe.

use std::ffi::OsString;
use std::process::ExitCode;

use base::error::ExitStatus;
use base::reply::{Reply, Stream};
use privilege::hardening::{Surroundings, harden};

use crate::program;

/// Becomes another program at the hidden entry; else hardens this process, and runs `command` with its arguments. `name` is
/// the program's name in messages.
pub fn door(
    name: &str,
    arguments: &[OsString],
    command: impl FnOnce(&[OsString], &Surroundings, Reply) -> u8,
) -> ExitCode {
    let mut reply = Reply::default();
    // The second instance, on its way to becoming another program; see `program`.
    if let Some((first, rest)) = arguments.split_first()
        && first == program::ENTRY
    {
        reply.line(Stream::Err, &program::enter(rest));
        let code = u8::try_from(program::EXIT_PREPARE);
        return ExitCode::from(code.unwrap_or(ExitStatus::Internal.code()));
    }
    ExitCode::from(match harden() {
        Ok(surroundings) => command(arguments, &surroundings, reply),
        Err(error) => {
            reply.line(Stream::Err, &format!("{name}: {error}"));
            ExitStatus::Internal.code()
        }
    })
}
