//! `--explain`: the decision on a request line and the commands that it would run, as JSON.
//!
//! Invariant: the argument vectors come from the same functions that the actions use; no file is opened or written and
//! no program is run to produce them.

use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime};
use serde_json::{Value, json};

use crate::action::spool_folder;
use crate::control::Controls;
use crate::keeper;
use crate::lease::KeptBy;
use crate::policy::{self, Archive, Decision, Grant, Mirror, Order, Rehearse};
use crate::request::Request;
use crate::retention::{ArchiveName, PARTIAL, PREVIOUS};
use base::error::ExitStatus;
use base::names::{Remote, ServiceName};
use config::Config;
use host::caller::Caller;

/// Decides a line as if it had come over SSH.
#[must_use]
pub fn explain(config: &Config, line: &[u8], now: NaiveDateTime) -> (Value, ExitStatus) {
    let request = match Request::parse_line(line) {
        Ok(request) => request,
        Err(error) => return refused(ExitStatus::Usage, &error.to_string(), Value::Null),
    };
    let view = view(&request);
    match policy::decide(config, &Caller::over_ssh(), &request) {
        Decision::Denied(reason) => refused(ExitStatus::Refused, &reason.to_string(), view),
        Decision::Granted(grant) => {
            let answer = json!({
                "decision": "accepted",
                "exit_code": ExitStatus::Done.code(),
                "reason": Value::Null,
                "request": view,
                "timeout": grant.timeout().as_secs(),
                "steps": steps(config, &grant, now),
            });
            (answer, ExitStatus::Done)
        }
    }
}

fn refused(status: ExitStatus, reason: &str, request: Value) -> (Value, ExitStatus) {
    let answer = json!({
        "decision": "refused",
        "exit_code": status.code(),
        "reason": reason,
        "request": request,
        "steps": [],
    });
    (answer, status)
}

fn view(request: &Request) -> Value {
    let mut view = serde_json::Map::new();
    let plain = |name: &str| name.trim_start_matches('-').replace('-', "_");
    view.insert("verb".into(), request.verb().trim_start_matches('-').into());
    if let Some(subject) = request.subject() {
        let key = if matches!(request, Request::SyncExtra { .. }) {
            "target"
        } else {
            "service"
        };
        view.insert(key.into(), subject.into());
    }
    for (name, value) in request.options() {
        let value = match name {
            "--json" | "--boot" | "--in-place" | "--keep-privileges" => true.into(),
            "--path" | "--remote" | "--from" | "--to" => value.into(),
            _ => value.parse::<u32>().map_or(Value::Null, Value::from),
        };
        view.insert(plain(name), value);
    }
    view.insert("line".into(), request.to_string().into());
    Value::Object(view)
}

fn step(what: &str, argv: Vec<String>) -> Value {
    json!({ "what": what, "argv": argv })
}

fn steps(config: &Config, grant: &Grant, now: NaiveDateTime) -> Vec<Value> {
    match grant.order() {
        Order::Stop {
            service,
            ask_remotes,
        } => {
            let controls = Controls::of(config, service, grant.timeout());
            let mut steps = vec![step(
                "ask whether it is up, and record that",
                controls.status.clone(),
            )];
            if *ask_remotes {
                let mut names: Vec<&str> = config.remotes.iter().map(Remote::name).collect();
                names.dedup();
                steps.extend(names.into_iter().map(|name| {
                    step(
                        "unless it is down already, ask this remote, for at most 5 seconds in all, and leave the service up if every remote says no for certain",
                        rclone::about_at_once(config, name),
                    )
                }));
            }
            if config.asks_for_room(service) {
                steps.push(room(config, service));
            }
            steps.extend([
                promise(config, service, now),
                step("stop it", controls.stop),
                step("ask until it is down (exit code 3)", controls.status),
            ]);
            steps
        }
        Order::Start(service) => {
            let controls = Controls::of(config, service, grant.timeout());
            vec![
                step(
                    "start it, unless it was down before the stop",
                    controls.start,
                ),
                step("ask until it is up (exit code 0)", controls.status),
            ]
        }
        Order::Sync(mirror) => sync_steps(config, mirror, now),
        Order::Archive(archive) => archive_steps(config, archive, now.date()),
        Order::Rehearse(order) => rehearsal_steps(config, order),
        Order::Recover { .. }
        | Order::Approve { .. }
        | Order::Report { .. }
        | Order::Verify(_)
        | Order::VerifyMirror(_)
        | Order::Restore(_)
        | Order::RestoreExtra(_) => Vec::new(),
    }
}

