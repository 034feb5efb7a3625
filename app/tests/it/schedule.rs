//! Fire times, with a clock that the test moves.

use crate::harness::{BINARY, Server, wait_for};
use chrono::{DateTime, TimeDelta, Utc};
use lightflow::domain::lifecycle::{Run, RunState, Trigger};
use lightflow::domain::task::{Task, TaskId};
use lightflow::engine::{Engine, Folders, LogStore, ManualClock, Parts};
use lightflow::secrets::SecretKey;
use lightflow::setting::Setting;
use lightflow::store::{self, RunQuery, Store};
use lightflow::view::TaskBody;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

struct World {
    clock: ManualClock,
    store: Store,
    engine: Engine,
    zone: Setting<lightflow::zones::Zone>,
    runtime: tokio::runtime::Runtime,
    dir: Arc<tempfile::TempDir>,
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl World {
    fn new(now: &str) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(dir.path().join("scripts")).unwrap();
        Self::on(dir, now)
    }

    fn on(dir: Arc<tempfile::TempDir>, now: &str) -> Self {
        Self::in_zone(dir, now, "UTC")
    }

    fn in_zone(dir: Arc<tempfile::TempDir>, now: &str, zone: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let clock = ManualClock::new(time(now));
        let zone = Setting::new(lightflow::zones::find(zone).unwrap(), None);
        let store = Store::open(&dir.path().join("lightflow.db")).unwrap();
        let parts = Parts {
            store: store.clone(),
            secrets: Arc::new(SecretKey::load_or_create(&dir.path().join("secret.key")).unwrap()),
            run_secrets: lightflow::engine::RunSecrets::default(),
            clock: Arc::new(clock.clone()),
            logs: LogStore::new(dir.path().join("logs"), 1 << 20),
            folders: Folders::new(dir.path()),
            libraries: lightflow::libraries::Libraries::new(dir.path().join("python-libs")),
            zone: zone.clone(),
            supervisors: lightflow::engine::Supervisors::new(BINARY.into(), dir.path()),
            grace: Duration::from_secs(1),
        };
        let engine = runtime.block_on(Engine::start(parts)).unwrap();
        Self {
            clock,
            store,
            engine,
            zone,
            runtime,
            dir,
        }
    }

    /// The machine is off until `now`.
    fn off_until(self, now: &str) -> Self {
        self.moved_until(now, "UTC")
    }

    /// The same, and the environment names another time zone then.
    fn moved_until(self, now: &str, zone: &str) -> Self {
        let dir = self.dir.clone();
        self.runtime.block_on(self.engine.shutdown());
        drop(self);
        Self::in_zone(dir, now, zone)
    }

    fn note(&self) -> String {
        self.engine
            .clock_note()
            .map_or_else(String::new, |note| note.text)
    }

    fn dues(&self) -> Vec<Option<DateTime<Utc>>> {
        self.runs().iter().map(|run| run.due).collect()
    }

    fn task(&self, now: &str, body: serde_json::Value) -> TaskId {
        let body: TaskBody = serde_json::from_value(body).unwrap();
        let task = Task::try_from(&body).unwrap();
        let now = time(now);
        let id = self
            .runtime
            .block_on(
                self.store
                    .write(move |tx| store::tasks::insert(tx, &task, now)),
            )
            .unwrap();
        self.runtime.block_on(self.engine.tasks_changed());
        id
    }

    fn runs(&self) -> Vec<Run> {
        let query = RunQuery {
            limit: 100,
            ..RunQuery::default()
        };
        let mut runs = self
            .runtime
            .block_on(self.store.read(move |tx| store::runs::list(tx, &query)))
            .unwrap();
        runs.reverse();
        runs
    }

    fn wait_runs(&self, number: usize) -> Vec<Run> {
        wait_for(&format!("{number} finished runs"), || {
            let runs = self.runs();
            (runs.len() >= number && runs.iter().all(|r| r.state.is_final())).then_some(runs)
        })
    }

    /// Lets everything happen that is to happen now.
    fn settle(&self) {
        self.runtime.block_on(self.engine.pools());
    }
}

fn daily(script: &str, on_missed: &str) -> serde_json::Value {
    json!({"name": "t", "cron": "0 3 * * *", "on_missed": on_missed,
        "steps": [{"name": "s", "command": "sh", "args": ["-c", script]}]})
}

