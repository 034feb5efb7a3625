"""Runs the suites: python3 main.py [-f] [-k PATTERN] [SUITE…]. Started by ci/compliance."""

import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = ["lines", "traces", "doors", "stacks", "doctor", "lease", "appliance"]


class Result(unittest.TextTestResult):
    """One line a test, as the sentence that its name is, with the seconds that it took."""

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def getDescription(self, test) -> str:
        if not isinstance(test, unittest.TestCase):
            # Stands for a class that could not be set up.
            return str(test)
        if not (method := getattr(test, "_testMethodName", None)) or method == "runTest":
            return str(test)
        return f"{type(test).__name__}: {method.removeprefix('test_').replace('_', ' ')}"

    def addSuccess(self, test):
        self.stream.write(f"{time.monotonic() - self.began:5.1f} s  ")
        super().addSuccess(test)


class Runner(unittest.TextTestRunner):
    """Shows results in that way."""

    resultclass = Result


def main():
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    words = sys.argv[1:]
    named = [word for word in words if word in SUITES] or SUITES
    options = [word for word in words if word not in SUITES]
    unittest.main(module=None, argv=["ci/compliance", "--verbose", *options, *named], testRunner=Runner)


if __name__ == "__main__":
    main()
