#!/usr/bin/env python3
"""Runs `runnel handshake` for a moment over each wire and with each recipe that keeps its connections, and checks that
the result adds up: no rates, which are the machine's. Prints verdicts in GoogleTest's form.

    tests/wires/run.py build/apps/runnel/runnel [PATTERN]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

CASES = {}
SECONDS = 30  # the limit of one run


def case(function):
    words = function.__name__.split("_")
    CASES["Wires." + "".join(word[:1].upper() + word[1:] for word in words)] = function
    return function


class Skip(Exception):
    pass


class Runnel:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def command(self, *words):
        # Sockets go to a folder of ours, so that what is left behind shows.
        environment = dict(os.environ, TMPDIR=str(self.folder))
        return subprocess.run(
            [self.program, *words], env=environment, capture_output=True, text=True, timeout=SECONDS
        )

    def run(self, *options):
        return self.command("handshake", "--ramp", "50ms", "--duration", "200ms", *options)

    def measure(self, *options, verdicts=("valid",)):
        """The result document of a run that must be valid and closed, unless other `verdicts` will do."""
        done = self.run("--drain", "10s", "--json", "-", *options)
        check(done.returncode == 0 or (done.returncode == 3 and len(verdicts) > 1), f"status {done.returncode}:\n{done.stderr}")
        document = json.loads(done.stdout)
        connections = document["connections"]
        check(document["verdict"] in verdicts, document["reason"])
        check(connections["residual"] == 0, connections)
        check(connections["completed"] > 0 or "datagrams" in document, connections)
        check(list(self.folder.iterdir()) == [], "a socket was left behind")
        return document


def check(holds, said):
    if not holds:
        raise AssertionError(said)


def check_transactions(document):
    transactions = document["transactions"]
    check(document["rate"]["tps"] > 0, document["rate"])
    check(transactions["asked"] == transactions["answered"] > 0, transactions)
    # The two looks at a core do not fall on the edges of transactions.
    check(abs(document["packets"]["per_transaction"] - 2) < 0.2, document["packets"])
    check(document["latency_us"]["transaction"]["actual"]["count"] > 0, "no latency")


def check_stream(document, *directions):
    octets, rate = document["octets"], document["rate"]
    check(octets["residual_to_server"] == octets["residual_to_client"] == 0, octets)
    for direction in ("server", "client"):
        check((rate[f"goodput_to_{direction}_bps"] > 0) == (direction in directions), rate)
        check((octets[f"{direction}_received"] > 0) == (direction in directions), octets)


def check_datagrams(document):
    """Both sides have counted the same, and nothing was lost."""
    datagrams = document["datagrams"]
    check(datagrams["flows_reported"] == datagrams["flows"] > 0, datagrams)
    for way in ("to_server", "to_client"):
        if way not in datagrams:
            continue
        counts = datagrams[way]
        check(counts["residual"] == 0 and counts["lost"] == 0 and counts["duplicated"] == 0, counts)
        check(counts["sent"] == counts["unique"], counts)
        check(counts["octets_sent"] == counts["octets_received"], counts)
    return datagrams


# A busy machine sends late, and is not to be taken for a generator that is too slow.
PATIENT = ["--max-lag", "20s", "--reply-timeout", "20s"]


def check_datagram_recipes(runnel, *options):
    options = (*PATIENT, *options)
    document = runnel.measure("--recipe", "udp-rr", "--rate", "1k", *options)
    transactions = document["transactions"]
    check(transactions["asked"] == transactions["answered"] > 100, transactions)
    check(transactions["residual"] == 0, transactions)
    check_datagrams(document)
    document = runnel.measure(
        *("--recipe", "udp-oneway", "--direction", "both", "--rate", "1k", "--datagram-octets", "64,1400,5000"), *options
    )
    datagrams = check_datagrams(document)
    check(datagrams["to_server"]["sent"] > 100 and datagrams["to_client"]["sent"] > 100, datagrams)


def check_wire(runnel, *options):
    """All that a wire carries."""
    document = runnel.measure("--recipe", "crr", *options)
    check(document["packets"]["per_connection"] >= 6, document["packets"])
    check_transactions(runnel.measure("--recipe", "rr", "--connections", "64", *options))
    check_stream(runnel.measure("--recipe", "stream", "--direction", "both", *options), "server", "client")
    document = runnel.measure("--recipe", "stream", "--mtu", "9000", *options)
    check_stream(document, "server")
    packets = document["packets"]
    check(document["config"]["mtu"] == 9000, document["config"])
    payload = document["rate"]["goodput_to_server_bps"] / 8 * document["duration_s"] / packets["client_tx"]
    check(payload > 3000, f"{payload} octets a frame: no large frames went")


def check_large_segments(runnel, *options):
    """The client's end hands over segments of several times the MSS."""
    document = runnel.measure("--recipe", "crr", *options)
    check(document["packets"]["per_connection"] >= 6, document["packets"])
    document = runnel.measure("--recipe", "stream", "--connections", "8", *options)
    check_stream(document, "server")
    payload = document["rate"]["goodput_to_server_bps"] / 8 * document["duration_s"] / document["packets"]["client_tx"]
    check(payload > 3000, f"{payload} octets a frame: no large segments went")


