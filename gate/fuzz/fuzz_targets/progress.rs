//! See `backupctl::fuzzing::progress`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::progress(bytes));
