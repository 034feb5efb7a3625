use super::*;
use crate::domain::lifecycle::{Event, Run, RunId, Trigger};
use crate::domain::names::{PoolName, StepName, TaskName};
use crate::domain::outcome::Outcome;
use crate::domain::pool::Pool;
use crate::domain::step::{Command, Retry, RunRule, Step, timeout};
use crate::domain::task::{MissedPolicy, Retention, Steps, Task, TaskId};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn task(name: &str) -> Task {
    let step = |name: &str, rule| Step {
        name: StepName::new(name).unwrap(),
        command: Command::new("python3", vec!["a b".into(), "ü\"".into()]).unwrap(),
        rule,
        timeout_s: timeout(30).unwrap(),
        retry: Retry::new(1, 5).unwrap(),
        may_fail: false,
        env: BTreeMap::from([(
            crate::domain::names::VariableKey::new("A").unwrap(),
            "1".into(),
        )]),
        working_dir: Some("sub".into()),
    };
    Task {
        name: TaskName::new(name).unwrap(),
        cron: Some("0 3 * * *".parse().unwrap()),
        zone: Some(crate::zones::find("Europe/Paris").unwrap()),
        pool: PoolName::default_pool(),
        auto: true,
        on_missed: MissedPolicy::Skip,
        retention: Retention::new(2, 30).unwrap(),
        steps: Steps::new(vec![
            step("stop", RunRule::OnSuccess),
            step("start", RunRule::Always),
        ])
        .unwrap(),
    }
}

struct World {
    store: Store,
    _dir: tempfile::TempDir,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("lightflow.db")).unwrap();
    World { store, _dir: dir }
}

fn finished(id: i64, task: TaskId, now: DateTime<Utc>) -> Run {
    let name = TaskName::new("t").unwrap();
    let mut run = Run::new(RunId(id), task, name, vec![], Trigger::Manual, None, now);
    let _ = run.apply(Event::Created, now);
    run
}

#[tokio::test]
async fn a_task_reads_back_as_it_was_written() {
    let w = world();
    let id = w
        .store
        .write(|tx| tasks::insert(tx, &task("t"), time(0)))
        .await
        .unwrap();
    let back = w.store.read(move |tx| tasks::get(tx, id)).await.unwrap();
    assert_eq!(back.task, task("t"));
    let same = w.store.read(|tx| tasks::by_name(tx, "t")).await.unwrap();
    assert_eq!(same, back);
}

#[tokio::test]
async fn names_are_unique_and_pools_must_exist() {
    let w = world();
    w.store
        .write(|tx| tasks::insert(tx, &task("t"), time(0)))
        .await
        .unwrap();
    let twice = w
        .store
        .write(|tx| tasks::insert(tx, &task("t"), time(0)))
        .await;
    assert!(matches!(
        twice,
        Err(StoreError::Duplicate { what: "task", .. })
    ));
    let nowhere = w
        .store
        .write(|tx| {
            let mut t = task("u");
            t.pool = PoolName::new("nowhere").unwrap();
            tasks::insert(tx, &t, time(0))
        })
        .await;
    assert!(matches!(nowhere, Err(StoreError::UnknownPool { .. })));
}

#[tokio::test]
async fn a_fire_time_is_claimed_once_and_never_backwards() {
    let w = world();
    let id = w
        .store
        .write(|tx| tasks::insert(tx, &task("t"), time(0)))
        .await
        .unwrap();
    let claim = |at| w.store.write(move |tx| tasks::claim(tx, id, time(at)));
    claim(60).await.unwrap();
    assert!(matches!(claim(60).await, Err(StoreError::AlreadyClaimed)));
    assert!(matches!(claim(30).await, Err(StoreError::AlreadyClaimed)));
    claim(120).await.unwrap();
}

#[tokio::test]
async fn switching_auto_on_catches_nothing_up() {
    let w = world();
    let id = w
        .store
        .write(|tx| tasks::insert(tx, &task("t"), time(0)))
        .await
        .unwrap();
    w.store
        .write(move |tx| tasks::set_auto(tx, id, false, time(10)))
        .await
        .unwrap();
    assert!(w.store.read(tasks::fires).await.unwrap().is_empty());
    w.store
        .write(move |tx| tasks::set_auto(tx, id, true, time(9999)))
        .await
        .unwrap();
    assert_eq!(
        w.store.read(tasks::fires).await.unwrap()[0].scheduled_through,
        time(9999)
    );
}

