//! Every line of the corpus through the real binary.
//!
//! Refused lines go through `--explain` and through `--ssh-gate`, and must not change any file.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Stdio;

use crate::harness::{Answer, World};

/// One configuration for all lines: the paths of the tutorial, programs that would leave a trace.
pub(crate) fn world() -> World {
    let world = World::new();
    let here = world.path("").display().to_string();
    let trace = world.script("trace", &format!(": > {here}/touched\n"));
    let services = include_str!("../corpus/services.toml").replace("@PROGRAM@", &trace);
    world.write(
        "gate.toml",
        &format!(
            r#"state_dir = "{here}state"
lock_dir = "{here}lock"
spool_dir = "{here}spool"
{services}
[rclone]
program = "{trace}"
"#
        ),
    );
    world
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'\\') => bytes.push(b'\\'),
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            other => panic!("unknown escape {other:?} in {text}"),
        }
    }
    bytes
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

pub(crate) fn rejected() -> Vec<(i32, &'static str, OsString)> {
    lines(include_str!("../corpus/reject.txt"))
        .map(|line| {
            let (code, request) = line.split_once('\t').unwrap();
            (
                code.parse().unwrap(),
                line,
                OsString::from_vec(unescape(request)),
            )
        })
        .collect()
}

#[test]
fn refused_lines_are_refused_and_touch_nothing() {
    let world = world();
    let rejected = rejected();
    assert!(rejected.len() >= 400);
    let before = crate::harness::names(&world.path(""));
    for (code, line, request) in rejected {
        let explained = Answer::of(
            &world
                .gate()
                .arg("--explain")
                .arg(&request)
                .output()
                .unwrap(),
        );
        assert_eq!(
            explained.code, code,
            "--explain of {line}\n{}",
            explained.out
        );
        let answer: serde_json::Value = serde_json::from_str(&explained.out).unwrap();
        assert_eq!(answer["decision"], "refused", "{line}");
        assert_eq!(answer["exit_code"], code, "{line}");
        assert_eq!(answer["steps"], serde_json::json!([]), "{line}");
        assert!(
            answer["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{line}"
        );

        let mut gate = world.gate();
        gate.arg("--ssh-gate")
            .env("SSH_ORIGINAL_COMMAND", &request)
            .stdout(Stdio::piped());
        let real = Answer::of(&gate.output().unwrap());
        assert_eq!(real.code, code, "--ssh-gate of {line}\n{}", real.err);
        assert_eq!(real.out, "", "{line}");
        assert!(
            real.err.starts_with("backupctl: ") && real.err.lines().count() == 1,
            "{line}: {}",
            real.err
        );
        assert!(
            real.err.is_ascii() && !real.err.trim_end().contains(char::is_control),
            "{line}"
        );
    }
    assert_eq!(crate::harness::names(&world.path("")), before);
    assert!(!world.exists("touched"));
}

#[test]
fn accepted_lines_are_explained_down_to_the_argument_vectors() {
    let world = world();
    let mut count = 0;
    for line in lines(include_str!("../corpus/accept.txt")) {
        count += 1;
        let explained =
            Answer::of(&world.gate().arg("--explain").arg(line).output().unwrap()).expect(0);
        let answer: serde_json::Value = serde_json::from_str(&explained.out).unwrap();
        assert_eq!(answer["decision"], "accepted", "{line}");
        assert_eq!(answer["exit_code"], 0, "{line}");
        let steps = answer["steps"].as_array().unwrap();
        assert!(!steps.is_empty(), "{line}");
        for step in steps {
            let argv = step["argv"].as_array().unwrap();
            if let Some(program) = argv.first() {
                assert!(program.as_str().unwrap().starts_with('/'), "{line}: {step}");
            }
            // The source is never passed on by its name.
            assert!(
                !argv
                    .iter()
                    .any(|word| word.as_str().unwrap().starts_with("/media")),
                "{line}: {step}"
            );
        }
    }
    assert!(count >= 80);
    assert!(!world.exists("touched") && !world.exists("state") && !world.exists("lock"));
}

#[test]
fn a_nul_byte_ends_the_variable_before_the_gate_sees_it() {
    // No environment variable can hold one, so the shortest proof is that the system refuses to set it.
    let world = world();
    let mut gate = world.gate();
    let line = OsString::from_vec(b"backupctl --stop n8n\0--start n8n".to_vec());
    gate.arg("--ssh-gate").env("SSH_ORIGINAL_COMMAND", line);
    assert!(gate.output().is_err());
}
