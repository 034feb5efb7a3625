//! The same task for another service: a copy under another name, in which one word of all steps is replaced.

use super::definition::{Args, StepBody, TaskBody};
use super::field::FieldError;
use super::task::Task;

/// Minutes between two tasks that are staggered.
const APART: u32 = 10;
const DAY: u32 = 24 * 60;

/// The argument that all steps share and that is no file: most likely the service.
#[must_use]
pub fn shared_argument(task: &Task) -> Option<String> {
    let (first, rest) = task.steps().split_first()?;
    let in_all = |arg: &&String| rest.iter().all(|step| step.command.args().contains(arg));
    let plain = |arg: &&String| !arg.starts_with('-') && !arg.contains(['.', '/']);
    let mut args = first.command.args().iter();
    args.rfind(|arg| in_all(arg) && plain(arg)).cloned()
}

/// The copy of a task with the word `by` in place of `replace` in all steps. Without a name of its own the copy has the
/// same word replaced in its name.
///
/// # Errors
/// A word that no step holds, or an empty one in its place.
pub fn copy(task: &TaskBody, name: &str, replace: &str, by: &str) -> Result<TaskBody, FieldError> {
    let mut body = task.clone();
    body.name = match name {
        "" if !replace.is_empty() => task.name.replace(replace, by),
        name => name.to_owned(),
    };
    if replace.is_empty() {
        return Ok(body);
    }
    if by.is_empty() {
        let problem = "is empty; name the word that takes its place";
        return Err(FieldError::new("by", problem));
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
    match found {
        true => Ok(body),
        false => Err(FieldError::new(
            "replace",
            format!("{replace:?} is in no argument of {}", task.name),
        )),
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

/// A schedule for the copy: that of the original, some minutes later, at a time of the day that none of `taken` has. One
/// that is no fixed time of the day stays as it is.
#[must_use]
pub fn staggered(cron: &str, taken: &[String]) -> String {
    let Some((minute, rest)) = time_of_day(cron) else {
        return cron.to_owned();
    };
    let others: Vec<u32> = taken
        .iter()
        .filter_map(|cron| time_of_day(cron).map(|(minute, _)| minute))
        .collect();
    let free = (1..DAY / APART)
        .map(|step| (minute + step * APART) % DAY)
        .find(|minute| !others.contains(minute))
        .unwrap_or(minute);
    format!("{} {} {rest}", free % 60, free / 60)
}

/// The minute of the day, and the last three fields.
fn time_of_day(cron: &str) -> Option<(u32, String)> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, rest @ ..] = fields.as_slice() else {
        return None;
    };
    let (minute, hour) = (minute.parse::<u32>().ok()?, hour.parse::<u32>().ok()?);
    (minute < 60 && hour < 24 && rest.len() == 3).then(|| (hour * 60 + minute, rest.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> TaskBody {
        serde_json::from_value(serde_json::json!({
            "name": "backup_immich", "steps": [
                {"name": "stop", "command": "python3", "args": "backup.py --stop immich"},
                {"name": "sync", "command": "python3", "args": ["backup.py", "--sync", "immich", "--path", "/d/immich/data", "immich-ml"]},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn the_service_is_the_word_that_all_steps_name() {
        let task = Task::try_from(&body()).unwrap();
        assert_eq!(shared_argument(&task).as_deref(), Some("immich"));
    }

    #[test]
    fn only_whole_words_are_replaced() {
        let copied = copy(&body(), "", "immich", "n8n").unwrap();
        let Args::List(args) = &copied.steps[1].args else {
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
        assert_eq!(copied.name, "backup_n8n");
        let error = copy(&body(), "x", "planka", "n8n").unwrap_err();
        assert_eq!(error.field, "replace");
    }

    #[test]
    fn a_copy_runs_at_a_free_time() {
        let taken: Vec<String> = ["0 3 * * *", "10 3 * * *", "*/5 * * * *"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(staggered("0 3 * * *", &taken), "20 3 * * *");
        assert_eq!(staggered("55 23 * * 1-5", &[]), "5 0 * * 1-5");
        assert_eq!(staggered("*/5 * * * *", &taken), "*/5 * * * *");
        assert_eq!(staggered("@daily", &taken), "@daily");
    }
}
