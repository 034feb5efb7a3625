//! The options of steps: `--step NAME` opens one, later options belong to this step.

use super::error::CliError;
use crate::view::{self, StepBody};
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint, value_parser};

const OTHER: &str = "Other changes to steps";
const HEADING: &str = "Steps, as often as needed; each option belongs to the last --step";

/// One option as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Typed {
    Step(String),
    Program(String),
    Args(String),
    Rule(String),
    Timeout(u32),
    Retries(u32),
    RetryDelay(u32),
    MayFail(bool),
    Env(String),
    RemoveEnv(String),
    Dir(String),
}

/// The typed options of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StepEdit {
    /// Its name.
    pub(super) name: String,
    command: Option<String>,
    args: Option<String>,
    rule: Option<String>,
    timeout: Option<u32>,
    retries: Option<u32>,
    retry_delay: Option<u32>,
    may_fail: Option<bool>,
    env: Vec<(String, Option<String>)>,
    dir: Option<String>,
}

/// The steps of a new task. Their order on the command line matters, which a derived parser
/// does not keep, so this one is written by hand.
#[derive(Debug, Clone)]
pub(super) struct NewSteps(Result<Vec<StepEdit>, String>);

impl NewSteps {
    /// The steps as they were typed, in order.
    pub(super) fn edits(self) -> Result<Vec<StepEdit>, CliError> {
        self.0.map_err(CliError::Usage)
    }
}

/// The changes to the steps of a task that is there.
#[derive(Debug, Args)]
pub(super) struct EditedSteps {
    #[command(flatten)]
    pub(super) steps: NewSteps,
    /// Take a variable out of its environment
    #[arg(long, value_name = "KEY", help_heading = HEADING)]
    remove_env: Vec<String>,
    /// Remove a step
    #[arg(long, value_name = "NAME", help_heading = OTHER)]
    pub(super) remove_step: Vec<String>,
    /// Move a step to the place that --to names
    #[arg(long, value_name = "NAME", help_heading = OTHER, requires = "to")]
    pub(super) move_step: Vec<String>,
    /// Its new place, 1 for the first
    #[arg(long, value_name = "N", help_heading = OTHER, requires = "move_step")]
    pub(super) to: Vec<usize>,
}

