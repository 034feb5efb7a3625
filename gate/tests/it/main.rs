//! The gate from outside: the real binary, real programs, a real sshd where there is one.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail like a test"
)]

mod actions;
mod aftermath;
mod archives;
mod archiving;
mod asking;
mod attributes;
mod capture;
mod capture_ends;
mod circles;
mod circumstances;
mod cli;
mod completions;
mod compliance;
mod confinement;
mod corpus;
mod crowd;
mod dead_disk;
mod doctor;
mod ending;
mod foreign;
mod from_mirror;
mod generated;
mod hanging;
mod hardening;
mod harness;
mod huge_files;
mod image_file;
mod in_place;
mod inspection;
mod killing;
mod lease;
mod links;
mod manual;
mod mirrors;
mod naming;
mod night;
mod night_checks;
mod one_file;
mod one_process;
mod outages;
mod overview;
mod podman;
mod privileges;
mod profile;
mod programs;
mod proofs;
mod pruning;
mod race;
mod ready;
mod refusals;
mod rehearsal;
mod remotes;
mod restore;
mod restore_script;
mod retention;
mod room;
mod second_stop;
mod setup;
mod start_test;
mod stopping;
mod tidy;
mod token;
mod trace;
mod upload_turns;
mod uploads;
mod verify;
mod victims;
mod write_probe;
