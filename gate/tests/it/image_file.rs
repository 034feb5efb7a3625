//! A file system in an image file, mounted on a folder of a test world.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{World, is_root};

/// A file system in an image file, mounted on the data root of a world.
pub(crate) struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Makes and mounts one; `None`, with a message, where that is impossible.
    pub(crate) fn mount(world: &World, kind: &str, megabytes: u64) -> Option<Self> {
        Self::mount_on(world, kind, megabytes, "root")
    }

    /// The same on another folder of the world, with the content of that folder.
    pub(crate) fn mount_on(
        world: &World,
        kind: &str,
        megabytes: u64,
        folder: &str,
    ) -> Option<Self> {
        if !is_root() {
            eprintln!("SKIPPED: mounting takes root");
            return None;
        }
        let program = format!("/usr/sbin/mkfs.{kind}");
        let program = [program.clone(), program.replace("/usr", "")]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(program) = program else {
            eprintln!("SKIPPED: mkfs.{kind} is not installed");
            return None;
        };
        let image = world.path(&format!("{folder}.img"));
        fs::File::create(&image)
            .and_then(|file| file.set_len(megabytes << 20))
            .unwrap();
        let made = Command::new(program)
            .arg("-q")
            .arg(&image)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let place = world.path(folder);
        let former = world.path(&format!("{folder}.former"));
        fs::rename(&place, &former).unwrap();
        fs::create_dir(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &place])
            .output()
            .unwrap();
        if !mounted.status.success() {
            fs::remove_dir(&place).unwrap();
            fs::rename(&former, &place).unwrap();
            eprintln!("SKIPPED: this system mounts no {kind} image: {mounted:?}");
            return None;
        }
        let copied = Command::new("cp")
            .arg("-a")
            .arg(former.join("."))
            .arg(&place)
            .status();
        assert!(copied.unwrap().success());
        Some(Self { place })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
    }
}
