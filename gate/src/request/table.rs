//! The table of verbs and options: a word of the grammar is defined here and nowhere else.
//!
//! The parser, `--help`, the completions of three shells, the synopsis of the manual and the tables of GRAMMAR.md come from it;
//! a test writes those files anew, see `tests/it/generated`.
//!
//! Invariant: plain data. The meaning of a verb is its variant of `Request` or `HostVerb`.

pub use super::option::{Opt, Use};
pub use super::value::{Takes, Value};

/// The door through which a verb may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Over SSH and on the host.
    Request,
    /// On the host only; a line over SSH is read to its end and refused.
    Host,
    /// On the host only, and it stands alone: the rest of a line over SSH is not read.
    Alone,
    /// On the host only, for sshd's forced command; no request can contain it.
    Forced,
}

/// A verb of the host that only reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// `--list`
    List,
    /// `--status`
    Status,
}

impl Report {
    /// The verb.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut verbs = VERBS.iter();
        let own = verbs.find(|verb| verb.report.is_some_and(|(report, _)| report == self));
        own.map_or("", |verb| verb.name)
    }

    /// The powers that it needs.
    #[must_use]
    pub fn needs(self) -> Needs {
        let mut reports = VERBS.iter().filter_map(|verb| verb.report);
        let own = reports.find(|&(report, _)| report == self);
        own.map_or(Needs::Nothing, |(_, needs)| needs)
    }
}

/// The powers that a report needs, besides its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Nothing,
    /// It runs rclone.
    Remotes,
    /// It runs the commands of services.
    Services,
}

/// A verb: each command line has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb {
    /// With its two dashes.
    pub name: &'static str,
    /// Its value.
    pub takes: Takes,
    /// The door through which it may come.
    pub place: Place,
    /// Its options, in their canonical order.
    pub options: &'static [Use],
    /// Half a sentence for people.
    pub help: &'static str,
    /// The report and its powers, if the verb is one.
    pub report: Option<(Report, Needs)>,
}

const fn option(name: &'static str, takes: Takes, help: &'static str) -> Opt {
    Opt { name, takes, help }
}

const TIMEOUT: Opt = option(
    "--timeout",
    Takes::One(Value::Seconds),
    "give up after S seconds",
);
const PATH: Opt = option("--path", Takes::One(Value::Path), "its data directory");
const REMOTE: Opt = option("--remote", Takes::One(Value::Remote), "the remote folder");
const WEEKLY: Opt = option(
    "--keep-weekly",
    Takes::One(Value::Count),
    "keep archives of N weeks",
);
const MONTHLY: Opt = option(
    "--keep-monthly",
    Takes::One(Value::Count),
    "keep archives of N months",
);
const JSON: Opt = option("--json", Takes::Nothing, "the same for scripts");
const BOOT: Opt = option(
    "--boot",
    Takes::Nothing,
    "also services left stopped across a reboot",
);
const ORIGIN: Opt = option(
    "--from",
    Takes::One(Value::Origin),
    "the archive of this day, or the mirror",
);
const TO: Opt = option(
    "--to",
    Takes::One(Value::Directory),
    "into this directory, which must be new or empty",
);
/// A part of the data.
pub const ONLY: Opt = option(
    "--only",
    Takes::One(Value::InnerPath),
    "only this file or folder of the data; may be repeated",
);
const IN_PLACE: Opt = option(
    "--in-place",
    Takes::Nothing,
    "stop the service, replace its data, start it",
);
const PRIVILEGES: Opt = option(
    "--keep-privileges",
    Takes::Nothing,
    "with set-user-ID, set-group-ID and capabilities",
);
const DRY_RUN: Opt = option("--dry-run", Takes::Nothing, "only print the changes");
const IMPORT: Opt = option(
    "--import",
    Takes::Nothing,
    "keep the files of an earlier installation",
);
const USER: Opt = option(
    "--user",
    Takes::One(Value::User),
    "the user of the container",
);
const DATA_ROOT: Opt = option(
    "--data-root",
    Takes::One(Value::Directory),
    "the folder with the data of services",
);
const LOCAL_REMOTE: Opt = option(
    "--local-remote",
    Takes::One(Value::Directory),
    "a folder in the place of the remote",
);

const fn verb(
    place: Place,
    name: &'static str,
    takes: Takes,
    options: &'static [Use],
    help: &'static str,
) -> Verb {
    Verb {
        name,
        takes,
        place,
        options,
        help,
        report: None,
    }
}

impl Verb {
    /// This verb as a report.
    const fn reports(self, report: Report, needs: Needs) -> Self {
        Self {
            report: Some((report, needs)),
            ..self
        }
    }
}

const SERVICE: Takes = Takes::One(Value::Service);
const ANY_SERVICE: Takes = Takes::AtMostOne(Value::Service);
const TARGET: Takes = Takes::One(Value::Target);

