#!/usr/bin/env python3
"""Runs `runnel handshake` over the wire within the process, looks at it while it goes and tells it things: by the view in
a terminal of tmux, by DPDK's telemetry, by Prometheus, and by what a capture holds at the end. Prints verdicts in
GoogleTest's form.

    tests/live/run.py build/apps/runnel/runnel [PATTERN]
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

CASES = {}
SECONDS = 40  # the limit of one run


def case(function):
    words = function.__name__.split("_")
    CASES["Live." + "".join(word[:1].upper() + word[1:] for word in words)] = function
    return function


def check(holds, said):
    if not holds:
        raise AssertionError(said)


def wait_until(condition, what, seconds=SECONDS):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.05)


def tool(*words, status=0, text=None):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=SECONDS, input=text)
    check(status is None or done.returncode == status, f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Pane:
    """A terminal of tmux with a server of its own, in which a command runs in a shell that outlives it."""

    def __init__(self, folder, columns, lines):
        self.socket = folder / "tmux"
        environment = dict(os.environ, LANG="C.UTF-8", LC_ALL="C.UTF-8", TERM="xterm-256color")
        environment.pop("TMUX", None)
        self.tmux(
            *("-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", lines, "env PS1='$ ' sh"), environment=environment
        )
        wait_until(lambda: "$" in self.text(), "a shell")

    def tmux(self, *words, environment=None):
        return subprocess.run(
            ["tmux", "-S", str(self.socket), *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        ).stdout

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def enter(self, line):
        self.type(line)
        self.tmux("send-keys", "Enter")

    def resize(self, columns, lines):
        self.tmux("resize-window", "-x", columns, "-y", lines)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def history(self):
        return self.tmux("capture-pane", "-p", "-S", "-1000")

    def value(self, name):
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def shows(self, pattern, seconds=SECONDS):
        try:
            return wait_until(lambda: (lambda t: t if re.search(pattern, t) else None)(self.text()), pattern, seconds)
        except AssertionError as missing:
            raise AssertionError(f"{missing}; the terminal shows\n{self.text()}") from None

    def close(self):
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], capture_output=True, timeout=SECONDS, check=False)


class Runnel:
    def __init__(self, program, folder):
        self.program, self.folder, self.processes, self.panes = program, folder, [], []
        self.prefix = f"runnel_test_{os.getpid()}"

    def pane(self, columns, lines):
        pane = Pane(self.folder, columns, lines)
        self.panes.append(pane)
        return pane

    def words(self, *options):
        return [str(self.program), "handshake", *map(str, options)]

    def start(self, *options, duration="60s"):
        """In the background, with telemetry; its document is in the file `result`."""
        with (self.folder / "log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                self.words(
                    *("--file-prefix", self.prefix, "--duration", duration, "--ramp", "100ms"),
                    *("--json", self.folder / "result", *options),
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def ask(self, command):
        """What dpdk-telemetry.py answers."""
        done = subprocess.run(
            ["dpdk-telemetry.py", "-f", self.prefix],
            input=command + "\n",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode != 0 or "{" not in done.stdout:
            return None
        # The last lines are the answer; before them it tells of the connection.
        lines = [line for line in done.stdout.splitlines() if line.startswith(f'{{"{command.split(",")[0]}"')]
        return json.loads(lines[-1])[command.split(",")[0]] if lines else None

    def until(self, command, condition, what):
        def holds():
            answer = self.ask(command)
            return answer if answer is not None and condition(answer) else None

        return wait_until(holds, what)

    def tell(self, command):
        answer = self.ask(command)
        check(answer is not None and answer["accepted"] == 1, answer)
        return answer["sentence"]

    def end(self, process):
        """The result document. How much of a rate was offered is the machine's matter, which others may share."""
        process.wait(SECONDS)
        said = (self.folder / "log").read_text(encoding="utf-8")
        check(process.returncode in (0, 3), f"status {process.returncode}\n{said}")
        document = json.loads((self.folder / "result").read_text(encoding="utf-8"))
        connections = document["connections"]
        check(connections["failed"] == 0 and connections["residual"] == 0, connections)
        check(document["verdict"] in ("valid", "generator-limited"), document["reason"])
        return document

    def close(self):
        for pane in self.panes:
            pane.close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(SECONDS)
        shutil.rmtree(pathlib.Path("/var/run/dpdk") / self.prefix, ignore_errors=True)


