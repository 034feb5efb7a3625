//! Plans for hosts with a configuration that names an rclone of their own.

use std::path::Path;

use super::{installed, text};
use crate::install::change::Change;
use crate::install::eyes::Eyes;
use crate::install::made_up::{MadeUp, no_options};
use crate::install::release::tests::sample;
use crate::install::removal;
use crate::install::steps::rclone;

/// A host with a configuration of a release that brought no rclone yet.
fn before_rclone(lines: &str) -> MadeUp {
    let mut host = installed();
    host.record.rclone_moved = false;
    let mine = format!("# mine\nremotes = [\"onedrive:/B\"]\n[rclone]\n{lines}");
    host.file("/etc/backupctl/backupctl.toml", &mine, "root", 0o640);
    host.file(
        "/etc/backupctl/rclone.conf",
        "[onedrive]\ntype: crypt\nremote = drive:x\n[drive]\ntype = onedrive\n",
        "root",
        0o600,
    );
    host
}

#[test]
fn an_upgrade_moves_the_former_default_of_rclone_once_and_says_so() {
    let mut host = before_rclone("program = \"/usr/bin/rclone\" # Debian's\n");
    let plan = host.plan(&no_options());
    assert_eq!(plan.len(), 1, "{plan:?}");
    let line = plan[0].to_string();
    assert!(
        line.contains("/usr/bin/rclone becomes /usr/local/lib/backupctl/rclone")
            && line.contains("the former text is kept"),
        "{line}"
    );
    let (release, options) = (sample(), no_options());
    assert_eq!(rclone::advice(&host.target(&release, &options)), [""; 0]);
    host.apply(&plan);
    let path = Path::new("/etc/backupctl/backupctl.toml");
    assert_eq!(host.look(path).unwrap().mode, 0o640);
    assert_eq!(
        text(&host, "/etc/backupctl/backupctl.toml"),
        "# mine\nremotes = [\"onedrive:/B\"]\n[rclone]\nprogram = \"/usr/local/lib/backupctl/rclone\" # Debian's\n"
    );
    assert_eq!(host.plan(&no_options()), []);
    // An administrator who goes back to it has chosen it, and is warned.
    let chosen = text(&host, "/etc/backupctl/backupctl.toml")
        .replace("/usr/local/lib/backupctl/rclone", "/usr/bin/rclone");
    host.file("/etc/backupctl/backupctl.toml", &chosen, "root", 0o640);
    assert_eq!(host.plan(&no_options()), []);
    let advice = rclone::advice(&host.target(&release, &options));
    assert!(
        advice[0].contains("/usr/bin/rclone, which is 1.60.1")
            && advice[0].contains("onedrive need 1.67"),
        "{advice:?}"
    );
}

#[test]
fn a_program_of_the_administrators_own_is_kept_with_a_warning() {
    let host = before_rclone("program = \"/opt/rclone\"\n");
    assert_eq!(host.plan(&no_options()), []);
    let (release, options) = (sample(), no_options());
    let advice = rclone::advice(&host.target(&release, &options));
    assert!(advice[0].contains("stays /opt/rclone"), "{advice:?}");
    // One that fits is not mentioned.
    let mut host = host;
    host.file(
        "/etc/backupctl/rclone.conf",
        "[onedrive]\ntype = sftp\n",
        "root",
        0o600,
    );
    assert_eq!(rclone::advice(&host.target(&release, &options)), [""; 0]);
}

#[test]
fn a_removal_takes_the_folder_of_rclone_only_when_nothing_else_is_in_it() {
    let mut host = installed();
    let folder = Change::Remove("/usr/local/lib/backupctl".into());
    let (release, options) = (sample(), no_options());
    assert!(removal::plan(&host.target(&release, &options), true).contains(&folder));
    host.file("/usr/local/lib/backupctl/other", "", "root", 0o644);
    assert!(!removal::plan(&host.target(&release, &options), true).contains(&folder));
}
