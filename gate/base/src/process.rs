//! Facts about a process, from `/proc`.
//!
//! Invariant: reads only. A process that ends meanwhile has no facts.

/// A field of `/proc/PID/stat`, counted as in proc(5), beyond the second one.
#[must_use]
pub fn stat_field(pid: i32, number: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the command's name, is in parentheses and may hold any character.
    let (_, rest) = stat.rsplit_once(") ")?;
    let field = rest.split(' ').nth(number.checked_sub(3)?)?;
    Some(field.trim_end().to_owned())
}
