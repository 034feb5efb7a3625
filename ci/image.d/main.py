"""Makes the image: called by ci/image, which has fetched the packages."""

import argparse
import io
import sys
import tomllib
from datetime import datetime, timezone
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import containerfile  # noqa: E402
import oci  # noqa: E402
import root  # noqa: E402
from tree import Tree  # noqa: E402

REPO = HERE.parents[1]
BUDGET_MB = 45


def tar_of(tree: Tree, epoch: int) -> bytes:
    """The tree as a tar file."""
    out = io.BytesIO()
    tree.write_tar(out, epoch)
    return out.getvalue()


def layer(source: str, place: str, arguments: argparse.Namespace) -> bytes:
    """Files of an ADD or COPY of the Containerfile."""
    if source == "rootfs.tar":
        return tar_of(root.make(arguments.arch, arguments.native, arguments.packages), arguments.epoch)
    if source == "lightflow":
        tree = Tree()
        tree.file(place, arguments.runner.read_bytes(), 0o755)
        return tar_of(tree, arguments.epoch)
    raise SystemExit(f"Containerfile: {source} is nothing that ci/image makes")


def main() -> int:
    """Writes an archive, or the folder for `podman build`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", required=True)
    parser.add_argument("--native", required=True)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--runner", type=Path, required=True)
    parser.add_argument("--epoch", type=int, required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--archive", type=Path)
    parser.add_argument("--context", type=Path)
    arguments = parser.parse_args()

    version = tomllib.loads((REPO / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]
    created = datetime.fromtimestamp(arguments.epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = {"VERSION": version, "REVISION": arguments.revision, "CREATED": created}
    recipe = containerfile.read(REPO / "image/Containerfile", values)
    if arguments.context:
        arguments.context.mkdir(parents=True, exist_ok=True)
        for source, place in recipe.copies:
            content = arguments.runner.read_bytes() if source == "lightflow" else layer(source, place, arguments)
            (arguments.context / source).write_bytes(content)
        (arguments.context / "lightflow").chmod(0o755)
        (arguments.context / "Containerfile").write_bytes((REPO / "image/Containerfile").read_bytes())
        options = " ".join(f"--build-arg {key}={value}" for key, value in values.items())
        print(f"podman build --format docker --platform linux/{arguments.arch} {options} {arguments.context}")
        return 0

    layers = [(f"ADD {source} {place}", layer(source, place, arguments)) for source, place in recipe.copies]
    oci.write(arguments.archive, arguments.arch, layers, recipe.config, f"localhost/lightflow:{version}", arguments.epoch)
    size = arguments.archive.stat().st_size / 1_000_000
    print(f"{arguments.archive.name}: {size:.1f} MB, {sum(len(content) for _, content in layers) / 1_000_000:.0f} MB unpacked")
    if size > BUDGET_MB:
        print(f"{arguments.archive.name} is larger than {BUDGET_MB} MB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
