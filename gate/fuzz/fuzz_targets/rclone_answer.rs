//! See `backupctl::fuzzing::rclone_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::rclone_answer(bytes));
