"""Runs test files of this folder in one pair of namespaces: suite.py FILE… [-k PATTERN] [-f]."""

import sys
import time
import unittest

from cases import RCLONE, VERSION

SLOW_S = 5


class Result(unittest.TextTestResult):
    """Also says which tests took long."""

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        took = time.monotonic() - self.began
        if took > SLOW_S:
            self.stream.writeln(f"{took:6.1f} s  {test.id().rpartition('.')[2]}")


def main() -> int:
    """Exit code 0 when all tests passed."""
    print(f"rclone {'.'.join(map(str, VERSION))} ({RCLONE})", file=sys.stderr)
    runner = unittest.TextTestRunner(resultclass=Result)
    program = unittest.main(module=None, argv=["ci/onedrive", *sys.argv[1:]], testRunner=runner, exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
