//! The door of backupctl-setup, also named podmanctl: everything else is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    setup::main()
}
