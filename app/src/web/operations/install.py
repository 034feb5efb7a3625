# Installs packages into a folder: python3 -I -c THIS FOLDER PACKAGE...
import pathlib, re, shutil, subprocess, sys

folder, *wanted = sys.argv[1:]
root = pathlib.Path(folder)
pip = [sys.executable, "-I", "-m", "pip"]
print("installing " + " ".join(wanted), flush=True)
if subprocess.run(pip + ["--version"], capture_output=True).returncode:
    sys.exit("This python3 has no pip. Install it where lightflow runs (Debian: python3-pip).")
old = set(root.glob("*.dist-info"))
options = ["--target", folder, "--upgrade", "--no-input", "--no-cache-dir", "--disable-pip-version-check",
           "--progress-bar", "off", "--retries", "2", "--timeout", "15"]
offline = False
child = subprocess.Popen(pip + ["install"] + options + ["--"] + wanted, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
for line in child.stdout:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
    offline |= bool(re.search(rb"NewConnectionError|ConnectTimeout|ProxyError|NameResolutionError|name resolution|Network is unreachable", line))
if child.wait():
    if offline:
        sys.exit("The package index cannot be reached: this machine has no network, no name resolution or needs a proxy.\n"
                 "Nothing was installed. Variables such as PIP_INDEX_URL, PIP_FIND_LINKS and HTTPS_PROXY lead pip elsewhere.")
    sys.exit("Nothing was installed.")

def package(info):
    return re.sub(r"[-_.]+", "-", info.name.split("-")[0]).lower()

fresh = set(root.glob("*.dist-info")) - old
for info in old:
    if package(info) in {package(other) for other in fresh}:
        shutil.rmtree(info, ignore_errors=True)
