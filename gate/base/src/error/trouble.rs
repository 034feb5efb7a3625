//! The reasons for which a remote does not do its part, with the words for people.
//!
//! Invariant: each reason names the next step.

use std::fmt;

use crate::names::PlainPath;

/// A reason for which a remote did not do its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Too many requests.
    Throttled,
    /// The stored sign-in is no longer accepted.
    SignIn {
        /// The command that renews it.
        renew: String,
    },
    /// The sign-in could not be renewed, and the reason is not known.
    Renewal {
        /// The command that makes a new one.
        renew: String,
    },
    /// The transfer carried the sign-in to a host that refuses it, as an old rclone does.
    OldRclone {
        /// The program.
        program: PlainPath,
        /// The program to set in its place.
        better: &'static str,
    },
    /// `drive_id` names a drive that is not for files.
    WrongDrive {
        /// The command that asks for the drive again.
        choose: String,
    },
    /// It may read and not write.
    AccessDenied {
        /// The command that makes a new sign-in.
        renew: String,
    },
    /// rclone's configuration does not know the remote.
    NotSetUp {
        /// The remote's name.
        name: String,
        /// The command that makes it.
        create: String,
    },
    /// No way to get there.
    Unreachable,
    /// Connections break, or the remote has an error of its own.
    Broken,
    /// The certificate was not accepted.
    Certificate,
    /// It was denied a port.
    PortClosed,
    /// It was denied a file or a folder of this host.
    FileClosed,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttled => f.write_str(
                "the remote is overloaded or asks to be asked less often (throttled); run it again later, and if this comes back lower rclone.tpslimit, transfers and checkers",
            ),
            Self::SignIn { renew } => write!(
                f,
                "the remote no longer accepts the stored sign-in; renew it on the host with `{renew}`"
            ),
            Self::Renewal { renew } => write!(
                f,
                "the stored sign-in could not be renewed; run it again later, and if this comes back renew it on the host with `{renew}`"
            ),
            Self::OldRclone { program, better } => write!(
                f,
                "Microsoft refused a transfer because it carried the sign-in, as transfers of rclone before 1.67 do; {program} is too old for this account: set rclone.program = \"{better}\" (a release brings it), or install a newer rclone there"
            ),
            Self::WrongDrive { choose } => write!(
                f,
                "drive_id in rclone's configuration names a drive that cannot hold files; choose the drive called OneDrive, of type personal or business, on the host with `{choose}`"
            ),
            Self::AccessDenied { renew } => write!(
                f,
                "the remote refuses to store files: its sign-in may only read, or the account is locked; sign in again with the right to write on the host with `{renew}`"
            ),
            Self::NotSetUp { name, create } => write!(
                f,
                "rclone knows no remote '{name}'; set it up on the host with `{create}`"
            ),
            Self::Unreachable => f.write_str(
                "the remote cannot be reached; check the network and the name resolution of this host, then run it again",
            ),
            Self::Broken => f.write_str(
                "connections to the remote break, or it has an error of its own; run it again later",
            ),
            Self::Certificate => f.write_str(
                "the remote's certificate was not accepted; check this host's clock and its package ca-certificates",
            ),
            Self::PortClosed => f.write_str(
                "rclone may connect only to the ports in rclone.ports; add the remote's to that list in the gate's configuration",
            ),
            Self::FileClosed => f.write_str(
                "rclone may open only its source and its own configuration; name a folder that the remote leads to in rclone.local_folders, and files that rclone.conf refers to in rclone.helpers",
            ),
        }
    }
}