impl FromArgMatches for NewSteps {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(edits(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = edits(matches);
        Ok(())
    }
}

impl Args for NewSteps {
    fn augment_args(command: Command) -> Command {
        with_options(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        with_options(command)
    }
}

fn with_options(command: Command) -> Command {
    command
        .arg(
            option("step", "NAME", "Open a step of this name")
                .value_parser(NonEmptyStringValueParser::new()),
        )
        .arg(
            option("command", "PROGRAM", "The program to run, such as python3")
                .value_hint(ValueHint::CommandName),
        )
        .arg(
            option(
                "args",
                "LINE",
                "Its arguments in one word, split as a shell does",
            )
            .allow_hyphen_values(true),
        )
        .arg(
            option("rule", "RULE", "When it runs [default: on_success]").value_parser(
                PossibleValuesParser::new(["on_success", "on_failure", "always"]),
            ),
        )
        .arg(
            option(
                "timeout",
                "SECONDS",
                "Time one attempt may take [default: 3600]",
            )
            .value_parser(value_parser!(u32)),
        )
        .arg(
            option("retries", "N", "Attempts after the first [default: 0]")
                .value_parser(value_parser!(u32)),
        )
        .arg(
            option(
                "retry-delay",
                "SECONDS",
                "Time between attempts [default: 0]",
            )
            .value_parser(value_parser!(u32)),
        )
        .arg(
            option(
                "may-fail",
                "BOOL",
                "Its failure does not fail the run [default: false]",
            )
            .value_parser(value_parser!(bool)),
        )
        .arg(
            option(
                "env",
                "KEY=VALUE",
                "A variable of its environment, repeatable",
            )
            .allow_hyphen_values(true),
        )
        .arg(option(
            "dir",
            "DIR",
            "Working directory, relative to the scripts folder",
        ))
}

fn option(id: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(id)
        .long(id)
        .value_name(value)
        .help(help)
        .help_heading(HEADING)
        .action(ArgAction::Append)
}

/// The options of steps, each with the step before it.
fn edits(matches: &ArgMatches) -> Result<Vec<StepEdit>, String> {
    let mut typed = Vec::new();
    let mut texts = |id, make: fn(String) -> Typed| typed.extend(found(matches, id, make));
    texts("step", Typed::Step);
    texts("command", Typed::Program);
    texts("args", Typed::Args);
    texts("rule", Typed::Rule);
    texts("env", Typed::Env);
    texts("remove_env", Typed::RemoveEnv);
    texts("dir", Typed::Dir);
    let mut numbers = |id, make: fn(u32) -> Typed| typed.extend(found(matches, id, make));
    numbers("timeout", Typed::Timeout);
    numbers("retries", Typed::Retries);
    numbers("retry-delay", Typed::RetryDelay);
    typed.extend(found(matches, "may-fail", Typed::MayFail));
    typed.sort_by_key(|(index, _)| *index);
    group(typed.into_iter().map(|(_, option)| option))
}

/// The values of one option with their places on the command line.
fn found<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    id: &str,
    make: fn(T) -> Typed,
) -> Vec<(usize, Typed)> {
    let values = matches.try_get_many::<T>(id).ok().flatten();
    let Some(values) = values else {
        return Vec::new();
    };
    let indices = matches.indices_of(id).into_iter().flatten();
    indices.zip(values.cloned().map(make)).collect()
}

fn group(typed: impl IntoIterator<Item = Typed>) -> Result<Vec<StepEdit>, String> {
    let mut steps: Vec<StepEdit> = Vec::new();
    for option in typed {
        match (option, steps.last_mut()) {
            (Typed::Step(name), _) => {
                if steps.iter().any(|step| step.name == name) {
                    return Err(format!(
                        "--step {name:?} is there twice; a task has one step of a name"
                    ));
                }
                steps.push(StepEdit {
                    name,
                    ..StepEdit::default()
                });
            }
            (option, None) => {
                return Err(format!(
                    "--{} belongs to a step; put --step NAME before it",
                    option.name()
                ));
            }
            (option, Some(step)) => step.take(option)?,
        }
    }
    Ok(steps)
}

impl Typed {
    fn name(&self) -> &'static str {
        match self {
            Self::Step(_) => "step",
            Self::Program(_) => "command",
            Self::Args(_) => "args",
            Self::Rule(_) => "rule",
            Self::Timeout(_) => "timeout",
            Self::Retries(_) => "retries",
            Self::RetryDelay(_) => "retry-delay",
            Self::MayFail(_) => "may-fail",
            Self::Env(_) => "env",
            Self::RemoveEnv(_) => "remove-env",
            Self::Dir(_) => "dir",
        }
    }
}

impl StepEdit {
    fn take(&mut self, option: Typed) -> Result<(), String> {
        let option_name = option.name();
        let again = match option {
            Typed::Step(name) => {
                self.name = name;
                false
            }
            Typed::Program(program) => self.command.replace(program).is_some(),
            Typed::Args(line) => self.args.replace(line).is_some(),
            Typed::Rule(rule) => self.rule.replace(rule).is_some(),
            Typed::Timeout(seconds) => self.timeout.replace(seconds).is_some(),
            Typed::Retries(count) => self.retries.replace(count).is_some(),
            Typed::RetryDelay(seconds) => self.retry_delay.replace(seconds).is_some(),
            Typed::MayFail(may) => self.may_fail.replace(may).is_some(),
            Typed::Dir(dir) => self.dir.replace(dir).is_some(),
            Typed::RemoveEnv(key) => {
                self.env.push((key, None));
                false
            }
            Typed::Env(pair) => {
                let Some((key, value)) = pair.split_once('=') else {
                    return Err(format!("--env {pair:?} has no =; write it like KEY=VALUE"));
                };
                self.env.push((key.to_owned(), Some(value.to_owned())));
                false
            }
        };
        if again {
            return Err(format!("step {:?} has --{option_name} twice", self.name));
        }
        Ok(())
    }

