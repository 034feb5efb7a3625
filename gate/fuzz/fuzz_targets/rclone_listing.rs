//! See `backupctl::fuzzing::rclone_listing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| backupctl::fuzzing::rclone_listing(bytes));
