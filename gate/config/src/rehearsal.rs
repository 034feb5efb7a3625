//! Rehearsals of restores: permission, pace, and the bounds of the scratch folder and of the start test.

use base::names::PlainPath;

use crate::key::{plain, section};

section! {
    /// Rehearsals of restores.
    Rehearsal is "rehearsal", "A rehearsal fetches a copy into a private folder below `spool_dir`, checks each file, starts the service on the copy, and removes the folder. It changes no copy and no service.";
    allowed: bool = false, "If true, `--rehearse` is also accepted over SSH. On the host it always is.";
    days: u32 = 7, in 1..=3650, "A copy that was proven within this many days is not read again.";
    rehearsals: u32 = 8, in 1..=1000, "A mirror above `max_bytes` is read in shares: this many rehearsals cover the whole mirror.";
    max_bytes: u64 = 20 << 30, in 1..=18_446_744_073_709_551_615, "The most bytes that a rehearsal unpacks. An archive above this is read and compared without unpacking; of a larger mirror a rehearsal reads a share.";
    start: bool = true, "If false, no service is started on a copy. A service may have its own `rehearse_start`.";
    start_seconds: u32 = 120, in 1..=3600, "Seconds in which the health check of a service has to pass on a copy.";
    start_memory: u32 = 1024, in 16..=1_048_576, "MiB of memory for the containers of a start test.";
    podman: PlainPath = plain("/usr/bin/podman"), "The Podman that starts a service on a copy.";
}
