//! Links, and names that change under the gate: what was opened is what is read.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::{World, can_mount, have_rclone};

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
    // In rclone's place: swaps the name for a link to the secret, and then is rclone. Not yet in the
    // rehearsal: a name that was swapped by then is noticed when the real sync opens its mount.
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
        "{{ cat $2/file && echo; cat $2/link && echo followed; touch $2/new && echo written; rm $2/file && echo removed; true; }} > {here}/probe 2>&1\n"
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

#[test]
fn a_name_that_flips_to_a_link_never_leads_to_another_services_data() {
    use std::sync::atomic::{AtomicBool, Ordering};
    if !have_rclone() {
        return;
    }
    let world = World::new();
    fs::create_dir(world.path("secret")).unwrap();
    world.write("secret/password", "never to be seen");
    let (data, real, link) = (
        world.path("root/app/data"),
        world.path("root/app/real"),
        world.path("root/app/link"),
    );
    symlink(world.path("secret"), &link).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                fs::rename(&data, &real).unwrap();
                fs::rename(&link, &data).unwrap();
                fs::rename(&data, &link).unwrap();
                fs::rename(&real, &data).unwrap();
            }
        });
        for _ in 0..6 {
            for line in [world.sync(), world.archive()] {
                let answer = world.request(&line);
                // Done, or refused: missing, a link, or no longer the one that was opened.
                assert!(
                    [0, 65, 69, 76].contains(&answer.code),
                    "{}: {}",
                    answer.code,
                    answer.err
                );
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let remote = Command::new("grep")
        .args(["-rl", "never to be seen"])
        .arg(world.path("remote"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&remote.stdout), "");
    assert!(!world.exists("remote/OdroidBackup/app/data/password"));
    for name in world.listing("app/archives") {
        let file = world.path("remote/OdroidBackup/app/archives").join(name);
        let listed = Command::new("tar").arg("-tzf").arg(file).output().unwrap();
        assert!(!String::from_utf8_lossy(&listed.stdout).contains("password"));
    }
}
