"""An OCI image archive with bytes that depend on its content alone.

`podman save` writes the times of its own files, and the bytes of a layer depend on the version of its compressor. The
format is three short JSON files and the layers: https://github.com/opencontainers/image-spec (image-layout.md).
"""

import gzip
import hashlib
import io
import json
import tarfile
from datetime import datetime, timezone
from pathlib import Path

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def encode(value) -> bytes:
    """JSON with one spelling."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(content: bytes) -> str:
    """As OCI writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def compress(content: bytes) -> bytes:
    """gzip, which every reader of images knows, without a time and a name."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as file:
        file.write(content)
    return out.getvalue()


def write(path: Path, arch: str, layers: list[tuple[str, bytes]], config: dict, name: str, epoch: int):
    """Writes the archive: `layers` are tar files, each with what it was made by; `name` is what `podman load` calls it."""
    created = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    blobs = {}

    def blob(content: bytes, kind: str, **more) -> dict:
        blobs[digest(content)] = content
        return {"mediaType": kind, "digest": digest(content), "size": len(content), **more}

    descriptors = [blob(compress(layer), LAYER) for _, layer in layers]
    image = {
        "architecture": arch,
        "os": "linux",
        **({"variant": "v8"} if arch == "arm64" else {}),
        "created": created,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for _, layer in layers]},
        "history": [{"created": created, "created_by": made_by} for made_by, _ in layers],
    }
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blob(encode(image), CONFIG), "layers": descriptors,
                "annotations": config["Labels"]}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        blob(encode(manifest), MANIFEST, platform={"architecture": arch, "os": "linux"},
             annotations={"org.opencontainers.image.ref.name": name})]}

    files = {"index.json": encode(index), "oci-layout": encode({"imageLayoutVersion": "1.0.0"})}
    files.update({f"blobs/{key.replace(':', '/')}": content for key, content in blobs.items()})
    fresh = path.with_name(path.name + ".new")
    with tarfile.open(fresh, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in ("blobs", "blobs/sha256"):
            member = tarfile.TarInfo(folder)
            member.type, member.mode, member.mtime = tarfile.DIRTYPE, 0o755, epoch
            archive.addfile(member)
        for file, content in sorted(files.items()):
            member = tarfile.TarInfo(file)
            member.mode, member.mtime, member.size = 0o644, epoch, len(content)
            archive.addfile(member, io.BytesIO(content))
    fresh.replace(path)
