//! The rules, without I/O: nothing here waits, reads a file or asks for the time.

pub mod address;
pub mod audit;
pub mod backup;
pub mod channel;
pub mod cron;
pub mod definition;
pub mod duplicate;
pub mod field;
pub mod figure;
pub mod lifecycle;
pub mod mirror;
pub mod names;
pub mod outcome;
pub mod overdue;
pub mod pool;
pub mod progress;
pub mod requirement;
pub mod schedule;
pub mod state;
pub mod step;
pub mod step_run;
pub mod target;
pub mod task;
pub mod variable;
pub mod variable_lines;
pub mod words;
