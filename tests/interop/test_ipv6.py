"""IPv6 beside the kernel's: `runnel serve` and `runnel load` on a tap, ping, traceroute, curl, nginx and probes."""

import re
import socket
import struct

from harness import INTERFACE, InteropTest, Namespace, Settings, checksum, end, wait_until

KERNEL6 = "fd00:99::1"
RUNNEL6 = "fd00:99::2"
PORT = f"net_tap0,iface={INTERFACE}"


class Ipv6Setting(InteropTest):
    """A tap whose ends have IPv6 addresses alone."""

    def setUp(self):
        self.namespace = Namespace()
        self.addCleanup(self.namespace.close)
        self.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
        self.namespace.run("sysctl", "-qw", "net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.default.accept_dad=0")

    def prepare_tap(self):
        self.namespace.run("ip", "tuntap", "add", "dev", INTERFACE, "mode", "tap", "multi_queue")
        self.namespace.run("ip", "addr", "add", KERNEL6 + "/64", "dev", INTERFACE, "nodad")
        self.namespace.run("ip", "link", "set", INTERFACE, "up")

    def serve(self, *options):
        namespace = self.namespace
        arguments = ["serve", "--port", PORT, "--address", RUNNEL6 + "/64", "--listen", "80:http", "--listen", "7:echo"]
        process = namespace.start(Settings.runnel, *arguments, *options)

        def there():
            if process.poll() is not None:
                raise AssertionError(f"runnel serve ended with status {process.returncode}:\n{process.log.read_text()}")
            return namespace.run("ip", "link", "show", INTERFACE, check=False).returncode == 0

        wait_until(there, 20, "the tap of runnel serve")
        # net_tap gives both ends one link address, of which each has made the same link-local one.
        namespace.run("ip", "link", "set", INTERFACE, "address", "02:00:00:00:00:01")
        namespace.run("ip", "-6", "addr", "flush", "dev", INTERFACE)
        namespace.run("ip", "addr", "add", KERNEL6 + "/64", "dev", INTERFACE, "nodad")
        namespace.run("ip", "link", "set", INTERFACE, "up")
        wait_until(
            lambda: namespace.run("ping", "-6", "-c1", "-W1", "-n", RUNNEL6, check=False).returncode == 0,
            20,
            "an echo reply",
        )
        self.server = process
        return process


