//! Kernel features for confining rclone.
//!
//! Invariant: no check changes the system; the doctor only reads the kernel's own files and version number.

use std::path::Path;

use super::examination::Examination;
use super::finding::Finding;
use base::error::Failure;
use config::Landlock;
use host::program::Pin;
use privilege::Offers;

/// The first kernel version in which a mount can forbid following links (`MS_NOSYMFOLLOW`).
const NO_SYMFOLLOW: (u32, u32) = (5, 10);

/// KernelFacts about the running kernel.
#[derive(Debug, Clone, Copy)]
struct KernelFacts {
    release: Option<(u32, u32)>,
    offers: Offers,
    wanted: Landlock,
    namespaces: bool,
    pin: Pin,
}

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let facts = KernelFacts {
        release: number(&release),
        offers: Offers::ask(),
        wanted: doctor.config.rclone.landlock,
        namespaces: Path::new("/proc/self/ns/mnt").exists(),
        pin: doctor.config.rclone.pin,
    };
    doctor.tell("kernel", judge(facts))
}

fn number(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(['.', '-']);
    Some((
        parts.next()?.parse().ok()?,
        parts.next()?.trim().parse().ok()?,
    ))
}

fn judge(facts: KernelFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let old = facts.release.is_some_and(|release| release < NO_SYMFOLLOW);
    match facts.pin {
        Pin::Mount if old || !facts.namespaces => findings.push(Finding::fail(
            "this kernel cannot mount a source without following links (Linux 5.10), so no sync runs",
            vec!["# set rclone.pin = \"descriptor\" in the configuration, or install a newer kernel".into()],
        )),
        Pin::Mount => findings.push(Finding::ok(
            "sources are mounted for rclone alone, read-only, with links that lead nowhere",
        )),
        Pin::Descriptor => findings.push(Finding::warn(
            "rclone.pin is \"descriptor\": symbolic links are left out of mirrors, and one that is swapped in during a sync is followed",
            vec!["# set rclone.pin = \"mount\" in the configuration where mounting is allowed".into()],
        )),
    }
    let boot = || {
        vec![
            "# boot Linux 5.13 or newer with landlock among the words of its lsm= parameter".into(),
        ]
    };
    findings.push(match (facts.wanted, facts.offers.landlock) {
        (Landlock::Off, _) => Finding::warn(
            "rclone.landlock is \"off\": rclone can open more files than it needs",
            vec!["# set rclone.landlock = \"preferred\" in the configuration".into()],
        ),
        (_, Some(version)) => Finding::ok(format!(
            "rclone is confined to its source and its configuration (Landlock version {version})"
        )),
        (Landlock::Required, None) => Finding::fail(
            "this kernel has no Landlock, and rclone.landlock is \"required\", so no transfer runs",
            boot(),
        ),
        (Landlock::Preferred, None) => Finding::warn(
            "this kernel has no Landlock: rclone can open more files than it needs",
            boot(),
        ),
    });
    if !facts.offers.seccomp {
        findings.push(Finding::fail(
            "this kernel has no seccomp filters, so no transfer runs",
            vec!["# install a kernel with CONFIG_SECCOMP_FILTER".into()],
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_kernel_is_judged_by_what_the_configuration_asks_of_it() {
        let facts = KernelFacts {
            release: number("6.18.44-fc-v657\n"),
            offers: Offers {
                landlock: Some(6),
                seccomp: true,
            },
            wanted: Landlock::Required,
            namespaces: true,
            pin: Pin::Mount,
        };
        assert_eq!(facts.release, Some((6, 18)));
        assert_eq!(judge(facts)[0].verdict, Verdict::Ok);
        let old = KernelFacts {
            release: number("5.4.0"),
            ..facts
        };
        assert_eq!(judge(old)[0].verdict, Verdict::Fail);
        let descriptor = KernelFacts {
            pin: Pin::Descriptor,
            offers: Offers {
                landlock: None,
                seccomp: false,
            },
            ..old
        };
        let verdicts = |facts| -> Vec<Verdict> { judge(facts).iter().map(|f| f.verdict).collect() };
        assert_eq!(
            verdicts(descriptor),
            [Verdict::Warn, Verdict::Fail, Verdict::Fail]
        );
        for wanted in [Landlock::Preferred, Landlock::Off] {
            let facts = KernelFacts {
                wanted,
                ..descriptor
            };
            assert_eq!(verdicts(facts)[1], Verdict::Warn);
        }
    }
}
