#!/usr/bin/env python3
"""Holds the library to its house: a floor includes only itself and floors below, and up to `stack` nothing calls ethdev,
starts a thread or reads a clock. Prints verdicts in GoogleTest's form."""

import pathlib
import re
import sys

FLOORS = ["base", "wire", "ip", "udp", "tcp", "stack", "port", "runtime"]
SANS_IO = FLOORS[: FLOORS.index("stack") + 1]
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.MULTILINE)
OUTSIDE_WORLD = re.compile(
    r"#\s*include\s+<(rte_ethdev|rte_cycles|rte_launch|thread|pthread|sys/time|time)(\.h)?>"
    r"|\brte_eth_\w+\s*\(|\brte_(?:rdtsc|get_tsc_cycles|get_timer_cycles)\w*\s*\("
    r"|\bclock_gettime\s*\(|_clock::now\s*\(|\bstd::j?thread\b"
)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def sources(top, floor):
    return [path for path in sorted((top / floor).rglob("*")) if path.suffix in (".hpp", ".cpp")]


def includes_above(top, floor):
    allowed = set(FLOORS[: FLOORS.index(floor) + 1])
    for path in sources(top, floor):
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            parts = name.split("/")
            if parts[0] == "runnel" and parts[1] not in allowed:
                yield f"{path}: includes {name}, which is not below {floor}"


def outside_world(top, floor):
    for path in sources(top, floor):
        text = COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), path.read_text(encoding="utf-8"))
        for number, line in enumerate(text.splitlines(), 1):
            if OUTSIDE_WORLD.search(line):
                yield f"{path}:{number}: {line.strip()}"


def case(name, complaints):
    print(f"[ RUN      ] {name}")
    for complaint in complaints:
        print(complaint)
    print(f"[  {'FAILED ' if complaints else '     OK'} ] {name}", flush=True)
    return not complaints


def main():
    top = pathlib.Path(sys.argv[1])
    good = True
    for floor in FLOORS:
        good &= case(f"Floors.{floor.capitalize()}IncludesOnlyWhatLiesBelow", list(includes_above(top, floor)))
    for floor in SANS_IO:
        good &= case(f"Floors.{floor.capitalize()}TouchesNoDeviceThreadOrClock", list(outside_world(top, floor)))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