# -- telemetry


@case
def telemetry_asks_and_tells_a_run(runnel):
    process = runnel.start("--recipe", "crr", "--rate", "1k")
    seen = runnel.until("/runnel/summary", lambda a: a.get("phase") == "measured" and a["completed"] > 1000, "a run")
    check(seen["command"] == "handshake" and seen["what"] == "crr, rate 1.00 k/s" and seen["rate"] == "1.00 k/s", seen)
    check(seen["drops"] == seen["refused"] == seen["paused"] == 0, seen)
    rates = runnel.ask("/runnel/rates")
    check(abs(rates["tcp_syns_out"] - rates["tcp_syn_acks_in"]) < 100 and 500 < rates["cps"] < 1500, rates)
    latency = runnel.ask("/runnel/latency")["handshake"]
    check(latency["count"] > 1000 and 0 < latency["p50_ns"] <= latency["p99_ns"] <= latency["max_ns"], latency)
    runnel.until(
        "/runnel/latency,recent",
        lambda a: 0 < a["handshake"]["count"] < runnel.ask("/runnel/latency")["handshake"]["count"],
        "a last second that is not all",
    )
    cores = runnel.ask("/runnel/cores")
    check(len(cores) >= 1 and all(0 <= core["busy_percent"] <= 100 for core in cores.values()), cores)
    counters, drops = runnel.ask("/runnel/counters"), runnel.ask("/runnel/drops")
    check(counters["tcp_active_opens"] > 1000 and "tcp_bad_checksum" in drops, (counters, drops))
    check(runnel.ask("/runnel/config")["recipe"] == "crr", "no settings")

    runnel.tell("/runnel/rate,3k")
    runnel.until("/runnel/summary", lambda a: 2000 < a["cps"] < 4000 and a["rate"] == "3.00 k/s", "3 k/s")
    runnel.tell("/runnel/pause")
    before = runnel.until("/runnel/summary", lambda a: a["cps"] == 0 and a["paused"] == 1, "a pause")
    time.sleep(1.5)
    after = runnel.ask("/runnel/summary")
    check(after["started"] == before["started"] and after["t_ms"] > before["t_ms"], (before, after))
    check(runnel.ask("/runnel/pause")["accepted"] == 0, "a pause within a pause")
    check(runnel.ask("/runnel/rate,fast")["accepted"] == 0, "no rate at all")
    check(runnel.ask("/runnel/stop,gently")["accepted"] == 0, "no way to end")
    runnel.tell("/runnel/resume")
    runnel.until("/runnel/summary", lambda a: a["cps"] > 2000, "what went on")
    check(len(runnel.ask("/runnel/events")) == 3, runnel.ask("/runnel/events"))
    runnel.tell("/runnel/stop")
    document = runnel.end(process)
    check([event["what"] for event in document["events"]] == ["rate", "pause", "resume", "stop"], document["events"])
    check(document["events"][0]["rate"] == 3000 and document["events"][3]["ending"] == "drain", document["events"])
    check(all(event["by"] == "telemetry" for event in document["events"]), document["events"])
    check([event["t_s"] for event in document["events"]] == sorted(event["t_s"] for event in document["events"]), "order")
    check(not (pathlib.Path("/var/run/dpdk") / runnel.prefix).exists(), "its folder was left behind")


@case
def stop_by_rst_ends_at_once_what_is_open(runnel):
    process = runnel.start("--recipe", "rr", "--connections", "200")
    runnel.until("/runnel/summary", lambda a: a.get("phase") == "measured" and a["open"] == 200, "connections")
    answer = runnel.ask("/runnel/rate,5")
    check(answer["accepted"] == 0 and "no rate to change" in answer["sentence"], answer)
    runnel.tell("/runnel/stop,rst")
    document = runnel.end(process)
    check(document["connections"]["in_flight"] == 200, document["connections"])


