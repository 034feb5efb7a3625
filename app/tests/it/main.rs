//! Everything that is tried from outside, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod about;
mod access;
mod access_pages;
mod accounts;
mod all_runs;
mod api;
mod api_edges;
mod audit;
mod bad_input;
mod browser;
mod cli;
mod cron;
mod cross_site;
mod data_safety;
mod demo;
mod downloads;
mod every_page;
mod first_process;
mod first_visit;
mod floods;
mod forms;
mod full_disk;
mod harness;
mod headers;
mod http;
mod idle_clients;
mod libraries;
mod like_chromium;
mod live_pages;
mod log_viewer;
mod lost_edits;
mod manual;
mod markup;
mod narrow;
mod newcomer;
mod notifications;
mod outbox;
mod overview;
mod pages;
mod panics;
mod paths;
mod people;
mod permissions;
mod promises;
mod proxy;
mod ranges;
mod receivers;
mod recovery;
mod rehearsals;
mod repair;
mod retry;
mod schedule;
mod script_pages;
mod secrecy;
mod self_backup;
mod session_theft;
mod settings;
mod step_logs;
mod steps;
mod streams;
mod task_forms;
mod tour;
mod tutorial;
mod unwritable;
mod upgrade;
mod viewers;
mod warnings;
mod webdriver;
mod world;
