//! The destination of the audit lines.
//!
//! Invariant: the doctor connects to sockets and sends nothing.

use std::os::unix::net::UnixDatagram;

use super::examination::Examination;
use super::finding::Finding;
use super::ownership::{levels, loose};
use base::error::Failure;
use base::repair::quoted;
use host::audit::{JOURNAL, SYSLOG};

pub(super) fn examine(doctor: &mut Examination<'_>) -> Result<(), Failure> {
    let taken =
        |path: &str| UnixDatagram::unbound().is_ok_and(|socket| socket.connect(path).is_ok());
    let logger = [("the journal", JOURNAL), ("syslog", SYSLOG)]
        .into_iter()
        .find(|(_, path)| taken(path))
        .map(|(name, _)| name);
    let mut findings = Vec::new();
    let file = doctor.config.audit_log.as_ref().map(ToString::to_string);
    if let Some(file) = &file {
        let path = std::path::Path::new(file);
        let there = path.ancestors().find(|ancestor| ancestor.exists());
        let levels = levels(there.unwrap_or(path)).unwrap_or_default();
        findings.extend(loose(&levels, doctor.trusted).into_iter().map(|level| {
            Finding::fail(
                format!("audit_log can be forged: {}", level.what),
                level.fix,
            )
        }));
        if !there.is_some_and(|there| there == path || Some(there) == path.parent()) {
            findings.push(Finding::fail(
                format!("audit_log: the directory of {file} does not exist"),
                vec![format!(
                    "mkdir -p {}",
                    quoted(&path.parent().unwrap_or(path).display().to_string())
                )],
            ));
        }
    }
    findings.push(judge(logger, file.as_deref()));
    doctor.tell("audit", findings)
}

fn judge(logger: Option<&str>, file: Option<&str>) -> Finding {
    match (logger, file) {
        (Some(logger), Some(file)) => {
            Finding::ok(format!("audit lines go to {logger} and to {file}"))
        }
        (Some(logger), None) => Finding::ok(format!("audit lines go to {logger}")),
        (None, Some(file)) => Finding::ok(format!("audit lines go to {file}; there is no journal")),
        (None, None) => Finding::warn(
            "no journal and no syslog takes the audit lines, and audit_log is not set",
            vec!["# set audit_log = \"/var/log/backupctl.jsonl\" in the configuration".into()],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn lines_that_nobody_takes_are_noticed() {
        assert_eq!(judge(None, None).verdict, Verdict::Warn);
        assert_eq!(judge(None, Some("/x")).verdict, Verdict::Ok);
        assert_eq!(judge(Some("the journal"), None).verdict, Verdict::Ok);
    }
}
