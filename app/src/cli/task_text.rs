//! Tasks in words.

use super::moment::Here;
use super::output::Out;
use super::run_text::{boxes, state};
use super::table::Table;
use crate::view::{Args, RunView, StepBody, TaskView};
use readable::quoted;

/// Tasks, one a line.
pub(super) fn list(out: &Out, here: &Here, tasks: &[TaskView]) -> String {
    let mut table = Table::new(&["TASK", "CRON", "AUTO", "NEXT", "LAST RUN"], 0);
    for view in tasks {
        table.row(vec![
            view.task.name.clone(),
            view.task.cron.clone().unwrap_or_else(|| "-".to_owned()),
            match (&view.task.cron, view.task.auto) {
                (None, _) => "-",
                (Some(_), true) => "on",
                (Some(_), false) => "off",
            }
            .to_owned(),
            view.next_fire
                .as_deref()
                .map_or_else(|| "-".to_owned(), |at| here.short(at)),
            view.last_run
                .as_ref()
                .map_or_else(|| "-".to_owned(), |run| last(out, here, run)),
        ]);
    }
    table.render(out.width(), 0)
}

fn last(out: &Out, here: &Here, run: &RunView) -> String {
    let at = run.started_at.as_ref().unwrap_or(&run.created_at);
    let boxes = boxes(out, run);
    let shown = if boxes.is_empty() {
        state(out, &run.state)
    } else {
        boxes
    };
    format!("{shown} {}", here.age(at))
}

/// One task with its steps.
pub(super) fn show(out: &Out, here: &Here, view: &TaskView) -> String {
    let task = &view.task;
    let mut text = format!("{}\n", task.name);
    let mut fact = |name: &str, value: String| text.push_str(&format!("  {name:<9} {value}\n"));
    match &task.cron {
        None => fact("cron", "none: it runs on demand only".to_owned()),
        Some(cron) => {
            let zone = task.zone.as_deref().unwrap_or("the server's zone");
            fact("cron", format!("{cron} ({zone})"));
        }
    }
    if let Some(schedule) = &view.schedule {
        fact("", schedule.clone());
    }
    if task.cron.is_some() {
        fact("auto", if task.auto { "on" } else { "off" }.to_owned());
        fact(
            "missed",
            match task.on_missed.as_str() {
                "run_once" => "fires missed while the machine was off run once".to_owned(),
                _ => "fires missed while the machine was off are skipped".to_owned(),
            },
        );
    }
    if let Some(next) = &view.next_fire {
        fact("next", here.full(next));
    }
    fact("pool", task.pool.clone());
    if let (Some(runs), Some(days)) = (task.keep_runs, task.keep_days) {
        fact("keeps", format!("{runs} runs, {days} days"));
    }
    if let Some(run) = &view.last_run {
        let at = run.started_at.as_ref().unwrap_or(&run.created_at);
        fact(
            "last run",
            format!("{}: {}, {}", run.id, state(out, &run.state), here.full(at)),
        );
    }
    let mut table = Table::new(&["#", "STEP", "RULE", "TIMEOUT", "COMMAND"], 4).right(&[0, 3]);
    for (number, step) in (1..).zip(&task.steps) {
        let number: u32 = number;
        table.row(vec![
            number.to_string(),
            step.name.clone(),
            step.rule.clone(),
            format!("{} s", step.timeout),
            command_line(step),
        ]);
    }
    text.push('\n');
    text.push_str(&table.render(out.width(), 2));
    for step in &task.steps {
        let more = more(step);
        if !more.is_empty() {
            text.push_str(&format!("  {}: {}\n", step.name, more.join(", ")));
        }
    }
    text
}

/// The rarer fields of a step.
fn more(step: &StepBody) -> Vec<String> {
    let mut more = Vec::new();
    if step.retries > 0 {
        let times = if step.retries == 1 {
            "retry"
        } else {
            "retries"
        };
        more.push(format!(
            "{} {times} after {} s",
            step.retries, step.retry_delay
        ));
    }
    if step.may_fail {
        more.push("may fail".to_owned());
    }
    if let Some(dir) = &step.working_dir {
        more.push(format!("in {dir}"));
    }
    more.extend(
        step.env
            .iter()
            .map(|(key, value)| format!("{key}={}", on_one_line(value))),
    );
    more
}

/// The command as one would type it.
pub(super) fn command_line(step: &StepBody) -> String {
    let mut words = vec![on_one_line(&step.command)];
    match &step.args {
        Args::List(args) => words.extend(args.iter().map(|arg| on_one_line(arg))),
        Args::Line(line) => words.push(line.clone()),
    }
    words.join(" ")
}

/// A word on one line, for reading.
fn on_one_line(word: &str) -> String {
    quoted(word).replace('\n', "\\n")
}
