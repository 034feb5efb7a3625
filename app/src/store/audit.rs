//! The audit trail in the database. An entry is written in the transaction of the change
//! it tells of, so that neither is there without the other.

use super::codec::{corrupt, millis, time};
use super::error::StoreError;
use super::settings;
use super::transaction::Tx;
use crate::domain::audit::{Actor, Deed, FieldChange, HIDDEN, SubjectKind};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Row, named_params};

/// Longest value that is kept of a field, in characters.
const LONGEST: usize = 4096;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number; later ones are larger.
    pub id: i64,
    /// Time of the act.
    pub at: DateTime<Utc>,
    /// The actor.
    pub actor: Actor,
    /// The act.
    pub deed: Deed,
}

/// A choice of entries.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those with a smaller number.
    pub before: Option<i64>,
    /// Those about this kind of thing.
    pub kind: Option<SubjectKind>,
    /// Those about the thing of exactly this name.
    pub name: Option<String>,
    /// Those of the user or token of exactly this name.
    pub actor: Option<String>,
    /// The largest number of results.
    pub limit: u32,
}

/// Writes an entry, and forgets those that are older than the settings keep them.
pub fn record(
    tx: &Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    deed: &Deed,
) -> Result<(), StoreError> {
    tx.0.prepare_cached(
        "INSERT INTO audit (at, actor_kind, actor, address, action, kind, name, changes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        millis(now),
        actor.kind.as_str(),
        &actor.name,
        &actor.address,
        deed.action.as_str(),
        deed.kind.as_str(),
        &deed.name,
        written(&deed.changes)?,
    ))?;
    let days = i64::from(settings::get(tx)?.audit_days());
    let oldest = now - TimeDelta::days(days);
    tx.0.prepare_cached("DELETE FROM audit WHERE at < ?1")?
        .execute([millis(oldest)])?;
    Ok(())
}

fn written(changes: &[FieldChange]) -> Result<String, StoreError> {
    let cut = |text: &Option<String>| {
        text.as_ref().map(|text| {
            let mut end = text.char_indices().skip(LONGEST);
            match end.next() {
                Some((at, _)) => format!("{}…", &text[..at]),
                None => text.clone(),
            }
        })
    };
    let rows: Vec<_> = changes
        .iter()
        .map(|one| (&one.field, cut(&one.old), cut(&one.new)))
        .collect();
    serde_json::to_string(&rows).map_err(corrupt("audit entry"))
}

/// Entries, newest first.
pub fn list(tx: &Tx<'_>, filter: &Filter) -> Result<Vec<Entry>, StoreError> {
    tx.0.prepare_cached(
        "SELECT id, at, actor_kind, actor, address, action, kind, name, changes FROM audit
         WHERE (:before IS NULL OR id < :before) AND (:kind IS NULL OR kind = :kind)
           AND (:name IS NULL OR name = :name) AND (:actor IS NULL OR actor = :actor)
         ORDER BY id DESC LIMIT :limit",
    )?
    .query_and_then(
        named_params! {
            ":before": filter.before, ":kind": filter.kind.map(SubjectKind::as_str),
            ":name": filter.name, ":actor": filter.actor, ":limit": filter.limit,
        },
        read,
    )?
    .collect()
}

fn read(row: &Row<'_>) -> Result<Entry, StoreError> {
    let word = |column| row.get::<_, String>(column);
    Ok(Entry {
        id: row.get("id")?,
        at: time(row.get("at")?)?,
        actor: Actor {
            kind: word("actor_kind")?.parse().map_err(corrupt("actor"))?,
            name: word("actor")?,
            address: word("address")?,
        },
        deed: Deed {
            action: word("action")?.parse().map_err(corrupt("action"))?,
            kind: word("kind")?.parse().map_err(corrupt("kind"))?,
            name: word("name")?,
            changes: changes(&word("changes")?)?,
        },
    })
}

fn changes(text: &str) -> Result<Vec<FieldChange>, StoreError> {
    let rows: Vec<(String, Option<String>, Option<String>)> =
        serde_json::from_str(text).map_err(corrupt("audit entry"))?;
    Ok(rows
        .into_iter()
        .map(|(field, old, new)| FieldChange { field, old, new })
        .collect())
}

/// Takes the values of a field out of all entries about a thing: it became a secret, and
/// values that were written before it was a secret must not stay readable here.
pub fn hide(tx: &Tx<'_>, kind: SubjectKind, name: &str, field: &str) -> Result<(), StoreError> {
    let rows: Vec<(i64, String)> =
        tx.0.prepare("SELECT id, changes FROM audit WHERE kind = ?1 AND name = ?2")?
            .query_map((kind.as_str(), name), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
    for (id, text) in rows {
        let mut changes = changes(&text)?;
        for change in changes.iter_mut().filter(|change| change.field == field) {
            for value in [&mut change.old, &mut change.new].into_iter().flatten() {
                HIDDEN.clone_into(value);
            }
        }
        tx.0.execute(
            "UPDATE audit SET changes = ?2 WHERE id = ?1",
            (id, written(&changes)?),
        )?;
    }
    Ok(())
}
