//! The environment of a step, built from scratch: nothing of the runner's own leaks in.

use crate::domain::lifecycle::Run;
use crate::domain::variable::Variable;
use crate::libraries::StepLibraries;
use crate::zones::Zone;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folders in which programs are looked up.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reports if steps find a program of that name, provided that no variable changes their PATH.
#[must_use]
pub fn finds(program: &str) -> bool {
    std::env::split_paths(PATH).any(|folder| folder.join(program).is_file())
}

/// The folders a step gets to know.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The data directory.
    pub data: PathBuf,
    /// The folder of scripts, in which steps run.
    pub scripts: PathBuf,
}

impl Folders {
    /// The folders inside the data directory `data`.
    pub fn new(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            scripts: data.join("scripts"),
        }
    }
}

/// The environment of the step at `position` of `run`.
///
/// PATH, HOME, LANG and TZ come first, so that a variable may set them; the runner's
/// own `LIGHTFLOW_…` come last, and no variable can have such a name.
pub(super) fn build(
    run: &Run,
    position: usize,
    variables: &[Variable],
    libraries: &StepLibraries,
    folders: &Folders,
    zone: Zone,
) -> BTreeMap<String, String> {
    let path_text = |path: &Path| path.to_string_lossy().into_owned();
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        env.insert(key.to_owned(), value);
    };
    set("PATH", PATH.to_owned());
    set("HOME", path_text(&folders.data));
    set("LANG", "C.UTF-8".to_owned());
    set("TZ", zone.name().to_owned());
    if !libraries.modules.is_empty() {
        let folders = libraries.modules.iter().map(|folder| path_text(folder));
        set("PYTHONPATH", folders.collect::<Vec<_>>().join(":"));
    }
    for variable in variables {
        set(variable.key.as_str(), variable.value.clone());
    }
    let step = &run.steps[position];
    for (key, value) in &step.step.env {
        set(key.as_str(), value.clone());
    }
    // Also before the folders of a variable: it leads to a Python, and not away from the packages.
    if let Some(programs) = &libraries.programs {
        let path = env.get("PATH").cloned().unwrap_or_default();
        env.insert("PATH".to_owned(), format!("{}:{path}", path_text(programs)));
    }
    let mut set = |key: &str, value: String| {
        env.insert(key.to_owned(), value);
    };
    set("LIGHTFLOW_DATA_DIR", path_text(&folders.data));
    set("LIGHTFLOW_TASK", run.task_name.to_string());
    set("LIGHTFLOW_STEP", step.step.name.to_string());
    set("LIGHTFLOW_RUN_ID", run.id.0.to_string());
    set("LIGHTFLOW_ATTEMPT", step.attempt.to_string());
    set("LIGHTFLOW_TRIGGER", run.trigger.as_str().to_owned());
    if let Some(due) = run.due {
        set(
            "LIGHTFLOW_DUE",
            due.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        );
    }
    env
}

/// The directory the step runs in: its own, seen from `scripts/`, or `scripts/` itself.
pub(super) fn working_dir(own: Option<&str>, folders: &Folders) -> PathBuf {
    own.map_or_else(|| folders.scripts.clone(), |dir| folders.scripts.join(dir))
}
