//! System call filters: which parts of the kernel a process can talk to at all.
//!
//! [`for_transfers`] removes the rest of root's powers from rclone, beyond capabilities and Landlock: the sockets of
//! root's services (systemd and D-Bus obey uid 0), the permissions of root's files, root's other processes.
//! [`for_thinking`] leaves a thread only its memory.
//!
//! Invariant: a denied call fails with an error that programs can handle. The filter kills only a program that calls
//! the kernel by the conventions of another architecture.

mod inspection;
mod tables;

use std::collections::BTreeMap;

use nix::libc;
use nix::sys::prctl::set_no_new_privs;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

use base::sort;
pub use inspection::for_inspection;
use tables::{
    DENIED, DENIED_HERE, DEVICE_REQUESTS, FILE_COMMANDS, MODES, THINKING, TIMES, UNKNOWN,
};

type SyscallRules = BTreeMap<i64, Vec<SeccompRule>>;

fn refused(error: impl std::fmt::Display) -> String {
    format!("seccomp: {error}")
}

/// Removes from this process, and from the program that it becomes, all calls that no transfer needs.
///
/// A transfer that answers may accept connections on the socket that it was given. It can make no other one, because
/// listen(2) stays denied.
///
/// # Errors
/// When the kernel refused.
pub fn for_transfers(sets_times: bool, answers: bool) -> Result<(), String> {
    // Without it only root may filter; for root it keeps programs from regaining anything.
    set_no_new_privs().map_err(|errno| refused(errno.desc()))?;
    let whole =
        |numbers: &[i64]| -> SyscallRules { sort::map(numbers.iter().map(|&n| (n, Vec::new()))) };
    let mut denied = whole(DENIED);
    denied.append(&mut whole(DENIED_HERE));
    if answers {
        denied.remove(&libc::SYS_accept4);
    }
    if !sets_times {
        denied.append(&mut whole(TIMES));
    }
    denied.append(&mut conditional()?);
    for (rules, action) in [
        (denied, libc::EPERM),
        (whole(UNKNOWN), libc::ENOSYS),
        // It is told that it was done. rclone gives its new configuration the mode of the old one, which the
        // file has already, and would complain every time.
        (whole(MODES), 0),
    ] {
        install(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(action.unsigned_abs()),
        )?;
    }
    Ok(())
}

/// Leaves this thread its memory, and nothing else: no file, no process, no socket.
///
/// # Errors
/// When the kernel refused.
pub fn for_thinking() -> Result<(), String> {
    let rules = THINKING.iter().map(|&n| (n, Vec::new())).collect();
    install(
        rules,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
    )
}

/// Denied for some arguments.
fn conditional() -> Result<SyscallRules, String> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let own = u64::from(std::process::id());
    let number = |number: i32| u64::from(number.unsigned_abs());
    let when = |conditions: &[(u8, SeccompCmpOp, u64)]| {
        let conditions: Result<Vec<_>, _> = conditions
            .iter()
            .map(|(argument, operator, value)| {
                SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
            })
            .collect();
        SeccompRule::new(conditions.map_err(refused)?).map_err(refused)
    };
    let family = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(number);
    let [a, b, c] = family;
    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ]
    .map(number);
    // Opened for reading, and emptied: older Landlocks take that for reading.
    let emptying = number(libc::O_TRUNC | libc::O_ACCMODE);
    let empties = |argument| when(&[(argument, MaskedEq(emptying), number(libc::O_TRUNC))]);
    let rules = [
        // Only families that lead to other hosts, and the list of routes.
        (
            libc::SYS_socket,
            vec![
                when(&[(0, Ne, a), (0, Ne, b), (0, Ne, c)])?,
                when(&[
                    (0, Eq, number(libc::AF_NETLINK)),
                    (2, Ne, number(libc::NETLINK_ROUTE)),
                ])?,
            ],
        ),
        // execve(2) keeps the process id, so rclone's own is known here.
        (libc::SYS_kill, vec![when(&[(0, Ne, own)])?]),
        (libc::SYS_tgkill, vec![when(&[(0, Ne, own)])?]),
        (
            libc::SYS_prlimit64,
            vec![when(&[(0, Ne, 0), (0, Ne, own)])?],
        ),
        (
            libc::SYS_clone,
            namespaces
                .iter()
                .map(|&flag| when(&[(0, MaskedEq(flag), flag)]))
                .collect::<Result<_, _>>()?,
        ),
        (libc::SYS_openat, vec![empties(2)?]),
        // Other commands make the kernel signal any process (F_SETOWN, F_SETSIG), or tell of other programs' files.
        (libc::SYS_fcntl, vec![none_of(1, FILE_COMMANDS)?]),
        // Other requests do the same (FIOSETOWN, SIOCSPGRP), or type into terminals (TIOCSTI).
        (libc::SYS_ioctl, vec![none_of(1, DEVICE_REQUESTS)?]),
    ];
    let rules = sort::map(rules.into_iter());
    #[cfg(target_arch = "x86_64")]
    let rules = {
        let mut rules = rules;
        rules.insert(libc::SYS_open, vec![empties(1)?]);
        rules
    };
    Ok(rules)
}

/// Matches when the 32-bit argument has none of these values.
fn none_of(argument: u8, values: &[u64]) -> Result<SeccompRule, String> {
    let different = |&value: &u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
    };
    let conditions: Result<Vec<_>, _> = values.iter().map(different).collect();
    SeccompRule::new(conditions.map_err(refused)?).map_err(refused)
}

fn install(
    rules: SyscallRules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<(), String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(refused)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture).map_err(refused)?;
    let compiled: BpfProgram = filter.try_into().map_err(refused)?;
    let mut program = without_x32();
    program.extend(compiled);
    apply_filter(&program).map_err(refused)
}

/// x86 has a second set of numbers for the same calls (x32), which a list of numbers would miss.
fn without_x32() -> BpfProgram {
    // See seccomp(2): the call's number is the first word; BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JGE|BPF_K, BPF_RET|BPF_K.
    const X32: u32 = 0x4000_0000;
    const FAIL: u32 = 0x0005_0000;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    if cfg!(target_arch = "x86_64") {
        vec![
            step(0x20, 0, 0, 0),
            step(0x35, 0, 1, X32),
            step(0x06, 0, 0, FAIL | libc::ENOSYS.unsigned_abs()),
        ]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the work in a thread of its own, so that the filter ends with the thread.
    pub(super) fn confined<T: Send + 'static>(
        filter: fn() -> Result<(), String>,
        then: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        std::thread::spawn(move || {
            filter().unwrap();
            then()
        })
        .join()
        .unwrap()
    }

    #[test]
    fn a_thinking_thread_can_think_and_nothing_else() {
        let sum: usize = confined(for_thinking, || {
            (0..100_000).map(|n| n.to_string().len()).sum()
        });
        assert_eq!(sum, 488_890);
        let opened = confined(for_thinking, || std::fs::File::open("/dev/null").is_ok());
        assert!(!opened);
        let started = confined(for_thinking, || {
            std::thread::Builder::new().spawn(|| ()).is_ok()
        });
        assert!(!started);
    }

    #[test]
    fn a_transfer_cannot_change_modes_and_is_told_that_it_did() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let before = std::fs::metadata(&path).unwrap().permissions().mode();
        let said = confined(
            || for_transfers(false, false),
            move || std::fs::set_permissions(path, PermissionsExt::from_mode(0o4777)).is_ok(),
        );
        assert!(said);
        assert_eq!(
            file.as_file().metadata().unwrap().permissions().mode(),
            before
        );
    }
}
