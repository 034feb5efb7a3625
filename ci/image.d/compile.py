"""Compiles Python's standard library, run by the Python that it belongs to: compile.py ROOT LIBRARY OUT

The byte code bears the hash of its source and is believed without a look at it, so no time of a file is in it.
"""

import py_compile
import sys
from pathlib import Path


def main(root: Path, library: str, out: Path) -> int:
    """Compiles each module in the order of names, so that the same interpreter writes the same bytes."""
    for source in sorted((root / library).rglob("*.py")):
        if source.is_symlink():
            continue
        name = source.relative_to(root)
        compiled = out / name.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        py_compile.compile(str(source), cfile=str(compiled), dfile=f"/{name}", doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
