//! The hidden entry that starts a service on a copy of its data, waits for its health check, and removes the container.
//!
//! The gate starts it in a process of its own, from `backupctl-setup`, so that `backupctl` knows nothing of containers.
//!
//! Invariant: the container mounts nothing but the copy (`trial`), and Podman ends it soon after the time of the test, also when
//! this process and the gate are gone. Orders with `clear` remove container and copy, and start nothing.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use serde::{Deserialize, Serialize};

use crate::container::{self, Container, belongs};
use crate::naming::service_of;
use crate::trial::{Trial, TrialTerms, plan};
use base::dirfd::{PinnedDir, find};
use base::error::{ExitStatus, Failure};
use base::names::{PlainPath, ServiceName};
use base::proof::Started;
use base::reply::{Reply, Stream};
use base::scratch;
use host::door::door;
use host::linux::LinuxHost;
use host::program::{Entry, Output, Profile, Program, Tether};
use host::{Ended, Host, Patience};

/// The hidden first argument.
pub const ENTRY: &str = "__rehearse";

/// The pause between two health checks.
const AGAIN: Duration = Duration::from_millis(500);

/// The longest time for one health check, and for each question to Podman.
const ANSWER: Duration = Duration::from_secs(30);

/// Seconds after the end of the test at which Podman itself ends a container that was left.
const BEYOND: u32 = 30;

/// Instructions for the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RehearsalOrders {
    /// The gate's process id.
    gate: i32,
    work: Work,
}

/// The work of the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Start the service on the copy.
    Test(StartTest),
    /// Remove the container, if there is one, and the copies of killed gates.
    Clear {
        /// Podman; `None` if no container was started.
        podman: Option<String>,
        /// The name of the container.
        name: String,
        /// The folder of rehearsals.
        folder: String,
    },
}

/// A start test.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartTest {
    /// Podman.
    pub podman: String,
    /// The name of the container.
    pub name: String,
    /// The service.
    pub service: String,
    /// All services of the configuration.
    pub services: Vec<String>,
    /// The live data, as mounts name it.
    pub data: String,
    /// The copy.
    pub copy: String,
    /// A private folder for the file with the environment.
    pub folder: String,
    /// Seconds for the health check.
    pub seconds: u32,
    /// MiB of memory.
    pub memory: u32,
    /// Bytes that stay free on the disk of the copy.
    pub reserve: u64,
}

/// The end of a start test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The result.
    pub started: Started,
    /// The reason, unless the service became healthy.
    pub reason: Option<String>,
}

/// The process, for the gate that starts it.
#[derive(Debug)]
pub struct RehearsalEntry {
    /// The program `backupctl-setup`, opened.
    pub program: Rc<OwnedFd>,
    /// Its work.
    pub work: Work,
}

impl Entry for RehearsalEntry {
    fn program(&self) -> Option<BorrowedFd<'_>> {
        Some(self.program.as_fd())
    }

    fn name(&self) -> &'static str {
        ENTRY
    }

    fn orders(&self, gate: i32) -> serde_json::Result<String> {
        let work = self.work.clone();
        serde_json::to_string(&RehearsalOrders { gate, work })
    }
}

/// The life of the process.
#[must_use]
pub fn main(arguments: &[OsString]) -> ExitCode {
    door("backupctl", arguments, |arguments, _, reply| {
        let orders = arguments.get(1).and_then(|orders| orders.to_str());
        let orders = orders.and_then(|text| serde_json::from_str(text).ok());
        command(orders, reply).unwrap_or_else(|failure| {
            Reply::default().line(Stream::Err, &failure.to_string());
            failure.status().code()
        })
    })
}