class Ipv6Test(Ipv6Setting):
    def test_ping_of_sizes_to_the_mtu_comes_back_unchanged(self):
        self.serve()
        for size in (0, 1, 56, 1000, 1452):
            done = self.namespace.run("ping", "-6", "-c2", "-i0.2", "-n", "-p", "a55a", "-s", str(size), RUNNEL6)
            self.assertIn("2 received", done.stdout)
            self.assertNotIn("wrong data", done.stdout)

    def test_ping_of_sizes_beyond_the_mtu_comes_back_unchanged(self):
        self.serve()
        for size in (1453, 1472, 1473, 8000, 65507):
            done = self.namespace.run("ping", "-6", "-c3", "-i0.2", "-W5", "-n", "-p", "a55a", "-s", str(size), RUNNEL6)
            self.assertIn("3 received", done.stdout, size)
            self.assertNotRegex(done.stdout, "DUP|wrong data|truncated")

    def test_fragments_in_any_order_are_answered_and_overlaps_are_not(self):
        self.serve()
        whole = {
            "in order": [(0, 16, 1), (16, 32, 1), (32, 48, 0)],
            "in reverse order": [(32, 48, 0), (16, 32, 1), (0, 16, 1)],
            "with an exact duplicate": [(0, 16, 1), (0, 16, 1), (16, 48, 0)],
            "atomic": [(0, 48, 0)],
        }
        lost = {
            "the second begins within the first": [(0, 24, 1), (16, 48, 0)],
            "the first ends within the second": [(16, 48, 0), (0, 24, 1)],
            "one lies within another": [(0, 32, 1), (8, 16, 1), (32, 48, 0)],
            "two ends": [(16, 32, 0), (32, 48, 0), (0, 16, 1)],
        }
        for number, (what, cuts) in enumerate([*whole.items(), *lost.items()]):
            with self.namespace.entered():
                replies = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
                raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 44)
            with replies, raw:
                replies.settimeout(0.5 * Settings.patience)
                echo = struct.pack("!BBHHH", 128, 0, 0, 0x7EA5, number) + bytes(range(40))
                pseudo = socket.inet_pton(socket.AF_INET6, KERNEL6) + socket.inet_pton(socket.AF_INET6, RUNNEL6)
                total = checksum(pseudo + struct.pack("!II", len(echo), 58) + echo)
                echo = echo[:2] + struct.pack("!H", total) + echo[4:]
                for begin, end_, more in cuts:
                    raw.sendto(struct.pack("!BBHI", 58, 0, begin | more, number) + echo[begin:end_], (RUNNEL6, 0))
                answer = False
                try:
                    while not answer:
                        message = replies.recv(2000)
                        answer = message[0] == 129 and message[4:8] == echo[4:8]
                except TimeoutError:
                    pass
                self.assertEqual(what in whole, answer, what)

    def test_reply_is_cut_to_what_a_router_says_the_path_takes(self):
        """A link of MTU 1300 behind the kernel, which routes: it drops what is larger and says so."""
        self.serve("--gateway", KERNEL6)
        beyond = Namespace()
        self.addCleanup(beyond.close)
        beyond.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
        self.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        self.namespace.run(
            "ip", "link", "add", "v0", "mtu", "1300", "type", "veth", "peer", "name", "v1", "mtu", "1300", "netns", beyond.name
        )
        self.namespace.run("ip", "addr", "add", "fd00:98::1/64", "dev", "v0", "nodad")
        self.namespace.run("ip", "link", "set", "v0", "up")
        beyond.run("ip", "addr", "add", "fd00:98::2/64", "dev", "v1", "nodad")
        beyond.run("ip", "link", "set", "v1", "up")
        beyond.run("ip", "route", "add", "default", "via", "fd00:98::1")
        # The request comes in fragments of 1300, its reply would leave in one of 1500 until the router has said so.
        beyond.run("ping", "-6", "-c1", "-W1", "-n", "-s", "1400", RUNNEL6, check=False)
        done = beyond.run("ping", "-6", "-c3", "-i0.2", "-W2", "-n", "-s", "1400", RUNNEL6)
        self.assertIn("3 received", done.stdout)

    def test_echo_request_to_all_nodes_is_answered_from_an_address(self):
        self.serve()
        own = self.namespace.run("ip", "-6", "addr", "show", "dev", INTERFACE).stdout
        with self.namespace.entered():
            sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            index = socket.if_nametoindex(INTERFACE)
        with sender:
            sender.settimeout(0.2)
            sender.sendto(struct.pack("!BBHHH", 128, 0, 0, 77, 1), ("ff02::1", 0, 0, index))

            def answered():
                try:
                    message, source = sender.recvfrom(2000)
                except TimeoutError:
                    return False
                return message[0] == 129 and message[4:6] == b"\0M" and source[0].split("%")[0] not in own

            wait_until(answered, 5, "an echo reply from another address than the kernel's")

    def test_curl_fetches_eight_megabytes(self):
        self.serve("--size", "8000000")
        done = self.namespace.run(
            "curl", "-sS", "-g", "-6", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
            f"http://[{RUNNEL6}]/",
        )  # fmt: skip
        self.assertEqual("200 8000000", done.stdout)

    def test_echo_returns_every_octet_in_order(self):
        self.serve()
        sent = bytes(i * 7 % 251 for i in range(300_000))
        with self.namespace.entered():
            connection = socket.create_connection((RUNNEL6, 7), timeout=20)
        with connection:
            connection.settimeout(20)
            received = bytearray()
            at = 0
            while len(received) < len(sent):
                if at < len(sent):
                    at += connection.send(sent[at : at + 20_000])
                received += connection.recv(65536)
        self.assertEqual(sent, bytes(received))

    def test_wrk_sees_no_error(self):
        self.serve()
        output = self.namespace.run("wrk", "-t1", "-c16", "-d2s", f"http://[{RUNNEL6}]/").stdout
        self.assertNotIn("Socket errors", output)
        self.assertNotIn("Non-2xx", output)
        self.assertGreater(int(re.search(r"(\d+) requests in", output).group(1)), 100)

    def test_closed_port_resets_and_udp_gets_port_unreachable(self):
        self.serve()
        with self.namespace.entered():
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection((RUNNEL6, 81), timeout=5)
            datagram = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with datagram:
            datagram.settimeout(5)
            datagram.connect((RUNNEL6, 9))
            datagram.send(b"x")
            with self.assertRaises(ConnectionRefusedError):
                datagram.recv(1)

    def test_kernel_resolves_us_again_after_its_cache_was_flushed(self):
        self.serve()
        self.namespace.run("ip", "-6", "neigh", "flush", "dev", INTERFACE)
        self.assertIn("1 received", self.namespace.run("ping", "-6", "-c1", "-W2", "-n", RUNNEL6).stdout)

    def test_kernels_duplicate_address_detection_finds_our_address_taken(self):
        self.serve()
        self.namespace.run("sysctl", "-qw", f"net.ipv6.conf.{INTERFACE}.accept_dad=1")
        self.namespace.run("ip", "addr", "add", RUNNEL6 + "/64", "dev", INTERFACE)

        def failed():
            return "dadfailed" in self.namespace.run("ip", "-6", "addr", "show", "dev", INTERFACE).stdout

        wait_until(failed, 10, "the end of duplicate address detection")

    def test_load_opens_connections_to_nginx(self):
        self.prepare_tap()
        self.nginx(address=f"[{KERNEL6}]")
        file = self.namespace.folder / "load.json"
        done = self.namespace.run(
            Settings.runnel, "load", "--port", PORT, "--address", RUNNEL6 + "/64", "--target", f"[{KERNEL6}]:80",
            "--recipe", "crr", "--connections", "500", "--rate", "250", "--duration", "6s", "--json", file,
            timeout=40, check=False,
        )  # fmt: skip
        self.assertEqual(0, done.returncode, done.stdout)
        self.assertIn('"completed": 500', file.read_text())
        self.assertEqual(500, self.nginx_status()["accepted"])

    def test_extension_headers_are_answered_as_the_kernel_answers_them(self):
        """The same packets to runnel and to a kernel on a veth: type, code and pointer of each answer."""
        self.serve()
        packets = {
            "unknown next header": (200, b"\0" * 16),
            "option 01": (60, struct.pack("!BBBB4x", 58, 0, 0x5E, 4) + b"\x80\0\0\0\0\1\0\1"),
            "option 10": (60, struct.pack("!BBBB4x", 58, 0, 0x9E, 4) + b"\x80\0\0\0\0\1\0\1"),
            "option 11": (60, struct.pack("!BBBB4x", 58, 0, 0xDE, 4) + b"\x80\0\0\0\0\1\0\1"),
            "hop-by-hop behind": (60, struct.pack("!BBBB4x", 0, 0, 1, 4) + struct.pack("!BBBB4x", 59, 0, 1, 4)),
            "no next header": (59, b""),
        }
        other = Namespace()
        self.addCleanup(other.close)
        other.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
        self.namespace.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", other.name)
        self.namespace.run("ip", "addr", "add", "fd00:98::1/64", "dev", "v0", "nodad")
        self.namespace.run("ip", "link", "set", "v0", "up")
        other.run("ip", "addr", "add", "fd00:98::2/64", "dev", "v1", "nodad")
        other.run("ip", "link", "set", "v1", "up")
        wait_until(
            lambda: self.namespace.run("ping", "-6", "-c1", "-W1", "-n", "fd00:98::2", check=False).returncode == 0,
            20,
            "an echo reply of the kernel",
        )
        for what, (header, payload) in packets.items():
            answers = [self.answer_to(target, header, payload) for target in ("fd00:98::2", RUNNEL6)]
            self.assertEqual(answers[0], answers[1], what)

    def answer_to(self, target, next_header, payload):
        """Type, code and pointer of the ICMPv6 error that a packet brings back; nothing within half a second."""
        with self.namespace.entered():
            errors = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, next_header)
        with errors, raw:
            errors.settimeout(0.5 * Settings.patience)
            raw.sendto(payload, (target, 0))
            try:
                while True:
                    message, source = errors.recvfrom(2000)
                    if source[0] == target and message[0] < 128:
                        return message[0], message[1], struct.unpack("!I", message[4:8])[0]
            except TimeoutError:
                return None

    def tearDown(self):
        server = getattr(self, "server", None)
        if server is not None:
            self.assertEqual(0, end(server))
