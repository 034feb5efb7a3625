//! Changes while a tree is read are named.

use super::*;

/// Runs `act` after the packing of a large file has begun, and returns the changes found.
fn changing(act: impl Fn(&Tree)) -> String {
    let tree = Tree::new();
    fs::create_dir(tree.path("folder")).unwrap();
    fs::write(tree.path("folder/large"), vec![b'x'; 1 << 20]).unwrap();
    fs::write(tree.path("later"), "later").unwrap();
    let mut done = false;
    let packed = tree
        .pack_watched(&mut |bytes| {
            if bytes > 0 && !done {
                done = true;
                act(&tree);
            }
            Ok(())
        })
        .unwrap();
    assert!(done);
    // Even torn, it reads back as it was packed.
    assert!(tree.check().unwrap().differences.unwrap().is_empty());
    packed.notes.changed.to_string()
}

#[test]
fn what_changes_while_it_is_read_is_named() {
    let set_len = |length| {
        move |tree: &Tree| {
            let file = File::options()
                .write(true)
                .open(tree.path("folder/large"))
                .unwrap();
            file.set_len(length).unwrap();
        }
    };
    assert_eq!(changing(set_len(10)), "data/folder/large");
    assert_eq!(changing(set_len(4 << 20)), "data/folder/large");
    let rewritten = changing(|tree| {
        let file = File::options()
            .write(true)
            .open(tree.path("folder/large"))
            .unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"y", 0).unwrap();
        // A program that covers its tracks.
        file.set_modified(before).unwrap();
    });
    assert_eq!(rewritten, "data/folder/large");
    let replaced = changing(|tree| {
        fs::write(tree.path("new"), "new").unwrap();
        fs::rename(tree.path("new"), tree.path("folder/large")).unwrap();
    });
    assert_eq!(replaced, "data/folder/large, data/folder, data");
    let vanished = changing(|tree| fs::remove_file(tree.path("later")).unwrap());
    assert_eq!(vanished, "data/later, data");
    let mode = changing(|tree| {
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(tree.path("folder"), mode).unwrap();
    });
    assert_eq!(mode, "data/folder");
}