fn command(orders: Option<RehearsalOrders>, reply: Reply) -> Result<u8, Failure> {
    let broken = |detail: &str| Failure::Tool {
        what: "the start test".into(),
        detail: detail.to_owned(),
    };
    let orders = orders.ok_or_else(|| broken("this is for the gate itself"))?;
    set_pdeathsig(Signal::SIGKILL).map_err(Failure::errno("PR_SET_PDEATHSIG"))?;
    // The signal is sent for deaths after the call; this is for one before it.
    if getppid().as_raw() != orders.gate {
        return Err(broken("the gate is gone"));
    }
    let mut host = LinuxHost::take_over(reply).map_err(Failure::errno("preparing"))?;
    match orders.work {
        Work::Test(test) => {
            let verdict = tested(&mut host, &test)?;
            let line = serde_json::to_string(&verdict).unwrap_or_default();
            host.say(Stream::Out, &line);
        }
        Work::Clear {
            podman,
            name,
            folder,
        } => {
            if let Some(podman) = podman {
                // The first attempt notes the end of a container whose monitor was killed, and fails with Podman 5.4.
                let mut ended = remove(&mut host, &podman, &name)?;
                if !ended.ok() {
                    ended = remove(&mut host, &podman, &name)?;
                }
                if !ended.ok() {
                    return Err(broken(&format!("removing {name}: {}", ended.describe())));
                }
            }
            scratch::clear(&parsed(&folder)?);
        }
    }
    Ok(ExitStatus::Done.code())
}

fn parsed(path: &str) -> Result<PlainPath, Failure> {
    PlainPath::parse(path).map_err(|error| Failure::Tool {
        what: "the start test".into(),
        detail: error.to_string(),
    })
}

/// Runs Podman.
fn ask(
    host: &mut LinuxHost,
    podman: &str,
    words: &[String],
    time: Duration,
) -> Result<Ended, Failure> {
    let mut argv = vec![podman.to_owned()];
    argv.extend(words.iter().cloned());
    let program = Program {
        what: "the start test".to_owned(),
        argv,
        source: None,
        // The monitor of the container outlives the command that starts it.
        tether: Tether::Free,
        output: Output::Silent,
        profile: Profile::Service,
        home: parsed("/run")?,
    };
    host.run(&program, &Patience::attended(Instant::now() + time))
}

fn impossible(reason: impl Into<String>) -> Verdict {
    Verdict {
        started: Started::Impossible,
        reason: Some(reason.into()),
    }
}

fn unhealthy(reason: impl Into<String>) -> Verdict {
    Verdict {
        started: Started::Unhealthy,
        reason: Some(reason.into()),
    }
}

fn tested(host: &mut LinuxHost, test: &StartTest) -> Result<Verdict, Failure> {
    if !std::path::Path::new(&test.podman).exists() {
        return Ok(impossible(format!("{} is not installed", test.podman)));
    }
    let id = match own_container(host, test)? {
        Ok(id) => id,
        Err(reason) => return Ok(impossible(reason)),
    };
    let words = ["container", "inspect", &id].map(str::to_owned);
    let inspected = ask(host, &test.podman, &words, ANSWER)?;
    let environment = format!("{}/environment", test.folder);
    let terms = TrialTerms {
        name: &test.name,
        data: &test.data,
        copy: &test.copy,
        environment: &environment,
        seconds: test.seconds.saturating_add(BEYOND),
        memory: test.memory,
    };
    let trial = match plan(&inspected.stdout, &terms) {
        Ok(trial) => trial,
        Err(reason) => return Ok(impossible(reason)),
    };
    for mounted in &trial.mounted {
        if let Err(fault) = is_in_copy(&test.copy, mounted) {
            return Ok(unhealthy(fault));
        }
    }
    write_environment(&environment, &trial.environment)?;
    let began = ask(host, &test.podman, &trial.run, ANSWER)?;
    let _ = std::fs::remove_file(&environment);
    if !began.ok() {
        return Ok(unhealthy(format!(
            "its container did not start: {}",
            began.describe()
        )));
    }
    let verdict = wait(host, test, &trial);
    // The monitor of the container ends with this process. A failure is repaired by the orders to clear.
    let _ = remove(host, &test.podman, &test.name);
    verdict
}

/// Removes the container, if there is one.
fn remove(host: &mut LinuxHost, podman: &str, name: &str) -> Result<Ended, Failure> {
    let words = [
        "rm",
        "--force",
        "--ignore",
        "--time",
        "0",
        "--volumes",
        name,
    ];
    ask(host, podman, &words.map(str::to_owned), ANSWER)
}

