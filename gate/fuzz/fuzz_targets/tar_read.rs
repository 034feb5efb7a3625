//! See `backupctl::fuzzing::tar_read`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::tar_read(bytes));
