//! Links, and names that change while the gate works: the gate reads exactly the file that it opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::{World, can_mount, have_rclone, is_root};

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
    // A script in rclone's place swaps the name for a link to the secret, and then runs rclone: before anything is
    // compared, and before the upload.
    let program = world.script("swap", &format!(
        "test -L {here}/root/app/data || {{ mv {here}/root/app/data {here}/moved && ln -s {here}/secret {here}/root/app/data; }}\nexec /usr/bin/rclone \"$@\"\n"
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

/// A file that does not fit into the spool is uploaded from the data itself, through the mount.
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
        "test $1 = copyto || exec /usr/bin/rclone \"$@\"\ntest -e {here}/probe && exit 3\ncd /proc/self/fd/9/data\n{{ cat file && echo; cat link && echo followed; touch new && echo written; rm file && echo removed; true; }} > {here}/probe 2>&1\nexit 3\n"
    ));
    world.configure_with("", &program);
    world.limit("spool_reserve = 1000000000000000\n");
    world.request(&world.sync());
    let probe = world.read("probe");
    assert!(probe.starts_with("content\n"), "{probe}");
    assert!(
        !probe.contains("followed") && !probe.contains("written") && !probe.contains("removed"),
        "{probe}"
    );
    world.configure("");
    world.limit("spool_reserve = 1000000000000000\n");
    let answer = world.request(&world.sync()).expect(0);
    assert!(
        answer.err.contains("too large for the spool"),
        "{}",
        answer.err
    );
    assert_eq!(world.read("remote/OdroidBackup/app/data/file"), "content");
    assert_eq!(
        world.read("remote/OdroidBackup/app/data/link.rclonelink"),
        "/etc/passwd"
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
fn a_mount_inside_the_source_is_left_out_and_told() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    let Some(_outer) = Disk::mount(world.path("root/app/data/a disk")) else {
        return;
    };
    world.write("root/app/data/a disk/file", "outer");
    let answer = world.request(&world.sync()).expect(0);
    assert!(answer.err.contains("data/a disk"), "{}", answer.err);
    assert!(answer.out.contains("mount_left_out"), "{}", answer.out);
    assert_eq!(world.listing("app/data"), ["file", "folder"]);
}

#[test]
fn by_descriptor_the_source_is_mirrored_with_its_links_as_text() {
    if !have_rclone() {
        return;
    }
    let world = World::new();
    world.set("[rclone]\npin = \"descriptor\"");
    fs::create_dir(world.path("secret")).unwrap();
    world.write("secret/password", "never to be seen");
    symlink(world.path("secret"), world.path("root/app/data/way")).unwrap();
    symlink(
        world.path("secret/password"),
        world.path("root/app/data/word"),
    )
    .unwrap();
    world.request(&world.sync()).expect(0);
    assert_eq!(
        world.listing("app/data"),
        ["file", "folder", "way.rclonelink", "word.rclonelink"]
    );
    assert_eq!(
        world.read("remote/OdroidBackup/app/data/folder/second"),
        "more content"
    );
    // Files deleted at the source are kept aside, as with a mount.
    fs::remove_file(world.path("root/app/data/file")).unwrap();
    world.request(&world.sync()).expect(0);
    assert_eq!(
        world.listing("app/data"),
        ["folder", "way.rclonelink", "word.rclonelink"]
    );
    assert_eq!(world.listing("app/.versions").len(), 1);
}
