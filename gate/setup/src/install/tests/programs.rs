//! podmanctl is a second name of the setup program.

use std::path::Path;

use super::installed;
use crate::install::change::Change;
use crate::install::made_up::no_options;
use crate::install::record::digest;

/// The changes of a plan to the setup program and podmanctl, as a dry run prints them.
fn of_two_names(plan: &[Change]) -> Vec<String> {
    let lines = plan.iter().map(ToString::to_string);
    lines
        .filter(|line| line.contains("bin/podmanctl") || line.contains("bin/backupctl-setup"))
        .collect()
}

const BOTH_ANEW: [&str; 2] = [
    "file     /usr/local/bin/backupctl-setup (root:root 0755)",
    "file     /usr/local/bin/podmanctl, a second name of /usr/local/bin/backupctl-setup",
];

#[test]
fn a_podmanctl_of_its_own_of_version_0_1_becomes_a_second_name() {
    let mut host = installed();
    let podmanctl = "/usr/local/bin/podmanctl";
    let setup = "/usr/local/bin/backupctl-setup";
    host.seen.remove(Path::new(setup));
    host.record.files.remove(setup);
    host.file(podmanctl, "of 0.1", "root", 0o755);
    let known = host.record.files.get_mut(podmanctl).unwrap();
    *known = [digest(b"of 0.1")].into();
    let plan = host.plan(&no_options());
    assert_eq!(of_two_names(&plan), BOTH_ANEW);
    assert_eq!(plan.len(), 2, "{plan:?}");
    host.apply(&plan);
    assert_eq!(host.plan(&no_options()), []);
}

#[test]
fn a_loosened_program_with_two_names_is_written_anew() {
    let mut host = installed();
    for path in ["/usr/local/bin/backupctl-setup", "/usr/local/bin/podmanctl"] {
        host.seen.get_mut(Path::new(path)).unwrap().mode = 0o777;
    }
    let plan = host.plan(&no_options());
    assert_eq!(of_two_names(&plan), BOTH_ANEW);
    host.apply(&plan);
    assert_eq!(host.plan(&no_options()), []);
}
