"""The blocks of code of the manual, each with the comment before it."""

import re
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
MANUAL = REPO / "docs" / "manual"
MARK = re.compile(r"<!-- (test|no-test): (.+) -->")
KINDS = ("runner", "gate", "gate-new", "gate-refused", "readme")
# Blocks of these languages are output or text, and need no comment.
SILENT = ("text", "json")


@dataclass
class Block:
    """One block: its line, its kind (None: not run) and its commands."""

    line: int
    kind: str | None
    text: str


@dataclass
class Page:
    """A page with its blocks, and the faults of its comments."""

    name: str
    blocks: list[Block] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read(path: Path) -> Page:
    """The blocks of a file."""
    page = Page(path.stem)
    mark, opened, indent, lines = None, None, "", []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        bare = line.strip()
        if opened is not None:
            if bare == "```":
                _close(page, path, opened, mark, lines)
                mark, opened, lines = None, None, []
            else:
                lines.append(line.removeprefix(indent))
        elif bare.startswith("```"):
            opened, indent = (number, bare[3:]), line[: len(line) - len(line.lstrip())]
        elif found := MARK.fullmatch(bare):
            mark = found.groups()
        elif bare:
            mark = None
    if opened is not None:
        page.faults.append(f"{path.name}:{opened[0]}: the block has no end")
    return page


def _close(page: Page, path: Path, opened: tuple[int, str], mark: tuple[str, str] | None, lines: list[str]):
    line, language = opened
    if mark is None:
        if language not in SILENT:
            page.faults.append(f"{path.name}:{line}: the block has no comment `test:` or `no-test:`")
        return
    verb, kind = mark
    if verb == "test" and kind not in KINDS:
        page.faults.append(f"{path.name}:{line}: no kind of test is named {kind}")
        return
    page.blocks.append(Block(line, kind if verb == "test" else None, "\n".join(lines) + "\n"))


def pages(names: list[str]) -> list[Page]:
    """The pages with these names, or all of them and the README."""
    files = [REPO / "README.md", *sorted(MANUAL.glob("*.md"))]
    return [read(file) for file in files if not names or file.stem in names]


def readme_commands() -> list[str]:
    """The commands of the README's chapter on installing."""
    chapter = (REPO / "README.md").read_text(encoding="utf-8").split("\n## Install it\n")[1].split("\n## ")[0]
    return [line.strip() for line in chapter.splitlines() if line.startswith("    ")]
