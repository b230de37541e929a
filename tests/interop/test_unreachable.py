"""`runnel load` towards a target that nobody is at, that refuses, or that is behind a filter: a clear sentence within five
seconds of the command's start, on each kind of port and whatever the recipe."""

from harness import KERNEL, PORT, InteropTest

NOBODY = "10.99.0.77:80"


class UnreachableTest(InteropTest):
    def prepare_veth(self):
        """Makes a veth of whose two ends the kernel has one; returns the port at the other."""
        run = self.namespace.run
        run("ip", "link", "add", "far0", "type", "veth", "peer", "name", "near0")
        run("ethtool", "-K", "near0", "tx", "off")  # what comes through must have its checksums
        run("ip", "addr", "add", KERNEL + "/24", "dev", "near0")
        for end in ("near0", "far0"):
            run("ip", "link", "set", end, "up")
        return "net_af_packet0,iface=far0"

    def drop_syns(self):
        run = self.namespace.run
        run("nft", "add table ip filtered")
        run("nft", "add chain ip filtered in { type filter hook input priority 0 ; }")
        run("nft", "add rule ip filtered in tcp dport 80 drop")

    def at(self, port):
        return lambda *options, **more: self.load(*options, port=port, **more)

    def check_all_three(self, port):
        load, crr = self.at(port), ("--recipe", "crr", "--rate", "1k")
        document = self.in_vain("nobody answers for the link address of 10.99.0.77 (ARP)", load, NOBODY, *crr)
        self.assertEqual(0, document["connections"]["refused"])
        document = self.in_vain("refuses connections: nothing listens there", load, f"{KERNEL}:81", *crr)
        self.assertGreater(document["connections"]["refused"], 0)
        self.drop_syns()
        document = self.in_vain("a filter drops what is sent", load, f"{KERNEL}:80", *crr)
        self.assertEqual(0, document["connections"]["refused"])
        self.assertGreaterEqual(document["retransmissions"]["syn"], 1)

    def test_nobody_refusal_and_filter_at_a_tap(self):
        self.prepare_tap()
        self.check_all_three(PORT)

    def test_nobody_refusal_and_filter_at_a_veth(self):
        self.check_all_three(self.prepare_veth())

    def test_nobody_whatever_the_recipe(self):
        self.prepare_tap()
        for recipe in (("http", "--connections", "10"), ("rr", "--connections", "100"), ("stream",)):
            self.in_vain("nobody answers for the link address", self.load, NOBODY, "--recipe", *recipe)

    def test_nobody_where_connections_are_held(self):
        self.prepare_tap()
        document = self.in_vain(
            "nobody answers for the link address", self.load, NOBODY, "--recipe", "hold", "--connections", "10k"
        )
        self.assertEqual(10_000, document["connections"]["attempted"])

    def test_nobody_with_two_cores(self):
        self.prepare_tap()
        self.in_vain("nobody answers for the link address", self.load, NOBODY, "--recipe", "crr", "--cores", "2")