#[test]
fn a_task_fires_at_its_time_and_once() {
    let world = World::new("2026-03-01T02:00:00Z");
    world.task("2026-03-01T02:00:00Z", daily("true", "run_once"));
    world.clock.set(time("2026-03-01T02:59:59Z"));
    world.settle();
    assert!(world.runs().is_empty());
    world.clock.set(time("2026-03-01T03:00:00Z"));
    let runs = world.wait_runs(1);
    assert_eq!(runs[0].trigger, Trigger::Schedule);
    assert_eq!(runs[0].due, Some(time("2026-03-01T03:00:00Z")));
    // The clock is set back an hour: the same fire time comes again and is not run again.
    world.clock.set(time("2026-03-01T02:30:00Z"));
    world.clock.set(time("2026-03-01T03:00:30Z"));
    world.settle();
    assert_eq!(world.runs().len(), 1);
    world.clock.set(time("2026-03-02T03:00:00Z"));
    assert_eq!(world.wait_runs(2).len(), 2);
}

#[test]
fn a_week_off_is_caught_up_once() {
    let world = World::new("2026-03-01T02:00:00Z");
    world.task("2026-03-01T02:00:00Z", daily("true", "run_once"));
    let world = world.off_until("2026-03-08T14:00:00Z");
    let runs = world.wait_runs(1);
    assert_eq!(runs[0].trigger, Trigger::CatchUp);
    assert_eq!(runs[0].due, Some(time("2026-03-08T03:00:00Z")));
    let world = world.off_until("2026-03-08T15:00:00Z");
    world.settle();
    assert_eq!(world.runs().len(), 1, "not again at the next start");
}

#[test]
fn a_task_that_says_skip_records_what_it_missed() {
    let world = World::new("2026-03-01T02:00:00Z");
    world.task("2026-03-01T02:00:00Z", daily("true", "skip"));
    let world = world.off_until("2026-03-08T14:00:00Z");
    let runs = world.wait_runs(1);
    assert_eq!(runs[0].state, RunState::Missed);
    assert!(runs[0].note.as_ref().unwrap().contains("skip"));
}

#[test]
fn a_fire_during_a_run_is_recorded_as_missed() {
    let world = World::new("2026-03-01T02:00:00Z");
    let gate = world.dir.path().join("gate");
    let script = format!("while ! test -e {}; do sleep 0.05; done", gate.display());
    world.task("2026-03-01T02:00:00Z", daily(&script, "run_once"));
    world.clock.set(time("2026-03-01T03:00:00Z"));
    wait_for("the run", || (world.runs().len() == 1).then_some(()));
    world.clock.set(time("2026-03-02T03:00:00Z"));
    let missed = wait_for("the missed one", || world.runs().get(1).cloned());
    assert_eq!(missed.state, RunState::Missed);
    assert!(
        missed
            .note
            .unwrap()
            .contains("run 1 of the task was still going on")
    );
    std::fs::write(gate, "").unwrap();
    world.wait_runs(2);
}

#[test]
fn a_task_without_auto_does_not_fire() {
    let world = World::new("2026-03-01T02:00:00Z");
    let mut body = daily("true", "run_once");
    body["auto"] = json!(false);
    world.task("2026-03-01T02:00:00Z", body);
    world
        .clock
        .set(time("2026-03-01T03:00:00Z") + TimeDelta::days(3));
    world.settle();
    assert!(world.runs().is_empty());
}

#[test]
fn both_clock_changes_fire_as_cron_does() {
    let world = World::new("2026-03-28T12:00:00Z");
    let mut body = daily("true", "run_once");
    body["cron"] = json!("30 2 * * *");
    body["zone"] = json!("Europe/Paris");
    world.task("2026-03-28T12:00:00Z", body);
    // 02:30 does not exist on 29 March: it runs right after the change, at 03:00.
    world.clock.set(time("2026-03-29T01:00:00Z"));
    assert_eq!(
        world.wait_runs(1)[0].due,
        Some(time("2026-03-29T01:00:00Z"))
    );
    world.clock.set(time("2026-10-24T12:00:00Z"));
    world.wait_runs(2);
    // 02:30 comes twice on 25 October: it runs the first time only.
    world.clock.set(time("2026-10-25T00:30:00Z"));
    assert_eq!(
        world.wait_runs(3)[2].due,
        Some(time("2026-10-25T00:30:00Z"))
    );
    world.clock.set(time("2026-10-25T01:30:00Z"));
    world.settle();
    assert_eq!(world.runs().len(), 3);
}

#[test]
fn another_zone_is_followed_from_then_on_and_makes_up_for_nothing() {
    let world = World::new("2026-03-01T04:00:00Z");
    world.task("2026-03-01T04:00:00Z", daily("true", "run_once"));
    // Three in the morning in New York is over, too; it was no fire time then.
    let now = time("2026-03-01T10:00:00Z");
    world.clock.set(now);
    let change = world
        .store
        .write(move |tx| store::tasks::change_zone(tx, now));
    world.runtime.block_on(change).unwrap();
    world
        .zone
        .set(Some(lightflow::zones::find("America/New_York").unwrap()));
    world.runtime.block_on(world.engine.tasks_changed());
    world.settle();
    assert!(world.runs().is_empty());
    world.clock.set(time("2026-03-02T03:00:00Z"));
    world.settle();
    assert!(world.runs().is_empty());
    world.clock.set(time("2026-03-02T08:00:00Z"));
    let runs = world.wait_runs(1);
    assert_eq!(runs[0].due, Some(time("2026-03-02T08:00:00Z")));
    assert_eq!(runs[0].trigger, Trigger::Schedule);
}

