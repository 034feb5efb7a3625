//! One attempt, and the line that tells how it ended.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

pub(crate) const CONFIGURATION: &str = "/proc/self/fd/8/rclone.conf";

/// An instruction.
pub(crate) fn said(name: &str) -> String {
    let text = fs::read_to_string(CONFIGURATION).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(" = "))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .unwrap_or_default()
}

pub(crate) fn say_line(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

pub(crate) fn tell(name: &str, outcome: &str) {
    say_line(&format!("probe\t{name}\t{outcome}"));
}

pub(crate) fn attempt<T>(name: &str, result: io::Result<T>) {
    let outcome = match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(code) => format!("{:?}", Errno::from_raw(code)),
            None => error.to_string(),
        },
    };
    tell(name, &outcome);
}

pub(crate) fn read(name: &str, path: impl AsRef<Path>) {
    let opened = File::open(path).and_then(|mut file| file.read(&mut [0; 1]));
    attempt(name, opened);
}

pub(crate) fn list(name: &str, path: impl AsRef<Path>) {
    attempt(name, fs::read_dir(path));
}

pub(crate) fn make(name: &str, folder: impl AsRef<Path>) {
    let path = folder.as_ref().join("probe-was-here");
    attempt(name, File::create_new(&path));
    let _ = fs::remove_file(path);
}

/// A file that somebody else may have, opened to be changed; it is not.
pub(crate) fn change(name: &str, path: impl AsRef<Path>) {
    attempt(name, OpenOptions::new().append(true).open(path));
}

pub(crate) fn raw(name: &str, number: i64, [a, b, c, d, e]: [i64; 5]) {
    // SAFETY: none of these arguments points anywhere; a call that wants to read or write memory is given null.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    if let Ok(fd) = i32::try_from(result)
        && fd > 2
    {
        let _ = nix::unistd::close(fd);
    }
    attempt(name, Errno::result(result).map_err(Into::into));
}

pub(crate) fn pointer(name: &str, number: i64, path: &CString) {
    // SAFETY: the path ends with a zero, and there is no name and no value.
    let result = unsafe { libc::syscall(number, path.as_ptr(), 0, 0, 0, 0) };
    attempt(name, Errno::result(result).map_err(Into::into));
}

/// A call on a descriptor that reads one number.
pub(crate) fn word(name: &str, number: i64, fd: i64, request: i64, value: &mut i32) {
    // SAFETY: `value` is a number that lives longer than the call, and no request here reads or writes more than it.
    let result = unsafe { libc::syscall(number, fd, request, std::ptr::from_mut(value)) };
    attempt(name, Errno::result(result).map_err(Into::into));
}
