//! A test of the way to the gate: one request through the configured key that the gate must refuse.

use super::once::{Once, SCRATCH};
use super::runs::started;
use crate::domain::lifecycle::RunId;
use crate::domain::names::StepName;
use crate::domain::step::Command;
use crate::engine::AuditedAct;
use crate::web::caller::Admin;
use crate::web::error::ApiError;

/// The variable without which there is no connection to test.
pub(in crate::web) const HOST: &str = "BACKUP_HOST";

/// Asks for `--list`, which the gate refuses over SSH: its exit code 77 proves that address, host key, key, account,
/// forced command and gate work. Key and host key may be texts or paths.
const SCRIPT: &str = r#"
umask 077
folder=$(mktemp -d) || exit 73
trap 'rm -rf "$folder"' EXIT
key=${BACKUP_SSH_KEY:-/data/.ssh/id_ed25519}
case $key in *-----BEGIN*) printf '%s\n' "$key" >"$folder/key"; key=$folder/key ;; esac
known=${BACKUP_KNOWN_HOSTS:-/data/.ssh/known_hosts}
case $known in *' '*) printf '%s\n' "$known" >"$folder/known_hosts"; known=$folder/known_hosts ;; esac
echo "asking $BACKUP_HOST for backupctl --list"
ssh -i "$key" -o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="$known" \
    "$BACKUP_HOST" 'backupctl --list'
code=$?
case $code in
    77) echo "The connection works: the gate answered, and refused the request as it must." ;;
    0) echo "The account ran the request without the gate: its key needs the forced command (backupctl --install)."; exit 1 ;;
    255) echo "SSH could not connect or log in; the lines above say why."; exit 1 ;;
    *) echo "The request ended with $code, not with 77, so it did not reach the gate as it should."; exit 1 ;;
esac
"#;

/// Starts the test; returns its run.
pub(in crate::web) async fn test(admin: &Admin) -> Result<RunId, ApiError> {
    let once = Once {
        task: SCRATCH,
        step: StepName::new("connection")?,
        command: Command::new("sh", vec!["-c".to_owned(), SCRIPT.to_owned()])?,
        timeout_s: 60,
        keep_days: 30,
    };
    let act = AuditedAct::new(admin.actor(), started);
    super::once::run(admin, once, act).await
}
