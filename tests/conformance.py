#!/usr/bin/env python3
"""Checks the tables of tests/conformance.md: each row names tests that exist, or says why there is none. Prints verdicts in
GoogleTest's form.

    tests/conformance.py --build build
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
NAME = re.compile(r"`([A-Za-z]\w*\.\w+)`")
REASONS = ("later:", "left out:", "nothing to test:")


def rows(document):
    """(line number, id, requirement, evidence) of each row of each table."""
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] in ("id", "") or set(cells[0]) <= {"-", ":"}:
            continue
        if len(cells) != 3:
            raise SystemExit(f"{document}:{number}: a row has three cells: id, requirement, evidence; this one has {len(cells)}")
        yield number, *cells


def existing_tests(build):
    """The names of all cases of the GoogleTest programs that are built, and of the interop tests."""
    listing = subprocess.run(["meson", "introspect", "--tests", str(build)], check=True, capture_output=True, text=True)
    names = set()
    for test in json.loads(listing.stdout):
        if test["protocol"] != "gtest" or test["cmd"][0].endswith(".py"):
            continue
        command = [*test["cmd"], "--gtest_list_tests"]
        if not pathlib.Path(command[0]).exists():
            print(f"{command[0]} is not built: its cases count as missing")
            continue
        suite = ""
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        for line in output.splitlines():
            line = line.split("#")[0].rstrip()
            if line.endswith(".") and not line.startswith(" "):
                parts = line.rstrip(".").split("/")  # Instance/Suite, or Suite/0 for a type
                suite = parts[-2] if parts[-1].isdigit() else parts[-1]
            elif line.startswith("  "):
                names.add(f"{suite}.{line.strip().split('/')[0]}")
    interop = [sys.executable, str(HERE / "interop/run.py"), "--list"]
    names.update(subprocess.run(interop, check=True, capture_output=True, text=True, timeout=60).stdout.split())
    return names


def case(name, complaints):
    print(f"[ RUN      ] {name}")
    for complaint in complaints:
        print(complaint)
    print(f"[  {'FAILED ' if complaints else '     OK'} ] {name}", flush=True)
    return not complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    options = parser.parse_args()
    document = HERE / "conformance.md"
    table = list(rows(document))
    tests = existing_tests(options.build)

    unknown, unproved, twice = [], [], []
    seen = set()
    for number, identity, _, evidence in table:
        where = f"{document.name}:{number}: {identity}"
        named = NAME.findall(evidence)
        unknown += [f"{where} names {name}, which no test program has" for name in named if name not in tests]
        if not named and not evidence.startswith(REASONS):
            unproved.append(f"{where} names no test and no reason ({', '.join(REASONS)})")
        if identity in seen:
            twice.append(f"{where} stands twice")
        seen.add(identity)

    good = case("Conformance.EachTestNamedExists", unknown)
    good &= case("Conformance.EachRowHasATestOrAReason", unproved if table else ["the table is empty"])
    good &= case("Conformance.EachRequirementStandsOnce", twice)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
