//! Some programs that only ask, at the same time.
//!
//! Invariant: each has ended, or its process group was killed, when this returns; it takes as long as the slowest, and no
//! longer than the latest deadline.

use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access, getpid};

use super::streams::Streams;
use super::watch::{TICK, Watched};
use super::{Ended, Exit, Patience, Relay};
use crate::program::{Output, Program, Token};
use base::error::Failure;
use base::owners::trusted;

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// A program that runs, and its output.
struct Asked {
    child: Child,
    streams: Streams,
}

/// Runs them all.
pub(super) fn run(
    host: &mut dyn Watched,
    programs: &[(Program<'_>, Patience<'_>)],
) -> Vec<Result<Ended, Failure>> {
    host.end_server();
    let mut running: Vec<Option<Asked>> = Vec::new();
    let mut answers: Vec<Option<Result<Ended, Failure>>> = Vec::new();
    for (program, _) in programs {
        match start(program) {
            Ok(asked) => {
                running.push(Some(asked));
                answers.push(None);
            }
            Err(failure) => {
                running.push(None);
                answers.push(Some(Err(failure)));
            }
        }
    }
    while running.iter().any(Option::is_some) {
        let next = programs
            .iter()
            .zip(&running)
            .filter(|(_, asked)| asked.is_some())
            .map(|((_, patience), _)| patience.until)
            .min();
        let left = next.map_or(TICK, |until| {
            until.saturating_duration_since(Instant::now())
        });
        let pipes: Vec<_> = running
            .iter()
            .flatten()
            .flat_map(|asked| asked.streams.pipes())
            .collect();
        host.watch().look(left.min(TICK), &pipes);
        drop(pipes);
        for (((program, patience), slot), answer) in
            programs.iter().zip(&mut running).zip(&mut answers)
        {
            let Some(asked) = slot else { continue };
            let output = Output::Captured;
            asked
                .streams
                .pump(output, &mut host.watch().reply, &mut Relay);
            let ended = asked.child.try_wait();
            let outcome = match ended {
                Ok(None) => match host.watch().reason(patience) {
                    Ok(()) => continue,
                    Err(cause) => {
                        end(&mut asked.child);
                        Err(Failure::Interrupted {
                            what: program.what.clone(),
                            cause,
                        })
                    }
                },
                Ok(Some(status)) => {
                    asked
                        .streams
                        .pump(output, &mut host.watch().reply, &mut Relay);
                    asked
                        .streams
                        .finish(output, &mut host.watch().reply, &mut Relay);
                    let signal = status.signal().map(Exit::Signal);
                    Ok(Ended {
                        exit: asked
                            .streams
                            .judged(signal.or(status.code().map(Exit::Code))),
                        stdout: std::mem::take(&mut asked.streams.captured),
                        last_words: std::mem::take(&mut asked.streams.last_words),
                    })
                }
                Err(error) => Err(Failure::io(program.what.clone())(error)),
            };
            *answer = Some(outcome);
            *slot = None;
        }
    }
    let missing = || Failure::Tool {
        what: "running programs".into(),
        detail: "one was lost".into(),
    };
    answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(missing())))
        .collect()
}

fn start(program: &Program<'_>) -> Result<Asked, Failure> {
    let path = program.argv.first().map_or("", String::as_str);
    access(path, AccessFlags::X_OK).map_err(|errno| Failure::ToolMissing {
        program: path.to_owned(),
        source: errno.into(),
    })?;
    trusted(&program.argv)?;
    set_child_subreaper(false).map_err(Failure::errno(path))?;
    let starting = || Failure::io(format!("starting {}", program.what));
    let token = Token::fresh().map_err(starting())?;
    let mut child = program
        .command(getpid(), &token)
        .and_then(|mut command| command.spawn())
        .map_err(starting())?;
    let streams = Streams::new(child.stdout.take(), child.stderr.take(), Some(token));
    Ok(Asked { child, streams })
}

/// Ends one and its process group; the exit status of no other is taken along.
fn end(child: &mut Child) {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let _ = killpg(group, Signal::SIGTERM);
    let until = Instant::now() + GRACE;
    while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.try_wait();
}
