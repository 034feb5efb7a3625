//! Extended attributes and ACLs, read from and written to a descriptor.
//!
//! The descriptor may be one of O_PATH, for a link or a named pipe: it is reached through `/proc/self/fd`, which leads
//! to the opened file and not to the present owner of the name.
//!
//! Invariant: attributes that do not fit into [`MAX_BYTES`], or are of no use on another host, are left out; the
//! caller is told.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr};
use rustix::io::Errno;

use super::acl;
use super::entry::Attributes;
use base::sort;

/// Limit for one file's attributes. Real files stay far below; the owner of a data directory on XFS could make it
/// gigabytes.
pub const MAX_BYTES: usize = 512 << 10;

/// The attribute of a program with capabilities, see capabilities(7).
pub(super) const CAPABILITY: &[u8] = b"security.capability";

/// The kernel's limit for one value, and for all names together.
const KERNEL_LIMIT: usize = 64 << 10;

fn path(fd: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// The attributes worth keeping.
#[derive(Debug, Default)]
pub struct Found {
    /// Those.
    pub attributes: Attributes,
    /// True if some were left out because there are too many.
    pub cut: bool,
}

/// True for the attributes of users and programs, and ACLs. Others below `system.` belong to one file system.
fn kept(name: &[u8]) -> bool {
    [&b"user."[..], b"trusted.", b"security."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || name == acl::ACCESS
        || name == acl::DEFAULT
}

/// Enough for the names, or one value, of nearly every file.
const USUAL: usize = 1024;

/// Calls until the answer fits: first with a small buffer, then with one of the kernel's limit.
///
/// An empty buffer asks for the length in C. In rustix it means "nothing fits" and the answer is 0: the first release of
/// the gate took that for "no attributes" and stored none.
fn fitting(
    large: &mut Vec<u8>,
    mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    let mut usual = [0; USUAL];
    let (buffer, length) = match call(&mut usual) {
        Err(Errno::RANGE) => {
            large.resize(KERNEL_LIMIT, 0);
            let length = call(large)?;
            (large.as_slice(), length)
        }
        answer => (&usual[..], answer?),
    };
    Ok(buffer.get(..length).unwrap_or_default().to_vec())
}

/// Reads the attributes of the file behind a descriptor.
///
/// # Errors
/// When the file system has some and does not give them.
pub fn read(fd: &impl AsFd) -> rustix::io::Result<Found> {
    let path = path(fd);
    let mut large = Vec::new();
    let mut found = Found::default();
    let list = match fitting(&mut large, |buffer| listxattr(&path, buffer)) {
        Ok(list) => list,
        Err(Errno::OPNOTSUPP) => return Ok(found),
        // More names than the kernel hands out: ACLs and capabilities are asked for by name.
        Err(Errno::TOOBIG) => {
            found.cut = true;
            [acl::ACCESS, acl::DEFAULT, CAPABILITY].join(&0)
        }
        Err(errno) => return Err(errno),
    };
    let mut total = 0;
    for name in list.split(|&byte| byte == 0).filter(|name| kept(name)) {
        let Ok(key) = CString::new(name) else {
            continue;
        };
        let value = match fitting(&mut large, |buffer| getxattr(&path, &key, buffer)) {
            Ok(value) => value,
            // Removed since, or (`trusted.`) not for an ordinary user.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => continue,
            Err(errno) => return Err(errno),
        };
        total += name.len() + value.len();
        if total > MAX_BYTES {
            found.cut = true;
            break;
        }
        let is_acl = name == acl::ACCESS || name == acl::DEFAULT;
        if is_acl && acl::to_text(&value).is_none() {
            found.cut = true;
            continue;
        }
        found.attributes.0.push((name.to_vec(), value));
    }
    sort::sort(&mut found.attributes.0);
    Ok(found)
}

/// Sets attributes; returns the names of those that this system or user cannot set.
pub fn write(fd: &impl AsFd, attributes: &Attributes) -> Vec<String> {
    let path = path(fd);
    let mut refused = Vec::new();
    for (name, value) in &attributes.0 {
        let set = match CString::new(name.as_slice()) {
            Ok(key) if kept(name) => setxattr(&path, &key, value, XattrFlags::empty()),
            _ => Err(Errno::INVAL),
        };
        if set.is_err() {
            refused.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    refused
}

/// Removes an attribute that the original of a copy does not have; one that stays is found when the copy is compared.
pub(super) fn remove(fd: &impl AsFd, name: &[u8]) {
    if let Ok(key) = CString::new(name) {
        let _ = removexattr(path(fd), &key);
    }
}
