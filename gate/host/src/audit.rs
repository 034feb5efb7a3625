//! One structured audit line for every decision, and one for every outcome.
//!
//! The line goes to the systemd journal's native socket, or else to syslog. It also goes as JSON to the file
//! `audit_log` of the configuration.
//!
//! Invariant: a failing audit never fails the action, and one line stays one line, for any input from the client.

mod file;

use std::os::unix::net::UnixDatagram;

use base::clock;
use base::names::PlainPath;
use base::wire::printable;

/// The native socket of systemd's journal.
pub const JOURNAL: &str = "/run/systemd/journal/socket";
/// The socket of syslog(3).
pub const SYSLOG: &str = "/dev/log";

/// The largest number of characters in one value.
const LONGEST: usize = 1000;

/// The destinations of audit lines, and the facts shared by all lines of this process.
#[derive(Debug, Default)]
pub struct Audit {
    file: Option<PlainPath>,
    facts: Vec<(&'static str, String)>,
}

impl Audit {
    /// Starts with the facts about the caller.
    #[must_use]
    pub fn new(facts: Vec<(&'static str, String)>) -> Self {
        Self { file: None, facts }
    }

    /// Adds the file from the configuration.
    pub fn also_to(&mut self, file: Option<&PlainPath>) {
        self.file = file.cloned();
    }

    /// Adds a fact to all lines from now on.
    pub fn fact(&mut self, name: &'static str, value: String) {
        self.facts.push((name, bounded(&value)));
    }

    /// Writes one line. Returns true if at least one destination accepted it.
    pub fn line(&self, event: &'static str, facts: &[(&'static str, String)]) -> bool {
        let mut all = vec![("event", event.to_owned())];
        all.extend(self.facts.iter().cloned());
        all.extend(facts.iter().map(|(name, value)| (*name, bounded(value))));
        let journal = to_journal(&all) || to_syslog(&all);
        let file = self
            .file
            .as_ref()
            .is_some_and(|file| to_file(file, &all).is_ok());
        journal || file
    }
}

/// Shortens a value to fit a line: a stolen key must not fill the journal with refused requests.
fn bounded(value: &str) -> String {
    let text = printable(value.as_bytes());
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} … ({} bytes in all)", &text[..end], value.len()),
        None => text,
    }
}

fn message(facts: &[(&'static str, String)]) -> String {
    facts
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// systemd's native protocol: NAME=value lines. No value holds a line feed, see [`printable`].
fn to_journal(facts: &[(&'static str, String)]) -> bool {
    let mut datagram = format!(
        "MESSAGE={}\nPRIORITY=5\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=backupctl\n",
        message(facts)
    );
    for (name, value) in facts {
        datagram.push_str(&format!(
            "BACKUPCTL_{}={value}\n",
            name.to_ascii_uppercase()
        ));
    }
    send(JOURNAL, datagram.as_bytes())
}

/// RFC 3164 as syslog(3) sends it: facility authpriv, severity notice.
fn to_syslog(facts: &[(&'static str, String)]) -> bool {
    let line = format!("<85>backupctl[{}]: {}", std::process::id(), message(facts));
    send(SYSLOG, line.as_bytes())
}

fn send(path: &str, datagram: &[u8]) -> bool {
    UnixDatagram::unbound().is_ok_and(|socket| {
        // A logger that no longer reads must not block the gate.
        socket.set_nonblocking(true).is_ok() && socket.send_to(datagram, path).is_ok()
    })
}

fn to_file(path: &PlainPath, facts: &[(&'static str, String)]) -> std::io::Result<()> {
    let mut line = serde_json::Map::new();
    line.insert(
        "time".into(),
        clock::utc()
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
            .into(),
    );
    for (name, value) in facts {
        line.insert((*name).into(), value.clone().into());
    }
    let text = format!("{}\n", serde_json::Value::Object(line));
    file::append(&path.to_path_buf(), text.as_bytes())
}