/// The check of the spool's room before a service is stopped.
fn room(config: &Config, service: &ServiceName) -> Value {
    json!({
        "what": "unless it is down already, measure its data, and leave it up (exit code 73) if an archive could need more than the spool has",
        "argv": [],
        "source": config.data_of(service).to_string(),
        "spool": spool_folder(&config.spool_dir, service).to_string(),
        "reserve": config.limits.spool_reserve,
    })
}

/// The lease and its keeper.
fn promise(config: &Config, service: &ServiceName, now: NaiveDateTime) -> Value {
    let seconds = config.lease_of(service);
    let kept_by = keeper::choose(config);
    let argv = if kept_by == KeptBy::Systemd {
        let left = Duration::from_secs(seconds.into());
        keeper::make_timer(config, service, now.and_utc(), left)
    } else {
        Vec::new()
    };
    json!({
        "what": "see to it that it is brought back when no --start comes",
        "argv": argv,
        "seconds": seconds,
        "kept_by": kept_by,
    })
}

fn sync_steps(config: &Config, mirror: &Mirror, now: NaiveDateTime) -> Vec<Value> {
    let source = mirror.source.to_string();
    let places = &mirror.places;
    let versions = format!("{}/{}", places.versions, now.format("%Y-%m-%d/%H%M%S-%3f"));
    let copies = config.spool_dir.below(&[".mirror", &mirror.lock.folder()]);
    let folder = |name: &str| format!("{copies}/{name}");
    let book = |name: &str| format!("{}{name}", places.prefix);
    let put = |what: &str, local: &str, name: &str| {
        let name = book(name);
        let file = format!("{}/{name}", folder(local));
        step(
            what,
            rclone::put(config, &file, &format!("{}/{name}", places.books)),
        )
    };
    vec![
        step(
            "list the manifests of the mirror, as the proof that it is as this board left it",
            rclone::list(config, &places.books),
        ),
        step(
            "read the file that says which night the mirror is a copy of",
            rclone::cat(config, &format!("{}/{}", places.books, book("complete")), 0),
        ),
        json!({
            "what": "compare the opened directory with the last manifest, count what would be deleted and replaced, and refuse if it is too much",
            "argv": [],
            "source": source,
        }),
        json!({
            "what": "copy and hash the contents that changed, and upload them beside the mirror",
            "argv": rclone::send(config, &folder("contents"), &places.incoming),
            "source": source,
        }),
        put(
            "upload the list of changes; from here on the new night counts",
            "delta",
            "manifest-GGGGGG.NNNN.gz",
        ),
        step(
            "move each file that is replaced or gone to the versions",
            rclone::rename(
                config,
                &format!("{}/PATH", places.data),
                &format!("{versions}/PATH"),
            ),
        ),
        step(
            "move each new content into its place",
            rclone::rename(
                config,
                &format!("{}/CONTENT", places.incoming),
                &format!("{}/PATH", places.data),
            ),
        ),
        put("say that the mirror is complete", "complete", "complete"),
        json!({
            "what": "list the files of the mirror and compare them with the manifest, when the last time is that long ago",
            "argv": rclone::all_files(config, &places.data, false),
            "compare_days": mirror.compare_days,
        }),
        step(
            "list the days for which replaced and deleted files are kept",
            rclone::days(config, &mirror.versions),
        ),
        json!({
            "what": "remove each day whose time has come",
            "argv": rclone::purge(config, &format!("{}/YYYY-MM-DD", mirror.versions)),
            "keep_days": config.versions.keep_days,
            "keep_count": config.versions.keep_count,
        }),
    ]
}

