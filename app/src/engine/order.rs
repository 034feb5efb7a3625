//! The order to start a command, on its way from the runner to a supervisor that waits.
//!
//! Invariant: the first byte carries the descriptor for the command's output, and the text follows behind its length. So a
//! supervisor reads one order completely, and starts nothing when the runner died in the middle of one.

use nix::cmsg_space;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The byte that begins an order. Late orders to end the step before are skipped.
const LAUNCH: u8 = b'l';

/// A command to start.
#[derive(Debug)]
pub(super) struct StepCommand {
    pub(super) dir: OsString,
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    /// The writing end of the pipe for the command's output.
    pub(super) output: File,
}

/// The text of an order, behind its length.
pub(super) fn text(
    dir: &Path,
    program: &str,
    args: &[String],
    env: &BTreeMap<String, String>,
) -> io::Result<Vec<u8>> {
    let mut text = vec![0; 4];
    let mut add = |field: &[u8]| {
        text.extend(length(field.len())?);
        text.extend(field);
        Ok::<(), io::Error>(())
    };
    add(&length(args.len())?)?;
    add(dir.as_os_str().as_bytes())?;
    add(program.as_bytes())?;
    for arg in args {
        add(arg.as_bytes())?;
    }
    for (key, value) in env {
        add(key.as_bytes())?;
        add(value.as_bytes())?;
    }
    let size = length(text.len() - 4)?;
    text[..4].copy_from_slice(&size);
    Ok(text)
}

fn length(count: usize) -> io::Result<[u8; 4]> {
    let count = u32::try_from(count).map_err(io::Error::other)?;
    Ok(count.to_le_bytes())
}

/// Sends the first byte of an order, with the descriptor for the output.
pub(super) fn begin(socket: &impl AsRawFd, output: &OwnedFd) -> io::Result<()> {
    let descriptors = [output.as_raw_fd()];
    let parts = [IoSlice::new(&[LAUNCH])];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(
        socket.as_raw_fd(),
        &parts,
        &rights,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Waits for the next order; none when the runner is gone or needs this supervisor no more.
pub(super) fn receive(socket: &mut UnixStream) -> io::Result<Option<StepCommand>> {
    let output = loop {
        match first_byte(socket)? {
            None => return Ok(None),
            Some((LAUNCH, Some(output))) => break output,
            // An order to end the step that ended by itself meanwhile.
            Some(_) => {}
        }
    };
    let output = reopen(output)?;
    let mut size = [0; 4];
    socket.read_exact(&mut size)?;
    let mut text = vec![0; usize::try_from(u32::from_le_bytes(size)).map_err(io::Error::other)?];
    socket.read_exact(&mut text)?;
    let mut fields = OrderFields(&text);
    let count = fields.next().and_then(number);
    let (Some(count), Some(dir), Some(program)) = (count, fields.next(), fields.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let owned = |field: &[u8]| OsString::from_vec(field.to_vec());
    let args = fields.by_ref().take(count).map(owned).collect();
    let mut env = Vec::new();
    while let (Some(key), Some(value)) = (fields.next(), fields.next()) {
        env.push((owned(key), owned(value)));
    }
    Ok(Some(StepCommand {
        dir: owned(dir),
        program: owned(program),
        args,
        env,
        output,
    }))
}

fn first_byte(socket: &UnixStream) -> io::Result<Option<(u8, Option<RawFd>)>> {
    let mut byte = [0];
    let mut space = cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let output = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    let read = message.bytes;
    Ok((read == 1).then_some((byte[0], output)))
}

/// Opens the pipe behind a received descriptor once more, as an owned file. A pipe whose reader is gone is an error
/// (fifo(7), "O_NONBLOCK"), and the command gets a pipe that blocks, as from a shell.
fn reopen(received: RawFd) -> io::Result<File> {
    let opened = File::options()
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(format!("/proc/self/fd/{received}"));
    nix::unistd::close(received)?;
    let opened = opened?;
    fcntl(opened.as_fd(), FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(opened)
}

fn number(field: &[u8]) -> Option<usize> {
    let bytes: [u8; 4] = field.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// The fields of a text, one after the other.
struct OrderFields<'a>(&'a [u8]);

impl<'a> Iterator for OrderFields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (size, rest) = self.0.split_at_checked(4)?;
        let (field, rest) = rest.split_at_checked(number(size)?)?;
        self.0 = rest;
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    proptest! {
        #[test]
        fn an_order_arrives_as_it_was_sent_behind_late_orders(
            late in 0usize..3,
            program in ".*",
            args in prop::collection::vec(".*", 0..5),
            env in prop::collection::btree_map(".*", ".*", 0..5),
        ) {
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            let (mut reader, writer) = std::io::pipe().unwrap();
            ours.write_all(&b"kt"[..late.min(2)]).unwrap();
            begin(&ours, &OwnedFd::from(writer)).unwrap();
            ours.write_all(&text(Path::new("/a b"), &program, &args, &env).unwrap()).unwrap();
            drop(ours);
            let order = receive(&mut theirs).unwrap().unwrap();
            prop_assert_eq!(order.dir, "/a b");
            prop_assert_eq!(order.program, OsString::from(program));
            prop_assert_eq!(order.args, args.into_iter().map(OsString::from).collect::<Vec<_>>());
            let env: Vec<_> = env.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
            prop_assert_eq!(order.env, env);
            (&order.output).write_all(b"printed").unwrap();
            drop(order.output);
            let mut printed = String::new();
            reader.read_to_string(&mut printed).unwrap();
            prop_assert_eq!(printed, "printed");
            prop_assert!(receive(&mut theirs).unwrap().is_none());
        }
    }
}