/// The only container of the service, by its id.
fn own_container(
    host: &mut LinuxHost,
    test: &StartTest,
) -> Result<Result<String, String>, Failure> {
    let words = ["ps", "--all", "--pod", "--format", "json"].map(str::to_owned);
    let listed = ask(host, &test.podman, &words, ANSWER)?;
    if !listed.ok() {
        return Ok(Err(format!("Podman: {}", listed.describe())));
    }
    let all = match container::parse(&listed.stdout) {
        Ok(all) => all,
        Err(reason) => return Ok(Err(format!("Podman's list: {reason}"))),
    };
    let names = test.services.iter();
    let services: Vec<ServiceName> = names.filter_map(|s| ServiceName::parse(s).ok()).collect();
    let Ok(service) = ServiceName::parse(&test.service) else {
        return Ok(Err("its name".into()));
    };
    let by_unit = |one: &Container| {
        let unit = one.unit.as_deref()?.strip_suffix(".service")?;
        service_of(unit, &services)
    };
    let own: Vec<&Container> = all
        .iter()
        .filter(|one| by_unit(one) == Some(&service) || belongs(one, &[], &service, &services))
        .collect();
    Ok(match own.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err("root's Podman has no container of the service at present".into()),
        more => Err(format!(
            "the service has {} containers, which need a network between them",
            more.len()
        )),
    })
}

/// Checks that a mounted place is a real directory or file of the copy: a link there could lead to live data.
fn is_in_copy(copy: &str, below: &str) -> Result<(), String> {
    let missing = |detail: &str| {
        format!(
            "the copy has no {}, which the service mounts ({detail})",
            below.escape_debug()
        )
    };
    let root = PlainPath::parse(copy).map_err(|error| error.to_string())?;
    let root = PinnedDir::open(&root).map_err(|errno| missing(errno.desc()))?;
    let mut here = root.fd().try_clone().map_err(|e| missing(&e.to_string()))?;
    let mut parts = below.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let found = find(&here, part.as_ref()).map_err(|errno| missing(errno.desc()))?;
        match found.stat.st_mode & nix::libc::S_IFMT {
            nix::libc::S_IFDIR => {
                here = base::dirfd::enter(found.fd).map_err(|errno| missing(errno.desc()))?;
            }
            nix::libc::S_IFREG if parts.peek().is_none() => {}
            _ => return Err(missing("it is neither a folder nor a plain file")),
        }
    }
    Ok(())
}

fn write_environment(path: &str, lines: &[String]) -> Result<(), Failure> {
    let writing = || Failure::io(format!("writing {path}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(writing())?;
    for line in lines {
        writeln!(file, "{line}").map_err(writing())?;
    }
    Ok(())
}

/// Waits for the health check.
fn wait(host: &mut LinuxHost, test: &StartTest, trial: &Trial) -> Result<Verdict, Failure> {
    let until = Instant::now() + Duration::from_secs(test.seconds.into());
    let mut exec = vec!["exec".to_owned(), test.name.clone()];
    exec.extend(trial.check.iter().cloned());
    let state = [
        "container",
        "inspect",
        "--format",
        "{{.State.Running}}",
        &test.name,
    ];
    let state = state.map(str::to_owned);
    let copy = PinnedDir::open(&parsed(&test.copy)?).map_err(Failure::errno("opening the copy"))?;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(unhealthy(format!(
                "its health check did not pass within {} seconds",
                test.seconds
            )));
        }
        let checked = ask(host, &test.podman, &exec, left.min(ANSWER));
        if checked.is_ok_and(|ended| ended.ok()) {
            return Ok(Verdict {
                started: Started::Healthy,
                reason: None,
            });
        }
        let running = ask(host, &test.podman, &state, ANSWER)?;
        if running.stdout.trim_ascii() != b"true" {
            return Ok(unhealthy(
                "its container ended before the health check passed",
            ));
        }
        let stat = nix::sys::statvfs::fstatvfs(copy.fd()).map_err(Failure::errno("the disk"))?;
        if stat.blocks_available() * stat.fragment_size() < test.reserve {
            return Ok(unhealthy("it wrote more than rehearsal.max_bytes"));
        }
        host.pause(AGAIN, &Patience::attended(until))
            .or_else(|cause| match cause {
                base::error::Interrupt::DeadlinePassed => Ok(()),
                cause => Err(Failure::Interrupted {
                    what: "the start test".into(),
                    cause,
                }),
            })?;
    }
}