@case
def signal_stops_as_the_option_says(runnel):
    process = runnel.start("--recipe", "rr", "--connections", "50", "--stop", "rst")
    runnel.until("/runnel/summary", lambda a: a.get("phase") == "measured", "the window")
    process.send_signal(signal.SIGINT)
    document = runnel.end(process)
    check(document["events"][0]["by"] == "signal" and document["events"][0]["ending"] == "rst", document["events"])
    check(document["connections"]["in_flight"] == 50, document["connections"])


RUNTIME = pathlib.Path("/var/run/dpdk") if os.geteuid() == 0 else pathlib.Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"), "dpdk")


@case
def second_run_with_the_same_prefix_is_refused_and_the_first_goes_on(runnel):
    process = runnel.start("--recipe", "crr", "--rate", "100")
    runnel.until("/runnel/summary", lambda a: a.get("phase") == "measured", "the window")
    second = subprocess.run(
        runnel.words("--file-prefix", runnel.prefix, "--duration", "1s"), capture_output=True, text=True, timeout=SECONDS
    )
    check(second.returncode == 1, f"status {second.returncode}: {second.stdout}{second.stderr}")
    said = second.stderr.strip()
    for words in (runnel.prefix, f"process {process.pid}", "--file-prefix"):
        check(words in said, said)
    check(len(said.splitlines()) == 1, said)
    # One of another prefix runs beside it, and neither that nor the refused one has taken its socket away.
    other = subprocess.run(
        runnel.words("--file-prefix", runnel.prefix + "b", "--duration", "100ms"), capture_output=True, timeout=SECONDS
    )
    check(other.returncode in (0, 3), other.stderr)  # whether it kept up is the machine's matter
    runnel.tell("/runnel/stop")
    runnel.end(process)
    check(not (RUNTIME / runnel.prefix).exists(), "its folder was left behind")


@case
def prefix_of_a_killed_run_is_taken_over(runnel):
    for _ in range(2):
        process = runnel.start("--recipe", "crr", "--rate", "100")
        runnel.until("/runnel/summary", lambda a: a.get("phase") == "measured", "the window")
        process.kill()
        process.wait(SECONDS)
        check((RUNTIME / runnel.prefix).exists(), "a killed run cleans nothing up")
    process = runnel.start("--recipe", "crr", "--rate", "100")
    runnel.until("/runnel/summary", lambda a: a.get("phase") == "measured" and a["completed"] > 0, "the window")
    runnel.tell("/runnel/stop")
    runnel.end(process)
    check(not (RUNTIME / runnel.prefix).exists(), "its folder was left behind")


