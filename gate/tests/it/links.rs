//! Links, and names that change while the gate works: the gate reads exactly the file that it opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::{STATS, World, can_mount, have_rclone, is_root};

#[test]
fn a_link_on_the_way_is_refused() {
    let world = World::new();
    let data = world.path("root/app/data");
    fs::rename(&data, world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), &data).unwrap();
    world.request(&world.sync()).expect(69);
    world.request(&world.archive()).expect(69);
    fs::remove_file(&data).unwrap();
    fs::rename(world.path("root/app"), world.path("root/real")).unwrap();
    symlink(world.path("root/real"), world.path("root/app")).unwrap();
    let answer = world.request(&world.sync()).expect(69);
    assert!(
        answer.err.contains("without following links"),
        "{}",
        answer.err
    );
}

#[test]
fn rclone_reads_the_directory_that_was_opened_whatever_its_name_leads_to() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let here = world.path("").display().to_string();
    fs::create_dir(world.path("secret")).unwrap();
    world.write("secret/password", "secret");
    symlink(world.path("secret"), world.path("root/app/data/way")).unwrap();
    // A script in rclone's place swaps the name for a link to the secret, and then runs rclone. It does not swap during
    // the rehearsal: the real sync notices an earlier swap when it opens its mount.
    let program = world.script("swap", &format!(
        "case \"$*\" in *--dry-run*) ;; sync*) mv {here}/root/app/data {here}/moved && ln -s {here}/secret {here}/root/app/data ;; esac\nexec /usr/bin/rclone \"$@\"\n"
    ));
    world.configure_with("", &program);
    world.request(&world.sync()).expect(0);
    assert_eq!(
        fs::read_link(world.path("root/app/data")).unwrap(),
        world.path("secret")
    );
    assert_eq!(world.read("remote/OdroidBackup/app/data/file"), "content");
    assert!(!world.exists("remote/OdroidBackup/app/data/password"));
}

#[test]
fn no_link_in_the_source_can_be_followed_and_nothing_in_it_written() {
    if !can_mount() {
        eprintln!("SKIPPED: this system allows no mount namespaces");
        return;
    }
    let world = World::new();
    let here = world.path("").display().to_string();
    symlink("/etc/passwd", world.path("root/app/data/link")).unwrap();
    let program = world.script("probe", &format!(
        "test $1 = sync || exit 3\ncd /proc/self/fd/9/data\n{{ cat file && echo; cat link && echo followed; touch new && echo written; rm file && echo removed; true; }} > {here}/probe 2>&1\necho '{STATS}' >&2\n"
    ));
    world.configure_with("", &program);
    world.request(&world.sync()).expect(0);
    let probe = world.read("probe");
    assert!(probe.starts_with("content\n"), "{probe}");
    assert!(
        !probe.contains("followed") && !probe.contains("written") && !probe.contains("removed"),
        "{probe}"
    );
}

/// A disk of memory, unmounted at the end.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(place: std::path::PathBuf) -> Option<Self> {
        fs::create_dir_all(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs"])
            .arg(&place)
            .status();
        if is_root() && mounted.is_ok_and(|status| status.success()) {
            return Some(Self(place));
        }
        eprintln!("SKIPPED: only root can mount a disk, and not everywhere");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_mount_inside_the_source_is_copied_and_as_strict_as_the_source() {
    if !have_rclone() || !can_mount() {
        return;
    }
    let world = World::new();
    let Some(_outer) = Disk::mount(world.path("root/app/data/a disk")) else {
        return;
    };
    let Some(_inner) = Disk::mount(world.path("root/app/data/a disk/inner")) else {
        return;
    };
    let here = world.path("").display().to_string();
    world.write("root/app/data/a disk/file", "outer");
    world.write("root/app/data/a disk/inner/file", "inner");
    symlink("/etc/passwd", world.path("root/app/data/a disk/inner/link")).unwrap();
    let program = world.script("probe", &format!(
        "test $1 = sync || exit 3\ncd '/proc/self/fd/9/data/a disk' && {{ for d in . inner; do cat $d/file && echo; touch $d/new && echo written; rm $d/file && echo removed; done; cat inner/link && echo followed; true; }} > {here}/probe 2>&1\necho '{STATS}' >&2\n"
    ));
    world.configure_with("", &program);
    world.request(&world.sync()).expect(0);
    let probe = world.read("probe");
    assert!(
        probe.contains("outer") && probe.contains("inner"),
        "{probe}"
    );
    for word in ["written", "removed", "followed"] {
        assert!(!probe.contains(word), "{probe}");
    }
    world.configure("");
    world.request(&world.sync()).expect(0);
    let copy = world.path("remote/OdroidBackup/app/data/a disk");
    assert_eq!(fs::read_to_string(copy.join("file")).unwrap(), "outer");
    assert_eq!(
        fs::read_to_string(copy.join("inner/file")).unwrap(),
        "inner"
    );
    assert_eq!(
        fs::read_to_string(copy.join("inner/link.rclonelink")).unwrap(),
        "/etc/passwd"
    );
}

#[test]
fn by_descriptor_the_source_is_mirrored_without_its_links() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let text = world.read("gate.toml");
    world.write(
        "gate.toml",
        &text.replace("pin = \"mount\"", "pin = \"descriptor\""),
    );
    fs::create_dir(world.path("secret")).unwrap();
    world.write("secret/password", "never to be seen");
    symlink(world.path("secret"), world.path("root/app/data/way")).unwrap();
    symlink(
        world.path("secret/password"),
        world.path("root/app/data/word"),
    )
    .unwrap();
    world.request(&world.sync()).expect(0);
    assert_eq!(world.listing("app/data"), ["file", "folder"]);
    assert_eq!(
        world.read("remote/OdroidBackup/app/data/folder/second"),
        "more content"
    );
    // Files deleted at the source are kept aside, as with a mount.
    fs::remove_file(world.path("root/app/data/file")).unwrap();
    world.request(&world.sync()).expect(0);
    assert_eq!(world.listing("app/data"), ["folder"]);
    assert_eq!(world.listing("app/.versions").len(), 1);
}