#[test]
fn a_catch_up_waits_for_what_a_crash_left_behind() {
    let world = World::new("2026-03-01T02:00:00Z");
    let gate = world.dir.path().join("gate");
    let body = json!({"name": "t", "cron": "0 3 * * *", "steps": [
        {"name": "sync", "command": "sleep", "args": ["60"]},
        {"name": "start", "command": "sh", "rule": "always",
            "args": ["-c", format!("while ! test -e {}; do sleep 0.02; done", gate.display())]},
    ]});
    world.task("2026-03-01T02:00:00Z", body);
    world.clock.set(time("2026-03-01T03:00:00Z"));
    wait_for("the run", || (world.runs().len() == 1).then_some(()));
    let world = world.off_until("2026-03-02T14:00:00Z");
    world.settle();
    // The recovered run is still in its always step; the fire of 2 March is not lost.
    assert_eq!(world.runs().len(), 1);
    std::fs::write(gate, "").unwrap();
    wait_for("the recovered run", || {
        (world.runs()[0].state == RunState::Interrupted).then_some(())
    });
    world.clock.set(time("2026-03-02T14:02:00Z"));
    let caught_up = wait_for("the catch-up", || world.runs().get(1).cloned());
    assert_eq!(caught_up.trigger, Trigger::CatchUp);
    assert_eq!(caught_up.due, Some(time("2026-03-02T03:00:00Z")));
}

#[test]
fn a_clock_set_right_after_years_ahead_does_not_silence_a_task() {
    let world = World::new("2036-01-01T02:00:00Z");
    world.task("2036-01-01T02:00:00Z", daily("true", "run_once"));
    world.clock.set(time("2036-01-01T03:00:00Z"));
    world.wait_runs(1);
    world.clock.set(time("2026-03-01T02:00:00Z"));
    let world = world.off_until("2026-03-01T02:30:00Z");
    world.clock.set(time("2026-03-01T03:00:00Z"));
    assert_eq!(
        world.wait_runs(2)[1].due,
        Some(time("2026-03-01T03:00:00Z"))
    );
}

fn cron(name: &str, cron: &str) -> serde_json::Value {
    json!({"name": name, "cron": cron, "steps": [{"name": "s", "command": "true"}]})
}

#[test]
fn a_clock_that_goes_back_an_hour_silences_wildcards_not_at_all_and_repeats_no_fixed_time() {
    let world = World::new("2026-03-01T09:50:00Z");
    let begin = "2026-03-01T09:50:00Z";
    let wild = world.task(begin, cron("wild", "*/30 * * * *"));
    let fixed = world.task(begin, cron("fixed", "0 10 * * *"));
    world.clock.set(time("2026-03-01T10:00:00Z"));
    world.wait_runs(2);
    world.clock.set(time("2026-03-01T10:30:00Z"));
    world.wait_runs(3);
    world.clock.set(time("2026-03-01T09:40:00Z"));
    wait_for("the note", || {
        world.note().contains("went back 50 min").then_some(())
    });
    world.clock.set(time("2026-03-01T10:00:00Z"));
    let runs = world.wait_runs(4);
    assert_eq!(runs[3].task, wild);
    assert_eq!(runs[3].due, Some(time("2026-03-01T10:00:00Z")));
    world.settle();
    assert_eq!(
        world.runs().iter().filter(|run| run.task == fixed).count(),
        1
    );
    // The run of the same time before the change keeps no fire time, and says why.
    let earlier = world
        .runs()
        .into_iter()
        .find(|run| run.task == wild)
        .unwrap();
    assert_eq!(
        (earlier.due, earlier.note.as_deref()),
        (None, Some("after it the clock went back"))
    );
}

#[test]
fn a_clock_that_was_hours_ahead_is_followed_by_all_tasks_at_once() {
    let world = World::new("2026-03-01T09:00:00Z");
    world.task("2026-03-01T09:00:00Z", cron("t", "0 10 * * *"));
    world.clock.set(time("2026-03-01T10:00:00Z"));
    world.wait_runs(1);
    world.clock.set(time("2026-03-01T04:00:00Z"));
    wait_for("the note", || {
        world.note().contains("went back 6 h").then_some(())
    });
    world.clock.set(time("2026-03-01T10:00:00Z"));
    assert_eq!(
        world.wait_runs(2)[1].due,
        Some(time("2026-03-01T10:00:00Z"))
    );
}