@case
def folder_of_a_killed_run_without_a_prefix_is_removed_by_the_next(runnel):
    process = subprocess.Popen(
        runnel.words("--rate", "100", "--duration", "60s"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    runnel.processes.append(process)
    left = RUNTIME / f"runnel_{process.pid}"
    wait_until(lambda: (left / "dpdk_telemetry.v2").exists(), "its telemetry")
    process.kill()
    process.wait(SECONDS)
    check(left.exists(), "a killed run cleans nothing up")
    done = subprocess.run(runnel.words("--duration", "100ms"), capture_output=True, text=True, timeout=SECONDS)
    check(done.returncode in (0, 3), done.stderr)
    check(not left.exists(), "the next run has left it there")


@case
def no_telemetry_where_none_is_wanted(runnel):
    process = runnel.start("--telemetry", "no", duration="3s")
    wait_until(lambda: "connections/s" in (runnel.folder / "log").read_text(encoding="utf-8"), "a line")
    check(runnel.ask("/runnel/summary") is None, "it answered")
    runnel.end(process)


@case
def secondary_processes_need_hugepages_and_join_where_there_are(runnel):
    free = 0
    for size in pathlib.Path("/sys/kernel/mm/hugepages").glob("hugepages-*"):
        free += int((size / "free_hugepages").read_text()) * int(size.name.split("-")[1][:-2]) // 1024
    if free < 1500 or "hugetlbfs" not in pathlib.Path("/proc/self/mounts").read_text():
        done = subprocess.run(
            runnel.words("--secondary", "--duration", "1s"), capture_output=True, text=True, timeout=SECONDS, check=False
        )
        check(done.returncode == 1 and "nr_hugepages" in done.stderr, done.stderr)
        check(len(done.stderr.strip().splitlines()) == 1, done.stderr)
        return
    process = runnel.start("--secondary", "--wire", "memif", "--rate", "100")
    runnel.until("/runnel/summary", lambda a: a.get("phase") == "measured", "the window")
    check("net_memif" in tool("dpdk-dumpcap", f"--file-prefix={runnel.prefix}", "-D"), "no ports")
    file = runnel.folder / "dump.pcapng"
    tool("dpdk-dumpcap", f"--file-prefix={runnel.prefix}", "-i", "0", "-c", "100", "-a", "duration:20", "-w", file)
    check(int(tool("capinfos", "-Mrc", "-T", file).split()[-1]) >= 100, "nothing captured")
    check("RX-packets" in tool("dpdk-proc-info", f"--file-prefix={runnel.prefix}", "--", "--stats"), "no statistics")
    runnel.tell("/runnel/stop")
    runnel.end(process)


# -- Prometheus


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def samples(text):
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


@case
def prometheus_scrapes_counters_and_latencies(runnel):
    port = free_port()
    process = runnel.start("--recipe", "crr", "--rate", "500", "--prometheus", port)
    runnel.until("/runnel/summary", lambda a: a.get("phase") == "measured" and a["completed"] > 500, "a run")
    url = f"http://127.0.0.1:{port}/metrics"
    first = tool("curl", "-sS", "--fail", url)
    found = samples(first)
    check(found["runnel_tcp_active_opens_total"] >= 500, "no counter")
    names = set(runnel.ask("/runnel/counters"))
    check(all(f"runnel_{name}_total" in found for name in names), "a counter is missing")
    reasons = set(runnel.ask("/runnel/drops"))
    check(all(f'runnel_drops_total{{reason="{reason}"}}' in found for reason in reasons), "a reason is missing")
    count = found["runnel_handshake_seconds_count"]
    buckets = [value for name, value in found.items() if name.startswith("runnel_handshake_seconds_bucket")]
    check(buckets == sorted(buckets) and buckets[-1] == count > 0, buckets)
    check(0 < found['runnel_handshake_quantiles_seconds{quantile="0.5"}'] < 1, "no quantile")
    check(0 < found["runnel_handshake_seconds_sum"] < count, "no sum")
    # Names and forms as Prometheus wants them; its own opinion.
    judged = subprocess.run(
        ["promtool", "check", "metrics"], input=first, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    check(judged.returncode == 0, judged.stdout + judged.stderr)
    time.sleep(1.5)
    later = samples(tool("curl", "-sS", "--fail", url))
    check(all(later[name] >= value for name, value in found.items() if name.endswith("_total")), "a counter went back")
    check(later["runnel_tcp_active_opens_total"] > found["runnel_tcp_active_opens_total"], "nothing went on")
    runnel.tell("/runnel/stop")
    runnel.end(process)
    done = subprocess.run(
        runnel.words("--prometheus", "0"), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    check(done.returncode == 1 and "--prometheus" in done.stderr, done.stderr)


@case
def prometheus_port_that_is_taken_is_named(runnel):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            runnel.words("--prometheus", taken.getsockname()[1], "--duration", "1s"),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    check(done.returncode == 1 and "--prometheus" in done.stderr and "choose another" in done.stderr, done.stderr)


# -- captures


def frames_in(file, filter_=None):
    words = ["tshark", "-n", "-r", file, *(["-Y", filter_] if filter_ else []), "-T", "fields", "-e", "frame.number"]
    return len(tool(*words).splitlines())


@case
def capture_has_every_frame_that_was_counted(runnel):
    file = runnel.folder / "all.pcapng"
    process = runnel.start("--recipe", "crr", "--rate", "2k", "--connections", "1000", "--pcap", file)
    document = runnel.end(process)
    packets = document["packets"]
    counted = sum(packets[name] for name in ("client_tx", "client_rx", "server_tx", "server_rx"))
    table = tool("capinfos", "-T", "-r", "-c", "-t", file).split("\t")
    offered = document["connections"]["completed"]
    check(int(table[-1]) == counted == 12 * offered > 10000, (table, packets))
    check(frames_in(file, "tcp.flags.syn == 1 && tcp.flags.ack == 0") == 2 * offered, "SYNs, sent and received")
    check(frames_in(file, "tcp.checksum.status == 0 || ip.checksum.status == 0") == 0, "a checksum is wrong")
    interfaces = tool("tshark", "-n", "-r", file, "-c", "1", "-T", "fields", "-e", "frame.interface_name")
    check(interfaces.startswith(("dpdk:", "net_null_")), interfaces)
    check(any(f"capture: {counted} frames in {file}" == note for note in document["notes"]), document["notes"])


@case
def capture_takes_what_its_filter_says(runnel):
    file = runnel.folder / "some.pcapng"
    process = runnel.start(
        *("--recipe", "fin", "--rate", "1k", "--connections", "500", "--pcap", file),
        *("--pcap-filter", "tcp port 80 and tcp[tcpflags] & tcp-fin != 0"),
    )
    document = runnel.end(process)
    wanted = 4 * document["connections"]["completed"]
    check(frames_in(file) == wanted == frames_in(file, "tcp.flags.fin == 1"), (wanted, frames_in(file)))
    for options, words in (
        (("--pcap", file, "--pcap-filter", "port eighty"), "--pcap-filter"),
        (("--pcap-filter", "port 80"), "give --pcap FILE"),
        (("--pcap", "/nowhere/file"), "--pcap /nowhere/file"),
    ):
        done = subprocess.run(runnel.words(*options), capture_output=True, text=True, timeout=SECONDS, check=False)
        check(done.returncode == 1 and words in done.stderr, done.stderr)
        check(len(done.stderr.strip().splitlines()) == 1, done.stderr)


@case
def capture_that_cannot_keep_up_loses_frames_and_says_so(runnel):
    # A pipe whose other end reads nothing for a while: what a disk that is too slow would be.
    pipe = runnel.folder / "pipe"
    os.mkfifo(pipe)
    process = runnel.start("--recipe", "crr", "--pcap", pipe, duration="1s")
    with pipe.open("rb") as reader:
        wait_until(lambda: "connections/s" in (runnel.folder / "log").read_text(encoding="utf-8"), "a second of it")
        octets = 0
        while part := reader.read(1 << 20):
            octets += len(part)
    document = runnel.end(process)
    note = next(note for note in document["notes"] if note.startswith("capture: "))
    written, lost = map(int, re.search(r"(\d+) frames in \S+, (\d+) lost", note).groups())
    packets = document["packets"]
    counted = sum(packets[name] for name in ("client_tx", "client_rx", "server_tx", "server_rx"))
    check(written > 0 and lost > 0 and octets > 60 * written, note)
    # Frames of the very end may come after the counting.
    check(counted <= written + lost <= counted + 1000, (note, packets))


# -- the view


def fits(pane, columns, lines):
    text = pane.text()
    rows = text.split("\n")
    check(max(map(len, rows)) <= columns and len(rows) <= lines + 1, text)
    return text


@case
def view_fits_80_and_200_columns_and_follows_the_terminal(runnel):
    pane = runnel.pane(80, 24)
    pane.enter(" ".join(runnel.words("--recipe", "crr", "--rate", "2k", "--duration", "60s")))
    pane.shows(r"connections/s")
    pane.shows(r"measured")
    narrow = fits(pane, 80, 24)
    for words in ("runnel handshake", "traffic a second", "SYN-ACK", "latency in the last second", "cores", "drops", "q stop"):
        check(words in narrow, f"{words} is not in\n{narrow}")
    check(re.search(r"handshake +\S+ us +\S+ [um]s", narrow), narrow)
    pane.resize(200, 50)
    pane.shows(r"(?m)^.{150,}")
    wide = fits(pane, 200, 50)
    check(re.search(r"traffic a second .*latency in the last second .*cores", wide), wide)
    check("p99.9" in wide and "gap" in wide, wide)
    pane.resize(60, 20)
    wait_until(lambda: "latency" in pane.text() and not re.search(r"latency.*cores", pane.text()), "the narrow view")
    fits(pane, 60, 20)
    pane.resize(30, 8)
    pane.shows("too small")
    pane.resize(80, 24)
    pane.shows("connections/s")
    pane.type("q")
    pane.shows(r"(?m)^\$$")
    check(re.search("(?m)^(valid|generator-limited): ", pane.history()), pane.history())


@case
def view_takes_keys(runnel):
    file = runnel.folder / "result"
    pane = runnel.pane(100, 30)
    pane.enter(" ".join(runnel.words("--rate", "1k", "--duration", "60s", "--json", file)))
    pane.shows("measured")
    pane.type("?")
    pane.shows("the rate by a tenth more")
    pane.type("x")
    pane.shows("traffic a second")
    pane.type("+")
    pane.shows(r"asked 1.10 k/s")
    pane.type("*")
    pane.shows(r"asked 2.20 k/s")
    pane.shows(r"[12]\.\d+ k connections/s")
    pane.type("p")
    pane.shows("paused")
    pane.shows(r" 0 connections/s")
    pane.type("p")
    pane.shows(r"[12]\.\d+ k connections/s")
    pane.type("-")
    pane.shows(r"asked 2.00 k/s")
    pane.type("q")
    pane.shows(r"(?m)^\$$")
    document = json.loads(file.read_text(encoding="utf-8"))
    told = [(event["what"], event["by"]) for event in document["events"]]
    check(told == [(what, "terminal") for what in ("rate", "rate", "pause", "resume", "rate", "stop")], told)


@case
def view_gives_the_terminal_back_however_it_ends(runnel):
    pane = runnel.pane(80, 24)
    settings = runnel.folder / "stty"
    pane.enter(f"stty -a > {settings}.before")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGSEGV, signal.SIGHUP, signal.SIGABRT):
        pane.enter("clear")
        pane.enter(f"(ulimit -c 0; exec {' '.join(runnel.words('--rate', '100', '--duration', '60s'))})")
        pane.shows("traffic a second")
        check(pane.value("alternate_on") == "1", "it is not on the other screen")
        found = tool("pgrep", "-f", f"^{runnel.program} handshake --rate 100 --duration 60s").split()
        check(len(found) == 1, found)
        os.kill(int(found[0]), number)
        wait_until(lambda: pane.value("alternate_on") == "0", f"the end by {number.name}")
        wait_until(lambda: pane.value("cursor_flag") == "1", "the cursor")
        pane.enter(f"stty -a > {settings}.after; echo done")
        pane.shows(r"(?m)^(\$ )?done$")
        before, after = (pathlib.Path(f"{settings}.{when}").read_text() for when in ("before", "after"))
        check(before == after, f"{number.name}: {before}\n{after}")


@case
def no_view_where_standard_output_is_no_terminal(runnel):
    process = runnel.start("--rate", "100", duration="2s")
    runnel.end(process)
    said = (runnel.folder / "log").read_text(encoding="utf-8")
    check("\x1b" not in said and "handshake p99" in said, said)
    done = subprocess.run(
        runnel.words("--live", "yes"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    check(done.returncode == 1 and "not a terminal" in done.stderr, done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose name contains it")
    options, _ = parser.parse_known_args()  # meson adds what GoogleTest would take
    failed = 0
    for name, function in CASES.items():
        if options.pattern not in name:
            continue
        print(f"[ RUN      ] {name}", flush=True)
        verdict = "      OK"
        with tempfile.TemporaryDirectory(prefix="runnel_live_") as folder:
            runnel = Runnel(options.program.resolve(), pathlib.Path(folder))
            try:
                function(runnel)
            except Exception:
                traceback.print_exc(file=sys.stdout)
                verdict = "  FAILED"
                failed += 1
            finally:
                runnel.close()
        print(f"[ {verdict} ] {name}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
