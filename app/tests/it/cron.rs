//! CRON against independent oracles, and `lightflow cron` from outside.
#![expect(
    clippy::expect_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use lightflow::domain::cron::CronExpr;
use lightflow::domain::schedule::{Schedule, parse_zone};
use lightflow::zones::Zone;

/// Made by `ci/cron-oracle table`.
const TABLE: &str = include_str!("../data/cron_oracle.tsv");

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ci/cron-oracle");

/// The size of a table, so that an empty one does not pass for a good one.
#[derive(Default)]
struct Coverage {
    expressions: BTreeSet<String>,
    zones: BTreeSet<String>,
    rows: usize,
    fires: usize,
}

/// Compares every row of an oracle's table and panics with the first few that differ.
fn check(table: &str) -> Coverage {
    let mut coverage = Coverage::default();
    let mut wrong = Vec::new();
    let mut group: Option<(Zone, DateTime<Utc>)> = None;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix("@ ") {
            let (zone, from) = header.split_once(' ').expect("a zone and a time");
            coverage.zones.insert(zone.to_owned());
            group = Some((
                parse_zone(zone).expect("a zone"),
                from.parse().expect("a time"),
            ));
            continue;
        }
        let (zone, from) = group.expect("a header before the rows");
        let (text, minutes) = line.split_once('\t').expect("an expression and minutes");
        let expected: Vec<DateTime<Utc>> = minutes
            .split(' ')
            .map(|minute| from + TimeDelta::minutes(minute.parse().expect("minutes")))
            .collect();
        let expr: CronExpr = text.parse().expect("an expression");
        let found: Vec<DateTime<Utc>> = Schedule::new(expr, zone)
            .fires_after(from)
            .take(expected.len())
            .collect();
        coverage.expressions.insert(text.to_owned());
        coverage.rows += 1;
        coverage.fires += expected.len();
        if found != expected {
            wrong.push(format!(
                "{text:?} in {zone:?} after {from}\n  oracle    {expected:?}\n  lightflow {found:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} rows differ:\n{}",
        wrong.len(),
        coverage.rows,
        wrong[..wrong.len().min(5)].join("\n")
    );
    coverage
}

#[test]
fn the_recorded_table_agrees() {
    let coverage = check(TABLE);
    assert!(coverage.expressions.len() >= 300);
    assert_eq!(coverage.zones.len(), 5);
    assert!(coverage.rows >= 300 * 5 * 8 && coverage.fires == coverage.rows * 5);
}

#[test]
fn fresh_expressions_agree() {
    let cronsim_is_there = Command::new("python3")
        .args([
            "-c",
            "import cronsim, zoneinfo; zoneinfo.ZoneInfo('Australia/Lord_Howe')",
        ])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !cronsim_is_there {
        eprintln!("skipped: python3 with cronsim and time zones is not installed");
        return;
    }
    let seed = std::env::var("CRON_ORACLE_SEED").unwrap_or_else(|_| std::process::id().to_string());
    eprintln!("CRON_ORACLE_SEED={seed}");
    let output = Command::new("python3")
        .args([ORACLE, "random", &seed, "12"])
        .output()
        .expect("python3 starts");
    assert!(
        output.status.success(),
        "seed {seed}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let coverage = check(&String::from_utf8(output.stdout).expect("the oracle writes text"));
    assert_eq!(coverage.expressions.len(), 12);
}

/// `lightflow cron` with these arguments and no zone in the environment.
fn cron(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lightflow"));
    command
        .arg("cron")
        .args(arguments)
        .env_remove("TZ")
        .env_remove("LIGHTFLOW_TZ");
    command
}

fn output(arguments: &[&str]) -> Output {
    cron(arguments).output().expect("lightflow starts")
}

fn json(command: &mut Command) -> serde_json::Value {
    let output = command.arg("--json").output().expect("lightflow starts");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the answer is JSON")
}

const FROM: [&str; 2] = ["--from", "2026-10-24T22:00:00Z"];

#[test]
fn json_has_the_description_and_the_fires_in_utc() {
    let answer = json(cron(&["30 2 * * *", "--tz", "Europe/Paris", "--count", "2"]).args(FROM));
    assert_eq!(
        answer,
        serde_json::json!({
            "description": "every day at 02:30",
            "fires": ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        })
    );
}

#[test]
fn fires_are_strictly_after_from_and_ten_by_default() {
    let answer = json(&mut cron(&[
        "0 3 * * *",
        "--from",
        "2026-05-01T05:00:00+02:00",
    ]));
    let fires = answer["fires"].as_array().expect("a list");
    assert_eq!(fires.len(), 10);
    assert_eq!(fires[0], "2026-05-02T03:00:00Z");
}

#[test]
fn a_date_that_does_not_exist_has_no_fires_and_is_no_error() {
    let answer = json(&mut cron(&["0 0 30 2 *"]));
    assert_eq!(answer["fires"], serde_json::json!([]));
}

#[test]
fn the_zone_comes_from_the_option_then_the_environment() {
    let first = |command: &mut Command| json(command.args(FROM))["fires"][0].clone();
    let noon = ["0 12 * * *"];
    assert_eq!(first(&mut cron(&noon)), "2026-10-25T12:00:00Z");
    assert_eq!(
        first(cron(&noon).env("TZ", ":Asia/Kolkata")),
        "2026-10-25T06:30:00Z"
    );
    assert_eq!(
        first(
            cron(&noon)
                .env("TZ", "Asia/Kolkata")
                .env("LIGHTFLOW_TZ", "Europe/Paris")
        ),
        "2026-10-25T11:00:00Z"
    );
    assert_eq!(
        first(cron(&["0 12 * * *", "--tz", "UTC"]).env("LIGHTFLOW_TZ", "Europe/Paris")),
        "2026-10-25T12:00:00Z"
    );
    assert_eq!(
        first(cron(&noon).env("LIGHTFLOW_TZ", "").env("TZ", "")),
        "2026-10-25T12:00:00Z"
    );
}

/// A folder of zone data with these zones, each of them a copy of another one of the system.
fn zone_data(zones: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, like) in zones {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::copy(format!("/usr/share/zoneinfo/{like}"), path).expect("zone data");
    }
    dir
}

#[test]
fn a_zone_is_what_the_system_says_and_the_compiled_in_copy_where_it_says_nothing() {
    let dir = zone_data(&[
        ("UTC", "UTC"),
        ("Europe/Paris", "Asia/Tokyo"),
        ("Moon/Base", "Asia/Kolkata"),
    ]);
    std::fs::write(dir.path().join("Asia/Broken"), "TZif2 and no more").ok();
    let noon = |zone: &str, folder: &std::path::Path| {
        let mut command = cron(&["0 12 * * *", "--tz", zone]);
        json(command.args(FROM).env("TZDIR", folder))["fires"][0].clone()
    };
    assert_eq!(noon("Europe/Paris", dir.path()), "2026-10-25T03:00:00Z");
    assert_eq!(noon("Moon/Base", dir.path()), "2026-10-25T06:30:00Z");
    // Debian keeps older names in a package of its own.
    assert_eq!(noon("US/Pacific", dir.path()), "2026-10-25T19:00:00Z");
    let nowhere = dir.path().join("nowhere");
    assert_eq!(noon("Europe/Paris", &nowhere), "2026-10-25T11:00:00Z");
}

#[test]
fn a_name_leads_to_no_file_outside_of_the_zone_data() {
    let dir = zone_data(&[
        ("zones/UTC", "UTC"),
        ("outside", "Asia/Tokyo"),
        ("zones/right/UTC", "UTC"),
    ]);
    let absolute = dir.path().join("outside").display().to_string();
    for name in [
        "../outside",
        &absolute,
        "./UTC",
        "UTC/",
        "/UTC",
        "right/UTC",
        "utc",
        "",
        "Etc/Unknown",
        "UTC\n",
    ] {
        let mut command = cron(&["@daily", "--tz", name]);
        let output = command
            .env("TZDIR", dir.path().join("zones"))
            .output()
            .expect("lightflow starts");
        assert_eq!(output.status.code(), Some(2), "{name:?}");
    }
}

/// Compares the system's zones with Python's `zoneinfo`, which reads the same files by other code.
#[test]
fn all_zones_of_the_system_fire_as_python_says() {
    let output = Command::new("python3")
        .args([ORACLE, "zones", "2026", "2028"])
        .output();
    let output = output.expect("python3 starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("the oracle writes text");
    let (mut zones, mut changes, mut fires) = (0, 0, 0);
    for line in text.lines() {
        let (name, rest) = line.split_once('\t').expect("a zone");
        let (expected_changes, expected_fires) = rest.split_once('\t').expect("two lists");
        let zone = parse_zone(name).expect("a zone of the system");
        let nightly = Schedule::new("30 2 * * *".parse().expect("an expression"), zone);
        let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
        let end: DateTime<Utc> = "2029-01-01T00:00:00Z".parse().expect("a time");
        let mut found = Vec::new();
        let mut after = start;
        while let Some(change) = nightly.change_between(after, end) {
            found.push(format!("{}:{}:{}", change.at, change.before, change.after));
            after = DateTime::from_timestamp(change.at, 0).expect("a time");
        }
        assert_eq!(found.join(" "), expected_changes, "clock changes of {name}");
        // Written as the difference to a fire of each day, so that the table is short.
        let times: Vec<i64> = nightly
            .fires_after(start)
            .take_while(|at| *at < end)
            .map(|at| at.timestamp())
            .collect();
        let steps: Vec<String> = times
            .windows(2)
            .filter(|pair| pair[1] - pair[0] != 86_400)
            .map(|pair| format!("{}+{}", pair[0], pair[1] - pair[0]))
            .collect();
        let written = format!("{} {} {}", times.len(), times[0], steps.join(" "));
        assert_eq!(written.trim(), expected_fires, "fires in {name}");
        zones += 1;
        changes += found.len();
        fires += times.len();
    }
    eprintln!("{zones} zones, {changes} clock changes, {fires} fires");
    assert!(zones > 300 && changes > 500 && fires > zones * 1000);
}

#[test]
fn the_fields_may_be_arguments_of_their_own_and_options_stand_anywhere() {
    let one = json(cron(&["--tz", "Asia/Kolkata", "*/5 3 * * mon"]).args(FROM));
    let five = json(cron(&["*/5", "3", "*", "*", "mon", "--tz", "Asia/Kolkata"]).args(FROM));
    assert_eq!(one, five);
}

#[test]
fn anything_invalid_is_exit_code_2_with_the_reason() {
    let cases: [(&[&str], &str); 14] = [
        (&["0 25 * * *"], "hour: 25 is out of range, use 0 to 23"),
        (&["* * * * * *"], "expected 5 fields"),
        (&["-5 * * * *"], "minute: \"-5\""),
        (&["--5 * * * *"], "minute: \"--5\""),
        (&["5/2 * * * *", "--json"], "minute: 5/2: a step"),
        (&["@reboot"], "@reboot names no time"),
        (&[""], "the expression is empty"),
        (
            &["@daily", "--tz", "Europe/Pariss"],
            "did you mean Europe/Paris?",
        ),
        (&["@daily", "--from", "yesterday"], "--from"),
        (&["@daily", "--count", "0"], "--count"),
        (&["@daily", "--count", "10001"], "--count"),
        (&["@daily", "--count", "x"], "--count"),
        (&["@daily", "--colour"], "--colour"),
        (&["--colour", "@daily"], "--colour"),
    ];
    for (arguments, reason) in cases {
        let output = output(arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(reason), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let bad_environment = cron(&["@daily"])
        .env("LIGHTFLOW_TZ", "Mars/Olympus")
        .output()
        .expect("lightflow starts");
    assert_eq!(bad_environment.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bad_environment.stderr).contains("LIGHTFLOW_TZ: "));
}

#[test]
fn people_get_local_times_and_the_clock_changes_in_80_columns() {
    let arguments = ["30 2 * * *", "--tz", "Europe/Paris", "--count", "2"];
    let text = cron(&arguments)
        .args(["--from", "2026-03-28T12:00:00Z"])
        .output()
        .expect("lightflow starts");
    assert_eq!(
        String::from_utf8_lossy(&text.stdout),
        "every day at 02:30\n\
         \n\
         Next fires in Europe/Paris:\n  \
           -- the clock goes forward from 02:00 to 03:00 --\n  \
           Sun 2026-03-29 03:00 +02:00  (due in the skipped time)\n  \
           Mon 2026-03-30 02:30 +02:00\n"
    );
    let long = output(&["1,3,7,9,20,33,41,50 1,3,9 1,4,20 1,5,9 1,3,6"]);
    assert!(
        String::from_utf8_lossy(&long.stdout)
            .lines()
            .all(|line| line.len() <= 80)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = cron(&["* * * * *", "--count", "10000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lightflow starts");
    let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a first line");
    drop(reader);
    let output = child.wait_with_output().expect("lightflow ends");
    assert_eq!(line, "every minute\n");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}
