//! The runner's knowledge of the gate: the variables of the tutorial, a pool of one slot, and a key of its own.
//!
//! Invariant: a variable that is set stays as it is, and so does a key that works.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::change::Change;
use super::super::target::{ACCOUNT, Target};
use super::super::tool::PATIENCE;
use super::{CONTAINER, is_gates, keys_file};
use stack::podmanctl::owner::Owner as Session;

/// The name by which a container reaches its host.
const HOST: &str = "host.containers.internal";

/// The host's own keys, best first.
const HOST_KEYS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

/// The secret variable.
pub(in crate::install) const KEY: &str = "BACKUP_SSH_KEY";

/// The runner's answers about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::install) struct Runner {
    /// Its variables, with the values of those that are no secrets.
    pub(in crate::install) variables: BTreeMap<String, Option<String>>,
    /// Its pools.
    pub(in crate::install) pools: Vec<String>,
    /// True if a user exists who can log in.
    pub(in crate::install) has_users: bool,
}

/// The words by which the runner's own command line is reached.
pub(in crate::install) fn command(user: &str, interactive: bool, words: &[&str]) -> Vec<String> {
    let mut argv = Session::named(user).podman(PATIENCE);
    argv.push("exec".into());
    if interactive {
        argv.push("--interactive".into());
    }
    argv.extend([CONTAINER.to_owned(), "lightflow".into()]);
    argv.extend(words.iter().map(|&word| word.to_owned()));
    argv
}

/// Asks the runner.
///
/// # Errors
/// A sentence, when it does not answer.
pub(in crate::install) fn ask(target: &Target<'_>) -> Result<Runner, String> {
    let list = |what: &str, key: &str| -> Result<Vec<Value>, String> {
        let said = target
            .eyes
            .ask(&command(&target.user, false, &[what, "list", "--json"]))?;
        if !said.ok() {
            return Err(format!("lightflow {what} list: {}", said.words()));
        }
        let value: Value =
            serde_json::from_slice(said.out.as_bytes()).map_err(|error| error.to_string())?;
        let list = value.get(key).and_then(Value::as_array).cloned();
        list.ok_or_else(|| format!("lightflow {what} list says nothing of {key}"))
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let variables = list("variable", "variables")?;
    let pools = list("pool", "pools")?;
    Ok(Runner {
        variables: variables
            .iter()
            .filter_map(|one| Some((text(one, "key")?, text(one, "value"))))
            .collect(),
        pools: pools.iter().filter_map(|one| text(one, "name")).collect(),
        has_users: !list("user", "users")?.is_empty(),
    })
}

/// Changes for the parts that it lacks.
pub(in crate::install) fn plan(target: &Target<'_>, runner: &Runner) -> Vec<Change> {
    let user = target.user.clone();
    let mut changes = Vec::new();
    if !runner.pools.iter().any(|name| name == "backup") {
        changes.push(Change::Pool {
            user: user.clone(),
            name: "backup",
            slots: 1,
        });
    }
    let port = port(target);
    let host = if port == "22" {
        format!("{ACCOUNT}@{HOST}")
    } else {
        format!("ssh://{ACCOUNT}@{HOST}:{port}")
    };
    let remote = target
        .config
        .as_ref()
        .and_then(|config| config.remotes.first())
        .map(ToString::to_string);
    let remote = remote.unwrap_or_else(|| "onedrive:/OdroidBackup".into());
    let (name, folder) = remote.split_once(':').unwrap_or((&remote, ""));
    let wanted = [
        ("BACKUP_HOST", Some(host.clone())),
        ("BACKUP_KNOWN_HOSTS", known_hosts(target, &port)),
        ("ONEDRIVE_REMOTE", Some(name.to_owned())),
        ("ONEDRIVE_FOLDER", Some(folder.to_owned())),
        ("ARCHIVE_WEEKDAY", Some("sunday".into())),
        ("KEEP_WEEKLY", Some("3".into())),
        ("KEEP_MONTHLY", Some("12".into())),
    ];
    for (key, value) in wanted {
        if let (false, Some(value)) = (runner.variables.contains_key(key), value) {
            changes.push(Change::Variable {
                user: user.clone(),
                key,
                value,
            });
        }
    }
    let elsewhere = matches!(runner.variables.get("BACKUP_HOST"), Some(Some(now)) if *now != host);
    let (file, owner) = keys_file(target);
    let keys = target
        .eyes
        .look(&file)
        .and_then(|seen| seen.text())
        .unwrap_or_default();
    let opens = keys.lines().any(is_gates);
    if !elsewhere && (!runner.variables.contains_key(KEY) || !opens) {
        changes.push(Change::Key { user, file, owner });
    }
    changes
}

/// The port that sshd listens on.
fn port(target: &Target<'_>) -> String {
    let said = target.eyes.ask_for(&["/usr/sbin/sshd", "-T"]);
    let text = said.map(|said| said.out).unwrap_or_default();
    let port = text.lines().find_map(|line| line.strip_prefix("port "));
    port.unwrap_or("22").trim().to_owned()
}

/// The host's public key under the name that the container has for it.
fn known_hosts(target: &Target<'_>, port: &str) -> Option<String> {
    let key = HOST_KEYS.iter().find_map(|kind| {
        let text = target
            .eyes
            .text(&format!("/etc/ssh/ssh_host_{kind}_key.pub"));
        let mut words = text.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    })?;
    Some(if port == "22" {
        format!("{HOST} {key}")
    } else {
        format!("[{HOST}]:{port} {key}")
    })
}
