//! The main job on real parts: `ci/demo` with the binaries that were just built.
//!
//! The demo itself compares every copy with its source; here its exit code and the boxes count.
//! Where something is missing that it needs, a test says so and is no failure.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FOUR_GREENS: &str = "boxes: success, success, success, success";
const GREY_ARCHIVE: &str = "boxes: success, success, skipped, success";
/// Each of the two services has a task.
const TASKS: usize = 2;

#[test]
fn the_sample_services_are_backed_up() -> io::Result<()> {
    demo(&[])?.with_boxes(FOUR_GREENS);
    Ok(())
}

#[test]
fn the_users_own_script_leaves_the_archive_grey_on_other_days() -> io::Result<()> {
    with_users_script("other")?.with_boxes(GREY_ARCHIVE);
    Ok(())
}

#[test]
fn the_users_own_script_makes_four_greens_on_a_sunday() -> io::Result<()> {
    if libfaketime_is_there() {
        with_users_script("sunday")?.with_boxes(FOUR_GREENS);
    } else {
        eprintln!("skipped: libfaketime is not installed");
    }
    Ok(())
}

/// A service that passed for up because another one answered in its place was down before the demo stopped it.
#[test]
fn a_sample_service_is_up_by_its_own_answer_alone_and_comes_back_after_sigkill() -> io::Result<()> {
    if !Path::new("/usr/bin/python3").exists() {
        return skipped("/usr/bin/python3 is not installed").map(drop);
    }
    let world = tempfile::tempdir()?;
    let notes = SampleService::new(world.path(), "notes")?;
    let photos = SampleService::new(world.path(), "photos")?;
    assert_eq!(notes.does("start")?, Some(0));
    assert_eq!(
        (notes.does("status")?, photos.does("status")?),
        (Some(0), Some(3))
    );
    // Another one that answers in its place is not it.
    std::os::unix::fs::symlink(notes.home.join("socket"), photos.home.join("socket"))?;
    assert_eq!(photos.does("status")?, Some(3));
    notes.dies()?;
    assert_eq!(notes.does("status")?, Some(3));
    assert_eq!(notes.does("start")?, Some(0));
    assert_eq!(notes.does("status")?, Some(0));
    Ok(())
}

/// One service of the demo, without the demo.
struct SampleService {
    home: PathBuf,
    data: PathBuf,
}

impl SampleService {
    fn new(world: &Path, name: &str) -> io::Result<Self> {
        let (home, data) = (world.join(name), world.join(name).join("data"));
        std::fs::create_dir_all(&data)?;
        Ok(Self { home, data })
    }

    fn does(&self, verb: &str) -> io::Result<Option<i32>> {
        let status = Command::new("/usr/bin/python3")
            .arg("-B")
            .arg(repo().join("ci/demo.d/sample_service.py"))
            .arg(verb)
            .arg("--home")
            .arg(&self.home)
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .status()?;
        Ok(status.code())
    }

    /// SIGKILL, if it is up; returns when it is gone.
    fn dies(&self) -> io::Result<()> {
        let Ok(lock) = std::fs::File::open(self.home.join("lock")) else {
            return Ok(());
        };
        if lock.try_lock_shared().is_ok() {
            return Ok(());
        }
        let pid = std::fs::read_to_string(self.home.join("lock"))?;
        let pid = nix::unistd::Pid::from_raw(pid.parse().map_err(io::Error::other)?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
        // Given back by the kernel when the process is gone.
        lock.lock_shared()
    }
}

impl Drop for SampleService {
    fn drop(&mut self) {
        let _ = self.dies();
    }
}

/// The output of a demo; nothing where it was skipped.
struct Shown(Option<String>);

impl Shown {
    fn with_boxes(self, boxes: &str) {
        if let Some(text) = self.0 {
            assert_eq!(text.matches(boxes).count(), TASKS, "{text}");
        }
    }
}

fn with_users_script(day: &str) -> io::Result<Shown> {
    let script = repo().join("../shared/seed/backup.py");
    if !script.exists() {
        return skipped(&format!("{} is not there", script.display()));
    }
    if !nix::unistd::geteuid().is_root() || !can_mount() {
        return skipped(
            "the script's data root is /media/ssd/podman, which cannot be mounted here",
        );
    }
    let Some(script) = script.to_str() else {
        return skipped("the path of the script is not UTF-8");
    };
    demo(&["--day", day, "--script", script])
}

fn demo(arguments: &[&str]) -> io::Result<Shown> {
    // Both lie in one folder where the whole workspace is built.
    let Some(binaries) = Path::new(env!("CARGO_BIN_EXE_lightflow")).parent() else {
        return skipped("the binary has no folder");
    };
    if !binaries.join("backupctl").exists() {
        return skipped("backupctl is not built; use --workspace");
    }
    let tools = [
        "/usr/bin/rclone",
        "/usr/sbin/sshd",
        "/usr/bin/ssh-keygen",
        "/usr/bin/python3",
    ];
    if let Some(missing) = tools.iter().find(|tool| !Path::new(tool).exists()) {
        return skipped(&format!("{missing} is not installed"));
    }
    let output = Command::new(repo().join("ci/demo"))
        .arg("--once")
        .args(arguments)
        .env("LIGHTFLOW_BIN_DIR", binaries)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Shown(Some(text)))
}

fn skipped(why: &str) -> io::Result<Shown> {
    eprintln!("skipped: {why}");
    Ok(Shown(None))
}

fn libfaketime_is_there() -> bool {
    std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.path().join("faketime/libfaketime.so.1").exists())
}

/// Reports if a mount namespace can be had; not in every container.
fn can_mount() -> bool {
    Command::new("unshare")
        .args(["--mount", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
