//! The uses of variables. Every step has all variables in its environment, so "used" means
//! named: in a script, in a step's arguments, or set otherwise by a step's own environment.

use crate::domain::step::Step;
use crate::scripts::MAX_SCRIPT;
use crate::store;
use crate::web::App;
use crate::web::error::ApiError;
use crate::web::operations::scripts::with_scripts;
use std::collections::BTreeSet;

/// A place that names a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) label: String,
    /// The task that names it; none for a script.
    pub(super) task: Option<String>,
}

/// The places that name each of `keys`, in their order.
pub(super) async fn usages(app: &App, keys: Vec<String>) -> Result<Vec<Vec<Usage>>, ApiError> {
    let tasks = app.store.read(store::tasks::list).await?;
    with_scripts(app, move |scripts| {
        let mut found = vec![Vec::new(); keys.len()];
        for info in scripts.list()? {
            // Steps run here, so there may be large files that are no scripts.
            let small = info.size <= MAX_SCRIPT as u64;
            let text = small.then(|| scripts.read(&info.name).ok().flatten());
            let words = words(&String::from_utf8_lossy(
                &text.flatten().unwrap_or_default(),
            ));
            for (key, usages) in keys.iter().zip(&mut found) {
                if words.contains(key) {
                    usages.push(Usage {
                        label: info.name.to_string(),
                        task: None,
                    });
                }
            }
        }
        for task in &tasks {
            let steps = task.task.steps();
            for (key, usages) in keys.iter().zip(&mut found) {
                usages.extend(steps.iter().find_map(|step| {
                    Some(Usage {
                        label: named_by(step, key)?,
                        task: Some(task.task.name.to_string()),
                    })
                }));
            }
        }
        Ok(found)
    })
    .await
}

/// The place in a step that names a variable, if any.
fn named_by(step: &Step, key: &str) -> Option<String> {
    let own = step.env.keys().any(|k| k.as_str() == key);
    let named = step
        .command
        .args()
        .iter()
        .any(|arg| words(arg).contains(key));
    match (own, named) {
        (true, _) => Some(format!("step {} sets its own value", step.name)),
        (false, true) => Some(format!("step {}", step.name)),
        (false, false) => None,
    }
}

/// The words of a text as environment variables are spelled.
fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_name_is_another_variable() {
        let words = words("env(\"BACKUP_HOST_2\") $KEY ${REMOTE:-x}");
        assert!(!words.contains("BACKUP_HOST"));
        assert!(words.contains("KEY") && words.contains("REMOTE"));
    }
}
