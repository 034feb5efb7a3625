use proptest::prelude::*;

use super::*;
use crate::request::table::Report;
use base::names::{Day, Origin};

fn parse(line: &str) -> Result<Request, ParseError> {
    Request::parse_line(line.as_bytes())
}

fn unknown(word: &str, nearest: Option<&'static str>) -> ParseError {
    ParseError::Unknown {
        word: word.to_owned(),
        nearest,
    }
}

#[test]
fn the_tutorials_lines_are_requests() {
    for line in [
        "backupctl --stop vaultwarden --timeout 120",
        "backupctl --start vaultwarden --timeout 300",
        "backupctl --sync vaultwarden --path /media/ssd/podman/vaultwarden/data --remote onedrive:/OdroidBackup --timeout 3600",
        "backupctl --archive vaultwarden --path /media/ssd/podman/vaultwarden/data --remote onedrive:/OdroidBackup --keep-weekly 3 --keep-monthly 12 --timeout 3600",
        "backupctl --sync-extra docs --remote onedrive:/OdroidBackup --timeout 3600",
    ] {
        assert_eq!(parse(line).unwrap().to_string(), line);
    }
}

#[test]
fn options_come_in_any_order() {
    let line = "backupctl --timeout 5 --remote o:/B --sync a --path /d/a/data";
    let same = "backupctl --sync a --path /d/a/data --remote o:/B --timeout 5";
    assert_eq!(parse(line), parse(same));
}

#[test]
fn each_mistake_has_its_own_reason() {
    let check = |line: &str, expected: ParseError| assert_eq!(parse(line), Err(expected), "{line}");
    check("rm -rf /", ParseError::Program("rm".into()));
    check("backupctl", ParseError::NoVerb);
    check(
        "backupctl --stop a --start a",
        ParseError::TwoVerbs("--stop", "--start"),
    );
    check("backupctl --stop a --stop a", ParseError::Twice("--stop"));
    check(
        "backupctl --stop a --timeout 1 --timeout 1",
        ParseError::Twice("--timeout"),
    );
    check("backupctl --stop", ParseError::NoValue("--stop"));
    check(
        "backupctl --stop --timeout 1",
        ParseError::NoValue("--stop"),
    );
    check("backupctl --stop a b", unknown("b", None));
    check("backupctl --sto a", unknown("--sto", Some("--stop")));
    check("backupctl --config /x --stop a", unknown("--config", None));
    check("backupctl --ssh-gate", unknown("--ssh-gate", None));
    check(
        "backupctl --stop a --path /a",
        ParseError::Misplaced {
            option: "--path",
            verb: "--stop",
        },
    );
    check(
        "backupctl --sync a --path /a",
        ParseError::Missing {
            option: "--remote",
            verb: "--sync",
        },
    );
}

fn name() -> impl Strategy<Value = ServiceName> {
    "[a-z0-9][a-z0-9_-]{0,63}".prop_map(|word| ServiceName::parse(&word).unwrap())
}

fn target_name() -> impl Strategy<Value = TargetName> {
    name().prop_map(|name| TargetName::parse(name.as_str()).unwrap())
}

fn path() -> impl Strategy<Value = PlainPath> {
    "(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}){1,6}".prop_map(|word| PlainPath::parse(&word).unwrap())
}

fn remote() -> impl Strategy<Value = Remote> {
    "[A-Za-z0-9][A-Za-z0-9_-]{0,9}:/?[A-Za-z0-9_-]{1,9}(/[a-z]{1,5}){0,3}"
        .prop_map(|word| Remote::parse(&word).unwrap())
}

fn timeout() -> impl Strategy<Value = Option<Seconds>> {
    proptest::option::of((1_u32..9_999_999).prop_map(|n| Seconds::parse(&n.to_string()).unwrap()))
}

fn count() -> impl Strategy<Value = Option<Count>> {
    proptest::option::of((0_u32..9999).prop_map(|n| Count::parse(&n.to_string()).unwrap()))
}

