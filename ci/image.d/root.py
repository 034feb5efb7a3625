"""The root file system of the image: packages, and the results of their installation, made by hand."""

import os
import posixpath
import subprocess
import tempfile
from pathlib import Path

from elf import Elf, is_elf
from tree import Tree

HERE = Path(__file__).resolve().parent
IMAGE = HERE.parents[1] / "image"
TRIPLETS = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}
LOADERS = {"arm64": "usr/lib/ld-linux-aarch64.so.1", "amd64": "usr/lib64/ld-linux-x86-64.so.2"}
STDLIB = "usr/lib/python3.13"

# Files that no program in the image reads or runs. Copyright files stay: they have to come along.
LEFT_OUT = [
    "etc/init.d", "etc/cron.", "etc/default", "etc/pam.d", "etc/skel", "etc/update-motd.d", "usr/lib/systemd",
    "usr/share/base-files", "usr/share/bash-completion", "usr/share/bug", "usr/share/info", "usr/share/lintian", "usr/share/locale",
    "usr/share/man", "usr/share/menu", "usr/share/pixmaps", "usr/share/apps", "usr/share/applications", "usr/share/debianutils",
    "usr/share/polkit-1", "usr/share/gcc", "usr/share/python3/runtime.d", "usr/share/zsh", "usr/share/fish", "usr/games", "home", "boot",
    "media", "mnt", "opt", "srv", "usr/src", "usr/include", "usr/sbin/pam", "usr/lib/debug", "usr/lib/tmpfiles.d", "usr/lib/sysusers.d",
    f"{STDLIB}/idlelib", f"{STDLIB}/turtledemo", f"{STDLIB}/pydoc_data", f"{STDLIB}/test", "usr/lib/valgrind", "usr/share/gdb",
    # Programs that list logins: there are none here, and these need libsystemd.
    "usr/bin/pinky", "usr/bin/users", "usr/bin/who",
    # The character sets of iconv(1): Python has its own.
    "usr/lib/aarch64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/locale",
]


def wanted(path: str) -> bool:
    """True if a file of a package belongs into the image."""
    if path.startswith("usr/share/doc/"):
        return posixpath.basename(path) == "copyright" or path.count("/") == 3
    return not any(path == out or path.startswith(out + "/") or out.endswith(".") and path.startswith(out) for out in LEFT_OUT)


def read_lock(arch: str) -> list[list[str]]:
    """Name, version, archive, path and digest of each package."""
    lines = (IMAGE / f"packages.{arch}.lock").read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


def unpack(arch: str, cache: Path) -> Tree:
    """The packages of the lock in one tree."""
    tree = Tree()
    tree.folder(".")
    # base-files brings the links from /bin, /lib and /sbin into /usr, through which the others go.
    for name, _, _, _, digest in sorted(read_lock(arch), key=lambda line: (line[0] != "base-files", line[0])):
        package = cache / f"{digest}.deb"
        tree.unpack(package, wanted)
        # Scanners for vulnerabilities look here for the packages of an image without dpkg.
        control = subprocess.run(["dpkg-deb", "--field", package], check=True, stdout=subprocess.PIPE).stdout
        tree.file(f"var/lib/dpkg/status.d/{name}", control)
    return tree


def compile_python(tree: Tree, native: Tree, native_arch: str):
    """Adds the byte code of the standard library, which a read-only root could not keep: each start would compile it.

    It is the same for every processor, so that of this machine compiles it, started by the path of its own loader.
    """
    with tempfile.TemporaryDirectory(prefix="lightflow-python.") as folder:
        root = Path(folder)
        native.write_folder(root, lambda path: path.startswith(("usr/lib", "usr/bin/python3", "lib", "bin")))
        loader, triplet = LOADERS[native_arch], TRIPLETS[native_arch]
        out = root / "compiled"
        command = [root / loader, "--library-path", root / "usr/lib" / triplet, root / "usr/bin/python3.13", "-S",
                   HERE / "compile.py", root, STDLIB, out]
        # Started by its loader, Python does not find its library by itself.
        environment = {"PYTHONHOME": str(root / "usr"), "PYTHONHASHSEED": "0", "PATH": os.defpath}
        subprocess.run(command, check=True, env=environment)
        for file in sorted(out.rglob("*.pyc")):
            tree.file(str(file.relative_to(out)), file.read_bytes())


def settle(tree: Tree):
    """The results of the maintainers' scripts, and this image's own files."""
    for path in sorted((IMAGE / "root").rglob("*")):
        if path.is_file():
            tree.file(str(path.relative_to(IMAGE / "root")), path.read_bytes())
    certificates = [content for path, content in tree.files() if path.startswith("usr/share/ca-certificates/mozilla/")]
    if len(certificates) < 100:
        raise SystemExit(f"ca-certificates has {len(certificates)} certificates, which cannot be all")
    tree.file("etc/ssl/certs/ca-certificates.crt", b"".join(certificates))
    tree.remove(lambda path: not path.startswith("usr/share/ca-certificates/"))
    # Where OpenSSL looks, which Python's ssl asks.
    tree.link("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")
    tree.link("usr/lib/ssl/certs", "/etc/ssl/certs")
    # Of Debian's alternatives.
    tree.link("usr/bin/awk", "mawk")
    tree.link("usr/bin/pager", "cat")
    tree.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
    # The folder of the scripts under the name that the tasks use.
    tree.link("scripts", "data/scripts")
    tree.folder("data", 0o750, 1000)
    for path in ("dev", "etc", "proc", "root", "run", "sys", "var/tmp"):
        tree.folder(path)
    tree.folder("tmp")
    tree.entries["tmp"].mode = tree.entries["var/tmp"].mode = 0o1777
    # There is no ld.so.cache: only ldconfig of the same processor could write it, and all libraries lie in the folders
    # that Debian's loader knows by itself (check_libraries).


def check_libraries(tree: Tree, arch: str):
    """Refuses a tree in which a program or library asks for a library that is not where the loader looks."""
    folders = [f"usr/lib/{TRIPLETS[arch]}", "usr/lib", "usr/lib64"]
    missing = []
    for path, content in tree.files():
        if not is_elf(content):
            continue
        for library in Elf(content).needed():
            if not any(f"{folder}/{library}" in tree.entries for folder in folders):
                missing.append(f"{path} needs {library}")
    for path in ("usr/bin/sh", "usr/bin/env", "usr/bin/python3", "usr/bin/ssh", LOADERS[arch], f"{STDLIB}/venv/__init__.py"):
        if tree.real(path) not in tree.entries:
            missing.append(f"{path} is missing")
    if missing:
        raise SystemExit("\n".join(["image/packages lacks something:", *missing]))


def make(arch: str, native_arch: str, cache: Path) -> Tree:
    """The whole root file system."""
    tree = unpack(arch, cache)
    compile_python(tree, tree if arch == native_arch else unpack(native_arch, cache), native_arch)
    settle(tree)
    check_libraries(tree, arch)
    return tree
