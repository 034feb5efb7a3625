//! `lightflow audit`: the audit trail.

use super::client::{path, query};
use super::error::CliError;
use super::session::{JsonOption, Session};
use super::table::Table;
use crate::view::{AuditList, AuditView};
use clap::Args;
use std::process::ExitCode;

/// Who changed what, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lightflow audit\n  \
        lightflow audit --kind task --name backup_immich --limit 10\n  \
        lightflow audit --actor ann --json")]
pub(super) struct Audit {
    /// About this kind of thing, for example task or user
    #[arg(long)]
    kind: Option<String>,
    /// About the thing of this name
    #[arg(long)]
    name: Option<String>,
    /// By this user or token
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// At most this number of entries, 1 to 500
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Entries with a smaller number
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    #[command(flatten)]
    json: JsonOption,
}

impl Audit {
    /// Runs the command.
    pub(super) async fn run(self, mut session: Session) -> Result<ExitCode, CliError> {
        let given = [
            ("kind", self.kind),
            ("name", self.name),
            ("actor", self.actor),
            ("limit", Some(self.limit.to_string())),
            ("before", self.before.map(|before| before.to_string())),
        ];
        let given = given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)));
        let url = query(&path(&["audit"]), &given.collect::<Vec<_>>());
        let table = |here: &super::moment::Here, AuditList { entries, .. }| {
            let mut table = Table::new(&["WHEN", "WHO", "WHAT", "CHANGES"], 3);
            for entry in &entries {
                table.row(vec![
                    here.full(&entry.at),
                    who(entry),
                    format!("{} {} {}", entry.action, entry.kind, entry.name),
                    changes(entry),
                ]);
            }
            table
        };
        session
            .list(self.json, &url, "nothing was changed yet", table)
            .await
    }
}

fn who(entry: &AuditView) -> String {
    let name = match (entry.actor_kind.as_str(), entry.actor.as_str()) {
        ("user" | "local", name) => name.to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, name) => format!("{kind} {name}"),
    };
    match entry.address.as_str() {
        "" => name,
        address => format!("{name} ({address})"),
    }
}

fn changes(entry: &AuditView) -> String {
    let one = |value: &Option<String>| value.as_deref().unwrap_or("–").replace('\n', "⏎");
    let fields = entry.changes.iter().map(|change| {
        format!(
            "{}: {} → {}",
            change.field,
            one(&change.old),
            one(&change.new)
        )
    });
    fields.collect::<Vec<_>>().join("; ")
}
