#!/usr/bin/env python3
"""Runs the test programs that meson knows of, the interop tests and the conformance check, and adds up single cases.

A GoogleTest program counts each of its cases; a program that prints lines in GoogleTest's form (the interop tests, the
fuzz replays) likewise; any other counts one, by its exit status. A program that hangs is ended and counts as failed,
and so do one that dies half-way and one that says it failed without naming a case.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
VERDICT = re.compile(r"\[\s+(RUN|OK|FAILED|SKIPPED)\s+\] ([^\s,]+)")
printing = threading.Lock()


@dataclasses.dataclass
class Program:
    name: str
    command: list
    environment: dict
    directory: str | None
    timeout: float
    cases: bool  # prints a verdict for each of its cases, as GoogleTest does
    alone: bool = False  # not beside another program


@dataclasses.dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0


def programs_of(build, slow):
    """The tests that meson knows of."""
    listing = subprocess.run(
        ["meson", "introspect", "--tests", str(build)], check=True, capture_output=True, text=True
    ).stdout
    for test in json.loads(listing):
        timeout = test["timeout"] if test["timeout"] > 0 else 600
        yield Program(
            name=test["name"],
            command=test["cmd"],
            environment=test["env"] if isinstance(test["env"], dict) else {},
            directory=test["workdir"],
            timeout=timeout * slow,
            cases=test["protocol"] == "gtest",
            alone=not test["is_parallel"],
        )


def run(program, build):
    """Runs one program; returns its exit status (None: ended by the time-out) and all that it printed."""
    environment = dict(os.environ)
    environment.update(program.environment)
    environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    symbolizer = pathlib.Path("/usr/lib/llvm-16/bin/llvm-symbolizer")
    if symbolizer.exists():
        environment.setdefault("ASAN_SYMBOLIZER_PATH", str(symbolizer))
        environment.setdefault("UBSAN_SYMBOLIZER_PATH", str(symbolizer))
    process = subprocess.Popen(
        program.command,
        cwd=program.directory or build,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=program.timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        # First a request, so that the interop tests can remove their namespaces; then the whole group.
        for how, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
            try:
                os.killpg(process.pid, how)
            except ProcessLookupError:
                pass
            try:
                output, _ = process.communicate(timeout=patience)
                return None, output
            except subprocess.TimeoutExpired:
                continue
        return None, "(what it printed is lost: a process of its own kept the pipe open)\n"


def judge(program, status, output):
    """Counts cases; returns the outcome and the text to show of what failed."""
    outcome = Outcome()
    report = []
    if program.cases:
        running = None  # name and first line of the case under way
        lines = output.splitlines()
        for index, line in enumerate(lines):
            match = VERDICT.search(line)
            if not match:
                continue
            verdict, name = match.groups()
            if verdict == "RUN":
                running = (name, index)
                continue
            if running is None or running[0] != name:
                continue  # the summary at the end names the failed once more
            if verdict == "OK":
                outcome.passed += 1
            elif verdict == "SKIPPED":
                outcome.skipped += 1
                reason = " ".join(text for text in lines[running[1] + 1 : index] if text and not text.endswith("Skipped"))
                report.append(f"skipped: {program.name} {name}: {reason or 'no reason given'}")
            else:
                outcome.failed += 1
                report.append("\n".join(lines[running[1] : index + 1]))
            running = None
        if running is not None:
            outcome.failed += 1
            report.append("\n".join(lines[running[1] :]))
        if status != 0 and outcome.failed == 0:
            outcome.failed += 1
            report.append("\n".join(lines[-60:]))
        if outcome == Outcome():
            outcome.failed += 1
            report.append(f"{program.name} ran no case\n" + output)
    elif status == 0:
        outcome.passed = 1
    elif status == 77:
        outcome.skipped = 1
        report.append(f"skipped: {program.name}: {output.strip()}")
    else:
        outcome.failed = 1
        report.append(output)
    if outcome.failed:
        if status is None:
            end = f"did not end within {program.timeout:.0f} s and was stopped"
        elif status < 0:
            end = f"died of {signal.Signals(-status).name}"
        else:
            end = f"ended with status {status}"
        seeds = sorted(set(re.findall(r"^seed: (\S+)", output, re.MULTILINE)))
        again = " ".join(seeds + [str(part) for part in program.command])
        report.append(f"{program.name} {end}; again: {again}")
    return outcome, "\n".join(report)


def run_and_report(program, build):
    started = time.monotonic()
    status, output = run(program, build)
    outcome, report = judge(program, status, output)
    with printing:
        if report:
            print(report, flush=True)
        skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
        print(
            f"  {program.name}: {outcome.passed} passed, {outcome.failed} failed{skipped}"
            f" ({time.monotonic() - started:.1f} s)",
            flush=True,
        )
    return outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the build folder, already built")
    parser.add_argument("--no-interop", action="store_true", help="leave out the tests against the Linux kernel")
    parser.add_argument("--only", metavar="PATTERN", default="", help="only programs whose name contains PATTERN")
    parser.add_argument("--slow", type=float, default=1, help="factor on every time-out")
    parser.add_argument("--total", type=pathlib.Path, help="append 'PASSED FAILED SKIPPED' here, print no closing line")
    options = parser.parse_args()
    build = options.build.resolve()

    programs = list(programs_of(build, options.slow))
    checks = [("conformance", [TOP / "tests/conformance.py", "--build", build], 120)]
    if not options.no_interop:
        checks.append(("interop", [TOP / "tests/interop/run.py", "--build", build], 1200))
    for name, command, timeout in checks:
        programs.append(
            Program(
                name=name,
                command=[sys.executable, *map(str, command)],
                environment={},
                directory=str(TOP),
                timeout=timeout * options.slow,
                cases=True,
                alone=True,
            )
        )
    programs = [program for program in programs if options.only in program.name]

    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as workers:
        together = [program for program in programs if not program.alone]
        outcomes += workers.map(lambda program: run_and_report(program, build), together)
    outcomes += [run_and_report(program, build) for program in programs if program.alone]

    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    if passed + failed == 0:
        print("no test has run", flush=True)
        failed = 1
    if options.total:
        with options.total.open("a", encoding="utf-8") as total:
            print(passed, failed, skipped, file=total)
    else:
        print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
