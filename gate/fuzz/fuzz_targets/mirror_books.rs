//! See `backupctl::fuzzing::mirror_books`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::mirror_books(bytes));
