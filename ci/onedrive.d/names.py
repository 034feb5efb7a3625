"""The names that OneDrive accepts, and the key under which two names are the same.

Microsoft publishes these rules in "Restrictions and limitations in OneDrive and SharePoint". rclone replaces the forbidden
characters by look-alikes before it sends a name. It does not replace reserved names.
"""

FORBIDDEN = frozenset('"*:<>?/\\|')
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}
RESERVED = {".lock", "desktop.ini", *DEVICES}
MAX_PATH = 400
OFFICE = (".docx", ".docm", ".xlsx", ".xlsm", ".pptx", ".pptm")


class BadName(Exception):
    """OneDrive refuses this name; the text says why."""


def key(name: str) -> str:
    """Two names with the same key are one name: letter case folds, Unicode forms (NFC, NFD) stay different."""
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in name)


def check(name: str, business: bool):
    """Refuses a name that OneDrive refuses."""
    bad = sorted(FORBIDDEN & set(name)) or [letter for letter in name if ord(letter) < 32 or ord(letter) == 127]
    if bad:
        raise BadName(f"the name has a forbidden character: {bad[0]!r}")
    # A leading dot is fine: folders are called `.git`, and rclone sends such names unchanged.
    if not name or name != name.strip(" ") or name.endswith("."):
        raise BadName("the name is empty, has a blank at an end, or ends with a dot")
    if name.lower() in RESERVED or name.startswith("~$"):
        raise BadName(f"the name is reserved: {name}")
    # "CON.txt" is taken; "CON" alone is not.
    if business and "_vti_" in name.lower():
        raise BadName(f"the name holds _vti_: {name}")


def check_path(path: str):
    """Refuses a path of more than 400 characters; the folders and the slashes between count."""
    if len(path) > MAX_PATH:
        raise BadName(f"the path has {len(path)} characters, more than {MAX_PATH}")


def grows(name: str, business: bool) -> bool:
    """SharePoint writes properties into Office files when they arrive, so their size and hash change."""
    return business and name.lower().endswith(OFFICE)