#[tokio::test]
async fn a_run_reads_back_in_every_state_it_goes_through() {
    let w = world();
    let id = w
        .store
        .write(|tx| tasks::insert(tx, &task("t"), time(0)))
        .await
        .unwrap();
    let steps = task("t").steps().to_vec();
    let mut run = Run::new(
        RunId(1),
        id,
        TaskName::new("t").unwrap(),
        steps,
        Trigger::Schedule,
        Some(time(1)),
        time(2),
    );
    let _ = run.apply(Event::Created, time(2));
    let first = run.clone();
    w.store
        .write(move |tx| runs::insert(tx, &first))
        .await
        .unwrap();
    let events = [
        Event::SlotGranted(0),
        Event::Ended(0, Outcome::Exited(3)),
        Event::RetryDue(0),
        Event::SlotGranted(0),
        Event::Ended(0, Outcome::Exited(3)),
        Event::SlotGranted(1),
        Event::Ended(1, Outcome::Exited(0)),
    ];
    for event in events {
        let _ = run.apply(event, time(3));
        let now = run.clone();
        w.store.write(move |tx| runs::save(tx, &now)).await.unwrap();
        let back = w.store.read(|tx| runs::get(tx, RunId(1))).await.unwrap();
        assert_eq!(back, run);
    }
    assert!(w.store.read(runs::unfinished).await.unwrap().is_empty());
    let again = run.clone();
    let twice = w
        .store
        .write(move |tx| {
            runs::insert(
                tx,
                &Run {
                    id: RunId(2),
                    ..again
                },
            )
        })
        .await;
    assert!(
        matches!(twice, Err(StoreError::AlreadyClaimed)),
        "one run per fire time"
    );
}

#[tokio::test]
async fn retention_keeps_the_newest_and_numbers_never_come_back() {
    let w = world();
    let id = w
        .store
        .write(|tx| tasks::insert(tx, &task("t"), time(0)))
        .await
        .unwrap();
    for n in 1..=5 {
        let run = finished(n, id, time(n));
        w.store
            .write(move |tx| runs::insert(tx, &run))
            .await
            .unwrap();
    }
    let keep = Retention::new(2, 30).unwrap();
    let mut gone = w
        .store
        .write(move |tx| retention::prune(tx, id, keep, time(6)))
        .await
        .unwrap();
    gone.sort_unstable();
    assert_eq!(gone, [1, 2, 3]);
    let much_later = time(6) + TimeDelta::days(400);
    let gone = w
        .store
        .write(move |tx| retention::prune(tx, id, keep, much_later))
        .await
        .unwrap();
    assert_eq!(gone, [4], "the newest stays however old it is");
    w.store
        .write(move |tx| tasks::delete(tx, id))
        .await
        .unwrap();
    assert_eq!(w.store.read(runs::last_id).await.unwrap(), RunId(5));
}

#[tokio::test]
async fn missed_fires_push_out_no_run_with_a_log() {
    let w = world();
    let id = w
        .store
        .write(|tx| tasks::insert(tx, &task("t"), time(0)))
        .await
        .unwrap();
    let real = finished(1, id, time(1));
    w.store
        .write(move |tx| runs::insert(tx, &real))
        .await
        .unwrap();
    for n in 2..=9 {
        let name = TaskName::new("t").unwrap();
        let missed = Run::missed(RunId(n), id, name, time(n), "busy".into(), time(n));
        w.store
            .write(move |tx| runs::insert(tx, &missed))
            .await
            .unwrap();
    }
    let keep = Retention::new(2, 30).unwrap();
    let gone = w
        .store
        .write(move |tx| retention::prune(tx, id, keep, time(10)))
        .await
        .unwrap();
    assert_eq!(gone.len(), 6);
    assert!(!gone.contains(&1));
}

