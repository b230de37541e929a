#!/usr/bin/env python3
"""Checks the tables of tests/conformance.md: each row names tests that exist, or says why there is none, and no
requirement is forgotten. Prints verdicts in GoogleTest's form.

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
IDENTITY = re.compile(r"(MUST|SHLD|MAY|REC|\d{3,4})-([\d.]+)(?: to \1-(\d+))?")

# What must have a row, or be named in the requirement of one ("with MUST-25 to MUST-29"): of RFC 9293 its appendix B, of the others
# the sections that say how TCP behaves.
REQUIRED = [
    *(f"MUST-{n}" for n in range(1, 70)),
    *(f"SHLD-{n}" for n in range(1, 32)),
    *(f"MAY-{n}" for n in (1, 2, 3, 4, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18)),
    "REC-1",
    *"""
    9293-3.10.7.1 9293-3.10.7.2 9293-3.10.7.3 9293-3.10.7.4-seq 9293-3.10.7.4-ack 9293-wl 9293-trim 9293-synrcvd-ack 9293-close
    9293-finwait2 9293-synnodata 9293+6191
    5961-3.2 5961-4.2 5961-5.2 5961-7 6528 6056 1337 5927 1122-3.3.2 1122-3.3.3 3168-5.3 1191-1 1191-2 1191-3 1191-4 6633 6864
    8201-1 8200-4 8200-4.2 8200-4.4 8200-4.5 5722 6946 7112 8200-8 4443-2.2 4443-2.4 4443-3.1 4443-4 4861-7.1 4861-7.2.2 4861-7.2.4 4861-7.2.5
    4861-6.1.2 4861-6.3.2 4861-6.3.4 4861-6.3.6 4861-6.3.7 4861-7.2.6 4861-7.3 4861-7.3.1 6583 4862-5.4 4862-5.4-own 4862-5.5.3 4862-5.5.4 7217-5
    5227-2.1 5227-2.4 6980 6437 6724 3810
    7323-2.2 7323-2.3 7323-2.4 7323-3.2a 7323-3.2b 7323-4.1 7323-4.3 7323-5.2 7323-5.4 7323-5.5 7323-TWR
    6298-2.1 6298-2.2 6298-2.3 6298-2.4 6298-2.5 6298-3 6298-5.1 6298-5.2 6298-5.3 6298-5.5 6298-5.7
    5681-3.1a 5681-3.1b 5681-3.1c 5681-3.1d 5681-3.2 5681-4.1 5681-4.2 3042 6675 6582 6937 9438
    2018-3 2018-4a 2018-4b 2018-8 2018-bad 2883 8985-RACK 8985-TLP 5682 3168-1 3168-2 3168-3 6093
    6191-2 2525-2.17 2525-others 4987-3 4987-cookie 4987-backlog 4987-synack 793-LAND segsmack fragsmack sockstress opt-ack
    """.split(),
    "tiny MSS",
    *"1122-3.2.2.5 1122-3.2.2.8 1112-6 1112-7.2 1112-7.3 2236-3 2710-4 3376-3.2 3376-4 3376-4.1.12 3376-5 3376-5.1 3376-5.2 3376-7.2".split(),
    *"3678-4.1 3678-4.2".split(),
]


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


def named_in(requirement):
    """The ids that a requirement covers besides its own: "... (with SHLD-28, MAY-15 to MAY-17)"."""
    for kind, first, last in IDENTITY.findall(" ".join(re.findall(r"\(with ([^)]*)\)", requirement))):
        yield f"{kind}-{first}"
        if last:
            yield from (f"{kind}-{n}" for n in range(int(first) + 1, int(last) + 1))


def existing_tests(build):
    """The names of all cases of the GoogleTest programs that are built, and of the interop tests."""
    listing = subprocess.run(["meson", "introspect", "--tests", str(build)], check=True, capture_output=True, text=True)
    names = set()
    for test in json.loads(listing.stdout):
        if test["protocol"] != "gtest" or any(word.endswith(".py") for word in test["cmd"][:2]):
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
    covered = set()
    for number, identity, requirement, evidence in table:
        where = f"{document.name}:{number}: {identity}"
        named = NAME.findall(evidence)
        unknown += [f"{where} names {name}, which no test program has" for name in named if name not in tests]
        if not named and not evidence.startswith(REASONS):
            unproved.append(f"{where} names no test and no reason ({', '.join(REASONS)})")
        if identity in seen:
            twice.append(f"{where} stands twice")
        seen.add(identity)
        covered.update((identity, *named_in(requirement)))
    missing = [f"{document.name} has no row for {identity}" for identity in REQUIRED if identity not in covered]

    good = case("Conformance.EachTestNamedExists", unknown)
    good &= case("Conformance.EachRowHasATestOrAReason", unproved if table else ["the table is empty"])
    good &= case("Conformance.EachRequirementStandsOnce", twice)
    good &= case("Conformance.NoRequirementIsForgotten", missing)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
