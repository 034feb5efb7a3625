//! No two files of the crate need each other.

use std::path::Path;

#[test]
fn no_files_need_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = circles::circles(&root);
    assert!(found.is_empty(), "{found:#?}");
}
