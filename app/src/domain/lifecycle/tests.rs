use super::*;
use crate::domain::step::{Command, Retry, timeout};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn step(name: &str, rule: RunRule, retries: u32) -> Step {
    Step {
        name: crate::domain::names::StepName::new(name).unwrap(),
        command: Command::new("true", vec![]).unwrap(),
        rule,
        timeout_s: timeout(30).unwrap(),
        retry: Retry::new(retries, 5).unwrap(),
        may_fail: false,
        env: BTreeMap::new(),
        working_dir: None,
    }
}

fn run(rules: &[RunRule]) -> Run {
    let steps = rules
        .iter()
        .enumerate()
        .map(|(i, rule)| step(&format!("s{i}"), *rule, 0))
        .collect();
    Run::new(
        RunId(1),
        TaskId(1),
        TaskName::new("t").unwrap(),
        steps,
        Trigger::Manual,
        None,
        at(0),
    )
}

/// Plays a run to its end, each started step ending with the next of `codes`.
fn play(run: &mut Run, codes: &[i32]) -> Vec<&'static str> {
    let mut codes = codes.iter();
    let mut next = run.apply(Event::Created, at(1));
    loop {
        next = match next {
            Next::WantSlot(i) => run.apply(Event::SlotGranted(i), at(2)),
            Next::Start(i) => {
                let code = *codes.next().expect("a step started that should not");
                run.apply(Event::Ended(i, Outcome::Exited(code)), at(3))
            }
            Next::Finished => break,
            other => panic!("{other:?}"),
        };
    }
    assert!(codes.next().is_none(), "a step did not start");
    run.steps.iter().map(|s| s.state.as_str()).collect()
}

use RunRule::{Always, OnFailure, OnSuccess};
const BACKUP: [RunRule; 4] = [OnSuccess, OnSuccess, OnSuccess, Always];

#[test]
fn the_tutorials_ordinary_day_is_green_green_grey_green() {
    let mut r = run(&BACKUP);
    assert_eq!(
        play(&mut r, &[0, 0, 75, 0]),
        ["success", "success", "skipped", "success"]
    );
    assert_eq!(r.state, RunState::Success);
}

#[test]
fn a_skipped_step_does_not_break_on_success() {
    let mut r = run(&[OnSuccess, OnSuccess]);
    assert_eq!(play(&mut r, &[75, 0]), ["skipped", "success"]);
    assert_eq!(r.state, RunState::Success);
}

#[test]
fn an_always_step_never_turns_a_failed_run_green() {
    let mut r = run(&BACKUP);
    assert_eq!(
        play(&mut r, &[0, 1, 0]),
        ["success", "failed", "not_run", "success"]
    );
    assert_eq!(r.state, RunState::Failed);
    assert_eq!(
        r.steps[2].reason.as_deref(),
        Some("run rule on_success: step \"s1\" failed")
    );
}

#[test]
fn on_failure_runs_only_after_a_failure() {
    let mut r = run(&[OnSuccess, OnFailure]);
    assert_eq!(play(&mut r, &[0]), ["success", "not_run"]);
    let mut r = run(&[OnSuccess, OnFailure]);
    assert_eq!(play(&mut r, &[2, 0]), ["failed", "success"]);
    assert_eq!(r.state, RunState::Failed);
}

#[test]
fn a_run_in_which_nothing_happened_is_skipped() {
    let mut r = run(&[OnSuccess, OnFailure]);
    assert_eq!(play(&mut r, &[75]), ["skipped", "not_run"]);
    assert_eq!(r.state, RunState::Skipped);
}

#[test]
fn a_cancel_stops_the_step_and_still_runs_always() {
    let mut r = run(&BACKUP);
    let _ = r.apply(Event::Created, at(1));
    assert_eq!(r.apply(Event::SlotGranted(0), at(2)), Next::Start(0));
    assert_eq!(
        r.apply(Event::CancelRequested(Cancel::Graceful), at(3)),
        Next::Stop(0)
    );
    assert_eq!(
        r.apply(Event::Ended(0, Outcome::Cancelled), at(4)),
        Next::WantSlot(3)
    );
    assert_eq!(r.apply(Event::SlotGranted(3), at(5)), Next::Start(3));
    // A second polite cancel does not touch the step that brings the service back.
    assert_eq!(
        r.apply(Event::CancelRequested(Cancel::Graceful), at(6)),
        Next::Nothing
    );
    assert_eq!(
        r.apply(Event::Ended(3, Outcome::Exited(0)), at(7)),
        Next::Finished
    );
    assert_eq!(r.state, RunState::Cancelled);
}

