//! The command that fixes a failure of rclone or of a remote, for people.
//!
//! Invariant: pure; each failure has a command, or a comment that says the next step.

use base::error::Failure;
use base::error::trouble::Trouble;
use config::{BUNDLED_RCLONE, Config};
use rclone::outcome::command;

/// The command that shows all details of rclone's answer.
fn look(config: &Config, name: &str) -> String {
    command(config, &format!("about {name}: -vv"))
}

/// The command that fixes a failure of rclone, or a sentence that says how.
pub(super) fn remedy(config: &Config, name: &str, failure: &Failure) -> String {
    let bundled = BUNDLED_RCLONE;
    match failure {
        Failure::Remote { trouble, .. } => match trouble {
            Trouble::Broken => "# wait, and run this again".into(),
            Trouble::Throttled => {
                "# wait; then lower rclone.transfers and rclone.checkers in the configuration"
                    .into()
            }
            Trouble::SignIn { renew }
            | Trouble::Renewal { renew }
            | Trouble::AccessDenied { renew } => renew.clone(),
            Trouble::OldRclone { .. } => {
                format!("# set rclone.program = \"{bundled}\" in the gate's configuration")
            }
            Trouble::WrongDrive { choose } => choose.clone(),
            Trouble::NotSetUp { .. } => command(config, &format!("config create {name} onedrive")),
            Trouble::Unreachable => "getent hosts graph.microsoft.com; ip route".into(),
            Trouble::Certificate => "date; apt install --reinstall ca-certificates".into(),
            Trouble::PortClosed => {
                "# add the remote's port to rclone.ports in the configuration".into()
            }
            Trouble::FileClosed => {
                "# add what the remote leads to to rclone.local_folders in the configuration".into()
            }
        },
        Failure::NoSpace(_) => format!(
            "{}   # see what takes the room; then empty the recycle bin",
            command(config, &format!("ncdu {name}:"))
        ),
        _ => look(config, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_comes_with_its_command() {
        let fix = |trouble: Trouble| {
            let failure = Failure::Remote {
                what: "asking".into(),
                trouble,
                detail: "words".into(),
            };
            remedy(&Config::default(), "onedrive", &failure)
        };
        let renew = "rclone config reconnect onedrive:".to_owned();
        assert_eq!(
            fix(Trouble::SignIn {
                renew: renew.clone()
            }),
            renew
        );
        let choose = || renew.clone();
        assert_eq!(fix(Trouble::WrongDrive { choose: choose() }), renew);
        let program = Config::default().rclone.program;
        assert!(
            fix(Trouble::OldRclone {
                program,
                better: "/opt/rclone"
            })
            .contains("rclone.program")
        );
        assert!(fix(Trouble::Throttled).contains("transfers"));
        assert!(fix(Trouble::Unreachable).contains("getent"));
        assert!(fix(Trouble::Certificate).contains("ca-certificates"));
        let other = Failure::Tool {
            what: "asking".into(),
            detail: "something else".into(),
        };
        assert!(remedy(&Config::default(), "onedrive", &other).ends_with("-vv"));
    }
}
