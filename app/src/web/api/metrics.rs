//! Metrics in the text format of Prometheus (exposition format 0.0.4). Names follow its
//! conventions: a unit at the end, `_total` for counters, base units.

use crate::domain::lifecycle::{Run, RunState};
use crate::domain::mirror::Completeness;
use crate::engine::PoolState;
use crate::panics;
use crate::store::measure::{Measured, measure};
use crate::store::{self, PoolUse, StoreError, StoredTask, TaskFacts, Tx};
use crate::web::caller::Viewer;
use crate::web::error::ApiError;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::fmt::{Display, Write};
use std::fs;

/// One task with its newest facts.
struct TaskMetrics {
    task: StoredTask,
    /// Its newest run that is over and did run.
    last: Option<Run>,
    facts: TaskFacts,
}

/// Everything that is told, read in one transaction.
struct Read {
    tasks: Vec<TaskMetrics>,
    pools: Vec<PoolUse>,
    measured: Measured,
}

fn read(tx: &Tx<'_>) -> Result<Read, StoreError> {
    let mut facts = store::task_facts::all(tx)?;
    let of = |task: StoredTask| {
        Ok(TaskMetrics {
            last: store::runs::last_finished(tx, task.id)?,
            facts: facts.remove(&task.id).unwrap_or_default(),
            task,
        })
    };
    Ok(Read {
        tasks: store::tasks::list(tx)?
            .into_iter()
            .map(of)
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
        .next_fires(found.tasks.iter().map(|found| found.task.id).collect())
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
    for TaskMetrics { task, .. } in &found.tasks {
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
    text.family(
        "lightflow_database_writable",
        "gauge",
        "1 while the database can be written.",
    );
    let writable = app.store.obstacle().borrow().is_none();
    text.sample("lightflow_database_writable", &[], u8::from(writable));
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

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
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

    fn tasks(&mut self, tasks: &[TaskMetrics]) {
        type Of = fn(&TaskMetrics) -> Option<i64>;
        let families: [(&str, &str, Of); 11] = [
            (
                "lightflow_task_auto",
                "1 where the task follows its schedule.",
                |of| {
                    of.task
                        .task
                        .cron
                        .as_ref()
                        .map(|_| i64::from(of.task.task.auto))
                },
            ),
            (
                "lightflow_task_last_run_ok",
                "1 when the task's newest finished run did not fail.",
                |of| {
                    let run = of.last.as_ref()?;
                    let good = matches!(run.state, RunState::Success | RunState::Skipped);
                    Some(i64::from(good))
                },
            ),
            (
                "lightflow_task_last_run_timestamp_seconds",
                "When the task's newest finished run ended, Unix time.",
                |of| Some(of.last.as_ref()?.finished_at?.timestamp()),
            ),
            (
                "lightflow_task_last_run_duration_seconds",
                "How long the task's newest finished run took.",
                |of| {
                    let run = of.last.as_ref()?;
                    Some((run.finished_at? - run.started_at?).num_seconds())
                },
            ),
            (
                "lightflow_task_last_success_timestamp_seconds",
                "When the task last succeeded, Unix time.",
                |of| Some(of.facts.succeeded?.timestamp()),
            ),
            (
                "lightflow_task_archive_size_bytes",
                "Size of the newest archive that the task stored.",
                |of| i64::try_from(of.facts.bytes?).ok(),
            ),
            (
                "lightflow_task_mirror_complete_timestamp_seconds",
                "Time of which the mirror holds all data, Unix time; 0 before the first complete upload.",
                |of| match of.facts.mirror.as_ref()?.complete {
                    Completeness::Unknown => None,
                    Completeness::Never => Some(0),
                    Completeness::AsOf(time) => Some(time.timestamp()),
                },
            ),
            (
                "lightflow_task_proof_timestamp_seconds",
                "When a rehearsal last proved that a copy of the task's service can be restored, Unix time.",
                |of| Some(of.facts.proved.as_ref()?.at.timestamp()),
            ),
            (
                "lightflow_task_proven",
                "1 when the newest rehearsal of the task's service found no fault.",
                |of| Some(i64::from(of.facts.proof.as_ref()?.proven)),
            ),
            (
                "lightflow_task_mirror_size_bytes",
                "Bytes in the task's mirror.",
                |of| i64::try_from(of.facts.mirror.as_ref()?.bytes?).ok(),
            ),
            (
                "lightflow_task_mirror_left_bytes",
                "Bytes that the mirror of the task still lacks.",
                |of| i64::try_from(of.facts.mirror.as_ref()?.left_bytes?).ok(),
            ),
        ];
        for (name, help, of) in families {
            self.family(name, "gauge", help);
            for found in tasks {
                if let Some(value) = of(found) {
                    self.sample(name, &[("task", found.task.task.name.as_str())], value);
                }
            }
        }
        let name = "lightflow_task_downtime_seconds";
        self.family(name, "gauge", "How long the task's service was last down.");
        for found in tasks {
            if let Some(ms) = found.facts.down_ms {
                let labels = [("task", found.task.task.name.as_str())];
                self.sample(name, &labels, format!("{}.{:03}", ms / 1000, ms % 1000));
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