#[test]
fn force_stops_the_always_step_too() {
    let mut r = run(&BACKUP);
    let _ = r.apply(Event::Created, at(1));
    let _ = r.apply(Event::SlotGranted(0), at(2));
    assert_eq!(
        r.apply(Event::CancelRequested(Cancel::Force), at(3)),
        Next::Stop(0)
    );
    assert_eq!(
        r.apply(Event::Ended(0, Outcome::Cancelled), at(4)),
        Next::Finished
    );
    assert_eq!(r.steps[3].state, StepState::NotRun);
}

#[test]
fn after_a_power_loss_always_steps_run_and_the_rest_does_not() {
    let mut r = run(&BACKUP);
    let _ = r.apply(Event::Created, at(1));
    let _ = r.apply(Event::SlotGranted(0), at(2));
    let _ = r.apply(Event::Ended(0, Outcome::Exited(0)), at(3));
    let _ = r.apply(Event::SlotGranted(1), at(4));
    assert_eq!(r.apply(Event::Recovered, at(100)), Next::WantSlot(3));
    assert_eq!(r.steps[1].state, StepState::Interrupted);
    assert_eq!(r.steps[2].state, StepState::NotRun);
    let _ = r.apply(Event::SlotGranted(3), at(101));
    // The power fails again while the service is being started.
    assert_eq!(r.apply(Event::Recovered, at(200)), Next::WantSlot(3));
    assert_eq!(r.apply(Event::SlotGranted(3), at(201)), Next::Start(3));
    assert_eq!(r.steps[3].attempt, 2);
    assert_eq!(
        r.apply(Event::Ended(3, Outcome::Exited(0)), at(202)),
        Next::Finished
    );
    assert_eq!(r.state, RunState::Interrupted);
}

#[test]
fn a_run_that_had_not_begun_waits_again_after_a_restart() {
    let mut r = run(&BACKUP);
    assert_eq!(r.apply(Event::Created, at(1)), Next::WantSlot(0));
    assert_eq!(r.apply(Event::Recovered, at(100)), Next::WantSlot(0));
    assert!(!r.interrupted);
}

#[test]
fn a_failed_attempt_is_tried_again_after_its_delay() {
    let mut r = run(&[OnSuccess]);
    r.steps[0].step = step("s0", OnSuccess, 1);
    let _ = r.apply(Event::Created, at(1));
    let _ = r.apply(Event::SlotGranted(0), at(2));
    assert_eq!(
        r.apply(Event::Ended(0, Outcome::Exited(1)), at(3)),
        Next::RetryAfter(0, Duration::from_secs(5))
    );
    assert_eq!(r.apply(Event::RetryDue(0), at(8)), Next::WantSlot(0));
    assert_eq!(r.apply(Event::SlotGranted(0), at(9)), Next::Start(0));
    assert_eq!(
        r.apply(Event::Ended(0, Outcome::Exited(1)), at(10)),
        Next::Finished
    );
    assert_eq!(r.steps[0].attempt, 2);
    assert_eq!(r.state, RunState::Failed);
}

#[test]
fn a_step_that_ran_is_never_shown_as_not_run() {
    // Cancelled while it waits for a slot for its second attempt.
    for how in [Cancel::Graceful, Cancel::Force] {
        let mut r = run(&[OnSuccess, OnSuccess]);
        r.steps[0].step = step("s0", OnSuccess, 1);
        let _ = r.apply(Event::Created, at(1));
        let _ = r.apply(Event::SlotGranted(0), at(2));
        let _ = r.apply(Event::Ended(0, Outcome::Exited(1)), at(3));
        assert_eq!(r.apply(Event::RetryDue(0), at(8)), Next::WantSlot(0));
        assert_eq!(r.apply(Event::CancelRequested(how), at(9)), Next::Finished);
        assert_eq!(r.steps[0].state, StepState::Cancelled, "{how:?}");
        assert_eq!(r.steps[1].state, StepState::NotRun);
    }
    // Stopped by force, and the machine went down before the step had ended.
    let mut r = run(&[Always]);
    let _ = r.apply(Event::Created, at(1));
    let _ = r.apply(Event::SlotGranted(0), at(2));
    let _ = r.apply(Event::CancelRequested(Cancel::Force), at(3));
    assert_eq!(r.apply(Event::Recovered, at(100)), Next::Finished);
    assert_eq!(r.steps[0].state, StepState::Cancelled);
}

