//! No two files of the crate need each other, and no two types have the same name.

use std::path::Path;

#[test]
fn no_files_need_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = circles::circles(&root);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_two_types_have_the_same_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = circles::types_twice(&root);
    assert!(found.is_empty(), "{found:#?}");
}
