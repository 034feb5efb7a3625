"""Runs the suites: python3 main.py [-k PATTERN] [SUITE…]. Started by ci/compliance."""

import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = ["lines", "doctor"]


def main():
    sys.path.insert(0, str(HERE))
    words = sys.argv[1:]
    named = [word for word in words if word in SUITES] or SUITES
    options = [word for word in words if word not in SUITES]
    unittest.main(module=None, argv=["ci/compliance", "--verbose", *options, *named])


if __name__ == "__main__":
    main()
