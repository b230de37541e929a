"""Probes of the thc-ipv6 tools, which try what an IPv6 host makes of headers, options and fragments: sent to runnel and
to a Linux kernel at the same time."""

import concurrent.futures
import re

from harness import INTERFACE, Namespace
from test_ipv6 import RUNNEL6, Ipv6Setting

LINUX6 = "fd00:98::2"
ANSWERED, REFUSED, SILENT = "an echo reply", "an error", "silence"


class Ipv6ProbesTest(Ipv6Setting):
    def setUp(self):
        super().setUp()
        self.serve()
        self.namespace.run("ip", "addr", "add", "fe80::1/64", "dev", INTERFACE, "nodad")
        self.linux = Namespace()
        self.addCleanup(self.linux.close)
        self.linux.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
        self.namespace.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", self.linux.name)
        self.namespace.run("ip", "addr", "add", "fd00:98::1/64", "dev", "v0", "nodad")
        self.namespace.run("ip", "link", "set", "v0", "up")
        self.linux.run("ip", "addr", "add", LINUX6 + "/64", "dev", "v1", "nodad")
        self.linux.run("ip", "link", "set", "v1", "up")
        self.namespace.run("ping", "-6", "-c1", "-W5", "-n", LINUX6)

    def ask(self, interface, address, number):
        """What a host answers to one of the tool's tests, and whether it still answered afterwards."""
        # The tool is started for each: run in a row it sends some of them to a link address that it has freed.
        printed = self.namespace.run("atk6-implementation6", interface, address, str(number), timeout=30, check=False).stdout
        verdict = re.search(rf"^Test +{number}: .*\t(.*)$", printed, re.MULTILINE)
        self.assertIsNotNone(verdict, printed)
        self.assertRegex(printed, r"Test 58: .*PASSED", f"{address} after test {number}")
        words = verdict[1]
        return ANSWERED if "PASSED" in words else REFUSED if "error reply" in words else SILENT

    def both(self, number):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            ours = pool.submit(self.ask, INTERFACE, RUNNEL6, number)
            linux = pool.submit(self.ask, "v0", LINUX6, number)
            return ours.result(), linux.result()

    def test_atk6_finds_nothing_answered_worse_than_linux_answers_it(self):
        order = [SILENT, REFUSED, ANSWERED]
        probes = {
            3: "two hop-by-hop headers",
            11: "fragments",
            18: "a routing header at its end",
            19: "a routing header with somewhere to go",
            24: "fragments, hop-by-hop and routing header",
            37: "fragments with a route to a link-local address",
            39: "fragments from a link-local address",
            46: "a destination header full of padding",
            50: "a destination option that asks for an error",
        }
        for number, what in probes.items():
            ours, linux = self.both(number)
            self.assertGreaterEqual(order.index(ours), order.index(linux), f"test {number}, {what}: {ours}; Linux: {linux}")

    def test_atk6_gets_no_reply_to_fragments_that_overlap(self):
        for number in (14, 15, 16, 17):
            self.assertNotEqual(self.ask(INTERFACE, RUNNEL6, number), ANSWERED, f"test {number}")

    def frag6(self, interface, address, *options):
        return self.namespace.run("frag6", "-i", interface, "-d", address, *options, timeout=30, check=False).stdout

    def test_frag6_finds_ids_of_fragments_that_nobody_guesses(self):
        for interface, address in ((INTERFACE, RUNNEL6), ("v0", LINUX6)):
            self.assertIn("Randomized IDs", self.frag6(interface, address, "-W"), address)

    def test_frag6_neither_kills_nor_fills_it(self):
        self.namespace.run("timeout", "5", "frag6", "-i", INTERFACE, "-d", RUNNEL6, "-X", check=False)
        # It asks for link addresses first, floods, and listens.
        self.namespace.run("timeout", "15", "frag6", "-i", INTERFACE, "-d", RUNNEL6, "-F", "20000", check=False)
        answered = self.namespace.run("ping", "-6", "-c5", "-i0.1", "-s", "4000", "-n", RUNNEL6).stdout
        self.assertIn(" 0% packet loss", answered, "datagrams in fragments are put together beside the flood")
        self.assertEqual(0, self.stop_server())
        # What it makes of them, sizes and offsets, it draws: they are malformed, or find their budget.
        dropped = re.findall(r"^dropped: (\d+) ip_fragment_\w+", self.server.log.read_text(), re.MULTILINE)
        self.assertGreater(sum(map(int, dropped)), 500, "the flood has come")
