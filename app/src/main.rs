//! The door of the runner: everything else is in the library.
#![forbid(unsafe_code)]

fn main() {}
