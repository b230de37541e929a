"""`runnel load --recipe udp-rr` at a UDP echo of the kernel's, and targets that answer nothing: the run ends within seconds and
says why."""

import contextlib
import itertools
import json
import socket
import threading
import time

from harness import INTERFACE, KERNEL, PORT, InteropTest, Settings

KERNEL6, RUNNEL6 = "fd00:99::1", "fd00:99::2"
NUMBERS = itertools.count(1)


class Echo:
    """A UDP echo (RFC 862) on the kernel, which counts what it gets."""

    def __init__(self, test, family=socket.AF_INET, address=KERNEL, port=9000):
        self.count, self.port = 0, port
        self.socket = test.namespace.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.settimeout(0.2)
        self.ended = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        test.addCleanup(self.close)

    def run(self):
        while not self.ended:
            with contextlib.suppress(TimeoutError):
                octets, peer = self.socket.recvfrom(65536)
                self.count += 1
                self.socket.sendto(octets, peer)

    def close(self):
        if not self.ended:
            self.ended = True
            self.thread.join(10)
            self.socket.close()


class DatagramsTest(InteropTest):
    def prepare_ipv6_tap(self):
        self.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
        self.namespace.run("sysctl", "-qw", "net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.default.accept_dad=0")
        # A run that ends takes the link down, and the next one brings it up.
        self.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.keep_addr_on_down=1")
        self.namespace.run("ip", "tuntap", "add", "dev", INTERFACE, "mode", "tap", "multi_queue")
        self.namespace.run("ip", "addr", "add", KERNEL6 + "/64", "dev", INTERFACE, "nodad")
        self.namespace.run("ip", "link", "set", INTERFACE, "up")

    def load6(self, *options, target, status=(0,)):
        file = self.namespace.folder / f"load6-{next(NUMBERS)}.json"
        line = ["load", "--port", PORT, "--address", RUNNEL6 + "/64", "--target", target, "--json", file, *options]
        done = self.namespace.run(Settings.runnel, *line, timeout=40, check=False)
        self.assertIn(done.returncode, status, done.stdout)
        return json.loads(file.read_text()), done.stdout

    def ask(self, echo, load, target, *options):
        document, output = load(
            *("--recipe", "udp-rr", "--rate", "500", "--ramp", "0s", "--duration", "2s", "--connections", "16"),
            *("--max-lag", "20s", "--reply-timeout", "20s"),
            *options,
            target=target,
        )
        echo.close()
        transactions, datagrams = document["transactions"], document["datagrams"]
        self.assertEqual("valid", document["verdict"], output)
        self.assertEqual(0, transactions["residual"], transactions)
        self.assertEqual(0, transactions["lost"] + transactions["in_flight"], transactions)
        self.assertGreaterEqual(transactions["answered"], 1000, transactions)
        # Each flow was greeted, and the echo has seen that too, perhaps more than once.
        self.assertGreaterEqual(echo.count, transactions["asked"] + 16)
        self.assertLessEqual(echo.count, transactions["asked"] + 3 * 16)
        self.assertEqual((16, 0, 0), (datagrams["flows_answered"], datagrams["flows_ours"], datagrams["flows_reported"]))
        self.assertGreater(document["latency_us"]["transaction"]["intended"]["p50"], 0)
        return document

    def test_echo_of_the_kernel_answers_each_request(self):
        self.prepare_tap()
        self.ask(Echo(self), self.load, f"{KERNEL}:9000")

    def test_echo_of_the_kernel_over_ipv6(self):
        self.prepare_ipv6_tap()
        self.ask(Echo(self, socket.AF_INET6, KERNEL6), self.load6, f"[{KERNEL6}]:9000")

    def test_requests_in_fragments_come_back_in_fragments(self):
        self.prepare_tap()
        document = self.ask(Echo(self), self.load, f"{KERNEL}:9000", "--request-octets", "4000,100")
        octets = document["datagrams"]["to_server"]["octets_sent"]
        self.assertEqual(octets, document["datagrams"]["responses"]["octets_received"])
        self.assertEqual(octets, 4000 * (octets // 4100) + 100 * (octets // 4100) + octets % 4100)

    def test_flows_of_two_cores_share_an_address_and_each_gets_its_answers(self):
        self.prepare_tap()
        document = self.ask(Echo(self), self.load, f"{KERNEL}:9000", "--cores", "2", "--request-octets", "4000,100")
        self.assertEqual(2, document["client_cores"])
        self.assertEqual(0, document["datagrams"]["strange"], document["datagrams"])
        self.assertIn("steer in software", document["config"]["steering"])

    def nobody(self, reason, load, target, *options):
        return self.in_vain(reason, load, target, *([] if "stream" in options else ["--rate", "100"]), *options)

    def test_closed_port_is_unreachable_in_plain_words(self):
        self.prepare_tap()
        for recipe in ("udp-rr", "udp-oneway"):
            document = self.nobody("port unreachable", self.load, f"{KERNEL}:9", "--recipe", recipe)
            self.assertEqual(["port unreachable"], list(document["datagrams"]["errors"]))

    def test_closed_port_over_ipv6(self):
        self.prepare_ipv6_tap()
        self.nobody("port unreachable", self.load6, f"[{KERNEL6}]:9", "--recipe", "udp-rr")
        self.nobody("refuses connections", self.load6, f"[{KERNEL6}]:9", "--recipe", "crr")

    def test_closed_port_of_tcp_is_refused(self):
        self.prepare_tap()
        for recipe in (["crr"], ["rr", "--connections", "4"], ["hold", "--connections", "4"]):
            self.nobody("refuses connections", self.load, f"{KERNEL}:81", "--recipe", *recipe)

    def test_filtered_port_is_silence_behind_a_known_next_hop(self):
        self.prepare_tap()
        self.namespace.run("nft", "add table inet t; add chain inet t in { type filter hook input priority 0; }")
        self.namespace.run("nft", "add rule inet t in tcp dport 82 drop; add rule inet t in udp dport 82 drop")
        for recipe in (["fin"], ["stream"], ["http"], ["udp-rr"], ["udp-oneway"]):
            self.nobody("a filter drops what is sent", self.load, f"{KERNEL}:82", "--recipe", *recipe)

    def test_nobody_answers_arp(self):
        self.prepare_tap()
        for recipe in ("crr", "udp-rr", "udp-oneway"):
            self.nobody("ARP", self.load, "10.99.0.77:80", "--recipe", recipe)

    def test_nobody_answers_neighbour_discovery(self):
        self.prepare_ipv6_tap()
        for recipe in ("crr", "udp-rr"):
            self.nobody("neighbour discovery", self.load6, "[fd00:99::77]:80", "--recipe", recipe)
