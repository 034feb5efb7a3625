# Changes the Python packages in FOLDER: python3 -I -c THIS FOLDER install|remove PACKAGE...
#
# Each state of the packages is a virtual environment in a folder with a number. The highest number that has a list
# (packages.txt) is the present one. A change builds the next one beside it; its list, renamed last, makes it the present
# one. Steps that run keep theirs. The server removes environments that no step uses, and the remains of a killed change.
import ctypes, fcntl, importlib.metadata, os, pathlib, re, shutil, signal, subprocess, sys

folder, act, *wanted = sys.argv[1:]
root = pathlib.Path(folder)
LIST, REPLACED, PROGRAMS = "packages.txt", "replaced.txt", "programs"
# Folders of a package beside its modules, as pip install --target put them into the folder itself (release 0.1).
DATA = {"bin", "etc", "include", "man", "share"}
MISLEADING = {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON"}


def normalized(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def same(package):
    return normalized(re.split(r"[^\w.-]", package, maxsplit=1)[0])


def packages(site):
    found = {}
    for one in importlib.metadata.distributions(path=[str(site)]):
        if one.metadata["Name"]:
            found[normalized(one.metadata["Name"])] = one
    return found


def pip(*args, place=None, quiet=False):
    """Runs pip in an environment; returns its exit code, its lines, and if the index could not be reached."""
    environment = {key: value for key, value in os.environ.items() if key not in MISLEADING}
    environment.update(TMPDIR=str(temporary), PYTHONNOUSERSITE="1")
    command = [sys.executable, "-I", "-m", "pip", "--python", str((place or new) / "bin/python3"), "--no-input",
               "--disable-pip-version-check", *args]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    lines, offline = [], False
    for line in child.stdout:
        if not quiet:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        lines.append(line.decode(errors="replace").strip())
        offline |= bool(re.search(rb"NewConnectionError|ConnectTimeout|ProxyError|NameResolutionError|name resolution|Network is unreachable", line))
    return child.wait(), lines, offline


def problems(place):
    code, lines, _ = pip("check", place=place, quiet=True)
    return set(lines) if code else set()


def copy(source, place):
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, place, follow_symlinks=False)


def copy_program(source, place, interpreter):
    """Copies a program. Its first two lines can name the interpreter of another environment."""
    copy(source, place)
    if place.is_symlink() or not place.is_file():
        return
    text = place.read_bytes()
    if text.startswith(b"#!"):
        first, second, rest = (text.split(b"\n", 2) + [b"", b""])[:3]
        ours = os.fsencode(new / "bin/python3")
        first, second = (re.sub(interpreter, lambda _: ours, line) for line in (first, second))
        place.write_bytes(b"\n".join([first, second, rest]))


def copy_environment(old):
    for part in old.iterdir():
        if part.name == "bin":
            for program in part.iterdir():
                if program.name not in own:
                    copy_program(program, new / "bin" / program.name, re.escape(os.fsencode(old / "bin")) + rb"/python[\d.]*")
        elif part.name == "lib" or not (new / part.name).exists() and part.name not in {LIST, REPLACED, PROGRAMS, "tmp"}:
            copy(part, new / part.name)


def missing(one):
    """Reports if files are missing that the record of a package in the folder itself names."""
    for file in one.files or []:
        parts = file.parts[2:] if file.parts[:2] == ("..", "..") else file.parts
        if ".." not in parts and file.suffix != ".pyc" and not root.joinpath(*parts).exists():
            return True
    return False


def take_over(flat):
    """Copies packages that lie in the folder itself; returns those of them whose files are not complete."""
    names = {part.name for part in flat}
    found = {name: one for name, one in packages(root).items() if pathlib.Path(str(one._path)).name in names}
    again = sorted(set(found) & set(packages(site)))
    if again:
        pip("uninstall", "--yes", "--root-user-action", "ignore", "--", *again, quiet=True)
    for part in flat:
        if part.name in DATA and part.is_dir() and not (part / "__init__.py").exists():
            for inner in part.iterdir():
                (new / part.name).mkdir(exist_ok=True)
                place = new / part.name / inner.name
                if part.name == "bin" and inner.name in own:
                    continue
                copy_program(inner, place, rb"(?<=#!)\S*python[\d.]*$") if part.name == "bin" else copy(inner, place)
        else:
            copy(part, site / part.name)
    broken = []
    for name, one in found.items():
        info = site / pathlib.Path(str(one._path)).name
        if missing(one):
            broken.append(f"{one.metadata['Name']}=={one.version}")
            shutil.rmtree(info, ignore_errors=True)
        elif (info / "RECORD").is_file():
            record = (info / "RECORD").read_text(encoding="utf-8")
            (info / "RECORD").write_text(re.sub(r"(?m)^\.\./\.\./(?!\.\.)", "../../../", record), encoding="utf-8")
    return broken


def write(name, lines):
    fresh = new / ("." + name)
    with open(fresh, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, new / name)


def to_disk(place):
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ctypes.CDLL(None).syncfs(handle)
    except (AttributeError, OSError):
        os.sync()
    os.close(handle)


def change():
    again = []
    python = site.parent.name
    if old and (old / "lib" / python).is_dir():
        copy_environment(old)
    elif old:
        again = (old / LIST).read_text(encoding="utf-8").split()
        print(f"these packages belong to another Python than {python}; all of them are installed again", flush=True)
    replaced = (old / REPLACED).read_text(encoding="utf-8").splitlines() if old and (old / REPLACED).is_file() else []
    flat = [part for part in sorted(root.iterdir())
            if not part.name.isdigit() and part.name != ".lock" and part.name not in replaced]
    if flat:
        print("taking over the packages that lie in the folder itself", flush=True)
        again += take_over(flat)
    there = packages(site)
    # Release 0.1 took packages that do not fit together.
    before = problems(new) if flat else set()
    named = {same(package) for package in wanted}
    again = [package for package in again if same(package) not in named]
    if act == "remove":
        gone = [name for name in wanted if normalized(name) in there]
        if gone and pip("uninstall", "--yes", "--root-user-action", "ignore", "--", *gone)[0]:
            sys.exit("Nothing was removed.")
    install = again if act == "remove" else wanted + again
    if install:
        code, _, offline = pip("install", "--upgrade", "--no-cache-dir", "--progress-bar", "off", "--retries", "2",
                               "--timeout", "15", "--root-user-action", "ignore", "--no-warn-script-location", "--", *install)
        if code and offline:
            sys.exit("The package index cannot be reached: this machine has no network, no name resolution or needs a proxy.\n"
                     "Nothing was installed. Variables such as PIP_INDEX_URL, PIP_FIND_LINKS and HTTPS_PROXY lead pip elsewhere.")
        if code:
            sys.exit("Nothing was installed.")
    after = problems(new)
    if after and old:
        before |= problems(old)
    if after - before:
        print("\n".join(sorted(after - before)), flush=True)
        sys.exit("The packages would no longer fit together. Nothing was removed: remove those that need it first."
                 if act == "remove" else
                 "The packages would no longer fit together. Nothing was installed: name versions that fit, all at once.")
    for line in sorted(after):
        print("warning: " + line)
    (new / PROGRAMS).mkdir()
    for program in sorted((new / "bin").iterdir()):
        if program.name not in own:
            (new / PROGRAMS / program.name).symlink_to(pathlib.Path("../bin", program.name))
    shutil.rmtree(temporary)
    if replaced or flat:
        write(REPLACED, replaced + [part.name for part in flat])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    to_disk(new)
    write(LIST, sorted(f"{one.metadata['Name']}=={one.version}" for one in packages(site).values()))
    to_disk(new)


print(("installing " if act == "install" else "removing ") + " ".join(wanted), flush=True)
try:
    import pip as installer
except ImportError:
    sys.exit("This python3 has no pip. Install it where lightflow runs (Debian: python3-pip).")
if tuple(map(int, re.findall(r"\d+", installer.__version__)[:2])) < (22, 3):
    sys.exit("This pip is too old; pip 22.3 or newer is needed, because it can change another environment.")
try:
    import venv
except ImportError:
    sys.exit("This python3 has no venv. Install it where lightflow runs (Debian: python3-venv).")
signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped. Nothing was changed."))
root.mkdir(exist_ok=True)
lock = open(root / ".lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
numbers = sorted(int(part.name) for part in root.iterdir() if part.name.isdigit())
complete = [number for number in numbers if (root / str(number) / LIST).is_file()]
for number in set(numbers) - set(complete):
    shutil.rmtree(root / str(number), ignore_errors=True)
old = root / str(complete[-1]) if complete else None
new = root / str(max(numbers, default=0) + 1)
temporary = new / "tmp"
try:
    venv.EnvBuilder(symlinks=True).create(new)
    temporary.mkdir()
    site = next(new.glob("lib/python*/site-packages"))
    own = {part.name for part in (new / "bin").iterdir()}
    change()
except BaseException:
    shutil.rmtree(new, ignore_errors=True)
    raise
