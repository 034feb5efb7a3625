//! backupctl: the only thing on the host that Lightflow can reach.
#![forbid(unsafe_code)]
