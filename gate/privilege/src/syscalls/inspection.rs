//! The calls that are left to a process that looks at a database: unlike with a transfer, all that it needs is known.
//!
//! Invariant: no other process, no socket, no program, and no change of the owner or mode of a file.

use nix::libc;
use nix::sys::prctl::set_no_new_privs;
use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::{THINKING, install, refused};
use base::sort;

/// Newer than the constants of the C libraries; since 424 all architectures count alike.
const FACCESSAT2: i64 = 439;

/// Calls that SQLite makes on a file, and calls to print a line and to end.
const INSPECTING: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    FACCESSAT2,
    libc::SYS_unlinkat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_getcwd,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_ppoll,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_rt_sigaction,
    libc::SYS_exit_group,
];

/// The same, by the older calls that only x86 still has.
#[cfg(target_arch = "x86_64")]
const INSPECTING_HERE: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_readlink,
    libc::SYS_access,
    libc::SYS_unlink,
    libc::SYS_poll,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const INSPECTING_HERE: &[i64] = &[];

/// Leaves this process its memory, and the files that Landlock lets it open.
///
/// # Errors
/// When the kernel refused.
pub fn for_inspection() -> Result<(), String> {
    set_no_new_privs().map_err(|errno| refused(errno.desc()))?;
    let all = [THINKING, INSPECTING, INSPECTING_HERE].concat();
    let mut rules = sort::map(all.into_iter().map(|number| (number, Vec::new())));
    // Its other commands can have signals sent to root's processes.
    let commands = [
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_GETLK,
        libc::F_SETLK,
    ];
    let command = |command: &i32| {
        let number = u64::from(command.unsigned_abs());
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(refused)
    };
    let commands = commands.iter().map(command).collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_fcntl, commands);
    install(
        rules,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::confined;
    use super::*;

    #[test]
    fn an_inspection_reads_and_writes_files_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let written = confined(for_inspection, move || std::fs::write(&path, "x").is_ok());
        assert!(written);
        assert_eq!(std::fs::read(file.path()).unwrap(), b"x");
        let connected = || std::os::unix::net::UnixDatagram::unbound().is_ok();
        assert!(!confined(for_inspection, connected));
        let bound = || std::net::TcpListener::bind("127.0.0.1:0").is_ok();
        assert!(!confined(for_inspection, bound));
        let started = || std::thread::Builder::new().spawn(|| ()).is_ok();
        assert!(!confined(for_inspection, started));
        let signalled = || nix::sys::signal::kill(nix::unistd::getppid(), None).is_ok();
        assert!(!confined(for_inspection, signalled));
        let path = file.path().to_owned();
        let chowned = move || std::os::unix::fs::chown(path, Some(0), None).is_ok();
        assert!(!confined(for_inspection, chowned));
    }
}
