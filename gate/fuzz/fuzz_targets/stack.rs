//! See `backupctl::fuzzing::stack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::stack(bytes));
