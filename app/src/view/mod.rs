//! What goes over the wire: the shapes of the API, which the CLI and exports use too.
//!
//! Only here are values serialised. What comes in turns into a domain type or into a
//! list of refused fields; what goes out is made from domain types.

mod access;
mod audit;
mod document;
mod log;
mod notification;
mod problem;
mod run;
mod server;
mod settings;
mod task;
mod time;

pub use crate::domain::definition::{Args, StepBody, TaskBody};
pub use crate::domain::target::TargetBody;
pub use access::{
    DEFAULT_TOKEN_DAYS, NewToken, NewUser, OwnPassword, PasswordBody, SessionList, SessionView,
    TokenBody, TokenList, TokenView, UserList, UserPatch, UserView,
};
pub use audit::{AuditList, AuditView, FieldChangeView, differences};
pub use document::{BackupBody, Document, ImportReport, Imported};
pub use log::{LogChunk, LogEnd, LogGap, LogMatches, LogPart, ProgressView, TimeMark};
pub use notification::{
    ChannelBody, ChannelList, ChannelView, DeliveryList, DeliveryView, NoticeView,
};
pub use problem::{Problem, ProblemField};
pub use run::{CancelBody, RetryBody, RunList, RunView, StepRunView, Triggered};
pub use server::{CertificateBody, CertificateView, SettingsBody, SnapshotList, SnapshotView};
pub use settings::{
    InstallBody, LibraryList, LibraryView, PoolBody, PoolList, PoolView, ScriptList, ScriptRunBody,
    ScriptView, VariableBody, VariableList, VariableView,
};
pub use task::{DamagedTaskView, PauseBody, PausedTasks, TaskList, TaskPatch, TaskView};
pub(crate) use time::rfc3339;
