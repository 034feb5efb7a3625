"""Runs tests of this folder in the namespaces that the caller made: suite.py FILE[.CLASS]… [-k PATTERN] [-f]."""

import sys
import time
import unittest

from cases import KEEPS_TOKEN, RCLONE, VERSION
from expected import EXPECTED

SLOW_S = 20


class Result(unittest.TextTestResult):
    """Knows which cases are expected to fail, says so when one passes, and tells which tests took long."""

    def startTest(self, test):
        self.began = time.monotonic()
        _, only = EXPECTED.get(key(test), ("", "none"))
        # unittest reads this attribute, which @expectedFailure sets, after the start of a test.
        test.__unittest_expecting_failure__ = only in (None, "new" if KEEPS_TOKEN else "old")
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        took = time.monotonic() - self.began
        if took > SLOW_S:
            self.stream.writeln(f"{took:6.1f} s  {test.id().rpartition('.')[2]}")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.stream.writeln(f" not yet: {key(test)} ({EXPECTED[key(test)][0]})")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.stream.writeln(f" PASSES NOW: {key(test)}; take it out of ci/onedrive.d/expected.py")


def key(test) -> str:
    """The name of a test in the list of expected failures."""
    return ".".join(test.id().split(".")[-2:])


def main() -> int:
    """Exit code 0 when all tests passed."""
    print(f"rclone {'.'.join(map(str, VERSION))} ({RCLONE})", file=sys.stderr)
    runner = unittest.TextTestRunner(resultclass=Result)
    program = unittest.main(module=None, argv=["ci/onedrive", *sys.argv[1:]], testRunner=runner, exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