#[test]
fn a_clock_that_was_ahead_while_the_runner_was_off_is_followed_too() {
    let world = World::new("2026-03-01T09:50:00Z");
    world.task("2026-03-01T09:50:00Z", cron("t", "*/30 * * * *"));
    world.clock.set(time("2026-03-01T10:00:00Z"));
    world.wait_runs(1);
    let world = world.off_until("2026-03-01T02:10:00Z");
    assert!(world.note().contains("went back 7 h"), "{}", world.note());
    world.clock.set(time("2026-03-01T02:30:00Z"));
    assert_eq!(
        world.wait_runs(2)[1].due,
        Some(time("2026-03-01T02:30:00Z"))
    );
}

#[test]
fn a_start_in_1970_follows_no_schedule_and_makes_up_for_nothing_that_ran() {
    let world = World::new("2026-03-01T02:00:00Z");
    world.task("2026-03-01T02:00:00Z", daily("true", "run_once"));
    world.task("2026-03-01T02:00:00Z", cron("wild", "*/5 * * * *"));
    world.clock.set(time("2026-03-01T03:00:00Z"));
    let before = world.wait_runs(2).len();
    let world = world.off_until("1970-01-01T00:00:10Z");
    world.settle();
    assert!(
        world.note().contains("clock shows 1970-01-01"),
        "{}",
        world.note()
    );
    world.clock.jump(time("2026-03-01T03:02:00Z"));
    wait_for("the note", || {
        world.note().contains("followed again").then_some(())
    });
    world.settle();
    assert_eq!(world.runs().len(), before, "{:?}", world.dues());
    world.clock.set(time("2026-03-01T03:05:00Z"));
    assert_eq!(
        world.wait_runs(before + 1)[before].due,
        Some(time("2026-03-01T03:05:00Z"))
    );
}

#[test]
fn a_correction_of_a_wrong_correction_repeats_nothing() {
    let world = World::new("2026-03-01T02:00:00Z");
    world.task("2026-03-01T02:00:00Z", daily("true", "run_once"));
    world.clock.set(time("2026-03-01T03:00:00Z"));
    world.wait_runs(1);
    world.clock.set(time("2026-02-20T00:00:00Z"));
    wait_for("the note", || {
        world.note().contains("went back 9 days").then_some(())
    });
    world.clock.jump(time("2026-03-01T03:10:00Z"));
    wait_for("the note", || {
        world.note().contains("forward").then_some(())
    });
    world.settle();
    assert_eq!(world.runs().len(), 1, "{:?}", world.dues());
    world.clock.set(time("2026-03-02T03:00:00Z"));
    world.wait_runs(2);
}

#[test]
fn a_fixed_time_that_a_small_correction_skips_runs_at_once_and_is_not_missed() {
    let world = World::new("2026-03-01T02:50:00Z");
    world.task("2026-03-01T02:50:00Z", daily("true", "skip"));
    world.clock.jump(time("2026-03-01T04:10:00Z"));
    let runs = world.wait_runs(1);
    assert_eq!(
        (runs[0].state, runs[0].trigger),
        (RunState::Success, Trigger::Schedule)
    );
}

#[test]
fn another_zone_in_the_environment_makes_up_for_nothing_and_is_said() {
    let world = World::new("2026-03-01T04:00:00Z");
    world.task("2026-03-01T04:00:00Z", daily("true", "run_once"));
    // Three in the morning in New York is over; in UTC it was dealt with before the task was made.
    let world = world.moved_until("2026-03-01T10:00:00Z", "America/New_York");
    world.settle();
    assert!(world.runs().is_empty(), "{:?}", world.dues());
    assert!(
        world.note().contains("was UTC and is America/New_York"),
        "{}",
        world.note()
    );
    let world = world.moved_until("2026-03-01T10:05:00Z", "America/New_York");
    assert_eq!(world.note(), "");
    world.clock.set(time("2026-03-02T08:00:00Z"));
    assert_eq!(
        world.wait_runs(1)[0].due,
        Some(time("2026-03-02T08:00:00Z"))
    );
}

#[test]
fn a_lost_clock_is_said_on_the_overview_and_in_the_log() {
    let server = Server::start();
    server.shell_task("t", &[("s", "true", json!({}))]);
    let server = server.restart_after(|data| {
        let sql = "UPDATE tasks SET scheduled_through = (unixepoch() + 200000) * 1000";
        let done = std::process::Command::new("sqlite3")
            .arg(data.join("lightflow.db"))
            .arg(sql)
            .status();
        assert!(done.unwrap().success());
    });
    let said = "No schedule is followed until the clock is set";
    assert!(server.get("/").expect(200).text().contains(said));
    assert!(server.log().contains(said));
}
