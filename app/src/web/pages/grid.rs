//! The grid: columns are runs, newest right; rows are steps; a box is a colour and a shape.

use super::{lasted, shown};
use crate::domain::lifecycle::{Run, RunState, StepRun, StepState};
use crate::zones::Zone;

/// A colour with the shape that says the same to those who cannot tell the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Class in the style sheet.
    pub(super) class: &'static str,
    /// The shape.
    pub(super) shape: &'static str,
    /// The state in words.
    pub(super) word: &'static str,
}

/// The mark of a box.
pub(super) fn step_mark(step: &StepRun) -> Mark {
    let (class, shape, word) = match step.state {
        StepState::Pending => ("grey", "·", "pending"),
        StepState::Queued => ("blue", "…", "waits for a slot"),
        StepState::Running => ("blue", "▶", "running"),
        StepState::Retrying => ("blue", "↻", "waits to try again"),
        StepState::Success => ("green", "✓", "success"),
        StepState::Skipped => ("grey", "–", "skipped"),
        StepState::Failed if step.step.may_fail => ("amber", "▲", "failed, as it may"),
        StepState::Failed => ("red", "✕", "failed"),
        StepState::NotRun => ("grey", "·", "not run"),
        StepState::Cancelled => ("red", "■", "cancelled"),
        StepState::Interrupted => ("red", "!", "interrupted"),
    };
    Mark { class, shape, word }
}

/// The mark of a run.
pub(super) fn run_mark(state: RunState) -> Mark {
    let (class, shape, word) = match state {
        RunState::Queued => ("blue", "…", "queued"),
        RunState::Running => ("blue", "▶", "running"),
        RunState::Success => ("green", "✓", "success"),
        RunState::Failed => ("red", "✕", "failed"),
        RunState::Skipped => ("grey", "–", "skipped"),
        RunState::Cancelled => ("red", "■", "cancelled"),
        RunState::Interrupted => ("red", "!", "interrupted"),
        RunState::Missed => ("grey", "○", "missed"),
    };
    Mark { class, shape, word }
}

/// One box, or the head of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) mark: Mark,
    pub(super) href: String,
    /// State, times and reason, for pointer, keyboard and screen reader.
    pub(super) label: String,
}

/// One step across all shown runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GridRow {
    pub(super) name: String,
    /// One for each column; none where that run had no such step.
    pub(super) cells: Vec<Option<Cell>>,
}

/// The whole grid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) columns: Vec<Cell>,
    pub(super) rows: Vec<GridRow>,
}

impl Grid {
    /// The grid of `runs` (newest first, as the store gives them); rows are the task's
    /// present `steps`, then those that only older runs had.
    pub(super) fn new(steps: &[String], runs: &[Run], zone: Zone) -> Self {
        let mut names: Vec<String> = steps.to_vec();
        for step in runs.iter().flat_map(|run| &run.steps) {
            if !names.iter().any(|name| name == step.step.name.as_str()) {
                names.push(step.step.name.to_string());
            }
        }
        let oldest_first: Vec<&Run> = runs.iter().rev().collect();
        Self {
            columns: oldest_first.iter().map(|run| column(run, zone)).collect(),
            rows: names
                .into_iter()
                .map(|name| GridRow {
                    cells: oldest_first
                        .iter()
                        .map(|run| cell(run, &name, zone))
                        .collect(),
                    name,
                })
                .collect(),
        }
    }
}

fn column(run: &Run, zone: Zone) -> Cell {
    let mark = run_mark(run.state);
    let when = run.due.unwrap_or(run.created_at);
    let note = run
        .note
        .as_ref()
        .map(|n| format!(": {n}"))
        .unwrap_or_default();
    Cell {
        mark,
        href: format!("/runs/{}", run.id.0),
        label: format!(
            "run {}, {}, {}{note}",
            run.id.0,
            shown(when, zone),
            mark.word
        ),
    }
}

fn cell(run: &Run, name: &str, zone: Zone) -> Option<Cell> {
    let (position, step) = (0usize..)
        .zip(&run.steps)
        .find(|(_, step)| step.step.name.as_str() == name)?;
    Some(Cell {
        mark: step_mark(step),
        href: format!("/runs/{}?step={}#log", run.id.0, position + 1),
        label: format!("{name}, run {}: {}", run.id.0, describe(step, zone)),
    })
}

/// A box in words.
fn describe(step: &StepRun, zone: Zone) -> String {
    let mut text = step_mark(step).word.to_owned();
    let coded = step
        .reason
        .as_ref()
        .is_some_and(|r| r.contains("exit code"));
    if let Some(code) = step.exit_code.filter(|_| !coded) {
        text.push_str(&format!(", exit code {code}"));
    }
    if let Some(started) = step.started_at {
        text.push_str(&format!(", started {}", shown(started, zone)));
        if let Some(finished) = step.finished_at {
            text.push_str(&format!(", took {}", lasted(started, finished)));
        }
    }
    if let Some(reason) = &step.reason {
        text.push_str(&format!(", {reason}"));
    }
    text
}
