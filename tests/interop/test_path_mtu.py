"""`runnel serve` behind a router whose next link takes less than runnel's own: the kernel of one namespace forwards, that of
another one fetches."""

import subprocess

from harness import KERNEL, RUNNEL, Capture, InteropTest, Namespace

CLIENT = "10.98.0.2"
ROUTER = "10.98.0.1"  # its address towards the client
SMALL_MTU = 1280
OCTETS = 5_000_000


class PathMtuTest(InteropTest):
    def setUp(self):
        super().setUp()
        self.client = Namespace()
        self.addCleanup(self.client.close)
        router = self.namespace
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        subprocess.run(
            ["ip", "link", "add", "near", "netns", router.name, "type", "veth", "peer", "far", "netns", self.client.name],
            check=True, timeout=20,
        )  # fmt: skip
        router.run("ip", "addr", "add", ROUTER + "/24", "dev", "near")
        router.run("ip", "link", "set", "near", "mtu", SMALL_MTU, "up")
        # The client's side takes 1500, and says so in its SYN: only the router knows better.
        self.client.run("ip", "addr", "add", CLIENT + "/24", "dev", "far")
        self.client.run("ip", "link", "set", "far", "up")
        self.client.run("ip", "route", "add", "default", "via", ROUTER)
        self.serve("--size", OCTETS, "--gateway", KERNEL)

    def fetch(self):
        """Fetches the page; returns what curl says of it and how many seconds it took."""
        done = self.client.run(
            "curl", "-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{time_total}",
            f"http://{RUNNEL}/", check=False,
        )  # fmt: skip
        self.assertEqual(0, done.returncode, done.stdout)
        *verdict, seconds = done.stdout.split()
        return " ".join(verdict), float(seconds)

    def test_transfer_goes_on_at_once_in_segments_that_fit_the_path(self):
        capture = Capture(self.namespace)
        verdict, seconds = self.fetch()
        capture.stop()
        self.assertEqual(f"200 {OCTETS}", verdict)
        self.assertLess(seconds, 5)
        self.assertGreater(self.namespace.snmp()["IcmpMsg"].get("OutType3", 0), 0, "the router has said nothing")
        lengths = [int(length) for (length,) in capture.select(f"ip.src == {RUNNEL} && tcp.len > 0 && !icmp", "ip.len")]
        self.assertEqual(1500, lengths[0])
        self.assertEqual(SMALL_MTU, max(lengths[50:]))
        self.assertLess(sum(length > SMALL_MTU for length in lengths), 20, "one flight, and no more")
        unfragmentable = capture.select(f"ip.src == {RUNNEL} && !icmp && ip.flags.df == 0", "frame.number")
        self.assertEqual([], unfragmentable)

        # The next connection knows from the start, and announces what its own link takes.
        capture = Capture(self.namespace)
        verdict, _ = self.fetch()
        capture.stop()
        self.assertEqual(f"200 {OCTETS}", verdict)
        self.assertEqual([], capture.select(f"ip.src == {RUNNEL} && !icmp && ip.len > {SMALL_MTU}", "frame.number"))
        self.assertEqual([["1460"]], capture.select(f"ip.src == {RUNNEL} && tcp.flags.syn == 1", "tcp.options.mss_val"))

    def test_black_hole_is_found_where_the_router_is_silenced(self):
        run = self.namespace.run
        run("nft", "add table ip silent")
        run("nft", "add chain ip silent out { type filter hook output priority 0 ; }")
        run("nft", "add rule ip silent out icmp type destination-unreachable drop")
        capture = Capture(self.namespace)
        verdict, seconds = self.fetch()
        capture.stop()
        self.assertEqual(f"200 {OCTETS}", verdict)
        self.assertLess(seconds, 15)
        self.assertEqual([], capture.select("icmp.type == 3", "frame.number"))
        lengths = [int(length) for (length,) in capture.select(f"ip.src == {RUNNEL} && tcp.len > 0 && !icmp", "ip.len")]
        self.assertEqual(1500, lengths[0])
        self.assertEqual(1024, max(lengths[50:]))
