"""Neighbours and addresses beside the kernel's: link addresses that change under a connection, addresses that the kernel has
already, and the kernel as a router that advertises itself (radvd)."""

import re
import socket
import time

from harness import INTERFACE, KERNEL, KERNEL_MAC, RUNNEL, InteropTest, Namespace, Settings, end, wait_until

KERNEL6 = "fd00:99::1"
RUNNEL6 = "fd00:99::2"
OTHER_MAC = "02:00:00:00:00:77"
PORT = f"net_tap0,iface={INTERFACE}"


class NeighboursTest(InteropTest):
    def setUp(self):
        super().setUp()
        self.enable_ipv6(self.namespace)

    @staticmethod
    def enable_ipv6(namespace):
        namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
        namespace.run("sysctl", "-qw", "net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.default.accept_dad=0")

    def begin(self, *options):
        """`runnel serve` on a tap whose kernel's side is up and has addresses; nothing is waited for."""
        arguments = ["serve", "--port", PORT, "--address", RUNNEL + "/24", "--listen", "80:http", "--listen", "7:echo"]
        self.server = process = self.namespace.start(Settings.runnel, *arguments, *options)

        def there():
            if process.poll() is not None:
                raise AssertionError(f"runnel serve ended with status {process.returncode}:\n{process.log.read_text()}")
            return self.namespace.run("ip", "link", "show", INTERFACE, check=False).returncode == 0

        wait_until(there, 20, "the tap of runnel serve")
        # net_tap gives both ends one link address, of which each has made the same link-local one.
        self.namespace.run("ip", "link", "set", INTERFACE, "address", KERNEL_MAC)
        self.namespace.run("ip", "-6", "addr", "flush", "dev", INTERFACE)
        return process

    def up(self, *addresses):
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            self.namespace.run("ip", "addr", "add", address, "dev", INTERFACE, *nodad)
        self.namespace.run("ip", "link", "set", INTERFACE, "up")

    def says(self, pattern, seconds=20):
        """Waits for a line of the server's; returns the match."""
        return wait_until(lambda: re.search(pattern, self.server.log.read_text()), seconds, f"a line like {pattern}")

    def pings(self, address):
        command = ["ping", "-c1", "-W1", "-n", address]
        return self.namespace.run(*command, check=False).returncode == 0

    def echo(self, connection, octets):
        connection.sendall(octets)
        received = b""
        while len(received) < len(octets):
            received += connection.recv(65536)
        self.assertEqual(octets, received)

    def both_connections(self):
        for host in (RUNNEL, RUNNEL6):
            wait_until(lambda host=host: self.pings(host), 20, f"an echo reply of {host}")
        with self.namespace.entered():
            made = [socket.create_connection((host, 7), timeout=60) for host in (RUNNEL, RUNNEL6)]
        for connection in made:
            self.addCleanup(connection.close)
            connection.settimeout(60 * Settings.patience)
            self.echo(connection, b"before" * 1000)
        return made

    def test_two_networks_of_ipv4_on_one_link(self):
        """The kernel has an address in each: it reaches both of runnel's from its own of that network, and is answered so."""
        self.begin("--address", "10.98.0.2/16")
        self.up(KERNEL + "/24", "10.98.7.1/16")
        for ours, theirs in ((RUNNEL, KERNEL), ("10.98.0.2", "10.98.7.1")):
            wait_until(lambda host=ours: self.pings(host), 20, f"an echo reply of {ours}")
            with self.namespace.entered():
                connection = socket.create_connection((ours, 7), timeout=60)
            self.addCleanup(connection.close)
            connection.settimeout(60 * Settings.patience)
            self.assertEqual(theirs, connection.getsockname()[0])
            self.echo(connection, b"both" * 10_000)
        known = self.namespace.run("ip", "neigh", "show", "dev", INTERFACE).stdout
        for ours in (RUNNEL, "10.98.0.2"):
            self.assertRegex(known, re.escape(ours) + " lladdr")

    def test_load_begins_from_the_address_on_the_targets_network(self):
        self.prepare_tap()
        self.namespace.run("ip", "addr", "add", "10.98.7.1/16", "dev", INTERFACE)
        self.nginx(address="10.98.7.1")
        result, _ = self.load(
            "--address", "10.98.0.2/16", "--rate", "50", "--duration", "1s", "--max-lag", "20s",
            target="10.98.7.1:80", status=(0, 3),
        )  # fmt: skip
        self.assertGreater(result["connections"]["established"], 0)
        self.assertEqual("10.98.0.2/16", result["config"]["address"])

    def test_connections_follow_the_kernel_when_it_announces_another_link_address(self):
        self.begin("--address", RUNNEL6 + "/64")
        self.up(KERNEL + "/24", KERNEL6 + "/64")
        conf = f"net.ipv6.conf.{INTERFACE}.ndisc_notify=1", f"net.ipv4.conf.{INTERFACE}.arp_notify=1"
        self.namespace.run("sysctl", "-qw", *conf)
        made = self.both_connections()
        self.namespace.run("ip", "link", "set", INTERFACE, "address", OTHER_MAC)
        for connection in made:
            self.echo(connection, b"after" * 10_000)

    def test_connections_follow_the_kernel_when_it_is_silent_about_another_link_address(self):
        """What is sent to the old one is not received: a time-out casts doubt on the neighbour, who is asked for anew."""
        self.begin("--address", RUNNEL6 + "/64")
        self.up(KERNEL + "/24", KERNEL6 + "/64")
        made = self.both_connections()
        self.namespace.run("ip", "link", "set", INTERFACE, "address", OTHER_MAC)
        for connection in made:
            self.echo(connection, b"after" * 10_000)

    def test_addresses_that_the_kernel_has_stay_unused(self):
        self.begin("--address", RUNNEL6 + "/64", "--dad", "8", "--arp-probes", "8")
        self.up(RUNNEL + "/24", RUNNEL6 + "/64")
        for address in (RUNNEL, RUNNEL6):
            self.says(rf"address: {address} is in use by {KERNEL_MAC} and stays unused; give another\n")
        # The link-local one is nobody else's.
        self.says(r"address: fe80::\S+ is ours\n")
        with self.namespace.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as claims:
            claims.bind((INTERFACE, 0x0806))
            claims.settimeout(0.2)
            end_ = time.monotonic() + 1
            while time.monotonic() < end_:
                try:
                    frame, address = claims.recvfrom(100)
                except TimeoutError:
                    continue
                if address[2] != socket.PACKET_OUTGOING:
                    self.assertNotEqual(socket.inet_aton(RUNNEL), frame[28:32], "runnel speaks from the kernel's address")

    def test_addresses_that_nobody_has_are_used_after_probes(self):
        self.begin("--address", RUNNEL6 + "/64", "--dad", "1", "--arp-probes", "3")
        self.up(KERNEL + "/24", KERNEL6 + "/64")
        for address in (RUNNEL, RUNNEL6):
            self.says(rf"address: {address} is ours\n")
            wait_until(lambda address=address: self.pings(address), 20, f"an echo reply of {address}")

    def test_conflict_is_told_and_the_address_defended(self):
        self.begin()
        self.up(KERNEL + "/24")
        wait_until(lambda: self.pings(RUNNEL), 20, "an echo reply")
        self.namespace.run("arping", "-q", "-U", "-c", "1", "-w", "1", "-s", RUNNEL, "-I", INTERFACE, RUNNEL, check=False)
        with self.namespace.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as link:
            link.bind((INTERFACE, 0x0806))
            mac = bytes.fromhex(KERNEL_MAC.replace(":", ""))
            ours = socket.inet_aton(RUNNEL)
            link.send(b"\xff" * 6 + mac + b"\x08\x06\0\1\x08\0\6\4\0\1" + mac + ours + bytes(6) + ours + bytes(18))
        self.says(rf"address: {RUNNEL} is claimed by {KERNEL_MAC} as well; take it from that host\n")
        self.assertTrue(self.pings(RUNNEL), "it is kept")

    def advertise(self, *lines):
        """radvd on the kernel's side of the tap."""
        configuration = self.namespace.folder / "radvd.conf"
        configuration.write_text(
            f"interface {INTERFACE} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;\n"
            + "\n".join(lines)
            + "\n  prefix fd00:97::/64 { AdvValidLifetime 3600; AdvPreferredLifetime 1800; };\n};\n",
            encoding="ascii",
        )
        self.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        pid = self.namespace.folder / "radvd.pid"
        return self.namespace.start("radvd", "-n", "-m", "stderr", "-C", configuration, "-p", pid)

    def test_address_and_router_are_learnt_of_radvd(self):
        self.begin("--autoconf", "--dad", "2", "--size", "2000000")
        self.up(KERNEL + "/24", "fe80::1/64", "fd00:97::1/64")
        self.advertise("AdvLinkMTU 1400; AdvCurHopLimit 77;")
        formed = self.says(r"address: (fd00:97::\S+|fd00:97:\S+) is ours\n").group(1)
        self.says(r"address: fe80::\S+ \(02:00:00:00:00:01\) is a default router\n")
        beyond = Namespace()
        self.addCleanup(beyond.close)
        self.enable_ipv6(beyond)
        self.namespace.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", beyond.name)
        self.namespace.run("ip", "addr", "add", "fd00:98::1/64", "dev", "v0", "nodad")
        self.namespace.run("ip", "link", "set", "v0", "up")
        beyond.run("ip", "addr", "add", "fd00:98::2/64", "dev", "v1", "nodad")
        beyond.run("ip", "link", "set", "v1", "up")
        beyond.run("ip", "route", "add", "default", "via", "fd00:98::1")
        wait_until(lambda: beyond.run("ping", "-6", "-c1", "-W1", "-n", formed, check=False).returncode == 0, 20, "a reply")
        # The hop limit that radvd says, one router on.
        self.assertIn("ttl=76", beyond.run("ping", "-6", "-c1", "-W2", "-n", formed).stdout)
        done = beyond.run(
            "curl", "-sS", "-g", "-6", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code} %{size_download}",
            f"http://[{formed}]/",
        )  # fmt: skip
        self.assertEqual("200 2000000", done.stdout)
        # The kernel forms no address of ours: a host's is found taken by its own probes.
        self.namespace.run("sysctl", "-qw", f"net.ipv6.conf.{INTERFACE}.accept_dad=1")
        self.namespace.run("ip", "addr", "add", formed + "/64", "dev", INTERFACE)
        show = ("ip", "-6", "addr", "show", "dev", INTERFACE)
        wait_until(lambda: "dadfailed" in self.namespace.run(*show).stdout, 10, "the end of the kernel's detection")

    def test_router_that_says_farewell_is_used_no_more(self):
        self.begin("--autoconf")
        self.up(KERNEL + "/24", "fe80::1/64", "fd00:97::1/64")
        radvd = self.advertise()
        self.says(r"address: fe80::\S+ \(02:00:00:00:00:01\) is a default router\n")
        end(radvd)  # it advertises a lifetime of 0 at its end
        self.says(r"address: fe80::\S+ is a default router no more\n")

    def tearDown(self):
        server = getattr(self, "server", None)
        if server is not None:
            self.assertEqual(0, end(server))
