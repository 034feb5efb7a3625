//! Which names, of tables or of folders, can be names of services or extra targets side by side, and why others cannot.
//!
//! Invariant: of names that differ only by case none is usable: they are one folder on OneDrive.

use std::collections::BTreeMap;

use super::{ServiceName, TargetName, folded, suggestion};

/// The reason for each name that cannot be used, with a way to mend it.
#[must_use]
pub fn unusable<'n>(list: &str, names: impl Iterator<Item = &'n str>) -> BTreeMap<String, String> {
    let problem = |name: &str| {
        if list == "extra" {
            TargetName::parse(name).err()
        } else {
            ServiceName::parse(name).err()
        }
    };
    let mut reasons = BTreeMap::new();
    let mut spellings: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in names {
        match problem(name) {
            None => spellings.entry(folded(name)).or_default().push(name),
            Some(error) => {
                let rename = suggestion(name).map_or_else(String::new, |other| {
                    format!("; rename it and its folder, to {other} for example")
                });
                reasons.insert(name.to_owned(), format!("{error}{rename}"));
            }
        }
    }
    for names in spellings.into_values().filter(|names| names.len() > 1) {
        let reason = format!(
            "{} differ only by case, and are one folder on OneDrive; rename all but one",
            names.join(" and ")
        );
        reasons.extend(names.iter().map(|&name| (name.to_owned(), reason.clone())));
    }
    reasons
}

/// The header of a table of the configuration. TOML takes a dot for a table in a table.
#[must_use]
pub fn table(list: &str, name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(plain) {
        format!("[{list}.{name}]")
    } else {
        // JSON's escapes are those of TOML, but for DEL.
        let quoted = serde_json::Value::from(name).to_string();
        format!("[{list}.{}]", quoted.replace('\u{7f}', "\\u007f"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_names_its_table(name in "\\PC{1,10}|[A-Za-z0-9._-]{1,10}") {
            let root: toml::Table = toml::from_str(&table("services", &name)).unwrap();
            let services = root["services"].as_table().unwrap();
            prop_assert_eq!(services.keys().collect::<Vec<_>>(), [&name]);
        }
    }

    #[test]
    fn names_side_by_side_differ_by_more_than_case() {
        let names = ["Nextcloud", "nextcloud", "n8n", "my app", "NEXTCLOUD"];
        let reasons = unusable("services", names.into_iter());
        let named: Vec<&str> = reasons.keys().map(String::as_str).collect();
        assert_eq!(named, ["NEXTCLOUD", "Nextcloud", "my app", "nextcloud"]);
        assert!(reasons["nextcloud"].starts_with("Nextcloud and nextcloud and NEXTCLOUD differ"));
        assert!(reasons["my app"].contains("to my-app for example"));
    }
}