/// All verbs, in the order in which people read them.
pub const VERBS: [Verb; 23] = [
    verb(
        Place::Request,
        "--stop",
        SERVICE,
        &[Use::May(TIMEOUT)],
        "stop a service",
    ),
    verb(
        Place::Request,
        "--start",
        SERVICE,
        &[Use::May(TIMEOUT)],
        "start a service",
    ),
    verb(
        Place::Request,
        "--sync",
        SERVICE,
        &[Use::Must(PATH), Use::Must(REMOTE), Use::May(TIMEOUT)],
        "mirror its data",
    ),
    verb(
        Place::Request,
        "--archive",
        SERVICE,
        &[
            Use::Must(PATH),
            Use::Must(REMOTE),
            Use::May(WEEKLY),
            Use::May(MONTHLY),
            Use::May(TIMEOUT),
        ],
        "pack its data into an archive",
    ),
    verb(
        Place::Request,
        "--sync-extra",
        TARGET,
        &[Use::Must(REMOTE), Use::May(TIMEOUT)],
        "mirror an extra directory",
    ),
    verb(
        Place::Request,
        "--rehearse",
        SERVICE,
        &[Use::May(REMOTE), Use::May(TIMEOUT)],
        "prove that its newest copy can be restored",
    ),
    verb(
        Place::Host,
        "--list",
        ANY_SERVICE,
        &[Use::May(JSON)],
        "list mirrors, archives and left-over files",
    )
    .reports(Report::List, Needs::Remotes),
    verb(
        Place::Host,
        "--status",
        ANY_SERVICE,
        &[Use::May(JSON)],
        "show services that are up, down, stopped or busy",
    )
    .reports(Report::Status, Needs::Services),
    verb(
        Place::Host,
        "--doctor",
        Takes::Nothing,
        &[Use::May(JSON)],
        "check every link of the chain and suggest fixes",
    ),
    verb(
        Place::Host,
        "--verify",
        SERVICE,
        &[Use::May(ORIGIN), Use::May(REMOTE), Use::May(TIMEOUT)],
        "read the newest archive back and check it fully",
    ),
    verb(
        Place::Host,
        "--restore",
        SERVICE,
        &[
            Use::May(ORIGIN),
            Use::Repeat(ONLY),
            Use::Either(TO, IN_PLACE),
            Use::May(PRIVILEGES),
            Use::May(REMOTE),
            Use::May(TIMEOUT),
        ],
        "bring data back, into a fresh directory beside it",
    ),
    verb(
        Place::Host,
        "--verify-extra",
        TARGET,
        &[Use::May(REMOTE), Use::May(TIMEOUT)],
        "read the mirror of an extra target back and check it fully",
    ),
    verb(
        Place::Host,
        "--restore-extra",
        TARGET,
        &[
            Use::Must(TO),
            Use::May(PRIVILEGES),
            Use::May(REMOTE),
            Use::May(TIMEOUT),
        ],
        "bring an extra target back",
    ),
    verb(
        Place::Host,
        "--recover",
        ANY_SERVICE,
        &[Use::May(BOOT)],
        "start services with an expired lease",
    ),
    verb(
        Place::Host,
        "--approve",
        SERVICE,
        &[],
        "allow a refused change, and pruning after an unusual night",
    ),
    verb(
        Place::Host,
        "--approve-extra",
        TARGET,
        &[],
        "the same for an extra target",
    ),
    verb(
        Place::Alone,
        "--explain",
        Takes::One(Value::Line),
        &[],
        "decide a request without carrying it out (JSON)",
    ),
    verb(
        Place::Alone,
        "--install",
        Takes::Nothing,
        &[
            Use::May(DRY_RUN),
            Use::May(IMPORT),
            Use::May(USER),
            Use::May(DATA_ROOT),
            Use::May(LOCAL_REMOTE),
        ],
        "install or upgrade from an unpacked release; --install --help says more",
    ),
    verb(
        Place::Alone,
        "--uninstall",
        Takes::Nothing,
        &[Use::May(DRY_RUN)],
        "remove it; data and configuration stay",
    ),
    verb(
        Place::Alone,
        "--completions",
        Takes::One(Value::Shell),
        &[],
        "print completions for a shell",
    ),
    verb(
        Place::Forced,
        "--ssh-gate",
        Takes::Nothing,
        &[],
        "carry out the request in SSH_ORIGINAL_COMMAND",
    ),
    verb(
        Place::Alone,
        "--help",
        Takes::Nothing,
        &[],
        "print this help",
    ),
    verb(
        Place::Alone,
        "--version",
        Takes::Nothing,
        &[],
        "print the version",
    ),
];

/// The verb of this name, if a request line may hold it.
#[must_use]
pub fn verb_named(name: &str) -> Option<Verb> {
    let of_lines = |verb: &&Verb| matches!(verb.place, Place::Request | Place::Host);
    VERBS
        .iter()
        .filter(of_lines)
        .find(|verb| verb.name == name)
        .copied()
}

/// The report of this name.
#[must_use]
pub fn report_named(name: &str) -> Option<Report> {
    let mut verbs = VERBS.iter().filter(|verb| verb.name == name);
    verbs.find_map(|verb| verb.report).map(|(report, _)| report)
}

/// The option of this name, if a verb of a request line has it.
#[must_use]
pub fn option_named(name: &str) -> Option<Opt> {
    words().find_map(|(_, option)| option.filter(|option| option.name == name))
}

/// A word that stands alone.
#[must_use]
pub fn alone(name: &str) -> Option<&'static str> {
    let alone = |verb: &&Verb| verb.place == Place::Alone && verb.name == name;
    VERBS.iter().find(alone).map(|verb| verb.name)
}

/// The words of request lines: each verb alone, and with each of its options.
pub fn words() -> impl Iterator<Item = (Verb, Option<Opt>)> {
    let of_lines = |verb: &&Verb| matches!(verb.place, Place::Request | Place::Host);
    VERBS.iter().filter(of_lines).flat_map(|verb| {
        let of_lines = |used: &&Use| !matches!(used, Use::Repeat(_));
        let options = verb.options.iter().filter(of_lines);
        let options = options.flat_map(|used| used.options());
        let each = options.map(|option| (*verb, Some(option)));
        std::iter::once((*verb, None)).chain(each)
    })
}
