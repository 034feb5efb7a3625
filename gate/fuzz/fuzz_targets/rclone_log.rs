//! See `backupctl::fuzzing::rclone_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::rclone_log(bytes));
