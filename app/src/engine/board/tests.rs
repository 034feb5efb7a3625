//! All commands at all moments, in random order: from each state that they reach, every run ends by itself.

use super::*;
use crate::domain::lifecycle::{Cancel, StepState, Trigger};
use crate::domain::names::{StepName, TaskName};
use crate::domain::outcome::Outcome;
use crate::domain::step::{Command, Retry, RunRule, Step, timeout};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use std::collections::BTreeMap;

const TASKS: i64 = 3;
const POOLS: [&str; 3] = ["default", "a", "b"];

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn pool(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

/// The administrator's view: pools with their slots, and the pool of each task.
#[derive(Debug, Clone)]
struct Settings {
    pools: BTreeMap<&'static str, usize>,
    tasks: BTreeMap<i64, &'static str>,
}

#[derive(Debug, Clone)]
enum Act {
    Trigger(i64, Vec<(RunRule, u32)>),
    Cancel(i64, Cancel),
    /// The running step of the run at this place ends so.
    End(usize, Outcome),
    /// The delay of the run at this place passes.
    RetryDue(usize),
    Move(i64, &'static str),
    SetPool(&'static str, usize),
    DeletePool(&'static str),
    Crash,
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = Settings;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Settings> {
        Just(Settings {
            pools: BTreeMap::from([("default", 1), ("a", 1)]),
            tasks: (1..=TASKS).map(|task| (task, "a")).collect(),
        })
        .boxed()
    }

    fn transitions(settings: &Settings) -> BoxedStrategy<Act> {
        let rule = prop_oneof![
            Just(RunRule::OnSuccess),
            Just(RunRule::OnFailure),
            Just(RunRule::Always)
        ];
        let outcome = prop_oneof![
            3 => Just(Outcome::Exited(0)),
            3 => Just(Outcome::Exited(1)),
            1 => Just(Outcome::Exited(75)),
            1 => Just(Outcome::Lost("killed".to_owned())),
            1 => Just(Outcome::OutOfResources("no process".to_owned())),
        ];
        let known: Vec<&'static str> = settings.pools.keys().copied().collect();
        let any_pool = prop::sample::select(POOLS.to_vec());
        prop_oneof![
            4 => (1..=TASKS, prop::collection::vec((rule, 0..3u32), 1..4)).prop_map(|(t, s)| Act::Trigger(t, s)),
            2 => (1..=TASKS, prop_oneof![3 => Just(Cancel::Graceful), 1 => Just(Cancel::Force)])
                .prop_map(|(t, how)| Act::Cancel(t, how)),
            6 => (0..3usize, outcome).prop_map(|(at, how)| Act::End(at, how)),
            3 => (0..3usize).prop_map(Act::RetryDue),
            2 => (1..=TASKS, prop::sample::select(known)).prop_map(|(t, p)| Act::Move(t, p)),
            2 => (any_pool.clone(), 1..3usize).prop_map(|(p, n)| Act::SetPool(p, n)),
            2 => any_pool.prop_map(Act::DeletePool),
            1 => Just(Act::Crash),
        ]
        .boxed()
    }

    fn preconditions(settings: &Settings, act: &Act) -> bool {
        match act {
            // As the store decides: a task names a pool that exists, and a pool in use stays.
            Act::Move(_, pool) => settings.pools.contains_key(pool),
            Act::DeletePool(pool) => {
                *pool != "default" && !settings.tasks.values().any(|of| of == pool)
            }
            _ => true,
        }
    }

    fn apply(mut settings: Settings, act: &Act) -> Settings {
        match act {
            Act::Move(task, pool) => drop(settings.tasks.insert(*task, pool)),
            Act::SetPool(pool, slots) => drop(settings.pools.insert(pool, *slots)),
            Act::DeletePool(pool) => drop(settings.pools.remove(pool)),
            _ => {}
        }
        settings
    }
}

/// The board with the work that the dispatcher would do for it.
#[derive(Clone)]
struct Bench {
    board: Board,
    next_run: i64,
    now: i64,
    /// Attempts that run: run and position.
    running: BTreeMap<RunId, usize>,
    /// Runs that wait for their next attempt.
    delayed: BTreeMap<RunId, usize>,
}

impl Bench {
    fn stored(settings: &Settings) -> Vec<(PoolName, NonZeroUsize)> {
        let stored = settings.pools.iter();
        stored
            .map(|(name, slots)| (pool(name), NonZeroUsize::new(*slots).unwrap()))
            .collect()
    }

    fn event(&mut self, id: RunId, event: Event) {
        let mut plan = Plan::default();
        self.now += 1;
        self.board.apply(id, event, at(self.now), &mut plan);
        self.settle(plan);
    }

    fn settle(&mut self, mut plan: Plan) {
        self.board.grant(at(self.now), &mut plan);
        for (run, position) in plan.starts {
            assert!(
                self.running.insert(run, position).is_none(),
                "one step at a time"
            );
        }
        for id in plan.finished {
            self.check(&self.board.active[&id].run);
            self.board.remove(id);
        }
        let mut stopped = Vec::new();
        for (id, position) in plan.stops {
            assert_eq!(self.running.remove(&id), Some(position), "it runs");
            stopped.push((id, position));
        }
        for (run, position, _) in plan.retries {
            self.delayed.insert(run, position);
        }
        for (id, position) in stopped {
            self.event(id, Event::Ended(position, Outcome::Cancelled));
        }
    }

    /// The promises of a run that is over.
    fn check(&self, run: &Run) {
        assert!(run.state.is_final());
        for step in &run.steps {
            assert!(step.state.is_final(), "{step:?}");
            assert!(
                step.attempt == 0 || step.state != StepState::NotRun,
                "it ran: {step:?}"
            );
            if step.step.rule == RunRule::Always && run.cancel != Some(Cancel::Force) {
                assert!(
                    matches!(
                        step.state,
                        StepState::Success | StepState::Skipped | StepState::Failed
                    ),
                    "always means always: {step:?}"
                );
                let counted = step.attempt - step.uncounted;
                let full = step.state != StepState::Failed || counted == step.step.retry.count + 1;
                assert!(full, "it gets its full number of attempts: {step:?}");
            }
        }
    }

    /// From here on nobody does anything but wait.
    fn drain(&mut self) {
        for _ in 0..1000 {
            if let Some((id, position)) = self.running.pop_first() {
                self.event(id, Event::Ended(position, Outcome::Exited(1)));
            } else if let Some((id, position)) = self.delayed.pop_first() {
                self.event(id, Event::RetryDue(position));
            } else {
                break;
            }
        }
        let left: Vec<_> = self
            .board
            .active
            .values()
            .map(|active| &active.run)
            .collect();
        assert!(
            left.is_empty(),
            "a run waits for ever: {left:?} in {:?}",
            self.board.pools
        );
    }

    fn start(&mut self, task: i64, pool_name: &str, steps: &[(RunRule, u32)]) {
        let id = RunId(self.next_run);
        self.next_run += 1;
        let steps = steps.iter().enumerate().map(|(at, (rule, retries))| Step {
            name: StepName::new(format!("s{at}")).unwrap(),
            command: Command::new("true", vec![]).unwrap(),
            rule: *rule,
            timeout_s: timeout(30).unwrap(),
            retry: Retry::new(*retries, 5).unwrap(),
            may_fail: false,
            env: BTreeMap::new(),
            working_dir: None,
        });
        let name = TaskName::new(format!("t{task}")).unwrap();
        let steps = steps.collect();
        let run = Run::new(
            id,
            TaskId(task),
            name,
            steps,
            Trigger::Manual,
            None,
            at(self.now),
        );
        self.board.add(run, pool(pool_name), Retention::default());
        self.event(id, Event::Created);
    }

    /// The process died: of the board only the runs are left, each in the pool that its task has now.
    fn crash(&mut self, settings: &Settings) {
        let runs: Vec<Run> = self.board.active.values().map(|a| a.run.clone()).collect();
        self.board = Board::default();
        self.board.set_pools(&Self::stored(settings));
        self.running.clear();
        self.delayed.clear();
        let mut plan = Plan::default();
        for run in runs {
            let (id, task) = (run.id, run.task.0);
            self.board
                .add(run, pool(settings.tasks[&task]), Retention::default());
            self.board
                .apply(id, Event::Recovered, at(self.now), &mut plan);
        }
        self.settle(plan);
    }
}

impl StateMachineTest for Bench {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(settings: &Settings) -> Self {
        let mut board = Board::default();
        board.set_pools(&Self::stored(settings));
        Self {
            board,
            next_run: 1,
            now: 0,
            running: BTreeMap::new(),
            delayed: BTreeMap::new(),
        }
    }

    fn apply(mut bench: Self, settings: &Settings, act: Act) -> Self {
        let nth = |of: &BTreeMap<RunId, usize>, at: usize| {
            of.iter().nth(at).map(|(id, position)| (*id, *position))
        };
        match act {
            Act::Trigger(task, steps) if bench.board.running(TaskId(task)).is_none() => {
                bench.start(task, settings.tasks[&task], &steps);
            }
            Act::Cancel(task, how) => {
                if let Some(id) = bench.board.running(TaskId(task)) {
                    bench.event(id, Event::CancelRequested(how));
                }
            }
            Act::End(at, outcome) => {
                if let Some((id, position)) = nth(&bench.running, at) {
                    bench.running.remove(&id);
                    bench.event(id, Event::Ended(position, outcome));
                }
            }
            Act::RetryDue(at) => {
                if let Some((id, position)) = nth(&bench.delayed, at) {
                    bench.delayed.remove(&id);
                    bench.event(id, Event::RetryDue(position));
                }
            }
            Act::SetPool(..) | Act::DeletePool(_) => {
                bench.board.set_pools(&Self::stored(settings));
                bench.settle(Plan::default());
            }
            Act::Crash => bench.crash(settings),
            Act::Trigger(..) | Act::Move(..) => {}
        }
        bench
    }

    fn check_invariants(bench: &Self, _: &Settings) {
        bench.clone().drain();
        // A graceful cancel at this moment ends each run as well.
        let mut cancelled = bench.clone();
        let ids: Vec<RunId> = cancelled.board.active.keys().copied().collect();
        for id in ids {
            cancelled.event(id, Event::CancelRequested(Cancel::Graceful));
        }
        cancelled.drain();
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn from_every_state_every_run_ends_without_force(sequential 1..40 => Bench);
}
