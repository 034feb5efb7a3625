//! The same task for another service: a copy under another name, in which one word of the
//! arguments is replaced.

use super::edit::{FormPage, to};
use super::form::{Fields, Refusals};
use super::frame::{Frame, Section};
use super::{PageAdmin, PageViewer};
use crate::domain::field::FieldError;
use crate::domain::task::Task;
use crate::store;
use crate::view::{Args, StepBody, TaskBody};
use crate::web::App;
use crate::web::caller::Admin;
use crate::web::error::ApiError;
use crate::web::operations::tasks;
use askama::Template;
use axum::response::Response;

#[derive(Template)]
#[template(path = "task_duplicate.html")]
pub(super) struct DuplicatePage {
    frame: Frame,
    refusals: Refusals,
    task: String,
    name: String,
    replace: String,
    by: String,
}

impl FormPage for DuplicatePage {
    const LIST: &'static str = "/tasks";

    async fn page(
        viewer: &PageViewer,
        name: Option<&str>,
        typed: Option<&Fields>,
        refusals: Refusals,
    ) -> Result<Self, ApiError> {
        let task = original(viewer, name.unwrap_or_default()).await?;
        let shared = || shared_argument(&task).unwrap_or_default();
        let text = |field| typed.map(|typed| typed.text(field));
        Ok(Self {
            frame: Frame::new(viewer, Section::Tasks),
            refusals,
            name: text("name").unwrap_or_default(),
            replace: text("replace").unwrap_or_else(shared),
            by: text("by").unwrap_or_default(),
            task: task.name.to_string(),
        })
    }

    async fn save(
        admin: &PageAdmin,
        name: Option<&str>,
        typed: &Fields,
    ) -> Result<Response, ApiError> {
        let name = name.unwrap_or_default();
        let task = original(admin, name).await?;
        let (replace, by) = (typed.line("replace"), typed.line("by"));
        let new_name = match typed.line("name") {
            typed if typed.is_empty() && !replace.is_empty() => name.replace(&replace, &by),
            typed => typed,
        };
        tasks::create(admin, copy(&task, &new_name, &replace, &by)?).await?;
        Ok(to(&format!("/tasks/{new_name}")))
    }

    async fn delete(admin: &Admin, name: &str) -> Result<(), ApiError> {
        tasks::delete(admin, name.to_owned()).await
    }
}

async fn original(app: &App, name: &str) -> Result<Task, ApiError> {
    let name = name.to_owned();
    let stored = app
        .store
        .read(move |tx| store::tasks::by_name(tx, &name))
        .await?;
    Ok(stored.task)
}

/// The argument that all steps share and that is no file: most likely the service.
fn shared_argument(task: &Task) -> Option<String> {
    let (first, rest) = task.steps().split_first()?;
    let in_all = |arg: &&String| rest.iter().all(|step| step.command.args().contains(arg));
    let plain = |arg: &&String| !arg.starts_with('-') && !arg.contains(['.', '/']);
    let mut args = first.command.args().iter();
    args.rfind(|arg| in_all(arg) && plain(arg)).cloned()
}

/// The copy of a task with the word `by` in place of `replace` in all steps.
fn copy(task: &Task, name: &str, replace: &str, by: &str) -> Result<TaskBody, FieldError> {
    let mut body = TaskBody::from(task);
    body.name = name.to_owned();
    if replace.is_empty() {
        return Ok(body);
    }
    if by.is_empty() {
        return Err(FieldError::new("by", "is empty; say what comes instead"));
    }
    let mut found = false;
    let mut swap = |text: &mut String| {
        let swapped = replace_word(text, replace, by);
        found |= swapped != *text;
        *text = swapped;
    };
    for step in &mut body.steps {
        swap_in_step(step, &mut swap);
    }
    if found {
        Ok(body)
    } else {
        Err(FieldError::new(
            "replace",
            format!("{replace:?} is in no argument of {}", task.name),
        ))
    }
}

fn swap_in_step(step: &mut StepBody, swap: &mut impl FnMut(&mut String)) {
    match &mut step.args {
        Args::List(list) => list.iter_mut().for_each(&mut *swap),
        Args::Line(line) => swap(line),
    }
    step.env.values_mut().for_each(&mut *swap);
    step.working_dir.iter_mut().for_each(&mut *swap);
}

/// Replaces whole words: `immich` in `/data/immich/x` and `--for=immich`, not in `immich-ml`.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let inside = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut result = String::new();
    let mut done = 0;
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let before = text[..at].chars().next_back().is_some_and(inside);
        let after = text[end..].chars().next().is_some_and(inside);
        if !before && !after {
            result.push_str(&text[done..at]);
            result.push_str(by);
            done = end;
        }
    }
    result.push_str(&text[done..]);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        let body: TaskBody = serde_json::from_value(serde_json::json!({
            "name": "backup_immich", "steps": [
                {"name": "stop", "command": "python3", "args": "backup.py --stop immich"},
                {"name": "sync", "command": "python3", "args": "backup.py --sync immich --path /d/immich/data immich-ml"},
            ],
        }))
        .unwrap();
        Task::try_from(&body).unwrap()
    }

    #[test]
    fn the_service_is_what_all_steps_name() {
        assert_eq!(shared_argument(&task()).as_deref(), Some("immich"));
    }

    #[test]
    fn only_whole_words_are_replaced() {
        let body = copy(&task(), "backup_n8n", "immich", "n8n").unwrap();
        let Args::List(args) = &body.steps[1].args else {
            panic!("a list")
        };
        assert_eq!(
            args,
            &[
                "backup.py",
                "--sync",
                "n8n",
                "--path",
                "/d/n8n/data",
                "immich-ml"
            ]
        );
        assert_eq!(body.name, "backup_n8n");
        let error = copy(&task(), "x", "planka", "n8n").unwrap_err();
        assert_eq!(error.field, "replace");
    }
}
