//! Capabilities: which of root's powers are left.
//!
//! A program of root regains at execve(2) every capability in the bounding set, so only a capability dropped from
//! there is gone for children as well. The bounding set goes first, because dropping from it takes a capability
//! itself.
//!
//! Invariant: after [`keep`] no set holds anything that is not kept; for an ordinary user there was nothing.

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl::set_no_new_privs;

use base::error::Failure;

/// Capabilities of the programs that are started later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// They get no more than this process keeps, and no set-user-ID program gives them more.
    Same,
    /// The administrator's own commands: they regain all powers of root.
    Root,
}

/// Cuts every set of this thread down to `kept`.
///
/// # Errors
/// A sentence, when the kernel refused.
pub fn keep(kept: &[Capability], children: Children) -> Result<(), String> {
    let refused =
        |what: &'static str| move |error: caps::errors::CapsError| format!("{what}: {error}");
    let reading = refused("reading the capabilities");
    let permitted = caps::read(None, CapSet::Permitted).map_err(reading)?;
    let left: CapsHashSet = permitted
        .iter()
        .copied()
        .filter(|capability| kept.contains(capability))
        .collect();
    if children == Children::Same {
        let bounding = caps::read(None, CapSet::Bounding).map_err(reading)?;
        if permitted.contains(&Capability::CAP_SETPCAP) {
            for capability in bounding.difference(&left) {
                caps::drop(None, CapSet::Bounding, *capability)
                    .map_err(refused("the bounding set"))?;
            }
        } else if nix::unistd::geteuid().is_root() && !bounding.is_subset(&left) {
            return Err("the bounding set cannot be cut without CAP_SETPCAP; run the gate as root, outside of containers that drop it".into());
        }
        set_no_new_privs().map_err(|errno| format!("PR_SET_NO_NEW_PRIVS: {}", errno.desc()))?;
    }
    // Kernels before 4.3 have no ambient set, and then there is nothing in it.
    let _ = caps::clear(None, CapSet::Ambient);
    caps::clear(None, CapSet::Inheritable).map_err(refused("the inheritable set"))?;
    caps::set(None, CapSet::Effective, &left).map_err(refused("the effective set"))?;
    caps::set(None, CapSet::Permitted, &left).map_err(refused("the permitted set"))
}

/// Keeps the powers of root that the next stage needs.
///
/// # Errors
/// When the kernel refused.
pub fn give_up((kept, children): (&[Capability], Children)) -> Result<(), Failure> {
    keep(kept, children).map_err(|detail| Failure::Tool {
        what: "giving up privileges".into(),
        detail,
    })
}
