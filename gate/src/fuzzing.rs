//! Rules that hold for any bytes of strangers: one function for each parser that they can reach.
//!
//! `gate/fuzz` calls these with bytes of a fuzzer, and the tests below with the corpus in `gate/fuzz/seeds`, so that a
//! fault that was found once stays found. They belong to neither the gate nor its library: other builds leave them
//! out.
//!
//! Invariant: a function returns when everything holds and panics when it does not; it opens nothing but a
//! temporary folder.

mod archives;
mod held;
mod mirrors;
mod programs;
mod requests;
mod shelves;

pub use archives::{manifest, tar_extract, tar_read};
pub use mirrors::mirror_books;
pub use programs::{progress, rclone_answer, rclone_conf, rclone_listing, rclone_log, stack};
pub use requests::{config, request_line};
pub use shelves::{archive_names, retention};

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    fn here(folder: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz")
            .join(folder)
    }

    fn replay(name: &str, body: fn(&[u8])) {
        let seeds = fs::read_dir(here("seeds").join(name)).unwrap();
        let mut replayed = 0;
        for seed in seeds.flatten() {
            let bytes = fs::read(seed.path()).unwrap();
            let held = std::panic::catch_unwind(|| body(&bytes));
            assert!(held.is_ok(), "{}", seed.path().display());
            replayed += 1;
        }
        assert!(replayed >= 3, "{name} has only {replayed} seeds");
        body(b"");
    }

    macro_rules! replays {
        ($($name:ident),+ $(,)?) => {
            $(#[test]
            fn $name() {
                replay(stringify!($name), super::$name);
            })+

            /// A new target has to be added in all three places.
            #[test]
            fn every_target_has_a_program_and_a_corpus() {
                let mut targets = [$(stringify!($name)),+].map(str::to_owned);
                targets.sort();
                for (folder, suffix) in [("seeds", ""), ("fuzz_targets", ".rs")] {
                    let mut found: Vec<String> = fs::read_dir(here(folder))
                        .unwrap()
                        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                        .map(|name| name.strip_suffix(suffix).unwrap().to_owned())
                        .collect();
                    found.sort();
                    assert_eq!(found, targets, "in {folder}");
                }
                let manifest = fs::read_to_string(here("Cargo.toml")).unwrap();
                for name in &targets {
                    assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
                }
            }
        };
    }

    replays!(
        archive_names,
        config,
        manifest,
        mirror_books,
        progress,
        rclone_answer,
        rclone_conf,
        rclone_listing,
        rclone_log,
        request_line,
        retention,
        stack,
        tar_extract,
        tar_read,
    );
}
