//! System call filters: which parts of the kernel a process can talk to at all.
//!
//! [`for_transfers`] takes from rclone what neither capabilities nor Landlock take from a process of root's: the
//! sockets of root's services (systemd and D-Bus do for uid 0 whatever it asks), the permissions of root's files,
//! root's other processes. [`for_thinking`] leaves a thread nothing but its memory.
//!
//! Invariant: what is denied fails with an error that programs know how to take; nothing is killed for it, save a
//! program that calls the kernel by the conventions of another architecture.

mod inspection;

use std::collections::BTreeMap;

use nix::libc;
use nix::sys::prctl::set_no_new_privs;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

pub use inspection::for_inspection;

/// Never needed by a transfer, whatever their arguments.
const DENIED: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    PROCESS_MRELEASE,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // Users and capabilities.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_personality,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_syslog,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    // Files: what their owner may do although Landlock does not let it open them.
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    FILE_SETATTR,
    libc::SYS_truncate,
    libc::SYS_mknodat,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_execveat,
    // Talking to other programs of this host.
    libc::SYS_socketpair,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// The same, by the older calls that only x86 still has.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[i64] = &[
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_mknod,
    libc::SYS_inotify_init,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_nfsservctl,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[i64] = &[];

/// Setting the times of files.
#[cfg(target_arch = "x86_64")]
const TIMES: &[i64] = &[
    libc::SYS_utimensat,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_utime,
];
#[cfg(not(target_arch = "x86_64"))]
const TIMES: &[i64] = &[libc::SYS_utimensat];

/// Setting the permissions of files.
#[cfg(target_arch = "x86_64")]
const MODES: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
];
#[cfg(not(target_arch = "x86_64"))]
const MODES: &[i64] = &[libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2];

/// Calls whose arguments lie in memory, where no filter can look at them. Programs fall back on older ones when
/// the kernel does not know them.
const UNKNOWN: &[i64] = &[libc::SYS_clone3, libc::SYS_openat2];

// Newer than the constants of the C libraries; since 424 all architectures count alike.
const KEXEC_FILE_LOAD: i64 = if cfg!(target_arch = "x86_64") {
    320
} else {
    294
};
const QUOTACTL_FD: i64 = 443;
const PROCESS_MRELEASE: i64 = 448;
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const OPEN_TREE_ATTR: i64 = 467;
const FILE_SETATTR: i64 = 469;

/// What takes memory, waits for a lock, and ends a thread.
const THINKING: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_exit,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn refused(error: impl std::fmt::Display) -> String {
    format!("seccomp: {error}")
}

/// Takes from this process, and from what it becomes, what a transfer has no business with.
///
/// # Errors
/// When the kernel refused.
pub fn for_transfers(sets_times: bool) -> Result<(), String> {
    // Without it only root may filter; for root it keeps programs from regaining anything.
    set_no_new_privs().map_err(|errno| refused(errno.desc()))?;
    let whole = |numbers: &[i64]| -> Rules { numbers.iter().map(|&n| (n, Vec::new())).collect() };
    let mut denied = whole(DENIED);
    denied.append(&mut whole(DENIED_HERE));
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
fn conditional() -> Result<Rules, String> {
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
    let rules = Rules::from([
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
        // execve(2) keeps the process id, so it is known what rclone's own will be.
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
    ]);
    #[cfg(target_arch = "x86_64")]
    let rules = {
        let mut rules = rules;
        rules.insert(libc::SYS_open, vec![empties(1)?]);
        rules
    };
    Ok(rules)
}

fn install(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<(), String> {
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

    /// In a thread of its own, which takes the filter with it.
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
            || for_transfers(false),
            move || std::fs::set_permissions(path, PermissionsExt::from_mode(0o4777)).is_ok(),
        );
        assert!(said);
        assert_eq!(
            file.as_file().metadata().unwrap().permissions().mode(),
            before
        );
    }
}
