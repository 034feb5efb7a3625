//! One rclone process for all requests of an action to a remote: it looks up each folder once, and signs in once.
//!
//! If rclone is too old for this, or the action has not asked for it, each task is a run of its own.
//!
//! Invariant: the process is confined like a run with the same access, and a task that needs another access is a run of
//! its own. A process that ended is started again with the next try.

pub(crate) use super::context::Reach;
use super::context::{Context, OneProcess};
use super::remote::{Access, Task};
use base::error::{Failure, Interrupt};
use base::scratch::Scratch;
use host::program::{Output, Profile, Program};
use host::socket::Socket;
use host::{Ended, Exit, Patience, Request};
use rclone::call::PROGRESS;
use rclone::place::Place;
use rclone::version::ONE_PROCESS;
use rclone::{Call, Listener};

impl Reach {
    fn access(&self) -> Access<'_> {
        match self {
            Self::Remote => Access::Remote,
            Self::Reads(folder) => Access::Reads(folder),
        }
    }

    /// True if the process may do a task with this access.
    fn covers(&self, access: Access<'_>) -> bool {
        match (self, access) {
            (_, Access::Remote) => true,
            (Self::Reads(ours), Access::Reads(folder)) => ours == folder,
            _ => false,
        }
    }
}

impl Context<'_> {
    /// Starts to send the tasks of this action to one process where possible, if rclone is new enough.
    pub(super) fn begin_one_process(
        &mut self,
        reach: Reach,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        self.begin(reach, false, patience)
    }

    /// Does the same for an action that reports a remote that does not answer, and does not wait for it.
    pub(super) fn begin_brief_process(
        &mut self,
        reach: Reach,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        self.begin(reach, true, patience)
    }

    fn begin(
        &mut self,
        reach: Reach,
        asks_briefly: bool,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let version = match self.rclone_version(patience) {
            // rclone does not report its version in time; the work itself may take longer.
            Err(Failure::Interrupted {
                cause: Interrupt::DeadlinePassed,
                ..
            }) if self.host.now() < patience.until => None,
            asked => asked?,
        };
        self.end_one_process();
        if version.is_some_and(|version| version >= ONE_PROCESS) {
            self.one_process = Some(OneProcess {
                reach,
                asks_briefly,
                requests: 0,
            });
        }
        Ok(())
    }

    /// From here on, each task is a run of its own.
    pub(super) fn end_one_process(&mut self) {
        self.one_process = None;
        self.host.end_server();
    }

    /// True if there is one process that may do tasks with this access.
    pub(super) fn is_one_process(&self, access: Access<'_>) -> bool {
        let one = self.one_process.as_ref();
        one.is_some_and(|one| one.reach.covers(access))
    }

    /// Asks the one process, and tries again as often as a run would.
    pub(super) fn ask_one_process(
        &mut self,
        task: &Task<'_>,
        call: &Call,
        heard: &mut Listener,
        patience: &Patience<'_>,
    ) -> Result<Ended, Failure> {
        let mut tried = 0;
        loop {
            let ended = self.ask_once(task, call, heard, patience)?;
            tried += 1;
            if tried >= self.tries(task, call, &ended, heard) {
                return Ok(ended);
            }
            self.host
                .pause(call.between, patience)
                .map_err(|cause| Failure::Interrupted {
                    what: task.what.to_owned(),
                    cause,
                })?;
        }
    }

    /// The number of tries after this end. An unknown error may pass: if the remote fails while rclone looks for a
    /// folder, rclone takes the folder for a file and reports that.
    fn tries(&self, task: &Task<'_>, call: &Call, ended: &Ended, heard: &Listener) -> u8 {
        let missing = matches!(ended.exit, Exit::Code(3 | 4));
        let waits = !heard.throttled_for(self.host.now()).is_zero();
        if missing || waits {
            return 1;
        }
        match self.judge(task, ended, heard) {
            Err(failure @ Failure::Remote { .. }) if rclone::passing(&failure).is_some() => {
                call.tries
            }
            Err(Failure::Tool { .. }) => call.tries.max(2),
            _ => 1,
        }
    }

    fn ask_once(
        &mut self,
        task: &Task<'_>,
        call: &Call,
        heard: &mut Listener,
        patience: &Patience<'_>,
    ) -> Result<Ended, Failure> {
        let Some(one) = &mut self.one_process else {
            return Err(Failure::Tool {
                what: task.what.to_owned(),
                detail: "there is no process to be asked".into(),
            });
        };
        one.requests += 1;
        let (kept, group) = (one.clone(), one.requests.to_string());
        self.start_server(task, &kept, patience)?;
        let body = call.body(&group);
        let question = serde_json::json!({ "group": group }).to_string();
        let request = Request {
            what: task.what,
            path: call.path,
            body: &body,
            progress: (task.output == Output::Relayed).then_some((PROGRESS, question.as_bytes())),
            output: task.output,
        };
        let answered = self.host.request(&request, patience, heard)?;
        let before = heard.errors().len();
        let ended = call.end(answered, heard);
        if task.output == Output::Relayed {
            for error in heard.errors().get(before..).unwrap_or_default() {
                self.host
                    .say(base::reply::Stream::Err, &format!("error: {error}"));
            }
        }
        Ok(ended)
    }

    /// Starts the process, unless it runs already.
    pub(super) fn start_server(
        &mut self,
        task: &Task<'_>,
        one: &OneProcess,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        if self.host.has_server() {
            return Ok(());
        }
        let (program, socket) = self.server(task, one, patience)?;
        self.host.start_server(program, socket, patience)
    }

    /// The one process, and the address of the task's file in it; `None` if a run has to read the file.
    pub(super) fn address(&self, task: &Task<'_>) -> Option<(String, OneProcess)> {
        let one = self.one_process.as_ref()?;
        let address = Place::of(self.config, task.remote).address()?;
        one.reach
            .covers(task.access)
            .then(|| (address, one.clone()))
    }

    /// The process, ready to be started, and its socket.
    fn server(
        &self,
        task: &Task<'_>,
        one: &OneProcess,
        patience: &Patience<'_>,
    ) -> Result<(Program<'static>, Socket), Failure> {
        let argv = rclone::serve(self.config, one.asks_briefly);
        let access = one.reach.access();
        let program = self.transfer_with(task, argv, access, patience)?;
        let parent = self.config.state_dir.below(&["tmp"]);
        let failure = || Failure::io(format!("a socket in {parent}"));
        let folder = Scratch::take(&parent).map_err(failure())?;
        let (socket, listener) = Socket::new(folder.fd()).map_err(failure())?;
        // A `Program` with a source would borrow from that source; this one has none.
        let Program {
            what,
            argv,
            tether,
            output,
            profile,
            home,
            source: _,
        } = program;
        let profile = match profile {
            Profile::Transfer(mut transfer) => {
                transfer.socket = Some(listener);
                transfer.confinement.answers = true;
                Profile::Transfer(transfer)
            }
            other => other,
        };
        let program = Program {
            what,
            argv,
            source: None,
            tether,
            output,
            profile,
            home,
        };
        Ok((program, socket))
    }
}
