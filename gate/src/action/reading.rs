//! The data of a service, opened, measured and packed by a process of its own; see [`crate::walk`].
//!
//! Invariant: a file system that does not answer costs at most the time until the deadline.

use super::Context;
use crate::walk::{Answer, Compare, Compared, Line, Pack, Stage, Walk, Work};
use archive::estimate::Estimate;
use archive::pack::Packed;
use base::dirfd::PinnedDir;
use base::error::{Failure, Interrupt};
use base::names::PlainPath;
use base::progress::{Meter, Phase};
use base::reply::Stream;
use host::program::{Output, Profile, Program, Source, Tether};
use host::{Feed, Next, Patience, Relay};
use mirror::portion::Staged;

/// The longest line of an answer: a hundred names of each kind, with every byte escaped.
const LONGEST: usize = 4 << 20;

impl Context<'_> {
    /// Opens a source directory, and refuses an empty one.
    pub(super) fn open_source(
        &mut self,
        path: &PlainPath,
        patience: &Patience<'_>,
    ) -> Result<PinnedDir, Failure> {
        let refused = |reason: &str| Failure::Path {
            path: path.to_path_buf(),
            detail: format!(
                "cannot be opened as a directory without following links ({reason}); check that it exists and that no part of it is a symbolic link"
            ),
        };
        let answer = self.walk(path, None, Work::Open, patience, None);
        match answer {
            Ok(Answer::Opened(true)) => return Err(Failure::EmptySource(path.to_path_buf())),
            Ok(_) => {}
            Err(Failure::Io { source, what }) if what == "opening the source" => {
                let errno = source.raw_os_error().map(nix::errno::Errno::from_raw);
                return Err(refused(errno.map_or("", nix::errno::Errno::desc)));
            }
            Err(failure) => return Err(failure),
        }
        PinnedDir::open(path).map_err(|errno| refused(errno.desc()))
    }

    /// Measures the data to get an upper bound for its archive.
    pub(super) fn measure(
        &mut self,
        source: &PinnedDir,
        patience: &Patience<'_>,
    ) -> Result<Estimate, Failure> {
        let progress = Some((Phase::Measuring, None));
        match self.walk(
            source.path(),
            Some(source),
            Work::Measure,
            patience,
            progress,
        )? {
            Answer::Measured(estimate) => Ok(estimate),
            _ => Err(misunderstood()),
        }
    }

    /// Packs an archive into files of the spool.
    pub(super) fn pack(
        &mut self,
        source: &PinnedDir,
        order: Pack,
        total: u64,
        patience: &Patience<'_>,
    ) -> Result<Packed, Failure> {
        let progress = Some((Phase::Packing, Some(total)));
        let work = Work::Pack(order);
        match self.walk(source.path(), Some(source), work, patience, progress)? {
            Answer::Packed(packed) => Ok(*packed),
            _ => Err(misunderstood()),
        }
    }

    /// Does other work on the data, with a progress line for long work.
    pub(super) fn work(
        &mut self,
        path: &PlainPath,
        source: Option<&PinnedDir>,
        work: Work,
        patience: &Patience<'_>,
    ) -> Result<Answer, Failure> {
        let progress = source.map(|_| (Phase::Capturing, None));
        self.walk(path, source, work, patience, progress)
    }

    /// Compares the data with the last manifest of its mirror.
    pub(super) fn compare(
        &mut self,
        source: &PinnedDir,
        order: Compare,
        patience: &Patience<'_>,
    ) -> Result<Compared, Failure> {
        let progress = Some((Phase::Comparing, None));
        match self.walk(
            source.path(),
            Some(source),
            Work::Compare(order),
            patience,
            progress,
        )? {
            Answer::Compared(compared) => Ok(*compared),
            _ => Err(misunderstood()),
        }
    }

    /// Copies contents of the data for their upload.
    pub(super) fn stage(
        &mut self,
        source: &PinnedDir,
        order: Stage,
        total: u64,
        patience: &Patience<'_>,
    ) -> Result<Staged, Failure> {
        let progress = Some((Phase::Packing, Some(total)));
        match self.walk(
            source.path(),
            Some(source),
            Work::Stage(order),
            patience,
            progress,
        )? {
            Answer::Staged(staged) => Ok(*staged),
            _ => Err(misunderstood()),
        }
    }

    fn walk(
        &mut self,
        path: &PlainPath,
        source: Option<&PinnedDir>,
        work: Work,
        patience: &Patience<'_>,
        progress: Option<(Phase, Option<u64>)>,
    ) -> Result<Answer, Failure> {
        let what = match (&work, progress) {
            (Work::Empty, _) => "removing captured data",
            (_, Some((phase, _))) => phase.as_str(),
            (_, None) => "opening the source",
        };
        let source = match source {
            Some(directory) => Some(Source {
                directory,
                pin: self.config.rclone.pin,
                mount_parent: self.config.state_dir.below(&["pin"]),
            }),
            None => None,
        };
        let program = Program {
            what: what.to_owned(),
            argv: vec!["/proc/self/exe".to_owned()],
            source,
            tether: Tether::Tied,
            output: Output::Silent,
            profile: Profile::Entry(Box::new(Walk {
                path: path.clone(),
                work,
            })),
            home: self.home(Tether::Free)?,
        };
        let mut meter =
            progress.map(|(phase, total)| Meter::new(phase, total, None, self.host.now()));
        let mut outcome = None;
        let run = self.host.run_piped(
            &program,
            patience,
            &mut Relay,
            &mut |feed| {
                outcome = Some(hear(feed, meter.as_mut())?);
                Ok(())
            },
            &mut |_, _, _| Ok(Next::Enough),
        );
        let piped = run.map_err(|failure| match failure {
            Failure::Interrupted {
                cause: cause @ Interrupt::DeadlinePassed,
                ..
            } => Failure::Interrupted {
                what: format!(
                    "{what} ({path}; if its file system does not answer, look at its mounts)"
                ),
                cause,
            },
            other => other,
        })?;
        piped.read?;
        match outcome {
            Some(Line::Done(answer)) => Ok(answer),
            Some(Line::Failed(told)) => Err(told.failure()),
            _ => Err(Failure::Tool {
                what: what.to_owned(),
                detail: match piped.ended {
                    Some(ended) => ended.describe(),
                    None => "it gave no answer".into(),
                },
            }),
        }
    }
}

/// Reads lines until the last one, and reports the progress.
fn hear(feed: &mut dyn Feed, mut meter: Option<&mut Meter>) -> Result<Line, Failure> {
    let mut text: Vec<u8> = Vec::new();
    let mut buffer = vec![0_u8; 64 << 10];
    let mut last = Line::At(0);
    loop {
        let read = feed
            .read(&mut buffer)
            .map_err(Failure::io("reading what the walk says"))?;
        if read == 0 {
            return Ok(last);
        }
        text.extend_from_slice(buffer.get(..read).unwrap_or_default());
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            last = serde_json::from_slice(&line).map_err(|_| misunderstood())?;
            if let (Line::At(bytes), Some(meter)) = (&last, meter.as_deref_mut())
                && let Some(progress) = meter.tick(std::time::Instant::now(), *bytes, 0)
            {
                feed.say(Stream::Out, &progress.to_string());
            }
        }
        if text.len() > LONGEST {
            return Err(misunderstood());
        }
    }
}

fn misunderstood() -> Failure {
    Failure::Tool {
        what: "reading the data".into(),
        detail: "the process that reads it gave an answer that makes no sense".into(),
    }
}
