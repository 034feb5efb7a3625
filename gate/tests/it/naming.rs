//! Services with the names that people give to folders, and names that cannot be used, on a host.

use std::fs;

use serde_json::Value;

use crate::harness::{Answer, World, have_rclone};

/// A world with another service, which is controlled like `app`.
fn with_service(name: &str) -> World {
    let world = World::new();
    world.add_service(name);
    fs::create_dir_all(world.path(&format!("root/{name}/data"))).unwrap();
    world.write(&format!("root/{name}/data/file"), "of the folder");
    world
}

fn copy(world: &World, verb: &str, name: &str) -> Answer {
    let data = world
        .path(&format!("root/{name}/data"))
        .display()
        .to_string();
    world.request(&format!(
        "backupctl {verb} {name} --path {data} --remote onedrive:/OdroidBackup"
    ))
}

#[test]
fn a_night_of_a_service_with_capitals_or_dots() {
    if !have_rclone() {
        return;
    }
    for name in ["Nextcloud", "my.app", "archive.app"] {
        let world = with_service(name);
        world.request(&format!("backupctl --stop {name}")).expect(0);
        assert!(world.exists(&format!("state/leases/{name}.json")));
        copy(&world, "--sync", name).expect(0);
        copy(&world, "--archive", name).expect(0);
        world
            .request(&format!("backupctl --start {name}"))
            .expect(0);
        assert!(world.exists("up") && !world.exists(&format!("state/leases/{name}.json")));
        assert_eq!(
            fs::read(world.path(&format!("remote/OdroidBackup/{name}/data/file"))).unwrap(),
            b"of the folder"
        );
        let archives = world.listing(&format!("{name}/archives"));
        assert!(
            archives
                .iter()
                .any(|file| file.starts_with(&format!("{name}-20"))),
            "{archives:?}"
        );
        world.on_host(&["--verify", name]).expect(0);
        let restored = world.path("back").display().to_string();
        world
            .on_host(&["--restore", name, "--to", &restored])
            .expect(0);
        assert_eq!(world.read("back/file"), "of the folder");
    }
}

/// `archive.app.lock` is the lock of the archives of `app`, and not that of a service `archive.app`.
#[test]
fn a_lock_of_one_service_is_not_that_of_another() {
    let world = with_service("archive.app");
    fs::create_dir(world.path("lock")).unwrap();
    fs::set_permissions(
        world.path("lock"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let held = fs::File::create(world.path("lock/archive.app.lock")).unwrap();
    held.lock().unwrap();
    world
        .request("backupctl --stop archive.app --timeout 3")
        .expect(0);
    world
        .request("backupctl --start archive.app --timeout 3")
        .expect(0);
}

#[test]
fn a_strange_table_is_told_and_the_rest_runs() {
    let world = World::new();
    world.set("[services.\"my app\"]\n[services.Photos]\n[services.photos]\n[services.my.app]\n[services.CON]");
    let stopped = world.request("backupctl --stop app").expect(0);
    for header in ["\"my app\"", "Photos", "photos", "my", "CON"] {
        let line = format!("warning: [services.{header}] is not in force: ");
        assert!(stopped.err.contains(&line), "{line}\n{}", stopped.err);
    }
    world.request("backupctl --start app").expect(0);
    let refused = world.request("backupctl --stop Photos").expect(77);
    assert!(
        refused
            .err
            .contains("Photos and photos differ only by case"),
        "{}",
        refused.err
    );
    let refused = world.request("backupctl --stop App").expect(77);
    assert!(
        refused
            .err
            .contains("app is: write it as the configuration does"),
        "{}",
        refused.err
    );
    let doctor = world.on_host(&["--doctor", "--json"]);
    let told: Vec<Value> = serde_json::from_str(&doctor.out).unwrap();
    let aside = told.iter().filter(|one| {
        one["hop"] == "config" && one["what"].as_str().unwrap().contains("is not in force")
    });
    assert_eq!(aside.count(), 5);
}

#[test]
fn folders_that_cannot_be_services_are_told_with_the_way_to_mend_it() {
    let world = World::new();
    for folder in ["my app", "APP", "empty.", "con", "Nextcloud"] {
        fs::create_dir_all(world.path(&format!("root/{folder}/data"))).unwrap();
    }
    fs::create_dir_all(world.path("root/no data")).unwrap();
    let list = world.on_host(&["--list", "--json"]);
    let list: Value = serde_json::from_str(&list.out).unwrap();
    let unusable = list["unusable"].as_array().unwrap();
    let places: Vec<&str> = unusable
        .iter()
        .map(|one| one["place"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = ["APP", "app", "con", "empty.", "my app"]
        .iter()
        .map(|name| world.path(&format!("root/{name}")).display().to_string())
        .collect();
    assert_eq!(places, expected);
    let doctor = world.on_host(&["--doctor"]);
    // Its lines are folded.
    let words = doctor.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("rename it and its folder, to my-app for example"),
        "{words}"
    );
    assert!(!doctor.out.contains("Nextcloud cannot"), "{}", doctor.out);
}
