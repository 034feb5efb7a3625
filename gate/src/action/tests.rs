//! Stop and start against a simulated host: its clock moves only while an action waits, and its programs do as the test
//! says.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::lease::store::Leases;
use crate::request::Request;
use base::clock::Moment;
use base::error::Interrupt;
use base::names::{PlainPath, ServiceName};
use base::reply::Stream;
use config::Config;
use host::program::Program;
use host::{Ear, Ended, Exit, Host, Patience};

struct FakeHost {
    started: Instant,
    now: Instant,
    /// The verbs of the service's commands, in the order in which they were run.
    ran: Vec<String>,
    /// The exit codes of the status command, in order; the last one repeats.
    status: VecDeque<i32>,
    said: Vec<String>,
}

impl Host for FakeHost {
    fn now(&self) -> Instant {
        self.now
    }

    fn moment(&self) -> Moment {
        let gone = self.now - self.started;
        Moment {
            utc: chrono::DateTime::UNIX_EPOCH + gone,
            boot: "this".into(),
            since_boot_ms: u64::try_from(gone.as_millis()).unwrap(),
        }
    }

    fn local(&self) -> chrono::NaiveDateTime {
        let date = chrono::NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
        date.and_hms_opt(3, 0, 0).unwrap()
    }

    fn say(&mut self, _: Stream, line: &str) {
        self.said.push(line.to_owned());
    }

    fn check(&mut self, patience: &Patience<'_>) -> Result<(), Interrupt> {
        if self.now >= patience.until {
            Err(Interrupt::DeadlinePassed)
        } else {
            Ok(())
        }
    }

    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), Interrupt> {
        self.now += time;
        self.check(patience)
    }

    fn run_piped(
        &mut self,
        _: &Program<'_>,
        _: &Patience<'_>,
        _: &mut dyn Ear,
        _: &mut dyn FnMut(&mut dyn host::Feed) -> Result<(), Failure>,
        _: &mut host::Resume<'_>,
    ) -> Result<host::Piped, Failure> {
        panic!("nothing is fetched here")
    }

    fn run_heard(
        &mut self,
        program: &Program<'_>,
        _: &Patience<'_>,
        _: &mut dyn Ear,
    ) -> Result<Ended, Failure> {
        let verb = program.argv[0].trim_start_matches("/fake/").to_owned();
        let code = match verb.as_str() {
            "status" if self.status.len() > 1 => self.status.pop_front().unwrap(),
            "status" => self.status[0],
            _ => 0,
        };
        self.ran.push(verb);
        Ok(Ended {
            exit: Exit::Code(code),
            stdout: Vec::new(),
            last_words: Vec::new(),
        })
    }

    fn detach(&mut self, _: &str, words: &[String], _: &Patience<'_>) -> Result<(), Failure> {
        assert_eq!(words, ["__keep", "--recover", "app"]);
        self.ran.push("keep".into());
        Ok(())
    }
}

/// Runs a request for the service `app`; the folders of the gate's own are real.
fn run(
    folder: &std::path::Path,
    verb: &str,
    status: &[i32],
) -> (Result<String, Failure>, Vec<String>, Duration) {
    let here = folder.display();
    let config = Config::parse(&format!(
        "state_dir = \"{here}/state\"\nlock_dir = \"{here}/lock\"\nask_before_stop = false\nlease = {{ keeper = \"process\" }}\n[services.app]\nstop = [\"/fake/stop\"]\nstart = [\"/fake/start\"]\nstatus = [\"/fake/status\"]"
    ))
    .unwrap();
    let request = Request::parse(&[verb, "app", "--timeout", "60"]).unwrap();
    let crate::policy::Decision::Granted(grant) =
        crate::policy::decide(&config, &host::caller::Caller::over_ssh(), &request)
    else {
        panic!("refused");
    };
    let started = Instant::now();
    let status = status.iter().copied().collect();
    let mut host = FakeHost {
        started,
        now: started,
        ran: Vec::new(),
        status,
        said: Vec::new(),
    };
    let mut context = Context {
        config: &config,
        host: &mut host,
        started,
        one_process: None,
    };
    let circumstances = Circumstances::ask(&mut context, &grant);
    let outcome = execute(&grant, &mut context, &circumstances);
    (outcome, host.ran, host.now - started)
}