#[test]
fn a_retry_begins_at_its_step_and_always_means_always() {
    let mut earlier = run(&[OnSuccess, Always, OnSuccess, OnSuccess, Always]);
    assert_eq!(
        play(&mut earlier, &[0, 0, 1, 0]),
        ["success", "success", "failed", "not_run", "success"]
    );
    assert_eq!(earlier.first_bad(), Some(2));
    let steps = earlier.steps.iter().map(|s| s.step.clone()).collect();
    let name = earlier.task_name.clone();
    let mut again = Run::retry(RunId(2), &earlier, name, steps, 3, at(10));
    assert_eq!(
        play(&mut again, &[0, 0, 0]),
        ["not_run", "success", "not_run", "success", "success"]
    );
    assert_eq!(again.state, RunState::Success);
    assert_eq!(again.retry_of, Some(RunId(1)));
    assert_eq!(
        again.steps[2].reason.as_deref(),
        Some("taken from run 1: failed")
    );
}

fn any_rule() -> impl Strategy<Value = RunRule> {
    prop_oneof![Just(OnSuccess), Just(OnFailure), Just(Always)]
}

#[derive(Debug, Clone)]
enum Move {
    Exit(i32),
    Cancel(Cancel),
    PowerLoss,
    Stray(usize),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => prop_oneof![Just(0), Just(1), Just(75), Just(124)].prop_map(Move::Exit),
        1 => prop_oneof![Just(Cancel::Graceful), Just(Cancel::Force)].prop_map(Move::Cancel),
        1 => Just(Move::PowerLoss),
        1 => (0usize..6).prop_map(Move::Stray),
    ]
}

proptest! {
    /// With any events in any order the run ends, final boxes keep their
    /// colour, and without force every `always` step was carried to its own end.
    #[test]
    fn every_run_ends_and_always_means_always(
        rules in prop::collection::vec(any_rule(), 1..6),
        moves in prop::collection::vec(any_move(), 0..30),
    ) {
        let mut r = run(&rules);
        let mut next = r.apply(Event::Created, at(1));
        let mut moves = moves.into_iter();
        let mut stopping = false;
        for turn in 0..400 {
            let finals: Vec<_> = r.steps.iter().map(|s| s.state.is_final().then_some(s.state)).collect();
            next = match next {
                Next::Finished => break,
                Next::WantSlot(i) => match moves.next() {
                    Some(Move::PowerLoss) => r.apply(Event::Recovered, at(turn)),
                    Some(Move::Cancel(how)) => match r.apply(Event::CancelRequested(how), at(turn)) {
                        Next::Nothing => Next::WantSlot(i),
                        other => other,
                    },
                    _ => r.apply(Event::SlotGranted(i), at(turn)),
                },
                Next::Stop(i) => { stopping = true; Next::Start(i) }
                Next::Start(i) => match moves.next() {
                    _ if stopping => { stopping = false; r.apply(Event::Ended(i, Outcome::Cancelled), at(turn)) }
                    None => r.apply(Event::Ended(i, Outcome::Exited(0)), at(turn)),
                    Some(Move::Exit(code)) => r.apply(Event::Ended(i, Outcome::Exited(code)), at(turn)),
                    Some(Move::PowerLoss) => r.apply(Event::Recovered, at(turn)),
                    Some(Move::Cancel(how)) => match r.apply(Event::CancelRequested(how), at(turn)) {
                        Next::Nothing => Next::Start(i),
                        other => other,
                    },
                    Some(Move::Stray(j)) => {
                        prop_assert_eq!(r.apply(Event::SlotGranted(j), at(turn)), Next::Nothing);
                        Next::Start(i)
                    }
                },
                other => panic!("{other:?}"),
            };
            for (step, was) in r.steps.iter().zip(finals) {
                if let Some(was) = was { prop_assert_eq!(step.state, was); }
            }
        }
        prop_assert!(r.state.is_final());
        prop_assert!(r.steps.iter().all(|s| s.state.is_final() && s.finished_at.is_some()));
        if r.cancel != Some(Cancel::Force) {
            for s in r.steps.iter().filter(|s| s.step.rule == Always) {
                prop_assert!(matches!(s.state, StepState::Success | StepState::Skipped | StepState::Failed), "{:?}", s);
            }
        }
        if r.cancel.is_none() && !r.interrupted {
            let failed = r.steps.iter().any(|s| s.state == StepState::Failed);
            prop_assert_eq!(r.state == RunState::Failed, failed);
        }
    }
}
