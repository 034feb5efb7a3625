use super::*;
use std::io::Cursor;

fn entry(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0_u8; BLOCK];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[156] = b'0';
    header.extend(bytes);
    header.resize(header.len().next_multiple_of(BLOCK), 0);
    header
}

/// An archive of an image with this id.
pub(in crate::install) fn archive(id: &str) -> Vec<u8> {
    let manifest = format!("{{\"config\":{{\"digest\":\"sha256:{id}\"}}}}");
    let digest = super::super::record::digest(manifest.as_bytes());
    let index = format!("{{\"manifests\":[{{\"digest\":\"sha256:{digest}\"}}]}}");
    let mut tar = entry(&format!("blobs/sha256/{digest}"), manifest.as_bytes());
    tar.extend(entry("oci-layout", b"{}"));
    tar.extend(entry("index.json", index.as_bytes()));
    tar.extend([0; 2 * BLOCK]);
    tar
}

#[test]
fn the_id_is_the_digest_of_the_configuration() {
    let id = "ab".repeat(32);
    assert_eq!(image_id(&mut Cursor::new(archive(&id))).unwrap(), id);
}

#[test]
fn anything_else_is_no_archive_of_an_image() {
    for bytes in [
        Vec::new(),
        b"hello".to_vec(),
        vec![b'x'; 2048],
        entry("index.json", b"{\"manifests\":[]}"),
        entry(
            "index.json",
            b"{\"manifests\":[{\"digest\":\"sha256:../../etc\"}]}",
        ),
    ] {
        assert!(image_id(&mut Cursor::new(bytes)).is_err());
    }
}
