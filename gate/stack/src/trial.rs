//! The start test of a copy, as a plan: a container's own definition → the arguments of a confined container on the copy.
//!
//! Invariant: pure. The planned container has no network, a read-only root, no capability that the original lacks, no new
//! privileges and no device, and every mount in it lies in the copy. Where that is not possible there is a reason and no plan.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Bounds and places of a start test.
#[derive(Debug, Clone, Copy)]
pub struct TrialTerms<'t> {
    /// The name of the container.
    pub name: &'t str,
    /// The live data of the service, as its mounts name it.
    pub data: &'t str,
    /// The copy that takes its place.
    pub copy: &'t str,
    /// The file that will hold the environment.
    pub environment: &'t str,
    /// Seconds after which the container is ended, also when the gate is gone.
    pub seconds: u32,
    /// MiB of memory.
    pub memory: u32,
}

/// A planned start test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The arguments of podman.
    pub run: Vec<String>,
    /// The lines of the file with the environment.
    pub environment: Vec<String>,
    /// The command of the health check.
    pub check: Vec<String>,
    /// The places in the copy that are mounted, below the copy; empty for the copy itself.
    pub mounted: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    #[serde(default)]
    path: String,
    #[serde(default)]
    args: Vec<String>,
    image: String,
    #[serde(default)]
    pod: String,
    #[serde(default)]
    effective_caps: Option<Vec<String>>,
    #[serde(default)]
    mounts: Option<Vec<DefinedMount>>,
    config: DefinedConfig,
    host_config: DefinedHost,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefinedMount {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    destination: String,
    #[serde(default, rename = "RW")]
    rw: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefinedConfig {
    #[serde(default)]
    user: String,
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    working_dir: String,
    #[serde(default)]
    healthcheck: Option<DefinedCheck>,
    #[serde(default)]
    secrets: Option<Vec<serde_json::Value>>,
    #[serde(default)]
    systemd_mode: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefinedCheck {
    #[serde(default)]
    test: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefinedHost {
    #[serde(default)]
    privileged: bool,
    #[serde(default)]
    userns_mode: String,
    #[serde(default, rename = "IDMappings")]
    id_mappings: Option<serde_json::Value>,
    #[serde(default)]
    tmpfs: Option<BTreeMap<String, String>>,
}

/// The small writable folders in memory that Podman makes in a container with a read-only root.
const IN_MEMORY: [&str; 3] = ["/run", "/tmp", "/var/tmp"];

/// The program that Podman puts before a command with `--init`, by version.
const INIT: [&str; 3] = ["/run/podman-init", "/dev/init", "/catatonit"];

/// Plans the start test of one container, from the output of `podman container inspect`.
///
/// # Errors
/// The reason for which it is not possible.
pub fn plan(inspected: &[u8], terms: &TrialTerms<'_>) -> Result<Trial, String> {
    let mut all: Vec<Definition> =
        serde_json::from_slice(inspected).map_err(|error| format!("Podman's answer: {error}"))?;
    let (Some(own), true) = (all.pop(), all.is_empty()) else {
        return Err("Podman's answer has not one container".into());
    };
    let has_mappings = own.host_config.id_mappings.as_ref().is_some_and(|value| {
        let empty = |value: &serde_json::Value| value.as_array().is_none_or(Vec::is_empty);
        !value.is_null()
            && !value
                .as_object()
                .is_some_and(|maps| maps.values().all(empty))
    });
    for (is_so, reason) in [
        (!own.pod.is_empty(), "its container runs in a pod"),
        (own.host_config.privileged, "its container is privileged"),
        (own.config.systemd_mode, "its container runs systemd"),
        (
            has_mappings || !matches!(own.host_config.userns_mode.as_str(), "" | "host"),
            "its container has a user namespace of its own",
        ),
        (
            own.config
                .secrets
                .as_ref()
                .is_some_and(|all| !all.is_empty()),
            "its container uses secrets of Podman, which are in no copy",
        ),
    ] {
        if is_so {
            return Err(reason.into());
        }
    }
    let check = health_check(own.config.healthcheck.as_ref())?;
    let environment = environment(own.config.env.unwrap_or_default())?;
    let (program, arguments) = command(&own.path, &own.args)?;
    let mut run = confined(terms);
    for capability in own.effective_caps.iter().flatten() {
        if !is_capability(capability) {
            return Err(format!("'{capability}' is no capability"));
        }
        run.extend(["--cap-add".to_owned(), capability.clone()]);
    }
    for (option, value) in [
        ("--user", &own.config.user),
        ("--workdir", &own.config.working_dir),
    ] {
        if !value.is_empty() {
            run.extend([option.to_owned(), value.clone()]);
        }
    }
    let folders = own.host_config.tmpfs.unwrap_or_default();
    for folder in folders.keys() {
        if !IN_MEMORY.contains(&folder.as_str()) {
            let words = format!("{}:rw,nosuid,nodev,size=64m,mode=1777", plain(folder)?);
            run.extend(["--tmpfs".to_owned(), words]);
        }
    }
    let mut mounted = Vec::new();
    for mount in own.mounts.iter().flatten() {
        let below = below_data(mount, terms)?;
        let source = match below.as_str() {
            "" => terms.copy.to_owned(),
            below => format!("{}/{below}", terms.copy),
        };
        let (source, target) = (plain(&source)?, plain(&mount.destination)?);
        let read_only = if mount.rw { "" } else { ",ro" };
        let words = format!("type=bind,source={source},target={target}{read_only}");
        run.extend(["--mount".to_owned(), words]);
        mounted.push(below);
    }
    let is_id = own.image.len() == 64 && own.image.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id {
        return Err("its container does not tell the digest of its image".into());
    }
    run.extend(["--entrypoint".to_owned(), program.to_owned(), own.image]);
    run.extend(arguments.iter().cloned());
    Ok(Trial {
        run,
        environment,
        check,
        mounted,
    })
}

/// The arguments that take everything away that the copy does not need.
fn confined(terms: &TrialTerms<'_>) -> Vec<String> {
    let memory = format!("{}m", terms.memory);
    let seconds = terms.seconds.to_string();
    [
        "run",
        "--detach",
        "--name",
        terms.name,
        "--pull",
        "never",
        "--network",
        "none",
        "--read-only",
        "--no-healthcheck",
        "--restart",
        "no",
        "--systemd",
        "false",
        "--sdnotify",
        "ignore",
        // The runner could see secrets in a log.
        "--log-driver",
        "none",
        "--timeout",
        &seconds,
        "--memory",
        &memory,
        "--memory-swap",
        &memory,
        "--pids-limit",
        "512",
        "--cpus",
        "1",
        "--security-opt",
        "no-new-privileges",
        "--cap-drop",
        "all",
        "--env-file",
        terms.environment,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The command of a health check, as Podman runs it.
fn health_check(check: Option<&DefinedCheck>) -> Result<Vec<String>, String> {
    let test = check.and_then(|check| check.test.as_deref());
    match test.unwrap_or_default() {
        [] => Err("its container has no health check".into()),
        [none] if none == "NONE" || none.is_empty() => {
            Err("its container has no health check".into())
        }
        [kind, words @ ..] if kind == "CMD" => Ok(words.to_vec()),
        [kind, words @ ..] if kind == "CMD-SHELL" => {
            Ok(vec!["/bin/sh".into(), "-c".into(), words.join(" ")])
        }
        words => Ok(words.to_vec()),
    }
}

/// The environment as lines of a file, which has one variable a line.
fn environment(variables: Vec<String>) -> Result<Vec<String>, String> {
    for variable in &variables {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        if value.contains(['\n', '\r', '\0']) || name.starts_with('#') || name.is_empty() {
            return Err(format!(
                "the variable {} of its container has more than one line",
                name.escape_debug()
            ));
        }
    }
    Ok(variables)
}

/// The program of a container and its arguments, without Podman's own init.
fn command<'c>(path: &'c str, args: &'c [String]) -> Result<(&'c str, &'c [String]), String> {
    let (program, args) = match args {
        [dashes, program, rest @ ..] if INIT.contains(&path) && dashes == "--" => {
            (program.as_str(), rest)
        }
        args => (path, args),
    };
    // Podman reads a list in the place of a program as JSON.
    if program.is_empty() || program.starts_with('[') {
        return Err("its container does not tell its command".into());
    }
    Ok((program, args))
}

fn is_capability(name: &str) -> bool {
    name.strip_prefix("CAP_")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}

/// The place of a mount below the live data; empty for the data itself.
fn below_data(mount: &DefinedMount, terms: &TrialTerms<'_>) -> Result<String, String> {
    let lies_elsewhere = |what: &str| {
        Err(format!(
            "{} in its container is {what}, which lies outside of the data",
            mount.destination.escape_debug()
        ))
    };
    if mount.kind != "bind" {
        let name: String = mount.name.chars().take(24).collect();
        return lies_elsewhere(&format!(
            "the {} {}",
            mount.kind.escape_debug(),
            name.escape_debug()
        ));
    }
    let below = match mount.source.strip_prefix(terms.data) {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    };
    let is_plain = |below: &&str| {
        below.is_empty()
            || below
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."))
    };
    match below.filter(is_plain) {
        Some(below) => Ok(below.to_owned()),
        None => lies_elsewhere(&mount.source.escape_debug().to_string()),
    }
}

/// A path that may stand in an option of Podman with commas.
fn plain(path: &str) -> Result<&str, String> {
    let is_odd = |letter: char| matches!(letter, ',' | '"' | '=' | ':') || letter.is_control();
    if !path.starts_with('/') || path.contains(is_odd) {
        return Err(format!(
            "Podman cannot be told the path '{}'",
            path.escape_debug()
        ));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TERMS: TrialTerms<'static> = TrialTerms {
        name: "test",
        data: "/media/ssd/podman/n8n/data",
        copy: "/spool/copy",
        environment: "/spool/env",
        seconds: 60,
        memory: 512,
    };

    fn container() -> Value {
        json!({
            "Path": "/bin/app", "Args": ["--serve"], "Image": "a".repeat(64), "Pod": "",
            "EffectiveCaps": ["CAP_CHOWN"],
            "Mounts": [{"Type": "bind", "Source": "/media/ssd/podman/n8n/data/config",
                "Destination": "/config", "RW": false}],
            "Config": {"User": "7", "Env": ["A=b"], "WorkingDir": "/",
                "Healthcheck": {"Test": ["CMD-SHELL", "curl -f x"]}},
            "HostConfig": {"Privileged": false, "UsernsMode": "", "Tmpfs": {"/cache": "rw"}},
        })
    }

    fn planned(container: &Value) -> Result<Trial, String> {
        plan(&serde_json::to_vec(&json!([container])).unwrap(), &TERMS)
    }

    #[test]
    fn a_container_runs_as_its_original_with_less() {
        let trial = planned(&container()).unwrap();
        let run = trial.run.join(" ");
        for words in [
            "--network none",
            "--read-only",
            "--cap-drop all",
            "--cap-add CAP_CHOWN",
            "--security-opt no-new-privileges",
            "--memory 512m",
            "--user 7",
            "--tmpfs /cache:rw,nosuid,nodev,size=64m,mode=1777",
            "--mount type=bind,source=/spool/copy/config,target=/config,ro",
        ] {
            assert!(run.contains(words), "{words} is not in {run}");
        }
        assert!(run.ends_with(&format!("--entrypoint /bin/app {} --serve", "a".repeat(64))));
        assert!(!run.contains("/media/ssd"), "{run}");
        assert_eq!(trial.check, ["/bin/sh", "-c", "curl -f x"]);
        assert_eq!(trial.mounted, ["config"]);
    }

    #[test]
    fn a_container_that_reaches_beyond_its_data_has_a_reason() {
        let cases = [
            ("/Pod", json!("b"), "pod"),
            ("/HostConfig/Privileged", json!(true), "privileged"),
            ("/HostConfig/UsernsMode", json!("private"), "user namespace"),
            ("/Config/Healthcheck/Test", json!(["NONE"]), "health check"),
            ("/Config/Env/0", json!("A=b\nc"), "variable A"),
            ("/Mounts/0/Source", json!("/etc"), "outside of the data"),
            (
                "/Mounts/0/Source",
                json!("/media/ssd/podman/n8n/database"),
                "outside",
            ),
            (
                "/Mounts/0/Source",
                json!("/media/ssd/podman/n8n/data/../x"),
                "outside",
            ),
            ("/Mounts/0/Type", json!("volume"), "the volume"),
            (
                "/Mounts/0/Destination",
                json!("/a,source=/etc"),
                "cannot be told",
            ),
            ("/EffectiveCaps/0", json!("--privileged"), "no capability"),
            ("/Image", json!("--privileged"), "image"),
            ("/Path", json!("[\"a\"]"), "command"),
        ];
        for (place, value, words) in cases {
            let mut container = container();
            *container.pointer_mut(place).unwrap() = value;
            let reason = planned(&container).unwrap_err();
            assert!(reason.contains(words), "{place}: {reason}");
        }
    }
}
