//! The door of podmanctl: everything else is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    stack::podmanctl::main()
}
