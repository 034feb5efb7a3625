//! The id of the image in an OCI archive, which is a tar file of blobs that are named by their digests.
//!
//! Invariant: nothing is unpacked; anything other than a plain archive of one image is refused.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use serde::Deserialize;

const BLOCK: usize = 512;

/// The most that is read of a list of blobs.
const MOST: u64 = 1 << 20;

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// The id under which Podman knows the image: the digest of its configuration, without "sha256:".
///
/// # Errors
/// A sentence, when it is not such an archive.
pub(super) fn image_id(archive: &mut (impl Read + Seek)) -> Result<String, String> {
    let entries = entries(archive)?;
    let index: Index = json(archive, &entries, "index.json")?;
    let [manifest] = index.manifests.as_slice() else {
        return Err(format!(
            "it holds {} images and not one",
            index.manifests.len()
        ));
    };
    let manifest: Manifest = json(archive, &entries, &blob(&manifest.digest)?)?;
    blob(&manifest.config.digest)?;
    Ok(hex(&manifest.config.digest).to_owned())
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or_default()
}

fn blob(digest: &str) -> Result<String, String> {
    let hex = hex(digest);
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(format!("blobs/sha256/{hex}"))
    } else {
        Err(format!("'{digest}' is no digest"))
    }
}

fn json<T: serde::de::DeserializeOwned>(
    archive: &mut (impl Read + Seek),
    entries: &BTreeMap<String, (u64, u64)>,
    name: &str,
) -> Result<T, String> {
    let &(at, size) = entries.get(name).ok_or(format!("it has no {name}"))?;
    if size > MOST {
        return Err(format!("its {name} is too large"));
    }
    let say = |error: std::io::Error| error.to_string();
    archive.seek(SeekFrom::Start(at)).map_err(say)?;
    let mut bytes = Vec::new();
    archive.take(size).read_to_end(&mut bytes).map_err(say)?;
    serde_json::from_slice(&bytes).map_err(|error| format!("its {name}: {error}"))
}

/// Each regular file, with where its bytes begin and how many there are.
fn entries(archive: &mut (impl Read + Seek)) -> Result<BTreeMap<String, (u64, u64)>, String> {
    let say = |error: std::io::Error| error.to_string();
    let mut found = BTreeMap::new();
    let mut at = 0_u64;
    let mut header = [0_u8; BLOCK];
    loop {
        archive.seek(SeekFrom::Start(at)).map_err(say)?;
        if archive.read_exact(&mut header).is_err() || header.iter().all(|&byte| byte == 0) {
            return Ok(found);
        }
        let field = |from: usize, to: usize| {
            let bytes = header.get(from..to).unwrap_or_default();
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).trim().to_owned()
        };
        let size =
            u64::from_str_radix(&field(124, 136), 8).map_err(|_| "it is no tar file".to_owned())?;
        if matches!(header.get(156), Some(b'0' | 0)) {
            let name = field(0, 100);
            let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
            found.insert(name, (at + BLOCK as u64, size));
        }
        let blocks = size.div_ceil(BLOCK as u64);
        at = blocks
            .checked_add(1)
            .and_then(|blocks| blocks.checked_mul(BLOCK as u64))
            .and_then(|bytes| at.checked_add(bytes))
            .ok_or("it is no tar file")?;
    }
}

#[cfg(test)]
pub(super) mod tests;
