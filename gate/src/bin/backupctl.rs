//! The door of the gate: everything else is in the library.
#![forbid(unsafe_code)]

fn main() {}
