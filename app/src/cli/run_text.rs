//! Runs and boxes in words, and with their colours where the terminal has them.

use super::moment::{Here, took};
use super::output::Out;
use super::table::{Table, cut};
use crate::view::{RunView, StepRunView};

/// Columns that the boxes of a run may take in a list; a box takes two.
const MOST_BOXES: usize = 17;

/// The coloured box of a state.
fn symbol(state: &str) -> &'static str {
    match state {
        "success" => "🟩",
        "failed" | "interrupted" => "🟥",
        "cancelled" => "🟧",
        "skipped" | "missed" | "not_run" => "⬜",
        "running" | "retrying" => "🟦",
        _ => "⬛",
    }
}

/// The coloured box of a step: amber after a failure that the task allows.
fn step_symbol(step: &StepRunView) -> &'static str {
    if failed_as_allowed(step) {
        return "🟨";
    }
    symbol(&step.state)
}

fn failed_as_allowed(step: &StepRunView) -> bool {
    step.step.may_fail && step.state == "failed"
}

/// The state of a step as people read it.
fn step_word(step: &StepRunView) -> String {
    if failed_as_allowed(step) {
        return "failed (may fail)".to_owned();
    }
    word(&step.state)
}

/// The state of a step with its box where there are colours.
fn step_state(out: &Out, step: &StepRunView) -> String {
    if out.symbols() {
        format!("{} {}", step_symbol(step), step_word(step))
    } else {
        step_word(step)
    }
}

/// The state as people read it.
fn word(state: &str) -> String {
    state.replace('_', " ")
}

/// A state with its box where there are colours.
pub(super) fn state(out: &Out, state: &str) -> String {
    if out.symbols() {
        format!("{} {}", symbol(state), word(state))
    } else {
        word(state)
    }
}

/// The boxes of a run in one cell; nothing without colours.
pub(super) fn boxes(out: &Out, run: &RunView) -> String {
    if !out.symbols() {
        return String::new();
    }
    let boxes: String = run.steps.iter().map(step_symbol).collect();
    cut(&boxes, MOST_BOXES)
}

/// Runs, one a line.
pub(super) fn list(out: &Out, here: &Here, runs: &[RunView]) -> String {
    let mut table = Table::new(
        &["ID", "TASK", "STATE", "STARTED", "TOOK", "WHY", "STEPS"],
        1,
    )
    .right(&[0]);
    for run in runs {
        let started = run.started_at.as_ref().unwrap_or(&run.created_at);
        table.row(vec![
            run.id.to_string(),
            run.task.clone(),
            state(out, &run.state),
            format!("{} ({})", here.short(started), here.age(started)),
            duration(here, run.started_at.as_deref(), run.duration_ms),
            word(&run.trigger),
            boxes(out, run),
        ]);
    }
    table.render(out.width(), 0)
}

fn duration(here: &Here, started: Option<&str>, ended: Option<i64>) -> String {
    ended
        .or_else(|| started.and_then(|started| here.since_ms(started)))
        .map_or_else(String::new, took)
}

/// One run with its boxes.
pub(super) fn show(out: &Out, here: &Here, run: &RunView) -> String {
    let mut text = format!(
        "run {} of {}: {}\n",
        run.id,
        run.task,
        state(out, &run.state)
    );
    let mut fact = |name: &str, value: String| text.push_str(&format!("  {name:<9} {value}\n"));
    fact("trigger", word(&run.trigger));
    if let Some(due) = &run.due {
        fact("due", here.full(due));
    }
    fact("created", here.full(&run.created_at));
    if let Some(started) = &run.started_at {
        fact("started", here.full(started));
    }
    if let Some(finished) = &run.finished_at {
        fact("finished", here.full(finished));
    }
    if let Some(ms) = run.duration_ms {
        fact("took", took(ms));
    }
    if let Some(note) = &run.note {
        fact("note", note.clone());
    }
    if !run.steps.is_empty() {
        let mut table = Table::new(&["#", "STEP", "STATE", "TOOK", "WHY"], 4).right(&[0]);
        for step in &run.steps {
            table.row(vec![
                (step.position + 1).to_string(),
                step.step.name.clone(),
                step_state(out, step),
                duration(here, step.started_at.as_deref(), step.duration_ms),
                why(step),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render(out.width(), 2));
        for step in &run.steps {
            for warning in &step.warnings {
                let (name, subject) = (&step.step.name, &warning.subject);
                text.push_str(&format!(
                    "  {name}: warning: {subject}: {}\n",
                    warning.message
                ));
            }
        }
    }
    text
}

/// The note beside a box.
fn why(step: &StepRunView) -> String {
    let mut parts: Vec<String> = step.reason.iter().cloned().collect();
    if step.attempt > step.step.retries + 1 {
        // A crash does not count.
        parts.push(format!("attempt {}", step.attempt));
    } else if step.attempt > 1 {
        parts.push(format!(
            "attempt {} of {}",
            step.attempt,
            step.step.retries + 1
        ));
    }
    parts.join(", ")
}

/// The line with which a step ends when it is followed.
pub(super) fn result_line(out: &Out, step: &StepRunView) -> String {
    let mut line = if out.symbols() {
        format!(
            "{} {}: {}",
            step_symbol(step),
            step.step.name,
            step_word(step)
        )
    } else {
        format!("{}: {}", step.step.name, step_word(step))
    };
    if let Some(ms) = step.duration_ms {
        line.push_str(&format!(" in {}", took(ms)));
    }
    let why = why(step);
    if !why.is_empty() {
        line.push_str(&format!(" ({why})"));
    }
    line
}

/// The line with which a run ends when it is followed.
pub(super) fn summary(out: &Out, run: &RunView) -> String {
    let mut line = format!("run {} of {}: {}", run.id, run.task, state(out, &run.state));
    if let Some(ms) = run.duration_ms {
        line.push_str(&format!(" in {}", took(ms)));
    }
    if let Some(note) = &run.note {
        line.push_str(&format!(" ({note})"));
    }
    line
}
