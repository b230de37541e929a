#!/usr/bin/env python3
"""Runs the tests against the Linux kernel, each in a network namespace of its own, and prints verdicts in GoogleTest's
form. They need root; an ordinary user sees them skipped, with the reason.

    tests/interop/run.py --build build [PATTERN]
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import traceback
import unittest

import harness

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = ["/usr/lib/frr/ospfd", "/usr/lib/frr/eigrpd", "ip", "bridge", "nft", "tcpdump", "tshark", "curl", "wrk", "nginx", "ping", "arping", "hping3", "nmap", "ss", "nstat", "ethtool", "atk6-implementation6", "frag6", "radvd", "dpdk-telemetry.py", "capinfos"]
CASE_SECONDS = 60


def name_of(test):
    """ServeTest.test_curl_fetches -> Serve.CurlFetches"""
    suite = type(test).__name__.removesuffix("Test")
    words = test._testMethodName.removeprefix("test_").split("_")
    return f"Interop{suite}." + "".join(word[:1].upper() + word[1:] for word in words)


def cases(suite):
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from cases(part)
        else:
            yield part


class Verdicts(unittest.TestResult):
    """Prints each case as GoogleTest would."""

    def __init__(self):
        super().__init__()
        self.failed = 0
        self._verdict = "     OK"

    def startTest(self, test):
        super().startTest(test)
        self._verdict = "     OK"
        print(f"[ RUN      ] {name_of(test)}", flush=True)
        signal.alarm(int(CASE_SECONDS * harness.Settings.patience))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._verdict = "FAILED "
        traceback.print_exception(*err, file=sys.stdout)
        for process in test.namespace.processes if hasattr(test, "namespace") else []:
            print(f"--- {' '.join(map(str, process.args[4:]))} printed:\n{process.log.read_text(errors='replace')}---")

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.addFailure(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._verdict = "SKIPPED"
        print(reason)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)
        self.failed += self._verdict == "FAILED "
        print(f"[  {self._verdict} ] {name_of(test)}", flush=True)


def too_late(_number, _frame):
    raise TimeoutError(f"the case took more than {CASE_SECONDS} s")


def stop(_number, _frame):
    raise KeyboardInterrupt


def obstacle():
    """Why the tests cannot run here; nothing where they can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces: run scripts/test as root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "needs /dev/net/tun, which this machine or container does not offer"
    return None


def run_cases(chosen):
    """Runs them in turn, and leaves nothing behind; returns the exit status."""
    signal.signal(signal.SIGALRM, too_late)
    signal.signal(signal.SIGTERM, stop)
    verdicts = Verdicts()
    try:
        for test in chosen:
            test.run(verdicts)
    finally:
        signal.alarm(0)
        harness.remove_all()
    return 1 if verdicts.failed or not verdicts.testsRun else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"), help="the build folder")
    parser.add_argument("--list", action="store_true", help="print the cases' names and end")
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose name contains it")
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"

    found = cases(unittest.defaultTestLoader.discover(str(HERE), pattern="test_*.py"))
    chosen = [test for test in found if options.pattern.lower() in name_of(test).lower()]
    if options.list:
        print(*map(name_of, chosen), sep="\n")
        return 0

    harness.Settings.runnel = (options.build / "apps/runnel/runnel").resolve()
    if "asan" in options.build.name:
        harness.Settings.patience = 4
    reason = obstacle()
    if reason:
        for test in chosen:
            print(f"[ RUN      ] {name_of(test)}\n{reason}\n[  SKIPPED ] {name_of(test)}")
        return 0
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent or not harness.Settings.runnel.exists():
        print(f"missing: {' '.join(absent) or harness.Settings.runnel}")
        return 1

    return run_cases(chosen)


if __name__ == "__main__":
    sys.exit(main())