fn folder() -> tempfile::TempDir {
    let base = std::fs::canonicalize(std::env::temp_dir()).unwrap();
    tempfile::Builder::new()
        .prefix("action")
        .tempdir_in(base)
        .unwrap()
}

fn recorded(folder: &std::path::Path) -> bool {
    let state = PlainPath::parse(folder.join("state").to_str().unwrap()).unwrap();
    Leases::open(&state, 60)
        .unwrap()
        .load(&ServiceName::parse("app").unwrap())
        .unwrap()
        .is_some()
}

#[test]
fn a_stop_waits_until_the_service_is_really_down() {
    let folder = folder();
    let (outcome, ran, took) = run(folder.path(), "--stop", &[0, 0, 1, 3]);
    assert_eq!(outcome.unwrap(), "app is down");
    assert_eq!(
        ran,
        ["status", "keep", "stop", "status", "status", "status"]
    );
    assert_eq!(took, AGAIN * 2);
    assert!(recorded(folder.path()));
}

#[test]
fn a_stop_without_an_end_is_taken_back_at_its_deadline() {
    let folder = folder();
    let (outcome, ran, took) = run(folder.path(), "--stop", &[0]);
    assert!(matches!(
        outcome,
        Err(Failure::Interrupted {
            cause: Interrupt::DeadlinePassed,
            ..
        })
    ));
    assert_eq!(&ran[ran.len() - 2..], ["start", "status"]);
    assert_eq!(took, Duration::from_secs(60));
    assert!(!recorded(folder.path()));
}

#[test]
fn a_stop_that_cannot_be_taken_back_leaves_its_record() {
    let folder = folder();
    let (outcome, _, took) = run(folder.path(), "--stop", &[0, 1]);
    assert!(outcome.is_err());
    // The deadline of the stop, and that of the start.
    assert_eq!(took, Duration::from_secs(60 + 300));
    assert!(recorded(folder.path()));
}

#[test]
fn one_unclear_answer_does_not_turn_down_into_up() {
    let folder = folder();
    let (outcome, ran, _) = run(folder.path(), "--stop", &[3]);
    assert_eq!(outcome.unwrap(), "app was down already");
    assert_eq!(ran, ["status"]);
    let (outcome, ..) = run(folder.path(), "--stop", &[1, 1, 3]);
    assert_eq!(outcome.unwrap(), "app was down already");
    let (outcome, ran, _) = run(folder.path(), "--start", &[3]);
    assert_eq!(
        outcome.unwrap(),
        "app was down before the stop and stays down"
    );
    assert_eq!(ran, ["status"]);
}

#[test]
fn a_stack_that_is_partly_up_was_up() {
    let folder = folder();
    let unclear = [1; 10];
    let (outcome, ran, _) = run(folder.path(), "--stop", &[&unclear[..], &[3]].concat());
    assert_eq!(outcome.unwrap(), "app is down");
    assert_eq!(ran[10..], ["keep", "stop", "status"]);
    let (outcome, ran, _) = run(folder.path(), "--start", &[0]);
    assert_eq!(outcome.unwrap(), "app is up");
    assert_eq!(ran, ["start", "status"]);
}

#[test]
fn a_start_is_green_only_when_the_service_is_up() {
    let folder = folder();
    let (outcome, ran, _) = run(folder.path(), "--start", &[3, 1, 0]);
    assert_eq!(outcome.unwrap(), "app is up");
    assert_eq!(ran, ["status", "start", "status", "status"]);
    let (outcome, ..) = run(folder.path(), "--start", &[3]);
    assert!(matches!(
        outcome,
        Err(Failure::Interrupted {
            cause: Interrupt::DeadlinePassed,
            ..
        })
    ));
}
