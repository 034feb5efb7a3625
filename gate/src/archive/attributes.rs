//! Extended attributes and ACLs, read from and written to a descriptor.
//!
//! The descriptor may be one of O_PATH, for a link or a named pipe: it is reached through `/proc/self/fd`, which
//! leads to what was opened and not to what bears its name by now.
//!
//! Invariant: what does not fit into [`MAX_BYTES`], or is of no use on another host, is left out; the caller is told.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};
use rustix::io::Errno;

use super::acl;
use super::entry::Attributes;

/// The most that is kept of one file's attributes. Nobody has that much; whoever owns a data directory on XFS
/// could make it gigabytes.
pub const MAX_BYTES: usize = 512 << 10;

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
    /// Whether some were left out because there are too many.
    pub cut: bool,
}

/// Whether an attribute is kept: those of users and programs, and ACLs. Others below `system.` belong to one file
/// system.
fn kept(name: &[u8]) -> bool {
    [&b"user."[..], b"trusted.", b"security."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || name == acl::ACCESS
        || name == acl::DEFAULT
}

/// Reads the attributes of what a descriptor leads to.
///
/// # Errors
/// When the file system has some and does not give them.
pub fn read(fd: &impl AsFd) -> rustix::io::Result<Found> {
    let path = path(fd);
    // Most files have none: asked for the length first, nothing is allocated.
    let none: &mut [u8] = &mut [];
    match listxattr(&path, none) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Found::default()),
        Ok(_) => {}
        Err(errno) => return Err(errno),
    }
    let mut list = vec![0; KERNEL_LIMIT];
    let length = listxattr(&path, list.as_mut_slice())?;
    list.truncate(length);
    let mut found = Found::default();
    let mut total = 0;
    let mut value = vec![0; KERNEL_LIMIT];
    for name in list.split(|&byte| byte == 0).filter(|name| kept(name)) {
        let Ok(key) = CString::new(name) else {
            continue;
        };
        let length = match getxattr(&path, &key, value.as_mut_slice()) {
            Ok(length) => length,
            // Removed since, or (`trusted.`) not for an ordinary user.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => continue,
            Err(errno) => return Err(errno),
        };
        total += name.len() + length;
        if total > MAX_BYTES {
            found.cut = true;
            break;
        }
        let value = value.get(..length).unwrap_or_default().to_vec();
        found.attributes.0.push((name.to_vec(), value));
    }
    found.attributes.0.sort();
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
