//! Metrics in the text format of Prometheus (exposition format 0.0.4). Names follow its
//! conventions: a unit at the end, `_total` for counters, base units.

use crate::domain::lifecycle::{Run, RunState};
use crate::engine::PoolState;
use crate::panics;
use crate::store::measure::{Measured, measure};
use crate::store::{self, PoolUse, RunQuery, StoreError, StoredTask, Tx};
use crate::web::caller::Viewer;
use crate::web::error::ApiError;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::fs;

/// Runs of a task in which its last success is looked for.
const LOOKED_AT: u32 = 50;

/// Everything that is told, read in one transaction.
struct Read {
    tasks: Vec<(StoredTask, Vec<Run>)>,
    pools: Vec<PoolUse>,
    measured: Measured,
}

fn read(tx: &Tx<'_>) -> Result<Read, StoreError> {
    let runs = |task: StoredTask| {
        let query = RunQuery {
            task: Some(task.id),
            limit: LOOKED_AT,
            ..RunQuery::default()
        };
        Ok((task, store::runs::list(tx, &query)?))
    };
    Ok(Read {
        tasks: store::tasks::list(tx)?
            .into_iter()
            .map(runs)
            .collect::<Result<_, StoreError>>()?,
        pools: store::pools::list(tx)?,
        measured: measure(tx)?,
    })
}

/// Metrics in the text format of Prometheus.
pub(super) async fn metrics(app: Viewer) -> Result<Response, ApiError> {
    let found = app.store.read(read).await?;
    let next = app
        .engine
        .next_fires(found.tasks.iter().map(|(task, _)| task.id).collect())
        .await;
    let states = app.engine.pools().await;
    let mut text = MetricsText::default();
    let version = env!("CARGO_PKG_VERSION");
    let commit = crate::web::COMMIT;
    text.family("lightflow_build_info", "gauge", "What runs here; always 1.");
    text.sample(
        "lightflow_build_info",
        &[("version", version), ("commit", commit)],
        1,
    );
    text.tasks(&found.tasks);
    text.family(
        "lightflow_task_next_run_timestamp_seconds",
        "gauge",
        "When the task fires next by itself, Unix time.",
    );
    for (task, _) in &found.tasks {
        if let Some(time) = next.get(&task.id) {
            let name = task.task.name.as_str();
            text.sample(
                "lightflow_task_next_run_timestamp_seconds",
                &[("task", name)],
                time.timestamp(),
            );
        }
    }
    text.counts(&found.measured);
    text.family(
        "lightflow_pool_slots",
        "gauge",
        "Steps of the pool that may run at once.",
    );
    for stored in &found.pools {
        let pool = [("pool", stored.pool.name.as_str())];
        text.sample(
            "lightflow_pool_slots",
            &pool,
            i64::from(stored.pool.slots.get()),
        );
    }
    let pools = |text: &mut MetricsText, name, of: fn(&PoolState) -> usize| {
        for (pool, state) in &states {
            text.sample(name, &[("pool", pool.as_str())], of(state) as i64);
        }
    };
    text.family(
        "lightflow_pool_running",
        "gauge",
        "Steps that hold a slot of the pool.",
    );
    pools(&mut text, "lightflow_pool_running", |state| {
        state.holders.len()
    });
    text.family(
        "lightflow_pool_waiting",
        "gauge",
        "Steps that wait for a slot of the pool.",
    );
    pools(&mut text, "lightflow_pool_waiting", |state| {
        state.waiting.len()
    });
    text.family(
        "lightflow_panics_total",
        "counter",
        "Panics since the start: each one is a fault of the program.",
    );
    let panics = i64::try_from(panics::count()).unwrap_or(i64::MAX);
    text.sample("lightflow_panics_total", &[], panics);
    text.process(app.started_at.timestamp());
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text.0).into_response())
}

/// The text so far.
#[derive(Default)]
struct MetricsText(String);

impl MetricsText {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        let escape = |text: &str| {
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
        };
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escape(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn tasks(&mut self, tasks: &[(StoredTask, Vec<Run>)]) {
        type Of = fn(&StoredTask, &[Run]) -> Option<i64>;
        let families: [(&str, &str, Of); 5] = [
            (
                "lightflow_task_auto",
                "1 where the task follows its schedule.",
                |task, _| task.task.cron.as_ref().map(|_| i64::from(task.task.auto)),
            ),
            (
                "lightflow_task_last_run_ok",
                "1 when the task's newest finished run did not fail.",
                |_, runs| {
                    let run = last(runs)?;
                    let good = matches!(run.state, RunState::Success | RunState::Skipped);
                    Some(i64::from(good))
                },
            ),
            (
                "lightflow_task_last_run_timestamp_seconds",
                "When the task's newest finished run ended, Unix time.",
                |_, runs| Some(last(runs)?.finished_at?.timestamp()),
            ),
            (
                "lightflow_task_last_run_duration_seconds",
                "How long the task's newest finished run took.",
                |_, runs| {
                    let run = last(runs)?;
                    Some((run.finished_at? - run.started_at?).num_seconds())
                },
            ),
            (
                "lightflow_task_last_success_timestamp_seconds",
                "When the task last succeeded, Unix time.",
                |_, runs| {
                    let good = runs.iter().find(|run| run.state == RunState::Success)?;
                    Some(good.finished_at?.timestamp())
                },
            ),
        ];
        for (name, help, of) in families {
            self.family(name, "gauge", help);
            for (task, runs) in tasks {
                if let Some(value) = of(task, runs) {
                    self.sample(name, &[("task", task.task.name.as_str())], value);
                }
            }
        }
    }

    fn counts(&mut self, measured: &Measured) {
        self.family(
            "lightflow_runs_finished_total",
            "counter",
            "Runs that ended, by task and result.",
        );
        for (task, state, count) in &measured.finished {
            let labels = [("task", task.as_str()), ("state", state.as_str())];
            self.sample("lightflow_runs_finished_total", &labels, *count);
        }
        self.family(
            "lightflow_runs_active",
            "gauge",
            "Runs that are queued or running.",
        );
        for wanted in ["queued", "running"] {
            let found = measured.active.iter().find(|(state, _)| state == wanted);
            let count = found.map_or(0, |(_, count)| *count);
            self.sample("lightflow_runs_active", &[("state", wanted)], count);
        }
        self.family(
            "lightflow_notifications_waiting",
            "gauge",
            "Notifications that wait to be sent.",
        );
        self.sample(
            "lightflow_notifications_waiting",
            &[],
            measured.notifications,
        );
        self.family(
            "lightflow_database_size_bytes",
            "gauge",
            "Size of the database.",
        );
        self.sample("lightflow_database_size_bytes", &[], measured.bytes);
    }

    /// What every process tells Prometheus, under the names that its client libraries use.
    fn process(&mut self, started_at: i64) {
        let memory = || {
            let status = fs::read_to_string("/proc/self/status").ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024)
        };
        let open = || i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok();
        for (name, help, value) in [
            (
                "process_start_time_seconds",
                "When the process started, Unix time.",
                Some(started_at),
            ),
            (
                "process_resident_memory_bytes",
                "Resident memory.",
                memory(),
            ),
            ("process_open_fds", "Open file descriptors.", open()),
        ] {
            if let Some(value) = value {
                self.family(name, "gauge", help);
                self.sample(name, &[], value);
            }
        }
    }
}

/// The newest finished run.
fn last(runs: &[Run]) -> Option<&Run> {
    runs.iter().find(|run| run.state.is_final())
}
