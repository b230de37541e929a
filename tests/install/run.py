#!/usr/bin/env python3
"""Installs a build into a folder of its own, and uses from there the command, its manual and completion, its samples, the
headers and the library. Prints verdicts in GoogleTest's form.

    tests/install/run.py build [PATTERN]
"""

import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import traceback

SECONDS = 120
PROGRAM = """
#include <cstdio>
#include "runnel/base/ip_address.hpp"
#include "runnel/runtime/eal.hpp"
#include "runnel/stack/stack.hpp"
int main() {
    const runnel::IpAddress address = runnel::Ipv4Address{192, 0, 2, 1};
    const runnel::StackConfig config;
    std::printf("%s %s %zu\\n", to_string(address).c_str(), runnel::runtime::dpdk_version().c_str(),
                runnel::memory_needed(config));
}
"""


def check(holds, said):
    if not holds:
        raise AssertionError(said)


def run(*words, status=0, **more):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=SECONDS, **more)
    check(done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed:
    def __init__(self, build, folder, options):
        self.folder, self.options = folder, options
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", folder)
        self.command = self.only("bin/runnel")

    def only(self, end):
        """The one file whose path ends so."""
        found = [path for path in self.folder.rglob("*") if str(path).endswith("/" + end)]
        check(len(found) == 1, f"{end}: {found}")
        return found[0]

    def help_of(self, subcommand):
        return run(self.command, subcommand, "--help")

    def subcommands(self):
        names = re.findall(r"^\.B runnel (\S+)$", self.manual(), re.MULTILINE)
        check({"handshake", "load", "serve", "run", "doctor", "report", "compare"} <= set(names), names)
        return names

    def manual(self):
        return self.only("man1/runnel.1").read_text(encoding="utf-8")

    def complete(self, *words):
        """What bash offers for the last of the words."""
        script = (
            'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _runnel; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        return run("bash", "-c", script, "bash", self.only("completions/runnel"), *words).split()


def command_runs_from_there(installed):
    check(re.fullmatch(r"runnel \d+\.\d+\.\d+\n", run(installed.command, "--version")), "no version")
    out = run(installed.command, "handshake", "--connections", "100", "--duration", "1s")
    check("\nvalid: " in out, out)


def samples_are_there_and_say_what_they_run(installed):
    samples = sorted(installed.only("runnel/scenarios").glob("*.toml"))
    check(len(samples) >= 10, samples)
    for sample in samples:
        check(run(installed.command, "run", sample, "--role", "both", "--show").startswith("runnel handshake "), sample)


def manual_has_every_option_of_every_subcommand(installed):
    manual = installed.manual().replace("\\-", "-")
    sections = re.split(r"^\.SH ", manual, flags=re.MULTILINE)
    for subcommand in installed.subcommands():
        section = next(text for text in sections if text.startswith(f"RUNNEL {subcommand.upper()}\n"))
        options = re.findall(r"^  (?:-\w,)?(--[\w-]+)", installed.help_of(subcommand), re.MULTILINE)
        check("--help" in options, options)
        for option in options:
            check(re.search(rf"\\fB{option}(\\fR|, )", section), f"{subcommand} {option} is not in the manual")


def manual_is_well_formed(installed):
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-z", installed.only("man1/runnel.1")],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    check(done.returncode == 0 and done.stderr == "", done.stderr)


def bash_completes_subcommands_options_choices_and_files(installed):
    check(installed.complete("runnel", "hand") == ["handshake"], "no subcommand")
    for subcommand in installed.subcommands():
        check(subcommand in installed.complete("runnel", ""), subcommand)
        for option in re.findall(r"^  (?:-\w,)?(--[\w-]+)", installed.help_of(subcommand), re.MULTILINE):
            check(option in installed.complete("runnel", subcommand, option), f"{subcommand} {option}")
    check(installed.complete("runnel", "load", "--huge", "a") == ["auto"], "no choice")
    crr = str(installed.only("scenarios/crr.toml"))
    check(installed.complete("runnel", "run", crr[:-4]) == [crr], "no file")


def program_is_built_by_what_pkg_config_says(installed):
    options = installed.options
    moved = installed.folder / "pkgconfig"
    moved.mkdir()
    file = installed.only("pkgconfig/runnel.pc")
    text = file.read_text(encoding="utf-8")
    prefix = re.search(r"^prefix=(.*)$", text, re.MULTILINE).group(1)
    (moved / "runnel.pc").write_text(
        text.replace(f"prefix={prefix}\n", f"prefix={installed.folder}{prefix}\n"), encoding="utf-8"
    )
    paths = os.pathsep.join(filter(None, [str(moved), os.environ.get("PKG_CONFIG_PATH")]))
    flags = run("pkg-config", "--cflags", "--libs", "runnel", env=dict(os.environ, PKG_CONFIG_PATH=paths)).split()
    source, program = installed.folder / "program.cpp", installed.folder / "program"
    source.write_text(PROGRAM, encoding="utf-8")
    sanitize = [] if options.sanitizers == "none" else [f"-fsanitize={options.sanitizers}"]
    run(*shlex.split(options.compiler), "-std=c++20", "-fno-lto", *sanitize, source, "-o", program, *flags)
    words = run(program).split()
    check(words[0] == "192.0.2.1" and words[1] == "DPDK" and int(words[-1]) > 0, words)


CASES = (
    command_runs_from_there,
    samples_are_there_and_say_what_they_run,
    manual_has_every_option_of_every_subcommand,
    manual_is_well_formed,
    bash_completes_subcommands_options_choices_and_files,
    program_is_built_by_what_pkg_config_says,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="the build folder, already built")
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose name contains it")
    parser.add_argument("--sanitizers", default="none", help="what the build was made with")
    parser.add_argument("--compiler", default="g++", help="what the build was made by")
    options, _ = parser.parse_known_args()  # meson adds what GoogleTest would take
    failed = 0
    with tempfile.TemporaryDirectory(prefix="runnel_install_") as folder:
        installed = Installed(options.build.resolve(), pathlib.Path(folder), options)
        for function in CASES:
            name = "Install." + "".join(word[:1].upper() + word[1:] for word in function.__name__.split("_"))
            if options.pattern not in name:
                continue
            print(f"[ RUN      ] {name}", flush=True)
            verdict = "      OK"
            try:
                function(installed)
            except Exception:
                traceback.print_exc(file=sys.stdout)
                verdict = "  FAILED"
                failed += 1
            print(f"[ {verdict} ] {name}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
