//! The door of the runner: everything else is in the library.
#![forbid(unsafe_code)]

use lightflow::{cli, engine::supervisor};
use std::ffi::OsString;
use std::process::ExitCode;

/// Zig's musl, which releases are linked with, rounds every allocation up to a power of two and gives nothing back: a
/// browser that watches took half as much again. This one is the standard library's own where a platform has none.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    match args.as_slice() {
        // A first step waits for its supervisor, so nothing costly may come before it.
        [_, subcommand] if subcommand == supervisor::SUBCOMMAND => supervisor::main(),
        _ => cli::main(args),
    }
}
