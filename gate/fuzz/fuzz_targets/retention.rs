//! See `backupctl::fuzzing::retention`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::retention(bytes));