fn rehearsal_steps(config: &Config, order: &Rehearse) -> Vec<Value> {
    let service = &order.wanted.service;
    let terms = &config.rehearsal;
    let folder = config.spool_dir.below(&[".rehearsal"]).to_string();
    let mut steps = Vec::new();
    for remote in &order.wanted.remotes {
        let archives = remote.join(&format!("{service}/archives"));
        let place = |name: &str| format!("{archives}/{name}");
        let archive = format!("{service}-YYYY-MM-DD.tar.gz");
        let manifest = format!("{service}-YYYY-MM-DD.manifest.gz");
        steps.extend([
            step("list the archives", rclone::list(config, &archives)),
            step(
                "where the archive has its turn, read its manifest",
                rclone::cat(config, &place(&manifest), 0),
            ),
            step(
                "unpack it in a private folder, with every digest compared",
                rclone::cat(config, &place(&archive), 0),
            ),
        ]);
    }
    for (_, places) in &order.mirror.places {
        let argv = rclone::fetch_contents(config, &places.data, &folder);
        steps.extend([
            step(
                "where the mirror has its turn, list its manifests",
                rclone::list(config, &places.books),
            ),
            json!({
                "what": "fetch its contents into a private folder, with every digest compared; of a large mirror, the next share",
                "argv": rclone::with_most(argv, terms.max_bytes),
                "rehearsals": terms.rehearsals,
            }),
        ]);
    }
    steps.push(json!({
        "what": "check all databases in it, and remove the folder",
        "argv": [],
        "folder": folder,
        "max_bytes": terms.max_bytes,
    }));
    steps
}

fn archive_steps(config: &Config, order: &Archive, today: NaiveDate) -> Vec<Value> {
    let name = ArchiveName::new(order.service.clone(), today);
    let spool = spool_folder(&config.spool_dir, &order.service);
    let (archive, manifest) = (name.to_string(), name.manifest());
    let [archive_partial, manifest_partial] =
        [&archive, &manifest].map(|name| format!("{name}{PARTIAL}"));
    let place = |name: &str| format!("{}/{name}", order.folder);
    let send = |name: &str| rclone::upload(config, &format!("{spool}/{name}"), &place(name));
    let rename = |from: &str, to: &str| rclone::rename(config, &place(from), &place(to));
    let list = || rclone::list(config, &order.folder);
    let files = [archive_partial.as_str(), manifest_partial.as_str()];
    vec![
        json!({
            "what": "pack the opened directory into the spool and read it back",
            "argv": [],
            "source": order.source.to_string(),
            "spool": format!("{spool}/{archive_partial}"),
        }),
        step(
            "list the archives, and put in order what an interrupted archive left",
            list(),
        ),
        step("upload under another name", send(&archive_partial)),
        step("upload its manifest", send(&manifest_partial)),
        step(
            "compare the hashes with the spool (by cryptcheck, where the remote is encrypted)",
            rclone::compare(config, &spool.to_string(), &order.folder, files, false),
        ),
        step(
            "where no hash is common, read both files back and compare them with the spool",
            rclone::cat(config, &place(&archive_partial), 0),
        ),
        step("list the archives", list()),
        step(
            "move the manifest of today's former archive aside, if there is one",
            rename(&manifest, &format!("{manifest}{PREVIOUS}")),
        ),
        step(
            "move today's former archive aside, if there is one",
            rename(&archive, &format!("{archive}{PREVIOUS}")),
        ),
        step(
            "move the manifest into place",
            rename(&manifest_partial, &manifest),
        ),
        step("move it into place", rename(&archive_partial, &archive)),
        step("list the archives again", list()),
        json!({
            "what": "put each archive aside that retention gives up, its manifest first; where there is one, read the manifests that were not read before",
            "argv": rclone::rename(
                config,
                &place(&format!("{}-YYYY-MM-DD.tar.gz", order.service)),
                &format!("{}/{today}/{}-YYYY-MM-DD.tar.gz", order.pruned, order.service),
            ),
            "keep_weekly": order.keep_weekly,
            "keep_monthly": order.keep_monthly,
            "raised": order.raised.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        step(
            "list the days on which archives were put aside",
            rclone::days(config, &order.pruned),
        ),
        json!({
            "what": "remove each day whose time has come",
            "argv": rclone::purge(config, &format!("{}/YYYY-MM-DD", order.pruned)),
            "pruned_days": config.retention.pruned_days,
        }),
    ]
}
