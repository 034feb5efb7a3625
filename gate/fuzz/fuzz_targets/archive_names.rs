//! See `backupctl::fuzzing::archive_names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::archive_names(bytes));
