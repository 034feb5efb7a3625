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
mod api;
mod audit;
mod bad_input;
mod browser;
mod cli;
mod cron;
mod demo;
mod every_page;
mod first_process;
mod forms;
mod harness;
mod http;
mod libraries;
mod live_pages;
mod log_viewer;
mod notifications;
mod overview;
mod pages;
mod permissions;
mod proxy;
mod receivers;
mod recovery;
mod retry;
mod schedule;
mod script_pages;
mod security;
mod self_backup;
mod settings;
mod steps;
mod streams;
mod task_forms;
mod tutorial;
mod webdriver;