@case
def ring(runnel):
    check_wire(runnel)


@case
def datagrams_over_the_ring(runnel):
    check_datagram_recipes(runnel)
    check_datagram_recipes(runnel, "--ipv6")
    check_datagram_recipes(runnel, "--cores", "1")


@case
def datagrams_of_cores_that_share_an_address(runnel):
    check_datagram_recipes(runnel, "--one-address", "--cores", "4", "--connections", "200")
    check_datagram_recipes(runnel, "--one-address", "--cores", "4", "--connections", "200", "--ipv6")


@case
def datagrams_over_memif(runnel):
    check_datagram_recipes(runnel, "--wire", "memif")


@case
def datagrams_between_two_programs(runnel):
    socket = runnel.folder / "two.sock"
    port = f"net_memif0,socket={socket},socket-abstract=no,role="
    serving = subprocess.Popen(
        [runnel.program, "serve", "--port", port + "server", "--address", "198.18.0.2/24", "--listen", "9000:udp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in serving.stdout:
            if line.startswith("MTU"):
                break
        for recipe in (["udp-rr"], ["udp-oneway", "--direction", "both", "--connections", "3"]):
            done = runnel.command(
                *("load", "--port", port + "client", "--address", "198.18.0.1/24", "--target", "198.18.0.2:9000"),
                *("--rate", "1k", "--ramp", "50ms", "--duration", "300ms", "--json", "-", "--recipe", *recipe, *PATIENT),
            )
            check(done.returncode == 0, f"status {done.returncode}:\n{done.stderr}{done.stdout}")
            document = json.loads(done.stdout)
            check(document["server_cores"] == 0, document["server_cores"])
            check_datagrams(document)
    finally:
        serving.terminate()
        said, _ = serving.communicate(timeout=SECONDS)
    check("datagrams that came: 0 lost on the way, 0 copies, 0 out of order" in said, said)


@case
def ring_with_both_ends_on_one_core(runnel):
    check_transactions(runnel.measure("--recipe", "rr", "--connections", "64", "--cores", "1"))
    check_stream(runnel.measure("--recipe", "stream", "--connections", "8", "--cores", "1", "--copy"), "server")


@case
def memif(runnel):
    check_wire(runnel, "--wire", "memif")


@case
def memif_zero_copy(runnel):
    check_wire(runnel, "--wire", "memif", "--zero-copy")


@case
def vhost(runnel):
    check_wire(runnel, "--wire", "vhost")


@case
def vhost_with_checksums_offloaded(runnel):
    check_wire(runnel, "--wire", "vhost", "--checksum", "offload")


@case
def vhost_with_large_segments(runnel):
    check_large_segments(runnel, "--wire", "vhost", "--checksum", "offload", "--segmentation")


@case
def ring_with_large_segments(runnel):
    check_large_segments(runnel, "--checksum", "offload", "--segmentation")


@case
def af_packet(runnel):
    if os.geteuid() != 0:
        raise Skip("af_packet needs root, for a network namespace")
    check_wire(runnel, "--wire", "af_packet")


@case
def unmeasured_has_no_latencies_and_no_intervals_whatever_the_recipe(runnel):
    for recipe in (
        "crr", "fin", "rst --rate 500", "hold --connections 300 --transactions 2", "rr --connections 20",
        "rr --connections 20 --rate 1k", "http --transactions 3 --concurrency 10", "stream --connections 4",
        "udp-rr --rate 1k", "udp-oneway --rate 1k --direction both",
    ):  # fmt: skip
        # A machine that is busy leaves the last of the window unsent.
        verdicts = ("valid", "generator-limited")
        document = runnel.measure("--unmeasured", "--max-lag", "20s", "--recipe", *recipe.split(), verdicts=verdicts)
        for kind, figures in document["latency_us"].items():
            for since in ("intended", "actual"):
                check(figures[since]["count"] == 0, (recipe, kind, figures))
        check(document["generator"]["schedule_lag_us"]["max"] == 0, (recipe, document["generator"]))
        check(document["intervals"] == [], (recipe, document["intervals"]))
        jitter = document.get("datagrams", {}).get("to_client", {}).get("jitter_us", {"max": 0})
        check(jitter["max"] == 0, (recipe, jitter))
        # What is counted is counted as ever.
        if "transactions" in document:
            check(document["transactions"]["answered"] > 0, (recipe, document["transactions"]))


def limited(runnel, status, *options):
    """The result document of a run in which one side is slowed on purpose."""
    line = ["handshake", "--cores", "2", "--drain", "10s", "--ramp", "0s", "--duration", "600ms", "--json", "-"]
    for _ in range(3):  # the machine may be busy
        done = runnel.command(*line, *options)
        if done.returncode == status:
            break
    check(done.returncode == status, f"status {done.returncode}:\n{done.stderr}{done.stdout[-600:]}")
    return json.loads(done.stdout)


# A frame costs the slow side so much that it carries a tenth of what is asked for.
SLOW = {
    "crr": ["--recipe", "crr", "--rate", "20k"],
    "http": ["--recipe", "http", "--transactions", "2", "--rate", "10k"],
    "udp-rr": ["--recipe", "udp-rr", "--rate", "50k"],
    "udp-oneway": ["--recipe", "udp-oneway", "--rate", "50k"],
}


@case
def generator_that_is_the_limit_says_so(runnel):
    for recipe, options in SLOW.items():
        document = limited(runnel, 3, *options, "--client-work", "200us")
        check(document["verdict"] == "generator-limited", (recipe, document["reason"]))
        check("more was asked for than could be offered" in document["reason"], (recipe, document["reason"]))


@case
def two_memif_wires_at_once(runnel):
    check_transactions(runnel.measure("--recipe", "rr", "--connections", "64", "--wire", "memif", "--cores", "4"))


@case
def socket_that_cannot_be_made_is_one_sentence(runnel):
    environment = dict(os.environ, TMPDIR="/proc")
    done = subprocess.run(
        [runnel.program, "handshake", "--wire", "vhost"], env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    check(done.returncode == 1, done.returncode)
    check("TMPDIR" in done.stderr and done.stderr.count("\n") == 1, done.stderr)


@case
def search_finds_no_limit_below_what_the_ring_carries(runnel):
    done = runnel.command(
        *("search", "--min", "50", "--max", "100", "--goal", "loss=50%,latency=10s,trial=200ms,sum=200ms,width=20%"),
        *("--json", "-", "--", "handshake", "--recipe", "crr", "--ramp", "50ms", "--drain", "10s"),
    )
    check(done.returncode == 0, f"status {done.returncode}:\n{done.stderr}")
    document = json.loads(done.stdout)
    goal = document["goals"][0]
    check((goal["lower"], goal["upper"]) == (100, None), goal)
    check([at["load"] for at in goal["latency_at"]] == [10, 50, 90], goal)
    check(all(trial["latency_us"] > 0 for trial in document["trials"]), document["trials"])
    check(list(runnel.folder.iterdir()) == [], "a file was left behind")


@case
def search_says_why_a_trial_could_not_run(runnel):
    done = runnel.command("search", "--", "load", "--port", "net_nothing0", "--address", "10.0.0.1/24", "--target", "10.0.0.2:80")
    check(done.returncode == 1, f"status {done.returncode}")
    check("a trial at" in done.stderr and "net_nothing0" in done.stderr, done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runnel", type=pathlib.Path, help="the command")
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose name contains it")
    options, _ = parser.parse_known_args()  # meson adds what GoogleTest would take
    failed = 0
    for name, function in CASES.items():
        if options.pattern not in name:
            continue
        print(f"[ RUN      ] {name}", flush=True)
        verdict = "      OK"
        with tempfile.TemporaryDirectory(prefix="runnel_wires_") as folder:
            try:
                function(Runnel(options.runnel.resolve(), pathlib.Path(folder)))
            except Skip as reason:
                print(reason)
                verdict = " SKIPPED"
            except Exception:
                traceback.print_exc(file=sys.stdout)
                verdict = "  FAILED"
                failed += 1
        print(f"[ {verdict} ] {name}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
