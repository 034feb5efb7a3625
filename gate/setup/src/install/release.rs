//! The unpacked release that the installer belongs to.
//!
//! Invariant: every file that is used is listed in its SHA256SUMS with the digest that it has, or there is no [`Release`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::oci;
use archive::digest::Hasher;

/// The list of digests, in the form of sha256sum(1).
const SUMS: &str = "SHA256SUMS";

/// The image of the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// The OCI archive.
    pub(super) archive: PathBuf,
    /// Its id, as Podman has it.
    pub(super) id: String,
}

/// A release for this machine.
#[derive(Debug, Clone)]
pub(super) struct Release {
    /// Its version.
    pub(super) version: String,
    /// Small files and this machine's programs, by their names in the release.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The folder of this machine's programs in it.
    pub(super) programs: PathBuf,
    /// The image.
    pub(super) image: Image,
}

impl Release {
    /// The release that this very program lies in.
    ///
    /// # Errors
    /// A sentence, when it lies in none, or in one that is not whole.
    pub(super) fn own() -> Result<Self, String> {
        let program = fs::read_link("/proc/self/exe").map_err(|error| error.to_string())?;
        let root = program
            .ancestors()
            .nth(3)
            .filter(|root| root.join(SUMS).is_file())
            .ok_or_else(|| {
                format!(
                    "{} does not lie in a release; unpack the archive of a release, and run ./install in it",
                    program.display()
                )
            })?;
        Self::open(root, std::env::consts::ARCH)
    }

    /// No release: for a removal, which needs none.
    pub(super) fn none() -> Self {
        Self {
            version: String::new(),
            files: BTreeMap::new(),
            programs: PathBuf::new(),
            image: Image {
                archive: PathBuf::new(),
                id: String::new(),
            },
        }
    }

    fn open(root: &Path, arch: &str) -> Result<Self, String> {
        let sums = read(&root.join(SUMS))?;
        let sums = sums_of(&String::from_utf8_lossy(&sums))?;
        let image = match arch {
            "aarch64" => "image/lightflow-arm64.oci.tar",
            _ => "image/lightflow-amd64.oci.tar",
        };
        let programs = format!("bin/{arch}/");
        let wanted = |name: &str| {
            let folder = ["podman/", "etc/", "man/", "completions/"]
                .iter()
                .any(|folder| name.starts_with(folder));
            folder || name.starts_with(&programs)
        };
        let mut files = BTreeMap::new();
        for (name, sum) in &sums {
            if !wanted(name) {
                continue;
            }
            let bytes = read(&root.join(name))?;
            if super::record::digest(&bytes) != *sum {
                return Err(damaged(name));
            }
            files.insert(name.replacen(&programs, "bin/", 1), bytes);
        }
        for name in REQUIRED {
            if !files.contains_key(*name) {
                return Err(format!(
                    "the release has no {name} for {arch}; unpack it again"
                ));
            }
        }
        let archive = root.join(image);
        let sum = sums
            .get(image)
            .ok_or(format!("the release has no {image}; unpack it again"))?;
        if digest_of(&archive)? != *sum {
            return Err(damaged(image));
        }
        let mut file = File::open(&archive).map_err(|error| format!("{image}: {error}"))?;
        let id =
            oci::image_id(&mut file).map_err(|reason| format!("{image} is no image: {reason}"))?;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            files,
            programs: root.join(programs),
            image: Image { archive, id },
        })
    }

    /// A file that every release has.
    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    /// Likewise, as text.
    pub(super) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.bytes(name)).into_owned()
    }
}

/// Without these nothing can be installed.
pub(super) const REQUIRED: &[&str] = &[
    "bin/backupctl",
    "bin/backupctl-setup",
    "bin/podmanctl",
    "bin/lightflow",
    "bin/rclone",
    "podman/lightflow.container",
    "podman/backupctl-recover.service",
    "etc/sudoers",
    "etc/sshd.conf",
    "etc/slice.conf",
    "etc/tmpfiles.conf",
    "etc/lightflow.env",
    "etc/backupctl.example.toml",
];

fn damaged(name: &str) -> String {
    format!(
        "{name} is not what {SUMS} says: the release is damaged or was changed; unpack it again"
    )
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Images are too large to hold.
fn digest_of(path: &Path) -> Result<String, String> {
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(say)?;
    let mut sum = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(say)? {
            0 => break,
            count => sum.update(buffer.get(..count).unwrap_or_default()),
        }
    }
    Ok(sum.finish().to_string())
}

/// `digest  name` lines.
fn sums_of(text: &str) -> Result<BTreeMap<String, String>, String> {
    text.lines()
        .map(|line| {
            let (sum, name) = line.split_once("  ").unwrap_or_default();
            let name = name.strip_prefix("./").unwrap_or(name);
            let plain = !name.is_empty()
                && !name.starts_with('/')
                && !name.split('/').any(|part| part == "..");
            if plain && sum.len() == 64 {
                Ok((name.to_owned(), sum.to_owned()))
            } else {
                Err(format!("{SUMS} cannot be read at '{line}'"))
            }
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests;
