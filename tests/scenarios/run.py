#!/usr/bin/env python3
"""Runs each sample scenario for a second on `ring` and checks that its result adds up and its goals are judged: no rates,
which are the machine's. Prints verdicts in GoogleTest's form.

    tests/scenarios/run.py build/apps/runnel/runnel apps/runnel/scenarios [PATTERN]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import traceback

SECONDS = 40  # the limit of one run
SECOND = ["--set", "max-lag=20s", "--set", "duration=1s", "--set", "ramp=100ms", "--set", "drain=10s"]
TRIES = 3  # of a run whose goals are about time, or whose rate was set: the machine may be busy


def check(holds, said):
    if not holds:
        raise AssertionError(said)


class Runnel:
    def __init__(self, program):
        self.program = program

    def run(self, file, *options):
        return subprocess.run(
            [self.program, "run", file, *options], capture_output=True, text=True, timeout=SECONDS
        )


def written(file, name):
    """What a file says of a key, as text; None where it says nothing."""
    for line in file.read_text(encoding="utf-8").splitlines():
        key, sign, value = line.partition("=")
        if sign and key.strip() == name:
            return value.split("#")[0].strip().strip('"')
    return None


def second_on_ring(runnel, file):
    with tempfile.TemporaryDirectory(prefix="runnel_scenarios_") as folder:
        # A machine that is slow has no part in whether a sample runs.
        rate = ["--set", "rate=1k"] if (written(file, "rate") or "max") not in ("max",) else []
        result, page = pathlib.Path(folder, "result.json"), pathlib.Path(folder, "result.html")
        for remaining in reversed(range(TRIES)):
            done = runnel.run(file, "--role", "both", *SECOND, *rate, "--set", f"json={result}", "--set", f"html={page}")
            check(done.returncode in (0, 2, 3), f"status {done.returncode}:\n{done.stdout}{done.stderr}")
            document = json.loads(result.read_text(encoding="utf-8"))
            connections = document["connections"]
            check(connections["residual"] == 0, connections)
            datagrams = document.get("datagrams")
            if datagrams is None:
                check(connections["completed"] > 0, connections)
            else:
                ways = [datagrams[way] for way in ("to_server", "to_client") if way in datagrams]
                check(all(way["residual"] == 0 for way in ways), datagrams)
                check(sum(way["unique"] for way in ways) > 0, datagrams)
                check(datagrams["flows_reported"] == datagrams["flows"], datagrams)
                check(document.get("transactions", {"residual": 0})["residual"] == 0, document.get("transactions"))
            if done.returncode == 0 or not remaining:
                break
        check(done.returncode == 0, f"status {done.returncode}:\n{done.stdout}{done.stderr}")
        check(document["verdict"] == "valid", document["reason"])
        config = document["config"]
        check(config["wire"] == "ring", config)
        check(config["recipe"] == written(file, "recipe"), config)
        check(config["duration"] == "1s", config)
        check(config["ipv6"] == (written(file, "ipv6") == "true"), config)
        check(("goals" in document) == ("[goals]" in file.read_text(encoding="utf-8")), document.get("goals"))
        check(all(goal["met"] for goal in document.get("goals", [])), document.get("goals"))
        check(written(file, "description") in done.stderr, done.stderr)
        check("<svg" in page.read_text(encoding="utf-8"), "the page has no chart")


def a_goal_that_is_missed_decides_the_exit_status(runnel, folder):
    done = runnel.run(folder / "crr.toml", *SECOND, "--set", "goal=handshake_p50 > 1h")
    check(done.returncode == 2, f"status {done.returncode}:\n{done.stdout}{done.stderr}")
    check("goal handshake_p50 > 1h: missed" in done.stdout, done.stdout)


def what_the_run_itself_refuses_names_line_and_key(runnel, folder):
    with tempfile.TemporaryDirectory(prefix="runnel_scenarios_") as other:
        file = pathlib.Path(other, "three.toml")
        file.write_text('recipe = "crr"\n\ncores = 3\n', encoding="utf-8")
        done = runnel.run(file)
        check(done.returncode == 1, done.returncode)
        check(done.stderr.startswith(f"runnel run: {file}:3: cores: 3 cannot be shared"), done.stderr)
        check(done.stderr.count("\n") == 1 and done.stdout == "", done.stderr + done.stdout)


def a_result_that_cannot_be_written_names_line_and_key(runnel, folder):
    with tempfile.TemporaryDirectory(prefix="runnel_scenarios_") as other:
        file = pathlib.Path(other, "nowhere.toml")
        file.write_text('recipe = "rst"\nduration = "50ms"\n[output]\nhtml = "/nowhere/page.html"\n', encoding="utf-8")
        done = runnel.run(file)
        check(done.returncode == 1, done.returncode)
        check(f"{file}:4: html /nowhere/page.html: the file cannot be written" in done.stderr, done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runnel", type=pathlib.Path, help="the command")
    parser.add_argument("scenarios", type=pathlib.Path, help="the folder of samples")
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose name contains it")
    options, _ = parser.parse_known_args()  # meson adds what GoogleTest would take
    runnel = Runnel(options.runnel.resolve())

    def words(text):
        return "".join(word[:1].upper() + word[1:] for word in text.replace("-", "_").split("_"))

    cases = {}
    for file in sorted(options.scenarios.glob("*.toml")):
        cases[f"Scenarios.{words(file.stem)}ForASecondOnRing"] = lambda file=file: second_on_ring(runnel, file)
    for function in (
        a_goal_that_is_missed_decides_the_exit_status,
        what_the_run_itself_refuses_names_line_and_key,
        a_result_that_cannot_be_written_names_line_and_key,
    ):
        cases[f"Scenarios.{words(function.__name__)}"] = lambda function=function: function(runnel, options.scenarios)
    failed = 0
    for name, function in cases.items():
        if options.pattern not in name:
            continue
        print(f"[ RUN      ] {name}", flush=True)
        verdict = "      OK"
        try:
            function()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            verdict = "  FAILED"
            failed += 1
        print(f"[ {verdict} ] {name}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
