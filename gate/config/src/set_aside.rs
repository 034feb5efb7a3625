//! Tables of `[services]` and `[extra]` with a name that cannot be used. They are set aside, and the rest of the
//! configuration is in force: one strange name must not end the backups of all services.
//!
//! Invariant: a name that is set aside is in no allow-list, and `--doctor` and every refused request for it say why.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use base::names::usable::{table, unusable};
use base::wire::printable;

/// A table that is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// `services` or `extra`.
    pub list: &'static str,
    /// Its name, as it was written.
    pub name: String,
    /// The reason, and the way to mend it, in one sentence.
    pub reason: String,
}

impl SetAside {
    /// The header of the table, in printable characters.
    #[must_use]
    pub fn header(&self) -> String {
        printable(table(self.list, &self.name).as_bytes())
    }
}

/// Keys of a service or extra target that are tables themselves.
const TABLES: [&str; 2] = ["capture", "limits"];

/// Takes the tables with unusable names out of a configuration.
pub(super) fn take_out(root: &mut DeTable<'_>) -> Vec<SetAside> {
    let mut out = Vec::new();
    for list in ["services", "extra"] {
        let tables = root.get_mut(list).map(toml::Spanned::get_mut);
        if let Some(DeValue::Table(tables)) = tables {
            let strange = reasons(list, tables);
            for name in strange.keys() {
                tables.remove(name.as_str());
            }
            out.extend(
                strange
                    .into_iter()
                    .map(|(name, reason)| SetAside { list, name, reason }),
            );
        }
    }
    out
}

fn reasons(list: &str, tables: &DeTable<'_>) -> BTreeMap<String, String> {
    let mut reasons = unusable(list, tables.keys().map(|name| name.get_ref().as_ref()));
    for (name, value) in tables {
        if let Some(inner) = nested(value.get_ref()) {
            let name = name.get_ref();
            let header = table(list, &format!("{name}.{inner}"));
            reasons.entry(name.to_string()).or_insert_with(|| {
                format!("it has no table {inner}; a name with a dot is written in quotes: {header}")
            });
        }
    }
    reasons
}

/// The key of a table inside that no service has: `[services.my.app]` is a table `app` in `my`.
fn nested<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    let mut inside = value.as_table()?.iter();
    let is_strange = |key: &str| !TABLES.contains(&key);
    inside.find_map(|(key, value)| {
        let key: &str = key.get_ref();
        (value.get_ref().is_table() && is_strange(key)).then_some(key)
    })
}

#[cfg(test)]
mod tests {
    use crate::Config;

    /// The services in force, and those that are not.
    fn read(text: &str) -> (Vec<String>, Vec<(String, String)>) {
        let config = Config::parse(text).unwrap();
        let services = config.services.keys().map(ToString::to_string).collect();
        let aside = config.set_aside.into_iter();
        (services, aside.map(|one| (one.name, one.reason)).collect())
    }

    #[test]
    fn a_strange_table_is_set_aside_and_the_rest_runs() {
        for (name, word) in [
            ("\"../x\"", "../x"),
            ("\"my app\"", "to my-app for example"),
            ("extra", "folders of the gate"),
            ("Restore", "folders of the gate"),
            ("CON", "OneDrive"),
            ("\"end.\"", "the last one no '.'"),
            ("my.app", "[services.\"my.app\"]"),
            ("wiki.limit", "it has no table limit;"),
        ] {
            let (services, aside) = read(&format!("[services.n8n]\n[services.{name}]\n"));
            assert_eq!(services, ["n8n"], "{name}");
            assert_eq!(aside.len(), 1, "{name}");
            assert!(aside[0].1.contains(word), "{name}: {}", aside[0].1);
        }
        let text = "[extra.\"a b\"]\npath = \"/a\"\n[extra.good]\npath = \"/b\"\n[services.n8n]\n";
        let config = Config::parse(text).unwrap();
        assert_eq!(config.extra.len(), 1);
        assert_eq!(config.set_aside[0].list, "extra");
    }

    #[test]
    fn names_that_differ_by_case_are_both_named() {
        let (services, aside) = read("[services.Nextcloud]\n[services.n8n]\n[services.nextcloud]");
        assert_eq!(services, ["n8n"]);
        let names: Vec<&str> = aside.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Nextcloud", "nextcloud"]);
        for (_, reason) in &aside {
            assert!(reason.contains("Nextcloud and nextcloud differ only by case"));
        }
    }

    #[test]
    fn a_mistake_beside_a_strange_table_is_still_refused() {
        let error = Config::parse("[services.\"a b\"]\n[services.n8n]\nstopp = []").unwrap_err();
        assert!(error.contains("stopp"), "{error}");
        let (services, aside) =
            read("[services.Nextcloud]\n[services.\"my.app\".limits]\nmax_delete = 1");
        assert_eq!(services, ["Nextcloud", "my.app"]);
        assert_eq!(aside, []);
    }
}
