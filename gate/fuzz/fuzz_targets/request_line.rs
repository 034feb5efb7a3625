//! See `backupctl::fuzzing::request_line`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::request_line(bytes));