    /// The new step that was described.
    pub(super) fn into_step(self) -> Result<StepBody, CliError> {
        if self.command.is_none() {
            return Err(CliError::Usage(format!(
                "step {:?} has no --command; say which program it runs",
                self.name
            )));
        }
        let mut step = StepBody {
            name: self.name.clone(),
            ..StepBody::default()
        };
        self.apply(&mut step);
        Ok(step)
    }

    /// Applies the typed options to a step that is there, and nothing else.
    pub(super) fn apply(self, step: &mut StepBody) {
        fn set<T>(field: &mut T, new: Option<T>) {
            if let Some(new) = new {
                *field = new;
            }
        }
        set(&mut step.command, self.command);
        set(&mut step.args, self.args.map(view::Args::Line));
        set(&mut step.rule, self.rule);
        set(&mut step.timeout, self.timeout);
        set(&mut step.retries, self.retries);
        set(&mut step.retry_delay, self.retry_delay);
        set(&mut step.may_fail, self.may_fail);
        if let Some(dir) = self.dir {
            step.working_dir = Some(dir).filter(|dir| !dir.is_empty());
        }
        for (key, value) in self.env {
            match value {
                Some(value) => step.env.insert(key, value),
                None => step.env.remove(&key),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Vec<StepEdit>, String> {
        let words = shlex::split(line).unwrap();
        let matches = EditedSteps::augment_args(Command::new("t").no_binary_name(true))
            .try_get_matches_from(words)
            .map_err(|error| error.to_string())?;
        edits(&matches)
    }

    #[test]
    fn options_belong_to_the_step_before_them() {
        let steps = parse(
            "--step stop --command python3 --args '--stop vaultwarden' --timeout 30 \
             --step sync --env A=1=2 --command rclone --env B= --step start --rule always --dir x",
        )
        .unwrap();
        assert_eq!(steps.len(), 3);
        assert_eq!(steps[0].args.as_deref(), Some("--stop vaultwarden"));
        assert_eq!((steps[0].timeout, steps[1].timeout), (Some(30), None));
        assert_eq!(steps[1].command.as_deref(), Some("rclone"));
        let env = [("A", Some("1=2")), ("B", Some(""))];
        assert_eq!(
            steps[1].env,
            env.map(|(k, v)| (k.to_owned(), v.map(str::to_owned)))
        );
        assert_eq!(steps[2].rule.as_deref(), Some("always"));
        assert_eq!(steps[2].dir.as_deref(), Some("x"));
    }

    #[test]
    fn arguments_may_look_like_our_own_options() {
        let steps =
            parse("--step a --command echo --args --timeout --step b --args=--step").unwrap();
        assert_eq!(steps[0].args.as_deref(), Some("--timeout"));
        assert_eq!(steps[1].args.as_deref(), Some("--step"));
    }

    #[test]
    fn mistakes_name_the_step_and_the_option() {
        let refused = |line| parse(line).unwrap_err();
        assert!(refused("--command x --step a").contains("--command belongs to a step"));
        assert!(refused("--step a --step a").contains("\"a\" is there twice"));
        assert!(refused("--step a --timeout 1 --timeout 2").contains("\"a\" has --timeout twice"));
        assert!(refused("--step a --env X").contains("KEY=VALUE"));
        assert!(refused("--step a --rule never").contains("on_success"));
    }

    #[test]
    fn a_new_step_has_the_defaults_and_needs_a_command() {
        let mut steps = parse("--step a --command true --step b").unwrap();
        assert!(steps.pop().unwrap().into_step().is_err());
        let step = steps.pop().unwrap().into_step().unwrap();
        assert_eq!((step.rule.as_str(), step.timeout), ("on_success", 3600));
        assert_eq!(step.args, view::Args::default());
    }

    #[test]
    fn an_edit_leaves_the_rest_alone() {
        let edit = |line| parse(line).unwrap().remove(0);
        let mut step = edit("--step a --command x --timeout 9 --env K=1 --env L=2 --dir d")
            .into_step()
            .unwrap();
        edit("--step a --remove-env K --dir '' --rule always").apply(&mut step);
        assert_eq!((step.command.as_str(), step.timeout), ("x", 9));
        assert_eq!(step.env.keys().collect::<Vec<_>>(), ["L"]);
        assert_eq!((step.working_dir, step.rule.as_str()), (None, "always"));
    }
}
