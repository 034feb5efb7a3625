//! Lightflow: a tiny task runner. Tasks are ordered steps with a CRON expression.
//!
//! The layers depend on each other in one direction; a test reads this list and the sources:
//!
//! `panics`, `faults`, `setting`, `zones` ← `blocking` ← `domain` ← `secrets`, `scripts`, `libraries` ← `store` ← `engine` ← `config`, `view` ← `notify` ← `web` ← `cli`
#![forbid(unsafe_code)]

pub mod blocking;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod faults;
pub mod libraries;
pub mod notify;
pub mod panics;
pub mod scripts;
pub mod secrets;
pub mod setting;
pub mod store;
pub mod view;
pub mod web;
pub mod zones;
