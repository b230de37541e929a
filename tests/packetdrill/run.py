#!/usr/bin/env python3
"""Runs packetdrill scripts (.pkt) against the stack: one process and one network namespace each, some at once. Prints the
last lines of each that fails, and `N passed, N failed`.

Exit status: 0 where all pass, 1 where one fails, 2 where nothing could be run.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
ADDRESSES = {
    "local": "192.168.0.1",
    "remote": "192.0.2.1",
    "gateway": "192.168.0.1",
    "netmask": "255.255.0.0",
}
# A script's own line about one of them, which the interpreter would heed less than its command line.
ADDRESS = re.compile(r"^--(local|remote|gateway|netmask)_ip=([\d.]+)[ \t]*$", re.MULTILINE)
# Scripts made for Linux begin with commands about the device that packetdrill makes when it tests a kernel, and count on
# the buffers that a kernel has of itself, whatever this machine is tuned for.
PREPARE = '''
ip tuntap add dev tun0 mode tun 2>/dev/null
sysctl -q net.ipv4.tcp_rmem="4096 131072 6291456" net.ipv4.tcp_wmem="4096 16384 4194304"
exec "$@"
'''
NAMESPACE = ["unshare", "--net", "sh", "-c", PREPARE, "sh"]
# Names that the runners of google's scripts and of Linux's define.
NAMES = [
    "-DTFO_COOKIE=3021b9d889017eeb",
    "-DTFO_COOKIE_ZERO=b7c12350a90dc8f5",
    "-DCODE=host_unreachable",
    "-DCMSG_LEVEL_IP=SOL_IP",
    "-DCMSG_TYPE_RECVERR=IP_RECVERR",
]
# A block of Python about what Linux's TCP_INFO says, with its time.
CODE = re.compile(r"^[ \t]*(?:[+*~.\d]+[ \t]*)?%\{.*?\}%", re.DOTALL | re.MULTILINE)

printing = threading.Lock()


def give_up(sentence):
    print(f"packetdrill: {sentence}", file=sys.stderr)
    sys.exit(2)


def scripts_in(paths):
    found = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.rglob("*.pkt"))
        elif path.is_file():
            found.append(path)
        else:
            give_up(f"{path} is neither a file nor a folder")
    return found


def prefix():
    """What stands before each command. In virtual time the interpreter gains nothing by a real-time priority, and all else
    on the machine would wait for it."""
    if shutil.which("setpriv"):
        return [*NAMESPACE, "setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]
    return NAMESPACE


def run(script, options):
    """Returns what went wrong with one script, or nothing."""
    with tempfile.TemporaryDirectory(prefix="runnel-packetdrill-") as folder:
        path = script.resolve()
        text = script.read_text(encoding="utf-8", errors="replace")
        addresses = {**ADDRESSES, **dict(ADDRESS.findall(text))}
        if options.skip_code:
            path = pathlib.Path(folder) / script.name
            path.write_text(CODE.sub("", text), encoding="utf-8")
        command = [
            *prefix(),
            options.packetdrill,
            f"--so_filename={options.library}",
            f"--so_flags={','.join([addresses['local'], *options.settings])}",
            *[f"--{name}_ip={address}" for name, address in addresses.items()],
            *NAMES,
            *options.option,
            str(path),
        ]
        process = subprocess.Popen(
            command,
            cwd=script.resolve().parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=options.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return f"{output}did not end within {options.timeout:g} s"
    if process.returncode == 0:
        return None
    if process.returncode < 0:
        return f"{output}died of {signal.Signals(-process.returncode).name}"
    return output or f"exit status {process.returncode}, and no word"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=pathlib.Path, metavar="FOLDER|FILE", help="scripts; a folder with all below it")
    parser.add_argument("--packetdrill", metavar="PATH", help="the interpreter; else $PACKETDRILL, else found in PATH")
    parser.add_argument(
        "--library",
        metavar="PATH",
        type=pathlib.Path,
        default=TOP / "build/tests/packetdrill/librunnel_packetdrill.so",
        help="the stack; build/tests/packetdrill/librunnel_packetdrill.so by default",
    )
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="NAME=VALUE", help="a setting of the stack, such as timestamps=0"
    )
    parser.add_argument("--option", action="append", default=[], metavar="OPTION", help="passed on, such as --option=--tolerance_usecs=10000")
    parser.add_argument("--skip-code", action="store_true", help="leave out blocks of Python, which read Linux's TCP_INFO")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="for each script; 60 by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="scripts at once; a processor each by default")
    parser.add_argument("--lines", type=int, default=6, help="how many of the last lines of a failure are shown; 6 by default")
    parser.add_argument("--verbose", action="store_true", help="name also those that pass")
    options = parser.parse_args()

    asked = options.packetdrill or os.environ.get("PACKETDRILL") or "packetdrill"
    options.packetdrill = shutil.which(asked)
    if not options.packetdrill:
        give_up(
            f"no program {asked}: build https://github.com/google/packetdrill, and name it with --packetdrill PATH or $PACKETDRILL"
        )
    options.packetdrill = os.path.abspath(options.packetdrill)
    options.library = options.library.resolve()
    if not options.library.exists():
        give_up(f"no library {options.library}: build it with `ninja -C build`, or name it with --library PATH")
    if os.geteuid() != 0:
        give_up("each script needs a network namespace of its own: run this as root")
    scripts = scripts_in(options.paths)
    if not scripts:
        give_up(f"no .pkt file in {' '.join(map(str, options.paths))}")

    def run_and_report(script):
        wrong = run(script, options)
        with printing:
            if wrong is not None:
                print(f"failed: {script}")
                for line in wrong.rstrip().splitlines()[-options.lines :]:
                    print(f"    {line}")
            elif options.verbose:
                print(f"passed: {script}")
            sys.stdout.flush()
        return wrong is None

    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, options.jobs)) as workers:
        passed = sum(workers.map(run_and_report, scripts))
    print(f"{passed} passed, {len(scripts) - passed} failed")
    return 0 if passed == len(scripts) else 1


if __name__ == "__main__":
    sys.exit(main())