fn day() -> impl Strategy<Value = Day> {
    (1_u32..10_000, 1_u32..13, 1_u32..29).prop_map(|(year, month, day)| {
        Day::parse(&format!("{year:04}-{month:02}-{day:02}")).unwrap()
    })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        Just(Target::Beside),
        Just(Target::InPlace),
        path().prop_map(Target::At)
    ]
}

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![Just(Origin::Mirror), day().prop_map(Origin::Archive)]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (name(), timeout()).prop_map(|(service, timeout)| Request::Stop { service, timeout }),
        (name(), timeout()).prop_map(|(service, timeout)| Request::Start { service, timeout }),
        (name(), path(), remote(), timeout()).prop_map(|(service, path, remote, timeout)| {
            Request::Sync {
                service,
                path,
                remote,
                timeout,
            }
        }),
        (name(), path(), remote(), count(), count(), timeout()).prop_map(
            |(service, path, remote, keep_weekly, keep_monthly, timeout)| Request::Archive {
                service,
                path,
                remote,
                keep_weekly,
                keep_monthly,
                timeout
            }
        ),
        (name(), remote(), timeout()).prop_map(|(name, remote, timeout)| Request::SyncExtra {
            target: TargetName::parse(name.as_str()).unwrap(),
            remote,
            timeout
        }),
        (proptest::option::of(name()), any::<bool>()).prop_map(|(service, json)| Request::Host(
            HostVerb::Report {
                report: Report::List,
                service,
                json
            }
        )),
        (proptest::option::of(name()), any::<bool>()).prop_map(|(service, json)| Request::Host(
            HostVerb::Report {
                report: Report::Status,
                service,
                json
            }
        )),
        (proptest::option::of(name()), any::<bool>())
            .prop_map(|(service, boot)| Request::Host(HostVerb::Recover { service, boot })),
        any::<bool>().prop_map(|json| Request::Host(HostVerb::Doctor { json })),
        (
            name(),
            proptest::option::of(origin()),
            target(),
            any::<bool>(),
            proptest::option::of(remote()),
            timeout()
        )
            .prop_map(
                |(service, from, target, keep_privileges, remote, timeout)| Request::Host(
                    HostVerb::Restore {
                        service,
                        from,
                        only: Vec::new(),
                        target,
                        keep_privileges,
                        remote,
                        timeout
                    }
                )
            ),
        (
            name(),
            proptest::option::of(origin()),
            proptest::option::of(remote()),
            timeout()
        )
            .prop_map(
                |(service, from, remote, timeout)| Request::Host(HostVerb::Verify {
                    service,
                    from,
                    remote,
                    timeout
                })
            ),
        (target_name(), proptest::option::of(remote()), timeout()).prop_map(
            |(target, remote, timeout)| Request::Host(HostVerb::VerifyExtra {
                target,
                remote,
                timeout
            })
        ),
        (
            target_name(),
            path(),
            any::<bool>(),
            proptest::option::of(remote()),
            timeout()
        )
            .prop_map(|(target, to, keep_privileges, remote, timeout)| {
                Request::Host(HostVerb::RestoreExtra {
                    target,
                    to,
                    keep_privileges,
                    remote,
                    timeout,
                })
            }),
        Just(Request::Host(HostVerb::Alone("--help"))),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_parses_back(request in request()) {
        prop_assert_eq!(Request::parse_line(request.to_string().as_bytes()), Ok(request));
    }

    #[test]
    fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::parse_line(&line);
    }

    #[test]
    fn what_parses_is_made_of_plain_words(line in "backupctl( (--stop|--sync|--path|--remote|--timeout|[a-z/:.]{1,8}|[ -~]{1,4})){0,6}") {
        if let Ok(request) = Request::parse_line(line.as_bytes()) {
            let printed = request.to_string();
            prop_assert!(printed.bytes().all(|b| b == b' ' || b.is_ascii_alphanumeric() || b"._/:-".contains(&b)));
        }
    }
}