#[tokio::test]
async fn a_pool_in_use_stays() {
    let w = world();
    let name = PoolName::new("backup").unwrap();
    let pool = Pool::new(name.clone(), 1).unwrap();
    w.store
        .write(move |tx| pools::insert(tx, &pool))
        .await
        .unwrap();
    w.store
        .write(|tx| {
            let mut t = task("t");
            t.pool = PoolName::new("backup").unwrap();
            tasks::insert(tx, &t, time(0))
        })
        .await
        .unwrap();
    let kept = name.clone();
    let refused = w
        .store
        .write(move |tx| pools::delete(tx, &kept))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("1 task"), "{refused}");
    let default = w
        .store
        .write(|tx| pools::delete(tx, &PoolName::default_pool()))
        .await;
    assert!(matches!(default, Err(StoreError::InUse(_))));
}

#[tokio::test]
async fn a_failed_write_changes_nothing() {
    let w = world();
    let failed: Result<(), _> = w
        .store
        .write(|tx| {
            tasks::insert(tx, &task("t"), time(0))?;
            Err(StoreError::AlreadyClaimed)
        })
        .await;
    assert!(failed.is_err());
    assert!(w.store.read(tasks::list).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_reader_cannot_write() {
    let w = world();
    let refused: Result<(), _> = w
        .store
        .read(|tx| pools::insert(tx, &Pool::new(PoolName::new("x").unwrap(), 1).unwrap()))
        .await;
    assert!(refused.is_err());
}

#[test]
fn the_bundled_sqlite_has_no_wal_reset_corruption() {
    let version: Vec<u32> = rusqlite::version()
        .split('.')
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(version >= vec![3, 51, 3], "{}", rusqlite::version());
}

fn open_error(prepare: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lightflow.db");
    prepare(&path);
    Store::open(&path).map(|_| ()).unwrap_err().to_string()
}

#[tokio::test]
async fn after_a_fault_of_the_disk_the_next_change_empties_the_log_of_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lightflow.db");
    let store = Store::open(&path).unwrap();
    let log = || {
        std::fs::metadata(dir.path().join("lightflow.db-wal"))
            .unwrap()
            .len()
    };
    let change = |tx: &Tx<'_>| {
        pauses::paused(tx).map(|_| drop(tx.0.execute("UPDATE tasks SET paused = 0", [])))
    };
    store.write(change).await.unwrap();
    assert!(log() > 0);
    for code in [
        rusqlite::ffi::SQLITE_IOERR_FSYNC,
        rusqlite::ffi::SQLITE_FULL,
    ] {
        let fault = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let failed = store.write(move |_| Err::<(), _>(fault.into())).await;
        assert!(failed.unwrap_err().is_of_the_disk());
        store.write(change).await.unwrap();
        assert_eq!(log(), 0);
    }
}

#[test]
fn a_database_from_the_future_is_refused() {
    let error = open_error(|path| {
        drop(Store::open(path).unwrap());
        let db = Connection::open(path).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
    });
    assert!(error.contains("version 99"), "{error}");
    assert!(error.contains("newer lightflow"), "{error}");
}

#[test]
fn garbage_is_refused_and_left_alone() {
    let garbage = vec![7u8; 8192];
    let error = open_error(|path| std::fs::write(path, &garbage).unwrap());
    assert!(error.contains("not a database"), "{error}");
}

#[test]
fn the_database_of_another_program_is_refused() {
    let error = open_error(|path| {
        Connection::open(path)
            .unwrap()
            .execute_batch("CREATE TABLE t (a)")
            .unwrap();
    });
    assert!(error.contains("another program"), "{error}");
}

#[test]
fn a_snapshot_opens_like_the_original() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("lightflow.db");
    let to = dir.path().join("backup/copy.db");
    let _live = Store::open(&from).unwrap();
    snapshot::write(&from, &to).unwrap();
    Store::open(&to).unwrap();
}

#[tokio::test]
async fn a_kept_statement_is_not_planned_again_for_another_value() {
    let world = world();
    let again = world.store.read(|tx| {
        let mut statement = tx.0.prepare_cached(
            "SELECT id FROM runs INDEXED BY runs_unfinished WHERE task_id = ?1 AND state IN ('queued', 'running')",
        )?;
        for task in 1..=3 {
            statement.exists([task])?;
        }
        Ok(statement.get_status(rusqlite::StatementStatus::RePrepare))
    });
    assert_eq!(again.await.unwrap(), 0);
}
